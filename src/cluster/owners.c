#include "cluster/owners.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/reader.h"
#include "berth/map.h"
#include "cluster/fields.h"
#include "cluster/pod_run.h"

#define QUEUE_NAME "kueue.x-k8s.io/queue-name"

struct job {
	struct arena arena;     /* owns all below and the job itself */
	struct slice uid, path; /* path: "namespace/name" */
	struct owners_job said;
	uint64_t list; /* the last list that it was seen in */
};

struct owners {
	struct map by_uid, by_path;
	uint64_t list; /* counts lists */
};

struct owners *owners_new(void)
{
	return xcalloc(1, sizeof(struct owners));
}

static void job_free(struct job *job)
{
	struct arena arena = job->arena;

	arena_free(&arena);
}

static void take_out(struct owners *owners, struct job *job)
{
	map_remove(&owners->by_uid, job->uid);
	if (map_get(&owners->by_path, job->path) == job)
		map_remove(&owners->by_path, job->path);
	job_free(job);
}

void owners_free(struct owners *owners)
{
	size_t cursor = 0;

	if (!owners)
		return;
	for (struct job *job; (job = map_next(&owners->by_uid, &cursor));)
		job_free(job);
	map_free(&owners->by_uid);
	map_free(&owners->by_path);
	free(owners);
}

void owners_begin(struct owners *owners)
{
	owners->list++;
}

void owners_synced(struct owners *owners)
{
	struct job **stale = xcalloc(owners->by_uid.count + 1, sizeof *stale);
	size_t count = 0, cursor = 0;

	for (struct job *job; (job = map_next(&owners->by_uid, &cursor));)
		if (job->list != owners->list)
			stale[count++] = job;
	for (size_t i = 0; i < count; i++)
		take_out(owners, stale[i]);
	free(stale);
}

struct reading {
	struct slice uid, namespace_, name, checkpoint, runtime;
	struct owner owner;
	bool queued;
};

static void read_labels(struct reader *json, struct reading *reading)
{
	if (!reader_object(json))
		return;
	for (struct slice key, value; reader_key(json, &key);) {
		if (!slice_is(key, QUEUE_NAME))
			reader_skip(json);
		else if (reader_string(json, &value))
			reading->queued = value.len > 0;
	}
}

static void read_annotations(struct reader *json, struct reading *reading)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, POD_CHECKPOINT))
			reader_string(json, &reading->checkpoint);
		else if (slice_is(key, POD_RUNTIME))
			reader_string(json, &reading->runtime);
		else
			reader_skip(json);
	}
}

static int read_job(struct slice text, struct reading *reading, struct err *err)
{
	struct reader json;

	*reading = (struct reading){.uid = {NULL, 0}};
	reader_open(&json, text);
	if (reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (!slice_is(key, "metadata")) {
				reader_skip(&json);
				continue;
			}
			if (!reader_object(&json))
				continue;
			while (reader_key(&json, &key)) {
				if (slice_is(key, "uid"))
					reader_string(&json, &reading->uid);
				else if (slice_is(key, "namespace"))
					reader_string(&json, &reading->namespace_);
				else if (slice_is(key, "name"))
					reader_string(&json, &reading->name);
				else if (slice_is(key, "ownerReferences"))
					field_owner(&json, &reading->owner);
				else if (slice_is(key, "labels"))
					read_labels(&json, reading);
				else if (slice_is(key, "annotations"))
					read_annotations(&json, reading);
				else
					reader_skip(&json);
			}
		}
	if (!reader_close(&json))
		return err_set(err, ERR_INPUT, "job: %s at byte %zu", json.error, (size_t)(json.at - json.start));
	if (reading->uid.len == 0 || reading->name.len == 0)
		return err_set(err, ERR_INPUT, "job: no metadata.%s", reading->name.len == 0 ? "name" : "uid");
	return 0;
}

static struct job *make_job(const struct reading *reading)
{
	struct slice namespace_ = reading->namespace_, name = reading->name;
	struct arena arena;
	struct job *job;
	char *path;

	arena_init(&arena, sizeof *job + reading->uid.len + namespace_.len + name.len + 64);
	job = arena_calloc(&arena, 1, sizeof *job);
	job->uid = slice_of(arena_copy(&arena, reading->uid));
	path = arena_alloc(&arena, namespace_.len + 1 + name.len);
	if (namespace_.len)
		memcpy(path, namespace_.at, namespace_.len);
	path[namespace_.len] = '/';
	memcpy(path + namespace_.len + 1, name.at, name.len);
	job->path = (struct slice){path, namespace_.len + 1 + name.len};
	if (reading->owner.kind.at) {
		job->said.owner_kind = field_text(&arena, reading->owner.kind);
		job->said.owner_name = field_name(&arena, reading->owner.name);
		job->said.owner_uid = field_name(&arena, reading->owner.uid);
	}
	job->said.queued = reading->queued;
	if (!clock_parse(reading->checkpoint, &job->said.checkpoint_ns))
		job->said.checkpoint_ns = 0;
	job->said.runtime_ns = pod_run_expected(reading->runtime);
	job->arena = arena;
	return job;
}

int owners_put(struct owners *owners, struct slice json, struct err *err)
{
	struct reading reading;
	struct job *job, *older;
	int result = read_job(json, &reading, err);

	if (result)
		return result;
	job = make_job(&reading);
	job->list = owners->list;
	older = map_get(&owners->by_uid, job->uid);
	if (older)
		take_out(owners, older);
	older = map_get(&owners->by_path, job->path); /* deleted and made anew while nobody watched */
	if (older)
		take_out(owners, older);
	map_put(&owners->by_uid, job->uid, job);
	map_put(&owners->by_path, job->path, job);
	return 0;
}

int owners_remove(struct owners *owners, struct slice json, struct err *err)
{
	struct reading reading;
	struct job *job;
	int result = read_job(json, &reading, err);

	if (result)
		return result;
	job = map_get(&owners->by_uid, reading.uid);
	if (job)
		take_out(owners, job);
	return 0;
}

void owners_resolve(const struct owners *owners, struct pod *pod)
{
	const struct job *job;

	if (!pod->owner_uid)
		return;
	job = map_get(&owners->by_uid, slice_of(pod->owner_uid));
	if (job && job->said.owner_kind && !pod_has_owner_kind(pod, job->said.owner_kind))
		pod_add_owner_kind(pod, field_text(&pod->arena, slice_of(job->said.owner_kind)));
}

bool owners_find(const struct owners *owners, const char *uid, struct owners_job *said)
{
	const struct job *job = map_get(&owners->by_uid, slice_of(uid));

	if (job)
		*said = job->said;
	return job != NULL;
}

const struct owner_label *owners_labels(size_t *count)
{
	static const struct owner_label known[] = {
	    {NULL, "ReplicaSet", "Deployment"},
	    {"leaderworkerset.sigs.k8s.io/name", "StatefulSet", "LeaderWorkerSet"},
	    {"notebook-name", "StatefulSet", "Notebook"},
	    {"jobset.sigs.k8s.io/jobset-name", "Job", "JobSet"},
	    {"serving.kserve.io/inferenceservice", "ReplicaSet", "InferenceService"},
	};

	*count = sizeof known / sizeof *known;
	return known;
}

void owners_infer(struct pod *pod)
{
	size_t count;
	const struct owner_label *known = owners_labels(&count);

	for (size_t i = 0; i < count; i++)
		if (pod_has_owner_kind(pod, known[i].between) &&
		    (!known[i].label || labels_get(&pod->labels, known[i].label)))
			pod_add_owner_kind(pod, known[i].kind);
}
