/* Starts that gangs were promised, kept in a ConfigMap of berth's own while there are any: the next process, or the
 * standby that takes over, holds the same nodes before it places anything, and is measured by the same promise. Written
 * when a promise is made, when its nodes change, and when it is over; never while no class has had reserveAfter. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/reader.h"
#include "berth/hold.h"
#include "cluster/fields.h"
#include "cluster/gang_table.h"
#include "scheduler/gang/internal.h"
#include "scheduler/json.h"

#define CONFIG_MAP "berth-promises"
#define KEY "promises"
#define VERSION 1
#define AGAIN_NS (10 * NS_PER_S)    /* after a write in vain */
#define TEXT_MAX (KEEP_KEY_MAX / 2) /* nodes beyond it are left out: they are foreseen anew */
#define GATHER_NS (60 * NS_PER_S)   /* a gang whose members are not all there is waited for no longer */

/* As it was kept, until its gang stands in line. */
struct promise {
	struct promise *next;
	enum gang_dialect dialect;
	char *key, *namespace_, *name, *class_name;
	int32_t priority;
	int64_t created_ns, promised_ns, at_ns; /* wall clock */
	int64_t until_ns;                       /* by clock_now; 0 until gangs are known */
	size_t node_count, node_room;
	char **nodes;
};

static void promise_free(struct promise *promise)
{
	for (size_t i = 0; i < promise->node_count; i++)
		free(promise->nodes[i]);
	free(promise->nodes);
	free(promise->key);
	free(promise->namespace_);
	free(promise->name);
	free(promise->class_name);
	free(promise);
}

static int64_t to_wall(int64_t at_ns)
{
	return clock_wall() + (at_ns - clock_now());
}

static int64_t from_wall(int64_t wall_ns)
{
	int64_t at_ns = clock_now() + (wall_ns - clock_wall());
	return at_ns != 0 ? at_ns : 1;
}

/* --- reading --- */

static void replace(char **text, struct reader *json, struct arena *arena)
{
	const char *value = field_string(json, arena);
	free(*text);
	*text = value ? xstrdup(value) : NULL;
}

static void read_time(struct reader *json, int64_t *wall_ns)
{
	struct slice text;
	if (!reader_string(json, &text) || !clock_parse(text, wall_ns))
		*wall_ns = 0;
}

static void read_dialect(struct reader *json, struct promise *promise)
{
	struct slice text = {NULL, 0};
	reader_string(json, &text);
	promise->dialect = GANG_DIALECT_COUNT;
	for (int i = 0; i < GANG_DIALECT_COUNT; i++)
		if (text.at && slice_is(text, gang_dialect_rows[i].name))
			promise->dialect = (enum gang_dialect)i;
}

static void read_nodes(struct reader *json, struct arena *arena, struct promise *promise)
{
	if (!reader_array(json))
		return;
	while (reader_next(json)) {
		const char *name = field_string(json, arena);
		if (!name)
			continue;
		promise->nodes = xgrow(promise->nodes, promise->node_count, &promise->node_room, sizeof(char *));
		promise->nodes[promise->node_count++] = xstrdup(name);
	}
}

static void read_member(struct reader *json, struct slice key, struct arena *arena, struct promise *promise)
{
	int64_t number;
	if (slice_is(key, "key"))
		replace(&promise->key, json, arena);
	else if (slice_is(key, "dialect"))
		read_dialect(json, promise);
	else if (slice_is(key, "namespace"))
		replace(&promise->namespace_, json, arena);
	else if (slice_is(key, "name"))
		replace(&promise->name, json, arena);
	else if (slice_is(key, "class"))
		replace(&promise->class_name, json, arena);
	else if (slice_is(key, "priority"))
		promise->priority = reader_int(json, &number) ? (int32_t)number : 0;
	else if (slice_is(key, "created"))
		read_time(json, &promise->created_ns);
	else if (slice_is(key, "promised"))
		read_time(json, &promise->promised_ns);
	else if (slice_is(key, "at"))
		read_time(json, &promise->at_ns);
	else if (slice_is(key, "nodes"))
		read_nodes(json, arena, promise);
	else
		reader_skip(json);
}

static void read_promise(struct scheduler *s, struct reader *json, struct arena *arena)
{
	struct promise *promise = xcalloc(1, sizeof *promise);
	promise->dialect = GANG_DIALECT_COUNT;
	if (reader_object(json))
		for (struct slice key; reader_key(json, &key);)
			read_member(json, key, arena, promise);
	if (!promise->key || !promise->namespace_ || !promise->name || !promise->class_name ||
	    promise->dialect == GANG_DIALECT_COUNT || promise->promised_ns == 0 || promise->at_ns == 0) {
		promise_free(promise);
		return;
	}
	promise->next = s->promises.kept_before;
	s->promises.kept_before = promise;
}

