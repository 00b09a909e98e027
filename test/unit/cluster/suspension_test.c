#include "cluster/suspension.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "berth/pod.h"

static struct suspend_object read_object(const char *kind, const char *json, struct arena *arena)
{
	struct suspend_object object;
	arena_init(arena, 256);
	assert_true(suspend_read(slice_of(json), suspend_kind_of(kind), arena, &object));
	return object;
}

static void test_what_an_object_says(void **state)
{
	(void)state;
	struct arena arena;
	struct suspend_object object = read_object("Job",
	    "{\"kind\":\"Job\",\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\",\"labels\":"
	    "{\"berth.dev/suspended-by\":\"berth\"},\"annotations\":{\"berth.dev/undoes\":\"0/n/g\"},"
	    "\"ownerReferences\":[{\"kind\":\"JobSet\",\"name\":\"s\",\"uid\":\"v\",\"controller\":true}]},"
	    "\"spec\":{\"template\":{\"suspend\":7},\"suspend\":true},\"status\":{}}",
	    &arena);
	assert_string_equal(object.namespace_, "n");
	assert_string_equal(object.name, "j");
	assert_string_equal(object.uid, "u");
	assert_string_equal(object.gang, "0/n/g");
	assert_string_equal(object.owner_kind, "JobSet");
	assert_string_equal(object.owner_name, "s");
	assert_string_equal(object.owner_uid, "v");
	assert_true(object.suspended && object.marked && !object.queued);
	arena_free(&arena);
}

static void test_a_field_below_another(void **state)
{
	(void)state;
	struct arena arena;
	struct suspend_object object = read_object("PyTorchJob",
	    "{\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\",\"labels\":{\"kueue.x-k8s.io/queue-name\":"
	    "\"q\"}},\"spec\":{\"suspend\":false,\"runPolicy\":{\"suspend\":true}}}",
	    &arena);
	assert_true(object.suspended && object.queued && !object.marked && !object.counts);
	assert_null(object.owner_kind);
	arena_free(&arena);
	object = read_object("PyTorchJob",
	    "{\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\"},\"spec\":{\"runPolicy\":{"
	    "\"backoffLimit\":0}}}",
	    &arena);
	assert_true(object.counts);
	arena_free(&arena);
}

static void test_what_bars_a_suspension(void **state)
{
	(void)state;
	struct arena arena;
	static const char *const specs[] = {
	    "{\"shutdownAfterJobFinishes\":true}", "{\"shutdownAfterJobFinishes\":false}", "{}", "7"};
	char json[256];
	for (size_t i = 0; i < 4; i++) {
		snprintf(json, sizeof json,
		    "{\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\"},\"spec\":%s}", specs[i]);
		assert_int_equal(read_object("RayJob", json, &arena).barred, i > 0);
		arena_free(&arena);
		assert_false(read_object("RayCluster", json, &arena).barred);
		arena_free(&arena);
	}
}

/* Whoever else may suspend and resume it goes first. */
static void test_what_is_not_to_be_moved(void **state)
{
	(void)state;
	struct arena arena;
	static const struct {
		const char *kind, *spec;
		bool managed, barred;
	} cases[] = {
	    {"Job", "{\"managedBy\":\"kueue.x-k8s.io/multikueue\"}", true, false},
	    {"Job", "{\"managedBy\":\"kubernetes.io/job-controller\"}", false, false},
	    {"Job", "{\"managedBy\":\"\"}", false, false},
	    {"PyTorchJob", "{\"managedBy\":\"x/y\"}", false, false},
	    {"PyTorchJob", "{\"runPolicy\":{\"managedBy\":\"x/y\"}}", true, false},
	    {"TrainJob", "{\"managedBy\":\"trainer.kubeflow.org/trainjob-controller\"}", false, false},
	    {"RayJob", "{\"shutdownAfterJobFinishes\":true,\"clusterSelector\":{\"a\":\"b\"}}", false, true},
	    {"RayJob", "{\"shutdownAfterJobFinishes\":true,\"clusterSelector\":{}}", false, false},
	    {"RayJob", "{\"shutdownAfterJobFinishes\":true,\"clusterSelector\":null}", false, false},
	};
	char json[512];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(json, sizeof json,
		    "{\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\"},\"spec\":%s}", cases[i].spec);
		struct suspend_object object = read_object(cases[i].kind, json, &arena);
		if (object.managed != cases[i].managed || object.barred != cases[i].barred)
			fail_msg("case %zu: managed %d, barred %d", i, object.managed, object.barred);
		arena_free(&arena);
	}
}

