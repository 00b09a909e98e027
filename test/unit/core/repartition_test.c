/* What is done next with a node that is cut anew, and which nodes can be. */
#include "berth/repartition.h"

#include "world.h"

#define NOW (1000000 * SECOND)
#define SMALL "nvidia.com/mig-1g.10gb"
#define WHOLE "nvidia.com/gpu"

static struct gpu_profile profiles[] = {
    {.name = "1g.10gb", .compute = 1, .slices = 1, .start_count = 7, .starts = {0, 1, 2, 3, 4, 5, 6}, .max = 7},
    {.name = "1g.10gb+me", .compute = 1, .slices = 1, .start_count = 7, .starts = {0, 1, 2, 3, 4, 5, 6}, .max = 1},
    {.name = "2g.20gb", .compute = 2, .slices = 2, .start_count = 3, .starts = {0, 2, 4}, .max = 3},
    {.name = "3g.40gb", .compute = 3, .slices = 4, .start_count = 2, .starts = {0, 4}, .max = 2},
    {.name = "4g.40gb", .compute = 4, .slices = 4, .start_count = 1, .starts = {0}, .max = 1},
};
static const struct gpu_model model = {
    .name = "H100", .cost = 8, .slices = 8, .profile_count = 5, .profiles = profiles};
static const struct gpu_model cheap = {
    .name = "A100", .cost = 4, .slices = 8, .profile_count = 5, .profiles = profiles};
static struct policy_mig_slices sevenths[] = {{"1g.10gb", 7}};
static const struct policy_mig_config small = {"all-1g.10gb", 1, sevenths};
static struct policy_mig rules = {
    .deadline_ns = 100 * SECOND, .idle_for_ns = 50 * SECOND, .retry_after_ns = 1000 * SECOND, .max_nodes = 1};

/* --- geometries --- */

static bool fits(size_t count, const struct policy_mig_slices *slices)
{
	struct policy_mig_config config = {"c", count, (struct policy_mig_slices *)(uintptr_t)slices};
	return repartition_fits_model(&config, &model);
}

static void slices_fit_side_by_side_or_not(void **state)
{
	(void)state;
	assert_true(fits(1, (struct policy_mig_slices[]){{"1g.10gb", 7}}));
	assert_false(fits(1, (struct policy_mig_slices[]){{"1g.10gb", 8}}));
	assert_true(fits(3, (struct policy_mig_slices[]){{"1g.10gb", 2}, {"2g.20gb", 1}, {"3g.40gb", 1}}));
	assert_true(fits(2, (struct policy_mig_slices[]){{"3g.40gb", 1}, {"4g.40gb", 1}}));
	assert_true(fits(1, (struct policy_mig_slices[]){{"3g.40gb", 2}}));
	assert_false(fits(2, (struct policy_mig_slices[]){{"3g.40gb", 2}, {"1g.10gb", 1}}));
	assert_true(fits(2, (struct policy_mig_slices[]){{"3g.40gb", 1}, {"1g.10gb", 4}}));
	assert_false(fits(2, (struct policy_mig_slices[]){{"3g.40gb", 1}, {"1g.10gb", 5}}));
	assert_true(fits(2, (struct policy_mig_slices[]){{"1g.10gb.me", 1}, {"1g.10gb", 6}}));
	assert_false(fits(1, (struct policy_mig_slices[]){{"1g.10gb.me", 2}}));
	assert_false(fits(1, (struct policy_mig_slices[]){{"1g.5gb", 1}}));
	assert_true(repartition_fits_model(&small, NULL));
}

/* --- nodes --- */

static struct node_spec *spec_of(struct fleet *fleet, const char *name, const struct gpu_model *of, int64_t gpus)
{
	struct node_spec *spec = spec_simple(fleet, name, NO_GPUS, 0);
	spec->model = of;
	spec->gpu_count = (uint32_t)gpus;
	spec_lane(spec, id_of(fleet, WHOLE), GPU_WHOLE, NULL, gpus, gpus);
	return spec;
}

