"""The policy where it decides: codes of pods that no node can help, the order of the scores, weights, siblings; and the
command that checks a file."""

import json
import os
import subprocess
import tempfile
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
        text = HEAD + "crews: []\nclasses:\n- {name: c, prefer: [p], place: {packk: 1}}\nfallback: d\nfallback: c\n"
        code, out, _ = self.check(text.encode(), "-o", "json")
        problems = json.loads(out)["problems"]
        self.assertEqual(code, 2)
        self.assertEqual([(p["line"], p["column"], p["code"]) for p in problems],
                         [(3, 1, "P002"), (5, 22, "P012"), (5, 34, "P014"), (6, 11, "P012"), (7, 1, "P003")])
        code, out, errors = self.check(text.encode())
        self.assertEqual((code, out), (2, ""))
        self.assertIn('<stdin>:3:1: error P002: the policy has the key "crews"', errors)
        self.assertIn("\n  crews: []\n  ^~~~~\n", errors)

    def test_what_cannot_be_read(self):
        for text in b"", b"# nothing\n", b"\x00", b"a: \xff\n", b"[" * 1000, b"a: 1\n---\nb: 2\n", b"#" * ((1 << 20) + 1):
            code, out, errors = self.check(text)
            self.assertEqual((code, out), (2, ""))
            self.assertTrue(errors)


class Gate(unittest.TestCase):
    TEXT = HEAD + "classes: [{name: t, match: [{namespaces: [\"a-*\"]}]}, {name: c}]\nfallback: c\ngate: {classes: [t]}\n"

    def gate(self, text, *args):
        ran = subprocess.run([BERTH, "policy", "gate", *args], input=text, capture_output=True, text=True, timeout=20)
        return ran.returncode, ran.stdout, ran.stderr

    def test_a_policy_and_its_binding(self):
        code, out, errors = self.gate(self.TEXT, "--policy", "-", "--namespace-selector", "x=y", "--scheduler", "other")
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(out.count("apiVersion: admissionregistration.k8s.io/v1\n"), 2)
        for part in ("kind: MutatingAdmissionPolicy\n", "kind: MutatingAdmissionPolicyBinding\n", "== 'other'", "'^(a-.*)$'",
                     '{key: "x", operator: In, values: ["y"]}'):
            self.assertIn(part, out)

    def test_what_cannot_be_gated(self):
        for text, args, said in (
                (self.TEXT.replace("gate:", "#"), ["--policy", "-"], "berth policy: -: the policy gates no class"),
                ("", [], "berth policy: the built-in policy: the policy gates no class"),
                ("kind: x\n", ["--policy", "-"], "error P014"),
                (self.TEXT, ["--policy", "-", "--namespace-selector", "a in (b)"], '"a in (b)" is neither key'),
                (self.TEXT, ["--policy", "-", "more"], 'unexpected argument more')):
            code, out, errors = self.gate(text, *args)
            self.assertEqual((code, out), (2, ""), args)
            self.assertIn(said, errors)


