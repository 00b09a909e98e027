/* The greedy way, for scopes with many victims. For each site the cheapest that makes room for one more member there,
 * single units or several that share the node, is an option; the option that gives most for its price is taken until
 * the demand fits; then whatever is not needed after all is left out, the dearest first. */
#include "core/victims_internal.h"

#include <math.h>
#include <stdlib.h>

#define OPTION_MAX 64 /* units of one site that are weighed together */
#define TINY 1e-6     /* what room beyond what is missing is worth beside it */
#define EFFORT_TRIM 300

enum greedy_phase { GREEDY_OPTIONS, GREEDY_TAKE, GREEDY_TRIM };

struct option {
	double ratio;
	uint32_t site, version;
};

struct victims_greedy {
	enum greedy_phase phase;
	uint32_t next;      /* site, or taken */
	size_t count, room; /* a heap, the best on top */
	struct option *options;
	uint32_t *versions; /* by site of the scope: options of older ones no longer hold */
	uint8_t *alone;     /* by place in the set: it is an option by itself somewhere */
	uint32_t taken_count;
	uint32_t *taken; /* victims */
	bool fits;
	bool wholes; /* begun anew without parts: those taken stood in the way of what they are parts of */
};

/* Units of one option. */
struct bundle {
	uint32_t count;
	uint32_t victims[OPTION_MAX];
	double price;
};

void victims__greedy_free(struct victims_search *search)
{
	struct victims_greedy *greedy = search->greedy;
	if (!greedy)
		return;
	free(greedy->options);
	free(greedy->versions);
	free(greedy->alone);
	free(greedy->taken);
	free(greedy);
	search->greedy = NULL;
}

static void begin(struct victims_search *search)
{
	const struct plan_scope *scope = &search->set.scope;
	struct victims_greedy *greedy = search->greedy = xcalloc(1, sizeof(*greedy));
	greedy->versions = xcalloc((size_t)(scope->end - scope->first) + 1, sizeof(*greedy->versions));
	greedy->alone = xcalloc((size_t)search->set.count + 1, 1);
	greedy->taken = xcalloc((size_t)search->set.count + 1, sizeof(*greedy->taken));
	greedy->next = scope->first;
}

/* ---- the heap ---- */

static bool before(const struct option *a, const struct option *b)
{
	return a->ratio != b->ratio ? a->ratio < b->ratio : a->site < b->site;
}

static void push(struct victims_greedy *greedy, struct option option)
{
	greedy->options = xgrow(greedy->options, greedy->count, &greedy->room, sizeof(*greedy->options));
	size_t at = greedy->count++;
	for (; at > 0 && before(&option, &greedy->options[(at - 1) / 2]); at = (at - 1) / 2)
		greedy->options[at] = greedy->options[(at - 1) / 2];
	greedy->options[at] = option;
}

static struct option pop(struct victims_greedy *greedy)
{
	struct option top = greedy->options[0], last = greedy->options[--greedy->count];
	size_t at = 0;
	for (size_t child; (child = 2 * at + 1) < greedy->count; at = child) {
		if (child + 1 < greedy->count && before(&greedy->options[child + 1], &greedy->options[child]))
			child++;
		if (!before(&greedy->options[child], &last))
			break;
		greedy->options[at] = greedy->options[child];
	}
	greedy->options[at] = last;
	return top;
}

/* ---- options ---- */

static const int64_t *given_at(const struct victims_search *search, const struct victim *victim, uint32_t site)
{
	uint32_t use = 0;
	while (victim->lift.sites[use] != site)
		use++;
	return &victim->lift.amounts[(size_t)use * search->problem->columns];
}

/* The shape of which most is missing, of those that more would fit of on the site. */
static uint32_t shape_for(const struct victims_search *search, uint32_t site)
{
	const struct plan_problem *problem = search->problem;
	uint32_t best = PLAN_NONE;
	double most = -1;
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		const struct plan_shape *shape = &problem->shapes[s];
		double missing = (double)problem->wanted[s] - (double)plan__sum(problem, s, &search->set.scope);
		double weight = (missing > 0 ? missing : 0) * (double)(shape->weight > 0 ? shape->weight : 1);
		if (search->most[(size_t)s * problem->site_count + site] <= shape->left[site] || weight <= most)
			continue;
		most = weight;
		best = s;
	}
	return best;
}

struct share {
	double ratio;
	uint32_t victim;
};

static int share_order(const void *a, const void *b)
{
	const struct share *left = a, *right = b;
	if (left->ratio != right->ratio)
		return left->ratio < right->ratio ? -1 : 1;
	return left->victim < right->victim ? -1 : 1;
}

/* Of the resource that the shape lacks most on the site, what the victim gives for its price; of the whole set what it
 * is worth elsewhere counts as well. */
