#include "berth/gangs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static struct pod *make(const char *uid, const char *gang, int32_t size, int64_t created_s)
{
	struct arena arena;
	arena_init(&arena, 1024);
	struct pod *pod = arena_calloc(&arena, 1, sizeof *pod);
	struct pod_gang *says = arena_calloc(&arena, 1, sizeof *says);
	says->dialect = GANG_BERTH;
	says->name = arena_copy(&arena, slice_of(gang));
	says->rank = says->part = -1;
	says->terms.size = size;
	pod->uid = arena_copy(&arena, slice_of(uid));
	pod->name = pod->uid;
	pod->namespace_ = "team";
	pod->created_ns = created_s * S;
	pod->gang = says;
	pod->arena = arena;
	return pod;
}

/* The registry frees the pods it is given here. */
static struct gang_member *put(struct gangs *gangs, const char *uid, enum gang_member_state state)
{
	struct gang_member *member = gangs_put(gangs, make(uid, "g", 3, 0), state, 0);
	member->owned = true;
	return member;
}

static struct gang *three(struct gangs *gangs, struct gang_member *members[3], enum gang_member_state state)
{
	static const char *const uids[] = {"a", "b", "c"};
	for (int i = 0; i < 3; i++)
		members[i] = put(gangs, uids[i], state);
	return members[0]->gang;
}

static void place_all(struct gangs *gangs, struct gang_member *members[3])
{
	for (int i = 0; i < 3; i++)
		gangs_place(gangs, members[i], true);
}

static void set_all(struct gangs *gangs, struct gang_member *members[3], enum gang_member_state state)
{
	for (int i = 0; i < 3; i++) {
		gangs_set(gangs, members[i], state);
		members[i]->told = true;
	}
}

static void test_a_gang_queues_once_its_quorum_is_there(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang *gang = put(gangs, "a", GANG_GATED)->gang;
	put(gangs, "b", GANG_LOOSE);
	struct gang_member *away = put(gangs, "c", GANG_AWAY);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_WAIT);
	gangs_set(gangs, away, GANG_GATED);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_QUEUE);
	gangs_enter(gangs, gang, GANG_QUEUED, 0);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_PLAN);
	gangs_remove(gangs, away);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_GATHER);
	gangs_free(gangs);
}

static void test_a_gang_of_unknown_size_waits(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *member = gangs_put(gangs, make("a", "g", 0, 0), GANG_LOOSE, 0);
	member->owned = true;
	assert_int_equal(gangs_step(member->gang, 0, true), GANG_STEP_WAIT);
	gangs_free(gangs);
}

static void test_the_road_to_whole(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = three(gangs, members, GANG_GATED);
	gangs_enter(gangs, gang, GANG_QUEUED, 0);
	place_all(gangs, members);
	gangs_enter(gangs, gang, GANG_PLANNED, 0);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_TELL);
	for (int i = 0; i < 3; i++)
		members[i]->writing = true;
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_WAIT);
	set_all(gangs, members, GANG_LOOSE);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_RELEASED);
	gangs_enter(gangs, gang, GANG_RELEASED, 0);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_WAIT);
	gangs_set(gangs, members[0], GANG_PARKED);
	gangs_set(gangs, members[1], GANG_PARKED);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_WAIT);
	gangs_set(gangs, members[2], GANG_PARKED);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_COMMIT);
	gangs_enter(gangs, gang, GANG_COMMITTING, 0);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_BIND);
	set_all(gangs, members, GANG_LOOSE);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_WAIT);
	set_all(gangs, members, GANG_BOUND);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_WHOLE);
	gangs_free(gangs);
}

static void test_room_goes_back_at_the_deadline_only_while_nothing_is_bound(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = three(gangs, members, GANG_LOOSE);
	place_all(gangs, members);
	set_all(gangs, members, GANG_LOOSE);
	gangs_enter(gangs, gang, GANG_RELEASED, 0);
	gang->deadline_ns = 30 * S;
	gangs_set(gangs, members[0], GANG_PARKED);
	assert_int_equal(gangs_step(gang, 30 * S - 1, false), GANG_STEP_WAIT);
	assert_int_equal(gangs_step(gang, 30 * S, false), GANG_STEP_GIVE_BACK);
	gangs_set(gangs, members[0], GANG_BOUND);
	assert_int_equal(gangs_step(gang, 31 * S, false), GANG_STEP_WAIT);
	gangs_free(gangs);
}

