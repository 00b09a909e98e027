#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/patch.h"
#include "sim/route.h"
#include "sim/selector.h"

struct patch_case {
	enum sim_patch_kind kind;
	const char *object, *patch, *result; /* result NULL: refused */
	int code;
};

static const struct patch_case cases[] = {
    {SIM_PATCH_MERGE, "{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"x\":null,\"z\":3}}", "{\"a\":{\"y\":2,\"z\":3}}", 0},
    {SIM_PATCH_MERGE, "{\"l\":[1,2]}", "{\"l\":[3]}", "{\"l\":[3]}", 0},
    {SIM_PATCH_MERGE, "{}", "{\"a\":{\"b\":null,\"c\":1}}", "{\"a\":{\"c\":1}}", 0},
    {SIM_PATCH_MERGE, "{\"conditions\":[{\"type\":\"A\"}]}", "{\"conditions\":[{\"type\":\"B\"}]}",
        "{\"conditions\":[{\"type\":\"B\"}]}", 0},
    {SIM_PATCH_MERGE, "{}", "[]", NULL, ERR_INPUT},
    {SIM_PATCH_STRATEGIC, "{\"status\":{\"conditions\":[{\"type\":\"A\",\"status\":\"True\"},{\"type\":\"B\"}]}}",
        "{\"status\":{\"conditions\":[{\"type\":\"A\",\"status\":\"False\"},{\"type\":\"C\"}]}}",
        "{\"status\":{\"conditions\":[{\"type\":\"A\",\"status\":\"False\"},{\"type\":\"B\"},{\"type\":\"C\"}]}}", 0},
    {SIM_PATCH_STRATEGIC, "{\"schedulingGates\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
        "{\"schedulingGates\":[{\"$patch\":\"delete\",\"name\":\"a\"}],\"$setElementOrder/schedulingGates\":[]}",
        "{\"schedulingGates\":[{\"name\":\"b\"}]}", 0},
    {SIM_PATCH_STRATEGIC, "{\"a\":{\"x\":1}}", "{\"a\":{\"$patch\":\"replace\",\"y\":2}}", "{\"a\":{\"y\":2}}", 0},
    {SIM_PATCH_STRATEGIC, "{\"args\":[\"x\"]}", "{\"args\":[\"y\"]}", "{\"args\":[\"y\"]}", 0},
    {SIM_PATCH_JSON, "{\"a\":{\"b/c\":1}}", "[{\"op\":\"replace\",\"path\":\"/a/b~1c\",\"value\":2}]",
        "{\"a\":{\"b/c\":2}}", 0},
    {SIM_PATCH_JSON, "{\"l\":[1,3]}",
        "[{\"op\":\"add\",\"path\":\"/l/1\",\"value\":2},{\"op\":\"add\",\"path\":\"/l/-\",\"value\":4}]",
        "{\"l\":[1,2,3,4]}", 0},
    {SIM_PATCH_JSON, "{\"l\":[1,2]}",
        "[{\"op\":\"test\",\"path\":\"/l/0\",\"value\":1},{\"op\":\"remove\",\"path\":\"/l/0\"}]", "{\"l\":[2]}", 0},
    {SIM_PATCH_JSON, "{\"l\":[1,2]}", "[{\"op\":\"test\",\"path\":\"/l/0\",\"value\":9}]", NULL, ERR_REFUSED},
    {SIM_PATCH_JSON, "{}", "[{\"op\":\"remove\",\"path\":\"/nothing\"}]", NULL, ERR_REFUSED},
    {SIM_PATCH_JSON, "{}", "[{\"op\":\"replace\",\"path\":\"/a/b\",\"value\":1}]", NULL, ERR_REFUSED},
    {SIM_PATCH_JSON, "{}", "[{\"op\":\"frobnicate\",\"path\":\"/a\",\"value\":1}]", NULL, ERR_INPUT},
    {SIM_PATCH_JSON, "{}", "[{\"op\":\"add\",\"path\":\"/a\"}]", NULL, ERR_INPUT},
    {SIM_PATCH_JSON, "{}", "{}", NULL, ERR_INPUT},
};

