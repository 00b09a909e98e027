/* Each verdict by its own case, the pod's reason out of its nodes', and what each score term says. */
#include "world.h"

struct scene {
	struct fleet *fleet;
	struct policy *policy;
	struct pod *pod;
};

static int begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	scene->fleet = fleet_new(&world_catalogue);
	scene->policy = policy_world();
	fleet_set_policy(scene->fleet, scene->policy);
	scene->pod = pod_simple(scene->fleet, "p", 1000, 1);
	*state = scene;
	return 0;
}

static int end(void **state)
{
	struct scene *scene = *state;
	fleet_free(scene->fleet);
	policy_free(scene->policy);
	pod_free(scene->pod);
	free(scene);
	return 0;
}

static enum reason verdict(struct scene *scene, struct node_spec *spec)
{
	return decide_node(scene->fleet, scene->pod, fleet_put_node(scene->fleet, spec), NULL);
}

static struct node_spec *h100(struct scene *scene)
{
	return spec_simple(scene->fleet, "n", H100, 8);
}

static void verdicts_on_presence(void **state)
{
	struct scene *scene = *state;
	struct node_spec *spec = h100(scene);
	assert_int_equal(verdict(scene, spec), REASON_CODE_FITS);
	assert_int_equal(decide_node(scene->fleet, scene->pod, NULL, NULL), REASON_CODE_NODE_UNKNOWN);
	spec = h100(scene);
	spec->ready = false;
	spec->unschedulable = true;
	assert_int_equal(verdict(scene, spec), REASON_CODE_NODE_NOT_READY);
	spec = h100(scene);
	spec->unschedulable = true;
	spec_taint(spec, "node.kubernetes.io/unschedulable", "", TAINT_NO_SCHEDULE);
	assert_int_equal(verdict(scene, spec), REASON_CODE_NODE_CORDONED);
	pod_tolerates(scene->pod, "node.kubernetes.io/unschedulable", NULL);
	struct node *node = fleet_find(scene->fleet, slice_of("n"));
	assert_int_equal(decide_node(scene->fleet, scene->pod, node, NULL), REASON_CODE_FITS);
	spec = h100(scene);
	spec_taint(spec, "gpu-error", "", TAINT_NO_SCHEDULE);
	assert_int_equal(verdict(scene, spec), REASON_CODE_NODE_AVOIDED);
	spec = h100(scene);
	spec_taint(spec, "team", "red", TAINT_NO_EXECUTE);
	assert_int_equal(verdict(scene, spec), REASON_CODE_NODE_TAINTED);
	spec = h100(scene);
	spec_taint(spec, "team", "red", TAINT_PREFER_NO_SCHEDULE);
	assert_int_equal(verdict(scene, spec), REASON_CODE_FITS);
	pod_requires(scene->pod, "zone", SELECTOR_EXISTS, NULL);
	assert_int_equal(verdict(scene, h100(scene)), REASON_CODE_NODE_SELECTOR);
}

static void verdicts_on_kind(void **state)
{
	struct scene *scene = *state;
	struct pod *pod = scene->pod;
	assert_int_equal(verdict(scene, spec_simple(scene->fleet, "n", NO_GPUS, 0)), REASON_CODE_GPU_NOT_THERE);
	assert_int_equal(verdict(scene, spec_simple(scene->fleet, "n", H100, 0)), REASON_CODE_GPU_NOT_THERE);
	pod->class_name = "only";
	assert_int_equal(verdict(scene, h100(scene)), REASON_CODE_ONLY_FORBIDS);
	assert_int_equal(verdict(scene, spec_simple(scene->fleet, "n", T4, 4)), REASON_CODE_FITS);
	scene->policy->pools[A100].gpu = "T4";
	fleet_set_policy(scene->fleet, scene->policy);
	assert_int_equal(verdict(scene, spec_simple(scene->fleet, "n", T4, 4)), REASON_CODE_NODE_IN_TWO_POOLS);
	pod->class_name = "prefer";
	pod->dtypes = DTYPE_BIT(DTYPE_FP16);
	assert_int_equal(verdict(scene, spec_simple(scene->fleet, "n", T4, 4)), REASON_CODE_FITS);
	pod->dtypes = 0; /* the class assumes bf16 */
	assert_int_equal(verdict(scene, spec_simple(scene->fleet, "n", T4, 4)), REASON_CODE_DTYPE);
	pod->gpu_memory_bytes = 24 * GIB; /* an L4 has 23034 MiB: within 7 % */
	assert_int_equal(verdict(scene, spec_simple(scene->fleet, "n", L4, 4)), REASON_CODE_FITS);
	pod->gpu_memory_bytes = 25 * GIB;
	assert_int_equal(verdict(scene, spec_simple(scene->fleet, "n", L4, 4)), REASON_CODE_GPU_MEMORY);
	pod->gpu_memory_bytes = 1;
	struct node_spec *unknown = spec_simple(scene->fleet, "n", L4, 4);
	unknown->lanes[0].memory_mib = 0;
	assert_int_equal(verdict(scene, unknown), REASON_CODE_GPU_MEMORY);
}

