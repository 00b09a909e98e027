"""What a unit is, and what it costs: gangs whose pods are evicted, last checkpoints, RayJobs."""

import time
import unittest

import move_test
from harness import NAMES, pod, wait_for

SET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s", "uid": "s-uid"}}
OTHER = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "t", "uid": "t-uid"}}


def cluster_named(name):
    return {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": name, "uid": f"{name}-uid"}}


def ago(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


def ended(thing):
    return "spec" not in thing or "deletionTimestamp" in thing["metadata"]


class Gangs(move_test.MoveTest):
    policy = move_test.KEEP.replace("owners: [Job]", "owners: [Job, StatefulSet]")

    def member(self, name, node, owner=SET, size=2):
        return self.standing(name, node, owner, annotations={"berth.dev/gang": "g", "berth.dev/gang-size": str(size)},
                             terminationGracePeriodSeconds=1)

    def occupied(self, node):
        self.standing(f"train-{node}", node, self.cluster.job(f"job-{node}"))
        self.patch_job(f"job-{node}", {"spec": {"managedBy": "example.com/other"}})

    def gone(self, *names):
        return [n for n in names if ended(self.cluster.get_pod(n))]

    def test_one_of_replicas_ends_whole(self):
        self.member("s-0", "n0")
        self.member("t-0", "n1", OTHER)
        self.occupied("n2")
        self.web()
        wait_for(lambda: len(self.gone("s-0", "t-0")) == 2, what="both members' end")
        (unit,) = self.only_move()["units"]
        self.assertEqual((unit["way"], unit["milliGPUs"]), ("evict", 16000))

    def test_one_member_that_nothing_makes_anew_keeps_all(self):
        self.member("s-0", "n0")
        self.member("t-0", "n1", None)
        self.occupied("n2")
        self.web()
        self.assertIn("nothing makes it anew", self.why())
        self.assertEqual(self.gone("s-0", "t-0"), [])

    def test_a_job_that_has_only_a_part_of_one_is_left(self):
        self.member("train-n0", "n0", self.cluster.job("job-n0"))
        self.member("train-n1", "n1", self.cluster.job("job-n1"))
        self.occupied("n2")
        self.web()
        self.why()
        self.nothing_happens()


class Evicted(move_test.MoveTest):
    """With asVictim.evict also what nothing is known to make anew."""

    policy = move_test.CLASSES.replace("match: [{owners: [Job]}]", "asVictim: {evict: true}") + "moves: {mode: act, giveBackAfter: 1h}\n"

    def ended(self):
        return [n for n in NAMES if ended(self.cluster.get_pod(f"train-{n}"))]

    def stand(self, *owners):
        for name, owner in zip(NAMES, owners):
            self.standing(f"train-{name}", name, owner, terminationGracePeriodSeconds=1)
        self.web()

    def test_a_pod_without_a_controller_or_of_an_unknown_one(self):
        daemon = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "uid": "d-uid"}}
        step = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "w", "uid": "w-uid"}}
        self.stand(daemon, step, None)
        (first,) = wait_for(self.ended, what="an eviction")
        self.web(owner={**move_test.WEB, "metadata": {"name": "o", "uid": "o-uid"}}, prefix="other")
        wait_for(lambda: len(self.ended()) == 2, what="the other eviction")
        self.assertIn(first, NAMES[1:])
        time.sleep(1)
        self.assertEqual(self.ended(), NAMES[1:])

    def test_a_job_of_an_unknown_owner_would_count_it_as_failed(self):
        self.stand(*[self.cluster.job(f"job-{n}", owner="AppWrapper") for n in NAMES])
        self.why()
        time.sleep(1)
        self.assertEqual(self.ended(), [])


class Cost(move_test.MoveTest):
    """All else being equal, the unit that loses least is taken."""

    policy = move_test.OBSERVE.replace("owners: [Job]", "owners: [Job, RayCluster]")

    def started(self, name, node, owner, minutes=60, saved=None):
        made = pod(name, gpus=8, owner=owner, nodeName=node, annotations={"berth.dev/last-checkpoint": saved} if saved else None)
        made = self.cluster.create("pods", made)
        wait_for(lambda: self.cluster.get_pod(name)["status"].get("phase") == "Running", what="its start")
        self.cluster.patch(f"/api/v1/namespaces/team/pods/{name}/status",
                           {"status": {"phase": "Running", "startTime": ago(60 * minutes)}})
        wait_for(lambda: (self.daemon.entry(made) or {}).get("state") == "bound", what=name)

    def costs(self, *saved):
        """Jobs that were saved then; the one that would be ended, and at what cost."""
        for name, text in zip(NAMES, saved):
            self.started(f"train-{name}", name, self.cluster.job(f"job-{name}"), saved=text)
        time.sleep(0.5)
        self.web()
        (move,) = wait_for(lambda: self.moves()["moves"], what="the move")
        (unit,) = move["units"]
        return unit["name"], unit["costGPUMinutes"]

    def test_the_one_saved_last(self):
        name, cost = self.costs(None, ago(120), ago(1800))
        self.assertEqual(name, "job-n1")
        self.assertLess(cost, 8 * 4 + 30)

    def test_one_saved_in_the_future_is_saved_now(self):
        self.assertEqual(self.costs(ago(300), ago(-7200), None)[0], "job-n1")

    def test_one_saved_before_its_start_was_not(self):
        self.assertEqual(self.costs(ago(86400), "garbage", ago(1800))[0], "job-n2")

    def test_a_ray_cluster_begins_from_its_start(self):
        for name in NAMES:
            self.started(f"ray-{name}", name, cluster_named(f"ray-{name}"), saved=ago(1))
        self.web()
        (move,) = wait_for(lambda: self.moves()["moves"], what="the move")
        self.assertGreater(move["units"][0]["costGPUMinutes"], 8 * 59)


if __name__ == "__main__":
    unittest.main()
