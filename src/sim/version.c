#include "sim/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/reader.h"

/* What sim_version_make finds in the text, raw. */
struct found {
	struct slice metadata, namespace_, name, uid, node, phase, scheduler;
	bool deleting, has_rv;
};

static void scan_metadata(struct slice text, struct found *found)
{
	struct reader json;

	reader_open(&json, text);
	if (!reader_object(&json))
		return;
	for (struct slice key; reader_key(&json, &key);) {
		struct slice ignored;

		if (slice_is(key, "name"))
			reader_string(&json, &found->name);
		else if (slice_is(key, "namespace"))
			reader_string(&json, &found->namespace_);
		else if (slice_is(key, "uid"))
			reader_string(&json, &found->uid);
		else if (slice_is(key, "deletionTimestamp"))
			found->deleting = reader_string(&json, &ignored);
		else {
			found->has_rv |= slice_is(key, "resourceVersion");
			reader_skip(&json);
		}
	}
}

/* One member of the object ahead that is a string, two at most. */
static void scan_strings(struct reader *json, const char *first, struct slice *a, const char *second, struct slice *b)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, first))
			reader_string(json, a);
		else if (second && slice_is(key, second))
			reader_string(json, b);
		else
			reader_skip(json);
	}
}

static int scan(struct slice text, struct found *found, struct err *err)
{
	struct reader json;

	*found = (struct found){0};
	reader_open(&json, text);
	if (!reader_object(&json))
		return err_set(err, ERR_INPUT, "not a JSON object");
	for (struct slice key; reader_key(&json, &key);) {
		if (slice_is(key, "metadata"))
			reader_value(&json, &found->metadata);
		else if (slice_is(key, "spec"))
			scan_strings(&json, "nodeName", &found->node, "schedulerName", &found->scheduler);
		else if (slice_is(key, "status"))
			scan_strings(&json, "phase", &found->phase, NULL, NULL);
		else
			reader_skip(&json);
	}
	if (!reader_close(&json))
		return err_set(err, ERR_INPUT, "%s at byte %zu", json.error, (size_t)(json.at - json.start));
	if (found->metadata.len == 0 || found->metadata.at[0] != '{')
		return err_set(err, ERR_INPUT, "no metadata");
	scan_metadata(found->metadata, found);
	if (found->name.len == 0)
		return err_set(err, ERR_INPUT, "no metadata.name");
	if (found->has_rv)
		return err_set(err, ERR_INPUT, "metadata.resourceVersion must not be set");
	return 0;
}

static const char *put_string(char **at, struct slice raw)
{
	char *start = *at;

	*at += raw.len ? reader_unescape(raw, start) : 0;
	*(*at)++ = '\0';
	return start;
}

struct sim_version *sim_version_make(struct slice json, uint64_t rv, struct err *err)
{
	struct found f;
	char member[48];

	if (json.len > SIM_OBJECT_MAX) {
		err_set(err, ERR_TOO_LARGE, "object larger than %u bytes", SIM_OBJECT_MAX);
		return NULL;
	}
	if (scan(json, &f, err) != 0)
		return NULL;

	size_t member_len = (size_t)snprintf(member, sizeof member, "\"resourceVersion\":\"%" PRIu64 "\",", rv);
	size_t head = (size_t)(f.metadata.at - json.at) + 1;
	size_t strings =
	    2 * (f.namespace_.len + f.name.len) + f.uid.len + f.node.len + f.phase.len + f.scheduler.len + 9;
	struct sim_version *version = xmalloc(sizeof *version + json.len + member_len + 1 + strings);
	char *text = (char *)(version + 1), *at = text;

	memcpy(at, json.at, head);
	memcpy(at + head, member, member_len);
	memcpy(at + head + member_len, json.at + head, json.len - head);
	at += json.len + member_len;
	*at++ = '\0';
	*version = (struct sim_version){.refs = 1, .deleting = f.deleting, .rv = rv};
	version->json = (struct slice){text, json.len + member_len};
	version->metadata = (struct slice){text + head - 1, f.metadata.len + member_len};
	version->key = at;
	if (f.namespace_.len) {
		put_string(&at, f.namespace_);
		at[-1] = '/';
	}
	put_string(&at, f.name);
	version->namespace_ = put_string(&at, f.namespace_);
	version->name = put_string(&at, f.name);
	version->uid = put_string(&at, f.uid);
	version->node = put_string(&at, f.node);
	version->phase = put_string(&at, f.phase);
	version->scheduler = put_string(&at, f.scheduler);
	return version;
}

struct sim_version *sim_version_ref(struct sim_version *version)
{
	version->refs++;
	return version;
}

void sim_version_unref(struct sim_version *version)
{
	if (version && --version->refs == 0)
		free(version);
}

struct sim_version *sim_version_at(const struct sim_version *version, uint64_t rv)
{
	struct err err;
	size_t head = (size_t)(version->metadata.at - version->json.at) + 1;
	const char *old = version->json.at + head; /* "resourceVersion":"N", */
	const char *rest = memchr(old, ',', version->json.len - head);
	size_t tail = version->json.len - (size_t)(rest + 1 - version->json.at);
	char *text = xmalloc(head + tail);

	memcpy(text, version->json.at, head);
	memcpy(text + head, rest + 1, tail);
	struct sim_version *made = sim_version_make((struct slice){text, head + tail}, rv, &err);

	free(text);
	return made;
}
