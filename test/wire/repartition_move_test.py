"""MIG by demand where no node is idle: whole units of work are ended by right, so that one node is cut into slices, and given back."""

import os
import random
import signal
import subprocess
import time
import unittest

from harness import BERTH, Daemon, pod, wait_for
from headroom_test import window
from repartition_test import NODES, Repartition

POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools:
- name: h100
  gpu: H100
  mig:
    configs: [{name: all-1g.10gb, perGPU: {1g.10gb: 7}}]
    after: 1s
    deadline: 30s
    idleFor: 1s
    retryAfter: 1h
classes:
- name: inference
  match: [{owners: [ReplicaSet]}]
  mayPreempt: [batch]
- name: batch
  match: [{owners: [Job]}]
  asVictim: {grace: 0s, minRuntime: 0s}
- name: other
fallback: other
moves: {mode: act, giveBackAfter: 1h}
"""
WEB = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "uid": "web-uid"}}
SET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "set", "uid": "set-uid"}}
RECORDS = "/api/v1/namespaces/default/configmaps/berth-moves"
JOB = "/apis/batch/v1/namespaces/team/jobs/{}"


class Emptied(Repartition):
    policy = POLICY

    # --- the cluster ---

    def work(self, name, target, owner, gpus=2, annotations=None, **spec):
        """A pod that stands there; NODES are full with two of these."""
        made = self.cluster.create("pods", pod(f"gpu-{name}", gpus=gpus, owner=owner, annotations=annotations, nodeName=target, **spec))
        wait_for(lambda: (self.daemon.entry(made) or {}).get("state") == "bound", what=name)
        return made

    def full(self, annotations=None):
        """A Job on each node; the one on m0 has saved its work just now, so that it is the cheaper one."""
        saved = {"berth.dev/last-checkpoint": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))}
        for name, more in (("m0", saved), ("m1", {})):
            self.work(name, name, self.cluster.job(f"job-{name}"), annotations={**more, **(annotations or {})})

    def ask(self, pods=1, each=1, **spec):
        """Replicas that wait for slices."""
        return [self.slices(f"s{i}", count=each, owner=WEB, **spec) for i in range(pods)]

    def job(self, name="job-m0"):
        return self.cluster.api.json("GET", JOB.format(name))[1]

    def suspended(self):
        return [f"job-{n}" for n in NODES if self.job(f"job-{n}").get("spec", {}).get("suspend")]

    def until_suspended(self, *names, seconds=10):
        wait_for(lambda: self.suspended() == list(names), seconds, f"{names}, not {self.suspended()}")

    def end(self, *names):
        for name in names:
            self.cluster.delete_pod(f"gpu-{name}")

    def records(self):
        status, made = self.cluster.api.json("GET", RECORDS)
        return {k: v for k, v in (made.get("data") or {}).items() if k.startswith("move-")} if status == 200 else {}

    # --- berth ---

    def moves(self):
        return self.daemon.ops.json("GET", "/v1/moves")[1]

    def move(self, phase, seconds=10):
        return wait_for(lambda: (found := self.moves()["moves"]) and found[0]["phase"] == phase and found[0], seconds,
                        f"the phase {phase} of {self.moves()}")

    def why(self):
        return wait_for(lambda: [w["why"] for w in self.moves()["waiting"] if "slices" in w["why"] or "cut" in w["why"]],
                        15, f"a reason in {self.moves()}")[0]

    def untouched(self, seconds=2):
        time.sleep(seconds)
        self.assertEqual((self.suspended(), [self.record(n) for n in NODES], [self.taints(n) for n in NODES]), ([], [None] * 2, [[], []]))

    def cut(self):
        """Slices for a pod that waits, at the cost of the Job on m0; the pod."""
        self.full()
        (thing,) = self.ask()
        self.until_suspended("job-m0")
        self.end("m0")
        self.phase("applied")
        self.bound(thing, "m0")
        return thing


class ByRight(Emptied):
    def test_the_cheapest_node_is_emptied_cut_and_the_pods_are_bound(self):
        self.full()
        things = self.ask(3)
        self.until_suspended("job-m0")
        move = self.move("empty")
        self.assertEqual((self.record()["phase"], self.record()["move"]), ("draining", move["id"]))
        self.assertEqual((len(self.taints()), self.label()), (1, "all-disabled"))
        self.assertEqual((move["for"]["repartition"], move["for"]["pods"], [u["name"] for u in move["units"]]), ("m0", 3, ["job-m0"]))
        self.assertEqual(list(self.records()), [move["id"]])
        lines = self.daemon.explain("s0")[1]["help"]
        self.assertTrue(any(l.endswith(f"(draining; what has GPUs there is ended by {move['id']})") for l in lines), lines)
        told = subprocess.run([BERTH, "status", f"--ops=127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True, timeout=30)
        self.assertRegex(told.stdout, rf"(?m)^repartition   m0 to all-1g.10gb: draining since .*, emptied by {move['id']}$")
        told = subprocess.run([BERTH, "moves", f"--ops=127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True, timeout=30)
        self.assertIn("ReplicaSet team/web, slices of m0", told.stdout)
        self.end("m0")
        self.phase("applied")
        for thing in things:
            self.bound(thing, "m0")
        self.move("lent")
        self.assertEqual((self.suspended(), self.record("m1"), self.label("m1")), (["job-m0"], None, "all-disabled"))
        (given,) = self.events("GPUsTakenFor")
        self.assertIn("2 GPUs are taken for 3 pods, for which node m0 is cut into slices (all-1g.10gb), at a cost of", given["note"])
        (taken,) = self.events("GPUsTaken")
        self.assertEqual((taken["regarding"]["name"], len(self.events("Repartitioned"))), ("job-m0", 1))
        self.assertEqual((self.daemon.metric('berth_moves_total{result="begun"}'), self.outcome("applied")), (1, 1))

    def test_the_room_is_held_for_those_it_was_made_for(self):
        self.full()
        (thing,) = self.ask()
        self.until_suspended("job-m0")
        self.end("m0")
        self.phase("applied")
        wait_for(lambda: (self.daemon.entry(thing) or {}).get("node") == "m0", what="its room")
        wait_for(lambda: self.nominated("s0") == "m0" and self.wake("s0"), what="the wake-up")
        late = self.slices("late", count=14)
        self.assertIsNone(self.daemon.placed(late, NODES))
        self.bound(thing, "m0")

    def test_an_idle_node_comes_first(self):
        self.work("m1", "m1", self.cluster.job("job-m1"))
        self.cluster.job("job-m0")
        (thing,) = self.ask()
        self.phase("applied")
        self.bound(thing, "m0")
        self.assertEqual((self.suspended(), self.moves()["moves"]), ([], []))

    def test_a_gang_is_ended_whole(self):
        job = self.cluster.job("job-m0")
        for i, target in enumerate(NODES):
            self.work(f"g{i}", target, job)
        self.cluster.job("job-m1")
        self.ask()
        self.until_suspended("job-m0")
        self.move("empty")
        self.end("g0")
        time.sleep(1.5)
        self.assertEqual((self.record()["phase"], self.label()), ("draining", "all-disabled"))
        self.end("g1")
        self.phase("applied")
        self.assertIsNone(self.record("m1"))

    def test_replicas_that_are_made_anew_are_evicted(self):
        self.daemon.write_policy(POLICY.replace("mayPreempt: [batch]", "mayPreempt: [batch]\n- name: rest\n  match: [{owners: [StatefulSet]}]").replace(
            "mayPreempt: [batch]", "mayPreempt: [batch, rest]"))
        self.work("r0", "m0", SET, gpus=1)
        self.work("r1", "m0", SET, gpus=1)
        self.standing("gpu-foreign", "m1")
        (thing,) = self.ask()
        wait_for(lambda: all("deletionTimestamp" in self.cluster.get_pod(f"gpu-r{i}")["metadata"] for i in range(2)), what="the evictions")
        self.end("r0", "r1")
        self.phase("applied")
        self.bound(thing, "m0")
        wait_for(lambda: not self.moves()["moves"] and not self.records(), what="the move's end")

    def test_its_pods_are_told_first(self):
        self.daemon.write_policy(POLICY.replace("grace: 0s", "grace: 3s"))
        self.full()
        self.ask()
        at = wait_for(lambda: self.cluster.get_pod("gpu-m0")["metadata"].get("annotations", {}).get("berth.dev/ending-at"), what="the notice")
        self.assertEqual((self.suspended(), self.record()["phase"], len(self.taints())), ([], "draining", 1))
        self.assertIn(at, wait_for(lambda: self.events("GPUsToBeTaken"), what="the Event")[0]["note"])
        self.until_suspended("job-m0")


class ByLoan(Emptied):
    """Room of a headroom is lent, and comes back when its hours begin."""

    policy = POLICY.replace("  mayPreempt: [batch]\n", "").replace("moves:", "headroom:\n- %s\nmoves:" % window(-10, 60).replace("gpus: 16, inChunksOf: 8", "gpus: 2"))

    def test_only_what_was_lent_is_ended(self):
        self.full()
        rule = wait_for(lambda: (r := self.daemon.ops.json("GET", "/v1/status")[1]["headroom"][0])["lent"] == 2 and r, 5, "what is lent")
        self.assertTrue(rule["open"])
        (thing,) = self.ask(priority=10)
        job = wait_for(self.suspended, what="the end of what was lent")
        self.assertEqual(len(job), 1)
        target = job[0].removeprefix("job-")
        self.assertEqual(self.move("empty")["units"][0]["right"], "lendTo")
        self.end(target)
        self.phase("applied", target)
        self.bound(thing, target)


class ByGuarantee(Emptied):
    """A team below what it is guaranteed reclaims from one beyond it: with what its pods take, not with the whole node."""

    policy = POLICY.replace("  mayPreempt: [batch]\n", "").replace(
        "moves:", "teams:\n- {name: a, namespaces: [team], guaranteed: {h100: 1}}\n- {name: b, namespaces: [rich], guaranteed: {h100: 2}}\nmoves:")

    def rich(self, *targets):
        for name in targets:
            job = self.cluster.job(f"job-{name}", namespace="rich")
            made = self.cluster.create("pods", pod(f"gpu-{name}", gpus=2, owner=job, nodeName=name, namespace="rich"))
            wait_for(lambda: (self.daemon.entry(made) or {}).get("state") == "bound", what=name)

    def suspended(self):
        paths = [f"/apis/batch/v1/namespaces/rich/jobs/job-{n}" for n in NODES]
        return [p.rpartition("/")[2] for p in paths if self.cluster.api.json("GET", p)[1].get("spec", {}).get("suspend")]

    def test_what_is_beyond_a_guarantee_is_ended(self):
        self.rich(*NODES)
        (thing,) = self.ask(priority=10)
        self.until_suspended("job-m0")
        self.assertEqual(self.move("empty")["units"][0]["right"], "reclaim")
        self.cluster.delete_pod("gpu-m0", "rich")
        self.phase("applied")
        self.bound(thing, "m0")

    def test_no_more_than_that(self):
        self.standing("gpu-foreign", "m0")
        self.rich("m1")
        self.ask(priority=10)
        self.assertIn("no right to end it", self.why())
        self.untouched()

    def test_no_more_than_its_own_guarantee(self):
        self.rich(*NODES)
        self.ask(8, priority=10)
        self.assertIn("no right to end it", self.why())
        self.untouched()


class WithoutRight(Emptied):
    def bad(self, why):
        self.ask()
        self.assertIn(why, self.why())
        self.untouched()
        lines = self.daemon.explain("s0")[1]["help"]
        self.assertTrue(any(l.startswith("no node is emptied to be cut into slices: ") and why in l for l in lines), lines)

    def test_classes_that_may_not_be_preempted(self):
        self.daemon.write_policy(POLICY.replace("mayPreempt: [batch]", "mayPreempt: [other]"))
        self.full()
        self.bad("no right to end it")

    def test_higher_priority(self):
        for name in NODES:
            self.work(name, name, self.cluster.job(f"job-{name}"), priority=5)
        self.bad("its priority is not lower")

    def test_minimum_run_time(self):
        self.daemon.write_policy(POLICY.replace("minRuntime: 0s", "minRuntime: 1h"))
        self.full()
        self.bad("it is within its minRuntime")

    def test_protected_pods(self):
        self.full(annotations={"karpenter.sh/do-not-disrupt": "true"})
        self.bad("it is protected")

    def test_pods_that_nobody_makes_anew(self):
        self.daemon.write_policy(POLICY.replace("mayPreempt: [batch]", "mayPreempt: [batch, other]"))
        for name in NODES:
            self.work(name, name, None)
            self.cluster.job(f"job-{name}")
        self.bad("nothing makes it anew")

    def test_a_foreign_pod_beside_it(self):
        for name in NODES:
            self.work(name, name, self.cluster.job(f"job-{name}"), gpus=1)
            self.standing(f"gpu-foreign-{name}", name)
        self.bad("no node could be cut into slices for it")

    def test_one_of_them_is_enough(self):
        """The cheap node has a pod on it that is protected: it is the other one."""
        self.work("m0", "m0", self.cluster.job("job-m0"), gpus=1)
        self.work("kept", "m0", self.cluster.job("job-kept"), gpus=1, annotations={"karpenter.sh/do-not-disrupt": "true"})
        self.work("m1", "m1", self.cluster.job("job-m1"))
        self.ask()
        self.until_suspended("job-m1")
        self.assertIsNone(self.record())


class Budget(Emptied):
    policy = POLICY.replace("- name: batch\n  match: [{owners: [Job]}]", "- name: batch\n  match: [{owners: [Job, StatefulSet]}]")

    def test_a_budget_that_refuses(self):
        for name in NODES:
            self.cluster.job(f"job-{name}")
            self.work(name, name, SET, annotations={"sim.berth.dev/evictable": "false"})
        self.ask()
        wait_for(lambda: self.events("MoveGivenUp"), what="its end")
        self.assertFalse(any("deletionTimestamp" in self.cluster.get_pod(f"gpu-{n}")["metadata"] for n in NODES))
        wait_for(lambda: self.taints() == [] and self.label() == "all-disabled", what="the taint's end")


class Off(Emptied):
    policy = POLICY.replace("moves: {mode: act, giveBackAfter: 1h}\n", "")

    def test_without_moves_nothing_ends(self):
        self.full()
        self.ask()
        self.untouched(4)
        self.assertEqual(self.moves(), {"mode": "off", "moves": [], "over": [], "waiting": []})


class Observed(Emptied):
    policy = POLICY.replace("mode: act", "mode: observe")

    def test_it_is_reported_once_and_nothing_is_touched(self):
        self.full()
        self.ask(2)
        found = self.move("observed")
        self.assertEqual((found["for"]["repartition"], [u["name"] for u in found["units"]]), ("m0", ["job-m0"]))
        self.untouched(4)
        (said,) = self.events("MoveObserved")
        self.assertIn("2 GPUs would be taken for 2 pods, for which node m0 is cut into slices", said["note"])
        self.assertEqual(self.daemon.metric('berth_moves_total{result="observed"}'), 1)
        self.assertEqual(self.cluster.api.call("GET", RECORDS)[0], 404)


class Fails(Emptied):
    policy = POLICY.replace("deadline: 30s", "deadline: 3s")

    def test_what_was_ended_is_given_back(self):
        self.manager.behaviour = "hangs_once"
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.end("m0")
        self.phase("failed", seconds=15)
        self.assertEqual((self.label(), self.taints()), ("all-disabled", []))
        self.until_suspended()
        self.assertNotIn("berth.dev/suspended-by", self.job()["metadata"].get("labels", {}))
        (said,) = self.events("MoveGivenUp")
        self.assertIn("the node was not cut into slices", said["note"])
        again = self.seen(self.cluster.pod("gpu-again", gpus=2, owner=self.job()))
        self.bound(again, "m0")

    def test_somebody_who_takes_the_taint_away_while_it_waits(self):
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.cluster.patch("/api/v1/nodes/m0", {"spec": {"taints": []}})
        self.end("m0")
        self.until_suspended()
        self.assertEqual((self.record()["phase"], self.label()), ("failed", "all-disabled"))

    def test_nobody_waits_any_more(self):
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.cluster.delete_pod("s0")
        self.end("m0")
        self.until_suspended()
        self.rests()
        self.assertEqual((self.record(), self.label()), (None, "all-disabled"))

    def test_an_act_that_is_refused(self):
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/jobs/", "status": 403, "times": 1000}]})
        self.full()
        self.ask()
        wait_for(lambda: self.events("MoveGivenUp"), what="its end")
        self.cluster.delete_pod("s0")
        self.rests()
        self.assertEqual((self.suspended(), self.record()), ([], None))


class OtherHands(Emptied):
    def until_gone(self):
        wait_for(lambda: not self.moves()["moves"] and not self.records(), 15, "the move's end")

    def test_somebody_resumes_what_was_ended(self):
        """He wins: it is not suspended again, and the node stays as it is."""
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.cluster.patch(JOB.format("job-m0"), {"spec": {"suspend": False}})
        time.sleep(3)
        self.cluster.delete_pod("s0")
        self.rests()
        self.until_gone()
        self.assertEqual((self.suspended(), self.record(), self.label()), ([], None, "all-disabled"))

    def test_no_berth_is_left(self):
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.daemon.process.stop(signal.SIGKILL)
        made = subprocess.run([BERTH, "release", "--kubeconfig", self.cluster.kubeconfig, "-A"], capture_output=True, text=True, timeout=30)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual((self.suspended(), self.taints(), self.record(), self.label()), ([], [], None, "all-disabled"))
        self.cluster.delete_pod("s0")
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
        self.until_gone()
        self.assertEqual((self.suspended(), self.taints(), self.label()), ([], [], "all-disabled"))

    def test_a_pod_that_slips_in_while_it_drains(self):
        """It is nobody's victim: it is waited for, and its end is enough."""
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.standing("gpu-foreign", "m0")
        self.end("m0")
        self.move("cut")
        time.sleep(2.5)
        self.assertEqual((self.record()["phase"], self.label()), ("draining", "all-disabled"))
        self.cluster.delete_pod("gpu-foreign")
        self.phase("applied")

    def test_the_node_goes(self):
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.cluster.api.call("DELETE", "/api/v1/nodes/m0")
        self.manager.stop()
        wait_for(lambda: self.events("MoveGivenUp"), what="its end")


