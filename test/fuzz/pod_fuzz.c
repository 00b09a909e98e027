/* Any text as a Pod: decoded with and without what a bound pod drops, the demand is the same, and where it can be read
 * it is what is asked for alone. */
#include <stdlib.h>

#include "cluster/pod.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void compare_gangs(const struct pod_gang *a, const struct pod_gang *b)
{
	check(!a == !b);
	if (!a)
		return;
	check(strcmp(a->name, b->name) == 0 && strcmp(a->source_name, b->source_name) == 0);
	check(a->dialect == b->dialect && a->source == b->source && !a->group == !b->group);
	check(a->rank == b->rank && a->rank >= -1 && a->rank <= GANG_MEMBERS_MAX);
	check(a->part == b->part && a->part >= -1 && (a->part < 0 || a->rank >= 0));
	check(a->terms.size == b->terms.size && a->terms.quorum == b->terms.quorum);
	check(a->terms.group_count <= 1 && (a->terms.place.segment > 0) == (a->terms.place.segment_at != NULL));
}

static void compare(const struct pod *whole, const struct pod *lean, const struct resource_list *demand)
{
	check(whole->demand.count == lean->demand.count);
	for (size_t i = 0; i < whole->demand.count; i++) {
		check(whole->demand.items[i].id == lean->demand.items[i].id);
		check(whole->demand.items[i].amount == lean->demand.items[i].amount);
		check(whole->demand.items[i].amount > 0);
	}
	check(whole->trouble == lean->trouble && whole->owner_kind_count == lean->owner_kind_count);
	compare_gangs(whole->gang, lean->gang);
	check(!whole->no_gang || !whole->gang);
	if (lean->node)
		check(lean->required_count + lean->toleration_count == 0 && lean->labels.count == whole->labels.count);
	for (size_t i = 0; demand && i < demand->count; i++)
		check(resources_get(&whole->demand, demand->items[i].id) == demand->items[i].amount);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct resource_names names;
	struct resource_list demand;
	struct pod *whole, *lean;
	struct err err;
	bool readable;

	resource_names_init(&names);
	whole = cluster_pod_decode(text, &names, true, &err);
	lean = cluster_pod_decode(text, &names, false, &err);
	readable = cluster_pod_demand(text, &names, &demand, &err) == 0;
	check(!whole == !lean);
	if (whole) {
		compare(whole, lean, readable ? &demand : NULL);
		check(readable || whole->trouble == REASON_CODE_BAD_REQUEST);
		pod_selects(whole, "node", &whole->labels);
	}
	pod_free(whole);
	pod_free(lean);
	resource_names_free(&names);
	return 0;
}
