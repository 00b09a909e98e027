/* Moves begin to be made and end, with the policy that has them; the disruption budgets they keep within are watched
 * meanwhile. */
#include <stdlib.h>

#include "base/log.h"
#include "scheduler/move/internal.h"

#define PATH_BUDGETS "/apis/policy/v1/poddisruptionbudgets"

static void budgets_begin_list(void *ctx)
{
	struct scheduler *s = ctx;
	if (s->moves)
		budgets_begin(s->moves->budgets);
}

static void budgets_object(void *ctx, enum kube_change change, struct slice object)
{
	struct scheduler *s = ctx;
	struct err err;
	if (s->moves)
		s->moves->budget_changes++;
	if (s->moves && (change == KUBE_DELETED ? budgets_remove : budgets_put)(s->moves->budgets, object, &err) != 0)
		log_error("a disruption budget cannot be read", "error=%s", log_quote(err.text));
}

static void budgets_listed(void *ctx)
{
	struct scheduler *s = ctx;
	if (!s->moves)
		return;
	budgets_synced(s->moves->budgets);
	s->moves->budget_changes++;
	s->moves->budgets_known = true;
	moves_soon(s);
}

/* An API server without them has none; where they may not be read nothing is ended. */
static void budgets_unavailable(void *ctx, unsigned status, const char *reason)
{
	struct scheduler *s = ctx;
	if (!s->moves)
		return;
	s->moves->budgets_known = status == 404;
	if (!s->moves->budgets_known)
		log_warn("disruption budgets may not be read: no moves are made", "status=%u error=%s", status,
		    log_quote(reason ? reason : ""));
	moves_soon(s);
}

void moves_start(struct scheduler *s)
{
	if (!s->moves || !s->kube || s->moves->budget_watch || s->policy.inforce->moves.mode == MOVES_OFF)
		return;
	s->moves->budget_watch =
	    kube_watch_start(s->kube, &(struct kube_watch_options){.path = PATH_BUDGETS, .optional = true},
	        &(struct kube_watch_handlers){.begin = budgets_begin_list,
	            .object = budgets_object,
	            .synced = budgets_listed,
	            .unavailable = budgets_unavailable,
	            .ctx = s});
	move_later(s);
}

void moves_open(struct scheduler *s)
{
	if (s->moves)
		return;
	s->moves = xcalloc(1, sizeof *s->moves);
	s->moves->budgets = budgets_new();
	moves_start(s);
	if (s->pods_synced)
		scheduler_list_pods(s); /* what is bound is to be looked at once more */
}

void moves_policy(struct scheduler *s)
{
	if (s->policy.inforce->moves.mode != MOVES_OFF)
		moves_open(s);
	else if (s->moves)
		demand_close(s->moves); /* nobody looks for room any more */
	closed_policy(s);
	moves_start(s);
	moves_soon(s);
}

void moves_close(struct scheduler *s)
{
	struct moves *moves = s->moves;
	if (!moves)
		return;
	moves_drop_search(s);
	while (moves->list) {
		struct move *move = moves->list;
		moves->list = move->next;
		move_free(move);
	}
	over_free(moves);
	orphans_free(moves);
	demand_close(moves);
	work_free_all(moves);
	past_free(moves);
	makers_free(moves);
	keep_close(&moves->kept);
	map_free(&moves->by_unit);
	map_free(&moves->by_place);
	budgets_free(moves->budgets);
	free(moves);
	s->moves = NULL;
}
