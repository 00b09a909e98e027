#include "cli/columns.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define CELL_MAX 512

void columns_init(struct columns *columns, size_t width)
{
	*columns = (struct columns){.width = width < COLUMNS_MAX ? width : COLUMNS_MAX};
}

void columns_add(struct columns *columns, const char *format, ...)
{
	char text[CELL_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	columns->cells = xgrow(columns->cells, columns->count, &columns->room, sizeof *columns->cells);
	columns->cells[columns->count++] = xstrdup(text);
}

static bool is_number(const char *text)
{
	return *text != '\0' && strspn(text, "0123456789.-") == strlen(text);
}

static void print_row(char *const *cells, const int *widths, const bool *right, size_t width, FILE *out)
{
	struct buf line;
	buf_init(&line, COLUMNS_MAX * (CELL_MAX + 2));
	for (size_t c = 0; c < width; c++)
		buf_printf(&line, right[c] ? "%s%*s" : "%s%-*s", c ? "  " : "", widths[c], cells[c]);
	while (line.len > 0 && line.data[line.len - 1] == ' ')
		line.len--;
	fprintf(out, "%.*s\n", (int)line.len, line.data);
	buf_free(&line);
}

void columns_print(struct columns *columns, const char *indent, FILE *out)
{
	int widths[COLUMNS_MAX] = {0};
	bool right[COLUMNS_MAX];
	for (size_t c = 0; c < columns->width; c++)
		right[c] = true;
	for (size_t i = 0; i < columns->count; i++) {
		int len = (int)strlen(columns->cells[i]);
		size_t c = i % columns->width;
		widths[c] = len > widths[c] ? len : widths[c];
		right[c] &= i < columns->width || is_number(columns->cells[i]);
	}
	for (size_t i = 0; i + columns->width <= columns->count; i += columns->width) {
		fputs(indent, out);
		print_row(&columns->cells[i], widths, right, columns->width, out);
	}
	for (size_t i = 0; i < columns->count; i++)
		free(columns->cells[i]);
	free(columns->cells);
	*columns = (struct columns){.width = columns->width};
}
