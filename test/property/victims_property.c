/* Moves under random operations: work of several classes and teams comes, runs, is ended for other work, comes back and
 * ends, on a small fleet under a random policy; disruption budgets, protections, checkpoints and nodes change; time
 * passes. What is asked of the search, and what it answers, is judged by the world's own arrays. */
#include <stdlib.h>

#include "berth/victims.h"
#include "engine.h"

#include "../unit/core/world.h"

#define NODES 16
#define WORKS 64
#define PODS 6
#define KINDS 4 /* classes of the policy */
#define TEAMS 3
#define POOLS 2
#define BUDGETS 3
#define CASCADE (WORKS * KINDS)
#define BRUTE 9
#define NOT_PLACED (-1)
#define HOUR (3600 * SECOND)

enum state { NONE, RUNNING, SUSPENDED };

struct work {
	enum state state;
	uint16_t class_, team, lent_by;
	int32_t priority;
	int pods, quorum; /* of an elastic one pods beyond its quorum may go alone … */
	int out;          /* … and so many have, whose replacements wait for their room */
	int gpus, cpu;    /* of each pod */
	int node[PODS];
	bool recreated, singles; /* each pod is a unit of its own */
	unsigned keep, moves;
	int64_t start, checkpoint;
	int budget; /* or -1 */
};

struct world {
	struct fleet *fleet;
	struct policy *policy;
	struct prng prng;
	uint16_t rights[KINDS][KINDS];
	bool lends[KINDS][KINDS]; /* headroom of the one is lent to the other */
	int node_count;
	int capacity[NODES], pool[NODES];
	bool ready[NODES];
	struct work works[WORKS];
	bool small; /* many of them on a node */
	bool teams;
	uint16_t parent[TEAMS];
	int64_t guaranteed[TEAMS][POOLS];
	int64_t allowed[BUDGETS];
	unsigned moves_max;
	int64_t now;
	size_t moves;
};

/* --- facts --- */

static int64_t used_of(const struct world *w, int team, int pool)
{
	int64_t used = 0;
	for (int i = 0; i < WORKS; i++)
		for (int t = w->works[i].team; w->works[i].state == RUNNING && t < TEAMS; t = w->parent[t])
			for (int p = 0; t == team && p < w->works[i].pods; p++)
				used += w->pool[w->works[i].node[p]] == pool ? w->works[i].gpus * 1000 : 0;
	return used;
}

static bool is_under(const struct world *w, int team, int above)
{
	for (; team < TEAMS; team = w->parent[team])
		if (team == above)
			return true;
	return false;
}

static const char *uid_of(int work, int pod)
{
	static char text[8][24];
	static unsigned turn;
	char *at = text[turn++ % 8];
	snprintf(at, sizeof text[0], "w%02d-%d", work, pod);
	return at;
}

static struct pod *pod_of(const struct world *w, int work, int p)
{
	const struct work *of = &w->works[work];
	struct pod *pod = pod_simple(w->fleet, uid_of(work, p), of->cpu, of->gpus);
	pod->class_name = w->policy->classes[of->class_].name;
	pod->priority = of->priority;
	return pod;
}

/* --- the policy: rights go from earlier classes to later ones, so that there is no cycle --- */

static struct policy *make_policy(struct world *w)
{
	struct policy *policy = policy_world();
	policy->class_count = KINDS;
	for (int i = 0; i < KINDS; i++) {
		struct policy_class *class_ = &policy->classes[i];
		class_->has_only = false;
		class_->max_gpus_per_pod = 0;
		class_->assume = 0;
		class_->may_preempt = w->rights[i];
		for (int j = i + 1; j < KINDS; j++) {
			if (!one_in(&w->prng, 4))
				w->rights[i][class_->may_preempt_count++] = (uint16_t)j;
			w->lends[i][j] = one_in(&w->prng, 3);
		}
		class_->victim.min_runtime_ns = one_in(&w->prng, 3) ? pick(&w->prng, 3) * HOUR : 0;
		class_->victim.evict = one_in(&w->prng, 3);
	}
	policy->fallback = KINDS - 1;
	return policy;
}

static void put_node(struct world *w, int n)
{
	char name[16], value[16];
	snprintf(name, sizeof name, "n%d", n);
	struct node_spec *spec = spec_simple(w->fleet, name, w->pool[n] == 0 ? H100 : A100, w->capacity[n]);
	snprintf(value, sizeof value, "%d", n / 4);
	spec_label(spec, "block", value);
	snprintf(value, sizeof value, "%d", n / 2);
	spec_label(spec, "rack", value);
	spec->ready = w->ready[n];
	fleet_put_node(w->fleet, spec);
}

