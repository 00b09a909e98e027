/* A pod's demand, as k8s.io/component-helpers v0.36.3 resource.PodRequests gives it with the options of
 * kube-scheduler 1.36's defaults: status resources count (InPlacePodVerticalScaling), pod-level resources count
 * (PodLevelResources) and so does their status (InPlacePodLevelResourcesVerticalScaling); node-allocatable resource
 * claims do not (DRANodeAllocatableResources is off). The parts of a pod come in whatever order its JSON has;
 * demand_finish does the sums. Amounts are exact until then, so that two containers of 0.5m are 1m, as there. */
#ifndef CLUSTER_DEMAND_H
#define CLUSTER_DEMAND_H

#include "base/reader.h"
#include "berth/arena.h"
#include "berth/resources.h"
#include "cluster/quantity.h"

struct amount {
	resource_id id;
	quantity_nano nano;
};

/* A ResourceList: sorted by id, each once. */
struct amounts {
	size_t count, room;
	struct amount *items;
};

struct demand_container;
struct demand_status;

struct demand {
	struct arena *scratch; /* owns all below */
	struct resource_names *names;
	const char *trouble; /* constant text: what could not be read; NULL while all is well */
	size_t container_count, container_room, status_count, status_room;
	struct demand_container *containers;
	struct demand_status *statuses;
	struct amounts pod, pod_actuated, pod_allocated, overhead;
	bool resized; /* status.resources is there */
	bool resize_seen, resize_infeasible;
};

void demand_init(struct demand *demand, struct arena *scratch, struct resource_names *names);
/* Each passes the value of the field that it is named after. */
void demand_read_containers(
    struct demand *demand, struct reader *json, bool init);                 /* spec.containers, .initContainers */
void demand_read_pod_resources(struct demand *demand, struct reader *json); /* spec.resources */
void demand_read_overhead(struct demand *demand, struct reader *json);      /* spec.overhead */
void demand_read_container_statuses(
    struct demand *demand, struct reader *json, bool init);                    /* status.containerStatuses … */
void demand_read_status_resources(struct demand *demand, struct reader *json); /* status.resources */
void demand_read_allocated(struct demand *demand, struct reader *json);        /* status.allocatedResources */
void demand_read_conditions(struct demand *demand, struct reader *json);       /* status.conditions */
/* The sum, whole units rounded up; sets trouble when it does not fit int64 or is of too many kinds. */
void demand_finish(struct demand *demand, struct resource_list *list);

#endif
