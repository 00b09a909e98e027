/* The pure core under random operations: fleet, ledger, waiting list and decisions against a model that keeps nothing
 * but flat arrays. */
#include <stdlib.h>

#include "core_world.h"

#include "berth/preempt.h"
#include "core/waiting_internal.h"

static void add_teams(struct policy *policy)
{
	policy->team_count = CORE_TEAMS;
	policy->teams = arena_calloc(&policy->arena, CORE_TEAMS, sizeof *policy->teams);
	for (int t = 0; t < CORE_TEAMS; t++) {
		struct policy_team *team = &policy->teams[t];
		*team = core_teams[t].team;
		team->guaranteed = arena_calloc(&policy->arena, MODELS, sizeof *team->guaranteed);
		team->limit = arena_calloc(&policy->arena, MODELS, sizeof *team->limit);
		memcpy(team->guaranteed, core_teams[t].guaranteed, sizeof core_teams[t].guaranteed);
		memcpy(team->limit, core_teams[t].limit, sizeof core_teams[t].limit);
	}
}

static struct policy *policy_other(void)
{
	static const uint16_t l4[] = {L4}, dear_first[] = {H100, A100}, batch[] = {CLASS_BATCH};
	struct policy *policy = policy_world();
	policy->classes[CLASS_ONLY].only_count = 1;
	memcpy(policy->classes[CLASS_ONLY].only, l4, sizeof l4);
	policy->classes[CLASS_PREFER].prefer_count = 2;
	memcpy(policy->classes[CLASS_PREFER].prefer, dear_first, sizeof dear_first);
	policy->classes[CLASS_PREFER].may_preempt_count = 1;
	policy->classes[CLASS_PREFER].may_preempt = arena_calloc(&policy->arena, 1, sizeof(uint16_t));
	memcpy(policy->classes[CLASS_PREFER].may_preempt, batch, sizeof batch);
	policy->classes[CLASS_SPREAD].weights[SCORE_BEST_FIT] = -3;
	policy->classes[CLASS_SPREAD].weights[SCORE_NODE_AFFINITY] = -100;
	add_teams(policy);
	return policy;
}

static const struct pod_gang some_gang = {.name = "g", .rank = -1, .part = -1};

static struct pod *make_pod(const struct core_world *w, int at, uint32_t seed)
{
	struct prng prng = {seed};
	struct pod *pod = pod_random(w->fleet, &prng, w->pod_names[at]);
	if (one_in(&prng, 6))
		pod_requires(pod, "zone", SELECTOR_IN, "z9");
	pod->namespace_ = core_namespaces[at % CORE_NAMESPACES];
	pod->gang = one_in(&prng, 12) ? &some_gang : NULL;
	if (one_in(&prng, 40))
		pod_asks(pod, RESOURCE_MEMORY, INT64_MAX);
	return pod;
}

static void *begin(uint64_t seed)
{
	struct core_world *w = xcalloc(1, sizeof *w);
	w->fleet = fleet_new(&world_catalogue);
	core_names(w->fleet);
	w->waiting = waiting_new();
	w->node_room = 1 + (int)(seed % NODES); /* in a small fleet more depends on each node */
	w->policies[1] = policy_world();
	w->policies[2] = policy_other();
	for (int i = 0; i < NODES; i++)
		snprintf(w->node_names[i], NAME_MAX_BYTES, "n%d", i);
	for (int i = 0; i < PODS; i++) {
		snprintf(w->pod_names[i], NAME_MAX_BYTES, "p%d", i);
		w->pod_seeds[i] = (uint32_t)seed * PODS + (uint32_t)i;
		w->pods[i] = make_pod(w, i, w->pod_seeds[i]);
	}
	return w;
}

static void end(void *world)
{
	struct core_world *w = world;
	waiting_free(w->waiting);
	fleet_free(w->fleet);
	for (int i = 0; i < PODS; i++)
		pod_free(w->pods[i]);
	for (int i = 0; i < POLICIES; i++)
		policy_free(w->policies[i]);
	free(w);
}

