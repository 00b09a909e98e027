/* What the compiled policy says, and that every key of the table has a part in it. */
#include "support.h"

#include <inttypes.h>

#include "berth/team.h"
#include "berth/topology.h"
#include "policy/preset.h"
#include "policy/table.h"

static const char full[] =
    "apiVersion: berth.dev/v1alpha1\n"
    "kind: PlacementPolicy\n"
    "topology:\n"
    "- {level: block, nodeLabel: example.com/block}\n"
    "- {level: rack, nodeLabel: example.com/rack, upTo: lastDot}\n"
    "- {preset: topograph, levels: [accelerator, leaf]}\n"
    "pools:\n"
    "- {name: big, gpu: H100}\n"
    "- name: small\n"
    "  nodeSelector:\n"
    "    matchLabels: {use: small}\n"
    "    matchExpressions: [{key: zone, operator: NotIn, values: [a, b]}]\n"
    "- {name: cut, gpu: H200, mig: {configs: [\n"
    "    {name: all-1g.10gb, perGPU: {1g.10gb: 7}}, {name: mix, perGPU: {3g.40gb: 1, 1g.10gb.me: 1}}],\n"
    "    maxNodes: 4, after: 20s, deadline: 5m, idleFor: 3m, backAfter: 6h, retryAfter: 30m}}\n"
    "classes:\n"
    "- name: dev\n"
    "  match: [{namespaces: ['*-dev', dev]}, {owners: [Notebook], podLabels: {team: 'x*'}, gangGPUs: {min: 8}}]\n"
    "  only: [small, big]\n"
    "  prefer: [big]\n"
    "  assume: [bf16, fp8]\n"
    "  replicas: {spreadOver: rack}\n"
    "  maxGPUsPerPod: 2\n"
    "  mayPreempt: [other]\n"
    "  mode: advise\n"
    "  gang: {require: rack, prefer: host, membersWithin: 1h1.5s, holdDomainAfter: 2m, "
    "reserveAfter: 20s, onNodeLoss: restart}\n"
    "  asVictim: {unit: gang, minRuntime: 30m, grace: 2m, evict: true, surplus: any}\n"
    "  place: {preferNoSchedule: 1, nodeAffinity: 2, modelFit: 3, siblingsApart: 4.5, bestFit: "
    "5, wholeNodes: 6, memoryFit: 7,\n"
    "    cost: 0}\n"
    "- {name: other, replicas: {spreadOver: host}}\n"
    "fallback: other\n"
    "teams:\n"
    "- {name: lab, guaranteed: {big: 16}, limit: {big: 64}}\n"
    "- {name: llm, namespaces: [llm, 'llm-*'], parent: lab, guaranteed: {big: 8.5, small: 2}, limit: {small: 4}, "
    "weight: 2}\n"
    "unlisted: {limit: {big: 0}}\n"
    "gate: {classes: [dev], releaseAfter: 90s, scaleUpAfter: 500m}\n"
    "moves: {mode: act, cooldown: 90m, perUnitAndDay: 3, giveBackAfter: 20m, kueue: workload}\n"
    "headroom:\n"
    "- {for: dev, pool: big, gpus: 48, inChunksOf: 12, margin: 13, lendTo: [other],\n"
    "    when: {days: tue-thu, from: '07:30', to: '19:00', timeZone: Asia/Kolkata},\n"
    "    follow: {signals: [queue], max: 96, hold: 3m}}\n"
    "signals:\n"
    "  staleAfter: 40s\n"
    "  prometheus: {url: 'https://prom:9090', every: 20s, tokenFile: /token, caFile: /ca}\n"
    "  load:\n"
    "  - {name: scaling, for: dev, from: autoscalers}\n"
    "  - {name: queue, for: dev, query: sum(waiting), gpusPer: 0.5, peakAbove: 3}\n"
    "health:\n"
    "  avoid: [{nodeCondition: Bad, is: 'True'}, {taintKey: ill}]\n"
    "  quarantine: {afterFailedStarts: 4, within: 5m, release: 2h}\n";

