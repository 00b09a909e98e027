#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cluster/owners.h"
#include "cluster/pod.h"

static const char pod_json[] =
    "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"ownerReferences\":[{\"kind\":\"Job\",\"uid\":\"j-1\","
    "\"name\":\"night-1\",\"controller\":true}]}}";

static void put(struct owners *owners, const char *uid, const char *name, const char *kind)
{
	char json[512];
	struct err err;

	snprintf(json, sizeof json,
	    "{\"kind\":\"PartialObjectMetadata\",\"metadata\":{\"uid\":\"%s\",\"namespace\":\"ns\",\"name\":\"%s\","
	    "\"ownerReferences\":["
	    "{\"kind\":\"Cluster\",\"uid\":\"x\",\"name\":\"x\"},{\"kind\":\"%s\",\"uid\":\"c\",\"name\":\"c\","
	    "\"controller\":true}]}}",
	    uid, name, kind);
	assert_int_equal(owners_put(owners, slice_of(json), &err), 0);
}

/* The second kind on the chain of a pod of Job j-1, or "". */
static void assert_chain(const struct owners *owners, const char *kind)
{
	struct resource_names names;
	struct err err;
	struct pod *pod;

	resource_names_init(&names);
	pod = cluster_pod_decode(slice_of(pod_json), &names, false, &err);
	assert_non_null(pod);
	owners_resolve(owners, pod);
	owners_resolve(owners, pod);
	assert_string_equal(pod->owner_kinds[0], "Job");
	assert_string_equal(pod->owner_kind_count == 2 ? pod->owner_kinds[1] : "", kind);
	pod_free(pod);
	resource_names_free(&names);
}

static void what_a_job_says_of_its_run(void **state)
{
	struct owners *owners = owners_new();
	struct owners_job job;
	struct err err;

	(void)state;
	assert_int_equal(owners_put(owners,
	                     slice_of("{\"metadata\":{\"uid\":\"j-1\",\"name\":\"night-1\",\"annotations\":{"
	                              "\"berth.dev/expected-runtime\":\"1h\"}}}"),
	                     &err),
	    0);
	assert_true(owners_find(owners, "j-1", &job));
	assert_int_equal(job.runtime_ns, INT64_C(3600000000000));
	owners_free(owners);
}

static void chains(void **state)
{
	struct owners *owners = owners_new();
	struct err err;

	(void)state;
	assert_chain(owners, "");
	put(owners, "j-1", "night-1", "CronJob");
	assert_chain(owners, "CronJob");
	put(owners, "j-1", "night-1", "MyVeryOwnPipeline");
	assert_chain(owners, "MyVeryOwnPipeline");
	assert_int_equal(
	    owners_remove(owners, slice_of("{\"metadata\":{\"uid\":\"j-1\",\"name\":\"night-1\"}}"), &err), 0);
	assert_chain(owners, "");
	assert_int_equal(owners_put(owners, slice_of("{\"metadata\":{\"uid\":\"j-1\",\"name\":\"x\"}}"), &err), 0);
	assert_chain(owners, "");
	owners_free(owners);
}

static void a_list_forgets_what_it_lacks(void **state)
{
	struct owners *owners = owners_new();

	(void)state;
	owners_begin(owners);
	put(owners, "j-1", "night-1", "CronJob");
	put(owners, "j-2", "night-2", "CronJob");
	owners_synced(owners);
	assert_chain(owners, "CronJob");
	owners_begin(owners);
	put(owners, "j-2", "night-2", "CronJob");
	assert_chain(owners, "CronJob");
	owners_synced(owners);
	assert_chain(owners, "");
	owners_free(owners);
}

static void a_name_that_is_used_again(void **state)
{
	struct owners *owners = owners_new();

	(void)state;
	put(owners, "j-1", "night", "CronJob");
	put(owners, "j-9", "night", "JobSet");
	assert_chain(owners, "");
	owners_free(owners);
}

static void no_job(void **state)
{
	static const char *const texts[] = {
	    "", "{}", "{\"metadata\":{\"uid\":\"u\"}}", "{\"metadata\":{\"name\":\"n\"}}"};
	struct owners *owners = owners_new();
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(owners_put(owners, slice_of(texts[i]), &err), ERR_INPUT);
		assert_int_equal(owners_remove(owners, slice_of(texts[i]), &err), ERR_INPUT);
	}
	owners_free(owners);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_job_says_of_its_run),
	    cmocka_unit_test(chains),
	    cmocka_unit_test(a_list_forgets_what_it_lacks),
	    cmocka_unit_test(a_name_that_is_used_again),
	    cmocka_unit_test(no_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
