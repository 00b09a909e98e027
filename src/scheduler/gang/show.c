/* Gangs as people and tools are shown them. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "berth/plan.h"
#include "cluster/gang_table.h"
#include "scheduler/gang/internal.h"
#include "scheduler/gang/news.h"
#include "scheduler/json.h"
#include "scheduler/team/team.h"

#define DOMAIN_TEXT_MAX 512

enum reason gang_why(const struct gang *gang)
{
	if (gang_quorum(gang) == 0)
		return REASON_CODE_GANG_SIZE_UNKNOWN;
	if (!gang_is_complete(gang))
		return REASON_CODE_GANG_INCOMPLETE;
	return gang->why != REASON_CODE_FITS ? gang->why : REASON_CODE_GANG_GIVEN_BACK;
}

static bool waits(const struct gang *gang)
{
	return gang->state == GANG_GATHERING || gang->state == GANG_QUEUED;
}

static void write_missing_ranks(const struct gang *gang, struct buf *out)
{
	struct buf ranks;
	if (gang->state != GANG_GATHERING)
		return;
	buf_init(&ranks, GANG_RANKS_TEXT_MAX);
	if (gang_missing_ranks(gang, &ranks)) {
		buf_char(out, ',');
		member(out, "missingRanks", ranks.data);
	}
	buf_free(&ranks);
}

void gang_write(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	int64_t now = clock_now();
	size_t quorum = gang_quorum(gang), present = gang_present(gang);
	(void)s;
	member(out, "namespace", gang->namespace_);
	buf_char(out, ',');
	member(out, "name", gang->name);
	buf_char(out, ',');
	member(out, "state", gang_state_name(gang->state));
	buf_char(out, ',');
	member(out, "code", waits(gang) ? reason_code(gang_why(gang)) : NULL);
	buf_printf(out, ",\"seconds\":%lld,\"quorum\":%zu,\"present\":%zu,\"missing\":%zu",
	    (long long)((now - gang->since_ns) / NS_PER_S), quorum, present, quorum > present ? quorum - present : 0);
	write_missing_ranks(gang, out);
	buf_printf(out, ",\"gated\":%zu,\"placed\":%zu,\"parked\":%zu,\"bound\":%zu,\"holes\":%zu,",
	    gang->in_state[GANG_GATED], gang->placed, gang->in_state[GANG_PARKED], gang->in_state[GANG_BOUND],
	    gang->hole_count);
	if (gang->deadline_ns != INT64_MAX)
		buf_printf(out, "\"deadlineInSeconds\":%lld,", (long long)((gang->deadline_ns - now) / NS_PER_S));
	member(out, "plan", gang->placed > 0 ? gang->plan : NULL);
}

static int in_order(const void *a, const void *b)
{
	return gangs_order(*(struct gang *const *)a, *(struct gang *const *)b);
}

void gang_write_all(const struct scheduler *s, struct buf *out)
{
	size_t cursor = 0, count = 0;
	struct gang **line = xcalloc(s->gangs->by_key.count + 1, sizeof *line);
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
		if (gang->count - gang->in_state[GANG_DONE] + gang->hole_count > 0) /* one whose work is done is none */
			line[count++] = gang;
	team_rank(s, line, count);
	qsort(line, count, sizeof *line, in_order);
	for (size_t i = 0; i < count; i++) {
		buf_text(out, i ? ",\n{" : "\n{");
		gang_write(s, line[i], out);
		buf_char(out, '}');
	}
	free(line);
}

/* Those in line before the others. */
static int in_line(const void *a, const void *b)
{
	const struct gang *left = *(struct gang *const *)a, *right = *(struct gang *const *)b;
	if (left->state != right->state)
		return left->state == GANG_QUEUED ? -1 : 1;
	return gangs_order(left, right);
}

