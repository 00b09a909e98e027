/* How the texts in a policy may look: the rules of Kubernetes for names and labels, and patterns over them. */
#ifndef POLICY_SYNTAX_H
#define POLICY_SYNTAX_H

#include <stdbool.h>

#include "berth/slice.h"
#include "policy/problem.h"

enum text_rule {
	TEXT_ANY,
	TEXT_NAME, /* names may stand in a label (berth.dev/class), so they are label values */
	TEXT_LABEL_KEY,
	TEXT_LABEL_VALUE,
	TEXT_LABEL_GLOB,
	TEXT_NAMESPACE_GLOB,
	TEXT_KIND,
	TEXT_URL,   /* where an HTTP API begins: what follows it is a path */
	TEXT_QUERY, /* PromQL, which Prometheus alone can read */
	TEXT_PATH,
	TEXT_RULE_COUNT
};

bool text_rule_met(enum text_rule rule, struct slice text);
/* "is no label key: …", for a message; NULL for TEXT_ANY. */
const char *text_rule_says(enum text_rule rule);
enum problem text_rule_problem(enum text_rule rule);
/* The same rule as a regular expression (ECMA-262), or NULL. */
const char *text_rule_pattern(enum text_rule rule);

#endif
