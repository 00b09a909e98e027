#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/reader.h"
#include "extender/wire.h"

#define POD "{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"}}"

static int read_args(struct arena *arena, const char *text, struct wire_args *args, struct err *err)
{
	return wire_read_args(slice_of(text), arena, args, err);
}

static void assert_slice(struct slice got, const char *want)
{
	if (!slice_is(got, want))
		fail_msg("got \"%.*s\", wanted \"%s\"", (int)got.len, got.at, want);
}

/* --- filter and prioritize --- */

static void names_are_read(void **state)
{
	static const struct {
		const char *text;
		bool by_name;
		size_t count;
		const char *first, *last;
	} cases[] = {
	    {"{\"Pod\":" POD ",\"Nodes\":null,\"NodeNames\":[\"a\",\"b\",\"c\"]}", true, 3, "a", "c"},
	    {"{\"Pod\":" POD ",\"NodeNames\":[\"a\"]}", true, 1, "a", "a"},
	    {"{\"NodeNames\":[\"a\"],\"Pod\":" POD "}", true, 1, "a", "a"},
	    {"{\"Pod\":" POD ",\"Nodes\":null,\"NodeNames\":[]}", true, 0, NULL, NULL},
	    {"{\"Pod\":" POD ",\"Nodes\":{\"items\":[]},\"NodeNames\":[]}", true, 0, NULL, NULL},
	    {"{\"Pod\":" POD ",\"Nodes\":{\"items\":[{\"a\":1}]},\"NodeNames\":[\"a\",\"b\"]}", true, 2, "a", "b"},
	    {"{\"Pod\":" POD ",\"Nodes\":{\"items\":[{\"a\":1},{}]},\"NodeNames\":null}", false, 2, "{\"a\":1}", "{}"},
	    {"{\"Pod\":" POD ",\"Nodes\":{\"metadata\":{},\"items\":null}}", false, 0, NULL, NULL},
	    {"{\"Pod\":" POD ",\"Nodes\":{}}", false, 0, NULL, NULL},
	    {"{\"Pod\":" POD ",\"NodeNames\":[\"\\u006e-1\",\"n\\/2\"]}", true, 2, "n-1", "n/2"},
	    {"{\"Pod\":" POD ",\"NodeNames\":[\"\\ud83d\\ude00\",\"\\ud83d\"]}", true, 2, "😀", "\xef\xbf\xbd"},
	    {"{\"Pod\":" POD ",\"NodeNames\":[\"\"]}", true, 1, "", ""},
	    {"{\"Pod\":" POD ",\"NodeNames\":[\"a\",\"a\"]}", true, 2, "a", "a"},
	    {" \n{ \"Pod\" : " POD " , \"NodeNames\" : [ \"a\" , \"b\" ] } \t", true, 2, "a", "b"},
	    {"{\"more\":[{\"x\":[1.5e3]}],\"Pod\":" POD ",\"NodeNames\":[\"a\"],\"z\":\"\\\"\"}", true, 1, "a", "a"},
	    /* of duplicates the last counts, whatever was wrong with the ones before */
	    {"{\"Pod\":null,\"Pod\":" POD ",\"NodeNames\":[\"x\",\"y\"],\"NodeNames\":[\"a\"]}", true, 1, "a", "a"},
	    {"{\"Pod\":7,\"Pod\":" POD ",\"NodeNames\":[1],\"NodeNames\":[\"a\"]}", true, 1, "a", "a"},
	    {"{\"Pod\":" POD ",\"NodeNames\":[\"a\"],\"NodeNames\":null,\"Nodes\":{\"items\":[{}]}}", false, 1, "{}",
	        "{}"},
	    {"{\"Pod\":" POD ",\"Nodes\":{\"items\":[1],\"items\":[{}]}}", false, 1, "{}", "{}"},
	    /* keys are exact */
	    {"{\"Pod\":" POD ",\"nodenames\":[\"x\"],\"NodeNames\":[\"a\"],\"nodeNames\":[]}", true, 1, "a", "a"},
	};
	struct arena arena;
	struct wire_args args;
	struct err err;

	(void)state;
	arena_init(&arena, 1024);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (read_args(&arena, cases[i].text, &args, &err))
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_slice(args.pod, POD);
		assert_int_equal(args.by_name, cases[i].by_name);
		assert_int_equal(args.count, cases[i].count);
		if (args.count == 0)
			continue;
		assert_slice(args.items[0], cases[i].first);
		assert_slice(args.items[args.count - 1], cases[i].last);
		arena_reset(&arena);
	}
	arena_free(&arena);
}

