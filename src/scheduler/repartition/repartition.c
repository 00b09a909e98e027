/* MIG by demand: what berth/repartition.h decides is done here, from what the watches show. All that must outlive the
 * process stands on the nodes. */
#include "scheduler/repartition/internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "scheduler/move/move.h"

/* --- nodes --- */

struct repartition_node *repartition_note(struct scheduler *s, const char *name)
{
	struct repartition_node *noted = map_get(&s->repartitions->nodes, slice_of(name));
	if (noted)
		return noted;
	noted = xcalloc(1, sizeof *noted);
	noted->name = xstrdup(name);
	map_put(&s->repartitions->nodes, slice_of(noted->name), noted);
	return noted;
}

void repartition_drop(struct scheduler *s, struct repartition_node *noted)
{
	struct node *node = fleet_find(s->fleet, slice_of(noted->name));
	if (node)
		fleet_repartition(s->fleet, node, false);
	map_remove(&s->repartitions->nodes, slice_of(noted->name));
	free(noted->name);
	free(noted);
	wake_soon(s, REASON_CODE_WAKE_NODE);
}

const struct policy_mig *repartition_rules(const struct scheduler *s, const struct node *node)
{
	return node->pool == POOL_NONE ? NULL : s->policy.inforce->pools[node->pool].mig;
}

size_t repartition_pods(const struct scheduler *s, const struct node *node)
{
	size_t count = 0;
	for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next)
		count += !entry->hold && decide_gpu_units(s->fleet, &entry->demand) > 0;
	return count;
}

static const char *state_of(const struct node *node)
{
	const char *state = labels_get(&node->spec->labels, MIG_STATE_LABEL);
	return state ? state : "";
}

void repartition_node_seen(struct scheduler *s, struct node *node)
{
	struct repartition_record record;
	struct repartition_node *noted = map_get(&s->repartitions->nodes, slice_of(node->name));
	bool there = node->spec->repartition && repartition_read(slice_of(node->spec->repartition), &record);
	if (!there && !noted)
		return;
	if (!there) {
		if (!noted->chosen)
			repartition_drop(s, noted);
		return;
	}
	bool known = noted && !noted->chosen;
	noted = repartition_note(s, node->name);
	bool same = known && noted->record.phase == record.phase && noted->record.since_ns == record.since_ns;
	noted->chosen = false;
	noted->record = record;
	noted->state_changed = (same && noted->state_changed) || strcmp(state_of(node), record.state) != 0;
	fleet_repartition(s->fleet, node, repartition_taints(record.phase));
	if (record.move[0])
		move_node_shows(s, noted);
	repartition_soon(s);
}

void repartition_node_gone(struct scheduler *s, const char *name)
{
	struct repartition_node *noted = map_get(&s->repartitions->nodes, slice_of(name));
	if (noted)
		repartition_drop(s, noted);
}

/* --- pods that wait --- */

static bool asks_for_slices(const struct scheduler *s, const struct pod *pod)
{
	for (uint16_t i = 0; i < pod->demand.count; i++)
		if (repartition_is_slice(resource_names_text(&s->fleet->names, pod->demand.items[i].id)))
			return true;
	return false;
}

static bool any_rules(const struct scheduler *s)
{
	for (size_t i = 0; i < s->policy.inforce->pool_count; i++)
		if (s->policy.inforce->pools[i].mig)
			return true;
	return false;
}

static void wish_for(struct scheduler *s, const struct pod *pod)
{
	struct map *wishes = &s->repartitions->wishes;
	struct repartition_wish *wish;
	if (pod->deleting || !any_rules(s) || !asks_for_slices(s, pod) || map_get(wishes, slice_of(pod->uid)) ||
	    wishes->count >= REPARTITION_WISHES_MAX)
		return;
	wish = xcalloc(1, sizeof *wish);
	*wish = (struct repartition_wish){.uid = xstrdup(pod->uid),
	    .since_ns = clock_now(),
	    .demand = move_node_demand(pod->owner_uid ? pod->owner_uid : pod->uid)};
	map_put(wishes, slice_of(wish->uid), wish);
	repartition_soon(s);
}

