#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/embedded.h"
#include "cluster/catalogue.h"

static const struct slice nothing = {NULL, 0};

static struct catalogue *load(const char *extra)
{
	struct err err;
	struct catalogue *catalogue =
	    catalogue_load(embedded_text("gpus.yaml"), extra ? slice_of(extra) : nothing, "mine.yaml", &err);

	if (!catalogue)
		fail_msg("%s", err.text);
	return catalogue;
}

static const struct gpu_model *model_of(const struct catalogue *catalogue, const char *product)
{
	return gpu_model_of_product(&catalogue->gpus, slice_of(product));
}

static void assert_variant(
    const struct catalogue *catalogue, const char *product, const char *name, const char *variant)
{
	const struct gpu_model *model = model_of(catalogue, product);

	if (!model)
		fail_msg("%s is not known", product);
	assert_string_equal(model->name, name);
	assert_string_equal(model->variant, variant);
}

static void products(void **state)
{
	struct catalogue *c = load(NULL);

	(void)state;
	assert_variant(c, "NVIDIA-H100-80GB-HBM3", "H100", "H100-SXM");
	assert_variant(c, "NVIDIA-H100-NVL-MIG-1g.12gb", "H100", "H100-NVL");
	assert_variant(c, "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED", "A100", "A100-SXM4-40GB");
	assert_variant(c, "A100-SXM4-80GB", "A100", "A100-SXM4-80GB");
	assert_variant(c, "Tesla-T4-SHARED", "T4", "T4");
	assert_variant(c, "NVIDIA-A10G", "A10G", "A10G");
	assert_variant(c, "NVIDIA-A10", "A10", "A10");
	assert_variant(c, "NVIDIA-L40S", "L40S", "L40S");
	assert_variant(c, "NVIDIA-H200-NVL", "H200", "H200-NVL");
	assert_variant(c, "AMD_Instinct_MI300X_OAM", "MI300X", "MI300X");
	assert_variant(c, "AMD_Instinct_MI250X", "MI250X", "MI250X");
	assert_variant(c, "Max_1550", "Max-1550", "Max-1550");
	assert_null(model_of(c, "NVIDIA-L40"));
	assert_true(gpu_model_named(&c->gpus, slice_of("Xavier")));
	catalogue_free(c);
}

static void number_formats(void **state)
{
	struct catalogue *c = load(NULL);
	const struct gpu_model *t4 = model_of(c, "Tesla-T4"), *v100 = model_of(c, "Tesla-V100-SXM2-32GB");
	const struct gpu_model *h100 = model_of(c, "NVIDIA-H100-PCIe"), *gaudi = model_of(c, "Gaudi2");

	(void)state;
	assert_false((t4->dtypes | v100->dtypes) & DTYPE_BIT(DTYPE_BF16));
	assert_true(t4->dtypes & DTYPE_BIT(DTYPE_FP16));
	assert_true(h100->dtypes & DTYPE_BIT(DTYPE_FP8));
	assert_true(gaudi->dtypes & DTYPE_BIT(DTYPE_BF16));
	assert_false(gaudi->dtypes & DTYPE_BIT(DTYPE_FP64));
	assert_int_equal(t4->suits, GPU_INFERENCE);
	assert_int_equal(v100->suits, GPU_TRAINING | GPU_SMALL);
	assert_int_equal(h100->compute_major * 10 + h100->compute_minor, 90);
	catalogue_free(c);
}

/* What the file's heading says of cost. */
static void costs_follow_their_formula(void **state)
{
	struct catalogue *c = load(NULL);

	(void)state;
	for (size_t i = 0; i < c->gpus.model_count; i++) {
		const struct gpu_model *model = &c->gpus.models[i];
		double cost = sqrt(model->tflops / 65 * model->memory_mib / 15360);

		assert_true(model->cost > 0);
		if (model->tflops > 0 && fabs(cost - model->cost) > 0.0501)
			fail_msg("%s: %g", model->variant, cost);
	}
	catalogue_free(c);
}

