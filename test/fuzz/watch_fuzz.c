/* Any bytes as a watch stream, a list page, a Status and a pod. The stream is fed once whole and once in pieces whose
 * lengths come from the bytes themselves: both must give the same lines and the same events. */
#include <stdint.h>
#include <stdlib.h>

#include "kube/stream.h"

#define LINE_MAX_BYTES 4096

struct seen {
	uint64_t lines, events, hash;
};

static bool take_line(void *ctx, struct slice line)
{
	struct seen *seen = ctx;
	struct watch_event event;

	seen->lines++;
	for (size_t i = 0; i < line.len; i++)
		seen->hash = (seen->hash ^ (unsigned char)line.at[i]) * UINT64_C(0x100000001b3);
	if (watch_event_decode(line, &event))
		return true;
	seen->events++;
	if (event.object.at < line.at || event.object.at + event.object.len > line.at + line.len)
		abort();
	if (event.type != WATCH_ERROR && event.resource_version.len == 0)
		abort();
	return true;
}

static void read_stream(const char *bytes, size_t size, bool in_pieces, struct seen *seen)
{
	struct line_reader reader;
	size_t at = 0;

	line_reader_init(&reader, LINE_MAX_BYTES);
	while (at < size) {
		size_t len = in_pieces ? 1u + (unsigned char)bytes[at] % 17u : size;
		if (len > size - at)
			len = size - at;
		if (!line_reader_feed(&reader, bytes + at, len, take_line, seen))
			break;
		at += len;
	}
	line_reader_free(&reader);
}

static void read_page(struct slice text)
{
	struct list_page page;
	struct slice item;
	struct reader json;

	if (list_page_decode(text, &page))
		return;
	list_items_open(&json, &page);
	while (list_item_next(&json, &item))
		if (item.len < 2 || item.at[0] != '{' || item.at[item.len - 1] != '}')
			abort();
	/* A page that was taken holds no item that cannot be read. */
	if (!reader_close(&json))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct seen whole = {0}, pieces = {0};
	struct status_text status;
	struct pod_binding pod;

	read_stream(text.at, size, false, &whole);
	read_stream(text.at, size, true, &pieces);
	if (whole.lines != pieces.lines || whole.events != pieces.events || whole.hash != pieces.hash)
		abort();
	read_page(text);
	status_decode(text, &status);
	pod_binding_decode(text, &pod);
	return 0;
}
