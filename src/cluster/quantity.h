/* Kubernetes quantities ("500m", "20Gi", "1e3") as apimachinery v0.36.3 reads them, rounding included: up, away from
 * zero. No allocation, no limit on length: one pass over the digits. */
#ifndef CLUSTER_QUANTITY_H
#define CLUSTER_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/slice.h"

/* As resource.ParseQuantity(text).Value() and .MilliValue(), overflow included: what does not fit an int64 gives the
 * same odd number as there (on amd64). Either pointer may be NULL. False when ParseQuantity gives an error. */
bool quantity_parse(struct slice text, int64_t *value, int64_t *milli);

/* An amount in units of 10^-9, the finest that a quantity can hold: sums and maxima of these are exact. */
typedef __int128 quantity_nano;
#define QUANTITY_NANO ((quantity_nano)1000000000)
#define QUANTITY_NANO_MAX (INT64_MAX * QUANTITY_NANO)

/* For arithmetic: the exact amount, or QUANTITY_NANO_MAX if it is larger than that. False when ParseQuantity gives an
 * error, and for a negative amount: no request and no allocatable is one. */
bool quantity_parse_nano(struct slice text, quantity_nano *nano);
/* In whole units, and in thousandths, rounded up; INT64_MAX when it does not fit. For amounts that are not negative. */
int64_t quantity_nano_value(quantity_nano nano);
int64_t quantity_nano_milli(quantity_nano nano);

#endif