void repartition_want(struct scheduler *s, const struct pod *pod)
{
	if (!pod->gated)
		wish_for(s, pod);
}

/* Its members wait behind berth's own gate, if behind any. */
void repartition_want_gang(struct scheduler *s, const struct gang *gang)
{
	for (size_t i = 0; i < gang->count; i++) {
		const struct gang_member *member = gang->members[i];
		if (!member->placed && (member->state == GANG_GATED || member->state == GANG_LOOSE))
			wish_for(s, member->pod);
	}
}

/* --- what is due --- */

static struct repartition_view view_of(
    const struct scheduler *s, const struct repartition_node *noted, const struct node *node)
{
	const struct policy_mig *rules = repartition_rules(s, node);
	struct repartition_view view = {.config = labels_get(&node->spec->labels, MIG_CONFIG_LABEL),
	    .state = labels_get(&node->spec->labels, MIG_STATE_LABEL),
	    .state_changed = noted->state_changed,
	    .names = &s->fleet->names,
	    .spec = node->spec,
	    .mover = noted->record.move[0] ? move_node_mover(s, noted->record.move) : REPARTITION_NO_MOVE,
	    .gpu_pods = repartition_pods(s, node),
	    .quarantined = quarantine_holds(&s->quarantine, slice_of(node->name)),
	    .may_quarantine = s->policy.inforce->quarantine.after > 0,
	    .rules = rules};
	for (size_t i = 0; i < node->spec->taint_count; i++)
		view.tainted |= strcmp(node->spec->taints[i].key, REPARTITION_KEY) == 0;
	view.idle_ns = noted->idle_ns;
	view.wanted = rules && repartition_is_wanted(s, &noted->record.want);
	return view;
}

/* Of a node in use: whether its slices are wanted, or what it had, by pods that would fit there. Another is looked at
 * in the next look: till then its slices count as wanted. */
static void look_back(struct scheduler *s, const struct repartition_node *noted, struct node *node, bool its_turn,
    int64_t now, struct repartition_view *view)
{
	bool idle = view->rules && view->gpu_pods == 0 && now - noted->idle_ns >= view->rules->idle_for_ns;
	view->wanted = !its_turn || repartition_is_wanted_here(s, node);
	view->wanted_back =
	    !view->wanted && idle &&
	    (move_node_is_wanted_back(s, noted->name) || repartition_is_wanted_back(s, node, &noted->record));
}

static void note_idle(struct scheduler *s, int64_t now)
{
	size_t cursor = 0;
	for (struct repartition_node *noted; (noted = map_next(&s->repartitions->nodes, &cursor));) {
		const struct node *node = fleet_find(s->fleet, slice_of(noted->name));
		if (!node || repartition_pods(s, node) > 0)
			noted->idle_ns = 0;
		else if (noted->idle_ns == 0)
			noted->idle_ns = now;
	}
}

/* Who wants what a node in use gives, or gave before, is asked for one of them a look: many pods are looked at for it.
 */
static const struct repartition_node *back_turn(struct scheduler *s)
{
	struct repartition_node *turn = NULL;
	size_t cursor = 0;
	for (struct repartition_node *noted; (noted = map_next(&s->repartitions->nodes, &cursor));)
		if (noted->record.phase == REPARTITION_APPLIED && noted->idle_ns > 0 &&
		    (!turn || noted->looked_back < turn->looked_back ||
		        (noted->looked_back == turn->looked_back && strcmp(noted->name, turn->name) < 0)))
			turn = noted;
	if (turn)
		turn->looked_back = ++s->repartitions->looks;
	return turn;
}

/* One write at a time: the first of those that are due, by name, so that the same is done whatever the order of
 * events. */
