/* The expiry heap of the ledger: a binary heap by expires_ns, equal times by UID. An entry knows its place in it. */
#ifndef CORE_LEDGER_HEAP_H
#define CORE_LEDGER_HEAP_H

#include "berth/ledger.h"

#define LEDGER_HEAP_OUT SIZE_MAX

/* Sets when the entry expires: puts it into the heap, moves it, or, for LEDGER_NEVER, takes it out. */
void ledger_heap_set(struct ledger *ledger, struct ledger_entry *entry, int64_t expires_ns);

#endif
