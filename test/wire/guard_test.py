"""`berth guard`: pods behind the gate are let go once no berth is active, and not before."""

import json
import subprocess
import tempfile
import time
import unittest

from fakeapi import FakeApi, kubeconfig
from harness import BERTH, POLICY, Process, Server, free_port, pod, wait_for

GATES = [{"name": "berth.dev/plan"}]
LEASE = "/apis/coordination.k8s.io/v1/namespaces/berth-system/leases/berth-active"
LONG_AGO, FAR_AHEAD = "2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"


class Api(FakeApi):
    """With one Lease that answers as it is told, and PATCHes that take the gate away."""

    def __init__(self):
        self.lease, self.status, self.renewals, self.refused = None, 200, 0, set()
        super().__init__()
        self.hook = self.answer

    def renew(self, seconds=1):
        self.renewals += 1
        self.lease = {"spec": {"holderIdentity": "b", "leaseDurationSeconds": seconds,
                               "renewTime": f"2026-01-01T00:00:{self.renewals:09.6f}Z"}}

    def answer(self, handler, method, path, query, body):
        if path == LEASE:
            if self.status != 200:
                return self.refuse(handler, self.status)
            return self.say(handler, 200, self.lease) if self.lease else self.refuse(handler, 404)
        if method == "PATCH":
            name = path.rsplit("/", 1)[1]
            if name in self.refused:
                return self.refuse(handler, 403)
            thing = self.objects["pods"].get(("team", name))
            if not thing:
                return self.refuse(handler, 404)
            thing["spec"]["schedulingGates"] = []
            self.put("pods", thing)
            return self.say(handler, 200, thing)
        return False

    def gated(self, name, created=LONG_AGO):
        thing = pod(name, schedulingGates=GATES)
        thing["metadata"]["creationTimestamp"] = created
        return self.put("pods", thing)

    def waits(self, name):
        return bool(self.objects["pods"][("team", name)]["spec"]["schedulingGates"])

    def looks(self):
        return len([call for call in self.seen if call[2] == LEASE])

    def let_looks_pass(self, count):
        before = self.looks()
        wait_for(lambda: self.looks() >= before + count, 20, "a look at the Lease")


