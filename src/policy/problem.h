/* What can be wrong with a policy: one table of codes, which README.md repeats and `berth policy codes` prints, and the
 * collecting of problems into a report. A code never changes its meaning and is never used again for another. */
#ifndef POLICY_PROBLEM_H
#define POLICY_PROBLEM_H

#include "policy/load.h"

#define PROBLEM_TEXT_MAX 1024

/* X(id, "code", warning, "what it says") */
#define PROBLEM_TABLE(X)                                                                                               \
	X(SYNTAX, "P001", false, "not YAML, empty, or too large")                                                      \
	X(UNKNOWN_KEY, "P002", false, "unknown key")                                                                   \
	X(DUPLICATE_KEY, "P003", false, "duplicate key")                                                               \
	X(WRONG_TYPE, "P004", false, "wrong type, or no value")                                                        \
	X(MISSING_KEY, "P005", false, "missing key")                                                                   \
	X(NEEDS_QUOTES, "P006", false, "a bare boolean or number where a string is due")                               \
	X(EMPTY, "P007", false, "empty list or map")                                                                   \
	X(OUT_OF_RANGE, "P008", false, "number out of range")                                                          \
	X(TOO_MANY, "P009", false, "too many items")                                                                   \
	X(BAD_NAME, "P010", false, "not a name, label key, label value or kind by the rules of Kubernetes")            \
	X(BAD_GLOB, "P011", false, "not a pattern of * and ?")                                                         \
	X(DANGLING_NAME, "P012", false, "name of a level, pool, class or team that is not defined")                    \
	X(DUPLICATE_NAME, "P013", false, "name or value that is there twice")                                          \
	X(UNKNOWN_VALUE, "P014", false, "not one of the known words")                                                  \
	X(UNKNOWN_MODEL, "P015", false, "GPU model that the catalogue does not have")                                  \
	X(UNKNOWN_DTYPE, "P016", false, "unknown number format")                                                       \
	X(POOL_WITHOUT_RULE, "P017", false, "pool with neither gpu nor nodeSelector")                                  \
	X(UNREACHABLE_CLASS, "P018", true, "class whose pods are all taken by classes before it")                      \
	X(LIMITED_FALLBACK, "P019", false, "fallback class with a hard limit")                                         \
	X(NO_EFFECT, "P020", true, "key without effect")                                                               \
	X(OVERLAPPING_POOLS, "P021", false, "pool whose nodes are all in another pool, too")                           \
	X(BAD_COMBINATION, "P022", false, "keys that do not go together")                                              \
	X(KIND_SPELLING, "P023", true, "kind spelt almost like a known one")                                           \
	X(PREEMPTION_CYCLE, "P024", false, "classes that may end each other's work")                                   \
	X(BAD_DURATION, "P025", false, "not a duration with a unit")                                                   \
	X(UNSEEN_MATCH, "P026", true, "gated class with words that the API server cannot see")                         \
	X(BROKEN_GUARANTEE, "P027", false, "guarantee above a limit, or above that of the team over it")               \
	X(TEAM_CYCLE, "P028", false, "teams that stand above each other")                                              \
	X(BAD_ADDRESS, "P029", false, "not an address, a query or a path")                                             \
	X(BAD_GEOMETRY, "P030", false, "MIG slices that no GPU of the pool can have")

enum problem {
#define X(id, code, warning, text) PROBLEM_##id,
	PROBLEM_TABLE(X)
#undef X
	    PROBLEM_COUNT
};

const char *problem_code(enum problem problem);
const char *problem_text(enum problem problem);
bool problem_is_warning(enum problem problem);

/* What a problem points at. */
struct place {
	struct yaml_mark mark;
	unsigned width;
};

struct place place_of(const struct yaml_node *node);

void report_init(struct policy_report *report);
/* Counts the problem; of more than POLICY_PROBLEMS_MAX the errors nearest to the top are kept, then the warnings. */
void report_add(struct policy_report *report, enum problem problem, struct place place, const char *format, ...)
    BERTH_PRINTF(4, 5);
/* Brings what was kept into the order of the file. */
void report_sort(struct policy_report *report);

#endif
