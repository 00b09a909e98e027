#include "cluster/scaled.h"

#include <stdio.h>
#include <string.h>

#define LWS_NAME "leaderworkerset.sigs.k8s.io/name"

/* By the label that bears the hash of the template. */
static const struct {
	const char *label, *kind;
} makers[] = {{"pod-template-hash", "Deployment"}, {"rollouts-pod-template-hash", "Rollout"}};

static bool ends_in(const char *text, const char *hash, size_t *before)
{
	size_t len = strlen(text), tail = hash ? strlen(hash) : 0;
	if (tail == 0 || len < tail + 2 || text[len - tail - 1] != '-' || strcmp(text + len - tail, hash) != 0)
		return false;
	*before = len - tail - 1;
	return true;
}

bool scaled_by(const struct pod *pod, const char **kind, struct slice *name)
{
	const char *lws = labels_get(&pod->labels, LWS_NAME);
	if (!pod->owner_name || pod->owner_kind_count == 0)
		return false;
	*kind = pod->owner_kinds[0];
	*name = slice_of(pod->owner_name);
	if (strcmp(*kind, "StatefulSet") == 0 && lws) {
		*kind = "LeaderWorkerSet";
		*name = slice_of(lws);
	}
	for (size_t i = 0; strcmp(*kind, "ReplicaSet") == 0 && i < sizeof makers / sizeof *makers; i++)
		if (ends_in(pod->owner_name, labels_get(&pod->labels, makers[i].label), &name->len))
			*kind = makers[i].kind;
	return true;
}

void scaled_key(char key[SCALED_KEY_MAX], const char *namespace_, const char *kind, struct slice name)
{
	snprintf(key, SCALED_KEY_MAX, "%s/%s/%.*s", namespace_, kind, (int)name.len, name.at);
}
