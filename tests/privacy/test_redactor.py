"""No sample comes out that is not known to be free of speech, and every one that is comes out as it was."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from stream.capture.files import read_audio
from stream.errors import ClosedError, ModelError, SpecError, UsageError
from stream.inference.session import Model
from stream.installation import asset
from stream.messages import Chunk
from stream.privacy.redactor import Redactor
from stream.privacy.speech_rule import SpeechRule
from tests.support.sound_scripts import RATE, expected, flat, free_of_speech, script
from tests.support.toy_models import toy_bytes, toy_card

RULE = SpeechRule(
    threshold=0.62, smoothing=0.1, before=0.3, after=0.1
)  # about half of what the toy model hears


@cache
def toy() -> Model:
    return Model(toy_bytes(toy_card(warmup=20)))


def redacted(chunks: list[Chunk], redactor: Redactor) -> list[Chunk]:
    out = [piece for chunk in chunks for piece in redactor.push(chunk)]
    return out + redactor.flush()


@pytest.mark.parametrize("rates", [(RATE,), (44_100,), (RATE, 8000, 48_000)])
@pytest.mark.parametrize("seed", [0, 2, 3])
def test_what_comes_out_is_what_the_definition_says(seed: int, rates: tuple[int, ...]) -> None:
    chunks = script(seed, rates=rates)
    redactor = Redactor(toy(), RULE)
    out = redacted(chunks, redactor)
    places, want = flat(expected(chunks, free_of_speech(chunks, toy(), RULE)))
    got_places, got = flat(out)
    np.testing.assert_array_equal(got_places, places)
    np.testing.assert_array_equal(got, want)
    assert np.count_nonzero(want) > 1000
    assert redactor.silenced >= np.sum(want == 0) > 1000
    starts = [(piece.start, piece.end) for piece in out if piece.sample_rate == rates[-1]]
    assert starts == sorted(starts)
    assert sum(chunk.missing for chunk in out) == sum(chunk.missing for chunk in chunks)


def test_sound_is_held_back_no_longer_than_it_says() -> None:
    sound = read_audio(asset("demo.ogg"), RATE)[: 30 * RATE]
    redactor = Redactor()
    assert 0.8 < redactor.delay_seconds < 1.1
    late, end = [], 0
    for start in range(0, len(sound), 160):
        for piece in redactor.push(Chunk(sound[start : start + 160], start, RATE)):
            end = piece.end
        late.append(start + 160 - end)
    assert max(late) <= redactor.delay_seconds * RATE + 160
    assert late[-1] > 0.5 * redactor.delay_seconds * RATE


def test_the_demo_loses_its_speech_and_keeps_its_music() -> None:
    sound = read_audio(asset("demo.ogg"), RATE)
    redactor = Redactor()
    out = np.concatenate([piece.samples for piece in redacted([Chunk(sound, 0, RATE)], redactor)])
    assert len(out) == len(sound)
    for onset, offset in [(4.22, 7.36), (8.03, 11.14), (26.22, 30.39), (31.16, 34.25), (48.67, 51.70)]:
        assert not out[round(onset * RATE) : round(offset * RATE)].any()
    for onset, offset in [(16.5, 25.0), (35.5, 39.0), (42.5, 47.5)]:
        kept = slice(round(onset * RATE), round(offset * RATE))
        np.testing.assert_array_equal(out[kept], sound[kept])


def test_sound_of_which_nothing_is_known_does_not_pile_up() -> None:
    """While samples are invalid no score comes; what waits for one is given out silenced."""
    redactor = Redactor(toy(), RULE)
    sound = np.random.default_rng(1).uniform(-1, 1, 2 * RATE).astype(np.float32)
    invalid = np.full(8 * RATE, np.nan, np.float32)
    out = redactor.push(Chunk(sound, 0, RATE))
    for start in range(0, len(invalid), 1600):
        out += redactor.push(Chunk(invalid[start : start + 1600], len(sound) + start, RATE))
    assert out[-1].end > len(sound) + 6 * RATE


def test_a_gap_that_goes_on_lets_go_of_the_sound_before_it() -> None:
    redactor = Redactor(toy(), RULE)
    sound = np.random.default_rng(1).uniform(-1, 1, RATE).astype(np.float32)
    redactor.push(Chunk(sound, 0, RATE))
    out = redactor.push(Chunk(sound[:0], RATE, RATE, missing=2 * RATE, state="recovering"))
    assert [(piece.end, piece.missing, piece.state) for piece in out[-2:]] == [
        (RATE, 0, "listening"),
        (RATE, 2 * RATE, "recovering"),
    ]
    assert not out[-2].samples.any()  # nobody listened on behind it


def test_after_an_error_nothing_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = Redactor(toy(), RULE)
    sound = np.random.default_rng(1).uniform(-1, 1, RATE).astype(np.float32)
    redactor.push(Chunk(sound, 0, RATE))

    def broken(*_: object) -> None:
        raise ModelError("no probability")

    with monkeypatch.context() as patch:
        patch.setattr(redactor._classifier._engine, "run", broken)
        with pytest.raises(ModelError):
            redactor.push(Chunk(sound, RATE, RATE))
    assert redactor.flush() == []


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a class 'speech'"):
        Redactor(Model(toy_bytes(toy_card(labels=("talk", "music", "noise")))))
    for wrong in ({"threshold": 0.0}, {"threshold": 1.0}, {"before": -0.1}, {"after": float("nan")}):
        with pytest.raises(SpecError):
            SpeechRule(**wrong)
    redactor = Redactor(toy(), RULE)
    redactor.push(Chunk(np.zeros(100, np.float32), 1000, RATE))
    with pytest.raises(UsageError, match="in order"):
        redactor.push(Chunk(np.zeros(100, np.float32), 900, RATE))
    redactor.reset()
    redactor.flush()
    with pytest.raises(ClosedError):
        redactor.push(Chunk(np.zeros(100, np.float32), 0, RATE))
