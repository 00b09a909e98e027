/* The only part that reads the fleet: one walk over the topology tree judges each node once per shape and sums up what
 * fits, bottom-up. */
#include "core/plan_internal.h"

#include <stdlib.h>

#include "core/headroom.h"
#include "core/index.h"
#include "core/judge.h"
#include "core/teams_internal.h"

#define CPU_WHOLE_SIXTEENTHS 14 /* a node without GPUs is whole while no more than daemons are on it */

/* An entry of a member, or one taken as gone, which does not stand in the gang's way. */
struct returned {
	const struct node *node;
	const struct ledger_entry *entry;
	bool member;
};

struct fixture {
	const struct node *node;
	uint32_t member;
};

struct limits {
	struct map only, never;
};

struct gathering {
	struct teams_gone gone; /* as the request has them */
	struct plan_problem *problem;
	const struct fleet *fleet;
	struct need *needs;    /* by shape */
	struct limits *limits; /* by shape */
	size_t returned_count, fixture_count;
	struct returned *returned; /* by node */
	struct fixture *fixtures;  /* by node */
	int64_t *row;              /* free of one node, by column */
	struct walk {              /* the fleet's nodes, domain by domain as they are visited */
		struct node **nodes;
		size_t count, at;
		size_t *direct; /* of each domain, how many stand in it and in none below */
		size_t domains, domain;
	} walk;
};

/* Nodes lie scattered, and judging one is quick beside fetching it: so those ahead are fetched meanwhile. */
#define WALK_FAR 12
#define WALK_NEAR 6

static int pointer_order(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t) * (const struct node *const *)a,
	          right = (uintptr_t) * (const struct node *const *)b;
	return left < right ? -1 : left > right;
}

/* The first of the items, each beginning with its node, that is of this node or a later one. */
static size_t first_of(const void *items, size_t count, size_t size, const struct node *node)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct node *there = *(const struct node *const *)((const char *)items + middle * size);
		if ((uintptr_t)there < (uintptr_t)node)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void find_entries(struct gathering *gathering)
{
	const struct plan_request *request = gathering->problem->request;
	gathering->returned = xcalloc(request->count + request->gone_count, sizeof(*gathering->returned));
	gathering->fixtures = xcalloc(request->count, sizeof(*gathering->fixtures));
	for (uint32_t i = 0; i < request->count; i++) {
		const struct plan_member *member = &request->members[i];
		const struct ledger_entry *entry = ledger_find(gathering->fleet, slice_of(member->pod->uid));
		if (entry)
			gathering->returned[gathering->returned_count++] = (struct returned){entry->node, entry, true};
		if (member->fixed)
			gathering->fixtures[gathering->fixture_count++] = (struct fixture){member->fixed, i};
	}
	for (size_t i = 0; i < request->gone_count; i++)
		gathering->returned[gathering->returned_count++] =
		    (struct returned){request->gone[i]->node, request->gone[i], false};
	qsort(gathering->returned, gathering->returned_count, sizeof(*gathering->returned), pointer_order);
	qsort(gathering->fixtures, gathering->fixture_count, sizeof(*gathering->fixtures), pointer_order);
}

static void find_limits(const struct plan_names *names, struct map *map)
{
	for (size_t i = 0; i < names->count; i++)
		map_put(map, slice_of(names->names[i]), (void *)(uintptr_t)names->names[i]);
}

/* What headroom still lacks on the node, once those that are taken as gone are: it gets what comes free first. */
static int64_t owed_on(const struct gathering *gathering, const struct node *node, bool gone)
{
	const struct headroom_hold *hold = node->headroom;
	uint16_t class_ = gathering->fleet->policy->headroom[hold->rule].for_;
	int64_t owed = hold->reserved - headroom__held(hold) - headroom__used_by(node, class_, hold->resource);
	size_t at = first_of(gathering->returned, gathering->returned_count, sizeof(*gathering->returned), node);
	for (; gone && at < gathering->returned_count && gathering->returned[at].node == node; at++)
		if (gathering->returned[at].entry->class_ == class_)
			owed += resources_get(&gathering->returned[at].entry->demand, hold->resource);
	return owed > 0 ? owed : 0;
}

/* What of it would be free with all members away and the fixed ones back, and with those that are taken as gone away or
 * not. Less than nothing where more is used than there is. */
