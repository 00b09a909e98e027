#include "core/ledger_heap.h"

static bool before(const struct ledger_entry *a, const struct ledger_entry *b)
{
	return a->expires_ns != b->expires_ns ? a->expires_ns < b->expires_ns : strcmp(a->uid, b->uid) < 0;
}

static void set_at(struct ledger *ledger, size_t at, struct ledger_entry *entry)
{
	ledger->heap[at] = entry;
	entry->heap_at = at;
}

static void sift(struct ledger *ledger, size_t at, struct ledger_entry *entry)
{
	while (at > 0 && before(entry, ledger->heap[(at - 1) / 2])) {
		set_at(ledger, at, ledger->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (size_t child; (child = 2 * at + 1) < ledger->heap_count; at = child) {
		if (child + 1 < ledger->heap_count && before(ledger->heap[child + 1], ledger->heap[child]))
			child++;
		if (!before(ledger->heap[child], entry))
			break;
		set_at(ledger, at, ledger->heap[child]);
	}
	set_at(ledger, at, entry);
}

static void take_out(struct ledger *ledger, struct ledger_entry *entry)
{
	size_t at = entry->heap_at;
	struct ledger_entry *last = ledger->heap[--ledger->heap_count];
	entry->heap_at = LEDGER_HEAP_OUT;
	if (last != entry)
		sift(ledger, at, last);
}

void ledger_heap_set(struct ledger *ledger, struct ledger_entry *entry, int64_t expires_ns)
{
	entry->expires_ns = expires_ns;
	if (expires_ns == LEDGER_NEVER) {
		if (entry->heap_at != LEDGER_HEAP_OUT)
			take_out(ledger, entry);
		return;
	}
	if (entry->heap_at == LEDGER_HEAP_OUT) {
		ledger->heap =
		    xgrow(ledger->heap, ledger->heap_count, &ledger->heap_room, sizeof(struct ledger_entry *));
		entry->heap_at = ledger->heap_count++;
	}
	sift(ledger, entry->heap_at, entry);
}
