#include "berth/gpu.h"

#include <ctype.h>

static const char *const dtype_names[DTYPE_COUNT] = {
    [DTYPE_FP64] = "fp64",
    [DTYPE_FP32] = "fp32",
    [DTYPE_TF32] = "tf32",
    [DTYPE_BF16] = "bf16",
    [DTYPE_FP16] = "fp16",
    [DTYPE_FP8] = "fp8",
    [DTYPE_INT8] = "int8",
};

enum dtype dtype_named(struct slice name)
{
	for (int i = 0; i < DTYPE_COUNT; i++)
		if (slice_is(name, dtype_names[i]))
			return (enum dtype)i;
	return DTYPE_COUNT;
}

const char *dtype_name(enum dtype dtype)
{
	return dtype_names[dtype];
}

static bool starts_with(struct slice text, const char *prefix, size_t len)
{
	return text.len >= len && memcmp(text.at, prefix, len) == 0;
}

static bool pattern_matches(const char *pattern, struct slice name)
{
	const char *star = strchr(pattern, '*');
	if (!star)
		return slice_is(name, pattern);
	size_t before = (size_t)(star - pattern), after = strlen(star + 1);
	return name.len >= before + after && memcmp(name.at, pattern, before) == 0 &&
	       memcmp(name.at + name.len - after, star + 1, after) == 0;
}

const struct gpu_resource *gpu_resource_named(const struct gpu_catalogue *catalogue, struct slice name)
{
	for (size_t i = 0; i < catalogue->resource_count; i++)
		if (pattern_matches(catalogue->resources[i].pattern, name))
			return &catalogue->resources[i];
	return NULL;
}

/* GFD appends -SHARED to a shared product and -MIG-PROFILE to that of MIG's single strategy. */
static struct slice strip_suffixes(struct slice product)
{
	static const char shared[] = "-SHARED", mig[] = "-MIG-";
	const size_t shared_len = sizeof(shared) - 1, mig_len = sizeof(mig) - 1;
	if (product.len >= shared_len && memcmp(product.at + product.len - shared_len, shared, shared_len) == 0)
		product.len -= shared_len;
	for (size_t at = 0; at + mig_len <= product.len; at++)
		if (memcmp(product.at + at, mig, mig_len) == 0)
			product.len = at;
	return product;
}

/* A prefix ends where a word ends, or NVIDIA-L4 would be found in NVIDIA-L40. */
static bool product_matches(struct slice product, const char *known, size_t len)
{
	return starts_with(product, known, len) && (product.len == len || !isalnum((unsigned char)product.at[len]));
}

const struct gpu_model *gpu_model_of_product(const struct gpu_catalogue *catalogue, struct slice product)
{
	const struct gpu_model *best = NULL;
	size_t best_len = 0;
	product = strip_suffixes(product);
	for (size_t i = 0; i < catalogue->model_count; i++) {
		const struct gpu_model *model = &catalogue->models[i];
		for (size_t p = 0; p < model->product_count; p++) {
			size_t len = strlen(model->products[p]);
			if (len > best_len && product_matches(product, model->products[p], len)) {
				best = model;
				best_len = len;
			}
		}
	}
	return best;
}

bool gpu_model_named(const struct gpu_catalogue *catalogue, struct slice name)
{
	for (size_t i = 0; i < catalogue->model_count; i++)
		if (slice_is(name, catalogue->models[i].name))
			return true;
	return false;
}

/* In resource names and labels the '+' of a profile is written '.'. */
static bool profile_is(const char *known, struct slice name)
{
	if (strlen(known) != name.len)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (known[i] != name.at[i] && !(known[i] == '+' && name.at[i] == '.'))
			return false;
	return true;
}

const struct gpu_profile *gpu_model_profile(const struct gpu_model *model, struct slice profile)
{
	for (size_t i = 0; i < model->profile_count; i++)
		if (profile_is(model->profiles[i].name, profile))
			return &model->profiles[i];
	return NULL;
}

uint32_t gpu_dtypes_of_compute(int major, int minor)
{
	static const struct {
		int compute; /* major * 10 + minor */
		uint32_t dtypes;
	} since[] = {
	    {10, DTYPE_BIT(DTYPE_FP32)},
	    {20, DTYPE_BIT(DTYPE_FP64)},
	    {53, DTYPE_BIT(DTYPE_FP16)},
	    {61, DTYPE_BIT(DTYPE_INT8)},
	    {80, DTYPE_BIT(DTYPE_BF16) | DTYPE_BIT(DTYPE_TF32)},
	    {89, DTYPE_BIT(DTYPE_FP8)},
	};
	uint32_t dtypes = 0;
	if (major < 0 || major > 999 || minor < 0 || minor > 9)
		return 0;
	for (size_t i = 0; i < sizeof(since) / sizeof(since[0]); i++)
		if (major * 10 + minor >= since[i].compute)
			dtypes |= since[i].dtypes;
	return dtypes;
}