static void a_node_shows_exactly_what_it_is_to_show(void **state)
{
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct node_spec *spec = spec_of(fleet, "n", &model, 2);
	struct repartition_amounts had, want;
	(void)state;
	assert_true(repartition_shown(spec, &fleet->names, &had));
	assert_int_equal(had.count, 1);
	assert_true(repartition_wanted(spec, &small, &want));
	assert_int_equal(repartition_amount_of(&want, SMALL), 14);
	assert_true(repartition_shows(spec, &fleet->names, &had));
	assert_false(repartition_shows(spec, &fleet->names, &want));
	spec_amount(spec, id_of(fleet, SMALL), 14, 14);
	assert_false(repartition_shows(spec, &fleet->names, &want)); /* the whole ones are there, too */
	spec_amount(spec, id_of(fleet, WHOLE), 0, 0);
	assert_true(repartition_shows(spec, &fleet->names, &want));
	spec_amount(spec, id_of(fleet, SMALL), 13, 14);
	assert_false(repartition_shows(spec, &fleet->names, &want));
	assert_false(repartition_shown(spec, &fleet->names, &had)); /* one of them is ill */
	spec->model = NULL;
	assert_false(repartition_wanted(spec, &small, &want));
	node_spec_free(spec);
	fleet_free(fleet);
}

/* The node as `change` leaves it may be cut anew or not. */
static void may(bool expected, void (*change)(struct fleet *fleet, struct node_spec *spec))
{
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct node_spec *spec = spec_of(fleet, "n", &model, 2);
	if (change)
		change(fleet, spec);
	int64_t free_ns;
	struct node *node = fleet_put_node(fleet, spec);
	assert_int_equal(repartition_may(node, NOW, &free_ns) && repartition_can(node->spec, &fleet->names), expected);
	fleet_free(fleet);
}

static void is_cordoned(struct fleet *fleet, struct node_spec *spec)
{
	(void)fleet;
	spec->unschedulable = true;
}

static void has_one_ill(struct fleet *fleet, struct node_spec *spec)
{
	spec_amount(spec, id_of(fleet, WHOLE), 1, 2);
}

static void is_single(struct fleet *fleet, struct node_spec *spec)
{
	(void)fleet;
	spec_label(spec, "nvidia.com/mig.strategy", "single");
}

static void is_mixed(struct fleet *fleet, struct node_spec *spec)
{
	(void)fleet;
	spec_label(spec, "nvidia.com/mig.strategy", "mixed");
}

static void is_not_capable(struct fleet *fleet, struct node_spec *spec)
{
	(void)fleet;
	spec_label(spec, "nvidia.com/mig.capable", "false");
}

static void is_pending(struct fleet *fleet, struct node_spec *spec)
{
	(void)fleet;
	spec_label(spec, MIG_STATE_LABEL, "pending");
}

static void is_upgraded(struct fleet *fleet, struct node_spec *spec)
{
	(void)fleet;
	spec->upgrade = UPGRADE_UNDER_WAY;
}

static void is_shared(struct fleet *fleet, struct node_spec *spec)
{
	spec_lane(spec, id_of(fleet, "nvidia.com/gpu.shared"), GPU_SHARE, NULL, 8, 8);
}

static void nodes_that_may_be_cut(void **state)
{
	(void)state;
	may(true, NULL);
	may(true, is_mixed);
	may(false, is_cordoned);
	may(false, has_one_ill);
	may(false, is_single);
	may(false, is_not_capable);
	may(false, is_pending);
	may(false, is_upgraded);
	may(false, is_shared);
}

