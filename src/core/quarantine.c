#include "berth/quarantine.h"

#include <stdlib.h>
#include <string.h>

#include "berth/alloc.h"

static void dispose(struct quarantine_node *node)
{
	free(node->name);
	free(node);
}

void quarantine_free(struct quarantine *quarantine)
{
	size_t cursor = 0;
	for (struct quarantine_node *node; (node = map_next(&quarantine->nodes, &cursor));)
		dispose(node);
	map_free(&quarantine->nodes);
	*quarantine = (struct quarantine){0};
}

struct quarantine_node *quarantine_find(const struct quarantine *quarantine, struct slice node)
{
	return map_get(&quarantine->nodes, node);
}

bool quarantine_holds(const struct quarantine *quarantine, struct slice node)
{
	const struct quarantine_node *found = quarantine_find(quarantine, node);
	return found && found->until_ns != 0;
}

static struct quarantine_node *node_of(struct quarantine *quarantine, struct slice name)
{
	struct quarantine_node *node = quarantine_find(quarantine, name);
	if (node)
		return node;
	node = xcalloc(1, sizeof *node);
	node->name = xstrndup(name.at, name.len);
	map_put(&quarantine->nodes, slice_of(node->name), node);
	return node;
}

static void drop(struct quarantine *quarantine, struct quarantine_node *node)
{
	map_remove(&quarantine->nodes, slice_of(node->name));
	dispose(node);
}

/* --- what counts against a node --- */

static bool is_known(const struct quarantine_node *node, const struct failed_start *failed)
{
	for (size_t i = 0; i < node->count; i++)
		if (node->starts[i].start == failed->start)
			return true;
	return false;
}

/* Of a full list goes the oldest of the owner that adds to it, so that one owner's many do not hide another's. */
static void make_room(struct quarantine_node *node, uint64_t owner)
{
	size_t at = 0;
	if (node->count < QUARANTINE_STARTS_MAX)
		return;
	for (size_t i = 0; i < node->count; i++)
		if (node->starts[i].owner == owner) {
			at = i;
			break;
		}
	node->count--;
	memmove(&node->starts[at], &node->starts[at + 1], (node->count - at) * sizeof *node->starts);
}

static bool counts(const struct quarantine_node *node, const struct policy_quarantine *rules,
    const struct failed_start *failed, int64_t now_ns)
{
	return failed->at_ns > node->released_ns && failed->at_ns > now_ns - rules->within_ns;
}

struct evidence {
	uint32_t failed, owners;
	bool nothing_between; /* started between failures of two owners, counted from the last start that went well */
};

static struct evidence weigh(const struct quarantine_node *node, const struct policy_quarantine *rules, int64_t now_ns)
{
	struct evidence evidence = {0};
	uint64_t since = 0; /* the first owner that failed after the last start that went well */
	bool any_since = false;
	for (size_t i = 0; i < node->count; i++) {
		const struct failed_start *failed = &node->starts[i];
		bool is_new = true;
		if (!counts(node, rules, failed, now_ns))
			continue;
		for (size_t j = 0; j < i && is_new; j++)
			is_new =
			    node->starts[j].owner != failed->owner || !counts(node, rules, &node->starts[j], now_ns);
		evidence.failed++;
		evidence.owners += is_new;
		if (failed->at_ns < node->started_ns)
			continue;
		evidence.nothing_between |= any_since && failed->owner != since;
		since = any_since ? since : failed->owner;
		any_since = true;
	}
	return evidence;
}

static void begin(struct quarantine *quarantine, struct quarantine_node *node, int64_t since_ns, int64_t until_ns)
{
	quarantine->in_force += node->until_ns == 0;
	node->since_ns = since_ns;
	node->until_ns = until_ns;
}

static void end(struct quarantine *quarantine, struct quarantine_node *node)
{
	quarantine->in_force--;
	node->since_ns = node->until_ns = 0;
	node->failed = node->owners = 0;
	node->restored = false;
}

