"""What the soak reads off the daemon from outside: resident memory, descriptors, and a ledger of its own."""

import collections
import os
import threading
import time

LISTEN, ESTABLISHED, UNIX = "0A", "01", "unix"
STATES = {LISTEN: "listening", ESTABLISHED: "connected", "08": "left by the peer"}


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS:")).split()[1])


class Resident:
    """Samples VmRSS once a second."""

    def __init__(self, pid, over):
        self.pid, self.over = pid, over
        self.samples = []  # (seconds, KiB)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        began = time.monotonic()
        while not self.over.wait(1):
            self.samples.append((time.monotonic() - began, resident_kib(self.pid)))

    def between(self, low, high):
        return [(t, kib) for t, kib in self.samples if low <= t < high]


def mean(samples):
    return sum(kib for _, kib in samples) / len(samples)


def growth(samples):
    """By least squares: the rise of the line over the samples' time, as a share of their mean."""
    middle = sum(t for t, _ in samples) / len(samples)
    average = mean(samples)
    slope = sum((t - middle) * (kib - average) for t, kib in samples) / sum((t - middle) ** 2 for t, _ in samples)
    return slope * (samples[-1][0] - samples[0][0]) / average


def sockets():
    """inode → (state, local port, remote port) of this machine's sockets; a TCP socket in no state is in no table."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as f:
            for line in list(f)[1:]:
                words = line.split()
                found[words[9]] = (words[3], *(int(end.rsplit(":", 1)[1], 16) for end in words[1:3]))
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as f:
        for line in list(f)[1:]:
            found[line.split()[6]] = (UNIX, 0, 0)
    return found


def descriptors(pid, ports):
    """Open descriptors by kind; `ports` names those that tell a socket's kind."""
    known, kinds = sockets(), collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if not target.startswith("socket:"):
            kinds[target.split(":[")[0] if target.startswith("pipe") else target] += 1
            continue
        state, local, remote = known.get(target[8:-1], ("closed", 0, 0))
        name = ports.get(local) or ports.get(remote) or "socket"
        kinds[f"{name}, {STATES.get(state, state)}"] += 1
    return kinds


# --- the ledger, once more ---

UNITS = {"m": None, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "": 1}


def amount(resource, text):
    number = text.rstrip("mKMGi")
    unit = text[len(number):]
    if resource == "cpu":
        return int(number) if unit == "m" else int(number) * 1000
    return int(number) * UNITS[unit]


def requests(parts):
    total = collections.Counter()
    for part in parts:
        for resource, text in part.get("resources", {}).get("requests", {}).items():
            total[resource] += amount(resource, text)
    return total


def demand(thing):
    """Containers and sidecars together, or the most of any step of the start; overhead on top."""
    spec = thing["spec"]
    sidecars, start = collections.Counter(), collections.Counter()
    for one in spec.get("initContainers", ()):
        if one.get("restartPolicy") == "Always":
            sidecars += requests([one])
            start |= sidecars
        else:
            start |= requests([one]) + sidecars
    total = (requests(spec["containers"]) + sidecars) | start
    for resource, text in spec.get("overhead", {}).items():
        total[resource] += amount(resource, text)
    total["pods"] = 1
    return dict(total)


def ledger_of(pods):
    """UID → (pod, node, demand) of all that hold room, from the objects alone."""
    return {p["metadata"]["uid"]: (f"{p['metadata']['namespace']}/{p['metadata']['name']}", p["spec"]["nodeName"], demand(p))
            for p in pods if p["spec"].get("nodeName") and p.get("status", {}).get("phase") not in ("Succeeded", "Failed")}


def ledger_in(state):
    """The same from /v1/state."""
    return {e["uid"]: (e["pod"], e["node"], e["requests"]) for e in state["ledger"]}


def overbooked(nodes, ledger):
    """Lines on nodes of which more is taken than there is."""
    used = collections.defaultdict(collections.Counter)
    for _, target, taken in ledger.values():
        used[target].update(taken)
    for thing in nodes:
        name = thing["metadata"]["name"]
        for resource, text in thing["status"]["allocatable"].items():
            if used[name][resource] > amount(resource, text):
                yield f"{name}: {used[name][resource]} {resource} of {text}"
