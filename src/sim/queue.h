/* kube-scheduler's scheduling queue: the active heap (priority, then time), those that back off after a rejection,
 * those that back off after an error, and the rejected ones that wait to be woken. Times are nanoseconds of clock_now.
 */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include <sys/queue.h>

#include "sim/heap.h"

#define SIM_BACKOFF_FIRST_NS INT64_C(1000000000)
#define SIM_BACKOFF_MAX_NS INT64_C(10000000000)
#define SIM_UNSCHEDULABLE_MAX_NS INT64_C(300000000000) /* flushed then, whatever happened */

enum sim_queue_place { SIM_NOT_QUEUED, SIM_ACTIVE, SIM_BACKOFF, SIM_ERROR_BACKOFF, SIM_UNSCHEDULABLE };

struct sim_queued {
	enum sim_queue_place place;
	struct sim_heap_node heap;
	TAILQ_ENTRY(sim_queued) link;
	int32_t priority;
	int64_t queued_ns;           /* when it entered the active heap: order among equals */
	int64_t backoff_ns;          /* until when it backs off */
	unsigned rejections, errors; /* errors in a row */
	uint64_t popped_at;          /* the queue's count of events when its cycle began */
};
TAILQ_HEAD(sim_queued_list, sim_queued);

struct sim_queue {
	struct sim_heap active, backoff, errors;
	struct sim_queued_list unschedulable;
	size_t unschedulable_count;
	uint64_t events; /* wake-ups of everybody so far */
};

void sim_queue_init(struct sim_queue *queue);
void sim_queue_free(struct sim_queue *queue);
void sim_queue_add(struct sim_queue *queue, struct sim_queued *item, int64_t now_ns);
void sim_queue_remove(struct sim_queue *queue, struct sim_queued *item);
/* The next to try, taken out: of the active ones, else, at once, of those that back off after a rejection; those after
 * an error when their time has come. NULL when there is none. */
struct sim_queued *sim_queue_pop(struct sim_queue *queue, int64_t now_ns);
/* The pod fitted nowhere. If something happened during its cycle it backs off, else it waits. */
void sim_queue_reject(struct sim_queue *queue, struct sim_queued *item, int64_t now_ns);
/* Its cycle or its binding failed: 1, 2, 4 … 10 s, in whole seconds, that nothing shortens. */
void sim_queue_error(struct sim_queue *queue, struct sim_queued *item, int64_t now_ns);
/* Lets a waiting pod be tried again. */
void sim_queue_wake(struct sim_queue *queue, struct sim_queued *item, int64_t now_ns);
void sim_queue_wake_all(struct sim_queue *queue, int64_t now_ns);
/* Wakes what has waited for too long. */
void sim_queue_flush(struct sim_queue *queue, int64_t now_ns);
/* When there will be something to pop, or flush; INT64_MAX for never. */
int64_t sim_queue_next(const struct sim_queue *queue);

#endif
