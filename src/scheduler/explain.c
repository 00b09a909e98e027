/* /v1/explain?pod=NAMESPACE/NAME: where the pod stands, and why, from a decision taken now by the code that places
 * pods. A bound pod is answered from the ledger. */
#include <stdlib.h>

#include "scheduler/internal.h"

static void member(struct buf *out, const char *name, const char *text)
{
	buf_json_string(out, slice_of(name));
	buf_char(out, ':');
	buf_json_string(out, slice_of(text));
}

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

static void write_best(const struct scheduler *s, const struct decision *decision, struct buf *out)
{
	const struct node *node = decision->node;
	buf_text(out, ",\"best\":{");
	member(out, "node", node->name);
	if (node->pool != POOL_NONE) {
		buf_char(out, ',');
		member(out, "pool", s->policy.inforce->pools[node->pool].name);
	}
	buf_printf(out, ",\"total\":%.6g,\"terms\":{", decision->score.total);
	for (enum score_term term = 0; term < SCORE_TERM_COUNT; term++)
		buf_printf(out, "%s\"%s\":{\"value\":%.6g,\"weight\":%.6g}", term ? "," : "", score_term_name(term),
		    decision->score.terms[term], decision->class_->weights[term]);
	buf_text(out, "}}");
}

/* Every node of the fleet is judged, so that the steps add up; this answer is for people and may cost a walk. */
static void write_decision(struct scheduler *s, struct pod *pod, struct buf *out)
{
	size_t cursor = 0, count = 0;
	struct decision decision;
	struct node **nodes = xcalloc(s->fleet->nodes.count + 1, sizeof *nodes);
	for (struct node *node; (node = map_next(&s->fleet->nodes, &cursor));)
		if (node->spec)
			nodes[count++] = node;
	owners_resolve(s->owners, pod);
	decide_among(s->fleet, pod, nodes, count, &decision, NULL);
	free(nodes);
	if (decision.class_) {
		buf_char(out, ',');
		member(out, "class", decision.class_->name);
	}
	buf_char(out, ',');
	member(out, "code", reason_code(decision.reason));
	buf_char(out, ',');
	member(out, "reason", reason_text(decision.reason));
	buf_char(out, ',');
	member(out, "kind", reason_kind_name(reason_kind_of(decision.reason)));
	buf_printf(out, ",\"nodes\":%zu", decision.seen);
	write_steps(&decision, out);
	if (decision.node)
		write_best(s, &decision, out);
}

static void write_entry(const struct ledger_entry *entry, struct buf *out)
{
	buf_text(out, ",\"reservation\":{");
	member(out, "node", entry->node->name);
	buf_char(out, ',');
	member(out, "state", ledger_state_name(entry->state));
	buf_char(out, '}');
}

unsigned explain_answer(void *ctx, const char *pod, struct buf *out)
{
	struct scheduler *s = ctx;
	struct tracked *tracked = find_tracked(s, pod);
	struct ledger_entry *entry = tracked ? ledger_find(s->fleet, slice_of(tracked->pod->uid)) : find_entry(s, pod);
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
	member(out, "uid", entry ? entry->uid : tracked->pod->uid);
	buf_char(out, ',');
	struct waiting_pod *waiting = tracked ? waiting_find(s->waiting, slice_of(tracked->pod->uid)) : NULL;
	member(out, "state", entry ? ledger_state_name(entry->state) : waiting ? "waiting" : "pending");
	if (entry)
		write_entry(entry, out);
	if (waiting)
		buf_printf(out, ",\"waitingSeconds\":%lld,\"woken\":%llu",
		    (long long)((clock_now() - waiting->since_ns) / NS_PER_S),
		    (unsigned long long)waiting->woken_total);
	if (tracked)
		write_decision(s, tracked->pod, out);
	buf_text(out, "}\n");
	return 200;
}
