/* What teams have spent, kept in a ConfigMap of berth's own, so that the next process goes on from there. Read once,
 * by the berth that is active; written by it then, once a minute, and when it stops. Where the API server does not
 * allow it berth counts from its start, and says so. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/reader.h"
#include "scheduler/json.h"
#include "scheduler/team.h"

#define TICK_MS 1000
#define WRITE_NS (60 * NS_PER_S)
#define AGAIN_NS (10 * NS_PER_S) /* after a look in vain */
#define DEADLINE_MS 10000
#define LAST_DEADLINE_MS 1000 /* the end does not wait for longer */
#define BODY_MAX (1u << 17)
#define PATH_ROOM 400
#define CONFIGMAPS_PATH "/api/v1/namespaces/%.*s/configmaps%s%s"

static const char *path_of(const struct scheduler *s, bool all, char path[PATH_ROOM])
{
	const char *slash = strchr(s->book.name, '/');
	snprintf(path, PATH_ROOM, CONFIGMAPS_PATH, (int)(slash - s->book.name), s->book.name, all ? "" : "/",
	    all ? "" : slash + 1);
	return path;
}

static void done_without(struct scheduler *s, const char *doing, const char *error)
{
	if (!s->book.missing)
		log_warn("what teams spend is not kept: after a restart it is counted anew",
		    "configmap=%s doing=%s error=%s", s->book.name, doing, log_quote(error ? error : ""));
	free(s->book.missing);
	s->book.missing = xstrdup(error ? error : "");
}

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

/* The text under "usage" in the ConfigMap's data, to be freed; NULL where there is none. */
static char *find_usage(struct slice body, struct slice *text)
{
	struct reader json;
	struct slice key, raw;
	char *found = NULL;
	reader_open(&json, body);
	if (reader_object(&json))
		while (reader_key(&json, &key)) {
			if (!slice_is(key, "data") || found || !reader_object(&json)) {
				reader_skip(&json);
				continue;
			}
			while (reader_key(&json, &key)) {
				if (!slice_is(key, "usage") || found || !reader_string(&json, &raw)) {
					reader_skip(&json);
					continue;
				}
				found = xmalloc(raw.len + 1);
				*text = (struct slice){found, reader_unescape(raw, found)};
			}
		}
	return found;
}

static void was_read(void *ctx, const struct kube_answer *answer)
{
	struct scheduler *s = ctx;
	struct slice text;
	s->book.busy = false;
	if (answer->code != 0 || (answer->status >= 300 && answer->status != 404 && answer->status != 403)) {
		s->book.next_ns = clock_now() + AGAIN_NS;
		log_warn("what teams have spent cannot be read", "configmap=%s error=%s", s->book.name,
		    log_quote(answer->error ? answer->error : ""));
		return;
	}
	s->book.read = true;
	s->book.next_ns = clock_now(); /* whether it may be written is known at once */
	if (answer->status == 403)
		done_without(s, "read", answer->error);
	char *usage = answer->status < 300 ? find_usage(answer->body, &text) : NULL;
	if (usage && !take_usage(s, text))
		log_warn("the ConfigMap of what teams have spent is not berth's, and is written anew", "configmap=%s",
		    s->book.name);
	free(usage);
}

static void read_book(struct scheduler *s, int64_t now)
{
	char path[PATH_ROOM];
	if (now < s->book.next_ns)
		return;
	s->book.busy = true;
	kube_call(s->kube, &(struct kube_call_spec){.method = "GET",
	                       .path = path_of(s, false, path),
	                       .repeatable = true,
	                       .deadline_ms = DEADLINE_MS,
	                       .done = was_read,
	                       .ctx = s});
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

static void write_book(struct scheduler *s, bool create);

static void was_written(void *ctx, const struct kube_answer *answer)
{
	struct scheduler *s = ctx;
	s->book.busy = false;
	if (answer->code == 0 && answer->status == 404 && !s->book.creating) {
		write_book(s, true);
		return;
	}
	if (answer->code != 0 || answer->status >= 300) {
		done_without(s, "write", answer->error);
	} else {
		free(s->book.missing);
		s->book.missing = NULL;
	}
	if (s->book.ending)
		uv_timer_start(&s->team_timer, team_on_timer, 0, 0);
}

static void write_book(struct scheduler *s, bool create)
{
	char path[PATH_ROOM];
	struct buf usage, body;
	buf_init(&usage, BODY_MAX);
	buf_init(&body, BODY_MAX);
	write_usage(s, &usage);
	if (create)
		buf_printf(&body,
		    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\","
		    "\"labels\":{\"app.kubernetes.io/part-of\":\"berth\"}},",
		    strchr(s->book.name, '/') + 1);
	else
		buf_char(&body, '{');
	buf_text(&body, "\"data\":{\"usage\":");
	buf_json_string(&body, buf_slice(&usage));
	buf_text(&body, "}}");
	s->book.busy = true;
	s->book.creating = create;
	s->book.next_ns = clock_now() + WRITE_NS;
	kube_call(s->kube, &(struct kube_call_spec){.method = create ? "POST" : "PATCH",
	                       .path = path_of(s, create, path),
	                       .content_type = create ? NULL : "application/merge-patch+json",
	                       .body = buf_slice(&body),
	                       .deadline_ms = s->book.ending ? LAST_DEADLINE_MS : DEADLINE_MS,
	                       .done = was_written,
	                       .ctx = s});
	buf_free(&usage);
	buf_free(&body);
}

/* --- when --- */

static bool is_active(const struct scheduler *s)
{
	return s->fleet->teams && s->kube && s->taken_up && scheduler_synced(s) && lease_may_write(s);
}

void team_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	int64_t now = clock_now();
	if (s->book.ending && !s->book.busy) {
		scheduler_stop(s, s->done, s->done_ctx);
		return;
	}
	if (s->stopping || !is_active(s))
		return;
	team_settle(s->fleet, now);
	if (s->book.busy)
		return;
	if (!s->book.read)
		read_book(s, now);
	else if (now >= s->book.next_ns)
		write_book(s, false);
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
	if (s->book.ending || !s->book.read || s->book.busy || !is_active(s))
		return false;
	s->book.ending = true;
	team_settle(s->fleet, clock_now());
	write_book(s, false);
	return true;
}

void team_book_line(const struct scheduler *s, struct buf *out)
{
	if (s->fleet->teams && s->book.missing)
		buf_printf(out, "info teams: what they spend is not kept, %s\n", s->book.missing);
}

void team_book_close(struct scheduler *s)
{
	free(s->book.name);
	free(s->book.missing);
}
