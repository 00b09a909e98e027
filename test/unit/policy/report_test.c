/* The three forms of a report. test/golden/policy has a policy and the text that is due beside it; with
 * BERTH_GOLDEN=write in the environment the texts are written instead. */
#include "support.h"

#include <dirent.h>
#include <unistd.h>

#include "base/reader.h"

#define GOLDEN "test/golden/policy"

static void write_source(const char *path, const struct buf *text)
{
	char full[4096];
	FILE *file;

	snprintf(full, sizeof full, "%s/%s", getenv("BERTH_SOURCE"), path);
	file = fopen(full, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text->data, 1, text->len, file), text->len);
	assert_int_equal(fclose(file), 0);
}

static void check_golden(const char *stem)
{
	char path[1024], name[512];
	struct buf text, due, report_text;
	struct policy_report report;
	const char *mode = getenv("BERTH_GOLDEN");

	snprintf(path, sizeof path, GOLDEN "/%s.yaml", stem);
	snprintf(name, sizeof name, "%s.yaml", stem);
	read_source(path, &text);
	policy_free(policy_load(buf_slice(&text), test_catalogue(), &report));
	buf_init(&report_text, 1u << 20);
	policy_report_text(&report, name, buf_slice(&text), false, &report_text);
	assert_true(report_text.len > 0);
	snprintf(path, sizeof path, GOLDEN "/%s.txt", stem);
	if (mode && strcmp(mode, "write") == 0)
		write_source(path, &report_text);
	read_source(path, &due);
	assert_string_equal(report_text.data, due.data);
	buf_free(&due);
	buf_free(&text);
	buf_free(&report_text);
	policy_report_free(&report);
}

static void test_golden_reports(void **state)
{
	char path[1024];
	size_t count = 0;
	DIR *directory;

	(void)state;
	assert_non_null(getenv("BERTH_SOURCE"));
	snprintf(path, sizeof path, "%s/" GOLDEN, getenv("BERTH_SOURCE"));
	directory = opendir(path);
	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory));) {
		char stem[256];
		size_t len = strlen(entry->d_name);

		if (len < 5 || strcmp(entry->d_name + len - 5, ".yaml") != 0)
			continue;
		snprintf(stem, sizeof stem, "%.*s", (int)(len - 5), entry->d_name);
		check_golden(stem);
		count++;
	}
	closedir(directory);
	assert_true(count >= 5);
}

static struct buf report_of(const char *text, bool color)
{
	struct policy_report report;
	struct buf out;

	policy_free(policy_load(slice_of(text), test_catalogue(), &report));
	buf_init(&out, 1u << 20);
	policy_report_text(&report, "p.yaml", slice_of(text), color, &out);
	policy_report_free(&report);
	return out;
}

static void test_carets_keep_tabs(void **state)
{
	struct buf out = report_of(HEAD "classes: [{name:\tc,\t\tname: c}]\nfallback: c\n", false);

	(void)state;
	assert_non_null(strstr(out.data, "\n  classes: [{name:\tc,\t\tname: c}]\n                  \t  \t\t^~~~\n"));
	buf_free(&out);
}

static void test_carets_count_characters(void **state)
{
	struct buf out = report_of(HEAD "classes: [{\"näme\": c, name: c}]\nfallback: c\n", false);

	(void)state;
	assert_non_null(strstr(out.data, "p.yaml:3:12: error P002: classes[0] has the key \"näme\""));
	assert_non_null(strstr(out.data, "\n             ^~~~~~\n"));
	buf_free(&out);
}

static void test_colors_only_when_asked(void **state)
{
	struct buf plain = report_of(HEAD, false), colored = report_of(HEAD, true);

	(void)state;
	assert_null(strchr(plain.data, '\033'));
	assert_non_null(strstr(colored.data, "\033[1;31merror P005:\033[0m"));
	buf_free(&plain);
	buf_free(&colored);
}

/* What is in the file must not reach the terminal as a command. */
static void test_control_characters_are_not_shown(void **state)
{
	struct buf out = report_of(HEAD "classes: \x1b[2J\n", false);

	(void)state;
	assert_non_null(strstr(out.data, "error P001:"));
	assert_null(strchr(out.data, '\033'));
	assert_non_null(strstr(out.data, "classes: ?[2J"));
	buf_free(&out);
}

static void test_long_lines_are_cut(void **state)
{
	struct buf text, out;

	(void)state;
	buf_init(&text, 1u << 20);
	buf_text(&text, HEAD "classes: [");
	for (int i = 0; i < 200; i++)
		buf_printf(&text, "%s{name: c%d}", i ? ", " : "", i);
	buf_text(&text, ", {name: .}, {name: d}]\nfallback: d\n");
	out = report_of(text.data, false);
	assert_int_equal(out.len < 700, true);
	assert_non_null(strstr(out.data, "{name: .}, {name: d}]\n"));
	buf_free(&out);
	buf_free(&text);
}

static void test_json(void **state)
{
	static const char text[] = HEAD "classes: [{name: no}]\nfallback: \"no\"\nextra: \"a\\\"b\"\n";
	struct policy_report report;
	struct buf out;

	(void)state;
	assert_null(policy_load(slice_of(text), test_catalogue(), &report));
	buf_init(&out, 1u << 20);
	policy_report_json(&report, "a \"b\".yaml", &out);
	assert_string_equal(out.data,
	    "{\"file\":\"a \\\"b\\\".yaml\",\"valid\":false,\"errors\":2,\"warnings\":0,\"problems\":["
	    "{\"line\":3,\"column\":18,\"severity\":\"error\",\"code\":\"P006\",\"message\":\"classes[0].name is a "
	    "boolean to YAML, "
	    "but a string is due; write it in quotes: \\\"no\\\"\"},"
	    "{\"line\":5,\"column\":1,\"severity\":\"error\",\"code\":\"P002\",\"message\":\"the policy has the key "
	    "\\\"extra\\\", "
	    "which is not known by this version of berth.\"}]}\n");
	buf_free(&out);
	policy_report_free(&report);
}

static void test_line(void **state)
{
	struct policy_report report;
	struct buf out;

	(void)state;
	assert_null(policy_load(
	    slice_of(HEAD "classes: [{name: c, place: {modelFit: 1}}]\nfallback: d\n"), test_catalogue(), &report));
	assert_int_equal(report.count, 2);
	buf_init(&out, 1u << 20);
	policy_report_line(&report, "policy.yaml", &out);
	assert_string_equal(out.data, "policy.yaml:4:11: P012: fallback \"d\" is not one of the classes: c");
	buf_free(&out);
	policy_report_free(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden_reports),
	    cmocka_unit_test(test_carets_keep_tabs),
	    cmocka_unit_test(test_carets_count_characters),
	    cmocka_unit_test(test_colors_only_when_asked),
	    cmocka_unit_test(test_control_characters_are_not_shown),
	    cmocka_unit_test(test_long_lines_are_cut),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
