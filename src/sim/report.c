#include "sim/report.h"

#include <stdlib.h>

#include "berth/reason.h"

#define REASON_TEXT_MAX 16384

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

/* Pods that wait for one reason. */
struct reason_group {
	struct buf text, names;
	size_t count;
};

struct reason_groups {
	struct reason_group group[SIM_REPORT_REASONS_MAX];
	size_t count, others; /* pods of reasons beyond */
};

static void write_reason(const struct sim_view_pod *pod, const json_t *state, struct buf *out)
{
	const char *code = code_of(state, pod->version->uid);
	json_auto_t *tree = sim_store_tree(pod->version);
	const char *message = condition_of(tree);

	/* berth's word counts if the latest cycle got as far as asking it. */
	if (code && strstr(message, text_of(code)))
		buf_printf(out, "%s: %s", code, text_of(code));
	else
		buf_printf(out, "kube-scheduler: %s", message);
}

static void add_waiting(struct reason_groups *groups, const struct sim_view_pod *pod, const json_t *state)
{
	struct buf text;
	size_t at = 0;

	buf_init(&text, REASON_TEXT_MAX);
	write_reason(pod, state, &text);
	while (at < groups->count && !slice_equal(buf_slice(&groups->group[at].text), buf_slice(&text)))
		at++;
	if (at == SIM_REPORT_REASONS_MAX) {
		groups->others++;
		buf_free(&text);
		return;
	}
	struct reason_group *group = &groups->group[at];

	if (at == groups->count) {
		groups->count++;
		group->text = text;
		buf_init(&group->names, REASON_TEXT_MAX);
	} else {
		buf_free(&text);
	}
	if (group->count < SIM_REPORT_NAMES_MAX)
		buf_printf(
		    &group->names, "%s%s/%s", group->count ? ", " : "", pod->version->namespace_, pod->version->name);
	else if (group->count == SIM_REPORT_NAMES_MAX)
		buf_text(&group->names, ", and more");
	group->count++;
}

static void list_waiting(struct sim_cluster *cluster, const json_t *state, FILE *out)
{
	struct reason_groups groups = {.count = 0};
	const struct sim_view_pod *pod;

	TAILQ_FOREACH(pod, &sim_cluster_view(cluster)->pending, link)
	if (strcmp(pod->version->scheduler, "berth") == 0)
		add_waiting(&groups, pod, state);
	if (groups.count)
		fputs("\nwaiting, and why:\n", out);
	for (size_t i = 0; i < groups.count; i++) {
		struct reason_group *group = &groups.group[i];

		fprintf(out, "%3zu  %s\n     %s\n", group->count, group->text.data, group->names.data);
		buf_free(&group->text);
		buf_free(&group->names);
	}
	if (groups.others)
		fprintf(out, "%3zu  for other reasons\n", groups.others);
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
		fprintf(
		    out, "%lu bindings checked against the nodes: nothing over-committed\n", sim_audit_bindings(audit));
	else
		fprintf(out, "OVER-COMMITTED: %lu of %lu bindings; the first: %s\n", sim_audit_violations(audit),
		    sim_audit_bindings(audit), sim_audit_first(audit));
	fputs("\nChange what goes where: edit config/policy.yaml, then berth demo --policy config/policy.yaml\n"
	      "Put berth behind your own kube-scheduler: config/kube-scheduler.yaml and berth serve --help\n",
	    out);
}
