"""Teams below what they are guaranteed take it back from those beyond theirs: who from whom, up and down the hierarchy."""

import unittest

import move_test
from harness import NAMES, wait_for

HEAD = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools: [{name: h100, gpu: H100}]
classes: [{name: work, match: [{}]}]
fallback: work
moves: {mode: act, giveBackAfter: 1h}
teams:
"""


class ReclaimTest(move_test.MoveTest):
    def stand(self, *namespaces, priority=0):
        """A Job of 8 GPUs on each node, each in its namespace."""
        for name, namespace in zip(NAMES, namespaces):
            job = self.cluster.job(f"job-{name}", namespace=namespace)
            made = self.cluster.pod(f"train-{name}", gpus=8, owner=job, namespace=namespace, nodeName=name, priority=priority)
            wait_for(lambda: (self.daemon.entry(made) or {}).get("state") == "bound", what=name)
        self.spaces = dict(zip(NAMES, namespaces))

    def job(self, name):
        return self.cluster.api.json("GET", f"/apis/batch/v1/namespaces/{self.spaces[name.removeprefix('job-')]}/jobs/{name}")[1]

    def ask(self, namespace, gpus=8, name="serve", priority=10):
        thing = self.cluster.pod(name, gpus=gpus, namespace=namespace, owner=move_test.WEB, priority=priority)
        wait_for(lambda: self.daemon.explain(name, namespace)[0] == 200, what="the pod")
        self.assertIsNone(self.daemon.placed(thing, NAMES))

    def taken(self):
        (unit,) = wait_for(lambda: self.moves()["moves"], what="the move")[0]["units"]
        self.assertEqual(unit["right"], "reclaim")
        return unit["namespace"]


class Flat(ReclaimTest):
    policy = HEAD + """\
- {name: owed, namespaces: [owed], guaranteed: {h100: 8}}
- {name: within, namespaces: ["with?n", "within-*"], guaranteed: {h100: 16}}
- {name: beyond, namespaces: [beyond]}
"""

    def test_only_from_who_is_beyond_its_own(self):
        self.stand("within", "within-2", "beyond")
        self.ask("owed")
        self.assertEqual(self.taken(), "beyond")

    def test_from_nobody_where_all_are_within_theirs(self):
        self.policy = self.policy.replace("- {name: beyond, namespaces: [beyond]}", "- {name: beyond, namespaces: [beyond], guaranteed: {h100: 8}}")
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(self.policy)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")
        self.stand("within", "within-2", "beyond")
        self.ask("owed")
        self.why()
        self.nothing_happens()

    def test_never_from_equals(self):
        self.stand("beyond", "beyond", "beyond", priority=10)
        self.ask("owed")
        self.assertIn("its priority is not lower", self.why())
        self.nothing_happens()

    def test_not_what_goes_beyond_it(self):
        self.stand("beyond", "beyond", "beyond")
        self.ask("owed")
        self.assertEqual(self.taken(), "beyond")
        self.ask("owed", name="more")
        self.nothing_more()

    def nothing_more(self):
        with self.assertRaises(AssertionError):
            wait_for(lambda: len(self.moves()["moves"]) > 1, 3)

    def test_those_that_no_team_names_are_beyond_theirs(self):
        self.stand("within", "within-2", "nobody")
        self.ask("owed")
        self.assertEqual(self.taken(), "nobody")


class Below(ReclaimTest):
    policy = HEAD + """\
- {name: org, guaranteed: {h100: 16}}
- {name: a, namespaces: [a], parent: org, guaranteed: {h100: 8}}
- {name: b, namespaces: [b], parent: org}
- {name: others, namespaces: [others]}
"""

    def test_a_sibling_that_borrows_gives_it_back(self):
        self.stand("b", "b", "b")
        self.ask("a")
        self.assertEqual(self.taken(), "b")

    def test_what_the_team_above_is_guaranteed_is_for_those_below_it(self):
        self.stand("others", "others", "others")
        self.ask("b")
        self.assertEqual(self.taken(), "others")

    def test_others_come_before_siblings_within_what_is_guaranteed_above(self):
        self.stand("b", "others", "others")
        self.ask("a")
        self.assertEqual(self.taken(), "others")

    def test_what_a_sibling_is_owed_is_not_for_those_beside_it(self):
        self.stand("b", "others", "others")
        self.ask("b")
        self.nothing_happens(3)


if __name__ == "__main__":
    unittest.main()
