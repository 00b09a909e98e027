#include "core/plan_internal.h"

#include <stdlib.h>

#include "core/shape.h"

/* ---- the members in their own order: by group, rank, name, so that nothing depends on how they were given ---- */

static int member_order(const void *a, const void *b, void *context)
{
	const struct plan_member *members = context;
	const struct plan_member *left = &members[*(const uint32_t *)a], *right = &members[*(const uint32_t *)b];
	if (left->group != right->group)
		return left->group < right->group ? -1 : 1;
	/* As unsigned, PLAN_NO_RANK is behind all others. */
	if (left->rank != right->rank)
		return (uint32_t)left->rank < (uint32_t)right->rank ? -1 : 1;
	int names = strcmp(left->pod->name, right->pod->name);
	return names ? names : strcmp(left->pod->uid, right->pod->uid);
}

static int rank_order(const void *a, const void *b, void *context)
{
	const struct plan_member *members = context;
	const struct plan_member *left = &members[*(const uint32_t *)a], *right = &members[*(const uint32_t *)b];
	if (left->rank != right->rank)
		return (uint32_t)left->rank < (uint32_t)right->rank ? -1 : 1;
	return member_order(a, b, context);
}

/* What is in order already, as members often are, is left as it is. */
static void sort_members(
    const struct plan_request *request, uint32_t *members, int (*order)(const void *a, const void *b, void *context))
{
	void *context = (void *)(uintptr_t)request->members;
	bool sorted = true;
	for (size_t i = 1; i < request->count && sorted; i++)
		sorted = order(&members[i - 1], &members[i], context) <= 0;
	if (!sorted)
		qsort_r(members, request->count, sizeof(*members), order, context);
}

/* ---- shapes ---- */

static int name_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_names(struct shape_key *key, const struct plan_names *names)
{
	shape_key_number(key, (int64_t)names->count);
	if (names->count == 0)
		return;
	const char **sorted = xcalloc(names->count, sizeof(*sorted));
	memcpy(sorted, names->names, names->count * sizeof(*sorted));
	qsort(sorted, names->count, sizeof(*sorted), name_order);
	for (size_t i = 0; i < names->count; i++)
		shape_key_text(key, sorted[i]);
	free(sorted);
}

/* Which of the asks of all these pods mean the pod: labels matter only by that, so that an index in a label makes no
 * shape of its own. */
static void put_meant(struct shape_key *key, const struct pod *pod, const struct pod *const *asking, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t t = 0; t < asking[i]->affinity_count; t++)
			shape_key_number(key, pod_term_matches(asking[i], &asking[i]->affinity[t], pod));
		for (size_t t = 0; t < asking[i]->anti_affinity_count; t++)
			shape_key_number(key, pod_term_matches(asking[i], &asking[i]->anti_affinity[t], pod));
		for (size_t t = 0; t < asking[i]->spread_count; t++)
			shape_key_number(key, spread_matches(asking[i], &asking[i]->spread[t], pod));
	}
}

struct grouping {
	struct arena *arena;
	struct map numbers;  /* key → number + 1 */
	struct slice latest; /* the key that got the number last: most members are as the one before */
	uint32_t count;
};

/* The number of the key, and whether it is new. */
static uint32_t number_of(struct grouping *grouping, const struct shape_key *key, bool *new)
{
	struct slice text = {key->at, key->len};
	*new = false;
	if (grouping->count > 0 && text.len == grouping->latest.len &&
	    memcmp(text.at, grouping->latest.at, text.len) == 0)
		return grouping->count - 1;
	uintptr_t known = (uintptr_t)map_get(&grouping->numbers, text);
	*new = known == 0;
	if (known)
		return (uint32_t)known - 1;
	char *kept = arena_alloc(grouping->arena, key->len);
	memcpy(kept, key->at, key->len);
	grouping->latest = (struct slice){kept, key->len};
	map_put(&grouping->numbers, grouping->latest, (void *)(uintptr_t)(grouping->count + 1));
	return grouping->count++;
}

