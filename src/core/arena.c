#include "berth/arena.h"

#include <stdint.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN
#endif

/* Under AddressSanitizer what was not handed out may not be touched either. */
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

#define ARENA_ALIGN (_Alignof(max_align_t))
#define ARENA_CHUNK_MIN 256

struct arena_chunk {
	_Alignas(max_align_t) struct arena_chunk *older;
	size_t size;
	_Alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *arena, size_t first)
{
	*arena = (struct arena){.next_size = first < ARENA_CHUNK_MIN ? ARENA_CHUNK_MIN : first};
}

static void chunk_free(struct arena_chunk *chunk)
{
	ASAN_UNPOISON_MEMORY_REGION(chunk->bytes, chunk->size);
	free(chunk);
}

static void use_chunk(struct arena *arena, struct arena_chunk *chunk)
{
	arena->chunks = chunk;
	arena->at = chunk->bytes;
	arena->end = chunk->bytes + chunk->size;
	ASAN_POISON_MEMORY_REGION(chunk->bytes, chunk->size);
}

void arena_free(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *older = arena->chunks->older;

		chunk_free(arena->chunks);
		arena->chunks = older;
	}
	arena->at = arena->end = NULL;
}

void arena_reset(struct arena *arena)
{
	struct arena_chunk *newest = arena->chunks;

	if (!newest)
		return;
	arena->chunks = newest->older;
	arena_free(arena);
	newest->older = NULL;
	use_chunk(arena, newest);
}

static void add_chunk(struct arena *arena, size_t need)
{
	size_t size = arena->next_size < ARENA_CHUNK_MIN ? ARENA_CHUNK_MIN : arena->next_size;
	struct arena_chunk *chunk;

	if (size <= ARENA_CHUNK_MAX / 2)
		arena->next_size = size * 2;
	if (size < need)
		size = need;
	chunk = xmalloc(sizeof *chunk + size);
	chunk->older = arena->chunks;
	chunk->size = size;
	use_chunk(arena, chunk);
}

static char *take(struct arena *arena, size_t size, size_t align)
{
	/* Sizes near SIZE_MAX stay as they are, so that xmalloc ends the process. */
	size_t step = size > SIZE_MAX / 2 ? SIZE_MAX / 2 : size + !size;
	size_t pad = -(uintptr_t)arena->at & (align - 1);

	if ((size_t)(arena->end - arena->at) < pad + step) {
		add_chunk(arena, step);
		pad = 0;
	}
	char *block = arena->at + pad;
	arena->at = block + step;
	ASAN_UNPOISON_MEMORY_REGION(block, size);
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	return take(arena, size, ARENA_ALIGN);
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;
	void *block;

	if (__builtin_mul_overflow(count, size, &bytes))
		bytes = SIZE_MAX;
	block = arena_alloc(arena, bytes);
	return memset(block, 0, bytes);
}

char *arena_text(struct arena *arena, size_t len)
{
	return take(arena, len + 1, 1);
}

char *arena_copy(struct arena *arena, struct slice text)
{
	char *copy = arena_text(arena, text.len);

	if (text.len)
		memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	return copy;
}
