/* When and where a gang will have room, by what is expected of the run times of what stands there: the earliest time by
 * which so much of it is over that the gang's quorum fits, and the nodes on which it then fits.
 *
 *   over     a pod by the end expected of it (ledger_expect); one that is overdue when it has been overdue for as long
 *            again; one that is being deleted at once; one of a class from which the gang's class may take, once its
 *            own minRuntime and grace are over, where moves are made. None is over within a second
 *   never    everything else: what nothing is known of stays for ever
 *
 * Whether the gang fits is the planner's word (berth/plan.h), on the fleet without what is over. What comes meanwhile
 * is not foreseen: keep it off by a hold (berth/hold.h). The same fleet and request give the same forecast.
 *
 * The search goes on in steps, so that the loop that owns the fleet never waits long. The fleet may change meanwhile,
 * and the forecast is then of a state in between; under another policy there is none. The pods of the request live
 * until forecast_finish, and so do its arrays. */
#ifndef BERTH_FORECAST_H
#define BERTH_FORECAST_H

#include "berth/plan.h"

#define FORECAST_NEVER INT64_MAX

struct forecast {
	int64_t start_ns; /* by the caller's clock, not before `now_ns`; FORECAST_NEVER = nobody knows */
	size_t count;
	struct node **nodes; /* where it then fits; none if never */
};

struct forecast_search;

/* Looks at each node once: about half a microsecond a node. */
struct forecast_search *forecast_begin(const struct fleet *fleet, const struct plan_request *request, int64_t now_ns);
/* Goes on for about so much effort, some nanoseconds each; true when there is nothing more to do. */
bool forecast_step(struct forecast_search *search, size_t effort);
#define FORECAST_EFFORT 100000 /* a step of about a millisecond */
/* The answer, FORECAST_NEVER where the search was not done; frees the search. Nodes are the fleet's. */
void forecast_finish(struct forecast_search *search, struct forecast *forecast);
void forecast_free(struct forecast *forecast);

/* The three at once. */
void forecast_make(
    const struct fleet *fleet, const struct plan_request *request, int64_t now_ns, struct forecast *forecast);

#endif
