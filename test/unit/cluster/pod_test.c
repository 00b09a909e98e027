#include "world.h"

#include "berth/gpu.h"

#define ID "\"uid\":\"u-1\",\"name\":\"p\",\"namespace\":\"team\""

static void how_a_pod_ended(void **state)
{
	static const struct {
		const char *status;
		bool terminal, succeeded, rejected;
	} rows[] = {
	    {"{\"phase\":\"Running\",\"reason\":\"OutOfcpu\"}", false, false, false},
	    {"{\"phase\":\"Succeeded\"}", true, true, false},
	    {"{\"phase\":\"Failed\"}", true, false, false},
	    {"{\"phase\":\"Failed\",\"reason\":\"Evicted\"}", true, false, false},
	    {"{\"phase\":\"Failed\",\"reason\":\"OutOfnvidia.com/gpu\"}", true, false, true},
	    {"{\"reason\":\"UnexpectedAdmissionError\",\"phase\":\"Failed\"}", true, false, true},
	    {"{\"phase\":\"Failed\",\"reason\":\"TopologyAffinityError\"}", true, false, true},
	};
	char json[512];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(json, sizeof json, "{\"metadata\":{" ID "},\"spec\":{},\"status\":%s}", rows[i].status);
		struct pod *pod = decode_pod(json, false);
		assert_int_equal(pod->terminal, rows[i].terminal);
		assert_int_equal(pod->succeeded, rows[i].succeeded);
		assert_int_equal(pod->rejected, rows[i].rejected);
		pod_free(pod);
	}
}

#define CONDITIONS(reason)                                                                                             \
	"{\"metadata\":{" ID ",\"annotations\":{\"berth.dev/gang-whole\":\"true\"}},\"spec\":{},\"status\":{"          \
	"\"conditions\":[{\"type\":\"Other\",\"message\":\"no\"},{\"type\":\"PodScheduled\",\"status\":\"False\","     \
	"\"reason\":\"" reason "\",\"message\":\"0/3 nodes\"},{\"type\":\"PodResizePending\",\"reason\":\"x\"}]}}"

static void what_kube_scheduler_says(void **state)
{
	struct pod *pod = decode_pod(CONDITIONS("Unschedulable"), false);

	(void)state;
	assert_string_equal(pod->unschedulable, "0/3 nodes");
	assert_true(pod->gang_whole);
	pod_free(pod);
	pod = decode_pod(CONDITIONS("SchedulingGated"), false);
	assert_null(pod->unschedulable);
	pod_free(pod);
}

static void a_pending_pod(void **state)
{
	struct pod *pod =
	    decode_pod("{\"kind\":\"Pod\",\"metadata\":{" ID ",\"creationTimestamp\":\"2026-01-02T03:04:05Z\","
	               "\"labels\":{\"b\":\"2\",\"a\":\"1\"},\"managedFields\":[{\"f:x\":{}}],"
	               "\"annotations\":{\"berth.dev/wake\":\"NoGPU "
	               "3\",\"berth.dev/class\":\"training\",\"berth.dev/dtype\":\"bf16,fp8\","
	               "\"berth.dev/gpu-memory\":\"20Gi\",\"berth.dev/waiting\":\"gang team/g: 1 of 2\"}},"
	               "\"spec\":{\"schedulerName\":\"berth\",\"priority\":-7,\"schedulingGates\":[{\"name\":\"g\"}],"
	               "\"volumes\":[{\"name\":\"a\",\"emptyDir\":{}},{\"name\":\"d\",\"persistentVolumeClaim\":{"
	               "\"claimName\":\"c\"}}],"
	               "\"nodeSelector\":{\"k\":\"v\"},\"containers\":[{\"resources\":{\"requests\":{\"nvidia.com/"
	               "gpu\":\"1\"}}}]},"
	               "\"status\":{\"phase\":\"Pending\",\"nominatedNodeName\":\"n1\"}}",
	        false);

	(void)state;
	assert_string_equal(pod->uid, "u-1");
	assert_string_equal(pod->name, "p");
	assert_string_equal(pod->namespace_, "team");
	assert_string_equal(pod->scheduler, "berth");
	assert_null(pod->node);
	assert_string_equal(pod->nominated, "n1");
	assert_string_equal(pod->wake, "NoGPU 3");
	assert_string_equal(pod->waiting, "gang team/g: 1 of 2");
	assert_string_equal(pod->class_name, "training");
	assert_int_equal(pod->dtypes, DTYPE_BIT(DTYPE_BF16) | DTYPE_BIT(DTYPE_FP8));
	assert_int_equal(pod->gpu_memory_bytes, INT64_C(20) << 30);
	assert_int_equal(pod->priority, -7);
	assert_true(pod->created_ns == INT64_C(1767323045000000000));
	assert_true(pod->gated && pod->slow_binding && !pod->terminal && !pod->deleting && !pod->soft_spread);
	assert_int_equal(pod->labels.count, 2);
	assert_string_equal(pod->labels.items[0].key, "a");
	assert_int_equal(pod->node_selector_count, 1);
	assert_int_equal(pod->trouble, REASON_CODE_FITS);
	assert_int_equal(resources_get(&pod->demand, RESOURCE_PODS), 1);
	assert_int_equal(pod->demand.count, 2);
	pod_free(pod);
}

