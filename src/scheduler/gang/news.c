/* The book of what people were told of gangs, and the timer by which they are told. */
#include "scheduler/gang/news.h"

#include <stdlib.h>

#include "berth/plan.h"
#include "scheduler/gang/internal.h"
#include "scheduler/team/team.h"

#define EVENTS_A_TURN 20              /* gangs with news, each one or two Events a kind */
#define LINES_A_TURN 50               /* pods */
#define LOOKS_A_TURN 200              /* gangs whose line is thought about */
#define LINE_AGAIN_NS (10 * NS_PER_S) /* of one gang */
#define LINE_FIRST_NS (2 * NS_PER_S)  /* one that comes and goes on at once says nothing */

static void forget(struct gang_news *news)
{
	free(news->line);
	free(news->key);
	free(news);
}

struct gang_news *gang_news_of(struct scheduler *s, const struct gang *gang)
{
	struct gang_news *news = map_get(&s->gang_news, slice_of(gang->key));
	if (news && news->first_ns == gang->first_ns)
		return news;
	if (news) {
		map_remove(&s->gang_news, slice_of(news->key));
		forget(news);
	}
	news = xcalloc(1, sizeof *news);
	news->key = xstrdup(gang->key);
	news->first_ns = gang->first_ns;
	map_put(&s->gang_news, slice_of(news->key), news);
	return news;
}

void gang_news_entered(struct scheduler *s, const struct gang *gang, enum gang_state from)
{
	bool back = gang->state == GANG_GATHERING && (from == GANG_PLANNED || from == GANG_RELEASED);
	/* After a start a gang enters from gathering what it had reached before: no news. */
	if (gang->state == from || (from == GANG_GATHERING && gang->state != GANG_QUEUED))
		return;
	struct gang_news *news = gang_news_of(s, gang);
	news->due[GANG_EVENT_PLANNED] |= gang->state == GANG_PLANNED && from == GANG_QUEUED;
	news->due[GANG_EVENT_WHOLE] |= gang->state == GANG_WHOLE;
	news->due[GANG_EVENT_UNDONE] |= back || gang->state == GANG_UNDOING;
	if (back || gang->state == GANG_UNDOING)
		news->taken_back = gang->state == GANG_UNDOING ? gang->in_state[GANG_BOUND] : 0;
	if (gang->state != GANG_QUEUED)
		news->shortage.why = REASON_CODE_FITS;
}

/* What the members that the domain lacks would ask for. */
static void note_blocking(const struct scheduler *s, const struct plan_request *request, const struct plan *plan,
    struct gang_shortage *shortage)
{
	const struct pod *pod = request->members[plan->blocking].pod;
	snprintf(shortage->pod, sizeof shortage->pod, "%s", pod->name);
	shortage->blocking = plan->blocking_reason;
	if (!plan->lacks_resource)
		return;
	int64_t each = resources_get(&pod->demand, plan->blocking_resource), lacks = (int64_t)shortage->lacks;
	shortage->resource = resource_names_text(&s->fleet->names, plan->blocking_resource);
	if (__builtin_mul_overflow(each, lacks, &shortage->amount))
		shortage->amount = INT64_MAX;
}

static void note_level(const struct scheduler *s, const struct gang_asking *asking, struct gang_shortage *shortage)
{
	struct buf line;
	buf_init(&line, sizeof shortage->missing - 1);
	if (gang_level_line(s, asking, &line))
		snprintf(shortage->missing, sizeof shortage->missing, "%s", line.data);
	buf_free(&line);
}

void gang_news_shortage(struct scheduler *s, const struct gang *gang, enum reason why, const struct gang_asking *asking,
    const struct plan *plan)
{
	const struct plan_request *request = &asking->request;
	struct gang_news *news = gang_news_of(s, gang);
	struct gang_shortage *shortage = &news->shortage;
	*shortage = (struct gang_shortage){.why = why};
	news->due[GANG_EVENT_WAITING] |= gang->state == GANG_QUEUED;
	if (why == REASON_CODE_LEVEL_MISSING)
		note_level(s, asking, shortage);
	if (plan && why == REASON_CODE_TEAM_LIMIT && plan->bound.team != TEAM_NONE)
		team_bound_line(s, &plan->bound, shortage->bound);
	if (!plan || !plan->fleet.domain)
		return;
	int require = request->topology.require;
	const struct plan_level *level = &plan->fleet;
	const char *name = "fleet";
	if (require == TOPOLOGY_HOST) {
		level = &plan->levels[plan->level_count - 1];
		name = "host";
	} else if (require >= 0) {
		level = &plan->levels[require];
		name = s->policy.inforce->levels[require].name;
	}
	snprintf(shortage->level, sizeof shortage->level, "%s", name);
	if (level->host)
		snprintf(shortage->domain, sizeof shortage->domain, "%s", level->host->name);
	else if (level->domain)
		topology_path(level->domain, shortage->domain, sizeof shortage->domain);
	shortage->takes = level->takes;
	shortage->lacks = level->lacks;
	if (plan->blocking < request->count)
		note_blocking(s, request, plan, shortage);
}

/* --- the lines --- */

struct turn {
	struct gang *gang;
	struct gang_news *news;
	size_t position;
};

