/* Replicas that are evicted come back under another UID: how often they were ended is counted by what makes them anew,
 * and kept over a restart, a key an hour, in the ConfigMap of the records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/reader.h"
#include "cluster/scaled.h"
#include "scheduler/move/internal.h"

#define KEY_PREFIX "ended-"
#define KEY_HOUR 13               /* bytes of 2006-01-02T15 */
#define HOUR_TEXT_MAX (16u << 10) /* what does not fit into it is forgotten by a restart */
#define HOUR_NS (3600 * NS_PER_S)

/* --- what makes them --- */

static struct maker *maker_of(struct moves *moves, const char *key)
{
	struct maker *maker = map_get(&moves->makers, slice_of(key));
	if (maker)
		return maker;
	maker = xcalloc(1, sizeof *maker);
	maker->key = xstrdup(key);
	map_put(&moves->makers, slice_of(maker->key), maker);
	return maker;
}

static void maker_free(struct maker *maker)
{
	free(maker->key);
	free(maker);
}

static void forget(struct moves *moves, struct maker *maker)
{
	map_remove(&moves->makers, slice_of(maker->key));
	maker_free(maker);
}

/* A replica of a LeaderWorkerSet is made anew with its index. */
static bool maker_key(const struct pod *pod, const char *group, char key[SCALED_KEY_MAX])
{
	const char *kind;
	struct slice name;
	if (!pod->owner_uid || !scaled_by(pod, &kind, &name))
		return false;
	scaled_key(key, pod->namespace_, kind, name);
	if (group)
		snprintf(key + strlen(key), SCALED_KEY_MAX - strlen(key), "/%s", group);
	return true;
}

void maker_join(struct moves *moves, struct work *work, const struct pod *pod, const char *group)
{
	char key[SCALED_KEY_MAX];
	if (!maker_key(pod, group, key))
		return;
	work->maker = maker_of(moves, key);
	work->next = work->maker->works;
	work->link = &work->maker->works;
	if (work->next)
		work->next->link = &work->next;
	work->maker->works = work;
}

void maker_leave(struct moves *moves, struct work *work)
{
	struct maker *maker = work->maker;
	if (!maker)
		return;
	*work->link = work->next;
	if (work->next)
		work->next->link = work->link;
	if (!maker->works && turnover_today(&maker->ended, clock_wall()) == 0)
		forget(moves, maker);
}

/* --- whose turn it was how often --- */

/* Those that are on their way to end count as if they had ended. */
static void count_ended(struct scheduler *s, int64_t wall)
{
	const struct moves *moves = s->moves;
	size_t cursor = 0;
	for (struct maker *maker; (maker = map_next(&moves->makers, &cursor));) {
		maker->waiting = 0;
		maker->so_far = turnover_today(&maker->ended, wall);
	}
	cursor = 0;
	for (const struct move_unit *unit; (unit = map_next(&moves->by_unit, &cursor));) {
		const struct work_pod *pod = unit->state == UNIT_STANDS ? work_find(s, unit->id) : NULL;
		if (pod && pod->work->maker)
			pod->work->maker->so_far++;
	}
}

static int youngest_first(const void *a, const void *b)
{
	const struct work_pod *one = *(struct work_pod *const *)a, *other = *(struct work_pod *const *)b;
	if (one->start_ns != other->start_ns)
		return one->start_ns > other->start_ns ? -1 : 1;
	return strcmp(one->uid, other->uid);
}

/* Those that wait for room, and those that will as soon as they are ended, were ended last. One that was evicted counts
 * no more: what replaces it waits already, or stands somewhere. */
static void rank(const struct moves *moves, struct maker *maker)
{
	size_t count = 0, all = 0, first = maker->waiting;
	for (const struct work *work = maker->works; work; work = work->next)
		all += work->count;
	struct work_pod **pods = xcalloc(all + 1, sizeof *pods);
	for (const struct work *work = maker->works; work; work = work->next)
		for (struct work_pod *pod = work->pods; pod; pod = pod->next) {
			const struct move_unit *unit = map_get(&moves->by_unit, slice_of(pod->uid));
			if (pod->deleting || (unit && unit->state == UNIT_ENDED))
				continue;
			if (unit && unit->state == UNIT_STANDS)
				first++;
			else
				pods[count++] = pod;
		}
	if (count > 0)
		qsort(pods, count, sizeof *pods, youngest_first);
	for (size_t i = 0; i < count; i++)
		pods[i]->younger = first + i;
	maker->replicas = first + count;
	free(pods);
}

static void count_waiting(struct scheduler *s)
{
	char key[SCALED_KEY_MAX];
	size_t cursor = 0;
	for (const struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));) {
		struct maker *maker = NULL;
		if (!tracked->pod->deleting && !work_find(s, tracked->pod->uid) && maker_key(tracked->pod, NULL, key))
			maker = map_get(&s->moves->makers, slice_of(key));
		if (maker)
			maker->waiting++;
	}
}

void makers_rank(struct scheduler *s)
{
	struct moves *moves = s->moves;
	size_t cursor = 0;
	bool any = false;
	count_ended(s, clock_wall());
	for (const struct maker *maker; (maker = map_next(&moves->makers, &cursor));)
		any |= maker->so_far > 0;
	if (!any)
		return;
	count_waiting(s);
	cursor = 0;
	for (struct maker *maker; (maker = map_next(&moves->makers, &cursor));)
		if (maker->so_far > 0)
			rank(moves, maker);
}