#define BOUND                                                                                                          \
	"{\"metadata\":{" ID                                                                                           \
	",\"labels\":{\"a\":\"1\",\"pod-template-hash\":\"x\"},\"deletionTimestamp\":\"2026-01-01T00:00:00Z\","        \
	"\"ownerReferences\":[{\"kind\":\"Other\",\"uid\":\"o\",\"name\":\"o\"},"                                      \
	"{\"kind\":\"ReplicaSet\",\"uid\":\"rs-1\",\"name\":\"web-x\",\"controller\":true}]},"                         \
	"\"spec\":{\"nodeName\":\"n7\",\"tolerations\":[{\"operator\":\"Exists\"}],\"nodeSelector\":{\"k\":\"v\"}},"   \
	"\"status\":{\"phase\":\"Running\"}}"

static void a_bound_pod_keeps_little(void **state)
{
	struct pod *pod = decode_pod(BOUND, false);

	(void)state;
	assert_string_equal(pod->node, "n7");
	assert_true(pod->deleting);
	assert_string_equal(pod->scheduler, "default-scheduler");
	assert_string_equal(pod->owner_uid, "rs-1");
	assert_string_equal(pod->owner_name, "web-x");
	assert_int_equal(pod->owner_kind_count, 2);
	assert_string_equal(pod->owner_kinds[0], "ReplicaSet");
	assert_string_equal(pod->owner_kinds[1], "Deployment");
	assert_int_equal(pod->labels.count, 2);
	assert_int_equal(pod->toleration_count + pod->node_selector_count, 0);
	assert_int_equal(pod->grace_s, 30);
	assert_false(pod_in_gang(pod));
	pod_free(pod);
	pod = decode_pod(BOUND, true);
	assert_int_equal(pod->labels.count, 2);
	assert_int_equal(pod->toleration_count, 1);
	assert_int_equal(pod->node_selector_count, 1);
	pod_free(pod);
}

static void the_chain_of_controllers(void **state)
{
	static const struct {
		const char *kind, *labels, *more; /* more: the kind further up, or NULL */
	} cases[] = {
	    {"ReplicaSet", "", "Deployment"},
	    {"StatefulSet", "", NULL},
	    {"StatefulSet", "\"leaderworkerset.sigs.k8s.io/name\":\"l\"", "LeaderWorkerSet"},
	    {"StatefulSet", "\"statefulset\":\"n\",\"notebook-name\":\"n\"", "Notebook"},
	    {"Job", "\"jobset.sigs.k8s.io/jobset-name\":\"j\"", "JobSet"},
	    {"Job", "\"notebook-name\":\"n\"", NULL},
	};
	char json[512];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pod *pod;

		snprintf(json, sizeof json,
		    "{\"metadata\":{" ID
		    ",\"labels\":{%s},\"ownerReferences\":[{\"kind\":\"%s\",\"uid\":\"o\",\"name\":\"o\","
		    "\"controller\":true}]}}",
		    cases[i].labels, cases[i].kind);
		pod = decode_pod(json, true);
		assert_true(pod_has_owner_kind(pod, cases[i].kind));
		assert_int_equal(pod->owner_kind_count, cases[i].more ? 2 : 1);
		if (cases[i].more)
			assert_true(pod_has_owner_kind(pod, cases[i].more));
		pod_free(pod);
	}
}