/* --- what the ledger does, on the flat array --- */

static int64_t after(int64_t now_ns, int64_t ns)
{
	return ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + ns;
}

static void model_renew(const struct core_world *w, struct entry_model *entry)
{
	bool ends = entry->state != LEDGER_BOUND && !entry->pinned;
	entry->expires_ns = ends ? after(w->now_ns, entry->ttl_ns) : LEDGER_NEVER;
}

static void model_reserve(struct core_world *w, int pod, int node, enum ledger_state state, bool ours, int64_t ttl_ns)
{
	struct entry_model *entry = &w->entries[pod];
	if (entry->there && (state < entry->state || (entry->state == LEDGER_BOUND && node != entry->node)))
		return;
	if (!entry->there || state != entry->state)
		entry->since_ns = w->now_ns;
	*entry = (struct entry_model){.there = true,
	    .node = node,
	    .state = state,
	    .ours = ours,
	    .pinned = entry->there && entry->pinned && state != LEDGER_BOUND,
	    .since_ns = entry->since_ns,
	    .ttl_ns = ttl_ns};
	model_renew(w, entry);
}

static void reserve(struct core_world *w, int pod, int node, enum ledger_state state, bool ours, int64_t ttl_ns)
{
	property_note("%s on %s as %s", w->pod_names[pod], w->node_names[node], ledger_state_name(state));
	waiting_remove(w->waiting, slice_of(w->pod_names[pod]));
	ledger_reserve(w->fleet, w->pods[pod], slice_of(w->node_names[node]), state, ours, w->now_ns, ttl_ns);
	model_reserve(w, pod, node, state, ours, ttl_ns);
}

static void release(struct core_world *w, int pod)
{
	struct ledger_entry *entry = ledger_find(w->fleet, slice_of(w->pod_names[pod]));
	if (!w->entries[pod].there)
		return;
	PROPERTY_CHECK(entry, "%s: no entry to release", w->pod_names[pod]);
	ledger_release(w->fleet, entry);
	w->entries[pod] = (struct entry_model){0};
}

/* --- the steps --- */

static int node_of(const struct core_world *w, uint32_t arg)
{
	return (int)(arg % (uint32_t)w->node_room);
}

static int pod_of(const struct property_step *step)
{
	return (int)(step->args[0] % PODS);
}

static int64_t ttl_of(uint32_t arg)
{
	return arg % 16 == 15 ? INT64_MAX : SECOND * (1 + arg % 9);
}

static void put_node(struct core_world *w, int at, uint32_t seed, uint32_t flags)
{
	struct node_model *node = &w->nodes[at];
	*node = (struct node_model){.known = true, .seed = seed, .flags = flags};
	property_note("%s seed=%u flags=%#x", w->node_names[at], seed, flags);
	struct node_spec *spec = core_spec(w, w->fleet, at);
	node->spec = spec;
	fleet_put_node(w->fleet, spec);
}

static void do_node(struct core_world *w, const struct property_step *step)
{
	put_node(w, node_of(w, step->args[0]), step->args[1], 0);
}

/* The same node, something about it changed. */
static void do_node_changes(struct core_world *w, const struct property_step *step)
{
	int at = node_of(w, step->args[0]);
	if (w->nodes[at].known)
		put_node(w, at, w->nodes[at].seed, w->nodes[at].flags ^ 1u << step->args[1] % NODE_FLAGS);
}

static void do_node_goes(struct core_world *w, const struct property_step *step)
{
	int at = node_of(w, step->args[0]);
	struct slice name = slice_of(w->node_names[at]);
	struct node *node = fleet_find(w->fleet, name);
	property_note("%s", w->node_names[at]);
	if (node)
		waiting_forget_node(w->waiting, node);
	fleet_remove_node(w->fleet, name);
	w->nodes[at] = (struct node_model){0};
}

