"""A receiver of HTTP POSTs on this machine, which can be away, slow, broken or hostile, and tells what it got."""

from __future__ import annotations

import http.server
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HANG_SECONDS = 30.0  # longer than whoever waits has patience; ends when the receiver does


@dataclass(frozen=True)
class Got:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Answers each POST with the next thing of ``script``, and when that is used up with ``answer``.

    An answer is a status, a status with headers, or one of "hang" (no answer), "cut" (the connection ends within the
    head), "drip" (a head that never ends, in small pieces), "short" (200, with less body than promised).
    """

    def __init__(self, port: int = 0) -> None:
        self.got: list[Got] = []
        self.accepted: list[Got] = []
        self.script: deque[Any] = deque()
        self.answer: Any = 200
        self.ended = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._serve(self)

            def do_GET(self) -> None:
                receiver._serve(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *arguments: Any) -> None:
                pass  # the other side has gone

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *error: Any) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "/hook", user: str = "") -> str:
        return f"http://{user and user + '@'}127.0.0.1:{self.port}{path}"

    def wait(self, ready: Callable[[], bool], seconds: float = 20.0) -> None:
        """Return as soon as ``ready()``."""
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, f"waited {seconds:g} s; got {[got.body for got in self.got]}"
            time.sleep(0.005)

    def _serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        got = Got(handler.path, {key.lower(): value for key, value in handler.headers.items()}, body)
        answer = self.script.popleft() if self.script else self.answer
        self.got.append(got)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        if answer == "hang":
            self.ended.wait(HANG_SECONDS)
        elif answer == "cut":
            handler.wfile.write(b"HTTP/1.0 20")
        elif answer == "drip":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
            while not self.ended.wait(0.02):
                handler.wfile.write(b"x")
        elif answer == "short":
            self.accepted.append(got)
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nx")
        else:
            if 200 <= status < 300:
                self.accepted.append(got)
            handler.send_response(status)
            for key, value in headers.items():
                handler.send_header(key, value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
