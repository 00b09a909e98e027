"""What is told of gangs without being asked for: the line on gated members, and Events."""

import signal
import time
import unittest
from collections import Counter

from gang_show_test import GATED, ShowTest
from gang_test import GATES, says
from harness import Daemon, wait_for

OWNER = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job", "uid": "job-uid"}}


class NewsTest(ShowTest):
    policy = GATED

    def gated(self, names, size, **more):
        return [self.seen(self.member(name, size=size, schedulingGates=GATES, **more)) for name in names]

    def line(self, name):
        return self.cluster.get_pod(name)["metadata"].get("annotations", {}).get("berth.dev/waiting")

    def told(self, name, line, seconds=15):
        wait_for(lambda: self.line(name) == line, seconds, f"{line!r}, not {self.line(name)!r}")

    def restart(self):
        self.daemon.process.stop(signal.SIGKILL)
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)

    def patches(self):
        return self.cluster.stats()["requests"]["patch"]

    def events(self):
        status, answer = self.cluster.api.json("GET", "/apis/events.k8s.io/v1/namespaces/team/events")
        self.assertEqual(status, 200)
        return [e for e in answer["items"] if e["reason"].startswith("Gang")]

    def event(self, reason, count=1):
        """The Events of this reason, once there are so many."""
        def look():
            found = [e for e in self.events() if e["reason"] == reason]
            return len(found) >= count and found
        return wait_for(look, 15, f"{count} of {reason}: {[(e['reason'], e['note']) for e in self.events()]}")


class Waiting(NewsTest):
    def test_members_that_are_missing(self):
        self.gated("abc", 5)
        for name in "abc":
            self.told(name, "gang team/g: 3 of 5 members present")
        before = self.patches()
        time.sleep(3)
        self.assertEqual(self.patches(), before, "the same line was written again")

    def test_the_place_in_line_and_what_is_short(self):
        self.gated([f"m{i}" for i in range(6)], 6, gpus=8)
        self.told("m5", "gang team/g: queued 1st: best block a holds 4 of 6 pods, lacks 16 nvidia.com/gpu")
        self.gated([f"n{i}" for i in range(5)], 5, gang="h", gpus=8)
        self.told("n0", "gang team/h: queued 2nd: best block a holds 4 of 5 pods, lacks 8 nvidia.com/gpu")

    def test_the_plan_takes_it_away(self):
        things = self.gated("ab", 3)
        self.told("a", "gang team/g: 2 of 3 members present")
        things += self.gated("c", 3)
        self.planned(things)
        self.assertEqual([self.line(name) for name in "abc"], [None] * 3)

    def test_pods_without_a_gate_are_left_alone(self):
        for thing in self.members("ab"):
            self.seen(thing)
        time.sleep(4)
        self.assertEqual(self.patches(), 0)

    def test_a_line_that_stands_is_not_written_again_after_a_restart(self):
        self.gated("ab", 3)
        for name in "ab":
            self.told(name, "gang team/g: 2 of 3 members present")
        self.restart()
        before = self.patches()
        time.sleep(4)
        self.assertEqual(self.patches(), before)

    def test_members_that_trickle_in_do_not_rewrite_it_each_time(self):
        count = 0
        end = time.monotonic() + 6
        while time.monotonic() < end:
            self.gated([f"m{count}"], 500, gpus=0)
            count += 1
            time.sleep(0.05)
        # One text at the most for each pod: the next comes ten seconds after the first.
        self.assertLessEqual(self.patches(), count)

    def test_a_large_gang_is_written_bit_by_bit(self):
        for i in range(180):
            self.cluster.pod(f"m{i}", gpus=0, annotations=says("g", 200), schedulingGates=GATES)
        wait_for(lambda: self.patches() > 0, 10, "the first lines")
        first = self.patches()
        self.assertLessEqual(first, 100)
        wait_for(lambda: self.patches() >= 180, 20, "all lines")
        self.assertEqual(self.patches(), 180)


