/* The API server look-alike: HTTP on loopback over a store. Serves pods, nodes, jobs, events and configmaps as
 * kube-apiserver does where berth and its tests look (README.md says how far), and /sim/faults and /sim/stats of its
 * own.
 *
 * One libuv loop; the store must outlive it. */
#ifndef SIM_API_H
#define SIM_API_H

#include <uv.h>

#include "sim/fault.h"
#include "sim/store.h"

#define SIM_BODY_MAX (3u << 20)      /* a real server's bound on a request */
#define SIM_ANSWER_MAX (1024u << 20) /* bytes of one list */
#define SIM_CONNECTIONS_MAX 1024

struct sim_api;

struct sim_api_options {
	const char *listen;   /* NULL = 127.0.0.1:0 */
	const char *token;    /* bearer token to ask for; NULL = none */
	unsigned bookmark_ms; /* between bookmarks of a watch; 0 = 5000 */
};

struct sim_api_stats {
	unsigned long list, get, create, update, patch, remove, bind, evict, watch, refused;
};

BERTH_MUST_CHECK struct sim_api *sim_api_start(
    uv_loop_t *loop, struct sim_store *store, const struct sim_api_options *options, struct err *err);
unsigned sim_api_port(const struct sim_api *api);
/* Ends all watches and requests; frees when all is closed and calls done. */
void sim_api_stop(struct sim_api *api, void (*done)(void *ctx), void *ctx);

struct sim_api_stats sim_api_stats(const struct sim_api *api);
size_t sim_api_watches(const struct sim_api *api);

/* --- faults --- */
struct sim_faults *sim_api_faults(struct sim_api *api);
/* Cuts every watch, as a restarted or overloaded server does. */
void sim_api_drop_watches(struct sim_api *api);
/* Events reach the watches this much later. */
void sim_api_set_watch_lag(struct sim_api *api, unsigned lag_ms);
/* Lets go on what a rule holds. */
void sim_api_release(struct sim_api *api);

#endif
