/* How long a gang's plan takes: 10,000 nodes of 8 GPUs in racks of 16, blocks of 8 racks and zones of 20 blocks, filled
 * to 80 % by the core's own decisions with pods of 1 to 8 GPUs, of which some go again at random until 70 % are taken.
 * Gangs of 64 and 512 members of 8 GPUs with a required zone, of 4,096 of 4 GPUs, and 512 kept to runs of 4 in one rack
 * each, and apart from one another by anti-affinity on hosts. 20 seeded fleets, medians. Prints a table and, last,
 * RESULT lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "berth/decide.h"
#include "berth/plan.h"

#define NODES 10000
#define FLEETS 20
#define GIB (INT64_C(1) << 30)

static const char *products[] = {"NVIDIA-H100"};
static struct gpu_model models[] = {
    {.name = "H100", .product_count = 1, .products = products, .memory_mib = 81559, .dtypes = 0x7f, .cost = 8}};
static struct gpu_resource gpu_resources[] = {{.pattern = "nvidia.com/gpu"}};
static const struct gpu_catalogue catalogue = {1, models, 1, gpu_resources};

struct bench {
	struct fleet *fleet;
	struct policy *policy;
	uint64_t random;
	resource_id gpu;
	size_t pod_count, pod_room;
	struct pod **pods;
	int64_t taken;
	unsigned serial;
};

/* CPU time: a plan waits for nothing but for neighbours on the machine. */
static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* splitmix64 (Steele, Lea, Flood, 2014) */
static unsigned pick(struct bench *bench, unsigned below)
{
	uint64_t z = bench->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((z ^ (z >> 31)) % below);
}

static struct policy *make_policy(void)
{
	struct arena arena;
	arena_init(&arena, 4096);
	struct policy *policy = arena_calloc(&arena, 1, sizeof(*policy));
	policy->level_count = 3;
	policy->levels[0] = (struct policy_level){.name = "zone", .node_label = "zone"};
	policy->levels[1] = (struct policy_level){.name = "block", .node_label = "block"};
	policy->levels[2] = (struct policy_level){.name = "rack", .node_label = "rack"};
	policy->class_count = 1;
	policy->classes = arena_calloc(&arena, 1, sizeof(*policy->classes));
	policy->classes[0] = (struct policy_class){.name = "batch", .spread_level = -1};
	for (int term = 0; term < SCORE_TERM_COUNT; term++)
		policy->classes[0].weights[term] = score_term_default_weight((enum score_term)term);
	policy->arena = arena;
	return policy;
}

static struct resources amounts(
    struct arena *arena, resource_id gpu, int64_t cpu, int64_t memory, int64_t pods, int64_t gpus)
{
	struct resource_list list = {0};
	*resource_list_at(&list, RESOURCE_CPU) = cpu;
	*resource_list_at(&list, RESOURCE_MEMORY) = memory;
	*resource_list_at(&list, RESOURCE_PODS) = pods;
	*resource_list_at(&list, gpu) = gpus;
	return resource_list_keep(&list, arena);
}

static void add_label(struct node_spec *spec, struct arena *arena, const char *key, unsigned number)
{
	char text[32];
	snprintf(text, sizeof(text), "%s-%u", key, number);
	spec->labels.items[spec->labels.count++] = (struct label){key, arena_copy(arena, slice_of(text))};
}

