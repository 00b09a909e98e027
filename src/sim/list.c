#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sim/api_internal.h"
#include "sim/selector.h"

static void drop_snapshot(struct sim_api *api, size_t at)
{
	sim_versions_free(api->snapshots[at].versions, api->snapshots[at].count);
	memmove(&api->snapshots[at], &api->snapshots[at + 1], (--api->snapshot_count - at) * sizeof *api->snapshots);
}

void sim_snapshots_free(struct sim_api *api)
{
	while (api->snapshot_count > 0)
		drop_snapshot(api, 0);
}

static struct sim_snapshot *find_snapshot(struct sim_api *api, uint64_t id, enum sim_resource resource)
{
	while (api->snapshot_count > 0 && clock_now() - api->snapshots[0].made_ns > SIM_SNAPSHOT_NS)
		drop_snapshot(api, 0);
	for (size_t i = 0; i < api->snapshot_count; i++)
		if (api->snapshots[i].id == id && api->snapshots[i].resource == resource)
			return &api->snapshots[i];
	return NULL;
}

/* What is in the store now, of the selector's choice. */
static struct sim_snapshot take_snapshot(const struct sim_call *call, const struct sim_selector *selector)
{
	struct sim_snapshot snapshot = {
	    .rv = sim_store_rv(call->api->store), .resource = call->route.resource, .made_ns = clock_now()};
	size_t all, kept = 0;

	snapshot.versions = sim_store_list(call->api->store, call->route.resource, &all);
	for (size_t i = 0; i < all; i++) {
		if (sim_selector_matches(selector, snapshot.versions[i]))
			snapshot.versions[kept++] = snapshot.versions[i];
		else
			sim_version_unref(snapshot.versions[i]);
	}
	snapshot.count = kept;
	return snapshot;
}

static struct sim_snapshot *keep_snapshot(struct sim_api *api, const struct sim_snapshot *snapshot)
{
	if (api->snapshot_count == SIM_SNAPSHOTS_MAX)
		drop_snapshot(api, 0);
	struct sim_snapshot *kept = &api->snapshots[api->snapshot_count++];

	*kept = *snapshot;
	kept->id = ++api->snapshot_ids;
	return kept;
}

static void write_page(const struct sim_call *call, const struct sim_snapshot *snapshot, size_t from, size_t to)
{
	const struct sim_resource_info *info = &sim_resources[call->route.resource];
	bool metadata_only = sim_wants_metadata(call);
	struct buf body;

	buf_init(&body, SIM_ANSWER_MAX);
	if (metadata_only)
		buf_text(&body, "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/v1\"");
	else
		buf_printf(&body, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\"", info->kind, info->group_version);
	buf_printf(&body, ",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"", snapshot->rv);
	if (to < snapshot->count)
		buf_printf(&body, ",\"continue\":\"%" PRIx64 "-%zx\",\"remainingItemCount\":%zu", snapshot->id, to,
		    snapshot->count - to);
	buf_text(&body, "},\"items\":[");
	for (size_t i = from; i < to; i++) {
		if (i > from)
			buf_char(&body, ',');
		sim_write_version(&body, snapshot->versions[i], metadata_only);
	}
	buf_text(&body, "]}");
	if (body.overflow) {
		buf_free(&body);
		sim_answer_status(call, 413, "the list is too large; use limit");
		return;
	}
	size_t len = body.len;

	sim_answer(call, 200, buf_take(&body), len);
}

static void continue_list(const struct sim_call *call, const char *token, size_t limit)
{
	struct sim_api *api = call->api;
	uint64_t id;
	size_t from;
	int end = 0;

	if (sscanf(token, "%" SCNx64 "-%zx%n", &id, &from, &end) != 2 || token[end]) {
		sim_answer_status(call, 400, "continue key is not valid");
		return;
	}
	struct sim_snapshot *snapshot = find_snapshot(api, id, call->route.resource);

	if (!snapshot || from > snapshot->count) {
		sim_answer_status(call, 410, "The provided continue parameter is too old");
		return;
	}
	size_t left = snapshot->count - from;

	write_page(call, snapshot, from, from + (limit && limit < left ? limit : left));
	if (!limit || limit >= left)
		drop_snapshot(api, (size_t)(snapshot - api->snapshots));
}

void sim_list(const struct sim_call *call)
{
	const char *token = http_query(call->http, "continue"), *limit_text = http_query(call->http, "limit");
	size_t limit = limit_text ? strtoul(limit_text, NULL, 10) : 0;
	struct sim_selector selector;
	struct err err;

	if (token && *token) {
		continue_list(call, token, limit);
		return;
	}
	const char *labels = http_query(call->http, "labelSelector");

	if (sim_selector_parse(&selector, call->route.namespace_, http_query(call->http, "fieldSelector"), &err) != 0 ||
	    (labels && *labels && sim_selector_add_label(&selector, labels, &err) != 0)) {
		sim_answer_status(call, 400, "%s", err.text);
		return;
	}
	struct sim_snapshot snapshot = take_snapshot(call, &selector);

	if (limit && limit < snapshot.count) {
		write_page(call, keep_snapshot(call->api, &snapshot), 0, limit);
		return;
	}
	write_page(call, &snapshot, 0, snapshot.count);
	sim_versions_free(snapshot.versions, snapshot.count);
}
