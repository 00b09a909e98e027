/* What people scale, told from a pod alone. */
#include "cluster/scaled.h"

#include "world.h"

static void assert_scaled(const char *kind, const char *name, const char *labels, const char *expected)
{
	char json[1024], key[SCALED_KEY_MAX];
	struct slice found;
	snprintf(json, sizeof json,
	    "{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\",\"uid\":\"u\",\"labels\":{%s},\"ownerReferences\":["
	    "{\"kind\":\"%s\",\"uid\":\"o\",\"name\":\"%s\",\"controller\":true}]}}",
	    labels, kind, name);
	struct pod *pod = decode_pod(json, false);
	assert_true(scaled_by(pod, &kind, &found));
	scaled_key(key, pod->namespace_, kind, found);
	assert_string_equal(key, expected);
	pod_free(pod);
}

static void a_replica_set_of_a_deployment_is_told_by_the_hash_of_its_template(void **state)
{
	(void)state;
	assert_scaled("ReplicaSet", "web-5d9f", "\"pod-template-hash\":\"5d9f\"", "ns/Deployment/web");
	assert_scaled("ReplicaSet", "web-5d9f", "\"rollouts-pod-template-hash\":\"5d9f\"", "ns/Rollout/web");
	assert_scaled("ReplicaSet", "web-5d9f", "", "ns/ReplicaSet/web-5d9f");
	assert_scaled("ReplicaSet", "web-5d9f", "\"pod-template-hash\":\"77aa\"", "ns/ReplicaSet/web-5d9f");
	assert_scaled("ReplicaSet", "-5d9f", "\"pod-template-hash\":\"5d9f\"", "ns/ReplicaSet/-5d9f");
	assert_scaled("StatefulSet", "web-5d9f", "\"pod-template-hash\":\"5d9f\"", "ns/StatefulSet/web-5d9f");
}

static void groups_are_scaled_by_their_leader_worker_set(void **state)
{
	(void)state;
	assert_scaled(
	    "StatefulSet", "serve-1", "\"leaderworkerset.sigs.k8s.io/name\":\"serve\"", "ns/LeaderWorkerSet/serve");
}

static void a_bare_pod_is_scaled_by_nobody(void **state)
{
	static const char json[] = "{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\",\"uid\":\"u\"}}";
	struct slice name;
	const char *kind;
	(void)state;
	struct pod *pod = decode_pod(json, false);
	assert_false(scaled_by(pod, &kind, &name));
	pod_free(pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_replica_set_of_a_deployment_is_told_by_the_hash_of_its_template),
	    cmocka_unit_test(groups_are_scaled_by_their_leader_worker_set),
	    cmocka_unit_test(a_bare_pod_is_scaled_by_nobody),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
