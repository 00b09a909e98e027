/* A bump allocator: everything one object or one request needs lives in its arena and is freed with it, at once.
 * Blocks are never moved. Not for things that live on their own. */
#ifndef BERTH_ARENA_H
#define BERTH_ARENA_H

#include "berth/alloc.h"
#include "berth/slice.h"

#define ARENA_CHUNK_MAX ((size_t)16 << 20) /* a larger block gets a chunk of its own size */

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	char *at, *end;
	size_t next_size;
};

/* `first` is the size of the first chunk in bytes; later ones double up to ARENA_CHUNK_MAX. Allocates nothing yet. */
void arena_init(struct arena *arena, size_t first);
void arena_free(struct arena *arena);
/* Forgets all blocks but keeps the newest chunk, for a scratch arena that is used again and again. */
void arena_reset(struct arena *arena);

/* Aligned for any type, not zeroed. */
__attribute__((returns_nonnull)) void *arena_alloc(struct arena *arena, size_t size);
__attribute__((returns_nonnull)) void *arena_calloc(struct arena *arena, size_t count, size_t size);
/* Room for a text of `len` bytes and its NUL, which the caller writes. Texts stand close together. */
__attribute__((returns_nonnull)) char *arena_text(struct arena *arena, size_t len);
/* A terminated copy. */
__attribute__((returns_nonnull)) char *arena_copy(struct arena *arena, struct slice text);

#endif
