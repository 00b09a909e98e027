#include "cluster/gang_object.h"

#include <ctype.h>
#include <stdio.h>

#include "cluster/fields.h"
#include "cluster/gang_walk.h"

#define SLACK 64
#define PARENTS_MAX 8 /* of a sub-group; KAI's webhook wants a tree, a cycle must not hang us */

struct making {
	struct gang_walk *walk;
	struct arena *arena;
	struct gang_object_terms *made;
};

static int64_t number_of(const struct gang_raw *raw, enum gang_value value, int64_t otherwise)
{
	return raw->number[value] < 0 ? otherwise : raw->number[value];
}

/* Of members. */
static int32_t count_of(struct making *making, const struct gang_raw *raw, enum gang_value value, int32_t otherwise)
{
	int64_t count = number_of(raw, value, otherwise);

	if (count > GANG_MEMBERS_MAX)
		making->walk->trouble = "too many members";
	return (int32_t)count;
}

static const char *text_of(struct arena *arena, const struct gang_raw *raw, enum gang_value value)
{
	return raw->text[value].len ? field_text(arena, raw->text[value]) : NULL;
}

/* A tier of Volcano's HyperNodes goes by its name, or is the policy's level of the name "tier-N". */
static const char *tier_of(struct arena *arena, const struct gang_raw *raw)
{
	char text[32];

	if (raw->text[GANG_VALUE_TIER_NAME].len)
		return field_text(arena, raw->text[GANG_VALUE_TIER_NAME]);
	if (raw->number[GANG_VALUE_TIER] < 0)
		return NULL;
	snprintf(text, sizeof text, "tier-%d", (int)raw->number[GANG_VALUE_TIER]);
	return arena_copy(arena, slice_of(text));
}

static void place_of(struct arena *arena, const struct gang_raw *raw, struct gang_place *place)
{
	const char *tier = tier_of(arena, raw);
	int32_t segment = (int32_t)number_of(raw, GANG_VALUE_SEGMENT, 0);
	bool hard = !slice_is(raw->text[GANG_VALUE_MODE], "soft");

	place->require = text_of(arena, raw, GANG_VALUE_REQUIRE);
	place->prefer = text_of(arena, raw, GANG_VALUE_PREFER);
	if (!tier)
		return;
	if (!hard)
		place->prefer = tier;
	else if (segment == 0)
		place->require = tier;
	else
		place->segment_at = tier, place->segment = segment;
}

static struct gang_group_terms *add_group(struct making *making, const char *name)
{
	struct gang_terms *terms = &making->made->terms;
	struct gang_group_terms *group = terms->groups + terms->group_count++;

	*group = (struct gang_group_terms){.name = name ? name : ""};
	return group;
}

/* A group of Volcano's may be spoken of twice: by its tasks and by its places. */
static struct gang_group_terms *same_group(struct making *making, const char *name)
{
	struct gang_terms *terms = &making->made->terms;

	for (size_t i = 0; name && i < terms->group_count; i++)
		if (strcmp(terms->groups[i].name, name) == 0)
			return &terms->groups[i];
	return add_group(making, name);
}

/* Volcano's scheduler asks for tasks' minima only where the gang's own minimum has room for all of them
 * (job_info.go: CheckTaskReady); its controller writes each task's replicas there where nothing is said. */
static void forgive_tasks(struct gang_terms *terms)
{
	int64_t sum = 0;

	for (size_t i = 0; i < terms->group_count; i++)
		sum += terms->groups[i].quorum;
	for (size_t i = 0; terms->quorum > 0 && sum > terms->quorum && i < terms->group_count; i++)
		terms->groups[i].quorum = 0;
}

static void make_pod_group(struct making *making)
{
	const struct gang_walk *walk = making->walk;
	struct gang_terms *terms = &making->made->terms;

	terms->quorum = count_of(making, &walk->all, GANG_VALUE_QUORUM, 0);
	terms->together = walk->all.flag[GANG_VALUE_TOGETHER];
	place_of(making->arena, &walk->all, &terms->place);
	making->made->single = walk->all.flag[GANG_VALUE_SINGLE] && terms->quorum == 0;
	for (size_t i = 0; i < walk->group_count; i++) {
		const struct gang_raw *raw = walk->groups[i];
		struct gang_group_terms *group = same_group(making, text_of(making->arena, raw, GANG_VALUE_NAME));
		struct gang_place place = {.segment = 0};

		group->quorum = count_of(making, raw, GANG_VALUE_QUORUM, group->quorum);
		place_of(making->arena, raw, &place);
		if (place.require || place.prefer || place.segment)
			group->place = place;
	}
	if (walk->object == GANG_OBJECT_VOLCANO_POD_GROUP)
		forgive_tasks(terms);
}

