/* What pods say of their gangs: each dialect by a manifest as its controllers or users write it, without what plays no
 * part here. */
#include "cluster/gang.h"

#include "world.h"

#define POD(name, metadata, spec)                                                                                      \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"team\",\"uid\":\"u\"" metadata                           \
	"},\"spec\":{\"schedulerName\":\"berth\"" spec "}}"
#define OWNER(kind, name)                                                                                              \
	",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"" kind "\",\"name\":\"" name                          \
	"\",\"uid\":\"o\",\"controller\":true,\"blockOwnerDeletion\":true}]"
#define LABELS(...) ",\"labels\":{" __VA_ARGS__ "}"
#define ANNOTATIONS(...) ",\"annotations\":{" __VA_ARGS__ "}"

struct expected {
	const char *json;
	enum gang_dialect dialect;
	const char *name, *group;
	int32_t rank, part, size, quorum;
	enum gang_object source;
	const char *source_name; /* NULL: the gang's own name */
};

static void same_text(const char *said, const char *expected)
{
	if (expected)
		assert_string_equal(said, expected);
	else
		assert_null(said);
}

static void check(const struct expected *expected, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct expected *want = &expected[i];
		struct pod *pod = decode_pod(want->json, false);
		const struct pod_gang *gang = pod->gang;

		if (!gang)
			fail_msg("no gang: %s", want->json);
		assert_int_equal(gang->dialect, want->dialect);
		assert_string_equal(gang->name, want->name);
		same_text(gang->group, want->group);
		assert_int_equal(gang->rank, want->rank);
		assert_int_equal(gang->part, want->part);
		assert_int_equal(gang->terms.size, want->size);
		assert_int_equal(gang->terms.quorum, want->quorum);
		assert_int_equal(gang->source, want->source);
		assert_string_equal(gang->source_name, want->source_name ? want->source_name : want->name);
		assert_int_equal(pod->trouble, REASON_CODE_FITS);
		assert_true(pod_in_gang(pod));
		pod_free(pod);
	}
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void explicit_references(void **state)
{
	static const struct expected cases[] = {
	    {.json = POD("t-7",
	         ANNOTATIONS("\"berth.dev/gang\":\"train\",\"berth.dev/gang-size\":\"16\",\"berth.dev/rank\":\"3\""),
	         ""),
	        .dialect = GANG_BERTH,
	        .name = "train",
	        .rank = 3,
	        .part = -1,
	        .size = 16},
	    {.json = POD("t-7", LABELS("\"berth.dev/gang\":\"train\",\"berth.dev/gang-size\":\"16\""), ""),
	        .dialect = GANG_BERTH,
	        .name = "train",
	        .rank = 7,
	        .part = -1,
	        .size = 16},
	    {.json = POD("t",
	         LABELS("\"berth.dev/gang\":\"label\",\"berth.dev/gang-size\":\"2\"")
	             ANNOTATIONS("\"berth.dev/gang\":\"annotation\""),
	         ""),
	        .dialect = GANG_BERTH,
	        .name = "annotation",
	        .rank = -1,
	        .part = -1,
	        .size = 2},
	    {.json = POD("w-0", "", ",\"schedulingGroup\":{\"podGroupName\":\"pg-1\"}"),
	        .dialect = GANG_IN_TREE,
	        .name = "pg-1",
	        .rank = 0,
	        .part = -1,
	        .source = GANG_OBJECT_POD_GROUP},
	    {.json = POD(
	         "w-x", "", ",\"workloadRef\":{\"name\":\"wl\",\"podGroup\":\"workers\",\"podGroupReplicaKey\":\"2\"}"),
	        .dialect = GANG_IN_TREE,
	        .name = "wl/workers/2",
	        .group = "workers",
	        .rank = -1,
	        .part = -1,
	        .source = GANG_OBJECT_WORKLOAD,
	        .source_name = "wl"},
	    {.json = POD("w-x", "", ",\"workloadRef\":{\"name\":\"wl\",\"podGroup\":\"workers\"}"),
	        .dialect = GANG_IN_TREE,
	        .name = "wl/workers",
	        .group = "workers",
	        .rank = -1,
	        .part = -1,
	        .source = GANG_OBJECT_WORKLOAD,
	        .source_name = "wl"},
	    {.json = POD(
	         "nginx-abcde", LABELS("\"scheduling.x-k8s.io/pod-group\":\"nginx\"") OWNER("ReplicaSet", "nginx"), ""),
	        .dialect = GANG_COSCHEDULING,
	        .name = "nginx",
	        .rank = -1,
	        .part = -1,
	        .source = GANG_OBJECT_COSCHEDULING_POD_GROUP},
	    {.json = POD("nginx-0",
	         LABELS("\"pod-group.scheduling.sigs.k8s.io/name\":\"nginx\","
	                "\"pod-group.scheduling.sigs.k8s.io/min-available\":\"3\""),
	         ""),
	        .dialect = GANG_COSCHEDULING,
	        .name = "nginx",
	        .rank = 0,
	        .part = -1,
	        .quorum = 3,
	        .source = GANG_OBJECT_COSCHEDULING_POD_GROUP},
	    {.json = POD("job-worker-4",
	         ANNOTATIONS("\"scheduling.k8s.io/group-name\":\"job-0b5\",\"volcano.sh/task-spec\":\"worker\","
	                     "\"volcano.sh/task-index\":\"4\"") OWNER("Job", "job"),
	         ""),
	        .dialect = GANG_VOLCANO,
	        .name = "job-0b5",
	        .group = "worker",
	        .rank = 4,
	        .part = -1,
	        .source = GANG_OBJECT_VOLCANO_POD_GROUP},
	    {.json = POD("s-1",
	         ANNOTATIONS(
	             "\"scheduling.volcano.sh/group-name\":\"g\",\"scheduling.volcano.sh/group-min-member\":\"4\""),
	         ""),
	        .dialect = GANG_VOLCANO,
	        .name = "g",
	        .rank = 1,
	        .part = -1,
	        .quorum = 4,
	        .source = GANG_OBJECT_VOLCANO_POD_GROUP},
	    {.json = POD("p-lead-x",
	         ANNOTATIONS("\"pod-group-name\":\"pg-train-3f\"")
	             LABELS("\"kai.scheduler/queue\":\"q\",\"kai.scheduler/subgroup-name\":\"lead\""),
	         ""),
	        .dialect = GANG_KAI,
	        .name = "pg-train-3f",
	        .group = "lead",
	        .rank = -1,
	        .part = -1,
	        .source = GANG_OBJECT_KAI_POD_GROUP},
	    {.json = POD("e-1",
	         ANNOTATIONS("\"gang.scheduling.koordinator.sh/name\":\"gang-example\","
	                     "\"gang.scheduling.koordinator.sh/min-available\":\"2\","
	                     "\"gang.scheduling.koordinator.sh/total-number\":\"3\","
	                     "\"gang.scheduling.koordinator.sh/network-topology-index\":\"2\""),
	         ""),
	        .dialect = GANG_KOORDINATOR,
	        .name = "gang-example",
	        .rank = 2,
	        .part = -1,
	        .size = 3,
	        .quorum = 2},
	    {.json = POD("k-a",
	         LABELS("\"kueue.x-k8s.io/queue-name\":\"q\",\"kueue.x-k8s.io/pod-group-name\":\"sample\","
	                "\"kueue.x-k8s.io/pod-group-pod-index\":\"1\"")
	             ANNOTATIONS("\"kueue.x-k8s.io/pod-group-total-count\":\"2\""),
	         ""),
	        .dialect = GANG_KUEUE,
	        .name = "sample",
	        .rank = 1,
	        .part = -1,
	        .size = 2},
	    {.json = POD("k-a",
	         LABELS("\"kueue.x-k8s.io/pod-group-name\":\"sample\",\"example.com/index\":\"5\"")
	             ANNOTATIONS("\"kueue.x-k8s.io/pod-group-total-count\":\"8\","
	                         "\"kueue.x-k8s.io/pod-group-pod-index-label\":\"example.com/index\""),
	         ""),
	        .dialect = GANG_KUEUE,
	        .name = "sample",
	        .rank = 5,
	        .part = -1,
	        .size = 8},
	};

	(void)state;
	CHECK(cases);
}