static void mig_tables(void **state)
{
	struct catalogue *c = load(NULL);
	const struct gpu_model *a100 = model_of(c, "NVIDIA-A100-SXM4-40GB"), *h200 = model_of(c, "NVIDIA-H200");
	const struct gpu_profile *three = gpu_model_profile(a100, slice_of("3g.20gb"));

	(void)state;
	assert_int_equal(a100->slices, 8);
	assert_int_equal(gpu_model_profile(a100, slice_of("1g.10gb"))->slices, 2);
	assert_int_equal(gpu_model_profile(model_of(c, "NVIDIA-A100-SXM4-80GB"), slice_of("1g.10gb"))->slices, 1);
	assert_int_equal(gpu_model_profile(a100, slice_of("1g.5gb"))->memory_mib, 4864);
	assert_int_equal(gpu_model_profile(a100, slice_of("1g.5gb.me"))->max, 1);
	assert_int_equal(three->start_count, 2);
	assert_int_equal(three->starts[1], 4);
	assert_int_equal(three->compute, 3);
	assert_non_null(gpu_model_profile(h200, slice_of("7g.141gb")));
	assert_null(gpu_model_profile(model_of(c, "Tesla-T4"), slice_of("1g.5gb")));
	for (size_t i = 0; i < c->gpus.model_count; i++) {
		const struct gpu_model *model = &c->gpus.models[i];

		for (size_t j = 0; j < model->profile_count; j++) {
			const struct gpu_profile *profile = &model->profiles[j];

			assert_true(profile->start_count > 0 && profile->max <= profile->start_count);
			assert_true(profile->starts[profile->start_count - 1] + profile->slices <= model->slices);
			assert_true((int64_t)profile->memory_mib * model->slices <=
			            (int64_t)model->memory_mib * profile->slices);
		}
	}
	catalogue_free(c);
}

static void assert_resource(const struct catalogue *c, const char *name, const char *pattern, enum gpu_unit unit)
{
	const struct gpu_resource *resource = gpu_resource_named(&c->gpus, slice_of(name));

	if (!resource)
		fail_msg("%s is no GPU", name);
	assert_string_equal(resource->pattern, pattern);
	assert_int_equal(resource->unit, unit);
}

static void resources(void **state)
{
	struct catalogue *c = load(NULL);

	(void)state;
	assert_resource(c, "nvidia.com/gpu", "nvidia.com/gpu", GPU_WHOLE);
	assert_resource(c, "nvidia.com/gpu.shared", "nvidia.com/gpu.shared", GPU_SHARE);
	assert_resource(c, "nvidia.com/mig-1g.10gb", "nvidia.com/mig-*", GPU_SLICE);
	assert_resource(c, "nvidia.com/mig-1g.10gb.shared", "nvidia.com/mig-*.shared", GPU_SHARE);
	assert_resource(c, "amd.com/gpu", "amd.com/gpu", GPU_WHOLE);
	assert_resource(c, "amd.com/cpx_nps4", "amd.com/cpx_*", GPU_SLICE);
	assert_resource(c, "gpu.intel.com/xe", "gpu.intel.com/xe", GPU_WHOLE);
	assert_resource(c, "habana.ai/gaudi", "habana.ai/gaudi", GPU_WHOLE);
	assert_resource(c, "gpu-vendor.example/example-gpu", "*-gpu", GPU_WHOLE);
	assert_resource(c, "some.example/gpu", "*/gpu", GPU_WHOLE);
	assert_int_equal(gpu_resource_named(&c->gpus, slice_of("amd.com/gpu"))->memory_unit_mib_num, 1024);
	assert_null(gpu_resource_named(&c->gpus, slice_of("cpu")));
	assert_null(gpu_resource_named(&c->gpus, slice_of("gpu.intel.com/monitoring")));
	assert_null(gpu_resource_named(&c->gpus, slice_of("nvidia.com/gpumem")));
	catalogue_free(c);
}

static void a_file_of_the_users(void **state)
{
	struct catalogue *c =
	    load("resources:\n"
	         "- {resource: nvidia.com/gpu, unit: share}\n"
	         "models:\n"
	         "- {model: X1, products: [NVIDIA-X1], compute: \"9.0\", cost: 3}\n"
	         "- model: T4\n"
	         "  cost: 2\n"
	         "  compute: \"7.5\"\n"
	         "  variants:\n"
	         "  - {variant: T4, products: [Tesla-T4]}\n"
	         "  - {variant: T4-MIG, products: [Tesla-T4G], mig: A30, cost: 4.5, dtypes: [int8]}\n");

	(void)state;
	assert_resource(c, "nvidia.com/gpu", "nvidia.com/gpu", GPU_SHARE);
	assert_true(model_of(c, "Tesla-T4")->cost == 2);
	assert_int_equal(model_of(c, "Tesla-T4")->memory_mib, 0);
	assert_int_equal(model_of(c, "Tesla-T4G")->profile_count, 5);
	assert_int_equal(model_of(c, "Tesla-T4G")->dtypes, DTYPE_BIT(DTYPE_INT8));
	assert_null(model_of(c, "NVIDIA-T4"));
	catalogue_free(c);
}

static void assert_refused(const char *extra, const char *text)
{
	struct err err = {.text = ""};
	struct catalogue *catalogue = catalogue_load(embedded_text("gpus.yaml"), slice_of(extra), "mine.yaml", &err);

	assert_null(catalogue);
	assert_string_equal(err.text, text);
}

