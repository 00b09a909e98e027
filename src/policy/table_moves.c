/* The table's part on moves. */
#include <stddef.h>

#include "policy/doc.h"
#include "policy/table_part.h"

static const char *moves_word(size_t i)
{
	static const char *const words[] = {MOVES_OBSERVE_WORD, "act"};

	return word_at(words, sizeof words / sizeof *words, i);
}

static const char *kueue_word(size_t i)
{
	static const char *const words[] = {MOVES_KUEUE_DEFAULT, MOVES_KUEUE_WORKLOAD_WORD};

	return word_at(words, sizeof words / sizeof *words, i);
}

static const struct field moves_fields[] = {
    {.key = "mode",
        .offset = offsetof(struct doc_moves, mode),
        .required = true,
        .word = moves_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .help = "observe: each move that would be made is reported once, and nothing is touched. act: moves are made."},
    {.key = "cooldown",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_moves, cooldown),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = MOVES_COOLDOWN_DEFAULT,
        .help = "How long a unit is left alone after a move, or after somebody resumed what a move had suspended."},
    {.key = "perUnitAndDay",
        .kind = FIELD_INTEGER,
        .offset = offsetof(struct doc_moves, per_unit_and_day),
        .min = 1,
        .max = MOVES_PER_UNIT_MAX,
        .default_text = MOVES_PER_UNIT_DEFAULT_TEXT,
        .help = "How often a unit may be ended within 24 hours. Replicas that are made anew, of a Deployment through "
                "all its "
                "ReplicaSets, count together: of N of them at most N times as many."},
    {.key = "giveBackAfter",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_moves, give_back_after),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = MOVES_GIVE_BACK_DEFAULT,
        .help =
            "How long no pod of a class may have waited for room before what was suspended for the class is resumed. "
            "One that will not have room, whatever ends, does not count."},
    {.key = "kueue",
        .offset = offsetof(struct doc_moves, kueue),
        .word = kueue_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .default_text = MOVES_KUEUE_DEFAULT,
        .help = "What Kueue manages. never: it is left alone. workload: it is ended by deactivating its Workload, and "
                "given "
                "back by activating that again."},
};
const struct object moves_object = {
    .name = "moves",
    .help = "Whether units of work are ended for pods that may preempt them and find no room, and given back.",
    .size = sizeof(struct doc_moves),
    FIELDS(moves_fields),
};
