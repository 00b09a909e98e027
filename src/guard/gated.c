#include "guard/gated.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/reader.h"
#include "policy/gate.h"

#define OTHERS_MAX 4096

struct reading {
	struct slice uid, namespace_, name, created, node;
	struct buf others;
	bool ours;
};

static void read_metadata(struct reader *json, struct reading *reading)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "uid"))
			reader_string(json, &reading->uid);
		else if (slice_is(key, "namespace"))
			reader_string(json, &reading->namespace_);
		else if (slice_is(key, "name"))
			reader_string(json, &reading->name);
		else if (slice_is(key, "creationTimestamp"))
			reader_string(json, &reading->created);
		else
			reader_skip(json);
	}
}

static void read_gates(struct reader *json, struct reading *reading)
{
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		struct slice name = {NULL, 0};
		if (reader_object(json))
			for (struct slice key; reader_key(json, &key);) {
				if (slice_is(key, "name"))
					reader_string(json, &name);
				else
					reader_skip(json);
			}
		if (slice_is(name, GATE_NAME)) {
			reading->ours = true;
		} else if (name.len > 0) {
			buf_text(&reading->others, reading->others.len > 0 ? ", " : "");
			buf_add(&reading->others, name.at, name.len);
		}
	}
}

static void read_spec(struct reader *json, struct reading *reading)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "schedulingGates"))
			read_gates(json, reading);
		else if (slice_is(key, "nodeName"))
			reader_string(json, &reading->node);
		else
			reader_skip(json);
	}
}

static bool read_pod(struct slice object, struct reading *reading)
{
	struct reader json;
	reader_open(&json, object);
	if (reader_object(&json))
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "metadata"))
				read_metadata(&json, reading);
			else if (slice_is(key, "spec"))
				read_spec(&json, reading);
			else
				reader_skip(&json);
		}
	return reader_close(&json) && reading->ours && reading->node.len == 0 && reading->uid.len > 0 &&
	       reading->namespace_.len > 0 && reading->name.len > 0;
}

struct gated *gated_read(struct slice object, struct slice *uid)
{
	struct reading reading = {.ours = false};
	struct gated *gated = NULL;
	buf_init(&reading.others, OTHERS_MAX);
	if (read_pod(object, &reading)) {
		gated = xcalloc(1, sizeof *gated);
		gated->uid = xstrndup(reading.uid.at, reading.uid.len);
		gated->namespace_ = xstrndup(reading.namespace_.at, reading.namespace_.len);
		gated->name = xstrndup(reading.name.at, reading.name.len);
		if (reading.others.len > 0)
			gated->others = buf_take(&reading.others);
		if (!clock_parse(reading.created, &gated->created_wall_ns))
			gated->created_wall_ns = 0;
	}
	buf_free(&reading.others);
	if (uid)
		*uid = reading.uid;
	return gated;
}

void gated_free(struct gated *gated)
{
	free(gated->uid);
	free(gated->namespace_);
	free(gated->name);
	free(gated->others);
	free(gated);
}

int64_t gated_for(const struct gated *gated, int64_t now_ns, int64_t now_wall_ns)
{
	int64_t seen = now_ns - gated->seen_ns;
	int64_t created = gated->created_wall_ns > 0 ? now_wall_ns - gated->created_wall_ns : 0;
	return created > seen ? created : seen;
}
