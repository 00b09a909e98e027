#include "policy/compile.h"

#include <stdlib.h>

#include "base/calendar.h"
#include "berth/gpu.h"
#include "berth/team.h"
#include "berth/topology.h"
#include "policy/preset.h"
#include "policy/scalar.h"
#include "policy/signals.h"
#include "policy/table.h"

#define FIRST_CHUNK 4096
#define MILLI 1000
#define FULL_PREFER 4 /* preferred pools that the default weight of modelFit is made for */

static const char *copy(struct arena *arena, const struct yaml_node *node)
{
	return node ? arena_copy(arena, node->text) : NULL;
}

static const char **copy_texts(struct arena *arena, const struct doc_list *list)
{
	const char **texts = arena_calloc(arena, list->count, sizeof *texts);

	for (size_t i = 0; i < list->count; i++)
		texts[i] = copy(arena, doc_text(list, i));
	return texts;
}

static enum selector_op operator_of(const struct yaml_node *node)
{
	static const char *const names[] = {
	    [SELECTOR_IN] = "In",
	    [SELECTOR_NOT_IN] = "NotIn",
	    [SELECTOR_EXISTS] = "Exists",
	    [SELECTOR_DOES_NOT_EXIST] = "DoesNotExist",
	    [SELECTOR_GT] = "Gt",
	    [SELECTOR_LT] = "Lt",
	};
	size_t i = 0;

	while (i < sizeof names / sizeof *names - 1 && !slice_is(node->text, names[i]))
		i++;
	return (enum selector_op)i;
}

static struct selector compile_selector(struct arena *arena, const struct doc_selector *in)
{
	const struct doc_list *labels = &in->match_labels, *expressions = &in->match_expressions;
	struct selector selector = {.count = labels->count + expressions->count};
	struct selector_requirement *out;

	out = selector.requirements = arena_calloc(arena, selector.count, sizeof *out);
	for (size_t i = 0; i < labels->count; i++, out++) {
		const struct doc_label *label = DOC_ITEM(doc_label, labels, i);

		out->key = copy(arena, label->key);
		out->op = SELECTOR_IN;
		out->value_count = 1;
		out->values = arena_alloc(arena, sizeof *out->values);
		out->values[0] = copy(arena, label->value);
	}
	for (size_t i = 0; i < expressions->count; i++, out++) {
		const struct doc_expression *expression = DOC_ITEM(doc_expression, expressions, i);

		out->key = copy(arena, expression->key);
		out->op = operator_of(expression->operator);
		out->value_count = expression->values.count;
		out->values = copy_texts(arena, &expression->values);
	}
	return selector;
}

static void compile_preset_level(struct policy_level *out, struct arena *arena, const struct preset_level *level)
{
	out->node_label = level->labels[0];
	out->up_to_last_dot = level->up_to_last_dot;
	out->older = arena_calloc(arena, PRESET_LABELS_MAX, sizeof *out->older);
	for (size_t i = 1; i < PRESET_LABELS_MAX && level->labels[i]; i++)
		out->older[out->older_count++] = level->labels[i];
}

static void compile_levels(struct policy *policy, struct arena *arena, const struct doc_list *topology)
{
	struct levels levels;

	levels_collect(topology, &levels);
	policy->level_count = levels.count;
	for (size_t i = 0; i < levels.count; i++) {
		const struct level *level = &levels.items[i];
		struct policy_level *out = &policy->levels[i];

		out->name = arena_copy(arena, level->name);
		if (level->preset) {
			compile_preset_level(out, arena, level->preset);
			continue;
		}
		out->node_label = copy(arena, level->item->node_label);
		out->up_to_last_dot = level->item->up_to != NULL;
	}
}

static struct policy_match compile_match(struct arena *arena, const struct doc_match *in)
{
	struct policy_match match = {
	    .namespace_count = in->namespaces.count,
	    .namespaces = copy_texts(arena, &in->namespaces),
	    .owner_count = in->owners.count,
	    .owners = copy_texts(arena, &in->owners),
	    .label_count = in->pod_labels.count,
	    .pod_labels = arena_calloc(arena, in->pod_labels.count, sizeof *match.pod_labels),
	};

