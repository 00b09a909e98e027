/* What a scalar is to a YAML reader. Readers differ: by YAML 1.1 a plain `no` is a boolean and 1:30 a number, by 1.2
 * neither is. What is not a string to both is no string here, so that a file means the same everywhere. */
#ifndef POLICY_SCALAR_H
#define POLICY_SCALAR_H

#include <stdbool.h>

#include "base/yaml.h"

enum scalar { SCALAR_STRING, SCALAR_NUMBER, SCALAR_BOOLEAN, SCALAR_NULL };

enum scalar scalar_type(const struct yaml_node *node);
/* A decimal number as JSON writes it. */
bool scalar_number(const struct yaml_node *node, double *value);
/* The same without fraction and exponent. */
bool scalar_is_integer(const struct yaml_node *node);
/* Numbers with a unit each, as Go writes durations: 10m, 1h30m, 1.5s, 500ms. Nanoseconds. */
bool scalar_duration(struct slice text, double *ns);

#endif
