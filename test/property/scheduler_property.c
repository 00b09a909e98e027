/* The scheduler under random events and callbacks: objects come, change and go, kube-scheduler calls in any order, the
 * API server fails, time passes. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/embedded.h"
#include "base/log.h"
#include "scheduler_world.h"
#include "sim/podwrite.h"

/* --- the store, as it changes --- */

static void pod_changed(void *ctx, const struct sim_change *change)
{
	struct sched_world *w = ctx;
	if (change->resource != SIM_PODS)
		return;
	for (int i = 0; i < w->life_count; i++) {
		struct life *life = &w->lives[i];
		if (strcmp(life->uid, change->now->uid) != 0)
			continue;
		life->there = change->type != SIM_DELETED;
		life->shown = true;
		life->node = change->now->node[0] ? node_of_name(change->now->node) : -1;
		life->last_node = life->node >= 0 ? life->node : life->last_node;
		life->ended = strcmp(change->now->phase, "Succeeded") == 0;
		if (!life->there || life->ended)
			life->required = false;
		return;
	}
}

static void *begin(uint64_t seed)
{
	struct sched_world *w = xcalloc(1, sizeof *w);
	struct err err;
	(void)seed;
	log_set_level(LOG_ERROR);
	property_clock_ns = 1000 * NS_PER_S;
	uv_loop_init(&w->loop);
	w->store = sim_store_new(SIM_HISTORY_MAX);
	w->api = sim_api_start(&w->loop, w->store, &(struct sim_api_options){.bookmark_ms = 20000}, &err);
	PROPERTY_CHECK(w->api, "%s", err.text);
	w->client = http_client_open(&w->loop, &(struct http_client_options){.connections_max = 16}, &err);
	PROPERTY_CHECK(w->client, "%s", err.text);
	w->catalogue = catalogue_load(embedded_text("gpus.yaml"), (struct slice){NULL, 0}, NULL, &err);
	PROPERTY_CHECK(w->catalogue, "%s", err.text);
	snprintf(w->server, sizeof w->server, "http://127.0.0.1:%u", sim_api_port(w->api));
	w->kube.server = w->server;
	snprintf(w->policy_file, sizeof w->policy_file, "/tmp/berth-property-%d.yaml", (int)getpid());
	write_policy(w, POLICY_OPEN);
	for (int i = 0; i < PODS; i++)
		w->pods[i] = -1;
	sim_store_observe(w->store, pod_changed, w);
	w->scheduler = start_scheduler(w);
	return w;
}

static void end(void *world)
{
	struct sched_world *w = world;
	bool stopped = false;
	stop_scheduler(w, w->scheduler);
	http_client_close(w->client);
	sim_store_unobserve(w->store, w);
	sim_api_stop(w->api, NULL, NULL);
	for (int i = 0; i < 100 && !stopped; i++) {
		pass_time(w, NS_PER_S);
		stopped = uv_loop_alive(&w->loop) == 0;
	}
	PROPERTY_CHECK(stopped && uv_loop_close(&w->loop) == 0, "handles are left open");
	sim_store_free(w->store);
	catalogue_free(w->catalogue);
	unlink(w->policy_file);
	free(w);
}

/* --- objects --- */

static void put(struct sched_world *w, enum sim_resource resource, json_t *object, bool create)
{
	struct err err;
	const struct sim_version *version = create ? sim_store_create(w->store, resource, object, &err)
	                                           : sim_store_update(w->store, resource, object, &err);
	PROPERTY_CHECK(version, "the store: %s", err.text);
	json_decref(object);
}

static void do_node(struct sched_world *w, const struct property_step *step)
{
	int at = (int)(step->args[0] % NODES);
	struct node_object *node = &w->nodes[at];
	unsigned what = step->args[1] % 8;
	bool create = !node->there;
	w->disturbed = true;
	if (!create && what == 0) {
		property_note("%s goes", node_name(at));
		*node = (struct node_object){0};
		sim_store_delete(w->store, SIM_NODES, NULL, node_name(at));
		return;
	}
	if (create)
		*node = (struct node_object){.there = true, .ready = true, .gpus = 4};
	else if (what == 1)
		node->ready = !node->ready;
	else if (what == 2)
		node->cordoned = !node->cordoned;
	else if (what == 3)
		node->tainted = !node->tainted;
	else if (what == 4)
		node->label++;
	else
		node->gpus = (int)(step->args[2] % 5);
	property_note("%s gpus=%d ready=%d cordoned=%d tainted=%d", node_name(at), node->gpus, node->ready,
	    node->cordoned, node->tainted);
	put(w, SIM_NODES, node_json(w, at), create);
}

