#include "cluster/pod.h"

#include "base/clock.h"
#include "berth/gpu.h"
#include "cluster/demand.h"
#include "cluster/fields.h"
#include "cluster/gang.h"
#include "cluster/owners.h"
#include "cluster/placement.h"
#include "cluster/pod_affinity.h"
#include "cluster/pod_run.h"

/* First the pass over the document, which notes slices of its text, since what is worth keeping is only known at its
 * end (a pod with a node keeps less, and spec comes behind metadata); then the pod is written into an arena made to
 * measure. */

#define SCRATCH_SIZE 4096 /* sums of a usual pod's containers fit */
#define GRACE_S 30        /* Kubernetes' default */
#define DECISION_MAX 4096 /* bytes of berth.dev/decision; a longer one is not ours */
#define TEXT_SLACK 32     /* at most so much of the arena a short text costs beyond its length */

/* What users say by annotation or label. */
struct said {
	struct slice class_name, dtype, gpu_memory;
};

struct reading {
	struct slice uid, namespace_, name, created, wake, decision, plan, waiting;
	struct slice scheduler, node, nominated, restart;
	struct slice labels, node_selector, affinity, tolerations, spread, volumes; /* JSON text */
	struct said by_annotation, by_label;
	struct owner owner;
	struct slice unschedulable;
	struct pod_run run;
	bool deleting, gated, gate_ours, gate_other, slow_binding, gang_whole;
	int64_t priority, grace_s;
	struct demand demand;
	struct gang_notes *gang;
};

/* --- the pass --- */

static bool read_gang(struct reader *json, struct slice key, bool label, struct gang_notes *notes)
{
	int word = gang_word_of(key);
	struct slice value;

	if (word < 0)
		return false;
	if (reader_string(json, &value))
		gang_note(notes, word, label, value);
	return true;
}

static bool read_said(struct reader *json, struct slice key, struct said *said)
{
	if (slice_is(key, "berth.dev/class"))
		reader_string(json, &said->class_name);
	else if (slice_is(key, "berth.dev/dtype"))
		reader_string(json, &said->dtype);
	else if (slice_is(key, "berth.dev/gpu-memory"))
		reader_string(json, &said->gpu_memory);
	else
		return false;
	return true;
}

static void read_annotations(struct reader *json, struct reading *reading)
{
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "berth.dev/wake"))
				reader_string(json, &reading->wake);
			else if (slice_is(key, "berth.dev/decision"))
				reader_string(json, &reading->decision);
			else if (slice_is(key, "berth.dev/plan"))
				reader_string(json, &reading->plan);
			else if (slice_is(key, "berth.dev/waiting"))
				reader_string(json, &reading->waiting);
			else if (slice_is(key, POD_GANG_WHOLE)) {
				reader_skip(json);
				reading->gang_whole = true;
			} else if (!read_said(json, key, &reading->by_annotation) &&
			           !pod_run_read(json, key, &reading->run) &&
			           !read_gang(json, key, false, reading->gang))
				reader_skip(json);
		}
}

static void read_labels(struct reader *json, struct reading *reading)
{
	const char *first;

	reader_peek(json);
	first = json->at;
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (!read_said(json, key, &reading->by_label) && !read_gang(json, key, true, reading->gang))
				reader_skip(json);
		}
	if (!json->error)
		reading->labels = (struct slice){first, (size_t)(json->at - first)};
}

static void read_metadata(struct reader *json, struct reading *reading)
{
	struct slice deleted = {"", 0};

	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "name"))
				reader_string(json, &reading->name);
			else if (slice_is(key, "namespace"))
				reader_string(json, &reading->namespace_);
			else if (slice_is(key, "uid"))
				reader_string(json, &reading->uid);
			else if (slice_is(key, "creationTimestamp"))
				reader_string(json, &reading->created);
			else if (slice_is(key, "deletionTimestamp"))
				reader_string(json, &deleted);
			else if (slice_is(key, "labels"))
				read_labels(json, reading);
			else if (slice_is(key, "annotations"))
				read_annotations(json, reading);
			else if (slice_is(key, "ownerReferences"))
				field_owner(json, &reading->owner);
			else
				reader_skip(json);
		}
	reading->deleting = deleted.len > 0;
}