static void add_node(struct bench *bench, unsigned number)
{
	struct arena arena;
	char text[32];
	arena_init(&arena, 2048);
	struct node_spec *spec = arena_calloc(&arena, 1, sizeof(*spec));
	snprintf(text, sizeof(text), "node-%05u", number);
	spec->name = arena_copy(&arena, slice_of(text));
	spec->ready = true;
	spec->labels.items = arena_calloc(&arena, 4, sizeof(*spec->labels.items));
	add_label(spec, &arena, "block", number / 128);
	spec->labels.items[spec->labels.count++] = (struct label){"kubernetes.io/hostname", spec->name};
	add_label(spec, &arena, "rack", number / 16);
	add_label(spec, &arena, "zone", number / 2560);
	spec->allocatable = spec->capacity = amounts(&arena, bench->gpu, 128000, 1024 * GIB, 110, 8);
	spec->model = &models[0];
	spec->gpu_count = 8;
	spec->lane_count = 1;
	spec->lanes = arena_calloc(&arena, 1, sizeof(*spec->lanes));
	spec->lanes[0] = (struct gpu_lane){.resource = bench->gpu,
	    .replicas = 1,
	    .model = spec->model,
	    .memory_mib = spec->model->memory_mib,
	    .dtypes = spec->model->dtypes};
	spec->arena = arena;
	fleet_put_node(bench->fleet, spec);
}

static struct pod *make_pod(struct bench *bench, int64_t gpus)
{
	struct arena arena;
	char text[32];
	arena_init(&arena, 1024);
	struct pod *pod = arena_calloc(&arena, 1, sizeof(*pod));
	snprintf(text, sizeof(text), "pod-%07u", bench->serial++);
	pod->uid = pod->name = arena_copy(&arena, slice_of(text));
	pod->namespace_ = "default";
	pod->labels.items = arena_calloc(&arena, 1, sizeof(*pod->labels.items));
	pod->labels.items[0] = (struct label){"batch.kubernetes.io/job-completion-index", pod->name};
	pod->labels.count = 1;
	pod->demand = amounts(&arena, bench->gpu, gpus * 8000, gpus * 64 * GIB, 1, gpus);
	pod->arena = arena;
	return pod;
}

static int64_t gpus_of(const struct bench *bench, const struct pod *pod)
{
	return resources_get(&pod->demand, bench->gpu);
}

static void fill(struct bench *bench)
{
	static const int64_t sizes[] = {1, 1, 2, 4, 8, 8, 8, 8};
	const int64_t all = INT64_C(8) * NODES;
	while (bench->taken * 100 < all * 80) {
		struct pod *pod = make_pod(bench, sizes[pick(bench, 8)]);
		struct decision decision;
		decide_fleet_best(bench->fleet, pod, &decision);
		if (!decision.node)
			abort();
		ledger_reserve(bench->fleet, pod, slice_of(decision.node->name), LEDGER_BOUND, true, 0, 0);
		bench->pods = xgrow(bench->pods, bench->pod_count, &bench->pod_room, sizeof(*bench->pods));
		bench->pods[bench->pod_count++] = pod;
		bench->taken += gpus_of(bench, pod);
	}
	while (bench->taken * 100 > all * 70) {
		size_t at = pick(bench, (unsigned)bench->pod_count);
		struct pod *pod = bench->pods[at];
		ledger_release(bench->fleet, ledger_find(bench->fleet, slice_of(pod->uid)));
		bench->pods[at] = bench->pods[--bench->pod_count];
		bench->taken -= gpus_of(bench, pod);
		pod_free(pod);
	}
}

struct gang {
	const char *name;
	size_t count;
	int64_t gpus;
	struct plan_topology topology;
	bool apart; /* one a host, by anti-affinity */
};

static const struct gang gangs[] = {
    {"64", 64, 8, {0, 2, 0, PLAN_NO_LEVEL}, false},
    {"512", 512, 8, {0, 1, 0, PLAN_NO_LEVEL}, false},
    {"4096", 4096, 4, {PLAN_NO_LEVEL, 0, 0, PLAN_NO_LEVEL}, false},
    {"512_segments", 512, 8, {PLAN_NO_LEVEL, PLAN_NO_LEVEL, 4, 2}, false},
    {"512_apart", 512, 4, {PLAN_NO_LEVEL, PLAN_NO_LEVEL, 0, PLAN_NO_LEVEL}, true},
};
#define GANGS (sizeof(gangs) / sizeof(*gangs))

struct figures {
	double ms[FLEETS];
	size_t planned;
	struct plan_score score;
};

static const char *gang_values[] = {"gang"};
static struct selector_requirement gang_label = {"app", SELECTOR_IN, 1, gang_values};

