/* Teams on their way through the scheduler: whose turn it is in line, what people are told, and what was spent kept
 * where the next process finds it. The counting is berth/team.h's. */
#ifndef SCHEDULER_TEAM_H
#define SCHEDULER_TEAM_H

#include "berth/team.h"
#include "scheduler/internal.h"

#define TEAM_LINE_MAX 384 /* of team_bound_line: three names and numbers */

/* line.c: what gangs_order needs to know of each gang's team. To be called before the sort, and again where use
 * has changed. */
void team_rank(const struct scheduler *s, struct gang *const *line, size_t count);

/* show.c */
/* "team llm uses 254 of 256 h100, asks 8" */
void team_bound_line(const struct scheduler *s, const struct team_bound *bound, char text[TEAM_LINE_MAX]);
/* Whose namespace it is, as a further member; nothing without teams. */
void team_name(const struct scheduler *s, const char *namespace_, struct buf *out);
/* The bound in its way, as a further member. */
void team_explain(const struct scheduler *s, const struct team_bound *bound, struct buf *out);
/* A JSON list of what each team uses and may. */
void team_write_all(const struct scheduler *s, struct buf *out);
/* Pools of which more is guaranteed than there is: lines of /readyz, and a JSON list of texts. They walk the nodes. */
void team_ready(const struct scheduler *s, struct buf *out);
void team_write_short(const struct scheduler *s, struct buf *out);
void team_gather(struct scheduler *s);

/* book.c */
/* Another policy is in force. */
void team_follow(struct scheduler *s);
void team_on_timer(uv_timer_t *timer);
/* Before all writes end: true if one goes out yet, after which scheduler_stop is called again. */
bool team_book_last(struct scheduler *s);
void team_book_line(const struct scheduler *s, struct buf *out);
void team_book_close(struct scheduler *s);

#endif
