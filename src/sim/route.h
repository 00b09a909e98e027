/* A request's path → what it names. */
#ifndef SIM_ROUTE_H
#define SIM_ROUTE_H

#include "sim/store.h"

#define SIM_NAME_MAX 253

enum sim_sub { SIM_SUB_NONE, SIM_SUB_STATUS, SIM_SUB_BINDING, SIM_SUB_EVICTION };

struct sim_route {
	enum sim_resource resource;
	enum sim_sub sub;
	char namespace_[SIM_NAME_MAX + 1]; /* "" = all, or a resource without */
	char name[SIM_NAME_MAX + 1];       /* "" = the collection */
};

/* False: there is no such resource here (404). */
bool sim_route_parse(struct slice path, struct sim_route *route);
/* Whether it names a group and version of which there is something, and nothing of it. */
bool sim_route_is_group(struct slice path);

#endif
