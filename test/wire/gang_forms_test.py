"""Forms in which users and operators really say what gangs are: each is waited for until it is complete, and not a pod longer."""

import unittest

from gang_size_test import INCOMPLETE, UNKNOWN, Objects, indexed, job_pod, labelled, owned
from harness import NAMES, wait_for

IN_TREE = "scheduling.k8s.io/"
KUBEFLOW = "training.kubeflow.org/"
JOBSET = "jobset.sigs.k8s.io/"
LWS = "leaderworkerset.sigs.k8s.io/"


def says(name, annotations=None, labels=None, **more):
    return labelled(name, labels or {}, annotations, **more)


class Forms(Objects):
    kinds = {
        "podgroups@1.36": (IN_TREE + "v1alpha2", "PodGroup"),
        "podgroups@1.37": (IN_TREE + "v1beta1", "PodGroup"),
        "workloads": (IN_TREE + "v1alpha1", "Workload"),
        "podgroups@coscheduling": ("scheduling.x-k8s.io/v1alpha1", "PodGroup"),
        "podgroups@volcano": ("scheduling.volcano.sh/v1beta1", "PodGroup"),
        "podgroups@kai": ("scheduling.run.ai/v2alpha2", "PodGroup"),
        "leaderworkersets": ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
        "mpijobs": ("kubeflow.org/v2beta1", "MPIJob"),
        "pytorchjobs": ("kubeflow.org/v1", "PyTorchJob"),
        "rayclusters": ("ray.io/v1", "RayCluster"),
        "jobsets": ("jobset.x-k8s.io/v1alpha2", "JobSet"),
    }

    def come(self, things):
        """One by one: the first waits until the last is there, then all have their place."""
        first = things[0]
        for thing in things[:-1]:
            self.pods(thing)
        if len(things) > 1:
            self.rejected(first, INCOMPLETE)
        self.pods(things[-1])
        self.go(things)

    def go(self, things):
        for thing in things:
            self.patched(thing)
            self.goes(thing)

    def unknown(self, thing, gang):
        self.pods(thing)
        self.rejected(thing, UNKNOWN)
        self.assertEqual(self.gang(gang)["code"], "GangSizeUnknown")
        self.assertIsNone(self.daemon.entry(thing))


class Own(Forms):
    def test_annotations_and_labels_mixed(self):
        self.start()
        self.come([
            says("a", {"berth.dev/gang": "g"}, {"berth.dev/gang-size": "3"}),
            says("b", {"berth.dev/gang-size": "3"}, {"berth.dev/gang": "g"}),
            says("c", {"berth.dev/gang": "g", "berth.dev/gang-size": "3"}, {"berth.dev/gang": "other", "berth.dev/gang-size": "9"})])

    def test_one_member_says_it_for_all(self):
        self.start()
        self.come([says("a", {"berth.dev/gang": "g", "berth.dev/gang-size": "3"}), says("b", {"berth.dev/gang": "g"}),
                   says("c", {"berth.dev/gang": "g"})])

    def test_a_later_member_says_it_for_those_before(self):
        self.start()
        self.unknown(says("a", {"berth.dev/gang": "g"}), "g")
        things = [says("a", {"berth.dev/gang": "g"}), says("b", {"berth.dev/gang": "g", "berth.dev/gang-size": "2"})]
        self.pods(things[1])
        self.go(things)

    def test_sizes_that_are_none(self):
        self.start()
        for i, size in enumerate(("four", "0", "-2", "2.0", "0x2", "+2", "2 pods", "99999999999999999999", "20000")):
            with self.subTest(size):
                self.unknown(says(f"p{i}", {"berth.dev/gang": f"g{i}", "berth.dev/gang-size": size}), f"g{i}")

    def test_names_that_are_too_long(self):
        """What they have in common is no gang."""
        self.start()
        for end in "xy":
            name = "n" * 700 + end
            thing, = self.pods(says("p" + end, {"berth.dev/gang": name, "berth.dev/gang-size": "2"}))
            self.assertIsNone(self.daemon.placed(thing, NAMES))
            self.assertIn("what cannot be read is berth.dev/gang", self.daemon.explain("p" + end)[1]["help"])
        self.assertEqual(self.daemon.state()["gangs"], [])
        self.come([says(n, {"berth.dev/gang": "n" * 253, "berth.dev/gang-size": "2"}) for n in "ab"])

    def test_one_of_one(self):
        self.start()
        self.come([says("a", {"berth.dev/gang": "g", "berth.dev/gang-size": "1"})])

    def test_a_size_that_changes_on_the_pods(self):
        self.start()
        things = [says(n, {"berth.dev/gang": "g", "berth.dev/gang-size": "3"}) for n in "ab"]
        self.pods(*things)
        self.rejected(things[0], INCOMPLETE)
        for thing in things:
            thing["metadata"]["annotations"]["berth.dev/gang-size"] = "2"
            self.api.put("pods", thing)
        self.quorum("g", 2)
        self.go(things)

    def test_who_said_another_size_goes(self):
        self.start()
        wrong = says("a", {"berth.dev/gang": "g", "berth.dev/gang-size": "9"})
        wrong["metadata"]["creationTimestamp"] = "2026-11-22T10:00:00Z"
        things = [says(n, {"berth.dev/gang": "g", "berth.dev/gang-size": "2"}) for n in "bc"]
        for thing in things:
            thing["metadata"]["creationTimestamp"] = "2026-11-22T11:00:00Z"
        self.pods(wrong, *things)
        self.quorum("g", 9)
        self.rejected(things[0], INCOMPLETE)
        self.api.remove("pods", "a", "team")
        self.quorum("g", 2)
        self.go(things)

    def test_opting_out(self):
        self.start()
        self.goes(self.pods(says("a", {"berth.dev/gang": "g", "berth.dev/no-gang": ""}, {"berth.dev/no-gang": "true"}))[0])
        self.unknown(says("b", {"berth.dev/gang": "g", "berth.dev/no-gang": "false"}), "g")
        group = {"scheduling.k8s.io/group-name": "v", "berth.dev/no-gang": "true"}
        self.goes(self.pods(says("c", group))[0])


