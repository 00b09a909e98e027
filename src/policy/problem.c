#include "policy/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *code, *text;
	bool warning;
} problems[] = {
#define X(id, code, warning, text) [PROBLEM_##id] = {code, text, warning},
    PROBLEM_TABLE(X)
#undef X
};

const char *problem_code(enum problem problem)
{
	return problems[problem].code;
}

const char *problem_text(enum problem problem)
{
	return problems[problem].text;
}

bool problem_is_warning(enum problem problem)
{
	return problems[problem].warning;
}

void policy_codes(struct buf *out)
{
	for (size_t i = 0; i < PROBLEM_COUNT; i++)
		buf_printf(out, "%s  %-7s  %s\n", problems[i].code, problems[i].warning ? "warning" : "error",
		    problems[i].text);
}

/* A scalar's first line; the quotes, which are not in the text, count. */
struct place place_of(const struct yaml_node *node)
{
	struct place place = {node->mark, 0};

	if (node->type == YAML_SCALAR) {
		for (size_t i = 0; i < node->text.len && node->text.at[i] != '\n'; i++)
			place.width += ((unsigned char)node->text.at[i] & 0xc0) != 0x80;
		place.width += node->quoted ? 2 : 0;
	}
	if (place.width == 0)
		place.width = 1;
	return place;
}

void report_init(struct policy_report *report)
{
	*report = (struct policy_report){.room = POLICY_PROBLEMS_MAX};
	arena_init(&report->arena, 4096);
	report->problems = arena_calloc(&report->arena, report->room, sizeof *report->problems);
}

void policy_report_free(struct policy_report *report)
{
	arena_free(&report->arena);
	*report = (struct policy_report){0};
}

static int compare_places(const void *left, const void *right)
{
	const struct policy_problem *a = left, *b = right;

	if (a->mark.line != b->mark.line)
		return a->mark.line < b->mark.line ? -1 : 1;
	if (a->mark.column != b->mark.column)
		return a->mark.column < b->mark.column ? -1 : 1;
	return strcmp(a->code, b->code);
}

static int compare_worth(const struct policy_problem *a, const struct policy_problem *b)
{
	return a->warning != b->warning ? a->warning - b->warning : compare_places(a, b);
}

/* A text that was cut may end inside a UTF-8 sequence. */
static size_t cut_len(const char *text, size_t len)
{
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

void report_add(struct policy_report *report, enum problem problem, struct place place, const char *format, ...)
{
	struct policy_problem new = {
	    .mark = place.mark,
	    .width = place.width,
	    .code = problems[problem].code,
	    .warning = problems[problem].warning,
	};
	char text[PROBLEM_TEXT_MAX];
	size_t at = report->count;
	va_list args;
	int len;

	*(new.warning ? &report->warnings : &report->errors) += 1;
	while (at > 0 && compare_worth(&new, &report->problems[at - 1]) < 0)
		at--;
	if (at == report->room)
		return;
	va_start(args, format);
	len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (len < 0)
		len = 0;
	new.text = arena_copy(&report->arena,
	    (struct slice){text, (size_t)len < sizeof text ? (size_t)len : cut_len(text, sizeof text - 1)});
	if (report->count < report->room)
		report->count++;
	memmove(&report->problems[at + 1], &report->problems[at], (report->count - 1 - at) * sizeof *report->problems);
	report->problems[at] = new;
}

void report_sort(struct policy_report *report)
{
	qsort(report->problems, report->count, sizeof *report->problems, compare_places);
}
