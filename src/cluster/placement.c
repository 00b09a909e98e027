#include "cluster/placement.h"

#include <string.h>

#include "cluster/fields.h"
#include "cluster/node_term.h"
#include "cluster/pod_affinity.h"

static void read_required(struct reader *json, struct arena *arena, struct pod *pod)
{
	size_t room = 0;
	struct slice key;

	if (!reader_object(json))
		return;
	pod->has_required = true;
	while (reader_key(json, &key)) {
		if (!slice_is(key, "nodeSelectorTerms")) {
			reader_skip(json);
			continue;
		}
		pod->required_count = room = 0;
		if (!reader_array(json))
			continue;
		while (reader_next(json)) {
			pod->required =
			    field_grow(arena, pod->required, pod->required_count, &room, sizeof *pod->required);
			node_term_read(json, arena, &pod->required[pod->required_count++]);
		}
	}
}

static void read_preferred(struct reader *json, struct arena *arena, struct pod *pod)
{
	size_t room = 0;
	struct slice key;

	pod->preferred_count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct preferred_term *preferred;
		int64_t weight = 0;

		pod->preferred = field_grow(arena, pod->preferred, pod->preferred_count, &room, sizeof *pod->preferred);
		preferred = &pod->preferred[pod->preferred_count];
		*preferred = (struct preferred_term){.weight = 0};
		if (!reader_object(json))
			continue;
		while (reader_key(json, &key)) {
			if (slice_is(key, "weight"))
				reader_int(json, &weight);
			else if (slice_is(key, "preference"))
				node_term_read(json, arena, &preferred->term);
			else
				reader_skip(json);
		}
		if (weight <= 0)
			continue;
		preferred->weight = weight > 100 ? 100 : (int32_t)weight;
		pod->preferred_count++;
	}
}

static const char preferred_key[] = "preferredDuringSchedulingIgnoredDuringExecution";
static const char required_key[] = "requiredDuringSchedulingIgnoredDuringExecution";

static void read_node_affinity(struct reader *json, struct arena *arena, struct pod *pod)
{
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, required_key))
				read_required(json, arena, pod);
			else if (slice_is(key, preferred_key))
				read_preferred(json, arena, pod);
			else
				reader_skip(json);
		}
}

void placement_read_affinity(struct reader *json, struct arena *arena, struct pod *pod)
{
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "nodeAffinity"))
				read_node_affinity(json, arena, pod);
			else if (slice_is(key, "podAffinity"))
				pod_affinity_read(json, arena, pod);
			else if (slice_is(key, "podAntiAffinity"))
				pod_anti_affinity_read(json, arena, pod);
			else
				reader_skip(json);
		}
}

void placement_read_node_selector(struct reader *json, struct arena *arena, struct pod *pod)
{
	struct labels labels = field_labels(json, arena);

	pod->node_selector_count = labels.count;
	pod->node_selector = labels.items;
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

static void read_toleration(struct reader *json, struct arena *arena, struct toleration *toleration)
{
	struct slice key, raw = {"", 0}, op = {"", 0}, effect = {"", 0};

	*toleration = (struct toleration){.key = "", .value = ""};
	if (reader_object(json))
		while (reader_key(json, &key)) {
			if (slice_is(key, "key")) {
				if (reader_string(json, &raw))
					toleration->key = field_text(arena, raw);
			} else if (slice_is(key, "value")) {
				if (reader_string(json, &raw))
					toleration->value = field_text(arena, raw);
			} else if (slice_is(key, "operator")) {
				reader_string(json, &op);
			} else if (slice_is(key, "effect")) {
				reader_string(json, &effect);
			} else {
				reader_skip(json);
			}
		}
	toleration->invalid = !toleration_op_named(op, &toleration->op);
	toleration->any_effect = effect.len == 0;
	if (!toleration->any_effect && !placement_effect(effect, &toleration->effect))
		toleration->invalid = true;
}

void placement_read_tolerations(struct reader *json, struct arena *arena, struct pod *pod)
{
	size_t room = 0;

	pod->toleration_count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		pod->tolerations =
		    field_grow(arena, pod->tolerations, pod->toleration_count, &room, sizeof *pod->tolerations);
		read_toleration(json, arena, &pod->tolerations[pod->toleration_count++]);
	}
}

/* The API server names the claim of an ephemeral volume POD-VOLUME. */
static void add_claim(struct arena *arena, struct pod *pod, size_t *room, const char *prefix, struct slice name)
{
	size_t namespace_len = strlen(pod->namespace_), prefix_len = strlen(prefix), dash = prefix_len > 0;
	char *claim = arena_calloc(arena, 1, namespace_len + 1 + prefix_len + dash + name.len + 1), *at = claim;

	memcpy(at, pod->namespace_, namespace_len);
	at += namespace_len;
	*at++ = '/';
	memcpy(at, prefix, prefix_len);
	at += prefix_len;
	if (dash)
		*at++ = '-';
	memcpy(at, name.at, name.len);
	pod->claims = field_grow(arena, pod->claims, pod->claim_count, room, sizeof *pod->claims);
	pod->claims[pod->claim_count++] = claim;
}

static struct slice read_claim_name(struct reader *json)
{
	struct slice key, name = {"", 0};

	if (reader_object(json))
		while (reader_key(json, &key)) {
			if (slice_is(key, "claimName"))
				reader_string(json, &name);
			else
				reader_skip(json);
		}
	return name;
}

void placement_read_claims(struct reader *json, struct arena *arena, struct pod *pod)
{
	size_t room = 0;

	pod->claim_count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct slice key, volume = {"", 0}, claim = {"", 0};
		bool ephemeral = false;

		if (!reader_object(json))
			continue;
		while (reader_key(json, &key)) {
			if (slice_is(key, "name")) {
				reader_string(json, &volume);
			} else if (slice_is(key, "persistentVolumeClaim")) {
				claim = read_claim_name(json);
			} else {
				ephemeral |= slice_is(key, "ephemeral") && reader_peek(json) == READER_OBJECT;
				reader_skip(json);
			}
		}
		if (claim.len > 0)
			add_claim(arena, pod, &room, "", claim);
		else if (ephemeral)
			add_claim(arena, pod, &room, pod->name, volume);
	}
}
