/* What the watches show, applied to the state. A list does not empty anything: objects are marked with the number of
 * the list that shows them, and what the finished list did not show is gone. */
#include <stdlib.h>

#include "base/log.h"
#include "base/reader.h"
#include "cluster/node.h"
#include "cluster/pod.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/move.h"
#include "scheduler/repartition/repartition.h"
#include "scheduler/signal/signal.h"

#define LIST_NS (30 * NS_PER_S) /* a list's first page comes sooner after it was asked for */

/* The object's name or UID without decoding the rest. */
static struct slice metadata_text(struct slice object, const char *field)
{
	struct reader json;
	struct slice key, text = {NULL, 0};
	reader_open(&json, object);
	if (!reader_object(&json))
		return text;
	while (reader_key(&json, &key)) {
		if (!slice_is(key, "metadata") || reader_peek(&json) != READER_OBJECT) {
			reader_skip(&json);
			continue;
		}
		reader_object(&json);
		while (reader_key(&json, &key)) {
			if (slice_is(key, field))
				reader_string(&json, &text);
			else
				reader_skip(&json);
		}
	}
	return text;
}

/* --- nodes --- */

static void nodes_begin(void *ctx)
{
	struct scheduler *s = ctx;
	s->node_list++;
}

static void forget_node(struct scheduler *s, struct slice name)
{
	struct node *node = fleet_find(s->fleet, name);
	if (!node || !node->spec)
		return;
	waiting_forget_node(s->waiting, node);
	quarantine_node_gone(s, node->name);
	repartition_node_gone(s, node->name);
	fleet_remove_node(s->fleet, name);
	gang_node_lost(s);
}

static void nodes_object(void *ctx, enum kube_change change, struct slice object)
{
	struct scheduler *s = ctx;
	struct err err;
	if (change == KUBE_DELETED) {
		forget_node(s, metadata_text(object, "name"));
		return;
	}
	struct node_spec *spec = cluster_node_decode(object, &s->fleet->names, &s->catalogue->gpus, &err);
	if (!spec) {
		log_error("a node cannot be read", "error=%s", log_quote(err.text));
		return;
	}
	const struct node *before = fleet_find(s->fleet, slice_of(spec->name));
	bool was_avoided = before && before->avoided;
	struct node *node = fleet_put_node(s->fleet, spec);
	node->mark = s->node_list;
	if (node->avoided && !was_avoided)
		gang_node_lost(s);
	quarantine_node_seen(s, node);
	repartition_node_seen(s, node);
	wake_soon(s, REASON_CODE_WAKE_NODE);
}

static void nodes_synced(void *ctx)
{
	struct scheduler *s = ctx;
	size_t cursor = 0, count = 0;
	struct slice *gone = xcalloc(s->fleet->nodes.count + 1, sizeof *gone);
	for (struct node *node; (node = map_next(&s->fleet->nodes, &cursor));)
		if (node->spec && node->mark != s->node_list)
			gone[count++] = slice_of(node->name);
	while (count > 0)
		forget_node(s, gone[--count]);
	free(gone);
	s->nodes_synced = true;
	quarantine_nodes_listed(s);
	s->nodes_due = false;
	headroom_look(s);
	log_info("nodes listed", "nodes=%zu", fleet_node_count(s->fleet));
	/* Whichever of the two first lists ends last: what waited for both goes on now. */
	wake_soon(s, REASON_CODE_WAKE_NODE);
	hint_soon(s);
	lease_take_up(s);
}

const struct kube_watch_handlers feed_nodes = {.begin = nodes_begin, .object = nodes_object, .synced = nodes_synced};

/* --- pods --- */

static void pods_begin(void *ctx)
{
	struct scheduler *s = ctx;
	s->pod_list++;
	s->pod_list_began = clock_now();
}