static int64_t left_of(const struct gathering *gathering, const struct node *node, resource_id id, bool gone)
{
	int64_t used = node_used(node, id);
	size_t at = first_of(gathering->returned, gathering->returned_count, sizeof(*gathering->returned), node);
	for (; at < gathering->returned_count && gathering->returned[at].node == node; at++)
		if (gone || gathering->returned[at].member)
			used -= resources_get(&gathering->returned[at].entry->demand, id);
	at = first_of(gathering->fixtures, gathering->fixture_count, sizeof(*gathering->fixtures), node);
	for (; at < gathering->fixture_count && gathering->fixtures[at].node == node; at++) {
		const struct plan_member *member =
		    &gathering->problem->request->members[gathering->fixtures[at].member];
		used = resource_sum(used, resources_get(&member->pod->demand, id));
	}
	const struct headroom_hold *hold = node->headroom;
	if (!hold)
		return node_allocatable(node, id) - used;
	if (gathering->problem->headroom & UINT32_C(1) << hold->rule)
		used -= hold->entry ? resources_get(&hold->entry->demand, id) : 0;
	else if (id == hold->resource)
		used += owed_on(gathering, node, gone);
	return node_allocatable(node, id) - used;
}

static int64_t whole_of(const struct gathering *gathering, const struct node *node, resource_id id)
{
	int64_t left = left_of(gathering, node, id, false);
	return left > 0 ? left : 0;
}

static bool is_fixture(const struct gathering *gathering, const struct node *node)
{
	size_t at = first_of(gathering->fixtures, gathering->fixture_count, sizeof(*gathering->fixtures), node);
	return at < gathering->fixture_count && gathering->fixtures[at].node == node;
}

/* Whether the node is part of free blocks, and whether it is wholly free. */
static bool counts_for_blocks(const struct gathering *gathering, const struct node *node, bool *whole)
{
	*whole = false;
	if (!node->spec->ready || node->avoided || node_is_shut(node))
		return false;
	if (!gathering->problem->gpus) {
		int64_t left = whole_of(gathering, node, RESOURCE_CPU), all = node_allocatable(node, RESOURCE_CPU);
		*whole = index_cpu_sixteenths(left, all) >= CPU_WHOLE_SIXTEENTHS;
		return true;
	}
	bool has = false;
	*whole = true;
	for (size_t i = 0; i < node->spec->lane_count; i++) {
		int64_t all = node_allocatable(node, node->spec->lanes[i].resource);
		has |= all > 0;
		*whole &= all <= 0 || whole_of(gathering, node, node->spec->lanes[i].resource) == all;
	}
	*whole &= has;
	return has;
}

static bool named(const struct map *map, const struct node *node)
{
	return map_get(map, slice_of(node->name)) != NULL;
}

/* Nodes without one of the labels that the pod asks for are no domain of its terms. */
static bool has_keys(const struct pod *pod, const struct labels *labels)
{
	for (size_t i = 0; i < pod->affinity_count; i++)
		if (!labels_get(labels, pod->affinity[i].topology_key))
			return false;
	for (size_t i = 0; i < pod->spread_count; i++)
		if (!labels_get(labels, pod->spread[i].topology_key))
			return false;
	return true;
}

static enum reason judge_shape(const struct gathering *gathering, uint32_t s, const struct node *node)
{
	const struct plan_shape *shape = &gathering->problem->shapes[s];
	enum reason verdict = judge_suits(&gathering->needs[s], node);
	if (verdict != REASON_CODE_FITS)
		return verdict;
	if ((shape->limited && !named(&gathering->limits[s].only, node)) ||
	    (shape->never.count > 0 && named(&gathering->limits[s].never, node)) ||
	    !has_keys(shape->pod, &node->spec->labels))
		return REASON_CODE_NODE_SELECTOR;
	uint64_t until = gathering->problem->request->seen_until;
	if (until > 0 && node->improved_at > until)
		return REASON_CODE_HELD_FOR_GANG;
	if (gathering->problem->request->barred && node->pool != POOL_NONE &&
	    gathering->problem->request->barred[node->pool])
		return REASON_CODE_TEAM_LIMIT;
	return judge_team(&gathering->needs[s], node);
}

