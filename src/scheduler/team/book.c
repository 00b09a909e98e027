/* What teams have spent, kept in a ConfigMap of berth's own, so that the next process goes on from there. Read once,
 * by the berth that is active; written by it then, once a minute, and when it stops. Where the API server does not
 * allow it berth counts from its start, and says so. */
#include <stdlib.h>

#include "base/log.h"
#include "base/reader.h"
#include "scheduler/json.h"
#include "scheduler/team/team.h"

#define TICK_MS 1000
#define WRITE_NS (60 * NS_PER_S)
#define AGAIN_NS (10 * NS_PER_S) /* after a look in vain */
#define LAST_TICK_MS 10
#define LAST_NS (1000 * NS_PER_MS) /* the end does not wait for longer */
#define TEXT_MAX (1u << 17)
#define KEY "usage"

/* --- reading --- */

static uint16_t team_named(const struct scheduler *s, struct slice name)
{
	for (uint16_t team = 0; team < s->policy.inforce->team_count; team++)
		if (slice_is(name, s->policy.inforce->teams[team].name))
			return team;
	return TEAM_NONE;
}

/* What was spent until then counts beside what this process has seen; half of it is forgotten in a half-life. */
static void take_teams(struct scheduler *s, struct reader *json, int64_t age_ns)
{
	int64_t seconds;
	struct slice name;
	if (!reader_object(json))
		return;
	while (reader_key(json, &name)) {
		uint16_t team = team_named(s, name);
		if (reader_int(json, &seconds) && team != TEAM_NONE && seconds > 0)
			team_set_spent(
			    s->fleet, team, team_spent(s->fleet, team) + team_faded((double)seconds, age_ns));
	}
}

/* `{"version":1,"time":…,"gpuSeconds":{TEAM: N, …}}`; false: berth did not write it. The time stands before the teams.
 */
static bool take_usage(struct scheduler *s, struct slice text)
{
	struct reader json;
	struct slice key, time;
	int64_t version = 0, written = 0, now = clock_wall();
	reader_open(&json, text);
	if (reader_object(&json))
		while (reader_key(&json, &key)) {
			if (slice_is(key, "version"))
				reader_int(&json, &version);
			else if (slice_is(key, "time") && reader_string(&json, &time))
				clock_parse(time, &written);
			else if (slice_is(key, "gpuSeconds") && version == 1 && written > 0)
				take_teams(s, &json, now > written ? now - written : 0);
			else
				reader_skip(&json);
		}
	return reader_close(&json) && version == 1 && written > 0;
}

static void shown(void *ctx, struct slice key, struct slice text)
{
	struct scheduler *s = ctx;
	if (slice_is(key, KEY) && !take_usage(s, text))
		log_warn("the ConfigMap of what teams have spent is not berth's, and is written anew", "configmap=%s",
		    s->book.name);
}

/* Whether it may be written is known at once. */
static void was_read(void *ctx)
{
	struct scheduler *s = ctx;
	s->book.next_ns = clock_now() + (s->book.kept.read ? 0 : AGAIN_NS);
}

static void read_book(struct scheduler *s)
{
	struct keep *kept = &s->book.kept;
	if (kept->kube) {
		keep_again(kept);
		return;
	}
	const char *slash = strchr(s->book.name, '/');
	char *namespace_ = xstrndup(s->book.name, (size_t)(slash - s->book.name));
	keep_open(kept, s->kube, namespace_, slash + 1);
	keep_read(kept, shown, was_read, s);
	free(namespace_);
}

/* --- writing --- */

static void write_usage(const struct scheduler *s, struct buf *out)
{
	char now[CLOCK_TEXT_MAX];
	clock_format(clock_wall(), now);
	buf_printf(out, "{\"version\":1,\"time\":\"%s\",\"gpuSeconds\":{", now);
	for (uint16_t team = 0; team < s->policy.inforce->team_count; team++) {
		buf_text(out, team ? "," : "");
		buf_json_string(out, slice_of(s->policy.inforce->teams[team].name));
		buf_printf(out, ":%.0f", team_spent(s->fleet, team));
	}
	buf_text(out, "}}");
}

static void write_book(struct scheduler *s)
{
	struct buf text;
	buf_init(&text, TEXT_MAX);
	write_usage(s, &text);
	if (!text.overflow)
		keep_set(&s->book.kept, KEY, buf_slice(&text).at);
	buf_free(&text);
}

/* --- when --- */

static bool is_active(const struct scheduler *s)
{
	return s->fleet->teams && s->kube && s->taken_up && scheduler_synced(s) && lease_may_write(s);
}

void team_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	struct team_book *book = &s->book;
	int64_t now = clock_now();
	if (book->ending && (!book->kept.writing || now >= book->next_ns)) {
		scheduler_stop(s, s->done, s->done_ctx);
		return;
	}
	if (s->stopping || !is_active(s))
		return;
	team_settle(s->fleet, now);
	if (now < book->next_ns)
		return;
	book->next_ns = now + (book->kept.read ? WRITE_NS : AGAIN_NS);
	if (book->kept.read)
		write_book(s);
	else
		read_book(s);
}

void team_follow(struct scheduler *s)
{
	if (s->fleet->teams && !uv_is_active((uv_handle_t *)&s->team_timer))
		uv_timer_start(&s->team_timer, team_on_timer, 0, TICK_MS);
	else if (!s->fleet->teams)
		uv_timer_stop(&s->team_timer);
}

bool team_book_last(struct scheduler *s)
{
	if (s->book.ending || !s->book.kept.read || !is_active(s))
		return false;
	s->book.ending = true;
	s->book.next_ns = clock_now() + LAST_NS;
	team_settle(s->fleet, clock_now());
	write_book(s);
	uv_timer_start(&s->team_timer, team_on_timer, LAST_TICK_MS, LAST_TICK_MS);
	return true;
}

void team_book_line(const struct scheduler *s, struct buf *out)
{
	if (s->fleet->teams && s->book.kept.trouble)
		buf_printf(out, "info teams: what they spend is not kept, %s\n", s->book.kept.trouble);
}

void team_book_close(struct scheduler *s)
{
	keep_close(&s->book.kept);
	free(s->book.name);
}
