#include "scheduler_world.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/embedded.h"

#define SETTLE_TURNS 20000

/* --- time --- */

static bool is_busy(struct sched_world *w)
{
	struct pollfd ready = {.fd = uv_backend_fd(&w->loop), .events = POLLIN};
	return uv_loop_alive(&w->loop) && (uv_backend_timeout(&w->loop) == 0 || poll(&ready, 1, 0) > 0);
}

void settle(struct sched_world *w)
{
	unsigned turns = 0;
	uv_update_time(&w->loop);
	while (is_busy(w)) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		PROPERTY_CHECK(++turns < SETTLE_TURNS, "the loop never comes to rest");
	}
	if (w->scheduler && !kube_watch_state(w->scheduler->pods).connected)
		w->blind_ns = property_clock_ns;
}

void pass_time(struct sched_world *w, int64_t ns)
{
	int64_t until = property_clock_ns + ns;
	settle(w);
	while (property_clock_ns < until) {
		int next_ms = uv_backend_timeout(&w->loop);
		int64_t step = next_ms < 0 ? INT64_MAX : (next_ms > 0 ? next_ms : 1) * NS_PER_MS;
		property_clock_ns = until - property_clock_ns < step ? until : property_clock_ns + step;
		settle(w);
	}
}

/* --- names --- */

const char *node_name(int node)
{
	static char names[NODES][8];
	snprintf(names[node], sizeof names[node], "n%d", node);
	return names[node];
}

int node_of_name(const char *name)
{
	for (int i = 0; name && i < NODES; i++)
		if (strcmp(node_name(i), name) == 0)
			return i;
	property_fail("no node has the name %s", name ? name : "(none)");
}

const char *pod_name(int pod)
{
	static char names[PODS][8];
	snprintf(names[pod], sizeof names[pod], "p%d", pod);
	return names[pod];
}

int life_of_uid(const struct sched_world *w, const char *uid)
{
	for (int i = 0; uid && i < w->life_count; i++)
		if (strcmp(w->lives[i].uid, uid) == 0)
			return i;
	property_fail("no pod ever had the uid %s", uid ? uid : "(none)");
}

int64_t ttl_of(const struct life *life)
{
	return life->volumes ? TTL_VOLUMES_NS : TTL_NS;
}

/* --- objects --- */

json_t *node_json(const struct sched_world *w, int node)
{
	const struct node_object *object = &w->nodes[node];
	char label[8];
	snprintf(label, sizeof label, "v%u", object->label);
	json_t *taints =
	    object->tainted ? json_pack("[{s:s,s:s}]", "key", "team", "effect", "NoSchedule") : json_array();
	return json_pack(
	    "{s:{s:s,s:{s:s,s:s,s:s}},s:{s:b,s:o},s:{s:{s:s,s:s,s:s,s:s#},s:{s:s,s:s,s:s,s:s},s:[{s:s,s:s}]}}",
	    "metadata", "name", node_name(node), "labels", "kubernetes.io/hostname", node_name(node),
	    "nvidia.com/gpu.product", node % 2 ? "NVIDIA-H100-80GB-HBM3" : "NVIDIA-L4", "rack", label, "spec",
	    "unschedulable", (int)object->cordoned, "taints", taints, "status", "allocatable", "cpu", "16", "memory",
	    "64Gi", "pods", "6", GPU, &"0123456789"[object->gpus], 1, "capacity", "cpu", "16", "memory", "64Gi", "pods",
	    "6", GPU, "4", "conditions", "type", "Ready", "status", object->ready ? "True" : "False");
}

json_t *pod_json(const struct sched_world *w, int at)
{
	const struct life *life = &w->lives[at];
	char gpus[16], cpu[16];
	snprintf(gpus, sizeof gpus, "%d", life->gpus);
	snprintf(cpu, sizeof cpu, "%dm", life->milli_cpu);
	json_t *annotations =
	    life->urgent ? json_pack("{s:s}", "berth.dev/class", "urgent") : json_pack("{s:s}", "note", "none");
	json_t *pod = json_pack("{s:{s:s,s:s,s:o},s:{s:s,s:i,s:i,s:[{s:s,s:{s:{s:s,s:s}}}]},s:{s:s}}", "metadata",
	    "name", pod_name(life->pod), "namespace", NAMESPACE, "annotations", annotations, "spec", "schedulerName",
	    life->ours ? "berth" : "other", "priority", life->priority, "terminationGracePeriodSeconds", GRACE_S,
	    "containers", "name", "c", "resources", "requests", "cpu", cpu, GPU, gpus, "status", "phase", "Pending");
	if (life->volumes)
		json_object_set_new(json_object_get(pod, "spec"), "volumes",
		    json_pack("[{s:s,s:{s:s}}]", "name", "v", "persistentVolumeClaim", "claimName", "v"));
	return pod;
}

json_t *pod_as_called(const struct sched_world *w, int at)
{
	const struct life *life = &w->lives[at];
	if (life->there)
		return sim_store_tree(sim_store_get(w->store, SIM_PODS, NAMESPACE, pod_name(life->pod)));
	json_t *pod = pod_json(w, at);
	json_object_set_new(json_object_get(pod, "metadata"), "uid", json_string(life->uid));
	return pod;
}

