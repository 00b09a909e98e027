"""Moves where an answer is lost, or where a record does not say what has become of its units since."""

import json
import time
import unittest

import move_test
from harness import NAMES, wait_for
from move_test import ACT, KEEP, RECORDS

DRY_RUNS = {"method": "PATCH", "path": "dryRun", "delayMs": 1, "times": 1000}  # those rules that follow are for the writes alone


class Answers(move_test.MoveTest):
    policy = KEEP

    def test_a_suspension_whose_answer_is_lost_is_taken_back_with_the_others(self):
        self.full()
        for name in NAMES:
            self.cluster.faults({"rules": [{"method": "PATCH", "path": f"jobs/job-{name}", "hold": True}]})
        self.web(2)
        jobs = [unit["name"] for unit in self.phase("dryRun")["units"]]
        time.sleep(0.5)
        self.cluster.faults({"rules": [
            DRY_RUNS,
            {"method": "PATCH", "path": f"jobs/{jobs[0]}", "drop": True, "times": 1},
            {"method": "PATCH", "path": f"jobs/{jobs[1]}", "status": 422, "times": 5}], "release": True})
        wait_for(lambda: self.events("MoveGivenUp"), 15, "the Event")
        for name in "web-0", "web-1":
            self.cluster.delete_pod(name)
        self.pods_end(self.suspended())
        wait_for(lambda: not self.suspended(), 20, "the resumption")
        wait_for(lambda: [self.mark(job) for job in jobs] == [None, None], what="no mark")


class GivenBack(move_test.MoveTest):
    policy = ACT

    def test_a_resumption_whose_answer_is_lost_keeps_its_room(self):
        (job,) = self.moved()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": f"jobs/{job}", "drop": True, "times": 1}]})
        late = self.seen(self.cluster.pod("late", gpus=8, owner=self.cluster.job("late")))
        self.cluster.delete_pod("web-0")
        wait_for(lambda: self.events("GPUsGivenBack"), 20, "the Event")
        self.assertIsNone(self.daemon.placed(late, NAMES))
        again = self.seen(self.cluster.pod("again", gpus=8, owner=self.job(job)))
        self.assertEqual(self.bind(again), job.removeprefix("job-"))

    def test_room_of_one_that_could_not_be_resumed_is_lent_to_the_next_peak(self):
        (job,) = self.moved()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": f"jobs/{job}", "status": 422, "times": 1000}]})
        self.cluster.delete_pod("web-0")
        wait_for(lambda: any(e["uid"].startswith("return/") for e in self.daemon.state()["ledger"]), 20, "the room held")
        self.daemon.write_policy(KEEP)
        self.cluster.pod("web-again", gpus=8, owner=move_test.WEB)
        wait_for(lambda: self.daemon.placed(self.cluster.get_pod("web-again"), NAMES) == job.removeprefix("job-"), 15, "its room")
        self.assertEqual(self.suspended(), [job])

    def test_a_job_that_has_come_under_kueue_is_left_to_it(self):
        (job,) = self.moved()
        self.patch_job(job, {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}}})
        self.cluster.delete_pod("web-0")
        self.no_moves(30)
        self.assertEqual(self.suspended(), [job])


class TakenUp(move_test.MoveTest):
    policy = KEEP

    def change_record(self, change):
        ((key, record),) = self.records().items()
        change(record)
        self.cluster.patch(RECORDS, {"data": {key: json.dumps(record)}})

    def test_when_it_was_suspended_is_read_from_the_object(self):
        self.full()
        (thing,) = self.web()
        jobs = self.some_suspended()
        self.start_anew()
        self.phase("empty")
        self.pods_end(jobs)
        self.bind(thing)
        self.assertIsNotNone(self.phase("lent", 20)["units"][0]["since"])

    def test_who_waits_yet_of_a_move_that_is_lent_gets_another(self):
        jobs = self.moved(1)
        self.kill()
        more = self.cluster.pod("web-1", gpus=8, owner=move_test.WEB)
        self.change_record(
            lambda record: record["for"]["pods"].append([more["metadata"]["uid"], "web-1", jobs[0].removeprefix("job-")]))
        self.start()
        self.phase("lent")
        self.seen(more)
        self.assertIsNone(self.daemon.placed(more, NAMES))
        self.unschedulable("web-1")
        self.some_suspended(2, 15)

    def test_a_clock_that_is_behind_waits_for_the_notice_alone(self):
        self.full()
        self.web()
        jobs = self.some_suspended()
        self.kill()
        ahead = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        self.change_record(lambda record: record.update(endingAt=ahead))
        self.pods_end(jobs)
        self.start()
        self.phase("bind", 15)

    def test_who_resumed_it_meanwhile_and_took_the_mark_away_keeps_it(self):
        self.full()
        self.web()
        (job,) = self.some_suspended()
        self.kill()
        self.pods_end([job])
        self.patch_job(job, {"metadata": {"labels": {"berth.dev/suspended-by": None}}, "spec": {"suspend": False}})
        self.cluster.pod("again", gpus=8, owner=self.job(job))
        self.start()
        time.sleep(5)
        self.assertNotIn(job, self.suspended())
        self.assertIsNone(self.mark(job))


if __name__ == "__main__":
    unittest.main()
