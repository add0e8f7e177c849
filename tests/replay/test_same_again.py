"""A recorded session gives the same bytes again: any chunks, from any snapshot, every kind of model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.features.spec import MfccSpec
from stream.inference.session import Model
from stream.messages import Chunk
from stream.outputs.jsonl import JsonLines
from stream.outputs.records import Origin
from stream.outputs.wall_time import CaptureTimes
from stream.replay import chunking
from stream.replay.replaying import make_classifier
from stream.session.index import EVENTS
from stream.session.recorded import RecordedSession
from tests.support.recording import compared, record, scene
from tests.support.sounds import demo
from tests.support.toy_models import toy_bytes, toy_card, toy_graph

EAGER = DetectorSpec(default=ClassRule(threshold=0.3, min_on=0.03, min_off=0.1, smoothing=0.05))


def strided() -> bytes:
    """A model with one row for two frames."""
    from onnx import helper, numpy_helper

    graph = toy_graph(80)
    graph.graph.node[0].input[0] = "pairs"
    shape = numpy_helper.from_array(np.array([0, -1, 80], np.int64), "shape")
    graph.graph.initializer.append(shape)
    graph.graph.node.insert(0, helper.make_node("Reshape", ["features", "shape"], ["pairs"]))
    graph.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 40
    return toy_bytes(toy_card(stride=2), graph)


def models() -> dict[str, tuple[Model, int, float]]:
    """name -> model, rate of the sound, seconds of it."""
    return {
        "default, 16 kHz": (Model.bundled("default"), 16000, 9.0),
        "small, 48 kHz": (Model.bundled("small"), 48000, 6.0),
        "deltas, 44.1 kHz": (Model(toy_bytes(toy_card(MfccSpec(deltas=2)))), 44100, 5.0),
        "stride, 22.05 kHz": (Model(strided()), 22050, 5.0),
        "toy, 8 kHz": (Model(toy_bytes(toy_card(MfccSpec(sample_rate=8000)))), 8000, 6.0),
    }


def recorded(folder: Path, name: str, seed: int) -> tuple[RecordedSession, Model]:
    model, rate, seconds = models()[name]
    rules = model.card.detector if name.startswith("default") else EAGER
    classifier = StreamClassifier(
        model, rules, derived=DerivedSpec(groups={"voice": ("speech",)}, loud=-30.0), stream="kitchen"
    )
    sound = demo(rate)[3 * rate : 3 * rate + round(seconds * rate)]
    return record(folder, classifier, scene(sound, rate, seed), rate), model


@pytest.mark.parametrize("name", models())
def test_equal_to_the_byte_at_any_chunking_from_every_snapshot(tmp_path: Path, name: str) -> None:
    session, model = recorded(tmp_path / "s", name, seed=len(name))
    lines = b"".join((tmp_path / "s" / each.name / EVENTS).read_bytes() for each in session.segments)
    kinds = [json.loads(line)["type"] for line in lines.splitlines()]
    assert {"event", "gap", "status"} <= set(kinds)
    assert any(json.loads(line).get("t_wall") for line in lines.splitlines())
    whole = compared(session, model)
    assert whole.difference == ""
    assert whole.holes == []
    assert whole.events == kinds.count("event") > 2
    assert whole.rows == sum(len(each.contents().rows) for each in session.segments) > 100
    assert compared(session, model, chunking.random(7)).difference == ""
    everything = session.segments
    starts = session.starts()
    assert len(starts) > 5
    for place, start in enumerate(starts[1:], 1):
        session.segments = everything[: place + 2]
        for sizes in (chunking.random(place), chunking.fixed(10**6), None):
            again = compared(session, model, sizes, start.number)
            assert again.difference == "", (start.number, sizes)


def test_single_samples(tmp_path: Path) -> None:
    model = Model.bundled("small")
    sound = demo(16000)[5 * 16000 : 6 * 16000].copy()
    sound[3000:3100], sound[9000:10000] = np.nan, np.nan
    chunks = [
        Chunk(sound[at : at + 700], at + 2345 * (at > 8000), 16000, 700.0 + at / 16000)
        for at in range(0, len(sound), 700)
    ]
    session = record(tmp_path / "s", StreamClassifier(model, EAGER), chunks, 16000)
    again = compared(session, model, chunking.fixed(1))
    assert again.difference == ""
    assert again.rows > 20


def test_sound_comes_back_to_the_bit(tmp_path: Path) -> None:
    """Floats of any kind, infinite ones and negative zeros; and whole numbers, which become FLAC."""
    model = Model.bundled("small")
    rng = np.random.default_rng(5)
    odd = rng.standard_normal(16000).astype(np.float32)
    odd[::100], odd[5], odd[6], odd[7] = np.nan, np.inf, -0.0, np.float32(1e-42)
    whole16 = (rng.integers(-(2**15), 2**15, 16000) / 2**15).astype(np.float32)
    whole24 = (rng.integers(-(2**23), 2**23, 16000) / 2**23).astype(np.float32)
    whole24[100:200] = np.nan
    for name, sound, suffix in (("odd", odd, "wav"), ("16", whole16, "flac"), ("24", whole24, "flac")):
        chunks = [Chunk(sound[at : at + 999], at, 16000) for at in range(0, len(sound), 999)]
        session = record(tmp_path / name, StreamClassifier(model), chunks, 16000, snapshot_seconds=60)
        (segment,) = session.segments
        assert [path.suffix[1:] for path in (tmp_path / name / segment.name).glob("sound.*")] == [suffix]
        contents = segment.contents()
        known = ~np.isnan(sound)
        assert np.array_equal(known, ~np.isnan(contents.samples))
        assert np.array_equal(sound[known].view(np.int32), contents.samples[known].view(np.int32))
        assert not contents.cut
        back = [chunk for _, chunk in segment.chunks(contents) if chunk is not None]
        assert [(c.start, len(c.samples)) for c in back] == [(c.start, len(c.samples)) for c in chunks]
        assert compared(session, model).difference == ""


def test_the_chunks_come_back_with_all_that_they_said(tmp_path: Path) -> None:
    model = Model.bundled("small")
    chunks = scene(demo(16000)[: 4 * 16000], 16000, 8)
    session = record(tmp_path / "s", StreamClassifier(model), chunks, 16000)
    back = [c for segment in session.part(1) for _, c in segment.chunks(segment.contents()) if c is not None]
    assert len(session.segments) > 3
    assert any(chunk.missing for chunk in chunks)
    for was, now in zip(chunks, back, strict=True):
        np.testing.assert_array_equal(was.samples, now.samples)
        for name in ("start", "sample_rate", "captured_at", "state", "detail", "missing"):
            assert getattr(was, name) == getattr(now, name), name


def test_events_are_the_json_lines_of_the_run(tmp_path: Path) -> None:
    """A recording has no wall times of events, so these are the same to the byte."""
    model = Model.bundled("small")
    classifier = StreamClassifier(model, EAGER)
    origin = Origin("played", model.card.name, model.sha256)
    lines = JsonLines(
        tmp_path / "lines", origin, live=False, onsets=True, times=CaptureTimes(lambda: 0.0, lambda: 0.0)
    )
    sound = demo(16000)[: 10 * 16000]
    chunks = [Chunk(sound[at : at + 1234], at, 16000) for at in range(0, len(sound), 1234)]
    session = record(tmp_path / "s", classifier, chunks, 16000, live=False, sinks=[lines])
    kept = b"".join((tmp_path / "s" / each.name / EVENTS).read_bytes() for each in session.segments)
    assert kept == (tmp_path / "lines").read_bytes()
    assert kept.count(b"\n") > 4


def test_wall_times_are_those_of_the_sound(tmp_path: Path) -> None:
    """Within what chunks jitter, as the JSON lines of the run say."""
    model = Model.bundled("small")
    classifier = StreamClassifier(model, EAGER)
    origin = Origin("played", model.card.name, model.sha256)
    times = CaptureTimes(lambda: 700.5, lambda: 1_790_000_000.25)
    lines = JsonLines(tmp_path / "lines", origin, onsets=True, times=times)
    session = record(
        tmp_path / "s", classifier, scene(demo(16000)[: 9 * 16000], 16000, 2), 16000, sinks=[lines]
    )
    kept = b"".join((tmp_path / "s" / each.name / EVENTS).read_bytes() for each in session.segments)
    compared_times = 0
    for mine, theirs in zip(kept.splitlines(), (tmp_path / "lines").read_bytes().splitlines(), strict=True):
        ours, run = json.loads(mine), json.loads(theirs)
        if ours.get("t_wall"):
            compared_times += 1
            seconds = [float(each["t_wall"][17:-1]) for each in (ours, run)]
            assert abs(seconds[0] - seconds[1]) < 0.02
        assert {**ours, "t_wall": 0} == {**run, "t_wall": 0}
    assert compared_times > 4


def test_other_results_are_noticed(tmp_path: Path) -> None:
    """Recorded with other rules than the description says: the first event that differs is named."""
    session, model = recorded(tmp_path / "s", "small, 48 kHz", seed=1)
    description = session.description
    rules = DetectorSpec(default=msgspec.structs.replace(EAGER.default, threshold=0.9))
    settings = msgspec.structs.replace(description.settings, detector=rules)
    (tmp_path / "s" / "session.json").write_bytes(
        msgspec.structs.replace(description, settings=settings).encoded()
    )
    found = compared(RecordedSession(tmp_path / "s"), model)
    assert "was recorded" in found.difference
    assert "event" in found.difference
    other = Model(toy_bytes(toy_card(name="other")))
    found = compared(session, Model.bundled("default"))
    assert found.difference
    assert make_classifier(session, other).labels == session.description.labels


def test_rules_that_change_while_it_listens_are_in_the_session(tmp_path: Path) -> None:
    model = Model.bundled("small")
    classifier = StreamClassifier(model, EAGER)
    strict = DetectorSpec(default=ClassRule(threshold=0.9, min_on=0.2, min_off=0.1, smoothing=0.1))
    mute = DetectorSpec(default=EAGER.default, classes={"speech": ClassRule(enabled=False)})
    sound = scene(demo(16000)[3 * 16000 : 12 * 16000], 16000, 5)

    def chunks() -> Iterator[Chunk]:
        for number, chunk in enumerate(sound):
            if number in (40, 90, 120):
                classifier.change_rules({40: strict, 90: mute, 120: EAGER}[number])
            yield chunk

    session = record(tmp_path / "s", classifier, chunks(), 16000)
    everything = [segment.contents() for segment in session.segments]
    changed = [step.rules for contents in everything for step in contents.steps if step.rules is not None]
    assert changed == [strict, mute, EAGER]
    at_beginnings = [segment.beginning.rules for segment in session.segments]
    assert None in at_beginnings
    assert strict in at_beginnings
    for start in session.starts():
        for sizes in (None, chunking.random(start.number)):
            again = compared(session, model, sizes, start.number)
            assert again.difference == "", (start.number, sizes)
    assert compared(session, model).events > 2