static int new_life(struct sched_world *w, int pod, uint32_t size, uint32_t flags)
{
	PROPERTY_CHECK(w->life_count < LIVES, "too many pods for one sequence");
	int at = w->life_count++;
	w->lives[at] = (struct life){.pod = pod,
	    .gpus = (int)(size % 5),
	    .milli_cpu = 500 * (1 + (int)(size / 5 % 8)),
	    .priority = (int)(flags % 3),
	    .ours = flags / 3 % 6 != 5,
	    .urgent = flags / 18 % 4 == 3,
	    .volumes = flags / 72 % 8 == 7,
	    .node = -1,
	    .last_node = -1,
	    .promised = -1,
	    .seen_node = -1};
	snprintf(w->lives[at].uid, sizeof w->lives[at].uid, "never-shown-%d", at);
	return at;
}

static void do_pod(struct sched_world *w, const struct property_step *step)
{
	int pod = (int)(step->args[0] % PODS);
	struct err err;
	if (w->pods[pod] >= 0 && w->lives[w->pods[pod]].there)
		return;
	int at = new_life(w, pod, step->args[1], step->args[2]);
	struct life *life = &w->lives[at];
	w->pods[pod] = at;
	property_note("%s gpus=%d cpu=%dm priority=%d%s%s%s", pod_name(pod), life->gpus, life->milli_cpu,
	    life->priority, life->ours ? "" : " foreign", life->urgent ? " urgent" : "",
	    life->volumes ? " volumes" : "");
	json_t *object = pod_json(w, at);
	const struct sim_version *version = sim_store_create(w->store, SIM_PODS, object, &err);
	PROPERTY_CHECK(version, "the store: %s", err.text);
	snprintf(life->uid, sizeof life->uid, "%s", version->uid);
	life->there = life->shown = true;
	json_decref(object);
}

static json_t *stored(const struct sched_world *w, int pod)
{
	return sim_store_tree(sim_store_get(w->store, SIM_PODS, NAMESPACE, pod_name(pod)));
}

/* The pod of that number as it is in the store, or NULL. */
static struct life *living(struct sched_world *w, uint32_t arg)
{
	int at = w->pods[arg % PODS];
	return at >= 0 && w->lives[at].there ? &w->lives[at] : NULL;
}

static void do_pod_goes(struct sched_world *w, const struct property_step *step)
{
	struct life *life = living(w, step->args[0]);
	if (!life)
		return;
	bool ends = step->args[1] % 3 == 0 && life->node >= 0 && !life->ended;
	property_note("%s %s", pod_name(life->pod), ends ? "ends" : "goes");
	if (!ends) {
		sim_store_delete(w->store, SIM_PODS, NAMESPACE, pod_name(life->pod));
		return;
	}
	json_t *object = stored(w, life->pod);
	json_object_set_new(sim_member_object(object, "status"), "phase", json_string("Succeeded"));
	put(w, SIM_PODS, object, false);
}

static void do_resize(struct sched_world *w, const struct property_step *step)
{
	struct life *life = living(w, step->args[0]);
	char cpu[16];
	if (!life || life->node < 0 || life->ended)
		return;
	life->milli_cpu = 250 * (1 + (int)(step->args[1] % 20));
	property_note("%s cpu=%dm", pod_name(life->pod), life->milli_cpu);
	snprintf(cpu, sizeof cpu, "%dm", life->milli_cpu);
	json_t *object = stored(w, life->pod);
	json_t *containers = json_object_get(json_object_get(object, "spec"), "containers");
	json_t *resources = json_object_get(json_array_get(containers, 0), "resources");
	json_object_set_new(json_object_get(resources, "requests"), "cpu", json_string(cpu));
	w->disturbed = true;
	put(w, SIM_PODS, object, false);
}

