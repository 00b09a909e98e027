/* Random fleets with work on them, and a demand that does not fit, as plain facts; and what they are as pods, units and
 * nodes. For victims_oracle_test.c alone. */
#ifndef TEST_CORE_VICTIMS_INSTANCE_H
#define TEST_CORE_VICTIMS_INSTANCE_H

#include "berth/victims.h"
#include "world.h"

#define NODES 6
#define UNITS 10
#define UNIT_PODS 4
#define DEMAND 4
#define OTHERS 3
#define BUDGETS 2
#define TEAMS 3
#define HOUR (3600 * SECOND)
#define NOW (1000 * HOUR)

struct fact_node {
	int block, rack, gpus, pool; /* pool: H100 or A100 */
	bool ready;
	int other_gpus; /* of pods that are nobody's victims */
};

struct fact_pod {
	int node, gpus, cpu;
};

struct fact_unit {
	char id[16];
	int class_, team, lent_by; /* -1 = none */
	int priority;
	bool suspend, recreated;
	unsigned keep, moves;
	int pod_count;
	struct fact_pod pods[UNIT_PODS];
	int64_t start, checkpoint;
	int draws[BUDGETS];
	int part_of; /* -1; else its only pod is one of that unit's, … */
	int of_pod;  /* … this one: each of its last ones is a part at most once */
};

struct facts {
	uint64_t seed;
	int node_count, unit_count, demand_count;
	struct fact_node nodes[NODES];
	struct fact_unit units[UNITS];
	int demand_gpus[DEMAND], demand_cpu[DEMAND];
	int require; /* level, or -1 */
	int priority, class_, team;
	int64_t budgets[BUDGETS];
	bool teams;
	int parent[TEAMS];
	int64_t used[TEAMS][MODELS], guaranteed[TEAMS][MODELS];
	unsigned moves_max;
	int64_t min_runtime[CLASSES];
	bool evict[CLASSES];
};

enum {
	DRAWN_HIGHER,
	DRAWN_EQUAL,
	DRAWN_NO_CLASS_RIGHT,
	DRAWN_LENT,
	DRAWN_RECLAIM,
	DRAWN_KEPT,
	DRAWN_NOT_RECREATED,
	DRAWN_MIN_RUNTIME,
	DRAWN_MOVED,
	DRAWN_BUDGET,
	DRAWN_BUDGET_TOGETHER,
	DRAWN_GUARANTEE,
	DRAWN_PART,
	DRAWN_PARTS,
	DRAWN_CHECKPOINT,
	DRAWN_FUTURE,
	DRAWN_BEFORE_START,
	DRAWN_REQUIRE,
	DRAWN_SHAPES,
	DRAWN_GANG_UNIT,
	DRAWN_BLOCKS,
	DRAWN_COUNT
};
static const char *const drawn_names[DRAWN_COUNT] = {"higher priority", "equal priority", "class without right", "lent",
    "reclaim", "protected", "not made anew", "within minRuntime", "moved enough", "budget too small for one",
    "budget too small for all", "guarantee of another team", "elastic surplus", "several of one gang", "checkpoint",
    "checkpoint to come", "checkpoint before start", "required domain", "two shapes", "unit on several nodes",
    "damage to a free block"};
static bool now[DRAWN_COUNT];

/* ---- drawing ---- */

static int gpus_used(const struct facts *facts, int n)
{
	int used = facts->nodes[n].other_gpus;
	for (int u = 0; u < facts->unit_count; u++)
		for (int p = 0; p < facts->units[u].pod_count && facts->units[u].part_of < 0; p++)
			if (facts->units[u].pods[p].node == n)
				used += facts->units[u].pods[p].gpus;
	return used;
}

static void draw_pods(struct prng *prng, struct facts *facts, struct fact_unit *unit)
{
	int wanted = one_in(prng, 2) ? 1 : 1 + (int)pick(prng, UNIT_PODS), first = -1;
	for (int p = 0; p < wanted; p++) {
		int n = (int)pick(prng, facts->node_count), gpus = 1 << pick(prng, 4);
		int left = facts->nodes[n].gpus - gpus_used(facts, n);
		for (int q = 0; q < unit->pod_count; q++)
			if (unit->pods[q].node == n)
				left -= unit->pods[q].gpus;
		if (gpus > left)
			gpus = left;
		if (gpus <= 0)
			continue;
		now[DRAWN_GANG_UNIT] |= first >= 0 && first != n;
		first = n;
		unit->pods[unit->pod_count++] = (struct fact_pod){n, gpus, 500 * (int)pick(prng, 5)};
	}
}

