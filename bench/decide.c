/* How long one decision over the whole fleet takes: 1,000 and 10,000 nodes of four GPU models and none, 70 % of the
 * GPUs taken by pods of four classes, which come and go meanwhile; one pod in a hundred asks for more than any node
 * has. Prints a table and, last, RESULT lines.
 *
 *   decide   decide_fleet alone, over all pods, placed or not
 *   no room  the part of them that fit nowhere: every node is looked at for its reason
 *   change   one ledger_reserve or ledger_release with the upkeep of the indexes
 *   among    decide_among over all nodes, of which every tenth decision is also made: the cost without indexes */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core_fleet.h"

#define DECISIONS 20000
#define GIB (INT64_C(1) << 30)
#define FILL_PERCENT 70

enum { H100, A100, L4, T4, MODELS };
enum { DEV, INFERENCE, TRAINING, BATCH, CLASSES };

static const char *products[] = {"NVIDIA-H100", "NVIDIA-A100", "NVIDIA-L4", "Tesla-T4"};
#define DTYPES_T4 (DTYPE_BIT(DTYPE_FP32) | DTYPE_BIT(DTYPE_FP16) | DTYPE_BIT(DTYPE_INT8))
static struct gpu_model models[MODELS] = {
    {.name = "H100", .product_count = 1, .products = &products[0], .memory_mib = 81559, .dtypes = 0x7f, .cost = 8},
    {.name = "A100", .product_count = 1, .products = &products[1], .memory_mib = 81920, .dtypes = 0x5f, .cost = 4},
    {.name = "L4", .product_count = 1, .products = &products[2], .memory_mib = 23034, .dtypes = 0x7f, .cost = 1.5},
    {.name = "T4", .product_count = 1, .products = &products[3], .memory_mib = 15360, .dtypes = DTYPES_T4, .cost = 1},
};
static struct gpu_resource resources[] = {{.pattern = "nvidia.com/gpu"}, {.pattern = "amd.com/gpu"}};
static const struct gpu_catalogue catalogue = {MODELS, models, 2, resources};

struct bench {
	struct fleet *fleet;
	struct policy *policy;
	uint64_t random;
	size_t node_count;
	struct node **nodes;
	size_t pod_count, pod_room;
	struct pod **pods; /* placed */
	int64_t gpus, gpus_taken;
	resource_id gpu;
	unsigned serial;
};

struct samples {
	size_t count, room;
	int64_t *ns;
};

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void sample(struct samples *samples, int64_t ns)
{
	samples->ns = xgrow(samples->ns, samples->count, &samples->room, sizeof(*samples->ns));
	samples->ns[samples->count++] = ns;
}

