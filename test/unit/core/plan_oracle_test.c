/* The planner against brute force: random gangs of up to 8 members on up to 10 nodes with three levels of topology. The
 * oracle shares nothing with the planner but the types of its result: instances are drawn as plain facts, pods and
 * nodes are made of them, and the oracle judges by the facts. It goes through all assignments that could be better than
 * what the planner found. A failing instance prints its seed; BERTH_TEST_SEED=… BERTH_ORACLE_INSTANCES=1 runs it alone.
 * Of larger gangs, which the planner does not search to the end either, it is checked that all that is asked holds. */
#include "plan_instance.h"

#define INSTANCES 10000
#define LARGE_INSTANCES 1000

/* ---- the oracle ---- */

static bool tainted(const struct tnode *node, const struct type *type)
{
	return (node->red || node->error) && !type->tolerates;
}

/* Node selector and required node affinity, volumes left aside. */
static bool selects(const struct type *type, const struct tnode *node)
{
	if (type->disk >= 0 && node->label[KEY_DISK] != type->disk)
		return false;
	return type->not_zone < 0 || node->label[KEY_ZONE] != type->not_zone;
}

static bool suits(const struct instance *instance, int m, int n)
{
	const struct tmember *member = &instance->members[m];
	const struct type *type = &instance->types[member->type];
	const struct tnode *node = &instance->nodes[n];
	if (!node->ready || node->error || (node->cordoned && !type->tolerates) || tainted(node, type))
		return false;
	if (!selects(type, node) || (type->volume_zone >= 0 && node->label[KEY_ZONE] != type->volume_zone))
		return false;
	if ((member->only && !(member->only >> n & 1)) || (member->never >> n & 1))
		return false;
	for (int i = 0; i < type->affinity_count; i++)
		if (node->label[type->affinity[i].key] < 0)
			return false;
	for (int i = 0; i < type->spread_count; i++)
		if (node->label[type->spread[i].key] < 0)
			return false;
	return true;
}

static bool same_domain(const struct instance *instance, int a, int b, int level)
{
	if (level == HOST)
		return a == b;
	for (int l = 0; l <= level; l++)
		if (instance->nodes[a].label[l] < 0 || instance->nodes[a].label[l] != instance->nodes[b].label[l])
			return false;
	return true;
}

static bool in_some_domain(const struct instance *instance, int n, int level)
{
	return level == HOST || same_domain(instance, n, n, level);
}

static int crossed(int level)
{
	return LEVELS - level; /* -1 → LEVELS + 1 */
}

/* The tightest level that holds all members with `chosen` >= 0 that `in` says; HOST for none. */
static int tightest(const struct instance *instance, const int *chosen, const bool *in)
{
	int first = -1, level = HOST;
	for (int m = 0; m < instance->member_count; m++) {
		if (chosen[m] < 0 || !in[m])
			continue;
		if (first < 0)
			first = chosen[m];
		while (level >= 0 && !same_domain(instance, first, chosen[m], level))
			level--;
	}
	return level;
}

static bool held(const struct instance *instance, const int *chosen, const bool *in, int level)
{
	if (level < 0)
		return true;
	for (int m = 0; m < instance->member_count; m++)
		if (chosen[m] >= 0 && in[m] && !in_some_domain(instance, chosen[m], level))
			return false;
	return tightest(instance, chosen, in) >= level;
}

static bool node_whole(const struct instance *instance, int n, bool *counts)
{
	const struct tnode *node = &instance->nodes[n];
	int gpus_used = node->gpus_used, cpu_used = node->cpu_used;
	for (int m = 0; m < instance->member_count; m++)
		if (instance->members[m].fixed == n) {
			gpus_used += instance->types[instance->members[m].type].gpus;
			cpu_used += instance->types[instance->members[m].type].cpu;
		}
	*counts = node->ready && !node->error && (!instance->gpus || node->gpus > 0);
	if (!*counts)
		return false;
	return instance->gpus ? gpus_used == 0 : (node->cpu - cpu_used) * 16 / node->cpu >= 14;
}

