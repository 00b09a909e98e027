#include "core_fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define GIB (INT64_C(1) << 30)
#define GPUS 8
#define NODE_CPU 128000
#define NODE_MEMORY (1024 * GIB)
#define NODE_PODS 110
#define GPU_CPU 8000 /* of each pod, by its GPUs */
#define GPU_MEMORY (64 * GIB)

static const char *products[] = {"NVIDIA-H100"};
static struct gpu_model models[] = {
    {.name = "H100", .product_count = 1, .products = products, .memory_mib = 81559, .dtypes = 0x7f, .cost = 8}};
static struct gpu_resource gpu_resources[] = {{.pattern = "nvidia.com/gpu"}};
static const struct gpu_catalogue catalogue = {1, models, 1, gpu_resources};

unsigned core_pick(uint64_t *random, unsigned below)
{
	uint64_t z = *random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((z ^ (z >> 31)) % below);
}

int64_t core_cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

double core_median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), ascending);
	return values[count / 2];
}

static struct policy *make_policy(const char *const *classes, size_t class_count)
{
	static const char *const levels[] = {"zone", "block", "rack"};
	struct arena arena;
	arena_init(&arena, 4096);
	struct policy *policy = arena_calloc(&arena, 1, sizeof(*policy));
	policy->level_count = sizeof(levels) / sizeof(*levels);
	for (size_t i = 0; i < policy->level_count; i++)
		policy->levels[i] = (struct policy_level){.name = levels[i], .node_label = levels[i]};
	policy->class_count = class_count;
	policy->classes = arena_calloc(&arena, class_count, sizeof(*policy->classes));
	for (size_t i = 0; i < class_count; i++) {
		policy->classes[i] = (struct policy_class){.name = classes[i], .spread_level = -1};
		for (int term = 0; term < SCORE_TERM_COUNT; term++)
			policy->classes[i].weights[term] = score_term_default_weight((enum score_term)term);
	}
	policy->fallback = (uint16_t)(class_count - 1);
	policy->arena = arena;
	return policy;
}

struct resources core_amounts(
    struct arena *arena, resource_id gpu, int64_t cpu, int64_t memory, int64_t pods, int64_t gpus)
{
	struct resource_list list = {0};
	*resource_list_at(&list, RESOURCE_CPU) = cpu;
	*resource_list_at(&list, RESOURCE_MEMORY) = memory;
	*resource_list_at(&list, RESOURCE_PODS) = pods;
	*resource_list_at(&list, gpu) = gpus;
	return resource_list_keep(&list, arena);
}

const char *core_fleet_node(unsigned number)
{
	static char text[32];
	snprintf(text, sizeof(text), "node-%05u", number);
	return text;
}

static void add_label(struct node_spec *spec, struct arena *arena, const char *key, unsigned number)
{
	char text[32];
	snprintf(text, sizeof(text), "%s-%u", key, number);
	spec->labels.items[spec->labels.count++] = (struct label){key, arena_copy(arena, slice_of(text))};
}

static void add_node(struct core_fleet *made, unsigned number)
{
	struct arena arena;
	arena_init(&arena, 2048);
	struct node_spec *spec = arena_calloc(&arena, 1, sizeof(*spec));
	spec->name = arena_copy(&arena, slice_of(core_fleet_node(number)));
	spec->ready = true;
	spec->labels.items = arena_calloc(&arena, 4, sizeof(*spec->labels.items));
	add_label(spec, &arena, "block", number / CORE_BLOCK);
	spec->labels.items[spec->labels.count++] = (struct label){"kubernetes.io/hostname", spec->name};
	add_label(spec, &arena, "rack", number / CORE_RACK);
	add_label(spec, &arena, "zone", number / CORE_ZONE);
	spec->allocatable = spec->capacity = core_amounts(&arena, made->gpu, NODE_CPU, NODE_MEMORY, NODE_PODS, GPUS);
	spec->model = &models[0];
	spec->gpu_count = GPUS;
	spec->lane_count = 1;
	spec->lanes = arena_calloc(&arena, 1, sizeof(*spec->lanes));
	spec->lanes[0] = (struct gpu_lane){.resource = made->gpu,
	    .replicas = 1,
	    .model = spec->model,
	    .memory_mib = spec->model->memory_mib,
	    .dtypes = spec->model->dtypes};
	spec->arena = arena;
	fleet_put_node(made->fleet, spec);
}

void core_fleet_open(
    struct core_fleet *made, unsigned seed, unsigned nodes, const char *const *classes, size_t class_count)
{
	*made = (struct core_fleet){
	    .fleet = fleet_new(&catalogue), .policy = make_policy(classes, class_count), .random = seed};
	made->gpu = (resource_id)resource_names_id(&made->fleet->names, slice_of("nvidia.com/gpu"));
	fleet_set_policy(made->fleet, made->policy);
	for (unsigned i = 0; i < nodes; i++)
		add_node(made, i);
}

void core_fleet_close(struct core_fleet *made)
{
	fleet_free(made->fleet);
	policy_free(made->policy);
	for (size_t i = 0; i < made->pod_count; i++)
		pod_free(made->pods[i]);
	free(made->pods);
}

struct pod *core_fleet_pod(struct core_fleet *made, int64_t gpus, const char *class_)
{
	struct arena arena;
	char text[32];
	arena_init(&arena, 1024);
	struct pod *pod = arena_calloc(&arena, 1, sizeof(*pod));
	snprintf(text, sizeof(text), "pod-%07u", made->serial++);
	pod->uid = pod->name = arena_copy(&arena, slice_of(text));
	pod->namespace_ = "default";
	pod->class_name = class_;
	pod->demand = core_amounts(&arena, made->gpu, gpus * GPU_CPU, gpus * GPU_MEMORY, 1, gpus);
	pod->arena = arena;
	made->pods = xgrow(made->pods, made->pod_count, &made->pod_room, sizeof(*made->pods));
	return made->pods[made->pod_count++] = pod;
}

void core_fleet_keep_apart(struct pod *pod)
{
	static const char *values[] = {"apart"};
	static struct selector_requirement label = {"app", SELECTOR_IN, 1, values};
	pod->anti_affinity_count = 1;
	pod->anti_affinity = arena_calloc(&pod->arena, 1, sizeof(*pod->anti_affinity));
	pod->anti_affinity[0].topology_key = "kubernetes.io/hostname";
	pod->anti_affinity[0].selector = (struct selector){1, &label};
	pod->labels.items = arena_calloc(&pod->arena, 1, sizeof(*pod->labels.items));
	pod->labels.items[0] = (struct label){"app", "apart"};
	pod->labels.count = 1;
}
