#include "berth/gangs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/alloc.h"

#define KEY_MAX 640 /* two names of an object and a number */

struct gangs *gangs_new(void)
{
	return xcalloc(1, sizeof(struct gangs));
}

static void member_free(struct gang_member *member)
{
	gangs_forgive(member);
	if (member->owned)
		pod_free(member->pod);
	free(member);
}

static void hole_free(struct gang_hole *hole)
{
	free(hole->id);
	free(hole->node);
}

void gangs_clear_shunned(struct gang *gang)
{
	while (gang->shunned_count > 0)
		free(gang->shunned[--gang->shunned_count]);
}

static void gang_free(struct gang *gang)
{
	gangs_clear_shunned(gang);
	while (gang->count > 0)
		member_free(gang->members[--gang->count]);
	while (gang->hole_count > 0)
		hole_free(&gang->holes[--gang->hole_count]);
	arena_free(&gang->terms_arena);
	free(gang->members);
	free(gang->holes);
	free(gang->key);
	free(gang);
}

void gangs_free(struct gangs *gangs)
{
	size_t cursor = 0;
	for (struct gang *gang; (gang = map_next(&gangs->by_key, &cursor));)
		gang_free(gang);
	map_free(&gangs->by_key);
	map_free(&gangs->by_uid);
	free(gangs);
}

struct gang_member *gangs_find(const struct gangs *gangs, struct slice uid)
{
	return map_get(&gangs->by_uid, uid);
}

struct gang *gangs_next(const struct gangs *gangs, size_t *cursor)
{
	return map_next(&gangs->by_key, cursor);
}

/* --- the chain of those that changed --- */

void gangs_mark(struct gangs *gangs, struct gang *gang)
{
	if (gang->changed)
		return;
	gang->changed = true;
	gang->next_changed = gangs->changed;
	gangs->changed = gang;
}

struct gang *gangs_take_changed(struct gangs *gangs)
{
	for (struct gang *gang; (gang = gangs->changed);) {
		gangs->changed = gang->next_changed;
		gang->changed = false;
		if (gang->count > 0 || gang->hole_count > 0)
			return gang;
		map_remove(&gangs->by_key, slice_of(gang->key));
		gangs->in_state[gang->state]--;
		gang_free(gang);
	}
	return NULL;
}

/* Those that were before it began again give it neither their priority nor their age. */
static void rank_anew(struct gang *gang)
{
	bool any = false;
	for (size_t i = 0; i < gang->count; i++) {
		const struct pod *pod = gang->members[i]->pod;
		if (gang->members[i]->state == GANG_AWAY)
			continue;
		if (!any || pod->priority > gang->priority)
			gang->priority = pod->priority;
		if (!any || pod->created_ns < gang->created_ns)
			gang->created_ns = pod->created_ns;
		any = true;
	}
}

void gangs_enter(struct gangs *gangs, struct gang *gang, enum gang_state state, int64_t now_ns)
{
	gangs->in_state[gang->state]--;
	gangs->in_state[state]++;
	gang->state = state;
	if (state == GANG_QUEUED)
		rank_anew(gang);
	gang->since_ns = now_ns;
	gang->moved_ns = now_ns;
	gang->reached = 0;
	gang->no_room_ns = INT64_MAX;
	gang->deadline_ns = INT64_MAX;
	gangs_mark(gangs, gang);
}

/* --- gangs --- */

/* In a namespace's name there is no '/', and the gang's may have any. */
static void write_key(char key[KEY_MAX], const struct pod *pod)
{
	snprintf(key, KEY_MAX, "%u/%s/%s", (unsigned)pod->gang->dialect, pod->namespace_, pod->gang->name);
}

static struct gang *gang_of(struct gangs *gangs, const struct pod *pod, int64_t now_ns)
{
	char key[KEY_MAX];
	write_key(key, pod);
	struct gang *gang = map_get(&gangs->by_key, slice_of(key));
	if (gang)
		return gang;
	gang = xcalloc(1, sizeof *gang);
	size_t len = strlen(key), namespace_len = strlen(pod->namespace_);
	/* Once more with NULs between, for the names alone. */
	gang->key = xcalloc(1, 2 * (len + 1));
	memcpy(gang->key, key, len);
	memcpy(gang->key + len + 1, key, len);
	char *namespace_ = strchr(gang->key + len + 1, '/') + 1;
	namespace_[namespace_len] = '\0';
	gang->namespace_ = namespace_;
	gang->name = namespace_ + namespace_len + 1;
	gang->dialect = pod->gang->dialect;
	gang->first_ns = gang->since_ns = gang->moved_ns = now_ns;
	gang->deadline_ns = gang->no_room_ns = INT64_MAX;
	gang->created_ns = pod->created_ns;
	gang->priority = pod->priority;
	gang->why = REASON_CODE_FITS;
	gang->tried_at = UINT64_MAX;
	gangs->in_state[GANG_GATHERING]++;
	map_put(&gangs->by_key, slice_of(gang->key), gang);
	return gang;
}

