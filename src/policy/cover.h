/* Whether one rule takes everything that another takes. Only what is sure counts: false may mean "cannot tell". */
#ifndef POLICY_COVER_H
#define POLICY_COVER_H

#include "policy/doc.h"

/* Every pod that meets `narrow` meets `wide`. */
bool cover_match(const struct doc_match *wide, const struct doc_match *narrow);
/* Every node of `narrow` is one of `wide`. */
bool cover_pool(const struct doc_pool *wide, const struct doc_pool *narrow);

/* The first team before `i` that has all namespaces of a pattern by a wider one, or `i`. */
size_t cover_namespace(const struct doc_list *teams, size_t i, const struct yaml_node *pattern);

#endif
