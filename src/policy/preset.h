/* Topologies that need no spelling out: the node labels of known sources, and the levels of a policy once its presets
 * are put in their places. */
#ifndef POLICY_PRESET_H
#define POLICY_PRESET_H

#include "policy/doc.h"

#define PRESET_LEVELS_MAX 4
#define PRESET_LABELS_MAX 3

struct preset_level {
	const char *name;
	const char *labels[PRESET_LABELS_MAX]; /* the newest first; NULL behind the last */
	bool up_to_last_dot;
	bool optional; /* not every cluster of the kind has it: only when it is named */
};

struct preset {
	const char *name;
	struct preset_level levels[PRESET_LEVELS_MAX]; /* widest first; no name behind the last */
};

/* NULL behind the last. */
const char *preset_name(size_t i);
const struct preset *preset_named(struct slice name);

/* A level of the policy; what was wrong in the file and reported is absent. */
struct level {
	struct slice name;
	const struct yaml_node *place;     /* what says it */
	const struct doc_level *item;      /* of the file … */
	const struct preset_level *preset; /* … and the level of its preset, or NULL */
	size_t index;                      /* of the item */
};

struct levels {
	size_t count;
	struct level items[TOPOLOGY_LEVELS_MAX];
	bool complete;                    /* false: one could not be read */
	const struct yaml_node *one_more; /* says the first level that there is no room for */
};

void levels_collect(const struct doc_list *topology, struct levels *levels);

#endif
