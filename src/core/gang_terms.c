/* What holds for a gang as a whole, of all that is said of it: its size and quorum, where it is to stand, whether it is
 * complete, how many GPUs it asks for. */
#include "berth/gangs.h"

#include <string.h>

#define TERMS_ARENA 256

static bool is_elder(const struct pod *a, const struct pod *b)
{
	return !b || a->created_ns < b->created_ns || (a->created_ns == b->created_ns && strcmp(a->uid, b->uid) < 0);
}

size_t gang_size(const struct gang *gang)
{
	int32_t size = gang->terms.size > 0 || gang->unreadable ? gang->terms.size : gang->size;
	return size > 0 ? (size_t)size : 0;
}

size_t gang_quorum(const struct gang *gang)
{
	int32_t quorum = gang->terms.quorum > 0 || gang->unreadable ? gang->terms.quorum : gang->quorum;
	return quorum > 0 ? (size_t)quorum : gang_size(gang);
}

static void fill_place(struct gang_place *place, const struct gang_place *from)
{
	place->require = place->require ? place->require : from->require;
	place->prefer = place->prefer ? place->prefer : from->prefer;
	if (place->segment == 0) {
		place->segment = from->segment;
		place->segment_at = from->segment_at;
	}
}

static const struct gang_place *place_in(const struct gang_terms *terms, const char *group)
{
	const struct gang_group_terms *of_group = gang_terms_group(terms, group);
	return group ? (of_group ? &of_group->place : NULL) : &terms->place;
}

/* What the eldest pod says that says anything at all. */
static const struct gang_place *place_said(const struct gang *gang, const char *group)
{
	const struct pod *eldest = NULL;
	const struct gang_place *said = NULL;
	for (size_t i = 0; i < gang->count; i++) {
		const struct pod *pod = gang->members[i]->pod;
		const struct gang_place *place = place_in(&pod->gang->terms, group);
		if (!place || (!place->require && !place->prefer && place->segment == 0) || !is_elder(pod, eldest))
			continue;
		eldest = pod;
		said = place;
	}
	return said;
}

struct gang_place gang_place_of(const struct gang *gang, const char *group)
{
	struct gang_place place = {.segment = 0};
	const struct gang_place *of_object = place_in(&gang->terms, group), *of_pods = place_said(gang, group);
	if (of_object)
		fill_place(&place, of_object);
	if (of_pods)
		fill_place(&place, of_pods);
	return place;
}

size_t gang_present(const struct gang *gang)
{
	return gang->count - gang->in_state[GANG_AWAY];
}

static bool group_is_complete(const struct gang *gang, const struct gang_group_terms *group)
{
	int32_t present = 0;
	if (group->late)
		return true; /* a gang of its own; that gang's quorum is the group's */
	for (size_t i = 0; i < gang->count && present < group->quorum; i++) {
		const struct gang_member *member = gang->members[i];
		const char *name = member->pod->gang->group;
		present += member->state != GANG_AWAY && name && strcmp(name, group->name) == 0;
	}
	return present >= group->quorum;
}

bool gang_is_complete(const struct gang *gang)
{
	size_t quorum = gang_quorum(gang);
	if (quorum == 0 || gang_present(gang) < quorum)
		return false;
	for (size_t i = 0; i < gang->terms.group_count; i++)
		if (!group_is_complete(gang, &gang->terms.groups[i]))
			return false;
	return true;
}

/* --- GPUs --- */

static int64_t gpus_asked(const struct gang *gang)
{
	size_t size = gang_size(gang), quorum = gang_quorum(gang), expected = size > quorum ? size : quorum;
	if (expected == 0)
		return 0;
	if (gang->count >= expected)
		return gang->gpus;
	return gang->gpus_least == gang->gpus_most ? (int64_t)expected * gang->gpus_most : 0;
}

