/* fieldSelector of lists and watches: terms joined by commas, `field=value`, `field==value`, `field!=value`, on the
 * fields that a version carries; and labelSelector of lists: one `key` or `key=value`. */
#ifndef SIM_SELECTOR_H
#define SIM_SELECTOR_H

#include "sim/version.h"

#define SIM_SELECTOR_TERMS_MAX 8
#define SIM_SELECTOR_TEXT_MAX 512

struct sim_selector {
	char namespace_[256]; /* of the path; "" = all */
	size_t count;
	struct sim_selector_term {
		char field[64], value[256];
		bool equal;
	} terms[SIM_SELECTOR_TERMS_MAX];
	char label[320], label_value[64]; /* label "" = any */
	bool label_any;                   /* whatever its value */
};

/* text NULL or "" selects everything. ERR_INPUT for a field that is not known, ERR_TOO_LARGE. */
BERTH_MUST_CHECK int sim_selector_parse(
    struct sim_selector *selector, const char *namespace_, const char *text, struct err *err);
/* ERR_INPUT for what is neither `key` nor `key=value`. */
BERTH_MUST_CHECK int sim_selector_add_label(struct sim_selector *selector, const char *text, struct err *err);
bool sim_selector_matches(const struct sim_selector *selector, const struct sim_version *version);

#endif
