#include "berth/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROW_FIRST 8

static _Noreturn void out_of_memory(void)
{
	static const char line[] = "berth: out of memory\n";

	if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}

void *xmalloc(size_t size)
{
	void *block = malloc(size ? size : 1);

	if (!block)
		out_of_memory();
	return block;
}

void *xcalloc(size_t count, size_t size)
{
	void *block = calloc(count ? count : 1, size ? size : 1);

	if (!block)
		out_of_memory();
	return block;
}

void *xrealloc(void *block, size_t size)
{
	void *moved = realloc(block, size ? size : 1);

	if (!moved)
		out_of_memory();
	return moved;
}

char *xstrdup(const char *text)
{
	return xstrndup(text, strlen(text));
}

char *xstrndup(const char *text, size_t len)
{
	char *copy;

	if (len == SIZE_MAX)
		out_of_memory();
	copy = xmalloc(len + 1);
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

void *xgrow(void *array, size_t count, size_t *room, size_t size)
{
	size_t grown, bytes;

	if (array && count < *room)
		return array;
	grown = *room < GROW_FIRST ? GROW_FIRST : *room;
	while (grown <= count)
		if (__builtin_mul_overflow(grown, 2, &grown))
			out_of_memory();
	if (__builtin_mul_overflow(grown, size, &bytes))
		out_of_memory();
	array = xrealloc(array, bytes);
	*room = grown;
	return array;
}