static void draw_unit(struct prng *prng, struct facts *facts, int u)
{
	struct fact_unit *unit = &facts->units[u];
	*unit = (struct fact_unit){.class_ = one_in(prng, 2) ? (int)pick(prng, CLASSES) : CLASS_BATCH,
	    .team = facts->teams && !one_in(prng, 6) ? (int)pick(prng, TEAMS) : -1,
	    .lent_by = one_in(prng, 4) ? (int)pick(prng, CLASSES) : -1,
	    .priority = (int)pick(prng, 4),
	    .suspend = !one_in(prng, 3),
	    .recreated = !one_in(prng, 12),
	    .keep = one_in(prng, 15) ? 1u << pick(prng, 3) : 0,
	    .moves = one_in(prng, 3) ? (unsigned)pick(prng, 3) : 0,
	    .start = NOW - pick(prng, 30) * HOUR / 2,
	    .part_of = -1};
	snprintf(unit->id, sizeof(unit->id), "u%d", (int)(prng_next(prng) % 90) * 10 + u);
	if (one_in(prng, 2)) {
		unit->checkpoint = NOW - pick(prng, 20) * HOUR / 2 + (one_in(prng, 8) ? 12 * HOUR : 0);
		now[DRAWN_CHECKPOINT] = true;
		now[DRAWN_FUTURE] |= unit->checkpoint > NOW;
		now[DRAWN_BEFORE_START] |= unit->checkpoint < unit->start;
	}
	for (int b = 0; b < BUDGETS; b++)
		unit->draws[b] = one_in(prng, 4) ? 1 + (int)pick(prng, 2) : 0;
	draw_pods(prng, facts, unit);
}

static void draw_part(struct prng *prng, struct facts *facts, int u)
{
	struct fact_unit *part = &facts->units[u];
	int whole = (int)pick(prng, u);
	if (facts->units[whole].pod_count < 2 || facts->units[whole].part_of >= 0)
		return;
	int before = 0;
	for (int v = 0; v < u; v++)
		before += facts->units[v].part_of == whole;
	if (before + 1 >= facts->units[whole].pod_count)
		return;
	*part = facts->units[whole];
	snprintf(part->id, sizeof(part->id), "p%d", u);
	part->part_of = whole;
	part->of_pod = part->pod_count - 1 - before;
	part->pods[0] = part->pods[part->of_pod];
	part->pod_count = 1;
	part->suspend = false;
	/* What keeps another member of its gang does not keep it; and it may have been moved when its gang was not. */
	if (one_in(prng, 2))
		part->keep = 0;
	if (one_in(prng, 4))
		part->moves = (unsigned)pick(prng, 3);
	if (one_in(prng, 4))
		part->start = NOW - pick(prng, 30) * HOUR / 2;
	now[DRAWN_PART] = true;
	now[DRAWN_PARTS] |= before > 0;
}

static void draw_teams(struct prng *prng, struct facts *facts)
{
	facts->teams = one_in(prng, 2);
	facts->team = facts->teams && !one_in(prng, 5) ? (int)pick(prng, TEAMS) : -1;
	for (int t = 0; t < TEAMS; t++) {
		facts->parent[t] = t > 0 && one_in(prng, 3) ? 0 : -1;
		for (int p = 0; p < MODELS; p++)
			facts->guaranteed[t][p] = one_in(prng, 2) ? 0 : pick(prng, t == facts->team ? 80 : 20) * 1000;
	}
}

static void use_teams(struct facts *facts)
{
	for (int u = 0; u < facts->unit_count; u++)
		for (int t = facts->units[u].part_of < 0 ? facts->units[u].team : -1; t >= 0; t = facts->parent[t])
			for (int p = 0; p < facts->units[u].pod_count; p++)
				facts->used[t][facts->nodes[facts->units[u].pods[p].node].pool] +=
				    facts->units[u].pods[p].gpus * 1000;
}