static void *begin(uint64_t seed)
{
	struct world *w = xcalloc(1, sizeof *w);
	w->prng = (struct prng){seed};
	w->fleet = fleet_new(&world_catalogue);
	w->policy = make_policy(w);
	w->now = 1000 * HOUR;
	w->node_count = 2 + (int)pick(&w->prng, one_in(&w->prng, 3) ? NODES - 1 : 5);
	w->small = one_in(&w->prng, 3);
	w->teams = one_in(&w->prng, 2);
	w->moves_max = one_in(&w->prng, 2) ? 0 : 1 + (unsigned)pick(&w->prng, 3);
	fleet_set_policy(w->fleet, w->policy);
	for (int n = 0; n < w->node_count; n++) {
		w->capacity[n] = one_in(&w->prng, 4) ? 4 : 8;
		w->pool[n] = one_in(&w->prng, 4);
		w->ready[n] = true;
		put_node(w, n);
	}
	for (int t = 0; t < TEAMS; t++) {
		w->parent[t] = t == 2 && one_in(&w->prng, 2) ? 1 : VICTIMS_NONE;
		for (int p = 0; p < POOLS; p++)
			w->guaranteed[t][p] = one_in(&w->prng, 2) ? 0 : pick(&w->prng, 32) * 1000;
	}
	for (int b = 0; b < BUDGETS; b++)
		w->allowed[b] = pick(&w->prng, 6);
	return w;
}

static void end(void *world)
{
	struct world *w = world;
	fleet_free(w->fleet);
	policy_free(w->policy);
	free(w);
}

/* --- what the search is asked --- */

struct asked {
	int work[WORKS * PODS], pod[WORKS * PODS]; /* of each unit; pod -1 = all of them */
	char ids[WORKS * PODS][16];
	char uids[WORKS * PODS][PODS][24];
	const char *members[WORKS * PODS][PODS];
	struct victims_draw draws[WORKS * PODS];
	struct victims_unit units[WORKS * PODS];
	int64_t used[TEAMS][POOLS + 2];
	int64_t guaranteed[TEAMS][POOLS + 2];
	struct victims_team teams[TEAMS];
	struct pod *pods[PODS];
	struct plan_member demand[PODS];
	struct victims_request request;
};

static void add_unit(const struct world *w, struct asked *asked, int work, int pod, size_t part_of)
{
	const struct work *of = &w->works[work];
	size_t at = asked->request.unit_count++, count = 0;
	for (int p = pod < 0 ? 0 : pod; p < (pod < 0 ? of->pods : pod + 1); p++) {
		snprintf(asked->uids[at][count], sizeof asked->uids[at][count], "%s", uid_of(work, p));
		asked->members[at][count] = asked->uids[at][count];
		count++;
	}
	asked->work[at] = work;
	asked->pod[at] = pod;
	snprintf(asked->ids[at], sizeof asked->ids[at], "u%02d%c", work, pod < 0 ? 'x' : (char)('0' + pod));
	asked->draws[at] = (struct victims_draw){(size_t)(of->budget < 0 ? 0 : of->budget), (int64_t)count};
	asked->units[at] = (struct victims_unit){.id = asked->ids[at],
	    .class_ = of->class_,
	    .team = of->team,
	    .lent_by = of->lent_by,
	    .priority = of->priority,
	    .way = pod < 0 ? VICTIMS_SUSPEND : VICTIMS_EVICT,
	    .recreated = of->recreated,
	    .keep = of->keep,
	    .moves = of->moves,
	    .member_count = count,
	    .members = asked->members[at],
	    .start_ns = of->start,
	    .checkpoint_ns = of->checkpoint,
	    .draw_count = of->budget >= 0,
	    .draws = &asked->draws[at],
	    .part_of = part_of};
}

static void add_units(const struct world *w, struct asked *asked, int work)
{
	const struct work *of = &w->works[work];
	size_t whole = asked->request.unit_count;
	if (!of->singles)
		add_unit(w, asked, work, -1, VICTIMS_WHOLE);
	for (int p = of->singles ? 0 : of->quorum; p < of->pods; p++)
		add_unit(w, asked, work, p, of->singles ? VICTIMS_WHOLE : whole);
}

