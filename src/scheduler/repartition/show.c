/* What is said of nodes that are cut anew: Events on them, the metric, lines for people. */
#include "scheduler/repartition/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "scheduler/json.h"
#include "scheduler/move/move.h"

#define NOTE_BYTES_MAX 512
#define LINE_BYTES_MAX 1024

static const char *of(const char *config)
{
	return *config ? config : "no configuration";
}

void repartition_tell(struct scheduler *s, const char *name, enum repartition_act act,
    const struct repartition_record *before, const struct repartition_record *after, const char *why)
{
	static const struct {
		const char *outcome, *reason, *note; /* of the note: from, to */
		bool bad;
	} said[] = {
	    [REPARTITION_TAINT] = {NULL, "Repartitioning", "its GPUs are cut anew, from %s to %s", false},
	    [REPARTITION_ADMIT] = {"applied", "Repartitioned", "its GPUs are cut anew, from %s to %s", false},
	    [REPARTITION_GIVE_UP] = {"given_up", "RepartitionGivenUp", "its GPUs stay as they are, %s and not %s",
	        true},
	    [REPARTITION_PUT_OFF] = {"given_up", "RepartitionGivenUp", "its GPUs stay as they are, %s and not %s",
	        true},
	    [REPARTITION_RESTORE] = {NULL, "RepartitionFailed", "its GPUs are to be again as they were, %s and not %s",
	        true},
	    [REPARTITION_RESTORED] = {"restored", "RepartitionRestored",
	        "its GPUs are again as they were, %s and not %s", false},
	    [REPARTITION_QUARANTINE] = {"quarantined", "RepartitionStuck",
	        "left alone: its GPUs are not again as they were, %s and not %s", true},
	    [REPARTITION_LEAVE] = {"left", "RepartitionLeft", "berth leaves its GPUs alone, from %s to %s", false},
	};
	char note[NOTE_BYTES_MAX];
	if (act >= sizeof said / sizeof *said || !said[act].reason)
		return;
	const struct repartition_record *record = act == REPARTITION_TAINT ? after : before;
	const char *outcome = act == REPARTITION_ADMIT && before->back ? "back" : said[act].outcome;
	int len = snprintf(note, sizeof note, said[act].note, of(record->from), of(record->to));
	if (why && len > 0 && (size_t)len < sizeof note)
		snprintf(note + len, sizeof note - (size_t)len, ": %s", why);
	node_tell(s, name, "Repartition", said[act].bad ? "Warning" : "Normal", said[act].reason, note);
	if (outcome)
		metric_add(s->instruments.repartitions, 1, outcome, NULL);
}

void repartition_line(const struct scheduler *s, struct buf *out)
{
	if (s->repartitions->trouble)
		buf_printf(out, "info repartition: nodes cannot be cut anew: %s\n", s->repartitions->trouble);
}

static int by_name(const void *a, const void *b)
{
	const struct repartition_node *const *one = a, *const *other = b;
	return strcmp((*one)->name, (*other)->name);
}

/* Sorted by name; to be freed. */
static const struct repartition_node **sorted(const struct repartitions *all)
{
	const struct repartition_node **nodes = xcalloc(all->nodes.count + 1, sizeof *nodes);
	size_t cursor = 0, count = 0;
	for (const struct repartition_node *noted; (noted = map_next(&all->nodes, &cursor));)
		nodes[count++] = noted;
	qsort(nodes, count, sizeof *nodes, by_name);
	return nodes;
}

static const char *phase_of(const struct repartition_node *noted)
{
	return noted->chosen ? "chosen" : repartition_phase_name(noted->record.phase);
}

void repartition_write_all(const struct scheduler *s, struct buf *out)
{
	const struct repartition_node **nodes = sorted(s->repartitions);
	char since[CLOCK_TEXT_MAX];
	buf_char(out, '[');
	for (size_t i = 0; i < s->repartitions->nodes.count; i++) {
		const struct repartition_record *record = &nodes[i]->record;
		clock_format(record->since_ns, since);
		buf_text(out, i ? ",{" : "{");
		member(out, "node", nodes[i]->name);
		next_member(out, "phase", phase_of(nodes[i]));
		next_member(out, "to", record->to);
		next_member(out, "from", record->from[0] ? record->from : NULL);
		buf_printf(out, ",\"back\":%s,", record->back ? "true" : "false");
		member(out, "move", record->move[0] ? record->move : NULL);
		buf_char(out, ',');
		member(out, "since", since);
		buf_char(out, '}');
	}
	buf_char(out, ']');
	free(nodes);
}

static bool gives(const struct scheduler *s, const struct repartition_record *record, const struct pod *pod)
{
	for (uint16_t i = 0; i < pod->demand.count; i++)
		if (repartition_amount_of(
		        &record->want, resource_names_text(&s->fleet->names, pod->demand.items[i].id)) > 0)
			return true;
	return false;
}

/* Pools that could give what the pod asks for, and have as many nodes cut as they may. */
static void help_full(
    const struct scheduler *s, const struct pod *pod, void (*say)(void *ctx, struct buf *line), void *ctx)
{
	struct buf line;
	for (uint16_t pool = 0; pool < s->policy.inforce->pool_count; pool++) {
		const struct policy_mig *rules = s->policy.inforce->pools[pool].mig;
		size_t used = rules ? repartition_in_use(s, pool) : 0;
		if (!rules || used < rules->max_nodes || !repartition_could_give(s, pod, rules))
			continue;
		buf_init(&line, LINE_BYTES_MAX);
		buf_printf(&line, "pool %s has %zu %s cut into slices, and may have no more (maxNodes)",
		    s->policy.inforce->pools[pool].name, used, used == 1 ? "node" : "nodes");
		say(ctx, &line);
	}
}

void repartition_help(
    const struct scheduler *s, const struct pod *pod, void (*say)(void *ctx, struct buf *line), void *ctx)
{
	const struct repartition_node **nodes = sorted(s->repartitions);
	char since[CLOCK_TEXT_MAX];
	struct buf line;
	for (size_t i = 0; i < s->repartitions->nodes.count; i++) {
		const struct repartition_record *record = &nodes[i]->record;
		if (record->phase == REPARTITION_APPLIED || !gives(s, record, pod))
			continue;
		clock_format(record->since_ns, since);
		buf_init(&line, LINE_BYTES_MAX);
		if (nodes[i]->chosen || record->phase == REPARTITION_DRAINING || record->phase == REPARTITION_APPLYING)
			buf_printf(&line, "node %s is being repartitioned to %s, since %s (%s%s%s)", nodes[i]->name,
			    record->to, since, phase_of(nodes[i]),
			    record->move[0] ? "; what has GPUs there is ended by " : "", record->move);
		else
			buf_printf(&line, "node %s could not be repartitioned to %s, since %s (%s)", nodes[i]->name,
			    record->to, since, phase_of(nodes[i]));
		say(ctx, &line);
	}
	free(nodes);
	help_full(s, pod, say, ctx);
	move_node_help(s, pod, say, ctx);
}
