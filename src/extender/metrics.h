/* Counters, gauges and histograms in Prometheus' text format (0.0.4): a small registry that the owner fills and prints.
 * Names, help and label names are constants; label values are UTF-8, copied and escaped. Counting on a series that is
 * there allocates nothing. */
#ifndef EXTENDER_METRICS_H
#define EXTENDER_METRICS_H

#include "base/buf.h"

struct metrics;
struct metric;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_LONG_HISTOGRAM };

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
/* A family, its name not yet used; `labels` is a NULL-terminated list of label names (at most 4), or NULL: then its one
 * series is there from the start. Histograms are of seconds, with buckets from 50 µs to 60 s; long ones from
 * 1 s to a week. */
struct metric *metrics_add(
    struct metrics *metrics, enum metric_type type, const char *name, const char *help, const char *const *labels);
/* The series of these label values, in the order of the family's label names, is made when it is first used. At most
 * 10,000 series a family; beyond that values go to a series whose labels are all "other". */
void metric_add(struct metric *metric, double value, ...) __attribute__((sentinel));
void metric_set(struct metric *metric, double value, ...) __attribute__((sentinel));
void metric_observe(struct metric *metric, double seconds, ...) __attribute__((sentinel));
/* Forgets all series of a family (gauges that are filled anew at each scrape). */
void metric_reset(struct metric *metric);
void metrics_print(const struct metrics *metrics, struct buf *out);

#endif
