/* Counts every allocation of the process, the C library's own included. With a sanitizer that is its hook; without one,
 * malloc and its kin are defined here and go on to glibc's. For one source file of a program. */
#ifndef TEST_COUNTING_H
#define TEST_COUNTING_H

#include <errno.h>
#include <stddef.h>

static volatile size_t counted_allocations;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTED_BY_HOOK
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTED_BY_HOOK
#endif

#ifdef COUNTED_BY_HOOK

int __sanitizer_install_malloc_and_free_hooks(
    void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));

static void counting_on_malloc(const volatile void *block, size_t size)
{
	(void)block, (void)size;
	counted_allocations++;
}

static void counting_on_free(const volatile void *block)
{
	(void)block;
}

/* False when it cannot be counted. */
static inline bool counting_start(void)
{
	return __sanitizer_install_malloc_and_free_hooks(counting_on_malloc, counting_on_free) > 0;
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
	counted_allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	counted_allocations++;
	return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
	counted_allocations++;
	return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	counted_allocations++;
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
	counted_allocations++;
	*block = __libc_memalign(alignment, size);
	return *block ? 0 : ENOMEM;
}

static inline bool counting_start(void)
{
	return true;
}

#endif

/* The allocations that the statement makes. */
#define COUNT_ALLOCATIONS(statement)                                                                                   \
	__extension__({                                                                                                \
		size_t counted_before = counted_allocations;                                                           \
		statement;                                                                                             \
		counted_allocations - counted_before;                                                                  \
	})

#endif
