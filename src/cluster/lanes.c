#include "cluster/lanes.h"

#include <stdio.h>

#define LABEL_KEY_MAX 317 /* 253 of a prefix, '/', 63 of a name */
#define LABEL_NUMBER_MAX INT32_MAX
#define NONE (-1) /* a number that no label says */
#define MIB_PER_GIB 1024

/* The label's three parts: the product itself is found by gpu_model_of_product, which strips the others. */
struct product {
	struct slice label;   /* at is NULL without one */
	struct slice profile; /* "1g.10gb" of X-MIG-1g.10gb; len 0 without one */
	bool shared, invalid;
};

/* What is known of a resource before its lane is made. */
struct sighting {
	const struct gpu_resource *resource;
	struct slice star; /* what the pattern's '*' stood for */
	struct product product;
	int64_t units;                       /* capacity, or allocatable where that is more */
	int64_t count, replicas, memory_mib; /* by labels, or NONE */
};

static struct slice between_stars(const char *pattern, struct slice name)
{
	const char *star = strchr(pattern, '*');
	size_t before, after;

	if (!star)
		return (struct slice){"", 0};
	before = (size_t)(star - pattern);
	after = strlen(star + 1);
	return (struct slice){name.at + before, name.len - before - after};
}

/* The value of a label whose key may hold a '*'; NULL when there is none. */
static const char *label_value(const struct node_spec *spec, const char *label, struct slice star)
{
	char key[LABEL_KEY_MAX + 1];
	const char *place = label ? strchr(label, '*') : NULL;
	int len;

	if (!label || !place)
		return label ? labels_get(&spec->labels, label) : NULL;
	len = snprintf(key, sizeof key, "%.*s%.*s%s", (int)(place - label), label, (int)star.len, star.at, place + 1);
	return len < 0 || (size_t)len >= sizeof key ? NULL : labels_get(&spec->labels, key);
}

/* Digits, and behind them perhaps letters, which *rest gets. */
static int64_t leading_number(const char *text, const char **rest)
{
	int64_t number = 0;

	if (!text || *text < '0' || *text > '9')
		return NONE;
	for (; *text >= '0' && *text <= '9'; text++) {
		number = number * 10 + (*text - '0');
		if (number > LABEL_NUMBER_MAX)
			return NONE;
	}
	*rest = text;
	return number;
}

static int64_t whole_label(const struct node_spec *spec, const char *label, struct slice star)
{
	const char *rest = "";
	int64_t number = leading_number(label_value(spec, label, star), &rest);

	return *rest ? NONE : number;
}

/* "81559" in the resource's unit, or "64G", which says its own. */
static int64_t memory_label(const struct node_spec *spec, const struct gpu_resource *resource, struct slice star)
{
	const char *rest = "";
	int64_t number = leading_number(label_value(spec, resource->memory_label, star), &rest);

	if (number == NONE)
		return NONE;
	if (*rest == 'G')
		return number * MIB_PER_GIB;
	if (*rest == 'M')
		return number;
	return *rest ? NONE : number * resource->memory_unit_mib_num / resource->memory_unit_mib_den;
}

static struct product read_product(const char *label)
{
	static const char shared[] = "-SHARED", mig[] = "-MIG-";
	struct product product = {{label, label ? strlen(label) : 0}, {"", 0}, false, false};
	struct slice rest = product.label;
	const char *found;

	if (!label)
		return product;
	if (rest.len >= sizeof shared - 1 &&
	    memcmp(rest.at + rest.len - (sizeof shared - 1), shared, sizeof shared - 1) == 0) {
		product.shared = true;
		rest.len -= sizeof shared - 1;
	}
	found = memmem(rest.at, rest.len, mig, sizeof mig - 1);
	if (found) {
		found += sizeof mig - 1;
		product.profile = (struct slice){found, (size_t)(rest.at + rest.len - found)};
	}
	product.invalid = slice_is(product.profile, "INVALID");
	return product;
}

static int64_t units_of(const struct node_spec *spec, resource_id id)
{
	int64_t capacity = resources_get(&spec->capacity, id), allocatable = resources_get(&spec->allocatable, id);

	return capacity > allocatable ? capacity : allocatable;
}

static bool sight(const struct node_spec *spec, const struct resource_names *names,
    const struct gpu_catalogue *catalogue, resource_id id, struct sighting *sighting)
{
	struct slice name = slice_of(resource_names_text(names, id));
	const struct gpu_resource *resource = gpu_resource_named(catalogue, name);

	if (!resource)
		return false;
	sighting->resource = resource;
	sighting->star = between_stars(resource->pattern, name);
	sighting->product = read_product(label_value(spec, resource->product_label, sighting->star));
	sighting->units = units_of(spec, id);
	sighting->count = whole_label(spec, resource->count_label, sighting->star);
	sighting->replicas = whole_label(spec, resource->replicas_label, sighting->star);
	sighting->memory_mib = memory_label(spec, resource, sighting->star);
	return true;
}

