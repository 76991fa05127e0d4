"""A proxy in front of a real server that breaks things when told to: `proxy.py DATA_DIR UPSTREAM`.

It speaks TLS with the server's own certificate, prints `ready https://127.0.0.1:PORT`, and ends when its standard input does.

`POST /_faults` takes one fault (README.md lists them) and forgets the one before and all counts; `GET /_report` says what was seen since.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSED_ON = ("authorization", "content-type", "accept", "user-agent")
"""Headers of a request that go to the server."""


@dataclass
class State:
    """The fault that is on, and what was seen since it is."""

    fault: dict[str, Any] = field(default_factory=dict)
    times: int = 0
    refused: int = 0
    watches: int = 0
    lists: int = 0
    waited: bool = True
    refused_at: float | None = None
    last_body: Any = None
    last_version: str | None = None

    def report(self) -> dict[str, Any]:
        return {
            "refused": self.refused,
            "watches": self.watches,
            "lists": self.lists,
            "waited": self.waited,
            "lastBody": self.last_body,
            "lastVersion": self.last_version,
        }


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, data: Path, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(data / "pki/server.crt", data / "pki/server.key")
        context.set_alpn_protocols(["http/1.1"])
        # The handshake happens in the connection's own thread: a slow client holds up nobody.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.upstream = urlsplit(upstream).netloc
        self.trust = ssl.create_default_context(cafile=data / "pki/ca.crt")
        self.lock = threading.Lock()
        self.state = State()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these tests are about, and no news."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer leaves in one piece: two small ones would wait for each other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Proxy

    def log_message(self, *_: Any) -> None:
        """Nothing: the steps say what went wrong."""

    def connected(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.server.upstream, context=self.server.trust)

    def setup(self) -> None:
        super().setup()
        self.upstream = self.connected()

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        if url.path == "/_faults":
            return self.new_fault(json.loads(body))
        if url.path == "/_report":
            return self.answer(200, json.dumps(self.server.state.report()).encode())
        query = parse_qs(url.query)
        watch = query.get("watch") == ["true"]
        if self.refuse(watch, query, json.loads(body) if body else None):
            return
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        if watch:
            with closing(self.connected()) as upstream:
                upstream.request(self.command, self.path, None, headers)
                response = upstream.getresponse()
                if response.status == 200:
                    return self.stream(response)
                return self.answer(response.status, response.read())
        self.upstream.request(self.command, self.path, body or None, headers)
        response = self.upstream.getresponse()
        self.answer(response.status, self.injected(response.read()), dict(response.getheaders()))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def new_fault(self, fault: dict[str, Any]) -> None:
        with self.server.lock:
            self.server.state = State(fault=fault, times=fault.get("times", 1))
        self.answer(200, b'{"kind":"Fault"}')

    def refuse(self, watch: bool, query: dict[str, list[str]], body: Any) -> bool:
        """Counts the request, and answers it instead of the server when the fault says so."""
        now = time.monotonic()
        with self.server.lock:
            state = self.server.state
            fault = state.fault
            state.last_body = body
            if watch:
                state.watches += 1
                state.last_version = (query.get("resourceVersion") or [""])[0]
            elif self.command == "GET" and "limit" in query:
                state.lists += 1
            if state.refused_at is not None and now - state.refused_at < fault.get("retryAfter", 0):
                state.waited = False
            state.refused_at = None
            if fault.get("do") != "refuse" or self.command != fault["method"] or state.times == 0:
                return False
            state.times -= 1
            state.refused += 1
            headers = {"retry-after": str(fault["retryAfter"])} if "retryAfter" in fault else {}
            state.refused_at = time.monotonic()
        if fault.get("plain"):
            self.answer(fault["code"], b"the gateway is tired\n", {"content-type": "text/plain", **headers})
        else:
            self.answer(fault["code"], json.dumps(status(fault["code"], fault["reason"])).encode(), headers)
        return True

    def injected(self, body: bytes) -> bytes:
        """An object with the field of the fault `inject` in its spec."""
        fault = self.server.state.fault
        if fault.get("do") != "inject" or self.command != "GET":
            return body
        document = json.loads(body)
        place = document
        for step in fault["path"].split("."):
            place = place[step]
        place[fault["field"]] = fault["value"]
        return json.dumps(document).encode()

    def answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        kept = {name.lower(): value for name, value in (headers or {}).items()}
        self.send_header("Content-Type", kept.get("content-type", "application/json"))
        self.send_header("Content-Length", str(len(body)))
        if "retry-after" in kept:
            self.send_header("Retry-After", kept["retry-after"])
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def stream(self, response: http.client.HTTPResponse) -> None:
        """A watch, line by line, until the fault ends it, the server does, or the client hangs up."""
        with self.server.lock:
            state = self.server.state
            fault = state.fault if state.times > 0 and state.fault.get("do") in ("cut", "gone", "bookmark") else {}
            state.times -= 1 if fault else 0
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        if fault.get("do") == "bookmark":
            metadata = {"resourceVersion": fault["version"], "creationTimestamp": None}
            self.line({"type": "BOOKMARK", "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata}})
            return self.break_off()
        lines = 0
        while lines < fault.get("lines", sys.maxsize):
            line = response.readline()
            if not line:
                return self.chunk(b"")
            self.chunk(line)
            lines += 1
        if fault["do"] == "gone":
            self.line({"type": "ERROR", "object": status(410, "Expired")})
            return self.chunk(b"")
        self.break_off(response.readline())

    def line(self, event: dict[str, Any]) -> None:
        self.chunk(json.dumps(event).encode() + b"\n")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def break_off(self, line: bytes = b"") -> None:
        """Ends the connection as a power cut does: in the middle of a line, without the end of the answer."""
        if line:
            self.chunk(line[: len(line) // 2])
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def status(code: int, reason: str) -> dict[str, Any]:
    """An answer that is an error, as the server writes it."""
    message = f"the proxy says {reason}"
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": message}


def main() -> None:
    proxy = Proxy(Path(sys.argv[1]), sys.argv[2])
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    print(f"ready https://127.0.0.1:{proxy.server_address[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
