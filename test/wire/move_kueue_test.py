"""Moves of what Kueue manages: its Workload is deactivated and activated again, where the policy lets it, and the Job never written."""

import subprocess
import time
import unittest

from harness import BERTH, NAMES, wait_for
import move_test
from move_test import ACT, CLASSES

KUEUE = CLASSES + "moves: {mode: act, kueue: workload, giveBackAfter: 1s}\n"
WORKLOADS = "/apis/kueue.x-k8s.io/{}/namespaces/team/workloads"


class KueueTest(move_test.MoveTest):
    """A Job of 8 GPUs on each node, all of one queue, each with its Workload; the test is Kueue."""

    policy = KUEUE
    version = "v1beta2"

    def full(self, annotations=None):
        jobs = super().full(annotations)
        for name, job in zip(NAMES, jobs):
            self.patch_job(f"job-{name}", {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}}})
            self.make_workload(name, job["metadata"]["uid"])
        self.versions = {n: self.job(f"job-{n}")["metadata"]["resourceVersion"] for n in NAMES}
        return jobs

    def make_workload(self, node, uid, name=None):
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": f"job-{node}", "uid": uid, "controller": True}
        status, made = self.cluster.api.json("POST", WORKLOADS.format(self.version), {
            "apiVersion": f"kueue.x-k8s.io/{self.version}", "kind": "Workload", "spec": {"queueName": "q", "active": True},
            "metadata": {"name": name or f"job-{node}-w", "namespace": "team", "labels": {"kueue.x-k8s.io/job-uid": uid},
                         "ownerReferences": [owner]}})
        self.assertEqual(status, 201, made)

    def workload(self, name):
        return self.cluster.api.json("GET", WORKLOADS.format(self.version) + "/" + name)[1]

    def patch_workload(self, name, patch):
        return self.cluster.patch(WORKLOADS.format(self.version) + "/" + name, patch)

    def suspended(self):
        return sorted(f"job-{n}" for n in NAMES if not self.workload(f"job-{n}-w")["spec"]["active"])

    def mark(self, name):
        return self.workload(f"{name}-w")["metadata"]["labels"].get("berth.dev/suspended-by")

    def jobs_are_as_they_were(self):
        self.assertEqual(self.versions, {n: self.job(f"job-{n}")["metadata"]["resourceVersion"] for n in NAMES})

    def nobody_moves(self):
        self.web()
        self.why()
        self.nothing_happens()
        self.nobody_is_marked()
        self.jobs_are_as_they_were()

    def found_by_its_mark(self):
        self.full()
        self.web()
        jobs = self.some_suspended()
        self.kill()
        self.cluster.api.call("DELETE", "/api/v1/namespaces/default/configmaps/berth-moves")
        self.cluster.delete_pod("web-0")
        self.start()
        wait_for(lambda: self.moves()["moves"], what="the move")
        time.sleep(1.5)
        self.assertEqual(self.suspended(), jobs)
        self.pods_end(jobs)
        wait_for(lambda: not self.suspended(), 15, "the activation")
        self.assertIsNone(self.mark(jobs[0]))
        self.jobs_are_as_they_were()

    def released_by_hand(self):
        (job,) = self.moved()
        other = next(n for n in NAMES if f"job-{n}" != job)
        self.patch_workload(f"job-{other}-w", {"spec": {"active": False}, "metadata": {"labels": {"berth.dev/suspended-by": "alice"}}})
        self.kill()
        done = subprocess.run([BERTH, "release", "--kubeconfig", self.cluster.kubeconfig, "-A"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout.splitlines()), (0, [f"Workload team/{job}-w resumed"]), done.stderr)
        self.assertEqual((self.suspended(), self.mark(job)), ([f"job-{other}"], None))
        self.start()

    def deactivated_and_given_back(self):
        (job,) = self.moved()
        self.assertEqual(self.mark(job), self.only_move()["id"])
        (unit,) = self.only_move()["units"]
        self.assertEqual((unit["kind"], unit["name"], unit["way"]), ("Workload", job + "-w", "suspend"))
        text = subprocess.run([BERTH, "moves", "--ops", f"127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True,
                              check=True).stdout
        self.assertIn(f"Workload team/{job}-w", text)
        (taken,) = self.events("GPUsTaken")
        self.assertEqual((taken["regarding"]["apiVersion"], taken["regarding"]["kind"], taken["regarding"]["name"]),
                         (f"kueue.x-k8s.io/{self.version}", "Workload", job + "-w"))
        self.cluster.delete_pod("web-0")
        wait_for(lambda: not self.suspended(), 15, "the activation")
        self.assertIsNone(self.mark(job))
        self.assertIn("berth.dev/left-alone-until", self.workload(job + "-w")["metadata"]["annotations"])
        self.jobs_are_as_they_were()
        node = job.removeprefix("job-")
        other = self.seen(self.cluster.pod("other", gpus=8, owner=self.cluster.job("late")))
        self.assertIsNone(self.daemon.placed(other, NAMES))
        again = self.seen(self.cluster.pod("again", gpus=8, owner=self.job(job)))
        self.assertEqual(self.bind(again), node)
        self.no_moves()


class OptedIn(KueueTest):
    def test_it_is_deactivated_and_given_back(self):
        self.deactivated_and_given_back()

    def test_what_others_deactivated_is_no_victim_and_stays(self):
        self.full()
        for name in NAMES:
            self.patch_workload(f"job-{name}-w", {"spec": {"active": False}})
        self.those_of_others_stay_suspended()
        self.start_anew()
        time.sleep(1)
        self.assertEqual(len(self.suspended()), 3)
        self.jobs_are_as_they_were()

    def test_who_takes_the_mark_away_keeps_it_deactivated(self):
        (job,) = self.moved()
        self.patch_workload(job + "-w", {"metadata": {"labels": {"berth.dev/suspended-by": None}}})
        self.cluster.delete_pod("web-0")
        self.no_moves(20)
        time.sleep(1)
        self.assertEqual(self.suspended(), [job])
        self.jobs_are_as_they_were()

    def test_who_activates_it_keeps_it(self):
        (job,) = self.moved()
        self.patch_workload(job + "-w", {"spec": {"active": True}})
        wait_for(lambda: self.mark(job) is None, 20, "the mark's end")
        self.assertEqual(self.workload(job + "-w")["metadata"]["annotations"]["berth.dev/resumed-by-others"], "1")
        self.no_moves()
        self.assertEqual(self.suspended(), [])
        self.jobs_are_as_they_were()

    def test_without_a_workload_or_with_several_it_is_left(self):
        jobs = self.full()
        self.make_workload("n0", jobs[0]["metadata"]["uid"], "another")
        for name in NAMES[1:]:
            self.patch_workload(f"job-{name}-w", {"metadata": {"labels": {"kueue.x-k8s.io/job-uid": "another-uid"}}})
        self.nobody_moves()

    def test_without_the_api_it_is_left(self):
        self.full()
        self.cluster.faults({"rules": [{"method": "GET", "path": "kueue.x-k8s.io", "status": 404, "times": 1000}]})
        self.web()
        self.why()
        self.cluster.faults({"clear": True})
        self.nothing_happens()
        self.jobs_are_as_they_were()

    def test_a_dry_run_that_is_refused_ends_nothing(self):
        self.given_up("workloads/job-n")
        self.jobs_are_as_they_were()


class Older(KueueTest):
    """An API server that has Workloads in the version before alone."""

    version = "v1beta1"

    def setUp(self):
        super().setUp()
        self.cluster.faults({"rules": [{"path": "kueue.x-k8s.io/v1beta2", "status": 404, "times": 100000}]})

    def test_it_is_deactivated_and_given_back(self):
        self.deactivated_and_given_back()

    def test_its_record_is_lost(self):
        self.found_by_its_mark()

    def test_berth_is_gone_for_good(self):
        self.released_by_hand()


class NotOptedIn(KueueTest):
    policy = ACT

    def test_what_kueue_manages_is_left_alone(self):
        self.full()
        self.nobody_moves()


class Observed(KueueTest):
    policy = KUEUE.replace("mode: act", "mode: observe")

    def below(self, owner):
        for name in NAMES:
            job = self.cluster.job(f"job-{name}", owner=owner)
            self.patch_job(f"job-{name}", {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}}})
            self.standing(f"train-{name}", name, job)
        self.web()

    def test_the_topmost_is_a_unit(self):
        self.below("CronJob")
        wait_for(lambda: self.moves()["moves"], what="the move")

    def test_a_part_of_what_kueue_does_not_manage_is_left(self):
        self.below("JobSet")
        self.why()
        time.sleep(1)
        self.assertEqual(self.moves()["moves"], [])


class Killed(KueueTest):
    def test_between_deactivation_and_room(self):
        self.full()
        (thing,) = self.web()
        jobs = self.some_suspended()
        move = self.only_move()["id"]
        self.start_anew()
        wait_for(lambda: self.moves()["moves"], what="the move")
        self.assertEqual(self.only_move()["id"], move)
        self.pods_end(jobs)
        self.bind(thing)
        self.phase("lent", 20)
        self.assertEqual(self.suspended(), jobs)
        self.cluster.delete_pod("web-0")
        wait_for(lambda: not self.suspended(), 15, "the activation")
        self.jobs_are_as_they_were()

    def test_its_record_is_lost_and_its_old_pods_are_there(self):
        self.found_by_its_mark()

    def test_the_next_one_has_no_right_to_it(self):
        (job,) = self.moved()
        self.policy = CLASSES
        self.cluster.delete_pod("web-0")
        self.start_anew()
        wait_for(lambda: not self.suspended(), 15, "the activation")

    def test_berth_is_gone_for_good(self):
        self.released_by_hand()


if __name__ == "__main__":
    unittest.main()
