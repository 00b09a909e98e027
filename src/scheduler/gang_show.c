/* Gangs as people and tools are shown them. */
#include <stdlib.h>

#include "scheduler/internal.h"
#include "scheduler/json.h"

enum reason gang_why(const struct gang *gang)
{
	if (gang_quorum(gang) == 0)
		return REASON_CODE_GANG_SIZE_UNKNOWN;
	if (!gang_is_complete(gang))
		return REASON_CODE_GANG_INCOMPLETE;
	return gang->why != REASON_CODE_FITS ? gang->why : REASON_CODE_GANG_GIVEN_BACK;
}

static bool waits(const struct gang *gang)
{
	return gang->state == GANG_GATHERING || gang->state == GANG_QUEUED;
}

void gang_write(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	int64_t now = clock_now();
	size_t quorum = gang_quorum(gang), present = gang_present(gang);
	(void)s;
	member(out, "namespace", gang->namespace_);
	buf_char(out, ',');
	member(out, "name", gang->name);
	buf_char(out, ',');
	member(out, "state", gang_state_name(gang->state));
	buf_char(out, ',');
	member(out, "code", waits(gang) ? reason_code(gang_why(gang)) : NULL);
	buf_printf(out, ",\"seconds\":%lld,\"quorum\":%zu,\"present\":%zu,\"missing\":%zu",
	    (long long)((now - gang->since_ns) / NS_PER_S), quorum, present, quorum > present ? quorum - present : 0);
	buf_printf(out, ",\"gated\":%zu,\"placed\":%zu,\"parked\":%zu,\"bound\":%zu,\"holes\":%zu,",
	    gang->in_state[GANG_GATED], gang->placed, gang->in_state[GANG_PARKED], gang->in_state[GANG_BOUND],
	    gang->hole_count);
	if (gang->deadline_ns != INT64_MAX)
		buf_printf(out, "\"deadlineInSeconds\":%lld,", (long long)((gang->deadline_ns - now) / NS_PER_S));
	member(out, "plan", gang->placed > 0 ? gang->plan : NULL);
}

static int in_order(const void *a, const void *b)
{
	return gangs_order(*(struct gang *const *)a, *(struct gang *const *)b);
}

void gang_write_all(const struct scheduler *s, struct buf *out)
{
	size_t cursor = 0, count = 0;
	struct gang **line = xcalloc(s->gangs->by_key.count + 1, sizeof *line);
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
		if (gang->count + gang->hole_count > 0)
			line[count++] = gang;
	qsort(line, count, sizeof *line, in_order);
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? ",\n{" : "\n{");
		gang_write(s, line[i], out);
		buf_char(out, '}');
	}
	free(line);
}
