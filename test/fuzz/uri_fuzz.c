/* Any bytes as the target of a request and as Base64, each against what it must be by definition: the query's pairs are
 * found again by a second reader, and Base64 that was taken is what its bytes encode to. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/uri.h"
#include "kube/base64.h"

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- the second reader --- */

static int digit(int c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) % 16 : -1;
}

static void decode(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		int value = -1;

		if (text.at[i] == '%' && i + 2 < text.len && digit(text.at[i + 1]) >= 0 && digit(text.at[i + 2]) >= 0)
			value = digit(text.at[i + 1]) * 16 + digit(text.at[i + 2]);
		if (value > 0)
			i += 2;
		buf_char(out, value > 0 ? (char)value : text.at[i] == '+' ? ' ' : text.at[i]);
	}
}

/* The first pair of the name, by looking at each byte of the query. */
static bool find(struct slice query, const char *name, struct buf *value)
{
	size_t from = 0;

	for (size_t i = 0; i <= query.len; i++) {
		struct buf key;
		bool same;
		size_t equals = from;

		if (i < query.len && query.at[i] != '&')
			continue;
		while (equals < i && query.at[equals] != '=')
			equals++;
		buf_init(&key, query.len + 1);
		decode(&key, (struct slice){query.at + from, equals - from});
		same = slice_is(buf_slice(&key), name);
		buf_free(&key);
		if (same) {
			if (equals < i)
				decode(value, (struct slice){query.at + equals + 1, i - equals - 1});
			return true;
		}
		from = i + 1;
	}
	return false;
}

static void check_query(struct slice query, const char *name)
{
	struct arena arena;
	struct buf wanted;

	arena_init(&arena, 256);
	buf_init(&wanted, query.len + 1);
	const char *found = uri_query_value(&arena, query, name);
	CHECK(!found == !find(query, name, &wanted));
	CHECK(!found || strcmp(found, buf_slice(&wanted).at) == 0);
	buf_free(&wanted);
	arena_free(&arena);
}

static void check_target(struct slice target)
{
	struct slice path = uri_path(target), query = uri_query(target);

	CHECK(path.len + query.len <= target.len + 1);
	CHECK(!memchr(path.at, '?', path.len));
	CHECK(query.len == 0 ||
	      (query.at > target.at && query.at[-1] == '?' && query.at + query.len == target.at + target.len));
	check_query(query, "pod");
	check_query(query, "a");
	check_query(query, "a b");
}

/* --- what is sent --- */

static void check_encoded(struct slice text)
{
	struct buf encoded;

	buf_init(&encoded, 3 * text.len + 1);
	uri_encode(text, &encoded);
	char *back = xmalloc(encoded.len + 1);
	size_t len = uri_decode(buf_slice(&encoded), true, back);
	for (size_t i = 0; i < encoded.len; i++)
		CHECK((unsigned char)encoded.data[i] > ' ' && (unsigned char)encoded.data[i] < 0x7f &&
		      !strchr("&=+#?/", encoded.data[i]));
	CHECK(memchr(text.at, '\0', text.len) || slice_equal((struct slice){back, len}, text));
	free(back);
	buf_free(&encoded);
}

/* --- Base64 --- */

static void check_base64(struct slice text)
{
	size_t len, at = 0;
	char *encoded = base64_encode(text), *back = base64_decode(slice_of(encoded), &len);

	CHECK(back && slice_equal((struct slice){back, len}, text));
	free(back);
	free(encoded);
	back = base64_decode(text, &len);
	if (!back)
		return;
	encoded = base64_encode((struct slice){back, len});
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] != '\r' && text.at[i] != '\n')
			CHECK(encoded[at++] == text.at[i]);
	CHECK(encoded[at] == '\0');
	free(back);
	free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {size ? (const char *)data : "", size};

	check_target(text);
	check_encoded(text);
	check_base64(text);
	return 0;
}
