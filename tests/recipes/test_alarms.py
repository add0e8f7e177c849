"""The recipe of the ear for alarms: labels say when a cadence can be known, scenes repeat, the whole runs in small."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from export.recipes.alarm_ear import (
    alarm_calibration,
    alarm_negatives,
    alarm_sources,
    alarm_training,
    alarm_trials,
)
from export.recipes.alarm_ear.alarm_calibration import RuleFigures, chosen
from export.recipes.alarm_ear.alarm_mix import HELD_OUT, NEGATIVE
from export.recipes.alarm_ear.alarm_negatives import laid_end_to_end
from export.recipes.alarm_ear.alarm_release import publish
from export.recipes.alarm_ear.alarm_scenes import TRIAL_LEAD_SECONDS, AlarmComposer
from export.recipes.alarm_ear.alarm_settings import FEATURES, LABELS, AlarmSettings
from export.recipes.alarm_ear.alarm_trials import Outcome, median_cycles, share_found
from export.recipes.speech_music_noise.sources.bank import Bank
from export.recipes.speech_music_noise.sources.corpora import PACKAGES
from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Cadence, pulse_times
from export.scenes.sounder_labels import decided_after, frame_targets, placed
from stream.decisions.spec import ClassRule
from stream.inference.session import Model
from tests.recipes.test_speech_music_noise import RESERVED

pytestmark = pytest.mark.torch
needs_voices = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="apt-get install espeak-ng")
RATE = 16_000


class Steady:
    """A background whose level is the same throughout."""

    def draw(self, kind, n, rng):
        return rng.standard_normal(n).astype(np.float32)


def write_bank(cache, part):
    """Two minutes of each kind, in the layout of the recipe's banks."""
    folder = cache / "bank" / part
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(part))
    time = np.arange(40 * RATE) / RATE
    kinds = {
        "speech": 0.3 * np.sin(2 * np.pi * 150 * time) * (np.sin(2 * np.pi * 3 * time) > 0),
        "music": 0.2 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * 554 * time),
        "noise": 0.1 * rng.standard_normal(len(time)),
        "drums": rng.standard_normal(1600) * np.exp(-np.arange(1600) / 300),
        "notes": 0.3 * np.sin(2 * np.pi * 440 * time[: 2 * RATE]),
    }
    clips, start = [], 0
    with (folder / "toy.i16").open("wb") as out:
        for kind, sound in kinds.items():
            out.write((sound * 32767).astype("<i2").tobytes())
            clips.append(
                {
                    "path": kind,
                    "start": start,
                    "length": len(sound),
                    "kind": kind,
                    "split": "train",
                    "group": kind,
                }
            )
            start += len(sound)
    (folder / "toy.json").write_text(json.dumps({"licence": "CC0", "unread": [], "clips": clips}))


@pytest.fixture
def cache(tmp_path):
    for part in ("train", "validation", "test"):
        write_bank(tmp_path, part)
    return tmp_path


def test_no_reserved_source_and_no_source_in_two_parts():
    known = {corpus.name for corpus in PACKAGES}
    used = [name for names in alarm_sources.WHOLE.values() for name in names]
    assert len(set(used)) == len(used)
    assert set(used) | set(alarm_sources.DIVIDED) <= known
    assert not set(RESERVED) & {*used, *alarm_sources.DIVIDED}
    assert not set(alarm_sources.DIVIDED) & set(used)


def test_packages_divided_by_language_keep_their_sides():
    sides = {
        part: {corpus.name: corpus for corpus, _ in alarm_sources.corpora(part, None)}
        for part in ("train", "validation")
    }
    danish, polish = "klettres/da/alpha/a.ogg", "klettres/pl/alpha/a.ogg"
    assert sides["train"]["klettres-data"].rule_for(danish) is None
    assert sides["validation"]["klettres-data"].rule_for(danish) is not None
    assert sides["validation"]["klettres-data"].rule_for(polish) is None
    assert sides["train"]["klettres-data"].rule_for(polish) is not None


