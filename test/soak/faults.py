"""Faults between the daemon and the API server, and between kube-scheduler and the daemon, one after the other in a shuffled order,
again and again. Each counts by what it really met: requests at the server, connections at the proxy."""

import time

from cluster import policy

LISTS = {"pods": ("/api/v1/pods", (401, 403, 410, 503)), "nodes": ("/api/v1/nodes", (429, 503)), "jobs": ("/batch/v1/jobs", (403, 500))}
LONG_SILENCE_S = 70  # a watch is given up after 60 s of it
WORST_AFTER_S, WORST_S = 6, 8
MET_S = 4            # for how long a rule waits to be met at all


def rule(method, path, **more):
    return {"method": method, "path": path, **more}


BINDING = {
    **{f"binding {status}": [rule("POST", "/binding", status=status, times=3)] for status in (404, 409, 500, 503)},
    "binding 429": [rule("POST", "/binding", status=429, retryAfter=1, times=3)],
    "binding: answer lost": [rule("POST", "/binding", drop=True, times=3)],
    "binding: answer cut": [rule("POST", "/binding", cut=True, times=3)],
    "binding: slow": [rule("POST", "/binding", delayMs=1500, times=20)],
    "binding: lost, then unread": [rule("POST", "/binding", drop=True), rule("GET", "/pods/", status=500)],
}
PATCHES = {
    **{f"patch {status}": [rule("PATCH", "/pods/", status=status, times=2)] for status in (404, 409, 429, 500)},
    "patch: answer lost": [rule("PATCH", "/pods/", drop=True, times=2)],
    "patch: slow": [rule("PATCH", "/pods/", delayMs=800, times=4)],
}


class Faults:
    def __init__(self, parties, seconds):
        self.parties, self.api, self.chance = parties, parties.api(), parties.random("faults")
        self.kinds = {
            **{f"fault: {name}": lambda rules=rules: self.by_rule(rules) for name, rules in {**BINDING, **PATCHES}.items()},
            **{f"fault: list of {name} {status}": lambda path=path, status=status: self.at_relist(path, status=status)
               for name, (path, statuses) in LISTS.items() for status in statuses},
            "fault: list of pods cut": lambda: self.at_relist("/api/v1/pods", cut=True),
            "fault: list of nodes lost": lambda: self.at_relist("/api/v1/nodes", drop=True),
            "fault: watches dropped": lambda: self.post({"dropWatches": True}) and 3,
            "fault: history compacted": self.compact,
            "fault: watch late": self.late,
            "fault: API reset": lambda: parties.disturb("reset", "api"),
            "fault: API half a piece": lambda: parties.disturb("half", "api"),
            "fault: API frozen": lambda: parties.disturb("freeze", "api", 2),
            "fault: watches silent": lambda: parties.disturb("silence", "api", 4),
            "fault: scheduler reset": lambda: parties.disturb("reset", "verbs"),
            "fault: scheduler half a piece": lambda: parties.disturb("half", "verbs"),
            "fault: scheduler frozen": lambda: parties.disturb("freeze", "verbs", 1),
            "fault: policy reloaded": lambda: self.policy(True),
            "fault: policy broken": lambda: self.policy(False),
        }
        parties.counts.expect(*self.kinds, "fault: bindings held")
        self.long_silences = []
        if seconds > 3 * LONG_SILENCE_S:
            self.long_silences = [seconds / 8, seconds * 5 / 8]  # one in either half
            parties.counts.expect("fault: watches silent for long")
        self.revision = 0

    def post(self, faults):
        status, stats = self.api.call("POST", "/sim/faults", faults)
        assert status == 200, stats
        return stats

    def stats(self):
        return self.api.call("GET", "/sim/stats")[1]

    def by_rule(self, rules, **also):
        """How many requests met the rules."""
        wanted = sum(one.get("times", 1) for one in rules)
        before = self.post({"rules": rules, **also})["faults"]
        began, met = time.monotonic(), 0
        while met < wanted and time.monotonic() - began < (MET_S if met == 0 else 1):
            time.sleep(0.1)
            met = self.stats()["faults"] - before
        return self.post({"clear": True})["faults"] - before

    def at_relist(self, path, **what):
        """The watches end, what they have seen is forgotten, and the list or watch that follows fails."""
        return self.by_rule([rule("GET", path, **what)], compact=True, dropWatches=True)

    def compact(self):
        """Twice, so that what is written in between makes the history too old: the watch is told 410."""
        self.post({"compact": True, "watchLagMs": 300})
        time.sleep(0.3)
        before = self.post({"compact": True, "dropWatches": True, "watchLagMs": 0})["requests"]["list"]
        time.sleep(0.7)
        return self.stats()["requests"]["list"] - before  # none when all was seen in time

    def late(self):
        self.post({"watchLagMs": 1500})
        time.sleep(3)
        self.post({"watchLagMs": 0})
        return 1

    def policy(self, good):
        self.revision += 1
        daemon = self.parties.daemon
        daemon.write_policy(policy(self.revision) + ("" if good else "classes: [{name: }]\n"))
        before = time.monotonic()
        while time.monotonic() - before < 4:
            error = daemon.state()["policy"]["error"]
            if bool(error) != good:
                return 1
            time.sleep(0.2)
        return 0

    def worst(self):
        """First, in the warm-up, every Binding is held until the load pauses for it: nothing later parks as many calls."""
        self.parties.stop_load.wait(WORST_AFTER_S)
        before = self.post({"rules": [rule("POST", "/binding", hold=True, times=100000)]})["faults"]
        self.parties.stop_load.wait(WORST_S)
        return self.post({"clear": True, "release": True})["faults"] - before

    def quiet(self):
        self.post({"clear": True, "release": True, "watchLagMs": 0})
        self.policy(True)

    def run(self):
        self.parties.counts.add("fault: bindings held", self.worst())
        began = time.monotonic()
        queue = []
        while not self.parties.stop_load.wait(self.chance.uniform(0.1, 0.4)):
            if self.long_silences and time.monotonic() - began > self.long_silences[0]:
                self.long_silences.pop(0)
                self.parties.counts.add("fault: watches silent for long", self.parties.disturb("silence", "api", LONG_SILENCE_S))
                self.parties.stop_load.wait(LONG_SILENCE_S)  # others would end the silence
            if not queue:
                queue = self.chance.sample(list(self.kinds), len(self.kinds))
            kind = queue.pop()
            self.parties.counts.add(kind, self.kinds[kind]())
        self.quiet()
