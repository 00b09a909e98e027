#include "sim/podwrite.h"

#include "base/clock.h"

json_t *sim_member_object(json_t *object, const char *key)
{
	json_t *member = json_object_get(object, key);

	if (!json_is_object(member)) {
		member = json_object();
		json_object_set_new(object, key, member);
	}
	return member;
}

static json_t *find_condition(json_t *conditions, const char *type)
{
	size_t i;
	json_t *condition;

	json_array_foreach(conditions, i, condition)
	{
		const char *held = json_string_value(json_object_get(condition, "type"));

		if (held && strcmp(held, type) == 0)
			return condition;
	}
	return NULL;
}

/* Returns whether it changed. */
static bool set_text(json_t *object, const char *key, const char *text)
{
	const char *held = json_string_value(json_object_get(object, key));

	if (!text)
		return held && json_object_del(object, key) == 0;
	if (held && strcmp(held, text) == 0)
		return false;
	json_object_set_new(object, key, json_string(text));
	return true;
}

bool sim_condition_set(json_t *object, const char *type, const char *status, const char *reason, const char *message)
{
	json_t *held = sim_member_object(object, "status"), *conditions = json_object_get(held, "conditions");
	char now[CLOCK_TEXT_MAX];

	if (!json_is_array(conditions)) {
		conditions = json_array();
		json_object_set_new(held, "conditions", conditions);
	}
	json_t *condition = find_condition(conditions, type);

	if (!condition) {
		condition = json_pack("{s:s}", "type", type);
		json_array_append_new(conditions, condition);
	}
	bool moved = set_text(condition, "status", status);
	bool changed = set_text(condition, "reason", reason);

	changed |= set_text(condition, "message", message);
	if (moved) {
		clock_format(clock_wall(), now);
		json_object_set_new(condition, "lastTransitionTime", json_sprintf("%.19sZ", now));
	}
	return moved || changed;
}

int sim_pod_bind(struct sim_store *store, json_t *pod, const char *node, const json_t *annotations, struct err *err)
{
	json_object_set_new(sim_member_object(pod, "spec"), "nodeName", json_string(node));
	if (json_object_size(annotations) > 0) {
		json_t *held = sim_member_object(sim_member_object(pod, "metadata"), "annotations");

		json_object_update(held, (json_t *)annotations);
	}
	json_object_del(json_object_get(pod, "status"), "nominatedNodeName");
	sim_condition_set(pod, "PodScheduled", "True", NULL, NULL);
	return sim_store_update(store, SIM_PODS, pod, err) ? 0 : err->code;
}

int sim_pod_delete(struct sim_store *store, const struct sim_version *version, int64_t grace_s, struct err *err)
{
	bool over = strcmp(version->phase, "Succeeded") == 0 || strcmp(version->phase, "Failed") == 0;
	char when[CLOCK_TEXT_MAX];

	if (!version->node[0] || over || grace_s == 0) {
		sim_store_delete(store, SIM_PODS, version->namespace_, version->name);
		return 0;
	}
	if (version->deleting)
		return 0;
	json_auto_t *pod = sim_store_tree(version);
	json_t *metadata = json_object_get(pod, "metadata");

	clock_format(clock_wall() + grace_s * NS_PER_S, when);
	json_object_set_new(metadata, "deletionTimestamp", json_sprintf("%.19sZ", when));
	json_object_set_new(metadata, "deletionGracePeriodSeconds", json_integer(grace_s));
	return sim_store_update(store, SIM_PODS, pod, err) ? 0 : err->code;
}
