/* Whole files. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the file to the buffer, whose maximum bounds it. "-" is standard input. */
BERTH_MUST_CHECK int file_read(const char *path, struct buf *out, struct err *err);

#endif
