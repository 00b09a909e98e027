#include "world.h"

static struct label items[] = {
    {"big", "9223372036854775808"}, {"empty", ""}, {"gpus", "8"}, {"plus", "+5"}, {"zone", "a"}};
static struct labels labels = {5, items};

static bool matches(const char *key, enum selector_op op, size_t count, const char *first, const char *second)
{
	const char *values[] = {first, second};
	struct selector_requirement requirement = {key, op, count, values};
	struct selector selector = {1, &requirement};
	return selector_matches(&selector, &labels);
}

static void selectors(void **state)
{
	(void)state;
	assert_string_equal(labels_get(&labels, "zone"), "a");
	assert_null(labels_get(&labels, "zon"));
	assert_true(matches("zone", SELECTOR_IN, 2, "b", "a"));
	assert_false(matches("zone", SELECTOR_IN, 1, "b", NULL));
	assert_false(matches("none", SELECTOR_IN, 1, "", NULL));
	assert_true(matches("empty", SELECTOR_IN, 1, "", NULL));
	assert_false(matches("zone", SELECTOR_NOT_IN, 1, "a", NULL));
	assert_true(matches("none", SELECTOR_NOT_IN, 1, "a", NULL));
	assert_false(matches("none", SELECTOR_NOT_IN, 0, NULL, NULL));
	assert_true(matches("empty", SELECTOR_EXISTS, 0, NULL, NULL));
	assert_false(matches("none", SELECTOR_EXISTS, 0, NULL, NULL));
	assert_false(matches("zone", SELECTOR_EXISTS, 1, "a", NULL));
	assert_true(matches("none", SELECTOR_DOES_NOT_EXIST, 0, NULL, NULL));
	assert_true(selector_matches(&(struct selector){0}, &labels));
}

static void comparisons_read_integers_as_go_does(void **state)
{
	(void)state;
	assert_true(matches("gpus", SELECTOR_GT, 1, "7", NULL));
	assert_false(matches("gpus", SELECTOR_GT, 1, "8", NULL));
	assert_true(matches("gpus", SELECTOR_LT, 1, "+9", NULL));
	assert_true(matches("gpus", SELECTOR_GT, 1, "-9223372036854775808", NULL));
	assert_true(matches("gpus", SELECTOR_LT, 1, "9223372036854775807", NULL));
	assert_false(matches("gpus", SELECTOR_LT, 1, "9223372036854775808", NULL));
	assert_true(matches("plus", SELECTOR_GT, 1, "04", NULL));
	const char *const bad[] = {"", "-", "+", " 7", "7 ", "0x7", "7_0", "7.0", "--7"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(matches("gpus", SELECTOR_GT, 1, bad[i], NULL));
	assert_false(matches("big", SELECTOR_GT, 1, "1", NULL));
	assert_false(matches("none", SELECTOR_LT, 1, "1", NULL));
	assert_false(matches("gpus", SELECTOR_GT, 2, "1", "2"));
}

static bool field(const char *key, enum selector_op op, size_t count, const char *value)
{
	struct selector_requirement requirement = {key, op, count, &value};
	struct node_term term = {.fields = {1, &requirement}};
	return node_term_matches(&term, "n1", &labels);
}

static void node_terms(void **state)
{
	(void)state;
	struct node_term empty = {0};
	assert_false(node_term_matches(&empty, "n1", &labels));
	assert_true(field("metadata.name", SELECTOR_IN, 1, "n1"));
	assert_false(field("metadata.name", SELECTOR_IN, 1, "n2"));
	assert_true(field("metadata.name", SELECTOR_NOT_IN, 1, "n2"));
	assert_false(field("metadata.name", SELECTOR_NOT_IN, 1, "n1"));
	assert_false(field("metadata.name", SELECTOR_EXISTS, 0, NULL));
	assert_false(field("metadata.name", SELECTOR_GT, 1, "n0"));
	assert_false(field("metadata.uid", SELECTOR_IN, 1, "n1"));
	assert_true(field("metadata.uid", SELECTOR_NOT_IN, 1, "n1"));
	struct arena arena;
	arena_init(&arena, 512);
	struct node_term term = term_of(&arena, "zone", SELECTOR_IN, "a");
	assert_true(node_term_matches(&term, "n1", &labels));
	term.invalid = true;
	assert_false(node_term_matches(&term, "n1", &labels));
	arena_free(&arena);
}

static void pods_select_nodes(void **state)
{
	(void)state;
	struct pod *pod = pod_new("p");
	struct label wanted[] = {{"zone", "a"}, {"gpus", "8"}};
	assert_true(pod_selects(pod, "n", &labels));
	pod->node_selector = wanted;
	pod->node_selector_count = 2;
	assert_true(pod_selects(pod, "n", &labels));
	wanted[1].value = "4";
	assert_false(pod_selects(pod, "n", &labels));
	pod->node_selector_count = 1;
	pod_requires(pod, "gpus", SELECTOR_EXISTS, NULL);
	assert_true(pod_selects(pod, "n", &labels));
	/* Terms are ORed, and none at all matches nothing. */
	struct node_term terms[] = {term_of(&pod->arena, "none", SELECTOR_EXISTS, NULL), pod->required[0]};
	pod->required = terms;
	pod->required_count = 2;
	assert_true(pod_selects(pod, "n", &labels));
	pod->required_count = 1;
	assert_false(pod_selects(pod, "n", &labels));
	pod->required_count = 0;
	assert_false(pod_selects(pod, "n", &labels));
	pod_free(pod);
}

static void tolerations(void **state)
{
	(void)state;
	struct taint taint = {"team", "red", TAINT_NO_SCHEDULE};
	struct toleration t = {.key = "team", .value = "red", .op = TOLERATION_EQUAL, .effect = TAINT_NO_SCHEDULE};
	assert_true(toleration_tolerates(&t, &taint));
	t.effect = TAINT_NO_EXECUTE;
	assert_false(toleration_tolerates(&t, &taint));
	t.any_effect = true;
	assert_true(toleration_tolerates(&t, &taint));
	t.value = "blue";
	assert_false(toleration_tolerates(&t, &taint));
	t.op = TOLERATION_EXISTS;
	assert_true(toleration_tolerates(&t, &taint));
	t.key = "other";
	assert_false(toleration_tolerates(&t, &taint));
	t.key = "";
	assert_true(toleration_tolerates(&t, &taint));
	t.invalid = true;
	assert_false(toleration_tolerates(&t, &taint));
	struct taint number = {"level", "5", TAINT_NO_SCHEDULE};
	struct toleration less = {.key = "level", .value = "9", .op = TOLERATION_LT, .any_effect = true};
	assert_false(toleration_tolerates(&less, &number));
	assert_false(taint_tolerated(&number, &less, 1));
}

static void globs(void **state)
{
	(void)state;
	assert_true(glob_matches("*-dev", "vision-dev"));
	assert_false(glob_matches("*-dev", "vision-dev2"));
	assert_true(glob_matches("*", ""));
	assert_true(glob_matches("a?c*", "abc"));
	assert_false(glob_matches("a?c", "ac"));
	assert_true(glob_matches("*a*b", "xaaybb"));
	assert_false(glob_matches("", "a"));
	assert_true(glob_matches("", ""));
	/* No time beyond length times length. */
	char text[4096];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(glob_matches("*a*a*a*a*a*a*a*a*a*b", text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(selectors),
	    cmocka_unit_test(comparisons_read_integers_as_go_does),
	    cmocka_unit_test(node_terms),
	    cmocka_unit_test(pods_select_nodes),
	    cmocka_unit_test(tolerations),
	    cmocka_unit_test(globs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
