/* A catalogue while its files are read, one after the other. */
#ifndef CLUSTER_CATALOGUE_BUILD_H
#define CLUSTER_CATALOGUE_BUILD_H

#include "berth/gpu.h"
#include "cluster/mig.h"
#include "cluster/yaml_read.h"

struct catalogue_build {
	struct yaml_reader reader;
	struct mig_tables mig;
	size_t model_room;
	struct gpu_catalogue *gpus;
};

/* Adds the models of a file's list; a variant that is there already, unless it is of the same file, is replaced. */
BERTH_MUST_CHECK int catalogue_add_models(struct catalogue_build *build, const struct yaml_node *list);

#endif
