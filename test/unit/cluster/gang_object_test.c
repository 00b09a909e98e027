/* What the objects say of their gangs, as their controllers' APIs write it. */
#include "cluster/gang_object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static struct gang_object_terms *decode(enum gang_object object, const char *json)
{
	struct err err;
	struct gang_object_terms *said = cluster_gang_object(object, slice_of(json), &err);

	if (!said)
		fail_msg("%s: %s", err.text, json);
	return said;
}

#define OBJECT(spec)                                                                                                   \
	"{\"apiVersion\":\"v\",\"kind\":\"K\",\"metadata\":{\"name\":\"o\",\"namespace\":\"team\",\"uid\":\"u\","      \
	"\"labels\":{\"spec\":\"x\"}},\"spec\":{" spec "},\"status\":{\"replicas\":7}}"

struct group {
	const char *name;
	int32_t size, quorum, part_size;
	bool late;
	const char *require, *prefer, *segment_at;
	int32_t segment;
	int32_t least;
};

struct expected {
	enum gang_object object;
	const char *spec;
	int32_t size, quorum;
	bool single, elastic, together;
	const char *require, *prefer;
	struct group groups[4];
};

static void same_text(const char *said, const char *expected)
{
	if (!expected)
		assert_null(said);
	else if (!said)
		fail_msg("%s is not said", expected);
	else
		assert_string_equal(said, expected);
}