static size_t block_of(const struct instance *instance, int n)
{
	bool counts;
	size_t block = 1;
	if (!node_whole(instance, n, &counts))
		return 0;
	for (int level = LEVELS - 1; level >= 0; level--) {
		size_t size = 0, whole = 0;
		if (!in_some_domain(instance, n, level))
			continue;
		for (int other = 0; other < instance->node_count; other++) {
			if (!same_domain(instance, n, other, level))
				continue;
			whole += node_whole(instance, other, &counts);
			size += counts;
		}
		block = whole == size ? size : block;
	}
	return block;
}

static int run_of(const struct instance *instance, int m, int segment)
{
	const struct tmember *member = &instance->members[m];
	int rank = member->rank;
	if (rank < 0) { /* by name among those without, which are all of them here */
		rank = 0;
		for (int other = 0; other < m; other++)
			rank += instance->members[other].group == member->group;
	}
	return rank / segment;
}

static const struct topo *segments_of(const struct instance *instance, int m)
{
	const struct topo *own = &instance->group_topo[instance->members[m].group];
	return instance->group_count && own->segment ? own : &instance->topo;
}

static bool bundles_hold(const struct instance *instance, const int *chosen)
{
	bool in[MEMBERS];
	for (int m = 0; m < MEMBERS; m++)
		in[m] = true;
	if (!held(instance, chosen, in, instance->topo.require))
		return false;
	for (int g = 0; g < instance->group_count; g++) {
		for (int m = 0; m < instance->member_count; m++)
			in[m] = instance->members[m].group == g;
		if (!held(instance, chosen, in, instance->group_topo[g].require))
			return false;
	}
	for (int m = 0; m < instance->member_count; m++) {
		const struct topo *topo = segments_of(instance, m);
		if (topo->segment == 0)
			continue;
		for (int other = 0; other < instance->member_count; other++)
			in[other] = instance->members[other].group == instance->members[m].group &&
			            run_of(instance, other, topo->segment) == run_of(instance, m, topo->segment);
		if (!held(instance, chosen, in, topo->segment_level))
			return false;
	}
	return true;
}

static struct plan_score score_of(const struct instance *instance, const int *chosen, const size_t *blocks)
{
	struct plan_score score = {0};
	bool in[MEMBERS];
	for (int m = 0; m < instance->member_count; m++) {
		in[m] = true;
		score.left_out += chosen[m] == -1;
		if (chosen[m] >= 0 && instance->members[m].fixed < 0 && blocks[chosen[m]] > score.block_destroyed)
			score.block_destroyed = blocks[chosen[m]];
	}
	score.levels_crossed = (size_t)crossed(tightest(instance, chosen, in));
	for (int g = 0; g < instance->group_count; g++) {
		int prefer = instance->group_topo[g].prefer, require = instance->group_topo[g].require;
		if (prefer < 0)
			continue;
		prefer = prefer < require ? require : prefer;
		for (int m = 0; m < instance->member_count; m++)
			in[m] = instance->members[m].group == g;
		int beyond = crossed(tightest(instance, chosen, in)) - crossed(prefer);
		score.beyond_preferred += beyond > 0 ? (size_t)beyond : 0;
	}
	for (int level = 0; level <= HOST; level++)
		for (int m = 0; m < instance->member_count; m++) {
			bool new = chosen[m] >= 0 && in_some_domain(instance, chosen[m], level);
			for (int other = 0; new &&other < m; other++)
				new = chosen[other] < 0 || !same_domain(instance, chosen[other], chosen[m], level);
			score.domains_used += new;
		}
	return score;
}

static int compare(const struct plan_score *a, const struct plan_score *b)
{
#define BY(term)                                                                                                       \
	if (a->term != b->term)                                                                                        \
	return a->term < b->term ? -1 : 1
	BY(left_out);
	BY(levels_crossed);
	BY(beyond_preferred);
	BY(domains_used);
	BY(block_destroyed);
#undef BY
	return 0;
}

static bool app_means(int app, int other)
{
	return app == ANY_APP || app == other;
}

static bool term_means(const struct type *type, const struct term *term, int app, int space)
{
	bool there = term->all_spaces || (term->other_space ? space == 1 : space == type->space);
	return there && app_means(term->app, app);
}

/* One more or less of a pod that is somewhere. */
struct presence {
	int app, space, node;
	const struct type *type; /* NULL: of a bound pod what it asks itself is not known */
};

