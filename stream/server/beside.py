"""Beside: a station's application served beside a run of somebody else, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading

from starlette.applications import Starlette

from stream.server.serving import make_server

log = logging.getLogger(__name__)
END_SECONDS = 3.0


class ServedBeside:
    """Serves from ``start`` to ``close``. Signals are not its affair.

    Args:
        app: of `make_app`.
        listener: of `bind`; closed at the end.
    """

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        self._listener = listener
        self._server = make_server(app)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Tell those who watch, and end. What does not end within some seconds is left behind."""
        if self._thread.is_alive():
            self._server.drain()
            self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            log.warning("the page's server did not end in time; it was left behind")
        else:
            self._listener.close()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))
