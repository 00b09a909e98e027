"""Where gangs' sizes come from: objects before their pods and after them, kinds that come later, kinds that may not be read."""

import os
import tempfile
import unittest

from fakeapi import KINDS, FakeApi, kubeconfig
from harness import NAMES, Daemon, node, pod, wait_for

INCOMPLETE = "members of the gang are missing"
UNKNOWN = "nothing says how many members the gang has"

# plural (and whose it is, where several have it) → (API, kind) as the operators' own definitions have them.
CUSTOM = {
    "podgroups": ("scheduling.x-k8s.io/v1alpha1", "PodGroup"),
    "leaderworkersets": ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
    "mpijobs": ("kubeflow.org/v2beta1", "MPIJob"),
    "pytorchjobs": ("kubeflow.org/v1", "PyTorchJob"),
    "rayclusters": ("ray.io/v1", "RayCluster"),
    "jobsets": ("jobset.x-k8s.io/v1alpha2", "JobSet"),
}


def owned(thing, kind, name):
    thing["metadata"]["ownerReferences"] = [{"apiVersion": "x/v1", "kind": kind, "name": name, "uid": "uid-of-" + name, "controller": True}]
    return thing


def labelled(name, labels, annotations=None, **spec):
    thing = pod(name, annotations=annotations, uid="uid-" + name, **spec)
    thing["metadata"]["labels"] = labels
    return thing


def job_pod(name, job, index, **spec):
    labels = {"batch.kubernetes.io/job-name": job}
    return owned(labelled(name, labels, {"batch.kubernetes.io/job-completion-index": str(index)}, **spec), "Job", job)


def indexed(size, parallelism=None):
    return {"completionMode": "Indexed", "completions": size, "parallelism": parallelism or size}


class Objects(unittest.TestCase):
    """An API server that has as many kinds as the test wants."""

    served = ()
    kinds = CUSTOM

    def setUp(self):
        self.api = FakeApi()
        self.addCleanup(self.api.stop)
        self.has = set(self.served)
        self.refused, self.failing = set(), set()
        self.api.hook = self.hook
        self.paths = {}
        for plural, (api, kind) in self.kinds.items():
            path = f"/apis/{api}/{plural.split('@')[0]}"
            self.paths[path] = plural
            KINDS[path] = (plural, kind + "List")
            self.addCleanup(KINDS.pop, path)
            self.api.objects[plural] = {}
        for name in NAMES:
            self.api.put("nodes", node(name))
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.config = os.path.join(self.folder.name, "kubeconfig")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(kubeconfig(f"http://127.0.0.1:{self.api.port}"))
        self.daemon = None

    def start(self):
        self.daemon = Daemon(self.config)
        self.addCleanup(self.daemon.stop)
        # What the API server has is asked first; a test changes it afterwards.
        wait_for(lambda: self.api.calls("GET", "/apis"), what="the look at what the API server has")
        wait_for(self.listed, what="the first lists")

    def listed(self):
        """Before, members of gangs are answered 503."""
        lines = [line for line in self.daemon.ready()[1].splitlines() if not any(self.named(plural) in line for plural in self.failing)]
        return "not done" not in "".join(lines) and all(
            any(self.named(plural) in line for line in lines) for plural in self.has - self.failing)

    def named(self, plural):
        """As a line of /readyz has it."""
        return f" {plural.split('@')[0]}.{self.kinds[plural][0].split('/')[0]}:"

    def hook(self, handler, method, path, query, body):
        plural = self.paths.get(path) or ("jobs" if path == "/apis/batch/v1/jobs" else None)
        if path == "/apis":
            versions = [self.kinds[plural][0] for plural in self.has] + ["batch/v1"]
            groups = [{"name": v.split("/")[0], "versions": [{"groupVersion": v}]} for v in versions]
            return self.api.say(handler, 200, {"kind": "APIGroupList", "groups": groups})
        if plural in self.failing:
            return self.api.refuse(handler, 500, "broken")
        if plural in self.refused:
            return self.api.refuse(handler, 403, "forbidden")
        if plural and plural != "jobs" and plural not in self.has:
            return self.api.refuse(handler, 404, "not found")
        return False

    def put(self, plural, name, spec):
        return self.api.put(plural, {"metadata": {"name": name, "namespace": "team"}, "spec": spec})

    def pods(self, *things):
        """Pods as the watch shows them, seen by the daemon."""
        for thing in things:
            self.api.put("pods", thing)
        for thing in things:
            wait_for(lambda t=thing: self.daemon.explain(t["metadata"]["name"])[0] == 200, what="the pod")
        return things

    def gang(self, name):
        return next((g for g in self.daemon.state()["gangs"] if g["name"] == name), None)

    def quorum(self, name, quorum, seconds=10):
        return wait_for(lambda: (self.gang(name) or {}).get("quorum") == quorum, seconds, f"a quorum of {quorum}")

    def rejected(self, thing, text):
        status, answer = self.daemon.asked(thing, NAMES)
        self.assertEqual((status, answer["NodeNames"]), (200, []))
        self.assertEqual(answer["FailedAndUnresolvableNodes"], {NAMES[0]: text})

    def goes(self, thing):
        """As a single: it has a place at once."""
        self.assertIn(self.daemon.placed(thing, NAMES), NAMES)

    def patched(self, thing):
        """The pod is written to: woken, or told its plan."""
        name = thing["metadata"]["name"]
        return wait_for(lambda: self.api.calls("PATCH", "/pods/" + name), what="a PATCH of " + name)

    def woken(self, thing):
        return wait_for(lambda: any(b"berth.dev/wake" in call[5] for call in self.patched(thing)), what="its wake-up")

    def ready_line(self, start):
        return next((line for line in self.daemon.ready()[1].splitlines() if start in line), None)


