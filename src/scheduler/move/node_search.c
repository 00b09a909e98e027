/* Which node is emptied so that it can be cut into slices: of all on which nothing has GPUs but units that may be
 * ended, the one where that costs least. */
#include <stdlib.h>
#include <string.h>

#include "scheduler/move/search.h"
#include "scheduler/repartition/internal.h"

#define COMING_NS (30 * NS_PER_S) /* what ends by itself within it is waited for */
#define STANDING_MAX 256          /* units with GPUs on one node: MIG slices of 16 GPUs, and more */

bool search_may_cut(const struct scheduler *s, const struct pod *pod)
{
	enum reason why;
	const struct policy *policy = s->policy.inforce;
	const struct policy_class *class_ = policy_class_of(policy, pod, &why);
	return class_ && (class_->may_preempt_count > 0 || headroom_lends(policy, class_) || policy->team_count > 0);
}

struct cut_room {
	size_t left; /* nodes that may be cut yet */
	size_t nodes, pods,
	    fewest; /* those that may be emptied, the pods that they take, and the one that takes least */
};

/* What is only observed counts beside what is done. */
static bool open_pools(const struct scheduler *s, struct move_search *search, bool open[POLICY_POOLS_MAX])
{
	const struct policy *policy = s->policy.inforce;
	const struct pod *pod = search->demand[0]->pod;
	const struct repartition_wish *wish = map_get(&s->repartitions->wishes, slice_of(pod->uid));
	if (!wish || !repartition_pools(s, wish, pod, open))
		return false;
	search->rooms = arena_calloc(&search->arena, policy->pool_count + 1, sizeof *search->rooms);
	for (uint16_t i = 0; i < policy->pool_count; i++) {
		size_t used = repartition_in_use(s, i) + move_node_coming(s, i, true);
		open[i] = open[i] && used < policy->pools[i].mig->max_nodes;
		search->rooms[i].left = open[i] ? policy->pools[i].mig->max_nodes - used : 0;
	}
	return true;
}

void search_nodes_begin(struct scheduler *s, struct move_search *search)
{
	bool open[POLICY_POOLS_MAX] = {false};
	size_t cursor = 0;
	search->emptying = victims_empty_begin(s->fleet, &search->request);
	if (!open_pools(s, search, open))
		return;
	search->nodes = arena_calloc(&search->arena, s->fleet->nodes.count + 1, sizeof *search->nodes);
	for (const struct node *node; (node = map_next(&s->fleet->nodes, &cursor));)
		if (node->pool != POOL_NONE && open[node->pool] && node->spec && !node->spec->repartition &&
		    repartition_is_open(node))
			search->nodes[search->node_count++] = arena_copy(&search->arena, slice_of(node->name));
}

/* --- what stands there --- */

struct standing {
	size_t count;
	size_t units[STANDING_MAX];
};

static bool add(struct standing *standing, size_t unit)
{
	for (size_t i = 0; i < standing->count; i++)
		if (standing->units[i] == unit)
			return true;
	if (standing->count == STANDING_MAX)
		return false;
	standing->units[standing->count++] = unit;
	return true;
}

/* Room kept for the demand's own class is nobody's work. */
static bool is_own_headroom(
    const struct scheduler *s, const struct move_search *search, const struct ledger_entry *entry)
{
	const struct headroom_hold *hold = entry->node->headroom;
	return hold && hold->entry == entry && s->policy.inforce->headroom[hold->rule].for_ == search->request.class_;
}

/* False where something has GPUs that no move may end. */
static bool look_at(struct scheduler *s, const struct move_search *search, const struct node *node, int64_t now,
    struct standing *standing)
{
	standing->count = 0;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
		if (decide_gpu_units(s->fleet, &entry->demand) == 0 || is_own_headroom(s, search, entry))
			continue;
		const struct work_pod *pod = entry->hold ? NULL : work_find(s, entry->uid);
		const struct found *found = pod ? gather_found(s, search, pod) : NULL;
		if (!pod || entry->state != LEDGER_BOUND ||
		    (found ? !add(standing, found->index) : !(pod->deleting && pod->ends_ns < now + COMING_NS)))
			return false;
	}
	return standing->count > 0;
}

static int by_index(const void *a, const void *b)
{
	const size_t *left = a, *right = b;
	return (*left > *right) - (*left < *right);
}

/* --- and whether the pods would fit there then --- */

static const struct policy_mig_config *config_on(struct scheduler *s, const struct move_search *search,
    const struct node *node, struct repartition_amounts *want, int64_t *milli)
{
	const struct pod *pod = search->demand[0]->pod;
	if (!node->spec || node->spec->repartition || !repartition_rules(s, node) || !repartition_is_open(node) ||
	    !pod_selects(pod, node->name, &node->spec->labels) || !repartition_can(node->spec, &s->fleet->names))
		return NULL;
	const struct policy_mig_config *config = repartition_config_for(s, pod, node, want, milli);
	return config && !repartition_asks_already(node, config) ? config : NULL;
}

/* They are alike. */
static size_t pods_on(
    const struct scheduler *s, const struct move_search *search, const struct repartition_amounts *want)
{
	const struct pod *pod = search->demand[0]->pod;
	int64_t count = (int64_t)search->request.demand.count;
	for (uint16_t i = 0; i < pod->demand.count; i++) {
		const char *resource = resource_names_text(&s->fleet->names, pod->demand.items[i].id);
		int64_t each = pod->demand.items[i].amount;
		if (repartition_is_slice(resource) && each > 0 && repartition_amount_of(want, resource) / each < count)
			count = repartition_amount_of(want, resource) / each;
	}
	return count > 0 ? (size_t)count : 0;
}

bool search_node(struct scheduler *s, struct move_search *search)
{
	if (search->node_at == search->node_count)
		return true;
	const char *name = search->nodes[search->node_at++];
	const struct node *node = fleet_find(s->fleet, slice_of(name));
	struct standing standing;
	struct repartition_amounts want;
	int64_t milli;
	if (!node || !node->spec || !look_at(s, search, node, clock_now(), &standing) ||
	    !config_on(s, search, node, &want, &milli))
		return false;
	qsort(standing.units, standing.count, sizeof *standing.units, by_index);
	size_t pods = pods_on(s, search, &want);
	if (victims_empty_try(search->emptying, node, name, standing.units, standing.count, milli * (int64_t)pods)) {
		struct cut_room *room = &search->rooms[node->pool];
		room->fewest = room->nodes == 0 || pods < room->fewest ? pods : room->fewest;
		room->nodes++;
		room->pods += pods;
	}
	return false;
}

bool search_nodes_suffice(const struct scheduler *s, const struct move_search *search)
{
	size_t pods = 0;
	for (uint16_t i = 0; search->rooms && i < s->policy.inforce->pool_count; i++) {
		const struct cut_room *room = &search->rooms[i];
		pods += room->nodes <= room->left ? room->pods : room->left * room->fewest;
	}
	return pods >= search->request.demand.count;
}

const struct policy_mig_config *search_node_chosen(
    struct scheduler *s, struct move_search *search, const char *name, size_t *pods)
{
	const struct node *node = fleet_find(s->fleet, slice_of(name));
	struct standing standing;
	struct repartition_amounts want;
	int64_t milli;
	if (!node || !node->spec || !look_at(s, search, node, clock_now(), &standing))
		return NULL;
	const struct policy_mig_config *config = config_on(s, search, node, &want, &milli);
	*pods = config ? pods_on(s, search, &want) : 0;
	return *pods > 0 ? config : NULL;
}
