#include "cluster/mig.h"

#include "cluster/fields.h"

#define MEMORY_MIB_MAX (64 << 20) /* 64 TiB: beyond it a number is a slip */

/* --- layouts --- */

static int read_starts(
    const struct yaml_reader *reader, const struct yaml_node *list, int64_t last, struct mig_shape *shape)
{
	if (list->count == 0 || list->count > sizeof shape->starts)
		return yaml_read_error(reader, list, "one to %zu starts are due here", sizeof shape->starts);
	for (size_t i = 0; i < list->count; i++) {
		int64_t start;
		int result = yaml_read_whole(reader, list->items[i], 0, last, &start);

		if (result)
			return result;
		if (i > 0 && start <= shape->starts[i - 1])
			return yaml_read_error(reader, list->items[i], "starts must rise");
		shape->starts[i] = (uint8_t)start;
	}
	shape->start_count = (uint8_t)list->count;
	return 0;
}

static const struct mig_shape *shape_named(const struct mig_layout *layout, const char *name)
{
	for (size_t i = 0; i < layout->shape_count; i++)
		if (strcmp(layout->shapes[i].name, name) == 0)
			return &layout->shapes[i];
	return NULL;
}

static int read_shape(const struct yaml_reader *reader, const struct yaml_node *node, struct mig_layout *layout)
{
	struct raw {
		struct mig_shape shape;
		const struct yaml_node *starts;
	} raw = {.starts = NULL};
	static const struct yaml_key keys[] = {
	    {"shape", YAML_KEY_TEXT, offsetof(struct raw, shape.name), true, 0, 0, NULL},
	    {"compute", YAML_KEY_WHOLE, offsetof(struct raw, shape.compute), true, 1, 8, NULL},
	    {"slices", YAML_KEY_WHOLE, offsetof(struct raw, shape.slices), true, 1, 8, NULL},
	    {"starts", YAML_KEY_LIST, offsetof(struct raw, starts), true, 0, 0, NULL},
	    {"max", YAML_KEY_WHOLE, offsetof(struct raw, shape.max), true, 1, 8, NULL},
	};
	int result = yaml_read_map(reader, node, "a shape", keys, sizeof keys / sizeof *keys, &raw);

	if (result)
		return result;
	if (raw.shape.slices > layout->slices)
		return yaml_read_error(reader, node, "more slices than the GPU has");
	if (shape_named(layout, raw.shape.name))
		return yaml_read_error(reader, node, "shape \"%s\" stands here twice", raw.shape.name);
	result = read_starts(reader, raw.starts, layout->slices - raw.shape.slices, &raw.shape);
	if (result == 0)
		layout->shapes[layout->shape_count++] = raw.shape;
	return result;
}

/* The newest of that name. */
static const struct mig_layout *layout_named(const struct mig_tables *tables, const char *name)
{
	for (size_t i = tables->layout_count; i-- > 0;)
		if (strcmp(tables->layouts[i].name, name) == 0)
			return &tables->layouts[i];
	return NULL;
}

static int read_layout(
    struct mig_tables *tables, const struct yaml_reader *reader, const struct yaml_node *node, size_t first)
{
	struct raw {
		struct mig_layout layout;
		const struct yaml_node *shapes;
	} raw = {.shapes = NULL};
	static const struct yaml_key keys[] = {
	    {"layout", YAML_KEY_TEXT, offsetof(struct raw, layout.name), true, 0, 0, NULL},
	    {"slices", YAML_KEY_WHOLE, offsetof(struct raw, layout.slices), true, 1, 8, NULL},
	    {"shapes", YAML_KEY_LIST, offsetof(struct raw, shapes), true, 0, 0, NULL},
	};
	int result = yaml_read_map(reader, node, "a layout", keys, sizeof keys / sizeof *keys, &raw);

	for (size_t i = first; result == 0 && i < tables->layout_count; i++)
		if (strcmp(tables->layouts[i].name, raw.layout.name) == 0)
			result = yaml_read_error(reader, node, "layout \"%s\" stands here twice", raw.layout.name);
	if (result)
		return result;
	raw.layout.shapes = arena_calloc(reader->arena, raw.shapes->count + 1, sizeof *raw.layout.shapes);
	for (size_t i = 0; result == 0 && i < raw.shapes->count; i++)
		result = read_shape(reader, raw.shapes->items[i], &raw.layout);
	tables->layouts = field_grow(
	    reader->arena, tables->layouts, tables->layout_count, &tables->layout_room, sizeof *tables->layouts);
	tables->layouts[tables->layout_count++] = raw.layout;
	return result;
}

