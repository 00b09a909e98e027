/* Any texts, a unit separator between, as Jobs: what is known of a Job is added to its pods, and nothing is once the
 * Job is gone. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/reader.h"
#include "cluster/owners.h"
#include "cluster/pod.h"
#include "cluster/suspension.h"

#define SEPARATOR '\x1f'

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int apply_fn(struct owners *owners, struct slice json, struct err *err);

/* Returns how many were taken. */
static size_t apply_each(struct owners *owners, struct slice text, apply_fn *apply)
{
	size_t taken = 0;
	struct err err;

	for (;;) {
		const char *mark = text.len ? memchr(text.at, SEPARATOR, text.len) : NULL;
		struct slice one = {text.at, mark ? (size_t)(mark - text.at) : text.len};

		taken += apply(owners, one, &err) == 0;
		if (!mark)
			return taken;
		text = (struct slice){mark + 1, text.len - one.len - 1};
	}
}

/* What is read of an owner can be written back as a patch of it. */
static void suspend_as_each(struct slice text)
{
	size_t count;
	const struct suspend_kind *kinds = suspend_kinds(&count);

	for (size_t i = 0; i < count; i++) {
		struct arena arena;
		struct suspend_object object;
		struct buf patch;
		struct reader json;

		arena_init(&arena, 256);
		buf_init(&patch, 1 << 20);
		if (suspend_read(text, &kinds[i], &arena, &object)) {
			suspend_write(&kinds[i], &object, !object.suspended, object.gang ? object.gang : "", &patch);
			reader_open(&json, buf_slice(&patch));
			CHECK(patch.overflow || reader_peek(&json) == READER_OBJECT);
			reader_skip(&json);
			CHECK(patch.overflow || reader_close(&json));
		}
		buf_free(&patch);
		arena_free(&arena);
	}
}

static size_t kinds_of_pod(const struct owners *owners)
{
	static const char json[] =
	    "{\"metadata\":{\"uid\":\"u-1\",\"name\":\"p\",\"namespace\":\"ns\",\"ownerReferences\":["
	    "{\"kind\":\"Job\",\"name\":\"j\",\"uid\":\"j-1\",\"controller\":true}]}}";
	struct resource_names names;
	struct err err;

	resource_names_init(&names);
	struct pod *pod = cluster_pod_decode(slice_of(json), &names, true, &err);
	CHECK(pod);
	size_t alone = pod->owner_kind_count;
	owners_resolve(owners, pod);
	size_t count = pod->owner_kind_count;
	CHECK(count >= alone && count <= OWNER_KINDS_MAX && pod_has_owner_kind(pod, "Job"));
	for (size_t i = 0; i < count; i++)
		CHECK(pod->owner_kinds[i][0] != '\0');
	owners_resolve(owners, pod);
	CHECK(pod->owner_kind_count == count); /* each is said once */
	pod_free(pod);
	resource_names_free(&names);
	return count - alone;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {size ? (const char *)data : "", size};
	struct owners *owners = owners_new();

	owners_begin(owners);
	size_t taken = apply_each(owners, text, owners_put);
	owners_synced(owners);
	size_t added = kinds_of_pod(owners);
	CHECK(taken > 0 || added == 0);
	CHECK(apply_each(owners, text, owners_remove) == taken);
	CHECK(kinds_of_pod(owners) == 0);
	CHECK(apply_each(owners, text, owners_put) == taken && kinds_of_pod(owners) == added);
	owners_begin(owners);
	owners_synced(owners);
	CHECK(kinds_of_pod(owners) == 0);
	owners_free(owners);
	suspend_as_each(text);
	return 0;
}
