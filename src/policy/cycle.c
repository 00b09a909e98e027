#include "policy/cycle.h"

#include <stdio.h>

#include "policy/words.h"

#define CYCLE_TEXT_MAX 512

enum colour { UNSEEN, ON_PATH, DONE };

struct walk {
	const struct doc_list *classes;
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

static void report_cycle(const struct walk *walk, const struct yaml_node *victim, size_t to, size_t item)
{
	char text[CYCLE_TEXT_MAX] = "";
	size_t from = walk->path[walk->depth - 1], at = 0, len = 0;

	if (from == to) {
		report_add(walk->report, PROBLEM_PREEMPTION_CYCLE, place_of(victim),
		    "classes[%zu].mayPreempt[%zu] %s is the class itself", from, item, show(victim->text).text);
		return;
	}
	while (walk->path[at] != to)
		at++;
	for (; at < walk->depth && len < sizeof text; at++) {
		const struct doc_class *class = DOC_ITEM(doc_class, walk->classes, walk->path[at]);

		len += (size_t)snprintf(text + len, sizeof text - len, "%s, ", show(class->name->text).text);
	}
	report_add(walk->report, PROBLEM_PREEMPTION_CYCLE, place_of(victim),
	    "classes[%zu].mayPreempt[%zu] closes a cycle: %s%s", from, item, text, show(victim->text).text);
}

/* As deep as there are classes. */
static void visit(struct walk *walk, size_t i)
{
	const struct doc_list *victims = &DOC_ITEM(doc_class, walk->classes, i)->may_preempt;

	walk->colours[i] = ON_PATH;
	walk->path[walk->depth++] = i;
	for (size_t item = 0; item < victims->count; item++) {
		const struct yaml_node *victim = doc_text(victims, item);
		size_t to = victim ? class_named(walk->classes, victim->text) : walk->classes->count;

		if (to == walk->classes->count)
			continue; /* said already: the name is wrong, or no class has it */
		if (walk->colours[to] == ON_PATH)
			report_cycle(walk, victim, to, item);
		else if (walk->colours[to] == UNSEEN)
			visit(walk, to);
	}
	walk->depth--;
	walk->colours[i] = DONE;
}

void policy_check_cycles(const struct doc *doc, struct policy_report *report)
{
	struct walk walk = {.classes = &doc->classes, .report = report};

	for (size_t i = 0; i < doc->classes.count; i++)
		if (walk.colours[i] == UNSEEN)
			visit(&walk, i);
}
