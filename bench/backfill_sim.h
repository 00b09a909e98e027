/* Jobs on a fleet over time, by the core alone: a first come, first served line in which whoever fits may pass, gangs
 * that wait held nodes by one of four ways. What the daemon does by timers is done here at each arrival and end.
 *
 *   free      nothing is held
 *   held      the first gang's nodes are kept free of everybody behind it
 *   reserved  they take what ends before its start, by run times that are said and true
 *   learned   the same by run times learned from the template
 *
 * For the benchmark and for tests; all of it is static. */
#ifndef BENCH_BACKFILL_SIM_H
#define BENCH_BACKFILL_SIM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/decide.h"
#include "berth/forecast.h"
#include "berth/runtimes.h"

#define SIM __attribute__((unused)) static
#define SIM_SECOND INT64_C(1000000000)
#define SIM_GPUS 8 /* of a node */
#define SIM_NODES_MAX 1024
#define SIM_PODS_MAX 64 /* of a job */
#define SIM_ELSEWHERE (600 * SIM_SECOND)

enum sim_way { SIM_FREE, SIM_HELD, SIM_RESERVED, SIM_LEARNED, SIM_WAYS };
SIM const char *const sim_names[] = {"free", "held", "reserved", "learned"};

enum sim_state { SIM_COMING, SIM_WAITING, SIM_RUNNING, SIM_OVER };

struct sim_job {
	int64_t submit_ns, runs_ns;
	int64_t said_ns; /* what is said of runs_ns; 0 = nothing */
	int64_t gpus;
	const char *template_;
	enum sim_state state;
	int64_t start_ns, promised_ns, promised_at_ns, elsewhere_ns;
	size_t pod_count;
	struct pod *pods[SIM_PODS_MAX];
	struct pod_gang gang; /* of more GPUs than half a node */
	char name[24];
};

struct sim {
	enum sim_way way;
	int64_t after_ns; /* reserveAfter */
	struct fleet *fleet;
	struct policy *policy;
	struct runtimes runtimes;
	size_t node_count, count, coming, begun; /* jobs; the next to come; the first that has not begun */
	struct node *nodes[SIM_NODES_MAX];
	struct sim_job *jobs;     /* by submit_ns */
	struct sim_job **running; /* by end, the next last */
	size_t running_count;
	size_t waiting;
	int64_t now_ns, used;
	double used_ns, idle_ns,
	    capacity_ns; /* GPU time: in use, free on held nodes while jobs wait, until the last arrival */
};

static const char *sim_products[] = {"NVIDIA-H100"};
static struct gpu_model sim_models[] = {
    {.name = "H100", .product_count = 1, .products = sim_products, .memory_mib = 81559, .dtypes = 0x7f, .cost = 8}};
static struct gpu_resource sim_resources[] = {{.pattern = "nvidia.com/gpu"}};
static const struct gpu_catalogue sim_catalogue = {1, sim_models, 1, sim_resources};

/* ---- making ---- */

SIM void sim_amount(struct resources *resources, struct arena *arena, resource_id id, int64_t amount)
{
	struct resource_list list = {0};
	for (uint16_t i = 0; i < resources->count; i++)
		*resource_list_at(&list, resources->items[i].id) = resources->items[i].amount;
	*resource_list_at(&list, id) = amount;
	*resources = resource_list_keep(&list, arena);
}

SIM struct node *sim_node(struct sim *sim, size_t number)
{
	struct arena arena;
	char name[24];
	snprintf(name, sizeof(name), "n%04zu", number);
	arena_init(&arena, 1024);
	struct node_spec *spec = arena_calloc(&arena, 1, sizeof(*spec));
	resource_id gpu = (resource_id)resource_names_id(&sim->fleet->names, slice_of("nvidia.com/gpu"));
	spec->name = arena_copy(&arena, slice_of(name));
	spec->ready = true;
	spec->model = &sim_models[0];
	spec->gpu_count = SIM_GPUS;
	sim_amount(&spec->allocatable, &arena, RESOURCE_PODS, 110);
	sim_amount(&spec->allocatable, &arena, gpu, SIM_GPUS);
	spec->capacity = spec->allocatable;
	spec->lanes = arena_calloc(&arena, 1, sizeof(*spec->lanes));
	spec->lane_count = 1;
	spec->lanes[0] = (struct gpu_lane){.resource = gpu,
	    .unit = GPU_WHOLE,
	    .replicas = 1,
	    .model = spec->model,
	    .memory_mib = 81559,
	    .dtypes = 0x7f};
	spec->arena = arena;
	return fleet_put_node(sim->fleet, spec);
}