class Gangs(Emptied):
    policy = POLICY + "gate: {classes: [inference]}\n"

    def test_no_node_is_emptied_for_them_and_it_is_said(self):
        self.full()
        thing = pod("w0", gpus=0, owner=WEB, annotations={"berth.dev/gang": "g", "berth.dev/gang-size": "1"},
                    schedulingGates=[{"name": "berth.dev/plan"}])
        thing["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/mig-1g.10gb": "1"}
        self.seen(self.cluster.create("pods", thing))
        wait_for(lambda: any("it is not done for gangs" in l for l in self.daemon.explain("w0")[1].get("help", [])), 15, "the line")
        self.untouched()


class Changes(Emptied):
    """Something is otherwise before anything has ended."""

    policy = POLICY.replace("grace: 0s", "grace: 5s")

    def told(self):
        self.full()
        self.ask()
        wait_for(lambda: self.cluster.get_pod("gpu-m0")["metadata"].get("annotations", {}).get("berth.dev/ending-at"), what="the notice")

    def left(self):
        wait_for(lambda: self.events("MoveGivenUp"), what="its end")
        wait_for(lambda: not self.cluster.get_pod("gpu-m0")["metadata"].get("annotations", {}).get("berth.dev/ending-at"), what="the notice's end")
        self.rests()
        self.assertEqual((self.suspended(), self.record(), self.label()), ([], None, "all-disabled"))

    def test_the_node_is_cordoned(self):
        self.told()
        self.cluster.patch("/api/v1/nodes/m0", {"spec": {"unschedulable": True}})
        self.left()

    def test_a_pod_slips_in_that_no_move_may_end(self):
        self.told()
        self.standing("gpu-foreign", "m0")
        self.left()

    def test_the_policy_cuts_no_nodes_any_more(self):
        self.told()
        at = self.policy.index("  mig:")
        self.daemon.write_policy(self.policy[:at] + self.policy[self.policy.index("classes:"):])
        self.left()

    def test_the_policy_makes_no_moves_any_more(self):
        self.told()
        self.daemon.write_policy(self.policy.replace("mode: act", "mode: observe"))
        self.left()

    def test_its_pods_end_by_themselves(self):
        """Then it is idle: nothing is ended, and it is cut all the same."""
        self.told()
        self.end("m0")
        self.phase("applied")
        self.bound(self.cluster.get_pod("s0"), "m0")
        self.assertEqual((self.suspended(), self.events("GPUsTaken")), ([], []))


