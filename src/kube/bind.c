/* One Binding, from its POST to the certainty of how it ended. What a lost answer left open is read from the pod before
 * anything is sent again: either the pod is bound now, or the POST did nothing and may be repeated. */
#include "kube/kube_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/reader.h"
#include "kube/stream.h"

#define BIND_BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define BIND_BACKOFF_MAX_NS (2 * NS_PER_S)
#define BIND_ERROR_MAX 512
#define POD_PATH_MAX 1024

struct kube_bind {
	struct kube *kube;
	char *node, *uid, *post_path, *get_path;
	struct buf body;
	int64_t deadline_ns;
	unsigned attempts;
	bool refused; /* the server said 404 or 409 to the last POST */
	char error[BIND_ERROR_MAX];
	kube_bind_done *done;
	void *ctx;
	TAILQ_ENTRY(kube_bind) link;
};

void kube__bind_free(struct kube_bind *bind)
{
	TAILQ_REMOVE(&bind->kube->binds, bind, link);
	free(bind->node);
	free(bind->uid);
	free(bind->post_path);
	free(bind->get_path);
	buf_free(&bind->body);
	free(bind);
}

static void end(struct kube_bind *bind, enum kube_bind_result result)
{
	kube_bind_done *done = bind->done;
	void *ctx = bind->ctx;
	char error[BIND_ERROR_MAX];

	snprintf(error, sizeof(error), "%s", bind->error);
	kube__bind_free(bind);
	done(ctx, result, result == KUBE_BOUND ? NULL : error);
}

static void keep_error(struct kube_bind *bind, const char *error)
{
	snprintf(bind->error, sizeof(bind->error), "%s", error ? error : "");
}

static void posted(void *ctx, const struct kube_answer *answer);
static void pod_read(void *ctx, const struct kube_answer *answer);

static int64_t next_delay(struct kube_bind *bind, int64_t retry_after_ns)
{
	int64_t wait_ns =
	    backoff_ns(&bind->kube->jitter, bind->attempts - 1, BIND_BACKOFF_FIRST_NS, BIND_BACKOFF_MAX_NS);

	return retry_after_ns > 0 ? wait_ns + retry_after_ns : wait_ns;
}

static void post(struct kube_bind *bind, int64_t delay_ns)
{
	if (clock_now() + delay_ns >= bind->deadline_ns) {
		end(bind, KUBE_BIND_FAILED);
		return;
	}
	bind->attempts++;
	kube__request(bind->kube, &(struct kube_request_spec){
	                              .call = {.method = "POST",
	                                  .path = bind->post_path,
	                                  .body = buf_slice(&bind->body),
	                                  .done = posted,
	                                  .ctx = bind},
	                              .once = true,
	                              .delay_ns = delay_ns,
	                              .deadline_ns = bind->deadline_ns,
	                          });
}

static void read_pod(struct kube_bind *bind, int64_t delay_ns)
{
	if (clock_now() + delay_ns >= bind->deadline_ns) {
		end(bind, KUBE_BIND_FAILED);
		return;
	}
	kube__request(bind->kube,
	    &(struct kube_request_spec){
	        .call = {.method = "GET", .path = bind->get_path, .repeatable = true, .done = pod_read, .ctx = bind},
	        .delay_ns = delay_ns,
	        .deadline_ns = bind->deadline_ns,
	    });
}

static void posted(void *ctx, const struct kube_answer *answer)
{
	struct kube_bind *bind = ctx;

	if (answer->code == 0 && answer->status / 100 == 2) {
		end(bind, KUBE_BOUND);
		return;
	}
	keep_error(bind, answer->error);
	bind->refused = answer->code == 0 && (answer->status == 404 || answer->status == 409);
	if (answer->code == ERR_REFUSED || (answer->code == ERR_TOO_LARGE && !answer->sent))
		end(bind, KUBE_BIND_FAILED);
	else if (bind->refused)
		read_pod(bind, 0);
	else if (answer->code && !answer->sent)
		post(bind, next_delay(bind, 0));
	else if (answer->code || answer->status == 429 || answer->status >= 500)
		read_pod(bind, next_delay(bind, answer->retry_after_ns));
	else
		end(bind, KUBE_BIND_REFUSED);
}

