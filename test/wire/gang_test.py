"""The road of gangs in `berth serve`: room for all members or for none, parked binds, one burst, and what breaks in between."""

import http.client
import json
import signal
import threading
import time
import unittest

from harness import NAMES, POLICY, Cluster, Daemon, WireTest, free_port, wait_for

GATES = [{"name": "berth.dev/plan"}]
GATED = POLICY + "gate: {classes: [batch]}\n"
INCOMPLETE = "members of the gang are missing"
UNKNOWN = "nothing says how many members the gang has"


def says(gang, size, **more):
    return {"berth.dev/gang": gang, "berth.dev/gang-size": str(size), **more}


def bound_to(thing):
    return thing["spec"].get("nodeName")


def plan_of(thing):
    text = thing["metadata"].get("annotations", {}).get("berth.dev/plan")
    return json.loads(text) if text else None


def decision_of(thing):
    return json.loads(thing["metadata"]["annotations"]["berth.dev/decision"])


class GangTest(WireTest):
    def member(self, name, gang="g", size=3, gpus=4, **more):
        return self.cluster.pod(name, gpus=gpus, annotations=says(gang, size), **more)

    def members(self, names, **more):
        return [self.member(name, **more) for name in names]

    def planned(self, things):
        """The plans on the pods, once they all have one."""
        def look():
            plans = [plan_of(self.cluster.get_pod(t["metadata"]["name"])) for t in things]
            return all(plans) and plans
        return wait_for(look, what="the plan on every member")

    def all_bound(self, names, seconds=10):
        def look():
            pods = [self.cluster.get_pod(name) for name in names]
            return all(bound_to(p) for p in pods) and pods
        return wait_for(look, seconds, "Bindings of all members")

    def rejected(self, thing):
        status, answer = self.daemon.asked(thing, NAMES)
        self.assertEqual((status, answer["NodeNames"]), (200, []))
        return answer["FailedAndUnresolvableNodes"]

    def park(self, thing, node):
        thread, answer = self.daemon.spawn_bind(thing, node)
        wait_for(lambda: (self.daemon.entry(thing) or {}).get("state") == "assumed", what="the parked call")
        return thread, answer

    def holds(self):
        return [e for e in self.daemon.state()["ledger"] if e["state"] != "bound"]


