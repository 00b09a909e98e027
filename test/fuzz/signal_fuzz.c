/* Any bytes as the answer of a Prometheus and as HorizontalPodAutoscalers: a value is a number that jansson finds as
 * well, autoscalers want no more than they can, and nothing is left of them once they are gone. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "cluster/autoscaler.h"
#include "scheduler/signal/sample.h"

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- an answer --- */

/* The value of [time, "value"] as the C library alone reads it; false where that is no decimal number. */
static bool pair_value(const json_t *pair, double *value)
{
	const char *text = json_string_value(json_array_get(pair, 1));
	char *end;

	if (!text || !text[0] || !json_is_number(json_array_get(pair, 0)) || strlen(text) > SIGNAL_NUMBER_MAX ||
	    text[strspn(text, "0123456789+-.eE")])
		return false;
	*value = strtod(text, &end);
	return !*end && isfinite(*value);
}

static bool has(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, text) == 0;
}

/* Texts with escapes and with longer numbers than any that is meant are not compared. */
static bool is_plain(const char *text, size_t size)
{
	size_t run = 0;

	for (size_t i = 0; i < size && run <= SIGNAL_NUMBER_MAX; i++) {
		if (text[i] == '\\')
			return false;
		run = text[i] && strchr("0123456789+-.eE", text[i]) ? run + 1 : 0;
	}
	return run <= SIGNAL_NUMBER_MAX;
}

static void check_answer(const char *text, size_t size)
{
	struct signal_sample sample;
	struct err err;
	double value, sum = 0;
	size_t count = 0, i;
	json_t *item, *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL),
	              *data = json_object_get(root, "data");
	int code = signal_sample_read((struct slice){text, size}, &sample, &err);

	CHECK(code == 0 || (code == err.code && err.text[0]));
	CHECK(code != 0 || isfinite(sample.value));
	CHECK(sample.count + sample.unread <= size);
	if (code == 0 && root && is_plain(text, size)) {
		CHECK(has(root, "status", "success"));
		if (has(data, "resultType", "vector"))
			json_array_foreach(json_object_get(data, "result"), i, item)
			{
				if (pair_value(json_object_get(item, "value"), &value)) {
					sum += value;
					count++;
				}
			}
		else if (pair_value(json_object_get(data, "result"), &value)) {
			sum = value;
			count = 1;
		}
		CHECK(count == sample.count && sum == sample.value);
	}
	json_decref(root);
}

/* --- autoscalers --- */

static void check_autoscaler(const char *text, size_t size)
{
	struct autoscalers *autoscalers = autoscalers_new();
	struct slice json = {text, size};
	struct err err;
	size_t cursor = 0;

	autoscalers_begin(autoscalers);
	if (autoscalers_put(autoscalers, json, 0, &err) == 0) {
		const struct autoscaler *one = autoscalers_next(autoscalers, &cursor);

		CHECK(one && one->namespace_ && one->name);
		for (int64_t running = 0; running < 100; running = running * 3 + 1) {
			int64_t wants = autoscaler_wants(one, running, AUTOSCALER_LIMITED_NS * (running % 3));

			CHECK(wants >= 0 && wants <= (int64_t)AUTOSCALER_REPLICAS_MAX);
			CHECK(one->active || wants == 0);
		}
		CHECK(autoscalers_put(autoscalers, json, 0, &err) == 0 && autoscalers_count(autoscalers) == 1);
		autoscalers_synced(autoscalers);
		CHECK(autoscalers_count(autoscalers) == 1);
		CHECK(autoscalers_remove(autoscalers, json, &err) == 0);
	}
	CHECK(autoscalers_count(autoscalers) == 0);
	autoscalers_free(autoscalers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = size ? (const char *)data : "";

	check_answer(text, size);
	check_autoscaler(text, size);
	return 0;
}
