/* Pods that wait for slices, and what a node would be for them, or for others, if it were cut otherwise. */
#include "scheduler/repartition/internal.h"

#include <stdlib.h>

#include "berth/team.h"
#include "cluster/lanes.h"

#define WALK_MAX 5000 /* pending pods looked at in one look for one that wants whole GPUs */
#define JUDGED_MAX 64 /* … and those of them, or of the wishes, that are judged */

/* --- a node as it would be --- */

static void set_amount(struct resource_list *list, struct resource_names *names, const char *resource, int64_t amount)
{
	int id = resource_names_id(names, slice_of(resource));
	int64_t *at = id < 0 ? NULL : resource_list_at(list, (resource_id)id);
	if (at)
		*at = amount;
}

static struct resources with_amounts(const struct resources *resources, struct resource_names *names,
    const struct repartition_amounts *amounts, struct arena *arena)
{
	struct resource_list list = {.count = 0};
	for (uint16_t i = 0; i < resources->count; i++) {
		const char *name = resource_names_text(names, resources->items[i].id);
		int64_t *at = resource_list_at(&list, resources->items[i].id);
		if (at)
			*at = repartition_counts(name) ? 0 : resources->items[i].amount;
	}
	for (size_t i = 0; i < amounts->count; i++)
		set_amount(&list, names, amounts->items[i].resource, amounts->items[i].amount);
	return resource_list_keep(&list, arena);
}

/* What has GPUs there is gone by then. */
static void take_away(const struct scheduler *s, const struct node *node, struct node *imagined)
{
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
		if (decide_gpu_units(s->fleet, &entry->demand) == 0)
			continue;
		for (uint16_t i = 0; i < imagined->used.count; i++)
			imagined->used.items[i].amount -= resources_get(&entry->demand, imagined->used.items[i].id);
	}
}

/* Free with decide_whole_node_free. The texts stay the node's. */
static struct node *imagine(
    const struct scheduler *s, const struct node *node, const struct repartition_amounts *amounts)
{
	struct arena arena;
	arena_init(&arena, 2048);
	struct node_spec *spec = arena_calloc(&arena, 1, sizeof *spec);
	*spec = *node->spec;
	spec->arena = arena;
	spec->taint_count = 0;
	spec->taints = arena_calloc(&spec->arena, node->spec->taint_count + 1, sizeof *spec->taints);
	for (size_t i = 0; i < node->spec->taint_count; i++)
		if (strcmp(node->spec->taints[i].key, REPARTITION_KEY) != 0)
			spec->taints[spec->taint_count++] = node->spec->taints[i];
	spec->allocatable = with_amounts(&node->spec->allocatable, &s->fleet->names, amounts, &spec->arena);
	spec->capacity = with_amounts(&node->spec->capacity, &s->fleet->names, amounts, &spec->arena);
	spec->model = NULL;
	spec->mixed_models = false;
	lanes_read(spec, &s->fleet->names, &s->catalogue->gpus);
	struct node *imagined = decide_whole_node(s->fleet, spec);
	imagined->repartitioned = imagined->quarantined = false;
	take_away(s, node, imagined);
	return imagined;
}

bool repartition_would_fit(const struct scheduler *s, const struct pod *pod, const struct node *node,
    const struct repartition_amounts *amounts, int64_t *milli)
{
	struct node *imagined = imagine(s, node, amounts);
	if (milli)
		*milli = team_milli(imagined, &pod->demand);
	bool fits = decide_node(s->fleet, pod, imagined, NULL) == REASON_CODE_FITS;
	decide_whole_node_free(imagined);
	return fits;
}

/* --- who waits --- */

static void forget(struct scheduler *s, struct repartition_wish *wish)
{
	map_remove(&s->repartitions->wishes, slice_of(wish->uid));
	free(wish->uid);
	free(wish->demand);
	free(wish);
}

/* NULL: it waits no more. */
const struct pod *repartition_waits(const struct scheduler *s, const struct repartition_wish *wish)
{
	const struct tracked *tracked = roster_find(s->roster, slice_of(wish->uid));
	return tracked && !tracked->pod->deleting && !ledger_find(s->fleet, slice_of(wish->uid)) ? tracked->pod : NULL;
}

void repartition_add(struct repartition_amounts *sums, const char *resource, int64_t amount)
{
	size_t i = 0;
	while (i < sums->count && strcmp(sums->items[i].resource, resource) != 0)
		i++;
	if (i == REPARTITION_AMOUNTS_MAX || strlen(resource) >= REPARTITION_NAME_MAX)
		return;
	if (i == sums->count)
		strcpy(sums->items[sums->count++].resource, resource);
	sums->items[i].amount = resource_sum(sums->items[i].amount, amount);
}

bool repartition_is_slice(const char *resource)
{
	return strncmp(resource, MIG_RESOURCE_PREFIX, strlen(MIG_RESOURCE_PREFIX)) == 0;
}

