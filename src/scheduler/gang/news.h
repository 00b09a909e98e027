/* What people are told of gangs without asking: Events, and a line on gated members. Kept of each gang by its key: why
 * its last plan failed, which Events are due, which line stands on its pods. All of it may be lost with the process.
 *
 * A PATCH of a gated pod wakes nobody, so only those get the line. Everything goes out by a timer, a bounded part of it
 * in a second, and the line of one gang changes every ten seconds at most. */
#ifndef SCHEDULER_GANG_NEWS_H
#define SCHEDULER_GANG_NEWS_H

#include "scheduler/gang/ask.h"
#include "scheduler/team/team.h"

#define GANG_LINE_MAX 1280
#define GANG_LEVEL_TEXT_MAX 64
#define GANG_DOMAIN_TEXT_MAX 256

/* Why the last plan failed, at the level that the gang requires, or in the whole fleet. */
struct gang_shortage {
	enum reason why;                                               /* FITS: there was no such plan */
	char level[GANG_LEVEL_TEXT_MAX], domain[GANG_DOMAIN_TEXT_MAX]; /* the best one; "" in the fleet */
	size_t takes, lacks;                                           /* members */
	enum reason blocking;
	char pod[GANG_DOMAIN_TEXT_MAX];    /* that is left standing, or "" */
	const char *resource;              /* what is short, or NULL */
	int64_t amount;                    /* of it, for the members that the domain lacks */
	char bound[TEAM_LINE_MAX];         /* what the team may not go over, or "" */
	char missing[GANG_LEVEL_LINE_MAX]; /* which level the topology lacks, or "" */
};

/* X(id, "Reason", "Type", "Action") */
#define GANG_EVENTS(X)                                                                                                 \
	X(UNKNOWN, "GangSizeUnknown", "Warning", "Gather")                                                             \
	X(INCOMPLETE, "GangIncomplete", "Warning", "Gather")                                                           \
	X(WAITING, "GangWaiting", "Warning", "Plan")                                                                   \
	X(PLANNED, "GangPlanned", "Normal", "Plan")                                                                    \
	X(WHOLE, "GangWhole", "Normal", "Bind")                                                                        \
	X(UNDONE, "GangUndone", "Warning", "Undo")

enum gang_event {
#define X(id, reason, type, action) GANG_EVENT_##id,
	GANG_EVENTS(X)
#undef X
	    GANG_EVENT_COUNT
};

struct gang_news {
	char *key;
	int64_t first_ns; /* of the gang: another one may come under its name */
	struct gang_shortage shortage;
	bool due[GANG_EVENT_COUNT];
	int64_t sent_ns[GANG_EVENT_COUNT]; /* 0 = not yet */
	enum reason sent_why;              /* of the last WAITING */
	size_t sent_present;               /* of the last INCOMPLETE */
	size_t taken_back;                 /* pods that were bound when it was last undone */
	char *line;                        /* what its gated members are to say, or NULL */
	int64_t looked_ns;                 /* when that was last thought about; 0 = not yet */
	bool unwritten;                    /* not all of them say it yet */
};

/* Makes it where there is none. */
struct gang_news *gang_news_of(struct scheduler *s, const struct gang *gang);

/* line.c: one line with numbers. `position` in line from 1 on, 0 = not in line. */
void gang_line(struct scheduler *s, const struct gang *gang, size_t position, struct buf *out);
/* "berth.dev/gang-size of worker-0 cannot be read"; false where nothing of the kind is in the way. */
bool gang_size_trouble(const struct gang *gang, struct buf *out);
/* "best block b2 holds 6 of 8 pods, lacks 16 nvidia.com/gpu" */
void gang_shortage_line(const struct gang_shortage *shortage, size_t quorum, struct buf *out);

/* event.c: sends the Events that are due; true if there were any. */
bool gang_event_send(struct scheduler *s, struct gang *gang, struct gang_news *news);

#endif
