#include "world.h"

static const char *model_of(const char *product)
{
	const struct gpu_model *model = gpu_model_of_product(&world_catalogue, slice_of(product));
	return model ? model->name : "none";
}

static void products(void **state)
{
	(void)state;
	assert_string_equal(model_of("NVIDIA-H100-80GB-HBM3"), "H100");
	assert_string_equal(model_of("NVIDIA-H100-80GB-HBM3-SHARED"), "H100");
	assert_string_equal(model_of("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"), "A100");
	assert_string_equal(model_of("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb-SHARED"), "A100");
	assert_string_equal(model_of("NVIDIA-A100-SXM4-80GB-MIG-INVALID"), "A100");
	assert_string_equal(model_of("NVIDIA-L4"), "L4");
	assert_string_equal(model_of("NVIDIA-L40S"), "none");
	assert_string_equal(model_of("NVIDIA-L40"), "none");
	assert_string_equal(model_of("Tesla-T4"), "T4");
	assert_string_equal(model_of("NVIDIA"), "none");
	assert_string_equal(model_of(""), "none");
	assert_true(gpu_model_named(&world_catalogue, slice_of("L4")));
	assert_false(gpu_model_named(&world_catalogue, slice_of("L")));
}

static void the_longest_known_product_wins(void **state)
{
	(void)state;
	const char *general[] = {"NVIDIA-A100"}, *exact[] = {"NVIDIA-A100-SXM4-40GB", "NVIDIA-A100-PCIE"};
	struct gpu_model models[] = {
	    {.name = "A100", .variant = "40", .product_count = 2, .products = exact},
	    {.name = "A100", .variant = "other", .product_count = 1, .products = general},
	};
	struct gpu_catalogue catalogue = {.model_count = 2, .models = models};
	assert_ptr_equal(gpu_model_of_product(&catalogue, slice_of("NVIDIA-A100-SXM4-40GB")), &models[0]);
	assert_ptr_equal(gpu_model_of_product(&catalogue, slice_of("NVIDIA-A100-PCIE-40GB")), &models[0]);
	assert_ptr_equal(gpu_model_of_product(&catalogue, slice_of("NVIDIA-A100-SXM4-80GB")), &models[1]);
}

static void resources(void **state)
{
	(void)state;
	assert_int_equal(gpu_resource_named(&world_catalogue, slice_of("nvidia.com/gpu"))->unit, GPU_WHOLE);
	assert_int_equal(gpu_resource_named(&world_catalogue, slice_of("nvidia.com/gpu.shared"))->unit, GPU_SHARE);
	assert_int_equal(gpu_resource_named(&world_catalogue, slice_of("nvidia.com/mig-3g.40gb"))->unit, GPU_SLICE);
	assert_null(gpu_resource_named(&world_catalogue, slice_of("nvidia.com/gpumem")));
	assert_null(gpu_resource_named(&world_catalogue, slice_of("nvidia.com/mi")));
}

static void profiles(void **state)
{
	(void)state;
	const struct gpu_model *model = &world_models[H100];
	assert_ptr_equal(gpu_model_profile(model, slice_of("3g.40gb")), &model->profiles[1]);
	assert_ptr_equal(gpu_model_profile(model, slice_of("1g.10gb.me")), &model->profiles[2]);
	assert_ptr_equal(gpu_model_profile(model, slice_of("1g.10gb+me")), &model->profiles[2]);
	assert_null(gpu_model_profile(model, slice_of("1g.10gb-me")));
	assert_null(gpu_model_profile(&world_models[T4], slice_of("1g.10gb")));
}

static void dtypes(void **state)
{
	(void)state;
	const uint32_t old = DTYPE_BIT(DTYPE_FP32) | DTYPE_BIT(DTYPE_FP64) | DTYPE_BIT(DTYPE_FP16);
	assert_int_equal(gpu_dtypes_of_compute(6, 0), old);
	assert_int_equal(gpu_dtypes_of_compute(7, 5), old | DTYPE_BIT(DTYPE_INT8));
	assert_true(gpu_dtypes_of_compute(8, 0) & DTYPE_BIT(DTYPE_BF16));
	assert_false(gpu_dtypes_of_compute(8, 6) & DTYPE_BIT(DTYPE_FP8));
	assert_int_equal(gpu_dtypes_of_compute(8, 9), ALL_DTYPES);
	assert_int_equal(gpu_dtypes_of_compute(12, 0), ALL_DTYPES);
	assert_int_equal(gpu_dtypes_of_compute(0, 0), 0);
	assert_int_equal(gpu_dtypes_of_compute(-1, 0), 0);
	assert_int_equal(gpu_dtypes_of_compute(2147483647, 2147483647), 0);
	for (int i = 0; i < DTYPE_COUNT; i++)
		assert_int_equal(dtype_named(slice_of(dtype_name((enum dtype)i))), i);
	assert_int_equal(dtype_named(slice_of("fp4")), DTYPE_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(products),
	    cmocka_unit_test(the_longest_known_product_wins),
	    cmocka_unit_test(resources),
	    cmocka_unit_test(profiles),
	    cmocka_unit_test(dtypes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
