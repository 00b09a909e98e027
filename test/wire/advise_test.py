"""Advise mode of `berth serve`: all nodes that fit, scored; bind judges and reserves."""

import unittest

from harness import NAMES, Cluster, Daemon, node, wait_for

POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools:
- {name: h100, gpu: H100}
- {name: t4, gpu: T4}
classes:
- {name: asks, match: [{namespaces: [asks]}], mode: advise}
- {name: choosy, match: [{namespaces: [choosy]}], prefer: [t4], mode: decide}
- {name: batch}
fallback: batch
"""

APART = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
    "weight": 100, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}}]}}
SPREAD = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}]
SOFT = [{"affinity": APART}, {"topologySpreadConstraints": SPREAD}]


class Advise(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        for name in NAMES:
            self.cluster.node(name)
        self.daemon = Daemon(self.cluster.kubeconfig, POLICY)
        self.addCleanup(self.daemon.stop)

    def fitting(self, thing, names=NAMES):
        status, answer = self.daemon.filter(thing, names)
        self.assertEqual((status, answer["Error"], answer["FailedNodes"]), (200, "", None))
        return answer["NodeNames"]

    def scores(self, thing, names=NAMES):
        status, answer = self.daemon.verbs.json("POST", "/v1/prioritize", {"Pod": thing, "Nodes": None, "NodeNames": names})
        self.assertEqual((status, [one["Host"] for one in answer]), (200, names))
        return [one["Score"] for one in answer]

    def bound(self, thing, target):
        self.assertEqual(self.daemon.bind(thing, target), (200, {"Error": ""}))

    def fill(self, target, gpus, name=None):
        """Something on the node that berth has not placed."""
        name = name or f"on-{target}"
        made = self.cluster.pod(name, gpus=gpus, scheduler="other", nodeName=target)
        wait_for(lambda: self.daemon.entry(made), what="the pod on " + target)

    def test_all_that_fit_are_told_in_their_order_and_nothing_is_reserved(self):
        self.fill("n1", 8)
        for i, soft in enumerate(SOFT):
            thing = self.cluster.pod(f"soft{i}", **soft)
            for names in (["n2", "n1", "n0", "unknown"], ["n0", "n2"]):
                self.assertEqual(self.fitting(thing, names), [name for name in names if name in ("n0", "n2")])
            self.assertIsNone(self.daemon.entry(thing))
            # Several are told the same room.
            self.assertEqual(self.fitting(self.cluster.pod(f"same{i}", gpus=8, **soft)), ["n0", "n2"])
        self.assertEqual([e["pod"] for e in self.daemon.state()["ledger"]], ["team/on-n1"])
        self.assertEqual(self.daemon.metric('berth_decisions_total{result="placed",code="Fits"}'), 6)

    def test_mode_is_the_class_s_unless_the_pod_s_soft_spread_says_it(self):
        asks = self.cluster.pod("p", namespace="asks")
        plain = self.cluster.pod("plain")
        soft = self.cluster.pod("soft", namespace="choosy", **SOFT[0])
        self.assertEqual(self.fitting(asks), NAMES)
        self.assertEqual(len(self.fitting(plain)), 1)
        self.assertEqual(self.daemon.entry(plain)["state"], "assumed")
        self.assertEqual(self.fitting(soft), NAMES)
        for thing, mode in (asks, "advise"), (plain, "decide"), (soft, "advise"):
            meta = self.seen(thing)["metadata"]
            self.assertEqual(self.daemon.explain(meta["name"], meta["namespace"])[1]["mode"], mode)

    def seen(self, thing):
        meta = thing["metadata"]
        wait_for(lambda: self.daemon.explain(meta["name"], meta["namespace"])[0] == 200, what="the pod")
        return thing

    def test_rejection_is_as_ever_and_the_pod_is_woken(self):
        for name in NAMES:
            self.fill(name, 8)
        thing = self.cluster.pod("soft", **SOFT[1])
        status, answer = self.daemon.filter(thing, NAMES)
        self.assertEqual((status, answer["NodeNames"], answer["FailedNodes"]), (200, [], None))
        self.assertEqual(answer["FailedAndUnresolvableNodes"], dict.fromkeys(NAMES, "not enough free GPUs"))
        wait_for(lambda: self.daemon.state()["waiting"], what="the waiting pod")
        self.cluster.delete_pod("on-n1")
        wait_for(lambda: self.cluster.get_pod("soft")["metadata"].get("annotations", {}).get("berth.dev/wake"), what="the wake")
        self.assertEqual(self.fitting(thing), ["n1"])
        self.assertEqual(self.daemon.state()["waiting"], [])

    def test_equally_good_nodes_have_the_same_score_and_the_best_has_10(self):
        self.fill("n1", 4)
        self.fill("n2", 7)
        # Soft spread is not overruled by packing ...
        for i, soft in enumerate(SOFT):
            self.assertEqual(self.scores(self.cluster.pod(f"soft{i}", **soft)), [10, 10, 10])
        self.assertEqual(self.scores(self.cluster.pod("large", gpus=4, **SOFT[0])), [10, 10, 0])
        # ... but a class that asks for advise gets all of berth's score: n2 would be full, n0 would be broken into.
        first, second, third = self.scores(self.cluster.pod("asks", namespace="asks"))
        self.assertEqual((first, third), (0, 10))
        self.assertTrue(0 < second < 10)
        self.fill("n1", 3, "more")
        self.assertEqual(self.scores(self.cluster.pod("again", namespace="asks")), [0, 10, 10])

    def test_explain_calls_best_what_the_scores_do(self):
        """n1 would be full by it, which is silent here; n0 is what the pod prefers, if by little."""
        self.fill("n1", 7)
        liked = lambda weight, *names: {"weight": weight, "preference": {"matchExpressions": [
            {"key": "kubernetes.io/hostname", "operator": "In", "values": list(names)}]}}
        affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [liked(99, "n0", "n1"), liked(1, "n0")]}}
        thing = self.seen(self.cluster.pod("p", affinity=affinity, **SOFT[1]))
        scores = dict(zip(NAMES, self.scores(thing)))
        self.assertEqual(max(scores, key=scores.get), "n0")
        best = self.daemon.explain("p")[1]["best"]
        self.assertEqual((best["node"], best["terms"]["bestFit"]["value"]), ("n0", 0))

    def test_what_pod_and_policy_name_goes_before_soft_spread(self):
        self.cluster.node("cheap", product="Tesla-T4", memory=15360)
        self.cluster.node("tainted", product="Tesla-T4", memory=15360, spec={
            "taints": [{"key": "spot", "effect": "PreferNoSchedule"}]})
        names = [*NAMES, "cheap", "tainted"]
        wait_for(lambda: len(self.daemon.state()["nodes"]) == 5, what="the nodes")
        scores = self.scores(self.cluster.pod("choosy", namespace="choosy", **SOFT[0]), names)
        self.assertEqual(scores[3], 10)
        self.assertTrue(scores[4] < scores[0] == scores[1] == scores[2] < 10)
        # Without prefer a cheaper model is no clear difference.
        self.assertEqual(self.scores(self.cluster.pod("soft", **SOFT[0]), names), [10, 10, 10, 10, 0])

    def test_a_soft_pod_without_gpus_is_kept_off_gpu_nodes(self):
        cpu = node("cpu", gpus=0)
        del cpu["status"]["allocatable"]["nvidia.com/gpu"], cpu["status"]["capacity"]["nvidia.com/gpu"]
        cpu["metadata"]["labels"] = {"kubernetes.io/hostname": "cpu"}
        self.cluster.create("nodes", cpu)
        wait_for(lambda: len(self.daemon.state()["nodes"]) == 4, what="the node")
        self.assertEqual(self.scores(self.cluster.pod("web", gpus=0, **SOFT[0]), [*NAMES, "cpu"]), [0, 0, 0, 10])

    def test_bind_reserves_and_binds_and_filter_stays_on_it(self):
        thing = self.cluster.pod("soft", **SOFT[0])
        self.assertEqual(self.fitting(thing), NAMES)
        self.cluster.faults({"rules": [{"method": "POST", "path": "/api/v1/namespaces/team/pods/soft/binding", "delayMs": 1500}]})
        thread, result = self.daemon.spawn_bind(thing, "n2")
        wait_for(lambda: self.daemon.entry(thing), what="the reservation")
        self.assertEqual((self.daemon.entry(thing)["node"], self.daemon.entry(thing)["state"]), ("n2", "assumed"))
        self.assertEqual(self.fitting(thing), ["n2"])
        self.assertEqual(self.fitting(thing, ["n0", "n1"]), [])
        thread.join()
        self.assertEqual(result, [(200, {"Error": ""})])
        self.assertEqual(self.cluster.get_pod("soft")["spec"]["nodeName"], "n2")
        self.assertEqual(self.fitting(thing), ["n2"])

    def test_bind_of_a_node_that_filled_up_since_is_an_error(self):
        first = self.cluster.pod("first", gpus=8, **SOFT[0])
        second = self.cluster.pod("second", gpus=8, **SOFT[0])
        direct = self.cluster.pod("direct", gpus=8)
        self.assertEqual((self.fitting(first), self.fitting(second)), (NAMES, NAMES))
        self.bound(first, "n0")
        self.assertEqual(self.daemon.bind(second, "n0"), (200, {"Error": "not enough free GPUs"}))
        self.assertIsNone(self.daemon.entry(second))
        # A pod of the direct road is told none of the room that is bound, and keeps its own from those advised.
        self.assertEqual(self.fitting(direct, ["n0", "n1"]), ["n1"])
        self.assertEqual(self.fitting(second), ["n2"])
        self.assertEqual(self.daemon.bind(second, "n1"), (200, {"Error": "not enough free GPUs"}))
        self.bound(second, "n2")
        self.bound(direct, "n1")

    def test_whole_nodes_all_that_fit_come_back(self):
        self.fill("n1", 8)
        given = [node(name) for name in ("n2", "n1", "n0")]
        thing = self.cluster.pod("soft", **SOFT[0])
        body = {"Pod": thing, "Nodes": {"items": given}, "NodeNames": None}
        status, answer = self.daemon.verbs.json("POST", "/v1/filter", body)
        self.assertEqual((status, [n["metadata"]["name"] for n in answer["Nodes"]["items"]]), (200, ["n2", "n0"]))
        status, answer = self.daemon.verbs.json("POST", "/v1/prioritize", body)
        self.assertEqual([(one["Host"], one["Score"]) for one in answer], [("n2", 10), ("n1", 0), ("n0", 10)])
        self.assertIsNone(self.daemon.entry(thing))

    def test_advised_pods_are_not_hinted(self):
        things = [self.cluster.pod(f"p{i}", namespace="asks") for i in range(8)]
        things += [self.cluster.pod(f"q{i}", **SOFT[1]) for i in range(8)]
        hinted = [self.cluster.pod(f"h{i}") for i in range(8)]
        wait_for(lambda: self.daemon.entry(hinted[0]), what="a hint")
        uids = {thing["metadata"]["uid"] for thing in things}
        self.assertFalse([e for e in self.daemon.state()["ledger"] if e["uid"] in uids])

    def test_the_class_changes_its_mind(self):
        thing = self.cluster.pod("p", namespace="asks")
        self.assertEqual(self.fitting(thing), NAMES)
        self.daemon.write_policy(POLICY.replace("mode: advise", "mode: decide"))
        wait_for(lambda: self.daemon.explain("p", "asks")[1].get("mode") == "decide", what="the policy")
        told = self.fitting(thing)
        self.assertEqual(len(told), 1)
        self.daemon.write_policy(POLICY)
        wait_for(lambda: self.daemon.explain("p", "asks")[1].get("mode") == "advise", what="the policy")
        self.assertEqual(self.fitting(thing), told)


if __name__ == "__main__":
    unittest.main()
