/* Two simulated weeks with a change to summer time between them: GPUs are free when the class may need them, and lent
 * when it may not. The clock is virtual; windows are those of the time zone, decisions the core's own. Work that was
 * lent room and still stands when the window opens is ended, as it may be by then. */
#include "../core/world.h"

#include <time.h>

#include "base/calendar.h"
#include "berth/headroom.h"

#define MINUTE_S 60
#define WEEKS 2
#define NODES 10
#define GPUS 8
#define KEPT 32
#define MIN_RUNTIME (30 * MINUTE_S)
#define GRACE (5 * MINUTE_S)
#define JOBS_MAX 512

struct job {
	char uid[24];
	int class_;
	int64_t started_s, ends_s;
};

struct week {
	struct fleet *fleet;
	struct policy *policy;
	struct policy_headroom rule;
	struct calendar calendar;
	struct prng prng;
	int64_t now_s;
	struct job jobs[JOBS_MAX];
	size_t count;
	unsigned made;
	/* what was seen */
	unsigned lent_minutes, closed_minutes, opened, peaks, taken_back;
};

static int64_t utc(int year, int month, int day, int hour)
{
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour};
	return timegm(&tm);
}

static void end_job(struct week *week, size_t i)
{
	ledger_release(week->fleet, ledger_find(week->fleet, slice_of(week->jobs[i].uid)));
	week->jobs[i] = week->jobs[--week->count];
}

/* True if there was room. */
static bool start(struct week *week, int class_, int64_t gpus, int64_t for_s)
{
	struct decision decision;
	struct job *job = &week->jobs[week->count];
	assert_true(week->count < JOBS_MAX);
	snprintf(job->uid, sizeof job->uid, "j%u", ++week->made);
	struct pod *pod = pod_simple(week->fleet, job->uid, 100, gpus);
	pod->class_name = week->policy->classes[class_].name;
	decide_fleet(week->fleet, pod, &decision);
	if (decision.node) {
		ledger_reserve(week->fleet, pod, slice_of(decision.node->name), LEDGER_BOUND, true, 0, 0);
		job->class_ = class_;
		job->started_s = week->now_s;
		job->ends_s = week->now_s + for_s;
		week->count++;
	}
	pod_free(pod);
	return decision.node;
}

/* --- what must hold at every minute --- */

static void check_nodes(const struct week *week)
{
	resource_id gpu = id_of(week->fleet, "nvidia.com/gpu");
	size_t cursor = 0;
	for (const struct node *node; (node = map_next(&week->fleet->nodes, &cursor));) {
		int64_t pods = 0, held = 0, own = 0;
		for (const struct ledger_entry *entry = node->entries; entry; entry = entry->node_next) {
			int64_t gpus = resources_get(&entry->demand, gpu);
			*(entry->hold ? &held : &pods) += gpus;
			own += entry->class_ == CLASS_SPREAD ? gpus : 0;
		}
		assert_int_equal(pods + held, node_used(node, gpu));
		assert_true(pods + held <= GPUS);
		assert_true(held == 0 || (node->headroom && held <= node->headroom->reserved - own));
	}
}

static void check_open(const struct week *week)
{
	struct headroom_state state = headroom_state_of(week->fleet, 0);
	if (state.missing != 0 || state.held + state.used < KEPT)
		fail_msg("at %lld: %lld held, %lld used, %lld lent, %lld missing", (long long)week->now_s,
		    (long long)state.held, (long long)state.used, (long long)state.lent, (long long)state.missing);
}

/* --- a minute --- */

/* What was lent is ended as the window opens: all of it may be ended by then. */
static void take_back(struct week *week)
{
	for (size_t i = week->count; i-- > 0;) {
		const struct ledger_entry *entry = ledger_find(week->fleet, slice_of(week->jobs[i].uid));
		if (headroom_lent_by(week->fleet, entry) != CLASS_SPREAD)
			continue;
		assert_int_equal(week->jobs[i].class_, CLASS_BATCH);
		assert_true(week->jobs[i].started_s + MIN_RUNTIME + GRACE <= week->now_s);
		end_job(week, i);
		week->taken_back++;
	}
}

static void fill(struct week *week, bool open, int64_t left_s)
{
	/* More work than there is room for; what is not lent to takes less, so that it does not fill everything. */
	while (start(week, CLASS_BATCH, 1 << pick(&week->prng, 3), MINUTE_S * (10 + pick(&week->prng, 600))))
		;
	resource_id gpu = id_of(week->fleet, "nvidia.com/gpu");
	size_t cursor = 0;
	bool full = true;
	while (start(week, CLASS_BATCH, 1, MINUTE_S * (10 + pick(&week->prng, 600))))
		;
	for (const struct node *node; (node = map_next(&week->fleet->nodes, &cursor));)
		full &= node_free(node, gpu) == 0 && (!node->headroom || !node->headroom->entry);
	if (!open && left_s >= MIN_RUNTIME + GRACE) {
		assert_true(full); /* lent when it may be: nothing idles */
		week->closed_minutes++;
		week->lent_minutes += headroom_state_of(week->fleet, 0).lent > 0;
	}
}