static void do_reserve(struct core_world *w, const struct property_step *step)
{
	reserve(w, pod_of(step), (int)(step->args[1] % NODES), (enum ledger_state)(step->args[2] % 3),
	    step->args[3] % 3 != 1, ttl_of(step->args[3]));
}

/* As filter does: the best node is reserved, or the pod waits and holds nothing. */
static void do_place(struct core_world *w, const struct property_step *step)
{
	struct decision decision;
	int pod = pod_of(step);
	const struct entry_model *entry = &w->entries[pod];
	if (entry->there && (entry->state == LEDGER_BOUND || entry->pinned))
		return;
	decide_fleet(w->fleet, w->pods[pod], &decision);
	if (decision.node) {
		int node = node_number(w, decision.node->name);
		PROPERTY_CHECK(brute_fits(w, w->pods[pod], node, NULL), "%s: placed on %s, where it does not fit",
		    w->pod_names[pod], decision.node->name);
		reserve(w, pod, node, LEDGER_ASSUMED, true, ttl_of(step->args[1]));
		return;
	}
	property_note("%s waits, %s", w->pod_names[pod], reason_code(decision.reason));
	for (int node = 0; node < NODES; node++)
		PROPERTY_CHECK(!brute_fits(w, w->pods[pod], node, NULL), "%s: rejected, it fits on %s",
		    w->pod_names[pod], w->node_names[node]);
	release(w, pod);
	waiting_put(w->waiting, w->pods[pod], decision.reason, w->now_ns, w->now_ns);
}

/* What every turn holds, in the order in which turns were given; one whose room has gone holds nothing. */
static void hold_turns(const struct core_world *w, struct beside *beside)
{
	*beside = (struct beside){0};
	for (const struct waiter *at = w->waiting->turns; at; at = at->turn_next) {
		int pod = pod_number(w, at->public.pod->uid);
		if (!at->public.turn_node || w->entries[pod].there)
			continue;
		int node = node_number(w, at->public.turn_node->name);
		if (!brute_fits(w, w->pods[pod], node, beside))
			continue;
		beside->held[pod] = true;
		beside->turn[pod] = node;
	}
}

/* As a hint does: nothing is taken from those who have a turn. */
static void do_hint(struct core_world *w, const struct property_step *step)
{
	struct decision decision;
	struct beside beside;
	int pod = pod_of(step);
	if (w->entries[pod].there || waiting_find(w->waiting, slice_of(w->pod_names[pod])))
		return;
	hold_turns(w, &beside);
	waiting_hold_turns(w->waiting, w->fleet);
	decide_fleet_best(w->fleet, w->pods[pod], &decision);
	waiting_release_turns(w->waiting, w->fleet);
	for (int node = 0; !decision.node && node < NODES; node++)
		PROPERTY_CHECK(!brute_fits(w, w->pods[pod], node, &beside), "%s: no hint, it fits on %s",
		    w->pod_names[pod], w->node_names[node]);
	if (!decision.node)
		return;
	int node = node_number(w, decision.node->name);
	PROPERTY_CHECK(brute_fits(w, w->pods[pod], node, &beside), "%s: hinted to %s, into the room of a turn",
	    w->pod_names[pod], decision.node->name);
	reserve(w, pod, node, LEDGER_PLANNED, true, ttl_of(step->args[1]));
}

static void do_pin(struct core_world *w, const struct property_step *step)
{
	int pod = pod_of(step);
	struct entry_model *entry = &w->entries[pod];
	bool pinned = step->args[1] % 2 == 0;
	if (!entry->there)
		return;
	property_note("%s %s", w->pod_names[pod], pinned ? "pinned" : "unpinned");
	ledger_pin(w->fleet, ledger_find(w->fleet, slice_of(w->pod_names[pod])), pinned, w->now_ns);
	entry->pinned = pinned && entry->state != LEDGER_BOUND;
	model_renew(w, entry);
}