static uint32_t fit(const struct plan_problem *problem, const struct plan_shape *shape, const int64_t *row)
{
	int64_t most = (int64_t)problem->request->count;
	for (uint32_t c = 0; c < problem->columns && most > 0; c++)
		if (shape->demand[c] > 0 && row[c] / shape->demand[c] < most)
			most = row[c] / shape->demand[c];
	return most > 0 ? (uint32_t)most : 0;
}

static void note_lack(const struct gathering *gathering, uint32_t s, const struct node *node)
{
	struct plan_shape *shape = &gathering->problem->shapes[s];
	if (shape->furthest >= REASON_CODE_NO_GPU)
		return; /* no verdict on room goes further */
	enum reason verdict = judge_room(&gathering->needs[s], node);
	/* Full by members elsewhere in the gang only: none of this node's own. */
	if (verdict != REASON_CODE_FITS && verdict > shape->furthest)
		shape->furthest = verdict;
}

static void add_site(struct gathering *gathering, struct node *node, uint32_t leaf, bool whole)
{
	struct plan_problem *problem = gathering->problem;
	uint32_t site = problem->site_count;
	bool may_any = false, known_free = false;
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		struct plan_shape *shape = &problem->shapes[s];
		enum reason verdict = node->spec ? judge_shape(gathering, s, node) : REASON_CODE_NODE_UNKNOWN;
		shape->may[site] = 0;
		shape->left[site] = 0;
		if (verdict != REASON_CODE_FITS) {
			if (verdict > shape->furthest)
				shape->furthest = verdict;
			continue;
		}
		for (uint32_t c = 0; c < problem->columns && !known_free; c++)
			gathering->row[c] = left_of(gathering, node, problem->resources[c], true);
		known_free = may_any = true;
		shape->may[site] = 1;
		shape->left[site] = fit(problem, shape, gathering->row);
		if (shape->left[site] == 0)
			note_lack(gathering, s, node);
	}
	if (!may_any && !is_fixture(gathering, node))
		return;
	if (known_free)
		memcpy(&problem->free[(size_t)site * problem->columns], gathering->row,
		    problem->columns * sizeof(*gathering->row));
	problem->sites[site] = (struct plan_site){.node = node,
	    .name = problem->at_once ? node->name : arena_copy(&problem->arena, slice_of(node->name)),
	    .leaf = leaf,
	    .block = whole};
	for (int level = 0; level < problem->levels; level++)
		problem->up[(size_t)site * (size_t)problem->levels + (size_t)level] = PLAN_NONE;
	for (uint32_t d = leaf; d != PLAN_NONE && problem->domains[d].level >= 0; d = problem->domains[d].parent)
		problem->up[(size_t)site * (size_t)problem->levels + (size_t)problem->domains[d].level] = d;
	problem->site_count++;
}

static void walk_domain(struct walk *walk, const struct topology_domain *domain)
{
	size_t *direct = &walk->direct[walk->domains++];
	struct node *const *own = topology_own_nodes(domain, direct);
	for (size_t i = 0; i < *direct; i++)
		walk->nodes[walk->count++] = own[i];
	for (const struct topology_domain *child = topology_first_child(domain); child;
	     child = topology_next_child(child))
		walk_domain(walk, child);
}

static struct node *walk_next(struct walk *walk)
{
	if (walk->at + WALK_FAR < walk->count)
		__builtin_prefetch(walk->nodes[walk->at + WALK_FAR]);
	if (walk->at + WALK_NEAR < walk->count) {
		const struct node *near = walk->nodes[walk->at + WALK_NEAR];
		__builtin_prefetch(near->spec);
		__builtin_prefetch((const char *)near->spec + 128);
		__builtin_prefetch(near->used.items);
	}
	if (walk->at + WALK_NEAR / 2 < walk->count && walk->nodes[walk->at + WALK_NEAR / 2]->spec) {
		const struct node_spec *spec = walk->nodes[walk->at + WALK_NEAR / 2]->spec;
		__builtin_prefetch(spec->allocatable.items);
		__builtin_prefetch(spec->lanes);
	}
	return walk->nodes[walk->at++];
}

