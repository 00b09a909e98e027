"""Gates that people and other controllers put on and take away, and classes that are gated no more."""

import time
import unittest

from gang_test import GATED, GATES, GangTest, bound_to, plan_of
from harness import NAMES, POLICY, wait_for

INCOMPLETE = "members of the gang are missing"
OTHERS = [{"name": "example.com/gate"}]


class GatesTest(GangTest):
    policy = GATED

    def setUp(self):
        super().setUp()
        self.use(self.policy)

    def use(self, text):
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(text)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")

    def gates(self, name):
        return [gate["name"] for gate in self.cluster.get_pod(name)["spec"].get("schedulingGates") or []]

    def gated(self, names, gates=GATES, **more):
        return [self.seen(self.member(name, schedulingGates=gates, **more)) for name in names]

    def without(self, name, gates=()):
        """Somebody takes gates away."""
        return self.cluster.patch(f"/api/v1/namespaces/team/pods/{name}", {"spec": {"schedulingGates": list(gates) or None}})

    def quiet(self):
        time.sleep(0.5)
        self.assertEqual(self.holds(), [])


class ByHand(GatesTest):
    def test_one_that_is_let_go_early_waits_on_the_ungated_road(self):
        things = self.gated("ab")
        early = self.without("a")
        wait_for(lambda: self.rejected(early) == {NAMES[0]: INCOMPLETE}, what="the text for early members")
        self.quiet()
        self.assertEqual(self.gates("b"), ["berth.dev/plan"])
        things += self.gated("c")
        plans = self.planned(things)
        self.assertEqual([self.gates(n) for n in "abc"], [[], [], []])
        for thing, plan in zip(things, plans):
            self.assertEqual(self.daemon.placed(self.cluster.get_pod(thing["metadata"]["name"]), NAMES), plan["node"])

    def test_all_of_them_let_go_at_once(self):
        things = self.gated("ab")
        for name in "ab":
            self.without(name)
        things.append(self.member("c"))
        self.planned(things)

    def test_one_that_goes_while_it_waits(self):
        self.gated("abc", size=4)
        self.cluster.delete_pod("b")
        wait_for(lambda: self.daemon.explain("a")[1]["gang"]["present"] == 2, what="two members")
        self.planned([self.cluster.get_pod("a"), self.cluster.get_pod("c"), *self.gated("de", size=4)])


class Foreign(GatesTest):
    def test_ours_is_kept_until_it_is_the_last(self):
        self.gated("ab")
        self.gated("c", GATES + OTHERS)
        self.gated("d", OTHERS + GATES, gang="h", size=1)
        self.quiet()
        self.assertEqual([len(self.gates(n)) for n in "abcd"], [1, 1, 2, 2])
        self.without("d", GATES)
        self.planned([self.cluster.get_pod("d")])
        self.assertEqual(len(self.gates("a")), 1)
        self.without("c", GATES)
        self.planned([self.cluster.get_pod(n) for n in "abc"])

    def test_one_behind_anothers_gate_alone(self):
        self.gated("ab")
        self.gated("c", OTHERS)
        self.quiet()
        self.without("c")
        self.planned([self.cluster.get_pod(n) for n in "abc"])

    def test_a_single_behind_both(self):
        self.cluster.pod("s", schedulingGates=GATES + OTHERS)
        wait_for(lambda: self.gates("s") == ["example.com/gate"], what="its release")


class Classes(GatesTest):
    policy = POLICY + "gate: {classes: [dev]}\n"

    def test_a_gang_of_a_class_that_is_not_gated(self):
        self.gated("ab")
        for name in "ab":
            wait_for(lambda n=name: not self.gates(n), what="its release")
        wait_for(lambda: self.rejected(self.cluster.get_pod("a")) == {NAMES[0]: INCOMPLETE}, what="the text")

    def test_a_class_that_is_gated_no_more(self):
        self.use(GATED)
        self.gated("ab")
        self.quiet()
        self.assertEqual(self.gates("a"), ["berth.dev/plan"])
        self.use(POLICY)
        for name in "ab":
            wait_for(lambda n=name: not self.gates(n), 2, "its release")

    def test_a_pod_that_is_of_another_scheduler_is_left_alone(self):
        self.cluster.pod("x", scheduler="other", schedulingGates=GATES)
        time.sleep(1)
        self.assertEqual(self.gates("x"), ["berth.dev/plan"])

    def test_an_unknown_size_is_no_reason_to_let_go(self):
        self.use(GATED)
        thing = self.cluster.pod("a", annotations={"berth.dev/gang": "g"}, schedulingGates=GATES)
        self.seen(thing)
        self.quiet()
        self.assertEqual(self.gates("a"), ["berth.dev/plan"])
        self.assertEqual(self.daemon.explain("a")[1]["gang"]["code"], "GangSizeUnknown")


class Hints(GatesTest):
    def test_the_annotation_is_the_record(self):
        """A nomination that vanishes changes nothing."""
        things = self.gated("abc")
        plans = self.planned(things)
        self.cluster.patch("/api/v1/namespaces/team/pods/a/status", {"status": {"nominatedNodeName": None}})
        for thing, plan in zip(things, plans):
            self.assertEqual(self.daemon.placed(self.cluster.get_pod(thing["metadata"]["name"]), NAMES), plan["node"])
        for thread, answer in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
            self.assertEqual(answer, [(200, {"Error": ""})])
        self.assertEqual([bound_to(self.cluster.get_pod(n)) for n in "abc"], [p["node"] for p in plans])

    def test_a_plan_of_a_version_that_is_not_known_is_none(self):
        thing = self.cluster.pod("a", annotations={"berth.dev/gang": "g", "berth.dev/gang-size": "1",
                                                   "berth.dev/plan": '{"v":99,"plan":"x","node":"n2"}'})
        wait_for(lambda: (plan_of(self.cluster.get_pod("a")) or {}).get("v") != 99, what="a plan of its own")
        self.assertIn(self.daemon.placed(thing, NAMES), NAMES)


if __name__ == "__main__":
    unittest.main()
