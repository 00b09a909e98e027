#include "sim/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/podwrite.h"

struct reader {
	const char *file;
	struct sim_fleet *fleet;
	struct err *err;
	bool failed;
};

static void complain(struct reader *r, const struct yaml_node *at, const char *text, const char *name)
{
	if (r->failed)
		return;
	r->failed = true;
	err_set(r->err, ERR_INPUT, "%s:%u:%u: %s%s", r->file, at->mark.line, at->mark.column, text, name);
}

static void check_keys(struct reader *r, const struct yaml_node *map, const char *const *known)
{
	if (map->type != YAML_MAP) {
		complain(r, map, "a map is needed here", "");
		return;
	}
	for (size_t i = 0; i < map->count; i++) {
		size_t k = 0;

		while (known[k] && !slice_is(map->keys[i]->text, known[k]))
			k++;
		if (!known[k])
			complain(r, map->keys[i], "unknown key ", yaml_text(map->keys[i]));
	}
}

static const char *read_text(struct reader *r, const struct yaml_node *map, const char *key, bool needed)
{
	const struct yaml_node *node = yaml_get(map, key);

	if (!node) {
		if (needed)
			complain(r, map, "missing key ", key);
		return needed ? "" : NULL;
	}
	const char *text = yaml_text(node);

	if (!text || !*text) {
		complain(r, node, "a text is needed for ", key);
		return "";
	}
	return arena_copy(&r->fleet->arena, slice_of(text));
}

static int64_t read_int(struct reader *r, const struct yaml_node *map, const char *key, int64_t low, int64_t high)
{
	const char *text = read_text(r, map, key, true);
	char *end;

	errno = 0;
	int64_t value = strtoll(text, &end, 10);

	if (!r->failed && (errno || *end || value < low || value > high))
		complain(r, yaml_get(map, key), "not a number in range: ", key);
	return value;
}

/* The items of a list under a key, or none. */
static const struct yaml_node *read_list(struct reader *r, const struct yaml_node *map, const char *key, bool needed)
{
	static const struct yaml_node empty = {.type = YAML_LIST};
	const struct yaml_node *list = yaml_get(map, key);

	if (!list && needed)
		complain(r, map, "missing key ", key);
	if (list && list->type != YAML_LIST) {
		complain(r, list, "a list is needed for ", key);
		list = NULL;
	}
	return list ? list : &empty;
}

static void read_model(struct reader *r, const struct yaml_node *map, struct sim_node_kind *kind)
{
	static const char *const known[] = {
	    "name", "product", "family", "machine", "memoryMiB", "compute", "gpus", "cpu", "ram", NULL};

	check_keys(r, map, known);
	kind->product = read_text(r, map, "product", true);
	kind->family = read_text(r, map, "family", true);
	kind->machine = read_text(r, map, "machine", true);
	kind->cpu = read_text(r, map, "cpu", true);
	kind->ram = read_text(r, map, "ram", true);
	kind->memory_mib = read_int(r, map, "memoryMiB", 1, 1 << 24);
	kind->gpus = read_int(r, map, "gpus", 1, 64);
	const char *compute = read_text(r, map, "compute", true);
	int major = 0, minor = 0;

	if (!r->failed && sscanf(compute, "%2d.%2d", &major, &minor) != 2)
		complain(r, yaml_get(map, "compute"), "compute is MAJOR.MINOR", "");
	kind->compute_major = major;
	kind->compute_minor = minor;
}

static void read_mig(struct reader *r, const struct yaml_node *map, struct sim_node_kind *kind)
{
	static const char *const known[] = {"profile", "memoryMiB", "gpus", "instances", NULL};

	check_keys(r, map, known);
	kind->mig_profile = read_text(r, map, "profile", true);
	kind->mig_memory_mib = read_int(r, map, "memoryMiB", 1, 1 << 24);
	kind->mig_gpus = read_int(r, map, "gpus", 1, 64);
	kind->mig_count = read_int(r, map, "instances", 1, 512);
	if (!r->failed && kind->mig_gpus > kind->gpus)
		complain(r, map, "more GPUs are cut than there are", "");
}