struct crowd {
	int count;
	struct presence pods[NODES * 3 + MEMBERS];
};

static bool meets(const struct instance *instance, int a, int b, int key)
{
	int value = instance->nodes[a].label[key];
	return value >= 0 && value == instance->nodes[b].label[key];
}

static bool anti_passes(const struct instance *instance, const struct crowd *crowd, const struct type *type, int n)
{
	for (int i = 0; i < crowd->count; i++) {
		const struct presence *there = &crowd->pods[i];
		for (int t = 0; t < type->anti_count; t++)
			if (term_means(type, &type->anti[t], there->app, there->space) &&
			    meets(instance, n, there->node, type->anti[t].key))
				return false;
		for (int t = 0; there->type && t < there->type->anti_count; t++)
			if (term_means(there->type, &there->type->anti[t], type->app, type->space) &&
			    meets(instance, n, there->node, there->type->anti[t].key))
				return false;
	}
	return true;
}

static bool all_mean(const struct type *type, int app, int space)
{
	for (int t = 0; t < type->affinity_count; t++)
		if (!term_means(type, &type->affinity[t], app, space))
			return false;
	return true;
}

static bool affinity_passes(const struct instance *instance, const struct crowd *crowd, const struct type *type, int n)
{
	bool anybody = false, all = true;
	for (int t = 0; t < type->affinity_count; t++) {
		bool near = false;
		for (int i = 0; i < crowd->count; i++) {
			const struct presence *there = &crowd->pods[i];
			if (!all_mean(type, there->app, there->space) ||
			    instance->nodes[there->node].label[type->affinity[t].key] < 0)
				continue;
			anybody = true;
			near |= meets(instance, n, there->node, type->affinity[t].key);
		}
		all &= near;
	}
	return all || (!anybody && all_mean(type, type->app, type->space));
}

static bool spread_counts(const struct type *type, const struct spread *spread, const struct tnode *node)
{
	for (int i = 0; i < type->spread_count; i++)
		if (node->label[type->spread[i].key] < 0)
			return false;
	return (spread->any_affinity || selects(type, node)) && (!spread->honor_taints || !tainted(node, type));
}

static bool spread_passes(const struct instance *instance, const struct crowd *crowd, const struct type *type, int n)
{
	for (int c = 0; c < type->spread_count; c++) {
		const struct spread *spread = &type->spread[c];
		int counts[NODES], low = 1000, domains = 0; /* values are below NODES */
		for (int v = 0; v < NODES; v++)
			counts[v] = -1;
		for (int i = 0; i < instance->node_count; i++)
			if (spread_counts(type, spread, &instance->nodes[i]))
				counts[instance->nodes[i].label[spread->key]] = 0;
		for (int i = 0; i < crowd->count; i++) {
			const struct presence *there = &crowd->pods[i];
			if (there->space == type->space && app_means(spread->app, there->app) &&
			    spread_counts(type, spread, &instance->nodes[there->node]))
				counts[instance->nodes[there->node].label[spread->key]]++;
		}
		for (int v = 0; v < NODES; v++)
			if (counts[v] >= 0) {
				low = counts[v] < low ? counts[v] : low;
				domains++;
			}
		if (domains < spread->domains)
			low = 0;
		int here = counts[instance->nodes[n].label[spread->key]];
		if ((here < 0 ? 0 : here) + app_means(spread->app, type->app) - (low == 1000 ? 0 : low) > spread->skew)
			return false;
	}
	return true;
}

static struct crowd bound_crowd(const struct instance *instance)
{
	struct crowd crowd = {0};
	for (int n = 0; n < instance->node_count; n++)
		for (int i = 0; i < instance->nodes[n].bound_count; i++)
			if (instance->nodes[n].bound[i].ours)
				crowd.pods[crowd.count++] = (struct presence){
				    instance->nodes[n].bound[i].app, instance->nodes[n].bound[i].space, n, NULL};
	for (int m = 0; m < instance->member_count; m++) {
		const struct type *type = &instance->types[instance->members[m].type];
		if (instance->members[m].fixed >= 0)
			crowd.pods[crowd.count++] =
			    (struct presence){type->app, type->space, instance->members[m].fixed, type};
	}
	return crowd;
}

