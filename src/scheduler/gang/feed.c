/* The API objects that tell gangs' sizes, watched where the API server has them. What it has is asked again and again,
 * so that a kind that comes later is noticed; of several versions of one the first of cluster/gang_table counts. A kind
 * that is not served has no objects; of one that may not be read nothing is known, and its gangs wait.
 *
 * Jobs are watched in any case: they also tell who owns them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/reader.h"
#include "cluster/gang_table.h"
#include "scheduler/gang/internal.h"

#define ASK_MS 10000             /* between two looks at what the API server has */
#define FIRST_NS (20 * NS_PER_S) /* planning waits so long for lists that do not come */
#define PATH_MAX_BYTES 128

struct gang_kind {
	struct scheduler *s;
	enum gang_object object;
	struct kube_watch *watch; /* NULL: not served */
	const char *api;          /* of those in the table, the one watched */
	unsigned refused;         /* status of its list, 403 or 404; 0 = it may be read */
	bool done;                /* its first list is, or it has none */
};

struct gang_feed {
	struct gang_kind kinds[GANG_OBJECT_COUNT];
	int64_t began_ns;
	bool asked, asking; /* what the API server has */
};

/* --- one kind --- */

static void begin(void *ctx)
{
	struct gang_kind *kind = ctx;
	gang_objects_begin(kind->s->gang_objects, kind->object);
	if (kind->object == GANG_OBJECT_JOB)
		owners_begin(kind->s->owners);
}

static void object(void *ctx, enum kube_change change, struct slice text)
{
	struct gang_kind *kind = ctx;
	struct err err;
	int failed = 0;
	if (kind->object == GANG_OBJECT_JOB)
		failed = (change == KUBE_DELETED ? owners_remove : owners_put)(kind->s->owners, text, &err);
	if (!failed)
		failed = (change == KUBE_DELETED ? gang_objects_remove : gang_objects_put)(
		    kind->s->gang_objects, kind->object, text, &err);
	if (failed)
		log_error("an object cannot be read", "kind=%s error=%s", gang_object_rows[kind->object].kind,
		    log_quote(err.text));
}

/* Whether objects of the kind are known decides what becomes of gangs whose object is not there. */
static void settle(struct gang_kind *kind, bool was_known)
{
	struct scheduler *s = kind->s;
	kind->done = true;
	if (s->gangs_rebuilt && gang_objects_known(s->gang_objects, kind->object) != was_known)
		gang_source_all(&s->gang_sources, gang_look_again, s);
	gang_synced(s);
}

static void synced(void *ctx)
{
	struct gang_kind *kind = ctx;
	struct scheduler *s = kind->s;
	bool was_known = gang_objects_known(s->gang_objects, kind->object);
	kind->refused = 0;
	gang_objects_synced(s->gang_objects, kind->object);
	if (kind->object == GANG_OBJECT_JOB) {
		owners_synced(s->owners);
		free(s->jobs_missing);
		s->jobs_missing = NULL;
	}
	settle(kind, was_known);
}

/* There are no objects of a kind that the API server does not have. */
static void not_served(struct gang_kind *kind)
{
	struct gang_objects *objects = kind->s->gang_objects;
	bool was_known = gang_objects_known(objects, kind->object);
	gang_objects_begin(objects, kind->object);
	gang_objects_synced(objects, kind->object);
	settle(kind, was_known);
}

static void not_allowed(struct gang_kind *kind)
{
	struct gang_objects *objects = kind->s->gang_objects;
	bool was_known = gang_objects_known(objects, kind->object);
	gang_objects_lost(objects, kind->object);
	settle(kind, was_known);
}

static void unavailable(void *ctx, unsigned status, const char *reason)
{
	struct gang_kind *kind = ctx;
	struct scheduler *s = kind->s;
	if (kind->refused != status)
		log_warn("objects that tell gangs' sizes are not watched", "kind=%s status=%u",
		    gang_object_rows[kind->object].kind, status);
	kind->refused = status;
	if (kind->object == GANG_OBJECT_JOB) {
		free(s->jobs_missing);
		s->jobs_missing = xstrdup(reason);
	}
	if (status == 404)
		not_served(kind);
	else
		not_allowed(kind);
}

static struct kube_watch *watch(struct gang_kind *kind, const char *api)
{
	char path[PATH_MAX_BYTES];
	if (kind->watch)
		kube_watch_stop(kind->watch);
	else
		log_info("objects that tell gangs' sizes are watched", "kind=%s api=%s",
		    gang_object_rows[kind->object].kind, api);
	snprintf(path, sizeof path, "/apis/%s/%s", api, gang_object_rows[kind->object].plural);
	kind->api = api;
	kind->watch = kube_watch_start(kind->s->kube, &(struct kube_watch_options){.path = path, .optional = true},
	    &(struct kube_watch_handlers){
	        .begin = begin, .object = object, .synced = synced, .unavailable = unavailable, .ctx = kind});
	return kind->watch;
}

/* --- what the API server has --- */

/* Of each kind the first of its APIs that is among these. */
static void note_api(struct slice api, const char *served[GANG_OBJECT_COUNT])
{
	for (int i = 0; i < GANG_OBJECT_COUNT; i++)
		for (size_t k = 0; k < sizeof gang_object_rows[i].apis / sizeof *gang_object_rows[i].apis; k++) {
			const char *known = gang_object_rows[i].apis[k];
			if (!known || known == served[i])
				break;
			if (slice_is(api, known))
				served[i] = known;
		}
}

static void read_versions(struct reader *json, const char *served[GANG_OBJECT_COUNT])
{
	struct slice key, api;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		if (!reader_object(json))
			continue;
		while (reader_key(json, &key))
			if (!slice_is(key, "groupVersion"))
				reader_skip(json);
			else if (reader_string(json, &api))
				note_api(api, served);
	}
}

