"""`berth sim` from outside: the binary of BERTH_BIN (default build/berth), over HTTP."""

import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import unittest

BERTH = os.environ.get("BERTH_BIN", "build/berth")
START_S = 30


class Sim:
    def __init__(self, *args):
        self.process = subprocess.Popen([BERTH, "sim", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = {}
        for line in self.process.stdout:
            key, _, value = line.strip().partition(": ")
            self.lines[key] = value
            if key == "ready":
                break
        else:
            raise RuntimeError(self.process.stderr.read())
        self.port = int(self.lines["listening"].rpartition(":")[2])

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or "null"), answer
        finally:
            connection.close()

    def faults(self, **faults):
        status, body, _ = self.call("POST", "/sim/faults", faults)
        assert status == 200, body

    def watch(self, path):
        """Yields events; ends with the stream."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        try:
            for line in answer:
                yield json.loads(line)
        finally:
            connection.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def pod(name, **spec):
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


class SimTest(unittest.TestCase):
    def setUp(self):
        self.sim = Sim("--nodes", "30", "--pods", "100")

    def tearDown(self):
        self.assertEqual(self.sim.stop(), 0)

    def make(self, name, **spec):
        status, made, _ = self.sim.call("POST", "/api/v1/namespaces/d/pods", pod(name, **spec))
        self.assertEqual(status, 201, made)
        return made

    def test_kubeconfig_leads_here_and_is_private(self):
        path = self.sim.lines["kubeconfig"]
        with open(path) as file:
            self.assertIn(f"server: http://127.0.0.1:{self.sim.port}", file.read())
        self.assertEqual(os.stat(path).st_mode & 0o077, 0)

    def test_pages_hold_every_object_once(self):
        names, path = [], "/api/v1/pods?limit=30"
        token = ""
        while True:
            status, page, _ = self.sim.call("GET", path + (f"&continue={token}" if token else ""))
            self.assertEqual(status, 200)
            self.assertLessEqual(len(page["items"]), 30)
            names += [(p["metadata"]["namespace"], p["metadata"]["name"]) for p in page["items"]]
            token = page["metadata"].get("continue")
            if not token:
                break
        self.assertEqual(len(names), 100)
        self.assertEqual(names, sorted(set(names)))

    def test_synthetic_nodes_look_like_nodes(self):
        _, nodes, _ = self.sim.call("GET", "/api/v1/nodes")
        self.assertEqual(len(nodes["items"]), 30)
        node = nodes["items"][0]
        self.assertGreaterEqual(len(node["metadata"]["labels"]), 28)
        self.assertTrue(40 <= len(node["metadata"]["name"]) <= 50)
        self.assertEqual(node["status"]["allocatable"]["nvidia.com/gpu"], "8")
        self.assertTrue(re.match(r"NVIDIA-[AH]100", node["metadata"]["labels"]["nvidia.com/gpu.product"]))

    def test_a_watch_sees_a_pod_bound_run_and_go(self):
        _, listed, _ = self.sim.call("GET", "/api/v1/namespaces/d/pods")
        rv = listed["metadata"]["resourceVersion"]
        events = self.sim.watch(f"/api/v1/namespaces/d/pods?watch=true&resourceVersion={rv}&timeoutSeconds=8")
        made = self.make("a")
        self.assertEqual(next(events)["type"], "ADDED")
        status, _, _ = self.sim.call("POST", "/api/v1/namespaces/d/pods/a/binding", {
            "metadata": {"name": "a", "uid": made["metadata"]["uid"], "annotations": {"k": "v"}},
            "target": {"kind": "Node", "name": "some"}})
        self.assertEqual(status, 201)
        bound = next(events)["object"]
        self.assertEqual(bound["spec"]["nodeName"], "some")
        self.assertEqual(bound["metadata"]["annotations"], {"k": "v"})
        self.assertEqual(next(events)["object"]["status"]["phase"], "Running")
        status, _, _ = self.sim.call("DELETE", "/api/v1/namespaces/d/pods/a")
        self.assertEqual(status, 200)
        self.assertIn("deletionTimestamp", next(events)["object"]["metadata"])
        gone = next(events)
        self.assertEqual(gone["type"], "DELETED")
        versions = int(gone["object"]["metadata"]["resourceVersion"]), int(made["metadata"]["resourceVersion"])
        self.assertGreater(*versions)
        events.close()

    def test_binding_twice_and_wrong_uid_conflict(self):
        self.make("a")
        path = "/api/v1/namespaces/d/pods/a/binding"
        status, _, _ = self.sim.call("POST", path, {"metadata": {"uid": "x"}, "target": {"name": "n"}})
        self.assertEqual(status, 409)
        status, _, _ = self.sim.call("POST", path, {"target": {"name": "n"}})
        self.assertEqual(status, 201)
        status, answer, _ = self.sim.call("POST", path, {"target": {"name": "n"}})
        self.assertEqual((status, answer["reason"], answer["code"]), (409, "Conflict", 409))

    def test_only_one_of_many_bindings_wins(self):
        self.make("a")
        results = []

        def bind(node):
            results.append(self.sim.call("POST", "/api/v1/namespaces/d/pods/a/binding", {"target": {"name": node}})[0])

        threads = [threading.Thread(target=bind, args=(f"n{i}",)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(results), [201] + [409] * 15)

    def test_faults(self):
        self.sim.faults(rules=[{"method": "GET", "path": "/nodes", "status": 429, "retryAfter": 2},
                               {"path": "/configmaps", "cut": True}, {"path": "/jobs", "delayMs": 300}])
        status, _, answer = self.sim.call("GET", "/api/v1/nodes")
        self.assertEqual((status, answer.getheader("Retry-After")), (429, "2"))
        self.assertEqual(self.sim.call("GET", "/api/v1/nodes")[0], 200)
        with self.assertRaises(http.client.HTTPException):
            self.sim.call("GET", "/api/v1/configmaps")
        begun = time.monotonic()
        self.assertEqual(self.sim.call("GET", "/apis/batch/v1/jobs")[0], 200)
        self.assertGreater(time.monotonic() - begun, 0.28)
        self.assertEqual(self.sim.call("GET", "/sim/stats")[1]["faults"], 3)
        self.assertEqual(self.sim.call("POST", "/sim/faults", {"frobnicate": True})[0], 400)

    def test_compaction_and_dropped_watches(self):
        _, before, _ = self.sim.call("GET", "/api/v1/namespaces/d/pods")
        self.make("a")
        self.sim.faults(compact=True)
        rv = before["metadata"]["resourceVersion"]
        events = list(self.sim.watch(f"/api/v1/pods?watch=true&resourceVersion={rv}"))
        self.assertEqual([(e["type"], e["object"]["code"], e["object"]["reason"]) for e in events], [("ERROR", 410, "Expired")])
        timer = threading.Timer(0.3, self.sim.faults, kwargs={"dropWatches": True})
        timer.start()
        # Reading by lines would take the missing end for an end.
        connection = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=10)
        connection.request("GET", "/api/v1/namespaces/d/pods?watch=true")
        with self.assertRaises(http.client.IncompleteRead):
            connection.getresponse().read()
        connection.close()
        timer.join()

    def test_unknown_is_not_found(self):
        for path in ("/api/v1/secrets", "/apis/resource.k8s.io/v1/resourceslices", "/nothing"):
            status, answer, _ = self.sim.call("GET", path)
            self.assertEqual((status, answer["kind"], answer["reason"]), (404, "Status", "NotFound"))


class OptionsTest(unittest.TestCase):
    def test_token(self):
        sim = Sim("--token", "secret")
        self.assertEqual(sim.call("GET", "/api/v1/nodes")[0], 401)
        self.assertEqual(sim.call("GET", "/api/v1/nodes", headers={"Authorization": "Bearer secret"})[0], 200)
        self.assertEqual(sim.stop(), 0)

    def test_fleet_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("models:\n- {name: x, product: Tesla-T4, family: turing, machine: m, memoryMiB: 15360, compute: \"7.5\", "
                       "gpus: 4, cpu: \"8\", ram: 32Gi}\nracks:\n- {rack: r1, block: b1, model: x, nodes: 3}\n")
            file.flush()
            sim = Sim("--fleet", file.name)
        _, nodes, _ = sim.call("GET", "/api/v1/nodes")
        self.assertEqual([n["metadata"]["name"] for n in nodes["items"]], ["x-r1-01", "x-r1-02", "x-r1-03"])
        self.assertEqual(sim.stop(), 0)
        self.assertFalse(os.path.exists(sim.lines["kubeconfig"]))

    def test_bad_usage(self):
        for args in (["--nodes", "x"], ["--frob"], ["extra"], ["--fleet", "/nonexistent"], ["--listen", "nonsense"]):
            done = subprocess.run([BERTH, "sim", *args], capture_output=True, timeout=START_S)
            self.assertEqual(done.returncode, 2, args)
            self.assertIn(b"berth sim:", done.stderr)


if __name__ == "__main__":
    unittest.main()