static void test_levels_and_pools(void **state)
{
	struct policy *policy = load_valid(full);
	const struct selector *selector;

	(void)state;
	assert_int_equal(policy->level_count, 4);
	assert_string_equal(policy->levels[0].name, "block");
	assert_false(policy->levels[0].up_to_last_dot);
	assert_string_equal(policy->levels[1].node_label, "example.com/rack");
	assert_true(policy->levels[1].up_to_last_dot);
	assert_int_equal(policy->levels[1].older_count, 0);
	assert_string_equal(policy->levels[2].name, "leaf");
	assert_string_equal(policy->levels[2].node_label, "fabric.topograph.run/tier-0");
	assert_int_equal(policy->levels[2].older_count, 2);
	assert_string_equal(policy->levels[2].older[0], "network.topology.nvidia.com/leaf");
	assert_string_equal(policy->levels[2].older[1], "network.topology.nvidia.com/block");
	assert_string_equal(policy->levels[3].name, "accelerator");
	assert_int_equal(policy->pool_count, 3);
	assert_string_equal(policy->pools[0].name, "big");
	assert_string_equal(policy->pools[0].gpu, "H100");
	assert_int_equal(policy->pools[0].selector.count, 0);
	assert_null(policy->pools[1].gpu);
	selector = &policy->pools[1].selector;
	assert_int_equal(selector->count, 2);
	assert_string_equal(selector->requirements[0].key, "use");
	assert_int_equal(selector->requirements[0].op, SELECTOR_IN);
	assert_int_equal(selector->requirements[0].value_count, 1);
	assert_string_equal(selector->requirements[0].values[0], "small");
	assert_string_equal(selector->requirements[1].key, "zone");
	assert_int_equal(selector->requirements[1].op, SELECTOR_NOT_IN);
	assert_int_equal(selector->requirements[1].value_count, 2);
	assert_string_equal(selector->requirements[1].values[1], "b");
	policy_free(policy);
}

static void test_classes(void **state)
{
	struct policy *policy = load_valid(full);
	const struct policy_class *dev = &policy->classes[0], *other = &policy->classes[1];

	(void)state;
	assert_int_equal(policy->class_count, 2);
	assert_true(dev->has_match);
	assert_int_equal(dev->match_count, 2);
	assert_int_equal(dev->matches[0].namespace_count, 2);
	assert_string_equal(dev->matches[0].namespaces[0], "*-dev");
	assert_int_equal(dev->matches[0].owner_count + dev->matches[0].label_count, 0);
	assert_string_equal(dev->matches[1].owners[0], "Notebook");
	assert_string_equal(dev->matches[1].pod_labels[0].key, "team");
	assert_string_equal(dev->matches[1].pod_labels[0].value, "x*");
	assert_true(dev->has_only);
	assert_int_equal(dev->only_count, 2);
	assert_int_equal(dev->only[0], 1);
	assert_int_equal(dev->only[1], 0);
	assert_int_equal(dev->prefer_count, 1);
	assert_int_equal(dev->prefer[0], 0);
	assert_int_equal(dev->assume, DTYPE_BIT(DTYPE_BF16) | DTYPE_BIT(DTYPE_FP8));
	assert_int_equal(dev->spread_level, 1);
	assert_int_equal(dev->max_gpus_per_pod, 2);
	assert_true(dev->advise && !other->advise);
	assert_int_equal(dev->may_preempt_count, 1);
	assert_true(policy_may_preempt(policy, dev, other));
	assert_true(dev->victim.evict);
	assert_int_equal(dev->victim.min_runtime_ns, INT64_C(1800000000000));
	assert_int_equal(dev->victim.grace_ns, INT64_C(120000000000));
	assert_false(other->victim.evict || other->victim.min_runtime_ns || other->victim.grace_ns);
	assert_false(policy_may_preempt(policy, other, dev) || policy_may_preempt(policy, dev, dev));
	for (int i = 0; i < SCORE_TERM_COUNT; i++)
		assert_true(dev->weights[i] == (i == SCORE_COST ? 0 : i == SCORE_SIBLINGS_APART ? 4.5 : i + 1));

	assert_false(other->has_match);
	assert_false(other->has_only);
	assert_int_equal(other->prefer_count, 0);
	assert_int_equal(other->assume, 0);
	assert_int_equal(other->spread_level, policy->level_count);
	assert_int_equal(other->max_gpus_per_pod, 0);
	for (int i = 0; i < SCORE_TERM_COUNT; i++)
		assert_true(other->weights[i] == score_term_default_weight((enum score_term)i));
	assert_int_equal(policy->fallback, 1);
	policy_free(policy);
}

