/* Teams: how much of each pool the namespaces of a team use, what they are guaranteed, and where they stop.
 *
 * All amounts are thousandths of a GPU: a whole GPU is 1000, a share or a MIG instance its part of one. Use is never
 * counted apart: each entry of the ledger says what it counts for, and the sums follow the ledger's own changes. What a
 * team uses includes what the teams below it use. A node in no pool counts for nobody. Without teams in the policy
 * nobody has a team, nothing is counted, and every function here answers at once.
 *
 * Namespaces that no team names are one team, "unlisted", the last.
 *
 * Spent is use over time, in GPU-seconds above the guarantee, of which half is forgotten in TEAM_HALF_LIFE_NS. It
 * orders those who borrow. */
#ifndef BERTH_TEAM_H
#define BERTH_TEAM_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/node.h"
#include "berth/resources.h"

#define TEAM_NONE UINT16_MAX
#define TEAM_NO_BOUND INT64_MAX
#define TEAM_HALF_LIFE_NS (INT64_C(24) * 3600 * 1000000000)

struct fleet;
struct ledger_entry;
struct pod;

/* Index into the policy's teams; TEAM_NONE where it has none, and of no namespace (""). Room held for a class counts
 * for no team. */
uint16_t team_of(const struct fleet *fleet, const char *namespace_);
/* What the demand takes of the node's GPUs. */
int64_t team_milli(const struct node *node, const struct resources *demand);
/* What all GPUs of the node come to. */
int64_t team_whole_node(const struct node *node);

int64_t team_used(const struct fleet *fleet, uint16_t team, uint16_t pool);
/* What it may take yet until its own limit or that of a team above it; below 0 where it is over one. */
int64_t team_room(const struct fleet *fleet, uint16_t team, uint16_t pool);
/* The limit that is nearest, of the team itself or of one above it; `asked` is the caller's. False: there is none. */
struct team_bound {
	uint16_t team, pool;
	int64_t used, limit, asked;
};
bool team_bound_of(const struct fleet *fleet, uint16_t team, uint16_t pool, struct team_bound *bound);
/* What a demand takes at least on a node of the pool; TEAM_NO_BOUND where no placeable node has all that it asks for.
 */
int64_t team_least(const struct fleet *fleet, uint16_t pool, const struct resources *demand);
/* Of the pools that the team's bounds keep the pod out of, the one where the least is missing. */
bool team_bound_for(const struct fleet *fleet, const struct pod *pod, struct team_bound *bound);
/* How far it is below what it is guaranteed: by itself, or by a team above it where its siblings leave something. */
int64_t team_claim(const struct fleet *fleet, uint16_t team, uint16_t pool);
/* How far it is above: what others may claim back. Never above 0 together with the claim of the same pool. */
int64_t team_borrowed(const struct fleet *fleet, uint16_t team, uint16_t pool);
/* The same for one entry of the ledger: what its pod counts for, and of whom. 0 where it counts for nobody. */
int64_t team_entry(const struct ledger_entry *entry, uint16_t *team, uint16_t *pool);

/* Whether the pod could stand within its team's guarantee in some pool that its class allows and that has such GPUs. */
bool team_may_claim(const struct fleet *fleet, const struct pod *pod);
/* Who of two teams that borrow goes first: negative a, positive b, 0 as good. The one that has spent least for its
 * weight; of teams below different ones, those are compared. */
int team_order(const struct fleet *fleet, uint16_t a, uint16_t b);

/* Counts what was used until now; to be called every few seconds. The first call only starts the clock. */
void team_settle(struct fleet *fleet, int64_t now_ns);
/* What is left of it after that time. */
double team_faded(double gpu_seconds, int64_t age_ns);
double team_spent(const struct fleet *fleet, uint16_t team);
void team_set_spent(struct fleet *fleet, uint16_t team, double gpu_seconds);

/* While true, judge takes pods only where they stay within their team's guarantee. */
void team_claims_only(struct fleet *fleet, bool on);

#endif