/* A commit of three, one of them bound. */
static struct gang *begun(struct gangs *gangs, struct gang_member *members[3])
{
	struct gang *gang = three(gangs, members, GANG_LOOSE);
	place_all(gangs, members);
	set_all(gangs, members, GANG_LOOSE);
	gangs_enter(gangs, gang, GANG_COMMITTING, 0);
	gangs_set(gangs, members[0], GANG_BOUND);
	return gang;
}

static void test_a_commit_that_does_not_go_on_is_undone(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = begun(gangs, members);
	gangs_set_deadline(gang, 5 * S, 30 * S, 600 * S);
	assert_int_equal(gang->deadline_ns, 605 * S);
	gangs_set(gangs, members[1], GANG_BOUND); /* it goes on */
	gangs_set_deadline(gang, 100 * S, 30 * S, 600 * S);
	assert_int_equal(gang->deadline_ns, 700 * S);
	gangs_set(gangs, members[1], GANG_LOOSE); /* going back and forth is no progress */
	gangs_set_deadline(gang, 110 * S, 30 * S, 600 * S);
	gangs_set(gangs, members[1], GANG_BOUND);
	gangs_set_deadline(gang, 120 * S, 30 * S, 600 * S);
	assert_int_equal(gang->deadline_ns, 700 * S);
	assert_int_equal(gangs_step(gang, 700 * S - 1, false), GANG_STEP_WAIT);
	assert_int_equal(gangs_step(gang, 700 * S, false), GANG_STEP_UNDO);
	gang->undoing = true;
	assert_int_equal(gangs_step(gang, 700 * S, false), GANG_STEP_WAIT);
	gangs_enter(gangs, gang, GANG_UNDOING, 700 * S);
	assert_int_equal(gangs_step(gang, 700 * S, true), GANG_STEP_WAIT);
	gang->undoing = false;
	assert_int_equal(gangs_step(gang, 700 * S, true), GANG_STEP_GATHER);
	gangs_free(gangs);
}

static void test_a_commit_without_room_is_undone_sooner(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = begun(gangs, members);
	gangs_set_deadline(gang, 5 * S, 30 * S, 600 * S);
	gangs_place(gangs, members[2], false);
	gangs_set_deadline(gang, 200 * S, 30 * S, 600 * S);
	assert_int_equal(gang->deadline_ns, 230 * S);
	gangs_set_deadline(gang, 229 * S, 30 * S, 600 * S);
	assert_int_equal(gang->deadline_ns, 230 * S);
	gangs_place(gangs, members[2], true);
	gangs_set_deadline(gang, 229 * S, 30 * S, 600 * S);
	assert_int_equal(gang->deadline_ns, 605 * S);
	gangs_free(gangs);
}

static void test_a_node_lost_under_a_bound_member_is_not_waited_for(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = begun(gangs, members);
	gang->broken = true;
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_UNDO);
	gang->undo_after_ns = S;
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_WAIT);
	gang->undo_after_ns = 0;
	gang->kept = true;
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_WAIT);
	gangs_free(gangs);
}

static void test_nothing_bound_is_no_undo(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = begun(gangs, members);
	gangs_set(gangs, members[0], GANG_LOOSE);
	gangs_set_deadline(gang, 0, 30 * S, 600 * S);
	assert_int_equal(gangs_step(gang, 30 * S, false), GANG_STEP_GIVE_BACK);
	gangs_free(gangs);
}

static void test_a_member_that_ended_well_stands_for_its_part(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = begun(gangs, members);
	set_all(gangs, members, GANG_BOUND);
	gangs_set(gangs, members[0], GANG_DONE);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_WHOLE);
	gangs_enter(gangs, gang, GANG_WHOLE, 0);
	for (int i = 0; i < 3; i++)
		members[i]->pod->owner_uid = "job";
	gangs_remove(gangs, members[1]);
	gangs_remove(gangs, members[2]);
	struct gang_member *again = put(gangs, "d", GANG_LOOSE);
	again->pod->owner_uid = "job";
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_FILL);
	again->pod->owner_uid = "another job";
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_GATHER);
	gangs_free(gangs);
}

