#include "sim/foreign.h"

#include <stdlib.h>

#include "sim/podwrite.h"

#define PERIOD_MS 50
#define SCHEDULER "default-scheduler"

struct sim_foreign {
	struct sim_view *view;
	const struct sim_driver *driver;
	uv_timer_t timer;
};

static struct sim_view_node *first_fit(struct sim_view *view, const struct sim_view_pod *pod)
{
	struct sim_view_node *first = NULL;
	size_t cursor = 0;

	for (struct sim_view_node *node; (node = map_next(&view->nodes, &cursor));)
		if ((!first || strcmp(node->name, first->name) < 0) && !sim_view_refusal(view, pod, node))
			first = node;
	return first;
}

static bool is_mine(const struct sim_view_pod *pod)
{
	return pod->pod->scheduler && strcmp(pod->pod->scheduler, SCHEDULER) == 0 && !pod->pod->gated &&
	       !pod->pod->deleting;
}

static void tick(uv_timer_t *timer)
{
	struct sim_foreign *foreign = timer->data;
	struct sim_view_pod *pod, *next;

	if (foreign->driver && sim_driver_busy(foreign->driver))
		return;
	/* A binding takes the pod off this list; the one after it stays. */
	for (pod = TAILQ_FIRST(&foreign->view->pending); pod; pod = next) {
		struct sim_view_node *node;
		struct err err;

		next = TAILQ_NEXT(pod, link);
		if (!is_mine(pod) || !(node = first_fit(foreign->view, pod)))
			continue;
		json_auto_t *tree = sim_store_tree(pod->version);

		if (sim_pod_bind(foreign->view->store, tree, node->name, NULL, &err) != 0)
			return;
	}
}

struct sim_foreign *sim_foreign_start(uv_loop_t *loop, struct sim_view *view, const struct sim_driver *driver)
{
	struct sim_foreign *foreign = xcalloc(1, sizeof *foreign);

	foreign->view = view;
	foreign->driver = driver;
	uv_timer_init(loop, &foreign->timer);
	foreign->timer.data = foreign;
	uv_timer_start(&foreign->timer, tick, PERIOD_MS, PERIOD_MS);
	return foreign;
}

static void free_foreign(uv_handle_t *handle)
{
	free(handle->data);
}

void sim_foreign_stop(struct sim_foreign *foreign)
{
	uv_close((uv_handle_t *)&foreign->timer, free_foreign);
}
