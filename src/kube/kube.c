#include "kube/kube_internal.h"

#include <stdlib.h>

#include "base/clock.h"
#include "kube/watch.h"

bool kube__is_name(const char *text)
{
	size_t len = text ? strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") : 0;

	return len > 0 && len <= KUBE_NAME_MAX && text[len] == '\0' && strcmp(text, ".") != 0 &&
	       strcmp(text, "..") != 0;
}

/* --- credentials and connections --- */

static int open_clients(struct kube *kube, struct http_client **unary, struct http_client **streams, struct err *err)
{
	struct http_client_options options = {
	    .connections_max = kube->options.writes_in_flight,
	    .tls =
	        {
	            .ca_pem = kube->config.ca_pem,
	            .cert_pem = credentials_cert(kube->credentials),
	            .key_pem = credentials_key(kube->credentials),
	            .server_name = kube->config.server_name,
	            .insecure = kube->config.insecure,
	        },
	};

	*unary = http_client_open(kube->loop, &options, err);
	if (!*unary)
		return err->code;
	options.connections_max = KUBE_WATCH_CONNECTIONS;
	*streams = http_client_open(kube->loop, &options, err);
	if (*streams)
		return 0;
	http_client_close(*unary);
	return err->code;
}

/* Connections made with an old certificate end when what runs on them has ended. */
static void follow_certificate(struct kube *kube)
{
	unsigned generation = credentials_cert_generation(kube->credentials);
	struct http_client *unary, *streams;
	struct err err;

	if (generation == kube->cert_generation || open_clients(kube, &unary, &streams, &err) != 0)
		return;
	http_client_retire(kube->unary);
	http_client_retire(kube->streams);
	kube->unary = unary;
	kube->streams = streams;
	kube->cert_generation = generation;
}

bool kube__ready(struct kube *kube)
{
	if (!credentials_ready(kube->credentials))
		return false;
	follow_certificate(kube);
	return true;
}

static void credentials_changed(void *ctx)
{
	struct kube *kube = ctx;

	if (!kube->closing)
		kube__pump(kube);
}

struct http_call *kube__stream(struct kube *kube, const char *path, struct http_call_spec *spec, unsigned *generation)
{
	if (!kube__ready(kube))
		return NULL;
	struct buf url;
	buf_init(&url, KUBE_URL_MAX);
	buf_text(&url, kube->config.server);
	buf_text(&url, path);
	spec->url = url.overflow ? "" : url.data;
	spec->bearer = credentials_token(kube->credentials);
	*generation = credentials_generation(kube->credentials);
	struct http_call *call = http_call(kube->streams, spec);
	buf_free(&url);
	return call;
}

/* --- opening and closing --- */

static char *copy_or_null(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static char **copy_texts(char **texts)
{
	size_t count = 0;

	while (texts && texts[count])
		count++;
	char **copy = xcalloc(count + 1, sizeof(*copy));
	for (size_t i = 0; i < count; i++)
		copy[i] = xstrdup(texts[i]);
	return copy;
}

static void copy_config(struct kube_config *to, const struct kube_config *from)
{
	*to = (struct kube_config){
	    .server = xstrdup(from->server),
	    .ca_pem = copy_or_null(from->ca_pem),
	    .cert_pem = copy_or_null(from->cert_pem),
	    .key_pem = copy_or_null(from->key_pem),
	    .server_name = copy_or_null(from->server_name),
	    .token = copy_or_null(from->token),
	    .token_file = copy_or_null(from->token_file),
	    .insecure = from->insecure,
	};
	if (!from->exec)
		return;
	to->exec = xcalloc(1, sizeof(*to->exec));
	*to->exec = (struct kube_exec){
	    .command = xstrdup(from->exec->command),
	    .args = copy_texts(from->exec->args),
	    .env = copy_texts(from->exec->env),
	    .api_version = xstrdup(from->exec->api_version),
	    .provide_cluster_info = from->exec->provide_cluster_info,
	};
}

struct kube *kube_open(
    uv_loop_t *loop, const struct kube_config *config, const struct kube_options *options, struct err *err)
{
	struct kube *kube = xcalloc(1, sizeof(*kube));

	kube->loop = loop;
	if (options)
		kube->options = *options;
	if (!kube->options.writes_in_flight)
		kube->options.writes_in_flight = KUBE_WRITES_IN_FLIGHT;
	if (!kube->options.writes_waiting)
		kube->options.writes_waiting = KUBE_WRITES_WAITING;
	if (!kube->options.timeout_ms)
		kube->options.timeout_ms = KUBE_TIMEOUT_MS;
	copy_config(&kube->config, config);
	jitter_seed(&kube->jitter, (uint64_t)clock_now());
	TAILQ_INIT(&kube->waiting);
	TAILQ_INIT(&kube->others);
	TAILQ_INIT(&kube->binds);
	TAILQ_INIT(&kube->watches);
	kube->credentials = credentials_open(loop, &kube->config, credentials_changed, kube);
	if (open_clients(kube, &kube->unary, &kube->streams, err) != 0) {
		credentials_close(kube->credentials);
		kube_config_free(&kube->config);
		free(kube);
		return NULL;
	}
	uv_timer_init(loop, &kube->credentials_timer);
	kube->credentials_timer.data = kube;
	return kube;
}

void kube_fence(struct kube *kube, kube_may_write *may_write, void *ctx)
{
	kube->may_write = may_write;
	kube->may_write_ctx = ctx;
}

static void kube_freed(uv_handle_t *handle)
{
	struct kube *kube = handle->data;

	kube_config_free(&kube->config);
	free(kube);
}

void kube_close(struct kube *kube)
{
	struct kube_watch *watch;
	struct kube_bind *bind;

	kube->closing = true;
	while ((watch = TAILQ_FIRST(&kube->watches)))
		kube_watch_stop(watch);
	kube__drop_requests(kube);
	while ((bind = TAILQ_FIRST(&kube->binds)))
		kube__bind_free(bind);
	credentials_close(kube->credentials);
	http_client_close(kube->unary);
	http_client_close(kube->streams);
	uv_close((uv_handle_t *)&kube->credentials_timer, kube_freed);
}