static void test_a_gang_of_which_none_stands_begins_again(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = begun(gangs, members);
	set_all(gangs, members, GANG_BOUND);
	gangs_enter(gangs, gang, GANG_WHOLE, 0);
	static const char *const uids[] = {"a", "b", "c"};
	put(gangs, "d", GANG_LOOSE);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_FILL);
		struct pod *pod = make(uids[i], "g", 3, 0);
		pod->deleting = true;
		gangs_put(gangs, pod, GANG_BOUND, 0)->owned = true;
	}
	assert_int_equal(gang->leaving, 3);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_GATHER);
	gangs_free(gangs);
}

static void test_a_hole_keeps_the_burst_from_starting(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = three(gangs, members, GANG_LOOSE);
	place_all(gangs, members);
	set_all(gangs, members, GANG_PARKED);
	gangs_enter(gangs, gang, GANG_RELEASED, 0);
	gangs_add_hole(gangs, gang, "n1");
	gangs_remove(gangs, members[2]);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_WAIT);
	struct gang_member *again = put(gangs, "d", GANG_LOOSE);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_FILL);
	assert_int_equal(gangs_step(gang, 0, false), GANG_STEP_WAIT);
	gangs_drop_hole(gangs, gang, 0);
	gangs_place(gangs, again, true);
	gangs_set(gangs, again, GANG_PARKED);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_COMMIT);
	gangs_free(gangs);
}

static void test_an_empty_gang_is_forgotten_when_its_last_hole_is(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *member = put(gangs, "a", GANG_LOOSE);
	struct gang *gang = member->gang;
	gangs_add_hole(gangs, gang, "n1");
	gangs_remove(gangs, member);
	assert_ptr_equal(gangs_take_changed(gangs), gang);
	gangs_drop_hole(gangs, gang, 0);
	assert_null(gangs_take_changed(gangs));
	assert_int_equal(gangs->by_key.count, 0);
	assert_int_equal(gangs->in_state[GANG_GATHERING], 0);
	gangs_free(gangs);
}

static void test_the_eldest_pod_says_the_size(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	gangs_put(gangs, make("a", "g", 4, 10), GANG_LOOSE, 0)->owned = true;
	struct gang_member *elder = gangs_put(gangs, make("b", "g", 2, 5), GANG_LOOSE, 0);
	elder->owned = true;
	gangs_put(gangs, make("c", "g", 9, 20), GANG_LOOSE, 0)->owned = true;
	assert_int_equal(gang_quorum(elder->gang), 2);
	assert_int_equal(elder->gang->created_ns, 5 * S);
	assert_string_equal(elder->gang->name, "g");
	assert_string_equal(elder->gang->namespace_, "team");
	gangs_free(gangs);
}

static void test_pods_that_change_their_word_are_heard(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *first = gangs_put(gangs, make("a", "g", 4, 5), GANG_LOOSE, 0);
	first->owned = true;
	gangs_put(gangs, make("b", "g", 2, 10), GANG_LOOSE, 0)->owned = true;
	struct gang *gang = first->gang;
	gangs_put(gangs, make("a", "g", 3, 5), GANG_LOOSE, 0)->owned = true;
	assert_int_equal(gang_quorum(gang), 3);
	gangs_remove(gangs, first);
	assert_int_equal(gang_quorum(gang), 2);
	gangs_put(gangs, make("b", "g", 0, 10), GANG_LOOSE, 0)->owned = true;
	assert_int_equal(gang_quorum(gang), 2); /* what was said last, as nobody says anything */
	gangs_free(gangs);
}

static void test_the_object_counts_before_the_pods(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *member = put(gangs, "a", GANG_LOOSE);
	struct gang *gang = member->gang;
	const struct gang_terms both = {.quorum = 5, .size = 8}, size = {.size = 8}, quorum = {.quorum = 2};
	assert_int_equal(gang_quorum(gang), 3);
	gangs_hear(gangs, gang, &both, false);
	assert_int_equal(gang_quorum(gang), 5);
	assert_int_equal(gang_size(gang), 8);
	gangs_hear(gangs, gang, &size, false);
	assert_int_equal(gang_quorum(gang), 8);
	gang->quorum = 1; /* a pod says it */
	assert_int_equal(gang_quorum(gang), 1);
	gangs_hear(gangs, gang, &quorum, false);
	assert_int_equal(gang_quorum(gang), 2);
	assert_int_equal(gang_size(gang), 3);
	gangs_hear(gangs, gang, NULL, false);
	assert_int_equal(gang_quorum(gang), 1);
	gangs_free(gangs);
}

