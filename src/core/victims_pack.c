/* For a demand of pods alike: the cheapest set by dynamic programming over the members that are missing. Victims that
 * stand on one site of the scope make a group with the others of that site, of which any subset may go; each other
 * victim is a group of its own. Where no group stands on another's sites and no budget binds, no set is cheaper. */
#include "core/victims_internal.h"

#include <math.h>
#include <stdlib.h>

#define SITE_MAX 8 /* victims of one site of which all subsets are weighed; others of it are left aside */
#define CELLS_MAX ((size_t)1 << 25) /* groups x members missing */
#define EFFORT_CELL 2
#define EFFORT_SUBSET 40

struct choice {
	uint32_t gives; /* members */
	uint8_t mask;   /* of the group's victims */
	double price;
};

struct group {
	uint32_t first, count; /* of `victims` */
	uint32_t choice_first, choice_count;
};

struct victims_pack {
	uint32_t wanted;
	bool exact;
	size_t group_count, group_room, victim_count, victim_room, choice_count, choice_room;
	struct group *groups;
	uint32_t *victims;
	struct choice *choices;
	double *best;   /* by members */
	uint8_t *taken; /* by group and members: a choice of the group + 1 */
	uint32_t next;  /* site, then group */
	bool grouped;
};

void victims__pack_free(struct victims_search *search)
{
	struct victims_pack *pack = search->pack;
	if (!pack)
		return;
	free(pack->groups);
	free(pack->victims);
	free(pack->choices);
	free(pack->best);
	free(pack->taken);
	free(pack);
	search->pack = NULL;
}

/* ---- groups ---- */

static uint32_t fit_with(const struct plan_problem *problem, uint32_t site, const int64_t *given)
{
	const struct plan_shape *shape = &problem->shapes[0];
	int64_t most = (int64_t)problem->request->count;
	for (uint32_t c = 0; c < problem->columns; c++) {
		int64_t free = problem->free[(size_t)site * problem->columns + c] + given[c];
		if (shape->demand[c] > 0 && free / shape->demand[c] < most)
			most = free / shape->demand[c];
	}
	return most > 0 ? (uint32_t)most : 0;
}

static bool matters(const struct victims_search *search, uint32_t site)
{
	const struct plan_scope *scope = &search->set.scope;
	return site >= scope->first && site < scope->end && search->most[site] > search->problem->shapes[0].left[site];
}

/* Sites of the scope where the victim may help; the last of them. */
static uint32_t sites_of(const struct victims_search *search, const struct victim *victim, uint32_t *last)
{
	uint32_t count = 0;
	for (uint32_t use = 0; use < victim->lift.count; use++)
		if (matters(search, victim->lift.sites[use])) {
			*last = use;
			count++;
		}
	return count;
}

static struct group *add_group(struct victims_pack *pack)
{
	pack->groups = xgrow(pack->groups, pack->group_count, &pack->group_room, sizeof(*pack->groups));
	struct group *group = &pack->groups[pack->group_count++];
	*group = (struct group){.first = (uint32_t)pack->victim_count, .choice_first = (uint32_t)pack->choice_count};
	return group;
}

static void add_to_group(struct victims_pack *pack, struct group *group, uint32_t victim)
{
	pack->victims = xgrow(pack->victims, pack->victim_count, &pack->victim_room, sizeof(*pack->victims));
	pack->victims[pack->victim_count++] = victim;
	group->count++;
}

static void add_choice(struct victims_pack *pack, struct group *group, const struct choice *choice)
{
	pack->choices = xgrow(pack->choices, pack->choice_count, &pack->choice_room, sizeof(*pack->choices));
	pack->choices[pack->choice_count++] = *choice;
	group->choice_count++;
}