class Jobs(Objects):
    def test_the_job_comes_before_its_pods(self):
        self.put("jobs", "train", indexed(3))
        self.start()
        things = self.pods(*[job_pod(f"train-{i}", "train", i) for i in range(2)])
        self.quorum("train", 3)
        self.rejected(things[0], INCOMPLETE)
        things += self.pods(job_pod("train-2", "train", 2))
        for thing in things:
            self.patched(thing)
            self.goes(thing)

    def test_a_job_that_comes_after_its_pods(self):
        self.start()
        things = self.pods(*[job_pod(f"train-{i}", "train", i) for i in range(3)])
        for thing in things:
            self.rejected(thing, UNKNOWN)
        self.put("jobs", "train", indexed(3))
        for thing in things:
            self.patched(thing)
            self.goes(thing)

    def test_pods_of_a_job_that_is_no_gang_are_singles(self):
        self.put("jobs", "sweep", indexed(5, 2))
        self.start()
        for thing in self.pods(*[job_pod(f"sweep-{i}", "sweep", i) for i in range(2)]):
            self.goes(thing)
        self.assertEqual(self.daemon.state()["gangs"], [])

    def test_a_rejected_pod_is_woken_when_its_job_turns_out_to_be_no_gang(self):
        self.start()
        (thing,) = self.pods(job_pod("one-0", "one", 0))
        self.rejected(thing, UNKNOWN)
        self.put("jobs", "one", indexed(1))
        self.woken(thing)
        self.goes(thing)
        self.assertEqual(self.daemon.state()["gangs"], [])

    def test_a_pod_that_no_watch_has_shown_waits_for_its_job(self):
        self.start()
        thing = job_pod("one-0", "one", 0)
        self.rejected(thing, UNKNOWN)
        self.put("jobs", "one", indexed(1))
        self.woken(thing)
        self.goes(thing)

    def test_a_job_that_changes_is_followed(self):
        self.put("jobs", "train", indexed(2, 1))
        self.start()
        things = self.pods(*[job_pod(f"train-{i}", "train", i, gpus=16) for i in range(1)])
        self.assertIsNone(self.daemon.placed(things[0], NAMES))
        self.assertIsNone(self.gang("train"))
        self.put("jobs", "train", indexed(2))
        self.quorum("train", 2)
        self.put("jobs", "train", indexed(2, 1))
        wait_for(lambda: not self.gang("train"), what="the gang's end")

    def test_plain_jobs_do_not_wait(self):
        self.start()
        thing = owned(labelled("plain-x", {"batch.kubernetes.io/job-name": "plain"}), "Job", "plain")
        self.goes(thing)

    def test_jobs_that_may_not_be_read(self):
        self.refused.add("jobs")
        self.start()
        things = self.pods(*[job_pod(f"train-{i}", "train", i) for i in range(3)])
        for thing in things:
            self.rejected(thing, UNKNOWN)
        self.assertEqual(self.gang("train")["code"], "GangSizeUnknown")
        self.assertIn("reading it is not allowed", self.ready_line("jobs"))
        self.assertEqual(self.daemon.state()["ledger"], [])

    def test_opted_out(self):
        self.put("jobs", "train", indexed(3))
        self.start()
        thing = job_pod("train-0", "train", 0)
        thing["metadata"]["annotations"]["berth.dev/no-gang"] = "true"
        self.goes(thing)

    def test_a_job_that_goes_leaves_the_size_unknown(self):
        self.put("jobs", "train", indexed(3))
        self.start()
        self.pods(job_pod("train-0", "train", 0))
        self.quorum("train", 3)
        self.api.remove("jobs", "train", "team")
        self.quorum("train", 0)


