"""`berth explain` and `berth status` on planted cases: for each reason that a pod can meet the code, the steps that add up to
the fleet, the node that came furthest with its numbers, what the program prints and how it exits."""

import json
import socket
import subprocess
import threading
import time
import unittest

from harness import BERTH, Cluster, Daemon, WireTest, free_port, node, pod, wait_for

POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools:
- {name: h100, gpu: H100}
- {name: t4, nodeSelector: {matchLabels: {accelerator: t4}}}
- {name: empty, gpu: L4}
classes:
- name: dev
  match: [{namespaces: ["*-dev"]}]
  only: [t4]
  maxGPUsPerPod: 2
- name: batch
fallback: batch
health:
  avoid: [{nodeCondition: GpuUnhealthy, is: "True"}]
"""


def run(daemon, *args):
    """The program's exit code, stdout and stderr."""
    done = subprocess.run([BERTH, *args, "--ops", f"127.0.0.1:{daemon.ops_port}"], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def down(name):
    made = node(name)
    made["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    return made


def t4(name, **more):
    return node(name, gpus=4, product="Tesla-T4", memory=15360, labels={"accelerator": "t4"}, **more)


def hog(where, name, scheduler="default-scheduler", gpus=0, **requests):
    """A pod that is bound already."""
    thing = pod(name, gpus=gpus, scheduler=scheduler, nodeName=where)
    thing["spec"]["containers"][0]["resources"]["requests"].update(requests)
    return thing


def said(**words):
    return {f"berth.dev/{key.replace('_', '-')}": value for key, value in words.items()}


class Planted(unittest.TestCase):
    def plant(self, thing, *nodes, hogs=()):
        """A fleet of these nodes and one that is down, the pod rejected by or reserved on it."""
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        self.nodes = [down("down"), *nodes]
        for made in self.nodes:
            cluster.create("nodes", made)
        for made in hogs:
            cluster.create("pods", made)
        self.daemon = Daemon(cluster.kubeconfig, policy=POLICY)
        self.addCleanup(self.daemon.stop)
        self.cluster = cluster
        return cluster.create("pods", thing)

    def explained(self, thing, exits):
        """The JSON, after what holds for every answer, and the text."""
        key = f"{thing['metadata']['namespace']}/{thing['metadata']['name']}"
        wait_for(lambda: self.daemon.ops.call("GET", f"/v1/explain?pod={key}")[0] == 200, what="the pod")
        code, out, err = run(self.daemon, "explain", key, "-o", "json")
        self.assertEqual((code, err), (exits, ""))
        answer = json.loads(out)
        if "steps" in answer:
            self.assertEqual(answer["nodes"], len(self.nodes))
            self.assertEqual(sum(step["nodes"] for step in answer["steps"]) + answer["fits"], answer["nodes"])
            left = answer["nodes"]
            for step in answer["steps"]:
                left -= step["nodes"]
                self.assertEqual(step["left"], left)
            self.assertEqual(left, answer["fits"])
        code, text, err = run(self.daemon, "explain", key)
        self.assertEqual((code, err), (exits, ""))
        self.assertTrue(text.startswith(key + "  "), text)
        self.assertTrue(all(line == line.rstrip() for line in text.splitlines()), text)
        return answer, text

    def rejected(self, code, thing, *nodes, nearest=None, lacks=None, hogs=(), texts=()):
        thing = self.plant(thing, *nodes, hogs=hogs)
        self.assertIsNone(self.daemon.placed(thing, [n["metadata"]["name"] for n in self.nodes]))
        answer, text = self.explained(thing, 1)
        self.assertEqual((answer["state"], answer["code"], answer["rejectedFor"]), ("waiting", code, code))
        self.assertEqual(answer.get("nearest", {}).get("node"), nearest)
        if lacks is not None:
            self.assertEqual({lack.pop("resource"): lack for lack in answer["nearest"]["lacks"]}, lacks)
        for wanted in (code, answer["reason"], *texts):
            self.assertIn(wanted, text)
        return answer

    def test_no_gpu_fragmented(self):
        answer = self.rejected(
            "NoGPU", pod("p", gpus=6), node("a"), node("b"), node("c"), t4("d"), nearest="b",
            lacks={"nvidia.com/gpu": {"asked": 6, "free": 5, "allocatable": 8}},
            hogs=[hog("a", "x", gpus=5), hog("b", "y", gpus=3), hog("c", "z", gpus=8)],
            texts=["fragmentation, not capacity: 8 nvidia.com/gpu are free on nodes large enough, but none has more than 5"])
        self.assertEqual(answer["gpus"], {"resource": "nvidia.com/gpu", "asked": 6, "free": 8, "most": 5})

    def test_no_gpu_full(self):
        self.rejected(
            "NoGPU", pod("p", gpus=6), node("a"), nearest="a", hogs=[hog("a", "x", gpus=5)],
            lacks={"nvidia.com/gpu": {"asked": 6, "free": 3, "allocatable": 8}},
            texts=["capacity: 3 nvidia.com/gpu free on nodes large enough, 6 asked for"])

    def test_no_cpu(self):
        self.rejected(
            "NoCPU", pod("p"), node("a"), nearest="a", hogs=[hog("a", "x", cpu="63500m")],
            lacks={"cpu": {"asked": 1000, "free": 500, "allocatable": 64000}}, texts=["0.5"])

    def test_no_memory(self):
        gib = 1 << 30
        self.rejected(
            "NoMemory", pod("p"), node("a"), nearest="a", hogs=[hog("a", "x", memory="512Gi")],
            lacks={"memory": {"asked": gib, "free": 0, "allocatable": 512 * gib}}, texts=["512Gi"])

    def test_no_pod_slots(self):
        self.rejected(
            "NoPodSlots", pod("p"), node("a", allocatable={"pods": "1"}), nearest="a", hogs=[hog("a", "x")],
            lacks={"pods": {"asked": 1, "free": 0, "allocatable": 1}})

    def test_too_large(self):
        self.rejected(
            "TooLarge", pod("p", gpus=16), node("a"), t4("b"), nearest="a",
            lacks={"nvidia.com/gpu": {"asked": 16, "free": 8, "allocatable": 8}},
            texts=["the largest node of the right kind has 8 nvidia.com/gpu, 16 are asked for"])

    def test_gpus_unhealthy(self):
        self.rejected(
            "GPUsUnhealthy", pod("p", gpus=4), node("a", allocatable={"nvidia.com/gpu": "3"}), nearest="a",
            lacks={"nvidia.com/gpu": {"asked": 4, "free": 3, "allocatable": 3, "unhealthy": 5}})

    def test_gpu_memory(self):
        answer = self.rejected(
            "GPUMemory", pod("p", annotations=said(gpu_memory="40Gi")), t4("a"), nearest="a",
            texts=["GPU memory: 40960 MiB asked for, 15360 MiB there"])
        self.assertEqual(answer["nearest"]["gpuMemoryMiB"], {"asked": 40960, "there": 15360})

    def test_dtype(self):
        answer = self.rejected(
            "DtypeUnsupported", pod("p", annotations=said(dtype="bf16,fp16")), t4("a"), nearest="a",
            texts=["number formats: bf16, fp16 asked for, "])
        self.assertEqual(answer["nearest"]["dtypes"]["asked"], ["bf16", "fp16"])
        self.assertIn("fp16", answer["nearest"]["dtypes"]["there"])
        self.assertNotIn("bf16", answer["nearest"]["dtypes"]["there"])

    def test_tainted(self):
        taints = [{"key": "team", "value": "x", "effect": "NoSchedule"}]
        answer = self.rejected(
            "NodeTainted", pod("p"), node("a", spec={"taints": taints}), nearest="a", lacks={},
            texts=["taint team=x:NoSchedule is not tolerated", "1 node of the right kind has room, but: node has a taint"])
        self.assertEqual(answer["nearest"]["taint"], taints[0])

    def test_selector(self):
        self.rejected("NodeSelector", pod("p", nodeSelector={"zone": "z"}), node("a"), nearest="a", lacks={})

    def test_cordoned(self):
        self.rejected(
            "NodeCordoned", pod("p"), node("a", spec={"unschedulable": True}), nearest="a", lacks={},
            texts=["1 node of the right kind has room, but: node cordoned"])

    def test_not_ready(self):
        self.rejected("NodeNotReady", pod("p"), nearest="down", lacks={}, texts=["node not ready"])

    def test_avoided(self):
        ill = [{"type": "GpuUnhealthy", "status": "True"}]
        self.rejected("NodeAvoided", pod("p"), node("a", conditions=ill), nearest="a", lacks={})

    def test_in_two_pools(self):
        self.rejected(
            "NodeInTwoPools", pod("p", namespace="a-dev"), node("a", labels={"accelerator": "t4"}), nearest="a")

    def test_only_forbids(self):
        """The GPUs that its class allows are there, only not now: it is not hopeless."""
        self.rejected(
            "OnlyForbids", pod("p", namespace="a-dev"), node("a"), t4("b", spec={"unschedulable": True}), nearest="a",
            texts=["class dev allows GPUs of t4 only; nodes of other pools with room: 1",
                   "1 node of the right kind has room, but: node cordoned"])

    def test_its_own_pool_is_full(self):
        self.rejected(
            "NoGPU", pod("p", namespace="a-dev"), node("a"), t4("b"), nearest="b", hogs=[hog("b", "x", gpus=4)],
            lacks={"nvidia.com/gpu": {"asked": 1, "free": 0, "allocatable": 4}})

    def test_only_unmeetable(self):
        self.rejected(
            "OnlyUnmeetable", pod("p", namespace="a-dev"), node("a"), nearest="a",
            texts=["class dev allows GPUs of t4 only; nodes of other pools with room: 1"])

    def test_too_many_gpus(self):
        self.rejected(
            "TooManyGPUs", pod("p", gpus=3, namespace="a-dev"), t4("a"),
            texts=["the pod asks for 3 GPUs; a pod of class dev may have 2"])

    def test_class_unknown(self):
        self.rejected(
            "ClassUnknown", pod("p", annotations=said(**{"class": "gold"})), node("a"),
            texts=['berth.dev/class says "gold"; the policy has: dev, batch'])

    def test_class_not_for_pod(self):
        self.rejected(
            "ClassNotForPod", pod("p", annotations=said(**{"class": "dev"})), node("a"),
            texts=["the pod is none of those that class dev matches; without berth.dev/class it is in class batch"])

    def test_bad_annotation(self):
        self.rejected("BadAnnotation", pod("p", annotations=said(dtype="bfloat16")), node("a"))

    def test_no_such_gpu(self):
        thing = pod("p", gpus=0)
        for part in ("requests", "limits"):
            thing["spec"]["containers"][0]["resources"][part]["amd.com/gpu"] = "1"
        self.rejected("NoSuchGPU", thing, node("a"), nearest="a")

    def test_fits(self):
        thing = self.plant(pod("p", gpus=2), node("a"), t4("b"), hogs=[hog("a", "x", gpus=5)])
        answer, text = self.explained(thing, 0)
        self.assertEqual((answer["state"], answer["code"], answer["fits"]), ("pending", "Fits", 2))
        self.assertEqual((answer["best"]["node"], answer["best"]["pool"]), ("a", "h100"))
        self.assertTotal(answer["best"])
        self.assertIn("fits on 2 of 3 nodes, best on a (pool h100)", text)
        self.assertIn("bestFit", text)

    def assertTotal(self, score):
        """The total is the terms' sum, to more digits than any term is worth."""
        total = sum(part["value"] * part["weight"] for part in score["terms"].values())
        self.assertAlmostEqual(score["total"], total, delta=1e-5)

    def test_reserved_then_bound(self):
        thing = self.plant(pod("p", gpus=2), node("a"), t4("b"))
        where = self.daemon.placed(thing, ["a", "b"])
        answer, text = self.explained(thing, 0)
        held = answer["reservation"]
        self.assertEqual((answer["state"], held["node"], held["requests"]["nvidia.com/gpu"]), ("assumed", where, 2))
        self.assertLessEqual(held["expiresInSeconds"], 30)
        self.assertTotal(held)
        self.assertRegex(text, rf"assumed on {where} \(pool {held['pool']}\) for \d+ s")
        self.assertEqual(self.daemon.bind(thing, where)[0], 200)
        wait_for(lambda: (self.daemon.entry(thing) or {}).get("state") == "bound")
        answer, text = self.explained(thing, 0)
        self.assertEqual((answer["state"], answer["reservation"]["node"]), ("bound", where))
        self.assertIn(f"bound on {where} (pool {held['pool']})", text)
        self.assertIn("  class batch\n", text)
        self.assertIn("nvidia.com/gpu 2", text)

    def test_bound_says_its_class_and_decision(self):
        thing = self.plant(pod("p", gpus=2), node("a"))
        self.assertEqual(self.daemon.bind(thing, self.daemon.placed(thing, ["a"]))[0], 200)
        wait_for(lambda: "decision" in self.daemon.explain("p")[1], what="the pod with its annotation")
        answer, text = self.explained(thing, 0)
        decision, held = answer["decision"], answer["reservation"]
        self.assertEqual((answer["class"], decision["class"], decision["pool"]), ("batch", "batch", "h100"))
        self.assertEqual((decision["policy"], decision["inForce"]), (self.daemon.state()["policy"]["hash"], True))
        self.assertEqual((held["devices"], held["devicesSay"]), ([], "index chosen by kubelet"))
        self.assertNotIn("terms", held)
        self.assertIn("devices index chosen by kubelet\n", text)
        self.assertIn(f"decided as class batch, pool h100, by policy {decision['policy']}\n", text)
        self.daemon.write_policy(POLICY.replace("batch", "bulk"))
        wait_for(lambda: self.daemon.explain("p")[1]["class"] == "bulk", what="the new policy")
        answer, text = self.explained(thing, 0)
        self.assertEqual((answer["decision"]["class"], answer["decision"]["inForce"]), ("batch", False))
        self.assertIn("class bulk\n", text)
        self.assertIn("no longer in force", text)

    def test_bound_before_berth_began(self):
        """Decisions that another process wrote, and texts that are none."""
        texts = {
            "one": '{"version":1,"class":"old\\"er","policy":"0123","devices":[{"index":0}]}', "two": '{"version":2,"class":"x"}',
            "bad": '{"version":1,', "long": '{"version":1,"class":"' + "x" * 5000 + '"}', "deep": "[" * 3000, "none": None}
        things = [hog("a", name, "berth", 0, cpu="1") for name in texts]
        for made in things:
            if texts[made["metadata"]["name"]] is not None:
                made["metadata"]["annotations"] = said(decision=texts[made["metadata"]["name"]])
        only = {"nvidia.com/gpu": "1"}
        self.plant(pod("p"), node("a"), node("single", gpus=1, allocatable=only),
                   hogs=[*things, hog("single", "s", "berth", 1), hog("a", "theirs", gpus=1)])
        for made in things:
            answer, text = self.explained(made, 0)
            self.assertEqual((answer["state"], answer["class"]), ("bound", "batch"))
            self.assertEqual(answer.get("decision"), {"class": 'old"er', "policy": "0123", "inForce": False}
                             if made["metadata"]["name"] == "one" else None)
            self.assertNotIn("devices", text)
        answer, text = self.explained(pod("s"), 0)
        self.assertEqual(answer["reservation"]["devices"], [{"index": 0, "milli": 1000}])
        self.assertIn("devices the node's only GPU: index 0\n", text)
        answer, text = self.explained(pod("theirs"), 0)
        self.assertNotIn("class", answer)
        self.assertNotIn("class", text)

    def test_unknown_pod_and_bad_usage(self):
        self.plant(pod("p"), node("a"))
        code, out, err = run(self.daemon, "explain", "team/nobody")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("team/nobody: no such pod", err)
        self.assertEqual(run(self.daemon, "explain", "team/a%2Fb&c=d")[0], 1)
        for args in ["explain"], ["explain", "p"], ["explain", "a/b/c"], ["explain", "a/b", "c/d"], ["explain", "a/b", "-o", "xml"], \
                ["explain", "a/b", "--nope"], ["status", "x"], ["status", "-o", "yaml"]:
            code, out, err = run(self.daemon, *args)
            self.assertEqual((code, out), (2, ""), args)
            self.assertTrue(err)
        for command in "explain", "status":
            code, out, _ = run(self.daemon, command, "--help")
            self.assertEqual(code, 0)
            self.assertIn(f"usage: berth {command}", out)


class Status(WireTest):
    def nodes(self):
        ill = [{"type": "GpuErrors", "status": "True"}]
        for made in (node("a"), node("b", allocatable={"nvidia.com/gpu": "6"}, conditions=ill), node("c", spec={"unschedulable": True}),
                     down("d"), t4("t"), node("cpu", gpus=0, product="")):
            if made["metadata"]["name"] == "cpu":
                made["metadata"]["labels"] = {}
                for amounts in made["status"]["capacity"], made["status"]["allocatable"]:
                    amounts.pop("nvidia.com/gpu", None)
            self.cluster.create("nodes", made)
        for made in hog("a", "x", gpus=3), hog("b", "y", gpus=1, scheduler="berth"), hog("c", "z", gpus=2):
            self.cluster.create("pods", made)

    def status(self, exits=0):
        code, out, err = run(self.daemon, "status", "-o", "json")
        self.assertEqual((code, err), (exits, ""))
        return json.loads(out)

    def test_numbers(self):
        held = self.cluster.pod("held", gpus=2)
        self.assertEqual(self.daemon.placed(held, ["a"]), "a")
        for name, gpus in ("w1", 8), ("w2", 8), ("w3", 16):
            self.assertIsNone(self.daemon.placed(self.cluster.pod(name, gpus=gpus), ["a", "b", "c", "d", "t"]))
        wait_for(lambda: all(watch["synced"] for watch in self.status()["watches"]), what="the jobs")
        status = self.status()
        rows = {(row["pool"], row["resource"]): row for row in status["pools"]}
        self.assertEqual(set(rows), {("h100", "nvidia.com/gpu"), ("t4", "nvidia.com/gpu"), (None, None)})
        h100 = rows["h100", "nvidia.com/gpu"]
        self.assertEqual((h100["nodes"], h100["open"]), (4, 2))
        self.assertEqual(h100["gpus"], {
            "total": 32, "free": 8, "used": 1, "held": 2, "foreign": 5, "closed": 14, "unhealthy": 2})
        self.assertEqual((h100["slots"], h100["largest"]), ({"1": 8, "2": 3, "4": 1, "8": 0}, 5))
        self.assertEqual((rows["t4", "nvidia.com/gpu"]["slots"]["4"], rows[None, None]["nodes"]), (1, 1))
        for row in status["pools"]:
            gpus = row["gpus"]
            self.assertEqual(gpus["total"], sum(gpus.values()) - gpus["total"])
        self.assertEqual(status["waiting"], {"pods": 3, "codes": {"NoGPU": 2, "TooLarge": 1}})
        self.assertEqual(status["reservations"], {"planned": 0, "assumed": 1, "bound": 3})
        self.assertEqual({watch["resource"]: watch["synced"] for watch in status["watches"]}, {"nodes": True, "pods": True, "jobs": True})
        code, text, err = run(self.daemon, "status")
        self.assertEqual((code, err), (0, ""))
        lines = text.splitlines()
        self.assertEqual(lines[1].split(), "h100 nvidia.com/gpu 4 2 32 8 1 2 5 14 2 8 3 1 0 5".split())
        self.assertEqual(len({len(line) for line in lines[:4]}), 1)
        self.assertIn("waiting       3: TooLarge 1, NoGPU 2", text)
        self.assertEqual(text.splitlines()[-1].split()[-1], "ready")
        self.assertNotIn("\033", text)

    def test_bad_policy_is_said(self):
        before = self.status()["policy"]
        self.assertIsNone(before["error"])
        self.daemon.write_policy("kind: Nonsense\n")
        after = wait_for(lambda: (p := self.status()["policy"])["error"] and p, what="the error")
        self.assertEqual(after["hash"], before["hash"])
        self.assertIn("the newest file is not in force", run(self.daemon, "status")[1])


class NotThere(unittest.TestCase):
    def test_not_ready(self):
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        cluster.faults({"rules": [{"method": "GET", "path": "/api/v1/pods", "status": 500, "times": 1000}]})
        daemon = Daemon(cluster.kubeconfig, wait=False)
        self.addCleanup(daemon.stop)
        wait_for(lambda: daemon.ready()[0] == 503)
        code, out, _ = run(daemon, "status")
        self.assertEqual(code, 1)
        self.assertIn("not ready", out)
        self.assertIn("pods: not read yet", out)

    def test_nobody_listens(self):
        port = free_port()
        for args in ["status"], ["explain", "a/b"]:
            done = subprocess.run([BERTH, *args, "--ops", f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=30)
            self.assertEqual((done.returncode, done.stdout), (3, ""))
            self.assertIn(f"no answer from 127.0.0.1:{port}", done.stderr)

    def test_something_else_listens(self):
        for says, wanted in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "is no berth"), (b"", "no answer from"):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]

                def serve():
                    caller = listener.accept()[0]
                    caller.recv(4096)
                    caller.sendall(says)
                    caller.recv(4096)  # until the caller has had enough
                    caller.close()

                thread = threading.Thread(target=serve)
                thread.start()
                began = time.monotonic()
                done = subprocess.run(
                    [BERTH, "status", "--ops", f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=30)
                thread.join()
                self.assertEqual((done.returncode, done.stdout), (3, ""))
                self.assertIn(wanted, done.stderr)
                self.assertLess(time.monotonic() - began, 9)


if __name__ == "__main__":
    unittest.main()
