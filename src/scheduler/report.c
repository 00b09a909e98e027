/* /readyz and /v1/state. */
#include <stdlib.h>

#include "scheduler/gang/gang.h"
#include "scheduler/json.h"
#include "scheduler/repartition/repartition.h"
#include "scheduler/signal/signal.h"
#include "scheduler/team/team.h"

/* --- /readyz --- */

/* One watch's line; true unless it makes berth unready. */
static bool watch_line(const char *name, const struct kube_watch *watch, bool synced, struct buf *out)
{
	struct kube_watch_state state = kube_watch_state(watch);
	int64_t now = clock_now();
	bool stale = state.lost_ns != 0 && now - state.lost_ns > STALE_NS;
	if (!synced) {
		buf_printf(out, "fail %s: the first list is not done", name);
	} else if (stale) {
		buf_printf(out, "fail %s: watch stale, no contact for %lld s", name,
		    (long long)((now - state.lost_ns) / NS_PER_S));
	} else if (state.contact_ns == 0) {
		buf_printf(out, "ok   %s: being listed anew", name);
	} else {
		buf_printf(
		    out, "ok   %s: last contact %lld s ago", name, (long long)((now - state.contact_ns) / NS_PER_S));
	}
	if (state.error && (stale || !synced))
		buf_printf(out, " (%s)", state.error);
	buf_char(out, '\n');
	return synced && !stale;
}

/* Calls are refused until then. */
static bool kept_line(const struct scheduler *s, struct buf *out)
{
	bool unread = s->quarantine_unread || s->promises.unread || s->moves_unread;
	if (unread)
		buf_text(out, "fail records: what the process before has kept is being read\n");
	return !unread;
}

bool report_ready(void *ctx, struct buf *out)
{
	struct scheduler *s = ctx;
	bool ready = watch_line("nodes", s->nodes, s->nodes_synced, out);
	ready = watch_line("pods", s->pods, s->pods_synced, out) && ready;
	if (s->lease)
		ready = watch_line("lease", s->lease, s->lease_synced, out) && ready;
	ready = kept_line(s, out) && ready;
	lease_line(s, out);
	if (s->jobs_missing)
		buf_printf(out, "info jobs: done without, %s\n", s->jobs_missing);
	if (s->volumes_missing)
		buf_printf(out, "info persistentvolumes: done without, %s\n", s->volumes_missing);
	else if (kube_watch_state(s->jobs).synced)
		buf_text(out, "ok   jobs: watched\n");
	else
		buf_text(out, "info jobs: the first list is not done\n");
	gang_feed_report(s, out);
	quarantine_line(s, out);
	promises_line(s, out);
	signals_report(s, out);
	repartition_line(s, out);
	team_ready(s, out);
	team_book_line(s, out);
	if (s->policy.error)
		buf_printf(out, "warn policy: %s; %s stays in force\n", s->policy.error, s->policy.inforce->hash);
	else
		buf_printf(out, "ok   policy: %s in force\n", s->policy.inforce->hash);
	return ready;
}

/* --- /v1/state --- */

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct node *const *)a)->name, (*(struct node *const *)b)->name);
}

static int by_uid(const void *a, const void *b)
{
	return strcmp((*(struct ledger_entry *const *)a)->uid, (*(struct ledger_entry *const *)b)->uid);
}

/* The values of a map, sorted; NULL-terminated, to be freed by the caller. */
static void **sorted(const struct map *map, int (*compare)(const void *, const void *))
{
	size_t cursor = 0, count = 0;
	void **values = xcalloc(map->count + 1, sizeof *values);
	for (void *value; (value = map_next(map, &cursor));)
		values[count++] = value;
	qsort(values, count, sizeof *values, compare);
	return values;
}

static void amounts(const struct scheduler *s, struct buf *out, const struct resources *resources)
{
	bool first = true;
	buf_char(out, '{');
	for (uint16_t i = 0; i < resources->count; i++) {
		if (resources->items[i].amount == 0)
			continue;
		buf_text(out, first ? "" : ",");
		buf_json_string(out, slice_of(resource_names_text(&s->fleet->names, resources->items[i].id)));
		buf_char(out, ':');
		buf_json_int(out, resources->items[i].amount);
		first = false;
	}
	buf_char(out, '}');
}

static void free_amounts(const struct scheduler *s, struct buf *out, const struct node *node)
{
	buf_char(out, '{');
	for (uint16_t i = 0; i < node->spec->allocatable.count; i++) {
		resource_id id = node->spec->allocatable.items[i].id;
		buf_text(out, i ? "," : "");
		buf_json_string(out, slice_of(resource_names_text(&s->fleet->names, id)));
		buf_char(out, ':');
		buf_json_int(out, node_free(node, id));
	}
	buf_char(out, '}');
}