static void others(struct week *week)
{
	int64_t used = 0;
	for (size_t i = 0; i < week->count; i++)
		used += week->jobs[i].class_ == CLASS_HOSTS;
	if (used < 4)
		start(week, CLASS_HOSTS, 4, MINUTE_S * (60 + pick(&week->prng, 3000)));
}

static void peaks(struct week *week, bool open)
{
	struct headroom_state state = headroom_state_of(week->fleet, 0);
	if (!open || pick(&week->prng, 20) > 0 || state.held < GPUS)
		return;
	bool whole = false;
	for (const struct headroom_hold *hold = week->fleet->headroom; hold; hold = hold->next)
		whole |= hold->entry && resources_get(&hold->entry->demand, hold->resource) == GPUS;
	assert_true(start(
	    week, CLASS_SPREAD, whole && pick(&week->prng, 2) ? GPUS : 1, MINUTE_S * (5 + pick(&week->prng, 120))));
	week->peaks++;
}

static void minute(struct week *week, bool *was_open)
{
	struct calendar_state state = calendar_at(&week->calendar, week->now_s);
	int64_t left_s = state.open ? 0 : state.opens_s - week->now_s;
	for (size_t i = week->count; i-- > 0;)
		if (week->jobs[i].ends_s <= week->now_s)
			end_job(week, i);
	if (state.open && !*was_open) {
		take_back(week);
		week->opened++;
	}
	headroom_windows(week->fleet, &(struct headroom_window){state.open, left_s * SECOND}, 1);
	if (headroom_due(week->fleet))
		headroom_place(week->fleet);
	if (state.open)
		check_open(week);
	peaks(week, state.open);
	others(week);
	fill(week, state.open, left_s);
	if (state.open)
		check_open(week);
	check_nodes(week);
	*was_open = state.open;
}

static void two_weeks(void **state)
{
	static uint16_t lend_to[] = {CLASS_BATCH};
	struct week *week = calloc(1, sizeof *week);
	struct zone *zone;
	struct err err;
	bool open = false;
	(void)state;
	assert_int_equal(zone_load(slice_of("Europe/Berlin"), &zone, &err), 0);
	week->prng.state = 1;
	week->fleet = fleet_new(&world_catalogue);
	week->policy = policy_world();
	week->rule = (struct policy_headroom){.for_ = CLASS_SPREAD,
	    .pool = H100,
	    .gpus = KEPT,
	    .chunk = GPUS,
	    .lend_count = 1,
	    .lend_to = lend_to,
	    .has_when = true};
	week->policy->headroom = &week->rule;
	week->policy->headroom_count = 1;
	week->policy->classes[CLASS_BATCH].victim.min_runtime_ns = MIN_RUNTIME * SECOND;
	week->policy->classes[CLASS_BATCH].victim.grace_ns = GRACE * SECOND;
	fleet_set_policy(week->fleet, week->policy);
	for (int i = 0; i < NODES; i++) {
		char name[8];
		snprintf(name, sizeof name, "n%d", i);
		fleet_put_node(week->fleet, spec_simple(week->fleet, name, H100, GPUS));
	}
	week->calendar = (struct calendar){
	    .days = calendar_days(slice_of("mon-fri")), .from_minute = 8 * 60, .to_minute = 18 * 60, .zone = zone};
	int64_t begin = utc(2026, 3, 23, 0); /* a Monday; clocks go forward on Sunday the 29th */
	for (week->now_s = begin; week->now_s < begin + WEEKS * 7 * 86400; week->now_s += MINUTE_S) {
		bool before = open;
		minute(week, &open);
		if (open == before)
			continue;
		bool summer = week->now_s >= utc(2026, 3, 29, 1);
		int64_t hour = (week->now_s - begin) % 86400 / 3600;
		assert_int_equal(hour, (open ? 7 : 17) - summer);
		assert_int_equal((week->now_s - begin) % 3600, 0);
	}
	printf("windows %u, minutes to lend %u, lent in %u, units taken back %u, peaks %u\n", week->opened,
	    week->closed_minutes, week->lent_minutes, week->taken_back, week->peaks);
	assert_int_equal(week->opened, WEEKS * 5);
	assert_true(week->lent_minutes * 10 > week->closed_minutes * 9);
	assert_true(week->taken_back > 0 && week->peaks > 100);
	fleet_free(week->fleet);
	policy_free(week->policy);
	zone_free(zone);
	free(week);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(two_weeks)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
