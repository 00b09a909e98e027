/* /v1/explain?pod=NAMESPACE/NAME: where the pod stands, and why, from a decision taken now by the code that places
 * pods. A bound pod is answered from the ledger. */
#include <inttypes.h>
#include <stdlib.h>

#include "scheduler/advise.h"
#include "scheduler/gang/gang.h"
#include "scheduler/json.h"
#include "scheduler/move/move.h"
#include "scheduler/team/team.h"

static bool is_pod(const char *pod, const char *namespace_, const char *name)
{
	size_t len = strlen(namespace_);
	return strncmp(pod, namespace_, len) == 0 && pod[len] == '/' && strcmp(pod + len + 1, name) == 0;
}

static struct tracked *find_tracked(const struct scheduler *s, const char *pod)
{
	size_t cursor = 0;
	struct tracked *tracked;
	while ((tracked = roster_next(s->roster, &cursor)))
		if (is_pod(pod, tracked->pod->namespace_, tracked->pod->name))
			break;
	return tracked;
}

static struct ledger_entry *find_entry(const struct scheduler *s, const char *pod)
{
	size_t cursor = 0;
	struct ledger_entry *entry;
	while ((entry = map_next(&s->fleet->ledger.by_uid, &cursor)))
		if (is_pod(pod, entry->namespace_, entry->name))
			break;
	return entry;
}

/* Candidates left after each step of reason.h that took any away. */
static void write_steps(const struct decision *decision, struct buf *out)
{
	size_t left = decision->seen;
	buf_text(out, ",\"steps\":[");
	bool first = true;
	for (enum reason reason = 0; reason < REASON_COUNT; reason++) {
		if (reason == REASON_CODE_FITS || decision->by_reason[reason] == 0)
			continue;
		left -= decision->by_reason[reason];
		buf_text(out, first ? "{" : ",{");
		member(out, "code", reason_code(reason));
		buf_char(out, ',');
		member(out, "text", reason_text(reason));
		buf_printf(out, ",\"nodes\":%zu,\"left\":%zu}", decision->by_reason[reason], left);
		first = false;
	}
	buf_char(out, ']');
}

/* Totals go into the thousands, and what decides may stand behind the point. */
static void write_score(const struct policy_class *class_, const struct score *score, struct buf *out)
{
	buf_printf(out, "\"total\":%.12g,\"terms\":{", score->total);
	for (enum score_term term = 0; term < SCORE_TERM_COUNT; term++)
		buf_printf(out, "%s\"%s\":{\"value\":%.9g,\"weight\":%.9g}", term ? "," : "", score_term_name(term),
		    score->terms[term], class_ ? class_->weights[term] : score_term_default_weight(term));
	buf_char(out, '}');
}

static void write_node(const struct scheduler *s, const struct node *node, struct buf *out)
{
	member(out, "node", node->name);
	if (node->pool != POOL_NONE) {
		buf_char(out, ',');
		member(out, "pool", s->policy.inforce->pools[node->pool].name);
	}
}

static void write_best(const struct scheduler *s, const struct decision *decision, struct buf *out)
{
	buf_text(out, ",\"best\":{");
	write_node(s, decision->node, out);
	buf_char(out, ',');
	write_score(decision->class_, &decision->score, out);
	buf_char(out, '}');
}

static void write_dtypes(const char *name, uint32_t dtypes, struct buf *out)
{
	bool first = true;
	buf_printf(out, "\"%s\":[", name);
	for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
		if (!(dtypes & DTYPE_BIT(dtype)))
			continue;
		buf_printf(out, "%s\"%s\"", first ? "" : ",", dtype_name((enum dtype)dtype));
		first = false;
	}
	buf_char(out, ']');
}

/* What stopped the pod at the nearest node, where it is no amount of a resource. */
static void write_obstacle(const struct shortage *shortage, struct buf *out)
{
	static const char *const effects[] = {
	    [TAINT_NO_SCHEDULE] = "NoSchedule",
	    [TAINT_PREFER_NO_SCHEDULE] = "PreferNoSchedule",
	    [TAINT_NO_EXECUTE] = "NoExecute",
	};
	if (shortage->taint) {
		buf_text(out, ",\"taint\":{");
		member(out, "key", shortage->taint->key);
		buf_char(out, ',');
		member(out, "value", shortage->taint->value);
		buf_char(out, ',');
		member(out, "effect", effects[shortage->taint->effect]);
		buf_char(out, '}');
	}
	if (shortage->verdict == REASON_CODE_GPU_MEMORY)
		buf_printf(out, ",\"gpuMemoryMiB\":{\"asked\":%" PRId64 ",\"there\":%" PRId64 "}",
		    shortage->memory_asked_mib, shortage->memory_there_mib);
	if (shortage->verdict == REASON_CODE_DTYPE) {
		buf_text(out, ",\"dtypes\":{");
		write_dtypes("asked", shortage->dtypes_asked, out);
		buf_char(out, ',');
		write_dtypes("there", shortage->dtypes_there, out);
		buf_char(out, '}');
	}
}

