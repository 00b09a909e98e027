#include "policy/cover.h"

/* A '?' of `wide` could stand against a '*' of `narrow`, which is more than one character; that is not taken for sure.
 * Else `narrow` read as a text stands for all that it matches. */
static bool cover_glob(const struct yaml_node *wide, const struct yaml_node *narrow)
{
	if (slice_equal(wide->text, narrow->text))
		return true;
	if (strchr(wide->text.at, '?') && strchr(narrow->text.at, '*'))
		return false;
	return glob_matches(wide->text.at, narrow->text.at);
}

static bool same_text(const struct yaml_node *wide, const struct yaml_node *narrow)
{
	return slice_equal(wide->text, narrow->text);
}

/* Each text of `narrow` is covered by one of `wide`; an absent list covers all. */
static bool cover_texts(const struct doc_list *wide, const struct doc_list *narrow,
    bool (*covers)(const struct yaml_node *, const struct yaml_node *))
{
	if (!wide->node)
		return true;
	for (size_t i = 0; i < narrow->count; i++) {
		size_t j = 0;

		while (j < wide->count && !covers(doc_text(wide, j), doc_text(narrow, i)))
			j++;
		if (j == wide->count)
			return false;
	}
	return narrow->node != NULL;
}

/* Each label that `wide` asks for is asked for by `narrow`, too. */
static bool cover_labels(const struct doc_list *wide, const struct doc_list *narrow,
    bool (*covers)(const struct yaml_node *, const struct yaml_node *))
{
	for (size_t i = 0; i < wide->count; i++) {
		const struct doc_label *label = DOC_ITEM(doc_label, wide, i);
		bool found = false;

		for (size_t j = 0; j < narrow->count && !found; j++) {
			const struct doc_label *other = DOC_ITEM(doc_label, narrow, j);

			found = same_text(label->key, other->key) && covers(label->value, other->value);
		}
		if (!found)
			return false;
	}
	return true;
}

bool cover_match(const struct doc_match *wide, const struct doc_match *narrow)
{
	if (wide->head.broken || narrow->head.broken)
		return false;
	if (wide->gang_gpus.min.node &&
	    (!narrow->gang_gpus.min.node || narrow->gang_gpus.min.value < wide->gang_gpus.min.value))
		return false;
	return cover_texts(&wide->namespaces, &narrow->namespaces, cover_glob) &&
	       cover_texts(&wide->owners, &narrow->owners, same_text) &&
	       cover_labels(&wide->pod_labels, &narrow->pod_labels, cover_glob);
}

size_t cover_namespace(const struct doc_list *teams, size_t i, const struct yaml_node *pattern)
{
	for (size_t j = 0; pattern && j < i; j++) {
		const struct doc_list *others = &DOC_ITEM(doc_team, teams, j)->namespaces;

		for (size_t k = 0; k < others->count; k++) {
			const struct yaml_node *other = doc_text(others, k);

			/* The same pattern twice is an error of its own. */
			if (other && !slice_equal(other->text, pattern->text) && cover_glob(other, pattern))
				return j;
		}
	}
	return i;
}

static bool same_texts(const struct doc_list *a, const struct doc_list *b)
{
	if (a->count != b->count)
		return false;
	return a->count == 0 || (cover_texts(a, b, same_text) && cover_texts(b, a, same_text));
}

static bool cover_expressions(const struct doc_list *wide, const struct doc_list *narrow)
{
	for (size_t i = 0; i < wide->count; i++) {
		const struct doc_expression *expression = DOC_ITEM(doc_expression, wide, i);
		bool found = false;

		for (size_t j = 0; j < narrow->count && !found; j++) {
			const struct doc_expression *other = DOC_ITEM(doc_expression, narrow, j);

			found = same_text(expression->key, other->key) &&
			        same_text(expression->operator, other->operator) &&
			        same_texts(&expression->values, &other->values);
		}
		if (!found)
			return false;
	}
	return true;
}

bool cover_pool(const struct doc_pool *wide, const struct doc_pool *narrow)
{
	const struct doc_selector *a = &wide->node_selector, *b = &narrow->node_selector;

	if (wide->head.broken || narrow->head.broken)
		return false;
	if (wide->gpu && (!narrow->gpu || !same_text(wide->gpu, narrow->gpu)))
		return false;
	return cover_labels(&a->match_labels, &b->match_labels, same_text) &&
	       cover_expressions(&a->match_expressions, &b->match_expressions);
}
