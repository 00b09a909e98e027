#include "policy/mig.h"

#include <math.h>
#include <stdlib.h>

#include "berth/alloc.h"
#include "berth/repartition.h"
#include "policy/table.h"
#include "policy/words.h"

#define PROBLEM(report, problem, node, ...) report_add(report, problem, place_of(node), __VA_ARGS__)

struct place_in {
	const struct doc_pool *pool;
	size_t pool_index, index; /* of the pool, of the configuration in it */
	struct policy_report *report;
	const struct gpu_catalogue *catalogue;
};

/* Variants of the pool's model, or all models of a pool that names none. */
static bool is_meant(const struct doc_pool *pool, const struct gpu_model *model)
{
	return !pool->gpu || slice_is(pool->gpu->text, model->name);
}

static bool is_known(const struct place_in *in, struct slice profile, struct words *known)
{
	bool found = false;

	for (size_t i = 0; i < in->catalogue->model_count; i++) {
		const struct gpu_model *model = &in->catalogue->models[i];

		if (!is_meant(in->pool, model))
			continue;
		found |= gpu_model_profile(model, profile) != NULL;
		for (size_t j = 0; j < model->profile_count && in->pool->gpu; j++)
			if (!strchr(model->profiles[j].name, '+')) /* resources have another name for those */
				words_add(known, model->profiles[j].name);
	}
	return found;
}

/* Returns whether all of them are there to be laid out. */
static bool check_profiles(const struct place_in *in, const struct doc_mig_config *config)
{
	bool good = config->per_gpu.node && !config->head.broken;

	for (size_t i = 0; i < config->per_gpu.count; i++) {
		const struct doc_amount *amount = DOC_ITEM(doc_amount, &config->per_gpu, i);
		struct words known = {0};

		if (amount->amount.value != floor(amount->amount.value)) {
			good = false;
			PROBLEM(in->report, PROBLEM_WRONG_TYPE, amount->amount.node,
			    "pools[%zu].mig.configs[%zu].perGPU[%s] must be a whole number", in->pool_index, in->index,
			    show(amount->name->text).text);
		}
		if (is_known(in, amount->name->text, &known))
			continue;
		good = false;
		if (known.count == 0)
			PROBLEM(in->report, PROBLEM_BAD_GEOMETRY, amount->name,
			    "pools[%zu].mig.configs[%zu].perGPU: no GPU %s has MIG profiles like %s", in->pool_index,
			    in->index, in->pool->gpu ? "of the pool" : "in the catalogue",
			    show(amount->name->text).text);
		else
			PROBLEM(in->report, PROBLEM_BAD_GEOMETRY, amount->name,
			    "pools[%zu].mig.configs[%zu].perGPU: %s is not one of the profiles of %s: %s",
			    in->pool_index, in->index, show(amount->name->text).text, in->pool->gpu->text.at,
			    words_listed(&known, amount->name->text).text);
	}
	return good;
}

static bool fits_any(const struct place_in *in, const struct policy_mig_config *config)
{
	for (size_t i = 0; i < in->catalogue->model_count; i++) {
		const struct gpu_model *model = &in->catalogue->models[i];

		if (is_meant(in->pool, model) && repartition_fits_model(config, model))
			return true;
	}
	return false;
}

static void check_geometry(const struct place_in *in, const struct doc_mig_config *doc)
{
	struct policy_mig_config config = {.slice_count = doc->per_gpu.count};

	config.slices = xcalloc(config.slice_count + 1, sizeof *config.slices);
	for (size_t i = 0; i < config.slice_count; i++) {
		const struct doc_amount *amount = DOC_ITEM(doc_amount, &doc->per_gpu, i);

		config.slices[i] = (struct policy_mig_slices){amount->name->text.at, (int64_t)amount->amount.value};
	}
	if (!fits_any(in, &config))
		PROBLEM(in->report, PROBLEM_BAD_GEOMETRY, doc->per_gpu.node,
		    "pools[%zu].mig.configs[%zu].perGPU: these slices do not fit on one GPU side by side",
		    in->pool_index, in->index);
	free(config.slices);
}

static void check_name(const struct place_in *in, const struct doc_mig_config *config)
{
	for (size_t i = 0; config->name && i < in->index; i++) {
		const struct yaml_node *other = DOC_ITEM(doc_mig_config, &in->pool->mig.configs, i)->name;

		if (!other || !slice_equal(other->text, config->name->text))
			continue;
		PROBLEM(in->report, PROBLEM_DUPLICATE_NAME, config->name,
		    "pools[%zu].mig.configs[%zu].name %s is also in line %u", in->pool_index, in->index,
		    show(config->name->text).text, other->mark.line);
		return;
	}
}

static void check_times(const struct place_in *in)
{
	const struct doc_number *idle = &in->pool->mig.idle_for, *back = &in->pool->mig.back_after;

	if (idle->node && back->node && idle->value >= back->value)
		PROBLEM(in->report, PROBLEM_NO_EFFECT, idle->node,
		    "pools[%zu].mig.idleFor has no effect: backAfter is not longer", in->pool_index);
}

void policy_check_mig(const struct doc *doc, const struct gpu_catalogue *catalogue, struct policy_report *report)
{
	for (size_t i = 0; i < doc->pools.count; i++) {
		const struct doc_pool *pool = DOC_ITEM(doc_pool, &doc->pools, i);
		struct place_in in = {.pool = pool, .pool_index = i, .report = report, .catalogue = catalogue};

		for (in.index = 0; in.index < pool->mig.configs.count; in.index++) {
			const struct doc_mig_config *config = DOC_ITEM(doc_mig_config, &pool->mig.configs, in.index);

			check_name(&in, config);
			/* A model that is not known was reported. */
			if (catalogue && (!pool->gpu || gpu_model_named(catalogue, pool->gpu->text)) &&
			    check_profiles(&in, config))
				check_geometry(&in, config);
		}
		check_times(&in);
	}
}