/* --- one lane --- */

/* Units that make one GPU or instance, 1 where it is not shared. */
static int64_t replicas_of(const struct sighting *sighting)
{
	const struct gpu_resource *resource = sighting->resource;
	bool may_share = resource->unit == GPU_SHARE || sighting->product.shared;

	if (sighting->replicas > 1)
		return sighting->replicas;
	/* Without that label (Intel's plugin shares and has none): so many units per device, if that comes out even. */
	may_share |= resource->unit == GPU_WHOLE && resource->count_label && !resource->replicas_label;
	if (may_share && sighting->replicas == NONE && sighting->count > 0 && sighting->units % sighting->count == 0 &&
	    sighting->units > sighting->count)
		return sighting->units / sighting->count;
	return 1;
}

static bool is_shared(const struct sighting *sighting)
{
	return sighting->resource->unit == GPU_SHARE || sighting->product.shared || replicas_of(sighting) > 1;
}

static enum gpu_unit unit_of(const struct sighting *sighting)
{
	if (is_shared(sighting))
		return GPU_SHARE;
	return sighting->product.profile.len > 0 ? GPU_SLICE : sighting->resource->unit;
}

/* Whether the resource's labels are of its own instances ("nvidia.com/mig-*.memory"), not of the GPU. */
static bool has_instance_labels(const struct gpu_resource *resource)
{
	return resource->product_label && strchr(resource->product_label, '*');
}

/* Of a MIG instance, shared or not; len 0 for a whole GPU. */
static struct slice profile_name(const struct sighting *sighting)
{
	const struct slice none = {"", 0};

	if (sighting->product.profile.len > 0)
		return sighting->product.profile;
	return has_instance_labels(sighting->resource) ? sighting->star : none;
}

/* Whether the labels are of one model, but the units of more: see the header. */
static bool is_mixed(const struct sighting *sighting)
{
	return sighting->resource->replicas_label && sighting->count > 0 && !sighting->product.invalid &&
	       sighting->units > sighting->count * replicas_of(sighting);
}

static uint32_t dtypes_by_labels(const struct node_spec *spec, const struct gpu_resource *resource)
{
	const struct slice no_star = {"", 0};
	int64_t major, minor;

	if (strncmp(resource->pattern, "nvidia.com/", 11) != 0)
		return 0;
	major = whole_label(spec, "nvidia.com/gpu.compute.major", no_star);
	minor = whole_label(spec, "nvidia.com/gpu.compute.minor", no_star);
	return major == NONE || minor == NONE ? 0 : gpu_dtypes_of_compute((int)major, (int)minor);
}

static int64_t memory_of(const struct node_spec *spec, const struct sighting *sighting, const struct gpu_lane *lane)
{
	if (sighting->product.invalid)
		return 0;
	/* With two models gpu.memory is that of either; an instance's own label is of its profile. */
	if (sighting->memory_mib > 0 && (!spec->mixed_models || has_instance_labels(sighting->resource)))
		return sighting->memory_mib;
	if (lane->profile)
		return lane->profile->memory_mib;
	/* A part of a GPU of which no more is known is not as large as the GPU. */
	return lane->model && profile_name(sighting).len == 0 && lane->unit != GPU_SLICE ? lane->model->memory_mib : 0;
}

/* MPS gives each client its part of the memory; a time slice may take it all. */
static bool shares_memory_out(const struct node_spec *spec, const struct sighting *sighting)
{
	const char *strategy = label_value(spec, sighting->resource->sharing_label, sighting->star);

	return is_shared(sighting) && strategy && strcmp(strategy, "mps") == 0;
}

static struct gpu_lane make_lane(
    const struct node_spec *spec, resource_id id, const struct sighting *sighting, const struct gpu_model *model)
{
	struct gpu_lane lane = {.resource = id, .unit = unit_of(sighting), .replicas = 1};
	int64_t replicas = replicas_of(sighting);

	if (lane.unit == GPU_SHARE)
		lane.replicas = (uint16_t)(replicas > UINT16_MAX ? UINT16_MAX : replicas);
	if (!spec->mixed_models && !sighting->product.invalid)
		lane.model = model;
	if (lane.model && profile_name(sighting).len > 0)
		lane.profile = gpu_model_profile(lane.model, profile_name(sighting));
	if (lane.model)
		lane.dtypes = lane.model->dtypes;
	else if (!spec->mixed_models)
		lane.dtypes = dtypes_by_labels(spec, sighting->resource);
	lane.memory_mib = memory_of(spec, sighting, &lane);
	lane.memory_split = shares_memory_out(spec, sighting);
	if (lane.memory_split)
		lane.memory_mib /= lane.replicas;
	return lane;
}

