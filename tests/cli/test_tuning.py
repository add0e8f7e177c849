"""What a person changes while listening: at which sample it holds, who is told, and by real keys in a real terminal."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from stream import Model, StreamClassifier
from stream.capture.source import ArraySource
from stream.logbook.reader import HistoryReader
from stream.messages import Chunk, Event, Result, Status
from stream.outputs.marks import Marks
from stream.runner import run
from stream.telemetry import Telemetry
from stream.tuning import Tuning
from tests.support.command import ROOT, stream_classify
from tests.support.sinks import Collected
from tests.support.terminal import Terminal

MOMENTS = {
    100: ("move", "speech", 4),
    150: ("mute", "music", 0),
    160: ("mark", "", 0),
    300: ("mute", "music", 0),
}


class Person(Collected):
    """Presses keys after so many chunks."""

    tuning: Tuning

    def chunk(self, chunk: Chunk) -> None:
        super().chunk(chunk)
        key, label, steps = MOMENTS.get(len(self.of("chunk")), ("", "", 0))
        if key == "move":
            self.tuning.move(label, steps)
        elif key == "mute":
            self.tuning.mute(label)
        elif key == "mark":
            self.tuning.mark()


def listened(block_samples: int, moments: bool) -> tuple[list[Event], list[Status], Telemetry]:
    samples, rate = soundfile.read(ROOT / "assets/demo.ogg", dtype="float32")
    source = ArraySource(samples, rate, block_samples=block_samples)
    classifier = StreamClassifier(Model.bundled("small"))
    telemetry = Telemetry(classifier.model.card, source.info(), classifier.detector_spec)
    told, person = Collected(), Person()
    person.tuning = Tuning(classifier, telemetry, [told], Marks())
    run(source, classifier, [person.tuning, *([person] if moments else []), told, telemetry])
    return [event for result in told.of("result") for event in result.events], told.of("status"), telemetry


def test_a_change_holds_from_the_sample_that_is_told() -> None:
    events, statuses, telemetry = listened(1000, True)
    rules = Model.bundled("small").card.detector
    speech = round(round(rules.rule("speech").threshold / 0.05) * 0.05 + 4 * 0.05, 2)
    music = rules.rule("music").threshold
    assert [(status.sample, status.detail) for status in statuses] == [
        (100 * 1000, f"speech: threshold {speech:.2f}"),
        (150 * 1000, "music: muted"),
        (160 * 1000, "marked"),
        (300 * 1000, f"music: threshold {music:.2f}"),
    ]
    assert all((status.state, status.by) == ("listening", "person") for status in statuses)
    shown = dict(zip(telemetry.read().labels, telemetry.read().thresholds.tolist(), strict=True))
    assert shown["speech"] == pytest.approx(speech)

    # The same changes at those samples, by hand and in other chunks.
    samples, rate = soundfile.read(ROOT / "assets/demo.ogg", dtype="float32")
    again = StreamClassifier(Model.bundled("small"))
    found: list[Event] = []
    changes: dict[int, dict[str, Any]] = {
        100_000: {"speech": replace(rules.rule("speech"), threshold=speech, peak_threshold=None)},
        150_000: {"music": replace(rules.rule("music"), enabled=False)},
        300_000: {"music": rules.rule("music")},
    }
    peak = rules.rule("speech").peak_threshold
    if peak is not None:
        rule = replace(rules.rule("speech"), threshold=speech, peak_threshold=max(peak, speech))
        changes[100_000]["speech"] = rule
    cuts = sorted({0, 77_777, *changes, len(samples)})
    for begin, end in itertools.pairwise(cuts):
        if begin in changes:
            spec = again.detector_spec
            again.change_rules(replace(spec, classes=spec.classes | changes[begin]))
        found += again.push(Chunk(samples[begin:end], begin, rate)).events
    found += again.flush().events
    key = [(event.id, event.offset is None) for event in events]
    assert sorted(events, key=lambda e: (e.decided, e.id)) == sorted(found, key=lambda e: (e.decided, e.id))
    assert len(key) == len(set(key)) > 4
    assert listened(1000, False)[0] != events


def test_what_is_asked_for_behind_the_last_chunk_is_told_all_the_same() -> None:
    class Last(Collected):
        """Presses a key when the stream has ended: after the last result, before anything is closed."""

        tuning: Tuning
        results = 0

        def result(self, result: Result) -> None:
            self.results += 1
            if self.results == 11:  # ten chunks, and then the end
                self.tuning.mark()
                self.tuning.move("speech", 1)

    source = ArraySource(np.zeros(16000, np.float32), 16000, block_samples=1600)
    classifier, told, person = StreamClassifier(Model.bundled("small")), Collected(), Last()
    person.tuning = Tuning(classifier, None, [told], Marks())
    run(source, classifier, [person.tuning, told, person])
    spoken = f"speech: threshold {person.tuning.thresholds()['speech']:.2f}"
    assert [(status.sample, status.detail) for status in told.of("status")] == [
        (16000, "marked"),
        (16000, spoken),
    ]
    assert told.closings == 1


def test_thresholds_stay_within_bounds_and_unreported_classes_as_they_are() -> None:
    classifier = StreamClassifier(Model.bundled("small"))
    source = ArraySource(soundfile.read(ROOT / "assets/demo.ogg", dtype="float32")[0][:100], 16000)
    tuning = Tuning(
        classifier, Telemetry(classifier.model.card, source.info(), classifier.detector_spec), [], Marks()
    )
    assert [tuning.move("speech", 1) for _ in range(20)][-1] == "speech: threshold 0.95"
    assert [tuning.move("speech", -1) for _ in range(30)][-1] == "speech: threshold 0.05"
    assert tuning.move("owl", 1) == "owl is not reported"
    assert tuning.mute("owl") == "owl is not reported"


def test_keys_in_a_terminal(tmp_path: Path) -> None:
    lines = tmp_path / "events.jsonl"
    with Terminal(80, 24) as terminal:
        terminal.type(f"cd {tmp_path} && clear")
        terminal.type(
            f"TERM=xterm-256color OMP_NUM_THREADS=1 PYTHONPATH={ROOT} {sys.executable} -m stream --model small "
            f"--input 'sim:silence?length=600s' --jsonl {lines} --history h.sqlite --record session"
        )
        terminal.wait_for(lambda text: "? keys" in text)
        terminal.press("?")
        terminal.wait_for(lambda text: "up/down class" in text)
        terminal.press("Down", "Right")
        terminal.wait_for(lambda text: "speech: threshold" in text)
        terminal.press("m")
        terminal.wait_for(lambda text: "speech: muted" in text)
        terminal.press("k")
        terminal.wait_for(lambda text: "marked" in text)
        terminal.press("p")
        terminal.wait_for(lambda text: "picture paused, listening goes on" in text)
        terminal.press("q")
        terminal.wait_for_shell()
    details = [json.loads(line).get("detail") for line in lines.read_text().splitlines()]
    assert [detail.split(" 0.")[0] for detail in details if detail] == [
        "speech: threshold",
        "speech: muted",
        "marked",
    ]
    again = stream_classify("replay", "session", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    with HistoryReader(tmp_path / "h.sqlite") as history:
        assert [mark.text for mark in history.marks()] == ["by a key"]
