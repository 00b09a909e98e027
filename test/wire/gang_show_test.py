"""What people are told of gangs: `berth explain`, word for word on planted cases."""

import calendar
import json
import re
import subprocess
import time
import unittest

from gang_test import GATES, GangTest, says
from harness import BERTH, POLICY, free_port, wait_for

RACKS = POLICY.replace("classes:", """\
topology:
- {level: block, nodeLabel: example.com/block}
- {level: rack, nodeLabel: example.com/rack}
classes:""").replace("- name: batch\n", "- name: batch\n  gang: {require: block}\n")
GATED = RACKS + "gate: {classes: [batch], scaleUpAfter: 5m}\n"


def settled(text):
    """Without what differs from run to run."""
    text = re.sub(r"\b\d+ (s|min)\b", "N s", text)
    return re.sub(r"\b[0-9a-f]{8,}-[0-9a-f]+\b", "PLAN", text)


class ShowTest(GangTest):
    """Two blocks of two racks of two nodes of 8 GPUs, and a node that is in no block."""

    policy = RACKS

    def setUp(self):
        super().setUp()
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(self.policy)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy of the test")

    def nodes(self):
        for block in "ab":
            for rack in "xy":
                for i in "01":
                    self.cluster.node(f"{block}{rack}{i}", labels={
                        "example.com/block": block, "example.com/rack": rack})
        self.cluster.node("lone")

    def run_berth(self, *args):
        done = subprocess.run([BERTH, *args, "--ops", f"127.0.0.1:{self.daemon.ops_port}"], capture_output=True,
                              text=True, timeout=30, check=False)
        self.assertEqual(done.stderr, "")
        self.assertTrue(all(line == line.rstrip() for line in done.stdout.splitlines()), done.stdout)
        return done.returncode, done.stdout

    def explained(self, name):
        """Exit code, the gang in JSON, and what is printed of it."""
        code, text = self.run_berth("explain", f"team/{name}")
        again, answer = self.run_berth("explain", f"team/{name}", "-o", "json")
        self.assertEqual(code, again)
        start = text.index("gang ")
        end = text.find("the pod alone", start)
        return code, json.loads(answer)["gang"], settled(text[start:end if end >= 0 else None])

    def in_state(self, name, state):
        return wait_for(lambda: self.daemon.explain(name)[1].get("gang", {}).get("state") == state, what=state)


