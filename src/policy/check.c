#include "policy/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "policy/headroom.h"
#include "policy/preset.h"
#include "policy/table.h"
#include "policy/words.h"

#define PATH_MAX_LEN 96
#define INT64_DIGITS 18 /* that always fit */

struct path {
	char text[PATH_MAX_LEN];
};

/* The names that a list of objects defines, and where in those objects they stand. */
struct names {
	const char *what, *list_name, *key;
	const struct doc_list *list;
	size_t size, offset;
	struct words words;
	bool complete; /* false: one could not be read, and it may be the one that is sought */
};

struct checker {
	const struct doc *doc;
	struct policy_report *report;
	struct names levels, pools, classes, teams, signals;
};

#define PROBLEM(checker, problem, node, ...) report_add((checker)->report, problem, place_of(node), __VA_ARGS__)

static struct path path_of(const char *format, ...) BERTH_PRINTF(1, 2);

static struct path path_of(const char *format, ...)
{
	struct path path;
	va_list args;

	va_start(args, format);
	vsnprintf(path.text, sizeof path.text, format, args);
	va_end(args);
	return path;
}

static const struct yaml_node *name_at(const struct names *names, size_t i)
{
	return *(const struct yaml_node *const *)((const char *)names->list->items + i * names->size + names->offset);
}

/* The earlier item of the same name, or NULL. */
static const struct yaml_node *find_earlier(const struct names *names, const struct yaml_node *name, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		const struct yaml_node *other = name_at(names, j);

		if (other && slice_equal(other->text, name->text))
			return other;
	}
	return NULL;
}

/* Fills in words and complete; a name that is there twice is reported. */
static void collect_names(struct checker *checker, struct names *names)
{
	names->complete = true;
	for (size_t i = 0; i < names->list->count; i++) {
		const struct yaml_node *name = name_at(names, i), *earlier;

		if (!name) {
			names->complete = false;
			continue;
		}
		words_add(&names->words, name->text.at);
		earlier = find_earlier(names, name, i);
		if (earlier)
			PROBLEM(checker, PROBLEM_DUPLICATE_NAME, name, "%s[%zu].%s %s is also in line %u",
			    names->list_name, i, names->key, show(name->text).text, earlier->mark.line);
	}
}

static bool is_defined(const struct names *names, struct slice text)
{
	for (size_t i = 0; i < names->words.count; i++)
		if (slice_is(text, names->words.items[i].text))
			return true;
	return !names->complete;
}

static void check_name(
    struct checker *checker, const struct names *names, const struct yaml_node *name, struct path path)
{
	if (!name || is_defined(names, name->text))
		return;
	if (names->words.count == 0)
		PROBLEM(checker, PROBLEM_DANGLING_NAME, name, "%s %s is not defined: the policy has no %s", path.text,
		    show(name->text).text, names->list_name);
	else
		PROBLEM(checker, PROBLEM_DANGLING_NAME, name, "%s %s is not one of the %s: %s", path.text,
		    show(name->text).text, names->what, words_listed(&names->words, name->text).text);
}

static struct path level_path(const struct level *level)
{
	return path_of("topology[%zu]%s", level->index, level->preset ? "" : ".level");
}

static const char *label_of(const struct level *level, size_t i)
{
	if (level->preset)
		return i < PRESET_LABELS_MAX ? level->preset->labels[i] : NULL;
	return i == 0 && level->item->node_label ? level->item->node_label->text.at : NULL;
}

static bool is_cut(const struct level *level)
{
	return level->preset ? level->preset->up_to_last_dot : level->item->up_to != NULL;
}

/* The label that both are read from, or NULL. */
static const char *common_label(const struct level *a, const struct level *b)
{
	for (size_t i = 0; is_cut(a) == is_cut(b) && label_of(a, i); i++)
		for (size_t j = 0; label_of(b, j); j++)
			if (strcmp(label_of(a, i), label_of(b, j)) == 0)
				return label_of(a, i);
	return NULL;
}

