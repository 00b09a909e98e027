"""`berth release`: the gate taken away by hand, without a daemon."""

import os
import subprocess
import tempfile
import unittest

from fakeapi import kubeconfig
from harness import BERTH, Cluster, free_port, pod

OURS, OTHER = {"name": "berth.dev/plan"}, {"name": "example.com/hold"}


def release(config, *args):
    done = subprocess.run([BERTH, "release", "--kubeconfig", config, *args], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.splitlines(), done.stderr


def gates(cluster, name, namespace="team"):
    return [g["name"] for g in cluster.get_pod(name, namespace)["spec"].get("schedulingGates") or []]


class Release(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)

    def test_takes_its_own_gate_and_no_other(self):
        self.cluster.pod("ours", schedulingGates=[OURS])
        self.cluster.pod("both", schedulingGates=[OTHER, OURS])
        self.cluster.pod("foreign", schedulingGates=[OTHER])
        self.cluster.pod("free")
        self.cluster.pod("elsewhere", namespace="other", schedulingGates=[OURS])
        would = ["team/both would be released, still behind example.com/hold", "team/ours would be released"]
        self.assertEqual(release(self.cluster.kubeconfig, "-n", "team", "--dry-run")[:2], (1, would))
        self.assertEqual(gates(self.cluster, "ours"), ["berth.dev/plan"])
        code, lines, said = release(self.cluster.kubeconfig, "-n", "team")
        self.assertEqual((code, sorted(lines)), (0, [line.replace("would be released", "released") for line in would]), said)
        self.assertEqual(gates(self.cluster, "ours"), [])
        self.assertEqual(gates(self.cluster, "both"), ["example.com/hold"])
        self.assertEqual(gates(self.cluster, "foreign"), ["example.com/hold"])
        self.assertEqual(gates(self.cluster, "elsewhere", "other"), ["berth.dev/plan"])
        self.assertEqual(release(self.cluster.kubeconfig)[:2], (0, []))
        self.assertEqual(release(self.cluster.kubeconfig, "-A")[:2], (0, ["other/elsewhere released"]))
        self.assertEqual(release(self.cluster.kubeconfig, "-A")[:2], (0, []))

    def test_what_the_pod_waited_for_goes_with_the_gate(self):
        self.cluster.pod("a", schedulingGates=[OURS], annotations={"berth.dev/waiting": "gang team/g: 1 of 2", "mine": "stays"})
        self.assertEqual(release(self.cluster.kubeconfig, "-A")[:2], (0, ["team/a released"]))
        self.assertEqual(self.cluster.get_pod("a")["metadata"]["annotations"], {"mine": "stays"})

    def suspended(self, name, mark):
        self.cluster.job(name)
        self.cluster.patch(f"/apis/batch/v1/namespaces/team/jobs/{name}", {
            "metadata": {"labels": {"berth.dev/suspended-by": mark}}, "spec": {"suspend": True}})

    def job(self, name):
        made = self.cluster.api.json("GET", f"/apis/batch/v1/namespaces/team/jobs/{name}")[1]
        return made["spec"]["suspend"], made["metadata"].get("labels", {}).get("berth.dev/suspended-by")

    def test_resumes_what_berth_suspended_and_nothing_else(self):
        self.suspended("moved", "move-1-1")
        self.suspended("undone", "berth")
        self.suspended("hers", "alice")
        self.cluster.job("running")
        would = ["Job team/moved would be resumed", "Job team/undone would be resumed"]
        code, lines, said = release(self.cluster.kubeconfig, "-n", "team", "--dry-run")
        self.assertEqual((code, sorted(lines)), (1, would), said)
        self.assertEqual(self.job("moved"), (True, "move-1-1"))
        self.assertEqual(release(self.cluster.kubeconfig, "-n", "other")[:2], (0, []))
        code, lines, said = release(self.cluster.kubeconfig, "-A")
        self.assertEqual((code, sorted(lines)), (0, [line.replace("would be ", "") for line in would]), said)
        self.assertIn("2 of 2 objects resumed", said)
        self.assertEqual([self.job(n) for n in ("moved", "undone")], [(False, None)] * 2)
        self.assertEqual(self.job("hers"), (True, "alice"))

    def test_says_which_objects_it_could_not_resume(self):
        self.suspended("moved", "move-1-1")
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "jobs/moved", "times": 9, "status": 403}]})
        code, lines, said = release(self.cluster.kubeconfig, "-A")
        self.assertEqual((code, lines), (1, []))
        self.assertIn("Job team/moved: HTTP 403", said)

    def test_goes_through_all_pages_while_writes_fail_for_a_moment(self):
        for i in range(1200):
            self.cluster.pod(f"p{i:04}", schedulingGates=[OURS])
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/pods/p0", "times": 20, "status": 500}]})
        code, lines, said = release(self.cluster.kubeconfig, "-A")
        self.assertEqual((code, len(lines)), (0, 1200), said)
        self.assertEqual(release(self.cluster.kubeconfig, "-A", "--dry-run")[:2], (0, []))

    def test_says_which_pods_it_could_not_release(self):
        self.cluster.pod("a", schedulingGates=[OURS])
        self.cluster.pod("b", schedulingGates=[OURS])
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/pods/a", "times": 1, "status": 403}]})
        code, lines, said = release(self.cluster.kubeconfig, "-A")
        self.assertEqual((code, lines), (1, ["team/b released"]), said)
        self.assertIn("berth release: team/a: HTTP 403", said)
        self.assertIn("1 of 2 pods released", said)

    def test_says_that_it_may_not_list(self):
        self.cluster.faults({"rules": [{"method": "GET", "path": "/pods", "times": 9, "status": 403}]})
        code, lines, said = release(self.cluster.kubeconfig, "-A")
        self.assertEqual((code, lines), (1, []))
        self.assertIn("not allowed (HTTP 403)", said)


class Usage(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.config = os.path.join(self.folder.name, "kubeconfig")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(kubeconfig(f"http://127.0.0.1:{free_port()}"))

    def test_bad_usage(self):
        for args in ["-A", "-n", "team"], ["pods"], ["-n", "no/name"], ["--kubeconfig", "/does/not/exist"], ["--what"]:
            code, lines, said = release(self.config, *args)
            self.assertEqual((code, lines), (2, []), args)
            self.assertIn("berth", said)

    def test_help(self):
        code, lines, _ = release(self.config, "--help")
        self.assertEqual((code, lines[0].split()[:3]), (0, ["usage:", "berth", "release"]))

    def test_an_api_server_that_is_not_there(self):
        code, lines, said = release(self.config, "-A")
        self.assertEqual((code, lines), (3, []))
        self.assertIn("the pods cannot be listed", said)


if __name__ == "__main__":
    unittest.main()
