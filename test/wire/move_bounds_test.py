"""What several moves together may not do: exceed a disruption budget, or take a team below what it is guaranteed."""

import time
import unittest

import move_test
from harness import NAMES, pod, wait_for

SLOW = move_test.KEEP.replace("match: [{owners: [Job]}]", "match: [{owners: [Job, StatefulSet]}]\n  asVictim: {grace: 60s}")
BUDGETS = "/apis/policy/v1/namespaces/team/poddisruptionbudgets"
API = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "api", "uid": "api-uid"}}
TEAMS = SLOW.replace("classes:", "pools: [{name: h100, gpu: H100}]\nclasses:") + """\
teams:
- {name: trains, namespaces: [team], guaranteed: {h100: 16}}
"""


class BoundsTest(move_test.MoveTest):
    policy = SLOW

    def budget(self, name, app, allowed):
        status, made = self.cluster.api.json("POST", BUDGETS, {
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": "team"},
            "spec": {"selector": {"matchLabels": {"app": app}}}, "status": {"disruptionsAllowed": allowed}})
        self.assertEqual(status, 201, made)
        if made.get("status", {}).get("disruptionsAllowed") != allowed:
            self.allow(name, allowed)

    def allow(self, name, allowed):
        self.cluster.patch(f"{BUDGETS}/{name}/status", {"status": {"disruptionsAllowed": allowed}})

    def labelled(self, name, node, owner, app, **spec):
        made = pod(name, gpus=8, owner=owner, nodeName=node, **spec)
        made["metadata"]["labels"] = {"app": app}
        made = self.cluster.create("pods", made)
        wait_for(lambda: (self.daemon.entry(made) or {}).get("state") == "bound", what=name)
        return made

    def crunch(self):
        for name in NAMES:
            self.labelled(f"train-{name}", name, self.cluster.job(f"job-{name}"), "crunch")

    def demand(self, namespace="team", owner=move_test.WEB, name="web-0"):
        thing = self.cluster.pod(name, gpus=8, owner=owner, namespace=namespace)
        wait_for(lambda: self.daemon.explain(name, namespace)[0] == 200, what="the pod")
        self.assertIsNone(self.daemon.placed(thing, NAMES))

    def one_move(self, why):
        """Of two demands only the first gets any; the second is told why."""
        wait_for(lambda: self.moves()["waiting"], 10, "the second to be told")
        self.assertIn(why, self.moves()["waiting"][0]["why"])
        self.assertEqual(len(self.moves()["moves"]), 1)


class Budgets(BoundsTest):
    def test_two_moves_draw_on_one_budget_once(self):
        self.budget("b", "crunch", 1)
        time.sleep(0.3)
        self.crunch()
        self.demand()
        wait_for(lambda: self.moves()["moves"], what="the first move")
        self.demand(owner=API, name="api-0")
        self.one_move("a disruption budget does not allow it")

    def test_a_pod_under_two_budgets_is_not_evicted(self):
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s", "uid": "s-uid"}}
        for name in ("a", "b"):
            self.budget(name, "crunch", 3)
        time.sleep(0.3)
        for name in NAMES[:2]:
            self.labelled(f"s-{name}", name, owner, "crunch")
        self.labelled("s-n2", "n2", owner, "other")
        self.demand()
        found = wait_for(lambda: self.moves()["moves"], what="the move")
        self.assertEqual([u["name"] for u in found[0]["units"]], ["s-n2"])
        self.demand(owner=API, name="api-0")
        self.one_move("a disruption budget does not allow it")

    def test_what_is_suspended_may_be_under_two(self):
        for name in ("a", "b"):
            self.budget(name, "crunch", 3)
        time.sleep(0.3)
        self.crunch()
        self.demand()
        wait_for(lambda: self.moves()["moves"], what="the move")


class Noticed(BoundsTest):
    policy = move_test.GRACE.replace("grace: 2s", "grace: 4s")

    def test_a_budget_that_is_used_up_during_the_notice_ends_nothing(self):
        self.budget("b", "crunch", 3)
        time.sleep(0.3)
        self.crunch()
        self.demand()
        self.phase("grace")
        self.allow("b", 0)
        wait_for(lambda: self.events("MoveGivenUp"), 15, "the Event")
        self.assertEqual(self.suspended(), [])


class Guaranteed(BoundsTest):
    policy = TEAMS

    def test_two_moves_leave_a_team_what_it_is_guaranteed(self):
        self.crunch()
        self.demand(namespace="serving")
        wait_for(lambda: self.moves()["moves"], what="the first move")
        self.demand(namespace="serving", owner=API, name="api-0")
        self.one_move("its team would fall below its guarantee")

    def test_what_ends_by_itself_counts_as_gone(self):
        for name in NAMES:
            self.labelled(f"train-{name}", name, self.cluster.job(f"job-{name}"), "crunch", terminationGracePeriodSeconds=600)
        self.cluster.patch("/api/v1/namespaces/team/pods/train-n0", {"metadata": {"annotations": {"sim.berth.dev/stop-after": "60"}}})
        self.cluster.api.call("DELETE", "/api/v1/namespaces/team/pods/train-n0")
        wait_for(lambda: "deletionTimestamp" in self.cluster.get_pod("train-n0")["metadata"], what="its end")
        self.demand(namespace="serving")
        wait_for(lambda: self.moves()["waiting"], 10, "a reason")
        self.assertIn("its team would fall below its guarantee", self.moves()["waiting"][0]["why"])


if __name__ == "__main__":
    unittest.main()