enum quarantine_change quarantine_failed(struct quarantine *quarantine, const struct policy_quarantine *rules,
    struct slice name, const struct failed_start *failed, int64_t now_ns)
{
	if (rules->after == 0 || failed->at_ns <= now_ns - rules->within_ns)
		return QUARANTINE_SAME;
	struct quarantine_node *node = node_of(quarantine, name);
	if (is_known(node, failed) || !counts(node, rules, failed, now_ns))
		return QUARANTINE_SAME;
	make_room(node, failed->owner);
	node->starts[node->count++] = *failed;
	struct evidence evidence = weigh(node, rules, now_ns);
	if (node->until_ns != 0 || evidence.owners < 2 || (!evidence.nothing_between && evidence.failed < rules->after))
		return QUARANTINE_COUNTED;
	begin(quarantine, node, now_ns, now_ns + rules->release_ns);
	node->failed = evidence.failed;
	node->owners = evidence.owners;
	return QUARANTINE_BEGINS;
}

void quarantine_started(struct quarantine *quarantine, struct slice name, int64_t at_ns)
{
	struct quarantine_node *node = quarantine_find(quarantine, name);
	if (node && at_ns > node->started_ns)
		node->started_ns = at_ns;
}

/* --- its end --- */

/* Whether it began by starts that the word of a person, read after them, has forgiven. */
static bool is_forgiven(const struct quarantine_node *node)
{
	bool all = node->count > 0 && !node->restored;
	for (size_t i = 0; all && i < node->count; i++)
		all = node->starts[i].at_ns <= node->released_ns;
	return all;
}

bool quarantine_release(struct quarantine *quarantine, struct slice name, int64_t at_ns)
{
	struct quarantine_node *node = node_of(quarantine, name);
	if (at_ns > node->released_ns)
		node->released_ns = at_ns;
	if (node->until_ns == 0 || (node->since_ns > node->released_ns && !is_forgiven(node)))
		return false;
	end(quarantine, node);
	return true;
}

bool quarantine_restore(struct quarantine *quarantine, const struct quarantine_node *kept, int64_t now_ns)
{
	struct quarantine_node *node = quarantine_find(quarantine, slice_of(kept->name));
	int64_t released_ns = node ? node->released_ns : 0;
	if (kept->until_ns <= now_ns || kept->since_ns <= released_ns)
		return false;
	bool held = node && node->until_ns != 0;
	if (held && node->until_ns >= kept->until_ns)
		return false;
	node = node_of(quarantine, slice_of(kept->name));
	begin(quarantine, node, kept->since_ns, kept->until_ns);
	node->failed = kept->failed;
	node->owners = kept->owners;
	node->restored = true;
	return !held;
}

bool quarantine_forget(struct quarantine *quarantine, struct slice name)
{
	struct quarantine_node *node = quarantine_find(quarantine, name);
	bool held = node && node->until_ns != 0;
	if (held)
		end(quarantine, node);
	if (node)
		drop(quarantine, node);
	return held;
}

int64_t quarantine_next(const struct quarantine *quarantine)
{
	int64_t next = INT64_MAX;
	size_t cursor = 0;
	if (quarantine->in_force == 0)
		return next;
	for (const struct quarantine_node *node; (node = map_next(&quarantine->nodes, &cursor));)
		if (node->until_ns != 0 && node->until_ns < next)
			next = node->until_ns;
	return next;
}

const struct quarantine_node *quarantine_expire(struct quarantine *quarantine, int64_t now_ns)
{
	struct quarantine_node *over = NULL;
	size_t cursor = 0;
	for (struct quarantine_node *node; (node = map_next(&quarantine->nodes, &cursor));)
		if (node->until_ns != 0 && node->until_ns <= now_ns && (!over || strcmp(node->name, over->name) < 0))
			over = node;
	if (!over)
		return NULL;
	end(quarantine, over);
	over->released_ns = now_ns > over->released_ns ? now_ns : over->released_ns;
	return over;
}

static bool is_stale(const struct quarantine_node *node, const struct policy_quarantine *rules, int64_t now_ns)
{
	if (node->until_ns != 0 || node->released_ns > now_ns - rules->within_ns)
		return false;
	for (size_t i = 0; i < node->count; i++)
		if (counts(node, rules, &node->starts[i], now_ns))
			return false;
	return true;
}

void quarantine_sweep(struct quarantine *quarantine, const struct policy_quarantine *rules, int64_t now_ns)
{
	struct quarantine_node **stale = xcalloc(quarantine->nodes.count + 1, sizeof *stale);
	size_t cursor = 0, count = 0;
	for (struct quarantine_node *node; (node = map_next(&quarantine->nodes, &cursor));)
		if (is_stale(node, rules, now_ns))
			stale[count++] = node;
	while (count > 0)
		drop(quarantine, stale[--count]);
	free(stale);
}
