"""First sync, resident memory and watch events per second of `berth serve`. usage: state_run.py BERTH POLICY [ROUNDS]"""

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

NODES, PODS, EVENTS = 10000, 100000, 20000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def await_(check, seconds, what):
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise SystemExit(f"bench/state: {what} did not come within {seconds} s")
        time.sleep(0.01)


class Cluster:
    def __init__(self, berth):
        self.process = subprocess.Popen(
            [berth, "sim", "--nodes", str(NODES), "--pods", str(PODS)], stdout=subprocess.PIPE, text=True)
        said = dict(line.strip().split(": ", 1) for line in iter(self.process.stdout.readline, "ready\n"))
        self.kubeconfig, self.port = said["kubeconfig"], int(said["listening"].rsplit(":", 1)[1])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port)

    def call(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/merge-patch+json"})
        answer = self.connection.getresponse()
        return json.loads(answer.read())


def status_kib(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith(name + ":")).split()[1])


def events_per_second(cluster, serve, ops):
    """The daemon stands still while pods change; then the time until it has seen the last of the changes."""
    pods = cluster.call("GET", "/api/v1/pods?limit=500")["items"]
    serve.send_signal(signal.SIGSTOP)
    for i in range(EVENTS):
        meta = pods[i % len(pods)]["metadata"]
        cluster.call("PATCH", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}",
                     {"metadata": {"annotations": {"example.com/change": str(i)}}})
    marker = {"metadata": {"name": "last", "namespace": "bench"},
              "spec": {"schedulerName": "berth", "containers": [{"name": "c", "image": "x"}]}}
    cluster.call("POST", "/api/v1/namespaces/bench/pods", marker)
    began = time.monotonic()
    serve.send_signal(signal.SIGCONT)
    await_(lambda: ask(ops, "/v1/explain?pod=bench/last")[0] == 200, 60, "the last event")
    took = time.monotonic() - began
    cluster.call("DELETE", "/api/v1/namespaces/bench/pods/last")
    return (EVENTS + 1) / took


def measure(berth, policy, cluster):
    ops = free_port()
    log = tempfile.TemporaryFile()
    began = time.monotonic()
    serve = subprocess.Popen(
        [berth, "serve", "--policy", policy, "--kubeconfig", cluster.kubeconfig, "--listen", f"127.0.0.1:{free_port()}",
         "--listen-ops", f"127.0.0.1:{ops}"], stderr=log)
    try:
        await_(lambda: ask(ops, "/readyz")[0] == 200, 60, "readiness")
        sync = time.monotonic() - began
        time.sleep(1)
        rss, peak = status_kib(serve.pid, "VmRSS") / 1024, status_kib(serve.pid, "VmHWM") / 1024
        return sync, rss, peak, events_per_second(cluster, serve, ops)
    finally:
        serve.send_signal(signal.SIGTERM)
        serve.wait(20)


def main():
    berth, policy = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    cluster = Cluster(berth)
    try:
        runs = [measure(berth, policy, cluster) for _ in range(rounds)]
    finally:
        cluster.process.send_signal(signal.SIGTERM)
        cluster.process.wait(20)
        if os.path.exists(cluster.kubeconfig):
            os.unlink(cluster.kubeconfig)
    print(f"{NODES} nodes, {PODS} pods; {rounds} runs, medians last\n  sync s   RSS MiB  peak MiB  events/s")
    medians = [statistics.median(column) for column in zip(*runs)]
    for run in [*runs, medians]:
        print("{:8.2f} {:9.1f} {:9.1f} {:9.0f}".format(*run))
    for name, value, unit in zip(("sync_s", "rss_mib", "events_per_s"), (medians[0], medians[1], medians[3]), ("s", "MiB", "1/s")):
        print(f"RESULT state_{name} {value:.2f} {unit}")


main()