static void it_takes_no_pods_meanwhile(void **state)
{
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct node *a = fleet_put_node(fleet, spec_of(fleet, "a", &model, 2));
	struct node *b = fleet_put_node(fleet, spec_of(fleet, "b", &cheap, 4));
	struct pod *pod = pod_simple(fleet, "p", 100, 1);
	int64_t free_ns;
	(void)state;
	assert_true(repartition_cost(a->spec) == 16 && repartition_cost(b->spec) == 16);
	fleet_repartition(fleet, a, true);
	assert_false(repartition_may(a, NOW, &free_ns));
	assert_int_equal(decide_node(fleet, pod, a, NULL), REASON_CODE_NODE_REPARTITIONED);
	fleet_put_node(fleet, spec_of(fleet, "a", &model, 2));
	assert_int_equal(decide_node(fleet, pod, a, NULL), REASON_CODE_NODE_REPARTITIONED);
	fleet_repartition(fleet, a, false);
	assert_int_equal(decide_node(fleet, pod, a, NULL), REASON_CODE_FITS);
	pod_free(pod);
	fleet_free(fleet);
}

static void only_pods_of_its_own_that_end_are_waited_for(void **state)
{
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct node *a = fleet_put_node(fleet, spec_of(fleet, "a", &model, 2));
	struct pod *pod = pod_simple(fleet, "p", 100, 1), *other = pod_simple(fleet, "q", 100, 1);
	struct pod *small_one = pod_simple(fleet, "r", 100, 0);
	int64_t free_ns;
	(void)state;
	ledger_reserve(fleet, small_one, slice_of("a"), LEDGER_BOUND, false, NOW, 0);
	assert_true(repartition_may(a, NOW, &free_ns));
	assert_int_equal(free_ns, 0);
	struct ledger_entry *entry = ledger_reserve(fleet, pod, slice_of("a"), LEDGER_ASSUMED, true, NOW, SECOND);
	assert_false(repartition_may(a, NOW, &free_ns));
	ledger_reserve(fleet, pod, slice_of("a"), LEDGER_BOUND, true, NOW, 0);
	assert_false(repartition_may(a, NOW, &free_ns)); /* nobody knows until when */
	pod->runtime_ns = 50 * SECOND;
	ledger_expect(entry, pod, NOW);
	assert_true(repartition_may(a, NOW + SECOND, &free_ns));
	assert_true(free_ns == NOW + 50 * SECOND);
	assert_false(repartition_may(a, NOW + 51 * SECOND, &free_ns)); /* it should have ended */
	ledger_reserve(fleet, other, slice_of("a"), LEDGER_BOUND, false, NOW, 0);
	assert_false(repartition_may(a, NOW, &free_ns)); /* another scheduler's */
	pod_free(pod);
	pod_free(other);
	pod_free(small_one);
	fleet_free(fleet);
}

/* --- the steps, at random --- */

/* A node, its manager, and whoever else has a hand in it. */
struct play {
	struct prng prng;
	struct fleet *fleet;
	struct node_spec *spec;
	struct repartition_record record;
	struct repartition_amounts had, want;
	int64_t now;
	char config[REPARTITION_NAME_MAX], state[REPARTITION_NAME_MAX];
	const char *job;                                   /* what the manager works on, or NULL */
	bool tainted, state_changed, quarantined, touched; /* by somebody else */
	size_t pods;
	int manager; /* 0: works; 1: fails; 2: hangs; 3: says nothing */
};

static void show(struct play *play, const struct repartition_amounts *amounts)
{
	resource_id whole = id_of(play->fleet, WHOLE), slice = id_of(play->fleet, SMALL);
	int64_t gpus = amounts ? repartition_amount_of(amounts, WHOLE) : 0;
	int64_t slices = amounts ? repartition_amount_of(amounts, SMALL) : 0;
	spec_amount(play->spec, whole, gpus, gpus);
	spec_amount(play->spec, slice, slices, slices);
}

static void say(struct play *play, const char *state)
{
	snprintf(play->state, sizeof play->state, "%s", state);
	play->state_changed |= strcmp(state, play->record.state) != 0;
}