static void keep_apart(struct pod *pod)
{
	pod->anti_affinity_count = 1;
	pod->anti_affinity = arena_calloc(&pod->arena, 1, sizeof(*pod->anti_affinity));
	pod->anti_affinity[0].topology_key = "kubernetes.io/hostname";
	pod->anti_affinity[0].selector = (struct selector){1, &gang_label};
	pod->labels.items = arena_calloc(&pod->arena, 1, sizeof(*pod->labels.items));
	pod->labels.items[0] = (struct label){"app", "gang"};
}

static void measure(struct bench *bench, const struct gang *gang, struct figures *figures, size_t run)
{
	struct plan_member *members = xcalloc(gang->count, sizeof(*members));
	struct plan plan;
	for (size_t i = 0; i < gang->count; i++) {
		struct pod *pod = make_pod(bench, gang->gpus);
		if (gang->apart)
			keep_apart(pod);
		members[i] = (struct plan_member){.pod = pod, .rank = (int32_t)i};
	}
	struct plan_request request = {.count = gang->count, .members = members, .topology = gang->topology};
	int64_t began = now_ns();
	plan_gang(bench->fleet, &request, &plan);
	figures->ms[run] = (double)(now_ns() - began) / 1e6;
	if (plan.reason == REASON_CODE_FITS) {
		figures->planned++;
		figures->score.levels_crossed += plan.score.levels_crossed;
		figures->score.domains_used += plan.score.domains_used;
		figures->score.block_destroyed += plan.score.block_destroyed;
	}
	plan_free(&plan);
	for (size_t i = 0; i < gang->count; i++)
		pod_free((struct pod *)(uintptr_t)members[i].pod);
	free(members);
}

static void run(unsigned seed, struct figures *figures)
{
	struct bench bench = {.fleet = fleet_new(&catalogue), .policy = make_policy(), .random = seed};
	bench.gpu = (resource_id)resource_names_id(&bench.fleet->names, slice_of("nvidia.com/gpu"));
	fleet_set_policy(bench.fleet, bench.policy);
	for (unsigned i = 0; i < NODES; i++)
		add_node(&bench, i);
	fill(&bench);
	for (size_t g = 0; g < GANGS; g++)
		measure(&bench, &gangs[g], &figures[g], seed);
	fleet_free(bench.fleet);
	policy_free(bench.policy);
	for (size_t i = 0; i < bench.pod_count; i++)
		pod_free(bench.pods[i]);
	free(bench.pods);
}

static int ascending(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

int main(void)
{
	static struct figures figures[GANGS];
	for (unsigned seed = 0; seed < FLEETS; seed++)
		run(seed, figures);
	double loop = 0;
	printf("%d nodes 70 %% full, medians of %d fleets in ms (most in brackets); mean terms of the plans\n", NODES,
	    FLEETS);
	printf("  %-13s %16s %8s %7s %8s %7s\n", "gang", "plan", "planned", "levels", "domains", "block");
	for (size_t g = 0; g < GANGS; g++) {
		struct figures *of = &figures[g];
		double planned = of->planned > 0 ? (double)of->planned : 1;
		qsort(of->ms, FLEETS, sizeof(double), ascending);
		loop = of->ms[FLEETS / 2] > loop ? of->ms[FLEETS / 2] : loop;
		printf("  %-13s %7.2f [%6.2f] %5zu/%d %7.1f %8.1f %7.1f\n", gangs[g].name, of->ms[FLEETS / 2],
		    of->ms[FLEETS - 1], of->planned, FLEETS, (double)of->score.levels_crossed / planned,
		    (double)of->score.domains_used / planned, (double)of->score.block_destroyed / planned);
	}
	for (size_t g = 0; g < GANGS; g++)
		printf("RESULT planner_%s_ms %.2f ms\n", gangs[g].name, figures[g].ms[FLEETS / 2]);
	printf("RESULT planner_loop_ms %.2f ms\n", loop);
	return 0;
}