static void patches_apply(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *object = json_loads(cases[i].object, 0, NULL), *patch = json_loads(cases[i].patch, 0, NULL);
		json_t *result = cases[i].result ? json_loads(cases[i].result, 0, NULL) : NULL;
		struct err err;

		assert_non_null(object);
		assert_non_null(patch);
		assert_int_equal(sim_patch(object, cases[i].kind, patch, &err), cases[i].code);
		if (result && !json_equal(object, result))
			fail_msg("case %zu: %s", i, json_dumps(object, 0));
		json_decref(object);
		json_decref(patch);
		json_decref(result);
	}
}

static void content_types_are_told_apart(void **state)
{
	enum sim_patch_kind kind;

	(void)state;
	assert_true(sim_patch_kind_of("application/strategic-merge-patch+json; charset=utf-8", &kind));
	assert_int_equal(kind, SIM_PATCH_STRATEGIC);
	assert_true(sim_patch_kind_of("application/json-patch+json", &kind));
	assert_int_equal(kind, SIM_PATCH_JSON);
	assert_false(sim_patch_kind_of("application/apply-patch+yaml", &kind));
	assert_false(sim_patch_kind_of("application/json", &kind));
	assert_false(sim_patch_kind_of(NULL, &kind));
}

static void paths_are_read(void **state)
{
	static const char *const unknown[] = {"/", "", "/api", "/api/v1", "/api/v1/", "/api/v1/secrets",
	    "/apis/batch/v1/pods", "/api/v2/pods", "/api/v1/namespaces/d/nodes", "/api/v1/pods/a",
	    "/api/v1/namespaces/d/pods/a/exec", "/api/v1/namespaces/d/pods/a/status/x", "/api/v1/nodes/n/binding",
	    "/api/v1/namespaces//pods"};
	struct sim_route route;

	(void)state;
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		if (sim_route_parse(slice_of(unknown[i]), &route))
			fail_msg("%s has a route", unknown[i]);
	assert_true(sim_route_parse(slice_of("/api/v1/namespaces/d/pods/a/binding"), &route));
	assert_int_equal(route.resource, SIM_PODS);
	assert_int_equal(route.sub, SIM_SUB_BINDING);
	assert_string_equal(route.namespace_, "d");
	assert_string_equal(route.name, "a");
	assert_true(sim_route_parse(slice_of("/apis/batch/v1/jobs"), &route));
	assert_int_equal(route.resource, SIM_JOBS);
	assert_string_equal(route.namespace_, "");
	assert_true(sim_route_parse(slice_of("/apis/events.k8s.io/v1/namespaces/d/events"), &route));
	assert_int_equal(route.resource, SIM_EVENTS);
	assert_true(sim_route_parse(slice_of("/apis/kueue.x-k8s.io/v1beta1/namespaces/d/workloads"), &route));
	assert_int_equal(route.resource, SIM_WORKLOADS);
	assert_true(sim_route_is_group(slice_of("/apis/kueue.x-k8s.io/v1beta2")));
	assert_false(sim_route_is_group(slice_of("/apis/kueue.x-k8s.io/v1beta2/workloads")));
	assert_false(
	    sim_route_is_group(slice_of("/apis/jobset.x-k8s.io/v1alpha2")) || sim_route_is_group(slice_of("/apis")));
	assert_true(sim_route_parse(slice_of("/api/v1/nodes/n/status"), &route));
	assert_int_equal(route.sub, SIM_SUB_STATUS);
}

static void selectors_select(void **state)
{
	const struct sim_version pod = {
	    .namespace_ = "d", .name = "a", .node = "n1", .phase = "Running", .scheduler = "berth", .uid = ""};
	struct sim_selector selector;
	struct err err;

	(void)state;
	assert_int_equal(sim_selector_parse(&selector, "d", "spec.nodeName=n1,status.phase!=Failed", &err), 0);
	assert_true(sim_selector_matches(&selector, &pod));
	assert_int_equal(sim_selector_parse(&selector, "", "spec.nodeName==n2", &err), 0);
	assert_false(sim_selector_matches(&selector, &pod));
	assert_int_equal(sim_selector_parse(&selector, "other", NULL, &err), 0);
	assert_false(sim_selector_matches(&selector, &pod));
	assert_int_equal(sim_selector_parse(&selector, "", "spec.color=red", &err), ERR_INPUT);
	assert_int_equal(sim_selector_parse(&selector, "", "nonsense", &err), ERR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(patches_apply),
	    cmocka_unit_test(content_types_are_told_apart),
	    cmocka_unit_test(paths_are_read),
	    cmocka_unit_test(selectors_select),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
