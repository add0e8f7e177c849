"""What sources of a station write: each its own, under its own name, and all of them into one history."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import soundfile

from stream.logbook.reader import HistoryReader
from tests.support.command import wait_for
from tests.support.sounds import demo
from tests.support.stations import Watch, reader, spec, station, wait_for_state

LOSING = "sim:noise?length=4s&seed={}&unplug@1s&for=1500ms&xrun@3s&n=400"


def test_each_source_writes_its_own_lines_and_all_one_history(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text(
        f"""
        threshold = 0.3
        fast = true
        history = "{tmp_path}/station.db"
        jsonl = "{tmp_path}/{{source}}.jsonl"
        onsets = true
        [[source]]
        name = "door"
        input = "{LOSING.format(1)}"
        [[source]]
        name = "yard"
        input = "{LOSING.format(2)}"
        threshold = 0.45
        [[source]]
        name = "gone"
        input = "{tmp_path}/gone.wav"
        """
    )
    with station() as (made, _):
        watch = Watch(made.hub)
        reloaded = made.replace_sources(reader().read(str(file)).sources)
        assert reloaded.added == ("door", "yard", "gone")
        for name in ("door", "yard"):
            wait_for_state(made, name, "ended")
        wait_for(lambda: made.source("gone").glance().restarts > 0, "another try")
        assert made.history == f"{tmp_path}/station.db"
    watch.joined()
    with HistoryReader(tmp_path / "station.db") as history:
        assert {run.source for run in history.runs} == {"door", "yard"}
        kept = Counter(event.run.source for event in history.events())
    for name in ("door", "yard"):
        lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        assert {line["source"] for line in lines} == {name}
        told = [json.loads(m.json) for m in watch.messages if m.source == name and m.kind in ("event", "gap")]
        wanted = ("onset", "event", "gap")
        assert [line for line in lines if line["type"] in wanted] == told
        assert kept[name] == sum(line["type"] == "event" for line in lines) > 0
    assert not (tmp_path / "gone.jsonl").exists()


def test_many_sources_at_once_lose_nothing_in_one_history(tmp_path: Path) -> None:
    names = [f"source {number}" for number in range(20)]
    history = str(tmp_path / "station.db")
    asked = [
        spec(name, f"sim:noise?length=5s&seed={number}", fast=True, history=history, threshold=0.3)
        for number, name in enumerate(names)
    ]
    with station(asked) as (made, heard):
        for name in names:
            wait_for_state(made, name, "ended")
    with HistoryReader(history) as kept:
        assert Counter(run.source for run in kept.runs) == Counter(names)
        events = Counter(event.run.source for event in kept.events())
        minutes = {minute.run.source: minute.heard for minute in kept.minutes()}
    for name in names:
        results = heard.runs[name][0]
        assert events[name] == sum(event.offset is not None for result in results for event in result.events)
        rows = sum(len(result.scores) for result in results)
        assert round(minutes[name], 3) == round(rows * results[0].scores.hop / 16000, 3)


def test_clips_of_sources_lie_in_their_own_folders(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    soundfile.write(path, demo(16_000)[: 8 * 16_000], 16_000)
    table = {"fast": True, "threshold": 0.3, "clips": f"{tmp_path}/{{source}}", "post-roll": 0.1}
    with station([spec(name, str(path), **table) for name in ("a", "b")]) as (made, heard):
        for name in ("a", "b"):
            wait_for_state(made, name, "ended")
    ended = [event for result in heard.runs["a"][0] for event in result.events if event.offset is not None]
    clips = {name: list((tmp_path / name).rglob("*.flac")) for name in ("a", "b")}
    assert len(clips["a"]) == len(clips["b"]) == len(ended) > 0
