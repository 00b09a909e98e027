/* The scheduler and an embedded API server on one loop of one process, under a clock that moves only when the test says
 * so: every timer fires at its time, nothing waits. Beside it stands what the test knows by itself: the objects as it
 * wrote them, and what the verbs have promised. */
#ifndef TEST_PROPERTY_SCHEDULER_WORLD_H
#define TEST_PROPERTY_SCHEDULER_WORLD_H

#include <jansson.h>

#include "http/client.h"
#include "scheduler/internal.h"
#include "sim/api.h"

#include "engine.h"

#define NODES 5
#define PODS 12
#define CALLS 8    /* binds under way at a time */
#define LIVES 1024 /* pods ever created: each has its uid */
#define TTL_NS (30 * NS_PER_S)
#define TTL_VOLUMES_NS (90 * NS_PER_S)
#define GRACE_S 20
#define GPU "nvidia.com/gpu"
#define NAMESPACE "d"

/* The policies: anything goes; urgent may preempt batch; urgent may have L4 only. */
enum { POLICY_OPEN, POLICY_PREEMPT, POLICY_NARROW, POLICIES };

struct node_object {
	bool there;
	int gpus;
	bool ready, cordoned, tainted;
	unsigned label;
};

/* One pod from its creation to its end; its name may be another's later. */
struct life {
	char uid[40];
	int pod, gpus, milli_cpu, priority;
	bool ours, urgent, volumes;
	bool shown; /* it was in the store at some time: some lives are only ever named by verbs */
	bool late;  /* a verb named it when it was not there, or had ended */
	bool there, ended, deleting;
	int node, last_node; /* -1 = not bound, never bound */
	/* What berth has said. */
	int promised;         /* node, or -1 */
	bool required;        /* the room must be in the ledger, there, until then */
	int64_t until_ns;     /* it may be in the ledger so long */
	bool may_be_anywhere; /* by a bind to another node, or a hint */
	bool preempts;
	/* As the check before saw it. */
	int seen_state, seen_node;
};

struct bind_call {
	bool busy, done;
	int life, node;
	int64_t done_ns;
	char error[256];
	unsigned status;
};

struct answer {
	bool done;
	unsigned status; /* 0 = none */
	json_t *body;
};

struct sched_world {
	uv_loop_t loop;
	struct sim_store *store;
	struct sim_api *api;
	struct http_client *client;
	struct kube_config kube;
	struct catalogue *catalogue;
	struct scheduler *scheduler;
	char server[64], policy_file[64];
	int policy;
	struct node_object nodes[NODES];
	int pods[PODS]; /* life of the pod of that number, or -1 */
	struct life lives[LIVES];
	int life_count;
	struct bind_call calls[CALLS];
	int64_t lag_until_ns; /* events may still be under way */
	bool lags;
	int64_t blind_ns; /* when the pods' watch was last without contact: no reservation ends then, its time starts
	                     anew */
	bool disturbed;   /* in this step room may have shrunk under what was promised */
	uint64_t steps;
};

extern int64_t property_clock_ns;

/* Runs the loop until nothing is left to do at this time. */
void settle(struct sched_world *w);
/* Lets time pass; all timers fire at their times. */
void pass_time(struct sched_world *w, int64_t ns);

struct scheduler *start_scheduler(struct sched_world *w);
void stop_scheduler(struct sched_world *w, struct scheduler *scheduler);
void write_policy(struct sched_world *w, int policy);

/* Both watches have contact and nothing is held back: what the store has, the scheduler knows. */
bool caught_up(const struct sched_world *w);

/* POST to a verb; settles. The answer's body is the caller's. */
struct answer call_verb(struct sched_world *w, const char *verb, json_t *body);
/* POST to bind; goes on by itself. False when too many are under way. */
bool start_bind(struct sched_world *w, int life, int node);
/* Of this life. */
bool bind_under_way(const struct sched_world *w, int life);

const char *node_name(int node); /* "n0" */
int node_of_name(const char *name);
const char *pod_name(int pod); /* "p0" */
int life_of_uid(const struct sched_world *w, const char *uid);
json_t *node_json(const struct sched_world *w, int node);
json_t *pod_json(const struct sched_world *w, int life);
/* The store's, else one made up. */
json_t *pod_as_called(const struct sched_world *w, int life);
int64_t ttl_of(const struct life *life);

json_t *read_state(struct scheduler *scheduler);
json_t *entry_in(json_t *state, const char *uid);
/* In the scheduler's own numbers, before a call: what the pod asks is free on the node, its own entry not counted. */
bool has_room(json_t *state, const struct life *life, int node);
/* The node takes the pod, as far as its object and the policy say. */
bool admits(const struct sched_world *w, const struct life *life, int node);

/* What must hold of /v1/state, recomputed from its own entries, from the store and from the promises. */
void check_state(struct sched_world *w);
/* A second scheduler, started from the API objects alone, knows the same but for what was only promised. */
void check_rebuilt(struct sched_world *w);

#endif
