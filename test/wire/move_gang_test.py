"""Gangs as what moves are made for: all of them gets room, or nothing is ended."""

import json
import time
import unittest

import headroom_test
import move_test
from harness import NAMES, pod, wait_for

GATES = [{"name": "berth.dev/plan"}]
GATED = move_test.KEEP + "gate: {classes: [inference]}\n"
RACKS = move_test.KEEP + "topology: [{level: rack, nodeLabel: example.com/rack}]\n"
SHARED = 'moves: {mode: act, giveBackAfter: 1h}\n'
TEAMS = f"""\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools: [{{name: h100, gpu: H100}}]
classes:
- {{name: work, match: [{{}}]}}
fallback: work
teams:
- {{name: owed, namespaces: [owed], guaranteed: {{h100: 16}}}}
- {{name: borrows, namespaces: [team]}}
{SHARED}"""


class GangMoveTest(move_test.MoveTest):
    gates = None

    def member(self, name, size, gpus=8, gang="serve", owner=move_test.WEB, namespace="team", **says):
        spec = {"schedulingGates": self.gates} if self.gates else {}
        annotations = {"berth.dev/gang": gang, "berth.dev/gang-size": str(size), **says}
        return self.seen(self.cluster.pod(name, gpus=gpus, owner=owner, annotations=annotations, namespace=namespace, **spec))

    def gang(self, size, **more):
        return [self.member(f"serve-{i}", size, **more) for i in range(size)]

    def plan_of(self, thing):
        meta = thing["metadata"]
        text = self.cluster.get_pod(meta["name"], meta["namespace"])["metadata"].get("annotations", {}).get("berth.dev/plan")
        return json.loads(text)["node"] if text else None

    def planned(self, things):
        """The node of each member, once all have one and no gate."""
        def look():
            gates = [self.cluster.get_pod(t["metadata"]["name"], t["metadata"]["namespace"])["spec"].get("schedulingGates")
                     for t in things]
            nodes = [self.plan_of(t) for t in things]
            return all(nodes) and not any(gates) and nodes
        return wait_for(look, 10, "the plan on every member")

    def bind_all(self, things):
        nodes = self.planned(things)
        for thing, node in zip(things, nodes):
            self.assertEqual(self.daemon.placed(thing, self.names()), node)
        calls = [self.daemon.spawn_bind(t, n) for t, n in zip(things, nodes)]
        for thread, answer in calls:
            thread.join()
            self.assertEqual(answer, [(200, {"Error": ""})])
        return nodes

    def names(self):
        return NAMES

    def units(self, count):
        """The names of those that the one move ends."""
        move = wait_for(lambda: self.moves()["moves"], what="a move")
        self.assertEqual([len(move), len(move[0]["units"])], [1, count], move)
        return sorted(u["name"] for u in move[0]["units"])

    def holds(self):
        return sorted(e["node"] for e in self.daemon.state()["ledger"] if e["state"] == "planned")


