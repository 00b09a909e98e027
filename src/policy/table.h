/* The table of every key that a policy may have. The reader, its messages and the JSON Schema all follow it; a new key
 * is a line here, a place in doc.h, and its use in compile. */
#ifndef POLICY_TABLE_H
#define POLICY_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/syntax.h"

enum field_kind {
	FIELD_TEXT,
	FIELD_NUMBER,
	FIELD_INTEGER,
	FIELD_DURATION,
	FIELD_BOOLEAN,
	FIELD_OBJECT,
	FIELD_LABELS,
	FIELD_AMOUNTS
};

struct object;

struct field {
	const char *key, *help;
	enum field_kind kind; /* of the value; in a list, of each item */
	size_t list_max;      /* > 0: a list of 1 to so many; for FIELD_LABELS and FIELD_AMOUNTS the number of keys */
	size_t offset;        /* of the value in the object's struct */
	bool required;
	bool choice;      /* one of the keys that the object's choice rule counts */
	const char *with; /* the key that this one never goes without, nor it without this */
	const struct object *object;
	enum text_rule rule;           /* of a text; of the values of labels */
	const char *(*word)(size_t i); /* the only texts allowed, NULL behind the last */
	enum problem word_problem;     /* what another text is */
	double min, max, fallback;     /* of numbers; of durations in nanoseconds */
	const char *default_text;      /* what absence means, for people */
};

enum choice { CHOICE_FREE, CHOICE_AT_LEAST_ONE, CHOICE_EXACTLY_ONE };

struct object {
	const char *name; /* of its definition in the schema */
	const char *help;
	size_t size; /* of its struct in doc.h */
	const struct field *fields;
	size_t field_count;
	enum choice choice;
	enum problem choice_problem;
	bool needs_key; /* {} says nothing */
	/* The keys are words of one vocabulary; an unknown one is PROBLEM_UNKNOWN_VALUE. Pairs of synonym and key, NULL
	 * behind. */
	const char *const *synonyms;
};

#define POLICY_API_VERSION "berth.dev/v1alpha1"
#define POLICY_KIND "PlacementPolicy"
#define LEVEL_HOST "host"
#define WEIGHT_MAX 1e6
#define TEAM_GPUS_MAX 1e6
#define GPUS_PER_POD_MAX 1e6
#define GANG_GPUS_MAX 1e6
#define DURATION_SECOND 1e9
#define DURATION_MAX (720 * 3600 * DURATION_SECOND)
#define DURATION_PATTERN "^([0-9]{1,9}(\\.[0-9]{1,9})?(h|m|s|ms))+$"
#define MEMBERS_WITHIN_DEFAULT "10m"
#define HOLD_DOMAIN_AFTER_DEFAULT "30m"
#define RELEASE_AFTER_DEFAULT "10m"
#define MOVES_OBSERVE_WORD "observe"
#define MOVES_KUEUE_DEFAULT "never"
#define MOVES_KUEUE_WORKLOAD_WORD "workload"
#define MOVES_COOLDOWN_DEFAULT "1h"
#define MOVES_GIVE_BACK_DEFAULT "10m"
#define MOVES_PER_UNIT_MAX 24 /* what is remembered of a unit */
#define MOVES_PER_UNIT_DEFAULT 2
#define MOVES_PER_UNIT_DEFAULT_TEXT "2"
#define SCALE_UP_AFTER_DEFAULT "5m"
#define FAILED_STARTS_DEFAULT "3"
#define FAILED_STARTS_MAX 32
#define FAILED_WITHIN_DEFAULT "10m"
#define QUARANTINE_RELEASE_DEFAULT "1h"
#define MIN_RUNTIME_DEFAULT "0s"
#define VICTIM_GRACE_DEFAULT "0s"
#define HEADROOM_GPUS_MAX 1e6
#define WHEN_DAYS_DEFAULT "mon-sun"
#define WHEN_FROM_DEFAULT "00:00"
#define WHEN_TO_DEFAULT "24:00"
#define WHEN_ZONE_DEFAULT "UTC"
#define SIGNALS_EVERY_DEFAULT "15s"
#define SIGNALS_EVERY_MAX (3600 * DURATION_SECOND)
#define SIGNALS_STALE_DEFAULT "1m"
#define SIGNALS_VALUE_MAX 1e12
#define SIGNALS_AUTOSCALERS_WORD "autoscalers"
#define FOLLOW_HOLD_DEFAULT "10m"
#define MIG_CONFIGS_MAX 32
#define MIG_PROFILES_MAX 8
#define MIG_INSTANCES_MAX 7
#define MIG_NODES_MAX 1e6
#define MIG_NODES_DEFAULT "1"
#define MIG_AFTER_DEFAULT "30s"
#define MIG_DEADLINE_DEFAULT "15m"
#define MIG_IDLE_FOR_DEFAULT "10m"
#define MIG_BACK_AFTER_DEFAULT "never"
#define MIG_RETRY_AFTER_DEFAULT "1h"
#define UP_TO_LAST_DOT "lastDot"

extern const struct object policy_object;

#endif
