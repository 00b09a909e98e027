#include "cluster/demand.h"

#include <stdlib.h>

#include "cluster/fields.h"

static const char bad_quantity[] = "a quantity cannot be read";
static const char too_many[] = "too many kinds of resources";
static const char too_large[] = "an amount is too large";

struct demand_container {
	struct slice name;
	bool init, restartable;
	struct amounts requests;
};

struct demand_status {
	struct slice name;
	size_t place;       /* of equal names the last counts, init containers after the others */
	bool init, resized; /* resized: it has `resources`, without which its allocation says nothing */
	struct amounts actuated, allocated;
};

void demand_init(struct demand *demand, struct arena *scratch, struct resource_names *names)
{
	*demand = (struct demand){.scratch = scratch, .names = names};
}

/* --- lists of amounts --- */

static struct amount *amount_at(struct demand *demand, struct amounts *amounts, resource_id id)
{
	size_t at = amounts->count;

	while (at > 0 && amounts->items[at - 1].id >= id)
		at--;
	if (at < amounts->count && amounts->items[at].id == id)
		return &amounts->items[at];
	amounts->items =
	    field_grow(demand->scratch, amounts->items, amounts->count, &amounts->room, sizeof *amounts->items);
	memmove(&amounts->items[at + 1], &amounts->items[at], (amounts->count - at) * sizeof *amounts->items);
	amounts->items[at] = (struct amount){id, 0};
	amounts->count++;
	return &amounts->items[at];
}

/* Room for some 10^10 addends of the largest amount: no sum overflows. */
static void amounts_add(struct demand *demand, struct amounts *to, const struct amounts *from)
{
	for (size_t i = 0; i < from->count; i++)
		amount_at(demand, to, from->items[i].id)->nano += from->items[i].nano;
}

static void amounts_max(struct demand *demand, struct amounts *to, const struct amounts *from)
{
	for (size_t i = 0; i < from->count; i++) {
		struct amount *amount = amount_at(demand, to, from->items[i].id);

		if (amount->nano < from->items[i].nano)
			amount->nano = from->items[i].nano;
	}
}

static struct slice trim(struct slice text)
{
	while (text.len && strchr(" \t\n\v\f\r", text.at[0])) {
		text.at++;
		text.len--;
	}
	while (text.len && strchr(" \t\n\v\f\r", text.at[text.len - 1]))
		text.len--;
	return text;
}

/* A quantity, which may be a JSON number; an escape in it is as wrong as it is for the API's own decoder. */
static bool read_quantity(struct reader *json, quantity_nano *nano)
{
	enum reader_type type = reader_peek(json);
	struct slice text = {"", 0};

	if (type == READER_STRING) {
		reader_string(json, &text);
	} else {
		reader_value(json, &text);
		if (type == READER_NULL) {
			*nano = 0;
			return true;
		}
	}
	return quantity_parse_nano(trim(text), nano);
}

/* Names are kept for good, and anybody may make them up in a pod: the last of the room is for what nodes have. */
static int name_id(struct demand *demand, struct slice name)
{
	int known = resource_names_find(demand->names, name);

	return known >= 0 || demand->names->count >= RESOURCE_NAMES_OF_PODS ? known
	                                                                    : resource_names_id(demand->names, name);
}

static void read_amounts(struct demand *demand, struct reader *json, struct amounts *amounts)
{
	bool none = reader_peek(json) == READER_NULL;
	struct slice key;
	quantity_nano nano;
	int id;

	amounts->count = 0;
	if (!reader_object(json)) {
		if (!none)
			demand->trouble = bad_quantity;
		return;
	}
	while (reader_key(json, &key)) {
		if (!read_quantity(json, &nano)) {
			demand->trouble = bad_quantity;
			continue;
		}
		id = name_id(demand, field_plain(demand->scratch, key));
		if (id < 0 ||
		    (amounts->count == RESOURCES_PER_OBJECT_MAX && amounts->items[amounts->count - 1].id < id))
			demand->trouble = too_many;
		else if (id != RESOURCE_PODS) /* kube-scheduler counts pods itself */
			amount_at(demand, amounts, (resource_id)id)->nano = nano;
	}
}