SIM struct policy *sim_policy(void)
{
	struct arena arena;
	arena_init(&arena, 4096);
	struct policy *policy = arena_calloc(&arena, 1, sizeof(*policy));
	policy->class_count = 1;
	policy->classes = arena_calloc(&arena, 1, sizeof(*policy->classes));
	policy->classes[0].name = "batch";
	policy->classes[0].spread_level = -1;
	policy->classes[0].gang = (struct policy_gang){.require = -1, .prefer = -1};
	for (int term = 0; term < SCORE_TERM_COUNT; term++)
		policy->classes[0].weights[term] = score_term_default_weight((enum score_term)term);
	policy->reserves = true;
	policy->arena = arena;
	return policy;
}

SIM void sim_open(struct sim *sim, enum sim_way way, size_t nodes, size_t jobs)
{
	*sim = (struct sim){.way = way, .after_ns = 60 * SIM_SECOND, .node_count = nodes};
	sim->fleet = fleet_new(&sim_catalogue);
	sim->policy = sim_policy();
	fleet_set_policy(sim->fleet, sim->policy);
	for (size_t i = 0; i < nodes; i++)
		sim->nodes[i] = sim_node(sim, i);
	sim->jobs = calloc(jobs + 1, sizeof(*sim->jobs));
	sim->running = calloc(jobs + 1, sizeof(*sim->running));
}

SIM struct pod *sim_pod(struct sim *sim, struct sim_job *job, size_t at, int64_t gpus)
{
	struct arena arena;
	char uid[48];
	snprintf(uid, sizeof(uid), "%s-%zu", job->name, at);
	arena_init(&arena, 1024);
	struct pod *pod = arena_calloc(&arena, 1, sizeof(*pod));
	pod->uid = pod->name = arena_copy(&arena, slice_of(uid));
	pod->namespace_ = "sim";
	pod->scheduler = "berth";
	pod->created_ns = job->submit_ns;
	pod->gang = job->gang.name ? &job->gang : NULL;
	sim_amount(&pod->demand, &arena, RESOURCE_PODS, 1);
	sim_amount(
	    &pod->demand, &arena, (resource_id)resource_names_id(&sim->fleet->names, slice_of("nvidia.com/gpu")), gpus);
	pod->arena = arena;
	return pod;
}

/* In the order of their coming. Of more GPUs than half a node it is a gang of whole nodes. */
SIM struct sim_job *sim_add(
    struct sim *sim, int64_t submit_ns, int64_t gpus, int64_t runs_ns, int64_t said_ns, const char *template_)
{
	struct sim_job *job = &sim->jobs[sim->count];
	*job = (struct sim_job){
	    .submit_ns = submit_ns, .runs_ns = runs_ns, .said_ns = said_ns, .gpus = gpus, .template_ = template_};
	snprintf(job->name, sizeof(job->name), "j%zu", sim->count++);
	if (gpus > SIM_GPUS / 2)
		job->gang = (struct pod_gang){.dialect = GANG_BERTH, .name = job->name, .rank = -1, .part = -1};
	for (int64_t left = gpus; left > 0 && job->pod_count < SIM_PODS_MAX; left -= SIM_GPUS) {
		job->pods[job->pod_count] = sim_pod(sim, job, job->pod_count, left < SIM_GPUS ? left : SIM_GPUS);
		job->pod_count++;
	}
	return job;
}

SIM void sim_close(struct sim *sim)
{
	fleet_free(sim->fleet);
	policy_free(sim->policy);
	runtimes_free(&sim->runtimes);
	for (size_t i = 0; i < sim->count; i++)
		for (size_t p = 0; p < sim->jobs[i].pod_count; p++)
			pod_free(sim->jobs[i].pods[p]);
	free(sim->jobs);
	free(sim->running);
}

/* ---- beginnings and ends ---- */

SIM void sim_begin(struct sim *sim, struct sim_job *job, struct node *const *nodes)
{
	size_t at = sim->running_count++;
	for (size_t i = 0; i < job->pod_count; i++)
		ledger_reserve(
		    sim->fleet, job->pods[i], slice_of(nodes[i]->name), LEDGER_BOUND, true, sim->now_ns, LEDGER_NEVER);
	job->state = SIM_RUNNING;
	job->start_ns = sim->now_ns;
	sim->waiting--;
	sim->used += job->gpus;
	for (; at > 0 && sim->running[at - 1]->start_ns + sim->running[at - 1]->runs_ns < job->start_ns + job->runs_ns;
	     at--)
		sim->running[at] = sim->running[at - 1];
	sim->running[at] = job;
}