static struct asked *ask(struct world *w, int demand, int require)
{
	struct asked *asked = xcalloc(1, sizeof *asked);
	const struct work *for_ = &w->works[demand];
	for (int i = 0; i < WORKS; i++)
		if (w->works[i].state == RUNNING)
			add_units(w, asked, i);
	for (int t = 0; t < TEAMS; t++) {
		for (int p = 0; p < POOLS; p++) {
			asked->used[t][p] = used_of(w, t, p);
			asked->guaranteed[t][p] = w->guaranteed[t][p];
		}
		asked->teams[t] = (struct victims_team){"team", w->parent[t], asked->used[t], asked->guaranteed[t]};
	}
	for (int p = 0; p < for_->pods; p++) {
		asked->pods[p] = pod_of(w, demand, p);
		asked->demand[p] = (struct plan_member){.pod = asked->pods[p], .rank = PLAN_NO_RANK};
	}
	asked->request.demand =
	    (struct plan_request){.count = (size_t)for_->pods, .members = asked->demand, .topology = PLAN_ANYWHERE};
	asked->request.demand.topology.require = require;
	asked->request.class_ = for_->class_;
	asked->request.team = for_->team;
	asked->request.priority = for_->priority;
	asked->request.now_ns = w->now;
	asked->request.units = asked->units;
	asked->request.budget_count = BUDGETS;
	asked->request.budgets = w->allowed;
	asked->request.team_count = w->teams ? TEAMS : 0;
	asked->request.teams = asked->teams;
	asked->request.moves_max = w->moves_max;
	return asked;
}

static void asked_free(struct asked *asked)
{
	for (size_t p = 0; p < asked->request.demand.count; p++)
		pod_free(asked->pods[p]);
	free(asked);
}

/* --- what it may answer --- */

static int64_t unmet(const struct world *w, const struct asked *asked, int team, int pool)
{
	int64_t left = w->guaranteed[team][pool] - asked->used[team][pool];
	return left > 0 ? left : 0;
}

static int64_t owed_below(const struct world *w, const struct asked *asked, int above, int but, int pool)
{
	int64_t owed = 0;
	for (int t = 0; t < TEAMS; t++)
		owed += w->parent[t] == above && t != but ? unmet(w, asked, t, pool) : 0;
	return owed;
}

static bool is_beyond(const struct world *w, const struct asked *asked, int team, int of, int pool)
{
	int common = team;
	if (asked->used[team][pool] <= w->guaranteed[team][pool])
		return false;
	while (common < TEAMS && !is_under(w, of, common))
		common = w->parent[common];
	if (common >= TEAMS || w->guaranteed[common][pool] == 0)
		return true;
	int64_t beyond = asked->used[common][pool], spare = w->guaranteed[common][pool];
	for (int t = 0; t < TEAMS; t++)
		if (w->parent[t] == common) {
			beyond -= w->guaranteed[t][pool] - unmet(w, asked, t, pool);
			spare -= w->guaranteed[t][pool];
		}
	return beyond > spare;
}

static bool has_right(const struct world *w, const struct asked *asked, const struct work *demand, size_t unit)
{
	const struct work *victim = &w->works[asked->work[unit]];
	bool lower = victim->priority < demand->priority;
	const struct policy_class *class_ = &w->policy->classes[demand->class_];
	for (size_t i = 0; i < class_->may_preempt_count; i++)
		if (class_->may_preempt[i] == victim->class_ && victim->priority <= demand->priority)
			return true;
	if (lower && victim->lent_by == demand->class_)
		return true;
	if (!lower || !w->teams || victim->team >= TEAMS)
		return false;
	for (int p = 0; p < victim->pods; p++) {
		int pool = w->pool[victim->node[p]];
		bool claims = false;
		if (asked->pod[unit] >= 0 && asked->pod[unit] != p)
			continue;
		for (int t = demand->team, but = TEAMS; t < TEAMS; but = t, t = w->parent[t])
			claims |= !is_under(w, victim->team, t) && asked->used[t][pool] +
			                                                   demand->gpus * demand->pods * 1000 +
			                                                   owed_below(w, asked, t, but, pool) <=
			                                               w->guaranteed[t][pool];
		if (!claims || !is_beyond(w, asked, victim->team, demand->team, pool))
			return false;
	}
	return true;
}

