/* A NodeSelectorTerm's JSON → struct node_term. */
#ifndef CLUSTER_NODE_TERM_H
#define CLUSTER_NODE_TERM_H

#include "base/reader.h"
#include "berth/arena.h"
#include "berth/labels.h"

/* Passes one value. What the API server would have refused (an unknown operator, a key or value that no label can have,
 * a wrong number of values) makes the term invalid: it matches nothing, as in component-helpers v0.36.3. */
void node_term_read(struct reader *json, struct arena *arena, struct node_term *term);
/* One of its matchExpressions, or of a LabelSelector's; false for one that the API server would have refused. */
bool node_term_read_requirement(struct reader *json, struct arena *arena, struct selector_requirement *requirement);

#endif
