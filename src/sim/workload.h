/* The demo's pods: a seeded stream of training, inference, fine-tuning and batch work, and some of another scheduler's.
 * The same seed gives the same stream. */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "sim/store.h"

enum sim_class { SIM_TRAINING, SIM_INFERENCE, SIM_FINETUNE, SIM_BATCH, SIM_OTHER, SIM_CLASS_COUNT };

/* Pod label that says which of these it is; for the picture and the table only. */
#define SIM_CLASS_LABEL "sim.berth.dev/class"

/* By the label's value; SIM_OTHER for NULL and anything unknown. */
enum sim_class sim_class_of(const char *name);

struct sim_workload;

/* New work arrives during `seconds`; run times are divided by `speed`. */
struct sim_workload *sim_workload_new(uint64_t seed, double seconds, double speed);
void sim_workload_free(struct sim_workload *workload);
/* Makes and deletes what is due at this second. */
BERTH_MUST_CHECK int sim_workload_play(
    struct sim_workload *workload, struct sim_store *store, double second, struct err *err);

#endif
