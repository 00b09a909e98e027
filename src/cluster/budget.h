/* PodDisruptionBudgets: how many of which pods may go. Fed by the watch on them. */
#ifndef CLUSTER_BUDGET_H
#define CLUSTER_BUDGET_H

#include <stdbool.h>

#include "base/err.h"
#include "berth/arena.h"
#include "berth/labels.h"

struct budgets;

struct budget {
	struct arena arena; /* owns all below and itself */
	const char *namespace_, *name;
	bool nobody;              /* no selector: of no pod */
	struct selector selector; /* empty is every pod of the namespace */
	int64_t allowed;          /* disruptions; 0 while its controller has not counted */
	uint64_t list;
};

struct budgets *budgets_new(void);
void budgets_free(struct budgets *budgets);
/* A list begins; budgets_synced forgets what was not put since. */
void budgets_begin(struct budgets *budgets);
void budgets_synced(struct budgets *budgets);
BERTH_MUST_CHECK int budgets_put(struct budgets *budgets, struct slice json, struct err *err);
BERTH_MUST_CHECK int budgets_remove(struct budgets *budgets, struct slice json, struct err *err);
size_t budgets_count(const struct budgets *budgets);
/* The budgets in an order by namespace and name, to be freed by the caller; the budgets themselves live until the next
 * change. */
const struct budget **budgets_all(const struct budgets *budgets, size_t *count);
bool budget_is_for(const struct budget *budget, const char *namespace_, const struct labels *labels);

#endif
