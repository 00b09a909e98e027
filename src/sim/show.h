/* The demo as it is seen: plays fleet and workload on a cluster that is driven, draws it, and says at the end what came
 * of it. */
#ifndef SIM_SHOW_H
#define SIM_SHOW_H

#include <stdio.h>

#include "sim/cluster.h"
#include "sim/fleet.h"
#include "sim/picture.h"

struct sim_show;

struct sim_show_options {
	double seconds, speed; /* seconds of the demo; `speed` of them pass in one */
	uint64_t seed;
	bool plain; /* lines instead of a picture */
	struct sim_picture_style style;
	FILE *out;
	void (*over)(void *ctx);
	void *ctx;
};

struct sim_show *sim_show_new(uv_loop_t *loop, const struct sim_show_options *options);
/* For the driver's options: a decision was taken. */
void sim_show_decided(
    void *show, enum sim_decision decision, const struct sim_view_pod *pod, const char *node, const char *text);
/* The cluster is driven and berth is ready: begin. The fleet stays the caller's. */
void sim_show_begin(struct sim_show *show, struct sim_cluster *cluster, struct sim_fleet *fleet);
/* Stops playing and drawing; `over` is not called any more. */
void sim_show_end(struct sim_show *show);
/* The closing table; `state` is the body of berth's /v1/state, or empty. */
void sim_show_report(struct sim_show *show, struct slice state);
/* Before the cluster stops; frees on a later turn. */
void sim_show_free(struct sim_show *show);

#endif