#define JOBSET_POD(owner)                                                                                              \
	POD("train-workers-1-0-x7k2p",                                                                                 \
	    LABELS(                                                                                                    \
	        "\"jobset.sigs.k8s.io/jobset-name\":\"train\",\"jobset.sigs.k8s.io/replicatedjob-name\":\"workers\","  \
	        "\"jobset.sigs.k8s.io/job-index\":\"1\",\"batch.kubernetes.io/job-name\":\"train-workers-1\","         \
	        "\"batch.kubernetes.io/job-completion-index\":\"3\"") owner,                                           \
	    "")
#define LWS_POD(more)                                                                                                  \
	POD("vllm-0-2",                                                                                                \
	    LABELS("\"leaderworkerset.sigs.k8s.io/name\":\"vllm\",\"leaderworkerset.sigs.k8s.io/group-index\":\"0\","  \
	           "\"leaderworkerset.sigs.k8s.io/group-key\":\"6a1f\",\"leaderworkerset.sigs.k8s.io/"                 \
	           "worker-index\":\"2\","                                                                             \
	           "\"apps.kubernetes.io/pod-index\":\"2\"")                                                           \
	        ANNOTATIONS("\"leaderworkerset.sigs.k8s.io/size\":\"4\"" more) OWNER("StatefulSet", "vllm-0"),         \
	    "")
