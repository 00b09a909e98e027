#include "cluster/gang_objects.h"

#include <stdlib.h>

#include "berth/alloc.h"
#include "berth/map.h"
#include "cluster/gang_object.h"
#include "cluster/gang_table.h"

struct kind {
	struct map by_path; /* struct gang_object_terms by "namespace/name" */
	uint64_t list;      /* counts lists */
	bool known;
};

struct gang_objects {
	gang_objects_changed *changed;
	void *context;
	struct kind kinds[GANG_OBJECT_COUNT];
};

struct gang_objects *gang_objects_new(gang_objects_changed *changed, void *context)
{
	struct gang_objects *objects = xcalloc(1, sizeof *objects);

	objects->changed = changed;
	objects->context = context;
	return objects;
}

void gang_objects_free(struct gang_objects *objects)
{
	if (!objects)
		return;
	for (int i = 0; i < GANG_OBJECT_COUNT; i++) {
		size_t cursor = 0;

		for (struct gang_object_terms *said; (said = map_next(&objects->kinds[i].by_path, &cursor));)
			gang_object_free(said);
		map_free(&objects->kinds[i].by_path);
	}
	free(objects);
}

static void tell(const struct gang_objects *objects, enum gang_object object, const struct gang_object_terms *said)
{
	if (objects->changed)
		objects->changed(objects->context, object, said->namespace_, said->name);
}

static void take_out(struct gang_objects *objects, enum gang_object object, struct gang_object_terms *said)
{
	map_remove(&objects->kinds[object].by_path, said->path);
	tell(objects, object, said);
	gang_object_free(said);
}

/* Takes out all that the list before `list` was the last to have. */
static void sweep(struct gang_objects *objects, enum gang_object object, uint64_t list)
{
	const struct map *by_path = &objects->kinds[object].by_path;
	struct gang_object_terms **stale = xcalloc(by_path->count + 1, sizeof(*stale));
	size_t count = 0, cursor = 0;

	for (struct gang_object_terms *said; (said = map_next(by_path, &cursor));)
		if (said->list < list)
			stale[count++] = said;
	for (size_t i = 0; i < count; i++)
		take_out(objects, object, stale[i]);
	free(stale);
}

void gang_objects_begin(struct gang_objects *objects, enum gang_object object)
{
	objects->kinds[object].list++;
}

void gang_objects_synced(struct gang_objects *objects, enum gang_object object)
{
	objects->kinds[object].known = true;
	sweep(objects, object, objects->kinds[object].list);
}

void gang_objects_lost(struct gang_objects *objects, enum gang_object object)
{
	objects->kinds[object].known = false;
	sweep(objects, object, UINT64_MAX);
}

bool gang_objects_known(const struct gang_objects *objects, enum gang_object object)
{
	return objects->kinds[object].known;
}

int gang_objects_put(struct gang_objects *objects, enum gang_object object, struct slice json, struct err *err)
{
	struct kind *kind = &objects->kinds[object];
	struct gang_object_terms *said = cluster_gang_object(object, json, err), *older;

	if (!said)
		return -1;
	said->list = kind->list;
	older = map_get(&kind->by_path, said->path);
	if (older && gang_object_same(older, said)) {
		older->list = said->list;
		gang_object_free(said);
		return 0;
	}
	if (older)
		map_remove(&kind->by_path, older->path);
	gang_object_free(older);
	map_put(&kind->by_path, said->path, said);
	tell(objects, object, said);
	return 0;
}

int gang_objects_remove(struct gang_objects *objects, enum gang_object object, struct slice json, struct err *err)
{
	struct gang_object_terms *said = cluster_gang_object(object, json, err), *known;

	if (!said)
		return -1;
	known = map_get(&objects->kinds[object].by_path, said->path);
	gang_object_free(said);
	if (known)
		take_out(objects, object, known);
	return 0;
}

/* What one object says of one gang. */
static enum gang_answer answer(
    const struct gang_object_terms *said, const struct pod_gang *gang, struct gang_terms *terms)
{
	const struct gang_group_terms *group = gang_terms_group(&said->terms, gang->group);

	if (said->trouble)
		return GANG_ANSWER_MISSING;
	if (said->single)
		return GANG_ANSWER_SINGLE;
	*terms = said->terms;
	if (gang->dialect == GANG_LWS && gang->terms.size > 0)
		terms->size = 0; /* the group may be of another revision than the object: its pods know */
	if (said->apart) {
		if (!group)
			return GANG_ANSWER_MISSING;
		if (group->quorum == 0)
			return GANG_ANSWER_SINGLE;
		*terms = (struct gang_terms){.quorum = group->quorum, .size = group->size, .place = group->place};
	}
	if (group && group->late) {
		terms->size = group->size;
		terms->quorum = group->quorum > 0 ? group->quorum : group->size;
		terms->led = terms->quorum < terms->size;
		terms->group_count = 1;
		terms->groups = said->terms.groups + (group - said->terms.groups);
		return GANG_ANSWER_STAGE;
	}
	return GANG_ANSWER_TERMS;
}

enum gang_answer gang_objects_resolve(
    const struct gang_objects *objects, const char *namespace_, const struct pod_gang *gang, struct gang_terms *terms)
{
	bool none = true, known = true;
	const struct gang_object_terms *said = NULL;
	struct arena scratch;
	struct slice path;

	arena_init(&scratch, 256);
	path = gang_object_path(&scratch, namespace_, gang->source_name);
	for (int i = 0; i < GANG_OBJECT_COUNT && !said; i++) {
		bool asked = gang->source == GANG_OBJECT_NONE && gang->dialect == GANG_KUBEFLOW
		                 ? gang_object_rows[i].kind && gang_object_rows[i].dialect == GANG_KUBEFLOW
		                 : gang->source != GANG_OBJECT_NONE && i == (int)gang->source;

		if (!asked)
			continue;
		none = false;
		known &= objects->kinds[i].known;
		said = map_get(&objects->kinds[i].by_path, path);
	}
	arena_free(&scratch);
	if (said)
		return answer(said, gang, terms);
	return none ? GANG_ANSWER_PODS : known ? GANG_ANSWER_MISSING : GANG_ANSWER_UNKNOWN;
}