static void do_bound_by_others(struct sched_world *w, const struct property_step *step)
{
	struct life *life = living(w, step->args[0]);
	struct err err;
	int node = (int)(step->args[1] % NODES);
	if (!life || life->node >= 0 || life->ended || (life->ours && step->args[2] % 4 != 0))
		return;
	property_note("%s to %s", pod_name(life->pod), node_name(node));
	json_t *object = stored(w, life->pod);
	w->disturbed = true;
	PROPERTY_CHECK(sim_pod_bind(w->store, object, node_name(node), NULL, &err) == 0, "the store: %s", err.text);
	json_decref(object);
}

/* --- callbacks --- */

/* The first pod from this number on that waits for its node, with or without a promise; or this number, if none does.
 */
static int pending_pod(const struct sched_world *w, int from, bool promised)
{
	for (int i = 0; i < PODS; i++) {
		int at = w->pods[(from + i) % PODS];
		const struct life *life = at >= 0 ? &w->lives[at] : NULL;
		if (life && life->ours && life->there && !life->ended && life->node < 0 &&
		    (!promised || life->required))
			return life->pod;
	}
	return from;
}

/* A pod of ours that kube-scheduler asks about: nearly always one that is pending, else one that is gone or bound, or
 * that was never shown. */
static int asked_life(struct sched_world *w, const struct property_step *step, bool promised)
{
	int pod = (int)(step->args[0] % PODS);
	if (step->args[2] % 4 != 3)
		pod = pending_pod(w, pod, promised);
	if (w->pods[pod] < 0)
		w->pods[pod] = new_life(w, pod, step->args[1], step->args[2]);
	int at = w->pods[pod];
	struct life *life = &w->lives[at];
	if (!life->ours)
		return -1;
	life->late |= !life->there || life->ended;
	return at;
}

static json_t *names_of(uint32_t mask)
{
	json_t *names = json_array();
	for (int i = 0; i < NODES; i++)
		if (mask >> i & 1)
			json_array_append_new(names, json_string(node_name(i)));
	return names;
}

static int chosen_in(const json_t *body)
{
	const json_t *names = json_object_get(body, "NodeNames");
	PROPERTY_CHECK(json_array_size(names) <= 1, "filter answers more than one node");
	return json_array_size(names) == 1 ? node_of_name(json_string_value(json_array_get(names, 0))) : -1;
}

/* Another was just woken for the node's room: its turn shows, unless it ended already since there is no such pod. */
static bool is_kept(const struct sched_world *w, const json_t *state, const char *uid, int node)
{
	size_t i;
	json_t *pod;
	json_array_foreach(json_object_get(state, "waiting"), i, pod)
	{
		const char *turn = json_string_value(json_object_get(pod, "turn")),
		           *other = json_string_value(json_object_get(pod, "uid"));
		if (strcmp(other, uid) != 0 &&
		    (turn ? node_of_name(turn) == node : !w->lives[life_of_uid(w, other)].there))
			return true;
	}
	return false;
}