class Several(Emptied):
    OTHER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "api", "uid": "api-uid"}}

    def both(self):
        self.full()
        self.ask()
        self.slices("t0", count=14, owner=self.OTHER)

    def test_no_more_nodes_than_the_policy_says(self):
        self.both()
        self.until_suspended("job-m0")
        self.end("m0")
        self.phase("applied")
        self.untouched_but_one()

    def untouched_but_one(self):
        time.sleep(3)
        self.assertEqual((self.suspended(), self.record("m1"), len(self.events("GPUsTakenFor")), self.events("MoveGivenUp")),
                         (["job-m0"], None, 1, []))

    def test_one_for_each(self):
        self.daemon.write_policy(POLICY.replace("after: 1s", "after: 1s\n    maxNodes: 2"))
        self.both()
        self.until_suspended("job-m0", "job-m1")
        self.end("m0", "m1")
        for name in NODES:
            self.phase("applied", name)
        self.assertEqual({self.daemon.placed(self.cluster.get_pod(n), NODES) for n in ("s0", "t0")}, set(NODES))


class ObservedBesideIdle(Emptied):
    policy = Observed.policy

    def test_a_node_that_becomes_idle_is_cut(self):
        self.full()
        self.ask()
        self.assertEqual(self.move("observed")["for"]["repartition"], "m0")
        self.end("m1")
        self.phase("applied", "m1")
        self.bound(self.cluster.get_pod("s0"), "m1")
        wait_for(lambda: not self.moves()["moves"], what="the move's end")
        self.assertEqual(self.suspended(), [])