static bool passes(const struct instance *instance, const struct crowd *crowd, int m, int n)
{
	const struct type *type = &instance->types[instance->members[m].type];
	return anti_passes(instance, crowd, type, n) && affinity_passes(instance, crowd, type, n) &&
	       spread_passes(instance, crowd, type, n);
}

static void join(const struct instance *instance, struct crowd *crowd, int m, int n)
{
	const struct type *type = &instance->types[instance->members[m].type];
	crowd->pods[crowd->count++] = (struct presence){type->app, type->space, n, type};
}

static bool asks_anything(const struct instance *instance)
{
	for (int t = 0; t < instance->type_count; t++)
		if (instance->types[t].affinity_count + instance->types[t].anti_count + instance->types[t].spread_count)
			return true;
	return false;
}

/* Whether there is an order in which all pass: over all sets of members that can be reached. */
static bool some_order(const struct instance *instance, const int *chosen)
{
	bool reached[1 << SMALL_MEMBERS] = {true};
	int all = 0;
	if (!asks_anything(instance))
		return true;
	for (int m = 0; m < instance->member_count; m++)
		if (chosen[m] >= 0 && instance->members[m].fixed < 0)
			all |= 1 << m;
	for (int set = 0; set <= all; set++) {
		if (!reached[set] || (set & ~all))
			continue;
		struct crowd crowd = bound_crowd(instance);
		for (int m = 0; m < instance->member_count; m++)
			if (set >> m & 1)
				join(instance, &crowd, m, chosen[m]);
		for (int m = 0; m < instance->member_count; m++)
			if ((all & ~set) >> m & 1 && passes(instance, &crowd, m, chosen[m]))
				reached[set | 1 << m] = true;
	}
	return reached[all];
}

static bool quorums_met(const struct instance *instance, const int *chosen)
{
	int placed = 0, groups[GROUPS] = {0};
	for (int m = 0; m < instance->member_count; m++) {
		placed += chosen[m] >= 0;
		groups[instance->members[m].group] += chosen[m] >= 0;
	}
	for (int g = 0; g < instance->group_count; g++)
		if (groups[g] < instance->group_quorum[g])
			return false;
	return placed >= (instance->quorum ? instance->quorum : instance->member_count);
}

struct oracle {
	const struct instance *instance;
	size_t blocks[NODES];
	int gpus[NODES], cpu[NODES], pods[NODES]; /* left */
	bool suits[MEMBERS][NODES];
	int twin[MEMBERS]; /* an earlier member that is alike in all, or -1 */
	int chosen[MEMBERS];
	bool found; /* `best` is that of some plan */
	struct plan_score best;
	size_t leaves;
};

static bool alike(const struct instance *instance, int a, int b)
{
	const struct tmember *left = &instance->members[a], *right = &instance->members[b];
	int one = segments_of(instance, a)->segment, other = segments_of(instance, b)->segment;
	return left->type == right->type && left->group == right->group && left->only == right->only &&
	       left->never == right->never && left->fixed < 0 && right->fixed < 0 &&
	       (one == 0 || run_of(instance, a, one) == run_of(instance, b, other));
}

static void use(struct oracle *oracle, int m, int n, int sign)
{
	const struct type *type = &oracle->instance->types[oracle->instance->members[m].type];
	oracle->gpus[n] -= sign * type->gpus;
	oracle->cpu[n] -= sign * type->cpu;
	oracle->pods[n] -= sign;
}

/* What is not asked for may be overdrawn, by fixed members. */
static bool has_room(const struct oracle *oracle, const struct type *type, int n)
{
	return (type->gpus == 0 || oracle->gpus[n] >= type->gpus) && oracle->cpu[n] >= type->cpu &&
	       oracle->pods[n] >= 1;
}

static bool anti_holds(const struct instance *instance, const int *chosen, int m)
{
	struct crowd crowd = bound_crowd(instance);
	for (int other = 0; other < m; other++)
		if (chosen[other] >= 0 && instance->members[other].fixed < 0)
			join(instance, &crowd, other, chosen[other]);
	return anti_passes(instance, &crowd, &instance->types[instance->members[m].type], chosen[m]);
}

