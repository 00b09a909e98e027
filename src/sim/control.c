#include <inttypes.h>

#include "sim/api_internal.h"

static void answer_text(const struct sim_call *call, struct buf *body)
{
	size_t len = body->len;

	http_answer(call->http, 200, NULL, buf_take(body), len);
}

static void answer_stats(const struct sim_call *call)
{
	const struct sim_api *api = call->api;
	const struct sim_api_stats *s = &api->stats;
	struct buf body;

	buf_init(&body, 4096);
	buf_printf(&body,
	    "{\"requests\":{\"list\":%lu,\"get\":%lu,\"create\":%lu,\"update\":%lu,\"patch\":%lu,\"delete\":%lu,"
	    "\"bind\":%lu,"
	    "\"evict\":%lu,\"watch\":%lu},\"refused\":%lu,\"faults\":%lu,\"watches\":%zu,\"resourceVersion\":%" PRIu64
	    ",\"objects\":{",
	    s->list, s->get, s->create, s->update, s->patch, s->remove, s->bind, s->evict, s->watch, s->refused,
	    api->faults.hits, api->watch_count, sim_store_rv(api->store));
	for (unsigned i = 0; i < SIM_RESOURCE_COUNT; i++)
		buf_printf(&body, "%s\"%s\":%zu", i ? "," : "", sim_resources[i].plural,
		    sim_store_count(api->store, (enum sim_resource)i));
	buf_text(&body, "}}\n");
	answer_text(call, &body);
}

/* One member of the body; the text says what is wrong with it. */
static int apply_member(struct sim_api *api, const char *key, const json_t *value, struct err *err)
{
	size_t i;
	json_t *item;

	if (strcmp(key, "rules") == 0) {
		if (!json_is_array(value))
			return err_set(err, ERR_INPUT, "rules must be a list");
		json_array_foreach(value, i, item)
		{
			struct sim_fault rule;
			int code = sim_fault_from_json(&rule, item, err);

			if (code == 0)
				code = sim_fault_add(&api->faults, &rule, err);
			if (code != 0)
				return code;
		}
		return 0;
	}
	if (strcmp(key, "watchLagMs") == 0) {
		if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > 600000)
			return err_set(err, ERR_INPUT, "watchLagMs must be a whole number up to 600000");
		sim_api_set_watch_lag(api, (unsigned)json_integer_value(value));
		return 0;
	}
	if (!json_is_true(value))
		return err_set(err, ERR_INPUT, "%.40s must be true", key);
	if (strcmp(key, "clear") == 0)
		api->faults.count = 0;
	else if (strcmp(key, "release") == 0)
		sim_api_release(api);
	else if (strcmp(key, "compact") == 0)
		sim_history_compact(api->store);
	else if (strcmp(key, "dropWatches") == 0)
		sim_api_drop_watches(api);
	else
		return err_set(err, ERR_INPUT, "unknown key \"%.40s\"", key);
	return 0;
}

static void apply_faults(const struct sim_call *call)
{
	struct slice text = http_body(call->http);
	json_error_t error;
	json_auto_t *body = json_loadb(text.at, text.len, 0, &error);
	const char *key;
	json_t *value;
	struct err err;

	if (!json_is_object(body)) {
		http_answer_error(call->http, 400, "the body is no JSON object");
		return;
	}
	json_object_foreach(body, key, value)
	{
		if (apply_member(call->api, key, value, &err) != 0) {
			http_answer_error(call->http, 400, "%s", err.text);
			return;
		}
	}
	answer_stats(call);
}

void sim_control(const struct sim_call *call)
{
	struct slice path = http_path(call->http), method = http_method(call->http);

	if (slice_is(path, "/sim/stats") && slice_is(method, "GET"))
		answer_stats(call);
	else if (slice_is(path, "/sim/faults") && slice_is(method, "POST"))
		apply_faults(call);
	else
		http_answer_error(call->http, 404, "only GET /sim/stats and POST /sim/faults are here");
}