class Many(Emptied):
    """Siblings that one node does not take."""

    def test_none_is_emptied_where_not_all_of_them_would_fit(self):
        self.full()
        self.ask(3, each=7)
        self.assertIn("not all of them would fit on nodes that may be emptied", self.why())
        self.untouched()
        self.cluster.delete_pod("s2")
        self.until_suspended("job-m0", seconds=20)

    def test_as_many_as_they_need(self):
        self.daemon.write_policy(POLICY.replace("after: 1s", "after: 1s\n    maxNodes: 2"))
        self.full()
        things = self.ask(3, each=7)
        self.until_suspended("job-m0", "job-m1", seconds=20)
        self.end("m0", "m1")
        for name in NODES:
            self.phase("applied", name)
        for thing in things:
            self.assertFalse(self.daemon.bind(thing, wait_for(lambda: self.daemon.placed(thing, NODES), what="a place"))[1].get("Error"))


class SeveralObserved(Several):
    policy = POLICY.replace("mode: act", "mode: observe")

    def test_no_more_nodes_than_the_policy_says(self):
        self.both()
        self.move("observed")
        self.untouched(4)
        self.assertEqual(len(self.moves()["moves"]), 1)

    def test_one_for_each(self):
        self.daemon.write_policy(self.policy.replace("after: 1s", "after: 1s\n    maxNodes: 2"))
        self.both()
        wait_for(lambda: len(self.moves()["moves"]) == 2, 15, "both moves")
        self.assertEqual({m["for"]["repartition"] for m in self.moves()["moves"]}, set(NODES))
        self.untouched()


