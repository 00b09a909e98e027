"""Gangs whose commit breaks: undone by way of their owner, kept where that cannot be, and what members leave behind."""

import signal
import time
import unittest

from harness import NAMES, POLICY, Daemon, wait_for
from gang_test import GangTest, bound_to, plan_of, says

SHORT = POLICY.replace("- name: batch\n", "- name: batch\n  gang: {membersWithin: 2s}\n")
RESTART = POLICY.replace("- name: batch\n", "- name: batch\n  gang: {onNodeLoss: restart}\n")
BINDING = "/api/v1/namespaces/team/pods/{}/binding"


class UndoTest(GangTest):
    policy = SHORT

    def setUp(self):
        super().setUp()
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(self.policy)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")

    def job_of(self, name="trainer"):
        return self.cluster.api.json("GET", f"/apis/batch/v1/namespaces/team/jobs/{name}")[1]

    def suspended(self, name="trainer"):
        return self.job_of(name).get("spec", {}).get("suspend", False)

    def mark(self, name="trainer"):
        return self.job_of(name)["metadata"].get("labels", {}).get("berth.dev/suspended-by")

    def gang(self):
        return next((g for g in self.daemon.state()["gangs"] if g["name"] == "g"), None)

    def state_is(self, state, seconds=10):
        wait_for(lambda: (self.gang() or {}).get("state") == state, seconds, f"the gang {state}")

    def bind_some(self, things, plans, failing):
        """All are asked to bind; the Bindings of some fail for good."""
        self.cluster.faults({"rules": [{"method": "POST", "path": BINDING.format(n), "status": 403} for n in failing]})
        calls = [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]
        for thread, _ in calls:
            thread.join()

    def broken(self, owner):
        """A gang of three of which two are bound."""
        things = self.members("abc", owner=owner)
        self.bind_some(things, self.planned(things), "c")
        self.state_is("committing")
        return things

    def whole(self, names="abc", owner=None):
        things = self.members(names, owner=owner)
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, self.planned(things))]:
            thread.join()
        self.state_is("whole")
        return things

    def events(self, reason):
        return [e for e in self.cluster.api.json("GET", "/apis/events.k8s.io/v1/events")[1]["items"] if e["reason"] == reason]

    def delete_all(self, names="abc"):
        for name in names:
            self.cluster.delete_pod(name)

    def resumed(self):
        wait_for(lambda: not self.suspended(), what="the owner's resumption")
        self.assertIsNone(self.mark())


TRAINER = "/apis/batch/v1/namespaces/team/jobs/trainer"


class Unwritable(UndoTest):
    """The owner may not be written, or not at once."""

    def refuse(self, status, times):
        self.cluster.faults({"rules": [{"method": "PATCH", "path": TRAINER, "status": status, "times": times},
                                       {"method": "POST", "path": BINDING.format("c"), "status": 403, "times": 100}]})

    def broken_under(self, status, times):
        job = self.cluster.job("trainer")
        things = self.members("abc", owner=job)
        plans = self.planned(things)
        self.refuse(status, times)
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
        return job

    def test_a_suspension_in_conflict_is_tried_again(self):
        self.broken_under(409, 1)
        wait_for(self.suspended, 15, "the suspension")

    def test_a_suspension_that_is_not_allowed_keeps_the_gang(self):
        self.broken_under(403, 1000)
        wait_for(lambda: self.events("GangKept"), 15, "what is said of it")
        self.assertFalse(self.suspended())

    def test_a_resumption_that_is_refused_for_a_while(self):
        self.broken(self.cluster.job("trainer"))
        wait_for(self.suspended, 15, "the suspension")
        self.refuse(403, 1)
        self.delete_all()
        wait_for(lambda: self.cluster.stats()["faults"] > 0, what="the refusal")
        self.assertTrue(self.suspended())
        wait_for(lambda: not self.suspended(), 15, "the resumption")