/* What the pods were told stays true of a gang that has a plan, though members go. */
static void tell_gpus(struct gang *gang)
{
	int64_t asked = gpus_asked(gang);
	if (asked == gang->gpus_told || (gang->state >= GANG_PLANNED && asked < gang->gpus_told))
		return;
	gang->gpus_told = asked;
	for (size_t i = 0; i < gang->count; i++)
		gang->members[i]->pod->gang_gpus = asked;
}

void gangs_weigh(struct gang_member *member, int64_t gpus)
{
	struct gang *gang = member->gang;
	gang->gpus += gpus - member->gpus;
	member->gpus = gpus;
	member->pod->gang_gpus = gang->gpus_told;
	if (gpus > gang->gpus_most)
		gang->gpus_most = gpus;
	if (gang->count == 1 || gpus < gang->gpus_least)
		gang->gpus_least = gpus;
	tell_gpus(gang);
}

/* --- what its pods say of its size --- */

static bool says_same(const struct pod *a, const struct pod *b)
{
	const struct gang_terms *left = &a->gang->terms, *right = &b->gang->terms;
	return left->size == right->size && left->quorum == right->quorum;
}

/* What nobody says any more stays as it was said last. */
static bool ask_eldest(struct gang *gang)
{
	const struct pod *of_size = NULL, *of_quorum = NULL;
	int32_t size = gang->size, quorum = gang->quorum;
	gang->discord = false;
	for (size_t i = 0; i < gang->count; i++) {
		const struct pod *pod = gang->members[i]->pod;
		gang->discord |= !says_same(pod, gang->members[0]->pod);
		if (pod->gang->terms.size > 0 && is_elder(pod, of_size))
			of_size = pod;
		if (pod->gang->terms.quorum > 0 && is_elder(pod, of_quorum))
			of_quorum = pod;
	}
	gang->size = of_size ? of_size->gang->terms.size : size;
	gang->quorum = of_quorum ? of_quorum->gang->terms.quorum : quorum;
	if (gang->size == size && gang->quorum == quorum)
		return false;
	gang->tried_at = UINT64_MAX;
	tell_gpus(gang);
	return true;
}

static bool says_another(const struct gang *gang, const struct pod *pod)
{
	const struct gang_terms *terms = &pod->gang->terms;
	return (terms->size > 0 && terms->size != gang->size) || (terms->quorum > 0 && terms->quorum != gang->quorum);
}

bool gang_listen(struct gang *gang, const struct pod *pod, const struct pod *older)
{
	if (pod->created_ns < gang->created_ns)
		gang->created_ns = pod->created_ns;
	if (pod->priority > gang->priority)
		gang->priority = pod->priority;
	gang->discord |= gang->count > 1 && !says_same(pod, gang->members[0]->pod);
	return (older ? !says_same(pod, older) : says_another(gang, pod)) && ask_eldest(gang);
}

bool gang_forget(struct gang *gang, const struct pod *pod)
{
	/* One that turned out to be a single has none. */
	bool said = pod->gang && (pod->gang->terms.size > 0 || pod->gang->terms.quorum > 0);
	return said && gang->discord && gang->count > 0 && ask_eldest(gang);
}

/* --- its object --- */

void gangs_hear(struct gangs *gangs, struct gang *gang, const struct gang_terms *terms, bool unreadable)
{
	static const struct gang_terms none = {.quorum = 0};
	bool was_unreadable = gang->unreadable;
	if (!terms && gang->state >= GANG_PLANNED)
		return;
	gang->unreadable = unreadable;
	if (!gang_terms_same(&gang->terms, terms ? terms : &none)) {
		arena_free(&gang->terms_arena);
		arena_init(&gang->terms_arena, TERMS_ARENA);
		gang_terms_copy(&gang->terms_arena, terms ? terms : &none, &gang->terms);
	} else if (was_unreadable == unreadable) {
		return;
	}
	gang->tried_at = UINT64_MAX;
	tell_gpus(gang);
	gangs_mark(gangs, gang);
}
