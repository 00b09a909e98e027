#include "cluster/pod_affinity.h"

#include "cluster/fields.h"
#include "cluster/node_term.h"

/* A LabelSelector under construction. */
struct selecting {
	struct selector selector;
	size_t room;
	bool given, invalid;
};

struct texts {
	size_t count, room;
	const char **items;
};

static void read_texts(struct reader *json, struct arena *arena, struct texts *texts)
{
	texts->count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		const char *text = field_string(json, arena);

		if (!text)
			continue;
		texts->items = field_grow(arena, texts->items, texts->count, &texts->room, sizeof *texts->items);
		texts->items[texts->count++] = text;
	}
}

static struct selector_requirement *add_requirement(struct arena *arena, struct selecting *selecting)
{
	struct selector *selector = &selecting->selector;

	selector->requirements = field_grow(
	    arena, selector->requirements, selector->count, &selecting->room, sizeof *selector->requirements);
	return &selector->requirements[selector->count++];
}

static void add_equal(
    struct arena *arena, struct selecting *selecting, const char *key, enum selector_op op, const char *value)
{
	struct selector_requirement *requirement = add_requirement(arena, selecting);
	const char **values = arena_alloc(arena, sizeof *values);

	values[0] = value;
	*requirement = (struct selector_requirement){key, op, 1, values};
}

static void read_expressions(struct reader *json, struct arena *arena, struct selecting *selecting)
{
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct selector_requirement read, *kept;

		/* What follows may grow the list, so it is read aside. */
		selecting->invalid |= !node_term_read_requirement(json, arena, &read);
		selecting->invalid |= read.op == SELECTOR_GT || read.op == SELECTOR_LT;
		kept = add_requirement(arena, selecting);
		*kept = read;
	}
}

static void read_selector(struct reader *json, struct arena *arena, struct selecting *selecting)
{
	*selecting = (struct selecting){.given = false};
	if (!reader_object(json))
		return;
	selecting->given = true;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "matchLabels")) {
			struct labels labels = field_labels(json, arena);

			for (size_t i = 0; i < labels.count; i++)
				add_equal(arena, selecting, labels.items[i].key, SELECTOR_IN, labels.items[i].value);
		} else if (slice_is(key, "matchExpressions")) {
			read_expressions(json, arena, selecting);
		} else {
			reader_skip(json);
		}
	}
}

bool pod_affinity_read_selector(struct reader *json, struct arena *arena, struct selector *selector)
{
	struct selecting selecting;

	read_selector(json, arena, &selecting);
	*selector = selecting.selector;
	return selecting.given;
}

/* The API server merges the keys into the selector as it takes a pod in; for one that it did not, the same once more
 * changes nothing. Keys that the pod does not have are left out. */
static void merge_keys(struct arena *arena, const struct pod *pod, const struct texts *keys, enum selector_op op,
    struct selecting *selecting)
{
	for (size_t i = 0; selecting->given && i < keys->count; i++) {
		const char *value = labels_get(&pod->labels, keys->items[i]);

		if (value)
			add_equal(arena, selecting, keys->items[i], op, value);
	}
}

static void read_term(struct reader *json, struct arena *arena, const struct pod *pod, struct pod_term *term)
{
	struct selecting selecting = {.given = false};
	struct texts namespaces = {0}, match = {0}, mismatch = {0};

	*term = (struct pod_term){.topology_key = ""};
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "topologyKey")) {
			const char *text = field_string(json, arena);

			term->topology_key = text ? text : "";
		} else if (slice_is(key, "labelSelector")) {
			read_selector(json, arena, &selecting);
		} else if (slice_is(key, "namespaces")) {
			read_texts(json, arena, &namespaces);
		} else if (slice_is(key, "namespaceSelector")) {
			term->all_namespaces = reader_peek(json) == READER_OBJECT;
			reader_skip(json);
		} else if (slice_is(key, "matchLabelKeys")) {
			read_texts(json, arena, &match);
		} else if (slice_is(key, "mismatchLabelKeys")) {
			read_texts(json, arena, &mismatch);
		} else {
			reader_skip(json);
		}
	}
	merge_keys(arena, pod, &match, SELECTOR_IN, &selecting);
	merge_keys(arena, pod, &mismatch, SELECTOR_NOT_IN, &selecting);
	term->nobody = !selecting.given || selecting.invalid;
	term->selector = selecting.selector;
	term->namespace_count = namespaces.count;
	term->namespaces = namespaces.items;
}