static void manager_works(struct play *play)
{
	if (!play->job || one_in(&play->prng, 3) || play->manager == 3)
		return;
	if (strcmp(play->state, "pending") != 0) {
		say(play, "pending");
	} else if (play->manager == 2) {
		play->job = NULL;
	} else if (play->manager == 1 || play->pods > 0) {
		say(play, "failed");
		play->job = NULL;
	} else {
		show(play, strcmp(play->job, "all-1g.10gb") == 0 ? &play->want : &play->had);
		say(play, "success");
		play->job = NULL;
	}
}

static void set_label(struct play *play, const char *label)
{
	if (strcmp(play->config, label) != 0 && *label)
		play->job = strcmp(label, "all-1g.10gb") == 0 ? "all-1g.10gb" : "other";
	snprintf(play->config, sizeof play->config, "%s", label);
}

static void others_meddle(struct play *play)
{
	if (one_in(&play->prng, 40))
		play->pods = play->pods > 0 ? 0 : 1;
	if (one_in(&play->prng, 60))
		play->manager = (int)pick(&play->prng, 4);
	if (one_in(&play->prng, 80))
		play->quarantined = false;
	if (one_in(&play->prng, 300)) {
		play->touched = true;
		if (one_in(&play->prng, 2))
			play->tainted = false;
		else
			set_label(play, one_in(&play->prng, 2) ? "all-balanced" : "all-1g.10gb");
	}
}

static struct repartition_view view_of(const struct play *play)
{
	return (struct repartition_view){.tainted = play->tainted,
	    .config = play->config[0] ? play->config : NULL,
	    .state = play->state[0] ? play->state : NULL,
	    .state_changed = play->state_changed,
	    .names = &play->fleet->names,
	    .spec = play->spec,
	    .gpu_pods = play->pods,
	    .idle_ns = play->now - 60 * SECOND,
	    .wanted = play->record.phase != REPARTITION_APPLIED,
	    .wanted_back = true,
	    .quarantined = play->quarantined,
	    .may_quarantine = true,
	    .rules = &rules};
}

static void check_act(const struct play *play, enum repartition_act act, const struct repartition_record *after)
{
	const struct repartition_record *before = &play->record;
	bool shows_want = repartition_shows(play->spec, &play->fleet->names, &before->want);
	if (act == REPARTITION_LABEL)
		assert_true(play->tainted && play->pods == 0 && before->phase == REPARTITION_DRAINING &&
		            play->now - before->since_ns >= 2 * SECOND);
	if (act == REPARTITION_ADMIT)
		assert_true(shows_want && strcmp(play->state, "success") == 0 && strcmp(play->config, before->to) == 0);
	if (act == REPARTITION_QUARANTINE)
		assert_true(play->now - before->since_ns >= rules.deadline_ns);
	if (act == REPARTITION_GIVE_UP || act == REPARTITION_PUT_OFF)
		assert_int_equal(before->phase, REPARTITION_DRAINING);
	if (after->phase == REPARTITION_APPLIED)
		assert_string_equal(after->to, "all-1g.10gb");
	/* No step goes on for ever. */
	if (act == REPARTITION_WAIT && repartition_taints(before->phase) && before->phase != REPARTITION_QUARANTINED)
		assert_true(play->now - before->since_ns < rules.deadline_ns);
	if (act == REPARTITION_RESTORE) {
		assert_int_equal(after->phase, REPARTITION_RESTORING);
		assert_true(play->now - before->since_ns >= rules.deadline_ns || strcmp(play->state, "failed") == 0);
	}
}

static void do_act(struct play *play, enum repartition_act act)
{
	const char *label;
	if (act == REPARTITION_WAIT) {
		check_act(play, act, &play->record);
		return;
	}
	struct repartition_record after = repartition_after(&play->record, act, play->state, play->now, &label);
	check_act(play, act, &after);
	if (act == REPARTITION_QUARANTINE)
		play->quarantined = true;
	play->record = after;
	play->tainted = repartition_taints(after.phase);
	play->state_changed = false;
	if (label)
		set_label(play, label);
}

