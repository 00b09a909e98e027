/* The writes on gangs' members: first the nomination, then one PATCH that takes the gate away, where there is one, and
 * writes the plan. On a pod without a gate that PATCH is also what wakes it. One write of a pod at a time; the client
 * bounds how many are under way. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/reader.h"
#include "policy/gate.h"
#include "scheduler/gang/internal.h"

#define PLAN_TEXT_MAX 1024
/* Between writes on a gang whose members may not be written: the first pause, doubled up to the last. */
#define TELL_FIRST_NS (250 * NS_PER_MS)
#define TELL_MAX_NS (10 * NS_PER_S)
#define NO_LINE "\"" GATE_LINE "\":null" /* takes it away */

struct gang_write {
	struct scheduler *scheduler;
	char *uid, *node; /* node NULL: only the gate goes */
	bool line;        /* neither: what it waits for is written */
};

static void write_free(struct gang_write *write)
{
	free(write->uid);
	free(write->node);
	free(write);
}

/* Twice as long as the one before; of several that fail during one, the first counts. */
static void pause_writes(int64_t *after_ns, int64_t *pause_ns)
{
	int64_t now = clock_now(), pause = 2 * *pause_ns;
	if (*after_ns > now)
		return;
	*pause_ns = pause < TELL_FIRST_NS ? TELL_FIRST_NS : pause > TELL_MAX_NS ? TELL_MAX_NS : pause;
	*after_ns = now + *pause_ns;
}

/* Others fail with it, mostly: the pause is the gang's. */
static void pause_telling(struct scheduler *s, struct gang *gang)
{
	s->gang_tell_due = true;
	pause_writes(&gang->tell_after_ns, &gang->tell_pause_ns);
}

void gang_tell_again(struct scheduler *s, struct gang *gang, int64_t now)
{
	if (gang->tell_after_ns == 0)
		return;
	if (now < gang->tell_after_ns) {
		s->gang_tell_due = true;
		return;
	}
	gang->tell_after_ns = 0;
	for (size_t i = 0; i < gang->count; i++) {
		struct gang_member *member = gang->members[i];
		member->writing &= map_get(&s->gang_writes, slice_of(member->pod->uid)) != NULL;
	}
	gangs_mark(s->gangs, gang);
}

static void member_told(struct scheduler *s, const struct gang_write *write, const struct kube_answer *answer)
{
	struct gang_member *member = gangs_find(s->gangs, slice_of(write->uid));
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(write->uid));
	if (!member)
		return;
	gangs_mark(s->gangs, member->gang);
	if (answer->code != 0 || answer->status >= 300) {
		pause_telling(s, member->gang); /* "writing" until then */
		return;
	}
	member->writing = false;
	member->ungated = true;
	member->told = write->node && member->placed && entry && strcmp(entry->node->name, write->node) == 0;
	if (member->state == GANG_GATED)
		gangs_set(s->gangs, member, GANG_LOOSE);
}

/* A gate that nobody means, or that hides a gang from autoscalers. */
static void gate_written(struct scheduler *s, const struct kube_answer *answer)
{
	if (answer->code == 0 && (answer->status < 300 || answer->status == 404))
		s->ungate_pause_ns = 0;
	else
		pause_writes(&s->ungate_after_ns, &s->ungate_pause_ns);
}

/* A plan that was made meanwhile is told now. */
static void line_written(struct scheduler *s, const struct gang_write *write)
{
	struct gang_member *member = gangs_find(s->gangs, slice_of(write->uid));
	if (!member)
		return;
	member->writing = false;
	gangs_mark(s->gangs, member->gang);
}

static void written(void *ctx, const struct kube_answer *answer)
{
	struct gang_write *write = ctx;
	struct scheduler *s = write->scheduler;
	map_remove(&s->gang_writes, slice_of(write->uid));
	if (answer->code != 0 || answer->status >= 300)
		log_warn("a gang's member could not be written", "uid=%s status=%u error=%s", write->uid,
		    answer->status, log_quote(answer->error ? answer->error : ""));
	if (write->line)
		line_written(s, write);
	else
		member_told(s, write, answer);
	if (!write->line && !write->node)
		gate_written(s, answer);
	write_free(write);
	gang_soon(s);
}

static struct gang_write *begin(struct scheduler *s, const struct pod *pod, const char *node)
{
	struct gang_write *write = xcalloc(1, sizeof *write);
	*write = (struct gang_write){s, xstrdup(pod->uid), node ? xstrdup(node) : NULL, false};
	map_put(&s->gang_writes, slice_of(write->uid), write);
	return write;
}

/* It waits no more: what it waited for goes with the write that says so. */
static bool has_line(const struct gang_member *member, const struct pod *pod)
{
	return pod->waiting || (member && member->said != 0);
}

