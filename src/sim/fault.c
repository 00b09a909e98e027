#include "sim/fault.h"

#include <stdio.h>

#define DELAY_MS_MAX 600000

int sim_fault_add(struct sim_faults *faults, const struct sim_fault *rule, struct err *err)
{
	if (faults->count == SIM_FAULT_RULES_MAX)
		return err_set(err, ERR_TOO_LARGE, "more than %d fault rules", SIM_FAULT_RULES_MAX);
	if (rule->times > 0)
		faults->rules[faults->count++] = *rule;
	return 0;
}

static int read_number(const json_t *json, long low, long high, const char *key, long *out, struct err *err)
{
	if (!json_is_integer(json) || json_integer_value(json) < low || json_integer_value(json) > high)
		return err_set(err, ERR_INPUT, "%s must be a whole number from %ld to %ld", key, low, high);
	*out = (long)json_integer_value(json);
	return 0;
}

static int read_text(const json_t *json, const char *key, char *out, size_t room, struct err *err)
{
	if (!json_is_string(json) || json_string_length(json) >= room)
		return err_set(err, ERR_INPUT, "%s must be a string shorter than %zu", key, room);
	snprintf(out, room, "%s", json_string_value(json));
	return 0;
}

static int read_member(struct sim_fault *rule, const char *key, const json_t *value, struct err *err)
{
	long number = 0;
	int code;

	if (strcmp(key, "method") == 0)
		return read_text(value, key, rule->method, sizeof rule->method, err);
	if (strcmp(key, "path") == 0)
		return read_text(value, key, rule->path, sizeof rule->path, err);
	if (strcmp(key, "times") == 0) {
		if ((code = read_number(value, 1, 1000000, key, &number, err)) == 0)
			rule->times = (unsigned)number;
		return code;
	}
	if (strcmp(key, "status") == 0) {
		if ((code = read_number(value, 400, 599, key, &number, err)) == 0)
			rule->status = (unsigned)number;
		return code;
	}
	if (strcmp(key, "retryAfter") == 0) {
		if ((code = read_number(value, 0, 3600, key, &number, err)) == 0)
			rule->retry_after_s = (int)number;
		return code;
	}
	if (strcmp(key, "delayMs") == 0) {
		if ((code = read_number(value, 0, DELAY_MS_MAX, key, &number, err)) == 0)
			rule->delay_ms = (unsigned)number;
		return code;
	}
	if (strcmp(key, "hold") == 0)
		rule->hold = json_is_true(value);
	else if (strcmp(key, "cut") == 0)
		rule->cut = json_is_true(value);
	else if (strcmp(key, "drop") == 0)
		rule->drop = json_is_true(value);
	else
		return err_set(err, ERR_INPUT, "unknown key \"%.40s\" in a fault rule", key);
	return 0;
}

int sim_fault_from_json(struct sim_fault *rule, const json_t *json, struct err *err)
{
	const char *key;
	json_t *value;

	*rule = (struct sim_fault){.times = 1, .retry_after_s = -1};
	if (!json_is_object(json))
		return err_set(err, ERR_INPUT, "a fault rule is an object");
	json_object_foreach((json_t *)json, key, value)
	{
		int code = read_member(rule, key, value, err);

		if (code != 0)
			return code;
	}
	return 0;
}

static bool contains(struct slice text, const char *part)
{
	size_t len = strlen(part);

	return len == 0 || (text.len >= len && memmem(text.at, text.len, part, len) != NULL);
}

bool sim_fault_take(struct sim_faults *faults, struct slice method, struct slice path, struct sim_fault *rule)
{
	for (size_t i = 0; i < faults->count; i++) {
		struct sim_fault *candidate = &faults->rules[i];

		if ((candidate->method[0] && !slice_is(method, candidate->method)) || !contains(path, candidate->path))
			continue;
		*rule = *candidate;
		faults->hits++;
		if (--candidate->times == 0) {
			memmove(candidate, candidate + 1, (faults->count - i - 1) * sizeof *candidate);
			faults->count--;
		}
		return true;
	}
	return false;
}
