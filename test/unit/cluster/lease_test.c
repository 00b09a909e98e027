#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cluster/lease.h"

#define S NS_PER_S

static struct lease decoded(const char *text)
{
	struct lease lease;
	struct err err;
	assert_int_equal(cluster_lease_decode(slice_of(text), &lease, &err), 0);
	return lease;
}

static void decodes_what_kube_scheduler_writes(void **state)
{
	struct lease lease = decoded("{\"metadata\":{\"name\":\"berth\"},\"spec\":{\"holderIdentity\":\"host-1_0c5a\","
	                             "\"leaseDurationSeconds\":15,\"acquireTime\":\"2026-01-02T03:00:00.000000Z\","
	                             "\"renewTime\":\"2026-01-02T03:04:05.123456Z\",\"leaseTransitions\":7}}");
	int64_t renewed;
	(void)state;
	assert_true(clock_parse(slice_of("2026-01-02T03:04:05.123456Z"), &renewed));
	assert_string_equal(lease.holder, "host-1_0c5a");
	assert_true(lease.renewed_wall_ns == renewed);
	assert_true(lease.duration_ns == 15 * S);
	assert_int_equal(lease.transitions, 7);
}

static void decodes_what_is_left_out(void **state)
{
	static const char *const texts[] = {"{}", "{\"spec\":{}}", "{\"spec\":null}",
	    "{\"spec\":{\"holderIdentity\":null,\"renewTime\":null,\"leaseDurationSeconds\":0}}",
	    "{\"spec\":{\"renewTime\":\"yesterday\",\"leaseDurationSeconds\":-3}}"};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct lease lease = decoded(texts[i]);
		assert_string_equal(lease.holder, "");
		assert_true(lease.renewed_wall_ns == 0 && lease.duration_ns == 0 && lease.transitions == 0);
	}
}

static void refuses_what_is_none(void **state)
{
	char text[1024] = "{\"spec\":{\"holderIdentity\":\"";
	struct lease lease;
	struct err err;
	(void)state;
	assert_int_equal(cluster_lease_decode(slice_of("[]"), &lease, &err), ERR_INPUT);
	assert_int_equal(cluster_lease_decode(slice_of(""), &lease, &err), ERR_INPUT);
	assert_int_equal(cluster_lease_decode(slice_of("{\"spec\":{}"), &lease, &err), ERR_INPUT);
	memset(text + strlen(text), 'h', LEASE_HOLDER_MAX);
	strcat(text, "\"}}");
	assert_int_equal(cluster_lease_decode(slice_of(text), &lease, &err), ERR_TOO_LARGE);
}

static void goes_stale_by_the_watcher_s_clock(void **state)
{
	struct lease_age age = {.known = false};
	struct lease lease = {.holder = "a", .renewed = "2001", .duration_ns = 15 * S};
	(void)state;
	assert_false(lease_age_is_stale(&age, 1000 * S)); /* never looked */
	lease_age_saw(&age, &lease, 1000 * S);
	lease_age_saw(&age, &lease, 1014 * S);
	assert_false(lease_age_is_stale(&age, 1015 * S));
	assert_true(lease_age_is_stale(&age, 1016 * S));
	strcpy(lease.renewed, "2000"); /* another time, be it an earlier one */
	lease_age_saw(&age, &lease, 1016 * S);
	assert_false(lease_age_is_stale(&age, 1030 * S));
	strcpy(lease.holder, "b");
	lease_age_saw(&age, &lease, 1030 * S);
	assert_false(lease_age_is_stale(&age, 1045 * S));
	lease.transitions++;
	lease_age_saw(&age, &lease, 1045 * S);
	assert_false(lease_age_is_stale(&age, 1060 * S));
	assert_true(lease_age_is_stale(&age, 1061 * S));
}

static void none_at_all_is_stale_after_a_while(void **state)
{
	struct lease_age age = {.known = false};
	struct lease lease = {.holder = "a", .duration_ns = 0};
	(void)state;
	lease_age_saw(&age, NULL, 1000 * S);
	lease_age_saw(&age, NULL, 1029 * S);
	assert_false(lease_age_is_stale(&age, 1030 * S));
	assert_true(lease_age_is_stale(&age, 1031 * S));
	lease_age_saw(&age, &lease, 1031 * S); /* one appears */
	assert_false(lease_age_is_stale(&age, 1061 * S));
	lease_age_saw(&age, NULL, 1061 * S); /* and is deleted */
	assert_false(lease_age_is_stale(&age, 1091 * S));
	assert_true(lease_age_is_stale(&age, 1092 * S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decodes_what_kube_scheduler_writes),
	    cmocka_unit_test(decodes_what_is_left_out),
	    cmocka_unit_test(refuses_what_is_none),
	    cmocka_unit_test(goes_stale_by_the_watcher_s_clock),
	    cmocka_unit_test(none_at_all_is_stale_after_a_while),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
