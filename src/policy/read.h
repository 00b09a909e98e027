/* A YAML tree → struct doc, by the table. Everything that one value alone can be wrong in is found here. */
#ifndef POLICY_READ_H
#define POLICY_READ_H

#include "berth/arena.h"
#include "policy/doc.h"
#include "policy/problem.h"

/* The document points into the tree; its lists are in `arena`. */
void policy_read(const struct yaml_node *root, struct arena *arena, struct doc *doc, struct policy_report *report);

#endif