static bool may_end(const struct world *w, const struct asked *asked, const struct work *demand, size_t unit)
{
	const struct work *victim = &w->works[asked->work[unit]];
	const struct policy_victim *rules = &w->policy->classes[victim->class_].victim;
	return has_right(w, asked, demand, unit) && !victim->keep && (victim->recreated || rules->evict) &&
	       w->now - victim->start >= rules->min_runtime_ns && (w->moves_max == 0 || victim->moves < w->moves_max);
}

/* Whether the units, a mask of those in `of`, may go together. */
static bool together(
    const struct world *w, const struct asked *asked, const struct work *demand, const size_t *of, size_t count)
{
	int64_t drawn[BUDGETS] = {0}, taken[TEAMS][POOLS] = {{0}};
	for (size_t i = 0; i < count; i++) {
		size_t unit = of[i];
		const struct work *victim = &w->works[asked->work[unit]];
		if (victim->budget >= 0)
			drawn[victim->budget] += (int64_t)asked->units[unit].member_count;
		for (int p = 0; p < victim->pods; p++)
			for (int t = w->teams ? victim->team : TEAMS; t < TEAMS; t = w->parent[t])
				if (asked->pod[unit] < 0 || asked->pod[unit] == p)
					taken[t][w->pool[victim->node[p]]] += victim->gpus * 1000;
		for (size_t j = 0; j < count; j++)
			if (asked->units[unit].part_of == of[j])
				return false;
	}
	for (int b = 0; b < BUDGETS; b++)
		if (drawn[b] > w->allowed[b])
			return false;
	for (int t = 0; t < TEAMS; t++)
		for (int p = 0; p < POOLS; p++)
			if (taken[t][p] > 0 && w->guaranteed[t][p] > 0 && !is_under(w, demand->team, t) &&
			    asked->used[t][p] - taken[t][p] < w->guaranteed[t][p])
				return false;
	return true;
}

static bool fits_without(const struct world *w, const struct asked *asked, const size_t *of, size_t count)
{
	const struct ledger_entry *gone[WORKS * PODS];
	struct plan_request request = asked->request.demand;
	struct plan plan;
	request.gone = gone;
	for (size_t i = 0; i < count; i++)
		for (size_t m = 0; m < asked->units[of[i]].member_count; m++)
			gone[request.gone_count++] = ledger_find(w->fleet, slice_of(asked->units[of[i]].members[m]));
	plan_gang(w->fleet, &request, &plan);
	bool fits = plan.reason == REASON_CODE_FITS;
	plan_free(&plan);
	return fits;
}

/* No set was found: then all together are not enough, or no few of them that may go together are. */
static void check_none(const struct world *w, const struct asked *asked, const struct work *demand)
{
	size_t may[WORKS * PODS] = {0}, whole[WORKS * PODS] = {0}, count = 0, wholes = 0;
	for (size_t u = 0; u < asked->request.unit_count; u++) {
		if (!may_end(w, asked, demand, u))
			continue;
		may[count++] = u;
		if (asked->units[u].part_of == VICTIMS_WHOLE)
			whole[wholes++] = u;
	}
	if (together(w, asked, demand, whole, wholes))
		PROPERTY_CHECK(!fits_without(w, asked, whole, wholes), "there was a set: all of %zu units", wholes);
	for (unsigned set = 1; count <= BRUTE && set < 1u << count; set++) {
		size_t of[BRUTE], some = 0;
		for (size_t i = 0; i < count; i++)
			if (set >> i & 1)
				of[some++] = may[i];
		if (together(w, asked, demand, of, some))
			PROPERTY_CHECK(!fits_without(w, asked, of, some), "there was a set of %zu units", some);
	}
}

static void check_chosen(
    const struct world *w, const struct asked *asked, const struct work *demand, const struct victims_answer *answer)
{
	size_t of[WORKS * PODS];
	for (size_t i = 0; i < answer->count; i++) {
		of[i] = answer->chosen[i].unit;
		PROPERTY_CHECK(may_end(w, asked, demand, of[i]), "unit %s may not be ended", asked->ids[of[i]]);
		enum victims_right right;
		PROPERTY_CHECK(victims_judge(w->fleet, &asked->request, of[i], &right) == VICTIMS_BAR_NONE &&
		                   right == answer->chosen[i].right,
		    "unit %s is judged otherwise alone", asked->ids[of[i]]);
	}
	PROPERTY_CHECK(together(w, asked, demand, of, answer->count), "the units may not go together");
	PROPERTY_CHECK(fits_without(w, asked, of, answer->count), "the demand does not fit without them");
	for (size_t left = 0; left < answer->count; left++) {
		size_t rest[WORKS * PODS], count = 0;
		for (size_t i = 0; i < answer->count; i++)
			if (i != left)
				rest[count++] = of[i];
		PROPERTY_CHECK(answer->cost.blocks > 0 || asked->request.demand.topology.require >= 0 ||
		                   !fits_without(w, asked, rest, count),
		    "unit %s is ended in vain", asked->ids[of[left]]);
	}
}

