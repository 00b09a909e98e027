#include "berth/headroom.h"

#include <stdio.h>
#include <stdlib.h>

#include "berth/fleet.h"
#include "core/fleet_internal.h"
#include "core/headroom.h"
#include "core/need.h"

#define ID_MAX 512
#define CLASS_NONE UINT16_MAX

static const struct policy_headroom *rule_of(const struct fleet *fleet, const struct headroom_hold *hold)
{
	return &fleet->policy->headroom[hold->rule];
}

int64_t headroom__held(const struct headroom_hold *hold)
{
	return hold && hold->entry ? resources_get(&hold->entry->demand, hold->resource) : 0;
}

/* --- whose a pod is, and what it may use --- */

/* Reservations in time ask for them, too. */
static bool keeps_classes(const struct fleet *fleet)
{
	return fleet->policy && (fleet->policy->headroom_count > 0 || fleet->policy->reserves);
}

uint16_t headroom__class(const struct fleet *fleet, const struct pod *pod)
{
	enum reason why;
	if (!keeps_classes(fleet) || need_gpu_units(fleet, &pod->demand) == 0)
		return CLASS_NONE;
	const struct policy_class *class_ = policy_class_of(fleet->policy, pod, &why);
	return class_ ? (uint16_t)(class_ - fleet->policy->classes) : CLASS_NONE;
}

bool headroom__is_lent_to(const struct policy_headroom *rule, size_t class_)
{
	for (size_t i = 0; i < rule->lend_count; i++)
		if (rule->lend_to[i] == class_)
			return true;
	return false;
}

static bool may_use(const struct fleet *fleet, size_t at, const struct policy_class *class_)
{
	const struct policy_headroom *rule = &fleet->policy->headroom[at];
	const struct headroom_window *window = &fleet->windows[at];
	size_t order = (size_t)(class_ - fleet->policy->classes);
	if (order == rule->for_)
		return true;
	return rule->has_when && !window->open && headroom__is_lent_to(rule, order) &&
	       resource_sum(class_->victim.min_runtime_ns, class_->victim.grace_ns) <= window->left_ns;
}

uint32_t headroom__usable(const struct fleet *fleet, const struct policy_class *class_)
{
	uint32_t usable = 0;
	if (!class_ || !fleet->policy)
		return 0;
	for (size_t i = 0; i < fleet->policy->headroom_count; i++)
		if (may_use(fleet, i, class_))
			usable |= UINT32_C(1) << i;
	return usable;
}

int64_t headroom_kept_from(const struct fleet *fleet, const struct policy_class *class_, const struct node *node)
{
	const struct headroom_hold *hold = node->headroom;
	if (!hold || !hold->entry || headroom__usable(fleet, class_) & UINT32_C(1) << hold->rule)
		return 0;
	return headroom__held(hold);
}

/* --- what is held on a node --- */

int64_t headroom__used_by(const struct node *node, uint16_t class_, resource_id id)
{
	int64_t used = 0;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next)
		if (!entry->hold && entry->class_ == class_)
			used = resource_sum(used, resources_get(&entry->demand, id));
	return used;
}

/* A pod in the ledger's eyes, of nothing but these GPUs. */
static struct ledger_entry *hold_gpus(struct fleet *fleet, struct headroom_hold *hold, int64_t gpus)
{
	const struct policy_headroom *rule = rule_of(fleet, hold);
	struct resource_amount amount = {hold->resource, gpus};
	char id[ID_MAX];
	snprintf(id, sizeof id, "headroom/%u/%s", hold->rule, hold->node->name);
	struct pod room = {.uid = id,
	    .namespace_ = "headroom",
	    .name = fleet->policy->classes[rule->for_].name,
	    .scheduler = "",
	    .demand = {.count = 1, .items = &amount}};
	return ledger__hold(fleet, &room, hold->node, hold->entry);
}

static void set_held(struct fleet *fleet, struct headroom_hold *hold, int64_t gpus)
{
	if (gpus == headroom__held(hold))
		return;
	if (gpus > 0) {
		hold->entry = hold_gpus(fleet, hold, gpus);
	} else {
		ledger__unhold(fleet, hold->entry);
		hold->entry = NULL;
	}
}

