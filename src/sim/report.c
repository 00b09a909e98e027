#include "sim/report.h"

#include <stdlib.h>

#include "berth/reason.h"

/* The code that berth gives for the pod, or NULL. */
static const char *code_of(const json_t *state, const char *uid)
{
	size_t i;
	json_t *pod;

	json_array_foreach(json_object_get(state, "waiting"), i, pod)
	{
		const char *held = json_string_value(json_object_get(pod, "uid"));

		if (held && strcmp(held, uid) == 0)
			return json_string_value(json_object_get(pod, "code"));
	}
	return NULL;
}

static const char *text_of(const char *code)
{
	for (unsigned i = 0; i < REASON_COUNT; i++)
		if (strcmp(reason_code((enum reason)i), code) == 0)
			return reason_text((enum reason)i);
	return "";
}

/* The message of PodScheduled, in a tree that the caller frees. */
static const char *condition_of(json_t *pod)
{
	size_t i;
	json_t *condition;

	json_array_foreach(json_object_get(json_object_get(pod, "status"), "conditions"), i, condition)
	{
		const char *type = json_string_value(json_object_get(condition, "type"));
		const char *message = json_string_value(json_object_get(condition, "message"));

		if (type && message && strcmp(type, "PodScheduled") == 0)
			return message;
	}
	return "not tried yet";
}

static void list_waiting(struct sim_cluster *cluster, const json_t *state, FILE *out)
{
	const struct sim_view_pod *pod;
	size_t count = 0;

	TAILQ_FOREACH(pod, &sim_cluster_view(cluster)->pending, link)
	{
		const char *code = code_of(state, pod->version->uid);
		char name[256];

		if (strcmp(pod->version->scheduler, "berth") != 0)
			continue;
		if (count++ == 0)
			fputs("\nwaiting, and why:\n", out);
		if (count > SIM_REPORT_WAITING_MAX)
			continue;
		snprintf(name, sizeof name, "%s/%s", pod->version->namespace_, pod->version->name);
		if (code) {
			fprintf(out, "  %-28s %s: %s\n", name, code, text_of(code));
		} else {
			json_auto_t *tree = sim_store_tree(pod->version);

			fprintf(out, "  %-28s kube-scheduler: %s\n", name, condition_of(tree));
		}
	}
	if (count > SIM_REPORT_WAITING_MAX)
		fprintf(out, "  and %zu more\n", count - SIM_REPORT_WAITING_MAX);
}

void sim_report(struct sim_cluster *cluster, const struct sim_tally *tally, double speed, struct slice state, FILE *out)
{
	struct sim_audit *audit = sim_cluster_audit(cluster);
	struct sim_driver_stats stats = sim_driver_stats(sim_cluster_driver(cluster));
	json_auto_t *tree = state.len ? json_loadb(state.at, state.len, 0, NULL) : NULL;
	struct buf table;

	buf_init(&table, 65536);
	sim_tally_table(tally, speed, &table);
	fprintf(out, "\n%s", table.data);
	buf_free(&table);
	list_waiting(cluster, tree, out);
	fprintf(out, "\n%lu filter calls, p50 %.2f ms, p99 %.2f ms as kube-scheduler would see them\n", stats.filters,
	    (double)stats.filter_p50_ns / 1e6, (double)stats.filter_p99_ns / 1e6);
	if (sim_audit_violations(audit) == 0)
		fprintf(out, "%lu bindings checked against the nodes: nothing over-committed\n", sim_audit_bindings(audit));
	else
		fprintf(out, "OVER-COMMITTED: %lu of %lu bindings; the first: %s\n", sim_audit_violations(audit),
		    sim_audit_bindings(audit), sim_audit_first(audit));
	fputs("\nChange what goes where: edit config/policy.yaml, then berth demo --policy config/policy.yaml\n"
	      "Put berth behind your own kube-scheduler: config/kube-scheduler.yaml and berth serve --help\n",
	    out);
}