/* One pod for each different set of asks. */
static size_t collect_asking(struct plan_problem *problem, const uint32_t *order, const struct pod **asking)
{
	struct grouping sets = {.arena = &problem->arena};
	struct shape_key key = {0};
	size_t count = 0;
	for (size_t i = 0; i < problem->request->count; i++) {
		const struct pod *pod = problem->request->members[order[i]].pod;
		bool new;
		if (pod->affinity_count + pod->anti_affinity_count + pod->spread_count == 0)
			continue;
		key.len = 0;
		shape_key_asks(&key, pod);
		number_of(&sets, &key, &new);
		if (new)
			asking[count++] = pod;
	}
	map_free(&sets.numbers);
	shape_key_free(&key);
	return count;
}

static void number_shapes(
    struct plan_problem *problem, const struct fleet *fleet, const uint32_t *order, uint32_t *shape_of)
{
	const struct plan_request *request = problem->request;
	const struct pod **asking = xcalloc(request->count, sizeof(*asking));
	size_t asking_count = collect_asking(problem, order, asking);
	struct grouping shapes = {.arena = &problem->arena};
	struct shape_key key = {0};
	problem->shapes = arena_calloc(&problem->arena, request->count, sizeof(*problem->shapes));
	for (size_t i = 0; i < request->count; i++) {
		const struct plan_member *member = &request->members[order[i]];
		bool new;
		key.len = 0;
		shape_key_pod(&key, fleet, member->pod);
		shape_key_asks(&key, member->pod);
		put_meant(&key, member->pod, asking, asking_count);
		shape_key_number(&key, member->limited);
		put_names(&key, &member->only);
		put_names(&key, &member->never);
		uint32_t number = number_of(&shapes, &key, &new);
		struct plan_shape *shape = &problem->shapes[number];
		if (new)
			*shape = (struct plan_shape){.pod = member->pod,
			    .first = order[i],
			    .only = member->only,
			    .never = member->never,
			    .limited = member->limited};
		shape->members += !member->fixed;
		shape_of[order[i]] = number;
	}
	problem->shape_count = shapes.count;
	map_free(&shapes.numbers);
	shape_key_free(&key);
	free(asking);
}

static void find_columns(struct plan_problem *problem)
{
	uint32_t columns = 0;
	problem->resources = arena_alloc(&problem->arena, RESOURCE_NAMES_MAX * sizeof(*problem->resources));
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		const struct resources *demand = &problem->shapes[s].pod->demand;
		for (uint16_t i = 0; i < demand->count; i++) {
			uint32_t at = 0;
			while (at < columns && problem->resources[at] != demand->items[i].id)
				at++;
			if (at == columns && demand->items[i].amount > 0)
				problem->resources[columns++] = demand->items[i].id;
		}
	}
	problem->columns = columns;
	problem->gpu_columns = arena_calloc(&problem->arena, columns + 1, sizeof(*problem->gpu_columns));
	problem->wanted = arena_calloc(&problem->arena, problem->shape_count, sizeof(*problem->wanted));
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		struct plan_shape *shape = &problem->shapes[s];
		shape->demand = arena_calloc(&problem->arena, columns + 1, sizeof(*shape->demand));
		for (uint32_t c = 0; c < columns; c++)
			shape->demand[c] = resources_get(&shape->pod->demand, problem->resources[c]);
	}
}

/* ---- bundles ---- */

static int level_or_root(int level)
{
	return level == PLAN_NO_LEVEL ? TOPOLOGY_ROOT : level;
}

static uint32_t add_bundle(struct plan_problem *problem, uint32_t parent, int require, int prefer, size_t quorum)
{
	uint32_t number = problem->bundle_count++;
	problem->bundles[number] = (struct plan_bundle){.require = level_or_root(require),
	    .prefer = level_or_root(prefer),
	    .parent = parent,
	    .first_child = PLAN_NONE,
	    .next_sibling = PLAN_NONE,
	    .quorum = (uint32_t)quorum};
	return number;
}

/* A member without a rank comes behind those with one. */
static uint32_t run_of(const struct plan_member *member, size_t segment, uint32_t *unranked)
{
	uint32_t rank = member->rank >= 0 ? (uint32_t)member->rank : (*unranked)++;
	return (uint32_t)(rank / segment);
}

