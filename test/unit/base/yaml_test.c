#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/yaml.h"

static struct arena arena;
static struct yaml_mark mark;
static struct err err;

static int open_arena(void **state)
{
	(void)state;
	arena_init(&arena, 1024);
	return 0;
}

static int free_arena(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct yaml_node *parse(const char *text)
{
	struct yaml_node *root;

	if (yaml_parse(&arena, slice_of(text), &root, &mark, &err))
		fail_msg("%u:%u: %s", mark.line, mark.column, err.text);
	return root;
}

static void check_mark(const struct yaml_node *node, unsigned line, unsigned column)
{
	assert_non_null(node);
	assert_int_equal(node->mark.line, line);
	assert_int_equal(node->mark.column, column);
}

static void test_tree_with_marks(void **state)
{
	const struct yaml_node *root = parse("# policy\n"
	                                     "weights:\n"
	                                     "  packing: 3\n"
	                                     "  \"spread\": '7'\n"
	                                     "pools:\n"
	                                     "- name: a100\n"
	                                     "  empty:\n"
	                                     "- [x, {y: 1}]\n");
	const struct yaml_node *weights = yaml_get(root, "weights"), *pools = yaml_get(root, "pools"), *inner;

	(void)state;
	assert_int_equal(root->type, YAML_MAP);
	assert_int_equal(root->count, 2);
	check_mark(root, 2, 1);
	check_mark(weights, 3, 3);
	check_mark(yaml_get(weights, "packing"), 3, 12);
	assert_string_equal(yaml_text(yaml_get(weights, "packing")), "3");
	assert_false(yaml_get(weights, "packing")->quoted);
	check_mark(weights->keys[1], 4, 3);
	assert_true(weights->keys[1]->quoted);
	check_mark(yaml_get(weights, "spread"), 4, 13);
	assert_true(yaml_get(weights, "spread")->quoted);
	assert_int_equal(pools->type, YAML_LIST);
	assert_int_equal(pools->count, 2);
	assert_string_equal(yaml_text(yaml_get(pools->items[0], "name")), "a100");
	assert_string_equal(yaml_text(yaml_get(pools->items[0], "empty")), "");
	inner = pools->items[1];
	check_mark(inner, 8, 3);
	check_mark(yaml_get(inner->items[1], "y"), 8, 11);
}

static void test_get_and_text_take_anything(void **state)
{
	const struct yaml_node *root = parse("{a: [1]}");

	(void)state;
	assert_null(yaml_get(NULL, "a"));
	assert_null(yaml_get(root, "b"));
	assert_null(yaml_get(yaml_get(root, "a"), "a"));
	assert_null(yaml_text(NULL));
	assert_null(yaml_text(root));
}

static void test_nothing_in_it(void **state)
{
	static const char *const cases[] = {"", "\n", "# only a comment\n", "---\n", "---\n...\n"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_null(parse(cases[i]));
	assert_non_null(parse("''"));
}

static void test_json_is_yaml(void **state)
{
	const struct yaml_node *root = parse("{\n\t\"a\": [1, true, null, \"x\\u00e9\\n\"],\n\t\"b\": {}\n}\n");
	const struct yaml_node *list = yaml_get(root, "a");

	(void)state;
	assert_int_equal(list->count, 4);
	assert_string_equal(yaml_text(list->items[1]), "true");
	assert_string_equal(yaml_text(list->items[3]), "x\xc3\xa9\n");
	assert_int_equal(yaml_get(root, "b")->type, YAML_MAP);
	assert_int_equal(yaml_get(root, "b")->count, 0);
}

static void test_duplicates_are_kept(void **state)
{
	const struct yaml_node *root = parse("a: 1\na: 2\n");

	(void)state;
	assert_int_equal(root->count, 2);
	assert_string_equal(yaml_text(root->items[0]), "1");
	assert_string_equal(yaml_text(root->items[1]), "2");
}

static void test_core_tags(void **state)
{
	const struct yaml_node *list = parse("[!!str 1, !!int \"2\", !!map {}, !!seq []]");

	(void)state;
	assert_true(list->items[0]->quoted);
	assert_false(list->items[1]->quoted);
	assert_int_equal(list->items[2]->type, YAML_MAP);
}

static void test_block_scalars_are_strings(void **state)
{
	const struct yaml_node *root = parse("a: |\n  12\nb: >-\n  x\n  y\n");

	(void)state;
	assert_string_equal(yaml_text(yaml_get(root, "a")), "12\n");
	assert_true(yaml_get(root, "a")->quoted);
	assert_string_equal(yaml_text(yaml_get(root, "b")), "x y");
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *reason;
		unsigned line, column;
	} cases[] = {
	    {"a: &x 1\nb: *x\n", "anchors", 1, 4},
	    {"a: &x {}\n", "anchors", 1, 4},
	    {"a: &x [1]\n", "anchors", 1, 4},
	    {"b: *x\n", "aliases", 1, 4},
	    {"*x : 1\n", "aliases", 1, 1},
	    {"a: 1\n---\nb: 2\n", "more than one document", 2, 1},
	    {"a: 1\n---\n", "more than one document", 2, 1},
	    {"b: 1\n? [a]\n: 1\n", "key must be a scalar", 2, 3},
	    {"{{a: 1}: 2}", "key must be a scalar", 1, 2},
	    {"a: !secret x\n", "tags other", 1, 4},
	    {"a: ! x\n", "tags other", 1, 4},
	    {"a: !!binary x\n", "tag does not fit", 1, 4},
	    {"a: !!seq x\n", "tag does not fit", 1, 4},
	    {"a: !!str {}\n", "tag does not fit", 1, 4},
	    {"a: !!st x\n", "tag does not fit", 1, 4},
	    {"a: \"x\\0y\"\n", "NUL character", 1, 4},
	    {"a: b: c\n", "not allowed", 1, 5},
	    {"a: [1, 2\n", "", 2, 1},
	    {"a: 1\n\tb: 2\n", "", 2, 1},
	    {"a: '1\n", "", 2, 1},
	    {"a: 1\nb: \xc3\xa9\x01\n", "control characters", 2, 5},
	    {"a: 1\nb: \xff\n", "UTF-8", 2, 4},
	};
	struct yaml_node *root;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(yaml_parse(&arena, slice_of(cases[i].text), &root, &mark, &err), ERR_INPUT);
		assert_null(root);
		if (!strstr(err.text, cases[i].reason) || mark.line != cases[i].line || mark.column != cases[i].column)
			fail_msg("%s: %u:%u: %s", cases[i].text, mark.line, mark.column, err.text);
	}
}