/* Its room and its turn are for others now. */
static void let_go(struct scheduler *s, struct slice uid, enum reason why)
{
	struct ledger_entry *entry = ledger_find(s->fleet, uid);
	struct tracked *tracked = roster_find(s->roster, uid);
	if (entry || waiting_find(s->waiting, uid))
		wake_soon(s, why);
	waiting_remove(s->waiting, uid);
	moves_changes(s, uid);
	if (entry)
		ledger_release(s->fleet, entry);
	if (tracked)
		roster_remove(s->roster, tracked);
}

void feed_forget(struct scheduler *s, struct slice uid, enum reason why)
{
	gang_reserve_changes(s, uid);
	bind_pod_gone(s, uid);
	gang_gone(s, uid);
	moves_gone(s, uid);
	signals_gone(s, uid);
	let_go(s, uid, why);
}

static void pod_ended(struct scheduler *s, struct pod *pod)
{
	struct slice uid = slice_of(pod->uid);
	runs_ended(s, pod);
	gang_reserve_changes(s, uid);
	if (gang_ended(s, pod)) {
		bind_pod_gone(s, uid);
		moves_gone(s, uid);
		signals_gone(s, uid);
		let_go(s, uid, REASON_CODE_WAKE_ROOM);
	} else {
		feed_forget(s, uid, REASON_CODE_WAKE_ROOM);
		pod_free(pod);
	}
}

static void pod_bound(struct scheduler *s, struct pod *pod)
{
	struct slice uid = slice_of(pod->uid);
	struct ledger_entry *entry = ledger_find(s->fleet, uid);
	if (scheduler_owns(pod))
		owners_resolve(s->owners, pod); /* what tells its class, should it be a victim */
	gang_resolve(s, pod);
	if (entry && entry->state == LEDGER_BOUND)
		ledger_update(s->fleet, entry, pod);
	else
		entry = ledger_reserve(
		    s->fleet, pod, slice_of(pod->node), LEDGER_BOUND, scheduler_owns(pod), clock_now(), 0);
	entry->mark = s->pod_list;
	runs_bound(s, pod, entry);
	gang_reserve_changes(s, uid);
	moves_changes(s, uid);
	moves_saw(s, pod);
	signals_saw(s, pod);
	waiting_remove(s->waiting, uid);
	bool taken = gang_bound(s, pod);
	struct tracked *tracked = roster_find(s->roster, uid);
	if (tracked)
		roster_remove(s->roster, tracked);
	/* A resize may have made room; a move of the reservation to the node that was really taken, too. */
	wake_soon(s, REASON_CODE_WAKE_ROOM);
	if (!taken)
		pod_free(pod);
}

static void pod_pending(struct scheduler *s, struct pod *pod)
{
	struct pod *old;
	feed_learn(s, pod);
	gang_resolve(s, pod);
	struct tracked *tracked = roster_put(s->roster, pod, clock_now(), &old);
	tracked->mark = s->pod_list;
	signals_saw(s, pod);
	struct ledger_entry *entry = ledger_find(s->fleet, slice_of(pod->uid));
	if (entry)
		entry->mark = s->pod_list;
	if (waiting_find(s->waiting, slice_of(pod->uid)))
		waiting_renew(s->waiting, pod);
	gang_pending(s, tracked);
	moves_changes(s, slice_of(pod->uid));
	if (old && !gang_reserve_keeps(s, old))
		pod_free(old);
	moves_returning(s, tracked);
	hint_seen(s, tracked);
	if (pod->unschedulable) {
		moves_want(s, pod);
		repartition_want(s, pod);
	}
	entry = ledger_find(s->fleet, slice_of(pod->uid));
	if (!tracked->asked && !entry && !pod->gated && !pod->deleting && !pod->gang) {
		s->arrived_ns = clock_now();
		roster_backlog_add(s->roster, tracked);
		hint_soon(s);
	} else if (pod->deleting) {
		roster_backlog_remove(s->roster, tracked);
		waiting_remove(s->waiting, slice_of(pod->uid));
		wake_soon(s, REASON_CODE_WAKE_ROOM); /* if it had a turn, the turn passes on */
	}
}

