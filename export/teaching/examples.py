"""Examples of a sound: recordings, and the part of each in which it sounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.scenes.sound_store import block_power
from stream.capture.files import read_audio
from stream.capture.suffixes import AUDIO_SUFFIXES
from stream.errors import DataError
from stream.review.verdicts import Said, is_reviewed, reviewed_files

Array = NDArray[np.float32]
LONGEST_SECONDS = 6.0  # of one example; of a longer one the part about its loudest moment is taken
_RANGE_DB = 35.0  # a sound is over where it is so far below its loudest moment,
_SHARE_OF_RANGE = 0.35  # or where it comes so near to the noise beneath it: this share of the way up
_LEAST_ABOVE_DB = 6.0  # the loudest moment must be so far above the noise, or nothing sounds
_BRIDGED_SECONDS = 0.4  # pauses within one sound
_MARGIN_SECONDS = 0.03


@dataclass(frozen=True, eq=False, slots=True)
class Example:
    """A sound without what is before and after it.

    Attributes:
        name: of the file, for people.
        samples: (n,) float32.
    """

    name: str
    samples: Array


def audio_files(
    places: Iterable[str | Path], *, said: Said | None = None, label: str | None = None
) -> list[Path]:
    """Files, and all recordings in folders and below, in order of their names.

    Of clips that ``stream-classify review`` judged (their folder, or its review.csv), those that are asked for.

    Args:
        places: files and folders.
        said: of judged clips, those of which this was said.
        label: of judged clips, those that are this sound.

    Raises:
        DataError: a place that is not there, or no recording in any.
        OutputError: a review.csv that cannot be read.
    """
    found: list[Path] = []
    names = [Path(place) for place in places]
    for place in names:
        if not place.exists():
            raise DataError(f"{place}: no such file or folder; give recordings of the sound")
        if (said or label) and is_reviewed(place):
            judged = reviewed_files(place, said, label)
            if not judged:
                raise DataError(
                    f"{place}: no clip in it was judged to be {label or said}; see stream-classify review"
                )
            found += sorted(judged)
            continue
        inside = (
            sorted(p for p in place.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
            if place.is_dir()
            else [place]
        )
        found += inside
    if not found:
        raise DataError(
            f"{', '.join(map(str, names))}: no recording in it; want audio files such as .wav or .flac"
        )
    return found


def read_examples(files: Iterable[Path], sample_rate: int) -> list[Example]:
    """One example a file: the part of it that sounds.

    Raises:
        DataError: a file in which nothing sounds.
        UnreadableAudio: a file that cannot be read.
    """
    found = []
    for file in files:
        samples = np.nan_to_num(read_audio(file, sample_rate))
        first, last = sounding(samples, sample_rate)
        if last <= first:
            raise DataError(f"{file}: nothing sounds in it above the noise; leave it out, or record it again")
        found.append(Example(file.name, samples[first:last]))
    return found


def sounding(samples: Array, sample_rate: int) -> tuple[int, int]:
    """(begin, end) of the sound about the loudest moment of a recording; (0, 0) where nothing stands out.

    Pauses of up to 0.4 s belong to it. Where the recording has noise of its own, the sound ends near to that.
    """
    block = max(1, sample_rate // 100)
    power = block_power(samples, sample_rate)
    if not len(power) or power.max() <= 1e-10:
        return 0, 0
    smooth = np.convolve(power, np.full(3, 1 / 3, np.float32), "same")
    decibels = 10 * np.log10(np.maximum(smooth, 1e-12))
    peak, floor = float(decibels.max()), float(np.percentile(decibels, 10))
    if len(power) > 150 and peak - floor < _LEAST_ABOVE_DB:
        return 0, 0  # more than a moment, and nothing but even noise
    level = max(
        peak - _RANGE_DB, floor + _SHARE_OF_RANGE * (peak - floor) if floor < peak - 12 else peak - _RANGE_DB
    )
    loud = np.flatnonzero(decibels >= level)
    middle = int(np.searchsorted(loud, int(decibels.argmax())))
    first = last = middle
    bridged = round(_BRIDGED_SECONDS * 100)
    while first > 0 and loud[first] - loud[first - 1] <= bridged:
        first -= 1
    while last + 1 < len(loud) and loud[last + 1] - loud[last] <= bridged:
        last += 1
    margin = round(_MARGIN_SECONDS * sample_rate)
    begin = max(0, int(loud[first]) * block - margin)
    end = min(len(samples), (int(loud[last]) + 1) * block + margin)
    longest = round(LONGEST_SECONDS * sample_rate)
    if end - begin > longest:
        begin = int(np.clip(int(decibels.argmax()) * block - longest // 2, begin, end - longest))
        end = begin + longest
    return begin, end
