/* Signals of load: what says that a class needs more GPUs than it has, and how headroom follows that. A reading is a
 * number with the time at which it was known; who reads it, and from where, is the caller's. One that is too old says
 * nothing.
 *
 * What headroom follows is never below what its rule says anyway and never above the rule's `follow.max`. It grows at
 * once. It shrinks only after it was too much for all of `hold`, and then to the most that was wanted in that time, so
 * that a signal that swings does not make it swing.
 *
 * Pure: times come from the caller, by one clock. */
#ifndef BERTH_SIGNAL_H
#define BERTH_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/policy.h"
#include "berth/resources.h"

struct fleet;

#define SIGNAL_GPUS_MAX 1000000 /* that one signal can ask for */

struct signal_reading {
	bool known; /* something was read at all */
	double value;
	int64_t at_ns;
};

bool signal_fresh(const struct signal_reading *reading, int64_t now_ns, int64_t stale_after_ns);
/* GPUs that the value says are wanted beyond what the class uses: rounded up, nothing for what is no number. */
int64_t signal_wants(const struct policy_signal *signal, double value);
/* Whether the value says that the peak is on. */
bool signal_peaks(const struct policy_signal *signal, double value);

struct signal_follow {
	int64_t floor;   /* GPUs in all, those that the class uses included; 0 = it follows nothing */
	int64_t more;    /* what the signals said last: GPUs beyond what the class used then, … */
	int64_t base;    /* … which was so much */
	int64_t read_ns; /* when they said so */
	int64_t used;    /* what it uses now */
	bool less;       /* less than the floor is wanted, and that since */
	int64_t since_ns;
	int64_t most; /* of what was wanted since */
};

/* The floor from now on, where `wanted` GPUs in all are wanted. */
int64_t signal_follow_step(struct signal_follow *follow, int64_t wanted, int64_t now_ns, int64_t hold_ns);
/* When the floor may shrink though nothing changes; INT64_MAX = not by itself. */
int64_t signal_follow_due(const struct signal_follow *follow, int64_t hold_ns);

/* GPUs, slices and shares that a pod asks for. */
int64_t signal_gpus_of(const struct fleet *fleet, const struct resources *demand);

#endif
