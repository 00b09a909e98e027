#include "cluster/suspension.h"

#include <string.h>

#include "base/reader.h"
#include "cluster/fields.h"

/* Fields by the APIs' types of these releases: batch/v1; JobSet v0.10; Kubeflow training operator v1.9 (runPolicy of
 * the common types, and of MPIJob v2beta1); Kubeflow trainer v2.0; KubeRay v1.4, whose
 * validation refuses a suspended RayJob that would leave its cluster behind. */
static const struct suspend_kind known[] = {
    {"batch/v1", "Job", "jobs", "suspend", NULL},
    {"jobset.x-k8s.io/v1alpha2", "JobSet", "jobsets", "suspend", NULL},
    {"trainer.kubeflow.org/v1alpha1", "TrainJob", "trainjobs", "suspend", NULL},
    {"kubeflow.org/v1", "PyTorchJob", "pytorchjobs", "runPolicy.suspend", NULL},
    {"kubeflow.org/v1", "TFJob", "tfjobs", "runPolicy.suspend", NULL},
    {"kubeflow.org/v1", "XGBoostJob", "xgboostjobs", "runPolicy.suspend", NULL},
    {"kubeflow.org/v1", "JAXJob", "jaxjobs", "runPolicy.suspend", NULL},
    {"kubeflow.org/v1", "PaddleJob", "paddlejobs", "runPolicy.suspend", NULL},
    {"kubeflow.org/v2beta1", "MPIJob", "mpijobs", "runPolicy.suspend", NULL},
    {"ray.io/v1", "RayCluster", "rayclusters", "suspend", NULL},
    {"ray.io/v1", "RayJob", "rayjobs", "suspend", "shutdownAfterJobFinishes"},
};

const struct suspend_kind *suspend_kinds(size_t *count)
{
	*count = sizeof known / sizeof *known;
	return known;
}

const struct suspend_kind *suspend_kind_of(const char *kind)
{
	for (size_t i = 0; kind && i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].kind, kind) == 0)
			return &known[i];
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

static void read_labels(struct reader *json, struct suspend_object *object)
{
	if (!reader_object(json))
		return;
	for (struct slice key, value; reader_key(json, &key);) {
		if (!reader_string(json, &value))
			continue;
		object->marked |= slice_is(key, SUSPENDED_BY) && slice_is(value, SUSPENDED_BY_BERTH);
		object->queued |= slice_is(key, "kueue.x-k8s.io/queue-name") && value.len > 0;
	}
}

static void read_annotations(struct reader *json, struct arena *arena, struct suspend_object *object)
{
	if (!reader_object(json))
		return;
	for (struct slice key, value; reader_key(json, &key);)
		if (reader_string(json, &value) && slice_is(key, SUSPENDED_GANG))
			object->gang = field_text(arena, value);
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
		else if (slice_is(key, "ownerReferences"))
			field_owner(json, &owner);
		else if (slice_is(key, "labels"))
			read_labels(json, object);
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

/* `field` is what is left of the path; the object that has it is ahead. */
static void read_field(struct reader *json, const char *field, bool *value)
{
	const char *dot = strchr(field, '.');
	struct slice first = {field, dot ? (size_t)(dot - field) : strlen(field)};
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_equal(key, first) && dot)
			read_field(json, dot + 1, value);
		else if (slice_equal(key, first))
			reader_bool(json, value);
		else
			reader_skip(json);
	}
}

static bool read_flag(struct slice spec, const char *field)
{
	struct reader json;
	bool value = false;
	reader_open(&json, spec);
	if (spec.len > 0)
		read_field(&json, field, &value);
	return value;
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
	object->suspended = read_flag(spec, kind->field);
	object->barred = kind->needs && !read_flag(spec, kind->needs);
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

void suspend_write(const struct suspend_kind *kind, const struct suspend_object *object, bool suspend, const char *gang,
    struct buf *out)
{
	const char *dot = strchr(kind->field, '.');
	buf_text(out, "{\"metadata\":{\"uid\":");
	buf_json_string(out, slice_of(object->uid));
	buf_text(out, ",\"labels\":{\"" SUSPENDED_BY "\":");
	buf_text(out, suspend ? "\"" SUSPENDED_BY_BERTH "\"" : "null");
	buf_text(out, "},\"annotations\":{\"" SUSPENDED_GANG "\":");
	if (suspend)
		buf_json_string(out, slice_of(gang));
	else
		buf_text(out, "null");
	buf_text(out, "}},\"spec\":{");
	if (dot)
		buf_printf(out, "\"%.*s\":{", (int)(dot - kind->field), kind->field);
	buf_printf(out, "\"%s\":%s}}", dot ? dot + 1 : kind->field, suspend ? "true" : "false");
	if (dot)
		buf_char(out, '}');
}
