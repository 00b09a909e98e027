"""Where gangs stand: by level, by rank, by segment and by sub-group, as policy and pods ask for it, on nodes whose labels change."""

import time
import unittest

from gang_show_test import RACKS, ShowTest
from gang_test import says
from harness import pod, wait_for


class Places(ShowTest):
    """The places of members, by name: block and rack, or block, rack and node."""

    def where(self, things):
        return [plan["node"] for plan in self.planned(things)]

    def racks(self, things):
        return [node[:2] for node in self.where(things)]

    def ranked(self, count, gpus=8, gang="g", **more):
        return [self.cluster.pod(f"{gang}-{i}", gpus=gpus, annotations=says(gang, count, **{"berth.dev/rank": str(i), **more}))
                for i in range(count)]

    def waits(self, thing, code):
        name = thing["metadata"]["name"]
        wait_for(lambda: self.daemon.explain(name)[1].get("gang", {}).get("code") == code, what=code)
        self.assertEqual([e for e in self.daemon.state()["ledger"] if e["state"] != "bound"], [])


class Required(Places):
    policy = RACKS.replace("require: block", "require: rack")

    def test_the_tightest_domain_and_none_else(self):
        racks = self.racks(self.ranked(4, gpus=4))
        self.assertEqual(len(set(racks)), 1)
        racks = self.racks(self.ranked(2, gang="h"))
        self.assertEqual(len(set(racks)), 1)

    def test_a_domain_that_is_too_small(self):
        things = self.ranked(3)
        self.waits(self.seen(things[0]), "GangNoDomain")

    def test_a_node_without_the_label_is_in_none(self):
        for rack in "ax", "ay", "bx", "by":
            self.cluster.pod("taken-" + rack, gpus=8, nodeName=rack + "0", scheduler="other")
        things = self.ranked(2)
        self.waits(self.seen(things[0]), "GangNoDomain")  # though the lone node is free, too
        self.cluster.patch("/api/v1/nodes/lone", {"metadata": {"labels": {"example.com/block": "b", "example.com/rack": "y"}}})
        self.assertEqual(sorted(self.where(things)), ["by1", "lone"])

    def test_a_node_that_is_labelled_anew_moves(self):
        for rack in "ax", "ay", "bx", "by":
            self.cluster.pod("taken-" + rack, gpus=8, nodeName=rack + "0", scheduler="other")
        self.cluster.patch("/api/v1/nodes/bx1", {"metadata": {"labels": {"example.com/rack": "y"}}})
        self.assertEqual(sorted(self.where(self.ranked(2))), ["bx1", "by1"])

    def test_a_label_that_is_taken_away(self):
        for node in "ax1", "ay1", "bx1":
            self.cluster.patch("/api/v1/nodes/" + node, {"metadata": {"labels": {"example.com/rack": None}}})
        self.assertEqual(sorted(self.where(self.ranked(2))), ["by0", "by1"])


class Preferred(Places):
    policy = RACKS.replace("require: block", "require: block, prefer: rack")

    def test_one_rack_where_there_is_one_and_one_block_else(self):
        self.assertEqual(len(set(self.racks(self.ranked(2)))), 1)
        racks = self.racks(self.ranked(3, gang="h"))
        self.assertEqual({rack[0] for rack in racks}, {racks[0][0]})

    def test_ranks_are_neighbours(self):
        racks = self.racks(self.ranked(4))
        self.assertEqual(racks[0], racks[1])
        self.assertEqual(racks[2], racks[3])

    def test_the_smallest_hole_that_fits_is_taken(self):
        """A whole block stays free for those that need one."""
        self.cluster.pod("taken", gpus=8, nodeName="ax0", scheduler="other")
        self.assertEqual(set(self.racks(self.ranked(2))), {"ay"})
        self.assertEqual({rack[0] for rack in self.racks(self.ranked(4, gang="h"))}, {"b"})


