/* What must hold of a fleet after every step. */
#include "core_world.h"

#include "core/index.h"
#include "core/ledger_heap.h"
#include "core/waiting_internal.h"

/* --- the ledger --- */

static void check_entry(const struct core_world *w, int at)
{
	const struct entry_model *model = &w->entries[at];
	const struct pod *pod = w->pods[at];
	const struct ledger_entry *entry = ledger_find(w->fleet, slice_of(w->pod_names[at]));
	const char *name = w->pod_names[at];
	PROPERTY_CHECK((entry != NULL) == model->there, "%s: entry %s", name, entry ? "left over" : "missing");
	if (!entry)
		return;
	PROPERTY_CHECK(strcmp(entry->node->name, w->node_names[model->node]) == 0, "%s: on %s instead of %s", name,
	    entry->node->name, w->node_names[model->node]);
	PROPERTY_CHECK(entry->state == model->state, "%s: %s instead of %s", name, ledger_state_name(entry->state),
	    ledger_state_name(model->state));
	PROPERTY_CHECK(entry->pinned == model->pinned, "%s: pinned %d", name, entry->pinned);
	PROPERTY_CHECK(entry->ours == model->ours, "%s: ours %d", name, entry->ours);
	PROPERTY_CHECK(entry->since_ns == model->since_ns, "%s: since %lld instead of %lld", name,
	    (long long)entry->since_ns, (long long)model->since_ns);
	PROPERTY_CHECK(entry->expires_ns == model->expires_ns, "%s: expires %lld instead of %lld", name,
	    (long long)entry->expires_ns, (long long)model->expires_ns);
	PROPERTY_CHECK((entry->heap_at != LEDGER_HEAP_OUT) == brute_expires(model), "%s: place in the heap", name);
	PROPERTY_CHECK(
	    entry->demand.count == pod->demand.count &&
	        memcmp(entry->demand.items, pod->demand.items, pod->demand.count * sizeof *pod->demand.items) == 0,
	    "%s: its demand is not the pod's", name);
	PROPERTY_CHECK((entry->owner_uid == NULL) == (pod->owner_uid == NULL) &&
	                   (!pod->owner_uid || strcmp(entry->owner_uid, pod->owner_uid) == 0),
	    "%s: its owner is not the pod's", name);
	PROPERTY_CHECK((entry->traits != NULL) == (entry->ours && entry->state == LEDGER_BOUND), "%s: traits", name);
}

static void check_owner(const struct core_world *w, const char *owner)
{
	int expected = 0, chained = 0;
	for (int i = 0; i < PODS; i++)
		expected += w->entries[i].there && w->pods[i]->owner_uid && strcmp(w->pods[i]->owner_uid, owner) == 0;
	for (const struct ledger_entry *at = ledger_siblings(w->fleet, owner); at; at = at->owner_next) {
		PROPERTY_CHECK(
		    at->owner_uid && strcmp(at->owner_uid, owner) == 0, "%s in the chain of %s", at->uid, owner);
		PROPERTY_CHECK(++chained <= expected, "%s: too many in its chain", owner);
	}
	PROPERTY_CHECK(chained == expected, "%s: %d in its chain, %d are there", owner, chained, expected);
}

void check_ledger(struct core_world *w)
{
	const struct ledger *ledger = &w->fleet->ledger;
	size_t states[LEDGER_BOUND + 1] = {0}, count = 0, expiring = 0;
	int first = -1;
	for (int i = 0; i < PODS; i++) {
		check_entry(w, i);
		count += w->entries[i].there;
		states[w->entries[i].state] += w->entries[i].there;
		if (w->pods[i]->owner_uid)
			check_owner(w, w->pods[i]->owner_uid);
		if (!brute_expires(&w->entries[i]))
			continue;
		expiring++;
		int64_t than = first < 0 ? INT64_MAX : w->entries[first].expires_ns;
		if (first < 0 || w->entries[i].expires_ns < than ||
		    (w->entries[i].expires_ns == than && strcmp(w->pod_names[i], w->pod_names[first]) < 0))
			first = i;
	}
	PROPERTY_CHECK(ledger->by_uid.count == count, "%zu entries instead of %zu", ledger->by_uid.count, count);
	for (int state = 0; state <= LEDGER_BOUND; state++)
		PROPERTY_CHECK(ledger->count[state] == states[state], "%zu counted as %s, %zu are",
		    ledger->count[state], ledger_state_name((enum ledger_state)state), states[state]);
	PROPERTY_CHECK(ledger->heap_count == expiring, "%zu in the heap, %zu expire", ledger->heap_count, expiring);
	int64_t next = first < 0 ? LEDGER_NEVER : w->entries[first].expires_ns;
	PROPERTY_CHECK(ledger_next_expiry(w->fleet) == next, "the next expiry is %lld instead of %lld",
	    (long long)ledger_next_expiry(w->fleet), (long long)next);
	const struct ledger_entry *expired = ledger_expired(w->fleet, w->now_ns);
	PROPERTY_CHECK(
	    first >= 0 && next <= w->now_ns ? expired && strcmp(expired->uid, w->pod_names[first]) == 0 : !expired,
	    "%s has expired instead of %s", expired ? expired->uid : "nothing",
	    first < 0 ? "nothing" : w->pod_names[first]);
}

