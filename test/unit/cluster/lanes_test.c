/* One test a trap of the GPU labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/embedded.h"
#include "cluster/catalogue.h"
#include "cluster/node.h"

static struct resource_names names;
static struct catalogue *catalogue;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	resource_names_init(&names);
	catalogue = catalogue_load(embedded_text("gpus.yaml"), (struct slice){NULL, 0}, "", &err);
	return catalogue ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	resource_names_free(&names);
	catalogue_free(catalogue);
	return 0;
}

static struct node_spec *node_of(const char *labels, const char *capacity, const char *allocatable)
{
	char json[4096];
	struct err err;
	struct node_spec *spec;

	snprintf(json, sizeof json,
	    "{\"metadata\":{\"name\":\"n\",\"labels\":{%s}},\"status\":{\"capacity\":{%s},\"allocatable\":{%s}}}",
	    labels, capacity, allocatable);
	spec = cluster_node_decode(slice_of(json), &names, &catalogue->gpus, &err);
	if (!spec)
		fail_msg("%s", err.text);
	return spec;
}

static const struct gpu_lane *lane_of(const struct node_spec *spec, const char *resource)
{
	int id = resource_names_find(&names, slice_of(resource));
	const struct gpu_lane *lane = id < 0 ? NULL : node_spec_lane(spec, (resource_id)id);

	if (!lane)
		fail_msg("no lane %s", resource);
	return lane;
}

#define NVIDIA(product, memory, count, replicas)                                                                       \
	"\"nvidia.com/gpu.product\":\"" product "\",\"nvidia.com/gpu.memory\":\"" memory                               \
	"\",\"nvidia.com/gpu.count\":\"" count "\",\"nvidia.com/gpu.replicas\":\"" replicas "\""
#define GPUS(count) "\"cpu\":\"96\",\"nvidia.com/gpu\":\"" count "\""

static void whole_gpus(void **state)
{
	struct node_spec *spec = node_of(NVIDIA("NVIDIA-H100-80GB-HBM3", "81559", "8", "1"), GPUS("8"), GPUS("8"));
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/gpu");

	(void)state;
	assert_int_equal(spec->lane_count, 1);
	assert_int_equal(lane->unit, GPU_WHOLE);
	assert_int_equal(lane->replicas, 1);
	assert_int_equal(lane->memory_mib, 81559);
	assert_string_equal(lane->model->name, "H100");
	assert_true(lane->dtypes & DTYPE_BIT(DTYPE_FP8));
	assert_null(lane->profile);
	assert_ptr_equal(spec->model, lane->model);
	assert_int_equal(spec->gpu_count, 8);
	assert_false(spec->mixed_models);
	node_spec_free(spec);
}

static void unhealthy_gpus_are_degraded_not_gone(void **state)
{
	struct node_spec *spec = node_of(NVIDIA("Tesla-T4", "15360", "4", "1"), GPUS("4"), GPUS("0"));

	(void)state;
	assert_int_equal(lane_of(spec, "nvidia.com/gpu")->memory_mib, 15360);
	assert_int_equal(spec->gpu_count, 4);
	assert_int_equal(resources_get(&spec->allocatable, lane_of(spec, "nvidia.com/gpu")->resource), 0);
	node_spec_free(spec);
}

static void time_slices_under_the_old_name(void **state)
{
	struct node_spec *spec = node_of(NVIDIA("Tesla-T4-SHARED", "15360", "2", "4"), GPUS("8"), GPUS("8"));
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/gpu");

	(void)state;
	assert_int_equal(lane->unit, GPU_SHARE);
	assert_int_equal(lane->replicas, 4);
	assert_int_equal(lane->memory_mib, 15360);
	assert_string_equal(lane->model->name, "T4");
	assert_int_equal(spec->gpu_count, 2);
	assert_false(spec->mixed_models);
	node_spec_free(spec);
}

static void mps_clients_have_their_part_of_the_memory(void **state)
{
	static const char sharing[] = ",\"nvidia.com/gpu.sharing-strategy\":\"";
	static const struct {
		const char *strategy;
		int64_t memory_mib;
	} cases[] = {{"mps", 15360 / 4}, {"time-slicing", 15360}};
	char labels[1024];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct node_spec *spec;
		const struct gpu_lane *lane;

		snprintf(labels, sizeof labels, "%s%s%s\"", NVIDIA("Tesla-T4-SHARED", "15360", "2", "4"), sharing,
		    cases[i].strategy);
		spec = node_of(labels, GPUS("8"), GPUS("8"));
		lane = lane_of(spec, "nvidia.com/gpu");
		assert_int_equal(lane->unit, GPU_SHARE);
		assert_int_equal(lane->memory_mib, cases[i].memory_mib);
		assert_int_equal(lane->memory_split, i == 0);
		node_spec_free(spec);
	}
}

static void shares_under_their_own_name(void **state)
{
	struct node_spec *spec =
	    node_of(NVIDIA("NVIDIA-A10", "23028", "2", "10") ",\"nvidia.com/gpu.sharing-strategy\":\"mps\"",
	        "\"nvidia.com/gpu.shared\":\"20\",\"nvidia.com/gpu\":\"0\"", "\"nvidia.com/gpu.shared\":\"20\"");
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/gpu.shared");

	(void)state;
	assert_int_equal(spec->lane_count, 1);
	assert_int_equal(lane->unit, GPU_SHARE);
	assert_int_equal(lane->replicas, 10);
	assert_int_equal(lane->memory_mib, 23028 / 10);
	assert_int_equal(spec->gpu_count, 2);
	node_spec_free(spec);
}

static void mig_single_strategy(void **state)
{
	struct node_spec *spec =
	    node_of(NVIDIA("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", "9728", "56", "1"), GPUS("56"), GPUS("56"));
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/gpu");

	(void)state;
	assert_int_equal(lane->unit, GPU_SLICE);
	assert_int_equal(lane->replicas, 1);
	assert_int_equal(lane->memory_mib, 9728);
	assert_string_equal(lane->profile->name, "1g.10gb");
	assert_string_equal(lane->model->variant, "A100-SXM4-80GB");
	assert_string_equal(spec->model->name, "A100");
	assert_int_equal(spec->gpu_count, 0);
	assert_false(spec->mixed_models);
	node_spec_free(spec);
}

static void mig_single_strategy_shared(void **state)
{
	struct node_spec *spec =
	    node_of(NVIDIA("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED", "4864", "7", "2"), GPUS("14"), GPUS("14"));
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/gpu");

	(void)state;
	assert_int_equal(lane->unit, GPU_SHARE);
	assert_int_equal(lane->replicas, 2);
	assert_int_equal(lane->memory_mib, 4864);
	assert_string_equal(lane->profile->name, "1g.5gb");
	assert_int_equal(spec->gpu_count, 0);
	node_spec_free(spec);
}

static void mig_invalid(void **state)
{
	struct node_spec *spec =
	    node_of(NVIDIA("NVIDIA-A100-SXM4-80GB-MIG-INVALID", "0", "0", "0"), GPUS("4"), GPUS("0"));
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/gpu");

	(void)state;
	assert_null(lane->model);
	assert_null(lane->profile);
	assert_int_equal(lane->memory_mib, 0);
	assert_false(spec->mixed_models);
	node_spec_free(spec);
}

static void mig_mixed_strategy(void **state)
{
	struct node_spec *spec =
	    node_of(NVIDIA("NVIDIA-A100-SXM4-40GB", "40960", "4",
	                "1") ",\"nvidia.com/mig-1g.5gb.memory\":\"4800\","
	                     "\"nvidia.com/mig-1g.5gb.count\":\"14\",\"nvidia.com/mig-1g.5gb.replicas\":\"1\","
	                     "\"nvidia.com/mig-1g.5gb.product\":\"NVIDIA-A100-SXM4-40GB-MIG-1g.5gb\"",
	        GPUS("2") ",\"nvidia.com/mig-1g.5gb\":\"14\",\"nvidia.com/mig-3g.20gb\":\"0\",\"nvidia.com/"
	                  "mig-1g.5gb.me\":\"1\"",
	        GPUS("2") ",\"nvidia.com/mig-1g.5gb\":\"14\"");
	const struct gpu_lane *one = lane_of(spec, "nvidia.com/mig-1g.5gb"),
	                      *media = lane_of(spec, "nvidia.com/mig-1g.5gb.me");

	(void)state;
	assert_int_equal(spec->lane_count, 3);
	assert_int_equal(lane_of(spec, "nvidia.com/gpu")->unit, GPU_WHOLE);
	assert_int_equal(lane_of(spec, "nvidia.com/gpu")->memory_mib, 40960);
	assert_int_equal(one->unit, GPU_SLICE);
	assert_int_equal(one->memory_mib, 4800);
	assert_string_equal(one->profile->name, "1g.5gb");
	assert_int_equal(media->memory_mib, 4864);
	assert_string_equal(media->model->name, "A100");
	assert_false(spec->mixed_models);
	assert_int_equal(spec->gpu_count, 4);
	node_spec_free(spec);
}

static void all_gpus_cut_by_mig(void **state)
{
	struct node_spec *spec = node_of(NVIDIA("NVIDIA-H100-80GB-HBM3", "81559", "8", "0"),
	    "\"nvidia.com/mig-3g.40gb.shared\":\"32\"", "\"nvidia.com/mig-3g.40gb.shared\":\"32\"");
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/mig-3g.40gb.shared");

	(void)state;
	assert_int_equal(lane->unit, GPU_SHARE);
	assert_int_equal(lane->memory_mib, 40192);
	assert_string_equal(lane->profile->name, "3g.40gb");
	assert_int_equal(spec->gpu_count, 8);
	assert_string_equal(spec->model->name, "H100");
	node_spec_free(spec);
}

static void two_models_on_one_node(void **state)
{
	struct node_spec *spec =
	    node_of(NVIDIA("Tesla-T4", "15360", "2",
	                "1") ",\"nvidia.com/gpu.compute.major\":\"7\",\"nvidia.com/gpu.compute.minor\":\"5\"",
	        GPUS("6"), GPUS("6"));
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/gpu");

	(void)state;
	assert_true(spec->mixed_models);
	assert_null(spec->model);
	assert_null(lane->model);
	assert_int_equal(lane->memory_mib, 0);
	assert_int_equal(lane->dtypes, 0);
	assert_int_equal(spec->gpu_count, 6);
	node_spec_free(spec);
}

/* MIG was switched on and no instance made yet, or a GPU is gone: that is one model all the same. */
static void fewer_units_than_gpus(void **state)
{
	struct node_spec *spec = node_of(NVIDIA("NVIDIA-A30", "24576", "4", "1"), GPUS("3"), GPUS("3"));

	(void)state;
	assert_false(spec->mixed_models);
	assert_string_equal(spec->model->name, "A30");
	node_spec_free(spec);
}

