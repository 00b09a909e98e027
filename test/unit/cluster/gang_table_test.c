/* The table against itself, and against the documentation, which is made of it: when they differ, the text that
 * README.md is to have is printed. */
#include "cluster/gang_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

#define README_MAX ((size_t)1 << 20)

static void words_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < gang_word_count; i++) {
		const struct gang_word *word = &gang_word_rows[i];

		if (i < GANG_FIELD_COUNT)
			assert_int_equal(gang_word_of(slice_of(word->text)), -1);
		else
			assert_int_equal(gang_word_of(slice_of(word->text)), (int)i);
	}
	assert_int_equal(gang_word_of(slice_of("")), -1);
	assert_int_equal(gang_word_of(slice_of("app.kubernetes.io/name")), -1);
	assert_int_equal(gang_word_of(slice_of("berth.dev/gane")), -1);
	assert_int_equal(gang_word_of((struct slice){"x", 4096}), -1); /* nothing is read of it */
}

static void order_is_precedence(void **state)
{
	enum gang_dialect last = GANG_BERTH;

	(void)state;
	for (size_t i = GANG_FIELD_COUNT; i < gang_word_count; i++) {
		assert_true(gang_word_rows[i].dialect >= last);
		last = gang_word_rows[i].dialect;
	}
}

static void each_row_is_complete(void **state)
{
	bool named[GANG_DIALECT_COUNT] = {false}, told[GANG_OBJECT_COUNT] = {false};

	(void)state;
	for (size_t i = 0; i < gang_word_count; i++)
		if (gang_word_rows[i].role == GANG_ROLE_NAME) {
			enum gang_object object = gang_word_rows[i].object;

			named[gang_word_rows[i].dialect] = true;
			if (object != GANG_OBJECT_NONE)
				assert_int_equal(gang_object_rows[object].dialect, gang_word_rows[i].dialect);
		}
	for (size_t i = 0; i < gang_path_count; i++)
		told[gang_path_rows[i].object] = true;
	for (int i = 0; i < GANG_DIALECT_COUNT; i++)
		assert_true(named[i] && gang_dialect_rows[i].name);
	for (int i = GANG_OBJECT_NONE + 1; i < GANG_OBJECT_COUNT; i++)
		assert_true(
		    told[i] && gang_object_rows[i].kind && gang_object_rows[i].plural && gang_object_rows[i].apis[0]);
}

/* --- the documentation --- */

static void put_words(struct buf *out, enum gang_dialect dialect, enum gang_role from, enum gang_role to)
{
	bool first = true;

	for (size_t i = 0; i < gang_word_count; i++) {
		const struct gang_word *word = &gang_word_rows[i];

		if (word->dialect != dialect || word->role < from || word->role > to)
			continue;
		buf_printf(out, "%s`%s`", first ? " " : ", ", word->text);
		if (word->role == GANG_ROLE_LEADS)
			buf_text(out, " (quorum 1)");
		if (word->role == GANG_ROLE_SERVES)
			buf_text(out, " (`true`: it is no gang)");
		if (word->role == GANG_ROLE_LATE)
			buf_text(out, " (a launcher does not count)");
		first = false;
	}
	buf_text(out, " |");
}

static void put_dialects(struct buf *out)
{
	buf_text(out,
	    "| dialect | the gang's name | size, quorum | sub-group, part | rank | place | seen at admission | "
	    "may spare members |\n"
	    "|---|---|---|---|---|---|---|---|\n");
	for (int i = 0; i < GANG_DIALECT_COUNT; i++) {
		enum gang_dialect dialect = (enum gang_dialect)i;

		buf_printf(out, "| %s |", gang_dialect_rows[i].name);
		put_words(out, dialect, GANG_ROLE_NAME, GANG_ROLE_SERVES);
		put_words(out, dialect, GANG_ROLE_SIZE, GANG_ROLE_LATE);
		put_words(out, dialect, GANG_ROLE_GROUP, GANG_ROLE_PART);
		put_words(out, dialect, GANG_ROLE_RANK, GANG_ROLE_RANK_LABEL);
		put_words(out, dialect, GANG_ROLE_REQUIRE, GANG_ROLE_SEGMENT_AT);
		buf_printf(out, " %s | %s |\n", gang_dialect_rows[i].visible ? "yes" : "no",
		    gang_dialect_rows[i].spares ? "yes" : "no");
	}
}

static void put_objects(struct buf *out)
{
	buf_text(out, "| dialect | object | API | what is read |\n|---|---|---|---|\n");
	for (int i = GANG_OBJECT_NONE + 1; i < GANG_OBJECT_COUNT; i++) {
		const struct gang_object_row *row = &gang_object_rows[i];
		bool first = true;

		buf_printf(out, "| %s | %s |", gang_dialect_rows[row->dialect].name, row->kind);
		for (int k = 0; k < 3 && row->apis[k]; k++)
			buf_printf(out, "%s `%s`", k ? "," : "", row->apis[k]);
		buf_text(out, " | ");
		for (size_t k = 0; k < gang_path_count; k++)
			if ((int)gang_path_rows[k].object == i) {
				buf_printf(out, "%s`%s`", first ? "" : ", ", gang_path_rows[k].path + 1);
				first = false;
			}
		buf_text(out, " |\n");
	}
}

static void the_documentation_says_the_same(void **state)
{
	struct buf expected, path, readme;
	struct err err;

	(void)state;
	buf_init(&expected, README_MAX);
	buf_init(&path, README_MAX);
	buf_init(&readme, README_MAX);
	put_dialects(&expected);
	buf_text(&expected, "\n");
	put_objects(&expected);
	buf_printf(&path, "%s/src/cluster/README.md", getenv("BERTH_SOURCE"));
	if (file_read(path.data, &readme, &err))
		fail_msg("%s", err.text);
	bool same = strstr(readme.data, expected.data) != NULL;

	if (!same)
		fputs(expected.data, stdout);
	buf_free(&expected);
	buf_free(&path);
	buf_free(&readme);
	if (!same)
		fail_msg("src/cluster/README.md does not have the text above");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_are_found),
	    cmocka_unit_test(order_is_precedence),
	    cmocka_unit_test(each_row_is_complete),
	    cmocka_unit_test(the_documentation_says_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