class InTime(UndoTest):
    policy = SHORT.replace("2s", "16s")

    def test_a_suspension_in_conflict_does_not_begin_the_members_time_anew(self):
        things = self.members("abc", owner=self.cluster.job("trainer"))
        plans = self.planned(things)
        self.cluster.faults({"rules": [{"method": "PATCH", "path": TRAINER, "status": 409, "times": 1},
                                       {"method": "POST", "path": BINDING.format("c"), "status": 403, "times": 100}]})
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
        wait_for(lambda: self.cluster.stats()["faults"] > 1, 20, "the conflict")
        refused = time.monotonic()
        wait_for(self.suspended, 20, "the suspension")
        self.assertLess(time.monotonic() - refused, 12)


class BySuspension(UndoTest):
    def test_its_job_is_suspended_and_goes_on_once_its_pods_are_gone(self):
        job = self.cluster.job("trainer")
        self.broken(job)
        wait_for(self.suspended, what="the suspension")
        self.assertEqual(self.mark(), "berth")
        self.state_is("undoing")
        self.assertEqual(self.holds(), [])
        time.sleep(1)
        self.assertTrue(self.suspended())
        self.delete_all()
        self.resumed()
        self.cluster.faults({"rules": []})
        self.whole("def", job)

    def test_a_members_call_is_refused_meanwhile(self):
        things = self.broken(self.cluster.job("trainer"))
        self.state_is("undoing")
        self.assertTrue(self.daemon.bind(things[2], NAMES[0])[1]["Error"])
        self.assertIsNone(bound_to(self.cluster.get_pod("c")))

    def test_a_node_that_goes_under_a_bound_member_is_not_waited_for(self):
        self.daemon.write_policy(POLICY)
        things = self.members("abc", owner=self.cluster.job("trainer"))
        plans = self.planned(things)
        self.bind_some(things, plans, "c")
        self.cluster.api.call("DELETE", f"/api/v1/nodes/{plans[0]['node']}")
        wait_for(self.suspended, 5, "the suspension")

    def test_the_next_process_resumes_what_the_last_one_suspended(self):
        self.broken(self.cluster.job("trainer"))
        wait_for(self.suspended, what="the suspension")
        self.daemon.process.stop(signal.SIGKILL)
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
        self.state_is("undoing")
        self.assertTrue(self.suspended())
        self.delete_all()
        self.resumed()

    def test_pods_that_went_between_two_processes(self):
        self.broken(self.cluster.job("trainer"))
        wait_for(self.suspended, what="the suspension")
        self.daemon.process.stop(signal.SIGKILL)
        self.delete_all()
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
        self.resumed()

    def test_the_next_process_may_read_it_later_only(self):
        self.broken(self.cluster.job("trainer"))
        wait_for(self.suspended, what="the suspension")
        self.daemon.process.stop(signal.SIGKILL)
        self.delete_all()
        before = self.cluster.stats()["faults"]
        # A watch reads Jobs, too, and asks again after a minute only.
        self.cluster.faults({"rules": [{"method": "GET", "path": "/apis/batch/v1/jobs", "status": 403, "times": 2}]})
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
        wait_for(lambda: self.cluster.stats()["faults"] == before + 2, what="the refusals")
        self.assertTrue(self.suspended())
        wait_for(lambda: not self.suspended(), 30, "the resumption")

    def test_what_cannot_be_read_above_it_leaves_its_job(self):
        self.broken(self.cluster.job("trainer", owner="JobSet"))
        wait_for(self.suspended, what="the suspension")
        self.delete_all()
        self.resumed()

    def test_what_may_not_be_read_above_it_keeps_the_gang(self):
        job = self.cluster.job("trainer", owner="JobSet")
        things = self.members("abc", owner=job)
        plans = self.planned(things)
        self.cluster.faults({"rules": [
            {"method": "POST", "path": BINDING.format("c"), "status": 403},
            {"method": "GET", "path": "/apis/jobset.x-k8s.io/v1alpha2/namespaces/team/jobsets/its-owner", "status": 403}]})
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
        wait_for(lambda: self.events("GangKept"), what="what is said of it")
        self.assertFalse(self.suspended())

    def test_another_gang_of_its_owner_is_not_ended_for_it(self):
        job = self.cluster.job("trainer")
        others = self.members("xy", gang="other", size=2, owner=job)
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(others, self.planned(others))]:
            thread.join()
        self.broken(job)
        wait_for(lambda: self.events("GangKept"), what="what is said of it")
        self.assertFalse(self.suspended())

    def test_who_takes_the_mark_away_has_taken_over(self):
        self.broken(self.cluster.job("trainer"))
        wait_for(self.suspended, what="the suspension")
        self.cluster.patch("/apis/batch/v1/namespaces/team/jobs/trainer", {"metadata": {"labels": {"berth.dev/suspended-by": None}}})
        self.delete_all()
        wait_for(lambda: not self.gang(), what="the end of the undo")
        time.sleep(0.5)
        self.assertTrue(self.suspended())

    def test_a_job_of_kueue_is_left_to_kueue(self):
        job = self.cluster.job("trainer")
        self.cluster.patch("/apis/batch/v1/namespaces/team/jobs/trainer", {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}}})
        self.broken(job)
        wait_for(lambda: self.events("GangKept"), what="what is said of it")
        self.assertFalse(self.suspended())


