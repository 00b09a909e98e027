"""Signals of load: what autoscalers and Prometheus say, the headroom that follows it, and what was taken that is not given back meanwhile."""

import http.server
import json
import os
import shutil
import socketserver
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

import move_test
from harness import BERTH, NAMES, PATIENCE, Daemon, WireTest, free_port, pod, wait_for

POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools:
- {name: h100, gpu: H100}
classes:
- name: inference
  match: [{podLabels: {app: chat}}]
- name: batch
fallback: batch
headroom:
- {for: inference, pool: h100, gpus: 2, follow: {max: 16, hold: HOLD}}
signals:
"""
SCALING = """\
  load:
  - {name: scaling, for: inference, from: autoscalers}
"""
WEB = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-5d4f8c7b9", "uid": "web-uid"}}
SCALERS = "/apis/autoscaling/v2/namespaces/team/horizontalpodautoscalers"


def policy(signals, hold="1s"):
    return POLICY.replace("HOLD", hold) + signals


def waiting(port, per=0.5, every="1s", stale="3s", query="sum(vllm:num_requests_waiting)", more="", prometheus=""):
    return (f"  staleAfter: {stale}\n"
            f"  prometheus: {{url: \"http://127.0.0.1:{port}\", every: {every}{prometheus}}}\n"
            "  load:\n"
            f"  - {{name: queue, for: inference, query: '{query}', gpusPer: {per}{more}}}\n")


class Prometheus:
    """Answers instant queries as the test wants them: `answer` is the value, or what gives status and body."""

    def __init__(self):
        stand_in = self
        self.answer, self.seen, self.held = 0, [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                stand_in.seen.append((url.path, dict(urllib.parse.parse_qsl(url.query, strict_parsing=True)), dict(self.headers)))
                given = stand_in.answer
                status, body = given() if callable(given) else (200, stand_in.value(given))
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()

    @staticmethod
    def value(*values, at=None):
        return {"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"pod": str(i)}, "value": [at or time.time(), str(value)]} for i, value in enumerate(values)]}}

    def stop(self):
        self.held.set()
        self.listener.shutdown()
        self.listener.server_close()


class SignalTest(WireTest):
    def setUp(self):
        self.prometheus = Prometheus()
        self.addCleanup(self.prometheus.stop)
        super().setUp()

    def follow(self, signals, hold="1s"):
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(policy(signals, hold))
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")

    def status(self):
        return self.daemon.ops.json("GET", "/v1/status")[1]

    def rule(self):
        return self.status()["headroom"][0]

    def signal(self):
        return self.status()["signals"][0]

    def due(self, gpus, seconds=5):
        wait_for(lambda: self.rule()["due"] == gpus and self.rule()["held"] + self.rule()["used"] >= gpus, seconds,
                 f"a floor of {gpus}, of {self.status()['headroom']} by {self.status()['signals']}")

    def trouble(self, words, seconds=5):
        wait_for(lambda: words in (self.signal()["error"] or ""), seconds, f"\"{words}\", of {self.signal()}")

    def replica(self, name, bound=None, gpus=2):
        thing = pod(name, gpus=gpus, owner=WEB)
        thing["metadata"]["labels"] = {"app": "chat", "pod-template-hash": "5d4f8c7b9"}
        if bound:
            thing["spec"]["nodeName"] = bound
        return self.cluster.create("pods", thing)

    def scaler(self, current, desired, active="True", limited="False", reason="DesiredWithinRange", metrics=(), targets=(), kind="Deployment"):
        body = {
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "team"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "web"}, "maxReplicas": 4, "metrics": list(targets)},
            "status": {"currentReplicas": current, "desiredReplicas": desired, "currentMetrics": list(metrics), "conditions": [
                {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale"},
                {"type": "ScalingActive", "status": active, "reason": "ValidMetricFound"},
                {"type": "ScalingLimited", "status": limited, "reason": reason}]}}
        status, made = self.cluster.api.json("POST", SCALERS, body)
        if status == 409:
            self.cluster.patch(f"{SCALERS}/web", {"spec": body["spec"]})
            status = 201
        self.assertEqual(status, 201, made)
        self.cluster.patch(f"{SCALERS}/web/status", {"status": body["status"]})


class Off(SignalTest):
    def test_nothing_is_watched_or_asked_without_signals(self):
        self.follow(SCALING)
        self.due(2)
        wait_for(lambda: "horizontalpodautoscalers.autoscaling: watched" in self.daemon.ready()[1], what="the watch")
        before = self.cluster.stats()["watches"]
        self.daemon.write_policy(POLICY.replace(", follow: {max: 16, hold: HOLD}", "").replace("signals:\n", ""))
        wait_for(lambda: "horizontalpodautoscalers" not in self.daemon.ready()[1], 5, "the end of the watch")
        self.assertEqual(self.status()["signals"], [])
        self.assertNotIn("follow", self.rule())
        self.assertIsNone(self.daemon.metric('berth_signal_value{signal="scaling"}'))
        wait_for(lambda: self.cluster.stats()["watches"] == before - 1, 5, "the end of the watch at the API server")


class Refused(SignalTest):
    def test_autoscalers_that_may_not_be_read(self):
        self.cluster.faults({"rules": [{"method": "GET", "path": "horizontalpodautoscalers", "status": 403, "times": 1000}]})
        self.follow(SCALING)
        self.trouble("reading autoscalers is not allowed")
        self.assertEqual((self.signal()["value"], self.signal()["fresh"], self.rule()["due"]), (None, False, 2))
        self.assertIn("info signal scaling: reading autoscalers is not allowed", self.daemon.ready()[1])
        self.assertEqual(self.daemon.ready()[0], 200)


class Autoscalers(SignalTest):
    def setUp(self):
        super().setUp()
        self.follow(SCALING)
        self.due(2)

    def test_replicas_that_are_wanted_beyond_the_bound_ones(self):
        self.replica("web-0", "n0")
        self.scaler(current=1, desired=4)
        self.due(8)
        self.assertEqual((self.signal()["value"], self.signal()["peak"], self.signal()["from"]), (6, True, "autoscalers"))
        self.assertEqual(self.daemon.metric('berth_signal_value{signal="scaling"}'), 6)
        self.assertLess(self.daemon.metric('berth_signal_age_seconds{signal="scaling"}'), 3)
        other = pod("other", gpus=8)
        other = self.cluster.create("pods", other)
        self.assertNotEqual(self.daemon.placed(other, NAMES), "n0")
        text = subprocess.run([BERTH, "status", f"--ops=127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True, timeout=30).stdout
        self.assertIn("headroom      inference in h100: 6 held, 2 used, 0 lent, 0 missing; 8 by scaling, at most 16\n", text)
        self.assertRegex(text, r"signal        scaling for inference: 6, [0-2] s ago, peak, 6 more GPUs wanted\n")

    def test_who_is_refused_for_it_is_told_why(self):
        self.replica("web-0", "n0")
        self.scaler(current=1, desired=8)
        self.due(16)
        refused = [thing for thing in (self.cluster.create("pods", pod(f"other-{i}", gpus=8)) for i in range(2))
                   if not self.daemon.placed(thing, NAMES)]
        told = self.daemon.explain(refused[0]["metadata"]["name"])[1]
        self.assertEqual(told["code"], "Headroom")
        self.assertIn("14 GPUs of pool h100 are kept free for class inference, which has 16 by its load", " ".join(told["help"]))

    def test_what_is_bound_meanwhile_is_part_of_it(self):
        self.replica("web-0", "n0")
        self.scaler(current=1, desired=4)
        self.due(8)
        for i in range(1, 4):
            thing = self.seen(self.replica(f"web-{i}"))
            self.assertEqual(self.daemon.bind(thing, self.daemon.placed(thing, NAMES))[1]["Error"], "")
        wait_for(lambda: self.rule()["used"] == 8 and self.signal()["value"] == 0, 5, "the replicas")
        self.assertEqual((self.rule()["due"], self.rule()["held"]), (8, 0))

    def test_one_that_may_have_no_more_than_it_has(self):
        self.replica("web-0", "n0")
        self.scaler(current=1, desired=1, limited="True", reason="TooManyReplicas")
        self.due(4)
        self.assertTrue(self.signal()["peak"])

    def test_one_whose_metrics_are_over_their_target(self):
        for i in range(2):
            self.replica(f"web-{i}", "n0")
        self.scaler(current=2, desired=2, limited="True", reason="TooManyReplicas",
                    targets=[{"type": "Pods", "pods": {"metric": {"name": "waiting"}, "target": {"type": "AverageValue", "averageValue": "10"}}}],
                    metrics=[{"type": "Pods", "pods": {"metric": {"name": "waiting"}, "current": {"averageValue": "30500m"}}}])
        self.due(14)

    def test_idle_ones_and_ones_whose_metrics_cannot_be_read_say_nothing(self):
        self.replica("web-0", "n0")
        self.scaler(current=1, desired=1, limited="True", reason="TooFewReplicas")
        wait_for(lambda: self.signal()["value"] == 0, 5, "the first look")
        time.sleep(1.2)
        self.assertEqual((self.signal()["value"], self.signal()["peak"], self.rule()["due"]), (0, False, 2))
        self.scaler(current=1, desired=4, active="False")
        time.sleep(1.2)
        self.assertEqual((self.signal()["value"], self.rule()["due"]), (0, 2))

    def test_a_replica_may_be_a_group_of_pods(self):
        leader = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "uid": "leaders"}}
        for i, owner in enumerate((leader, {**leader, "metadata": {"name": "web-0", "uid": "workers-0"}})):
            thing = pod(f"web-0-{i}", gpus=2, owner=owner, annotations={"leaderworkerset.sigs.k8s.io/size": "2"}, nodeName="n0")
            thing["metadata"]["labels"] = {"app": "chat", "leaderworkerset.sigs.k8s.io/name": "web",
                                           "leaderworkerset.sigs.k8s.io/group-index": "0", "leaderworkerset.sigs.k8s.io/worker-index": str(i)}
            self.cluster.create("pods", thing)
        self.scaler(current=1, desired=3, kind="LeaderWorkerSet")
        self.due(12)
        self.assertEqual(self.signal()["value"], 8)

    def test_one_that_goes(self):
        self.replica("web-0", "n0")
        self.scaler(current=1, desired=4)
        self.due(8)
        self.cluster.api.call("DELETE", f"{SCALERS}/web")
        self.due(2)

    def test_never_beyond_its_bound(self):
        self.replica("web-0", "n0")
        self.scaler(current=1, desired=1000)
        self.due(16)

    def test_what_its_class_leaves_is_kept_for_a_while(self):
        self.follow(SCALING, hold="3s")
        for i in range(5):
            self.replica(f"web-{i}", "n0" if i < 4 else "n1")
        wait_for(lambda: self.rule()["follow"]["floor"] == 10, 5, "the floor")
        left = time.monotonic()
        for i in range(4):
            self.cluster.delete_pod(f"web-{i}")
        wait_for(lambda: self.rule()["used"] == 2, 5, "their end")
        self.assertEqual((self.rule()["due"], self.rule()["held"]), (10, 8))
        self.due(2, 10)
        self.assertGreaterEqual(time.monotonic() - left, 2.9)

    def test_it_grows_at_once_and_shrinks_late(self):
        self.follow(SCALING, hold="3s")
        self.replica("web-0", "n0")
        self.scaler(current=1, desired=6)
        self.due(12, 2)
        self.scaler(current=1, desired=2)
        fell = time.monotonic()
        wait_for(lambda: self.signal()["value"] == 2, 3, "the fall")
        self.assertEqual(self.rule()["due"], 12)
        self.scaler(current=1, desired=4)
        wait_for(lambda: self.signal()["value"] == 6, 3, "the swing")
        self.scaler(current=1, desired=2)
        self.due(8, 10)
        self.assertGreaterEqual(time.monotonic() - fell, 2.9)
        self.due(4, 10)

    def test_another_policy_remembers_what_was_called_for(self):
        self.follow(SCALING, hold="1h")
        self.replica("web-0", "n0")
        self.scaler(current=1, desired=6)
        self.due(12, 2)
        self.scaler(current=1, desired=2)
        wait_for(lambda: self.signal()["value"] == 2, 3, "the fall")
        self.follow(SCALING, hold="2h")
        time.sleep(1.5)
        self.assertEqual(self.rule()["due"], 12)
        self.follow(SCALING, hold="1s")
        self.due(4)
        self.scaler(current=1, desired=6)
        self.due(12, 2)
        self.scaler(current=1, desired=2)
        wait_for(lambda: self.signal()["value"] == 2, 3, "the fall")
        self.follow(SCALING.replace("scaling", "replicas"), hold="1h")
        self.due(4)


class Queries(SignalTest):
    def setUp(self):
        super().setUp()
        self.prometheus.answer = 8
        self.follow(waiting(self.prometheus.port))
        self.due(4)

    def test_how_it_is_asked(self):
        path, query, headers = self.prometheus.seen[0]
        self.assertEqual((path, query["query"]), ("/api/v1/query", "sum(vllm:num_requests_waiting)"))
        self.assertEqual(query["timeout"], "1000ms")
        self.assertNotIn("Authorization", headers)
        self.follow(waiting(f"{self.prometheus.port}/base/", query='sum(rate(x{le=\"+Inf\",a=~\"ü&%.*\"}[1m])) / 2'))
        wait_for(lambda: self.prometheus.seen[-1][0] == "/base/api/v1/query", 5, "the other address")
        self.assertEqual(self.prometheus.seen[-1][1]["query"], 'sum(rate(x{le="+Inf",a=~"ü&%.*"}[1m])) / 2')

    def test_the_sum_of_its_samples_rounded_up_and_no_more_than_its_bound(self):
        self.prometheus.answer = lambda: (200, Prometheus.value(3, 8.5, "NaN", "+Inf", "1e1"))
        self.due(11)
        self.assertEqual(self.signal()["value"], 21.5)
        self.prometheus.answer = lambda: (200, {"status": "success", "warnings": ["partial"], "data": {
            "resultType": "scalar", "result": [time.time(), "1e9"]}})
        self.due(16)

    def test_what_is_no_answer_is_said_and_ignored_once_the_last_one_is_old(self):
        for answer, words in (((500, b"oops"), "HTTP 500: "), ((400, {"status": "error", "errorType": "bad_data", "error": "parse error: x"}),
                               "HTTP 400: Prometheus says: parse error: x"), ((200, b"<html>"), "the answer is no JSON"),
                              ((200, {"status": "success", "data": {"resultType": "vector", "result": []}}), "the query gives no number"),
                              ((200, b" " * ((1 << 20) + 1)), "the answer is too large"),
                              ((200, Prometheus.value(99, at=time.time() - 60)), "s ago, by this clock")):
            self.prometheus.answer = lambda given=answer: given
            self.trouble(words)
        self.assertIn("info signal queue: the answer is of ", self.daemon.ready()[1])
        wait_for(lambda: not self.signal()["fresh"], 5, "its age")
        self.due(2)
        self.assertFalse(self.signal()["peak"])
        self.prometheus.answer = 8
        self.due(4)
        self.assertIsNone(self.signal()["error"])

    def test_one_that_stands_still_keeps_nobody_waiting(self):
        self.prometheus.answer = lambda: self.prometheus.held.wait(20) and (200, b"")
        wait_for(lambda: not self.signal()["fresh"], 8, "its age")
        self.due(2)
        began = time.monotonic()
        thing = self.cluster.create("pods", pod("other", gpus=1))
        self.assertIsNotNone(self.daemon.placed(thing, NAMES))
        self.assertLess(time.monotonic() - began, 2 * PATIENCE)

    def test_one_that_is_not_there(self):
        self.prometheus.listener.shutdown()
        self.prometheus.listener.server_close()
        wait_for(lambda: self.signal()["error"], 5, "the trouble")
        self.due(2, 10)

    def test_another_policy_asks_another_question(self):
        self.prometheus.answer = lambda: (200, Prometheus.value(20 if "other" in self.prometheus.seen[-1][1]["query"] else 8))
        self.follow(waiting(self.prometheus.port, query="other"))
        self.due(10)
        self.follow(waiting(self.prometheus.port, per=0.25, query="other"))
        self.due(5)

    def test_a_token_that_is_read_anew(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        token = os.path.join(folder.name, "token")
        self.follow(waiting(self.prometheus.port, prometheus=f", tokenFile: {token}"))
        self.trouble("tokenFile")
        for text in ("one", "two"):
            with open(token, "w", encoding="utf-8") as f:
                f.write(text + "\n")
            wait_for(lambda: self.prometheus.seen[-1][2].get("Authorization") == "Bearer " + text, 5, "the token")
        wait_for(lambda: self.signal()["error"] is None, 5, "the end of the trouble")


@unittest.skipUnless(shutil.which("prometheus"), "no prometheus is installed")
class RealPrometheus(SignalTest):
    """Prometheus itself, over TLS, reads what a model server says of its waiting requests."""

    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.waiting = 30
        self.prometheus.answer = lambda: (200, "".join(
            f'vllm:num_requests_waiting{{model_name="{name}"}} {self.waiting}\n' for name in "ab").encode())

    def path(self, name, text=None):
        path = os.path.join(self.folder.name, name)
        if text:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return path

    def certificate(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=prometheus", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", self.path(name + ".key"), "-out", self.path(name + ".crt")], check=True, capture_output=True)

    def start(self):
        port = free_port()
        self.certificate("here")
        shutil.copy(self.path("here.crt"), self.path("ca.crt"))
        log = open(self.path("log"), "w", encoding="utf-8")
        self.addCleanup(log.close)
        process = subprocess.Popen([
            "prometheus", "--storage.tsdb.path=" + self.path("data"), f"--web.listen-address=127.0.0.1:{port}",
            "--web.config.file=" + self.path("web.yaml", "tls_server_config: {cert_file: here.crt, key_file: here.key}\n"),
            "--config.file=" + self.path("prometheus.yaml", (
                "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs:\n- job_name: chat\n"
                f"  static_configs: [{{targets: [\"127.0.0.1:{self.prometheus.port}\"]}}]\n"))], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return port

    def test_its_answers_over_tls(self):
        port = self.start()
        ask = waiting(port, per=0.1, prometheus=", caFile: " + self.path("ca.crt")).replace("http:", "https:")
        self.follow(ask)
        self.due(6, 30)
        self.assertEqual(self.signal()["value"], 60)
        self.waiting = 90
        self.due(16)
        self.certificate("other")
        os.replace(self.path("other.crt"), self.path("ca.crt"))
        self.trouble("certificate")
        self.due(2, 10)

    def test_what_it_says_is_wrong_with_a_query(self):
        port = self.start()
        ask = waiting(port, query="sum(", prometheus=", caFile: " + self.path("ca.crt")).replace("http:", "https:")
        self.follow(ask)
        self.trouble("HTTP 400: Prometheus says: invalid parameter", 20)
        self.follow(ask.replace("sum(", "up[1m]"))
        self.trouble("the query gives a matrix")


class PendingPods(SignalTest):
    def test_what_they_ask_for_until_they_have_a_node(self):
        self.follow("  load:\n  - {name: waiting, for: inference, from: pendingPods}\n")
        self.due(2)
        self.make_full()
        things = [self.replica(f"web-{i}", gpus=4) for i in range(2)]
        self.due(8)
        self.assertEqual((self.signal()["from"], self.signal()["value"]), ("pendingPods", 8))
        self.daemon.write_policy(policy("  load:\n  - {name: other, for: inference, from: pendingPods}\n"))
        wait_for(lambda: self.signal()["name"] == "other" and self.signal()["value"] == 8, 5, "the same by another policy")
        self.cluster.delete_pod("web-1")
        wait_for(lambda: self.signal()["value"] == 4, 5, "the one that went")
        self.assertEqual(self.daemon.bind(things[0], self.daemon.placed(things[0], NAMES))[1]["Error"], "")
        wait_for(lambda: self.signal()["value"] == 0 and self.rule()["used"] == 4, 5, "the one that is bound")

    def make_full(self):
        for name in NAMES[1:]:
            thing = pod(f"full-{name}", gpus=8)
            thing["spec"]["nodeName"] = name
            self.cluster.create("pods", thing)


class GivenBackLate(move_test.MoveTest):
    def setUp(self):
        self.prometheus = Prometheus()
        self.addCleanup(self.prometheus.stop)
        self.prometheus.answer = 30
        self.policy = move_test.ACT + "signals:\n" + waiting(self.prometheus.port, more=", peakAbove: 20")
        super().setUp()

    def test_what_was_taken_stays_while_the_peak_is_on(self):
        (job,) = self.moved()
        self.cluster.delete_pod("web-0")
        time.sleep(3)
        self.assertEqual(self.suspended(), [job])
        self.assertEqual(self.only_move()["phase"], "lent")
        self.prometheus.answer = 20
        wait_for(lambda: not self.suspended(), 10, "the Job")

    def test_a_peak_that_comes_back_keeps_what_has_not_returned(self):
        self.prometheus.answer = 0
        jobs = self.moved(2)
        self.cluster.delete_pod("web-0")
        wait_for(lambda: len(self.suspended()) == 1, 10, "the first Job")
        (job,) = self.suspended()
        self.assertIn(job, jobs)
        self.prometheus.answer = 30
        wait_for(lambda: self.daemon.metric('berth_signal_value{signal="queue"}') == 30, 5, "the peak")
        self.cluster.delete_pod("web-1")
        time.sleep(3)
        self.assertEqual(self.suspended(), [job])
        self.prometheus.answer = 0
        wait_for(lambda: not self.suspended(), 10, "the other Job")

    def test_a_prometheus_that_is_gone_keeps_nothing(self):
        (job,) = self.moved()
        self.cluster.delete_pod("web-0")
        time.sleep(1.5)
        self.assertEqual(self.suspended(), [job])
        self.prometheus.answer = lambda: (503, b"")
        wait_for(lambda: not self.suspended(), 10, "the Job")


if __name__ == "__main__":
    unittest.main()