class GivenBack(Emptied):
    policy = POLICY.replace("giveBackAfter: 1h", "giveBackAfter: 1s")

    def test_the_node_is_made_whole_again_for_what_was_ended(self):
        self.cut()
        time.sleep(2)
        self.assertEqual((self.suspended(), self.record()["phase"]), (["job-m0"], "applied"))
        self.cluster.delete_pod("s0")
        wait_for(lambda: self.label() == "all-disabled", 15, "the way back")
        self.until_suspended(seconds=15)
        wait_for(lambda: not self.record(), what="the record's end")
        again = self.seen(self.cluster.pod("gpu-again", gpus=2, owner=self.job()))
        self.bound(again, "m0")
        wait_for(lambda: not self.moves()["moves"] and not self.records(), 15, "the move's end")


class NextProcess(Emptied):
    """Killed at each point, it comes to the same end."""

    def finish(self):
        self.until_suspended("job-m0")
        self.end("m0")
        self.phase("applied", seconds=15)
        wait_for(lambda: self.moves()["moves"], what="the move")
        wait_for(lambda: self.daemon.placed(self.cluster.get_pod("s0"), NODES) == "m0", what="a place")
        self.bound(self.cluster.get_pod("s0"), "m0")
        self.move("lent", 15)
        self.assertEqual((self.suspended(), self.taints(), self.manager.labels), (["job-m0"], [], [("m0", "all-1g.10gb")]))

    def killed(self, *rules):
        """Killed while what the rules hold back is under way: it is never done."""
        self.full()
        self.cluster.faults({"rules": [{"hold": True, "times": 10, **r} for r in rules]})
        self.ask()

    def start(self):
        self.daemon.process.stop(signal.SIGKILL)
        self.cluster.faults({"clear": True, "release": True})
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)

    def test_between_its_record_and_the_taint(self):
        self.killed({"method": "PATCH", "path": "/nodes/m0"})
        wait_for(self.records, what="the record")
        time.sleep(0.5)
        self.assertEqual((self.suspended(), self.taints()), ([], []))
        self.start()
        self.finish()

    def test_between_the_taint_and_the_end(self):
        self.killed({"method": "PATCH", "path": "jobs/job"})
        self.phase("draining")
        self.assertEqual(self.suspended(), [])
        self.start()
        self.finish()

    def test_between_the_end_and_the_label(self):
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.start_anew()
        self.assertEqual((self.record()["phase"], len(self.taints())), ("draining", 1))
        self.finish()

    def test_while_it_is_cut(self):
        self.manager.seconds = 1.5
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.end("m0")
        self.phase("applying")
        self.start_anew()
        self.finish()

    def test_before_the_pod_is_bound(self):
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.end("m0")
        self.phase("applied")
        self.start_anew()
        self.finish()

    def test_once_the_pod_has_its_place(self):
        """Its notice would still be waited for, by what the record says."""
        self.policy = POLICY.replace("grace: 0s", "grace: 3s")
        self.daemon.write_policy(self.policy)
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.end("m0")
        self.phase("applied")
        self.cluster.faults({"rules": [{"method": "GET", "path": "/jobs/", "hold": True, "times": 10}]})
        self.start_anew()
        wait_for(lambda: self.daemon.placed(self.cluster.get_pod("s0"), NODES) == "m0", what="a place")
        time.sleep(1.5)
        self.cluster.faults({"clear": True, "release": True})
        self.finish()

    def test_at_random(self):
        seed = int(os.environ.get("BERTH_TEST_SEED", time.time_ns() % 10 ** 9))
        print(f"BERTH_TEST_SEED={seed}")
        dice = random.Random(seed)
        self.full()
        self.ask()
        for _ in range(5):
            time.sleep(dice.uniform(0, 1.5))
            self.start_anew()
            if self.suspended():
                self.end("m0")
        self.finish()

    def test_the_record_of_the_move_is_lost(self):
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.daemon.process.stop(signal.SIGKILL)
        self.cluster.api.call("DELETE", RECORDS)
        self.cluster.delete_pod("s0")
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
        self.rests()
        self.end("m0")
        self.until_suspended(seconds=15)
        self.assertEqual((self.record(), self.label()), (None, "all-disabled"))

    def test_the_next_one_has_no_moves(self):
        self.full()
        self.ask()
        self.until_suspended("job-m0")
        self.policy = Off.policy
        self.start_anew()
        self.rests()
        self.end("m0")
        self.until_suspended(seconds=15)


if __name__ == "__main__":
    unittest.main()
