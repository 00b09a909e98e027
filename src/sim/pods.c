#include "sim/api_internal.h"

#include "sim/podwrite.h"

#define EVICTABLE "sim.berth.dev/evictable" /* "false": an eviction is answered 429, as by a disruption budget */

/* What a container limits and does not request, it requests: the API server's defaulting. */
static void default_requests(const json_t *containers)
{
	size_t i;
	json_t *container, *amount;
	const char *name;

	json_array_foreach(containers, i, container)
	{
		json_t *resources = json_object_get(container, "resources");
		json_t *limits = json_object_get(resources, "limits");
		if (json_object_size(limits) > 0 && !json_is_object(json_object_get(resources, "requests")))
			json_object_set_new(resources, "requests", json_object());
		json_object_foreach(
		    limits, name, amount) if (!json_object_get(json_object_get(resources, "requests"), name))
		    json_object_set(json_object_get(resources, "requests"), name, amount);
	}
}

void sim_pod_defaults(json_t *pod)
{
	json_t *spec = json_object_get(pod, "spec");

	if (!json_is_object(spec)) {
		spec = json_object();
		json_object_set_new(pod, "spec", spec);
	}
	default_requests(json_object_get(spec, "initContainers"));
	default_requests(json_object_get(spec, "containers"));
	if (!json_object_get(spec, "schedulerName"))
		json_object_set_new(spec, "schedulerName", json_string("default-scheduler"));
	json_object_set_new(pod, "status", json_pack("{s:s}", "phase", "Pending"));
	if (json_array_size(json_object_get(spec, "schedulingGates")) > 0) {
		json_object_set_new(json_object_get(pod, "status"), "conditions",
		    json_pack("[{s:s,s:s,s:s,s:s}]", "type", "PodScheduled", "status", "False", "reason",
		        "SchedulingGated", "message", "Scheduling is blocked due to non-empty scheduling gates"));
	}
}

static bool has_gate(const json_t *gates, const json_t *wanted)
{
	size_t i;
	json_t *gate;

	json_array_foreach(gates, i, gate) if (json_equal(gate, wanted)) return true;
	return false;
}

bool sim_pod_change_allowed(const json_t *before, const json_t *after, const char **why)
{
	json_t *from = json_object_get(before, "spec"), *to = json_object_get(after, "spec");
	json_t *held = json_object_get(from, "schedulingGates");
	size_t i;
	json_t *gate;

	if (!json_is_object(to)) {
		*why = "spec: Required value";
		return false;
	}
	if (json_is_string(json_object_get(from, "nodeName")) != json_is_string(json_object_get(to, "nodeName")) ||
	    (json_object_get(to, "nodeName") &&
	        !json_equal(json_object_get(from, "nodeName"), json_object_get(to, "nodeName")))) {
		*why = "spec.nodeName: Forbidden: pod updates may not change it";
		return false;
	}
	if (!json_equal(json_object_get(from, "containers"), json_object_get(to, "containers"))) {
		*why = "spec.containers: Forbidden: pod updates may not change it here";
		return false;
	}
	json_array_foreach(json_object_get(to, "schedulingGates"), i, gate)
	{
		if (!has_gate(held, gate)) {
			*why = "spec.schedulingGates: Forbidden: only deletion is allowed";
			return false;
		}
	}
	return true;
}

/* --- binding --- */

/* Why the pod may not be bound; NULL when it may. */
static const char *bind_refusal(const struct sim_version *version, const json_t *pod)
{
	if (version->deleting)
		return "pod is being deleted, cannot be assigned to a host";
	if (version->node[0])
		return "pod is already assigned to a node";
	if (json_array_size(json_object_get(json_object_get(pod, "spec"), "schedulingGates")) > 0)
		return "pod has non-empty .spec.schedulingGates";
	return NULL;
}

void sim_bind(const struct sim_call *call)
{
	struct sim_version *version =
	    sim_store_get(call->api->store, SIM_PODS, call->route.namespace_, call->route.name);
	struct err err;

	call->api->stats.bind++;
	json_auto_t *binding = sim_body_object(call, false);

	if (!binding)
		return;
	json_t *metadata = json_object_get(binding, "metadata");
	const char *uid = json_string_value(json_object_get(metadata, "uid"));
	const char *node = json_string_value(json_object_get(json_object_get(binding, "target"), "name"));

	if (!node || !*node) {
		sim_answer_status(call, 422, "target.name: Required value");
		return;
	}
	if (!version) {
		sim_answer_not_found(call);
		return;
	}
	if (uid && *uid && strcmp(uid, version->uid) != 0) {
		sim_answer_status(call, 409,
		    "Operation cannot be fulfilled on pods/binding \"%s\": Precondition failed: UID in precondition: "
		    "%.64s, UID "
		    "in object meta: %s",
		    version->name, uid, version->uid);
		return;
	}
	json_auto_t *pod = sim_store_tree(version);
	const char *refusal = bind_refusal(version, pod);

	if (refusal) {
		sim_answer_status(
		    call, 409, "Operation cannot be fulfilled on pods/binding \"%s\": %s", version->name, refusal);
		return;
	}
	if (sim_pod_bind(call->api->store, pod, node, json_object_get(metadata, "annotations"), &err) == 0)
		sim_answer_status(call, 201, "%s", "");
	else
		sim_answer_status(call, 422, "%s", err.text);
}

/* --- eviction --- */

void sim_evict(const struct sim_call *call)
{
	struct sim_version *version =
	    sim_store_get(call->api->store, SIM_PODS, call->route.namespace_, call->route.name);

	call->api->stats.evict++;
	json_auto_t *eviction = sim_body_object(call, true);

	if (!eviction)
		return;
	if (version) {
		json_auto_t *pod = sim_store_tree(version);
		json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
		const char *evictable = json_string_value(json_object_get(annotations, EVICTABLE));

		if (evictable && strcmp(evictable, "false") == 0) {
			json_auto_t *refusal = json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:{s:[{s:s}]}}", "kind", "Status",
			    "apiVersion", "v1", "status", "Failure", "message",
			    "Cannot evict pod as it would violate the pod's disruption budget.", "reason",
			    "TooManyRequests", "code", 429, "details", "causes", "reason", "DisruptionBudget");
			sim_answer_tree(call, 429, refusal);
			return;
		}
	}
	const json_t *options = json_object_get(eviction, "deleteOptions");
	const json_t *grace = json_object_get(options, "gracePeriodSeconds");
	const char *uid = json_string_value(json_object_get(json_object_get(options, "preconditions"), "uid"));

	if (sim_is_dry(call) && version)
		sim_answer_status(call, 201, "%s", "");
	else if (sim_delete_object(call, uid, json_is_integer(grace) ? json_integer_value(grace) : 30))
		sim_answer_status(call, 201, "%s", "");
}