static void annotation_before_label(void **state)
{
	struct pod *pod = decode_pod(
	    "{\"metadata\":{" ID ",\"annotations\":{\"berth.dev/class\":\"one\"},"
	    "\"labels\":{\"berth.dev/class\":\"two\",\"berth.dev/dtype\":\"fp16\",\"berth.dev/gpu-memory\":\"1Gi\"}}}",
	    false);

	(void)state;
	assert_string_equal(pod->class_name, "one");
	assert_int_equal(pod->dtypes, DTYPE_BIT(DTYPE_FP16));
	assert_int_equal(pod->gpu_memory_bytes, 1 << 30);
	assert_string_equal(pod->scheduler, "default-scheduler");
	pod_free(pod);
}

static void trouble(void **state)
{
	static const struct {
		const char *json;
		enum reason trouble;
	} cases[] = {
	    {"{\"metadata\":{" ID ",\"annotations\":{\"berth.dev/dtype\":\"fp17\"}}}", REASON_CODE_BAD_ANNOTATION},
	    {"{\"metadata\":{" ID ",\"annotations\":{\"berth.dev/dtype\":\"fp16,\"}}}", REASON_CODE_BAD_ANNOTATION},
	    {"{\"metadata\":{" ID ",\"annotations\":{\"berth.dev/gpu-memory\":\"20GB\"}}}", REASON_CODE_BAD_ANNOTATION},
	    {"{\"metadata\":{" ID ",\"annotations\":{\"berth.dev/gpu-memory\":\"-1\"}}}", REASON_CODE_BAD_ANNOTATION},
	    {"{\"metadata\":{" ID "},\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"x\"}}}]}}",
	        REASON_CODE_BAD_REQUEST},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pod *pod = decode_pod(cases[i].json, false);

		assert_int_equal(pod->trouble, cases[i].trouble);
		pod_free(pod);
	}
}

static void flags(void **state)
{
	struct pod *pod = decode_pod("{\"metadata\":{" ID "},\"spec\":{\"resourceClaims\":[{\"name\":\"c\"}],"
	                             "\"topologySpreadConstraints\":[{\"whenUnsatisfiable\":\"ScheduleAnyway\"}]},"
	                             "\"status\":{\"phase\":\"Failed\"}}",
	    false);

	(void)state;
	assert_true(pod->slow_binding && pod->soft_spread && pod->terminal && !pod->gated);
	pod_free(pod);
	pod = decode_pod(
	    "{\"metadata\":{" ID "},\"spec\":{\"schedulingGates\":[],\"resourceClaims\":[],"
	    "\"volumes\":[{\"ephemeral\":null,\"configMap\":{}}],"
	    "\"topologySpreadConstraints\":[{\"whenUnsatisfiable\":\"DoNotSchedule\"}]},\"status\":{\"phase\":"
	    "\"Succeeded\"}}",
	    false);
	assert_true(!pod->slow_binding && !pod->soft_spread && pod->terminal && !pod->gated);
	pod_free(pod);
}

static void what_makes_a_victim(void **state)
{
	static const char *const keys[] = {"berth.dev/gang", "scheduling.x-k8s.io/pod-group",
	    "scheduling.k8s.io/group-name", "pod-group-name", "kueue.x-k8s.io/pod-group-name"};
	char text[512];

	(void)state;
	for (size_t i = 0; i < 2 * sizeof keys / sizeof *keys; i++) {
		snprintf(text, sizeof text,
		    "{\"metadata\":{" ID ",\"%s\":{\"%s\":\"g\"}},\"spec\":{\"nodeName\":\"n\",\"priority\":-3,"
		    "\"terminationGracePeriodSeconds\":%zu}}",
		    i % 2 ? "labels" : "annotations", keys[i / 2], i);
		struct pod *pod = decode_pod(text, false);

		assert_true(pod->gang && pod_in_gang(pod));
		assert_int_equal(pod->grace_s, i);
		assert_int_equal(pod->priority, -3);
		pod_free(pod);
	}
	struct pod *pod = decode_pod("{\"metadata\":{" ID ",\"labels\":{\"gang\":\"g\"}},"
	                             "\"spec\":{\"terminationGracePeriodSeconds\":99999999999}}",
	    false);
	assert_false(pod_in_gang(pod));
	assert_int_equal(pod->grace_s, INT32_MAX);
	pod_free(pod);
}

