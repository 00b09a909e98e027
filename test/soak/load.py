"""Pods that come and go, and nodes that change under them."""

import collections
import itertools
import time

from harness import node, pod

NAMESPACE = "team"
LIVE = 2400         # pods that exist at a time, by and large
PENDING_MAX = 300   # with more unplaced ones the stream pauses: the played scheduler is behind
WAVE_S = 40         # the number of pods swings by a sixth to either side in this time
RATE = 150          # pods a second at most
GPU = "nvidia.com/gpu"
YARD_NODES = 112
YARD = {"soak.berth.dev/yard": "true"}    # nodes of other schedulers' pods, and of all trouble
TIGHT = {"soak.berth.dev/tight": "true"}  # nodes that are asked for more than they have
MIG = "nvidia.com/mig-1g.10gb"
SHARED = "nvidia.com/gpu.shared"


def other_nodes():
    """What stands beside the cluster's synthetic nodes."""
    made = [node(f"yard-{i:03}", labels=YARD) for i in range(YARD_NODES)]
    made += [node(f"tight-{i:03}", labels=TIGHT) for i in range(6)]
    made += [node(f"l4-{i:03}", product="NVIDIA-L4", memory=23034) for i in range(32)]
    for i in range(60):
        cut = node(f"mig-{i:03}", gpus=4, product="NVIDIA-A100-SXM4-80GB", memory=81920, labels={
            "nvidia.com/gpu.count": "8", "nvidia.com/mig.strategy": "mixed", "nvidia.com/mig.capable": "true",
            f"{MIG}.count": "28", f"{MIG}.memory": "9728", f"{MIG}.replicas": "1",
            f"{MIG}.product": "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"})
        cut["status"]["allocatable"][MIG] = cut["status"]["capacity"][MIG] = "28"
        made.append(cut)
    for i in range(30):
        shared = node(f"shared-{i:03}", gpus=0, product="NVIDIA-A10", memory=23028, labels={
            "nvidia.com/gpu.count": "8", "nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.sharing-strategy": "time-slicing"})
        for part in ("allocatable", "capacity"):
            del shared["status"][part][GPU]
            shared["status"][part][SHARED] = "32"
        made.append(shared)
    for one in made:
        for part in ("allocatable", "capacity"):
            one["status"][part]["pods"] = "250"
    return made


def asking(name, resource, amount, **more):
    thing = pod(name, gpus=0, **more)
    resources = thing["spec"]["containers"][0]["resources"]
    resources["requests"][resource] = resources["limits"][resource] = str(amount)
    return thing


def annotated(**said):
    return {"annotations": {f"berth.dev/{key.replace('_', '-')}": value for key, value in said.items()}}


# kind: how many in a hundred, and the pod. Those of other schedulers keep to the yard: two schedulers do not see what the other is
# about to bind, and what stands outside of the yard is checked for being booked twice.
PODS = {
    "single of 1": (22, lambda name, _: pod(name)),
    "single of 2": (14, lambda name, _: pod(name, gpus=2)),
    "single of 4": (10, lambda name, _: pod(name, gpus=4)),
    "whole node": (5, lambda name, _: pod(name, gpus=8)),
    "no GPU": (3, lambda name, _: pod(name, gpus=0)),
    "MIG": (9, lambda name, chance: asking(name, MIG, chance.choice((1, 1, 2, 7)))),
    "share": (8, lambda name, chance: asking(name, SHARED, chance.choice((1, 1, 2)))),
    "advise": (5, lambda name, _: pod(name, namespace="asks")),
    "two containers": (3, lambda name, _: two_containers(name)),
    "by memory": (2, lambda name, _: pod(name, **annotated(gpu_memory="80Gi", dtype="bf16"))),
    "bad word": (1, lambda name, _: pod(name, **annotated(gpu_memory="much"))),
    "class refuses": (1, lambda name, _: pod(name, gpus=8, namespace="x-dev")),
    "too large": (1, lambda name, _: pod(name, gpus=9)),
    "volume": (1, lambda name, _: pod(name, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}])),
    "gated": (1, lambda name, _: pod(name, schedulingGates=[{"name": "example.com/quota"}])),
    "tight": (3, lambda name, _: pod(name, gpus=2, nodeSelector=TIGHT)),
    "urgent": (1, lambda name, _: pod(name, gpus=4, nodeSelector=TIGHT, priority=100, **annotated(**{"class": "urgent"}))),
    "in the yard": (4, lambda name, _: pod(name, gpus=4, nodeSelector=YARD)),
    "foreign": (4, lambda name, chance: pod(name, gpus=chance.choice((0, 1, 2)), scheduler="default-scheduler", nodeSelector=YARD)),
    "bound at birth": (2, lambda name, chance: pod(
        name, scheduler="other-scheduler", nodeName=f"yard-{chance.randrange(YARD_NODES):03}")),
}