/* --- the scheduler --- */

static const char *const policies[POLICIES] = {
    "classes:\n- {name: urgent}\n- {name: batch}\n",
    "classes:\n- {name: urgent, mayPreempt: [batch]}\n- {name: batch}\n",
    "classes:\n- {name: urgent, only: [l4]}\n- {name: batch}\n",
};

void write_policy(struct sched_world *w, int policy)
{
	FILE *file = fopen(w->policy_file, "w");
	PROPERTY_CHECK(file, "cannot write %s", w->policy_file);
	fprintf(file,
	    "apiVersion: berth.dev/v1alpha1\nkind: PlacementPolicy\npools:\n- {name: l4, gpu: L4}\n- {name: h100, gpu: "
	    "H100}\n%sfallback: batch\n",
	    policies[policy]);
	fclose(file);
	w->policy = policy;
}

struct scheduler *start_scheduler(struct sched_world *w)
{
	struct err err;
	struct scheduler *scheduler = scheduler_start(&w->loop,
	    &(struct scheduler_options){.policy_file = w->policy_file,
	        .kube = &w->kube,
	        .catalogue = w->catalogue,
	        .listen = "127.0.0.1:0",
	        .listen_ops = "127.0.0.1:0",
	        .namespace_ = NAMESPACE,
	        .reservation_ttl_ns = TTL_NS,
	        .reservation_ttl_volumes_ns = TTL_VOLUMES_NS},
	    &err);
	PROPERTY_CHECK(scheduler, "the scheduler does not start: %s", err.text);
	settle(w);
	return scheduler;
}

static void raise_flag(void *ctx)
{
	*(bool *)ctx = true;
}

void stop_scheduler(struct sched_world *w, struct scheduler *scheduler)
{
	bool stopped = false;
	w->scheduler = scheduler == w->scheduler ? NULL : w->scheduler;
	scheduler_stop(scheduler, raise_flag, &stopped);
	settle(w);
	for (int i = 0; i < 100 && !stopped; i++)
		pass_time(w, 10 * NS_PER_MS);
	PROPERTY_CHECK(stopped, "the scheduler does not stop");
}

bool caught_up(const struct sched_world *w)
{
	const struct scheduler *s = w->scheduler;
	return scheduler_synced(s) && kube_watch_state(s->pods).connected && kube_watch_state(s->nodes).connected &&
	       !w->lags && property_clock_ns >= w->lag_until_ns;
}

/* --- calls --- */

static void verb_done(void *ctx, const struct http_result *result)
{
	struct answer *answer = ctx;
	answer->done = true;
	answer->status = result->code == 0 ? result->status : 0;
	answer->body = json_loadb(result->body.at ? result->body.at : "", result->body.len, 0, NULL);
}

static void post(
    struct sched_world *w, const char *verb, json_t *body, void (*done)(void *, const struct http_result *), void *ctx)
{
	char url[128], *text = json_dumps(body, JSON_COMPACT);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/%s", scheduler_port(w->scheduler), verb);
	http_call(w->client, &(struct http_call_spec){.method = "POST",
	                         .url = url,
	                         .content_type = "application/json",
	                         .body = slice_of(text),
	                         .answer_max = 1u << 20,
	                         .done = done,
	                         .ctx = ctx});
	free(text);
	json_decref(body);
}

struct answer call_verb(struct sched_world *w, const char *verb, json_t *body)
{
	struct answer answer = {0};
	post(w, verb, body, verb_done, &answer);
	settle(w);
	for (int i = 0; i < 100 && !answer.done; i++)
		pass_time(w, NS_PER_MS);
	PROPERTY_CHECK(answer.done, "%s: no answer", verb);
	return answer;
}

static void bind_done(void *ctx, const struct http_result *result)
{
	struct bind_call *call = ctx;
	json_t *body = json_loadb(result->body.at ? result->body.at : "", result->body.len, 0, NULL);
	const char *error = json_string_value(json_object_get(body, "Error"));
	call->done = true;
	call->done_ns = property_clock_ns;
	call->status = result->code == 0 ? result->status : 0;
	snprintf(call->error, sizeof call->error, "%s", error ? error : "no answer");
	json_decref(body);
}

bool start_bind(struct sched_world *w, int life, int node)
{
	struct bind_call *call = w->calls;
	while (call < w->calls + CALLS && call->busy)
		call++;
	if (call == w->calls + CALLS)
		return false;
	*call = (struct bind_call){.busy = true, .life = life, .node = node};
	post(w, "bind",
	    json_pack("{s:s,s:s,s:s,s:s}", "PodName", pod_name(w->lives[life].pod), "PodNamespace", NAMESPACE, "PodUID",
	        w->lives[life].uid, "Node", node_name(node)),
	    bind_done, call);
	settle(w);
	return true;
}

bool bind_under_way(const struct sched_world *w, int life)
{
	return map_get(&w->scheduler->binds, slice_of(w->lives[life].uid)) != NULL;
}