static void read_volumes(struct reader *json, struct reading *reading)
{
	struct slice key;
	const char *first;

	reader_peek(json);
	first = json->at;
	if (!reader_array(json))
		return;
	while (reader_next(json))
		if (reader_object(json))
			while (reader_key(json, &key)) {
				if (slice_is(key, "persistentVolumeClaim") || slice_is(key, "ephemeral"))
					reading->slow_binding |= reader_peek(json) == READER_OBJECT;
				reader_skip(json);
			}
	if (!json->error && reading->slow_binding)
		reading->volumes = (struct slice){first, (size_t)(json->at - first)};
}

static bool is_filled(struct reader *json)
{
	bool filled = false;

	if (reader_array(json))
		for (; reader_next(json); filled = true)
			reader_skip(json);
	return filled;
}

static void read_gates(struct reader *json, struct reading *reading)
{
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct slice name = {NULL, 0};

		if (reader_object(json))
			for (struct slice key; reader_key(json, &key);) {
				if (slice_is(key, "name"))
					reader_string(json, &name);
				else
					reader_skip(json);
			}
		reading->gated = true;
		if (slice_is(name, "berth.dev/plan"))
			reading->gate_ours = true;
		else
			reading->gate_other = true;
	}
}

static bool read_spec_demand(struct reader *json, struct slice key, struct demand *demand)
{
	if (slice_is(key, "containers"))
		demand_read_containers(demand, json, false);
	else if (slice_is(key, "initContainers"))
		demand_read_containers(demand, json, true);
	else if (slice_is(key, "resources"))
		demand_read_pod_resources(demand, json);
	else if (slice_is(key, "overhead"))
		demand_read_overhead(demand, json);
	else
		return false;
	return true;
}

static bool read_spec_placement(struct reader *json, struct slice key, struct reading *reading)
{
	if (slice_is(key, "nodeSelector"))
		reader_value(json, &reading->node_selector);
	else if (slice_is(key, "affinity"))
		reader_value(json, &reading->affinity);
	else if (slice_is(key, "tolerations"))
		reader_value(json, &reading->tolerations);
	else if (slice_is(key, "topologySpreadConstraints"))
		reader_value(json, &reading->spread);
	else
		return false;
	return true;
}

/* Whether a path of the table is spec.OBJECT.KEY. */
static bool is_path(const char *path, struct slice object, struct slice key)
{
	const char *at = path + strlen("spec.");

	return strncmp(at, object.at, object.len) == 0 && at[object.len] == '.' && slice_is(key, at + object.len + 1);
}

static void read_spec_gang(struct reader *json, struct slice object, struct gang_notes *notes)
{
	struct slice key, value;

	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		bool is_text = reader_string(json, &value);

		for (int i = 0; is_text && i < GANG_FIELD_COUNT; i++)
			if (is_path(gang_word_rows[i].text, object, key))
				gang_note(notes, i, false, value);
	}
}

static void read_spec(struct reader *json, struct reading *reading)
{
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "nodeName"))
				reader_string(json, &reading->node);
			else if (slice_is(key, "schedulerName"))
				reader_string(json, &reading->scheduler);
			else if (slice_is(key, "priority"))
				reader_int(json, &reading->priority);
			else if (slice_is(key, "restartPolicy"))
				reader_string(json, &reading->restart);
			else if (slice_is(key, "terminationGracePeriodSeconds"))
				reader_int(json, &reading->grace_s);
			else if (slice_is(key, "volumes"))
				read_volumes(json, reading);
			else if (slice_is(key, "resourceClaims"))
				reading->slow_binding |= is_filled(json);
			else if (slice_is(key, "schedulingGates"))
				read_gates(json, reading);
			else if (slice_is(key, "schedulingGroup") || slice_is(key, "workloadRef"))
				read_spec_gang(json, key, reading->gang);
			else if (!read_spec_demand(json, key, &reading->demand) &&
			         !read_spec_placement(json, key, reading))
				reader_skip(json);
		}
}

