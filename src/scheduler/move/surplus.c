/* Members of elastic gangs beyond the quorum as units of their own, ended one by one: of which gangs that may be, and
 * whether a gang still bears it when the time has come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cluster/gang_table.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/search.h"

#define ID_MAX 1024

/* --- whose members --- */

/* Kubeflow counts a pod that ends as failed where its containers are not to be started anew; nor can it be told there
 * from ExitCode, which goes by what a container says as it ends. */
static bool is_made_anew(const struct scheduler *s, const struct gang_member *member)
{
	const struct work_pod *pod = work_find(s, member->pod->uid);
	const char *kind = pod ? pod->work->owner_kind : NULL;
	if (!kind || suspend_recreates(kind))
		return kind != NULL;
	if (gang_object_of_kind(GANG_KUBEFLOW, kind) != GANG_OBJECT_NONE)
		return !member->pod->runs_once;
	return strcmp(kind, "RayCluster") == 0;
}

static bool may_spare(struct scheduler *s, const struct gang *gang, const struct gang_member *member)
{
	struct work_pod *pod = work_find(s, member->pod->uid);
	const struct policy_class *class_ = pod ? work_class(s, pod) : NULL;
	if (!class_ || class_->victim.surplus == SURPLUS_NONE || gang->terms.together)
		return false;
	return gang->terms.elastic ||
	       (class_->victim.surplus == SURPLUS_ANY && gang_dialect_rows[gang->dialect].spares);
}

/* Members that moves end already. */
static bool *gone_of(const struct scheduler *s, const struct gang *gang)
{
	bool *gone = xcalloc(gang->count + 1, sizeof *gone);
	for (const struct move *move = s->moves->list; move; move = move->next)
		for (size_t i = 0; i < move->unit_count && move->surplus_count > 0 && !move->observed; i++) {
			const struct move_unit *unit = &move->units[i];
			const struct gang_member *member =
			    unit->gang ? gangs_find(s->gangs, slice_of(unit->pods[0].uid)) : NULL;
			if (member && member->gang == gang && (unit->state == UNIT_STANDS || unit->state == UNIT_ENDED))
				gone[member->at] = true;
		}
	return gone;
}

bool surplus_may_end(const struct move_unit *unit)
{
	const struct scheduler *s = unit->move->s;
	const struct gang_member *member = gangs_find(s->gangs, slice_of(unit->pods[0].uid));
	if (!member || strcmp(member->gang->key, unit->gang) != 0)
		return false;
	bool *gone = gone_of(s, member->gang);
	bool bears = gang_bears(member->gang, gone);
	free(gone);
	return bears;
}

bool surplus_under_way(const struct scheduler *s, const struct work *work)
{
	for (const struct move *move = s->moves->list; move; move = move->next)
		for (size_t i = 0; i < move->unit_count && move->surplus_count > 0 && !move->observed; i++)
			if (move->units[i].gang && move->units[i].state == UNIT_STANDS &&
			    strcmp(move->units[i].keys[0], work->key) == 0)
				return true;
	return false;
}

/* --- what they are known by --- */

/* What is remembered of all of one owner. */
static void write_owner_id(const char *owner, char id[ID_MAX])
{
	snprintf(id, ID_MAX, "surplus/%s", owner);
}

/* A member that is made anew is the same unit: it has the rank of the one before it, or else its turn. Of those that
 * cost the same the search takes the first by id: the highest rank, or the newest. */
static const char *unit_id(
    struct scheduler *s, struct arena *arena, const struct work *work, const struct gang_member *member, size_t *turn)
{
	char id[ID_MAX];
	const char *group = member->pod->gang->group ? member->pod->gang->group : "";
	int32_t rank = gang_rank(member->pod->gang, &member->gang->terms);
	if (rank >= 0) {
		snprintf(id, sizeof id, "surplus/%s/%s/%05d", work->key, group, GANG_MEMBERS_MAX - (int)rank);
		return arena_copy(arena, slice_of(id));
	}
	do
		snprintf(id, sizeof id, "surplus/%s/%s/~%05zu", work->key, group, (*turn)++);
	while (unit_taken(s->moves, id));
	return arena_copy(arena, slice_of(id));
}

/* --- as units of a search --- */

static void add_member(
    struct scheduler *s, struct move_search *search, const char *whole, const struct gang_member *member, size_t *turn)
{
	struct arena *arena = &search->arena;
	struct work_pod *pod = work_find(s, member->pod->uid);
	map_put(&search->spared, slice_of(arena_copy(arena, slice_of(pod->uid))), search);
	const struct work *work = pod->work;
	char owner_id[ID_MAX];
	write_owner_id(work->key, owner_id);
	const char *id = unit_id(s, arena, work, member, turn);
	bool taken = unit_taken(s->moves, id) || past_alone(s->moves, owner_id, clock_wall());
	if (taken || search->request.unit_count >= VICTIMS_UNITS_MAX)
		return;
	struct found *found = search_find(search, id, NULL);
	found->whole = arena_copy(arena, slice_of(whole));
	found->gang = arena_copy(arena, slice_of(member->gang->key));
	found->group = member->pod->gang->group ? arena_copy(arena, slice_of(member->pod->gang->group)) : NULL;
	found->rank = gang_rank(member->pod->gang, &member->gang->terms);
	search->units[found->at].way = VICTIMS_EVICT;
	search->units[found->at].recreated = work->way == WORK_REPLICAS || work->way == WORK_SUSPENDED;
	search_add_key(search, found, work->key);
	search_add_pod(s, search, found, pod);
}

