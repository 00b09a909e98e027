#include "berth/ledger.h"

#include <stdlib.h>

#include "berth/decide.h"
#include "core/fleet_internal.h"
#include "core/index.h"
#include "core/ledger_heap.h"
#include "core/teams_internal.h"
#include "core/traits.h"
#include "core/usage.h"

struct ledger_owner {
	struct ledger_entry *entries;
	char uid[];
};

const char *ledger_state_name(enum ledger_state state)
{
	static const char *const names[] = {
	    [LEDGER_PLANNED] = "planned", [LEDGER_ASSUMED] = "assumed", [LEDGER_BOUND] = "bound"};
	return names[state];
}

static bool is_foreign(const struct fleet *fleet, const struct ledger_entry *entry)
{
	return entry->state == LEDGER_BOUND && !entry->ours && decide_gpu_units(fleet, &entry->demand) > 0;
}

static void find_foreign(const struct fleet *fleet, struct node *node)
{
	node->foreign_gpus = false;
	for (const struct ledger_entry *entry = node->entries; entry && !node->foreign_gpus; entry = entry->node_next)
		node->foreign_gpus = is_foreign(fleet, entry);
}

static void join_node(struct fleet *fleet, struct ledger_entry *entry, struct node *node)
{
	entry->node = node;
	entry->node_next = node->entries;
	entry->node_link = &node->entries;
	if (node->entries)
		node->entries->node_link = &entry->node_next;
	node->entries = entry;
	node->entry_count++;
	usage_add(node, &entry->demand);
	usage_take_devices(node, entry);
	node->foreign_gpus |= is_foreign(fleet, entry);
	teams__join(fleet, entry);
	index_update(node);
}

/* The caller drops the node if it is gone. */
static void leave_node(struct fleet *fleet, struct ledger_entry *entry)
{
	struct node *node = entry->node;
	*entry->node_link = entry->node_next;
	if (entry->node_next)
		entry->node_next->node_link = entry->node_link;
	node->entry_count--;
	teams__leave(fleet, entry);
	usage_return_devices(node, entry);
	usage_subtract(node, &entry->demand);
	if (is_foreign(fleet, entry))
		find_foreign(fleet, node);
	index_update(node);
}

static void join_owner(struct ledger *ledger, struct ledger_entry *entry, const char *uid)
{
	entry->owner_uid = NULL;
	if (!uid)
		return;
	struct slice key = slice_of(uid);
	struct ledger_owner *owner = map_get(&ledger->by_owner, key);
	if (!owner) {
		owner = xcalloc(1, sizeof(*owner) + key.len + 1);
		memcpy(owner->uid, uid, key.len);
		map_put(&ledger->by_owner, (struct slice){owner->uid, key.len}, owner);
	}
	entry->owner_uid = owner->uid;
	entry->owner_next = owner->entries;
	entry->owner_link = &owner->entries;
	if (owner->entries)
		owner->entries->owner_link = &entry->owner_next;
	owner->entries = entry;
}

static void leave_owner(struct ledger *ledger, struct ledger_entry *entry)
{
	if (!entry->owner_uid)
		return;
	struct ledger_owner *owner = map_get(&ledger->by_owner, slice_of(entry->owner_uid));
	*entry->owner_link = entry->owner_next;
	if (entry->owner_next)
		entry->owner_next->owner_link = entry->owner_link;
	if (!owner->entries) {
		map_remove(&ledger->by_owner, slice_of(owner->uid));
		free(owner);
	}
	entry->owner_uid = NULL;
}

static void set_demand(struct ledger_entry *entry, const struct resources *demand)
{
	if (demand->count > entry->demand_room) {
		entry->demand.items = arena_alloc(&entry->arena, demand->count * sizeof(*demand->items));
		entry->demand_room = demand->count;
	}
	if (demand->count > 0)
		memcpy(entry->demand.items, demand->items, demand->count * sizeof(*demand->items));
	entry->demand.count = demand->count;
}

static bool demand_equal(const struct resources *a, const struct resources *b)
{
	if (a->count != b->count)
		return false;
	for (uint16_t i = 0; i < a->count; i++)
		if (a->items[i].id != b->items[i].id || a->items[i].amount != b->items[i].amount)
			return false;
	return true;
}

static bool owner_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void follow_owner(struct ledger *ledger, struct ledger_entry *entry, const struct pod *pod)
{
	if (owner_equal(entry->owner_uid, pod->owner_uid))
		return;
	leave_owner(ledger, entry);
	join_owner(ledger, entry, pod->owner_uid);
}