def test_a_bed_is_in_one_part_and_beeping_ones_in_none(tmp_path):
    folder = tmp_path / "ambience"
    folder.mkdir()
    (folder / "manifest.csv").write_text("filename,label\n")
    beds = [
        next(corpus for corpus, where in alarm_sources.corpora(part, tmp_path) if where is not None)
        for part in ("train", "validation", "test")
    ]
    for name in ("moodist-rain-heavy-rain", "blanket-sounds-city", "clock-sfx-thunder", "moodist-urban-road"):
        assert sum(bed.rule_for(f"{name}.ogg") is not None for bed in beds) == 1, name
    for name in ("moodist-things-morse-code", "moodist-urban-ambulance-siren"):
        assert not any(bed.rule_for(f"{name}.ogg") for bed in beds), name


def test_an_alarm_is_known_in_its_second_cycle():
    assert decided_after(pulse_times(SMOKE, 20)) == pytest.approx(4.5)  # the pause, and a pulse again
    assert decided_after(pulse_times(CARBON_MONOXIDE, 20)) == pytest.approx(6.0)
    assert decided_after(pulse_times(Cadence(1, 0.5, 0.5, 0.5), 20)) == pytest.approx(
        3.5
    )  # the fourth: no group of 3
    assert decided_after(pulse_times(SMOKE, 3)) == np.inf  # three beeps, once
    late = decided_after(pulse_times(SMOKE, 20, into=0.6))
    assert late == pytest.approx(0.4 * 4 + 4 + 0.5)  # the group that was cut off does not count


def test_targets_hold_through_the_pauses_and_end():
    alarm = placed("co_alarm", pulse_times(CARBON_MONOXIDE, 14), 2.0)
    seconds = np.arange(0, 40, 0.04)
    targets, weights = frame_targets([alarm], seconds, LABELS)
    column = targets[:, LABELS.index("co_alarm")]
    assert targets.sum() == column.sum()
    assert set(np.diff(np.flatnonzero(column))) == {1}  # one stretch, through 5 s of silence
    assert seconds[column.argmax()] == pytest.approx(8.0, abs=0.05)
    last = seconds[np.flatnonzero(column)[-1]]
    assert last == pytest.approx(alarm.offset + 5.4, abs=0.1)
    assert weights[(seconds > 5.5) & (seconds < 8)].sum() == 0  # half known
    assert weights[seconds < 4].all()
    assert weights[(seconds > 9) & (seconds < alarm.gone)].all()