/* What kube-scheduler says of a pod that it has no node for. */
static void read_unschedulable(struct reader json, struct slice *text)
{
	if (!reader_array(&json))
		return;
	while (reader_next(&json)) {
		struct slice key, type = {NULL, 0}, status = type, reason = type, message = type;
		if (!reader_object(&json))
			continue;
		while (reader_key(&json, &key)) {
			if (slice_is(key, "type"))
				reader_string(&json, &type);
			else if (slice_is(key, "status"))
				reader_string(&json, &status);
			else if (slice_is(key, "reason"))
				reader_string(&json, &reason);
			else if (slice_is(key, "message"))
				reader_string(&json, &message);
			else
				reader_skip(&json);
		}
		if (slice_is(type, "PodScheduled") && slice_is(status, "False") && slice_is(reason, "Unschedulable"))
			*text = message;
	}
}

static void read_starts(struct reader *json, struct reading *reading)
{
	if (reader_peek(json) == READER_ARRAY && reading->node.len > 0)
		start_read_containers(*json, &reading->run.start);
}

static void read_status(struct reader *json, struct reading *reading)
{
	struct demand *demand = &reading->demand;

	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "phase"))
				reader_string(json, &reading->run.phase);
			else if (slice_is(key, "startTime"))
				reader_string(json, &reading->run.started);
			else if (slice_is(key, "nominatedNodeName"))
				reader_string(json, &reading->nominated);
			else if (slice_is(key, "reason"))
				reader_string(json, &reading->run.reason);
			else if (slice_is(key, "conditions")) {
				if (reader_peek(json) == READER_ARRAY && reading->node.len == 0)
					read_unschedulable(*json, &reading->unschedulable);
				demand_read_conditions(demand, json);
			} else if (slice_is(key, "containerStatuses")) {
				read_starts(json, reading);
				demand_read_container_statuses(demand, json, false);
			} else if (slice_is(key, "initContainerStatuses")) {
				read_starts(json, reading);
				demand_read_container_statuses(demand, json, true);
			} else if (slice_is(key, "resources"))
				demand_read_status_resources(demand, json);
			else if (slice_is(key, "allocatedResources"))
				demand_read_allocated(demand, json);
			else
				reader_skip(json);
		}
}

static int read_pod(struct slice text, struct reading *reading, struct err *err)
{
	struct reader json;

	reader_open(&json, text);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "metadata"))
				read_metadata(&json, reading);
			else if (slice_is(key, "spec"))
				read_spec(&json, reading);
			else if (slice_is(key, "status"))
				read_status(&json, reading);
			else
				reader_skip(&json);
		}
	if (!reader_close(&json))
		return err_set(err, ERR_INPUT, "pod: %s at byte %zu", json.error, (size_t)(json.at - json.start));
	return 0;
}

/* --- the pod --- */

static const char *kept_text(struct arena *arena, struct slice raw)
{
	return raw.len > 0 ? field_text(arena, raw) : NULL;
}

/* A list of formats is allowed ("bf16,fp8"): the GPU must have them all. */
static bool read_dtypes(struct slice text, uint32_t *dtypes)
{
	const char *at = text.at ? text.at : "", *end = at + text.len;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
		enum dtype dtype = dtype_named((struct slice){at, (size_t)(stop - at)});

		if (dtype == DTYPE_COUNT || (comma && comma + 1 == end))
			return false;
		*dtypes |= DTYPE_BIT(dtype);
		at = comma ? comma + 1 : end;
	}
	return true;
}

static struct slice first_of(struct slice annotation, struct slice label)
{
	return annotation.len > 0 ? annotation : label;
}

