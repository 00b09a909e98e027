/* Pods that wait for room which moves may give them: siblings of one owner that ask for the same are one demand, and so
 * is a gang. Of all demands the first in order is looked at, one at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/search.h"
#include "scheduler/repartition/internal.h"

#define SIBLINGS_NS NS_PER_S /* for those of the same owner to come, too: together they are one demand */
#define DEMAND_KEY_MAX 2048
#define PUT_OFF_NS (20 * NS_PER_S) /* longer, after a move for it that was given up */

/* --- who waits --- */

/* Where its own words or the policy forbid every node, ending others helps nobody. What waits since before this process
 * began was not judged by it. */
static bool lacks_room(const struct scheduler *s, const struct tracked *tracked)
{
	const struct waiting_pod *waiting = waiting_find(s->waiting, slice_of(tracked->pod->uid));
	if (!waiting || waiting->reason == REASON_CODE_NOT_SYNCED)
		return tracked->pod->unschedulable != NULL;
	return reason_kind_of(waiting->reason) == REASON_CAPACITY;
}

bool demand_may_take(const struct scheduler *s, const struct pod *pod)
{
	enum reason why;
	const struct policy_class *class_ = policy_class_of(s->policy.inforce, pod, &why);
	return class_ && (class_->may_preempt_count > 0 || headroom_lends(s->policy.inforce, class_) ||
	                     team_may_claim(s->fleet, pod));
}

static bool is_free_single(struct scheduler *s, struct tracked *tracked)
{
	const struct pod *pod = tracked->pod;
	if (pod->gated || pod->deleting || pod->gang || pod->trouble || !scheduler_owns(pod) ||
	    ledger_find(s->fleet, slice_of(pod->uid)) || map_get(&s->moves->by_place, slice_of(pod->uid)))
		return false;
	feed_learn(s, tracked->pod);
	return true;
}

static bool may_want(struct scheduler *s, struct tracked *tracked)
{
	const struct pod *pod = tracked->pod;
	return is_free_single(s, tracked) && demand_may_take(s, pod) && decide_gpu_units(s->fleet, &pod->demand) > 0;
}

static const char *demand_id(const struct pod *pod)
{
	return pod->owner_uid ? pod->owner_uid : pod->uid;
}

static int by_amounts(const struct resources *a, const struct resources *b)
{
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	for (uint16_t i = 0; i < a->count; i++) {
		if (a->items[i].id != b->items[i].id)
			return a->items[i].id < b->items[i].id ? -1 : 1;
		if (a->items[i].amount != b->items[i].amount)
			return a->items[i].amount < b->items[i].amount ? -1 : 1;
	}
	return 0;
}

/* Equal for pods of one demand. */
static int by_demand(const struct pod *a, const struct pod *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	int order = strcmp(demand_id(a), demand_id(b));
	return order != 0 ? order : by_amounts(&a->demand, &b->demand);
}

static int in_order(const void *a, const void *b)
{
	const struct pod *one = (*(struct tracked *const *)a)->pod, *other = (*(struct tracked *const *)b)->pod;
	int order = by_demand(one, other);
	return order != 0 ? order : strcmp(one->uid, other->uid);
}

/* --- demands that were looked at in vain --- */

static void tried_free(struct demand_tried *tried)
{
	free(tried->id);
	free(tried->namespace_);
	free(tried->kind);
	free(tried->name);
	free(tried->class_name);
	free(tried->why);
	free(tried);
}

/* Pods of one owner that ask for different amounts are demands apart. */
static const char *key_of(char key[DEMAND_KEY_MAX], const struct gang *gang, const struct pod *pod)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	if (gang)
		return gang->key;
	for (uint16_t i = 0; i < pod->demand.count; i++) {
		hash = (hash ^ pod->demand.items[i].id) * UINT64_C(1099511628211);
		hash = (hash ^ (uint64_t)pod->demand.items[i].amount) * UINT64_C(1099511628211);
	}
	snprintf(key, DEMAND_KEY_MAX, "%d/%016llx/%s", pod->priority, (unsigned long long)hash, demand_id(pod));
	return key;
}

struct demand_tried *demand_tried_of(const struct moves *moves, const struct gang *gang, const struct pod *pod)
{
	char key[DEMAND_KEY_MAX];
	return map_get(&moves->tried, slice_of(key_of(key, gang, pod)));
}

