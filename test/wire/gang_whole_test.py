"""Gangs from their creation to their last Binding, kube-scheduler played by the embedded cluster."""

import time
import unittest

import gang_test
from gang_test import GATED, GATES, bound_to, says
from harness import POLICY, pod, wait_for

QUORUM = "gang.scheduling.koordinator.sh/min-available"


class Whole(unittest.TestCase):
    start, bound, whole = gang_test.Driven.start, gang_test.Driven.bound, gang_test.Driven.whole

    def elastic(self, name, count, quorum, gpus=8, first=0, gated=True):
        said = {"gang.scheduling.koordinator.sh/name": name, QUORUM: str(quorum)}
        more = {"schedulingGates": GATES} if gated else {}
        return [self.cluster.pod(f"{name}-{i}", gpus=gpus, annotations=said, **more) for i in range(first, first + count)]

    def gang(self, name, size, gpus=8, namespace="team", **more):
        return [self.cluster.pod(f"{name}-{i}", gpus=gpus, namespace=namespace, annotations=says(name, size), **more) for i in range(size)]

    def nothing_held(self):
        wait_for(lambda: all(e["state"] == "bound" for e in self.daemon.state()["ledger"]), what="a ledger of bound pods alone")


class Elastic(Whole):
    def elastic_gang(self, gated):
        self.start(3)
        things = self.elastic("e", 4, 2, gated=gated)
        wait_for(lambda: self.bound(things) == 3, 20, "as many as there is room for")
        self.cluster.node("more")
        self.whole(things)
        late = self.elastic("e", 1, 2, gpus=0, first=4, gated=gated)
        self.whole(late)
        self.nothing_held()

    def test_more_than_the_quorum_come_as_there_is_room(self):
        self.elastic_gang(True)

    def test_the_same_ungated(self):
        self.elastic_gang(False)

    def test_not_one_below_the_quorum(self):
        self.start(3)
        things = self.elastic("e", 5, 4)
        time.sleep(2)
        self.assertEqual(self.bound(things), 0)
        self.assertEqual(self.daemon.state()["ledger"], [])
        self.cluster.node("more")
        wait_for(lambda: self.bound(things) == 4, 20, "the quorum")


class Names(Whole):
    def test_one_name_in_two_namespaces_and_two_dialects(self):
        self.start(6)
        here, there = self.gang("g", 2, gpus=4), self.gang("g", 3, gpus=4, namespace="other")
        koordinator = self.elastic("g", 1, 2, gpus=4, first=7)
        self.whole(here)
        wait_for(lambda: all(bound_to(self.cluster.get_pod(f"g-{i}", "other")) for i in range(3)), 20, "the other namespace's")
        self.assertEqual(len(there), 3)
        self.assertEqual(self.bound(koordinator), 0)
        koordinator += self.elastic("g", 1, 2, gpus=4, first=8)
        self.whole(koordinator)

    def test_one_that_comes_again_under_its_name(self):
        self.start(2)
        for _ in range(3):
            things = self.gang("g", 4, gpus=4, schedulingGates=GATES)
            self.whole(things)
            for thing in things:
                self.cluster.delete_pod(thing["metadata"]["name"])


class Members(Whole):
    def test_of_two_classes_and_priorities(self):
        self.start(2, POLICY.replace("classes:", "classes:\n- {name: lead, match: [{podLabels: {role: lead}}]}"))
        lead = pod("lead", gpus=0, annotations=says("g", 3), priority=1000)
        lead["metadata"]["labels"] = {"role": "lead"}
        things = [self.cluster.create("pods", lead)] + [self.cluster.pod(f"w{i}", gpus=8, annotations=says("g", 3)) for i in range(2)]
        self.whole(things)
        self.nothing_held()

    def test_one_that_another_scheduler_bound(self):
        self.start(2)
        there = self.cluster.pod("there", gpus=1, annotations=says("g", 3), nodeName="n0")
        things = [self.cluster.pod(f"g-{i}", gpus=1, annotations=says("g", 3), schedulingGates=GATES) for i in range(2)]
        self.whole([there, *things])

    def test_more_pods_than_the_size_says(self):
        self.start(2)
        things = self.gang("g", 2, gpus=2) + [self.cluster.pod(f"x-{i}", gpus=2, annotations=says("g", 2)) for i in range(3)]
        self.whole(things)
        self.nothing_held()

    def test_replaced_one_after_the_other_while_they_wait(self):
        self.start(2)
        for i in range(3):
            self.cluster.pod(f"m{i}", gpus=4, annotations=says("g", 4), schedulingGates=GATES)
        for i in range(3):
            self.cluster.delete_pod(f"m{i}")
            self.cluster.pod(f"again{i}", gpus=4, annotations=says("g", 4), schedulingGates=GATES)
        last = self.cluster.pod("last", gpus=4, annotations=says("g", 4))
        self.whole([last] + [self.cluster.get_pod(f"again{i}") for i in range(3)])
        self.nothing_held()


class Line(Whole):
    def test_a_blocked_head_blocks_nothing_that_cannot_hurt_it(self):
        self.start(3, GATED.replace("- {name: t4", "- {name: l4, gpu: L4}\n- {name: t4"))
        for i in range(2):
            self.cluster.node(f"l{i}", product="NVIDIA-L4", memory=23034)
        big = self.gang("big", 4, gpus=8, schedulingGates=GATES, nodeSelector={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"})
        wait_for(lambda: self.daemon.explain("big-0")[1].get("gang", {}).get("state") == "queued", what="the line")
        small = self.gang("small", 2, gpus=8, schedulingGates=GATES, nodeSelector={"nvidia.com/gpu.product": "NVIDIA-L4"})
        self.whole(small)
        beside = self.gang("beside", 2, gpus=4, schedulingGates=GATES)
        self.whole(beside)
        self.assertEqual(self.bound(big), 0)

    def test_by_priority_then_age(self):
        self.start(2)
        taken = [self.cluster.pod(f"t{i}", gpus=8, nodeName=f"n{i}", scheduler="other") for i in range(2)]
        first = self.gang("first", 2, schedulingGates=GATES)
        second = self.gang("second", 2, schedulingGates=GATES)
        third = self.gang("third", 2, schedulingGates=GATES, priority=10)
        def line():
            return [g["name"] for g in self.daemon.ops.json("GET", "/v1/queue")[1]["gangs"]]
        wait_for(lambda: line() == ["third", "first", "second"], what="the line")
        for gang in third, first, second:
            for thing in taken:
                self.cluster.delete_pod(thing["metadata"]["name"])
            self.whole(gang)
            taken = gang


if __name__ == "__main__":
    unittest.main()