static void verdicts_on_room(void **state)
{
	struct scene *scene = *state;
	struct pod *pod = scene->pod;
	resource_id gpu = id_of(scene->fleet, "nvidia.com/gpu"), rdma = id_of(scene->fleet, "rdma/hca");
	struct node_spec *spec = h100(scene);
	struct pod *other = pod_simple(scene->fleet, "other", 31500, 7);
	pod_asks(other, RESOURCE_MEMORY, 255 * GIB);
	ledger_reserve(scene->fleet, other, slice_of("n"), LEDGER_BOUND, false, 0, 0);
	pod_asks(pod, gpu, 9);
	assert_int_equal(verdict(scene, spec), REASON_CODE_TOO_LARGE);
	pod_asks(pod, gpu, 2);
	assert_int_equal(verdict(scene, h100(scene)), REASON_CODE_NO_CPU);
	pod_asks(pod, RESOURCE_CPU, 100);
	pod_asks(pod, RESOURCE_MEMORY, 2 * GIB);
	assert_int_equal(verdict(scene, h100(scene)), REASON_CODE_NO_MEMORY);
	pod_asks(pod, RESOURCE_MEMORY, 0);
	pod_asks(pod, rdma, 1);
	assert_int_equal(verdict(scene, h100(scene)), REASON_CODE_TOO_LARGE);
	pod_asks(other, rdma, 1);
	ledger_update(scene->fleet, ledger_find(scene->fleet, slice_of("other")), other);
	spec = h100(scene);
	spec_amount(spec, rdma, 1, 1);
	assert_int_equal(verdict(scene, spec), REASON_CODE_NO_RESOURCE);
	pod_asks(pod, rdma, 0);
	assert_int_equal(verdict(scene, h100(scene)), REASON_CODE_NO_GPU);
	pod_asks(pod, gpu, 1);
	spec = h100(scene);
	spec_amount(spec, gpu, 7, 8);
	assert_int_equal(verdict(scene, spec), REASON_CODE_GPUS_UNHEALTHY);
	spec = h100(scene);
	spec_amount(spec, gpu, 0, 8);
	assert_int_equal(verdict(scene, spec), REASON_CODE_GPUS_UNHEALTHY);
	pod_asks(pod, gpu, 2);
	spec = h100(scene);
	spec_amount(spec, gpu, 7, 8);
	assert_int_equal(verdict(scene, spec), REASON_CODE_NO_GPU);
	spec = h100(scene);
	spec_amount(spec, RESOURCE_PODS, 1, 1);
	assert_int_equal(verdict(scene, spec), REASON_CODE_NO_PODS);
	pod_free(other);
}

static void a_pod_without_requests_needs_only_a_slot(void **state)
{
	struct scene *scene = *state;
	struct node_spec *spec = h100(scene);
	struct pod *full = pod_simple(scene->fleet, "full", 64000, 16), *none = pod_new("none");
	ledger_reserve(scene->fleet, full, slice_of("n"), LEDGER_BOUND, false, 0, 0);
	struct node *node = fleet_put_node(scene->fleet, spec);
	assert_int_equal(decide_node(scene->fleet, none, node, NULL), REASON_CODE_FITS);
	pod_free(full);
	pod_free(none);
}

