#include "cluster/pod_run.h"

#include "base/clock.h"
#include "base/duration.h"
#include "cluster/fields.h"

#define EXPECTED_MAX (100 * 365 * 24 * 3600.0 * 1e9)

bool pod_run_read(struct reader *json, struct slice key, struct pod_run *run)
{
	struct slice value;

	if (slice_is(key, POD_CHECKPOINT))
		reader_string(json, &run->checkpoint);
	else if (slice_is(key, POD_ENDING_AT))
		reader_string(json, &run->ending_at);
	else if (slice_is(key, POD_RUNTIME))
		reader_string(json, &run->runtime);
	else if (slice_is(key, POD_SAFE_TO_EVICT)) {
		if (reader_string(json, &value))
			run->not_safe = slice_is(value, "false");
	} else if (slice_is(key, POD_DO_NOT_DISRUPT)) {
		if (reader_string(json, &value))
			run->do_not_disrupt = !slice_is(value, "false");
	} else
		return false;
	return true;
}

int64_t pod_run_expected(struct slice text)
{
	double ns;

	return duration_parse(text, &ns) && ns <= EXPECTED_MAX ? (int64_t)ns : 0;
}

/* Words of the kubelet's admission: the pod never ran. */
static bool is_rejection(struct slice reason)
{
	static const char *const words[] = {"UnexpectedAdmissionError", "TopologyAffinityError", "SMTAlignmentError",
	    "NodeAffinity", "NodePorts", "InvalidNodeInfo", "PodFeatureUnsupported", "PodOSNotSupported",
	    "PodOSSelectorNodeLabelDoesNotMatch", "PodLevelResourcesNotAdmittedReason"};
	if (reason.len > 5 && memcmp(reason.at, "OutOf", 5) == 0)
		return true;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (slice_is(reason, words[i]))
			return true;
	return false;
}

static void keep_end(const struct pod_run *run, struct pod *pod)
{
	pod->succeeded = slice_is(run->phase, "Succeeded");
	pod->terminal = pod->succeeded || slice_is(run->phase, "Failed");
	pod->rejected = pod->terminal && !pod->succeeded && is_rejection(run->reason);
	pod->finished_ns = pod->terminal ? run->start.finished_ns : 0;
	pod->start = run->start.how;
	pod->start_ns = run->start.at_ns;
	pod->restarts = run->start.restarts;
	if (pod->rejected && start_is_refusal(run->reason)) {
		pod->start = POD_START_FAILED;
		if (!clock_parse(run->started, &pod->start_ns))
			pod->start_ns = 0;
	}
}

void pod_run_keep(const struct pod_run *run, struct arena *arena, struct pod *pod)
{
	keep_end(run, pod);
	if (!clock_parse(run->checkpoint, &pod->checkpoint_ns))
		pod->checkpoint_ns = 0;
	if (!clock_parse(run->started, &pod->started_ns))
		pod->started_ns = 0;
	if (run->ending_at.len > 0 && run->ending_at.len <= CLOCK_TEXT_MAX)
		pod->ending_at = field_text(arena, run->ending_at);
	pod->said_runtime_ns = pod_run_expected(run->runtime);
	pod->not_safe = run->not_safe;
	pod->do_not_disrupt = run->do_not_disrupt;
}
