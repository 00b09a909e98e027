#include "cluster/start.h"

#include <strings.h>

#include "base/clock.h"

/* What the layers between kubelet and driver call themselves when they fail: libnvidia-container and its hook, NVML,
 * CDI (containerd and CRI-O), Docker's device requests, the device files of NVIDIA, AMD and Habana, and CUDA's words
 * for a device that is not there or not to be had. Not among them is what a program does with a GPU that works, such as
 * running out of its memory. */
static const char *const runtime_words[] = {"nvidia-container", "libnvidia-container", "nvml", "driver rpc error",
    "driver not loaded", "driver/library version mismatch", "cdi device", "could not select device driver",
    "/dev/nvidia", "/dev/kfd", "/dev/accel", "amdgpu", "habanalabs", "no cuda-capable device", "gpu is lost",
    "fallen off the bus", "cuda_error_no_device", "cuda_error_system_not_ready", "cuda_error_devices_unavailable"};

struct state {
	struct slice reason, message, started, finished;
	int64_t exit_code;
	bool waiting, running, terminated;
};

bool start_is_refusal(struct slice reason)
{
	return slice_is(reason, "UnexpectedAdmissionError") || slice_is(reason, "TopologyAffinityError") ||
	       (reason.len > 5 && memcmp(reason.at, "OutOf", 5) == 0);
}

static bool holds_word(struct slice text, const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i + len <= text.len; i++)
		if (strncasecmp(text.at + i, word, len) == 0)
			return true;
	return false;
}

static bool names_runtime(struct slice message)
{
	for (size_t i = 0; i < sizeof runtime_words / sizeof *runtime_words; i++)
		if (holds_word(message, runtime_words[i]))
			return true;
	return false;
}

static void read_detail(struct reader *json, struct state *state)
{
	struct slice key;
	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (slice_is(key, "reason"))
			reader_string(json, &state->reason);
		else if (slice_is(key, "message"))
			reader_string(json, &state->message);
		else if (slice_is(key, "startedAt"))
			reader_string(json, &state->started);
		else if (slice_is(key, "finishedAt"))
			reader_string(json, &state->finished);
		else if (slice_is(key, "exitCode"))
			reader_int(json, &state->exit_code);
		else
			reader_skip(json);
	}
}

static void read_state(struct reader *json, struct state *state)
{
	struct slice key;
	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		bool waiting = slice_is(key, "waiting"), running = slice_is(key, "running");
		bool terminated = slice_is(key, "terminated");
		if ((!waiting && !running && !terminated) || reader_peek(json) != READER_OBJECT) {
			reader_skip(json);
			continue;
		}
		*state = (struct state){.waiting = waiting, .running = running, .terminated = terminated};
		read_detail(json, state);
	}
}

static int64_t time_of(struct slice text)
{
	int64_t ns;
	return clock_parse(text, &ns) ? ns : 0;
}

static bool died_at_once(const struct state *state)
{
	int64_t from = time_of(state->started), to = time_of(state->finished);
	return state->exit_code != 0 && from != 0 && to != 0 && to - from <= START_SECONDS * NS_PER_S;
}

static struct start start_of(const struct state *state)
{
	static const char *const not_made[] = {"CreateContainerError", "RunContainerError"};
	static const char *const not_started[] = {"StartError", "ContainerCannotRun"};
	bool failed = state->terminated && died_at_once(state);
	for (size_t i = 0; i < 2; i++)
		failed |= (state->waiting && slice_is(state->reason, not_made[i])) ||
		          (state->terminated && slice_is(state->reason, not_started[i]));
	if (failed && names_runtime(state->message))
		return (struct start){.how = POD_START_FAILED, .at_ns = time_of(state->finished)};
	if (state->running || (state->terminated && state->exit_code == 0))
		return (struct start){.how = POD_START_WELL, .at_ns = time_of(state->started)};
	return (struct start){.how = POD_START_UNKNOWN};
}

static bool goes_before(const struct start *a, const struct start *b)
{
	if (a->how != b->how)
		return a->how > b->how;
	return a->at_ns > b->at_ns;
}

/* One that runs again after a failed start has started well. */
static struct start start_of_container(const struct state *now, const struct state *last)
{
	struct start start = start_of(now), before = start_of(last);
	return now->running || start.how == POD_START_FAILED || before.how != POD_START_FAILED ? start : before;
}

void start_read_containers(struct reader json, struct start *start)
{
	struct slice key;
	if (!reader_array(&json))
		return;
	while (reader_next(&json)) {
		struct state now = {.waiting = false}, last = {.waiting = false};
		int64_t restarts = 0;
		if (!reader_object(&json))
			continue;
		while (reader_key(&json, &key)) {
			if (slice_is(key, "state"))
				read_state(&json, &now);
			else if (slice_is(key, "lastState"))
				read_state(&json, &last);
			else if (slice_is(key, "restartCount"))
				reader_int(&json, &restarts);
			else
				reader_skip(&json);
		}
		struct start found = start_of_container(&now, &last);
		int64_t sum = start->restarts + (restarts > 0 && restarts < INT32_MAX ? restarts : 0);
		int64_t finished_ns = now.terminated ? time_of(now.finished) : 0;
		if (finished_ns < start->finished_ns)
			finished_ns = start->finished_ns;
		if (goes_before(&found, start))
			*start = found;
		start->restarts = sum;
		start->finished_ns = finished_ns;
	}
}
