/* The pods that are ours and not yet bound, by UID, and those of them that nobody has asked about yet: the backlog, in
 * the order in which kube-scheduler takes them (priority, then age, then who was seen first), and the hinted, in the
 * order in which they left it. Owns the struct pods; the waiting list only points at them. */
#ifndef SCHEDULER_ROSTER_H
#define SCHEDULER_ROSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "berth/map.h"
#include "berth/pod.h"

/* What has become of the hint of a pod that nobody has asked about: its write is under way, or the watch has shown it.
 */
enum hint_state { HINT_NONE, HINT_COMING, HINT_LANDED };

struct tracked {
	struct pod *pod;
	uint32_t mark;    /* the list in which the watch last showed it; 0 = only a verb has named it so far */
	int64_t since_ns; /* when it came here */
	bool asked;       /* filter or bind was called for it, or its hint ran out: it leaves the backlog for good */
	bool returned;    /* room that was held for its return is its, or free */
	char **victims;   /* UIDs of the pods that are to make way for it on the node where it holds room, or NULL */
	size_t victim_count;
	char *hint;        /* the nominatedNodeName that berth wants there and has not taken back, or NULL */
	size_t backlog_at; /* place in the backlog's heap; SIZE_MAX = not in it */
	enum hint_state hint_state;
	int64_t landed_ns;
	TAILQ_ENTRY(tracked) link; /* among the hinted */
};

struct roster {
	struct map by_uid;
	struct tracked **backlog;
	size_t backlog_count, backlog_room;
	TAILQ_HEAD(, tracked) hinted;
};

struct roster *roster_new(void);
void roster_free(struct roster *roster);
struct tracked *roster_find(const struct roster *roster, struct slice uid);
/* Adds the pod, or replaces the one of its UID, which is handed back in *old for the caller to free once nothing points
 * at it. */
struct tracked *roster_put(struct roster *roster, struct pod *pod, int64_t now_ns, struct pod **old);
void roster_forget_victims(struct tracked *tracked);
/* Frees the tracked pod. */
void roster_remove(struct roster *roster, struct tracked *tracked);
size_t roster_count(const struct roster *roster);
/* In no order; start with *cursor = 0. */
struct tracked *roster_next(const struct roster *roster, size_t *cursor);

/* Puts it in line unless it is there. */
void roster_backlog_add(struct roster *roster, struct tracked *tracked);
void roster_backlog_remove(struct roster *roster, struct tracked *tracked);
/* The pod was asked about, or is as good as that: it leaves the backlog for good. */
void roster_asked(struct roster *roster, struct tracked *tracked);
/* Takes the first in line, or NULL. */
struct tracked *roster_backlog_pop(struct roster *roster);

/* A hint of a pod that was asked about is none. */
void roster_hint(struct roster *roster, struct tracked *tracked, enum hint_state state, int64_t now_ns);
/* The first of the hinted, or NULL. */
struct tracked *roster_hinted(const struct roster *roster);

#endif
