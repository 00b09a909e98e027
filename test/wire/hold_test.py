"""holdDomainAfter: nodes kept free for a gang that starves."""

import time
import unittest

from harness import NAMES, POLICY, wait_for
from gang_test import GangTest, bound_to

HOLD = POLICY.replace("- name: batch\n", "- name: batch\n  gang: {holdDomainAfter: 1s}\n")


class HoldTest(GangTest):
    policy = HOLD

    def setUp(self):
        super().setUp()
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(self.policy)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")
        # n0 has 7 GPUs taken, n1 6, n2 5: a gang of two whole nodes is nearest to the last two.
        self.running = {node: [] for node in NAMES}
        for node, count in zip(NAMES, (7, 6, 5)):
            for i in range(count):
                self.running[node].append(f"run-{node}-{i}")
                self.cluster.pod(self.running[node][-1], gpus=1, nodeName=node)
        time.sleep(1.1)  # creation times have whole seconds
        self.gang = self.members("ab", size=2, gpus=8)
        wait_for(lambda: self.held() == ["n1", "n2"], what="the held nodes")

    def held(self):
        return sorted(n["name"] for n in self.daemon.state()["nodes"] if "HeldForGang" in n.get("codes", []))

    def end(self, node):
        for name in self.running[node]:
            self.cluster.delete_pod(name)

    def later(self, name, **more):
        time.sleep(1.1)
        return self.cluster.pod(name, gpus=1, **more)


class Hold(HoldTest):
    def test_later_pods_stay_away_and_the_gang_comes(self):
        small = self.later("small")
        self.assertEqual(self.daemon.placed(small, NAMES), "n0")
        self.assertEqual(self.daemon.bind(small, "n0"), (200, {"Error": ""}))
        other = self.later("other")
        status, answer = self.daemon.filter(other, NAMES)
        self.assertEqual((status, answer["NodeNames"]), (200, []))
        self.assertEqual(answer["FailedAndUnresolvableNodes"]["n2"], "node kept free for a gang that waits for room")
        self.end("n1")
        time.sleep(0.5)
        self.assertIsNone(self.daemon.placed(other, NAMES))
        self.end("n2")
        plans = self.planned(self.gang)
        self.assertEqual(sorted(p["node"] for p in plans), ["n1", "n2"])
        wait_for(lambda: not self.held(), what="the end of the hold")

    def test_pods_ahead_of_it_come(self):
        urgent = self.later("urgent", priority=10)
        # On none of the other nodes is room for it.
        self.daemon.bind(self.later("filler"), "n0")
        self.assertIn(self.daemon.placed(urgent, NAMES), ["n1", "n2"])

    def test_a_gang_that_goes_holds_nothing_and_who_waited_is_woken(self):
        self.daemon.bind(self.later("filler"), "n0")
        small = self.later("small")
        self.assertIsNone(self.daemon.placed(small, NAMES))
        for name in "ab":
            self.cluster.delete_pod(name)
        wait_for(lambda: not self.held(), what="the end of the hold")
        wait_for(lambda: self.wake("small"), what="the wake-up")
        self.assertIn(self.daemon.placed(small, NAMES), ["n1", "n2"])

    def test_a_held_node_that_goes_is_replaced(self):
        self.cluster.api.call("DELETE", "/api/v1/nodes/n2")
        wait_for(lambda: self.held() == ["n0", "n1"], what="other nodes")


class FewerClasses(HoldTest):
    policy = HOLD.replace("classes:", "classes:\n- {name: other, match: [{podLabels: {role: x}}]}")

    def test_a_policy_with_fewer_classes_holds_them_still(self):
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(HOLD)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")
        self.assertEqual(self.daemon.bind(self.later("filler"), "n0"), (200, {"Error": ""}))
        self.assertIsNone(self.daemon.placed(self.later("small"), NAMES))


if __name__ == "__main__":
    unittest.main()
