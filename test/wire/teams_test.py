"""Teams in `berth serve`: limits, guarantees and who comes first, as kube-scheduler and people see them."""

import json
import subprocess
import time
import unittest

from harness import BERTH, NAMES, POLICY, Cluster, Daemon, free_port, node, wait_for

LIMIT = "the pod's team may use no more GPUs of this pool"
GATES = [{"name": "berth.dev/plan"}]

TEAMS = POLICY + """\
teams:
- {name: lab, limit: {h100: 16}}
- {name: llm, namespaces: [llm, llm-*], parent: lab, guaranteed: {h100: 4}, limit: {h100: 8}}
- {name: vision, namespaces: [vision], parent: lab}
- {name: other, namespaces: [other], guaranteed: {h100: 64}}
unlisted: {limit: {h100: 2}}
"""


def says(gang, size):
    return {"berth.dev/gang": gang, "berth.dev/gang-size": str(size)}


def cli(daemon, *args):
    done = subprocess.run([BERTH, *args, "--ops", f"127.0.0.1:{daemon.ops_port}"], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


class TeamsTest(unittest.TestCase):
    policy = TEAMS
    drive = False

    def setUp(self):
        port = free_port()
        self.cluster = Cluster(*(["--drive", f"http://127.0.0.1:{port}/v1"] if self.drive else []))
        self.addCleanup(self.cluster.stop)
        self.nodes()
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=port)
        self.addCleanup(self.daemon.stop)

    def nodes(self):
        for name in NAMES:
            self.cluster.node(name)

    def pod(self, name, namespace="llm", gpus=1, **more):
        thing = self.cluster.pod(name, namespace=namespace, gpus=gpus, **more)
        wait_for(lambda: self.daemon.explain(name, namespace)[0] == 200, what="the pod")
        return thing

    def bind(self, thing, names=NAMES):
        target = self.daemon.placed(thing, names)
        self.assertIsNotNone(target)
        self.assertEqual(self.daemon.bind(thing, target), (200, {"Error": ""}))
        return target

    def wake(self, name, namespace="llm"):
        return self.cluster.get_pod(name, namespace)["metadata"].get("annotations", {}).get("berth.dev/wake")

    def use(self, team, pool="h100"):
        rows = {t["name"]: t for t in self.daemon.state()["teams"]}[team]["pools"]
        return next((r for r in rows if r["pool"] == pool), None)

    def replace_policy(self, text):
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(text)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")