class ByEviction(UndoTest):
    def test_pods_that_are_made_anew_uncounted_are_evicted(self):
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s", "uid": "s-uid"}}
        self.broken(owner)
        self.cluster.faults({"rules": []})

        def evicted():
            gone = [n for n in "ab" if "spec" not in self.cluster.get_pod(n)]
            return len(gone) == 2
        wait_for(evicted, what="the evictions")
        self.assertIn("spec", self.cluster.get_pod("c"))
        self.members("ab", owner=owner)
        self.planned([self.cluster.get_pod(n) for n in "abc"])


class Kept(UndoTest):
    def test_pods_without_a_controller_stay_and_berth_says_so(self):
        things = self.broken(None)
        (said,) = wait_for(lambda: self.events("GangKept"), what="what is said of it")
        self.assertEqual((said["type"], said["regarding"]["kind"]), ("Warning", "Pod"))
        self.assertTrue(all(bound_to(self.cluster.get_pod(n)) for n in "ab"))
        time.sleep(1)
        self.assertEqual(len(self.events("GangKept")), 1)
        self.cluster.faults({"rules": []})
        plan = plan_of(self.cluster.get_pod("c"))
        self.assertEqual(self.daemon.bind(things[2], plan["node"]), (200, {"Error": ""}))
        self.state_is("whole")

    def test_a_member_lost_from_one_that_is_kept_leaves_no_hole(self):
        self.broken(None)
        wait_for(lambda: self.events("GangKept"), what="what is said of it")
        self.cluster.delete_pod("a")
        self.cluster.delete_pod("c")
        wait_for(lambda: self.gang()["present"] == 1, what="the members' end")
        self.assertEqual(self.holds(), [])

    def test_a_gang_that_was_whole_is_never_undone(self):
        job = self.cluster.job("trainer")
        self.whole(owner=job)
        wait_for(lambda: any(self.cluster.get_pod(n)["metadata"]["annotations"].get("berth.dev/gang-whole") for n in "abc"),
                 what="the mark")
        for restart in (False, True):
            self.cluster.delete_pod("a" if not restart else "b")
            if restart:
                self.daemon.process.stop(signal.SIGKILL)
                self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
            time.sleep(3)
            self.assertEqual(self.gang()["state"], "whole")
            self.assertFalse(self.suspended())


