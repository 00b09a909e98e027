/* The log: one logfmt line an event on stderr, `time=… level=… msg="…" key=value …`. A line a second at most for each
 * (level, msg) pair of warnings and errors; the number held back is said with the next one. Messages are constants,
 * what varies is in the keys. The only process-wide state of the program besides signals. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "berth/alloc.h"

#define LOG_LINE_MAX 4096 /* bytes; longer lines are cut */
#define LOG_QUOTES 8

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level);
/* `format` makes the `key=value` tail; quote values with log_quote where they may hold blanks. NULL for no tail. */
void log_line(enum log_level level, const char *msg, const char *format, ...) BERTH_PRINTF(3, 4);
/* The text in quotes and escaped, in one of LOG_QUOTES buffers that are used in turn: for the arguments of one
 * log_line. */
const char *log_quote(const char *text);

#define log_debug(msg, ...) log_line(LOG_DEBUG, msg, __VA_ARGS__)
#define log_info(msg, ...) log_line(LOG_INFO, msg, __VA_ARGS__)
#define log_warn(msg, ...) log_line(LOG_WARN, msg, __VA_ARGS__)
#define log_error(msg, ...) log_line(LOG_ERROR, msg, __VA_ARGS__)

#endif