static void go(struct oracle *oracle, int m)
{
	const struct instance *instance = oracle->instance;
	struct plan_score so_far;
	if (m < instance->member_count && instance->members[m].fixed >= 0) {
		go(oracle, m + 1);
		return;
	}
	/* Terms only grow: members not yet looked at are neither placed nor left out. */
	so_far = score_of(instance, oracle->chosen, oracle->blocks);
	if ((oracle->found && compare(&so_far, &oracle->best) >= 0) || !bundles_hold(instance, oracle->chosen))
		return;
	if (m == instance->member_count) {
		oracle->leaves++;
		if (quorums_met(instance, oracle->chosen) && some_order(instance, oracle->chosen)) {
			oracle->best = so_far;
			oracle->found = true;
		}
		return;
	}
	const struct type *type = &instance->types[instance->members[m].type];
	int from = oracle->twin[m] < 0 ? 0 : oracle->chosen[oracle->twin[m]];
	for (int n = from; from >= 0 && n < instance->node_count; n++) {
		if (!oracle->suits[m][n] || !has_room(oracle, type, n))
			continue;
		oracle->chosen[m] = n;
		use(oracle, m, n, 1);
		if (type->anti_count + asks_anything(instance) == 0 || anti_holds(instance, oracle->chosen, m))
			go(oracle, m + 1);
		use(oracle, m, n, -1);
	}
	if (instance->quorum) {
		oracle->chosen[m] = -1;
		go(oracle, m + 1);
	}
	oracle->chosen[m] = -2; /* not looked at */
}

static void oracle_begin(struct oracle *oracle, const struct instance *instance)
{
	*oracle = (struct oracle){.instance = instance};
	for (int n = 0; n < instance->node_count; n++) {
		const struct tnode *node = &instance->nodes[n];
		oracle->blocks[n] = block_of(instance, n);
		oracle->gpus[n] = node->gpus - node->gpus_used;
		oracle->cpu[n] = node->cpu - node->cpu_used;
		oracle->pods[n] = node->pods - node->pods_used;
	}
	for (int m = 0; m < instance->member_count; m++) {
		oracle->chosen[m] = instance->members[m].fixed >= 0 ? instance->members[m].fixed : -2;
		oracle->twin[m] = -1;
		if (instance->members[m].fixed >= 0)
			use(oracle, m, instance->members[m].fixed, 1);
		for (int n = 0; n < instance->node_count; n++)
			oracle->suits[m][n] = suits(instance, m, n);
		for (int other = 0; other < m; other++)
			if (alike(instance, m, other))
				oracle->twin[m] = other;
	}
}

/* ---- the comparison ---- */

static const char *show(const struct plan_score *score)
{
	static char texts[2][96];
	static int turn;
	char *text = texts[turn ^= 1];
	snprintf(text, sizeof(texts[0]), "out %zu levels %zu beyond %zu domains %zu block %zu", score->left_out,
	    score->levels_crossed, score->beyond_preferred, score->domains_used, score->block_destroyed);
	return text;
}

#define CHECK(instance, holds, ...)                                                                                    \
	do {                                                                                                           \
		if (!(holds)) {                                                                                        \
			printf("BERTH_TEST_SEED=%llu: ", (unsigned long long)(instance)->seed);                        \
			printf(__VA_ARGS__);                                                                           \
			printf("\n");                                                                                  \
			return false;                                                                                  \
		}                                                                                                      \
	} while (0)

static void read_plan(const struct instance *instance, const struct made *made, const struct plan *plan, int *chosen)
{
	for (int m = 0; m < instance->member_count; m++) {
		const struct node *node = plan->nodes[made->place[m]];
		chosen[m] = node ? atoi(node->name + 1) : -1;
	}
}

/* All that is asked holds, by the oracle's own reading. */
static bool plan_holds(const struct instance *instance, struct oracle *oracle, const int *chosen)
{
	for (int m = 0; m < instance->member_count; m++) {
		const struct tmember *member = &instance->members[m];
		if (member->fixed >= 0)
			CHECK(instance, chosen[m] == member->fixed, "member %d is fixed elsewhere", m);
		if (chosen[m] < 0 || member->fixed >= 0)
			continue;
		CHECK(instance, suits(instance, m, chosen[m]), "node %d does not suit member %d", chosen[m], m);
		CHECK(instance, has_room(oracle, &instance->types[member->type], chosen[m]), "node %d is overfull",
		    chosen[m]);
		use(oracle, m, chosen[m], 1);
	}
	CHECK(instance, quorums_met(instance, chosen), "a quorum is not met");
	CHECK(instance, bundles_hold(instance, chosen), "a required level or segment does not hold");
	return true;
}

