#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sim/api_internal.h"
#include "sim/selector.h"

#define WATCH_TIMEOUT_S 1800     /* without timeoutSeconds */
#define PIECE_BYTES (256u << 10) /* events are written in pieces of about this size */

struct sim_watch {
	struct sim_api *api;
	struct http_request *http; /* NULL once it was ended or cut */
	enum sim_resource resource;
	struct sim_selector selector;
	bool metadata_only, bookmarks;
	uint64_t next;    /* number of the next change to look at */
	uint64_t seen_rv; /* of the last one looked at */
	int64_t bookmark_ns, until_ns;
	TAILQ_ENTRY(sim_watch) link;
};

static void gone(void *ctx)
{
	struct sim_watch *watch = ctx;

	TAILQ_REMOVE(&watch->api->watches, watch, link);
	watch->api->watch_count--;
	free(watch);
}

static void end(struct sim_watch *watch, bool cut)
{
	struct http_request *http = watch->http;

	watch->http = NULL;
	if (cut)
		http_cut(http);
	else
		http_stream_end(http);
}

static void flush(struct sim_watch *watch, struct buf *out)
{
	if (out->len > 0 && !http_stream_write(watch->http, out->data, out->len))
		watch->http = NULL; /* too slow a reader: the server has cut it and tells gone */
	buf_clear(out);
}

static void write_event(
    const struct sim_watch *watch, struct buf *out, const char *type, const struct sim_version *version)
{
	buf_printf(out, "{\"type\":\"%s\",\"object\":", type);
	sim_write_version(out, version, watch->metadata_only);
	buf_text(out, "}\n");
}

/* An object that enters or leaves what the selector selects is added or deleted for this watch. */
static void write_change(const struct sim_watch *watch, struct buf *out, const struct sim_change *change)
{
	bool before = change->before && sim_selector_matches(&watch->selector, change->before);
	bool now = change->type != SIM_DELETED && sim_selector_matches(&watch->selector, change->now);

	if (now)
		write_event(watch, out, before ? "MODIFIED" : "ADDED", change->now);
	else if (before)
		write_event(watch, out, "DELETED", change->now);
}

static void write_bookmark(const struct sim_watch *watch, struct buf *out)
{
	const struct sim_resource_info *info = &sim_resources[watch->resource];

	buf_printf(out,
	    "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":"
	    "{\"resourceVersion\":\"%" PRIu64 "\",\"creationTimestamp\":null}}}\n",
	    watch->metadata_only ? "PartialObjectMetadata" : info->kind,
	    watch->metadata_only ? "meta.k8s.io/v1" : info->group_version, watch->seen_rv);
}

static void write_expired(struct buf *out)
{
	buf_text(out, "{\"type\":\"ERROR\",\"object\":");
	sim_status_text(out, 410, "Expired", "The resourceVersion for the provided watch is too old.");
	buf_text(out, "}\n");
}

/* All changes that are due; returns when the next one is. */
static int64_t deliver(struct sim_watch *watch, struct buf *out, int64_t now)
{
	bool lost;

	for (const struct sim_change *change;
	     (change = sim_history_at(watch->api->store, watch->resource, watch->next, &lost)); watch->next++) {
		if (change->at_ns + watch->api->lag_ns > now)
			return change->at_ns + watch->api->lag_ns;
		write_change(watch, out, change);
		watch->seen_rv = change->rv;
		if (out->len > PIECE_BYTES) {
			flush(watch, out);
			if (!watch->http)
				return INT64_MAX;
		}
	}
	if (lost) {
		write_expired(out);
		flush(watch, out);
		if (watch->http)
			end(watch, false);
		return INT64_MAX;
	}
	/* Nothing is held back: whatever other resources' writes counted is seen, too. */
	if (watch->api->lag_ns == 0)
		watch->seen_rv = sim_store_rv(watch->api->store);
	return INT64_MAX;
}

/* Brings one watch up to date; returns when it wants to be looked at again. */
static int64_t serve(struct sim_watch *watch, struct buf *out, int64_t now)
{
	int64_t again = deliver(watch, out, now);

	if (!watch->http)
		return INT64_MAX;
	if (watch->bookmarks && now >= watch->bookmark_ns) {
		write_bookmark(watch, out);
		watch->bookmark_ns = now + watch->api->bookmark_ns;
	}
	flush(watch, out);
	if (!watch->http)
		return INT64_MAX;
	if (now >= watch->until_ns) {
		end(watch, false);
		return INT64_MAX;
	}
	if (watch->bookmarks && watch->bookmark_ns < again)
		again = watch->bookmark_ns;
	return watch->until_ns < again ? watch->until_ns : again;
}

