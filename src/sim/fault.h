/* The fault injector's rules: which requests get what instead of, or before, their answer. A rule is used up after its
 * number of times. Set in process, or by POST /sim/faults. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "berth/slice.h"

#define SIM_FAULT_RULES_MAX 64

struct sim_fault {
	char method[12];   /* "" = any */
	char path[256];    /* a part of the path; "" = any */
	unsigned times;    /* requests still to be hit */
	unsigned status;   /* answered with this and not carried out; 0 = carried out */
	int retry_after_s; /* header beside the status; -1 = none */
	unsigned delay_ms; /* waits before anything else */
	bool hold;         /* waits until released */
	bool cut;          /* carried out, and half of the answer written */
	bool drop;         /* carried out, and nothing answered */
};

struct sim_faults {
	size_t count;
	struct sim_fault rules[SIM_FAULT_RULES_MAX]; /* the first that matches is taken */
	unsigned long hits;
};

/* ERR_TOO_LARGE when there are too many rules. */
BERTH_MUST_CHECK int sim_fault_add(struct sim_faults *faults, const struct sim_fault *rule, struct err *err);
/* {"method","path","times","status","retryAfter","delayMs","hold","cut","drop"} */
BERTH_MUST_CHECK int sim_fault_from_json(struct sim_fault *rule, const json_t *json, struct err *err);
/* Uses up one time of the first rule that matches; false when none does. */
bool sim_fault_take(struct sim_faults *faults, struct slice method, struct slice path, struct sim_fault *rule);

#endif
