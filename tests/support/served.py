"""A station's application behind a real socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from stream.server.access.access import Access
from stream.server.http.app import make_app
from stream.server.limits import Limits
from stream.server.serving import DrainingServer, bind, make_server
from stream.server.station import SourceSpec, Station
from tests.support.command import DEADLINE_SECONDS, wait_for
from tests.support.stations import hasty, load_toy, reader, toy_model


class ServedApp:
    """What is served, and where.

    Attributes:
        url: without a slash at the end.
        server: its ``drain()`` is what a signal does.
    """

    def __init__(self, app: Any, port: int = 0, **options: Any) -> None:
        self.server: DrainingServer = make_server(app, **options)
        self._listener = bind("127.0.0.1", port)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        scheme = "https" if options.get("tls") else "http"
        self.url = f"{scheme}://127.0.0.1:{self.address[1]}"
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def _run(self) -> None:
        asyncio.run(self.server.serve(sockets=[self._listener]))

    def start(self) -> None:
        self._thread.start()
        wait_for(lambda: self.server.started or not self._thread.is_alive(), "the server")

    def join_thread(self) -> None:
        """Until it has ended; a deadline fails the test."""
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive(), "the server did not end"

    def stop(self) -> None:
        self.server.drain()
        self.join_thread()


@contextmanager
def served(app: Any, port: int = 0, **options: Any) -> Iterator[ServedApp]:
    """The application served for a block, at any free port; ``options`` as `make_server` takes them."""
    each = ServedApp(app, port, **options)
    each.start()
    try:
        yield each
    finally:
        each.stop()


@contextmanager
def client_of(app: Any, **options: Any) -> Iterator[httpx.Client]:
    """A client of the application, served for a block."""
    with served(app) as each, httpx.Client(base_url=each.url, timeout=DEADLINE_SECONDS, **options) as client:
        yield client


def toy_station(*specs: SourceSpec, **options: Any) -> Station:
    """A station of the small model, not started: the application does that."""
    given: dict[str, Any] = {"models": {"toy": toy_model()}, "load": load_toy, "patience": hasty}
    return Station(specs, **(given | {"deadline": 0.002} | options))


def toy_app(*specs: SourceSpec, access: Access | None = None, **limits: Any) -> Any:
    """The application of such a station."""
    return make_app(
        toy_station(*specs), access or Access(), Limits(**limits), read_source=reader().read_source
    )
