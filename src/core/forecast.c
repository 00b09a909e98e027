/* Ends of what stands on the nodes that would do, each as room that can be lifted out of the planner's problem; then
 * bisection over these ends, the planner asked each time, level by level. */
#include "berth/forecast.h"

#include <stdlib.h>

#include "core/plan_internal.h"
#include "core/traits.h"

#define SECOND_NS INT64_C(1000000000)
#define FIT_BUDGET 20000 /* steps of the planner's search for one look: some 3 ms */
#define FINE 128         /* a forecast is this much of the wait too late at most */
#define EFFORT_SITE 60
#define EFFORT_ENTRY 300
#define EFFORT_LIFT 150
#define EFFORT_LOOK 2
#define EFFORT_CLEAR 100
#define EFFORT_FIT 30 /* a site and level */
#define EFFORT_RULES 10000

enum phase { PHASE_RULES, PHASE_GATHER, PHASE_LIFT, PHASE_FIT, PHASE_CLEAR, PHASE_DONE };

struct end {
	int64_t at_ns;
	bool lifted;
	struct plan_lift lift;
};

struct forecast_search {
	const struct fleet *fleet;
	uint64_t policy_version, node_changes;
	int64_t now_ns, soon_ns;           /* what stands there now does so for a moment */
	const struct policy_class *class_; /* of the gang: what it may take */
	int32_t priority;
	struct map own; /* UIDs of members with an entry: the planner takes them as away */
	struct plan_problem *problem;
	struct plan_lifter lifter;
	bool lifting; /* the lifter is made */
	enum phase phase;
	size_t next; /* of the phase: site, end */
	int level;   /* of the phase: the one looked at next */
	size_t count, room;
	struct end *ends;
	int64_t target_ns;       /* what ends by then is lifted, or will be */
	int64_t low_ns, high_ns; /* it does not fit at the one, and does at the other */
	int64_t fits_ns;         /* the time that the problem's plan is of */
};

static void enter(struct forecast_search *search, enum phase phase)
{
	search->phase = phase;
	search->next = 0;
	search->level = TOPOLOGY_HOST;
}

static void read_gang(struct forecast_search *search, const struct plan_request *request)
{
	enum reason why;
	search->priority = INT32_MIN;
	for (size_t i = 0; i < request->count; i++) {
		const struct pod *pod = request->members[i].pod;
		const struct ledger_entry *entry = ledger_find(search->fleet, slice_of(pod->uid));
		if (entry)
			map_put(&search->own, slice_of(pod->uid), search);
		if (pod->priority > search->priority)
			search->priority = pod->priority;
	}
	if (request->count > 0 && search->fleet->policy && search->fleet->policy->moves.mode == MOVES_ACT)
		search->class_ = policy_class_of(search->fleet->policy, request->members[0].pod, &why);
}

struct forecast_search *forecast_begin(const struct fleet *fleet, const struct plan_request *request, int64_t now_ns)
{
	struct forecast_search *search = xcalloc(1, sizeof(*search));
	*search = (struct forecast_search){.fleet = fleet,
	    .policy_version = fleet->policy_version,
	    .node_changes = fleet->node_changes,
	    .now_ns = now_ns,
	    .soon_ns = resource_sum(now_ns, SECOND_NS),
	    .low_ns = now_ns - 1,
	    .high_ns = FORECAST_NEVER,
	    .target_ns = now_ns,
	    .fits_ns = FORECAST_NEVER};
	read_gang(search, request);
	search->problem = plan__prepare_sites(fleet, request);
	enter(search, request->count == 0 || search->problem->reason != REASON_CODE_FITS ? PHASE_DONE : PHASE_RULES);
	return search;
}

/* ---- ends ---- */

static int64_t end_by_right(const struct forecast_search *search, const struct ledger_entry *entry)
{
	const struct policy *policy = search->fleet->policy;
	if (!search->class_ || !entry->endable || entry->class_ >= policy->class_count || !entry->traits ||
	    traits_priority(entry->traits) > search->priority)
		return FORECAST_NEVER;
	const struct policy_class *class_ = &policy->classes[entry->class_];
	if (!policy_may_preempt(policy, search->class_, class_))
		return FORECAST_NEVER;
	int64_t from_ns = resource_sum(entry->began_ns, class_->victim.min_runtime_ns);
	return resource_sum(from_ns > search->soon_ns ? from_ns : search->soon_ns, class_->victim.grace_ns);
}

