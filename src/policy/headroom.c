#include "policy/headroom.h"

#include "base/calendar.h"
#include "policy/words.h"

#define PROBLEM(report, problem, node, ...) report_add(report, problem, place_of(node), __VA_ARGS__)

static void check_chunks(const struct doc_headroom *rule, size_t i, struct policy_report *report)
{
	const struct doc_number *gpus = &rule->gpus, *chunk = &rule->in_chunks_of;

	if (gpus->node && chunk->node && (int64_t)gpus->value % (int64_t)chunk->value != 0)
		PROBLEM(report, PROBLEM_BAD_COMBINATION, gpus->node,
		    "headroom[%zu].gpus %lld are no whole number of chunks of %lld", i, (long long)gpus->value,
		    (long long)chunk->value);
}

static void check_lending(const struct doc_headroom *rule, size_t i, struct policy_report *report)
{
	const struct doc_list *classes = &rule->lend_to;

	if (classes->node && !rule->when.head.node)
		PROBLEM(report, PROBLEM_NO_EFFECT, classes->node,
		    "headroom[%zu].lendTo has no effect without \"when\": the GPUs are always kept free", i);
	for (size_t j = 0; j < classes->count; j++) {
		const struct yaml_node *class = doc_text(classes, j);

		if (!class)
			continue;
		if (rule->for_ && slice_equal(class->text, rule->for_->text))
			PROBLEM(report, PROBLEM_BAD_COMBINATION, class,
			    "headroom[%zu].lendTo[%zu] %s is the class whose own the GPUs are", i, j,
			    show(class->text).text);
	}
}

/* Of GPUs that its pods may not have, a class needs none. */
static void check_pool(const struct doc *doc, const struct doc_headroom *rule, size_t i, struct policy_report *report)
{
	for (size_t j = 0; j < doc->classes.count && rule->for_ && rule->pool; j++) {
		const struct doc_class *class = DOC_ITEM(doc_class, &doc->classes, j);
		bool allowed = class->only.node == NULL;

		if (!class->name || !slice_equal(class->name->text, rule->for_->text))
			continue;
		for (size_t k = 0; k < class->only.count; k++)
			allowed |= !doc_text(&class->only, k) ||
			           slice_equal(doc_text(&class->only, k)->text, rule->pool->text);
		if (!allowed)
			PROBLEM(report, PROBLEM_BAD_COMBINATION, rule->pool,
			    "headroom[%zu].pool %s is none that classes[%zu] may use by its \"only\"", i,
			    show(rule->pool->text).text, j);
	}
}

static void check_minute(const struct yaml_node *text, const char *key, size_t i, struct policy_report *report)
{
	if (text && calendar_minute(text->text) < 0)
		PROBLEM(report, PROBLEM_UNKNOWN_VALUE, text,
		    "headroom[%zu].when.%s %s is no time of the day from \"00:00\" to \"24:00\"", i, key,
		    show(text->text).text);
}

static void check_zone(const struct yaml_node *text, size_t i, struct policy_report *report)
{
	struct zone *zone;
	struct err err;

	if (text && zone_load(text->text, &zone, &err) != 0)
		PROBLEM(report, PROBLEM_UNKNOWN_VALUE, text, "headroom[%zu].when.timeZone %s: %s", i,
		    show(text->text).text, err.text);
	else if (text)
		zone_free(zone);
}

void headroom_check(const struct doc *doc, const struct doc_headroom *rule, size_t i, struct policy_report *report)
{
	const struct doc_when *when = &rule->when;

	check_pool(doc, rule, i, report);
	check_chunks(rule, i, report);
	check_lending(rule, i, report);
	if (when->days && calendar_days(when->days->text) == 0)
		PROBLEM(report, PROBLEM_UNKNOWN_VALUE, when->days,
		    "headroom[%zu].when.days %s are no days like mon-fri or sat,sun", i, show(when->days->text).text);
	check_minute(when->from, "from", i, report);
	check_minute(when->to, "to", i, report);
	check_zone(when->time_zone, i, report);
}
