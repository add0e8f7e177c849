"""Derived classes: groups of labels, and loud."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.decisions.derived import DECIBELS_PER_SCORE, DerivedClasses, DerivedSpec
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import SpecError
from stream.features.spec import WaveformSpec
from stream.inference.session import Model
from stream.messages import Chunk
from tests.support.sounds import make
from tests.support.toy_models import LABELS, toy_bytes, toy_card

RATE, HOP = 16000, 160


def classifier(derived: DerivedSpec | None, **changes: Any) -> StreamClassifier:
    return StreamClassifier(Model(toy_bytes(toy_card(**changes))), derived=derived)


def steady(level_dbfs: float, seconds: float = 1.0) -> np.ndarray:
    """A square wave, whose RMS is the same in every hop."""
    amplitude = 10 ** (level_dbfs / 20)
    return np.where(np.arange(round(seconds * RATE)) % 2, amplitude, -amplitude).astype(np.float32)


def test_the_models_columns_stay_and_a_group_is_the_largest_of_its_members() -> None:
    sound = make("speech", RATE, 2.0)
    plain = classifier(None).push(sound).scores
    got = classifier(DerivedSpec(groups={"any": LABELS, "one": ("music",)}, loud=-30)).push(sound).scores
    assert got.labels == (*LABELS, "any", "one", "loud")
    np.testing.assert_array_equal(got.probs[:, :3], plain.probs)
    np.testing.assert_array_equal(got.probs[:, 3], plain.probs.max(axis=1))
    np.testing.assert_array_equal(got.probs[:, 4], plain.probs[:, 1])


def test_loud_is_one_half_at_its_level_and_rises_with_decibels() -> None:
    for level, want in ((-20.0, 0.5), (-16.0, 0.6), (-26.0, 0.35), (-80.0, 0.0), (20.0, 1.0)):
        rows = classifier(DerivedSpec(loud=-20)).push(steady(level)).scores.probs[:, -1]
        np.testing.assert_allclose(rows, want, atol=1e-5)
    # An amplitude whose square is exact shows that the threshold itself counts.
    exact = 10 * np.log10(0.25)
    assert classifier(DerivedSpec(loud=float(exact))).push(steady(20 * np.log10(0.5))).probs[0, -1] == 0.5


def test_loud_is_about_the_hop_round_the_reference_sample() -> None:
    """Also where the model answers late, and where its window is no longer than a hop."""
    for changes in ({}, {"delay": 5}, {"features": WaveformSpec(frame_length=40, hop_length=40)}):
        stage = classifier(DerivedSpec(loud=-40), **changes)
        sound = np.zeros(RATE, np.float32)
        sound[8000:] = steady(-20, 0.5)
        scores = stage.push(sound).scores
        centre = scores.sample[np.flatnonzero(scores.probs[:, -1] > 0.5)[0]]
        assert abs(int(centre) - 8000) <= stage.hop
        derived = stage._stages.rows.derived
        assert derived is not None
        assert len(derived._kept) <= 7 * stage.hop + 512  # what is not needed is forgotten


def test_loud_events_go_over_short_gaps_and_end_at_long_ones() -> None:
    stage = classifier(DerivedSpec(loud=-30), delay=2)
    loud = steady(-10, 2.0)
    events = [*stage.push(Chunk(loud, 0, RATE)).events]
    events += stage.push(Chunk(loud, len(loud) + 800, RATE)).events  # 50 ms
    assert [e.label for e in events if e.label == "loud"] == ["loud"]
    events += stage.push(Chunk(loud, 10 * RATE, RATE)).events
    events += stage.flush().events
    mine = [(e.id, e.offset, e.cut) for e in events if e.label == "loud"]
    assert [offset is None for _, offset, _ in mine] == [True, False, True, False]
    assert mine[0][0] == mine[1][0] != mine[2][0] == mine[3][0]


def test_a_long_gap_keeps_no_sound_for_itself() -> None:
    stage = DerivedClasses(DerivedSpec(loud=-30), LABELS, HOP, 256 - 5 * HOP, 256)
    stage.hear(0, steady(-10))
    stage.hear(10**9, steady(-10, 0.01))
    assert len(stage._kept) < 10 * HOP
    assert stage._end == 10**9 + HOP


def test_rules_apply_as_to_any_class() -> None:
    rules = DetectorSpec(classes={"loud": ClassRule(threshold=0.9), "any": ClassRule(enabled=False)})
    model = Model(toy_bytes())
    spec = DerivedSpec(groups={"any": LABELS}, loud=-20)
    stage = StreamClassifier(model, rules, derived=spec)
    events = [*stage.push(steady(-10, 2.0)).events, *stage.flush().events]
    assert {"loud", "any"}.isdisjoint(e.label for e in events)
    # A threshold of the model's says nothing about decibels.
    high = DetectorSpec(default=ClassRule(threshold=0.95))
    stage = StreamClassifier(model, high, derived=spec)
    assert stage.detector_spec.rule("loud") == ClassRule()
    assert stage.detector_spec.rule("any") == high.default
    assert "loud" in {e.label for e in stage.push(steady(-10, 2.0)).events}
    assert DECIBELS_PER_SCORE * (ClassRule().threshold - ClassRule().off_threshold) == pytest.approx(6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"groups": {"a": ("speach",)}}, "perhaps speech"),
        ({"groups": {"speech": ("music",)}}, "class of this name"),
        ({"groups": {"loud": ("music",)}, "loud": -20}, "class of this name"),
        ({"groups": {"a": ()}}, "no members"),
        ({"groups": {"\x1b[2J": ("music",)}}, "printable"),
        ({"loud": 21}, "-120 to 20"),
        ({"loud": float("nan")}, "-120 to 20"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        DerivedSpec(**settings).labels(LABELS)
    assert len(str(caught.value).splitlines()) == 1


def test_a_model_that_knows_loud_keeps_it() -> None:
    with pytest.raises(SpecError, match="class of this name"):
        DerivedSpec(loud=-20).labels(("loud", "soft"))
