/* A YAML document as a tree that remembers where everything stood (libyaml parses it). For files that people write:
 * the policy, the catalogue, a kubeconfig. JSON is YAML, so those may be JSON, too. Anchors and aliases are refused,
 * so is more than one document. Duplicate keys are kept; it is for the reader to report them. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/err.h"
#include "berth/arena.h"
#include "berth/slice.h"

#define YAML_TEXT_MAX (4u << 20)
#define YAML_DEPTH_MAX 64

enum yaml_type { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_mark {
	unsigned line, column; /* from 1; column counts characters */
};

struct yaml_node {
	enum yaml_type type;
	struct yaml_mark mark;    /* of the first byte */
	struct slice text;        /* scalar: its value, terminated */
	bool quoted;              /* scalar: was in quotes, so it is a string whatever it looks like */
	size_t count;             /* list: items; map: pairs */
	struct yaml_node **items; /* list: the items; map: the values */
	struct yaml_node **keys;  /* map only; scalars */
};

/* Parses into `arena`, which owns the tree. An empty document gives *root = NULL and success. On a syntax error err has
 * the reason and *mark where. */
BERTH_MUST_CHECK int yaml_parse(
    struct arena *arena, struct slice text, struct yaml_node **root, struct yaml_mark *mark, struct err *err);
/* The value of a key in a map, or NULL (also when `map` is NULL or no map). */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* A scalar's terminated text, or NULL. */
const char *yaml_text(const struct yaml_node *node);

#endif
