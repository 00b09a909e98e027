/* Where a pod may go, decoded and matched as the daemon does it (labels, node selectors, node affinity, taints and
 * tolerations), against a second matcher that works on the drawn objects alone: linear scans, regular expressions for
 * what is a label, strtoll for integers. The input draws a node and a pod from small pools of words, so that keys and
 * values meet often; some words are spelt by the input itself. Rules: component-helpers and apimachinery v0.36.3. */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "berth/arena.h"
#include "cluster/node.h"
#include "cluster/pod.h"

#define LIST_MAX 6
#define TEXT_MAX ((size_t)1 << 20)
#define LETTERS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LETTERS_63 LETTERS LETTERS "a"
#define NODE_NAME "node-1"

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds)) {                                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                                    \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- what is drawn --- */

struct drawn_requirement {
	const char *key, *op, *values[LIST_MAX];
	size_t value_count;
};

struct drawn_term {
	struct drawn_requirement expressions[LIST_MAX], fields[LIST_MAX];
	size_t expression_count, field_count;
	int weight;
};

struct drawn_toleration {
	const char *key, *value, *op, *effect;
};

struct drawn {
	struct label labels[LIST_MAX], selector[LIST_MAX];
	size_t label_count, selector_count;
	bool has_required;
	struct drawn_term required[LIST_MAX], preferred[LIST_MAX];
	size_t required_count, preferred_count;
	struct drawn_toleration taints[LIST_MAX], tolerations[LIST_MAX]; /* a taint has no op */
	size_t taint_count, toleration_count;
};

struct source {
	const uint8_t *at, *end;
	struct arena arena;
};

static unsigned draw(struct source *source, unsigned below)
{
	return source->at < source->end ? *source->at++ % below : 0;
}

static const char *draw_word(struct source *source, const char *const *pool, unsigned count)
{
	unsigned at = draw(source, count + 1);
	if (at < count)
		return pool[at];
	size_t len = draw(source, 12);
	char *word = arena_alloc(&source->arena, len + 1);
	for (size_t i = 0; i < len; i++)
		word[i] = (char)(' ' + draw(source, 95));
	word[len] = '\0';
	return word;
}

#define DRAW_OF(source, pool) draw_word(source, pool, sizeof(pool) / sizeof(*(pool)))

static const char *draw_key(struct source *source)
{
	static const char *const keys[] = {"a", "b", "zone", "berth.dev/class", "x.y-z/a_b", "", "-bad", "UPPER/x",
	    "a/b/c", "/a", "a/", "a..b/c", "metadata.name", "metadata.namespace", LETTERS_63, LETTERS_63 "a",
	    "caf\xc3\xa9"};
	return DRAW_OF(source, keys);
}

static const char *draw_value(struct source *source)
{
	static const char *const values[] = {"", "a", "b", "1", "2", "10", "-1", "+2", "007", "9223372036854775807",
	    "9223372036854775808", "-9223372036854775808", "1x", "x y", "a.b_c", "-", "true", NODE_NAME, LETTERS_63,
	    LETTERS_63 "a"};
	return DRAW_OF(source, values);
}

static const char *draw_effect(struct source *source)
{
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", "", "Other"};
	return effects[draw(source, 5)];
}

static size_t draw_labels(struct source *source, struct label *labels)
{
	size_t count = draw(source, LIST_MAX + 1);
	for (size_t i = 0; i < count; i++)
		labels[i] = (struct label){draw_key(source), draw_value(source)};
	return count;
}

static size_t draw_requirements(struct source *source, struct drawn_requirement *requirements)
{
	static const char *const ops[] = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "in", ""};
	size_t count = draw(source, LIST_MAX);
	for (size_t i = 0; i < count; i++) {
		requirements[i].key = draw_key(source);
		requirements[i].op = ops[draw(source, sizeof ops / sizeof *ops)];
		requirements[i].value_count = draw(source, LIST_MAX);
		for (size_t j = 0; j < requirements[i].value_count; j++)
			requirements[i].values[j] = draw_value(source);
	}
	return count;
}

static size_t draw_terms(struct source *source, struct drawn_term *terms)
{
	size_t count = draw(source, LIST_MAX);
	for (size_t i = 0; i < count; i++) {
		terms[i].weight = (int)draw(source, 120) - 10;
		terms[i].expression_count = draw_requirements(source, terms[i].expressions);
		terms[i].field_count = draw_requirements(source, terms[i].fields);
	}
	return count;
}