static void test_gangs(void **state)
{
	struct policy *policy = load_valid(full);
	const struct policy_class *dev = &policy->classes[0], *other = &policy->classes[1];

	(void)state;
	assert_int_equal(dev->matches[0].gang_gpus_min, 0);
	assert_int_equal(dev->matches[1].gang_gpus_min, 8);
	assert_int_equal(dev->gang.require, 1);
	assert_int_equal(dev->gang.prefer, TOPOLOGY_HOST);
	assert_int_equal(dev->gang.members_within_ns, INT64_C(3601500000000));
	assert_int_equal(dev->gang.hold_domain_after_ns, INT64_C(120000000000));
	assert_int_equal(dev->gang.reserve_after_ns, INT64_C(20000000000));
	assert_true(dev->gang.restart_on_loss);
	assert_true(dev->gated);
	assert_int_equal(other->gang.require, -1);
	assert_int_equal(other->gang.prefer, -1);
	assert_int_equal(other->gang.members_within_ns, INT64_C(600000000000));
	assert_int_equal(other->gang.hold_domain_after_ns, INT64_C(1800000000000));
	assert_int_equal(other->gang.reserve_after_ns, -1);
	assert_true(policy->reserves);
	assert_false(other->gang.restart_on_loss);
	assert_false(other->gated);
	assert_true(policy->gates);
	assert_int_equal(policy->release_after_ns, INT64_C(90000000000));
	assert_int_equal(policy->scale_up_after_ns, INT64_C(30000000000000));
	assert_int_equal(policy->moves.mode, MOVES_ACT);
	assert_int_equal(policy->moves.cooldown_ns, INT64_C(5400000000000));
	assert_true(policy->moves.kueue);
	policy_free(policy);
	policy = load_valid(HEAD TAIL);
	assert_false(policy->gates);
	assert_int_equal(policy->release_after_ns, INT64_C(600000000000));
	assert_int_equal(policy->scale_up_after_ns, INT64_C(300000000000));
	assert_int_equal(policy->moves.mode, MOVES_OFF);
	assert_int_equal(policy->moves.cooldown_ns, INT64_C(3600000000000));
	assert_int_equal(policy->moves.give_back_after_ns, INT64_C(600000000000));
	assert_int_equal(policy->moves.per_unit_and_day, 2);
	assert_false(policy->moves.kueue);
	policy_free(policy);
}

/* Every preset by itself, and the levels that it has without being asked. */
static void test_presets(void **state)
{
	static const struct {
		const char *preset, *levels;
	} known[] = {
	    {"topograph", "spine leaf"},
	    {"nvlink", "nvlink"},
	    {"aws", "layer-1 layer-2 layer-3"},
	    {"gcp", "block subblock"},
	    {"oci", "block rack"},
	    {"coreweave", "fabric superpod leafgroup"},
	    {"zone", "region zone"},
	};
	size_t count = sizeof known / sizeof *known;

	(void)state;
	assert_null(preset_name(count));
	for (size_t i = 0; i < count; i++) {
		char text[256], levels[128] = "";
		struct policy *policy;

		assert_string_equal(preset_name(i), known[i].preset);
		snprintf(text, sizeof text, HEAD "topology: [{preset: %s}]\n" TAIL, known[i].preset);
		policy = load_valid(text);
		for (size_t j = 0; j < policy->level_count; j++) {
			size_t len = strlen(levels);

			snprintf(levels + len, sizeof levels - len, "%s%s", j ? " " : "", policy->levels[j].name);
			assert_true(text_rule_met(TEXT_LABEL_KEY, slice_of(policy->levels[j].node_label)));
			assert_int_equal(policy->levels[j].up_to_last_dot, strcmp(known[i].preset, "nvlink") == 0);
		}
		assert_string_equal(levels, known[i].levels);
		policy_free(policy);
	}
}

static void test_teams(void **state)
{
	struct policy *policy = load_valid(full);
	const struct policy_team *lab = &policy->teams[0], *llm = &policy->teams[1], *unlisted = &policy->teams[2];

	(void)state;
	assert_int_equal(policy->team_count, 3);
	assert_string_equal(lab->name, "lab");
	assert_int_equal(lab->parent, TEAM_NONE);
	assert_int_equal(lab->namespace_count, 0);
	assert_true(lab->weight == 1);
	assert_int_equal(lab->guaranteed[0], 16000);
	assert_int_equal(lab->guaranteed[1], 0);
	assert_int_equal(lab->limit[0], 64000);
	assert_int_equal(lab->limit[1], -1);
	assert_int_equal(llm->parent, 0);
	assert_string_equal(llm->namespaces[1], "llm-*");
	assert_int_equal(llm->guaranteed[0], 8500);
	assert_int_equal(llm->limit[1], 4000);
	assert_true(llm->weight == 2);
	assert_string_equal(unlisted->name, "unlisted");
	assert_int_equal(unlisted->parent, TEAM_NONE);
	assert_int_equal(unlisted->limit[0], 0);
	assert_int_equal(unlisted->limit[1], -1);
	policy_free(policy);
	policy = load_valid(HEAD TAIL);
	assert_int_equal(policy->team_count, 0);
	policy_free(policy);
}

