/* Reads a map of a YAML document into a struct, by a table of its keys. Strict: a key that is not in the table or given
 * twice, a missing one, a wrong type or a number out of range is an error at file:line:column. */
#ifndef CLUSTER_YAML_READ_H
#define CLUSTER_YAML_READ_H

#include <stdint.h>

#include "base/err.h"
#include "base/yaml.h"

struct yaml_reader {
	struct arena *arena; /* what is read points into it */
	const char *file;    /* for messages */
	struct err *err;
};

enum yaml_key_type {
	YAML_KEY_TEXT,    /* const char *, not empty */
	YAML_KEY_WHOLE,   /* int64_t, min to max */
	YAML_KEY_NUMBER,  /* double, min to max */
	YAML_KEY_VERSION, /* struct yaml_version: "9.0" */
	YAML_KEY_WORD,    /* uint32_t: the place of a word in `words` */
	YAML_KEY_WORDS,   /* uint32_t: a bit for each of a list of words */
	YAML_KEY_LIST,    /* const struct yaml_node *, a list */
};

struct yaml_version {
	uint8_t major, minor;
};

struct yaml_key {
	const char *name;
	enum yaml_key_type type;
	size_t offset; /* in the struct */
	bool required;
	int64_t min, max;
	const char *const *words; /* NULL ends them */
};

#define YAML_KEYS_MAX 32

/* Fills in what is there and leaves the rest of *out alone. */
BERTH_MUST_CHECK int yaml_read_map(const struct yaml_reader *reader, const struct yaml_node *node, const char *what,
    const struct yaml_key *keys, size_t count, void *out);
/* A scalar's text, not empty. */
BERTH_MUST_CHECK int yaml_read_text(const struct yaml_reader *reader, const struct yaml_node *node, const char **text);
BERTH_MUST_CHECK int yaml_read_whole(
    const struct yaml_reader *reader, const struct yaml_node *node, int64_t min, int64_t max, int64_t *whole);
/* An error at a place of the file; returns the code. */
int yaml_read_error(const struct yaml_reader *reader, const struct yaml_node *node, const char *format, ...)
    BERTH_PRINTF(3, 4);

#endif
