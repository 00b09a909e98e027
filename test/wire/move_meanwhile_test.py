"""What others do while a move goes on, and what the API server refuses all the time."""

import signal
import time
import unittest

import move_test
from harness import NAMES, Daemon, pod, wait_for

PROTECTED = {"metadata": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}}


class MeanwhileTest(move_test.MoveTest):
    policy = move_test.GRACE

    def told(self):
        return [n for n in NAMES if self.cluster.get_pod(f"train-{n}").get("metadata", {}).get("annotations", {}).get("berth.dev/ending-at")]

    def told_of(self, count):
        return wait_for(lambda: len(self.told()) == count and self.told(), what=f"{count} notices")


class Noticed(MeanwhileTest):
    def test_what_is_refused_is_never_told(self):
        self.full()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "jobs/job-n", "status": 422, "times": 100}]})
        self.web()
        wait_for(lambda: len(self.events("MoveGivenUp")) == 3, 15, "the Events")
        self.assertEqual((self.events("GPUsToBeTaken"), self.told(), self.suspended()), ([], [], []))
        self.assertIn("it is protected", wait_for(self.why, what="a reason"))

    def test_who_protects_a_pod_when_told_keeps_it(self):
        self.full()
        self.web()
        (node,) = self.told_of(1)
        self.cluster.patch(f"/api/v1/namespaces/team/pods/train-{node}", PROTECTED)
        (job,) = self.some_suspended(1, 15)
        self.assertNotEqual(job, f"job-{node}")
        self.assertIsNone(self.mark(f"job-{node}"))
        self.assertNotIn(node, self.told())

    def test_a_victim_that_goes_by_itself_is_as_good_as_ended(self):
        self.full()
        things = self.web(2)
        nodes = self.told_of(2)
        self.cluster.api.call("DELETE", move_test.JOB.format(f"job-{nodes[0]}"))
        self.cluster.delete_pod(f"train-{nodes[0]}")
        self.assertEqual(self.some_suspended(), [f"job-{nodes[1]}"])
        self.pods_end(self.suspended())
        self.assertEqual(sorted(self.bind(t) for t in things), sorted(nodes))
        self.phase("lent")
        self.assertEqual(self.events("MoveGivenUp"), [])

    def test_killed_before_anybody_was_told(self):
        self.full()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "jobs/job-n", "hold": True, "times": 10}]})
        self.web()
        wait_for(self.records, what="the record")
        self.assertEqual([r["told"] for r in self.records().values()], [False])
        self.daemon.process.stop(signal.SIGKILL)
        time.sleep(2)  # the notice would be over, had it been given
        self.cluster.faults({"clear": True, "release": True})
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)
        (node,) = self.told_of(1)
        self.assertEqual(self.suspended(), [])
        wait_for(lambda: [r["told"] for r in self.records().values()] == [True], what="its record")
        self.assertEqual(self.some_suspended(), [f"job-{node}"])


class AnotherPolicy(MeanwhileTest):
    def change(self, text, mode):
        self.daemon.write_policy(text)
        wait_for(lambda: self.moves()["mode"] == mode, 5, "the policy")

    def test_that_only_observes_takes_the_notice_back(self):
        self.full()
        self.web()
        self.told_of(1)
        self.change(move_test.OBSERVE, "observe")
        wait_for(lambda: not self.told(), what="the notice's end")
        self.assertIn("the policy makes no moves any more", wait_for(lambda: self.events("MoveGivenUp"), what="the Event")[0]["note"])
        wait_for(lambda: not self.records(), what="the record's end")
        wait_for(lambda: self.events("MoveObserved"), 10, "what would be done")
        self.assertEqual(self.suspended(), [])

    def test_without_moves_gives_back_what_is_ending(self):
        self.policy = move_test.KEEP
        self.change(self.policy, "act")
        self.full()
        self.web()
        (job,) = self.some_suspended()
        self.change(move_test.CLASSES, "off")
        time.sleep(1)
        self.assertEqual(self.suspended(), [job])
        self.pods_end([job])
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        self.assertIsNone(self.mark(job))


