#include "policy/signals.h"

#include "policy/scalar.h"
#include "policy/table.h"
#include "policy/words.h"

#define PROBLEM(report, problem, node, ...) report_add(report, problem, place_of(node), __VA_ARGS__)

static double duration_of(const struct doc_number *given, const char *fallback)
{
	double ns = given->value;

	if (!given->node)
		scalar_duration(slice_of(fallback), &ns);
	return ns;
}

/* The place of the signal of that name, or their count. */
static size_t signal_named(const struct doc_list *signals, struct slice name)
{
	size_t i = 0;

	for (; i < signals->count; i++) {
		const struct yaml_node *other = DOC_ITEM(doc_signal, signals, i)->name;

		if (other && slice_equal(other->text, name))
			break;
	}
	return i;
}

/* Taken for granted where either name is not there. */
static bool is_for(const struct doc_signal *signal, const struct yaml_node *class)
{
	return !signal->for_ || !class || slice_equal(signal->for_->text, class->text);
}

static bool is_defined(const struct doc *doc, const struct yaml_node *class)
{
	for (size_t i = 0; class && i < doc->classes.count; i++) {
		const struct yaml_node *name = DOC_ITEM(doc_class, &doc->classes, i)->name;

		if (name && slice_equal(name->text, class->text))
			return true;
	}
	return false;
}

/* Whether the rule of headroom follows the signal. */
static bool follows(const struct doc_headroom *rule, const struct doc_signal *signal)
{
	if (!rule->follow.head.node || !is_for(signal, rule->for_))
		return false;
	for (size_t i = 0; i < rule->follow.signals.count; i++) {
		const struct yaml_node *name = doc_text(&rule->follow.signals, i);

		if (!name || !signal->name || slice_equal(name->text, signal->name->text))
			return true;
	}
	return !rule->follow.signals.node;
}

/* --- checks --- */

static void check_bounds(const struct doc_headroom *rule, size_t i, struct policy_report *report)
{
	const struct doc_number *max = &rule->follow.max, *gpus = &rule->gpus, *chunk = &rule->in_chunks_of;

	if (max->node && gpus->node && max->value <= gpus->value)
		PROBLEM(report, PROBLEM_BAD_COMBINATION, max->node,
		    "headroom[%zu].follow.max %lld leaves nothing to follow with: gpus is %lld already", i,
		    (long long)max->value, (long long)gpus->value);
	else if (max->node && chunk->node && (int64_t)max->value % (int64_t)chunk->value != 0)
		PROBLEM(report, PROBLEM_BAD_COMBINATION, max->node,
		    "headroom[%zu].follow.max %lld are no whole number of chunks of %lld", i, (long long)max->value,
		    (long long)chunk->value);
}

static void check_follow(const struct doc *doc, const struct doc_headroom *rule, size_t i, struct policy_report *report)
{
	const struct doc_list *named = &rule->follow.signals, *signals = &doc->signals.load;
	bool any = false;

	check_bounds(rule, i, report);
	for (size_t j = 0; j < named->count; j++) {
		const struct yaml_node *name = doc_text(named, j);
		size_t at = name ? signal_named(signals, name->text) : signals->count;

		if (at < signals->count && !is_for(DOC_ITEM(doc_signal, signals, at), rule->for_) &&
		    is_defined(doc, DOC_ITEM(doc_signal, signals, at)->for_))
			PROBLEM(report, PROBLEM_BAD_COMBINATION, name,
			    "headroom[%zu].follow.signals[%zu] %s is for another class than %s", i, j,
			    show(name->text).text, show(rule->for_->text).text);
	}
	for (size_t j = 0; j < signals->count; j++)
		any |= is_for(DOC_ITEM(doc_signal, signals, j), rule->for_);
	if (!any && !named->node && is_defined(doc, rule->for_))
		PROBLEM(report, PROBLEM_BAD_COMBINATION, rule->follow.head.node,
		    "headroom[%zu].follow has no signal to follow: none under signals.load is for %s", i,
		    show(rule->for_->text).text);
}

/* Whether anything goes by the signal: headroom that follows it, or GPUs that are given back. */
static bool is_used(const struct doc *doc, const struct doc_signal *signal)
{
	for (size_t i = 0; i < doc->headroom.count; i++)
		if (follows(DOC_ITEM(doc_headroom, &doc->headroom, i), signal))
			return true;
	return doc->moves.head.node != NULL;
}

static void check_signal(const struct doc *doc, size_t i, struct policy_report *report)
{
	const struct doc_signal *signal = DOC_ITEM(doc_signal, &doc->signals.load, i);

	if (signal->head.broken)
		return;
	if (signal->query && !doc->signals.prometheus.head.node)
		PROBLEM(report, PROBLEM_MISSING_KEY, signal->query,
		    "signals.load[%zu].query has nobody to ask: signals has no \"prometheus\"", i);
	if (!is_used(doc, signal))
		PROBLEM(report, PROBLEM_NO_EFFECT, signal->head.node,
		    "signals.load[%zu] has no effect: no headroom follows it, and without \"moves\" nothing is given "
		    "back",
		    i);
}

