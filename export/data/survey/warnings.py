"""What is likely to spoil training, found before it: each kind of fault is one line with the recordings it is about.

What tells classes apart without being them is learnt instead of them: level, bandwidth, a voice, silence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from export.data.recording import Recording
from export.data.survey.classes import NO_CLASS, ClassFigures
from export.data.survey.division import Division
from export.data.survey.listening import Heard
from export.data.survey.sound import Sound
from stream.printable import printable

FEWEST_SOURCES = (
    5  # of a class: one for validation, one for the test, and some to learn what they have in common
)
_NAMED = 3  # recordings or classes that a line names
_ENOUGH = 5  # recordings of a class from which what is usual for it can be told
_MOSTLY_SILENT, _CLIPPED = 0.85, 0.001
_SHORTEST_SECONDS = 0.1
_LENGTHS_APART, _LONG_SECONDS = 8.0, 10.0
_CLASS_LEVELS_APART_DB, _FILE_LEVEL_APART_DB = 10.0, 20.0
_BANDS_APART, _RATES_APART = 2 / 3, 0.5
_SHARES_APART = 5.0
_MOST_OF_A_CLASS, _SHARE_OF_A_CLASS, _MOST_SPEAKERS = 0.5, 0.1, 0.8


@dataclass(frozen=True, slots=True)
class DataWarning:
    """One kind of fault.

    Attributes:
        kind: its name, for programs.
        text: what is wrong, what comes of it, and what to do.
        named: the recordings (file and row) or classes it is about, all of them.
    """

    kind: str
    text: str
    named: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line, with the first few names."""
        shown = "; ".join(self.named[:_NAMED])
        more = len(self.named) - _NAMED
        return printable(
            self.text + (f": {shown}" if shown else "") + (f"; and {more} more" if more > 0 else "")
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the checks look at. ``nyquist``: Hz, above which training hears nothing."""

    recordings: Sequence[Recording]
    classes: Sequence[ClassFigures]
    heard: Heard
    nyquist: float

    def usual(self) -> Sequence[ClassFigures]:
        """Classes of which enough was read."""
        return [c for c in self.classes if c.name != NO_CLASS and c.read - c.unreadable >= _ENOUGH]

    def where(self, chosen: Callable[[Sound], bool], told: Callable[[Sound], str]) -> tuple[str, ...]:
        """The recordings that are so, each with a word."""
        return tuple(
            f"{self.recordings[i].where} {told(sound)}"
            for i, sound in sorted(self.heard.sounds.items())
            if chosen(sound)
        )


def find_warnings(
    division: Division, classes: Sequence[ClassFigures], heard: Heard, sample_rate: int
) -> tuple[DataWarning, ...]:
    """All that looks wrong, the worst first.

    Args:
        division: the data set with its parts.
        classes: figures of its classes.
        heard: what was measured.
        sample_rate: Hz, to which training resamples.
    """
    seen = _Seen(division.data.recordings, classes, heard, sample_rate / 2)
    refused = [DataWarning("refused", f"training would refuse this: {division.problem}")]
    return (*(refused if division.problem else ()), *(each for check in _CHECKS for each in check(seen)))


def _unreadable(seen: _Seen) -> Iterator[DataWarning]:
    for each in seen.classes:
        if each.read and each.read == each.unreadable:
            yield DataWarning(
                "no_sound",
                f"class {each.name or '(none)'}: not one of its {each.recordings} recordings can be read, "
                "so it cannot be learnt; convert them to WAV or FLAC",
            )
    if bad := seen.heard.unreadable:
        yield DataWarning(
            "unreadable",
            f"{_count(len(bad), 'recording')} cannot be read and will be left out",
            tuple(f"{seen.recordings[i].where}: {reason}" for i, reason in sorted(bad.items())),
        )


def _few_sources(seen: _Seen) -> Iterator[DataWarning]:
    few = [c for c in seen.classes if c.name != NO_CLASS and c.sources < FEWEST_SOURCES]
    if few:
        yield DataWarning(
            "few_sources",
            f"{_count(len(few), 'class', 'classes')} with fewer than {FEWEST_SOURCES} speakers or sources, "
            "so the figures will say little about others; record more of them",
            tuple(f"{c.name} ({c.sources})" for c in few),
        )


def _same_content(seen: _Seen) -> Iterator[DataWarning]:
    by_content: dict[str, list[Recording]] = defaultdict(list)
    for i, sound in sorted(seen.heard.sounds.items()):
        if sound.bandwidth:  # files of digital silence are alike, which is another fault
            by_content[sound.content].append(seen.recordings[i])
    labels: list[str] = []
    splits: list[str] = []
    copies: list[str] = []
    for same in by_content.values():
        if len(same) > 1:
            named = " = ".join(recording.where for recording in same[:_NAMED])
            differ = [len({r.labels for r in same}) > 1, len({r.split for r in same}) > 1]
            (labels if differ[0] else splits if differ[1] else copies).append(named)
    if labels:
        yield DataWarning(
            "two_classes",
            f"the same sound has different labels in {_count(len(labels), 'case')}, of which one is wrong",
            tuple(labels),
        )
    if splits:
        yield DataWarning(
            "leak",
            f"the same sound is in training and held out in {_count(len(splits), 'case')}, so figures come out "
            "too good; remove one of each",
            tuple(splits),
        )
    if copies:
        yield DataWarning(
            "copies",
            f"the same sound is there more than once in {_count(len(copies), 'case')}",
            tuple(copies),
        )


def _sound_itself(seen: _Seen) -> Iterator[DataWarning]:
    silent = seen.where(lambda s: s.silence > _MOSTLY_SILENT, lambda s: f"{100 * s.silence:.0f} %")
    if silent:
        yield DataWarning(
            "silence",
            f"{_count(len(silent), 'recording')} mostly silent, so silence is learnt as the class; cut them to "
            "the sound, or mark it with onset and offset",
            silent,
        )
    clipped = seen.where(lambda s: s.clipped > _CLIPPED, lambda s: f"{100 * s.clipped:.1f} % of samples")
    if clipped:
        yield DataWarning(
            "clipped", f"{_count(len(clipped), 'recording')} clipped; record with less gain", clipped
        )
    short = seen.where(lambda s: s.seconds < _SHORTEST_SECONDS, lambda s: f"{s.seconds:.2g} s")
    if short:
        yield DataWarning(
            "short",
            f"{_count(len(short), 'recording')} shorter than {_SHORTEST_SECONDS:g} s, of which little can be learnt",
            short,
        )


def _unlike_their_class(seen: _Seen) -> Iterator[DataWarning]:
    usual = {each.name: each for each in seen.usual()}
    spread = {
        name: max(_FILE_LEVEL_APART_DB, 6 * float(np.median(np.abs(np.array(each.levels) - each.level))))
        for name, each in usual.items()
    }
    long, level = [], []
    for i, sound in sorted(seen.heard.sounds.items()):
        recording = seen.recordings[i]
        for label in recording.labels:
            if label not in usual:
                continue
            each = usual[label]
            if (
                sound.seconds > max(_LONG_SECONDS, _LENGTHS_APART * each.median_seconds)
                and recording.events is None
            ):
                long.append(f"{recording.where} {sound.seconds:.0f} s")
            if sound.bandwidth and abs(sound.level - each.level) > spread[label]:
                level.append(f"{recording.where} {sound.level:.0f} dBFS, its class {each.level:.0f}")
    if long:
        yield DataWarning(
            "long",
            f"{_count(len(long), 'recording')} more than {_LENGTHS_APART:g} times as long as usual in the class, "
            "all of it learnt as the class; cut them, or mark the sound with onset and offset",
            tuple(dict.fromkeys(long)),
        )
    if level:
        yield DataWarning(
            "level",
            f"{_count(len(level), 'recording')} at another level than the rest of the class",
            tuple(dict.fromkeys(level)),
        )


def _classes_apart(seen: _Seen) -> Iterator[DataWarning]:
    usual = seen.usual()
    level, band = [], []
    for each in usual:
        others = [c for c in usual if c is not each]
        if not others:
            return
        elsewhere = float(np.median([c.level for c in others]))
        if abs(each.level - elsewhere) > _CLASS_LEVELS_APART_DB:
            level.append(f"{each.name} {each.level:.0f} dBFS, others {elsewhere:.0f}")
        own = min(each.bandwidth, seen.nyquist)
        usually = float(np.median([min(c.bandwidth, seen.nyquist) for c in others]))
        if own and own < _BANDS_APART * usually:
            band.append(f"{each.name} up to {own:.0f} Hz, others {usually:.0f} Hz")
    if level:
        yield DataWarning(
            "class_level",
            f"{_count(len(level), 'class', 'classes')} at another level than the others, which would be learnt "
            "instead of the sound; record all alike",
            tuple(level),
        )
    if band:
        yield DataWarning(
            "class_bandwidth",
            f"{_count(len(band), 'class', 'classes')} with less bandwidth than the others, which would be learnt "
            "instead of the sound; record all alike, or train with --sample-rate 8000",
            tuple(band),
        )
    yield from _rates_apart(seen, usual)


def _rates_apart(seen: _Seen, usual: Sequence[ClassFigures]) -> Iterator[DataWarning]:
    """Sample rates below that of training, in some classes only."""

    def low(each: ClassFigures) -> float:
        slow = sum(n for rate, n in each.sample_rates.items() if rate < 2 * seen.nyquist)
        return slow / max(1, sum(each.sample_rates.values()))

    apart = []
    for each in usual:
        others = [low(c) for c in usual if c is not each]
        if others and low(each) - float(np.median(others)) > _RATES_APART:
            rate = next(rate for rate in each.sample_rates if rate < 2 * seen.nyquist)
            apart.append(f"{each.name} {rate} Hz")
    if apart:
        yield DataWarning(
            "class_sample_rate",
            f"{_count(len(apart), 'class', 'classes')} with a lower sample rate than the others, which would be "
            "learnt instead of the sound; record all alike, or train with a --sample-rate that all have",
            tuple(apart),
        )


def _late_events(seen: _Seen) -> Iterator[DataWarning]:
    """Strong labels after the end of the sound, of which training learns nothing."""
    late = tuple(
        f"{recording.where} {event.label} at {event.onset:g} s of {sound.seconds:.1f} s"
        for i, sound in sorted(seen.heard.sounds.items())
        for recording in [seen.recordings[i]]
        for event in recording.events or ()
        if event.onset >= sound.seconds
    )
    if late:
        yield DataWarning(
            "late",
            f"{_count(len(late), 'event')} after the end of the recording; correct onset or file",
            late,
        )


def _one_class(seen: _Seen) -> Iterator[DataWarning]:
    names = [each.name for each in seen.classes if each.name != NO_CLASS]
    if len(names) == 1 and len(seen.classes) == 1 and all(r.events is None for r in seen.recordings):
        yield DataWarning(
            "one_class",
            f"{names[0]} is the only class, so there is nothing to tell it apart from; add other sound",
        )


def _imbalance(seen: _Seen) -> Iterator[DataWarning]:
    named = [c for c in seen.classes if c.name != NO_CLASS and c.seconds]
    if len(named) < 2:
        return
    most, least = max(named, key=lambda c: c.seconds), min(named, key=lambda c: c.seconds)
    times = most.seconds / least.seconds
    if times >= _SHARES_APART:
        yield DataWarning(
            "imbalance",
            f"class {most.name} has {times:.0f} times as much sound as {least.name}, which may be missed; record more "
            "of it, or train with --class-weights",
        )


def _one_voice(seen: _Seen) -> Iterator[DataWarning]:
    """Speakers of several recordings that are all in one class: the voice would be learnt."""
    if sum(c.name != NO_CLASS for c in seen.classes) < 2:
        return
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for recording in seen.recordings:
        if len(recording.labels) == 1:
            counts[recording.group].update(recording.labels)
    repeated = {group: count for group, count in counts.items() if count.total() > 1}
    shared = sum(len(count) > 1 for count in repeated.values())
    size = {c.name: c.recordings for c in seen.classes}
    mostly_shared = shared >= _MOST_SPEAKERS * len(repeated)
    alone = []
    for group, count in repeated.items():
        if len(count) == 1:
            ((label, n),) = count.items()
            share = _SHARE_OF_A_CLASS if mostly_shared else _MOST_OF_A_CLASS
            if n >= max(_ENOUGH, share * size[label]):
                alone.append(f"{group} in {label}, {n} of {size[label]} recordings")
    if alone:
        yield DataWarning(
            "one_voice",
            f"{_count(len(alone), 'speaker or source', 'speakers or sources')} heard in one class only, which would be "
            "learnt instead of the sound; add the same to other classes",
            tuple(alone),
        )


def _nobody_known(seen: _Seen) -> Iterator[DataWarning]:
    """Every recording is a source of its own: either so, or nobody has said whose it is."""
    groups = {recording.group for recording in seen.recordings}
    if len(groups) == len(seen.recordings) >= 4 * _ENOUGH:
        yield DataWarning(
            "no_sources",
            "no speaker or source is known, so one and the same may be in training and in the test, and figures come "
            "out too good; name them in a column speaker or source, or in the file names",
        )


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


_CHECKS: tuple[Callable[[_Seen], Iterator[DataWarning]], ...] = (
    _one_class,
    _unreadable,
    _late_events,
    _same_content,
    _few_sources,
    _nobody_known,
    _one_voice,
    _classes_apart,
    _unlike_their_class,
    _sound_itself,
    _imbalance,
)
