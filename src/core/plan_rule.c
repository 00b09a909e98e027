/* Counting as kube-scheduler v1.36 does: pkg/scheduler/framework/plugins/interpodaffinity/filtering.go and
 * podtopologyspread/{common,filtering}.go. */
#include "core/plan_internal.h"

#include <stdlib.h>

#include "core/index.h"
#include "core/judge.h"
#include "core/shape.h"
#include "core/traits.h"

/* ---- which rules there are ---- */

static uint32_t key_numbered(struct plan_problem *problem, const char *label)
{
	for (uint32_t k = 0; k < problem->key_count; k++)
		if (strcmp(problem->keys[k].label, label) == 0)
			return k;
	size_t room = problem->key_room;
	problem->keys = xgrow(problem->keys, problem->key_count, &room, sizeof(*problem->keys));
	problem->key_room = room;
	problem->keys[problem->key_count] = (struct plan_key){.label = label, .names = true};
	return problem->key_count++;
}

static const char *topology_key(const struct plan_rule *rule, uint32_t k)
{
	switch (rule->kind) {
	case RULE_ANTI:
		return rule->pod->anti_affinity[rule->index].topology_key;
	case RULE_AFFINITY:
		return rule->pod->affinity[k].topology_key;
	case RULE_SPREAD:
		break;
	}
	return rule->pod->spread[rule->index].topology_key;
}

static bool rule_means(const struct plan_rule *rule, const struct pod *pod)
{
	switch (rule->kind) {
	case RULE_ANTI:
		return pod_term_matches(rule->pod, &rule->pod->anti_affinity[rule->index], pod);
	case RULE_AFFINITY:
		for (size_t i = 0; i < rule->pod->affinity_count; i++)
			if (!pod_term_matches(rule->pod, &rule->pod->affinity[i], pod))
				return false;
		return true;
	case RULE_SPREAD:
		break;
	}
	return spread_matches(rule->pod, &rule->pod->spread[rule->index], pod);
}

struct rule_list {
	struct plan_problem *problem;
	struct map known; /* what tells rules apart → number + 1 */
	struct shape_key key;
	size_t room;
};

static void add_rule(struct rule_list *list, enum rule_kind kind, uint32_t s, size_t index)
{
	struct plan_problem *problem = list->problem;
	const struct pod *pod = problem->shapes[s].pod;
	list->key.len = 0;
	shape_key_number(&list->key, kind);
	shape_key_number(&list->key, (int64_t)index);
	shape_key_asks(&list->key, pod);
	if (kind == RULE_SPREAD)
		shape_key_where(&list->key, pod);
	struct slice text = {list->key.at, list->key.len};
	uintptr_t known = (uintptr_t)map_get(&list->known, text);
	if (!known) {
		problem->rules = xgrow(problem->rules, problem->rule_count, &list->room, sizeof(*problem->rules));
		struct plan_rule *rule = &problem->rules[problem->rule_count++];
		*rule = (struct plan_rule){.kind = kind, .pod = pod, .index = index, .pin = PLAN_NONE};
		rule->key_count = kind == RULE_AFFINITY ? (uint32_t)pod->affinity_count : 1;
		rule->keys = arena_alloc(&problem->arena, rule->key_count * sizeof(*rule->keys));
		for (uint32_t k = 0; k < rule->key_count; k++)
			rule->keys[k] = key_numbered(problem, topology_key(rule, k));
		rule->carries = arena_calloc(&problem->arena, problem->shape_count, sizeof(*rule->carries));
		rule->means = arena_calloc(&problem->arena, problem->shape_count, sizeof(*rule->means));
		char *kept = arena_alloc(&problem->arena, text.len);
		memcpy(kept, text.at, text.len);
		known = problem->rule_count;
		map_put(&list->known, (struct slice){kept, text.len}, (void *)known);
	}
	problem->rules[known - 1].carries[s] = true;
}

