"""What days come to, and how it is shown: text, page, list; with hostile names, and in a real browser."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from stream.errors import UsageError
from stream.logbook.reader import HistoryReader
from stream.messages import Chunk, Event, Gap, SourceInfo
from stream.outputs.history import History
from stream.outputs.records import Origin
from stream.report.as_data import as_data
from stream.report.day_text import DayText
from stream.report.days import Day, chosen_days
from stream.report.event_list import event_csv
from stream.report.false_alarms import FalseAlarms, false_alarms
from stream.report.figures import Figures, read_figures
from stream.report.page import page
from stream.report.verdicts import Verdict, read_verdicts
from tests.support.command import DEADLINE_SECONDS, running, start, stream_classify
from tests.support.simulated_history import HOP, LABELS, NOON, RATE, context, result, rows

MIDNIGHT = NOON  # of UTC, which tests here use
HOSTILE = ("<script>alert(1)</script>", '=HYPERLINK("x")', "bark\x1b[31m\u202e'\"&")


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    import time

    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def event(number: int, at: float, seconds: float, label: str = "knock") -> list[Event]:
    """Onset and end, ``at`` seconds of the stream."""
    onset, offset = round(at * RATE), round((at + seconds) * RATE)
    fields: dict[str, Any] = {"id": number, "label": label, "onset": onset, "sample_rate": RATE}
    begun = Event(**fields, offset=None, peak=0.8, mean=0.7, decided=onset + 100)
    return [begun, Event(**fields, offset=offset, peak=0.8, mean=0.7, decided=offset + 100)]


def write(path: Path, hours: float = 3.0, begin: float = MIDNIGHT + 6 * 3600, **changes: Any) -> Path:
    """From six o'clock on: a knock every half hour, one bark of ten seconds, a gap of ten minutes at seven."""
    labels = changes.get("labels", LABELS)
    history = History(context(wall=lambda: begin, **changes), str(path))
    for minute in range(round(60 * hours)):
        at, end = 60 * minute, 60 * (minute + 1)
        events = event(minute, at + 20, 2, labels[1]) if minute % 30 == 0 else []
        events += event(minute, at + 5, 10, labels[0]) if minute == 45 else []
        gaps = (Gap(at * RATE - 600 * RATE, 600 * RATE, RATE),) if minute == 70 else ()
        if 60 <= minute < 70:
            continue
        history.chunk(Chunk(np.full(60 * RATE, 0.01, np.float32), at * RATE, RATE, float(end)))
        probs = np.zeros((600, 3), np.float32)
        if events:
            probs[200:220, 1] = 0.8
        scores = rows(at * RATE, probs)
        history.result(
            result(msgspec_labels(scores, labels), end * RATE, *events, captured_at=float(end), gaps=gaps)
        )
    history.mark(begin + 600, "supper")
    history.close()
    return path


def msgspec_labels(scores: Any, labels: tuple[str, ...]) -> Any:
    import msgspec

    return msgspec.structs.replace(scores, labels=labels)


def figures(path: Path, days: list[Day] | None = None, source: str | None = None) -> Figures:
    now = MIDNIGHT + 20 * 3600
    with HistoryReader(path, now) as history:
        return read_figures(history, days or chosen_days(None, None, now), source, now)


def test_a_day_comes_to_what_was_written(tmp_path: Path) -> None:
    found = figures(write(tmp_path / "h.sqlite"))
    (day,) = found.days
    assert found.labels == list(LABELS)
    assert found.total.events == {"knock": 5, "bark": 1}
    assert found.total.heard == pytest.approx(170 * 60)
    assert found.total.lost == pytest.approx(600)
    assert found.total.seconds["knock"] == pytest.approx(
        12
    )  # the bark's minute has two seconds of knocking too
    assert found.total.mean_dbfs == pytest.approx(-40, abs=0.01)
    assert [(hour.name, hour.events.total(), round(hour.heard)) for hour in day.hours][5:10] == [
        ("05", 0, 0), ("06", 3, 3600), ("07", 1, 3000), ("08", 2, 3600), ("09", 0, 0),
    ]  # fmt: skip
    assert len(day.heard) == 1440
    assert np.flatnonzero(day.heard).tolist() == [*range(360, 420), *range(430, 540)]
    assert [gap.seconds for gap in day.gaps] == [600]