static bool order_passes(
    const struct instance *instance, const struct made *made, const struct plan *plan, const int *chosen)
{
	struct crowd crowd = bound_crowd(instance);
	for (size_t i = 0; i < plan->placed; i++) {
		int m = 0;
		while (made->place[m] != (int)plan->order[i])
			m++;
		if (instance->members[m].fixed >= 0)
			continue;
		CHECK(instance, passes(instance, &crowd, m, chosen[m]), "member %d does not pass in its turn", m);
		join(instance, &crowd, m, chosen[m]);
	}
	return true;
}

/* In a gang of one kind, each domain's ranks are without gaps. */
static bool ranks_are_neighbours(const struct instance *instance, const int *chosen)
{
	if (instance->type_count > 1 || instance->group_count || instance->topo.segment ||
	    instance->members[0].rank < 0)
		return true;
	for (int m = 0; m < instance->member_count; m++)
		if (instance->members[m].fixed >= 0 || instance->members[m].only || instance->members[m].never)
			return true;
	for (int level = 0; level <= HOST; level++)
		for (int a = 0; a < instance->member_count; a++)
			for (int c = a + 2; c < instance->member_count; c++) {
				if (chosen[a] < 0 || chosen[c] < 0 ||
				    !same_domain(instance, chosen[a], chosen[c], level))
					continue;
				CHECK(instance,
				    chosen[a + 1] < 0 || same_domain(instance, chosen[a], chosen[a + 1], level),
				    "ranks %d and %d are together without %d", a, c, a + 1);
			}
	return true;
}

struct sums {
	size_t plans, none, exact, worse, leaves;
	double cost, least;
	size_t drawn[DRAWN_COUNT], planned[DRAWN_COUNT];
};

static void count_drawn(struct sums *sums, bool found)
{
	sums->plans += found;
	sums->none += !found;
	for (int i = 0; i < DRAWN_COUNT; i++) {
		sums->drawn[i] += now[i];
		sums->planned[i] += now[i] && found;
	}
}

static void print_drawn(const struct sums *sums)
{
	printf("  %-24s %8s %8s\n", "", "drawn", "planned");
	for (int i = 0; i < DRAWN_COUNT; i++)
		printf("  %-24s %8zu %8zu\n", drawn_names[i], sums->drawn[i], sums->planned[i]);
}

static bool turned_is_alike(const struct instance *instance, const int *chosen, bool found)
{
	struct made made;
	struct plan plan;
	int other[MEMBERS];
	make(&made, instance, true);
	plan_gang(made.fleet, &made.request, &plan);
	bool same = (plan.reason == REASON_CODE_FITS) == found;
	read_plan(instance, &made, &plan, other);
	for (int m = 0; m < instance->member_count && found; m++)
		same &= other[m] == chosen[m];
	plan_free(&plan);
	unmake(&made);
	CHECK(instance, same, "the order of members and nodes shows");
	return true;
}

