/* What would help a pod that fits nowhere: one line each, only what follows from the numbers. */
#include <inttypes.h>

#include "scheduler/gang/gang.h"
#include "scheduler/repartition/repartition.h"
#include "scheduler/team/team.h"

#define LINE_MAX_BYTES 4096

struct help {
	struct buf *out;
	bool any;
};

static void say(struct help *help, struct buf *line)
{
	if (help->any)
		buf_char(help->out, ',');
	buf_json_string(help->out, buf_slice(line));
	help->any = true;
	buf_free(line);
}

static void say_line(void *ctx, struct buf *line)
{
	say(ctx, line);
}

static void list_classes(const struct policy *policy, struct buf *line)
{
	for (size_t i = 0; i < policy->class_count; i++)
		buf_printf(line, "%s%s", i ? ", " : "", policy->classes[i].name);
}

static void help_class(
    struct help *help, const struct policy *policy, const struct pod *pod, const struct decision *decision)
{
	const struct policy_class *matched = policy_class_matched(policy, pod);
	struct buf line;
	buf_init(&line, LINE_MAX_BYTES);
	if (decision->reason == REASON_CODE_CLASS_UNKNOWN) {
		buf_printf(&line, "berth.dev/class says \"%s\"; the policy has: ", pod->class_name);
		list_classes(policy, &line);
	} else {
		buf_printf(&line,
		    "the pod is none of those that class %s matches; without berth.dev/class it is in class %s",
		    pod->class_name, matched ? matched->name : policy->classes[policy->fallback].name);
	}
	say(help, &line);
}

static void help_annotation(struct help *help, const struct pod *pod)
{
	struct buf line;
	if (!pod->trouble_key)
		return;
	buf_init(&line, LINE_MAX_BYTES);
	buf_printf(&line, "what cannot be read is %s", pod->trouble_key);
	say(help, &line);
}

static void help_limit(struct help *help, const struct decision *decision, const struct shortage *shortage)
{
	struct buf line;
	buf_init(&line, LINE_MAX_BYTES);
	buf_printf(&line, "the pod asks for %" PRId64 " GPUs; a pod of class %s may have %" PRId64,
	    shortage->units_asked, decision->class_->name, shortage->units_most);
	say(help, &line);
}

static void help_only(
    struct help *help, const struct policy *policy, const struct pod *pod, const struct shortage *shortage)
{
	enum reason why;
	const struct policy_class *named = policy_class_of(policy, pod, &why),
	                          *matched = policy_class_matched(policy, pod);
	const struct policy_class *class_ = named && named->has_only ? named : matched;
	struct buf line;
	if (!class_ || !class_->has_only)
		return;
	buf_init(&line, LINE_MAX_BYTES);
	buf_printf(&line, "class %s allows GPUs of ", class_->name);
	for (size_t i = 0; i < class_->only_count; i++)
		buf_printf(&line, "%s%s", i ? ", " : "", policy->pools[class_->only[i]].name);
	buf_text(&line, " only");
	if (shortage->with_room[REASON_CODE_ONLY_FORBIDS] > 0)
		buf_printf(
		    &line, "; nodes of other pools with room: %zu", shortage->with_room[REASON_CODE_ONLY_FORBIDS]);
	say(help, &line);
}

static void help_gpus(struct help *help, const struct fleet *fleet, const struct shortage *shortage)
{
	const char *resource = resource_names_text(&fleet->names, shortage->gpu);
	struct buf line;
	if (!shortage->asks_gpus || shortage->gpus_largest == 0 || shortage->gpus_most >= shortage->gpus_asked)
		return;
	buf_init(&line, LINE_MAX_BYTES);
	if (shortage->gpus_largest < shortage->gpus_asked)
		buf_printf(&line, "the largest node of the right kind has %" PRId64 " %s, %" PRId64 " are asked for",
		    shortage->gpus_largest, resource, shortage->gpus_asked);
	else if (shortage->gpus_free >= shortage->gpus_asked)
		buf_printf(&line,
		    "fragmentation, not capacity: %" PRId64
		    " %s are free on nodes large enough, but none has more than %" PRId64 " of the %" PRId64
		    " asked for",
		    shortage->gpus_free, resource, shortage->gpus_most, shortage->gpus_asked);
	else
		buf_printf(&line, "capacity: %" PRId64 " %s free on nodes large enough, %" PRId64 " asked for",
		    shortage->gpus_free, resource, shortage->gpus_asked);
	say(help, &line);
}

