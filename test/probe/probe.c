/* Shows what src/cluster reads to tests written in another language: one JSON document a line in, one a line out.
 *   demand    a Pod               {"cpu": milli, "memory": bytes, NAME: count, …} without zeros
 *   quantity  a string            {"value": whole units, "milli": thousandths}
 *   match     {"pod":…,"node":…}  {"selector": bool, "tolerates": bool}
 * or {"error": text} for what cannot be read. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/embedded.h"
#include "cluster/catalogue.h"
#include "cluster/node.h"
#include "cluster/pod.h"
#include "cluster/quantity.h"

struct probe {
	struct resource_names names;
	struct catalogue *catalogue;
};

static json_t *error_reply(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

static json_t *demand(struct probe *probe, struct slice line)
{
	struct resource_list list;
	struct err err;
	json_t *reply;

	if (cluster_pod_demand(line, &probe->names, &list, &err))
		return error_reply(err.text);
	reply = json_object();
	for (size_t i = 0; i < list.count; i++)
		if (list.items[i].amount != 0)
			json_object_set_new(reply, resource_names_text(&probe->names, list.items[i].id),
			    json_integer(list.items[i].amount));
	return reply;
}

static json_t *quantity(struct probe *probe, struct slice line)
{
	json_t *text = json_loadb(line.at, line.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	int64_t value, milli;
	json_t *reply;

	(void)probe;
	if (!json_is_string(text))
		reply = error_reply("not a JSON string");
	else if (!quantity_parse((struct slice){json_string_value(text), json_string_length(text)}, &value, &milli))
		reply = error_reply("not a quantity");
	else
		reply = json_pack("{s:I,s:I}", "value", (json_int_t)value, "milli", (json_int_t)milli);
	json_decref(text);
	return reply;
}

static json_t *compare(const struct pod *pod, const struct node_spec *node)
{
	bool tolerates = true;

	for (size_t i = 0; i < node->taint_count; i++)
		if (node->taints[i].effect != TAINT_PREFER_NO_SCHEDULE)
			tolerates &= taint_tolerated(&node->taints[i], pod->tolerations, pod->toleration_count);
	return json_pack("{s:b,s:b}", "selector", pod_selects(pod, node->name, &node->labels), "tolerates", tolerates);
}

static json_t *match(struct probe *probe, struct slice line)
{
	json_t *both = json_loadb(line.at, line.len, JSON_ALLOW_NUL, NULL), *reply;
	char *pod_text = json_dumps(json_object_get(both, "pod"), JSON_COMPACT);
	char *node_text = json_dumps(json_object_get(both, "node"), JSON_COMPACT);
	struct node_spec *node = NULL;
	struct pod *pod = NULL;
	struct err err = {.text = "no pod or no node"};

	if (pod_text && node_text) {
		pod = cluster_pod_decode(slice_of(pod_text), &probe->names, true, &err);
		if (pod)
			node = cluster_node_decode(slice_of(node_text), &probe->names, &probe->catalogue->gpus, &err);
	}
	reply = node ? compare(pod, node) : error_reply(err.text);
	if (node)
		node_spec_free(node);
	pod_free(pod);
	free(pod_text);
	free(node_text);
	json_decref(both);
	return reply;
}

static int answer_lines(struct probe *probe, json_t *(*answer)(struct probe *, struct slice))
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, stdin)) > 0) {
		json_t *reply = answer(probe, (struct slice){line, (size_t)len});

		json_dumpf(reply, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(reply);
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		json_t *(*answer)(struct probe *, struct slice);
	} modes[] = {{"demand", demand}, {"quantity", quantity}, {"match", match}};
	struct probe probe;
	struct err err;
	int result = 2;

	probe.catalogue = catalogue_load(embedded_text("gpus.yaml"), (struct slice){NULL, 0}, "", &err);
	if (!probe.catalogue) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	resource_names_init(&probe.names);
	for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
		if (strcmp(argv[1], modes[i].name) == 0)
			result = answer_lines(&probe, modes[i].answer);
	if (result)
		fprintf(stderr, "usage: %s demand|quantity|match\n", argv[0]);
	resource_names_free(&probe.names);
	catalogue_free(probe.catalogue);
	return result;
}
