#include "cluster/volumes.h"

#include <stdlib.h>

#include "base/reader.h"
#include "berth/map.h"
#include "cluster/fields.h"
#include "cluster/node_term.h"

struct volume {
	struct arena arena; /* owns all below and the volume itself */
	struct slice name;
	struct slice claim;    /* "namespace/name"; empty: bound to none */
	bool anywhere;         /* no node affinity */
	struct node_terms of;  /* one must match */
	uint64_t list, number; /* the last list that it was seen in; counts those put */
};

struct volumes {
	struct map by_name, by_claim;
	uint64_t list, numbers;
};

struct volumes *volumes_new(void)
{
	return xcalloc(1, sizeof(struct volumes));
}

static void volume_free(struct volume *volume)
{
	struct arena arena = volume->arena;

	arena_free(&arena);
}

static void take_out(struct volumes *volumes, struct volume *volume)
{
	map_remove(&volumes->by_name, volume->name);
	if (volume->claim.len > 0 && map_get(&volumes->by_claim, volume->claim) == volume)
		map_remove(&volumes->by_claim, volume->claim);
	volume_free(volume);
}

void volumes_free(struct volumes *volumes)
{
	size_t cursor = 0;

	if (!volumes)
		return;
	for (struct volume *volume; (volume = map_next(&volumes->by_name, &cursor));)
		volume_free(volume);
	map_free(&volumes->by_name);
	map_free(&volumes->by_claim);
	free(volumes);
}

void volumes_begin(struct volumes *volumes)
{
	volumes->list++;
}

void volumes_synced(struct volumes *volumes)
{
	struct volume **stale = xcalloc(volumes->by_name.count + 1, sizeof *stale);
	size_t count = 0, cursor = 0;

	for (struct volume *volume; (volume = map_next(&volumes->by_name, &cursor));)
		if (volume->list != volumes->list)
			stale[count++] = volume;
	for (size_t i = 0; i < count; i++)
		take_out(volumes, stale[i]);
	free(stale);
}

/* --- reading --- */

struct reading {
	struct slice name, phase, claim_namespace, claim_name;
	struct volume *volume;
	struct arena arena;
};

static void read_text(struct reader *json, const char *field, struct slice *text)
{
	struct slice key;

	if (reader_object(json))
		while (reader_key(json, &key)) {
			if (slice_is(key, field))
				reader_string(json, text);
			else
				reader_skip(json);
		}
}

static void read_claim(struct reader *json, struct reading *reading)
{
	struct slice key;

	if (reader_object(json))
		while (reader_key(json, &key)) {
			if (slice_is(key, "namespace"))
				reader_string(json, &reading->claim_namespace);
			else if (slice_is(key, "name"))
				reader_string(json, &reading->claim_name);
			else
				reader_skip(json);
		}
}

static void read_terms(struct reader *json, struct reading *reading)
{
	struct node_terms *of = &reading->volume->of;
	size_t room = 0;

	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		of->terms = field_grow(&reading->arena, of->terms, of->count, &room, sizeof *of->terms);
		node_term_read(json, &reading->arena, &of->terms[of->count++]);
	}
}

/* nodeAffinity.required.nodeSelectorTerms */
static void read_affinity(struct reader *json, struct reading *reading)
{
	struct slice key;

	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (!slice_is(key, "required") || reader_peek(json) != READER_OBJECT) {
			reader_skip(json);
			continue;
		}
		reading->volume->anywhere = false;
		reader_object(json);
		while (reader_key(json, &key)) {
			if (slice_is(key, "nodeSelectorTerms"))
				read_terms(json, reading);
			else
				reader_skip(json);
		}
	}
}

static void read_spec(struct reader *json, struct reading *reading)
{
	struct slice key;

	if (reader_object(json))
		while (reader_key(json, &key)) {
			if (slice_is(key, "claimRef"))
				read_claim(json, reading);
			else if (slice_is(key, "nodeAffinity"))
				read_affinity(json, reading);
			else
				reader_skip(json);
		}
}

/* A claim that is gone leaves its reference behind: only the phase Bound makes it count. */
static void keep(struct reading *reading)
{
	struct slice namespace_ = reading->claim_namespace, name = reading->claim_name;
	struct volume *volume = reading->volume;

	volume->name = slice_of(arena_copy(&reading->arena, reading->name));
	if (slice_is(reading->phase, "Bound") && namespace_.len > 0 && name.len > 0) {
		char *claim = arena_alloc(&reading->arena, namespace_.len + 1 + name.len);

		memcpy(claim, namespace_.at, namespace_.len);
		claim[namespace_.len] = '/';
		memcpy(claim + namespace_.len + 1, name.at, name.len);
		volume->claim = (struct slice){claim, namespace_.len + 1 + name.len};
	}
	volume->arena = reading->arena;
}

