#include "cluster/suspension.h"

#include <string.h>

#include "base/reader.h"
#include "berth/pod.h"
#include "cluster/fields.h"

/* Fields by the APIs' types of these releases: batch/v1 of Kubernetes 1.36; JobSet v0.10; Kubeflow training operator
 * v1.9 (runPolicy of the common types, and of MPIJob v2beta1); Kubeflow trainer v2.0; KubeRay v1.4, whose validation
 * refuses a suspended RayJob that would leave its cluster behind, or that runs on a cluster not its own. managedBy
 * stands beside suspend. Kueue's Workload is the same in both of its versions: active unless it says otherwise. */
#define TRAINING_OPERATOR "kubeflow.org/training-operator"
#define KUBERAY_OPERATOR "ray.io/kuberay-operator"
#define JOB_NAME "batch.kubernetes.io/job-name"
#define JOBSET_NAME "jobset.sigs.k8s.io/jobset-name" /* a TrainJob's JobSet has its name */
#define TRAINING_JOB_NAME "training.kubeflow.org/job-name"
static const struct suspend_kind workload_before_v1beta2 = {
    "kueue.x-k8s.io/v1beta1", "Workload", "workloads", "active", .runs = true};
static const struct suspend_kind known[] = {
    {"batch/v1", "Job", "jobs", "suspend", .label = JOB_NAME, .manager = "kubernetes.io/job-controller"},
    {"jobset.x-k8s.io/v1alpha2", "JobSet", "jobsets", "suspend", .label = JOBSET_NAME,
        .manager = "jobset.sigs.k8s.io/jobset-controller"},
    {"trainer.kubeflow.org/v1alpha1", "TrainJob", "trainjobs", "suspend", .label = JOBSET_NAME,
        .manager = "trainer.kubeflow.org/trainjob-controller"},
    {"kubeflow.org/v1", "PyTorchJob", "pytorchjobs", "runPolicy.suspend", .label = TRAINING_JOB_NAME,
        .manager = TRAINING_OPERATOR},
    {"kubeflow.org/v1", "TFJob", "tfjobs", "runPolicy.suspend", .label = TRAINING_JOB_NAME,
        .manager = TRAINING_OPERATOR},
    {"kubeflow.org/v1", "XGBoostJob", "xgboostjobs", "runPolicy.suspend", .label = TRAINING_JOB_NAME,
        .manager = TRAINING_OPERATOR},
    {"kubeflow.org/v1", "JAXJob", "jaxjobs", "runPolicy.suspend", .label = TRAINING_JOB_NAME,
        .manager = TRAINING_OPERATOR},
    {"kubeflow.org/v1", "PaddleJob", "paddlejobs", "runPolicy.suspend", .label = TRAINING_JOB_NAME,
        .manager = TRAINING_OPERATOR},
    {"kubeflow.org/v2beta1", "MPIJob", "mpijobs", "runPolicy.suspend", .label = TRAINING_JOB_NAME,
        .manager = "kubeflow.org/mpi-operator"},
    {"ray.io/v1", "RayCluster", "rayclusters", "suspend", .label = "ray.io/cluster", .manager = KUBERAY_OPERATOR},
    {"ray.io/v1", "RayJob", "rayjobs", "suspend", "shutdownAfterJobFinishes", "clusterSelector",
        .label = "ray.io/originated-from-cr-name", .manager = KUBERAY_OPERATOR},
    {"kueue.x-k8s.io/v1beta2", "Workload", "workloads", "active", .runs = true, .older = &workload_before_v1beta2},
};
#define WORKLOAD (&known[sizeof known / sizeof *known - 1])

const struct suspend_kind *suspend_kinds(size_t *count)
{
	*count = sizeof known / sizeof *known;
	return known;
}

const struct suspend_kind *suspend_kind_of(const char *kind)
{
	for (size_t i = 0; kind && i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].kind, kind) == 0)
			return &known[i] == WORKLOAD ? NULL : &known[i];
	return NULL;
}

bool suspend_ends(const struct suspend_kind *kind, const char *name, const char *uid, const struct pod *pod)
{
	const char *value = kind->label ? labels_get(&pod->labels, kind->label) : NULL;
	return (pod->owner_uid && strcmp(pod->owner_uid, uid) == 0) || (value && strcmp(value, name) == 0);
}

const struct suspend_kind *suspend_workload(void)
{
	return WORKLOAD;
}

const struct suspend_kind *suspend_kind_named(const char *api_version, const char *kind)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		for (const struct suspend_kind *at = &known[i]; at; at = at->older)
			if (strcmp(at->kind, kind) == 0 && strcmp(at->api_version, api_version) == 0)
				return at;
	return NULL;
}