static const struct gang_raw *parent_of(const struct gang_walk *walk, const struct gang_raw *group)
{
	const struct slice parent = group->text[GANG_VALUE_PARENT];

	for (size_t i = 0; parent.len && i < walk->group_count; i++)
		if (slice_equal(walk->groups[i]->text[GANG_VALUE_NAME], parent))
			return walk->groups[i];
	return NULL;
}

static bool is_parent(const struct gang_walk *walk, const struct gang_raw *group)
{
	for (size_t i = 0; i < walk->group_count; i++)
		if (parent_of(walk, walk->groups[i]) == group)
			return true;
	return false;
}

/* Only groups without groups below have pods. Such a one stands at least where the groups above it must. */
static void make_tree(struct making *making)
{
	const struct gang_walk *walk = making->walk;
	struct gang_terms *terms = &making->made->terms;
	int32_t quorum = 0;

	place_of(making->arena, &walk->all, &terms->place);
	for (size_t i = 0; i < walk->group_count; i++) {
		const struct gang_raw *raw = walk->groups[i], *above = raw;
		struct gang_group_terms *group;

		if (is_parent(walk, raw))
			continue;
		group = add_group(making, text_of(making->arena, raw, GANG_VALUE_NAME));
		group->quorum = count_of(making, raw, GANG_VALUE_QUORUM, 0);
		quorum += group->quorum;
		for (int depth = 0; above && depth < PARENTS_MAX; depth++, above = parent_of(walk, above)) {
			if (!group->place.require)
				group->place.require = text_of(making->arena, above, GANG_VALUE_REQUIRE);
			if (!group->place.prefer)
				group->place.prefer = text_of(making->arena, above, GANG_VALUE_PREFER);
		}
	}
	terms->quorum = count_of(making, &walk->all, GANG_VALUE_QUORUM, quorum);
	if (terms->quorum > 0 && terms->quorum < quorum)
		terms->quorum = quorum; /* each sub-group has to have its own in any case */
}

static void make_workload(struct making *making)
{
	const struct gang_walk *walk = making->walk;

	making->made->apart = true;
	for (size_t i = 0; i < walk->group_count; i++)
		add_group(making, text_of(making->arena, walk->groups[i], GANG_VALUE_NAME))->quorum =
		    count_of(making, walk->groups[i], GANG_VALUE_QUORUM, 0);
}

/* The sums are kept in 64 bits; what is too much is found at the end. */
struct sums {
	int64_t size, quorum;
};

static void add_sized(
    struct making *making, const char *name, int64_t size, int64_t quorum, int64_t part_size, struct sums *sums)
{
	struct gang_group_terms *group = add_group(making, name);

	if (size > GANG_MEMBERS_MAX || quorum > GANG_MEMBERS_MAX)
		size = quorum = GANG_MEMBERS_MAX + 1; /* so that sums stay small */
	sums->size += size;
	sums->quorum += quorum;
	group->size = (int32_t)size;
	group->quorum = (int32_t)quorum;
	group->part_size = (int32_t)part_size;
}

static void keep_sums(struct making *making, struct sums sums)
{
	if (sums.size > GANG_MEMBERS_MAX || sums.quorum > GANG_MEMBERS_MAX) {
		making->walk->trouble = "too many members";
		return;
	}
	making->made->terms.size = (int32_t)sums.size;
	making->made->terms.quorum = (int32_t)sums.quorum;
}

/* With an exclusive topology the webhook of JobSet refuses all pods of a Job but the first until that is bound. */
static bool is_led(const struct gang_walk *walk, const struct gang_raw *job)
{
	bool selected = job->text[GANG_VALUE_SELECTED].at || walk->all.text[GANG_VALUE_SELECTED].at;

	return !selected && (job->text[GANG_VALUE_EXCLUSIVE].len || walk->all.text[GANG_VALUE_EXCLUSIVE].len);
}

