/* Small worlds for the tests of the core: a catalogue, a policy, nodes and pods made of a few words, or at random from
 * a seed. */
#ifndef TEST_CORE_WORLD_H
#define TEST_CORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "berth/decide.h"
#include "berth/fleet.h"
#include "berth/waiting.h"

#define WORLD __attribute__((unused)) static

#define SECOND INT64_C(1000000000)
#define GIB (INT64_C(1) << 30)

/* splitmix64 (Steele, Lea, Flood, 2014) */
struct prng {
	uint64_t state;
};

WORLD uint64_t prng_next(struct prng *prng)
{
	uint64_t z = prng->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0..below-1 */
WORLD int64_t pick(struct prng *prng, int64_t below)
{
	return (int64_t)(prng_next(prng) % (uint64_t)below);
}

WORLD bool one_in(struct prng *prng, int64_t chances)
{
	return pick(prng, chances) == 0;
}

/* From the environment, to run one case again. */
WORLD struct prng prng_seeded(const char *what)
{
	const char *given = getenv("BERTH_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : UINT64_C(0xbe47);
	printf("%s: BERTH_TEST_SEED=%llu\n", what, (unsigned long long)seed);
	return (struct prng){seed};
}

#define MODELS 4

static struct gpu_profile world_profiles[] = {
    {.name = "1g.10gb", .compute = 1, .slices = 1, .memory_mib = 9728, .max = 7},
    {.name = "3g.40gb", .compute = 3, .slices = 4, .memory_mib = 40448, .max = 2},
    {.name = "1g.10gb+me", .compute = 1, .slices = 1, .memory_mib = 9728, .max = 1},
};
static const char *h100_products[] = {"NVIDIA-H100"}, *a100_products[] = {"NVIDIA-A100-SXM4-80GB"},
                  *l4_products[] = {"NVIDIA-L4"}, *t4_products[] = {"Tesla-T4"};
#define ALL_DTYPES ((1u << DTYPE_COUNT) - 1)
static struct gpu_model world_models[MODELS] = {
    {.name = "H100",
        .variant = "H100",
        .product_count = 1,
        .products = h100_products,
        .memory_mib = 81559,
        .compute_major = 9,
        .dtypes = ALL_DTYPES,
        .cost = 8,
        .slices = 8,
        .profile_count = 3,
        .profiles = world_profiles},
    {.name = "A100",
        .variant = "A100-80",
        .product_count = 1,
        .products = a100_products,
        .memory_mib = 81920,
        .compute_major = 8,
        .dtypes = ALL_DTYPES & ~DTYPE_BIT(DTYPE_FP8),
        .cost = 4,
        .slices = 8,
        .profile_count = 3,
        .profiles = world_profiles},
    {.name = "L4",
        .variant = "L4",
        .product_count = 1,
        .products = l4_products,
        .memory_mib = 23034,
        .compute_major = 8,
        .compute_minor = 9,
        .dtypes = ALL_DTYPES,
        .cost = 1.5},
    {.name = "T4",
        .variant = "T4",
        .product_count = 1,
        .products = t4_products,
        .memory_mib = 15360,
        .compute_major = 7,
        .compute_minor = 5,
        .dtypes = DTYPE_BIT(DTYPE_FP32) | DTYPE_BIT(DTYPE_FP16),
        .cost = 1},
};
static struct gpu_resource world_resources[] = {
    {.pattern = "nvidia.com/gpu", .unit = GPU_WHOLE},
    {.pattern = "nvidia.com/gpu.shared", .unit = GPU_SHARE},
    {.pattern = "nvidia.com/mig-*", .unit = GPU_SLICE},
    {.pattern = "amd.com/gpu", .unit = GPU_WHOLE},
};
static const struct gpu_catalogue world_catalogue = {
    .model_count = MODELS, .models = world_models, .resource_count = 4, .resources = world_resources};

enum { H100, A100, L4, T4, NO_GPUS };

WORLD resource_id id_of(struct fleet *fleet, const char *name)
{
	return (resource_id)resource_names_id(&fleet->names, slice_of(name));
}

/* ---- nodes ---- */

WORLD const char *copy_text(struct arena *arena, const char *text)
{
	return arena_copy(arena, slice_of(text));
}

WORLD struct node_spec *spec_new(const char *name)
{
	struct arena arena;
	arena_init(&arena, 2048);
	struct node_spec *spec = arena_calloc(&arena, 1, sizeof(*spec));
	spec->name = copy_text(&arena, name);
	spec->ready = true;
	spec->taints = arena_calloc(&arena, 8, sizeof(*spec->taints));
	spec->conditions = arena_calloc(&arena, 8, sizeof(*spec->conditions));
	spec->labels.items = arena_calloc(&arena, 16, sizeof(*spec->labels.items));
	spec->lanes = arena_calloc(&arena, 8, sizeof(*spec->lanes));
	spec->arena = arena;
	return spec;
}

WORLD void spec_label(struct node_spec *spec, const char *key, const char *value)
{
	struct label *at = spec->labels.items + spec->labels.count++;
	for (; at > spec->labels.items && strcmp(at[-1].key, key) > 0; at--)
		*at = at[-1];
	*at = (struct label){copy_text(&spec->arena, key), copy_text(&spec->arena, value)};
}

WORLD void spec_taint(struct node_spec *spec, const char *key, const char *value, enum taint_effect effect)
{
	spec->taints[spec->taint_count++] =
	    (struct taint){copy_text(&spec->arena, key), copy_text(&spec->arena, value), effect};
}

WORLD void amounts_set(struct resources *resources, struct arena *arena, resource_id id, int64_t amount)
{
	struct resource_list list = {0};
	for (uint16_t i = 0; i < resources->count; i++)
		*resource_list_at(&list, resources->items[i].id) = resources->items[i].amount;
	*resource_list_at(&list, id) = amount;
	*resources = resource_list_keep(&list, arena);
}

WORLD void spec_amount(struct node_spec *spec, resource_id id, int64_t allocatable, int64_t capacity)
{
	amounts_set(&spec->allocatable, &spec->arena, id, allocatable);
	amounts_set(&spec->capacity, &spec->arena, id, capacity);
}

WORLD void spec_lane(struct node_spec *spec, resource_id id, enum gpu_unit unit, const struct gpu_model *model,
    int64_t allocatable, int64_t capacity)
{
	size_t at = spec->lane_count++;
	for (; at > 0 && spec->lanes[at - 1].resource > id; at--)
		spec->lanes[at] = spec->lanes[at - 1];
	spec->lanes[at] = (struct gpu_lane){.resource = id, .unit = unit, .model = model, .replicas = 1};
	if (model) {
		spec->lanes[at].memory_mib = model->memory_mib;
		spec->lanes[at].dtypes = model->dtypes;
	}
	if (unit == GPU_SHARE)
		spec->lanes[at].replicas = 4;
	if (unit == GPU_SLICE && model && model->profile_count > 0) {
		spec->lanes[at].profile = &model->profiles[0];
		spec->lanes[at].memory_mib = model->profiles[0].memory_mib;
	}
	spec_amount(spec, id, allocatable, capacity);
}

/* Ready, with 32 CPU, 256 GiB, 110 pods, and so many GPUs of a model (an index into world_models, or NO_GPUS). */
WORLD struct node_spec *spec_simple(struct fleet *fleet, const char *name, int model, int64_t gpus)
{
	struct node_spec *spec = spec_new(name);
	spec_amount(spec, RESOURCE_CPU, 32000, 32000);
	spec_amount(spec, RESOURCE_MEMORY, 256 * GIB, 256 * GIB);
	spec_amount(spec, RESOURCE_PODS, 110, 110);
	if (model != NO_GPUS) {
		spec->model = &world_models[model];
		spec->gpu_count = (uint32_t)gpus;
		spec_lane(spec, id_of(fleet, "nvidia.com/gpu"), GPU_WHOLE, spec->model, gpus, gpus);
	}
	return spec;
}

/* ---- pods ---- */

WORLD struct pod *pod_new(const char *uid)
{
	struct arena arena;
	arena_init(&arena, 1024);
	struct pod *pod = arena_calloc(&arena, 1, sizeof(*pod));
	pod->uid = copy_text(&arena, uid);
	pod->name = pod->uid;
	pod->namespace_ = "default";
	pod->scheduler = "berth";
	pod->tolerations = arena_calloc(&arena, 8, sizeof(*pod->tolerations));
	pod->labels.items = arena_calloc(&arena, 8, sizeof(*pod->labels.items));
	pod->arena = arena;
	amounts_set(&pod->demand, &pod->arena, RESOURCE_PODS, 1);
	return pod;
}

WORLD void pod_asks(struct pod *pod, resource_id id, int64_t amount)
{
	amounts_set(&pod->demand, &pod->arena, id, amount);
}

WORLD struct pod *pod_simple(struct fleet *fleet, const char *uid, int64_t milli_cpu, int64_t gpus)
{
	struct pod *pod = pod_new(uid);
	if (milli_cpu > 0)
		pod_asks(pod, RESOURCE_CPU, milli_cpu);
	if (gpus > 0)
		pod_asks(pod, id_of(fleet, "nvidia.com/gpu"), gpus);
	return pod;
}

WORLD void pod_tolerates(struct pod *pod, const char *key, const char *value)
{
	pod->tolerations[pod->toleration_count++] = (struct toleration){.key = copy_text(&pod->arena, key),
	    .value = value ? copy_text(&pod->arena, value) : "",
	    .op = value ? TOLERATION_EQUAL : TOLERATION_EXISTS,
	    .any_effect = true};
}

WORLD struct node_term term_of(struct arena *arena, const char *key, enum selector_op op, const char *value)
{
	struct selector_requirement *requirement = arena_calloc(arena, 1, sizeof(*requirement));
	const char **values = arena_calloc(arena, 1, sizeof(*values));
	values[0] = value ? copy_text(arena, value) : NULL;
	*requirement = (struct selector_requirement){copy_text(arena, key), op, value ? 1 : 0, values};
	return (struct node_term){.expressions = {1, requirement}};
}

WORLD void pod_requires(struct pod *pod, const char *key, enum selector_op op, const char *value)
{
	pod->has_required = true;
	pod->required = arena_calloc(&pod->arena, 1, sizeof(*pod->required));
	pod->required[0] = term_of(&pod->arena, key, op, value);
	pod->required_count = 1;
}

/* ---- policy: block and rack; a pool per model; classes only, prefer, spread, batch (the fallback) ---- */

enum { CLASS_ONLY, CLASS_PREFER, CLASS_SPREAD, CLASS_HOSTS, CLASS_BATCH, CLASSES };

WORLD struct policy *policy_world(void)
{
	static const char *const models[] = {"H100", "A100", "L4", "T4"};
	static const char *const names[] = {"only", "prefer", "spread", "hosts", "batch"};
	static const uint16_t cheap_first[] = {T4, L4, A100}, only[] = {T4, A100};
	struct arena arena;
	arena_init(&arena, 4096);
	struct policy *policy = arena_calloc(&arena, 1, sizeof(*policy));
	policy->level_count = 2;
	policy->levels[0] = (struct policy_level){.name = "block", .node_label = "block"};
	policy->levels[1] = (struct policy_level){.name = "rack", .node_label = "rack"};
	policy->pool_count = MODELS;
	policy->pools = arena_calloc(&arena, MODELS, sizeof(*policy->pools));
	for (size_t i = 0; i < MODELS; i++)
		policy->pools[i] = (struct policy_pool){.name = models[i], .gpu = models[i]};
	policy->class_count = CLASSES;
	policy->classes = arena_calloc(&arena, CLASSES, sizeof(*policy->classes));
	for (size_t i = 0; i < CLASSES; i++) {
		struct policy_class *class_ = &policy->classes[i];
		class_->name = names[i];
		class_->spread_level = -1;
		for (int term = 0; term < SCORE_TERM_COUNT; term++)
			class_->weights[term] = score_term_default_weight((enum score_term)term);
	}
	policy->classes[CLASS_ONLY].has_only = true;
	policy->classes[CLASS_ONLY].only_count = 2;
	policy->classes[CLASS_ONLY].only = arena_calloc(&arena, 2, sizeof(uint16_t));
	memcpy(policy->classes[CLASS_ONLY].only, only, sizeof(only));
	policy->classes[CLASS_ONLY].max_gpus_per_pod = 4;
	policy->classes[CLASS_PREFER].prefer_count = 3;
	policy->classes[CLASS_PREFER].prefer = arena_calloc(&arena, 3, sizeof(uint16_t));
	memcpy(policy->classes[CLASS_PREFER].prefer, cheap_first, sizeof(cheap_first));
	policy->classes[CLASS_PREFER].assume = DTYPE_BIT(DTYPE_BF16);
	policy->classes[CLASS_SPREAD].spread_level = 1;
	policy->classes[CLASS_HOSTS].spread_level = 2;
	policy->fallback = CLASS_BATCH;
	policy->avoid_count = 2;
	policy->avoid = arena_calloc(&arena, 2, sizeof(*policy->avoid));
	policy->avoid[0] = (struct policy_avoid){.condition = "GpuUnhealthy", .is = "True"};
	policy->avoid[1] = (struct policy_avoid){.taint_key = "gpu-error"};
	policy->arena = arena;
	return policy;
}

/* ---- random ones ---- */

WORLD const char *name_of(struct arena *arena, const char *prefix, int64_t number)
{
	char text[64];
	snprintf(text, sizeof(text), "%s%lld", prefix, (long long)number);
	return copy_text(arena, text);
}

WORLD struct node_spec *spec_random(struct fleet *fleet, struct prng *prng, const char *name)
{
	struct node_spec *spec = spec_new(name);
	int64_t cpu = 8000 * (1 + pick(prng, 4)), kind = pick(prng, 10);
	spec_amount(spec, RESOURCE_CPU, cpu, cpu);
	spec_amount(spec, RESOURCE_MEMORY, 64 * GIB * (1 + pick(prng, 3)), 256 * GIB);
	spec_amount(spec, RESOURCE_PODS, one_in(prng, 8) ? 2 : 30, 30);
	if (kind < 8) {
		int64_t count = one_in(prng, 3) ? 1 : one_in(prng, 2) ? 4 : 8;
		spec->model = one_in(prng, 12) ? NULL : &world_models[pick(prng, MODELS)];
		spec->gpu_count = (uint32_t)count;
		if (kind == 7)
			spec_lane(
			    spec, id_of(fleet, "nvidia.com/gpu.shared"), GPU_SHARE, spec->model, count * 4, count * 4);
		else
			spec_lane(spec, id_of(fleet, "nvidia.com/gpu"), GPU_WHOLE, spec->model,
			    one_in(prng, 8) ? pick(prng, count + 1) : count, count);
		if (kind == 6)
			spec_lane(spec, id_of(fleet, "nvidia.com/mig-1g.10gb"), GPU_SLICE, spec->model, 7, 7);
	}
	for (size_t i = 0; i < spec->lane_count && one_in(prng, 4); i++)
		spec->lanes[i].memory_mib = one_in(prng, 2) ? 0 : 16384;
	char value[16];
	if (!one_in(prng, 6)) {
		snprintf(value, sizeof(value), "b%lld", (long long)pick(prng, 2));
		spec_label(spec, "block", value);
		snprintf(value, sizeof(value), "r%lld", (long long)pick(prng, 3));
		spec_label(spec, "rack", value);
	}
	snprintf(value, sizeof(value), "z%lld", (long long)pick(prng, 3));
	spec_label(spec, "zone", value);
	if (one_in(prng, 6))
		spec_taint(spec, "soft", "", TAINT_PREFER_NO_SCHEDULE);
	if (one_in(prng, 10))
		spec_taint(spec, "team", "red", TAINT_NO_SCHEDULE);
	if (one_in(prng, 20))
		spec_taint(spec, "gpu-error", "", TAINT_NO_EXECUTE);
	spec->ready = !one_in(prng, 15);
	spec->unschedulable = one_in(prng, 15);
	return spec;
}

WORLD struct pod *pod_random(struct fleet *fleet, struct prng *prng, const char *uid)
{
	static const char *const classes[] = {"only", "prefer", "spread", "hosts", "batch", NULL, NULL, "unknown"};
	static const char *const kinds[] = {"nvidia.com/gpu", "nvidia.com/gpu", "nvidia.com/gpu",
	    "nvidia.com/gpu.shared", "nvidia.com/mig-1g.10gb", "amd.com/gpu"};
	struct pod *pod = pod_new(uid);
	if (!one_in(prng, 5))
		pod_asks(pod, RESOURCE_CPU, 500 * (1 + pick(prng, 16)));
	if (!one_in(prng, 5))
		pod_asks(pod, RESOURCE_MEMORY, GIB * (1 + pick(prng, 32)));
	if (!one_in(prng, 4))
		pod_asks(pod, id_of(fleet, kinds[pick(prng, 6)]), one_in(prng, 10) ? 8 : 1 + pick(prng, 3));
	if (one_in(prng, 20))
		pod_asks(pod, id_of(fleet, "nvidia.com/mig-1g.10gb"), 1);
	pod->class_name = classes[pick(prng, one_in(prng, 10) ? 8 : 7)];
	pod->owner_uid = one_in(prng, 3) ? NULL : name_of(&pod->arena, "owner", pick(prng, 4));
	pod->priority = (int32_t)pick(prng, 3);
	if (one_in(prng, 8))
		pod->gpu_memory_bytes = GIB * (1 + pick(prng, 80));
	if (one_in(prng, 8))
		pod->dtypes = DTYPE_BIT(pick(prng, DTYPE_COUNT));
	if (one_in(prng, 3))
		pod_tolerates(pod, "team", one_in(prng, 2) ? "red" : NULL);
	if (one_in(prng, 8))
		pod_tolerates(pod, "", NULL);
	if (one_in(prng, 6))
		pod_requires(
		    pod, "zone", one_in(prng, 2) ? SELECTOR_IN : SELECTOR_NOT_IN, one_in(prng, 2) ? "z0" : "z9");
	if (one_in(prng, 5)) {
		pod->preferred_count = 2;
		pod->preferred = arena_calloc(&pod->arena, 2, sizeof(*pod->preferred));
		pod->preferred[0] = (struct preferred_term){
		    10, term_of(&pod->arena, "zone", SELECTOR_IN, one_in(prng, 3) ? "z9" : "z1")};
		pod->preferred[1] = (struct preferred_term){5, term_of(&pod->arena, "rack", SELECTOR_EXISTS, NULL)};
	}
	return pod;
}

#endif
