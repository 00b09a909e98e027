#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut may end inside a UTF-8 sequence; that piece goes, too. */
static void drop_partial_sequence(char *text)
{
	size_t len = strlen(text), tail = 1, need;
	unsigned char first;

	while (tail < len && tail < 4 && ((unsigned char)text[len - tail] & 0xc0) == 0x80)
		tail++;
	first = (unsigned char)text[len - tail];
	need = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (tail < need)
		text[len - tail] = '\0';
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
	char text[ERR_TEXT_MAX]; /* the arguments may point into err->text */
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (len < 0)
		text[0] = '\0';
	else if ((size_t)len >= sizeof text)
		drop_partial_sequence(text);
	err->code = code;
	memcpy(err->text, text, strlen(text) + 1);
	return code;
}

int err_wrap(struct err *err, const char *format, ...)
{
	char context[ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	if (vsnprintf(context, sizeof context, format, args) < 0)
		context[0] = '\0';
	va_end(args);
	return err_set(err, (enum err_code)err->code, "%s: %s", context, err->text);
}