static void bad_args_are_said(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
	    {"", "bad JSON at byte 0: unexpected end"},
	    {"null", "the body is not a JSON object"},
	    {"[]", "the body is not a JSON object"},
	    {"{}", "Pod is missing"},
	    {"{\"NodeNames\":[]}", "Pod is missing"},
	    {"{\"Pod\":null,\"NodeNames\":[]}", "Pod is missing"},
	    {"{\"Pod\":[],\"NodeNames\":[]}", "Pod is not an object"},
	    {"{\"Pod\":\"p\",\"NodeNames\":[]}", "Pod is not an object"},
	    {"{\"Pod\":{}}", "NodeNames and Nodes are both missing"},
	    {"{\"Pod\":{},\"Nodes\":null,\"NodeNames\":null}", "NodeNames and Nodes are both missing"},
	    {"{\"Pod\":{},\"NodeNames\":[\"a\"],\"NodeNames\":null}", "NodeNames and Nodes are both missing"},
	    {"{\"Pod\":{},\"NodeNames\":{}}", "NodeNames is not an array"},
	    {"{\"Pod\":{},\"NodeNames\":\"a\"}", "NodeNames is not an array"},
	    {"{\"Pod\":{},\"NodeNames\":[\"a\",1]}", "a name in NodeNames is not a string"},
	    {"{\"Pod\":{},\"NodeNames\":[null,\"a\"]}", "a name in NodeNames is not a string"},
	    {"{\"Pod\":{},\"NodeNames\":[[\"a\"]]}", "a name in NodeNames is not a string"},
	    {"{\"Pod\":{},\"NodeNames\":[\"a\\u0000b\"]}", "a name in NodeNames has a NUL"},
	    {"{\"Pod\":{},\"NodeNames\":[\"\\u0000\",\"b\"]}", "a name in NodeNames has a NUL"},
	    {"{\"Pod\":{},\"Nodes\":[]}", "Nodes is not an object"},
	    {"{\"Pod\":{},\"Nodes\":{\"items\":{}}}", "Nodes.items is not an array"},
	    {"{\"Pod\":{},\"Nodes\":{\"items\":[{},null]}}", "an item of Nodes is not an object"},
	    {"{\"Pod\":{},\"Nodes\":[],\"NodeNames\":[]}", "Nodes is not an object"},
	    {"{\"Pod\":{},\"NodeNames\":[\"\xff\"]}", "bad JSON at byte 24: string is not UTF-8"},
	    {"{\"Pod\":{},\"NodeNames\":[\"\xc0\x80\"]}", "bad JSON at byte 24: string is not UTF-8"},
	    {"{\"Pod\":{\"a\":\"\xed\xa0\x80\"},\"NodeNames\":[]}", "bad JSON at byte 13: string is not UTF-8"},
	    {"{\"Pod\":{},\"NodeNames\":[\"a\" \"b\"]}", "bad JSON at byte 27: ',' or ']' expected"},
	    {"{\"Pod\":{},\"NodeNames\":[\"a\",]}", "bad JSON at byte 27: value expected"},
	    {"{\"Pod\":{},\"NodeNames\":[]}x", "bad JSON at byte 25: text behind the value"},
	    {"{\"Pod\":{},\"NodeNames\":[]} {}", "bad JSON at byte 26: text behind the value"},
	    {"{\"Pod\":{},\"NodeNames\":[\"a\\x\"]}", "bad JSON at byte 25: unknown escape in a string"},
	};
	struct arena arena;
	struct wire_args args;
	struct err err;

	(void)state;
	arena_init(&arena, 1024);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (read_args(&arena, cases[i].text, &args, &err) != ERR_INPUT)
			fail_msg("%s was taken", cases[i].text);
		assert_string_equal(err.text, cases[i].error);
		arena_reset(&arena);
	}
	static const char nul[] = "{\"Pod\":{},\"NodeNames\":[\"a\0b\"]}";
	assert_int_equal(wire_read_args((struct slice){nul, sizeof(nul) - 1}, &arena, &args, &err), ERR_INPUT);
	assert_string_equal(err.text, "bad JSON at byte 25: control character in a string");
	arena_free(&arena);
}

