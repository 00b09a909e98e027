#include "http/uri.h"

/* The absolute form ("http://host/path") without scheme and host. */
static struct slice origin_form(struct slice target)
{
	if (target.len == 0 || target.at[0] == '/')
		return target;
	const char *scheme = memmem(target.at, target.len, "://", 3);
	if (!scheme)
		return target;
	const char *host = scheme + 3, *end = target.at + target.len;
	const char *slash = memchr(host, '/', (size_t)(end - host));
	return slash ? (struct slice){slash, (size_t)(end - slash)} : (struct slice){"/", 1};
}

struct slice uri_path(struct slice target)
{
	target = origin_form(target);
	const char *mark = memchr(target.at, '?', target.len);
	return mark ? (struct slice){target.at, (size_t)(mark - target.at)} : target;
}

struct slice uri_query(struct slice target)
{
	target = origin_form(target);
	const char *mark = memchr(target.at, '?', target.len);
	if (!mark)
		return (struct slice){"", 0};
	return (struct slice){mark + 1, target.len - (size_t)(mark + 1 - target.at)};
}

void uri_encode(struct slice text, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c && strchr("-._~", c))) {
			buf_char(out, (char)c);
			continue;
		}
		buf_char(out, '%');
		buf_char(out, digits[c >> 4]);
		buf_char(out, digits[c & 15]);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t uri_decode(struct slice text, bool plus, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		if (c == '%' && text.len - i > 2) {
			int high = hex_value(text.at[i + 1]), low = hex_value(text.at[i + 2]);
			if (high >= 0 && low >= 0 && high + low > 0) {
				c = (char)(high * 16 + low);
				i += 2;
			}
		} else if (c == '+' && plus) {
			c = ' ';
		}
		out[len++] = c;
	}
	return len;
}

const char *uri_query_value(struct arena *arena, struct slice query, const char *name)
{
	const char *at = query.at, *end = query.at + query.len;

	while (at < end) {
		const char *next = memchr(at, '&', (size_t)(end - at));
		const char *pair_end = next ? next : end;
		const char *equals = memchr(at, '=', (size_t)(pair_end - at));
		struct slice key = {at, (size_t)((equals ? equals : pair_end) - at)};
		char *decoded = arena_alloc(arena, (size_t)(pair_end - at) + 1);
		size_t len = uri_decode(key, true, decoded);
		if (slice_is((struct slice){decoded, len}, name)) {
			if (!equals)
				return "";
			len = uri_decode((struct slice){equals + 1, (size_t)(pair_end - equals - 1)}, true, decoded);
			decoded[len] = '\0';
			return decoded;
		}
		at = pair_end + 1;
	}
	return NULL;
}
