#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static char path[] = "/tmp/berth-file-test-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void fill_file(size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < len; i++)
		assert_true(putc('a' + (int)(i % 23), file) != EOF);
	assert_int_equal(fclose(file), 0);
}

static void check_content(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(at[i], 'a' + (int)(i % 23));
}

static void test_whole_files(void **state)
{
	static const size_t sizes[] = {0, 1, 255, 256, 65535, 65536, 65537, 300000};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct buf buf;

		fill_file(sizes[i]);
		/* The file may be as large as the maximum. */
		buf_init(&buf, sizes[i] + 5);
		buf_text(&buf, "head ");
		assert_int_equal(file_read(path, &buf, &err), 0);
		assert_int_equal(buf.len, sizes[i] + 5);
		assert_memory_equal(buf.data, "head ", 5);
		check_content(buf.data + 5, sizes[i]);
		assert_int_equal(buf.data[buf.len], '\0');
		buf_free(&buf);
	}
}

static void test_larger_than_the_maximum(void **state)
{
	struct buf buf;
	struct err err;

	(void)state;
	fill_file(70000);
	buf_init(&buf, 70003);
	buf_text(&buf, "head");
	assert_int_equal(file_read(path, &buf, &err), ERR_TOO_LARGE);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "larger than 69999 bytes"));
	assert_int_equal(buf.len, 4);
	assert_string_equal(buf.data, "head");
	buf_free(&buf);
}

static void test_errors_name_the_file(void **state)
{
	struct buf buf;
	struct err err;

	(void)state;
	buf_init(&buf, 100);
	assert_int_equal(file_read("/nonexistent/policy.yaml", &buf, &err), ERR_MISSING);
	assert_string_equal(err.text, "cannot read /nonexistent/policy.yaml: No such file or directory");
	assert_int_equal(file_read("/tmp", &buf, &err), ERR_SYSTEM);
	assert_string_equal(err.text, "cannot read /tmp: Is a directory");
	buf_free(&buf);
}

static void test_standard_input(void **state)
{
	int before = dup(STDIN_FILENO), ends[2];
	struct buf buf;
	struct err err;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "piped", 5), 5);
	close(ends[1]);
	assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
	close(ends[0]);
	buf_init(&buf, 100);
	assert_int_equal(file_read("-", &buf, &err), 0);
	assert_string_equal(buf.data, "piped");
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	if (before >= 0) {
		dup2(before, STDIN_FILENO);
		close(before);
	}
	buf_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole_files),
	    cmocka_unit_test(test_larger_than_the_maximum),
	    cmocka_unit_test(test_errors_name_the_file),
	    cmocka_unit_test(test_standard_input),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
