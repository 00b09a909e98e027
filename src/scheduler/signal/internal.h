/* What the files of signals share: readings by the policy's signals, and where they come from. Nothing of it is there
 * while the policy has none. */
#ifndef SCHEDULER_SIGNAL_INTERNAL_H
#define SCHEDULER_SIGNAL_INTERNAL_H

#include "cluster/autoscaler.h"
#include "http/client.h"
#include "scheduler/signal/signal.h"

struct signals;

/* The call that asks one query. */
struct signal_ask {
	struct signals *signals;
	size_t at; /* of the policy's signals */
	struct http_call *call;
	bool warned;
};

/* Pods of one controller that an autoscaler may scale. */
struct signal_target {
	char *key; /* NAMESPACE/KIND/NAME */
	uint16_t class_;
	int32_t pods_each; /* of one replica */
	int64_t gpus_each; /* of one pod, by the one seen last */
	size_t count, bound;
};

struct signals {
	struct scheduler *s;
	struct signal_reading readings[POLICY_SIGNALS_MAX];
	char *troubles[POLICY_SIGNALS_MAX];    /* why there is no new value, or NULL */
	int64_t peaked_ns[POLICY_SIGNALS_MAX]; /* when the peak was last on, by clock_now; 0 = never */

	/* pods, by pods.c */
	struct map pods;    /* UID → struct signal_pod */
	struct map targets; /* key → struct signal_target */
	bool listed;        /* all pods were shown: before, some of a target's may be missing here alone */
	int64_t pending_gpus[POLICY_CLASSES_MAX];

	/* autoscalers, by autoscalers.c */
	struct autoscalers *autoscalers;
	struct kube_watch *watch;
	unsigned refused; /* status of its list, 403 or 404; 0 = it may be read */

	/* queries, by query.c */
	struct http_client *client;
	uint64_t authorities; /* hash of those that the client trusts */
	struct signal_ask asks[POLICY_SIGNALS_MAX];
	int64_t ask_ns; /* no sooner again */
};

/* signal.c */
void signal_value(struct signals *signals, size_t at, double value, int64_t at_ns);
/* Says why there is none; NULL: there is. The text is copied. */
void signal_trouble(struct signals *signals, size_t at, const char *why);
bool signal_has(const struct signals *signals, enum signal_source source);
/* Reads what there is to read, and headroom follows. */
void signals_look(struct scheduler *s);

/* pods.c */
void signal_pods_drop(struct signals *signals);
const struct signal_target *signal_target_find(
    const struct signals *signals, const char *namespace_, const char *kind, const char *name);

/* autoscalers.c: watched only while a signal goes by them */
void signal_autoscalers_follow(struct signals *signals);
void signal_autoscalers_look(struct signals *signals);
void signal_autoscalers_close(struct signals *signals);

/* query.c */
void signal_query_look(struct signals *signals);
/* What is under way is never answered. */
void signal_query_close(struct signals *signals);

#endif
