/* What the planner is asked for a gang. Texts and pods are those of the gang and its members: they live until one of
 * them changes. */
#ifndef SCHEDULER_GANG_ASK_H
#define SCHEDULER_GANG_ASK_H

#include "berth/plan.h"
#include "scheduler/internal.h"

#define GANG_LEVEL_LINE_MAX 512

struct gang_asking {
	struct gang_member **of; /* the member of each row */
	struct plan_member *members;
	struct plan_group groups[PLAN_GROUPS_MAX];
	struct plan_request request;
	const char *unknown_level; /* one that it names and the policy does not have, or NULL */
};

/* With REASON_CODE_LEVEL_MISSING: which level that is, and where it should stand; false where it is not to be told. */
bool gang_level_line(const struct scheduler *s, const struct gang_asking *asking, struct buf *out);
/* For at least `quorum` members. False where it names a level that the policy does not have. To be freed by gang_asked
 * in either case. */
bool gang_ask(const struct scheduler *s, const struct gang *gang, size_t quorum, struct gang_asking **out);
void gang_asked(struct gang_asking *asking);

#endif
