#include <stdio.h>
#include <stdlib.h>

#include "sim/api_internal.h"
#include "sim/patch.h"
#include "sim/podwrite.h"

static struct sim_version *held(const struct sim_call *call)
{
	return sim_store_get(call->api->store, call->route.resource, call->route.namespace_, call->route.name);
}

json_t *sim_body_object(const struct sim_call *call, bool optional)
{
	struct slice body = http_body(call->http);
	json_error_t error;

	if (optional && body.len == 0)
		return json_object();
	json_t *tree = json_loadb(body.at, body.len, JSON_ALLOW_NUL, &error);

	if (!tree)
		sim_answer_status(call, 400, "the body is not JSON: %s", error.text);
	return tree;
}

/* The status of a failed write. */
static void answer_error(const struct sim_call *call, const struct err *err)
{
	if (err->code == ERR_REFUSED)
		sim_answer_reason(call, 409, "AlreadyExists", "%s", err->text);
	else if (err->code == ERR_TOO_LARGE)
		sim_answer_status(call, 413, "%s", err->text);
	else if (err->code == ERR_MISSING)
		sim_answer_status(call, 404, "%s", err->text);
	else
		sim_answer_status(call, 422, "%s", err->text);
}

void sim_get(const struct sim_call *call)
{
	struct sim_version *version = held(call);

	call->api->stats.get++;
	if (version)
		sim_answer_version(call, 200, version);
	else
		sim_answer_not_found(call);
}

/* --- create --- */

static bool name_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= SIM_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

/* Puts the path's namespace in; false with the call answered. */
static bool settle_metadata(const struct sim_call *call, json_t *object)
{
	json_t *metadata = json_object_get(object, "metadata");
	const char *namespace_ = json_string_value(json_object_get(metadata, "namespace"));
	const char *name = json_string_value(json_object_get(metadata, "name"));

	if (!json_is_object(metadata)) {
		sim_answer_status(call, 422, "metadata is required");
		return false;
	}
	if (name && *name && !name_is_valid(name)) {
		sim_answer_status(call, 422, "metadata.name \"%.100s\" is not a valid name", name);
		return false;
	}
	if (!sim_resources[call->route.resource].namespaced) {
		json_object_del(metadata, "namespace");
		return true;
	}
	if (!call->route.namespace_[0] || (namespace_ && strcmp(namespace_, call->route.namespace_) != 0)) {
		sim_answer_status(call, 400, "the namespace of the object does not match the namespace of the request");
		return false;
	}
	json_object_set_new(metadata, "namespace", json_string(call->route.namespace_));
	return true;
}

void sim_create(const struct sim_call *call)
{
	json_auto_t *object = sim_body_object(call, false);
	struct err err;

	call->api->stats.create++;
	if (!object || !settle_metadata(call, object))
		return;
	json_object_del(json_object_get(object, "metadata"), "deletionTimestamp");
	if (call->route.resource == SIM_PODS)
		sim_pod_defaults(object);
	struct sim_version *version = sim_store_create(call->api->store, call->route.resource, object, &err);

	if (version)
		sim_answer_version(call, 201, version);
	else
		answer_error(call, &err);
}

/* --- update and patch --- */

/* What no write changes. */
static void keep_identity(json_t *after, const json_t *before)
{
	static const char *const keys[] = {
	    "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"};
	json_t *to = json_object_get(after, "metadata"), *from = json_object_get(before, "metadata");

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		json_t *value = json_object_get(from, keys[i]);

		if (value)
			json_object_set(to, keys[i], value);
		else
			json_object_del(to, keys[i]);
	}
	json_object_set(after, "kind", json_object_get(before, "kind"));
	json_object_set(after, "apiVersion", json_object_get(before, "apiVersion"));
}

/* The main resource keeps its status, the status sub-resource all but status and what it may say in metadata. */
static void keep_other_half(const struct sim_call *call, json_t *after, const json_t *before)
{
	bool has_status = call->route.resource != SIM_EVENTS && call->route.resource != SIM_CONFIGMAPS;
	const char *half = call->route.sub == SIM_SUB_STATUS ? "spec" : "status";
	json_t *value = json_object_get(before, half);

	if (!has_status)
		return;
	if (value)
		json_object_set(after, half, value);
	else
		json_object_del(after, half);
}

/* uid and resourceVersion in what was sent are preconditions; false with the call answered 409. */
static bool preconditions_hold(const struct sim_call *call, const json_t *sent, const struct sim_version *version)
{
	const json_t *metadata = json_object_get(sent, "metadata");
	const char *uid = json_string_value(json_object_get(metadata, "uid"));
	const char *rv = json_string_value(json_object_get(metadata, "resourceVersion"));

	if (uid && strcmp(uid, version->uid) != 0) {
		sim_answer_status(call, 409,
		    "Operation cannot be fulfilled on %s \"%s\": Precondition failed: UID in precondition: %.64s, UID "
		    "in object "
		    "meta: %s",
		    sim_resources[call->route.resource].plural, version->name, uid, version->uid);
		return false;
	}
	if (rv && *rv && strtoull(rv, NULL, 10) != version->rv) {
		sim_answer_status(call, 409,
		    "Operation cannot be fulfilled on %s \"%s\": the object has been modified; please apply your "
		    "changes to the "
		    "latest version and try again",
		    sim_resources[call->route.resource].plural, version->name);
		return false;
	}
	return true;
}