static void find_rules(struct plan_problem *problem)
{
	struct rule_list list = {.problem = problem};
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		const struct pod *pod = problem->shapes[s].pod;
		for (size_t i = 0; i < pod->anti_affinity_count; i++)
			add_rule(&list, RULE_ANTI, s, i);
		if (pod->affinity_count > 0)
			add_rule(&list, RULE_AFFINITY, s, 0);
		for (size_t i = 0; i < pod->spread_count; i++)
			add_rule(&list, RULE_SPREAD, s, i);
	}
	map_free(&list.known);
	shape_key_free(&list.key);
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		struct plan_shape *shape = &problem->shapes[s];
		shape->rules = arena_alloc(&problem->arena, (problem->rule_count + 1) * sizeof(*shape->rules));
		for (uint32_t r = 0; r < problem->rule_count; r++) {
			struct plan_rule *rule = &problem->rules[r];
			rule->means[s] = rule_means(rule, shape->pod);
			rule->closed = (s == 0 || rule->closed) && (!rule->means[s] || rule->carries[s]);
			if (rule->means[s] || rule->carries[s])
				shape->rules[shape->rule_count++] = r;
		}
	}
}

/* ---- the values of their keys on the nodes ---- */

/* The values of a key that are the names of their nodes stand in no map until one is asked for, or a node bears another
 * value: numbered so far, in the order of the first `end` nodes. */
static void map_names(const struct plan_problem *problem, struct plan_key *key, size_t end)
{
	uintptr_t known = 0;
	for (size_t i = 0; i < end && known < key->values; i++) {
		const char *value = labels_get(&problem->nodes[i]->spec->labels, key->label);
		if (value)
			map_put(&key->ids, slice_of(value), (void *)++known);
	}
	key->names = false;
}

static uint32_t value_of(const struct plan_problem *problem, struct plan_key *key, const struct node *node)
{
	const char *value = node->spec ? labels_get(&node->spec->labels, key->label) : NULL;
	if (key->names)
		map_names(problem, key, problem->node_count);
	uintptr_t known = value ? (uintptr_t)map_get(&key->ids, slice_of(value)) : 0;
	return known ? (uint32_t)known - 1 : PLAN_NONE;
}

uint32_t plan__rule_value(
    const struct plan_problem *problem, const struct plan_rule *rule, uint32_t k, const struct node *node)
{
	return value_of(problem, &problem->keys[rule->keys[k]], node);
}

/* Over every node of the fleet, in the order of the sites. */
struct walk {
	struct plan_problem *problem;
	uint32_t next; /* site */
	size_t *room;  /* of the populations, by key */
	size_t *at;    /* where the label stood on the node before, by key: most nodes have the same ones */
};

#define WALK_FAR 12
#define WALK_NEAR 6

/* As in plan_site: the nodes ahead are fetched meanwhile. */
static void fetch_ahead(const struct plan_problem *problem, size_t i)
{
	if (i + WALK_FAR < problem->node_count)
		__builtin_prefetch(problem->nodes[i + WALK_FAR]->spec);
	if (i + WALK_NEAR < problem->node_count)
		__builtin_prefetch(problem->nodes[i + WALK_NEAR]->spec->labels.items);
}

static const char *label_near(const struct labels *labels, const char *key, size_t *at)
{
	if (*at < labels->count && strcmp(labels->items[*at].key, key) == 0)
		return labels->items[*at].value;
	for (size_t i = 0; i < labels->count; i++) {
		int order = strcmp(labels->items[i].key, key);
		if (order == 0)
			*at = i;
		if (order >= 0)
			return order == 0 ? labels->items[i].value : NULL;
	}
	return NULL;
}

static bool spread_counts(const struct plan_rule *rule, const struct node *node);

static void find_spread_domains(struct plan_problem *problem, const struct node *node)
{
	for (uint32_t r = 0; r < problem->rule_count; r++) {
		struct plan_rule *rule = &problem->rules[r];
		if (rule->kind != RULE_SPREAD || !spread_counts(rule, node))
			continue;
		uint32_t value = value_of(problem, &problem->keys[rule->keys[0]], node);
		rule->domains += !rule->domain[value];
		rule->domain[value] = true;
	}
}

