/* HorizontalPodAutoscalers (autoscaling/v2): how many replicas each wants of what it scales, also where it may not have
 * them. Fed by the watch on them.
 *
 * What its controller says in status, as Kubernetes 1.36 writes it (pkg/controller/podautoscaler/horizontal.go):
 * ScalingActive is not True while metrics cannot be read or the scale is 0, and the rest then stands as it was, so that
 * it says nothing. ScalingLimited is True in both directions: only TooManyReplicas and ScaleUpLimit are load that it
 * may not follow; TooFewReplicas is how each idle one stands, ScaleDownLimit one that shrinks slowly. currentMetrics
 * follow the order of spec.metrics. */
#ifndef CLUSTER_AUTOSCALER_H
#define CLUSTER_AUTOSCALER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "berth/arena.h"
#include "berth/slice.h"

#define AUTOSCALER_METRICS_MAX 32   /* of one that are looked at */
#define AUTOSCALER_TOLERANCE 0.1    /* a metric is over its target only beyond it, as for the controller */
#define AUTOSCALER_REPLICAS_MAX 1e6 /* that one can want */

struct autoscaler {
	struct arena arena; /* owns all below and itself */
	const char *namespace_, *name;
	const char *kind, *target; /* what it scales */
	int64_t current, desired;  /* replicas: as asked for now, and as it wants within its limits */
	bool active;               /* its metrics can be read */
	bool limited;              /* it wants more than it may have … */
	int64_t limited_ns;        /* … and has had as many replicas since, as far as was seen */
	double by_pod;     /* how far over its target a metric is that is an average over running pods; 0 = not */
	double by_replica; /* the same of one that is shared out over all replicas */
	uint64_t list;
};

struct autoscalers;

struct autoscalers *autoscalers_new(void);
void autoscalers_free(struct autoscalers *autoscalers);
/* A list begins; autoscalers_synced forgets what was not put since. */
void autoscalers_begin(struct autoscalers *autoscalers);
void autoscalers_synced(struct autoscalers *autoscalers);
BERTH_MUST_CHECK int autoscalers_put(
    struct autoscalers *autoscalers, struct slice json, int64_t now_ns, struct err *err);
BERTH_MUST_CHECK int autoscalers_remove(struct autoscalers *autoscalers, struct slice json, struct err *err);
size_t autoscalers_count(const struct autoscalers *autoscalers);
/* Walks them in no order; start with *cursor = 0. They live until the next change. */
const struct autoscaler *autoscalers_next(const struct autoscalers *autoscalers, size_t *cursor);

/* Replicas that the load calls for, of which `running` are there: what it wants within its limits, more where a metric
 * is over its target, and at least one more where it says that it is limited. One that has been so for longer than
 * AUTOSCALER_LIMITED_NS without a change of its replicas is at its bound for good: that is no peak, and what it may not
 * have counts no more. (The condition's own time says less: it stays where the bound below becomes the one above.)
 * 0 = it says nothing. */
#define AUTOSCALER_LIMITED_NS INT64_C(3600000000000)
int64_t autoscaler_wants(const struct autoscaler *autoscaler, int64_t running, int64_t now_ns);

#endif