@needs_voices
def test_a_scene_repeats_to_the_bit_and_a_trial_has_its_ratio(cache):
    composer = AlarmComposer(Bank(cache / "bank" / "test", "train"), "test", replace(HELD_OUT, codec=0.0))
    a, b = (composer.compose(20.0, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(a.samples, b.samples)
    assert a.sounders == b.sounders
    assert np.abs(a.samples).max() <= 1
    plain = replace(
        HELD_OUT, room=0.0, tilt=0.0, codec=0.0, narrow=0.0, clipped=0.0, floor_dbfs=(-90.0, -90.0)
    )
    composer = AlarmComposer(Bank(cache / "bank" / "test", "train"), "test", plain)
    composer.__dict__["backgrounds"] = Steady()
    ratios = []
    for seed in range(4):
        sound = composer.trial("smoke piezo", "noise", 10.0, np.random.default_rng(seed)).samples
        begin = round((TRIAL_LEAD_SECONDS + 0.1) * RATE)
        on, off = sound[begin : begin + 4800], sound[begin + 8000 : begin + 12800]
        ratios.append(10 * np.log10(np.mean(on**2) / np.mean(off**2)))
    assert np.median(ratios) == pytest.approx(10.4, abs=0.5)  # pulse and background, over the background


@needs_voices
def test_scenes_without_alarms_have_none(cache):
    composer = AlarmComposer(Bank(cache / "bank" / "test", "train"), "test", NEGATIVE)
    assert all(not scene.sounders for scene in composer.scenes(3, 30.0, 1))


def test_recordings_are_laid_end_to_end(monkeypatch):
    monkeypatch.setattr(alarm_negatives, "_STREAM_SECONDS", 1.0)
    sounds = [np.full(round(0.7 * RATE), value, np.float32) for value in (0.1, 0.2, 0.3)]
    streams = list(laid_end_to_end(iter(sounds)))
    assert [len(each) for each in streams] == [RATE] * 3
    assert streams[1][round(0.2 * RATE)] == pytest.approx(0.2)


def test_the_rule_with_fewest_false_events_wins_and_then_the_one_that_finds_most():
    figures = [
        RuleFigures(ClassRule(threshold=0.5), 0.99, 0.0, 2.0),
        RuleFigures(ClassRule(threshold=0.8), 0.95, 0.0, 0.0),
        RuleFigures(ClassRule(threshold=0.9), 0.90, 0.0, 0.0),
    ]
    assert chosen("smoke_alarm", figures).rule.threshold == 0.8
    assert chosen("smoke_alarm", figures[:1]).rule.threshold == 0.5


def test_outcomes_are_counted():
    alarm = placed("smoke_alarm", pulse_times(SMOKE, 20), 8.0)
    rows = [Outcome(alarm, True, 1.2, ("smoke_alarm",)), Outcome(alarm, False, None, ())]
    assert share_found(rows) == 0.5
    assert median_cycles(rows) == 1.2
    assert (
        alarm_trials.confusion(
            [
                *rows,
                Outcome(replace(alarm, label="beep"), False, None, ()),
                Outcome(replace(alarm, label="co_alarm"), False, None, ("beep",)),
            ]
        )["smoke_alarm"]["nothing"]
        == 0.5
    )


@needs_voices
def test_the_recipe_in_small(cache, tmp_path, monkeypatch):
    """From banks to a proven file with its card; far too little to hear anything."""
    monkeypatch.setattr("export.scenes.negatives._LOOP_SECONDS", 1.0)
    monkeypatch.setattr(alarm_negatives, "_STREAM_SECONDS", 10.0)
    monkeypatch.setattr(alarm_negatives, "_BUNDLED_SECONDS", 10.0)
    monkeypatch.setattr(alarm_trials, "PATTERNS", ("smoke piezo", "co square"))
    monkeypatch.setattr(alarm_trials, "BACKGROUNDS", ("noise",))
    monkeypatch.setattr(alarm_trials, "RATIOS_DB", (20.0,))
    monkeypatch.setattr("export.recipes.alarm_ear.alarm_report.PATTERNS", ("smoke piezo", "co square"))
    monkeypatch.setattr("export.recipes.alarm_ear.alarm_report.BACKGROUNDS", ("noise",))
    monkeypatch.setattr("export.recipes.alarm_ear.alarm_report.RATIOS_DB", (20.0,))
    monkeypatch.setattr(alarm_calibration, "THRESHOLDS", (0.5,))
    monkeypatch.setattr("export.recipes.alarm_ear.alarm_release.draw", lambda *_: None)
    settings = AlarmSettings(
        hours=0.05, rounds=1, passes=1, validation_hours=0.03, negative_hours=0.03, trials=1, rows=2
    )
    alarm_training.prepare(cache, settings, 1)
    model, training = alarm_training.train(cache, settings)
    card, figures = publish(model, cache, None, settings, tmp_path, training)
    made = Model.load(tmp_path / "alarms.onnx", provider="cpu")
    assert made.card.metrics == json.loads(json.dumps(figures))
    assert made.labels == LABELS
    assert made.card.features == FEATURES
    assert card.provenance["parameters"] < 60_000
    text = (cache / "alarms-report.md").read_text()
    assert "no life-safety device" in text
    assert "false events" in text.lower()
