/* What the process before left: objects that it suspended and did not resume. */
#include <string.h>

#include "base/log.h"
#include "scheduler/gang/internal.h"
#include "scheduler/gang/undo.h"
#include "scheduler/move/move.h"

#define PATH_ROOM 512
#define FORBIDDEN_AGAIN_NS (20 * NS_PER_S) /* rights may come after berth */

struct undo_listing {
	struct scheduler *s;
	const struct suspend_kind *kind;
	bool known;       /* the server has such objects */
	int64_t after_ns; /* asked for no sooner */
};

/* Whether an undo of this process sees to it already. */
static bool is_seen_to(const struct undo *undo, const struct suspend_object *object)
{
	if (undo->phase == UNDO_ASKING || undo->phase == UNDO_SUSPENDING)
		return true;
	for (size_t i = 0; i < undo->count; i++)
		if (undo->owners[i].found && strcmp(undo->owners[i].found_uid, object->uid) == 0)
			return true;
	return undo->count == UNDO_OWNERS_MAX;
}

static void take_up(struct scheduler *s, const struct suspend_kind *kind, const struct suspend_object *object)
{
	const char *key = object->gang ? object->gang : object->uid;
	struct undo *undo = undo_find(s, key);
	bool first = !undo;
	if (undo && is_seen_to(undo, object))
		return;
	log_info("an owner that was suspended for an undo is taken up", "kind=%s name=%s/%s", kind->kind,
	    object->namespace_, object->name);
	if (first)
		undo = undo_new(s, key, object->namespace_, object->name);
	undo->owners[undo->count++] = (struct undo_owner){.undo = undo,
	    .pods_owner = xstrdup(object->uid),
	    .found = kind,
	    .found_name = xstrdup(object->name),
	    .found_uid = xstrdup(object->uid),
	    .ours = true};
	if (!first)
		return;
	struct gang *gang = undo_gang(undo);
	if (gang && gang->in_state[GANG_BOUND] > 0) {
		gang->undoing = true;
		gang_enter(s, gang, GANG_UNDOING);
	}
	undo_begin_to_empty(undo);
}

static void take_up_item(void *ctx, struct slice item)
{
	const struct undo_listing *listing = ctx;
	struct arena arena;
	struct suspend_object object;
	arena_init(&arena, 1024);
	if (suspend_read(item, listing->kind, &arena, &object) && object.mark && object.suspended &&
	    bind_path_safe(slice_of(object.namespace_)) && bind_path_safe(slice_of(object.name))) {
		if (object.marked)
			take_up(listing->s, listing->kind, &object);
		else
			moves_found(listing->s, listing->kind, &object);
	}
	arena_free(&arena);
}

static void list_marked(struct undo_listing *listing);

static void list_again(struct undo_listing *listing, int64_t pause_ns)
{
	struct scheduler *s = listing->s;
	listing->after_ns = clock_now() + pause_ns;
	s->undo_lists_due |= 1u << (listing - s->undo_listings);
}

static void listed(void *ctx, const struct kube_answer *answer)
{
	struct undo_listing *listing = ctx;
	struct scheduler *s = listing->s;
	if (undo_is_good(answer) && !listing->known) {
		listing->known = true;
		list_marked(listing);
		return;
	}
	if (answer->code == 0 && answer->status == 404 && listing->kind->older) {
		listing->kind = listing->kind->older;
		list_marked(listing);
		return;
	}
	if (undo_is_good(answer))
		suspend_read_list(answer->body, take_up_item, listing);
	else if (answer->code == 0 && answer->status == 403)
		list_again(listing, FORBIDDEN_AGAIN_NS);
	else if (!undo_is_final(answer))
		list_again(listing, UNDO_AGAIN_NS);
	gang_soon(s);
}

/* Kinds that come with an operator are asked for only where the server has them. */
static void list_marked(struct undo_listing *listing)
{
	struct buf path;
	buf_init(&path, PATH_ROOM);
	if (listing->known)
		suspend_path(listing->kind, NULL, NULL, &path);
	else
		buf_printf(&path, "/apis/%s", listing->kind->api_version);
	if (listing->known)
		buf_text(&path, "?labelSelector=berth.dev%2Fsuspended-by");
	kube_call(listing->s->kube,
	    &(struct kube_call_spec){
	        .method = "GET", .path = buf_slice(&path).at, .repeatable = true, .done = listed, .ctx = listing});
	buf_free(&path);
}

void undo_list_due(struct scheduler *s)
{
	size_t count;
	const struct suspend_kind *kinds = suspend_kinds(&count);
	int64_t now = clock_now();
	for (size_t i = 0; s->undo_lists_due && i < count; i++) {
		struct undo_listing *listing = &s->undo_listings[i];
		if (!(s->undo_lists_due & 1u << i) || now < listing->after_ns)
			continue;
		s->undo_lists_due &= ~(1u << i);
		*listing = (struct undo_listing){s, &kinds[i], strcmp(kinds[i].kind, "Job") == 0, 0};
		list_marked(listing);
	}
}

void gang_undo_take_up(struct scheduler *s)
{
	size_t count;
	suspend_kinds(&count);
	s->undo_listings = xcalloc(count, sizeof *s->undo_listings);
	s->undo_lists_due = (1u << count) - 1;
	undo_list_due(s);
}
