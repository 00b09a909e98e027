#include "extender/metrics.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "berth/map.h"

#define LABELS_MAX 4
#define LABELS_TEXT_MAX 4096 /* name="value",… of one series; longer ones go to "other" */
#define SERIES_MAX 10000
#define OTHER "other"

static const double bucket_bounds[] = {
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
#define BUCKETS (sizeof(bucket_bounds) / sizeof(bucket_bounds[0]))
static const double long_bounds[BUCKETS] = {
    1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 57600, 86400, 259200, 604800};

struct series {
	double value;      /* of a histogram: the sum */
	uint64_t *buckets; /* of a histogram: each observation in one of BUCKETS + 1; else NULL */
	STAILQ_ENTRY(series) link;
	char labels[]; /* as they are printed, and the key */
};

STAILQ_HEAD(series_list, series);

struct metric {
	enum metric_type type;
	const char *name, *help;
	const char *labels[LABELS_MAX];
	size_t label_count;
	struct map by_labels;
	struct series_list series; /* in the order of first use */
	struct buf text;           /* scratch for the labels of a look-up */
	STAILQ_ENTRY(metric) link;
};

struct metrics {
	STAILQ_HEAD(, metric) families;
};

static bool is_histogram(const struct metric *metric)
{
	return metric->type == METRIC_HISTOGRAM || metric->type == METRIC_LONG_HISTOGRAM;
}

static const double *bounds_of(const struct metric *metric)
{
	return metric->type == METRIC_LONG_HISTOGRAM ? long_bounds : bucket_bounds;
}

/* --- text --- */

static void put_escaped(struct buf *out, const char *text, bool quotes)
{
	const char *special = quotes ? "\\\"\n" : "\\\n";

	for (;;) {
		size_t plain = strcspn(text, special);

		buf_add(out, text, plain);
		text += plain;
		if (*text == '\0')
			return;
		buf_char(out, '\\');
		buf_char(out, *text == '\n' ? 'n' : *text);
		text++;
	}
}

static void put_label(struct buf *out, const char *name, const char *value)
{
	if (out->len > 0)
		buf_char(out, ',');
	buf_text(out, name);
	buf_text(out, "=\"");
	put_escaped(out, value, true);
	buf_char(out, '"');
}

static void put_number(struct buf *out, double value)
{
	char text[32];

	if (isnan(value)) {
		buf_text(out, "NaN");
		return;
	}
	if (isinf(value)) {
		buf_text(out, value > 0 ? "+Inf" : "-Inf");
		return;
	}
	/* As few digits as give the same number when read. */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_text(out, text);
}

static void put_sample(struct buf *out, const char *name, const char *suffix, const char *labels, const char *bound)
{
	buf_text(out, name);
	buf_text(out, suffix);
	if (labels[0] || bound) {
		buf_char(out, '{');
		buf_text(out, labels);
		if (bound)
			buf_printf(out, "%sle=\"%s\"", labels[0] ? "," : "", bound);
		buf_char(out, '}');
	}
	buf_char(out, ' ');
}

static void put_histogram(struct buf *out, const struct metric *metric, const struct series *series)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= BUCKETS; i++) {
		char bound[32] = "+Inf";

		if (i < BUCKETS)
			snprintf(bound, sizeof(bound), "%g", bounds_of(metric)[i]);
		count += series->buckets[i];
		put_sample(out, metric->name, "_bucket", series->labels, bound);
		buf_json_int(out, (int64_t)count);
		buf_char(out, '\n');
	}
	put_sample(out, metric->name, "_sum", series->labels, NULL);
	put_number(out, series->value);
	buf_char(out, '\n');
	put_sample(out, metric->name, "_count", series->labels, NULL);
	buf_json_int(out, (int64_t)count);
	buf_char(out, '\n');
}

static void put_family(struct buf *out, const struct metric *metric)
{
	static const char *const types[] = {"counter", "gauge", "histogram", "histogram"};
	const struct series *series;

	buf_printf(out, "# HELP %s ", metric->name);
	put_escaped(out, metric->help, false);
	buf_printf(out, "\n# TYPE %s %s\n", metric->name, types[metric->type]);
	STAILQ_FOREACH(series, &metric->series, link)
	{
		if (is_histogram(metric)) {
			put_histogram(out, metric, series);
			continue;
		}
		put_sample(out, metric->name, "", series->labels, NULL);
		put_number(out, series->value);
		buf_char(out, '\n');
	}
}