unsigned maker_share(const struct work_pod *pod)
{
	const struct maker *maker = pod ? pod->work->maker : NULL;
	if (!maker || maker->so_far == 0)
		return 0;
	if (pod->work->way == WORK_GROUP)
		return maker->so_far;
	return turnover_share(maker->so_far, maker->replicas, pod->younger);
}

/* --- what is kept --- */

static void key_of(int64_t hour, char key[CLOCK_TEXT_MAX + sizeof KEY_PREFIX])
{
	char time[CLOCK_TEXT_MAX];
	clock_format(hour * HOUR_NS, time);
	snprintf(key, CLOCK_TEXT_MAX, KEY_PREFIX "%.*s", KEY_HOUR, time);
}

/* {"team/Deployment/web":3} */
static void write_hour(struct moves *moves, int64_t hour)
{
	char name[CLOCK_TEXT_MAX + sizeof KEY_PREFIX];
	struct buf text;
	size_t cursor = 0, left_out = 0;
	bool first = true;
	buf_init(&text, HOUR_TEXT_MAX);
	buf_char(&text, '{');
	for (const struct maker *maker; (maker = map_next(&moves->makers, &cursor));) {
		unsigned count = turnover_in(&maker->ended, hour);
		bool fits = buf_slice(&text).len + 2 * strlen(maker->key) + 32 < HOUR_TEXT_MAX;
		left_out += count > 0 && !fits;
		if (count == 0 || !fits)
			continue;
		buf_text(&text, first ? "" : ",");
		buf_json_string(&text, slice_of(maker->key));
		buf_printf(&text, ":%u", count);
		first = false;
	}
	buf_char(&text, '}');
	if (left_out > 0)
		log_warn(
		    "evictions of some are not kept over a restart: too many in an hour", "controllers=%zu", left_out);
	key_of(hour, name);
	keep_set(&moves->kept, name, buf_slice(&text).at);
	moves->kept_hours[hour % TURNOVER_HOURS] = hour;
	buf_free(&text);
}

static void erase_old(struct moves *moves, int64_t wall)
{
	char name[CLOCK_TEXT_MAX + sizeof KEY_PREFIX];
	for (size_t i = 0; i < TURNOVER_HOURS; i++) {
		if (moves->kept_hours[i] == 0 || turnover_counts(moves->kept_hours[i], wall))
			continue;
		key_of(moves->kept_hours[i], name);
		keep_set(&moves->kept, name, NULL);
		moves->kept_hours[i] = 0;
	}
}

static void forget_old(struct moves *moves, int64_t wall)
{
	size_t cursor = 0, count = 0;
	struct maker **old = xcalloc(moves->makers.count + 1, sizeof(struct maker *));
	for (struct maker *maker; (maker = map_next(&moves->makers, &cursor));)
		if (!maker->works && turnover_today(&maker->ended, wall) == 0)
			old[count++] = maker;
	while (count > 0)
		forget(moves, old[--count]);
	free(old);
}

void makers_keep(struct moves *moves)
{
	int64_t wall = clock_wall(), hour = turnover_hour(wall);
	if (moves->ended_hour != 0)
		write_hour(moves, moves->ended_hour);
	moves->ended_hour = 0;
	if (hour == moves->swept_hour)
		return;
	moves->swept_hour = hour;
	erase_old(moves, wall);
	forget_old(moves, wall);
}

void maker_ended(struct move_unit *unit)
{
	struct moves *moves = unit->move->s->moves;
	int64_t hour = turnover_hour(clock_wall());
	if (!unit->maker || unit->counted)
		return;
	unit->counted = true;
	turnover_add(&maker_of(moves, unit->maker)->ended, hour, 1);
	if (moves->ended_hour != 0 && moves->ended_hour != hour)
		write_hour(moves, moves->ended_hour);
	moves->ended_hour = hour;
}

bool makers_shown(struct moves *moves, struct slice key, struct slice text)
{
	char time[CLOCK_TEXT_MAX];
	struct reader json;
	struct slice name;
	int64_t wall, count;
	size_t prefix = sizeof KEY_PREFIX - 1;
	if (key.len != prefix + KEY_HOUR || memcmp(key.at, KEY_PREFIX, prefix) != 0)
		return false;
	snprintf(time, sizeof time, "%.*s:00:00Z", KEY_HOUR, key.at + prefix);
	if (!clock_parse(slice_of(time), &wall) || wall <= 0)
		return false;
	int64_t hour = turnover_hour(wall);
	moves->kept_hours[hour % TURNOVER_HOURS] = hour;
	reader_open(&json, text);
	if (turnover_counts(hour, clock_wall()) && reader_peek(&json) == READER_OBJECT && reader_object(&json))
		while (reader_key(&json, &name)) {
			char *maker = xcalloc(1, name.len + 1);
			reader_unescape(name, maker);
			if (reader_int(&json, &count) && count > 0 && count < INT32_MAX)
				turnover_add(&maker_of(moves, maker)->ended, hour, (unsigned)count);
			free(maker);
		}
	return true;
}

void makers_free(struct moves *moves)
{
	size_t cursor = 0;
	for (struct maker *maker; (maker = map_next(&moves->makers, &cursor));)
		maker_free(maker);
	map_free(&moves->makers);
}
