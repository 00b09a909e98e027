#include "berth/gangs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000000)
#define MEMBERS 8

/* A whole gang that is taken apart by the test. */
struct site {
	struct gangs *gangs;
	struct gang *gang;
	struct gang_member *of[MEMBERS];
	size_t count;
};

static struct pod *make(const char *uid, const char *group, int32_t rank, int64_t created_s)
{
	struct arena arena;
	arena_init(&arena, 1024);
	struct pod *pod = arena_calloc(&arena, 1, sizeof *pod);
	struct pod_gang *says = arena_calloc(&arena, 1, sizeof *says);
	says->dialect = GANG_KUBEFLOW;
	says->name = "g";
	says->group = group ? arena_copy(&arena, slice_of(group)) : NULL;
	says->rank = rank;
	says->part = -1;
	pod->uid = pod->name = arena_copy(&arena, slice_of(uid));
	pod->namespace_ = "team";
	pod->created_ns = created_s * S;
	pod->gang = says;
	pod->arena = arena;
	return pod;
}

static void add(struct site *site, const char *uid, const char *group, int32_t rank, int64_t created_s)
{
	struct gang_member *member =
	    gangs_put(site->gangs, make(uid, group, rank, created_s), GANG_BOUND, created_s * S);
	member->owned = true;
	gangs_place(site->gangs, member, true);
	site->gang = member->gang;
	site->of[site->count++] = member;
}

static void hear(struct site *site, int32_t quorum, size_t group_count, struct gang_group_terms *groups)
{
	struct gang_terms terms = {.quorum = quorum, .group_count = group_count, .groups = groups};
	gangs_hear(site->gangs, site->gang, &terms, false);
	gangs_enter(site->gangs, site->gang, GANG_WHOLE, 0);
}

/* Workers of these ranks, of which so many are needed. */
static struct site workers(int32_t quorum, const int32_t *ranks, size_t count)
{
	struct site site = {.gangs = gangs_new()};
	for (size_t i = 0; i < count; i++) {
		char uid[16];
		snprintf(uid, sizeof uid, "w%zu", i);
		add(&site, uid, "worker", ranks[i], (int64_t)i);
	}
	hear(&site, quorum, 0, NULL);
	return site;
}

static void leave(struct site *site)
{
	gangs_free(site->gangs);
}

/* The names of the surplus, in its order. */
static void expect(const struct site *site, const bool *gone, const char *wanted)
{
	struct gang_member *out[MEMBERS];
	char text[128] = "";
	size_t count = gang_surplus(site->gang, gone, out);
	for (size_t i = 0; i < count; i++) {
		strcat(text, i ? " " : "");
		strcat(text, out[i]->pod->name);
	}
	assert_string_equal(text, wanted);
}

static void the_highest_ranks_go_first_down_to_the_quorum(void **state)
{
	static const int32_t ranks[] = {3, 0, 2, 1, 4};
	(void)state;
	struct site site = workers(3, ranks, 5);
	expect(&site, NULL, "w4 w0");
	assert_true(gang_bears(site.gang, NULL));
	leave(&site);
}

static void rank_0_never_goes(void **state)
{
	static const int32_t ranks[] = {0, 1, 2};
	(void)state;
	struct site site = workers(1, ranks, 3);
	expect(&site, NULL, "w2 w1");
	leave(&site);
	static const int32_t twice[] = {0, 0, 0};
	site = workers(1, twice, 3);
	expect(&site, NULL, "");
	leave(&site);
}

static void without_ranks_the_newest_go_first(void **state)
{
	static const int32_t ranks[] = {-1, -1, -1, -1};
	(void)state;
	struct site site = workers(2, ranks, 4);
	expect(&site, NULL, "w3 w2");
	leave(&site);
}

static void who_ends_anyway_counts_as_gone(void **state)
{
	static const int32_t ranks[] = {0, 1, 2, 3};
	bool gone[MEMBERS] = {false, false, false, true};
	(void)state;
	struct site site = workers(2, ranks, 4);
	expect(&site, gone, "w2");
	gone[2] = true;
	expect(&site, gone, "");
	assert_true(gang_bears(site.gang, gone));
	gone[0] = true;
	assert_false(gang_bears(site.gang, gone));
	site.of[1]->pod->deleting = true;
	assert_false(gang_bears(site.gang, gone));
	leave(&site);
}

static void only_of_a_whole_gang_and_of_one_whose_quorum_is_known(void **state)
{
	static const int32_t ranks[] = {0, 1, 2};
	(void)state;
	struct site site = workers(2, ranks, 3);
	gangs_enter(site.gangs, site.gang, GANG_COMMITTING, 0);
	expect(&site, NULL, "");
	gangs_enter(site.gangs, site.gang, GANG_WHOLE, 0);
	expect(&site, NULL, "w2");
	gangs_set(site.gangs, site.of[1], GANG_DONE);
	expect(&site, NULL, "");
	hear(&site, 0, 0, NULL);
	expect(&site, NULL, "");
	leave(&site);
}

static void each_sub_group_keeps_what_it_needs(void **state)
{
	struct gang_group_terms groups[] = {
	    {.name = "a", .quorum = 1}, {.name = "b", .quorum = 0, .least = 2}, {.name = "hosts", .part_size = 2}};
	(void)state;
	struct site site = {.gangs = gangs_new()};
	add(&site, "a1", "a", 1, 0);
	add(&site, "b1", "b", 1, 0);
	add(&site, "b2", "b", 2, 0);
	add(&site, "b3", "b", 3, 0);
	add(&site, "h1", "hosts", 1, 0);
	add(&site, "x1", NULL, 1, 5);
	hear(&site, 1, 3, groups);
	expect(&site, NULL, "b3 x1");
	bool gone[MEMBERS] = {true};
	assert_false(gang_bears(site.gang, gone));
	leave(&site);
}

static void one_that_leads_never_goes(void **state)
{
	(void)state;
	struct site site = {.gangs = gangs_new()};
	add(&site, "m", "master", -1, 9);
	add(&site, "w", "worker", -1, 0);
	((struct pod_gang *)(uintptr_t)site.of[0]->pod->gang)->leads = true;
	hear(&site, 1, 0, NULL);
	expect(&site, NULL, "w");
	leave(&site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_highest_ranks_go_first_down_to_the_quorum),
	    cmocka_unit_test(rank_0_never_goes),
	    cmocka_unit_test(without_ranks_the_newest_go_first),
	    cmocka_unit_test(who_ends_anyway_counts_as_gone),
	    cmocka_unit_test(only_of_a_whole_gang_and_of_one_whose_quorum_is_known),
	    cmocka_unit_test(each_sub_group_keeps_what_it_needs),
	    cmocka_unit_test(one_that_leads_never_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
