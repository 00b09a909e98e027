/* Who waits for slices, and which node is to give them: one that stands idle or, where none does, one whose pods are
 * expected to end in time; judged as it would be then by the code that places pods. */
#include "scheduler/repartition.h"

#include <stdlib.h>

#include "cluster/lanes.h"

#define SHORT_MAX 256    /* waiting pods looked at, the first in line */
#define IMAGINED_MAX 256 /* nodes imagined in one look */
#define WALK_MAX 20000   /* pending pods looked at for one that wants whole GPUs */
#define JUDGED_MAX 64    /* … and those of them that are judged */

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

static bool would_fit(const struct scheduler *s, const struct pod *pod, const struct node *node,
    const struct repartition_amounts *amounts)
{
	struct node *imagined = imagine(s, node, amounts);
	bool fits = decide_node(s->fleet, pod, imagined, NULL) == REASON_CODE_FITS;
	decide_whole_node_free(imagined);
	return fits;
}

/* --- who waits --- */

void repartition_forget_wish(struct scheduler *s, struct repartition_wish *wish)
{
	map_remove(&s->repartitions->wishes, slice_of(wish->uid));
	free(wish->uid);
	free(wish);
}

/* NULL: it waits no more. */
static const struct pod *waits(const struct scheduler *s, const struct repartition_wish *wish)
{
	const struct tracked *tracked = roster_find(s->roster, slice_of(wish->uid));
	return tracked && !tracked->pod->deleting && !ledger_find(s->fleet, slice_of(wish->uid)) ? tracked->pod : NULL;
}

static void add_up(struct repartition_amounts *sums, const char *resource, int64_t amount)
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

static bool is_slice(const char *resource)
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
		const struct pod *pod = waits(s, wish);
		if (!pod) {
			over[count++] = wish;
			continue;
		}
		for (uint16_t i = 0; i < pod->demand.count; i++) {
			const char *resource = resource_names_text(&s->fleet->names, pod->demand.items[i].id);
			if (is_slice(resource))
				add_up(&all->wanted, resource, pod->demand.items[i].amount);
		}
	}
	while (count > 0)
		repartition_forget_wish(s, over[--count]);
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
		const struct pod *pod = waits(s, wish);
		if (pod && decide_node(s->fleet, pod, node, NULL) == REASON_CODE_FITS)
			return true;
	}
	return false;
}

static bool asks_for_any(const struct scheduler *s, const struct pod *pod, const struct repartition_amounts *amounts)
{
	for (uint16_t i = 0; i < pod->demand.count; i++)
		if (repartition_amount_of(amounts, resource_names_text(&s->fleet->names, pod->demand.items[i].id)) > 0)
			return true;
	return false;
}

bool repartition_is_wanted_back(struct scheduler *s, const struct node *node, const struct repartition_record *record)
{
	size_t cursor = 0, walked = 0, judged = 0;
	for (struct tracked *tracked; walked++ < WALK_MAX && (tracked = roster_next(s->roster, &cursor));) {
		const struct pod *pod = tracked->pod;
		struct decision decision;
		if ((!pod->unschedulable && !waiting_find(s->waiting, slice_of(pod->uid))) || pod->deleting ||
		    !asks_for_any(s, pod, &record->had) || ledger_find(s->fleet, slice_of(pod->uid)))
			continue;
		if (judged++ == JUDGED_MAX)
			return false;
		decide_fleet_best(s->fleet, pod, &decision);
		if (!decision.node && would_fit(s, pod, node, &record->had))
			return true;
	}
	return false;
}

/* --- which of them are not served by what is under way --- */

struct short_pod {
	const struct pod *pod;
	int64_t since_ns;
};

static int in_line(const void *a, const void *b)
{
	const struct short_pod *one = a, *other = b;
	if (one->pod->priority != other->pod->priority)
		return one->pod->priority > other->pod->priority ? -1 : 1;
	if (one->since_ns != other->since_ns)
		return one->since_ns < other->since_ns ? -1 : 1;
	return strcmp(one->pod->uid, other->pod->uid);
}