static void no_pod(void **state)
{
	static const char *const texts[] = {"", "[]", "{}", "null", "{\"metadata\":{\"name\":\"p\"}}",
	    "{\"metadata\":{\"uid\":\"u\"}}", "{\"metadata\":{" ID "}", "{\"metadata\":{" ID "}} x",
	    "{\"metadata\":{" ID ",\"name\":\"p\\u0000q\"}}", "{\"metadata\":{" ID ",\"uid\":\"\\u0000\"}}",
	    "{\"metadata\":{" ID ",\"namespace\":\"a\\u0000\"}}",
	    "{\"metadata\":{" ID "},\"spec\":{\"nodeName\":\"n\\u0000\"}}"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_null(cluster_pod_decode(slice_of(texts[i]), &names, false, &err));
}

static void how_long_it_runs(void **state)
{
	static const struct {
		const char *said;
		int64_t ns;
	} rows[] = {{"2h30m", INT64_C(9000000000000)}, {"1.5s", 1500000000}, {"250us", 250000}, {"10", 0}, {"-5m", 0},
	    {"", 0}, {"0s", 0}, {"999999999h", 0}, {"soon", 0}};
	char json[1024];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(json, sizeof json,
		    "{\"metadata\":{" ID ",\"annotations\":{\"berth.dev/expected-runtime\":\"%s\"}}}", rows[i].said);
		struct pod *pod = decode_pod(json, true);
		assert_int_equal(pod->said_runtime_ns, rows[i].ns);
		pod_free(pod);
	}
#define ENDED(at) "{\"state\":{\"terminated\":{\"exitCode\":0,\"finishedAt\":\"2026-01-01T00:00:" at "Z\"}}}"
	snprintf(json, sizeof json,
	    "{\"metadata\":{" ID "},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"phase\":\"%s\",\"startTime\":"
	    "\"2026-01-01T00:00:00Z\",\"containerStatuses\":[%s,%s]}}",
	    "Succeeded", ENDED("30"), ENDED("10"));
	struct pod *pod = decode_pod(json, false);
	assert_int_equal(pod->finished_ns - pod->started_ns, INT64_C(30000000000));
	pod_free(pod);
	pod = decode_pod("{\"metadata\":{" ID "},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"phase\":\"Running\","
	                 "\"containerStatuses\":[" ENDED("30") "]}}",
	    false);
	assert_int_equal(pod->finished_ns, 0);
	pod_free(pod);
}

static void escapes_are_resolved(void **state)
{
	struct pod *pod = decode_pod("{\"metadata\":{" ID ",\"labels\":{\"k\\u0065y\":\"v\\u00e4l\"}}}", false);

	(void)state;
	assert_string_equal(labels_get(&pod->labels, "key"), "v\xc3\xa4l");
	pod_free(pod);
}

static void restart_policies(void **state)
{
	static const struct {
		const char *spec;
		bool once;
	} cases[] = {{"", false}, {"\"restartPolicy\":\"Never\"", true}, {"\"restartPolicy\":\"OnFailure\"", false}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char json[256];
		snprintf(
		    json, sizeof json, "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"},\"spec\":{%s}}", cases[i].spec);
		struct pod *pod = decode_pod(json, true);
		assert_int_equal(pod->runs_once, cases[i].once);
		pod_free(pod);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(restart_policies),
	    cmocka_unit_test(a_pending_pod),
	    cmocka_unit_test(how_a_pod_ended),
	    cmocka_unit_test(what_kube_scheduler_says),
	    cmocka_unit_test(a_bound_pod_keeps_little),
	    cmocka_unit_test(the_chain_of_controllers),
	    cmocka_unit_test(annotation_before_label),
	    cmocka_unit_test(trouble),
	    cmocka_unit_test(flags),
	    cmocka_unit_test(what_makes_a_victim),
	    cmocka_unit_test(no_pod),
	    cmocka_unit_test(how_long_it_runs),
	    cmocka_unit_test(escapes_are_resolved),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