/* --- nodes --- */

static void check_sums(const struct core_world *w, int at, const struct node *node)
{
	const struct node_spec *spec = w->nodes[at].spec;
	for (resource_id id = 0; id < w->fleet->names.count; id++) {
		int64_t used = brute_used(w, at, id, NULL, NULL);
		int64_t there = w->nodes[at].known ? resources_get(&spec->allocatable, id) : 0;
		int64_t left = there > used ? there - used : 0;
		const char *what = resource_names_text(&w->fleet->names, id);
		PROPERTY_CHECK(node_used(node, id) == used, "%s: %lld %s used instead of %lld", node->name,
		    (long long)node_used(node, id), what, (long long)used);
		PROPERTY_CHECK(node_free(node, id) == left, "%s: %lld %s free instead of %lld", node->name,
		    (long long)node_free(node, id), what, (long long)left);
	}
	for (uint16_t i = 0; i < node->used.count; i++)
		PROPERTY_CHECK(node->used.items[i].amount != 0, "%s: keeps a resource that nobody uses", node->name);
}

static void check_devices(const struct node *node)
{
	bool single = node->spec && node->spec->gpu_count == 1 && !node->spec->mixed_models;
	int64_t milli = 0, vram = 0;
	PROPERTY_CHECK(node->device_count == single, "%s: %zu devices", node->name, node->device_count);
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
		PROPERTY_CHECK(entry->device_count <= node->device_count, "%s: devices of another node", entry->uid);
		for (size_t i = 0; i < entry->device_count; i++) {
			PROPERTY_CHECK(entry->devices[i].milli > 0 && entry->devices[i].milli <= MILLI_GPU,
			    "%s: %d milli-GPU", entry->uid, (int)entry->devices[i].milli);
			milli += entry->devices[i].milli;
			vram += entry->devices[i].vram_mib;
		}
	}
	PROPERTY_CHECK(!single || (node->devices[0].milli_used == milli && node->devices[0].vram_used_mib == vram),
	    "%s: the device's sums are not those of its entries", node->name);
}

static bool asks_gpus(const struct pod *pod)
{
	for (uint16_t i = 0; i < pod->demand.count; i++)
		if (pod->demand.items[i].id >= RESOURCE_FIRST_OTHER && pod->demand.items[i].amount > 0)
			return true;
	return false;
}

static void check_node(const struct core_world *w, int at)
{
	const struct node_model *model = &w->nodes[at];
	const struct node *node = fleet_find(w->fleet, slice_of(w->node_names[at]));
	size_t entries = 0;
	bool foreign = false;
	for (int i = 0; i < PODS; i++) {
		const struct entry_model *entry = &w->entries[i];
		if (!entry->there || entry->node != at)
			continue;
		entries++;
		foreign |= entry->state == LEDGER_BOUND && !entry->ours && asks_gpus(w->pods[i]);
	}
	PROPERTY_CHECK((node != NULL) == (model->known || entries > 0), "%s: node %s", w->node_names[at],
	    node ? "left over" : "missing");
	if (!node)
		return;
	PROPERTY_CHECK(node->spec == (model->known ? model->spec : NULL), "%s: not the spec it was given", node->name);
	PROPERTY_CHECK(node->entry_count == entries, "%s: counts %zu entries, %zu are there", node->name,
	    node->entry_count, entries);
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next)
		PROPERTY_CHECK(entry->node == node && entries-- > 0, "%s in the chain of %s", entry->uid, node->name);
	PROPERTY_CHECK(entries == 0, "%s: entries missing in its chain", node->name);
	PROPERTY_CHECK(node->foreign_gpus == foreign, "%s: foreign GPUs %d", node->name, node->foreign_gpus);
	PROPERTY_CHECK(node->pool == brute_pool(w, node->spec), "%s: pool %u", node->name, node->pool);
	check_sums(w, at, node);
	check_devices(node);
}

