#include "berth/survey.h"

#include <stdlib.h>

#include "berth/alloc.h"
#include "berth/fleet.h"

struct surveyor {
	const struct fleet *fleet;
	struct survey *survey;
	size_t pools; /* rows a level */
};

static struct survey_row *row_of(const struct surveyor *surveyor, int level, uint16_t pool)
{
	size_t at = pool == POOL_NONE ? surveyor->pools - 1 : pool;
	return &surveyor->survey->rows[(size_t)level * surveyor->pools + at];
}

static struct survey_problem *add_problem(struct survey *survey, enum survey_trouble trouble, int level)
{
	survey->problems =
	    xgrow(survey->problems, survey->problem_count, &survey->problem_room, sizeof(*survey->problems));
	struct survey_problem *problem = &survey->problems[survey->problem_count++];
	*problem = (struct survey_problem){.trouble = trouble, .level = level, .pool = POOL_NONE};
	return problem;
}

static void count_domain(const struct surveyor *surveyor, const struct topology_domain *domain)
{
	for (size_t i = 0; i < surveyor->pools; i++) {
		uint16_t pool = i == surveyor->pools - 1 ? POOL_NONE : (uint16_t)i;
		size_t nodes = topology_pool_nodes(domain, pool);
		struct survey_row *row = row_of(surveyor, topology_level(domain), pool);
		if (nodes == 0)
			continue;
		row->smallest = row->domains == 0 || nodes < row->smallest ? nodes : row->smallest;
		row->largest = nodes > row->largest ? nodes : row->largest;
		row->domains++;
	}
}

static void count_below(const struct surveyor *surveyor, const struct topology_domain *domain)
{
	const struct topology_domain *child = topology_first_child(domain);
	for (; child; child = topology_next_child(child)) {
		count_domain(surveyor, child);
		count_below(surveyor, child);
	}
}

static void count_nodes(const struct surveyor *surveyor)
{
	size_t cursor = 0;
	for (const struct node *node; (node = map_next(&surveyor->fleet->nodes, &cursor));)
		for (size_t level = 0; node->spec && level < surveyor->fleet->policy->level_count; level++) {
			struct survey_row *row = row_of(surveyor, (int)level, node->pool);
			bool inside = topology_domain_of(node, (int)level) != NULL;
			row->inside += inside;
			row->outside += !inside;
			row->cut_off += !inside && node->domains[level].at;
		}
}

/* What the domains of one level are called, and how many nodes they have. */
struct names {
	int level;
	struct map first; /* value → the first domain of that name */
	struct survey_problem *twice;
	struct map repeated;
	size_t largest, domains;
};

static void note_name(const struct surveyor *surveyor, struct names *names, const struct topology_domain *domain)
{
	struct slice value = slice_of(topology_value(domain));
	struct topology_domain *first = map_get(&names->first, value);
	names->domains++;
	names->largest = topology_nodes(domain) > names->largest ? topology_nodes(domain) : names->largest;
	if (!first) {
		map_put(&names->first, value, (void *)(uintptr_t)domain);
		return;
	}
	if (map_get(&names->repeated, value))
		return;
	map_put(&names->repeated, value, first);
	if (!names->twice) {
		names->twice = add_problem(surveyor->survey, SURVEY_NAME_TWICE, names->level);
		names->twice->first = first;
		names->twice->other = domain;
	}
	names->twice->names++;
}

static void walk_names(const struct surveyor *surveyor, struct names *names, const struct topology_domain *domain)
{
	const struct topology_domain *child = topology_first_child(domain);
	for (; child; child = topology_next_child(child)) {
		if (topology_level(child) == names->level)
			note_name(surveyor, names, child);
		else
			walk_names(surveyor, names, child);
	}
}

static void find_problems(const struct surveyor *surveyor, int level)
{
	struct names names = {.level = level};
	for (size_t i = 0; i < surveyor->pools; i++) {
		uint16_t pool = i == surveyor->pools - 1 ? POOL_NONE : (uint16_t)i;
		const struct survey_row *row = row_of(surveyor, level, pool);
		/* Nodes in no pool are often there for other work, unless there are no pools at all. */
		if (row->inside == 0 && row->outside > 0 && (pool != POOL_NONE || surveyor->pools == 1))
			add_problem(surveyor->survey, SURVEY_LEVEL_MISSING, level)->pool = pool;
	}
	walk_names(surveyor, &names, topology_root(surveyor->fleet));
	if (names.largest == 1 && names.domains > 1)
		add_problem(surveyor->survey, SURVEY_NOTHING_TOGETHER, level);
	map_free(&names.first);
	map_free(&names.repeated);
}

static void drop_empty_rows(struct survey *survey)
{
	size_t kept = 0;
	for (size_t i = 0; i < survey->row_count; i++)
		if (survey->rows[i].inside + survey->rows[i].outside > 0)
			survey->rows[kept++] = survey->rows[i];
	survey->row_count = kept;
}

void survey_make(const struct fleet *fleet, struct survey *survey)
{
	*survey = (struct survey){0};
	if (!fleet->policy || fleet->policy->level_count == 0)
		return;
	struct surveyor surveyor = {fleet, survey, fleet->policy->pool_count + 1};
	survey->row_count = fleet->policy->level_count * surveyor.pools;
	survey->rows = xcalloc(survey->row_count, sizeof(*survey->rows));
	for (size_t i = 0; i < survey->row_count; i++) {
		size_t pool = i % surveyor.pools;
		survey->rows[i].level = (int)(i / surveyor.pools);
		survey->rows[i].pool = pool == surveyor.pools - 1 ? POOL_NONE : (uint16_t)pool;
	}
	count_nodes(&surveyor);
	count_below(&surveyor, topology_root(fleet));
	for (size_t level = 0; level < fleet->policy->level_count; level++)
		find_problems(&surveyor, (int)level);
	drop_empty_rows(survey);
}

void survey_free(struct survey *survey)
{
	free(survey->rows);
	free(survey->problems);
	*survey = (struct survey){0};
}
