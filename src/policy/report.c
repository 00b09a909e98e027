/* The three forms of a report. Lines of the file are shown as far as a terminal can take them: control characters and
 * bytes that are no UTF-8 become '?', and of a long line only what is around the place. */
#include <string.h>

#include "base/scan.h"
#include "policy/load.h"

#define EXCERPT_MAX 140   /* characters of a source line */
#define EXCERPT_BEFORE 60 /* of them in front of the place, when the line is longer */

struct style {
	const char *place, *error, *warning, *caret, *end;
};

static const struct style plain = {"", "", "", "", ""};
static const struct style colored = {"\033[1m", "\033[1;31m", "\033[1;35m", "\033[1;32m", "\033[0m"};

/* The length of a line break at `at`, by the rules of YAML 1.1 that the parser counts lines by; 0 if there is none. */
static size_t break_len(const char *at, const char *end)
{
	if (*at == '\r')
		return at + 1 < end && at[1] == '\n' ? 2 : 1;
	if (*at == '\n')
		return 1;
	if (end - at >= 2 && memcmp(at, "\xc2\x85", 2) == 0)
		return 2;
	return end - at >= 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 || memcmp(at, "\xe2\x80\xa9", 3) == 0) ? 3 : 0;
}

static struct slice line_at(struct slice text, unsigned line)
{
	const char *at = text.at ? text.at : "", *end = at + text.len, *first = at;

	for (; at < end; at++) {
		size_t len = break_len(at, end);

		if (len == 0)
			continue;
		if (--line == 0)
			break;
		at += len - 1;
		first = at + 1;
	}
	return line <= 1 ? (struct slice){first, (size_t)(at - first)} : (struct slice){NULL, 0};
}

static const char *next_char(const char *at, const char *end)
{
	size_t len = utf8_sequence(at, end);

	return at + (len ? len : 1);
}

static const char *pass_chars(const char *at, const char *end, unsigned count)
{
	while (count-- > 0 && at < end)
		at = next_char(at, end);
	return at;
}

static void add_visible(struct buf *out, const char *at, const char *end)
{
	while (at < end) {
		const char *next = next_char(at, end);
		unsigned char c = (unsigned char)*at;
		bool c1 = next - at == 2 && c == 0xc2 && (unsigned char)at[1] < 0xa0;

		if (*at == '\t' || (!c1 && utf8_sequence(at, end) && c >= ' ' && c != 0x7f))
			buf_add(out, at, (size_t)(next - at));
		else
			buf_char(out, '?');
		at = next;
	}
}

/* The source line, and under it the caret; tabs in front of it stay tabs, so that it stands right wherever they lead
 * to. */
static void add_excerpt(
    const struct policy_problem *problem, struct slice text, const struct style *style, struct buf *out)
{
	struct slice line = line_at(text, problem->mark.line);
	const char *from = line.at, *end, *to, *place;
	unsigned before = problem->mark.column - 1;

	if (line.len == 0)
		return;
	end = from + line.len;
	if (before > EXCERPT_BEFORE && pass_chars(from, end, EXCERPT_MAX) < end) {
		from = pass_chars(from, end, before - EXCERPT_BEFORE);
		before = EXCERPT_BEFORE;
	}
	to = pass_chars(from, end, EXCERPT_MAX);
	buf_text(out, from > line.at ? "  …" : "  ");
	add_visible(out, from, to);
	buf_text(out, to < end ? "…\n  " : "\n  ");
	if (from > line.at)
		buf_char(out, ' ');
	place = pass_chars(from, to, before);
	for (; from < place; from = next_char(from, to))
		buf_char(out, *from == '\t' ? '\t' : ' ');
	buf_printf(out, "%s^", style->caret);
	for (unsigned i = 1; i < problem->width && pass_chars(place, to, i) < to; i++)
		buf_char(out, '~');
	buf_printf(out, "%s\n", style->end);
}

static const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

void policy_report_text(
    const struct policy_report *report, const char *file, struct slice text, bool color, struct buf *out)
{
	const struct style *style = color ? &colored : &plain;
	size_t all = report->errors + report->warnings;

	for (size_t i = 0; i < report->count; i++) {
		const struct policy_problem *problem = &report->problems[i];

		buf_printf(out, "%s%s:%u:%u:%s %s%s %s:%s %s\n", style->place, file, problem->mark.line,
		    problem->mark.column, style->end, problem->warning ? style->warning : style->error,
		    problem->warning ? "warning" : "error", problem->code, style->end, problem->text);
		add_excerpt(problem, text, style, out);
	}
	if (all > report->count)
		buf_printf(out, "… and %zu more\n", all - report->count);
	if (all > 0)
		buf_printf(out, "%s: %zu error%s, %zu warning%s\n", file, report->errors, plural(report->errors),
		    report->warnings, plural(report->warnings));
}

void policy_report_json(const struct policy_report *report, const char *file, struct buf *out)
{
	buf_text(out, "{\"file\":");
	buf_json_string(out, slice_of(file));
	buf_printf(out, ",\"valid\":%s,\"errors\":%zu,\"warnings\":%zu,\"problems\":[",
	    report->errors ? "false" : "true", report->errors, report->warnings);
	for (size_t i = 0; i < report->count; i++) {
		const struct policy_problem *problem = &report->problems[i];

		buf_printf(out,
		    "%s{\"line\":%u,\"column\":%u,\"severity\":\"%s\",\"code\":\"%s\",\"message\":", i ? "," : "",
		    problem->mark.line, problem->mark.column, problem->warning ? "warning" : "error", problem->code);
		buf_json_string(out, slice_of(problem->text));
		buf_char(out, '}');
	}
	buf_text(out, "]}\n");
}

void policy_report_line(const struct policy_report *report, const char *file, struct buf *out)
{
	size_t i = 0;

	while (i < report->count && report->problems[i].warning)
		i++;
	if (i == report->count)
		return;
	buf_printf(out, "%s:%u:%u: %s: %s", file, report->problems[i].mark.line, report->problems[i].mark.column,
	    report->problems[i].code, report->problems[i].text);
}
