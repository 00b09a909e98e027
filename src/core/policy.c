#include "berth/policy.h"

#include <string.h>

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	struct arena arena = policy->arena;
	arena_free(&arena);
}

static bool pool_holds(const struct policy_pool *pool, const struct node_spec *spec)
{
	if (pool->gpu && (!spec->model || strcmp(spec->model->name, pool->gpu) != 0))
		return false;
	return selector_matches(&pool->selector, &spec->labels);
}

uint16_t policy_pool_of(const struct policy *policy, const struct node_spec *spec, bool *in_two)
{
	uint16_t found = POOL_NONE;
	*in_two = false;
	for (size_t i = 0; i < policy->pool_count; i++) {
		if (!pool_holds(&policy->pools[i], spec))
			continue;
		if (found != POOL_NONE) {
			*in_two = true;
			return POOL_NONE;
		}
		found = (uint16_t)i;
	}
	return found;
}

struct slice policy_level_value(const struct policy_level *level, const struct labels *labels)
{
	const char *value = labels_get(labels, level->node_label);
	for (size_t i = 0; !value && i < level->older_count; i++)
		value = labels_get(labels, level->older[i]);
	struct slice text = slice_of(value);
	const char *dot = value && level->up_to_last_dot ? strrchr(value, '.') : NULL;
	if (dot)
		text.len = (size_t)(dot - value);
	return text;
}

static bool avoid_holds(const struct policy_avoid *avoid, const struct node_spec *spec)
{
	if (avoid->taint_key)
		for (size_t i = 0; i < spec->taint_count; i++)
			if (strcmp(spec->taints[i].key, avoid->taint_key) == 0)
				return true;
	if (avoid->condition)
		for (size_t i = 0; i < spec->condition_count; i++)
			if (strcmp(spec->conditions[i].type, avoid->condition) == 0 &&
			    strcmp(spec->conditions[i].status, avoid->is) == 0)
				return true;
	return false;
}

bool policy_avoids(const struct policy *policy, const struct node_spec *spec)
{
	for (size_t i = 0; i < policy->avoid_count; i++)
		if (avoid_holds(&policy->avoid[i], spec))
			return true;
	return false;
}

static bool namespace_meets(const struct policy_match *match, const struct pod *pod)
{
	for (size_t i = 0; i < match->namespace_count; i++)
		if (glob_matches(match->namespaces[i], pod->namespace_))
			return true;
	return match->namespace_count == 0;
}

static bool owner_meets(const struct policy_match *match, const struct pod *pod)
{
	for (size_t i = 0; i < match->owner_count; i++)
		if (pod_has_owner_kind(pod, match->owners[i]))
			return true;
	return match->owner_count == 0;
}

static bool labels_meet(const struct policy_match *match, const struct pod *pod)
{
	for (size_t i = 0; i < match->label_count; i++) {
		const char *value = labels_get(&pod->labels, match->pod_labels[i].key);
		if (!value || !glob_matches(match->pod_labels[i].value, value))
			return false;
	}
	return true;
}

static bool gang_meets(const struct policy_match *match, const struct pod *pod)
{
	return match->gang_gpus_min == 0 || pod->gang_gpus >= match->gang_gpus_min;
}

static bool class_meets(const struct policy_class *class_, const struct pod *pod)
{
	if (pod->stands_in)
		return pod->class_name && strcmp(class_->name, pod->class_name) == 0;
	for (size_t i = 0; i < class_->match_count; i++) {
		const struct policy_match *match = &class_->matches[i];
		if (namespace_meets(match, pod) && owner_meets(match, pod) && labels_meet(match, pod) &&
		    gang_meets(match, pod))
			return true;
	}
	return false;
}

const struct policy_class *policy_class_matched(const struct policy *policy, const struct pod *pod)
{
	for (size_t i = 0; i < policy->class_count; i++)
		if (policy->classes[i].has_match && class_meets(&policy->classes[i], pod))
			return &policy->classes[i];
	return &policy->classes[policy->fallback];
}

const struct policy_class *policy_class_of(const struct policy *policy, const struct pod *pod, enum reason *why)
{
	*why = REASON_CODE_FITS;
	if (!pod->class_name)
		return policy_class_matched(policy, pod);
	for (size_t i = 0; i < policy->class_count; i++) {
		const struct policy_class *class_ = &policy->classes[i];
		if (strcmp(class_->name, pod->class_name) != 0)
			continue;
		if (!class_->has_match || i == policy->fallback || class_meets(class_, pod))
			return class_;
		*why = REASON_CODE_CLASS_NOT_FOR_POD;
		return NULL;
	}
	*why = REASON_CODE_CLASS_UNKNOWN;
	return NULL;
}

bool policy_may_preempt(
    const struct policy *policy, const struct policy_class *class_, const struct policy_class *victim)
{
	for (size_t i = 0; i < class_->may_preempt_count; i++)
		if (&policy->classes[class_->may_preempt[i]] == victim)
			return true;
	return false;
}

static const struct {
	const char *name;
	double weight;
} terms[SCORE_TERM_COUNT] = {
#define X(id, name_, weight_) [SCORE_##id] = {name_, weight_},
    SCORE_TERMS(X)
#undef X
};

const char *score_term_name(enum score_term term)
{
	return terms[term].name;
}

double score_term_default_weight(enum score_term term)
{
	return terms[term].weight;
}
