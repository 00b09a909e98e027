/* Quarantine: nodes that kill pods at their start get no more. What counts is in cluster/start, the rule in
 * berth/quarantine.h; here it is fed by the watches, kept in a ConfigMap, ended by time or by the node's annotation,
 * and said in Events. A pod that asks for no GPU tells nothing of a node's GPUs. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/reader.h"
#include "cluster/gang.h"
#include "scheduler/gang/gang.h"
#include "scheduler/json.h"

#define CONFIG_MAP "berth-quarantine"
#define ACTION "Quarantine"
#define VALUE_MAX 512
#define NOTE_MAX 512
#define LOOK_MS_MAX (3600 * 1000) /* the wall clock may be set: it is looked at again */

/* --- whose pod it is --- */

/* What a controller makes anew under a UID of its own counts by its name, up to what the controller put behind: a
 * Deployment's ReplicaSets, a CronJob's Jobs. The length of that name; 0 where the UID tells. */
static size_t stem_length(const struct pod *pod)
{
	size_t len = strlen(pod->owner_name);
	const char *hash = labels_get(&pod->labels, "pod-template-hash"), *dash = strrchr(pod->owner_name, '-');
	size_t tail = hash ? strlen(hash) : 0;
	if (tail > 0 && len > tail + 1 && strcmp(pod->owner_name + len - tail, hash) == 0)
		return len - tail - 1;
	return dash && pod_has_owner_kind(pod, "CronJob") ? (size_t)(dash - pod->owner_name) : 0;
}

/* Pods that fail for one fault of their own count as one owner's: those of one workload, whatever stands between, and
 * those that nobody controls in one namespace. */
static uint64_t owner_of(const struct pod *pod)
{
	static const char *const labels[] = {"jobset.sigs.k8s.io/jobset-name", "leaderworkerset.sigs.k8s.io/name"};
	const char *label = NULL;
	uint64_t in = map_hash(slice_of(pod->namespace_));
	for (size_t i = 0; i < sizeof labels / sizeof *labels && !label; i++)
		label = labels_get(&pod->labels, labels[i]);
	if (label)
		return in * 31 + map_hash(slice_of(label));
	size_t stem = pod->owner_name ? stem_length(pod) : 0;
	if (stem > 0)
		return in * 37 + map_hash((struct slice){pod->owner_name, stem});
	if (pod->owner_uid)
		return map_hash(slice_of(pod->owner_uid));
	return pod->said_gang ? in * 41 + map_hash(slice_of(pod->said_gang->name)) : in;
}

/* --- its beginning and its end --- */

static void write_kept(const struct quarantine_node *node, char out[VALUE_MAX])
{
	char since[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];
	clock_format(node->since_ns, since);
	clock_format(node->until_ns, until);
	snprintf(out, VALUE_MAX, "{\"version\":1,\"since\":\"%s\",\"until\":\"%s\",\"failedStarts\":%u,\"owners\":%u}",
	    since, until, node->failed, node->owners);
}

static void look_again(struct scheduler *s)
{
	int64_t next = quarantine_next(&s->quarantine);
	if (s->stopping)
		return;
	if (next == INT64_MAX) {
		uv_timer_stop(&s->quarantine_timer);
		return;
	}
	int64_t left = (next - clock_wall()) / NS_PER_MS + 1;
	left = left < 1 ? 1 : left > LOOK_MS_MAX ? LOOK_MS_MAX : left;
	uv_timer_start(&s->quarantine_timer, quarantine_on_timer, (uint64_t)left, 0);
}

static void close_node(struct scheduler *s, const char *name)
{
	struct node *node = fleet_find(s->fleet, slice_of(name));
	if (node)
		fleet_quarantine(s->fleet, node, true);
	look_again(s);
}

static void close_and_tell(struct scheduler *s, const struct quarantine_node *node, const char *why)
{
	char note[NOTE_MAX], kept[VALUE_MAX], until[CLOCK_TEXT_MAX];
	clock_format(node->until_ns, until);
	snprintf(note, sizeof note, "no new pods until %s: %s; released before by: berth quarantine release %s", until,
	    why, node->name);
	log_warn("node in quarantine", "node=%s why=%s until=%s", node->name, log_quote(why), until);
	close_node(s, node->name);
	write_kept(node, kept);
	keep_set(&s->quarantine_kept, node->name, kept);
	node_tell(s, node->name, ACTION, "Warning", "NodeQuarantined", note);
}