class Bare(GangMoveTest):
    def test_its_room_is_made_held_and_bound_whole(self):
        self.full()
        things = self.gang(2)
        jobs = self.some_suspended(2)
        self.assertEqual(self.units(2), jobs)
        nodes = [j.removeprefix("job-") for j in jobs]
        wait_for(lambda: self.holds() == nodes, what="the room held")
        (told,) = self.events("GPUsTakenFor")
        self.assertIn("16 GPUs are taken for 2 pods", told["note"])
        self.pods_end(jobs[:1])
        time.sleep(0.7)
        self.assertIsNone(self.plan_of(things[0]))
        late = self.seen(self.cluster.pod("late", gpus=1, owner=self.cluster.job("late")))
        self.assertIsNone(self.daemon.placed(late, NAMES))
        self.pods_end(jobs[1:])
        self.assertEqual(sorted(self.bind_all(things)), nodes)
        self.phase("lent")
        self.assertEqual(self.suspended(), jobs)
        self.assertIsNone(self.daemon.placed(late, NAMES))

    def test_nothing_ends_where_not_all_of_it_would_fit(self):
        self.full()
        self.gang(4)
        self.assertIn("no room even without", self.why())
        self.nothing_happens()

    def test_a_gang_of_a_class_without_a_right_waits(self):
        self.full()
        self.gang(2, owner=self.cluster.job("other"))
        self.nothing_happens()
        self.assertEqual(self.moves()["waiting"], [])

    def test_another_gang_does_not_get_its_room(self):
        self.full()
        things = self.gang(2)
        jobs = self.some_suspended(2)
        other = [self.member("other-0", 2, gpus=4, gang="other", owner=self.cluster.job("other"))]
        other.append(self.member("other-1", 2, gpus=4, gang="other", owner=self.cluster.job("others")))
        self.pods_end(jobs)
        self.planned(things)
        self.assertEqual([self.plan_of(t) for t in other], [None, None])

    def test_it_is_given_up_when_the_gang_is_gone(self):
        self.full()
        things = self.gang(2)
        jobs = self.some_suspended(2)
        for thing in things:
            self.cluster.delete_pod(thing["metadata"]["name"])
        wait_for(lambda: self.events("MoveGivenUp"), what="the Event")
        self.pods_end(jobs)
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        self.assertEqual([self.mark(j) for j in jobs], [None, None])

    def test_a_member_that_is_made_anew_has_its_room(self):
        self.full()
        things = self.gang(2)
        jobs = self.some_suspended(2)
        self.phase("empty")
        self.cluster.delete_pod("serve-1")
        things[1] = self.member("serve-1-again", 2)
        wait_for(lambda: len(self.holds()) == 2, what="its room")
        self.pods_end(jobs)
        self.bind_all(things)
        self.phase("lent")

    def test_another_is_ended_where_one_refuses(self):
        self.full()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "jobs/job-n0", "status": 422, "times": 1000}]})
        things = self.gang(2)
        jobs = self.some_suspended(2, 20)
        self.assertEqual(jobs, ["job-n1", "job-n2"])
        self.pods_end(jobs)
        self.bind_all(things)

    def test_the_next_process_holds_its_room(self):
        self.full()
        things = self.gang(2)
        jobs = self.some_suspended(2)
        self.start_anew()
        nodes = [j.removeprefix("job-") for j in jobs]
        wait_for(lambda: self.holds() == nodes, what="the room held")
        self.pods_end(jobs)
        self.assertEqual(sorted(self.bind_all(things)), nodes)
        self.phase("lent", 20)

    def elastic(self, size, least):
        says = {"gang.scheduling.koordinator.sh/name": "serve", "gang.scheduling.koordinator.sh/min-available": str(least),
                "gang.scheduling.koordinator.sh/total-number": str(size)}
        things = [self.cluster.pod(f"serve-{i}", gpus=8, owner=move_test.WEB, annotations=says) for i in range(size)]
        return [self.seen(thing) for thing in things]

    def test_an_elastic_one_gets_room_for_all_of_it(self):
        self.full()
        self.elastic(3, 1)
        self.units(3)

    def test_an_elastic_one_for_which_there_is_not_enough_gets_its_quorum(self):
        self.full()
        things = self.elastic(4, 2)
        jobs = self.units(2)
        self.some_suspended(2)
        self.pods_end(jobs)
        self.bind_all(things[:2])

    def test_a_replica_of_a_leader_worker_set(self):
        self.full()
        for i in range(2):
            thing = pod(f"lws-0-{i}", gpus=8, annotations={"leaderworkerset.sigs.k8s.io/size": "2", "berth.dev/class": "inference"},
                        owner={"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "lws", "uid": "lws-uid"}})
            thing["metadata"]["labels"] = {
                "leaderworkerset.sigs.k8s.io/name": "lws", "leaderworkerset.sigs.k8s.io/group-index": "0",
                "leaderworkerset.sigs.k8s.io/worker-index": str(i)}
            self.seen(self.cluster.create("pods", thing))
        self.some_suspended(2)

    policy = move_test.KEEP.replace("match: [{owners: [ReplicaSet]}]", "match: [{owners: [ReplicaSet, StatefulSet]}]")


class Gated(GangMoveTest):
    policy = GATED
    gates = GATES

    def test_behind_its_gate_it_is_a_demand_as_well(self):
        self.full()
        things = self.gang(2)
        jobs = self.some_suspended(2)
        self.assertEqual(self.cluster.get_pod("serve-0")["spec"].get("schedulingGates"), GATES)
        self.pods_end(jobs)
        self.bind_all(things)
        self.phase("lent")


class Observed(GangMoveTest):
    policy = move_test.OBSERVE

    def test_it_is_reported_and_nothing_is_held(self):
        self.full()
        self.gang(2)
        self.assertEqual(len(self.units(2)), 2)
        self.assertEqual(self.holds(), [])
        self.nothing_but_a_report()

    def nothing_but_a_report(self):
        time.sleep(1)
        self.assertEqual(self.suspended(), [])
        self.assertEqual(len(self.events("MoveObserved")), 1)


class Noticed(GangMoveTest):
    policy = move_test.GRACE.replace("grace: 2s", "grace: 4s")

    def names(self):
        return [*NAMES, "n3", "n4"]

    def test_room_that_comes_meanwhile_saves_the_victims(self):
        self.full()
        things = self.gang(2)
        self.phase("grace")
        for name in ("n3", "n4"):
            self.cluster.node(name)
        self.assertEqual(sorted(self.bind_all(things)), ["n3", "n4"])
        self.no_moves(15)
        self.assertEqual(self.suspended(), [])
        self.assertIn("have room without it", self.events("MoveGivenUp")[0]["note"])


class Racks(GangMoveTest):
    policy = RACKS.replace("mayPreempt: [batch]", "mayPreempt: [batch]\n  gang: {require: rack}")

    def nodes(self):
        for name, rack in zip([*NAMES, "n3"], "abba"):
            self.cluster.node(name, labels={"example.com/rack": rack})

    def test_the_room_is_within_one_domain(self):
        self.full()
        self.standing("train-n3", "n3", self.cluster.job("job-n3"))
        self.gang(2)
        self.assertIn(self.units(2), (["job-n0", "job-n3"], ["job-n1", "job-n2"]))


class SameDomain(GangMoveTest):
    policy = move_test.ACT + "topology: [{level: rack, nodeLabel: example.com/rack}]\n"

    def nodes(self):
        for name, rack in (("n0", "b"), ("n1", "b"), ("n2", "c"), ("n3", "c"), ("n4", "a")):
            self.cluster.node(name, labels={"example.com/rack": rack})

    def test_it_returns_to_the_domain_where_it_stood(self):
        jobs = [self.cluster.job(f"job-{name}") for name in ("n2", "n3")]
        for job, name in zip(jobs, ("n2", "n3")):
            self.standing(f"train-{name}", name, job)
        for name in ("n0", "n1", "n4"):
            self.standing(f"full-{name}", name, None)
        names = ["n0", "n1", "n2", "n3", "n4"]
        thing = self.seen(self.cluster.pod("web-0", gpus=8, owner=move_test.WEB))
        self.assertIsNone(self.daemon.placed(thing, names))
        (unit,) = wait_for(lambda: self.moves()["moves"], what="the move")[0]["units"]
        job, node = unit["name"], unit["name"].removeprefix("job-")
        wait_for(lambda: self.job(job).get("spec", {}).get("suspend"), what="the suspension")
        self.cluster.delete_pod(f"train-{node}")
        self.phase("bind")
        self.assertEqual(wait_for(lambda: self.daemon.placed(thing, names), what="a node"), node)
        self.daemon.bind(thing, node)
        self.phase("lent")
        # Its own node stays taken; now there is room in all racks.
        (other,) = {"n2", "n3"} - {node}
        for name in (f"train-{other}", "full-n0", "full-n1", "full-n4"):
            self.cluster.delete_pod(name)
        wait_for(lambda: not self.job(job)["spec"]["suspend"], 15, "the resumption")
        self.assertEqual([e["node"] for e in self.daemon.state()["ledger"] if e["uid"].startswith("return/")], [other])


class Lent(GangMoveTest):
    policy = headroom_test.LENT

    def test_what_was_lent_comes_back_for_a_gang(self):
        self.full()
        wait_for(lambda: self.daemon.ops.json("GET", "/v1/status")[1]["headroom"][0]["lent"] == 16, 5, "what is lent")
        annotations = {"berth.dev/gang": "serve", "berth.dev/gang-size": "2"}
        things = [self.seen(self.cluster.pod(f"serve-{i}", gpus=8, annotations=annotations, owner=move_test.WEB, priority=10))
                  for i in range(2)]
        jobs = self.some_suspended(2)
        self.assertEqual(jobs, ["job-n0", "job-n1"])
        self.assertEqual({u["right"] for u in self.only_move()["units"]}, {"lendTo"})
        self.pods_end(jobs)
        self.assertEqual(sorted(self.bind_all(things)), ["n0", "n1"])


class GivenBack(GangMoveTest):
    """A gang that waits on while what was taken for its class might be given back."""

    policy = move_test.ACT

    def test_one_that_will_never_have_room_keeps_nothing_back(self):
        self.full()
        self.gang(4)
        self.assertIn("no room even without", self.why())
        (job,) = self.taken()
        self.cluster.delete_pod("web-0")
        wait_for(lambda: not self.suspended(), 15, f"the resumption of {job}")

    def test_one_that_waits_for_others_to_have_run_long_enough_keeps_it_back(self):
        young = move_test.ACT.replace("match: [{owners: [Job]}]", "match: [{owners: [Job]}]\n  asVictim: {minRuntime: 1h}")
        (job,) = self.peak_after(young)
        self.gang(2)
        self.assertIn("minRuntime", self.why())
        self.cluster.delete_pod("web-0")
        time.sleep(3)
        self.assertEqual(self.suspended(), [job])

    def peak_after(self, policy):
        jobs = self.moved()
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(policy)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")
        return jobs

    def taken(self):
        (thing,) = self.web()
        jobs = self.some_suspended()
        self.pods_end(jobs)
        self.bind(thing)
        self.phase("lent")
        return jobs


class Owed(GangMoveTest):
    policy = TEAMS

    def full(self):
        for name in NAMES:
            self.standing(f"train-{name}", name, self.cluster.job(f"job-{name}"), priority=0)

    def test_a_team_below_its_guarantee_takes_back_what_others_borrow(self):
        self.full()
        annotations = {"berth.dev/gang": "serve", "berth.dev/gang-size": "2"}
        for i in range(2):
            self.cluster.pod(f"serve-{i}", gpus=8, namespace="owed", annotations=annotations, owner=move_test.WEB, priority=10)
        self.some_suspended(2)
        self.assertEqual({u["right"] for u in self.only_move()["units"]}, {"reclaim"})

    def test_a_single_pod_of_it_does_so_too(self):
        self.full()
        thing = self.cluster.pod("serve", gpus=8, namespace="owed", owner=move_test.WEB, priority=10)
        wait_for(lambda: self.daemon.explain("serve", "owed")[0] == 200, what="the pod")
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.some_suspended(1)

    def test_not_beyond_its_guarantee(self):
        self.full()
        annotations = {"berth.dev/gang": "serve", "berth.dev/gang-size": "3"}
        for i in range(3):
            self.cluster.pod(f"serve-{i}", gpus=8, namespace="owed", annotations=annotations, owner=move_test.WEB, priority=10)
        self.assertIn("no right to end it", self.why())
        self.nothing_happens()


if __name__ == "__main__":
    unittest.main()