static void keep_said(const struct reading *reading, struct arena *arena, struct pod *pod)
{
	const struct said *annotation = &reading->by_annotation, *label = &reading->by_label;
	struct slice dtype = first_of(annotation->dtype, label->dtype);
	struct slice memory = first_of(annotation->gpu_memory, label->gpu_memory);
	quantity_nano bytes;

	pod->class_name = kept_text(arena, first_of(annotation->class_name, label->class_name));
	if (!read_dtypes(dtype, &pod->dtypes)) {
		pod->trouble = REASON_CODE_BAD_ANNOTATION;
		pod->trouble_key = "berth.dev/dtype";
	}
	if (memory.len > 0) {
		if (quantity_parse_nano(memory, &bytes) && bytes > 0) {
			pod->gpu_memory_bytes = quantity_nano_value(bytes);
		} else {
			pod->trouble = REASON_CODE_BAD_ANNOTATION;
			pod->trouble_key = "berth.dev/gpu-memory";
		}
	}
}

static void keep_owner(const struct reading *reading, struct arena *arena, struct pod *pod)
{
	const struct owner *owner = &reading->owner;

	if (!owner->kind.at)
		return;
	pod->owner_uid = kept_text(arena, owner->uid);
	pod->owner_name = kept_text(arena, owner->name);
	pod_add_owner_kind(pod, field_text(arena, owner->kind));
}

static void keep_labels(const struct reading *reading, struct arena *arena, struct pod *pod)
{
	struct reader json;

	if (!reading->labels.at)
		return;
	reader_open(&json, reading->labels);
	pod->labels = field_labels(&json, arena);
}

static void keep_placement(const struct reading *reading, struct arena *arena, struct pod *pod)
{
	struct reader json;

	if (reading->node_selector.at) {
		reader_open(&json, reading->node_selector);
		placement_read_node_selector(&json, arena, pod);
	}
	if (reading->affinity.at) {
		reader_open(&json, reading->affinity);
		placement_read_affinity(&json, arena, pod);
	}
	if (reading->tolerations.at) {
		reader_open(&json, reading->tolerations);
		placement_read_tolerations(&json, arena, pod);
	}
	if (reading->spread.at) {
		reader_open(&json, reading->spread);
		pod_spread_read(&json, arena, pod);
	}
	if (reading->volumes.at) {
		reader_open(&json, reading->volumes);
		placement_read_claims(&json, arena, pod);
	}
}

/* An upper bound for usual pods, so that one chunk does; a pod with much affinity may take a second one. */
static size_t measure(const struct reading *reading, const struct resource_list *demand, bool whole)
{
	const struct slice texts[] = {reading->uid, reading->namespace_, reading->name, reading->scheduler,
	    reading->node, reading->nominated, reading->wake, reading->decision, reading->plan, reading->waiting,
	    reading->unschedulable, reading->owner.uid, reading->owner.name};
	size_t size = sizeof(struct pod) + (demand->count + 1u) * sizeof(struct resource_amount) + TEXT_SLACK;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (texts[i].len > 0)
			size += texts[i].len + TEXT_SLACK / 2;
	size += 2 * reading->labels.len + gang_measure(reading->gang);
	if (whole)
		size += 2 * (reading->node_selector.len + reading->affinity.len + reading->spread.len) +
		        reading->volumes.len + reading->tolerations.len;
	return size;
}

static bool keep_identity(const struct reading *reading, struct arena *arena, struct pod *pod)
{
	pod->uid = field_name(arena, reading->uid);
	pod->name = field_name(arena, reading->name);
	pod->namespace_ = reading->namespace_.len ? field_name(arena, reading->namespace_) : "default";
	pod->node = reading->node.len ? field_name(arena, reading->node) : NULL;
	return pod->uid && pod->name && pod->namespace_ && (pod->node || reading->node.len == 0);
}

static struct pod *keep(struct reading *reading, bool whole, struct err *err)
{
	struct resource_list demand;
	struct arena arena;
	struct pod *pod;
	int64_t *pods;