class Limits(TeamsTest):
    def test_a_pod_over_the_limit_is_told_and_woken_when_use_falls(self):
        self.bind(self.pod("a", gpus=6))
        over = self.pod("b", gpus=3)
        status, answer = self.daemon.filter(over, NAMES)
        self.assertEqual((status, answer["NodeNames"]), (200, []))
        reasons = list(answer["FailedAndUnresolvableNodes"].values())
        self.assertEqual((reasons.count(LIMIT), reasons.count("not enough free GPUs")), (2, 1))
        said = self.daemon.explain("b", "llm")[1]
        self.assertEqual((said["rejectedFor"], said["code"], said["team"]), ("TeamLimit", "TeamLimit", "llm"))
        self.assertEqual(said["teamBound"]["line"], "team llm uses 6 of 8 h100, asks 3")
        self.assertIn("\nteam llm uses 6 of 8 h100, asks 3\n", cli(self.daemon, "explain", "llm/b"))
        # What fits beside it goes on, in this team and in others.
        self.bind(self.pod("c", gpus=2))
        self.bind(self.pod("v", "vision", gpus=8))
        # The room stands on other nodes than the one that becomes free.
        later = self.pod("d", gpus=3)
        self.assertIsNone(self.daemon.placed(later, NAMES))
        self.assertIsNone(self.wake("b"))
        self.cluster.delete_pod("a", "llm")
        wait_for(lambda: self.wake("b"), 3, "the wake-up")
        self.assertEqual(self.bind(over) in NAMES, True)
        wait_for(lambda: self.wake("d"), 12, "the second's turn")
        self.bind(later)
        self.assertEqual(self.use("llm")["used"], 8)

    def test_only_as_many_are_woken_as_the_limit_takes(self):
        full = [self.pod(f"f{i}", gpus=1) for i in range(8)]
        for thing in full:
            self.bind(thing)
        waiting = [self.pod(f"w{i}", gpus=1) for i in range(6)]
        for thing in waiting:
            self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.cluster.delete_pod("f0", "llm")
        self.cluster.delete_pod("f1", "llm")
        wait_for(lambda: self.wake("w0") and self.wake("w1"), 3, "two wake-ups")
        time.sleep(1)
        self.assertEqual([bool(self.wake(f"w{i}")) for i in range(6)], [True, True] + [False] * 4)

    def test_the_limit_of_the_team_above(self):
        self.bind(self.pod("a", gpus=8))
        self.bind(self.pod("v", "vision", gpus=7))
        self.assertIsNone(self.daemon.placed(self.pod("w", "vision", gpus=2), NAMES))
        self.assertEqual(self.daemon.explain("w", "vision")[1]["teamBound"]["line"], "team lab uses 15 of 16 h100, asks 2")
        self.bind(self.pod("x", "vision", gpus=1))

    def test_other_pools_may_still_take_the_pod(self):
        self.cluster.create("nodes", node("t", gpus=4, product="Tesla-T4", memory=15360))
        wait_for(lambda: len(self.daemon.state()["nodes"]) == 4, what="the node")
        names = NAMES + ["t"]
        first = self.pod("a", gpus=8, nodeSelector={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"})
        self.bind(first, names)
        self.assertEqual(self.daemon.placed(self.pod("b", gpus=2), names), "t")

    def test_namespaces_in_no_team(self):
        self.bind(self.pod("a", "somewhere", gpus=2))
        self.assertIsNone(self.daemon.placed(self.pod("b", "elsewhere", gpus=1), NAMES))
        self.assertEqual(
            self.daemon.explain("b", "elsewhere")[1]["teamBound"]["line"], "team unlisted uses 2 of 2 h100, asks 1")
        self.assertEqual(self.daemon.placed(self.pod("c", "elsewhere", gpus=0), NAMES) in NAMES, True)

    def test_a_raised_limit_wakes(self):
        self.bind(self.pod("a", gpus=8))
        over = self.pod("b", gpus=4)
        self.assertIsNone(self.daemon.placed(over, NAMES))
        self.replace_policy(TEAMS.replace("limit: {h100: 8}", "limit: {h100: 12}"))
        wait_for(lambda: self.wake("b"), 3, "the wake-up")
        self.bind(over)

    def test_other_schedulers_pods_count(self):
        self.cluster.pod("x", namespace="llm", gpus=7, scheduler="default-scheduler", nodeName="n0")
        wait_for(lambda: (self.use("llm") or {}).get("used") == 7, what="the foreign pod")
        self.assertIsNone(self.daemon.placed(self.pod("a", gpus=2), NAMES))

    def test_what_is_shown(self):
        self.bind(self.pod("a", gpus=6))
        self.bind(self.pod("v", "vision", gpus=3))
        self.assertEqual(self.use("llm"), {
            "pool": "h100", "used": 6, "guaranteed": 4, "limit": 8, "borrowed": 2, "claim": 0})
        self.assertEqual((self.use("lab")["used"], self.use("vision")["borrowed"]), (9, 3))
        self.assertEqual(self.use("other")["claim"], 64)
        value = lambda team, state: self.daemon.metric(
            f'berth_team_gpus{{team="{team}",pool="h100",state="{state}"}}')
        self.assertEqual([value("llm", s) for s in ("used", "guaranteed", "limit", "borrowed")], [6, 4, 8, 2])
        self.assertIsNone(value("vision", "limit"))
        status = cli(self.daemon, "status").splitlines()
        self.assertIn(["llm", "lab", "h100", "6", "4", "8", "2"], [l.split() for l in status])
        self.assertIn(["vision", "lab", "h100", "3", "0", "-", "3"], [l.split() for l in status])
        self.assertIn("68 GPUs of pool h100 are guaranteed, it has 24", "\n".join(status))
        ready, lines = self.daemon.ready()
        self.assertEqual(ready, 200)
        self.assertIn("warn teams: 68 GPUs of pool h100 are guaranteed, it has 24", lines)


class Parts(TeamsTest):
    policy = POLICY + "teams:\n- {name: llm, namespaces: [llm], limit: {h100: 1}}\n"

    def nodes(self):
        allocatable = {"nvidia.com/gpu": "8"}
        self.cluster.node("n0", gpus=2, product="NVIDIA-H100-80GB-HBM3-SHARED", allocatable=allocatable,
                          labels={"nvidia.com/gpu.replicas": "4"})

    def test_shares_count_by_their_part(self):
        for i in range(4):
            self.bind(self.pod(f"p{i}"), ["n0"])
        self.assertEqual(self.use("llm")["used"], 1)
        self.assertIsNone(self.daemon.placed(self.pod("q"), ["n0"]))
        self.assertEqual(self.daemon.explain("q", "llm")[1]["teamBound"]["line"], "team llm uses 1 of 1 h100, asks 0.25")


class Gangs(TeamsTest):
    policy = TEAMS + "gate: {classes: [batch], scaleUpAfter: 1s}\n"
    drive = True

    def gang(self, name, size, gpus, namespace="llm", **more):
        return [self.cluster.pod(f"{name}-{i}", namespace=namespace, gpus=gpus, annotations=says(name, size),
                                 schedulingGates=GATES, **more) for i in range(size)]

    def bound(self, things):
        return sum(1 for t in things if self.cluster.get_pod(
            t["metadata"]["name"], t["metadata"]["namespace"])["spec"].get("nodeName"))

    def whole(self, things, seconds=20):
        wait_for(lambda: self.bound(things) == len(things), seconds, "the gang, whole")

    def gated(self, things):
        return all(self.cluster.get_pod(t["metadata"]["name"], t["metadata"]["namespace"])["spec"].get("schedulingGates")
                   for t in things)

    def delete(self, things):
        for thing in things:
            self.cluster.delete_pod(thing["metadata"]["name"], thing["metadata"]["namespace"])

    def queue(self):
        return self.daemon.ops.json("GET", "/v1/queue")[1]["gangs"]

    def test_a_gang_over_its_limit_waits_and_blocks_nobody(self):
        first = self.gang("first", 2, 3)
        self.whole(first)
        over = self.gang("over", 2, 2)
        wait_for(lambda: [g for g in self.queue() if g["code"] == "TeamLimit"], 10, "the reason")
        (told,) = self.queue()
        self.assertEqual((told["team"], told["teamBound"]), ("llm", "team llm uses 6 of 8 h100, asks 4"))
        self.assertIn("team llm uses 6 of 8 h100, asks 4", told["line"])
        self.assertIn("team llm uses 6 of 8 h100, asks 4", cli(self.daemon, "queue"))
        self.assertIn("  team llm uses 6 of 8 h100, asks 4\n", cli(self.daemon, "explain", "llm/over-0"))
        behind = self.gang("behind", 2, 4, "vision")
        self.whole(behind)
        # It lacks no room: autoscalers are not shown it.
        time.sleep(2.5)
        self.assertTrue(self.gated(over))
        self.assertNotIn("scaleUpAfter", cli(self.daemon, "explain", "llm/over-0"))
        self.assertEqual(self.bound(over), 0)
        self.delete(first)
        self.whole(over)

    def test_a_gang_without_room_is_shown_to_autoscalers(self):
        big = self.gang("big", 5, 8, "other")
        wait_for(lambda: not self.gated(big), 10, "its gates' end")

    def test_kueue_comes_first(self):
        queued = [self.cluster.pod(f"k-{i}", namespace="vision", gpus=1, annotations=says("k", 2),
                                   schedulingGates=GATES + [{"name": "kueue.x-k8s.io/admission"}]) for i in range(2)]
        time.sleep(1)
        self.assertEqual(self.bound(queued), 0)
        self.assertEqual([e for e in self.daemon.state()["ledger"]], [])
        for thing in queued:
            self.cluster.patch(f"/api/v1/namespaces/vision/pods/{thing['metadata']['name']}", {
                "spec": {"schedulingGates": GATES}})
        self.whole(queued)


class Guarantees(Gangs):
    policy = POLICY + """\
teams:
- {name: greedy, namespaces: [greedy]}
- {name: llm, namespaces: [llm], guaranteed: {h100: 8}}
gate: {classes: [batch]}
"""

    test_a_gang_over_its_limit_waits_and_blocks_nobody = None
    test_a_gang_without_room_is_shown_to_autoscalers = None
    test_kueue_comes_first = None

    def test_many_jobs_of_one_team_never_block_what_another_is_guaranteed(self):
        jobs = [self.gang(f"j{i:03}", 1, 8, "greedy") for i in range(500)]
        wait_for(lambda: len([e for e in self.daemon.state()["ledger"] if e["state"] == "bound"]) == 3, 30, "a full fleet")
        mine = self.gang("mine", 2, 4, "llm")
        wait_for(lambda: any(g["name"] == "mine" and g["position"] == 1 for g in self.queue()), 10, "the head of the line")
        running = next(j for j in jobs if self.bound(j) == 1)
        self.delete(running)
        self.whole(mine)
        # Beyond what is guaranteed it borrows, and stands behind those who were there before by what was spent.
        self.assertEqual(self.use("llm")["claim"], 0)


class Singles(TeamsTest):
    policy = POLICY + """\
teams:
- {name: greedy, namespaces: [greedy]}
- {name: llm, namespaces: [llm], guaranteed: {h100: 4}}
"""

    def nodes(self):
        self.cluster.node("n0", gpus=4)

    def test_room_goes_to_whom_it_is_guaranteed(self):
        for i in range(4):
            self.bind(self.pod(f"g{i}", "greedy"), ["n0"])
        waiting = [self.pod(f"w{i:02}", "greedy") for i in range(20)]
        for thing in waiting:
            self.assertIsNone(self.daemon.placed(thing, ["n0"]))
        mine = self.pod("mine")
        self.assertIsNone(self.daemon.placed(mine, ["n0"]))
        self.cluster.delete_pod("g0", "greedy")
        wait_for(lambda: self.wake("mine"), 3, "the wake-up")
        self.assertEqual([n for n in waiting if self.wake(n["metadata"]["name"], "greedy")], [])
        # Nor does a pod that asks in between take what it was woken for.
        self.assertIsNone(self.daemon.placed(self.pod("new", "greedy"), ["n0"]))
        self.assertEqual(self.daemon.placed(mine, ["n0"]), "n0")


class Book(TeamsTest):
    """What teams spend outlives the process."""

    policy = POLICY + """\
teams:
- {name: a, namespaces: [a]}
- {name: b, namespaces: [b], guaranteed: {h100: 8}}
"""
    path = "/api/v1/namespaces/default/configmaps/berth-usage"

    def kept(self):
        status, text = self.cluster.api.json("GET", self.path)
        return json.loads(text["data"]["usage"]) if status == 200 else None

    def spent(self, team):
        return next(t["spentGPUHours"] for t in self.daemon.state()["teams"] if t["name"] == team) * 3600

    def restart(self):
        self.assertEqual(self.daemon.process.stop(), 0)
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
        self.addCleanup(self.daemon.stop)

    def test_it_is_written_at_the_end_and_read_at_the_start(self):
        self.bind(self.pod("x", "a", gpus=8))
        self.bind(self.pod("y", "b", gpus=8))
        wait_for(lambda: self.spent("a") > 16, 10, "two seconds of eight GPUs")
        self.assertEqual(self.spent("b"), 0)
        self.assertLess(wait_for(self.kept, what="the first write")["gpuSeconds"]["a"], 16)
        self.restart()
        kept = self.kept()
        self.assertEqual(kept["version"], 1)
        self.assertGreaterEqual(kept["gpuSeconds"]["a"], 16)
        self.assertEqual(kept["gpuSeconds"]["b"], 0)
        wait_for(lambda: self.spent("a") >= kept["gpuSeconds"]["a"], 5, "what was kept")
        self.restart()
        self.assertGreater(self.kept()["gpuSeconds"]["a"], kept["gpuSeconds"]["a"])

    def test_what_others_wrote_there_is_replaced(self):
        self.cluster.create("configmaps", {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "berth-usage", "namespace": "default"},
            "data": {"usage": "{\"version\":7}", "more": "x"}})
        self.restart()
        time.sleep(1.5)
        self.restart()
        self.assertEqual(self.kept()["version"], 1)

    def test_without_the_right_it_is_done_without(self):
        self.assertEqual(self.daemon.process.stop(), 0)
        self.cluster.faults({"rules": [{"path": "/configmaps", "status": 403, "times": 1000}]})
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
        self.addCleanup(self.daemon.stop)
        wait_for(lambda: "info teams: what they spend is not kept" in self.daemon.ready()[1], 5, "the line")
        self.assertEqual(self.daemon.ready()[0], 200)
        self.assertEqual(self.daemon.process.stop(), 0)

    def test_without_teams_nothing_is_read_or_written(self):
        self.assertEqual(self.daemon.process.stop(), 0)
        self.cluster.faults({"rules": [{"path": "/configmaps/berth-usage", "status": 500, "times": 1000}]})
        before = self.cluster.stats()["faults"]
        self.daemon = Daemon(self.cluster.kubeconfig, policy=POLICY, port=self.daemon.port)
        self.addCleanup(self.daemon.stop)
        self.bind(self.pod("x", "a", gpus=8))
        time.sleep(1.5)
        self.assertEqual(self.daemon.process.stop(), 0)
        self.assertNotIn("configmap", self.daemon.process.stderr())
        self.assertEqual(self.cluster.stats()["faults"], before)


if __name__ == "__main__":
    unittest.main()
