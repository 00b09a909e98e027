"""The reject road of `berth serve`: who is woken, when, and who is not."""

import time
import unittest

from harness import POLICY, WireTest, pod, wait_for


class Wakes(WireTest):
    args = ("--reservation-ttl", "2s")

    def nodes(self):
        self.cluster.node("n0", gpus=1)

    def fill(self):
        holder = self.seen(self.cluster.pod("holder"))
        self.assertEqual(self.daemon.placed(holder, ["n0"]), "n0")
        return holder

    def reject(self, *names):
        things = [self.seen(self.cluster.pod(n)) for n in names]
        for thing in things:
            self.assertIsNone(self.daemon.placed(thing, ["n0"]))
        return things

    def test_expiry_wakes_one_pod_for_one_gpu(self):
        self.fill()
        self.reject("a", "b")
        wait_for(lambda: self.wake("a"), 4, "the wake-up")
        self.assertTrue(self.wake("a").startswith("ReservationExpired/"))
        time.sleep(1)
        self.assertIsNone(self.wake("b"))

    def test_what_is_not_taken_passes_on(self):
        self.fill()
        self.reject("a", "b")
        wait_for(lambda: self.wake("b"), 16, "the second's turn")

    def test_a_deleted_pod_and_a_repaired_node_wake(self):
        holder = self.fill()
        self.assertEqual(self.daemon.bind(holder, "n0")[1]["Error"], "")
        (a,) = self.reject("a")
        self.cluster.delete_pod("holder")
        wait_for(lambda: self.wake("a"), 2, "the wake-up")
        self.assertEqual(self.daemon.placed(a, ["n0"]), "n0")
        self.daemon.bind(a, "n0")
        self.cluster.node("n1", gpus=1, conditions=[{"type": "GpuUnhealthy", "status": "True"}])
        wait_for(lambda: len(self.daemon.state()["nodes"]) == 2)
        b = self.seen(self.cluster.pod("b"))
        self.assertIsNone(self.daemon.placed(b, ["n0", "n1"]))
        self.assertIsNone(self.wake("b"))
        self.cluster.patch("/api/v1/nodes/n1/status", {"status": {"conditions": [
            {"type": "Ready", "status": "True"}, {"type": "GpuUnhealthy", "status": "False"}]}})
        wait_for(lambda: self.wake("b"), 2, "the wake-up")

    def test_reload_wakes_and_a_bad_file_changes_nothing(self):
        (a,) = [self.seen(self.cluster.pod("a", namespace="x-dev"))]
        self.assertIsNone(self.daemon.placed(a, ["n0"]))
        wake = lambda: self.wake("a", "x-dev")
        self.daemon.write_policy(POLICY.replace("only: [t4]", "onyl: [t4]"))
        wait_for(lambda: self.daemon.state()["policy"]["error"], 3, "the error")
        status, text = self.daemon.ready()
        self.assertEqual(status, 200)
        self.assertIn("policy.yaml:9:3", text)
        self.assertEqual(self.daemon.metric("berth_policy_reload_success"), 0)
        events = lambda: self.cluster.api.json("GET", "/apis/events.k8s.io/v1/namespaces/default/events")[1]["items"]
        wait_for(lambda: [e for e in events() if e["reason"] == "PolicyNotReloaded" and "policy.yaml:9:3" in e["note"]],
                 what="the Event")
        self.assertIsNone(wake())
        self.daemon.write_policy(POLICY.replace("only: [t4]", "only: [h100]"))
        wait_for(wake, 3, "the wake-up")
        self.assertEqual(self.daemon.metric("berth_policy_reload_success"), 1)
        self.assertEqual(self.daemon.placed(a, ["n0"]), "n0")

    def test_one_free_gpu_wakes_one_of_a_hundred(self):
        holder = self.fill()
        self.assertEqual(self.daemon.bind(holder, "n0")[1]["Error"], "")
        names = [f"w{i:03}" for i in range(100)]
        for name in names:
            self.assertIsNone(self.daemon.placed(self.cluster.pod(name), ["n0"]))
        self.cluster.delete_pod("holder")
        wait_for(lambda: self.wake("w000"), 3, "the wake-up")
        time.sleep(1)
        self.assertEqual([name for name in names if self.wake(name)], ["w000"])
        self.assertEqual(self.daemon.metric('berth_wakeups_total{code="RoomFreed"}'), 1)

    def waited_long(self, *names):
        """The pods wait for n0 for a while; the node's pod goes."""
        holder = self.fill()
        self.assertEqual(self.daemon.bind(holder, "n0")[1]["Error"], "")
        things = self.reject(*names)
        time.sleep(1.6)
        self.cluster.delete_pod("holder")
        return things

    def test_who_has_waited_long_comes_before_who_asks_sooner(self):
        a, b = self.waited_long("a", "b")
        late = self.seen(self.cluster.pod("late"))
        # From its first moment on: b asks all the time.
        wait_for(lambda: not self.daemon.placed(b, ["n0"]) and self.wake("a"), 3, "the wake-up")
        self.assertIsNone(self.daemon.placed(late, ["n0"]))
        urgent = self.seen(self.cluster.pod("urgent", priority=9))
        self.assertEqual([w.get("turn") for w in self.daemon.state()["waiting"]], ["n0", None, None])
        self.assertEqual(self.daemon.placed(a, ["n0"]), "n0")
        self.assertIsNone(self.daemon.placed(urgent, ["n0"]))

    def test_its_room_is_kept_for_a_moment(self):
        self.waited_long("a")
        late = self.seen(self.cluster.pod("late"))
        wait_for(lambda: self.wake("a"), 3, "the wake-up")
        asked = time.monotonic()
        node = self.daemon.placed(late, ["n0"])
        if time.monotonic() - asked < 0.5:  # else the moment may be over
            self.assertIsNone(node)
        wait_for(lambda: self.daemon.placed(late, ["n0"]) == "n0", 3, "the room")

    def test_a_wake_reserves_nothing(self):
        holder = self.fill()
        self.assertEqual(self.daemon.bind(holder, "n0")[1]["Error"], "")
        self.reject("a")
        self.cluster.delete_pod("holder")
        wait_for(lambda: self.wake("a"), 3, "the wake-up")
        self.assertEqual(self.daemon.placed(self.seen(self.cluster.pod("late")), ["n0"]), "n0")

    def test_a_turn_passes_on_at_once_when_there_is_no_such_pod(self):
        holder = self.fill()
        self.assertEqual(self.daemon.bind(holder, "n0")[1]["Error"], "")
        self.assertIsNone(self.daemon.placed(pod("ghost", uid="ghost-uid"), ["n0"]))
        (b,) = self.reject("b")
        self.cluster.delete_pod("holder")
        wait_for(lambda: self.wake("b"), 2, "the wake-up")
        self.assertEqual(self.daemon.placed(b, ["n0"]), "n0")

    def test_a_turn_passes_on_at_once_when_its_pod_goes(self):
        holder = self.fill()
        self.assertEqual(self.daemon.bind(holder, "n0")[1]["Error"], "")
        self.reject("a", "b")
        self.cluster.delete_pod("holder")
        wait_for(lambda: self.wake("a"), 3, "the wake-up")
        self.cluster.delete_pod("a")
        wait_for(lambda: self.wake("b"), 1.5, "the second's turn")

    def test_each_wake_changes_the_annotation(self):
        holder = self.fill()
        self.assertEqual(self.daemon.bind(holder, "n0")[1]["Error"], "")
        (a,) = self.reject("a")
        self.cluster.delete_pod("holder")
        wait_for(lambda: (self.wake("a") or "").endswith("/1"), 3, "the wake-up")
        # Accepted, but its Binding never comes; another pod is there first, and the next rejection is a new one.
        self.assertEqual(self.daemon.placed(a, ["n0"]), "n0")
        wait_for(lambda: self.daemon.entry(a) is None, 5, "the end of the reservation")
        second = self.seen(self.cluster.pod("second"))
        self.assertEqual(self.daemon.placed(second, ["n0"]), "n0")
        self.assertEqual(self.daemon.bind(second, "n0")[1]["Error"], "")
        self.assertIsNone(self.daemon.placed(a, ["n0"]))
        self.cluster.delete_pod("second")
        wait_for(lambda: (self.wake("a") or "").endswith("/2"), 3, "a second value")

    def test_hints_leave_a_woken_pod_its_room(self):
        holder = self.fill()
        self.assertEqual(self.daemon.bind(holder, "n0")[1]["Error"], "")
        (a,) = self.reject("a")
        self.cluster.delete_pod("holder")
        wait_for(lambda: self.wake("a"), 3, "the wake-up")
        for i in range(8):
            self.seen(self.cluster.pod(f"late{i}", priority=9))
        time.sleep(0.3)
        self.assertEqual(self.daemon.state()["ledger"], [])
        self.assertEqual(self.daemon.placed(a, ["n0"]), "n0")

    def test_a_reservation_of_an_unseen_pod_ends_while_the_pod_waits(self):
        # Rejected on its nominated node alone, the pod keeps the room that it holds elsewhere, and waits.
        self.cluster.node("n1", gpus=1)
        wait_for(lambda: len(self.daemon.state()["nodes"]) == 2)
        unseen = pod("unseen", uid="unseen-uid")
        self.assertEqual(self.daemon.placed(unseen, ["n0"]), "n0")
        taken = self.seen(self.cluster.pod("taken"))
        self.assertEqual(self.daemon.placed(taken, ["n1"]), "n1")
        self.assertEqual(self.daemon.bind(taken, "n1")[1]["Error"], "")
        unseen["status"] = {"nominatedNodeName": "n1"}
        self.assertIsNone(self.daemon.placed(unseen, ["n1"]))
        wait_for(lambda: self.daemon.entry(unseen) is None, 5, "the end of the reservation")
        self.assertEqual([w["uid"] for w in self.daemon.state()["waiting"]], ["unseen-uid"])


if __name__ == "__main__":
    unittest.main()
