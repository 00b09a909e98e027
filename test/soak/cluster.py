"""The parties of the soak: the embedded cluster with its played kube-scheduler, `berth serve`, and a proxy on each road to the
daemon. What they need of each other's ports is fixed before any of them starts."""

import http.client
import json
import os
import random
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "wire"))
from harness import Cluster, Daemon, Server, free_port  # noqa: E402

SYNTHETIC_NODES = 760  # the cluster's own; load.py makes the others up to 1,000
TTL_S = 10             # of reservations

POLICY = """\
# revision {revision}
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
topology:
- {{level: block, nodeLabel: fabric.topograph.run/tier-1}}
- {{level: rack, nodeLabel: fabric.topograph.run/tier-0}}
pools:
- {{name: h100, gpu: H100}}
- {{name: a100, gpu: A100}}
- {{name: l4, gpu: L4}}
classes:
- {{name: asks, match: [{{namespaces: [asks]}}], mode: advise}}
- {{name: urgent, mayPreempt: [batch]}}
- name: dev
  match: [{{namespaces: ["*-dev"]}}]
  only: [l4]
  maxGPUsPerPod: {most}
- name: batch
  prefer: [{prefer}]
fallback: batch
health:
  avoid: [{{nodeCondition: GpuUnhealthy, is: "True"}}, {{taintKey: example.com/gpu-error}}]
"""


def policy(revision=0):
    return POLICY.format(revision=revision, most=2 + revision % 3, prefer=("h100, a100", "a100, h100")[revision % 2])


class Counts:
    """How often each kind of thing was done; a kind that is named and stays at 0 fails the soak."""

    def __init__(self):
        self.lock = threading.Lock()
        self.by_kind = {}

    def expect(self, *kinds):
        for kind in kinds:
            self.by_kind.setdefault(kind, 0)

    def add(self, kind, number=1):
        with self.lock:
            self.by_kind[kind] = self.by_kind.get(kind, 0) + number

    def missing(self):
        return sorted(kind for kind, number in self.by_kind.items() if not number)


class Api:
    """A client of the cluster with one kept connection, for one thread. It takes part in no fault but those of the server itself:
    what such a one answers is tried again."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def call(self, method, path, body=None, kind="application/json"):
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(20):
            try:
                if not self.connection:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.connection.request(method, path, data, {"Content-Type": kind})
                answer = self.connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                self.connection.close()
                self.connection = None
                if attempt == 19:
                    raise
                continue
            if b"injected fault" not in text:
                return answer.status, json.loads(text)
        return answer.status, json.loads(text)

    def patch(self, path, body):
        return self.call("PATCH", path, body, "application/merge-patch+json")


class Parties:
    def __init__(self, seed, log_level="info"):
        self.seed = seed
        self.verbs_port, api_port = free_port(), free_port()
        self.proxy = subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "proxy.py"), f"api={api_port}",
             f"verbs={self.verbs_port}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.proxy_lock = threading.Lock()
        roads = dict(self.proxy.stdout.readline().strip().split("=") for _ in range(2))
        self.proxy_ports = {name: int(port) for name, port in roads.items()}
        self.cluster = Cluster("--nodes", str(SYNTHETIC_NODES), "--listen", f"127.0.0.1:{api_port}",
                               "--drive", f"http://127.0.0.1:{roads['verbs']}/v1")
        with open(self.cluster.kubeconfig, encoding="utf-8") as f:
            text = f.read()
        self.kubeconfig = os.path.join(self.cluster.folder.name, "through-the-proxy")
        with open(self.kubeconfig, "w", encoding="utf-8") as f:
            f.write(text.replace(f":{api_port}", f":{roads['api']}"))
        self.daemon = self.start_daemon(self.kubeconfig, self.verbs_port, log_level)
        self.verbs = Server(self.verbs_port)
        self.counts = Counts()
        self.stop_load = threading.Event()

    def start_daemon(self, kubeconfig, port=None, log_level="info"):
        return Daemon(kubeconfig, policy=policy(), port=port, args=(
            "--reservation-ttl", f"{TTL_S}s", "--reservation-ttl-volumes", f"{2 * TTL_S}s", "--log-level", log_level))

    @property
    def pid(self):
        return self.daemon.process.process.pid

    def api(self):
        return Api(self.cluster.port)

    def random(self, who):
        return random.Random(f"{self.seed}/{who}")

    def disturb(self, *words):
        """A command of the proxy: the number of connections that it met."""
        with self.proxy_lock:
            self.proxy.stdin.write(" ".join(map(str, words)) + "\n")
            self.proxy.stdin.flush()
            return int(self.proxy.stdout.readline())

    def stop(self):
        """The daemon's exit code and its log."""
        try:
            code = self.daemon.process.stop()
            log = self.daemon.process.stderr()
            self.daemon.folder.cleanup()
        finally:
            self.proxy.terminate()
            self.proxy.wait()
            self.proxy.stdin.close()
            self.proxy.stdout.close()
            self.cluster.stop()
        return code, log
