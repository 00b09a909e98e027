#include "sim/patch.h"

#include <stdlib.h>
#include <string.h>

bool sim_patch_kind_of(const char *content_type, enum sim_patch_kind *kind)
{
	static const struct {
		const char *type;
		enum sim_patch_kind kind;
	} types[] = {
	    {"application/merge-patch+json", SIM_PATCH_MERGE},
	    {"application/strategic-merge-patch+json", SIM_PATCH_STRATEGIC},
	    {"application/json-patch+json", SIM_PATCH_JSON},
	};
	size_t len = content_type ? strcspn(content_type, "; ") : 0;

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (strlen(types[i].type) == len && memcmp(types[i].type, content_type, len) == 0) {
			*kind = types[i].kind;
			return true;
		}
	}
	return false;
}

/* --- merge patches --- */

/* The lists of nodes, pods and metadata that a strategic patch merges, and the key that tells their items apart. */
static const char *merge_key(const char *list)
{
	static const char *const keys[][2] = {
	    {"conditions", "type"},
	    {"taints", "key"},
	    {"containers", "name"},
	    {"initContainers", "name"},
	    {"volumes", "name"},
	    {"env", "name"},
	    {"ownerReferences", "uid"},
	    {"schedulingGates", "name"},
	    {"imagePullSecrets", "name"},
	    {"addresses", "type"},
	    {"topologySpreadConstraints", "topologyKey"},
	};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strcmp(keys[i][0], list) == 0)
			return keys[i][1];
	return NULL;
}

static void merge(json_t *object, const json_t *patch, bool strategic);

static void drop_nulls_and_directives(json_t *value, bool strategic)
{
	const char *key;
	json_t *member;
	void *next;

	if (!json_is_object(value))
		return;
	json_object_foreach_safe(value, next, key, member)
	{
		if (json_is_null(member) || (strategic && key[0] == '$'))
			json_object_del(value, key);
		else
			drop_nulls_and_directives(member, strategic);
	}
}

static bool find_item(const json_t *list, const char *key, const json_t *wanted, size_t *at)
{
	for (*at = 0; *at < json_array_size(list); ++*at)
		if (json_equal(json_object_get(json_array_get(list, *at), key), wanted))
			return true;
	return false;
}

static bool directive_is(const json_t *value, const char *directive)
{
	const char *text = json_string_value(json_object_get(value, "$patch"));

	return text && strcmp(text, directive) == 0;
}

static void merge_list(json_t *list, const json_t *patch, const char *key)
{
	size_t i, at;
	json_t *item;

	json_array_foreach(patch, i, item) if (directive_is(item, "replace")) json_array_clear(list);
	json_array_foreach(patch, i, item)
	{
		const json_t *wanted = json_object_get(item, key);
		bool found = wanted && find_item(list, key, wanted, &at);

		if (directive_is(item, "replace"))
			continue;
		if (directive_is(item, "delete")) {
			if (found)
				json_array_remove(list, at);
		} else if (found) {
			merge(json_array_get(list, at), item, true);
		} else {
			json_t *added = json_deep_copy(item);

			drop_nulls_and_directives(added, true);
			json_array_append_new(list, added);
		}
	}
}

static void merge_member(json_t *object, const char *name, const json_t *value, bool strategic)
{
	json_t *held = json_object_get(object, name);
	const char *key = strategic && json_is_array(value) ? merge_key(name) : NULL;

	if (json_is_null(value)) {
		json_object_del(object, name);
	} else if (json_is_object(value) && json_is_object(held)) {
		merge(held, value, strategic);
	} else if (key && json_is_array(held)) {
		merge_list(held, value, key);
	} else if (key) {
		json_t *list = json_array();

		merge_list(list, value, key);
		json_object_set_new(object, name, list);
	} else {
		json_t *copy = json_deep_copy(value);

		drop_nulls_and_directives(copy, strategic);
		json_object_set_new(object, name, copy);
	}
}

static void merge(json_t *object, const json_t *patch, bool strategic)
{
	const char *name;
	json_t *value;

	if (strategic && (directive_is(patch, "replace") || directive_is(patch, "delete")))
		json_object_clear(object);
	json_object_foreach((json_t *)patch, name, value)
	{
		if (strategic && name[0] == '$')
			continue;
		merge_member(object, name, value, strategic);
	}
}