static struct short_pod *line_up(const struct scheduler *s, size_t *count)
{
	const struct map *wishes = &s->repartitions->wishes;
	struct short_pod *line = xcalloc(wishes->count + 1, sizeof *line);
	size_t cursor = 0;
	*count = 0;
	for (const struct repartition_wish *wish; (wish = map_next(wishes, &cursor));)
		line[(*count)++] = (struct short_pod){waits(s, wish), wish->since_ns};
	qsort(line, *count, sizeof *line, in_line);
	*count = *count < SHORT_MAX ? *count : SHORT_MAX;
	return line;
}

/* What nodes will give that are under way, in all. */
static struct repartition_amounts coming(const struct scheduler *s)
{
	struct repartition_amounts sums = {0};
	size_t cursor = 0;
	for (const struct repartition_node *noted; (noted = map_next(&s->repartitions->nodes, &cursor));)
		if (!noted->record.back && (noted->chosen || noted->record.phase == REPARTITION_DRAINING ||
		                               noted->record.phase == REPARTITION_APPLYING))
			for (size_t i = 0; i < noted->record.want.count; i++)
				add_up(&sums, noted->record.want.items[i].resource, noted->record.want.items[i].amount);
	return sums;
}

/* What nodes that take pods have free, in all. */
static struct repartition_amounts free_slices(const struct scheduler *s)
{
	struct repartition_amounts sums = {0};
	size_t cursor = 0;
	for (const struct node *node; (node = map_next(&s->fleet->nodes, &cursor));)
		for (size_t i = 0; node->spec && node->spec->ready && !node_is_shut(node) && i < node->spec->lane_count;
		     i++) {
			resource_id id = node->spec->lanes[i].resource;
			const char *resource = resource_names_text(&s->fleet->names, id);
			if (is_slice(resource) && node_free(node, id) > 0)
				add_up(&sums, resource, node_free(node, id));
		}
	return sums;
}

static bool take(const struct scheduler *s, const struct pod *pod, struct repartition_amounts *left)
{
	const struct resource_names *names = &s->fleet->names;
	for (uint16_t i = 0; i < pod->demand.count; i++) {
		const char *resource = resource_names_text(names, pod->demand.items[i].id);
		if (is_slice(resource) && repartition_amount_of(left, resource) < pod->demand.items[i].amount)
			return false;
	}
	for (uint16_t i = 0; i < pod->demand.count; i++)
		if (is_slice(resource_names_text(names, pod->demand.items[i].id)))
			add_up(left, resource_names_text(names, pod->demand.items[i].id), -pod->demand.items[i].amount);
	return true;
}

/* --- the node --- */

struct candidate {
	struct node *node;
	int64_t free_ns; /* see repartition_may */
};

struct choice {
	struct candidate *candidates; /* best first: idle ones, then those that run out soonest */
	size_t count, imagined;
};

static int by_worth(const void *a, const void *b)
{
	const struct candidate *one = a, *other = b;
	if (one->free_ns != other->free_ns)
		return one->free_ns < other->free_ns ? -1 : 1;
	return repartition_before(one->node, other->node) ? -1 : 1;
}

size_t repartition_in_use(const struct scheduler *s, uint16_t pool)
{
	size_t cursor = 0, count = 0;
	for (const struct repartition_node *noted; (noted = map_next(&s->repartitions->nodes, &cursor));) {
		const struct node *node = fleet_find(s->fleet, slice_of(noted->name));
		count += node && node->pool == pool && (noted->chosen || noted->record.phase != REPARTITION_FAILED);
	}
	return count;
}

