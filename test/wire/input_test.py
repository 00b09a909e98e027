"""What no scheduler should send to `berth serve`, and what a very large one does: each has its answer, and the calls behind it are served as ever."""

import http.client
import json
import socket
import unittest

from harness import NAMES, WireTest, node, pod, wait_for

BODY_MAX = 64 << 20
VERBS = ("/v1/filter", "/v1/prioritize", "/v1/bind", "/v1/preempt")


def object_once(pairs):
    """For json.loads: a key that stands twice in an object is an error."""
    made = dict(pairs)
    assert len(made) == len(pairs), "a key stands twice"
    return made


class Input(WireTest):
    def setUp(self):
        super().setUp()
        self.thing = self.seen(self.cluster.pod("a", gpus=4))
        self.text = json.dumps(self.thing).encode()

    def tearDown(self):
        """Still there, with nothing reserved by what was refused, and of use."""
        self.assertEqual(self.daemon.state()["ledger"], [])
        self.assertIn(self.daemon.placed(self.thing, NAMES), NAMES)

    def post(self, path, body):
        status, text = self.daemon.verbs.call("POST", path, body)
        return status, json.loads(text, object_pairs_hook=object_once)

    def refused(self, path, body, words):
        status, answer = self.post(path, body)
        self.assertEqual((status, list(answer)), (400, ["error"]), body[:200])
        self.assertIn(words, answer["error"], body[:200])

    def filtered(self, names):
        return self.post("/v1/filter", b'{"Pod":%s,"NodeNames":%s}' % (self.text, names))

    def test_bodies_over_the_bound(self):
        for path in VERBS:
            self.assertEqual(self.announced(path), (413, {"error": "the body is too large"}))
        self.assertEqual(self.in_chunks("/v1/filter"), (413, {"error": "the body is too large"}))

    def announced(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=20)
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(BODY_MAX + 1))
        connection.endheaders(b'{"Pod":')
        answer = connection.getresponse()
        self.addCleanup(connection.close)
        return answer.status, json.loads(answer.read())

    def in_chunks(self, path):
        chunk = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=20) as s:
            s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode())
            for _ in range(65):
                s.sendall(chunk)
            text = b""
            while not text.endswith(b"}"):
                text += s.recv(65536) or b"}"
        head, body = text.split(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def test_bad_json(self):
        whole = {
            "/v1/filter": b'{"Pod":%s,"NodeNames":["n0"]}' % self.text,
            "/v1/prioritize": b'{"Pod":%s,"NodeNames":["n0"]}' % self.text,
            "/v1/preempt": b'{"Pod":%s,"NodeNameToMetaVictims":{"n0":{"Pods":[{"UID":"u"}]}}}' % self.text,
            "/v1/bind": b'{"PodName":"a","PodNamespace":"team","PodUID":"u","Node":"n0"}',
        }
        for path, body in whole.items():
            for bad in (b"", b"{", body[:-1], body[:len(body) // 2], body + b"}", body + body, b"\xef\xbb\xbf" + body,
                        body.replace(b'":', b'"', 1), b"[" * 100000, b'{"a":' * 100000, b'{"Pod":' + b"[" * 300 + b"]" * 300 + b"}"):
                self.refused(path, bad, "bad JSON at byte ")
            for other in (b"null", b"[]", b'"x"', b"1"):
                self.refused(path, other, "not a JSON object")
            self.refused(path, b"{}", "is missing")

    def test_bytes_that_no_name_has(self):
        for name, words in ((rb'"n0\u0000"', "has a NUL"), (rb'"\u0000"', "has a NUL"), (b'"n\x000"', "control character"),
                            (b'"n\xff"', "not UTF-8"), (b'"\xc0\x80"', "not UTF-8"), (b'"\xed\xa0\x80"', "not UTF-8"),
                            (b'"\xf4\x90\x80\x80"', "not UTF-8"), (b'"n\n0"', "control character"), (b"7", "not a string")):
            for path in ("/v1/filter", "/v1/prioritize"):
                self.refused(path, b'{"Pod":%s,"NodeNames":["n1",%s]}' % (self.text, name), words)
            for member in ("PodName", "PodNamespace", "PodUID", "Node"):
                call = {"PodName": "a", "PodNamespace": "team", "PodUID": "u", "Node": "n0", member: "@"}
                self.refused("/v1/bind", json.dumps(call).encode().replace(b'"@"', name), words)
            if name != b"7":
                self.refused("/v1/preempt", b'{"Pod":%s,"NodeNameToMetaVictims":{%s:{"Pods":[]}}}' % (self.text, name), words)
        for bad, words in ((pod("a\0b", uid="u"), "has a NUL"), (pod("a", uid="u\0"), "has a NUL"),
                           (pod("a", namespace="te\0am", uid="u"), "has a NUL"), (pod("é", uid="u"), "name or namespace is none")):
            self.refused("/v1/filter", json.dumps({"Pod": bad, "NodeNames": NAMES}).encode(), words)
        for items in ([node("n\0")], [node("n"), node("n\0")]):
            self.refused("/v1/filter", json.dumps({"Pod": self.thing, "Nodes": {"items": items}}).encode(), "node: no metadata.name")
        # Elsewhere in a pod it may stand, and stands: no list or call is lost for it.
        odd = {**self.thing, "metadata": {**self.thing["metadata"], "annotations": {"a\0b": "\0"}}}
        self.assertEqual(self.daemon.filter(odd, ["nowhere"])[0], 200)
        # No node has such a name, but it is one: it comes back as it went.
        for name in ("é", "\ufffd", "😀", "a b", '"', "\\", "../n0", "", "x" * 100000):
            status, answer = self.filtered(json.dumps([name]).encode())
            self.assertEqual((status, answer["FailedAndUnresolvableNodes"]), (200, {name: "node not yet seen by berth"}))

    def test_of_duplicate_keys_the_last_counts(self):
        status, answer = self.post("/v1/filter", b'{"Pod":7,"NodeNames":["n0"],"Pod":%s,"NodeNames":["n2"],"NodeNames":["x"]}' % self.text)
        self.assertEqual((status, list(answer["FailedAndUnresolvableNodes"])), (200, ["x"]))
        self.refused("/v1/filter", b'{"Pod":%s,"NodeNames":["n0"],"Pod":null}' % self.text, "Pod is missing")
        self.refused("/v1/filter", b'{"Pod":%s,"NodeNames":["n0"],"NodeNames":null}' % self.text, "both missing")
        self.refused("/v1/bind", b'{"PodName":"a","PodNamespace":"team","PodUID":"u","Node":"n0","Node":""}', "Node is empty")

    def test_a_name_that_repeats_is_answered_once(self):
        full = self.seen(self.cluster.pod("full", gpus=99))
        held = [{"Pod": full, "NodeNames": names} for names in (
            ["n1", "n0", "n1", "n1"], ["x", "n0", "x", "y", "n0", "x"], ["n\u0031", "n1"])]
        for call in held:
            status, answer = self.post("/v1/filter", json.dumps(call).encode())
            names = list(dict.fromkeys(call["NodeNames"]))
            self.assertEqual((status, answer["NodeNames"], list(answer["FailedAndUnresolvableNodes"])), (200, [], names))
            status, scores = self.post("/v1/prioritize", json.dumps(call).encode())
            self.assertEqual((status, [score["Host"] for score in scores]), (200, names))
        # Whole Nodes of one name: the first counts.
        twice = [node("t", gpus=2), node("u", gpus=1), node("t", gpus=8)]
        whole = json.dumps({"Pod": self.thing, "Nodes": {"items": twice}}).encode()
        status, answer = self.post("/v1/filter", whole)
        self.assertEqual((status, answer["Nodes"]["items"], list(answer["FailedAndUnresolvableNodes"])), (200, [], ["t", "u"]))
        status, scores = self.post("/v1/prioritize", whole)
        self.assertEqual([score["Host"] for score in scores], ["t", "u"])
        # In advise mode, where all that fit are answered, and for a pod that is bound already.
        soft = {"topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}]}
        spread = self.seen(self.cluster.pod("spread", **soft))
        self.assertEqual(self.daemon.filter(spread, ["n2", "n0", "n2", "n0"])[1]["NodeNames"], ["n2", "n0"])
        bound = self.cluster.pod("bound")
        self.assertEqual(self.daemon.bind(bound, "n0")[1]["Error"], "")
        status, answer = self.post("/v1/filter", json.dumps({"Pod": bound, "NodeNames": ["n1", "n1"]}).encode())
        self.assertEqual((status, list(answer["FailedAndUnresolvableNodes"])), (200, ["n1"]))
        self.cluster.delete_pod("bound")
        wait_for(lambda: self.daemon.state()["ledger"] == [])

    def test_a_hundred_thousand_names(self):
        names = [f"gpu-node-{i:06d}.fleet.example" for i in range(100000)]
        status, answer = self.filtered(json.dumps(names).encode())
        self.assertEqual((status, answer["NodeNames"]), (200, []))
        self.assertEqual(list(answer["FailedAndUnresolvableNodes"]), names)
        self.assertEqual(set(answer["FailedAndUnresolvableNodes"].values()), {"node not yet seen by berth"})
        status, scores = self.post("/v1/prioritize", json.dumps({"Pod": self.thing, "NodeNames": names + ["n1"]}).encode())
        self.assertEqual((status, len(scores), scores[-1]), (200, 100001, {"Host": "n1", "Score": 10}))
        status, answer = self.filtered(json.dumps(names[:50000] + ["n1"] + names[50000:]).encode())
        self.assertEqual((status, answer["NodeNames"], answer["FailedAndUnresolvableNodes"]), (200, ["n1"], None))
        self.cluster.delete_pod("a")
        wait_for(lambda: self.daemon.state()["ledger"] == [])


class Names(WireTest):
    def nodes(self):
        pass

    def test_names_that_pods_make_up_hide_no_node_s(self):
        """A node that comes after a tenant's pods of 4,160 resources that nobody has is known by all that it has."""
        for i in range(65):
            thing = pod(f"x{i}", gpus=0, scheduler="default-scheduler", namespace="tenant")
            requests = thing["spec"]["containers"][0]["resources"]["requests"]
            requests.update({f"x.io/r{i}-{k}": "1" for k in range(64)})
            self.cluster.create("pods", thing)
        self.seen(self.cluster.pod("after", gpus=0))
        self.cluster.node("n0", allocatable={"example.com/new-gpu": "4"})
        wait_for(lambda: self.daemon.state()["nodes"], what="the node")
        thing = self.seen(self.cluster.pod("p"))
        self.assertEqual(self.daemon.placed(thing, ["n0"]), "n0")
        other = pod("q", gpus=0)
        other["spec"]["containers"][0]["resources"]["requests"]["example.com/new-gpu"] = "1"
        other = self.seen(self.cluster.create("pods", other))
        self.assertEqual(self.daemon.placed(other, ["n0"]), "n0")


if __name__ == "__main__":
    unittest.main()