static void check_filter(struct sched_world *w, int at, uint32_t mask, int chosen, json_t *before, json_t *after)
{
	const struct life *life = &w->lives[at];
	const json_t *held = entry_in(before, life->uid), *now = entry_in(after, life->uid);
	int held_on = held ? node_of_name(json_string_value(json_object_get(held, "node"))) : -1;
	bool settled = held && json_is_null(json_object_get(held, "expires"));
	PROPERTY_CHECK(chosen < 0 || mask >> chosen & 1, "%s: %s was not offered", life->uid, node_name(chosen));
	if (chosen >= 0)
		PROPERTY_CHECK(now && node_of_name(json_string_value(json_object_get(now, "node"))) == chosen,
		    "%s: %s is the answer, and not reserved", life->uid, node_name(chosen));
	if (settled) {
		PROPERTY_CHECK(chosen == (mask >> held_on & 1 ? held_on : -1),
		    "%s: settled on %s, the answer is another", life->uid, node_name(held_on));
		return;
	}
	if (w->disturbed || !caught_up(w))
		return;
	if (held && mask >> held_on & 1 && admits(w, life, held_on) && has_room(before, life, held_on))
		PROPERTY_CHECK(
		    chosen == held_on, "%s: holds room on %s, the answer is another", life->uid, node_name(held_on));
	PROPERTY_CHECK(chosen < 0 || life->preempts || (admits(w, life, chosen) && has_room(after, life, chosen)),
	    "%s: does not fit on %s", life->uid, node_name(chosen));
	for (int i = 0; chosen < 0 && i < NODES; i++)
		PROPERTY_CHECK(!(mask >> i & 1) || !admits(w, life, i) || !has_room(before, life, i) ||
		                   is_kept(w, after, life->uid, i),
		    "%s: rejected, it fits on %s", life->uid, node_name(i));
}

static void do_filter(struct sched_world *w, const struct property_step *step)
{
	int at = asked_life(w, step, false);
	uint32_t mask = step->args[1] % 3 == 0 ? step->args[2] % (1u << NODES) : (1u << NODES) - 1;
	if (at < 0)
		return;
	struct life *life = &w->lives[at];
	json_t *before = read_state(w->scheduler);
	struct answer answer =
	    call_verb(w, "filter", json_pack("{s:o,s:o}", "Pod", pod_as_called(w, at), "NodeNames", names_of(mask)));
	json_t *after = read_state(w->scheduler);
	int chosen = answer.status == 200 ? chosen_in(answer.body) : -1;
	property_note("%s names=%#x: %s", pod_name(life->pod), mask, chosen < 0 ? "none" : node_name(chosen));
	PROPERTY_CHECK(answer.status == 200 || !scheduler_synced(w->scheduler), "filter answers %u", answer.status);
	if (answer.status == 200 && mask != 0) {
		check_filter(w, at, mask, chosen, before, after);
		if (chosen >= 0) {
			life->promised = chosen;
			life->until_ns = property_clock_ns + ttl_of(life);
			/* A bind that still reads the pod may yet move it. */
			life->may_be_anywhere = bind_under_way(w, at) && life->may_be_anywhere;
			life->required = life->there && !life->ended && !life->may_be_anywhere;
		} else {
			life->required &= bind_under_way(w, at);
		}
	}
	json_decref(before);
	json_decref(after);
	json_decref(answer.body);
}

static void do_prioritize(struct sched_world *w, const struct property_step *step)
{
	int at = asked_life(w, step, false);
	if (at < 0)
		return;
	json_t *before = read_state(w->scheduler), *score;
	struct answer answer = call_verb(w, "prioritize",
	    json_pack("{s:o,s:o}", "Pod", pod_as_called(w, at), "NodeNames", names_of((1u << NODES) - 1)));
	json_t *after = read_state(w->scheduler);
	size_t i;
	PROPERTY_CHECK(answer.status == 200 || !scheduler_synced(w->scheduler), "prioritize answers %u", answer.status);
	PROPERTY_CHECK(json_equal(json_object_get(before, "ledger"), json_object_get(after, "ledger")),
	    "prioritize changed the ledger");
	json_array_foreach(answer.body, i, score)
	{
		json_int_t value = json_integer_value(json_object_get(score, "Score"));
		PROPERTY_CHECK(value >= 0 && value <= 10, "a score of %lld", (long long)value);
	}
	json_decref(before);
	json_decref(after);
	json_decref(answer.body);
}

static void do_bind(struct sched_world *w, const struct property_step *step)
{
	int at = asked_life(w, step, true);
	if (at < 0)
		return;
	struct life *life = &w->lives[at];
	bool known = life->promised >= 0 && step->args[1] % 5 != 4;
	int node = known ? life->promised : (int)(step->args[2] % NODES);
	bool running = bind_under_way(w, at);
	if (!start_bind(w, at, node))
		return;
	property_note("%s to %s", pod_name(life->pod), node_name(node));
	if (running)
		return; /* it joins, or is refused */
	if (node != life->promised || !life->required || !w->nodes[node].there || !caught_up(w)) {
		life->required = false;
		life->may_be_anywhere = true;
	}
}