struct named {
	const char *namespace_, *kind, *name, *class_name;
};

static struct demand_tried *note(struct moves *moves, const char *id, struct named named)
{
	struct demand_tried *found = map_get(&moves->tried, slice_of(id));
	if (found)
		return found;
	found = xcalloc(1, sizeof *found);
	*found = (struct demand_tried){.id = xstrdup(id),
	    .namespace_ = xstrdup(named.namespace_),
	    .kind = xstrdup(named.kind),
	    .name = xstrdup(named.name),
	    .class_name = xstrdup(named.class_name)};
	map_put(&moves->tried, slice_of(found->id), found);
	return found;
}

static void say(struct demand_tried *found, const char *why, size_t pods, int64_t again_ns)
{
	char *copy = xstrdup(why);
	free(found->why);
	found->why = copy;
	found->hopeless = false;
	found->pods = pods;
	found->again_ns = again_ns;
	found->seen = true;
}

void demand_in_vain(
    struct scheduler *s, const struct move_search *search, const char *why, bool hopeless, int64_t again_ns)
{
	const struct pod *pod = search->demand[search->named]->pod;
	bool owned = pod->owner_uid && pod->owner_name && pod->owner_kind_count > 0;
	char key[DEMAND_KEY_MAX];
	struct demand_tried *found =
	    note(s->moves, search->of_gang || search->cuts ? search->id : key_of(key, NULL, search->demand[0]->pod),
	        (struct named){pod->namespace_, owned ? pod->owner_kinds[0] : "Pod",
	            owned ? pod->owner_name : pod->name, s->policy.inforce->classes[search->request.class_].name});
	size_t pods = search->request.demand.count;
	if (!found->why || strcmp(found->why, why) != 0)
		log_info("no move for pods that wait", "for=%s/%s pods=%zu why=%s", found->namespace_, found->name,
		    pods, log_quote(why));
	say(found, why, pods, clock_now() + again_ns);
	found->hopeless = hopeless;
}

/* Another move for them would end as this one did. */
void demand_put_off(struct move *move)
{
	char key[DEMAND_KEY_MAX];
	const struct gang *gang = move_gang(move);
	const struct tracked *tracked = NULL;
	for (size_t i = 0; !tracked && i < move->place_count; i++)
		tracked = roster_find(move->s->roster, slice_of(move->places[i].uid));
	if (!gang && !tracked)
		return;
	char *of_slices = move->node ? move_node_demand(move->uid) : NULL;
	struct demand_tried *found =
	    note(move->s->moves, of_slices ? of_slices : key_of(key, gang, tracked ? tracked->pod : NULL),
	        (struct named){move->namespace_, move->kind, move->name, move->class_name});
	free(of_slices);
	say(found, move_stop_text(move->steps.stop), move->place_count, clock_now() + DEMAND_AGAIN_NS + PUT_OFF_NS);
}

/* What nobody waits for any more is forgotten. */
static void forget_tried(struct moves *moves)
{
	size_t cursor = 0, count = 0;
	struct demand_tried **gone = xcalloc(moves->tried.count + 1, sizeof *gone);
	for (struct demand_tried *tried; (tried = map_next(&moves->tried, &cursor));) {
		if (!tried->seen)
			gone[count++] = tried;
		tried->seen = false;
	}
	while (count > 0) {
		struct demand_tried *tried = gone[--count];
		map_remove(&moves->tried, slice_of(tried->id));
		tried_free(tried);
	}
	free(gone);
}

/* --- whose turn it is --- */

/* Whether siblings had the time to come since the first of them found no room; and a gang, to find some as others go.
 */
static bool is_complete(const struct scheduler *s, const struct demand *demand, int64_t now)
{
	if (demand->cuts)
		return true; /* they have waited for longer */
	if (demand->gang)
		return now - gang_without_room_since(demand->gang, now) >= SIBLINGS_NS;
	if (!demand->pods[0]->pod->owner_uid)
		return true;
	for (size_t i = 0; i < demand->count; i++) {
		const struct waiting_pod *waiting = waiting_find(s->waiting, slice_of(demand->pods[i]->pod->uid));
		if (lacks_room(s, demand->pods[i]) &&
		    now - (waiting ? waiting->since_ns : demand->pods[i]->since_ns) >= SIBLINGS_NS)
			return true;
	}
	return false;
}