/* The node that came furthest and what it lacks. */
static void write_nearest(const struct scheduler *s, const struct shortage *shortage, struct buf *out)
{
	buf_text(out, ",\"nearest\":{");
	write_node(s, shortage->nearest, out);
	buf_char(out, ',');
	member(out, "code", reason_code(shortage->verdict));
	buf_char(out, ',');
	member(out, "text", reason_text(shortage->verdict));
	write_obstacle(shortage, out);
	buf_text(out, ",\"lacks\":[");
	for (size_t i = 0; i < shortage->lack_count; i++) {
		const struct lack *lack = &shortage->lacks[i];
		buf_text(out, i ? ",{" : "{");
		member(out, "resource", resource_names_text(&s->fleet->names, lack->resource));
		buf_printf(out, ",\"asked\":%" PRId64 ",\"free\":%" PRId64 ",\"allocatable\":%" PRId64, lack->asked,
		    lack->free, lack->allocatable);
		if (lack->unhealthy > 0)
			buf_printf(out, ",\"unhealthy\":%" PRId64, lack->unhealthy);
		buf_char(out, '}');
	}
	buf_text(out, "]}");
}

static void write_shortage(const struct scheduler *s, const struct pod *pod, const struct decision *decision,
    const struct shortage *shortage, struct buf *out)
{
	if (shortage->nearest)
		write_nearest(s, shortage, out);
	if (shortage->asks_gpus && shortage->nearest) {
		buf_text(out, ",\"gpus\":{");
		member(out, "resource", resource_names_text(&s->fleet->names, shortage->gpu));
		buf_printf(out, ",\"asked\":%" PRId64 ",\"free\":%" PRId64 ",\"most\":%" PRId64 "}",
		    shortage->gpus_asked, shortage->gpus_free, shortage->gpus_most);
	}
	help_write(s, pod, decision, shortage, out);
}

/* Every node of the fleet is judged, so that the steps add up; this answer is for people and may cost a walk. */
static void write_decision(struct scheduler *s, struct pod *pod, struct buf *out)
{
	size_t cursor = 0, count = 0;
	struct decision decision;
	struct shortage shortage;
	struct node **nodes = xcalloc(s->fleet->nodes.count + 1, sizeof *nodes);
	enum reason *verdicts = xcalloc(s->fleet->nodes.count + 1, sizeof *verdicts);
	for (struct node *node; (node = map_next(&s->fleet->nodes, &cursor));)
		if (node->spec)
			nodes[count++] = node;
	decide_among(s->fleet, pod, nodes, count, &decision, verdicts);
	advise_best(s, pod, nodes, count, &decision);
	if (decision.class_) {
		buf_char(out, ',');
		member(out, "class", decision.class_->name);
	}
	buf_char(out, ',');
	member(out, "mode", advise_applies(s, pod) ? "advise" : "decide");
	buf_char(out, ',');
	member(out, "code", reason_code(decision.reason));
	buf_char(out, ',');
	member(out, "reason", reason_text(decision.reason));
	buf_char(out, ',');
	member(out, "kind", reason_kind_name(reason_kind_of(decision.reason)));
	buf_printf(out, ",\"nodes\":%zu,\"fits\":%zu", decision.seen, decision.by_reason[REASON_CODE_FITS]);
	write_steps(&decision, out);
	if (decision.node) {
		write_best(s, &decision, out);
	} else {
		shortage_among(s->fleet, pod, nodes, count, verdicts, &shortage);
		struct team_bound bound;
		if (decision.by_reason[REASON_CODE_TEAM_LIMIT] > 0 && team_bound_for(s->fleet, pod, &bound))
			team_explain(s, &bound, out);
		write_shortage(s, pod, &decision, &shortage, out);
	}
	free(nodes);
	free(verdicts);
}

/* Which GPUs they are is known where the node has one. */
static void write_devices(const struct scheduler *s, const struct ledger_entry *entry, struct buf *out)
{
	if (decide_gpu_units(s->fleet, &entry->demand) == 0)
		return;
	buf_text(out, ",\"devices\":[");
	for (size_t i = 0; i < entry->device_count; i++)
		buf_printf(out, "%s{\"index\":%d,\"milli\":%d}", i ? "," : "", (int)entry->devices[i].index,
		    (int)entry->devices[i].milli);
	buf_text(out, "],");
	member(out, "devicesSay", entry->device_count ? "the node's only GPU" : "index chosen by kubelet");
}