static void unknown_model(void **state)
{
	struct node_spec *spec =
	    node_of(NVIDIA("NVIDIA-X9000", "50000", "2",
	                "1") ",\"nvidia.com/gpu.compute.major\":\"8\",\"nvidia.com/gpu.compute.minor\":\"6\"",
	        GPUS("2"), GPUS("2"));
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/gpu");

	(void)state;
	assert_null(lane->model);
	assert_int_equal(lane->memory_mib, 50000);
	assert_true(lane->dtypes & DTYPE_BIT(DTYPE_BF16));
	assert_false(lane->dtypes & DTYPE_BIT(DTYPE_FP8));
	assert_false(spec->mixed_models);
	node_spec_free(spec);
}

static void no_labels(void **state)
{
	struct node_spec *spec =
	    node_of("", GPUS("2") ",\"gpu-vendor.example/example-gpu\":\"1\",\"habana.ai/gaudi\":\"8\"", "");
	const struct gpu_lane *lane = lane_of(spec, "nvidia.com/gpu");

	(void)state;
	assert_int_equal(spec->lane_count, 3);
	assert_int_equal(lane->unit, GPU_WHOLE);
	assert_int_equal(lane->memory_mib, 0);
	assert_int_equal(lane->dtypes, 0);
	assert_null(spec->model);
	assert_int_equal(spec->gpu_count, 11);
	node_spec_free(spec);
}

