#include "berth/repartition.h"

#include <stdio.h>

#define SETTLE_NS INT64_C(2000000000) /* who decided before the taint was there has bound by then */

static const char *const phase_names[] = {
#define X(id, name) [REPARTITION_##id] = (name),
    REPARTITION_PHASES(X)
#undef X
};

const char *repartition_phase_name(enum repartition_phase phase)
{
	return phase_names[phase];
}

enum repartition_phase repartition_phase_named(struct slice name)
{
	for (int i = REPARTITION_NONE + 1; i < REPARTITION_PHASE_COUNT; i++)
		if (slice_is(name, phase_names[i]))
			return (enum repartition_phase)i;
	return REPARTITION_NONE;
}

const char *repartition_act_name(enum repartition_act act)
{
	static const char *const names[] = {
	    [REPARTITION_WAIT] = "wait",
	    [REPARTITION_TAINT] = "taint",
	    [REPARTITION_LABEL] = "label",
	    [REPARTITION_ADMIT] = "admit",
	    [REPARTITION_GIVE_UP] = "giveUp",
	    [REPARTITION_PUT_OFF] = "putOff",
	    [REPARTITION_RESTORE] = "restore",
	    [REPARTITION_RESTORED] = "restored",
	    [REPARTITION_QUARANTINE] = "quarantine",
	    [REPARTITION_RELEASE] = "release",
	    [REPARTITION_LEAVE] = "leave",
	    [REPARTITION_FORGET] = "forget",
	};
	return names[act];
}

bool repartition_taints(enum repartition_phase phase)
{
	return phase == REPARTITION_DRAINING || phase == REPARTITION_APPLYING || phase == REPARTITION_RESTORING ||
	       phase == REPARTITION_QUARANTINED;
}

/* --- what is to be done next --- */

#define DEADLINE_NS (INT64_C(900) * 1000000000) /* where the policy knows nothing of the pool any more */
#define RETRY_AFTER_NS (INT64_C(3600) * 1000000000)

static bool text_is(const char *text, const char *wanted)
{
	return strcmp(text ? text : "", wanted) == 0;
}

static bool is_over(const struct repartition_record *record, const struct repartition_view *view, int64_t now_ns)
{
	return now_ns - record->since_ns >= (view->rules ? view->rules->deadline_ns : DEADLINE_NS);
}

static bool shows(const struct repartition_view *view, const struct repartition_amounts *amounts)
{
	return repartition_shows(view->spec, view->names, amounts);
}

static enum repartition_act act(enum repartition_act what, const char *said, const char **why)
{
	*why = said;
	return what;
}

static enum repartition_act while_draining(
    const struct repartition_record *record, const struct repartition_view *view, int64_t now_ns, const char **why)
{
	if (!view->tainted) /* on the way back its slices stay in use */
		return act(record->back ? REPARTITION_GIVE_UP : REPARTITION_LEAVE, "somebody took the taint away", why);
	if (!text_is(view->config, record->from) && !text_is(view->config, record->to))
		return act(REPARTITION_LEAVE, "somebody else changed " MIG_CONFIG_LABEL, why);
	bool moved = view->rules && (view->mover == REPARTITION_ENDS || view->mover == REPARTITION_EMPTIED);
	if (!record->back && !view->wanted && !moved)
		return act(REPARTITION_GIVE_UP, "nobody waits for it any more", why);
	if (view->gpu_pods > 0 && view->mover == REPARTITION_STOPPED)
		return act(REPARTITION_GIVE_UP, "the move that was to empty it was given up", why);
	if (view->mover == REPARTITION_ENDS || (moved && view->gpu_pods > 0))
		return REPARTITION_WAIT; /* the move knows how long */
	if (view->gpu_pods > 0)
		return is_over(record, view, now_ns)
		           ? act(REPARTITION_PUT_OFF, "pods with GPUs are still on the node", why)
		           : REPARTITION_WAIT;
	return now_ns - record->since_ns >= SETTLE_NS ? REPARTITION_LABEL : REPARTITION_WAIT;
}

static enum repartition_act while_applying(
    const struct repartition_record *record, const struct repartition_view *view, int64_t now_ns, const char **why)
{
	if (!text_is(view->config, record->to))
		return act(REPARTITION_LEAVE, "somebody else changed " MIG_CONFIG_LABEL, why);
	if (!view->tainted)
		return act(REPARTITION_LEAVE, "somebody took the taint away", why);
	if (text_is(view->state, "success") && shows(view, &record->want))
		return REPARTITION_ADMIT;
	if (text_is(view->state, "failed") && (view->state_changed || !text_is(record->state, "failed")))
		return act(REPARTITION_RESTORE, "the MIG manager says that it failed", why);
	if (is_over(record, view, now_ns))
		return act(REPARTITION_RESTORE, "it took longer than the policy's deadline", why);
	return REPARTITION_WAIT;
}

/* Where no label stood before, nothing tells the manager to do anything: what it last said has to do. */
static bool is_restored(const struct repartition_record *record, const struct repartition_view *view)
{
	if (!shows(view, &record->had))
		return false;
	return text_is(view->state, "success") || text_is(view->state, "") ||
	       (!record->from[0] && text_is(view->state, "failed"));
}

