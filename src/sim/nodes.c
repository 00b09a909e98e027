#include "sim/nodes.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"

static void label(json_t *labels, const char *key, const char *value)
{
	json_object_set_new(labels, key, json_string(value));
}

static void label_int(json_t *labels, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	label(labels, key, text);
}

static void label_mig(json_t *labels, const struct sim_node_kind *kind)
{
	char key[96];

	label(labels, "nvidia.com/mig.strategy", "mixed");
	snprintf(key, sizeof key, "nvidia.com/mig-%s.count", kind->mig_profile);
	label_int(labels, key, kind->mig_count);
	snprintf(key, sizeof key, "nvidia.com/mig-%s.memory", kind->mig_profile);
	label_int(labels, key, kind->mig_memory_mib);
	snprintf(key, sizeof key, "nvidia.com/mig-%s.replicas", kind->mig_profile);
	label_int(labels, key, 1);
	snprintf(key, sizeof key, "nvidia.com/mig-%s.product", kind->mig_profile);
	json_object_set_new(labels, key, json_sprintf("%s-MIG-%s", kind->product, kind->mig_profile));
}

static json_t *labels_of(const struct sim_node_kind *kind, const char *name, const char *block, const char *rack)
{
	static const char *const fixed[][2] = {
	    {"beta.kubernetes.io/arch", "amd64"},
	    {"beta.kubernetes.io/os", "linux"},
	    {"kubernetes.io/arch", "amd64"},
	    {"kubernetes.io/os", "linux"},
	    {"feature.node.kubernetes.io/pci-10de.present", "true"},
	    {"nvidia.com/cuda.driver-version.full", "570.86.15"},
	    {"nvidia.com/cuda.driver-version.major", "570"},
	    {"nvidia.com/cuda.runtime-version.full", "12.8"},
	    {"nvidia.com/gpu-driver-upgrade-state", "upgrade-done"},
	    {"nvidia.com/gpu.deploy.dcgm-exporter", "true"},
	    {"nvidia.com/gpu.deploy.device-plugin", "true"},
	    {"nvidia.com/gpu.deploy.driver", "true"},
	    {"nvidia.com/gpu.deploy.gpu-feature-discovery", "true"},
	    {"nvidia.com/gpu.mode", "compute"},
	    {"nvidia.com/gpu.present", "true"},
	    {"nvidia.com/gpu.replicas", "1"},
	    {"nvidia.com/gpu.sharing-strategy", "none"},
	    {"nvidia.com/mps.capable", "false"},
	    {"nvidia.com/vgpu.present", "false"},
	    {"topology.kubernetes.io/region", "sim-1"},
	};
	json_t *labels = json_object();

	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		label(labels, fixed[i][0], fixed[i][1]);
	label(labels, "kubernetes.io/hostname", name);
	label(labels, "fabric.topograph.run/tier-0", rack);
	label(labels, "fabric.topograph.run/tier-1", block);
	label(labels, "node.kubernetes.io/instance-type", kind->machine);
	label(labels, "nvidia.com/gpu.machine", kind->machine);
	label(labels, "nvidia.com/gpu.product", kind->product);
	label(labels, "nvidia.com/gpu.family", kind->family);
	label_int(labels, "nvidia.com/gpu.count", kind->gpus);
	label_int(labels, "nvidia.com/gpu.memory", kind->memory_mib);
	label_int(labels, "nvidia.com/gpu.compute.major", kind->compute_major);
	label_int(labels, "nvidia.com/gpu.compute.minor", kind->compute_minor);
	label(
	    labels, "nvidia.com/mig.capable", kind->compute_major >= 8 && kind->compute_minor == 0 ? "true" : "false");
	if (kind->mig_profile)
		label_mig(labels, kind);
	return labels;
}

static json_t *resources_of(const struct sim_node_kind *kind)
{
	json_t *resources = json_object();
	char key[96];

	label(resources, "cpu", kind->cpu);
	label(resources, "memory", kind->ram);
	label(resources, "ephemeral-storage", "1600Gi");
	label(resources, "pods", "250");
	label_int(resources, "nvidia.com/gpu", kind->gpus - (kind->mig_profile ? kind->mig_gpus : 0));
	if (kind->mig_profile) {
		snprintf(key, sizeof key, "nvidia.com/mig-%s", kind->mig_profile);
		label_int(resources, key, kind->mig_count);
	}
	return resources;
}

json_t *sim_node_object(const struct sim_node_kind *kind, const char *name, const char *block, const char *rack)
{
	json_t *resources = resources_of(kind);

	return json_pack("{s:s,s:s,s:{s:s,s:o},s:{},s:{s:o,s:o,s:[{s:s,s:s,s:s}],s:[{s:s,s:s}]}}", "kind", "Node",
	    "apiVersion", "v1", "metadata", "name", name, "labels", labels_of(kind, name, block, rack), "spec",
	    "status", "capacity", json_deep_copy(resources), "allocatable", resources, "conditions", "type", "Ready",
	    "status", "True", "reason", "KubeletReady", "addresses", "type", "Hostname", "address", name);
}

void sim_node_set_gpus(json_t *node, int64_t healthy)
{
	label_int(json_object_get(json_object_get(node, "status"), "allocatable"), "nvidia.com/gpu", healthy);
}

/* --- large fleets --- */

static const struct sim_node_kind h100 = {.product = "NVIDIA-H100-80GB-HBM3",
    .family = "hopper",
    .machine = "DGXH100",
    .memory_mib = 81559,
    .gpus = 8,
    .compute_major = 9,
    .cpu = "224",
    .ram = "2014Gi"};
