"""Calls to the daemon beside those of the played kube-scheduler: what that one does not ask (preempt, ghosts, whole nodes), what people
and probes ask, and what nobody should send."""

import collections
import http.client
import json
import socket
import struct
import time

from cluster import SYNTHETIC_NODES
from harness import node, pod
from load import YARD, YARD_NODES, pods_on

HUGE_EVERY_S = 15     # a call of 100,000 names
SLOW_MAX = 40         # connections that begin a request and never end it
OVER_BOUND = 64 << 20  # one byte more is refused


class Calls:
    def __init__(self, parties, load):
        self.parties, self.load, self.api, self.chance = parties, load, parties.api(), parties.random("calls")
        self.verbs, self.ops = parties.daemon.verbs, parties.daemon.ops
        self.ghosts = set()  # UIDs of pods that never were
        self.slow, self.silent = collections.deque(), collections.deque()
        self.kinds = {f"call: {name.replace('_', ' ')}": getattr(self, name) for name in (
            "preempt", "bind_and_hang_up", "bind_of_nobody", "filter_of_nobody", "filter_whole_nodes", "filter_100000_names",
            "prioritize", "explain", "explain_of_nobody", "status", "state", "metrics", "ready", "bad_json", "missing_member",
            "bad_names", "over_the_bound", "wrong_path", "wrong_method", "slowloris", "half_a_body", "pipelined")}
        parties.counts.expect(*self.kinds, "call: preempt, granted")
        self.huge_at = 0

    # --- what kube-scheduler asks ---

    def preempt(self):
        """As after a cycle in which nothing fitted: victims on one of the tight nodes, evicted if the daemon agrees."""
        while self.load.urgent:
            thing = self.load.urgent.popleft()
            meta = thing["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
            status, now = self.api.call("GET", path)
            if status == 200 and not now["spec"].get("nodeName") and not now["metadata"].get("deletionTimestamp"):
                self.preempt_for(now, path)
                return True
        return False

    def preempt_for(self, thing, path):
        target = f"tight-{self.chance.randrange(6):03}"
        victims = [p for p in pods_on(self.api, target) if p["spec"].get("priority", 0) < 100][:2]
        answer = self.ask(200, "preempt", {"Pod": thing, "NodeNameToMetaVictims": {target: {
            "Pods": [{"UID": p["metadata"]["uid"]} for p in victims], "NumPDBViolations": 0}}})
        if not answer["NodeNameToMetaVictims"]:
            return
        self.parties.counts.add("call: preempt, granted")
        for victim in victims:
            meta = victim["metadata"]
            self.api.call("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}?gracePeriodSeconds=1")
            self.load.deleted[meta["uid"]] = time.time()
        self.api.patch(path + "/status", {"status": {"nominatedNodeName": target}})

    def ask(self, expected, verb, body):
        status, text = self.verbs.call("POST", f"/v1/{verb}", body)
        assert status == expected, (verb, status, text[:500])
        return json.loads(text)

    def names(self):
        return [f"gpu-worker-h100-{i:05}.cluster-a.region-1.local" for i in range(SYNTHETIC_NODES) if i % 8 != 7]

    def ghost(self):
        thing = pod(f"ghost-{self.chance.randrange(1 << 40)}", uid=f"ghost-{self.chance.randrange(1 << 60)}")
        self.ghosts.add(thing["metadata"]["uid"])
        return thing

    def filter_of_nobody(self):
        """Its room is held until the reservation expires, for a pod that no watch will ever show."""
        self.ask(200, "filter", {"Pod": self.ghost(), "NodeNames": self.chance.sample(self.names(), 50)})

    def filter_100000_names(self):
        if time.monotonic() < self.huge_at:
            return False
        self.huge_at = time.monotonic() + HUGE_EVERY_S
        thing = self.ghost()
        thing["spec"]["nodeSelector"] = {"no": "node"}
        answer = self.ask(200, "filter", {"Pod": thing, "NodeNames": [f"elsewhere-{i:06}" for i in range(100000)]})
        assert len(answer["FailedAndUnresolvableNodes"]) == 100000
        return True

    def filter_whole_nodes(self):
        items = [node(f"whole-{i}", gpus=i) for i in range(8)]
        answer = self.ask(200, "filter", {"Pod": self.ghost(), "Nodes": {"items": items}})
        assert len(answer["Nodes"]["items"]) == 1

    def prioritize(self):
        answer = self.ask(200, "prioritize", {"Pod": self.ghost(), "NodeNames": self.names()})
        assert len(answer) == len(self.names())

    def bind_of_nobody(self):
        answer = self.ask(200, "bind", {"PodName": "nobody", "PodNamespace": "team", "PodUID": "nobody-uid", "Node": "yard-000"})
        assert answer["Error"]

    def bind_and_hang_up(self):
        """The Binding is slow, and its caller goes while the call is parked: every other time with a reset."""
        name = f"left-{self.chance.randrange(1 << 40)}"
        self.api.call("POST", "/sim/faults", {"rules": [
            {"method": "POST", "path": f"/pods/{name}/binding", "delayMs": 700}]})
        status, thing = self.api.call("POST", "/api/v1/namespaces/team/pods", pod(name, nodeSelector=YARD))
        assert status in (201, 409), thing
        self.load.live.append(("team", name, thing["metadata"].get("uid", "")))
        targets = self.ask(200, "filter", {"Pod": thing, "NodeNames": [f"yard-{i:03}" for i in range(YARD_NODES)]})["NodeNames"]
        if not targets:
            return False
        body = json.dumps({"PodName": name, "PodNamespace": "team", "PodUID": thing["metadata"]["uid"], "Node": targets[0]})
        with socket.create_connection(("127.0.0.1", self.verbs.port)) as s:
            s.sendall(f"POST /v1/bind HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            time.sleep(0.1)
            if self.chance.random() < 0.5:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return True

    # --- what people and probes ask ---

    def get(self, path, *statuses):
        status, text = self.ops.call("GET", path)
        assert status in statuses, (path, status, text[:500])
        return text

    def explain(self):
        if not self.load.known:
            return False
        space, name, _ = self.chance.choice(list(self.load.known))
        self.get(f"/v1/explain?pod={space}/{name}", 200, 404)
        return True

    def explain_of_nobody(self):
        self.get("/v1/explain?pod=no/body", 404)

    def status(self):
        json.loads(self.get("/v1/status", 200))

    def state(self):
        json.loads(self.get("/v1/state", 200))

    def metrics(self):
        text = self.get("/metrics", 200).decode()
        self.load.pending = float(text.split('berth_pods{state="pending"} ')[1].split()[0])

    def ready(self):
        self.get("/readyz", 200, 503)
        self.get("/healthz", 200)

    # --- what nobody should send ---

    def bad_json(self):
        verb = self.chance.choice(("filter", "prioritize", "preempt", "bind"))
        whole = json.dumps({"Pod": self.ghost(), "NodeNames": ["yard-000"], "PodUID": "u"}).encode()
        for body in (b"", b"[]", b"{" * 5000, whole[:self.chance.randrange(1, len(whole))], whole + b"}", b"\xff\xfe" + whole):
            self.ask(400, verb, body)

    def missing_member(self):
        self.ask(400, "filter", {"Pod": self.ghost(), "Nodes": None, "NodeNames": None})
        self.ask(400, "filter", {"NodeNames": ["yard-000"]})
        self.ask(400, "bind", {"PodName": "p"})
        self.ask(400, "preempt", {"Pod": self.ghost()})

    def bad_names(self):
        thing = self.ghost()
        for name in ("../../nodes", "a\x00b", "", "x" * 300):
            thing["metadata"]["name"] = name
            self.ask(400, "filter", {"Pod": thing, "NodeNames": ["yard-000"]})

    def over_the_bound(self):
        for headers in ({"Content-Length": str(OVER_BOUND + 1)}, {"Content-Length": str(1 << 40)}):
            connection = http.client.HTTPConnection("127.0.0.1", self.verbs.port, timeout=40)
            connection.putrequest("POST", "/v1/filter")
            for key, value in headers.items():
                connection.putheader(key, value)
            connection.endheaders()
            status = connection.getresponse().status
            connection.close()
            assert status == 413, status

    def wrong_path(self):
        assert self.verbs.call("POST", "/v2/filter", {})[0] == 404
        assert self.ops.call("GET", "/v1/secrets")[0] == 404

    def wrong_method(self):
        assert self.verbs.call("GET", "/v1/filter")[0] == 405
        assert self.ops.call("DELETE", "/v1/state")[0] == 405

    def slowloris(self):
        """Requests that begin and go on no more: to end them is up to the daemon."""
        for port in (self.verbs.port, self.ops.port):
            for beginning in (b"P", b"POST /v1/filter HTTP/1.1\r\nHost: x\r\nX-Slow: ",
                              b"POST /v1/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{\"Pod\":"):
                s = socket.create_connection(("127.0.0.1", port))
                s.sendall(beginning)
                (self.silent if beginning == b"P" else self.slow).append(s)
        while len(self.slow) > SLOW_MAX:
            self.slow.popleft().close()
        while len(self.silent) > SLOW_MAX:
            self.silent.popleft().close()

    def close_silent(self):
        """Before its first line is whole, a request is an idle connection, which may stay for minutes."""
        while self.silent:
            self.silent.popleft().close()

    def close(self):
        while self.slow:
            self.slow.popleft().close()

    def half_a_body(self):
        with socket.create_connection(("127.0.0.1", self.verbs.port)) as s:
            s.sendall(b"POST /v1/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b" " * 200000)
            if self.chance.random() < 0.5:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def pipelined(self):
        with socket.create_connection(("127.0.0.1", self.ops.port), timeout=20) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
            got = b""
            while got.count(b"ok\n") < 5:
                piece = s.recv(65536)
                assert piece, got
                got += piece

    def run(self):
        queue = []
        while not self.parties.stop_load.wait(0.05):
            if not queue:
                queue = self.chance.sample(list(self.kinds), len(self.kinds))
            kind = queue.pop()
            if self.kinds[kind]() is not False:
                self.parties.counts.add(kind)
            self.metrics()
