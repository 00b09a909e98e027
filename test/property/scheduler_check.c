/* What must hold after every step, by brute force. */
#include <stdlib.h>

#include "scheduler_world.h"

#define SLACK_NS (2 * NS_PER_MS) /* timers round up to the next millisecond */

json_t *read_state(struct scheduler *scheduler)
{
	struct buf text;
	json_error_t error;
	buf_init(&text, 8u << 20);
	report_state(scheduler, &text);
	json_t *state = json_loadb(text.data, text.len, 0, &error);
	PROPERTY_CHECK(state, "/v1/state is no JSON: %s", error.text);
	buf_free(&text);
	return state;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static int64_t amount_of(const json_t *object, const char *resource)
{
	return json_integer_value(json_object_get(object, resource));
}

json_t *entry_in(json_t *state, const char *uid)
{
	size_t i;
	json_t *entry;
	json_array_foreach(
	    json_object_get(state, "ledger"), i, entry) if (strcmp(text_of(entry, "uid"), uid) == 0) return entry;
	return NULL;
}

static json_t *node_in(json_t *state, const char *name)
{
	size_t i;
	json_t *node;
	json_array_foreach(
	    json_object_get(state, "nodes"), i, node) if (strcmp(text_of(node, "name"), name) == 0) return node;
	return NULL;
}

static int64_t sum_on(json_t *state, const char *node, const char *resource, const char *but)
{
	int64_t sum = 0;
	size_t i;
	json_t *entry;
	json_array_foreach(json_object_get(state, "ledger"), i, entry)
	{
		if (strcmp(text_of(entry, "node"), node) == 0 && strcmp(text_of(entry, "uid"), but) != 0)
			sum += amount_of(json_object_get(entry, "requests"), resource);
	}
	return sum;
}

static const char *const resources[] = {"cpu", "memory", "pods", GPU};
#define RESOURCES (sizeof resources / sizeof *resources)

static int64_t asked_of(const struct life *life, const char *resource)
{
	if (strcmp(resource, "cpu") == 0)
		return life->milli_cpu;
	if (strcmp(resource, GPU) == 0)
		return life->gpus;
	return strcmp(resource, "pods") == 0;
}

bool has_room(json_t *state, const struct life *life, int node)
{
	const json_t *there = json_object_get(node_in(state, node_name(node)), "allocatable");
	for (size_t i = 0; i < RESOURCES; i++) {
		int64_t asked = asked_of(life, resources[i]);
		if (asked > 0 &&
		    asked > amount_of(there, resources[i]) - sum_on(state, node_name(node), resources[i], life->uid))
			return false;
	}
	return there != NULL;
}

bool admits(const struct sched_world *w, const struct life *life, int node)
{
	const struct node_object *object = &w->nodes[node];
	bool narrow = w->policy == POLICY_NARROW && life->urgent && life->gpus > 0;
	return object->there && object->ready && !object->cordoned && !object->tainted && !(narrow && node % 2);
}

/* --- sums --- */

static void check_sums(json_t *state)
{
	size_t n;
	json_t *node;
	json_array_foreach(json_object_get(state, "nodes"), n, node)
	{
		const char *name = text_of(node, "name");
		for (size_t i = 0; i < RESOURCES; i++) {
			int64_t used = sum_on(state, name, resources[i], "");
			int64_t there = amount_of(json_object_get(node, "allocatable"), resources[i]);
			int64_t says = amount_of(json_object_get(node, "used"), resources[i]);
			int64_t left = amount_of(json_object_get(node, "free"), resources[i]);
			PROPERTY_CHECK(says == used, "%s: %lld %s used, its entries have %lld", name, (long long)says,
			    resources[i], (long long)used);
			PROPERTY_CHECK(left == (there > used ? there - used : 0), "%s: %lld %s free of %lld, %lld used",
			    name, (long long)left, resources[i], (long long)there, (long long)used);
		}
	}
}

/* --- entries --- */

static int rank_of(const char *state)
{
	return strcmp(state, "planned") == 0 ? 1 : strcmp(state, "assumed") == 0 ? 2 : 3;
}

static void check_bound(const struct sched_world *w, const struct life *life, const json_t *entry)
{
	const char *node = text_of(entry, "node");
	PROPERTY_CHECK(json_is_null(json_object_get(entry, "expires")), "%s: bound, and expires", life->uid);
	if (life->last_node >= 0)
		PROPERTY_CHECK(strcmp(node, node_name(life->last_node)) == 0, "%s: bound to %s, the ledger says %s",
		    life->uid, node_name(life->last_node), node);
	if (caught_up(w))
		PROPERTY_CHECK(
		    life->there && !life->ended && life->node >= 0, "%s: the ledger says bound, it is not", life->uid);
}

static void check_promise(const struct sched_world *w, int at, const json_t *entry, bool hinted)
{
	const struct life *life = &w->lives[at];
	int64_t expires;
	const char *text = text_of(entry, "expires");
	if (bind_under_way(w, at))
		return;
	PROPERTY_CHECK(clock_parse(slice_of(text), &expires), "%s: expires \"%s\"", life->uid, text);
	int64_t left = expires - clock_wall(), ttl = ttl_of(life) + (life->preempts ? GRACE_S * NS_PER_S : 0);
	PROPERTY_CHECK(left >= -SLACK_NS && left <= ttl + SLACK_NS, "%s: expires in %lld ms", life->uid,
	    (long long)(left / NS_PER_MS));
	if (caught_up(w) && life->shown && !life->late)
		PROPERTY_CHECK(life->there && !life->ended, "%s: room is held for a pod that is gone", life->uid);
	if (hinted || life->may_be_anywhere)
		return;
	PROPERTY_CHECK(life->promised >= 0 && strcmp(text_of(entry, "node"), node_name(life->promised)) == 0,
	    "%s: room on %s, promised was %s", life->uid, text_of(entry, "node"),
	    life->promised >= 0 ? node_name(life->promised) : "none");
	PROPERTY_CHECK(life->until_ns + SLACK_NS >= property_clock_ns || w->blind_ns + ttl >= property_clock_ns,
	    "%s: room held longer than promised", life->uid);
}

/* Room that is newly taken was there. */
static void check_taken(const struct sched_world *w, json_t *state, const struct life *life, int node)
{
	if (w->disturbed || life->preempts || !caught_up(w))
		return;
	PROPERTY_CHECK(!node_in(state, node_name(node)) || has_room(state, life, node),
	    "%s: took room on %s that is not there", life->uid, node_name(node));
}

static void check_entry(struct sched_world *w, json_t *state, const json_t *entry)
{
	int at = life_of_uid(w, text_of(entry, "uid")), node = node_of_name(text_of(entry, "node"));
	struct life *life = &w->lives[at];
	int rank = rank_of(text_of(entry, "state"));
	PROPERTY_CHECK(rank >= life->seen_state, "%s: went back to %s", life->uid, text_of(entry, "state"));
	PROPERTY_CHECK(life->seen_state < 3 || life->seen_node == node, "%s: bound, and moved", life->uid);
	for (size_t i = 0; i < RESOURCES; i++) {
		int64_t says = amount_of(json_object_get(entry, "requests"), resources[i]);
		PROPERTY_CHECK(!caught_up(w) || says == asked_of(life, resources[i]),
		    "%s: %lld %s counted, it asks for %lld", life->uid, (long long)says, resources[i],
		    (long long)asked_of(life, resources[i]));
	}
	if (rank == 3)
		check_bound(w, life, entry);
	else
		check_promise(w, at, entry, rank == 1);
	if (rank < 3 && (life->seen_state == 0 || life->seen_node != node))
		check_taken(w, state, life, node);
}

static void remember(struct sched_world *w, json_t *state)
{
	for (int i = 0; i < w->life_count; i++) {
		const json_t *entry = entry_in(state, w->lives[i].uid);
		w->lives[i].seen_state = entry ? rank_of(text_of(entry, "state")) : 0;
		w->lives[i].seen_node = entry ? node_of_name(text_of(entry, "node")) : -1;
	}
}

/* What the store and the promises say must be there, is. */
static void check_life(const struct sched_world *w, json_t *state, int at)
{
	const struct life *life = &w->lives[at];
	const json_t *entry = entry_in(state, life->uid);
	if (caught_up(w) && life->there && !life->ended && life->node >= 0)
		PROPERTY_CHECK(entry && rank_of(text_of(entry, "state")) == 3, "%s: bound to %s, the ledger says %s",
		    life->uid, node_name(life->node), entry ? text_of(entry, "state") : "nothing");
	bool pinned = bind_under_way(w, at);
	if (!life->required || life->node >= 0 || (!pinned && property_clock_ns >= life->until_ns - SLACK_NS))
		return;
	PROPERTY_CHECK(entry && strcmp(text_of(entry, "node"), node_name(life->promised)) == 0,
	    "%s: promised %s, the ledger says %s", life->uid, node_name(life->promised),
	    entry ? text_of(entry, "node") : "nothing");
}

static void check_nodes(const struct sched_world *w, json_t *state)
{
	for (int i = 0; i < NODES; i++) {
		const json_t *node = node_in(state, node_name(i));
		PROPERTY_CHECK(
		    (node != NULL) == w->nodes[i].there, "%s: node %s", node_name(i), node ? "left over" : "missing");
		if (node)
			PROPERTY_CHECK(amount_of(json_object_get(node, "allocatable"), GPU) == w->nodes[i].gpus &&
			                   json_is_true(json_object_get(node, "ready")) == w->nodes[i].ready,
			    "%s: not as it is", node_name(i));
	}
}

static void check_waiting(const struct sched_world *w, json_t *state)
{
	size_t i;
	json_t *pod;
	json_array_foreach(json_object_get(state, "waiting"), i, pod)
	{
		const struct life *life = &w->lives[life_of_uid(w, text_of(pod, "uid"))];
		PROPERTY_CHECK(
		    !caught_up(w) || !life->shown || life->late || (life->there && !life->ended && life->node < 0),
		    "%s: waits, it is bound or gone", life->uid);
	}
}

static void check_binds(struct sched_world *w)
{
	for (struct bind_call *call = w->calls; call < w->calls + CALLS; call++) {
		struct life *life = &w->lives[call->life];
		if (!call->busy || !call->done)
			continue;
		call->busy = false;
		if (call->status == 200 && !call->error[0]) {
			PROPERTY_CHECK(life->last_node == call->node, "%s: bound to %s is the answer, it is not",
			    life->uid, node_name(call->node));
			continue;
		}
		/* What was pinned has its time anew. */
		bool kept = strcmp(call->error, reason_text(REASON_CODE_BIND_REFUSED)) == 0 ||
		            strcmp(call->error, reason_text(REASON_CODE_BIND_FAILED)) == 0;
		bool known = life->there && !life->ended && life->node < 0;
		life->until_ns = call->done_ns + ttl_of(life) + (life->preempts ? GRACE_S * NS_PER_S : 0);
		if (kept && known && life->required && life->promised == call->node && !bind_under_way(w, call->life))
			life->until_ns = call->done_ns + ttl_of(life);
	}
}

void check_state(struct sched_world *w)
{
	size_t i;
	json_t *entry;
	check_binds(w);
	json_t *state = read_state(w->scheduler);
	check_sums(state);
	json_array_foreach(json_object_get(state, "ledger"), i, entry) check_entry(w, state, entry);
	for (int life = 0; life < w->life_count; life++)
		check_life(w, state, life);
	if (caught_up(w))
		check_nodes(w, state);
	check_waiting(w, state);
	remember(w, state);
	json_decref(state);
}

/* --- the same from the objects alone --- */

static json_t *only_bound(json_t *state)
{
	json_t *bound = json_array(), *entry;
	size_t i;
	json_array_foreach(json_object_get(state, "ledger"), i,
	    entry) if (strcmp(text_of(entry, "state"), "bound") == 0) json_array_append(bound, entry);
	return bound;
}

static void check_member(json_t *a, json_t *b, const char *name, const char *key)
{
	json_t *left = json_object_get(a, key), *right = json_object_get(b, key);
	if (json_equal(left, right))
		return;
	char *was = json_dumps(left, JSON_COMPACT | JSON_ENCODE_ANY),
	     *is = json_dumps(right, JSON_COMPACT | JSON_ENCODE_ANY);
	property_fail("%s: %s is %s, from the objects alone it is %s", name, key, was ? was : "", is ? is : "");
}

void check_rebuilt(struct sched_world *w)
{
	if (!caught_up(w))
		return;
	/* Faults are left to the scheduler under test: this one is to need no second try. */
	size_t faults = sim_api_faults(w->api)->count;
	sim_api_faults(w->api)->count = 0;
	struct scheduler *other = start_scheduler(w);
	sim_api_faults(w->api)->count = faults;
	PROPERTY_CHECK(scheduler_synced(other), "a second scheduler does not read the cluster");
	json_t *live = read_state(w->scheduler), *rebuilt = read_state(other), *node;
	json_t *left = only_bound(live), *right = json_object_get(rebuilt, "ledger"), *entry;
	size_t i;
	PROPERTY_CHECK(json_array_size(left) == json_array_size(right), "%zu bound, from the objects alone %zu",
	    json_array_size(left), json_array_size(right));
	json_array_foreach(left, i, entry) PROPERTY_CHECK(json_equal(entry, json_array_get(right, i)),
	    "%s: not the same from the objects alone", text_of(entry, "uid"));
	PROPERTY_CHECK(
	    json_array_size(json_object_get(live, "nodes")) == json_array_size(json_object_get(rebuilt, "nodes")),
	    "other nodes from the objects alone");
	json_array_foreach(json_object_get(live, "nodes"), i, node)
	{
		static const char *const keys[] = {"pool", "ready", "allocatable", "codes"};
		json_t *same = json_array_get(json_object_get(rebuilt, "nodes"), i);
		for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
			check_member(node, same, text_of(node, "name"), keys[k]);
	}
	check_sums(rebuilt);
	json_decref(left);
	json_decref(live);
	json_decref(rebuilt);
	stop_scheduler(w, other);
}