static void shown(void *ctx, struct slice key, struct slice text)
{
	struct scheduler *s = ctx;
	struct reader json;
	struct arena arena;
	struct slice name;
	int64_t version = 0;
	if (!slice_is(key, KEY))
		return;
	s->promises.any = true;
	arena_init(&arena, 4096);
	reader_open(&json, text);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json))
		while (reader_key(&json, &name)) {
			if (slice_is(name, "version"))
				reader_int(&json, &version);
			else if (slice_is(name, "gangs") && version == VERSION && reader_array(&json))
				while (reader_next(&json))
					read_promise(s, &json, &arena);
			else
				reader_skip(&json);
		}
	arena_free(&arena);
}

/* --- taken over --- */

static const struct policy_class *class_named(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->class_count; i++)
		if (strcmp(policy->classes[i].name, name) == 0)
			return &policy->classes[i];
	return NULL;
}

/* Before gangs are known: nobody behind it comes meanwhile. */
static void hold(struct scheduler *s, const struct promise *promise)
{
	const struct policy_class *class_ = class_named(s->policy.inforce, promise->class_name);
	size_t place = HOLDS_MAX, order = class_ ? (size_t)(class_ - s->policy.inforce->classes) : SIZE_MAX;
	int64_t promised_ns = from_wall(promise->promised_ns);
	for (size_t i = 0; i < promise->node_count && class_ && class_->gang.reserve_after_ns >= 0; i++) {
		struct node *node = fleet_find(s->fleet, slice_of(promise->nodes[i]));
		if (!node || !node->spec)
			continue;
		if (place == HOLDS_MAX)
			place = hold_begin(s->fleet, &(struct node_hold){.key = promise->key,
			                                 .dialect = promise->dialect,
			                                 .namespace_ = promise->namespace_,
			                                 .name = promise->name,
			                                 .priority = promise->priority,
			                                 .class_order = order,
			                                 .gang_class = order,
			                                 .created_ns = promise->created_ns});
		if (place == HOLDS_MAX)
			return;
		hold_node(s->fleet, place, node);
	}
	if (place < HOLDS_MAX)
		hold_time(
		    s->fleet, place, promised_ns, hold_until(promised_ns, from_wall(promise->at_ns)), clock_now());
}

static void was_read(void *ctx)
{
	struct scheduler *s = ctx;
	promises_changed(s);
	if (!s->promises.unread)
		return;
	s->promises.unread = false;
	for (const struct promise *promise = s->promises.kept_before; promise; promise = promise->next) {
		log_info("a promised start is taken over", "name=%s/%s nodes=%zu", promise->namespace_, promise->name,
		    promise->node_count);
		hold(s, promise);
	}
	lease_take_up(s);
}

static void ask(struct scheduler *s)
{
	s->promises.asked = true;
	keep_open(&s->promises.kept, s->kube, s->policy.namespace_, CONFIG_MAP);
	keep_read(&s->promises.kept, shown, was_read, s);
}

bool promises_take_up(struct scheduler *s)
{
	if (s->promises.asked || !s->kube || !s->policy.inforce->reserves)
		return false;
	s->promises.unread = true;
	ask(s);
	return true;
}

void promises_policy(struct scheduler *s)
{
	if (s->taken_up && !s->promises.asked && s->kube && s->policy.inforce->reserves)
		ask(s);
}

bool promise_awaits(const struct scheduler *s, const char *key)
{
	for (const struct promise *promise = s->promises.kept_before; promise; promise = promise->next)
		if (strcmp(promise->key, key) == 0)
			return true;
	return false;
}

static void drop_hold(struct scheduler *s, const struct promise *promise)
{
	size_t place = hold_find(s->fleet, promise->key);
	if (place == HOLDS_MAX)
		return;
	hold_end(s->fleet, place);
	wake_soon(s, REASON_CODE_WAKE_ROOM);
}

