"""Sources of a station: each as if it were alone, whatever becomes of the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream.capture.source import ArraySource
from stream.classifier import StreamClassifier
from stream.errors import ModelError, UsageError
from stream.messages import Chunk
from stream.outputs.marks import Marks
from stream.outputs.records import Origin
from stream.runner import run
from stream.server.station import AttachedRun, HubSink, source_run
from stream.telemetry import Telemetry
from stream.tuning import Tuning
from tests.support.command import wait_for
from tests.support.sounds import make
from tests.support.stations import Watch, assert_as_offline, spec, state, station, toy_model, wait_for_state

SHORT = "sim:noise?length=3s&seed=4&xrun@1s&n=700&nan@2s&for=100ms"
ENDLESS = "sim:tone?loop=forever"


def test_a_source_that_ends_has_ended_and_was_heard_as_alone() -> None:
    asked = spec("short", SHORT, fast=True)
    with station([asked]) as (made, heard):
        watch = Watch(made.hub)
        wait_for_state(made, "short", "ended")
        assert made.source("short").glance().restarts == 0
    watch.joined()
    (results,) = heard.runs["short"]
    assert_as_offline(results, asked)
    assert watch.reason == "the station stops"


def test_a_file_that_is_not_there_is_tried_again_and_heard_when_it_comes(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "late.wav"
    other = spec("other", SHORT, fast=True)
    with station([spec("late", str(path), fast=True), other]) as (made, heard):
        wait_for(lambda: made.source("late").glance().restarts >= 2, "two more tries")
        glance = made.source("late").glance()
        assert glance.state in ("waiting", "starting")
        assert "no such file" in glance.error
        soundfile.write(tmp_path / "part.wav", make("speech", 16000), 16000)
        (tmp_path / "part.wav").rename(path)
        wait_for_state(made, "late", "ended")
        wait_for_state(made, "other", "ended")
    assert_as_offline(heard.runs["late"][-1], spec("late", str(path), fast=True))
    assert_as_offline(heard.runs["other"][0], other)


def test_a_source_that_hangs_keeps_nobody_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_run, "STOP_SECONDS", 0.3)
    monkeypatch.setattr("stream.server.station.station.STOP_SECONDS", 0.3)
    hangs = threading.Event()
    asked = spec("hangs", ENDLESS)

    def open_slowly(*_: Any, **__: Any) -> Any:
        hangs.set()
        assert again.wait(20)
        raise UsageError("never mind")

    again = threading.Event()
    with station([spec("good", SHORT, fast=True)]) as (made, _):
        wait_for_state(made, "good", "ended")
        monkeypatch.setattr("stream.capture.opening.open_source", open_slowly)
        made.add_source(asked)
        assert hangs.wait(20)
        made.remove_source("hangs")
        assert list(made.sources) == ["good"]
    again.set()


def test_a_run_that_hangs_is_left_behind_and_says_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_run, "STOP_SECONDS", 0.3)
    monkeypatch.setattr("stream.server.station.station.STOP_SECONDS", 0.3)
    hangs, again = threading.Event(), threading.Event()

    class Hanging(ArraySource):
        """Gives a second of sound, hangs, and gives the rest however often it is closed."""

        def _chunks(self) -> Iterator[Chunk]:
            for chunk in super()._chunks():
                if chunk.start == 16_000:
                    hangs.set()
                    assert again.wait(20)
                yield chunk

        def close(self) -> None:
            assert again.wait(20)

    monkeypatch.setattr(
        "stream.capture.opening.open_source",
        lambda *_, **__: Hanging(make("noise", 16_000), 16_000, block_samples=1600),
    )
    with station([spec("hangs", ENDLESS, threshold=0.01)], models={"toy": toy_model()}) as (made, heard):
        watch = Watch(made.hub)
        thread = made.source("hangs")
        assert hangs.wait(20)
        made.remove_source("hangs")
        assert list(made.sources) == []
        assert made.pools["toy"].streams == 0
        wait_for(lambda: "stopped" in watch.states("hangs"), "that it stopped")
        told = len(watch.messages)
        again.set()
        results = heard.runs["hangs"][0]
        wait_for(
            lambda: any(event.offset is not None for event in results[-1].events), "the end of its events"
        )
        wait_for(lambda: not thread.is_alive(), "its end")  # type: ignore[attr-defined]
        made.add_source(spec("next", ENDLESS))
        wait_for(lambda: bool(watch.states("next")), "what comes behind all that")
        assert [message.source for message in watch.messages[told:]].count("hangs") == 0


def test_what_fails_in_the_same_way_again_and_again_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with station([spec("gone", "/nowhere/at-all.wav")]) as (made, _):
        wait_for(lambda: made.source("gone").glance().restarts >= 3, "three more tries")
    said = [record for record in caplog.records if record.levelname == "WARNING" and "gone" in record.message]
    assert len(said) == 1
    assert "no such file: /nowhere/at-all.wav" in said[0].message


def test_a_run_of_somebody_else_is_shown_and_not_changed() -> None:
    source = ArraySource(make("noise", 16_000), 16_000)
    classifier = StreamClassifier(toy_model())
    card = toy_model().card
    with station([spec("own", ENDLESS)]) as (made, _):
        watch = Watch(made.hub, kinds=["scores"])
        origin = Origin("this microphone", card.name, toy_model().sha256)
        sink = HubSink(made.hub, origin, source.info(), card, classifier.labels)
        telemetry = Telemetry(card, source.info(), classifier.detector_spec)
        tuning = Tuning(classifier, telemetry, [sink], Marks())
        made.attach(
            AttachedRun(sink, card, classifier.labels, telemetry=telemetry, tuning=tuning, listens_to="array")
        )
        assert [glance.name for glance in made.glance()] == ["this microphone", "own"]
        made.source("this microphone").place_threshold("speech", 0.66)
        summary = run(source, classifier, [tuning, telemetry, sink])
        assert classifier.detector_spec.rule("speech").threshold == 0.66
        glance = made.source("this microphone").glance()
        assert (glance.state, glance.rows, glance.input) == ("ended", summary.rows, "array")
        wait_for(lambda: len(watch.of("scores", "this microphone")) == summary.rows, "all rows")
        for change in (
            lambda: made.remove_source("this microphone"),
            lambda: made.change_source("this microphone", spec("other", ENDLESS)),
            lambda: made.add_source(spec("this microphone", ENDLESS)),
            lambda: made.replace_sources([spec("this microphone", ENDLESS)]),
        ):
            with pytest.raises(UsageError, match="source 'this microphone'"):
                change()
        assert list(made.sources) == ["this microphone", "own"]


def test_two_sources_of_one_model_share_its_pool() -> None:
    with station([spec("one", ENDLESS), spec("two", ENDLESS)], models={"toy": toy_model()}) as (made, _):
        (pool,) = made.pools.values()
        wait_for(lambda: pool.streams == 2, "both in one pool")
        made.remove_source("one")
        assert pool.streams == 1


def test_a_model_that_gives_no_probabilities_ends_its_source_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from stream.server.pool import PoolEngine

    honest = PoolEngine.run
    broken: list[PoolEngine] = []

    def run(self: PoolEngine, frames: Any) -> Any:
        broken.append(self) if not broken else None
        probs = honest(self, frames)
        return np.full_like(probs, np.nan) if self is broken[0] else probs

    monkeypatch.setattr(PoolEngine, "run", run)
    with station([spec("bad", SHORT, fast=True)]) as (made, heard):
        wait_for(lambda: made.source("bad").glance().restarts >= 1, "another start")
        assert "probabilit" in made.source("bad").glance().error
        wait_for_state(made, "bad", "ended")
    assert_as_offline(heard.runs["bad"][-1], spec("bad", SHORT, fast=True))


def test_sources_come_change_and_go_while_another_loses_no_sample() -> None:
    asked = spec("steady", "sim:noise?length=120s&seed=9", fast=True)
    with station([asked]) as (made, heard):
        for turn in range(6):
            made.add_source(spec("guest", ENDLESS))
            wait_for_state(made, "guest", "listening")
            made.change_source("guest", spec("guest", f"sim:tone?loop=forever&freq={300 + turn}"))
            made.change_source("guest", spec("renamed", "sim:noise?loop=forever"))
            assert list(made.sources) == ["steady", "renamed"]
            made.remove_source("renamed")
        wait_for_state(made, "steady", "ended")
    (results,) = heard.runs["steady"]
    assert_as_offline(results, asked)


def test_other_rules_hold_without_a_new_start_and_other_settings_begin_anew() -> None:
    with station([spec("one", ENDLESS, threshold=0.4)]) as (made, heard):
        wait_for_state(made, "one", "listening")
        run = made.source("one")
        run.place_threshold("music", 0.77)
        made.change_source("one", spec("one", ENDLESS, threshold=0.4))  # nothing new
        wait_for(lambda: run.glance().thresholds.get("music") == 0.77, "what was placed to stay")
        made.change_source("one", spec("one", ENDLESS, threshold=0.6))
        assert made.source("one") is run
        results = heard.runs["one"][0]

        def rules() -> list[float]:
            return [each.rules.rule("music").threshold for each in list(results) if each.rules is not None]

        wait_for(lambda: 0.6 in rules(), "the new rules to be in force")
        assert set(run.glance().thresholds.values()) == {0.6}
        assert len(heard.runs["one"]) == 1
        muted = {"class": {"music": {"enabled": False}}}
        made.change_source("one", spec("one", ENDLESS, threshold=0.6, **muted))  # outputs must know
        wait_for_state(made, "one", "listening")
        assert made.source("one") is not run
        assert set(made.source("one").glance().thresholds) == {"speech", "noise"}


def test_what_cannot_be_is_refused_by_name_and_changes_nothing(tmp_path: Path) -> None:
    one = spec("one", ENDLESS, jsonl=str(tmp_path / "x.jsonl"))

    def load(name: str, provider: str) -> Any:
        if name == "default":
            return toy_model()
        raise ModelError(f"model {name}: is not there")

    with station([one], load=load) as (made, _):
        before = list(made.sources.values())
        for wrong, words in (
            (spec("one", ENDLESS), "there is one of this name"),
            (
                spec("two", ENDLESS, jsonl=str(tmp_path / "x.jsonl")),
                r"'one' with jsonl = \".*/x\.jsonl\" and source 'two' with jsonl = .*by jsonl = "
                r"\".*/x-{source}\.jsonl\"",
            ),
            (
                spec("two", ENDLESS, clips=f"{tmp_path}/./x.jsonl"),
                r"source 'two' with clips = \".*/\./x\.jsonl\"",
            ),
            (spec("two", ENDLESS, model="nothing.onnx"), "nothing.onnx: is not there"),
        ):
            with pytest.raises((UsageError, ModelError), match=words):
                made.add_source(wrong)
        for call in (made.remove_source, lambda name: made.change_source(name, spec("on", ENDLESS))):
            with pytest.raises(UsageError, match="did you mean 'one'"):
                call("on")
        assert list(made.sources.values()) == before
        assert state(made, "one") != "stopped"


def test_a_threshold_that_was_moved_holds_over_a_new_start() -> None:
    with station([spec("one", ENDLESS)]) as (made, heard):
        wait_for_state(made, "one", "listening")
        run = made.source("one")
        with pytest.raises(UsageError, match="did you mean 'speech'"):
            run.place_threshold("speeech", 0.5)
        with pytest.raises(UsageError, match="want a number above 0"):
            run.place_threshold("speech", 1.5)
        run.place_threshold("speech", 0.71)
        heard.breaks.add("one")
        wait_for(lambda: run.glance().restarts == 1 and run.glance().state == "listening", "a new start")
        assert run.glance().error == "OSError: broken on purpose"
        assert run.glance().thresholds["speech"] == 0.71
        results = heard.runs["one"][1]
        wait_for(
            lambda: any(each.rules is not None for each in list(results)), "the threshold to be in force"
        )
