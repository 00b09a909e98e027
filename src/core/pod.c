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
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (pod_has_owner_kind(pod, kinds[i]))
			return true;
	return pod->in_gang;
}

bool pod_selects(const struct pod *pod, const char *node_name, const struct labels *labels)
{
	for (size_t i = 0; i < pod->node_selector_count; i++) {
		const char *value = labels_get(labels, pod->node_selector[i].key);
		if (!value || strcmp(value, pod->node_selector[i].value) != 0)
			return false;
	}
	if (!pod->has_required)
		return true;
	for (size_t i = 0; i < pod->required_count; i++)
		if (node_term_matches(&pod->required[i], node_name, labels))
			return true;
	return false;
}