static void act_on_nodes(struct scheduler *s)
{
	struct repartition_node *due = NULL;
	enum repartition_act due_act = REPARTITION_WAIT;
	const char *due_why = NULL;
	int64_t now = clock_wall();
	size_t cursor = 0;
	note_idle(s, now);
	const struct repartition_node *turn = back_turn(s);
	for (struct repartition_node *noted; (noted = map_next(&s->repartitions->nodes, &cursor));) {
		struct node *node = fleet_find(s->fleet, slice_of(noted->name));
		const char *why = NULL;
		if (!node || !node->spec || (due && strcmp(due->name, noted->name) < 0))
			continue;
		struct repartition_view view = view_of(s, noted, node);
		if (noted->record.phase == REPARTITION_APPLIED)
			look_back(s, noted, node, noted == turn, now, &view);
		enum repartition_act act =
		    noted->chosen ? REPARTITION_TAINT : repartition_next(&noted->record, &view, now, &why);
		if (act == REPARTITION_WAIT)
			continue;
		due = noted;
		due_act = act;
		due_why = why;
	}
	if (!due)
		return;
	if (due_act == REPARTITION_QUARANTINE)
		quarantine_impose(s, due->name, due_why);
	repartition_write_begin(s, due, due_act, due_why);
}

static bool is_idle(const struct scheduler *s)
{
	return s->repartitions->nodes.count == 0 && (s->repartitions->wishes.count == 0 || !any_rules(s));
}

void repartition_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	if (s->stopping || is_idle(s))
		return;
	uv_timer_start(timer, repartition_on_timer, REPARTITION_LOOK_MS, 0);
	if (!scheduler_synced(s) || !s->taken_up || !lease_may_write(s) || s->repartitions->write ||
	    clock_now() < s->repartitions->not_before_ns)
		return;
	repartition_count_wishes(s);
	repartition_choose(s);
	act_on_nodes(s);
}

void repartition_soon(struct scheduler *s)
{
	uv_timer_t *timer = &s->repartition_timer;
	if (!s->stopping && (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_due_in(timer) > REPARTITION_SOON_MS))
		uv_timer_start(timer, repartition_on_timer, REPARTITION_SOON_MS, 0);
}

/* --- what became of a write --- */

void repartition_written(struct scheduler *s, const char *name, enum repartition_act act,
    const struct repartition_record *before, const struct repartition_record *after, const char *why)
{
	struct node *node = fleet_find(s->fleet, slice_of(name));
	log_info("node's GPUs are cut anew", "node=%s act=%s from=%s to=%s phase=%s why=%s", name,
	    repartition_act_name(act), before->from, before->to, repartition_phase_name(after->phase),
	    log_quote(why ? why : ""));
	repartition_tell(s, name, act, before, after, why);
	/* What the watch shows next says the same; until then nobody is placed there. */
	if (node && node->spec && repartition_taints(after->phase))
		fleet_repartition(s->fleet, node, true);
	repartition_soon(s);
}

/* What was chosen and could not be begun is chosen anew, or another is. */
void repartition_not_written(struct scheduler *s, const char *name)
{
	struct repartition_node *noted = map_get(&s->repartitions->nodes, slice_of(name));
	if (noted && noted->chosen)
		repartition_drop(s, noted);
	repartition_soon(s);
}

/* --- begin and end --- */

void repartition_open(struct scheduler *s)
{
	s->repartitions = xcalloc(1, sizeof *s->repartitions);
}

void repartition_close(struct scheduler *s)
{
	struct repartitions *all = s->repartitions;
	size_t cursor = 0;
	if (!all)
		return;
	repartition_write_close(all);
	for (struct repartition_node *noted; (noted = map_next(&all->nodes, &cursor));) {
		free(noted->name);
		free(noted);
	}
	cursor = 0;
	for (struct repartition_wish *wish; (wish = map_next(&all->wishes, &cursor));) {
		free(wish->uid);
		free(wish->demand);
		free(wish);
	}
	map_free(&all->nodes);
	map_free(&all->wishes);
	free(all->trouble);
	free(all);
	s->repartitions = NULL;
}