class Ungated(GangTest):
    def test_early_members_are_told_one_text_on_one_node(self):
        for thing in self.members(["a", "b"]):
            self.assertEqual(self.rejected(thing), {NAMES[0]: INCOMPLETE})
        self.assertEqual(self.daemon.state()["ledger"], [])

    def test_a_gang_whose_size_nobody_says_waits(self):
        thing = self.seen(self.cluster.pod("a", annotations={"berth.dev/gang": "g"}))
        self.assertEqual(self.rejected(thing), {NAMES[0]: UNKNOWN})
        (shown,) = self.daemon.state()["gangs"]
        self.assertEqual((shown["state"], shown["code"]), ("gathering", "GangSizeUnknown"))
        self.assertEqual(self.daemon.state()["ledger"], [])

    def test_the_last_member_wakes_the_others_and_all_bind_together(self):
        things = self.members(["a", "b"])
        for thing in things:
            self.rejected(thing)
        things.append(self.member("c"))
        plans = self.planned(things)
        self.assertEqual(len({p["plan"] for p in plans}), 1)
        for thing, plan in zip(things, plans):
            self.assertEqual(self.daemon.placed(thing, NAMES), plan["node"])
        calls = [self.park(t, p["node"]) for t, p in zip(things[:2], plans)]
        time.sleep(0.5)
        self.assertEqual([answer for _, answer in calls], [[], []])
        self.assertFalse(any(bound_to(self.cluster.get_pod(n)) for n in "ab"))
        self.assertEqual(self.daemon.bind(things[2], plans[2]["node"]), (200, {"Error": ""}))
        for thread, answer in calls:
            thread.join()
            self.assertEqual(answer, [(200, {"Error": ""})])
        for thing, plan in zip(self.all_bound("abc"), plans):
            self.assertEqual(bound_to(thing), plan["node"])
            self.assertEqual((decision_of(thing)["gang"], decision_of(thing)["plan"]), ("g", plan["plan"]))

    def test_who_is_asked_for_before_the_plan_is_written_has_it_in_its_binding(self):
        things = self.members("ab")
        for thing in things:
            self.rejected(thing)
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/api/v1/namespaces/team/pods/", "delayMs": 3000, "times": 100}]})
        things.append(self.member("c"))
        wait_for(lambda: all(self.daemon.entry(thing) for thing in things), what="the plan")
        for thread, answer in [self.park(t, self.daemon.placed(t, NAMES)) for t in things[:2]]:
            self.assertEqual(answer, [])
        self.assertEqual(self.daemon.bind(things[2], self.daemon.placed(things[2], NAMES)), (200, {"Error": ""}))
        for thing in self.all_bound("abc"):
            self.assertEqual(plan_of(thing)["node"], bound_to(thing))

    def test_without_room_for_all_nothing_is_held(self):
        things = [self.seen(thing) for thing in self.members("abcdefg", size=7)]
        for thing in things:
            self.assertEqual(list(self.rejected(thing).values()), ["not enough room for the gang as a whole"])
        self.assertEqual(self.daemon.state()["ledger"], [])
        self.cluster.node("n3")
        self.planned(things)

    def test_what_is_shown_of_a_gang(self):
        for thing in self.members("abcdef", size=7):
            self.seen(thing)
        (shown,) = self.daemon.state()["gangs"]
        self.assertEqual(
            {k: shown[k] for k in ("namespace", "name", "state", "code", "quorum", "present", "missing", "placed")},
            {"namespace": "team", "name": "g", "state": "gathering", "code": "GangIncomplete", "quorum": 7, "present": 6,
             "missing": 1, "placed": 0})
        self.assertEqual(self.daemon.metric('berth_gangs{state="gathering"}'), 1)
        self.seen(self.member("last", size=7))
        wait_for(lambda: self.daemon.metric('berth_gangs{state="queued"}') == 1, what="the gang in line")
        said = wait_for(lambda: self.daemon.explain("a")[1]["gang"], what="what is said of it")
        self.assertEqual((said["state"], said["code"], said["missing"]), ("queued", "GangNoRoom", 0))
        self.assertEqual([(l["level"], l["takes"], l["lacks"]) for l in said["levels"]], [("host", 2, 5)])
        self.assertEqual((said["blocking"]["code"], said["blocking"]["resource"]), ("NoGPU", "nvidia.com/gpu"))

    def test_a_bind_without_a_plan_is_refused(self):
        thing = self.seen(self.member("a"))
        status, answer = self.daemon.bind(thing, NAMES[0])
        self.assertEqual(status, 200)
        self.assertTrue(answer["Error"])
        self.assertIsNone(bound_to(self.cluster.get_pod("a")))

    def test_a_member_deleted_while_parked_leaves_its_room_to_its_replacement(self):
        things = self.members("abc")
        plans = self.planned(things)
        thread, answer = self.park(things[0], plans[0]["node"])
        self.cluster.delete_pod("a")
        thread.join()
        self.assertTrue(answer[0][1]["Error"])
        self.assertEqual(len(wait_for(lambda: [h for h in self.holds() if h["uid"].startswith("hole/")], what="the hole")), 1)
        again = self.member("a2")
        plan = self.planned([again])[0]
        self.assertEqual(plan["node"], plans[0]["node"])
        calls = [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things[1:] + [again], plans[1:] + [plan])]
        for thread, answer in calls:
            thread.join()
            self.assertEqual(answer, [(200, {"Error": ""})])
        self.assertEqual([h for h in self.holds()], [])

    def test_a_node_that_kube_scheduler_refuses_is_not_planned_again(self):
        things = self.members("abc")
        plans = self.planned(things)
        others = [n for n in NAMES if n != plans[0]["node"]]
        other = self.daemon.placed(things[0], others)
        self.assertIn(other, others)
        wait_for(lambda: plan_of(self.cluster.get_pod("a"))["node"] == other, what="the new plan on the pod")
        self.assertEqual(self.daemon.placed(things[0], NAMES), other)
        self.assertEqual([self.daemon.entry(t)["node"] for t in things[1:]], [p["node"] for p in plans[1:]])

    def test_a_refusal_is_of_the_moment_where_there_is_no_other_node(self):
        things = self.members("abcdef", size=6)
        (plan, *_) = self.planned(things)
        self.assertIsNone(self.daemon.placed(things[0], [n for n in NAMES if n != plan["node"]]))
        # The plan is the same; it is another value that wakes the pod.
        wait_for(lambda: self.wake("a") == "PlannedAgain/2", 8, "the wake-up")
        self.assertEqual(plan_of(self.cluster.get_pod("a"))["node"], plan["node"])
        self.assertEqual(self.daemon.placed(things[0], NAMES), plan["node"])

    def test_a_replacement_after_the_gang_was_whole(self):
        things = self.members("abc")
        plans = self.planned(things)
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
        self.all_bound("abc")
        self.cluster.delete_pod("a")
        again = self.member("a2")
        plan = self.planned([again])[0]
        self.assertEqual(self.daemon.placed(again, NAMES), plan["node"])
        self.assertEqual(self.daemon.bind(again, plan["node"]), (200, {"Error": ""}))

    def test_opted_out(self):
        thing = self.cluster.pod("a", annotations=says("g", 3, **{"berth.dev/no-gang": "true"}))
        self.assertIn(self.daemon.placed(thing, NAMES), NAMES)

    def lost_bind(self, thing, node):
        """A call that may end without an answer."""
        def call():
            try:
                self.daemon.bind(thing, node)
            except (OSError, http.client.HTTPException):
                pass
        thread = threading.Thread(target=call)
        thread.start()
        return thread

    def restart(self):
        self.daemon.process.stop(signal.SIGKILL)
        self.daemon = Daemon(self.cluster.kubeconfig, port=self.daemon.port)

    def test_nobody_gets_the_room_of_a_plan_that_is_not_read_yet(self):
        things = self.members("abc")
        plans = self.planned(things)
        self.cluster.faults({"rules": [{"method": "GET", "path": "/apis", "hold": True, "times": 100}]})
        self.restart()
        nodes = sorted({plan["node"] for plan in plans})
        single = self.seen(self.cluster.pod("single", gpus=4))
        self.assertEqual(self.daemon.filter(single, nodes[:1])[0], 503)
        self.cluster.faults({"clear": True, "release": True})
        self.assertIsNone(self.daemon.placed(single, nodes[:1]))
        self.assertEqual([self.daemon.entry(thing)["node"] for thing in things], [plan["node"] for plan in plans])

    def test_a_plan_outlives_the_process(self):
        things = self.members("abc")
        plans = self.planned(things)
        self.restart()
        for thing, plan in zip(things, plans):
            self.assertEqual(wait_for(lambda: self.daemon.entry(thing))["node"], plan["node"])
        for thread, answer in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
            self.assertEqual(answer, [(200, {"Error": ""})])

    def test_a_plan_without_room_is_made_anew_after_a_restart(self):
        things = self.members("abcdef", size=6)
        self.planned(things)
        self.daemon.process.stop(signal.SIGKILL)
        self.cluster.pod("taken", gpus=1, nodeName=NAMES[0], scheduler="other")
        self.daemon = Daemon(self.cluster.kubeconfig, port=self.daemon.port)
        self.assertEqual(self.holds(), [])
        self.cluster.node("n3")
        wait_for(lambda: len(self.holds()) == 6, what="a new plan")

    def test_a_burst_is_finished_after_a_restart(self):
        things = self.members("abc")
        plans = self.planned(things)
        # Two of three Bindings fail for as long as this process lives.
        self.cluster.faults({"rules": [
            {"method": "POST", "path": f"/api/v1/namespaces/team/pods/{n}/binding", "status": 500} for n in "bc"]})
        calls = [self.lost_bind(t, p["node"]) for t, p in zip(things, plans)]
        wait_for(lambda: bound_to(self.cluster.get_pod("a")), what="the first Binding")
        self.daemon.process.stop(signal.SIGKILL)
        for thread in calls:
            thread.join()
        self.cluster.faults({"rules": []})
        self.daemon = Daemon(self.cluster.kubeconfig, port=self.daemon.port)
        for thing, plan in zip(things[1:], plans[1:]):
            self.assertEqual(self.daemon.placed(thing, NAMES), plan["node"])
            self.assertEqual(self.daemon.bind(thing, plan["node"]), (200, {"Error": ""}))
        self.all_bound("abc")


