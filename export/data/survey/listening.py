"""Many recordings, measured in threads: decoders and NumPy free the interpreter."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from export.data.recording import Recording
from export.data.survey.sound import Sound, measure
from stream.errors import DataError

MOST_READ = 10_000
"""Recordings up to which a data set is read whole."""
SAMPLE_PER_CLASS = 500
"""Recordings that are read of each class of a larger one, evenly over their order, unless all are asked for."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What listening gave.

    Attributes:
        sounds: index of a recording -> what was measured; those that were not read are missing.
        unreadable: index -> why it cannot be used.
    """

    sounds: Mapping[int, Sound]
    unreadable: Mapping[int, str]


def listen(
    recordings: Sequence[Recording],
    *,
    everything: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Heard:
    """Measure recordings.

    Args:
        recordings: which.
        everything: also of data sets with more than 10 000 recordings, of which else 500 a class are read. A class
            of whose sample nothing can be read is read on.
        workers: threads; None = one per core.
        progress: called with (done, all).
    """
    by_class: dict[str, list[int]] = defaultdict(list)
    for i, recording in enumerate(recordings):
        for label in recording.labels or ("",):
            by_class[label].append(i)
    count = None if everything or len(recordings) <= MOST_READ else SAMPLE_PER_CLASS
    first = sorted({i for members in by_class.values() for i in _evenly(members, count)})
    sounds: dict[int, Sound] = {}
    unreadable: dict[int, str] = {}

    def read(chosen: Sequence[int]) -> None:
        total = len(sounds) + len(unreadable) + len(chosen)
        pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
        try:
            for i, found in zip(chosen, pool.map(_measure, (recordings[i] for i in chosen)), strict=True):
                if isinstance(found, Sound):
                    sounds[i] = found
                else:
                    unreadable[i] = found
                if progress is not None:
                    progress(len(sounds) + len(unreadable), total)
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C no further file is opened

    read(first)
    for members in by_class.values():
        rest = [i for i in members if i not in sounds and i not in unreadable]
        if rest and not any(i in sounds for i in members):
            read(rest)
    return Heard(sounds, unreadable)


def _evenly(members: Sequence[int], count: int | None) -> Sequence[int]:
    """At most ``count`` of them, from the first to the last."""
    if count is None or len(members) <= count:
        return members
    return [members[k * len(members) // count] for k in range(count)]


def _measure(recording: Recording) -> Sound | str:
    """What was measured, or why nothing was."""
    try:
        return measure(recording.path)
    except DataError as error:
        return str(error)
