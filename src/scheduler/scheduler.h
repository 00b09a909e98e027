/* The controller that drives pods along their roads: it feeds the fleet from the watches, answers the verbs with the
 * core's decisions, posts Bindings, wakes and hints pods, keeps the policy file in force. It ties the rooms together;
 * it decides nothing itself. */
#ifndef SCHEDULER_SCHEDULER_H
#define SCHEDULER_SCHEDULER_H

#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "cluster/catalogue.h"
#include "kube/config.h"

#define SCHEDULER_NAME "berth" /* spec.schedulerName of the pods that are ours */

struct scheduler;

struct scheduler_options {
	const char *policy_file;
	const struct kube_config *kube;
	const struct catalogue *catalogue; /* outlives the scheduler */
	const char *listen, *listen_ops;
	const char
	    *moves; /* NAMESPACE/NAME of the ConfigMap that moves are written to; NULL: berth-moves in namespace_ */
	const char *namespace_;             /* where Events about berth itself go */
	int64_t reservation_ttl_ns;         /* from filter to bind */
	int64_t reservation_ttl_volumes_ns; /* the same for pods whose volumes or claims are bound in between */
	const char *lease;         /* NAMESPACE/NAME of kube-scheduler's Lease; NULL: this berth is always active */
	const char *identity;      /* the host's name, as kube-scheduler beside it has it */
	int64_t renew_deadline_ns; /* kube-scheduler's; 0 = 10 s */
	const char *usage; /* NAMESPACE/NAME of the ConfigMap of what teams spend; NULL: berth-usage in namespace_ */
	const char *active_lease; /* NAMESPACE/NAME of the Lease that an active berth renews; NULL = none */
	/* Another berth leads now: the scheduler is to be stopped, and a new one started. Needed with a lease. */
	void (*lost)(void *ctx);
	void *lost_ctx;
};

/* Everything is started when this returns, the first lists are under way. The error says what to do: a policy that is
 * not valid (ERR_INPUT, its report is already on stderr), an address that cannot be listened on. */
BERTH_MUST_CHECK struct scheduler *scheduler_start(
    uv_loop_t *loop, const struct scheduler_options *options, struct err *err);
unsigned scheduler_port(const struct scheduler *scheduler);
unsigned scheduler_ops_port(const struct scheduler *scheduler);
/* Reads the policy file again now, whatever its time says. */
void scheduler_reload(struct scheduler *scheduler);
/* Answers what is parked, closes everything; the loop runs empty and the scheduler is freed when `done` is called. */
void scheduler_stop(struct scheduler *scheduler, void (*done)(void *ctx), void *ctx);

#endif