	if (reading->uid.len == 0 || reading->name.len == 0) {
		err_set(err, ERR_INPUT, "pod: no metadata.%s", reading->name.len == 0 ? "name" : "uid");
		return NULL;
	}
	whole |= reading->node.len == 0;
	demand_finish(&reading->demand, &demand);
	arena_init(&arena, measure(reading, &demand, whole));
	pod = arena_calloc(&arena, 1, sizeof *pod);
	if (!keep_identity(reading, &arena, pod)) {
		arena_free(&arena);
		err_set(err, ERR_INPUT, "pod: its UID, name, namespace or node has a NUL");
		return NULL;
	}
	pod->scheduler = reading->scheduler.len ? field_text(&arena, reading->scheduler) : "default-scheduler";
	pod->nominated = kept_text(&arena, reading->nominated);
	pod->wake = kept_text(&arena, reading->wake);
	if (reading->plan.len <= DECISION_MAX)
		pod->plan = kept_text(&arena, reading->plan);
	if (reading->waiting.len <= DECISION_MAX)
		pod->waiting = kept_text(&arena, reading->waiting);
	if (reading->decision.len <= DECISION_MAX)
		pod->decision = kept_text(&arena, reading->decision);
	pod->priority = (int32_t)reading->priority;
	pod->grace_s = reading->grace_s < 0 ? 0 : reading->grace_s > INT32_MAX ? INT32_MAX : (int32_t)reading->grace_s;
	if (!clock_parse(reading->created, &pod->created_ns))
		pod->created_ns = 0;
	pod_run_keep(&reading->run, &arena, pod);
	pod->gang_whole = reading->gang_whole;
	if (reading->unschedulable.len <= DECISION_MAX)
		pod->unschedulable = kept_text(&arena, reading->unschedulable);
	pod->deleting = reading->deleting;
	pod->gated = reading->gated;
	pod->gate_ours = reading->gate_ours;
	pod->gate_other = reading->gate_other;
	pod->slow_binding = reading->slow_binding;
	pod->runs_once = slice_is(reading->restart, "Never");
	keep_said(reading, &arena, pod);
	keep_owner(reading, &arena, pod);
	keep_labels(reading, &arena, pod);
	if (whole)
		keep_placement(reading, &arena, pod);
	gang_keep(reading->gang, &arena, pod);
	owners_infer(pod);
	pods = resource_list_at(&demand, RESOURCE_PODS);
	if (pods)
		*pods = 1;
	if (reading->demand.trouble || !pods)
		pod->trouble = REASON_CODE_BAD_REQUEST;
	pod->demand = resource_list_keep(&demand, &arena);
	pod->arena = arena;
	return pod;
}

struct pod *cluster_pod_decode(struct slice json, struct resource_names *names, bool whole, struct err *err)
{
	struct arena scratch;
	struct gang_notes gang; /* large, and seldom filled: not zeroed */
	struct reading reading = {.grace_s = GRACE_S, .gang = &gang};
	struct pod *pod = NULL;

	gang.count = 0;
	arena_init(&scratch, SCRATCH_SIZE);
	demand_init(&reading.demand, &scratch, names);
	if (read_pod(json, &reading, err) == 0)
		pod = keep(&reading, whole, err);
	arena_free(&scratch);
	return pod;
}

int cluster_pod_demand(struct slice json, struct resource_names *names, struct resource_list *demand, struct err *err)
{
	struct arena scratch;
	struct gang_notes gang; /* large, and seldom filled: not zeroed */
	struct reading reading = {.grace_s = GRACE_S, .gang = &gang};
	int result;

	gang.count = 0;
	arena_init(&scratch, SCRATCH_SIZE);
	demand_init(&reading.demand, &scratch, names);
	result = read_pod(json, &reading, err);
	if (result == 0) {
		demand_finish(&reading.demand, demand);
		if (reading.demand.trouble)
			result = err_set(err, ERR_INPUT, "pod: %s", reading.demand.trouble);
	}
	arena_free(&scratch);
	return result;
}
