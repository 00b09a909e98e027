"""What a move leaves over of the room that it makes: for whoever comes meanwhile, in what is made and in what is only reported."""

import unittest

import move_test
from harness import wait_for

API = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "api", "uid": "api-uid"}}
THIRD = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "third", "uid": "third-uid"}}


class Acted(move_test.MoveTest):
    policy = move_test.GRACE.replace("2s", "4s")

    def test_who_comes_during_the_notice_gets_what_is_left_over(self):
        self.full()
        (first,) = self.web(gpus=4)
        wait_for(lambda: self.moves()["moves"], what="the move")
        (second,) = self.web(gpus=4, owner=API, prefix="api")
        self.assertIn("once what is ending has ended", self.why())
        (job,) = self.some_suspended()
        self.pods_end([job])
        self.assertEqual({self.bind(first), self.bind(second)}, {job.removeprefix("job-")})
        self.assertEqual(self.suspended(), [job])
        self.assertEqual(len(self.events("GPUsTakenFor")), 1)


class Observed(move_test.MoveTest):
    policy = move_test.OBSERVE

    def test_what_would_be_left_over_is_used_once(self):
        self.full()
        for owner, prefix in ((move_test.WEB, "web"), (API, "api"), (THIRD, "third")):
            self.web(gpus=4, owner=owner, prefix=prefix)
        wait_for(lambda: len(self.events("MoveObserved")) == 2, what="the Events")
        with self.assertRaises(AssertionError):
            wait_for(lambda: len(self.events("MoveObserved")) > 2, 3)
        names = [u["name"] for m in self.moves()["moves"] for u in m["units"]]
        self.assertEqual((len(names), len(set(names))), (2, 2))
        self.assertEqual(self.suspended(), [])


if __name__ == "__main__":
    unittest.main()