/* In a block of exactly the size, so that a read behind the end is seen. */
static int read_cut(const char *text, size_t len, int (*read)(struct slice, struct arena *))
{
	struct arena arena;
	char *cut = malloc(len ? len : 1);

	memcpy(cut, text, len);
	arena_init(&arena, 256);
	int code = read((struct slice){cut, len}, &arena);
	arena_free(&arena);
	free(cut);
	return code;
}

static int only_args(struct slice body, struct arena *arena)
{
	struct wire_args args;
	struct err err;
	return wire_read_args(body, arena, &args, &err);
}

static int only_bind(struct slice body, struct arena *arena)
{
	struct wire_bind bind;
	struct err err;
	return wire_read_bind(body, arena, &bind, &err);
}

static int only_preempt(struct slice body, struct arena *arena)
{
	struct wire_preempt preempt;
	struct err err;
	return wire_read_preempt(body, arena, &preempt, &err);
}

static void cut_anywhere_is_refused(void **state)
{
	static const struct {
		const char *text;
		int (*read)(struct slice, struct arena *);
	} cases[] = {
	    {"{\"Pod\":{\"a\":[1,-2.5e+3,true,false,null,\"\\u00e9é\"]},\"Nodes\":null,\"NodeNames\":[\"a\","
	     "\"\\u0062\"]}",
	        only_args},
	    {"{\"Pod\":{},\"Nodes\":{\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"n\"}},{}]},\"NodeNames\":"
	     "null}",
	        only_args},
	    {"{\"PodName\":\"p\",\"PodNamespace\":\"d\",\"PodUID\":\"\\u0075\",\"Node\":\"n\"}", only_bind},
	    {"{\"Pod\":{},\"NodeNameToVictims\":null,\"NodeNameToMetaVictims\":{\"\\u006e\":{\"Pods\":[{\"UID\":\"u\"}]"
	     ","
	     "\"NumPDBViolations\":-1}}}",
	        only_preempt},
	    {"{\"Pod\":{},\"NodeNameToVictims\":{\"n\":{\"Pods\":[{\"metadata\":{\"uid\":\"u\"}}],\"NumPDBViolations\":"
	     "0}}}",
	        only_preempt},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t whole = strlen(cases[i].text);

		assert_int_equal(read_cut(cases[i].text, whole, cases[i].read), 0);
		for (size_t len = 0; len < whole; len++)
			if (read_cut(cases[i].text, len, cases[i].read) != ERR_INPUT)
				fail_msg("%.*s was taken", (int)len, cases[i].text);
	}
}

static char *many_names(size_t count, size_t *len)
{
	char *text = malloc(count * 32 + 64), *at = text;

	at += sprintf(at, "{\"Pod\":{},\"Nodes\":null,\"NodeNames\":[");
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s\"node-%08zu.example\"", i ? "," : "", i);
	at += sprintf(at, "]}");
	*len = (size_t)(at - text);
	return text;
}

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

static size_t heap_used(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __sanitizer_get_current_allocated_bytes();
#else
	return mallinfo2().uordblks;
#endif
}

/* The heap must not grow by anything but the arena's chunks: not at all when the arena has one that is large enough. */
static void names_cost_arena_chunks_only(void **state)
{
	size_t len;
	char *text = many_names(100000, &len);
	struct arena arena;
	struct wire_args args;
	struct err err;

	(void)state;
	arena_init(&arena, 8u << 20);
	arena_alloc(&arena, 1);
	arena_reset(&arena);
	size_t before = heap_used();
	assert_int_equal(wire_read_args((struct slice){text, len}, &arena, &args, &err), 0);
	assert_int_equal(heap_used(), before);
	assert_int_equal(args.count, 100000);
	assert_slice(args.items[0], "node-00000000.example");
	assert_slice(args.items[99999], "node-00099999.example");
	arena_free(&arena);
	/* A first name longer than the others makes the first room too small. */
	char *grown = malloc(len + 4096);
	size_t head = (size_t)(strchr(text, '[') - text) + 1;
	memcpy(grown, text, head);
	memset(grown + head, 'x', 4000);
	grown[head] = '"';
	memcpy(grown + head + 4000, "\",", 2);
	memcpy(grown + head + 4002, text + head, len - head);
	arena_init(&arena, 256);
	assert_int_equal(wire_read_args((struct slice){grown, len + 4002}, &arena, &args, &err), 0);
	assert_int_equal(args.count, 100001);
	assert_int_equal(args.items[0].len, 3999);
	assert_slice(args.items[100000], "node-00099999.example");
	arena_free(&arena);
	free(grown);
	free(text);
}