/* {"requests": {…}, …} */
static void read_requests(struct demand *demand, struct reader *json, struct amounts *requests)
{
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);) {
			if (slice_is(key, "requests"))
				read_amounts(demand, json, requests);
			else
				reader_skip(json);
		}
}

/* --- the parts --- */

static void read_container(struct demand *demand, struct reader *json, bool init)
{
	struct demand_container *container;
	struct slice key, policy = {"", 0};

	demand->containers = field_grow(demand->scratch, demand->containers, demand->container_count,
	    &demand->container_room, sizeof *demand->containers);
	container = &demand->containers[demand->container_count++];
	*container = (struct demand_container){.init = init};
	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (slice_is(key, "name"))
			reader_string(json, &container->name);
		else if (slice_is(key, "resources"))
			read_requests(demand, json, &container->requests);
		else if (init && slice_is(key, "restartPolicy"))
			reader_string(json, &policy);
		else
			reader_skip(json);
	}
	container->restartable = slice_is(policy, "Always");
}

/* Of a key that is given twice the last counts. */
static void forget_containers(struct demand *demand, bool init)
{
	size_t kept = 0;

	for (size_t i = 0; i < demand->container_count; i++)
		if (demand->containers[i].init != init)
			demand->containers[kept++] = demand->containers[i];
	demand->container_count = kept;
}

void demand_read_containers(struct demand *demand, struct reader *json, bool init)
{
	forget_containers(demand, init);
	if (reader_array(json))
		while (reader_next(json))
			read_container(demand, json, init);
}

static void read_status(struct demand *demand, struct reader *json, bool init)
{
	struct demand_status *status;
	struct slice key;

	demand->statuses = field_grow(
	    demand->scratch, demand->statuses, demand->status_count, &demand->status_room, sizeof *demand->statuses);
	status = &demand->statuses[demand->status_count];
	*status = (struct demand_status){.place = demand->status_count, .init = init};
	demand->status_count++;
	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (slice_is(key, "name")) {
			reader_string(json, &status->name);
		} else if (slice_is(key, "resources")) {
			status->resized = reader_peek(json) == READER_OBJECT;
			read_requests(demand, json, &status->actuated);
		} else if (slice_is(key, "allocatedResources")) {
			read_amounts(demand, json, &status->allocated);
		} else {
			reader_skip(json);
		}
	}
}

static void forget_statuses(struct demand *demand, bool init)
{
	size_t kept = 0;

	for (size_t i = 0; i < demand->status_count; i++)
		if (demand->statuses[i].init != init)
			demand->statuses[kept++] = demand->statuses[i];
	demand->status_count = kept;
}

void demand_read_container_statuses(struct demand *demand, struct reader *json, bool init)
{
	forget_statuses(demand, init);
	if (reader_array(json))
		while (reader_next(json))
			read_status(demand, json, init);
}

void demand_read_pod_resources(struct demand *demand, struct reader *json)
{
	read_requests(demand, json, &demand->pod);
}

void demand_read_overhead(struct demand *demand, struct reader *json)
{
	read_amounts(demand, json, &demand->overhead);
}

void demand_read_status_resources(struct demand *demand, struct reader *json)
{
	demand->resized = reader_peek(json) == READER_OBJECT;
	read_requests(demand, json, &demand->pod_actuated);
}

void demand_read_allocated(struct demand *demand, struct reader *json)
{
	read_amounts(demand, json, &demand->pod_allocated);
}

/* The first condition PodResizePending rules. */
void demand_read_conditions(struct demand *demand, struct reader *json)
{
	struct slice key, type, reason;

	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		type = reason = (struct slice){"", 0};
		if (!reader_object(json))
			continue;
		while (reader_key(json, &key)) {
			if (slice_is(key, "type"))
				reader_string(json, &type);
			else if (slice_is(key, "reason"))
				reader_string(json, &reason);
			else
				reader_skip(json);
		}
		if (demand->resize_seen || !slice_is(type, "PodResizePending"))
			continue;
		demand->resize_seen = true;
		demand->resize_infeasible = slice_is(reason, "Infeasible");
	}
}

/* --- the sums --- */

static int status_order(const void *a, const void *b)
{
	const struct demand_status *left = a, *right = b;
	size_t shorter = left->name.len < right->name.len ? left->name.len : right->name.len;
	int order = shorter ? memcmp(left->name.at, right->name.at, shorter) : 0;

	if (order == 0)
		order = (left->name.len > right->name.len) - (left->name.len < right->name.len);
	if (order == 0)
		order = left->init - right->init;
	return order ? order : (left->place > right->place) - (left->place < right->place);
}