SIM void sim_end(struct sim *sim)
{
	struct sim_job *job = sim->running[--sim->running_count];
	for (size_t i = 0; i < job->pod_count; i++)
		ledger_release(sim->fleet, ledger_find(sim->fleet, slice_of(job->pods[i]->uid)));
	job->state = SIM_OVER;
	sim->used -= job->gpus;
	if (job->template_)
		runtimes_learn(&sim->runtimes, job->template_, job->runs_ns);
}

SIM void sim_expect(const struct sim *sim, struct sim_job *job)
{
	int64_t expected_ns = sim->way == SIM_RESERVED || sim->way == SIM_HELD ? job->said_ns
	                      : sim->way == SIM_LEARNED && job->template_
	                          ? runtimes_expect(&sim->runtimes, job->template_)
	                          : 0;
	for (size_t i = 0; i < job->pod_count; i++)
		job->pods[i]->runtime_ns = expected_ns;
}

/* ---- the line ---- */

SIM struct plan_request sim_request(const struct sim_job *job, struct plan_member members[SIM_PODS_MAX])
{
	for (size_t i = 0; i < job->pod_count; i++)
		members[i] = (struct plan_member){.pod = job->pods[i], .rank = (int32_t)i};
	return (struct plan_request){.count = job->pod_count, .members = members, .topology = PLAN_ANYWHERE};
}

SIM bool sim_try(struct sim *sim, struct sim_job *job)
{
	if (job->gang.name) {
		struct plan_member members[SIM_PODS_MAX];
		struct plan_request request = sim_request(job, members);
		struct plan plan;
		plan_gang(sim->fleet, &request, &plan);
		bool fits = plan.reason == REASON_CODE_FITS;
		if (fits)
			sim_begin(sim, job, plan.nodes);
		plan_free(&plan);
		return fits;
	}
	struct decision decision;
	decide_fleet(sim->fleet, job->pods[0], &decision);
	if (decision.node)
		sim_begin(sim, job, &decision.node);
	return decision.node != NULL;
}

SIM void sim_hold(struct sim *sim, struct sim_job *job, const struct forecast *forecast)
{
	size_t place = hold_begin(sim->fleet, &(struct node_hold){.key = job->name,
	                                          .dialect = GANG_BERTH,
	                                          .namespace_ = (char *)"sim",
	                                          .name = job->name,
	                                          .gang_class = SIZE_MAX,
	                                          .created_ns = job->submit_ns});
	for (size_t i = 0; place < HOLDS_MAX && i < forecast->count; i++)
		hold_node(sim->fleet, place, forecast->nodes[i]);
}

/* As the daemon's gang/reserve.c. */
SIM void sim_reserve(struct sim *sim, struct sim_job *job)
{
	struct plan_member members[SIM_PODS_MAX];
	struct plan_request request = sim_request(job, members);
	const char *names[SIM_NODES_MAX];
	size_t place = hold_find(sim->fleet, job->name), count = 0;
	bool elsewhere = place == HOLDS_MAX || sim->now_ns - job->elsewhere_ns >= SIM_ELSEWHERE;
	if (sim->way == SIM_HELD && place < HOLDS_MAX)
		return;
	for (size_t i = 0; i < sim->node_count && place < HOLDS_MAX; i++)
		if (sim->nodes[i]->held & 1u << place)
			names[count++] = sim->nodes[i]->name;
	for (size_t i = 0; i < request.count && !elsewhere; i++) {
		members[i].limited = true;
		members[i].only = (struct plan_names){count, names};
	}
	struct forecast forecast;
	forecast_make(sim->fleet, &request, sim->now_ns, &forecast);
	if (elsewhere)
		job->elsewhere_ns = sim->now_ns;
	if (forecast.start_ns == FORECAST_NEVER) {
		if (place < HOLDS_MAX && !elsewhere) {
			hold_time(sim->fleet, place, 0, 0, sim->now_ns);
			job->elsewhere_ns = 0;
		}
	} else if (forecast.start_ns > sim->now_ns &&
	           !(elsewhere && place < HOLDS_MAX &&
	               !hold_is_worse(&sim->fleet->holds[place], forecast.start_ns, sim->now_ns))) {
		if (elsewhere && place < HOLDS_MAX)
			hold_end(sim->fleet, place);
		if (elsewhere)
			sim_hold(sim, job, &forecast);
		if (job->promised_ns == 0) {
			job->promised_ns = forecast.start_ns;
			job->promised_at_ns = sim->now_ns;
		}
		place = hold_find(sim->fleet, job->name);
		if (place < HOLDS_MAX && sim->way != SIM_HELD)
			hold_time(sim->fleet, place, forecast.start_ns,
			    hold_until(job->promised_ns, job->promised_at_ns), sim->now_ns);
	}
	forecast_free(&forecast);
}