int mig_add_layouts(struct mig_tables *tables, const struct yaml_reader *reader, const struct yaml_node *list)
{
	size_t first = tables->layout_count;
	int result = 0;

	for (size_t i = 0; result == 0 && i < list->count; i++)
		result = read_layout(tables, reader, list->items[i], first);
	return result;
}

/* --- geometries --- */

static int read_profile(const struct yaml_reader *reader, const struct yaml_node *node, const struct mig_layout *layout,
    struct mig_geometry *geometry)
{
	struct raw {
		const char *name, *shape;
		int64_t memory;
	} raw = {.name = NULL};
	static const struct yaml_key keys[] = {
	    {"profile", YAML_KEY_TEXT, offsetof(struct raw, name), true, 0, 0, NULL},
	    {"shape", YAML_KEY_TEXT, offsetof(struct raw, shape), true, 0, 0, NULL},
	    {"memoryMiB", YAML_KEY_WHOLE, offsetof(struct raw, memory), true, 1, MEMORY_MIB_MAX, NULL},
	};
	const struct mig_shape *shape;
	struct gpu_profile *profile;
	int result = yaml_read_map(reader, node, "a profile", keys, sizeof keys / sizeof *keys, &raw);

	if (result)
		return result;
	shape = shape_named(layout, raw.shape);
	if (!shape)
		return yaml_read_error(reader, node, "layout \"%s\" has no shape \"%s\"", layout->name, raw.shape);
	for (size_t i = 0; i < geometry->profile_count; i++)
		if (strcmp(geometry->profiles[i].name, raw.name) == 0)
			return yaml_read_error(reader, node, "profile \"%s\" stands here twice", raw.name);
	profile = &geometry->profiles[geometry->profile_count++];
	*profile = (struct gpu_profile){.name = raw.name,
	    .compute = (uint8_t)shape->compute,
	    .slices = (uint8_t)shape->slices,
	    .memory_mib = (int32_t)raw.memory,
	    .start_count = shape->start_count,
	    .max = (uint8_t)shape->max};
	memcpy(profile->starts, shape->starts, sizeof profile->starts);
	return 0;
}

static int read_geometry(
    struct mig_tables *tables, const struct yaml_reader *reader, const struct yaml_node *node, size_t first)
{
	struct raw {
		const char *name, *layout;
		const struct yaml_node *profiles;
	} raw = {.name = NULL};
	static const struct yaml_key keys[] = {
	    {"geometry", YAML_KEY_TEXT, offsetof(struct raw, name), true, 0, 0, NULL},
	    {"layout", YAML_KEY_TEXT, offsetof(struct raw, layout), true, 0, 0, NULL},
	    {"profiles", YAML_KEY_LIST, offsetof(struct raw, profiles), true, 0, 0, NULL},
	};
	struct mig_geometry geometry = {.profile_count = 0};
	const struct mig_layout *layout;
	int result = yaml_read_map(reader, node, "a geometry", keys, sizeof keys / sizeof *keys, &raw);

	if (result)
		return result;
	layout = layout_named(tables, raw.layout);
	if (!layout)
		return yaml_read_error(reader, node, "no layout \"%s\"", raw.layout);
	for (size_t i = first; i < tables->geometry_count; i++)
		if (strcmp(tables->geometries[i].name, raw.name) == 0)
			return yaml_read_error(reader, node, "geometry \"%s\" stands here twice", raw.name);
	geometry.name = raw.name;
	geometry.slices = (uint8_t)layout->slices;
	geometry.profiles = arena_calloc(reader->arena, raw.profiles->count + 1, sizeof *geometry.profiles);
	for (size_t i = 0; result == 0 && i < raw.profiles->count; i++)
		result = read_profile(reader, raw.profiles->items[i], layout, &geometry);
	tables->geometries = field_grow(reader->arena, tables->geometries, tables->geometry_count,
	    &tables->geometry_room, sizeof *tables->geometries);
	tables->geometries[tables->geometry_count++] = geometry;
	return result;
}

int mig_add_geometries(struct mig_tables *tables, const struct yaml_reader *reader, const struct yaml_node *list)
{
	size_t first = tables->geometry_count;
	int result = 0;

	for (size_t i = 0; result == 0 && i < list->count; i++)
		result = read_geometry(tables, reader, list->items[i], first);
	return result;
}

const struct mig_geometry *mig_geometry_named(const struct mig_tables *tables, const char *name)
{
	for (size_t i = tables->geometry_count; i-- > 0;)
		if (strcmp(tables->geometries[i].name, name) == 0)
			return &tables->geometries[i];
	return NULL;
}
