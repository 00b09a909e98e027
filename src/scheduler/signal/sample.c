#include "scheduler/signal/sample.h"

#include <math.h>
#include <stdlib.h>

#include "base/reader.h"

#define SAID_MAX 160 /* bytes of what Prometheus says */

struct answer {
	struct slice status, type, result, error;
	bool warned;
};

/* --- numbers --- */

static bool read_number(struct slice text, double *value)
{
	char copy[SIGNAL_NUMBER_MAX + 1], *end;

	if (text.len == 0 || text.len > SIGNAL_NUMBER_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!text.at[i] || !strchr("0123456789+-.eE", text.at[i]))
			return false;
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	*value = strtod(copy, &end);
	return *end == '\0' && isfinite(*value);
}

/* [ 1435781430.781, "1" ] */
static void read_pair(struct reader *json, struct signal_sample *sample)
{
	struct slice time = {NULL, 0}, text = {NULL, 0};
	double at_s, value;

	if (!reader_array(json)) {
		sample->unread++;
		return;
	}
	for (int i = 0; reader_next(json); i++) {
		if (i == 0)
			reader_value(json, &time);
		else if (i == 1)
			reader_string(json, &text);
		else
			reader_skip(json);
	}
	if (!read_number(time, &at_s) || !read_number(text, &value)) {
		sample->unread++;
		return;
	}
	sample->at_s = sample->count == 0 || at_s < sample->at_s ? at_s : sample->at_s;
	sample->value += value;
	sample->count++;
}

static void read_vector(struct reader *json, struct signal_sample *sample)
{
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		bool any = false;

		if (!reader_object(json)) {
			sample->unread++;
			continue;
		}
		for (struct slice key; reader_key(json, &key);) {
			if (!slice_is(key, "value")) {
				reader_skip(json);
				continue;
			}
			if (any)
				reader_skip(json);
			else
				read_pair(json, sample);
			any = true;
		}
		sample->unread += !any;
	}
}

/* --- the whole --- */

static void read_data(struct reader *json, struct answer *answer)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "resultType"))
			reader_string(json, &answer->type);
		else if (slice_is(key, "result"))
			reader_value(json, &answer->result);
		else
			reader_skip(json);
	}
}

/* Whether the array has anything in it. */
static bool read_any(struct reader *json)
{
	bool any = false;

	for (reader_array(json); reader_next(json); any = true)
		reader_skip(json);
	return any;
}

static bool read_answer(struct reader *json, struct answer *answer)
{
	if (reader_peek(json) == READER_OBJECT && reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "status"))
				reader_string(json, &answer->status);
			else if (slice_is(key, "error"))
				reader_string(json, &answer->error);
			else if (slice_is(key, "data"))
				read_data(json, answer);
			else if (slice_is(key, "warnings") && reader_peek(json) == READER_ARRAY)
				answer->warned |= read_any(json);
			else
				reader_skip(json);
		}
	return reader_close(json);
}

static int refuse(const struct answer *answer, struct err *err)
{
	char text[SAID_MAX + 1];
	struct slice said = answer->error;

	if (said.len > SAID_MAX)
		said.len = SAID_MAX;
	size_t len = said.len ? reader_unescape(said, text) : 0;
	if (len > 0)
		return err_set(err, ERR_INPUT, "Prometheus says: %.*s", (int)len, text);
	return err_set(err, ERR_INPUT, "the answer is none of an instant query");
}

int signal_sample_read(struct slice text, struct signal_sample *sample, struct err *err)
{
	struct reader json;
	struct answer answer = {0};

	*sample = (struct signal_sample){0};
	reader_open(&json, text);
	if (!read_answer(&json, &answer))
		return err_set(err, ERR_INPUT, "the answer is no JSON: %s", json.error ? json.error : "no object");
	if (!slice_is(answer.status, "success") || answer.result.len == 0)
		return refuse(&answer, err);
	sample->warned = answer.warned;
	reader_open(&json, answer.result);
	if (slice_is(answer.type, "vector"))
		read_vector(&json, sample);
	else if (slice_is(answer.type, "scalar"))
		read_pair(&json, sample);
	else
		return err_set(err, ERR_INPUT, "the query gives a %.*s: an instant vector or a scalar is due",
		    (int)(answer.type.len < SIGNAL_NUMBER_MAX ? answer.type.len : SIGNAL_NUMBER_MAX),
		    answer.type.len ? answer.type.at : "");
	if (!isfinite(sample->value))
		return err_set(err, ERR_INPUT, "the samples' sum is too large");
	return 0;
}