static bool compare_with_oracle(
    const struct instance *instance, const struct made *made, const struct plan *plan, struct sums *sums)
{
	struct oracle oracle, check;
	struct plan_score planned;
	int chosen[MEMBERS];
	oracle_begin(&oracle, instance);
	oracle_begin(&check, instance);
	read_plan(instance, made, plan, chosen);
	bool found = plan->reason == REASON_CODE_FITS;
	if (found) {
		planned = score_of(instance, chosen, oracle.blocks);
		if (!plan_holds(instance, &check, chosen) || !order_passes(instance, made, plan, chosen) ||
		    !ranks_are_neighbours(instance, chosen))
			return false;
		CHECK(instance, compare(&planned, &plan->score) == 0, "score is %s, plan says %s", show(&planned),
		    show(&plan->score));
		oracle.found = true;
		oracle.best = planned;
	}
	go(&oracle, 0);
	sums->leaves += oracle.leaves;
	CHECK(instance, found || !oracle.found, "missed: %s (planner: %s)", show(&oracle.best),
	    reason_code(plan->reason));
	if (found) {
		CHECK(instance,
		    oracle.best.left_out == planned.left_out && oracle.best.levels_crossed == planned.levels_crossed,
		    "best is %s, planned %s", show(&oracle.best), show(&planned));
		CHECK(instance, !plan->exact || compare(&oracle.best, &planned) == 0, "exact? best is %s, planned %s",
		    show(&oracle.best), show(&planned));
		sums->exact += plan->exact;
		sums->worse += compare(&oracle.best, &planned) != 0;
		sums->cost += plan_cost(&planned);
		sums->least += plan_cost(&oracle.best);
	}
	return instance->seed % 4 != 0 || turned_is_alike(instance, chosen, found);
}

static void the_planner_misses_nothing(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("oracle");
	const char *given = getenv("BERTH_ORACLE_INSTANCES");
	size_t instances = given ? strtoull(given, NULL, 10) : INSTANCES, failures = 0;
	struct sums sums = {0};
	for (size_t i = 0; i < instances; i++) {
		struct instance instance;
		struct made made;
		struct plan plan;
		draw(&instance, i == 0 ? prng.state : prng_next(&prng), false);
		make(&made, &instance, false);
		plan_gang(made.fleet, &made.request, &plan);
		failures += !compare_with_oracle(&instance, &made, &plan, &sums);
		count_drawn(&sums, plan.reason == REASON_CODE_FITS);
		plan_free(&plan);
		unmake(&made);
	}
	printf("%zu instances: %zu planned (%zu searched to the end), %zu without any plan; %zu not the best\n",
	    instances, sums.plans, sums.exact, sums.none, sums.worse);
	printf("mean cost %.4f, least %.4f: %+.3f %%\n", sums.cost / (double)(sums.plans + !sums.plans),
	    sums.least / (double)(sums.plans + !sums.plans), 100 * (sums.cost / (sums.least + !sums.plans) - 1));
	print_drawn(&sums);
	assert_int_equal(failures, 0);
	assert_true(sums.cost <= 1.05 * sums.least);
	for (int i = 0; i < DRAWN_COUNT && instances >= INSTANCES; i++)
		assert_true(sums.planned[i] > 0);
}

static bool large_holds(const struct instance *instance, const struct made *made, const struct plan *plan)
{
	struct oracle oracle;
	int chosen[MEMBERS];
	bool found = plan->reason == REASON_CODE_FITS;
	oracle_begin(&oracle, instance);
	read_plan(instance, made, plan, chosen);
	if (found) {
		struct plan_score planned = score_of(instance, chosen, oracle.blocks);
		CHECK(instance, compare(&planned, &plan->score) == 0, "score is %s, plan says %s", show(&planned),
		    show(&plan->score));
		if (!plan_holds(instance, &oracle, chosen) || !order_passes(instance, made, plan, chosen) ||
		    !ranks_are_neighbours(instance, chosen))
			return false;
	}
	return instance->seed % 4 != 0 || turned_is_alike(instance, chosen, found);
}

static void plans_of_large_gangs_hold(void **state)
{
	(void)state;
	struct prng prng = prng_seeded("large");
	const char *given = getenv("BERTH_ORACLE_INSTANCES");
	size_t instances = given ? strtoull(given, NULL, 10) : LARGE_INSTANCES, failures = 0;
	struct sums sums = {0};
	for (size_t i = 0; i < instances; i++) {
		struct instance instance;
		struct made made;
		struct plan plan;
		draw(&instance, i == 0 ? prng.state : prng_next(&prng), true);
		make(&made, &instance, false);
		plan_gang(made.fleet, &made.request, &plan);
		failures += !large_holds(&instance, &made, &plan);
		count_drawn(&sums, plan.reason == REASON_CODE_FITS);
		plan_free(&plan);
		unmake(&made);
	}
	printf("%zu large instances: %zu planned\n", instances, sums.plans);
	print_drawn(&sums);
	assert_int_equal(failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_planner_misses_nothing),
	    cmocka_unit_test(plans_of_large_gangs_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
