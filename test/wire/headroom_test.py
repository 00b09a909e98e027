"""GPUs kept free for a class: who gets them, what is said of it, and what holds after a restart, another policy, a window that opens."""

import datetime
import os
import signal
import subprocess
import tempfile
import time
import unittest
from unittest import mock

import move_test
from harness import BERTH, NAMES, Daemon, WireTest, pod, wait_for

CLOCKSTEP = os.path.join(os.path.dirname(os.path.abspath(BERTH)), "test", "clockstep.so")

POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools:
- {name: h100, gpu: H100}
classes:
- name: inference
  match: [{podLabels: {app: chat}}]
- name: batch
  match: [{podLabels: {app: crunch}}]
  asVictim: {minRuntime: 30m, grace: 5m}
- name: other
fallback: other
headroom:
- RULE
"""
ALWAYS = "{for: inference, pool: h100, gpus: 16, inChunksOf: 8}"


def policy(rule=ALWAYS):
    return POLICY.replace("RULE", rule)


def window(begins_in_minutes, minutes):
    """A rule whose time begins so long from now, by clocks half an hour off the hour."""
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=5, minutes=30 + begins_in_minutes)
    end = now + datetime.timedelta(minutes=minutes)
    return (f"{{for: inference, pool: h100, gpus: 16, inChunksOf: 8, lendTo: [batch], when: {{from: \"{now:%H:%M}\", to: \"{end:%H:%M}\", "
            f"timeZone: Asia/Kolkata}}}}")


class HeadroomTest(WireTest):
    rule = ALWAYS

    def setUp(self):
        super().setUp()
        self.change(policy(self.rule))
        wait_for(lambda: self.rules()[0]["held"] == 16, what="the headroom")

    def change(self, text):
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(text)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")

    def rules(self):
        return self.daemon.ops.json("GET", "/v1/status")[1]["headroom"]

    def make(self, name, app=None, gpus=8, bound=None):
        thing = pod(name, gpus=gpus)
        thing["metadata"]["labels"] = {"app": app or "none"}
        if bound:
            thing["spec"]["nodeName"] = bound
        thing = self.cluster.create("pods", thing)
        if bound:
            wait_for(lambda: self.daemon.entry(thing), what="the entry")
        return thing

    def holds(self):
        return {e["node"]: e["requests"]["nvidia.com/gpu"] for e in self.daemon.state()["ledger"] if e["uid"].startswith("headroom/")}


class Kept(HeadroomTest):
    def test_others_get_what_is_left_and_the_class_gets_it_all(self):
        self.assertEqual(self.holds(), {"n0": 8, "n1": 8})
        self.assertEqual(self.daemon.placed(self.make("a", gpus=6), NAMES), "n2")
        second = self.make("b", gpus=4)
        self.assertIsNone(self.daemon.placed(second, NAMES))
        self.assertEqual(self.daemon.filter(second, NAMES)[1]["FailedAndUnresolvableNodes"]["n0"],
                         "free GPUs are kept for another class")
        chat = [self.daemon.placed(self.make(f"c{i}", "chat"), NAMES) for i in range(2)]
        self.assertEqual(sorted(chat), ["n0", "n1"])
        self.assertEqual(self.holds(), {})
        self.assertIsNone(self.daemon.placed(self.make("c2", "chat"), NAMES))

    def test_what_the_class_gives_back_is_kept_again(self):
        chat = self.make("c", "chat", bound="n0")
        self.assertEqual(self.holds(), {"n1": 8})
        self.make("full", bound="n2")
        thing = self.make("b", gpus=1)
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.cluster.delete_pod("c")
        wait_for(lambda: self.holds() == {"n0": 8, "n1": 8}, what="the room")
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.assertEqual(self.daemon.placed(self.make("d", "chat"), NAMES), "n0")
        self.assertIsNotNone(chat)

    def test_it_is_said(self):
        self.make("full", bound="n2")
        thing = self.make("b", gpus=2)
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        told = self.daemon.explain("b")[1]
        self.assertEqual((told["code"], told["kind"]), ("Headroom", "capacity"))
        self.assertIn("16 GPUs of pool h100 are kept free for class inference", told["help"])
        self.assertEqual(self.daemon.metric('berth_gpus{pool="h100",state="held"}'), 16)
        self.assertEqual(self.daemon.metric('berth_gpus{pool="h100",state="reserved"}'), 0)
        self.assertEqual(self.daemon.metric('berth_gpus{pool="h100",state="free"}'), 0)
        status = self.daemon.ops.json("GET", "/v1/status")[1]
        self.assertEqual(status["pools"][0]["gpus"]["held"], 16)
        rule = dict(status["headroom"][0])
        self.assertEqual((rule["for"], rule["pool"], rule["gpus"], rule["open"], rule["used"], rule["lent"], rule["missing"], rule["nodes"],
                          rule["changes"]), ("inference", "h100", 16, True, 0, 0, 0, 2, None))
        text = subprocess.run([BERTH, "status", f"--ops=127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True, timeout=30).stdout
        self.assertIn("headroom      inference in h100: 16 held, 0 used, 0 lent, 0 missing\n", text)

    def test_a_node_that_is_not_fit_is_left(self):
        self.cluster.patch("/api/v1/nodes/n0", {"spec": {"unschedulable": True}})
        wait_for(lambda: self.holds() == {"n1": 8, "n2": 8}, what="the other node")

    def test_the_next_process_keeps_it_before_it_places_anything(self):
        self.make("c", "chat", gpus=3, bound="n1")
        self.assertEqual(self.holds(), {"n0": 8, "n1": 5})
        self.daemon.process.stop(signal.SIGKILL)
        self.daemon = Daemon(self.cluster.kubeconfig, policy=policy(), port=self.daemon.port)
        thing = self.make("b", gpus=8)
        self.assertEqual(self.daemon.placed(thing, NAMES), "n2")
        self.assertEqual(sum(self.holds().values()), 13)

    def test_a_policy_without_it_gives_it_back_and_wakes_who_waits(self):
        self.make("full", bound="n2")
        thing = self.make("b")
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.change(policy().split("headroom:")[0])
        self.assertEqual(self.holds(), {})
        wait_for(lambda: self.wake("b"), 3, "the wake-up")
        self.assertIsNotNone(self.daemon.placed(thing, NAMES))

    def test_a_margin_goes_with_the_class(self):
        self.change(policy("{for: inference, pool: h100, gpus: 8, margin: 8, inChunksOf: 8}"))
        wait_for(lambda: self.rules()[0]["held"] == 8, what="the headroom")
        self.make("c", "chat", bound=next(iter(self.holds())))
        wait_for(lambda: sum(self.holds().values()) == 8, what="the margin")


class Lent(HeadroomTest):
    rule = window(120, 60)

    def test_to_those_named_and_to_nobody_else(self):
        self.make("full", bound="n2")
        self.assertFalse(self.rules()[0]["open"])
        self.assertIsNone(self.daemon.placed(self.make("b"), NAMES))
        self.make("c", "crunch", bound="n0")
        self.assertEqual(self.daemon.placed(self.make("d", "crunch"), NAMES), "n1")
        rule = self.rules()[0]
        self.assertEqual((rule["lent"], rule["held"], rule["missing"]), (16, 0, 0))

    def test_not_for_work_that_would_not_end_in_time(self):
        self.change(policy(window(20, 60)))
        wait_for(lambda: self.rules()[0]["held"] == 16, what="the headroom")
        self.make("full", bound="n2")
        thing = self.make("d", "crunch")
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        told = self.daemon.explain("d")[1]
        self.assertEqual(told["code"], "Headroom")
        self.assertRegex(told["help"][0] + told["help"][-1], r"16 GPUs of pool h100 are kept free for class inference, whose time begins 20")

    def test_while_its_time_is_there_it_is_lent_to_nobody(self):
        self.change(policy(window(-10, 60)))
        wait_for(lambda: self.rules()[0]["open"] and self.rules()[0]["held"] == 16, what="the headroom")
        self.make("full", bound="n2")
        self.assertIsNone(self.daemon.placed(self.make("d", "crunch"), NAMES))
        self.assertRegex(" ".join(self.daemon.explain("d")[1]["help"]), r"kept free for class inference until 20")

    def test_its_time_comes_and_goes(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        step = os.path.join(folder.name, "step")

        def step_to(minutes):
            with open(step + ".new", "w", encoding="utf-8") as f:
                f.write(str(minutes * 60))
            os.rename(step + ".new", step)

        step_to(0)
        environment = mock.patch.dict(os.environ, {"LD_PRELOAD": CLOCKSTEP, "CLOCKSTEP": step,
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"})
        environment.start()
        self.addCleanup(environment.stop)
        self.daemon.stop()
        self.daemon = Daemon(self.cluster.kubeconfig, policy=policy(self.rule), port=self.daemon.port)
        self.make("full", bound="n2")
        lent, waits = self.make("lent", "crunch", bound="n0"), self.make("waits", "crunch", gpus=8)
        self.assertEqual(self.daemon.placed(waits, NAMES), "n1")
        self.assertFalse(self.daemon.bind(waits, "n1")[1].get("Error"))
        self.assertEqual(self.rules()[0]["lent"], 16)
        step_to(121)
        wait_for(lambda: self.rules()[0]["open"], 5, "its time")
        self.cluster.delete_pod("waits")
        wait_for(lambda: self.holds() == {"n1": 8}, what="what came back")
        self.assertIsNone(self.daemon.placed(self.make("more", "crunch"), NAMES))
        step_to(181)
        wait_for(lambda: self.wake("more"), 5, "the wake-up")
        self.assertEqual(self.daemon.placed(self.make("again", "crunch"), NAMES), "n1")
        self.assertEqual(self.rules()[0]["lent"], 16)
        self.assertIsNotNone(lent)

    def test_a_window_that_closes_wakes_whom_it_is_lent_to(self):
        self.change(policy(window(-10, 60)))
        wait_for(lambda: self.rules()[0]["open"], what="the window")
        self.make("full", bound="n2")
        thing = self.make("d", "crunch")
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.change(policy(window(120, 60)))
        wait_for(lambda: self.wake("d"), 5, "the wake-up")
        self.assertIn(self.daemon.placed(thing, NAMES), ["n0", "n1"])


LENT = move_test.CLASSES.replace("  mayPreempt: [batch]\n", "").replace("classes:", "pools: [{name: h100, gpu: H100}]\nclasses:") + (
    "moves: {mode: act, giveBackAfter: 1h}\nheadroom:\n- " + window(-10, 60) + "\n")


class TakenBack(move_test.MoveTest):
    policy = LENT

    def test_what_was_lent_is_taken_back_and_nothing_else(self):
        self.full()
        rule = self.daemon.ops.json("GET", "/v1/status")[1]["headroom"][0]
        self.assertTrue(rule["open"])
        wait_for(lambda: self.daemon.ops.json("GET", "/v1/status")[1]["headroom"][0]["lent"] == 16, 5, "what is lent")
        made = [self.cluster.pod(f"web-{i}", gpus=8, owner=move_test.WEB, priority=10) for i in range(2)]
        for thing in made:
            self.assertIsNone(self.daemon.placed(self.seen(thing), NAMES))
        self.some_suspended(2)
        self.assertEqual(self.suspended(), ["job-n0", "job-n1"])


RETURNS = (move_test.CLASSES.replace("fallback: batch", "- name: rest\nfallback: rest").replace("classes:", "pools: [{name: h100, gpu: H100}]\nclasses:")
           + "moves: {mode: act, giveBackAfter: 1s}\nheadroom:\n- "
           + window(120, 60).replace("lendTo: [batch]", "lendTo: [rest]") + "\n")


class GivenBack(move_test.MoveTest):
    policy = RETURNS

    def test_a_unit_does_not_return_to_what_is_kept_from_its_class(self):
        held = lambda: [e["node"] for e in self.daemon.state()["ledger"] if e["uid"].startswith("headroom/")]
        for name in NAMES[1:]:
            self.standing(f"train-{name}", name, self.cluster.job(f"job-{name}"))
        (kept,) = wait_for(lambda: held() == NAMES[:1] and held(), what="the headroom")
        first = self.seen(self.cluster.pod("chat-0", gpus=8, owner=move_test.WEB))
        self.assertEqual(self.bind(first), kept)
        (thing,) = self.web()
        (job,) = self.some_suspended()
        self.pods_end([job])
        self.phase("bind")
        self.bind(thing)
        self.phase("lent")
        self.cluster.delete_pod("chat-0")
        wait_for(lambda: held() == [kept], what="the headroom again")
        time.sleep(3)
        self.assertEqual(self.suspended(), [job])
        (other,) = {*NAMES[1:]} - {job.removeprefix("job-")}
        self.cluster.delete_pod(f"train-{other}")
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        self.assertEqual([e["node"] for e in self.daemon.state()["ledger"] if e["uid"].startswith("return/")], [other])


if __name__ == "__main__":
    unittest.main()