class Guard(unittest.TestCase):
    def setUp(self):
        self.api = Api()
        self.addCleanup(self.api.stop)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.config, self.policy = self.folder.name + "/kubeconfig", self.folder.name + "/policy.yaml"
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(kubeconfig(f"http://127.0.0.1:{self.api.port}"))
        self.write("1s")

    def write(self, after):
        with open(self.policy, "w", encoding="utf-8") as f:
            f.write(POLICY + f"gate: {{classes: [batch], releaseAfter: {after}}}\n")

    def start(self, *args):
        port = free_port()
        process = Process("guard", "--kubeconfig", self.config, "--listen", f"127.0.0.1:{port}", "--policy", self.policy,
                          *args, stdout=subprocess.DEVNULL)

        def stop():
            if process.process.poll() is None and process.stop() != 0:
                self.fail(process.stderr())

        self.addCleanup(stop)
        server = Server(port)

        def up():
            try:
                return server.call("GET", "/healthz")[0] == 200
            except OSError:
                return False

        wait_for(up, what="the guard")
        return server

    def ready(self, server):
        status, text = server.call("GET", "/readyz")
        return status, text.decode()

    def test_waits_while_the_lease_is_renewed_and_lets_go_after(self):
        self.api.gated("a")
        self.api.renew(5)
        server = self.start()
        for _ in range(4):
            self.api.let_looks_pass(1)
            self.api.renew(5)
            self.assertTrue(self.api.waits("a"))
        self.assertEqual(self.ready(server)[0], 200)
        wait_for(lambda: not self.api.waits("a"), 15, "the release")
        self.assertIn("no berth is active", self.ready(server)[1])
        wait_for(lambda: "berth_guard_released_total 1\n" in server.call("GET", "/metrics")[1].decode(), what="the count")
        # One that comes later waits for its own time, by the guard's clock where its creation lies ahead of that.
        self.api.gated("late", FAR_AHEAD)
        wait_for(lambda: not self.api.waits("late"), 15, "the release of a pod that came later")
        wait_for(lambda: "ok   pods: 0 behind the gate" in self.ready(server)[1], what="nothing left")

    def test_no_lease_at_all_lets_go_after_its_usual_duration(self):
        self.api.gated("a")
        self.api.gated("b")
        self.api.gated("gone")
        self.api.refused = {"b"}
        began = time.monotonic()
        server = self.start()
        self.start()  # a second one does no harm
        self.api.let_looks_pass(4)
        self.assertTrue(self.api.waits("a"))
        self.api.remove("pods", "gone", "team")
        wait_for(lambda: not self.api.waits("a"), 45, "the release")
        self.assertGreater(time.monotonic() - began, 29)
        self.api.let_looks_pass(3)
        self.assertTrue(self.api.waits("b"))
        self.api.refused = set()
        wait_for(lambda: not self.api.waits("b"), 15, "the release that was refused before")
        wait_for(lambda: "ok   pods: 0 behind" in self.ready(server)[1], what="nothing left")

    def test_resumes_what_berth_suspended_once_no_berth_is_active(self):
        for name, mark in (("moved", "move-1-1"), ("hers", "alice")):
            self.api.put("jobs", {"metadata": {"name": name, "namespace": "team", "labels": {"berth.dev/suspended-by": mark}},
                                  "spec": {"suspend": True}})
        self.api.renew(5)
        server = self.start()
        for _ in range(3):
            self.api.let_looks_pass(1)
            self.api.renew(5)
            self.assertEqual(self.api.calls("PATCH", "/jobs/moved"), [])
        (call, *_) = wait_for(lambda: self.api.calls("PATCH", "/jobs/moved"), 30, "the resumption")
        self.assertIs(json.loads(call[5])["spec"]["suspend"], False)
        self.assertIsNone(json.loads(call[5])["metadata"]["labels"]["berth.dev/suspended-by"])
        wait_for(lambda: "berth_guard_resumed_total 1\n" in server.call("GET", "/metrics")[1].decode(), what="the count")
        self.assertEqual(self.api.calls("PATCH", "/jobs/hers"), [])

    def test_a_lease_that_cannot_be_read_lets_nothing_go(self):
        self.api.gated("a")
        self.api.renew(5)
        server = self.start()
        self.api.let_looks_pass(1)
        self.api.status = 403
        self.api.let_looks_pass(3)
        status, text = self.ready(server)
        self.assertEqual(status, 503, text)
        self.assertIn("fail lease: berth-system/berth-active: HTTP 403", text)
        self.assertTrue(self.api.waits("a"))
        # What was renewed behind its back counts from when it is seen.
        self.api.renew(5)
        self.api.status = 200
        self.api.let_looks_pass(2)
        self.assertTrue(self.api.waits("a"))
        wait_for(lambda: not self.api.waits("a"), 15, "the release")

    def test_the_policy_s_time_is_obeyed_and_followed(self):
        self.api.gated("a", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        self.api.renew(1)
        self.write("1h")
        server = self.start()
        wait_for(lambda: "releaseAfter is 3600 s" in self.ready(server)[1], what="the policy")
        wait_for(lambda: "no berth is active" in self.ready(server)[1], what="the stale Lease")
        self.api.let_looks_pass(2)
        self.write("0s")  # not valid: the last one stays
        wait_for(lambda: "warn policy" in self.ready(server)[1], what="the bad policy")
        self.assertIn("releaseAfter is 3600 s", self.ready(server)[1])
        self.assertTrue(self.api.waits("a"))
        self.write("2s")
        wait_for(lambda: not self.api.waits("a"), 15, "the release")

    def test_pods_behind_other_gates_only_are_left_alone(self):
        thing = pod("foreign", schedulingGates=[{"name": "example.com/hold"}])
        self.api.put("pods", thing)
        self.api.gated("a")
        self.api.renew(1)
        self.start()
        wait_for(lambda: not self.api.waits("a"), 15, "the release")
        self.api.let_looks_pass(2)
        self.assertEqual({call[2].rsplit("/", 1)[1] for call in self.api.seen if call[1] == "PATCH"}, {"a"})

    def test_bad_usage(self):
        for args in ["--lease", "berth"], ["--lease", "a/b/c"], ["--listen", "nowhere"], ["--kubeconfig", "/not/there"], ["x"]:
            done = subprocess.run([BERTH, "guard", "--kubeconfig", self.config, *args], capture_output=True, text=True, timeout=20)
            self.assertEqual((done.returncode, done.stdout), (2, ""), args)
            self.assertIn("berth guard: ", done.stderr)


if __name__ == "__main__":
    unittest.main()