static const struct sim_node_kind a100 = {.product = "NVIDIA-A100-SXM4-80GB",
    .family = "ampere",
    .machine = "DGXA100",
    .memory_mib = 81920,
    .gpus = 8,
    .compute_major = 8,
    .cpu = "256",
    .ram = "2014Gi"};

#define SYNTHETIC_NAME_MAX 80
#define NODES_PER_RACK 16
#define RACKS_PER_BLOCK 32

static void synthetic_name(size_t i, char out[SYNTHETIC_NAME_MAX])
{
	snprintf(
	    out, SYNTHETIC_NAME_MAX, "gpu-worker-%s-%05zu.cluster-a.region-1.local", i % 8 == 7 ? "a100" : "h100", i);
}

static void write_pod(struct buf *out, size_t i, const char *node, bool gpu)
{
	buf_clear(out);
	buf_printf(out,
	    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"worker-%06zu-%05zx\",\"generateName\":"
	    "\"worker-\","
	    "\"namespace\":\"team-%02zu\",\"uid\":\"5c000000-0000-4000-8000-%012zx\",\"creationTimestamp\":"
	    "\"2026-01-01T00:00:00Z\",\"labels\":{\"app\":\"worker\",\"app.kubernetes.io/"
	    "name\":\"worker\",\"batch.kubernetes.io/"
	    "job-name\":\"job-%05zu\",\"batch.kubernetes.io/controller-uid\":\"7d000000-0000-4000-8000-%012zx\"},"
	    "\"ownerReferences\":[{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"name\":\"job-%05zu\",\"uid\":"
	    "\"7d000000-0000-4000-8000-%012zx\",\"controller\":true,\"blockOwnerDeletion\":true}]},",
	    i, i * 7919 % 0xfffff, i % 20, i, i / 8, i / 8, i / 8, i / 8);
	buf_printf(out,
	    "\"spec\":{\"schedulerName\":\"berth\",\"nodeName\":\"%s\",\"restartPolicy\":\"Never\",\"priority\":0,"
	    "\"serviceAccountName\":\"default\",\"containers\":[{\"name\":\"main\",\"image\":\"registry.example.com/"
	    "team/"
	    "worker:1.4.2\",\"command\":[\"python\",\"-m\",\"worker\"],\"env\":[{\"name\":\"RANK\",\"value\":\"%zu\"},{"
	    "\"name\":"
	    "\"WORLD_SIZE\",\"value\":\"8\"},{\"name\":\"MASTER_ADDR\",\"value\":\"job-%05zu-0\"},{\"name\":\"NCCL_"
	    "DEBUG\","
	    "\"value\":\"WARN\"}],\"resources\":{\"limits\":{%s\"memory\":\"64Gi\"},\"requests\":{%s\"cpu\":\"%d\","
	    "\"memory\":"
	    "\"%s\"}},\"volumeMounts\":[{\"name\":\"token\",\"readOnly\":true,\"mountPath\":\"/var/run/secrets/"
	    "kubernetes.io/"
	    "serviceaccount\"}]}],\"volumes\":[{\"name\":\"token\",\"projected\":{\"defaultMode\":420,\"sources\":[{"
	    "\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":\"token\"}}]}}],\"tolerations\":[{\"key\":"
	    "\"node.kubernetes.io/"
	    "not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300},{"
	    "\"key\":\"nvidia.com/gpu\",\"operator\":\"Exists\"}]},",
	    node, i % 8, i / 8, gpu ? "\"nvidia.com/gpu\":\"1\"," : "", gpu ? "\"nvidia.com/gpu\":\"1\"," : "",
	    gpu ? 8 : 1, gpu ? "64Gi" : "1Gi");
	buf_text(out,
	    "\"status\":{\"phase\":\"Running\",\"startTime\":\"2026-01-01T00:00:02Z\",\"conditions\":[{\"type\":"
	    "\"PodScheduled\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"},{\"type\":\"Ready\","
	    "\"status\":\"True\",\"lastTransitionTime\":\"2026-01-01T00:00:02Z\"}],\"containerStatuses\":[{\"name\":"
	    "\"main\","
	    "\"ready\":true,\"restartCount\":0,\"started\":true,\"image\":\"registry.example.com/team/worker:1.4.2\","
	    "\"imageID\":\"\",\"state\":{\"running\":{\"startedAt\":\"2026-01-01T00:00:02Z\"}}}]}}");
}

int sim_nodes_synthetic(struct sim_store *store, size_t nodes, size_t pods, struct err *err)
{
	char name[SYNTHETIC_NAME_MAX], rack[32], block[32];
	struct buf text;

	for (size_t i = 0; i < nodes; i++) {
		synthetic_name(i, name);
		snprintf(rack, sizeof rack, "rack-%04zu", i / NODES_PER_RACK);
		snprintf(block, sizeof block, "block-%03zu", i / NODES_PER_RACK / RACKS_PER_BLOCK);
		json_auto_t *node = sim_node_object(i % 8 == 7 ? &a100 : &h100, name, block, rack);

		if (!sim_store_create(store, SIM_NODES, node, err))
			return err->code;
	}
	buf_init(&text, SIM_OBJECT_MAX);
	for (size_t i = 0; i < pods && nodes > 0; i++) {
		synthetic_name(i % nodes, name);
		write_pod(&text, i, name, i < nodes * 8);
		if (!sim_store_load(store, SIM_PODS, buf_slice(&text), err))
			break;
	}
	buf_free(&text);
	return sim_store_count(store, SIM_PODS) == (nodes ? pods : 0) ? 0 : err->code;
}