static void test_an_object_that_cannot_be_read_leaves_the_size_unknown(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	struct gang *gang = three(gangs, members, GANG_LOOSE);
	while (gangs_take_changed(gangs))
		;
	gangs_hear(gangs, gang, NULL, true);
	assert_ptr_equal(gangs_take_changed(gangs), gang);
	assert_int_equal(gang_quorum(gang), 0);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_WAIT);
	gangs_hear(gangs, gang, NULL, true);
	assert_null(gangs_take_changed(gangs));
	gangs_hear(gangs, gang, NULL, false);
	assert_int_equal(gangs_step(gang, 0, true), GANG_STEP_QUEUE);
	gangs_free(gangs);
}

static void test_a_planned_gang_keeps_the_terms_of_an_object_that_went(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang *gang = put(gangs, "a", GANG_LOOSE)->gang;
	gangs_hear(gangs, gang, &(struct gang_terms){.quorum = 1}, false);
	gangs_enter(gangs, gang, GANG_PLANNED, 0);
	gangs_hear(gangs, gang, NULL, true);
	assert_int_equal(gang_quorum(gang), 1);
	gangs_hear(gangs, gang, &(struct gang_terms){.quorum = 2}, false);
	assert_int_equal(gang_quorum(gang), 2);
	gangs_free(gangs);
}

static void test_each_sub_group_has_its_quorum(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_group_terms groups[] = {{.name = "head", .quorum = 1}, {.name = "work", .quorum = 1}};
	const struct gang_terms terms = {.quorum = 2, .group_count = 2, .groups = groups};
	struct gang_member *member = NULL;
	for (int i = 0; i < 3; i++) {
		static const char *const uids[] = {"a", "b", "c"};
		struct pod *pod = make(uids[i], "g", 0, 0);
		struct pod_gang *says = arena_alloc(&pod->arena, sizeof *says);
		*says = *pod->gang;
		says->group = i < 2 ? "work" : "head";
		pod->gang = says;
		member = gangs_put(gangs, pod, GANG_LOOSE, 0);
		member->owned = true;
		gangs_hear(gangs, member->gang, &terms, false);
		assert_int_equal(gang_is_complete(member->gang), i == 2);
	}
	gangs_set(gangs, member, GANG_AWAY);
	assert_false(gang_is_complete(member->gang));
	gangs_free(gangs);
}

static struct pod *standing(const char *uid, int64_t created_s, struct gang_place place)
{
	struct pod *pod = make(uid, "g", 2, created_s);
	struct pod_gang *says = arena_alloc(&pod->arena, sizeof *says);
	*says = *pod->gang;
	says->terms.place = place;
	pod->gang = says;
	return pod;
}

static void test_where_it_stands_is_said_by_the_object_then_by_the_eldest(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_group_terms groups[] = {{.name = "work", .place = {.require = "rack"}}};
	const struct gang_terms terms = {.place = {.require = "block"}, .group_count = 1, .groups = groups};
	struct gang *gang = NULL;
	struct pod *pods[] = {standing("a", 9, (struct gang_place){.require = "zone", .prefer = "host"}),
	    standing("b", 1, (struct gang_place){.segment = 0}),
	    standing("c", 5, (struct gang_place){.require = "rack", .segment = 4, .segment_at = "host"})};
	for (int i = 0; i < 3; i++) {
		struct gang_member *member = gangs_put(gangs, pods[i], GANG_LOOSE, 0);
		member->owned = true;
		gang = member->gang;
	}
	struct gang_place place = gang_place_of(gang, NULL);
	assert_string_equal(place.require, "rack");
	assert_null(place.prefer);
	gangs_hear(gangs, gang, &terms, false);
	place = gang_place_of(gang, NULL);
	assert_string_equal(place.require, "block");
	assert_int_equal(place.segment, 4);
	assert_string_equal(place.segment_at, "host");
	place = gang_place_of(gang, "work");
	assert_string_equal(place.require, "rack");
	assert_null(gang_place_of(gang, "other").require);
	gangs_free(gangs);
}

