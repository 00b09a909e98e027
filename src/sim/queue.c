#include "sim/queue.h"

#include "base/clock.h"

void sim_queue_init(struct sim_queue *queue)
{
	*queue = (struct sim_queue){0};
	TAILQ_INIT(&queue->unschedulable);
}

void sim_queue_free(struct sim_queue *queue)
{
	sim_heap_free(&queue->active);
	sim_heap_free(&queue->backoff);
	sim_heap_free(&queue->errors);
}

void sim_queue_remove(struct sim_queue *queue, struct sim_queued *item)
{
	switch (item->place) {
	case SIM_ACTIVE:
		sim_heap_remove(&queue->active, &item->heap);
		break;
	case SIM_BACKOFF:
		sim_heap_remove(&queue->backoff, &item->heap);
		break;
	case SIM_ERROR_BACKOFF:
		sim_heap_remove(&queue->errors, &item->heap);
		break;
	case SIM_UNSCHEDULABLE:
		TAILQ_REMOVE(&queue->unschedulable, item, link);
		queue->unschedulable_count--;
		break;
	case SIM_NOT_QUEUED:
		break;
	}
	item->place = SIM_NOT_QUEUED;
}

static void activate(struct sim_queue *queue, struct sim_queued *item)
{
	sim_queue_remove(queue, item);
	item->place = SIM_ACTIVE;
	sim_heap_put(&queue->active, &item->heap, -(int64_t)item->priority, item->queued_ns);
}

void sim_queue_add(struct sim_queue *queue, struct sim_queued *item, int64_t now_ns)
{
	item->queued_ns = now_ns;
	activate(queue, item);
}

static void back_off(struct sim_queue *queue, struct sim_queued *item)
{
	sim_queue_remove(queue, item);
	item->place = SIM_BACKOFF;
	sim_heap_put(&queue->backoff, &item->heap, item->backoff_ns, 0);
}

static void move_due_errors(struct sim_queue *queue, int64_t now_ns)
{
	for (struct sim_heap_node *node; (node = sim_heap_first(&queue->errors)) && node->major <= now_ns;)
		activate(queue, sim_container_of(node, struct sim_queued, heap));
}

struct sim_queued *sim_queue_pop(struct sim_queue *queue, int64_t now_ns)
{
	move_due_errors(queue, now_ns);
	struct sim_heap_node *node = sim_heap_first(&queue->active);

	if (!node)
		node = sim_heap_first(&queue->backoff);
	if (!node)
		return NULL;
	struct sim_queued *item = sim_container_of(node, struct sim_queued, heap);

	sim_queue_remove(queue, item);
	item->popped_at = queue->events;
	return item;
}

static int64_t backoff_of(unsigned attempts)
{
	int64_t wait = SIM_BACKOFF_FIRST_NS;

	for (unsigned i = 1; i < attempts && wait < SIM_BACKOFF_MAX_NS; i++)
		wait *= 2;
	return wait < SIM_BACKOFF_MAX_NS ? wait : SIM_BACKOFF_MAX_NS;
}

void sim_queue_reject(struct sim_queue *queue, struct sim_queued *item, int64_t now_ns)
{
	item->errors = 0;
	item->rejections++;
	item->queued_ns = now_ns;
	item->backoff_ns = now_ns + backoff_of(item->rejections);
	if (item->popped_at != queue->events) {
		back_off(queue, item);
		return;
	}
	sim_queue_remove(queue, item);
	item->place = SIM_UNSCHEDULABLE;
	TAILQ_INSERT_TAIL(&queue->unschedulable, item, link);
	queue->unschedulable_count++;
}

void sim_queue_error(struct sim_queue *queue, struct sim_queued *item, int64_t now_ns)
{
	int64_t until = now_ns + backoff_of(++item->errors);

	item->queued_ns = now_ns;
	sim_queue_remove(queue, item);
	item->place = SIM_ERROR_BACKOFF;
	sim_heap_put(&queue->errors, &item->heap, (until + NS_PER_S - 1) / NS_PER_S * NS_PER_S, 0);
}

void sim_queue_wake(struct sim_queue *queue, struct sim_queued *item, int64_t now_ns)
{
	if (item->place != SIM_UNSCHEDULABLE)
		return;
	if (now_ns < item->backoff_ns)
		back_off(queue, item);
	else
		activate(queue, item);
}

void sim_queue_wake_all(struct sim_queue *queue, int64_t now_ns)
{
	queue->events++;
	for (struct sim_queued *item; (item = TAILQ_FIRST(&queue->unschedulable));)
		sim_queue_wake(queue, item, now_ns);
}

void sim_queue_flush(struct sim_queue *queue, int64_t now_ns)
{
	for (struct sim_queued *item;
	     (item = TAILQ_FIRST(&queue->unschedulable)) && now_ns - item->queued_ns >= SIM_UNSCHEDULABLE_MAX_NS;)
		sim_queue_wake(queue, item, now_ns);
}

int64_t sim_queue_next(const struct sim_queue *queue)
{
	const struct sim_heap_node *error = sim_heap_first(&queue->errors);
	const struct sim_queued *oldest = TAILQ_FIRST(&queue->unschedulable);
	int64_t next = error ? error->major : INT64_MAX;

	if (queue->active.count || queue->backoff.count)
		return 0;
	if (oldest && oldest->queued_ns + SIM_UNSCHEDULABLE_MAX_NS < next)
		next = oldest->queued_ns + SIM_UNSCHEDULABLE_MAX_NS;
	return next;
}
