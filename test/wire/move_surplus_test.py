"""Members of elastic gangs beyond the quorum: ended one by one, and who is made in their place held back until the room is given back."""

import json
import signal
import subprocess
import time
import unittest

from harness import BERTH, NAMES, Daemon, pod, wait_for
import move_test

TRAIN = ["PyTorchJob", "RayCluster", "StatefulSet"]
BASE = f"""\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
classes:
- name: inference
  match: [{{owners: [ReplicaSet]}}]
  mayPreempt: [training]
- name: training
  match: [{{owners: [{", ".join(TRAIN)}]}}]
fallback: training
"""
MOVES = "moves: {mode: act, cooldown: 1s, giveBackAfter: %s}\n"
KEEP, ACT = BASE + MOVES % "1h", BASE + MOVES % "1s"
JOBS = "/apis/kubeflow.org/v1/namespaces/team/pytorchjobs"
CLUSTERS = "/apis/ray.io/v1/namespaces/team/rayclusters"
HELD = "the member's room, beyond its gang's quorum, is lent until a peak is over"


class Surplus(move_test.MoveTest):
    """A PyTorchJob of six workers of 4 GPUs each, two on each node, of which four are enough. The test is its operator."""

    policy = KEEP
    restart = "OnFailure"
    spec = {"elasticPolicy": {"minReplicas": 4, "maxReplicas": 6}}

    def setUp(self):
        super().setUp()
        self.made = self.start_gang()

    def start_gang(self, **more):
        worker = {"replicas": 6, "restartPolicy": self.restart}
        made = self.create(JOBS, {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "train", "namespace": "team", **more},
                                  "spec": {"pytorchReplicaSpecs": {"Worker": worker}, **self.spec}})
        workers = [self.worker(rank, made, nodeName=NAMES[rank // 2]) for rank in range(6)]
        self.first = [w["metadata"]["uid"] for w in workers]
        hour_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
        wait_for(lambda: all(self.phase_of(rank) == "Running" for rank in range(6)), what="pods that run")
        for rank in range(6):  # so that all of it is dear
            self.cluster.patch(f"/api/v1/namespaces/team/pods/train-worker-{rank}/status", {"status": {"startTime": hour_ago}})
        self.whole(6)
        return made

    def phase_of(self, rank):
        return self.cluster.get_pod(f"train-worker-{rank}")["status"].get("phase")

    def create(self, path, thing):
        status, made = self.cluster.api.json("POST", path, thing)
        self.assertEqual(status, 201, made)
        return made

    def worker(self, rank, owner=None, annotations=None, **spec):
        thing = pod(f"train-worker-{rank}", gpus=4, owner=owner or self.made, annotations=annotations, restartPolicy=self.restart, **spec)
        thing["metadata"]["labels"] = {"training.kubeflow.org/job-name": "train", "training.kubeflow.org/replica-type": "worker",
                                       "training.kubeflow.org/replica-index": str(rank)}
        return self.cluster.create("pods", thing)

    def the_gang(self):
        found = [g for g in self.daemon.state()["gangs"] if g["name"] == "train"]
        return found[0] if found else {}

    def whole(self, bound):
        wait_for(lambda: (self.the_gang().get("state"), self.the_gang().get("bound")) == ("whole", bound), what=lambda: f"the gang, not {self.the_gang()}")

    def all_ending(self):
        """Ranks of the pods of the beginning that are gone, or about to be."""
        now = [self.cluster.get_pod(f"train-worker-{r}").get("metadata", {}) for r in range(6)]
        return [r for r in range(6) if now[r].get("uid") != self.first[r] or "deletionTimestamp" in now[r]]

    def evicted(self, *ranks):
        wait_for(lambda: self.all_ending() == list(ranks), what=lambda: f"the end of {ranks}, not of {self.all_ending()}: {self.moves()}")

    def replaced(self, rank, **more):
        """The pod has ended, and its controller makes another one."""
        self.cluster.delete_pod(f"train-worker-{rank}")
        return self.seen(self.worker(rank, **more))

    def answer(self, thing):
        """What a filter call says of the first node."""
        _, said = self.daemon.filter(thing, NAMES)
        return (said.get("FailedAndUnresolvableNodes") or {}).get(NAMES[0])

    def is_held(self, thing):
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.assertEqual(self.answer(thing), HELD)

    def lent(self):
        """The room of rank 5 went to a replica; who was made in its place."""
        (web,) = self.web(1, gpus=4)
        self.evicted(5)
        anew = self.replaced(5)
        self.is_held(anew)
        self.bind(web)
        self.phase("lent")
        self.is_held(anew)
        return anew

    def given_back(self, anew, node="n2"):
        def look():
            text = self.cluster.get_pod(anew["metadata"]["name"])["metadata"].get("annotations", {}).get("berth.dev/plan")
            return text and json.loads(text)["node"]
        self.assertEqual(wait_for(look, 15, "the plan on who was held back"), node)
        self.assertEqual(self.bind(anew), node)
        self.whole(6)


class One(Surplus):
    def test_the_last_member_ends_and_who_is_made_in_its_place_is_held_back(self):
        anew = self.lent()
        self.assertEqual(self.the_gang()["bound"], 5)
        (unit,) = self.only_move()["units"]
        self.assertEqual((unit["kind"], unit["name"], unit["way"], unit["state"], unit["surplusOf"], unit["milliGPUs"]),
                         ("Pod", "train-worker-5", "evict", "ended", "PyTorchJob train", 4000))
        wait_for(lambda: [r["state"] for r in self.records().values()] == ["lent"], what="its record")
        (record,) = self.records().values()
        self.assertEqual((record["state"], record["units"][0]["rank"], record["units"][0]["group"]), ("lent", 5, "worker"))
        (taken,) = self.events("GPUsTaken")
        self.assertEqual((taken["regarding"]["kind"], taken["regarding"]["name"]), ("PyTorchJob", "train"))
        self.assertIn("4 GPUs go to ReplicaSet team/web (class inference) by mayPreempt", taken["note"])
        self.assertIn("Pod train-worker-5", taken["note"])
        (given,) = self.events("GPUsTakenFor")
        self.assertIn("from Pod team/train-worker-5 (4 GPUs)", given["note"])
        said = self.daemon.explain(anew["metadata"]["name"])[1]
        self.assertEqual(said["rejectedFor"], "SurplusHeldBack")
        members = {m["pod"]: m["state"] for m in said["gang"]["members"]}
        self.assertEqual(members["train-worker-5"], "held back")
        text = subprocess.run([BERTH, "moves", "--ops", f"127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True,
                              check=True).stdout
        self.assertIn("Pod team/train-worker-5 (PyTorchJob train)", text)
        self.assertIsNone(self.create_job_mark())

    def create_job_mark(self):
        made = self.cluster.api.json("GET", JOBS + "/train")[1]
        self.assertEqual(made["metadata"]["resourceVersion"], self.made["metadata"]["resourceVersion"])
        return made["metadata"].get("labels", {}).get("berth.dev/suspended-by")


class GivenBack(Surplus):
    policy = ACT

    def test_when_the_peak_is_over_who_was_made_in_its_place_has_its_room(self):
        anew = self.lent()
        self.cluster.delete_pod("web-0")
        self.given_back(anew)
        self.no_moves()
        self.assertEqual(self.records(), {})
        (back,) = self.events("GPUsGivenBack")
        self.assertEqual((back["regarding"]["kind"], back["regarding"]["name"]), ("PyTorchJob", "train"))

    def test_not_before_there_is_room(self):
        anew = self.lent()
        other = self.cluster.create("pods", pod("other", gpus=2, scheduler="default-scheduler", nodeName="n2"))
        wait_for(lambda: self.daemon.entry(other), what="the other pod")
        self.cluster.delete_pod("web-0")
        self.phase("return")
        time.sleep(1)
        self.is_held(anew)
        self.cluster.delete_pod("other")
        self.given_back(anew)

    def test_nobody_was_made_in_its_place(self):
        (web,) = self.web(1, gpus=4)
        self.evicted(5)
        self.cluster.delete_pod("train-worker-5")
        self.bind(web)
        self.phase("lent")
        self.cluster.delete_pod("web-0")
        self.no_moves()
        self.given_back(self.seen(self.worker(5)))

    def test_nobody_waits_any_more(self):
        self.web(1, gpus=4)
        self.evicted(5)
        self.cluster.delete_pod("web-0")
        self.given_back(self.replaced(5))
        self.no_moves()
        self.assertTrue(self.events("MoveGivenUp"))


class OnceADay(Surplus):
    policy = ACT.replace("cooldown: 1s", "cooldown: 1s, perUnitAndDay: 1")

    def test_a_member_made_anew_is_the_same_unit(self):
        anew = self.lent()
        self.cluster.delete_pod("web-0")
        self.given_back(anew)
        self.no_moves()
        self.web(1, gpus=4)
        self.evicted(4, 5)
        self.assertNotIn("deletionTimestamp", self.cluster.get_pod("train-worker-5")["metadata"])


class Several(Surplus):
    def test_down_to_the_quorum_and_then_all_of_it(self):
        (web,) = self.web(1, gpus=8)
        self.evicted(4, 5)
        for rank in (4, 5):
            self.is_held(self.replaced(rank))
        self.bind(web)
        self.phase("lent")
        self.assertEqual(self.the_gang()["bound"], 4)
        self.cluster.pod("more-0", gpus=4, owner={**move_test.WEB, "metadata": {"name": "more", "uid": "more-uid"}})
        more = self.cluster.get_pod("more-0")
        self.seen(more)
        self.assertIsNone(self.daemon.placed(more, NAMES))
        wait_for(lambda: self.cluster.api.json("GET", JOBS + "/train")[1]["spec"].get("runPolicy", {}).get("suspend"), what="the suspension")
        self.assertEqual(self.all_ending(), [4, 5])

    def test_a_member_that_is_lost_is_not_held_back(self):
        anew = self.lent()
        self.cluster.delete_pod("train-worker-1")
        lost = self.seen(self.worker(1))
        wait_for(lambda: self.daemon.placed(lost, NAMES) == "n0", what="its room")
        self.is_held(anew)

    def test_two_moves_at_a_time(self):
        self.web(1, gpus=4)
        self.evicted(5)
        second = {**move_test.WEB, "metadata": {"name": "more", "uid": "more-uid"}}
        self.web(1, gpus=4, owner=second, prefix="more")
        self.evicted(4, 5)
        self.web(1, gpus=4, owner={**second, "metadata": {"name": "most", "uid": "most-uid"}}, prefix="most")
        time.sleep(1)
        self.assertEqual(self.all_ending(), [4, 5])


class Ends(Surplus):
    def test_with_its_gang_nothing_is_held_back_any_more(self):
        self.lent()
        for rank in range(6):
            self.cluster.delete_pod(f"train-worker-{rank}")
        self.no_moves()
        self.assertEqual(self.records(), {})

    def test_a_gang_that_begins_again_is_planned_with_all_members(self):
        self.lent()
        self.cluster.delete_pod("web-0")
        for rank in range(6):
            self.cluster.delete_pod(f"train-worker-{rank}")
        things = [self.worker(rank) for rank in range(6)]
        wait_for(lambda: all("berth.dev/plan" in self.cluster.get_pod(t["metadata"]["name"])["metadata"]["annotations"] for t in things),
                 15, "the plan on all of them")


class Restarted(Surplus):
    policy = ACT

    def test_the_next_process_holds_back_and_gives_back(self):
        anew = self.lent()
        self.daemon.process.stop(signal.SIGKILL)
        self.cluster.delete_pod("web-0")
        self.policy = KEEP
        self.start_anew()
        self.phase("lent")
        self.seen(anew)
        time.sleep(1)
        self.is_held(anew)
        self.assertEqual(self.only_move()["units"][0]["state"], "ended")
        self.daemon.write_policy(ACT)
        self.given_back(anew)

    def test_killed_before_its_pod_has_ended(self):
        (web,) = self.web(1, gpus=4)
        self.evicted(5)
        self.policy = KEEP
        self.start_anew()
        anew = self.replaced(5)
        self.seen(web)
        self.is_held(anew)
        wait_for(lambda: self.daemon.placed(web, NAMES) == "n2", what="the room of the replica")
        self.is_held(anew)

    def test_killed_before_the_record_was_read(self):
        """The records come late: until then it may be one that is held back."""
        anew = self.lent()
        self.cluster.delete_pod("web-0")
        self.policy = KEEP
        self.daemon.process.stop(signal.SIGKILL)
        self.cluster.faults({"rules": [{"method": "GET", "path": "/configmaps/berth-moves", "status": 503, "times": 1000}]})
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
        self.seen(anew)
        wait_for(lambda: self.the_gang().get("state") == "whole", what="the gang")
        self.is_held(anew)
        self.cluster.faults({"clear": True})
        self.phase("lent")
        self.is_held(anew)


class Gated(Surplus):
    policy = ACT + "gate: {classes: [training]}\n"

    def test_it_waits_behind_its_gate(self):
        (web,) = self.web(1, gpus=4)
        self.evicted(5)
        anew = self.replaced(5, schedulingGates=[{"name": "berth.dev/plan"}])
        line = lambda: self.cluster.get_pod("train-worker-5")["metadata"].get("annotations", {}).get("berth.dev/waiting")
        wait_for(lambda: line() == HELD, what="the line on it")
        self.bind(web)
        self.phase("lent")
        self.assertTrue(self.cluster.get_pod("train-worker-5")["spec"].get("schedulingGates"))
        self.cluster.delete_pod("web-0")
        self.given_back(anew)
        self.assertFalse(self.cluster.get_pod("train-worker-5")["spec"].get("schedulingGates"))
        self.assertIsNone(line())

    def test_berth_release_lets_it_go(self):
        (web,) = self.web(1, gpus=4)
        self.evicted(5)
        self.replaced(5, schedulingGates=[{"name": "berth.dev/plan"}])
        self.bind(web)
        self.phase("lent")
        self.daemon.process.stop(signal.SIGKILL)
        done = subprocess.run([BERTH, "release", "--kubeconfig", self.cluster.kubeconfig, "-A"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(self.cluster.get_pod("train-worker-5")["spec"].get("schedulingGates"))
        self.start_anew()


class Grace(Surplus):
    policy = KEEP.replace("fallback", "  asVictim: {grace: 2s}\nfallback")

    def noticed(self):
        self.web(1, gpus=4)
        at = wait_for(lambda: self.cluster.get_pod("train-worker-5")["metadata"].get("annotations", {}).get("berth.dev/ending-at"), what="the notice")
        (told,) = wait_for(lambda: self.events("GPUsToBeTaken"), what="the Event")
        self.assertIn("it ends at " + at, told["note"])
        self.assertEqual(self.all_ending(), [])

    def test_notice_comes_before(self):
        self.noticed()
        self.evicted(5)

    def test_what_its_gang_needs_by_then_is_left(self):
        self.noticed()
        for rank in (3, 4):
            self.cluster.delete_pod(f"train-worker-{rank}")
        wait_for(lambda: self.events("MoveGivenUp"), what="the end of the move")
        self.assertNotIn("deletionTimestamp", self.cluster.get_pod("train-worker-5")["metadata"])

    def test_one_that_ended_by_itself_meanwhile_is_ended(self):
        self.noticed()
        self.cluster.delete_pod("train-worker-5")
        self.phase("bind")
        self.assertEqual(self.only_move()["units"][0]["state"], "ended")


class WholeOnly(Surplus):
    """Where members may not end by themselves, all of the gang does."""

    def is_whole(self):
        self.web(1, gpus=4)
        wait_for(lambda: self.cluster.api.json("GET", JOBS + "/train")[1]["spec"].get("runPolicy", {}).get("suspend"), what="the suspension")
        self.assertEqual(self.all_ending(), [])


class SaidNone(WholeOnly):
    policy = KEEP.replace("fallback", "  asVictim: {surplus: none}\nfallback")

    def test_the_policy_wants_it_so(self):
        self.is_whole()


class NeverAnew(WholeOnly):
    restart = "Never"

    def test_its_operator_would_count_a_failure(self):
        self.is_whole()


class Counted(WholeOnly):
    spec = {"elasticPolicy": {"minReplicas": 4}, "runPolicy": {"backoffLimit": 3}}

    def test_its_operator_counts_failures(self):
        self.is_whole()


class NotElastic(WholeOnly):
    spec = {"runPolicy": {"schedulingPolicy": {"minAvailable": 4}}}

    def test_a_quorum_alone_does_not_say_that_it_bears_the_loss(self):
        self.is_whole()


class SaidAny(Surplus):
    spec = {"runPolicy": {"schedulingPolicy": {"minAvailable": 4}}}
    policy = KEEP.replace("fallback", "  asVictim: {surplus: any}\nfallback")

    def test_a_person_s_word_does(self):
        self.web(1, gpus=4)
        self.evicted(5)


class Kept(Surplus):
    def worker(self, rank, owner=None, annotations=None, **spec):
        says = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"} if rank == 5 else {}
        return super().worker(rank, owner, {**says, **(annotations or {})}, **spec)

    def test_a_protected_member_keeps_the_gang_and_itself_but_no_other(self):
        self.web(1, gpus=4)
        self.evicted(4)
        self.web(1, gpus=8, owner={**move_test.WEB, "metadata": {"name": "more", "uid": "more-uid"}}, prefix="more")
        wait_for(lambda: [w for w in self.moves()["waiting"] if w["name"] == "more"], what="its reason")
        self.assertEqual(self.all_ending(), [4])


class Managed(Surplus):
    """Nobody ends members of what another counts on."""

    def barred(self, **more):
        self.web(1, gpus=4)
        self.why()
        self.assertEqual(self.all_ending(), [])
        self.nothing_happens()


class Queued(Managed):
    def start_gang(self, **more):
        return super().start_gang(labels={"kueue.x-k8s.io/queue-name": "q"})

    def test_kueue_counts_on_all_of_its_pods(self):
        self.barred()


class Elsewhere(Managed):
    spec = {**Surplus.spec, "runPolicy": {"managedBy": "kueue.x-k8s.io/multikueue"}}

    def test_another_controller_manages_it(self):
        self.barred()


class Refused(Surplus):
    policy = KEEP.replace("cooldown: 1s", "cooldown: 1h")

    def test_by_a_disruption_budget_and_another_is_ended(self):
        self.cluster.patch("/api/v1/namespaces/team/pods/train-worker-5", {"metadata": {"annotations": {"sim.berth.dev/evictable": "false"}}})
        self.web(1, gpus=4)
        self.evicted(4)
        self.is_held(self.replaced(4))


class Observed(Surplus):
    policy = BASE + "moves: {mode: observe}\n"

    def test_it_is_reported_and_nothing_is_touched(self):
        self.web(1, gpus=4)
        (unit,) = wait_for(lambda: self.moves()["moves"], what="the move")[0]["units"]
        self.assertEqual((unit["name"], unit["surplusOf"]), ("train-worker-5", "PyTorchJob train"))
        time.sleep(1)
        self.assertEqual(self.all_ending(), [])
        self.cluster.delete_pod("train-worker-5")
        anew = self.seen(self.worker(5))
        wait_for(lambda: self.daemon.placed(anew, NAMES), what="its room")


class Ray(move_test.MoveTest):
    """A RayCluster of a head and workers whose names say nothing of a rank."""

    policy = ACT
    autoscaled = True

    def setUp(self):
        super().setUp()
        status, self.made = self.cluster.api.json("POST", CLUSTERS, {
            "apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "ray", "namespace": "team"},
            "spec": {"enableInTreeAutoscaling": self.autoscaled, "headGroupSpec": {},
                     "workerGroupSpecs": [{"groupName": "small", "replicas": 4, "minReplicas": 2, "maxReplicas": 8}]}})
        self.assertEqual(status, 201, self.made)
        self.part("ray-head", "headgroup", "n0")
        for name, node in (("ray-w-b", "n0"), ("ray-w-a", "n1"), ("ray-w-d", "n1"), ("ray-w-c", "n2")):
            self.part(name, "small", node)
            time.sleep(1.05)  # of creation times seconds are known
        self.cluster.create("pods", pod("filler", gpus=4, scheduler="default-scheduler", nodeName="n2"))
        wait_for(lambda: [g for g in self.daemon.state()["gangs"] if g["state"] == "whole" and g["bound"] == 5], what="the gang")

    def part(self, name, group, node=None):
        spec = {"nodeName": node} if node else {}
        thing = pod(name, gpus=4, owner=self.made, **spec)
        thing["metadata"]["labels"] = {"ray.io/cluster": "ray", "ray.io/group": group, "ray.io/is-ray-node": "yes"}
        return self.cluster.create("pods", thing)

    def ending(self):
        items = self.cluster.api.json("GET", "/api/v1/namespaces/team/pods")[1]["items"]
        return sorted(p["metadata"]["name"] for p in items if "deletionTimestamp" in p["metadata"])

    def test_the_newest_worker_ends_and_the_one_made_for_it_returns(self):
        (web,) = self.web(1, gpus=4)
        wait_for(lambda: self.ending() == ["ray-w-c"], what=lambda: f"its end, not that of {self.ending()}")
        self.cluster.delete_pod("ray-w-c")
        anew = self.seen(self.part("ray-w-x", "small"))
        self.assertIsNone(self.daemon.placed(anew, NAMES))
        self.assertEqual(self.bind(web), "n2")
        self.phase("lent")
        self.assertIsNone(self.daemon.placed(anew, NAMES))
        self.cluster.delete_pod("web-0")
        wait_for(lambda: self.daemon.placed(anew, NAMES) == "n2", what="its room")
        self.no_moves()


class RayFixed(Ray):
    autoscaled = False

    def test_the_newest_worker_ends_and_the_one_made_for_it_returns(self):
        self.web(1, gpus=4)
        wait_for(lambda: self.cluster.api.json("GET", CLUSTERS + "/ray")[1]["spec"].get("suspend"), what="the suspension of all of it")
        self.assertEqual(self.ending(), [])


class Evicted(move_test.MoveTest):
    """A gang of a StatefulSet, which nothing suspends: all of it ends by eviction, or what it can do without."""

    policy = KEEP
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "set", "uid": "set-uid"}}

    def setUp(self):
        super().setUp()
        self.first = {}
        says = {"berth.dev/gang": "set", "berth.dev/gang-size": "3"}
        for i, (node, gpus) in enumerate((("n0", 6), ("n1", 8), ("n2", 8), ("n0", 2))):
            made = self.cluster.create("pods", pod(f"set-{i}", gpus=gpus, owner=self.owner, annotations=says, nodeName=node))
            self.first[i] = made["metadata"]["uid"]
        wait_for(lambda: [g for g in self.daemon.state()["gangs"] if g["state"] == "whole" and g["bound"] == 4], what="the gang")

    def ending(self):
        now = {i: self.cluster.get_pod(f"set-{i}").get("metadata", {}) for i in range(4)}
        return [i for i in range(4) if now[i].get("uid") != self.first[i] or "deletionTimestamp" in now[i]]

    def test_all_of_it_ends_or_none(self):
        self.web(1, gpus=5)
        wait_for(lambda: self.ending() == [0, 1, 2, 3], what=lambda: f"the end of all, not of {self.ending()}")
        self.assertEqual(self.only_move()["units"][0]["milliGPUs"], 24000)


class EvictedOne(Evicted):
    policy = KEEP.replace("fallback", "  asVictim: {surplus: any}\nfallback")

    def test_all_of_it_ends_or_none(self):
        self.web(1, gpus=2)
        wait_for(lambda: self.ending() == [3], what=lambda: f"its end, not that of {self.ending()}")


if __name__ == "__main__":
    unittest.main()