static void do_renew(struct core_world *w, const struct property_step *step)
{
	int pod = pod_of(step);
	if (!w->entries[pod].there)
		return;
	property_note("%s", w->pod_names[pod]);
	ledger_renew(w->fleet, ledger_find(w->fleet, slice_of(w->pod_names[pod])), w->now_ns);
	model_renew(w, &w->entries[pod]);
}

/* The Binding is seen, where the room was held. */
static void do_bound(struct core_world *w, const struct property_step *step)
{
	int pod = pod_of(step);
	if (w->entries[pod].there)
		reserve(w, pod, w->entries[pod].node, LEDGER_BOUND, w->entries[pod].ours, 0);
}

static void do_gone(struct core_world *w, const struct property_step *step)
{
	int pod = pod_of(step);
	property_note("%s", w->pod_names[pod]);
	waiting_remove(w->waiting, slice_of(w->pod_names[pod]));
	release(w, pod);
}

/* The pod is seen again with other words; one that waits only with another priority. */
static void do_pod_changes(struct core_world *w, const struct property_step *step)
{
	int at = pod_of(step);
	struct slice uid = slice_of(w->pod_names[at]);
	bool waits = waiting_find(w->waiting, uid) != NULL;
	struct pod *old = w->pods[at];
	if (!waits)
		w->pod_seeds[at] = step->args[1];
	struct pod *pod = w->pods[at] = make_pod(w, at, w->pod_seeds[at]);
	if (waits)
		pod->priority = (int32_t)(step->args[1] % 5);
	property_note("%s seed=%u priority=%d", w->pod_names[at], w->pod_seeds[at], (int)pod->priority);
	if (waits)
		waiting_renew(w->waiting, pod);
	if (w->entries[at].there)
		ledger_update(w->fleet, ledger_find(w->fleet, uid), w->pods[at]);
	pod_free(old);
}

static void do_time(struct core_world *w, const struct property_step *step)
{
	w->now_ns += step->args[0] % 64 * (SECOND / 8);
	property_note("now %lld ms", (long long)(w->now_ns / (SECOND / 1000)));
}

static void do_expire(struct core_world *w, const struct property_step *step)
{
	(void)step;
	int64_t last = INT64_MIN;
	for (struct ledger_entry *entry; (entry = ledger_expired(w->fleet, w->now_ns));) {
		int pod = pod_number(w, entry->uid);
		PROPERTY_CHECK(brute_expires(&w->entries[pod]) && entry->expires_ns <= w->now_ns, "%s has not expired",
		    entry->uid);
		PROPERTY_CHECK(entry->expires_ns >= last, "%s: not the soonest", entry->uid);
		last = entry->expires_ns;
		property_note("%s ", entry->uid);
		release(w, pod);
	}
}

static void do_policy(struct core_world *w, const struct property_step *step)
{
	w->policy = (int)(step->args[0] % POLICIES);
	property_note("policy %d", w->policy);
	fleet_set_policy(w->fleet, w->policies[w->policy]);
}

/* --- wakes --- */

struct woken {
	struct core_world *w;
	int count, pods[PODS], nodes[PODS];
};

static void note_wake(void *ctx, struct waiting_pod *pod, struct node *node)
{
	struct woken *woken = ctx;
	PROPERTY_CHECK(woken->count < PODS, "more wakes than pods");
	PROPERTY_CHECK(node && pod->turn_node == node, "%s: woken for a node that its turn is not for", pod->pod->uid);
	woken->pods[woken->count] = pod_number(woken->w, pod->pod->uid);
	woken->nodes[woken->count++] = node_number(woken->w, node->name);
	property_note("%s for %s ", pod->pod->uid, node->name);
}

static bool has_turn(const struct core_world *w, const struct node *node)
{
	for (const struct waiter *at = w->waiting->turns; at; at = at->turn_next)
		if (node && at->public.turn_node == node)
			return true;
	return false;
}

