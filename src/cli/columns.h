/* A table for people: columns as wide as their widest cell, numbers to the right, two blanks in between. */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H

#include <stdio.h>

#include "berth/alloc.h"

#define COLUMNS_MAX 16

struct columns {
	size_t width, count, room;
	char **cells; /* row by row */
};

void columns_init(struct columns *columns, size_t width);
/* The next cell, left to right, then the next row. */
void columns_add(struct columns *columns, const char *format, ...) BERTH_PRINTF(2, 3);
/* Prints and frees. A column whose cells below the first row are all numbers stands to the right. */
void columns_print(struct columns *columns, const char *indent, FILE *out);

#endif