static void test_byte_order_mark(void **state)
{
	struct yaml_node *root = parse("\xef\xbb\xbf"
	                               "a: 1\nb: 2\n");

	(void)state;
	assert_int_equal(root->count, 2);
	assert_string_equal(yaml_text(yaml_get(root, "b")), "2");
	assert_int_equal(root->keys[0]->mark.column, 1);
	assert_int_equal(yaml_parse(&arena,
	                     slice_of("\xef\xbb\xbf"
	                              "a: \xff\n"),
	                     &root, &mark, &err),
	    ERR_INPUT);
	assert_int_equal(mark.column, 4);
}

static void test_nul_byte(void **state)
{
	static const char text[] = "a: 1\nb: x\0y\n";
	struct yaml_node *root;

	(void)state;
	assert_int_equal(yaml_parse(&arena, (struct slice){text, sizeof text - 1}, &root, &mark, &err), ERR_INPUT);
	assert_int_equal(mark.line, 2);
	assert_int_equal(mark.column, 5);
}

static void test_depth(void **state)
{
	char text[2 * YAML_DEPTH_MAX + 3];
	struct yaml_node *root;

	(void)state;
	for (size_t depth = YAML_DEPTH_MAX; depth <= YAML_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		text[2 * depth] = '\0';
		if (depth <= YAML_DEPTH_MAX) {
			parse(text);
			continue;
		}
		assert_int_equal(yaml_parse(&arena, slice_of(text), &root, &mark, &err), ERR_INPUT);
		assert_string_equal(err.text, "nested too deeply");
		assert_int_equal(mark.column, YAML_DEPTH_MAX + 1);
	}
	/* Side by side is not deep. */
	root = parse(
	    "[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
	    "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]");
	assert_true(root->count > YAML_DEPTH_MAX);
}

static void test_size(void **state)
{
	char *text = malloc(YAML_TEXT_MAX + 1);
	struct yaml_node *root;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', YAML_TEXT_MAX + 1);
	text[0] = 'x';
	assert_int_equal(yaml_parse(&arena, (struct slice){text, YAML_TEXT_MAX}, &root, &mark, &err), 0);
	assert_string_equal(yaml_text(root), "x");
	assert_int_equal(
	    yaml_parse(&arena, (struct slice){text, YAML_TEXT_MAX + 1}, &root, &mark, &err), ERR_TOO_LARGE);
	free(text);
}

static void test_many_items(void **state)
{
	const struct yaml_node *root;
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	for (int i = 0; i < 3000; i++)
		buf_printf(&text, "key%d: value%d\n", i, i);
	root = parse(text.data);
	assert_int_equal(root->count, 3000);
	for (int i = 0; i < 3000; i++) {
		char expected[20];

		snprintf(expected, sizeof expected, "value%d", i);
		assert_string_equal(yaml_text(root->items[i]), expected);
		check_mark(root->keys[i], (unsigned)i + 1, 1);
	}
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_tree_with_marks, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_get_and_text_take_anything, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_nothing_in_it, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_json_is_yaml, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_duplicates_are_kept, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_core_tags, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_block_scalars_are_strings, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_refused, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_byte_order_mark, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_nul_byte, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_depth, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_size, open_arena, free_arena),
	    cmocka_unit_test_setup_teardown(test_many_items, open_arena, free_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
