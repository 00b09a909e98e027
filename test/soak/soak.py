"""The soak: `berth serve` for minutes under load and faults, then, when all is quiet, what is left of it.

usage: python3 test/soak/soak.py [--minutes N] [--seed N]        BERTH_BIN says which build"""

import argparse
import calendar
import os
import re
import sys
import threading
import time
import traceback

import measure
from calls import Calls
from cluster import Parties
from faults import Faults
from harness import BERTH
from load import Load, Nodes

WARM_UP_S = 30
SLOPE_MAX = 0.01     # of the second half, where that is minutes
GROWTH_MAX = 0.30    # of the second half over the first, where it is seconds: the heap is still finding its size
SHORT_S = 300        # below this the soak is a short one
KINDS_LATE_S = 300   # how much longer the load goes on until every kind of fault has had its turn
QUIET_S = 90
SWEPT_S = 660        # a pod that only calls have shown is forgotten by then
UNSEEN_MAX = 3       # such pods at the end
LINE = re.compile(r"time=\S+ level=(\w+) msg=")
ERRORS_EXPECTED = ("policy not reloaded",)


class Soak:
    def __init__(self, seconds, seed):
        self.seconds, self.failures = seconds, []
        self.parties = Parties(seed)
        with open(BERTH, "rb") as f:
            self.sanitized = b"__asan_init" in f.read()
        self.ports = {self.parties.verbs_port: "verbs", self.parties.daemon.ops_port: "ops", self.parties.proxy_ports["api"]: "API"}
        self.at_first = self.descriptors()
        self.nodes, self.load = Nodes(self.parties), Load(self.parties)
        self.faults, self.calls = Faults(self.parties, seconds), Calls(self.parties, self.load)
        self.api = self.parties.api()
        self.broken = threading.Event()

    def check(self, name, trouble):
        """trouble: lines that say what is wrong; none = it holds."""
        trouble = list(trouble)
        print(f"{'FAIL' if trouble else 'ok  '} {name}", flush=True)
        for line in trouble[:20]:
            print(f"     {line}")
        if trouble:
            self.failures.append(name)

    # --- the load ---

    def guarded(self, player):
        """A player that ends early ends the soak."""
        try:
            player.run()
        except Exception:
            self.failures.append(type(player).__name__)
            print(f"FAIL {type(player).__name__}\n{traceback.format_exc()}", flush=True)
            self.broken.set()

    def play(self):
        """The warm-up, the time asked for, and what is still to come of each kind; the samples of resident memory."""
        over = self.parties.stop_load
        resident = measure.Resident(self.parties.pid, over)
        players = [threading.Thread(target=self.guarded, args=(one,)) for one in (self.load, self.nodes, self.faults, self.calls)]
        for one in players:
            one.start()
        began = said = time.monotonic()
        end = began + WARM_UP_S + self.seconds
        while not self.broken.wait(0.5):
            now = time.monotonic()
            if now > end + KINDS_LATE_S or (now > end and not self.parties.counts.missing()):
                break
            if now - said > 60 and self.alive():
                said = now
                print(f"{now - began:5.0f} s  {self.load.made} pods made, {len(self.load.live)} there, {self.load.pending:.0f} unplaced, "
                      f"{measure.resident_kib(self.parties.pid)} KiB", flush=True)
            if not self.alive():
                self.failures.append("the daemon")
                break
        over.set()
        for one in (*players, resident.thread):
            one.join()
        return resident

    def alive(self):
        return self.parties.daemon.process.process.poll() is None

    # --- memory ---

    def check_memory(self, resident):
        end = WARM_UP_S + self.seconds
        middle = WARM_UP_S + self.seconds / 2
        first, second = resident.between(WARM_UP_S, middle), resident.between(middle, end)
        if min(len(first), len(second)) < 5:
            self.check("resident memory", ["too few samples"])
            return
        rise = measure.growth(second)
        step = max(1, len(resident.samples) // 40)
        print(f"every {step} s, KiB:", *(kib for _, kib in resident.samples[::step]))
        more = measure.mean(second) / measure.mean(first) - 1
        most = max(kib for _, kib in resident.samples)
        print(f"resident memory: mean of the halves {measure.mean(first):.0f} and {measure.mean(second):.0f} KiB ({more:+.2%}), most {most} KiB, "
              f"slope over the last {self.seconds / 2:.0f} s {rise:+.2%}")
        if self.sanitized:
            print("with sanitizers memory says nothing; leaks are told when the daemon ends")
        elif self.seconds < SHORT_S:
            self.check("resident memory of the second half", [f"{more:+.1%}, at most {GROWTH_MAX:.0%}"] if more > GROWTH_MAX else [])
        else:
            self.check("slope of resident memory", [f"{rise:+.2%}, under {SLOPE_MAX:.0%}"] if rise >= SLOPE_MAX else [])

    # --- when it is quiet ---

    def pods(self):
        """The list, and its resourceVersion."""
        status, listed = self.api.call("GET", "/api/v1/pods")
        assert status == 200, listed
        return listed["items"], listed["metadata"]["resourceVersion"]

    def compared(self, state_of):
        """What a state says of the ledger that a list taken at the same time does not; None when something changed in between."""
        before, version = self.pods()
        state = state_of()
        after = self.pods()[1]
        if version != after:
            return None
        return self.differences(measure.ledger_of(before), measure.ledger_in(state)) + [
            f"{e['pod']} is still {e['state']} on {e['node']}" for e in state["ledger"] if e["state"] != "bound"]

    @staticmethod
    def differences(right, said):
        return [f"{uid}: {said.get(uid)}, by the objects {right.get(uid)}"
                for uid in sorted(right.keys() | said.keys()) if right.get(uid) != said.get(uid)]

    def settled(self, state_of):
        """The last comparison; waits until there is nothing to say, or QUIET_S."""
        end = time.monotonic() + QUIET_S
        while True:
            found = self.compared(state_of)
            if found == [] or (time.monotonic() > end and found):
                return found
            if time.monotonic() > end + QUIET_S:
                return ["the cluster does not come to rest"]
            time.sleep(0.5)

    def check_ledger(self):
        daemon = self.parties.daemon
        self.check("the ledger is that of a fresh list, and nothing is reserved", self.settled(daemon.state))
        pods, _ = self.pods()
        nodes = self.api.call("GET", "/api/v1/nodes")[1]["items"]
        fixed = [thing for thing in nodes if not thing["metadata"]["name"].startswith("yard-")]
        self.check("nothing outside of the yard is booked twice", measure.overbooked(fixed, measure.ledger_of(pods)))
        print(f"at rest: {len(nodes)} nodes, {len(pods)} pods, {len(daemon.state()['ledger'])} in the ledger, "
              f"{len(daemon.state()['waiting'])} waiting")

    def check_second(self):
        """A daemon that begins now, beside the old one."""
        second = self.parties.start_daemon(self.parties.cluster.kubeconfig)
        try:
            self.check("a daemon that starts now has the same ledger", self.settled(second.state))
            old, new = ({n["name"]: n for n in one.state()["nodes"]} for one in (self.parties.daemon, second))
            self.check("and the same nodes", [f"{name}: {old.get(name)}, now {new.get(name)}"
                                              for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)])
        finally:
            second.stop()

    def check_waiting(self):
        """A filter call that came later than the pod's end leaves a trace until it is swept. So does, now and then, a pod that was made
        and deleted while the watch was away: only calls ever showed it."""
        state, now = self.parties.daemon.state(), time.time()
        there = {p["metadata"]["uid"] for p in self.pods()[0] if not p["spec"].get("nodeName")}
        gone = []
        for entry in state["waiting"]:
            uid, deleted, since = entry["uid"], self.load.deleted.get(entry["uid"]), self.wall(entry["since"])
            if uid not in there and uid not in self.calls.ghosts and not (deleted and since >= deleted - 1):
                gone.append((now - since, f"{entry}: deleted {deleted and time.strftime('%H:%M:%S', time.gmtime(deleted))}"))
        unseen = len(gone) <= UNSEEN_MAX and all(age < SWEPT_S for age, _ in gone)
        self.check("no pod waits that is gone", [] if unseen else [text for _, text in gone])
        if gone and unseen:
            print(f"     but {len(gone)} that no watch ever showed, to be swept")

    def stuck(self):
        """Pods that wait although they would fit. Who is asked about and gone by then is not."""
        daemon = self.parties.daemon
        for entry in daemon.state()["waiting"]:
            status, answer = daemon.ops.json("GET", f"/v1/explain?pod={entry['pod']}")
            if status == 200 and answer["state"] == "waiting" and answer["fits"] and entry["uid"] not in self.calls.ghosts:
                yield f"{entry} fits on {answer['fits']} nodes, such as {answer['best']['node']}"

    def check_stuck(self):
        end = time.monotonic() + QUIET_S
        while (found := list(self.stuck())) and time.monotonic() < end:
            time.sleep(2)
        self.check("no pod waits that would fit", found)

    @staticmethod
    def wall(text):
        import calendar
        return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))

    def ask_api(self):
        """Makes the daemon ask the API server for a pod, on whatever connection it has or makes for that."""
        self.parties.daemon.verbs.json("POST", "/v1/bind", {
            "PodName": "nobody", "PodNamespace": "team", "PodUID": "nobody-uid", "Node": "yard-000"})

    def descriptors(self):
        self.ask_api()
        return measure.descriptors(self.parties.pid, self.ports)

    def check_descriptors(self):
        """Kept connections are ended at their other ends, half requests are left to the daemon: then no more than those of before are
        left. libcurl looks at what it keeps only when it needs a connection."""
        for thing in self.pods()[0]:
            if not thing["spec"].get("nodeName"):  # nobody is to be tried again
                meta = thing["metadata"]
                self.api.call("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}?gracePeriodSeconds=0")
        self.calls.close_silent()
        end, now = time.monotonic() + QUIET_S, None
        while (now is None or now - self.at_first) and time.monotonic() < end:
            for name in ("verbs", "api"):
                self.parties.disturb("reset", name)
            for _ in range(5):
                time.sleep(2)
                now = self.descriptors()
                if not now - self.at_first:
                    break
        print(f"descriptors: {sum(self.at_first.values())} at the start, {sum(now.values())} at the end")
        self.check("no more descriptors than at the start", [
            f"{kind}: {self.at_first[kind]} at the start, {now[kind]} now" for kind in sorted(now - self.at_first)])
        self.calls.close()

    # --- the end ---

    def check_log(self, log):
        wrong = []
        for line in log.splitlines():
            found = LINE.match(line)
            if not found or (found[1] == "error" and not any(text in line for text in ERRORS_EXPECTED)) or "bug" in line:
                wrong.append(line[:300])
        self.check("nothing in the log that should not be there", wrong)

    def say_counts(self):
        for kind, number in sorted(self.parties.counts.by_kind.items()):
            print(f"  {kind:40} {number}")
        text = self.parties.daemon.ops.call("GET", "/metrics")[1].decode()
        for line in text.splitlines():
            if re.match("berth_(calls|decisions|wakeups|hints)_total|berth_watch_relists", line):
                print(f"  {line}")
        wanted = ['berth_calls_total{verb="filter"', 'berth_calls_total{verb="bind"', 'berth_wakeups_total{', "berth_hints_total "]
        silent = [name for name in wanted if not any(l.startswith(name) and float(l.rsplit(" ", 1)[1]) for l in text.splitlines())]
        self.check("every kind had its turn", self.parties.counts.missing() + silent)

    def run(self):
        resident = self.play()
        if self.alive():
            self.say_counts()
            self.check_memory(resident)
            self.check_ledger()
            self.check_waiting()
            self.check_stuck()
            self.check_second()
            self.check_descriptors()
        code, log = self.parties.stop()
        self.check("the daemon ends as told", [f"exit code {code}"] if code else [])
        self.check_log(log)
        if self.failures and log:
            print("the daemon's last words:\n" + log[-3000:])
        return not self.failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("SOAK_MINUTES", 1)))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"soak: {options.minutes:g} minutes, seed {options.seed}", flush=True)
    sys.exit(0 if Soak(options.minutes * 60, options.seed).run() else 1)


main()