static void read_taint(struct reader *r, const struct yaml_node *map, struct sim_fleet_rack *rack)
{
	static const char *const known[] = {"key", "value", "effect", NULL};

	check_keys(r, map, known);
	rack->taint_key = read_text(r, map, "key", true);
	rack->taint_value = read_text(r, map, "value", false);
	rack->taint_effect = read_text(r, map, "effect", true);
}

static void read_rack(
    struct reader *r, const struct yaml_node *map, const struct yaml_node *models, struct sim_fleet_rack *rack)
{
	static const char *const known[] = {"rack", "block", "model", "nodes", "mig", "taint", NULL};
	bool found = false;

	check_keys(r, map, known);
	rack->name = read_text(r, map, "rack", true);
	rack->block = read_text(r, map, "block", true);
	rack->model = read_text(r, map, "model", true);
	rack->nodes = read_int(r, map, "nodes", 1, SIM_FLEET_NODES_MAX);
	for (size_t i = 0; i < models->count && !r->failed && !found; i++) {
		found = strcmp(read_text(r, models->items[i], "name", true), rack->model) == 0;
		if (found)
			read_model(r, models->items[i], &rack->kind);
	}
	if (!found && !r->failed)
		complain(r, yaml_get(map, "model"), "no model is named ", rack->model);
	if (yaml_get(map, "mig"))
		read_mig(r, yaml_get(map, "mig"), &rack->kind);
	if (yaml_get(map, "taint"))
		read_taint(r, yaml_get(map, "taint"), rack);
}

static void read_happening(struct reader *r, const struct yaml_node *map, struct sim_happening *happening)
{
	static const char *const known[] = {"at", "node", "condition", "status", "gpusLost", "cordon", NULL};
	char *end;

	check_keys(r, map, known);
	const char *at = read_text(r, map, "at", true);

	happening->at_s = strtod(at, &end);
	if (!r->failed && (*end || !(happening->at_s >= 0)))
		complain(r, yaml_get(map, "at"), "at is in seconds", "");
	happening->node = read_text(r, map, "node", true);
	happening->gpus_lost = -1;
	happening->cordon = -1;
	if (yaml_get(map, "condition")) {
		happening->condition = read_text(r, map, "condition", true);
		happening->status = read_text(r, map, "status", true);
	} else if (yaml_get(map, "gpusLost")) {
		happening->gpus_lost = read_int(r, map, "gpusLost", 0, 64);
	} else if (yaml_get(map, "cordon")) {
		happening->cordon = strcmp(read_text(r, map, "cordon", true), "true") == 0;
	} else {
		complain(r, map, "one of condition, gpusLost and cordon is needed", "");
	}
}

static int by_time(const void *a, const void *b)
{
	const struct sim_happening *x = a, *y = b;

	return (x->at_s > y->at_s) - (x->at_s < y->at_s);
}

static void read_fleet(struct reader *r, const struct yaml_node *root)
{
	static const char *const known[] = {"models", "racks", "happenings", NULL};
	struct sim_fleet *fleet = r->fleet;

	check_keys(r, root, known);
	const struct yaml_node *models = read_list(r, root, "models", true), *racks = read_list(r, root, "racks", true);
	const struct yaml_node *happenings = read_list(r, root, "happenings", false);

	fleet->racks = arena_calloc(&fleet->arena, racks->count + 1, sizeof *fleet->racks);
	for (size_t i = 0; i < racks->count && !r->failed; i++)
		read_rack(r, racks->items[i], models, &fleet->racks[fleet->rack_count++]);
	fleet->happenings = arena_calloc(&fleet->arena, happenings->count + 1, sizeof *fleet->happenings);
	for (size_t i = 0; i < happenings->count && !r->failed; i++)
		read_happening(r, happenings->items[i], &fleet->happenings[fleet->happening_count++]);
	qsort(fleet->happenings, fleet->happening_count, sizeof *fleet->happenings, by_time);
}