static struct volume *read_volume(struct slice text, struct err *err)
{
	struct reading reading = {.name = {NULL, 0}};
	struct reader json;
	struct slice key;

	arena_init(&reading.arena, 512);
	reading.volume = arena_calloc(&reading.arena, 1, sizeof *reading.volume);
	reading.volume->anywhere = true;
	reader_open(&json, text);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json))
		while (reader_key(&json, &key)) {
			if (slice_is(key, "metadata"))
				read_text(&json, "name", &reading.name);
			else if (slice_is(key, "spec"))
				read_spec(&json, &reading);
			else if (slice_is(key, "status"))
				read_text(&json, "phase", &reading.phase);
			else
				reader_skip(&json);
		}
	if (!reader_close(&json))
		err_set(
		    err, ERR_INPUT, "persistent volume: %s at byte %zu", json.error, (size_t)(json.at - json.start));
	else if (reading.name.len == 0)
		err_set(err, ERR_INPUT, "persistent volume: no metadata.name");
	else {
		keep(&reading);
		return reading.volume;
	}
	arena_free(&reading.arena);
	return NULL;
}

int volumes_put(struct volumes *volumes, struct slice json, struct err *err)
{
	struct volume *volume = read_volume(json, err), *older;

	if (!volume)
		return err->code;
	volume->list = volumes->list;
	volume->number = ++volumes->numbers;
	older = map_get(&volumes->by_name, volume->name);
	if (older)
		take_out(volumes, older);
	map_put(&volumes->by_name, volume->name, volume);
	if (volume->claim.len > 0) {
		if (map_get(&volumes->by_claim, volume->claim)) /* the key's text is the older volume's */
			map_remove(&volumes->by_claim, volume->claim);
		map_put(&volumes->by_claim, volume->claim, volume);
	}
	return 0;
}

int volumes_remove(struct volumes *volumes, struct slice json, struct err *err)
{
	struct volume *volume = read_volume(json, err), *older;

	if (!volume)
		return err->code;
	older = map_get(&volumes->by_name, volume->name);
	volume_free(volume);
	if (older)
		take_out(volumes, older);
	return 0;
}

/* --- a pod's --- */

static struct selector copy_selector(struct arena *arena, const struct selector *from)
{
	struct selector to = {from->count, arena_calloc(arena, from->count + 1, sizeof *to.requirements)};

	for (size_t i = 0; i < from->count; i++) {
		const struct selector_requirement *requirement = &from->requirements[i];

		to.requirements[i] = *requirement;
		to.requirements[i].key = arena_copy(arena, slice_of(requirement->key));
		to.requirements[i].values =
		    arena_calloc(arena, requirement->value_count + 1, sizeof *requirement->values);
		for (size_t v = 0; v < requirement->value_count; v++)
			to.requirements[i].values[v] = arena_copy(arena, slice_of(requirement->values[v]));
	}
	return to;
}

static struct node_terms copy_terms(struct arena *arena, const struct node_terms *from)
{
	struct node_terms to = {from->count, arena_calloc(arena, from->count + 1, sizeof *to.terms)};

	for (size_t i = 0; i < from->count; i++) {
		to.terms[i] = from->terms[i];
		to.terms[i].expressions = copy_selector(arena, &from->terms[i].expressions);
		to.terms[i].fields = copy_selector(arena, &from->terms[i].fields);
	}
	return to;
}

static const struct volume *volume_of(const struct volumes *volumes, const struct pod *pod, size_t at)
{
	const struct volume *volume = map_get(&volumes->by_claim, slice_of(pod->claims[at]));

	return volume && !volume->anywhere ? volume : NULL;
}

void volumes_resolve(const struct volumes *volumes, struct pod *pod)
{
	uint64_t numbers = 0;

	for (size_t i = 0; i < pod->claim_count; i++) {
		const struct volume *volume = volume_of(volumes, pod, i);

		numbers = numbers * 31 + (volume ? volume->number : 0);
	}
	if (numbers == pod->volumes_known) /* each copy stays in the arena */
		return;
	pod->volumes_known = numbers;
	pod->volume_count = 0;
	pod->volumes = arena_calloc(&pod->arena, pod->claim_count + 1, sizeof *pod->volumes);
	for (size_t i = 0; i < pod->claim_count; i++) {
		const struct volume *volume = volume_of(volumes, pod, i);

		if (volume)
			pod->volumes[pod->volume_count++] = copy_terms(&pod->arena, &volume->of);
	}
}
