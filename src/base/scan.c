#include "base/scan.h"

size_t utf8_sequence(const char *at, const char *end)
{
	const unsigned char *byte = (const unsigned char *)at;
	unsigned char second_min = 0x80, second_max = 0xbf;
	size_t len;

	if (byte[0] < 0x80)
		return 1;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	len = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	if ((size_t)(end - at) < len)
		return 0;
	/* The first byte narrows the second: no overlong forms, no surrogates, nothing over U+10FFFF. */
	if (byte[0] == 0xe0)
		second_min = 0xa0;
	else if (byte[0] == 0xed)
		second_max = 0x9f;
	else if (byte[0] == 0xf0)
		second_min = 0x90;
	else if (byte[0] == 0xf4)
		second_max = 0x8f;
	if (byte[1] < second_min || byte[1] > second_max)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

size_t utf8_write(uint32_t point, char out[4])
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (char)(0xc0 | point >> 6);
		out[1] = (char)(0x80 | (point & 0x3f));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (char)(0xe0 | point >> 12);
		out[1] = (char)(0x80 | (point >> 6 & 0x3f));
		out[2] = (char)(0x80 | (point & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | point >> 18);
	out[1] = (char)(0x80 | (point >> 12 & 0x3f));
	out[2] = (char)(0x80 | (point >> 6 & 0x3f));
	out[3] = (char)(0x80 | (point & 0x3f));
	return 4;
}
