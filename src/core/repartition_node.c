/* Which nodes can be cut anew, and what they show then. */
#include "berth/repartition.h"

#include <stdio.h>

#define WHOLE_RESOURCE "nvidia.com/gpu"
#define INSTANCES_MAX 8 /* of a GPU: it has no more slices */

/* --- does it fit on a GPU --- */

struct packing {
	size_t count;
	const struct gpu_profile *items[INSTANCES_MAX]; /* those alike beside each other */
};

static bool pack(const struct packing *packing, size_t at, unsigned taken, int last)
{
	if (at == packing->count)
		return true;
	const struct gpu_profile *profile = packing->items[at];
	bool alike = at > 0 && packing->items[at - 1] == profile;
	for (uint8_t i = 0; i < profile->start_count; i++) {
		unsigned mask = ((1u << profile->slices) - 1) << profile->starts[i];
		if ((alike && profile->starts[i] <= last) || (taken & mask))
			continue;
		if (pack(packing, at + 1, taken | mask, profile->starts[i]))
			return true;
	}
	return false;
}

bool repartition_fits_model(const struct policy_mig_config *config, const struct gpu_model *model)
{
	struct packing packing = {0};
	if (!model)
		return true;
	for (size_t i = 0; i < config->slice_count; i++) {
		const struct policy_mig_slices *slices = &config->slices[i];
		const struct gpu_profile *profile = gpu_model_profile(model, slice_of(slices->profile));
		if (!profile || slices->per_gpu > profile->max ||
		    slices->per_gpu > (int64_t)(INSTANCES_MAX - packing.count))
			return false;
		for (int64_t k = 0; k < slices->per_gpu; k++)
			packing.items[packing.count++] = profile;
	}
	return pack(&packing, 0, 0, -1);
}

/* --- what a node shows --- */

bool repartition_counts(const char *resource)
{
	return strcmp(resource, WHOLE_RESOURCE) == 0 ||
	       strncmp(resource, MIG_RESOURCE_PREFIX, strlen(MIG_RESOURCE_PREFIX)) == 0;
}

static bool add(struct repartition_amounts *amounts, const char *before, const char *resource, int64_t amount)
{
	if (amount == 0)
		return true;
	if (amounts->count == REPARTITION_AMOUNTS_MAX ||
	    strlen(before) + strlen(resource) >= sizeof amounts->items->resource)
		return false;
	struct repartition_amount *item = &amounts->items[amounts->count++];
	snprintf(item->resource, sizeof item->resource, "%s%s", before, resource);
	item->amount = amount;
	return true;
}

int64_t repartition_amount_of(const struct repartition_amounts *amounts, const char *resource)
{
	for (size_t i = 0; i < amounts->count; i++)
		if (strcmp(amounts->items[i].resource, resource) == 0)
			return amounts->items[i].amount;
	return 0;
}

bool repartition_shown(
    const struct node_spec *spec, const struct resource_names *names, struct repartition_amounts *shown)
{
	*shown = (struct repartition_amounts){0};
	for (uint16_t i = 0; i < spec->allocatable.count; i++) {
		const struct resource_amount *item = &spec->allocatable.items[i];
		const char *resource = resource_names_text(names, item->id);
		if (repartition_counts(resource) && (item->amount != resources_get(&spec->capacity, item->id) ||
		                                        !add(shown, "", resource, item->amount)))
			return false;
	}
	return true;
}

bool repartition_shows(
    const struct node_spec *spec, const struct resource_names *names, const struct repartition_amounts *amounts)
{
	for (uint16_t i = 0; i < spec->allocatable.count; i++) {
		const struct resource_amount *item = &spec->allocatable.items[i];
		const char *resource = resource_names_text(names, item->id);
		if (repartition_counts(resource) && repartition_amount_of(amounts, resource) != item->amount)
			return false;
	}
	for (size_t i = 0; i < amounts->count; i++) {
		int id = resource_names_find(names, slice_of(amounts->items[i].resource));
		if (id < 0 || resources_get(&spec->allocatable, (resource_id)id) != amounts->items[i].amount)
			return false;
	}
	return true;
}

bool repartition_wanted(
    const struct node_spec *spec, const struct policy_mig_config *config, struct repartition_amounts *want)
{
	*want = (struct repartition_amounts){0};
	if (!spec->model || spec->gpu_count == 0 || !repartition_fits_model(config, spec->model))
		return false;
	for (size_t i = 0; i < config->slice_count; i++) {
		const struct policy_mig_slices *slices = &config->slices[i];
		if (!add(want, MIG_RESOURCE_PREFIX, slices->profile, slices->per_gpu * (int64_t)spec->gpu_count))
			return false;
	}
	return true;
}

/* --- which node --- */

static bool label_is(const struct node_spec *spec, const char *key, const char *value)
{
	const char *text = labels_get(&spec->labels, key);
	return text && strcmp(text, value) == 0;
}

/* As the labels of GPU feature discovery, the GPU operator and the MIG manager have it. In the single strategy slices
 * are counted as nvidia.com/gpu, and nobody could ask for them by name. */
static bool labels_allow(const struct node_spec *spec)
{
	const char *strategy = labels_get(&spec->labels, "nvidia.com/mig.strategy");
	return (!strategy || strcmp(strategy, "mixed") == 0) && !label_is(spec, "nvidia.com/mig.capable", "false") &&
	       !label_is(spec, "nvidia.com/gpu.deploy.mig-manager", "false") &&
	       !label_is(spec, MIG_STATE_LABEL, "pending") && !label_is(spec, MIG_STATE_LABEL, "rebooting");
}

bool repartition_is_open(const struct node *node)
{
	const struct node_spec *spec = node->spec;
	return spec && spec->ready && !spec->unschedulable && !node->avoided && !node->quarantined &&
	       !node->repartitioned && spec->upgrade != UPGRADE_UNDER_WAY && !spec->for_machines &&
	       !node->in_two_pools && !node->held;
}

static bool has_gpus(const struct ledger_entry *entry, const struct node_spec *spec)
{
	for (size_t i = 0; i < spec->lane_count; i++)
		if (resources_get(&entry->demand, spec->lanes[i].resource) > 0)
			return true;
	return false;
}

/* False where something has GPUs that is not waited for. */
static bool runs_out(const struct node *node, int64_t now_ns, int64_t *free_ns)
{
	*free_ns = 0;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
		int64_t ends_ns = entry->ending ? now_ns : entry->ends_ns;
		if (!has_gpus(entry, node->spec))
			continue;
		if (entry->hold || !entry->ours || entry->state != LEDGER_BOUND || ends_ns == LEDGER_NEVER ||
		    ends_ns < now_ns)
			return false;
		*free_ns = ends_ns > *free_ns ? ends_ns : *free_ns;
	}
	return true;
}

bool repartition_may(const struct node *node, int64_t now_ns, int64_t *free_ns)
{
	return repartition_is_open(node) && !node->headroom && runs_out(node, now_ns, free_ns);
}

bool repartition_can(const struct node_spec *spec, const struct resource_names *names)
{
	struct repartition_amounts shown;
	for (size_t i = 0; i < spec->lane_count; i++)
		if (spec->lanes[i].unit == GPU_SHARE)
			return false;
	return labels_allow(spec) && repartition_shown(spec, names, &shown) && shown.count > 0;
}

double repartition_cost(const struct node_spec *spec)
{
	return (spec->model ? spec->model->cost : 1) * spec->gpu_count;
}