static double share_of(
    const struct victims_search *search, const struct victim *victim, uint32_t number, uint32_t s, uint32_t site)
{
	const struct plan_problem *problem = search->problem;
	const struct plan_shape *shape = &problem->shapes[s];
	const int64_t *row = &problem->free[(size_t)site * problem->columns], *given = given_at(search, victim, site);
	double helps = 0;
	for (uint32_t c = 0; c < problem->columns; c++) {
		int64_t lacks = shape->demand[c] - row[c];
		if (shape->demand[c] == 0 || lacks <= 0 || given[c] <= 0)
			continue;
		helps += (double)(given[c] < lacks ? given[c] : lacks) / (double)lacks;
	}
	double worth = search->place[number] == PLAN_NONE ? 0 : search->set.worth[search->place[number]];
	return helps > 0 ? victim->price / (helps + worth) : INFINITY;
}

static bool grows(const struct plan_problem *problem, const struct plan_shape *shape, const int64_t *row)
{
	for (uint32_t c = 0; c < problem->columns; c++)
		if (shape->demand[c] > 0 && row[c] < shape->demand[c])
			return false;
	return true;
}

static void add_to(int64_t *row, const int64_t *given, uint32_t columns, int64_t sign)
{
	for (uint32_t c = 0; c < columns; c++)
		row[c] += sign * given[c];
}

/* The cheapest that makes room on the site for one more of the shape, in the order of their shares and then without
 * whatever is not needed. */
static bool fill_bundle(const struct victims_search *search, const struct share *shares, size_t count, uint32_t s,
    uint32_t site, struct bundle *bundle)
{
	const struct plan_problem *problem = search->problem;
	const struct plan_shape *shape = &problem->shapes[s];
	int64_t row[RESOURCES_PER_OBJECT_MAX * 2];
	uint32_t columns = problem->columns;
	bool enough = false;
	if (columns > sizeof(row) / sizeof(*row))
		return false;
	for (uint32_t c = 0; c < columns; c++)
		row[c] = problem->free[(size_t)site * columns + c] - shape->demand[c] * shape->left[site];
	for (size_t i = 0; i < count && !(enough = grows(problem, shape, row)); i++) {
		bundle->victims[bundle->count++] = shares[i].victim;
		add_to(row, given_at(search, &search->victims[shares[i].victim], site), columns, 1);
	}
	enough = enough || grows(problem, shape, row);
	for (uint32_t i = bundle->count; enough && i-- > 0;) {
		const int64_t *given = given_at(search, &search->victims[bundle->victims[i]], site);
		add_to(row, given, columns, -1);
		if (grows(problem, shape, row))
			bundle->victims[i] = bundle->victims[--bundle->count];
		else
			add_to(row, given, columns, 1);
	}
	return enough && bundle->count > 0;
}

static bool bundle_allowed(struct victims_search *search, const struct bundle *bundle)
{
	uint32_t marked = 0;
	bool allowed = true;
	for (; allowed && marked < bundle->count; marked++) {
		uint32_t victim = bundle->victims[marked];
		allowed = victims__allowed(search, &search->victims[victim]) && !victims__overlaps(search, victim);
		victims__mark(search, victim, true);
	}
	while (marked-- > 0)
		victims__mark(search, bundle->victims[marked], false);
	return allowed;
}

static bool make_bundle(struct victims_search *search, uint32_t site, struct bundle *bundle)
{
	struct share shares[OPTION_MAX];
	size_t count = 0;
	uint32_t s = shape_for(search, site);
	*bundle = (struct bundle){.count = 0};
	if (s == PLAN_NONE)
		return false;
	for (uint32_t u = search->use_first[site]; u < search->use_first[site + 1] && count < OPTION_MAX; u++) {
		uint32_t number = search->uses[u];
		const struct victim *victim = &search->victims[number];
		if (victim->lifted || victims__overlaps(search, number) || !victims__allowed(search, victim) ||
		    (search->greedy->wholes && victim->whole != PLAN_NONE))
			continue;
		double share = share_of(search, victim, number, s, site);
		if (share < INFINITY)
			shares[count++] = (struct share){share, number};
	}
	qsort(shares, count, sizeof(*shares), share_order);
	if (!fill_bundle(search, shares, count, s, site, bundle) || !bundle_allowed(search, bundle))
		return false;
	for (uint32_t i = 0; i < bundle->count; i++)
		bundle->price += search->victims[bundle->victims[i]].price;
	return true;
}

/* What is there now of what is missing without any victim, and a little of what is beyond it. */
static double there(const struct victims_search *search)
{
	const struct plan_problem *problem = search->problem;
	double sum = 0;
	for (uint32_t s = 0; s < problem->shape_count; s++) {
		double has = (double)plan__sum(problem, s, &search->set.scope), wanted = (double)problem->wanted[s];
		double scale = search->set.missing[s] > 0 ? search->set.missing[s] : 1;
		sum += (has < wanted ? has : wanted) / scale + TINY * has / (wanted > 0 ? wanted : 1);
	}
	return sum;
}

static double ratio_of(struct victims_search *search, const struct bundle *bundle)
{
	double was = there(search), gain;
	for (uint32_t i = 0; i < bundle->count; i++)
		victims__lift(search, bundle->victims[i]);
	gain = there(search) - was;
	for (uint32_t i = bundle->count; i-- > 0;)
		victims__lower(search, bundle->victims[i]);
	return gain > 0 ? bundle->price / gain : INFINITY;
}