void metrics_print(const struct metrics *metrics, struct buf *out)
{
	const struct metric *metric;

	STAILQ_FOREACH(metric, &metrics->families, link)
	put_family(out, metric);
}

/* --- series --- */

static struct series *add_series(struct metric *metric, struct slice labels)
{
	struct series *series = xcalloc(1, sizeof(*series) + labels.len + 1);

	memcpy(series->labels, labels.at, labels.len);
	if (is_histogram(metric))
		series->buckets = xcalloc(BUCKETS + 1, sizeof(*series->buckets));
	map_put(&metric->by_labels, slice_of(series->labels), series);
	STAILQ_INSERT_TAIL(&metric->series, series, link);
	return series;
}

static struct series *other_series(struct metric *metric)
{
	buf_clear(&metric->text);
	for (size_t i = 0; i < metric->label_count; i++)
		put_label(&metric->text, metric->labels[i], OTHER);
	struct series *series = map_get(&metric->by_labels, buf_slice(&metric->text));
	return series ? series : add_series(metric, buf_slice(&metric->text));
}

static struct series *find_series(struct metric *metric, va_list values)
{
	buf_clear(&metric->text);
	for (size_t i = 0; i < metric->label_count; i++) {
		const char *value = va_arg(values, const char *);

		assert(value);
		put_label(&metric->text, metric->labels[i], value);
	}
	if (metric->text.overflow)
		return other_series(metric);
	struct series *series = map_get(&metric->by_labels, buf_slice(&metric->text));
	if (series)
		return series;
	if (metric->by_labels.count >= SERIES_MAX)
		return other_series(metric);
	return add_series(metric, buf_slice(&metric->text));
}

void metric_add(struct metric *metric, double value, ...)
{
	va_list values;

	va_start(values, value);
	find_series(metric, values)->value += value;
	va_end(values);
}

void metric_set(struct metric *metric, double value, ...)
{
	va_list values;

	va_start(values, value);
	find_series(metric, values)->value = value;
	va_end(values);
}

void metric_observe(struct metric *metric, double seconds, ...)
{
	va_list values;
	size_t bucket = 0;

	assert(is_histogram(metric));
	va_start(values, seconds);
	struct series *series = find_series(metric, values);
	va_end(values);
	while (bucket < BUCKETS && seconds > bounds_of(metric)[bucket])
		bucket++;
	series->buckets[bucket]++;
	series->value += seconds;
}

void metric_reset(struct metric *metric)
{
	struct series *series;

	while ((series = STAILQ_FIRST(&metric->series))) {
		STAILQ_REMOVE_HEAD(&metric->series, link);
		free(series->buckets);
		free(series);
	}
	map_free(&metric->by_labels);
}

/* --- the registry --- */

struct metrics *metrics_new(void)
{
	struct metrics *metrics = xcalloc(1, sizeof(*metrics));

	STAILQ_INIT(&metrics->families);
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	struct metric *metric;

	if (!metrics)
		return;
	while ((metric = STAILQ_FIRST(&metrics->families))) {
		STAILQ_REMOVE_HEAD(&metrics->families, link);
		metric_reset(metric);
		buf_free(&metric->text);
		free(metric);
	}
	free(metrics);
}

struct metric *metrics_add(
    struct metrics *metrics, enum metric_type type, const char *name, const char *help, const char *const *labels)
{
	struct metric *metric = xcalloc(1, sizeof(*metric));

	metric->type = type;
	metric->name = name;
	metric->help = help;
	for (; labels && *labels; labels++) {
		assert(metric->label_count < LABELS_MAX);
		metric->labels[metric->label_count++] = *labels;
	}
	buf_init(&metric->text, LABELS_TEXT_MAX);
	STAILQ_INIT(&metric->series);
	STAILQ_INSERT_TAIL(&metrics->families, metric, link);
	/* Without labels there is exactly one series, so it is shown before it is first used. */
	if (metric->label_count == 0)
		add_series(metric, (struct slice){"", 0});
	return metric;
}
