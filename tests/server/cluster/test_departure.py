"""A replica leaves when it is wanted no more, and not when it was only forgotten for a moment."""

from __future__ import annotations

import asyncio

import pytest

from stream.server.cluster import departure
from stream.server.cluster.departure import Departure
from tests.support.command import DEADLINE_SECONDS


def run_with(monkeypatch: pytest.MonkeyPatch, *told: bool, sure: float = 0.0) -> tuple[int, Departure]:
    """How often it left, after it was told this."""
    monkeypatch.setattr(departure, "SURE_SECONDS", sure)

    async def go() -> tuple[int, Departure]:
        left: list[int] = []
        watched = Departure(lambda: left.append(1))
        for each in told:
            watched.told(each)
        if not sure:
            await asyncio.wait_for(asyncio.sleep(0.01), DEADLINE_SECONDS)
        watched.stop()
        return len(left), watched

    return asyncio.run(go())


def test_it_leaves_once_when_it_is_wanted_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(monkeypatch, True, False)[0] == 1
    assert run_with(monkeypatch, True, True, False, False)[0] == 1


def test_it_stays_while_it_is_wanted_and_before_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(monkeypatch, True, True)[0] == 0
    assert run_with(monkeypatch, False, False, True)[0] == 0
    assert run_with(monkeypatch, False)[0] == 0


def test_it_stays_when_it_is_wanted_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    left, watched = run_with(monkeypatch, True, False, True)
    assert (left, watched.left, watched.returned) == (0, False, False)
    left, _ = run_with(monkeypatch, True, False, sure=3600)
    assert left == 0


def test_one_that_left_and_is_wanted_again_asks_to_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "SURE_SECONDS", 0.0)

    async def go() -> Departure:
        watched = Departure(lambda: None)
        watched.told(True)
        watched.told(False)
        await asyncio.wait_for(asyncio.sleep(0.01), DEADLINE_SECONDS)
        assert watched.left
        assert not watched.returned
        watched.told(True)
        return watched

    assert asyncio.run(go()).returned
