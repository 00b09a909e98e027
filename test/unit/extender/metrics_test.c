#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "extender/metrics.h"

#define TEXT_MAX (4u << 20)

static char *print(const struct metrics *metrics)
{
	struct buf out;

	buf_init(&out, TEXT_MAX);
	metrics_print(metrics, &out);
	assert_false(out.overflow);
	return buf_take(&out);
}

static void assert_prints(const struct metrics *metrics, const char *want)
{
	char *text = print(metrics);

	assert_string_equal(text, want);
	free(text);
}

static void counters_and_gauges(void **state)
{
	static const char *const labels[] = {"result", "code", NULL};
	struct metrics *metrics = metrics_new();
	struct metric *plain =
	    metrics_add(metrics, METRIC_COUNTER, "berth_plain_total", "Help with \\ and\na new line \"quoted\".", NULL);
	struct metric *labelled = metrics_add(metrics, METRIC_GAUGE, "berth_labelled", "Labelled.", labels);

	(void)state;
	assert_prints(metrics, "# HELP berth_plain_total Help with \\\\ and\\na new line \"quoted\".\n"
	                       "# TYPE berth_plain_total counter\n"
	                       "berth_plain_total 0\n"
	                       "# HELP berth_labelled Labelled.\n"
	                       "# TYPE berth_labelled gauge\n");
	metric_add(plain, 2, NULL);
	metric_add(plain, 0.5, NULL);
	metric_set(labelled, 7, "placed", "Fits", NULL);
	metric_add(labelled, -1, "placed", "Fits", NULL);
	metric_set(labelled, 1e15, "q\"b\\n\nl", "\xc3\xa9\t", NULL);
	metric_set(labelled, 0.1, "", "", NULL);
	assert_prints(metrics, "# HELP berth_plain_total Help with \\\\ and\\na new line \"quoted\".\n"
	                       "# TYPE berth_plain_total counter\n"
	                       "berth_plain_total 2.5\n"
	                       "# HELP berth_labelled Labelled.\n"
	                       "# TYPE berth_labelled gauge\n"
	                       "berth_labelled{result=\"placed\",code=\"Fits\"} 6\n"
	                       "berth_labelled{result=\"q\\\"b\\\\n\\nl\",code=\"\xc3\xa9\t\"} 1e+15\n"
	                       "berth_labelled{result=\"\",code=\"\"} 0.1\n");
	metric_reset(labelled);
	metric_reset(plain);
	metric_set(plain, 3, NULL);
	assert_prints(metrics, "# HELP berth_plain_total Help with \\\\ and\\na new line \"quoted\".\n"
	                       "# TYPE berth_plain_total counter\n"
	                       "berth_plain_total 3\n"
	                       "# HELP berth_labelled Labelled.\n"
	                       "# TYPE berth_labelled gauge\n");
	metrics_free(metrics);
}

/* Text that would be the same if values were joined without escapes. */
static void series_are_not_mixed_up(void **state)
{
	static const char *const labels[] = {"a", "b", NULL};
	struct metrics *metrics = metrics_new();
	struct metric *metric = metrics_add(metrics, METRIC_COUNTER, "m", "M.", labels);

	(void)state;
	metric_add(metric, 1, "x\",b=\"y", "", NULL);
	metric_add(metric, 2, "x", "y", NULL);
	metric_add(metric, 4, "x", "y", NULL);
	assert_prints(metrics, "# HELP m M.\n# TYPE m counter\n"
	                       "m{a=\"x\\\",b=\\\"y\",b=\"\"} 1\n"
	                       "m{a=\"x\",b=\"y\"} 6\n");
	metrics_free(metrics);
}

static void special_numbers(void **state)
{
	struct metrics *metrics = metrics_new();
	struct metric *metric = metrics_add(metrics, METRIC_GAUGE, "m", "M.", NULL);
	static const struct {
		double value;
		const char *text;
	} cases[] = {{0, "0"}, {1, "1"}, {-3, "-3"}, {NAN, "NaN"}, {INFINITY, "+Inf"}, {-INFINITY, "-Inf"},
	    {0.1 + 0.2, "0.30000000000000004"}, {1760000000.125, "1760000000.125"}, {1e-7, "1e-07"},
	    {9007199254740992, "9007199254740992"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[128];

		metric_set(metric, cases[i].value, NULL);
		snprintf(want, sizeof(want), "# HELP m M.\n# TYPE m gauge\nm %s\n", cases[i].text);
		assert_prints(metrics, want);
	}
	metrics_free(metrics);
}

static void histograms(void **state)
{
	static const char *const labels[] = {"verb", NULL};
	struct metrics *metrics = metrics_new();
	struct metric *metric = metrics_add(metrics, METRIC_HISTOGRAM, "h_seconds", "H.", labels);

	(void)state;
	metric_observe(metric, 0.00005, "filter", NULL); /* le is inclusive */
	metric_observe(metric, 0.00006, "filter", NULL);
	metric_observe(metric, 0.25, "filter", NULL);
	metric_observe(metric, 1000, "filter", NULL);
	char *text = print(metrics);
	static const char *const lines[] = {
	    "# TYPE h_seconds histogram\n",
	    "h_seconds_bucket{verb=\"filter\",le=\"5e-05\"} 1\n",
	    "h_seconds_bucket{verb=\"filter\",le=\"0.0001\"} 2\n",
	    "h_seconds_bucket{verb=\"filter\",le=\"0.1\"} 2\n",
	    "h_seconds_bucket{verb=\"filter\",le=\"0.25\"} 3\n",
	    "h_seconds_bucket{verb=\"filter\",le=\"60\"} 3\n",
	    "h_seconds_bucket{verb=\"filter\",le=\"+Inf\"} 4\n",
	    "h_seconds_sum{verb=\"filter\"} 1000.25011\n",
	    "h_seconds_count{verb=\"filter\"} 4\n",
	};
	const char *at = text;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		at = strstr(at, lines[i]);
		if (!at)
			fail_msg("not there, or not in order: %sin\n%s", lines[i], text);
	}
	free(text);
	metrics_free(metrics);

	metrics = metrics_new();
	metrics_add(metrics, METRIC_HISTOGRAM, "h_seconds", "H.", NULL);
	text = print(metrics);
	assert_non_null(strstr(text, "h_seconds_bucket{le=\"+Inf\"} 0\nh_seconds_sum 0\nh_seconds_count 0\n"));
	free(text);
	metrics_free(metrics);
}

