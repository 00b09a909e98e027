#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "scheduler/lead.h"

#define S NS_PER_S
#define WALL (1000000 * S) /* the wall clock is so far ahead of the other */

static struct lease held_by(const char *holder, int64_t renewed_ns, int64_t transitions)
{
	struct lease lease = {.renewed_wall_ns = WALL + renewed_ns, .duration_ns = 15 * S, .transitions = transitions};
	snprintf(lease.holder, sizeof lease.holder, "%s", holder);
	return lease;
}

static enum lead_change see(struct lead *lead, const char *holder, int64_t renewed_ns, int64_t transitions, int64_t now)
{
	struct lease lease = held_by(holder, renewed_ns, transitions);
	return lead_saw(lead, &lease, now, WALL + now);
}

static bool may_write(const struct lead *lead, int64_t now)
{
	bool may = now < lead_send_until(lead) && now < lead_land_until(lead);
	assert_int_equal(may, lead_role(lead, now) == LEAD_ACTIVE);
	return may;
}

static void without_a_lease_always_active(void **state)
{
	struct lead lead;
	(void)state;
	lead_init(&lead, NULL, 10 * S);
	assert_true(may_write(&lead, 0));
	assert_true(may_write(&lead, INT64_MAX - 1));
	assert_int_equal(see(&lead, "other_1", 0, 5, S), LEAD_SAME);
	assert_true(may_write(&lead, 100 * S));
}

static void active_only_beside_the_holder_and_after_its_lists(void **state)
{
	struct lead lead;
	(void)state;
	lead_init(&lead, "host", 10 * S);
	assert_int_equal(lead_role(&lead, 100 * S), LEAD_STANDBY);
	assert_int_equal(lead_saw(&lead, NULL, 100 * S, WALL), LEAD_SAME);
	assert_int_equal(see(&lead, "other_1", 100 * S, 0, 100 * S), LEAD_SAME);
	assert_false(may_write(&lead, 100 * S));
	lead_listed(&lead); /* a list from before it leads is none */
	assert_int_equal(see(&lead, "host_1", 120 * S, 1, 120 * S), LEAD_BEGINS);
	assert_int_equal(lead_role(&lead, 120 * S), LEAD_STANDBY);
	assert_false(may_write(&lead, 120 * S));
	lead_listed(&lead);
	assert_true(may_write(&lead, 120 * S));
	assert_int_equal(lead_role(&lead, 120 * S), LEAD_ACTIVE);
}

