/* Nodes that kube-scheduler does not take, for a reason that berth does not see. Where other nodes are left it calls
 * filter without the planned one; where none is, it calls nobody, and only the pod's PodScheduled condition shows it.
 * The node is then not planned again for the member, for a while and up to a number of nodes. */
#include <string.h>

#include "base/log.h"
#include "scheduler/gang/internal.h"

/* What keeps a node from a pod may go unseen, too: for how long the node is not planned, doubled each time. A first
 * refusal may be of the moment alone, where kube-scheduler has not seen yet what berth has. */
#define FORGIVE_FIRST_NS (5 * NS_PER_S)
#define FORGIVE_MAX_NS (120 * NS_PER_S)

static uint64_t hash_of(const struct pod *pod)
{
	return pod->unschedulable ? map_hash(slice_of(pod->unschedulable)) : 0;
}

/* What berth itself answered in some earlier cycle says nothing of the plan. */
static bool is_ours(const char *text)
{
	for (enum reason reason = 0; reason < REASON_COUNT; reason++)
		if (reason != REASON_CODE_FITS && strstr(text, reason_text(reason)))
			return true;
	return false;
}

void gang_refused_begin(struct gang_member *member)
{
	member->unschedulable = hash_of(member->pod);
}

void gang_refused(struct scheduler *s, struct gang_member *member, const char *node)
{
	struct gang *gang = member->gang;
	int64_t now = clock_now();
	log_info("kube-scheduler does not take a planned node", "pod=%s/%s node=%s", member->pod->namespace_,
	    member->pod->name, node);
	gangs_refuse(member, node);
	gang->refused_ns = now;
	gang->refused_for_ns = gang->refused_for_ns > 0 ? gang->refused_for_ns : FORGIVE_FIRST_NS;
	gang->tried_at = UINT64_MAX;
	gang->not_before_ns = member->refused_count < GANG_REFUSED_MAX ? now : now + gang->refused_for_ns;
	gang_unplace(s, member);
	gangs_mark(s->gangs, gang);
}

static bool waits_for_its_cycle(const struct gang_member *member)
{
	return member->placed && member->told && !member->writing && member->state == GANG_LOOSE &&
	       member->pod->unschedulable;
}

static void refuse_its_node(struct scheduler *s, struct gang_member *member)
{
	const struct ledger_entry *entry = ledger_find(s->fleet, slice_of(member->pod->uid));
	if (entry && !entry->pinned && entry->state != LEDGER_BOUND)
		gang_refused(s, member, entry->node->name);
}

void gang_refused_look(struct scheduler *s, struct gang_member *member)
{
	uint64_t hash = hash_of(member->pod);
	if (!waits_for_its_cycle(member) || hash == member->unschedulable)
		return;
	member->unschedulable = hash;
	if (!is_ours(member->pod->unschedulable))
		refuse_its_node(s, member);
}

void gang_refused_all(struct scheduler *s, struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++)
		if (waits_for_its_cycle(gang->members[i]) && !is_ours(gang->members[i]->pod->unschedulable))
			refuse_its_node(s, gang->members[i]);
}

bool gang_refused_any(const struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++)
		if (gang->members[i]->refused_count > 0)
			return true;
	return false;
}

void gang_refused_forgive(struct gang *gang, int64_t now)
{
	if (gang->refused_ns == 0 || now - gang->refused_ns < gang->refused_for_ns)
		return;
	gang->refused_ns = 0;
	gang->refused_for_ns = gang->refused_for_ns < FORGIVE_MAX_NS / 2 ? 2 * gang->refused_for_ns : FORGIVE_MAX_NS;
	gang->tried_at = UINT64_MAX;
	for (size_t i = 0; i < gang->count; i++)
		gangs_forgive(gang->members[i]);
}
