/* What kube-scheduler keeps in its cache, for the players that schedule: every node with what is taken of it, every
 * pod, who is bound, who is assumed (chosen, its Binding under way) and who waits. Fed by the store directly, so it is
 * never behind. In-tree filters are here, too. Pointers to pods and nodes are valid until the event that says they are
 * gone. */
#ifndef SIM_VIEW_H
#define SIM_VIEW_H

#include <sys/queue.h>

#include "berth/map.h"
#include "berth/node.h"
#include "berth/pod.h"
#include "sim/store.h"

struct sim_view_node {
	char *name;
	struct node_spec *spec; /* NULL: only pods that name it are known */
	int64_t *used;          /* by resource id */
	size_t used_room;
	size_t pod_count; /* bound or assumed here, not terminal */
};

struct sim_view_pod {
	struct sim_version *version;
	struct pod *pod;
	struct sim_view_node *node; /* where it counts; NULL: nowhere */
	bool bound;                 /* has a nodeName; else, with a node, it is assumed there */
	bool listed;
	TAILQ_ENTRY(sim_view_pod) link; /* in the list of pending pods */
	void *data;                     /* the driver's */
};
TAILQ_HEAD(sim_view_pods, sim_view_pod);

enum sim_view_event {
	SIM_POD_SEEN,    /* new or changed, and not bound */
	SIM_POD_BOUND,   /* has a node now */
	SIM_POD_UPDATED, /* of a bound pod */
	SIM_POD_OVER,    /* has ended, or is gone: it counts no more. Said once */
	SIM_POD_GONE,    /* the pod is freed after this */
	SIM_NODE_SEEN,   /* new or changed */
	SIM_NODE_GONE,
};
typedef void sim_view_listener(
    void *ctx, enum sim_view_event event, struct sim_view_pod *pod, struct sim_view_node *node);

struct sim_view {
	struct sim_store *store;
	struct resource_names names;
	struct map nodes, pods;       /* by name; by uid */
	struct sim_view_pods pending; /* not bound, not terminal, oldest first */
	char **insufficient;          /* by resource id */
	size_t insufficient_room;
	size_t listener_count;
	struct {
		sim_view_listener *call;
		void *ctx;
	} listeners[4];
	unsigned long undecoded; /* objects that could not be read */
};

struct sim_view *sim_view_new(struct sim_store *store);
void sim_view_free(struct sim_view *view);
/* At most 4 listeners, each known by its ctx. They must not write to the store. */
void sim_view_listen(struct sim_view *view, sim_view_listener *listener, void *ctx);
void sim_view_unlisten(struct sim_view *view, const void *ctx);

struct sim_view_node *sim_view_node(const struct sim_view *view, const char *name);
/* Nodes that exist. */
size_t sim_view_node_count(const struct sim_view *view);
struct sim_view_pod *sim_view_pod(const struct sim_view *view, const char *uid);
/* Counts the pod on the node until it is bound, forgotten or gone. */
void sim_view_assume(struct sim_view *view, struct sim_view_pod *pod, struct sim_view_node *node);
void sim_view_forget(struct sim_view *view, struct sim_view_pod *pod);
/* NULL: the pod may run there. Else the constant text of the in-tree filter that says no. */
const char *sim_view_refusal(struct sim_view *view, const struct sim_view_pod *pod, const struct sim_view_node *node);

#endif