static size_t draw_tolerations(struct source *source, struct drawn_toleration *tolerations)
{
	static const char *const ops[] = {"", "Equal", "Exists", "Lt", "Gt", "equal"};
	size_t count = draw(source, LIST_MAX + 1);
	for (size_t i = 0; i < count; i++)
		tolerations[i] = (struct drawn_toleration){
		    draw_key(source), draw_value(source), ops[draw(source, 6)], draw_effect(source)};
	return count;
}

static void draw_all(struct source *source, struct drawn *drawn)
{
	drawn->label_count = draw_labels(source, drawn->labels);
	drawn->selector_count = draw_labels(source, drawn->selector) % 3;
	drawn->has_required = draw(source, 2);
	drawn->required_count = drawn->has_required ? draw_terms(source, drawn->required) : 0;
	drawn->preferred_count = draw_terms(source, drawn->preferred);
	drawn->taint_count = draw_tolerations(source, drawn->taints);
	drawn->toleration_count = draw_tolerations(source, drawn->tolerations);
}

/* --- as objects of the API --- */

static void write_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	buf_json_string(out, slice_of(text));
}

static void write_labels(struct buf *out, const char *name, const struct label *labels, size_t count)
{
	buf_printf(out, "\"%s\":{", name);
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? "," : "");
		buf_json_string(out, slice_of(labels[i].key));
		buf_char(out, ':');
		buf_json_string(out, slice_of(labels[i].value));
	}
	buf_char(out, '}');
}

static void write_requirements(
    struct buf *out, const char *name, const struct drawn_requirement *requirements, size_t count)
{
	buf_printf(out, "\"%s\":[", name);
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? ",{" : "{");
		write_text(out, "key", requirements[i].key);
		buf_char(out, ',');
		write_text(out, "operator", requirements[i].op);
		buf_text(out, ",\"values\":[");
		for (size_t j = 0; j < requirements[i].value_count; j++) {
			buf_text(out, j ? "," : "");
			buf_json_string(out, slice_of(requirements[i].values[j]));
		}
		buf_text(out, "]}");
	}
	buf_char(out, ']');
}

static void write_term(struct buf *out, const struct drawn_term *term)
{
	buf_char(out, '{');
	write_requirements(out, "matchExpressions", term->expressions, term->expression_count);
	buf_char(out, ',');
	write_requirements(out, "matchFields", term->fields, term->field_count);
	buf_char(out, '}');
}

static void write_tolerations(
    struct buf *out, const char *name, const struct drawn_toleration *tolerations, size_t count)
{
	buf_printf(out, "\"%s\":[", name);
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? ",{" : "{");
		write_text(out, "key", tolerations[i].key);
		buf_char(out, ',');
		write_text(out, "value", tolerations[i].value);
		buf_char(out, ',');
		write_text(out, "operator", tolerations[i].op);
		buf_char(out, ',');
		write_text(out, "effect", tolerations[i].effect);
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

static void write_node(struct buf *out, const struct drawn *drawn)
{
	buf_text(out, "{\"metadata\":{\"name\":\"" NODE_NAME "\",");
	write_labels(out, "labels", drawn->labels, drawn->label_count);
	buf_text(out, "},\"spec\":{");
	write_tolerations(out, "taints", drawn->taints, drawn->taint_count);
	buf_text(out, "}}");
}

static void write_affinity(struct buf *out, const struct drawn *drawn)
{
	buf_text(out, "\"affinity\":{\"nodeAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[");
	for (size_t i = 0; i < drawn->preferred_count; i++) {
		buf_printf(out, "%s{\"weight\":%d,\"preference\":", i ? "," : "", drawn->preferred[i].weight);
		write_term(out, &drawn->preferred[i]);
		buf_char(out, '}');
	}
	buf_char(out, ']');
	if (drawn->has_required) {
		buf_text(out, ",\"requiredDuringSchedulingIgnoredDuringExecution\":{\"nodeSelectorTerms\":[");
		for (size_t i = 0; i < drawn->required_count; i++) {
			buf_text(out, i ? "," : "");
			write_term(out, &drawn->required[i]);
		}
		buf_text(out, "]}");
	}
	buf_text(out, "}}");
}

static void write_pod(struct buf *out, const struct drawn *drawn)
{
	buf_text(out, "{\"metadata\":{\"uid\":\"u-1\",\"name\":\"p\",\"namespace\":\"ns\"},\"spec\":{");
	write_labels(out, "nodeSelector", drawn->selector, drawn->selector_count);
	buf_char(out, ',');
	write_affinity(out, drawn);
	buf_char(out, ',');
	write_tolerations(out, "tolerations", drawn->tolerations, drawn->toleration_count);
	buf_text(out, "}}");
}

