/* Any texts, a unit separator between, as PersistentVolumes: what is known of a pod's volumes comes and goes with them,
 * and judging a node by it ends. */
#include <stdlib.h>

#include "cluster/pod.h"
#include "cluster/volumes.h"

#define SEPARATOR '\x1f'

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int apply_fn(struct volumes *volumes, struct slice json, struct err *err);

static void apply_each(struct volumes *volumes, struct slice text, apply_fn *apply)
{
	struct err err;

	for (;;) {
		const char *mark = text.len ? memchr(text.at, SEPARATOR, text.len) : NULL;
		struct slice one = {text.at, mark ? (size_t)(mark - text.at) : text.len};

		if (apply(volumes, one, &err) != 0)
			CHECK(err.code == ERR_INPUT);
		if (!mark)
			return;
		text = (struct slice){mark + 1, text.len - one.len - 1};
	}
}

static size_t known(const struct volumes *volumes, struct pod *pod)
{
	struct label label = {"topology.kubernetes.io/zone", "a"};
	struct labels labels = {1, &label};

	volumes_resolve(volumes, pod);
	CHECK(pod->volume_count <= pod->claim_count);
	pod_selects(pod, "n0", &labels);
	return pod->volume_count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char json[] =
	    "{\"metadata\":{\"uid\":\"u-1\",\"name\":\"p\",\"namespace\":\"ns\"},\"spec\":{\"volumes\":["
	    "{\"name\":\"d\",\"persistentVolumeClaim\":{\"claimName\":\"c\"}},{\"name\":\"e\",\"ephemeral\":{}}]}}";
	struct slice text = {size ? (const char *)data : "", size};
	struct volumes *volumes = volumes_new();
	struct resource_names names;
	struct err err;

	resource_names_init(&names);
	struct pod *pod = cluster_pod_decode(slice_of(json), &names, true, &err);
	CHECK(pod && pod->claim_count == 2);
	volumes_begin(volumes);
	apply_each(volumes, text, volumes_put);
	volumes_synced(volumes);
	size_t count = known(volumes, pod);
	apply_each(volumes, text, volumes_put);
	CHECK(known(volumes, pod) == count);
	apply_each(volumes, text, volumes_remove);
	CHECK(known(volumes, pod) == 0);
	pod_free(pod);
	volumes_free(volumes);
	resource_names_free(&names);
	return 0;
}