/* Whether it is its gang's from now on, or nobody's. */
static bool settle(struct scheduler *s, struct promise *promise, int64_t now)
{
	struct gang *gang = map_get(&s->gangs->by_key, slice_of(promise->key));
	if (promise->until_ns == 0)
		promise->until_ns = now + GATHER_NS;
	if (gang && gang->created_ns > promise->at_ns)
		gang = NULL; /* another one of that name */
	if (gang && gang->promised_ns == 0 && gang->state != GANG_WHOLE) {
		gang->promised_ns = gang->start_ns = from_wall(promise->promised_ns);
		gang->promised_at_ns = from_wall(promise->at_ns);
	}
	if (gang && gang->state == GANG_QUEUED && hold_find(s->fleet, promise->key) < HOLDS_MAX) {
		gang->held_nodes = hold_nodes(s->fleet, hold_find(s->fleet, promise->key));
		gang->elsewhere_ns = now;
	} else if (gang && gang->state == GANG_GATHERING && now < promise->until_ns) {
		return false;
	} else {
		drop_hold(s, promise);
	}
	return true;
}

static void settle_all(struct scheduler *s, int64_t now)
{
	for (struct promise **at = &s->promises.kept_before; *at;) {
		struct promise *promise = *at;
		if (!settle(s, promise, now)) {
			at = &promise->next;
			continue;
		}
		*at = promise->next;
		promise_free(promise);
		s->promises.due = true;
	}
}

/* --- writing --- */

static void write_nodes(const struct scheduler *s, const char *key, struct buf *out)
{
	size_t place = hold_find(s->fleet, key), cursor = 0, len = 0;
	bool first = true;
	if (place == HOLDS_MAX)
		return;
	for (const struct node *node; (node = map_next(&s->fleet->nodes, &cursor));)
		len += node->held & 1u << place ? strlen(node->name) + 3 : 0;
	cursor = 0;
	for (const struct node *node;
	     buf_slice(out).len + len < TEXT_MAX && (node = map_next(&s->fleet->nodes, &cursor));)
		if (node->held & 1u << place) {
			buf_text(out, first ? "" : ",");
			buf_json_string(out, slice_of(node->name));
			first = false;
		}
}

static void write_promise(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	const struct policy_class *class_ = gang_class(s, gang);
	buf_char(out, '{');
	member(out, "key", gang->key);
	next_member(out, "dialect", gang_dialect_rows[gang->dialect].name);
	next_member(out, "namespace", gang->namespace_);
	next_member(out, "name", gang->name);
	next_member(out, "class", class_ ? class_->name : "");
	buf_printf(out, ",\"priority\":%d", gang->priority);
	next_time(out, "created", gang->created_ns);
	next_time(out, "promised", to_wall(gang->promised_ns));
	next_time(out, "at", to_wall(gang->promised_at_ns));
	buf_text(out, ",\"nodes\":[");
	write_nodes(s, gang->key, out);
	buf_text(out, "]}");
}

static void write_all(struct scheduler *s)
{
	struct buf text;
	size_t cursor = 0, count = 0;
	buf_init(&text, KEEP_KEY_MAX);
	buf_printf(&text, "{\"version\":%d,\"gangs\":[", VERSION);
	for (const struct gang *gang; (gang = gangs_next(s->gangs, &cursor));) {
		if (gang->promised_ns == 0 || gang->state == GANG_WHOLE)
			continue;
		buf_text(&text, count++ ? "," : "");
		write_promise(s, gang, &text);
	}
	buf_text(&text, "]}");
	if (s->promises.asked && !text.overflow && (count > 0 || s->promises.any))
		keep_set(&s->promises.kept, KEY, count > 0 ? buf_slice(&text).at : NULL);
	s->promises.any = count > 0;
	buf_free(&text);
}

void promises_changed(struct scheduler *s)
{
	s->promises.due = true;
	if (!s->stopping && !uv_is_active((uv_handle_t *)&s->reserve_timer))
		uv_timer_start(&s->reserve_timer, gang_reserve_on_timer, 0, 0);
}

bool promises_tick(struct scheduler *s)
{
	if (!s->kube || !s->gangs_rebuilt || !lease_may_write(s))
		return false;
	settle_all(s, clock_now());
	if (s->promises.kept_before)
		return true;
	if (s->promises.due)
		write_all(s);
	else if (s->promises.kept.due.count > 0 && clock_now() >= s->promises.again_ns)
		keep_again(&s->promises.kept);
	else
		return false;
	s->promises.again_ns = clock_now() + AGAIN_NS;
	s->promises.due = false;
	return false;
}

void promises_line(const struct scheduler *s, struct buf *out)
{
	if (s->promises.kept.trouble)
		buf_printf(out, "info promises: done without the ConfigMap %s/" CONFIG_MAP ", %s\n",
		    s->promises.kept.namespace_, s->promises.kept.trouble);
}

void promises_close(struct scheduler *s)
{
	while (s->promises.kept_before) {
		struct promise *promise = s->promises.kept_before;
		s->promises.kept_before = promise->next;
		promise_free(promise);
	}
	keep_close(&s->promises.kept);
}