void repartition_count_wishes(struct scheduler *s)
{
	struct repartitions *all = s->repartitions;
	size_t cursor = 0, count = 0;
	struct repartition_wish **over = xcalloc(all->wishes.count + 1, sizeof(struct repartition_wish *));
	all->wanted = (struct repartition_amounts){0};
	for (struct repartition_wish *wish; (wish = map_next(&all->wishes, &cursor));) {
		const struct pod *pod = repartition_waits(s, wish);
		if (!pod) {
			over[count++] = wish;
			continue;
		}
		for (uint16_t i = 0; i < pod->demand.count; i++) {
			const char *resource = resource_names_text(&s->fleet->names, pod->demand.items[i].id);
			if (repartition_is_slice(resource))
				repartition_add(&all->wanted, resource, pod->demand.items[i].amount);
		}
	}
	while (count > 0)
		forget(s, over[--count]);
	free(over);
}

bool repartition_is_wanted(const struct scheduler *s, const struct repartition_amounts *gives)
{
	for (size_t i = 0; i < gives->count; i++)
		if (repartition_amount_of(&s->repartitions->wanted, gives->items[i].resource) > 0)
			return true;
	return false;
}

bool repartition_is_wanted_here(struct scheduler *s, struct node *node)
{
	size_t cursor = 0, judged = 0;
	for (const struct repartition_wish *wish;
	     judged < JUDGED_MAX && (wish = map_next(&s->repartitions->wishes, &cursor)); judged++) {
		const struct pod *pod = repartition_waits(s, wish);
		if (pod && decide_node(s->fleet, pod, node, NULL) == REASON_CODE_FITS)
			return true;
	}
	return false;
}

bool repartition_asks_for_any(
    const struct scheduler *s, const struct pod *pod, const struct repartition_amounts *amounts)
{
	for (uint16_t i = 0; i < pod->demand.count; i++)
		if (repartition_amount_of(amounts, resource_names_text(&s->fleet->names, pod->demand.items[i].id)) > 0)
			return true;
	return false;
}

bool repartition_could_give(const struct scheduler *s, const struct pod *pod, const struct policy_mig *rules)
{
	const size_t prefix = strlen(MIG_RESOURCE_PREFIX);
	for (uint16_t i = 0; i < pod->demand.count; i++) {
		const char *resource = resource_names_text(&s->fleet->names, pod->demand.items[i].id);
		for (size_t j = 0; j < rules->config_count && strncmp(resource, MIG_RESOURCE_PREFIX, prefix) == 0; j++)
			for (size_t k = 0; k < rules->configs[j].slice_count; k++)
				if (strcmp(resource + prefix, rules->configs[j].slices[k].profile) == 0)
					return true;
	}
	return false;
}

bool repartition_finds_room(const struct scheduler *s, const struct pod *pod)
{
	struct decision decision;
	decide_fleet_best(s->fleet, pod, &decision);
	return decision.node != NULL;
}

/* Slices of another kind, that is. */
static bool is_wanted_otherwise(struct scheduler *s, const struct node *node, const struct repartition_record *record)
{
	const struct policy_mig *rules = repartition_rules(s, node);
	size_t cursor = 0, judged = 0;
	for (const struct repartition_wish *wish;
	     judged < JUDGED_MAX && (wish = map_next(&s->repartitions->wishes, &cursor));) {
		const struct pod *pod = repartition_waits(s, wish);
		if (!pod || repartition_asks_for_any(s, pod, &record->want))
			continue;
		judged++;
		for (size_t i = 0; i < rules->config_count && !repartition_finds_room(s, pod); i++) {
			struct repartition_amounts want;
			if (repartition_wanted(node->spec, &rules->configs[i], &want) &&
			    repartition_asks_for_any(s, pod, &want) && repartition_would_fit(s, pod, node, &want, NULL))
				return true;
		}
	}
	return false;
}

bool repartition_is_wanted_back(struct scheduler *s, const struct node *node, const struct repartition_record *record)
{
	size_t walked = 0, judged = 0;
	struct tracked *tracked = NULL;
	while (
	    walked++ < WALK_MAX && judged < JUDGED_MAX && (tracked = roster_next(s->roster, &s->repartitions->walk))) {
		const struct pod *pod = tracked->pod;
		if ((!pod->unschedulable && !waiting_find(s->waiting, slice_of(pod->uid))) || pod->deleting ||
		    !repartition_asks_for_any(s, pod, &record->had) || ledger_find(s->fleet, slice_of(pod->uid)))
			continue;
		judged++;
		if (!repartition_finds_room(s, pod) && repartition_would_fit(s, pod, node, &record->had, NULL))
			return true;
	}
	if (!tracked)
		s->repartitions->walk = 0;
	return is_wanted_otherwise(s, node, record);
}
