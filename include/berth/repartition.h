/* MIG by demand: the GPUs of a node are cut anew where slices are short, and made whole again later. The cutting is
 * done by NVIDIA's MIG manager, which is asked by a label of the node and answers by another; it ends no pods, and
 * fails where one holds a GPU. What is to be done next with a node follows from its record, which stands on the node
 * itself and so outlives the process, and from what is seen now:
 *
 *   draining     the node is tainted; the GPU pods there are waited for, or ended by a move (berth/move.h) that the
 *                record names, before anything is touched
 *   applying     the label asks for the configuration; until the node shows what it is to have
 *   restoring    that failed, or took too long: the label is as it was before
 *   quarantined  that did not help either: the node is left alone until its quarantine ends
 *   applied      the taint is gone and pods use the slices; until whole GPUs are wanted back
 *   failed       the taint is gone and the node as it was, or somebody else's; it is not tried again for a while
 *
 * The manager's word alone proves nothing: "success" may stand there from the last time. What the node shows has to
 * fit, too. "failed" counts only once another word was seen since the label was written. Whoever else changes the
 * label, or takes the taint away, wins: the node is his. Times are of the wall clock. Nothing here allocates. */
#ifndef BERTH_REPARTITION_H
#define BERTH_REPARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/gpu.h"
#include "berth/ledger.h"
#include "berth/policy.h"

#define REPARTITION_KEY                                                                                                \
	"berth.dev/repartition" /* of the taint, of the annotation that holds the record, and, while there is the      \
	                           taint, of a label that names the phase */
#define MIG_CONFIG_LABEL "nvidia.com/mig.config"
#define MIG_STATE_LABEL "nvidia.com/mig.config.state"
#define MIG_RESOURCE_PREFIX "nvidia.com/mig-"
#define MIG_WHOLE_CONFIG "all-disabled" /* what a node without a label gets when its GPUs are to be whole again */

#define REPARTITION_AMOUNTS_MAX 16
#define REPARTITION_NAME_MAX 64 /* label values and names of resources have no more than 63 bytes */

/* X(id, "name") */
#define REPARTITION_PHASES(X)                                                                                          \
	X(NONE, "none")                                                                                                \
	X(DRAINING, "draining")                                                                                        \
	X(APPLYING, "applying")                                                                                        \
	X(RESTORING, "restoring")                                                                                      \
	X(QUARANTINED, "quarantined")                                                                                  \
	X(APPLIED, "applied")                                                                                          \
	X(FAILED, "failed")

enum repartition_phase {
#define X(id, name) REPARTITION_##id,
	REPARTITION_PHASES(X)
#undef X
	    REPARTITION_PHASE_COUNT
};
const char *repartition_phase_name(enum repartition_phase phase);
/* REPARTITION_NONE when there is none of that name. */
enum repartition_phase repartition_phase_named(struct slice name);

/* GPUs and slices of a node by resource. */
struct repartition_amounts {
	size_t count;
	struct repartition_amount {
		char resource[REPARTITION_NAME_MAX];
		int64_t amount;
	} items[REPARTITION_AMOUNTS_MAX];
};

struct repartition_record {
	enum repartition_phase phase;
	bool back;                            /* on the way back from `applied` */
	char to[REPARTITION_NAME_MAX];        /* configuration asked for, or in use */
	char from[REPARTITION_NAME_MAX];      /* the label before; "" = there was none */
	char state[REPARTITION_NAME_MAX];     /* the manager's word when the label was written */
	char move[REPARTITION_NAME_MAX];      /* that ends what stands there; "" = none, or it has become whole again */
	int64_t since_ns;                     /* when the phase began */
	struct repartition_amounts want, had; /* what the node is to show, and showed before */
};

/* What the move that the record names does. */
enum repartition_mover {
	REPARTITION_NO_MOVE, /* the record names none */
	REPARTITION_ENDS,    /* ends what stands there, or will */
	REPARTITION_EMPTIED, /* has ended it */
	REPARTITION_STOPPED, /* ends nothing any more */
};

