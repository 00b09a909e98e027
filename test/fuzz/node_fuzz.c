/* Any text as a Node, with the catalogue that the program carries: what the fleet relies on holds. */
#include <stdlib.h>

#include "base/embedded.h"
#include "base/reader.h"
#include "cluster/catalogue.h"
#include "cluster/node.h"
#include "cluster/repartition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_lane(const struct node_spec *spec, const struct gpu_lane *lane)
{
	check(lane->replicas >= 1 && (lane->unit == GPU_SHARE || lane->replicas == 1));
	check(lane->memory_mib >= 0);
	check(!lane->model || !spec->mixed_models);
	check(!lane->profile || lane->model);
	check(node_spec_lane(spec, lane->resource) == lane);
}

/* The same text as the object that a node is changed by: what comes out is one JSON object. */
static void check_patch(struct slice text)
{
	struct repartition_record record = {.phase = REPARTITION_NONE};
	struct repartition_object object;
	struct arena arena;
	struct reader json;
	struct buf out;

	arena_init(&arena, 1024);
	if (repartition_object_read(text, &arena, &object)) {
		if (object.text && !repartition_read(slice_of(object.text), &record))
			record.phase = REPARTITION_NONE;
		buf_init(&out, 64u << 20);
		repartition_patch(&object, &record, object.config, &out);
		reader_open(&json, buf_slice(&out));
		check(reader_peek(&json) == READER_OBJECT);
		reader_skip(&json);
		check(reader_close(&json));
		buf_free(&out);
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct catalogue *catalogue;
	struct resource_names names;
	struct node_spec *spec;
	struct err err;

	if (!catalogue)
		catalogue = catalogue_load(embedded_text("gpus.yaml"), (struct slice){NULL, 0}, "", &err);
	check(catalogue != NULL);
	resource_names_init(&names);
	spec = cluster_node_decode((struct slice){(const char *)data, size}, &names, &catalogue->gpus, &err);
	if (spec) {
		for (size_t i = 0; i < spec->lane_count; i++)
			check_lane(spec, &spec->lanes[i]);
		for (size_t i = 1; i < spec->labels.count; i++)
			check(strcmp(spec->labels.items[i - 1].key, spec->labels.items[i].key) < 0);
		check(!spec->model || !spec->mixed_models);
		node_spec_free(spec);
	}
	resource_names_free(&names);
	check_patch((struct slice){(const char *)data, size});
	return 0;
}