static void check(const struct expected *expected, size_t count)
{
	char text[2048];

	for (size_t i = 0; i < count; i++) {
		const struct expected *want = &expected[i];
		size_t groups = 0;

		snprintf(text, sizeof text, OBJECT("%s"), want->spec);
		struct gang_object_terms *said = decode(want->object, text);

		if (said->trouble || said->terms.size != want->size || said->terms.quorum != want->quorum)
			fail_msg("size %d, quorum %d, %s: %s", said->terms.size, said->terms.quorum,
			    said->trouble ? said->trouble : "no trouble", want->spec);
		assert_int_equal(said->single, want->single);
		assert_int_equal(said->terms.elastic, want->elastic);
		assert_int_equal(said->terms.together, want->together);
		assert_string_equal(said->namespace_, "team");
		assert_string_equal(said->name, "o");
		same_text(said->terms.place.require, want->require);
		same_text(said->terms.place.prefer, want->prefer);
		while (groups < 4 && want->groups[groups].name)
			groups++;
		assert_int_equal(said->terms.group_count, groups);
		for (size_t k = 0; k < groups; k++) {
			const struct gang_group_terms *group = &said->terms.groups[k];

			assert_string_equal(group->name, want->groups[k].name);
			assert_int_equal(group->size, want->groups[k].size);
			assert_int_equal(group->quorum, want->groups[k].quorum);
			assert_int_equal(group->late, want->groups[k].late);
			assert_int_equal(group->part_size, want->groups[k].part_size);
			assert_int_equal(group->least, want->groups[k].least);
			same_text(group->place.require, want->groups[k].require);
			same_text(group->place.prefer, want->groups[k].prefer);
			same_text(group->place.segment_at, want->groups[k].segment_at);
			assert_int_equal(group->place.segment, want->groups[k].segment);
		}
		gang_object_free(said);
	}
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void pod_groups(void **state)
{
	static const struct expected cases[] = {
	    /* 1.36, v1alpha2 */
	    {.object = GANG_OBJECT_POD_GROUP,
	        .spec =
	            "\"podGroupTemplateRef\":{\"workload\":{\"workloadName\":\"w\",\"podGroupTemplateName\":\"t\"}},"
	            "\"schedulingPolicy\":{\"gang\":{\"minCount\":4}},"
	            "\"schedulingConstraints\":{\"topology\":[{\"key\":\"example.com/"
	            "rack\"}]},\"disruptionMode\":\"PodGroup\"",
	        .quorum = 4,
	        .together = true,
	        .require = "example.com/rack"},
	    {.object = GANG_OBJECT_POD_GROUP, .spec = "\"schedulingPolicy\":{\"basic\":{}}", .single = true},
	    /* 1.37, v1beta1 and v1alpha3 */
	    {.object = GANG_OBJECT_POD_GROUP,
	        .spec = "\"workloadRef\":{\"workloadName\":\"w\",\"templateName\":\"t\"},"
	                "\"parentCompositePodGroupName\":\"c\","
	                "\"schedulingPolicy\":{\"gang\":{\"minCount\":8}},\"disruptionMode\":{\"all\":{}}",
	        .quorum = 8,
	        .together = true},
	    {.object = GANG_OBJECT_POD_GROUP,
	        .spec = "\"schedulingPolicy\":{\"gang\":{\"minCount\":8}},\"disruptionMode\":{\"single\":{}}",
	        .quorum = 8},
	    {.object = GANG_OBJECT_POD_GROUP,
	        .spec = "\"schedulingPolicy\":{\"gang\":{\"minCount\":8}},\"disruptionMode\":\"Pod\"",
	        .quorum = 8},
	    {.object = GANG_OBJECT_POD_GROUP,
	        .spec = "\"schedulingPolicy\":{\"gang\":{\"minCount\":8}},\"disruptionMode\":[1,{\"all\":2}]",
	        .quorum = 8},
	    /* 1.35 */
	    {.object = GANG_OBJECT_WORKLOAD,
	        .spec = "\"podGroups\":[{\"name\":\"driver\",\"policy\":{\"basic\":{}}},"
	                "{\"name\":\"workers\",\"policy\":{\"gang\":{\"minCount\":6}}}]",
	        .groups = {{.name = "driver"}, {.name = "workers", .quorum = 6}}},
	    {.object = GANG_OBJECT_COSCHEDULING_POD_GROUP,
	        .spec = "\"minMember\":3,\"scheduleTimeoutSeconds\":10",
	        .quorum = 3},
	    {.object = GANG_OBJECT_VOLCANO_POD_GROUP,
	        .spec = "\"minMember\":5,\"minTaskMember\":{\"ps\":1,\"worker\":4},\"queue\":\"default\","
	                "\"networkTopology\":{\"mode\":\"hard\",\"highestTierAllowed\":2},"
	                "\"subGroupPolicy\":[{\"name\":\"worker\",\"subGroupSize\":2,\"matchLabelKeys\":[\"volcano.sh/"
	                "partition-id\"],"
	                "\"networkTopology\":{\"mode\":\"hard\",\"highestTierName\":\"rack\"}}]",
	        .quorum = 5,
	        .require = "tier-2",
	        .groups = {{.name = "ps", .quorum = 1},
	            {.name = "worker", .quorum = 4, .segment = 2, .segment_at = "rack"}}},
	    {.object = GANG_OBJECT_VOLCANO_POD_GROUP,
	        .spec = "\"minMember\":2,\"networkTopology\":{\"mode\":\"soft\",\"highestTierAllowed\":1}",
	        .quorum = 2,
	        .prefer = "tier-1"},
	    {.object = GANG_OBJECT_KAI_POD_GROUP,
	        .spec = "\"minMember\":9,\"queue\":\"q\",\"topologyConstraint\":{\"topology\":\"t\","
	                "\"requiredTopologyLevel\":\"zone\","
	                "\"preferredTopologyLevel\":\"rack\"},\"subGroups\":[{\"name\":\"all\",\"minSubGroup\":2,"
	                "\"topologyConstraint\":{\"requiredTopologyLevel\":\"block\"}},"
	                "{\"name\":\"lead\",\"minMember\":1,\"parent\":\"all\"},"
	                "{\"name\":\"work\",\"minMember\":8,\"parent\":\"all\",\"topologyConstraint\":{"
	                "\"requiredTopologyLevel\":\"rack\"}}]",
	        .quorum = 9,
	        .require = "zone",
	        .prefer = "rack",
	        .groups = {{.name = "lead", .quorum = 1, .require = "block"},
	            {.name = "work", .quorum = 8, .require = "rack"}}},
	    /* parents in a ring, which the API refuses: no group has pods */
	    {.object = GANG_OBJECT_KAI_POD_GROUP,
	        .spec = "\"minMember\":2,\"subGroups\":[{\"name\":\"a\",\"parent\":\"b\"},{\"name\":\"b\",\"parent\":"
	                "\"a\"}]",
	        .quorum = 2},
	};

	(void)state;
	CHECK(cases);
}

#define JOB_TEMPLATE(spec) "\"template\":{\"spec\":{" spec ",\"template\":{\"spec\":{\"parallelism\":99}}}}"

static void jobs(void **state)
{
	static const struct expected cases[] = {
	    {.object = GANG_OBJECT_JOB,
	        .spec = "\"completionMode\":\"Indexed\",\"completions\":64,\"parallelism\":64,\"backoffLimit\":0",
	        .size = 64,
	        .quorum = 64},
	    {.object = GANG_OBJECT_JOB,
	        .spec = "\"completionMode\":\"Indexed\",\"completions\":64,\"parallelism\":8",
	        .single = true},
	    {.object = GANG_OBJECT_JOB,
	        .spec = "\"completionMode\":\"Indexed\",\"completions\":1,\"parallelism\":1",
	        .single = true},
	    {.object = GANG_OBJECT_JOB,
	        .spec = "\"completionMode\":\"Indexed\",\"completions\":1000000,\"parallelism\":1000000000000",
	        .single = true},
	    {.object = GANG_OBJECT_JOB,
	        .spec = "\"completionMode\":\"NonIndexed\",\"completions\":4,\"parallelism\":4",
	        .single = true},
	    {.object = GANG_OBJECT_JOB, .spec = "\"parallelism\":4,\"completions\":null", .single = true},
	    {.object = GANG_OBJECT_JOBSET,
	        .spec = "\"replicatedJobs\":[{\"name\":\"driver\"," JOB_TEMPLATE(
	            "\"parallelism\":1,\"completions\":1") "},"
	                                                   "{\"name\":\"workers\",\"replicas\":4," JOB_TEMPLATE(
	                                                       "\"completionMode\":\"Indexed\",\"parallelism\":8,"
	                                                       "\"completions\":8") "}]",
	        .size = 33,
	        .quorum = 33,
	        .groups = {{.name = "driver", .size = 1, .quorum = 1, .part_size = 1},
	            {.name = "workers", .size = 32, .quorum = 32, .part_size = 8}}},
	    /* as a TrainJob makes it: the node's Job is made when the data are there */
	    {.object = GANG_OBJECT_JOBSET,
	        .spec = "\"replicatedJobs\":[{\"name\":\"dataset-initializer\",\"replicas\":1," JOB_TEMPLATE(
	            "\"parallelism\":1") "},"
	                                 "{\"name\":\"node\",\"dependsOn\":[{\"name\":\"dataset-initializer\","
	                                 "\"status\":\"Complete\"}]," JOB_TEMPLATE(
	                                     "\"parallelism\":4,\"completions\":4") "}]",
	        .size = 1,
	        .quorum = 1,
	        .groups = {{.name = "dataset-initializer", .size = 1, .quorum = 1, .part_size = 1},
	            {.name = "node", .size = 4, .part_size = 4, .late = true}}},
	    {.object = GANG_OBJECT_JOBSET,
	        .spec = "\"startupPolicy\":{\"startupPolicyOrder\":\"InOrder\"},\"replicatedJobs\":[{\"name\":\"a\","
	                "\"replicas\":2,\"dependsOn\":[]},"
	                "{\"name\":\"b\",\"replicas\":3}]",
	        .size = 2,
	        .quorum = 2,
	        .groups = {{.name = "a", .size = 2, .quorum = 2, .part_size = 1},
	            {.name = "b", .size = 3, .part_size = 1, .late = true}}},
	};

	(void)state;
	CHECK(cases);
}

/* With LeaderReady the workers are made when the leader runs: waiting for them would be for ever. Else the quorum is
 * the size, unless pods say that they stand apart from others. */
static void lws(void **state)
{
	static const struct expected cases[] = {
	    {.object = GANG_OBJECT_LWS,
	        .spec = "\"replicas\":3,\"leaderWorkerTemplate\":{\"size\":4},\"startupPolicy\":\"LeaderCreated\"",
	        .size = 4},
	    {.object = GANG_OBJECT_LWS,
	        .spec = "\"replicas\":3,\"leaderWorkerTemplate\":{\"size\":4},\"startupPolicy\":\"LeaderReady\"",
	        .size = 4,
	        .quorum = 1},
	    {.object = GANG_OBJECT_LWS, .spec = "\"leaderWorkerTemplate\":{}", .size = 1},
	};

	(void)state;
	CHECK(cases);
}

#define REPLICAS(specs, ...) "\"" specs "\":{" __VA_ARGS__ "}"
#define REPLICA(type, count) "\"" type "\":{\"replicas\":" #count ",\"template\":{\"spec\":{\"replicas\":9}}}"

static void kubeflow(void **state)
{
	static const struct expected cases[] = {
	    {.object = GANG_OBJECT_PYTORCH_JOB,
	        .spec = REPLICAS("pytorchReplicaSpecs", "\"Master\":{}," REPLICA("Worker", 7)),
	        .size = 8,
	        .quorum = 8,
	        .groups = {{.name = "master", .size = 1, .quorum = 1}, {.name = "worker", .size = 7, .quorum = 7}}},
	    {.object = GANG_OBJECT_PYTORCH_JOB,
	        .spec = "\"elasticPolicy\":{\"minReplicas\":2,\"maxReplicas\":8}," REPLICAS(
	            "pytorchReplicaSpecs", REPLICA("Worker", 6)),
	        .size = 6,
	        .quorum = 2,
	        .elastic = true,
	        .groups = {{.name = "worker", .size = 6, .quorum = 2, .least = 2}}},
	    /* a gang may start with fewer than its elasticity goes down to */
	    {.object = GANG_OBJECT_PYTORCH_JOB,
	        .spec = "\"elasticPolicy\":{\"minReplicas\":4},\"runPolicy\":{\"schedulingPolicy\":{\"minAvailable\":3}"
	                "}," REPLICAS("pytorchReplicaSpecs", REPLICA("Master", 1) "," REPLICA("Worker", 6)),
	        .size = 7,
	        .quorum = 3,
	        .elastic = true,
	        .groups = {{.name = "master", .size = 1, .least = 1}, {.name = "worker", .size = 6, .least = 4}}},
	    {.object = GANG_OBJECT_TF_JOB,
	        .spec = "\"runPolicy\":{\"schedulingPolicy\":{\"minAvailable\":3}}," REPLICAS(
	            "tfReplicaSpecs", REPLICA("Chief", 1) "," REPLICA("PS", 2) "," REPLICA("Worker", 4)),
	        .size = 7,
	        .quorum = 3,
	        .groups = {{.name = "chief", .size = 1}, {.name = "ps", .size = 2}, {.name = "worker", .size = 4}}},
	    {.object = GANG_OBJECT_XGBOOST_JOB,
	        .spec = REPLICAS("xgbReplicaSpecs", REPLICA("Worker", 2)),
	        .size = 2,
	        .quorum = 2,
	        .groups = {{.name = "worker", .size = 2, .quorum = 2}}},
	    {.object = GANG_OBJECT_JAX_JOB,
	        .spec = REPLICAS("jaxReplicaSpecs", REPLICA("Worker", 2)),
	        .size = 2,
	        .quorum = 2,
	        .groups = {{.name = "worker", .size = 2, .quorum = 2}}},
	    {.object = GANG_OBJECT_PADDLE_JOB,
	        .spec = REPLICAS("paddleReplicaSpecs", REPLICA("Worker", 2)),
	        .size = 2,
	        .quorum = 2,
	        .groups = {{.name = "worker", .size = 2, .quorum = 2}}},
	    /* the launcher is made when the workers run, and the operator's own minimum counts it */
	    {.object = GANG_OBJECT_MPI_JOB,
	        .spec = "\"runPolicy\":{\"schedulingPolicy\":{\"minAvailable\":17}}," REPLICAS(
	            "mpiReplicaSpecs", REPLICA("Launcher", 1) "," REPLICA("Worker", 16)),
	        .size = 16,
	        .quorum = 16,
	        .groups = {{.name = "worker", .size = 16}}},
	    {.object = GANG_OBJECT_MPI_JOB,
	        .spec = REPLICAS("mpiReplicaSpecs", REPLICA("Launcher", 1) "," REPLICA("Worker", 2)),
	        .size = 2,
	        .quorum = 2,
	        .groups = {{.name = "worker", .size = 2, .quorum = 2}}},
	};

	(void)state;
	CHECK(cases);
}

/* The quorum honours every group's minimum, not only the first one's. */
static void ray(void **state)
{
	static const struct expected cases[] = {
	    {.object = GANG_OBJECT_RAY_CLUSTER,
	        .spec = "\"enableInTreeAutoscaling\":true,\"headGroupSpec\":{\"template\":{}},\"workerGroupSpecs\":["
	                "{\"groupName\":\"cpu\",\"replicas\":5,\"minReplicas\":2,\"maxReplicas\":9},"
	                "{\"groupName\":\"gpu\",\"replicas\":3,\"minReplicas\":1,\"numOfHosts\":4},"
	                "{\"groupName\":\"spot\",\"replicas\":1,\"minReplicas\":0}]",
	        .size = 1 + 5 + 12 + 1,
	        .quorum = 1 + 2 + 4,
	        .elastic = true,
	        .groups = {{.name = "headgroup", .size = 1, .quorum = 1},
	            {.name = "cpu", .size = 5, .quorum = 2, .part_size = 1},
	            {.name = "gpu", .size = 12, .quorum = 4, .part_size = 4},
	            {.name = "spot", .size = 1, .part_size = 1}}},
	    {.object = GANG_OBJECT_RAY_CLUSTER,
	        .spec = "\"workerGroupSpecs\":[{\"groupName\":\"a\",\"replicas\":3,\"minReplicas\":0},"
	                "{\"groupName\":\"b\",\"replicas\":1,\"minReplicas\":2},{\"groupName\":\"c\",\"replicas\":4,"
	                "\"suspend\":true}]",
	        .size = 6,
	        .quorum = 6,
	        .groups = {{.name = "headgroup", .size = 1, .quorum = 1},
	            {.name = "a", .size = 3, .quorum = 3, .part_size = 1},
	            {.name = "b", .size = 2, .quorum = 2, .part_size = 1}, {.name = "c", .part_size = 1}}},
	};

	(void)state;
	CHECK(cases);
}

static void what_cannot_be_told(void **state)
{
	static const struct {
		enum gang_object object;
		const char *spec;
	} cases[] = {
	    {GANG_OBJECT_COSCHEDULING_POD_GROUP, "\"minMember\":\"3\""},
	    {GANG_OBJECT_COSCHEDULING_POD_GROUP, "\"minMember\":-1"},
	    {GANG_OBJECT_COSCHEDULING_POD_GROUP, "\"minMember\":16385"},
	    {GANG_OBJECT_JOB, "\"completionMode\":\"Indexed\",\"completions\":20000,\"parallelism\":20000"},
	    {GANG_OBJECT_JOBSET, "\"replicatedJobs\":[{\"name\":\"a\",\"replicas\":2000000000,\"template\":{\"spec\":{"
	                         "\"parallelism\":2000000000}}}]"},
	    {GANG_OBJECT_JOBSET, "\"replicatedJobs\":[{\"replicas\":16000},{\"replicas\":16000}]"},
	    {GANG_OBJECT_RAY_CLUSTER, "\"workerGroupSpecs\":[{\"replicas\":1.5}]"},
	};
	char text[4096] = "", groups[2048] = "";
	struct gang_object_terms *said;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, OBJECT("%s"), cases[i].spec);
		said = decode(cases[i].object, text);
		if (!said->trouble)
			fail_msg("no trouble: %s", cases[i].spec);
		assert_string_equal(said->name, "o");
		gang_object_free(said);
	}
	for (int i = 0; i <= GANG_GROUPS_MAX; i++)
		snprintf(
		    groups + strlen(groups), sizeof groups - strlen(groups), "%s{\"name\":\"g%d\"}", i ? "," : "", i);
	snprintf(text, sizeof text, OBJECT("\"minMember\":1,\"subGroups\":[%s]"), groups);
	said = decode(GANG_OBJECT_KAI_POD_GROUP, text);
	assert_string_equal(said->trouble, "too many sub-groups");
	gang_object_free(said);
}

