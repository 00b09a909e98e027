#include "core/traits.h"

#include <stdlib.h>

/* Without padding that differs, since the bytes are the key. */
struct head {
	int32_t gang_gpus; /* as many as fit: no match asks for more */
	int32_t priority, grace_s;
	uint32_t labels_at; /* in the bytes */
	uint16_t label_count;
	uint8_t owner_kind_count;
	uint8_t gang; /* 0 = none, else its dialect + 1; bit 7: no_gang */
};

#define NO_GANG 0x80u
#define TEXTS_BEFORE_KINDS 3

struct traits {
	size_t refs, len;
	char bytes[]; /* struct head; then texts with NULs: the class's name, the decision and the gang's name, each ""
	                 for none, kinds of owners, labels' keys and values */
};

static size_t size_of(const struct pod *pod)
{
	size_t size = sizeof(struct head) + slice_of(pod->class_name).len + slice_of(pod->decision).len +
	              (pod->gang ? strlen(pod->gang->name) : 0) + TEXTS_BEFORE_KINDS;
	for (size_t i = 0; i < pod->owner_kind_count; i++)
		size += strlen(pod->owner_kinds[i]) + 1;
	for (size_t i = 0; i < pod->labels.count; i++)
		size += strlen(pod->labels.items[i].key) + strlen(pod->labels.items[i].value) + 2;
	return size;
}

static char *put_text(char *at, const char *text)
{
	size_t size = strlen(text) + 1;
	memcpy(at, text, size);
	return at + size;
}

static struct traits *pack(const struct pod *pod)
{
	size_t len = size_of(pod);
	struct traits *traits = xmalloc(sizeof(*traits) + len);
	struct head head = {.gang_gpus = pod->gang_gpus < INT32_MAX ? (int32_t)pod->gang_gpus : INT32_MAX,
	    .priority = pod->priority,
	    .grace_s = pod->grace_s,
	    .label_count = (uint16_t)(pod->labels.count < UINT16_MAX ? pod->labels.count : UINT16_MAX),
	    .owner_kind_count = (uint8_t)pod->owner_kind_count,
	    .gang = (uint8_t)((pod->gang ? (unsigned)pod->gang->dialect + 1 : 0) | (pod->no_gang ? NO_GANG : 0))};
	traits->refs = 0;
	traits->len = len;
	char *at = put_text(traits->bytes + sizeof(head), pod->class_name ? pod->class_name : "");
	at = put_text(at, pod->decision ? pod->decision : "");
	at = put_text(at, pod->gang ? pod->gang->name : "");
	for (size_t i = 0; i < pod->owner_kind_count; i++)
		at = put_text(at, pod->owner_kinds[i]);
	head.labels_at = (uint32_t)(at - traits->bytes);
	memcpy(traits->bytes, &head, sizeof(head));
	for (size_t i = 0; i < pod->labels.count; i++)
		at = put_text(put_text(at, pod->labels.items[i].key), pod->labels.items[i].value);
	return traits;
}

static struct slice key_of(const struct traits *traits)
{
	return (struct slice){traits->bytes, traits->len};
}

void traits_leave(struct ledger *ledger, struct ledger_entry *entry)
{
	struct traits *traits = entry->traits;
	entry->traits = NULL;
	if (!traits || --traits->refs > 0)
		return;
	map_remove(&ledger->traits, key_of(traits));
	free(traits);
}

void traits_follow(struct ledger *ledger, struct ledger_entry *entry, const struct pod *pod)
{
	if (!entry->ours || entry->state != LEDGER_BOUND) {
		traits_leave(ledger, entry);
		return;
	}
	struct traits *traits = pack(pod), *known = map_get(&ledger->traits, key_of(traits));
	if (known) {
		free(traits);
		traits = known;
	} else {
		map_put(&ledger->traits, key_of(traits), traits);
	}
	traits->refs++; /* before the old ones go, which may be the same */
	traits_leave(ledger, entry);
	entry->traits = traits;
}

static const char *take_text(const char **at)
{
	const char *text = *at;
	*at += strlen(text) + 1;
	return text;
}

/* Which gang; its terms are asked for only until it is bound. */
static const struct pod_gang *keep_gang(struct arena *arena, unsigned kept, const char *name)
{
	if (kept == 0)
		return NULL;
	struct pod_gang *gang = arena_calloc(arena, 1, sizeof(*gang));
	gang->dialect = (enum gang_dialect)(kept - 1);
	gang->name = name;
	gang->rank = gang->part = -1;
	return gang;
}

int32_t traits_priority(const struct traits *traits)
{
	struct head head;
	memcpy(&head, traits->bytes, sizeof(head));
	return head.priority;
}

void traits_labels(const struct traits *traits, struct labels *labels, size_t *room)
{
	struct head head;
	memcpy(&head, traits->bytes, sizeof(head));
	const char *at = traits->bytes + head.labels_at;
	for (labels->count = 0; labels->count < head.label_count; labels->count++) {
		labels->items = xgrow(labels->items, labels->count, room, sizeof(*labels->items));
		const char *key = take_text(&at);
		labels->items[labels->count] = (struct label){key, take_text(&at)};
	}
}

struct pod *ledger_pod(const struct ledger_entry *entry)
{
	const struct traits *traits = entry->traits;
	struct arena arena;
	struct head head;
	if (!traits)
		return NULL;
	memcpy(&head, traits->bytes, sizeof(head));
	arena_init(&arena, sizeof(struct pod) + (head.label_count + 1u) * sizeof(struct label) +
	                       (head.gang ? sizeof(struct pod_gang) : 0) + 64);
	struct pod *pod = arena_calloc(&arena, 1, sizeof(*pod));
	pod->labels.items = arena_alloc(&arena, (head.label_count + 1u) * sizeof(struct label));
	pod->uid = entry->uid;
	pod->namespace_ = entry->namespace_;
	pod->name = entry->name;
	pod->owner_uid = entry->owner_uid;
	pod->node = entry->node->name;
	pod->gang_gpus = head.gang_gpus;
	pod->priority = head.priority;
	pod->grace_s = head.grace_s;
	pod->no_gang = head.gang & NO_GANG;
	const char *at = traits->bytes + sizeof(head), *class_name = take_text(&at), *decision = take_text(&at);
	pod->gang = keep_gang(&arena, head.gang & ~NO_GANG, take_text(&at));
	pod->class_name = *class_name ? class_name : NULL;
	pod->decision = *decision ? decision : NULL;
	while (pod->owner_kind_count < head.owner_kind_count)
		pod->owner_kinds[pod->owner_kind_count++] = take_text(&at);
	while (pod->labels.count < head.label_count) {
		const char *key = take_text(&at);
		pod->labels.items[pod->labels.count++] = (struct label){key, take_text(&at)};
	}
	pod->arena = arena;
	return pod;
}