class InTree(Forms):
    def member(self, name, group="pg"):
        return says(name, schedulingGroup={"podGroupName": group})

    def shape(self, kind):
        self.has.add(kind)
        self.put(kind, "pg", {"schedulingPolicy": {"gang": {"minCount": 3}}})
        self.put(kind, "basic", {"schedulingPolicy": {"basic": {}}})
        self.start()
        self.come([self.member(n) for n in "abc"])
        self.goes(self.pods(self.member("single", "basic"))[0])
        self.unknown(self.member("lost", "none"), "none")

    def test_of_1_36(self):
        self.shape("podgroups@1.36")

    def test_of_1_37(self):
        self.has.add("podgroups@1.36")  # which is still served
        self.shape("podgroups@1.37")

    def test_of_1_35(self):
        self.has.add("workloads")
        self.put("workloads", "w", {"podGroups": [
            {"name": "lead", "policy": {"basic": {}}}, {"name": "work", "policy": {"gang": {"minCount": 2}}}]})
        self.start()

        def member(name, group, replica=None):
            return says(name, workloadRef={"name": "w", "podGroup": group, **({"podGroupReplicaKey": replica} if replica else {})})

        self.goes(self.pods(member("l", "lead"))[0])
        self.come([member("a", "work", "1"), member("b", "work", "1")])
        self.pods(member("c", "work", "2"))
        self.rejected(member("c", "work", "2"), INCOMPLETE)

    def test_a_count_that_is_changed(self):
        self.has.add("podgroups@1.37")
        self.put("podgroups@1.37", "pg", {"schedulingPolicy": {"gang": {"minCount": 3}}})
        self.start()
        things = self.pods(self.member("a"), self.member("b"))
        self.rejected(things[0], INCOMPLETE)
        self.put("podgroups@1.37", "pg", {"schedulingPolicy": {"gang": {"minCount": 2}}})
        self.go(things)


