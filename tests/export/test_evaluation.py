"""Evaluation figures on cases small enough to work out by hand, and end to end on the bundled recording."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

pytest.importorskip("sklearn")
pytest.importorskip("scipy")

from click.testing import CliRunner

from export.data.recording import Interval, Recording
from export.data.splits import SplitConfig
from export.evaluation.clips import clip_figures, clip_scores
from export.evaluation.evaluate import chosen, evaluate
from export.evaluation.events import event_figures
from export.evaluation.frames import frame_figures, segment_figures
from export.evaluation.listen import Found, Heard, listen
from export.evaluation.psds import PSDS1, PSDS2, psds
from stream.classifier import classify
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import DataError
from stream.inference.session import Model
from tests.support.sounds import ASSETS
from tests.support.toy_models import toy_bytes, toy_card, toy_file

LABELS = ("a", "b")
HALF = DetectorSpec(default=ClassRule(threshold=0.5))


def heard(
    probs: np.ndarray,
    events: list[Interval] | None = None,
    found: list[Found] = [],  # noqa: B006
    labels: tuple[str, ...] = (),
) -> Heard:
    recording = Recording(Path("x.wav"), "here", "x", labels, None if events is None else tuple(events))
    seconds = 0.005 + 0.01 * np.arange(len(probs))
    return Heard(recording, probs.astype(np.float32), seconds, tuple(found), len(probs) / 100)


def test_clip_scores_read_the_rows_that_carry_the_label() -> None:
    probs = np.zeros((10, 2))
    probs[5:, 0] = 0.8
    one = heard(probs)
    np.testing.assert_allclose(clip_scores([one], "end"), [[0.8, 0.0]], atol=1e-6)
    np.testing.assert_allclose(clip_scores([one], "all"), [[0.4, 0.0]], atol=1e-6)


def test_clip_figures_by_hand() -> None:
    answers = [("a", 0.9), ("a", 0.8), ("a", 0.2), ("b", 0.1)]  # label, probability of a
    clips = [heard(np.tile([p, 1 - p], (10, 1)), labels=(label,)) for label, p in answers]
    found = clip_figures(clips, LABELS, "softmax", "end", HALF)
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["confusion"] == [[2, 1], [0, 1]]
    assert found["classes"]["a"]["precision"] == 1.0
    assert found["classes"]["a"]["roc_auc"] == 1.0
    assert found["classes"]["b"]["f1"] == pytest.approx(2 / 3)


def test_frames_and_segments_by_hand() -> None:
    probs = np.zeros((400, 2))
    probs[100:200, 0] = 0.9  # a, said from 1 s to 2 s
    truth = [Interval("a", 1.5, 2.5)]
    one = heard(probs, truth, [Found("a", 1.0, 2.0, 1.1)])
    rows = frame_figures([one], LABELS, HALF)["classes"]["a"]
    assert (rows["precision"], rows["recall"], rows["f1"]) == (0.5, 0.5, 0.5)
    segments = segment_figures([one], LABELS)
    assert segments["segments"] == 4
    assert segments["classes"]["a"]["precision"] == 1.0  # the second of two true seconds is missed
    assert segments["classes"]["a"]["recall"] == 0.5
    assert segments["micro_f1"] == pytest.approx(2 / 3)


def test_events_by_hand() -> None:
    truth = [Interval("a", 1.0, 2.0), Interval("a", 5.0, 6.0), Interval("b", 3.0, 3.5)]
    found = [
        Found("a", 1.15, 2.1, 1.3),  # within both collars
        Found("a", 5.3, 6.0, 5.4),  # too late
        Found("a", 8.0, 8.2, 8.1),  # touches nothing: a false alarm
        Found("b", 2.9, 3.9, 3.1),  # ends too late
    ]
    one = heard(np.zeros((3600, 2)), truth, found)
    result = event_figures([one], LABELS)
    a, b = result["classes"]["a"], result["classes"]["b"]
    assert (a["f1"], a["precision"], a["recall"]) == (pytest.approx(2 / 5), pytest.approx(1 / 3), 0.5)
    assert a["false_alarms_per_hour"] == pytest.approx(100)  # one in 36 s
    assert a["median_delay_seconds"] == pytest.approx(0.35)
    assert b["f1"] == 0
    assert b["detected"] == 1
    assert event_figures([one], LABELS, offsets=False)["classes"]["b"]["f1"] == 1.0


def test_one_event_answers_for_one_at_most() -> None:
    truth = [Interval("a", 1.0, 1.5), Interval("a", 1.1, 1.6)]
    one = heard(np.zeros((400, 2)), truth, [Found("a", 1.05, 1.55, 1.2)])
    assert event_figures([one], LABELS)["classes"]["a"]["recall"] == 0.5


def test_psds_ends_and_order() -> None:
    rng = np.random.default_rng(0)
    perfect, noisy, blind = [], [], []
    for _ in range(6):
        probs = np.zeros((1000, 2))
        truth = []
        for c, label in enumerate(LABELS):
            at = int(rng.integers(50, 500))
            truth.append(Interval(label, at / 100, (at + 200) / 100))
            probs[at : at + 200, c] = 1.0
        perfect.append(heard(probs, truth))
        mixed = np.clip(
            probs * rng.uniform(0.3, 1, (1, 2)) + np.repeat(rng.random((40, 2)), 25, axis=0) * 0.6, 0, 1
        )
        noisy.append(heard(mixed, truth))
        blind.append(heard(np.repeat(rng.random((40, 2)), 25, axis=0), truth))
    assert psds(perfect, LABELS, PSDS1) > 0.99
    assert psds(perfect, LABELS, PSDS2) > 0.99
    assert psds(blind, LABELS, PSDS1) < psds(noisy, LABELS, PSDS1) < psds(perfect, LABELS, PSDS1)


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
    alone = result.listening.alone[0]
    assert live
    assert [(f.label, f.onset, f.offset) for f in alone.events] == [
        (e.label, e.onset_s, e.offset_s) for e in live
    ]
    carried = result.listening.carried[0]
    np.testing.assert_array_equal(alone.probs, carried.probs[: len(alone.probs)])


def test_carried_state_is_carried(tmp_path: Path) -> None:
    """The second recording of a stream is heard with what the first left behind."""
    rng = np.random.default_rng(0)
    import soundfile

    for name in ("one", "two"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(16000), 16000)
    recordings = [Recording(tmp_path / f"{n}.wav", "here", n, ("speech",)) for n in ("one", "two")]
    heard_both = listen(Model(toy_bytes()), recordings)
    same = [
        np.array_equal(a.probs[:50], c.probs[:50])
        for a, c in zip(heard_both.alone, heard_both.carried, strict=True)
    ]
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
        assert {r.fold for r in chosen(data, model, split, None)} == {fold}  # type: ignore[arg-type]
    silent = Model(toy_bytes())
    assert {r.fold for r in chosen(data, silent, "train", None)} != {"0"}
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
        chosen(data, model, "test", None)
    assert len(chosen(data, model, None, None)) == 18
