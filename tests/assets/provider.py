"""A model server that behaves and several that do not, a port each. Runs inside a container."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Base(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Good(Base):
    def do_GET(self):
        self.answer({"object": "list", "data": [{"id": "good-model", "object": "model", "owned_by": "vllm"}]})


class Silent(Base):
    def do_GET(self):
        time.sleep(60)


class Slow(Base):
    def do_GET(self):
        time.sleep(3)
        self.answer({"object": "list", "data": [{"id": "slow-model", "object": "model"}]})


class BadOllama(Base):
    def do_GET(self):
        self.answer({"models": [1, 2, 3]})


SERVERS = {8000: Good, 8001: Silent, 8002: BadOllama, 8003: Slow}
for port, handler in SERVERS.items():
    threading.Thread(target=ThreadingHTTPServer(("0.0.0.0", port), handler).serve_forever).start()