def test_an_event_over_midnight_is_in_both_days_and_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(wall=lambda: MIDNIGHT - 60), str(path))
    history.result(result(rows(0, np.zeros((1200, 3))), 120 * RATE, *event(0, 50, 20), captured_at=120.0))
    history.close()
    found = figures(path, chosen_days(None, "2d", MIDNIGHT + 3600))
    assert [len(day.events) for day in found.days] == [1, 1]
    assert [day.total.events["knock"] for day in found.days] == [1, 0]
    assert found.total.events.total() == len(found.events) == 1


def test_sources_together_and_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "h.sqlite")
    write(path, hours=1, origin=Origin("hall", "toy", "ab" * 32), source=SourceInfo("hall", RATE, live=True))
    assert figures(path).total.events["knock"] == 7
    assert figures(path).sources == ["hall", "kitchen"]
    assert figures(path, source="hall").total.events == {"knock": 2, "bark": 1}
    with pytest.raises(UsageError, match="it has hall, kitchen"):
        figures(path, source="attic")


def alarms(path: Path, verdicts: dict[Any, Verdict] | None = None) -> dict[str, FalseAlarms]:
    return {each.label: each for each in false_alarms(figures(path), verdicts or {})}


def promising(rates: dict[str, float]) -> dict[str, Any]:
    """Of a run whose card promises these rates."""
    from tests.support.toy_models import toy_card

    card = toy_card(
        labels=LABELS,
        detector=context().detector,
        provenance={"calibration": {"promise": {"at_most_per_hour": rates[""]}, "classes": {}}},
    )
    return {"card": card}


def test_promised_against_observed(tmp_path: Path) -> None:
    """The bounds are those of tables of the Poisson distribution: 0 events, at most 3.00; 3: 0.82 to 7.75."""
    path = write(tmp_path / "h.sqlite", hours=5, **promising({"": 1.0}))
    hours = figures(path).total.heard / 3600
    unknown = alarms(path)[""]
    assert (unknown.promised, unknown.observed, unknown.standing) == (1.0, None, "open")
    assert (unknown.events, unknown.reviewed) == (10, 0)
    with HistoryReader(path) as history:
        keys = [(e.run.id, e.number, e.label) for e in history.events()]
    right: dict[Any, Verdict] = dict.fromkeys(keys, "right")
    all_right = alarms(path, right)[""]
    assert (all_right.observed, all_right.at_least, all_right.standing) == (0.0, 0.0, "kept")
    assert all_right.at_most == pytest.approx(3.00 / hours, rel=0.01)
    some: dict[Any, Verdict] = {**right, **dict.fromkeys(keys[:3], "wrong")}
    three = alarms(path, some)[""]
    assert three.observed == pytest.approx(3 / hours)
    assert three.at_least == pytest.approx(0.82 / hours, rel=0.01)
    assert three.at_most == pytest.approx(7.75 / hours, rel=0.01)
    assert three.standing == "open"
    assert alarms(path, dict.fromkeys(keys, "wrong"))[""].standing == "broken"
    half: dict[Any, Verdict] = dict.fromkeys(keys[:5], "right")
    assert alarms(path, half)[""].at_most == pytest.approx(10.51 / hours, rel=0.01)  # 5 not judged


def test_runs_that_promise_different_things_promise_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "h.sqlite", hours=1, **promising({"": 1.0}))
    write(path, hours=1, begin=MIDNIGHT + 12 * 3600, **promising({"": 2.0}))
    assert alarms(path)[""].promised is None


def test_without_listening_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    History(context(), str(path)).close()
    found = alarms(path)[""]
    assert (found.observed, found.at_most, found.standing) == (None, math.inf, "")


def test_verdicts_are_read_from_the_folder_of_the_clips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "h.sqlite", hours=1)
    clips = tmp_path / "clips"
    clips.mkdir()
    import sqlite3

    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET clip = ? || number || label || '.flac'", (f"{clips}/",))
    connection.close()
    lines = [
        "filename,label,verdict",
        "0knock.flac,,wrong",
        "30knock.flac,bark,other",
        "45bark.flac,bark,right",
    ]
    reviews = clips / "review.csv"
    reviews.write_text("\ufeff" + "\n".join([*lines, "gone.flac,,wrong", ""]))
    found = read_verdicts(figures(path).events)
    assert {key[1:]: verdict for key, verdict in found.items()} == {
        (0, "knock"): "wrong",
        (30, "knock"): "wrong",
        (45, "bark"): "right",
    }
    reviews.write_bytes(b"\xff\x00,\n\x00")
    assert read_verdicts(figures(path).events) == {}
    reviews.unlink()
    assert read_verdicts(figures(path).events) == {}
    reviews.mkdir()
    assert read_verdicts(figures(path).events) == {}
    assert caplog.text.count("not counted") == 2


