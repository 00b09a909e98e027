/* What the readers of the wire types share. A fault is the constant text of what is wrong with a member; it is judged
 * when the whole body was read, because a later duplicate of the member mends it. */
#ifndef EXTENDER_WIRE_INTERNAL_H
#define EXTENDER_WIRE_INTERNAL_H

#include "base/reader.h"
#include "extender/wire.h"

#define WIRE_FIRST_ROOM 8

/* An array that is read anew for each duplicate of its key; room in the arena is kept between them. */
struct wire_list {
	bool given; /* neither absent nor null */
	const char *fault;
	struct slice *items;
	size_t count, room;
};

int wire_bad_json(const struct reader *json, struct err *err);
/* Enters the body's object. */
int wire_open(struct reader *json, struct slice body, struct err *err);
/* The text of a raw string, in the arena if it has escapes; false if it holds a NUL, which no name of Kubernetes does.
 */
bool wire_unescape(struct slice *text, struct arena *arena);
/* A string of at least one byte. */
void wire_read_name(struct reader *json, struct arena *arena, struct slice *name, const char **fault);
void wire_read_pod(struct reader *json, struct slice *pod, const char **fault);
/* `rest` bytes of text are left, which the first room is made for; false beyond WIRE_NAMES_MAX. */
bool wire_list_add(struct wire_list *list, struct slice item, size_t rest, struct arena *arena);

#endif