static void test_what_a_gang_asks_for_in_all(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *members[3];
	static const char *const uids[] = {"a", "b", "c"};
	for (int i = 0; i < 2; i++) {
		members[i] = put(gangs, uids[i], GANG_LOOSE);
		gangs_weigh(members[i], 4);
		assert_int_equal(members[i]->pod->gang_gpus, 12); /* three are expected, and all alike so far */
	}
	gangs_weigh(members[1], 8);
	assert_int_equal(members[0]->pod->gang_gpus, 0); /* they are not */
	members[2] = put(gangs, uids[2], GANG_LOOSE);
	gangs_weigh(members[2], 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(members[i]->pod->gang_gpus, 13);
	gangs_hear(gangs, members[0]->gang, &(struct gang_terms){.size = 4}, false);
	assert_int_equal(members[0]->pod->gang_gpus, 0);
	gangs_hear(gangs, members[0]->gang, NULL, false);
	gangs_enter(gangs, members[0]->gang, GANG_PLANNED, 0);
	gangs_remove(gangs, members[2]);
	gangs_weigh(members[1], 8);
	assert_int_equal(members[0]->pod->gang_gpus, 13); /* what it was planned as */
	gangs_free(gangs);
}

static void test_a_pod_may_change_its_gang(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	gangs_put(gangs, make("a", "one/with a slash", 2, 0), GANG_LOOSE, 0)->owned = true;
	struct gang_member *member = gangs_put(gangs, make("a", "two", 2, 0), GANG_LOOSE, 0);
	member->owned = true;
	assert_string_equal(member->gang->name, "two");
	while (gangs_take_changed(gangs))
		;
	assert_int_equal(gangs->by_key.count, 1);
	gangs_free(gangs);
}

static void test_order(void **state)
{
	(void)state;
	struct gang a = {.key = (char *)"a", .priority = 1, .class_order = 2, .created_ns = 5}, b = a;
	b.key = (char *)"b";
	assert_true(gangs_order(&a, &b) < 0);
	b.created_ns = 4;
	assert_true(gangs_order(&a, &b) > 0);
	a.class_order = 1;
	assert_true(gangs_order(&a, &b) < 0);
	b.priority = 2;
	assert_true(gangs_order(&a, &b) > 0);
}

static void test_refused_nodes_are_remembered_once(void **state)
{
	(void)state;
	struct gangs *gangs = gangs_new();
	struct gang_member *member = put(gangs, "a", GANG_LOOSE);
	char name[16];
	assert_true(gangs_refuse(member, "n"));
	assert_false(gangs_refuse(member, "n"));
	for (int i = 1; i < GANG_REFUSED_MAX; i++) {
		snprintf(name, sizeof name, "n%d", i);
		assert_true(gangs_refuse(member, name));
	}
	assert_false(gangs_refuse(member, "one too many"));
	gangs_free(gangs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_gang_queues_once_its_quorum_is_there),
	    cmocka_unit_test(test_a_gang_of_unknown_size_waits),
	    cmocka_unit_test(test_the_road_to_whole),
	    cmocka_unit_test(test_room_goes_back_at_the_deadline_only_while_nothing_is_bound),
	    cmocka_unit_test(test_a_commit_that_does_not_go_on_is_undone),
	    cmocka_unit_test(test_a_commit_without_room_is_undone_sooner),
	    cmocka_unit_test(test_a_node_lost_under_a_bound_member_is_not_waited_for),
	    cmocka_unit_test(test_nothing_bound_is_no_undo),
	    cmocka_unit_test(test_a_member_that_ended_well_stands_for_its_part),
	    cmocka_unit_test(test_a_gang_of_which_none_stands_begins_again),
	    cmocka_unit_test(test_a_hole_keeps_the_burst_from_starting),
	    cmocka_unit_test(test_an_empty_gang_is_forgotten_when_its_last_hole_is),
	    cmocka_unit_test(test_the_eldest_pod_says_the_size),
	    cmocka_unit_test(test_pods_that_change_their_word_are_heard),
	    cmocka_unit_test(test_the_object_counts_before_the_pods),
	    cmocka_unit_test(test_an_object_that_cannot_be_read_leaves_the_size_unknown),
	    cmocka_unit_test(test_a_planned_gang_keeps_the_terms_of_an_object_that_went),
	    cmocka_unit_test(test_each_sub_group_has_its_quorum),
	    cmocka_unit_test(test_where_it_stands_is_said_by_the_object_then_by_the_eldest),
	    cmocka_unit_test(test_what_a_gang_asks_for_in_all),
	    cmocka_unit_test(test_a_pod_may_change_its_gang),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_refused_nodes_are_remembered_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
