/* Which node is to give the slices that are short: one that stands idle or, where none does, one whose pods are
 * expected to end in time; judged as it would be then by the code that places pods. */
#include "scheduler/repartition/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "scheduler/move/move.h"

#define SHORT_MAX 256           /* waiting pods looked at, the first in line */
#define JUDGED_MAX 16           /* … and those that are judged in one look */
#define WALKED_MAX 8192         /* nodes walked over in one look, before a node is sought for one more of them */
#define CANDIDATES_MAX 64       /* nodes imagined for one of them, the best */
#define AGAIN_NS (3 * NS_PER_S) /* before one is sought anew for a pod that none was found for */

/* --- which of them are not served by what is under way --- */

struct short_pod {
	const struct pod *pod;
	struct repartition_wish *wish;
};

static int in_line(const void *a, const void *b)
{
	const struct short_pod *one = a, *other = b;
	if (one->pod->priority != other->pod->priority)
		return one->pod->priority > other->pod->priority ? -1 : 1;
	if (one->wish->since_ns != other->wish->since_ns)
		return one->wish->since_ns < other->wish->since_ns ? -1 : 1;
	return strcmp(one->pod->uid, other->pod->uid);
}

static struct short_pod *line_up(const struct scheduler *s, size_t *count)
{
	const struct map *wishes = &s->repartitions->wishes;
	struct short_pod *line = xcalloc(wishes->count + 1, sizeof *line);
	size_t cursor = 0;
	*count = 0;
	for (struct repartition_wish *wish; (wish = map_next(wishes, &cursor));)
		line[(*count)++] = (struct short_pod){repartition_waits(s, wish), wish};
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
	double cost;
};

/* The best that a pod selects, best first: idle ones, then those that run out soonest; the cheapest; by name. */
struct choice {
	struct candidate candidates[CANDIDATES_MAX];
	size_t count;
	size_t walked; /* nodes, for all pods of the look */
};

static bool is_before(const struct candidate *one, const struct candidate *other)
{
	if (one->free_ns != other->free_ns)
		return one->free_ns < other->free_ns;
	if (one->cost != other->cost)
		return one->cost < other->cost;
	return strcmp(one->node->name, other->node->name) < 0;
}

static void keep_best(struct choice *choice, const struct candidate *candidate)
{
	size_t at = choice->count < CANDIDATES_MAX ? choice->count++ : CANDIDATES_MAX - 1;
	for (; at > 0 && is_before(candidate, &choice->candidates[at - 1]); at--)
		choice->candidates[at] = choice->candidates[at - 1];
	choice->candidates[at] = *candidate;
}

size_t repartition_in_use(const struct scheduler *s, uint16_t pool)
{
	size_t cursor = 0, count = 0;
	for (const struct repartition_node *noted; (noted = map_next(&s->repartitions->nodes, &cursor));) {
		const struct node *node = fleet_find(s->fleet, slice_of(noted->name));
		count += node && node->pool == pool && (noted->chosen || noted->record.phase != REPARTITION_FAILED);
	}
	return count + move_node_coming(s, pool, false);
}

bool repartition_pools(
    const struct scheduler *s, const struct repartition_wish *wish, const struct pod *pod, bool open[POLICY_POOLS_MAX])
{
	int64_t waited_ns = clock_now() - wish->since_ns;
	bool any = false;
	for (uint16_t i = 0; i < s->policy.inforce->pool_count; i++) {
		const struct policy_mig *rules = s->policy.inforce->pools[i].mig;
		open[i] = rules && waited_ns >= rules->after_ns && repartition_could_give(s, pod, rules) &&
		          repartition_in_use(s, i) < rules->max_nodes;
		any |= open[i];
	}
	return any;
}

static void find_candidates(
    const struct scheduler *s, const struct pod *pod, const bool open[POLICY_POOLS_MAX], struct choice *choice)
{
	size_t cursor = 0;
	int64_t now = clock_now();
	choice->count = 0;
	for (struct node *node; (node = map_next(&s->fleet->nodes, &cursor)); choice->walked++) {
		struct candidate candidate = {.node = node};
		if (node->pool == POOL_NONE || !open[node->pool] || !node->spec || node->spec->repartition ||
		    !repartition_may(node, now, &candidate.free_ns) ||
		    candidate.free_ns > now + repartition_rules(s, node)->deadline_ns)
			continue;
		candidate.cost = repartition_cost(node->spec);
		if ((choice->count == CANDIDATES_MAX &&
		        !is_before(&candidate, &choice->candidates[CANDIDATES_MAX - 1])) ||
		    !pod_selects(pod, node->name, &node->spec->labels) ||
		    !repartition_can(node->spec, &s->fleet->names))
			continue;
		keep_best(choice, &candidate);
	}
}