static uint32_t first_unranked(const struct plan_problem *problem, uint16_t group)
{
	int32_t most = -1;
	for (size_t i = 0; i < problem->request->count; i++) {
		const struct plan_member *member = &problem->request->members[i];
		if (member->group == group && member->rank > most)
			most = member->rank;
	}
	return (uint32_t)(most + 1);
}

/* Members come by group, then rank, so those of one bundle stand together. */
static void make_bundles(struct plan_problem *problem, const uint32_t *order, uint32_t *bundle_of)
{
	const struct plan_request *request = problem->request;
	size_t groups = request->group_count;
	problem->bundles = arena_calloc(&problem->arena, 1 + groups + request->count, sizeof(*problem->bundles));
	size_t quorum = request->quorum > 0 && request->quorum < request->count ? request->quorum : request->count;
	add_bundle(problem, PLAN_NONE, request->topology.require, request->topology.prefer, quorum);
	for (size_t g = 0; g < groups; g++) {
		const struct plan_group *group = &request->groups[g];
		add_bundle(problem, 0, group->topology.require, group->topology.prefer, group->quorum);
	}
	uint32_t run = PLAN_NONE, bundle = PLAN_NONE, unranked = 0;
	for (size_t i = 0; i < request->count; i++) {
		const struct plan_member *member = &request->members[order[i]];
		uint32_t above = groups > 0 ? 1u + member->group : 0;
		const struct plan_topology *topology = &request->topology;
		if (groups > 0 && request->groups[member->group].topology.segment > 0)
			topology = &request->groups[member->group].topology;
		bool group_starts = i == 0 || request->members[order[i - 1]].group != member->group;
		if (group_starts) {
			run = PLAN_NONE;
			unranked = first_unranked(problem, member->group);
		}
		bundle_of[order[i]] = above;
		if (topology->segment == 0)
			continue;
		uint32_t number = run_of(member, topology->segment, &unranked);
		if (number != run)
			bundle = add_bundle(problem, above, topology->segment_level, PLAN_NO_LEVEL, 0);
		run = number;
		bundle_of[order[i]] = bundle;
	}
}

/* ---- kinds ---- */

static int kind_order(const void *a, const void *b, void *context)
{
	const struct plan_problem *problem = context;
	const struct plan_kind *left = a, *right = b;
	const struct plan_shape *one = &problem->shapes[left->shape], *other = &problem->shapes[right->shape];
	if (left->bundle != right->bundle)
		return left->bundle < right->bundle ? -1 : 1;
	if (one->weight != other->weight)
		return one->weight > other->weight ? -1 : 1;
	if (one->total != other->total)
		return one->total < other->total ? -1 : 1;
	return left->shape < right->shape ? -1 : left->shape > right->shape;
}

static void make_kinds(
    struct plan_problem *problem, const uint32_t *order, const uint32_t *shape_of, const uint32_t *bundle_of)
{
	const struct plan_request *request = problem->request;
	struct map numbers = {0};
	uint64_t *pairs = arena_alloc(&problem->arena, request->count * sizeof(*pairs));
	uint32_t *kind_of = xcalloc(request->count, sizeof(*kind_of));
	problem->kinds = arena_calloc(&problem->arena, request->count, sizeof(*problem->kinds));
	for (size_t i = 0; i < request->count; i++) {
		uint32_t member = order[i], *kind = &kind_of[member];
		problem->bundles[bundle_of[member]].members++;
		*kind = PLAN_NONE;
		if (request->members[member].fixed)
			continue;
		pairs[i] = (uint64_t)bundle_of[member] << 32 | shape_of[member];
		struct slice key = {(const char *)&pairs[i], sizeof(pairs[i])};
		uintptr_t known = (uintptr_t)map_get(&numbers, key);
		if (!known) {
			known = ++problem->kind_count;
			map_put(&numbers, key, (void *)known);
			problem->kinds[known - 1] =
			    (struct plan_kind){.shape = shape_of[member], .bundle = bundle_of[member]};
		}
		*kind = (uint32_t)known - 1;
		problem->kinds[*kind].count++;
		problem->free_members++;
	}
	for (uint32_t k = 0; k < problem->kind_count; k++) {
		struct plan_kind *kind = &problem->kinds[k];
		kind->members = arena_alloc(&problem->arena, kind->count * sizeof(*kind->members));
		kind->count = 0;
	}
	for (size_t i = 0; i < request->count; i++)
		if (kind_of[order[i]] != PLAN_NONE) {
			struct plan_kind *kind = &problem->kinds[kind_of[order[i]]];
			kind->members[kind->count++] = order[i];
		}
	map_free(&numbers);
	free(kind_of);
}