/* --- the second matcher --- */

#define NAME "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
#define WORD "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

static bool has_form(const char *text, size_t len, size_t longest, const char *form)
{
	static struct {
		const char *form;
		regex_t compiled;
	} known[4];
	regmatch_t all = {.rm_so = 0, .rm_eo = (regoff_t)len};
	size_t i = 0;

	while (known[i].form && known[i].form != form)
		i++;
	if (!known[i].form) {
		CHECK(regcomp(&known[i].compiled, form, REG_EXTENDED) == 0);
		known[i].form = form;
	}
	return len <= longest && regexec(&known[i].compiled, text, 1, &all, REG_STARTEND) == 0 && all.rm_so == 0 &&
	       all.rm_eo == (regoff_t)len;
}

static bool names_a_label(const char *key)
{
	static const char name[] = "^" NAME "$", prefix[] = "^" WORD "(\\." WORD ")*$";
	size_t before = strcspn(key, "/");

	if (!key[before])
		return has_form(key, before, 63, name);
	return has_form(key, before, 253, prefix) && has_form(key + before + 1, strlen(key + before + 1), 63, name);
}

static bool can_be_a_value(const char *value)
{
	static const char form[] = "^(" NAME ")?$";
	return has_form(value, strlen(value), 63, form);
}

static bool to_integer(const char *text, long long *value)
{
	static const char form[] = "^[+-]?[0-9]+$";
	if (!has_form(text, strlen(text), SIZE_MAX, form))
		return false;
	errno = 0;
	*value = strtoll(text, NULL, 10);
	return errno == 0;
}

/* Of a key given twice the last counts, as in any JSON object. */
static const char *value_of(const struct label *labels, size_t count, const char *key)
{
	while (count-- > 0)
		if (strcmp(labels[count].key, key) == 0)
			return labels[count].value;
	return NULL;
}

enum outcome { NO, YES, ERROR };

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static enum outcome expression_holds(const struct drawn_requirement *requirement, const struct drawn *drawn)
{
	const char *here = value_of(drawn->labels, drawn->label_count, requirement->key), *op = requirement->op;
	bool listed = false;
	long long left, right;

	if (!names_a_label(requirement->key))
		return ERROR;
	for (size_t i = 0; i < requirement->value_count; i++) {
		if (!can_be_a_value(requirement->values[i]))
			return ERROR;
		listed |= here && is(requirement->values[i], here);
	}
	if (is(op, "In"))
		return requirement->value_count == 0 ? ERROR : here && listed ? YES : NO;
	if (is(op, "NotIn"))
		return requirement->value_count == 0 ? ERROR : !here || !listed ? YES : NO;
	if (is(op, "Exists"))
		return requirement->value_count > 0 ? ERROR : here ? YES : NO;
	if (is(op, "DoesNotExist"))
		return requirement->value_count > 0 ? ERROR : here ? NO : YES;
	if (!is(op, "Gt") && !is(op, "Lt"))
		return ERROR;
	if (requirement->value_count != 1 || !to_integer(requirement->values[0], &right))
		return ERROR;
	if (!here || !to_integer(here, &left))
		return NO;
	return (is(op, "Gt") ? left > right : left < right) ? YES : NO;
}

static enum outcome field_holds(const struct drawn_requirement *requirement)
{
	const char *here = is(requirement->key, "metadata.name") ? NODE_NAME : "";

	if (requirement->value_count != 1 || (!is(requirement->op, "In") && !is(requirement->op, "NotIn")))
		return ERROR;
	return is(here, requirement->values[0]) == is(requirement->op, "In") ? YES : NO;
}

static bool term_holds(const struct drawn_term *term, const struct drawn *drawn)
{
	bool all = term->expression_count + term->field_count > 0;

	for (size_t i = 0; i < term->expression_count; i++)
		all &= expression_holds(&term->expressions[i], drawn) == YES;
	for (size_t i = 0; i < term->field_count; i++)
		all &= field_holds(&term->fields[i]) == YES;
	return all;
}

static bool may_go(const struct drawn *drawn)
{
	for (size_t i = 0; i < drawn->selector_count; i++) {
		const char *key = drawn->selector[i].key, *here = value_of(drawn->labels, drawn->label_count, key);

		if (!here || !is(here, value_of(drawn->selector, drawn->selector_count, key)))
			return false;
	}
	for (size_t i = 0; i < drawn->required_count; i++)
		if (term_holds(&drawn->required[i], drawn))
			return true;
	return !drawn->has_required;
}

