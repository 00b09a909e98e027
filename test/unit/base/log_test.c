#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static char said[3 * LOG_LINE_MAX];
static int real_stderr, caught;

/* What is logged between catch() and caught_text() goes into a file. */
static void catch (void)
{
	char path[] = "/tmp/berth-log-test-XXXXXX";

	caught = mkstemp(path);
	assert_true(caught >= 0);
	unlink(path);
	real_stderr = dup(STDERR_FILENO);
	dup2(caught, STDERR_FILENO);
}

static const char *caught_text(void)
{
	ssize_t len;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	len = pread(caught, said, sizeof said - 1, 0);
	assert_true(len >= 0);
	said[len] = '\0';
	close(caught);
	return said;
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

static void test_line(void **state)
{
	const char *text;

	(void)state;
	catch ();
	log_info("pod bound", "pod=%s node=%s", log_quote("ml/train \"0\""), "n1");
	text = caught_text();
	assert_memory_equal(text, "time=20", 7);
	assert_string_equal(
	    strstr(text, "Z ") + 2, "level=info msg=\"pod bound\" pod=\"ml/train \\\"0\\\"\" node=n1\n");
}

static void test_no_tail(void **state)
{
	(void)state;
	catch ();
	log_info("started", NULL);
	assert_non_null(strstr(caught_text(), "msg=\"started\"\n"));
}

static void test_levels(void **state)
{
	(void)state;
	catch ();
	log_debug("hidden", NULL);
	log_set_level(LOG_DEBUG);
	log_debug("shown", NULL);
	log_set_level(LOG_ERROR);
	log_warn("hidden", NULL);
	log_set_level(LOG_INFO);
	assert_int_equal(count_lines(caught_text()), 1);
	assert_non_null(strstr(said, "level=debug msg=\"shown\""));
}

static void test_repeated_warnings_are_held_back(void **state)
{
	const struct timespec interval = {1, 10000000};

	(void)state;
	catch ();
	for (int i = 0; i < 100; i++) {
		static const char msg[] = "watch failed"; /* the text counts, not where it stands */

		log_warn(msg, "attempt=%d", i);
		log_error("watch failed", NULL);
		log_info("no limit", NULL);
	}
	assert_int_equal(count_lines(caught_text()), 102);
	nanosleep(&interval, NULL);
	catch ();
	log_warn("watch failed", "attempt=%d", 100);
	log_warn("watch failed", "attempt=%d", 101);
	assert_non_null(strstr(caught_text(), "level=warn msg=\"watch failed\" held_back=99 attempt=100\n"));
	assert_int_equal(count_lines(said), 1);
	nanosleep(&interval, NULL);
	catch ();
	log_warn("watch failed", NULL);
	assert_non_null(strstr(caught_text(), "held_back=1\n"));
}

static void test_more_messages_than_the_table_holds(void **state)
{
	static char messages[200][20];

	(void)state;
	catch ();
	for (int i = 0; i < 200; i++) {
		snprintf(messages[i], sizeof messages[i], "message %d", i);
		log_warn(messages[i], NULL);
		log_warn(messages[i], NULL);
	}
	assert_int_equal(count_lines(caught_text()), 200);
}

static void test_one_event_is_one_line(void **state)
{
	(void)state;
	catch ();
	log_info("odd", "raw=%s quoted=%s", "a\nb", log_quote("a\nb\tc\x01\x7f\\"));
	assert_non_null(strstr(caught_text(), "raw=a?b quoted=\"a\\nb\\tc\\x01\\x7f\\\\\"\n"));
	catch ();
	log_info("long", "value=%0*d", 3 * LOG_LINE_MAX, 1);
	assert_true(strlen(caught_text()) <= LOG_LINE_MAX);
	assert_int_equal(count_lines(said), 1);
	assert_string_equal(said + strlen(said) - 3, "00\n");
}

static void test_quotes_live_side_by_side(void **state)
{
	const char *quotes[LOG_QUOTES];
	char long_text[5000];

	(void)state;
	for (int i = 0; i < LOG_QUOTES; i++)
		quotes[i] = log_quote((char[]){(char)('a' + i), '\0'});
	for (int i = 0; i < LOG_QUOTES; i++)
		assert_string_equal(quotes[i], ((char[]){'"', (char)('a' + i), '"', '\0'}));
	memset(long_text, '\x02', sizeof long_text);
	long_text[sizeof long_text - 1] = '\0';
	quotes[0] = log_quote(long_text);
	assert_int_equal(quotes[0][strlen(quotes[0]) - 1], '"');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_line),
	    cmocka_unit_test(test_no_tail),
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_repeated_warnings_are_held_back),
	    cmocka_unit_test(test_more_messages_than_the_table_holds),
	    cmocka_unit_test(test_one_event_is_one_line),
	    cmocka_unit_test(test_quotes_live_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