static void its_own_entry_is_not_in_its_way(void **state)
{
	struct scene *scene = *state;
	struct decision decision;
	pod_asks(scene->pod, id_of(scene->fleet, "nvidia.com/gpu"), 8);
	fleet_put_node(scene->fleet, h100(scene));
	ledger_reserve(scene->fleet, scene->pod, slice_of("n"), LEDGER_ASSUMED, true, 0, SECOND);
	decide_fleet(scene->fleet, scene->pod, &decision);
	assert_string_equal(decision.node->name, "n");
	/* Nor on the node as a request carries it, which replaces the one watched. */
	struct node *whole = decide_whole_node(scene->fleet, h100(scene));
	assert_int_equal(decide_node(scene->fleet, scene->pod, whole, NULL), REASON_CODE_FITS);
	struct pod *other = pod_simple(scene->fleet, "other", 0, 1);
	assert_int_equal(decide_node(scene->fleet, other, whole, NULL), REASON_CODE_NO_GPU);
	decide_whole_node_free(whole);
	whole = decide_whole_node(scene->fleet, spec_simple(scene->fleet, "not seen", H100, 8));
	decide_among(scene->fleet, other, &whole, 1, &decision, NULL);
	assert_ptr_equal(decision.node, whole);
	decide_whole_node_free(whole);
	pod_free(other);
}

static void the_pods_own_reason(void **state)
{
	struct scene *scene = *state;
	struct fleet *fleet = scene->fleet;
	struct decision decision;
	enum reason reasons[3];
	decide_among(fleet, scene->pod, NULL, 0, &decision, NULL);
	assert_int_equal(decision.reason, REASON_CODE_NO_CANDIDATES);
	decide_fleet(fleet, scene->pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_NO_CANDIDATES);
	struct node_spec *small = spec_simple(fleet, "b", L4, 4);
	spec_amount(small, RESOURCE_CPU, 500, 500);
	struct node *nodes[] = {
	    fleet_put_node(fleet, spec_simple(fleet, "a", NO_GPUS, 0)), fleet_put_node(fleet, small), NULL};
	decide_among(fleet, scene->pod, nodes, 3, &decision, reasons);
	assert_int_equal(decision.reason, REASON_CODE_TOO_LARGE);
	assert_int_equal(reasons[0], REASON_CODE_GPU_NOT_THERE);
	assert_int_equal(reasons[2], REASON_CODE_NODE_UNKNOWN);
	assert_int_equal(decision.seen, 3);
	assert_int_equal(decision.by_reason[REASON_CODE_NODE_UNKNOWN], 1);
	decide_fleet(fleet, scene->pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_TOO_LARGE);
	assert_int_equal(decision.by_reason[REASON_CODE_GPU_NOT_THERE], 1);
	scene->pod->trouble = REASON_CODE_BAD_ANNOTATION;
	decide_among(fleet, scene->pod, nodes, 3, &decision, reasons);
	assert_int_equal(decision.reason, REASON_CODE_BAD_ANNOTATION);
	assert_int_equal(reasons[1], REASON_CODE_BAD_ANNOTATION);
	scene->pod->class_name = "unknown";
	decide_fleet(fleet, scene->pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_CLASS_UNKNOWN);
	assert_null(decision.class_);
}

static void each_node_has_its_verdict_and_its_score(void **state)
{
	struct scene *scene = *state;
	struct fleet *fleet = scene->fleet;
	struct score scores[4], alone;
	enum reason reasons[4];
	struct node *nodes[] = {fleet_put_node(fleet, spec_simple(fleet, "a", H100, 8)), NULL,
	    fleet_put_node(fleet, spec_simple(fleet, "b", NO_GPUS, 0)),
	    fleet_put_node(fleet, spec_simple(fleet, "c", H100, 4))};
	decide_each(fleet, scene->pod, nodes, 4, reasons, scores);
	assert_int_equal(reasons[1], REASON_CODE_NODE_UNKNOWN);
	assert_int_equal(reasons[2], REASON_CODE_GPU_NOT_THERE);
	for (size_t i = 0; i < 4; i += 3) {
		assert_int_equal(reasons[i], decide_node(fleet, scene->pod, nodes[i], &alone));
		assert_int_equal(reasons[i], REASON_CODE_FITS);
		assert_memory_equal(&scores[i], &alone, sizeof alone);
	}
	assert_true(scores[3].total > scores[0].total);
	scene->pod->trouble = REASON_CODE_BAD_REQUEST;
	decide_each(fleet, scene->pod, nodes, 4, reasons, scores);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(reasons[i], REASON_CODE_BAD_REQUEST);
}