class Groups(Forms):
    def test_volcano_by_either_annotation(self):
        self.has.add("podgroups@volcano")
        for key in "scheduling.k8s.io/group-name", "scheduling.volcano.sh/group-name":
            self.put("podgroups@volcano", "pg-" + key[11:13], {"minMember": 2})
        self.start()
        for key in "scheduling.k8s.io/group-name", "scheduling.volcano.sh/group-name":
            with self.subTest(key):
                self.come([says(f"{key[11:13]}-{i}", {key: "pg-" + key[11:13]}) for i in range(2)])

    def test_volcano_more_pods_than_are_needed(self):
        self.has.add("podgroups@volcano")
        self.put("podgroups@volcano", "pg", {"minMember": 2, "minTaskMember": {"ps": 1, "worker": 1}})
        self.start()

        def member(name, task):
            return owned(says(name, {"scheduling.k8s.io/group-name": "pg", "volcano.sh/task-spec": task}), "Job", "vc")

        workers = self.pods(member("w0", "worker"), member("w1", "worker"))
        self.rejected(workers[0], INCOMPLETE)  # two are there, but none of the other task
        self.go([*workers, *self.pods(member("ps0", "ps"))])

    def test_kai(self):
        self.has.add("podgroups@kai")
        self.put("podgroups@kai", "pg", {"minMember": 2})
        self.start()
        self.come([says(n, {"pod-group-name": "pg"}) for n in "ab"])

    def test_kai_sub_groups(self):
        self.has.add("podgroups@kai")
        self.put("podgroups@kai", "pg", {"minMember": 3, "subGroups": [
            {"name": "decode", "minMember": 1}, {"name": "prefill", "minMember": 2}]})
        self.start()
        self.come([says(f"{group}-{i}", {"pod-group-name": "pg"}, {"kai.scheduler/subgroup-name": group})
                   for group, i in (("prefill", 0), ("prefill", 1), ("decode", 0))])

    def test_kueue_of_a_stateful_set(self):
        """Whose pods are made one after the other."""
        self.start()
        said = {"kueue.x-k8s.io/pod-group-total-count": "3", "kueue.x-k8s.io/pod-group-fast-admission": "true",
                "kueue.x-k8s.io/pod-group-serving": "true", "kueue.x-k8s.io/pod-group-pod-index-label": "apps.kubernetes.io/pod-index"}
        labels = {"kueue.x-k8s.io/pod-group-name": "statefulset-web", "apps.kubernetes.io/pod-index": "0"}
        self.goes(self.pods(owned(says("web-0", said, labels), "StatefulSet", "web"))[0])
        self.assertEqual(self.daemon.state()["gangs"], [])

    def test_koordinator(self):
        self.start()
        self.come([says(n, {"gang.scheduling.koordinator.sh/name": "g", "gang.scheduling.koordinator.sh/min-available": "2"}) for n in "ab"])

    def test_kueue(self):
        self.start()
        things = [says(n, {"kueue.x-k8s.io/pod-group-total-count": "2"}, {"kueue.x-k8s.io/pod-group-name": "g"}) for n in "ab"]
        for thing in things:
            thing["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
            self.pods(thing)
        self.assertEqual(self.daemon.state()["ledger"], [])
        for thing in things:
            thing["spec"]["schedulingGates"] = []
            self.api.put("pods", thing)
        self.go(things)

    def test_a_reference_goes_before_the_job(self):
        self.has.add("podgroups@coscheduling")
        self.put("podgroups@coscheduling", "pg", {"minMember": 2})
        self.put("jobs", "train", indexed(4))
        self.start()
        things = [job_pod(f"train-{i}", "train", i) for i in range(2)]
        for thing in things:
            thing["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] = "pg"
        self.come(things)


    def test_volcano_tasks_beyond_the_gang_s_minimum_bind_nobody(self):
        """Its controller writes each task's replicas, which its scheduler then does not ask for."""
        self.has.add("podgroups@volcano")
        self.put("podgroups@volcano", "pg", {"minMember": 2, "minTaskMember": {"worker": 4}})
        self.start()
        things = [owned(says(f"w{i}", {"scheduling.k8s.io/group-name": "pg", "volcano.sh/task-spec": "worker"}), "Job", "vc")
                  for i in range(2)]
        self.come(things)

    def test_kai_sub_groups_beyond_the_gang_s_minimum_bind_all_the_same(self):
        self.has.add("podgroups@kai")
        self.put("podgroups@kai", "pg", {"minMember": 1, "subGroups": [{"name": "a", "minMember": 2}, {"name": "b", "minMember": 2}]})
        self.start()
        self.come([says(f"{group}{i}", {"pod-group-name": "pg"}, {"kai.scheduler/subgroup-name": group}) for i, group in enumerate("aabb")])
        self.quorum("pg", 4)

    def test_one_made_anew_under_its_name_has_its_own_priority_and_age(self):
        def member(name, gang, priority, at, **more):
            thing = says(name, {"berth.dev/gang": gang, "berth.dev/gang-size": "2"}, gpus=8)
            thing["spec"] |= {"priority": priority, **more}
            thing["metadata"]["creationTimestamp"] = f"2026-11-22T{at}Z"
            return thing

        old = [member(f"old-{i}", "g", 100, "10:00:00", nodeName=NAMES[i]) for i in range(2)]
        for thing in old:
            self.api.put("pods", thing)
        self.start()
        wait_for(lambda: self.gang("g")["state"] == "whole", what="the first")
        for thing in old:
            thing["metadata"] |= {"deletionTimestamp": "2026-11-22T11:00:00Z", "deletionGracePeriodSeconds": 600}
            self.api.put("pods", thing)
        self.pods(*[member(f"h-{i}", "h", 50, "10:30:00") for i in range(2)])
        self.pods(*[member(f"new-{i}", "g", 0, "11:00:01") for i in range(2)])
        wait_for(lambda: (self.gang("g")["state"], self.gang("h")["state"]) == ("queued", "queued"), what="both in line")
        self.assertEqual([gang["name"] for gang in self.daemon.ops.json("GET", "/v1/queue")[1]["gangs"]], ["h", "g"])


class Operators(Forms):
    def test_ray_has_no_more_than_its_most(self):
        self.has.add("rayclusters")
        self.put("rayclusters", "ray", {"workerGroupSpecs": [{"groupName": "w", "replicas": 5, "maxReplicas": 2}]})
        self.start()
        self.come([owned(says(name, None, {"ray.io/cluster": "ray", "ray.io/group": group}), "RayCluster", "ray")
                   for name, group in (("h", "headgroup"), ("a", "w"), ("b", "w"))])

    def test_mpi_as_its_operator_labels_the_workers(self):
        """It names the role, and no type of replica."""
        self.has.add("mpijobs")
        self.put("mpijobs", "mpi", {"mpiReplicaSpecs": {"Launcher": {}, "Worker": {"replicas": 2}}})
        self.start()

        def labels(role):
            return {KUBEFLOW + "job-name": "mpi", KUBEFLOW + "job-role": role, KUBEFLOW + "operator-name": "mpi-operator"}

        self.come([owned(says(f"mpi-worker-{i}", None, {**labels("worker"), KUBEFLOW + "replica-index": str(i)}), "MPIJob", "mpi")
                   for i in range(2)])
        self.goes(self.pods(owned(says("mpi-launcher-x", None, {**labels("launcher"), "batch.kubernetes.io/job-name": "mpi-launcher"}),
                                  "Job", "mpi-launcher"))[0])

    def pytorch(self, kind, i):
        return owned(says(f"ddp-{kind}-{i}", None, {KUBEFLOW + "job-name": "ddp", KUBEFLOW + "replica-type": kind,
                                                    KUBEFLOW + "replica-index": str(i)}), "PyTorchJob", "ddp")

    def test_elastic_pytorch(self):
        self.has.add("pytorchjobs")
        self.put("pytorchjobs", "ddp", {"elasticPolicy": {"minReplicas": 2, "maxReplicas": 4},
                                        "pytorchReplicaSpecs": {"Worker": {"replicas": 4}}})
        self.start()
        self.come([self.pytorch("worker", i) for i in range(2)])

    def test_pytorch_whose_policy_says_the_least(self):
        self.has.add("pytorchjobs")
        self.put("pytorchjobs", "ddp", {"runPolicy": {"schedulingPolicy": {"minAvailable": 2}},
                                        "pytorchReplicaSpecs": {"Master": {}, "Worker": {"replicas": 3}}})
        self.start()
        self.come([self.pytorch("master", 0), self.pytorch("worker", 0)])

    def jobset_pod(self, group, job, index, **labels):
        thing = job_pod(f"set-{group}-{job}-{index}", f"set-{group}-{job}", index)
        thing["metadata"]["labels"] |= {JOBSET + "jobset-name": "set", JOBSET + "replicatedjob-name": group,
                                        JOBSET + "job-index": str(job), **labels}
        return thing

    def test_a_jobset_of_several_jobs(self):
        self.has.add("jobsets")
        self.put("jobsets", "set", {"replicatedJobs": [
            {"name": "driver", "template": {"spec": {}}},
            {"name": "work", "replicas": 2, "template": {"spec": {"parallelism": 2, "completions": 2}}}]})
        self.start()
        self.come([self.jobset_pod("driver", 0, 0)] + [self.jobset_pod("work", j, i) for j in range(2) for i in range(2)])

    def exclusive(self, spec, annotations=None):
        self.has.add("jobsets")
        self.api.put("jobsets", {"metadata": {"name": "set", "namespace": "team", "annotations": annotations or {}}, "spec": spec})
        self.start()

    def bound(self, things):
        calls = [self.daemon.spawn_bind(t, self.daemon.entry(t)["node"]) for t in things]
        for thread, answer in calls:
            thread.join()
            self.assertEqual(answer, [(200, {"Error": ""})])

    def test_a_jobset_with_an_exclusive_topology(self):
        """Its webhook lets the others of a Job come once the first is bound."""
        self.exclusive({"replicatedJobs": [{"name": "work", "replicas": 2, "template": {"spec": {"parallelism": 3, "completions": 3}}}]},
                       {"alpha.jobset.sigs.k8s.io/exclusive-topology": "example.com/rack"})
        leaders = [self.jobset_pod("work", job, 0) for job in range(2)]
        self.come(leaders)
        self.bound(leaders)
        others = [self.jobset_pod("work", job, i) for job in range(2) for i in (1, 2)]
        self.come(others)
        self.bound(others)

    def test_an_exclusive_topology_of_one_of_its_jobs(self):
        template = {"metadata": {"annotations": {"alpha.jobset.sigs.k8s.io/exclusive-topology": "example.com/rack"}},
                    "spec": {"parallelism": 2, "completions": 2}}
        self.exclusive({"replicatedJobs": [{"name": "work", "replicas": 1, "template": template},
                                           {"name": "side", "replicas": 1, "template": {"spec": {"parallelism": 2, "completions": 2}}}]})
        first = [self.jobset_pod("work", 0, 0), self.jobset_pod("side", 0, 0), self.jobset_pod("side", 0, 1)]
        self.come(first)
        self.bound(first)
        self.go(self.pods(self.jobset_pod("work", 0, 1)))

    def test_an_exclusive_topology_by_node_selectors(self):
        """All pods come at once."""
        self.exclusive({"replicatedJobs": [{"name": "work", "replicas": 1, "template": {"spec": {"parallelism": 3, "completions": 3}}}]},
                       {"alpha.jobset.sigs.k8s.io/exclusive-topology": "example.com/rack", "alpha.jobset.sigs.k8s.io/node-selector": "true"})
        self.come([self.jobset_pod("work", 0, i) for i in range(3)])

    def test_a_train_job(self):
        """Its JobSet has initializers that run before."""
        self.has.add("jobsets")
        step = "trainer.kubeflow.org/trainjob-ancestor-step"
        one = {"spec": {"parallelism": 1, "completions": 1}}
        self.put("jobsets", "set", {"replicatedJobs": [
            {"name": "dataset-initializer", "replicas": 1, "template": one},
            {"name": "node", "replicas": 1, "dependsOn": [{"name": "dataset-initializer", "status": "Complete"}],
             "template": {"spec": {"parallelism": 3, "completions": 3}}}]})
        self.start()
        self.come([self.jobset_pod("dataset-initializer", 0, 0, **{step: "dataset-initializer"})])
        self.come([self.jobset_pod("node", 0, i, **{step: "trainer"}) for i in range(3)])

    def test_an_exclusive_topology_of_jobs_that_start_in_order(self):
        job = lambda name: {"name": name, "replicas": 1, "template": {"spec": {"parallelism": 2, "completions": 2}}}
        self.exclusive({"startupPolicy": {"startupPolicyOrder": "InOrder"}, "replicatedJobs": [job("first"), job("second")]},
                       {"alpha.jobset.sigs.k8s.io/exclusive-topology": "example.com/rack"})
        self.go(self.pods(self.jobset_pod("first", 0, 0)))

    def test_groups_of_another_revision_than_their_object(self):
        """While a new size is rolled out the pods know their own."""
        self.has.add("leaderworkersets")
        self.put("leaderworkersets", "serve", {"leaderWorkerTemplate": {"size": 3}})
        self.start()
        self.come([self.lws_pod(0, i, 2) for i in range(2)])
        self.come([self.lws_pod(1, i, 4) for i in range(4)])

    def lws_pod(self, group, index, size):
        labels = {LWS + "name": "serve", LWS + "group-index": str(group), LWS + "worker-index": str(index)}
        return owned(says(f"serve-{group}-{index}", {LWS + "size": str(size)}, labels), "StatefulSet", f"serve-{group}")

    def test_each_replica_of_a_leader_worker_set(self):
        self.has.add("leaderworkersets")
        self.put("leaderworkersets", "serve", {"replicas": 2, "leaderWorkerTemplate": {"size": 2}})
        self.start()
        for group in range(2):
            self.come([self.lws_pod(group, i, 2) for i in range(2)])

    def test_a_leader_without_workers(self):
        self.has.add("leaderworkersets")
        self.put("leaderworkersets", "serve", {"replicas": 1, "leaderWorkerTemplate": {"size": 1}})
        self.start()
        self.come([self.lws_pod(0, 0, 1)])

    def test_a_leader_worker_set_that_cannot_be_seen(self):
        self.start()
        self.come([self.lws_pod(0, i, 2) for i in range(2)])

    def ray(self, name, group):
        return owned(says(name, None, {"ray.io/cluster": "ray", "ray.io/group": group,
                                       "ray.io/node-type": "head" if group == "headgroup" else "worker"}), "RayCluster", "ray")

    def test_a_ray_cluster_that_is_scaled_from_nothing(self):
        self.has.add("rayclusters")
        self.put("rayclusters", "ray", {"enableInTreeAutoscaling": True, "workerGroupSpecs": [
            {"groupName": "w", "replicas": 0, "minReplicas": 0, "maxReplicas": 4}]})
        self.start()
        head = self.ray("head", "headgroup")
        self.come([head])
        self.assertEqual(self.daemon.bind(head, self.daemon.entry(head)["node"]), (200, {"Error": ""}))
        self.go(self.pods(self.ray("w0", "w")))

    def test_a_ray_cluster_of_several_groups(self):
        self.has.add("rayclusters")
        self.put("rayclusters", "ray", {"enableInTreeAutoscaling": True, "workerGroupSpecs": [
            {"groupName": "a", "replicas": 2, "minReplicas": 1, "maxReplicas": 4},
            {"groupName": "b", "replicas": 1, "minReplicas": 1, "maxReplicas": 4}]})
        self.start()
        things = self.pods(self.ray("a0", "a"), self.ray("a1", "a"), self.ray("head", "headgroup"))
        self.rejected(things[0], INCOMPLETE)
        self.go([*things, *self.pods(self.ray("b0", "b"))])


class Jobs(Forms):
    def test_jobs_that_are_none(self):
        specs = {
            "other": {"parallelism": 3, "completions": 3},  # not Indexed
            "queue": {"completionMode": "Indexed", "parallelism": 3, "completions": 6},
            "one": {"completionMode": "Indexed", "parallelism": 1, "completions": 1},
            "unsaid": {"completionMode": "Indexed", "completions": 3},
        }
        for name, spec in specs.items():
            self.put("jobs", name, spec)
        self.start()
        for name in specs:
            with self.subTest(name):
                self.goes(self.pods(job_pod(name + "-0", name, 0))[0])

    def test_an_index_that_is_a_label_alone(self):
        self.put("jobs", "train", indexed(2))
        self.start()
        things = [owned(says(f"train-{i}", None, {"batch.kubernetes.io/job-name": "train", "batch.kubernetes.io/job-completion-index": str(i)}),
                        "Job", "train") for i in range(2)]
        self.come(things)


if __name__ == "__main__":
    unittest.main()
