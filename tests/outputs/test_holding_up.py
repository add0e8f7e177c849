"""A recording waits for what is written from it; sound that is live never does."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import pytest

from stream.outputs import outputs as outputs_module
from stream.outputs.outputs import Outputs
from stream.outputs.queued import Queued, Want
from tests.outputs.test_queued import WAIT_SECONDS, Held, chunk
from tests.support.sinks import Collected


class Slow(Collected):
    """Takes a moment for each message."""

    WANTS: ClassVar[frozenset[Want]] = frozenset({"chunk"})
    OPTIONS: ClassVar = ()
    WRITES_SOUND = False
    holds_up_recordings = True

    def take(self, kind: str, message: Any) -> None:
        threading.Event().wait(0.002)
        super().take(kind, message)


@pytest.mark.parametrize(("live", "lost"), [(False, False), (True, True)])
def test_a_recording_waits_and_live_sound_does_not(
    live: bool, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs_module, "CAPACITY_MESSAGES", 4)
    monkeypatch.setattr(outputs_module, "RECORDING_MESSAGES", 4)
    sink = Slow()
    outputs = Outputs([(sink, "slow", "x")], live=live)
    for number in range(100):
        outputs.chunk(chunk(number))
    outputs.close()
    assert (len(sink.messages) < 100) is lost
    assert (outputs.reports()[0].dropped > 0) is lost


def test_a_sink_that_hangs_is_waited_for_once() -> None:
    held = Held()
    queued = Queued(held, capacity=1, deadline_seconds=0.01, patience_seconds=0.05)
    waits: list[float | None] = []
    real = queued._changed.wait
    queued._changed.wait = lambda timeout=None: (waits.append(timeout), real(timeout))[1]  # type: ignore[method-assign]
    queued.chunk(chunk(0))
    assert held.entered.wait(WAIT_SECONDS)
    for number in range(1, 50):
        queued.chunk(chunk(number))
    assert queued.dropped["chunk"] == 48
    assert queued._patient is False
    held.gate.set()
    queued.close()
    assert held.closed.wait(WAIT_SECONDS)
    assert sum(timeout is not None for timeout in waits) <= 3  # not once a message


@pytest.mark.parametrize(("live", "closed"), [(False, True), (True, False)])
def test_the_end_of_a_recording_waits_too(live: bool, closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs_module, "DEADLINE_SECONDS", 0.01)

    class SlowEnd(Slow):
        def close(self) -> None:
            if live:
                assert gate.wait(WAIT_SECONDS)
            else:
                threading.Event().wait(0.1)  # ten times what sound that is live would get
            super().close()
            ended.append(True)

    ended: list[bool] = []
    gate, sink = threading.Event(), SlowEnd()
    outputs = Outputs([(sink, "slow", "x")], live=live)
    outputs.close()
    assert (ended != []) is closed
    assert outputs.closing_seconds == (0.01 if live else outputs_module.RECORDING_PATIENCE_SECONDS)
    gate.set()