void headroom__drop(struct fleet *fleet, struct node *node)
{
	struct headroom_hold *hold = node->headroom, **at = &fleet->headroom;
	set_held(fleet, hold, 0);
	while (*at != hold)
		at = &(*at)->next;
	*at = hold->next;
	node->headroom = NULL;
	free(hold);
}

void headroom__settle(struct fleet *fleet, struct node *node)
{
	struct headroom_hold *hold = node->headroom;
	if (!hold)
		return;
	if (!node->spec) {
		headroom__drop(fleet, node);
		return;
	}
	int64_t due = hold->reserved - headroom__used_by(node, rule_of(fleet, hold)->for_, hold->resource);
	int64_t left =
	    node_allocatable(node, hold->resource) - (node_used(node, hold->resource) - headroom__held(hold));
	int64_t held = due < left ? due : left;
	set_held(fleet, hold, held > 0 ? held : 0);
}

void headroom__reserve(struct fleet *fleet, struct node *node, uint16_t rule, resource_id resource, int64_t gpus)
{
	struct headroom_hold *hold = node->headroom;
	if (!hold) {
		hold = node->headroom = xcalloc(1, sizeof *hold);
		*hold =
		    (struct headroom_hold){.next = fleet->headroom, .node = node, .rule = rule, .resource = resource};
		fleet->headroom = hold;
	}
	hold->reserved = gpus;
	headroom__settle(fleet, node);
}

void headroom__drop_all(struct fleet *fleet)
{
	while (fleet->headroom)
		headroom__drop(fleet, fleet->headroom->node);
	for (size_t i = 0; i < POLICY_HEADROOMS_MAX; i++) {
		fleet->windows[i] = (struct headroom_window){.open = true};
		fleet->follows[i] = (struct signal_follow){0};
	}
	fleet->headroom_due = true;
}

void headroom__learn(struct fleet *fleet)
{
	size_t cursor = 0;
	for (struct ledger_entry *entry; (entry = map_next(&fleet->ledger.by_uid, &cursor));) {
		struct pod *pod = keeps_classes(fleet) ? ledger_pod(entry) : NULL;
		entry->class_ = CLASS_NONE; /* of one that is not bound yet it is learnt when it is bound */
		if (!pod)
			continue;
		pod->demand = entry->demand;
		entry->class_ = headroom__class(fleet, pod);
		pod->demand = (struct resources){.count = 0};
		pod_free(pod);
	}
}

/* --- windows --- */

/* A hold is offered anew where more may use it: as its window closes. */
void headroom_windows(struct fleet *fleet, const struct headroom_window *windows, size_t count)
{
	uint32_t closed = 0;
	for (size_t i = 0; i < count && i < POLICY_HEADROOMS_MAX; i++) {
		if (fleet->windows[i].open && !windows[i].open)
			closed |= UINT32_C(1) << i;
		fleet->headroom_due |= fleet->windows[i].open != windows[i].open;
		fleet->windows[i] = windows[i];
	}
	for (struct headroom_hold *hold = fleet->headroom; hold && closed; hold = hold->next)
		if (closed & UINT32_C(1) << hold->rule)
			fleet__improve(fleet, hold->node);
}

/* --- what it follows --- */

bool headroom_follow(struct fleet *fleet, size_t at, int64_t more, int64_t read_ns, int64_t now_ns)
{
	const struct policy_headroom *rule = &fleet->policy->headroom[at];
	struct signal_follow *follow = &fleet->follows[at];
	int64_t before = follow->floor;
	bool read = more != follow->more || read_ns != follow->read_ns;
	if (!read && !fleet->headroom_due && now_ns < signal_follow_due(follow, rule->hold_ns))
		return false;
	if (fleet->headroom_due)
		follow->used = headroom__used(fleet, rule);
	if (read)
		follow->base = follow->used;
	follow->more = more;
	follow->read_ns = read_ns;
	int64_t wanted = resource_sum(follow->base, more);
	wanted = wanted > follow->used ? wanted : follow->used;
	signal_follow_step(follow, wanted < rule->follow_max ? wanted : rule->follow_max, now_ns, rule->hold_ns);
	fleet->headroom_due |= follow->floor != before;
	return follow->floor != before;
}