struct sim_fleet *sim_fleet_load(struct slice text, const char *file, struct err *err)
{
	struct sim_fleet *fleet = xcalloc(1, sizeof *fleet);
	struct reader r = {.file = file, .fleet = fleet, .err = err};
	struct yaml_node *root = NULL;
	struct yaml_mark mark;

	arena_init(&fleet->arena, 16384);
	if (yaml_parse(&fleet->arena, text, &root, &mark, err) != 0) {
		err_wrap(err, "%s:%u:%u", file, mark.line, mark.column);
		r.failed = true;
	} else if (!root) {
		err_set(err, ERR_INPUT, "%s: the file is empty", file);
		r.failed = true;
	} else {
		read_fleet(&r, root);
	}
	if (!r.failed)
		return fleet;
	sim_fleet_free(fleet);
	return NULL;
}

void sim_fleet_free(struct sim_fleet *fleet)
{
	arena_free(&fleet->arena);
	free(fleet);
}

/* --- playing --- */

int sim_fleet_make(const struct sim_fleet *fleet, struct sim_store *store, struct err *err)
{
	char name[128];

	for (size_t i = 0; i < fleet->rack_count; i++) {
		const struct sim_fleet_rack *rack = &fleet->racks[i];

		for (int64_t n = 1; n <= rack->nodes; n++) {
			snprintf(name, sizeof name, "%.40s-%.40s-%02d", rack->model, rack->name, (int)n);
			json_auto_t *node = sim_node_object(&rack->kind, name, rack->block, rack->name);

			if (rack->taint_key)
				json_object_set_new(json_object_get(node, "spec"), "taints",
				    json_pack("[{s:s,s:s,s:s}]", "key", rack->taint_key, "value",
				        rack->taint_value ? rack->taint_value : "", "effect", rack->taint_effect));
			if (!sim_store_create(store, SIM_NODES, node, err))
				return err->code;
		}
	}
	return 0;
}

static void apply(const struct sim_happening *happening, json_t *node, char *what, size_t room)
{
	const json_t *status = json_object_get(node, "status");
	const char *capacity =
	    json_string_value(json_object_get(json_object_get(status, "capacity"), "nvidia.com/gpu"));

	if (happening->condition) {
		sim_condition_set(node, happening->condition, happening->status, "Simulated", NULL);
		snprintf(
		    what, room, "%s: condition %s is %s", happening->node, happening->condition, happening->status);
	} else if (happening->gpus_lost >= 0) {
		int64_t all = capacity ? strtoll(capacity, NULL, 10) : 0;

		sim_node_set_gpus(node, all > happening->gpus_lost ? all - happening->gpus_lost : 0);
		if (happening->gpus_lost)
			snprintf(what, room, "%s: %d GPUs unhealthy", happening->node, (int)happening->gpus_lost);
		else
			snprintf(what, room, "%s: all GPUs healthy again", happening->node);
	} else {
		json_object_set_new(sim_member_object(node, "spec"), "unschedulable", json_boolean(happening->cordon));
		snprintf(what, room, "%s: %s", happening->node, happening->cordon ? "cordoned" : "uncordoned");
	}
}

bool sim_fleet_play(struct sim_fleet *fleet, struct sim_store *store, double second, char *what, size_t room)
{
	if (fleet->played == fleet->happening_count || fleet->happenings[fleet->played].at_s > second)
		return false;
	const struct sim_happening *happening = &fleet->happenings[fleet->played++];
	const struct sim_version *version = sim_store_get(store, SIM_NODES, NULL, happening->node);
	struct err err;

	if (!version) {
		snprintf(what, room, "%s: no such node", happening->node);
		return true;
	}
	json_auto_t *node = sim_store_tree(version);

	apply(happening, node, what, room);
	if (!sim_store_update(store, SIM_NODES, node, &err))
		snprintf(what, room, "%.100s", err.text);
	return true;
}