class Explain(ShowTest):
    def test_gathering(self):
        for thing in self.members("abcde", size=8):
            self.seen(thing)
        code, gang, text = self.explained("a")
        self.assertEqual(code, 1)
        self.assertEqual((gang["quorum"], gang["present"], gang["missing"]), (8, 5, 3))
        self.assertEqual([(m["pod"], m["state"], m["node"]) for m in gang["members"]],
                         [(name, "pending", None) for name in "abcde"])
        self.assertEqual(text, """\
gang team/g  gathering for N s
GangIncomplete: members of the gang are missing
  members: 5 of 8 present, 3 missing
  there are: a, b, c, d, e
""")

    def test_a_size_that_cannot_be_read(self):
        self.seen(self.member("a", size="four"))
        code, gang, text = self.explained("a")
        self.assertEqual((code, gang["code"], gang["sizeTrouble"]),
                         (1, "GangSizeUnknown", "berth.dev/gang-size of a cannot be read"))
        self.assertEqual(text, """\
gang team/g  gathering for N s
GangSizeUnknown: nothing says how many members the gang has
  berth.dev/gang-size of a cannot be read
  members: 1 present
  there are: a
""")
        self.assertIn("\nwhat cannot be read is berth.dev/gang-size\n", self.run_berth("explain", "team/a")[1])

    def test_what_no_node_can_help(self):
        self.seen(self.cluster.pod("m", annotations=says("m", 1, **{"berth.dev/class": "none"})))
        self.in_state("m", "queued")
        self.assertIn("  blocking: m, the pod names a class that the policy does not have\n", self.explained("m")[2])

    def test_a_level_that_the_policy_does_not_have(self):
        said = {"kai.scheduler/topology-required-placement": "example.com/row"}
        self.seen(self.cluster.pod("a", annotations=says("g", 1, **said)))
        self.in_state("a", "queued")
        _, gang, text = self.explained("a")
        self.assertEqual((gang["code"], gang["levelMissing"]),
                         ("TopologyLevelMissing", "the policy's topology has no level example.com/row"))
        self.assertIn("\n  the policy's topology has no level example.com/row\n", text)

    def test_names_are_bounded_in_the_text_and_complete_in_json(self):
        names = [f"m{i:02d}" for i in range(20)]
        for i, name in enumerate(reversed(names)):
            self.seen(self.cluster.pod(name, annotations=says("g", 30, **{"berth.dev/rank": str(i)})))
        _, gang, text = self.explained("m00")
        self.assertEqual([(m["pod"], m["rank"]) for m in gang["members"]],
                         [(name, i) for i, name in enumerate(reversed(names))])
        self.assertIn("  there are: m19, m18, m17, m16, m15, m14, m13, m12 and 12 more\n", text)

    def test_a_gang_that_needs_fewer_than_it_has(self):
        said = {"gang.scheduling.koordinator.sh/name": "k", "gang.scheduling.koordinator.sh/min-available": "4",
                "gang.scheduling.koordinator.sh/total-number": "8"}
        for name in "ab":
            self.seen(self.cluster.pod(name, annotations=said))
        _, gang, text = self.explained("a")
        self.assertEqual((gang["quorum"], gang["size"], gang["missing"]), (4, 8, 2))
        self.assertIn("  members: 2 present of 8, 4 needed, 2 missing\n", text)

    def test_those_that_do_not_count_are_told(self):
        self.seen(self.member("a", size=2))
        self.seen(self.member("b", size=2, schedulingGates=[{"name": "example.com/gate"}]))
        code, gang, text = self.explained("b")
        self.assertEqual((code, gang["present"], gang["missing"]), (1, 1, 1))
        self.assertIn("  there are: a, b (gated by others)\n", text)

    def test_in_line(self):
        for thing in self.members([f"m{i}" for i in range(6)], size=6, gpus=8):
            self.seen(thing)
        self.in_state("m0", "queued")
        code, gang, text = self.explained("m0")
        self.assertEqual(code, 1)
        self.assertEqual([(l["level"], l["best"], l["takes"], l["lacks"], l.get("required")) for l in gang["levels"]],
                         [("block", "a", 4, 2, True), ("rack", "a/x", 2, 4, None), ("host", "lone", 1, 5, None)])
        self.assertEqual(gang["blocking"], {
            "pod": "m4", "code": "NoGPU", "reason": "not enough free GPUs", "resource": "nvidia.com/gpu", "asked": 8})
        self.assertEqual([d["name"] for d in gang["deadlines"]], ["holdDomainAfter"])
        self.assertEqual(text, """\
gang team/g  queued for N s
GangNoDomain: no domain of the required level has room for the gang
  members: 6 of 6 present
  there are: m0, m1, m2, m3, m4, m5
  LEVEL  BEST  TAKES  LACKS
  fleet  -         6      0
  block  a         4      2  required
  rack   a/x       2      4
  host   lone      1      5
  1 node is in no block
  blocking: m4, not enough free GPUs (nvidia.com/gpu, 8 a pod)
  holdDomainAfter: N s left
""")

    def test_planned_and_whole(self):
        things = self.members("abc")
        plans = self.planned(things)
        self.in_state("a", "released")
        code, gang, text = self.explained("a")
        self.assertEqual(code, 0)
        self.assertEqual([m["node"] for m in gang["members"]], [p["node"] for p in plans])
        self.assertEqual(gang["within"], {"level": "rack", "domain": "a/x"})
        self.assertEqual([d["name"] for d in gang["deadlines"]], ["commit"])
        self.assertEqual(text[:text.index("requests")], f"""\
gang team/g  released for N s  plan PLAN
  members: 3 of 3 present
  within rack a/x
  MEMBER  STATE    NODE
  a       pending  {plans[0]["node"]}
  b       pending  {plans[1]["node"]}
  c       pending  {plans[2]["node"]}
  commit: N s left
""")
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
        self.in_state("a", "whole")
        code, gang, text = self.explained("a")
        self.assertEqual((code, gang["deadlines"]), (0, []))
        self.assertIn("  members: 3 of 3 present, 3 bound\n  within rack a/x\n", text)


class ExplainGated(ShowTest):
    policy = GATED

    def test_what_shows_the_gang_to_autoscalers(self):
        for thing in self.members([f"m{i}" for i in range(6)], size=6, gpus=8, schedulingGates=GATES):
            self.seen(thing)
        self.in_state("m0", "queued")
        _, gang, text = self.explained("m0")
        deadline, hold = gang["deadlines"]
        self.assertEqual(hold["name"], "holdDomainAfter")
        self.assertEqual(deadline["name"], "scaleUpAfter")
        self.assertTrue(290 <= deadline["inSeconds"] <= 300, deadline)
        self.assertIn("  members: 6 of 6 present, 6 gated\n", text)
        self.assertTrue(text.endswith("  scaleUpAfter: N s left\n  holdDomainAfter: N s left\n"), text)


