"""GPUs as node labels tell of them: what each kind of node takes, and what the classes of a policy let onto it. The nodes are
sent whole, so that one daemon with an empty cluster judges them all and reserves nothing."""

import itertools
import unittest

from harness import Cluster, Daemon, node, pod

POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools:
- {name: h100, gpu: H100}
- {name: a100, gpu: A100}
- {name: l4, gpu: L4}
- {name: t4, nodeSelector: {matchLabels: {accelerator: nvidia-t4}}}
classes:
- name: dev
  match: [{namespaces: ["*-dev"]}, {owners: [Notebook]}]
  only: [t4, a100]
  maxGPUsPerPod: 2
- name: inference
  match: [{owners: [Deployment, StatefulSet, LeaderWorkerSet]}]
  prefer: [l4, a100, h100, t4]
  assume: [bf16]
- name: by-name
  maxGPUsPerPod: 3
- name: batch
fallback: batch
health:
  avoid: [{nodeCondition: GpuUnhealthy, is: "True"}, {taintKey: nvidia.com/gpu-error}]
"""

PLAIN = {"cpu": "64", "memory": "512Gi", "pods": "110"}
uids = itertools.count()


def asks(resource="nvidia.com/gpu", amount=1, owner=None, labels=None, said=None, **more):
    """A pod that asks for one kind of GPU; `said` are berth.dev annotations."""
    thing = pod("p", gpus=0, uid=f"u-{next(uids)}", annotations={f"berth.dev/{k}": v for k, v in (said or {}).items()}, **more)
    resources = thing["spec"]["containers"][0]["resources"]
    for part in ("requests", "limits"):
        resources[part][resource] = str(amount)
    thing["metadata"]["labels"] = labels or {}
    if owner:
        thing["metadata"]["ownerReferences"] = [{"kind": owner, "name": "o", "uid": "o-1", "controller": True}]
    return thing


def offers(amounts, labels, name="n"):
    """A node with these resources and no other labels."""
    made = node(name, gpus=0)
    made["metadata"]["labels"] = labels
    made["status"]["allocatable"] = made["status"]["capacity"] = {**PLAIN, **{k: str(v) for k, v in amounts.items()}}
    return made


def gfd(product, memory, count, replicas=1, **more):
    labels = {"product": product, "memory": memory, "count": count, "replicas": replicas, **more}
    return {f"nvidia.com/gpu.{key.replace('_', '-')}": str(value) for key, value in labels.items()}


H100 = node("h100")
T4 = node("t4", gpus=4, product="Tesla-T4", memory=15360, labels={"accelerator": "nvidia-t4"})
L4 = node("l4", gpus=4, product="NVIDIA-L4", memory=23034)
A100 = node("a100", product="NVIDIA-A100-SXM4-80GB", memory=81920)
CLASS = "the pod's class does not allow this pool"
MANY = "the pod asks for more GPUs than its class allows a pod"
MEMORY = "GPU memory too small"
DTYPE = "GPU lacks the number format needed"


class Gpus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.daemon = Daemon(cls.cluster.kubeconfig, policy=POLICY)
        cls.addClassCleanup(cls.daemon.stop)

    def answer(self, thing, *nodes):
        """The name of the node chosen, or the set of reasons."""
        status, answer = self.daemon.verbs.json(
            "POST", "/v1/filter", {"Pod": thing, "Nodes": {"items": list(nodes)}, "NodeNames": None})
        self.assertEqual(status, 200, answer)
        items = (answer.get("Nodes") or {}).get("items") or []
        return items[0]["metadata"]["name"] if items else set(answer["FailedAndUnresolvableNodes"].values())

    def takes(self, thing, *nodes):
        self.assertIsInstance(self.answer(thing, *nodes), str)

    def refuses(self, reason, thing, *nodes):
        self.assertEqual(self.answer(thing, *nodes), {reason})

    def test_nominal_memory_sizes(self):
        for size, taken in {"24Gi": L4, "16Gi": T4, "80Gi": H100, "85899345920": A100}.items():
            self.takes(asks(said={"gpu-memory": size}), taken)
        for size, refused in {"25Gi": L4, "24Gi": T4, "86Gi": H100}.items():
            self.refuses(MEMORY, asks(said={"gpu-memory": size}), refused)
        self.assertEqual(self.answer(asks(labels={"berth.dev/gpu-memory": "30Gi"}), L4, T4, A100), "a100")
        self.takes(asks(said={"gpu-memory": "10Gi"}, labels={"berth.dev/gpu-memory": "90Gi"}), L4)

    def test_label_before_catalogue_before_nothing(self):
        ask = asks(said={"gpu-memory": "80Gi"})
        self.takes(ask, offers({"nvidia.com/gpu": 8}, {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}))
        self.refuses(MEMORY, ask, offers({"nvidia.com/gpu": 8}, gfd("NVIDIA-H100-80GB-HBM3", 40000, 8)))
        self.takes(ask, offers({"nvidia.com/gpu": 8}, gfd("NVIDIA-X9", 90000, 8)))
        self.refuses(MEMORY, ask, offers({"nvidia.com/gpu": 8}, {}))

    def test_mig_instances(self):
        mixed = offers(
            {"nvidia.com/gpu": 4, "nvidia.com/mig-1g.10gb": 7, "nvidia.com/mig-3g.40gb": 2},
            {**gfd("NVIDIA-A100-SXM4-80GB", 81920, 6), "nvidia.com/mig.strategy": "mixed",
             "nvidia.com/mig-1g.10gb.memory": "9728", "nvidia.com/mig-1g.10gb.count": "7"})
        small, large = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"
        self.takes(asks(small, said={"gpu-memory": "10Gi"}), mixed)
        self.refuses(MEMORY, asks(small, said={"gpu-memory": "20Gi"}), mixed)
        self.takes(asks(large, said={"gpu-memory": "40Gi"}), mixed)
        self.takes(asks(said={"gpu-memory": "80Gi"}), mixed)
        self.takes(asks(small, 2, namespace="a-dev"), mixed)
        self.refuses(MANY, asks(small, 3, namespace="a-dev"), mixed)
        single = offers({"nvidia.com/gpu": 14}, gfd("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", 9728, 14))
        self.takes(asks(said={"gpu-memory": "10Gi"}, namespace="a-dev"), single)
        self.refuses(MEMORY, asks(said={"gpu-memory": "20Gi"}), single)

    def test_shares(self):
        def shared(strategy, resource="nvidia.com/gpu", product="NVIDIA-L4-SHARED"):
            return offers({resource: 16}, gfd(product, 23034, 4, 4, sharing_strategy=strategy))

        for made in shared("time-slicing"), shared("time-slicing", "nvidia.com/gpu.shared", "NVIDIA-L4"):
            resource = next(r for r in made["status"]["allocatable"] if r.startswith("nvidia.com/"))
            self.takes(asks(resource, 10, said={"gpu-memory": "24Gi"}), made)
            self.refuses(MANY, asks(resource, 3, namespace="a-dev"), made)
        mps = shared("mps")
        self.takes(asks(said={"gpu-memory": "5Gi"}), mps)
        self.refuses(MEMORY, asks(said={"gpu-memory": "24Gi"}), mps)

    def test_mixed_models_and_missing_gpus(self):
        two_models = offers({"nvidia.com/gpu": 6}, gfd("NVIDIA-H100-80GB-HBM3", 81559, 2))
        self.takes(asks(amount=6), two_models)
        self.refuses(MEMORY, asks(said={"gpu-memory": "20Gi"}), two_models)
        self.refuses(DTYPE, asks(said={"dtype": "fp32"}), two_models)
        degraded = node("degraded", allocatable={"nvidia.com/gpu": "3"})
        self.takes(asks(amount=3), degraded)
        self.refuses("free GPUs are unhealthy", asks(amount=4), degraded)
        self.refuses("node too small for the pod even when empty", asks(amount=9), degraded)
        self.refuses("node does not have the kind of GPU asked for", asks("amd.com/gpu"), H100)

    def test_other_vendors(self):
        mi300 = offers({"amd.com/gpu": 8}, {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM", "amd.com/gpu.vram": "192G"})
        intel = offers({"gpu.intel.com/xe": 8}, {"gpu.intel.com/product": "Max_1550"})
        unknown = offers({"gpu-vendor.example/example-gpu": 8}, {})
        for resource, made in ("amd.com/gpu", mi300), ("gpu.intel.com/xe", intel):
            self.takes(asks(resource, 8, said={"gpu-memory": "128Gi", "dtype": "bf16"}), made)
        resource = "gpu-vendor.example/example-gpu"
        self.takes(asks(resource, 8), unknown)
        self.refuses(DTYPE, asks(resource, said={"dtype": "fp32"}), unknown)
        self.refuses(MANY, asks(resource, 3, namespace="a-dev"), unknown)

    def test_number_formats(self):
        v100 = offers({"nvidia.com/gpu": 8}, gfd("Tesla-V100-SXM2-16GB", 16384, 8))
        served = {"owner": "ReplicaSet"}
        for old in T4, v100:
            self.refuses(DTYPE, asks(**served), old)
            self.takes(asks(**served, said={"dtype": "fp16"}), old)
            self.takes(asks(), old)
        new = gfd("NVIDIA-X9", 90000, 8)
        proven = {"nvidia.com/gpu.compute.major": "9", "nvidia.com/gpu.compute.minor": "0"}
        self.refuses(DTYPE, asks(**served), offers({"nvidia.com/gpu": 8}, new))
        self.takes(asks(**served), offers({"nvidia.com/gpu": 8}, new | proven))
        self.refuses("a berth.dev annotation of the pod cannot be read", asks(said={"dtype": "bfloat16"}), H100)

    def test_hard_limits_of_a_class(self):
        self.assertEqual(self.answer(asks(namespace="a-dev"), H100, T4), "t4")
        self.refuses(CLASS, asks(namespace="a-dev"), H100)
        self.refuses(MANY, asks(amount=3, namespace="a-dev"), A100)
        self.takes(pod("cpu", gpus=0, uid="cpu", namespace="a-dev"), H100)
        starts = asks(namespace="a-dev")
        starts["spec"]["initContainers"] = [{"name": "i", "image": "x", "resources": {"requests": {"nvidia.com/gpu": "3"}}}]
        self.refuses(MANY, starts, A100)

    def test_class_by_name(self):
        self.takes(asks(amount=3, said={"class": "by-name"}), H100)
        self.refuses(MANY, asks(amount=4, said={"class": "by-name"}), H100)
        self.takes(asks(said={"class": "batch"}, labels={"berth.dev/class": "no-such"}), H100)
        self.refuses("the pod names a class that the policy does not have", asks(labels={"berth.dev/class": "no-such"}), H100)
        self.refuses("the pod names a class whose match it does not meet", asks(said={"class": "dev"}), H100)
        for name in "batch", "by-name":
            self.refuses(CLASS, asks(namespace="a-dev", said={"class": name}), H100)

    def test_owners(self):
        for owner, labels in (("Notebook", {}), ("StatefulSet", {"notebook-name": "n"})):
            self.refuses(CLASS, asks(owner=owner, labels=labels), H100)
        for owner in "ReplicaSet", "StatefulSet":
            self.assertEqual(self.answer(asks(owner=owner), A100, H100, L4), "l4")

    def test_two_pools_are_none(self):
        both = node("both", product="NVIDIA-A100-SXM4-80GB", memory=81920, labels={"accelerator": "nvidia-t4"})
        self.refuses("node is in two pools by its labels", asks(namespace="a-dev"), both)
        self.takes(asks(), both)
        self.assertEqual(self.answer(asks(owner="ReplicaSet"), both, H100), "h100")

    def test_nodes_that_the_gpu_operator_works_on(self):
        state, config = "nvidia.com/gpu-driver-upgrade-state", "nvidia.com/gpu.workload.config"
        for value in "cordon-required", "drain-required", "pod-restart-required", "upgrade-failed":
            made = node("n", labels={state: value})
            self.refuses("GPU driver of the node is being upgraded", asks(), made)
            self.takes(pod("cpu", gpus=0, uid="cpu"), made)
        self.takes(asks(), node("n", labels={state: "upgrade-done"}))
        # All nodes are due at once: they still work, but one that is not due is better.
        due = node("a-due", labels={state: "upgrade-required"})
        self.takes(asks(), due)
        self.assertEqual(self.answer(asks(), due, node("b")), "b")
        for value in "vm-passthrough", "vm-vgpu":
            self.refuses("node gives its GPUs to virtual machines", asks(), node("n", labels={config: value}))
        self.takes(asks(), node("n", labels={config: "container"}))

    def test_avoided_nodes(self):
        ill = node("ill", conditions=[{"type": "GpuUnhealthy", "status": "True"}])
        error = node("error", spec={"taints": [{"key": "nvidia.com/gpu-error", "effect": "PreferNoSchedule"}]})
        for made in ill, error:
            self.refuses("node avoided for its health", asks(tolerations=[{"operator": "Exists"}]), made)
        self.takes(asks(), node("well", conditions=[{"type": "GpuUnhealthy", "status": "False"}]))

    def test_pods_without_gpus_go_where_none_are(self):
        self.assertEqual(self.answer(pod("cpu", gpus=0, uid="cpu"), H100, offers({}, {}, "plain"), T4), "plain")


if __name__ == "__main__":
    unittest.main()
