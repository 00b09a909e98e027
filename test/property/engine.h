/* Sequences of random steps, checked after each step, and shrunk where one fails.
 *
 * A step is a kind and a few numbers; what the numbers mean is worked out when it is done, from the state as it is
 * then, so that every part of a sequence is a sequence too. A sequence depends on its seed alone. It runs in a child
 * process: a failed check, a sanitizer's finding, a crash and a hang are all failures of the step they came in.
 *
 * A failing sequence is shrunk: runs of steps are left out, then single steps, then the numbers are made smaller, for
 * as long as what is left still fails; every attempt starts from nothing. What is left is printed with its seed.
 *
 * Environment: PROPERTY_SEED (runs that sequence alone, or the sequences from it on with PROPERTY_RUNS), PROPERTY_RUNS
 * (sequences), PROPERTY_STEPS (steps of each), PROPERTY_SECONDS (no new sequence after so long),
 * PROPERTY_SHRINK_SECONDS (60). */
#ifndef TEST_PROPERTY_ENGINE_H
#define TEST_PROPERTY_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROPERTY_ARGS 4

struct property_step {
	uint32_t kind;
	uint32_t args[PROPERTY_ARGS];
};

struct property_kind {
	const char *name;
	unsigned weight; /* how often, among all */
};

struct property {
	const char *name;
	const struct property_kind *kinds;
	size_t kind_count;
	uint64_t first_seed;
	unsigned runs, steps; /* by default */
	unsigned seconds;     /* a sequence that takes longer hangs */
	void *(*begin)(uint64_t seed);
	void (*step)(void *world, const struct property_step *step);
	void (*check)(void *world); /* after each step */
	void (*end)(void *world);
};

/* 0 when all sequences held. */
int property_run(const struct property *property);

/* Inside a sequence: what is wrong, in one line. Ends the sequence. */
_Noreturn void property_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What the step has turned out to be, for the report. */
void property_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define PROPERTY_CHECK(holds, ...)                                                                                     \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			property_fail(__VA_ARGS__);                                                                    \
	} while (0)

#endif