static void too_many_names_are_refused(void **state)
{
	size_t len = 0, room = (WIRE_NAMES_MAX + 1) * 5 + 64;
	char *text = malloc(room);
	struct arena arena;
	struct wire_args args;
	struct err err;

	(void)state;
	len = (size_t)sprintf(text, "{\"Pod\":{},\"NodeNames\":[\"\"");
	for (size_t i = 0; i < WIRE_NAMES_MAX; i++, len += 3)
		memcpy(text + len, ",\"\"", 3);
	memcpy(text + len, "]}", 2);
	arena_init(&arena, 256);
	assert_int_equal(wire_read_args((struct slice){text, len + 2}, &arena, &args, &err), ERR_INPUT);
	assert_string_equal(err.text, "too many names in NodeNames");
	arena_free(&arena);
	free(text);
}

/* --- bind --- */

static void bind_is_read(void **state)
{
	struct arena arena;
	struct wire_bind bind;
	struct err err;

	(void)state;
	arena_init(&arena, 256);
	assert_int_equal(
	    wire_read_bind(slice_of("{\"PodName\":\"x\",\"PodName\":\"p\",\"PodNamespace\":\"d\",\"PodUID\":\"u\","
	                            "\"Node\":\"\\u006e1\",\"more\":{}}"),
	        &arena, &bind, &err),
	    0);
	assert_slice(bind.pod_name, "p");
	assert_slice(bind.pod_namespace, "d");
	assert_slice(bind.pod_uid, "u");
	assert_slice(bind.node, "n1");
	arena_free(&arena);
}

static void bad_bind_is_said(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
	    {"[]", "the body is not a JSON object"},
	    {"{}", "PodName is missing"},
	    {"{\"PodName\":\"p\",\"PodNamespace\":\"d\",\"PodUID\":\"u\"}", "Node is missing"},
	    {"{\"PodName\":\"p\",\"PodNamespace\":\"d\",\"PodUID\":\"u\",\"Node\":null}", "Node is missing"},
	    {"{\"PodName\":\"p\",\"PodNamespace\":\"d\",\"PodUID\":\"\",\"Node\":\"n\"}", "PodUID is empty"},
	    {"{\"PodName\":1,\"PodNamespace\":\"d\",\"PodUID\":\"u\",\"Node\":\"n\"}", "PodName is not a string"},
	    {"{\"PodName\":\"p\",\"PodNamespace\":{},\"PodUID\":\"u\",\"Node\":\"n\"}", "PodNamespace is not a string"},
	    {"{\"PodName\":\"p\",\"PodNamespace\":\"d\",\"PodUID\":\"u\",\"Node\":\"n\\u0000\"}", "Node has a NUL"},
	    {"{\"PodName\":\"p\",\"PodName\":null,\"PodNamespace\":\"d\",\"PodUID\":\"u\",\"Node\":\"n\"}",
	        "PodName is missing"},
	    {"{\"PodName\":\"p\"", "bad JSON at byte 14: unexpected end"},
	};
	struct arena arena;
	struct wire_bind bind;
	struct err err;

	(void)state;
	arena_init(&arena, 256);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (wire_read_bind(slice_of(cases[i].text), &arena, &bind, &err) != ERR_INPUT)
			fail_msg("%s was taken", cases[i].text);
		assert_string_equal(err.text, cases[i].error);
	}
	arena_free(&arena);
}

/* --- preempt --- */

