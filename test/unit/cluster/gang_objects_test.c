#include "cluster/gang_objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static char changes[256];

static void changed(void *context, enum gang_object object, const char *namespace_, const char *name)
{
	size_t len = strlen(changes);

	(void)context;
	snprintf(changes + len, sizeof changes - len, "%d %s/%s;", (int)object, namespace_, name);
}

static struct gang_objects *objects;

static int set_up(void **state)
{
	(void)state;
	objects = gang_objects_new(changed, NULL);
	changes[0] = '\0';
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gang_objects_free(objects);
	return 0;
}

static void put(enum gang_object object, const char *name, const char *spec)
{
	struct err err;
	char text[512];

	snprintf(
	    text, sizeof text, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"team\"},\"spec\":{%s}}", name, spec);
	assert_int_equal(gang_objects_put(objects, object, slice_of(text), &err), 0);
}

static void remove_one(enum gang_object object, const char *name)
{
	struct err err;
	char text[128];

	snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"team\"}}", name);
	assert_int_equal(gang_objects_remove(objects, object, slice_of(text), &err), 0);
}

static void assert_changes(const char *expected)
{
	assert_string_equal(changes, expected);
	changes[0] = '\0';
}

static struct gang_terms terms;

static enum gang_answer ask(enum gang_dialect dialect, enum gang_object source, const char *name, const char *group)
{
	const struct pod_gang gang = {.dialect = dialect,
	    .name = name,
	    .group = group,
	    .rank = -1,
	    .part = -1,
	    .source = source,
	    .source_name = name};

	return gang_objects_resolve(objects, "team", &gang, &terms);
}

static void what_a_gang_is_told(void **state)
{
	enum gang_object job = GANG_OBJECT_JOB;
	struct err err;

	(void)state;
	assert_int_equal(ask(GANG_BERTH, GANG_OBJECT_NONE, "g", NULL), GANG_ANSWER_PODS);
	assert_int_equal(ask(GANG_INDEXED_JOB, job, "j", NULL), GANG_ANSWER_UNKNOWN);
	gang_objects_begin(objects, job);
	put(job, "j", "\"completionMode\":\"Indexed\",\"completions\":4,\"parallelism\":4");
	put(job, "k", "\"completions\":4,\"parallelism\":4");
	assert_changes("15 team/j;15 team/k;");
	assert_int_equal(ask(GANG_INDEXED_JOB, job, "j", NULL), GANG_ANSWER_TERMS); /* before the list's end, too */
	assert_int_equal(terms.size, 4);
	assert_int_equal(ask(GANG_INDEXED_JOB, job, "other", NULL), GANG_ANSWER_UNKNOWN);
	assert_false(gang_objects_known(objects, job));
	gang_objects_synced(objects, job);
	assert_true(gang_objects_known(objects, job));
	assert_int_equal(ask(GANG_INDEXED_JOB, job, "other", NULL), GANG_ANSWER_MISSING);
	assert_int_equal(ask(GANG_INDEXED_JOB, job, "k", NULL), GANG_ANSWER_SINGLE);
	put(job, "j", "\"completionMode\":\"Indexed\",\"completions\":4,\"parallelism\":\"4\"");
	assert_int_equal(ask(GANG_INDEXED_JOB, job, "j", NULL), GANG_ANSWER_MISSING);
	assert_changes("15 team/j;");
	assert_int_equal(gang_objects_put(objects, job, slice_of("{}"), &err), -1);
	assert_int_equal(gang_objects_remove(objects, job, slice_of("{}"), &err), -1);
	assert_changes("");
}