#define KUBEFLOW_POD(type, role, owner)                                                                                \
	POD("ddp-" type "-1",                                                                                          \
	    LABELS("\"training.kubeflow.org/job-name\":\"ddp\",\"training.kubeflow.org/operator-name\":\"operator\","  \
	           "\"training.kubeflow.org/replica-type\":\"" type                                                    \
	           "\",\"training.kubeflow.org/replica-index\":\"1\"" role) owner,                                     \
	    "")

static void frameworks(void **state)
{
	static const struct expected cases[] = {
	    {.json = JOBSET_POD(OWNER("Job", "train-workers-1")),
	        .dialect = GANG_JOBSET,
	        .name = "train",
	        .group = "workers",
	        .rank = 3,
	        .part = 1,
	        .source = GANG_OBJECT_JOBSET},
	    {.json = JOBSET_POD(""),
	        .dialect = GANG_JOBSET,
	        .name = "train",
	        .group = "workers",
	        .rank = 3,
	        .part = 1,
	        .source = GANG_OBJECT_JOBSET},
	    {.json = JOBSET_POD(OWNER("JobSet", "train")),
	        .dialect = GANG_JOBSET,
	        .name = "train",
	        .group = "workers",
	        .rank = 3,
	        .part = 1,
	        .source = GANG_OBJECT_JOBSET},
	    {.json = LWS_POD(""),
	        .dialect = GANG_LWS,
	        .name = "vllm/0",
	        .rank = 2,
	        .part = -1,
	        .size = 4,
	        .source = GANG_OBJECT_LWS,
	        .source_name = "vllm"},
	    {.json = KUBEFLOW_POD("worker", "", OWNER("PyTorchJob", "ddp")),
	        .dialect = GANG_KUBEFLOW,
	        .name = "ddp",
	        .group = "worker",
	        .rank = 1,
	        .part = -1,
	        .source = GANG_OBJECT_PYTORCH_JOB},
	    {.json = KUBEFLOW_POD("ps", "", OWNER("TFJob", "ddp")),
	        .dialect = GANG_KUBEFLOW,
	        .name = "ddp",
	        .group = "ps",
	        .rank = 1,
	        .part = -1,
	        .source = GANG_OBJECT_TF_JOB},
	    {.json = KUBEFLOW_POD("worker", ",\"training.kubeflow.org/job-role\":\"worker\"", OWNER("MPIJob", "ddp")),
	        .dialect = GANG_KUBEFLOW,
	        .name = "ddp",
	        .group = "worker",
	        .rank = 1,
	        .part = -1,
	        .source = GANG_OBJECT_MPI_JOB},
	    {.json = KUBEFLOW_POD("worker", "", ""),
	        .dialect = GANG_KUBEFLOW,
	        .name = "ddp",
	        .group = "worker",
	        .rank = 1,
	        .part = -1,
	        .source = GANG_OBJECT_NONE},
	    {.json = POD("ray-head-x",
	         LABELS("\"ray.io/cluster\":\"ray-a\",\"ray.io/node-type\":\"head\",\"ray.io/group\":\"headgroup\"")
	             OWNER("RayCluster", "ray-a"),
	         ""),
	        .dialect = GANG_RAY,
	        .name = "ray-a",
	        .group = "headgroup",
	        .rank = -1,
	        .part = -1,
	        .source = GANG_OBJECT_RAY_CLUSTER},
	    {.json = POD("ray-w-x",
	         LABELS("\"ray.io/cluster\":\"ray-a\",\"ray.io/node-type\":\"worker\",\"ray.io/group\":\"gpu\","
	                "\"ray.io/worker-group-replica-index\":\"2\",\"ray.io/replica-host-index\":\"1\"")
	             OWNER("RayCluster", "ray-a"),
	         ""),
	        .dialect = GANG_RAY,
	        .name = "ray-a",
	        .group = "gpu",
	        .rank = 1,
	        .part = 2,
	        .source = GANG_OBJECT_RAY_CLUSTER},
	    {.json = POD("ray-w-x",
	         LABELS("\"ray.io/cluster\":\"ray-a\",\"ray.io/group\":\"gpu\","
	                "\"ray.io/worker-group-replica-index\":\"2\"") OWNER("RayCluster", "ray-a"),
	         ""),
	        .dialect = GANG_RAY,
	        .name = "ray-a",
	        .group = "gpu",
	        .rank = 2,
	        .part = -1,
	        .source = GANG_OBJECT_RAY_CLUSTER},
	    {.json = POD("idx-5-9mz2c",
	         LABELS("\"batch.kubernetes.io/job-name\":\"idx\",\"job-name\":\"idx\","
	                "\"batch.kubernetes.io/job-completion-index\":\"5\"")
	             ANNOTATIONS("\"batch.kubernetes.io/job-completion-index\":\"5\"") OWNER("Job", "idx"),
	         ""),
	        .dialect = GANG_INDEXED_JOB,
	        .name = "idx",
	        .rank = 5,
	        .part = -1,
	        .source = GANG_OBJECT_JOB},
	};

	(void)state;
	CHECK(cases);
}