static void do_preempt(struct sched_world *w, const struct property_step *step)
{
	int at = asked_life(w, step, false), node = (int)(step->args[1] % NODES);
	json_t *pods = json_array();
	bool may = at >= 0 && w->policy == POLICY_PREEMPT && w->lives[at].urgent;
	if (at < 0 || bind_under_way(w, at) || !w->lives[at].there || w->lives[at].node >= 0) {
		json_decref(pods);
		return;
	}
	struct life *life = &w->lives[at];
	for (int i = 0; i < PODS; i++) {
		const struct life *victim = w->pods[i] >= 0 ? &w->lives[w->pods[i]] : NULL;
		if (!victim || !victim->there || victim->ended || victim->node != node || !(step->args[2] >> i & 1))
			continue;
		json_array_append_new(pods, json_pack("{s:s}", "UID", victim->uid));
		may &= victim->ours && !victim->urgent;
	}
	may &= json_array_size(pods) > 0;
	struct answer answer = call_verb(w, "preempt",
	    json_pack("{s:o,s:n,s:{s:{s:o,s:i}}}", "Pod", pod_as_called(w, at), "NodeNameToVictims",
	        "NodeNameToMetaVictims", node_name(node), "Pods", pods, "NumPDBViolations", 0));
	bool left = json_object_size(json_object_get(answer.body, "NodeNameToMetaVictims")) > 0;
	property_note("%s on %s: %s", pod_name(life->pod), node_name(node), left ? "yes" : "no");
	PROPERTY_CHECK(answer.status == 200, "preempt answers %u", answer.status);
	PROPERTY_CHECK(!left || may || w->disturbed, "%s: may not have these victims", life->uid);
	json_decref(answer.body);
	if (!left)
		return;
	life->promised = node;
	life->required = life->preempts = true;
	life->may_be_anywhere = false;
	life->until_ns = property_clock_ns + ttl_of(life) + GRACE_S * NS_PER_S;
}

/* --- what goes wrong --- */

static void do_fault(struct sched_world *w, const struct property_step *step)
{
	static const struct sim_fault faults[] = {
	    {.method = "POST", .path = "/binding", .status = 500},
	    {.method = "POST", .path = "/binding", .status = 409},
	    {.method = "POST", .path = "/binding", .status = 404},
	    {.method = "POST", .path = "/binding", .status = 403},
	    {.method = "POST", .path = "/binding", .status = 429, .retry_after_s = 1},
	    {.method = "POST", .path = "/binding", .drop = true},
	    {.method = "POST", .path = "/binding", .cut = true},
	    {.method = "POST", .path = "/binding", .delay_ms = 3000},
	    {.method = "GET", .path = "/namespaces/", .status = 503},
	    {.method = "GET", .path = "/namespaces/", .drop = true},
	    {.method = "PATCH", .status = 500},
	    {.method = "PATCH", .drop = true},
	};
	struct sim_fault rule = faults[step->args[0] % (sizeof faults / sizeof *faults)];
	struct err err;
	rule.times = 1 + step->args[1] % 3;
	rule.retry_after_s = rule.retry_after_s ? rule.retry_after_s : -1;
	property_note("%s %s status=%u%s%s x%u", rule.method, rule.path, rule.status, rule.drop ? " drop" : "",
	    rule.cut ? " cut" : "", rule.times);
	if (sim_fault_add(sim_api_faults(w->api), &rule, &err) != 0)
		sim_api_faults(w->api)->count = 0;
}

