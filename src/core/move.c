#include "berth/move.h"

const char *move_phase_name(enum move_phase phase)
{
	static const char *const names[] = {
#define X(id, name) name,
	    MOVE_PHASES(X)
#undef X
	};
	return names[phase];
}

const char *move_stop_text(enum move_stop stop)
{
	static const char *const texts[] = {
#define X(id, text) text,
	    MOVE_STOPS(X)
#undef X
	};
	return texts[stop];
}

static int64_t after(int64_t now_ns, int64_t ns)
{
	return ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + ns;
}

static enum move_todo enter(struct move_steps *steps, enum move_phase phase, int64_t now_ns)
{
	int64_t ends_ns = after(now_ns, MOVE_STUCK_NS);
	steps->phase = phase;
	steps->told |= phase == MOVE_NOTICE;
	steps->again_ns = after(now_ns, MOVE_AGAIN_NS);
	switch (phase) {
	case MOVE_DRY_RUN:
		steps->until_ns = after(now_ns, MOVE_DRY_NS);
		break;
	case MOVE_RECORD:
	case MOVE_TAINT:
	case MOVE_NOTICE:
	case MOVE_EVICT:
	case MOVE_SUSPEND:
		steps->until_ns = after(now_ns, MOVE_ACT_NS);
		break;
	case MOVE_GRACE:
		steps->until_ns = steps->notice_ns > 0 ? steps->notice_ns : after(now_ns, steps->grace_ns);
		break;
	case MOVE_EMPTY:
		steps->until_ns = after(ends_ns, steps->ends_ns);
		break;
	case MOVE_CUT:
		steps->until_ns = ends_ns;
		break;
	case MOVE_BIND:
		steps->until_ns = after(now_ns, MOVE_BIND_NS);
		break;
	default:
		steps->until_ns = INT64_MAX;
	}
	return MOVE_BEGIN;
}

/* What has ended until now returns; whatever is under way still counts when it is answered. */
static enum move_todo stop(struct move_steps *steps, enum move_stop why, int64_t now_ns)
{
	steps->stop = why;
	return enter(steps, MOVE_RETURN, now_ns);
}

void move_begin(struct move_steps *steps, bool cuts, int64_t grace_ns, int64_t ends_ns, int64_t now_ns)
{
	*steps = (struct move_steps){.cuts = cuts, .grace_ns = grace_ns, .ends_ns = ends_ns};
	enter(steps, MOVE_RECORD, now_ns);
}

/* What a node is emptied for is begun before any of its pods is told: whether it was, the node says. */
void move_resume(struct move_steps *steps, bool lent, bool cuts, int64_t grace_ns, int64_t ends_ns, int64_t notice_ns)
{
	*steps = (struct move_steps){.phase = lent   ? MOVE_LENT
	                                      : cuts ? MOVE_TAINT
	                                             : MOVE_GRACE,
	    .cuts = cuts,
	    .resumed = !lent,
	    .notice_ns = notice_ns,
	    .grace_ns = grace_ns,
	    .ends_ns = ends_ns,
	    .told = true,
	    .until_ns = lent ? INT64_MAX : notice_ns};
}

void move_resume_untold(struct move_steps *steps, bool cuts, int64_t grace_ns, int64_t ends_ns, int64_t now_ns)
{
	*steps = (struct move_steps){.cuts = cuts, .resumed = true, .grace_ns = grace_ns, .ends_ns = ends_ns};
	enter(steps, MOVE_RECORD, now_ns);
}

bool move_holds(const struct move_steps *steps)
{
	return steps->phase >= MOVE_RECORD && steps->phase <= MOVE_BIND;
}

bool move_has_room(const struct move_steps *steps)
{
	return move_holds(steps) && (!steps->cuts || steps->phase == MOVE_BIND);
}

/* Acts that are done once all of them are; else they are tried again until their time is over. */
static enum move_todo acted(struct move_steps *steps, const struct move_facts *facts, enum move_phase next)
{
	if (facts->busy)
		return MOVE_WAIT;
	if (facts->refused)
		return stop(steps, MOVE_STOP_REFUSED, facts->now_ns);
	if (!facts->failed)
		return enter(steps, next, facts->now_ns);
	if (facts->now_ns >= steps->until_ns)
		return stop(steps, MOVE_STOP_FAILED, facts->now_ns);
	if (facts->now_ns < steps->again_ns)
		return MOVE_WAIT;
	steps->again_ns = after(facts->now_ns, MOVE_AGAIN_NS);
	return MOVE_AGAIN;
}

/* Whether what has been begun has no reason to go on. */
static enum move_stop off(const struct move_steps *steps, const struct move_facts *facts)
{
	if (!move_holds(steps) || facts->busy)
		return MOVE_STOP_NOT;
	if (!facts->act)
		return MOVE_STOP_CALLED_OFF;
	if (steps->phase < MOVE_EVICT && (facts->served || (facts->wanting == 0 && facts->bound > 0)))
		return MOVE_STOP_SERVED;
	if (facts->wanting == 0 && facts->bound == 0)
		return MOVE_STOP_VANISHED;
	if (steps->cuts && steps->phase < MOVE_BIND && facts->node == MOVE_NODE_LOST)
		return MOVE_STOP_NOT_CUT;
	return MOVE_STOP_NOT;
}