static void begin(struct scheduler *s, const char *name)
{
	const struct quarantine_node *node = quarantine_find(&s->quarantine, slice_of(name));
	char why[NOTE_MAX / 2];
	snprintf(why, sizeof why, "%u starts of pods of %u owners failed here", node->failed, node->owners);
	close_and_tell(s, node, why);
}

void quarantine_impose(struct scheduler *s, const char *name, const char *why)
{
	const struct policy_quarantine *rules = &s->policy.inforce->quarantine;
	int64_t now = clock_wall();
	struct quarantine_node node = {.name = (char *)name, .since_ns = now, .until_ns = now + rules->release_ns};
	if (rules->after > 0 && quarantine_restore(&s->quarantine, &node, now))
		close_and_tell(s, &node, why);
}

/* `why` for people. */
static void end(struct scheduler *s, const char *name, const char *why)
{
	struct node *node = fleet_find(s->fleet, slice_of(name));
	log_info("node out of quarantine", "node=%s why=%s", name, log_quote(why));
	keep_set(&s->quarantine_kept, name, NULL);
	if (node) {
		char note[NOTE_MAX];
		snprintf(note, sizeof note, "takes pods again: %s", why);
		fleet_quarantine(s->fleet, node, false);
		node_tell(s, name, ACTION, "Normal", "NodeReleased", note);
	}
	wake_soon(s, REASON_CODE_WAKE_NODE);
	gang_soon(s);
	look_again(s);
}

void quarantine_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	const struct quarantine_node *node;
	while ((node = quarantine_expire(&s->quarantine, clock_wall())))
		end(s, node->name, "the time that the policy sets is over");
	look_again(s);
}

/* --- what the watches show --- */

void quarantine_pod(struct scheduler *s, struct pod *pod)
{
	const struct policy_quarantine *rules = &s->policy.inforce->quarantine;
	struct slice name = slice_of(pod->node);
	if (!pod->node || pod->start == POD_START_UNKNOWN || rules->after == 0)
		return;
	int64_t now = clock_wall(), at = pod->start_ns;
	if (pod->start == POD_START_WELL) {
		if (quarantine_find(&s->quarantine, name) && decide_gpu_units(s->fleet, &pod->demand) > 0)
			quarantine_started(&s->quarantine, name, at);
		return;
	}
	if (decide_gpu_units(s->fleet, &pod->demand) == 0)
		return;
	if (at == 0)
		at = pod->terminal && pod->created_ns > 0 ? pod->created_ns : now;
	owners_resolve(s->owners, pod);
	struct failed_start failed = {.owner = owner_of(pod),
	    .start = map_hash(slice_of(pod->uid)) + (uint64_t)pod->restarts,
	    .at_ns = at < now ? at : now};
	enum quarantine_change change = quarantine_failed(&s->quarantine, rules, name, &failed, now);
	if (change == QUARANTINE_SAME)
		return;
	log_info("a pod did not start on its node", "pod=%s/%s node=%s", pod->namespace_, pod->name, pod->node);
	if (change == QUARANTINE_BEGINS)
		begin(s, pod->node);
}

void quarantine_node_seen(struct scheduler *s, struct node *node)
{
	int64_t now = clock_wall(), released = node->spec->released_ns;
	struct slice name = slice_of(node->name);
	if (released > 0 && quarantine_release(&s->quarantine, name, released < now ? released : now))
		end(s, node->name, "a person released it");
	if (quarantine_holds(&s->quarantine, name))
		fleet_quarantine(s->fleet, node, true);
}

void quarantine_node_gone(struct scheduler *s, const char *name)
{
	if (quarantine_forget(&s->quarantine, slice_of(name)))
		end(s, name, "the node is gone");
}

void quarantine_rules_changed(struct scheduler *s)
{
	size_t cursor = 0, count = 0;
	if (s->policy.inforce->quarantine.after > 0)
		return;
	char **names = xcalloc(s->quarantine.nodes.count + 1, sizeof *names);
	for (const struct quarantine_node *node; (node = map_next(&s->quarantine.nodes, &cursor));)
		names[count++] = xstrdup(node->name);
	while (count > 0) {
		if (quarantine_forget(&s->quarantine, slice_of(names[--count])))
			end(s, names[count], "the policy knows no quarantine any more");
		free(names[count]);
	}
	free(names);
}

/* --- what a process before kept --- */