/* The number of the value, + 1; 0 = it has none yet. */
static uintptr_t known_value(struct walk *walk, struct plan_key *key, const char *value, size_t at)
{
	if (key->names && strcmp(value, walk->problem->nodes[at]->name) == 0)
		return 0;
	if (key->names)
		map_names(walk->problem, key, at);
	return (uintptr_t)map_get(&key->ids, slice_of(value));
}

static void number_values(struct walk *walk, size_t at)
{
	struct plan_problem *problem = walk->problem;
	const struct node *node = problem->nodes[at];
	while (walk->next < problem->site_count && !problem->sites[walk->next].node->spec)
		walk->next++;
	bool is_site = walk->next < problem->site_count && problem->sites[walk->next].node == node;
	for (uint32_t k = 0; k < problem->key_count; k++) {
		struct plan_key *key = &problem->keys[k];
		const char *value = label_near(&node->spec->labels, key->label, &walk->at[k]);
		if (!value)
			continue;
		uintptr_t known = known_value(walk, key, value, at);
		if (!known) {
			key->population = xgrow(key->population, key->values, &walk->room[k], sizeof(*key->population));
			key->population[key->values] = 0;
			known = ++key->values;
			if (!key->names)
				map_put(&key->ids, slice_of(value), (void *)known);
		}
		key->population[known - 1]++;
		if (is_site)
			key->sites[walk->next] = (uint32_t)known - 1;
	}
	walk->next += is_site;
}

static bool spread_counts(const struct plan_rule *rule, const struct node *node)
{
	const struct pod *pod = rule->pod;
	const struct spread_constraint *spread = &pod->spread[rule->index];
	if (!node->spec)
		return false;
	for (size_t i = 0; i < pod->spread_count; i++)
		if (!labels_get(&node->spec->labels, pod->spread[i].topology_key))
			return false;
	struct pod without_volumes = *pod;
	without_volumes.volume_count = 0;
	if (!spread->any_affinity && !pod_selects(&without_volumes, node->name, &node->spec->labels))
		return false;
	return !spread->honor_taints || !judge_taint(pod, node->spec);
}

static void number_all_values(struct plan_problem *problem)
{
	struct walk walk = {.problem = problem,
	    .room = xcalloc(problem->key_count, sizeof(*walk.room)),
	    .at = xcalloc(problem->key_count, sizeof(*walk.at))};
	for (uint32_t k = 0; k < problem->key_count; k++) {
		struct plan_key *key = &problem->keys[k];
		key->sites = arena_alloc(&problem->arena, (problem->site_count + 1) * sizeof(*key->sites));
		for (uint32_t i = 0; i < problem->site_count; i++)
			key->sites[i] = PLAN_NONE;
	}
	for (size_t i = 0; i < problem->node_count; i++) {
		fetch_ahead(problem, i);
		number_values(&walk, i);
	}
	free(walk.room);
	free(walk.at);
}

static void find_values(struct plan_problem *problem)
{
	struct arena *arena = &problem->arena;
	bool spreads = false;
	number_all_values(problem);
	for (uint32_t r = 0; r < problem->rule_count; r++) {
		struct plan_rule *rule = &problem->rules[r];
		uint32_t values = problem->keys[rule->keys[0]].values + 1;
		rule->count = arena_alloc(arena, rule->key_count * sizeof(*rule->count));
		for (uint32_t k = 0; k < rule->key_count; k++)
			rule->count[k] =
			    arena_calloc(arena, problem->keys[rule->keys[k]].values + 1, sizeof(**rule->count));
		if (rule->kind == RULE_ANTI)
			rule->carriers = arena_calloc(arena, values, sizeof(*rule->carriers));
		if (rule->kind != RULE_SPREAD)
			continue;
		rule->domain = arena_calloc(arena, values, sizeof(*rule->domain));
		rule->quota = arena_calloc(arena, values, sizeof(*rule->quota));
		rule->counts = arena_alloc(arena, problem->site_count + 1);
		for (uint32_t i = 0; i < problem->site_count; i++)
			rule->counts[i] = spread_counts(rule, problem->sites[i].node);
		spreads = true;
	}
	for (size_t i = 0; i < problem->node_count && spreads; i++)
		find_spread_domains(problem, problem->nodes[i]);
}

