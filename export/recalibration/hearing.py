"""Sound without events, from files or a device, heard into a store of scores."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from export.data.class_folders import audio_files
from export.data.dataset import find_manifests, read_dataset
from export.evaluation.streams import push_all
from export.recalibration.score_store import About, HeardFile, PartWriter, ScoreStore
from stream.capture.files import FileSource, read_audio
from stream.capture.source import AudioSource
from stream.classifier import StreamClassifier
from stream.errors import DataError, UnreadableAudio
from stream.inference.session import Model
from stream.messages import Chunk, Result, Status
from stream.printable import unicode_text
from stream.runner import run

JOINED_SECONDS = 300.0  # shorter files are heard one after the other in a stream, until it is so long
_MANIFESTS = (".csv", ".tsv")
Progress = Callable[[float], None]


def about(model: Model) -> About:
    """Whose scores a store of this model's holds."""
    classifier, card = StreamClassifier(model), model.card
    spec = card.features
    behind = (card.stride - 1) * spec.hop_length
    first = classifier.reference
    return About(
        model=model.sha256,
        labels=model.labels,
        sample_rate=spec.sample_rate,
        hop=classifier.hop,
        lag=behind + spec.span - first,
    )


def negative_files(names: Sequence[str], labels: Sequence[str]) -> tuple[list[Path], int]:
    """The files of these names: files themselves, all in a folder, or those of a manifest.

    Args:
        names: of files, folders and manifests.
        labels: classes: what a manifest or a folder says is one of them is left out.

    Returns:
        The files, each once, and how many were left out.

    Raises:
        UnreadableAudio: one that was named cannot be read.
        DataError: a folder or manifest that cannot be read, or nothing is left.
    """
    found: dict[Path, Path] = {}
    left_out = 0
    for name in names:
        path = Path(name)
        if path.is_dir() or path.suffix.lower() in _MANIFESTS:
            files, without = _of_folder(path, labels)
            left_out += without
        else:
            FileSource(path).close()  # says what is wrong with it
            files = [path]
        for file in files:
            found.setdefault(file.resolve(), file)
    if not found:
        which = f"all {left_out} recordings are of the model's classes" if left_out else "no recording there"
        raise DataError(
            f"negatives {', '.join(map(unicode_text, names))}: {which}; give sound without any event"
        )
    return list(found.values()), left_out


def _of_folder(path: Path, labels: Sequence[str]) -> tuple[list[Path], int]:
    if path.is_dir() and not find_manifests(path):
        files = audio_files(path)
        kept = [f for f in files if not set(f.relative_to(path).parts[:-1]) & set(labels)]
        return kept, len(files) - len(kept)
    recordings = read_dataset(path).recordings
    free = [r.path for r in recordings if not set(r.labels) & set(labels)]
    return free, len(recordings) - len(free)


def hear_files(
    store: ScoreStore, model: Model, files: Sequence[Path], hours: float, progress: Progress
) -> list[tuple[Path, str]]:
    """Hear files that the store does not hold yet, until it holds so many hours.

    Each file of five minutes or more is a stream of its own; shorter ones are heard one after the other. Whatever ends
    the program, what was heard to the end of a stream is kept.

    Args:
        store: to fill.
        model: that hears them.
        files: in order.
        hours: enough.
        progress: told the hours that the store holds.

    Returns:
        What is to be said about some of them: that they could not be read, or only in part.
    """
    known = {file.key for part in store.parts.values() for file in part.files}
    notes: list[tuple[Path, str]] = []
    new = [file for file in files if _key(file) not in known]
    for group in _streams(new, notes):
        held = store.hours
        if held >= hours:
            break
        classifier = StreamClassifier(model)
        with store.begin(unicode_text(group[0].name), live=False) as part:
            heard: list[HeardFile] = []
            for path in group:
                try:
                    for result in _results(classifier, path, len(group) == 1, notes):
                        part.add(result.scores)
                        progress(held + _part_hours(part, store))
                except UnreadableAudio as error:
                    notes.append((path, f"left out: {error}"))
                    continue
                heard.append(_heard(path))
            part.add(classifier.flush().scores)
            part.finish(heard)
    return notes


def _streams(files: Sequence[Path], notes: list[tuple[Path, str]]) -> Iterator[list[Path]]:
    """Files that are heard in one stream; those that cannot be opened are noted."""
    joined: list[Path] = []
    length = 0.0
    for path in files:
        try:
            with FileSource(path) as source:
                duration = source.info().duration
                seconds = JOINED_SECONDS if duration is None else duration / source.sample_rate
        except UnreadableAudio as error:
            notes.append((path, f"left out: {error}"))
            continue
        if seconds >= JOINED_SECONDS:
            yield [path]
            continue
        joined.append(path)
        length += seconds
        if length >= JOINED_SECONDS:
            yield joined
            joined, length = [], 0.0
    if joined:
        yield joined


def _results(
    classifier: StreamClassifier, path: Path, alone: bool, notes: list[tuple[Path, str]]
) -> Iterator[Result]:
    if alone:  # it may be hours long
        with FileSource(path) as source:
            yield from map(classifier.push, source)
            if truncated := source.report().truncated:
                notes.append((path, f"{truncated}; what comes before is used"))
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        samples = read_audio(path, classifier.sample_rate)
    notes += [(path, str(each.message)) for each in told]
    yield from push_all(classifier, samples)


def _key(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return unicode_text(str(path.resolve())), status.st_size, status.st_mtime_ns


def _heard(path: Path) -> HeardFile:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return HeardFile(*_key(path), digest)


def hear_source(
    store: ScoreStore, model: Model, source: AudioSource, hours: float, progress: Progress
) -> None:
    """Listen until the store holds so many hours, or the source ends or is closed.

    What is lost, and a flat line of a microphone that is muted, is not listened to: only rows of scores count.

    Args:
        store: to fill; what is heard is kept from the first row on.
        model: that listens.
        source: live.
        hours: enough.
        progress: told the hours that the store holds.
    """
    if store.hours >= hours:
        return
    with store.begin(unicode_text(source.info().name), live=True) as part:
        scores = _Scores(part, store, hours, source.close, progress)
        run(source, StreamClassifier(model), [scores], history_seconds=None)


class _Scores:
    """A sink that writes scores until there are enough of them."""

    def __init__(
        self, part: PartWriter, store: ScoreStore, hours: float, stop: Callable[[], None], progress: Progress
    ) -> None:
        self._part, self._store, self._hours = part, store, hours
        self._stop, self._progress = stop, progress
        self._held = store.hours
        self._flat = False

    def chunk(self, chunk: Chunk) -> None:
        """A flat line says nothing about false alarms."""
        self._flat = chunk.state == "silent"

    def result(self, result: Result) -> None:
        """Keep the scores; enough of them end the listening."""
        held = self._held + _part_hours(self._part, self._store)
        if not self._flat and held < self._hours:
            self._part.add(result.scores)
        self._progress(held)
        if held >= self._hours:
            self._stop()

    def status(self, status: Status) -> None:
        """What the source does shows in the scores that come, or do not."""

    def close(self) -> None:
        """The part is closed by whoever opened it."""


def _part_hours(part: PartWriter, store: ScoreStore) -> float:
    return part.rows * store.about.hop / store.about.sample_rate / 3600