static void check_level(struct checker *checker, const struct levels *levels, size_t i)
{
	const struct level *level = &levels->items[i];
	const char *label;

	if (slice_is(level->name, LEVEL_HOST))
		PROBLEM(checker, PROBLEM_DUPLICATE_NAME, level->place,
		    "%s \"" LEVEL_HOST "\" is implied and cannot be named", level_path(level).text);
	for (size_t j = 0; j < i; j++) {
		const struct level *other = &levels->items[j];

		if (!slice_equal(other->name, level->name))
			continue;
		PROBLEM(checker, PROBLEM_DUPLICATE_NAME, level->place, "%s%s %s is also in line %u",
		    level_path(level).text, level->preset ? ": level" : "", show(level->name).text,
		    other->place->mark.line);
		return;
	}
	for (size_t j = 0; j < i; j++) {
		const struct level *other = &levels->items[j];

		label = common_label(level, other);
		if (!label)
			continue;
		PROBLEM(checker, PROBLEM_DUPLICATE_NAME, level->preset ? level->place : level->item->node_label,
		    "topology[%zu]%s %s is also in line %u", level->index, level->preset ? ": label" : ".nodeLabel",
		    show(slice_of(label)).text, other->place->mark.line);
		return;
	}
}

static void check_preset(struct checker *checker, const struct doc_level *item, size_t index)
{
	const struct preset *preset = preset_named(item->preset->text);

	for (size_t i = 0; i < item->levels.count; i++) {
		const struct yaml_node *name = doc_text(&item->levels, i);
		struct words known = {0};
		bool found = false;

		for (size_t j = 0; name && j < PRESET_LEVELS_MAX && preset->levels[j].name; j++) {
			words_add(&known, preset->levels[j].name);
			found = found || slice_is(name->text, preset->levels[j].name);
		}
		if (name && !found)
			PROBLEM(checker, PROBLEM_UNKNOWN_VALUE, name, "topology[%zu].levels[%zu] %s is not %s", index,
			    i, show(name->text).text, words_choices(&known, name->text).text);
	}
}

static void check_levels(struct checker *checker)
{
	struct levels levels;

	levels_collect(&checker->doc->topology, &levels);
	checker->levels.complete = levels.complete;
	for (size_t i = 0; i < levels.count; i++) {
		words_add(&checker->levels.words, levels.items[i].name.at);
		check_level(checker, &levels, i);
	}
	if (levels.one_more)
		PROBLEM(checker, PROBLEM_TOO_MANY, levels.one_more,
		    "topology has more than %d levels, those of presets counted", TOPOLOGY_LEVELS_MAX);
	for (size_t i = 0; i < checker->doc->topology.count; i++) {
		const struct doc_level *item = DOC_ITEM(doc_level, &checker->doc->topology, i);

		if (item->preset)
			check_preset(checker, item, i);
	}
	words_add(&checker->levels.words, LEVEL_HOST);
}

static bool is_whole_number(const struct yaml_node *node)
{
	size_t len = node->text.len;

	return len > 0 && len <= INT64_DIGITS && strspn(node->text.at, "0123456789") == len;
}

static void check_expression(struct checker *checker, const struct doc_expression *expression, struct path path)
{
	const struct yaml_node *op = expression->operator;
	const struct doc_list *values = &expression->values;
	bool one, none;

	if (expression->head.broken)
		return;
	one = slice_is(op->text, "Gt") || slice_is(op->text, "Lt");
	none = slice_is(op->text, "Exists") || slice_is(op->text, "DoesNotExist");
	if (none && values->count > 0)
		PROBLEM(checker, PROBLEM_BAD_COMBINATION, values->node, "%s.values: operator %s takes no values",
		    path.text, op->text.at);
	else if (!none && values->count == 0)
		PROBLEM(checker, PROBLEM_BAD_COMBINATION, op, "%s.operator %s needs values", path.text, op->text.at);
	else if (one && values->count > 1)
		PROBLEM(checker, PROBLEM_BAD_COMBINATION, values->node, "%s.values: operator %s takes one value",
		    path.text, op->text.at);
	else if (one && !is_whole_number(doc_text(values, 0)))
		PROBLEM(checker, PROBLEM_BAD_COMBINATION, doc_text(values, 0),
		    "%s.values: operator %s takes a whole number", path.text, op->text.at);
}

static void check_model(
    struct checker *checker, const struct gpu_catalogue *catalogue, const struct yaml_node *gpu, size_t pool)
{
	const struct gpu_model *product;
	struct words models;

	if (!gpu || !catalogue || gpu_model_named(catalogue, gpu->text))
		return;
	models.count = 0;
	for (size_t i = 0; i < catalogue->model_count; i++)
		words_add(&models, catalogue->models[i].name);
	/* A node label's value, copied from the cluster. */
	product = gpu_model_of_product(catalogue, gpu->text);
	if (product)
		words_add_synonym(&models, gpu->text.at, product->name);
	PROBLEM(checker, PROBLEM_UNKNOWN_MODEL, gpu, "pools[%zu].gpu %s is not one of the models in the catalogue: %s",
	    pool, show(gpu->text).text, words_listed(&models, gpu->text).text);
}

