"""What is no class: recordings of known origin in parts that share no source, synthetic sound, and streams of both."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from export.data.recording import SPLITS, Split
from export.scenes.bank import Excerpt, Index, bank_sounds
from export.scenes.names import says
from export.scenes.negatives import KINDS, Kind, Negatives, negative_streams
from export.scenes.synthetic import (
    NOISES,
    Generator,
    coloured_noise,
    fan,
    knocks,
    machine,
    melody,
    rustle,
    self_noise,
    tones,
)  # fmt: skip
from stream import Model, StreamClassifier
from stream.installation import asset


@pytest.fixture(scope="module")
def index() -> Index:
    return msgspec.json.decode(asset("negatives/index.json").read_bytes(), type=Index)


KEYS: dict[str, Callable[[Excerpt], str]] = {
    "source": lambda each: each.source,
    "author": lambda each: each.source if each.kind == "speech" else each.author,
    "recording": lambda each: (
        each.source if each.kind == "speech" else re.sub(r"[\d_.]*ogg$", "", each.source)
    ),
    "text": lambda each: each.text or each.source,
}


@pytest.mark.parametrize("what", KEYS)
def test_the_parts_share_nothing(index: Index, what: str) -> None:
    """No voice or file, no author of recordings, no take of one sound, no sentence is in two parts."""
    parts: dict[str, set[str]] = {}
    for name, excerpts in index.files.items():
        for each in excerpts:
            parts.setdefault(KEYS[what](each), set()).add(name.partition("-")[0])
    parts.pop("in modern-alarm-clock", None)  # who put a collection together recorded none of it
    assert {key for key, found in parts.items() if len(found) > 1} == set()


def test_every_sound_may_be_passed_on_and_says_whose_it_is(index: Index) -> None:
    listed = asset("negatives/SOURCES.md").read_text(encoding="utf-8")
    for excerpts in index.files.values():
        for each in excerpts:
            assert each.author not in ("", "N/A")
            assert each.licence in ("CC0", "CC BY 3.0", "CC BY 4.0")
            assert f"| {each.source} | {each.author} | {each.licence} |" in listed
            # Recordings in Debian's packages are read for training and not passed on.
            if each.kind == "speech":
                assert each.text
                assert each.source.startswith(("espeak-ng ", "flite "))
            else:
                assert each.source.endswith(".ogg")


def test_no_sentence_holds_a_number_or_a_command(index: Index) -> None:
    """A spotter of digits or of usual commands loses no speech."""
    said = [e.text for found in index.files.values() for e in found if e.name.startswith("speech-en")]
    words = (
        "zero one two three four five six seven eight nine ten "
        "yes no up down left right on off stop go bed cat happy"
    )
    assert [word for word in words.split() for text in said if says(text, [word])] == []


@pytest.mark.parametrize("part", SPLITS)
def test_there_is_enough_of_everything(part: Split) -> None:
    seconds, languages = {"speech": 0.0, "noise": 0.0}, set()
    for sound in bank_sounds(part, 16_000):
        assert np.isfinite(sound.samples).all()
        assert 0.3 < np.abs(sound.samples).max() <= 1
        seconds[sound.kind] += len(sound.samples) / 16_000
        if sound.kind == "speech":
            languages.add(sound.name)
    assert all(each > 60 for each in seconds.values())
    assert len(languages) >= 6


def test_it_stays_small() -> None:
    assert sum(path.stat().st_size for path in asset("negatives/index.json").parent.iterdir()) < 4_000_000


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("dog", "bark"), ("dog_bark", "dog"), ("Dogs", "bark"), ("gun_shot", "fire"), ("doorbell", "bell"),
        ("DogBark", "puppy"), ("knocking", "knock"), ("engine_idling", "motor"),
    ],
)  # fmt: skip
def test_what_may_be_a_class_is_left_out(label: str, word: str) -> None:
    whole = [sound.name for part in SPLITS for sound in bank_sounds(part, 16_000)]
    kept = [sound.name for part in SPLITS for sound in bank_sounds(part, 16_000, without=[label])]
    assert any(word in name for name in whole)
    assert not any(word in name.split("_") for name in kept)
    assert len(kept) > 0.7 * len(whole)


@pytest.mark.parametrize(
    ("label", "made"),
    [
        ("siren", tones), ("doorbell", tones), ("engine_idling", machine), ("rain", rustle),
        ("air_conditioner", fan), ("door", knocks), ("Keyboard", knocks),
    ],
)  # fmt: skip
def test_synthetic_sound_that_may_be_a_class_is_left_out(label: str, made: Generator) -> None:
    assert made in Negatives("train", 16_000).noises
    kept = Negatives("train", 16_000, without=[label]).noises
    assert made not in kept
    assert coloured_noise in kept


def test_speech_goes_by_what_is_said() -> None:
    def heard(*classes: str) -> int:
        return sum(sound.kind == "speech" for sound in bank_sounds("train", 16_000, without=classes))

    assert heard("happy", "cat", "speech", "speech-en") == heard() > 60
    assert 0 < heard("river") < heard()
    assert heard("Rivers") == heard("river")
    assert 0 < heard("дождь") < heard()
    assert heard("river garden") == heard("river"), "a phrase: all of its words"
    assert heard("river boat") == heard()


@pytest.mark.parametrize("make", [*NOISES, melody, self_noise])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_synthetic_sound(make: Generator, rate: int) -> None:
    for n in (1, 100, rate):
        samples = make(np.random.default_rng(n), n, rate)
        assert (samples.shape, samples.dtype) == ((n,), np.float32)
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= 1.0001
    again = make(np.random.default_rng(rate), rate, rate)
    np.testing.assert_array_equal(again, make(np.random.default_rng(rate), rate, rate))


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_streams_are_the_same_for_the_same_arguments(rate: int) -> None:
    one, same = (negative_streams("validation", rate, 20, seed=3) for _ in range(2))
    other = negative_streams("validation", rate, 20, seed=4)
    assert [stream.kind for stream in one] == list(KINDS)
    for a, b, c in zip(one, same, other, strict=True):
        assert (len(a.samples), a.samples.dtype) == (20 * rate, np.float32)
        np.testing.assert_array_equal(a.samples, b.samples)
        assert not np.array_equal(a.samples, c.samples)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bundled_model_hears_what_they_are(kind: Kind) -> None:
    """An ear that knows nothing of how they were made."""
    model = Model.bundled()
    (stream,) = negative_streams("test", 16_000, 60, kinds=[kind])
    probs = StreamClassifier(model).push(stream.samples).scores.probs.mean(axis=0)
    if kind == "silence":
        assert probs[model.labels.index("speech")] < 0.1
        assert probs.max() < 0.5  # a loud hum is a tone to it
        assert np.abs(stream.samples).max() < 0.03
    else:
        assert model.labels[int(probs.argmax())] == kind
        assert probs.max() > 0.4


@pytest.mark.parametrize("part", SPLITS)
def test_silence_comes_in_steps(part: Split) -> None:
    """Zeros, a constant and the noise of microphones; never one of them alone for minutes."""
    (stream,) = negative_streams(part, 16_000, 300, kinds=["silence"])
    seconds = stream.samples.reshape(-1, 16_000).astype(np.float64)
    rms = 20 * np.log10(np.sqrt(np.mean(np.square(seconds), axis=1)) + 1e-9)
    assert (rms < -150).any()
    assert len(np.unique(np.round(rms))) > 10
    assert rms.max() < -47


@pytest.mark.parametrize("kind", ["speech", "music", "noise"])
def test_levels_are_those_of_a_home_and_nothing_clips(kind: Kind) -> None:
    (stream,) = negative_streams("train", 16_000, 240, kinds=[kind])
    seconds = stream.samples.reshape(-1, 16_000).astype(np.float64)
    rms = 20 * np.log10(np.sqrt(np.mean(np.square(seconds), axis=1)) + 1e-9)
    assert np.percentile(rms, 95) > -22
    assert np.percentile(rms, 5) < -30
    assert np.mean(np.abs(stream.samples) >= 1) < 1e-4


def test_pieces_of_any_length() -> None:
    negatives = Negatives("train", 16_000)
    for kind in KINDS:
        for n in (1, 999, 50_000):
            assert negatives.draw(kind, np.random.default_rng(0), n).shape == (n,)
