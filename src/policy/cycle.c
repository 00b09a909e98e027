#include "policy/cycle.h"

#include <stdio.h>

#include "policy/words.h"

#define CYCLE_TEXT_MAX 512

enum colour { UNSEEN, ON_PATH, DONE };

struct walk {
	const struct doc_list *classes, *headroom;
	struct policy_report *report;
	enum colour colours[POLICY_CLASSES_MAX];
	size_t path[POLICY_CLASSES_MAX], depth;
};

/* The first class of that name, or how many there are. */
static size_t class_named(const struct doc_list *classes, struct slice name)
{
	for (size_t i = 0; i < classes->count; i++) {
		const struct doc_class *class = DOC_ITEM(doc_class, classes, i);

		if (class->name && slice_equal(class->name->text, name))
			return i;
	}
	return classes->count;
}

static bool lends_itself(const struct doc_headroom *rule)
{
	for (size_t i = 0; i < rule->lend_to.count; i++) {
		const struct yaml_node *to = doc_text(&rule->lend_to, i);

		if (to && slice_equal(to->text, rule->for_->text))
			return true;
	}
	return false;
}

/* One right of a class over another: where it stands, and how it is called there. */
struct edge {
	const struct yaml_node *victim;
	const char *list, *key;
	size_t index, item; /* of the object in its list, of the name in the key's */
};

static void report_cycle(const struct walk *walk, const struct edge *edge, size_t to)
{
	char text[CYCLE_TEXT_MAX] = "";
	size_t from = walk->path[walk->depth - 1], at = 0, len = 0;

	if (from == to) {
		report_add(walk->report, PROBLEM_PREEMPTION_CYCLE, place_of(edge->victim),
		    "%s[%zu].%s[%zu] %s is the class itself", edge->list, edge->index, edge->key, edge->item,
		    show(edge->victim->text).text);
		return;
	}
	while (walk->path[at] != to)
		at++;
	for (; at < walk->depth && len < sizeof text; at++) {
		const struct doc_class *class = DOC_ITEM(doc_class, walk->classes, walk->path[at]);

		len += (size_t)snprintf(text + len, sizeof text - len, "%s, ", show(class->name->text).text);
	}
	report_add(walk->report, PROBLEM_PREEMPTION_CYCLE, place_of(edge->victim),
	    "%s[%zu].%s[%zu] closes a cycle: %s%s", edge->list, edge->index, edge->key, edge->item, text,
	    show(edge->victim->text).text);
}

static void visit(struct walk *walk, size_t i);

static void follow(struct walk *walk, const struct doc_list *victims, struct edge edge)
{
	for (edge.item = 0; edge.item < victims->count; edge.item++) {
		edge.victim = doc_text(victims, edge.item);
		size_t to = edge.victim ? class_named(walk->classes, edge.victim->text) : walk->classes->count;

		if (to == walk->classes->count)
			continue; /* said already: the name is wrong, or no class has it */
		if (walk->colours[to] == ON_PATH)
			report_cycle(walk, &edge, to);
		else if (walk->colours[to] == UNSEEN)
			visit(walk, to);
	}
}

/* What a class lends from its headroom it takes back. Of what is lent to the class itself headroom's own check speaks.
 */
static void follow_loans(struct walk *walk, size_t i)
{
	const struct doc_class *class = DOC_ITEM(doc_class, walk->classes, i);

	for (size_t h = 0; class->name && h < walk->headroom->count; h++) {
		const struct doc_headroom *rule = DOC_ITEM(doc_headroom, walk->headroom, h);

		if (rule->for_ && slice_equal(rule->for_->text, class->name->text) && !lends_itself(rule))
			follow(walk, &rule->lend_to, (struct edge){.list = "headroom", .key = "lendTo", .index = h});
	}
}

/* As deep as there are classes. */
static void visit(struct walk *walk, size_t i)
{
	const struct doc_class *class = DOC_ITEM(doc_class, walk->classes, i);

	walk->colours[i] = ON_PATH;
	walk->path[walk->depth++] = i;
	follow(walk, &class->may_preempt, (struct edge){.list = "classes", .key = "mayPreempt", .index = i});
	follow_loans(walk, i);
	walk->depth--;
	walk->colours[i] = DONE;
}

void policy_check_cycles(const struct doc *doc, struct policy_report *report)
{
	struct walk walk = {.classes = &doc->classes, .headroom = &doc->headroom, .report = report};

	for (size_t i = 0; i < doc->classes.count; i++)
		if (walk.colours[i] == UNSEEN)
			visit(&walk, i);
}
