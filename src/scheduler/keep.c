#include "scheduler/keep.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/reader.h"

#define PATH_BYTES_MAX 512
#define READ_DEADLINE_MS 5000
#define BODY_MAX (KEEP_TEXT_MAX + 4096)

struct due_key {
	char *key, *text; /* text NULL: the key is to go */
	bool sent;        /* the write under way says so */
	bool failed;      /* one before has, in vain */
};

void keep_open(struct keep *keep, struct kube *kube, const char *namespace_, const char *name)
{
	keep->kube = kube;
	keep->namespace_ = xstrdup(namespace_);
	keep->name = name;
}

static void due_free(struct due_key *due)
{
	free(due->key);
	free(due->text);
	free(due);
}

static void set_trouble(struct keep *keep, const struct kube_answer *answer)
{
	char *before = keep->trouble;
	keep->trouble = answer ? xstrdup(answer->error ? answer->error : "no answer") : NULL;
	if (answer && (!before || strcmp(before, keep->trouble) != 0))
		log_warn("what is to outlive this process is not kept", "configmap=%s/%s error=%s", keep->namespace_,
		    keep->name, log_quote(keep->trouble));
	free(before);
}

static void call(struct keep *keep, const char *method, bool named, struct slice body, kube_done *done)
{
	char path[PATH_BYTES_MAX];
	snprintf(path, sizeof path, "/api/v1/namespaces/%s/configmaps%s%s", keep->namespace_, named ? "/" : "",
	    named ? keep->name : "");
	kube_call(keep->kube, &(struct kube_call_spec){.method = method,
	                          .path = path,
	                          .content_type = strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : NULL,
	                          .body = body,
	                          .repeatable = true,
	                          .deadline_ms = READ_DEADLINE_MS,
	                          .done = done,
	                          .ctx = keep});
}

/* --- reading --- */

static void show_data(struct keep *keep, struct reader *json)
{
	struct slice key, text;
	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (!reader_is_plain(key) || !reader_string(json, &text)) {
			reader_skip(json);
			continue;
		}
		char *plain = xcalloc(1, text.len + 1);
		keep->shown(keep->ctx, key, (struct slice){plain, reader_unescape(text, plain)});
		free(plain);
	}
}

static void was_read(void *ctx, const struct kube_answer *answer)
{
	struct keep *keep = ctx;
	struct reader json;
	bool there = answer->code == 0 && answer->status == 200, gone = answer->code == 0 && answer->status == 404;
	set_trouble(keep, there || gone ? NULL : answer);
	keep->read = there || gone;
	if (there) {
		reader_open(&json, answer->body);
		if (reader_object(&json))
			for (struct slice key; reader_key(&json, &key);) {
				if (slice_is(key, "data"))
					show_data(keep, &json);
				else
					reader_skip(&json);
			}
	}
	keep->done(keep->ctx);
}

void keep_read(struct keep *keep, keep_shown *shown, void (*done)(void *ctx), void *ctx)
{
	keep->shown = shown;
	keep->done = done;
	keep->ctx = ctx;
	call(keep, "GET", true, (struct slice){NULL, 0}, was_read);
}

/* --- writing --- */

/* The keys of the write that was answered; to be freed. */
static struct due_key **sent_keys(const struct keep *keep, size_t *count)
{
	struct due_key **sent = xcalloc(keep->due.count + 1, sizeof *sent);
	size_t cursor = 0;
	*count = 0;
	for (struct due_key *due; (due = map_next(&keep->due, &cursor));)
		if (due->sent)
			sent[(*count)++] = due;
	return sent;
}

static void settle(struct keep *keep, const struct kube_answer *answer)
{
	size_t count;
	struct due_key **sent = sent_keys(keep, &count);
	for (size_t i = 0; i < count; i++)
		map_remove(&keep->due, slice_of(sent[i]->key));
	for (size_t i = 0; i < count; i++) {
		if (keep->written)
			keep->written(keep->ctx, slice_of(sent[i]->key), answer);
		due_free(sent[i]);
	}
	free(sent);
}

static void write_due(struct keep *keep);

static bool has_untried(const struct keep *keep)
{
	size_t cursor = 0;
	for (const struct due_key *due; (due = map_next(&keep->due, &cursor));)
		if (!due->failed)
			return true;
	return false;
}

