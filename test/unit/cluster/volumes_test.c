#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cluster/pod.h"
#include "cluster/volumes.h"

#define ZONE "topology.kubernetes.io/zone"

static struct resource_names names;

static void put(struct volumes *volumes, const char *name, const char *claim, const char *phase, const char *zone)
{
	char json[1024];
	struct err err;

	snprintf(json, sizeof json,
	    "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"claimRef\":{\"namespace\":\"ns\",\"name\":\"%s\"},"
	    "\"nodeAffinity\":%s%s%s},\"status\":{\"phase\":\"%s\"}}",
	    name, claim,
	    zone ? "{\"required\":{\"nodeSelectorTerms\":[{\"matchExpressions\":[{\"key\":\"" ZONE
	           "\",\"operator\":\"In\",\"values\":[\""
	         : "null",
	    zone ? zone : "", zone ? "\"]}]}]}}" : "", phase);
	assert_int_equal(volumes_put(volumes, slice_of(json), &err), 0);
}

static struct pod *pod_with(const char *volumes_json)
{
	char json[1024];
	struct err err;

	snprintf(json, sizeof json,
	    "{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\",\"uid\":\"u\"},\"spec\":{\"volumes\":[%s]}}",
	    volumes_json);
	struct pod *pod = cluster_pod_decode(slice_of(json), &names, false, &err);
	assert_non_null(pod);
	return pod;
}

static bool selects(const struct volumes *volumes, struct pod *pod, const char *zone)
{
	struct label label = {ZONE, zone};
	struct labels labels = {1, &label};

	volumes_resolve(volumes, pod);
	return pod_selects(pod, "n0", &labels);
}

static void a_pod_goes_where_its_volumes_are(void **state)
{
	struct volumes *volumes = volumes_new();
	struct pod *pod = pod_with("{\"name\":\"data\",\"persistentVolumeClaim\":{\"claimName\":\"c\"}},"
	                           "{\"name\":\"scratch\",\"ephemeral\":{\"volumeClaimTemplate\":{}}},"
	                           "{\"name\":\"none\",\"emptyDir\":{}}");
	struct err err;

	(void)state;
	assert_int_equal(pod->claim_count, 2);
	assert_string_equal(pod->claims[0], "ns/c");
	assert_string_equal(pod->claims[1], "ns/p-scratch");
	assert_true(pod->slow_binding);
	assert_true(selects(volumes, pod, "a")); /* not bound yet */
	put(volumes, "v0", "c", "Bound", "a");
	assert_true(selects(volumes, pod, "a"));
	assert_false(selects(volumes, pod, "b"));
	put(volumes, "v1", "p-scratch", "Bound", "b");
	assert_false(selects(volumes, pod, "a"));
	assert_false(selects(volumes, pod, "b"));
	put(volumes, "v1", "p-scratch", "Bound", NULL); /* reached from everywhere */
	assert_true(selects(volumes, pod, "a"));
	assert_int_equal(volumes_remove(volumes, slice_of("{\"metadata\":{\"name\":\"v0\"}}"), &err), 0);
	assert_true(selects(volumes, pod, "b"));
	pod_free(pod);
	volumes_free(volumes);
}

static void only_a_bound_one_counts(void **state)
{
	struct volumes *volumes = volumes_new();
	struct pod *pod = pod_with("{\"name\":\"data\",\"persistentVolumeClaim\":{\"claimName\":\"c\"}}");

	(void)state;
	put(volumes, "v0", "c", "Released", "a"); /* of a claim that had this name before */
	assert_true(selects(volumes, pod, "b"));
	put(volumes, "v1", "c", "Bound", "b");
	put(volumes, "v2", "other", "Bound", "a");
	assert_true(selects(volumes, pod, "b"));
	assert_false(selects(volumes, pod, "a"));
	pod_free(pod);
	volumes_free(volumes);
}

static void a_list_forgets_what_it_does_not_show(void **state)
{
	struct volumes *volumes = volumes_new();
	struct pod *pod = pod_with("{\"name\":\"data\",\"persistentVolumeClaim\":{\"claimName\":\"c\"}}");

	(void)state;
	volumes_begin(volumes);
	put(volumes, "v0", "c", "Bound", "a");
	volumes_synced(volumes);
	assert_false(selects(volumes, pod, "b"));
	volumes_begin(volumes);
	put(volumes, "v1", "else", "Bound", "a");
	assert_false(selects(volumes, pod, "b"));
	volumes_synced(volumes);
	assert_true(selects(volumes, pod, "b"));
	pod_free(pod);
	volumes_free(volumes);
}

static void what_is_no_volume_is_an_error(void **state)
{
	struct volumes *volumes = volumes_new();
	struct err err;

	(void)state;
	assert_int_equal(volumes_put(volumes, slice_of("{\"metadata\":{}}"), &err), ERR_INPUT);
	assert_non_null(strstr(err.text, "metadata.name"));
	assert_int_equal(volumes_put(volumes, slice_of("{\"metadata\":{\"name\":\"v\"}"), &err), ERR_INPUT);
	assert_int_equal(volumes_remove(volumes, slice_of("[]"), &err), ERR_INPUT);
	volumes_free(volumes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_pod_goes_where_its_volumes_are),
	    cmocka_unit_test(only_a_bound_one_counts),
	    cmocka_unit_test(a_list_forgets_what_it_does_not_show),
	    cmocka_unit_test(what_is_no_volume_is_an_error),
	};

	resource_names_init(&names);
	int failed = cmocka_run_group_tests_name("cluster/volumes", tests, NULL, NULL);
	resource_names_free(&names);
	return failed;
}