static void play_once(uint64_t seed)
{
	struct play play = {.prng = {seed}, .fleet = fleet_new(&world_catalogue), .now = NOW};
	const char *from = one_in(&play.prng, 3) ? "" : "all-disabled", *why;
	static const char *const states[] = {"", "success", "failed"};
	play.spec = spec_of(play.fleet, "n", &model, 2);
	repartition_shown(play.spec, &play.fleet->names, &play.had);
	repartition_wanted(play.spec, &small, &play.want);
	snprintf(play.config, sizeof play.config, "%s", from);
	snprintf(play.state, sizeof play.state, "%s", states[pick(&play.prng, 3)]);
	repartition_begin(&play.record, "all-1g.10gb", from, &play.want, &play.had, play.now);
	do_act(&play, REPARTITION_TAINT);
	for (int i = 0; i < 400 && play.record.phase != REPARTITION_NONE; i++) {
		play.now += 1 + pick(&play.prng, 5 * SECOND);
		manager_works(&play);
		others_meddle(&play);
		if (one_in(&play.prng, 20))
			play.state_changed = false; /* another process */
		struct repartition_view view = view_of(&play);
		enum repartition_act act = repartition_next(&play.record, &view, play.now, &why);
		assert_true(act != REPARTITION_TAINT || play.pods == 0);
		do_act(&play, act);
		assert_true(play.tainted || play.touched || !repartition_taints(play.record.phase));
	}
	if (play.record.phase == REPARTITION_NONE && !play.touched)
		assert_true(strcmp(play.config, from) == 0 || strcmp(play.config, MIG_WHOLE_CONFIG) == 0);
	if (play.record.phase == REPARTITION_FAILED && !play.touched)
		assert_string_equal(play.config, from);
	node_spec_free(play.spec);
	fleet_free(play.fleet);
}

static void whatever_happens_it_ends(void **state)
{
	struct prng prng = prng_seeded("repartition");
	(void)state;
	for (int i = 0; i < 3000; i++)
		play_once(prng_next(&prng));
}

/* --- the steps, one by one --- */

/* What a node says and shows in a phase that began `age` seconds ago, and what is done then. */
struct step {
	enum repartition_phase phase;
	const char *from, *config, *was, *state; /* the manager's word when the label was written, and now */
	bool changed, shows_want;                /* else it shows what it had */
	int age;
	enum repartition_act act;
};