/* --- moves --- */

static void leave(struct world *w, int work, int pod)
{
	struct ledger_entry *entry = ledger_find(w->fleet, slice_of(uid_of(work, pod)));
	if (entry)
		ledger_release(w->fleet, entry);
}

static void stop(struct world *w, int work, enum state state)
{
	for (int p = 0; p < w->works[work].pods; p++)
		leave(w, work, p);
	w->works[work].state = state;
	w->works[work].pods += w->works[work].out; /* it comes again whole */
	w->works[work].out = 0;
}

static void start(struct world *w, int work, struct node *const *nodes)
{
	struct work *of = &w->works[work];
	for (int p = 0; p < of->pods; p++) {
		struct pod *pod = pod_of(w, work, p);
		ledger_reserve(w->fleet, pod, slice_of(nodes[p]->name), LEDGER_BOUND, true, w->now, 0);
		of->node[p] = atoi(nodes[p]->name + 1);
		pod_free(pod);
	}
	of->state = RUNNING;
	of->start = w->now;
	of->lent_by = VICTIMS_NONE;
	for (int c = 0; c < KINDS; c++)
		if (w->lends[c][of->class_] && one_in(&w->prng, 3))
			of->lent_by = (uint16_t)c;
}

/* The unit goes; of an elastic one the last pods first, so that those left keep their numbers. */
static void end_unit(struct world *w, const struct asked *asked, size_t unit)
{
	int work = asked->work[unit], pod = asked->pod[unit];
	struct work *of = &w->works[work];
	of->moves++;
	PROPERTY_CHECK(w->moves_max == 0 || of->moves <= w->moves_max || pod >= 0, "work %d was moved too often", work);
	if (of->budget >= 0)
		w->allowed[of->budget] -= (int64_t)asked->units[unit].member_count;
	if (pod < 0) {
		stop(w, work, SUSPENDED);
		return;
	}
	for (int p = pod; p < of->pods; p++)
		leave(w, work, p);
	for (int p = pod; p + 1 < of->pods; p++)
		of->node[p] = of->node[p + 1];
	of->pods--;
	of->out += !of->singles;
	for (int p = pod; p < of->pods; p++) {
		struct pod *again = pod_of(w, work, p);
		char name[16];
		snprintf(name, sizeof name, "n%d", of->node[p]);
		ledger_reserve(w->fleet, again, slice_of(name), LEDGER_BOUND, true, w->now, 0);
		pod_free(again);
	}
	PROPERTY_CHECK(of->singles || of->pods >= of->quorum, "an elastic work is below its quorum");
	if (of->pods == 0)
		of->state = NONE;
}

/* Whether it runs now; those ended for it are noted in `ended`. */
static bool demand(struct world *w, int work, int require, bool *ended)
{
	struct asked *asked = ask(w, work, require);
	struct victims_answer answer;
	victims_choose(w->fleet, &asked->request, &answer);
	bool placed = answer.verdict == VICTIMS_FOUND || answer.verdict == VICTIMS_NOT_NEEDED;
	PROPERTY_CHECK(answer.verdict != VICTIMS_OVERTAKEN, "overtaken by nothing");
	property_note("%s, %zu units", placed ? "placed" : "not placed", answer.count);
	if (answer.verdict == VICTIMS_FOUND)
		check_chosen(w, asked, &w->works[work], &answer);
	else if (!placed)
		check_none(w, asked, &w->works[work]);
	/* From the last pod of each work on, so that numbers stay. */
	for (size_t i = answer.count; i-- > 0;) {
		if (ended)
			ended[asked->work[answer.chosen[i].unit]] = true;
		end_unit(w, asked, answer.chosen[i].unit);
	}
	if (placed)
		start(w, work, answer.plan.nodes);
	w->moves += answer.count;
	victims_answer_free(&answer);
	asked_free(asked);
	return placed;
}

