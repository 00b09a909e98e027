#include "sim/selector.h"

#include <stdio.h>
#include <string.h>

#include "base/reader.h"

static const char *field_of(const struct sim_version *version, const char *field)
{
	if (strcmp(field, "metadata.name") == 0)
		return version->name;
	if (strcmp(field, "metadata.namespace") == 0)
		return version->namespace_;
	if (strcmp(field, "spec.nodeName") == 0)
		return version->node;
	if (strcmp(field, "spec.schedulerName") == 0)
		return version->scheduler;
	if (strcmp(field, "status.phase") == 0)
		return version->phase;
	return NULL;
}

static int parse_term(struct sim_selector *selector, char *text, struct err *err)
{
	static const struct sim_version any = {.name = "", .namespace_ = "", .node = "", .scheduler = "", .phase = ""};
	size_t name = strcspn(text, "!=");
	const char *op = text + name;
	struct sim_selector_term *term = &selector->terms[selector->count];

	if (!*op || (*op == '!' && op[1] != '='))
		return err_set(err, ERR_INPUT, "\"%s\" is no field selector", text);
	const char *value = op + (op[0] == '!' || op[1] == '=' ? 2 : 1);

	if (name >= sizeof term->field || strlen(value) >= sizeof term->value ||
	    selector->count == SIM_SELECTOR_TERMS_MAX)
		return err_set(err, ERR_TOO_LARGE, "the field selector is too long");
	term->equal = *op != '!';
	snprintf(term->field, sizeof term->field, "%.*s", (int)name, text);
	snprintf(term->value, sizeof term->value, "%s", value);
	if (!field_of(&any, term->field))
		return err_set(err, ERR_INPUT, "field label not supported: %s", term->field);
	selector->count++;
	return 0;
}

int sim_selector_parse(struct sim_selector *selector, const char *namespace_, const char *text, struct err *err)
{
	char copy[SIM_SELECTOR_TEXT_MAX], *rest;

	*selector = (struct sim_selector){0};
	snprintf(selector->namespace_, sizeof selector->namespace_, "%s", namespace_ ? namespace_ : "");
	if (!text || !*text)
		return 0;
	if (strlen(text) >= sizeof copy)
		return err_set(err, ERR_TOO_LARGE, "the field selector is too long");
	memcpy(copy, text, strlen(text) + 1);
	for (char *term = strtok_r(copy, ",", &rest); term; term = strtok_r(NULL, ",", &rest)) {
		int code = parse_term(selector, term, err);

		if (code != 0)
			return code;
	}
	return 0;
}

int sim_selector_add_label(struct sim_selector *selector, const char *text, struct err *err)
{
	size_t key = strcspn(text, "=!, ()");

	selector->label_any = key > 0 && text[key] == '\0' && key < sizeof selector->label;
	if (!selector->label_any &&
	    (key == 0 || text[key] != '=' || key >= sizeof selector->label || strpbrk(text + key + 1, "=!, ()") ||
	        strlen(text + key + 1) >= sizeof selector->label_value))
		return err_set(err, ERR_INPUT, "labelSelector is served here as one key or key=value");
	snprintf(selector->label, sizeof selector->label, "%.*s", (int)key, text);
	if (selector->label_any)
		return 0;
	snprintf(selector->label_value, sizeof selector->label_value, "%s", text + key + 1);
	return 0;
}

static bool has_label(const struct sim_selector *selector, const struct sim_version *version)
{
	struct reader json;
	bool found = false;

	reader_open(&json, version->metadata);
	if (!reader_object(&json))
		return false;
	for (struct slice key, value; reader_key(&json, &key);) {
		if (!slice_is(key, "labels") || reader_peek(&json) != READER_OBJECT) {
			reader_skip(&json);
			continue;
		}
		reader_object(&json);
		while (reader_key(&json, &key))
			if (reader_string(&json, &value) && slice_is(key, selector->label))
				found = selector->label_any || slice_is(value, selector->label_value);
	}
	return found;
}

bool sim_selector_matches(const struct sim_selector *selector, const struct sim_version *version)
{
	if (selector->namespace_[0] && strcmp(selector->namespace_, version->namespace_) != 0)
		return false;
	for (size_t i = 0; i < selector->count; i++) {
		const struct sim_selector_term *term = &selector->terms[i];

		if ((strcmp(field_of(version, term->field), term->value) == 0) != term->equal)
			return false;
	}
	return !selector->label[0] || has_label(selector, version);
}
