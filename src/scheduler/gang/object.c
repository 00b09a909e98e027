/* What API objects say of gangs, brought to the pods and the registry: whether a pod is in a gang at all, and by which
 * terms. Where an object changes, the pods that follow it are looked at anew. */
#include <stdio.h>

#include "scheduler/gang/internal.h"

static enum gang_answer ask(const struct scheduler *s, const struct pod *pod, struct gang_terms *terms)
{
	return gang_objects_resolve(s->gang_objects, pod->namespace_, pod->said_gang, terms);
}

/* "NAME/GROUP": the part of a gang that is one of its own. */
static const struct pod_gang *stage_of(struct pod *pod)
{
	const struct pod_gang *said = pod->said_gang;
	size_t len = strlen(said->name) + 1 + strlen(said->group);
	struct pod_gang *stage = arena_alloc(&pod->arena, sizeof *stage);
	char *name = arena_text(&pod->arena, len);
	snprintf(name, len + 1, "%s/%s", said->name, said->group);
	*stage = *said;
	stage->name = name;
	return stage;
}

void gang_resolve(const struct scheduler *s, struct pod *pod)
{
	struct gang_terms terms;
	enum gang_answer answer = pod->said_gang ? ask(s, pod, &terms) : GANG_ANSWER_SINGLE;
	pod->gang = pod->said_gang;
	if (answer == GANG_ANSWER_SINGLE)
		pod->gang = NULL;
	else if (answer == GANG_ANSWER_STAGE)
		pod->gang = stage_of(pod);
}

static bool has_object(const struct pod *pod)
{
	return pod->said_gang &&
	       (pod->said_gang->source != GANG_OBJECT_NONE || pod->said_gang->dialect == GANG_KUBEFLOW);
}

void gang_follow(struct scheduler *s, const struct pod *pod)
{
	if (has_object(pod))
		gang_source_follow(&s->gang_sources, pod->uid, pod->namespace_, pod->said_gang->source_name);
	else
		gang_source_leave(&s->gang_sources, slice_of(pod->uid));
}

/* A pod that moves to another gang holds nothing of the one before. The registry is not to free it: it is wanted. */
static void leave_the_other(struct scheduler *s, const struct pod *pod)
{
	struct gang_member *member = gangs_find(s->gangs, slice_of(pod->uid));
	if (!member ||
	    (member->gang->dialect == pod->gang->dialect && strcmp(member->gang->name, pod->gang->name) == 0))
		return;
	if (member->state < GANG_BOUND)
		gang_dismiss(s, member);
	else if (member->pod == pod)
		member->owned = false;
}

struct gang_member *gang_enrol(struct scheduler *s, struct pod *pod, enum gang_member_state state)
{
	struct gang_terms terms;
	enum gang_answer answer = ask(s, pod, &terms);
	bool said = answer == GANG_ANSWER_TERMS || answer == GANG_ANSWER_STAGE;
	leave_the_other(s, pod);
	struct gang_member *member = gangs_put(s->gangs, pod, state, clock_now());
	gang_follow(s, pod);
	gangs_hear(s->gangs, member->gang, said ? &terms : NULL, answer == GANG_ANSWER_UNKNOWN);
	gangs_weigh(member, decide_gpu_units(s->fleet, &pod->demand));
	return member;
}

/* --- an object changed --- */

static void look_at_pending(struct scheduler *s, struct tracked *tracked)
{
	struct pod *pod = tracked->pod;
	bool was_single = !pod->gang;
	gang_resolve(s, pod);
	gang_pending(s, tracked);
	if (pod->gang && was_single) {
		waiting_remove(s->waiting, slice_of(pod->uid));
		roster_backlog_remove(s->roster, tracked);
	} else if (!pod->gang && !was_single && !pod->gated && !pod->deleting) {
		wake_single(s, tracked);
	}
}

static void look_at_bound(struct scheduler *s, struct gang_member *member)
{
	struct pod *pod = member->pod;
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	gang_resolve(s, pod);
	if (pod->gang) {
		bool placed = member->placed;
		member = gang_enrol(s, pod, member->state);
		member->owned = true;
		gangs_place(s->gangs, member, placed);
		return;
	}
	if (entry && entry->state == LEDGER_BOUND)
		ledger_update(s->fleet, entry, pod); /* as a victim it counts as a single */
	gang_source_leave(&s->gang_sources, slice_of(pod->uid));
	gangs_remove(s->gangs, member);
}

void gang_look_again(void *ctx, struct slice uid)
{
	struct scheduler *s = ctx;
	struct tracked *tracked = roster_find(s->roster, uid);
	struct gang_member *member = gangs_find(s->gangs, uid);
	if (tracked)
		look_at_pending(s, tracked);
	else if (member)
		look_at_bound(s, member);
	gang_soon(s);
}