static bool read_apis(struct slice text, const char *served[GANG_OBJECT_COUNT])
{
	struct reader json;
	struct slice key;
	reader_open(&json, text);
	if (reader_object(&json))
		while (reader_key(&json, &key)) {
			if (!slice_is(key, "groups") || !reader_array(&json)) {
				if (!slice_is(key, "groups"))
					reader_skip(&json);
				continue;
			}
			while (reader_next(&json)) {
				if (!reader_object(&json))
					continue;
				while (reader_key(&json, &key))
					if (slice_is(key, "versions"))
						read_versions(&json, served);
					else
						reader_skip(&json);
			}
		}
	return reader_close(&json);
}

static void take_apis(struct gang_feed *feed, const char *const served[GANG_OBJECT_COUNT])
{
	for (int i = 0; i < GANG_OBJECT_COUNT; i++) {
		struct gang_kind *kind = &feed->kinds[i];
		if (i == GANG_OBJECT_NONE || i == GANG_OBJECT_JOB)
			continue;
		if (!served[i] && !kind->watch)
			not_served(kind);
		else if (served[i] && (!kind->watch || kind->refused || strcmp(kind->api, served[i]) != 0))
			watch(kind, served[i]);
	}
}

static void apis_came(void *ctx, const struct kube_answer *answer)
{
	struct scheduler *s = ctx;
	struct gang_feed *feed = s->gang_feed;
	const char *served[GANG_OBJECT_COUNT] = {NULL};
	bool answered = answer->code == 0 && (answer->status == 200 || answer->status == 404 || answer->status == 403);
	feed->asking = false;
	if (answer->code == 0 && answer->status == 200)
		answered = read_apis(answer->body, served);
	if (!answered) {
		log_warn("what the API server has is not known", "status=%u error=%s", answer->status,
		    log_quote(answer->error ? answer->error : ""));
		return;
	}
	feed->asked = true;
	if (answer->status != 403) {
		take_apis(feed, served);
	} else {
		for (int i = GANG_OBJECT_NONE + 1; i < GANG_OBJECT_COUNT; i++)
			if (!feed->kinds[i].watch)
				not_allowed(&feed->kinds[i]);
	}
	gang_synced(s);
}

void gang_feed_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	if (!s->gangs_rebuilt)
		gang_synced(s);
	if (s->gang_feed->asking)
		return;
	s->gang_feed->asking = true;
	kube_call(s->kube, &(struct kube_call_spec){
	                       .method = "GET", .path = "/apis", .repeatable = true, .done = apis_came, .ctx = s});
}

/* --- start, end, reports --- */

static void changed(void *ctx, enum gang_object object, const char *namespace_, const char *name)
{
	struct scheduler *s = ctx;
	(void)object;
	gang_source_each(&s->gang_sources, namespace_, name, gang_look_again, s);
}

void gang_feed_open(struct scheduler *s)
{
	s->gang_feed = xcalloc(1, sizeof *s->gang_feed);
	s->gang_feed->began_ns = clock_now();
	s->gang_objects = gang_objects_new(changed, s);
	for (int i = 0; i < GANG_OBJECT_COUNT; i++)
		s->gang_feed->kinds[i] = (struct gang_kind){.s = s, .object = (enum gang_object)i};
}

void gang_feed_start(struct scheduler *s)
{
	s->jobs = watch(&s->gang_feed->kinds[GANG_OBJECT_JOB], gang_object_rows[GANG_OBJECT_JOB].apis[0]);
	uv_timer_start(&s->gang_feed_timer, gang_feed_on_timer, 0, ASK_MS);
}

bool gang_feed_synced(const struct scheduler *s)
{
	const struct gang_feed *feed = s->gang_feed;
	bool all = feed->asked, reading = false;
	for (int i = GANG_OBJECT_NONE + 1; i < GANG_OBJECT_COUNT; i++) {
		const struct gang_kind *kind = &feed->kinds[i];
		all &= kind->done;
		reading |= !kind->done && kind->watch && kube_watch_state(kind->watch).connected;
	}
	return all || (!reading && clock_now() - feed->began_ns > FIRST_NS);
}

void gang_feed_report(const struct scheduler *s, struct buf *out)
{
	for (int i = GANG_OBJECT_NONE + 1; i < GANG_OBJECT_COUNT; i++) {
		const struct gang_kind *kind = &s->gang_feed->kinds[i];
		const char *plural = gang_object_rows[i].plural;
		if (!kind->watch || i == GANG_OBJECT_JOB || kind->refused == 404)
			continue;
		int group = (int)strcspn(kind->api, "/");
		if (kind->refused)
			buf_printf(
			    out, "info %s.%.*s: reading it is not allowed, its gangs wait\n", plural, group, kind->api);
		else if (kube_watch_state(kind->watch).synced)
			buf_printf(out, "ok   %s.%.*s: watched\n", plural, group, kind->api);
		else
			buf_printf(out, "info %s.%.*s: the first list is not done\n", plural, group, kind->api);
	}
}

const char *gang_feed_trouble(const struct scheduler *s, enum gang_object object)
{
	const struct gang_kind *kind = &s->gang_feed->kinds[object];
	if (kind->refused == 403 || (!kind->watch && !gang_objects_known(s->gang_objects, object) && kind->done))
		return "reading it is not allowed: berth's ClusterRole needs list and watch";
	if (!kind->watch || kind->refused == 404)
		return "the API server has no such kind";
	if (!kind->done)
		return "it was not read yet";
	return NULL;
}

void gang_feed_free(struct scheduler *s)
{
	gang_objects_free(s->gang_objects);
	gang_source_free(&s->gang_sources);
	free(s->gang_feed);
}
