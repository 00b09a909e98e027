"""The hinted road of `berth serve`: with a backlog, nominatedNodeName ahead of the cycle."""

import threading
import time
import unittest

from harness import NAMES, PATIENCE, POLICY, Cluster, Daemon, WireTest, wait_for


class Hints(WireTest):
    def test_a_backlog_is_hinted_in_order(self):
        things = [self.cluster.pod(f"p{i}", gpus=4, priority=i) for i in range(8)]
        nominated = lambda i: self.nominated(f"p{i}")
        # Six fit, and those of high priority go first; the last few below the backlog's threshold are left to their own cycle.
        wait_for(lambda: nominated(7) and nominated(6), what="hints")
        where = nominated(7)
        entry = self.daemon.entry(things[7])
        self.assertEqual((entry["node"], entry["state"]), (where, "planned"))
        self.assertEqual(self.daemon.placed(things[7], [where]), where)
        self.assertEqual(self.daemon.entry(things[7])["state"], "assumed")

    def test_a_pod_of_higher_priority_goes_before_hints(self):
        for i in range(6):
            self.cluster.pod(f"p{i}", gpus=5)
        wait_for(lambda: len(self.daemon.state()["ledger"]) == 3, what="a hint on each node")
        self.assertIsNone(self.daemon.placed(self.cluster.pod("equal", gpus=8), NAMES))
        urgent = self.cluster.pod("urgent", gpus=8, priority=1000)
        self.assertIn(self.daemon.placed(urgent, NAMES), NAMES)
        planned = lambda: [e for e in self.daemon.state()["ledger"] if e["state"] == "planned"]
        wait_for(planned, what="hints, given again beside the turn of the pod that was rejected")

    def test_a_hinted_pod_that_is_rejected_gives_its_nomination_back(self):
        things = [self.cluster.pod(f"p{i}", priority=i) for i in range(8)]
        wait_for(lambda: self.nominated("p7"), what="the hint")
        self.assertIsNone(self.daemon.placed(things[7], ["elsewhere", "nowhere"]))
        self.assertIsNone(self.daemon.entry(things[7]))
        wait_for(lambda: not self.nominated("p7"), 3, "the withdrawal")

    def test_gated_pods_are_neither_hinted_nor_backlog(self):
        gates = [{"name": "example.com/gate"}]
        for i in range(8):
            self.seen(self.cluster.pod(f"p{i}", schedulingGates=gates))
        self.assertEqual(self.daemon.metric('berth_pods{state="backlog"}'), 0)
        self.assertEqual(self.daemon.metric('berth_pods{state="pending"}'), 8)
        self.assertEqual(self.daemon.state()["ledger"], [])
        for i in range(8):
            self.cluster.patch(f"/api/v1/namespaces/team/pods/p{i}", {"spec": {"schedulingGates": None}})
        wait_for(lambda: self.daemon.state()["ledger"], what="hints for what is gated no more")


class Pace(unittest.TestCase):
    """A fleet in which kube-scheduler's full pass costs more than a hint."""

    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.names = [f"n{i}" for i in range(500)]
        for name in self.names:
            self.cluster.node(name)
        self.daemon = Daemon(self.cluster.kubeconfig)
        self.addCleanup(self.daemon.stop)

    def nominated(self, name):
        return self.cluster.get_pod(name).get("status", {}).get("nominatedNodeName")

    def backlog(self, **slow):
        """Pods whose hints, but for the first one's, take so long; the first has landed."""
        paths = [f"/api/v1/namespaces/team/pods/p{i}/status" for i in range(1, 8)]
        self.cluster.faults({"rules": [{"method": "PATCH", "path": path, "times": 1, **slow} for path in paths]})
        things = [self.cluster.pod(f"p{i}", priority=100 - i) for i in range(8)]
        wait_for(lambda: self.nominated("p0") and self.daemon.entry(things[1]), what="hints given")
        return things

    def test_the_answer_waits_until_the_hint_of_the_next_in_line_has_landed(self):
        things, answers = self.backlog(hold=True), []
        where = self.nominated("p0")
        thread = threading.Thread(target=lambda: answers.append(self.daemon.placed(things[0], [where])))
        thread.start()
        time.sleep(0.1)
        self.cluster.faults({"release": True})
        thread.join()
        self.assertTrue(answers[0])
        wait_for(lambda: self.nominated("p1"), 1, "the hint of the next")
        self.assertGreater(self.daemon.metric("berth_filter_paced_seconds_total"), 0)

    def test_it_waits_a_moment_only(self):
        things = self.backlog(delayMs=5000)
        began = time.monotonic()
        self.assertTrue(self.daemon.placed(things[0], self.names))
        self.assertLess(time.monotonic() - began, 2 * PATIENCE)  # 2 s: the extender's timeout
        self.assertFalse(self.nominated("p1"))

    def test_where_hint_follows_hint_one_that_waits_is_enough(self):
        *before, last = self.backlog(delayMs=0)
        for thing in before:
            wait_for(lambda: self.nominated(thing["metadata"]["name"]), what="a hint")
            self.assertTrue(self.daemon.placed(thing, [self.nominated(thing["metadata"]["name"])]))
        time.sleep(0.5)  # by then hints follow no more
        after = self.cluster.pod("after")
        wait_for(lambda: self.daemon.metric('berth_pods{state="backlog"}') == 1, what="who comes after them")
        time.sleep(0.1)
        self.assertFalse(self.nominated("after"))
        began = time.monotonic()
        self.assertTrue(self.daemon.placed(last, [self.nominated("p7")]))
        wait_for(lambda: self.nominated("after"), 1, "its hint")
        self.assertGreater(self.daemon.metric("berth_filter_paced_seconds_total"), 0)
        self.assertTrue(self.daemon.placed(after, [self.nominated("after")]))
        self.assertLess(time.monotonic() - began, 2 * PATIENCE)

    def test_where_nobody_stands_behind_it_waits_for_nothing(self):
        self.assertTrue(self.daemon.placed(self.cluster.pod("alone"), self.names))
        self.assertFalse(self.daemon.metric("berth_filter_paced_seconds_total"))