static struct choice candidates(const struct scheduler *s)
{
	struct choice choice = {0};
	bool open[POLICY_POOLS_MAX] = {false};
	size_t cursor = 0, room = 0;
	int64_t now = clock_now();
	for (uint16_t i = 0; i < s->policy.inforce->pool_count; i++) {
		const struct policy_mig *rules = s->policy.inforce->pools[i].mig;
		open[i] = rules && repartition_in_use(s, i) < rules->max_nodes;
	}
	for (struct node *node; (node = map_next(&s->fleet->nodes, &cursor));) {
		int64_t free_ns;
		if (node->pool == POOL_NONE || !open[node->pool] || !node->spec || node->spec->repartition ||
		    map_get(&s->repartitions->nodes, slice_of(node->name)) ||
		    !repartition_may(node, &s->fleet->names, now, &free_ns) ||
		    free_ns > now + repartition_rules(s, node)->deadline_ns)
			continue;
		choice.candidates = xgrow(choice.candidates, choice.count, &room, sizeof *choice.candidates);
		choice.candidates[choice.count++] = (struct candidate){node, free_ns};
	}
	if (choice.count > 0)
		qsort(choice.candidates, choice.count, sizeof *choice.candidates, by_worth);
	return choice;
}

static void choose_node(
    struct scheduler *s, struct node *node, const char *config, const struct repartition_amounts *want)
{
	struct repartition_node *noted = repartition_note(s, node->name);
	struct repartition_amounts had;
	repartition_shown(node->spec, &s->fleet->names, &had);
	noted->chosen = true;
	repartition_begin(&noted->record, config, labels_get(&node->spec->labels, MIG_CONFIG_LABEL), want, &had,
	    clock_wall() / NS_PER_MS * NS_PER_MS);
	fleet_repartition(s->fleet, node, true);
}

static bool asks_already(const struct node *node, const struct policy_mig_config *config)
{
	const char *label = labels_get(&node->spec->labels, MIG_CONFIG_LABEL);
	return label && strcmp(label, config->name) == 0;
}

/* A label that asks for it already is not likely to get more out of the manager: such nodes come last. */
static bool choose_among(struct scheduler *s, const struct short_pod *asks, struct choice *choice, bool again)
{
	for (size_t i = 0; i < choice->count; i++) {
		struct node *node = choice->candidates[i].node;
		const struct policy_mig *rules = repartition_rules(s, node);
		if (clock_now() - asks->since_ns < rules->after_ns)
			continue;
		for (size_t j = 0; j < rules->config_count; j++) {
			const struct policy_mig_config *config = &rules->configs[j];
			struct repartition_amounts want;
			if (asks_already(node, config) != again || !repartition_wanted(node->spec, config, &want) ||
			    !asks_for_any(s, asks->pod, &want) || choice->imagined++ >= IMAGINED_MAX ||
			    !would_fit(s, asks->pod, node, &want))
				continue;
			choose_node(s, node, config->name, &want);
			return true;
		}
	}
	return false;
}

static bool choose_for(struct scheduler *s, const struct short_pod *asks, struct choice *choice)
{
	return choose_among(s, asks, choice, false) || choose_among(s, asks, choice, true);
}

static bool finds_room(const struct scheduler *s, const struct pod *pod)
{
	struct decision decision;
	decide_fleet_best(s->fleet, pod, &decision);
	return decision.node != NULL;
}

/* A gang's members find room together or not at all: one that would alone proves nothing. */
static bool is_served(const struct scheduler *s, const struct pod *pod, struct repartition_amounts *left,
    struct repartition_amounts *there)
{
	return take(s, pod, left) || (pod->gang ? take(s, pod, there) : finds_room(s, pod));
}

void repartition_choose(struct scheduler *s)
{
	if (s->repartitions->wishes.count == 0)
		return;
	size_t count;
	struct short_pod *line = line_up(s, &count);
	struct repartition_amounts left = coming(s), there = {0};
	struct choice choice = {0};
	bool looked = false, gangs = false;
	for (size_t i = 0; i < count && !gangs; i++)
		gangs = line[i].pod->gang != NULL;
	if (gangs)
		there = free_slices(s);
	for (size_t i = 0; i < count; i++) {
		if (is_served(s, line[i].pod, &left, &there))
			continue;
		if (!looked)
			choice = candidates(s);
		looked = true;
		if (choice.count == 0 || choose_for(s, &line[i], &choice))
			break;
	}
	free(choice.candidates);
	free(line);
}
