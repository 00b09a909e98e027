#include "cluster/autoscaler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "berth/map.h"
#include "cluster/fields.h"
#include "cluster/quantity.h"

struct autoscalers {
	struct map by_path;
	uint64_t list;
};

struct autoscalers *autoscalers_new(void)
{
	return xcalloc(1, sizeof(struct autoscalers));
}

static void autoscaler_free(struct autoscaler *autoscaler)
{
	struct arena arena = autoscaler->arena;

	arena_free(&arena);
}

void autoscalers_free(struct autoscalers *autoscalers)
{
	size_t cursor = 0;

	if (!autoscalers)
		return;
	for (struct autoscaler *autoscaler; (autoscaler = map_next(&autoscalers->by_path, &cursor));)
		autoscaler_free(autoscaler);
	map_free(&autoscalers->by_path);
	free(autoscalers);
}

void autoscalers_begin(struct autoscalers *autoscalers)
{
	autoscalers->list++;
}

/* --- metrics --- */

/* A target, or what stands against it; 0 = not said. */
struct amount {
	int64_t utilization, average, value; /* percent; thousandths */
};

struct metric {
	bool shared; /* a metric of an object or of none in the cluster, not of the pods */
	struct amount amount;
};

struct metrics {
	size_t count;
	struct metric items[AUTOSCALER_METRICS_MAX];
};

static void read_quantity(struct reader *json, int64_t *milli)
{
	struct slice text;

	if (reader_string(json, &text) && !quantity_parse(text, NULL, milli))
		*milli = 0;
}

static void read_amount(struct reader *json, struct amount *amount)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "averageUtilization"))
			reader_int(json, &amount->utilization);
		else if (slice_is(key, "averageValue"))
			read_quantity(json, &amount->average);
		else if (slice_is(key, "value"))
			read_quantity(json, &amount->value);
		else
			reader_skip(json);
	}
}

/* {"type": "Pods", "pods": {"metric": {…}, "target": {…}}}; in status "current" instead of "target". */
static void read_metric(struct reader *json, const char *which, struct metric *metric)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (reader_peek(json) != READER_OBJECT) {
			reader_skip(json);
			continue;
		}
		metric->shared = slice_is(key, "external") || slice_is(key, "object");
		reader_object(json);
		for (struct slice inner; reader_key(json, &inner);) {
			if (slice_is(inner, which))
				read_amount(json, &metric->amount);
			else
				reader_skip(json);
		}
	}
}

static void read_metrics(struct reader *json, const char *which, struct metrics *metrics)
{
	struct metric beyond;

	metrics->count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct metric *metric =
		    metrics->count < AUTOSCALER_METRICS_MAX ? &metrics->items[metrics->count++] : &beyond;

		*metric = (struct metric){0};
		read_metric(json, which, metric);
	}
}

static double over(int64_t current, int64_t target)
{
	double ratio = target > 0 && current > 0 ? (double)current / (double)target : 0;

	return ratio > 1 + AUTOSCALER_TOLERANCE ? ratio : 0;
}

/* How the controller counts each kind: replica_calculator.go of the same release. */
static void compare(struct autoscaler *autoscaler, const struct metrics *targets, const struct metrics *currents)
{
	for (size_t i = 0; i < targets->count && i < currents->count; i++) {
		const struct amount *target = &targets->items[i].amount, *current = &currents->items[i].amount;
		double average = over(current->average, target->average);
		double *by = targets->items[i].shared ? &autoscaler->by_replica : &autoscaler->by_pod;

		*by = fmax(*by, average);
		autoscaler->by_pod = fmax(autoscaler->by_pod, over(current->utilization, target->utilization));
		autoscaler->by_pod = fmax(autoscaler->by_pod, over(current->value, target->value));
	}
}

/* --- reading --- */

static void read_metadata(struct reader *json, struct autoscaler *autoscaler)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "namespace"))
			autoscaler->namespace_ = field_string(json, &autoscaler->arena);
		else if (slice_is(key, "name"))
			autoscaler->name = field_string(json, &autoscaler->arena);
		else
			reader_skip(json);
	}
}

static void read_target(struct reader *json, struct autoscaler *autoscaler)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "kind"))
			autoscaler->kind = field_string(json, &autoscaler->arena);
		else if (slice_is(key, "name"))
			autoscaler->target = field_string(json, &autoscaler->arena);
		else
			reader_skip(json);
	}
}

static void read_spec(struct reader *json, struct autoscaler *autoscaler, struct metrics *targets)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "scaleTargetRef"))
			read_target(json, autoscaler);
		else if (slice_is(key, "metrics"))
			read_metrics(json, "target", targets);
		else
			reader_skip(json);
	}
}

static void read_condition(struct reader *json, struct autoscaler *autoscaler)
{
	struct slice type = {0}, status = {0}, reason = {0};

	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "type"))
			reader_string(json, &type);
		else if (slice_is(key, "status"))
			reader_string(json, &status);
		else if (slice_is(key, "reason"))
			reader_string(json, &reason);
		else
			reader_skip(json);
	}
	if (slice_is(type, "ScalingActive"))
		autoscaler->active = slice_is(status, "True");
	else if (slice_is(type, "ScalingLimited"))
		autoscaler->limited = slice_is(status, "True") &&
		                      (slice_is(reason, "TooManyReplicas") || slice_is(reason, "ScaleUpLimit"));
}