/* Each team's use is that of its entries, whatever happened before. */
static void check_teams(const struct core_world *w)
{
	for (int team = 0; team < CORE_TEAMS; team++)
		for (uint16_t pool = 0; pool < MODELS; pool++) {
			int64_t expected = w->policy == WITH_TEAMS ? brute_team_used(w, team, pool, NULL, NULL) : 0;
			int64_t used = team_used(w->fleet, (uint16_t)team, pool);
			PROPERTY_CHECK(used == expected, "team %s uses %lld of %s, counted are %lld",
			    core_teams[team].team.name, (long long)expected, world_models[pool].name, (long long)used);
			PROPERTY_CHECK(team_claim(w->fleet, (uint16_t)team, pool) == 0 ||
			                   team_borrowed(w->fleet, (uint16_t)team, pool) == 0,
			    "team %s claims what it borrows", core_teams[team].team.name);
		}
}

void check_nodes(struct core_world *w)
{
	size_t known = 0, cursor = 0;
	for (int i = 0; i < NODES; i++) {
		check_node(w, i);
		known += w->nodes[i].known;
	}
	check_teams(w);
	for (const struct node *node; (node = map_next(&w->fleet->nodes, &cursor));)
		node_number(w, node->name);
	PROPERTY_CHECK(
	    fleet_node_count(w->fleet) == known, "%zu nodes counted, %zu are there", fleet_node_count(w->fleet), known);
}

/* --- the index: every placeable node is in the bucket it belongs in, in order, and nothing is empty --- */

static size_t check_bucket(const struct index_shape *shape, const struct index_bucket *bucket)
{
	const char *before = "";
	size_t count = 0;
	PROPERTY_CHECK(bucket->by_name.count > 0, "an empty bucket");
	for (const struct treap_node *at = treap_first(&bucket->by_name); at; at = treap_after(at), count++) {
		const struct node_slot *slot = (const struct node_slot *)at;
		const struct node *node = slot->node;
		int64_t left = node_free(node, shape->resource), there = node_allocatable(node, shape->resource);
		PROPERTY_CHECK(strcmp(before, node->name) < 0, "%s: out of order in its bucket", node->name);
		before = node->name;
		PROPERTY_CHECK(slot->bucket == bucket && slot->shape == shape, "%s: not where it stands", node->name);
		if (shape->resource == RESOURCE_CPU)
			PROPERTY_CHECK(bucket->key == index_cpu_key(left, there), "%s: CPU bucket %lld", node->name,
			    (long long)bucket->key);
		else
			PROPERTY_CHECK(shape->pool == node->pool && bucket->key == left && shape->allocatable == there,
			    "%s: among nodes with %lld of %lld free, has %lld of %lld", node->name,
			    (long long)bucket->key, (long long)shape->allocatable, (long long)left, (long long)there);
	}
	PROPERTY_CHECK(bucket->by_name.count == count, "a bucket counts %zu, holds %zu", bucket->by_name.count, count);
	return count;
}

void check_index(const struct fleet *fleet)
{
	const struct index *index = fleet->index;
	size_t slots = 0, expected = 0, cursor = 0;
	for (size_t l = 0; l < index->lane_count; l++)
		for (size_t s = 0; s < index->lanes[l].shape_count; s++) {
			const struct index_shape *shape = index->lanes[l].shapes[s];
			PROPERTY_CHECK(shape->bucket_count > 0, "an empty shape");
			for (size_t b = 0; b < shape->bucket_count; b++) {
				PROPERTY_CHECK(b == 0 || shape->buckets[b - 1]->key < shape->buckets[b]->key,
				    "buckets out of order");
				slots += check_bucket(shape, shape->buckets[b]);
			}
		}
	for (const struct node *node; (node = map_next(&fleet->nodes, &cursor));)
		if (node->spec && node->spec->ready && !node->avoided && !node_is_shut(node))
			expected += node->spec->lane_count + 1;
	PROPERTY_CHECK(slots == expected, "%zu places in the index, %zu expected", slots, expected);
}

/* --- those who wait --- */

