#include "cluster/node.h"

#include "base/clock.h"
#include "berth/repartition.h"
#include "cluster/fields.h"
#include "cluster/lanes.h"
#include "cluster/placement.h"
#include "cluster/quantity.h"

#define ARENA_REST 1024 /* of a GPU node, beside its labels: six conditions, twelve resources, a taint or two */

/* Kinds of resources beyond RESOURCES_PER_OBJECT_MAX, and amounts that cannot be read, count as not there: nothing that
 * needs them is placed. */
static void read_resources(
    struct reader *json, struct resource_names *names, struct arena *arena, struct resources *resources)
{
	struct resource_list list = {.count = 0};
	struct slice key;

	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		int64_t value = 0, milli = 0, *amount;
		struct slice text = {"", 0};
		bool known;
		int id;

		if (reader_peek(json) == READER_STRING)
			reader_string(json, &text);
		else
			reader_value(json, &text);
		known = quantity_parse(text, &value, &milli) && value >= 0 && milli >= 0;
		id = known ? resource_names_id(names, field_plain(arena, key)) : -1;
		amount = id < 0 ? NULL : resource_list_at(&list, (resource_id)id);
		if (amount)
			*amount = id == RESOURCE_CPU ? milli : value;
	}
	*resources = resource_list_keep(&list, arena);
}

static void read_conditions(struct reader *json, struct node_spec *spec)
{
	size_t room = 0;
	struct slice key;

	spec->condition_count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct slice type = {"", 0}, status = {"", 0};

		if (!reader_object(json))
			continue;
		while (reader_key(json, &key)) {
			if (slice_is(key, "type"))
				reader_string(json, &type);
			else if (slice_is(key, "status"))
				reader_string(json, &status);
			else
				reader_skip(json);
		}
		if (slice_is(type, "Ready"))
			spec->ready = slice_is(status, "True");
		spec->conditions =
		    field_grow(&spec->arena, spec->conditions, spec->condition_count, &room, sizeof *spec->conditions);
		spec->conditions[spec->condition_count++] =
		    (struct node_condition){field_text(&spec->arena, type), field_text(&spec->arena, status)};
	}
}

static void read_taints(struct reader *json, struct node_spec *spec)
{
	size_t room = 0;
	struct slice key;

	spec->taint_count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct slice name = {"", 0}, value = {"", 0}, effect_name = {"", 0};
		enum taint_effect effect;

		if (!reader_object(json))
			continue;
		while (reader_key(json, &key)) {
			if (slice_is(key, "key"))
				reader_string(json, &name);
			else if (slice_is(key, "value"))
				reader_string(json, &value);
			else if (slice_is(key, "effect"))
				reader_string(json, &effect_name);
			else
				reader_skip(json);
		}
		if (!placement_effect(effect_name, &effect))
			continue;
		spec->taints = field_grow(&spec->arena, spec->taints, spec->taint_count, &room, sizeof *spec->taints);
		spec->taints[spec->taint_count++] =
		    (struct taint){field_text(&spec->arena, name), field_text(&spec->arena, value), effect};
	}
}

/* A time to come counts as now wherever it is compared; what is no time says nothing. */
static void read_annotations(struct reader *json, struct node_spec *spec)
{
	struct slice key, text;

	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (slice_is(key, REPARTITION_KEY))
			spec->repartition = field_string(json, &spec->arena);
		else if (!slice_is(key, NODE_RELEASED))
			reader_skip(json);
		else if (reader_string(json, &text) && !clock_parse(text, &spec->released_ns))
			spec->released_ns = 0;
	}
}

static void read_metadata(struct reader *json, struct node_spec *spec)
{
	if (reader_object(json))
		for (struct slice key, name; reader_key(json, &key);) {
			if (slice_is(key, "name"))
				spec->name =
				    reader_string(json, &name) && name.len ? field_name(&spec->arena, name) : NULL;
			else if (slice_is(key, "labels"))
				spec->labels = field_labels(json, &spec->arena);
			else if (slice_is(key, "annotations"))
				read_annotations(json, spec);
			else
				reader_skip(json);
		}
}

static void read_spec(struct reader *json, struct node_spec *spec)
{
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "taints"))
				read_taints(json, spec);
			else if (slice_is(key, "unschedulable"))
				reader_bool(json, &spec->unschedulable);
			else
				reader_skip(json);
		}
}

static void read_status(struct reader *json, struct resource_names *names, struct node_spec *spec)
{
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "allocatable"))
				read_resources(json, names, &spec->arena, &spec->allocatable);
			else if (slice_is(key, "capacity"))
				read_resources(json, names, &spec->arena, &spec->capacity);
			else if (slice_is(key, "conditions"))
				read_conditions(json, spec);
			else
				reader_skip(json);
		}
}

/* Labels by which NVIDIA's GPU operator says what it does with the node (k8s-operator-libs' upgrade states; the
 * operator's workload configuration). */
static void read_operator(struct node_spec *spec)
{
	const char *upgrade = labels_get(&spec->labels, "nvidia.com/gpu-driver-upgrade-state");
	const char *workload = labels_get(&spec->labels, "nvidia.com/gpu.workload.config");

	if (upgrade && strcmp(upgrade, "upgrade-required") == 0)
		spec->upgrade = UPGRADE_DUE;
	else if (upgrade && *upgrade && strcmp(upgrade, "upgrade-done") != 0)
		spec->upgrade = UPGRADE_UNDER_WAY;
	spec->for_machines = workload && (strcmp(workload, "vm-passthrough") == 0 || strcmp(workload, "vm-vgpu") == 0);
}

/* What the labels take, which are most of a node and differ by cluster. Looks no further than to them, and they stand
 * near the front of what an API server writes. */
static size_t labels_size(struct slice text)
{
	struct slice key, labels = {NULL, 0};
	struct reader json;
	size_t count = 0;

	reader_open(&json, text);
	for (const char *const *step = (const char *const[]){"metadata", "labels", NULL}; *step; step++) {
		bool found = false;

		if (!reader_object(&json))
			return 0;
		while (!found && reader_key(&json, &key)) {
			found = slice_is(key, *step);
			if (!found)
				reader_skip(&json);
		}
	}
	reader_value(&json, &labels);
	reader_open(&json, labels);
	if (reader_object(&json))
		for (; reader_key(&json, &key); count++)
			reader_skip(&json);
	return labels.len + count * sizeof(struct label);
}

struct node_spec *cluster_node_decode(
    struct slice text, struct resource_names *names, const struct gpu_catalogue *catalogue, struct err *err)
{
	struct arena arena;
	struct node_spec *spec;
	struct reader json;

	arena_init(&arena, sizeof *spec + labels_size(text) + ARENA_REST);
	spec = arena_calloc(&arena, 1, sizeof *spec);
	spec->arena = arena;
	reader_open(&json, text);
	if (reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "metadata"))
				read_metadata(&json, spec);
			else if (slice_is(key, "spec"))
				read_spec(&json, spec);
			else if (slice_is(key, "status"))
				read_status(&json, names, spec);
			else
				reader_skip(&json);
		}
	if (reader_close(&json) && spec->name) {
		lanes_read(spec, names, catalogue);
		read_operator(spec);
		return spec;
	}
	if (json.error)
		err_set(err, ERR_INPUT, "node: %s at byte %zu", json.error, (size_t)(json.at - json.start));
	else
		err_set(err, ERR_INPUT, "node: no metadata.name");
	node_spec_free(spec);
	return NULL;
}