/* What was set meanwhile, or did not fit, is tried at once; what failed waits. */
static void fail(struct keep *keep, const struct kube_answer *answer)
{
	size_t count;
	struct due_key **sent = sent_keys(keep, &count);
	char **keys = xcalloc(count + 1, sizeof *keys);
	for (size_t i = 0; i < count; i++) {
		sent[i]->sent = false;
		sent[i]->failed = true;
		keys[i] = xstrdup(sent[i]->key);
	}
	free(sent);
	if (answer->code != ERR_REFUSED) /* another berth may be active, and keeps its own */
		set_trouble(keep, answer);
	for (size_t i = 0; i < count; i++) {
		if (keep->written)
			keep->written(keep->ctx, slice_of(keys[i]), answer);
		free(keys[i]);
	}
	free(keys);
	if (has_untried(keep))
		write_due(keep);
}

static void make(struct keep *keep);

static void was_written(void *ctx, const struct kube_answer *answer)
{
	struct keep *keep = ctx;
	bool done = answer->code == 0 && answer->status < 300, made = keep->making;
	bool missing = answer->code == 0 && answer->status == 404;
	keep->writing = keep->making = false;
	if (missing && !made) {
		make(keep);
		return;
	}
	if (made && (done || (answer->code == 0 && answer->status == 409))) {
		write_due(keep); /* into the one that is there now */
		return;
	}
	if (done) {
		set_trouble(keep, NULL);
		settle(keep, answer);
		write_due(keep);
		return;
	}
	fail(keep, answer);
}

/* Empty, so that a key that is to go needs no other way. */
static void make(struct keep *keep)
{
	struct buf body;
	buf_init(&body, BODY_MAX);
	buf_printf(&body,
	    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\",\"labels\":"
	    "{\"app.kubernetes.io/part-of\":\"berth\"}}}",
	    keep->name);
	keep->writing = keep->making = true;
	call(keep, "POST", false, buf_slice(&body), was_written);
	buf_free(&body);
}

/* Goes with the next write where it does not fit. */
static void add(struct due_key *due, size_t *len, struct buf *body)
{
	size_t more = strlen(due->key) + (due->text ? strlen(due->text) : 0) + 16;
	due->sent = *len + more < KEEP_TEXT_MAX / 2; /* quotes within the text are escaped */
	if (!due->sent)
		return;
	buf_text(body, *len ? "," : "");
	buf_json_string(body, slice_of(due->key));
	buf_char(body, ':');
	if (due->text)
		buf_json_string(body, slice_of(due->text));
	else
		buf_text(body, "null");
	*len += more;
}

/* What failed before comes last, so that it keeps nothing else from its turn. */
static void write_due(struct keep *keep)
{
	size_t len = 0;
	struct buf body;
	if (keep->writing || keep->due.count == 0 || !keep->kube)
		return;
	buf_init(&body, BODY_MAX);
	buf_text(&body, "{\"data\":{");
	for (int failed = 0; failed < 2; failed++) {
		size_t cursor = 0;
		for (struct due_key *due; (due = map_next(&keep->due, &cursor));)
			if (due->failed == (failed == 1))
				add(due, &len, &body);
	}
	buf_text(&body, "}}");
	keep->writing = true;
	call(keep, "PATCH", true, buf_slice(&body), was_written);
	buf_free(&body);
}

void keep_set(struct keep *keep, const char *key, const char *text)
{
	struct due_key *due = map_get(&keep->due, slice_of(key));
	if (!due) {
		due = xcalloc(1, sizeof *due);
		due->key = xstrdup(key);
		map_put(&keep->due, slice_of(due->key), due);
	}
	free(due->text);
	due->text = text ? xstrdup(text) : NULL;
	due->sent = due->failed = false;
	write_due(keep);
}

void keep_again(struct keep *keep)
{
	if (keep->kube && !keep->read && keep->shown)
		keep_read(keep, keep->shown, keep->done, keep->ctx);
	write_due(keep);
}

void keep_close(struct keep *keep)
{
	size_t cursor = 0;
	for (struct due_key *due; (due = map_next(&keep->due, &cursor));)
		due_free(due);
	map_free(&keep->due);
	free(keep->namespace_);
	free(keep->trouble);
	*keep = (struct keep){.kube = NULL};
}
