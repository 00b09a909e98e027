/* A fleet file (config/fleet.yaml shows all of it): models, racks of nodes, and what happens to nodes at which second.
 */
#ifndef SIM_FLEET_H
#define SIM_FLEET_H

#include "base/yaml.h"
#include "sim/nodes.h"

#define SIM_FLEET_NODES_MAX 10000 /* nodes in one rack entry */

struct sim_fleet_rack {
	const char *name, *block, *model;
	struct sim_node_kind kind;
	int64_t nodes;
	const char *taint_key, *taint_value, *taint_effect; /* key NULL = none */
};

struct sim_happening {
	double at_s;
	const char *node;
	const char *condition, *status; /* or … */
	int64_t gpus_lost;              /* ≥ 0, or … */
	int cordon;                     /* 1 or 0; -1 = neither */
};

struct sim_fleet {
	struct arena arena;
	size_t rack_count;
	struct sim_fleet_rack *racks;
	size_t happening_count;
	struct sim_happening *happenings; /* by time */
	size_t played;
};

/* Strict: an unknown key, a missing one or a bad value is ERR_INPUT at FILE:LINE:COLUMN. */
BERTH_MUST_CHECK struct sim_fleet *sim_fleet_load(struct slice text, const char *file, struct err *err);
void sim_fleet_free(struct sim_fleet *fleet);
/* Makes its nodes. */
BERTH_MUST_CHECK int sim_fleet_make(const struct sim_fleet *fleet, struct sim_store *store, struct err *err);
/* Does what is due at this second and not yet done, one at a time: false when nothing is. `what` gets a line for
 * people. */
bool sim_fleet_play(struct sim_fleet *fleet, struct sim_store *store, double second, char *what, size_t room);

#endif
