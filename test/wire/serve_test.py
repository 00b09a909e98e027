"""`berth serve` against the embedded cluster, called as kube-scheduler calls it: the verbs, the ops listener, the start."""

import http.client
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import BERTH, NAMES, Cluster, Daemon, WireTest, free_port, node, pod, wait_for


class Filter(WireTest):
    def test_answers_one_node_and_reserves_it(self):
        thing = self.seen(self.cluster.pod("a", gpus=4))
        status, answer = self.daemon.filter(thing, NAMES)
        self.assertEqual(status, 200)
        self.assertEqual(len(answer["NodeNames"]), 1)
        self.assertFalse(answer["Error"])
        self.assertFalse(answer["FailedNodes"])
        self.assertFalse(answer["FailedAndUnresolvableNodes"])
        entry = self.daemon.entry(thing)
        self.assertEqual((entry["node"], entry["state"]), (answer["NodeNames"][0], "assumed"))
        self.assertEqual(entry["requests"]["nvidia.com/gpu"], 4)
        self.assertIsNotNone(entry["expires"])

    def test_limits_alone_are_requests(self):
        thing = pod("limited", gpus=0)
        thing["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "4"}}
        thing = self.cluster.create("pods", thing)
        self.assertIn(self.daemon.placed(thing, NAMES), NAMES)
        self.assertEqual(self.daemon.entry(thing)["requests"]["nvidia.com/gpu"], 4)

    def test_is_idempotent_and_plans_again_among_other_names(self):
        thing = self.seen(self.cluster.pod("a", gpus=4))
        first = self.daemon.placed(thing, NAMES)
        self.assertEqual(self.daemon.placed(thing, NAMES[::-1]), first)
        others = [n for n in NAMES if n != first]
        self.assertIn(self.daemon.placed(thing, others), others)
        self.assertEqual(len(self.daemon.state()["ledger"]), 1)

    def test_packs_and_never_promises_a_gpu_twice(self):
        used = {}
        for i in range(12):
            where = self.daemon.placed(self.cluster.pod(f"p{i}", gpus=2), NAMES)
            used[where] = used.get(where, 0) + 2
        self.assertEqual(used, {"n0": 8, "n1": 8, "n2": 8})
        status, answer = self.daemon.filter(self.cluster.pod("late", gpus=2), NAMES)
        self.assertEqual(status, 200)
        self.assertFalse(answer["NodeNames"])
        self.assertFalse(answer["FailedNodes"])
        self.assertEqual(answer["FailedAndUnresolvableNodes"], {n: "not enough free GPUs" for n in NAMES})

    def test_a_pod_the_watch_has_not_shown_is_planned_from_the_body(self):
        thing = pod("ghost", gpus=1, uid="ghost-uid")
        self.assertIn(self.daemon.placed(thing, NAMES), NAMES)

    def test_unknown_names_are_refused_with_a_text(self):
        status, answer = self.daemon.filter(self.cluster.pod("a"), ["nowhere"])
        self.assertEqual((status, answer["FailedAndUnresolvableNodes"]), (200, {"nowhere": "node not yet seen by berth"}))
        self.assertEqual(self.daemon.placed(self.cluster.pod("b"), ["nowhere", "n1"]), "n1")

    def test_empty_list_is_an_empty_answer(self):
        status, answer = self.daemon.filter(self.cluster.pod("a"), [])
        self.assertEqual(status, 200)
        self.assertFalse(answer["NodeNames"])
        self.assertFalse(answer["FailedAndUnresolvableNodes"])

    def test_class_rules(self):
        self.cluster.node("t4-0", product="Tesla-T4", memory=15360, gpus=4)
        wait_for(lambda: len(self.daemon.state()["nodes"]) == 4)
        dev = self.cluster.pod("d", gpus=1, namespace="a-dev")
        self.assertEqual(self.daemon.placed(dev, NAMES + ["t4-0"]), "t4-0")
        many = self.cluster.pod("many", gpus=3, namespace="a-dev")
        _, answer = self.daemon.filter(many, NAMES + ["t4-0"])
        self.assertEqual(set(answer["FailedAndUnresolvableNodes"].values()),
                         {"the pod asks for more GPUs than its class allows a pod"})
        wait_for(lambda: any(w["code"] == "TooManyGPUs" for w in self.daemon.state()["waiting"]))
        large = self.cluster.pod("mem", annotations={"berth.dev/gpu-memory": "20Gi"})
        self.assertNotEqual(self.daemon.placed(large, NAMES + ["t4-0"]), "t4-0")
        unknown = self.cluster.pod("odd", annotations={"berth.dev/class": "no-such"})
        _, answer = self.daemon.filter(unknown, NAMES)
        self.assertEqual(set(answer["FailedAndUnresolvableNodes"].values()),
                         {"the pod names a class that the policy does not have"})

    def test_whole_nodes_are_judged_without_side_effects(self):
        thing = self.seen(self.cluster.pod("a", gpus=4))
        sent = [node("template-0", gpus=2), node("template-1", gpus=8)]
        status, answer = self.daemon.verbs.json(
            "POST", "/v1/filter", {"Pod": thing, "Nodes": {"items": sent}, "NodeNames": None})
        self.assertEqual(status, 200)
        self.assertEqual([n["metadata"]["name"] for n in answer["Nodes"]["items"]], ["template-1"])
        self.assertEqual(self.daemon.state()["ledger"], [])
        self.assertEqual(len(self.daemon.state()["nodes"]), 3)

    def test_foreign_pods_count_until_they_are_gone(self):
        for i in range(3):
            self.cluster.pod(f"f{i}", gpus=7, scheduler="default-scheduler", nodeName=f"n{i}")
        wait_for(lambda: len(self.daemon.state()["ledger"]) == 3)
        thing = self.cluster.pod("a", gpus=2)
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.assertIsNotNone(self.daemon.placed(self.cluster.pod("b", gpus=1), NAMES))


class Prioritize(WireTest):
    def test_agrees_with_filter_and_reserves_nothing(self):
        thing = self.seen(self.cluster.pod("a", gpus=4))
        chosen = self.daemon.placed(thing, NAMES)
        status, scores = self.daemon.verbs.json(
            "POST", "/v1/prioritize", {"Pod": thing, "Nodes": None, "NodeNames": NAMES})
        self.assertEqual(status, 200)
        self.assertEqual([s["Host"] for s in scores if s["Score"] == 10], [chosen])
        other = self.seen(self.cluster.pod("b", gpus=4))
        self.daemon.verbs.json("POST", "/v1/prioritize", {"Pod": other, "Nodes": None, "NodeNames": NAMES})
        self.assertIsNone(self.daemon.entry(other))


class Bind(WireTest):
    def bound(self, name):
        return self.cluster.get_pod(name)["spec"].get("nodeName")

    def test_posts_the_binding_with_its_annotation(self):
        thing = self.seen(self.cluster.pod("a", gpus=4))
        where = self.daemon.placed(thing, NAMES)
        self.assertEqual(self.daemon.bind(thing, where), (200, {"Error": ""}))
        got = self.cluster.get_pod("a")
        self.assertEqual(got["spec"]["nodeName"], where)
        self.assertIn('"class":"batch"', got["metadata"]["annotations"]["berth.dev/decision"])
        wait_for(lambda: self.daemon.entry(thing)["state"] == "bound")
        self.assertIsNone(self.daemon.entry(thing)["expires"])
        self.assertEqual(self.daemon.bind(thing, where)[1]["Error"], "")
        other = next(n for n in NAMES if n != where)
        self.assertNotEqual(self.daemon.bind(thing, other)[1]["Error"], "")

    def test_of_an_unknown_pod_is_judged_on_the_given_node(self):
        thing = self.cluster.pod("a", gpus=4)
        self.assertEqual(self.daemon.bind(thing, "n2"), (200, {"Error": ""}))
        self.assertEqual(self.bound("a"), "n2")
        full = self.cluster.pod("b", gpus=8)
        self.assertEqual(self.daemon.bind(full, "n2")[1]["Error"], "not enough free GPUs")
        self.assertIsNone(self.bound("b"))

    def test_of_a_replaced_or_deleted_pod_fails(self):
        thing = self.seen(self.cluster.pod("a"))
        stale = {"metadata": {**thing["metadata"], "uid": "another"}}
        self.assertNotEqual(self.daemon.bind(stale, "n0")[1]["Error"], "")
        self.cluster.delete_pod("a")
        self.assertNotEqual(self.daemon.bind(thing, "n0")[1]["Error"], "")
        wait_for(lambda: self.daemon.state()["ledger"] == [], what="an empty ledger")

    def test_survives_the_api_servers_faults(self):
        for i, fault in enumerate([{"status": 429, "retryAfter": 1}, {"status": 500}, {"cut": True}, {"status": 503}]):
            thing = self.seen(self.cluster.pod(f"p{i}"))
            where = self.daemon.placed(thing, NAMES)
            self.cluster.faults({"rules": [{"method": "POST", "path": "/binding", "times": 1, **fault}]})
            self.assertEqual(self.daemon.bind(thing, where)[1]["Error"], "", fault)
            self.assertEqual(self.bound(f"p{i}"), where)

    def test_a_refusal_keeps_the_reservation(self):
        thing = self.seen(self.cluster.pod("a"))
        where = self.daemon.placed(thing, NAMES)
        self.cluster.faults({"rules": [{"method": "POST", "path": "/binding", "times": 1, "status": 409}]})
        self.assertNotEqual(self.daemon.bind(thing, where)[1]["Error"], "")
        entry = self.daemon.entry(thing)
        self.assertEqual((entry["state"], entry["node"]), ("assumed", where))
        self.assertEqual(self.daemon.bind(thing, where)[1]["Error"], "")

    def test_a_hundred_are_parked_at_once(self):
        things = [self.cluster.pod(f"p{i}", gpus=0) for i in range(100)]
        self.cluster.faults({"rules": [{"method": "POST", "path": "/binding", "times": 100, "delayMs": 1500}]})
        answers = {}

        def bind(thing, where):
            answers[thing["metadata"]["name"]] = self.daemon.bind(thing, where)[1]["Error"]

        threads = [threading.Thread(target=bind, args=(t, NAMES[i % 3])) for i, t in enumerate(things)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(self.daemon.state()["ledger"]) >= 50, what="parked binds")
        self.assertEqual(self.daemon.ops.call("GET", "/healthz")[0], 200)
        for thread in threads:
            thread.join()
        self.assertEqual(set(answers.values()), {""})

    def test_sigterm_answers_what_is_parked(self):
        thing = self.seen(self.cluster.pod("a"))
        where = self.daemon.placed(thing, NAMES)
        self.cluster.faults({"rules": [{"method": "POST", "path": "/binding", "times": 1, "delayMs": 5000}]})
        result = []
        thread = threading.Thread(target=lambda: result.append(self.daemon.bind(thing, where)))
        thread.start()
        wait_for(lambda: self.daemon.entry(thing)["expires"] is None, what="the parked bind")
        self.assertEqual(self.daemon.stop(), 0, self.daemon.process.stderr())
        thread.join()
        self.assertEqual(result[0], (200, {"Error": "berth is stopping"}))


class Ops(WireTest):
    def test_answers(self):
        thing = self.seen(self.cluster.pod("a", gpus=4))
        self.assertEqual(self.daemon.ops.call("GET", "/healthz")[0], 200)
        self.assertIn("ok   nodes", self.daemon.ready()[1])
        status, explained = self.daemon.explain("a")
        self.assertEqual((status, explained["code"], explained["class"]), (200, "Fits", "batch"))
        self.assertIn(explained["best"]["node"], NAMES)
        self.assertEqual(self.daemon.explain("nobody")[0], 404)
        self.assertEqual(self.daemon.ops.call("GET", "/v1/explain")[0], 400)
        self.daemon.placed(thing, NAMES)
        self.assertEqual(self.daemon.metric('berth_reservations{state="assumed"}'), 1)
        self.assertEqual(self.daemon.metric('berth_gpus{pool="h100",state="free"}'), 20)
        self.assertEqual(self.daemon.metric('berth_decisions_total{result="placed",code="Fits"}'), 1)
        self.assertGreaterEqual(self.daemon.metric("berth_filter_duration_seconds_count"), 1)

    def test_bad_calls(self):
        verbs = self.daemon.verbs
        self.assertEqual(verbs.call("POST", "/v1/nothing", {})[0], 404)
        self.assertEqual(verbs.call("GET", "/v1/filter")[0], 405)
        for body in (b"{", b"[]", b'{"Pod":{}}', b'{"Pod":null,"NodeNames":[]}', b'{"Pod":{"metadata":{"name":"x"}},"NodeNames":["a"]}'):
            status, text = verbs.call("POST", "/v1/filter", body)
            self.assertEqual(status, 400, body)
            self.assertIn(b'"error"', text)
        self.assertEqual(verbs.call("POST", "/v1/bind", b'{"PodName":"x"}')[0], 400)
        status, answer = verbs.json("POST", "/v1/preempt", {"Pod": pod("a", uid="u"), "NodeNameToMetaVictims": {"n0": {"Pods": [{"UID": "v"}]}}})
        self.assertEqual((status, answer), (200, {"NodeNameToMetaVictims": {}}))


class Everywhere(unittest.TestCase):
    def setUp(self):
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        self.port = free_port()
        daemon = Daemon(cluster.kubeconfig, args=("--listen-ops", f":{self.port}"), wait=False)  # after the harness's own
        self.addCleanup(daemon.stop)

    def is_ready(self, host):
        try:
            connection = http.client.HTTPConnection(host, self.port, timeout=10)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def test_no_address_is_all_of_both_families(self):
        wait_for(lambda: self.is_ready("127.0.0.1"), what="an answer")
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            return  # the machine has only one
        self.assertTrue(self.is_ready("::1"))


class Start(unittest.TestCase):
    def run_serve(self, *args):
        return subprocess.run([BERTH, "serve", *args], capture_output=True, text=True, timeout=20)

    def test_waits_for_an_api_server_that_is_not_there(self):
        cluster = Cluster()
        port = cluster.port
        cluster.process.stop(signal.SIGKILL)
        daemon = Daemon(cluster.kubeconfig, wait=False)
        try:
            wait_for(lambda: daemon.ready()[0] == 503)
            self.assertIn("first list", daemon.ready()[1])
            self.assertEqual(daemon.filter(pod("a", uid="u"), ["n"])[0], 503)
            again = Cluster("--listen", f"127.0.0.1:{port}")
            try:
                wait_for(daemon.is_ready, 20, "readiness")
            finally:
                self.assertEqual(daemon.stop(), 0)
                again.stop()
        finally:
            cluster.folder.cleanup()

    def test_bad_usage_and_files(self):
        self.assertEqual(self.run_serve().returncode, 2)
        self.assertEqual(self.run_serve("--policy", "/nonexistent", "--kubeconfig", "/nonexistent").returncode, 2)
        self.assertEqual(self.run_serve("--policy", "x", "--reservation-ttl", "soon").returncode, 2)
        self.assertEqual(self.run_serve("--help").returncode, 0)
        cluster = Cluster()
        try:
            daemon = Daemon(cluster.kubeconfig, policy="apiVersion: berth.dev/v1alpha1\nkind: PlacementPolicy\nclases: []\n", wait=False)
            self.assertEqual(daemon.process.process.wait(20), 2)
            self.assertIn("policy.yaml:3:1: error", daemon.process.stderr())
            self.assertIn('Did you mean "classes"?', daemon.process.stderr())
            daemon.folder.cleanup()
        finally:
            cluster.stop()

    def test_top_level(self):
        run = lambda *a: subprocess.run([BERTH, *a], capture_output=True, text=True, timeout=20)
        self.assertEqual(run("--version").returncode, 0)
        self.assertEqual(run("--help").returncode, 0)
        self.assertEqual(run("nothing").returncode, 2)
        self.assertEqual(run().returncode, 2)

    def test_each_subcommand_tells_of_itself_and_of_bad_options(self):
        run = lambda *a: subprocess.run([BERTH, *a], capture_output=True, text=True, timeout=20)
        listed = [line.split()[0] for line in run("--help").stdout.splitlines() if line.startswith("  ") and not line.startswith("  --")]
        self.assertGreater(len(listed), 10)
        for name in listed:
            with self.subTest(name):
                told = run(name, "--help")
                self.assertEqual((told.returncode, told.stderr), (0, ""))
                self.assertIn(f"berth {name}", told.stdout)
                bad = run(name, "--no-such-option")
                self.assertEqual((bad.returncode, bad.stdout), (2, ""))
                self.assertTrue(bad.stderr.startswith(f"berth {name}: unrecognized option '--no-such-option'\n"), bad.stderr)
                if "-o, --output" in told.stdout:
                    self.assertEqual(run(name, "-o", "xml").returncode, 2)
        bad = run("quarantine", "release", "--no-such-option")
        self.assertTrue(bad.stderr.startswith("berth quarantine: unrecognized"), bad.stderr)


if __name__ == "__main__":
    unittest.main()
