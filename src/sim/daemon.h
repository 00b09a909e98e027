/* A `berth serve` child of this process: started, waited for until it is ready, and ended. Its log goes to a file. */
#ifndef SIM_DAEMON_H
#define SIM_DAEMON_H

#include <uv.h>

#include "http/client.h"

#define SIM_STATE_MAX (64u << 20)

struct sim_daemon;

struct sim_daemon_options {
	const char *policy, *kubeconfig, *log; /* paths */
	/* The child answers its readiness probe. */
	void (*ready)(void *ctx);
	/* It has ended, unasked, before or after it was ready; `text` says how. */
	void (*died)(void *ctx, const char *text);
	void *ctx;
};

BERTH_MUST_CHECK struct sim_daemon *sim_daemon_start(
    uv_loop_t *loop, const struct sim_daemon_options *options, struct err *err);
/* "http://127.0.0.1:PORT/v1" of the verbs. */
const char *sim_daemon_verbs(const struct sim_daemon *daemon);
/* GET of a path of the ops listener; the body is empty when it failed. */
void sim_daemon_get(struct sim_daemon *daemon, const char *path, void (*done)(void *ctx, struct slice body), void *ctx);
/* SIGTERM, and SIGKILL after three seconds; frees when the child is gone. No callback comes any more. */
void sim_daemon_stop(struct sim_daemon *daemon);

#endif