static void pods_object(void *ctx, enum kube_change change, struct slice object)
{
	struct scheduler *s = ctx;
	struct err err;
	if (change == KUBE_DELETED) {
		feed_forget(s, metadata_text(object, "uid"), REASON_CODE_WAKE_ROOM);
		return;
	}
	struct pod *pod = cluster_pod_decode(object, &s->fleet->names, false, &err);
	if (!pod) {
		log_error("a pod cannot be read", "error=%s", log_quote(err.text));
		return;
	}
	quarantine_pod(s, pod);
	if (pod->terminal) {
		pod_ended(s, pod);
	} else if (pod->node) {
		pod_bound(s, pod);
	} else if (scheduler_owns(pod)) {
		pod_pending(s, pod);
	} else {
		pod_free(pod);
	}
}

/* Whether the finished list proves that the pod of this entry is no more: the entry was shown before and is not now, or
 * it was bound by us well before the list was asked for. A reservation for a pod that no watch has shown yet is left to
 * its expiry; one made for a pod that a watch had shown goes with that pod. */
static bool entry_is_gone(const struct scheduler *s, const struct ledger_entry *entry)
{
	if (entry->mark == s->pod_list)
		return false;
	return entry->mark != 0 || (entry->state == LEDGER_BOUND && entry->since_ns < s->pod_list_began - LIST_NS);
}

static void pods_synced(void *ctx)
{
	struct scheduler *s = ctx;
	size_t cursor = 0, count = 0, room = s->fleet->ledger.by_uid.count + roster_count(s->roster) + 1;
	char **gone = xcalloc(room, sizeof *gone);
	for (struct ledger_entry *entry; (entry = map_next(&s->fleet->ledger.by_uid, &cursor));)
		if (entry_is_gone(s, entry))
			gone[count++] = xstrdup(entry->uid);
	cursor = 0;
	for (struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));)
		if (tracked->mark != 0 && tracked->mark != s->pod_list)
			gone[count++] = xstrdup(tracked->pod->uid);
	while (count > 0) {
		feed_forget(s, slice_of(gone[--count]), REASON_CODE_WAKE_ROOM);
		free(gone[count]);
	}
	free(gone);
	gang_forget_unseen(s);
	runs_listed(s);
	s->pods_synced = true;
	s->pods_due = false;
	signals_listed(s);
	headroom_look(s);
	log_info("pods listed", "bound=%zu pending=%zu", s->fleet->ledger.count[LEDGER_BOUND], roster_count(s->roster));
	wake_soon(s, REASON_CODE_WAKE_ROOM);
	lease_take_up(s);
	hint_soon(s);
}

const struct kube_watch_handlers feed_pods = {.begin = pods_begin, .object = pods_object, .synced = pods_synced};

/* --- volumes: from where they can be reached --- */

static void volumes_begin_list(void *ctx)
{
	struct scheduler *s = ctx;
	volumes_begin(s->volumes);
}

static void volumes_object(void *ctx, enum kube_change change, struct slice object)
{
	struct scheduler *s = ctx;
	struct err err;
	if ((change == KUBE_DELETED ? volumes_remove : volumes_put)(s->volumes, object, &err) != 0)
		log_error("a persistent volume cannot be read", "error=%s", log_quote(err.text));
}

static void volumes_listed(void *ctx)
{
	struct scheduler *s = ctx;
	volumes_synced(s->volumes);
	free(s->volumes_missing);
	s->volumes_missing = NULL;
}

static void volumes_unavailable(void *ctx, unsigned status, const char *reason)
{
	struct scheduler *s = ctx;
	if (!s->volumes_missing)
		log_warn("persistent volumes are not watched: where they bind a pod is left to kube-scheduler",
		    "status=%u", status);
	free(s->volumes_missing);
	s->volumes_missing = xstrdup(reason);
}

const struct kube_watch_handlers feed_volumes = {.begin = volumes_begin_list,
    .object = volumes_object,
    .synced = volumes_listed,
    .unavailable = volumes_unavailable};

void feed_learn(struct scheduler *s, struct pod *pod)
{
	owners_resolve(s->owners, pod);
	volumes_resolve(s->volumes, pod);
	runs_expect(s, pod);
}