static void test_what_moves_left(void **state)
{
	(void)state;
	struct arena arena;
	struct suspend_object object = read_object("Job",
	    "{\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\",\"resourceVersion\":\"17\",\"labels\":"
	    "{\"berth.dev/suspended-by\":\"m-1\"},\"annotations\":{\"berth.dev/suspended-since\":\"s\","
	    "\"berth.dev/resumed-by-others\":\"1\",\"karpenter.sh/"
	    "do-not-disrupt\":\"true\"}},\"spec\":{\"suspend\":true}}",
	    &arena);
	assert_string_equal(object.mark, "m-1");
	assert_string_equal(object.since, "s");
	assert_string_equal(object.version, "17");
	assert_int_equal(object.reverts, 1);
	assert_true(object.suspended && !object.marked && object.kept);
	arena_free(&arena);
	object = read_object("Job",
	    "{\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\",\"annotations\":"
	    "{\"berth.dev/resumed-by-others\":\"many\",\"cluster-autoscaler.kubernetes.io/safe-to-evict\":\"true\"}}}",
	    &arena);
	assert_int_equal(object.reverts, SUSPENDED_REVERTS_MAX);
	assert_false(object.kept);
	arena_free(&arena);
}

static void expect_change_of(const struct suspend_kind *kind, const struct suspend_change *change, const char *expected)
{
	struct buf out;
	struct suspend_object object = {.uid = "u", .version = "17"};
	buf_init(&out, 4096);
	suspend_change(kind, &object, change, &out);
	assert_string_equal(out.data, expected);
	buf_free(&out);
}

static void expect_change(const char *kind, const struct suspend_change *change, const char *expected)
{
	expect_change_of(suspend_kind_of(kind), change, expected);
}

static void test_patches_of_moves(void **state)
{
	(void)state;
	expect_change("PyTorchJob", &(struct suspend_change){.mark = "m-1", .since = "s", .spec = true},
	    "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"17\",\"labels\":{\"berth.dev/suspended-by\":\"m-1\"},"
	    "\"annotations\":{\"berth.dev/suspended-since\":\"s\"}},\"spec\":{\"runPolicy\":{\"suspend\":true}}}");
	expect_change("Job", &(struct suspend_change){.spec = true},
	    "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"17\",\"labels\":{\"berth.dev/suspended-by\":null},"
	    "\"annotations\":{\"berth.dev/suspended-since\":null}},\"spec\":{\"suspend\":false}}");
	expect_change_of(suspend_workload(), &(struct suspend_change){.mark = "m-1", .since = "s", .spec = true},
	    "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"17\",\"labels\":{\"berth.dev/suspended-by\":\"m-1\"},"
	    "\"annotations\":{\"berth.dev/suspended-since\":\"s\"}},\"spec\":{\"active\":false}}");
	expect_change_of(suspend_workload(), &(struct suspend_change){.spec = true},
	    "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"17\",\"labels\":{\"berth.dev/suspended-by\":null},"
	    "\"annotations\":{\"berth.dev/suspended-since\":null}},\"spec\":{\"active\":true}}");
	expect_change("Job", &(struct suspend_change){.reverts = 1},
	    "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"17\",\"labels\":{\"berth.dev/suspended-by\":null},"
	    "\"annotations\":{\"berth.dev/suspended-since\":null,\"berth.dev/resumed-by-others\":\"1\"}}}");
}

/* It runs unless it says that it does not, and Kueue's own name on it bars nothing. */
static void test_workloads(void **state)
{
	(void)state;
	static const struct {
		const char *spec;
		bool suspended;
	} cases[] = {{"{}", false}, {"{\"active\":true}", false}, {"{\"active\":false,\"managedBy\":\"x\"}", true},
	    {"{\"suspend\":true}", false}};
	char json[512];
	struct suspend_object object;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena arena;
		arena_init(&arena, 256);
		snprintf(json, sizeof json,
		    "{\"metadata\":{\"name\":\"w\",\"namespace\":\"n\",\"uid\":\"u\",\"labels\":{\"kueue.x-k8s.io/"
		    "queue-name\":"
		    "\"q\"}},\"spec\":%s}",
		    cases[i].spec);
		assert_true(suspend_read(slice_of(json), suspend_workload(), &arena, &object));
		assert_int_equal(object.suspended, cases[i].suspended);
		assert_false(object.queued || object.managed || object.barred);
		arena_free(&arena);
	}
	assert_null(suspend_kind_of("Workload")); /* others have kinds of that name */
	assert_ptr_equal(suspend_kind_named("kueue.x-k8s.io/v1beta2", "Workload"), suspend_workload());
	assert_ptr_equal(suspend_kind_named("kueue.x-k8s.io/v1beta1", "Workload"), suspend_workload()->older);
	assert_ptr_equal(suspend_kind_named("batch/v1", "Job"), suspend_kind_of("Job"));
	assert_null(suspend_kind_named("scheduling.k8s.io/v1alpha1", "Workload"));
}

