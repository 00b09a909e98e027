/* The steps of a move: room is taken from units of work for pods that wait, and given back. What is to be done next
 * follows from what is known now; who does it, and knows, is the caller.
 *
 *   record    it is written down before anything else is done; its record goes last
 *   taint     only where a node is emptied so that its GPUs are cut anew: until nobody comes to it any more
 *   dry run   every act is tried without effect: what is refused is refused before anybody is told, and again before
 *             anything has ended
 *   notice    the pods of its units are told when they are to end …
 *   grace     … and have that time
 *   evict     first what cannot be resumed, and may be refused at any moment, …
 *   suspend   … then what can be
 *   empty     until the pods have ended: never by force
 *   cut       only where a node was emptied: until it shows what it is to give
 *   bind      until the waiting pods have their room, which is held for them from the first act on
 *   lent      what was suspended waits for the peak to be over
 *   return    and is resumed, unit by unit
 *   erase     nothing is left to be undone
 *   over
 *
 * On a refusal, on pods that do not end, and when nobody waits any more, a move stops: what it has suspended returns.
 */
#ifndef BERTH_MOVE_H
#define BERTH_MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(id, "name") */
#define MOVE_PHASES(X)                                                                                                 \
	X(RECORD, "record")                                                                                            \
	X(TAINT, "taint")                                                                                              \
	X(DRY_RUN, "dryRun")                                                                                           \
	X(NOTICE, "notice")                                                                                            \
	X(GRACE, "grace")                                                                                              \
	X(EVICT, "evict")                                                                                              \
	X(SUSPEND, "suspend")                                                                                          \
	X(EMPTY, "empty")                                                                                              \
	X(CUT, "cut")                                                                                                  \
	X(BIND, "bind")                                                                                                \
	X(LENT, "lent")                                                                                                \
	X(RETURN, "return")                                                                                            \
	X(ERASE, "erase")                                                                                              \
	X(OVER, "over")

enum move_phase {
#define X(id, name) MOVE_##id,
	MOVE_PHASES(X)
#undef X
};
const char *move_phase_name(enum move_phase phase);

/* X(id, "why a move stopped") */
#define MOVE_STOPS(X)                                                                                                  \
	X(NOT, "")                                                                                                     \
	X(REFUSED, "the API server refused one of its acts")                                                           \
	X(FAILED, "one of its acts could not be done in time")                                                         \
	X(STUCK, "pods did not end in time")                                                                           \
	X(RESUMED, "somebody resumed what was to end")                                                                 \
	X(UNBOUND, "the pods that it was for were not bound in time")                                                  \
	X(VANISHED, "the pods that it was for are gone")                                                               \
	X(SERVED, "the pods that it was for have room without it")                                                     \
	X(CALLED_OFF, "the policy makes no moves any more")                                                            \
	X(NOT_CUT, "the node was not cut into slices")

enum move_stop {
#define X(id, text) MOVE_STOP_##id,
	MOVE_STOPS(X)
#undef X
};
const char *move_stop_text(enum move_stop stop);

#define MOVE_DRY_NS INT64_C(8000000000)    /* for a dry run, tries included: other units are as good until then */
#define MOVE_ACT_NS INT64_C(60000000000)   /* for the acts of another phase, tries included */
#define MOVE_STUCK_NS INT64_C(60000000000) /* beyond the pods' own termination grace */
#define MOVE_BIND_NS INT64_C(120000000000) /* for the waiting pods to be bound */
#define MOVE_AGAIN_NS INT64_C(5000000000)  /* between tries */

/* How the node stands that is emptied. */
enum move_node {
	MOVE_NODE_OPEN,     /* as it was */
	MOVE_NODE_TAINTED,  /* waits for its pods to end */
	MOVE_NODE_APPLYING, /* is being cut */
	MOVE_NODE_CUT,      /* gives what it is to give */
	MOVE_NODE_LOST,     /* and will not */
};

struct move_steps {
	enum move_phase phase;
	enum move_stop stop;
	bool cuts;         /* it empties a node */
	bool resumed;      /* another process has begun it, and not ended yet */
	int64_t notice_ns; /* then: when the notice ends */
	bool told;         /* the notice was given */
	int64_t grace_ns;  /* of the notice; 0 = none is given */
	int64_t ends_ns;   /* the longest termination grace of its units' pods */
	int64_t until_ns;  /* of the phase, by the caller's clock; INT64_MAX = no end */
	int64_t again_ns;  /* the phase's acts are not tried again before */
};

/* What is known of it. `busy` to `failed` are of the acts of this phase: under way, refused for good, to be tried
 * again.
 */
struct move_facts {
	int64_t now_ns;
	bool busy, refused, failed;
	bool act;            /* the policy lets moves be made */
	bool quiet;          /* nobody has waited for room for so long that what was taken returns */
	bool served;         /* they have room that nothing had to end for */
	bool resumed;        /* by somebody else: pods of it do not end */
	enum move_node node; /* of one that empties a node */
	size_t wanting;      /* of the waiting pods: there, and not bound */
	size_t bound;        /* of them */
	size_t pods_left;    /* of the units that were ended: still there */
	size_t suspended;    /* units that it has suspended and not resumed */
};

/* What the caller is to do now. */
enum move_todo {
	MOVE_WAIT,
	MOVE_BEGIN, /* the phase was entered: its acts begin */
	MOVE_AGAIN, /* those acts of the phase that failed are tried again */
};

/* `cuts`: it empties a node. */
void move_begin(struct move_steps *steps, bool cuts, int64_t grace_ns, int64_t ends_ns, int64_t now_ns);
/* It is taken up by another process: `lent`, or with its acts still to be done, those that were done included. A
 * notice that was given ends at `notice_ns`; where one was still to be given, nothing was done. */
void move_resume(struct move_steps *steps, bool lent, bool cuts, int64_t grace_ns, int64_t ends_ns, int64_t notice_ns);
void move_resume_untold(struct move_steps *steps, bool cuts, int64_t grace_ns, int64_t ends_ns, int64_t now_ns);
/* Call again after MOVE_BEGIN: a phase may have nothing to do. */
enum move_todo move_step(struct move_steps *steps, const struct move_facts *facts);
/* Whether room is held for the waiting pods, be it by a node's taint. */
bool move_holds(const struct move_steps *steps);
/* Whether that room is counted: not while the node is still to be cut. */
bool move_has_room(const struct move_steps *steps);

#endif
