"""`berth serve` over time: reloads, restarts, an API server that falls silent or refuses."""

import datetime
import signal
import threading
import time
import unittest

from harness import NAMES, Cluster, Daemon, WireTest, pod, wait_for


class Life(WireTest):
    def restart(self, sig=signal.SIGKILL):
        self.daemon.process.stop(sig)
        self.daemon.folder.cleanup()
        self.daemon = Daemon(self.cluster.kubeconfig, args=self.args)

    def ledger(self):
        return [{k: e[k] for k in ("uid", "pod", "node", "state", "requests")} for e in self.daemon.state()["ledger"]]

    def test_a_killed_daemon_rebuilds_its_ledger(self):
        self.cluster.pod("foreign", gpus=3, scheduler="other", nodeName="n2")
        for i in range(6):
            thing = self.cluster.pod(f"p{i}", gpus=2)
            self.assertEqual(self.daemon.bind(thing, self.daemon.placed(thing, NAMES))[1]["Error"], "")
        wait_for(lambda: self.daemon.metric('berth_reservations{state="bound"}') == 7)
        before, nodes = self.ledger(), self.daemon.state()["nodes"]
        between = self.seen(self.cluster.pod("between"))
        where = self.daemon.placed(between, NAMES)
        self.restart()
        self.assertEqual(self.ledger(), before)
        self.assertEqual(self.daemon.state()["nodes"], nodes)
        self.assertEqual(self.daemon.bind(between, where), (200, {"Error": ""}))

    def test_who_was_rejected_before_a_restart_is_woken(self):
        holders = [self.seen(self.cluster.pod(f"h{i}", gpus=8)) for i in range(3)]
        for holder in holders:
            self.assertIsNotNone(self.daemon.placed(holder, NAMES))
        sleeper = self.seen(self.cluster.pod("sleeper", gpus=8, priority=5))
        self.assertIsNone(self.daemon.placed(sleeper, NAMES))
        for holder in holders:
            self.cluster.delete_pod(holder["metadata"]["name"])
        self.daemon.process.stop(signal.SIGKILL)
        self.restart()
        wait_for(lambda: self.wake("sleeper"), 9, "the wake-up")

    def test_sighup_reads_the_policy_again(self):
        before = self.daemon.state()["policy"]
        time.sleep(0.01)
        self.daemon.process.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.daemon.state()["policy"]["loaded"] > before["loaded"], 2, "the reload")
        self.assertEqual(self.daemon.state()["policy"]["hash"], before["hash"])

    def test_volumes_and_claims_are_given_longer(self):
        volume = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        things = [self.cluster.pod("plain"), self.cluster.pod("pvc", volumes=volume),
                  self.cluster.pod("claim", resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}])]
        now = datetime.datetime.now(datetime.timezone.utc)
        left = []
        for thing in things:
            self.daemon.placed(thing, NAMES)
            text = self.daemon.entry(thing)["expires"].replace("Z", "+00:00")
            left.append((datetime.datetime.fromisoformat(text) - now).total_seconds())
        for got, expected in zip(left, (30, 660, 660)):
            self.assertAlmostEqual(got, expected, delta=5)

    def test_a_silent_api_server(self):
        """Red after 15 s, calls answered from the last state, a bind given up before 30 s."""
        known = self.seen(self.cluster.pod("known", gpus=8))
        self.cluster.faults({"rules": [{"method": "GET", "path": "/api/v1/pods", "times": 100, "status": 503},
                                       {"method": "GET", "path": "/api/v1/nodes", "times": 100, "status": 503},
                                       {"method": "GET", "path": "/pods/unseen", "delayMs": 8000},
                                       {"method": "POST", "path": "/binding", "times": 9, "hold": True}],
                             "dropWatches": True})
        began = time.monotonic()
        unseen = self.cluster.pod("unseen")
        ended = []

        def bind():
            ended.extend([self.daemon.bind(unseen, "n0")[1]["Error"], time.monotonic() - began])

        thread = threading.Thread(target=bind)
        thread.start()
        time.sleep(11)
        self.assertEqual(self.daemon.ready()[0], 200)
        wait_for(lambda: self.daemon.ready()[0] == 503, 8, "redness")
        self.assertGreater(time.monotonic() - began, 14)
        self.assertIn("fail pods: watch stale", self.daemon.ready()[1])
        self.assertIn(self.daemon.placed(known, NAMES), NAMES)
        thread.join(30)
        self.assertNotEqual(ended[0], "")
        self.assertLess(ended[1], 29)
        self.cluster.faults({"clear": True, "release": True})
        wait_for(self.daemon.is_ready, 15, "recovery")


class Jobs(unittest.TestCase):
    def test_jobs_that_are_not_there_or_not_allowed_are_done_without(self):
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        cluster.node("n0")
        for status, words in ((403, "not allowed"), (404, "does not have it")):
            cluster.faults({"rules": [{"method": "GET", "path": "/apis/batch/v1/jobs", "status": status}]})
            daemon = Daemon(cluster.kubeconfig)
            try:
                wait_for(lambda: "info jobs: done without" in daemon.ready()[1], what=str(status))
                self.assertIn(words, daemon.ready()[1])
                self.assertEqual(daemon.ready()[0], 200)
                self.assertEqual(daemon.placed(pod("a", uid="u"), ["n0"]), "n0")
            finally:
                self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()
