/* The embedded cluster as a whole: store, API, kubelets, and where they are asked for, the judge, a driver and a
 * default scheduler. One loop. */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "sim/api.h"
#include "sim/audit.h"
#include "sim/driver.h"

struct sim_cluster;

struct sim_cluster_options {
	struct sim_api_options api;
	size_t history_max; /* 0 = SIM_HISTORY_MAX */
	bool audit;
};

BERTH_MUST_CHECK struct sim_cluster *sim_cluster_start(
    uv_loop_t *loop, const struct sim_cluster_options *options, struct err *err);
struct sim_store *sim_cluster_store(struct sim_cluster *cluster);
struct sim_api *sim_cluster_api(struct sim_cluster *cluster);
/* NULL unless it was asked for. */
struct sim_audit *sim_cluster_audit(struct sim_cluster *cluster);
/* After sim_cluster_drive; NULL before. */
struct sim_driver *sim_cluster_driver(struct sim_cluster *cluster);
struct sim_view *sim_cluster_view(struct sim_cluster *cluster);
/* Starts a driver for an extender, and a default scheduler for the pods of others. Once. */
BERTH_MUST_CHECK int sim_cluster_drive(
    struct sim_cluster *cluster, const struct sim_driver_options *options, struct err *err);
/* Writes a kubeconfig for the cluster, readable by the user alone. */
BERTH_MUST_CHECK int sim_cluster_kubeconfig(const struct sim_cluster *cluster, const char *path, struct err *err);
/* Frees on later turns of the loop. */
void sim_cluster_stop(struct sim_cluster *cluster);

#endif
