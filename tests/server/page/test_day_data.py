"""A day of a history as the page gets it: the figures of the report, in seconds since midnight."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest

from stream.cli.models import load_model
from stream.logbook.reader import HistoryReader
from stream.messages import Chunk, Event
from stream.outputs.history import History
from stream.report.days import Day
from stream.report.figures import read_figures
from stream.server.access.access import Access
from stream.server.http.app import make_app
from stream.server.page import day_data
from stream.server.page.day_data import read_day
from stream.server.refusals import Refused
from stream.server.station import Station
from tests.support.served import client_of
from tests.support.simulated_history import HOP, LABELS, NOON, RATE, context, result, rows
from tests.support.stations import spec

LATER = NOON + 7200


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> str:
    """From its beginning on an hour heard, with an event in each half."""
    path = str(tmp_path_factory.mktemp("day") / "heard.sqlite")
    book = History(context(), history=path, history_keep=None)
    for minute in range(60):
        start = minute * 60 * RATE
        probs = np.zeros((60 * RATE // HOP, len(LABELS)), np.float32)
        end = start + 60 * RATE
        events = []
        if minute in (10, 40):
            events = [
                Event(minute, LABELS[minute // 40], start, start + 5 * RATE, 0.9, 0.8, RATE, start + 6 * RATE)
            ]
        book.chunk(Chunk(np.full(60 * RATE, 0.1, np.float32), start, RATE, 0.0))
        book.result(result(rows(start, probs), end, *events, captured_at=end / RATE))
    book.close()
    return path


def test_a_day_has_the_figures_of_the_report(history: str) -> None:
    with HistoryReader(history) as reader:
        run = reader.runs[0]
        day = Day.of(datetime.fromtimestamp(run.started).date())
        want = read_figures(reader, [day], None, LATER).days[0]
    got = read_day(history, day.date.isoformat(), "", LATER)
    msgspec.json.encode(got)
    assert got["sources"] == ["kitchen"]
    assert got["labels"] == list(LABELS)
    assert len(got["hours"]) == len(want.hours)
    assert [hour["heard"] for hour in got["hours"]] == [round(hour.heard, 1) for hour in want.hours]
    assert got["counts"] == {label: want.total.events[label] for label in LABELS}
    assert sum(got["counts"].values()) == len(got["events"]) == 2
    for event, heard in zip(got["events"], want.events, strict=True):
        assert event["onset"] == pytest.approx(heard.onset - day.start, abs=1e-3)
        assert event["seconds"] == pytest.approx(5.0, abs=1e-3)
        assert event["index"] == LABELS.index(heard.label)
        assert event["clip"] is None
    heard_minutes = sum(band["end"] - band["start"] for band in got["bands"] if not band["lost"])
    assert heard_minutes == pytest.approx(day.seconds - want.total.heard, abs=120)
    assert len(got["level"]["mean"]) * got["level"]["step"] == pytest.approx(day.seconds, abs=600)
    assert not got["empty"]


def test_a_day_without_anything_and_the_days_around_it(history: str) -> None:
    got = read_day(history, "2001-02-28", "", NOON)
    assert got["empty"]
    assert (got["previous"], got["next"]) == ("2001-02-27", "2001-03-01")
    assert read_day(history, "today", "", NOON)["next"] is None


@pytest.mark.parametrize(
    ("day", "source", "code"),
    [("2001-02-30", "", "invalid_day"), ("heute", "", "invalid_day"), ("today", "attic", "unknown_source")],
)
def test_what_is_not_there_is_refused(history: str, day: str, source: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read_day(history, day, source, NOON)
    assert refused.value.code == code


def test_of_very_many_events_the_newest_are_sent(history: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_data, "MOST_EVENTS", 1)
    with HistoryReader(history) as reader:
        run = reader.runs[0]
    day = datetime.fromtimestamp(run.started).date()
    got = read_day(history, day.isoformat(), "", LATER)
    assert (len(got["events"]), got["left_out"], got["events"][0]["id"]) == (1, 1, 40)


def test_over_http(history: str, tmp_path: Path) -> None:
    model = load_model("small", "cpu")
    silent = spec("attic", "sim:silence?length=1s", history=history)
    with client_of(make_app(Station([silent], {"small": model}, load=lambda *_: model), Access())) as client:
        assert client.get("/page/days/2001-01-01").json()["empty"]
        refusal(client, "/page/days/soon", 400, "invalid_day")
        refusal(client, "/page/days/today?what=1", 400, "invalid_parameter")
        refusal(client, "/page/sources/nobody/live", 404, "unknown_source")
        refusal(client, "/page/sources/nobody/clips/1", 404, "unknown_source")
        refusal(client, "/page/sources/attic/clips/1", 404, "unknown_clip")
    with client_of(make_app(Station((), {"small": model}, load=lambda *_: model), Access())) as client:
        refusal(client, "/page/days/today", 404, "no_history")


def refusal(client: httpx.Client, path: str, status: int, code: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
