/* What JSON's reader and writer both do to every byte of a string. */
#ifndef BASE_SCAN_H
#define BASE_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SCAN_LOW_BITS UINT64_C(0x0101010101010101)
#define SCAN_HIGH_BITS UINT64_C(0x8080808080808080)

/* Nonzero if any of the eight bytes is a quote, a backslash, a control character or not ASCII. */
static inline uint64_t scan_special_in(uint64_t bytes)
{
	uint64_t quote = bytes ^ SCAN_LOW_BITS * '"', backslash = bytes ^ SCAN_LOW_BITS * '\\';

	return ((quote - SCAN_LOW_BITS) | (backslash - SCAN_LOW_BITS) | (bytes - SCAN_LOW_BITS * ' ') | bytes) &
	       SCAN_HIGH_BITS;
}

/* The first byte that is a quote, a backslash, a control character or not ASCII; `end` if there is none. */
static inline const char *scan_plain(const char *at, const char *end)
{
#ifdef __SSE2__
	for (; end - at >= 16; at += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
		__m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
		/* Signed: what is not ASCII is below the blank as well. */
		__m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
		int found = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), low));

		if (found)
			return at + __builtin_ctz((unsigned)found);
	}
#endif
	for (uint64_t bytes; end - at >= 8; at += 8) {
		memcpy(&bytes, at, sizeof bytes);
		if (scan_special_in(bytes))
			break;
	}
	while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= ' ' && (unsigned char)*at < 0x80)
		at++;
	return at;
}

/* The length of the UTF-8 sequence at `at` (< end), 0 if it is none: overlong, a surrogate, over U+10FFFF or cut off.
 */
size_t utf8_sequence(const char *at, const char *end);
/* Writes a code point of at most U+10FFFF; returns its length. */
size_t utf8_write(uint32_t point, char out[4]);

#endif