/* Behind all statuses of that name stands the one that counts. */
static const struct demand_status *status_of(const struct demand *demand, struct slice name)
{
	struct demand_status key = {.name = name, .init = true, .place = SIZE_MAX};
	size_t low = 0, high = demand->status_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (status_order(&demand->statuses[middle], &key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || !slice_equal(demand->statuses[low - 1].name, name))
		return NULL;
	return &demand->statuses[low - 1];
}

/* While a resize is under way: the most of what is wanted, in force, and allocated; what is infeasible is not wanted.
 */
static struct amounts effective(struct demand *demand, const struct amounts *wanted, const struct amounts *actuated,
    const struct amounts *allocated)
{
	struct amounts most = {0};

	if (!demand->resize_infeasible)
		amounts_max(demand, &most, wanted);
	amounts_max(demand, &most, actuated);
	amounts_max(demand, &most, allocated);
	return most;
}

static struct amounts container_requests(struct demand *demand, const struct demand_container *container)
{
	const struct demand_status *status;

	if (demand->status_count == 0 || (container->init && !container->restartable))
		return container->requests;
	status = status_of(demand, container->name);
	if (!status || !status->resized)
		return container->requests;
	return effective(demand, &container->requests, &status->actuated, &status->allocated);
}

/* All containers and sidecars together, or the most demanding step of the start: an init container beside the sidecars
 * that were started before it. */
static void sum_containers(struct demand *demand, struct amounts *total)
{
	struct amounts sidecars = {0}, start = {0};

	for (size_t i = 0; i < demand->container_count; i++) {
		const struct demand_container *container = &demand->containers[i];
		struct amounts requests = container_requests(demand, container), step = {0};

		if (!container->init) {
			amounts_add(demand, total, &requests);
			continue;
		}
		if (container->restartable) {
			amounts_add(demand, total, &requests);
			amounts_add(demand, &sidecars, &requests);
			amounts_max(demand, &start, &sidecars);
			continue;
		}
		amounts_add(demand, &step, &requests);
		amounts_add(demand, &step, &sidecars);
		amounts_max(demand, &start, &step);
	}
	amounts_max(demand, total, &start);
}

static bool pod_level(const struct demand *demand, resource_id id)
{
	static const char hugepages[] = "hugepages-";

	return id == RESOURCE_CPU || id == RESOURCE_MEMORY ||
	       strncmp(resource_names_text(demand->names, id), hugepages, sizeof hugepages - 1) == 0;
}

/* What is asked for the pod as a whole replaces the containers' sum, kind by kind. */
static void replace_by_pod_level(struct demand *demand, struct amounts *total)
{
	struct amounts whole = demand->pod;

	if (demand->resized)
		whole = effective(demand, &demand->pod, &demand->pod_actuated, &demand->pod_allocated);
	for (size_t i = 0; i < demand->pod.count; i++) {
		resource_id id = demand->pod.items[i].id;

		if (!pod_level(demand, id))
			continue;
		amount_at(demand, total, id)->nano = 0;
		for (size_t j = 0; j < whole.count; j++)
			if (whole.items[j].id == id)
				amount_at(demand, total, id)->nano = whole.items[j].nano;
	}
}

void demand_finish(struct demand *demand, struct resource_list *list)
{
	struct amounts total = {0};

	if (demand->status_count > 1)
		qsort(demand->statuses, demand->status_count, sizeof *demand->statuses, status_order);
	sum_containers(demand, &total);
	replace_by_pod_level(demand, &total);
	amounts_add(demand, &total, &demand->overhead);
	list->count = 0;
	for (size_t i = 0; i < total.count; i++) {
		bool cpu = total.items[i].id == RESOURCE_CPU;
		int64_t *amount,
		    value = cpu ? quantity_nano_milli(total.items[i].nano) : quantity_nano_value(total.items[i].nano);

		if (value == 0)
			continue;
		if (value == INT64_MAX)
			demand->trouble = too_large;
		amount = resource_list_at(list, total.items[i].id);
		if (amount)
			*amount = value;
		else
			demand->trouble = too_many;
	}
}
