/* The roster against a naive model: a plain array of pods, searched for the first in line. */
#include "scheduler/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "berth/alloc.h"

#define PODS 60
#define STEPS 40000

static struct pod *pod_new(const char *uid, int32_t priority, int64_t created_ns)
{
	struct arena arena;
	arena_init(&arena, 512);
	struct pod *pod = arena_calloc(&arena, 1, sizeof *pod);
	pod->uid = arena_copy(&arena, slice_of(uid));
	pod->namespace_ = "team";
	pod->name = pod->uid;
	pod->priority = priority;
	pod->created_ns = created_ns;
	pod->arena = arena;
	return pod;
}

static struct tracked *put(struct roster *roster, const char *uid, int32_t priority, int64_t created_ns)
{
	struct pod *old;
	struct tracked *tracked = roster_put(roster, pod_new(uid, priority, created_ns), 7, &old);
	if (old)
		pod_free(old);
	return tracked;
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* --- the model --- */

struct model {
	char uid[16];
	bool there, in_line;
	int32_t priority;
	int64_t created_ns;
};

static bool goes_before(const struct model *a, const struct model *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->created_ns != b->created_ns)
		return a->created_ns < b->created_ns;
	return strcmp(a->uid, b->uid) < 0;
}

static struct model *first_in_line(struct model models[PODS])
{
	struct model *first = NULL;
	for (size_t i = 0; i < PODS; i++)
		if (models[i].in_line && (!first || goes_before(&models[i], first)))
			first = &models[i];
	return first;
}

static void check(const struct roster *roster, const struct model models[PODS])
{
	size_t there = 0, in_line = 0, seen = 0, cursor = 0;
	for (size_t i = 0; i < PODS; i++) {
		const struct tracked *tracked = roster_find(roster, slice_of(models[i].uid));
		there += models[i].there;
		in_line += models[i].in_line;
		assert_int_equal(tracked != NULL, models[i].there);
		if (!tracked)
			continue;
		assert_int_equal(tracked->pod->priority, models[i].priority);
		assert_int_equal(tracked->backlog_at != SIZE_MAX, models[i].in_line);
		if (models[i].in_line)
			assert_ptr_equal(roster->backlog[tracked->backlog_at], tracked);
	}
	while (roster_next(roster, &cursor))
		seen++;
	assert_int_equal(roster_count(roster), there);
	assert_int_equal(seen, there);
	assert_int_equal(roster->backlog_count, in_line);
}

static void step(struct roster *roster, struct model models[PODS], uint32_t *seed)
{
	struct model *model = &models[next(seed) % PODS];
	struct tracked *tracked = roster_find(roster, slice_of(model->uid));
	switch (next(seed) % 6) {
	case 0:
	case 1: /* anew, or replaced by one that stands elsewhere in line; few values, so that many are equal */
		model->there = true;
		model->priority = (int32_t)(next(seed) % 4) - 1;
		model->created_ns = next(seed) % 4;
		put(roster, model->uid, model->priority, model->created_ns);
		break;
	case 2:
	case 3:
		if (tracked) {
			roster_backlog_add(roster, tracked);
			model->in_line = true;
		}
		break;
	case 4:
		if (tracked && next(seed) % 2) {
			roster_remove(roster, tracked);
			model->there = model->in_line = false;
		} else if (tracked) {
			roster_backlog_remove(roster, tracked);
			model->in_line = false;
		}
		break;
	default:
		model = first_in_line(models);
		tracked = roster_backlog_pop(roster);
		assert_int_equal(tracked != NULL, model != NULL);
		if (model) {
			assert_string_equal(tracked->pod->uid, model->uid);
			model->in_line = false;
		}
	}
}

static void behaves_like_a_plain_list(void **state)
{
	(void)state;
	uint32_t seed = 20240601;
	struct model models[PODS] = {0};
	struct roster *roster = roster_new();
	for (size_t i = 0; i < PODS; i++)
		snprintf(models[i].uid, sizeof models[i].uid, "uid-%zu", i);
	for (int i = 0; i < STEPS; i++) {
		step(roster, models, &seed);
		if (i % 16 == 0)
			check(roster, models);
	}
	roster_free(roster);
}

/* --- one by one --- */

