"""MIG by demand: an idle node is cut into slices where pods wait for such, and made whole again, beside a stand-in that plays NVIDIA's
MIG manager by its labels."""

import json
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from harness import BERTH, Cluster, Daemon, WireTest, pod, wait_for

KEY = "berth.dev/repartition"
CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
WHOLE, SMALL = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"
SLICES = {WHOLE: 0, SMALL: 14}
NODES = ["m0", "m1"]

POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools:
- name: h100
  gpu: H100
  mig:
    configs: [{name: all-1g.10gb, perGPU: {1g.10gb: 7}}]
    after: 1s
    deadline: %s
    idleFor: %s
    retryAfter: %s
classes:
- name: batch
fallback: batch
health:
  quarantine: {release: %s}
"""


def policy(deadline="30s", idle_for="1h", retry_after="1h", release="1h"):
    return POLICY % (deadline, idle_for, retry_after, release)


class Manager:
    """Plays the MIG manager and the device plugin of every node. What it does on a label that it has not seen yet is `behaviour`."""

    GEOMETRIES = {"all-3g.40gb": {WHOLE: 0, SMALL: 0, "nvidia.com/mig-3g.40gb": 4}, "all-1g.10gb": SLICES, "all-disabled": {WHOLE: 2, SMALL: 0}}

    def __init__(self, cluster, behaviour="normal", seconds=0.3):
        self.cluster, self.behaviour, self.seconds = cluster, behaviour, seconds
        self.seen, self.labels, self.ended = {}, [], threading.Event()
        for name in NODES:
            self.seen[name] = self.label(name)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.thread.join()

    def label(self, name):
        return self.cluster.api.json("GET", f"/api/v1/nodes/{name}")[1]["metadata"]["labels"].get(CONFIG)

    def run(self):
        while not self.ended.wait(0.05):
            for name in NODES:
                label = self.label(name)
                if label != self.seen[name]:
                    self.seen[name] = label
                    self.labels.append((name, label))
                    if label:
                        getattr(self, self.behaviour)(name, label)

    def say(self, name, state):
        self.cluster.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {STATE: state}}})

    def show(self, name, amounts):
        amounts = {k: str(v) for k, v in amounts.items()}
        self.cluster.patch(f"/api/v1/nodes/{name}/status", {"status": {"capacity": amounts, "allocatable": amounts}})

    def shows(self, name, amounts):
        there = self.cluster.api.json("GET", f"/api/v1/nodes/{name}")[1]["status"]["allocatable"]
        return all(int(there.get(k, 0)) == v for k, v in amounts.items())

    def holds_gpus(self, name):
        pods = self.cluster.api.json("GET", "/api/v1/pods")[1]["items"]
        return any(p["spec"].get("nodeName") == name and p["metadata"]["name"].startswith("gpu") for p in pods)

    def normal(self, name, label):
        self.say(name, "pending")
        self.ended.wait(self.seconds)
        if self.shows(name, self.GEOMETRIES[label]):
            self.say(name, "success")
            return
        if self.holds_gpus(name):
            self.say(name, "failed")
            return
        self.show(name, {WHOLE: 0, SMALL: 0})
        self.say(name, "success")
        self.ended.wait(self.seconds)
        self.show(name, self.GEOMETRIES[label])

    def already(self, name, label):
        """The GPUs were cut so before: nothing is said, the device plugin shows it."""
        self.show(name, self.GEOMETRIES[label])

    def hangs(self, name, _label):
        """And never looks at a label again."""
        self.say(name, "pending")
        self.behaviour = "silent"

    def hangs_once(self, name, label):
        if label == "all-1g.10gb":
            self.say(name, "pending")
        else:
            self.normal(name, label)

    def fails_once(self, name, label):
        if label == "all-1g.10gb":
            self.say(name, "pending")
            self.ended.wait(self.seconds)
            self.say(name, "failed")
        else:
            self.normal(name, label)

    def fails_back(self, name, label):
        if label == "all-disabled":
            self.say(name, "pending")
            self.ended.wait(self.seconds)
            self.say(name, "failed")
        else:
            self.normal(name, label)

    def silent(self, name, label):
        pass


class Repartition(WireTest):
    policy = policy()
    behaviour = "normal"
    labels = {CONFIG: "all-disabled", STATE: "success"}

    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        for name in NODES:
            self.cluster.node(name, gpus=2, labels={"nvidia.com/mig.strategy": "mixed", **self.labels})
        self.manager = Manager(self.cluster, self.behaviour)
        self.addCleanup(self.manager.stop)
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, args=self.args)
        self.addCleanup(self.stop_daemon)

    def start_anew(self, text=None):
        self.daemon.process.stop(signal.SIGKILL)
        self.daemon = Daemon(self.cluster.kubeconfig, policy=text or self.policy, port=self.daemon.port)

    # --- the cluster ---

    def node(self, name="m0"):
        return self.cluster.api.json("GET", f"/api/v1/nodes/{name}")[1]

    def taints(self, name="m0"):
        return [t for t in self.node(name)["spec"].get("taints", []) if t["key"] == KEY]

    def record(self, name="m0"):
        text = self.node(name)["metadata"].get("annotations", {}).get(KEY)
        return json.loads(text) if text else None

    def label(self, name="m0"):
        return self.manager.label(name)

    def phase(self, wanted, name="m0", seconds=10):
        return wait_for(lambda: (r := self.record(name)) and r["phase"] == wanted and r, seconds, f"the phase {wanted} of {name}")

    def slices(self, name="s0", count=1, ask=True, **spec):
        """A pod that asks for slices, and that kube-scheduler finds no node for."""
        thing = pod(name, gpus=0, **spec)
        thing["spec"]["containers"][0]["resources"]["limits"] = {SMALL: str(count)}
        made = self.cluster.create("pods", thing)
        self.seen(made)
        if ask:
            self.unschedulable(name)
        return made

    def unschedulable(self, name):
        self.cluster.patch(f"/api/v1/namespaces/team/pods/{name}/status", {"status": {"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}]}})

    def standing(self, name, target, gpus=1):
        """A pod of somebody else's that is bound there, whatever the taints."""
        made = self.cluster.create("pods", pod(name, gpus=gpus, scheduler="other", nodeName=target))
        wait_for(lambda: self.daemon.entry(made), what=name)
        return made

    def events(self, reason):
        return [e for e in self.cluster.api.json("GET", "/apis/events.k8s.io/v1/events")[1]["items"] if e["reason"] == reason]

    def outcome(self, name):
        return self.daemon.metric(f'berth_repartitions_total{{outcome="{name}"}}')

    def bound(self, thing, target):
        self.assertEqual(wait_for(lambda: self.daemon.placed(thing, NODES), what="a place"), target)
        self.assertFalse(self.daemon.bind(thing, target)[1].get("Error"))

    def rests(self, name="m0"):
        """Nothing of berth's is under way on the node."""
        wait_for(lambda: not self.taints(name), 15, "the taint's end")