static void shape_fixed(struct plan_problem *problem, const uint32_t *shape_of, const uint32_t *bundle_of)
{
	const struct plan_request *request = problem->request;
	problem->fixed = arena_alloc(&problem->arena, request->count * sizeof(*problem->fixed));
	problem->kind_of = arena_calloc(&problem->arena, request->count, sizeof(*problem->kind_of));
	problem->shape_of = arena_alloc(&problem->arena, request->count * sizeof(*problem->shape_of));
	for (size_t i = 0; i < request->count; i++) {
		problem->fixed[i] = PLAN_NONE;
		problem->shape_of[i] = shape_of[i];
		if (request->members[i].fixed)
			for (uint32_t b = bundle_of[i]; b != PLAN_NONE; b = problem->bundles[b].parent)
				problem->bundles[b].fixed_room++;
	}
	for (uint32_t b = 0; b < problem->bundle_count; b++) {
		struct plan_bundle *bundle = &problem->bundles[b];
		bundle->fixed = arena_alloc(&problem->arena, (bundle->fixed_room + 1) * sizeof(*bundle->fixed));
	}
	problem->bundle_of = arena_alloc(&problem->arena, request->count * sizeof(*bundle_of));
	memcpy(problem->bundle_of, bundle_of, request->count * sizeof(*bundle_of));
}

bool plan__shape(struct plan_problem *problem, const struct fleet *fleet)
{
	const struct plan_request *request = problem->request;
	uint32_t *order = problem->order = arena_alloc(&problem->arena, request->count * sizeof(*order));
	for (uint32_t i = 0; i < request->count; i++)
		order[i] = i;
	sort_members(request, order, member_order);
	uint32_t *shape_of = xcalloc(request->count, sizeof(*shape_of));
	uint32_t *bundle_of = xcalloc(request->count, sizeof(*bundle_of));
	number_shapes(problem, fleet, order, shape_of);
	find_columns(problem);
	make_bundles(problem, order, bundle_of);
	make_kinds(problem, order, shape_of, bundle_of);
	shape_fixed(problem, shape_of, bundle_of);
	free(shape_of);
	free(bundle_of);
	return topology_nodes(topology_root(fleet)) <= PLAN_CELLS_MAX / problem->shape_count;
}

/* ---- the order of packing ---- */

static int64_t bundle_weight(const struct plan_problem *problem, uint32_t number)
{
	const struct plan_bundle *bundle = &problem->bundles[number];
	int64_t weight = 0;
	for (uint32_t k = bundle->first_kind; k < bundle->first_kind + bundle->kind_count; k++)
		weight +=
		    problem->shapes[problem->kinds[k].shape].weight / (INT64_C(1) << 16) * problem->kinds[k].count;
	for (uint32_t child = bundle->first_child; child != PLAN_NONE; child = problem->bundles[child].next_sibling)
		weight += bundle_weight(problem, child);
	return weight;
}

struct weighed {
	int64_t weight;
	uint32_t bundle;
};

static int weighed_order(const void *a, const void *b)
{
	const struct weighed *left = a, *right = b;
	if (left->weight != right->weight)
		return left->weight > right->weight ? -1 : 1;
	return left->bundle < right->bundle ? -1 : 1;
}

