"""What `berth moves` lists: moves that go on, and those that are over; as many as there are peaks."""

import subprocess
import unittest

import move_test
from harness import BERTH, NAMES, wait_for

MANY = 66
SINGLES = move_test.CLASSES.replace("owners: [ReplicaSet]", "namespaces: [serving]") + "moves: {mode: act, giveBackAfter: 1h}\n"


class ListTest(move_test.MoveTest):
    def text(self):
        return subprocess.run([BERTH, "moves", "--ops", f"127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True,
                              check=True).stdout

    def comes_back(self, job):
        """It is resumed, and its pod stands again."""
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        self.bind(self.seen(self.cluster.pod("again", gpus=8, owner=self.job(job))))

    def over(self):
        return wait_for(lambda: self.moves()["over"], 15, "a move that is over")


class Explained(ListTest):
    policy = move_test.KEEP.replace("match: [{owners: [Job]}]", "match: [{owners: [Job]}]\n  asVictim: {grace: 60s}")

    def explained(self, pod):
        done = subprocess.run([BERTH, "explain", f"team/{pod}", "--ops", f"127.0.0.1:{self.daemon.ops_port}"], capture_output=True,
                              text=True)
        return done.stdout

    def test_for_whom_and_of_whom_room_is_made(self):
        self.full()
        self.web()
        move = self.phase("grace")
        node = move["units"][0]["name"].removeprefix("job-")
        self.assertIn(f"{move['id']} makes room for it on node {node} (grace)", self.explained("web-0"))
        self.assertIn(f"{move['id']} ends it for ReplicaSet team/web (grace), at 20", self.explained(f"train-{node}"))

    def test_why_none_is_made(self):
        self.full(annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"})
        self.web()
        self.why()
        self.assertIn("no move makes room for it: what would have to end for it may not: it is protected", self.explained("web-0"))


class Over(ListTest):
    policy = move_test.ACT.replace("owners: [Job]", "owners: [Job, StatefulSet]")

    def test_what_was_given_back(self):
        (job,) = self.moved()
        move = self.only_move()["id"]
        self.cluster.delete_pod("web-0")
        self.comes_back(job)
        (over,) = self.over()
        (unit,) = over["units"]
        self.assertEqual((over["id"], over["phase"], over["for"]["name"], over["for"]["pods"], over["for"]["bound"]),
                         (move, "over", "web", 1, 1))
        self.assertEqual((unit["name"], unit["state"], unit["milliGPUs"]), (job, "back", 8000))
        taken, (given,) = unit["takenGPUMinutes"], self.events("GPUsGivenBack")
        self.assertGreater(taken, 0)
        self.assertEqual(given["regarding"]["name"], job)
        self.assertEqual(self.over()[0]["units"][0]["takenGPUMinutes"], taken)
        (row,) = [line for line in self.text().splitlines() if move in line]
        for word in ("over", "ReplicaSet team/web", f"Job team/{job}", "suspend", "back"):
            self.assertIn(word, row)

    def test_what_was_evicted(self):
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s", "uid": "s-uid"}}
        for name in NAMES:
            self.standing(f"s-{name}", name, owner, terminationGracePeriodSeconds=1)
        (thing,) = self.web()
        (taken,) = wait_for(lambda: self.events("GPUsTaken"), what="the Event")
        self.cluster.delete_pod(taken["regarding"]["name"])
        self.bind(thing)
        (over,) = self.over()
        self.assertEqual([(u["name"], u["way"]) for u in over["units"]], [(taken["regarding"]["name"], "evict")])
        self.assertIn(taken["regarding"]["name"], self.text())

    def test_what_was_given_up_says_why(self):
        self.full()
        self.web()
        (job,) = self.some_suspended()
        self.cluster.delete_pod("web-0")
        self.pods_end([job])
        self.comes_back(job)
        (over,) = self.over()
        self.assertEqual((over["stopped"], over["units"][0]["state"]), ("the pods that it was for are gone", "back"))


class Many(ListTest):
    policy = SINGLES

    def nodes(self):
        for i in range(MANY):
            self.cluster.node(f"n{i}", gpus=1)

    def test_what_is_lent_keeps_no_other_peak_from_its_room(self):
        names = [f"n{i}" for i in range(MANY)]
        for name in names:
            self.cluster.pod(f"train-{name}", owner=self.cluster.job(f"job-{name}"), nodeName=name)
        wait_for(lambda: len(self.daemon.state()["ledger"]) == MANY, what="the Jobs' pods")
        things = [self.cluster.pod(f"web-{i}", namespace="serving") for i in range(MANY)]
        for thing in things:
            wait_for(lambda: self.daemon.explain(thing["metadata"]["name"], "serving")[0] == 200, what="the pod")
            self.assertIsNone(self.daemon.placed(thing, names))
        ended, bound = set(), set()

        def go_on():
            for move in self.moves()["moves"]:
                for unit in move["units"]:
                    if unit["state"] == "ended" and unit["name"] not in ended:
                        ended.add(unit["name"])
                        self.cluster.delete_pod("train-" + unit["name"].removeprefix("job-"))
            for thing in things:
                name = thing["metadata"]["name"]
                if name not in bound and (node := self.daemon.placed(thing, names)):
                    self.assertEqual(self.daemon.bind(thing, node)[0], 200)
                    bound.add(name)
            return len(bound) == MANY
        wait_for(go_on, 60, f"the last of {MANY} peaks")
        wait_for(lambda: {m["phase"] for m in self.moves()["moves"]} == {"lent"}, what="all of it lent")
        self.assertEqual(len(self.moves()["moves"]), MANY)


if __name__ == "__main__":
    unittest.main()