class Gated(GangTest):
    def setUp(self):
        super().setUp()
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(GATED)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy with a gate")

    def test_gates_go_with_the_plan(self):
        things = self.members(["a", "b"], schedulingGates=GATES)
        time.sleep(0.3)
        self.assertTrue(all(self.cluster.get_pod(n)["spec"]["schedulingGates"] for n in "ab"))
        things.append(self.member("c", schedulingGates=GATES))
        plans = self.planned(things)
        for thing, plan in zip(things, plans):
            shown = self.cluster.get_pod(thing["metadata"]["name"])
            self.assertFalse(shown["spec"].get("schedulingGates"))
            self.assertEqual(shown["status"]["nominatedNodeName"], plan["node"])

    def test_another_gate_keeps_the_gang_waiting(self):
        things = self.members(["a", "b"], schedulingGates=GATES)
        things.append(self.member("c", schedulingGates=GATES + [{"name": "example.com/gate"}]))
        self.seen(things[2])
        time.sleep(0.3)
        self.assertTrue(all(self.cluster.get_pod(n)["spec"]["schedulingGates"] for n in "abc"))
        self.cluster.patch("/api/v1/namespaces/team/pods/c", {"spec": {"schedulingGates": GATES}})
        self.planned(things)

    def test_a_gated_single_is_let_go_at_once(self):
        self.cluster.pod("single", schedulingGates=GATES)
        wait_for(lambda: not self.cluster.get_pod("single")["spec"].get("schedulingGates"), what="its release")


