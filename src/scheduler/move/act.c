/* What is done as a move enters a phase, and again where it failed. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/move/internal.h"

#define RETURN_AGAIN_NS (5 * NS_PER_S)
#define FAILED_ALONE_NS (120 * NS_PER_S) /* after an act that could not be done: others are tried */

/* --- notice --- */

static void noticed(void *ctx, const struct kube_answer *answer)
{
	struct move *move = ctx;
	move->busy--;
	if ((answer->code != 0 || answer->status >= 300) && answer->status != 404)
		log_warn("a pod could not be told of its end", "move=%s error=%s", move->id,
		    log_quote(answer->error ? answer->error : ""));
	move_wake(move->s);
}

/* NULL: what was said is taken back. */
static void annotate_pods(struct move *move, const char *ending_at)
{
	struct buf text;
	buf_init(&text, 256);
	buf_text(&text, "{\"" POD_ENDING_AT "\":");
	if (ending_at)
		buf_json_string(&text, slice_of(ending_at));
	else
		buf_text(&text, "null");
	buf_char(&text, '}');
	for (size_t i = 0; i < move->unit_count; i++)
		for (size_t k = 0; k < move->units[i].pod_count; k++) {
			const struct unit_pod *pod = &move->units[i].pods[k];
			if (!work_find(move->s, pod->uid) || !*pod->name)
				continue;
			move->busy++;
			kube_annotate(move->s->kube,
			    (struct kube_pod_ref){move->units[i].namespace_, pod->name, pod->uid}, buf_slice(&text),
			    noticed, move);
		}
	buf_free(&text);
}

static void give_notice(struct move *move)
{
	char at[CLOCK_TEXT_MAX];
	move->ending_ns = clock_wall() + move->steps.grace_ns;
	clock_format(move->ending_ns, at);
	annotate_pods(move, at);
	for (size_t i = 0; i < move->unit_count; i++)
		tell_unit(&move->units[i], "GPUsToBeTaken", at);
}

/* --- evictions --- */

static void evicted(void *ctx, const struct kube_answer *answer)
{
	struct unit_pod *pod = ctx;
	struct move_unit *unit = pod->unit;
	struct move *move = unit->move;
	bool gone = answer->code == 0 && (answer->status == 404 || answer->status == 409);
	move->busy--;
	if (answer->code == 0 && (answer->status < 300 || gone)) {
		pod->done = true;
		if (move->steps.phase == MOVE_EVICT && unit->state == UNIT_STANDS) {
			unit->state = UNIT_ENDED;
			unit->since_ns = clock_wall();
			maker_ended(unit);
			tell_unit(unit, "GPUsTaken", NULL);
			if (unit->gang)
				surplus_ended(unit);
		}
	} else if (answer->code == 0 && answer->status >= 400 && answer->status < 500 &&
	           (answer->status != 429 || answer->budget)) {
		const char *why = answer->budget ? "a disruption budget refuses it" : "the API server refuses it";
		move->facts.refused = move->barred = true;
		past_leave_alone(
		    move->s->moves, unit->id, clock_wall() + move->s->policy.inforce->moves.cooldown_ns, why);
	} else {
		move->facts.failed = true;
	}
	if (!pod->done)
		log_warn("a pod could not be evicted", "move=%s pod=%s/%s status=%u error=%s", move->id,
		    unit->namespace_, pod->name, answer->status, log_quote(answer->error ? answer->error : ""));
	move_wake(move->s);
}

/* What it can do without has become less meanwhile. */
static bool is_needed_now(struct move_unit *unit)
{
	const struct work_pod *there = unit->gang ? work_find(unit->move->s, unit->pods[0].uid) : NULL;
	if (!there || there->deleting || unit->state != UNIT_STANDS || surplus_may_end(unit))
		return false;
	unit->move->facts.refused = true;
	unit_leave_alone(unit, unit_cooled(unit), "its gang needs it by now");
	return true;
}

static void evict(struct move_unit *unit, bool dry)
{
	if (is_needed_now(unit))
		return;
	for (size_t k = 0; k < unit->pod_count; k++) {
		struct unit_pod *pod = &unit->pods[k];
		const struct work_pod *there = work_find(unit->move->s, pod->uid);
		if (pod->done)
			continue;
		if (!there || there->deleting) {
			pod->done = true;
			/* The process before may have had no time to count it. */
			if (unit->move->adopted && !dry)
				maker_ended(unit);
			if (unit->gang && !dry && (unit->state == UNIT_STANDS || unit->state == UNIT_ENDED))
				surplus_ended(unit);
			continue;
		}
		pod->unit = unit;
		unit->move->busy++;
		kube_evict(unit->move->s->kube, (struct kube_pod_ref){unit->namespace_, pod->name, pod->uid}, dry,
		    evicted, pod);
	}
}