static void draw_demand(struct prng *prng, struct facts *facts)
{
	static const int sizes[] = {1, 2, 4, 8};
	facts->demand_count = 1 + (int)pick(prng, DEMAND);
	facts->demand_gpus[0] = sizes[pick(prng, 4)];
	facts->demand_cpu[0] = 1000 * (1 + (int)pick(prng, 3));
	for (int i = 1; i < facts->demand_count; i++) {
		bool same = !one_in(prng, 5);
		facts->demand_gpus[i] = same ? facts->demand_gpus[0] : sizes[pick(prng, 4)];
		facts->demand_cpu[i] = same ? facts->demand_cpu[0] : 1000 * (1 + (int)pick(prng, 12));
		now[DRAWN_SHAPES] |= !same;
	}
	facts->require = one_in(prng, 3) ? (int)pick(prng, 2) : -1;
	now[DRAWN_REQUIRE] |= facts->require >= 0;
	facts->priority = 1 + (int)pick(prng, 5);
	facts->class_ = CLASS_PREFER;
}

static void draw(struct facts *facts, uint64_t seed)
{
	struct prng prng = {seed};
	*facts = (struct facts){.seed = seed};
	memset(now, 0, sizeof(now));
	facts->node_count = 2 + (int)pick(&prng, NODES - 1);
	for (int n = 0; n < facts->node_count; n++) {
		facts->nodes[n] = (struct fact_node){.block = (int)pick(&prng, 2),
		    .rack = (int)pick(&prng, 2),
		    .gpus = one_in(&prng, 4) ? 4 : 8,
		    .pool = one_in(&prng, 4) ? A100 : H100,
		    .ready = !one_in(&prng, 15)};
		facts->nodes[n].other_gpus = one_in(&prng, 4) ? (int)pick(&prng, facts->nodes[n].gpus) : 0;
	}
	draw_teams(&prng, facts);
	int count = 1 + (int)pick(&prng, UNITS);
	for (; facts->unit_count < count; facts->unit_count++)
		draw_unit(&prng, facts, facts->unit_count);
	for (int parts = one_in(&prng, 3) ? 3 : 0; parts > 0 && facts->unit_count < UNITS; parts--) {
		draw_part(&prng, facts, facts->unit_count);
		facts->unit_count += facts->units[facts->unit_count].id[0] != '\0';
	}
	draw_demand(&prng, facts);
	use_teams(facts);
	for (int b = 0; b < BUDGETS; b++)
		facts->budgets[b] = pick(&prng, 6);
	facts->moves_max = one_in(&prng, 3) ? 0 : 2;
	for (int c = 0; c < CLASSES; c++) {
		facts->min_runtime[c] = one_in(&prng, 2) ? 0 : pick(&prng, 4) * HOUR;
		facts->evict[c] = one_in(&prng, 4);
	}
}

/* ---- the same as pods, units and nodes ---- */

struct made {
	struct fleet *fleet;
	struct policy *policy;
	size_t pod_count, entry_count[UNITS];
	struct pod *pods[UNITS * UNIT_PODS + NODES + DEMAND];
	struct plan_member members[DEMAND];
	char uids[UNITS][UNIT_PODS][32];
	const char *uid_of[UNITS][UNIT_PODS];
	struct victims_draw draws[UNITS][BUDGETS];
	struct victims_unit units[UNITS];
	struct victims_team teams[TEAMS];
	int place[UNITS]; /* of a fact unit in the request */
	struct victims_request request;
};

static struct pod *make_pod(struct made *made, const char *uid, int cpu, int gpus, const char *class_)
{
	struct pod *pod = pod_simple(made->fleet, uid, cpu, gpus);
	pod->class_name = class_;
	return made->pods[made->pod_count++] = pod;
}

static void make_nodes(struct made *made, const struct facts *facts)
{
	for (int n = 0; n < facts->node_count; n++) {
		const struct fact_node *node = &facts->nodes[n];
		char name[16], uid[16], value[8];
		snprintf(name, sizeof(name), "n%d", n);
		struct node_spec *spec = spec_simple(made->fleet, name, node->pool, node->gpus);
		snprintf(value, sizeof(value), "%d", node->block);
		spec_label(spec, "block", value);
		snprintf(value, sizeof(value), "%d", node->rack);
		spec_label(spec, "rack", value);
		spec->ready = node->ready;
		fleet_put_node(made->fleet, spec);
		if (node->other_gpus == 0)
			continue;
		snprintf(uid, sizeof(uid), "other%d", n);
		ledger_reserve(made->fleet, make_pod(made, uid, 0, node->other_gpus, NULL), slice_of(name),
		    LEDGER_BOUND, false, 0, 0);
	}
}

