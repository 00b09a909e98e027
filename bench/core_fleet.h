/* What benchmarks of the core alone have in common: a fleet of nodes of 8 H100s, 16 to a rack, 8 racks to a block, 20
 * blocks to a zone, with pods that ask for nothing but GPUs and their share of the rest; a die; the thread's CPU time.
 * The pods that are made belong to the fleet and go with it. */
#ifndef BENCH_CORE_FLEET_H
#define BENCH_CORE_FLEET_H

#include "berth/decide.h"

#define CORE_RACK 16
#define CORE_BLOCK (8 * CORE_RACK)
#define CORE_ZONE (20 * CORE_BLOCK)

struct core_fleet {
	struct fleet *fleet;
	struct policy *policy; /* levels zone, block, rack; every term of the score with its default weight */
	uint64_t random;
	resource_id gpu;
	size_t pod_count, pod_room;
	struct pod **pods;
	unsigned serial;
};

/* The last of the classes is for all pods that name none. */
void core_fleet_open(
    struct core_fleet *made, unsigned seed, unsigned nodes, const char *const *classes, size_t class_count);
void core_fleet_close(struct core_fleet *made);

/* In a buffer of its own until the next call. */
const char *core_fleet_node(unsigned number);
/* Of no class: `class_` NULL. Appended to `pods`. */
struct pod *core_fleet_pod(struct core_fleet *made, int64_t gpus, const char *class_);
/* One on a host of all pods that this was said of, by anti-affinity. */
void core_fleet_keep_apart(struct pod *pod);

/* CPU in milli, memory in bytes. */
struct resources core_amounts(
    struct arena *arena, resource_id gpu, int64_t cpu, int64_t memory, int64_t pods, int64_t gpus);
/* splitmix64 (Steele, Lea, Flood, 2014) */
unsigned core_pick(uint64_t *random, unsigned below);
/* CPU time of the thread: the core waits for nothing but for neighbours on the machine. */
int64_t core_cpu_ns(void);
/* Sorts the values, and gives the one in the middle. */
double core_median(double *values, size_t count);

#endif