static void count(struct gang *gang, const struct gang_member *member, bool in)
{
	size_t one = in ? 1 : SIZE_MAX; /* unsigned: minus one */
	gang->in_state[member->state] += one;
	if (member->placed)
		gang->placed += one;
	if (member->state == GANG_BOUND && member->pod->deleting)
		gang->leaving += one;
}

void gangs_set(struct gangs *gangs, struct gang_member *member, enum gang_member_state state)
{
	if (member->state == state)
		return;
	if (member->state == GANG_AWAY)
		member->gang->tried_at = UINT64_MAX; /* it is new to the planner */
	count(member->gang, member, false);
	member->state = state;
	count(member->gang, member, true);
	gangs_mark(gangs, member->gang);
}

void gangs_place(struct gangs *gangs, struct gang_member *member, bool placed)
{
	if (member->placed == placed)
		return;
	count(member->gang, member, false);
	member->placed = placed;
	count(member->gang, member, true);
	if (!placed)
		member->told = false;
	gangs_mark(gangs, member->gang);
}

static bool says_another_gang(const struct gang_member *member, const struct pod *pod)
{
	char key[KEY_MAX];
	write_key(key, pod);
	return strcmp(key, member->gang->key) != 0;
}

static struct gang_member *add(struct gangs *gangs, struct pod *pod, enum gang_member_state state, int64_t now_ns)
{
	struct gang *gang = gang_of(gangs, pod, now_ns);
	struct gang_member *member = xcalloc(1, sizeof *member);
	*member = (struct gang_member){.gang = gang, .pod = pod, .state = state, .at = gang->count};
	gang->members = xgrow(gang->members, gang->count, &gang->room, sizeof *gang->members);
	gang->members[gang->count++] = member;
	count(gang, member, true);
	map_put(&gangs->by_uid, slice_of(pod->uid), member);
	gang_listen(gang, pod, NULL);
	gang->tried_at = UINT64_MAX;
	gangs_mark(gangs, gang);
	return member;
}

struct gang_member *gangs_put(struct gangs *gangs, struct pod *pod, enum gang_member_state state, int64_t now_ns)
{
	struct gang_member *member = gangs_find(gangs, slice_of(pod->uid));
	if (member && says_another_gang(member, pod)) {
		gangs_remove(gangs, member);
		member = NULL;
	}
	if (!member)
		return add(gangs, pod, state, now_ns);
	if (member->pod != pod) {
		struct pod *older = member->pod;
		map_remove(&gangs->by_uid, slice_of(older->uid)); /* the key's text goes with the old pod */
		count(member->gang, member, false);
		member->pod = pod;
		if (gang_listen(member->gang, pod, older) || pod->deleting != older->deleting)
			gangs_mark(gangs, member->gang);
		if (member->owned)
			pod_free(older);
		member->owned = false;
		count(member->gang, member, true);
		map_put(&gangs->by_uid, slice_of(pod->uid), member);
	}
	gangs_set(gangs, member, state);
	return member;
}

static bool note(char *nodes[GANG_REFUSED_MAX], size_t *node_count, const char *node)
{
	for (size_t i = 0; i < *node_count; i++)
		if (strcmp(nodes[i], node) == 0)
			return false;
	if (*node_count == GANG_REFUSED_MAX)
		return false;
	nodes[(*node_count)++] = xstrdup(node);
	return true;
}

bool gangs_refuse(struct gang_member *member, const char *node)
{
	return note(member->refused, &member->refused_count, node);
}

void gangs_forgive(struct gang_member *member)
{
	while (member->refused_count > 0)
		free(member->refused[--member->refused_count]);
}

void gangs_shun(struct gang *gang, const char *node)
{
	note(gang->shunned, &gang->shunned_count, node);
}

void gangs_remove(struct gangs *gangs, struct gang_member *member)
{
	struct gang *gang = member->gang;
	count(gang, member, false);
	gang->held_count -= member->held;
	gang->members[member->at] = gang->members[--gang->count];
	gang->members[member->at]->at = member->at;
	map_remove(&gangs->by_uid, slice_of(member->pod->uid));
	gang->gpus -= member->gpus;
	gang_forget(gang, member->pod);
	member_free(member);
	gangs_mark(gangs, gang);
}

/* --- holes --- */

const struct gang_hole *gangs_add_hole(struct gangs *gangs, struct gang *gang, const char *node)
{
	char id[KEY_MAX + 32];
	gang->holes = xgrow(gang->holes, gang->hole_count, &gang->hole_room, sizeof *gang->holes);
	struct gang_hole *hole = &gang->holes[gang->hole_count++];
	snprintf(id, sizeof id, "hole/%llu/%s", (unsigned long long)++gang->holes_made, gang->key);
	*hole = (struct gang_hole){.id = xstrdup(id), .node = xstrdup(node)};
	gangs_mark(gangs, gang);
	return hole;
}

void gangs_drop_hole(struct gangs *gangs, struct gang *gang, size_t at)
{
	hole_free(&gang->holes[at]);
	gang->holes[at] = gang->holes[--gang->hole_count];
	gangs_mark(gangs, gang);
}