/* What stands on several sites, and whether it stands there alone. */
static size_t group_wide(struct victims_search *search, uint32_t number)
{
	struct victims_pack *pack = search->pack;
	const struct plan_problem *problem = search->problem;
	const struct victim *victim = &search->victims[number];
	struct choice choice = {.mask = 1, .price = victim->price};
	for (uint32_t use = 0; use < victim->lift.count; use++) {
		uint32_t site = victim->lift.sites[use];
		if (!matters(search, site))
			continue;
		choice.gives += fit_with(problem, site, &victim->lift.amounts[(size_t)use * problem->columns]) -
		                problem->shapes[0].left[site];
		pack->exact &= search->use_first[site + 1] - search->use_first[site] == 1;
	}
	struct group *group = add_group(pack);
	add_to_group(pack, group, number);
	if (choice.gives > 0)
		add_choice(pack, group, &choice);
	return victims__effort(victim);
}

static int cheap_first(const void *a, const void *b)
{
	const struct choice *left = a, *right = b;
	if (left->price != right->price)
		return left->price < right->price ? -1 : 1;
	return left->mask < right->mask ? -1 : left->mask > right->mask;
}

/* Only what gives more than all that is cheaper. */
static void keep_best(struct victims_pack *pack, struct group *group, struct choice *all, size_t count)
{
	uint32_t most = 0;
	qsort(all, count, sizeof(*all), cheap_first);
	for (size_t i = 0; i < count; i++) {
		if (all[i].gives <= most)
			continue;
		most = all[i].gives;
		add_choice(pack, group, &all[i]);
	}
}

static size_t weigh_subsets(
    struct victims_search *search, struct group *group, const int64_t *const *given, uint32_t site)
{
	struct victims_pack *pack = search->pack;
	const struct plan_problem *problem = search->problem;
	struct choice all[1 << SITE_MAX];
	size_t count = 0;
	for (unsigned mask = 1; mask < 1u << group->count; mask++) {
		int64_t row[RESOURCES_PER_OBJECT_MAX * 2] = {0};
		struct choice choice = {.mask = (uint8_t)mask};
		for (uint32_t i = 0; i < group->count; i++) {
			if (!(mask >> i & 1))
				continue;
			choice.price += search->victims[pack->victims[group->first + i]].price;
			for (uint32_t c = 0; c < problem->columns; c++)
				row[c] += given[i][c];
		}
		choice.gives = fit_with(problem, site, row) - problem->shapes[0].left[site];
		if (choice.gives > 0)
			all[count++] = choice;
	}
	keep_best(pack, group, all, count);
	return (size_t)EFFORT_SUBSET << group->count;
}

static size_t group_site(struct victims_search *search, uint32_t site)
{
	struct victims_pack *pack = search->pack;
	const int64_t *given[SITE_MAX];
	struct group *group = NULL;
	if (!matters(search, site))
		return 1;
	for (uint32_t u = search->use_first[site]; u < search->use_first[site + 1]; u++) {
		const struct victim *victim = &search->victims[search->uses[u]];
		uint32_t use = 0;
		if (search->place[search->uses[u]] == PLAN_NONE || sites_of(search, victim, &use) != 1)
			continue;
		if (!group)
			group = add_group(pack);
		if (group->count == SITE_MAX) {
			pack->exact = false;
			continue;
		}
		given[group->count] = &victim->lift.amounts[(size_t)use * search->problem->columns];
		add_to_group(pack, group, search->uses[u]);
	}
	return group ? weigh_subsets(search, group, given, site) : 100;
}

/* ---- the program ---- */

static bool binds(const struct victims_search *search)
{
	int64_t *all = xcalloc(search->budget_count + 1, sizeof(*all));
	bool any = false;
	for (uint32_t i = 0; i < search->set.count; i++) {
		const struct victim *victim = &search->victims[search->set.victims[i]];
		any |= victim->whole != PLAN_NONE;
		for (size_t d = 0; d < victim->draw_count; d++) {
			uint32_t budget = victim->draws[d].budget;
			all[budget] = resource_sum(all[budget], victim->draws[d].amount);
			any |= all[budget] > search->allowed[budget];
		}
	}
	free(all);
	return any;
}

