/* What people are told of teams: /v1/status, /v1/state, explanations, /readyz, metrics. */
#include <inttypes.h>
#include <stdio.h>

#include "scheduler/json.h"
#include "scheduler/team/team.h"

#define TEXT_MAX 32

struct gpus {
	char text[TEXT_MAX];
};

/* 8, 2.5, 0.143 */
static struct gpus gpus(int64_t milli)
{
	struct gpus shown;
	snprintf(shown.text, sizeof shown.text, "%.12g", (double)milli / MILLI_GPU);
	return shown;
}

static const struct policy_team *team_at(const struct scheduler *s, uint16_t team)
{
	return &s->policy.inforce->teams[team];
}

static const char *pool_name(const struct scheduler *s, uint16_t pool)
{
	return s->policy.inforce->pools[pool].name;
}

void team_bound_line(const struct scheduler *s, const struct team_bound *bound, char text[TEAM_LINE_MAX])
{
	snprintf(text, TEAM_LINE_MAX, "team %s uses %s of %s %s, asks %s", team_at(s, bound->team)->name,
	    gpus(bound->used).text, gpus(bound->limit).text, pool_name(s, bound->pool), gpus(bound->asked).text);
}

void team_name(const struct scheduler *s, const char *namespace_, struct buf *out)
{
	uint16_t team = team_of(s->fleet, namespace_);
	if (team == TEAM_NONE)
		return;
	buf_char(out, ',');
	member(out, "team", team_at(s, team)->name);
}

void team_explain(const struct scheduler *s, const struct team_bound *bound, struct buf *out)
{
	char line[TEAM_LINE_MAX];
	team_bound_line(s, bound, line);
	buf_text(out, ",\"teamBound\":{");
	member(out, "team", team_at(s, bound->team)->name);
	buf_char(out, ',');
	member(out, "pool", pool_name(s, bound->pool));
	buf_printf(out, ",\"used\":%s,\"limit\":%s,\"asked\":%s,", gpus(bound->used).text, gpus(bound->limit).text,
	    gpus(bound->asked).text);
	member(out, "line", line);
	buf_char(out, '}');
}

static bool is_told(const struct scheduler *s, uint16_t team, uint16_t pool)
{
	return team_used(s->fleet, team, pool) > 0 || team_at(s, team)->guaranteed[pool] > 0 ||
	       team_at(s, team)->limit[pool] >= 0;
}

static void write_pools(const struct scheduler *s, uint16_t team, struct buf *out)
{
	bool first = true;
	for (uint16_t pool = 0; pool < s->policy.inforce->pool_count; pool++) {
		int64_t limit = team_at(s, team)->limit[pool];
		if (!is_told(s, team, pool))
			continue;
		buf_text(out, first ? "{" : ",{");
		first = false;
		member(out, "pool", pool_name(s, pool));
		buf_printf(out, ",\"used\":%s,\"guaranteed\":%s,\"limit\":%s,\"borrowed\":%s,\"claim\":%s}",
		    gpus(team_used(s->fleet, team, pool)).text, gpus(team_at(s, team)->guaranteed[pool]).text,
		    limit < 0 ? "null" : gpus(limit).text, gpus(team_borrowed(s->fleet, team, pool)).text,
		    gpus(team_claim(s->fleet, team, pool)).text);
	}
}

void team_write_all(const struct scheduler *s, struct buf *out)
{
	for (uint16_t team = 0; team < s->policy.inforce->team_count; team++) {
		uint16_t parent = team_at(s, team)->parent;
		buf_text(out, team ? ",\n{" : "\n{");
		member(out, "name", team_at(s, team)->name);
		buf_char(out, ',');
		member(out, "parent", parent == TEAM_NONE ? NULL : team_at(s, parent)->name);
		buf_printf(out, ",\"weight\":%g,\"spentGPUHours\":%.6g,\"pools\":[", team_at(s, team)->weight,
		    team_spent(s->fleet, team) / 3600);
		write_pools(s, team, out);
		buf_text(out, "]}");
	}
}

/* --- more guaranteed than there is --- */

/* A team's guarantee covers those of the teams below it. */
static int64_t guaranteed_of(const struct scheduler *s, uint16_t pool)
{
	int64_t sum = 0;
	for (uint16_t team = 0; team < s->policy.inforce->team_count; team++) {
		bool covered = false;
		uint16_t above = team_at(s, team)->parent;
		for (; above != TEAM_NONE && !covered; above = team_at(s, above)->parent)
			covered = team_at(s, above)->guaranteed[pool] > 0;
		sum += covered ? 0 : team_at(s, team)->guaranteed[pool];
	}
	return sum;
}

/* The next pool of which more is guaranteed than there is; false behind the last. */
static bool next_short(const struct scheduler *s, const int64_t *there, uint16_t *pool)
{
	while (*pool < s->policy.inforce->pool_count && guaranteed_of(s, *pool) <= there[*pool])
		++*pool;
	return *pool < s->policy.inforce->pool_count;
}

static void count_pools(const struct scheduler *s, int64_t there[POLICY_POOLS_MAX])
{
	size_t cursor = 0;
	memset(there, 0, POLICY_POOLS_MAX * sizeof *there);
	for (struct node *node; s->fleet->teams && (node = map_next(&s->fleet->nodes, &cursor));)
		if (node->spec && node->pool != POOL_NONE)
			there[node->pool] += team_whole_node(node);
}

static void short_line(const struct scheduler *s, uint16_t pool, const int64_t *there, struct buf *out)
{
	buf_printf(out, "%s GPUs of pool %s are guaranteed, it has %s", gpus(guaranteed_of(s, pool)).text,
	    pool_name(s, pool), gpus(there[pool]).text);
}

void team_ready(const struct scheduler *s, struct buf *out)
{
	int64_t there[POLICY_POOLS_MAX];
	if (!s->fleet->teams)
		return;
	count_pools(s, there);
	for (uint16_t pool = 0; next_short(s, there, &pool); pool++) {
		buf_text(out, "warn teams: ");
		short_line(s, pool, there, out);
		buf_char(out, '\n');
	}
}

void team_write_short(const struct scheduler *s, struct buf *out)
{
	int64_t there[POLICY_POOLS_MAX];
	bool first = true;
	if (!s->fleet->teams)
		return;
	count_pools(s, there);
	for (uint16_t pool = 0; next_short(s, there, &pool); pool++) {
		buf_text(out, first ? "\"" : ",\"");
		first = false;
		short_line(s, pool, there, out); /* names are label values: nothing to escape */
		buf_char(out, '"');
	}
}

/* --- metrics --- */

void team_gather(struct scheduler *s)
{
	struct metric *metric = s->instruments.team_gpus;
	metric_reset(metric);
	for (uint16_t team = 0; team < s->policy.inforce->team_count; team++)
		for (uint16_t pool = 0; pool < s->policy.inforce->pool_count; pool++) {
			const struct policy_team *of = team_at(s, team);
			const char *in = pool_name(s, pool);
			if (!is_told(s, team, pool))
				continue;
			metric_set(
			    metric, (double)team_used(s->fleet, team, pool) / MILLI_GPU, of->name, in, "used", NULL);
			metric_set(metric, (double)team_borrowed(s->fleet, team, pool) / MILLI_GPU, of->name, in,
			    "borrowed", NULL);
			metric_set(metric, (double)of->guaranteed[pool] / MILLI_GPU, of->name, in, "guaranteed", NULL);
			if (of->limit[pool] >= 0)
				metric_set(metric, (double)of->limit[pool] / MILLI_GPU, of->name, in, "limit", NULL);
		}
}