	for (size_t i = 0; i < match.label_count; i++) {
		const struct doc_label *label = DOC_ITEM(doc_label, &in->pod_labels, i);

		match.pod_labels[i] = (struct label){copy(arena, label->key), copy(arena, label->value)};
	}
	match.gang_gpus_min = (int64_t)in->gang_gpus.min.value;
	return match;
}

static uint16_t *compile_pool_names(const struct policy *policy, struct arena *arena, const struct doc_list *names)
{
	uint16_t *indexes = arena_calloc(arena, names->count, sizeof *indexes);

	for (size_t i = 0; i < names->count; i++)
		while (indexes[i] < policy->pool_count &&
		       !slice_is(doc_text(names, i)->text, policy->pools[indexes[i]].name))
			indexes[i]++;
	return indexes;
}

static uint16_t *compile_class_names(const struct doc_list *classes, struct arena *arena, const struct doc_list *names)
{
	uint16_t *indexes = arena_calloc(arena, names->count, sizeof *indexes);

	for (size_t i = 0; i < names->count; i++)
		while (indexes[i] < classes->count &&
		       !slice_equal(doc_text(names, i)->text, DOC_ITEM(doc_class, classes, indexes[i])->name->text))
			indexes[i]++;
	return indexes;
}

/* level_count = host; -1 = not said. */
static int compile_level(const struct policy *policy, const struct yaml_node *level)
{
	int i = 0;

	if (!level)
		return -1;
	while (i < (int)policy->level_count && !slice_is(level->text, policy->levels[i].name))
		i++;
	return i;
}

static int compile_gang_level(const struct policy *policy, const struct yaml_node *level)
{
	int i = compile_level(policy, level);

	return i == (int)policy->level_count ? TOPOLOGY_HOST : i;
}

static int64_t compile_duration(const struct doc_number *given, const char *fallback)
{
	double ns = given->value;

	if (!given->node)
		scalar_duration(slice_of(fallback), &ns);
	return (int64_t)ns;
}

static const struct policy_mig *compile_mig(struct arena *arena, const struct doc_mig *in)
{
	struct policy_mig *mig;

	if (!in->head.node)
		return NULL;
	mig = arena_calloc(arena, 1, sizeof *mig);
	mig->config_count = in->configs.count;
	mig->configs = arena_calloc(arena, in->configs.count, sizeof *mig->configs);
	for (size_t i = 0; i < in->configs.count; i++) {
		const struct doc_mig_config *config = DOC_ITEM(doc_mig_config, &in->configs, i);
		struct policy_mig_config *out = &mig->configs[i];

		out->name = copy(arena, config->name);
		out->slice_count = config->per_gpu.count;
		out->slices = arena_calloc(arena, out->slice_count, sizeof *out->slices);
		for (size_t j = 0; j < out->slice_count; j++) {
			const struct doc_amount *amount = DOC_ITEM(doc_amount, &config->per_gpu, j);

			out->slices[j] =
			    (struct policy_mig_slices){copy(arena, amount->name), (int64_t)amount->amount.value};
		}
	}
	mig->max_nodes = in->max_nodes.node ? (size_t)in->max_nodes.value : (size_t)atol(MIG_NODES_DEFAULT);
	mig->after_ns = compile_duration(&in->after, MIG_AFTER_DEFAULT);
	mig->deadline_ns = compile_duration(&in->deadline, MIG_DEADLINE_DEFAULT);
	mig->idle_for_ns = compile_duration(&in->idle_for, MIG_IDLE_FOR_DEFAULT);
	mig->back_after_ns = (int64_t)in->back_after.value;
	mig->retry_after_ns = compile_duration(&in->retry_after, MIG_RETRY_AFTER_DEFAULT);
	return mig;
}

static void compile_pools(struct policy *policy, struct arena *arena, const struct doc_list *pools)
{
	policy->pool_count = pools->count;
	policy->pools = arena_calloc(arena, pools->count, sizeof *policy->pools);
	for (size_t i = 0; i < pools->count; i++) {
		const struct doc_pool *pool = DOC_ITEM(doc_pool, pools, i);

		policy->pools[i] = (struct policy_pool){copy(arena, pool->name), copy(arena, pool->gpu),
		    compile_selector(arena, &pool->node_selector), compile_mig(arena, &pool->mig)};
	}
}

