/* Which node is to give the slices that are short: one that stands idle or, where none does, one whose pods are
 * expected to end in time; judged as it would be then by the code that places pods. */
#include "scheduler/repartition.h"

#include <stdlib.h>

#define SHORT_MAX 256    /* waiting pods looked at, the first in line */
#define IMAGINED_MAX 256 /* nodes imagined in one look */

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
		line[(*count)++] = (struct short_pod){repartition_waits(s, wish), wish->since_ns};
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
				repartition_add(
				    &sums, noted->record.want.items[i].resource, noted->record.want.items[i].amount);
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
			if (repartition_is_slice(resource) && node_free(node, id) > 0)
				repartition_add(&sums, resource, node_free(node, id));
		}
	return sums;
}

static bool take(const struct scheduler *s, const struct pod *pod, struct repartition_amounts *left)
{
	const struct resource_names *names = &s->fleet->names;
	for (uint16_t i = 0; i < pod->demand.count; i++) {
		const char *resource = resource_names_text(names, pod->demand.items[i].id);
		if (repartition_is_slice(resource) &&
		    repartition_amount_of(left, resource) < pod->demand.items[i].amount)
			return false;
	}
	for (uint16_t i = 0; i < pod->demand.count; i++)
		if (repartition_is_slice(resource_names_text(names, pod->demand.items[i].id)))
			repartition_add(
			    left, resource_names_text(names, pod->demand.items[i].id), -pod->demand.items[i].amount);
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
			    !repartition_asks_for_any(s, asks->pod, &want) || choice->imagined++ >= IMAGINED_MAX ||
			    !repartition_would_fit(s, asks->pod, node, &want))
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

/* A gang's members find room together or not at all: one that would alone proves nothing. */
static bool is_served(const struct scheduler *s, const struct pod *pod, struct repartition_amounts *left,
    struct repartition_amounts *there)
{
	return take(s, pod, left) || (pod->gang ? take(s, pod, there) : repartition_finds_room(s, pod));
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