class StatefulSets(Objects):
    def test_they_are_no_gang(self):
        self.start()
        self.goes(owned(labelled("web-0", {"apps.kubernetes.io/pod-index": "0"}), "StatefulSet", "web"))


class PodGroups(Objects):
    served = ("podgroups",)

    def member(self, name, **more):
        return labelled(name, {"scheduling.x-k8s.io/pod-group": "pg"}, **more)

    def test_the_group_comes_after_its_pods(self):
        self.start()
        things = self.pods(self.member("a"), self.member("b"))
        self.rejected(things[0], UNKNOWN)
        self.put("podgroups", "pg", {"minMember": 2})
        for thing in things:
            self.patched(thing)
            self.goes(thing)
        self.assertIn("ok", self.ready_line("podgroups.scheduling.x-k8s.io"))

    def test_one_that_holds_no_readable_size(self):
        self.put("podgroups", "pg", {"minMember": "many"})
        self.start()
        self.rejected(self.pods(self.member("a"))[0], UNKNOWN)

    def test_a_size_that_changes(self):
        self.put("podgroups", "pg", {"minMember": 3})
        self.start()
        things = self.pods(self.member("a"), self.member("b"))
        self.quorum("pg", 3)
        self.rejected(things[0], INCOMPLETE)
        self.put("podgroups", "pg", {"minMember": 2})
        for thing in things:
            self.patched(thing)

    def test_they_may_not_be_read(self):
        self.refused.add("podgroups")
        self.start()
        wait_for(lambda: "not allowed" in (self.ready_line("podgroups") or ""), what="the line about them")
        thing = self.member("a", annotations={"pod-group.scheduling.sigs.k8s.io/min-available": "1"})
        self.rejected(self.pods(thing)[0], UNKNOWN)
        self.goes(self.pods(labelled("single", {}))[0])


    def test_they_may_be_read_no_longer(self):
        self.put("podgroups", "pg", {"minMember": 2})
        self.start()
        thing, = self.pods(self.member("a"))
        self.quorum("pg", 2)
        self.refused.add("podgroups")
        self.api.end_watches()
        self.quorum("pg", 0)
        self.rejected(thing, UNKNOWN)
        self.refused.clear()
        self.quorum("pg", 2, seconds=25)

    def test_a_kind_whose_list_fails_is_not_waited_for_without_end(self):
        self.failing.add("podgroups")
        self.start()
        said = {"berth.dev/gang": "own", "berth.dev/gang-size": "1"}
        of_group, own = self.pods(self.member("a"), labelled("b", {}, said))
        for thing in (own, of_group):
            self.assertEqual(self.daemon.filter(thing, NAMES)[0], 503)
        wait_for(lambda: self.api.calls("PATCH", "/pods/b"), 35, "the gang's plan")
        self.goes(own)
        self.rejected(of_group, UNKNOWN)


class Places(Objects):
    def asks(self, name, key):
        return labelled(name, {"kueue.x-k8s.io/pod-group-name": name}, {
            "kueue.x-k8s.io/pod-group-total-count": "1", "kueue.x-k8s.io/" + key: "example.com/unknown"})

    def test_a_level_that_the_policy_does_not_have(self):
        self.start()
        hard, soft = self.pods(self.asks("hard", "podset-required-topology"), self.asks("soft", "podset-preferred-topology"))
        self.patched(soft)
        self.goes(soft)
        self.rejected(hard, "no node the gang could use carries the topology level it requires")