static bool begin(struct victims_search *search)
{
	double missing = search->set.missing[0];
	if (!search->simple || search->problem->columns > RESOURCES_PER_OBJECT_MAX * 2 || missing < 1)
		return false;
	struct victims_pack *pack = search->pack = xcalloc(1, sizeof(*pack));
	pack->wanted = (uint32_t)missing;
	pack->exact = !binds(search);
	pack->next = search->set.scope.first;
	return true;
}

static bool begin_program(struct victims_search *search)
{
	struct victims_pack *pack = search->pack;
	size_t row = (size_t)pack->wanted + 1;
	pack->grouped = true;
	pack->next = 0;
	if (pack->group_count > CELLS_MAX / row)
		return false;
	pack->best = xcalloc(row, sizeof(*pack->best));
	pack->taken = xcalloc(pack->group_count * row + 1, 1);
	for (size_t n = 1; n < row; n++)
		pack->best[n] = INFINITY;
	return true;
}

static size_t add_row(struct victims_pack *pack)
{
	const struct group *group = &pack->groups[pack->next];
	uint8_t *taken = &pack->taken[(size_t)pack->next++ * ((size_t)pack->wanted + 1)];
	for (uint32_t n = pack->wanted; n > 0; n--)
		for (uint32_t i = 0; i < group->choice_count; i++) {
			const struct choice *choice = &pack->choices[group->choice_first + i];
			double with = choice->price + pack->best[n > choice->gives ? n - choice->gives : 0];
			if (with >= pack->best[n])
				continue;
			pack->best[n] = with;
			taken[n] = (uint8_t)(i + 1);
		}
	return 10 + (size_t)EFFORT_CELL * pack->wanted * group->choice_count;
}

static void lift_best(struct victims_search *search)
{
	const struct victims_pack *pack = search->pack;
	uint32_t left = pack->wanted;
	for (size_t g = pack->group_count; g-- > 0 && left > 0;) {
		const struct group *group = &pack->groups[g];
		uint8_t taken = pack->taken[g * ((size_t)pack->wanted + 1) + left];
		if (taken == 0)
			continue;
		const struct choice *choice = &pack->choices[group->choice_first + taken - 1u];
		for (uint32_t i = 0; i < group->count; i++) {
			uint32_t victim = pack->victims[group->first + i];
			if (choice->mask >> i & 1 && victims__allowed(search, &search->victims[victim]) &&
			    !victims__overlaps(search, victim))
				victims__lift(search, victim);
		}
		left = left > choice->gives ? left - choice->gives : 0;
	}
}

/* The best of the whole search may be another scope's, and cheaper. */
static void conclude(struct victims_search *search)
{
	const struct victims_pack *pack = search->pack;
	double least = pack->best[pack->wanted];
	search->settled = pack->exact && least == INFINITY;
	if (least < INFINITY) {
		lift_best(search);
		if (victims__fits(search, &search->set.scope))
			victims__offer(search);
		victims__lower_all(search);
		search->settled = pack->exact && search->best.found && search->best.price <= least + VICTIMS_EPSILON;
	}
}

bool victims__pack(struct victims_search *search, size_t *effort)
{
	search->settled = false;
	if (!search->pack && !begin(search))
		return true;
	struct victims_pack *pack = search->pack;
	const struct victim_set *set = &search->set;
	uint32_t sites = set->scope.end - set->scope.first, unused = 0;
	if (!pack->grouped && pack->next < set->scope.end) {
		*effort += group_site(search, pack->next++);
	} else if (!pack->grouped && pack->next - set->scope.end < set->count) {
		uint32_t victim = set->victims[pack->next++ - set->scope.end];
		if (sites_of(search, &search->victims[victim], &unused) > 1)
			*effort += group_wide(search, victim);
	} else if (!pack->grouped) {
		if (!begin_program(search)) {
			victims__pack_free(search);
			return true;
		}
		*effort += sites;
	} else if (pack->next < pack->group_count) {
		*effort += add_row(pack);
	} else {
		conclude(search);
		*effort += 300000;
		victims__pack_free(search);
		return true;
	}
	return false;
}
