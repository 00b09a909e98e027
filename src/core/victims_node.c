/* The node that is emptied of GPU pods at the least cost. */
#include <stdlib.h>

#include "berth/repartition.h"
#include "core/victims_internal.h"

struct emptied {
	const char *name; /* NULL = none yet */
	double price, gpus;
	struct victims_cost cost;
	size_t count;
	struct victims_chosen *chosen;
};

struct victims_emptying {
	struct victims_search search;
	bool any;
	enum victims_bar missing; /* of the nodes that are kept */
	struct emptied best;
};

struct victims_emptying *victims_empty_begin(const struct fleet *fleet, const struct victims_request *request)
{
	struct victims_emptying *emptying = xcalloc(1, sizeof(*emptying));
	emptying->search = (struct victims_search){.fleet = fleet, .request = *request, .phase = PHASE_GATHER};
	victims__read_teams(&emptying->search);
	victims__read_budgets(&emptying->search);
	return emptying;
}

static void draw(struct victims_search *search, const struct victim *victim, int64_t times)
{
	for (size_t i = 0; i < victim->draw_count; i++)
		search->drawn[victim->draws[i].budget] += times * victim->draws[i].amount;
}

/* What all before it leave of the budgets has to do for it. */
static enum victims_bar judge(struct victims_search *search, struct victim *victim)
{
	size_t count;
	const struct ledger_entry **entries =
	    victims__entries(search->fleet, &search->request.units[victim->unit], &count);
	enum victims_bar bar = victims__judge(search, victim->unit, entries, count, &victim->right);
	victims__add_draws(search, victim, entries, count);
	if (bar == VICTIMS_BAR_NONE)
		bar = victims__judge_draws(search, victim);
	for (size_t i = 0; bar == VICTIMS_BAR_NONE && i < victim->draw_count; i++) {
		size_t budget = victim->draws[i].budget;
		if (resource_sum(search->drawn[budget], victim->draws[i].amount) > search->allowed[budget])
			bar = budget < search->request.budget_count ? VICTIMS_BAR_BUDGET : VICTIMS_BAR_GUARANTEE;
	}
	if (bar == VICTIMS_BAR_NONE) {
		victims__price(search, victim);
		draw(search, victim, 1);
	}
	free(entries);
	return bar;
}

static void add_cost(struct victims_cost *sum, const struct victims_cost *cost)
{
	sum->lost_work += cost->lost_work;
	sum->class_ += cost->class_;
	sum->age += cost->age;
	sum->units += cost->units;
	sum->budgets += cost->budgets;
	sum->moves += cost->moves;
}

static bool is_better(const struct emptied *one, const struct emptied *other)
{
	if (!other->name)
		return true;
	if (one->price < other->price - VICTIMS_EPSILON || one->price > other->price + VICTIMS_EPSILON)
		return one->price < other->price;
	if (one->gpus < other->gpus - VICTIMS_EPSILON || one->gpus > other->gpus + VICTIMS_EPSILON)
		return one->gpus < other->gpus;
	return strcmp(one->name, other->name) < 0;
}

static int by_unit(const void *a, const void *b)
{
	const struct victims_chosen *left = a, *right = b;
	return (left->unit > right->unit) - (left->unit < right->unit);
}

/* The hardest of the bars of what stands on one node keeps it; of all nodes the softest is told. */
bool victims_empty_try(struct victims_emptying *emptying, const struct node *node, const char *name,
    const size_t *units, size_t count, int64_t takes_milli)
{
	struct victims_search *search = &emptying->search;
	struct victim *victims = xcalloc(count + 1, sizeof(*victims));
	struct emptied made = {.name = name, .count = count, .gpus = node->spec ? repartition_cost(node->spec) : 0};
	enum victims_bar hardest = VICTIMS_BAR_COUNT;
	search->takes_milli = takes_milli;
	made.chosen = xcalloc(count + 1, sizeof(*made.chosen));
	for (size_t i = 0; i < count; i++) {
		victims[i] = (struct victim){.unit = units[i], .whole = PLAN_NONE};
		enum victims_bar bar = judge(search, &victims[i]);
		if (bar != VICTIMS_BAR_NONE) {
			hardest = bar < hardest ? bar : hardest;
			continue;
		}
		victims[i].lifted = true;
		made.chosen[i] = (struct victims_chosen){units[i], victims[i].right, victims[i].cost, victims[i].milli};
		add_cost(&made.cost, &victims[i].cost);
	}
	for (size_t i = 0; i < count; i++) {
		if (victims[i].lifted)
			draw(search, &victims[i], -1);
		free(victims[i].draws);
	}
	free(victims);
	made.price = victims_cost_total(&made.cost);
	emptying->any = true;
	bool better = hardest == VICTIMS_BAR_COUNT && is_better(&made, &emptying->best);
	if (hardest != VICTIMS_BAR_COUNT && hardest > emptying->missing)
		emptying->missing = hardest;
	if (better) {
		free(emptying->best.chosen);
		emptying->best = made;
	} else {
		free(made.chosen);
	}
	return hardest == VICTIMS_BAR_COUNT;
}

void victims_empty_finish(struct victims_emptying *emptying, struct victims_answer *answer, const char **name)
{
	struct victims_search *search = &emptying->search;
	const struct emptied *best = &emptying->best;
	*answer = (struct victims_answer){.verdict = best->name      ? VICTIMS_FOUND
	                                             : emptying->any ? VICTIMS_BARRED
	                                                             : VICTIMS_NO_ROOM,
	    .exact = true,
	    .count = best->count,
	    .chosen = best->chosen,
	    .cost = best->cost};
	if (answer->verdict == VICTIMS_BARRED)
		answer->missing = emptying->missing;
	if (answer->count > 1)
		qsort(answer->chosen, answer->count, sizeof(*answer->chosen), by_unit);
	*name = best->name;
	victims__free_teams(search);
	free(search->demand_milli);
	free(search->allowed);
	free(search->drawn);
	free(emptying);
}
