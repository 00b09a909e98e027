/* Which starts count as failed for their node's sake: as kubelet and the container runtimes write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "berth/gpu.h"
#include "cluster/pod.h"

#define HEAD "{\"metadata\":{\"uid\":\"u\",\"name\":\"p\"},\"spec\":{\"nodeName\":\"n\"},\"status\":"
#define OF(container) HEAD "{\"phase\":\"Pending\",\"containerStatuses\":[" container "]}}"
#define WAITING(reason, message)                                                                                       \
	"{\"state\":{\"waiting\":{\"reason\":\"" reason "\",\"message\":\"" message "\"}},\"restartCount\":2}"
#define ENDED(where, reason, code, message, at)                                                                        \
	"\"" where "\":{\"terminated\":{\"reason\":\"" reason "\",\"exitCode\":" code ",\"message\":\"" message        \
	"\",\"startedAt\":\"2026-01-01T00:00:00Z\",\"finishedAt\":\"2026-01-01T00:00:" at "Z\"}}"
#define CLI                                                                                                            \
	"failed to create shim task: OCI runtime create failed: nvidia-container-cli: initialization error: nvml "     \
	"error"
#define BACKOFF "\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}}"
#define SECOND_NS INT64_C(1000000000)
#define START INT64_C(1767225600)

static const struct {
	const char *name, *json;
	enum pod_start how;
	int64_t at_s; /* 0 = not said */
} cases[] = {
    {"device plugin refuses",
        HEAD "{\"phase\":\"Failed\",\"reason\":\"UnexpectedAdmissionError\",\"startTime\":\"2026-01-01T00:00:03Z\"}}",
        POD_START_FAILED, START + 3},
    {"topology manager refuses", HEAD "{\"phase\":\"Failed\",\"reason\":\"TopologyAffinityError\"}}", POD_START_FAILED,
        0},
    {"no room after all", HEAD "{\"phase\":\"Failed\",\"reason\":\"OutOfnvidia.com/gpu\"}}", POD_START_FAILED, 0},
    {"evicted", HEAD "{\"phase\":\"Failed\",\"reason\":\"Evicted\"}}", POD_START_UNKNOWN, 0},
    {"the pod's own selector", HEAD "{\"phase\":\"Failed\",\"reason\":\"NodeAffinity\"}}", POD_START_UNKNOWN, 0},
    {"container not made",
        OF(WAITING("CreateContainerError", "unresolvable CDI devices nvidia.com/gpu=0: CDI device injection failed")),
        POD_START_FAILED, 0},
    {"container not started", OF(WAITING("RunContainerError", CLI)), POD_START_FAILED, 0},
    {"not made for another reason", OF(WAITING("CreateContainerError", "context deadline exceeded")), POD_START_UNKNOWN,
        0},
    {"image", OF(WAITING("ImagePullBackOff", "nvidia-container-toolkit:latest not found")), POD_START_UNKNOWN, 0},
    {"configuration", OF(WAITING("CreateContainerConfigError", "secret nvml not found")), POD_START_UNKNOWN, 0},
    {"start error", OF("{" ENDED("state", "StartError", "128", CLI, "00") "}"), POD_START_FAILED, START},
    {"no such program", OF("{" ENDED("state", "StartError", "128", "exec: run: not found", "00") "}"),
        POD_START_UNKNOWN, 0},
    {"start error before a pause", OF("{" BACKOFF "," ENDED("lastState", "StartError", "128", CLI, "01") "}"),
        POD_START_FAILED, START + 1},
    {"start error, then it runs",
        OF("{\"state\":{\"running\":{\"startedAt\":\"2026-01-01T00:00:30Z\"}}," ENDED(
            "lastState", "StartError", "128", CLI, "01") "}"),
        POD_START_WELL, START + 30},
    {"dies at once of its driver",
        OF("{" ENDED("state", "Error", "1", "Failed to initialize NVML: Driver/library version mismatch", "04") "}"),
        POD_START_FAILED, START + 4},
    {"dies later", OF("{" ENDED("state", "Error", "1", "Failed to initialize NVML", "40") "}"), POD_START_UNKNOWN, 0},
    {"crashes", OF("{" ENDED("state", "Error", "1", "KeyError: CUDA out of memory", "01") "}"), POD_START_UNKNOWN, 0},
    {"does its work", OF("{" ENDED("state", "Completed", "0", "", "05") "}"), POD_START_WELL, START},
    {"one of two fails",
        OF("{\"state\":{\"running\":{\"startedAt\":\"2026-01-01T00:00:09Z\"}}}," WAITING("RunContainerError", CLI)),
        POD_START_FAILED, 0},
    {"no status yet", HEAD "{\"phase\":\"Pending\"}}", POD_START_UNKNOWN, 0},
    {"odd shapes",
        HEAD "{\"containerStatuses\":[1,{\"state\":[],\"lastState\":{\"terminated\":null},\"restartCount\":-4}]}}",
        POD_START_UNKNOWN, 0},
};

static void what_counts(void **state)
{
	struct resource_names names;
	struct err err;
	(void)state;
	resource_names_init(&names);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pod *pod = cluster_pod_decode(slice_of(cases[i].json), &names, false, &err);
		if (!pod)
			fail_msg("%s: %s", cases[i].name, err.text);
		if (pod->start != cases[i].how || pod->start_ns != cases[i].at_s * SECOND_NS)
			fail_msg("%s: %d at %lld", cases[i].name, (int)pod->start, (long long)pod->start_ns);
		pod_free(pod);
	}
	resource_names_free(&names);
}

static void restarts_are_added_up(void **state)
{
	struct resource_names names;
	struct err err;
	(void)state;
	resource_names_init(&names);
	struct pod *pod = cluster_pod_decode(
	    slice_of(OF(WAITING("RunContainerError", CLI) "," WAITING("X", ""))), &names, false, &err);
	assert_non_null(pod);
	assert_int_equal(pod->restarts, 4);
	pod_free(pod);
	resource_names_free(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_counts),
	    cmocka_unit_test(restarts_are_added_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