static void compile_gang(const struct policy *policy, const struct doc_gang *in, struct policy_gang *gang)
{
	gang->require = compile_gang_level(policy, in->require);
	gang->prefer = compile_gang_level(policy, in->prefer);
	gang->members_within_ns = compile_duration(&in->members_within, MEMBERS_WITHIN_DEFAULT);
	gang->hold_domain_after_ns = compile_duration(&in->hold_domain_after, HOLD_DOMAIN_AFTER_DEFAULT);
	gang->reserve_after_ns = in->reserve_after.node ? (int64_t)in->reserve_after.value : -1;
	gang->restart_on_loss = in->on_node_loss && slice_is(in->on_node_loss->text, "restart");
}

static void compile_victim(const struct doc_victim *in, struct policy_victim *victim)
{
	victim->min_runtime_ns = compile_duration(&in->min_runtime, MIN_RUNTIME_DEFAULT);
	victim->grace_ns = compile_duration(&in->grace, VICTIM_GRACE_DEFAULT);
	victim->evict = in->evict && slice_is(in->evict->text, "true");
	if (in->surplus && slice_is(in->surplus->text, "any"))
		victim->surplus = SURPLUS_ANY;
	else if (in->surplus && slice_is(in->surplus->text, "none"))
		victim->surplus = SURPLUS_NONE;
}

/* One place in a long list of preferred pools counts as much as one in a list of four, so that prefer goes before
 * packing by default. */
static double default_weight(enum score_term term, size_t prefer_count)
{
	double weight = score_term_default_weight(term);

	if (term != SCORE_MODEL_FIT || prefer_count <= FULL_PREFER)
		return weight;
	return weight * (double)prefer_count / FULL_PREFER;
}

static void compile_class(
    const struct policy *policy, struct arena *arena, const struct doc_class *in, struct policy_class *class)
{
	class->name = copy(arena, in->name);
	class->has_match = in->match.node != NULL;
	class->match_count = in->match.count;
	class->matches = arena_calloc(arena, in->match.count, sizeof *class->matches);
	for (size_t i = 0; i < in->match.count; i++)
		class->matches[i] = compile_match(arena, DOC_ITEM(doc_match, &in->match, i));
	class->has_only = in->only.node != NULL;
	class->only_count = in->only.count;
	class->only = compile_pool_names(policy, arena, &in->only);
	class->prefer_count = in->prefer.count;
	class->prefer = compile_pool_names(policy, arena, &in->prefer);
	for (size_t i = 0; i < in->assume.count; i++)
		class->assume |= DTYPE_BIT(dtype_named(doc_text(&in->assume, i)->text));
	class->spread_level = compile_level(policy, in->replicas.spread_over);
	class->max_gpus_per_pod = (int64_t)in->max_gpus_per_pod.value;
	class->advise = in->mode && slice_is(in->mode->text, "advise");
	compile_gang(policy, &in->gang, &class->gang);
	compile_victim(&in->as_victim, &class->victim);
	for (size_t i = 0; i < SCORE_TERM_COUNT; i++)
		class->weights[i] = in->place.terms[i].node ? in->place.terms[i].value
		                                            : default_weight((enum score_term)i, class->prefer_count);
}

static void compile_avoid(struct policy *policy, struct arena *arena, const struct doc_list *rules)
{
	policy->avoid_count = rules->count;
	policy->avoid = arena_calloc(arena, rules->count, sizeof *policy->avoid);
	for (size_t i = 0; i < rules->count; i++) {
		const struct doc_avoid *rule = DOC_ITEM(doc_avoid, rules, i);

		policy->avoid[i] = (struct policy_avoid){
		    copy(arena, rule->node_condition), copy(arena, rule->is), copy(arena, rule->taint_key)};
	}
}