static void choose_node(struct scheduler *s, struct node *node, const char *config,
    const struct repartition_amounts *want, const char *move)
{
	struct repartition_node *noted = repartition_note(s, node->name);
	struct repartition_amounts had;
	repartition_shown(node->spec, &s->fleet->names, &had);
	noted->chosen = true;
	repartition_begin(&noted->record, config, labels_get(&node->spec->labels, MIG_CONFIG_LABEL), want, &had,
	    clock_wall() / NS_PER_MS * NS_PER_MS);
	snprintf(noted->record.move, sizeof noted->record.move, "%s", move);
	fleet_repartition(s->fleet, node, true);
}

bool repartition_choose_node(struct scheduler *s, struct node *node, const char *config, const char *move)
{
	const struct policy_mig *rules = repartition_rules(s, node);
	struct repartition_amounts want;
	/* The move's own node is among those that are coming. */
	if (!rules || !node->spec || node->spec->repartition || repartition_in_use(s, node->pool) > rules->max_nodes)
		return false;
	for (size_t i = 0; i < rules->config_count; i++) {
		if (strcmp(rules->configs[i].name, config) != 0)
			continue;
		if (!repartition_can(node->spec, &s->fleet->names) ||
		    !repartition_wanted(node->spec, &rules->configs[i], &want))
			return false;
		choose_node(s, node, config, &want, move);
		return true;
	}
	return false;
}

bool repartition_asks_already(const struct node *node, const struct policy_mig_config *config)
{
	const char *label = labels_get(&node->spec->labels, MIG_CONFIG_LABEL);
	return label && strcmp(label, config->name) == 0;
}

const struct policy_mig_config *repartition_config_for(const struct scheduler *s, const struct pod *pod,
    const struct node *node, struct repartition_amounts *want, int64_t *milli)
{
	const struct policy_mig *rules = repartition_rules(s, node);
	for (size_t i = 0; i < rules->config_count; i++)
		if (repartition_wanted(node->spec, &rules->configs[i], want) &&
		    repartition_asks_for_any(s, pod, want) && repartition_would_fit(s, pod, node, want, milli))
			return &rules->configs[i];
	return NULL;
}

/* A label that asks for it already is not likely to get more out of the manager: such a node comes last. */
static bool choose_for(
    struct scheduler *s, const struct short_pod *asks, const bool open[POLICY_POOLS_MAX], struct choice *choice)
{
	struct repartition_amounts want, last_want;
	const struct policy_mig_config *last = NULL;
	struct node *last_node = NULL;
	find_candidates(s, asks->pod, open, choice);
	for (size_t i = 0; i < choice->count; i++) {
		struct node *node = choice->candidates[i].node;
		if (move_node_is_wanted_back(s, node->name))
			continue;
		const struct policy_mig_config *config = repartition_config_for(s, asks->pod, node, &want, NULL);
		if (config && !repartition_asks_already(node, config)) {
			choose_node(s, node, config->name, &want, "");
			return true;
		}
		if (config && !last) {
			last = config;
			last_node = node;
			last_want = want;
		}
	}
	if (last)
		choose_node(s, last_node, last->name, &last_want, "");
	return last != NULL;
}

/* Whether nothing need be done for the pod: by what is under way; by a move for it; or, of a gang's members, who find
 * room together or not at all, by what is free. */
static bool is_served(const struct scheduler *s, const struct pod *pod, struct repartition_amounts *left,
    struct repartition_amounts *there)
{
	return take(s, pod, left) || move_node_serves(s, pod->uid) || (pod->gang && take(s, pod, there));
}

static bool any_gangs(const struct short_pod *line, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (line[i].pod->gang)
			return true;
	return false;
}

void repartition_choose(struct scheduler *s)
{
	if (s->repartitions->wishes.count == 0)
		return;
	size_t count, judged = 0;
	struct short_pod *line = line_up(s, &count);
	struct repartition_amounts left = coming(s), there = {0};
	struct choice choice = {.count = 0};
	int64_t now = clock_now();
	if (any_gangs(line, count))
		there = free_slices(s);
	for (size_t i = 0; i < count && judged < JUDGED_MAX && choice.walked < WALKED_MAX; i++) {
		struct repartition_wish *wish = line[i].wish;
		bool served = is_served(s, line[i].pod, &left, &there), open[POLICY_POOLS_MAX] = {false};
		wish->in_vain &= !served;
		wish->served = served;
		if (served || wish->not_before_ns > now)
			continue;
		judged++;
		wish->in_vain = false;
		if (!line[i].pod->gang && repartition_finds_room(s, line[i].pod))
			continue;
		bool any = repartition_pools(s, wish, line[i].pod, open);
		if (any && choose_for(s, &line[i], open, &choice))
			break;
		wish->in_vain = any;
		if (any)
			moves_soon(s);
		if (now - wish->since_ns >= AGAIN_NS)
			wish->not_before_ns = now + AGAIN_NS;
	}
	free(line);
}
