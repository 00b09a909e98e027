#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX 4096
#define NOTE_MAX 160
#define MESSAGE_MAX 1024
#define BATCH 32          /* sequences of one child: forking is not free under a sanitizer */
#define SHRINK_SECONDS 60 /* by default; then what there is is printed */

/* What a child tells its parent, also when it dies. */
struct shared {
	uint64_t seed;
	size_t at;  /* the step it is at; SIZE_MAX before the first */
	bool ended; /* all steps were done: the world is being taken down */
	unsigned runs_done;
	unsigned long steps_done;
	char message[MESSAGE_MAX];
	char notes[STEPS_MAX][NOTE_MAX];
};

static struct shared *shared;

struct sequence {
	uint64_t seed;
	size_t count;
	struct property_step steps[STEPS_MAX];
};

_Noreturn void property_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(shared->message, sizeof shared->message, format, args);
	va_end(args);
	_exit(1); /* nothing is freed: only a sequence that holds may be judged by its leaks */
}

void property_note(const char *format, ...)
{
	va_list args;
	size_t at = shared->at;
	if (at >= STEPS_MAX)
		return;
	size_t len = strlen(shared->notes[at]);
	va_start(args, format);
	vsnprintf(shared->notes[at] + len, NOTE_MAX - len, format, args);
	va_end(args);
}

/* splitmix64 (Steele, Lea, Flood, 2014) */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void generate(const struct property *property, uint64_t seed, size_t count, struct sequence *sequence)
{
	uint64_t state = seed;
	unsigned all = 0;
	for (size_t i = 0; i < property->kind_count; i++)
		all += property->kinds[i].weight;
	sequence->seed = seed;
	sequence->count = count;
	for (size_t i = 0; i < count; i++) {
		struct property_step *step = &sequence->steps[i];
		unsigned at = (unsigned)(next(&state) % all);
		for (step->kind = 0; at >= property->kinds[step->kind].weight; step->kind++)
			at -= property->kinds[step->kind].weight;
		for (size_t arg = 0; arg < PROPERTY_ARGS; arg++)
			step->args[arg] = (uint32_t)(next(&state) & 0xffff);
	}
}

static void play(const struct property *property, const struct sequence *sequence)
{
	alarm(property->seconds);
	shared->seed = sequence->seed;
	shared->at = SIZE_MAX;
	shared->ended = false;
	shared->message[0] = '\0';
	void *world = property->begin(sequence->seed);
	for (size_t i = 0; i < sequence->count; i++) {
		shared->at = i;
		shared->notes[i][0] = '\0';
		property->step(world, &sequence->steps[i]);
		property->check(world);
		shared->steps_done++;
	}
	shared->ended = true;
	property->end(world);
	shared->runs_done++;
}

static bool held(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void explain_death(int status)
{
	if (shared->message[0])
		return;
	if (WIFSIGNALED(status))
		snprintf(shared->message, sizeof shared->message, "ended by signal %d%s", WTERMSIG(status),
		    WTERMSIG(status) == 14 ? ": it hangs" : "");
	else
		snprintf(shared->message, sizeof shared->message, "ended with status %d", WEXITSTATUS(status));
}

/* Whether the sequence holds when it starts from nothing. */
static bool holds(const struct property *property, const struct sequence *sequence, bool quiet)
{
	int status = 0;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		if (quiet && !freopen("/dev/null", "w", stderr))
			_exit(2);
		play(property, sequence);
		alarm(0);
		exit(0);
	}
	waitpid(child, &status, 0);
	if (!held(status))
		explain_death(status);
	return held(status);
}

/* --- shrinking --- */

struct shrinking {
	const struct property *property;
	struct sequence *best, *trial;
	time_t until;
	unsigned tries;
};

/* Takes the trial over if it fails, too. */
static bool still_fails(struct shrinking *s)
{
	if (time(NULL) >= s->until)
		return false;
	s->tries++;
	if (holds(s->property, s->trial, true))
		return false;
	size_t used = shared->at < s->trial->count ? shared->at + 1 : s->trial->count;
	*s->best = *s->trial;
	s->best->count = used; /* what comes after the failing step is not needed */
	return true;
}

static bool drop_runs(struct shrinking *s, size_t length)
{
	bool any = false;
	for (size_t end = s->best->count; end > 0;) {
		size_t from = end > length ? end - length : 0;
		*s->trial = *s->best;
		memmove(&s->trial->steps[from], &s->trial->steps[end],
		    (s->best->count - end) * sizeof(struct property_step));
		s->trial->count -= end - from;
		any |= still_fails(s);
		end = from < s->best->count ? from : s->best->count;
	}
	return any;
}

