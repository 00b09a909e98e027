/* The JSON Schema says what the table says, and no more. */
#include "support.h"

#include <jansson.h>

#include "policy/table.h"

static const char *string_at(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static json_t *load_schema(void)
{
	struct buf text;
	json_error_t error;
	json_t *schema;

	buf_init(&text, 1u << 20);
	policy_schema(&text);
	schema = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
	if (!schema)
		fail_msg("%d: %s", error.line, error.text);
	buf_free(&text);
	return schema;
}

static bool has_text(json_t *array, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
	{
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

static void check_object(const struct object *object, json_t *schema);

static void check_field(const struct field *field, json_t *schema)
{
	json_t *item = schema;

	assert_non_null(strstr(string_at(schema, "description"), field->help));
	if (field->list_max && field->kind != FIELD_LABELS && field->kind != FIELD_AMOUNTS) {
		assert_string_equal(string_at(schema, "type"), "array");
		assert_int_equal(json_integer_value(json_object_get(schema, "maxItems")), field->list_max);
		assert_int_equal(json_integer_value(json_object_get(schema, "minItems")), 1);
		item = json_object_get(schema, "items");
	}
	switch (field->kind) {
	case FIELD_OBJECT:
		check_object(field->object, item);
		break;
	case FIELD_LABELS:
	case FIELD_AMOUNTS:
		assert_string_equal(string_at(item, "type"), "object");
		break;
	case FIELD_TEXT:
		assert_string_equal(string_at(item, "type"), "string");
		for (size_t i = 0; field->word && field->word(i); i++)
			assert_true(has_text(json_object_get(item, "enum"), field->word(i)));
		break;
	case FIELD_BOOLEAN:
		assert_string_equal(string_at(item, "type"), "boolean");
		break;
	case FIELD_DURATION:
		assert_string_equal(string_at(item, "type"), "string");
		if (field->default_text && strpbrk(field->default_text, "0123456789"))
			assert_string_equal(string_at(item, "default"), field->default_text);
		else
			assert_null(json_object_get(item, "default"));
		assert_non_null(json_object_get(item, "pattern"));
		break;
	case FIELD_INTEGER:
		assert_string_equal(string_at(item, "type"), "integer");
		break;
	case FIELD_NUMBER:
		assert_string_equal(string_at(item, "type"), "number");
		assert_true(json_number_value(json_object_get(item, "default")) == field->fallback);
		break;
	}
}

static void check_object(const struct object *object, json_t *schema)
{
	json_t *properties = json_object_get(schema, "properties");

	assert_string_equal(string_at(schema, "type"), "object");
	assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
	assert_int_equal(json_object_size(properties), object->field_count);
	for (size_t i = 0; i < object->field_count; i++) {
		const struct field *field = &object->fields[i];
		json_t *property = json_object_get(properties, field->key);

		assert_non_null(property);
		assert_int_equal(field->required, has_text(json_object_get(schema, "required"), field->key));
		check_field(field, property);
	}
}

static void test_every_key_is_in_the_schema(void **state)
{
	json_t *schema = load_schema();

	(void)state;
	assert_string_equal(string_at(schema, "$schema"), "https://json-schema.org/draft/2020-12/schema");
	check_object(&policy_object, schema);
	json_decref(schema);
}

/* An editor shows these. */
static void test_defaults_are_the_cores(void **state)
{
	json_t *schema = load_schema(), *place = schema;
	static const char *const path[] = {"properties", "classes", "items", "properties", "place", "properties"};

	(void)state;
	for (size_t i = 0; i < sizeof path / sizeof *path; i++)
		place = json_object_get(place, path[i]);
	for (int i = 0; i < SCORE_TERM_COUNT; i++) {
		json_t *term = json_object_get(place, score_term_name((enum score_term)i));

		assert_true(json_number_value(json_object_get(term, "default")) ==
		            score_term_default_weight((enum score_term)i));
	}
	json_decref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_key_is_in_the_schema),
	    cmocka_unit_test(test_defaults_are_the_cores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