static bool is_held(const struct gang_member *of)
{
	return of->pod->gate_ours && !of->ungated && !of->pod->deleting && !of->pod->node;
}

static bool is_due(const struct turn *turn, int64_t now)
{
	const struct gang_news *news = turn->news;
	return now - turn->gang->first_ns >= LINE_FIRST_NS &&
	       (news->looked_ns == 0 || now - news->looked_ns >= LINE_AGAIN_NS);
}

static void choose_line(struct scheduler *s, const struct turn *turn, int64_t now)
{
	struct gang_news *news = turn->news;
	struct buf text;
	buf_init(&text, GANG_LINE_MAX);
	gang_line(s, turn->gang, turn->position, &text);
	news->looked_ns = now;
	news->unwritten = true; /* members may have come since */
	if (!text.overflow) {
		free(news->line);
		news->line = buf_take(&text);
	}
	buf_free(&text);
}

/* Writes of the gang, at most `room`. */
static size_t write_lines(struct scheduler *s, const struct turn *turn, size_t room)
{
	const char *line = turn->news->line;
	uint64_t hash = line ? map_hash(slice_of(line)) : 0;
	size_t count = 0, i = 0;
	for (; line && i < turn->gang->count && count < room; i++) {
		struct gang_member *of = turn->gang->members[i];
		if (!is_held(of) || of->writing || of->said == hash ||
		    (of->pod->waiting && strcmp(of->pod->waiting, line) == 0))
			continue;
		if (gang_say(s, of->pod, line)) {
			of->said = hash;
			count++;
		}
	}
	turn->news->unwritten = line && i < turn->gang->count;
	return count;
}

/* The one that was looked at longest ago first, so that none is forgotten. */
static int by_turn(const void *a, const void *b)
{
	const struct turn *left = a, *right = b;
	if (left->news->looked_ns != right->news->looked_ns)
		return left->news->looked_ns < right->news->looked_ns ? -1 : 1;
	return gangs_order(left->gang, right->gang);
}

static void tell_lines(struct scheduler *s, int64_t now)
{
	size_t count, position = 0, left = LINES_A_TURN, looks = LOOKS_A_TURN;
	struct gang **line = gang_line_up(s, &count);
	struct turn *turns = xcalloc(count + 1, sizeof *turns);
	for (size_t i = 0; i < count; i++) {
		position += line[i]->state == GANG_QUEUED;
		turns[i] =
		    (struct turn){line[i], gang_news_of(s, line[i]), line[i]->state == GANG_QUEUED ? position : 0};
	}
	qsort(turns, count, sizeof *turns, by_turn);
	for (size_t i = 0; i < count && left > 0; i++) {
		if (looks > 0 && is_due(&turns[i], now)) {
			choose_line(s, &turns[i], now);
			looks--;
		}
		if (turns[i].news->unwritten)
			left -= write_lines(s, &turns[i], left);
	}
	free(turns);
	free(line);
}

/* --- the turn --- */

static void tell_events(struct scheduler *s)
{
	size_t cursor = 0, told = 0;
	for (struct gang *gang; told < EVENTS_A_TURN && (gang = gangs_next(s->gangs, &cursor));) {
		bool gathers = gang->state == GANG_GATHERING && gang->count > 0;
		if (!gathers && !map_get(&s->gang_news, slice_of(gang->key)))
			continue;
		struct gang_news *news = gang_news_of(s, gang);
		news->due[GANG_EVENT_UNKNOWN] |= gathers && gang_quorum(gang) == 0;
		news->due[GANG_EVENT_INCOMPLETE] |= gathers && gang_quorum(gang) > 0;
		told += gang_event_send(s, gang, news);
	}
}

/* Of a gang that is whole there is no more to tell. */
static bool is_over(const struct scheduler *s, const struct gang_news *news)
{
	const struct gang *gang = map_get(&s->gangs->by_key, slice_of(news->key));
	return !gang || (gang->state == GANG_WHOLE && !news->due[GANG_EVENT_PLANNED] && !news->due[GANG_EVENT_WHOLE]);
}

static void forget_old(struct scheduler *s)
{
	size_t cursor = 0, count = 0;
	struct gang_news **gone = xcalloc(s->gang_news.count + 1, sizeof *gone);
	for (struct gang_news *news; (news = map_next(&s->gang_news, &cursor));)
		if (is_over(s, news))
			gone[count++] = news;
	for (size_t i = 0; i < count; i++) {
		map_remove(&s->gang_news, slice_of(gone[i]->key));
		forget(gone[i]);
	}
	free(gone);
}

void gang_news_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	if (s->gang_news.count > 0)
		forget_old(s);
	if (!s->gangs_rebuilt || s->gangs->by_key.count == 0 || s->stopping || !lease_may_write(s))
		return;
	tell_events(s);
	if (s->gangs->in_state[GANG_GATHERING] + s->gangs->in_state[GANG_QUEUED] > 0)
		tell_lines(s, clock_now());
}

void gang_news_close(struct scheduler *s)
{
	size_t cursor = 0;
	for (struct gang_news *news; (news = map_next(&s->gang_news, &cursor));)
		forget(news);
	map_free(&s->gang_news);
}
