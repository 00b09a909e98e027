/* The bodies of the verbs: the first byte selects the verb, the rest is read as its body; what was read is written into
 * replies, which must be JSON that gives the same names back. */
#include <stdint.h>
#include <stdlib.h>

#include "base/reader.h"
#include "extender/wire.h"

#define REPLY_MAX (64u << 20)
#define REFUSED "not enough free GPUs"

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			abort();                                                                                       \
	} while (0)

static void check_text(struct slice text)
{
	CHECK(text.len == 0 || text.at);
	CHECK(text.len == 0 || !memchr(text.at, '\0', text.len));
}

static void check_object(struct slice raw)
{
	struct reader json;

	reader_open(&json, raw);
	CHECK(reader_peek(&json) == READER_OBJECT);
	reader_skip(&json);
	CHECK(reader_close(&json));
}

static bool same_text(struct slice raw, struct slice text)
{
	char *copy = malloc(raw.len + 1);
	bool same = slice_equal((struct slice){copy, reader_unescape(raw, copy)}, text);

	free(copy);
	return same;
}

/* The strings of an array, or the keys of an object. */
static void check_names(struct reader *json, bool keys, const struct slice *names, size_t count)
{
	struct slice raw;
	size_t i = 0;

	CHECK(keys ? reader_object(json) : reader_array(json));
	while (keys ? reader_key(json, &raw) : reader_next(json)) {
		if (keys)
			reader_skip(json);
		else
			CHECK(reader_string(json, &raw));
		CHECK(i < count && same_text(raw, names[i]));
		i++;
	}
	CHECK(i == count);
}

static void check_nodes(struct reader *json, size_t count)
{
	struct slice key;
	size_t seen = 0;

	CHECK(reader_object(json) && reader_key(json, &key) && slice_is(key, "items") && reader_array(json));
	for (; reader_next(json); seen++)
		reader_skip(json);
	CHECK(seen == count && !reader_key(json, &key));
}

static void check_reply(const struct buf *out, const struct wire_args *args, bool refused)
{
	struct reader json;

	CHECK(!out->overflow);
	reader_open(&json, buf_slice(out));
	CHECK(reader_object(&json));
	for (struct slice key; reader_key(&json, &key);) {
		if (slice_is(key, "NodeNames") && args->by_name)
			check_names(&json, false, args->items, refused ? 0 : args->count);
		else if (slice_is(key, "Nodes") && !args->by_name)
			check_nodes(&json, args->count);
		else if (slice_is(key, "FailedAndUnresolvableNodes") && refused && args->count)
			check_names(&json, true, args->items, args->count);
		else
			reader_skip(&json);
	}
	CHECK(reader_close(&json));
}

static void check_scores(const struct buf *out, size_t count)
{
	struct reader json;
	size_t seen = 0;

	CHECK(!out->overflow);
	reader_open(&json, buf_slice(out));
	CHECK(reader_array(&json));
	for (; reader_next(&json); seen++)
		reader_skip(&json);
	CHECK(reader_close(&json) && seen == count);
}

static void try_args(struct slice body, struct arena *arena, bool scored)
{
	struct wire_args args;
	struct err err;
	struct buf out;

	if (wire_read_args(body, arena, &args, &err)) {
		CHECK(err.code == ERR_INPUT);
		return;
	}
	check_object(args.pod);
	for (size_t i = 0; i < args.count; i++)
		args.by_name ? check_text(args.items[i]) : check_object(args.items[i]);
	buf_init(&out, REPLY_MAX);
	if (scored && args.by_name) {
		struct wire_score *scores = arena_calloc(arena, args.count + 1, sizeof(*scores));

		for (size_t i = 0; i < args.count; i++)
			scores[i] = (struct wire_score){args.items[i], (int64_t)i % 11};
		wire_write_scores(&out, scores, args.count);
		check_scores(&out, args.count);
	} else if (args.by_name) {
		struct wire_refusal *refusals = arena_calloc(arena, args.count + 1, sizeof(*refusals));

		wire_write_names(&out, args.items, args.count, NULL, 0);
		check_reply(&out, &args, false);
		buf_clear(&out);
		for (size_t i = 0; i < args.count; i++)
			refusals[i] = (struct wire_refusal){args.items[i], REFUSED};
		wire_write_names(&out, NULL, 0, refusals, args.count);
		check_reply(&out, &args, true);
	} else {
		wire_write_nodes(&out, args.items, args.count, NULL, 0);
		check_reply(&out, &args, false);
	}
	buf_free(&out);
}

static void try_bind(struct slice body, struct arena *arena)
{
	struct wire_bind bind;
	struct err err;

	if (wire_read_bind(body, arena, &bind, &err)) {
		CHECK(err.code == ERR_INPUT);
		return;
	}
	const struct slice texts[] = {bind.pod_name, bind.pod_namespace, bind.pod_uid, bind.node};
	for (size_t i = 0; i < 4; i++) {
		CHECK(texts[i].len > 0);
		check_text(texts[i]);
	}
	char *error = arena_copy(arena, bind.pod_name);
	struct buf out;
	buf_init(&out, REPLY_MAX);
	wire_write_bind(&out, error);
	check_object(buf_slice(&out));
	buf_free(&out);
}

static void try_preempt(struct slice body, struct arena *arena)
{
	struct wire_preempt preempt;
	struct err err;

	if (wire_read_preempt(body, arena, &preempt, &err)) {
		CHECK(err.code == ERR_INPUT);
		return;
	}
	check_object(preempt.pod);
	for (size_t i = 0; i < preempt.count; i++) {
		check_text(preempt.nodes[i].node);
		for (size_t j = 0; j < preempt.nodes[i].uid_count; j++)
			check_text(preempt.nodes[i].uids[j]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;

	if (size == 0)
		return 0;
	struct slice body = {(const char *)data + 1, size - 1};
	arena_init(&arena, 256);
	switch (data[0]) {
	case 'f':
		try_args(body, &arena, false);
		break;
	case 's':
		try_args(body, &arena, true);
		break;
	case 'b':
		try_bind(body, &arena);
		break;
	case 'p':
		try_preempt(body, &arena);
		break;
	default:
		break;
	}
	arena_free(&arena);
	return 0;
}