bool suspend_recreates(const char *kind)
{
	return kind && (strcmp(kind, "ReplicaSet") == 0 || strcmp(kind, "StatefulSet") == 0 ||
	                   strcmp(kind, "ReplicationController") == 0);
}

void suspend_path(const struct suspend_kind *kind, const char *namespace_, const char *name, struct buf *out)
{
	buf_printf(out, "/apis/%s", kind->api_version);
	if (namespace_)
		buf_printf(out, "/namespaces/%s", namespace_);
	buf_printf(out, "/%s", kind->plural);
	if (name)
		buf_printf(out, "/%s", name);
}

/* --- reading --- */

static void read_labels(struct reader *json, struct arena *arena, struct suspend_object *object)
{
	if (!reader_object(json))
		return;
	for (struct slice key, value; reader_key(json, &key);) {
		if (!reader_string(json, &value))
			continue;
		if (slice_is(key, SUSPENDED_BY))
			object->mark = field_text(arena, value);
		object->queued |= slice_is(key, "kueue.x-k8s.io/queue-name") && value.len > 0;
	}
}

static void read_annotations(struct reader *json, struct arena *arena, struct suspend_object *object)
{
	if (!reader_object(json))
		return;
	for (struct slice key, value; reader_key(json, &key);) {
		if (!reader_string(json, &value))
			continue;
		if (slice_is(key, SUSPENDED_GANG))
			object->gang = field_text(arena, value);
		else if (slice_is(key, SUSPENDED_SINCE))
			object->since = field_text(arena, value);
		else if (slice_is(key, SUSPENDED_MOVED))
			object->moved = field_text(arena, value);
		else if (slice_is(key, SUSPENDED_ALONE))
			object->alone_until = field_text(arena, value);
		else if (slice_is(key, SUSPENDED_REVERTS))
			object->reverts = value.len == 1 && value.at[0] >= '0' && value.at[0] <= '9'
			                      ? (unsigned)(value.at[0] - '0')
			                      : SUSPENDED_REVERTS_MAX;
		object->kept |= (slice_is(key, POD_SAFE_TO_EVICT) && slice_is(value, "false")) ||
		                (slice_is(key, POD_DO_NOT_DISRUPT) && !slice_is(value, "false"));
	}
}

static void read_text(struct reader *json, struct arena *arena, const char **text)
{
	struct slice value;
	if (reader_string(json, &value))
		*text = field_text(arena, value);
}

static void read_metadata(struct reader *json, struct arena *arena, struct suspend_object *object)
{
	struct owner owner = {0};
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "namespace"))
			read_text(json, arena, &object->namespace_);
		else if (slice_is(key, "name"))
			read_text(json, arena, &object->name);
		else if (slice_is(key, "uid"))
			read_text(json, arena, &object->uid);
		else if (slice_is(key, "resourceVersion"))
			read_text(json, arena, &object->version);
		else if (slice_is(key, "ownerReferences"))
			field_owner(json, &owner);
		else if (slice_is(key, "labels"))
			read_labels(json, arena, object);
		else if (slice_is(key, "annotations"))
			read_annotations(json, arena, object);
		else
			reader_skip(json);
	}
	if (owner.kind.at && !json->error) {
		object->owner_kind = field_text(arena, owner.kind);
		object->owner_name = field_name(arena, owner.name);
		object->owner_uid = field_name(arena, owner.uid);
	}
}

/* What stands at a dotted path of the object; empty where nothing does. */
static struct slice value_at(struct slice object, const char *path)
{
	const char *dot = strchr(path, '.');
	struct slice first = {path, dot ? (size_t)(dot - path) : strlen(path)}, value = {NULL, 0};
	struct reader json;
	reader_open(&json, object);
	if (object.len == 0 || reader_peek(&json) != READER_OBJECT || !reader_object(&json))
		return value;
	for (struct slice key; reader_key(&json, &key);) {
		if (slice_equal(key, first))
			reader_value(&json, &value);
		else
			reader_skip(&json);
	}
	return dot && value.len > 0 ? value_at(value, dot + 1) : value;
}

static bool read_flag(struct slice spec, const char *field)
{
	return slice_is(value_at(spec, field), "true");
}

/* A Workload runs unless it says otherwise. */
static bool is_suspended(struct slice spec, const struct suspend_kind *kind)
{
	return slice_is(value_at(spec, kind->field), kind->runs ? "false" : "true");
}

/* Whether the field holds anything but null and what is empty. */
static bool is_there(struct slice spec, const char *field)
{
	struct slice value = value_at(spec, field);
	return value.len > 2 && !slice_is(value, "null");
}

