/* The moves: one after the other is taken a step further as what it waits for comes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/move/internal.h"
#include "scheduler/signal/signal.h"

#define SOON_MS 100
#define TICK_MS 500
#define NOTHING_TAKEN_NS (10 * NS_PER_S) /* a reported move that ends nothing is looked at anew */

/* --- the list --- */

struct move *move_new(struct scheduler *s, const char *id)
{
	struct move *move = xcalloc(1, sizeof *move);
	move->s = s;
	if (id)
		snprintf(move->id, sizeof move->id, "%s", id);
	else
		snprintf(move->id, sizeof move->id, "move-%llx-%llx", (unsigned long long)clock_wall(),
		    (unsigned long long)++s->moves->made);
	return move;
}

struct move_unit *move_add_unit(struct move *move)
{
	move->units = xrealloc(move->units, (move->unit_count + 1) * sizeof *move->units);
	struct move_unit *unit = &move->units[move->unit_count++];
	*unit = (struct move_unit){.move = move};
	return unit;
}

void unit_strip(struct move_unit *unit)
{
	for (size_t i = 0; i < unit->key_count; i++)
		free(unit->keys[i]);
	for (size_t i = 0; i < unit->pod_count; i++) {
		free(unit->pods[i].uid);
		free(unit->pods[i].name);
	}
	for (size_t i = 0; i < unit->room_count; i++)
		free(unit->rooms[i].node);
	free(unit->keys);
	free(unit->pods);
	free(unit->rooms);
	unit->keys = NULL;
	unit->pods = NULL;
	unit->rooms = NULL;
	unit->key_count = unit->pod_count = unit->room_count = 0;
}

static void unit_free(struct move_unit *unit)
{
	char *texts[] = {unit->id, unit->kind, unit->namespace_, unit->name, unit->uid, unit->class_name, unit->version,
	    unit->asked_uid, unit->maker, unit->gang, unit->group, unit->of_kind, unit->of_name, unit->of_uid};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	unit_strip(unit);
}

void move_strip(struct move *move)
{
	for (size_t i = 0; move->places && i < move->place_count; i++) {
		free(move->places[i].uid);
		free(move->places[i].name);
		free(move->places[i].node);
	}
	free(move->places);
	move->places = NULL;
}

void move_free(struct move *move)
{
	for (size_t i = 0; i < move->unit_count; i++)
		unit_free(&move->units[i]);
	free(move->units);
	move_strip(move);
	free(move->namespace_);
	free(move->kind);
	free(move->name);
	free(move->uid);
	free(move->class_name);
	free(move->node);
	free(move->config);
	free(move);
}

static int64_t grace_ns(const struct move *move)
{
	const struct policy *policy = move->s->policy.inforce;
	int64_t most = 0;
	for (size_t i = 0; i < move->unit_count; i++)
		for (size_t c = 0; c < policy->class_count; c++)
			if (strcmp(policy->classes[c].name, move->units[i].class_name) == 0 &&
			    policy->classes[c].victim.grace_ns > most)
				most = policy->classes[c].victim.grace_ns;
	return most;
}

/* The longest that kubelet leaves one of their pods. */
static int64_t ends_ns(const struct move *move)
{
	int32_t most = 0;
	for (size_t i = 0; i < move->unit_count; i++)
		for (size_t k = 0; k < move->units[i].pod_count; k++) {
			const struct work_pod *pod = work_find(move->s, move->units[i].pods[k].uid);
			if (pod && pod->grace_s > most)
				most = pod->grace_s;
		}
	return most * NS_PER_S;
}

bool unit_taken(const struct moves *moves, const char *id)
{
	const struct move_unit *unit = map_get(&moves->by_unit, slice_of(id));
	return unit && (unit->busy || unit->held > 0 || unit->state == UNIT_STANDS || unit->state == UNIT_ENDED);
}

bool unit_take(struct move_unit *unit)
{
	struct moves *moves = unit->move->s->moves;
	if (unit_taken(moves, unit->id))
		return false;
	map_remove(&moves->by_unit, slice_of(unit->id));
	map_put(&moves->by_unit, slice_of(unit->id), unit);
	return true;
}

/* The tables point at what does not move any more. */
static void find_from_now_on(struct move *move)
{
	struct moves *moves = move->s->moves;
	for (size_t i = 0; i < move->unit_count; i++)
		unit_take(&move->units[i]);
	for (size_t i = 0; i < move->place_count; i++) {
		move->places[i].move = move;
		if (!move_holds(&move->steps))
			continue; /* taken up after its room was given up: who waits yet is anybody's demand */
		map_put(&moves->by_place, slice_of(move->places[i].uid), &move->places[i]);
	}
}

static void enlist(struct move *move)
{
	move->peak_ns = clock_now();
	find_from_now_on(move);
	move->next = move->s->moves->list;
	move->s->moves->list = move;
	move->s->moves->count++;
	move->s->moves->surplus_count += move->surplus_count;
}