class LongNames(MeanwhileTest):
    policy = move_test.KEEP

    def test_names_and_annotations_as_long_as_they_may_be(self):
        jobs = [self.cluster.job("j" * 62 + str(i)) for i in range(3)]
        saved = "x" * 200000
        for name, job in zip(NAMES, jobs):
            self.standing("p" * 240 + name, name, job, annotations={"berth.dev/last-checkpoint": saved})
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "w" * 253, "uid": "web-uid"}}
        (thing,) = self.web(owner=owner, prefix="q" * 250)
        made = lambda: [j["metadata"]["name"] for j in jobs if self.job(j["metadata"]["name"]).get("spec", {}).get("suspend")]
        (job,) = wait_for(made, what="the suspension")
        node = NAMES[int(job[-1])]
        self.cluster.delete_pod("p" * 240 + node)
        self.assertEqual(self.bind(thing), node)
        self.phase("lent")


class Resumed(MeanwhileTest):
    policy = move_test.KEEP.replace("giveBackAfter: 1h", "giveBackAfter: 1h, cooldown: 1s, perUnitAndDay: 10")

    def test_who_resumes_one_before_its_pods_end_keeps_it_and_another_is_ended(self):
        self.full()
        self.web()
        (job,) = self.some_suspended()
        self.patch_job(job, {"spec": {"suspend": False}})
        (other,) = self.some_suspended(1, 15)
        self.assertNotEqual(other, job)
        self.assertIn("somebody resumed", self.events("MoveGivenUp")[0]["note"])
        self.assertEqual((self.mark(job), self.job(job)["metadata"]["annotations"]["berth.dev/resumed-by-others"]), (None, "1"))

    def test_a_loop_that_resumes_is_given_in_to_for_good(self):
        self.full()
        for name in NAMES[1:]:
            self.patch_job(f"job-{name}", {"spec": {"managedBy": "example.com/other"}})
        self.web()
        for count in ("1", "2"):
            wait_for(lambda: self.job("job-n0").get("spec", {}).get("suspend"), 20, "the suspension")
            self.patch_job("job-n0", {"spec": {"suspend": False}})
            wait_for(lambda: self.job("job-n0")["metadata"].get("annotations", {}).get("berth.dev/resumed-by-others") == count, 15,
                     "what is noted of it")
            self.assertEqual(self.suspended(), [])
        time.sleep(3)
        self.assertEqual((self.suspended(), self.mark("job-n0")), ([], None))
        self.assertIn("it is protected", self.why())


class Siblings(MeanwhileTest):
    policy = move_test.KEEP

    def test_those_that_can_have_no_room_keep_it_from_none_that_asks_for_something_else(self):
        self.full()
        for name in NAMES[1:]:
            self.cluster.patch(f"/api/v1/namespaces/team/pods/train-{name}", PROTECTED)
        things = []
        for name, cpu in (("web-0", "1"), ("web-1", "1"), ("web-2", "2")):
            thing = pod(name, gpus=8, owner=move_test.WEB)
            thing["spec"]["containers"][0]["resources"]["requests"]["cpu"] = cpu
            things.append(self.seen(self.cluster.create("pods", thing)))
        for thing in things:
            self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.assertEqual(self.some_suspended(), ["job-n0"])
        (move,) = self.moves()["moves"]
        self.assertEqual(move["for"]["pods"], 1)


class Failing(MeanwhileTest):
    policy = move_test.KEEP

    def test_another_is_ended_where_one_cannot_be(self):
        self.full()
        (first,) = self.first_choice()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": f"jobs/{first}", "status": 500, "times": 1000}]})
        self.web()
        (job,) = self.some_suspended(1, 20)
        self.assertNotEqual(job, first)

    def first_choice(self):
        """The Job that would be ended first."""
        self.daemon.write_policy(move_test.OBSERVE)
        wait_for(lambda: self.moves()["mode"] == "observe", what="the policy")
        self.web(prefix="probe")
        found = wait_for(lambda: self.moves()["moves"], what="the move")
        self.cluster.delete_pod("probe-0")
        self.no_moves()
        self.daemon.write_policy(self.policy)
        wait_for(lambda: self.moves()["mode"] == "act", what="the policy")
        return [u["name"] for u in found[0]["units"]]


if __name__ == "__main__":
    unittest.main()
