/* The extender/v1 wire types of kube-scheduler: requests are read with the pull reader where they stand, replies are
 * written straight into a buffer. Slices point into the request's body. Keys are the Go field names; of duplicate keys
 * the last counts. Nothing is allocated but from the arena, and by the buffer as it grows; wire_read_preempt takes one
 * table more, of the nodes' names. */
#ifndef EXTENDER_WIRE_H
#define EXTENDER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "berth/arena.h"
#include "berth/slice.h"

#define WIRE_NAMES_MAX 1000000 /* node names in one call; a body of the maximum size holds fewer in practice */

/* filter and prioritize */
struct wire_args {
	struct slice pod; /* JSON object */
	bool by_name;     /* NodeNames was given (else Nodes, whole) */
	size_t count;
	struct slice *items; /* by name: the names, unescaped; whole: the JSON of each Node. In the arena */
};

struct wire_bind {
	struct slice pod_name, pod_namespace, pod_uid, node; /* unescaped, in the arena where they had escapes */
};

struct wire_victims {
	struct slice node;
	size_t uid_count;
	struct slice *uids;
	int64_t pdb_violations;
};

struct wire_preempt {
	struct slice pod;
	size_t count;
	struct wire_victims *nodes; /* from NodeNameToMetaVictims, or from NodeNameToVictims with the pods' UIDs */
};

/* ERR_INPUT with a text for a 400 answer: bad JSON (and where), a missing or null member, a wrong type, a NUL in a
 * name. Both lists of nodes null is a missing member; both given: NodeNames and NodeNameToMetaVictims win. */
BERTH_MUST_CHECK int wire_read_args(struct slice body, struct arena *arena, struct wire_args *args, struct err *err);
BERTH_MUST_CHECK int wire_read_bind(struct slice body, struct arena *arena, struct wire_bind *bind, struct err *err);
BERTH_MUST_CHECK int wire_read_preempt(
    struct slice body, struct arena *arena, struct wire_preempt *preempt, struct err *err);

/* One failed node: its name (as in the request, raw) and a constant text. */
struct wire_refusal {
	struct slice node;
	const char *text;
};

/* {"Nodes":null,"NodeNames":[…],"FailedNodes":null,"FailedAndUnresolvableNodes":{…},"Error":""}; null instead of a map
 * without refusals. */
void wire_write_names(struct buf *out, const struct slice *names, size_t count, const struct wire_refusal *refusals,
    size_t refusal_count);
/* The same with Nodes.items: whole objects as they came. */
void wire_write_nodes(struct buf *out, const struct slice *nodes, size_t count, const struct wire_refusal *refusals,
    size_t refusal_count);
struct wire_score {
	struct slice host;
	int64_t score; /* 0..10 */
};
void wire_write_scores(struct buf *out, const struct wire_score *scores, size_t count);
/* {"Error":"…"}; "" for success. */
void wire_write_bind(struct buf *out, const char *error);
/* {"NodeNameToMetaVictims":{node:{"Pods":[{"UID":"…"}],"NumPDBViolations":0}}}; {} inside for none. */
void wire_write_victims(struct buf *out, const struct wire_victims *nodes, size_t count);

#endif
