/* The other writes: each is one unary call with a body made here. */
#include "kube/kube_internal.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define STRATEGIC_MERGE "application/strategic-merge-patch+json"
#define PATH_MAX_LEN 1024
#define EVENT_NOTE_MAX 1024 /* of events.k8s.io/v1 */
#define EVENT_NAME_MAX 200  /* of the object's name, so that a time behind it stays within a name */
#define INSTANCE_MAX 128

/* False, and `done` will be called, when a name cannot stand in a path. */
static bool pod_path(struct kube *kube, const struct kube_pod_ref *pod, const char *subresource,
    char path[PATH_MAX_LEN], kube_done *done, void *ctx)
{
	if (!kube__is_name(pod->namespace_) || !kube__is_name(pod->name)) {
		kube__refuse(kube, ERR_INPUT, "a name is malformed", done, ctx);
		return false;
	}
	snprintf(path, PATH_MAX_LEN, "/api/v1/namespaces/%s/pods/%s%s", pod->namespace_, pod->name, subresource);
	return true;
}

static void submit(struct kube *kube, struct kube_call_spec *spec, struct buf *body, kube_done *done, void *ctx)
{
	spec->body = buf_slice(body);
	spec->done = done;
	spec->ctx = ctx;
	if (body->overflow)
		kube__refuse(kube, ERR_TOO_LARGE, "the request is too large", done, ctx);
	else
		kube_call(kube, spec);
	buf_free(body);
}

/* The API server need not write out the whole pod for an answer of which nobody reads more than the status. */
static void patch(struct kube *kube, const char *path, struct buf *body, kube_done *done, void *ctx)
{
	submit(kube,
	    &(struct kube_call_spec){
	        .method = "PATCH", .path = path, .content_type = STRATEGIC_MERGE, .repeatable = true, .brief = true},
	    body, done, ctx);
}

static void post(struct kube *kube, const char *path, bool repeatable, struct buf *body, kube_done *done, void *ctx)
{
	submit(
	    kube, &(struct kube_call_spec){.method = "POST", .path = path, .repeatable = repeatable}, body, done, ctx);
}

/* A member "name":"value", left out when there is no value. */
static void text_member(struct buf *body, const char *before, const char *value)
{
	if (!value)
		return;
	buf_text(body, before);
	buf_json_string(body, slice_of(value));
}

void kube_patch_status(struct kube *kube, struct kube_pod_ref pod, const char *members, kube_done *done, void *ctx)
{
	char path[PATH_MAX_LEN];
	struct buf body;

	if (!pod_path(kube, &pod, "/status", path, done, ctx))
		return;
	buf_init(&body, KUBE_REQUEST_MAX);
	buf_char(&body, '{');
	if (pod.uid) {
		text_member(&body, "\"metadata\":{\"uid\":", pod.uid);
		buf_text(&body, "},");
	}
	buf_text(&body, members);
	buf_char(&body, '}');
	patch(kube, path, &body, done, ctx);
}

void kube_annotate(struct kube *kube, struct kube_pod_ref pod, struct slice annotations, kube_done *done, void *ctx)
{
	char path[PATH_MAX_LEN];
	struct buf body;

	if (!pod_path(kube, &pod, "", path, done, ctx))
		return;
	buf_init(&body, KUBE_REQUEST_MAX);
	buf_text(&body, "{\"metadata\":{\"annotations\":");
	buf_add(&body, annotations.at, annotations.len);
	text_member(&body, ",\"uid\":", pod.uid);
	buf_text(&body, "}}");
	patch(kube, path, &body, done, ctx);
}

void kube_ungate(
    struct kube *kube, struct kube_pod_ref pod, const char *gate, struct slice annotations, kube_done *done, void *ctx)
{
	char path[PATH_MAX_LEN];
	struct buf body;

	if (!pod_path(kube, &pod, "", path, done, ctx))
		return;
	buf_init(&body, KUBE_REQUEST_MAX);
	text_member(&body, "{\"metadata\":{\"uid\":", pod.uid ? pod.uid : "");
	if (annotations.len > 0) {
		buf_text(&body, ",\"annotations\":");
		buf_add(&body, annotations.at, annotations.len);
	}
	text_member(&body, "},\"spec\":{\"schedulingGates\":[{\"$patch\":\"delete\",\"name\":", gate);
	buf_text(&body, "}]}}");
	patch(kube, path, &body, done, ctx);
}