/* What is seen of the node now. */
struct repartition_view {
	bool tainted;
	const char *config, *state; /* the labels, or NULL */
	bool state_changed;         /* the manager said something other than record->state since the phase began */
	const struct resource_names *names;
	const struct node_spec *spec;
	enum repartition_mover mover;
	size_t gpu_pods;                /* that stand there or are promised room, whoever scheduled them */
	int64_t idle_ns;                /* since when there are none; of no meaning while there are */
	bool wanted;                    /* somebody waits for what it is to give, and the policy allows it still */
	bool wanted_back;               /* somebody waits for what it had before */
	bool quarantined;               /* its quarantine is in force */
	bool may_quarantine;            /* the policy knows quarantine */
	const struct policy_mig *rules; /* of its pool, or NULL: it has none any more */
};

enum repartition_act {
	REPARTITION_WAIT,
	REPARTITION_TAINT,      /* none → draining: see repartition_begin; also applied → draining, back */
	REPARTITION_LABEL,      /* draining → applying */
	REPARTITION_ADMIT,      /* applying → applied, or none when it went back */
	REPARTITION_GIVE_UP,    /* draining → none, or applied: nothing was touched yet */
	REPARTITION_PUT_OFF,    /* draining → failed, or applied: its pods did not end in time */
	REPARTITION_RESTORE,    /* applying → restoring */
	REPARTITION_RESTORED,   /* restoring → failed, or applied */
	REPARTITION_QUARANTINE, /* restoring → quarantined */
	REPARTITION_RELEASE,    /* quarantined → failed, or applied */
	REPARTITION_LEAVE,      /* → failed, with the label as it is: somebody else has the node */
	REPARTITION_FORGET,     /* → none: there is nothing left to remember */
};
const char *repartition_act_name(enum repartition_act act);

/* What is to be done now; *why gets a constant text for people where it is worth one, else NULL. */
enum repartition_act repartition_next(
    const struct repartition_record *record, const struct repartition_view *view, int64_t now_ns, const char **why);
/* What the record says once it is done, and the label's value: NULL leaves it as it is, "" takes it away. */
struct repartition_record repartition_after(const struct repartition_record *record, enum repartition_act act,
    const char *state, int64_t now_ns, const char **label);
/* The same where no berth is left: nothing stays of what is under way. `config` is the label's value now, or NULL. */
struct repartition_record repartition_abandon(
    const struct repartition_record *record, const char *config, int64_t now_ns, const char **label);
/* Whether the node bears the taint in that phase. */
bool repartition_taints(enum repartition_phase phase);

/* --- which node, and what it would show --- */

/* Whether so many slices of each GPU of the model fit beside each other. Without `model` there is nothing to say: true.
 */
bool repartition_fits_model(const struct policy_mig_config *config, const struct gpu_model *model);
/* What GPUs and slices the node shows now: all of nvidia.com/gpu and nvidia.com/mig-*. False: more kinds than are kept,
 * or not all of them are in order. */
bool repartition_shown(
    const struct node_spec *spec, const struct resource_names *names, struct repartition_amounts *shown);
/* What it would show in that configuration. False: it cannot have it. */
bool repartition_wanted(
    const struct node_spec *spec, const struct policy_mig_config *config, struct repartition_amounts *want);
/* nvidia.com/gpu and nvidia.com/mig-* */
bool repartition_counts(const char *resource);
/* Whether it shows exactly this, and no other GPUs or slices. */
bool repartition_shows(
    const struct node_spec *spec, const struct resource_names *names, const struct repartition_amounts *amounts);
int64_t repartition_amount_of(const struct repartition_amounts *amounts, const char *resource);
/* Whether the node's GPUs are whole units in order, MIG is possible there by what it says, and nobody is at it. */
bool repartition_can(const struct node_spec *spec, const struct resource_names *names);
/* Whether it may be cut anew by what stands on it: it takes pods, nothing of GPUs is held, and whatever has GPUs there
 * is bound, berth's own, and expected to end. *free_ns gets when that is, by the ledger's clock; 0 = nothing is there.
 */
bool repartition_may(const struct node *node, int64_t now_ns, int64_t *free_ns);
/* Whether it takes pods, and is held for no gang: it may be cut anew once what has GPUs there is gone. */
bool repartition_is_open(const struct node *node);
/* The record of a beginning. */
void repartition_begin(struct repartition_record *record, const char *config, const char *label,
    const struct repartition_amounts *want, const struct repartition_amounts *had, int64_t now_ns);
/* What its GPUs cost in all: the cheapest node that would do is taken. */
double repartition_cost(const struct node_spec *spec);

#endif