static void changes_are_told_once(void **state)
{
	enum gang_object kind = GANG_OBJECT_VOLCANO_POD_GROUP;

	(void)state;
	gang_objects_begin(objects, kind);
	put(kind, "a", "\"minMember\":2");
	put(kind, "b", "\"minMember\":3,\"minTaskMember\":{\"w\":1}");
	gang_objects_synced(objects, kind);
	assert_changes("4 team/a;4 team/b;");
	put(kind, "a", "\"minMember\":2,\"queue\":\"q\"");
	assert_changes("");
	put(kind, "b", "\"minMember\":3,\"minTaskMember\":{\"w\":2}");
	assert_changes("4 team/b;");
	gang_objects_begin(objects, kind); /* again, without a */
	put(kind, "b", "\"minMember\":3,\"minTaskMember\":{\"w\":2}");
	gang_objects_synced(objects, kind);
	assert_changes("4 team/a;");
	assert_int_equal(ask(GANG_VOLCANO, kind, "a", NULL), GANG_ANSWER_MISSING);
	remove_one(kind, "a");
	assert_changes("");
	remove_one(kind, "b");
	assert_changes("4 team/b;");
	put(kind, "c", "\"minMember\":1");
	gang_objects_lost(objects, kind);
	assert_changes("4 team/c;4 team/c;");
	assert_int_equal(ask(GANG_VOLCANO, kind, "c", NULL), GANG_ANSWER_UNKNOWN);
}

static void groups_that_are_gangs_of_their_own(void **state)
{
	enum gang_object kind = GANG_OBJECT_WORKLOAD;

	(void)state;
	gang_objects_begin(objects, kind);
	gang_objects_synced(objects, kind);
	put(kind, "w",
	    "\"podGroups\":[{\"name\":\"driver\",\"policy\":{\"basic\":{}}},"
	    "{\"name\":\"workers\",\"policy\":{\"gang\":{\"minCount\":6}}}]");
	assert_int_equal(ask(GANG_IN_TREE, kind, "w", "workers"), GANG_ANSWER_TERMS);
	assert_int_equal(terms.quorum, 6);
	assert_int_equal(terms.group_count, 0);
	assert_int_equal(ask(GANG_IN_TREE, kind, "w", "driver"), GANG_ANSWER_SINGLE);
	assert_int_equal(ask(GANG_IN_TREE, kind, "w", "others"), GANG_ANSWER_MISSING);
}

static void jobs_that_come_later_are_gangs_of_their_own(void **state)
{
	enum gang_object kind = GANG_OBJECT_JOBSET;

	(void)state;
	gang_objects_begin(objects, kind);
	gang_objects_synced(objects, kind);
	put(kind, "s",
	    "\"replicatedJobs\":[{\"name\":\"data\",\"replicas\":2},"
	    "{\"name\":\"work\",\"replicas\":3,\"dependsOn\":[{\"name\":\"data\"}]}]");
	assert_int_equal(ask(GANG_JOBSET, kind, "s", "data"), GANG_ANSWER_TERMS);
	assert_int_equal(terms.quorum, 2);
	assert_int_equal(ask(GANG_JOBSET, kind, "s", "work"), GANG_ANSWER_STAGE);
	assert_int_equal(terms.quorum, 3);
	assert_int_equal(terms.group_count, 1);
	assert_string_equal(terms.groups[0].name, "work");
}

/* A pod without a controller does not tell which of Kubeflow's kinds it is of. */
static void any_kind_of_kubeflow(void **state)
{
	(void)state;
	gang_objects_begin(objects, GANG_OBJECT_TF_JOB);
	gang_objects_synced(objects, GANG_OBJECT_TF_JOB);
	put(GANG_OBJECT_TF_JOB, "t", "\"tfReplicaSpecs\":{\"Worker\":{\"replicas\":3}}");
	assert_int_equal(ask(GANG_KUBEFLOW, GANG_OBJECT_NONE, "t", "worker"), GANG_ANSWER_TERMS);
	assert_int_equal(terms.size, 3);
	assert_int_equal(ask(GANG_KUBEFLOW, GANG_OBJECT_NONE, "u", "worker"), GANG_ANSWER_UNKNOWN);
	assert_int_equal(ask(GANG_KUBEFLOW, GANG_OBJECT_TF_JOB, "u", "worker"), GANG_ANSWER_MISSING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_a_gang_is_told, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(changes_are_told_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(groups_that_are_gangs_of_their_own, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(jobs_that_come_later_are_gangs_of_their_own, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(any_kind_of_kubeflow, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
