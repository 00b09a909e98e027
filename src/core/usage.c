#include "core/usage.h"

#include <stdlib.h>

static uint16_t place(const struct resources *used, resource_id id)
{
	uint16_t at = 0;
	while (at < used->count && used->items[at].id < id)
		at++;
	return at;
}

static void set(struct node *node, resource_id id, int64_t amount)
{
	struct resources *used = &node->used;
	uint16_t at = place(used, id);
	bool there = at < used->count && used->items[at].id == id;
	if (there && amount != 0) {
		used->items[at].amount = amount;
	} else if (there) {
		used->count--;
		memmove(&used->items[at], &used->items[at + 1], (size_t)(used->count - at) * sizeof(*used->items));
	} else if (amount != 0) {
		used->items = xgrow(used->items, used->count, &node->used_room, sizeof(*used->items));
		memmove(&used->items[at + 1], &used->items[at], (size_t)(used->count - at) * sizeof(*used->items));
		used->items[at] = (struct resource_amount){id, amount};
		used->count++;
	}
}

void usage_add(struct node *node, const struct resources *demand)
{
	for (uint16_t i = 0; i < demand->count; i++) {
		resource_id id = demand->items[i].id;
		set(node, id, resource_sum(resources_get(&node->used, id), demand->items[i].amount));
	}
}

static bool is_among(const struct ledger_entry *entry, const struct ledger_entry *const *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (entries[i] == entry)
			return true;
	return false;
}

/* But for those that are gone. */
static int64_t sum_of_entries(
    const struct node *node, resource_id id, const struct ledger_entry *const *gone, size_t count)
{
	int64_t sum = 0;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next)
		if (!is_among(entry, gone, count))
			sum = resource_sum(sum, resources_get(&entry->demand, id));
	return sum;
}

static void subtract(
    struct node *node, const struct resources *demand, const struct ledger_entry *const *gone, size_t count)
{
	for (uint16_t i = 0; i < demand->count; i++) {
		resource_id id = demand->items[i].id;
		int64_t now = resources_get(&node->used, id);
		set(node, id, now == INT64_MAX ? sum_of_entries(node, id, gone, count) : now - demand->items[i].amount);
	}
}

void usage_subtract(struct node *node, const struct resources *demand)
{
	subtract(node, demand, NULL, 0);
}

void usage_without(struct node *node, const struct ledger_entry *const *gone, size_t count)
{
	for (size_t i = 0; i < count; i++)
		subtract(node, &gone[i]->demand, gone, i + 1);
}

/* Of so many units, the parts of one GPU rounded down once. */
int64_t usage_lane_milli(const struct gpu_lane *lane, int64_t amount)
{
	int64_t milli, parts = lane->model && lane->model->slices == 4 ? 4 : 7;
	amount = amount < INT32_MAX ? amount : INT32_MAX; /* so that products stay in range */
	milli = amount * MILLI_GPU;
	if (lane->unit == GPU_SHARE)
		return lane->replicas > 0 ? milli / lane->replicas : milli;
	if (lane->unit != GPU_SLICE)
		return milli;
	/* An instance of unknown size counts as the whole. */
	return lane->profile ? milli * lane->profile->compute / parts : milli;
}

int64_t usage_milli(const struct node_spec *spec, const struct resources *demand)
{
	int64_t sum = 0;
	for (uint16_t i = 0; i < demand->count && spec->lane_count > 0; i++) {
		const struct gpu_lane *lane = node_spec_lane(spec, demand->items[i].id);
		sum = resource_sum(
		    sum, lane && demand->items[i].amount > 0 ? usage_lane_milli(lane, demand->items[i].amount) : 0);
	}
	return sum < INT32_MAX ? sum : INT32_MAX;
}

static int64_t milli_of(const struct gpu_lane *lane)
{
	switch (lane->unit) {
	case GPU_WHOLE:
		return MILLI_GPU;
	case GPU_SHARE:
		return MILLI_GPU / (lane->replicas > 0 ? lane->replicas : 1);
	case GPU_SLICE:
		/* A100 and its successors have 7 compute slices, GPUs with 4 memory slices have 4. */
		return lane->profile
		           ? MILLI_GPU * lane->profile->compute / (lane->model && lane->model->slices == 4 ? 4 : 7)
		           : 0;
	}
	return 0;
}

static int64_t at_most(int64_t amount, int64_t unit, int64_t most)
{
	int64_t product;
	return __builtin_mul_overflow(amount, unit, &product) || product > most ? most : product;
}

/* Of the node's only GPU. A clamped part is a part: no pod holds more than the GPU there is. Time-sliced shares have no
 * memory of their own. */
static struct device_share share_of(const struct node *node, const struct resources *demand)
{
	int64_t milli = 0, vram = 0, whole = node->devices[0].vram_mib;
	for (uint16_t i = 0; i < demand->count; i++) {
		const struct gpu_lane *lane = node_spec_lane(node->spec, demand->items[i].id);
		if (!lane)
			continue;
		int64_t amount = demand->items[i].amount;
		milli += at_most(amount, milli_of(lane), MILLI_GPU);
		if (lane->unit == GPU_WHOLE && amount > 0)
			vram += whole;
		else if (lane->unit == GPU_SLICE || lane->memory_split)
			vram += at_most(amount, lane->memory_mib, whole);
	}
	return (struct device_share){
	    .milli = (int32_t)(milli < MILLI_GPU ? milli : MILLI_GPU),
	    .vram_mib = (int32_t)(vram < whole ? vram : whole),
	};
}

void usage_take_devices(struct node *node, struct ledger_entry *entry)
{
	entry->device_count = 0;
	if (node->device_count != 1 || entry->hold)
		return;
	struct device_share share = share_of(node, &entry->demand);
	if (share.milli == 0)
		return;
	if (!entry->devices)
		entry->devices = arena_alloc(&entry->arena, sizeof(*entry->devices));
	entry->devices[0] = share;
	entry->device_count = 1;
	node->devices[0].milli_used += share.milli;
	node->devices[0].vram_used_mib += share.vram_mib;
}

void usage_return_devices(struct node *node, struct ledger_entry *entry)
{
	if (entry->device_count == 1) {
		node->devices[0].milli_used -= entry->devices[0].milli;
		node->devices[0].vram_used_mib -= entry->devices[0].vram_mib;
	}
	entry->device_count = 0;
}

static struct device device_of(const struct node_spec *spec)
{
	static const uint8_t masks[9] = {[4] = 0x0f, [8] = 0xff};
	int64_t vram = spec->model ? spec->model->memory_mib : 0;
	for (size_t i = 0; i < spec->lane_count; i++)
		if (spec->lanes[i].unit != GPU_SLICE && spec->lanes[i].memory_mib > 0)
			vram = spec->lanes[i].memory_mib * (spec->lanes[i].memory_split ? spec->lanes[i].replicas : 1);
	/* So that the sum of any number of shares stays in range. */
	vram = vram < (1 << 20) ? vram : 1 << 20;
	return (struct device){
	    .vram_mib = (int32_t)vram,
	    .slices = spec->model && spec->model->slices <= 8 ? masks[spec->model->slices] : 0,
	};
}

void usage_rebuild_devices(struct node *node)
{
	bool known = node->spec && node->spec->gpu_count == 1 && !node->spec->mixed_models;
	free(node->devices);
	node->devices = NULL;
	node->device_count = known;
	if (known) {
		node->devices = xmalloc(sizeof(*node->devices));
		node->devices[0] = device_of(node->spec);
	}
	for (struct ledger_entry *entry = node->entries; entry; entry = entry->node_next)
		usage_take_devices(node, entry);
}
