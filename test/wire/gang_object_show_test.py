"""What people are told of gangs whose size an object tells: which one, why it does not, and which sub-group is short."""

import json
import subprocess
import time
import unittest

from gang_show_test import settled
from gang_size_test import Objects, job_pod, labelled, owned
from gang_test import GATES
from harness import BERTH, POLICY, Daemon, wait_for

NOT_ALLOWED = "reading it is not allowed: berth's ClusterRole needs list and watch"
GATED = POLICY + "gate: {classes: [batch]}\n"


class ShowObjects(Objects):
    served = ("podgroups", "rayclusters")

    def start(self):
        super().start()
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(GATED)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy with a gate")

    def explained(self, name):
        ran = subprocess.run([BERTH, "explain", f"team/{name}", "--ops", f"127.0.0.1:{self.daemon.ops_port}"],
                             capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(ran.returncode, 1, ran.stderr)
        start = ran.stdout.index("gang ")
        return settled(ran.stdout[start:ran.stdout.index("the pod alone")])

    def line(self, name, wanted):
        """It is written onto the pod, and once."""
        lines = []
        def look():
            lines[:] = [json.loads(call[5])["metadata"]["annotations"].get("berth.dev/waiting")
                        for call in self.api.calls("PATCH", "/pods/" + name)]
            return lines
        wait_for(look, 15, "a line")
        self.assertEqual(lines, [wanted])

    def member(self, name, **more):
        return labelled(name, {"scheduling.x-k8s.io/pod-group": "pg"}, schedulingGates=GATES, **more)

    def unknown(self, why):
        self.assertEqual(self.explained("a"), f"""\
gang team/pg  gathering for N s
GangSizeUnknown: nothing says how many members the gang has
  its size is told by PodGroup pg: {why}
  members: 1 present, 1 gated
  there are: a
""")

    def test_one_that_may_not_be_read(self):
        self.refused.add("podgroups")
        self.start()
        wait_for(lambda: "not allowed" in (self.ready_line("podgroups") or ""), what="the line about them")
        self.pods(self.member("a"))
        self.unknown(NOT_ALLOWED)
        self.line("a", "gang team/pg: 1 member present, of how many is not known: PodGroup pg, " + NOT_ALLOWED)
        wait_for(lambda: self.api.calls("POST", "/events"), 15, "the Event")
        time.sleep(3)
        (event,) = [json.loads(call[5]) for call in self.api.calls("POST", "/events")]
        self.assertEqual((event["reason"], event["regarding"]["kind"], event["regarding"]["name"]),
                         ("GangSizeUnknown", "Pod", "a"))
        self.assertEqual(event["note"],
                         "gang team/pg: 1 member present, of how many is not known: PodGroup pg, " + NOT_ALLOWED)

    def test_one_that_is_not_there(self):
        self.start()
        self.pods(self.member("a"))
        self.unknown("it is not there, or does not say the size")

    def test_a_kind_that_is_not_there(self):
        self.has.remove("podgroups")
        self.start()
        self.pods(self.member("a"))
        self.unknown("the API server has no such kind")

    def test_one_that_comes_soon_is_no_news(self):
        self.start()
        self.pods(*[job_pod(f"train-{i}", "train", i) for i in range(2)])
        self.put("jobs", "train", {"completionMode": "Indexed", "completions": 3, "parallelism": 3})
        self.quorum("train", 3)
        time.sleep(7)
        self.assertEqual(self.api.calls("POST", "/events"), [])

    def test_the_sub_group_that_is_short(self):
        self.put("rayclusters", "ray", {"workerGroupSpecs": [{"groupName": "big", "replicas": 3, "minReplicas": 3}]})
        self.start()
        labels = {"ray.io/cluster": "ray", "ray.io/group": "big"}
        self.pods(*[owned(labelled(f"w{i}", labels, schedulingGates=GATES), "RayCluster", "ray") for i in range(4)])
        self.assertEqual(self.explained("w0"), """\
gang team/ray  gathering for N s
GangIncomplete: members of the gang are missing
  its size is told by RayCluster ray
  members: 4 of 4 present, 4 gated
  of headgroup: 0 of 1 present
  of big: 4 of 3 present
  there are: w0, w1, w2, w3
""")
        self.line("w0", "gang team/ray: 4 of 4 members present, 0 of 1 of headgroup")


if __name__ == "__main__":
    unittest.main()
