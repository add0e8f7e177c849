"""Evaluation figures on cases small enough to work out by hand, and end to end on the bundled recording."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from export.data.recording import Interval, Recording
from export.data.splits import SplitConfig
from export.evaluation.detect import detect, row_samples
from export.evaluation.evaluate import evaluate, select_recordings
from export.evaluation.predict import predict
from export.metrics import (
    DetectedEvent,
    Prediction,
    clip_figures,
    clip_scores,
    clip_truth,
    event_figures,
    frame_figures,
    gridded,
    segment_figures,
    to_cells,
)
from stream.capture.files import FileSource
from stream.classifier import StreamClassifier
from stream.errors import DataError
from stream.features.mfcc import mfcc
from stream.inference.session import Model
from stream.recording import classify, merge
from tests.support.extras import needs
from tests.support.sounds import ASSETS
from tests.support.toy_models import toy_bytes, toy_card, toy_file

needs("sklearn", "scipy")

LABELS = ("a", "b")


def prediction(
    probs: np.ndarray,
    reference: list[Interval] | None = None,
    events: list[DetectedEvent] = [],  # noqa: B006
    labels: tuple[str, ...] = (),
) -> Prediction:
    """Of rows every 10 ms, each about its own 10 ms."""
    seconds = 0.005 + 0.01 * np.arange(len(probs))
    known = None if reference is None else tuple(reference)
    return Prediction(labels, known, probs.astype(np.float32), seconds, tuple(events), len(probs) / 100)


def test_clip_scores_read_the_rows_that_carry_the_label() -> None:
    probs = np.zeros((10, 2))
    probs[5:, 0] = 0.8
    one = prediction(probs)
    np.testing.assert_allclose(clip_scores([one], "end"), [[0.8, 0.0]], atol=1e-6)
    np.testing.assert_allclose(clip_scores([one], "all"), [[0.4, 0.0]], atol=1e-6)


def test_clip_figures_by_hand() -> None:
    targets = [("a", 0.9), ("a", 0.8), ("a", 0.2), ("b", 0.1)]  # label, probability of a
    clips = [prediction(np.tile([p, 1 - p], (10, 1)), labels=(label,)) for label, p in targets]
    scores, truth = clip_scores(clips, "end"), clip_truth(clips, LABELS)
    found = clip_figures(scores, truth, LABELS, "softmax", (0.5, 0.5))
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["confusion"] == [[2, 1], [0, 1]]
    assert found["classes"]["a"]["precision"] == 1.0
    assert found["classes"]["a"]["roc_auc"] == 1.0
    assert found["classes"]["b"]["f1"] == pytest.approx(2 / 3)
    strict = clip_figures(scores, truth, LABELS, "sigmoid", (0.85, 0.85))
    assert strict["accuracy"] == 0.5  # one clip has its a, one its b; the others have nothing


def test_frames_and_segments_by_hand() -> None:
    probs = np.zeros((400, 2))
    probs[100:200, 0] = 0.9  # a, predicted from 1 s to 2 s
    one = prediction(probs, [Interval("a", 1.5, 2.5)], [DetectedEvent("a", 1.0, 2.0, 1.1)])
    scores, truth = gridded([one], LABELS)
    figures = frame_figures(scores, truth, LABELS, (0.5, 0.5))
    cells = figures["classes"]["a"]
    assert (cells["precision"], cells["recall"], cells["f1"]) == (0.5, 0.5, 0.5)
    assert figures["cells"] == 400
    assert figures["none_of_them"]["recall"] == pytest.approx(250 / 300)
    segments = segment_figures([one], LABELS)
    assert segments["segments"] == 4
    assert segments["classes"]["a"]["precision"] == 1.0  # the second of two true seconds is missed
    assert segments["classes"]["a"]["recall"] == 0.5
    assert segments["micro_f1"] == pytest.approx(2 / 3)


def test_cells_are_the_same_for_every_hop() -> None:
    """A cell takes the row whose time is nearest to its middle, before the first and after the last row too."""
    probs = np.arange(4, dtype=np.float32)[:, None]
    seconds = np.array([-0.01, 0.014, 0.034, 0.054])
    assert to_cells(probs, seconds, 7)[:, 0].tolist() == [1, 1, 2, 2, 3, 3, 3]
    assert to_cells(probs, seconds - 0.012, 2)[:, 0].tolist() == [1, 2]
    assert to_cells(np.stack([probs, probs + 4]), seconds, 2)[..., 0].tolist() == [[1, 1], [5, 5]]
    assert to_cells(np.zeros((0, 2), np.float32), np.zeros(0), 3).shape == (3, 2)
    slow = np.repeat(np.linspace(0, 1, 50), 4)
    quick = prediction(np.stack([slow, 1 - slow], axis=1), [Interval("a", 0.5, 2.0)])
    every_fourth = Prediction(
        (), quick.reference, quick.probs[1::4], quick.seconds[1::4] + 0.005, (), quick.duration
    )
    np.testing.assert_array_equal(gridded([quick], LABELS)[0], gridded([every_fourth], LABELS)[0])


def test_events_by_hand() -> None:
    truth = [Interval("a", 1.0, 2.0), Interval("a", 5.0, 6.0), Interval("b", 3.0, 3.5)]
    found = [
        DetectedEvent("a", 1.15, 2.1, 1.3),  # within both collars
        DetectedEvent("a", 5.3, 6.0, 5.4),  # too late
        DetectedEvent("a", 8.0, 8.2, 8.1),  # touches nothing: a false alarm
        DetectedEvent("b", 2.9, 3.9, 3.1),  # ends too late
    ]
    one = prediction(np.zeros((3600, 2)), truth, found)
    result = event_figures([one], LABELS)
    a, b = result["classes"]["a"], result["classes"]["b"]
    assert (a["f1"], a["precision"], a["recall"]) == (pytest.approx(2 / 5), pytest.approx(1 / 3), 0.5)
    assert a["false_alarms_per_hour"] == pytest.approx(100)  # one in 36 s
    assert a["median_delay_seconds"] == pytest.approx(0.35)
    assert a["missed_share"] == 0
    assert b["f1"] == 0
    assert b["detected"] == 1
    assert event_figures([one], LABELS, offsets=False)["classes"]["b"]["f1"] == 1.0


def test_missed_events_and_delays_leave_out_what_cannot_be_asked_for() -> None:
    truth = [Interval("a", 1.0, 2.0), Interval("a", 5.0, 6.0), Interval("a", 8.0, 8.1), Interval("a", 10, 11)]
    events = [
        DetectedEvent("a", 0.5, 1.5, 0.7),  # was on already: no delay
        DetectedEvent("a", 4.95, 6.0, 5.3),
        DetectedEvent("a", 8.05, 8.1, 8.09),  # the event is too short to count
    ]
    figures = event_figures([prediction(np.zeros((1200, 2)), truth, events)], LABELS)["classes"]["a"]
    assert figures["median_delay_seconds"] == pytest.approx(0.3)
    assert figures["missed_share"] == pytest.approx(1 / 3)
    assert figures["detected"] == 3
    none = event_figures([prediction(np.zeros((1200, 2)), truth, events[:1])], LABELS)["classes"]["a"]
    assert none["median_delay_seconds"] is None


def test_one_detected_event_is_matched_to_one_true_event() -> None:
    truth = [Interval("a", 1.0, 1.5), Interval("a", 1.1, 1.6)]
    one = prediction(np.zeros((400, 2)), truth, [DetectedEvent("a", 1.05, 1.55, 1.2)])
    assert event_figures([one], LABELS)["classes"]["a"]["recall"] == 0.5


def demo_labels(folder: Path) -> Path:
    rows = (ASSETS / "demo.tsv").read_text().splitlines()[1:]
    path = folder / "labels.tsv"
    lines = [f"{ASSETS / 'demo.ogg'}\t{row}" for row in rows]
    path.write_text("\n".join(["filename\tonset\toffset\tevent_label", *lines]) + "\n")
    return path


def test_the_detector_is_the_live_one(tmp_path: Path) -> None:
    """Events of an evaluation are those that classify() gives, and a carried stream of one equals it alone."""
    model = Model(toy_bytes())
    result = evaluate(model, str(demo_labels(tmp_path)))
    live = [e for e in classify(ASSETS / "demo.ogg", model).events if e.offset is not None]
    alone = result.predictions.alone[0]
    assert live
    assert [(f.label, f.onset, f.offset) for f in alone.events] == [
        (e.label, e.onset_s, e.offset_s) for e in live
    ]
    carried = result.predictions.carried[0]
    np.testing.assert_array_equal(alone.probs, carried.probs[: len(alone.probs)])


def test_events_of_computed_rows_are_the_live_ones() -> None:
    """Rows of the bundled model by hand, with its delay, give the events and times of a live stream."""
    model = Model.bundled("small", provider="cpu")
    card = model.card
    samples, _ = soundfile.read(ASSETS / "demo.ogg", dtype="float32")
    probs, _ = model.step(mfcc(samples, card.features)[None], model.initial_state())
    found = detect(probs[0], model.labels, card.detector, card.features, card.delay)
    classifier = StreamClassifier(model)
    live = merge(list(classifier.stream(FileSource(ASSETS / "demo.ogg"))), classifier)
    reports = {e.id: e.decided for e in live.events if e.offset is None}
    assert len(found) > 3
    assert [(e.label, e.onset, e.offset, e.decided) for e in found] == [
        (e.label, e.onset_s, e.offset_s, reports[e.id] / e.sample_rate)
        for e in live.events
        if e.offset is not None
    ]
    np.testing.assert_array_equal(row_samples(len(probs[0]), card.features, card.delay), live.scores.sample)


def test_carried_state_is_carried(tmp_path: Path) -> None:
    """The second recording of a stream begins with the state that the first left."""
    rng = np.random.default_rng(0)
    import soundfile

    for name in ("one", "two"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(16000), 16000)
    recordings = [Recording(tmp_path / f"{n}.wav", "here", n, ("speech",)) for n in ("one", "two")]
    both = predict(Model(toy_bytes()), recordings)
    same = [np.array_equal(a.probs[:50], c.probs[:50]) for a, c in zip(both.alone, both.carried, strict=True)]
    assert sorted(same) == [False, True]


def test_unreadable_recordings_are_listed_or_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"not sound")
    labels = demo_labels(tmp_path)
    labels.write_text(labels.read_text() + "bad.wav\t0\t1\tspeech\n")
    model = Model(toy_bytes())
    report = evaluate(model, str(labels)).report
    assert len(report["skipped"]) == 1
    assert "bad.wav" in report["skipped"][0]["recording"]
    with pytest.raises(DataError, match=r"bad\.wav"):
        evaluate(model, str(labels), strict=True)


def test_labels_outside_the_card_are_refused(tmp_path: Path) -> None:
    labels = demo_labels(tmp_path)
    labels.write_text(labels.read_text().replace("music", "whale"))
    with pytest.raises(DataError, match="whale"):
        evaluate(Model(toy_bytes()), str(labels))


def test_command_writes_report_and_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from export.cli.evaluate import evaluate as command

    model = toy_file(tmp_path, toy_card())
    out = tmp_path / "report"
    done = CliRunner().invoke(
        command, [str(model), str(demo_labels(tmp_path)), "--report", str(out)], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "frame macro F1" in done.output
    report = json.loads((out / "report.json").read_text())
    assert set(report["carried"]) == set(report["alone"]) == {"frames", "segments", "events", "psds"}
    for name in ("det.png", "roc.png", "reliability.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def folds(folder: Path) -> Path:
    """Eighteen recordings of three classes in three folds."""
    rows = [f"{n}.wav,{('speech', 'music', 'noise')[n % 3]},{n // 3 % 3}" for n in range(18)]
    for n in range(18):
        soundfile.write(folder / f"{n}.wav", np.random.default_rng(n).normal(0, 0.1, 8000), 16000)
    (folder / "manifest.csv").write_text("\n".join(["filename,label,fold", *rows]) + "\n")
    return folder / "manifest.csv"


def held_out(**plan: object) -> dict[str, object]:
    """What a card says of a training that divided its data like this."""
    return {"split": msgspec.to_builtins(SplitConfig(**plan))}  # type: ignore[arg-type]


def test_the_split_is_the_one_of_the_models_training(tmp_path: Path) -> None:
    """Else a recording that was trained on could be in "test"."""
    data = str(folds(tmp_path))
    plan = held_out(validation_folds=("1",), test_folds=("2",))
    model = Model(toy_bytes(toy_card(provenance=plan)))
    for split, fold in (("train", "0"), ("validation", "1"), ("test", "2")):
        assert {r.fold for r in select_recordings(data, model, split, None)} == {fold}  # type: ignore[arg-type]
    silent = Model(toy_bytes())
    assert {r.fold for r in select_recordings(data, silent, "train", None)} != {"0"}
    assert evaluate(model, data, split="test").report["data"]["recordings"] == 6


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (held_out(test_folds=("9",)), "fold '9': the data has 0, 1, 2.*leave --split out"),
        ({"split": {"test": "most"}}, "provenance.split.*leave --split out"),
        ({"split": 3}, "provenance.split.*leave --split out"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(tmp_path: Path, plan: dict[str, object], words: str) -> None:
    model = Model(toy_bytes(toy_card(provenance=plan)))
    data = str(folds(tmp_path))
    with pytest.raises(DataError, match=words):
        select_recordings(data, model, "test", None)
    assert len(select_recordings(data, model, None, None)) == 18