/* ---- pods that are there already ---- */

bool plan__rule_counts(const struct plan_rule *rule, const struct pod *pod, const struct node *node)
{
	return rule_means(rule, pod) && (rule->kind != RULE_SPREAD || spread_counts(rule, node));
}

static void count_bound(struct plan_problem *problem, const struct pod *pod, const struct node *node)
{
	for (uint32_t r = 0; r < problem->rule_count; r++) {
		struct plan_rule *rule = &problem->rules[r];
		if (!plan__rule_counts(rule, pod, node))
			continue;
		bool counted = false;
		for (uint32_t k = 0; k < rule->key_count; k++) {
			uint32_t value = plan__rule_value(problem, rule, k, node);
			if (value == PLAN_NONE)
				continue;
			rule->count[k][value]++;
			counted = true;
		}
		rule->any += counted;
	}
}

/* Whether it means pods of these labels in some namespace. */
static bool rule_selects(const struct plan_rule *rule, const struct labels *labels)
{
	bool selects = rule->kind == RULE_AFFINITY;
	switch (rule->kind) {
	case RULE_ANTI:
		return selector_matches(&rule->pod->anti_affinity[rule->index].selector, labels);
	case RULE_AFFINITY:
		for (size_t i = 0; i < rule->pod->affinity_count && selects; i++)
			selects = selector_matches(&rule->pod->affinity[i].selector, labels);
		return selects;
	case RULE_SPREAD:
		break;
	}
	return selector_matches(&rule->pod->spread[rule->index].selector, labels);
}

/* Traits that some rule selects, which are few or none where bound pods are many. */
static bool find_selected(struct plan_problem *problem, const struct ledger *ledger, struct map *selected)
{
	struct labels labels = {0};
	size_t cursor = 0, room = 0;
	for (const struct traits *traits; (traits = map_next(&ledger->traits, &cursor));) {
		traits_labels(traits, &labels, &room);
		bool selects = false;
		for (uint32_t r = 0; r < problem->rule_count && !selects; r++)
			selects = rule_selects(&problem->rules[r], &labels);
		if (!selects)
			continue;
		const struct traits **key = arena_alloc(&problem->arena, sizeof(*key));
		*key = traits;
		map_put(selected, (struct slice){(const char *)key, sizeof(*key)}, problem);
	}
	free(labels.items);
	return selected->count > 0;
}

static void find_bound(struct plan_problem *problem, const struct ledger *ledger)
{
	struct map members = {0}, selected = {0};
	size_t cursor = 0;
	bool any = find_selected(problem, ledger, &selected);
	for (size_t i = 0; any && i < problem->request->count; i++)
		map_put(&members, slice_of(problem->request->members[i].pod->uid), problem);
	for (size_t i = 0; any && i < problem->request->gone_count; i++)
		map_put(&members, slice_of(problem->request->gone[i]->uid), problem);
	for (const struct ledger_entry *entry; any && (entry = map_next(&ledger->by_uid, &cursor));) {
		if (!entry->traits || !entry->node->spec ||
		    !map_get(&selected, (struct slice){(const char *)&entry->traits, sizeof(entry->traits)}) ||
		    map_get(&members, slice_of(entry->uid)))
			continue;
		struct pod *pod = ledger_pod(entry);
		count_bound(problem, pod, entry->node);
		pod_free(pod);
	}
	map_free(&members);
	map_free(&selected);
}