static void node_codes(struct buf *out, const struct node *node)
{
	enum reason codes[10];
	size_t count = 0;
	if (!node->spec->ready)
		codes[count++] = REASON_CODE_NODE_NOT_READY;
	if (node->spec->unschedulable)
		codes[count++] = REASON_CODE_NODE_CORDONED;
	if (node->avoided)
		codes[count++] = REASON_CODE_NODE_AVOIDED;
	if (node->quarantined)
		codes[count++] = REASON_CODE_NODE_QUARANTINED;
	if (node->repartitioned)
		codes[count++] = REASON_CODE_NODE_REPARTITIONED;
	if (node->spec->upgrade == UPGRADE_UNDER_WAY)
		codes[count++] = REASON_CODE_DRIVER_UPGRADE;
	if (node->spec->for_machines)
		codes[count++] = REASON_CODE_NOT_FOR_CONTAINERS;
	if (node->held)
		codes[count++] = REASON_CODE_HELD_FOR_GANG;
	if (node->in_two_pools)
		codes[count++] = REASON_CODE_NODE_IN_TWO_POOLS;
	for (size_t i = 0; i < node->spec->lane_count; i++) {
		resource_id id = node->spec->lanes[i].resource;
		if (node_allocatable(node, id) >= resources_get(&node->spec->capacity, id))
			continue;
		codes[count++] = REASON_CODE_GPUS_UNHEALTHY;
		break;
	}
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s\"%s\"", i ? "," : "", reason_code(codes[i]));
}

static void state_nodes(const struct scheduler *s, struct buf *out)
{
	struct node **nodes = (struct node **)sorted(&s->fleet->nodes, by_name);
	const char *separator = "\n{";
	for (size_t i = 0; nodes[i]; i++) {
		struct node *node = nodes[i];
		if (!node->spec)
			continue; /* only its pods are left; the ledger names it */
		buf_text(out, separator);
		separator = ",\n{";
		member(out, "name", node->name);
		buf_char(out, ',');
		member(out, "pool", node->pool == POOL_NONE ? NULL : s->policy.inforce->pools[node->pool].name);
		buf_printf(out, ",\"ready\":%s,\"allocatable\":", node->spec->ready ? "true" : "false");
		amounts(s, out, &node->spec->allocatable);
		buf_text(out, ",\"used\":");
		amounts(s, out, &node->used);
		buf_text(out, ",\"free\":");
		free_amounts(s, out, node);
		buf_text(out, ",\"codes\":[");
		node_codes(out, node);
		buf_text(out, "]}");
	}
	free(nodes);
}

static void time_member(struct buf *out, const char *name, int64_t wall_ns)
{
	char text[CLOCK_TEXT_MAX];
	clock_format(wall_ns, text);
	member(out, name, text);
}

static void state_ledger(const struct scheduler *s, struct buf *out)
{
	struct ledger_entry **entries = (struct ledger_entry **)sorted(&s->fleet->ledger.by_uid, by_uid);
	int64_t wall_minus_now = clock_wall() - clock_now();
	for (size_t i = 0; entries[i]; i++) {
		struct ledger_entry *entry = entries[i];
		buf_text(out, i ? ",\n{" : "\n{");
		member(out, "uid", entry->uid);
		buf_text(out, ",\"pod\":");
		buf_char(out, '"');
		buf_printf(out, "%s/%s\",", entry->namespace_, entry->name);
		member(out, "node", entry->node->name);
		buf_char(out, ',');
		member(out, "state", ledger_state_name(entry->state));
		buf_char(out, ',');
		if (entry->expires_ns == LEDGER_NEVER || entry->pinned)
			member(out, "expires", NULL);
		else
			time_member(out, "expires", entry->expires_ns + wall_minus_now);
		buf_text(out, ",\"requests\":");
		amounts(s, out, &entry->demand);
		for (size_t d = 0; d < entry->device_count; d++)
			buf_printf(out, "%s{\"index\":%d,\"milli\":%d}%s", d ? "," : ",\"devices\":[",
			    (int)entry->devices[d].index, (int)entry->devices[d].milli,
			    d + 1 == entry->device_count ? "]" : "");
		buf_char(out, '}');
	}
	free(entries);
}

static void state_waiting(const struct scheduler *s, struct buf *out)
{
	struct waiting_pod *pod = NULL;
	for (bool first = true; (pod = waiting_next(s->waiting, pod)); first = false) {
		buf_text(out, first ? "\n{" : ",\n{");
		member(out, "uid", pod->pod->uid);
		buf_printf(out, ",\"pod\":\"%s/%s\",", pod->pod->namespace_, pod->pod->name);
		member(out, "code", reason_code(pod->reason));
		buf_char(out, ',');
		time_member(out, "since", pod->since_wall_ns);
		if (pod->turn_node) {
			buf_char(out, ',');
			member(out, "turn", pod->turn_node->name);
		}
		buf_char(out, '}');
	}
}

void report_state(void *ctx, struct buf *out)
{
	const struct scheduler *s = ctx;
	buf_text(out, "{\"nodes\":[");
	state_nodes(s, out);
	buf_text(out, "],\n\"ledger\":[");
	state_ledger(s, out);
	buf_text(out, "],\n\"waiting\":[");
	state_waiting(s, out);
	buf_text(out, "],\n\"gangs\":[");
	gang_write_all(s, out);
	buf_text(out, "],\n\"teams\":[");
	team_write_all(s, out);
	buf_text(out, "],\n\"lease\":");
	lease_write(s, out);
	buf_text(out, ",\n\"policy\":{");
	member(out, "hash", s->policy.inforce->hash);
	buf_char(out, ',');
	time_member(out, "loaded", s->policy.loaded_wall);
	buf_char(out, ',');
	member(out, "error", s->policy.error);
	buf_text(out, "}}\n");
}