void kube_evict(struct kube *kube, struct kube_pod_ref pod, bool dry, kube_done *done, void *ctx)
{
	char path[PATH_MAX_LEN];
	struct buf body;

	if (!pod_path(kube, &pod, dry ? "/eviction?dryRun=All" : "/eviction", path, done, ctx))
		return;
	buf_init(&body, KUBE_REQUEST_MAX);
	text_member(&body, "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":", pod.name);
	text_member(&body, ",\"namespace\":", pod.namespace_);
	buf_char(&body, '}');
	if (pod.uid || dry) {
		buf_text(&body, ",\"deleteOptions\":{");
		text_member(&body, "\"preconditions\":{\"uid\":", pod.uid);
		buf_text(&body, pod.uid ? "}" : "");
		buf_text(&body, pod.uid && dry ? "," : "");
		buf_text(&body, dry ? "\"dryRun\":[\"All\"]}" : "}");
	}
	buf_char(&body, '}');
	post(kube, path, !dry, &body, done, ctx);
}

/* The first bytes of a text, not ending inside a character. */
static struct slice cut(const char *text, size_t max)
{
	struct slice slice = slice_of(text ? text : "");

	if (slice.len <= max)
		return slice;
	slice.len = max;
	while (slice.len > 0 && ((unsigned char)slice.at[slice.len] & 0xc0) == 0x80)
		slice.len--;
	return slice;
}

static void event_body(
    struct buf *body, const struct kube_event *event, const char *namespace_, const char *event_name, int64_t wall_ns)
{
	char instance[INSTANCE_MAX] = "berth", when[CLOCK_TEXT_MAX];

	if (gethostname(instance, sizeof(instance) - 1) != 0 || !instance[0])
		snprintf(instance, sizeof(instance), "berth");
	instance[sizeof(instance) - 1] = '\0';
	clock_format_micro(wall_ns, when);
	text_member(
	    body, "{\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\",\"metadata\":{\"name\":", event_name);
	text_member(body, ",\"namespace\":", namespace_);
	text_member(body, "},\"eventTime\":", when);
	text_member(body, ",\"reportingController\":", "berth.dev/berth");
	text_member(body, ",\"reportingInstance\":", instance);
	text_member(body, ",\"action\":", event->action);
	text_member(body, ",\"reason\":", event->reason);
	text_member(body, ",\"type\":", event->type);
	buf_text(body, ",\"note\":");
	buf_json_string(body, cut(event->note, EVENT_NOTE_MAX));
	text_member(body, ",\"regarding\":{\"kind\":", event->kind);
	text_member(body, ",\"apiVersion\":", event->api_version);
	text_member(body, ",\"namespace\":", event->namespace_);
	text_member(body, ",\"name\":", event->name);
	text_member(body, ",\"uid\":", event->uid);
	buf_text(body, "}}");
}

void kube_emit(struct kube *kube, const struct kube_event *event, kube_done *done, void *ctx)
{
	/* Events about what has no namespace live in this one. */
	const char *namespace_ = event->namespace_ && *event->namespace_ ? event->namespace_ : "default";
	char path[PATH_MAX_LEN], name[KUBE_NAME_MAX + 1];
	int64_t wall_ns = clock_wall();
	struct buf body;

	if (!kube__is_name(namespace_) || !kube__is_name(event->name)) {
		kube__refuse(kube, ERR_INPUT, "a name is malformed", done, ctx);
		return;
	}
	snprintf(name, sizeof(name), "%.*s.%llx%04x", EVENT_NAME_MAX, event->name, (unsigned long long)wall_ns,
	    (unsigned)jitter_below(&kube->jitter, 0x10000));
	snprintf(path, sizeof(path), "/apis/events.k8s.io/v1/namespaces/%s/events", namespace_);
	buf_init(&body, KUBE_REQUEST_MAX);
	event_body(&body, event, namespace_, name, wall_ns);
	post(kube, path, true, &body, done, ctx);
}
