/* What says that a class has load: what the other rooms call. Nothing is watched or asked while the policy names no
 * signal. */
#ifndef SCHEDULER_SIGNAL_SIGNAL_H
#define SCHEDULER_SIGNAL_SIGNAL_H

#include "scheduler/internal.h"

/* Another policy is in force; the one before, or NULL, is still there. */
void signals_policy(struct scheduler *s, const struct policy *before);
/* What followed signals before that say the same by both policies goes on. */
void signals_keep_follows(
    struct scheduler *s, const struct policy *before, const struct signal_follow follows[POLICY_HEADROOMS_MAX]);
/* There is a client. */
void signals_start(struct scheduler *s);
/* The watch shows a pod of ours that has not ended; one is gone. */
void signals_saw(struct scheduler *s, const struct pod *pod);
void signals_gone(struct scheduler *s, struct slice uid);
/* All pods were shown. */
void signals_listed(struct scheduler *s);
/* Floors by what was read: before each choice of nodes, for they go by what classes use, too. */
void signals_follow(struct scheduler *s);
/* Whether no signal of the class says that its peak is on, or has said so for so long. */
bool signals_calm(const struct scheduler *s, const char *class_name, int64_t for_ns);
void signals_close(struct scheduler *s);
/* Lines of /readyz, a list for JSON, and the metrics; which of them a rule of headroom follows, as a member. */
void signals_report(const struct scheduler *s, struct buf *out);
void signals_write(const struct scheduler *s, struct buf *out);
void signals_gather(struct scheduler *s);
void signals_write_follow(const struct scheduler *s, size_t rule, struct buf *out);

#endif