static int64_t end_of(const struct forecast_search *search, const struct ledger_entry *entry)
{
	int64_t now_ns = search->now_ns, end_ns = entry->ends_ns, by_right_ns;
	if (entry->hold || map_get(&search->own, slice_of(entry->uid)))
		return FORECAST_NEVER;
	if (entry->ending)
		return search->soon_ns;
	if (end_ns < search->soon_ns)
		end_ns = end_ns < now_ns - SECOND_NS ? resource_sum(now_ns, now_ns - end_ns) : search->soon_ns;
	by_right_ns = end_by_right(search, entry);
	return by_right_ns < end_ns ? by_right_ns : end_ns;
}

static void add_end(struct forecast_search *search, const struct ledger_entry *entry, int64_t at_ns)
{
	search->ends = xgrow(search->ends, search->count, &search->room, sizeof(*search->ends));
	struct end *end = &search->ends[search->count++];
	*end = (struct end){.at_ns = at_ns};
	plan__lifter_next(&search->lifter);
	plan__lifter_add(&search->lifter, &end->lift, entry);
}

/* By name, since the fleet may have changed. */
static size_t gather(struct forecast_search *search)
{
	size_t effort = EFFORT_SITE;
	if (search->next == search->problem->site_count) {
		enter(search, PHASE_LIFT);
		return effort;
	}
	const struct node *node = fleet_find(search->fleet, slice_of(search->problem->sites[search->next++].name));
	for (const struct ledger_entry *entry = node ? node->entries : NULL; entry; entry = entry->node_next) {
		int64_t at_ns = end_of(search, entry);
		effort += EFFORT_ENTRY;
		if (at_ns < FORECAST_NEVER)
			add_end(search, entry, at_ns);
	}
	return effort;
}

static size_t read_rules(struct forecast_search *search)
{
	struct plan_problem *problem = search->problem;
	if (search->node_changes != search->fleet->node_changes) {
		enter(search, PHASE_DONE); /* the rules' nodes would be others */
		return EFFORT_RULES;
	}
	plan__rules(problem, search->fleet);
	plan__want(problem, plan__keep_order(problem), plan__least(problem));
	plan__lifter_init(&search->lifter, search->fleet, problem);
	search->lifting = true;
	enter(search, PHASE_GATHER);
	return problem->rule_count > 0 ? EFFORT_RULES : EFFORT_SITE;
}

/* ---- bisection ---- */

static size_t lift(struct forecast_search *search)
{
	size_t effort = EFFORT_LOOK;
	if (search->next == search->count) {
		enter(search, PHASE_FIT);
		return effort;
	}
	struct end *end = &search->ends[search->next++];
	bool over = end->at_ns <= search->target_ns;
	if (end->lifted != over) {
		plan__lift(search->problem, &end->lift, !over);
		end->lifted = over;
		effort += EFFORT_LIFT;
	}
	return effort;
}

/* The end in between that is next to the middle; FORECAST_NEVER: there is none, or it is near enough. */
static int64_t next_target(const struct forecast_search *search)
{
	int64_t low_ns = search->low_ns, high_ns = search->high_ns, below_ns = low_ns, above_ns = high_ns;
	int64_t middle_ns = low_ns + (high_ns - low_ns) / 2;
	if (high_ns - low_ns <= (high_ns - search->now_ns) / FINE)
		return FORECAST_NEVER;
	for (size_t i = 0; i < search->count; i++) {
		int64_t at_ns = search->ends[i].at_ns;
		if (at_ns <= middle_ns && at_ns > below_ns)
			below_ns = at_ns;
		if (at_ns > middle_ns && at_ns < above_ns)
			above_ns = at_ns;
	}
	if (below_ns > low_ns)
		return below_ns;
	return above_ns < high_ns ? above_ns : FORECAST_NEVER;
}

static int64_t latest(const struct forecast_search *search)
{
	int64_t latest_ns = search->now_ns;
	for (size_t i = 0; i < search->count; i++)
		if (search->ends[i].at_ns > latest_ns)
			latest_ns = search->ends[i].at_ns;
	return latest_ns;
}

static void aim(struct forecast_search *search, int64_t target_ns)
{
	search->target_ns = target_ns;
	enter(search, PHASE_LIFT);
}

