#include "cluster/catalogue_build.h"

#include "berth/map.h"
#include "cluster/fields.h"

#define MEMORY_MIB_MAX (64 << 20) /* 64 TiB: beyond it a number is a slip */
#define TFLOPS_MAX 1000000
#define COST_MAX 1000000

/* An entry of the file: of a model, or of one of its variants. */
struct raw_model {
	const char *model, *variant, *mig;
	const struct yaml_node *products, *variants;
	int64_t memory;
	struct yaml_version compute;
	uint32_t dtypes, suits;
	double tflops, cost;
};

#define KEY(name, type, member, min, max, words)                                                                       \
	{                                                                                                              \
		name, type, offsetof(struct raw_model, member), false, min, max, words                                 \
	}

static const char *const suit_words[] = {"training", "inference", "small", NULL};
static const char *const dtype_words[] = {"fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8", NULL};

static const struct yaml_key keys[] = {
    KEY("products", YAML_KEY_LIST, products, 0, 0, NULL),
    KEY("memoryMiB", YAML_KEY_WHOLE, memory, 1, MEMORY_MIB_MAX, NULL),
    KEY("compute", YAML_KEY_VERSION, compute, 0, 0, NULL),
    KEY("dtypes", YAML_KEY_WORDS, dtypes, 0, 0, dtype_words),
    KEY("suits", YAML_KEY_WORDS, suits, 0, 0, suit_words),
    KEY("tflops", YAML_KEY_NUMBER, tflops, 0, TFLOPS_MAX, NULL),
    KEY("cost", YAML_KEY_NUMBER, cost, 0, COST_MAX, NULL),
    KEY("mig", YAML_KEY_TEXT, mig, 0, 0, NULL),
    /* the first key of a model, and of a variant; a model may have variants */
    {"model", YAML_KEY_TEXT, offsetof(struct raw_model, model), true, 0, 0, NULL},
    KEY("variants", YAML_KEY_LIST, variants, 0, 0, NULL),
};
#define SHARED_KEYS 8

static const struct yaml_key variant_key = {
    "variant", YAML_KEY_TEXT, offsetof(struct raw_model, variant), true, 0, 0, NULL};

static struct gpu_model *variant_named(const struct gpu_catalogue *gpus, const char *variant)
{
	for (size_t i = 0; i < gpus->model_count; i++)
		if (strcmp(gpus->models[i].variant, variant) == 0)
			return &gpus->models[i];
	return NULL;
}

static const struct gpu_model *owner_of_product(const struct gpu_catalogue *gpus, const char *product)
{
	for (size_t i = 0; i < gpus->model_count; i++)
		for (size_t j = 0; j < gpus->models[i].product_count; j++)
			if (strcmp(gpus->models[i].products[j], product) == 0)
				return &gpus->models[i];
	return NULL;
}

static int read_products(const struct catalogue_build *build, const struct yaml_node *list,
    const struct gpu_model *replaced, struct gpu_model *model)
{
	model->products = arena_calloc(build->reader.arena, list->count + 1, sizeof *model->products);
	for (size_t i = 0; i < list->count; i++) {
		const struct gpu_model *owner;
		const char *product;
		int result = yaml_read_text(&build->reader, list->items[i], &product);

		if (result)
			return result;
		owner = owner_of_product(build->gpus, product);
		for (size_t j = 0; j < i; j++)
			if (strcmp(model->products[j], product) == 0)
				owner = model;
		if (owner && owner != replaced)
			return yaml_read_error(&build->reader, list->items[i], "product \"%s\" is of \"%s\" already",
			    product, owner->variant);
		model->products[i] = product;
	}
	model->product_count = list->count;
	return 0;
}

static int use_geometry(
    const struct catalogue_build *build, const struct yaml_node *node, const char *name, struct gpu_model *model)
{
	const struct mig_geometry *geometry = mig_geometry_named(&build->mig, name);

	if (!geometry)
		return yaml_read_error(&build->reader, node, "no geometry \"%s\"", name);
	model->slices = geometry->slices;
	model->profile_count = geometry->profile_count;
	model->profiles = geometry->profiles;
	return 0;
}

/* `file_variants` are those that the same file has put in: no two may be of one name. */
static int add_variant(
    struct catalogue_build *build, const struct yaml_node *node, const struct raw_model *raw, struct map *file_variants)
{
	struct gpu_model *replaced = variant_named(build->gpus, raw->variant);
	struct gpu_model model = {.name = raw->model,
	    .variant = raw->variant,
	    .memory_mib = (int32_t)raw->memory,
	    .compute_major = raw->compute.major,
	    .compute_minor = raw->compute.minor,
	    .dtypes = raw->dtypes,
	    .suits = raw->suits,
	    .tflops = raw->tflops,
	    .cost = raw->cost};
	int result;

	if (map_put(file_variants, slice_of(raw->variant), build))
		return yaml_read_error(&build->reader, node, "variant \"%s\" stands here twice", raw->variant);
	if (!raw->products || raw->products->count == 0)
		return yaml_read_error(&build->reader, node, "\"%s\" without products", raw->variant);
	if (!(raw->cost > 0))
		return yaml_read_error(&build->reader, node, "\"%s\" without a cost above 0", raw->variant);
	if (model.dtypes == 0)
		model.dtypes = gpu_dtypes_of_compute(raw->compute.major, raw->compute.minor);
	result = read_products(build, raw->products, replaced, &model);
	if (result == 0 && raw->mig)
		result = use_geometry(build, node, raw->mig, &model);
	if (result)
		return result;
	if (!replaced) {
		build->gpus->models = field_grow(build->reader.arena, build->gpus->models, build->gpus->model_count,
		    &build->model_room, sizeof *build->gpus->models);
		replaced = &build->gpus->models[build->gpus->model_count++];
	}
	*replaced = model;
	return 0;
}

static int add_model(struct catalogue_build *build, const struct yaml_node *node, struct map *file_variants)
{
	struct raw_model model = {.model = NULL};
	struct yaml_key variant_keys[SHARED_KEYS + 1];
	int result = yaml_read_map(&build->reader, node, "a model", keys, sizeof keys / sizeof *keys, &model);

	if (result)
		return result;
	if (!model.variants) {
		model.variant = model.model;
		return add_variant(build, node, &model, file_variants);
	}
	if (model.products)
		return yaml_read_error(&build->reader, model.products, "products stand with the variants");
	memcpy(variant_keys, keys, SHARED_KEYS * sizeof *keys);
	variant_keys[SHARED_KEYS] = variant_key;
	for (size_t i = 0; result == 0 && i < model.variants->count; i++) {
		struct raw_model variant = model;

		result = yaml_read_map(
		    &build->reader, model.variants->items[i], "a variant", variant_keys, SHARED_KEYS + 1, &variant);
		if (result == 0)
			result = add_variant(build, model.variants->items[i], &variant, file_variants);
	}
	return result;
}

int catalogue_add_models(struct catalogue_build *build, const struct yaml_node *list)
{
	struct map file_variants = {0};
	int result = 0;

	for (size_t i = 0; result == 0 && i < list->count; i++)
		result = add_model(build, list->items[i], &file_variants);
	map_free(&file_variants);
	return result;
}