/* A pod that nobody woke since it was rejected has no room, or has refused just that. A node that somebody has a turn
 * for is offered again when the turn ends. */
static void check_nobody_sleeps(const struct core_world *w, const struct beside *beside)
{
	for (struct waiting_pod *at = NULL; (at = waiting_next(w->waiting, at));) {
		const struct waiter *waiter = (const struct waiter *)(const void *)at;
		if (at->wakes > 0 || at->turn_ends_ns != 0)
			continue;
		for (int node = 0; node < NODES; node++) {
			const struct node *there = fleet_find(w->fleet, slice_of(w->node_names[node]));
			bool refused = there && waiter->refused_at != 0 && there->improved_at == waiter->refused_at;
			PROPERTY_CHECK(refused || has_turn(w, there) || !brute_fits(w, at->pod, node, beside),
			    "%s sleeps, it fits on %s", at->pod->uid, w->node_names[node]);
		}
	}
}

static void do_wake(struct core_world *w, const struct property_step *step)
{
	struct woken again = {.w = w}, woken = {.w = w};
	struct beside beside;
	size_t limit = step->args[0] % 8 == 7 ? 1 : PODS + 1;
	waiting_expire(w->waiting, w->fleet, w->now_ns, note_wake, &again);
	for (int i = 0; i < again.count; i++)
		PROPERTY_CHECK(brute_fits(w, w->pods[again.pods[i]], again.nodes[i], NULL),
		    "%s: woken again for %s, no room", w->pod_names[again.pods[i]], w->node_names[again.nodes[i]]);
	hold_turns(w, &beside);
	waiting_wake_for(w->waiting, w->fleet, fleet_take_improved(w->fleet), w->now_ns, limit, note_wake, &woken);
	for (int i = 0; i < woken.count; i++) {
		int pod = woken.pods[i], node = woken.nodes[i];
		PROPERTY_CHECK(brute_fits(w, w->pods[pod], node, &beside), "%s: woken for %s, no room beside the turns",
		    w->pod_names[pod], w->node_names[node]);
		beside.held[pod] = !w->entries[pod].there;
		beside.turn[pod] = node;
		if (i == 0)
			continue;
		const struct waiting_pod *a = waiting_find(w->waiting, slice_of(w->pod_names[woken.pods[i - 1]]));
		const struct waiting_pod *b = waiting_find(w->waiting, slice_of(w->pod_names[pod]));
		bool equal = a->pod->priority == b->pod->priority;
		PROPERTY_CHECK(a->pod->priority > b->pod->priority ||
		                   (equal && (a->since_ns <= b->since_ns || w->policy == WITH_TEAMS)),
		    "%s: woken before %s", a->pod->uid, b->pod->uid);
	}
	if (limit > PODS)
		check_nobody_sleeps(w, &beside);
}

/* --- preemption --- */

/* The victims proposed on a node: entries there whose bit is set. */
static size_t victims_on(const struct core_world *w, int node, uint32_t bits, int *victims)
{
	size_t count = 0;
	for (int i = 0; i < PODS; i++)
		if (w->entries[i].there && w->entries[i].node == node && bits >> i % 16 & 1)
			victims[count++] = i;
	return count;
}

static bool brute_preempts(const struct core_world *w, const struct pod *pod)
{
	const char *class_ = brute_class(w, pod);
	return w->policy == 2 && class_ && strcmp(class_, "prefer") == 0 && !pod->gang;
}

static bool brute_may_take(const struct core_world *w, int pod, int node, const int *victims, size_t count)
{
	struct beside beside = {0};
	for (size_t i = 0; i < count; i++) {
		const struct entry_model *entry = &w->entries[victims[i]];
		const struct pod *victim = w->pods[victims[i]];
		const char *victim_class = brute_class(w, victim);
		beside.gone[victims[i]] = true;
		if (entry->state != LEDGER_BOUND || !entry->ours || victim->gang || !victim_class ||
		    strcmp(victim_class, "batch") != 0)
			return false;
	}
	return count > 0 && brute_fits(w, w->pods[pod], node, &beside);
}

