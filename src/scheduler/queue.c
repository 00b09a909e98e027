/* /v1/queue: the gangs in line, in their order, then those that members are missing of; and the single pods without a
 * place, counted by reason. It walks the members and the pods that are not bound. */
#include <inttypes.h>
#include <stdlib.h>

#include "scheduler/gang/gang.h"
#include "scheduler/gang/news.h"
#include "scheduler/json.h"
#include "scheduler/team/team.h"

static int64_t gpus_of(const struct scheduler *s, const struct pod *pod)
{
	return decide_gpu_units(s->fleet, &pod->demand);
}

static void write_since(int64_t since_ns, struct buf *out)
{
	char text[CLOCK_TEXT_MAX];
	clock_format(clock_wall() - (clock_now() - since_ns), text);
	member(out, "since", text);
}

/* --- gangs --- */

static void write_best(const struct gang_shortage *shortage, struct buf *out)
{
	buf_text(out, ",\"best\":{");
	member(out, "level", shortage->level);
	buf_char(out, ',');
	member(out, "domain", shortage->domain[0] ? shortage->domain : NULL);
	buf_printf(out, ",\"takes\":%zu,\"lacks\":%zu", shortage->takes, shortage->lacks);
	if (shortage->resource) {
		buf_char(out, ',');
		member(out, "resource", shortage->resource);
		buf_printf(out, ",\"amount\":%" PRId64, shortage->amount);
	}
	buf_char(out, '}');
}

static void write_gang(struct scheduler *s, const struct gang *gang, size_t position, struct buf *out)
{
	const struct policy_class *class_ = gang_class(s, gang);
	const struct gang_shortage *shortage = &gang_news_of(s, gang)->shortage;
	struct buf line;
	int64_t gpus = 0;
	for (size_t i = 0; i < gang->count; i++)
		if (gang->members[i]->state != GANG_AWAY)
			gpus += gpus_of(s, gang->members[i]->pod);
	buf_text(out, "\"position\":");
	if (position > 0)
		buf_printf(out, "%zu,", position);
	else
		buf_text(out, "null,");
	gang_write(s, gang, out);
	buf_printf(out, ",\"priority\":%" PRId32 ",", gang->priority);
	member(out, "class", class_ ? class_->name : NULL);
	buf_printf(out, ",\"gpus\":%" PRId64 ",", gpus);
	write_since(gang->since_ns, out);
	gang_reserve_write(s, gang, out);
	buf_char(out, ',');
	member(out, "reason", reason_text(gang_why(gang)));
	if (position > 0 && shortage->why != REASON_CODE_FITS && shortage->level[0] && !shortage->bound[0])
		write_best(shortage, out);
	team_name(s, gang->namespace_, out);
	if (position > 0 && shortage->bound[0]) {
		buf_char(out, ',');
		member(out, "teamBound", shortage->bound);
	}
	buf_init(&line, GANG_LINE_MAX);
	gang_line(s, gang, position, &line);
	buf_char(out, ',');
	member(out, "line", line.overflow ? NULL : line.data);
	buf_free(&line);
}

static void write_gangs(struct scheduler *s, struct buf *out)
{
	size_t count;
	struct gang **line = gang_line_up(s, &count);
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? ",\n{" : "\n{");
		write_gang(s, line[i], line[i]->state == GANG_QUEUED ? i + 1 : 0, out);
		buf_char(out, '}');
	}
	free(line);
}

/* --- singles --- */

/* Beside the reasons: what has none. */
enum { NOT_ASKED = REASON_COUNT, GATED, ROWS };

struct row {
	size_t pods;
	int64_t gpus, since_ns; /* the longest wait */
};

static void count_singles(const struct scheduler *s, struct row rows[ROWS])
{
	size_t cursor = 0;
	for (struct tracked *tracked; (tracked = roster_next(s->roster, &cursor));) {
		const struct pod *pod = tracked->pod;
		struct slice uid = slice_of(pod->uid);
		if (gangs_find(s->gangs, uid) || ledger_find(s->fleet, uid))
			continue;
		const struct waiting_pod *waiting = waiting_find(s->waiting, uid);
		struct row *row = &rows[waiting ? (unsigned)waiting->reason : pod->gated ? GATED : NOT_ASKED];
		int64_t since_ns = waiting ? waiting->since_ns : tracked->since_ns;
		if (row->pods++ == 0 || since_ns < row->since_ns)
			row->since_ns = since_ns;
		row->gpus += gpus_of(s, pod);
	}
}

static void write_singles(const struct scheduler *s, struct buf *out)
{
	struct row rows[ROWS] = {{0}};
	bool first = true;
	count_singles(s, rows);
	for (unsigned i = 0; i < ROWS; i++) {
		if (rows[i].pods == 0)
			continue;
		buf_text(out, first ? "\n{" : ",\n{");
		first = false;
		member(out, "code", i < REASON_COUNT ? reason_code((enum reason)i) : NULL);
		buf_char(out, ',');
		member(out, "reason",
		    i < REASON_COUNT ? reason_text((enum reason)i)
		    : i == GATED     ? "behind a scheduling gate"
		                     : "kube-scheduler has not asked yet");
		buf_printf(out, ",\"pods\":%zu,\"gpus\":%" PRId64 ",", rows[i].pods, rows[i].gpus);
		write_since(rows[i].since_ns, out);
		buf_printf(out, ",\"seconds\":%lld}", (long long)((clock_now() - rows[i].since_ns) / NS_PER_S));
	}
}

void queue_answer(void *ctx, struct buf *out)
{
	struct scheduler *s = ctx;
	buf_text(out, "{\"gangs\":[");
	write_gangs(s, out);
	buf_text(out, "],\n\"singles\":[");
	write_singles(s, out);
	buf_text(out, "]}\n");
}
