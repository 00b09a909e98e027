#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_PIECE ((size_t)64 << 10)

static ssize_t read_some(int fd, void *into, size_t len)
{
	ssize_t got;

	do
		got = read(fd, into, len);
	while (got < 0 && errno == EINTR);
	return got;
}

/* 1 = more may come, 0 = end, -1 = error in errno (EFBIG: the buffer's maximum). */
static int read_piece(int fd, struct buf *out)
{
	size_t left = out->max - out->len, piece = left < FILE_PIECE ? left : FILE_PIECE;
	char beyond;
	ssize_t got;

	if (piece == 0) {
		got = read_some(fd, &beyond, 1);
		if (got > 0)
			errno = EFBIG;
		return got == 0 ? 0 : -1;
	}
	if (!buf_reserve(out, piece)) {
		errno = EFBIG;
		return -1;
	}
	got = read_some(fd, out->data + out->len, piece);
	if (got > 0)
		out->len += (size_t)got;
	out->data[out->len] = '\0';
	return got > 0 ? 1 : (int)got;
}

int file_read(const char *path, struct buf *out, struct err *err)
{
	bool standard_input = strcmp(path, "-") == 0;
	const char *name = standard_input ? "standard input" : path;
	int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	size_t before = out->len;
	int more = fd < 0 ? -1 : 1, reason;

	while (more > 0)
		more = read_piece(fd, out);
	reason = errno;
	if (fd >= 0 && !standard_input)
		close(fd);
	if (more == 0)
		return 0;
	if (out->data) {
		out->len = before;
		out->data[before] = '\0';
	}
	if (reason == EFBIG)
		return err_set(err, ERR_TOO_LARGE, "cannot read %s: larger than %zu bytes", name, out->max - before);
	return err_set(err, reason == ENOENT ? ERR_MISSING : ERR_SYSTEM, "cannot read %s: %s", name, strerror(reason));
}