struct gang **gang_line_up(const struct scheduler *s, size_t *count)
{
	size_t cursor = 0, room = s->gangs->in_state[GANG_QUEUED] + s->gangs->in_state[GANG_GATHERING];
	struct gang **line = xcalloc(room + 1, sizeof *line);
	*count = 0;
	for (struct gang *gang; (gang = gangs_next(s->gangs, &cursor));)
		if (waits(gang) && gang->count > 0)
			line[(*count)++] = gang;
	team_rank(s, line, *count);
	qsort(line, *count, sizeof *line, in_line);
	return line;
}

/* --- members --- */

static const struct node *node_of(const struct scheduler *s, const struct gang_member *of)
{
	const struct ledger_entry *entry = of->placed ? ledger_find(s->fleet, slice_of(of->pod->uid)) : NULL;
	return entry ? entry->node : NULL;
}

/* Where a member's road has come to; one that is away is held by a gate of others', or is being deleted. */
static const char *member_state(const struct gang_member *of)
{
	static const char *const names[] = {
	    [GANG_GATED] = "gated",
	    [GANG_LOOSE] = "pending",
	    [GANG_PARKED] = "parked",
	    [GANG_BOUND] = "bound",
	    [GANG_DONE] = "done",
	};
	static_assert(sizeof names / sizeof *names == GANG_MEMBER_STATE_COUNT, "a state without a name");
	if (of->held)
		return "held back";
	if (of->state == GANG_AWAY)
		return of->pod->deleting ? "deleting" : "gated by others";
	return names[of->state];
}

static void write_each(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	struct gang_member **line = xcalloc(gang->count + 1, sizeof *line);
	for (size_t i = 0; i < gang->count; i++)
		line[i] = gang->members[i];
	qsort(line, gang->count, sizeof *line, gang_by_rank);
	for (size_t i = 0; i < gang->count; i++) {
		const struct node *node = node_of(s, line[i]);
		int32_t rank = gang_rank_of(line[i]);
		buf_text(out, i ? ",\n{" : "\n{");
		member(out, "pod", line[i]->pod->name);
		buf_char(out, ',');
		member(out, "state", member_state(line[i]));
		buf_char(out, ',');
		member(out, "node", node ? node->name : NULL);
		if (rank >= 0)
			buf_printf(out, ",\"rank\":%" PRId32, rank);
		buf_char(out, '}');
	}
	free(line);
}

const char *gang_source_kind(const struct scheduler *s, const struct gang *gang, const char **name, const char **error)
{
	const struct pod_gang *said = gang->count > 0 ? gang->members[0]->pod->gang : NULL;
	if (!said || said->source == GANG_OBJECT_NONE || !said->source_name)
		return NULL;
	*name = said->source_name;
	*error = gang_quorum(gang) == 0 || gang->unreadable ? gang_feed_trouble(s, said->source) : NULL;
	if (!*error && gang_quorum(gang) == 0)
		*error = "it is not there, or does not say the size";
	return gang_object_rows[said->source].kind;
}

static void write_source(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	const char *name, *error, *kind = gang_source_kind(s, gang, &name, &error);
	if (!kind)
		return;
	buf_text(out, ",\"object\":{");
	member(out, "kind", kind);
	buf_char(out, ',');
	member(out, "name", name);
	buf_char(out, ',');
	member(out, "error", error);
	buf_char(out, '}');
}

size_t gang_group_present(const struct gang *gang, const struct gang_group_terms *group)
{
	size_t present = 0;
	for (size_t i = 0; i < gang->count; i++) {
		const struct gang_member *of = gang->members[i];
		const char *name = of->pod->gang->group;
		present += of->state != GANG_AWAY && name && strcmp(name, group->name) == 0;
	}
	return present;
}

