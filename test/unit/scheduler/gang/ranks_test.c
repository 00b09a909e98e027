/* Which ranks nobody has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scheduler/gang/internal.h"

#define MEMBERS_MAX 32

struct planted {
	struct gang gang;
	struct gang_member members[MEMBERS_MAX], *list[MEMBERS_MAX];
	struct pod pods[MEMBERS_MAX];
	struct pod_gang said[MEMBERS_MAX];
};

/* A gang of so many, of which members of these ranks are there; the ranks end with -2. */
static struct planted *plant(struct planted *p, enum gang_dialect dialect, int32_t quorum, const int32_t *ranks)
{
	*p = (struct planted){.gang = {.dialect = dialect, .quorum = quorum, .size = quorum}};
	p->gang.members = p->list;
	for (size_t i = 0; ranks[i] != -2; i++) {
		p->said[i] = (struct pod_gang){.dialect = dialect, .rank = ranks[i], .part = -1};
		p->pods[i] = (struct pod){.gang = &p->said[i]};
		p->members[i] = (struct gang_member){.gang = &p->gang, .pod = &p->pods[i], .state = GANG_LOOSE};
		p->list[i] = &p->members[i];
		p->gang.count++;
		p->gang.in_state[GANG_LOOSE]++;
	}
	return p;
}

static void assert_missing(const struct gang *gang, const char *wanted)
{
	struct buf out;
	buf_init(&out, GANG_RANKS_TEXT_MAX);
	assert_int_equal(gang_missing_ranks(gang, &out), wanted != NULL);
	assert_string_equal(out.len > 0 ? out.data : "", wanted ? wanted : "");
	buf_free(&out);
}

#define ASSERT_MISSING(dialect, quorum, wanted, ...)                                                                   \
	assert_missing(&plant(&p, dialect, quorum, (const int32_t[]){__VA_ARGS__, -2})->gang, wanted)

static void gaps_are_told_as_ranges(void **state)
{
	(void)state;
	struct planted p;
	ASSERT_MISSING(GANG_BERTH, 2, "1", 0);
	ASSERT_MISSING(GANG_BERTH, 8, "1, 3-4, 6-7", 5, 0, 2);
	ASSERT_MISSING(GANG_INDEXED_JOB, 4, "0-1", 3, 2);
	ASSERT_MISSING(GANG_BERTH, 18, "1, 3, 5, 7, 9, 11, 13, 15 and others", 0, 2, 4, 6, 8, 10, 12, 14, 16);
	ASSERT_MISSING(GANG_BERTH, GANG_MEMBERS_MAX, "1-16382", 0, GANG_MEMBERS_MAX - 1);
}

static void numbers_that_are_no_places_are_not_told(void **state)
{
	(void)state;
	struct planted p;
	ASSERT_MISSING(GANG_BERTH, 4, NULL, 0, -1); /* one has none */
	ASSERT_MISSING(GANG_BERTH, 4, NULL, 0, 0);  /* of a master and of a worker */
	ASSERT_MISSING(GANG_BERTH, 4, NULL, 1, 2);  /* they may count from 1 */
	ASSERT_MISSING(GANG_BERTH, 4, NULL, 0, 4);  /* and those do */
	ASSERT_MISSING(GANG_BERTH, 2, NULL, 0, 1);  /* nobody is missing */
}

static void be_away(struct planted *p, size_t at, bool deleting)
{
	p->members[at].state = GANG_AWAY;
	p->pods[at].deleting = deleting;
	p->gang.in_state[GANG_LOOSE]--;
	p->gang.in_state[GANG_AWAY]++;
}

static void a_member_that_goes_is_missing_and_one_that_others_hold_is_not(void **state)
{
	(void)state;
	struct planted p;
	be_away(plant(&p, GANG_BERTH, 3, (const int32_t[]){0, 1, -2}), 1, true);
	assert_missing(&p.gang, "1-2");
	be_away(plant(&p, GANG_BERTH, 3, (const int32_t[]){0, 1, -2}), 1, false);
	assert_missing(&p.gang, "2");
	be_away(plant(&p, GANG_BERTH, 2, (const int32_t[]){0, 1, -2}), 1, false);
	assert_missing(&p.gang, NULL);
}

static void of_an_elastic_gang_no_rank_is_missing(void **state)
{
	(void)state;
	struct planted p;
	plant(&p, GANG_BERTH, 4, (const int32_t[]){0, 2, -2})->gang.size = 8;
	assert_missing(&p.gang, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gaps_are_told_as_ranges),
	    cmocka_unit_test(numbers_that_are_no_places_are_not_told),
	    cmocka_unit_test(a_member_that_goes_is_missing_and_one_that_others_hold_is_not),
	    cmocka_unit_test(of_an_elastic_gang_no_rank_is_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