/* --- phases --- */

static void begin_acts(struct move *move)
{
	for (size_t i = 0; i < move->unit_count; i++) {
		move->units[i].done = false;
		for (size_t k = 0; k < move->units[i].pod_count; k++)
			move->units[i].pods[k].done = false;
	}
}

/* Somebody has protected it since it was chosen. */
static bool is_kept(const struct move_unit *unit)
{
	for (size_t k = 0; k < unit->pod_count; k++) {
		const struct work_pod *pod = work_find(unit->move->s, unit->pods[k].uid);
		if (pod && pod->keep && !pod->deleting)
			return true;
	}
	return false;
}

static void do_acts(struct move *move, bool evictions, bool suspensions, bool dry)
{
	for (size_t i = 0; i < move->unit_count; i++) {
		struct move_unit *unit = &move->units[i];
		bool due = unit->suspends ? suspensions && !unit->done && !unit->busy : evictions;
		if (due && (dry || unit->state == UNIT_STANDS) && is_kept(unit)) {
			log_info("a unit is protected", "move=%s kind=%s name=%s/%s", move->id, unit->kind,
			    unit->namespace_, unit->name);
			move->facts.refused = move->barred = true;
			continue;
		}
		if (unit->suspends && suspensions && !unit->done && !unit->busy)
			unit_suspend(unit, dry);
		else if (!unit->suspends && evictions)
			evict(unit, dry);
	}
}

/* How many of its pods that still stand are under the budget. */
static int64_t draws_on(const struct move *move, const struct budget *budget)
{
	int64_t count = 0;
	for (size_t i = 0; i < move->unit_count; i++)
		for (size_t k = 0; move->units[i].state == UNIT_STANDS && k < move->units[i].pod_count; k++) {
			const char *uid = move->units[i].pods[k].uid;
			const struct work_pod *there = work_find(move->s, uid);
			const struct ledger_entry *entry = ledger_find(move->s->fleet, slice_of(uid));
			if (!there || there->deleting || !entry || strcmp(entry->namespace_, budget->namespace_) != 0)
				continue;
			struct pod *pod = ledger_pod(entry);
			count += pod && budget_is_for(budget, pod->namespace_, &pod->labels);
			if (pod)
				pod_free(pod);
		}
	return count;
}

/* Others may have drawn on a budget since its units were chosen; a suspension asks nobody. */
static bool is_over_budget(struct move *move)
{
	size_t count;
	bool over = false;
	const struct budget **budgets = budgets_all(move->s->moves->budgets, &count);
	for (size_t i = 0; i < count && !over; i++) {
		int64_t draws = draws_on(move, budgets[i]);
		over = draws > 0 && draws > budgets[i]->allowed;
	}
	free(budgets);
	if (over) {
		log_info("a disruption budget allows less by now", "move=%s", move->id);
		move->facts.refused = move->barred = true;
	}
	return over;
}

static void look_at_units(struct move *move)
{
	int64_t now = clock_now();
	for (size_t i = 0; i < move->unit_count; i++) {
		struct move_unit *unit = &move->units[i];
		if (unit->suspends && unit->state == UNIT_ENDED && !unit->busy && now >= unit->look_ns)
			unit_look(unit);
	}
}

static void do_phase(struct move *move)
{
	move->facts.refused = move->facts.failed = false;
	switch (move->steps.phase) {
	case MOVE_RECORD:
		record_write(move);
		break;
	case MOVE_TAINT:
		move_node_taint(move);
		break;
	case MOVE_DRY_RUN:
		if (!is_over_budget(move))
			do_acts(move, true, true, true);
		break;
	case MOVE_EVICT:
		do_acts(move, true, false, false);
		break;
	case MOVE_SUSPEND:
		if (!is_over_budget(move))
			do_acts(move, false, true, false);
		break;
	case MOVE_LENT:
	case MOVE_RETURN:
		look_at_units(move);
		break;
	case MOVE_ERASE:
		record_erase(move);
		break;
	default:
		break;
	}
}

static bool is_done(const struct move_unit *unit)
{
	bool done = true;
	if (unit->suspends)
		return unit->done;
	for (size_t k = 0; k < unit->pod_count; k++)
		done &= unit->pods[k].done;
	return done;
}

/* What failed all the time would fail the next one, too. */
static void leave_failed(struct move *move)
{
	for (size_t i = 0; i < move->unit_count; i++) {
		struct move_unit *unit = &move->units[i];
		bool acts = move->acted == MOVE_DRY_RUN || move->acted == (unit->suspends ? MOVE_SUSPEND : MOVE_EVICT);
		if (acts && !is_done(unit))
			unit_leave_alone(unit, clock_wall() + FAILED_ALONE_NS, "it could not be ended");
	}
}