static void check_pools(struct checker *checker, const struct gpu_catalogue *catalogue)
{
	const struct doc_list *pools = &checker->doc->pools;

	for (size_t i = 0; i < pools->count; i++) {
		const struct doc_pool *pool = DOC_ITEM(doc_pool, pools, i);
		const struct doc_list *expressions = &pool->node_selector.match_expressions;

		check_model(checker, catalogue, pool->gpu, i);
		for (size_t j = 0; j < expressions->count; j++)
			check_expression(checker, DOC_ITEM(doc_expression, expressions, j),
			    path_of("pools[%zu].nodeSelector.matchExpressions[%zu]", i, j));
	}
}

static void check_class(struct checker *checker, const struct doc_class *class, size_t i)
{
	const struct yaml_node *spread = class->replicas.spread_over;

	for (size_t j = 0; j < class->only.count; j++)
		check_name(
		    checker, &checker->pools, doc_text(&class->only, j), path_of("classes[%zu].only[%zu]", i, j));
	for (size_t j = 0; j < class->prefer.count; j++)
		check_name(
		    checker, &checker->pools, doc_text(&class->prefer, j), path_of("classes[%zu].prefer[%zu]", i, j));
	for (size_t j = 0; j < class->may_preempt.count; j++)
		check_name(checker, &checker->classes, doc_text(&class->may_preempt, j),
		    path_of("classes[%zu].mayPreempt[%zu]", i, j));
	check_name(checker, &checker->levels, spread, path_of("classes[%zu].replicas.spreadOver", i));
	check_name(checker, &checker->levels, class->gang.require, path_of("classes[%zu].gang.require", i));
	check_name(checker, &checker->levels, class->gang.prefer, path_of("classes[%zu].gang.prefer", i));
}

static void check_gate(struct checker *checker)
{
	const struct doc_list *classes = &checker->doc->gate.classes;

	for (size_t i = 0; i < classes->count && checker->doc->classes.node; i++)
		check_name(checker, &checker->classes, doc_text(classes, i), path_of("gate.classes[%zu]", i));
}

static void check_headroom(struct checker *checker)
{
	const struct doc_list *rules = &checker->doc->headroom;

	for (size_t i = 0; i < rules->count; i++) {
		const struct doc_headroom *rule = DOC_ITEM(doc_headroom, rules, i);

		check_name(checker, &checker->classes, rule->for_, path_of("headroom[%zu].for", i));
		check_name(checker, &checker->pools, rule->pool, path_of("headroom[%zu].pool", i));
		for (size_t j = 0; j < rule->lend_to.count; j++)
			check_name(checker, &checker->classes, doc_text(&rule->lend_to, j),
			    path_of("headroom[%zu].lendTo[%zu]", i, j));
		for (size_t j = 0; j < rule->follow.signals.count; j++)
			check_name(checker, &checker->signals, doc_text(&rule->follow.signals, j),
			    path_of("headroom[%zu].follow.signals[%zu]", i, j));
		headroom_check(checker->doc, rule, i, checker->report);
	}
}

static void check_signals(struct checker *checker)
{
	const struct doc_list *signals = &checker->doc->signals.load;

	for (size_t i = 0; i < signals->count; i++)
		check_name(checker, &checker->classes, DOC_ITEM(doc_signal, signals, i)->for_,
		    path_of("signals.load[%zu].for", i));
}

static void check_amounts(struct checker *checker, const struct doc_list *amounts, struct path path)
{
	for (size_t i = 0; i < amounts->count; i++)
		check_name(checker, &checker->pools, DOC_ITEM(doc_amount, amounts, i)->name, path);
}

/* A pattern belongs to one team; where two overlap in part, the first of them has the namespaces. */
static void check_namespaces(struct checker *checker, size_t team)
{
	const struct doc_list *patterns = &DOC_ITEM(doc_team, &checker->doc->teams, team)->namespaces;

	for (size_t i = 0; i < patterns->count; i++)
		for (size_t j = 0; doc_text(patterns, i) && j < team; j++) {
			const struct doc_team *other = DOC_ITEM(doc_team, &checker->doc->teams, j);

			for (size_t k = 0; k < other->namespaces.count; k++) {
				const struct yaml_node *theirs = doc_text(&other->namespaces, k);

				if (theirs && slice_equal(theirs->text, doc_text(patterns, i)->text))
					PROBLEM(checker, PROBLEM_DUPLICATE_NAME, doc_text(patterns, i),
					    "teams[%zu].namespaces[%zu] %s is also in line %u", team, i,
					    show(theirs->text).text, theirs->mark.line);
			}
		}
}

