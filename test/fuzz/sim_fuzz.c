/* What the embedded API server reads of its own: patches and field selectors. The first byte selects; patches come with
 * the object in front of them, a unit separator between. A merge patch is compared with one applied as RFC 7386 writes
 * it down, a field selector with one that is matched where it stands. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "sim/patch.h"
#include "sim/selector.h"

#define SEPARATOR '\x1f'

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- patches --- */

/* RFC 7386, section 2. */
static json_t *merged(const json_t *target, const json_t *patch)
{
	json_t *result, *value;
	const char *name;

	if (!json_is_object(patch))
		return json_deep_copy(patch);
	result = json_is_object(target) ? json_deep_copy(target) : json_object();
	json_object_foreach((json_t *)(uintptr_t)patch, name, value)
	{
		if (json_is_null(value))
			json_object_del(result, name);
		else
			json_object_set_new(result, name, merged(json_object_get(result, name), value));
	}
	return result;
}

static void check_patch(json_t *object, enum sim_patch_kind kind, const json_t *patch)
{
	json_t *wanted = kind == SIM_PATCH_MERGE && json_is_object(patch) ? merged(object, patch) : NULL;
	json_t *before = json_deep_copy(patch);
	struct err err;
	int code = sim_patch(object, kind, patch, &err);

	CHECK(code == 0 || code == ERR_INPUT || code == ERR_REFUSED);
	CHECK(!wanted || (code == 0 && json_equal(object, wanted)));
	CHECK(json_equal(before, patch));
	if (code == 0 && kind == SIM_PATCH_MERGE) {
		CHECK(sim_patch(object, kind, patch, &err) == 0 && json_equal(object, wanted));
	}
	json_decref(before);
	json_decref(wanted);
}

static void try_patch(struct slice text, enum sim_patch_kind kind)
{
	const char *mark = memchr(text.at, SEPARATOR, text.len);

	if (!mark)
		return;
	size_t len = (size_t)(mark - text.at);
	json_t *object = json_loadb(text.at, len, 0, NULL), *patch = json_loadb(mark + 1, text.len - len - 1, 0, NULL);
	if (json_is_object(object) && patch)
		check_patch(object, kind, patch);
	json_decref(object);
	json_decref(patch);
}

/* --- field selectors --- */

static const struct sim_version pod = {
    .name = "p-1", .namespace_ = "ns", .node = "n-1", .scheduler = "berth", .phase = "Pending"};

static const char *field(struct slice name)
{
	return slice_is(name, "metadata.name")        ? pod.name
	       : slice_is(name, "metadata.namespace") ? pod.namespace_
	       : slice_is(name, "spec.nodeName")      ? pod.node
	       : slice_is(name, "spec.schedulerName") ? pod.scheduler
	       : slice_is(name, "status.phase")       ? pod.phase
	                                              : NULL;
}

/* Of a selector that was taken. */
static bool holds_here(const char *text)
{
	bool all = true;

	while (*text) {
		size_t len = strcspn(text, ","), name = strcspn(text, "=!,");

		if (len > 0) {
			bool equal = text[name] == '=';
			size_t value = name + (text[name + 1] == '=' ? 2 : 1);

			all &= slice_is((struct slice){text + value, len - value}, field((struct slice){text, name})) ==
			       equal;
		}
		text += len + (text[len] == ',');
	}
	return all;
}

static void try_selector(struct slice text)
{
	char *copy = xstrndup(text.at, text.len);
	struct sim_selector selector;
	struct err err;
	int code = sim_selector_parse(&selector, "", copy, &err);

	CHECK(code == 0 || code == ERR_INPUT || code == ERR_TOO_LARGE);
	if (code == 0)
		CHECK(sim_selector_matches(&selector, &pod) == holds_here(copy));
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct slice text = {(const char *)data + 1, size - 1};
	switch (data[0]) {
	case 'm':
		try_patch(text, SIM_PATCH_MERGE);
		break;
	case 's':
		try_patch(text, SIM_PATCH_STRATEGIC);
		break;
	case 'j':
		try_patch(text, SIM_PATCH_JSON);
		break;
	case 'f':
		try_selector(text);
		break;
	default:
		break;
	}
	return 0;
}
