"""Admission webhooks between berth and what it suspends: the server's answer, not its status, says whether a unit ends."""

import http.client
import http.server
import json
import socketserver
import threading
import unittest

import move_test
from harness import NAMES, Cluster, Daemon, wait_for


class Webhooks:
    """Passes everything on to the API server; PATCHes of Jobs as `admit` leaves them."""

    def __init__(self, port):
        webhooks = self
        self.admit = lambda path, patch: patch
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.command == "PATCH" and "/jobs/" in self.path:
                    webhooks.seen.append(self.path)
                    body = json.dumps(webhooks.admit(self.path, json.loads(body))).encode()
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length", "connection")}
                upstream.request(self.command, self.path, body or None, headers)
                answer = upstream.getresponse()
                self.send_response(answer.status)
                for k, v in answer.getheaders():
                    if k.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(k, v)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    while data := answer.read1(65536):
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                        self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    self.close_connection = True
                finally:
                    upstream.close()

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.listener.shutdown()
        self.listener.server_close()


class WebhookTest(move_test.MoveTest):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.nodes()
        self.webhooks = Webhooks(self.cluster.port)
        self.addCleanup(self.webhooks.stop)
        with open(self.cluster.kubeconfig, encoding="utf-8") as f:
            text = f.read().replace(f":{self.cluster.port}", f":{self.webhooks.port}")
        path = self.cluster.kubeconfig + ".webhooks"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        self.daemon = Daemon(path, policy=self.policy, args=self.args)
        self.addCleanup(self.stop_daemon)

    def given_up_by_all(self):
        self.full()
        self.web()
        wait_for(lambda: len(self.events("MoveGivenUp")) == 3, 20, "the end of three moves")
        wait_for(lambda: not self.records(), what="the records' end")
        self.assertEqual(self.suspended(), [])
        wait_for(lambda: [self.mark(f"job-{n}") for n in NAMES] == [None] * 3, what="the marks' end")

    def test_one_that_reverts_every_suspension(self):
        def admit(_, patch):
            patch.pop("spec", None)
            patch["metadata"]["labels"] = {}
            return patch
        self.webhooks.admit = admit
        self.given_up_by_all()
        self.assertTrue(all("dryRun=All" in path for path in self.webhooks.seen), self.webhooks.seen)

    def test_one_that_reverts_it_only_where_it_counts(self):
        def admit(path, patch):
            if "dryRun" not in path and patch.get("spec", {}).get("suspend"):
                del patch["spec"]
            return patch
        self.webhooks.admit = admit
        self.given_up_by_all()

    def test_every_write_is_validated_strictly_and_names_the_version_that_was_read(self):
        versions = []

        def admit(_, patch):
            versions.append(patch["metadata"].get("resourceVersion"))
            return patch
        self.webhooks.admit = admit
        self.full()
        self.web()
        self.some_suspended()
        self.assertTrue(all("fieldValidation=Strict" in path for path in self.webhooks.seen), self.webhooks.seen)
        self.assertEqual(len(versions), 2)
        self.assertTrue(all(versions), versions)


if __name__ == "__main__":
    unittest.main()