static void check_teams(struct checker *checker)
{
	const struct doc_list *teams = &checker->doc->teams;

	for (size_t i = 0; i < teams->count; i++) {
		const struct doc_team *team = DOC_ITEM(doc_team, teams, i);

		if (team->name && slice_is(team->name->text, POLICY_UNLISTED))
			PROBLEM(checker, PROBLEM_DUPLICATE_NAME, team->name,
			    "teams[%zu].name \"" POLICY_UNLISTED
			    "\" is implied: it is the team of all namespaces that no other names",
			    i);
		check_name(checker, &checker->teams, team->parent, path_of("teams[%zu].parent", i));
		check_amounts(checker, &team->guaranteed, path_of("teams[%zu].guaranteed", i));
		check_amounts(checker, &team->limit, path_of("teams[%zu].limit", i));
		check_namespaces(checker, i);
	}
	check_amounts(checker, &checker->doc->unlisted.limit, path_of("unlisted.limit"));
}

static void check_fallback(struct checker *checker)
{
	const struct yaml_node *fallback = checker->doc->fallback;
	const struct doc_list *classes = &checker->doc->classes;

	/* Without classes the missing key was said already. */
	if (!fallback || !classes->node)
		return;
	check_name(checker, &checker->classes, fallback, path_of("fallback"));
	for (size_t i = 0; i < classes->count; i++) {
		const struct doc_class *class = DOC_ITEM(doc_class, classes, i);
		const struct {
			const char *key;
			const struct yaml_node *node;
		} limits[] = {{"only", class->only.node}, {"maxGPUsPerPod", class->max_gpus_per_pod.node}};

		if (!class->name || !slice_equal(class->name->text, fallback->text))
			continue;
		for (size_t j = 0; j < sizeof limits / sizeof *limits; j++)
			if (limits[j].node)
				PROBLEM(checker, PROBLEM_LIMITED_FALLBACK, limits[j].node,
				    "classes[%zu] %s is the fallback and may not have \"%s\": pods that no rule names "
				    "would be refused",
				    i, show(class->name->text).text, limits[j].key);
	}
}

static bool same_optional(const struct yaml_node *a, const struct yaml_node *b)
{
	return (!a && !b) || (a && b && slice_equal(a->text, b->text));
}

static void check_avoid(struct checker *checker)
{
	const struct doc_list *rules = &checker->doc->health.avoid;

	for (size_t i = 0; i < rules->count; i++) {
		const struct doc_avoid *rule = DOC_ITEM(doc_avoid, rules, i);

		for (size_t j = 0; j < i && !rule->head.broken; j++) {
			const struct doc_avoid *other = DOC_ITEM(doc_avoid, rules, j);

			if (other->head.broken || !same_optional(rule->node_condition, other->node_condition) ||
			    !same_optional(rule->is, other->is) || !same_optional(rule->taint_key, other->taint_key))
				continue;
			PROBLEM(checker, PROBLEM_DUPLICATE_NAME, rule->head.node,
			    "health.avoid[%zu] says the same as health.avoid[%zu] in line %u", i, j,
			    other->head.node->mark.line);
			break;
		}
	}
}

void policy_check(const struct doc *doc, const struct gpu_catalogue *catalogue, struct policy_report *report)
{
	struct checker checker = {
	    .doc = doc,
	    .report = report,
	    .levels = {.what = "levels of the topology", .list_name = "topology"},
	    .pools = {"pools", "pools", "name", &doc->pools, sizeof(struct doc_pool), offsetof(struct doc_pool, name),
	        {0}, false},
	    .classes = {"classes", "classes", "name", &doc->classes, sizeof(struct doc_class),
	        offsetof(struct doc_class, name), {0}, false},
	    .teams = {"teams", "teams", "name", &doc->teams, sizeof(struct doc_team), offsetof(struct doc_team, name),
	        {0}, false},
	    .signals = {"signals", "signals.load", "name", &doc->signals.load, sizeof(struct doc_signal),
	        offsetof(struct doc_signal, name), {0}, false},
	};

	collect_names(&checker, &checker.pools);
	collect_names(&checker, &checker.classes);
	collect_names(&checker, &checker.teams);
	collect_names(&checker, &checker.signals);
	check_levels(&checker);
	check_pools(&checker, catalogue);
	for (size_t i = 0; i < doc->classes.count; i++)
		check_class(&checker, DOC_ITEM(doc_class, &doc->classes, i), i);
	check_fallback(&checker);
	check_headroom(&checker);
	check_signals(&checker);
	check_gate(&checker);
	check_avoid(&checker);
	check_teams(&checker);
}
