"""An API server that can misbehave where the embedded cluster cannot: TLS, credentials, bytes as the test wants them.

Every request is noted in `seen`. A hook, given (handler, method, path, query, body), answers instead of the server when it returns true."""

import http.server
import json
import socketserver
import ssl
import threading
import time
import urllib.parse

KINDS = {"/api/v1/nodes": ("nodes", "NodeList"), "/api/v1/pods": ("pods", "PodList"), "/apis/batch/v1/jobs": ("jobs", "JobList"),
         "/apis/coordination.k8s.io/v1/namespaces/berth-system/leases": ("leases", "LeaseList")}


class FakeApi:
    def __init__(self, tls=None, prefix="", bookmark_s=20.0):
        self.lock = threading.Condition()
        self.version = 1000
        self.objects = {kind: {} for kind, _ in KINDS.values()}
        self.events = []
        self.seen = []
        self.hook = lambda *_: False
        self.token = None  # when set, every other one is 401
        self.tls, self.prefix, self.bookmark_s = tls, prefix, bookmark_s
        self.page_max = 500
        self.split = 0  # bytes a chunk of a watch; 0 = an event
        self.writes_now = self.writes_most = 0
        self.generation = 0  # a watch ends when this moves
        self.start()

    def start(self, port=0):
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def handle_any(self):
                api.handle(self)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def finish_request(self, request, address):
                if api.tls:
                    request = api.tls.wrap_socket(request, server_side=True)
                super().finish_request(request, address)

            def handle_error(self, *_):
                pass

        self.listener = Listener(("127.0.0.1", port), Handler)
        self.port = self.listener.server_address[1]
        self.down = False
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.down = True  # connections that are open are cut at their next call
        self.end_watches()
        self.listener.shutdown()
        self.listener.server_close()

    # --- content ---

    def put(self, kind, thing, event=None):
        meta = thing["metadata"]
        with self.lock:
            self.version += 1
            meta["resourceVersion"] = str(self.version)
            key = (meta.get("namespace"), meta["name"])
            meta.setdefault("uid", f"uid-{kind}-{meta['name']}")
            known = key in self.objects[kind]
            self.objects[kind][key] = thing
            self.events.append((self.version, kind, event or ("MODIFIED" if known else "ADDED"), json.dumps(thing)))
            self.lock.notify_all()
        return thing

    def remove(self, kind, name, namespace=None):
        with self.lock:
            thing = self.objects[kind].pop((namespace, name))
            self.version += 1
            thing["metadata"]["resourceVersion"] = str(self.version)
            self.events.append((self.version, kind, "DELETED", json.dumps(thing)))
            self.lock.notify_all()

    def end_watches(self):
        with self.lock:
            self.generation += 1
            self.lock.notify_all()

    def calls(self, method, ending):
        return [call for call in self.seen if call[1] == method and call[2].endswith(ending)]

    # --- answers ---

    def say(self, handler, status, body, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
        handler.wfile.flush()
        return True

    def refuse(self, handler, status, message="no", headers=None):
        return self.say(handler, status, {"kind": "Status", "status": "Failure", "message": message, "code": status}, headers)

    def cut(self, handler):
        handler.close_connection = True
        handler.connection.close()
        return True

    def chunk(self, handler, data):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        handler.wfile.flush()

    def begin_watch(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()

    def handle(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        path, method = url.path, handler.command
        if self.down:
            return self.cut(handler)
        self.seen.append((time.monotonic(), method, path, query, dict(handler.headers), body))
        if not path.startswith(self.prefix):
            return self.refuse(handler, 404, "outside of the prefix")
        path = path[len(self.prefix):]
        if self.token and handler.headers.get("Authorization") != "Bearer " + self.token:
            return self.refuse(handler, 401, "Unauthorized")
        if method == "GET":
            return self.hook(handler, method, path, query, body) or self.read(handler, path, query)
        with self.lock:
            self.writes_now += 1
            self.writes_most = max(self.writes_most, self.writes_now)
        try:
            return self.hook(handler, method, path, query, body) or self.write(handler, method, path, body)
        finally:
            with self.lock:
                self.writes_now -= 1

    def read(self, handler, path, query):
        if path in KINDS and "watch" in query:
            return self.watch(handler, KINDS[path][0], int(query["resourceVersion"]))
        if path in KINDS:
            return self.list(handler, *KINDS[path], query)
        return self.one(handler, path)

    def one(self, handler, path):
        parts = path.split("/")
        thing = self.objects["pods"].get((parts[4], parts[6])) if len(parts) == 7 else None
        return self.say(handler, 200, thing) if thing else self.refuse(handler, 404, "not found")

    def page(self, kind, list_kind, query):
        with self.lock:
            things = list(self.objects[kind].values())
            version = self.version
        first = int(query.get("continue", "0").split("@")[0])
        last = first + min(int(query.get("limit", "500")), self.page_max)
        meta = {"resourceVersion": query.get("continue", f"0@{version}").split("@")[1]}
        if last < len(things):
            meta |= {"continue": f"{last}@{meta['resourceVersion']}", "remainingItemCount": len(things) - last}
        return {"kind": list_kind, "items": things[first:last], "metadata": meta}

    def list(self, handler, kind, list_kind, query):
        return self.say(handler, 200, self.page(kind, list_kind, query))

    def watch(self, handler, kind, version):
        self.begin_watch(handler)
        generation, mark_at = self.generation, time.monotonic() + self.bookmark_s
        while True:
            with self.lock:
                news = [event for event in self.events if event[0] > version and event[1] == kind]
                now = self.version
                if not news:
                    if self.generation != generation:
                        break
                    self.lock.wait(max(0.01, min(0.5, mark_at - time.monotonic())))
            lines = [f'{{"type":"{event[2]}","object":{event[3]}}}\n' for event in news]
            if not news and time.monotonic() >= mark_at:
                lines = [json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(now)}}}) + "\n"]
            if lines:
                mark_at = time.monotonic() + self.bookmark_s
                version = news[-1][0] if news else now
                data = "".join(lines).encode()
                step = self.split or len(data)
                for at in range(0, len(data), step):
                    self.chunk(handler, data[at:at + step])
        handler.wfile.write(b"0\r\n\r\n")
        handler.wfile.flush()
        return True

    def bind(self, path, body):
        """What a Binding does; the status."""
        parts = path.split("/")
        wanted = json.loads(body)
        with self.lock:
            thing = self.objects["pods"].get((parts[4], parts[6]))
            if not thing:
                return 404
            if thing["spec"].get("nodeName") or wanted["metadata"].get("uid") != thing["metadata"]["uid"]:
                return 409
            thing["spec"]["nodeName"] = wanted["target"]["name"]
        self.put("pods", thing)
        return 201

    def write(self, handler, method, path, body):
        status = self.bind(path, body) if path.endswith("/binding") else 200 if method == "PATCH" else 201
        return self.say(handler, status, {"kind": "Status", "code": status, "message": "as asked" if status < 300 else "refused"})


def kubeconfig(server, cluster=None, user=None):
    """As JSON, which is YAML."""
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "there", "context": {"cluster": "x", "user": "x"}}, {"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}]})
