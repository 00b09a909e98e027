/* The floor of a filter call: the same server code receives the body and answers a constant of the same size, without a
 * look at what came. Prints its port and serves until it is ended. */
#include <stdio.h>

#include "extender/verbs.h"
#include "http/server.h"

#define ANSWER_MAX 4096

static void handle(void *ctx, struct http_request *request)
{
	http_answer_text(request, 200, NULL, ctx);
}

int main(int argc, char **argv)
{
	uv_loop_t loop;
	struct buf answer;
	struct err err;

	if (argc != 2) {
		fputs("usage: bench_filter_floor NODE-NAME\n", stderr);
		return 2;
	}
	struct slice name = slice_of(argv[1]);
	buf_init(&answer, ANSWER_MAX);
	wire_write_names(&answer, &name, 1, NULL, 0);
	struct http_server_options options = {
	    .listen = "127.0.0.1:0",
	    .body_max = VERBS_BODY_MAX,
	    .connections_max = VERBS_CONNECTIONS_MAX,
	    .idle_s = VERBS_IDLE_S,
	    .deadline_ms = VERBS_DEADLINE_MS,
	    .handler = handle,
	    .ctx = answer.data,
	};
	uv_loop_init(&loop);
	struct http_server *server = http_server_start(&loop, &options, &err);
	if (!server) {
		fprintf(stderr, "bench_filter_floor: %s\n", err.text);
		return 1;
	}
	printf("%u\n", http_server_port(server));
	fflush(stdout);
	return uv_run(&loop, UV_RUN_DEFAULT);
}