void check_waiting(struct core_world *w)
{
	const struct waiting_pod *before = NULL;
	size_t count = 0;
	for (struct waiting_pod *at = NULL; (at = waiting_next(w->waiting, at)); before = at) {
		const char *uid = at->pod->uid;
		count++;
		PROPERTY_CHECK(at->pod == w->pods[pod_number(w, uid)], "%s: waits as it was before", uid);
		PROPERTY_CHECK(waiting_find(w->waiting, slice_of(uid)) == at, "%s: is not found", uid);
		PROPERTY_CHECK(at->wakes <= 2, "%s: woken %u times for one rejection", uid, at->wakes);
		PROPERTY_CHECK(at->turn_ends_ns != 0 || !at->turn_node, "%s: a node without a turn", uid);
		PROPERTY_CHECK(
		    !at->turn_node || (at->turn_node->spec && w->nodes[node_number(w, at->turn_node->name)].known),
		    "%s: its turn is for a node that is gone", uid);
		if (!before)
			continue;
		int64_t order = (int64_t)before->pod->priority - at->pod->priority;
		order = order ? order : at->since_ns - before->since_ns;
		PROPERTY_CHECK(order > 0 || (order == 0 && strcmp(before->pod->uid, uid) < 0), "%s: out of order", uid);
	}
	PROPERTY_CHECK(count == waiting_count(w->waiting), "%zu wait, %zu counted", count, waiting_count(w->waiting));
}

/* --- decisions --- */

struct fleet *core_rebuild(const struct core_world *w)
{
	struct fleet *fleet = fleet_new(&world_catalogue);
	core_names(fleet);
	for (int i = PODS - 1; i >= 0; i--)
		if (w->entries[i].there && i % 2)
			ledger_reserve(fleet, w->pods[i], slice_of(w->node_names[w->entries[i].node]),
			    w->entries[i].state, w->entries[i].ours, 0, SECOND);
	for (int i = NODES - 1; i >= 0; i--)
		if (w->nodes[i].known)
			fleet_put_node(fleet, core_spec(w, fleet, i));
	fleet_set_policy(fleet, w->policies[w->policy]);
	for (int i = 0; i < PODS; i += 2)
		if (w->entries[i].there)
			ledger_reserve(fleet, w->pods[i], slice_of(w->node_names[w->entries[i].node]),
			    w->entries[i].state, w->entries[i].ours, 0, SECOND);
	return fleet;
}

static void check_same(const char *uid, const struct decision *a, const struct decision *b, const char *which)
{
	const char *left = a->node ? a->node->name : "none", *right = b->node ? b->node->name : "none";
	PROPERTY_CHECK(strcmp(left, right) == 0, "%s: best on %s, %s says %s", uid, left, which, right);
	PROPERTY_CHECK(
	    a->reason == b->reason, "%s: %s, %s says %s", uid, reason_code(a->reason), which, reason_code(b->reason));
	PROPERTY_CHECK(
	    !a->node || memcmp(&a->score, &b->score, sizeof a->score) == 0, "%s: another score, %s says", uid, which);
}

void check_decisions(struct core_world *w, const struct fleet *rebuilt, const struct pod *pod)
{
	struct node *nodes[NODES];
	enum reason reasons[NODES];
	struct decision by_index, by_list, by_other;
	size_t count = 0;
	for (int i = 0; i < NODES; i++)
		if (w->nodes[i].known)
			nodes[count++] = fleet_find(w->fleet, slice_of(w->node_names[i]));
	decide_fleet(w->fleet, pod, &by_index);
	decide_among(w->fleet, pod, nodes, count, &by_list, reasons);
	decide_fleet(rebuilt, pod, &by_other);
	check_same(pod->uid, &by_index, &by_list, "a look at every node");
	check_same(pod->uid, &by_index, &by_other, "a fleet made anew");
	for (size_t i = 0; i < count; i++) {
		struct score score;
		bool fits = brute_fits(w, pod, node_number(w, nodes[i]->name), NULL);
		PROPERTY_CHECK((reasons[i] == REASON_CODE_FITS) == fits, "%s on %s: %s, by brute force it %s", pod->uid,
		    nodes[i]->name, reason_code(reasons[i]), fits ? "fits" : "does not fit");
		PROPERTY_CHECK(decide_node(w->fleet, pod, nodes[i], &score) == reasons[i],
		    "%s on %s: judged alone otherwise", pod->uid, nodes[i]->name);
		for (int term = 0; fits && term < SCORE_TERM_COUNT; term++)
			PROPERTY_CHECK(score.terms[term] >= 0 && score.terms[term] <= 1, "%s on %s: %s is %g", pod->uid,
			    nodes[i]->name, score_term_name((enum score_term)term), score.terms[term]);
		PROPERTY_CHECK(
		    !fits || score.total < by_list.score.total ||
		        (score.total == by_list.score.total && strcmp(by_list.node->name, nodes[i]->name) <= 0),
		    "%s: %s is better", pod->uid, nodes[i]->name);
	}
}
