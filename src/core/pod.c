#include "berth/pod.h"

#include <string.h>

void pod_free(struct pod *pod)
{
	if (!pod)
		return;
	struct arena arena = pod->arena;
	arena_free(&arena);
}

bool pod_has_owner_kind(const struct pod *pod, const char *kind)
{
	for (size_t i = 0; i < pod->owner_kind_count; i++)
		if (strcmp(pod->owner_kinds[i], kind) == 0)
			return true;
	return false;
}

void pod_add_owner_kind(struct pod *pod, const char *kind)
{
	if (pod->owner_kind_count < OWNER_KINDS_MAX && !pod_has_owner_kind(pod, kind))
		pod->owner_kinds[pod->owner_kind_count++] = kind;
}

bool pod_in_gang(const struct pod *pod)
{
	static const char *const kinds[] = {
	    "PyTorchJob", "MPIJob", "TFJob", "JobSet", "TrainJob", "RayJob", "RayCluster", "LeaderWorkerSet"};
	if (pod->no_gang)
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (pod_has_owner_kind(pod, kinds[i]))
			return true;
	return pod->gang != NULL;
}

static bool volumes_allow(const struct pod *pod, const char *node_name, const struct labels *labels)
{
	for (size_t v = 0; v < pod->volume_count; v++) {
		bool matches = false;
		for (size_t i = 0; i < pod->volumes[v].count && !matches; i++)
			matches = node_term_matches(&pod->volumes[v].terms[i], node_name, labels);
		if (!matches)
			return false;
	}
	return true;
}

bool pod_selects(const struct pod *pod, const char *node_name, const struct labels *labels)
{
	for (size_t i = 0; i < pod->node_selector_count; i++) {
		const char *value = labels_get(labels, pod->node_selector[i].key);
		if (!value || strcmp(value, pod->node_selector[i].value) != 0)
			return false;
	}
	if (!volumes_allow(pod, node_name, labels))
		return false;
	if (!pod->has_required)
		return true;
	for (size_t i = 0; i < pod->required_count; i++)
		if (node_term_matches(&pod->required[i], node_name, labels))
			return true;
	return false;
}

static bool in_namespaces(const struct pod *pod, const struct pod_term *term, const char *namespace_)
{
	if (term->all_namespaces)
		return true;
	if (term->namespace_count == 0)
		return strcmp(pod->namespace_, namespace_) == 0;
	for (size_t i = 0; i < term->namespace_count; i++)
		if (strcmp(term->namespaces[i], namespace_) == 0)
			return true;
	return false;
}

bool pod_term_matches(const struct pod *pod, const struct pod_term *term, const struct pod *other)
{
	return !term->nobody && in_namespaces(pod, term, other->namespace_) &&
	       selector_matches(&term->selector, &other->labels);
}

bool spread_matches(const struct pod *pod, const struct spread_constraint *constraint, const struct pod *other)
{
	return !constraint->nobody && strcmp(pod->namespace_, other->namespace_) == 0 &&
	       selector_matches(&constraint->selector, &other->labels);
}
