#include "scheduler/roster.h"

#include <stdlib.h>

#include "berth/alloc.h"

struct roster *roster_new(void)
{
	struct roster *roster = xcalloc(1, sizeof *roster);
	TAILQ_INIT(&roster->hinted);
	return roster;
}

void roster_forget_victims(struct tracked *tracked)
{
	while (tracked->victim_count > 0)
		free(tracked->victims[--tracked->victim_count]);
	free(tracked->victims);
	tracked->victims = NULL;
}

static void tracked_free(struct tracked *tracked)
{
	roster_forget_victims(tracked);
	pod_free(tracked->pod);
	free(tracked->hint);
	free(tracked);
}

void roster_free(struct roster *roster)
{
	size_t cursor = 0;
	for (struct tracked *tracked; (tracked = map_next(&roster->by_uid, &cursor));)
		tracked_free(tracked);
	map_free(&roster->by_uid);
	free(roster->backlog);
	free(roster);
}

struct tracked *roster_find(const struct roster *roster, struct slice uid)
{
	return map_get(&roster->by_uid, uid);
}

/* --- the backlog: a binary heap of tracked pods that know their place --- */

static bool goes_before(const struct tracked *a, const struct tracked *b)
{
	if (a->pod->priority != b->pod->priority)
		return a->pod->priority > b->pod->priority;
	if (a->pod->created_ns != b->pod->created_ns)
		return a->pod->created_ns < b->pod->created_ns;
	if (a->since_ns != b->since_ns)
		return a->since_ns < b->since_ns; /* the time of creation has whole seconds only */
	return strcmp(a->pod->uid, b->pod->uid) < 0;
}

static void place(struct roster *roster, size_t at, struct tracked *tracked)
{
	roster->backlog[at] = tracked;
	tracked->backlog_at = at;
}

static void settle(struct roster *roster, size_t at)
{
	struct tracked *tracked = roster->backlog[at];
	while (at > 0 && goes_before(tracked, roster->backlog[(at - 1) / 2])) {
		place(roster, at, roster->backlog[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (size_t child; (child = 2 * at + 1) < roster->backlog_count; at = child) {
		if (child + 1 < roster->backlog_count &&
		    goes_before(roster->backlog[child + 1], roster->backlog[child]))
			child++;
		if (!goes_before(roster->backlog[child], tracked))
			break;
		place(roster, at, roster->backlog[child]);
	}
	place(roster, at, tracked);
}

void roster_backlog_add(struct roster *roster, struct tracked *tracked)
{
	if (tracked->backlog_at != SIZE_MAX)
		return;
	roster->backlog = xgrow(roster->backlog, roster->backlog_count, &roster->backlog_room, sizeof *roster->backlog);
	place(roster, roster->backlog_count++, tracked);
	settle(roster, tracked->backlog_at);
}

void roster_backlog_remove(struct roster *roster, struct tracked *tracked)
{
	size_t at = tracked->backlog_at;
	if (at == SIZE_MAX)
		return;
	tracked->backlog_at = SIZE_MAX;
	struct tracked *last = roster->backlog[--roster->backlog_count];
	if (last == tracked)
		return;
	place(roster, at, last);
	settle(roster, at);
}

struct tracked *roster_backlog_pop(struct roster *roster)
{
	if (roster->backlog_count == 0)
		return NULL;
	struct tracked *first = roster->backlog[0];
	roster_backlog_remove(roster, first);
	return first;
}

/* --- the hinted --- */

void roster_hint(struct roster *roster, struct tracked *tracked, enum hint_state state, int64_t now_ns)
{
	enum hint_state before = tracked->hint_state;
	if (tracked->asked)
		state = HINT_NONE;
	if (before == HINT_NONE && state != HINT_NONE)
		TAILQ_INSERT_TAIL(&roster->hinted, tracked, link);
	if (before != HINT_NONE && state == HINT_NONE)
		TAILQ_REMOVE(&roster->hinted, tracked, link);
	if (before != HINT_LANDED && state == HINT_LANDED)
		tracked->landed_ns = now_ns;
	tracked->hint_state = state;
}

struct tracked *roster_hinted(const struct roster *roster)
{
	return TAILQ_FIRST(&roster->hinted);
}

void roster_asked(struct roster *roster, struct tracked *tracked)
{
	tracked->asked = true;
	roster_hint(roster, tracked, HINT_NONE, 0);
	roster_backlog_remove(roster, tracked);
}

/* --- pods --- */

struct tracked *roster_put(struct roster *roster, struct pod *pod, int64_t now_ns, struct pod **old)
{
	struct tracked *tracked = roster_find(roster, slice_of(pod->uid));
	*old = NULL;
	if (!tracked) {
		tracked = xcalloc(1, sizeof *tracked);
		*tracked = (struct tracked){.pod = pod, .since_ns = now_ns, .backlog_at = SIZE_MAX};
		map_put(&roster->by_uid, slice_of(pod->uid), tracked);
		return tracked;
	}
	*old = tracked->pod;
	map_remove(&roster->by_uid, slice_of(pod->uid)); /* the key's text goes with the old pod */
	tracked->pod = pod;
	map_put(&roster->by_uid, slice_of(pod->uid), tracked);
	if (tracked->backlog_at != SIZE_MAX)
		settle(roster, tracked->backlog_at);
	return tracked;
}

void roster_remove(struct roster *roster, struct tracked *tracked)
{
	roster_hint(roster, tracked, HINT_NONE, 0);
	roster_backlog_remove(roster, tracked);
	map_remove(&roster->by_uid, slice_of(tracked->pod->uid));
	tracked_free(tracked);
}

size_t roster_count(const struct roster *roster)
{
	return roster->by_uid.count;
}

struct tracked *roster_next(const struct roster *roster, size_t *cursor)
{
	return map_next(&roster->by_uid, cursor);
}