def two_containers(name):
    """Sidecar, init container and overhead: a sum that is not that of the containers."""
    thing = pod(name)
    small = {"name": "log", "image": "x", "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}}}
    thing["spec"]["containers"].append(small)
    thing["spec"]["initContainers"] = [
        {**small, "name": "proxy", "restartPolicy": "Always"},
        {"name": "fetch", "image": "x", "resources": {"requests": {"cpu": "3", "memory": "128Mi"}}}]
    thing["spec"]["overhead"] = {"cpu": "100m"}
    return thing


class Load:
    """The stream of pods. `deleted` has when each was, by UID, until the end."""

    def __init__(self, parties):
        self.parties, self.api, self.chance = parties, parties.api(), parties.random("pods")
        self.numbers = itertools.count()
        self.live = collections.deque()
        self.urgent = collections.deque(maxlen=200)
        self.known = collections.deque(maxlen=500)  # names, for who asks about them
        self.deleted = {}
        self.pending = 0  # as the daemon counts them
        self.made = 0
        self.kinds, self.weights = list(PODS), [weight for weight, _ in PODS.values()]
        parties.counts.expect(*(f"pod: {kind}" for kind in PODS), "pod: deleted", "pod: runs to its end", "pod: ungated")

    def create(self, kind):
        thing = PODS[kind][1](f"{kind.replace(' ', '-').lower()}-{next(self.numbers)}", self.chance)
        if self.chance.random() < 0.3:
            thing["metadata"]["annotations"]["sim.berth.dev/run-for"] = str(self.chance.randint(3, 12))
            self.parties.counts.add("pod: runs to its end")
        space = thing["metadata"]["namespace"]
        status, made = self.api.call("POST", f"/api/v1/namespaces/{space}/pods", thing)
        if status != 201:
            assert status == 409, (status, made)  # tried again, and there already
            return
        name = (space, made["metadata"]["name"], made["metadata"]["uid"])
        self.live.append(name)
        self.known.append(name)
        self.made += 1
        self.parties.counts.add(f"pod: {kind}")
        if kind == "urgent":
            self.urgent.append(made)
        if kind == "gated":
            self.api.patch(f"/api/v1/namespaces/{space}/pods/{name[1]}", {"spec": {"schedulingGates": None}})
            self.parties.counts.add("pod: ungated")

    def delete(self, name):
        space, pod_name, uid = name
        seconds = self.chance.choice((0, 0, 1))
        self.api.call("DELETE", f"/api/v1/namespaces/{space}/pods/{pod_name}?gracePeriodSeconds={seconds}")
        self.deleted[uid] = time.time()
        self.parties.counts.add("pod: deleted")

    def goal(self, now):
        """A triangle over WAVE_S."""
        phase = now % WAVE_S / WAVE_S
        return LIVE * (1 + (abs(phase * 2 - 1) * 2 - 1) / 6)

    def run(self):
        """Until the load stops. A pod that came early goes early, mostly; some go before they are placed."""
        began = due = time.monotonic()
        while not self.parties.stop_load.is_set():
            now = time.monotonic()
            goal = self.goal(now - began)
            while len(self.live) > goal:
                self.live.rotate(-self.chance.randrange(20))
                self.delete(self.live.popleft() if self.chance.random() < 0.95 else self.live.pop())
            if self.pending < PENDING_MAX:
                kind = self.chance.choices(self.kinds, self.weights)[0]
                for _ in range(30 if self.chance.random() < 0.005 else 1):  # a burst makes a backlog
                    self.create(kind)
                if len(self.live) >= goal:
                    self.delete(self.live.popleft())
            due = max(due + 1 / RATE, now - 0.1)
            if due > now:
                time.sleep(due - now)


class Nodes:
    """Trouble in the yard, one node at a time, each put right before the load ends."""

    def __init__(self, parties):
        self.parties, self.api, self.chance = parties, parties.api(), parties.random("nodes")
        for thing in other_nodes():
            status, made = self.api.call("POST", "/api/v1/nodes", thing)
            assert status == 201, made
        self.names = [f"yard-{i:03}" for i in range(YARD_NODES)]
        self.ill = collections.deque()
        self.queue = []
        self.troubles = {
            "node: not ready": lambda name: self.condition(name, "Ready", "False"),
            "node: GPU ill": lambda name: self.condition(name, "GpuUnhealthy", "True"),
            "node: GPUs lost": lambda name: self.patch(name, {"status": {"allocatable": {GPU: "5"}}}, "/status"),
            "node: cordoned": lambda name: self.patch(name, {"spec": {"unschedulable": True}}),
            "node: tainted": lambda name: self.patch(name, {"spec": {"taints": [
                {"key": "example.com/gpu-error", "effect": "NoSchedule"}]}}),
            "node: relabelled": lambda name: self.patch(name, {"metadata": {"labels": {
                "nvidia.com/gpu.product": "NVIDIA-L4", "nvidia.com/gpu.memory": "23034"}}}),
            "node: removed": lambda name: self.api.call("DELETE", f"/api/v1/nodes/{name}"),
        }
        parties.counts.expect(*self.troubles, "node: returned")

    def patch(self, name, body, sub=""):
        return self.api.patch(f"/api/v1/nodes/{name}{sub}", body)

    def condition(self, name, kind, status):
        conditions = [{"type": "Ready", "status": "True"}, {"type": kind, "status": status}]
        self.patch(name, {"status": {"conditions": conditions[kind == "Ready":]}}, "/status")

    def heal(self, name):
        """As it was, by way of being made anew: pods that are bound to it stay."""
        self.api.call("DELETE", f"/api/v1/nodes/{name}")
        status, made = self.api.call("POST", "/api/v1/nodes", next(n for n in other_nodes() if n["metadata"]["name"] == name))
        assert status in (201, 409), made
        self.parties.counts.add("node: returned")

    def step(self):
        if not self.queue:
            self.queue = self.chance.sample(list(self.troubles), len(self.troubles))
        kind, name = self.queue.pop(), self.chance.choice([name for name in self.names if name not in self.ill])
        self.troubles[kind](name)
        self.parties.counts.add(kind)
        self.ill.append(name)
        if len(self.ill) > 12:
            self.heal(self.ill.popleft())

    def run(self):
        while not self.parties.stop_load.wait(0.7):
            self.step()
        while self.ill:
            self.heal(self.ill.popleft())


def pods_on(api, name):
    return api.call("GET", f"/api/v1/pods?fieldSelector=spec.nodeName={name}")[1]["items"]