/* Jobs that are made only when others are ready or done cannot be waited for: they are gangs of their own. */
static void make_jobset(struct making *making)
{
	const struct gang_walk *walk = making->walk;
	bool in_order = slice_is(walk->all.text[GANG_VALUE_MODE], "InOrder");
	struct sums sums = {0, 0}, apart = {0, 0};

	for (size_t i = 0; i < walk->group_count; i++) {
		const struct gang_raw *raw = walk->groups[i];
		struct gang_group_terms *group = making->made->terms.groups + making->made->terms.group_count;
		int64_t parallelism = number_of(raw, GANG_VALUE_PARALLELISM, 1);
		int64_t completions = number_of(raw, GANG_VALUE_COMPLETIONS, parallelism);
		int64_t jobs = number_of(raw, GANG_VALUE_REPLICAS, 1);
		int64_t size = jobs * (parallelism < completions ? parallelism : completions);
		bool late = raw->flag[GANG_VALUE_DEPENDS] || (in_order && i > 0),
		     led = size > jobs && is_led(walk, raw);

		add_sized(making, text_of(making->arena, raw, GANG_VALUE_NAME), size,
		    led    ? jobs
		    : late ? 0
		           : size,
		    completions, late ? &apart : &sums);
		group->late = late;
		making->made->terms.led |= led && !late;
	}
	keep_sums(making, apart); /* for its trouble */
	keep_sums(making, sums);
}

/* LeaderReady: workers are made only when the leader runs, so that waiting for them would be for ever. Else the pods
 * may say the same of an exclusive topology. */
static void make_lws(struct making *making)
{
	const struct gang_raw *all = &making->walk->all;
	int64_t size = number_of(all, GANG_VALUE_SIZE, 1);

	keep_sums(making, (struct sums){size, slice_is(all->text[GANG_VALUE_MODE], "LeaderReady") && size > 0 ? 1 : 0});
}

