/* Labels, selectors, taints and tolerations, matched as Kubernetes' component-helpers v0.36.3 match them.
 * All are plain views: strings and arrays belong to the arena of the object that carries them. Matching allocates
 * nothing. */
#ifndef BERTH_LABELS_H
#define BERTH_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct label {
	const char *key, *value;
};

/* Sorted by key (strcmp), keys unique. */
struct labels {
	size_t count;
	struct label *items;
};

/* The value of a key, or NULL. */
const char *labels_get(const struct labels *labels, const char *key);

enum selector_op { SELECTOR_IN, SELECTOR_NOT_IN, SELECTOR_EXISTS, SELECTOR_DOES_NOT_EXIST, SELECTOR_GT, SELECTOR_LT };

struct selector_requirement {
	const char *key;
	enum selector_op op;
	size_t value_count;
	const char **values;
};

/* All must hold; NotIn and DoesNotExist hold where the key is missing. A Gt or Lt whose side is no integer does not
 * hold. */
struct selector {
	size_t count;
	struct selector_requirement *requirements;
};

bool selector_matches(const struct selector *selector, const struct labels *labels);

/* A term of a node affinity: expressions on labels and fields (only metadata.name exists). A term with neither, or one
 * that is `invalid` (the API server would not have taken it), matches nothing. */
struct node_term {
	struct selector expressions, fields;
	bool invalid;
};

struct preferred_term {
	int32_t weight; /* 1..100 */
	struct node_term term;
};

bool node_term_matches(const struct node_term *term, const char *node_name, const struct labels *labels);

enum taint_effect { TAINT_NO_SCHEDULE, TAINT_PREFER_NO_SCHEDULE, TAINT_NO_EXECUTE };

struct taint {
	const char *key, *value; /* value "" when absent */
	enum taint_effect effect;
};

enum toleration_op { TOLERATION_EQUAL, TOLERATION_EXISTS, TOLERATION_LT, TOLERATION_GT };

struct toleration {
	const char *key, *value; /* key "" with Exists tolerates every key */
	enum toleration_op op;
	bool any_effect;
	enum taint_effect effect;
	bool invalid; /* an operator or effect of an unknown name: tolerates nothing */
};

bool toleration_tolerates(const struct toleration *toleration, const struct taint *taint);
/* True when some toleration tolerates the taint. */
bool taint_tolerated(const struct taint *taint, const struct toleration *tolerations, size_t count);

/* Shell-like pattern of * and ? over the whole text. */
bool glob_matches(const char *pattern, const char *text);

#endif