static void do_preempt(struct core_world *w, const struct property_step *step)
{
	struct preempt_candidate candidates[NODES];
	struct preempt_victim victims[NODES][PODS];
	int numbers[PODS], pod = pod_of(step);
	bool may[NODES], any = false;
	bool allowed = preempt_allowed(w->fleet, w->pods[pod]);
	PROPERTY_CHECK(allowed == brute_preempts(w, w->pods[pod]), "%s: may preempt: %d", w->pod_names[pod], allowed);
	if (w->entries[pod].there || !allowed)
		return;
	for (int node = 0; node < NODES; node++) {
		size_t count = victims_on(w, node, step->args[1], numbers);
		for (size_t i = 0; i < count; i++) {
			const struct ledger_entry *entry = ledger_find(w->fleet, slice_of(w->pod_names[numbers[i]]));
			victims[node][i] = (struct preempt_victim){entry, ledger_pod(entry)};
		}
		candidates[node] =
		    (struct preempt_candidate){.node = fleet_find(w->fleet, slice_of(w->node_names[node])),
		        .victim_count = count,
		        .victims = victims[node]};
		may[node] = brute_may_take(w, pod, node, numbers, count);
		any |= may[node];
	}
	size_t chosen = preempt_choose(w->fleet, w->pods[pod], candidates, NODES, NULL);
	for (int node = 0; node < NODES; node++)
		for (size_t i = 0; i < candidates[node].victim_count; i++)
			pod_free((struct pod *)(uintptr_t)victims[node][i].pod);
	property_note("%s on %s", w->pod_names[pod], chosen == SIZE_MAX ? "none" : w->node_names[chosen]);
	PROPERTY_CHECK(any == (chosen != SIZE_MAX), "%s: %s", w->pod_names[pod],
	    any ? "no node left, one would do" : "a node left, none would do");
	PROPERTY_CHECK(chosen == SIZE_MAX || may[chosen], "%s: may not preempt on %s", w->pod_names[pod],
	    chosen == SIZE_MAX ? "" : w->node_names[chosen]);
}

static const struct property_kind kinds[] = {{"node", 6}, {"node changes", 14}, {"node goes", 3}, {"reserve", 14},
    {"place", 24}, {"hint", 6}, {"pin", 4}, {"renew", 2}, {"bound", 10}, {"gone", 10}, {"pod changes", 8}, {"time", 6},
    {"expire", 4}, {"policy", 2}, {"wake", 18}, {"preempt", 3}};
static void (*const steps[])(struct core_world *, const struct property_step *) = {do_node, do_node_changes,
    do_node_goes, do_reserve, do_place, do_hint, do_pin, do_renew, do_bound, do_gone, do_pod_changes, do_time,
    do_expire, do_policy, do_wake, do_preempt};
_Static_assert(sizeof kinds / sizeof *kinds == sizeof steps / sizeof *steps, "one function a kind");

static void step(void *world, const struct property_step *step)
{
	struct core_world *w = world;
	w->steps++;
	steps[step->kind](w, step);
}

static void check(void *world)
{
	struct core_world *w = world;
	check_ledger(w);
	check_nodes(w);
	check_index(w->fleet);
	check_waiting(w);
	struct fleet *rebuilt = core_rebuild(w);
	for (uint64_t i = 0; i < 3; i++)
		check_decisions(w, rebuilt, w->pods[(w->steps * 3 + i) % PODS]);
	fleet_free(rebuilt);
}

int main(void)
{
	return property_run(&(struct property){
	    .name = "core",
	    .kinds = kinds,
	    .kind_count = sizeof kinds / sizeof *kinds,
	    .first_seed = 1,
	    .runs = 150,
	    .steps = 120,
	    .seconds = 60,
	    .begin = begin,
	    .step = step,
	    .check = check,
	    .end = end,
	});
}
