"""Writes that the API server refuses for a while: each comes after all, and none is sent without end."""

import time
import unittest

from gang_test import GATED, GATES, GangTest
from harness import NAMES, wait_for

PODS = "/api/v1/namespaces/team/pods/"


class RefusedTest(GangTest):
    def setUp(self):
        super().setUp()
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(GATED)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy with a gate")

    def refuse(self, name, status, times=1000000, subresource=""):
        self.cluster.faults({"rules": [{"method": "PATCH", "path": PODS + name + subresource, "status": status, "times": times}]})

    def refused(self):
        return self.cluster.stats()["faults"]

    def gate_goes(self, name, seconds):
        wait_for(lambda: not self.cluster.get_pod(name)["spec"].get("schedulingGates"), seconds, "its release")


class Plans(RefusedTest):
    def test_one_that_is_not_allowed_is_tried_now_and_then(self):
        for gated in True, False:
            with self.subTest(gated=gated):
                name = "ab"[gated]
                self.refuse(name + "0", 403)
                before = self.refused()
                things = [self.member(f"{name}{i}", gang=name, **({"schedulingGates": GATES} if gated else {})) for i in range(3)]
                self.planned(things[1:])
                time.sleep(4)
                self.assertLess(self.refused() - before, 12)
                self.assertGreater(self.refused() - before, 1)
                self.cluster.faults({"clear": True})
                self.planned(things)
                for thing in things:
                    self.cluster.delete_pod(thing["metadata"]["name"])

    def test_conflicts_do_not_wait_for_the_gangs_deadline(self):
        for status in 409, 422, 429:
            with self.subTest(status):
                name = f"s{status}"
                self.refuse(name + "0", status, 2)
                things = [self.member(f"{name}{i}", gang=name, size=2, gpus=1, schedulingGates=GATES) for i in range(2)]
                self.planned(things)


class Gates(RefusedTest):
    def test_a_single_goes_after_all(self):
        self.refuse("single", 403, 3)
        self.cluster.pod("single", schedulingGates=GATES)
        self.gate_goes("single", 10)
        self.assertEqual(self.refused(), 3)


class Wakes(RefusedTest):
    def test_a_wake_up_that_is_refused_twice(self):
        for i, name in enumerate(NAMES):
            self.cluster.pod(f"taken{i}", gpus=8, nodeName=name, scheduler="other")
        thing = self.seen(self.cluster.pod("waits", gpus=8))
        wait_for(lambda: self.daemon.placed(thing, NAMES) is None, what="a full fleet")
        self.refuse("waits", 409, 2)
        self.cluster.delete_pod("taken0")
        wait_for(lambda: self.wake("waits"), 15, "its wake-up")
        self.assertEqual(self.refused(), 2)


if __name__ == "__main__":
    unittest.main()