static void do_watch(struct sched_world *w, const struct property_step *step)
{
	struct sim_fault gone = {.method = "GET", .path = "/api/v1/", .status = 503, .retry_after_s = -1};
	struct err err;
	w->disturbed = true;
	switch (step->args[0] % 7) {
	case 0:
		property_note("cut");
		sim_api_drop_watches(w->api);
		break;
	case 1:
		property_note("cut, history lost");
		sim_history_compact(w->store);
		sim_api_drop_watches(w->api);
		break;
	case 2:
		gone.times = 1 + step->args[1] % 6;
		property_note("cut, 503 x%u", gone.times);
		if (sim_fault_add(sim_api_faults(w->api), &gone, &err) == 0)
			sim_api_drop_watches(w->api);
		break;
	case 3:
		property_note("history lost");
		sim_history_compact(w->store);
		break;
	case 4:
		property_note("cut; missed for good: ");
		gone.times = 2;
		if (sim_fault_add(sim_api_faults(w->api), &gone, &err) != 0)
			break;
		sim_api_drop_watches(w->api);
		settle(w);
		do_pod_goes(w, &(struct property_step){.args = {step->args[1], 1}});
		sim_history_compact(w->store);
		break;
	case 5:
		w->lags = true;
		property_note("lags by %u ms", 100 + step->args[1] % 4000);
		sim_api_set_watch_lag(w->api, 100 + step->args[1] % 4000);
		break;
	default:
		property_note("lags no more");
		sim_api_set_watch_lag(w->api, 0);
		w->lag_until_ns = w->lags ? property_clock_ns + 5 * NS_PER_S : w->lag_until_ns;
		w->lags = false;
	}
}

static void do_time(struct sched_world *w, const struct property_step *step)
{
	int64_t ns = (int64_t)(step->args[0] % 400) * 100 * NS_PER_MS;
	property_note("%lld ms", (long long)(ns / NS_PER_MS));
	pass_time(w, ns);
}

static void do_policy(struct sched_world *w, const struct property_step *step)
{
	property_note("policy %u", step->args[0] % POLICIES);
	write_policy(w, (int)(step->args[0] % POLICIES));
	scheduler_reload(w->scheduler);
	w->disturbed = true;
}

/* What was only promised goes with the process. */
static void do_restart(struct sched_world *w, const struct property_step *step)
{
	(void)step;
	stop_scheduler(w, w->scheduler);
	for (int i = 0; i < w->life_count; i++) {
		struct life *life = &w->lives[i];
		life->required = life->preempts = false;
		life->seen_state = life->seen_state == 3 ? 3 : 0;
		life->promised = -1;
	}
	w->scheduler = start_scheduler(w);
	w->disturbed = true;
}

static const struct property_kind kinds[] = {{"node", 8}, {"pod", 14}, {"pod goes", 7}, {"resize", 3},
    {"bound by others", 4}, {"filter", 26}, {"prioritize", 2}, {"bind", 16}, {"preempt", 5}, {"fault", 6}, {"watch", 8},
    {"time", 6}, {"policy", 2}, {"restart", 1}};
static void (*const steps[])(struct sched_world *, const struct property_step *) = {do_node, do_pod, do_pod_goes,
    do_resize, do_bound_by_others, do_filter, do_prioritize, do_bind, do_preempt, do_fault, do_watch, do_time,
    do_policy, do_restart};
_Static_assert(sizeof kinds / sizeof *kinds == sizeof steps / sizeof *steps, "one function a kind");

static void end_promises(struct sched_world *w)
{
	for (int i = 0; i < w->life_count; i++)
		if (property_clock_ns >= w->lives[i].until_ns && !bind_under_way(w, i))
			w->lives[i].required = false;
}

static void step(void *world, const struct property_step *step)
{
	static const int64_t pauses_ms[] = {0, 1, 10, 60, 600};
	struct sched_world *w = world;
	w->steps++;
	w->disturbed = !caught_up(w);
	end_promises(w);
	steps[step->kind](w, step);
	pass_time(w, pauses_ms[step->args[3] % 5] * NS_PER_MS);
}

static void check(void *world)
{
	check_state(world);
	check_rebuilt(world);
}

int main(void)
{
	return property_run(&(struct property){
	    .name = "scheduler",
	    .kinds = kinds,
	    .kind_count = sizeof kinds / sizeof *kinds,
	    .first_seed = 1,
	    .runs = 20,
	    .steps = 80,
	    .seconds = 120,
	    .begin = begin,
	    .step = step,
	    .check = check,
	    .end = end,
	});
}