static int by_turn(const void *a, const void *b)
{
	const struct demand *one = a, *other = b;
	if (one->priority != other->priority)
		return one->priority > other->priority ? -1 : 1;
	int order = strcmp(one->id, other->id);
	if (order != 0 || !one->count || !other->count)
		return order;
	return strcmp(one->pods[0]->pod->uid, other->pods[0]->pod->uid);
}

/* Those that were not asked about yet would be refused as their siblings were. */
static size_t add_siblings(struct scheduler *s, struct tracked **waiting, size_t count)
{
	struct map owners = {0};
	size_t cursor = 0, all = count;
	for (size_t i = 0; i < count; i++)
		if (waiting[i]->pod->owner_uid)
			map_put(&owners, slice_of(waiting[i]->pod->owner_uid), waiting[i]);
	for (struct tracked *tracked; owners.count > 0 && (tracked = roster_next(s->roster, &cursor));)
		if (tracked->pod->owner_uid && map_get(&owners, slice_of(tracked->pod->owner_uid)) &&
		    !tracked->pod->unschedulable && !waiting_find(s->waiting, slice_of(tracked->pod->uid)) &&
		    may_want(s, tracked))
			waiting[all++] = tracked;
	map_free(&owners);
	return all;
}

/* Singles that wait, those of one demand beside each other; to be freed. */
static struct tracked **singles(struct scheduler *s, size_t *count)
{
	size_t cursor = 0;
	struct tracked **waiting = xcalloc(roster_count(s->roster) + 1, sizeof(struct tracked *));
	for (struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));)
		if (lacks_room(s, tracked) && may_want(s, tracked))
			waiting[(*count)++] = tracked;
	if (*count > 0) {
		*count = add_siblings(s, waiting, *count);
		qsort(waiting, *count, sizeof(struct tracked *), in_order);
	}
	return waiting;
}

/* Singles for which no node can be cut into slices as it stands, and what waits beside them of the same owner, in the
 * same order; to be freed. */
static struct tracked **slices(struct scheduler *s, size_t *count)
{
	const struct map *wishes = &s->repartitions->wishes;
	struct tracked **waiting = xcalloc(wishes->count + 1, sizeof(struct tracked *));
	struct map in_vain = {0};
	size_t cursor = 0;
	for (struct repartition_wish *wish; (wish = map_next(wishes, &cursor));)
		if (wish->in_vain)
			map_put(&in_vain, slice_of(wish->demand), wish);
	cursor = 0;
	for (const struct repartition_wish *wish; in_vain.count > 0 && (wish = map_next(wishes, &cursor));) {
		bool of_it = !wish->served && map_get(&in_vain, slice_of(wish->demand));
		struct tracked *tracked = of_it ? roster_find(s->roster, slice_of(wish->uid)) : NULL;
		if (tracked && is_free_single(s, tracked) && search_may_cut(s, tracked->pod))
			waiting[(*count)++] = tracked;
	}
	map_free(&in_vain);
	if (*count > 0)
		qsort(waiting, *count, sizeof(struct tracked *), in_order);
	return waiting;
}

static void group(
    struct scheduler *s, struct tracked **waiting, size_t waiting_count, bool cuts, struct demand *all, size_t *count)
{
	for (size_t at = 0, end; at < waiting_count; at = end) {
		const struct pod *pod = waiting[at]->pod;
		const struct repartition_wish *wish =
		    cuts ? map_get(&s->repartitions->wishes, slice_of(pod->uid)) : NULL;
		for (end = at + 1; end < waiting_count && by_demand(pod, waiting[end]->pod) == 0;)
			end++;
		all[(*count)++] = (struct demand){.id = wish ? wish->demand : demand_id(pod),
		    .priority = pod->priority,
		    .count = end - at < MOVE_PODS_MAX ? end - at : MOVE_PODS_MAX,
		    .pods = &waiting[at],
		    .cuts = cuts};
	}
}

struct waiting {
	struct tracked **singles, **slices;
	size_t single_count, slice_count;
};

