#include "http/client_internal.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"

#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define TCP_USER_TIMEOUT_MS 20000
#define RECEIVE_BYTES (64 << 10)
#define RETRY_AFTER_MAX_S 3600

/* --- what libcurl calls --- */

static size_t give_body(char *out, size_t size, size_t count, void *ctx)
{
	struct http_call *call = ctx;
	size_t len = call->request_len - call->request_taken;

	if (len > size * count)
		len = size * count;
	memcpy(out, call->request_body + call->request_taken, len);
	call->request_taken += len;
	return len;
}

static void read_retry_after(struct http_call *call, const char *line, size_t len)
{
	static const char name[] = "Retry-After:";
	size_t i = sizeof(name) - 1;
	int64_t seconds = 0;

	if (len <= i || strncasecmp(line, name, i) != 0)
		return;
	while (i < len && (line[i] == ' ' || line[i] == '\t'))
		i++;
	if (i == len || line[i] < '0' || line[i] > '9')
		return;
	for (; i < len && line[i] >= '0' && line[i] <= '9' && seconds < RETRY_AFTER_MAX_S; i++)
		seconds = seconds * 10 + (line[i] - '0');
	call->retry_after_ns = (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * NS_PER_S;
}

static size_t take_header(char *line, size_t size, size_t count, void *ctx)
{
	struct http_call *call = ctx;
	size_t len = size * count;
	long status = 0;

	if (call->cancelled)
		return 0;
	call->last_byte_ns = clock_now();
	read_retry_after(call, line, len);
	if (call->status || len > 2 || line[0] != '\r')
		return len;
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return len;
	call->status = (unsigned)status;
	if (call->spec.status)
		call->spec.status(call->spec.ctx, call->status);
	return call->cancelled ? 0 : len;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct http_call *call = ctx;
	size_t len = size * count;

	if (call->cancelled)
		return 0;
	call->last_byte_ns = clock_now();
	if (call->spec.piece && call->status == 200) {
		if (call->spec.piece(call->spec.ctx, bytes, len))
			return call->cancelled ? 0 : len;
		call->refused_piece = true;
		return 0;
	}
	buf_add(&call->answer, bytes, len);
	call->too_large = call->answer.overflow;
	return call->too_large ? 0 : len;
}

static int prepare_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	unsigned timeout_ms = TCP_USER_TIMEOUT_MS;

	(void)ctx;
	(void)purpose;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return CURL_SOCKOPT_OK;
}

/* --- setting up --- */

static void set_tls(CURL *easy, const struct http_client *client)
{
	struct curl_blob blob = {.flags = CURL_BLOB_NOCOPY};

	if (client->ca_pem) {
		blob.data = client->ca_pem;
		blob.len = strlen(client->ca_pem);
		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
		/* Without this the system's authorities would be trusted beside the one given. */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (client->cert_pem && client->key_pem) {
		blob.data = client->cert_pem;
		blob.len = strlen(client->cert_pem);
		curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &blob);
		blob.data = client->key_pem;
		blob.len = strlen(client->key_pem);
		curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &blob);
	}
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, client->insecure ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, client->insecure ? 0L : 2L);
}

static void add_line(struct http_call *call, const char *line)
{
	struct curl_slist *headers = curl_slist_append(call->headers, line);

	if (headers)
		call->headers = headers;
}

static void add_header(struct http_call *call, const char *name, const char *value)
{
	size_t room = strlen(name) + strlen(value) + 3;
	char *line = xmalloc(room);

	snprintf(line, room, "%s: %s", name, value);
	add_line(call, line);
	explicit_bzero(line, room);
	free(line);
}

/* The certificate is checked against the name in the URL: so the URL gets the name, and the connection goes where the
 * URL pointed before. */
static bool set_server_name(CURL *easy, struct http_call *call)
{
	CURLU *url = curl_url();
	char *host = NULL, *port = NULL, *renamed = NULL;
	char text[1024];
	bool ok = false;

	if (url && curl_url_set(url, CURLUPART_URL, call->url, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_HOST, call->client->server_name, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &renamed, 0) == CURLUE_OK) {
		snprintf(text, sizeof(text), "%s:%s:%s:%s", call->client->server_name, port, host, port);
		call->connect_to = curl_slist_append(NULL, text);
		snprintf(text, sizeof(text), "%s:%s", host, port);
		add_header(call, "Host", text);
		ok = curl_easy_setopt(easy, CURLOPT_URL, renamed) == CURLE_OK;
		curl_easy_setopt(easy, CURLOPT_CONNECT_TO, call->connect_to);
	}
	curl_free(host);
	curl_free(port);
	curl_free(renamed);
	curl_url_cleanup(url);
	return ok;
}

