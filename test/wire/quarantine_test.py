"""Nodes that kill pods at their start: left alone before a third owner is hit, released by time or by hand, known to the next process."""

import json
import signal
import subprocess
import time
import unittest

from harness import BERTH, NAMES, POLICY, Daemon, WireTest, pod, wait_for

SHORT = POLICY + "  quarantine: {release: 3s}\n"
GPU_RUNTIME = "failed to create containerd task: nvidia-container-cli: initialization error: nvml error: driver not loaded"
MAP = "/api/v1/namespaces/default/configmaps/berth-quarantine"


def owner(name):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "uid": "uid-" + name}}


class QuarantineTest(WireTest):
    policy = POLICY

    def setUp(self):
        super().setUp()
        self.count = 0
        if self.policy != POLICY:
            before = self.daemon.state()["policy"]["hash"]
            self.daemon.write_policy(self.policy)
            wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")

    def bound(self, of, target="n0", gpus=1, namespace="team"):
        self.count += 1
        thing = pod(f"{of}-{self.count}", gpus=gpus, namespace=namespace, owner=owner(of))
        thing["spec"]["nodeName"] = target
        return self.cluster.create("pods", thing)

    def status(self, thing, status):
        meta = thing["metadata"]
        self.cluster.patch(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status", {"status": status})

    def refused(self, of, target="n0", reason="UnexpectedAdmissionError", gpus=1, namespace="team"):
        """As a kubelet does where a device plugin's Allocate fails."""
        thing = self.bound(of, target, gpus, namespace)
        self.status(thing, {"phase": "Failed", "reason": reason, "startTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
        return thing

    def waiting(self, of, reason, message, target="n0"):
        thing = self.bound(of, target)
        self.status(thing, {"phase": "Pending", "containerStatuses": [
            {"name": "main", "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}]})
        return thing

    def codes(self, name="n0"):
        return next(n["codes"] for n in self.daemon.state()["nodes"] if n["name"] == name)

    def quarantined(self, name="n0"):
        return "NodeQuarantined" in self.codes(name)

    def is_quarantined(self, name="n0"):
        wait_for(lambda: self.quarantined(name), what="the quarantine")

    def is_not(self, name="n0"):
        """What was written before has arrived by then."""
        self.seen(self.cluster.create("pods", pod(f"after-{time.monotonic_ns()}")))
        self.assertFalse(self.quarantined(name))

    def kept(self):
        status, made = self.cluster.api.json("GET", MAP)
        return made.get("data", {}) if status == 200 else {}

    def events(self, reason):
        return [e for e in self.cluster.api.json("GET", "/apis/events.k8s.io/v1/events")[1]["items"] if e["reason"] == reason]

    def cli(self, *args):
        return subprocess.run([BERTH, "quarantine", *args], capture_output=True, text=True, timeout=30)


class Begins(QuarantineTest):
    def test_a_node_that_kills_pods_at_start_gets_none_of_a_third_owner(self):
        self.refused("a")
        self.is_not()
        self.refused("b")
        self.is_quarantined()
        third = self.cluster.create("pods", pod("c-1", owner=owner("c")))
        self.assertIsNone(self.daemon.placed(third, ["n0"]))
        self.assertEqual(self.daemon.filter(third, ["n0"])[1]["FailedAndUnresolvableNodes"]["n0"],
                         "node quarantined: pods of different owners did not start there")
        self.assertIn(self.daemon.placed(third, NAMES), ["n1", "n2"])

    def test_it_is_said_everywhere(self):
        self.refused("a")
        self.refused("b")
        self.is_quarantined()
        event = wait_for(lambda: self.events("NodeQuarantined"), what="the Event")
        self.assertEqual(len(event), 1)
        self.assertEqual((event[0]["regarding"]["kind"], event[0]["regarding"]["name"]), ("Node", "n0"))
        self.assertIn("2 starts of pods of 2 owners", event[0]["note"])
        self.assertEqual(self.daemon.metric('berth_nodes_quarantined{pool="h100"}'), 1)
        self.assertIn("info quarantine: 1 node\n", self.daemon.ready()[1])
        status = self.daemon.ops.json("GET", "/v1/status")[1]
        self.assertEqual([(n["node"], n["failedStarts"], n["owners"]) for n in status["quarantine"]], [("n0", 2, 2)])
        self.assertEqual(status["pools"][0]["open"], 2)
        ops = f"--ops=127.0.0.1:{self.daemon.ops_port}"
        told = subprocess.run([BERTH, "status", ops], capture_output=True, text=True, timeout=30).stdout
        self.assertRegex(told, r"(?m)^quarantine    1: n0 until 20")
        listed = self.cli(ops)
        self.assertRegex(listed.stdout, r"(?m)^n0 +20.* 2 +2$")
        self.assertEqual(listed.returncode, 1)
        self.seen(self.cluster.create("pods", pod("big", gpus=16)))
        steps = self.daemon.explain("big")[1]["steps"]
        self.assertEqual([s["nodes"] for s in steps if s["code"] == "NodeQuarantined"], [1])
        self.assertEqual(list(wait_for(self.kept, what="the ConfigMap")), ["n0"])

    def test_containers_that_the_gpu_runtime_does_not_start(self):
        self.waiting("a", "CreateContainerError", GPU_RUNTIME)
        self.waiting("b", "RunContainerError", GPU_RUNTIME)
        self.is_quarantined()

    def test_pods_of_one_owner_are_that_owners_own(self):
        for _ in range(5):
            self.refused("a")
        self.is_not()
        self.refused("a-2", namespace="other")
        self.is_quarantined()

    def test_a_deployments_replica_sets_are_one_owner(self):
        for hash_ in ("5d9", "7f6"):
            thing = pod("web-" + hash_, owner={"apiVersion": "apps/v1", "kind": "ReplicaSet",
                                               "metadata": {"name": "web-" + hash_, "uid": "uid-" + hash_}})
            thing["metadata"]["labels"] = {"pod-template-hash": hash_}
            thing["spec"]["nodeName"] = "n0"
            self.status(self.cluster.create("pods", thing), {"phase": "Failed", "reason": "UnexpectedAdmissionError"})
        self.is_not()

    def test_images_crashes_and_pods_without_gpus_do_not_count(self):
        for name in "abc":
            self.waiting(name, "ImagePullBackOff", "nvidia-container-toolkit: not found")
            thing = self.bound(name)
            self.status(thing, {"phase": "Failed", "containerStatuses": [{"name": "main", "restartCount": 0, "state": {
                "terminated": {"exitCode": 1, "reason": "Error", "message": "assertion failed",
                               "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}}}]})
            self.refused(name, reason="OutOfcpu", gpus=0)
        self.is_not()

    def test_where_others_start_the_policy_says_how_many_must_fail(self):
        def runs(of):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
            self.status(self.bound(of), {"phase": "Running", "containerStatuses": [
                {"name": "main", "restartCount": 0, "state": {"running": {"startedAt": at}}}]})
            time.sleep(2.1)
        self.refused("a")
        runs("x")
        self.refused("b")
        self.is_not()
        runs("y")
        self.refused("a")
        self.is_quarantined()

    def test_a_pod_that_has_its_place_there_but_is_not_bound_yet_is_not_bound(self):
        third = self.cluster.create("pods", pod("c-1", owner=owner("c")))
        self.assertEqual(self.daemon.placed(third, ["n0"]), "n0")
        self.refused("a")
        self.refused("b")
        self.is_quarantined()
        self.assertIn("quarantined", self.daemon.bind(third, "n0")[1]["Error"])
        self.assertEqual(self.daemon.placed(third, NAMES[1:]), "n1")
        self.assertFalse(self.daemon.bind(third, "n1")[1].get("Error"))

    def test_the_policy_may_know_none(self):
        before = self.daemon.state()["policy"]["hash"]
        self.refused("a")
        self.refused("b")
        self.is_quarantined()
        self.daemon.write_policy(POLICY + "  quarantine: {afterFailedStarts: 0}\n")
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")
        self.assertFalse(self.quarantined())
        self.refused("c")
        self.refused("d")
        self.is_not()

    def test_without_the_right_to_keep_it_it_holds_all_the_same(self):
        self.cluster.faults({"rules": [{"path": "/configmaps", "status": 403, "times": 1000}]})
        self.refused("a")
        self.refused("b")
        self.is_quarantined()
        wait_for(lambda: "info quarantine: done without the ConfigMap default/berth-quarantine" in self.daemon.ready()[1], what="the line")
        self.assertEqual(self.daemon.ready()[0], 200)


class Ends(QuarantineTest):
    policy = SHORT

    def quarantine(self):
        self.refused("a")
        self.refused("b")
        self.is_quarantined()

    def fill_the_others(self):
        for name in NAMES[1:]:
            self.bound("full", name, gpus=8)
        wait_for(lambda: len(self.daemon.state()["ledger"]) >= 2, what="the pods")

    def test_by_time_and_who_waited_is_woken(self):
        self.quarantine()
        self.fill_the_others()
        thing = self.cluster.create("pods", pod("w"))
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        wait_for(lambda: not self.quarantined(), 6, "the release")
        wait_for(lambda: self.wake("w"), 3, "the wake-up")
        self.assertEqual(self.daemon.placed(thing, NAMES), "n0")
        self.assertEqual(len(wait_for(lambda: self.events("NodeReleased"), what="the Event")), 1)
        wait_for(lambda: not self.kept(), what="the ConfigMap without it")
        self.refused("c")
        self.is_not()

    def test_by_hand_and_what_failed_before_is_forgiven(self):
        self.daemon.write_policy(POLICY)
        self.quarantine()
        wait_for(self.kept, what="the ConfigMap")
        made = self.cli("release", "n0", "--kubeconfig", self.cluster.kubeconfig)
        self.assertEqual((made.returncode, made.stdout), (0, "n0 released\n"), made.stderr)
        wait_for(lambda: not self.quarantined(), what="the release")
        wait_for(lambda: not self.kept(), what="the ConfigMap without it")
        self.daemon.process.stop(signal.SIGKILL)
        self.daemon = Daemon(self.cluster.kubeconfig, port=self.daemon.port)
        self.is_not()

    def test_a_name_that_no_node_has(self):
        made = self.cli("release", "nowhere", "--kubeconfig", self.cluster.kubeconfig)
        self.assertEqual(made.returncode, 2)
        self.assertEqual(self.cli("release", "No/where").returncode, 2)

    def test_with_its_node(self):
        self.daemon.write_policy(POLICY)
        self.quarantine()
        wait_for(self.kept, what="the ConfigMap")
        self.cluster.api.call("DELETE", "/api/v1/nodes/n0")
        wait_for(lambda: not self.kept(), what="the ConfigMap without it")
        self.cluster.node("n0")
        wait_for(lambda: any(n["name"] == "n0" for n in self.daemon.state()["nodes"]), what="the node")
        self.assertFalse(self.quarantined())


class NextProcess(QuarantineTest):
    def begin_anew(self):
        self.daemon.process.stop(signal.SIGKILL)
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)

    def test_knows_of_it_although_the_pods_are_gone(self):
        things = [self.refused("a"), self.refused("b")]
        self.is_quarantined()
        kept = wait_for(self.kept, what="the ConfigMap")
        for thing in things:
            self.cluster.delete_pod(thing["metadata"]["name"])
        self.begin_anew()
        self.assertTrue(self.quarantined())
        self.assertEqual(json.loads(self.kept()["n0"]), json.loads(kept["n0"]))
        status = self.daemon.ops.json("GET", "/v1/status")[1]
        self.assertEqual(status["quarantine"][0]["until"], json.loads(kept["n0"])["until"])

    def test_waits_for_what_was_kept_before_it_places_anything(self):
        self.refused("a")
        self.refused("b")
        self.is_quarantined()
        wait_for(self.kept, what="the ConfigMap")
        for name in ("a-1", "b-2"):
            self.cluster.delete_pod(name)
        self.daemon.process.stop(signal.SIGKILL)
        self.cluster.faults({"rules": [{"path": "/configmaps", "hold": True, "times": 100}]})
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port, wait=False)
        wait_for(lambda: self.daemon.ready()[0], what="an answer")
        thing = self.cluster.create("pods", pod("c"))
        answers = []
        while not answers or answers[-1][0] != 200:
            answers.append(self.daemon.filter(thing, ["n0"]))
            if answers[-1][0] == 503:
                self.cluster.faults({"clear": True, "release": True})
            time.sleep(0.05)
        self.assertEqual({a[0] for a in answers}, {503, 200})
        self.assertFalse(answers[-1][1]["NodeNames"])

    def test_what_is_kept_and_cannot_be_read_is_left_out(self):
        self.cluster.create("configmaps", {"metadata": {"name": "berth-quarantine", "namespace": "default"}, "data": {
            "n0": "{", "n1": '{"version":2,"since":"2026-01-01T00:00:00Z","until":"2099-01-01T00:00:00Z"}',
            "n2": '{"version":1,"since":"2026-01-01T00:00:00Z","until":"2099-01-01T00:00:00Z","failedStarts":2,"owners":2}'}})
        self.begin_anew()
        self.assertEqual([self.quarantined(name) for name in NAMES], [False, False, True])
        wait_for(lambda: list(self.kept()) == ["n2"], what="the rest gone")


if __name__ == "__main__":
    unittest.main()
