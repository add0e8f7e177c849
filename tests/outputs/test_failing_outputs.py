"""Outputs that fail change nothing of what is heard."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import numpy as np
import pytest

from stream.capture.source import ArraySource
from stream.classifier import StreamClassifier
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import TryAgain
from stream.inference.session import Model
from stream.messages import Event, Result
from stream.outputs.catalogue import output_classes
from stream.outputs.outputs import Outputs
from stream.outputs.queued import EVERYTHING, Want
from stream.runner import run
from tests.support.sinks import Collected
from tests.support.sounds import make
from tests.support.toy_models import toy_bytes

RULES = DetectorSpec(default=ClassRule(threshold=0.3, min_on=0.03, min_off=0.05))


class Plain:
    """An output of nobody's, which wants everything."""

    OPTIONS: ClassVar = ()
    WANTS: ClassVar[frozenset[Want]] = EVERYTHING
    WRITES_SOUND = False


def failing(kind: type, way: str, ended: threading.Event) -> Any:
    """An output of this class, all of whose methods raise, ask to try again, or hang until the test is over."""

    def fail(*_: Any) -> Any:
        if way == "hangs":
            ended.wait(60)
        elif way == "tries again":
            raise TryAgain("nobody is there")
        else:
            raise OSError("broken")

    broken = type(
        f"Broken{kind.__name__}", (kind,), dict.fromkeys(("chunk", "result", "status", "close"), fail)
    )
    if way == "raises":  # those that the caller's own thread calls
        broken.hurry = broken.amended = fail  # type: ignore[attr-defined]
    else:
        broken.hurry = lambda _: None  # type: ignore[attr-defined]
        broken.amended = lambda _, report: report  # type: ignore[attr-defined]
    made = broken.__new__(broken)  # without its constructor, which would open what works
    made.history_seconds = 1.0
    return made


def heard(results: list[Result]) -> tuple[list[np.ndarray], list[Event]]:
    return [result.probs for result in results], [event for result in results for event in result.events]


@pytest.mark.parametrize("way", ["raises", "tries again", "hangs"])
def test_scores_and_events_are_the_same_to_the_bit(way: str) -> None:
    model = Model(toy_bytes())
    sound = make("speech", 16000, 4.0)

    def listen(*sinks: Any) -> list[Result]:
        kept = Collected()
        run(ArraySource(sound, 16000, block_samples=160), StreamClassifier(model, RULES), [*sinks, kept])
        return kept.of("result")

    ended = threading.Event()
    kinds = [*output_classes().values(), Plain]
    outputs = Outputs([(failing(kind, way, ended), kind.__name__, "nowhere") for kind in kinds])
    try:
        with_outputs = listen(outputs)
        reports = outputs.reports()
    finally:
        ended.set()
    alone = listen()
    (got, events), (want, want_events) = heard(with_outputs), heard(alone)
    assert events == want_events
    assert len(events) > 4
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(reports) == len(kinds)
    for report in reports:
        assert report.delivered == 0
        assert report.errors + report.dropped + report.waiting > 0, report