class ByGPUs(GangTest):
    """A class for gangs that ask for many GPUs in all."""

    def setUp(self):
        super().setUp()
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(POLICY.replace("- name: batch\n", "- {name: large, match: [{gangGPUs: {min: 8}}]}\n- name: batch\n")
                                 + "gate: {classes: [large]}\n")
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy with a class for large gangs")

    def gated(self, name):
        return bool(self.cluster.get_pod(name)["spec"].get("schedulingGates"))

    def test_the_class_goes_by_what_all_members_ask_for(self):
        for gang, gpus, class_ in (("g", 4, "large"), ("h", 1, "batch")):
            things = [self.member(f"{gang}{i}", gang=gang, size=2, gpus=gpus) for i in range(2)]
            plans = self.planned(things)
            for thread, answer in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
                thread.join()
                self.assertEqual(answer, [(200, {"Error": ""})])
            for thing in self.all_bound([f"{gang}0", f"{gang}1"]):
                self.assertEqual(decision_of(thing)["class"], class_)

    def test_a_small_gang_does_not_wait_at_the_gate(self):
        self.member("small", gang="small", size=3, gpus=2, schedulingGates=GATES)
        large = self.seen(self.member("large", gang="large", size=3, gpus=4, schedulingGates=GATES))
        wait_for(lambda: not self.gated("small"), what="the small gang's release")
        self.assertTrue(self.gated(large["metadata"]["name"]))

    def test_one_whose_members_differ_waits_until_all_are_there(self):
        self.seen(self.member("a", size=3, gpus=1, schedulingGates=GATES))
        wait_for(lambda: not self.gated("a"), what="three of one GPU are few")
        self.seen(self.member("b", size=3, gpus=4, schedulingGates=GATES))
        time.sleep(0.3)
        self.assertTrue(self.gated("b"))
        self.planned([self.member("c", size=3, gpus=4, schedulingGates=GATES)])
        self.assertFalse(self.gated("b"))


class Driven(unittest.TestCase):
    """With kube-scheduler played by the embedded cluster."""

    def start(self, nodes, policy=GATED):
        port = free_port()
        self.cluster = Cluster("--drive", f"http://127.0.0.1:{port}/v1")
        self.addCleanup(self.cluster.stop)
        for i in range(nodes):
            self.cluster.node(f"n{i}")
        self.daemon = Daemon(self.cluster.kubeconfig, policy=policy, port=port)
        self.addCleanup(self.daemon.stop)

    def gang(self, name, size, gpus, gated):
        more = {"schedulingGates": GATES} if gated else {}
        return [self.cluster.pod(f"{name}-{i}", gpus=gpus, annotations=says(name, size), **more) for i in range(size)]

    def bound(self, things):
        return sum(1 for t in things if bound_to(self.cluster.get_pod(t["metadata"]["name"])))

    def whole(self, things, seconds=30):
        wait_for(lambda: self.bound(things) == len(things), seconds, "the gang, whole")

    def test_gangs_among_singles(self):
        self.start(12)
        gangs = [self.gang("two", 2, 4, True), self.gang("eight", 8, 4, False), self.gang("many", 32, 1, True)]
        singles = [self.cluster.pod(f"s{i}", gpus=1) for i in range(10)]
        for gang in gangs + [singles]:
            self.whole(gang)
        wait_for(lambda: all(e["state"] == "bound" for e in self.daemon.state()["ledger"]), what="bound pods alone")

    def two_of_sixty_percent(self, gated):
        self.start(10)
        more = {"schedulingGates": GATES} if gated else {}
        gangs = {"a": [], "b": []}
        for i in range(12):
            for name, gang in gangs.items():
                gang.append(self.cluster.pod(f"{name}-{i}", gpus=4, annotations=says(name, 12), **more))
        first = wait_for(lambda: next((n for n in gangs if self.bound(gangs[n]) == 12), None), 30, "one gang, whole")
        other = "b" if first == "a" else "a"
        self.assertEqual(self.bound(gangs[other]), 0)
        self.assertEqual([e for e in self.daemon.state()["ledger"] if e["pod"].startswith(f"team/{other}")], [])
        singles = [self.cluster.pod(f"s{i}", gpus=4) for i in range(8)]
        self.whole(singles)
        for thing in gangs[first]:
            self.cluster.delete_pod(thing["metadata"]["name"])
        self.whole(gangs[other])

    def test_two_gangs_that_do_not_fit_side_by_side(self):
        self.two_of_sixty_percent(True)

    def test_the_same_ungated(self):
        self.two_of_sixty_percent(False)


if __name__ == "__main__":
    unittest.main()
