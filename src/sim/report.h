/* The demo's last page: what became of each class, which pods wait and why, whether anything was over-committed. */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include <stdio.h>

#include "sim/cluster.h"
#include "sim/tally.h"

#define SIM_REPORT_REASONS_MAX 12 /* reasons that are listed */
#define SIM_REPORT_NAMES_MAX 4    /* pods named under each */

/* `state` is the body of berth's /v1/state; empty when it could not be had. */
void sim_report(
    struct sim_cluster *cluster, const struct sim_tally *tally, double speed, struct slice state, FILE *out);

#endif
