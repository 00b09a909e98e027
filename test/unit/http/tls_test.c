#include "raw.h"

#include <microhttpd.h>

#include "certificates.h"
#include "http/client.h"

/* The client's TLS against libmicrohttpd's own, which runs in a thread here and wants a certificate of our authority.
 */
struct fixture {
	uv_loop_t loop;
	struct MHD_Daemon *daemon;
	unsigned port, done;
	int code;
	unsigned status;
	bool sent;
	char error[256], body[64];
};

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");

	(void)cls, (void)url, (void)method, (void)version, (void)upload, (void)upload_size, (void)con_cls;
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(strlen(host), (void *)(uintptr_t)host, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

static void start(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	uv_loop_init(&f->loop);
	f->daemon = MHD_start_daemon(MHD_USE_TLS | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handle, NULL,
	    MHD_OPTION_HTTPS_MEM_KEY, server_key_pem, MHD_OPTION_HTTPS_MEM_CERT, server_cert_pem,
	    MHD_OPTION_HTTPS_MEM_TRUST, authority_pem, MHD_OPTION_END);
	assert_non_null(f->daemon);
	f->port = MHD_get_daemon_info(f->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static void stop(struct fixture *f)
{
	MHD_stop_daemon(f->daemon);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void on_done(void *ctx, const struct http_result *result)
{
	struct fixture *f = ctx;

	f->done++;
	f->code = result->code;
	f->status = result->status;
	f->sent = result->sent;
	snprintf(f->error, sizeof(f->error), "%s", result->error ? result->error : "");
	snprintf(f->body, sizeof(f->body), "%.*s", (int)result->body.len, result->body.at ? result->body.at : "");
}

static void get(struct fixture *f, struct http_client_tls tls)
{
	struct http_client_options options = {.connections_max = 2, .tls = tls};
	struct err err;
	char url[64];

	f->done = 0;
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", f->port);
	struct http_client *client = http_client_open(&f->loop, &options, &err);
	assert_non_null(client);
	http_call(client,
	    &(struct http_call_spec){
	        .method = "GET", .url = url, .answer_max = 4096, .timeout_ms = 5000, .done = on_done, .ctx = f});
	loop_until(&f->loop, &f->done, 1);
	http_client_close(client);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
}

static void trust(void **state)
{
	struct fixture f;
	char host[64];
	(void)state;
	start(&f);
	snprintf(host, sizeof(host), "127.0.0.1:%u", f.port);

	get(&f, (struct http_client_tls){.ca_pem = authority_pem, .server_name = "api.test"});
	if (f.code)
		fail_msg("%s", f.error);
	assert_int_equal(f.status, 200);
	assert_string_equal(f.body, host); /* the name is checked, but not told as the host */
	get(&f, (struct http_client_tls){.ca_pem = authority_pem,
	            .server_name = "api.test",
	            .cert_pem = client_cert_pem,
	            .key_pem = client_key_pem});
	assert_int_equal(f.code, 0);

	get(&f, (struct http_client_tls){.ca_pem = authority_pem});
	assert_int_equal(f.code, ERR_UNREACHABLE); /* it is not called 127.0.0.1 */
	assert_false(f.sent);
	get(&f, (struct http_client_tls){.ca_pem = authority_pem, .server_name = "api.other"});
	assert_int_equal(f.code, ERR_UNREACHABLE);
	get(&f, (struct http_client_tls){.ca_pem = other_authority_pem, .server_name = "api.test"});
	assert_int_equal(f.code, ERR_UNREACHABLE);
	assert_false(f.sent);
	get(&f, (struct http_client_tls){.server_name = "api.test"});
	assert_int_equal(f.code, ERR_UNREACHABLE);
	get(&f, (struct http_client_tls){.insecure = true});
	assert_int_equal(f.code, 0);
	/* Broken credentials are an error of the call, not of the program. */
	get(&f, (struct http_client_tls){
	            .ca_pem = authority_pem, .server_name = "api.test", .cert_pem = "no", .key_pem = "pem"});
	assert_int_not_equal(f.code, 0);
	assert_false(f.sent);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(trust),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