/* Members that wait for one of them to run must not be waited for. */
static void lws_leader_that_must_stand_first(void **state)
{
	static const struct expected cases[] = {
	    {.json = LWS_POD(",\"leaderworkerset.sigs.k8s.io/exclusive-topology\":\"example.com/rack\""),
	        .dialect = GANG_LWS,
	        .name = "vllm/0",
	        .rank = 2,
	        .part = -1,
	        .size = 4,
	        .quorum = 1,
	        .source = GANG_OBJECT_LWS,
	        .source_name = "vllm"},
	};

	(void)state;
	CHECK(cases);
}

static void no_gangs(void **state)
{
	static const char *const cases[] = {
	    POD("p", LABELS("\"app\":\"web\",\"gang\":\"g\",\"spec.schedulingGroup.podGroupName\":\"g\""), ""),
	    /* created one after another, each when the one before is ready */
	    POD("db-1",
	        LABELS("\"apps.kubernetes.io/pod-index\":\"1\",\"statefulset.kubernetes.io/pod-name\":\"db-1\"")
	            OWNER("StatefulSet", "db"),
	        ""),
	    POD("job-x7k2p",
	        LABELS("\"batch.kubernetes.io/job-name\":\"job\",\"job-name\":\"job\"") OWNER("Job", "job"), ""),
	    POD("p", ANNOTATIONS("\"berth.dev/gang-size\":\"4\",\"berth.dev/rank\":\"1\",\"berth.dev/gang\":\"\""), ""),
	    POD("p", "", ",\"schedulingGroup\":{},\"workloadRef\":null"),
	    /* labels of a template that somebody copied */
	    JOBSET_POD(OWNER("ReplicaSet", "web")),
	    KUBEFLOW_POD("worker", "", OWNER("ReplicaSet", "web")),
	    POD("r",
	        LABELS("\"ray.io/cluster\":\"ray-a\",\"ray.io/node-type\":\"redis-cleanup\"") OWNER("Job", "cleanup"),
	        ""),
	    /* made when the workers run */
	    KUBEFLOW_POD("launcher", ",\"training.kubeflow.org/job-role\":\"launcher\"", OWNER("Job", "ddp-launcher")),
	};
	static const char *const singles[] = {
	    KUBEFLOW_POD("launcher", ",\"training.kubeflow.org/job-role\":\"launcher\"", OWNER("MPIJob", "ddp")),
	    KUBEFLOW_POD("launcher", "", OWNER("MPIJob", "ddp")),
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pod *pod = decode_pod(cases[i], false);

		if (pod->gang)
			fail_msg("a gang of %s: %s", gang_dialect_rows[pod->gang->dialect].name, cases[i]);
		assert_false(pod_in_gang(pod));
		pod_free(pod);
	}
	for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) {
		struct pod *pod = decode_pod(singles[i], false);

		assert_null(pod->gang);
		assert_true(pod_in_gang(pod));
		pod_free(pod);
	}
}