class WaitingShortly(NewsTest):
    policy = GATED.replace("scaleUpAfter: 5m", "scaleUpAfter: 5s")

    def test_a_gate_that_is_taken_away_without_a_plan_takes_it_along(self):
        names = [f"m{i}" for i in range(6)]
        self.gated(names, 6, gpus=8)
        self.told("m0", "gang team/g: queued 1st: best block a holds 4 of 6 pods, lacks 16 nvidia.com/gpu")
        for name in names:
            wait_for(lambda: not self.cluster.get_pod(name)["spec"].get("schedulingGates"), 15, "its release")
            self.assertIsNone(self.line(name))


class Events(NewsTest):
    def said_of(self, reason):
        return Counter((e["regarding"]["kind"], e["regarding"]["name"]) for e in self.events() if e["reason"] == reason)

    def test_one_a_change_on_the_first_rank_and_on_the_owner(self):
        names = ["m0", "m1", "m2"]
        for i, name in enumerate(names):
            self.seen(self.cluster.pod(name, gpus=4, owner=OWNER, schedulingGates=GATES,
                                       annotations=says("g", 3, **{"berth.dev/rank": str(2 - i)})))
        (event, _) = self.event("GangPlanned", 2)
        self.assertEqual(event["note"], "gang team/g: 3 of 3 pods have their place within rack a/x")
        self.assertEqual((event["type"], event["reportingController"]), ("Normal", "berth.dev/berth"))
        plans = self.planned([self.cluster.get_pod(name) for name in names])
        things = [self.cluster.get_pod(name) for name in names]
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
        (event, _) = self.event("GangWhole", 2)
        self.assertEqual(event["note"], "gang team/g: 3 of 3 pods are bound within rack a/x")
        for reason in ("GangPlanned", "GangWhole"):
            self.assertEqual(self.said_of(reason), {("Pod", "m2"): 1, ("Job", "job"): 1})
        self.assertEqual(len(self.events()), 4)
        self.assertEqual({e["regarding"]["uid"] for e in self.events()}, {"job-uid", things[2]["metadata"]["uid"]})

    def test_one_that_waits_says_so_once(self):
        for i in range(6):
            self.seen(self.member(f"m{i}", size=6, gpus=8))
        (event,) = self.event("GangWaiting")
        self.assertEqual(
            (event["type"], event["regarding"]["name"], event["note"]),
            ("Warning", "m0",
             "gang team/g: GangNoDomain: best block a holds 4 of 6 pods, lacks 16 nvidia.com/gpu"))
        for i in range(4):
            self.cluster.node(f"more{i}")  # it is planned in vain again
        time.sleep(3)
        self.assertEqual(len(self.events()), 1)

    def test_one_whose_members_stay_away_says_so_once(self):
        for i in (0, 1, 3):
            self.seen(self.cluster.pod(f"m{i}", owner=OWNER, annotations=says("g", 6, **{"berth.dev/rank": str(i)})))
        wanted = "gang team/g: 3 of 6 members present, missing ranks 2, 4-5"
        for event in self.event("GangIncomplete", 2):
            self.assertEqual((event["type"], event["note"]), ("Warning", wanted))
        self.assertEqual(self.said_of("GangIncomplete"), {("Pod", "m0"): 1, ("Job", "job"): 1})
        code, text = self.run_berth("explain", "team/m0")
        self.assertEqual(code, 1)
        self.assertIn("  members: 3 of 6 present, 3 missing (rank 2, 4-5)\n", text)
        # Another one comes: that is told, but not at once.
        self.seen(self.cluster.pod("m4", owner=OWNER, annotations=says("g", 6, **{"berth.dev/rank": "4"})))
        time.sleep(3)
        self.assertEqual(len(self.events()), 2)

    def test_members_that_others_hold_back_are_not_missing(self):
        for name in "ab":
            self.seen(self.member(name, size=2, schedulingGates=[{"name": "example.com/gate"}]))
        time.sleep(13)
        self.assertEqual(self.events(), [])

    def test_a_gang_that_was_whole_is_no_news_after_a_restart(self):
        things = self.members("abc")
        plans = self.planned(things)
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
        self.event("GangWhole")
        self.restart()
        time.sleep(3)
        self.assertEqual(Counter(e["reason"] for e in self.events()), {"GangPlanned": 1, "GangWhole": 1})


if __name__ == "__main__":
    unittest.main()