class Begins(Repartition):
    def test_an_idle_node_is_cut_and_the_pod_is_bound(self):
        thing = self.slices()
        taint = wait_for(self.taints, what="the taint")
        self.assertEqual(taint, [{"key": KEY, "value": "all-1g.10gb", "effect": "NoSchedule"}])
        self.assertEqual(self.label(), "all-disabled")
        lines = self.daemon.explain("s0")[1]["help"]
        self.assertTrue(any(l.startswith("node m0 is being repartitioned to all-1g.10gb, since 20") for l in lines), lines)
        self.phase("applied")
        self.assertEqual((self.label(), self.taints()), ("all-1g.10gb", []))
        self.bound(thing, "m0")
        self.slices("s1", count=14)
        lines = self.daemon.explain("s1")[1]["help"]
        self.assertIn("pool h100 has 1 node cut into slices, and may have no more (maxNodes)", lines)
        self.cluster.delete_pod("s1")
        self.assertEqual(self.outcome("applied"), 1)
        self.assertEqual([e["note"] for e in self.events("Repartitioning")], ["its GPUs are cut anew, from all-disabled to all-1g.10gb"])
        self.assertEqual((len(self.events("Repartitioned")), self.label("m1")), (1, "all-disabled"))
        status = self.daemon.ops.json("GET", "/v1/status")[1]["repartition"]
        self.assertEqual([(n["node"], n["phase"], n["to"]) for n in status], [("m0", "applied", "all-1g.10gb")])
        told = subprocess.run([BERTH, "status", f"--ops=127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True, timeout=30)
        self.assertRegex(told.stdout, r"(?m)^repartition   m0 to all-1g.10gb: applied since 20")

    def test_pods_that_berth_itself_rejected_are_woken(self):
        thing = self.slices(ask=False)
        self.assertIsNone(self.daemon.placed(thing, NODES))
        self.phase("applied")
        wait_for(lambda: self.wake("s0"), what="the wake-up")
        self.bound(thing, "m0")


class Gangs(Repartition):
    policy = policy() + "gate: {classes: [batch]}\n"

    def test_members_behind_the_gate_count_as_one(self):
        self.daemon.write_policy(self.policy.replace("after: 1s", "after: 1s\n    maxNodes: 2"))
        things = []
        for i in range(3):
            thing = pod(f"w{i}", gpus=0, annotations={"berth.dev/gang": "g", "berth.dev/gang-size": "3"},
                        schedulingGates=[{"name": "berth.dev/plan"}])
            thing["spec"]["containers"][0]["resources"]["limits"] = {SMALL: "7"}
            things.append(self.cluster.create("pods", thing))
        self.phase("applied", "m0", 15)
        self.phase("applied", "m1", 15)
        for thing in things:
            wait_for(lambda: not self.cluster.get_pod(thing["metadata"]["name"])["spec"].get("schedulingGates"), 10, "the gate's end")
        self.assertEqual(sorted(self.nominated(f"w{i}") for i in range(3)), ["m0", "m0", "m1"])


class Traps(Repartition):
    """What the manager says, and what it does not."""

    def test_a_success_from_the_last_time_proves_nothing(self):
        self.manager.behaviour = "silent"
        self.slices()
        self.phase("applying")
        time.sleep(2.5)
        self.assertEqual((self.record()["phase"], len(self.taints())), ("applying", 1))
        self.manager.show("m0", {WHOLE: 0, SMALL: 7})  # one of the two GPUs
        time.sleep(1.5)
        self.assertEqual(self.record()["phase"], "applying")
        self.manager.normal("m0", "all-1g.10gb")
        self.phase("applied")

    def test_slices_without_success_prove_nothing(self):
        self.manager.behaviour = "silent"
        self.slices()
        self.phase("applying")
        self.manager.say("m0", "pending")
        self.manager.show("m0", SLICES)
        time.sleep(2.5)
        self.assertEqual(self.record()["phase"], "applying")
        self.manager.say("m0", "success")
        self.phase("applied")

    def test_gpus_that_were_cut_so_already(self):
        self.manager.behaviour = "already"
        thing = self.slices()
        self.phase("applied")
        self.bound(thing, "m0")
        self.assertEqual(self.manager.labels, [("m0", "all-1g.10gb")])


class Others(Repartition):
    """Whoever else has a hand in it."""

    def test_somebody_else_who_changes_the_label_has_the_node(self):
        self.manager.behaviour = "silent"
        self.slices()
        self.phase("applying")
        self.cluster.patch("/api/v1/nodes/m0", {"metadata": {"labels": {CONFIG: "all-balanced"}}})
        self.rests()
        time.sleep(3)  # its pod waits still
        self.assertEqual((self.record()["phase"], self.taints()), ("failed", []))
        self.assertEqual((self.label(), self.outcome("left")), ("all-balanced", 1))
        wait_for(lambda: self.label("m1") == "all-1g.10gb", what="the other node")

    def test_somebody_else_who_takes_the_taint_away_has_the_node(self):
        self.manager.behaviour = "silent"
        self.slices()
        self.phase("applying")
        self.cluster.patch("/api/v1/nodes/m0", {"spec": {"taints": []}})
        self.phase("failed")
        time.sleep(3)
        self.assertEqual((self.label(), self.taints(), self.record()["phase"]), ("all-1g.10gb", [], "failed"))

    def test_somebody_else_who_takes_the_taint_away_before_anything_was_touched(self):
        self.slices()
        self.phase("draining")
        self.standing("gpu-foreign", "m0")
        self.cluster.patch("/api/v1/nodes/m0", {"spec": {"taints": []}})
        self.phase("failed")
        self.cluster.delete_pod("gpu-foreign")
        self.phase("applied", "m1")
        self.assertEqual((self.label(), self.taints(), self.record()["phase"]), ("all-disabled", [], "failed"))

    def test_other_taints_stay(self):
        other = {"key": "example.com/x", "value": "y", "effect": "PreferNoSchedule"}
        self.cluster.patch("/api/v1/nodes/m0", {"spec": {"taints": [other]}})
        self.slices()
        self.phase("applied")
        self.assertEqual(self.node()["spec"]["taints"], [other])

    def test_a_foreign_pod_that_comes_meanwhile_is_waited_for(self):
        self.slices()
        self.phase("draining")
        self.standing("gpu-foreign", "m0")
        time.sleep(3)
        self.assertEqual((self.record()["phase"], self.label()), ("draining", "all-disabled"))
        self.cluster.delete_pod("gpu-foreign")
        self.phase("applied")

    def test_a_pod_that_tolerates_every_taint_gets_no_place_from_berth(self):
        self.manager.behaviour = "silent"
        self.slices()
        self.phase("applying")
        bold = self.cluster.pod("bold", gpus=2, tolerations=[{"operator": "Exists"}])
        self.seen(bold)
        self.assertIsNone(self.daemon.placed(bold, ["m0"]))
        self.assertEqual(self.daemon.filter(bold, ["m0"])[1]["FailedAndUnresolvableNodes"]["m0"], "node's GPUs are being cut anew (MIG)")
        self.assertEqual(self.daemon.placed(bold, NODES), "m1")


class NoNode(Repartition):
    """Nodes that are left alone, and pods that are not waited for."""

    def none(self, seconds=3.5):
        time.sleep(seconds)
        self.assertEqual([self.record(n) for n in NODES], [None, None])
        self.assertEqual(self.daemon.ops.json("GET", "/v1/status")[1]["repartition"], [])

    def test_nodes_with_gpu_pods_or_in_the_hands_of_others(self):
        self.standing("gpu-foreign", "m0")
        self.cluster.patch("/api/v1/nodes/m1", {"metadata": {"labels": {STATE: "pending"}}})
        wait_for(lambda: self.daemon.explain("gpu-foreign")[0] == 200, what="the pod")
        self.slices()
        self.none()
        self.cluster.patch("/api/v1/nodes/m1", {"metadata": {"labels": {STATE: "success", "nvidia.com/mig.strategy": "single"}}})
        self.none(2.5)
        self.cluster.delete_pod("gpu-foreign")
        self.phase("draining")

    def test_profiles_that_no_configuration_gives_and_nodes_that_the_pod_does_not_select(self):
        thing = pod("s0", gpus=0)
        thing["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/mig-3g.40gb": "1"}
        self.cluster.create("pods", thing)
        thing = pod("s1", gpus=0, nodeSelector={"kubernetes.io/hostname": "m9"})
        thing["spec"]["containers"][0]["resources"]["limits"] = {SMALL: "1"}
        self.cluster.create("pods", thing)
        for name in ("s0", "s1"):
            self.unschedulable(name)
        self.none()

    def test_one_node_is_enough_for_what_it_gives_and_no_more_than_maxNodes_are_taken(self):
        self.daemon.write_policy(self.policy.replace("after: 1s", "after: 1s\n    maxNodes: 2"))
        for i in range(3):
            self.slices(f"s{i}", count=7)
        self.phase("applied", "m1")
        self.phase("applied")

    def test_what_one_node_gives_is_enough(self):
        self.daemon.write_policy(self.policy.replace("after: 1s", "after: 1s\n    maxNodes: 2"))
        for i in range(2):
            self.slices(f"s{i}", count=7)
        self.phase("applied")
        self.assertIsNone(self.record("m1"))

    def test_without_the_right_it_is_said(self):
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/nodes/", "status": 403, "times": 1000}]})
        self.slices()
        wait_for(lambda: "info repartition: nodes cannot be cut anew" in self.daemon.ready()[1], what="the line")
        self.assertEqual(self.daemon.ready()[0], 200)
        self.none(0.5)


class Fails(Repartition):
    policy = policy(deadline="3s")

    def test_a_manager_that_fails(self):
        self.manager.behaviour = "fails_once"
        self.slices()
        self.phase("failed")
        self.assertEqual((self.label(), self.taints()), ("all-disabled", []))
        self.assertEqual(self.manager.labels[:2], [("m0", "all-1g.10gb"), ("m0", "all-disabled")])
        wait_for(lambda: (self.outcome("restored"), len(self.events("RepartitionFailed"))) == (1, 1), what="what is told of it")
        lines = self.daemon.explain("s0")[1]["help"]
        self.assertTrue(any(l.startswith("node m0 could not be repartitioned to all-1g.10gb") for l in lines), lines)
        wait_for(lambda: ("m1", "all-1g.10gb") in self.manager.labels, 15, "another node's turn")

    def test_a_pending_that_never_ends(self):
        self.manager.behaviour = "hangs_once"
        self.slices()
        self.phase("failed", seconds=15)
        self.assertEqual((self.label(), self.taints()), ("all-disabled", []))

    def test_a_pending_that_not_even_the_old_label_ends(self):
        self.manager.behaviour = "hangs"
        self.slices()
        self.phase("quarantined", seconds=15)
        self.assertEqual((self.label(), len(self.taints())), ("all-disabled", 1))
        wait_for(lambda: self.outcome("quarantined") == 1, what="the count")
        wait_for(lambda: [n["node"] for n in self.daemon.ops.json("GET", "/v1/status")[1]["quarantine"]] == ["m0"], what="the status")
        made = subprocess.run([BERTH, "quarantine", "release", "m0", "--kubeconfig", self.cluster.kubeconfig], capture_output=True,
                              text=True, timeout=30)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.rests()

    def test_a_foreign_pod_under_the_manager(self):
        self.manager.seconds = 1
        self.slices()
        self.phase("applying")
        self.standing("gpu-foreign", "m0")
        self.phase("failed")
        self.assertEqual((self.label(), self.taints()), ("all-disabled", []))


class GivesUp(Repartition):
    """Before anything was touched."""

    policy = policy(deadline="3s")

    def test_pods_that_do_not_end_in_time(self):
        self.slices()
        self.phase("draining")
        self.standing("gpu-foreign", "m0")
        self.phase("failed")
        self.assertEqual((self.taints(), self.label()), ([], "all-disabled"))
        wait_for(lambda: self.outcome("given_up") == 1, what="the count")

    def test_nobody_who_waits_any_more(self):
        self.slices()
        self.phase("draining")
        self.cluster.delete_pod("s0")
        self.rests()
        self.assertEqual((self.record(), self.label()), (None, "all-disabled"))


class Waits(Repartition):
    """No node is idle."""

    def test_for_pods_of_its_own_that_are_expected_to_end_soonest(self):
        for name, runtime in (("m0", "1h"), ("m1", "20s")):
            thing = pod(f"gpu-{name}", annotations={"berth.dev/expected-runtime": runtime}, nodeName=name)
            made = self.cluster.create("pods", thing)
            wait_for(lambda: self.daemon.entry(made), what="the pod")
        thing = self.slices(count=14)
        self.phase("draining", "m1")
        self.assertEqual((self.record("m0"), self.label("m1")), (None, "all-disabled"))
        self.cluster.delete_pod("gpu-m1")
        self.phase("applied", "m1")
        self.bound(thing, "m1")


class FailedBefore(Repartition):
    labels = {CONFIG: "all-disabled", STATE: "failed"}

    def test_a_failure_from_the_last_time_proves_nothing(self):
        self.manager.behaviour = "silent"
        self.slices()
        self.phase("applying")
        time.sleep(2)
        self.assertEqual(self.record()["phase"], "applying")
        self.manager.normal("m0", "all-1g.10gb")
        self.phase("applied")


class WithoutLabels(Repartition):
    labels = {}
    policy = policy(deadline="3s", idle_for="1s")

    def test_there_and_back(self):
        thing = self.slices()
        self.phase("applied")
        self.cluster.delete_pod(thing["metadata"]["name"])
        self.whole_wanted()
        wait_for(lambda: self.label() == "all-disabled", 15, "the way back")
        wait_for(lambda: not self.record(), what="the record's end")

    def test_a_failure_leaves_none(self):
        self.manager.behaviour = "fails_once"
        self.slices()
        self.phase("failed")
        self.assertIsNone(self.label())

    def whole_wanted(self):
        self.standing("gpu-full", "m1", gpus=2)
        self.seen(self.cluster.pod("whole", gpus=2))
        self.unschedulable("whole")


class AskedForBefore(Repartition):
    """The label asks for it, the manager says so, and nothing of it is to be seen."""

    labels = {CONFIG: "all-1g.10gb", STATE: "success"}
    policy = policy(deadline="3s")

    def test_such_nodes_come_last(self):
        self.cluster.patch("/api/v1/nodes/m1", {"metadata": {"labels": {CONFIG: "all-disabled"}}})
        time.sleep(0.3)
        self.slices()
        self.phase("applied", "m1")

    def test_it_ends(self):
        self.slices()
        self.phase("applying")
        self.phase("failed", seconds=15)
        self.assertEqual((self.label(), self.taints()), ("all-1g.10gb", []))


class InUse(Repartition):
    policy = policy(idle_for="1s")

    def setUp(self):
        super().setUp()
        self.thing = self.slices()
        self.phase("applied")
        self.bound(self.thing, "m0")


class Back(InUse):
    def test_when_the_slices_are_idle_and_whole_gpus_are_wanted(self):
        self.standing("gpu-full", "m1", gpus=2)
        whole = self.seen(self.cluster.pod("whole", gpus=2))
        self.unschedulable("whole")
        time.sleep(2)
        self.assertEqual(self.record()["phase"], "applied")
        self.slices("elsewhere", nodeSelector={"kubernetes.io/hostname": "m9"})  # waits in vain, and not for this node
        self.cluster.delete_pod("s0")
        wait_for(lambda: self.label() == "all-disabled", 15, "the way back")
        self.assertEqual(len(self.taints()), 1)
        wait_for(lambda: not self.record(), what="the record's end")
        self.rests()
        self.bound(whole, "m0")
        self.assertEqual(self.outcome("back"), 1)

    def test_when_slices_of_another_kind_are_wanted(self):
        self.daemon.write_policy(self.policy.replace("perGPU: {1g.10gb: 7}}]", "perGPU: {1g.10gb: 7}}, {name: all-3g.40gb, perGPU: {3g.40gb: 2}}]"))
        thing = pod("s1", gpus=0)
        thing["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/mig-3g.40gb": "1"}
        self.cluster.create("pods", thing)
        self.unschedulable("s1")
        self.cluster.delete_pod("s0")
        wait_for(lambda: self.label() == "all-3g.40gb" or self.label("m1") == "all-3g.40gb", 25, "the other slices")
        self.assertIn(("m0", "all-disabled"), self.manager.labels)


class BackByTime(InUse):
    def test_not_while_nobody_wants_them(self):
        self.cluster.delete_pod("s0")
        time.sleep(2.5)
        self.assertEqual(self.record()["phase"], "applied")
        self.daemon.write_policy(self.policy.replace("idleFor: 1s", "backAfter: 2s"))
        wait_for(lambda: self.label() == "all-disabled", 15, "the way back")
        wait_for(lambda: not self.record(), what="the record's end")

    def test_a_way_back_that_fails_leaves_the_slices_in_use(self):
        self.manager.behaviour = "fails_back"
        self.daemon.write_policy(self.policy.replace("idleFor: 1s", "backAfter: 2s"))
        self.cluster.delete_pod("s0")
        wait_for(lambda: self.outcome("restored"), 15, "the failure")
        self.rests()
        record = self.record()
        self.assertEqual((record["phase"], record["to"], record["from"], self.label()),
                         ("applied", "all-1g.10gb", "all-disabled", "all-1g.10gb"))


class NextProcess(Repartition):
    """What a process left is taken up by the next, wherever it was killed."""

    def test_killed_in_each_phase(self):
        self.manager.behaviour = "silent"
        self.slices()
        self.phase("draining")
        self.start_anew()
        self.phase("applying")
        self.start_anew()
        self.assertEqual(self.record()["phase"], "applying")
        self.assertIsNone(self.daemon.placed(self.cluster.pod("bold", tolerations=[{"operator": "Exists"}]), ["m0"]))
        self.manager.normal("m0", "all-1g.10gb")
        self.phase("applied")
        self.start_anew()
        self.assertEqual(self.record()["phase"], "applied")

    def test_killed_while_each_of_the_writes_is_under_way(self):
        self.manager.behaviour = "silent"
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/nodes/m0", "drop": True, "times": 1}]})
        self.slices()
        wait_for(self.taints, what="the taint")
        self.start_anew()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/nodes/m0", "drop": True, "times": 1}]})
        wait_for(lambda: self.label() == "all-1g.10gb", what="the label")
        self.start_anew()
        self.manager.show("m0", SLICES)  # its success still stands there
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/nodes/m0", "drop": True, "times": 1}]})
        self.rests()
        self.start_anew()
        self.assertEqual((self.record()["phase"], self.label()), ("applied", "all-1g.10gb"))
        self.assertEqual(self.manager.labels, [("m0", "all-1g.10gb")])

    def test_killed_before_it_is_restored(self):
        self.manager.behaviour = "hangs_once"
        short = policy(deadline="2s")
        self.daemon.write_policy(short)
        self.slices()
        self.phase("applying")
        self.start_anew(short)
        self.phase("failed", seconds=15)
        self.assertEqual((self.label(), self.taints()), ("all-disabled", []))

    def test_a_policy_that_knows_nothing_of_it_any_more(self):
        self.slices()
        self.phase("draining")
        self.start_anew(self.policy.replace("  mig:\n", "").replace("    configs", "# ").replace("    after", "# ").replace(
            "    deadline", "# ").replace("    idleFor", "# ").replace("    retryAfter", "# "))
        self.rests()
        self.assertEqual((self.record(), self.label()), (None, "all-disabled"))


class KilledAtRandom(Repartition):
    def test_it_is_cut_once_all_the_same(self):
        seed = int(os.environ.get("BERTH_TEST_SEED", time.time_ns() % 10 ** 9))
        print(f"BERTH_TEST_SEED={seed}")
        dice = random.Random(seed)
        thing = self.slices()
        for _ in range(4):
            time.sleep(dice.uniform(0, 2))
            self.start_anew()
        self.phase("applied")
        self.bound(thing, "m0")
        self.assertEqual((self.manager.labels, self.taints()), ([("m0", "all-1g.10gb")], []))


class LeftBehind(Repartition):
    """No berth is left: what was under way is taken back, by a person's word; the guard does the same."""

    def leave(self, phase):
        self.manager.behaviour = "silent"
        self.slices()
        self.phase(phase)
        self.daemon.process.stop(signal.SIGKILL)

    def release(self, *args):
        return subprocess.run([BERTH, "release", "--kubeconfig", self.cluster.kubeconfig, *args], capture_output=True, text=True, timeout=30)

    def test_by_hand(self):
        self.leave("applying")
        self.assertEqual(self.node()["metadata"]["labels"][KEY], "applying")
        made = self.release("-A", "--dry-run")
        self.assertEqual((made.returncode, made.stdout), (1, "Node m0 would be given back\n"), made.stderr)
        self.assertEqual((len(self.taints()), self.label()), (1, "all-1g.10gb"))
        made = self.release("-n", "team")
        self.assertEqual((made.returncode, made.stdout), (0, ""), made.stderr)
        made = self.release("-A")
        self.assertEqual((made.returncode, made.stdout), (0, "Node m0 given back\n"), made.stderr)
        self.assertEqual((self.taints(), self.record(), self.label()), ([], None, "all-disabled"))
        self.assertNotIn(KEY, self.node()["metadata"]["labels"])
        self.assertEqual(self.release("-A").stdout, "")

    def test_a_label_that_somebody_changed_since_is_his(self):
        self.leave("applying")
        self.cluster.patch("/api/v1/nodes/m0", {"metadata": {"labels": {CONFIG: "all-balanced"}}})
        self.assertEqual(self.release("-A").stdout, "Node m0 given back\n")
        self.assertEqual((self.taints(), self.record(), self.label()), ([], None, "all-balanced"))


if __name__ == "__main__":
    unittest.main()