/* --- steps --- */

enum {
	COMES,
	COMES_AGAIN,
	RESUMES,
	MEMBER_RETURNS,
	ENDS,
	PASSES,
	SAVES,
	KEEPS,
	CHANGES_BUDGET,
	CHANGES_NODE,
	STEP_KINDS
};

static const struct property_kind kinds[STEP_KINDS] = {
    [COMES] = {"comes", 30},
    [COMES_AGAIN] = {"what was ended asks again, and so on", 6},
    [RESUMES] = {"resumes", 6},
    [MEMBER_RETURNS] = {"a member returns", 6},
    [ENDS] = {"ends", 8},
    [PASSES] = {"time passes", 10},
    [SAVES] = {"saves a checkpoint", 5},
    [KEEPS] = {"is protected or not", 3},
    [CHANGES_BUDGET] = {"a budget changes", 4},
    [CHANGES_NODE] = {"a node changes", 2},
};

/* The first work of a state from a place on, or -1. */
static int work_in(const struct world *w, enum state state, uint32_t from)
{
	for (uint32_t i = 0; i < WORKS; i++)
		if (w->works[(from + i) % WORKS].state == state)
			return (int)((from + i) % WORKS);
	return -1;
}

static int require_of(uint32_t arg)
{
	return arg % 4 == 0 ? (int)(arg / 4 % 2) : PLAN_NO_LEVEL;
}

static void comes(struct world *w, const struct property_step *step)
{
	int at = work_in(w, NONE, step->args[0]);
	struct prng prng = {step->args[1]};
	int64_t class_ = pick(&prng, KINDS), other = pick(&prng, KINDS);
	if (at < 0)
		return;
	w->works[at] = (struct work){.state = NONE,
	    .class_ = (uint16_t)(class_ < other ? class_ : other),
	    .team = one_in(&prng, 4) ? VICTIMS_NONE : (uint16_t)pick(&prng, TEAMS),
	    .lent_by = VICTIMS_NONE,
	    .pods = 1 + (int)pick(&prng, PODS),
	    .gpus = 1 << pick(&prng, w->small ? 2 : 4),
	    .cpu = 500 + 500 * (int)pick(&prng, 4),
	    .recreated = !one_in(&prng, 8),
	    .singles = one_in(&prng, 3),
	    .keep = one_in(&prng, 25),
	    .budget = one_in(&prng, 3) ? (int)pick(&prng, BUDGETS) : -1};
	w->works[at].priority = (int32_t)(pick(&prng, 3) + (w->works[at].class_ < KINDS / 2));
	w->works[at].quorum = one_in(&prng, 3) ? 1 + (int)pick(&prng, w->works[at].pods) : w->works[at].pods;
	demand(w, at, require_of(step->args[2]), NULL);
}

/* Whatever a move ended comes again at once and may end others: that has an end, as no two works end each other in
 * turn. */
static void cascade(struct world *w, const struct property_step *step)
{
	bool ended[WORKS] = {false};
	unsigned moves_max = w->moves_max;
	int64_t budget[BUDGETS];
	size_t rounds = 0;
	int at = work_in(w, SUSPENDED, step->args[0]);
	if (at < 0)
		return;
	memcpy(budget, w->allowed, sizeof budget);
	w->moves_max = 0;
	for (int b = 0; b < BUDGETS; b++)
		w->allowed[b] = 1000000;
	for (ended[at] = true; at >= 0; rounds++) {
		PROPERTY_CHECK(rounds < CASCADE, "moves that go on for ever");
		ended[at] = false;
		if (w->works[at].state == SUSPENDED)
			demand(w, at, PLAN_NO_LEVEL, ended);
		for (at = WORKS - 1; at >= 0 && !(ended[at] && w->works[at].state == SUSPENDED); at--)
			;
	}
	w->moves_max = moves_max;
	memcpy(w->allowed, budget, sizeof budget);
	for (int i = 0; i < WORKS; i++)
		w->works[i].moves = 0;
}

/* Ends nobody. */
static void resumes(struct world *w, const struct property_step *step)
{
	int at = work_in(w, SUSPENDED, step->args[0]);
	if (at < 0)
		return;
	struct asked *asked = ask(w, at, PLAN_NO_LEVEL);
	struct plan plan;
	plan_gang(w->fleet, &asked->request.demand, &plan);
	if (plan.reason == REASON_CODE_FITS)
		start(w, at, plan.nodes);
	plan_free(&plan);
	asked_free(asked);
}