static void victims_are_read(void **state)
{
	static const char *const texts[] = {
	    "{\"Pod\":" POD ",\"NodeNameToVictims\":null,\"NodeNameToMetaVictims\":{\"a\":{\"Pods\":[{\"UID\":\"1\"},"
	    "{\"UID\":\"\\u0032\"}],\"NumPDBViolations\":3},\"\\u0062\":{\"Pods\":null},\"c\":null}}",
	    "{\"Pod\":" POD
	    ",\"NodeNameToVictims\":{\"a\":{\"Pods\":[{\"metadata\":{\"uid\":\"1\"},\"spec\":{\"uid\":\"x\"}},"
	    "{\"metadata\":{\"name\":\"n\",\"uid\":\"2\"}}],\"NumPDBViolations\":3},\"b\":{},\"c\":{\"Pods\":[]}}}",
	    /* a node named twice, and both maps given */
	    "{\"Pod\":" POD
	    ",\"NodeNameToVictims\":{\"x\":{}},\"NodeNameToMetaVictims\":{\"a\":{\"Pods\":[{\"UID\":\"x\"}]},"
	    "\"b\":{},\"a\":{\"Pods\":[{\"UID\":\"1\"},{\"UID\":\"2\"}],\"NumPDBViolations\":3},\"c\":{}}}",
	};
	struct arena arena;
	struct wire_preempt preempt;
	struct err err;

	(void)state;
	arena_init(&arena, 256);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (wire_read_preempt(slice_of(texts[i]), &arena, &preempt, &err))
			fail_msg("%s: %s", texts[i], err.text);
		assert_slice(preempt.pod, POD);
		assert_int_equal(preempt.count, 3);
		assert_slice(preempt.nodes[0].node, "a");
		assert_int_equal(preempt.nodes[0].uid_count, 2);
		assert_slice(preempt.nodes[0].uids[0], "1");
		assert_slice(preempt.nodes[0].uids[1], "2");
		assert_int_equal(preempt.nodes[0].pdb_violations, 3);
		assert_slice(preempt.nodes[1].node, "b");
		assert_int_equal(preempt.nodes[1].uid_count, 0);
		assert_slice(preempt.nodes[2].node, "c");
	}
	arena_free(&arena);
}

static void bad_victims_are_said(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
	    {"{\"NodeNameToMetaVictims\":{}}", "Pod is missing"},
	    {"{\"Pod\":{}}", "NodeNameToMetaVictims and NodeNameToVictims are both missing"},
	    {"{\"Pod\":{},\"NodeNameToMetaVictims\":[]}", "the victims by node are not an object"},
	    {"{\"Pod\":{},\"NodeNameToMetaVictims\":{\"a\":[]}}", "the victims of a node are not an object"},
	    {"{\"Pod\":{},\"NodeNameToMetaVictims\":{\"a\":{\"Pods\":{}}}}",
	        "Pods of a node's victims is not an array"},
	    {"{\"Pod\":{},\"NodeNameToMetaVictims\":{\"a\":{\"Pods\":[{}]}}}", "a victim has no UID"},
	    {"{\"Pod\":{},\"NodeNameToMetaVictims\":{\"a\":{\"Pods\":[null]}}}", "a victim has no UID"},
	    {"{\"Pod\":{},\"NodeNameToMetaVictims\":{\"a\":{\"Pods\":[{\"UID\":\"\\u0000\"}]}}}",
	        "a victim has no UID"},
	    {"{\"Pod\":{},\"NodeNameToVictims\":{\"a\":{\"Pods\":[{\"UID\":\"u\"}]}}}", "a victim has no UID"},
	    {"{\"Pod\":{},\"NodeNameToMetaVictims\":{\"a\\u0000\":{}}}", "a node's name has a NUL"},
	    {"{\"Pod\":{},\"NodeNameToMetaVictims\":{\"a\":{\"NumPDBViolations\":\"1\"}}}",
	        "NumPDBViolations is not an integer"},
	};
	struct arena arena;
	struct wire_preempt preempt;
	struct err err;

	(void)state;
	arena_init(&arena, 256);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (wire_read_preempt(slice_of(cases[i].text), &arena, &preempt, &err) != ERR_INPUT)
			fail_msg("%s was taken", cases[i].text);
		assert_string_equal(err.text, cases[i].error);
	}
	arena_free(&arena);
}

/* --- replies --- */

static void assert_reply(struct buf *out, const char *want)
{
	assert_false(out->overflow);
	assert_string_equal(out->data, want);
	assert_int_equal(out->len, strlen(want));
	buf_clear(out);
}

