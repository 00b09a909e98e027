/* Plays the kubelets of all nodes: a bound pod runs after a short start, succeeds when the time in its annotation
 * sim.berth.dev/run-for (seconds, fractions allowed) is over, and is gone a while after it was deleted, as long as its
 * annotation sim.berth.dev/stop-after says. */
#ifndef SIM_KUBELET_H
#define SIM_KUBELET_H

#include <uv.h>

#include "sim/store.h"

#define SIM_RUN_FOR "sim.berth.dev/run-for"
#define SIM_STOP_AFTER "sim.berth.dev/stop-after"

struct sim_kubelet;

struct sim_kubelet_options {
	unsigned start_ms; /* bound → Running; 0 = 200 */
	unsigned stop_ms;  /* deleted → gone; 0 = 300 */
};

struct sim_kubelet *sim_kubelet_start(
    uv_loop_t *loop, struct sim_store *store, const struct sim_kubelet_options *options);
/* Frees on a later turn of the loop; the store is not touched any more. */
void sim_kubelet_stop(struct sim_kubelet *kubelet);

#endif
