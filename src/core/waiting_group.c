#include "core/waiting_internal.h"

#include <stdlib.h>

#include "core/shape.h"

static struct waiting_group *group_for(
    struct waiting *waiting, const struct fleet *fleet, const struct pod *pod, const struct shape_key *key)
{
	struct waiting_group *group = map_get(&waiting->groups, (struct slice){key->at, key->len});
	if (group)
		return group;
	group = xcalloc(1, sizeof(*group) + key->len);
	bool gpus = decide_gpu_units(fleet, &pod->demand) > 0;
	group->team = gpus ? team_of(fleet, pod->namespace_) : TEAM_NONE;
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
	struct shape_key key = {0};
	if (waiting->policy_version != fleet->policy_version)
		loosen_all(waiting);
	waiting->policy_version = fleet->policy_version;
	while (waiting->loose) {
		struct waiter *waiter = waiting->loose;
		const struct pod *pod = waiter->public.pod;
		tighten(waiter);
		key.len = 0;
		shape_key_pod(&key, fleet, pod);
		waiter->group = group_for(waiting, fleet, pod, &key);
		treap_insert(
		    &waiter->group->pods, &waiter->group_link, map_hash(slice_of(pod->uid)), waiting__group_order);
	}
	shape_key_free(&key);
}