static void make_unit(struct made *made, const struct facts *facts, int u, size_t at)
{
	const struct fact_unit *from = &facts->units[u];
	struct victims_unit *unit = &made->units[at];
	size_t draws = 0;
	for (int b = 0; b < BUDGETS; b++)
		if (from->draws[b] > 0)
			made->draws[at][draws++] = (struct victims_draw){(size_t)b, from->draws[b]};
	for (int p = 0; p < from->pod_count; p++) {
		int whole = from->part_of < 0 ? u : from->part_of;
		int number = from->part_of < 0 ? p : from->of_pod;
		char name[16];
		snprintf(made->uids[at][p], sizeof(made->uids[at][p]), "pod%d-%d", whole, number);
		made->uid_of[at][p] = made->uids[at][p];
		snprintf(name, sizeof(name), "n%d", from->pods[p].node);
		if (from->part_of < 0)
			ledger_reserve(made->fleet,
			    make_pod(made, made->uids[at][p], from->pods[p].cpu, from->pods[p].gpus, NULL),
			    slice_of(name), LEDGER_BOUND, true, 0, 0);
	}
	*unit = (struct victims_unit){.id = from->id,
	    .class_ = (uint16_t)from->class_,
	    .team = from->team < 0 ? VICTIMS_NONE : (uint16_t)from->team,
	    .lent_by = from->lent_by < 0 ? VICTIMS_NONE : (uint16_t)from->lent_by,
	    .priority = from->priority,
	    .way = from->suspend ? VICTIMS_SUSPEND : VICTIMS_EVICT,
	    .recreated = from->recreated,
	    .keep = from->keep,
	    .moves = from->moves,
	    .member_count = (size_t)from->pod_count,
	    .members = made->uid_of[at],
	    .start_ns = from->start,
	    .checkpoint_ns = from->checkpoint,
	    .draw_count = draws,
	    .draws = made->draws[at],
	    .part_of = from->part_of < 0 ? VICTIMS_WHOLE : (size_t)made->place[from->part_of]};
}

/* `turned`: units and members in the opposite order. */
static void make(struct made *made, const struct facts *facts, bool turned)
{
	*made = (struct made){.fleet = fleet_new(&world_catalogue), .policy = policy_world()};
	struct policy_class *demands = &made->policy->classes[facts->class_];
	demands->may_preempt_count = 2;
	demands->may_preempt = arena_calloc(&made->policy->arena, 2, sizeof(uint16_t));
	demands->may_preempt[0] = CLASS_BATCH;
	demands->may_preempt[1] = CLASS_SPREAD;
	for (int c = 0; c < CLASSES; c++) {
		made->policy->classes[c].victim.min_runtime_ns = facts->min_runtime[c];
		made->policy->classes[c].victim.evict = facts->evict[c];
	}
	fleet_set_policy(made->fleet, made->policy);
	make_nodes(made, facts);
	for (int i = 0; i < facts->unit_count; i++) {
		made->place[turned ? facts->unit_count - 1 - i : i] = i;
	}
	for (int u = 0; u < facts->unit_count; u++)
		make_unit(made, facts, u, (size_t)made->place[u]);
	for (int i = 0; i < facts->demand_count; i++) {
		int d = turned ? facts->demand_count - 1 - i : i;
		char uid[16];
		snprintf(uid, sizeof(uid), "new%d", d);
		made->members[i] = (struct plan_member){
		    .pod = make_pod(made, uid, facts->demand_cpu[d], facts->demand_gpus[d], "prefer"),
		    .rank = PLAN_NO_RANK};
	}
	for (int t = 0; t < TEAMS; t++)
		made->teams[t] =
		    (struct victims_team){"team", facts->parent[t] < 0 ? VICTIMS_NONE : (uint16_t)facts->parent[t],
		        facts->used[t], facts->guaranteed[t]};
	made->request = (struct victims_request){
	    .demand = {.count = (size_t)facts->demand_count, .members = made->members, .topology = PLAN_ANYWHERE},
	    .class_ = (uint16_t)facts->class_,
	    .team = facts->team < 0 ? VICTIMS_NONE : (uint16_t)facts->team,
	    .priority = facts->priority,
	    .now_ns = NOW,
	    .unit_count = (size_t)facts->unit_count,
	    .units = made->units,
	    .budget_count = BUDGETS,
	    .budgets = facts->budgets,
	    .team_count = facts->teams ? TEAMS : 0,
	    .teams = made->teams,
	    .moves_max = facts->moves_max};
	made->request.demand.topology.require = facts->require;
}

static void unmake(struct made *made)
{
	fleet_free(made->fleet);
	policy_free(made->policy);
	for (size_t i = 0; i < made->pod_count; i++)
		pod_free(made->pods[i]);
}

#endif