/* The plan may be the one that stands on the pod already. */
static void wake_again(struct scheduler *s, const struct gang_member *member, struct buf *annotations)
{
	buf_char(annotations, ',');
	wake_annotation(
	    s, REASON_CODE_WAKE_PLAN, waiting_woken_before(member->pod) + member->tellings + 1, annotations);
}

void gang_plan_member(const struct gang_member *member, const char *node, struct buf *out)
{
	struct buf text;
	buf_init(&text, PLAN_TEXT_MAX);
	buf_printf(&text, "{\"version\":1,\"plan\":\"%s\",\"node\":\"%s\"}", member->gang->plan, node);
	buf_text(out, "\"" GANG_GATE "\":");
	buf_json_string(out, buf_slice(&text));
	buf_free(&text);
}

static void write_plan(struct scheduler *s, struct gang_member *member)
{
	const struct pod *pod = member->pod;
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	struct buf annotations;
	if (map_get(&s->gang_writes, slice_of(pod->uid)))
		return; /* once that one has ended */
	if (!entry || !member->placed) {
		member->writing = false;
		return;
	}
	buf_init(&annotations, 2 * PLAN_TEXT_MAX);
	buf_char(&annotations, '{');
	gang_plan_member(member, entry->node->name, &annotations);
	if (has_line(member, pod))
		buf_text(&annotations, "," NO_LINE);
	if (member->state != GANG_GATED && (member->tellings > 0 || pod->plan))
		wake_again(s, member, &annotations);
	member->tellings++;
	buf_char(&annotations, '}');
	struct gang_write *write = begin(s, pod, entry->node->name);
	if (member->state == GANG_GATED)
		kube_ungate(s->kube, pod_ref(pod), GANG_GATE, buf_slice(&annotations), written, write);
	else
		kube_annotate(s->kube, pod_ref(pod), buf_slice(&annotations), written, write);
	buf_free(&annotations);
}

void gang_tell(struct scheduler *s, struct gang_member *member)
{
	struct tracked *tracked = roster_find(s->roster, slice_of(member->pod->uid));
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(member->pod->uid));
	member->writing = true;
	gang_refused_begin(member);
	if (!tracked || !entry || !hint_nominate(s, tracked, entry->node->name))
		write_plan(s, member);
}

void gang_nominated(struct scheduler *s, struct tracked *tracked)
{
	struct gang_member *member = gangs_find(s->gangs, slice_of(tracked->pod->uid));
	if (member && member->writing && !member->told && member->placed && tracked->hint) {
		write_plan(s, member);
		gangs_mark(s->gangs, member->gang);
		gang_soon(s);
	}
}

void gang_ungate(struct scheduler *s, const struct pod *pod)
{
	if (map_get(&s->gang_writes, slice_of(pod->uid)) || !lease_may_write(s))
		return;
	log_info("gate taken away", "pod=%s/%s", pod->namespace_, pod->name);
	bool line = has_line(gangs_find(s->gangs, slice_of(pod->uid)), pod);
	kube_ungate(
	    s->kube, pod_ref(pod), GANG_GATE, slice_of(line ? "{" NO_LINE "}" : ""), written, begin(s, pod, NULL));
}

bool gang_say(struct scheduler *s, const struct pod *pod, const char *line)
{
	struct buf annotations;
	if (map_get(&s->gang_writes, slice_of(pod->uid)))
		return false;
	buf_init(&annotations, 4 * PLAN_TEXT_MAX);
	buf_text(&annotations, "{\"" GATE_LINE "\":");
	buf_json_string(&annotations, slice_of(line));
	buf_char(&annotations, '}');
	struct gang_write *write = begin(s, pod, NULL);
	write->line = true;
	kube_annotate(s->kube, pod_ref(pod), buf_slice(&annotations), written, write);
	buf_free(&annotations);
	return true;
}

bool gang_plan_read(const char *text, char *node, size_t node_size, char *plan, size_t plan_size)
{
	struct reader json;
	struct slice key, said_node = {NULL, 0}, said_plan = {NULL, 0};
	int64_t version = 0;
	reader_open(&json, slice_of(text));
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json))
		while (reader_key(&json, &key)) {
			if (slice_is(key, "version"))
				reader_int(&json, &version);
			else if (slice_is(key, "node"))
				reader_string(&json, &said_node);
			else if (slice_is(key, "plan"))
				reader_string(&json, &said_plan);
			else
				reader_skip(&json);
		}
	if (!reader_close(&json) || version != 1 || !bind_path_safe(said_node) || said_node.len >= node_size ||
	    !bind_path_safe(said_plan) || said_plan.len >= plan_size)
		return false;
	snprintf(node, node_size, "%.*s", (int)said_node.len, said_node.at);
	snprintf(plan, plan_size, "%.*s", (int)said_plan.len, said_plan.at);
	return true;
}

void gang_close(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct gang_write *write; (write = map_next(&s->gang_writes, &cursor));)
		write_free(write);
	map_free(&s->gang_writes);
}
