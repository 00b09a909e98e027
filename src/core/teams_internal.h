/* Inside the core: what teams use, and the places where fleet, ledger and waiting say that it changed. */
#ifndef CORE_TEAMS_INTERNAL_H
#define CORE_TEAMS_INTERNAL_H

#include "berth/fleet.h"
#include "berth/team.h"

struct teams {
	const struct policy *policy;
	int64_t *used;           /* team by team, pool by pool */
	double *spent;           /* team by team, GPU-seconds */
	int64_t settled_ns;      /* 0 = the clock has not begun */
	bool claims_only;        /* see team_claims_only */
	bool any_fell, all_fell; /* since teams__forget_fallen */
	bool *fell;              /* uses less of some pool than it did: its pods may fit where they were not allowed */
	struct map by_namespace; /* name → struct teams_namespace; forgotten with the policy */
};

static inline const struct policy_team *teams__at(const struct teams *teams, uint16_t team)
{
	return &teams->policy->teams[team];
}
static inline int64_t *teams__used(const struct teams *teams, uint16_t team, uint16_t pool)
{
	return &teams->used[(size_t)team * teams->policy->pool_count + pool];
}

static inline bool teams__class_allows(const struct policy_class *class_, uint16_t pool)
{
	bool allowed = !class_ || !class_->has_only;
	for (size_t i = 0; !allowed && i < class_->only_count; i++)
		allowed = class_->only[i] == pool;
	return allowed;
}

/* The nodes have their pools by the new policy already, and the old one is there yet. */
void teams__set_policy(struct fleet *fleet, const struct policy *policy);
void teams__free(struct fleet *fleet);
/* The entry joins its node, or leaves it; its demand is the same in both calls. */
void teams__join(struct fleet *fleet, struct ledger_entry *entry);
void teams__leave(struct fleet *fleet, struct ledger_entry *entry);
/* The node may be of another pool now, or have other GPUs. */
void teams__recount(struct fleet *fleet, struct node *node);
/* Counts so much more, or less, for the team and those above it, as no entry: the caller takes it back. */
void teams__add(struct fleet *fleet, uint16_t team, uint16_t pool, int64_t milli);

/* What a pod of the team may ask for in the pool; `own` is its entry, which does not stand in its way, or NULL. */
struct teams_gone { /* entries that are taken as gone */
	const struct ledger_entry *const *entries;
	size_t count;
};
int64_t teams__room(const struct fleet *fleet, uint16_t team, uint16_t pool, const struct ledger_entry *own,
    const struct teams_gone *gone);
/* Whether use fell of the team or of one above it. */
bool teams__fell(const struct fleet *fleet, uint16_t team);
/* All teams may have room. */
void teams__fell_all(struct fleet *fleet);
void teams__forget_fallen(struct fleet *fleet);

#endif