/* A key that looks like a path is a key. */
static void keys_are_no_paths(void **state)
{
	static const struct expected cases[] = {
	    {.object = GANG_OBJECT_POD_GROUP,
	        .spec = "\"schedulingPolicy.gang.minCount\":5,\"schedulingPolicy\":{\"gang.minCount\":6,\"gan\":{"
	                "\"minCount\":7}}"},
	    {.object = GANG_OBJECT_VOLCANO_POD_GROUP,
	        .spec = "\"minTaskMember\":{\"a.b\":2},\"minTask\":{\"Member\":1}",
	        .groups = {{.name = "a.b", .quorum = 2}}},
	};

	(void)state;
	CHECK(cases);
}

static void no_objects(void **state)
{
	static const char *const texts[] = {"", "[]", "{}", "{\"metadata\":{}}",
	    "{\"metadata\":{\"name\":\"a\\u0000b\"}}", "{\"metadata\":{\"name\":\"a\"}",
	    "{\"metadata\":{\"name\":\"a\"}} x"};
	struct err err;

	(void)state;
	for (int object = GANG_OBJECT_NONE + 1; object < GANG_OBJECT_COUNT; object++)
		for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
			assert_null(cluster_gang_object((enum gang_object)object, slice_of(texts[i]), &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pod_groups),
	    cmocka_unit_test(jobs),
	    cmocka_unit_test(lws),
	    cmocka_unit_test(kubeflow),
	    cmocka_unit_test(ray),
	    cmocka_unit_test(what_cannot_be_told),
	    cmocka_unit_test(keys_are_no_paths),
	    cmocka_unit_test(no_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