static void test_health(void **state)
{
	struct policy *policy = load_valid(full);

	(void)state;
	assert_int_equal(policy->avoid_count, 2);
	assert_string_equal(policy->avoid[0].condition, "Bad");
	assert_string_equal(policy->avoid[0].is, "True");
	assert_null(policy->avoid[0].taint_key);
	assert_null(policy->avoid[1].condition);
	assert_string_equal(policy->avoid[1].taint_key, "ill");
	assert_int_equal(policy->quarantine.after, 4);
	assert_int_equal(policy->quarantine.within_ns, INT64_C(300000000000));
	assert_int_equal(policy->quarantine.release_ns, INT64_C(7200000000000));
	policy_free(policy);
}

static void test_match_of_everything(void **state)
{
	struct policy *policy = load_valid(HEAD TAIL);

	(void)state;
	assert_true(policy->classes[0].has_match);
	assert_int_equal(policy->classes[0].match_count, 1);
	assert_int_equal(policy->classes[0].matches[0].namespace_count, 0);
	assert_int_equal(policy->classes[0].matches[0].owner_count, 0);
	assert_int_equal(policy->classes[0].matches[0].label_count, 0);
	assert_int_equal(policy->classes[0].spread_level, -1);
	policy_free(policy);
}

/* By default a place in the prefer list outweighs packing, however long the list is. */
static void test_long_prefer_lists_go_before_packing(void **state)
{
	struct policy *policy =
	    load_valid(HEAD "pools:\n"
	                    "- {name: p0, nodeSelector: {matchLabels: {pool: p0}}}\n"
	                    "- {name: p1, nodeSelector: {matchLabels: {pool: p1}}}\n"
	                    "- {name: p2, nodeSelector: {matchLabels: {pool: p2}}}\n"
	                    "- {name: p3, nodeSelector: {matchLabels: {pool: p3}}}\n"
	                    "- {name: p4, nodeSelector: {matchLabels: {pool: p4}}}\n"
	                    "- {name: p5, nodeSelector: {matchLabels: {pool: p5}}}\n"
	                    "- {name: p6, nodeSelector: {matchLabels: {pool: p6}}}\n"
	                    "- {name: p7, nodeSelector: {matchLabels: {pool: p7}}}\n"
	                    "classes:\n"
	                    "- {name: c, match: [{}], prefer: [p0, p1, p2, p3, p4, p5, p6, p7]}\n"
	                    "- {name: said, prefer: [p0, p1, p2, p3, p4, p5, p6, p7], place: {modelFit: 7}}\n"
	                    "- {name: short, prefer: [p0, p1]}\n"
	                    "fallback: c\n");
	double step = policy->classes[0].weights[SCORE_MODEL_FIT] / 8, packing = 0;

	(void)state;
	for (int i = SCORE_BEST_FIT; i < SCORE_TERM_COUNT; i++)
		packing += score_term_default_weight((enum score_term)i);
	assert_true(step > packing);
	assert_true(policy->classes[1].weights[SCORE_MODEL_FIT] == 7);
	assert_true(policy->classes[2].weights[SCORE_MODEL_FIT] == score_term_default_weight(SCORE_MODEL_FIT));
	policy_free(policy);
}

/* Annotations carry this hash, so a text must have the same in every version: FNV-1a. */
static void test_hash(void **state)
{
	struct policy *policy = load_valid(HEAD TAIL), *same = load_valid(HEAD TAIL),
	              *other = load_valid(HEAD TAIL "\n");

	(void)state;
	assert_int_equal(strlen(policy->hash), POLICY_HASH_LEN);
	assert_int_equal(strspn(policy->hash, "0123456789abcdef"), POLICY_HASH_LEN);
	assert_string_equal(policy->hash, same->hash);
	assert_string_not_equal(policy->hash, other->hash);
	assert_string_equal(policy->hash, "846398418c092419");
	policy_free(policy);
	policy_free(same);
	policy_free(other);
}

static void dump_texts(struct buf *out, const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(out, " %s", texts[i]);
	buf_char(out, ';');
}