class Later(Objects):
    def test_a_kind_that_appears_is_noticed(self):
        self.start()
        self.assertIsNone(self.ready_line("podgroups"))
        things = self.pods(*[labelled(n, {"scheduling.x-k8s.io/pod-group": "pg"}) for n in "ab"])
        self.rejected(things[0], UNKNOWN)
        self.put("podgroups", "pg", {"minMember": 2})
        self.has.add("podgroups")
        self.quorum("pg", 2, seconds=25)
        for thing in things:
            self.patched(thing)

    def test_without_the_kind_the_pods_word_counts(self):
        self.start()
        said = {"pod-group.scheduling.sigs.k8s.io/min-available": "2"}
        things = self.pods(*[labelled(n, {"pod-group.scheduling.sigs.k8s.io/name": "pg"}, said) for n in "ab"])
        for thing in things:
            self.patched(thing)
            self.goes(thing)


class Discovery(Objects):
    """What the API server has may not be asked for a while."""

    served = ("podgroups",)

    def hook(self, handler, method, path, query, body):
        if path == "/apis" and self.status:
            return self.api.refuse(handler, self.status, "no")
        return super().hook(handler, method, path, query, body)

    def test_not_allowed_at_first(self):
        self.put("podgroups", "pg", {"minMember": 2})
        self.status = 403
        self.daemon = Daemon(self.config)
        self.addCleanup(self.daemon.stop)
        things = self.pods(*[labelled(n, {"scheduling.x-k8s.io/pod-group": "pg"}) for n in "ab"])
        own, = self.pods(labelled("own", {}, {"berth.dev/gang": "own", "berth.dev/gang-size": "1"}))
        self.patched(own)
        self.goes(own)
        self.rejected(things[0], UNKNOWN)
        self.status = None
        self.quorum("pg", 2, 25)
        for thing in things:
            self.patched(thing)
            self.goes(thing)


