/* What the client's files share: client.c (calls from start to done), client_easy.c (one call as options of libcurl,
 * and what libcurl hands back), client_loop.c (libcurl's sockets and timeout on the loop).
 *
 * libcurl must not be asked to add or remove transfers inside its own callbacks: `depth` counts how deep we are in it,
 * and whatever is asked for meanwhile is done by client_sweep. */
#ifndef HTTP_CLIENT_INTERNAL_H
#define HTTP_CLIENT_INTERNAL_H

#include <curl/curl.h>
#include <sys/queue.h>

#include "http/client.h"

#define CLIENT_SPARE_MAX 16
#define CLIENT_CONNECT_MS 10000
#define CLIENT_PEM_MAX (1u << 20)

enum call_state { CALL_STARTING, CALL_RUNNING, CALL_FINISHED, CALL_STATES };

struct http_call {
	struct http_client *client;
	CURL *easy; /* while running */
	enum call_state state;
	bool cancelled; /* while running: to be removed by the next sweep */
	TAILQ_ENTRY(http_call) link;

	struct http_call_spec spec; /* its texts are not kept beyond the start, except through the members below */
	char *method, *url, *content_type, *accept, *bearer, *request_body;
	size_t request_len, request_taken;
	struct curl_slist *headers, *connect_to;

	struct buf answer;
	unsigned status; /* known since the headers ended */
	int64_t retry_after_ns;
	bool refused_piece, too_large;
	struct http_result result; /* once finished */
	char error[CURL_ERROR_SIZE];

	bool has_timer;
	uv_timer_t silence_timer;
	int64_t last_byte_ns;
};

TAILQ_HEAD(call_list, http_call);

struct client_socket {
	struct http_client *client;
	uv_poll_t poll;
	curl_socket_t fd;
	TAILQ_ENTRY(client_socket) link;
};

struct http_client {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	uv_idle_t later;
	unsigned handles; /* open on the loop: the two above, sockets, silence timers */
	unsigned depth;
	bool sweeping, retiring, closing, closed;
	char *ca_pem, *cert_pem, *key_pem, *server_name;
	bool insecure;
	struct call_list calls[CALL_STATES];
	unsigned cancelled;
	CURL *spare[CLIENT_SPARE_MAX];
	unsigned spare_count;
	TAILQ_HEAD(, client_socket) sockets;
};

/* client.c */
void call_move(struct http_call *call, enum call_state state);
/* The transfer is over: takes it out of libcurl, keeps the result for the next sweep. */
void call_finish(struct http_call *call, CURLcode code);
void call_fail(struct http_call *call, int code, const char *error);
void client_sweep(struct http_client *client);
void client_later(struct http_client *client); /* a sweep on the next turn */
void client_handle_closed(struct http_client *client);

/* client_easy.c */
BERTH_MUST_CHECK bool easy_prepare(struct http_call *call);
void easy_release(struct http_call *call);
void easy_result(struct http_call *call, CURLcode code);

/* client_loop.c */
void loop_attach(struct http_client *client);
int loop_close_socket(void *clientp, curl_socket_t fd);

#endif