/* Whether what is sent there leaves the machine as it is. */
static bool is_in_the_clear(struct slice url)
{
	static const char *const here[] = {"127.0.0.1", "localhost", "[::1]"};
	struct slice host = {url.at + strlen("http://"), 0};

	if (url.len <= strlen("http://") || memcmp(url.at, "http://", strlen("http://")) != 0)
		return false;
	while (host.at + host.len < url.at + url.len && host.at[host.len] != '/' &&
	       (host.at[host.len] != ':' || host.at[0] == '['))
		host.len++;
	for (size_t i = 0; i < sizeof here / sizeof *here; i++)
		if (host.len >= strlen(here[i]) && memcmp(host.at, here[i], strlen(here[i])) == 0 &&
		    (host.len == strlen(here[i]) || host.at[strlen(here[i])] == ':'))
			return false;
	return true;
}

static void check_prometheus(const struct doc *doc, struct policy_report *report)
{
	const struct doc_prometheus *prometheus = &doc->signals.prometheus;
	const struct doc_number *stale = &doc->signals.stale_after, *every = &prometheus->every;
	const struct yaml_node *at = every->node ? every->node : stale->node;
	bool asks = false;

	if (!prometheus->head.node)
		return;
	for (size_t i = 0; i < doc->signals.load.count; i++)
		asks |= DOC_ITEM(doc_signal, &doc->signals.load, i)->query ||
		        DOC_ITEM(doc_signal, &doc->signals.load, i)->head.broken;
	if (!asks)
		PROBLEM(report, PROBLEM_NO_EFFECT, prometheus->head.node,
		    "signals.prometheus has no effect: no signal has a \"query\"");
	if (prometheus->url && prometheus->token_file && is_in_the_clear(prometheus->url->text))
		PROBLEM(report, PROBLEM_BAD_COMBINATION, prometheus->token_file,
		    "signals.prometheus.tokenFile would be sent for all to read: url %s is not https",
		    show(prometheus->url->text).text);
	if (at && !doc->signals.head.broken &&
	    duration_of(every, SIGNALS_EVERY_DEFAULT) > duration_of(stale, SIGNALS_STALE_DEFAULT))
		PROBLEM(report, PROBLEM_BAD_COMBINATION, at,
		    "signals.prometheus.every is longer than signals.staleAfter: values would be too old before they "
		    "are asked for again");
}

void policy_check_signals(const struct doc *doc, struct policy_report *report)
{
	for (size_t i = 0; i < doc->headroom.count; i++) {
		const struct doc_headroom *rule = DOC_ITEM(doc_headroom, &doc->headroom, i);

		if (rule->follow.head.node && rule->for_)
			check_follow(doc, rule, i, report);
	}
	for (size_t i = 0; i < doc->signals.load.count; i++)
		check_signal(doc, i, report);
	check_prometheus(doc, report);
}

/* --- the policy --- */

static const char *copy(struct arena *arena, const struct yaml_node *node)
{
	return node ? arena_copy(arena, node->text) : NULL;
}

static enum signal_source source_of(const struct doc_signal *signal)
{
	if (signal->query)
		return SIGNAL_QUERY;
	return slice_is(signal->from->text, SIGNALS_AUTOSCALERS_WORD) ? SIGNAL_AUTOSCALERS : SIGNAL_PENDING_PODS;
}

static struct policy_signal compile_signal(
    const struct policy *policy, struct arena *arena, const struct doc_signal *in)
{
	struct policy_signal signal = {.name = copy(arena, in->name),
	    .source = source_of(in),
	    .query = copy(arena, in->query),
	    .gpus_per = in->gpus_per.node ? in->gpus_per.value : 1,
	    .peak_above = in->peak_above.value};

	while (signal.for_ < policy->class_count && !slice_is(in->for_->text, policy->classes[signal.for_].name))
		signal.for_++;
	return signal;
}

void policy_compile_signals(struct policy *policy, struct arena *arena, const struct doc *doc)
{
	const struct doc_prometheus *prometheus = &doc->signals.prometheus;
	struct policy_signals *signals = &policy->signals;

	signals->count = doc->signals.load.count;
	signals->items = arena_calloc(arena, signals->count, sizeof *signals->items);
	for (size_t i = 0; i < signals->count; i++)
		signals->items[i] = compile_signal(policy, arena, DOC_ITEM(doc_signal, &doc->signals.load, i));
	signals->stale_after_ns = (int64_t)duration_of(&doc->signals.stale_after, SIGNALS_STALE_DEFAULT);
	signals->url = copy(arena, prometheus->url);
	signals->token_file = copy(arena, prometheus->token_file);
	signals->ca_file = copy(arena, prometheus->ca_file);
	signals->every_ns = (int64_t)duration_of(&prometheus->every, SIGNALS_EVERY_DEFAULT);
	for (size_t i = 0; i < doc->headroom.count; i++) {
		const struct doc_headroom *rule = DOC_ITEM(doc_headroom, &doc->headroom, i);
		struct policy_headroom *out = &policy->headroom[i];

		for (size_t j = 0; j < signals->count; j++)
			if (follows(rule, DOC_ITEM(doc_signal, &doc->signals.load, j)))
				out->follows |= UINT32_C(1) << j;
		out->follow_max = (int64_t)rule->follow.max.value;
		out->hold_ns = (int64_t)duration_of(&rule->follow.hold, FOLLOW_HOLD_DEFAULT);
	}
}