/* All demands, the first in turn first; to be freed. */
static struct demand *demands(struct scheduler *s, const struct waiting *waiting, size_t *count)
{
	struct demand *all =
	    xcalloc(waiting->single_count + waiting->slice_count + s->gangs->in_state[GANG_QUEUED] + 1, sizeof *all);
	size_t cursor = 0;
	group(s, waiting->singles, waiting->single_count, false, all, count);
	group(s, waiting->slices, waiting->slice_count, true, all, count);
	for (struct gang *gang; s->gangs->in_state[GANG_QUEUED] > 0 && (gang = gangs_next(s->gangs, &cursor));)
		if (gang_wants(s, gang))
			all[(*count)++] = (struct demand){.gang = gang, .id = gang->key, .priority = gang->priority};
	if (*count > 0)
		qsort(all, *count, sizeof *all, by_turn);
	return all;
}

static const struct pod *pod_of(const struct demand *demand)
{
	return demand->gang ? demand->gang->members[0]->pod : demand->pods[0]->pod;
}

static struct demand_tried *tried_of(const struct moves *moves, const struct demand *demand)
{
	return demand->cuts ? map_get(&moves->tried, slice_of(demand->id))
	                    : demand_tried_of(moves, demand->gang, pod_of(demand));
}

/* The first demand in order that is complete and was not looked at just now. */
static void choose(struct scheduler *s, const struct demand *all, size_t count)
{
	int64_t now = clock_now();
	bool full = moves_full(s->moves);
	for (size_t i = 0; i < count; i++) {
		struct demand_tried *before = tried_of(s->moves, &all[i]);
		if (before)
			before->seen = true;
		if ((before && now < before->again_ns) || s->moves->search || full || !is_complete(s, &all[i], now))
			continue;
		search_begin(s, &all[i]);
	}
	forget_tried(s->moves);
}

static size_t class_named(const struct policy *policy, const char *name)
{
	size_t c = 0;
	while (c < policy->class_count && strcmp(policy->classes[c].name, name) != 0)
		c++;
	return c;
}

/* As long as a class has pods that room may come for, what was taken for it is not given back. */
static void note_peaks(struct scheduler *s, const struct demand *all, size_t count)
{
	const struct policy *policy = s->policy.inforce;
	bool *peak = xcalloc(policy->class_count + 1, sizeof *peak);
	int64_t now = clock_now();
	enum reason why;
	for (size_t i = 0; i < count; i++) {
		const struct demand_tried *before = tried_of(s->moves, &all[i]);
		const struct policy_class *class_ = policy_class_of(policy, pod_of(&all[i]), &why);
		if (class_ && !(before && before->hopeless))
			peak[class_ - policy->classes] = true;
	}
	for (const struct move *move = s->moves->list; move; move = move->next)
		if (!move->observed && (move->asking || move_holds(&move->steps)))
			peak[class_named(policy, move->class_name)] = true;
	peak[policy->class_count] = false; /* of a class that is no more */
	for (struct move *move = s->moves->list; move; move = move->next)
		if (peak[class_named(policy, move->class_name)])
			move->peak_ns = now;
	free(peak);
}

/* What it leaves over is not known before: others would be ended for what is there by then. */
static bool is_asking(const struct moves *moves)
{
	const struct move *move = moves->list;
	while (move && !move->asking)
		move = move->next;
	return move != NULL;
}

void demand_look(struct scheduler *s)
{
	struct waiting waiting = {.single_count = 0};
	size_t count = 0;
	if (s->moves->search) {
		search_step(s);
		return;
	}
	waiting.singles = singles(s, &waiting.single_count);
	waiting.slices = slices(s, &waiting.slice_count);
	struct demand *all = demands(s, &waiting, &count);
	if (s->moves->list)
		note_peaks(s, all, count);
	s->moves->due = count > 0;
	if (!is_asking(s->moves))
		choose(s, all, count);
	free(all);
	free(waiting.singles);
	free(waiting.slices);
	if (s->moves->search)
		search_step(s);
}

void demand_close(struct moves *moves)
{
	size_t cursor = 0;
	for (struct demand_tried *tried; (tried = map_next(&moves->tried, &cursor));)
		tried_free(tried);
	map_free(&moves->tried);
}