/* Another move for the same pods, made at once. */
static bool would_end_alike(enum move_stop stop)
{
	return stop == MOVE_STOP_REFUSED || stop == MOVE_STOP_FAILED || stop == MOVE_STOP_UNBOUND;
}

void move_begin_phase(struct move *move)
{
	if (move->steps.stop == MOVE_STOP_FAILED && move->steps.phase == MOVE_RETURN)
		leave_failed(move);
	move->acted = move->steps.phase;
	log_info("a move goes on", "move=%s for=%s/%s phase=%s", move->id, move->namespace_, move->name,
	    move_phase_name(move->steps.phase));
	begin_acts(move);
	if (move->steps.phase == MOVE_NOTICE)
		give_notice(move);
	if (!move_holds(&move->steps))
		room_drop(move);
	if (move->steps.phase == MOVE_RETURN && move->steps.stop != MOVE_STOP_NOT) {
		tell_stopped(move);
		if (!move->barred && would_end_alike(move->steps.stop))
			demand_put_off(move);
		if (move->steps.grace_ns > 0 && move->steps.told)
			annotate_pods(move, NULL);
	}
	if (move->steps.phase == MOVE_GRACE || move->steps.phase == MOVE_LENT || move->steps.phase == MOVE_RETURN)
		record_write(move);
	do_phase(move);
}

void move_again(struct move *move)
{
	do_phase(move);
}

/* Whoever resumes it keeps its pods from ending. */
void move_wait(struct move *move)
{
	if (move->steps.phase == MOVE_EMPTY)
		look_at_units(move);
}

/* --- the pods of what has ended --- */

size_t unit_pods_left(const struct move_unit *unit)
{
	struct scheduler *s = unit->move->s;
	size_t count = 0;
	if (unit->pod_count == 0) /* its record was lost */
		return unit_pods_found(unit);
	for (size_t k = 0; k < unit->pod_count; k++)
		count += work_find(s, unit->pods[k].uid) != NULL;
	/* A pod that its controller made as it was suspended. */
	for (size_t i = 0; unit->suspends && count == 0 && i < unit->key_count; i++) {
		const struct work *work = map_get(&s->moves->works, slice_of(unit->keys[i]));
		count += work ? work->count : 0;
	}
	return count;
}

size_t move_pods_left(const struct move *move)
{
	size_t count = 0;
	for (size_t i = 0; i < move->unit_count; i++)
		if (move->units[i].state == UNIT_ENDED)
			count += unit_pods_left(&move->units[i]);
	return count;
}

/* --- giving back --- */

static int longest_first(const void *a, const void *b)
{
	const struct move_unit *one = *(struct move_unit *const *)a, *other = *(struct move_unit *const *)b;
	if (one->since_ns != other->since_ns)
		return one->since_ns < other->since_ns ? -1 : 1;
	return strcmp(one->id, other->id);
}

static bool may_return(const struct move_unit *unit, int64_t now)
{
	return unit_returns(unit) && unit->state == UNIT_ENDED && !unit->busy && now >= unit->return_ns;
}

/* One that could not be resumed is tried again, with its room still held. */
static void try_to_return(struct move_unit *unit, bool first)
{
	int64_t now = clock_now();
	if (unit_pods_left(unit) > 0)
		return;
	if (!unit->gang && unit->held == 0 && !room_hold_unit(unit)) {
		if (first)
			closed_wait(unit, now);
		return;
	}
	closed_end(unit);
	unit->return_ns = now + RETURN_AGAIN_NS;
	if (unit->gang)
		surplus_return(unit);
	else
		unit_resume(unit);
}

void return_units(struct scheduler *s)
{
	size_t count = 0, room = 0;
	struct move_unit **units = NULL;
	int64_t now = clock_now();
	closed_review(s);
	for (struct move *move = s->moves->list; move; move = move->next)
		for (size_t i = 0; i < move->unit_count; i++) {
			struct move_unit *unit = &move->units[i];
			/* What could not be resumed before the next peak began is lent once more. */
			if (unit->held > 0 &&
			    (unit->state == UNIT_ENDED ? move->steps.phase == MOVE_LENT : now >= unit->held_until_ns))
				room_drop_unit(unit);
			if (move->observed || move->asking || move->steps.phase != MOVE_RETURN || move->busy > 0 ||
			    !may_return(unit, now))
				continue;
			units = xgrow(units, count, &room, sizeof(struct move_unit *));
			units[count++] = unit;
		}
	if (count > 0)
		qsort(units, count, sizeof(struct move_unit *), longest_first);
	for (size_t i = 0; i < count; i++)
		try_to_return(units[i], i == 0);
	free(units);
}
