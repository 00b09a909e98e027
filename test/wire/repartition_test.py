"""MIG by demand: an idle node is cut into slices where pods wait for such, and made whole again, beside a stand-in that plays NVIDIA's
MIG manager by its labels."""

import json
import signal
import subprocess
import threading
import time
import unittest

from harness import BERTH, Cluster, Daemon, WireTest, node, pod, wait_for

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

    GEOMETRIES = {"all-1g.10gb": SLICES, "all-disabled": {WHOLE: 2, SMALL: 0}}

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

    def holds_gpus(self, name):
        pods = self.cluster.api.json("GET", "/api/v1/pods")[1]["items"]
        return any(p["spec"].get("nodeName") == name and p["metadata"]["name"].startswith("gpu") for p in pods)

    def normal(self, name, label):
        self.say(name, "pending")
        self.ended.wait(self.seconds)
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

    def slices(self, name="s0", count=1, ask=True):
        """A pod that asks for slices, and that kube-scheduler finds no node for."""
        thing = pod(name, gpus=0)
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


if __name__ == "__main__":
    unittest.main()
