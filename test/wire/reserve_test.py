"""reserveAfter: a gang that waits is promised a start by run times, and its nodes take what ends before."""

import datetime
import json
import signal
import subprocess
import time
import unittest

from harness import BERTH, NAMES, POLICY, Daemon, wait_for
from gang_test import GangTest

PLAIN = POLICY.replace("- name: batch\n", "- name: batch\n  gang: {holdDomainAfter: 1h}\n")
RESERVE = POLICY.replace("- name: batch\n", "- name: batch\n  gang: {holdDomainAfter: 1h, reserveAfter: 0s}\n")
PROMISES = "/api/v1/namespaces/default/configmaps/berth-promises"
KEPT = "node kept free for a gang that waits for room"


def runs(seconds):
    return {"berth.dev/expected-runtime": f"{seconds}s"} if seconds else {}


def ago(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Reserving(GangTest):
    before = RESERVE  # the policy while pods come that run

    def setUp(self):
        super().setUp()
        self.policy(self.before)

    def policy(self, text):
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(text)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")

    def fill(self, seconds):
        """n0 has 7 GPUs taken, n1 6, n2 5, for so many seconds on each; None: nobody knows."""
        self.running = {node: [] for node in NAMES}
        for node, count, run in zip(NAMES, (7, 6, 5), seconds):
            for i in range(count):
                self.running[node].append(f"run-{node}-{i}")
                self.cluster.pod(self.running[node][-1], gpus=1, nodeName=node, annotations=runs(run))
        time.sleep(1.1)  # creation times have whole seconds

    def held(self):
        return sorted(n["name"] for n in self.daemon.state()["nodes"] if "HeldForGang" in n.get("codes", []))

    def gang(self, **more):
        return self.members("ab", size=2, gpus=8, **more)

    def line(self):
        (gang,) = wait_for(lambda: self.daemon.ops.json("GET", "/v1/queue")[1]["gangs"], what="its place in line")
        return gang

    def promised(self):
        return wait_for(lambda: self.line().get("start") and self.line(), what="the promise")

    def end(self, *nodes):
        for node in nodes:
            for name in self.running[node]:
                self.cluster.delete_pod(name)

    def later(self, name, seconds=None, gpus=1, **more):
        return self.cluster.pod(name, gpus=gpus, annotations=runs(seconds), **more)

    def kept_off(self, thing):
        status, answer = self.daemon.filter(thing, NAMES)
        self.assertEqual((status, answer["NodeNames"]), (200, []))
        return answer["FailedAndUnresolvableNodes"]

    def run_queue(self):
        done = subprocess.run(
            [BERTH, "queue", "--ops", f"127.0.0.1:{self.daemon.ops.port}"], capture_output=True, text=True, check=True)
        return done.stdout


class Reserve(Reserving):
    def test_what_ends_before_comes_and_the_rest_stays_away(self):
        self.fill((None, 60, 40))
        things = self.gang()
        gang = self.promised()
        self.assertEqual(self.held(), ["n1", "n2"])
        self.assertTrue(50 <= gang["startSeconds"] <= 60, gang)
        self.assertEqual(gang["start"][:16], gang["promised"][:16])
        text = self.run_queue()
        head, row = text.splitlines()[:2]
        self.assertRegex(row[head.index("STARTS"):], r"^in 5\d s|^in 60 s|^in 1 min")
        self.assertRegex(subprocess.run(
            [BERTH, "explain", "team/a", "--ops", f"127.0.0.1:{self.daemon.ops.port}"], capture_output=True, text=True,
            check=False).stdout, r"\n  start: \d+ s left")
        time.sleep(1.1)
        # One that nobody knows goes to the node that is not held; then none is left to such pods.
        self.assertEqual(self.daemon.placed(self.later("unknown"), NAMES), "n0")
        self.daemon.bind(self.cluster.get_pod("unknown"), "n0")
        self.assertEqual(self.kept_off(self.later("unknown2"))["n2"], KEPT)
        self.assertEqual(self.kept_off(self.later("long", 3600))["n1"], KEPT)
        self.assertRegex(" ".join(self.daemon.explain("unknown2")[1]["help"]),
                         r"gangs that start in \d+ s .* the pod says no berth.dev/expected-runtime")
        self.assertRegex(" ".join(self.daemon.explain("long")[1]["help"]), "this one is expected to run for 3600 s")
        self.assertRegex(self.line()["line"], r"; 2 nodes are kept free for it; promised to start by 2\d{3}-.*T..:..Z$")
        short = self.later("short", 10)
        node = self.daemon.placed(short, NAMES)
        self.assertIn(node, ["n1", "n2"])
        self.assertEqual(self.daemon.bind(short, node), (200, {"Error": ""}))
        self.assertLessEqual(self.promised()["startSeconds"], gang["startSeconds"])
        # What runs ends sooner than was told: the gang does not wait for its promise.
        self.end("n1", "n2")
        self.cluster.delete_pod("short")
        plans = self.planned(things)
        calls = [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]
        for thread, answer in calls:
            thread.join()
            self.assertEqual(answer, [(200, {"Error": ""})])
        self.all_bound("ab")
        wait_for(lambda: self.daemon.metric("berth_promise_error_seconds_count") == 1, what="the promise's error")
        error = self.daemon.metric("berth_promise_error_seconds_sum")
        self.assertTrue(30 < error <= 60, error)
        wait_for(lambda: not self.held(), what="the end of the hold")

    def test_a_small_gang_comes_before_if_it_ends_before(self):
        self.fill((60, 60, 60))
        self.gang()
        self.promised()
        time.sleep(1.1)
        small = [self.cluster.pod(f"s{i}", gpus=2, annotations={
            "berth.dev/gang": "small", "berth.dev/gang-size": "2", **runs(20)}) for i in range(2)]
        large = [self.cluster.pod(f"l{i}", gpus=2, annotations={
            "berth.dev/gang": "large", "berth.dev/gang-size": "2", **runs(200)}) for i in range(2)]
        plans = self.planned(small)
        self.assertTrue({p["node"] for p in plans} <= set(NAMES))
        time.sleep(1)
        self.assertTrue(all("berth.dev/plan" not in self.cluster.get_pod(t["metadata"]["name"])["metadata"]["annotations"]
                            for t in large))

    def test_without_run_times_there_is_no_promise(self):
        self.fill((None, None, None))
        self.gang()
        time.sleep(1.5)
        gang = self.line()
        self.assertEqual((gang["start"], gang["promised"]), (None, None))
        self.assertEqual(self.held(), [])

    def test_one_gang_a_pool_is_promised_a_start(self):
        t4 = {"nodeSelector": {"nvidia.com/gpu.product": "Tesla-T4"}}
        self.cluster.node("t0", product="Tesla-T4", memory=15360)
        for i in range(8):
            self.cluster.pod(f"run-t0-{i}", gpus=1, nodeName="t0", annotations=runs(60))
        self.fill((None, None, None))
        self.gang()  # nobody knows when
        for name in ("b", "c"):
            time.sleep(1.1)
            for i in range(2):
                self.cluster.pod(f"{name}{i}", gpus=4, annotations={
                    "berth.dev/gang": name, "berth.dev/gang-size": "2"}, **t4)
        starts = lambda: {g["name"]: bool(g["start"]) for g in self.daemon.ops.json("GET", "/v1/queue")[1]["gangs"]}
        wait_for(lambda: starts() == {"g": False, "b": True, "c": False}, what="the promise")
        time.sleep(2)
        self.assertEqual(starts(), {"g": False, "b": True, "c": False})
        for name in ("b0", "b1"):
            self.cluster.delete_pod(name)
        wait_for(lambda: starts() == {"g": False, "c": True}, what="the next promise")

    def test_without_the_key_nothing_is_promised_or_said(self):
        self.fill((60, 60, 60))
        self.gang()
        self.promised()
        self.policy(PLAIN.replace("1h", "2h"))
        wait_for(lambda: not self.held(), what="the end of the hold")
        self.assertNotIn("start", self.line())
        self.assertNotIn("STARTS", self.run_queue())

    def test_without_the_key_nothing_is_kept(self):
        self.policy(PLAIN.replace("1h", "1s"))
        self.fill((60, 60, 60))
        self.gang()
        wait_for(self.held, what="the hold")
        time.sleep(1)
        self.assertEqual(self.cluster.api.call("GET", PROMISES)[0], 404)

    def test_a_promise_that_slips_closes_the_nodes(self):
        self.fill((None, 3, 3))
        self.gang()
        self.promised()
        time.sleep(1.1)
        # 8 s: the promise, and 5 more at the least.
        deadline = time.monotonic() + 20
        while self.daemon.placed(self.later(f"t{int(time.monotonic() * 1000)}", 0.05), ["n1", "n2"]):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.5)
        self.assertEqual(self.held(), ["n1", "n2"])
        self.assertTrue(self.line()["promised"])

    def test_what_a_template_ran_before_is_expected_of_it(self):
        def ended(name, seconds):
            self.cluster.pod(name, gpus=1, nodeName="n0", annotations={})
            self.seen(self.cluster.get_pod(name))
            wait_for(lambda: self.cluster.get_pod(name)["status"].get("phase") == "Running", what="its start")
            self.cluster.patch(f"/api/v1/namespaces/team/pods/{name}/status", {"status": {
                "phase": "Succeeded", "startTime": ago(seconds),
                "containerStatuses": [{"name": "main", "state": {"terminated": {
                    "exitCode": 0, "startedAt": ago(seconds), "finishedAt": ago(0)}}}]}})
            wait_for(lambda: self.daemon.entry(self.cluster.get_pod(name)) is None, what="its end")
        for i, seconds in enumerate((8, 10, 9)):
            ended(f"nightly-{i}", seconds)
        self.fill((None, 60, 60))
        self.gang()
        self.promised()
        time.sleep(1.1)
        self.daemon.bind(self.later("filler"), "n0")
        self.assertEqual(self.kept_off(self.later("weekly-3"))["n1"], KEPT)
        self.assertIn(self.daemon.placed(self.later("nightly-3"), NAMES), ["n1", "n2"])


