#include "cluster/budget.h"

#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "berth/map.h"
#include "cluster/fields.h"
#include "cluster/pod_affinity.h"

struct budgets {
	struct map by_path;
	uint64_t list;
};

struct budgets *budgets_new(void)
{
	return xcalloc(1, sizeof(struct budgets));
}

static void budget_free(struct budget *budget)
{
	struct arena arena = budget->arena;

	arena_free(&arena);
}

void budgets_free(struct budgets *budgets)
{
	size_t cursor = 0;

	if (!budgets)
		return;
	for (struct budget *budget; (budget = map_next(&budgets->by_path, &cursor));)
		budget_free(budget);
	map_free(&budgets->by_path);
	free(budgets);
}

void budgets_begin(struct budgets *budgets)
{
	budgets->list++;
}

/* --- reading --- */

struct counted {
	int64_t generation, observed, allowed;
};

static void read_metadata(struct reader *json, struct budget *budget, struct counted *counted)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "namespace"))
			budget->namespace_ = field_string(json, &budget->arena);
		else if (slice_is(key, "name"))
			budget->name = field_string(json, &budget->arena);
		else if (slice_is(key, "generation"))
			reader_int(json, &counted->generation);
		else
			reader_skip(json);
	}
}

static void read_spec(struct reader *json, struct budget *budget)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "selector"))
			budget->nobody = !pod_affinity_read_selector(json, &budget->arena, &budget->selector);
		else
			reader_skip(json);
	}
}

static void read_status(struct reader *json, struct counted *counted)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "disruptionsAllowed"))
			reader_int(json, &counted->allowed);
		else if (slice_is(key, "observedGeneration"))
			reader_int(json, &counted->observed);
		else
			reader_skip(json);
	}
}

static struct budget *read_budget(struct slice text, struct err *err)
{
	struct reader json;
	struct arena arena;
	struct counted counted = {0};

	arena_init(&arena, sizeof(struct budget) + 256);
	struct budget *budget = arena_calloc(&arena, 1, sizeof *budget);
	budget->arena = arena;
	budget->nobody = true;
	reader_open(&json, text);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "metadata"))
				read_metadata(&json, budget, &counted);
			else if (slice_is(key, "spec"))
				read_spec(&json, budget);
			else if (slice_is(key, "status"))
				read_status(&json, &counted);
			else
				reader_skip(&json);
		}
	if (!reader_close(&json) || !budget->namespace_ || !budget->name) {
		err_set(err, ERR_INPUT, "disruption budget: %s", json.error ? json.error : "no namespace or name");
		budget_free(budget);
		return NULL;
	}
	if (counted.observed >= counted.generation && counted.allowed > 0)
		budget->allowed = counted.allowed;
	return budget;
}

static struct slice path_of(struct arena *arena, const struct budget *budget)
{
	size_t len = strlen(budget->namespace_), name = strlen(budget->name);
	char *path = arena_text(arena, len + 1 + name);

	memcpy(path, budget->namespace_, len);
	path[len] = '/';
	memcpy(path + len + 1, budget->name, name + 1);
	return (struct slice){path, len + 1 + name};
}

/* --- the table --- */

int budgets_put(struct budgets *budgets, struct slice json, struct err *err)
{
	struct budget *budget = read_budget(json, err);

	if (!budget)
		return err->code;
	struct slice path = path_of(&budget->arena, budget);
	struct budget *old = map_remove(&budgets->by_path, path);
	budget->list = budgets->list;
	map_put(&budgets->by_path, path, budget);
	if (old)
		budget_free(old);
	return 0;
}

static void take_out(struct budgets *budgets, struct budget *budget)
{
	map_remove(&budgets->by_path, path_of(&budget->arena, budget));
	budget_free(budget);
}

int budgets_remove(struct budgets *budgets, struct slice json, struct err *err)
{
	struct budget *shown = read_budget(json, err);

	if (!shown)
		return err->code;
	struct budget *budget = map_get(&budgets->by_path, path_of(&shown->arena, shown));
	if (budget)
		take_out(budgets, budget);
	budget_free(shown);
	return 0;
}

void budgets_synced(struct budgets *budgets)
{
	size_t cursor = 0, count = 0;
	struct budget **stale = xcalloc(budgets->by_path.count + 1, sizeof *stale);

	for (struct budget *budget; (budget = map_next(&budgets->by_path, &cursor));)
		if (budget->list != budgets->list)
			stale[count++] = budget;
	while (count > 0)
		take_out(budgets, stale[--count]);
	free(stale);
}

size_t budgets_count(const struct budgets *budgets)
{
	return budgets->by_path.count;
}

static int by_name(const void *a, const void *b)
{
	const struct budget *one = *(const struct budget *const *)a, *other = *(const struct budget *const *)b;
	int order = strcmp(one->namespace_, other->namespace_);

	return order != 0 ? order : strcmp(one->name, other->name);
}

const struct budget **budgets_all(const struct budgets *budgets, size_t *count)
{
	const struct budget **all = xcalloc(budgets->by_path.count + 1, sizeof *all);
	size_t cursor = 0;

	*count = 0;
	for (const struct budget *budget; (budget = map_next(&budgets->by_path, &cursor));)
		all[(*count)++] = budget;
	qsort(all, *count, sizeof *all, by_name);
	return all;
}

bool budget_is_for(const struct budget *budget, const char *namespace_, const struct labels *labels)
{
	return !budget->nobody && strcmp(budget->namespace_, namespace_) == 0 &&
	       selector_matches(&budget->selector, labels);
}
