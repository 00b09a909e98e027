"""`berth serve` where watch events, verbs and Bindings cross."""

import json
import socket
import time
import unittest

from harness import NAMES, WireTest, pod, wait_for

OWNERS_POLICY = """\
apiVersion: berth.dev/v1alpha1
kind: PlacementPolicy
pools:
- {name: h100, gpu: H100}
classes:
- name: nightly
  match: [{owners: [CronJob]}]
- name: batch
fallback: batch
"""


class Binds(WireTest):
    def hold_bindings(self, **more):
        self.cluster.faults({"rules": [{"method": "POST", "path": "/binding", "times": 1, "hold": True, **more}]})

    def parked(self, thing):
        """Starts a bind whose Binding is held; returns its node, thread and list of answers."""
        where = self.daemon.placed(thing, NAMES)
        self.hold_bindings()
        thread, result = self.daemon.spawn_bind(thing, where)
        wait_for(lambda: self.daemon.entry(thing)["expires"] is None, what="the parked bind")
        return where, thread, result

    def release(self, thread):
        self.cluster.faults({"release": True})
        thread.join(10)

    def test_a_reservation_does_not_move_while_its_binding_is_under_way(self):
        thing = self.seen(self.cluster.pod("a"))
        where, thread, result = self.parked(thing)
        self.assertEqual(self.daemon.placed(thing, NAMES), where)
        self.assertIsNone(self.daemon.placed(thing, [n for n in NAMES if n != where]))
        self.assertEqual(self.daemon.entry(thing)["node"], where)
        self.release(thread)
        self.assertEqual(result[0], (200, {"Error": ""}))
        self.assertEqual(self.daemon.state()["waiting"], [])

    def test_two_binds_make_one_binding(self):
        thing = self.seen(self.cluster.pod("a"))
        where, thread, result = self.parked(thing)
        second, answers = self.daemon.spawn_bind(thing, where)
        time.sleep(0.3)
        self.release(thread)
        second.join(10)
        self.assertEqual(result + answers, [(200, {"Error": ""})] * 2)
        self.assertEqual(self.cluster.stats()["requests"]["bind"], 1)

    def test_a_pod_deleted_while_parked_is_answered_at_once(self):
        thing = self.seen(self.cluster.pod("a"))
        where, thread, result = self.parked(thing)
        self.cluster.delete_pod("a")
        thread.join(2)
        self.assertEqual(result, [(200, {"Error": "pod is gone or was replaced by another of its name"})])
        wait_for(lambda: self.daemon.state()["ledger"] == [], what="its room")
        again = self.seen(self.cluster.pod("a"))
        self.assertNotEqual(again["metadata"]["uid"], thing["metadata"]["uid"])
        self.assertEqual(self.daemon.placed(again, [where]), where)
        self.release(thread)
        self.assertEqual(self.daemon.bind(again, where), (200, {"Error": ""}))
        wait_for(lambda: [e["uid"] for e in self.daemon.state()["ledger"]] == [again["metadata"]["uid"]])

    def test_a_caller_that_hangs_up_leaves_the_binding_to_be_made(self):
        thing = self.seen(self.cluster.pod("a"))
        where = self.daemon.placed(thing, NAMES)
        self.hold_bindings()
        meta = thing["metadata"]
        body = json.dumps({"PodName": meta["name"], "PodNamespace": meta["namespace"], "PodUID": meta["uid"], "Node": where})
        with socket.create_connection(("127.0.0.1", self.daemon.port)) as caller:
            caller.sendall(f"POST /v1/bind HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            wait_for(lambda: self.daemon.entry(thing)["expires"] is None, what="the parked bind")
        time.sleep(0.3)
        self.cluster.faults({"release": True})
        wait_for(lambda: self.cluster.get_pod("a")["spec"].get("nodeName") == where, what="the Binding")
        wait_for(lambda: self.daemon.entry(thing)["state"] == "bound")

    def test_a_reload_and_a_relist_while_parked_change_nothing(self):
        thing = self.seen(self.cluster.pod("a"))
        where, thread, result = self.parked(thing)
        before = self.daemon.state()["policy"]["hash"]
        self.daemon.write_policy(OWNERS_POLICY)
        relists = self.daemon.metric('berth_watch_relists{resource="pods"}')
        self.cluster.faults({"rules": [{"method": "GET", "path": "/api/v1/pods", "status": 410, "times": 1}],
                             "dropWatches": True})
        wait_for(lambda: self.daemon.state()["policy"]["hash"] != before, 3, "the reload")
        wait_for(lambda: self.daemon.metric('berth_watch_relists{resource="pods"}') > relists, what="the relist")
        self.assertIsNone(self.daemon.entry(thing)["expires"])
        self.release(thread)
        self.assertEqual(result[0], (200, {"Error": ""}))
        wait_for(lambda: self.daemon.metric('berth_pods{state="pending"}') == 0, what="the watch's word")
        self.assertEqual(self.daemon.entry(thing)["node"], where)

    def test_a_late_filter_of_a_bound_pod_leaves_nothing_behind(self):
        thing = self.seen(self.cluster.pod("a"))
        where = self.daemon.placed(thing, NAMES)
        self.assertEqual(self.daemon.bind(thing, where)[1]["Error"], "")
        pending = lambda: self.daemon.metric('berth_pods{state="pending"}')
        wait_for(lambda: pending() == 0, what="the watch's word")
        self.assertEqual(self.daemon.placed(thing, NAMES), where)
        self.assertIsNone(self.daemon.placed(thing, [n for n in NAMES if n != where]))
        self.assertEqual(pending(), 0)
        self.assertEqual(self.daemon.entry(thing)["state"], "bound")

    def test_the_class_in_the_binding_knows_an_owner_that_came_late(self):
        self.daemon.write_policy(OWNERS_POLICY)
        wait_for(lambda: self.daemon.explain("nobody")[0] == 404 and self.daemon.metric("berth_policy_reload_success") == 1)
        self.cluster.faults({"rules": [{"method": "GET", "path": "/apis/batch/v1/jobs", "status": 503, "times": 4}],
                             "dropWatches": True})
        job = self.cluster.job("nightly-1", owner="CronJob")
        thing = self.seen(self.cluster.pod("a", owner=job))
        self.assertEqual(self.daemon.explain("a")[1]["class"], "batch")
        self.seen(self.cluster.pod("b", owner=job))
        wait_for(lambda: self.daemon.explain("b")[1]["class"] == "nightly", what="the Job")
        where = self.daemon.placed(thing, NAMES)
        self.assertEqual(self.daemon.bind(thing, where)[1]["Error"], "")
        self.assertIn('"class":"nightly"', self.cluster.get_pod("a")["metadata"]["annotations"]["berth.dev/decision"])


class Watches(WireTest):
    def test_a_reservation_goes_with_a_pod_that_a_relist_does_not_show(self):
        thing = self.seen(self.cluster.pod("a"))
        self.daemon.placed(thing, NAMES)
        with self.cluster.unseen("/api/v1/pods"):
            self.cluster.delete_pod("a")
        wait_for(lambda: self.daemon.state()["ledger"] == [], 15, "the end of the reservation")
        self.assertEqual(self.daemon.metric('berth_pods{state="pending"}'), 0)

    def test_a_relist_forgets_the_bound_pods_that_it_does_not_show(self):
        for name in "ab":
            self.cluster.pod(name, gpus=8, scheduler="other", nodeName="n0")
        wait_for(lambda: len(self.daemon.state()["ledger"]) == 2, what="both pods")
        with self.cluster.unseen("/api/v1/pods"):
            self.cluster.delete_pod("a")
        wait_for(lambda: [e["pod"] for e in self.daemon.state()["ledger"]] == ["team/b"], 15, "the relist")

    def test_a_lagging_watch_promises_nothing_twice(self):
        self.cluster.faults({"watchLagMs": 2000})
        things = [self.cluster.pod(f"p{i}", gpus=8) for i in range(4)]
        where = [self.daemon.placed(thing, NAMES) for thing in things]
        self.assertEqual(sorted(filter(None, where)), NAMES)
        for thing, target in zip(things, where):
            if target:
                self.assertEqual(self.daemon.bind(thing, target)[1]["Error"], "")
        self.cluster.delete_pod("p0")
        wait_for(lambda: self.wake("p3"), 4, "the wake-up")
        self.assertEqual(self.daemon.placed(things[3], NAMES), where[0])

    def test_a_name_that_no_pod_can_have_is_refused(self):
        status, _ = self.daemon.filter(pod('a"b', uid="u"), NAMES)
        self.assertEqual(status, 400)
        self.assertEqual(self.daemon.state()["ledger"], [])

    def test_dropped_and_expired_watches_lose_nothing(self):
        self.cluster.pod("f", gpus=8, scheduler="other", nodeName="n0")
        wait_for(lambda: len(self.daemon.state()["ledger"]) == 1)
        self.cluster.faults({"dropWatches": True})
        self.cluster.pod("g", gpus=8, scheduler="other", nodeName="n1")
        wait_for(lambda: len(self.daemon.state()["ledger"]) == 2, 15, "the pod behind the dropped watch")
        self.cluster.faults({"dropWatches": True, "compact": True})
        self.cluster.delete_pod("f")
        self.cluster.pod("h", gpus=8, scheduler="other", nodeName="n2")
        wait_for(lambda: sorted(e["pod"] for e in self.daemon.state()["ledger"]) == ["team/g", "team/h"], 15, "the relist")
        self.assertEqual(self.daemon.placed(self.cluster.pod("a", gpus=8), NAMES), "n0")

    def test_a_relist_forgets_the_nodes_that_it_does_not_show(self):
        with self.cluster.unseen("/api/v1/nodes"):
            self.cluster.api.call("DELETE", "/api/v1/nodes/n0")
        wait_for(lambda: [n["name"] for n in self.daemon.state()["nodes"]] == ["n1", "n2"], 15, "the relist")

    def test_a_node_that_goes_takes_no_pod(self):
        thing = self.seen(self.cluster.pod("a", gpus=8))
        where = self.daemon.placed(thing, NAMES)
        self.cluster.api.call("DELETE", f"/api/v1/nodes/{where}")
        wait_for(lambda: all(n["name"] != where for n in self.daemon.state()["nodes"]))
        again = self.daemon.placed(thing, [n for n in NAMES if n != where])
        self.assertNotEqual(again, where)


if __name__ == "__main__":
    unittest.main()
