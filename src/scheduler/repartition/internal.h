/* What the files of MIG by demand share: nodes that are cut anew or were, as their objects tell, the pods that wait for
 * GPUs, and the one write that may be under way. Nothing of it is kept while neither policy nor nodes have any. */
#ifndef SCHEDULER_REPARTITION_INTERNAL_H
#define SCHEDULER_REPARTITION_INTERNAL_H

#include "berth/repartition.h"
#include "cluster/repartition.h"
#include "scheduler/repartition/repartition.h"

#define REPARTITION_LOOK_MS 1000
#define REPARTITION_SOON_MS 50

/* A node with a record, or chosen to get one. */
struct repartition_node {
	char *name;
	struct repartition_record
	    record;           /* as its object has it; of one that was just chosen, what it is to begin with */
	bool chosen;          /* the write that begins it is due or under way */
	bool state_changed;   /* see struct repartition_view */
	int64_t idle_ns;      /* wall clock: since when no pod with GPUs is there; 0 = one is */
	uint64_t looked_back; /* the look that asked last who wants back what it had; 0 = none */
};

#define REPARTITION_WISHES_MAX 4096

/* A pod that asks for slices and found no room. */
struct repartition_wish {
	char *uid;
	int64_t since_ns;
	int64_t not_before_ns; /* no node was found for it: not sooner again */
	bool in_vain;          /* no node would do for it as it stands: one might be emptied */
	bool served;           /* by what is under way */
	char *demand;          /* what of it moves are made for goes by this */
};

struct repartitions {
	struct map nodes;                  /* name → struct repartition_node */
	struct map wishes;                 /* pod UID → struct repartition_wish */
	struct repartition_amounts wanted; /* what the pods of the wishes ask for in all */
	struct repartition_write *write;   /* under way, or NULL */
	char *trouble;                     /* why nodes cannot be changed, or NULL */
	int64_t not_before_ns;             /* no write sooner, by the monotonic clock */
	uint64_t looks;                    /* that asked so */
	size_t walk;                       /* where the next look goes on among pending pods */
};

/* repartition.c */
const struct policy_mig *repartition_rules(const struct scheduler *s, const struct node *node);
/* Pods with GPUs that stand on the node or are promised room there. */
size_t repartition_pods(const struct scheduler *s, const struct node *node);
/* A record was written, or could not be. */
void repartition_written(struct scheduler *s, const char *name, enum repartition_act act,
    const struct repartition_record *before, const struct repartition_record *after, const char *why);
void repartition_not_written(struct scheduler *s, const char *name);
struct repartition_node *repartition_note(struct scheduler *s, const char *name);
void repartition_drop(struct scheduler *s, struct repartition_node *noted);
void repartition_on_timer(uv_timer_t *timer);

/* wish.c: who waits, and what a node would be for them */
/* Forgets wishes that have come true, and adds up the others. */
void repartition_count_wishes(struct scheduler *s);
/* The pod of a wish, or NULL: it waits no more. */
const struct pod *repartition_waits(const struct scheduler *s, const struct repartition_wish *wish);
bool repartition_is_slice(const char *resource);
bool repartition_asks_for_any(
    const struct scheduler *s, const struct pod *pod, const struct repartition_amounts *amounts);
/* Whether one of the configurations gives any of what the pod asks for. */
bool repartition_could_give(const struct scheduler *s, const struct pod *pod, const struct policy_mig *rules);
bool repartition_finds_room(const struct scheduler *s, const struct pod *pod);
/* Whether it would fit on the node, were that to show this and nothing that has GPUs stood there. `milli`, if not NULL,
 * gets what it would take of the GPUs, in thousandths. */
bool repartition_would_fit(const struct scheduler *s, const struct pod *pod, const struct node *node,
    const struct repartition_amounts *amounts, int64_t *milli);
void repartition_add(struct repartition_amounts *sums, const char *resource, int64_t amount);
/* Whether a pod waits for any of this. */
bool repartition_is_wanted(const struct scheduler *s, const struct repartition_amounts *gives);
/* Whether a pod that waits for slices would fit on the node as it is. */
bool repartition_is_wanted_here(struct scheduler *s, struct node *node);
/* Whether a pod that waits for other GPUs than the node has would fit there if it had again what it had, or were cut
 * otherwise. */
bool repartition_is_wanted_back(struct scheduler *s, const struct node *node, const struct repartition_record *record);

/* choose.c */
/* How many nodes of the pool are cut anew by now, or were and are in use so. */
size_t repartition_in_use(const struct scheduler *s, uint16_t pool);
/* Where slices are short, a node that would do is noted as chosen. */
void repartition_choose(struct scheduler *s);
/* Pools whose configurations give what the pod of the wish asks for, for long enough by now, and that may have more
 * nodes cut. False: none. */
bool repartition_pools(
    const struct scheduler *s, const struct repartition_wish *wish, const struct pod *pod, bool open[POLICY_POOLS_MAX]);
/* The first configuration that gives the pod room on the node once nothing that has GPUs stands there, or NULL. */
const struct policy_mig_config *repartition_config_for(const struct scheduler *s, const struct pod *pod,
    const struct node *node, struct repartition_amounts *want, int64_t *milli);
/* Whether its label asks for the configuration by now: that is not likely to get more out of the manager. */
bool repartition_asks_already(const struct node *node, const struct policy_mig_config *config);
/* It is chosen to get that configuration, once the move has ended what stands there. False: it cannot be any more. */
bool repartition_choose_node(struct scheduler *s, struct node *node, const char *config, const char *move);

/* write.c: one write at a time: the node is read, and changed exactly as it was read */
void repartition_write_begin(
    struct scheduler *s, const struct repartition_node *noted, enum repartition_act act, const char *why);
void repartition_write_close(struct repartitions *all);

/* show.c */
void repartition_tell(struct scheduler *s, const char *name, enum repartition_act act,
    const struct repartition_record *before, const struct repartition_record *after, const char *why);

#endif