bool sim_is_dry(const struct sim_call *call)
{
	const char *dry = http_query(call->http, "dryRun");

	return dry && strcmp(dry, "All") == 0;
}

static void store_change(const struct sim_call *call, struct sim_version *version, json_t *before, json_t *after)
{
	const char *why = "metadata must be an object";
	struct err err;

	if (!json_is_object(json_object_get(after, "metadata"))) {
		sim_answer_status(call, 422, "%s", why);
		return;
	}
	keep_identity(after, before);
	keep_other_half(call, after, before);
	json_object_del(json_object_get(before, "metadata"), "resourceVersion");
	json_object_del(json_object_get(after, "metadata"), "resourceVersion");
	if (json_equal(before, after)) {
		sim_answer_version(call, 200, version);
		return;
	}
	if (call->route.resource == SIM_PODS && !sim_pod_change_allowed(before, after, &why)) {
		sim_answer_status(call, 422, "Pod \"%s\" is invalid: %s", version->name, why);
		return;
	}
	if (sim_is_dry(call)) {
		sim_answer_tree(call, 200, after);
		return;
	}
	struct sim_version *made = sim_store_update(call->api->store, call->route.resource, after, &err);

	if (made)
		sim_answer_version(call, 200, made);
	else
		answer_error(call, &err);
}

void sim_update(const struct sim_call *call)
{
	struct sim_version *version = held(call);

	call->api->stats.update++;
	if (!version) {
		sim_answer_not_found(call);
		return;
	}
	json_auto_t *after = sim_body_object(call, false);

	if (!after || !preconditions_hold(call, after, version))
		return;
	json_auto_t *before = sim_store_tree(version);

	store_change(call, version, before, after);
}

void sim_patch_object(const struct sim_call *call)
{
	struct sim_version *version = held(call);
	enum sim_patch_kind kind;
	struct err err;

	call->api->stats.patch++;
	if (!sim_patch_kind_of(http_header(call->http, "Content-Type"), &kind)) {
		sim_answer_status(call, 415, "the body of the request was in an unknown format");
		return;
	}
	if (!version) {
		sim_answer_not_found(call);
		return;
	}
	json_auto_t *patch = sim_body_object(call, false);

	if (!patch || (kind != SIM_PATCH_JSON && !preconditions_hold(call, patch, version)))
		return;
	json_auto_t *before = sim_store_tree(version);
	json_auto_t *after = json_deep_copy(before);
	int code = sim_patch(after, kind, patch, &err);

	if (code != 0)
		sim_answer_status(call, code == ERR_INPUT ? 400 : 422, "%s", err.text);
	else
		store_change(call, version, before, after);
}

/* --- delete --- */

bool sim_delete_object(const struct sim_call *call, const char *wanted_uid, int64_t grace_s)
{
	struct sim_store *store = call->api->store;
	struct sim_version *version = held(call);
	struct err err;

	if (!version) {
		sim_answer_not_found(call);
		return false;
	}
	if (wanted_uid && strcmp(wanted_uid, version->uid) != 0) {
		sim_answer_status(call, 409,
		    "Operation cannot be fulfilled on %s \"%s\": Precondition failed: UID in precondition: %.64s, UID "
		    "in object "
		    "meta: %s",
		    sim_resources[call->route.resource].plural, version->name, wanted_uid, version->uid);
		return false;
	}
	if (call->route.resource != SIM_PODS) {
		sim_store_delete(store, call->route.resource, call->route.namespace_, call->route.name);
		return true;
	}
	if (sim_pod_delete(store, version, grace_s, &err) == 0)
		return true;
	answer_error(call, &err);
	return false;
}

void sim_delete(const struct sim_call *call)
{
	json_auto_t *options = sim_body_object(call, true);

	call->api->stats.remove++;
	if (!options)
		return;
	const char *uid = json_string_value(json_object_get(json_object_get(options, "preconditions"), "uid"));
	const json_t *grace = json_object_get(options, "gracePeriodSeconds");
	const char *query = http_query(call->http, "gracePeriodSeconds");
	int64_t grace_s = query ? strtoll(query, NULL, 10) : 30;

	if (json_is_integer(grace))
		grace_s = json_integer_value(grace);
	struct sim_version *version = held(call);

	if (version)
		sim_version_ref(version);
	if (sim_delete_object(call, uid, grace_s < 0 ? 30 : grace_s)) {
		struct sim_version *left = held(call);

		sim_answer_version(call, 200, left ? left : version);
	}
	sim_version_unref(version);
}