void headroom_keep_follow(struct fleet *fleet, size_t at, const struct signal_follow *before)
{
	const struct policy_headroom *rule = &fleet->policy->headroom[at];
	struct signal_follow *follow = &fleet->follows[at];
	*follow = *before;
	follow->floor = follow->floor < rule->follow_max ? follow->floor : rule->follow_max;
	follow->most = follow->most < follow->floor ? follow->most : follow->floor;
	fleet->headroom_due = true;
}

int64_t headroom__floor(const struct fleet *fleet, size_t at)
{
	int64_t gpus = fleet->policy->headroom[at].gpus, floor = fleet->follows[at].floor;
	return floor > gpus ? floor : gpus;
}

int64_t headroom__due(const struct fleet *fleet, size_t at, int64_t used)
{
	int64_t due = resource_sum(used, fleet->policy->headroom[at].margin), floor = headroom__floor(fleet, at);
	return floor > due ? floor : due;
}

void headroom__note(struct fleet *fleet, const struct node *node)
{
	if (!fleet->policy || fleet->headroom_due)
		return;
	for (size_t i = 0; i < fleet->policy->headroom_count; i++)
		fleet->headroom_due |= fleet->policy->headroom[i].pool == node->pool;
}

bool headroom_due(const struct fleet *fleet)
{
	return fleet->headroom_due && fleet->policy && fleet->policy->headroom_count > 0;
}

/* --- how it stands --- */

uint16_t headroom_lent_by(const struct fleet *fleet, const struct ledger_entry *entry)
{
	const struct headroom_hold *hold = entry->node->headroom;
	if (!hold || entry->hold || resources_get(&entry->demand, hold->resource) == 0 ||
	    !headroom__is_lent_to(rule_of(fleet, hold), entry->class_))
		return CLASS_NONE;
	int64_t of_class = headroom__used_by(entry->node, rule_of(fleet, hold)->for_, hold->resource);
	return hold->reserved > of_class + headroom__held(hold) ? rule_of(fleet, hold)->for_ : CLASS_NONE;
}

uint16_t headroom_due_back(const struct fleet *fleet, const struct ledger_entry *entry)
{
	uint16_t by = headroom_lent_by(fleet, entry);
	return by == CLASS_NONE || fleet->windows[entry->node->headroom->rule].open ? by : CLASS_NONE;
}

bool headroom_lends(const struct policy *policy, const struct policy_class *class_)
{
	for (size_t i = 0; i < policy->headroom_count; i++)
		if (policy->headroom[i].lend_count > 0 && &policy->classes[policy->headroom[i].for_] == class_)
			return true;
	return false;
}

static int64_t lent_on(const struct policy_headroom *rule, const struct headroom_hold *hold, int64_t lacks)
{
	int64_t lent = 0;
	for (size_t i = 0; i < rule->lend_count; i++)
		lent = resource_sum(lent, headroom__used_by(hold->node, rule->lend_to[i], hold->resource));
	return lent < lacks ? lent : lacks;
}

struct headroom_state headroom_state_of(const struct fleet *fleet, size_t at)
{
	const struct policy_headroom *rule = &fleet->policy->headroom[at];
	struct headroom_state state = {.used = headroom__used(fleet, rule)};
	int64_t beside = state.used;
	for (const struct headroom_hold *hold = fleet->headroom; hold; hold = hold->next) {
		if (hold->rule != at)
			continue;
		int64_t used = headroom__used_by(hold->node, rule->for_, hold->resource), held = headroom__held(hold);
		int64_t lacks = hold->reserved - used - held;
		lacks = lacks > 0 ? lacks : 0;
		int64_t lent = lent_on(rule, hold, lacks);
		state.nodes++;
		state.wanted += hold->reserved;
		state.held += held;
		state.lent += lent;
		state.missing += lacks - lent;
		beside -= used < hold->reserved ? used : hold->reserved;
	}
	state.wanted += beside;
	state.due = headroom__due(fleet, at, state.used);
	state.missing += state.due > state.wanted ? state.due - state.wanted : 0;
	return state;
}