static int64_t expiry(const struct ledger_entry *entry, int64_t now_ns)
{
	if (entry->state == LEDGER_BOUND || entry->pinned)
		return LEDGER_NEVER;
	return resource_sum(now_ns, entry->ttl_ns);
}

/* So that one chunk does, with no room left; entries are most of what is kept. */
static size_t entry_size(const struct pod *pod)
{
	size_t texts = strlen(pod->uid) + strlen(pod->namespace_) + strlen(pod->name) + 3;
	size_t demand = pod->demand.count * sizeof(*pod->demand.items);
	return sizeof(struct ledger_entry) + texts + demand + sizeof(struct device_share) + 2 * _Alignof(max_align_t);
}

static struct ledger_entry *entry_new(struct ledger *ledger, const struct pod *pod)
{
	struct arena arena;
	arena_init(&arena, entry_size(pod));
	struct ledger_entry *entry = arena_calloc(&arena, 1, sizeof(*entry));
	entry->class_ = UINT16_MAX;
	entry->uid = arena_copy(&arena, slice_of(pod->uid));
	entry->namespace_ = arena_copy(&arena, slice_of(pod->namespace_));
	entry->name = arena_copy(&arena, slice_of(pod->name));
	entry->heap_at = LEDGER_HEAP_OUT;
	entry->expires_ns = entry->ends_ns = LEDGER_NEVER;
	entry->arena = arena;
	set_demand(entry, &pod->demand);
	join_owner(ledger, entry, pod->owner_uid);
	map_put(&ledger->by_uid, slice_of(entry->uid), entry);
	return entry;
}

static void change_demand(struct fleet *fleet, struct ledger_entry *entry, const struct resources *demand)
{
	struct node *node = entry->node;
	bool less = false;
	if (demand_equal(&entry->demand, demand))
		return;
	for (uint16_t i = 0; i < entry->demand.count; i++)
		less |= resources_get(demand, entry->demand.items[i].id) < entry->demand.items[i].amount;
	leave_node(fleet, entry);
	set_demand(entry, demand);
	join_node(fleet, entry, node);
	if (less)
		fleet__improve(fleet, node);
}

static void change_state(struct fleet *fleet, struct ledger_entry *entry, enum ledger_state state, bool ours)
{
	bool was_foreign = is_foreign(fleet, entry);
	fleet->ledger.count[entry->state]--;
	fleet->ledger.count[state]++;
	entry->state = state;
	entry->ours = ours;
	entry->pinned &= state != LEDGER_BOUND;
	if (was_foreign != is_foreign(fleet, entry))
		find_foreign(fleet, entry->node);
}

/* What is held on the node follows. */
static void changed(struct fleet *fleet, struct node *node)
{
	headroom__note(fleet, node);
	headroom__settle(fleet, node);
}

static void change_node(struct fleet *fleet, struct ledger_entry *entry, struct slice name)
{
	struct node *from = entry->node;
	if (slice_is(name, from->name))
		return;
	leave_node(fleet, entry);
	fleet__improve(fleet, from);
	changed(fleet, from);
	join_node(fleet, entry, fleet__node(fleet, name));
	fleet__drop_if_gone(fleet, from);
}

struct ledger_entry *ledger_reserve(struct fleet *fleet, const struct pod *pod, struct slice node,
    enum ledger_state state, bool ours, int64_t now_ns, int64_t ttl_ns)
{
	struct ledger *ledger = &fleet->ledger;
	struct ledger_entry *entry = ledger_find(fleet, slice_of(pod->uid));
	if (!entry) {
		entry = entry_new(ledger, pod);
		entry->state = state;
		entry->ours = ours;
		entry->since_ns = now_ns;
		ledger->count[state]++;
		join_node(fleet, entry, fleet__node(fleet, node));
	} else {
		if (state < entry->state || (entry->state == LEDGER_BOUND && !slice_is(node, entry->node->name)))
			return entry;
		if (entry->state != state)
			entry->since_ns = now_ns;
		change_node(fleet, entry, node);
		change_state(fleet, entry, state, ours);
		change_demand(fleet, entry, &pod->demand);
		follow_owner(ledger, entry, pod);
	}
	traits_follow(ledger, entry, pod);
	ledger_expect(entry, pod, now_ns);
	entry->ending = pod->deleting;
	entry->ttl_ns = ttl_ns;
	ledger_renew(fleet, entry, now_ns);
	entry->class_ = ours ? headroom__class(fleet, pod) : UINT16_MAX;
	changed(fleet, entry->node);
	return entry;
}