void plan__rule_low(const struct plan_problem *problem, struct plan_rule *rule)
{
	uint32_t values = problem->keys[rule->keys[0]].values;
	rule->low = UINT32_MAX;
	rule->at_low = 0;
	for (uint32_t v = 0; v < values; v++) {
		if (!rule->domain[v] || rule->count[0][v] > rule->low)
			continue;
		rule->at_low = rule->count[0][v] < rule->low ? 1 : rule->at_low + 1;
		rule->low = rule->count[0][v];
	}
}

void plan__rules(struct plan_problem *problem, const struct fleet *fleet)
{
	find_rules(problem);
	if (problem->rule_count == 0)
		return;
	find_values(problem);
	find_bound(problem, &fleet->ledger);
	for (uint32_t r = 0; r < problem->rule_count; r++)
		if (problem->rules[r].kind == RULE_SPREAD)
			plan__rule_low(problem, &problem->rules[r]);
	for (size_t i = 0; i < problem->request->count; i++)
		if (problem->fixed[i] != PLAN_NONE)
			plan__rules_take(problem, problem->shape_of[i], problem->fixed[i], 1);
}

void plan__rules_free(struct plan_problem *problem)
{
	for (uint32_t k = 0; k < problem->key_count; k++) {
		map_free(&problem->keys[k].ids);
		free(problem->keys[k].population);
	}
	free(problem->keys);
	free(problem->rules);
}

/* ---- counting members ---- */

static void count_spread(struct plan_problem *problem, struct plan_rule *rule, uint32_t value, uint32_t now)
{
	uint32_t before = rule->count[0][value];
	rule->count[0][value] = now;
	if (!rule->domain[value] || now == before)
		return;
	if (now < rule->low) {
		rule->low = now;
		rule->at_low = 1;
	} else if (now == rule->low) {
		rule->at_low++;
	} else if (before == rule->low && --rule->at_low == 0) {
		plan__rule_low(problem, rule);
	}
}

static void count(struct plan_problem *problem, uint32_t s, uint32_t site, uint32_t add)
{
	const struct plan_shape *shape = &problem->shapes[s];
	for (uint32_t i = 0; i < shape->rule_count; i++) {
		struct plan_rule *rule = &problem->rules[shape->rules[i]];
		uint32_t value = problem->keys[rule->keys[0]].sites[site];
		if (rule->kind == RULE_SPREAD) {
			if (!rule->means[s] || !rule->counts[site])
				continue;
			count_spread(problem, rule, value, rule->count[0][value] + add);
			rule->any += add;
			continue;
		}
		if (rule->kind == RULE_ANTI && rule->carries[s] && value != PLAN_NONE)
			rule->carriers[value] += add;
		if (!rule->means[s])
			continue;
		bool counted = false;
		for (uint32_t k = 0; k < rule->key_count; k++) {
			value = problem->keys[rule->keys[k]].sites[site];
			if (value == PLAN_NONE)
				continue;
			rule->count[k][value] += add;
			counted = true;
		}
		if (counted)
			rule->any += add;
	}
}

void plan__rules_take(struct plan_problem *problem, uint32_t shape, uint32_t site, uint32_t number)
{
	count(problem, shape, site, number);
}

/* Unsigned arithmetic wraps. */
void plan__rules_undo(struct plan_problem *problem, uint32_t shape, uint32_t site, uint32_t number)
{
	count(problem, shape, site, 0u - number);
}

static bool anti_bars(const struct plan_problem *problem, const struct plan_rule *rule, uint32_t s, uint32_t site)
{
	uint32_t value = problem->keys[rule->keys[0]].sites[site];
	return value != PLAN_NONE &&
	       ((rule->carries[s] && rule->count[0][value] > 0) || (rule->means[s] && rule->carriers[value] > 0));
}

/* Where all that are meant must themselves be near one that is meant, none begins a second place. */
static bool affinity_bars(const struct plan_problem *problem, const struct plan_rule *rule, uint32_t site)
{
	for (uint32_t k = 0; rule->any > 0 && k < rule->key_count; k++)
		if (rule->count[k][problem->keys[rule->keys[k]].sites[site]] == 0)
			return true;
	return false;
}