static struct pod_term *read_terms(struct reader *json, struct arena *arena, const struct pod *pod, size_t *count)
{
	struct pod_term *terms = NULL;
	size_t room = 0;

	*count = 0;
	if (!reader_array(json))
		return NULL;
	while (reader_next(json)) {
		terms = field_grow(arena, terms, *count, &room, sizeof *terms);
		read_term(json, arena, pod, &terms[(*count)++]);
	}
	return terms;
}

static bool is_filled_array(struct reader *json)
{
	bool filled = false;

	if (reader_array(json))
		while (reader_next(json)) {
			filled = true;
			reader_skip(json);
		}
	return filled;
}

static void read_affinity(
    struct reader *json, struct arena *arena, struct pod *pod, struct pod_term **terms, size_t *count)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "requiredDuringSchedulingIgnoredDuringExecution"))
			*terms = read_terms(json, arena, pod, count);
		else if (slice_is(key, "preferredDuringSchedulingIgnoredDuringExecution"))
			pod->soft_spread |= is_filled_array(json);
		else
			reader_skip(json);
	}
}

void pod_affinity_read(struct reader *json, struct arena *arena, struct pod *pod)
{
	read_affinity(json, arena, pod, &pod->affinity, &pod->affinity_count);
}

void pod_anti_affinity_read(struct reader *json, struct arena *arena, struct pod *pod)
{
	read_affinity(json, arena, pod, &pod->anti_affinity, &pod->anti_affinity_count);
}

static int32_t at_least_one(int64_t number)
{
	return number < 1 ? 1 : number > INT32_MAX ? INT32_MAX : (int32_t)number;
}

/* Returns whenUnsatisfiable. */
static struct slice read_constraint(
    struct reader *json, struct arena *arena, const struct pod *pod, struct spread_constraint *spread)
{
	struct selecting selecting = {.given = false};
	struct texts match = {0};
	struct slice action = {"", 0}, policy;
	int64_t max_skew = 1, min_domains = 1;

	*spread = (struct spread_constraint){.topology_key = ""};
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "topologyKey")) {
				const char *text = field_string(json, arena);

				spread->topology_key = text ? text : "";
			} else if (slice_is(key, "labelSelector")) {
				read_selector(json, arena, &selecting);
			} else if (slice_is(key, "maxSkew")) {
				reader_int(json, &max_skew);
			} else if (slice_is(key, "minDomains")) {
				reader_int(json, &min_domains);
			} else if (slice_is(key, "whenUnsatisfiable")) {
				reader_string(json, &action);
			} else if (slice_is(key, "nodeAffinityPolicy")) {
				spread->any_affinity = reader_string(json, &policy) && slice_is(policy, "Ignore");
			} else if (slice_is(key, "nodeTaintsPolicy")) {
				spread->honor_taints = reader_string(json, &policy) && slice_is(policy, "Honor");
			} else if (slice_is(key, "matchLabelKeys")) {
				read_texts(json, arena, &match);
			} else {
				reader_skip(json);
			}
		}
	merge_keys(arena, pod, &match, SELECTOR_IN, &selecting);
	spread->nobody = !selecting.given || selecting.invalid;
	spread->selector = selecting.selector;
	spread->max_skew = at_least_one(max_skew);
	spread->min_domains = at_least_one(min_domains);
	return action;
}

void pod_spread_read(struct reader *json, struct arena *arena, struct pod *pod)
{
	size_t room = 0;

	pod->spread_count = 0;
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct slice action;

		pod->spread = field_grow(arena, pod->spread, pod->spread_count, &room, sizeof *pod->spread);
		action = read_constraint(json, arena, pod, &pod->spread[pod->spread_count]);
		pod->soft_spread |= slice_is(action, "ScheduleAnyway");
		pod->spread_count += slice_is(action, "DoNotSchedule");
	}
}
