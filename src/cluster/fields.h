/* Small readings that pods, nodes and Jobs have in common, from the pull reader into an arena. */
#ifndef CLUSTER_FIELDS_H
#define CLUSTER_FIELDS_H

#include "base/reader.h"
#include "berth/arena.h"
#include "berth/labels.h"

/* A raw JSON string as terminated text: a constant of the program's own for words that nearly every object says
 * ("default-scheduler", "ReplicaSet"), else a copy in the arena. */
const char *field_text(struct arena *arena, struct slice raw);
/* The same of a name; NULL if it holds a NUL, behind which it would be cut and be another object's. */
const char *field_name(struct arena *arena, struct slice raw);
/* The next value as text; NULL when it is no string, or empty. */
const char *field_string(struct reader *json, struct arena *arena);

/* A raw string without escapes: itself, or unescaped into the arena. */
struct slice field_plain(struct arena *arena, struct slice raw);

/* An object of strings, sorted by key; other members are left out, and of a key given twice the last counts. */
struct labels field_labels(struct reader *json, struct arena *arena);

/* A list that grows in an arena: room for one more item, the old block is left behind when it is full. */
void *field_grow(struct arena *arena, void *items, size_t count, size_t *room, size_t size);

/* A controller's ownerReference. */
struct owner {
	struct slice kind, uid, name; /* raw; at is NULL when there is no controller */
};

/* metadata.ownerReferences: the one with controller = true. */
void field_owner(struct reader *json, struct owner *owner);

#endif