static size_t bundle_effort(const struct victims_search *search, const struct bundle *bundle)
{
	size_t effort = 300;
	for (uint32_t i = 0; i < bundle->count; i++)
		effort += 3 * victims__effort(&search->victims[bundle->victims[i]]);
	return effort;
}

/* Of a unit that is the option of many sites, one will do. */
static size_t add_option(struct victims_search *search, uint32_t site, bool once)
{
	struct victims_greedy *greedy = search->greedy;
	struct bundle bundle;
	if (!make_bundle(search, site, &bundle))
		return 300;
	uint32_t place = search->place[bundle.victims[0]];
	if (once && bundle.count == 1 && place != PLAN_NONE && greedy->alone[place])
		return 300;
	if (bundle.count == 1 && place != PLAN_NONE)
		greedy->alone[place] = 1;
	uint32_t version = greedy->versions[site - search->set.scope.first];
	push(greedy, (struct option){ratio_of(search, &bundle), site, version});
	return bundle_effort(search, &bundle);
}

/* ---- taking, trimming ---- */

static size_t take(struct victims_search *search, const struct bundle *bundle)
{
	struct victims_greedy *greedy = search->greedy;
	const struct plan_scope *scope = &search->set.scope;
	size_t effort = 0;
	for (uint32_t i = 0; i < bundle->count; i++) {
		victims__lift(search, bundle->victims[i]);
		greedy->taken[greedy->taken_count++] = bundle->victims[i];
	}
	for (uint32_t i = 0; i < bundle->count; i++) {
		const struct plan_lift *lift = &search->victims[bundle->victims[i]].lift;
		for (uint32_t use = 0; use < lift->count; use++) {
			uint32_t site = lift->sites[use];
			if (site < scope->first || site >= scope->end)
				continue;
			greedy->versions[site - scope->first]++;
			effort += add_option(search, site, false);
		}
	}
	return effort;
}

static int dearest_first(const void *a, const void *b, void *ctx)
{
	const struct victim *victims = ctx;
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	if (victims[left].price != victims[right].price)
		return victims[left].price > victims[right].price ? -1 : 1;
	return left < right ? -1 : 1;
}

static bool took_parts(const struct victims_search *search)
{
	for (uint32_t i = 0; i < search->greedy->taken_count; i++)
		if (search->victims[search->greedy->taken[i]].whole != PLAN_NONE)
			return true;
	return false;
}

static void begin_with_wholes(struct victims_search *search)
{
	victims__lower_all(search);
	victims__greedy_free(search);
	begin(search);
	search->greedy->wholes = true;
}

static size_t take_best(struct victims_search *search)
{
	struct victims_greedy *greedy = search->greedy;
	struct bundle bundle;
	if (greedy->count == 0 && !greedy->wholes && took_parts(search)) {
		begin_with_wholes(search);
		return EFFORT_TRIM;
	}
	if (greedy->count == 0) {
		greedy->phase = GREEDY_TRIM;
		return 1;
	}
	struct option option = pop(greedy);
	if (option.version != greedy->versions[option.site - search->set.scope.first] ||
	    !make_bundle(search, option.site, &bundle))
		return 300;
	double ratio = ratio_of(search, &bundle);
	size_t effort = bundle_effort(search, &bundle);
	if (ratio == INFINITY)
		return effort;
	if (greedy->count > 0 && ratio > greedy->options[0].ratio) {
		push(greedy, (struct option){ratio, option.site, option.version});
		return effort;
	}
	effort += take(search, &bundle);
	greedy->fits = victims__fits(search, &search->set.scope);
	if (!greedy->fits)
		return effort;
	qsort_r(greedy->taken, greedy->taken_count, sizeof(*greedy->taken), dearest_first, search->victims);
	greedy->phase = GREEDY_TRIM;
	greedy->next = 0;
	return effort;
}

static bool trim(struct victims_search *search, size_t *effort)
{
	struct victims_greedy *greedy = search->greedy;
	if (!greedy->fits || greedy->next >= greedy->taken_count) {
		if (greedy->fits)
			victims__offer(search);
		victims__lower_all(search);
		victims__greedy_free(search);
		return true;
	}
	uint32_t victim = greedy->taken[greedy->next++];
	victims__lower(search, victim);
	if (!victims__fits(search, &search->set.scope))
		victims__lift(search, victim);
	*effort += EFFORT_TRIM + 2 * victims__effort(&search->victims[victim]);
	return false;
}

bool victims__greedy(struct victims_search *search, size_t *effort)
{
	if (!search->greedy)
		begin(search);
	struct victims_greedy *greedy = search->greedy;
	if (greedy->phase == GREEDY_TRIM)
		return trim(search, effort);
	if (greedy->phase == GREEDY_TAKE) {
		*effort += take_best(search);
		return false;
	}
	if (greedy->next < search->set.scope.end)
		*effort += add_option(search, greedy->next++, true);
	else
		greedy->phase = GREEDY_TAKE;
	return false;
}
