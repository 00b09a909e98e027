/* The reservation ledger: everything promised, assumed or bound, on every node, whoever scheduled it. One entry a pod
 * UID. It is the only thing that counts: a node's `used` is the sum of its entries at any time.
 *
 *   planned  berth hinted a node; nobody has asked for it yet               expires
 *   assumed  filter answered it, or a Binding is under way                  expires, unless pinned
 *   bound    a Binding exists (made by us, or seen)                         does not expire; ends with the pod
 *
 * An entry goes forward by ledger_reserve with a later state, or on another node when it is not bound; it is never
 * counted twice. Times are nanoseconds of the caller's monotonic clock.
 *
 * Room without a pod stands in it, too, under an id of its own and with `hold` set: what headroom keeps free.
 *
 * Finding an entry, renewing it and looking for what has expired allocate nothing. */
#ifndef BERTH_LEDGER_H
#define BERTH_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/arena.h"
#include "berth/map.h"
#include "berth/node.h"
#include "berth/pod.h"
#include "berth/resources.h"

struct fleet;
struct traits; /* core/traits */

enum ledger_state { LEDGER_PLANNED, LEDGER_ASSUMED, LEDGER_BOUND };
const char *ledger_state_name(enum ledger_state state); /* "planned", … */

#define LEDGER_NEVER INT64_MAX
#define LEDGER_DEVICES_MAX 16

/* A part of a physical GPU whose identity is known. */
struct device_share {
	uint8_t index;
	uint8_t slices;   /* mask of MIG memory slices; 0 = not known or not sliced */
	int32_t milli;    /* milli-GPU */
	int32_t vram_mib; /* reserved memory; 0 = not limited */
};

struct ledger_entry {
	struct arena arena; /* owns the strings and the demand */
	const char *uid, *namespace_, *name;
	const char *owner_uid; /* siblings share it; NULL = none */
	struct node *node;
	struct resources demand;
	uint16_t demand_room;
	enum ledger_state state;
	bool hold; /* room without a pod */
	uint16_t
	    class_; /* of a pod of ours with GPUs, while the policy has headroom or reserves in time; else UINT16_MAX */
	bool ours;  /* its schedulerName is berth's */
	bool ending;              /* its pod is being deleted */
	bool endable;             /* see struct pod */
	bool pinned;              /* a call is under way: does not expire */
	uint16_t team, team_pool; /* for which it counts, see berth/team.h; TEAM_NONE: for nobody */
	int32_t team_milli;
	uint32_t mark;         /* the caller's: the list in which the pod was last seen; 0 = never */
	int64_t expires_ns;    /* LEDGER_NEVER unless it can expire */
	int64_t since_ns;      /* when it entered its state */
	int64_t ttl_ns;        /* what a renewal gives */
	int64_t began_ns;      /* when its pod began to run, or the entry was made */
	int64_t ends_ns;       /* when it is expected to end; LEDGER_NEVER = not known */
	struct traits *traits; /* of a bound pod of ours; else NULL */
	size_t device_count;
	struct device_share *devices;
	struct ledger_entry *node_next, **node_link;   /* entries of one node */
	struct ledger_entry *owner_next, **owner_link; /* entries of one owner */
	size_t heap_at;                                /* place in the expiry heap; SIZE_MAX = not in it */
};

struct ledger_owner;

struct ledger {
	struct map by_uid;
	struct map by_owner;        /* owner uid → struct ledger_owner */
	struct map traits;          /* packed text → struct traits, each kept once */
	struct ledger_entry **heap; /* by expires_ns */
	size_t heap_count, heap_room;
	size_t count[LEDGER_BOUND + 1]; /* entries by state */
};

/* Makes or moves the pod's entry. The node need not have room, nor a spec (what is bound is a fact): callers that
 * promise room have asked decide first. `ttl_ns` counts from now_ns for planned and assumed. Moving a bound entry to
 * another node, or back to an earlier state, is ignored, and the entry returned as it is. A node of that name is made
 * if there is none. */
struct ledger_entry *ledger_reserve(struct fleet *fleet, const struct pod *pod, struct slice node,
    enum ledger_state state, bool ours, int64_t now_ns, int64_t ttl_ns);
struct ledger_entry *ledger_find(const struct fleet *fleet, struct slice uid);
/* Frees the entry; its room counts as an improvement of its node. */
void ledger_release(struct fleet *fleet, struct ledger_entry *entry);
/* Starts the TTL anew. */
void ledger_renew(struct fleet *fleet, struct ledger_entry *entry, int64_t now_ns);
/* A pinned entry does not expire; unpinning starts the TTL anew. */
void ledger_pin(struct fleet *fleet, struct ledger_entry *entry, bool pinned, int64_t now_ns);
/* What is expected of the pod's run from its beginning on, by what is known now. */
void ledger_expect(struct ledger_entry *entry, const struct pod *pod, int64_t began_ns);
/* Replaces the demand of an entry (an in-place resize, a pod seen again). */
void ledger_update(struct fleet *fleet, struct ledger_entry *entry, const struct pod *pod);
/* When the next entry expires, or LEDGER_NEVER. */
int64_t ledger_next_expiry(const struct fleet *fleet);
/* The entry that has expired by now_ns, soonest first, or NULL; the caller releases it. */
struct ledger_entry *ledger_expired(const struct fleet *fleet, int64_t now_ns);
/* What is kept of a bound pod of ours: names, owner, labels, what it says of its class, what its Binding said, priority
 * and grace; the rest is 0. NULL for other entries. Valid until the entry changes; free with pod_free. */
struct pod *ledger_pod(const struct ledger_entry *entry);
/* The entries of one owner: first of a chain by owner_next. */
struct ledger_entry *ledger_siblings(const struct fleet *fleet, const char *owner_uid);

#endif