static void product_without_memory(void **state)
{
	struct node_spec *spec = node_of("\"nvidia.com/gpu.product\":\"NVIDIA-L4\"", GPUS("1"), GPUS("1"));

	(void)state;
	assert_int_equal(lane_of(spec, "nvidia.com/gpu")->memory_mib, 23034);
	assert_int_equal(spec->gpu_count, 1);
	node_spec_free(spec);
}

static void amd(void **state)
{
	struct node_spec *spec =
	    node_of("\"amd.com/gpu.product-name\":\"AMD_Instinct_MI300X_OAM\",\"amd.com/gpu.vram\":\"192G\"",
	        "\"amd.com/gpu\":\"8\"", "\"amd.com/gpu\":\"8\"");
	const struct gpu_lane *lane = lane_of(spec, "amd.com/gpu");

	(void)state;
	assert_int_equal(lane->memory_mib, 192 * 1024);
	assert_string_equal(lane->model->name, "MI300X");
	assert_true(lane->dtypes & DTYPE_BIT(DTYPE_FP8));
	assert_int_equal(spec->gpu_count, 8);
	node_spec_free(spec);
	spec = node_of("\"amd.com/gpu.product-name\":\"AMD_Instinct_MI300X_OAM\",\"amd.com/gpu.vram\":\"192G\"",
	    "\"amd.com/cpx_nps4\":\"64\",\"amd.com/spx_nps1\":\"1\"", "");
	lane = lane_of(spec, "amd.com/cpx_nps4");
	assert_int_equal(lane->unit, GPU_SLICE);
	assert_int_equal(lane->memory_mib, 0);
	assert_int_equal(lane_of(spec, "amd.com/spx_nps1")->memory_mib, 192 * 1024);
	node_spec_free(spec);
}

