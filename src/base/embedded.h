/* The files of config/ that the program carries inside itself; the build writes the table. */
#ifndef BASE_EMBEDDED_H
#define BASE_EMBEDDED_H

#include "berth/slice.h"

struct embedded_text {
	const char *name; /* the file's name in config/; NULL ends the table */
	const char *text;
	size_t len;
};

extern const struct embedded_text embedded_texts[];

/* The text of config/NAME; at is NULL when there is none. */
static inline struct slice embedded_text(const char *name)
{
	for (const struct embedded_text *t = embedded_texts; t->name; t++)
		if (strcmp(t->name, name) == 0)
			return (struct slice){t->text, t->len};
	return (struct slice){NULL, 0};
}

#endif