static void compile_quarantine(struct policy *policy, const struct doc_quarantine *in)
{
	const struct doc_number *after = &in->after_failed_starts;

	policy->quarantine.after = (uint32_t)(after->node ? (long)after->value : atol(FAILED_STARTS_DEFAULT));
	policy->quarantine.within_ns = compile_duration(&in->within, FAILED_WITHIN_DEFAULT);
	policy->quarantine.release_ns = compile_duration(&in->release, QUARANTINE_RELEASE_DEFAULT);
}

static void compile_when(struct arena *arena, const struct doc_when *in, struct policy_headroom *out)
{
	const struct yaml_node *zone = in->time_zone;

	out->has_when = in->head.node != NULL;
	out->days = calendar_days(in->days ? in->days->text : slice_of(WHEN_DAYS_DEFAULT));
	out->from_minute = (int16_t)calendar_minute(in->from ? in->from->text : slice_of(WHEN_FROM_DEFAULT));
	out->to_minute = (int16_t)calendar_minute(in->to ? in->to->text : slice_of(WHEN_TO_DEFAULT));
	out->time_zone = zone ? copy(arena, zone) : WHEN_ZONE_DEFAULT;
}

static uint16_t compile_index(const struct doc_list *list, size_t size, size_t offset, struct slice name)
{
	uint16_t i = 0;

	for (; i < list->count; i++) {
		const char *item = (const char *)list->items + i * size;
		const struct yaml_node *named = *(const struct yaml_node *const *)(const void *)(item + offset);

		if (slice_equal(named->text, name))
			break;
	}
	return i;
}

static void compile_headroom(struct policy *policy, struct arena *arena, const struct doc *doc)
{
	policy->headroom_count = doc->headroom.count;
	policy->headroom = arena_calloc(arena, doc->headroom.count, sizeof *policy->headroom);
	for (size_t i = 0; i < doc->headroom.count; i++) {
		const struct doc_headroom *in = DOC_ITEM(doc_headroom, &doc->headroom, i);
		struct policy_headroom *out = &policy->headroom[i];

		out->for_ = compile_index(
		    &doc->classes, sizeof(struct doc_class), offsetof(struct doc_class, name), in->for_->text);
		out->pool = compile_index(
		    &doc->pools, sizeof(struct doc_pool), offsetof(struct doc_pool, name), in->pool->text);
		out->gpus = (int64_t)in->gpus.value;
		out->chunk = in->in_chunks_of.node ? (int64_t)in->in_chunks_of.value : 1;
		out->margin = (int64_t)in->margin.value;
		out->lend_count = in->lend_to.count;
		out->lend_to = compile_class_names(&doc->classes, arena, &in->lend_to);
		compile_when(arena, &in->when, out);
	}
}

static void compile_gate(
    struct policy *policy, struct arena *arena, const struct doc_gate *gate, const struct doc_list *classes)
{
	const uint16_t *gated = compile_class_names(classes, arena, &gate->classes);

	for (size_t i = 0; i < gate->classes.count; i++)
		policy->classes[gated[i]].gated = true;
	policy->gates = gate->classes.count > 0;
	policy->release_after_ns = compile_duration(&gate->release_after, RELEASE_AFTER_DEFAULT);
	policy->scale_up_after_ns = compile_duration(&gate->scale_up_after, SCALE_UP_AFTER_DEFAULT);
}

/* What is not said by a file that has no moves has its default, too. */
static void compile_moves(struct policy *policy, const struct doc_moves *moves)
{
	policy->moves = (struct policy_moves){
	    .mode = !moves->mode                                      ? MOVES_OFF
	            : slice_is(moves->mode->text, MOVES_OBSERVE_WORD) ? MOVES_OBSERVE
	                                                              : MOVES_ACT,
	    .cooldown_ns = compile_duration(&moves->cooldown, MOVES_COOLDOWN_DEFAULT),
	    .give_back_after_ns = compile_duration(&moves->give_back_after, MOVES_GIVE_BACK_DEFAULT),
	    .per_unit_and_day =
	        moves->per_unit_and_day.node ? (unsigned)moves->per_unit_and_day.value : MOVES_PER_UNIT_DEFAULT,
	    .kueue = moves->kueue && slice_is(moves->kueue->text, MOVES_KUEUE_WORKLOAD_WORD),
	};
}