class Topology(unittest.TestCase):
    POLICY = HEAD + ("topology: [{preset: zone, levels: [zone]}, {preset: nvlink}]\npools: [{name: h100, gpu: H100}, {name: l4, gpu: L4}]\n"
                     "classes: [{name: c}]\nfallback: c\n")

    def check(self, nodes, *args, policy=POLICY):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(policy)
            file.flush()
            ran = subprocess.run([BERTH, "topology", "check", "--policy", file.name, "-f", "-", *args],
                                 input=nodes if isinstance(nodes, str) else json.dumps({"kind": "List", "items": nodes}),
                                 capture_output=True, text=True, timeout=20)
        return ran.returncode, ran.stdout, ran.stderr

    def labelled(self, name, model, zone, clique=None):
        labels = {"topology.kubernetes.io/zone": zone} if zone else {}
        if clique:
            labels["nvidia.com/gpu.clique"] = clique
        return node(name, product=MODELS[model], labels=labels)

    def test_levels_that_hold(self):
        nodes = [self.labelled(f"{i}", "h100", "a", f"uuid{i // 2}.{i}") for i in range(4)] + [self.labelled("x", "h100", "a")]
        code, out, errors = self.check(nodes)
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual([line.split() for line in out.splitlines()], [
            "LEVEL POOL DOMAINS INSIDE OUTSIDE CUT-OFF SMALLEST LARGEST".split(),
            "zone h100 1 5 0 0 5 5".split(), "nvlink h100 2 4 1 0 2 2".split()])
        code, out, _ = self.check(nodes, "-o", "json")
        answer = json.loads(out)
        self.assertEqual((code, answer["nodes"], answer["problems"]), (0, 5, []))
        self.assertEqual(answer["levels"][1], {"level": "nvlink", "pool": "h100", "domains": 2, "inside": 4, "outside": 1,
                                               "cutOff": 0, "smallest": 2, "largest": 2})

    def test_presets(self):
        """Labels as each source writes them, wide to narrow, for two racks of one spine."""
        new, old = "fabric.topograph.run/", "network.topology.nvidia.com/"
        cases = (
            ("{preset: topograph, levels: [core, spine, leaf, accelerator]}",
             (new + "tier-2", new + "tier-1", new + "tier-0", "accelerator.topograph.run/domain")),
            ("{preset: topograph, levels: [core, spine, leaf, accelerator]}", tuple(old + n for n in ("core", "spine", "leaf", "accelerator"))),
            ("{preset: topograph, levels: [core, spine, leaf]}", tuple(old + n for n in ("datacenter", "spine", "block"))),
            ("{preset: topograph}", (new + "tier-1", new + "tier-0")),
            ("{preset: nvlink}", ("nvidia.com/gpu.clique",)),
            ("{preset: aws}", tuple(f"topology.k8s.aws/network-node-layer-{i}" for i in (1, 2, 3))),
            ("{preset: gcp}", tuple(f"cloud.google.com/gce-topology-{n}" for n in ("block", "subblock"))),
            ("{preset: oci}", tuple(f"oci.oraclecloud.com/host.{n}" for n in ("network_block_id", "rack_id"))),
            ("{preset: coreweave, levels: [fabric, superpod, leafgroup, rack]}",
             tuple(f"ib.coreweave.cloud/{n}" for n in ("fabric", "superpod", "leafgroup")) + ("node.coreweave.cloud/rack",)),
            ("{preset: zone}", ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")),
        )
        for preset, keys in cases:
            with self.subTest(preset, keys=keys):
                policy = HEAD + f"topology: [{preset}]\npools: [{{name: h100, gpu: H100}}]\nclasses: [{{name: c}}]\nfallback: c\n"
                nodes = []
                for i in range(5):
                    labels = {key: "all" for key in keys[:-1]} | {keys[-1]: f"rack-{i // 2}.{i}" if "clique" in keys[-1] else f"rack-{i // 2}"}
                    nodes.append(node(f"n{i}", labels=labels if i < 4 else {}))
                code, out, errors = self.check(nodes, "-o", "json", policy=policy)
                self.assertEqual((code, errors), (0, ""), out)
                levels = json.loads(out)["levels"]
                self.assertEqual([(l["domains"], l["inside"], l["outside"]) for l in levels],
                                 [(1, 4, 1)] * (len(keys) - 1) + [(2, 4, 1)])

    def test_problems(self):
        nodes = [self.labelled(f"{i}", "h100", "ab"[i % 2], f"uuid{i // 2}.1") for i in range(4)]
        nodes.append(self.labelled("l", "l4", None, "uuid9.1"))
        code, out, _ = self.check(nodes, "-o", "json")
        problems = [(p["code"], p["level"], p["pool"]) for p in json.loads(out)["problems"]]
        self.assertEqual((code, problems), (2, [
            ("Misconfigured", "zone", "l4"), ("Misconfigured", "nvlink", "l4"), ("NameTwice", "nvlink", None),
            ("NothingTogether", "nvlink", None)]))
        code, out, _ = self.check(nodes)
        self.assertEqual(code, 2)
        self.assertIn("problem: level nvlink, pool l4: Misconfigured, none of 1 nodes is in a domain; 1 have the label "
                      "nvidia.com/gpu.clique, but lack that of a wider level\n", out)
        self.assertIn("like a/uuid0 and b/uuid0, which count as two\n", out)

    def online(self, kubeconfig, *args):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(self.POLICY)
            file.flush()
            ran = subprocess.run([BERTH, "topology", "check", "--policy", file.name, *args], text=True, timeout=40,
                                 capture_output=True, env={**os.environ, "KUBECONFIG": kubeconfig})
        return ran.returncode, ran.stdout, ran.stderr

    def test_of_a_cluster(self):
        """The same report, however many pages the list has."""
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        nodes = [self.labelled(f"n{i}", "h100", "ab"[i % 2], f"uuid{i // 3}.1" if i % 7 else None) for i in range(250)]
        for made in nodes:
            cluster.create("nodes", made)
        before = cluster.stats()["requests"]["list"]
        for args in [], ["-o", "json"]:
            self.assertEqual(self.online(cluster.kubeconfig, *args), self.check(nodes, *args))
        self.assertEqual(cluster.stats()["requests"]["list"] - before, 6)
        self.assertEqual(self.online("/nowhere", "--kubeconfig", cluster.kubeconfig), self.check(nodes))
        self.assertEqual(self.online("", "--kubeconfig", cluster.kubeconfig, "-f", "-")[:2], (2, ""))

    def test_a_cluster_that_does_not_answer(self):
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        cluster.faults({"rules": [{"method": "GET", "path": "/api/v1/nodes", "status": 403}]})
        code, out, errors = self.online(cluster.kubeconfig)
        self.assertEqual((code, out), (3, ""))
        self.assertIn("berth topology: the nodes cannot be read: the API server answered 403", errors)
        code, out, errors = self.online("/nowhere/kubeconfig")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("/nowhere/kubeconfig", errors)

    def test_what_cannot_be_read(self):
        self.assertEqual(self.check([], policy=HEAD + "classes: [{name: c}]\nfallback: c\n")[:2],
                         (0, "the policy has no topology: the host is the only level\n"))
        for nodes in "", "[]", "{", '{"items": 1}', '{"items": [{}]}', '{"items": [{"metadata": {"name": "a"}}}':
            code, out, errors = self.check(nodes)
            self.assertEqual((code, out), (2, ""), nodes)
            self.assertIn("berth topology: -: ", errors)


if __name__ == "__main__":
    unittest.main()