static void goes_by_priority_then_age_then_uid(void **state)
{
	static const char *const order[] = {"urgent", "old", "a", "b", "low"};
	(void)state;
	struct roster *roster = roster_new();
	roster_backlog_add(roster, put(roster, "b", 0, 5));
	roster_backlog_add(roster, put(roster, "low", -1, 1));
	roster_backlog_add(roster, put(roster, "a", 0, 5));
	roster_backlog_add(roster, put(roster, "urgent", 9, 9));
	roster_backlog_add(roster, put(roster, "old", 0, 4));
	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		assert_string_equal(roster_backlog_pop(roster)->pod->uid, order[i]);
	assert_null(roster_backlog_pop(roster));
	assert_int_equal(roster_count(roster), 5);
	roster_free(roster);
}

static void a_newer_pod_takes_over_what_was_known_of_its_uid(void **state)
{
	(void)state;
	struct pod *old;
	struct roster *roster = roster_new();
	struct tracked *tracked = put(roster, "a", 0, 1);
	tracked->asked = true;
	tracked->mark = 3;
	tracked->hint = xstrdup("n0");
	struct pod *first = tracked->pod, *second = pod_new("a", 4, 1);
	assert_ptr_equal(roster_put(roster, second, 99, &old), tracked);
	assert_ptr_equal(old, first);
	pod_free(old);
	/* The key must not be the freed pod's text. */
	assert_ptr_equal(roster_find(roster, slice_of("a")), tracked);
	assert_ptr_equal(tracked->pod, second);
	assert_true(tracked->asked);
	assert_int_equal(tracked->mark, 3);
	assert_int_equal(tracked->since_ns, 7);
	assert_string_equal(tracked->hint, "n0");
	assert_int_equal(roster_count(roster), 1);
	roster_free(roster);
}

static void a_removed_pod_is_out_of_the_line_too(void **state)
{
	(void)state;
	struct roster *roster = roster_new();
	struct tracked *a = put(roster, "a", 1, 1), *b = put(roster, "b", 0, 1);
	roster_backlog_add(roster, a);
	roster_backlog_add(roster, a); /* there already */
	roster_backlog_add(roster, b);
	assert_int_equal(roster->backlog_count, 2);
	roster_remove(roster, a);
	assert_null(roster_find(roster, slice_of("a")));
	assert_ptr_equal(roster_backlog_pop(roster), b);
	roster_backlog_remove(roster, b); /* not there any more */
	assert_null(roster_backlog_pop(roster));
	roster_free(roster);
}

static void the_hinted_stand_in_the_order_of_their_hints(void **state)
{
	(void)state;
	struct roster *roster = roster_new();
	struct tracked *a = put(roster, "a", 2, 1), *b = put(roster, "b", 1, 1), *c = put(roster, "c", 0, 1);
	assert_null(roster_hinted(roster));
	roster_hint(roster, b, HINT_COMING, 1);
	roster_hint(roster, a, HINT_COMING, 1);
	roster_hint(roster, c, HINT_COMING, 1);
	assert_ptr_equal(roster_hinted(roster), b);
	roster_hint(roster, b, HINT_LANDED, 5);
	roster_hint(roster, b, HINT_LANDED, 7); /* seen again */
	assert_ptr_equal(roster_hinted(roster), b);
	assert_int_equal(b->landed_ns, 5);
	roster_asked(roster, b);
	roster_hint(roster, b, HINT_LANDED, 9); /* too late */
	assert_ptr_equal(roster_hinted(roster), a);
	roster_hint(roster, a, HINT_NONE, 9);
	assert_ptr_equal(roster_hinted(roster), c);
	roster_remove(roster, c);
	assert_null(roster_hinted(roster));
	roster_free(roster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(behaves_like_a_plain_list),
	    cmocka_unit_test(goes_by_priority_then_age_then_uid),
	    cmocka_unit_test(a_newer_pod_takes_over_what_was_known_of_its_uid),
	    cmocka_unit_test(a_removed_pod_is_out_of_the_line_too),
	    cmocka_unit_test(the_hinted_stand_in_the_order_of_their_hints),
	};
	return cmocka_run_group_tests_name("scheduler/roster", tests, NULL, NULL);
}
