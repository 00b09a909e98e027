#include "cluster/gang_table.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

const struct gang_word gang_word_rows[] = {
#define X(id, path, dialect, role, object)                                                                             \
	[GANG_FIELD_##id] = {path, GANG_##dialect, GANG_ROLE_##role, GANG_SCOPE_OWN, GANG_OBJECT_##object},
    GANG_FIELDS(X)
#undef X
#define X(key, dialect, role, scope, object)                                                                           \
	{key, GANG_##dialect, GANG_ROLE_##role, GANG_SCOPE_##scope, GANG_OBJECT_##object},
        GANG_KEYS(X)
#undef X
};
const size_t gang_word_count = sizeof gang_word_rows / sizeof *gang_word_rows;
static_assert(
    sizeof gang_word_rows / sizeof *gang_word_rows <= GANG_WORD_MAX, "words are numbered up to GANG_WORD_MAX");

int gang_word_of(struct slice key)
{
	static const unsigned char lengths[] = {
#define X(key, dialect, role, scope, object) sizeof(key) - 1,
	    GANG_KEYS(X)
#undef X
	};
	const unsigned char *end = lengths + sizeof lengths, *at = lengths;

	if (key.len > UCHAR_MAX)
		return -1;
	while ((at = memchr(at, (int)key.len, (size_t)(end - at)))) {
		int word = GANG_FIELD_COUNT + (int)(at - lengths);

		if (memcmp(gang_word_rows[word].text, key.at, key.len) == 0)
			return word;
		at++;
	}
	return -1;
}

const struct gang_dialect_row gang_dialect_rows[GANG_DIALECT_COUNT] = {
    [GANG_BERTH] = {"berth", NULL, true, true, true},
    [GANG_IN_TREE] = {"in-tree", NULL, true, true, true},
    [GANG_COSCHEDULING] = {"coscheduling", NULL, true, true, true},
    [GANG_VOLCANO] = {"volcano", NULL, true, true, true},
    [GANG_KAI] = {"kai", NULL, true, true, true},
    [GANG_KOORDINATOR] = {"koordinator", NULL, true, true, true},
    [GANG_KUEUE] = {"kueue", NULL, true, true, false},
    [GANG_JOBSET] = {"jobset", "Job", false, true, false},
    [GANG_LWS] = {"lws", "StatefulSet", false, true, false},
    [GANG_KUBEFLOW] = {"kubeflow", NULL, false, true, true},
    [GANG_RAY] = {"ray", "RayCluster", false, true, true},
    /* Whether an Indexed Job is a gang stands in the Job alone. */
    [GANG_INDEXED_JOB] = {"indexed-job", "Job", false, false, false},
};

const struct gang_object_row gang_object_rows[GANG_OBJECT_COUNT] = {
    [GANG_OBJECT_POD_GROUP] = {GANG_IN_TREE, "PodGroup", "podgroups",
        {"scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1alpha3", "scheduling.k8s.io/v1alpha2"}},
    [GANG_OBJECT_WORKLOAD] = {GANG_IN_TREE, "Workload", "workloads", {"scheduling.k8s.io/v1alpha1"}},
    [GANG_OBJECT_COSCHEDULING_POD_GROUP] = {GANG_COSCHEDULING, "PodGroup", "podgroups",
        {"scheduling.x-k8s.io/v1alpha1", "scheduling.sigs.k8s.io/v1alpha1"}},
    [GANG_OBJECT_VOLCANO_POD_GROUP] = {GANG_VOLCANO, "PodGroup", "podgroups", {"scheduling.volcano.sh/v1beta1"}},
    [GANG_OBJECT_KAI_POD_GROUP] = {GANG_KAI, "PodGroup", "podgroups", {"scheduling.run.ai/v2alpha2"}},
    [GANG_OBJECT_JOBSET] = {GANG_JOBSET, "JobSet", "jobsets", {"jobset.x-k8s.io/v1alpha2"}},
    [GANG_OBJECT_LWS] = {GANG_LWS, "LeaderWorkerSet", "leaderworkersets", {"leaderworkerset.x-k8s.io/v1"}},
    [GANG_OBJECT_PYTORCH_JOB] = {GANG_KUBEFLOW, "PyTorchJob", "pytorchjobs", {"kubeflow.org/v1"}},
    [GANG_OBJECT_TF_JOB] = {GANG_KUBEFLOW, "TFJob", "tfjobs", {"kubeflow.org/v1"}},
    [GANG_OBJECT_XGBOOST_JOB] = {GANG_KUBEFLOW, "XGBoostJob", "xgboostjobs", {"kubeflow.org/v1"}},
    [GANG_OBJECT_JAX_JOB] = {GANG_KUBEFLOW, "JAXJob", "jaxjobs", {"kubeflow.org/v1"}},
    [GANG_OBJECT_PADDLE_JOB] = {GANG_KUBEFLOW, "PaddleJob", "paddlejobs", {"kubeflow.org/v1"}},
    [GANG_OBJECT_MPI_JOB] = {GANG_KUBEFLOW, "MPIJob", "mpijobs", {"kubeflow.org/v2beta1", "kubeflow.org/v1"}},
    [GANG_OBJECT_RAY_CLUSTER] = {GANG_RAY, "RayCluster", "rayclusters", {"ray.io/v1"}},
    [GANG_OBJECT_JOB] = {GANG_INDEXED_JOB, "Job", "jobs", {"batch/v1"}},
};

#define TIERS(object, at)                                                                                              \
	{GANG_OBJECT_##object, at ".networkTopology.mode", GANG_VALUE_MODE},                                           \
	    {GANG_OBJECT_##object, at ".networkTopology.highestTierAllowed", GANG_VALUE_TIER},                         \
	{                                                                                                              \
		GANG_OBJECT_##object, at ".networkTopology.highestTierName", GANG_VALUE_TIER_NAME                      \
	}
#define LEVELS(object, at)                                                                                             \
	{GANG_OBJECT_##object, at ".topologyConstraint.requiredTopologyLevel", GANG_VALUE_REQUIRE},                    \
	{                                                                                                              \
		GANG_OBJECT_##object, at ".topologyConstraint.preferredTopologyLevel", GANG_VALUE_PREFER               \
	}
#define EXCLUSIVE(at)                                                                                                  \
	{GANG_OBJECT_JOBSET, at ".annotations@alpha.jobset.sigs.k8s.io/exclusive-topology", GANG_VALUE_EXCLUSIVE},     \
	{                                                                                                              \
		GANG_OBJECT_JOBSET, at ".annotations@alpha.jobset.sigs.k8s.io/node-selector", GANG_VALUE_SELECTED      \
	}
#define REPLICAS(object, specs)                                                                                        \
	{GANG_OBJECT_##object, ".spec." specs ".*.replicas", GANG_VALUE_REPLICAS},                                     \
	{                                                                                                              \
		GANG_OBJECT_##object, ".spec.runPolicy.schedulingPolicy.minAvailable", GANG_VALUE_QUORUM               \
	}

const struct gang_path gang_path_rows[] = {
    {GANG_OBJECT_NONE, ".metadata.name", GANG_VALUE_NAME},
    {GANG_OBJECT_NONE, ".metadata.namespace", GANG_VALUE_NAMESPACE},
    {GANG_OBJECT_POD_GROUP, ".spec.schedulingPolicy.gang.minCount", GANG_VALUE_QUORUM},
    {GANG_OBJECT_POD_GROUP, ".spec.schedulingPolicy.basic", GANG_VALUE_SINGLE},
    {GANG_OBJECT_POD_GROUP, ".spec.schedulingConstraints.topology#.key", GANG_VALUE_REQUIRE},
    {GANG_OBJECT_POD_GROUP, ".spec.disruptionMode", GANG_VALUE_TOGETHER},
    {GANG_OBJECT_WORKLOAD, ".spec.podGroups[].name", GANG_VALUE_NAME},
    {GANG_OBJECT_WORKLOAD, ".spec.podGroups[].policy.gang.minCount", GANG_VALUE_QUORUM},
    {GANG_OBJECT_COSCHEDULING_POD_GROUP, ".spec.minMember", GANG_VALUE_QUORUM},
    {GANG_OBJECT_VOLCANO_POD_GROUP, ".spec.minMember", GANG_VALUE_QUORUM},
    {GANG_OBJECT_VOLCANO_POD_GROUP, ".spec.minTaskMember.*", GANG_VALUE_QUORUM},
    TIERS(VOLCANO_POD_GROUP, ".spec"),
    {GANG_OBJECT_VOLCANO_POD_GROUP, ".spec.subGroupPolicy[].name", GANG_VALUE_NAME},
    {GANG_OBJECT_VOLCANO_POD_GROUP, ".spec.subGroupPolicy[].subGroupSize", GANG_VALUE_SEGMENT},
    TIERS(VOLCANO_POD_GROUP, ".spec.subGroupPolicy[]"),
    {GANG_OBJECT_KAI_POD_GROUP, ".spec.minMember", GANG_VALUE_QUORUM},
    LEVELS(KAI_POD_GROUP, ".spec"),
    {GANG_OBJECT_KAI_POD_GROUP, ".spec.subGroups[].name", GANG_VALUE_NAME},
    {GANG_OBJECT_KAI_POD_GROUP, ".spec.subGroups[].minMember", GANG_VALUE_QUORUM},
    {GANG_OBJECT_KAI_POD_GROUP, ".spec.subGroups[].parent", GANG_VALUE_PARENT},
    LEVELS(KAI_POD_GROUP, ".spec.subGroups[]"),
    EXCLUSIVE(".metadata"),
    EXCLUSIVE(".spec.replicatedJobs[].template.metadata"),
    {GANG_OBJECT_JOBSET, ".spec.replicatedJobs[].name", GANG_VALUE_NAME},
    {GANG_OBJECT_JOBSET, ".spec.replicatedJobs[].replicas", GANG_VALUE_REPLICAS},
    {GANG_OBJECT_JOBSET, ".spec.replicatedJobs[].dependsOn", GANG_VALUE_DEPENDS},
    {GANG_OBJECT_JOBSET, ".spec.replicatedJobs[].template.spec.parallelism", GANG_VALUE_PARALLELISM},
    {GANG_OBJECT_JOBSET, ".spec.replicatedJobs[].template.spec.completions", GANG_VALUE_COMPLETIONS},
    {GANG_OBJECT_JOBSET, ".spec.startupPolicy.startupPolicyOrder", GANG_VALUE_MODE},
    {GANG_OBJECT_LWS, ".spec.leaderWorkerTemplate.size", GANG_VALUE_SIZE},
    {GANG_OBJECT_LWS, ".spec.startupPolicy", GANG_VALUE_MODE},
    REPLICAS(PYTORCH_JOB, "pytorchReplicaSpecs"),
    {GANG_OBJECT_PYTORCH_JOB, ".spec.elasticPolicy.minReplicas", GANG_VALUE_MIN_REPLICAS},
    REPLICAS(TF_JOB, "tfReplicaSpecs"),
    REPLICAS(XGBOOST_JOB, "xgbReplicaSpecs"),
    REPLICAS(JAX_JOB, "jaxReplicaSpecs"),
    REPLICAS(PADDLE_JOB, "paddleReplicaSpecs"),
    {GANG_OBJECT_PADDLE_JOB, ".spec.elasticPolicy.minReplicas", GANG_VALUE_MIN_REPLICAS},
    REPLICAS(MPI_JOB, "mpiReplicaSpecs"),
    {GANG_OBJECT_RAY_CLUSTER, ".spec.enableInTreeAutoscaling", GANG_VALUE_ELASTIC},
    {GANG_OBJECT_RAY_CLUSTER, ".spec.workerGroupSpecs[].groupName", GANG_VALUE_NAME},
    {GANG_OBJECT_RAY_CLUSTER, ".spec.workerGroupSpecs[].replicas", GANG_VALUE_REPLICAS},
    {GANG_OBJECT_RAY_CLUSTER, ".spec.workerGroupSpecs[].minReplicas", GANG_VALUE_MIN_REPLICAS},
    {GANG_OBJECT_RAY_CLUSTER, ".spec.workerGroupSpecs[].maxReplicas", GANG_VALUE_MAX_REPLICAS},
    {GANG_OBJECT_RAY_CLUSTER, ".spec.workerGroupSpecs[].numOfHosts", GANG_VALUE_HOSTS},
    {GANG_OBJECT_RAY_CLUSTER, ".spec.workerGroupSpecs[].suspend", GANG_VALUE_SUSPEND},
    {GANG_OBJECT_JOB, ".spec.completionMode", GANG_VALUE_MODE},
    {GANG_OBJECT_JOB, ".spec.parallelism", GANG_VALUE_PARALLELISM},
    {GANG_OBJECT_JOB, ".spec.completions", GANG_VALUE_COMPLETIONS},
};
const size_t gang_path_count = sizeof gang_path_rows / sizeof *gang_path_rows;

enum gang_object gang_object_of_kind(enum gang_dialect dialect, const char *kind)
{
	for (int i = 0; i < GANG_OBJECT_COUNT; i++)
		if (gang_object_rows[i].kind && gang_object_rows[i].dialect == dialect &&
		    strcmp(gang_object_rows[i].kind, kind) == 0)
			return (enum gang_object)i;
	return GANG_OBJECT_NONE;
}