static void set_method(CURL *easy, struct http_call *call)
{
	const char *method = call->method;

	if (strcmp(method, "GET") == 0) {
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
		return;
	}
	/* POST, PUT and PATCH say their length even when it is 0. */
	if (call->request_len > 0 || method[0] == 'P') {
		/* Through a reader that cannot rewind, so that libcurl does not repeat a request on its own when a kept
		 * connection turns out to be dead. */
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->request_len);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
		curl_easy_setopt(easy, CURLOPT_READDATA, call);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_headers(CURL *easy, struct http_call *call)
{
	add_header(call, "Accept", call->accept ? call->accept : "application/json");
	if (call->content_type)
		add_header(call, "Content-Type", call->content_type);
	if (call->bearer) {
		size_t room = strlen(call->bearer) + sizeof("Bearer ");
		char *value = xmalloc(room);
		snprintf(value, room, "Bearer %s", call->bearer);
		add_header(call, "Authorization", value);
		explicit_bzero(value, room);
		free(value);
	}
	/* Name and colon alone: libcurl leaves its own out. */
	add_line(call, "Expect:");
	if (!call->content_type)
		add_line(call, "Content-Type:");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
}

/* The connection is there, and the request would leave now. */
static int ask_the_time(void *ctx, char *primary, char *local, int primary_port, int local_port)
{
	const struct http_call *call = ctx;

	(void)primary, (void)local, (void)primary_port, (void)local_port;
	return clock_now() < call->spec.send_by_ns ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static void set_connection(CURL *easy, struct http_call *call)
{
	const struct http_call_spec *spec = &call->spec;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, prepare_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, loop_close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, call->client);
	curl_easy_setopt(
	    easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(spec->connect_ms ? spec->connect_ms : CLIENT_CONNECT_MS));
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)spec->timeout_ms);
	if (spec->send_by_ns) {
		curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, ask_the_time);
		curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
	}
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
}

bool easy_prepare(struct http_call *call)
{
	struct http_client *client = call->client;
	CURL *easy = client->spare_count ? client->spare[--client->spare_count] : curl_easy_init();

	if (!easy)
		return false;
	call->easy = easy;
	call->error[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	set_connection(easy, call);
	set_tls(easy, client);
	set_method(easy, call);
	if (curl_easy_setopt(easy, CURLOPT_URL, call->url) != CURLE_OK)
		return false;
	if (client->server_name && strncmp(call->url, "https:", 6) == 0 && !set_server_name(easy, call))
		return false;
	set_headers(easy, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	return true;
}

void easy_release(struct http_call *call)
{
	struct http_client *client = call->client;

	if (call->easy) {
		curl_easy_reset(call->easy);
		if (client->spare_count < CLIENT_SPARE_MAX && !client->closing)
			client->spare[client->spare_count++] = call->easy;
		else
			curl_easy_cleanup(call->easy);
	}
	call->easy = NULL;
	curl_slist_free_all(call->headers);
	curl_slist_free_all(call->connect_to);
	call->headers = call->connect_to = NULL;
}

/* --- how it ended --- */

static bool certainly_unsent(const struct http_call *call, CURLcode code)
{
	long request_bytes = 0;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_URL_MALFORMAT:
	case CURLE_SSL_CERTPROBLEM:
		return true;
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_ABORTED_BY_CALLBACK:
		curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
		return request_bytes == 0;
	default:
		return false;
	}
}

void easy_result(struct http_call *call, CURLcode code)
{
	struct http_result *result = &call->result;

	result->status = call->status;
	result->retry_after_ns = call->retry_after_ns;
	result->sent = !certainly_unsent(call, code);
	if (code == CURLE_OK && call->status) {
		result->body = buf_slice(&call->answer);
		return;
	}
	if (call->refused_piece)
		result->code = ERR_INPUT;
	else if (call->too_large)
		result->code = ERR_TOO_LARGE;
	else
		result->code = ERR_UNREACHABLE;
	if (call->too_large)
		result->error = "the answer is too large";
	else if (call->refused_piece)
		result->error = "the answer cannot be used";
	else if (code == CURLE_ABORTED_BY_CALLBACK)
		result->error = "its time to be sent had passed";
	else if (code == CURLE_SEND_FAIL_REWIND)
		result->error = "the kept connection was lost behind the request";
	else
		result->error = call->error[0] ? call->error : curl_easy_strerror(code);
}
