/* The answer of Prometheus' instant query (GET /api/v1/query, its stable HTTP API) as one number: a scalar, or the sum
 * of an instant vector's samples. Samples that are no numbers (NaN, infinite) and histograms count for nothing. */
#ifndef SCHEDULER_SIGNAL_SAMPLE_H
#define SCHEDULER_SIGNAL_SAMPLE_H

#include <stdbool.h>

#include "base/err.h"
#include "berth/slice.h"

#define SIGNAL_ANSWER_MAX (1u << 20) /* bytes of an answer */
#define SIGNAL_NUMBER_MAX 64         /* characters of a number */

struct signal_sample {
	size_t count; /* samples that are numbers; 0: the value says nothing */
	double value;
	double at_s;   /* the oldest of their times, seconds since 1970 */
	size_t unread; /* samples that are none */
	bool warned;   /* Prometheus warns that the answer may not be whole */
};

/* ERR_INPUT with what Prometheus says is wrong, or what is wrong with its answer. */
BERTH_MUST_CHECK int signal_sample_read(struct slice json, struct signal_sample *sample, struct err *err);

#endif