/* managedBy stands where the field does. */
static bool is_managed(struct slice spec, const struct suspend_kind *kind)
{
	bool below = strchr(kind->field, '.') != NULL;
	struct slice value = value_at(spec, below ? "runPolicy.managedBy" : "managedBy");
	if (!kind->manager || value.len <= 2 || value.at[0] != '"')
		return false;
	return !slice_is((struct slice){value.at + 1, value.len - 2}, kind->manager);
}

bool suspend_read(
    struct slice json, const struct suspend_kind *kind, struct arena *arena, struct suspend_object *object)
{
	struct reader reader;
	struct slice spec = {NULL, 0};
	*object = (struct suspend_object){0};
	reader_open(&reader, json);
	if (reader_peek(&reader) == READER_OBJECT && reader_object(&reader))
		for (struct slice key; reader_key(&reader, &key);) {
			if (slice_is(key, "metadata"))
				read_metadata(&reader, arena, object);
			else if (slice_is(key, "spec"))
				reader_value(&reader, &spec);
			else
				reader_skip(&reader);
		}
	if (!reader_close(&reader))
		return false;
	object->suspended = is_suspended(spec, kind);
	object->queued &= !kind->runs;
	object->marked = object->mark && strcmp(object->mark, SUSPENDED_BY_BERTH) == 0;
	object->barred = (kind->needs && !read_flag(spec, kind->needs)) || (kind->bars && is_there(spec, kind->bars));
	object->managed = is_managed(spec, kind);
	object->counts = value_at(spec, "runPolicy.backoffLimit").len > 0;
	return object->namespace_ && object->name && object->uid;
}

bool suspend_read_list(struct slice json, void (*each)(void *ctx, struct slice item), void *ctx)
{
	struct reader reader;
	reader_open(&reader, json);
	if (reader_peek(&reader) == READER_OBJECT && reader_object(&reader))
		for (struct slice key, item; reader_key(&reader, &key);) {
			bool items = slice_is(key, "items");
			if (!items)
				reader_skip(&reader);
			else if (reader_array(&reader))
				while (reader_next(&reader)) {
					reader_value(&reader, &item);
					each(ctx, item);
				}
		}
	return reader_close(&reader);
}

/* --- writing --- */

static void write_field(const struct suspend_kind *kind, bool suspend, struct buf *out)
{
	const char *dot = strchr(kind->field, '.');
	buf_text(out, ",\"spec\":{");
	if (dot)
		buf_printf(out, "\"%.*s\":{", (int)(dot - kind->field), kind->field);
	buf_printf(out, "\"%s\":%s}", dot ? dot + 1 : kind->field, suspend != kind->runs ? "true" : "false");
	if (dot)
		buf_char(out, '}');
}

static void write_text(const char *text, struct buf *out)
{
	if (text)
		buf_json_string(out, slice_of(text));
	else
		buf_text(out, "null");
}

void suspend_write(const struct suspend_kind *kind, const struct suspend_object *object, bool suspend, const char *gang,
    struct buf *out)
{
	buf_text(out, "{\"metadata\":{\"uid\":");
	buf_json_string(out, slice_of(object->uid));
	buf_text(out, ",\"labels\":{\"" SUSPENDED_BY "\":");
	write_text(suspend ? SUSPENDED_BY_BERTH : NULL, out);
	buf_text(out, "},\"annotations\":{\"" SUSPENDED_GANG "\":");
	write_text(suspend ? gang : NULL, out);
	buf_text(out, "}}");
	write_field(kind, suspend, out);
	buf_char(out, '}');
}

void suspend_change(const struct suspend_kind *kind, const struct suspend_object *object,
    const struct suspend_change *change, struct buf *out)
{
	buf_text(out, "{\"metadata\":{\"uid\":");
	buf_json_string(out, slice_of(object->uid));
	if (object->version) {
		buf_text(out, ",\"resourceVersion\":");
		buf_json_string(out, slice_of(object->version));
	}
	buf_text(out, ",\"labels\":{\"" SUSPENDED_BY "\":");
	write_text(change->mark, out);
	buf_text(out, "},\"annotations\":{\"" SUSPENDED_SINCE "\":");
	write_text(change->since, out);
	if (change->reverts > 0)
		buf_printf(out, ",\"" SUSPENDED_REVERTS "\":\"%u\"",
		    change->reverts < SUSPENDED_REVERTS_MAX ? change->reverts : SUSPENDED_REVERTS_MAX);
	if (change->moved) {
		buf_text(out, ",\"" SUSPENDED_MOVED "\":");
		write_text(change->moved, out);
	}
	if (change->alone_until) {
		buf_text(out, ",\"" SUSPENDED_ALONE "\":");
		write_text(change->alone_until, out);
	}
	buf_text(out, "}}");
	if (change->spec)
		write_field(kind, change->mark != NULL, out);
	buf_char(out, '}');
}