static bool lessen(struct shrinking *s, size_t step, size_t arg, uint32_t to)
{
	if (step >= s->best->count || s->best->steps[step].args[arg] <= to)
		return false;
	*s->trial = *s->best;
	s->trial->steps[step].args[arg] = to;
	return still_fails(s);
}

static bool simplify(struct shrinking *s)
{
	bool any = false;
	for (size_t step = 0; step < s->best->count; step++)
		for (size_t arg = 0; arg < PROPERTY_ARGS; arg++) {
			static const uint32_t wanted[] = {0, 1, 2, 5, 20, 100};
			bool done = false;
			for (size_t i = 0; i < sizeof wanted / sizeof *wanted && !done && step < s->best->count; i++)
				done = lessen(s, step, arg, wanted[i]);
			any |= done;
		}
	return any;
}

static void shrink(struct shrinking *s)
{
	bool any = true;
	*s->trial = *s->best;
	if (!still_fails(s))
		return; /* it does not fail alone */
	while (any && time(NULL) < s->until) {
		any = false;
		for (size_t length = s->best->count / 2; length > 0; length /= 2)
			any |= drop_runs(s, length);
		any |= simplify(s);
	}
}

static void print(const struct property *property, const struct sequence *sequence)
{
	for (size_t i = 0; i < sequence->count; i++) {
		const struct property_step *step = &sequence->steps[i];
		printf("  %2zu  %s(%u, %u, %u, %u)%s%s\n", i + 1, property->kinds[step->kind].name, step->args[0],
		    step->args[1], step->args[2], step->args[3], shared->notes[i][0] ? "  " : "", shared->notes[i]);
	}
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void report(const struct property *property, struct sequence *failing)
{
	struct shrinking s = {.property = property,
	    .best = failing,
	    .until = time(NULL) + (time_t)setting("PROPERTY_SHRINK_SECONDS", SHRINK_SECONDS)};
	size_t at = shared->at, count = failing->count;
	s.trial = malloc(sizeof *s.trial);
	if (!s.trial)
		abort();
	printf("%s: PROPERTY_SEED=%llu fails at step %zu of %zu: %s\n", property->name,
	    (unsigned long long)failing->seed, at == SIZE_MAX ? 0 : at + 1, count, shared->message);
	shrink(&s);
	bool again = !holds(property, failing, false);
	printf("%s: PROPERTY_SEED=%llu, shrunk to %zu steps in %u tries: %s\n", property->name,
	    (unsigned long long)failing->seed, failing->count, s.tries,
	    again ? shared->message : "(did not fail when run again alone)");
	print(property, failing);
	free(s.trial);
}

/* --- the run --- */

struct plan {
	uint64_t seed;
	unsigned runs;
	size_t steps;
	time_t until; /* 0 = no end */
};

static struct plan plan_of(const struct property *property)
{
	bool one = getenv("PROPERTY_SEED") != NULL;
	struct plan plan = {
	    .seed = setting("PROPERTY_SEED", property->first_seed),
	    .runs = (unsigned)setting("PROPERTY_RUNS", one ? 1 : property->runs),
	    .steps = (size_t)setting("PROPERTY_STEPS", property->steps),
	};
	uint64_t seconds = setting("PROPERTY_SECONDS", 0);
	if (seconds > 0) {
		plan.until = time(NULL) + (time_t)seconds;
		plan.runs = getenv("PROPERTY_RUNS") ? plan.runs : UINT32_MAX;
	}
	plan.steps = plan.steps < STEPS_MAX ? plan.steps : STEPS_MAX;
	return plan;
}

static bool goes_on(const struct plan *plan)
{
	return shared->runs_done < plan->runs && (plan->until == 0 || time(NULL) < plan->until);
}

static void play_batch(const struct property *property, const struct plan *plan, struct sequence *sequence)
{
	for (unsigned i = 0; i < BATCH && goes_on(plan); i++) {
		generate(property, plan->seed + shared->runs_done, plan->steps, sequence);
		play(property, sequence);
	}
	alarm(0);
}

int property_run(const struct property *property)
{
	struct plan plan = plan_of(property);
	struct sequence *sequence = calloc(1, sizeof *sequence);
	int status = 0;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !sequence)
		abort();
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (goes_on(&plan)) {
		fflush(NULL);
		pid_t child = fork();
		if (child == 0) {
			play_batch(property, &plan, sequence);
			free(sequence);
			exit(0);
		}
		waitpid(child, &status, 0);
		if (held(status))
			continue;
		explain_death(status);
		generate(property, shared->seed, plan.steps, sequence);
		report(property, sequence);
		free(sequence);
		return 1;
	}
	printf("%s: %u sequences from PROPERTY_SEED=%llu held, %lu steps\n", property->name, shared->runs_done,
	    (unsigned long long)plan.seed, shared->steps_done);
	free(sequence);
	return 0;
}
