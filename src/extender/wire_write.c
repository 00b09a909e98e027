#include "extender/wire.h"

/* Everything but the names and texts of an answer of the filter verb. */
#define ENVELOPE 128
#define QUOTES_AND_COMMA 4

static void put_failed(struct buf *out, const struct wire_refusal *refusals, size_t count)
{
	if (count == 0) {
		buf_text(out, "null");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		buf_char(out, i == 0 ? '{' : ',');
		buf_json_string(out, refusals[i].node);
		buf_char(out, ':');
		buf_json_string(out, slice_of(refusals[i].text));
	}
	buf_char(out, '}');
}

/* What is behind the nodes that are left. A refused node is never in FailedNodes: preemption would be tried there. */
static void put_tail(struct buf *out, const struct wire_refusal *refusals, size_t count)
{
	buf_text(out, ",\"FailedNodes\":null,\"FailedAndUnresolvableNodes\":");
	put_failed(out, refusals, count);
	buf_text(out, ",\"Error\":\"\"}");
}

/* Room at once, so that a large answer is not copied while it grows. */
static void reserve(
    struct buf *out, const struct slice *items, size_t count, const struct wire_refusal *refusals, size_t refusal_count)
{
	size_t len = ENVELOPE;

	for (size_t i = 0; i < count; i++)
		len += items[i].len + QUOTES_AND_COMMA;
	for (size_t i = 0; i < refusal_count; i++)
		len += refusals[i].node.len + strlen(refusals[i].text) + 2 * QUOTES_AND_COMMA;
	buf_reserve(out, len);
}

void wire_write_names(
    struct buf *out, const struct slice *names, size_t count, const struct wire_refusal *refusals, size_t refusal_count)
{
	reserve(out, names, count, refusals, refusal_count);
	buf_text(out, "{\"Nodes\":null,\"NodeNames\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_json_string(out, names[i]);
	}
	buf_char(out, ']');
	put_tail(out, refusals, refusal_count);
}

void wire_write_nodes(
    struct buf *out, const struct slice *nodes, size_t count, const struct wire_refusal *refusals, size_t refusal_count)
{
	reserve(out, nodes, count, refusals, refusal_count);
	buf_text(out, "{\"Nodes\":{\"items\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_add(out, nodes[i].at, nodes[i].len);
	}
	buf_text(out, "]},\"NodeNames\":null");
	put_tail(out, refusals, refusal_count);
}

void wire_write_scores(struct buf *out, const struct wire_score *scores, size_t count)
{
	buf_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i == 0 ? "{\"Host\":" : ",{\"Host\":");
		buf_json_string(out, scores[i].host);
		buf_text(out, ",\"Score\":");
		buf_json_int(out, scores[i].score);
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

void wire_write_bind(struct buf *out, const char *error)
{
	buf_text(out, "{\"Error\":");
	buf_json_string(out, slice_of(error ? error : ""));
	buf_char(out, '}');
}

static void put_victims(struct buf *out, const struct wire_victims *victims)
{
	buf_json_string(out, victims->node);
	buf_text(out, ":{\"Pods\":[");
	for (size_t i = 0; i < victims->uid_count; i++) {
		buf_text(out, i == 0 ? "{\"UID\":" : ",{\"UID\":");
		buf_json_string(out, victims->uids[i]);
		buf_char(out, '}');
	}
	buf_text(out, "],\"NumPDBViolations\":");
	buf_json_int(out, victims->pdb_violations);
	buf_char(out, '}');
}

void wire_write_victims(struct buf *out, const struct wire_victims *nodes, size_t count)
{
	buf_text(out, "{\"NodeNameToMetaVictims\":{");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_char(out, ',');
		put_victims(out, &nodes[i]);
	}
	buf_text(out, "}}");
}