static void refused(void **state)
{
	(void)state;
	assert_refused("x: 1\n", "mine.yaml:1:1: unknown key \"x\"");
	assert_refused(
	    "models:\n- {model: A, products: [P], cost: 1, tflop: 3}\n", "mine.yaml:2:38: unknown key \"tflop\"");
	assert_refused("models: {}\n", "mine.yaml:1:9: a list is due here");
	assert_refused("models: []\nmodels: []\n", "mine.yaml:2:1: key \"models\" stands here twice");
	assert_refused("models:\n- {products: [P]}\n", "mine.yaml:2:3: a model without \"model\"");
	assert_refused("models:\n- {model: A, cost: 1}\n", "mine.yaml:2:3: \"A\" without products");
	assert_refused("models:\n- {model: A, products: [P]}\n", "mine.yaml:2:3: \"A\" without a cost above 0");
	assert_refused("models:\n- {model: A, products: [P], cost: \"1\"}\n", "mine.yaml:2:35: a number is due here");
	assert_refused("models:\n- {model: A, products: [P], cost: -1}\n", "mine.yaml:2:35: must be 0 to 1000000");
	assert_refused(
	    "models:\n- {model: A, products: [P], memoryMiB: 16Gi}\n", "mine.yaml:2:40: a whole number is due here");
	assert_refused("models:\n- {model: A, products: [P], memoryMiB: 0}\n", "mine.yaml:2:40: must be 1 to 67108864");
	assert_refused("models:\n- {model: A, dtypes: [fp17]}\n", "mine.yaml:2:23: unknown word \"fp17\"");
	assert_refused("models:\n- {model: A, suits: [small, small]}\n", "mine.yaml:2:29: \"small\" stands here twice");
	assert_refused("models:\n- {model: A, compute: nine}\n", "mine.yaml:2:23: a version like \"9.0\" is due here");
	assert_refused(
	    "models:\n- {model: A, mig: none, products: [P], cost: 1}\n", "mine.yaml:2:3: no geometry \"none\"");
	assert_refused("models:\n- {model: A, products: [P], cost: 1}\n- {model: A, products: [Q], cost: 1}\n",
	    "mine.yaml:3:3: variant \"A\" stands here twice");
	assert_refused("models:\n- {model: A, products: [Tesla-T4], cost: 1}\n",
	    "mine.yaml:2:25: product \"Tesla-T4\" is of \"T4\" already");
	assert_refused(
	    "models:\n- {model: A, products: [P], variants: []}\n", "mine.yaml:2:24: products stand with the variants");
	assert_refused(
	    "resources:\n- {resource: \"*/*-x\", unit: whole}\n", "mine.yaml:2:3: more than one '*' in a name");
	assert_refused("resources:\n- {resource: a/b, unit: half}\n", "mine.yaml:2:25: unknown word \"half\"");
	assert_refused("resources:\n- {resource: a/b, unit: whole}\n- {resource: a/b, unit: whole}\n",
	    "mine.yaml:3:3: resource \"a/b\" stands here twice");
}

static void refused_mig(void **state)
{
	(void)state;
	assert_refused("migLayouts:\n- {layout: a, slices: 9, shapes: []}\n", "mine.yaml:2:23: must be 1 to 8");
	assert_refused(
	    "migLayouts:\n- {layout: a, slices: 4, shapes: [{shape: s, compute: 1, slices: 2, starts: [3], max: 1}]}\n",
	    "mine.yaml:2:78: must be 0 to 2");
	assert_refused("migLayouts:\n- {layout: a, slices: 4, shapes: [{shape: s, compute: 1, slices: 2, starts: [2, "
	               "0], max: 1}]}\n",
	    "mine.yaml:2:81: starts must rise");
	assert_refused(
	    "migLayouts:\n- {layout: a, slices: 4, shapes: [{shape: s, compute: 1, slices: 5, starts: [0], max: 1}]}\n",
	    "mine.yaml:2:35: more slices than the GPU has");
	assert_refused(
	    "migGeometries:\n- {geometry: g, layout: none, profiles: []}\n", "mine.yaml:2:3: no layout \"none\"");
	assert_refused(
	    "migGeometries:\n- {geometry: g, layout: quarters, profiles: [{profile: p, shape: 3g, memoryMiB: 1}]}\n",
	    "mine.yaml:2:46: layout \"quarters\" has no shape \"3g\"");
	assert_refused("migGeometries:\n- {geometry: g, layout: quarters, profiles: []}\n- {geometry: g, layout: "
	               "quarters, profiles: []}\n",
	    "mine.yaml:3:3: geometry \"g\" stands here twice");
}

static void not_yaml(void **state)
{
	struct err err = {.text = ""};

	(void)state;
	assert_null(catalogue_load(slice_of("models: [\n"), nothing, "", &err));
	assert_non_null(strstr(err.text, "gpus.yaml:2:1: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(products),
	    cmocka_unit_test(number_formats),
	    cmocka_unit_test(costs_follow_their_formula),
	    cmocka_unit_test(mig_tables),
	    cmocka_unit_test(resources),
	    cmocka_unit_test(a_file_of_the_users),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(refused_mig),
	    cmocka_unit_test(not_yaml),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