/* What the pod holds. A score only while the pod itself is kept, which it is until it is bound: what it prefers is not
 * kept then, and the fleet that it was chosen from is no more. */
static void write_entry(
    const struct scheduler *s, const struct ledger_entry *entry, const struct pod *pod, struct buf *out)
{
	struct score score;
	enum reason why;
	int64_t now = clock_now();
	buf_text(out, ",\"reservation\":{");
	write_node(s, entry->node, out);
	buf_char(out, ',');
	member(out, "state", ledger_state_name(entry->state));
	buf_printf(out, ",\"seconds\":%lld", (long long)((now - entry->since_ns) / NS_PER_S));
	if (entry->expires_ns != LEDGER_NEVER && !entry->pinned)
		buf_printf(out, ",\"expiresInSeconds\":%lld", (long long)((entry->expires_ns - now) / NS_PER_S));
	buf_text(out, ",\"requests\":{");
	for (uint16_t i = 0; i < entry->demand.count; i++) {
		buf_text(out, i ? "," : "");
		buf_json_string(out, slice_of(resource_names_text(&s->fleet->names, entry->demand.items[i].id)));
		buf_printf(out, ":%" PRId64, entry->demand.items[i].amount);
	}
	buf_char(out, '}');
	write_devices(s, entry, out);
	if (pod && decide_node(s->fleet, pod, entry->node, &score) == REASON_CODE_FITS) {
		buf_char(out, ',');
		write_score(policy_class_of(s->policy.inforce, pod, &why), &score, out);
	}
	buf_char(out, '}');
}

/* A bound pod of ours: the class it is in by the policy in force, and what its Binding said. */
static void write_bound(const struct scheduler *s, const struct ledger_entry *entry, struct buf *out)
{
	enum reason why;
	struct pod *pod = ledger_pod(entry);
	const struct policy_class *class_ = pod ? policy_class_of(s->policy.inforce, pod, &why) : NULL;
	if (class_) {
		buf_char(out, ',');
		member(out, "class", class_->name);
	}
	if (pod && pod->decision)
		annotation_show(s, pod->decision, out);
	if (pod)
		pod_free(pod);
}

unsigned explain_answer(void *ctx, const char *pod, struct buf *out)
{
	struct scheduler *s = ctx;
	struct tracked *tracked = find_tracked(s, pod);
	struct ledger_entry *entry = tracked ? ledger_find(s->fleet, slice_of(tracked->pod->uid)) : find_entry(s, pod);
	if (tracked)
		feed_learn(s, tracked->pod);
	if (!strchr(pod, '/') || (!tracked && !entry)) {
		bool form = strchr(pod, '/') != NULL;
		buf_text(out,
		    form ? "{\"error\":\"no such pod: it has ended, or its schedulerName is not " SCHEDULER_NAME "\"}"
		         : "{\"error\":\"pod must be NAMESPACE/NAME\"}");
		return form ? 404 : 400;
	}
	buf_char(out, '{');
	member(out, "pod", pod);
	buf_char(out, ',');
	struct waiting_pod *waiting = tracked ? waiting_find(s->waiting, slice_of(tracked->pod->uid)) : NULL;
	member(out, "uid", entry ? entry->uid : tracked->pod->uid);
	team_name(s, entry ? entry->namespace_ : tracked->pod->namespace_, out);
	buf_char(out, ',');
	member(out, "state", entry ? ledger_state_name(entry->state) : waiting ? "waiting" : "pending");
	if (entry)
		write_entry(s, entry, tracked ? tracked->pod : NULL, out);
	if (waiting) {
		buf_char(out, ',');
		member(out, "rejectedFor", reason_code(waiting->reason));
		buf_printf(out, ",\"waitingSeconds\":%lld,\"woken\":%llu",
		    (long long)((clock_now() - waiting->since_ns) / NS_PER_S),
		    (unsigned long long)waiting->woken_total);
	}
	const struct gang_member *of = gangs_find(s->gangs, slice_of(entry ? entry->uid : tracked->pod->uid));
	if (of && of->held) {
		buf_char(out, ',');
		member(out, "rejectedFor", reason_code(REASON_CODE_SURPLUS_HELD_BACK));
	}
	if (of) {
		buf_text(out, ",\"gang\":{");
		gang_write(s, of->gang, out);
		gang_write_members(s, of->gang, out);
		gang_explain(s, of->gang, out);
		buf_char(out, '}');
	}
	moves_explain(s, tracked ? tracked->pod : NULL, entry ? entry->uid : tracked->pod->uid, out);
	if (tracked)
		write_decision(s, tracked->pod, out);
	else
		write_bound(s, entry, out);
	buf_text(out, "}\n");
	return 200;
}