static void looked(struct forecast_search *search, bool fits)
{
	bool first = search->low_ns < search->now_ns && search->target_ns == search->now_ns;
	bool again = search->target_ns == search->high_ns; /* for the nodes */
	if (fits)
		search->high_ns = search->fits_ns = search->target_ns;
	else
		search->low_ns = search->target_ns;
	if (again || (first && fits)) {
		search->fits_ns = fits ? search->fits_ns : FORECAST_NEVER;
		enter(search, PHASE_CLEAR);
		return;
	}
	if (search->high_ns == FORECAST_NEVER) { /* with everything that ends away, or it never fits */
		int64_t latest_ns = latest(search);
		if (latest_ns > search->target_ns)
			aim(search, latest_ns);
		else
			enter(search, PHASE_CLEAR);
		return;
	}
	int64_t target_ns = next_target(search);
	if (target_ns != FORECAST_NEVER)
		aim(search, target_ns);
	else if (!fits)
		aim(search, search->high_ns);
	else
		enter(search, PHASE_CLEAR);
}

/* One level, the tightest first, as the planner goes. */
static size_t fit(struct forecast_search *search)
{
	struct plan_problem *problem = search->problem;
	int required = problem->bundles[0].require, level = search->level;
	if (level == TOPOLOGY_HOST)
		plan__anew(problem);
	problem->budget = FIT_BUDGET;
	problem->effort = PLAN_EFFORT;
	if (plan__try_level(problem, level, true))
		looked(search, true);
	else if (level == required)
		looked(search, false);
	else
		search->level = plan__wider(problem, level);
	return EFFORT_SITE + EFFORT_FIT * problem->site_count;
}

/* What was lifted is needed no more; all at once it would take long. */
static size_t clear(struct forecast_search *search)
{
	if (search->count == 0)
		enter(search, PHASE_DONE);
	else
		plan__lift_free(&search->ends[--search->count].lift);
	return EFFORT_CLEAR;
}

bool forecast_step(struct forecast_search *search, size_t effort)
{
	if (search->policy_version != search->fleet->policy_version) {
		search->fits_ns = FORECAST_NEVER;
		search->phase = PHASE_DONE;
	}
	for (size_t spent = 0; spent < effort && search->phase != PHASE_DONE;)
		switch (search->phase) {
		case PHASE_RULES:
			spent += read_rules(search);
			break;
		case PHASE_GATHER:
			spent += gather(search);
			break;
		case PHASE_LIFT:
			spent += lift(search);
			break;
		case PHASE_FIT:
			spent += fit(search);
			break;
		case PHASE_CLEAR:
			spent += clear(search);
			break;
		case PHASE_DONE:
			break;
		}
	return search->phase == PHASE_DONE;
}

/* ---- the answer ---- */

/* Of a node that is gone meanwhile nothing can be said. */
static void write_nodes(const struct forecast_search *search, struct forecast *forecast)
{
	const struct plan_problem *problem = search->problem;
	bool *seen = xcalloc((size_t)problem->site_count + 1, sizeof(*seen));
	forecast->nodes = xcalloc(problem->best.count + 1, sizeof(struct node *));
	for (size_t i = 0; i < problem->best.count; i++) {
		uint32_t site = problem->best.items[i].site;
		struct node *node = seen[site] ? NULL : fleet_find(search->fleet, slice_of(problem->sites[site].name));
		if (!seen[site] && (!node || !node->spec))
			forecast->start_ns = FORECAST_NEVER;
		else if (!seen[site])
			forecast->nodes[forecast->count++] = node;
		seen[site] = true;
	}
	free(seen);
}

static void search_free(struct forecast_search *search)
{
	struct plan plan;
	plan__anew(search->problem); /* no plan is wanted of it */
	plan_finish(search->fleet, search->problem, &plan);
	plan_free(&plan);
	if (search->lifting)
		plan__lifter_free(&search->lifter);
	for (size_t i = 0; i < search->count; i++)
		plan__lift_free(&search->ends[i].lift);
	free(search->ends);
	map_free(&search->own);
	free(search);
}

void forecast_finish(struct forecast_search *search, struct forecast *forecast)
{
	bool found = search->phase == PHASE_DONE && search->fits_ns == search->high_ns &&
	             search->policy_version == search->fleet->policy_version;
	*forecast = (struct forecast){.start_ns = found ? search->fits_ns : FORECAST_NEVER};
	if (forecast->start_ns != FORECAST_NEVER)
		write_nodes(search, forecast);
	if (forecast->start_ns == FORECAST_NEVER)
		forecast->count = 0;
	search_free(search);
}

void forecast_free(struct forecast *forecast)
{
	free(forecast->nodes);
	*forecast = (struct forecast){.start_ns = FORECAST_NEVER};
}

void forecast_make(
    const struct fleet *fleet, const struct plan_request *request, int64_t now_ns, struct forecast *forecast)
{
	struct forecast_search *search = forecast_begin(fleet, request, now_ns);
	while (!forecast_step(search, SIZE_MAX))
		;
	forecast_finish(search, forecast);
}