static bool read_kept(struct slice text, struct quarantine_node *kept)
{
	struct reader json;
	struct slice key, time;
	int64_t version = 0, number = 0;
	reader_open(&json, text);
	if (reader_object(&json))
		while (reader_key(&json, &key)) {
			if (slice_is(key, "version"))
				reader_int(&json, &version);
			else if (slice_is(key, "since") && reader_string(&json, &time))
				clock_parse(time, &kept->since_ns);
			else if (slice_is(key, "until") && reader_string(&json, &time))
				clock_parse(time, &kept->until_ns);
			else if (slice_is(key, "failedStarts") && reader_int(&json, &number))
				kept->failed = (uint32_t)number;
			else if (slice_is(key, "owners") && reader_int(&json, &number))
				kept->owners = (uint32_t)number;
			else
				reader_skip(&json);
		}
	return reader_close(&json) && version == 1;
}

/* One whose time is over, or that a person has released meanwhile, goes from the ConfigMap, too. */
static void restore(void *ctx, struct slice name, struct slice text)
{
	struct scheduler *s = ctx;
	char *copy = xstrndup(name.at, name.len);
	struct quarantine_node kept = {.name = copy};
	const struct node *node = fleet_find(s->fleet, name);
	bool gone = s->nodes_synced && (!node || !node->spec);
	if (!gone && read_kept(text, &kept) && s->policy.inforce->quarantine.after > 0 &&
	    quarantine_restore(&s->quarantine, &kept, clock_wall())) {
		log_info("node in quarantine, as it was kept", "node=%s", copy);
		close_node(s, copy);
	} else if (!quarantine_holds(&s->quarantine, name)) {
		keep_set(&s->quarantine_kept, copy, NULL);
	}
	free(copy);
}

static void restored(void *ctx)
{
	struct scheduler *s = ctx;
	if (!s->quarantine_unread)
		return;
	s->quarantine_unread = false;
	headroom_look(s);
	wake_soon(s, REASON_CODE_WAKE_NODE);
	hint_soon(s);
	lease_take_up(s);
}

void quarantine_open(struct scheduler *s)
{
	s->quarantine_unread = true;
	keep_open(&s->quarantine_kept, s->kube, s->policy.namespace_, CONFIG_MAP);
	quarantine_read(s);
}

void quarantine_read(struct scheduler *s)
{
	if (s->quarantine_kept.kube)
		keep_read(&s->quarantine_kept, restore, restored, s);
}

void quarantine_nodes_listed(struct scheduler *s)
{
	size_t cursor = 0, count = 0;
	char **gone = xcalloc(s->quarantine.nodes.count + 1, sizeof *gone);
	for (const struct quarantine_node *node; (node = map_next(&s->quarantine.nodes, &cursor));) {
		const struct node *known = fleet_find(s->fleet, slice_of(node->name));
		if (!known || !known->spec)
			gone[count++] = xstrdup(node->name);
	}
	while (count > 0) {
		quarantine_node_gone(s, gone[--count]);
		free(gone[count]);
	}
	free(gone);
}

void quarantine_tick(struct scheduler *s)
{
	quarantine_sweep(&s->quarantine, &s->policy.inforce->quarantine, clock_wall());
	keep_again(&s->quarantine_kept);
}

void quarantine_close(struct scheduler *s)
{
	keep_close(&s->quarantine_kept);
	quarantine_free(&s->quarantine);
}

/* --- what is said --- */

void quarantine_line(const struct scheduler *s, struct buf *out)
{
	if (s->quarantine_kept.trouble)
		buf_printf(out, "info quarantine: done without the ConfigMap %s/" CONFIG_MAP ", %s\n",
		    s->quarantine_kept.namespace_, s->quarantine_kept.trouble);
	if (s->quarantine.in_force > 0)
		buf_printf(out, "info quarantine: %zu %s\n", s->quarantine.in_force,
		    s->quarantine.in_force == 1 ? "node" : "nodes");
}

static int by_name(const void *a, const void *b)
{
	const struct quarantine_node *const *left = a, *const *right = b;
	return strcmp((*left)->name, (*right)->name);
}

void quarantine_write(const struct scheduler *s, struct buf *out)
{
	const struct quarantine_node **nodes = xcalloc(s->quarantine.in_force + 1, sizeof *nodes);
	size_t cursor = 0, count = 0;
	for (const struct quarantine_node *node; (node = map_next(&s->quarantine.nodes, &cursor));)
		if (node->until_ns != 0)
			nodes[count++] = node;
	qsort(nodes, count, sizeof *nodes, by_name);
	buf_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? ",{" : "{");
		member(out, "node", nodes[i]->name);
		next_time(out, "since", nodes[i]->since_ns);
		next_time(out, "until", nodes[i]->until_ns);
		buf_printf(out, ",\"failedStarts\":%u,\"owners\":%u}", nodes[i]->failed, nodes[i]->owners);
	}
	buf_char(out, ']');
	free(nodes);
}
