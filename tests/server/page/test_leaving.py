"""Who watches a page is told at once that its station ends, however long it is until the next look at anything."""

from __future__ import annotations

import httpx
import pytest

from stream.server import serving
from stream.server.page import live
from tests.support.command import DEADLINE_SECONDS
from tests.support.served import served, toy_app
from tests.support.stations import spec

LONG = 3600.0  # seconds: whatever is waited for to the end fails the test


@pytest.mark.parametrize("path", ["/page/live", "/page/sources/tone/live", "/v1/events", None])
def test_the_end_waits_for_no_look(path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (live, "LOOK_SECONDS"),
        (live, "GLANCE_SECONDS"),
        (serving, "TICK_SECONDS"),
    ):
        monkeypatch.setattr(module, name, LONG)
    app = toy_app(spec("tone", "sim:tone?loop=forever"), drain_seconds=LONG)
    with served(app) as each, httpx.Client(base_url=each.url, timeout=DEADLINE_SECONDS) as client:
        if path is None:
            each.stop()
            return
        with client.stream("GET", path) as told:
            lines = told.iter_lines()
            next(lines)
            each.server.drain()
            list(lines)
        each.join_thread()
