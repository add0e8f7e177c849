"""Queued: whatever a sink does, listening goes on as if it were not there, and what is lost is counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stream.capture.simulate import SimulatedSource
from stream.classifier import StreamClassifier
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import SpecError
from stream.inference.session import Model
from stream.messages import Chunk, Event, Gap, Result, Scores, Status
from stream.outputs.queued import Queued
from stream.runner import run
from tests.support.sinks import Collected
from tests.support.toy_models import toy_bytes

WAIT_SECONDS = 10.0  # longest that a test waits for a thread; what is awaited takes microseconds


class Held(Collected):
    """Collects, but each call waits until the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.closed = threading.Event()

    def take(self, kind: str, message: Any) -> None:
        self.entered.set()
        assert self.gate.wait(WAIT_SECONDS)
        super().take(kind, message)

    def close(self) -> None:
        super().close()
        self.closed.set()


class Raising(Collected):
    """An error at each message, and at the end."""

    def take(self, kind: str, message: Any) -> None:
        super().take(kind, message)
        raise ValueError(f"no {kind} today")

    def close(self) -> None:
        super().close()
        raise OSError("nor an end")


@pytest.fixture
def held() -> Iterator[Held]:
    sink = Held()
    yield sink
    sink.gate.set()  # no thread stays behind


def chunk(number: int) -> Chunk:
    return Chunk(np.full(160, number, np.float32), number * 160, 16000)


def result(number: int, *, onset: bool = False, gap: bool = False) -> Result:
    scores = Scores(
        np.zeros((1, 2), np.float32), np.array([number]), np.array([True]), ("a", "b"), 16000, 160
    )
    events = (Event(number, "a", 0, None, 0.9, 0.9, 16000, 1),) if onset else ()
    return Result(scores, np.zeros((1, 40), np.float32), events, (Gap(0, 9, 16000),) if gap else (), number)


def fill(queued: Queued, held: Held) -> None:
    """Make the sink hang in its first message, so that the queue holds what comes after."""
    queued.status(Status("listening", 0, 16000))
    assert held.entered.wait(WAIT_SECONDS)


def test_everything_arrives_in_order_on_another_thread() -> None:
    sink = Collected()
    queued = Queued(sink)
    sent: list[Any] = []
    for number in range(300):
        sent += [chunk(number), result(number, onset=number % 50 == 0)]
        queued.chunk(sent[-2])
        queued.result(sent[-1])
        if number % 100 == 0:
            sent.append(Status("silent", number, 16000))
            queued.status(sent[-1])
    queued.close()
    assert [message for _, message in sink.messages] == sent
    assert sink.threads == {queued._thread.ident}
    assert threading.get_ident() not in sink.threads
    assert sink.closings == 1
    queued.close()
    queued.chunk(chunk(0))
    assert len(sink.messages) == len(sent)
    assert sink.closings == 1
    assert not queued._thread.is_alive()


def test_chunks_and_plain_scores_are_dropped_before_events_gaps_and_statuses(
    held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    queued = Queued(held, capacity=4)
    fill(queued, held)
    with caplog.at_level(logging.WARNING):
        queued.result(result(1, onset=True))
        queued.chunk(chunk(2))
        queued.result(result(3))
        queued.result(result(4, gap=True))
        assert queued.waiting == 4
        assert sum(queued.dropped.values()) == 0
        queued.status(Status("silent", 5, 16000))  # pushes out chunk 2
        queued.result(result(6, onset=True))  # result 3
        queued.chunk(chunk(7))  # itself: everything that waits matters more
        assert queued.dropped == {"chunk": 2, "result": 1, "status": 0}
        queued.result(result(8, onset=True))  # result 1, the oldest of what matters
    assert queued.waiting == 4
    assert queued.dropped == {"chunk": 2, "result": 2, "status": 0}
    assert sum("too slow" in message for message in caplog.messages) == 1
    held.gate.set()
    queued.close()
    kinds = [(kind, getattr(message, "end", None)) for kind, message in held.messages]
    assert kinds == [("status", None), ("result", 4), ("status", None), ("result", 6), ("result", 8)]


def test_a_sink_that_hangs_costs_the_deadline_at_the_end_and_says_what_was_not_delivered(
    held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    queued = Queued(held, deadline_seconds=0.05)
    fill(queued, held)
    queued.chunk(chunk(1))
    queued.result(result(1, onset=True))
    queued.result(result(2))
    with caplog.at_level(logging.WARNING):
        queued.close()
    assert caplog.messages == ["Held: still busy after 0.05 s; not delivered: 1 status, 2 results, 1 chunk"]
    assert queued._thread.daemon  # it keeps no process alive
    held.gate.set()
    assert held.closed.wait(
        WAIT_SECONDS
    )  # when it comes back after all, it is closed, and given nothing more
    assert [kind for kind, _ in held.messages] == ["status"]


def test_errors_are_counted_and_the_first_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sink = Raising()
    queued = Queued(sink)
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            queued.chunk(chunk(number))
        queued.close()
    assert queued.errors == 6
    assert len(sink.messages) == 5
    assert sum("no chunk today" in message for message in caplog.messages) == 1
    assert not any("nor an end" in message for message in caplog.messages)
    assert caplog.messages[-1] == "Raising: 0 messages dropped, 6 errors"


def test_a_sink_that_is_slow_gets_everything_if_there_is_room_and_time(held: Held) -> None:
    queued = Queued(held, deadline_seconds=WAIT_SECONDS)
    for number in range(100):
        queued.chunk(chunk(number))
    threading.Timer(0.05, held.gate.set).start()
    queued.close()
    assert len(held.messages) == 100
    assert sum(queued.dropped.values()) == queued.errors == 0
    assert held.closings == 1


@pytest.mark.parametrize(("capacity", "deadline"), [(0, 1.0), (1, -1.0), (1, float("nan"))])
def test_settings_that_make_no_sense(capacity: int, deadline: float) -> None:
    with pytest.raises(SpecError, match="at least 1 message"):
        Queued(Collected(), capacity=capacity, deadline_seconds=deadline)


def heard(sinks: list[Any]) -> tuple[list[Any], list[Any]]:
    """Scores and events of a stream with losses, by a sink of our own that stands first."""
    sink = Collected()
    rules = DetectorSpec(default=ClassRule(threshold=0.3))
    source = SimulatedSource("noise?length=4s&xrun@1s&seed=5", fast=True)
    run(source, StreamClassifier(Model(toy_bytes()), rules), [sink, *sinks])
    results = [message for kind, message in sink.messages if kind == "result"]
    assert results
    probs = [r.scores.probs.tobytes() for r in results]
    return probs, [(r.events, r.gaps, r.end) for r in results]


def test_scores_and_events_are_the_same_to_the_bit_whatever_a_sink_does(held: Held) -> None:
    alone = heard([])
    assert sum(len(events) for events, _, _ in alone[1]) > 0
    assert heard([Queued(held, capacity=8, deadline_seconds=0.01)]) == alone
    assert heard([Queued(Raising(), capacity=8)]) == alone