/* Ends nobody either, and its gang runs on meanwhile. */
static void member_returns(struct world *w, const struct property_step *step)
{
	int at = -1;
	for (uint32_t i = 0; i < WORKS && at < 0; i++) {
		uint32_t work = (step->args[0] + i) % WORKS;
		if (w->works[work].state == RUNNING && w->works[work].out > 0)
			at = (int)work;
	}
	if (at < 0)
		return;
	struct work *of = &w->works[at];
	struct pod *pod = pod_of(w, at, of->pods);
	struct plan_member member = {.pod = pod, .rank = PLAN_NO_RANK};
	struct plan plan;
	plan_gang(w->fleet, &(struct plan_request){.count = 1, .members = &member, .topology = PLAN_ANYWHERE}, &plan);
	if (plan.reason == REASON_CODE_FITS) {
		ledger_reserve(w->fleet, pod, slice_of(plan.nodes[0]->name), LEDGER_BOUND, true, w->now, 0);
		of->node[of->pods++] = atoi(plan.nodes[0]->name + 1);
		of->out--;
	}
	plan_free(&plan);
	pod_free(pod);
}

static void passes(struct world *w, const struct property_step *step)
{
	int64_t day = w->now / (24 * HOUR);
	w->now += (int64_t)(step->args[0] % 90) * HOUR / 30;
	for (int i = 0; w->now / (24 * HOUR) != day && i < WORKS; i++)
		w->works[i].moves = 0;
}

static void changes_node(struct world *w, const struct property_step *step)
{
	int n = (int)(step->args[0] % (uint32_t)w->node_count);
	w->ready[n] = !w->ready[n];
	put_node(w, n);
}

static void do_step(void *world, const struct property_step *step)
{
	struct world *w = world;
	int running = work_in(w, RUNNING, step->args[0]);
	switch (step->kind) {
	case COMES:
		comes(w, step);
		break;
	case COMES_AGAIN:
		cascade(w, step);
		break;
	case RESUMES:
		resumes(w, step);
		break;
	case MEMBER_RETURNS:
		member_returns(w, step);
		break;
	case ENDS:
		if (running >= 0)
			stop(w, running, NONE);
		break;
	case PASSES:
		passes(w, step);
		break;
	case SAVES:
		if (running >= 0)
			w->works[running].checkpoint = w->now - (int64_t)(step->args[1] % 8) * HOUR + HOUR;
		break;
	case KEEPS:
		if (running >= 0)
			w->works[running].keep ^= 1u << step->args[1] % 3;
		break;
	case CHANGES_BUDGET:
		w->allowed[step->args[0] % BUDGETS] = step->args[1] % 7;
		break;
	default:
		changes_node(w, step);
		break;
	}
}

/* Works run whole, each pod in the ledger on its node, and no node has more than it has room for. */
static void check(void *world)
{
	const struct world *w = world;
	int used[NODES] = {0};
	size_t entries = 0;
	for (int i = 0; i < WORKS; i++)
		for (int p = 0; p < w->works[i].pods; p++) {
			const struct ledger_entry *entry = ledger_find(w->fleet, slice_of(uid_of(i, p)));
			bool runs = w->works[i].state == RUNNING;
			PROPERTY_CHECK(runs == (entry != NULL), "work %d is there in part", i);
			if (!entry)
				continue;
			entries++;
			used[w->works[i].node[p]] += w->works[i].gpus;
			PROPERTY_CHECK(
			    atoi(entry->node->name + 1) == w->works[i].node[p], "work %d stands elsewhere", i);
		}
	PROPERTY_CHECK(entries == w->fleet->ledger.by_uid.count, "the ledger has more than runs");
	for (int n = 0; n < w->node_count; n++)
		PROPERTY_CHECK(used[n] <= w->capacity[n], "node %d has more than it has room for", n);
}

int main(void)
{
	static const struct property property = {.name = "victims",
	    .kinds = kinds,
	    .kind_count = STEP_KINDS,
	    .first_seed = 1,
	    .runs = 600,
	    .steps = 80,
	    .seconds = 60,
	    .begin = begin,
	    .step = do_step,
	    .check = check,
	    .end = end};
	return property_run(&property);
}