/* Heaviest first. Children have higher numbers than their parents. */
static void link_bundles(struct plan_problem *problem)
{
	struct weighed *weighed = xcalloc(problem->bundle_count, sizeof(*weighed));
	for (uint32_t b = problem->bundle_count; b-- > 1;) {
		struct plan_bundle *bundle = &problem->bundles[b], *parent = &problem->bundles[bundle->parent];
		bundle->next_sibling = parent->first_child;
		parent->first_child = b;
		parent->members += bundle->members;
	}
	for (uint32_t b = 0; b < problem->bundle_count; b++)
		weighed[b] = (struct weighed){bundle_weight(problem, b), b};
	qsort(weighed, problem->bundle_count, sizeof(*weighed), weighed_order);
	for (uint32_t b = 0; b < problem->bundle_count; b++)
		problem->bundles[b].first_child = PLAN_NONE;
	for (uint32_t i = problem->bundle_count; i-- > 0;) {
		struct plan_bundle *bundle = &problem->bundles[weighed[i].bundle];
		if (bundle->parent == PLAN_NONE)
			continue;
		bundle->next_sibling = problem->bundles[bundle->parent].first_child;
		problem->bundles[bundle->parent].first_child = weighed[i].bundle;
	}
	free(weighed);
}

void plan__kinds(struct plan_problem *problem)
{
	qsort_r(problem->kinds, problem->kind_count, sizeof(*problem->kinds), kind_order, problem);
	for (uint32_t k = problem->kind_count; k-- > 0;) {
		struct plan_kind *kind = &problem->kinds[k];
		kind->want = kind->count;
		for (uint32_t i = 0; i < kind->count; i++)
			problem->kind_of[kind->members[i]] = k;
		problem->bundles[kind->bundle].first_kind = k;
		problem->bundles[kind->bundle].kind_count++;
	}
	link_bundles(problem);
}

/* ---- which members an elastic gang takes ---- */

static uint32_t group_bundle(const struct plan_problem *problem, uint32_t member)
{
	return problem->request->group_count > 0 ? 1u + problem->request->members[member].group : 0;
}

uint32_t *plan__keep_order(struct plan_problem *problem)
{
	const struct plan_request *request = problem->request;
	uint32_t *all = xcalloc(request->count, sizeof(*all));
	if (!problem->keep)
		problem->keep = arena_alloc(&problem->arena, (problem->free_members + 1) * sizeof(*problem->keep));
	uint32_t *keep = problem->keep;
	uint32_t *had = xcalloc(problem->bundle_count, sizeof(*had)), kept = 0, rest = 0;
	memcpy(all, problem->order, request->count * sizeof(*all));
	sort_members(request, all, rank_order);
	for (uint32_t b = 0; b < problem->bundle_count; b++)
		had[b] = problem->bundles[b].fixed_count;
	for (uint32_t i = 0; i < request->count; i++) {
		uint32_t group = group_bundle(problem, all[i]);
		if (request->members[all[i]].fixed)
			continue;
		if (group > 0 && had[group] < problem->bundles[group].quorum) {
			had[group]++;
			keep[kept++] = all[i];
		} else {
			all[rest++] = all[i];
		}
	}
	for (int fits = 1; fits >= 0; fits--)
		for (uint32_t i = 0; i < rest; i++)
			if ((problem->shapes[problem->shape_of[all[i]]].total > 0) == fits)
				keep[kept++] = all[i];
	free(had);
	free(all);
	return keep;
}

void plan__want(struct plan_problem *problem, const uint32_t *keep, size_t count)
{
	for (uint32_t k = 0; k < problem->kind_count; k++)
		problem->kinds[k].want = 0;
	memset(problem->wanted, 0, problem->shape_count * sizeof(*problem->wanted));
	for (size_t i = 0; i < count; i++) {
		problem->kinds[problem->kind_of[keep[i]]].want++;
		problem->wanted[problem->shape_of[keep[i]]]++;
	}
}

uint32_t plan__least(const struct plan_problem *problem)
{
	uint32_t groups = 0;
	for (uint32_t b = 1; b <= problem->request->group_count; b++) {
		const struct plan_bundle *bundle = &problem->bundles[b];
		uint32_t quorum = bundle->quorum < bundle->members ? bundle->quorum : bundle->members;
		groups += quorum > bundle->fixed_count ? quorum - bundle->fixed_count : 0;
	}
	const struct plan_bundle *gang = &problem->bundles[0];
	uint32_t whole = gang->quorum > gang->fixed_count ? gang->quorum - gang->fixed_count : 0;
	return whole > groups ? whole : groups;
}