static void the_host_s_name_is_all_before_the_last_underscore(void **state)
{
	static const struct {
		const char *identity, *holder;
		bool ours;
	} cases[] = {
	    {"host", "host_0c5a-11", true},
	    {"a_b", "a_b_0c5a", true},
	    {"a", "a_b_0c5a", false},
	    {"host", "host", false},
	    {"host", "host2_0c5a", false},
	    {"host2", "host_0c5a", false},
	    {"host", "", false},
	    {"host", "_0c5a", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct lead lead;
		lead_init(&lead, cases[i].identity, 10 * S);
		assert_int_equal(see(&lead, cases[i].holder, 0, 0, S), cases[i].ours ? LEAD_BEGINS : LEAD_SAME);
	}
}

static void begin(struct lead *lead, int64_t now)
{
	lead_init(lead, "host", 10 * S);
	assert_int_equal(see(lead, "host_1", now, 4, now), LEAD_BEGINS);
	lead_listed(lead);
}

static void fenced_by_the_renew_deadline_until_it_is_renewed(void **state)
{
	struct lead lead;
	(void)state;
	begin(&lead, 100 * S);
	assert_true(may_write(&lead, 110 * S - 1));
	assert_false(may_write(&lead, 110 * S));
	assert_int_equal(lead_role(&lead, 110 * S), LEAD_FENCED);
	assert_true(lead_land_until(&lead) == 115 * S - LEAD_MARGIN_NS);        /* before another may have it */
	assert_int_equal(see(&lead, "host_1", 112 * S, 4, 112 * S), LEAD_SAME); /* nobody else led: no list is due */
	assert_true(may_write(&lead, 112 * S));
}

static void a_renewal_that_comes_late_is_as_old_as_it_is(void **state)
{
	struct lead lead;
	(void)state;
	begin(&lead, 100 * S);
	/* A process that stood still for a minute reads what was written before. */
	assert_int_equal(see(&lead, "host_1", 104 * S, 4, 160 * S), LEAD_SAME);
	assert_int_equal(lead_role(&lead, 160 * S), LEAD_FENCED);
	/* The same where it only begins to lead by that. */
	lead_init(&lead, "host", 10 * S);
	assert_int_equal(see(&lead, "host_1", 100 * S, 4, 160 * S), LEAD_BEGINS);
	lead_listed(&lead);
	assert_int_equal(lead_role(&lead, 160 * S), LEAD_FENCED);
}

static void a_clock_that_is_set_does_no_harm(void **state)
{
	struct lead lead;
	struct lease lease = held_by("host_1", 102 * S, 4);
	(void)state;
	begin(&lead, 100 * S);
	lead_saw(&lead, &lease, 102 * S, WALL - 3600 * S); /* set back: it is as new as its sight */
	assert_true(lead_send_until(&lead) == 112 * S);
	lease = held_by("host_1", 104 * S, 4);
	lead_saw(&lead, &lease, 104 * S, WALL + 3600 * S); /* set forward: the one before still counts */
	assert_true(lead_send_until(&lead) == 112 * S);
	lease.renewed_wall_ns = 0; /* not said */
	lead_saw(&lead, &lease, 106 * S, WALL);
	assert_true(lead_send_until(&lead) == 116 * S);
}

static void a_duration_below_the_deadline_fences_earlier(void **state)
{
	struct lead lead;
	struct lease lease = held_by("host_1", 102 * S, 4);
	(void)state;
	begin(&lead, 100 * S);
	lease.duration_ns = 5 * S;
	lead_saw(&lead, &lease, 102 * S, WALL + 102 * S);
	assert_true(may_write(&lead, 106 * S - 1));
	assert_int_equal(lead_role(&lead, 106 * S), LEAD_FENCED);
	lease.duration_ns = 0;
	lead_saw(&lead, &lease, 102 * S, WALL + 102 * S);
	assert_true(lead_land_until(&lead) == 112 * S);
}

static void lost_to_another(void **state)
{
	struct lead lead;
	(void)state;
	begin(&lead, 100 * S);
	assert_int_equal(see(&lead, "other_1", 116 * S, 5, 116 * S), LEAD_LOST);
	assert_int_equal(lead_role(&lead, 116 * S), LEAD_STANDBY);
	/* And back: the lists are due again. */
	assert_int_equal(see(&lead, "host_2", 140 * S, 6, 140 * S), LEAD_BEGINS);
	assert_false(may_write(&lead, 140 * S));
	lead_listed(&lead);
	assert_true(may_write(&lead, 140 * S));
}

static void lost_unseen(void **state)
{
	struct lead lead;
	(void)state;
	/* The watch missed that another had it in between; the Lease counts its holders. */
	begin(&lead, 100 * S);
	assert_int_equal(see(&lead, "host_2", 140 * S, 6, 140 * S), LEAD_LOST);
	begin(&lead, 100 * S);
	assert_int_equal(see(&lead, "host_2", 140 * S, 0, 140 * S), LEAD_LOST);
	begin(&lead, 100 * S);
	assert_int_equal(lead_saw(&lead, NULL, 102 * S, WALL + 102 * S), LEAD_LOST);
}

static void a_new_kube_scheduler_beside_it_loses_nothing(void **state)
{
	struct lead lead;
	(void)state;
	begin(&lead, 100 * S);
	assert_int_equal(see(&lead, "", 105 * S, 4, 105 * S), LEAD_SAME); /* it went, and gave the Lease back */
	assert_false(may_write(&lead, 105 * S));
	assert_int_equal(lead_role(&lead, 105 * S), LEAD_FENCED);
	assert_int_equal(see(&lead, "host_2", 107 * S, 5, 107 * S), LEAD_SAME);
	assert_true(may_write(&lead, 107 * S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_a_lease_always_active),
	    cmocka_unit_test(active_only_beside_the_holder_and_after_its_lists),
	    cmocka_unit_test(the_host_s_name_is_all_before_the_last_underscore),
	    cmocka_unit_test(fenced_by_the_renew_deadline_until_it_is_renewed),
	    cmocka_unit_test(a_renewal_that_comes_late_is_as_old_as_it_is),
	    cmocka_unit_test(a_clock_that_is_set_does_no_harm),
	    cmocka_unit_test(a_duration_below_the_deadline_fences_earlier),
	    cmocka_unit_test(lost_to_another),
	    cmocka_unit_test(lost_unseen),
	    cmocka_unit_test(a_new_kube_scheduler_beside_it_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