class Frameworks(Objects):
    served = ("leaderworkersets", "mpijobs", "pytorchjobs", "rayclusters", "jobsets")

    def lws_pod(self, index, **annotations):
        labels = {"leaderworkerset.sigs.k8s.io/name": "serve", "leaderworkerset.sigs.k8s.io/group-index": "0",
                  "leaderworkerset.sigs.k8s.io/worker-index": str(index)}
        return owned(labelled(f"serve-0-{index}", labels, {"leaderworkerset.sigs.k8s.io/size": "4", **annotations}),
                     "StatefulSet", "serve")

    def test_lws_leader_ready(self):
        self.put("leaderworkersets", "serve", {"leaderWorkerTemplate": {"size": 4}, "startupPolicy": "LeaderReady"})
        self.start()
        leader, = self.pods(self.lws_pod(0))
        self.patched(leader)
        self.goes(leader)
        self.assertEqual(self.daemon.bind(leader, self.daemon.entry(leader)["node"]), (200, {"Error": ""}))
        workers = list(self.pods(*[self.lws_pod(i) for i in (1, 2)]))
        self.rejected(workers[0], INCOMPLETE)
        workers += self.pods(self.lws_pod(3))
        for worker in workers:
            self.patched(worker)
            self.goes(worker)

    def test_lws_leader_created(self):
        self.put("leaderworkersets", "serve", {"leaderWorkerTemplate": {"size": 4}, "startupPolicy": "LeaderCreated"})
        self.start()
        leader, = self.pods(self.lws_pod(0))
        self.rejected(leader, INCOMPLETE)
        self.assertEqual(self.gang("serve/0")["quorum"], 4)

    def test_lws_exclusive(self):
        self.put("leaderworkersets", "serve", {"leaderWorkerTemplate": {"size": 4}})
        self.start()
        leader, = self.pods(self.lws_pod(0, **{"leaderworkerset.sigs.k8s.io/exclusive-topology": "rack"}))
        self.patched(leader)

    def test_an_mpi_launcher_comes_late(self):
        self.put("mpijobs", "mpi", {"mpiReplicaSpecs": {"Launcher": {"replicas": 1}, "Worker": {"replicas": 2}}})
        self.start()
        labels = {"training.kubeflow.org/job-name": "mpi", "training.kubeflow.org/replica-type": "worker",
                  "training.kubeflow.org/job-role": "worker"}
        workers = self.pods(*[owned(labelled(f"mpi-worker-{i}", {**labels, "training.kubeflow.org/replica-index": str(i)}),
                                    "MPIJob", "mpi") for i in range(2)])
        for worker in workers:
            self.patched(worker)
            self.goes(worker)
        self.assertEqual(self.gang("mpi")["quorum"], 2)
        launcher = labelled("mpi-launcher", {"training.kubeflow.org/job-name": "mpi", "training.kubeflow.org/job-role": "launcher"})
        self.goes(owned(launcher, "Job", "mpi-launcher"))

    def test_ray_counts_on_the_least_replicas(self):
        self.put("rayclusters", "ray", {"enableInTreeAutoscaling": True, "workerGroupSpecs": [
            {"groupName": "big", "replicas": 3, "minReplicas": 1, "numOfHosts": 2},
            {"groupName": "small", "replicas": 0, "minReplicas": 0}]})
        self.start()

        def ray(name, group):
            return owned(labelled(name, {"ray.io/cluster": "ray", "ray.io/group": group}), "RayCluster", "ray")

        workers = self.pods(*[ray(f"w{i}", "big") for i in range(3)])
        self.quorum("ray", 3)
        self.rejected(workers[0], INCOMPLETE)  # three are there, but no head
        head, = self.pods(ray("head", "headgroup"))
        for thing in [head] + list(workers):
            self.patched(thing)
            self.goes(thing)

    def test_jobs_of_a_jobset_that_depend_on_others_do_not_count(self):
        self.put("jobsets", "set", {"replicatedJobs": [
            {"name": "data", "replicas": 1, "template": {"spec": {"parallelism": 1, "completions": 1}}},
            {"name": "work", "replicas": 2, "dependsOn": [{"name": "data", "status": "Complete"}],
             "template": {"spec": {"parallelism": 2, "completions": 2}}}]})
        self.start()
        labels = {"jobset.sigs.k8s.io/jobset-name": "set", "jobset.sigs.k8s.io/replicatedjob-name": "data",
                  "jobset.sigs.k8s.io/job-index": "0"}
        thing = owned(labelled("set-data-0-0", labels, {"batch.kubernetes.io/job-completion-index": "0"}), "Job", "set-data-0")
        self.patched(self.pods(thing)[0])

    def work(self, i):
        labels = {"jobset.sigs.k8s.io/jobset-name": "set", "jobset.sigs.k8s.io/replicatedjob-name": "work",
                  "jobset.sigs.k8s.io/job-index": str(i // 2)}
        return owned(labelled(f"set-work-{i}", labels, {"batch.kubernetes.io/job-completion-index": str(i % 2)}), "Job", f"set-work-{i // 2}")

    STAGES = {"replicatedJobs": [
        {"name": "data", "replicas": 1, "template": {"spec": {"parallelism": 1, "completions": 1}}},
        {"name": "work", "replicas": 2, "dependsOn": [{"name": "data", "status": "Complete"}],
         "template": {"spec": {"parallelism": 2, "completions": 2}}}]}

    def test_bound_members_whose_object_comes_late(self):
        self.put("jobsets", "set", self.STAGES)
        self.refused.add("jobsets")
        for i in range(4):
            thing = self.work(i)
            thing["spec"]["nodeName"] = NAMES[i % 3]
            self.api.put("pods", thing)
        self.start()
        wait_for(lambda: (self.gang("set") or {}).get("bound") == 4, what="a gang of which the size is not known")
        self.refused.clear()
        wait_for(lambda: (self.gang("set/work") or {}).get("state") == "whole", 25, "the gang, known and whole")
        self.assertIsNone(self.gang("set"))
        self.assertEqual(self.gang("set/work")["bound"], 4)

    def test_jobs_that_depend_on_others_are_a_gang_of_their_own(self):
        self.start()
        things = list(self.pods(*[self.work(i) for i in range(3)]))
        self.rejected(things[0], UNKNOWN)
        self.put("jobsets", "set", self.STAGES)
        self.quorum("set/work", 4)
        self.assertIsNone(self.gang("set"))
        self.rejected(things[0], INCOMPLETE)
        things += self.pods(self.work(3))
        for thing in things:
            self.patched(thing)
            self.goes(thing)

    def test_kubeflow_asks_several_kinds_for_pods_without_a_controller(self):
        self.put("pytorchjobs", "ddp", {"pytorchReplicaSpecs": {"Master": {"replicas": 1}, "Worker": {"replicas": 3}}})
        self.start()
        self.pods(labelled("ddp-master-0", {"training.kubeflow.org/job-name": "ddp", "training.kubeflow.org/replica-type": "master"}))
        self.quorum("ddp", 4)


if __name__ == "__main__":
    unittest.main()