/* However evenly the others go, the emptiest domain cannot have more than the mean of all. */
static bool spread_bars(
    const struct plan_problem *problem, const struct plan_rule *rule, uint32_t s, uint32_t site, uint32_t coming)
{
	const struct spread_constraint *spread = &rule->pod->spread[rule->index];
	uint32_t value = problem->keys[rule->keys[0]].sites[site], low = 0;
	if (rule->domains > 0 && rule->domains >= (uint32_t)spread->min_domains)
		low = (uint32_t)(((uint64_t)rule->any + rule->means[s] + coming) / rule->domains);
	return (int64_t)rule->count[0][value] + rule->means[s] - low > spread->max_skew;
}

bool plan__rules_bar(const struct plan_problem *problem, uint32_t s, uint32_t site, uint32_t coming)
{
	const struct plan_shape *shape = &problem->shapes[s];
	for (uint32_t i = 0; i < shape->rule_count; i++) {
		const struct plan_rule *rule = &problem->rules[shape->rules[i]];
		if (rule->kind == RULE_ANTI && anti_bars(problem, rule, s, site))
			return true;
		if (!rule->carries[s] || !rule->closed)
			continue;
		if (rule->kind == RULE_AFFINITY && affinity_bars(problem, rule, site))
			return true;
		if (rule->kind == RULE_SPREAD && spread_bars(problem, rule, s, site, coming))
			return true;
	}
	return false;
}

/* ---- an order in which all pass ---- */

enum passing { FAILS, PASSES, PASSES_AS_FIRST };

static enum passing affinity_passes(
    const struct plan_problem *problem, const struct plan_rule *rule, const struct plan_unit *unit)
{
	if (rule->any == 0)
		return rule->means[unit->shape] ? PASSES_AS_FIRST : FAILS;
	for (uint32_t k = 0; k < rule->key_count; k++)
		if (rule->count[k][problem->keys[rule->keys[k]].sites[unit->site]] == 0)
			return FAILS;
	return PASSES;
}

static bool spread_passes(
    const struct plan_problem *problem, const struct plan_rule *rule, const struct plan_unit *unit)
{
	const struct spread_constraint *spread = &rule->pod->spread[rule->index];
	uint32_t value = problem->keys[rule->keys[0]].sites[unit->site];
	uint32_t low = rule->domains < (uint32_t)spread->min_domains ? 0 : rule->low;
	return (int64_t)rule->count[0][value] + rule->means[unit->shape] - low <= spread->max_skew;
}

static enum passing passes(const struct plan_problem *problem, const struct plan_unit *unit)
{
	const struct plan_shape *shape = &problem->shapes[unit->shape];
	enum passing passing = PASSES;
	for (uint32_t i = 0; i < shape->rule_count; i++) {
		const struct plan_rule *rule = &problem->rules[shape->rules[i]];
		if (rule->kind == RULE_ANTI && anti_bars(problem, rule, unit->shape, unit->site))
			return FAILS;
		if (!rule->carries[unit->shape])
			continue;
		if (rule->kind == RULE_SPREAD && !spread_passes(problem, rule, unit))
			return FAILS;
		enum passing here = rule->kind == RULE_AFFINITY ? affinity_passes(problem, rule, unit) : PASSES;
		if (here == FAILS)
			return FAILS;
		passing = here == PASSES_AS_FIRST ? here : passing;
	}
	return passing;
}

struct ordering {
	struct plan_problem *problem;
	const struct plan_unit *units;
	size_t count, done;
	uint32_t *order;
	bool *placed;
	uint8_t *dead;                       /* by set of units placed, for a few of them: no way on from there */
	uint32_t alike[PLAN_SEARCH_MEMBERS]; /* the unit before it that no rule tells from it, or itself */
};

static void put(struct ordering *ordering, uint32_t unit)
{
	ordering->placed[unit] = true;
	ordering->order[ordering->done++] = unit;
	plan__rules_take(ordering->problem, ordering->units[unit].shape, ordering->units[unit].site, 1);
}

