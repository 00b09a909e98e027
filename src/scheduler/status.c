/* /v1/status: the fleet in a few rows, one a pool and kind of GPU, and what is well or not. It walks the nodes and, of
 * those with GPUs, the pods on them. */
#include <inttypes.h>
#include <stdlib.h>

#include "scheduler/json.h"
#include "scheduler/repartition/repartition.h"
#include "scheduler/signal/signal.h"
#include "scheduler/team/team.h"

#define SLOT_SIZES 4
#define NO_RESOURCE (-1)

static const int64_t slot_sizes[SLOT_SIZES] = {1, 2, 4, 8};

/* total = free + used + held + foreign + closed + unhealthy, unless GPUs fell ill under their pods: those count as used
 * and as unhealthy. */
struct row {
	uint16_t pool;
	int resource; /* NO_RESOURCE: nodes without GPUs */
	size_t nodes, open;
	int64_t total, free, used, held, foreign, closed, unhealthy;
	int64_t slots[SLOT_SIZES], largest;
};

struct rows {
	struct row *items;
	size_t count, room;
};

static struct row *row_of(struct rows *rows, uint16_t pool, int resource)
{
	for (size_t i = 0; i < rows->count; i++)
		if (rows->items[i].pool == pool && rows->items[i].resource == resource)
			return &rows->items[i];
	rows->items = xgrow(rows->items, rows->count, &rows->room, sizeof *rows->items);
	rows->items[rows->count] = (struct row){.pool = pool, .resource = resource};
	return &rows->items[rows->count++];
}

/* By the policy's order of pools, nodes in none last; then by resource. */
static int by_pool(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->pool != y->pool)
		return x->pool < y->pool ? -1 : 1;
	return (x->resource > y->resource) - (x->resource < y->resource);
}

/* New pods can come. */
static bool is_open(const struct node *node)
{
	const struct node_spec *spec = node->spec;
	return spec->ready && !spec->unschedulable && !node->avoided && !node_is_shut(node) &&
	       spec->upgrade != UPGRADE_UNDER_WAY && !spec->for_machines;
}

static void add_entries(struct row *row, const struct node *node, resource_id id)
{
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
		int64_t amount = resources_get(&entry->demand, id);
		if (entry->state != LEDGER_BOUND)
			row->held += amount;
		else if (entry->ours)
			row->used += amount;
		else
			row->foreign += amount;
	}
}

static void add_lane(struct row *row, const struct node *node, resource_id id)
{
	int64_t left = node_free(node, id), there = node_allocatable(node, id);
	int64_t capacity = resources_get(&node->spec->capacity, id);
	row->nodes++;
	row->total += capacity > there ? capacity : there;
	row->unhealthy += capacity > there ? capacity - there : 0;
	add_entries(row, node, id);
	if (!is_open(node)) {
		row->closed += left;
		return;
	}
	row->open++;
	row->free += left;
	row->largest = left > row->largest ? left : row->largest;
	for (int size = 0; size < SLOT_SIZES; size++)
		row->slots[size] += left / slot_sizes[size];
}

static bool has_lane(const struct node_spec *spec, resource_id id)
{
	return resources_get(&spec->allocatable, id) > 0 || resources_get(&spec->capacity, id) > 0;
}

static void count_nodes(const struct scheduler *s, struct rows *rows)
{
	size_t cursor = 0;
	for (struct node *node; (node = map_next(&s->fleet->nodes, &cursor));) {
		bool any = false;
		if (!node->spec)
			continue;
		for (size_t i = 0; i < node->spec->lane_count; i++) {
			resource_id id = node->spec->lanes[i].resource;
			if (!has_lane(node->spec, id))
				continue;
			any = true;
			add_lane(row_of(rows, node->pool, id), node, id);
		}
		if (!any) {
			struct row *row = row_of(rows, node->pool, NO_RESOURCE);
			row->nodes++;
			row->open += is_open(node);
		}
	}
}

/* A pool of the policy that no node is in has a row, too: often its name or selector is wrong. */
static void add_empty_pools(const struct scheduler *s, struct rows *rows)
{
	for (size_t pool = 0; pool < s->policy.inforce->pool_count; pool++) {
		bool found = false;
		for (size_t i = 0; i < rows->count && !found; i++)
			found = rows->items[i].pool == pool;
		if (!found)
			row_of(rows, (uint16_t)pool, NO_RESOURCE);
	}
}