class Kept(Reserving):
    """What was promised outlives the process: the next one would promise nothing for an hour."""

    def kept(self):
        status, made = self.cluster.api.json("GET", PROMISES)
        text = made.get("data", {}).get("promises") if status == 200 else None
        return text and json.loads(text)["gangs"]

    def promise(self):
        self.fill((None, 60, 40))
        things = self.gang()
        gang = self.promised()
        (kept,) = wait_for(self.kept, what="the promise on record")
        self.assertEqual((kept["name"], sorted(kept["nodes"])), ("g", ["n1", "n2"]))
        return things, gang

    def kill(self):
        self.daemon.process.stop(signal.SIGKILL)

    def start(self):
        self.daemon = Daemon(self.cluster.kubeconfig, policy=RESERVE.replace("0s", "1h"), port=self.daemon.port)

    def assert_promised(self, gang):
        now = wait_for(lambda: self.line().get("promised") and self.line(), 5, "the promise")
        then, still = (datetime.datetime.fromisoformat(g["promised"]) for g in (gang, now))
        self.assertLess(abs(still - then).total_seconds(), 0.1)

    def test_the_next_process_keeps_the_nodes_and_the_promise(self):
        things, gang = self.promise()
        self.kill()
        self.start()
        self.assertEqual(self.held(), ["n1", "n2"])
        self.assertEqual(self.daemon.placed(self.later("long", 3600), NAMES), "n0")
        self.assertEqual(self.kept_off(self.later("longer", 3600))["n1"], KEPT)
        self.assertIn(self.daemon.placed(self.later("short", 10), NAMES), ["n1", "n2"])
        self.cluster.delete_pod("short")
        self.assert_promised(gang)
        self.assertIn("in ", self.run_queue().splitlines()[1])
        self.end("n1", "n2")
        plans = self.planned(things)
        calls = [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]
        for thread, _ in calls:
            thread.join()
        wait_for(lambda: self.daemon.metric("berth_promise_error_seconds_count") == 1, what="the promise's error")
        self.assertTrue(30 < self.daemon.metric("berth_promise_error_seconds_sum") <= 60)
        wait_for(lambda: self.kept() is None, what="the end of the record")

    def test_another_policy_keeps_them_too(self):
        _, gang = self.promise()
        version = self.cluster.api.json("GET", PROMISES)[1]["metadata"]["resourceVersion"]
        self.policy(RESERVE.replace("0s", "1h"))
        time.sleep(1.5)
        self.assertEqual(self.held(), ["n1", "n2"])
        self.assert_promised(gang)
        self.assertEqual(self.cluster.api.json("GET", PROMISES)[1]["metadata"]["resourceVersion"], version)
        self.policy(PLAIN)
        wait_for(lambda: self.kept() is None, what="the end of the record")

    def test_a_gang_that_went_meanwhile_holds_nothing(self):
        self.promise()
        self.kill()
        for name in "ab":
            self.cluster.delete_pod(name)
        self.start()
        wait_for(lambda: not self.held(), what="the end of the hold")
        wait_for(lambda: self.kept() is None, what="the end of the record")

    def test_a_node_that_went_meanwhile_is_held_no_more(self):
        _, gang = self.promise()
        self.kill()
        self.cluster.api.call("DELETE", "/api/v1/nodes/n2")
        self.start()
        self.assert_promised(gang)
        # Nobody knows when n0 is free, so that there is no start any more; what is left of its nodes stays its own.
        wait_for(lambda: not self.line().get("start"), what="the end of its start")
        self.assertTrue(self.line()["promised"])
        self.assertEqual(self.held(), ["n1"])

    def test_where_it_may_not_be_kept_it_is_done_without(self):
        self.cluster.faults({"rules": [{"path": "berth-promises", "status": 403, "times": 1000}]})
        self.fill((None, 60, 40))
        self.gang()
        self.promised()
        self.kill()
        self.start()
        wait_for(lambda: "info promises: done without the ConfigMap default/berth-promises" in self.daemon.ready()[1], what="the line")
        self.assertEqual(self.held(), [])

    def test_what_is_no_promise_is_left(self):
        self.kill()
        for text in ("", "[]", "{", json.dumps({"version": 1, "gangs": [{}, 3, {"key": "a", "nodes": {}}]}), json.dumps({"version": 2})):
            self.cluster.api.call("DELETE", PROMISES)
            self.cluster.create("configmaps", {"metadata": {"name": "berth-promises", "namespace": "default"}, "data": {"promises": text}})
            self.start()
            self.assertEqual(self.held(), [])
            self.kill()


