#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

bool options_duration(const char *text, int64_t *ns)
{
	int64_t total = 0;
	if (*text == '\0')
		return false;
	while (*text != '\0') {
		char *end;
		double value = strtod(text, &end);
		int64_t unit = strncmp(end, "ms", 2) == 0 ? NS_PER_MS
		               : *end == 's'              ? NS_PER_S
		               : *end == 'm'              ? 60 * NS_PER_S
		               : *end == 'h'              ? 3600 * NS_PER_S
		                                          : 0;
		if (end == text || unit == 0 || value < 0 || value > 1e6)
			return false;
		total += (int64_t)(value * (double)unit);
		text = end + (unit == NS_PER_MS ? 2 : 1);
	}
	*ns = total;
	return total > 0;
}

bool options_level(const char *text)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	for (int i = 0; i < 4; i++) {
		if (strcmp(text, names[i]) == 0) {
			log_set_level((enum log_level)i);
			return true;
		}
	}
	return false;
}
