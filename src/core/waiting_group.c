#include "core/waiting_internal.h"

#include <stdlib.h>

struct key {
	char *at;
	size_t len, room;
};

static void put_bytes(struct key *key, const void *bytes, size_t len)
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

static void put_number(struct key *key, int64_t number)
{
	put_bytes(key, &number, sizeof(number));
}

static void put_text(struct key *key, const char *text)
{
	size_t len = strlen(text);
	put_number(key, (int64_t)len);
	put_bytes(key, text, len);
}

static void put_selector(struct key *key, const struct selector *selector)
{
	put_number(key, (int64_t)selector->count);
	for (size_t i = 0; i < selector->count; i++) {
		const struct selector_requirement *requirement = &selector->requirements[i];
		put_text(key, requirement->key);
		put_number(key, requirement->op);
		put_number(key, (int64_t)requirement->value_count);
		for (size_t v = 0; v < requirement->value_count; v++)
			put_text(key, requirement->values[v]);
	}
}

static void put_where(struct key *key, const struct pod *pod)
{
	put_number(key, (int64_t)pod->node_selector_count);
	for (size_t i = 0; i < pod->node_selector_count; i++) {
		put_text(key, pod->node_selector[i].key);
		put_text(key, pod->node_selector[i].value);
	}
	put_number(key, pod->has_required ? (int64_t)pod->required_count : -1);
	for (size_t i = 0; pod->has_required && i < pod->required_count; i++) {
		put_selector(key, &pod->required[i].expressions);
		put_selector(key, &pod->required[i].fields);
		put_number(key, pod->required[i].invalid);
	}
	put_number(key, (int64_t)pod->toleration_count);
	for (size_t i = 0; i < pod->toleration_count; i++) {
		const struct toleration *toleration = &pod->tolerations[i];
		put_text(key, toleration->key);
		put_text(key, toleration->value);
		put_number(key, toleration->op);
		put_number(key, toleration->any_effect ? -1 : (int64_t)toleration->effect);
		put_number(key, toleration->invalid);
	}
}

/* Everything that judge_node looks at. */
static void put_shape(struct key *key, const struct policy *policy, const struct pod *pod)
{
	enum reason why = pod->trouble;
	const struct policy_class *class_ = policy ? policy_class_of(policy, pod, &why) : NULL;
	const struct policy_class *matched = policy ? policy_class_matched(policy, pod) : NULL;
	key->len = 0;
	put_number(key, class_ ? class_ - policy->classes : -1);
	put_number(key, matched ? matched - policy->classes : -1);
	put_number(key, why);
	put_number(key, pod->trouble);
	put_number(key, pod->dtypes);
	put_number(key, pod->gpu_memory_bytes);
	put_number(key, pod->demand.count);
	for (uint16_t i = 0; i < pod->demand.count; i++) {
		put_number(key, pod->demand.items[i].id);
		put_number(key, pod->demand.items[i].amount);
	}
	put_where(key, pod);
}

static struct waiting_group *group_for(struct waiting *waiting, const struct key *key)
{
	struct waiting_group *group = map_get(&waiting->groups, (struct slice){key->at, key->len});
	if (group)
		return group;
	group = xcalloc(1, sizeof(*group) + key->len);
	group->key_len = key->len;
	memcpy(group->key, key->at, key->len);
	map_put(&waiting->groups, (struct slice){group->key, key->len}, group);
	return group;
}

void waiting__loosen(struct waiting *waiting, struct waiter *waiter)
{
	waiter->group = NULL;
	waiter->loose_next = waiting->loose;
	waiter->loose_link = &waiting->loose;
	if (waiter->loose_next)
		waiter->loose_next->loose_link = &waiter->loose_next;
	waiting->loose = waiter;
}

static void tighten(struct waiter *waiter)
{
	*waiter->loose_link = waiter->loose_next;
	if (waiter->loose_next)
		waiter->loose_next->loose_link = waiter->loose_link;
}

void waiting__leave_group(struct waiting *waiting, struct waiter *waiter)
{
	struct waiting_group *group = waiter->group;
	if (!group) {
		tighten(waiter);
		return;
	}
	treap_remove(&group->pods, &waiter->group_link);
	if (group->pods.count == 0) {
		map_remove(&waiting->groups, (struct slice){group->key, group->key_len});
		free(group);
	}
}

static void loosen_all(struct waiting *waiting)
{
	size_t cursor = 0;
	for (struct waiter *waiter; (waiter = map_next(&waiting->by_uid, &cursor));)
		if (waiter->group) {
			waiting__leave_group(waiting, waiter);
			waiting__loosen(waiting, waiter);
		}
}

void waiting__group_all(struct waiting *waiting, const struct fleet *fleet)
{
	struct key key = {0};
	if (waiting->policy_version != fleet->policy_version)
		loosen_all(waiting);
	waiting->policy_version = fleet->policy_version;
	while (waiting->loose) {
		struct waiter *waiter = waiting->loose;
		const struct pod *pod = waiter->public.pod;
		tighten(waiter);
		put_shape(&key, fleet->policy, pod);
		waiter->group = group_for(waiting, &key);
		treap_insert(
		    &waiter->group->pods, &waiter->group_link, map_hash(slice_of(pod->uid)), waiting__group_order);
	}
	free(key.at);
}
