/* One error: a code and a text that grows context on its way up ("cannot read FILE: …") and is shown once.
 * A fallible function returns 0 or a negative enum err_code and, only on failure, fills the struct err that it was
 * given. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "berth/alloc.h"

#define ERR_TEXT_MAX 1024

enum err_code {
	ERR_NONE = 0,
	ERR_INPUT = -1,   /* what was given is wrong: bad JSON, a bad file, a bad flag */
	ERR_MISSING = -2, /* not there: a file, a field, an object */
	ERR_REFUSED = -3, /* the other side says no */
	ERR_UNREACHABLE = -4,
	ERR_TOO_LARGE = -5,
	ERR_SYSTEM = -6,
};

struct err {
	int code;
	char text[ERR_TEXT_MAX];
};

/* Sets code and text; returns code, so that `return err_set(…)` reads well. Texts that do not fit are cut. */
int err_set(struct err *err, enum err_code code, const char *format, ...) BERTH_PRINTF(3, 4);
/* Puts "context: " before the text; returns the code. */
int err_wrap(struct err *err, const char *format, ...) BERTH_PRINTF(2, 3);

#endif
