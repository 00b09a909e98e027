/* Raw sockets against a server on the test's own loop: every wait here turns that loop. */
#ifndef TEST_HTTP_RAW_H
#define TEST_HTTP_RAW_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "http/server.h"

#define RAW_WAIT_MS 10000

static inline int raw_connect(unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline void loop_turn(uv_loop_t *loop)
{
	if (!uv_run(loop, UV_RUN_NOWAIT))
		usleep(200);
	else
		usleep(50);
}

static inline void loop_for(uv_loop_t *loop, int ms)
{
	int64_t end = clock_now() + ms * NS_PER_MS;

	while (clock_now() < end)
		loop_turn(loop);
}

/* Turns the loop until *counter has reached `wanted`. */
static inline void loop_until(uv_loop_t *loop, const unsigned *counter, unsigned wanted)
{
	int64_t end = clock_now() + RAW_WAIT_MS * NS_PER_MS;

	while (*counter < wanted && clock_now() < end)
		loop_turn(loop);
	assert_int_equal(*counter, wanted);
}

static inline void raw_send(uv_loop_t *loop, int fd, const char *bytes, size_t len)
{
	int64_t end = clock_now() + RAW_WAIT_MS * NS_PER_MS;

	while (len > 0 && clock_now() < end) {
		ssize_t sent = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent > 0) {
			bytes += sent;
			len -= (size_t)sent;
		} else if (errno != EAGAIN) {
			return;
		}
		loop_turn(loop);
	}
}

static inline void raw_text(uv_loop_t *loop, int fd, const char *text)
{
	raw_send(loop, fd, text, strlen(text));
}

/* Reads until `marks` occurrences of `mark` were seen, or the end. The text is to be freed. */
static inline char *raw_read(uv_loop_t *loop, int fd, const char *mark, unsigned marks)
{
	int64_t end = clock_now() + RAW_WAIT_MS * NS_PER_MS;
	size_t len = 0, room = 1 << 16;
	char *text = malloc(room);

	text[0] = '\0';
	while (clock_now() < end) {
		loop_turn(loop);
		if (room - len < 4096)
			text = realloc(text, room *= 2);
		ssize_t got = recv(fd, text + len, room - len - 1, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			return text;
		if (got < 0)
			continue;
		len += (size_t)got;
		text[len] = '\0';
		unsigned seen = 0;
		for (const char *at = text; mark && (at = strstr(at, mark)); at += strlen(mark))
			seen++;
		if (mark && seen >= marks)
			return text;
	}
	fail_msg("nothing like \"%s\" came in time, only: %.400s", mark ? mark : "an end", text);
	return text;
}

/* Whether the other side closed within a time. */
static inline bool raw_closed(uv_loop_t *loop, int fd, int ms)
{
	int64_t end = clock_now() + ms * NS_PER_MS;
	char byte[4096];

	while (clock_now() < end) {
		loop_turn(loop);
		ssize_t got = recv(fd, byte, sizeof(byte), MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			return true;
	}
	return false;
}

static inline unsigned raw_count(const char *text, const char *mark)
{
	unsigned seen = 0;

	for (; (text = strstr(text, mark)); text += strlen(mark))
		seen++;
	return seen;
}

#endif