def shown(found: Figures, width: int = 80, **options: Any) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, **options)
    DayText(console).show(found, false_alarms(found, {}))
    return out.getvalue()


def test_the_text_fits_80_columns_and_says_what_was_heard(tmp_path: Path) -> None:
    text = shown(figures(write(tmp_path / "h.sqlite", **promising({"": 1.0}))))
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    words = text.split()
    assert "21 September 2026" in text
    assert "listened 2 h 50 min of 24 h, 10 min lost" in text
    for line in (
        "knock 5 12 s 2.0 s 0.80 2 (06 h)",
        "06 60 min -40 dBFS 1 2 ·",
        "all 1.0 – 0 4.2 0 of 6 open",
    ):
        assert any(" ".join(each.split()) == line for each in text.splitlines()), line
    assert "siren" in words


def test_the_timeline_is_drawn_where_it_was(tmp_path: Path) -> None:
    lines = shown(figures(write(tmp_path / "h.sqlite"))).splitlines()
    knock = next(line for line in lines if line.startswith("knock ") and "▁" in line)
    assert knock[15:] == " " * 12 + "▁▁·▁▁▁" + " " * (len(knock) - 33)
    bark = next(line for line in lines if line.startswith("bark ") and "·" in line)
    assert bark.rstrip()[15:] == " " * 12 + "······"


@pytest.mark.parametrize("columns", ["80", "50"])
def test_the_text_does_without_unicode_and_colour(columns: str, tmp_path: Path) -> None:
    path = write(tmp_path / "h.sqlite")
    words = ["report", "--history", str(path), "--day", "2026-09-21"]
    done = stream_classify(*words, TZ="UTC", COLUMNS=columns, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
    assert "knock" in done.stdout


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    path = write(tmp_path / "h.sqlite", hours=0.1)
    read, written = os.pipe()
    os.close(read)
    with running(start("report", "--history", str(path), stdout=written)) as child:
        os.close(written)
        _, said = child.communicate(timeout=DEADLINE_SECONDS)
    assert (child.returncode, said) == (0, b"")


def test_several_days_are_a_table_and_days_without_data_say_so(tmp_path: Path) -> None:
    path = write(tmp_path / "h.sqlite")
    write(path, begin=MIDNIGHT - 3 * 86400 + 6 * 3600)
    found = figures(path, chosen_days(None, "5d", MIDNIGHT + 3600))
    text = shown(found)
    assert text.count("no data") == 3
    assert max(map(len, text.splitlines())) <= 80
    assert "Mon 21 Sep" in text
    assert page(found, false_alarms(found, {}), {}).count("no data") == 3
    long = shown(figures(path, chosen_days(None, "60d", MIDNIGHT + 3600)))
    assert "24 Jul to 17 Sep" in long
    assert len(long.splitlines()) < 30


def test_a_day_without_anything_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "h.sqlite")
    empty = figures(path, chosen_days("2020-01-01", None, MIDNIGHT))
    assert "nothing was recorded on this day" in shown(empty)
    assert "Nothing was recorded" in page(empty, false_alarms(empty, {}), {})


