#include "http/server_internal.h"

#define STREAM_BLOCK_BYTES (16u << 10)
#define STREAM_KEPT_BYTES (256u << 10)

static size_t waiting(const struct http_request *request)
{
	return request->backlog.len - request->backlog_taken;
}

/* libmicrohttpd asks for the next piece. */
static ssize_t next_piece(void *cls, uint64_t position, char *out, size_t room)
{
	struct http_request *request = cls;
	size_t len = waiting(request);

	(void)position;
	if (len > 0) {
		if (len > room)
			len = room;
		memcpy(out, request->backlog.data + request->backlog_taken, len);
		request->backlog_taken += len;
		if (waiting(request) == 0) {
			/* What one slow moment needed is given back. */
			if (request->backlog.room > STREAM_KEPT_BYTES)
				buf_free(&request->backlog);
			buf_clear(&request->backlog);
			request->backlog_taken = 0;
		} else if (request->backlog_taken > request->backlog.len / 2) {
			buf_consume(&request->backlog, request->backlog_taken);
			request->backlog_taken = 0;
		}
		return (ssize_t)len;
	}
	if (request->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (request->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	request->suspended = true;
	MHD_suspend_connection(request->connection);
	return 0;
}

void http_stream(struct http_request *request, unsigned status, const char *type, void (*gone)(void *ctx), void *ctx)
{
	request->streaming = true;
	request->answered = true;
	request->gone = gone;
	request->gone_ctx = ctx;
	request->status = status;
	request->response =
	    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, next_piece, request, NULL);
	request_put_headers(request, type);
	if (!request->watch)
		request->watch = hangup_watch_start(request);
	request_wake(request);
}

bool http_stream_write(struct http_request *request, const char *bytes, size_t len)
{
	if (request->closed || request->cut)
		return false;
	if (waiting(request) + len > HTTP_STREAM_BACKLOG_MAX) {
		request->cut = true;
		buf_clear(&request->backlog);
		request->backlog_taken = 0;
		conn_shutdown(request->conn);
		request_wake(request);
		return false;
	}
	if (request->backlog.len + len > HTTP_STREAM_BACKLOG_MAX) {
		buf_consume(&request->backlog, request->backlog_taken);
		request->backlog_taken = 0;
	}
	buf_add(&request->backlog, bytes, len);
	request_wake(request);
	return true;
}

void http_stream_end(struct http_request *request)
{
	request->ended = true;
	request_wake(request);
}

void http_cut(struct http_request *request)
{
	if (request->closed)
		return;
	request->cut = true;
	request_wake(request);
}
