/* The metrics: what is counted as it happens, and what is read off the state when somebody scrapes. */
#include <stdio.h>

#include "scheduler/signal/signal.h"
#include "scheduler/team/team.h"

static const char *const no_labels[] = {NULL};

void instruments_open(struct instruments *m)
{
	static const char *const
	    verb_code[] = {"verb", "status", NULL},
	    *const result_code[] = {"result", "code", NULL}, *const code[] = {"code", NULL},
	    *const state[] = {"state", NULL}, *const pool[] = {"pool", NULL},
	    *const pool_state[] = {"pool", "state", NULL}, *const resource[] = {"resource", NULL},
	    *const hash[] = {"hash", NULL}, *const version[] = {"version", NULL}, *const result[] = {"result", NULL},
	    *const team_pool_state[] = {"team", "pool", "state", NULL}, *const role[] = {"role", NULL},
	    *const signal[] = {"signal", NULL}, *const outcome[] = {"outcome", NULL};
	struct metrics *r = m->registry = metrics_new();
	m->filter_seconds = metrics_add(r, METRIC_HISTOGRAM, "berth_filter_duration_seconds",
	    "Time from the first byte of a filter call to its answer.", no_labels);
	m->bind_seconds = metrics_add(r, METRIC_HISTOGRAM, "berth_bind_duration_seconds",
	    "Time from a bind call to the end of its Binding.", no_labels);
	m->calls = metrics_add(r, METRIC_COUNTER, "berth_calls_total", "Calls of kube-scheduler answered.", verb_code);
	m->decisions = metrics_add(r, METRIC_COUNTER, "berth_decisions_total",
	    "Decisions by result (placed, rejected, bound, not_bound) and reason code.", result_code);
	m->wakeups = metrics_add(r, METRIC_COUNTER, "berth_wakeups_total", "Rejected pods woken, by cause.", code);
	m->hints = metrics_add(r, METRIC_COUNTER, "berth_hints_total", "Pods planned ahead of their cycle.", no_labels);
	m->hints_followed = metrics_add(
	    r, METRIC_COUNTER, "berth_hints_followed_total", "Hints that came before the pod's cycle.", no_labels);
	m->paced_seconds = metrics_add(r, METRIC_COUNTER, "berth_filter_paced_seconds_total",
	    "Time for which answers of filter waited for the next pod's hint.", no_labels);
	m->reload_success = metrics_add(r, METRIC_GAUGE, "berth_policy_reload_success",
	    "1 when the newest policy file is in force, 0 when an older one is.", no_labels);
	m->reload_time = metrics_add(r, METRIC_GAUGE, "berth_policy_last_reload_timestamp_seconds",
	    "When the policy in force was read.", no_labels);
	m->policy_info = metrics_add(r, METRIC_GAUGE, "berth_policy_info", "The policy in force.", hash);
	m->build_info = metrics_add(r, METRIC_GAUGE, "berth_build_info", "The running version.", version);
	m->pods = metrics_add(r, METRIC_GAUGE, "berth_pods", "berth's own pods that are not bound, by state.", state);
	m->reservations = metrics_add(r, METRIC_GAUGE, "berth_reservations",
	    "Ledger entries by state; bound ones include other schedulers' pods.", state);
	m->gangs = metrics_add(r, METRIC_GAUGE, "berth_gangs", "Gangs by state.", state);
	m->moves = metrics_add(
	    r, METRIC_COUNTER, "berth_moves_total", "Moves of GPUs by result: observed only, begun, given up.", result);
	m->repartitions = metrics_add(r, METRIC_COUNTER, "berth_repartitions_total",
	    "Nodes whose GPUs were to be cut anew (MIG), by what became of it.", outcome);
	m->role = metrics_add(r, METRIC_GAUGE, "berth_role", "1 for the role that this berth has.", role);
	m->gpus = metrics_add(r, METRIC_GAUGE, "berth_gpus",
	    "GPUs, slices and shares by pool and state (free, bound, reserved, held: kept free for a class, "
	    "unhealthy).",
	    pool_state);
	m->quarantined = metrics_add(r, METRIC_GAUGE, "berth_nodes_quarantined", "Nodes in quarantine, by pool.", pool);
	m->team_gpus = metrics_add(r, METRIC_GAUGE, "berth_team_gpus",
	    "GPUs by team, pool and state (used, guaranteed, limit, borrowed), slices and shares by their part.",
	    team_pool_state);
	m->promise_error = metrics_add(r, METRIC_LONG_HISTOGRAM, "berth_promise_error_seconds",
	    "Of gangs that were promised a start: between the first promise and the start.", no_labels);
	m->signal_value = metrics_add(r, METRIC_GAUGE, "berth_signal_value",
	    "What signals of load said last, by the policy's names; autoscalers and pending pods in GPUs.", signal);
	m->signal_age = metrics_add(r, METRIC_GAUGE, "berth_signal_age_seconds",
	    "Time since a signal of load said anything; one older than the policy's staleAfter is ignored.", signal);
	m->watch_age = metrics_add(
	    r, METRIC_GAUGE, "berth_watch_age_seconds", "Time since a watch last heard from the API server.", resource);
	m->watch_relists = metrics_add(r, METRIC_GAUGE, "berth_watch_relists", "Lists read since the start.", resource);
	metric_set(m->build_info, 1, BERTH_VERSION, NULL);
}