static void visit(struct gathering *gathering, const struct topology_domain *domain, uint32_t parent)
{
	struct plan_problem *problem = gathering->problem;
	uint32_t number = problem->domain_count++;
	struct plan_domain *here = &problem->domains[number];
	*here = (struct plan_domain){.level = topology_level(domain), .parent = parent, .first = problem->site_count};
	if (here->level >= 0)
		problem->by_level[here->level][problem->level_domains[here->level]++] = number;
	for (size_t left = gathering->walk.direct[gathering->walk.domain++]; left > 0; left--) {
		struct node *node = walk_next(&gathering->walk);
		bool whole, counted = counts_for_blocks(gathering, node, &whole);
		here->counted += counted;
		here->whole += whole;
		add_site(gathering, node, number, whole);
	}
	for (size_t i = 0; parent == PLAN_NONE && i < gathering->fixture_count; i++) {
		struct node *node = gathering->problem->request->members[gathering->fixtures[i].member].fixed;
		if (!node->spec && (i == 0 || gathering->fixtures[i - 1].node != node))
			add_site(gathering, node, number, false);
	}
	here->direct = problem->site_count;
	const struct topology_domain *child = topology_first_child(domain);
	for (; child; child = topology_next_child(child))
		visit(gathering, child, number);
	here->end = problem->site_count;
	here->next = problem->domain_count;
	if (parent != PLAN_NONE) {
		problem->domains[parent].counted += here->counted;
		problem->domains[parent].whole += here->whole;
	}
}

static void find_blocks(struct plan_problem *problem)
{
	for (uint32_t i = 0; i < problem->site_count; i++) {
		struct plan_site *site = &problem->sites[i];
		uint32_t d = site->leaf;
		for (; site->block > 0 && problem->domains[d].level >= 0; d = problem->domains[d].parent)
			if (problem->domains[d].whole == problem->domains[d].counted)
				site->block = problem->domains[d].counted;
	}
}

static void make_room(struct plan_problem *problem, const struct fleet *fleet, size_t extra, struct walk *walk)
{
	struct arena *arena = &problem->arena;
	size_t nodes = topology_nodes(topology_root(fleet)) + extra, domains = 1;
	problem->levels = fleet->policy ? (int)fleet->policy->level_count : 0;
	for (int level = 0; level < problem->levels; level++) {
		problem->by_level[level] =
		    arena_alloc(arena, (topology_domains(fleet, level) + 1) * sizeof(**problem->by_level));
		domains += topology_domains(fleet, level);
	}
	problem->sites = arena_alloc(arena, (nodes + 1) * sizeof(*problem->sites));
	problem->domains = arena_alloc(arena, domains * sizeof(*problem->domains));
	walk->nodes = arena_alloc(arena, (nodes + 1) * sizeof(struct node *));
	walk->direct = arena_alloc(arena, domains * sizeof(*walk->direct));
	problem->up = arena_alloc(arena, (nodes * (size_t)problem->levels + 1) * sizeof(*problem->up));
	problem->free = arena_calloc(arena, nodes * problem->columns + 1, sizeof(*problem->free));
	problem->site_used = arena_calloc(arena, nodes + 1, sizeof(*problem->site_used));
	problem->domain_used = arena_calloc(arena, domains, sizeof(*problem->domain_used));
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		struct plan_shape *shape = &problem->shapes[s];
		shape->may = arena_alloc(arena, nodes + 1);
		shape->left = arena_alloc(arena, (nodes + 1) * sizeof(*shape->left));
		shape->sum = arena_calloc(arena, domains, sizeof(*shape->sum));
	}
}

static void judge_shapes(struct gathering *gathering)
{
	struct plan_problem *problem = gathering->problem;
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		struct plan_shape *shape = &problem->shapes[s];
		struct need *need = &gathering->needs[s];
		need_init(need, gathering->fleet, shape->pod);
		need->gone = &gathering->gone;
		int64_t units = need_gpu_units(gathering->fleet, &shape->pod->demand);
		int64_t cpu = resources_get(&shape->pod->demand, RESOURCE_CPU);
		units = units < INT16_MAX ? units : INT16_MAX;
		cpu = cpu < INT32_MAX ? cpu : INT32_MAX;
		shape->weight = (units << 32) + cpu;
		problem->gpus |= units > 0;
		if (need->reason != REASON_CODE_FITS && shape->members > 0 && problem->reason == REASON_CODE_FITS) {
			problem->reason = need->reason;
			problem->blocking = (size_t)shape->first;
			problem->blocking_reason = problem->reason;
		}
		for (uint32_t c = 0; c < problem->columns; c++)
			for (size_t g = 0; g < need->gpu_count; g++)
				problem->gpu_columns[c] |= need->gpus[g].id == problem->resources[c];
		find_limits(&shape->only, &gathering->limits[s].only);
		find_limits(&shape->never, &gathering->limits[s].never);
	}
}

