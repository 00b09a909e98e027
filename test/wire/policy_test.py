"""The policy where it decides: codes of pods that no node can help, the order of the scores, weights, siblings; and the
command that checks a file."""

import json
import subprocess
import unittest

from harness import BERTH, Cluster, Daemon, node, pod, wait_for

HEAD = "apiVersion: berth.dev/v1alpha1\nkind: PlacementPolicy\n"
MODELS = {"h100": "NVIDIA-H100-80GB-HBM3", "a100": "NVIDIA-A100-SXM4-80GB", "l4": "NVIDIA-L4", "t4": "Tesla-T4",
          "a10": "NVIDIA-A10", "v100": "Tesla-V100-SXM2-16GB"}
POOLS = "pools: [" + ", ".join(f"{{name: {m}, gpu: {m.upper()}}}" for m in MODELS) + "]\n"


def owned(thing, kind, uid):
    thing["metadata"]["ownerReferences"] = [{"kind": kind, "name": uid, "uid": uid, "controller": True}]
    return thing


class Decisions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        for i in range(6):
            cls.cluster.node(f"n{i}", labels={"example.com/rack": f"r{i // 2}"})
        cls.cluster.node("t4", gpus=4, product=MODELS["t4"], memory=15360)
        cls.daemon = Daemon(cls.cluster.kubeconfig)
        cls.addClassCleanup(cls.daemon.stop)
        cls.names = [f"n{i}" for i in range(6)] + ["t4"]

    def use(self, text):
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(HEAD + text)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, what="the policy")

    def choice(self, thing, *nodes):
        thing["metadata"]["uid"] = "by-whole-nodes"
        _, answer = self.daemon.verbs.json(
            "POST", "/v1/filter", {"Pod": thing, "Nodes": {"items": list(nodes)}, "NodeNames": None})
        return answer["Nodes"]["items"][0]["metadata"]["name"]

    def code(self, thing):
        made = self.cluster.create("pods", thing)
        self.assertIsNone(self.daemon.placed(made, self.names))
        waiting = {w["uid"]: w["code"] for w in self.daemon.state()["waiting"]}
        self.cluster.delete_pod(thing["metadata"]["name"], thing["metadata"]["namespace"])
        return waiting[made["metadata"]["uid"]]

    def test_asking_for_what_only_forbids_is_not_waiting(self):
        self.use(POOLS + "classes: [{name: dev, match: [{namespaces: [dev]}], only: [t4]}, {name: c}]\nfallback: c\n")
        for name, said in ("memory", {"berth.dev/gpu-memory": "40Gi"}), ("format", {"berth.dev/dtype": "bf16"}):
            self.assertEqual(self.code(pod(name, namespace="dev", annotations=said)), "OnlyUnmeetable")
        selector = {"nvidia.com/gpu.product": MODELS["h100"]}
        self.assertEqual(self.code(pod("selector", namespace="dev", nodeSelector=selector)), "OnlyUnmeetable")
        self.assertEqual(self.code(pod("nobody", namespace="dev", annotations={"berth.dev/gpu-memory": "200Gi"})), "GPUMemory")

    def test_order_of_the_scores(self):
        self.use(POOLS + f"classes: [{{name: c, match: [{{}}], prefer: [{', '.join(MODELS)}]}}]\nfallback: c\n")
        order = list(MODELS)
        for better, worse in zip(order, order[1:]):
            # Best fit, whole nodes and cost speak for the second.
            chosen = self.choice(pod("p"), node("a", product=MODELS[better]), node("b", gpus=1, product=MODELS[worse]))
            self.assertEqual(chosen, "a", f"{better} before {worse}")
        avoided = node("a", spec={"taints": [{"key": "x", "effect": "PreferNoSchedule"}]})
        self.assertEqual(self.choice(pod("p"), avoided, node("z", product=MODELS["v100"])), "z")
        affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}]}}
        self.assertEqual(self.choice(pod("p", affinity=affinity), node("a"),
                                     node("z", product=MODELS["v100"], labels={"zone": "x"})), "z")

    def test_weights_change_the_decision(self):
        nodes = node("h"), node("l", gpus=4, product=MODELS["l4"], memory=23034)
        for place, chosen in ("", "h"), (", place: {cost: 1000}", "l"), (", place: {modelFit: 0}", "l"):
            self.use(POOLS + f"classes: [{{name: c, match: [{{}}], prefer: [h100, l4]{place}}}]\nfallback: c\n")
            self.assertEqual(self.choice(pod("p"), *nodes), chosen, place)

    def test_siblings_and_chains_of_owners(self):
        self.use("topology: [{level: rack, nodeLabel: example.com/rack}]\nclasses:\n"
                 "- {name: web, match: [{owners: [Deployment]}], replicas: {spreadOver: rack}}\n"
                 "- {name: cron, match: [{owners: [CronJob]}], maxGPUsPerPod: 1}\n- {name: rest}\nfallback: rest\n")
        placed = [self.daemon.placed(self.cluster.create("pods", owned(pod(f"w{i}"), "ReplicaSet", "rs-1")), self.names[:6])
                  for i in range(3)]
        self.assertEqual({name for name in placed}, {"n0", "n2", "n4"})
        job = {"metadata": {"name": "j", "namespace": "team", "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": "c-1", "controller": True}]}}
        status, made = self.cluster.api.json("POST", "/apis/batch/v1/namespaces/team/jobs", job)
        self.assertEqual(status, 201, made)
        asking = self.cluster.create("pods", owned(pod("cron", gpus=2), "Job", made["metadata"]["uid"]))
        wait_for(lambda: self.daemon.explain("cron")[1].get("class") != "rest", what="the CronJob")
        self.assertIsNone(self.daemon.placed(asking, self.names))
        self.assertIn("TooManyGPUs", [w["code"] for w in self.daemon.state()["waiting"]])


class Check(unittest.TestCase):
    def check(self, text, *args):
        ran = subprocess.run([BERTH, "policy", "check", *args, "-"], input=text, capture_output=True, timeout=20)
        return ran.returncode, ran.stdout.decode(), ran.stderr.decode()

    def test_a_byte_order_mark_and_crlf(self):
        text = (HEAD + "classes: [{name: c}]\nfallback: c\n").replace("\n", "\r\n").encode()
        self.assertEqual(self.check(b"\xef\xbb\xbf" + text), (0, "<stdin>: valid, 0 pools, 1 class\n", ""))

    def test_all_problems_in_the_order_of_the_file(self):
        text = HEAD + "teams: []\nclasses:\n- {name: c, prefer: [p], place: {packk: 1}}\nfallback: d\nfallback: c\n"
        code, out, _ = self.check(text.encode(), "-o", "json")
        problems = json.loads(out)["problems"]
        self.assertEqual(code, 2)
        self.assertEqual([(p["line"], p["column"], p["code"]) for p in problems],
                         [(3, 1, "P002"), (5, 22, "P012"), (5, 34, "P014"), (6, 11, "P012"), (7, 1, "P003")])
        code, out, errors = self.check(text.encode())
        self.assertEqual((code, out), (2, ""))
        self.assertIn('<stdin>:3:1: error P002: the policy has the key "teams"', errors)
        self.assertIn("\n  teams: []\n  ^~~~~\n", errors)

    def test_what_cannot_be_read(self):
        for text in b"", b"# nothing\n", b"\x00", b"a: \xff\n", b"[" * 1000, b"a: 1\n---\nb: 2\n", b"#" * ((1 << 20) + 1):
            code, out, errors = self.check(text)
            self.assertEqual((code, out), (2, ""))
            self.assertTrue(errors)


if __name__ == "__main__":
    unittest.main()
