#include "kube/base64.h"

#include <stdint.h>
#include <stdlib.h>

#include "berth/alloc.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
	const char *at = c ? memchr(alphabet, c, sizeof(alphabet) - 1) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

char *base64_decode(struct slice text, size_t *len)
{
	char *out = xmalloc(text.len / 4 * 3 + 4);
	uint32_t group = 0;
	unsigned filled = 0, padding = 0;

	*len = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		if (c == '\r' || c == '\n')
			continue;
		int value = c == '=' ? 0 : value_of(c);
		padding += c == '=';
		/* Nothing follows padding but padding, at most two of it, and only in the last group. */
		if (value < 0 || (padding && c != '=') || padding > 2 || (padding && filled < 2))
			goto bad;
		group = group << 6 | (uint32_t)value;
		if (++filled < 4)
			continue;
		for (unsigned byte = 0; byte < 3 - padding; byte++)
			out[(*len)++] = (char)(group >> (16 - 8 * byte) & 0xff);
		if (padding && (group & (padding == 1 ? 0xffu : 0xffffu)) != 0)
			goto bad;
		group = 0;
		filled = 0;
	}
	if (filled != 0)
		goto bad;
	out[*len] = '\0';
	return out;
bad:
	free(out);
	return NULL;
}

char *base64_encode(struct slice bytes)
{
	char *out = xmalloc((bytes.len + 2) / 3 * 4 + 1), *at = out;

	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
		uint32_t group = 0;
		for (size_t byte = 0; byte < 3; byte++)
			group = group << 8 | (byte < have ? (unsigned char)bytes.at[i + byte] : 0u);
		*at++ = alphabet[group >> 18];
		*at++ = alphabet[group >> 12 & 63];
		*at++ = have > 1 ? alphabet[group >> 6 & 63] : '=';
		*at++ = have > 2 ? alphabet[group & 63] : '=';
	}
	*at = '\0';
	return out;
}