/* --- the node --- */

/* The labels of whole GPUs, also where none is left to count because MIG took them all. */
static void sight_node(const struct node_spec *spec, const struct gpu_catalogue *catalogue, struct sighting *node)
{
	*node = (struct sighting){.count = NONE, .replicas = NONE, .memory_mib = NONE};
	for (size_t i = 0; i < catalogue->resource_count && !node->product.label.at; i++) {
		const struct gpu_resource *resource = &catalogue->resources[i];
		const char *label = resource->product_label;

		if (!label || strchr(label, '*'))
			continue;
		node->resource = resource;
		node->product = read_product(labels_get(&spec->labels, label));
		node->count = whole_label(spec, resource->count_label, node->star);
	}
}

static const struct gpu_model *model_by(
    const struct gpu_catalogue *catalogue, const struct sighting *own, const struct sighting *node)
{
	if (own->product.label.at)
		return gpu_model_of_product(catalogue, own->product.label);
	return node->product.label.at ? gpu_model_of_product(catalogue, node->product.label) : NULL;
}

/* A vendor's labels must not speak for another vendor's resource. */
static bool same_vendor(const struct sighting *a, const struct sighting *b)
{
	const char *left = a->resource->product_label, *right = b->resource ? b->resource->product_label : NULL;
	const char *slash = left ? strchr(left, '/') : NULL;

	return slash && right && strncmp(left, right, (size_t)(slash - left) + 1) == 0;
}

static uint32_t count_gpus(const struct node_spec *spec, const struct sighting *node)
{
	int64_t sum = 0;

	if (node->count > 0 && !spec->mixed_models && node->product.profile.len == 0)
		return (uint32_t)node->count;
	for (size_t i = 0; i < spec->lane_count; i++) {
		const struct gpu_lane *lane = &spec->lanes[i];

		if (lane->unit == GPU_SLICE || lane->profile || node->product.profile.len > 0)
			return 0; /* how many GPUs its instances are of is nowhere said */
		sum += units_of(spec, lane->resource) / lane->replicas;
	}
	return sum > UINT32_MAX ? 0 : (uint32_t)sum;
}

/* The ids of both lists, rising, each once. */
static size_t merge_ids(const struct node_spec *spec, resource_id ids[2 * RESOURCES_PER_OBJECT_MAX])
{
	const struct resources *a = &spec->capacity, *b = &spec->allocatable;
	size_t count = 0, i = 0, j = 0;

	while (i < a->count || j < b->count) {
		bool from_a = j == b->count || (i < a->count && a->items[i].id <= b->items[j].id);
		resource_id id = from_a ? a->items[i].id : b->items[j].id;

		i += i < a->count && a->items[i].id == id;
		j += j < b->count && b->items[j].id == id;
		ids[count++] = id;
	}
	return count;
}

void lanes_read(struct node_spec *spec, const struct resource_names *names, const struct gpu_catalogue *catalogue)
{
	resource_id ids[2 * RESOURCES_PER_OBJECT_MAX];
	struct sighting sightings[2 * RESOURCES_PER_OBJECT_MAX], node;
	const struct gpu_model *models[2 * RESOURCES_PER_OBJECT_MAX];
	size_t id_count = merge_ids(spec, ids), count = 0;

	sight_node(spec, catalogue, &node);
	if (node.product.label.at)
		spec->model = gpu_model_of_product(catalogue, node.product.label);
	for (size_t i = 0; i < id_count; i++) {
		const struct sighting nothing = {.product = {.label = {NULL, 0}}};
		struct sighting *own = &sightings[count];

		if (!sight(spec, names, catalogue, ids[i], own))
			continue;
		ids[count] = ids[i];
		models[count] = model_by(catalogue, own, same_vendor(own, &node) ? &node : &nothing);
		if (!spec->model)
			spec->model = models[count];
		spec->mixed_models |= is_mixed(own) || (models[count] && models[count] != spec->model);
		count++;
	}
	spec->lanes = count ? arena_calloc(&spec->arena, count, sizeof *spec->lanes) : NULL;
	spec->lane_count = count;
	for (size_t i = 0; i < count; i++)
		spec->lanes[i] = make_lane(spec, ids[i], &sightings[i], models[i]);
	if (spec->mixed_models)
		spec->model = NULL;
	spec->gpu_count = count_gpus(spec, &node);
}