class Expiry(WireTest):
    args = ("--reservation-ttl", "1s")

    def test_a_hint_that_nobody_takes_up_is_not_given_again(self):
        for i in range(8):
            self.cluster.pod(f"p{i}", priority=i)
        wait_for(lambda: self.nominated("p7"), what="the hint")
        wait_for(lambda: not self.nominated("p7"), 4, "the withdrawal")
        given = self.daemon.metric("berth_hints_total")
        time.sleep(1.5)
        self.assertEqual(self.daemon.metric("berth_hints_total"), given)
        self.assertEqual(self.daemon.state()["ledger"], [])


class Start(unittest.TestCase):
    def test_a_backlog_is_hinted_though_the_nodes_are_listed_last(self):
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        for name in NAMES:
            cluster.node(name)
        for i in range(8):
            cluster.pod(f"p{i}", priority=i)
        cluster.faults({"rules": [{"method": "GET", "path": "/api/v1/nodes", "delayMs": 1500}]})
        daemon = Daemon(cluster.kubeconfig)
        self.addCleanup(daemon.stop)
        wait_for(lambda: cluster.get_pod("p7").get("status", {}).get("nominatedNodeName"), 2, "the hint")

    def nominated_before(self, policy, node, **more):
        """A pod that a berth of before has nominated, and that nobody asks about."""
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        cluster.node("n0", gpus=1)
        cluster.pod("taken", node="n0", scheduler="default-scheduler")
        cluster.pod("p0", **more)
        cluster.patch("/api/v1/namespaces/team/pods/p0/status", {"status": {"nominatedNodeName": node}})
        daemon = Daemon(cluster.kubeconfig, policy=policy)
        self.addCleanup(daemon.stop)
        return lambda: cluster.get_pod("p0").get("status", {}).get("nominatedNodeName")

    def test_a_nomination_of_the_process_before_is_taken_back(self):
        nominated = self.nominated_before(POLICY, "n0")
        wait_for(lambda: not nominated(), 10, "the withdrawal")

    def test_one_that_kube_scheduler_may_have_made_is_left(self):
        nominated = self.nominated_before(POLICY.replace("- name: batch\n", "- name: batch\n  mayPreempt: [idle]\n- name: idle\n"), "n0")
        time.sleep(6.5)
        self.assertEqual(nominated(), "n0")


class Writes(WireTest):
    def test_the_last_of_two_writes_wins(self):
        # The first hint is answered late; meanwhile the pod is rejected everywhere and its hint taken back.
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/api/v1/namespaces/team/pods/p7/status", "delayMs": 1500, "times": 1}]})
        things = [self.cluster.pod(f"p{i}", priority=i) for i in range(8)]
        wait_for(lambda: self.daemon.entry(things[7]), what="the hint in the ledger")
        self.assertIsNone(self.daemon.placed(things[7], ["elsewhere", "nowhere"]))
        time.sleep(1.6)
        wait_for(lambda: self.nominated("p7") is None, what="the withdrawal")


if __name__ == "__main__":
    unittest.main()