static void write_groups(const struct gang *gang, struct buf *out)
{
	if (gang->terms.group_count == 0)
		return;
	buf_text(out, ",\"groups\":[");
	for (size_t i = 0; i < gang->terms.group_count; i++) {
		const struct gang_group_terms *group = &gang->terms.groups[i];
		buf_text(out, i ? ",{" : "{");
		member(out, "name", group->name);
		buf_printf(out, ",\"present\":%zu,\"quorum\":%" PRId32 ",\"size\":%" PRId32 "}",
		    gang_group_present(gang, group), group->quorum, group->size);
	}
	buf_char(out, ']');
}

/* --- where they stand --- */

/* The narrowest level with all that have a place in one domain. */
static int common_level(const struct scheduler *s, const struct gang *gang, const struct node **one)
{
	int level = TOPOLOGY_HOST;
	*one = NULL;
	for (size_t i = 0; i < gang->count; i++) {
		const struct node *node = node_of(s, gang->members[i]);
		if (!node || node == *one)
			continue;
		if (!*one) {
			*one = node;
			continue;
		}
		if (level == TOPOLOGY_HOST)
			level = (int)s->policy.inforce->level_count - 1;
		while (level >= 0 && (!topology_domain_of(*one, level) ||
		                         topology_domain_of(*one, level) != topology_domain_of(node, level)))
			level--;
	}
	return level;
}

const char *gang_within(const struct scheduler *s, const struct gang *gang, char *domain, size_t size)
{
	const struct node *one;
	int level = common_level(s, gang, &one);
	domain[0] = '\0';
	if (!one)
		return NULL;
	if (level < 0)
		return "fleet";
	if (level == TOPOLOGY_HOST)
		snprintf(domain, size, "%s", one->name);
	else
		topology_path(topology_domain_of(one, level), domain, size);
	return level == TOPOLOGY_HOST ? "host" : s->policy.inforce->levels[level].name;
}

static void write_within(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	char domain[DOMAIN_TEXT_MAX];
	const char *level = gang_within(s, gang, domain, sizeof domain);
	if (!level)
		return;
	buf_text(out, ",\"within\":{");
	member(out, "level", level);
	buf_char(out, ',');
	member(out, "domain", domain[0] ? domain : NULL);
	buf_char(out, '}');
}

/* --- what runs out --- */

/* Which of the two limits of a gang that has a plan is the next; NULL: none runs. */
static const char *commit_limit(const struct scheduler *s, const struct gang *gang)
{
	const struct policy_class *class_ = gang_class(s, gang);
	if (gang->deadline_ns == INT64_MAX || gang->kept)
		return NULL;
	return class_ && gang->deadline_ns == gang->moved_ns + class_->gang.members_within_ns ? "membersWithin"
	                                                                                      : "commit";
}

static void write_deadline(const char *name, int64_t at_ns, bool *first, struct buf *out)
{
	buf_text(out, *first ? "{" : ",{");
	*first = false;
	member(out, "name", name);
	buf_printf(out, ",\"inSeconds\":%lld}", (long long)((at_ns - clock_now()) / NS_PER_S));
}

static void write_deadlines(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	const struct policy_class *class_ = gang_class(s, gang);
	const char *limit = commit_limit(s, gang);
	bool limited = gang->why == REASON_CODE_TEAM_LIMIT, queued = gang->state == GANG_QUEUED && !limited,
	     first = true;
	int64_t since = gang_without_room_since(gang, clock_now());
	buf_text(out, ",\"deadlines\":[");
	if (limit)
		write_deadline(limit, gang->deadline_ns, &first, out);
	if (queued && gang->in_state[GANG_GATED] > 0 && s->policy.inforce->scale_up_after_ns > 0)
		write_deadline("scaleUpAfter", since + s->policy.inforce->scale_up_after_ns, &first, out);
	if (queued && gang->held_nodes == 0 && class_ && class_->gang.reserve_after_ns >= 0)
		write_deadline("reserveAfter", since + class_->gang.reserve_after_ns, &first, out);
	if (queued && gang->start_ns != 0)
		write_deadline("start", gang->start_ns, &first, out);
	if (queued && gang->held_nodes == 0 && class_)
		write_deadline("holdDomainAfter", since + class_->gang.hold_domain_after_ns, &first, out);
	buf_char(out, ']');
}

