/* How well the nodes' labels bear the policy's topology: a row for each level and pool, and what looks wrong. For
 * people who set up a cluster; no decision is made by it. Domains in a survey are the fleet's: valid until its nodes or
 * policy change. */
#ifndef BERTH_SURVEY_H
#define BERTH_SURVEY_H

#include "berth/topology.h"

/* Counts are nodes of the pool, but for `domains`. */
struct survey_row {
	int level;
	uint16_t pool; /* POOL_NONE: nodes that are in none */
	size_t domains, inside, outside;
	size_t cut_off;           /* of those outside: they carry the level's label, and lack that of a wider level */
	size_t smallest, largest; /* domain; 0 where there is none */
};

enum survey_trouble {
	SURVEY_LEVEL_MISSING, /* no node of the pool is in a domain: what requires the level can never be placed there
	                       */
	SURVEY_NAME_TWICE,    /* a domain's name stands in two wider domains: two domains, or nodes labelled wrongly */
	SURVEY_NOTHING_TOGETHER /* no domain has two nodes: the level says no more than the host */
};

struct survey_problem {
	enum survey_trouble trouble;
	int level;
	uint16_t pool;                               /* of SURVEY_LEVEL_MISSING */
	const struct topology_domain *first, *other; /* of SURVEY_NAME_TWICE: the first pair by name … */
	size_t names;                                /* … and how many names there are */
};

struct survey {
	size_t row_count, problem_count, problem_room;
	struct survey_row *rows; /* by level, then pool, POOL_NONE last; pools without nodes left out */
	struct survey_problem *problems;
};

/* Free with survey_free. Nothing is in it while the fleet has no policy. */
void survey_make(const struct fleet *fleet, struct survey *survey);
void survey_free(struct survey *survey);

#endif