static void replies_are_written(void **state)
{
	struct slice names[] = {slice_of("a"), slice_of("q\"\n\xff")};
	struct slice nodes[] = {slice_of("{\"metadata\":{\"name\":\"a\"}}"), slice_of("{}")};
	struct wire_refusal refusals[] = {
	    {slice_of("x"), "no room"}, {slice_of("y"), "no room"}, {slice_of("\\"), "tainted"}};
	struct wire_score scores[] = {{slice_of("a"), 10}, {slice_of("\""), 0}};
	struct slice uids[] = {slice_of("1"), slice_of("\"")};
	const struct wire_victims victims[] = {{slice_of("a"), 2, uids, 3}, {slice_of("b"), 0, NULL, 0}};
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	wire_write_names(&out, names, 1, NULL, 0);
	assert_reply(&out, "{\"Nodes\":null,\"NodeNames\":[\"a\"],\"FailedNodes\":null,\"FailedAndUnresolvableNodes\":"
	                   "null,\"Error\":\"\"}");
	wire_write_names(&out, names, 2, refusals, 1);
	assert_reply(&out, "{\"Nodes\":null,\"NodeNames\":[\"a\",\"q\\\"\\n\xef\xbf\xbd\"],\"FailedNodes\":null,"
	                   "\"FailedAndUnresolvableNodes\":{\"x\":\"no room\"},\"Error\":\"\"}");
	wire_write_names(&out, NULL, 0, refusals, 3);
	assert_reply(&out, "{\"Nodes\":null,\"NodeNames\":[],\"FailedNodes\":null,\"FailedAndUnresolvableNodes\":"
	                   "{\"x\":\"no room\",\"y\":\"no room\",\"\\\\\":\"tainted\"},\"Error\":\"\"}");
	wire_write_nodes(&out, nodes, 2, NULL, 0);
	assert_reply(&out,
	    "{\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"a\"}},{}]},\"NodeNames\":null,\"FailedNodes\":null,"
	    "\"FailedAndUnresolvableNodes\":null,\"Error\":\"\"}");
	wire_write_nodes(&out, NULL, 0, refusals, 1);
	assert_reply(&out, "{\"Nodes\":{\"items\":[]},\"NodeNames\":null,\"FailedNodes\":null,"
	                   "\"FailedAndUnresolvableNodes\":{\"x\":\"no room\"},\"Error\":\"\"}");
	wire_write_scores(&out, scores, 2);
	assert_reply(&out, "[{\"Host\":\"a\",\"Score\":10},{\"Host\":\"\\\"\",\"Score\":0}]");
	wire_write_scores(&out, NULL, 0);
	assert_reply(&out, "[]");
	wire_write_bind(&out, NULL);
	assert_reply(&out, "{\"Error\":\"\"}");
	wire_write_bind(&out, "it \"broke\"");
	assert_reply(&out, "{\"Error\":\"it \\\"broke\\\"\"}");
	wire_write_victims(&out, NULL, 0);
	assert_reply(&out, "{\"NodeNameToMetaVictims\":{}}");
	wire_write_victims(&out, victims, 2);
	assert_reply(&out, "{\"NodeNameToMetaVictims\":{\"a\":{\"Pods\":[{\"UID\":\"1\"},{\"UID\":\"\\\"\"}],"
	                   "\"NumPDBViolations\":3},\"b\":{\"Pods\":[],\"NumPDBViolations\":0}}}");
	buf_free(&out);
}

static void too_large_a_reply_overflows(void **state)
{
	struct wire_refusal refusals[] = {{slice_of("x"), "no room"}, {slice_of("y"), "no room"}};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	wire_write_names(&out, NULL, 0, refusals, 2);
	assert_true(out.overflow);
	buf_free(&out);
}

/* Names that need escapes come back as they were. */
static void names_survive_both_ways(void **state)
{
	struct slice names[] = {slice_of("plain"), slice_of("\"\\/\b\f\n\r\t\x01\x7f"), slice_of("é😀"), slice_of("")};
	struct arena arena;
	struct wire_args args;
	struct err err;
	struct buf out, body;

	(void)state;
	buf_init(&out, 4096);
	buf_init(&body, 8192);
	wire_write_names(&out, names, 4, NULL, 0);
	buf_text(&body, "{\"Pod\":{},");
	buf_add(&body, out.data + 1, out.len - 1);
	arena_init(&arena, 256);
	assert_int_equal(wire_read_args(buf_slice(&body), &arena, &args, &err), 0);
	assert_int_equal(args.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_true(slice_equal(args.items[i], names[i]));
	arena_free(&arena);
	buf_free(&out);
	buf_free(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_read),
	    cmocka_unit_test(bad_args_are_said),
	    cmocka_unit_test(cut_anywhere_is_refused),
	    cmocka_unit_test(names_cost_arena_chunks_only),
	    cmocka_unit_test(too_many_names_are_refused),
	    cmocka_unit_test(bind_is_read),
	    cmocka_unit_test(bad_bind_is_said),
	    cmocka_unit_test(victims_are_read),
	    cmocka_unit_test(bad_victims_are_said),
	    cmocka_unit_test(replies_are_written),
	    cmocka_unit_test(too_large_a_reply_overflows),
	    cmocka_unit_test(names_survive_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