class Checked(html.parser.HTMLParser):
    """Notes every element and refuses what a page without scripts cannot have."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe", "object", "a", "base", "form"), tag
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert name not in ("href", "src", "style"), (tag, name)
            assert "url(" not in (value or "")
        if tag != "meta" and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(path: Path) -> Figures:
    origin = Origin('<b onload="x">kitchen</b>', "m</style><script>x", "ab" * 32)
    return figures(write(path, hours=1, labels=HOSTILE, origin=origin))


def test_the_page_is_whole_and_escapes_everything(tmp_path: Path) -> None:
    found = hostile(tmp_path / "h.sqlite")
    text = page(found, false_alarms(found, {}), {})
    checked = Checked()
    checked.feed(text)
    checked.close()
    assert checked.open == []
    for name in ("<script>alert(1)</script>", '<b onload="x">kitchen</b>', '=HYPERLINK("x")'):
        assert name in checked.text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "http://" not in text.replace("http-equiv", "")
    assert 'role="img"' in text
    assert "prefers-color-scheme: dark" in text


def test_the_text_and_the_list_cannot_steer_anything(tmp_path: Path) -> None:
    found = hostile(tmp_path / "h.sqlite")
    assert "\x1b" not in shown(found)
    lines = list(csv.DictReader(io.StringIO(event_csv(found, {}))))
    assert [line["label"] for line in lines] == ["'" + HOSTILE[1]] * 2 + [HOSTILE[0]]
    assert lines[0]["onset"] == "2026-09-21T06:00:20.000+00:00"
    assert lines[0]["seconds"] == "2.000"
    assert len(lines) == len(found.events)
    data = as_data(found, false_alarms(found, {}), {})
    assert json.loads(json.dumps(data))["total"]["events"] == {HOSTILE[0]: 1, HOSTILE[1]: 2}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    """Nothing is refused by its own policy, nothing overflows, every event has its bar where its time is."""
    path = write(tmp_path / "h.sqlite")
    file = tmp_path / "day.html"
    found = figures(path)
    file.write_text(page(found, false_alarms(found, {}), {}))
    words = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1100,1400",
        "--hide-scrollbars",
    ]
    done = subprocess.run(
        [*words, f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'day.png'}",
         "--enable-logging=stderr", f"file://{file}"],
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    picture = pixels(tmp_path / "day.png")
    blue, orange = np.array([9, 105, 218]), np.array([196, 86, 10])
    columns = [
        np.flatnonzero((np.abs(picture - colour) < 12).all(axis=2).any(axis=0)) for colour in (blue, orange)
    ]
    assert all(len(found) for found in columns)
    # Six to nine o'clock lies between a quarter and three eighths of the axis; the dots of the tables lie left of it.
    left, right = 16 + 116 / 1000 * 1056, 16 + 988 / 1000 * 1056
    within = [(at[at > left] - left) / (right - left) for at in columns]
    assert all(part.min() > 0.24 and part.max() < 0.38 for part in within)


def pixels(path: Path) -> Any:
    """(H, W, 3) of a picture, by the browser's own reader: rendered to raw bytes by ffmpeg."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    width = int.from_bytes(path.read_bytes()[16:20], "big")
    return np.frombuffer(raw, np.uint8).reshape(-1, width, 3).astype(np.int16)


def test_the_command_writes_all_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "h.sqlite")
    words = ["report", "--history", str(path), "--day", "2026-09-21"]
    files = ["--html", str(tmp_path / "day.html"), "--csv", str(tmp_path / "events.csv")]
    for _ in range(2):  # the second time in place of the first
        done = stream_classify(*words, *files, "--json", TZ="UTC")
        assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["days"][0]["date"] == "2026-09-21"
    assert data["total"]["events"] == {"knock": 5, "bark": 1}
    assert (tmp_path / "day.html").read_text().startswith("<!doctype html>")
    assert len((tmp_path / "events.csv").read_text().splitlines()) == 7
    listed = stream_classify(*words, "--csv", "-", TZ="UTC")
    assert listed.stdout == (tmp_path / "events.csv").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--history", "no.sqlite"], 7, "no such file"),
        (["--history", "text"], 7, "something else"),
        (["--history", "h.sqlite", "--day", "someday"], 2, "2026-11-26"),
        (["--history", "h.sqlite", "--last", "week"], 2, "7d"),
        (["--history", "h.sqlite", "--last", "7d", "--day", "today"], 2, "give one of them"),
        (["--history", "h.sqlite", "--source", "attic"], 2, "it has kitchen"),
        (["--history", "h.sqlite", "--html", "h.sqlite"], 7, "would be lost"),
        (["--history", "h.sqlite", "--csv", "text"], 7, "would be lost"),
        (["--history", "h.sqlite", "--html", "text/day.html"], 7, "cannot be written"),
        (["--history", "h.sqlite", "--csv", "-", "--json"], 2, "standard output"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], code: int, said: str, tmp_path: Path) -> None:
    write(tmp_path / "h.sqlite", hours=0.1)
    (tmp_path / "text").write_text("dear diary")
    done = stream_classify("report", *words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 1
    assert (tmp_path / "text").read_text() == "dear diary"
    assert HOP