static void dump_class(struct buf *out, const struct policy_class *class)
{
	buf_printf(out, "class %s %d %d %u %d %d:", class->name, class->has_match, class->has_only, class->assume,
	    class->spread_level, (int)class->max_gpus_per_pod);
	buf_text(out, class->advise ? " advise" : "");
	buf_printf(out, " %d %d %" PRId64 " %" PRId64 " %" PRId64 " %d %d", class->gang.require, class->gang.prefer,
	    class->gang.members_within_ns, class->gang.hold_domain_after_ns, class->gang.reserve_after_ns,
	    class->gang.restart_on_loss, class->gated);
	for (size_t i = 0; i < class->match_count; i++) {
		const struct policy_match *match = &class->matches[i];

		dump_texts(out, (const char *const *)match->namespaces, match->namespace_count);
		dump_texts(out, (const char *const *)match->owners, match->owner_count);
		buf_printf(out, " %" PRId64, match->gang_gpus_min);
		for (size_t j = 0; j < match->label_count; j++)
			buf_printf(out, " %s=%s", match->pod_labels[j].key, match->pod_labels[j].value);
	}
	for (size_t i = 0; i < class->only_count; i++)
		buf_printf(out, " only %u", class->only[i]);
	for (size_t i = 0; i < class->prefer_count; i++)
		buf_printf(out, " prefer %u", class->prefer[i]);
	for (size_t i = 0; i < class->may_preempt_count; i++)
		buf_printf(out, " mayPreempt %u", class->may_preempt[i]);
	buf_printf(out, " victim %" PRId64 " %" PRId64 " %d %d", class->victim.min_runtime_ns, class->victim.grace_ns,
	    class->victim.evict, (int)class->victim.surplus);
	for (size_t i = 0; i < SCORE_TERM_COUNT; i++)
		buf_printf(out, " %g", class->weights[i]);
	buf_char(out, '\n');
}

static void dump_mig(struct buf *out, const struct policy_mig *mig)
{
	buf_printf(out, " mig %zu %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, mig->max_nodes,
	    mig->after_ns, mig->deadline_ns, mig->idle_for_ns, mig->back_after_ns, mig->retry_after_ns);
	for (size_t i = 0; i < mig->config_count; i++) {
		buf_printf(out, " %s", mig->configs[i].name);
		for (size_t j = 0; j < mig->configs[i].slice_count; j++)
			buf_printf(
			    out, " %s=%" PRId64, mig->configs[i].slices[j].profile, mig->configs[i].slices[j].per_gpu);
	}
	buf_char(out, '\n');
}

/* All that the policy says, as text; without the hash. */
static struct buf dump(const char *text)
{
	struct policy *policy = load_valid(text);
	struct buf out;

	buf_init(&out, 1u << 16);
	for (size_t i = 0; i < policy->level_count; i++)
		buf_printf(&out, "level %s %s %d\n", policy->levels[i].name, policy->levels[i].node_label,
		    policy->levels[i].up_to_last_dot);
	for (size_t i = 0; i < policy->pool_count; i++) {
		const struct policy_pool *pool = &policy->pools[i];

		buf_printf(&out, "pool %s %s\n", pool->name, pool->gpu ? pool->gpu : "-");
		if (pool->mig)
			dump_mig(&out, pool->mig);
		for (size_t j = 0; j < pool->selector.count; j++) {
			const struct selector_requirement *requirement = &pool->selector.requirements[j];

			buf_printf(&out, " %s %d", requirement->key, requirement->op);
			dump_texts(&out, (const char *const *)requirement->values, requirement->value_count);
		}
	}
	for (size_t i = 0; i < policy->class_count; i++)
		dump_class(&out, &policy->classes[i]);
	buf_printf(&out, "fallback %u gates %d %" PRId64 " %" PRId64 "\n", policy->fallback, policy->gates,
	    policy->release_after_ns, policy->scale_up_after_ns);
	buf_printf(&out, "moves %d %" PRId64 " %u %" PRId64 " %d\n", policy->moves.mode, policy->moves.cooldown_ns,
	    policy->moves.per_unit_and_day, policy->moves.give_back_after_ns, policy->moves.kueue);
	for (size_t t = 0; t < policy->team_count; t++) {
		const struct policy_team *team = &policy->teams[t];

		buf_printf(&out, "team %s %u %g", team->name, team->parent, team->weight);
		dump_texts(&out, (const char *const *)team->namespaces, team->namespace_count);
		for (size_t pool = 0; pool < policy->pool_count; pool++)
			buf_printf(&out, " %" PRId64 " %" PRId64, team->guaranteed[pool], team->limit[pool]);
		buf_char(&out, '\n');
	}
	for (size_t i = 0; i < policy->avoid_count; i++) {
		const struct policy_avoid *avoid = &policy->avoid[i];

		buf_printf(&out, "avoid %s %s %s\n", avoid->condition ? avoid->condition : "-",
		    avoid->is ? avoid->is : "-", avoid->taint_key ? avoid->taint_key : "-");
	}
	for (size_t i = 0; i < policy->headroom_count; i++) {
		const struct policy_headroom *room = &policy->headroom[i];

		buf_printf(&out, "headroom %u %u %" PRId64 " %" PRId64 " %" PRId64 " %zu %u when %d %u %d %d %s\n",
		    room->for_, room->pool, room->gpus, room->chunk, room->margin, room->lend_count,
		    room->lend_count ? room->lend_to[0] : 0, room->has_when, room->days, room->from_minute,
		    room->to_minute, room->time_zone);
	}
	for (size_t i = 0; i < policy->headroom_count; i++)
		buf_printf(&out, "follow %x %" PRId64 " %" PRId64 "\n", policy->headroom[i].follows,
		    policy->headroom[i].follow_max, policy->headroom[i].hold_ns);
	for (size_t i = 0; i < policy->signals.count; i++) {
		const struct policy_signal *signal = &policy->signals.items[i];

		buf_printf(&out, "signal %s %u %d %s %g %g\n", signal->name, signal->for_, signal->source,
		    signal->query ? signal->query : "-", signal->gpus_per, signal->peak_above);
	}
	buf_printf(&out, "signals %" PRId64 " %" PRId64 " %s %s %s\n", policy->signals.stale_after_ns,
	    policy->signals.every_ns, policy->signals.url ? policy->signals.url : "-",
	    policy->signals.token_file ? policy->signals.token_file : "-",
	    policy->signals.ca_file ? policy->signals.ca_file : "-");
	buf_printf(&out, "quarantine %u %" PRId64 " %" PRId64 "\n", policy->quarantine.after,
	    policy->quarantine.within_ns, policy->quarantine.release_ns);
	policy_free(policy);
	return out;
}