static void arm(struct sim_api *api, int64_t at_ns)
{
	int64_t now = clock_now();

	if (api->stopping || at_ns == INT64_MAX ||
	    (uv_is_active((uv_handle_t *)&api->pump) && api->pump_at_ns <= at_ns))
		return;
	api->pump_at_ns = at_ns;
	uv_timer_start(&api->pump, sim_watch_pump, at_ns > now ? (uint64_t)((at_ns - now) / NS_PER_MS + 1) : 0, 0);
}

void sim_watch_kick(struct sim_api *api)
{
	arm(api, 0);
}

void sim_watch_pump(uv_timer_t *timer)
{
	struct sim_api *api = timer->data;
	struct sim_watch *watch;
	int64_t again = INT64_MAX;
	struct buf out;

	buf_init(&out, 4 * SIM_OBJECT_MAX);
	TAILQ_FOREACH(watch, &api->watches, link)
	{
		if (!watch->http)
			continue;
		int64_t at = serve(watch, &out, clock_now());

		again = at < again ? at : again;
	}
	buf_free(&out);
	arm(api, again);
}

void sim_watch_changed(void *ctx, const struct sim_change *change)
{
	struct sim_api *api = ctx;

	if (TAILQ_EMPTY(&api->watches))
		return;
	arm(api, api->lag_ns ? change->at_ns + api->lag_ns : 0);
}

/* Without a resourceVersion a watch begins with what is there. */
static void write_initial(struct sim_watch *watch)
{
	size_t count;
	struct sim_version **all = sim_store_list(watch->api->store, watch->resource, &count);
	struct buf out;

	buf_init(&out, 4 * SIM_OBJECT_MAX);
	for (size_t i = 0; i < count && watch->http; i++) {
		if (sim_selector_matches(&watch->selector, all[i]))
			write_event(watch, &out, "ADDED", all[i]);
		if (out.len > PIECE_BYTES)
			flush(watch, &out);
	}
	if (watch->http)
		flush(watch, &out);
	buf_free(&out);
	sim_versions_free(all, count);
}

void sim_watch_open(const struct sim_call *call)
{
	struct sim_api *api = call->api;
	const char *rv_text = http_query(call->http, "resourceVersion"),
	           *seconds = http_query(call->http, "timeoutSeconds");
	const char *bookmarks = http_query(call->http, "allowWatchBookmarks");
	uint64_t rv = rv_text ? strtoull(rv_text, NULL, 10) : 0, current = sim_store_rv(api->store);
	struct sim_watch *watch = xcalloc(1, sizeof *watch);
	unsigned long timeout_s = seconds ? strtoul(seconds, NULL, 10) : 0;
	struct err err;

	if (sim_selector_parse(
	        &watch->selector, call->route.namespace_, http_query(call->http, "fieldSelector"), &err) != 0) {
		free(watch);
		sim_answer_status(call, 400, "%s", err.text);
		return;
	}
	watch->api = api;
	watch->http = call->http;
	watch->resource = call->route.resource;
	watch->metadata_only = sim_wants_metadata(call);
	watch->bookmarks = bookmarks && (strcmp(bookmarks, "true") == 0 || strcmp(bookmarks, "1") == 0);
	watch->bookmark_ns = clock_now() + api->bookmark_ns;
	watch->until_ns =
	    clock_now() + (int64_t)(timeout_s && timeout_s < 86400 ? timeout_s : WATCH_TIMEOUT_S) * NS_PER_S;
	watch->seen_rv = rv ? rv : current;
	if (rv > current || !sim_history_after(api->store, watch->resource, rv ? rv : current, &watch->next))
		watch->next = 0; /* never kept: told as expired */
	TAILQ_INSERT_TAIL(&api->watches, watch, link);
	api->watch_count++;
	http_stream(call->http, 200, NULL, gone, watch);
	if (rv == 0)
		write_initial(watch);
	if (call->cut && watch->http)
		end(watch, true);
	sim_watch_kick(api);
}

void sim_api_drop_watches(struct sim_api *api)
{
	struct sim_watch *watch;

	TAILQ_FOREACH(watch, &api->watches, link)
	if (watch->http)
		end(watch, true);
}

void sim_api_set_watch_lag(struct sim_api *api, unsigned lag_ms)
{
	api->lag_ns = lag_ms * NS_PER_MS;
	sim_watch_kick(api);
}

size_t sim_api_watches(const struct sim_api *api)
{
	return api->watch_count;
}