static const struct step steps[] = {
    /* the word of the last time */
    {REPARTITION_APPLYING, "off", "small", "success", "success", false, false, 10, REPARTITION_WAIT},
    {REPARTITION_APPLYING, "off", "small", "success", "success", true, false, 10, REPARTITION_WAIT},
    {REPARTITION_APPLYING, "off", "small", "failed", "failed", false, false, 10, REPARTITION_WAIT},
    {REPARTITION_APPLYING, "off", "small", "failed", "failed", true, false, 10, REPARTITION_RESTORE},
    {REPARTITION_APPLYING, "off", "small", "success", "failed", true, false, 10, REPARTITION_RESTORE},
    /* cut so already */
    {REPARTITION_APPLYING, "off", "small", "success", "success", false, true, 1, REPARTITION_ADMIT},
    {REPARTITION_APPLYING, "small", "small", "success", "success", false, false, 99, REPARTITION_WAIT},
    {REPARTITION_APPLYING, "small", "small", "success", "success", false, false, 100, REPARTITION_RESTORE},
    {REPARTITION_RESTORING, "small", "small", "success", "success", false, false, 1, REPARTITION_RESTORED},
    /* words without deeds, deeds without words */
    {REPARTITION_APPLYING, "off", "small", "success", "pending", true, true, 10, REPARTITION_WAIT},
    {REPARTITION_APPLYING, "off", "small", "", "", false, true, 10, REPARTITION_WAIT},
    {REPARTITION_APPLYING, "off", "small", "success", "pending", true, false, 100, REPARTITION_RESTORE},
    {REPARTITION_APPLYING, "off", "small", "success", "rebooting", true, false, 100, REPARTITION_RESTORE},
    /* the way to what was */
    {REPARTITION_RESTORING, "off", "off", "pending", "pending", false, false, 10, REPARTITION_WAIT},
    {REPARTITION_RESTORING, "off", "off", "pending", "pending", false, false, 100, REPARTITION_QUARANTINE},
    {REPARTITION_RESTORING, "off", "off", "pending", "success", true, false, 10, REPARTITION_RESTORED},
    {REPARTITION_RESTORING, "off", "off", "pending", "success", true, true, 10, REPARTITION_WAIT},
    {REPARTITION_RESTORING, "off", "off", "failed", "failed", false, false, 10, REPARTITION_WAIT},
    {REPARTITION_RESTORING, "", "", "failed", "failed", false, false, 10, REPARTITION_RESTORED},
    {REPARTITION_RESTORING, "", "", "pending", "pending", false, false, 10, REPARTITION_WAIT},
    /* others */
    {REPARTITION_APPLYING, "off", "other", "success", "success", false, false, 10, REPARTITION_LEAVE},
    {REPARTITION_RESTORING, "off", "other", "success", "success", false, false, 10, REPARTITION_LEAVE},
    {REPARTITION_DRAINING, "off", "other", "success", "success", false, false, 10, REPARTITION_LEAVE},
    {REPARTITION_DRAINING, "off", "off", "success", "success", false, false, 1, REPARTITION_WAIT},
    {REPARTITION_DRAINING, "off", "off", "success", "success", false, false, 2, REPARTITION_LABEL},
    {REPARTITION_FAILED, "off", "off", "success", "success", false, false, 999, REPARTITION_WAIT},
    {REPARTITION_FAILED, "off", "off", "success", "success", false, false, 1000, REPARTITION_FORGET},
    {REPARTITION_QUARANTINED, "off", "off", "success", "success", false, false, 1, REPARTITION_RELEASE},
};

static void what_is_done_next(void **state)
{
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct node_spec *whole = spec_of(fleet, "n", &model, 2), *cut = spec_of(fleet, "n", &model, 2);
	struct repartition_record record = {0};
	const char *why;
	(void)state;
	repartition_shown(whole, &fleet->names, &record.had);
	repartition_wanted(whole, &small, &record.want);
	spec_amount(cut, id_of(fleet, WHOLE), 0, 0);
	spec_amount(cut, id_of(fleet, SMALL), 14, 14);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		const struct step *step = &steps[i];
		record.phase = step->phase;
		record.since_ns = NOW;
		strcpy(record.to, "small");
		strcpy(record.from, step->from);
		strcpy(record.state, step->was);
		struct repartition_view view = {.tainted = repartition_taints(step->phase),
		    .config = *step->config ? step->config : NULL,
		    .state = *step->state ? step->state : NULL,
		    .state_changed = step->changed,
		    .names = &fleet->names,
		    .spec = step->shows_want ? cut : whole,
		    .wanted = true,
		    .may_quarantine = true,
		    .rules = &rules};
		enum repartition_act act = repartition_next(&record, &view, NOW + step->age * SECOND, &why);
		if (act != step->act)
			fail_msg("step %zu: %s instead of %s", i, repartition_act_name(act),
			    repartition_act_name(step->act));
	}
	node_spec_free(whole);
	node_spec_free(cut);
	fleet_free(fleet);
}

