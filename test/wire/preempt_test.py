"""The preempt verb of `berth serve`: whose room may be taken, and for whom it is held until it is free."""

import time
import unittest

from harness import Cluster, Daemon, WireTest, pod, wait_for

POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
classes:
- {name: urgent, mayPreempt: [batch]}
- name: steady
  match: [{podLabels: {app: "web*"}}, {owners: [CronJob]}]
- name: batch
fallback: batch
"""


class PreemptTest(WireTest):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.nodes()
        self.daemon = Daemon(self.cluster.kubeconfig, policy=POLICY, args=self.args)
        self.addCleanup(self.stop_daemon)

    def nodes(self):
        for name in ("n0", "n1"):
            self.cluster.node(name, gpus=2)

    def preempt(self, thing, victims):
        """victims: node → pods or UIDs; the answer: node → UIDs."""
        uid = lambda v: v if isinstance(v, str) else v["metadata"]["uid"]
        status, answer = self.daemon.verbs.json("POST", "/v1/preempt", {
            "Pod": thing, "NodeNameToVictims": None, "NodeNameToMetaVictims": {
                node: {"Pods": [{"UID": uid(v)} for v in pods], "NumPDBViolations": 0} for node, pods in victims.items()}})
        self.assertEqual(status, 200, answer)
        return {node: [p["UID"] for p in v["Pods"]] for node, v in answer["NodeNameToMetaVictims"].items()}

    def bound(self, name, target, labels=None, annotations=None, **spec):
        """A pod that stands on the node from the beginning."""
        thing = pod(name, annotations=annotations, nodeName=target, **spec)
        thing["metadata"]["labels"] = labels or {}
        thing = self.cluster.create("pods", thing)
        wait_for(lambda: (self.daemon.entry(thing) or {}).get("state") == "bound", what=name)
        return thing

    def urgent(self, name="u", **more):
        return self.seen(self.cluster.pod(name, annotations={"berth.dev/class": "urgent"}, priority=100, **more))

    def full(self):
        return [self.bound(f"low-{n}-{i}", f"n{n}") for n in range(2) for i in range(2)]

    def node_of(self, thing):
        return (self.daemon.entry(thing) or {}).get("node")


class Preempt(PreemptTest):
    def test_only_classes_that_may(self):
        low = self.full()
        plain = self.seen(self.cluster.pod("plain", priority=100))
        self.assertEqual(self.preempt(plain, {"n0": low[:1]}), {})
        member = self.seen(self.cluster.pod("member", annotations={
            "berth.dev/class": "urgent", "berth.dev/gang": "g"}, priority=100))
        self.assertEqual(self.preempt(member, {"n0": low[:1]}), {})
        self.assertEqual(self.preempt(self.urgent(), {"n0": low[:1]}), {"n0": [low[0]["metadata"]["uid"]]})

    def test_nodes_with_one_wrong_victim_are_dropped(self):
        good = self.bound("good", "n0")
        wrong = {
            "foreign": self.bound("foreign", "n0", scheduler="default-scheduler"),
            "web": self.bound("web", "n1", labels={"app": "web-1"}),
            "gang": self.bound("gang", "n1", labels={"kueue.x-k8s.io/pod-group-name": "g"}),
            "nobody": "no-such-uid",
        }
        two = self.urgent("two", gpus=2)
        for name in ("foreign", "nobody"):
            self.assertEqual(self.preempt(two, {"n0": [good, wrong[name]]}), {}, name)
        for name in ("web", "gang"):
            self.assertEqual(self.preempt(two, {"n1": [wrong[name]]}), {}, name)
        self.assertEqual(self.preempt(two, {"n0": [good]}), {}, "one GPU is not two")
        self.assertEqual(self.preempt(two, {"n9": [good]}), {}, "no such node")
        self.assertEqual(self.preempt(self.urgent("one"), {"n0": [good], "n1": [wrong["web"]]}),
                         {"n0": [good["metadata"]["uid"]]})

    def test_a_pod_that_is_only_reserved_is_no_victim(self):
        parked = self.seen(self.cluster.pod("parked", gpus=2))
        self.assertEqual(self.daemon.placed(parked, ["n0"]), "n0")
        self.assertEqual(self.preempt(self.urgent(), {"n0": [parked]}), {})
        self.assertEqual(self.daemon.bind(parked, "n0")[1]["Error"], "")
        late = self.urgent("v")
        wait_for(lambda: self.preempt(late, {"n0": [parked]}), what="the victim")

    def test_the_room_is_held_until_the_victims_are_gone(self):
        low = self.full()
        u = self.urgent(gpus=2)
        uids = [p["metadata"]["uid"] for p in low[:2]]
        self.assertEqual(self.preempt(u, {"n0": low[:2]}), {"n0": uids})
        self.assertEqual((self.daemon.entry(u)["state"], self.node_of(u)), ("assumed", "n0"))
        # Asked again while they end, there are no more; nor does a rejection elsewhere give up the room.
        self.assertEqual(self.preempt(u, {"n1": low[2:]}), {})
        self.assertIsNone(self.daemon.placed(u, ["n1"]))
        self.assertEqual(self.node_of(u), "n0")
        self.assertEqual(self.preempt(u, {"n1": low[2:]}), {})
        # kube-scheduler's cache is ahead of berth's watch, which still shows both.
        self.assertEqual(self.daemon.placed(u, ["n0"]), "n0")
        # Nobody else gets what comes free.
        self.cluster.delete_pod("low-0-0")
        wait_for(lambda: self.daemon.entry(low[0]) is None)
        other = self.seen(self.cluster.pod("other"))
        self.assertIsNone(self.daemon.placed(other, ["n0", "n1"]))
        another = self.urgent("another")
        self.assertEqual(self.preempt(another, {"n0": [low[1]]}), {})
        self.cluster.delete_pod("low-0-1")
        wait_for(lambda: self.daemon.entry(low[1]) is None)
        self.assertIsNone(self.daemon.placed(other, ["n0", "n1"]))
        self.assertEqual(self.daemon.placed(u, ["n0", "n1"]), "n0")
        self.assertEqual(self.daemon.bind(u, "n0")[1]["Error"], "")

    def test_victims_that_are_not_known_any_more_are_known_again(self):
        """A berth before this one gave them, or the room was held for long enough."""
        low = self.full()
        u, other = self.urgent(gpus=2), self.seen(self.cluster.pod("other"))
        self.cluster.patch("/api/v1/namespaces/team/pods/u/status", {"status": {"nominatedNodeName": "n0"}})
        u = self.cluster.get_pod("u")
        self.assertIsNone(self.daemon.placed(u, ["n0", "n1"]))  # nobody ends there
        for name in ("low-0-0", "low-0-1"):
            self.cluster.api.call("DELETE", f"/api/v1/namespaces/team/pods/{name}?gracePeriodSeconds=30")
            wait_for(lambda: "deletionTimestamp" in self.cluster.get_pod(name)["metadata"], what="its deletion")
        self.seen(self.cluster.pod("later"))
        self.assertIsNone(self.daemon.placed(other, ["n0", "n1"]))
        self.assertIsNone(self.daemon.placed(u, ["n1"]))
        # kube-scheduler offers the node: its cache is ahead of berth's watch, which still shows both.
        self.assertEqual([self.daemon.entry(thing)["state"] for thing in low], ["bound"] * 4)
        self.assertEqual(self.daemon.placed(u, ["n0"]), "n0")
        self.assertEqual(self.node_of(u), "n0")
        self.assertEqual(self.preempt(u, {"n1": low[2:]}), {})
        for name, thing in (("low-0-0", low[0]), ("low-0-1", low[1])):
            self.cluster.delete_pod(name)
            wait_for(lambda: self.daemon.entry(thing) is None)
            self.assertIsNone(self.daemon.placed(other, ["n0"]))
        self.assertEqual(self.daemon.bind(u, "n0")[1]["Error"], "")

    def test_room_elsewhere_is_taken_instead(self):
        low = self.full()
        u = self.urgent()
        self.assertEqual(len(self.preempt(u, {"n0": low[:1]})), 1)
        self.cluster.delete_pod("low-1-0")
        wait_for(lambda: self.daemon.entry(low[2]) is None)
        self.assertEqual(self.daemon.placed(u, ["n1"]), "n1")
        self.assertEqual(self.node_of(u), "n1")

    def test_one_node_is_left_the_one_with_the_lowest_victims(self):
        cheap = self.bound("cheap", "n1", priority=1)
        dear = self.bound("dear", "n0", priority=2)
        other = self.bound("other", "n1", priority=1)
        u = self.urgent(gpus=2)
        self.bound("fourth", "n0", priority=1)
        fourth = self.cluster.get_pod("fourth")
        self.assertEqual(list(self.preempt(u, {"n0": [dear, fourth], "n1": [cheap, other]})), ["n1"])

    def test_a_reload_makes_other_victims(self):
        web = self.bound("web", "n0", labels={"app": "web-1"})
        batch = self.bound("batch", "n1")
        u = self.urgent(gpus=2)
        self.assertEqual(self.preempt(u, {"n0": [web]}), {})
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(POLICY.replace("mayPreempt: [batch]", "mayPreempt: [steady]"))
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before)
        self.assertEqual(self.preempt(u, {"n1": [batch]}), {})
        self.assertEqual(list(self.preempt(u, {"n0": [web]})), ["n0"])

    def test_the_owner_of_a_job_tells_its_class(self):
        job = self.cluster.job("j", owner="JobSet")
        nightly = self.cluster.job("nightly", owner="CronJob")
        things = []
        for i, owner in enumerate((job, nightly)):
            thing = pod(f"p{i}", nodeName=f"n{i}", owner={**owner, "apiVersion": "batch/v1", "kind": "Job"})
            things.append(self.cluster.create("pods", thing))
            wait_for(lambda: self.daemon.entry(things[-1]))
        u = self.urgent(gpus=2)
        self.assertEqual(self.preempt(u, {"n0": [things[0]], "n1": [things[1]]}), {})


class Expiry(PreemptTest):
    args = ("--reservation-ttl", "1s")

    def test_victims_that_do_not_end_hold_no_room_for_ever(self):
        low = [self.bound(f"l{i}", "n0", terminationGracePeriodSeconds=4) for i in range(2)]
        u = self.urgent(gpus=2)
        self.assertEqual(list(self.preempt(u, {"n0": low})), ["n0"])
        time.sleep(1.2)
        self.assertEqual(self.node_of(u), "n0")
        wait_for(lambda: self.daemon.entry(u) is None, 8, "the end of the reservation")
        self.assertEqual(list(self.preempt(u, {"n0": low})), ["n0"])


if __name__ == "__main__":
    unittest.main()