static int ascending(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

static double quantile_us(struct samples *samples, double part)
{
	if (samples->count == 0)
		return 0;
	qsort(samples->ns, samples->count, sizeof(*samples->ns), ascending);
	return (double)samples->ns[(size_t)(part * (double)(samples->count - 1))] / 1000;
}

static struct policy *make_policy(void)
{
	static const char *const names[] = {"dev", "inference", "training", "batch"};
	static uint16_t dev_only[] = {T4, A100}, inference[] = {L4, A100, H100, T4}, training[] = {H100, A100},
	                batch[] = {T4, L4, A100};
	struct arena arena;
	arena_init(&arena, 4096);
	struct policy *policy = arena_calloc(&arena, 1, sizeof(*policy));
	policy->level_count = 1;
	policy->levels[0] = (struct policy_level){.name = "rack", .node_label = "rack"};
	policy->pool_count = MODELS;
	policy->pools = arena_calloc(&arena, MODELS, sizeof(*policy->pools));
	for (size_t i = 0; i < MODELS; i++)
		policy->pools[i] = (struct policy_pool){.name = models[i].name, .gpu = models[i].name};
	policy->class_count = CLASSES;
	policy->classes = arena_calloc(&arena, CLASSES, sizeof(*policy->classes));
	for (size_t i = 0; i < CLASSES; i++) {
		policy->classes[i] = (struct policy_class){.name = names[i], .spread_level = -1};
		for (int term = 0; term < SCORE_TERM_COUNT; term++)
			policy->classes[i].weights[term] = score_term_default_weight((enum score_term)term);
	}
	policy->classes[DEV].has_only = true;
	policy->classes[DEV].only = dev_only;
	policy->classes[DEV].only_count = 2;
	policy->classes[INFERENCE].spread_level = 0;
	policy->classes[INFERENCE].assume = DTYPE_BIT(DTYPE_BF16);
	policy->classes[INFERENCE].prefer = inference;
	policy->classes[INFERENCE].prefer_count = 4;
	policy->classes[TRAINING].prefer = training;
	policy->classes[TRAINING].prefer_count = 2;
	policy->classes[BATCH].prefer = batch;
	policy->classes[BATCH].prefer_count = 3;
	policy->fallback = BATCH;
	policy->arena = arena;
	return policy;
}

/* Of ten nodes two have H100, two A100, two L4, two T4, two no GPUs; 16 nodes a rack. */
static void add_node(struct bench *bench, unsigned number)
{
	struct arena arena;
	char text[32];
	unsigned kind = number % 5;
	arena_init(&arena, 2048);
	struct node_spec *spec = arena_calloc(&arena, 1, sizeof(*spec));
	snprintf(text, sizeof(text), "node-%05u", number);
	spec->name = arena_copy(&arena, slice_of(text));
	spec->ready = true;
	spec->labels.items = arena_calloc(&arena, 3, sizeof(*spec->labels.items));
	spec->labels.count = 3;
	spec->labels.items[0] = (struct label){"kubernetes.io/hostname", spec->name};
	snprintf(text, sizeof(text), "rack-%u", number / 16);
	spec->labels.items[1] = (struct label){"rack", arena_copy(&arena, slice_of(text))};
	spec->labels.items[2] = (struct label){"zone", number % 2 ? "a" : "b"};
	int64_t gpus = kind == MODELS ? 0 : kind >= L4 ? 4 : 8;
	spec->allocatable = spec->capacity =
	    core_amounts(&arena, bench->gpu, kind == MODELS ? 64000 : 128000, 512 * GIB, 110, gpus);
	if (gpus > 0) {
		spec->model = &models[kind];
		spec->gpu_count = (uint32_t)gpus;
		spec->lane_count = 1;
		spec->lanes = arena_calloc(&arena, 1, sizeof(*spec->lanes));
		spec->lanes[0] = (struct gpu_lane){.resource = bench->gpu,
		    .replicas = 1,
		    .model = spec->model,
		    .memory_mib = spec->model->memory_mib,
		    .dtypes = spec->model->dtypes};
	}
	spec->arena = arena;
	bench->gpus += gpus;
	bench->nodes[bench->node_count++] = fleet_put_node(bench->fleet, spec);
}

static struct pod *make_pod(struct bench *bench)
{
	static const char *const names[] = {"dev", "inference", "training", "batch"};
	static const int64_t sizes[] = {1, 1, 1, 1, 1, 1, 2, 2, 4, 8};
	struct arena arena;
	char text[32];
	unsigned class_ = core_pick(&bench->random, CLASSES);
	bool without = core_pick(&bench->random, 10) == 0;
	arena_init(&arena, 1024);
	struct pod *pod = arena_calloc(&arena, 1, sizeof(*pod));
	snprintf(text, sizeof(text), "pod-%u", bench->serial++);
	pod->uid = pod->name = arena_copy(&arena, slice_of(text));
	pod->namespace_ = "default";
	pod->class_name = names[class_];
	if (class_ == INFERENCE) {
		snprintf(text, sizeof(text), "service-%u", core_pick(&bench->random, 200));
		pod->owner_uid = arena_copy(&arena, slice_of(text));
	}
	int64_t gpus = without              ? 0
	               : class_ == TRAINING ? sizes[core_pick(&bench->random, 10)]
	                                    : sizes[core_pick(&bench->random, 8)];
	if (bench->serial % 100 == 0)
		gpus = 16; /* on no node */
	pod->demand = core_amounts(&arena, bench->gpu, without ? 2000 : gpus * 4000, GIB * (1 + gpus * 16), 1, gpus);
	pod->arena = arena;
	return pod;
}

static int64_t gpus_of(const struct bench *bench, const struct pod *pod)
{
	return resources_get(&pod->demand, bench->gpu);
}

static void place(struct bench *bench, struct pod *pod, const struct node *node, struct samples *changes)
{
	int64_t start = now_ns();
	ledger_reserve(bench->fleet, pod, slice_of(node->name), LEDGER_BOUND, true, 0, 0);
	sample(changes, now_ns() - start);
	bench->pods = xgrow(bench->pods, bench->pod_count, &bench->pod_room, sizeof(*bench->pods));
	bench->pods[bench->pod_count++] = pod;
	bench->gpus_taken += gpus_of(bench, pod);
}

static void release_one(struct bench *bench, struct samples *changes)
{
	size_t at = core_pick(&bench->random, (unsigned)bench->pod_count);
	struct pod *pod = bench->pods[at];
	int64_t start = now_ns();
	ledger_release(bench->fleet, ledger_find(bench->fleet, slice_of(pod->uid)));
	sample(changes, now_ns() - start);
	bench->pods[at] = bench->pods[--bench->pod_count];
	bench->gpus_taken -= gpus_of(bench, pod);
	pod_free(pod);
}

struct figures {
	struct samples decide, no_room, change, among;
	size_t seen;
};

static void one_decision(struct bench *bench, struct figures *figures, bool measured)
{
	struct pod *pod = make_pod(bench);
	struct decision decision;
	int64_t start = now_ns();
	decide_fleet(bench->fleet, pod, &decision);
	int64_t took = now_ns() - start;
	if (measured) {
		sample(&figures->decide, took);
		figures->seen += decision.seen;
		if (!decision.node)
			sample(&figures->no_room, took);
		if (figures->decide.count % 10 == 0) {
			struct decision check;
			start = now_ns();
			decide_among(bench->fleet, pod, bench->nodes, bench->node_count, &check, NULL);
			sample(&figures->among, now_ns() - start);
			if (check.node != decision.node)
				abort();
		}
	}
	if (decision.node)
		place(bench, pod, decision.node, &figures->change);
	else
		pod_free(pod);
}

static void print_row(const char *name, struct samples *samples)
{
	printf("  %-8s %8zu %10.1f %10.1f %10.1f\n", name, samples->count, quantile_us(samples, 0.5),
	    quantile_us(samples, 0.99), quantile_us(samples, 1));
}

static double run(unsigned nodes)
{
	struct bench bench = {.fleet = fleet_new(&catalogue), .policy = make_policy(), .random = nodes};
	struct figures figures = {0};
	bench.gpu = (resource_id)resource_names_id(&bench.fleet->names, slice_of("nvidia.com/gpu"));
	bench.nodes = xcalloc(nodes, sizeof(struct node *));
	fleet_set_policy(bench.fleet, bench.policy);
	for (unsigned i = 0; i < nodes; i++)
		add_node(&bench, i);
	while (bench.gpus_taken * 100 < bench.gpus * FILL_PERCENT)
		one_decision(&bench, &figures, false);
	figures.change.count = 0;
	for (unsigned i = 0; i < DECISIONS; i++) {
		one_decision(&bench, &figures, true);
		while (bench.gpus_taken * 100 > bench.gpus * FILL_PERCENT)
			release_one(&bench, &figures.change);
	}
	double p50 = quantile_us(&figures.decide, 0.5);
	printf("%u nodes, %zu pods on them, %.0f nodes looked at per decision\n", nodes, bench.pod_count,
	    (double)figures.seen / DECISIONS);
	printf("  %-8s %8s %10s %10s %10s\n", "", "count", "p50 us", "p99 us", "max us");
	print_row("decide", &figures.decide);
	print_row("no room", &figures.no_room);
	print_row("change", &figures.change);
	print_row("among", &figures.among);
	fleet_free(bench.fleet);
	policy_free(bench.policy);
	for (size_t i = 0; i < bench.pod_count; i++)
		pod_free(bench.pods[i]);
	free(bench.pods);
	free(bench.nodes);
	free(figures.decide.ns);
	free(figures.no_room.ns);
	free(figures.change.ns);
	free(figures.among.ns);
	return p50;
}

int main(void)
{
	double small = run(1000), large = run(10000);
	printf("RESULT decide_us_1000 %.1f us\n", small);
	printf("RESULT decide_us_10000 %.1f us\n", large);
	return 0;
}
