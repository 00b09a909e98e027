/* A kind and any text as an object of it: its terms are within bounds, decoding is the same each time, and what is put
 * answers until it is removed. */
#include <stdlib.h>

#include "cluster/gang_object.h"
#include "cluster/gang_objects.h"

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_count(int32_t count)
{
	CHECK(count >= 0 && count <= GANG_MEMBERS_MAX);
}

static void check_place(const struct gang_place *place)
{
	CHECK((place->segment > 0) == (place->segment_at != NULL));
}

static void check_terms(const struct gang_terms *terms)
{
	int64_t size = 0;

	check_count(terms->size);
	check_count(terms->quorum);
	check_place(&terms->place);
	CHECK(terms->group_count <= GANG_GROUPS_MAX + 1); /* and Ray's head */
	for (size_t i = 0; i < terms->group_count; i++) {
		const struct gang_group_terms *group = &terms->groups[i];

		check_count(group->size);
		check_count(group->quorum);
		CHECK(group->name && group->part_size >= 0);
		check_place(&group->place);
		CHECK(gang_terms_group(terms, group->name));
		size += group->late ? 0 : group->size;
	}
	CHECK(terms->size == 0 || terms->group_count == 0 || size == terms->size);
	CHECK(terms->size == 0 || terms->quorum <= terms->size);
}

static enum gang_answer ask(const struct gang_objects *objects, enum gang_object object,
    const struct gang_object_terms *said, struct gang_terms *terms)
{
	const struct pod_gang gang = {.name = "g",
	    .group = said->terms.group_count ? said->terms.groups[0].name : NULL,
	    .rank = 1,
	    .part = 1,
	    .source = object,
	    .source_name = said->name};
	enum gang_answer answer = gang_objects_resolve(objects, said->namespace_, &gang, terms);

	CHECK(gang_rank(&gang, &said->terms) < GANG_MEMBERS_MAX);
	return answer;
}

static void check_store(enum gang_object object, struct slice text, const struct gang_object_terms *said)
{
	struct gang_objects *objects = gang_objects_new(NULL, NULL);
	struct gang_terms terms;
	struct err err;

	CHECK(ask(objects, object, said, &terms) == GANG_ANSWER_UNKNOWN);
	gang_objects_synced(objects, object);
	CHECK(gang_objects_put(objects, object, text, &err) == 0);
	if (said->trouble)
		CHECK(ask(objects, object, said, &terms) == GANG_ANSWER_MISSING);
	else if (said->single)
		CHECK(ask(objects, object, said, &terms) == GANG_ANSWER_SINGLE);
	else if (said->terms.group_count > 0 && said->terms.groups[0].late)
		CHECK(ask(objects, object, said, &terms) == GANG_ANSWER_STAGE &&
		      terms.size == said->terms.groups[0].size);
	else if (!said->apart)
		CHECK(ask(objects, object, said, &terms) == GANG_ANSWER_TERMS && terms.size == said->terms.size);
	CHECK(gang_objects_remove(objects, object, text, &err) == 0);
	CHECK(ask(objects, object, said, &terms) == GANG_ANSWER_MISSING);
	gang_objects_free(objects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gang_object_terms *said, *again;
	enum gang_object object;
	struct slice text;
	struct err err;

	if (size == 0)
		return 0;
	object = (enum gang_object)(1 + (data[0] - 'a') % (GANG_OBJECT_COUNT - 1));
	if (data[0] < 'a')
		return 0;
	text = (struct slice){(const char *)data + 1, size - 1};
	said = cluster_gang_object(object, text, &err);
	again = cluster_gang_object(object, text, &err);
	CHECK(!said == !again);
	if (said) {
		CHECK(gang_object_same(said, again));
		if (!said->trouble)
			check_terms(&said->terms);
		check_store(object, text, said);
	}
	gang_object_free(said);
	gang_object_free(again);
	return 0;
}
