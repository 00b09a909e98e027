/* Greedy packing: the largest members first; into a domain that holds them all if there is one, the fullest such; else
 * over as few as will do, the roomiest first and the rest into the fullest that holds it; and so on downwards to the
 * hosts. */
#include "core/plan_internal.h"

#include <stdlib.h>

static uint32_t fit(const struct plan_problem *problem, const struct plan_shape *shape, uint32_t site)
{
	const int64_t *row = &problem->free[(size_t)site * problem->columns];
	int64_t most = (int64_t)problem->request->count;
	for (uint32_t c = 0; c < problem->columns && most > 0; c++)
		if (shape->demand[c] > 0 && row[c] / shape->demand[c] < most)
			most = row[c] / shape->demand[c];
	return most > 0 ? (uint32_t)most : 0;
}

void plan__refit(struct plan_problem *problem, uint32_t site)
{
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		struct plan_shape *shape = &problem->shapes[s];
		uint32_t before = shape->left[site], now = shape->may[site] ? fit(problem, shape, site) : 0;
		shape->left[site] = now;
		for (uint32_t d = problem->sites[site].leaf; now != before && d != PLAN_NONE;
		     d = problem->domains[d].parent)
			shape->sum[d] = shape->sum[d] - before + now;
	}
}

static void move(struct plan_problem *problem, const struct plan_step *step, bool back)
{
	const struct plan_shape *shape = &problem->shapes[problem->kinds[step->kind].shape];
	int64_t *row = &problem->free[(size_t)step->site * problem->columns];
	uint32_t add = back ? 0u - step->count : step->count; /* unsigned arithmetic wraps */
	for (uint32_t c = 0; c < problem->columns; c++)
		row[c] += (back ? 1 : -1) * shape->demand[c] * (int64_t)step->count;
	plan__refit(problem, step->site);
	problem->kinds[step->kind].placed += add;
	problem->site_used[step->site] += add;
	for (uint32_t d = problem->sites[step->site].leaf; d != PLAN_NONE; d = problem->domains[d].parent)
		problem->domain_used[d] += add;
	if (shape->rule_count == 0)
		return;
	uint32_t number = problem->kinds[step->kind].shape;
	if (back)
		plan__rules_undo(problem, number, step->site, step->count);
	else
		plan__rules_take(problem, number, step->site, step->count);
}

void plan__take(struct plan_problem *problem, uint32_t kind, uint32_t site, uint32_t count)
{
	struct plan_steps *steps = &problem->steps;
	steps->items = xgrow(steps->items, steps->count, &steps->room, sizeof(*steps->items));
	steps->items[steps->count] = (struct plan_step){kind, site, count};
	move(problem, &steps->items[steps->count++], false);
}

void plan__undo(struct plan_problem *problem, size_t steps)
{
	while (problem->steps.count > steps)
		move(problem, &problem->steps.items[--problem->steps.count], true);
}

/* ---- one kind into one scope ---- */

/* A part of the scope: a child domain, or a host that is in none. */
struct part {
	struct plan_scope scope;
	uint32_t room, unused, block;
	bool done;
};

struct parts {
	size_t count;
	struct part *items;
};

static void add_part(
    const struct plan_problem *problem, struct parts *parts, uint32_t shape, const struct plan_scope *scope, bool used)
{
	uint32_t room = plan__sum(problem, shape, scope);
	if (room > 0)
		parts->items[parts->count++] = (struct part){*scope, room, !used, plan__block(problem, scope), false};
}

static int roomiest_first(const void *a, const void *b)
{
	const struct part *left = a, *right = b;
	if (left->room != right->room)
		return left->room > right->room ? -1 : 1;
	if (left->unused != right->unused)
		return left->unused < right->unused ? -1 : 1;
	if (left->block != right->block)
		return left->block < right->block ? -1 : 1;
	return left->scope.first < right->scope.first ? -1 : 1;
}

static struct parts parts_of(const struct plan_problem *problem, uint32_t shape, const struct plan_scope *scope)
{
	const struct plan_domain *domain = &problem->domains[scope->index];
	struct parts parts = {0};
	size_t most = domain->direct - domain->first;
	for (uint32_t child = scope->index + 1; child < domain->next; child = problem->domains[child].next)
		most++;
	parts.items = xcalloc(most + 1, sizeof(*parts.items));
	for (uint32_t site = domain->first; site < domain->direct; site++) {
		struct plan_scope host = {TOPOLOGY_HOST, site, site, site + 1};
		add_part(problem, &parts, shape, &host, problem->site_used[site] > 0);
	}
	for (uint32_t child = scope->index + 1; child < domain->next; child = problem->domains[child].next) {
		const struct plan_domain *of = &problem->domains[child];
		struct plan_scope below = {of->level, child, of->first, of->end};
		add_part(problem, &parts, shape, &below, problem->domain_used[child] > 0);
	}
	qsort(parts.items, parts.count, sizeof(*parts.items), roomiest_first);
	return parts;
}

/* Of the parts that hold all of `want`: a used one, the least broken into, the fullest. */
static struct part *fullest(struct parts *parts, uint32_t want)
{
	struct part *best = NULL;
	for (size_t i = 0; i < parts->count && parts->items[i].room >= want; i++) {
		struct part *part = &parts->items[i];
		if (part->done)
			continue;
		if (!best || part->unused < best->unused ||
		    (part->unused == best->unused &&
		        (part->block < best->block || (part->block == best->block && part->room < best->room))))
			best = part;
	}
	return best;
}

static uint32_t fill(struct plan_problem *problem, uint32_t kind, const struct plan_scope *scope, uint32_t want)
{
	uint32_t shape = problem->kinds[kind].shape, placed = 0;
	if (scope->level == TOPOLOGY_HOST) {
		uint32_t room = problem->shapes[shape].left[scope->index];
		room = plan__aim_room(problem, shape, scope->index, room < want ? room : want);
		if (room > 0)
			plan__take(problem, kind, scope->index, room);
		return room;
	}
	struct parts parts = parts_of(problem, shape, scope);
	for (size_t next = 0; placed < want;) {
		struct part *part = fullest(&parts, want - placed);
		while (!part && next < parts.count && parts.items[next].done)
			next++;
		if (!part && next == parts.count)
			break;
		part = part ? part : &parts.items[next];
		part->done = true;
		uint32_t asked = part->room < want - placed ? part->room : want - placed;
		placed += fill(problem, kind, &part->scope, asked);
	}
	free(parts.items);
	return placed;
}

/* ---- bundles ---- */

bool plan__pack(struct plan_problem *problem, uint32_t number, const struct plan_scope *scope)
{
	const struct plan_bundle *bundle = &problem->bundles[number];
	size_t before = problem->steps.count;
	bool packed = plan__might(problem, number, scope);
	for (uint32_t child = bundle->first_child; packed && child != PLAN_NONE;
	     child = problem->bundles[child].next_sibling)
		packed = plan__choose(problem, child, scope);
	for (uint32_t k = bundle->first_kind; packed && k < bundle->first_kind + bundle->kind_count; k++)
		packed = fill(problem, k, scope, problem->kinds[k].want) == problem->kinds[k].want;
	if (!packed)
		plan__undo(problem, before);
	return packed;
}

uint32_t plan__pour(struct plan_problem *problem, const struct plan_scope *scope)
{
	uint32_t placed = 0;
	for (uint32_t k = 0; k < problem->kind_count; k++)
		placed += fill(problem, k, scope, problem->kinds[k].want);
	return placed;
}
