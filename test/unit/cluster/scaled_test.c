/* What people scale, told from a pod alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cluster/pod.h"
#include "cluster/scaled.h"

static void assert_scaled(const char *kind, const char *name, const char *labels, const char *expected)
{
	char json[1024], key[SCALED_KEY_MAX];
	struct resource_names names;
	struct err err;
	struct slice found;
	snprintf(json, sizeof json,
	    "{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\",\"uid\":\"u\",\"labels\":{%s},\"ownerReferences\":["
	    "{\"kind\":\"%s\",\"uid\":\"o\",\"name\":\"%s\",\"controller\":true}]}}",
	    labels, kind, name);
	resource_names_init(&names);
	struct pod *pod = cluster_pod_decode(slice_of(json), &names, false, &err);
	assert_non_null(pod);
	assert_true(scaled_by(pod, &kind, &found));
	scaled_key(key, pod->namespace_, kind, found);
	assert_string_equal(key, expected);
	pod_free(pod);
	resource_names_free(&names);
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
	struct resource_names names;
	struct slice name;
	struct err err;
	const char *kind;
	(void)state;
	resource_names_init(&names);
	struct pod *pod = cluster_pod_decode(slice_of(json), &names, false, &err);
	assert_non_null(pod);
	assert_false(scaled_by(pod, &kind, &name));
	pod_free(pod);
	resource_names_free(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_replica_set_of_a_deployment_is_told_by_the_hash_of_its_template),
	    cmocka_unit_test(groups_are_scaled_by_their_leader_worker_set),
	    cmocka_unit_test(a_bare_pod_is_scaled_by_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