static void opt_out(void **state)
{
	struct pod *pod = decode_pod(
	    POD("p", ANNOTATIONS("\"berth.dev/no-gang\":\"true\",\"berth.dev/gang\":\"g\"") OWNER("JobSet", "j"), ""),
	    false);

	(void)state;
	assert_true(pod->no_gang && !pod->gang && !pod_in_gang(pod));
	pod_free(pod);
	pod = decode_pod(POD("p", LABELS("\"berth.dev/no-gang\":\"\",\"berth.dev/gang\":\"g\""), ""), false);
	assert_true(pod->no_gang && !pod->gang);
	pod_free(pod);
	pod = decode_pod(POD("p", LABELS("\"berth.dev/no-gang\":\"false\",\"berth.dev/gang\":\"g\""), ""), false);
	assert_true(!pod->no_gang && pod->gang);
	pod_free(pod);
}

/* A pod may say several things; the first in the table's order counts. */
static void precedence(void **state)
{
	static const struct {
		const char *label;
		enum gang_dialect dialect;
	} order[] = {
	    {"\"berth.dev/gang\":\"g\"", GANG_BERTH},
	    {"\"scheduling.x-k8s.io/pod-group\":\"g\"", GANG_COSCHEDULING},
	    {"\"scheduling.k8s.io/group-name\":\"g\"", GANG_VOLCANO},
	    {"\"pod-group-name\":\"g\"", GANG_KAI},
	    {"\"gang.scheduling.koordinator.sh/name\":\"g\"", GANG_KOORDINATOR},
	    {"\"kueue.x-k8s.io/pod-group-name\":\"g\"", GANG_KUEUE},
	    {"\"jobset.sigs.k8s.io/jobset-name\":\"g\"", GANG_JOBSET},
	    {"\"batch.kubernetes.io/job-name\":\"g\",\"batch.kubernetes.io/job-completion-index\":\"0\"",
	        GANG_INDEXED_JOB},
	};
	char text[1024], labels[768];

	(void)state;
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		size_t len = 0;

		for (size_t k = sizeof order / sizeof *order; k-- > i;)
			len +=
			    (size_t)snprintf(labels + len, sizeof labels - len, "%s%s", len ? "," : "", order[k].label);
		snprintf(text, sizeof text, POD("p", ",\"labels\":{%s}" OWNER("Job", "j"), ""), labels);
		struct pod *pod = decode_pod(text, false);

		assert_int_equal(pod->gang->dialect, order[i].dialect);
		pod_free(pod);
	}
}

static void ranks_of_other_dialects_and_names(void **state)
{
	static const struct {
		const char *name, *labels;
		int32_t rank;
	} cases[] = {
	    {"p-3", "", 3},
	    {"p-3", ",\"batch.kubernetes.io/job-completion-index\":\"1\"", 1},
	    {"p-3", ",\"training.kubeflow.org/replica-index\":\"2\",\"berth.dev/rank\":\"4\"", 4},
	    {"p-3", ",\"apps.kubernetes.io/pod-index\":\"6\"", 6},
	    {"p-03", "", -1},
	    {"p-x3", "", -1},
	    {"p-", "", -1},
	    {"p-99999", "", -1}, /* drawn by lot */
	    {"p3", "", -1},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, POD("%s", ",\"labels\":{\"berth.dev/gang\":\"g\"%s}", ""), cases[i].name,
		    cases[i].labels);
		struct pod *pod = decode_pod(text, false);

		assert_int_equal(pod->gang->rank, cases[i].rank);
		pod_free(pod);
	}
}