/* Of one that was taken up the next process cannot know why the node is open again. */
static enum move_todo taint(struct move_steps *steps, const struct move_facts *facts)
{
	if (facts->busy)
		return MOVE_WAIT;
	if (facts->node != MOVE_NODE_OPEN)
		return enter(steps, steps->told ? MOVE_GRACE : MOVE_DRY_RUN, facts->now_ns);
	if (steps->resumed || facts->now_ns >= steps->until_ns)
		return stop(steps, MOVE_STOP_NOT_CUT, facts->now_ns);
	if (facts->now_ns < steps->again_ns)
		return MOVE_WAIT;
	steps->again_ns = after(facts->now_ns, MOVE_AGAIN_NS);
	return MOVE_AGAIN;
}

/* Something else that has GPUs and came there is not waited for long; how long the cutting may take is not said here.
 */
static enum move_todo cut(struct move_steps *steps, const struct move_facts *facts)
{
	if (facts->node == MOVE_NODE_CUT)
		return enter(steps, MOVE_BIND, facts->now_ns);
	if (facts->node != MOVE_NODE_APPLYING && facts->now_ns >= steps->until_ns)
		return stop(steps, MOVE_STOP_STUCK, facts->now_ns);
	return MOVE_WAIT;
}

static enum move_todo bind(struct move_steps *steps, const struct move_facts *facts)
{
	bool late = facts->now_ns >= steps->until_ns;
	if (facts->wanting > 0 && !late)
		return MOVE_WAIT;
	if (facts->bound == 0)
		return stop(steps, MOVE_STOP_UNBOUND, facts->now_ns);
	return enter(steps, facts->suspended > 0 ? MOVE_LENT : MOVE_ERASE, facts->now_ns);
}

static enum move_todo keep(struct move_steps *steps, const struct move_facts *facts)
{
	bool back = steps->stop != MOVE_STOP_NOT || facts->quiet || !facts->act;
	if (facts->busy)
		return MOVE_WAIT;
	if (facts->suspended == 0)
		return enter(steps, MOVE_ERASE, facts->now_ns);
	if (steps->phase == MOVE_LENT && back)
		return enter(steps, MOVE_RETURN, facts->now_ns);
	if (steps->phase == MOVE_RETURN && !back)
		return enter(steps, MOVE_LENT, facts->now_ns);
	if (facts->now_ns < steps->again_ns)
		return MOVE_WAIT;
	steps->again_ns = after(facts->now_ns, MOVE_AGAIN_NS);
	return MOVE_AGAIN;
}

static enum move_todo erase(struct move_steps *steps, const struct move_facts *facts)
{
	if (facts->busy)
		return MOVE_WAIT;
	if (!facts->failed) /* a record that may not be removed is read again by the next process, and found to be over
	                     */
		return enter(steps, MOVE_OVER, facts->now_ns);
	if (facts->now_ns < steps->again_ns)
		return MOVE_WAIT;
	steps->again_ns = after(facts->now_ns, MOVE_AGAIN_NS);
	return MOVE_AGAIN;
}

enum move_todo move_step(struct move_steps *steps, const struct move_facts *facts)
{
	enum move_stop why = off(steps, facts);
	if (why != MOVE_STOP_NOT)
		return stop(steps, why, facts->now_ns);
	switch (steps->phase) {
	case MOVE_RECORD:
		return acted(steps, facts, steps->cuts ? MOVE_TAINT : MOVE_DRY_RUN);
	case MOVE_TAINT:
		return taint(steps, facts);
	case MOVE_NOTICE: /* what cannot be told is ended all the same: kubelet's own grace comes after */
		return facts->busy ? MOVE_WAIT : enter(steps, MOVE_GRACE, facts->now_ns);
	case MOVE_GRACE:
		return facts->now_ns < steps->until_ns ? MOVE_WAIT : enter(steps, MOVE_DRY_RUN, facts->now_ns);
	case MOVE_DRY_RUN:
		return acted(steps, facts, steps->grace_ns > 0 && !steps->told ? MOVE_NOTICE : MOVE_EVICT);
	case MOVE_EVICT:
		return acted(steps, facts, MOVE_SUSPEND);
	case MOVE_SUSPEND:
		return acted(steps, facts, MOVE_EMPTY);
	case MOVE_EMPTY:
		if (facts->resumed)
			return stop(steps, MOVE_STOP_RESUMED, facts->now_ns);
		if (facts->pods_left == 0)
			return enter(steps, steps->cuts ? MOVE_CUT : MOVE_BIND, facts->now_ns);
		return facts->now_ns < steps->until_ns ? MOVE_WAIT : stop(steps, MOVE_STOP_STUCK, facts->now_ns);
	case MOVE_CUT:
		return cut(steps, facts);
	case MOVE_BIND:
		return bind(steps, facts);
	case MOVE_LENT:
	case MOVE_RETURN:
		return keep(steps, facts);
	case MOVE_ERASE:
		return erase(steps, facts);
	default:
		return MOVE_WAIT;
	}
}
