/* Any text as a quantity: whole units, thousandths and the exact amount must agree wherever they fit. */
#include <stdlib.h>

#include "cluster/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	int64_t value = 0, milli = 0;
	quantity_nano nano = 0;
	bool taken = quantity_parse(text, &value, &milli), exact = quantity_parse_nano(text, &nano);

	check(taken == quantity_parse(text, NULL, NULL));
	check(taken || !exact);
	if (!exact)
		return 0;
	check(nano >= 0 && nano <= QUANTITY_NANO_MAX);
	if (nano > QUANTITY_NANO_MAX / 2000)
		return 0;
	/* A minus in front of zero aside, what is exact is positive, and both roundings go up. */
	check(value == quantity_nano_value(nano) && milli == quantity_nano_milli(nano));
	check(value * 1000 >= milli && milli > (value - 1) * 1000);
	return 0;
}