static void what_only_forbids_for_good(void **state)
{
	struct scene *scene = *state;
	struct fleet *fleet = scene->fleet;
	struct decision decision;
	struct node_spec *t4 = spec_simple(fleet, "t", T4, 4), *h = h100(scene);
	spec_label(h, "kind", "h100");
	spec_label(t4, "kind", "t4");
	fleet_put_node(fleet, h);
	struct node *there = fleet_put_node(fleet, t4);
	scene->pod->class_name = "only";
	decide_fleet(fleet, scene->pod, &decision);
	assert_ptr_equal(decision.node, there);
	/* The pod itself asks for what the class forbids. */
	pod_requires(scene->pod, "kind", SELECTOR_IN, "h100");
	decide_fleet(fleet, scene->pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_ONLY_UNMEETABLE);
	/* The allowed node is there and only not ready: that is waiting. */
	scene->pod->has_required = false;
	t4 = spec_simple(fleet, "t", T4, 4);
	t4->ready = false;
	fleet_put_node(fleet, t4);
	decide_fleet(fleet, scene->pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_ONLY_FORBIDS);
}

/* More memory, or another number format, than any GPU of the class's pools has is asking for what the class forbids, as
 * long as there is such a GPU; else it is the fleet that lacks it. */
static void what_only_leaves_is_too_small(void **state)
{
	struct scene *scene = *state;
	struct fleet *fleet = scene->fleet;
	struct pod *pod = scene->pod;
	struct decision decision;
	struct node *nodes[2] = {
	    fleet_put_node(fleet, spec_simple(fleet, "t", T4, 4)), fleet_put_node(fleet, h100(scene))};
	pod->class_name = "only";
	pod->gpu_memory_bytes = 40 * GIB;
	decide_fleet(fleet, pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_ONLY_UNMEETABLE);
	decide_among(fleet, pod, nodes, 2, &decision, NULL);
	assert_int_equal(decision.reason, REASON_CODE_ONLY_UNMEETABLE);
	decide_among(fleet, pod, nodes, 1, &decision, NULL);
	assert_int_equal(decision.reason, REASON_CODE_GPU_MEMORY);
	pod->gpu_memory_bytes = 200 * GIB;
	decide_fleet(fleet, pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_GPU_MEMORY);
	pod->gpu_memory_bytes = 0;
	pod->dtypes = DTYPE_BIT(DTYPE_BF16);
	decide_fleet(fleet, pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_ONLY_UNMEETABLE);
	/* An A100 is allowed, and is only away. */
	struct node_spec *a100 = spec_simple(fleet, "a", A100, 8);
	a100->ready = false;
	fleet_put_node(fleet, a100);
	decide_fleet(fleet, pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_DTYPE);
}

/* ---- scores ---- */

static struct score score_on(struct scene *scene, const struct pod *pod, struct node_spec *spec)
{
	struct score score;
	assert_int_equal(decide_node(scene->fleet, pod, fleet_put_node(scene->fleet, spec), &score), REASON_CODE_FITS);
	return score;
}

static void near(double got, double wanted)
{
	assert_true(got > wanted - 1e-9 && got < wanted + 1e-9);
}