static enum repartition_act while_restoring(
    const struct repartition_record *record, const struct repartition_view *view, int64_t now_ns, const char **why)
{
	if (!text_is(view->config, record->from))
		return act(REPARTITION_LEAVE, "somebody else changed " MIG_CONFIG_LABEL, why);
	if (!view->tainted)
		return act(REPARTITION_LEAVE, "somebody took the taint away", why);
	if (is_restored(record, view))
		return REPARTITION_RESTORED;
	if (!is_over(record, view, now_ns))
		return REPARTITION_WAIT;
	if (view->may_quarantine || view->quarantined)
		return act(REPARTITION_QUARANTINE, "it did not become again what it was", why);
	return act(
	    REPARTITION_RESTORED, "it did not become again what it was, and the policy knows no quarantine", why);
}

static enum repartition_act while_applied(
    const struct repartition_record *record, const struct repartition_view *view, int64_t now_ns, const char **why)
{
	const struct policy_mig *rules = view->rules;
	if (!text_is(view->config, record->to))
		return act(REPARTITION_LEAVE, "somebody else changed " MIG_CONFIG_LABEL, why);
	if (!rules || view->gpu_pods > 0 || view->wanted)
		return REPARTITION_WAIT;
	int64_t idle = now_ns - (view->idle_ns > record->since_ns ? view->idle_ns : record->since_ns);
	if (view->wanted_back && idle >= rules->idle_for_ns)
		return act(REPARTITION_TAINT, "its slices are idle, and its GPUs are wanted otherwise", why);
	if (rules->back_after_ns > 0 && idle >= rules->back_after_ns)
		return act(REPARTITION_TAINT, "its slices are idle", why);
	return REPARTITION_WAIT;
}

enum repartition_act repartition_next(
    const struct repartition_record *record, const struct repartition_view *view, int64_t now_ns, const char **why)
{
	*why = NULL;
	switch (record->phase) {
	case REPARTITION_DRAINING:
		return while_draining(record, view, now_ns, why);
	case REPARTITION_APPLYING:
		return while_applying(record, view, now_ns, why);
	case REPARTITION_RESTORING:
		return while_restoring(record, view, now_ns, why);
	case REPARTITION_QUARANTINED:
		return view->quarantined ? REPARTITION_WAIT : REPARTITION_RELEASE;
	case REPARTITION_APPLIED:
		return while_applied(record, view, now_ns, why);
	case REPARTITION_FAILED:
		return now_ns - record->since_ns >= (view->rules ? view->rules->retry_after_ns : RETRY_AFTER_NS)
		           ? REPARTITION_FORGET
		           : REPARTITION_WAIT;
	default:
		return REPARTITION_WAIT;
	}
}

/* --- what it changes --- */

static void copy(char to[REPARTITION_NAME_MAX], const char *from)
{
	snprintf(to, REPARTITION_NAME_MAX, "%s", from ? from : "");
}

/* From what it has to what it had. */
static void turn(struct repartition_record *record)
{
	struct repartition_record was = *record;
	copy(record->to, was.from[0] ? was.from : MIG_WHOLE_CONFIG);
	copy(record->from, was.to);
	record->want = was.had;
	record->had = was.want;
}

/* A way back that came to nothing leaves the slices in use as they were. */
static enum repartition_phase at_rest(struct repartition_record *record, enum repartition_phase otherwise)
{
	if (!record->back)
		return otherwise;
	turn(record);
	record->back = false;
	return REPARTITION_APPLIED;
}

struct repartition_record repartition_after(const struct repartition_record *record, enum repartition_act what,
    const char *state, int64_t now_ns, const char **label)
{
	struct repartition_record after = *record;
	*label = NULL;
	after.since_ns = now_ns;
	copy(after.state, state);
	switch (what) {
	case REPARTITION_TAINT:
		after.phase = REPARTITION_DRAINING;
		if (record->phase == REPARTITION_APPLIED) {
			after.back = true;
			after.move[0] = '\0';
			turn(&after);
		}
		break;
	case REPARTITION_LABEL:
		after.phase = REPARTITION_APPLYING;
		*label = record->to;
		break;
	case REPARTITION_ADMIT:
		after.phase = record->back ? REPARTITION_NONE : REPARTITION_APPLIED;
		break;
	case REPARTITION_GIVE_UP:
		after.phase = at_rest(&after, REPARTITION_NONE);
		break;
	case REPARTITION_RESTORE:
		after.phase = REPARTITION_RESTORING;
		*label = record->from;
		break;
	case REPARTITION_PUT_OFF:
	case REPARTITION_RESTORED:
	case REPARTITION_RELEASE:
		after.phase = at_rest(&after, REPARTITION_FAILED);
		break;
	case REPARTITION_QUARANTINE:
		after.phase = REPARTITION_QUARANTINED;
		break;
	case REPARTITION_LEAVE:
		after.phase = REPARTITION_FAILED;
		after.back = false;
		break;
	case REPARTITION_FORGET:
		after.phase = REPARTITION_NONE;
		break;
	case REPARTITION_WAIT:
		after = *record;
		break;
	}
	return after;
}

struct repartition_record repartition_abandon(
    const struct repartition_record *record, const char *config, int64_t now_ns, const char **label)
{
	struct repartition_record after = *record;
	*label = record->phase == REPARTITION_APPLYING && text_is(config, record->to) ? record->from : NULL;
	after.since_ns = now_ns;
	after.phase = at_rest(&after, REPARTITION_NONE);
	return after;
}

void repartition_begin(struct repartition_record *record, const char *config, const char *label,
    const struct repartition_amounts *want, const struct repartition_amounts *had, int64_t now_ns)
{
	*record =
	    (struct repartition_record){.phase = REPARTITION_NONE, .since_ns = now_ns, .want = *want, .had = *had};
	copy(record->to, config);
	copy(record->from, label);
}