static void test_what_cannot_be_read(void **state)
{
	(void)state;
	struct arena arena;
	struct suspend_object object;
	static const char *const texts[] = {"", "[]", "{\"metadata\":{\"name\":\"j\"}}",
	    "{\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\"}", "{\"metadata\":[]}"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		arena_init(&arena, 256);
		assert_false(suspend_read(slice_of(texts[i]), suspend_kind_of("Job"), &arena, &object));
		arena_free(&arena);
	}
}

static void expect_patch(const char *kind, bool suspend, const char *expected)
{
	struct buf out;
	struct suspend_object object = {.uid = "u"};
	buf_init(&out, 4096);
	suspend_write(suspend_kind_of(kind), &object, suspend, "k\"", &out);
	assert_string_equal(out.data, expected);
	buf_free(&out);
}

static void test_patches(void **state)
{
	(void)state;
	expect_patch("Job", true,
	    "{\"metadata\":{\"uid\":\"u\",\"labels\":{\"berth.dev/suspended-by\":\"berth\"},\"annotations\":"
	    "{\"berth.dev/undoes\":\"k\\\"\"}},\"spec\":{\"suspend\":true}}");
	expect_patch("MPIJob", false,
	    "{\"metadata\":{\"uid\":\"u\",\"labels\":{\"berth.dev/suspended-by\":null},\"annotations\":"
	    "{\"berth.dev/undoes\":null}},\"spec\":{\"runPolicy\":{\"suspend\":false}}}");
}

static void expect_path(const char *kind, const char *namespace_, const char *name, const char *expected)
{
	struct buf out;
	buf_init(&out, 4096);
	suspend_path(suspend_kind_of(kind), namespace_, name, &out);
	assert_string_equal(out.data, expected);
	buf_free(&out);
}

static void test_kinds(void **state)
{
	(void)state;
	expect_path("Job", "n", "j", "/apis/batch/v1/namespaces/n/jobs/j");
	expect_path("JobSet", NULL, NULL, "/apis/jobset.x-k8s.io/v1alpha2/jobsets");
	assert_null(suspend_kind_of("CronJob")); /* its suspension ends nothing */
	assert_null(suspend_kind_of(NULL));
	assert_true(suspend_recreates("StatefulSet") && suspend_recreates("ReplicaSet"));
	assert_false(suspend_recreates("Job") || suspend_recreates(NULL));
}

static void test_whose_pods_it_ends(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *label;
	} below[] = {{"Job", "batch.kubernetes.io/job-name"}, {"JobSet", "jobset.sigs.k8s.io/jobset-name"},
	    {"TrainJob", "jobset.sigs.k8s.io/jobset-name"}, {"PyTorchJob", "training.kubeflow.org/job-name"},
	    {"MPIJob", "training.kubeflow.org/job-name"}, {"RayCluster", "ray.io/cluster"},
	    {"RayJob", "ray.io/originated-from-cr-name"}};
	for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
		const struct suspend_kind *kind = suspend_kind_of(below[i].kind);
		struct label label = {below[i].label, "mine"};
		struct pod pod = {.owner_uid = "other", .labels = {.count = 1, .items = &label}};
		assert_true(suspend_ends(kind, "mine", "u", &pod) && !suspend_ends(kind, "his", "u", &pod));
		assert_true(suspend_ends(kind, "his", "other", &pod));
		label.key = "example.com/name";
		assert_false(suspend_ends(kind, "mine", "u", &pod));
	}
	assert_false(suspend_ends(suspend_workload(), "mine", "u", &(struct pod){.owner_uid = NULL}));
}

static void append(void *ctx, struct slice item)
{
	buf_add(ctx, item.at, item.len);
}

static void test_lists(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 4096);
	assert_true(suspend_read_list(
	    slice_of("{\"kind\":\"JobList\",\"items\":[{\"a\":1},{}],\"metadata\":{}}"), append, &out));
	assert_string_equal(out.data, "{\"a\":1}{}");
	assert_true(suspend_read_list(slice_of("{\"items\":null}"), append, &out));
	assert_false(suspend_read_list(slice_of("{\"items\":[{\"a\":1}"), append, &out));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_an_object_says),
	    cmocka_unit_test(test_a_field_below_another),
	    cmocka_unit_test(test_what_bars_a_suspension),
	    cmocka_unit_test(test_what_is_not_to_be_moved),
	    cmocka_unit_test(test_what_moves_left),
	    cmocka_unit_test(test_patches_of_moves),
	    cmocka_unit_test(test_workloads),
	    cmocka_unit_test(test_what_cannot_be_read),
	    cmocka_unit_test(test_patches),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_whose_pods_it_ends),
	    cmocka_unit_test(test_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