static void read_status(struct reader *json, struct autoscaler *autoscaler, struct metrics *currents)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "currentReplicas")) {
			reader_int(json, &autoscaler->current);
		} else if (slice_is(key, "desiredReplicas")) {
			reader_int(json, &autoscaler->desired);
		} else if (slice_is(key, "currentMetrics")) {
			read_metrics(json, "current", currents);
		} else if (slice_is(key, "conditions") && reader_peek(json) == READER_ARRAY) {
			reader_array(json);
			while (reader_next(json))
				read_condition(json, autoscaler);
		} else {
			reader_skip(json);
		}
	}
}

static struct autoscaler *read_autoscaler(struct slice text, struct err *err)
{
	struct reader json;
	struct arena arena;
	struct metrics targets = {0}, currents = {0};

	arena_init(&arena, sizeof(struct autoscaler) + 256);
	struct autoscaler *autoscaler = arena_calloc(&arena, 1, sizeof *autoscaler);
	autoscaler->arena = arena;
	reader_open(&json, text);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "metadata"))
				read_metadata(&json, autoscaler);
			else if (slice_is(key, "spec"))
				read_spec(&json, autoscaler, &targets);
			else if (slice_is(key, "status"))
				read_status(&json, autoscaler, &currents);
			else
				reader_skip(&json);
		}
	if (!reader_close(&json) || !autoscaler->namespace_ || !autoscaler->name) {
		err_set(err, ERR_INPUT, "autoscaler: %s", json.error ? json.error : "no namespace or name");
		autoscaler_free(autoscaler);
		return NULL;
	}
	compare(autoscaler, &targets, &currents);
	return autoscaler;
}

static bool is_limited_for_good(const struct autoscaler *autoscaler, int64_t now_ns)
{
	return autoscaler->limited && now_ns - autoscaler->limited_ns > AUTOSCALER_LIMITED_NS;
}

int64_t autoscaler_wants(const struct autoscaler *autoscaler, int64_t running, int64_t now_ns)
{
	int64_t asked = autoscaler->desired > autoscaler->current ? autoscaler->desired : autoscaler->current;
	double wants = (double)asked;

	if (!autoscaler->active)
		return 0;
	if (running > autoscaler->current)
		running = autoscaler->current;
	if (!is_limited_for_good(autoscaler, now_ns)) {
		wants = fmax(wants, ceil((double)running * autoscaler->by_pod));
		wants = fmax(wants, ceil((double)autoscaler->current * autoscaler->by_replica));
		if (autoscaler->limited)
			wants = fmax(wants, (double)asked + 1);
	}
	return (int64_t)fmax(0, fmin(wants, AUTOSCALER_REPLICAS_MAX));
}

/* --- the table --- */

static struct slice path_of(struct arena *arena, const struct autoscaler *autoscaler)
{
	size_t len = strlen(autoscaler->namespace_), name = strlen(autoscaler->name);
	char *path = arena_text(arena, len + 1 + name);

	memcpy(path, autoscaler->namespace_, len);
	path[len] = '/';
	memcpy(path + len + 1, autoscaler->name, name + 1);
	return (struct slice){path, len + 1 + name};
}

int autoscalers_put(struct autoscalers *autoscalers, struct slice json, int64_t now_ns, struct err *err)
{
	struct autoscaler *autoscaler = read_autoscaler(json, err), *before;

	if (!autoscaler)
		return err->code;
	struct slice path = path_of(&autoscaler->arena, autoscaler);
	autoscaler->list = autoscalers->list;
	before = map_remove(&autoscalers->by_path, path);
	bool still = before && before->limited && before->current == autoscaler->current;
	autoscaler->limited_ns = still ? before->limited_ns : now_ns;
	map_put(&autoscalers->by_path, path, autoscaler);
	if (before)
		autoscaler_free(before);
	return 0;
}

static void forget(struct autoscalers *autoscalers, struct slice path)
{
	struct autoscaler *autoscaler = map_remove(&autoscalers->by_path, path);

	if (autoscaler)
		autoscaler_free(autoscaler);
}

int autoscalers_remove(struct autoscalers *autoscalers, struct slice json, struct err *err)
{
	struct autoscaler *gone = read_autoscaler(json, err);

	if (!gone)
		return err->code;
	forget(autoscalers, path_of(&gone->arena, gone));
	autoscaler_free(gone);
	return 0;
}

void autoscalers_synced(struct autoscalers *autoscalers)
{
	size_t cursor = 0, count = 0;
	struct autoscaler **gone = xcalloc(autoscalers->by_path.count + 1, sizeof *gone);

	for (struct autoscaler *autoscaler; (autoscaler = map_next(&autoscalers->by_path, &cursor));)
		if (autoscaler->list != autoscalers->list)
			gone[count++] = autoscaler;
	while (count > 0) {
		struct autoscaler *autoscaler = gone[--count];

		forget(autoscalers, path_of(&autoscaler->arena, autoscaler));
	}
	free(gone);
}

size_t autoscalers_count(const struct autoscalers *autoscalers)
{
	return autoscalers->by_path.count;
}

const struct autoscaler *autoscalers_next(const struct autoscalers *autoscalers, size_t *cursor)
{
	return map_next(&autoscalers->by_path, cursor);
}
