/* Events of gangs: one a gang and change, about the member of the lowest rank and about what controls it, never one a
 * member. The same again of the same gang is sent only after a while. */
#include "scheduler/gang/internal.h"
#include "scheduler/gang/news.h"

#define AGAIN_NS (300 * NS_PER_S)   /* the same change */
#define ANOTHER_NS (60 * NS_PER_S)  /* it still waits, for another reason */
#define EXPLAINED_NS (2 * NS_PER_S) /* one that finds room at once does not wait */
#define UNKNOWN_NS (5 * NS_PER_S)   /* what tells the size may come a little later than the pods … */
#define MISSING_NS (10 * NS_PER_S)  /* … and so may members */

static void write_within(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	char domain[GANG_DOMAIN_TEXT_MAX];
	const char *level = gang_within(s, gang, domain, sizeof domain);
	if (level && domain[0] != '\0')
		buf_printf(out, " within %s %s", level, domain);
}

static void write_note(struct scheduler *s, const struct gang *gang, enum gang_event event, struct buf *out)
{
	size_t quorum = gang_quorum(gang);
	if (event == GANG_EVENT_UNKNOWN || event == GANG_EVENT_INCOMPLETE) {
		gang_line(s, gang, 0, out);
		return;
	}
	buf_printf(out, "gang %s/%s: ", gang->namespace_, gang->name);
	switch (event) {
	case GANG_EVENT_WAITING:
		buf_printf(out, "%s: ", reason_code(gang_why(gang)));
		gang_shortage_line(&gang_news_of(s, gang)->shortage, quorum, out);
		break;
	case GANG_EVENT_PLANNED:
		buf_printf(out, "%zu of %zu pods have their place", gang->placed, quorum);
		write_within(s, gang, out);
		break;
	case GANG_EVENT_WHOLE:
		buf_printf(out, "%zu of %zu pods are bound", gang->in_state[GANG_BOUND], quorum);
		write_within(s, gang, out);
		break;
	default:
		if (gang_news_of(s, gang)->taken_back > 0)
			buf_printf(out, "cannot be completed: %zu of %zu pods are bound, and taken back",
			    gang_news_of(s, gang)->taken_back, quorum);
		else
			buf_text(out, "could not be bound whole in time, its room is given back");
	}
}

static void emit(struct scheduler *s, const struct pod *pod, bool owner, enum gang_event event, const char *note)
{
	static const char *const reasons[] = {
#define X(id, reason, type, action) reason,
	    GANG_EVENTS(X)
#undef X
	};
	static const char *const types[] = {
#define X(id, reason, type, action) type,
	    GANG_EVENTS(X)
#undef X
	};
	static const char *const actions[] = {
#define X(id, reason, type, action) action,
	    GANG_EVENTS(X)
#undef X
	};
	if (owner && (!pod->owner_uid || !pod->owner_name || pod->owner_kind_count == 0))
		return;
	kube_emit(s->kube,
	    &(struct kube_event){.api_version = owner ? NULL : "v1",
	        .kind = owner ? pod->owner_kinds[0] : "Pod",
	        .namespace_ = pod->namespace_,
	        .name = owner ? pod->owner_name : pod->name,
	        .uid = owner ? pod->owner_uid : pod->uid,
	        .type = types[event],
	        .reason = reasons[event],
	        .action = actions[event],
	        .note = note},
	    NULL, NULL);
}

/* Members that are there and do not count: they have a gate of others', which knows its reason. */
static bool is_held_by_others(const struct gang *gang)
{
	return gang->in_state[GANG_AWAY] > 0 && gang->count >= gang_quorum(gang);
}

/* Whether the gang has been for long enough in what the Event tells. */
static bool is_true_by_now(const struct gang *gang, enum gang_event event, int64_t now)
{
	int64_t since = now - gang->since_ns;
	switch (event) {
	case GANG_EVENT_UNKNOWN:
		return gang->state == GANG_GATHERING && since >= UNKNOWN_NS && gang_quorum(gang) == 0;
	case GANG_EVENT_INCOMPLETE:
		return gang->state == GANG_GATHERING && since >= MISSING_NS && gang_quorum(gang) > 0 &&
		       !gang_is_complete(gang) && !is_held_by_others(gang);
	case GANG_EVENT_WAITING:
		return gang->state == GANG_QUEUED && since >= EXPLAINED_NS;
	default:
		return true;
	}
}

/* Whether it still says something new, and is true. */
static bool is_worth_it(const struct gang *gang, const struct gang_news *news, enum gang_event event, int64_t now)
{
	int64_t sent = news->sent_ns[event];
	bool waits = event == GANG_EVENT_UNKNOWN || event == GANG_EVENT_INCOMPLETE || event == GANG_EVENT_WAITING;
	if (!is_true_by_now(gang, event, now))
		return false;
	if (!waits || sent == 0 || sent < gang->since_ns)
		return sent == 0 || now - sent >= AGAIN_NS;
	bool differs = (event == GANG_EVENT_WAITING && news->sent_why != gang_why(gang)) ||
	               (event == GANG_EVENT_INCOMPLETE && news->sent_present != gang_present(gang));
	return differs && now - sent >= ANOTHER_NS;
}

/* Whether it is to be looked at again later. */
static bool is_to_come(const struct gang *gang, enum gang_event event)
{
	return (event == GANG_EVENT_WAITING && gang->state == GANG_QUEUED) ||
	       ((event == GANG_EVENT_UNKNOWN || event == GANG_EVENT_INCOMPLETE) && gang->state == GANG_GATHERING);
}

bool gang_event_send(struct scheduler *s, struct gang *gang, struct gang_news *news)
{
	const struct gang_member *first = NULL;
	int64_t now = clock_now();
	for (enum gang_event event = 0; event < GANG_EVENT_COUNT; event++) {
		if (!news->due[event])
			continue;
		bool send = is_worth_it(gang, news, event, now);
		news->due[event] = !send && is_to_come(gang, event);
		if (!send)
			continue;
		if (!first && !(first = gang_first_member(gang)))
			return false;
		struct buf note;
		buf_init(&note, 2 * GANG_LINE_MAX);
		write_note(s, gang, event, &note);
		emit(s, first->pod, false, event, note.data);
		emit(s, first->pod, true, event, note.data);
		buf_free(&note);
		news->sent_ns[event] = now;
		if (event == GANG_EVENT_WAITING)
			news->sent_why = gang_why(gang);
		else if (event == GANG_EVENT_INCOMPLETE)
			news->sent_present = gang_present(gang);
	}
	return first != NULL;
}
