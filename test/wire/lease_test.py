"""Active and standby: only the berth beside the Lease's holder writes, in time, and after it has read the cluster anew."""

import datetime
import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from fakeapi import FakeApi, kubeconfig
from harness import BERTH, POLICY, Daemon, node, pod, wait_for

GATES = [{"name": "berth.dev/plan"}]
LEASES = "/apis/coordination.k8s.io/v1/namespaces/berth-system/leases"
RENEW_S, DURATION_S = 2, 4


class Api(FakeApi):
    def hold(self, holder, transitions=0, age_s=0.0, duration_s=DURATION_S):
        """kube-scheduler's Lease as its holder renews it."""
        renewed = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age_s)
        self.put("leases", {"metadata": {"name": "berth", "namespace": "berth-system"}, "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": duration_s, "leaseTransitions": transitions,
            "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}})

    def gated(self, name):
        """A single behind the gate: an active berth takes the gate away at once."""
        return self.put("pods", pod(name, schedulingGates=GATES))

    def writes(self, name=""):
        return [call for call in self.seen if call[1] != "GET" and call[2].endswith(name)]


class Lease(unittest.TestCase):
    args = ("--lease", "berth-system/berth", "--identity", "here", "--renew-deadline", f"{RENEW_S}s")

    def setUp(self):
        self.api = Api()
        self.addCleanup(self.api.stop)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.config = os.path.join(self.folder.name, "kubeconfig")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(kubeconfig(f"http://127.0.0.1:{self.api.port}"))
        self.api.put("nodes", node("n0"))

    def start(self, *args, wait=True, **more):
        self.daemon = Daemon(self.config, args=(*self.args, *args), wait=wait, **more)

        def stop():
            if self.daemon.process.process.poll() is None and self.daemon.stop() != 0:
                self.fail(self.daemon.process.stderr())

        self.addCleanup(stop)

    def state(self):
        none = {"lease": {"role": None}, "ledger": None}  # it begins anew
        try:
            return {**none, **self.daemon.state()}
        except (OSError, http.client.HTTPException):
            return none

    def role(self):
        return self.state()["lease"]["role"]

    def becomes(self, role):
        wait_for(lambda: self.role() == role, 10, role)

    def leads(self, *held, **more):
        """The Lease is renewed until berth has seen it."""
        wait_for(lambda: self.api.hold(*held, **more) or self.role() == "active", 10, "active")

    def test_a_standby_writes_nothing_and_reads_anew_before_its_first_write(self):
        self.api.hold("there_1")
        self.api.gated("a")
        self.start()
        self.assertEqual(self.role(), "standby")
        self.assertIn("standby, berth-system/berth is held by there_1", self.daemon.ready()[1])
        self.assertEqual(self.daemon.metric('berth_role{role="standby"}'), 1)
        status = subprocess.run([BERTH, "status", "--ops", f"127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True)
        self.assertEqual((status.returncode, status.stdout.splitlines()[-1].split()[-2:]), (0, ["ready,", "standby"]))
        single = self.daemon.bind(self.api.put("pods", pod("s")), "n0")
        self.assertIn("may not write", single[1]["Error"])
        time.sleep(1)
        self.assertEqual(self.api.writes(), [])
        taken = time.monotonic()
        self.leads("here_1", 1)
        wait_for(lambda: self.api.hold("here_1", 1) or self.api.writes("/a"), what="the gate's end")
        self.assertEqual(self.daemon.metric('berth_role{role="active"}'), 1)
        first = self.api.writes()[0][0]
        for path in "/api/v1/nodes", "/api/v1/pods":
            lists = [c for c in self.api.seen if c[2] == path and "watch" not in c[3] and taken < c[0] < first]
            self.assertTrue(lists, f"{path} was not listed between the takeover and the first write")
            self.assertTrue(all("resourceVersion" not in c[3] for c in lists))
        status, answer = self.daemon.bind(self.api.objects["pods"][("team", "s")], "n0")
        self.assertEqual((status, answer["Error"]), (200, ""))

    def test_a_standby_says_nothing_of_gangs(self):
        self.api.hold("there_1")
        for name in "ab":
            self.api.put("pods", pod(name, schedulingGates=GATES, annotations={"berth.dev/gang": "g", "berth.dev/gang-size": "3"}))
        self.start(policy=POLICY + "gate: {classes: [batch]}\n")
        time.sleep(4)
        self.assertEqual(self.api.writes(), [])
        renewed = threading.Event()

        def renew():
            while not renewed.wait(0.5):
                self.api.hold("here_1", 1)
        renewing = threading.Thread(target=renew)
        renewing.start()
        try:
            wait_for(lambda: len([c for c in self.api.writes() if b"berth.dev/waiting" in c[5]]) == 2, what="the lines")
        finally:
            renewed.set()
            renewing.join()

    def test_fenced_once_it_is_not_renewed_in_time(self):
        self.start()
        self.leads("here_1")
        self.api.hold("here_1")
        wait_for(lambda: self.role() == "fenced", RENEW_S + 2, "the fence")
        self.assertIn("warn role: fenced", self.daemon.ready()[1])
        before = len(self.api.writes())
        self.api.gated("a")
        self.assertIn("may not write", self.daemon.bind(self.api.put("pods", pod("s")), "n0")[1]["Error"])
        time.sleep(1)
        self.assertEqual(len(self.api.writes()), before)
        # Renewed after all, and by nobody else: no list is due.
        lists = [c for c in self.api.seen if c[2] == "/api/v1/pods" and "watch" not in c[3]]
        self.api.hold("here_1")
        wait_for(lambda: self.api.writes("/a"), what="the gate's end")
        self.assertEqual(lists, [c for c in self.api.seen if c[2] == "/api/v1/pods" and "watch" not in c[3]])

    def test_what_was_written_long_ago_is_no_renewal(self):
        self.api.hold("here_1", age_s=60)
        self.api.gated("a")
        self.start()
        self.becomes("fenced")
        time.sleep(1)
        self.assertEqual(self.api.writes(), [])
        self.api.hold("here_1")
        wait_for(lambda: self.api.writes("/a"), what="the gate's end")

    def test_stopped_and_continued_too_late(self):
        self.start()
        self.leads("here_1", duration_s=15)
        process = self.daemon.process.process
        process.send_signal(signal.SIGSTOP)
        for i in range(20):  # what waits for it when it goes on
            self.api.gated(f"p{i}")
            self.api.hold("here_1", duration_s=15)
        time.sleep(RENEW_S + 0.5)
        self.api.hold("there_1", 1)
        process.send_signal(signal.SIGCONT)
        self.becomes("standby")
        time.sleep(1)
        self.assertEqual(self.api.writes(), [])
        self.assertIsNone(process.poll())

    def test_a_lost_lease_and_its_return(self):
        self.start()
        self.leads("here_1")
        held = self.api.put("pods", pod("held"))
        wait_for(lambda: self.daemon.explain("held")[0] == 200, what="the pod")
        self.assertEqual(self.daemon.placed(held, ["n0"]), "n0")
        self.assertEqual(len(self.daemon.state()["ledger"]), 1)
        self.api.hold("there_1", 1)
        wait_for(lambda: self.state()["ledger"] == [], what="the end of what it had promised")
        self.becomes("standby")
        self.api.gated("a")
        time.sleep(0.5)
        self.assertEqual(self.api.writes(), [])
        self.leads("here_2", 2)
        wait_for(lambda: self.api.writes("/a"), what="the gate's end")

    def test_no_lease_and_one_that_may_not_be_read(self):
        self.api.gated("a")
        self.start()
        self.assertEqual(self.role(), "standby")
        self.assertIn("held by nobody", self.daemon.ready()[1])
        self.daemon.stop()
        self.api.hook = lambda handler, method, path, query, body: path == LEASES and self.api.refuse(handler, 403)
        self.start(wait=False)
        wait_for(lambda: "HTTP 403" in self.daemon.ready()[1], what="the refusal")
        self.assertEqual(self.daemon.ready()[0], 503)
        self.assertEqual(self.api.writes(), [])

    def test_only_the_active_berth_renews_the_lease_that_the_guard_reads(self):
        path = LEASES + "/berth-active"
        made = []

        def answer(handler, method, at, query, body):
            if method == "POST" and at == LEASES:
                made.append(json.loads(body))
                return self.api.say(handler, 201, made[-1])
            if method == "PATCH" and at == path:
                if not made:
                    return self.api.refuse(handler, 404)
                made.append(json.loads(body))
                return self.api.say(handler, 200, made[-1])
            return False

        self.api.hook = answer
        self.api.hold("there_1")
        self.start("--active-lease", "berth-system/berth-active")
        time.sleep(1.5)
        self.assertEqual(made, [])
        self.api.hold("here_1", 1, duration_s=60)
        wait_for(lambda: made, what="the Lease")
        self.assertEqual(made[0]["metadata"]["name"], "berth-active")
        self.assertEqual(made[0]["spec"]["leaseDurationSeconds"], 30)
        for _ in range(20):
            self.api.hold("here_1", 1)
            if len(made) > 1:
                break
            time.sleep(0.5)
        self.assertEqual(made[1]["spec"]["holderIdentity"], "here")
        self.assertRegex(made[1]["spec"]["renewTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertGreater(made[1]["spec"]["renewTime"], made[0]["spec"]["renewTime"])


class Flags(unittest.TestCase):
    def test_bad_names(self):
        with tempfile.TemporaryDirectory() as folder:
            config, policy = os.path.join(folder, "kubeconfig"), os.path.join(folder, "policy.yaml")
            with open(config, "w", encoding="utf-8") as f:
                f.write(kubeconfig("http://127.0.0.1:1"))
            with open(policy, "w", encoding="utf-8") as f:
                f.write(POLICY)
            for args in ["--lease", "berth"], ["--active-lease", "A/b"], ["--renew-deadline", "10"]:
                done = subprocess.run([BERTH, "serve", "--policy", policy, "--kubeconfig", config, "--listen", "127.0.0.1:0",
                                       "--listen-ops", "127.0.0.1:0", *args], capture_output=True, text=True, timeout=20)
                self.assertEqual(done.returncode, 2, args)
                self.assertIn(args[0], done.stderr)


if __name__ == "__main__":
    unittest.main()