/* Of a gang whose members are of several units, only those of this one. */
static bool is_of(const struct scheduler *s, const struct gang_member *member, const struct work *work)
{
	const struct work_pod *pod = work_find(s, member->pod->uid);
	return pod && (pod->work == work || (work->way != WORK_SUSPENDED && pod->work->way == work->way));
}

void surplus_gather(struct scheduler *s, struct move_search *search, const char *whole, const struct gang *gang,
    const struct work *work)
{
	size_t turn = 0;
	char text[ID_MAX];
	snprintf(text, sizeof text, "%s|%s", whole, gang->key);
	if (gang->state != GANG_WHOLE || map_get(&search->spared, slice_of(text)))
		return;
	const char *key = arena_copy(&search->arena, slice_of(text));
	map_put(&search->spared, slice_of(key), search);
	struct gang_member **members = xcalloc(gang->count + 1, sizeof(struct gang_member *));
	bool *gone = gone_of(s, gang);
	size_t count = gang_surplus(gang, gone, members);
	for (size_t i = 0; i < count; i++)
		if (is_of(s, members[i], work) && may_spare(s, gang, members[i]) && is_made_anew(s, members[i]))
			add_member(s, search, whole, members[i], &turn);
	free(gone);
	free(members);
}

/* --- what its owner says --- */

/* Nothing of it is written, but whoever manages it counts on all of its pods. */
const char *surplus_bar(const struct suspend_object *object)
{
	int64_t until;
	if (object->queued)
		return "Kueue counts on all of its pods";
	if (object->managed)
		return "it is managed by another controller";
	if (object->suspended)
		return "it is suspended";
	if (object->kept)
		return "it asks not to be disturbed";
	if (object->counts)
		return "its controller counts pods that end as failed";
	if (object->reverts >= SUSPENDED_REVERTS_MAX)
		return "somebody resumed it again and again";
	if (object->alone_until && clock_parse(slice_of(object->alone_until), &until) && until > clock_wall())
		return "it was moved a short while ago";
	return NULL;
}

void surplus_leave_alone(const struct move_unit *unit, int64_t until_ns, const char *why)
{
	char id[ID_MAX];
	write_owner_id(unit->keys[0], id);
	past_leave_alone(unit->move->s->moves, id, until_ns, why);
}

/* --- while it is ended --- */

static void look_again(struct move_unit *unit)
{
	struct scheduler *s = unit->move->s;
	struct gang *gang = map_get(&s->gangs->by_key, slice_of(unit->gang));
	if (!gang)
		return;
	gangs_mark(s->gangs, gang);
	gang_soon(s);
}

void surplus_ended(struct move_unit *unit)
{
	unit->state = UNIT_ENDED;
	if (unit->since_ns == 0)
		unit->since_ns = clock_wall();
	past_moved(unit->move->s->moves, unit->id, unit->since_ns);
	look_again(unit);
}

void surplus_adopt(struct move_unit *unit)
{
	const struct work_pod *pod = work_find(unit->move->s, unit->pods[0].uid);
	if (!pod || pod->deleting)
		surplus_ended(unit);
}

/* A gang that is not whole any more is planned anew, with all of its members. */
void surplus_lapse(struct move *move)
{
	struct scheduler *s = move->s;
	for (size_t i = 0; i < move->unit_count && move->surplus_count > 0 && s->gangs_rebuilt; i++) {
		struct move_unit *unit = &move->units[i];
		const struct gang *gang = unit->gang ? map_get(&s->gangs->by_key, slice_of(unit->gang)) : NULL;
		if (!unit->gang || unit->state != UNIT_ENDED || (gang && gang->state == GANG_WHOLE))
			continue;
		unit->state = UNIT_LEFT;
		log_info("a gang of which members were ended is over, or begins again", "move=%s gang=%s", move->id,
		    unit->gang);
	}
}

/* --- giving back --- */

static void is_back(struct move_unit *unit)
{
	unit->state = UNIT_BACK;
	unit->back_ns = clock_wall();
	past_leave_alone(unit->move->s->moves, unit->id, unit_cooled(unit), "it was moved a short while ago");
	tell_unit(unit, "GPUsGivenBack", NULL);
	look_again(unit);
}

/* The member that was made in its place has room reserved, or is held back on. Nobody was made in its place: whoever
 * comes is welcome. */
void surplus_return(struct move_unit *unit)
{
	struct scheduler *s = unit->move->s;
	struct gang *gang = map_get(&s->gangs->by_key, slice_of(unit->gang));
	if (!gang || gang->state != GANG_WHOLE)
		return;
	struct gang_member *member = held_for(unit, gang);
	if (member && !held_release(s, member))
		return;
	is_back(unit);
}
