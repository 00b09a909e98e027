/* The part of the table that is about signals of load. */
#ifndef POLICY_TABLE_SIGNALS_H
#define POLICY_TABLE_SIGNALS_H

#include "policy/table.h"

extern const struct object signals_object;
extern const struct object follow_object; /* of headroom */

#endif