struct ledger_entry *ledger__hold(
    struct fleet *fleet, const struct pod *room, struct node *node, struct ledger_entry *entry)
{
	if (entry) {
		change_demand(fleet, entry, &room->demand);
		return entry;
	}
	entry = entry_new(&fleet->ledger, room);
	entry->state = LEDGER_ASSUMED;
	entry->ours = entry->hold = entry->pinned = true;
	fleet->ledger.count[LEDGER_ASSUMED]++;
	join_node(fleet, entry, node);
	return entry;
}

void ledger__unhold(struct fleet *fleet, struct ledger_entry *entry)
{
	struct arena arena = entry->arena;
	leave_node(fleet, entry);
	fleet__improve(fleet, entry->node);
	fleet->ledger.count[entry->state]--;
	map_remove(&fleet->ledger.by_uid, slice_of(entry->uid));
	arena_free(&arena);
}

struct ledger_entry *ledger_find(const struct fleet *fleet, struct slice uid)
{
	return map_get(&fleet->ledger.by_uid, uid);
}

void ledger_release(struct fleet *fleet, struct ledger_entry *entry)
{
	struct ledger *ledger = &fleet->ledger;
	struct node *node = entry->node;
	leave_node(fleet, entry);
	fleet__improve(fleet, node);
	leave_owner(ledger, entry);
	traits_leave(ledger, entry);
	ledger_heap_set(ledger, entry, LEDGER_NEVER);
	ledger->count[entry->state]--;
	map_remove(&ledger->by_uid, slice_of(entry->uid));
	struct arena arena = entry->arena;
	arena_free(&arena);
	changed(fleet, node);
	fleet__drop_if_gone(fleet, node);
}

void ledger_renew(struct fleet *fleet, struct ledger_entry *entry, int64_t now_ns)
{
	ledger_heap_set(&fleet->ledger, entry, expiry(entry, now_ns));
}

void ledger_expect(struct ledger_entry *entry, const struct pod *pod, int64_t began_ns)
{
	entry->began_ns = began_ns;
	entry->ends_ns = pod->runtime_ns > 0 ? resource_sum(began_ns, pod->runtime_ns) : LEDGER_NEVER;
	entry->endable = pod->endable;
}

void ledger_pin(struct fleet *fleet, struct ledger_entry *entry, bool pinned, int64_t now_ns)
{
	entry->pinned = pinned && entry->state != LEDGER_BOUND;
	ledger_renew(fleet, entry, now_ns);
}

void ledger_update(struct fleet *fleet, struct ledger_entry *entry, const struct pod *pod)
{
	entry->ending = pod->deleting;
	change_demand(fleet, entry, &pod->demand);
	follow_owner(&fleet->ledger, entry, pod);
	traits_follow(&fleet->ledger, entry, pod);
	changed(fleet, entry->node);
}

int64_t ledger_next_expiry(const struct fleet *fleet)
{
	return fleet->ledger.heap_count ? fleet->ledger.heap[0]->expires_ns : LEDGER_NEVER;
}

struct ledger_entry *ledger_expired(const struct fleet *fleet, int64_t now_ns)
{
	return ledger_next_expiry(fleet) <= now_ns && fleet->ledger.heap_count ? fleet->ledger.heap[0] : NULL;
}

struct ledger_entry *ledger_siblings(const struct fleet *fleet, const char *owner_uid)
{
	const struct ledger_owner *owner = owner_uid ? map_get(&fleet->ledger.by_owner, slice_of(owner_uid)) : NULL;
	return owner ? owner->entries : NULL;
}

void ledger__free(struct fleet *fleet)
{
	struct ledger *ledger = &fleet->ledger;
	fleet->policy = NULL; /* callers may have freed it */
	headroom__drop_all(fleet);
	size_t count = ledger->by_uid.count, cursor = 0;
	struct ledger_entry **all = xcalloc(count + 1, sizeof(*all));
	for (size_t i = 0; i < count; i++)
		all[i] = map_next(&ledger->by_uid, &cursor);
	for (size_t i = 0; i < count; i++)
		ledger_release(fleet, all[i]);
	free(all);
	map_free(&ledger->by_uid);
	map_free(&ledger->by_owner);
	map_free(&ledger->traits);
	free(ledger->heap);
}
