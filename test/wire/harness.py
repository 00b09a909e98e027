"""Starts the program's own parts on loopback and speaks their HTTP: what the wire tests share."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

SOURCE = os.environ.get("BERTH_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
BERTH = os.environ.get("BERTH_BIN", os.path.join(SOURCE, "build", "berth"))

NAMES = ["n0", "n1", "n2"]  # the nodes of a WireTest

POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools:
- {name: h100, gpu: H100}
- {name: t4, gpu: T4}
classes:
- name: dev
  match: [{namespaces: ["*-dev"]}]
  only: [t4]
  maxGPUsPerPod: 2
- name: batch
fallback: batch
health:
  avoid: [{nodeCondition: GpuUnhealthy, is: "True"}, {taintKey: example.com/gpu-error}]
"""


# Bounds on how long something may take are for a machine that has nothing else to do; where many tests run, all is slower.
PATIENCE = 2


def wait_for(check, seconds=10.0, what="it"):
    """Calls check until it gives something true, which is returned."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what() if callable(what) else what} did not come within {seconds} s")
        time.sleep(0.02)


class Server:
    """One HTTP peer on loopback; a new connection for each call."""

    def __init__(self, port):
        self.port = port

    def call(self, method, path, body=None, headers=None, timeout=40):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        status, text = self.call(method, path, body, headers)
        return status, json.loads(text)


class Process:
    """A subcommand of the program, its stderr kept for the report of a failure."""

    def __init__(self, *args, stdout=subprocess.PIPE):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([BERTH, *args], stdout=stdout, stderr=self.errors, text=True)

    def stop(self, sig=signal.SIGTERM, seconds=30 * PATIENCE):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()
        return code

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")


class Ports:
    """Ports below the range of outgoing connections. Each process of tests has a block of them for itself: a port that is free when it
    is picked still is when a program binds it, and when that is started again."""

    FIRST, LAST, BLOCK = 30000, 32699, 100

    def __init__(self):
        self.claim = self.next = None

    def take(self):
        if self.claim is None:
            self.claim = next(claim for first in range(self.FIRST, self.LAST, self.BLOCK) if (claim := self.bound(first)))
            self.next = 0
        first = self.claim.getsockname()[1]
        for _ in range(1, self.BLOCK):
            self.next = self.next % (self.BLOCK - 1) + 1
            if (sock := self.bound(first + self.next)):
                sock.close()
                return first + self.next
        raise OSError(f"no port is free from {first} on")

    @staticmethod
    def bound(port):
        sock = socket.socket()
        try:
            sock.bind(("127.0.0.1", port))
            sock.listen()
            return sock
        except OSError:
            sock.close()
            return None


free_port = Ports().take


def node(name, gpus=8, product="NVIDIA-H100-80GB-HBM3", memory=81559, labels=None, **more):
    """A v1 Node as a device plugin and GFD leave it."""
    allocatable = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "nvidia.com/gpu.product": product,
                "nvidia.com/gpu.memory": str(memory),
                "nvidia.com/gpu.count": str(gpus),
                "nvidia.com/gpu.replicas": "1",
                **(labels or {}),
            },
        },
        "spec": more.get("spec", {}),
        "status": {
            "capacity": allocatable,
            "allocatable": {**allocatable, **more.get("allocatable", {})},
            "conditions": [{"type": "Ready", "status": "True"}, *more.get("conditions", [])],
        },
    }


def pod(name, gpus=1, namespace="team", uid=None, scheduler="berth", annotations=None, owner=None, **spec):
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {}}
    if gpus:
        resources["requests"]["nvidia.com/gpu"] = resources["limits"]["nvidia.com/gpu"] = str(gpus)
    metadata = {"name": name, "namespace": namespace, "annotations": annotations or {}}
    if uid:
        metadata["uid"] = uid
    if owner:
        metadata["ownerReferences"] = [{
            "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": True}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"schedulerName": scheduler, "containers": [{"name": "main", "image": "x", "resources": resources}], **spec},
    }


class Cluster:
    """The embedded cluster without nodes of its own."""

    def __init__(self, *args):
        self.folder = tempfile.TemporaryDirectory()
        self.kubeconfig = os.path.join(self.folder.name, "kubeconfig")
        self.process = Process("sim", "--nodes", "0", "--kubeconfig-out", self.kubeconfig, *args)
        for line in self.process.process.stdout:
            if line.startswith("listening: "):
                self.port = int(line.rsplit(":", 1)[1])
            if line.strip() == "ready":
                break
        else:
            raise AssertionError("the embedded cluster did not start: " + self.process.stderr())
        self.api = Server(self.port)

    def create(self, kind, thing):
        namespace = thing["metadata"].get("namespace")
        path = f"/api/v1/namespaces/{namespace}/{kind}" if namespace else f"/api/v1/{kind}"
        status, made = self.api.json("POST", path, thing)
        assert status in (200, 201), (status, made)
        return made

    def node(self, *args, **kwargs):
        return self.create("nodes", node(*args, **kwargs))

    def pod(self, *args, **kwargs):
        return self.create("pods", pod(*args, **kwargs))

    def job(self, name, owner=None, namespace="team"):
        """A Job, controlled by an object of the kind `owner`; its UID is what pods name."""
        metadata = {"name": name, "namespace": namespace}
        if owner:
            metadata["ownerReferences"] = [{
                "apiVersion": "batch/v1", "kind": owner, "name": "its-owner", "uid": "its-owner-uid", "controller": True}]
        status, made = self.api.json("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", {
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata})
        assert status == 201, (status, made)
        return made

    def stats(self):
        return self.api.json("GET", "/sim/stats")[1]

    def get_pod(self, name, namespace="team"):
        return self.api.json("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")[1]

    def patch(self, path, patch, kind="application/merge-patch+json"):
        status, made = self.api.json("PATCH", path, patch, {"Content-Type": kind})
        assert status == 200, (status, made)
        return made

    def delete_pod(self, name, namespace="team"):
        self.api.call("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds=0")

    def faults(self, faults):
        status, text = self.api.call("POST", "/sim/faults", faults)
        assert status == 200, (status, text)

    @contextlib.contextmanager
    def unseen(self, path):
        """What is changed inside no watch on the path shows: a list does, afterwards."""
        self.faults({"rules": [{"method": "GET", "path": path, "status": 503, "times": 1000}], "dropWatches": True})
        yield
        self.faults({"clear": True, "compact": True})

    def stop(self):
        self.process.stop()
        self.folder.cleanup()


class Daemon:
    """`berth serve`, called as kube-scheduler calls it."""

    def __init__(self, kubeconfig, policy=POLICY, args=(), wait=True, port=None):
        self.folder = tempfile.TemporaryDirectory()
        self.policy = os.path.join(self.folder.name, "policy.yaml")
        self.write_policy(policy)
        self.port, self.ops_port = port or free_port(), free_port()
        self.process = Process(
            "serve", "--policy", self.policy, "--kubeconfig", kubeconfig,
            "--listen", f"127.0.0.1:{self.port}", "--listen-ops", f"127.0.0.1:{self.ops_port}", *args,
            stdout=subprocess.DEVNULL)
        self.verbs, self.ops = Server(self.port), Server(self.ops_port)
        if wait:
            wait_for(self.is_ready, 20, "readiness")

    def write_policy(self, text):
        with open(self.policy + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.policy + ".new", self.policy)

    def ready(self):
        try:
            status, text = self.ops.call("GET", "/readyz")
            return status, text.decode()
        except OSError:
            assert self.process.process.poll() is None, self.process.stderr()
            return 0, ""

    def is_ready(self):
        return self.ready()[0] == 200

    def filter(self, thing, names):
        return self.verbs.json("POST", "/v1/filter", {"Pod": thing, "Nodes": None, "NodeNames": names})

    def spawn_bind(self, thing, target):
        """A bind in a thread of its own: (thread, list that gets its answer)."""
        result = []
        thread = threading.Thread(target=lambda: result.append(self.bind(thing, target)))
        thread.start()
        return thread, result

    def asked(self, thing, names):
        """What filter answers in the end: kube-scheduler asks again where berth has not read all it needs for the pod."""
        return wait_for(lambda: (found := self.filter(thing, names))[0] != 503 and found, what="an answer of filter")

    def placed(self, thing, names):
        """The one node that filter answers, or None."""
        status, answer = self.asked(thing, names)
        assert status == 200, answer
        return answer["NodeNames"][0] if answer["NodeNames"] else None

    def bind(self, thing, target):
        meta = thing["metadata"]
        return self.verbs.json("POST", "/v1/bind", {
            "PodName": meta["name"], "PodNamespace": meta["namespace"], "PodUID": meta["uid"], "Node": target})

    def state(self):
        return self.ops.json("GET", "/v1/state")[1]

    def entry(self, thing):
        return next((e for e in self.state()["ledger"] if e["uid"] == thing["metadata"]["uid"]), None)

    def explain(self, name, namespace="team"):
        return self.ops.json("GET", f"/v1/explain?pod={namespace}/{name}")

    def metric(self, line):
        """The value of a series, given as it stands in the text."""
        text = self.ops.call("GET", "/metrics")[1].decode()
        found = [l for l in text.splitlines() if l.startswith(line + " ")]
        return float(found[0].rsplit(" ", 1)[1]) if found else None

    def stop(self, sig=signal.SIGTERM):
        code = self.process.stop(sig)
        self.folder.cleanup()
        return code


class WireTest(unittest.TestCase):
    """A cluster and a daemon for each test; `nodes` and `args` are for subclasses."""

    args = ()

    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.nodes()
        self.daemon = Daemon(self.cluster.kubeconfig, args=self.args)
        self.addCleanup(self.stop_daemon)

    def nodes(self):
        for name in NAMES:
            self.cluster.node(name)

    def stop_daemon(self):
        if self.daemon.process.process.poll() is None:
            code = self.daemon.stop()
            if code != 0:
                self.fail(f"the daemon ended with {code}:\n{self.daemon.process.stderr()}")

    def nominated(self, name):
        return self.cluster.get_pod(name).get("status", {}).get("nominatedNodeName")

    def wake(self, name, namespace="team"):
        """The pod's wake-up annotation, or None."""
        return self.cluster.get_pod(name, namespace)["metadata"].get("annotations", {}).get("berth.dev/wake")

    def seen(self, thing):
        """Waits until the daemon's watch has shown the pod."""
        meta = thing["metadata"]
        wait_for(lambda: self.daemon.explain(meta["name"], meta["namespace"])[0] == 200, what="the pod")
        return thing