static int64_t preference(const struct drawn *drawn)
{
	int64_t sum = 0;

	for (size_t i = 0; i < drawn->preferred_count; i++) {
		int weight = drawn->preferred[i].weight;

		if (weight > 0 && term_holds(&drawn->preferred[i], drawn))
			sum += weight < 100 ? weight : 100;
	}
	return sum;
}

static bool is_effect(const char *effect)
{
	return is(effect, "NoSchedule") || is(effect, "PreferNoSchedule") || is(effect, "NoExecute");
}

static bool is_tolerated(const struct drawn_toleration *taint, const struct drawn *drawn)
{
	for (size_t i = 0; i < drawn->toleration_count; i++) {
		const struct drawn_toleration *toleration = &drawn->tolerations[i];
		bool same_effect = is(toleration->effect, "") || is(toleration->effect, taint->effect);
		bool same_key = is(toleration->key, "") || is(toleration->key, taint->key);
		bool same_value =
		    is(toleration->op, "Exists") ||
		    ((is(toleration->op, "") || is(toleration->op, "Equal")) && is(toleration->value, taint->value));

		if (same_effect && same_key && same_value)
			return true;
	}
	return false;
}

/* --- both --- */

static int64_t decoded_preference(const struct pod *pod, const struct node_spec *node)
{
	int64_t sum = 0;

	for (size_t i = 0; i < pod->preferred_count; i++)
		if (node_term_matches(&pod->preferred[i].term, node->name, &node->labels))
			sum += pod->preferred[i].weight;
	return sum;
}

static void compare(const struct drawn *drawn, const struct pod *pod, const struct node_spec *node)
{
	size_t taint = 0;

	for (size_t i = 0; i < drawn->label_count; i++) {
		const char *key = drawn->labels[i].key, *value = labels_get(&node->labels, key);

		CHECK(value && is(value, value_of(drawn->labels, drawn->label_count, key)));
	}
	CHECK(pod_selects(pod, node->name, &node->labels) == may_go(drawn));
	CHECK(decoded_preference(pod, node) == preference(drawn));
	for (size_t i = 0; i < drawn->taint_count; i++) {
		if (!is_effect(drawn->taints[i].effect))
			continue; /* no such taint exists: it is dropped */
		CHECK(taint < node->taint_count);
		CHECK(taint_tolerated(&node->taints[taint++], pod->tolerations, pod->toleration_count) ==
		      is_tolerated(&drawn->taints[i], drawn));
	}
	CHECK(taint == node->taint_count);
}

static void check_objects(const struct drawn *drawn)
{
	static const struct gpu_catalogue no_gpus;
	struct resource_names names;
	struct buf node_text, pod_text;
	struct err err;

	buf_init(&node_text, TEXT_MAX);
	buf_init(&pod_text, TEXT_MAX);
	write_node(&node_text, drawn);
	write_pod(&pod_text, drawn);
	resource_names_init(&names);
	struct node_spec *node = cluster_node_decode(buf_slice(&node_text), &names, &no_gpus, &err);
	struct pod *pod = cluster_pod_decode(buf_slice(&pod_text), &names, true, &err);
	CHECK(node && pod && pod->trouble == REASON_CODE_FITS);
	compare(drawn, pod, node);
	node_spec_free(node);
	pod_free(pod);
	resource_names_free(&names);
	buf_free(&node_text);
	buf_free(&pod_text);
}

/* --- patterns --- */

static bool glob_holds(const char *pattern, const char *text)
{
	if (!*pattern)
		return !*text;
	if (*pattern == '*')
		return glob_holds(pattern + 1, text) || (*text && glob_holds(pattern, text + 1));
	return *text && (*pattern == '?' || *pattern == *text) && glob_holds(pattern + 1, text + 1);
}

static void check_glob(struct source *source)
{
	char pattern[9] = "", text[13] = "";
	size_t pattern_len = draw(source, sizeof pattern), text_len = draw(source, sizeof text);

	for (size_t i = 0; i < pattern_len; i++)
		pattern[i] = "ab*?"[draw(source, 4)];
	for (size_t i = 0; i < text_len; i++)
		text[i] = "ab*"[draw(source, 3)];
	CHECK(glob_matches(pattern, text) == glob_holds(pattern, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct drawn drawn;
	struct source source = {.at = data, .end = data + size};

	drawn = (struct drawn){0};
	arena_init(&source.arena, 256);
	check_glob(&source);
	draw_all(&source, &drawn);
	check_objects(&drawn);
	arena_free(&source.arena);
	return 0;
}
