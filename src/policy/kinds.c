#include "policy/kinds.h"

#include <strings.h>

#include "policy/words.h"

#define KIND_LONG 10 /* letters; in a shorter kind one letter may well make another */

/* Only the case, a plural, or a slip in a long word, so that a kind of one's own is not taken for another. */
static bool is_slip(struct slice given, const char *kind)
{
	size_t len = strlen(kind);
	struct words known;

	if (given.len == len && strncasecmp(given.at, kind, len) == 0)
		return true;
	if (given.len == len + 1 && given.at[len] == 's' && strncasecmp(given.at, kind, len) == 0)
		return true;
	known.count = 0;
	words_add(&known, kind);
	return len >= KIND_LONG && given.len + 1 >= len && given.len <= len + 1 && words_nearest(&known, given);
}

/* What stands behind the last '/' of "apps/Deployment". */
static struct slice without_group(struct slice given)
{
	const char *slash = given.len ? memrchr(given.at, '/', given.len) : NULL;

	return slash ? (struct slice){slash + 1, (size_t)(given.at + given.len - slash - 1)} : given;
}

const char *kind_meant(struct slice given)
{
	static const char *const kinds[] = {"CronJob", "DaemonSet", "Deployment", "InferenceService", "Job", "JobSet",
	    "LeaderWorkerSet", "MPIJob", "Notebook", "PaddleJob", "PyTorchJob", "RayCluster", "RayJob", "RayService",
	    "ReplicaSet", "SparkApplication", "StatefulSet", "TFJob", "TrainJob", "Workflow", "XGBoostJob"};
	const char *meant = NULL;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (slice_is(given, kinds[i]))
			return NULL;
		if (!meant && is_slip(without_group(given), kinds[i]))
			meant = kinds[i];
	}
	return meant;
}

const char *kind_between(struct slice kind)
{
	static const struct {
		const char *kind, *between;
	} known[] = {{"CronJob", "Job"}, {"TrainJob", "Job"}, {"RayJob", "RayCluster"}, {"RayService", "RayCluster"}};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (slice_is(kind, known[i].kind))
			return known[i].between;
	return NULL;
}
