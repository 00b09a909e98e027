"""The client's side of `berth serve`: credentials, TLS, lists, watches and Bindings against an API server that misbehaves."""

import datetime
import json
import os
import re
import signal
import socket
import ssl
import tempfile
import threading
import time
import unittest
from base64 import b64encode
from unittest import mock

from fakeapi import FakeApi, kubeconfig
from harness import BERTH, PATIENCE, SOURCE, Daemon, node, pod, wait_for

CERTIFICATES = os.path.join(SOURCE, "test", "unit", "http", "certificates.h")
CLOCKSTEP = os.path.join(os.path.dirname(os.path.abspath(BERTH)), "test", "clockstep.so")
PLUGIN = "client.authentication.k8s.io/v1"


def pem(name):
    """One of the unit tests' certificates; the server's is for api.test."""
    with open(CERTIFICATES, encoding="utf-8") as f:
        text = re.search(rf"{name}\[\] =(.*?);", f.read(), re.S).group(1)
    return "".join(re.findall(r'"(.*?)"', text)).replace("\\n", "\n")


def encoded(name):
    return b64encode(pem(name).encode()).decode()


class ClientTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.daemon = None

    def api_with(self, nodes=2, **kwargs):
        self.api = FakeApi(**kwargs)
        self.addCleanup(self.api.stop)
        for i in range(nodes):
            self.api.put("nodes", node(f"n{i}", gpus=200, allocatable={"cpu": "500", "pods": "500"}))
        return self.api

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)
        return path

    def serve(self, cluster=None, user=None, wait=True):
        """The daemon with a kubeconfig whose server is the API server, in `folder`."""
        scheme = "https" if self.api.tls else "http"
        server = f"{scheme}://127.0.0.1:{self.api.port}{self.api.prefix}/"
        self.daemon = Daemon(self.file("config", kubeconfig(server, cluster, user)), wait=wait)
        self.addCleanup(self.end)
        return self.daemon

    def end(self):
        if self.daemon.process.process.poll() is not None:
            return
        began = time.monotonic()
        code = self.daemon.stop(signal.SIGTERM)
        self.assertEqual(code, 0, self.daemon.process.stderr())
        self.assertLess(time.monotonic() - began, 10 * PATIENCE)

    def red(self, text, seconds=5):
        """Not ready, and says why."""
        wait_for(lambda: self.daemon.ready()[0] == 503 and text in self.daemon.ready()[1], seconds, text)

    def has_node(self, name, seconds=5):
        wait_for(lambda: name in [n["name"] for n in self.daemon.state()["nodes"]], seconds, name)

    def lists(self, kind):
        return [call for call in self.api.seen if call[1] == "GET" and call[2].endswith(kind) and "watch" not in call[3]]