static void long_histograms_have_long_buckets(void **state)
{
	struct metrics *metrics = metrics_new();
	struct metric *metric = metrics_add(metrics, METRIC_LONG_HISTOGRAM, "l_seconds", "L.", NULL);

	(void)state;
	metric_observe(metric, 0.5, NULL);
	metric_observe(metric, 7200, NULL);
	metric_observe(metric, 1e9, NULL);
	char *text = print(metrics);
	assert_non_null(strstr(text, "# TYPE l_seconds histogram\nl_seconds_bucket{le=\"1\"} 1\n"));
	assert_non_null(strstr(text, "{le=\"3600\"} 1\nl_seconds_bucket{le=\"7200\"} 2\n"));
	assert_non_null(strstr(text, "{le=\"604800\"} 2\nl_seconds_bucket{le=\"+Inf\"} 3\n"));
	free(text);
	metrics_free(metrics);
}

static unsigned count_of(const char *text, const char *mark)
{
	unsigned seen = 0;

	for (; (text = strstr(text, mark)); text += strlen(mark))
		seen++;
	return seen;
}

static void series_are_bounded(void **state)
{
	static const char *const labels[] = {"a", "b", NULL};
	struct metrics *metrics = metrics_new();
	struct metric *metric = metrics_add(metrics, METRIC_COUNTER, "m", "M.", labels);
	char value[16];

	(void)state;
	for (int i = 0; i < 12000; i++) {
		snprintf(value, sizeof(value), "%d", i);
		metric_add(metric, 1, value, "x", NULL);
	}
	char *text = print(metrics);
	assert_int_equal(count_of(text, "\nm{"), 10001);
	assert_non_null(strstr(text, "m{a=\"other\",b=\"other\"} 2000\n"));
	assert_non_null(strstr(text, "m{a=\"9999\",b=\"x\"} 1\n"));
	assert_null(strstr(text, "m{a=\"10000\""));
	free(text);
	metric_add(metric, 1, "5", "x", NULL);
	text = print(metrics);
	assert_non_null(strstr(text, "m{a=\"5\",b=\"x\"} 2\n"));
	free(text);
	/* A label too long to keep. */
	char *huge = malloc(10000);
	memset(huge, 'h', 9999);
	huge[9999] = '\0';
	metric_reset(metric);
	metric_add(metric, 1, huge, "x", NULL);
	metric_add(metric, 1, "small", "x", NULL);
	assert_prints(
	    metrics, "# HELP m M.\n# TYPE m counter\nm{a=\"other\",b=\"other\"} 1\nm{a=\"small\",b=\"x\"} 1\n");
	free(huge);
	metrics_free(metrics);
}

static void promtool_agrees(void **state)
{
	static const char *const labels[] = {"verb", "code", NULL};
	struct metrics *metrics = metrics_new();

	(void)state;
	if (system("command -v promtool >/dev/null 2>&1") != 0) {
		print_message("promtool is not installed: its check of the format was skipped\n");
		metrics_free(metrics);
		skip();
	}
	metric_add(
	    metrics_add(metrics, METRIC_COUNTER, "berth_calls_total", "Calls.", labels), 3, "a\"b\\c\nd", "é", NULL);
	metric_observe(
	    metrics_add(metrics, METRIC_HISTOGRAM, "berth_filter_duration_seconds", "Seconds.", NULL), 0.3, NULL);
	metric_set(metrics_add(metrics, METRIC_GAUGE, "berth_pods", "Pods.", NULL), NAN, NULL);
	FILE *tool = popen("promtool check metrics", "w");
	char *text = print(metrics);
	assert_non_null(tool);
	fputs(text, tool);
	assert_int_equal(pclose(tool), 0);
	free(text);
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counters_and_gauges),
	    cmocka_unit_test(series_are_not_mixed_up),
	    cmocka_unit_test(special_numbers),
	    cmocka_unit_test(histograms),
	    cmocka_unit_test(long_histograms_have_long_buckets),
	    cmocka_unit_test(series_are_bounded),
	    cmocka_unit_test(promtool_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