static void write_row(const struct scheduler *s, const struct row *row, struct buf *out)
{
	buf_char(out, '{');
	member(out, "pool", row->pool == POOL_NONE ? NULL : s->policy.inforce->pools[row->pool].name);
	buf_char(out, ',');
	member(out, "resource",
	    row->resource == NO_RESOURCE ? NULL : resource_names_text(&s->fleet->names, (resource_id)row->resource));
	buf_printf(out, ",\"nodes\":%zu,\"open\":%zu", row->nodes, row->open);
	buf_printf(out,
	    ",\"gpus\":{\"total\":%" PRId64 ",\"free\":%" PRId64 ",\"used\":%" PRId64 ",\"held\":%" PRId64
	    ",\"foreign\":%" PRId64 ",\"closed\":%" PRId64 ",\"unhealthy\":%" PRId64 "},\"slots\":{",
	    row->total, row->free, row->used, row->held, row->foreign, row->closed, row->unhealthy);
	for (int size = 0; size < SLOT_SIZES; size++)
		buf_printf(out, "%s\"%" PRId64 "\":%" PRId64, size ? "," : "", slot_sizes[size], row->slots[size]);
	buf_printf(out, "},\"largest\":%" PRId64 "}", row->largest);
}

static void write_pools(const struct scheduler *s, struct buf *out)
{
	struct rows rows = {0};
	count_nodes(s, &rows);
	add_empty_pools(s, &rows);
	if (rows.count > 0)
		qsort(rows.items, rows.count, sizeof *rows.items, by_pool);
	for (size_t i = 0; i < rows.count; i++) {
		buf_text(out, i ? ",\n" : "\n");
		write_row(s, &rows.items[i], out);
	}
	free(rows.items);
}

static void write_waiting(const struct scheduler *s, struct buf *out)
{
	size_t by_reason[REASON_COUNT] = {0};
	bool first = true;
	for (struct waiting_pod *pod = NULL; (pod = waiting_next(s->waiting, pod));)
		by_reason[pod->reason]++;
	buf_printf(out, "{\"pods\":%zu,\"codes\":{", waiting_count(s->waiting));
	for (enum reason reason = 0; reason < REASON_COUNT; reason++) {
		if (by_reason[reason] == 0)
			continue;
		buf_printf(out, "%s\"%s\":%zu", first ? "" : ",", reason_code(reason), by_reason[reason]);
		first = false;
	}
	buf_text(out, "}}");
}

static void write_watch(const char *resource, const struct kube_watch *watch, const char *missing, struct buf *out)
{
	struct kube_watch_state state = kube_watch_state(watch);
	int64_t now = clock_now();
	buf_char(out, '{');
	member(out, "resource", resource);
	buf_printf(out, ",\"synced\":%s,\"connected\":%s", state.synced ? "true" : "false",
	    state.connected ? "true" : "false");
	if (state.contact_ns)
		buf_printf(out, ",\"contactSeconds\":%lld", (long long)((now - state.contact_ns) / NS_PER_S));
	buf_char(out, ',');
	member(out, "error", missing ? missing : state.error);
	buf_char(out, '}');
}

static void write_policy(const struct scheduler *s, struct buf *out)
{
	char loaded[CLOCK_TEXT_MAX];
	clock_format(s->policy.loaded_wall, loaded);
	buf_char(out, '{');
	member(out, "hash", s->policy.inforce->hash);
	buf_char(out, ',');
	member(out, "loaded", loaded);
	buf_char(out, ',');
	member(out, "error", s->policy.error);
	buf_char(out, '}');
}

void status_answer(void *ctx, struct buf *out)
{
	struct scheduler *s = ctx;
	struct buf lines;
	buf_init(&lines, OPS_ANSWER_MAX);
	bool ready = report_ready(s, &lines);
	buf_free(&lines);
	buf_printf(out, "{\"ready\":%s,", ready ? "true" : "false");
	member(out, "version", BERTH_VERSION);
	buf_char(out, ',');
	member(out, "role", lead_role_name(lead_role(&s->lead, clock_now())));
	buf_text(out, ",\n\"pools\":[");
	write_pools(s, out);
	buf_text(out, "],\n\"teams\":[");
	team_write_all(s, out);
	buf_text(out, "],\n\"short\":[");
	team_write_short(s, out);
	buf_text(out, "],\n\"waiting\":");
	write_waiting(s, out);
	buf_text(out, ",\n\"reservations\":{");
	for (enum ledger_state state = LEDGER_PLANNED; state <= LEDGER_BOUND; state++)
		buf_printf(
		    out, "%s\"%s\":%zu", state ? "," : "", ledger_state_name(state), s->fleet->ledger.count[state]);
	buf_text(out, "},\n\"quarantine\":");
	quarantine_write(s, out);
	buf_text(out, ",\n\"repartition\":");
	repartition_write_all(s, out);
	buf_text(out, ",\n\"headroom\":");
	headroom_write(s, out);
	buf_text(out, ",\n\"signals\":[");
	signals_write(s, out);
	buf_text(out, "],\n\"policy\":");
	write_policy(s, out);
	buf_text(out, ",\n\"watches\":[");
	write_watch("nodes", s->nodes, NULL, out);
	buf_char(out, ',');
	write_watch("pods", s->pods, NULL, out);
	buf_char(out, ',');
	write_watch("jobs", s->jobs, s->jobs_missing, out);
	if (s->lease) {
		buf_char(out, ',');
		write_watch("lease", s->lease, NULL, out);
	}
	buf_text(out, "]}\n");
}
