"""What sinks behind a guard can get hold of, at any moment and however a run ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stream.capture.files import read_audio
from stream.capture.source import ArraySource, SourceBase
from stream.classifier import StreamClassifier
from stream.errors import ModelError, SourceError
from stream.installation import asset
from stream.messages import Chunk, Result, SourceInfo, Status
from stream.outputs.kept import KeptSounds
from stream.outputs.outputs import Outputs
from stream.outputs.queued import EVERYTHING
from stream.outputs.sink import SOUNDLESS_FIELDS
from stream.privacy.redactor import Redactor
from stream.privacy.without_sound import WithoutSound
from stream.privacy.without_speech import WithoutSpeech
from stream.runner import run
from tests.privacy.test_redactor import RULE, toy
from tests.support.sound_scripts import RATE, expected, flat, free_of_speech, script

HISTORY_SECONDS = 5.0


class Scripted(SourceBase):
    """A source that gives these chunks, and then ends or fails."""

    def __init__(self, chunks: list[Chunk], failure: Exception | None = None) -> None:
        super().__init__()
        self._given, self._failure = chunks, failure

    @property
    def sample_rate(self) -> int:
        return self._given[0].sample_rate

    def info(self) -> SourceInfo:
        return SourceInfo("script", self.sample_rate)

    def __iter__(self) -> Iterator[Chunk]:
        yield from self._given
        if self._failure is not None:
            raise self._failure


class Curious:
    """A sink that reads all it can get, whenever it is called."""

    WANTS = EVERYTHING
    WRITES_SOUND = True
    OPTIONS = ()
    history_seconds = HISTORY_SECONDS

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []
        self.chunks: list[Chunk] = []
        self.results: list[Result] = []
        self.closings = 0

    def chunk(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self.seen.append(chunk.samples)
        self.look()

    def result(self, result: Result) -> None:
        self.results.append(result)
        self.look()

    def status(self, status: Status) -> None:
        self.look()

    def close(self) -> None:
        self.closings += 1
        self.look()

    def look(self) -> None:
        for result in self.results[-1:]:
            assert not result.features.size
            if result.sound is not None:
                self.seen.append(result.sound.read(*result.sound.span)[0])

    @property
    def values(self) -> np.ndarray:
        """All samples that were seen, each once; silence left out."""
        values = np.unique(np.concatenate([np.zeros(1, np.float32), *self.seen]))
        return values[np.isfinite(values) & (values != 0)]


def allowed(chunks: list[Chunk]) -> np.ndarray:
    kept = [chunk.samples for chunk in expected(chunks, free_of_speech(chunks, toy(), RULE))]
    values = np.unique(np.concatenate(kept))
    return values[np.isfinite(values) & (values != 0)]


def ends(source: SourceBase, sinks: list[Any], error: type[Exception] | None = None) -> None:
    classifier = StreamClassifier(toy())
    if error is None:
        run(source, classifier, sinks, history_seconds=HISTORY_SECONDS)
    else:
        with pytest.raises(error):
            run(source, classifier, sinks, history_seconds=HISTORY_SECONDS)


@pytest.mark.parametrize("rates", [(RATE,), (44_100, RATE)])
@pytest.mark.parametrize("failure", [None, SourceError("gone")])
def test_no_sink_ever_sees_a_sample_that_is_not_free(
    rates: tuple[int, ...], failure: Exception | None
) -> None:
    chunks = script(3, rates=rates)
    curious = Curious()

    def guard(sinks: Any, history_seconds: float) -> WithoutSpeech:
        assert history_seconds == HISTORY_SECONDS
        return WithoutSpeech([*sinks, curious], Redactor(toy(), RULE), history_seconds=history_seconds)

    behind_a_queue = Curious()
    outputs = Outputs([(behind_a_queue, "curious", "")], guard=guard)
    ends(Scripted(chunks, failure), [outputs], None if failure is None else SourceError)
    for sink in (curious, behind_a_queue):
        assert sink.closings == 1
        np.testing.assert_array_equal(sink.values, allowed(chunks))
        assert len(sink.values) > 1000
        assert sum(len(chunk.samples) for chunk in sink.chunks) == sum(len(chunk.samples) for chunk in chunks)
    assert outputs.history_seconds == 0  # nothing else keeps the sound for them


def test_a_program_that_is_killed_has_written_nothing_that_was_still_held() -> None:
    chunks = script(3)
    for count in range(1, len(chunks), 7):
        curious = Curious()
        guard = WithoutSpeech([curious], Redactor(toy(), RULE))
        for chunk in chunks[:count]:
            guard.chunk(chunk)
        assert np.isin(curious.values, allowed(chunks)).all()


def test_a_model_that_fails_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = script(3)
    curious = Curious()
    redactor = Redactor(toy(), RULE)
    push, calls = redactor._classifier.push, iter(range(len(chunks)))

    def failing(chunk: Chunk) -> Result:
        if next(calls) == len(chunks) // 2:
            raise ModelError("no probability")
        return push(chunk)

    monkeypatch.setattr(redactor._classifier, "push", failing)
    ends(Scripted(chunks), [WithoutSpeech([curious], redactor)], ModelError)
    assert curious.closings == 1
    assert np.isin(curious.values, allowed(chunks)).all()


def test_results_come_at_once_and_lead_to_the_sound_that_is_free() -> None:
    chunks = [Chunk(np.full(160, 0.1, np.float32), at, RATE) for at in range(0, 4 * RATE, 160)]
    curious = Curious()
    guard = WithoutSpeech([curious], Redactor(toy(), RULE))
    ends(Scripted(chunks), [guard])
    last = curious.results[-2]  # before the last one, of flush
    assert last.end == 4 * RATE
    assert last.sound is not None
    assert last.sound.span == (0, 4 * RATE)  # by now: the rest came before the end


def test_without_sound_hands_on_what_was_heard_and_no_sound() -> None:
    curious = Curious()
    ends(Scripted(script(3)), [WithoutSound([curious])])
    assert curious.closings == 1
    assert not curious.chunks
    assert not curious.values.size
    assert sum(len(result.scores) for result in curious.results) > 100


def test_every_field_of_a_result_is_known_to_hold_sound_or_not() -> None:
    """A new field must be added here: to those that outputs may have in private, or to those that they may not."""
    withheld = {"sound", "features", "snapshot"}
    assert set(Result.__struct_fields__) - withheld == set(SOUNDLESS_FIELDS)


@pytest.mark.parametrize("rates", [(RATE,), (44_100, RATE)])
def test_outputs_that_write_no_sound_get_how_loud_it_is_and_no_sample(rates: tuple[int, ...]) -> None:
    quiet = type("Level", (Curious,), {"WRITES_SOUND": False})()
    chunks = script(3, rates=rates)
    ends(Scripted(chunks), [Outputs([(quiet, "level", "")], guard=lambda sinks, _: WithoutSound(sinks))])
    assert all(result.sound is None and not result.features.size for result in quiet.results)
    places, sound = flat(chunks)
    got_places, got = flat(quiet.chunks)
    np.testing.assert_array_equal(got_places, places)
    assert np.count_nonzero(np.isin(got[np.isfinite(got)], np.abs(sound))) == 0
    assert np.isfinite(got).sum() == np.isfinite(sound).sum()
    np.testing.assert_allclose(energies(got_places, got), energies(places, sound), rtol=1e-4)
    assert sum(chunk.missing for chunk in quiet.chunks) == sum(chunk.missing for chunk in chunks)


def energies(places: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """(tenths of a second,) sums of squares."""
    blocks = places[:, 0] * 10**6 + places[:, 1] // (places[:, 0] // 10)
    _, block = np.unique(blocks, return_inverse=True)
    return np.bincount(block, np.nan_to_num(samples.astype(float)) ** 2)


def test_keys_keep_what_is_free(tmp_path: Path) -> None:
    """The sound that the dashboard's keys keep stands behind the same guard."""
    sound = read_audio(asset("demo.ogg"), RATE)[: 9 * RATE]  # speech until 7.8 s, and again from 8.4 s on
    kept = KeptSounds(tmp_path)
    run(ArraySource(sound, RATE), StreamClassifier(toy()), [WithoutSpeech([kept], history_seconds=20.0)])
    assert kept.keep() == "kept 1"
    samples, _ = soundfile.read(kept.kept[0])
    assert len(samples) == 4 * RATE
    assert not samples.any()
    assert np.abs(sound[5 * RATE :]).max() > 0.1
