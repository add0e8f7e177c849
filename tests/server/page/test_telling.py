"""What a page is told of a source: everything once, then what is new, and nothing twice."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import numpy as np

from stream.dashboard.words import figure_words
from stream.messages import Event
from stream.server.page.moments import LOWEST_DB, NO_SPECTRUM
from stream.server.page.telling import STILL_SECONDS, GlanceTelling, SourceTelling, glance
from stream.telemetry.telemetry import SETTLING_COLUMNS
from tests.support.watched import HOP, LABELS, RATE, Watched

COLUMN = RATE // 10  # samples


def watched(rows: int = 100) -> Watched:
    made = Watched()
    made.push(np.linspace(0, 0.9, rows * len(LABELS)).reshape(rows, len(LABELS)))
    return made


def tell(telling: SourceTelling, each: Watched, now: float = 0.0, epoch: str = "one") -> dict[str, Any]:
    told = dict(telling.tell(each.telemetry.read(), epoch, now, {"rules": True}))
    msgspec.json.encode(told)  # it is JSON
    return told


def test_all_is_told_at_first_and_then_what_is_new() -> None:
    each, telling = watched(100), SourceTelling("yard", lambda event: False)
    told = tell(telling, each)
    assert told["source"]["name"] == "yard"
    assert told["source"]["labels"] == list(LABELS)
    assert told["source"]["rules"] is True
    moment = told["moment"]
    readings = each.telemetry.read()
    assert (moment["first"], moment["newest"]) == (0, readings.newest_column)
    assert len(moment["probs"]) == moment["newest"] + 1
    np.testing.assert_allclose(moment["probs"][-1], readings.timeline[:, -1], atol=5e-5)
    assert tell(telling, each) == {}, "nothing is new"
    assert list(tell(telling, each, STILL_SECONDS)) == ["moment"], "but words say how long it has lasted"
    before = moment["newest"]
    each.push(np.full((50, len(LABELS)), 0.5))
    again = tell(telling, each, 2.0)
    assert "source" not in again
    assert again["moment"]["first"] == before - SETTLING_COLUMNS + 1
    assert again["moment"]["probs"][-1] == [0.5] * len(LABELS)


def test_a_spectrum_is_half_decibels() -> None:
    each, telling = watched(), SourceTelling("yard", lambda event: False)
    moment = tell(telling, each)["moment"]
    readings = each.telemetry.read()
    sent = np.frombuffer(base64.b64decode(moment["spectrum"]), np.uint8).reshape(-1, len(readings.centres))
    want = readings.spectrum[:, -len(sent) :].T
    known = ~np.isnan(want)
    assert known.any()
    assert (sent[~known] == NO_SPECTRUM).all()
    inside = known & (want > LOWEST_DB) & (want < LOWEST_DB + NO_SPECTRUM / 2 - 1)
    np.testing.assert_allclose(sent[inside] / 2 + LOWEST_DB, want[inside], atol=0.251)


def test_an_event_is_told_when_it_begins_goes_on_ends_and_has_its_sound() -> None:
    kept: set[int] = set()
    each, telling = watched(), SourceTelling("a b", kept.__contains__)
    tell(telling, each)
    onset = Event(7, "dog bark", 4 * COLUMN, None, 0.7, 0.6, RATE, 6 * COLUMN)
    each.push(np.full((10, len(LABELS)), 0.6), events=(onset,))
    (told,) = tell(telling, each, 1.0)["moment"]["events"]
    assert (told["id"], told["index"], told["onset"], told["offset"], told["clip"]) == (7, 1, 4.0, None, None)
    each.push(np.full((10, len(LABELS)), 0.6))
    (told,) = tell(telling, each, 2.0)["moment"]["events"]
    assert told["offset"] is None, "it is longer by now"
    whole = msgspec.structs.replace(onset, offset=9 * COLUMN, peak=0.8)
    each.push(np.full((10, len(LABELS)), 0.1), events=(whole,))
    (told,) = tell(telling, each, 3.0)["moment"]["events"]
    assert (told["offset"], told["peak"], told["length"]) == (9.0, 0.8, "500 ms")
    each.push(np.full((10, len(LABELS)), 0.1))
    assert tell(telling, each, 4.0)["moment"]["events"] == []
    kept.add(7)
    each.push(np.full((10, len(LABELS)), 0.1))
    (told,) = tell(telling, each, 5.0)["moment"]["events"]
    assert told["clip"] == "page/sources/a%20b/clips/7"


def test_another_run_is_told_from_its_beginning() -> None:
    telling = SourceTelling("yard", lambda event: False)
    tell(telling, watched(200))
    told = tell(telling, watched(30), 1.0, epoch="two")
    assert told["source"]["epoch"] == "two"
    assert told["moment"]["first"] == 0


def test_figures_are_the_words_of_the_terminal() -> None:
    each = watched()
    words = [(name, value.strip(), bad) for name, value, bad in figure_words(each.telemetry.read())]
    moment = tell(SourceTelling("yard", lambda event: False), each)["moment"]
    assert [tuple(figure.values()) for figure in moment["figures"]] == words
    among = tell(SourceTelling("yard", lambda event: False, alone=False), each)["moment"]["figures"]
    assert "computing" not in {figure["name"] for figure in among}
    assert {"behind"} < {figure["name"] for figure in moment["figures"]}


def test_a_glance_has_the_last_event_and_those_of_half_a_minute() -> None:
    each = watched()
    assert glance("yard", each.telemetry.read())["last"] is None
    events = (
        Event(0, "speech", 2 * COLUMN, 4 * COLUMN, 0.9, 0.8, RATE, 5 * COLUMN),
        Event(1, "dog bark", 6 * COLUMN, None, 0.9, 0.8, RATE, 7 * COLUMN),
    )
    each.push(np.full((HOP, len(LABELS)), 0.2), events=events)
    told = glance("yard", each.telemetry.read())
    assert told["last"]["label"] == "dog bark"
    assert [(index, ago > 0, until > 0) for index, ago, until in told["recent"]] == [
        (1, True, False),
        (0, True, True),
    ]


def test_a_source_that_has_not_changed_is_told_again_after_a_while() -> None:
    telling = GlanceTelling()
    assert telling.is_due("yard", 1, 0.0)
    assert not telling.is_due("yard", 1, 0.5)
    assert telling.is_due("yard", 2, 0.5)
    assert telling.is_due("yard", 2, 0.5 + STILL_SECONDS)
    assert telling.is_due("attic", 2, 0.5)