static void write_size_trouble(const struct gang *gang, struct buf *out)
{
	struct buf trouble;
	buf_init(&trouble, GANG_LINE_MAX);
	if (gang_quorum(gang) == 0 && gang_size_trouble(gang, &trouble)) {
		buf_char(out, ',');
		member(out, "sizeTrouble", trouble.data);
	}
	buf_free(&trouble);
}

void gang_write_members(const struct scheduler *s, const struct gang *gang, struct buf *out)
{
	write_source(s, gang, out);
	write_size_trouble(gang, out);
	write_groups(gang, out);
	if (waits(gang)) {
		buf_char(out, ',');
		member(out, "reason", reason_text(gang_why(gang)));
	}
	buf_printf(out, ",\"size\":%zu", gang_size(gang));
	buf_printf(out, ",\"kept\":%s,\"heldNodes\":%zu", gang->kept ? "true" : "false", gang->held_nodes);
	write_within(s, gang, out);
	write_deadlines(s, gang, out);
	buf_text(out, ",\"members\":[");
	write_each(s, gang, out);
	buf_char(out, ']');
}

/* --- why there is no plan --- */

static void write_level(
    const struct scheduler *s, const struct plan_request *request, const struct plan *plan, size_t at, struct buf *out)
{
	char domain[DOMAIN_TEXT_MAX] = "";
	const struct plan_level *level = &plan->levels[at];
	bool host = at + 1 == plan->level_count;
	if (level->domain)
		topology_path(level->domain, domain, sizeof domain);
	member(out, "level", host ? "host" : s->policy.inforce->levels[at].name);
	buf_char(out, ',');
	member(out, "best", level->host ? level->host->name : level->domain ? domain : NULL);
	buf_printf(out, ",\"takes\":%zu,\"lacks\":%zu", level->takes, level->lacks);
	if (request->topology.require == (host ? TOPOLOGY_HOST : (int)at))
		buf_printf(out, ",\"required\":true,\"outside\":%zu", plan->unlabelled);
}

static void write_blocking(
    const struct scheduler *s, const struct plan_request *request, const struct plan *plan, struct buf *out)
{
	const struct pod *pod = request->members[plan->blocking].pod;
	buf_text(out, ",\"blocking\":{");
	member(out, "pod", pod->name);
	buf_char(out, ',');
	member(out, "code", reason_code(plan->blocking_reason));
	buf_char(out, ',');
	member(out, "reason", reason_text(plan->blocking_reason));
	if (plan->lacks_resource) {
		buf_char(out, ',');
		member(out, "resource", resource_names_text(&s->fleet->names, plan->blocking_resource));
		buf_printf(out, ",\"asked\":%" PRId64, resources_get(&pod->demand, plan->blocking_resource));
	}
	buf_char(out, '}');
}

void gang_write_shortage(
    const struct scheduler *s, const struct plan_request *request, const struct plan *plan, struct buf *out)
{
	if (plan->fleet.domain) {
		buf_printf(out, ",\"fleet\":{\"takes\":%zu,\"lacks\":%zu}", plan->fleet.takes, plan->fleet.lacks);
		buf_text(out, ",\"levels\":[");
		for (size_t i = 0; i < plan->level_count; i++) {
			buf_text(out, i ? ",{" : "{");
			write_level(s, request, plan, i, out);
			buf_char(out, '}');
		}
		buf_char(out, ']');
	}
	if (plan->blocking < request->count)
		write_blocking(s, request, plan, out);
	if (plan->reason == REASON_CODE_TEAM_LIMIT && plan->bound.team != TEAM_NONE)
		team_explain(s, &plan->bound, out);
}