static void stand_fixed(struct gathering *gathering)
{
	struct plan_problem *problem = gathering->problem;
	for (uint32_t i = 0; i < problem->site_count; i++) {
		const struct node *node = problem->sites[i].node;
		size_t at = first_of(gathering->fixtures, gathering->fixture_count, sizeof(*gathering->fixtures), node);
		for (; at < gathering->fixture_count && gathering->fixtures[at].node == node; at++) {
			uint32_t member = gathering->fixtures[at].member, b = problem->bundle_of[member];
			problem->fixed[member] = i;
			problem->site_used[i]++;
			for (; b != PLAN_NONE; b = problem->bundles[b].parent)
				problem->bundles[b].fixed[problem->bundles[b].fixed_count++] = i;
			for (uint32_t d = problem->sites[i].leaf; d != PLAN_NONE; d = problem->domains[d].parent)
				problem->domain_used[d]++;
		}
	}
}

void plan__sites(struct plan_problem *problem, const struct fleet *fleet)
{
	struct gathering gathering = {
	    .problem = problem, .fleet = fleet, .gone = {problem->request->gone, problem->request->gone_count}};
	find_entries(&gathering);
	make_room(problem, fleet, gathering.fixture_count, &gathering.walk);
	gathering.needs = xcalloc(problem->shape_count, sizeof(*gathering.needs));
	gathering.limits = xcalloc(problem->shape_count, sizeof(*gathering.limits));
	gathering.row = xcalloc(problem->columns + 1, sizeof(*gathering.row));
	judge_shapes(&gathering);
	problem->headroom = UINT32_MAX;
	for (uint32_t s = 0; s < problem->shape_count; s++)
		problem->headroom &= gathering.needs[s].headroom;
	if (problem->reason == REASON_CODE_FITS) {
		walk_domain(&gathering.walk, topology_root(fleet));
		problem->nodes = gathering.walk.nodes;
		problem->node_count = gathering.walk.count;
		visit(&gathering, topology_root(fleet), PLAN_NONE);
		find_blocks(problem);
		stand_fixed(&gathering);
	}
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		need_free(&gathering.needs[s]);
		map_free(&gathering.limits[s].only);
		map_free(&gathering.limits[s].never);
	}
	free(gathering.needs);
	free(gathering.limits);
	free(gathering.returned);
	free(gathering.fixtures);
	free(gathering.row);
}

bool plan__still_there(const struct plan_problem *problem, const struct fleet *fleet, const uint32_t *sites)
{
	const struct plan_request *request = problem->request;
	struct plan_problem again = *problem;
	struct gathering gathering = {.problem = &again, .fleet = fleet};
	struct fixture *chosen = xcalloc(request->count, sizeof(*chosen));
	size_t count = 0;
	bool there = true;
	find_entries(&gathering);
	again.headroom = UINT32_MAX;
	for (uint32_t i = 0; i < request->count && there; i++) {
		struct node *node =
		    sites[i] == PLAN_NONE ? NULL : fleet_find(fleet, slice_of(problem->sites[sites[i]].name));
		if (sites[i] == PLAN_NONE || request->members[i].fixed)
			continue;
		struct need need;
		need_init(&need, fleet, request->members[i].pod);
		again.headroom &= need.headroom;
		there = node && need.reason == REASON_CODE_FITS && judge_suits(&need, node) == REASON_CODE_FITS;
		need_free(&need);
		chosen[count++] = (struct fixture){node, i};
	}
	qsort(chosen, there ? count : 0, sizeof(*chosen), pointer_order);
	for (size_t first = 0, end; there && first < count; first = end) {
		for (end = first; end < count && chosen[end].node == chosen[first].node; end++)
			;
		for (uint32_t c = 0; c < problem->columns && there; c++) {
			int64_t asked = 0;
			for (size_t i = first; i < end; i++)
				asked =
				    resource_sum(asked, resources_get(&request->members[chosen[i].member].pod->demand,
				                            problem->resources[c]));
			there =
			    asked == 0 || asked <= left_of(&gathering, chosen[first].node, problem->resources[c], true);
		}
	}
	free(gathering.returned);
	free(gathering.fixtures);
	free(chosen);
	return there;
}