/* --- JSON patch --- */

/* The last token of a pointer is left in `token`, unescaped; returns the container that it names a member of. */
static json_t *resolve(json_t *object, const char *pointer, char token[SIM_PATCH_POINTER_MAX])
{
	json_t *at = object;

	if (pointer[0] != '/' || strlen(pointer) >= SIM_PATCH_POINTER_MAX)
		return NULL;
	for (const char *from = pointer + 1;; from++) {
		char *out = token;

		for (; *from && *from != '/'; from++) {
			if (*from == '~' && (from[1] == '0' || from[1] == '1'))
				*out++ = *++from == '0' ? '~' : '/';
			else
				*out++ = *from;
		}
		*out = '\0';
		if (!*from)
			return at;
		at = json_is_array(at) ? json_array_get(at, strtoul(token, NULL, 10)) : json_object_get(at, token);
		if (!at)
			return NULL;
	}
}

/* What is put in is copied: a later operation may change it, and the patch is not ours. */
static int apply_to_array(json_t *array, const char *op, const char *token, const json_t *value)
{
	char *end;
	size_t count = json_array_size(array);
	size_t at = strcmp(token, "-") == 0 ? count : strtoul(token, &end, 10);

	if (strcmp(token, "-") != 0 && (*end || !*token))
		return -1;
	if (strcmp(op, "add") == 0)
		return at <= count ? json_array_insert_new(array, at, json_deep_copy(value)) : -1;
	if (at >= count)
		return -1;
	if (strcmp(op, "remove") == 0)
		return json_array_remove(array, at);
	if (strcmp(op, "replace") == 0)
		return json_array_set_new(array, at, json_deep_copy(value));
	return json_equal(json_array_get(array, at), value) ? 0 : -1;
}

static int apply_to_object(json_t *object, const char *op, const char *token, const json_t *value)
{
	json_t *held = json_object_get(object, token);

	if (strcmp(op, "add") == 0)
		return json_object_set_new(object, token, json_deep_copy(value));
	if (!held)
		return -1;
	if (strcmp(op, "remove") == 0)
		return json_object_del(object, token);
	if (strcmp(op, "replace") == 0)
		return json_object_set_new(object, token, json_deep_copy(value));
	return json_equal(held, value) ? 0 : -1;
}

static int apply_op(json_t *object, const json_t *step, struct err *err)
{
	char token[SIM_PATCH_POINTER_MAX];
	const char *op = json_string_value(json_object_get(step, "op"));
	const char *path = json_string_value(json_object_get(step, "path"));
	const json_t *value = json_object_get(step, "value");

	if (!op || !path)
		return err_set(err, ERR_INPUT, "each operation needs op and path");
	if (strcmp(op, "add") != 0 && strcmp(op, "remove") != 0 && strcmp(op, "replace") != 0 &&
	    strcmp(op, "test") != 0)
		return err_set(err, ERR_INPUT, "operation \"%.20s\" is not known here", op);
	if (!value && strcmp(op, "remove") != 0)
		return err_set(err, ERR_INPUT, "operation \"%s\" needs a value", op);

	json_t *at = resolve(object, path, token);
	int result = -1;

	if (json_is_array(at))
		result = apply_to_array(at, op, token, value);
	else if (json_is_object(at))
		result = apply_to_object(at, op, token, value);
	if (result != 0)
		return err_set(err, ERR_REFUSED, "operation \"%s\" does not apply at \"%.200s\"", op, path);
	return 0;
}

int sim_patch(json_t *object, enum sim_patch_kind kind, const json_t *patch, struct err *err)
{
	size_t i;
	json_t *step;

	if (kind != SIM_PATCH_JSON) {
		if (!json_is_object(patch))
			return err_set(err, ERR_INPUT, "the patch is no JSON object");
		merge(object, patch, kind == SIM_PATCH_STRATEGIC);
		return 0;
	}
	if (!json_is_array(patch))
		return err_set(err, ERR_INPUT, "the patch is no JSON array");
	if (json_array_size(patch) > SIM_PATCH_OPS_MAX)
		return err_set(err, ERR_INPUT, "more than %d operations", SIM_PATCH_OPS_MAX);
	json_array_foreach(patch, i, step)
	{
		int code = apply_op(object, step, err);

		if (code != 0)
			return code;
	}
	return 0;
}
