#include "policy/preset.h"

#define TOPOGRAPH "fabric.topograph.run/"
#define TOPOGRAPH_OLD "network.topology.nvidia.com/"

/* Who writes which labels: topograph, docs/reference/node-labels.md, its releases since 1.0, up to 0.5 and the first
 * ones (`block` was then what is now the leaf); gpu.clique: NVIDIA k8s-device-plugin, internal/lm/imex.go, where the
 * part behind the last dot is a partition of the NVLink domain; clouds: the pages of each on placement. A machine of
 * gce-topology-host holds one node with GPUs, so the host stands for it. */
#define LEVEL(name_, ...)                                                                                              \
	{                                                                                                              \
		.name = (name_), .labels = { __VA_ARGS__ }                                                             \
	}
#define OPTIONAL(name_, ...)                                                                                           \
	{                                                                                                              \
		.name = (name_), .labels = {__VA_ARGS__}, .optional = true                                             \
	}

static const struct preset presets[] = {
    {"topograph", {OPTIONAL("core", TOPOGRAPH "tier-2", TOPOGRAPH_OLD "core", TOPOGRAPH_OLD "datacenter"),
                      LEVEL("spine", TOPOGRAPH "tier-1", TOPOGRAPH_OLD "spine"),
                      LEVEL("leaf", TOPOGRAPH "tier-0", TOPOGRAPH_OLD "leaf", TOPOGRAPH_OLD "block"),
                      OPTIONAL("accelerator", "accelerator.topograph.run/domain", TOPOGRAPH_OLD "accelerator")}},
    {"nvlink", {{.name = "nvlink", .labels = {"nvidia.com/gpu.clique"}, .up_to_last_dot = true}}},
    {"aws", {LEVEL("layer-1", "topology.k8s.aws/network-node-layer-1"),
                LEVEL("layer-2", "topology.k8s.aws/network-node-layer-2"),
                LEVEL("layer-3", "topology.k8s.aws/network-node-layer-3")}},
    {"gcp", {LEVEL("block", "cloud.google.com/gce-topology-block"),
                LEVEL("subblock", "cloud.google.com/gce-topology-subblock")}},
    {"oci", {LEVEL("block", "oci.oraclecloud.com/host.network_block_id"),
                LEVEL("rack", "oci.oraclecloud.com/host.rack_id")}},
    {"coreweave",
        {LEVEL("fabric", "ib.coreweave.cloud/fabric"), LEVEL("superpod", "ib.coreweave.cloud/superpod"),
            LEVEL("leafgroup", "ib.coreweave.cloud/leafgroup"), OPTIONAL("rack", "node.coreweave.cloud/rack")}},
    {"zone", {LEVEL("region", "topology.kubernetes.io/region"), LEVEL("zone", "topology.kubernetes.io/zone")}},
};
#define PRESET_COUNT (sizeof presets / sizeof *presets)

const char *preset_name(size_t i)
{
	return i < PRESET_COUNT ? presets[i].name : NULL;
}

const struct preset *preset_named(struct slice name)
{
	for (size_t i = 0; i < PRESET_COUNT; i++)
		if (slice_is(name, presets[i].name))
			return &presets[i];
	return NULL;
}

static void add(struct levels *levels, struct level level)
{
	if (levels->count < TOPOLOGY_LEVELS_MAX)
		levels->items[levels->count++] = level;
	else if (!levels->one_more)
		levels->one_more = level.place;
}

/* What asks for a level of the preset: its name in "levels", or, without those, the preset itself. */
static const struct yaml_node *asking(const struct doc_level *item, const struct preset_level *level)
{
	if (!item->levels.node)
		return level->optional ? NULL : item->preset;
	for (size_t i = 0; i < item->levels.count; i++)
		if (doc_text(&item->levels, i) && slice_is(doc_text(&item->levels, i)->text, level->name))
			return doc_text(&item->levels, i);
	return NULL;
}

static void add_preset(struct levels *levels, const struct doc_level *item, size_t index)
{
	const struct preset *preset = preset_named(item->preset->text);

	for (size_t i = 0; i < PRESET_LEVELS_MAX && preset->levels[i].name; i++) {
		const struct preset_level *level = &preset->levels[i];
		const struct yaml_node *place = asking(item, level);

		if (place)
			add(levels, (struct level){slice_of(level->name), place, item, level, index});
	}
}

void levels_collect(const struct doc_list *topology, struct levels *levels)
{
	*levels = (struct levels){.complete = true};
	for (size_t i = 0; i < topology->count; i++) {
		const struct doc_level *item = DOC_ITEM(doc_level, topology, i);

		if (item->level)
			add(levels, (struct level){item->level->text, item->level, item, NULL, i});
		else if (item->preset)
			add_preset(levels, item, i);
		if (item->head.broken || (!item->level && !item->preset))
			levels->complete = false;
	}
}
