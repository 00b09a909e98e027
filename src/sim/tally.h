/* Counts the demo's pods by class: submitted, placed, finished, waiting, and how long they waited. */
#ifndef SIM_TALLY_H
#define SIM_TALLY_H

#include "base/buf.h"
#include "sim/view.h"
#include "sim/workload.h"

struct sim_tally;

struct sim_tally_class {
	size_t submitted, placed, finished, waiting;
	double median_wait_s; /* of those placed; < 0: none */
};

struct sim_tally *sim_tally_new(struct sim_view *view);
/* Before the view. */
void sim_tally_free(struct sim_tally *tally);
struct sim_tally_class sim_tally_class(const struct sim_tally *tally, enum sim_class class_);
/* Whether the pod's waiting was told of before; it is from now on. */
bool sim_tally_told(struct sim_tally *tally, const char *uid);
/* Times in the demo's seconds: `speed` of them pass in one. */
void sim_tally_table(const struct sim_tally *tally, double speed, struct buf *out);

#endif