static void intel(void **state)
{
	struct node_spec *spec = node_of("\"gpu.intel.com/product\":\"Max_1550\",\"gpu.intel.com/device.count\":\"2\"",
	    "\"gpu.intel.com/xe\":\"2\"", "\"gpu.intel.com/xe\":\"2\"");

	(void)state;
	assert_string_equal(spec->model->name, "Max-1550");
	assert_int_equal(lane_of(spec, "gpu.intel.com/xe")->unit, GPU_WHOLE);
	assert_int_equal(lane_of(spec, "gpu.intel.com/xe")->memory_mib, 131072);
	node_spec_free(spec);
	spec = node_of("\"gpu.intel.com/product\":\"Max_1100\",\"gpu.intel.com/device.count\":\"2\"",
	    "\"gpu.intel.com/i915\":\"20\"", "\"gpu.intel.com/i915\":\"20\"");
	assert_int_equal(lane_of(spec, "gpu.intel.com/i915")->unit, GPU_SHARE);
	assert_int_equal(lane_of(spec, "gpu.intel.com/i915")->replicas, 10);
	assert_int_equal(spec->gpu_count, 2);
	node_spec_free(spec);
}

static void labels_that_are_no_numbers(void **state)
{
	struct node_spec *spec = node_of(NVIDIA("NVIDIA-L4", "lots", "-1", "99999999999999"), GPUS("4"), GPUS("4"));

	(void)state;
	assert_int_equal(lane_of(spec, "nvidia.com/gpu")->memory_mib, 23034);
	assert_int_equal(lane_of(spec, "nvidia.com/gpu")->unit, GPU_WHOLE);
	assert_int_equal(spec->gpu_count, 4);
	node_spec_free(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole_gpus),
	    cmocka_unit_test(unhealthy_gpus_are_degraded_not_gone),
	    cmocka_unit_test(time_slices_under_the_old_name),
	    cmocka_unit_test(mps_clients_have_their_part_of_the_memory),
	    cmocka_unit_test(shares_under_their_own_name),
	    cmocka_unit_test(mig_single_strategy),
	    cmocka_unit_test(mig_single_strategy_shared),
	    cmocka_unit_test(mig_invalid),
	    cmocka_unit_test(mig_mixed_strategy),
	    cmocka_unit_test(all_gpus_cut_by_mig),
	    cmocka_unit_test(two_models_on_one_node),
	    cmocka_unit_test(fewer_units_than_gpus),
	    cmocka_unit_test(unknown_model),
	    cmocka_unit_test(no_labels),
	    cmocka_unit_test(product_without_memory),
	    cmocka_unit_test(amd),
	    cmocka_unit_test(intel),
	    cmocka_unit_test(labels_that_are_no_numbers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