class ExplainHeld(ShowTest):
    policy = RACKS.replace("{require: block}", "{require: block, holdDomainAfter: 1s}")

    def test_nodes_that_are_kept_free(self):
        for i in range(8):
            self.seen(self.cluster.pod(f"x{i}", gpus=8, nodeName="ab"[i // 4] + "xxyy"[i % 4] + "0101"[i % 4], scheduler="x"))
        for thing in self.members("pqr", gpus=8):
            self.seen(thing)
        wait_for(lambda: self.daemon.explain("p")[1]["gang"]["heldNodes"] == 3, what="the nodes held")
        _, gang, text = self.explained("p")
        self.assertEqual(gang["deadlines"], [])
        self.assertTrue(text.endswith("  3 nodes are kept free for it\n"), text)
        self.assertIn("; 3 nodes are kept free for it", self.daemon.ops.json("GET", "/v1/queue")[1]["gangs"][0]["line"])


class Queue(ShowTest):
    def queue(self):
        code, text = self.run_berth("queue")
        again, answer = self.run_berth("queue", "-o", "json")
        self.assertEqual((code, again), (0, 0))
        return json.loads(answer), settled(text)

    def test_exit_codes(self):
        def ran(*args):
            return subprocess.run([BERTH, "queue", *args], capture_output=True, text=True, timeout=30, check=False)
        self.assertIn("usage: berth queue", ran("--help").stdout)
        for args in ["x"], ["-o", "yaml"], ["--no-such"]:
            self.assertEqual((ran(*args).returncode, ran(*args).stdout), (2, ""), args)
        gone = ran("--ops", f"127.0.0.1:{free_port()}")
        self.assertEqual((gone.returncode, gone.stdout), (3, ""))
        self.assertIn("berth queue: no answer from", gone.stderr)

    def test_nothing_waits(self):
        answer, text = self.queue()
        self.assertEqual((answer, text), ({"gangs": [], "singles": []}, "nothing waits\n"))

    def test_the_line_and_the_singles(self):
        for name, count, more in (("low", 6, {}), ("high", 5, {"priority": 7})):
            for i in range(count):
                self.seen(self.cluster.pod(f"{name}{i}", gpus=8, annotations=says(name, count), **more))
        for i in range(2):
            self.seen(self.cluster.pod(f"late{i}", gpus=4, annotations=says("late", 4)))
        for i in range(3):
            thing = self.cluster.pod(f"s{i}", gpus=8, nodeSelector={"no": "where"})
            self.assertIsNone(self.daemon.placed(thing, [self.cluster.get_pod(f"s{i}")["metadata"]["name"], "lone"]))
        self.seen(self.cluster.pod("held", gpus=1, schedulingGates=[{"name": "example.com/gate"}]))
        self.in_state("low0", "queued")
        self.in_state("high0", "queued")
        wait_for(lambda: all("best" in g for g in self.queue()[0]["gangs"][:2]), what="both planned in vain")
        answer, text = self.queue()
        self.assertEqual(
            [(g["position"], g["name"], g["state"], g["priority"], g["class"], g["present"], g["quorum"], g["gpus"],
              g["code"]) for g in answer["gangs"]],
            [(1, "high", "queued", 7, "batch", 5, 5, 40, "GangNoDomain"),
             (2, "low", "queued", 0, "batch", 6, 6, 48, "GangNoDomain"),
             (None, "late", "gathering", 0, "batch", 2, 4, 8, "GangIncomplete")])
        self.assertEqual([g.get("best") for g in answer["gangs"]], [
            {"level": "block", "domain": "a", "takes": 4, "lacks": 1, "resource": "nvidia.com/gpu", "amount": 8},
            {"level": "block", "domain": "a", "takes": 4, "lacks": 2, "resource": "nvidia.com/gpu", "amount": 16},
            None])
        for row in answer["gangs"] + answer["singles"]:
            self.assertLess(abs(time.time() - calendar.timegm(time.strptime(row["since"][:19], "%Y-%m-%dT%H:%M:%S"))), 60)
        self.assertEqual(answer["gangs"][1]["line"],
                         "gang team/low: queued 2nd: best block a holds 4 of 6 pods, lacks 16 nvidia.com/gpu")
        self.assertEqual([(r["code"], r["reason"], r["pods"], r["gpus"]) for r in answer["singles"]], [
            ("NodeSelector", "node does not match the pod's selector or affinity", 3, 24),
            (None, "behind a scheduling gate", 1, 1)])
        self.assertEqual(text, """\
POS  GANG       PRIORITY  CLASS  MEMBERS  GPUS  WAITING  REASON          BEST     HOLDS  SHORT
  1  team/high         7  batch  5/5        40  N s      GangNoDomain    block a      4  8 nvidia.com/gpu
  2  team/low          0  batch  6/6        48  N s      GangNoDomain    block a      4  16 nvidia.com/gpu
  -  team/late         0  batch  2/4         8  N s      GangIncomplete  -            -  -

SINGLES  GPUS  WAITING  REASON
      3    24  N s      NodeSelector: node does not match the pod's selector or affinity
      1     1  N s      behind a scheduling gate
""")


if __name__ == "__main__":
    unittest.main()