/* For every key of the table: a change of what it says, which must change the compiled policy. */
static const struct change {
	const char *key, *from, *to;
} changes[] = {
    {"topology", "- {level: block, nodeLabel: example.com/block}\n", ""},
    {"topology.level", "level: block", "level: wing"},
    {"topology.nodeLabel", "example.com/rack", "example.com/row"},
    {"topology.upTo", ", upTo: lastDot", ""},
    {"topology.preset", "preset: topograph, levels: [accelerator, leaf]", "preset: aws"},
    {"topology.levels", "accelerator, leaf", "leaf"},
    {"pools", "- {name: big, gpu: H100}\n", "- {name: big, gpu: H100}\n- {name: more, gpu: T4}\n"},
    {"pools.name", "- {name: big, gpu: H100}\n", "- {name: big, gpu: H100}\n- {name: more, gpu: T4}\n"},
    {"pools.gpu", "H100", "A100"},
    {"pools.mig", "maxNodes: 4", "maxNodes: 5"},
    {"pools.mig.configs", ", {name: mix, perGPU: {3g.40gb: 1, 1g.10gb.me: 1}}", ""},
    {"pools.mig.configs.name", "name: mix", "name: mixed"},
    {"pools.mig.configs.perGPU", "1g.10gb: 7", "1g.10gb: 6"},
    {"pools.mig.maxNodes", "maxNodes: 4, ", ""},
    {"pools.mig.after", "after: 20s", "after: 21s"},
    {"pools.mig.deadline", "deadline: 5m", "deadline: 6m"},
    {"pools.mig.idleFor", "idleFor: 3m", "idleFor: 4m"},
    {"pools.mig.backAfter", ", backAfter: 6h", ""},
    {"pools.mig.retryAfter", "retryAfter: 30m", "retryAfter: 31m"},
    {"pools.nodeSelector", "    matchLabels: {use: small}\n", ""},
    {"pools.nodeSelector.matchLabels", "use: small", "use: large"},
    {"pools.nodeSelector.matchExpressions", "    matchExpressions: [{key: zone, operator: NotIn, values: [a, b]}]\n",
        ""},
    {"pools.nodeSelector.matchExpressions.key", "key: zone", "key: region"},
    {"pools.nodeSelector.matchExpressions.operator", "NotIn", "In"},
    {"pools.nodeSelector.matchExpressions.values", "[a, b]", "[a]"},
    {"classes", "- {name: other, ", "- {name: more}\n- {name: other, "},
    {"classes.name", "- {name: other, ", "- {name: more}\n- {name: other, "},
    {"classes.match", "{namespaces: ['*-dev', dev]}, ", ""},
    {"classes.match.namespaces", "'*-dev', ", ""},
    {"classes.mayPreempt", "  mayPreempt: [other]\n", ""},
    {"classes.match.owners", "owners: [Notebook]", "owners: [Workspace]"},
    {"classes.match.podLabels", "'x*'", "'y*'"},
    {"classes.match.gangGPUs", ", gangGPUs: {min: 8}", ""},
    {"classes.match.gangGPUs.min", "min: 8", "min: 9"},
    {"classes.only", "only: [small, big]", "only: [big]"},
    {"classes.prefer", "prefer: [big]", "prefer: [small]"},
    {"classes.assume", "[bf16, fp8]", "[bf16]"},
    {"classes.replicas", "  replicas: {spreadOver: rack}\n", ""},
    {"classes.replicas.spreadOver", "spreadOver: rack", "spreadOver: block"},
    {"classes.maxGPUsPerPod", "PerPod: 2", "PerPod: 3"},
    {"classes.mode", "mode: advise", "mode: decide"},
    {"classes.gang", "membersWithin: 1h1.5s", "membersWithin: 1h"},
    {"classes.gang.require", "require: rack", "require: block"},
    {"classes.gang.prefer", "prefer: host", "prefer: leaf"},
    {"classes.gang.membersWithin", "1h1.5s", "1h1s500ms1ms"},
    {"classes.gang.holdDomainAfter", "2m,", "121s,"},
    {"classes.gang.reserveAfter", "reserveAfter: 20s", "reserveAfter: 0s"},
    {"classes.gang.onNodeLoss", "onNodeLoss: restart", "onNodeLoss: replace"},
    {"classes.asVictim", "minRuntime: 30m, ", ""},
    {"classes.asVictim.minRuntime", "minRuntime: 30m", "minRuntime: 31m"},
    {"classes.asVictim.grace", "grace: 2m", "grace: 0s"},
    {"classes.asVictim.evict", "evict: true", "evict: false"},
    {"classes.asVictim.surplus", "surplus: any", "surplus: none"},
    {"classes.place", "nodeAffinity: 2, ", ""},
    {"classes.place.preferNoSchedule", "preferNoSchedule: 1", "preferNoSchedule: 10"},
    {"classes.place.nodeAffinity", "nodeAffinity: 2", "nodeAffinity: 20"},
    {"classes.place.modelFit", "modelFit: 3", "modelFit: 30"},
    {"classes.place.siblingsApart", "siblingsApart: 4.5", "siblingsApart: 4.25"},
    {"classes.place.bestFit", "bestFit: 5", "bestFit: 50"},
    {"classes.place.wholeNodes", "wholeNodes: 6", "wholeNodes: 60"},
    {"classes.place.memoryFit", "memoryFit: 7", "memoryFit: 70"},
    {"classes.place.cost", "cost: 0", "cost: 80"},
    {"fallback", "- {name: other, ", "- {name: more}\n- {name: other, "},
    {"gate", "gate: {classes: [dev], releaseAfter: 90s, scaleUpAfter: 500m}\n", ""},
    {"gate.classes", "classes: [dev]", "classes: [dev, other]"},
    {"gate.releaseAfter", "90s", "1m31s"},
    {"gate.scaleUpAfter", "500m", "8h"},
    {"headroom", "- {for: dev, pool: big", "- {for: dev, pool: big, gpus: 1}\n- {for: dev, pool: big"},
    {"headroom.for",
        "for: dev, pool: big, gpus: 48, inChunksOf: 12, margin: 13, lendTo: [other],\n"
        "    when: {days: tue-thu, from: '07:30', to: '19:00', timeZone: Asia/Kolkata},\n"
        "    follow: {signals: [queue], max: 96, hold: 3m}}",
        "for: other, pool: big, gpus: 48, inChunksOf: 12, margin: 13}"},
    {"headroom.pool", "for: dev, pool: big", "for: dev, pool: small"},
    {"headroom.gpus", "gpus: 48", "gpus: 36"},
    {"headroom.inChunksOf", "inChunksOf: 12", "inChunksOf: 16"},
    {"headroom.margin", "margin: 13", "margin: 14"},
    {"headroom.lendTo", " lendTo: [other],", ""},
    {"headroom.when", "when: {days: tue-thu, from: '07:30', to: '19:00', timeZone: Asia/Kolkata}",
        "when: {from: '07:30'}"},
    {"headroom.when.days", "tue-thu", "tue"},
    {"headroom.when.from", "07:30", "07:31"},
    {"headroom.when.to", "19:00", "24:00"},
    {"headroom.when.timeZone", "Asia/Kolkata", "Asia/Tokyo"},
    {"headroom.follow", ",\n    follow: {signals: [queue], max: 96, hold: 3m}", ""},
    {"headroom.follow.signals", "signals: [queue], ", ""},
    {"headroom.follow.max", "max: 96", "max: 108"},
    {"headroom.follow.hold", "hold: 3m", "hold: 0s"},
    {"signals", "  staleAfter: 40s\n", ""},
    {"signals.staleAfter", "staleAfter: 40s", "staleAfter: 41s"},
    {"signals.prometheus", "every: 20s, ", ""},
    {"signals.prometheus.url", "https://prom:9090", "https://prom/base"},
    {"signals.prometheus.every", "every: 20s", "every: 21s"},
    {"signals.prometheus.tokenFile", "tokenFile: /token", "tokenFile: /other"},
    {"signals.prometheus.caFile", "caFile: /ca", "caFile: /other"},
    {"signals.load", "  - {name: scaling, for: dev, from: autoscalers}\n", ""},
    {"signals.load.name", "name: scaling", "name: scaled"},
    {"signals.load.for", "name: scaling, for: dev", "name: scaling, for: other"},
    {"signals.load.from", "from: autoscalers", "from: pendingPods"},
    {"signals.load.query", "sum(waiting)", "max(waiting)"},
    {"signals.load.gpusPer", "gpusPer: 0.5", "gpusPer: 0.25"},
    {"signals.load.peakAbove", "peakAbove: 3", "peakAbove: 4"},
    {"health",
        "health:\n  avoid: [{nodeCondition: Bad, is: 'True'}, {taintKey: ill}]\n"
        "  quarantine: {afterFailedStarts: 4, within: 5m, release: 2h}\n",
        ""},
    {"moves", "moves: {mode: act, cooldown: 90m, perUnitAndDay: 3, giveBackAfter: 20m, kueue: workload}\n", ""},
    {"moves.mode", "mode: act", "mode: observe"},
    {"moves.cooldown", "90m", "1h31m"},
    {"moves.perUnitAndDay", "perUnitAndDay: 3", "perUnitAndDay: 4"},
    {"moves.giveBackAfter", "20m", "21m"},
    {"moves.kueue", "kueue: workload", "kueue: never"},
    {"teams", "- {name: lab, guaranteed: {big: 16}, limit: {big: 64}}\n", "- {name: lab}\n- {name: more}\n"},
    {"teams.name", "name: llm", "name: lmm"},
    {"teams.namespaces", "[llm, 'llm-*']", "[llm]"},
    {"teams.parent", "parent: lab, ", ""},
    {"teams.guaranteed", "big: 8.5", "big: 8.25"},
    {"teams.limit", "{small: 4}", "{small: 5}"},
    {"teams.weight", "weight: 2", "weight: 3"},
    {"unlisted", "unlisted: {limit: {big: 0}}\n", ""},
    {"unlisted.limit", "{big: 0}", "{small: 0}"},
    {"health.avoid", ", {taintKey: ill}", ""},
    {"health.avoid.nodeCondition", "Bad", "Worse"},
    {"health.avoid.is", "'True'", "'Unknown'"},
    {"health.avoid.taintKey", "ill", "very-ill"},
    {"health.quarantine", "  quarantine: {afterFailedStarts: 4, within: 5m, release: 2h}\n", ""},
    {"health.quarantine.afterFailedStarts", "Starts: 4", "Starts: 0"},
    {"health.quarantine.within", "within: 5m", "within: 6m"},
    {"health.quarantine.release", "2h", "90m"},
};

