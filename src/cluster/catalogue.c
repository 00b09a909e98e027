#include "cluster/catalogue.h"

#include <stdlib.h>

#include "cluster/catalogue_build.h"

#define ARENA_SIZE ((size_t)32 << 10)

static const char *const unit_words[] = {[GPU_WHOLE] = "whole", [GPU_SHARE] = "share", [GPU_SLICE] = "slice", NULL};
static const char *const memory_unit_words[] = {"MiB", "GiB", NULL};

struct raw_resource {
	struct gpu_resource resource;
	uint32_t unit, memory_unit;
};

static bool one_star(const char *text)
{
	const char *star = text ? strchr(text, '*') : NULL;

	return !star || !strchr(star + 1, '*');
}

static int read_resource(const struct yaml_reader *reader, const struct yaml_node *node, struct gpu_resource *resource)
{
	struct raw_resource raw = {.unit = GPU_WHOLE};
	static const struct yaml_key keys[] = {
	    {"resource", YAML_KEY_TEXT, offsetof(struct raw_resource, resource.pattern), true, 0, 0, NULL},
	    {"unit", YAML_KEY_WORD, offsetof(struct raw_resource, unit), true, 0, 0, unit_words},
	    {"product", YAML_KEY_TEXT, offsetof(struct raw_resource, resource.product_label), false, 0, 0, NULL},
	    {"memory", YAML_KEY_TEXT, offsetof(struct raw_resource, resource.memory_label), false, 0, 0, NULL},
	    {"memoryUnit", YAML_KEY_WORD, offsetof(struct raw_resource, memory_unit), false, 0, 0, memory_unit_words},
	    {"count", YAML_KEY_TEXT, offsetof(struct raw_resource, resource.count_label), false, 0, 0, NULL},
	    {"replicas", YAML_KEY_TEXT, offsetof(struct raw_resource, resource.replicas_label), false, 0, 0, NULL},
	    {"sharing", YAML_KEY_TEXT, offsetof(struct raw_resource, resource.sharing_label), false, 0, 0, NULL},
	};
	int result = yaml_read_map(reader, node, "a resource", keys, sizeof keys / sizeof *keys, &raw);

	if (result)
		return result;
	if (!one_star(raw.resource.pattern) || !one_star(raw.resource.product_label) ||
	    !one_star(raw.resource.memory_label) || !one_star(raw.resource.count_label) ||
	    !one_star(raw.resource.replicas_label) || !one_star(raw.resource.sharing_label))
		return yaml_read_error(reader, node, "more than one '*' in a name");
	*resource = raw.resource;
	resource->unit = (enum gpu_unit)raw.unit;
	resource->memory_unit_mib_num = raw.memory_unit == 0 ? 1 : 1024;
	resource->memory_unit_mib_den = 1;
	return 0;
}

/* In front of those that are there. */
static int add_resources(struct catalogue_build *build, const struct yaml_node *list)
{
	struct gpu_catalogue *gpus = build->gpus;
	size_t count = list->count + gpus->resource_count;
	struct gpu_resource *resources = arena_calloc(build->reader.arena, count + 1, sizeof *resources);

	for (size_t i = 0; i < list->count; i++) {
		int result = read_resource(&build->reader, list->items[i], &resources[i]);

		if (result)
			return result;
		for (size_t j = 0; j < i; j++)
			if (strcmp(resources[i].pattern, resources[j].pattern) == 0)
				return yaml_read_error(&build->reader, list->items[i],
				    "resource \"%s\" stands here twice", resources[i].pattern);
	}
	if (gpus->resource_count)
		memcpy(resources + list->count, gpus->resources, gpus->resource_count * sizeof *resources);
	gpus->resources = resources;
	gpus->resource_count = count;
	return 0;
}

static int add_lists(struct catalogue_build *build, const struct yaml_node *root)
{
	struct lists {
		const struct yaml_node *resources, *layouts, *geometries, *models;
	} lists = {.resources = NULL};
	static const struct yaml_key keys[] = {
	    {"resources", YAML_KEY_LIST, offsetof(struct lists, resources), false, 0, 0, NULL},
	    {"migLayouts", YAML_KEY_LIST, offsetof(struct lists, layouts), false, 0, 0, NULL},
	    {"migGeometries", YAML_KEY_LIST, offsetof(struct lists, geometries), false, 0, 0, NULL},
	    {"models", YAML_KEY_LIST, offsetof(struct lists, models), false, 0, 0, NULL},
	};
	int result = yaml_read_map(&build->reader, root, "a catalogue", keys, sizeof keys / sizeof *keys, &lists);

	if (result == 0 && lists.resources)
		result = add_resources(build, lists.resources);
	if (result == 0 && lists.layouts)
		result = mig_add_layouts(&build->mig, &build->reader, lists.layouts);
	if (result == 0 && lists.geometries)
		result = mig_add_geometries(&build->mig, &build->reader, lists.geometries);
	if (result == 0 && lists.models)
		result = catalogue_add_models(build, lists.models);
	return result;
}

static int add_file(struct catalogue_build *build, struct slice text, const char *file)
{
	struct arena tree;
	struct yaml_node *root = NULL;
	struct yaml_mark mark = {1, 1};
	int result;

	arena_init(&tree, ARENA_SIZE);
	build->reader.file = file;
	result = yaml_parse(&tree, text, &root, &mark, build->reader.err);
	if (result)
		err_wrap(build->reader.err, "%s:%u:%u", file, mark.line, mark.column);
	else if (root)
		result = add_lists(build, root);
	arena_free(&tree);
	return result;
}

struct catalogue *catalogue_load(struct slice builtin, struct slice extra, const char *extra_name, struct err *err)
{
	struct catalogue *catalogue = xcalloc(1, sizeof *catalogue);
	struct catalogue_build build = {.reader = {.arena = &catalogue->arena, .err = err}, .gpus = &catalogue->gpus};
	int result;

	arena_init(&catalogue->arena, ARENA_SIZE);
	result = add_file(&build, builtin, "gpus.yaml");
	if (result == 0 && extra.len > 0)
		result = add_file(&build, extra, extra_name);
	if (result == 0)
		return catalogue;
	catalogue_free(catalogue);
	return NULL;
}

void catalogue_free(struct catalogue *catalogue)
{
	if (!catalogue)
		return;
	arena_free(&catalogue->arena);
	free(catalogue);
}
