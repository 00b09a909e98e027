#include "berth/resources.h"

#include <stdlib.h>

static const char *const fixed_names[RESOURCE_FIRST_OTHER] = {
    [RESOURCE_CPU] = "cpu",
    [RESOURCE_MEMORY] = "memory",
    [RESOURCE_EPHEMERAL_STORAGE] = "ephemeral-storage",
    [RESOURCE_PODS] = "pods",
};

void resource_names_init(struct resource_names *names)
{
	*names = (struct resource_names){0};
	for (size_t i = 0; i < RESOURCE_FIRST_OTHER; i++)
		resource_names_id(names, slice_of(fixed_names[i]));
}

void resource_names_free(struct resource_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->names[i]);
	free(names->names);
	map_free(&names->by_name);
	*names = (struct resource_names){0};
}

/* The map holds id + 1, since its values are never NULL. */
int resource_names_find(const struct resource_names *names, struct slice name)
{
	uintptr_t value = (uintptr_t)map_get(&names->by_name, name);
	return (int)value - 1;
}

int resource_names_id(struct resource_names *names, struct slice name)
{
	int known = resource_names_find(names, name);
	if (known >= 0 || names->count == RESOURCE_NAMES_MAX)
		return known;
	names->names = xgrow(names->names, names->count, &names->room, sizeof(*names->names));
	char *text = xstrndup(name.at, name.len);
	names->names[names->count++] = text;
	map_put(&names->by_name, (struct slice){text, name.len}, (void *)(uintptr_t)names->count);
	return (int)names->count - 1;
}

const char *resource_names_text(const struct resource_names *names, resource_id id)
{
	return names->names[id];
}

int64_t *resource_list_at(struct resource_list *list, resource_id id)
{
	uint16_t at = list->count;
	while (at > 0 && list->items[at - 1].id >= id)
		at--;
	if (at < list->count && list->items[at].id == id)
		return &list->items[at].amount;
	if (list->count == RESOURCES_PER_OBJECT_MAX)
		return NULL;
	memmove(&list->items[at + 1], &list->items[at], (size_t)(list->count - at) * sizeof(list->items[0]));
	list->items[at] = (struct resource_amount){id, 0};
	list->count++;
	return &list->items[at].amount;
}

struct resources resource_list_keep(const struct resource_list *list, struct arena *arena)
{
	struct resources kept = {0};
	for (uint16_t i = 0; i < list->count; i++)
		kept.count = (uint16_t)(kept.count + (list->items[i].amount != 0));
	if (kept.count == 0)
		return kept;
	kept.items = arena_alloc(arena, kept.count * sizeof(*kept.items));
	uint16_t at = 0;
	for (uint16_t i = 0; i < list->count; i++)
		if (list->items[i].amount != 0)
			kept.items[at++] = list->items[i];
	return kept;
}

int64_t resources_get(const struct resources *resources, resource_id id)
{
	for (uint16_t i = 0; i < resources->count && resources->items[i].id <= id; i++)
		if (resources->items[i].id == id)
			return resources->items[i].amount;
	return 0;
}

int64_t resource_sum(int64_t a, int64_t b)
{
	int64_t sum;
	if (!__builtin_add_overflow(a, b, &sum))
		return sum;
	return a < 0 ? INT64_MIN : INT64_MAX;
}