static void terms_for_gpus(void **state)
{
	struct scene *scene = *state;
	struct pod *pod = scene->pod, *other = pod_simple(scene->fleet, "other", 0, 5);
	struct score score = score_on(scene, pod, h100(scene));
	near(score.terms[SCORE_BEST_FIT], 1 - 7.0 / 8);
	near(score.terms[SCORE_WHOLE_NODES], 0);
	near(score.terms[SCORE_MODEL_FIT], 1);
	near(score.terms[SCORE_COST], 1.0 / 9);
	ledger_reserve(scene->fleet, other, slice_of("n"), LEDGER_BOUND, true, 0, 0);
	score = score_on(scene, pod, h100(scene));
	near(score.terms[SCORE_BEST_FIT], 1 - 2.0 / 8);
	near(score.terms[SCORE_WHOLE_NODES], 1);
	pod_asks(pod, id_of(scene->fleet, "nvidia.com/gpu"), 8);
	near(score_on(scene, pod, spec_simple(scene->fleet, "m", A100, 8)).terms[SCORE_WHOLE_NODES], 1);
	pod_asks(pod, id_of(scene->fleet, "nvidia.com/gpu"), 1);
	pod->class_name = "prefer"; /* t4, l4, a100 */
	near(score_on(scene, pod, spec_simple(scene->fleet, "m", L4, 4)).terms[SCORE_MODEL_FIT], 2.0 / 3);
	near(score_on(scene, pod, spec_simple(scene->fleet, "m", A100, 4)).terms[SCORE_MODEL_FIT], 1.0 / 3);
	near(score_on(scene, pod, h100(scene)).terms[SCORE_MODEL_FIT], 0);
	pod->gpu_memory_bytes = 20 * GIB;
	near(score_on(scene, pod, spec_simple(scene->fleet, "m", L4, 4)).terms[SCORE_MEMORY_FIT], 20480.0 / 23034);
	struct node_spec *sliced = spec_simple(scene->fleet, "s", A100, 0);
	struct pod *slice = pod_new("slice");
	pod_asks(slice, id_of(scene->fleet, "nvidia.com/mig-1g.10gb"), 1);
	spec_lane(sliced, id_of(scene->fleet, "nvidia.com/mig-1g.10gb"), GPU_SLICE, &world_models[A100], 7, 7);
	near(score_on(scene, slice, sliced).terms[SCORE_COST], 1 / (1 + 4.0 / 7));
	pod_free(slice);
	pod_free(other);
}

static void terms_of_the_nodes_words(void **state)
{
	struct scene *scene = *state;
	struct pod *pod = scene->pod;
	struct node_spec *spec = h100(scene);
	spec_taint(spec, "soft", "", TAINT_PREFER_NO_SCHEDULE);
	spec_taint(spec, "softer", "", TAINT_PREFER_NO_SCHEDULE);
	near(score_on(scene, pod, spec).terms[SCORE_PREFER_NO_SCHEDULE], 1.0 / 3);
	struct preferred_term preferred[] = {{30, term_of(&pod->arena, "zone", SELECTOR_IN, "a")},
	    {10, term_of(&pod->arena, "zone", SELECTOR_IN, "b")}, {.weight = 60}};
	pod->preferred = preferred;
	pod->preferred_count = 3;
	spec = h100(scene);
	spec_label(spec, "zone", "a");
	near(score_on(scene, pod, spec).terms[SCORE_NODE_AFFINITY], 0.75);
	near(score_on(scene, pod, h100(scene)).terms[SCORE_NODE_AFFINITY], 0);
}

