#include "cluster/placement.h"

#include "cluster/fields.h"
#include "cluster/node_term.h"

static void read_required(struct json *json, struct arena *arena, struct pod *pod)
{
	size_t room = 0;
	struct slice key;

	if (!json_object(json))
		return;
	pod->has_required = true;
	while (json_key(json, &key)) {
		if (!slice_is(key, "nodeSelectorTerms")) {
			json_skip(json);
			continue;
		}
		pod->required_count = room = 0;
		if (!json_array(json))
			continue;
		while (json_next(json)) {
			pod->required =
			    field_grow(arena, pod->required, pod->required_count, &room, sizeof *pod->required);
			node_term_read(json, arena, &pod->required[pod->required_count++]);
		}
	}
}

static void read_preferred(struct json *json, struct arena *arena, struct pod *pod)
{
	size_t room = 0;
	struct slice key;

	pod->preferred_count = 0;
	if (!json_array(json))
		return;
	while (json_next(json)) {
		struct preferred_term *preferred;
		int64_t weight = 0;

		pod->preferred = field_grow(arena, pod->preferred, pod->preferred_count, &room, sizeof *pod->preferred);
		preferred = &pod->preferred[pod->preferred_count];
		*preferred = (struct preferred_term){.weight = 0};
		if (!json_object(json))
			continue;
		while (json_key(json, &key)) {
			if (slice_is(key, "weight"))
				json_int(json, &weight);
			else if (slice_is(key, "preference"))
				node_term_read(json, arena, &preferred->term);
			else
				json_skip(json);
		}
		if (weight <= 0)
			continue;
		preferred->weight = weight > 100 ? 100 : (int32_t)weight;
		pod->preferred_count++;
	}
}

static bool is_filled_array(struct json *json)
{
	bool filled = false;

	if (json_array(json))
		while (json_next(json)) {
			filled = true;
			json_skip(json);
		}
	return filled;
}

static const char preferred_key[] = "preferredDuringSchedulingIgnoredDuringExecution";
static const char required_key[] = "requiredDuringSchedulingIgnoredDuringExecution";

static void read_node_affinity(struct json *json, struct arena *arena, struct pod *pod)
{
	if (json_object(json))
		for (struct slice key; json_key(json, &key);) {
			if (slice_is(key, required_key))
				read_required(json, arena, pod);
			else if (slice_is(key, preferred_key))
				read_preferred(json, arena, pod);
			else
				json_skip(json);
		}
}

static void read_pod_affinity(struct json *json, struct pod *pod)
{
	if (json_object(json))
		for (struct slice key; json_key(json, &key);) {
			if (slice_is(key, preferred_key))
				pod->soft_spread |= is_filled_array(json);
			else
				json_skip(json);
		}
}

void placement_read_affinity(struct json *json, struct arena *arena, struct pod *pod)
{
	if (json_object(json))
		for (struct slice key; json_key(json, &key);) {
			if (slice_is(key, "nodeAffinity"))
				read_node_affinity(json, arena, pod);
			else if (slice_is(key, "podAffinity") || slice_is(key, "podAntiAffinity"))
				read_pod_affinity(json, pod);
			else
				json_skip(json);
		}
}

void placement_read_node_selector(struct json *json, struct arena *arena, struct pod *pod)
{
	struct labels labels = field_labels(json, arena);

	pod->node_selector_count = labels.count;
	pod->node_selector = labels.items;
}

void placement_read_spread(struct json *json, struct pod *pod)
{
	struct slice key, action;

	if (!json_array(json))
		return;
	while (json_next(json))
		if (json_object(json))
			while (json_key(json, &key)) {
				if (!slice_is(key, "whenUnsatisfiable"))
					json_skip(json);
				else if (json_string(json, &action) && slice_is(action, "ScheduleAnyway"))
					pod->soft_spread = true;
			}
}

bool placement_effect(struct slice name, enum taint_effect *effect)
{
	if (slice_is(name, "NoSchedule"))
		*effect = TAINT_NO_SCHEDULE;
	else if (slice_is(name, "PreferNoSchedule"))
		*effect = TAINT_PREFER_NO_SCHEDULE;
	else if (slice_is(name, "NoExecute"))
		*effect = TAINT_NO_EXECUTE;
	else
		return false;
	return true;
}

static bool toleration_op_named(struct slice name, enum toleration_op *op)
{
	if (name.len == 0 || slice_is(name, "Equal"))
		*op = TOLERATION_EQUAL;
	else if (slice_is(name, "Exists"))
		*op = TOLERATION_EXISTS;
	else if (slice_is(name, "Lt"))
		*op = TOLERATION_LT;
	else if (slice_is(name, "Gt"))
		*op = TOLERATION_GT;
	else
		return false;
	return true;
}

static void read_toleration(struct json *json, struct arena *arena, struct toleration *toleration)
{
	struct slice key, raw = {"", 0}, op = {"", 0}, effect = {"", 0};

	*toleration = (struct toleration){.key = "", .value = ""};
	if (json_object(json))
		while (json_key(json, &key)) {
			if (slice_is(key, "key")) {
				if (json_string(json, &raw))
					toleration->key = field_text(arena, raw);
			} else if (slice_is(key, "value")) {
				if (json_string(json, &raw))
					toleration->value = field_text(arena, raw);
			} else if (slice_is(key, "operator")) {
				json_string(json, &op);
			} else if (slice_is(key, "effect")) {
				json_string(json, &effect);
			} else {
				json_skip(json);
			}
		}
	toleration->invalid = !toleration_op_named(op, &toleration->op);
	toleration->any_effect = effect.len == 0;
	if (!toleration->any_effect && !placement_effect(effect, &toleration->effect))
		toleration->invalid = true;
}

void placement_read_tolerations(struct json *json, struct arena *arena, struct pod *pod)
{
	size_t room = 0;

	pod->toleration_count = 0;
	if (!json_array(json))
		return;
	while (json_next(json)) {
		pod->tolerations =
		    field_grow(arena, pod->tolerations, pod->toleration_count, &room, sizeof *pod->tolerations);
		read_toleration(json, arena, &pod->tolerations[pod->toleration_count++]);
	}
}