class Credentials(ClientTest):
    def test_a_token_file_is_followed(self):
        self.api_with().token = "first"
        self.serve(user={"tokenFile": "token"}, wait=False)
        self.red("token: No such file")
        self.assertEqual(self.api.seen, [], "nothing is asked without a token")
        self.file("token", "stale")
        self.red("HTTP 401")
        self.file("token", "first\n")
        wait_for(self.daemon.is_ready, 12, "the first token")
        self.api.token = "second"
        self.file("token", "second")
        self.api.end_watches()
        self.api.put("nodes", node("late"))
        self.has_node("late")

    def plugin(self, status):
        """A plugin that says this, and notes its runs."""
        runs = os.path.join(self.folder, "runs")
        self.file("runs", "")
        self.file("plugin", f"""#!/bin/sh
echo run >> {runs}
expires=$(date -u -d "{status['seconds']} seconds" +%Y-%m-%dT%H:%M:%SZ)
echo '{{"apiVersion":"{PLUGIN}","kind":"ExecCredential","status":{{"token":"{status['token']}","expirationTimestamp":"'$expires'"}}}}'
""", 0o700)
        user = {"exec": {"apiVersion": PLUGIN, "command": "./plugin", "args": None, "env": None, "interactiveMode": "Never"}}

        def count():
            with open(runs, encoding="utf-8") as f:
                return len(f.readlines())

        return user, count

    def test_a_plugin_is_run_again_before_its_credential_expires(self):
        self.api_with(bookmark_s=0.2).token = "good"
        user, runs = self.plugin({"token": "good", "seconds": 4})
        self.serve(user=user)
        end = time.monotonic() + 6
        while time.monotonic() < end:
            self.api.end_watches()
            time.sleep(0.1)
            self.assertTrue(self.daemon.is_ready())
        self.assertGreater(runs(), 1)
        self.assertLess(runs(), 7)

    def test_a_plugin_that_gives_nothing_good_is_not_run_all_the_time(self):
        self.api_with().token = "good"
        for status, reason in (({"token": "good", "seconds": -60}, "expired already"), ({"token": "bad", "seconds": 600}, "401")):
            with self.subTest(reason):
                user, runs = self.plugin(status)
                self.serve(user=user, wait=False)
                self.red(reason)
                time.sleep(2)
                self.assertLess(runs(), 5)
                self.red(reason)
                self.end()


    def test_the_wall_clock_may_jump(self):
        """Neither what is reserved, nor contact, nor credentials hang on it, though a plugin's credential ends by it."""
        environment = mock.patch.dict(os.environ, {
            "LD_PRELOAD": CLOCKSTEP, "CLOCKSTEP": self.file("step", "0"),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"})
        environment.start()
        self.addCleanup(environment.stop)
        self.api_with(bookmark_s=0.2).token = "good"
        user, runs = self.plugin({"token": "good", "seconds": 600})
        self.serve(user=user)
        held = self.api.put("pods", pod("held", uid="uh"))
        wait_for(lambda: self.daemon.explain("held")[0] == 200)
        self.assertEqual(self.daemon.placed(held, ["n0"]), "n0")
        for i, step in enumerate((86400, -86400, 0)):
            with self.subTest(step):
                self.file("step", str(step))
                expires = datetime.datetime.fromisoformat(self.daemon.entry(held)["expires"].replace("Z", "+00:00"))
                self.assertAlmostEqual(expires.timestamp() - time.time(), step + 30, delta=20)
                end = time.monotonic() + 2
                while time.monotonic() < end:
                    self.assertTrue(self.daemon.is_ready())
                    time.sleep(0.1)
                self.api.end_watches()
                self.api.put("nodes", node(f"late{i}"))
                self.has_node(f"late{i}")
                self.assertEqual(self.daemon.entry(held)["node"], "n0")
                thing = self.api.put("pods", pod(f"b{i}", uid=f"ub{i}"))
                wait_for(lambda: self.daemon.explain(f"b{i}")[0] == 200)
                self.assertEqual(self.daemon.placed(thing, ["n1"]), "n1")
                self.assertEqual(self.daemon.bind(thing, "n1"), (200, {"Error": ""}))
        self.assertIn(runs(), (2, 3), "again when its time was over by a day, and at most once more")


class Transport(ClientTest):
    def tls(self, clients=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self.file("server.crt", pem("server_cert_pem")), self.file("server.key", pem("server_key_pem")))
        context.set_alpn_protocols(["h2", "http/1.1"])  # it speaks only the second: who offers the first gets no answer
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=pem("authority_pem") + pem("renewed_client_cert_pem"))
        self.api_with(tls=context, prefix="/clusters/one")

    def test_the_server_must_be_the_one_that_was_meant(self):
        self.tls()
        name = {"tls-server-name": "api.test"}
        for cluster, reason in (
                ({**name, "certificate-authority-data": encoded("other_authority_pem")}, "certificate"),
                ({"certificate-authority-data": encoded("authority_pem")}, "does not match|no alternative|127.0.0.1"),
                (name, "certificate")):
            with self.subTest(reason):
                self.serve(cluster, wait=False)
                wait_for(lambda: re.search(reason, self.daemon.ready()[1]), 5, reason)
                self.assertEqual(self.daemon.ready()[0], 503)
                self.end()
        self.assertEqual(self.api.seen, [])
        self.serve({**name, "certificate-authority-data": encoded("authority_pem")})
        self.end()
        self.serve({"insecure-skip-tls-verify": True})

    def test_a_client_certificate_beside_the_kubeconfig(self):
        self.tls(clients=True)
        self.file("ca.crt", pem("authority_pem"))
        self.file("client.crt", pem("client_cert_pem"))
        self.serve({"tls-server-name": "api.test", "certificate-authority": "ca.crt"},
                   {"client-certificate": "client.crt", "client-key-data": encoded("client_key_pem")})

    def plugin_gives(self, name):
        """From its next run on the plugin says this certificate."""
        self.file("credential.json", json.dumps({"apiVersion": PLUGIN, "kind": "ExecCredential", "status": {
            "clientCertificateData": pem(name + "_cert_pem"), "clientKeyData": pem(name + "_key_pem")}}))

    def test_a_plugin_s_new_certificate_is_used_and_calls_under_the_old_one_end_well(self):
        self.tls(clients=True)
        self.plugin_gives("client")
        plugin = {"apiVersion": PLUGIN, "command": "cat", "args": [os.path.join(self.folder, "credential.json")],
                  "env": None, "interactiveMode": "Never"}
        refused, callers, binding, held = set(), [], [], threading.Event()
        self.addCleanup(held.set)

        def hook(handler, method, path, _query, _body):
            caller = handler.connection.getpeercert()["subject"][0][0][1]
            callers.append((method, caller))
            if caller in refused:
                return self.api.refuse(handler, 401, "Unauthorized")
            if method == "POST" and path.endswith("/binding"):
                binding.append(path)
                held.wait(20)
            return False

        self.api.hook = hook
        self.serve({"tls-server-name": "api.test", "certificate-authority-data": encoded("authority_pem")}, {"exec": plugin})
        things = [self.api.put("pods", pod(f"b{i}", uid=f"ub{i}")) for i in range(2)]
        wait_for(lambda: self.daemon.explain("b1")[0] == 200)
        calls = [self.daemon.spawn_bind(things[0], self.daemon.placed(things[0], ["n0"]))]
        wait_for(lambda: binding, 5, "the Binding under the old certificate")
        self.assertEqual({caller for _, caller in callers}, {"client"})
        self.plugin_gives("renewed_client")
        refused.add("client")
        self.api.end_watches()
        self.api.put("nodes", node("late"))
        self.has_node("late")
        calls.append(self.daemon.spawn_bind(things[1], self.daemon.placed(things[1], ["n0"])))
        wait_for(lambda: len(binding) == 2, 5, "the Binding under the new certificate")
        self.assertEqual([caller for method, caller in callers if method == "POST"], ["client", "renewed client"])
        held.set()
        for thread, said in calls:
            thread.join()
            self.assertEqual(said, [(200, {"Error": ""})])
        self.assertEqual(len(binding), 2, "what was under way was not sent again")


class Lists(ClientTest):
    def test_first_lists_that_fail(self):
        """How each is told by /readyz; berth is not ready before one has come whole, and then is."""
        cases = {
            "half an answer": (self.half, "closed"),
            "bad JSON": (lambda handler: self.api.say(handler, 200, b'{"items":[{"metadata":'), "a list page is no JSON"),
            "401": (lambda handler: self.api.refuse(handler, 401, "who are you"), "HTTP 401: who are you"),
            "403": (lambda handler: self.api.refuse(handler, 403, "nodes is forbidden"), "HTTP 403: nodes is forbidden"),
            "404": (lambda handler: self.api.refuse(handler, 404, "no such thing"), "HTTP 404: no such thing"),
            "410": (lambda handler: self.api.refuse(handler, 410, "too old"), "HTTP 410: too old"),
            "429": (lambda handler: self.api.refuse(handler, 429, "busy", {"Retry-After": "1"}), "HTTP 429: busy"),
            "500": (lambda handler: self.api.refuse(handler, 500, "oh"), "HTTP 500: oh"),
            "no Status": (lambda handler: self.api.say(handler, 503, b"<html>"), "HTTP 503"),
        }
        for name, (answer, words) in cases.items():
            with self.subTest(name):
                failing = [True]
                self.api_with()
                self.api.hook = lambda handler, _method, path, _query, _body: bool(
                    failing and path.endswith("nodes") and answer(handler))
                self.serve(wait=False)
                wait_for(lambda: re.search("fail nodes: .*(" + words + ")", self.daemon.ready()[1]), 5, words)
                self.assertEqual(self.daemon.ready()[0], 503)
                self.assertEqual(self.daemon.filter(pod("a", uid="u"), ["n0"])[0], 503)
                self.assertLess(len(self.lists("nodes")), 12, "no list after list")
                failing.clear()
                wait_for(self.daemon.is_ready, 12, "readiness")
                self.assertEqual(self.daemon.placed(pod("a", uid="u"), ["n0"]), "n0")
                self.end()
                self.api.stop()

    def half(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"kind":"NodeList","items":[')
        handler.wfile.flush()
        return self.api.cut(handler)

    def test_a_server_that_goes_and_comes_back(self):
        self.api_with(nodes=3)
        self.serve()
        thing = self.api.put("pods", pod("a", uid="ua"))
        wait_for(lambda: self.daemon.explain("a")[0] == 200)
        self.api.stop()
        self.assertEqual(self.daemon.placed(thing, ["n1"]), "n1", "the last state is as good as any")
        thread, said = self.daemon.spawn_bind(thing, "n1")
        with self.api.lock:
            del self.api.objects["nodes"][None, "n2"]
        self.api.put("nodes", node("n3"))
        time.sleep(1)
        self.assertEqual(self.daemon.ready()[0], 200, "red only after 15 s")
        self.assertEqual(said, [])
        self.api.start(self.api.port)
        self.has_node("n3", 15)
        thread.join()
        self.assertEqual(said, [(200, {"Error": ""})])
        self.assertEqual(len(self.api.calls("POST", "/binding")), 1)
        self.assertEqual(self.api.objects["pods"]["team", "a"]["spec"]["nodeName"], "n1")


class Watches(ClientTest):
    def once(self, kind, answer):
        """The next watch of this kind is answered so, and all watches end to be opened anew."""
        left = [True]

        def hook(handler, _method, path, query, _body):
            if "watch" not in query or not path.endswith(kind) or not left:
                return False
            left.clear()
            return answer(handler)

        self.api.hook = hook
        again = [0.0]

        def seen():
            if left and time.monotonic() >= again[0]:
                self.api.end_watches()  # one that is just being opened ends the next time
                again[0] = time.monotonic() + 1
            return not left

        wait_for(seen, 5, "the watch")

    def text(self, text):
        def answer(handler):
            self.api.begin_watch(handler)
            self.api.chunk(handler, text)
            handler.wfile.write(b"0\r\n\r\n")
            return True

        return answer

    def test_pages_and_split_events(self):
        self.api_with(nodes=5)
        self.api.page_max, self.api.split = 2, 1
        self.api.put("pods", pod("odd", uid="odd", gpus=0, nodeName="n1", annotations={"nul": "\0", "half": "\ud800"}))
        failed = []

        def hook(handler, _method, path, query, _body):
            if path.endswith("nodes") and "continue" in query and not failed:
                failed.append(query)
                return self.api.refuse(handler, 410, "The provided continue parameter is too old")
            return False

        self.api.hook = hook
        self.serve()
        self.assertEqual(len(self.daemon.state()["nodes"]), 5)
        self.assertEqual(len(failed), 1)
        for i in range(20):
            self.api.put("pods", pod(f"é{i}", uid=f"u{i}", gpus=0, nodeName="n0", annotations={"nul": "\0"}))
        wait_for(lambda: len(self.daemon.state()["ledger"]) == 21)

    def test_watches_that_end_badly(self):
        self.api_with()
        self.serve()
        for i, (text, relists) in enumerate((
                (b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n', True),
                (b'{"type":"ERROR","object":{"kind":"Status","code":500}}\n', True),
                (b'{"type":"ADDED","object":{"metadata":{"name":"half"', False))):
            with self.subTest(text):
                before = len(self.lists("nodes"))
                self.once("nodes", self.text(text))
                self.api.put("nodes", node(f"late{i}"))
                self.has_node(f"late{i}")
                self.assertEqual(len(self.lists("nodes")) > before, relists)
        self.assertNotIn("half", [n["name"] for n in self.daemon.state()["nodes"]])

    def test_watches_that_are_refused(self):
        """With each the watch goes on where it was, or a list says what there is."""
        self.api_with()
        self.serve()
        for i, (status, relists) in enumerate(((500, False), (503, False), (403, True), (410, True))):
            with self.subTest(status):
                before = len(self.lists("nodes"))
                self.once("nodes", lambda handler: self.api.refuse(handler, status))
                self.api.put("nodes", node(f"late{i}"))
                self.has_node(f"late{i}")
                self.assertEqual(len(self.lists("nodes")) > before, relists)
                self.assertEqual(self.daemon.ready()[0], 200)

    def test_a_busy_server_is_left_alone(self):
        self.api_with()
        self.serve()
        at = []
        self.once("nodes", lambda handler: at.append(time.monotonic()) or self.api.refuse(handler, 429, "busy", {"Retry-After": "1"}))
        self.api.put("nodes", node("late"))
        self.has_node("late")
        self.assertGreater(time.monotonic() - at[0], 0.9)
        self.assertEqual(len(self.lists("nodes")), 1)

    def test_a_slow_relist_empties_nothing(self):
        self.api_with(nodes=6)
        self.api.page_max = 2
        self.serve()
        with self.api.lock:
            del self.api.objects["nodes"][None, "n5"]
        self.once("nodes", lambda handler: self.api.refuse(handler, 410, "gone"))

        def slow(_handler, _method, _path, query, _body):
            if "limit" in query:
                time.sleep(0.3)
            return False

        self.api.hook = slow
        counts = set()
        wait_for(lambda: counts.add(len(self.daemon.state()["nodes"])) or 5 in counts, 5, "the relist")
        self.assertLessEqual(counts, {5, 6})


class Bindings(ClientTest):
    def ready_pods(self, count):
        self.api_with()
        self.serve()
        pods = [self.api.put("pods", pod(f"b{i}", uid=f"ub{i}")) for i in range(count)]
        wait_for(lambda: self.daemon.explain(f"b{count - 1}")[0] == 200)
        for thing in pods:
            self.assertEqual(self.daemon.placed(thing, ["n0"]), "n0")
        return pods

    def on_post(self, answer):
        def hook(handler, method, path, _query, body):
            return answer(handler, path, body) if method == "POST" and path.endswith("/binding") else False

        self.api.hook = hook

    def test_the_end_of_a_binding_is_certain(self):
        """What the server did and said, the Bindings sent, whether the call succeeds."""
        api = self.api_with()

        def elsewhere(handler, path, _body):
            api.objects["pods"]["team", path.split("/")[6]]["spec"]["nodeName"] = "n1"
            return api.refuse(handler, 409)

        def first(answer):
            met = set()

            def once(handler, path, body):
                if path in met:
                    return False
                met.add(path)
                return answer(handler, path, body)

            return once

        cases = {
            "cut before": (first(lambda handler, *_: api.cut(handler)), 2, True),
            "cut after": (lambda handler, path, body: api.bind(path, body) and api.cut(handler), 1, True),
            "500 after": (lambda handler, path, body: api.bind(path, body) and api.refuse(handler, 500), 1, True),
            "429 once": (first(lambda handler, *_: api.refuse(handler, 429, "busy", {"Retry-After": "1"})), 2, True),
            "409 here": (lambda handler, path, body: api.bind(path, body) and api.refuse(handler, 409), 1, True),
            "409 elsewhere": (elsewhere, 1, False),
            "409 unbound": (lambda handler, *_: api.refuse(handler, 409), 1, False),
            "403": (lambda handler, *_: api.refuse(handler, 403), 1, False),
        }
        self.serve()
        for i, (name, (answer, posts, bound)) in enumerate(cases.items()):
            with self.subTest(name):
                thing = api.put("pods", pod(f"b{i}", uid=f"ub{i}"))
                wait_for(lambda: self.daemon.explain(f"b{i}")[0] == 200)
                self.assertEqual(self.daemon.placed(thing, ["n0"]), "n0")
                self.on_post(answer)
                status, said = self.daemon.bind(thing, "n0")
                self.assertEqual((status, not said["Error"]), (200, bound), said)
                calls = [c[1] for c in api.seen if f"/pods/b{i}" in c[2] and c[1] in ("GET", "POST")]
                self.assertEqual(calls.count("POST"), posts)
                self.assertNotIn(("POST", "POST"), list(zip(calls, calls[1:])), "sent again without a look")

    def test_writes_go_through_a_window(self):
        pods = self.ready_pods(150)
        held = threading.Event()
        self.addCleanup(held.set)
        self.on_post(lambda *_: not held.wait(60))
        calls = [self.daemon.spawn_bind(thing, "n0") for thing in pods]
        wait_for(lambda: self.api.writes_now == 64, what="a full window")
        time.sleep(0.3)
        held.set()
        for thread, _ in calls:
            thread.join()
        self.assertEqual({said[0][0] for _, said in calls} | {said[0][1]["Error"] for _, said in calls}, {200, ""})
        self.assertEqual(len(self.api.calls("POST", "/binding")), 150)
        self.assertEqual(self.api.writes_most, 64)

    def test_sigterm_with_all_kinds_of_connections(self):
        pods = self.ready_pods(30)
        self.on_post(lambda *_: time.sleep(5))
        calls = [self.daemon.spawn_bind(thing, "n0") for thing in pods]
        wait_for(lambda: self.api.writes_now == 30, 5, "the Bindings")
        whole = b"GET /v1/filter HTTP/1.1\r\nHost: x\r\n\r\n"
        body = b"POST /v1/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n{"
        kinds = [b"", whole, whole[:20], body, body[:-1], whole + body, whole * 30]
        sockets = []
        for i in range(140):
            port = self.daemon.port if i % 3 else self.daemon.ops_port
            sockets.append(socket.create_connection(("127.0.0.1", port)))
            sockets[-1].sendall(kinds[i % len(kinds)])
        self.end()
        for thread, said in calls:
            thread.join()
            self.assertEqual(said[0][0], 200)
            self.assertTrue(said[0][1]["Error"])
        for s in sockets:
            s.close()


if __name__ == "__main__":
    unittest.main()