static void places(void **state)
{
	struct pod *pod = decode_pod(POD("p-1",
	                                 LABELS("\"kueue.x-k8s.io/pod-group-name\":\"g\"") ANNOTATIONS(
	                                     "\"kueue.x-k8s.io/podset-required-topology\":\"example.com/block\","
	                                     "\"kueue.x-k8s.io/podset-slice-size\":\"8\","
	                                     "\"kueue.x-k8s.io/podset-slice-required-topology\":\"example.com/rack\""),
	                                 ""),
	    false);

	(void)state;
	assert_string_equal(pod->gang->terms.place.require, "example.com/block");
	assert_null(pod->gang->terms.place.prefer);
	assert_string_equal(pod->gang->terms.place.segment_at, "example.com/rack");
	assert_int_equal(pod->gang->terms.place.segment, 8);
	assert_int_equal(pod->gang->terms.group_count, 0);
	pod_free(pod);
	/* Kueue's words are a pod set's, which is a sub-group here; KAI's are the whole workload's. */
	pod = decode_pod(
	    POD("p",
	        LABELS("\"jobset.sigs.k8s.io/jobset-name\":\"j\",\"jobset.sigs.k8s.io/replicatedjob-name\":\"w\"")
	            ANNOTATIONS("\"kueue.x-k8s.io/podset-preferred-topology\":\"example.com/rack\","
	                        "\"kai.scheduler/topology-required-placement\":\"example.com/zone\","
	                        "\"kai.scheduler/segment-size\":\"4\","
	                        "\"kai.scheduler/segment-topology-required-placement\":\"example.com/rack\""),
	        ""),
	    false);
	assert_string_equal(pod->gang->terms.place.require, "example.com/zone");
	assert_int_equal(pod->gang->terms.place.segment, 4);
	assert_int_equal(pod->gang->terms.group_count, 1);
	assert_string_equal(pod->gang->terms.groups[0].name, "w");
	assert_string_equal(pod->gang->terms.groups[0].place.prefer, "example.com/rack");
	assert_null(pod->gang->terms.groups[0].place.require);
	pod_free(pod);
	/* A segment without a place to stand in says nothing. */
	pod = decode_pod(
	    POD("p", ANNOTATIONS("\"pod-group-name\":\"g\",\"kai.scheduler/segment-size\":\"4\""), ""), false);
	assert_int_equal(pod->gang->terms.place.segment, 0);
	pod_free(pod);
}

static void values_that_cannot_be_read(void **state)
{
	static const char *const cases[] = {
	    "\"berth.dev/gang-size\":\"x\"",
	    "\"berth.dev/gang-size\":\"0\"",
	    "\"berth.dev/gang-size\":\"-3\"",
	    "\"berth.dev/gang-size\":\"16385\"",
	    "\"berth.dev/gang-size\":\"99999999999999999999\"",
	    "\"berth.dev/rank\":\"first\"",
	    "\"kai.scheduler/segment-size\":\"0\",\"kai.scheduler/segment-topology-required-placement\":\"r\"",
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, POD("p", ",\"annotations\":{\"berth.dev/gang\":\"g\",%s}", ""), cases[i]);
		struct pod *pod = decode_pod(text, false);

		if (pod->trouble != REASON_CODE_BAD_ANNOTATION)
			fail_msg("no trouble: %s", text);
		assert_string_equal(pod->gang->name, "g");
		assert_int_equal(pod->gang->terms.size, 0);
		pod_free(pod);
	}
}

static void who_leads(void **state)
{
	static const struct {
		const char *labels;
		bool leads;
	} cases[] = {
	    {"\"training.kubeflow.org/job-name\":\"j\",\"training.kubeflow.org/replica-type\":\"master\"", true},
	    {"\"training.kubeflow.org/job-name\":\"j\",\"training.kubeflow.org/replica-type\":\"worker\"", false},
	    {"\"training.kubeflow.org/job-name\":\"j\",\"training.kubeflow.org/replica-type\":\"worker\","
	     "\"training.kubeflow.org/job-role\":\"master\"",
	        true},
	    {"\"training.kubeflow.org/job-name\":\"j\",\"training.kubeflow.org/replica-type\":\"ps\"", true},
	    {"\"ray.io/cluster\":\"c\",\"ray.io/group\":\"headgroup\"", true},
	    {"\"ray.io/cluster\":\"c\",\"ray.io/group\":\"small\"", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char json[1024];

		snprintf(json, sizeof json, POD("p-1", LABELS("%s"), ""), cases[i].labels);
		struct pod *pod = decode_pod(json, false);
		assert_int_equal(pod->gang->leads, cases[i].leads);

		pod_free(pod);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_leads),
	    cmocka_unit_test(explicit_references),
	    cmocka_unit_test(frameworks),
	    cmocka_unit_test(lws_leader_that_must_stand_first),
	    cmocka_unit_test(no_gangs),
	    cmocka_unit_test(opt_out),
	    cmocka_unit_test(precedence),
	    cmocka_unit_test(ranks_of_other_dialects_and_names),
	    cmocka_unit_test(places),
	    cmocka_unit_test(values_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
