"""Moves of `berth serve`: whole units of work are ended for pods that may preempt them, and given back."""

import json
import signal
import subprocess
import time
import unittest

from harness import BERTH, NAMES, Daemon, Cluster, WireTest, pod, wait_for

CLASSES = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
classes:
- name: inference
  match: [{owners: [ReplicaSet]}]
  mayPreempt: [batch]
- name: batch
  match: [{owners: [Job]}]
fallback: batch
"""
OBSERVE = CLASSES + "moves: {mode: observe}\n"
ACT = CLASSES + "moves: {mode: act, giveBackAfter: 1s}\n"
KEEP = CLASSES + "moves: {mode: act, giveBackAfter: 1h}\n"
GRACE = KEEP.replace("match: [{owners: [Job]}]", "match: [{owners: [Job]}]\n  asVictim: {grace: 2s}")
WEB = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "uid": "web-uid"}}
RECORDS = "/api/v1/namespaces/default/configmaps/berth-moves"
JOB = "/apis/batch/v1/namespaces/team/jobs/{}"


class MoveTest(WireTest):
    policy = KEEP

    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.nodes()
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, args=self.args)
        self.addCleanup(self.stop_daemon)

    def kill(self):
        self.daemon.process.stop(signal.SIGKILL)

    def start(self):
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port)

    def start_anew(self):
        self.kill()
        self.start()

    # --- the cluster ---

    def standing(self, name, node, owner, gpus=8, annotations=None, **spec):
        """A pod that stands on the node from the beginning."""
        made = self.cluster.create("pods", pod(name, gpus=gpus, owner=owner, annotations=annotations, nodeName=node, **spec))
        wait_for(lambda: (self.daemon.entry(made) or {}).get("state") == "bound", what=name)
        return made

    def full(self, annotations=None):
        """A Job of 8 GPUs on each node."""
        jobs = [self.cluster.job(f"job-{n}") for n in NAMES]
        for name, job in zip(NAMES, jobs):
            self.standing(f"train-{name}", name, job, annotations=annotations)
        return jobs

    def web(self, count=1, gpus=8, owner=WEB, prefix="web", ask=True):
        """Replicas that kube-scheduler has asked for in vain."""
        made = [self.cluster.pod(f"{prefix}-{i}", gpus=gpus, owner=owner) for i in range(count)]
        for thing in made:
            self.seen(thing)
        for thing in made:
            if ask:
                self.assertIsNone(self.daemon.placed(thing, NAMES))
        return made

    def unschedulable(self, name):
        self.cluster.patch(f"/api/v1/namespaces/team/pods/{name}/status", {"status": {"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
             "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}]}})

    def job(self, name):
        return self.cluster.api.json("GET", JOB.format(name))[1]

    def patch_job(self, name, patch):
        return self.cluster.patch(JOB.format(name), patch)

    def suspended(self):
        return sorted(n for n in (f"job-{node}" for node in NAMES) if self.job(n).get("spec", {}).get("suspend"))

    def some_suspended(self, count=1, seconds=10):
        wait_for(lambda: len(self.suspended()) == count, seconds, f"{count} suspended Jobs, not {self.suspended()}")
        return self.suspended()

    def mark(self, name):
        return self.job(name)["metadata"].get("labels", {}).get("berth.dev/suspended-by")

    def nobody_is_marked(self):
        self.assertEqual([self.mark(f"job-{n}") for n in NAMES], [None] * 3)

    def those_of_others_stay_suspended(self):
        self.web()
        self.why()
        time.sleep(1)
        self.nobody_is_marked()
        self.assertEqual(len(self.suspended()), 3)

    def given_up(self, path, times=3):
        """A move whose dry run is refused."""
        self.full()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": path, "status": 422, "times": times}]})
        self.web()
        wait_for(lambda: self.events("MoveGivenUp"), 15, "the Event")
        self.assertEqual(self.suspended(), [])
        wait_for(lambda: not self.records(), what="the record's end")

    def pods_end(self, jobs):
        for name in jobs:
            self.cluster.delete_pod("train-" + name.removeprefix("job-"))

    def records(self):
        status, made = self.cluster.api.json("GET", RECORDS)
        return {k: json.loads(v) for k, v in (made.get("data") or {}).items() if k.startswith("move-")} if status == 200 else {}

    def ended(self):
        """How often replicas were ended, by what makes them anew, as it is kept."""
        hours = [json.loads(v) for k, v in self.cluster.api.json("GET", RECORDS)[1].get("data", {}).items() if k.startswith("ended-")]
        return {maker: sum(hour.get(maker, 0) for hour in hours) for hour in hours for maker in hour}

    def events(self, reason):
        return [e for e in self.cluster.api.json("GET", "/apis/events.k8s.io/v1/events")[1]["items"] if e["reason"] == reason]

    # --- berth ---

    def moves(self):
        return self.daemon.ops.json("GET", "/v1/moves")[1]

    def only_move(self):
        found = self.moves()["moves"]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def phase(self, wanted, seconds=10):
        def look():
            found = self.moves()["moves"]
            return found and found[0]["phase"] == wanted and found[0]
        return wait_for(look, seconds, f"the phase {wanted}, of {self.moves()}")

    def no_moves(self, seconds=10):
        wait_for(lambda: not self.moves()["moves"], seconds, "the end of all moves")

    def why(self):
        return wait_for(lambda: self.moves()["waiting"], what="a reason")[0]["why"]

    def nothing_happens(self, seconds=1.5):
        time.sleep(seconds)
        self.assertEqual(self.suspended(), [])
        self.assertEqual(self.moves()["moves"], [])

    def bind(self, thing):
        """As kube-scheduler does once there is room; the node."""
        node = wait_for(lambda: self.daemon.placed(thing, NAMES), what="a node")
        status, answer = self.daemon.bind(thing, node)
        self.assertEqual((status, answer["Error"]), (200, ""))
        return node

    def moved(self, count=1):
        """Replicas that were given the room of Jobs; the Jobs."""
        self.full()
        things = self.web(count)
        jobs = self.some_suspended(count)
        self.pods_end(jobs)
        self.phase("bind")
        for thing in things:
            self.bind(thing)
        self.phase("lent")
        return jobs


class Off(MoveTest):
    policy = CLASSES

    def test_without_the_key_nothing_is_asked_for_or_written(self):
        self.full()
        self.web()
        time.sleep(1)
        self.assertEqual(self.suspended(), [])
        self.assertEqual(self.moves(), {"mode": "off", "moves": [], "over": [], "waiting": []})
        self.assertEqual(self.cluster.api.call("GET", RECORDS)[0], 404)


class Observed(MoveTest):
    policy = OBSERVE

    def test_a_move_is_reported_once_and_nothing_is_touched(self):
        self.full()
        things = self.web(2)
        found = wait_for(lambda: self.moves()["moves"], what="the move")
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0]["phase"], found[0]["for"]["pods"], len(found[0]["units"])), ("observed", 2, 2))
        self.assertEqual(found[0]["for"]["name"], "web")
        (said,) = wait_for(lambda: self.events("MoveObserved"), what="the Event")
        self.assertEqual((said["regarding"]["kind"], said["regarding"]["name"]), ("ReplicaSet", "web"))
        self.assertIn("16 GPUs would be taken for 2 pods", said["note"])
        self.assertEqual(self.daemon.metric('berth_moves_total{result="observed"}'), 1)
        for thing in things:
            self.assertIsNone(self.daemon.placed(thing, NAMES))
        time.sleep(1.5)
        self.assertEqual(len(self.events("MoveObserved")), 1)
        self.assertEqual(self.suspended(), [])
        self.assertEqual(self.cluster.api.call("GET", RECORDS)[0], 404)
        text = subprocess.run([BERTH, "moves", "--ops", f"127.0.0.1:{self.daemon.ops_port}"], capture_output=True, text=True,
                              check=True).stdout
        self.assertIn("ReplicaSet team/web", text)
        self.assertIn("Job team/job-", text)

    def ending(self, **spec):
        """A fleet in which one pod of a roll-out is ending, in its own time."""
        old = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "old", "uid": "old-uid"}}
        self.standing("old", "n0", old, annotations={"sim.berth.dev/stop-after": "60"}, **spec)
        for name in NAMES[1:]:
            self.standing(f"train-{name}", name, self.cluster.job(f"job-{name}"))
        self.cluster.api.call("DELETE", "/api/v1/namespaces/team/pods/old")
        wait_for(lambda: "deletionTimestamp" in self.cluster.get_pod("old")["metadata"], what="its end")
        return self.web(1)[0]

    def test_what_ends_anyway_is_waited_for(self):
        thing = self.ending(terminationGracePeriodSeconds=20)
        self.assertIn("once what is ending has ended", self.why())
        self.nothing_happens(2.5)
        self.cluster.delete_pod("old")
        self.assertEqual(self.bind(thing), "n0")

    def test_what_takes_too_long_to_end_is_not(self):
        self.ending(terminationGracePeriodSeconds=600)
        found = wait_for(lambda: self.moves()["moves"], what="the move")
        self.assertEqual(len(found[0]["units"]), 1)

    def test_what_should_have_ended_is_not(self):
        self.ending(terminationGracePeriodSeconds=1)
        self.assertIn("once what is ending has ended", self.why())
        wait_for(lambda: self.moves()["moves"], 20, "the move")

    def test_what_one_would_take_no_other_would(self):
        self.full()
        self.web(2)
        other = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "api", "uid": "api-uid"}}
        self.web(1, owner=other, prefix="api")
        found = wait_for(lambda: len(self.moves()["moves"]) == 2 and self.moves()["moves"], what="both moves")
        names = [u["name"] for m in found for u in m["units"]]
        self.assertEqual(sorted(names), ["job-n0", "job-n1", "job-n2"])

    def test_it_is_over_when_nobody_waits(self):
        self.full()
        self.web()
        wait_for(lambda: self.moves()["moves"], what="the move")
        self.cluster.delete_pod("web-0")
        self.no_moves()

    def test_pods_that_kube_scheduler_alone_rejected_wait_as_well(self):
        self.full()
        self.web(ask=False)
        self.unschedulable("web-0")
        wait_for(lambda: self.moves()["moves"], what="the move")

    def test_so_do_those_that_may_wait_since_before_the_start(self):
        self.full()
        self.web(ask=False)
        wait_for(lambda: self.daemon.metric('berth_pods{state="waiting"}') == 1, 15, "what nobody asks about")
        self.unschedulable("web-0")
        wait_for(lambda: self.moves()["moves"], what="the move")

    def test_siblings_that_nobody_asked_about_yet_belong_to_the_demand(self):
        self.full()
        things = self.web(3, ask=False)
        self.assertIsNone(self.daemon.placed(things[0], NAMES))
        found = wait_for(lambda: self.moves()["moves"], what="the move")
        self.assertEqual([m["for"]["pods"] for m in found], [3])

    def test_pods_that_kube_scheduler_rejects_one_after_the_other_are_one_demand(self):
        self.full()
        self.web(3, ask=False)
        for i in range(3):
            self.unschedulable(f"web-{i}")
            time.sleep(0.2)
        found = wait_for(lambda: self.moves()["moves"], what="the move")
        self.assertEqual([m["for"]["pods"] for m in found], [3])

    def test_a_policy_that_begins_to_observe(self):
        self.daemon.write_policy(CLASSES)
        wait_for(lambda: self.moves()["mode"] == "off", what="the policy")
        self.full()
        self.web()
        self.daemon.write_policy(OBSERVE)
        wait_for(lambda: self.moves()["moves"], what="the move")


class Acted(MoveTest):
    def test_a_job_makes_room_and_says_for_whom(self):
        self.full()
        (thing,) = self.web()
        (job,) = self.some_suspended()
        move = self.only_move()
        self.assertEqual(self.mark(job), move["id"])
        self.assertIn("berth.dev/suspended-since", self.job(job)["metadata"]["annotations"])
        self.assertEqual(list(self.records()), [move["id"]])
        node = job.removeprefix("job-")
        self.assertEqual(self.daemon.entry(thing)["node"], node)
        self.assertIsNone(self.daemon.placed(thing, NAMES))
        self.pods_end([job])
        self.phase("bind")
        wait_for(lambda: self.nominated("web-0") == node and self.wake("web-0"), what="the wake-up")
        self.assertEqual(self.bind(thing), node)
        self.phase("lent")
        wait_for(lambda: self.records()[move["id"]]["state"] == "lent", what="its record")
        (taken,) = self.events("GPUsTaken")
        self.assertEqual((taken["regarding"]["kind"], taken["regarding"]["name"]), ("Job", job))
        self.assertIn("8 GPUs go to ReplicaSet team/web (class inference) by mayPreempt", taken["note"])
        (given,) = self.events("GPUsTakenFor")
        self.assertIn(f"from Job team/{job} (8 GPUs) by mayPreempt", given["note"])

    def test_only_as_many_as_are_needed(self):
        self.full()
        self.web(2, gpus=4)
        self.some_suspended(1)
        time.sleep(1)
        self.assertEqual(len(self.suspended()), 1)

    def test_nobody_else_gets_the_room(self):
        self.full()
        (thing,) = self.web()
        jobs = self.some_suspended()
        self.pods_end(jobs)
        other = self.cluster.pod("other", gpus=1, owner=self.cluster.job("late"))
        self.assertIsNone(self.daemon.placed(self.seen(other), NAMES))
        self.bind(thing)

    def test_the_room_is_given_up_with_the_last_pod_that_waits(self):
        self.full()
        self.web()
        jobs = self.some_suspended()
        self.cluster.delete_pod("web-0")
        self.phase("return")
        self.pods_end(jobs)
        wait_for(lambda: not self.suspended(), what="the resumption")
        self.assertIsNone(self.mark(jobs[0]))
        wait_for(lambda: self.events("MoveGivenUp"), what="the Event")

    def test_kube_scheduler_gets_no_victims_meanwhile(self):
        self.full()
        (thing,) = self.web()
        self.some_suspended()
        _, answer = self.daemon.verbs.json("POST", "/v1/preempt", {
            "Pod": thing, "NodeNameToVictims": None, "NodeNameToMetaVictims": {
                "n0": {"Pods": [{"UID": self.cluster.get_pod("train-n0")["metadata"]["uid"]}], "NumPDBViolations": 0}}})
        self.assertEqual(answer["NodeNameToMetaVictims"], {})

    def test_pods_that_do_not_end_are_left_and_others_sought(self):
        self.full()
        self.web()
        self.some_suspended()
        self.phase("empty")

    def test_a_protected_pod_keeps_its_unit(self):
        self.full(annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"})
        self.web()
        self.assertIn("it is protected", self.why())
        self.nothing_happens()

    def test_nothing_ends_where_not_all_would_fit(self):
        self.full()
        self.web(4)
        self.assertIn("no room even without", self.why())
        self.nothing_happens()

    def test_pods_without_a_controller_are_never_ended(self):
        for name in NAMES:
            self.standing(f"train-{name}", name, None)
        self.web()
        self.assertIn("nothing makes it anew", self.why())
        self.nothing_happens()

    def test_steps_of_workflows_and_jobs_of_unknown_owners_are_never_ended(self):
        step = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "w", "uid": "w-uid"}}
        self.standing("train-n0", "n0", step)
        self.standing("train-n1", "n1", self.cluster.job("job-n1", owner="AppWrapper"))
        self.standing("train-n2", "n2", {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "uid": "d-uid"}})
        self.web()
        self.why()
        self.nothing_happens()

    def test_a_job_that_shares_its_pods_with_another_scheduler_is_left(self):
        jobs = self.full()
        for job, name in zip(jobs, NAMES):
            self.cluster.create("pods", pod(f"foreign-{name}", gpus=0, owner=job, scheduler="default-scheduler", nodeName=name))
        time.sleep(0.5)
        self.web()
        self.why()
        self.nothing_happens()


class Gangs(MoveTest):
    def gang(self, names, gpus=4):
        """Members of a gang of a Job, bound as their plan has it."""
        job = self.cluster.job("job-n0")
        says = {"berth.dev/gang": "g", "berth.dev/gang-size": str(len(names))}
        things = [self.cluster.pod(n, gpus=gpus, annotations=says, owner=job) for n in names]
        wait_for(lambda: all("berth.dev/plan" in self.cluster.get_pod(n)["metadata"]["annotations"] for n in names), what="the plan")
        calls = [self.daemon.spawn_bind(t, json.loads(self.cluster.get_pod(n)["metadata"]["annotations"]["berth.dev/plan"])["node"])
                 for t, n in zip(things, names)]
        for thread, _ in calls:
            thread.join()
        return things

    def test_a_gang_ends_whole_or_not_at_all(self):
        self.gang(["a", "b", "c", "d", "e", "f"])
        self.web(1, gpus=8)
        self.assertEqual(self.some_suspended(), ["job-n0"])
        self.assertEqual(self.only_move()["units"][0]["milliGPUs"], 24000)


class LeftAlone(MoveTest):
    """Whoever else has a say over an owner has the last."""

    def barred(self, patch):
        self.full()
        for name in NAMES:
            self.patch_job(f"job-{name}", patch)
        self.web()
        self.why()
        self.nothing_happens()
        self.nobody_is_marked()

    def test_jobs_of_kueue(self):
        self.barred({"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}}})

    def test_jobs_that_are_managed_elsewhere(self):
        self.barred({"spec": {"managedBy": "example.com/other"}})

    def test_jobs_that_were_resumed_twice(self):
        self.barred({"metadata": {"annotations": {"berth.dev/resumed-by-others": "2"}}})

    def test_jobs_that_were_moved_a_short_while_ago(self):
        self.barred({"metadata": {"annotations": {"berth.dev/left-alone-until": "2199-01-01T00:00:00Z"}}})

    def test_jobs_that_were_moved_often_enough_today(self):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.barred({"metadata": {"annotations": {"berth.dev/moved-at": f"{now},{now.replace('Z', '.5Z')}"}}})

    def test_jobs_that_bear_the_mark_of_somebody_else(self):
        self.full()
        for name in NAMES:
            self.patch_job(f"job-{name}", {"metadata": {"labels": {"berth.dev/suspended-by": "alice"}}})
        self.web()
        self.why()
        self.nothing_happens()
        self.assertEqual([self.mark(f"job-{n}") for n in NAMES], ["alice"] * 3)

    def test_jobs_that_another_has_suspended(self):
        self.full()
        for name in NAMES:
            self.patch_job(f"job-{name}", {"spec": {"suspend": True}})
        self.those_of_others_stay_suspended()

    def test_one_of_them_is_passed_over_for_the_next(self):
        self.full()
        for name in ("n0", "n1"):
            self.patch_job(f"job-{name}", {"spec": {"managedBy": "example.com/other"}})
        self.web()
        self.assertEqual(self.some_suspended(), ["job-n2"])

    def test_who_resumes_one_keeps_it(self):
        (job,) = self.moved()
        self.patch_job(job, {"spec": {"suspend": False}})
        wait_for(lambda: self.mark(job) is None, 20, "the mark's end")
        self.assertEqual(self.job(job)["metadata"]["annotations"]["berth.dev/resumed-by-others"], "1")
        self.no_moves()
        wait_for(lambda: not self.records(), what="the record's end")
        time.sleep(0.5)
        self.assertFalse(self.job(job)["spec"]["suspend"])

    def test_who_resumes_one_and_writes_it_once_more_keeps_it(self):
        (job,) = self.moved()
        self.patch_job(job, {"spec": {"suspend": False}})
        self.cluster.faults({"rules": [{"method": "PATCH", "path": f"jobs/{job}", "status": 409, "times": 2}]})
        wait_for(lambda: self.mark(job) is None, 20, "the mark's end")
        self.assertEqual(self.job(job)["metadata"]["annotations"]["berth.dev/resumed-by-others"], "1")

    def test_who_takes_the_mark_away_keeps_it_suspended(self):
        (job,) = self.moved()
        self.patch_job(job, {"metadata": {"labels": {"berth.dev/suspended-by": None}}})
        self.no_moves(20)
        self.daemon.write_policy(CLASSES)
        time.sleep(1)
        self.assertTrue(self.job(job)["spec"]["suspend"])


class Refused(MoveTest):
    def test_a_dry_run_that_is_refused_ends_nothing(self):
        self.given_up("jobs/job-n")

    def test_a_record_that_cannot_be_written_ends_nothing(self):
        self.full()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "configmaps", "status": 403, "times": 1000},
                                       {"method": "POST", "path": "configmaps", "status": 403, "times": 1000}]})
        self.web()
        wait_for(lambda: self.events("MoveGivenUp"), 15, "the Event")
        time.sleep(2)
        self.assertEqual(self.suspended(), [])
        self.assertEqual(len(self.events("MoveGivenUp")), 1)

    def test_one_of_two_that_refuses_brings_the_other_back(self):
        self.full()
        for name in NAMES:
            self.cluster.faults({"rules": [{"method": "PATCH", "path": f"jobs/job-{name}", "hold": True}]})
        self.web(2)
        jobs = [u["name"] for u in self.phase("dryRun")["units"]]
        time.sleep(0.5)
        self.cluster.faults({"rules": [{"method": "PATCH", "path": f"jobs/{jobs[1]}", "status": 422, "times": 5}], "release": True})
        wait_for(lambda: self.events("MoveGivenUp"), 15, "the Event")
        self.pods_end(self.suspended())
        wait_for(lambda: not self.suspended(), 15, "the resumption")


class Evicted(MoveTest):
    policy = KEEP.replace("owners: [Job]", "owners: [Job, StatefulSet]")

    def replicas(self, annotations=None):
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s", "uid": "s-uid"}}
        for name in NAMES:
            self.standing(f"s-{name}", name, owner, annotations=annotations, terminationGracePeriodSeconds=1)

    def standing_pods(self):
        return [n for n in NAMES if "spec" in self.cluster.get_pod(f"s-{n}")
                and "deletionTimestamp" not in self.cluster.get_pod(f"s-{n}")["metadata"]]

    def test_a_replica_that_is_made_anew_is_evicted(self):
        self.replicas()
        (thing,) = self.web()
        wait_for(lambda: len(self.standing_pods()) == 2, what="the eviction")
        (gone,) = [n for n in NAMES if n not in self.standing_pods()]
        self.cluster.delete_pod(f"s-{gone}")
        self.assertEqual(self.bind(thing), gone)
        self.no_moves()
        wait_for(lambda: not self.records(), what="the record's end")

    def test_a_budget_that_refuses_ends_nothing(self):
        self.replicas({"sim.berth.dev/evictable": "false"})
        self.web()
        self.why()
        time.sleep(0.5)
        self.assertEqual(len(self.standing_pods()), 3)


class EvictedAgain(MoveTest):
    """Replicas of a Deployment come back under another name, UID and, after a roll-out, ReplicaSet."""
    policy = KEEP.replace("owners: [ReplicaSet]", "owners: [StatefulSet]").replace("1h", "1h, cooldown: 1s, perUnitAndDay: 2")
    high = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "high", "uid": "high-uid"}}

    def replica(self, name, node="n0", template="a", annotations=None):
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": f"low-{template}", "uid": f"low-{template}-uid"}}
        body = pod(name, gpus=8, owner=owner, annotations=annotations, nodeName=node, terminationGracePeriodSeconds=1)
        body["metadata"]["labels"] = {"pod-template-hash": template}
        made = self.cluster.create("pods", body)
        wait_for(lambda: (self.daemon.entry(made) or {}).get("state") == "bound", what=name)

    def only(self, *nodes):
        """Nobody may be ended on the others."""
        for node in NAMES:
            if node not in nodes:
                self.standing(f"kept-{node}", node, None)

    def peak(self, name, gone):
        """A pod that takes the room of the replicas, one of them."""
        (thing,) = self.web(owner=self.high, prefix=name)
        evicted = lambda: [n for n in gone if "deletionTimestamp" in self.cluster.get_pod(n).get("metadata", {})]
        (name,) = wait_for(evicted, 15, "the eviction")
        self.cluster.delete_pod(name)
        self.bind(thing)
        self.no_moves()
        return name, thing["metadata"]["name"]

    def cooled(self):
        time.sleep(1.2)

    def test_one_is_ended_no_more_often_than_the_policy_says(self):
        self.only("n0")
        for i, template in enumerate("ab"):
            self.replica(f"low-{i}", template=template)
            self.cooled()
            _, served = self.peak(f"high-{i}", [f"low-{i}"])
            self.assertEqual(self.ended(), {"team/Deployment/low": i + 1})
            self.cluster.delete_pod(served)
        self.start_anew()
        self.replica("low-2", template="b")
        self.cooled()
        self.web(owner=self.high, prefix="high-2")
        self.assertIn("it was moved often enough today", self.why())
        self.assertEqual(self.ended(), {"team/Deployment/low": 2})

    def test_one_that_was_made_anew_is_left_alone_for_a_while(self):
        self.daemon.write_policy(self.policy.replace("cooldown: 1s", "cooldown: 1h"))
        self.only("n0")
        self.replica("low-0")
        _, served = self.peak("high-0", ["low-0"])
        self.cluster.delete_pod(served)
        self.replica("low-1")
        self.cooled()
        self.web(owner=self.high, prefix="high-1")
        self.why()
        time.sleep(0.5)
        self.assertNotIn("deletionTimestamp", self.cluster.get_pod("low-1")["metadata"])
        self.daemon.write_policy(self.policy)
        wait_for(lambda: "deletionTimestamp" in self.cluster.get_pod("low-1")["metadata"], 20, "the eviction")

    def test_of_two_the_one_that_was_ended_longer_ago(self):
        self.only("n0", "n1")
        self.replica("low-0")
        self.replica("low-1", node="n1")
        self.cooled()
        first, served = self.peak("high-0", ["low-0", "low-1"])
        self.cluster.delete_pod(served)
        time.sleep(1)
        self.replica("low-2", node={"low-0": "n0", "low-1": "n1"}[first])
        self.cooled()
        (left,) = {"low-0", "low-1"} - {first}
        self.assertEqual(self.peak("high-1", ["low-2", left])[0], left)


    def test_one_that_ends_yet_is_no_replica_beside_the_one_in_its_place(self):
        self.daemon.write_policy(self.policy.replace("perUnitAndDay: 2", "perUnitAndDay: 1"))
        self.only("n0")
        self.replica("low-0", annotations={"sim.berth.dev/stop-after": "30"})
        self.cooled()
        self.web(owner=self.high, prefix="high-0")
        wait_for(lambda: "deletionTimestamp" in self.cluster.get_pod("low-0")["metadata"], 15, "the eviction")
        self.cluster.delete_pod("kept-n1")
        self.replica("low-1", node="n1")
        self.cooled()
        self.web(owner={**self.high, "metadata": {"name": "higher", "uid": "higher-uid"}}, prefix="high-1")
        self.assertIn("it was moved often enough today", self.why())
        self.assertNotIn("deletionTimestamp", self.cluster.get_pod("low-1")["metadata"])

    def test_one_that_was_evicted_as_berth_was_killed_counts(self):
        self.only("n0")
        self.replica("low-0")
        self.cluster.faults({"rules": [{"method": "POST", "path": "eviction", "hold": True}]})
        self.web(owner=self.high, prefix="high")
        wait_for(self.records, what="the record")
        self.cluster.faults({"clear": True})
        self.cluster.faults({"release": True, "rules": [{"method": "PATCH", "path": "configmaps", "status": 503, "times": 1000}]})
        wait_for(lambda: "deletionTimestamp" in self.cluster.get_pod("low-0")["metadata"], 15, "the eviction")
        self.kill()
        self.assertEqual(self.ended(), {})
        self.cluster.faults({"clear": True})
        self.start()
        wait_for(lambda: self.ended() == {"team/Deployment/low": 1}, what="the count")


class Noticed(MoveTest):
    policy = GRACE

    def ending_at(self):
        return [n for n in NAMES if self.cluster.get_pod(f"train-{n}")["metadata"].get("annotations", {}).get("berth.dev/ending-at")]

    def test_its_pods_are_told_before_it_is_suspended(self):
        self.full()
        self.web()
        (node,) = wait_for(self.ending_at, what="the notice")
        self.assertEqual(self.suspended(), [])
        wait_for(lambda: self.events("GPUsToBeTaken"), what="the Event")
        self.assertEqual(self.some_suspended(), [f"job-{node}"])

    def test_a_notice_is_taken_back(self):
        self.full()
        self.web()
        wait_for(self.ending_at, what="the notice")
        self.cluster.delete_pod("web-0")
        wait_for(lambda: not self.ending_at(), what="the notice's end")
        self.nothing_happens(2.5)


class GivenBack(MoveTest):
    policy = ACT

    def test_it_returns_once_nobody_waits_and_there_is_room(self):
        (job,) = self.moved()
        time.sleep(2)
        self.assertEqual(self.suspended(), [job])
        self.cluster.delete_pod("web-0")
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        self.assertIsNone(self.mark(job))
        self.assertIn("berth.dev/left-alone-until", self.job(job)["metadata"]["annotations"])
        wait_for(lambda: self.events("GPUsGivenBack"), what="the Event")
        node = job.removeprefix("job-")
        other = self.seen(self.cluster.pod("other", gpus=8, owner=self.cluster.job("late")))
        self.assertIsNone(self.daemon.placed(other, NAMES))
        again = self.seen(self.cluster.pod("again", gpus=8, owner=self.job(job)))
        self.assertEqual(self.bind(again), node)
        self.no_moves()
        wait_for(lambda: not self.records(), what="the record's end")

    def test_not_while_its_old_pods_are_there(self):
        self.full()
        self.web()
        (job,) = self.some_suspended()
        self.cluster.delete_pod("web-0")
        time.sleep(2)
        self.assertEqual(self.suspended(), [job])
        self.pods_end([job])
        wait_for(lambda: not self.suspended(), what="the resumption")

    def test_a_pod_that_stands_elsewhere_before_it_is_seen_gives_up_what_is_held_for_it(self):
        (job,) = self.moved()
        self.cluster.delete_pod("web-0")
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        node = job.removeprefix("job-")
        other = next(n for n in NAMES if n != node)
        self.cluster.delete_pod(f"train-{other}")
        wait_for(lambda: not any(e["pod"] == f"team/train-{other}" for e in self.daemon.state()["ledger"]), what="its end")
        with self.cluster.unseen("pods"):
            again = self.cluster.pod("again", gpus=8, owner=self.job(job))
            self.assertEqual(self.daemon.placed(again, NAMES), other)
        wait_for(lambda: not any(e["uid"].startswith("return/") for e in self.daemon.state()["ledger"]), what="the hold's end")
        late = self.seen(self.cluster.pod("late", gpus=8, owner=self.cluster.job("late")))
        self.assertEqual(self.daemon.placed(late, NAMES), node)

    def test_what_was_given_back_may_be_taken_again(self):
        self.daemon.write_policy(ACT.replace("giveBackAfter: 1s", "giveBackAfter: 1s, cooldown: 1s, perUnitAndDay: 5"))
        jobs = self.moved(2)
        self.cluster.delete_pod("web-0")
        (left,) = self.some_suspended(1)
        (job,) = {*jobs} - {left}
        self.bind(self.seen(self.cluster.pod("again", gpus=8, owner=self.job(job))))
        for name in NAMES:
            if f"job-{name}" not in jobs:
                self.patch_job(f"job-{name}", {"spec": {"managedBy": "example.com/other"}})
        time.sleep(1.2)
        self.web(1, prefix="more")
        self.assertEqual(self.some_suspended(2, 20), jobs)

    def test_a_policy_without_moves_gives_back_as_well(self):
        (job,) = self.moved()
        self.daemon.write_policy(CLASSES)
        time.sleep(1)
        self.assertEqual(self.suspended(), [job])
        self.cluster.delete_pod("web-0")
        wait_for(lambda: not self.suspended(), 15, "the resumption")


class Killed(MoveTest):
    policy = KEEP

    def test_between_suspension_and_room(self):
        self.full()
        (thing,) = self.web()
        jobs = self.some_suspended()
        move = self.only_move()["id"]
        self.start_anew()
        wait_for(lambda: self.moves()["moves"], what="the move")
        self.assertEqual(self.only_move()["id"], move)
        self.assertEqual(self.daemon.entry(thing)["node"], jobs[0].removeprefix("job-"))
        self.pods_end(jobs)
        self.bind(thing)
        self.phase("lent", 20)
        self.assertEqual(self.suspended(), jobs)

    def test_nobody_else_gets_its_room_before_its_record_was_read(self):
        self.full()
        (thing,) = self.web()
        jobs = self.some_suspended()
        late = self.seen(self.cluster.pod("late", gpus=8, owner=self.cluster.job("late")))
        self.pods_end(jobs)
        self.kill()
        self.cluster.faults({"rules": [{"method": "GET", "path": "configmaps/berth-moves", "hold": True, "times": 100}]})
        self.daemon = Daemon(self.cluster.kubeconfig, policy=self.policy, port=self.daemon.port, wait=False)
        answered = set()

        def late_waits():
            try:
                status, answer = self.daemon.filter(late, NAMES)
            except OSError:
                return False
            answered.add(status)
            if status == 503:
                self.cluster.faults({"clear": True, "release": True})
            self.assertFalse(answer.get("NodeNames"))
            return status == 200
        wait_for(late_waits, 20, "an answer")
        self.assertEqual(answered, {200, 503})
        self.assertEqual(self.bind(thing), jobs[0].removeprefix("job-"))

    def test_while_it_is_lent(self):
        (job,) = self.moved()
        self.policy = ACT
        wait_for(lambda: [r["state"] for r in self.records().values()] == ["lent"], what="its record")
        self.start_anew()
        self.phase("lent")
        self.cluster.delete_pod("web-0")
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        self.no_moves(70)

    def test_before_anything_was_done(self):
        self.full()
        self.cluster.faults({"rules": [{"method": "PATCH", "path": "dryRun", "hold": True, "times": 10},
                                       {"method": "PATCH", "path": "jobs/job", "hold": True, "times": 10}]})
        self.web()
        wait_for(self.records, what="the record")
        self.kill()
        self.cluster.faults({"clear": True, "release": True})
        self.cluster.delete_pod("web-0")
        self.start()
        wait_for(lambda: not self.records(), 15, "the record's end")
        self.assertEqual(self.suspended(), [])

    def test_its_record_is_lost(self):
        (job,) = self.moved()
        self.kill()
        self.cluster.api.call("DELETE", RECORDS)
        self.cluster.delete_pod("web-0")
        self.start()
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        self.assertIsNone(self.mark(job))

    def test_the_record_of_several_is_lost(self):
        jobs = self.moved(2)
        self.kill()
        self.cluster.api.call("DELETE", RECORDS)
        for name in "web-0", "web-1":
            self.cluster.delete_pod(name)
        self.start()
        wait_for(lambda: not self.suspended(), 15, "the resumption")
        self.assertEqual([self.mark(job) for job in jobs], [None, None])
        wait_for(lambda: not self.records(), what="the record's end")

    def test_the_next_one_has_no_moves(self):
        (job,) = self.moved()
        self.policy = CLASSES
        self.cluster.delete_pod("web-0")
        self.start_anew()
        wait_for(lambda: not self.suspended(), 15, "the resumption")

    def test_the_policy_after_has_no_moves_and_nobody_waits_for_one(self):
        self.full(annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"})
        self.web()
        self.why()
        self.daemon.write_policy(CLASSES)
        wait_for(lambda: self.moves()["mode"] == "off", what="the policy")
        self.assertEqual(self.moves()["waiting"], [])

    def test_a_mark_of_anybody_else_is_theirs(self):
        self.full()
        self.patch_job("job-n0", {"metadata": {"labels": {"berth.dev/suspended-by": "alice"}}, "spec": {"suspend": True}})
        self.start_anew()
        time.sleep(1.5)
        self.assertEqual(self.suspended(), ["job-n0"])
        self.assertEqual(self.mark("job-n0"), "alice")


if __name__ == "__main__":
    unittest.main()
