/* Matches as k8s.io/component-helpers v0.36.3 (scheduling/corev1/nodeaffinity), k8s.io/apimachinery v0.36.3
 * (pkg/labels, pkg/fields) and k8s.io/api v0.36.3 (core/v1/toleration.go) do. */
#include "berth/labels.h"

#include <string.h>

const char *labels_get(const struct labels *labels, const char *key)
{
	size_t low = 0, high = labels->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(labels->items[middle].key, key);
		if (order == 0)
			return labels->items[middle].value;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* As Go's strconv.ParseInt(text, 10, 64): a sign at most, then digits only. */
static bool parse_int64(const char *text, int64_t *value)
{
	bool negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	if (*text == '\0')
		return false;
	int64_t sum = 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		int digit = *text - '0';
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, negative ? -digit : digit, &sum))
			return false;
	}
	*value = sum;
	return true;
}

static bool has_value(const struct selector_requirement *requirement, const char *value)
{
	for (size_t i = 0; i < requirement->value_count; i++)
		if (strcmp(requirement->values[i], value) == 0)
			return true;
	return false;
}

static bool compares(const struct selector_requirement *requirement, const char *value)
{
	int64_t here, wanted;
	if (!value || requirement->value_count != 1 || !parse_int64(value, &here) ||
	    !parse_int64(requirement->values[0], &wanted))
		return false;
	return requirement->op == SELECTOR_GT ? here > wanted : here < wanted;
}

/* A number of values that the operator does not take makes the whole selector match nothing, as labels.NewRequirement
 * does. */
static bool requirement_matches(const struct selector_requirement *requirement, const struct labels *labels)
{
	const char *value = labels_get(labels, requirement->key);
	switch (requirement->op) {
	case SELECTOR_IN:
		return value && has_value(requirement, value);
	case SELECTOR_NOT_IN:
		return requirement->value_count > 0 && (!value || !has_value(requirement, value));
	case SELECTOR_EXISTS:
		return requirement->value_count == 0 && value;
	case SELECTOR_DOES_NOT_EXIST:
		return requirement->value_count == 0 && !value;
	case SELECTOR_GT:
	case SELECTOR_LT:
		return compares(requirement, value);
	}
	return false;
}

bool selector_matches(const struct selector *selector, const struct labels *labels)
{
	for (size_t i = 0; i < selector->count; i++)
		if (!requirement_matches(&selector->requirements[i], labels))
			return false;
	return true;
}

/* A field that does not exist reads as "", as in pkg/fields. */
static bool field_matches(const struct selector_requirement *requirement, const char *node_name)
{
	if (requirement->value_count != 1)
		return false;
	const char *value = strcmp(requirement->key, "metadata.name") == 0 ? node_name : "";
	bool equal = strcmp(value, requirement->values[0]) == 0;
	return (requirement->op == SELECTOR_IN && equal) || (requirement->op == SELECTOR_NOT_IN && !equal);
}

bool node_term_matches(const struct node_term *term, const char *node_name, const struct labels *labels)
{
	if (term->invalid || (term->expressions.count == 0 && term->fields.count == 0))
		return false;
	for (size_t i = 0; i < term->fields.count; i++)
		if (!field_matches(&term->fields.requirements[i], node_name))
			return false;
	return selector_matches(&term->expressions, labels);
}

bool toleration_tolerates(const struct toleration *toleration, const struct taint *taint)
{
	if (toleration->invalid || (!toleration->any_effect && toleration->effect != taint->effect))
		return false;
	if (toleration->key[0] != '\0' && strcmp(toleration->key, taint->key) != 0)
		return false;
	switch (toleration->op) {
	case TOLERATION_EQUAL:
		return strcmp(toleration->value, taint->value) == 0;
	case TOLERATION_EXISTS:
		return true;
	case TOLERATION_LT: /* behind TaintTolerationComparisonOperators, off by default in 1.36 */
	case TOLERATION_GT:
		return false;
	}
	return false;
}

bool taint_tolerated(const struct taint *taint, const struct toleration *tolerations, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (toleration_tolerates(&tolerations[i], taint))
			return true;
	return false;
}

bool glob_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL; /* where to go on when the last * must take one more */
	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}
