#include "cluster/quantity.h"

/* A quantity is kept in one of two ways, and which one decides how it rounds when negative and what is left of it when
 * it overflows: short decimals as an int64 with a power of ten (struct scaled), all others as a whole number of nanos
 * of any length. Of that number only what Value() and MilliValue() can see is worked out: the three quotients modulo
 * 2^64. */

#define SHORT_DIGITS_MAX 18 /* decimal digits that always fit an int64 (maxInt64Factors) */
#define NANO_SCALE (-9)
#define MILLI_SCALE (-3)
#define EXPONENT_STEPS_MAX 64 /* 10^64 is 0 modulo 2^64 */

enum format { DECIMAL, BINARY };

struct parts {
	bool negative;
	struct slice whole;    /* digits before the point, without leading zeros; "0" if there are none */
	struct slice fraction; /* digits behind the point */
	bool any_digit;        /* a digit stands there, be it a leading zero */
	enum format format;
	int32_t exponent; /* of 10 or of 2 */
};

struct scaled {
	int64_t value;
	int32_t scale; /* value x 10^scale */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t count_digits(const char *at, const char *end)
{
	const char *first = at;

	while (at < end && is_digit(*at))
		at++;
	return (size_t)(at - first);
}

static bool read_exponent(struct slice text, int32_t *exponent)
{
	const char *at = text.at, *end = at + text.len;
	bool negative = at < end && *at == '-';
	int64_t sum = 0;

	if (at < end && (*at == '-' || *at == '+'))
		at++;
	if (at == end)
		return false;
	for (; at < end; at++)
		if (!is_digit(*at) || __builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_sub_overflow(sum, *at - '0', &sum))
			return false;
	if (!negative && __builtin_sub_overflow(0, sum, &sum))
		return false;
	*exponent = (int32_t)(uint32_t)(uint64_t)sum; /* the lower half counts, as there */
	return true;
}

static bool read_suffix(struct slice text, struct parts *parts)
{
	static const struct {
		const char *name;
		int32_t exponent;
	} decimal[] = {{"", 0}, {"n", -9}, {"u", -6}, {"m", -3}, {"k", 3}, {"M", 6}, {"G", 9}, {"T", 12}, {"P", 15},
	    {"E", 18}},
	  binary[] = {{"Ki", 10}, {"Mi", 20}, {"Gi", 30}, {"Ti", 40}, {"Pi", 50}, {"Ei", 60}};

	for (size_t i = 0; i < sizeof decimal / sizeof *decimal; i++) {
		if (!slice_is(text, decimal[i].name))
			continue;
		parts->format = DECIMAL;
		parts->exponent = decimal[i].exponent;
		return true;
	}
	for (size_t i = 0; i < sizeof binary / sizeof *binary; i++) {
		if (!slice_is(text, binary[i].name))
			continue;
		parts->format = BINARY;
		parts->exponent = binary[i].exponent;
		return true;
	}
	if (text.len < 2 || (text.at[0] != 'e' && text.at[0] != 'E'))
		return false;
	parts->format = DECIMAL;
	return read_exponent((struct slice){text.at + 1, text.len - 1}, &parts->exponent);
}

static bool split(struct slice text, struct parts *parts)
{
	const char *at = text.at, *end = at + text.len, *first;

	if (text.len == 0)
		return false;
	*parts = (struct parts){.negative = *at == '-'};
	if (*at == '-' || *at == '+')
		at++;
	first = at;
	while (at < end && *at == '0')
		at++;
	parts->any_digit = at > first;
	parts->whole = (struct slice){at, count_digits(at, end)};
	at += parts->whole.len;
	if (at < end && *at == '.') {
		parts->fraction = (struct slice){at + 1, count_digits(at + 1, end)};
		at += 1 + parts->fraction.len;
	}
	parts->any_digit |= parts->whole.len > 0 || parts->fraction.len > 0;
	if (parts->whole.len == 0)
		parts->whole = slice_of("0");
	return read_suffix((struct slice){at, (size_t)(end - at)}, parts);
}

/* int32 arithmetic that wraps, for exponents that nobody writes. */
static int32_t wrap_sub(int32_t a, int64_t b)
{
	return (int32_t)(uint32_t)((uint64_t)(int64_t)a - (uint64_t)b);
}

static bool as_scaled(const struct parts *parts, struct scaled *scaled)
{
	int64_t precision, factor = 1;
	size_t digits = parts->whole.len + parts->fraction.len;

	scaled->scale = 0;
	if (parts->format == DECIMAL) {
		precision = SHORT_DIGITS_MAX - (int64_t)digits;
		scaled->scale = parts->exponent;
	} else {
		if (parts->fraction.len > 0)
			return false;
		precision = 15 - (int64_t)parts->whole.len - parts->exponent * 3 / 10 - 1;
		factor = INT64_C(1) << parts->exponent;
	}
	scaled->scale = wrap_sub(scaled->scale, (int64_t)parts->fraction.len);
	if (precision < 0 || scaled->scale < NANO_SCALE)
		return false;
	scaled->value = 0;
	for (size_t i = 0; i < digits; i++)
		scaled->value = scaled->value * 10 +
		                (i < parts->whole.len ? parts->whole.at[i] : parts->fraction.at[i - parts->whole.len]) -
		                '0';
	if (__builtin_mul_overflow(scaled->value, factor, &scaled->value))
		return false;
	if (parts->negative)
		scaled->value = -scaled->value;
	return true;
}

/* What is left of value x 10^steps when it does not fit: steps that the original takes at once wrap, others give 0. */
static int64_t overflown(int64_t value, int32_t steps)
{
	uint64_t product = (uint64_t)value;

	if (steps > 9 || (steps > 3 && steps % 3 != 0))
		return 0;
	for (int32_t i = 0; i < steps; i++)
		product *= 10;
	return (int64_t)product;
}

/* value / 10^scale, rounded away from zero. */
static int64_t scaled_at(const struct scaled *scaled, int32_t scale)
{
	int64_t value = scaled->value;
	bool fraction = false;

	for (int32_t at = scaled->scale; at < scale; at++) {
		fraction |= value % 10 != 0;
		value /= 10;
	}
	if (fraction)
		return scaled->value > 0 ? value + 1 : value - 1;
	for (int32_t at = scaled->scale; at > scale && value != 0; at--)
		if (__builtin_mul_overflow(value, 10, &value))
			return overflown(scaled->value, scaled->scale - scale);
	return value;
}

/* A number of nanos of any length, magnitude and sign apart. */
struct nanos {
	bool negative;
	bool huge;                 /* does not fit in `exact` */
	quantity_nano exact;       /* 0..QUANTITY_NANO_MAX, unless huge */
	uint64_t low;              /* modulo 2^64 */
	uint64_t unit, thousandth; /* quotients by 10^9 and 10^6, modulo 2^64 */
	uint64_t unit_rest, thousandth_rest;
	bool capped; /* binary beyond int64: counts as INT64_MAX whole units */
};

/* Digit `i` of the whole number that whole and fraction make up; 0 beyond. */
static unsigned digit_at(const struct parts *parts, int64_t i)
{
	if (i < (int64_t)parts->whole.len)
		return (unsigned)(parts->whole.at[i] - '0');
	i -= (int64_t)parts->whole.len;
	return i < (int64_t)parts->fraction.len ? (unsigned)(parts->fraction.at[i] - '0') : 0;
}

static void nanos_push(struct nanos *nanos, unsigned digit)
{
	uint64_t unit_digit, thousandth_digit;

	nanos->low = nanos->low * 10 + digit;
	nanos->unit_rest = nanos->unit_rest * 10 + digit;
	unit_digit = nanos->unit_rest / 1000000000;
	nanos->unit_rest %= 1000000000;
	nanos->unit = nanos->unit * 10 + unit_digit;
	nanos->thousandth_rest = nanos->thousandth_rest * 10 + digit;
	thousandth_digit = nanos->thousandth_rest / 1000000;
	nanos->thousandth_rest %= 1000000;
	nanos->thousandth = nanos->thousandth * 10 + thousandth_digit;
	if (!nanos->huge) {
		nanos->exact = nanos->exact * 10 + digit;
		nanos->huge = nanos->exact > QUANTITY_NANO_MAX;
	}
}

static void nanos_round_up(struct nanos *nanos)
{
	nanos->low++;
	if (++nanos->unit_rest == 1000000000) {
		nanos->unit_rest = 0;
		nanos->unit++;
	}
	if (++nanos->thousandth_rest == 1000000) {
		nanos->thousandth_rest = 0;
		nanos->thousandth++;
	}
	if (!nanos->huge)
		nanos->huge = ++nanos->exact > QUANTITY_NANO_MAX;
}

/* digits x 10^(exponent + 9), cut behind the last whole nano and rounded up. */
static void decimal_nanos(const struct parts *parts, struct nanos *nanos)
{
	int64_t digits = (int64_t)(parts->whole.len + parts->fraction.len);
	int64_t shift = (int64_t)wrap_sub(parts->exponent, (int64_t)parts->fraction.len) - NANO_SCALE;
	int64_t kept = digits + shift, first = 0;
	bool rest = false;

	for (; first < digits && first < kept; first++)
		nanos_push(nanos, digit_at(parts, first));
	for (int64_t i = first; i < digits && !rest; i++)
		rest = digit_at(parts, i) != 0;
	/* All that is seen of zeros behind the digits is gone after so many of them. */
	for (int64_t i = 0; i < shift && i < EXPONENT_STEPS_MAX + 18; i++)
		nanos_push(nanos, 0);
	if (rest)
		nanos_round_up(nanos);
}

/* digits x 2^exponent, to the nano, rounded up; at most INT64_MAX units. */
static void binary_nanos(const struct parts *parts, struct nanos *nanos)
{
	quantity_nano unit = QUANTITY_NANO << parts->exponent, part = 0, whole = 0,
	              limit = INT64_MAX >> parts->exponent;
	bool rest = false;

	for (size_t i = 0; i < parts->whole.len && whole <= limit; i++)
		whole = whole * 10 + (parts->whole.at[i] - '0');
	if (whole > limit) {
		nanos->capped = true;
		return;
	}
	/* From the last digit to the first, each time a tenth: what is cut off on the way can only be a part of a nano.
	 */
	for (size_t i = parts->fraction.len; i-- > 0;) {
		part += (parts->fraction.at[i] - '0') * unit;
		rest |= part % 10 != 0;
		part /= 10;
	}
	part += whole * unit + rest;
	if (part > QUANTITY_NANO_MAX) {
		nanos->capped = true;
		return;
	}
	nanos->exact = part;
	nanos->low = (uint64_t)part;
	nanos->unit = (uint64_t)(part / QUANTITY_NANO);
	nanos->unit_rest = (uint64_t)(part % QUANTITY_NANO);
	nanos->thousandth = (uint64_t)(part / 1000000);
	nanos->thousandth_rest = (uint64_t)(part % 1000000);
}

/* Rounded up; a negative number is cut to 64 bits first, as the original does. */
static int64_t nanos_at(const struct nanos *nanos, uint64_t quotient, uint64_t rest, int64_t divisor)
{
	int64_t low = (int64_t)(0 - nanos->low);

	if (!nanos->negative)
		return (int64_t)(quotient + (rest != 0));
	return low / divisor + (low % divisor != 0);
}

/* False when there is no number before the suffix. */
static bool as_nanos(const struct parts *parts, struct nanos *nanos)
{
	*nanos = (struct nanos){.negative = parts->negative};
	if (!parts->any_digit)
		return false;
	if (parts->format == DECIMAL)
		decimal_nanos(parts, nanos);
	else
		binary_nanos(parts, nanos);
	return true;
}

bool quantity_parse(struct slice text, int64_t *value, int64_t *milli)
{
	struct parts parts;
	struct scaled scaled;
	struct nanos nanos;
	int64_t values[2];

	if (!split(text, &parts))
		return false;
	if (as_scaled(&parts, &scaled)) {
		values[0] = scaled_at(&scaled, 0);
		values[1] = scaled_at(&scaled, MILLI_SCALE);
	} else if (!as_nanos(&parts, &nanos)) {
		return false;
	} else if (nanos.capped) {
		values[0] = parts.negative ? -INT64_MAX : INT64_MAX;
		values[1] = (int64_t)((uint64_t)values[0] * 1000);
	} else {
		values[0] = nanos_at(&nanos, nanos.unit, nanos.unit_rest, 1000000000);
		values[1] = nanos_at(&nanos, nanos.thousandth, nanos.thousandth_rest, 1000000);
	}
	if (value)
		*value = values[0];
	if (milli)
		*milli = values[1];
	return true;
}

static quantity_nano scaled_nanos(const struct scaled *scaled)
{
	quantity_nano nano = scaled->value;

	for (int32_t at = scaled->scale; at > NANO_SCALE && nano != 0 && nano <= QUANTITY_NANO_MAX; at--)
		nano *= 10;
	return nano > QUANTITY_NANO_MAX ? QUANTITY_NANO_MAX : nano;
}

bool quantity_parse_nano(struct slice text, quantity_nano *nano)
{
	struct parts parts;
	struct scaled scaled;
	struct nanos nanos;

	if (!split(text, &parts))
		return false;
	if (as_scaled(&parts, &scaled)) {
		if (scaled.value < 0)
			return false;
		*nano = scaled_nanos(&scaled);
		return true;
	}
	if (!as_nanos(&parts, &nanos) || (parts.negative && (nanos.exact != 0 || nanos.huge || nanos.capped)))
		return false;
	*nano = nanos.huge || nanos.capped ? QUANTITY_NANO_MAX : nanos.exact;
	return true;
}

static int64_t divide_up(quantity_nano nano, quantity_nano unit)
{
	quantity_nano quotient = nano / unit + (nano % unit != 0);

	return quotient > INT64_MAX ? INT64_MAX : (int64_t)quotient;
}

int64_t quantity_nano_value(quantity_nano nano)
{
	return divide_up(nano, QUANTITY_NANO);
}

int64_t quantity_nano_milli(quantity_nano nano)
{
	return divide_up(nano, QUANTITY_NANO / 1000);
}
