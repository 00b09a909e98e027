/* Any text as a GPU catalogue of the user's, beside a built-in one (a short one, for speed): it is refused with its
 * place, or what decisions rely on holds of every model. */
#include <stdlib.h>

#include "cluster/catalogue.h"

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char builtin[] = "resources:\n"
                              "- {resource: nvidia.com/gpu, unit: whole, product: nvidia.com/gpu.product}\n"
                              "migLayouts:\n"
                              "- layout: quarters\n"
                              "  slices: 4\n"
                              "  shapes:\n"
                              "  - {shape: 1g, compute: 1, slices: 1, starts: [0, 1, 2, 3], max: 4}\n"
                              "  - {shape: 4g, compute: 4, slices: 4, starts: [0], max: 1}\n"
                              "migGeometries:\n"
                              "- geometry: A30\n"
                              "  layout: quarters\n"
                              "  profiles:\n"
                              "  - {profile: 1g.6gb, shape: 1g, memoryMiB: 5952}\n"
                              "  - {profile: 4g.24gb, shape: 4g, memoryMiB: 24125}\n"
                              "models:\n"
                              "- {model: A30, compute: \"8.0\", suits: [training], products: [NVIDIA-A30],\n"
                              "   memoryMiB: 24576, tflops: 165, cost: 2, mig: A30}\n"
                              "- {model: T4, compute: \"7.5\", suits: [inference], products: [Tesla-T4], memoryMiB: "
                              "15360, tflops: 65, cost: 1}\n";

static void check_profile(const struct gpu_model *model, const struct gpu_profile *profile)
{
	CHECK(gpu_model_profile(model, slice_of(profile->name)) != NULL);
	CHECK(profile->slices > 0 && profile->memory_mib > 0 && profile->max > 0);
	CHECK(profile->start_count <= sizeof profile->starts);
	for (size_t i = 0; i < profile->start_count; i++)
		CHECK(profile->starts[i] + profile->slices <= model->slices);
}

static void check_model(const struct gpu_catalogue *gpus, const struct gpu_model *model)
{
	CHECK(model->name[0] && model->variant[0] && gpu_model_named(gpus, slice_of(model->name)));
	CHECK(model->cost > 0 && model->tflops >= 0 && model->memory_mib >= 0);
	CHECK(model->dtypes < DTYPE_BIT(DTYPE_COUNT));
	CHECK(model->slices == 0 || model->slices == 4 || model->slices == 8);
	for (size_t i = 0; i < model->product_count; i++) {
		const char *product = model->products[i];
		/* A label loses these before it is looked up. */
		bool is_suffixed = strstr(product, "-MIG-") || strstr(product, "-SHARED");

		CHECK(gpu_model_of_product(gpus, slice_of(product)) || is_suffixed || !*product);
	}
	for (size_t i = 0; i < model->profile_count; i++)
		check_profile(model, &model->profiles[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct err err;
	struct catalogue *catalogue = catalogue_load(slice_of(builtin), text, "gpus.yaml", &err);

	if (!catalogue) {
		CHECK(err.code == ERR_INPUT && strncmp(err.text, "gpus.yaml", 9) == 0);
		return 0;
	}
	for (size_t i = 0; i < catalogue->gpus.model_count; i++)
		check_model(&catalogue->gpus, &catalogue->gpus.models[i]);
	for (size_t i = 0; i < catalogue->gpus.resource_count; i++) {
		const struct gpu_resource *resource = &catalogue->gpus.resources[i];

		CHECK(resource->pattern[0] && resource->memory_unit_mib_num > 0 && resource->memory_unit_mib_den > 0);
		CHECK(gpu_resource_named(&catalogue->gpus, slice_of(resource->pattern)) != NULL);
	}
	catalogue_free(catalogue);
	return 0;
}
