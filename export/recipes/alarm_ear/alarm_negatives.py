"""Hours in which nothing is an alarm or a repeating beep: composed scenes, and recordings as they are."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Split
from export.recipes.alarm_ear.alarm_mix import NEGATIVE
from export.recipes.alarm_ear.alarm_scenes import AlarmScene
from export.recipes.alarm_ear.alarm_settings import FEATURES
from export.recipes.alarm_ear.alarm_sources import bank
from export.recipes.alarm_ear.alarm_streams import (
    AlarmStreams,
    StreamSet,
    compose_set,
    load_set,
    read_streams,
    streams_in,
    write_streams,
)
from export.recipes.speech_music_noise.sources.rules import KINDS, SAMPLE_RATE
from export.scenes.negatives import negative_streams
from stream.capture.files import read_audio

Samples = NDArray[np.float32]
_STREAM_SECONDS = 300.0
_GAP_SECONDS = 0.4  # between two recordings
_LONGEST_SECONDS = 600.0  # of one recording, so that no piece of music fills an hour
_BUNDLED_SECONDS = 1800.0  # of each kind
URBAN = "city sounds (UrbanSound8K, for measuring alone)"


@dataclass(frozen=True, eq=False)
class Negatives:
    """Sound of a kind without events.

    Attributes:
        name: what it is.
        streams: of it.
    """

    name: str
    streams: AlarmStreams


def negatives(cache: Path, part: Split, composed_hours: float, recordings: Path | None) -> list[Negatives]:
    """All that there is of one part, by kind, made once and kept.

    Args:
        cache: of the recipe.
        part: which.
        composed_hours: of scenes with look-alikes and voices that say beep.
        recordings: folder that may hold urban/, which only the test hears.
    """
    scenes = StreamSet(f"{part}-negative", part, NEGATIVE, streams_in(composed_hours), 8)
    compose_set(cache, scenes)
    found = [Negatives("scenes with look-alikes and voices that say beep", load_set(cache, scenes))]
    source = bank(cache, part)
    for kind in KINDS:
        clips = sorted(source.clips(kind), key=lambda clip: (clip.corpus, clip.path))
        longest = round(_LONGEST_SECONDS * SAMPLE_RATE)
        found.append(
            _kept(
                cache, f"{part}-recorded-{kind}", f"{kind}, recordings one after the other",
                (source.read(clip, 0, min(clip.length, longest)) for clip in clips),
            )
        )  # fmt: skip
    made = (
        stream.samples
        for stream in negative_streams(part, SAMPLE_RATE, _BUNDLED_SECONDS, without=("beep", "alarm"), seed=5)
    )
    found.append(_kept(cache, f"{part}-bundled", "the bundled negatives, as teach hears them", made))
    if part == "test" and recordings is not None and (recordings / "urban" / "manifest.csv").is_file():
        found.append(_kept(cache, "test-urban", URBAN, _urban(recordings / "urban")))
    return found


def _kept(cache: Path, name: str, shown: str, sounds: Iterator[Samples]) -> Negatives:
    folder = cache / "streams" / f"{name}-{FEATURES.digest}"
    if not (folder / "sounders.json").is_file():
        streams = list(laid_end_to_end(sounds))
        write_streams(folder, (AlarmScene(each, []) for each in streams), len(streams), _STREAM_SECONDS)
    return Negatives(shown, read_streams(folder, _STREAM_SECONDS))


def laid_end_to_end(sounds: Iterator[Samples]) -> Iterator[Samples]:
    """Streams of ``_STREAM_SECONDS``; what is over at the end is left out."""
    n, gap = round(_STREAM_SECONDS * SAMPLE_RATE), np.zeros(round(_GAP_SECONDS * SAMPLE_RATE), np.float32)
    parts: list[Samples] = []
    length = 0
    for sound in sounds:
        parts += [sound, gap]
        length += len(sound) + len(gap)
        while length >= n:
            whole = np.concatenate(parts)
            yield whole[:n]
            parts = [whole[n:]]
            length = len(parts[0])


def _urban(folder: Path) -> Iterator[Samples]:
    with (folder / "manifest.csv").open(newline="") as text:
        rows: Sequence[dict[str, str]] = sorted(csv.DictReader(text), key=lambda row: row["filename"])
    for row in rows:
        yield read_audio(folder / row["filename"], SAMPLE_RATE)
