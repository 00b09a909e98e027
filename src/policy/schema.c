/* The table as a JSON Schema. Texts that stand alone are checked by pattern; what holds between keys as far as a schema
 * can say it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "policy/load.h"
#include "policy/table.h"

#define SCHEMA_DRAFT "https://json-schema.org/draft/2020-12/schema"
#define SCHEMA_ID "https://berth.dev/schema/v1alpha1/placement-policy.json"

static json_t *text_schema(const struct field *field)
{
	json_t *schema = json_pack("{s:s}", "type", "string"), *words;
	const char *pattern = text_rule_pattern(field->rule), *word;

	if (field->word) {
		words = json_array();
		for (size_t i = 0; (word = field->word(i)); i++)
			json_array_append_new(words, json_string(word));
		json_object_set_new(schema, "enum", words);
	}
	if (pattern)
		json_object_set_new(schema, "pattern", json_string(pattern));
	return schema;
}

static json_t *labels_schema(const struct field *field)
{
	return json_pack("{s:s, s:{s:s}, s:o, s:i, s:i}", "type", "object", "propertyNames", "pattern",
	    text_rule_pattern(TEXT_LABEL_KEY), "additionalProperties", text_schema(field), "minProperties", 1,
	    "maxProperties", (int)field->list_max);
}

static json_t *number(const struct field *field, double value)
{
	return field->kind == FIELD_INTEGER ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *number_schema(const struct field *field)
{
	json_t *schema = json_pack("{s:s, s:o, s:o}", "type", field->kind == FIELD_INTEGER ? "integer" : "number",
	    "minimum", number(field, field->min), "maximum", number(field, field->max));

	if (!field->default_text)
		json_object_set_new(schema, "default", number(field, field->fallback));
	return schema;
}

static json_t *object_schema(const struct object *object);

static json_t *value_schema(const struct field *field)
{
	json_t *item, *list;

	switch (field->kind) {
	case FIELD_LABELS:
		return labels_schema(field);
	case FIELD_AMOUNTS:
		return json_pack("{s:s, s:{s:s}, s:{s:s, s:o, s:o}, s:i, s:i}", "type", "object", "propertyNames",
		    "pattern", text_rule_pattern(TEXT_NAME), "additionalProperties", "type", "number", "minimum",
		    number(field, field->min), "maximum", number(field, field->max), "minProperties", 1,
		    "maxProperties", (int)field->list_max);
	case FIELD_OBJECT:
		item = object_schema(field->object);
		break;
	case FIELD_TEXT:
		item = text_schema(field);
		break;
	case FIELD_BOOLEAN:
		item = json_pack("{s:s}", "type", "boolean");
		break;
	case FIELD_DURATION:
		item = json_pack("{s:s, s:s}", "type", "string", "pattern", DURATION_PATTERN);
		if (field->default_text && strpbrk(field->default_text, "0123456789")) /* it may be a word for none */
			json_object_set_new(item, "default", json_string(field->default_text));
		break;
	default:
		item = number_schema(field);
		break;
	}
	if (field->list_max == 0)
		return item;
	list = json_pack(
	    "{s:s, s:i, s:i, s:o}", "type", "array", "minItems", 1, "maxItems", (int)field->list_max, "items", item);
	if (field->kind == FIELD_TEXT)
		json_object_set_new(list, "uniqueItems", json_true());
	return list;
}

static json_t *describe(json_t *schema, const struct field *field)
{
	char *text;

	if (field->default_text && asprintf(&text, "%s Default: %s.", field->help, field->default_text) >= 0) {
		json_object_set_new(schema, "description", json_string(text));
		free(text);
	} else {
		json_object_set_new(schema, "description", json_string(field->help));
	}
	return schema;
}

static json_t *object_schema(const struct object *object)
{
	json_t *properties = json_object(), *required = json_array(), *choices = json_array(),
	       *together = json_object();
	json_t *schema = json_pack("{s:s, s:s, s:o, s:b}", "type", "object", "description", object->help, "properties",
	    properties, "additionalProperties", 0);

	for (size_t i = 0; i < object->field_count; i++) {
		const struct field *field = &object->fields[i];

		json_object_set_new(properties, field->key, describe(value_schema(field), field));
		if (field->required)
			json_array_append_new(required, json_string(field->key));
		if (field->choice)
			json_array_append_new(choices, json_pack("{s:[s]}", "required", field->key));
		if (field->with)
			json_object_set_new(together, field->key, json_pack("[s]", field->with));
	}
	if (json_array_size(required))
		json_object_set(schema, "required", required);
	if (object->choice != CHOICE_FREE)
		json_object_set(schema, object->choice == CHOICE_EXACTLY_ONE ? "oneOf" : "anyOf", choices);
	if (json_object_size(together))
		json_object_set(schema, "dependentRequired", together);
	if (object->needs_key)
		json_object_set_new(schema, "minProperties", json_integer(1));
	json_decref(required);
	json_decref(choices);
	json_decref(together);
	return schema;
}

void policy_schema(struct buf *out)
{
	json_t *schema = json_pack("{s:s, s:s, s:s}", "$schema", SCHEMA_DRAFT, "$id", SCHEMA_ID, "title", POLICY_KIND);
	json_t *object = object_schema(&policy_object);
	char *text;

	json_object_update(schema, object);
	text = json_dumps(schema, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	buf_text(out, text);
	buf_char(out, '\n');
	free(text);
	json_decref(object);
	json_decref(schema);
}