static int64_t *compile_amounts(
    const struct policy *policy, struct arena *arena, const struct doc_list *given, int64_t absent)
{
	int64_t *amounts = arena_alloc(arena, (policy->pool_count + 1) * sizeof *amounts);

	for (size_t pool = 0; pool < policy->pool_count; pool++)
		amounts[pool] = absent;
	for (size_t i = 0; i < given->count; i++) {
		const struct doc_amount *amount = DOC_ITEM(doc_amount, given, i);

		for (size_t pool = 0; pool < policy->pool_count; pool++)
			if (slice_is(amount->name->text, policy->pools[pool].name))
				amounts[pool] = (int64_t)(amount->amount.value * MILLI + 0.5);
	}
	return amounts;
}

static uint16_t team_named(const struct doc_list *teams, const struct yaml_node *name)
{
	uint16_t i = 0;

	if (!name)
		return TEAM_NONE;
	while (i < teams->count && !slice_equal(name->text, DOC_ITEM(doc_team, teams, i)->name->text))
		i++;
	return i;
}

/* The namespaces that are in no team are the last one. */
static void compile_teams(struct policy *policy, struct arena *arena, const struct doc *doc)
{
	const struct doc_list none = {0};
	size_t count = doc->teams.count;

	if (count == 0 && !doc->unlisted.head.node)
		return;
	policy->team_count = count + 1;
	policy->teams = arena_calloc(arena, policy->team_count, sizeof *policy->teams);
	for (size_t i = 0; i < count; i++) {
		const struct doc_team *team = DOC_ITEM(doc_team, &doc->teams, i);

		policy->teams[i] = (struct policy_team){
		    .name = copy(arena, team->name),
		    .namespace_count = team->namespaces.count,
		    .namespaces = copy_texts(arena, &team->namespaces),
		    .parent = team_named(&doc->teams, team->parent),
		    .weight = team->weight.node ? team->weight.value : 1,
		    .guaranteed = compile_amounts(policy, arena, &team->guaranteed, 0),
		    .limit = compile_amounts(policy, arena, &team->limit, -1),
		};
	}
	policy->teams[count] = (struct policy_team){
	    .name = POLICY_UNLISTED,
	    .parent = TEAM_NONE,
	    .weight = 1,
	    .guaranteed = compile_amounts(policy, arena, &none, 0),
	    .limit = compile_amounts(policy, arena, &doc->unlisted.limit, -1),
	};
}

struct policy *policy_compile(const struct doc *doc)
{
	struct arena arena;
	struct policy *policy;

	arena_init(&arena, FIRST_CHUNK);
	policy = arena_calloc(&arena, 1, sizeof *policy);
	compile_levels(policy, &arena, &doc->topology);
	compile_pools(policy, &arena, &doc->pools);
	policy->class_count = doc->classes.count;
	policy->classes = arena_calloc(&arena, doc->classes.count, sizeof *policy->classes);
	for (size_t i = 0; i < doc->classes.count; i++) {
		const struct doc_class *class = DOC_ITEM(doc_class, &doc->classes, i);

		compile_class(policy, &arena, class, &policy->classes[i]);
		policy->classes[i].may_preempt_count = class->may_preempt.count;
		policy->classes[i].may_preempt = compile_class_names(&doc->classes, &arena, &class->may_preempt);
		policy->reserves |= policy->classes[i].gang.reserve_after_ns >= 0;
		if (slice_is(doc->fallback->text, policy->classes[i].name))
			policy->fallback = (uint16_t)i;
	}
	policy->expects = policy->reserves;
	for (size_t i = 0; i < policy->pool_count; i++)
		policy->expects |= policy->pools[i].mig != NULL;
	compile_teams(policy, &arena, doc);
	compile_gate(policy, &arena, &doc->gate, &doc->classes);
	compile_moves(policy, &doc->moves);
	compile_avoid(policy, &arena, &doc->health.avoid);
	compile_quarantine(policy, &doc->health.quarantine);
	compile_headroom(policy, &arena, doc);
	policy_compile_signals(policy, &arena, doc);
	policy->arena = arena;
	return policy;
}