/* What its owners say is looked at soon: until then it counts as suspended, so that nothing is forgotten. Of one that
 * nobody was told of yet nothing was. */
void move_adopt(struct move *move)
{
	struct scheduler *s = move->s;
	bool may_have_ended = move->steps.told || move->steps.grace_ns == 0;
	for (size_t i = 0; i < move->unit_count; i++) {
		struct move_unit *unit = &move->units[i];
		if (unit->suspends && may_have_ended)
			unit->state = UNIT_ENDED;
		unit->found = true;
		unit->counted = unit->since_ns > 0;
		if (unit->suspends && unit->since_ns > 0)
			past_moved(s->moves, unit->id, unit->since_ns);
	}
	move->adopted = true;
	for (size_t i = 0; i < move->place_count; i++) {
		const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(move->places[i].uid));
		const struct tracked *tracked = roster_find(s->roster, slice_of(move->places[i].uid));
		move->places[i].bound = entry && entry->state == LEDGER_BOUND;
		move->places[i].gone = !entry && !tracked;
		move->places[i].gpus = tracked ? decide_gpu_units(s->fleet, &tracked->pod->demand) : 0;
	}
	enlist(move);
	for (size_t i = 0; i < move->unit_count; i++)
		if (move->units[i].gang)
			surplus_adopt(&move->units[i]);
	move_wake(s);
}

void move_put(struct move *move)
{
	struct scheduler *s = move->s;
	enlist(move);
	if (move->observed) {
		if (move->unit_count > 0)
			tell_begun(move);
		return;
	}
	move->asking = true;
	for (size_t i = 0; i < move->unit_count; i++)
		if (move->units[i].suspends || move->units[i].gang)
			unit_ask(&move->units[i]);
	move_wake(s);
}

static void lose_places(struct move *move)
{
	struct map *by_place = &move->s->moves->by_place;
	for (size_t i = 0; i < move->place_count; i++)
		if (map_get(by_place, slice_of(move->places[i].uid)) == &move->places[i])
			map_remove(by_place, slice_of(move->places[i].uid));
}

void move_drop(struct move *move)
{
	struct moves *moves = move->s->moves;
	struct move **at = &moves->list;
	room_drop(move);
	lose_places(move);
	for (size_t i = 0; i < move->unit_count; i++) {
		room_drop_unit(&move->units[i]);
		closed_end(&move->units[i]);
		if (map_get(&moves->by_unit, slice_of(move->units[i].id)) == &move->units[i])
			map_remove(&moves->by_unit, slice_of(move->units[i].id));
	}
	while (*at != move)
		at = &(*at)->next;
	*at = move->next;
	moves->count--;
	moves->surplus_count -= move->surplus_count;
	moves->due = true;
	if (move->steps.phase == MOVE_OVER && !move->observed && !move->asking)
		over_put(moves, move);
	else
		move_free(move);
}

bool moves_full(const struct moves *moves)
{
	size_t acting = 0;
	for (const struct move *move = moves->list; move; move = move->next)
		acting += !move->observed && (move->asking || move_holds(&move->steps));
	return acting >= MOVES_MAX || moves->count >= MOVES_LENT_MAX;
}

/* --- what is known --- */

static bool units_busy(const struct move *move)
{
	for (size_t i = 0; i < move->unit_count; i++)
		if (move->units[i].busy)
			return true;
	return false;
}

/* One that was taken up may have, for all that is known. */
static bool has_ended_any(const struct move *move)
{
	for (size_t i = 0; i < move->unit_count; i++)
		if (move->units[i].state != UNIT_STANDS)
			return true;
	return false;
}

static void look(struct move *move)
{
	struct scheduler *s = move->s;
	struct move_facts *facts = &move->facts;
	const struct gang *gang = move_gang(move);
	surplus_lapse(move);
	if (gang && move_holds(&move->steps))
		move_follow_gang(move, gang);
	facts->now_ns = clock_now();
	facts->busy = move->busy > 0 || units_busy(move);
	facts->act = moves_act(s);
	facts->wanting = facts->bound = facts->suspended = 0;
	for (size_t i = 0; i < move->place_count; i++) {
		facts->bound += move->places[i].bound;
		facts->wanting += !move->places[i].bound && !move->places[i].gone &&
		                  roster_find(s->roster, slice_of(move->places[i].uid)) != NULL;
	}
	/* What is of use only as a whole waits only as a whole. */
	if (gang && facts->bound == 0 && !gang_is_complete(gang) && !has_ended_any(move))
		facts->wanting = 0;
	facts->served = !has_ended_any(move) && ((gang && gang->placed > 0) || move_node_is_empty(move));
	facts->node = move->node ? move_node_state(move) : MOVE_NODE_OPEN;
	for (size_t i = 0; i < move->unit_count; i++)
		facts->suspended +=
		    (unit_returns(&move->units[i]) && move->units[i].state == UNIT_ENDED) || move->units[i].held > 0;
	bool ends = move->steps.phase == MOVE_EMPTY;
	facts->pods_left = ends ? move_pods_left(move) : 0;
	facts->resumed = false;
	for (size_t i = 0; ends && i < move->unit_count; i++)
		facts->resumed |= move->units[i].resumed && unit_pods_left(&move->units[i]) > 0;
	int64_t after_ns = s->policy.inforce->moves.give_back_after_ns;
	facts->quiet = facts->now_ns - move->peak_ns >= after_ns && signals_calm(s, move->class_name, after_ns);
}

