/* The catalogue's MIG tables: layouts (where an instance may lie) and geometries (what a GPU's instances are called).
 */
#ifndef CLUSTER_MIG_H
#define CLUSTER_MIG_H

#include "berth/gpu.h"
#include "cluster/yaml_read.h"

struct mig_shape {
	const char *name; /* "1g double" */
	int64_t compute, slices, max;
	uint8_t start_count, starts[8];
};

struct mig_layout {
	const char *name;
	int64_t slices;
	size_t shape_count;
	struct mig_shape *shapes;
};

struct mig_geometry {
	const char *name;
	uint8_t slices;
	size_t profile_count;
	struct gpu_profile *profiles;
};

struct mig_tables {
	size_t layout_count, layout_room, geometry_count, geometry_room;
	struct mig_layout *layouts;
	struct mig_geometry *geometries;
};

/* Each adds a file's list; a name that stands there already is hidden by the new one, unless both are in one list. */
BERTH_MUST_CHECK int mig_add_layouts(
    struct mig_tables *tables, const struct yaml_reader *reader, const struct yaml_node *list);
BERTH_MUST_CHECK int mig_add_geometries(
    struct mig_tables *tables, const struct yaml_reader *reader, const struct yaml_node *list);
/* NULL when there is none of that name. */
const struct mig_geometry *mig_geometry_named(const struct mig_tables *tables, const char *name);

#endif
