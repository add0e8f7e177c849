"""Read a data set: a folder of classes, a folder with a manifest, or a manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from export.data.class_folders import audio_files, class_folders, leftover, read_folder
from export.data.manifest import META_FOLDER, is_manifest, read_manifest
from export.data.recording import SPLIT_NAMES, Dataset, Split
from stream.errors import DataError
from stream.printable import printable

UNKNOWN = "_unknown_"
MANIFESTS = ("manifest.csv", "manifest.tsv", "meta/esc50.csv", "metadata/UrbanSound8K.csv", "meta.csv")
_AUDIO_FOLDERS = ("audio", "clips", "wav", "wavs", "sounds", "recordings", *SPLIT_NAMES)


def read_dataset(
    path: str | Path, labels: Sequence[str] | None = None, *, unknown: str | None = None
) -> Dataset:
    """The data set at ``path``, before it is split.

    A folder with a manifest.csv (or .tsv, or those of a public data set) is read by it; any other folder has
    one folder per class.

    Args:
        path: folder or manifest.
        labels: the classes in output order, for instance those of a model card; None = all, sorted.
        unknown: with ``labels``, the class that recordings of other classes become.

    Raises:
        DataError: nothing there, what cannot be read, or a label outside ``labels`` while ``unknown`` is None.
    """
    if not str(path).strip():
        raise DataError(
            "the name of the data is empty, perhaps an unset variable of the shell; give a folder"
        )
    path = Path(path)
    try:
        data = _read(path)
    except OSError as error:  # a folder that may not be read, a name that is too long
        where = path if error.filename is None else Path(os.fsdecode(error.filename))
        raise DataError(
            f"{printable(str(where))}: cannot be read: {error.strerror}; check the name and who may read it"
        ) from None
    return data if labels is None else _restrict(data, tuple(labels), unknown)


def _read(path: Path) -> Dataset:
    if path.is_dir():
        manifests = find_manifests(path)
        return _joined(path, manifests) if manifests else read_folder(path)
    if path.is_file():
        return read_manifest(path)
    raise DataError(
        f"{path}: no such folder or manifest; give a folder with one folder per class, or a CSV or TSV manifest"
    )


def find_manifests(root: Path) -> dict[Path, Split | None]:
    """The manifests of a folder, each with the split its name stands for; {} if it has one folder per class.

    Raises:
        DataError: there are several, and which to use is not clear.
    """
    for name in MANIFESTS:
        if (root / name).is_file():
            return {root / name: None}
    tops = class_folders(root)
    sound = [each for each in tops if audio_files(each)]
    if len([each for each in sound if each.name.lower() not in _AUDIO_FOLDERS]) > 1 and not any(
        META_FOLDER.search(each.name) for each in tops
    ):
        return {}
    truth = [each for each in tops if "ground_truth" in each.name]
    meta = [each for each in tops if META_FOLDER.search(each.name)]
    for folders in ([root], truth, meta):
        tables = [p for f in folders for p in sorted(f.glob("*" if f == root else "**/*")) if _is_table(p)]
        found = {path: _split_of(path, root) for path in tables if is_manifest(path)}
        if (divided := {p: s for p, s in found.items() if s is not None}) and len(found) > 1:
            if "train" not in divided.values():  # development and evaluation
                divided = {p: "train" if "dev" in _words(p.stem) else s for p, s in divided.items()}
            return dict(divided)
        if len(found) > 1:
            names = ", ".join(p.relative_to(root).as_posix() for p in found)
            raise DataError(
                f"{root}: has several manifests ({names}); name one of them instead of the folder"
            )
        if found:
            return dict.fromkeys(found)
    return {}


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv") and not leftover(path.name) and path.is_file()


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z]+", name.lower())


def _split_of(path: Path, root: Path) -> Split | None:
    """The split that a manifest's name or folder stands for: train_curated.csv, validation/validation.tsv."""
    for name in (path.stem, *path.parent.relative_to(root).parts[::-1]):
        for word in _words(name):
            if word in SPLIT_NAMES:
                return SPLIT_NAMES[word]
    return None


def _joined(root: Path, manifests: dict[Path, Split | None]) -> Dataset:
    parts = [read_manifest(path, split) for path, split in manifests.items()]
    if len(parts) == 1:
        return parts[0]
    recordings = tuple(recording for part in parts for recording in part.recordings)
    return Dataset(root, recordings, tuple(sorted({label for part in parts for label in part.labels})))


def _restrict(data: Dataset, labels: tuple[str, ...], unknown: str | None) -> Dataset:
    if unknown is not None and unknown not in labels:
        labels = (*labels, unknown)
    recordings = []
    for recording in data.recordings:
        outside = sorted(set(recording.labels) - set(labels))
        if outside and unknown is None:
            raise DataError(
                f"{recording.where}: label {outside[0]!r} is not one of {', '.join(labels)}; "
                "correct it, or name a class for all others with --unknown"
            )
        if outside:
            names = sorted({label if label in labels else str(unknown) for label in recording.labels})
            events = recording.events and tuple(
                e if e.label in labels else replace(e, label=str(unknown)) for e in recording.events
            )
            recording = replace(recording, labels=tuple(names), events=events)
        recordings.append(recording)
    return replace(data, recordings=tuple(recordings), labels=labels)