class TurnedOn(Reserving):
    """The policy begins to reserve when all that is to be known was shown already."""

    before = PLAIN

    def fill(self, seconds):
        super().fill(seconds)
        self.seen(self.cluster.get_pod(self.running["n2"][-1]))
        self.policy(RESERVE)

    test_what_ends_before = Reserve.test_what_ends_before_comes_and_the_rest_stays_away
    test_what_a_template_ran_before = Reserve.test_what_a_template_ran_before_is_expected_of_it


class ByRight(Reserving):
    """What may be ended before the start comes, too, and does not put it off."""

    before = (PLAIN.replace("- name: batch\n", "- name: training\n  mayPreempt: [batch]\n"
                            "  gang: {holdDomainAfter: 1h, reserveAfter: 0s}\n- name: batch\n"
                            "  asVictim: {minRuntime: 10s, grace: 1s}\n")
              + "moves: {mode: act}\n")

    def test_what_may_be_ended_before_the_start_comes(self):
        self.fill((None, 60, 60))
        for name in "ab":
            self.cluster.pod(name, gpus=8, annotations={
                "berth.dev/gang": "g", "berth.dev/gang-size": "2", "berth.dev/class": "training"})
        first = self.promised()["startSeconds"]
        self.assertEqual(self.held(), ["n1", "n2"])
        time.sleep(1.1)
        self.daemon.bind(self.later("filler"), "n0")
        self.assertEqual(self.kept_off(self.later("bare"))["n1"], KEPT)
        job = self.cluster.pod("of-a-job", gpus=1, owner=self.cluster.job("j"))
        node = self.daemon.placed(job, NAMES)
        self.assertIn(node, ["n1", "n2"])
        self.daemon.bind(job, node)
        time.sleep(2)
        self.assertLessEqual(self.promised()["startSeconds"], first)
        kept = self.cluster.pod("kept", gpus=1, owner=self.cluster.job("k"), annotations={
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"})
        self.assertEqual(self.kept_off(kept)["n1"], KEPT)


if __name__ == "__main__":
    unittest.main()
