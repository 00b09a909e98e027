#include "sim/route.h"

#include <stdio.h>

/* The next segment of a path, without its slash. */
static struct slice next_segment(struct slice *path)
{
	struct slice segment = {path->at, 0};

	if (path->len == 0)
		return segment;
	segment.at = path->at + 1;
	while (segment.len + 1 < path->len && segment.at[segment.len] != '/')
		segment.len++;
	path->at += segment.len + 1;
	path->len -= segment.len + 1;
	return segment;
}

static bool take_name(struct slice segment, char out[SIM_NAME_MAX + 1])
{
	if (segment.len == 0 || segment.len > SIM_NAME_MAX || memchr(segment.at, '\0', segment.len))
		return false;
	memcpy(out, segment.at, segment.len);
	out[segment.len] = '\0';
	return true;
}

/* The prefix of a group and version: "v1", "batch/v1". */
static bool take_group(struct slice *path, char out[64])
{
	struct slice first = next_segment(path);

	if (slice_is(first, "api")) {
		struct slice version = next_segment(path);

		snprintf(out, 64, "%.*s", (int)version.len, version.at);
		return true;
	}
	if (!slice_is(first, "apis"))
		return false;
	struct slice group = next_segment(path), version = next_segment(path);

	snprintf(out, 64, "%.*s/%.*s", (int)group.len, group.at, (int)version.len, version.at);
	return true;
}

static bool is_in(enum sim_resource resource, const char *group)
{
	return strcmp(group, sim_resources[resource].group_version) == 0 ||
	       (resource == SIM_EVENTS && strcmp(group, "events.k8s.io/v1") == 0) ||
	       (resource == SIM_WORKLOADS && strcmp(group, "kueue.x-k8s.io/v1beta1") == 0);
}

static bool find_resource(const char *group, struct slice plural, enum sim_resource *resource)
{
	for (unsigned i = 0; i < SIM_RESOURCE_COUNT; i++) {
		if (slice_is(plural, sim_resources[i].plural) && is_in((enum sim_resource)i, group)) {
			*resource = (enum sim_resource)i;
			return true;
		}
	}
	return false;
}

static bool find_sub(const struct sim_route *route, struct slice sub, enum sim_sub *out)
{
	bool pods = route->resource == SIM_PODS;

	if (slice_is(sub, "status") && route->resource != SIM_EVENTS && route->resource != SIM_CONFIGMAPS)
		*out = SIM_SUB_STATUS;
	else if (slice_is(sub, "binding") && pods)
		*out = SIM_SUB_BINDING;
	else if (slice_is(sub, "eviction") && pods)
		*out = SIM_SUB_EVICTION;
	else
		return false;
	return true;
}

bool sim_route_is_group(struct slice path)
{
	char group[64];

	if (!take_group(&path, group) || path.len > 0)
		return false;
	for (unsigned i = 0; i < SIM_RESOURCE_COUNT; i++)
		if (is_in((enum sim_resource)i, group))
			return true;
	return false;
}

bool sim_route_parse(struct slice path, struct sim_route *route)
{
	char group[64];

	*route = (struct sim_route){.sub = SIM_SUB_NONE};
	if (!take_group(&path, group))
		return false;
	struct slice segment = next_segment(&path);

	if (slice_is(segment, "namespaces")) {
		if (!take_name(next_segment(&path), route->namespace_))
			return false;
		segment = next_segment(&path);
	}
	if (!find_resource(group, segment, &route->resource))
		return false;
	if (!sim_resources[route->resource].namespaced && route->namespace_[0])
		return false;
	if (path.len == 0)
		return true;
	if (!take_name(next_segment(&path), route->name))
		return false;
	if (sim_resources[route->resource].namespaced && !route->namespace_[0])
		return false;
	return path.len == 0 || (find_sub(route, next_segment(&path), &route->sub) && path.len == 0);
}