/* --- a move whose units are asked for yet --- */

static void asked(struct move *move)
{
	struct scheduler *s = move->s;
	bool off = false;
	if (units_busy(move))
		return;
	for (size_t i = 0; i < move->unit_count; i++)
		off |= move->units[i].alone || (unit_returns(&move->units[i]) && !move->units[i].found);
	look(move);
	off |= move->facts.node == MOVE_NODE_LOST || move->facts.served;
	if (off || move->facts.wanting < move->place_count || !moves_act(s)) {
		move_drop(move);
		return;
	}
	move->asking = false;
	move_begin(&move->steps, move->node != NULL, grace_ns(move), ends_ns(move), clock_now());
	move->ending_ns = clock_wall() + move->steps.grace_ns;
	room_hold(move);
	tell_begun(move);
	move_begin_phase(move);
}

/* --- one that is only reported --- */

static void watch_observed(struct move *move)
{
	bool over = moves_act(move->s) || (move->unit_count == 0 && clock_wall() - move->begun_ns > NOTHING_TAKEN_NS);
	look(move);
	for (size_t i = 0; i < move->unit_count; i++) {
		size_t there = 0;
		for (size_t k = 0; k < move->units[i].pod_count; k++)
			there += work_find(move->s, move->units[i].pods[k].uid) != NULL;
		over |= there == 0;
	}
	if (over || move->facts.wanting == 0)
		move_drop(move);
}

/* --- all of them --- */

void move_go_on(struct move *move)
{
	if (move->observed) {
		watch_observed(move);
		return;
	}
	if (move->asking) {
		asked(move);
		return;
	}
	for (;;) {
		look(move);
		if (move_holds(&move->steps))
			room_hold(move);
		enum move_todo todo = move_step(&move->steps, &move->facts);
		if (todo == MOVE_WAIT) {
			move_wait(move);
			return;
		}
		if (move->steps.phase == MOVE_OVER) {
			log_info("a move is over", "move=%s", move->id);
			move_drop(move);
			return;
		}
		if (todo == MOVE_BEGIN)
			move_begin_phase(move);
		else
			move_again(move);
	}
}

void move_tick(struct scheduler *s)
{
	struct moves *moves = s->moves;
	if (!moves->taken_up) {
		held_early_over(s);
		record_read(s);
		return;
	}
	held_early_over(s);
	orphans_take_up(s);
	for (struct move *move = moves->list, *next; move; move = next) {
		next = move->next;
		move_go_on(move);
	}
	return_units(s);
	makers_keep(moves);
	if (s->policy.inforce->moves.mode != MOVES_OFF && moves->budgets_known && s->gangs_rebuilt)
		demand_look(s);
}

static void start_timer(struct scheduler *s, uint64_t ms)
{
	if (!s->stopping && s->moves)
		uv_timer_start(&s->move_timer, moves_on_timer, ms, 0);
}

void move_later(struct scheduler *s)
{
	start_timer(s, TICK_MS);
}

void move_wake(struct scheduler *s)
{
	start_timer(s, 0);
}

void moves_soon(struct scheduler *s)
{
	if (!s->moves)
		return;
	s->moves->due = true;
	if (!uv_is_active((uv_handle_t *)&s->move_timer) || uv_timer_get_due_in(&s->move_timer) > SOON_MS)
		start_timer(s, SOON_MS);
}

void moves_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	struct moves *moves = s->moves;
	if (!moves)
		return;
	if (!s->taken_up || !lease_may_write(s) || !scheduler_synced(s)) {
		start_timer(s, TICK_MS);
		return;
	}
	move_tick(s);
	if (moves->search)
		start_timer(s, 0);
	else if ((moves->list || moves->due || !moves->taken_up) && !uv_is_active((uv_handle_t *)timer))
		start_timer(s, TICK_MS);
}

bool moves_act(const struct scheduler *s)
{
	return s->moves && s->policy.inforce->moves.mode == MOVES_ACT;
}

void moves_want(struct scheduler *s, const struct pod *pod)
{
	if (s->moves && !pod->gated && !pod->gang && demand_may_take(s, pod))
		moves_soon(s);
}
