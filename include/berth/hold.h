/* Domains kept for gangs that wait: a node that is held for one takes no pod that stands behind it in order. Pods that
 * run there run out, and those ahead of it still come.
 *
 * Where it is known when the gang will start, the nodes are kept from then on alone: until then they take pods behind
 * it, too, that end before by the run time expected of them, or that may be ended before by the right of the gang's
 * class. A promise would be worth little if what waits already broke it: singles of its priority stand behind it, too,
 * unless they are HOLD_ELDER older. Run times are guesses, so that this has an end (`until_ns`): a gang that has not
 * started by then gets its nodes kept free of everybody behind it, and of its own priority everybody who came later is,
 * whatever the class. */
#ifndef BERTH_HOLD_H
#define BERTH_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/gang.h"

#define HOLDS_MAX 8 /* bits of a node */
#define HOLD_ELDER INT64_C(3600000000000)

struct fleet;
struct node;
struct pod;

/* For whom, and where it stands in order: by priority, then class order, then age. */
struct node_hold {
	char *key; /* the caller's word for the gang; NULL = the place is free */
	enum gang_dialect dialect;
	char *namespace_, *name;
	int32_t priority;
	size_t class_order;
	size_t gang_class; /* index into the policy in force, for its rights; beyond its classes: none */
	int64_t created_ns;
	int64_t start_ns; /* when it is to start, by the caller's clock; 0 = not known */
	int64_t until_ns; /* nobody behind it comes any more from then on */
	int64_t left_ns;  /* until the start, as hold_pass has it; 0 = nobody behind it comes */
};

/* Texts are copied. The place it got, or HOLDS_MAX when all are taken. */
size_t hold_begin(struct fleet *fleet, const struct node_hold *hold);
void hold_node(struct fleet *fleet, size_t place, struct node *node);
/* Its nodes count as improved. */
void hold_end(struct fleet *fleet, size_t place);
/* When its gang is to start, and until when others come before it. Its nodes count as improved where that is later. */
void hold_time(struct fleet *fleet, size_t place, int64_t start_ns, int64_t until_ns, int64_t now_ns);
/* Until when others come before a gang that was promised a start: half as long again as the promise was, and
 * HOLD_SLIP_LEAST after it at least. */
#define HOLD_SLIP_LEAST INT64_C(5000000000)
int64_t hold_until(int64_t promised_ns, int64_t promised_at_ns);
/* Whether a start elsewhere is so much sooner that the hold is worth to be given up for it: by a tenth of the wait, and
 * by HOLD_SOONER_LEAST. */
#define HOLD_SOONER_LEAST INT64_C(5000000000)
bool hold_is_worse(const struct node_hold *hold, int64_t start_ns, int64_t now_ns);
/* It is later: in step with it all holds stay that have a start. */
void hold_pass(struct fleet *fleet, int64_t now_ns);
/* The place of the gang's hold, or HOLDS_MAX. */
size_t hold_find(const struct fleet *fleet, const char *key);
/* Nodes held, with a spec. */
size_t hold_nodes(const struct fleet *fleet, size_t place);
/* The places that keep the pod off their nodes, a bit each. */
uint8_t hold_against(const struct fleet *fleet, const struct pod *pod, size_t class_order);
void hold_free_all(struct fleet *fleet);

#endif
