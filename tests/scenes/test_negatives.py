"""What is no class: recordings of known origin in parts that share no source, synthetic sound, and streams of both."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from export.data.recording import SPLITS, Split
from export.scenes.bank import Index, bank_sounds
from export.scenes.negatives import KINDS, Kind, Negatives, negative_streams
from export.scenes.synthetic import NOISES, Generator, melody, self_noise
from stream import Model, StreamClassifier
from stream.installation import asset


@pytest.fixture(scope="module")
def index() -> Index:
    return msgspec.json.decode(asset("negatives/index.json").read_bytes(), type=Index)


def test_the_parts_share_no_source(index: Index) -> None:
    parts: dict[str, set[str]] = {}
    for name, excerpts in index.files.items():
        for each in excerpts:
            # Languages of one synthesiser and songs of one collection are sources of their own.
            shared = each.source in ("espeak-ng", "sonic-pi-samples", "asterisk-moh-opsound-wav")
            parts.setdefault(each.name if shared else each.source, set()).add(name.partition("-")[0])
    assert all(len(each) == 1 for each in parts.values())


def test_every_source_has_a_licence_and_an_author(index: Index) -> None:
    listed = asset("negatives/SOURCES.md").read_text()
    for excerpts in index.files.values():
        for each in excerpts:
            assert each.author
            assert each.licence.startswith(("CC0", "CC BY", "BSD"))
            assert f"| {each.source} | {each.author} | {each.licence} |" in listed


@pytest.mark.parametrize("part", SPLITS)
def test_there_is_enough_of_everything(part: Split) -> None:
    seconds = dict.fromkeys(KINDS, 0.0)
    for sound in bank_sounds(part, 16_000):
        assert np.isfinite(sound.samples).all()
        assert 0.3 < np.abs(sound.samples).max() <= 1
        seconds[sound.kind] += len(sound.samples) / 16_000  # type: ignore[index]
    assert all(seconds[kind] > 60 for kind in ("speech", "music", "noise"))


@pytest.mark.parametrize(
    ("label", "word"),
    [("dog", "bark"), ("dog_bark", "dog"), ("Dogs", "bark"), ("gun_shot", "fire"), ("doorbell", "bell")],
)
def test_what_may_be_a_class_is_left_out(label: str, word: str) -> None:
    whole = [sound.name for part in SPLITS for sound in bank_sounds(part, 16_000)]
    kept = [sound.name for part in SPLITS for sound in bank_sounds(part, 16_000, without=[label])]
    assert any(word in name for name in whole)
    assert not any(word in name.split("_") for name in kept)
    assert len(kept) > 0.7 * len(whole)


def test_words_do_not_lose_other_speech() -> None:
    assert len(bank_sounds("train", 16_000, without=["happy", "cat", "speech"])) > 100


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
        assert probs.max() < 0.1
        assert np.abs(stream.samples).max() < 0.02
    else:
        assert model.labels[int(probs.argmax())] == kind
        assert probs.max() > 0.4


def test_pieces_of_any_length() -> None:
    negatives = Negatives("train", 16_000)
    for kind in KINDS:
        for n in (1, 999, 50_000):
            assert negatives.draw(kind, np.random.default_rng(0), n).shape == (n,)