static void gather_gpus(struct scheduler *s)
{
	struct metric *gpus = s->instruments.gpus;
	size_t cursor = 0;
	for (struct node *node; (node = map_next(&s->fleet->nodes, &cursor));) {
		if (!node->spec)
			continue;
		const char *pool = node->pool == POOL_NONE ? "" : s->policy.inforce->pools[node->pool].name;
		metric_add(s->instruments.quarantined, node->quarantined, pool, NULL);
		for (size_t i = 0; i < node->spec->lane_count; i++) {
			resource_id id = node->spec->lanes[i].resource;
			int64_t bound = 0, held = 0, used = node_used(node, id);
			for (struct ledger_entry *e = node->entries; e; e = e->node_next)
				if (e->state == LEDGER_BOUND)
					bound += resources_get(&e->demand, id);
				else if (e->hold)
					held += resources_get(&e->demand, id);
			int64_t sick = resources_get(&node->spec->capacity, id) - node_allocatable(node, id);
			metric_add(gpus, (double)node_free(node, id), pool, "free", NULL);
			metric_add(gpus, (double)bound, pool, "bound", NULL);
			metric_add(gpus, (double)(used - bound - held), pool, "reserved", NULL);
			metric_add(gpus, (double)held, pool, "held", NULL);
			metric_add(gpus, sick > 0 ? (double)sick : 0, pool, "unhealthy", NULL);
		}
	}
}

static void gather_watch(struct scheduler *s, const char *resource, const struct kube_watch *watch)
{
	struct kube_watch_state state = kube_watch_state(watch);
	double age = state.contact_ns ? (double)(clock_now() - state.contact_ns) / (double)NS_PER_S : 0;
	metric_set(s->instruments.watch_age, age, resource, NULL);
	metric_set(s->instruments.watch_relists, (double)state.relists, resource, NULL);
}

void instruments_print(void *ctx, struct buf *out)
{
	struct scheduler *s = ctx;
	struct instruments *m = &s->instruments;
	metric_reset(m->gpus);
	metric_reset(m->quarantined);
	gather_gpus(s);
	team_gather(s);
	signals_gather(s);
	for (enum ledger_state state = LEDGER_PLANNED; state <= LEDGER_BOUND; state++)
		metric_set(m->reservations, (double)s->fleet->ledger.count[state], ledger_state_name(state), NULL);
	for (enum gang_state state = GANG_GATHERING; state < GANG_STATE_COUNT; state++)
		metric_set(m->gangs, (double)s->gangs->in_state[state], gang_state_name(state), NULL);
	for (enum lead_role role = LEAD_ACTIVE; role <= LEAD_FENCED; role++)
		metric_set(m->role, lead_role(&s->lead, clock_now()) == role, lead_role_name(role), NULL);
	size_t held = s->fleet->ledger.count[LEDGER_PLANNED] + s->fleet->ledger.count[LEDGER_ASSUMED];
	size_t waiting = waiting_count(s->waiting), pending = roster_count(s->roster);
	metric_set(m->pods, (double)waiting, "waiting", NULL);
	metric_set(m->pods, (double)held, "reserved", NULL);
	metric_set(m->pods, (double)s->roster->backlog_count, "backlog", NULL);
	metric_set(m->pods, (double)pending, "pending", NULL);
	gather_watch(s, "nodes", s->nodes);
	gather_watch(s, "pods", s->pods);
	gather_watch(s, "jobs", s->jobs);
	if (s->lease)
		gather_watch(s, "leases", s->lease);
	metrics_print(m->registry, out);
}

void instruments_answered(void *ctx, const char *verb, unsigned status, int64_t took_ns)
{
	struct scheduler *s = ctx;
	char code[16];
	snprintf(code, sizeof code, "%u", status);
	metric_add(s->instruments.calls, 1, verb, code, NULL);
	if (strcmp(verb, "filter") == 0)
		metric_observe(s->instruments.filter_seconds, (double)took_ns / (double)NS_PER_S, NULL);
}
