/* The shape of a pod: bytes that are equal for pods that no step of judge can tell apart on any node. Who groups pods
 * by more than that appends it. */
#ifndef CORE_SHAPE_H
#define CORE_SHAPE_H

#include "berth/fleet.h"
#include "berth/pod.h"

/* A zeroed one is empty. */
struct shape_key {
	char *at;
	size_t len, room;
};

void shape_key_free(struct shape_key *key);
void shape_key_bytes(struct shape_key *key, const void *bytes, size_t len);
void shape_key_number(struct shape_key *key, int64_t number);
void shape_key_text(struct shape_key *key, const char *text);
void shape_key_selector(struct shape_key *key, const struct selector *selector);
/* Everything that judge_node looks at. */
void shape_key_pod(struct shape_key *key, const struct fleet *fleet, const struct pod *pod);

/* Which nodes it selects and what it tolerates: a part of the above. */
void shape_key_where(struct shape_key *key, const struct pod *pod);
/* What it asks of other pods, which no single decision looks at. */
void shape_key_asks(struct shape_key *key, const struct pod *pod);

#endif