class Refused(UndoTest):
    """kube-scheduler finds no node for a planned member, and asks nobody: only the pod's condition shows it."""

    def says_unschedulable(self, name, message):
        self.cluster.patch(f"/api/v1/namespaces/team/pods/{name}/status", {"status": {"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}})

    def another_plan(self, name, than):
        def look():
            plan = plan_of(self.cluster.get_pod(name))
            return plan["node"] not in than and plan["node"]
        return wait_for(look, what="another node")

    def test_the_member_gets_another_node(self):
        things = self.members("abc")
        first = self.planned(things)[0]["node"]
        self.says_unschedulable("a", "0/3 nodes are available: 3 node(s) didn't have free ports.")
        second = self.another_plan("a", [first])
        self.assertEqual(self.daemon.placed(things[0], NAMES), second)

    def test_what_berth_said_before_is_no_refusal(self):
        things = self.members("abc")
        plans = self.planned(things)
        self.says_unschedulable("a", "0/3 nodes are available: 1 members of the gang are missing.")
        time.sleep(0.5)
        self.assertEqual(plan_of(self.cluster.get_pod("a")), plans[0])

    def test_with_no_node_left_the_gang_says_so_and_holds_nothing_for_a_while(self):
        self.planned(self.members("abc"))
        seen = []
        for turn in range(3):
            seen.append(plan_of(self.cluster.get_pod("a"))["node"])
            self.says_unschedulable("a", f"0/3 nodes are available: 3 {turn} not for this pod.")
            if turn < 2:
                self.another_plan("a", seen)
        self.state_is("queued")
        wait_for(lambda: self.gang()["code"] == "GangNodeRefused", what="the reason")
        self.assertEqual(self.holds(), [])
        wait_for(self.holds, 15, "another try, on any node")


class Losses(UndoTest):
    policy = RESTART

    def test_a_node_lost_under_a_whole_gang_restarts_it(self):
        things = self.whole(owner=self.cluster.job("trainer"))
        self.cluster.api.call("DELETE", "/api/v1/nodes/" + bound_to(self.cluster.get_pod(things[0]["metadata"]["name"])))
        wait_for(self.suspended, what="the suspension")
        self.delete_all()
        self.resumed()

    def lose_a_node(self, *rules):
        self.whole(owner=self.cluster.job("trainer"))
        self.cluster.faults({"rules": [{"path": TRAINER, **rule} for rule in rules]})
        self.cluster.api.call("DELETE", "/api/v1/nodes/" + bound_to(self.cluster.get_pod("a")))

    def test_a_restart_that_is_refused_for_good_is_given_up(self):
        self.lose_a_node({"method": "PATCH", "status": 403, "times": 100000})
        wait_for(lambda: self.events("GangKept"), 15, "what is said of it")
        time.sleep(2)
        self.assertEqual((self.cluster.stats()["faults"], len(self.events("GangKept"))), (1, 1))

    def test_a_restart_in_conflict_is_tried_again(self):
        self.lose_a_node({"method": "PATCH", "status": 409, "times": 1})
        wait_for(self.suspended, 20, "the suspension")

    def test_a_restart_whose_owner_cannot_be_asked_is_tried_again(self):
        self.lose_a_node({"method": "GET", "status": 429, "times": 20})
        wait_for(lambda: self.cluster.stats()["faults"] > 0, what="the refusal")
        time.sleep(3)
        self.cluster.faults({"rules": []})
        wait_for(self.suspended, 20, "the suspension")

    def fall_ill(self, name):
        node = bound_to(self.cluster.get_pod(name))
        self.cluster.patch(f"/api/v1/nodes/{node}/status", {"status": {"conditions": [
            {"type": "Ready", "status": "True"}, {"type": "GpuUnhealthy", "status": "True"}]}})
        wait_for(lambda: "NodeAvoided" in next(n for n in self.daemon.state()["nodes"] if n["name"] == node)["codes"], what="the condition")

    def test_a_node_that_falls_ill_under_a_whole_gang_restarts_it(self):
        things = self.whole(owner=self.cluster.job("trainer"))
        self.fall_ill(things[0]["metadata"]["name"])
        wait_for(self.suspended, what="the suspension")
        self.delete_all()
        self.resumed()

    def test_where_the_policy_says_replace_it_goes_on_there(self):
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(POLICY)
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 5, "the policy")
        things = self.whole(owner=self.cluster.job("trainer"))
        self.fall_ill(things[0]["metadata"]["name"])
        time.sleep(1)
        self.assertFalse(self.suspended())

    def test_a_member_lost_without_its_node_is_replaced(self):
        self.whole(owner=self.cluster.job("trainer"))
        self.cluster.delete_pod("a")
        self.planned([self.member("d")])
        self.assertFalse(self.suspended())

    def test_where_a_kubelet_did_not_take_a_member_its_replacement_does_not_go(self):
        things = self.members("abc", gpus=8)
        plans = self.planned(things)
        self.cluster.node("n3")
        self.bind_some(things, plans, "c")
        self.cluster.patch("/api/v1/namespaces/team/pods/a/status",
                           {"status": {"phase": "Failed", "reason": "UnexpectedAdmissionError"}})
        again = self.member("d", gpus=8)
        self.assertEqual(self.planned([again])[0]["node"], "n3")

    def test_a_gang_that_comes_again_is_planned_as_a_whole(self):
        self.whole()
        self.delete_all("ab")
        first = self.member("d")
        self.planned([first])
        self.delete_all("cd")
        wait_for(lambda: not self.gang(), what="the end of all members")
        self.members("ef")
        self.state_is("gathering")

    def test_members_that_ended_are_forgotten_with_their_pods_though_no_watch_shows_it(self):
        job = self.cluster.job("trainer")
        self.whole(owner=job)
        for name in "abc":
            self.cluster.patch(f"/api/v1/namespaces/team/pods/{name}/status", {"status": {"phase": "Succeeded"}})
        wait_for(lambda: not self.daemon.state()["ledger"], what="the end of all members")
        with self.cluster.unseen("/api/v1/pods"):
            self.delete_all("abc")
        # What the Job makes next is not the second try of a part of them, but a gang anew.
        self.members("d", owner=job)
        gang = wait_for(self.gang, 20, "the next gang")
        self.assertEqual((gang["state"], gang["present"], gang["quorum"]), ("gathering", 1, 3))

    def test_a_member_that_ended_well_stands_for_its_part(self):
        job = self.cluster.job("trainer")
        self.whole(owner=job)
        for name in "abc":
            self.cluster.patch(f"/api/v1/namespaces/team/pods/{name}/status",
                               {"status": {"phase": "Failed" if name == "c" else "Succeeded"}})
        again = self.member("d", owner=job)
        plan = self.planned([again])[0]
        self.assertEqual(self.daemon.bind(again, plan["node"]), (200, {"Error": ""}))


class Told(UndoTest):
    """What people are told of it."""

    def of_gang(self, name="a"):
        return self.daemon.explain(name)[1]["gang"]

    def test_a_gang_that_is_undone(self):
        self.broken(self.cluster.job("trainer"))
        said = wait_for(lambda: len(self.events("GangUndone")) == 2 and self.events("GangUndone"), what="the Events")
        self.assertEqual(sorted((e["regarding"]["kind"], e["regarding"]["name"]) for e in said),
                         [("Job", "trainer"), ("Pod", "a")])
        self.assertEqual({e["note"] for e in said}, {"gang team/g: cannot be completed: 2 of 3 pods are bound, and taken back"})
        self.state_is("undoing")
        gang = self.of_gang()
        self.assertEqual([(m["pod"], m["state"]) for m in gang["members"]], [("a", "bound"), ("b", "bound"), ("c", "pending")])
        time.sleep(2)
        self.assertEqual(len(self.events("GangUndone")), 2)

    def test_the_limit_that_runs_and_a_gang_that_is_kept(self):
        self.daemon.write_policy(SHORT.replace("2s", "5s"))
        time.sleep(2.5)  # a changed file is in force
        self.broken(None)
        (limit,) = self.of_gang()["deadlines"]
        self.assertEqual(limit["name"], "membersWithin")
        self.assertLessEqual(limit["inSeconds"], 5)
        wait_for(lambda: self.of_gang()["kept"], what="that it stays")
        self.assertEqual(self.of_gang()["deadlines"], [])

    def test_room_that_is_given_back(self):
        """Its commit does not come in time, as nobody asks for its pods."""
        self.planned(self.members("abc"))
        (limit,) = self.of_gang()["deadlines"]
        self.assertEqual(limit["name"], "commit")
        (said,) = wait_for(lambda: self.events("GangUndone"), 40, "the Event")
        self.assertEqual(said["note"], "gang team/g: could not be bound whole in time, its room is given back")
        self.assertEqual(len(self.events("GangPlanned")), 1)


class Near(UndoTest):
    policy = POLICY.replace("pools:\n", "topology: [{level: block, nodeLabel: example.com/block}]\npools:\n", 1)

    def nodes(self):
        for i, name in enumerate(NAMES + ["n3"]):
            self.cluster.node(name, labels={"example.com/block": "ab"[i // 2]})

    def block(self, node):
        return "ab"[int(node[1]) // 2]

    def test_the_replacement_of_a_lost_member_comes_near_its_peers(self):
        self.whole()
        nodes = {name: bound_to(self.cluster.get_pod(name)) for name in "abc"}
        home = self.block(nodes["b"])
        self.assertEqual({self.block(n) for n in nodes.values()}, {home})
        # A single would go where it just fits: into the other block.
        other = [n for n in NAMES + ["n3"] if self.block(n) != home]
        self.cluster.pod("half", gpus=4, nodeName=other[0])
        self.cluster.delete_pod("a")
        plan = self.planned([self.member("d")])[0]
        self.assertEqual(self.block(plan["node"]), home)


class Remembered(UndoTest):
    """That a gang was whole outlives the process by a mark on its members."""

    def test_a_mark_that_was_refused_is_written_again(self):
        things = self.members("abc", owner=self.cluster.job("trainer"))
        plans = self.planned(things)
        self.cluster.faults({"rules": [
            {"method": "PATCH", "path": f"/api/v1/namespaces/team/pods/{name}", "status": 409, "times": 1} for name in "abc"]})
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, plans)]:
            thread.join()
        self.state_is("whole")
        wait_for(lambda: self.cluster.stats()["faults"] > 0, what="the refusal")
        marked = lambda name: "berth.dev/gang-whole" in self.cluster.get_pod(name)["metadata"].get("annotations", {})
        wait_for(lambda: any(marked(name) for name in "abc"), 15, "the mark")

    def test_a_place_whose_nomination_was_not_answered_is_told_all_the_same(self):
        things = [self.member(name, gpus=8) for name in "abc"]
        for thread, _ in [self.daemon.spawn_bind(t, p["node"]) for t, p in zip(things, self.planned(things))]:
            thread.join()
        self.state_is("whole")
        free = bound_to(self.cluster.get_pod("c"))
        self.cluster.delete_pod("c")
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "/pods/d/status", "delayMs": 2000, "times": 1}]})
        late = self.member("d", gpus=8)
        wait_for(lambda: self.daemon.entry(late), what="a place")
        self.daemon.filter(late, [name for name in NAMES if name != free])
        wait_for(lambda: self.daemon.entry(late), 15, "a place again")
        wait_for(lambda: plan_of(self.cluster.get_pod("d")), 15, "its plan")


if __name__ == "__main__":
    unittest.main()