/* As the label training.kubeflow.org/replica-type has it. */
static const char *lower_text(struct arena *arena, struct slice raw)
{
	char *text = arena_copy(arena, raw);

	for (char *at = text; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return text;
}

static void make_replicas(struct making *making)
{
	const struct gang_walk *walk = making->walk;
	int64_t said = number_of(&walk->all, GANG_VALUE_QUORUM, -1);
	bool elastic = walk->all.number[GANG_VALUE_MIN_REPLICAS] >= 0;
	struct sums sums = {0, 0};

	making->made->terms.elastic = elastic;
	for (size_t i = 0; i < walk->group_count; i++) {
		const struct gang_raw *raw = walk->groups[i];
		const char *name = lower_text(making->arena, raw->text[GANG_VALUE_NAME]);
		int64_t size = number_of(raw, GANG_VALUE_REPLICAS, 1), quorum = size;

		if (walk->object == GANG_OBJECT_MPI_JOB && strcmp(name, "launcher") == 0)
			continue; /* is made when the workers run */
		if (strcmp(name, "worker") == 0)
			quorum = number_of(&walk->all, GANG_VALUE_MIN_REPLICAS, size);
		quorum = quorum < size ? quorum : size;
		add_sized(making, name, size, said >= 0 ? 0 : quorum, 0, &sums);
		if (elastic)
			making->made->terms.groups[making->made->terms.group_count - 1].least = (int32_t)quorum;
	}
	if (said >= 0)
		sums.quorum = said < sums.size ? said : sums.size;
	keep_sums(making, sums);
}

/* An autoscaled group may be without members beyond its minimum. A group that is not counts on its replicas, unless it
 * says a minimum. */
static void make_ray(struct making *making)
{
	const struct gang_walk *walk = making->walk;
	struct sums sums = {0, 0};

	making->made->terms.elastic = walk->all.flag[GANG_VALUE_ELASTIC];
	add_sized(making, "headgroup", 1, 1, 0, &sums);
	for (size_t i = 0; i < walk->group_count; i++) {
		const struct gang_raw *raw = walk->groups[i];
		int64_t hosts = number_of(raw, GANG_VALUE_HOSTS, 1), least = number_of(raw, GANG_VALUE_MIN_REPLICAS, 0);
		int64_t replicas = number_of(raw, GANG_VALUE_REPLICAS, least);
		int64_t most = number_of(raw, GANG_VALUE_MAX_REPLICAS, INT32_MAX);

		if (replicas < least)
			replicas = least;
		if (replicas > most)
			replicas = most; /* as KubeRay does, whatever the others say */
		if (least > most)
			least = most;
		if (least == 0 && !walk->all.flag[GANG_VALUE_ELASTIC])
			least = replicas;
		if (raw->flag[GANG_VALUE_SUSPEND])
			replicas = least = 0;
		add_sized(making, text_of(making->arena, raw, GANG_VALUE_NAME), replicas * hosts, least * hosts, hosts,
		    &sums);
	}
	keep_sums(making, sums);
}

/* Only a Job whose pods all run at the same time, each with a place of its own, is a gang. */
static void make_job(struct making *making)
{
	const struct gang_raw *all = &making->walk->all;
	int64_t parallelism = number_of(all, GANG_VALUE_PARALLELISM, 1);

	making->made->single = !slice_is(all->text[GANG_VALUE_MODE], "Indexed") || parallelism <= 1 ||
	                       all->number[GANG_VALUE_COMPLETIONS] != parallelism;
	if (!making->made->single)
		keep_sums(making, (struct sums){parallelism, parallelism});
}

static void make_terms(struct making *making)
{
	switch (making->walk->object) {
	case GANG_OBJECT_KAI_POD_GROUP:
		make_tree(making);
		break;
	case GANG_OBJECT_WORKLOAD:
		make_workload(making);
		break;
	case GANG_OBJECT_JOBSET:
		make_jobset(making);
		break;
	case GANG_OBJECT_LWS:
		make_lws(making);
		break;
	case GANG_OBJECT_RAY_CLUSTER:
		make_ray(making);
		break;
	case GANG_OBJECT_JOB:
		make_job(making);
		break;
	default:
		if (gang_object_rows[making->walk->object].dialect == GANG_KUBEFLOW)
			make_replicas(making);
		else
			make_pod_group(making);
		break;
	}
}

static struct gang_object_terms *make(struct gang_walk *walk)
{
	const struct gang_raw *all = &walk->all;
	struct slice namespace_ = all->text[GANG_VALUE_NAMESPACE];
	struct gang_object_terms *made;
	struct arena arena;

	/* There are as many Jobs as pods, and they have no groups; Ray's head is one more. */
	size_t groups = walk->object == GANG_OBJECT_JOB ? 0 : walk->group_count + 2;
	size_t texts = 2 * (namespace_.len + all->text[GANG_VALUE_NAME].len) + SLACK;
	arena_init(&arena, sizeof *made + groups * sizeof(struct gang_group_terms) + texts);
	made = arena_calloc(&arena, 1, sizeof *made);
	made->terms.groups = groups ? arena_calloc(&arena, groups, sizeof *made->terms.groups) : NULL;
	made->name = all->text[GANG_VALUE_NAME].len ? field_name(&arena, all->text[GANG_VALUE_NAME]) : NULL;
	made->namespace_ = namespace_.len ? field_name(&arena, namespace_) : "default";
	if (!made->name || !made->namespace_) {
		arena_free(&arena);
		return NULL;
	}
	made->path = gang_object_path(&arena, made->namespace_, made->name);
	make_terms(&(struct making){walk, &arena, made});
	made->trouble = walk->trouble;
	made->arena = arena;
	return made;
}

struct gang_object_terms *cluster_gang_object(enum gang_object object, struct slice json, struct err *err)
{
	struct gang_object_terms *made = NULL;
	struct gang_walk walk;

	if (gang_walk(&walk, object, json, err) == 0 && !(made = make(&walk)))
		err_set(err, ERR_INPUT, "%s: no metadata.name, or one with a NUL", gang_object_rows[object].kind);
	gang_walk_end(&walk);
	return made;
}

struct slice gang_object_path(struct arena *arena, const char *namespace_, const char *name)
{
	size_t left = strlen(namespace_), len = left + 1 + strlen(name);
	char *path = arena_text(arena, len);

	memcpy(path, namespace_, left);
	path[left] = '/';
	strcpy(path + left + 1, name);
	return (struct slice){path, len};
}

bool gang_object_same(const struct gang_object_terms *a, const struct gang_object_terms *b)
{
	return a->single == b->single && a->trouble == b->trouble && gang_terms_same(&a->terms, &b->terms);
}

void gang_object_free(struct gang_object_terms *terms)
{
	struct arena arena;

	if (!terms)
		return;
	arena = terms->arena;
	arena_free(&arena);
}