class NoClassPlace(Places):
    policy = RACKS.replace("  gang: {require: block}\n", "")

    def test_what_a_pod_requires(self):
        for key in "kai.scheduler/topology-required-placement", "kueue.x-k8s.io/podset-required-topology":
            with self.subTest(key):
                name = key[:5].strip(".")
                racks = self.racks(self.ranked(2, gang=name, **{key: "example.com/rack"}))
                self.assertEqual(len(set(racks)), 1)

    def test_segments(self):
        said = {"kai.scheduler/segment-size": "2", "kai.scheduler/segment-topology-required-placement": "rack"}
        self.cluster.pod("taken", gpus=8, nodeName="ax0", scheduler="other")
        racks = self.racks(self.ranked(6, **said))
        self.assertEqual([racks[i] == racks[i + 1] for i in (0, 2, 4)], [True] * 3)

    def test_segments_that_cannot_be(self):
        said = {"kueue.x-k8s.io/podset-slice-size": "3", "kueue.x-k8s.io/podset-slice-required-topology": "rack"}
        things = self.ranked(3, **said)
        wait_for(lambda: self.daemon.explain("g-0")[1].get("gang", {}).get("code"), what="a code")
        time.sleep(0.3)
        self.assertEqual([e for e in self.daemon.state()["ledger"]], [])
        self.assertNotIn(self.daemon.explain(things[0]["metadata"]["name"])[1]["gang"]["state"], ("planned", "committing"))


class Missing(Places):
    policy = RACKS.replace("nodeLabel: example.com/rack", "nodeLabel: example.com/nowhere").replace("require: block", "require: rack")

    def test_a_level_that_no_node_carries(self):
        things = self.ranked(2)
        self.waits(self.seen(things[0]), "TopologyLevelMissing")
        code, text = self.run_berth("explain", "team/g-0")
        self.assertEqual(code, 1)
        self.assertIn("  level rack is told by the node label example.com/nowhere, under the levels before it\n", text)


class Constrained(Places):
    policy = RACKS.replace("  gang: {require: block}\n", "")

    def test_one_a_host(self):
        spread = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"job": "g"}}}]}}
        things = []
        for i in range(5):
            things.append(self.made(f"g-{i}", 5, affinity=spread))
        self.assertEqual(len(set(self.where(things))), 5)

    def test_more_than_there_are_hosts(self):
        spread = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"job": "g"}}}]}}
        things = [self.made(f"g-{i}", 10, affinity=spread) for i in range(10)]
        wait_for(lambda: self.daemon.explain("g-0")[1].get("gang", {}).get("code") in ("GangConstraints", "GangNoRoom"), what="a code")
        self.assertEqual(self.daemon.state()["ledger"], [])
        self.assertTrue(things)

    def test_spread_over_racks(self):
        spread = [{"maxSkew": 1, "topologyKey": "example.com/block", "whenUnsatisfiable": "DoNotSchedule",
                   "labelSelector": {"matchLabels": {"job": "g"}}}]
        things = [self.made(f"g-{i}", 4, topologySpreadConstraints=spread) for i in range(4)]
        blocks = sorted(rack[0] for rack in self.racks(things))
        self.assertEqual(blocks, ["a", "a", "b", "b"])

    def test_together_in_a_rack(self):
        near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "example.com/rack", "labelSelector": {"matchLabels": {"job": "g"}}}]}}
        self.cluster.pod("taken", gpus=4, nodeName="ax0", scheduler="other")
        things = [self.made(f"g-{i}", 4, affinity=near) for i in range(4)]
        self.assertEqual(len(set(self.racks(things))), 1)

    def made(self, name, size, **spec):
        thing = pod(name, gpus=4, annotations=says("g", size), **spec)
        thing["metadata"]["labels"] = {"job": "g"}
        return self.cluster.create("pods", thing)


if __name__ == "__main__":
    unittest.main()