static void put_back(struct ordering *ordering)
{
	uint32_t unit = ordering->order[--ordering->done];
	ordering->placed[unit] = false;
	plan__rules_undo(ordering->problem, ordering->units[unit].shape, ordering->units[unit].site, 1);
}

static bool units_alike(const struct plan_problem *problem, const struct plan_unit *a, const struct plan_unit *b)
{
	const struct plan_shape *shape = &problem->shapes[a->shape];
	if (a->shape != b->shape)
		return false;
	for (uint32_t i = 0; i < shape->rule_count && a->site != b->site; i++) {
		const struct plan_rule *rule = &problem->rules[shape->rules[i]];
		if (rule->counts && rule->counts[a->site] != rule->counts[b->site])
			return false;
		for (uint32_t k = 0; rule->kind != RULE_ANTI && k < rule->key_count; k++) {
			const struct plan_key *key = &problem->keys[rule->keys[k]];
			if (key->sites[a->site] != key->sites[b->site])
				return false;
		}
	}
	return true;
}

/* The units are of a set that anti-affinity lets stand together, so it tells none of them apart. */
static void find_alike(struct ordering *ordering)
{
	for (uint32_t i = 0; i < ordering->count; i++) {
		ordering->alike[i] = i;
		for (uint32_t before = i; before-- > 0 && ordering->alike[i] == i;)
			if (units_alike(ordering->problem, &ordering->units[before], &ordering->units[i]))
				ordering->alike[i] = before;
	}
}

/* Over sets of units, so at most 2^count steps, which count as steps of the search that asks. */
static bool order_few(struct ordering *ordering, uint32_t set)
{
	if (ordering->done == ordering->count)
		return true;
	if (ordering->dead[set] || ordering->problem->budget == 0)
		return false;
	ordering->problem->budget--;
	for (uint32_t i = 0; i < ordering->count; i++) {
		uint32_t before = ordering->alike[i];
		if (ordering->placed[i] || (before != i && !ordering->placed[before]) ||
		    passes(ordering->problem, &ordering->units[i]) == FAILS)
			continue;
		put(ordering, i);
		if (order_few(ordering, set | 1u << i))
			return true;
		put_back(ordering);
	}
	ordering->dead[set] = 1;
	return false;
}

/* Sweeps; a first of its kind only goes where nobody else can. */
static bool order_many(struct ordering *ordering)
{
	bool first_allowed = false;
	while (ordering->done < ordering->count) {
		size_t before = ordering->done;
		for (uint32_t i = 0; i < ordering->count; i++) {
			if (ordering->placed[i])
				continue;
			enum passing passing = passes(ordering->problem, &ordering->units[i]);
			if (passing == FAILS || (passing == PASSES_AS_FIRST && !first_allowed))
				continue;
			put(ordering, i);
			first_allowed = false;
		}
		if (ordering->done == before && first_allowed)
			return false;
		first_allowed = ordering->done == before;
	}
	return true;
}

bool plan__rules_order(struct plan_problem *problem, const struct plan_unit *units, size_t number, uint32_t *order)
{
	struct ordering ordering = {.problem = problem, .units = units, .count = number, .order = order};
	if (problem->rule_count == 0) {
		for (uint32_t i = 0; i < number; i++)
			order[i] = i;
		return true;
	}
	ordering.placed = xcalloc(number + 1, sizeof(*ordering.placed));
	bool few = number <= PLAN_SEARCH_MEMBERS, found = order_many(&ordering);
	if (!found && few) {
		while (ordering.done > 0)
			put_back(&ordering);
		ordering.dead = xcalloc((size_t)1 << number, 1);
		find_alike(&ordering);
		found = order_few(&ordering, 0);
		free(ordering.dead);
	}
	while (ordering.done > 0) {
		uint32_t unit = order[--ordering.done];
		plan__rules_undo(problem, units[unit].shape, units[unit].site, 1);
	}
	free(ordering.placed);
	return found;
}
