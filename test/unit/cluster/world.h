/* What tests of objects with amounts share: the names of resources, new for each test. */
#ifndef UNIT_CLUSTER_WORLD_H
#define UNIT_CLUSTER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster/pod.h"

static struct resource_names names;

static int set_up(void **state)
{
	(void)state;
	resource_names_init(&names);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	resource_names_free(&names);
	return 0;
}

/* To be freed. */
static inline struct pod *decode_pod(const char *json, bool whole)
{
	struct err err;
	struct pod *pod = cluster_pod_decode(slice_of(json), &names, whole, &err);
	if (!pod)
		fail_msg("%s: %s", err.text, json);
	return pod;
}

#endif