static void pod_read(void *ctx, const struct kube_answer *answer)
{
	struct kube_bind *bind = ctx;
	struct pod_binding pod;

	if (answer->code == 0 && answer->status == 404) {
		keep_error(bind, "the pod does not exist any more");
		end(bind, KUBE_POD_GONE);
		return;
	}
	if (answer->code || answer->status != 200 || !pod_binding_decode(answer->body, &pod)) {
		/* What the POST did is not known, so nothing more may be sent. */
		if (answer->error)
			keep_error(bind, answer->error);
		end(bind, KUBE_BIND_FAILED);
		return;
	}
	if (bind->uid && !slice_is(pod.uid, bind->uid)) {
		keep_error(bind, "another pod has this name now");
		end(bind, KUBE_POD_GONE);
	} else if (slice_is(pod.node, bind->node)) {
		end(bind, KUBE_BOUND);
	} else if (pod.node.len > 0) {
		snprintf(bind->error, sizeof(bind->error), "the pod is bound to %.*s", (int)pod.node.len, pod.node.at);
		end(bind, KUBE_BOUND_ELSEWHERE);
	} else if (bind->refused) {
		end(bind, KUBE_BIND_REFUSED);
	} else {
		post(bind, 0);
	}
}

/* --- start --- */

static bool is_object(struct slice text)
{
	struct reader json;

	reader_open(&json, text);
	if (reader_peek(&json) != READER_OBJECT)
		return false;
	reader_skip(&json);
	return reader_close(&json);
}

static void write_body(struct kube_bind *bind, struct kube_pod_ref pod, struct slice annotations)
{
	struct buf *body = &bind->body;

	buf_init(body, KUBE_REQUEST_MAX);
	buf_text(body, "{\"apiVersion\":\"v1\",\"kind\":\"Binding\",\"metadata\":{\"name\":");
	buf_json_string(body, slice_of(pod.name));
	buf_text(body, ",\"namespace\":");
	buf_json_string(body, slice_of(pod.namespace_));
	if (pod.uid) {
		buf_text(body, ",\"uid\":");
		buf_json_string(body, slice_of(pod.uid));
	}
	if (annotations.len > 0) {
		buf_text(body, ",\"annotations\":");
		buf_add(body, annotations.at, annotations.len);
	}
	buf_text(body, "},\"target\":{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":");
	buf_json_string(body, slice_of(bind->node));
	buf_text(body, "}}");
}

static void refused_at_once(void *ctx, const struct kube_answer *answer)
{
	struct kube_bind *bind = ctx;

	keep_error(bind, answer->error);
	end(bind, KUBE_BIND_REFUSED);
}

void kube_bind(struct kube *kube, struct kube_pod_ref pod, const char *node, struct slice annotations,
    unsigned deadline_ms, kube_bind_done *done, void *ctx)
{
	struct kube_bind *bind = xcalloc(1, sizeof(*bind));
	char path[POD_PATH_MAX];

	bind->kube = kube;
	bind->done = done;
	bind->ctx = ctx;
	bind->node = xstrdup(node);
	bind->deadline_ns = clock_now() + (deadline_ms ? deadline_ms : KUBE_DEADLINE_MS) * NS_PER_MS;
	keep_error(bind, "its time passed");
	TAILQ_INSERT_TAIL(&kube->binds, bind, link);
	if (!kube__is_name(pod.namespace_) || !kube__is_name(pod.name) || !kube__is_name(node)) {
		kube__refuse(kube, ERR_INPUT, "a name is malformed", refused_at_once, bind);
		return;
	}
	if (annotations.len > 0 && !is_object(annotations)) {
		kube__refuse(kube, ERR_INPUT, "the annotations are no JSON object", refused_at_once, bind);
		return;
	}
	bind->uid = pod.uid ? xstrdup(pod.uid) : NULL;
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s", pod.namespace_, pod.name);
	bind->get_path = xstrdup(path);
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s/binding", pod.namespace_, pod.name);
	bind->post_path = xstrdup(path);
	write_body(bind, pod, annotations);
	if (bind->body.overflow) {
		kube__refuse(kube, ERR_TOO_LARGE, "the annotations are too large", refused_at_once, bind);
		return;
	}
	post(bind, 0);
}
