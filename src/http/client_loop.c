#include "http/client_internal.h"

#include <stdlib.h>
#include <unistd.h>

/* Collects what has ended, then acts on it outside of libcurl. */
static void after_action(struct http_client *client)
{
	CURLMsg *message;
	int left;

	if (client->depth > 0)
		return;
	while ((message = curl_multi_info_read(client->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		struct http_call *call;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		call_finish(call, code);
	}
	client_sweep(client);
}

static void act(struct http_client *client, curl_socket_t fd, int events)
{
	int running;

	client->depth++;
	curl_multi_socket_action(client->multi, fd, events, &running);
	client->depth--;
	after_action(client);
}

static void timer_fired(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long timeout_ms, void *clientp)
{
	struct http_client *client = clientp;

	(void)multi;
	if (timeout_ms < 0)
		uv_timer_stop(&client->timer);
	else if (!uv_is_closing((uv_handle_t *)&client->timer))
		uv_timer_start(&client->timer, timer_fired, (uint64_t)timeout_ms, 0);
	return 0;
}

static void socket_ready(uv_poll_t *poll, int status, int events)
{
	struct client_socket *sock = poll->data;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;

	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(sock->client, sock->fd, flags);
}

static void socket_closed(uv_handle_t *handle)
{
	struct client_socket *sock = handle->data;
	struct http_client *client = sock->client;

	free(sock);
	client_handle_closed(client);
}

static void socket_forget(struct client_socket *sock)
{
	TAILQ_REMOVE(&sock->client->sockets, sock, link);
	uv_poll_stop(&sock->poll);
	uv_close((uv_handle_t *)&sock->poll, socket_closed);
}

static struct client_socket *socket_add(struct http_client *client, curl_socket_t fd)
{
	struct client_socket *sock = xcalloc(1, sizeof(*sock));

	sock->client = client;
	sock->fd = fd;
	sock->poll.data = sock;
	if (uv_poll_init_socket(client->loop, &sock->poll, fd) != 0) {
		free(sock);
		return NULL;
	}
	client->handles++;
	TAILQ_INSERT_TAIL(&client->sockets, sock, link);
	curl_multi_assign(client->multi, fd, sock);
	return sock;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *clientp, void *socketp)
{
	struct http_client *client = clientp;
	struct client_socket *sock = socketp;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (sock) {
			socket_forget(sock);
			curl_multi_assign(client->multi, fd, NULL);
		}
		return 0;
	}
	if (!sock)
		sock = socket_add(client, fd);
	if (!sock)
		return -1;
	uv_poll_start(&sock->poll, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
	    socket_ready);
	return 0;
}

/* The loop ends the process when it has to poll a descriptor that was closed under it. */
int loop_close_socket(void *clientp, curl_socket_t fd)
{
	struct http_client *client = clientp;
	struct client_socket *sock;

	TAILQ_FOREACH(sock, &client->sockets, link)
	{
		if (sock->fd == fd) {
			curl_multi_assign(client->multi, fd, NULL);
			socket_forget(sock);
			break;
		}
	}
	return close(fd);
}

void loop_attach(struct http_client *client)
{
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
}
