/* The judge: looks at the store alone and counts bindings that gave a node more than it can allocate. It keeps its own
 * sums, apart from the view's and from berth's. A node that shrinks below what runs on it is no violation; another pod
 * put on it is. */
#ifndef SIM_AUDIT_H
#define SIM_AUDIT_H

#include "sim/store.h"

struct sim_audit;

struct sim_audit *sim_audit_new(struct sim_store *store);
void sim_audit_free(struct sim_audit *audit);
unsigned long sim_audit_bindings(const struct sim_audit *audit);
unsigned long sim_audit_violations(const struct sim_audit *audit);
/* The first violation, one line, or "". */
const char *sim_audit_first(const struct sim_audit *audit);

#endif