static void check_change(const struct change *change)
{
	const char *at = strstr(full, change->from);
	struct buf before, after, text;

	assert_non_null(at);
	buf_init(&text, 1u << 16);
	buf_add(&text, full, (size_t)(at - full));
	buf_text(&text, change->to);
	buf_text(&text, at + strlen(change->from));
	before = dump(full);
	after = dump(text.data);
	if (strcmp(before.data, after.data) == 0)
		fail_msg("%s has no effect", change->key);
	buf_free(&before);
	buf_free(&after);
	buf_free(&text);
}

static void check_object(const struct object *object, const char *prefix)
{
	for (size_t i = 0; i < object->field_count; i++) {
		const struct field *field = &object->fields[i];
		size_t j = 0, count = sizeof changes / sizeof *changes;
		char key[256];

		snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", field->key);
		/* Of these only one word is allowed, and problem_test refuses the others. */
		if (strcmp(key, "apiVersion") == 0 || strcmp(key, "kind") == 0 ||
		    strcmp(key, "classes.asVictim.unit") == 0)
			continue;
		while (j < count && strcmp(changes[j].key, key) != 0)
			j++;
		if (j == count)
			fail_msg("no change is known that shows that %s is read", key);
		check_change(&changes[j]);
		if (field->object)
			check_object(field->object, key);
	}
}

static void test_every_key_has_an_effect(void **state)
{
	(void)state;
	check_object(&policy_object, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_levels_and_pools),
	    cmocka_unit_test(test_classes),
	    cmocka_unit_test(test_gangs),
	    cmocka_unit_test(test_presets),
	    cmocka_unit_test(test_teams),
	    cmocka_unit_test(test_health),
	    cmocka_unit_test(test_match_of_everything),
	    cmocka_unit_test(test_long_prefer_lists_go_before_packing),
	    cmocka_unit_test(test_hash),
	    cmocka_unit_test(test_every_key_has_an_effect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