/* Who asks for no less, for no shorter, than one that found no room in this pass finds none. */
struct sim_refused {
	int64_t gpus, runtime_ns;
};

SIM bool sim_hopeless(const struct sim_refused *refused, size_t count, const struct sim_job *job)
{
	int64_t runtime_ns = job->pods[0]->runtime_ns ? job->pods[0]->runtime_ns : INT64_MAX;
	for (size_t i = 0; i < count; i++)
		if (job->gpus >= refused[i].gpus && runtime_ns >= refused[i].runtime_ns)
			return true;
	return false;
}

SIM void sim_pass(struct sim *sim)
{
	struct sim_refused refused[64];
	size_t count = 0;
	bool first = true;
	hold_pass(sim->fleet, sim->now_ns);
	while (sim->begun < sim->coming && sim->jobs[sim->begun].state >= SIM_RUNNING)
		sim->begun++;
	for (size_t i = sim->begun; i < sim->coming; i++) {
		struct sim_job *job = &sim->jobs[i];
		if (job->state != SIM_WAITING)
			continue;
		sim_expect(sim, job);
		size_t place = hold_find(sim->fleet, job->name);
		bool head = first && job->gang.name != NULL;
		if (place == HOLDS_MAX && !head && sim_hopeless(refused, count, job))
			continue;
		if (sim_try(sim, job)) {
			if (place < HOLDS_MAX)
				hold_end(sim->fleet, place);
			continue;
		}
		if ((head || place < HOLDS_MAX) && sim->way != SIM_FREE &&
		    sim->now_ns - job->submit_ns >= sim->after_ns)
			sim_reserve(sim, job);
		first &= !head;
		if (count < 64 && place == HOLDS_MAX)
			refused[count++] = (struct sim_refused){
			    job->gpus, job->pods[0]->runtime_ns ? job->pods[0]->runtime_ns : INT64_MAX};
	}
	fleet_take_improved(sim->fleet);
}

/* ---- time ---- */

SIM void sim_pass_time(struct sim *sim, int64_t to_ns)
{
	int64_t last_ns = sim->jobs[sim->count - 1].submit_ns, until_ns = to_ns < last_ns ? to_ns : last_ns;
	double span = until_ns > sim->now_ns ? (double)(until_ns - sim->now_ns) : 0;
	int64_t idle = 0;
	for (size_t i = 0; i < sim->node_count && sim->waiting > 0; i++)
		if (sim->nodes[i]->held)
			idle += node_free(sim->nodes[i], sim->nodes[i]->spec->lanes[0].resource);
	sim->used_ns += span * (double)sim->used;
	sim->idle_ns += span * (double)idle;
	sim->capacity_ns += span * (double)(sim->node_count * SIM_GPUS);
	sim->now_ns = to_ns;
}

/* False once nobody waits, comes, or runs. */
SIM bool sim_step(struct sim *sim)
{
	const struct sim_job *next = sim->running_count ? sim->running[sim->running_count - 1] : NULL;
	int64_t end_ns = next ? next->start_ns + next->runs_ns : INT64_MAX, to_ns = end_ns;
	if (sim->coming < sim->count && sim->jobs[sim->coming].submit_ns < to_ns)
		to_ns = sim->jobs[sim->coming].submit_ns;
	if (to_ns == INT64_MAX)
		return false;
	sim_pass_time(sim, to_ns);
	while (sim->running_count &&
	       sim->running[sim->running_count - 1]->start_ns + sim->running[sim->running_count - 1]->runs_ns <= to_ns)
		sim_end(sim);
	for (; sim->coming < sim->count && sim->jobs[sim->coming].submit_ns <= to_ns; sim->coming++) {
		sim->jobs[sim->coming].state = SIM_WAITING;
		sim->waiting++;
	}
	sim_pass(sim);
	return true;
}

#endif