static void help_headroom(struct help *help, const struct scheduler *s, const struct decision *decision)
{
	int64_t gpus;
	struct buf line;
	if (decision->by_reason[REASON_CODE_HEADROOM] == 0)
		return;
	for (size_t i = 0; i < s->policy.inforce->headroom_count; i++) {
		if (!headroom_keeps_from(s, decision->class_, i, &gpus))
			continue;
		buf_init(&line, LINE_MAX_BYTES);
		headroom_line(s, i, gpus, &line);
		say(help, &line);
	}
}

static void help_held(
    struct help *help, const struct scheduler *s, const struct pod *pod, const struct decision *decision)
{
	struct buf line;
	if (decision->by_reason[REASON_CODE_HELD_FOR_GANG] == 0)
		return;
	buf_init(&line, LINE_MAX_BYTES);
	if (gang_reserve_help(s, pod, &line))
		say(help, &line);
	else
		buf_free(&line);
}

static void help_team(struct help *help, const struct scheduler *s, const struct pod *pod)
{
	char text[TEAM_LINE_MAX];
	struct team_bound bound;
	struct buf line;
	if (!team_bound_for(s->fleet, pod, &bound))
		return;
	team_bound_line(s, &bound, text);
	buf_init(&line, LINE_MAX_BYTES);
	buf_text(&line, text);
	say(help, &line);
}

static void help_room(struct help *help, const struct shortage *shortage)
{
	struct buf line;
	for (enum reason reason = 0; reason < REASON_COUNT; reason++) {
		size_t nodes = shortage->with_room[reason];
		if (nodes == 0 || reason == REASON_CODE_ONLY_FORBIDS)
			continue;
		buf_init(&line, LINE_MAX_BYTES);
		buf_printf(&line, "%zu %s room, but: %s", nodes,
		    nodes == 1 ? "node of the right kind has" : "nodes of the right kind have", reason_text(reason));
		say(help, &line);
	}
}

void help_write(const struct scheduler *s, const struct pod *pod, const struct decision *decision,
    const struct shortage *shortage, struct buf *out)
{
	const struct policy *policy = s->policy.inforce;
	struct help help = {.out = out};
	buf_text(out, ",\"help\":[");
	switch (decision->reason) {
	case REASON_CODE_CLASS_UNKNOWN:
	case REASON_CODE_CLASS_NOT_FOR_POD:
		help_class(&help, policy, pod, decision);
		break;
	case REASON_CODE_BAD_ANNOTATION:
		help_annotation(&help, pod);
		break;
	case REASON_CODE_TOO_MANY_GPUS:
		help_limit(&help, decision, shortage);
		break;
	case REASON_CODE_ONLY_FORBIDS:
	case REASON_CODE_ONLY_UNMEETABLE:
		help_only(&help, policy, pod, shortage);
		break;
	case REASON_CODE_TEAM_LIMIT:
		break;
	default:
		help_gpus(&help, s->fleet, shortage);
	}
	help_headroom(&help, s, decision);
	help_held(&help, s, pod, decision);
	repartition_help(s, pod, say_line, &help);
	if (decision->by_reason[REASON_CODE_TEAM_LIMIT] > 0)
		help_team(&help, s, pod);
	help_room(&help, shortage);
	buf_char(out, ']');
}
