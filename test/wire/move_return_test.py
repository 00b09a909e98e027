"""What was suspended returns beside others that want its room."""

import unittest

import move_test
from harness import NAMES, wait_for

HOLD = move_test.ACT.replace("match: [{owners: [Job]}]", "match: [{owners: [Job]}]\n  gang: {holdDomainAfter: 2s}")


class Returning(move_test.MoveTest):
    policy = HOLD

    def held(self):
        return sorted(n["name"] for n in self.daemon.state()["nodes"] if "HeldForGang" in n.get("codes", []))

    def suspended_for_one_replica(self):
        """A Job that stood on two nodes, of which the replica and a small pod have taken one each."""
        job = self.cluster.job("job-n0")
        for name in NAMES[:2]:
            self.standing(f"train-{name}", name, job)
        self.standing("other", NAMES[2], None)
        (replica,) = self.web()
        wait_for(self.suspended, what="the suspension")
        for name in NAMES[:2]:
            self.cluster.delete_pod(f"train-{name}")
        self.phase("bind")
        self.bind(replica)
        self.phase("lent")
        self.small("small-1", True)
        self.cluster.delete_pod("web-0")

    def small(self, name, goes):
        thing = self.cluster.pod(name, gpus=8)
        self.seen(thing)
        node = self.daemon.placed(thing, NAMES)
        self.assertEqual(node is not None, goes)
        if goes:
            self.assertEqual(self.daemon.bind(thing, node), (200, {"Error": ""}))


class Starved(Returning):
    def test_where_it_stood_is_kept_free_of_later_pods(self):
        self.suspended_for_one_replica()
        wait_for(lambda: self.held() == NAMES[:2], what="the nodes held for it")
        self.small("small-2", False)
        self.assertTrue(self.suspended())
        self.cluster.delete_pod("small-1")
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        self.assertEqual(self.held(), [])
        self.small("small-3", False)  # its room is held

    def test_a_node_that_goes_opens_the_others(self):
        self.suspended_for_one_replica()
        wait_for(lambda: self.held() == NAMES[:2], what="the nodes held for it")
        gone = self.daemon.entry(self.cluster.get_pod("small-1"))["node"]
        self.cluster.api.call("DELETE", f"/api/v1/nodes/{gone}")
        wait_for(lambda: not self.held(), what="nothing held")
        self.small("small-2", True)


class FewerClasses(Returning):
    policy = HOLD.replace("classes:", "classes:\n- {name: other, match: [{podLabels: {role: x}}]}")

    def test_another_policy_keeps_them_free_still(self):
        self.suspended_for_one_replica()
        wait_for(lambda: self.held() == NAMES[:2], what="the nodes held for it")
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(HOLD)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")
        self.small("small-2", False)

if __name__ == "__main__":
    unittest.main()
