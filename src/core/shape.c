#include "core/shape.h"

#include <stdlib.h>

#include "berth/team.h"

void shape_key_bytes(struct shape_key *key, const void *bytes, size_t len)
{
	while (key->room - key->len < len) {
		size_t room = key->room ? key->room * 2 : 1024;
		key->at = xrealloc(key->at, room);
		key->room = room;
	}
	if (len > 0)
		memcpy(key->at + key->len, bytes, len);
	key->len += len;
}

void shape_key_number(struct shape_key *key, int64_t number)
{
	shape_key_bytes(key, &number, sizeof(number));
}

void shape_key_text(struct shape_key *key, const char *text)
{
	size_t len = strlen(text);
	shape_key_number(key, (int64_t)len);
	shape_key_bytes(key, text, len);
}

void shape_key_selector(struct shape_key *key, const struct selector *selector)
{
	shape_key_number(key, (int64_t)selector->count);
	for (size_t i = 0; i < selector->count; i++) {
		const struct selector_requirement *requirement = &selector->requirements[i];
		shape_key_text(key, requirement->key);
		shape_key_number(key, requirement->op);
		shape_key_number(key, (int64_t)requirement->value_count);
		for (size_t v = 0; v < requirement->value_count; v++)
			shape_key_text(key, requirement->values[v]);
	}
}

static void put_term(struct shape_key *key, const struct node_term *term)
{
	shape_key_selector(key, &term->expressions);
	shape_key_selector(key, &term->fields);
	shape_key_number(key, term->invalid);
}

void shape_key_where(struct shape_key *key, const struct pod *pod)
{
	shape_key_number(key, (int64_t)pod->node_selector_count);
	for (size_t i = 0; i < pod->node_selector_count; i++) {
		shape_key_text(key, pod->node_selector[i].key);
		shape_key_text(key, pod->node_selector[i].value);
	}
	shape_key_number(key, pod->has_required ? (int64_t)pod->required_count : -1);
	for (size_t i = 0; pod->has_required && i < pod->required_count; i++)
		put_term(key, &pod->required[i]);
	shape_key_number(key, (int64_t)pod->volume_count);
	for (size_t v = 0; v < pod->volume_count; v++) {
		shape_key_number(key, (int64_t)pod->volumes[v].count);
		for (size_t i = 0; i < pod->volumes[v].count; i++)
			put_term(key, &pod->volumes[v].terms[i]);
	}
	shape_key_number(key, (int64_t)pod->toleration_count);
	for (size_t i = 0; i < pod->toleration_count; i++) {
		const struct toleration *toleration = &pod->tolerations[i];
		shape_key_text(key, toleration->key);
		shape_key_text(key, toleration->value);
		shape_key_number(key, toleration->op);
		shape_key_number(key, toleration->any_effect ? -1 : (int64_t)toleration->effect);
		shape_key_number(key, toleration->invalid);
	}
}

void shape_key_pod(struct shape_key *key, const struct fleet *fleet, const struct pod *pod)
{
	const struct policy *policy = fleet->policy;
	enum reason why = pod->trouble;
	const struct policy_class *class_ = policy ? policy_class_of(policy, pod, &why) : NULL;
	const struct policy_class *matched = policy ? policy_class_matched(policy, pod) : NULL;
	shape_key_number(key, class_ ? class_ - policy->classes : -1);
	shape_key_number(key, matched ? matched - policy->classes : -1);
	shape_key_number(key, why);
	shape_key_number(key, team_of(fleet, pod->namespace_));
	shape_key_number(key, pod->trouble);
	shape_key_number(key, pod->dtypes);
	shape_key_number(key, pod->stands_in);
	shape_key_number(key, pod->gpu_memory_bytes);
	shape_key_number(key, pod->runtime_ns);
	shape_key_number(key, pod->endable);
	shape_key_number(key, pod->demand.count);
	for (uint16_t i = 0; i < pod->demand.count; i++) {
		shape_key_number(key, pod->demand.items[i].id);
		shape_key_number(key, pod->demand.items[i].amount);
	}
	shape_key_where(key, pod);
}

static void put_pod_term(struct shape_key *key, const struct pod_term *term)
{
	shape_key_text(key, term->topology_key);
	shape_key_number(key, term->nobody);
	shape_key_selector(key, &term->selector);
	shape_key_number(key, term->all_namespaces);
	shape_key_number(key, (int64_t)term->namespace_count);
	for (size_t i = 0; i < term->namespace_count; i++)
		shape_key_text(key, term->namespaces[i]);
}

void shape_key_asks(struct shape_key *key, const struct pod *pod)
{
	shape_key_text(key, pod->namespace_);
	shape_key_number(key, (int64_t)pod->affinity_count);
	for (size_t i = 0; i < pod->affinity_count; i++)
		put_pod_term(key, &pod->affinity[i]);
	shape_key_number(key, (int64_t)pod->anti_affinity_count);
	for (size_t i = 0; i < pod->anti_affinity_count; i++)
		put_pod_term(key, &pod->anti_affinity[i]);
	shape_key_number(key, (int64_t)pod->spread_count);
	for (size_t i = 0; i < pod->spread_count; i++) {
		const struct spread_constraint *spread = &pod->spread[i];
		shape_key_text(key, spread->topology_key);
		shape_key_number(key, spread->max_skew);
		shape_key_number(key, spread->min_domains);
		shape_key_number(key, spread->nobody);
		shape_key_selector(key, &spread->selector);
		shape_key_number(key, spread->any_affinity);
		shape_key_number(key, spread->honor_taints);
	}
}

void shape_key_free(struct shape_key *key)
{
	free(key->at);
}