/* A node that a move empties, whose pods it ends or not. */
static void what_a_move_empties_waits_for_it(void **state)
{
	static const struct {
		enum repartition_mover mover;
		size_t pods;
		bool wanted;
		int age;
		enum repartition_act act;
	} cases[] = {
	    {REPARTITION_ENDS, 1, false, 1000, REPARTITION_WAIT}, /* its notice may be long */
	    {REPARTITION_ENDS, 0, true, 10, REPARTITION_WAIT},    /* a unit stands elsewhere, too */
	    {REPARTITION_EMPTIED, 1, true, 1000, REPARTITION_WAIT},
	    {REPARTITION_EMPTIED, 0, false, 10, REPARTITION_LABEL},
	    {REPARTITION_STOPPED, 1, true, 1, REPARTITION_GIVE_UP},
	    {REPARTITION_STOPPED, 0, true, 10, REPARTITION_LABEL}, /* it is idle all the same */
	    {REPARTITION_STOPPED, 0, false, 10, REPARTITION_GIVE_UP},
	    {REPARTITION_NO_MOVE, 1, true, 99, REPARTITION_WAIT},
	    {REPARTITION_NO_MOVE, 1, true, 100, REPARTITION_PUT_OFF},
	};
	struct fleet *fleet = fleet_new(&world_catalogue);
	struct node_spec *spec = spec_of(fleet, "n", &model, 2);
	struct repartition_record record = {
	    .phase = REPARTITION_DRAINING, .to = "small", .from = "off", .move = "move-1", .since_ns = NOW};
	const char *why, *label;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct repartition_view view = {.tainted = true,
		    .config = "off",
		    .names = &fleet->names,
		    .spec = spec,
		    .mover = cases[i].mover,
		    .gpu_pods = cases[i].pods,
		    .wanted = cases[i].wanted,
		    .rules = &rules};
		enum repartition_act act = repartition_next(&record, &view, NOW + cases[i].age * SECOND, &why);
		if (act != cases[i].act)
			fail_msg("case %zu: %s instead of %s", i, repartition_act_name(act),
			    repartition_act_name(cases[i].act));
	}
	struct repartition_view view = {
	    .tainted = true, .config = "off", .names = &fleet->names, .spec = spec, .mover = REPARTITION_ENDS};
	assert_int_equal(repartition_next(&record, &view, NOW, &why), REPARTITION_GIVE_UP); /* the policy forbids it */
	record.phase = REPARTITION_APPLIED;
	struct repartition_record back = repartition_after(&record, REPARTITION_TAINT, "success", NOW, &label);
	assert_true(back.back);
	assert_string_equal(back.move, ""); /* nothing is ended for the way back */
	node_spec_free(spec);
	fleet_free(fleet);
}

static void what_is_left_without_a_berth(void **state)
{
	struct repartition_record record = {.phase = REPARTITION_APPLYING, .to = "small", .from = "off"}, after;
	const char *label;
	(void)state;
	after = repartition_abandon(&record, "small", NOW, &label);
	assert_int_equal(after.phase, REPARTITION_NONE);
	assert_string_equal(label, "off");
	after = repartition_abandon(&record, "other", NOW, &label);
	assert_null(label);
	record = (struct repartition_record){.phase = REPARTITION_APPLYING, .back = true, .to = "off", .from = "small"};
	after = repartition_abandon(&record, "off", NOW, &label);
	assert_string_equal(label, "small");
	assert_int_equal(after.phase, REPARTITION_APPLIED);
	assert_string_equal(after.to, "small");
	record.phase = REPARTITION_DRAINING;
	repartition_abandon(&record, "small", NOW, &label);
	assert_null(label);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slices_fit_side_by_side_or_not),
	    cmocka_unit_test(a_node_shows_exactly_what_it_is_to_show),
	    cmocka_unit_test(nodes_that_may_be_cut),
	    cmocka_unit_test(it_takes_no_pods_meanwhile),
	    cmocka_unit_test(only_pods_of_its_own_that_end_are_waited_for),
	    cmocka_unit_test(what_is_done_next),
	    cmocka_unit_test(what_a_move_empties_waits_for_it),
	    cmocka_unit_test(what_is_left_without_a_berth),
	    cmocka_unit_test(whatever_happens_it_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