static void siblings_go_apart(void **state)
{
	struct scene *scene = *state;
	struct fleet *fleet = scene->fleet;
	struct decision decision;
	/* Two blocks have a rack of the same name; the last node has no labels. */
	static const char *const places[][3] = {
	    {"a1", "b0", "r0"}, {"a2", "b0", "r0"}, {"b1", "b1", "r0"}, {"c1", NULL, NULL}};
	for (size_t i = 0; i < 4; i++) {
		struct node_spec *spec = spec_simple(fleet, places[i][0], L4, 4);
		if (places[i][1]) {
			spec_label(spec, "block", places[i][1]);
			spec_label(spec, "rack", places[i][2]);
		}
		fleet_put_node(fleet, spec);
	}
	const char *const racks[] = {"a1", "b1", "c1", "a1"}, *const hosts[] = {"a1", "a2", "b1", "c1"};
	for (int hosts_apart = 0; hosts_apart < 2; hosts_apart++) {
		struct pod *pods[4];
		for (size_t i = 0; i < 4; i++) {
			char uid[16];
			snprintf(uid, sizeof(uid), "s%zu", i);
			pods[i] = pod_simple(fleet, uid, 100, 1);
			pods[i]->owner_uid = "service";
			pods[i]->class_name = hosts_apart ? "hosts" : "spread";
			decide_fleet(fleet, pods[i], &decision);
			assert_string_equal(decision.node->name, hosts_apart ? hosts[i] : racks[i]);
			ledger_reserve(fleet, pods[i], slice_of(decision.node->name), LEDGER_BOUND, true, 0, 0);
		}
		for (size_t i = 0; i < 4; i++) {
			ledger_release(fleet, ledger_find(fleet, slice_of(pods[i]->uid)));
			pod_free(pods[i]);
		}
	}
}

static void pods_without_gpus_strand_none(void **state)
{
	struct scene *scene = *state;
	struct fleet *fleet = scene->fleet;
	struct decision decision;
	struct pod *pod = pod_simple(fleet, "cpu", 8000, 0), *load = pod_simple(fleet, "load", 20000, 0);
	fleet_put_node(fleet, spec_simple(fleet, "a", H100, 8));
	fleet_put_node(fleet, spec_simple(fleet, "b", NO_GPUS, 0));
	fleet_put_node(fleet, spec_simple(fleet, "c", NO_GPUS, 0));
	pod->class_name = "only"; /* its rules are for GPUs */
	ledger_reserve(fleet, load, slice_of("c"), LEDGER_BOUND, true, 0, 0);
	decide_fleet(fleet, pod, &decision);
	assert_string_equal(decision.node->name, "c"); /* the fuller one */
	ledger_reserve(fleet, pod, slice_of("c"), LEDGER_BOUND, true, 0, 0);
	struct pod *second = pod_simple(fleet, "second", 32000, 0), *third = pod_simple(fleet, "third", 8000, 0);
	decide_fleet(fleet, second, &decision);
	assert_string_equal(decision.node->name, "b");
	ledger_reserve(fleet, second, slice_of("b"), LEDGER_BOUND, true, 0, 0);
	decide_fleet(fleet, third, &decision);
	assert_string_equal(decision.node->name, "a"); /* better than not at all */
	pod_free(pod);
	pod_free(load);
	pod_free(second);
	pod_free(third);
}

static void units_count_each_as_one(void **state)
{
	struct scene *scene = *state;
	pod_asks(scene->pod, id_of(scene->fleet, "nvidia.com/mig-1g.10gb"), 3);
	pod_asks(scene->pod, id_of(scene->fleet, "example.com/fpga"), 5);
	assert_int_equal(decide_gpu_units(scene->fleet, &scene->pod->demand), 4);
	scene->pod->class_name = "only"; /* at most 4 */
	fleet_put_node(scene->fleet, h100(scene));
	struct decision decision;
	decide_fleet(scene->fleet, scene->pod, &decision);
	assert_int_not_equal(decision.reason, REASON_CODE_TOO_MANY_GPUS);
	pod_asks(scene->pod, id_of(scene->fleet, "nvidia.com/gpu"), 2);
	decide_fleet(scene->fleet, scene->pod, &decision);
	assert_int_equal(decision.reason, REASON_CODE_TOO_MANY_GPUS);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(verdicts_on_presence),
	    CASE(verdicts_on_kind),
	    CASE(verdicts_on_room),
	    CASE(a_pod_without_requests_needs_only_a_slot),
	    CASE(its_own_entry_is_not_in_its_way),
	    CASE(the_pods_own_reason),
	    CASE(each_node_has_its_verdict_and_its_score),
	    CASE(what_only_forbids_for_good),
	    CASE(what_only_leaves_is_too_small),
	    CASE(terms_for_gpus),
	    CASE(terms_of_the_nodes_words),
	    CASE(siblings_go_apart),
	    CASE(pods_without_gpus_strand_none),
	    CASE(units_count_each_as_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
