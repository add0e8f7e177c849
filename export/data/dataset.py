"""Read a data set: a folder of classes, a folder with a manifest, or a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from export.data.class_folders import read_folder
from export.data.manifest import read_manifest
from export.data.recording import Dataset
from stream.errors import DataError

UNKNOWN = "_unknown_"
MANIFESTS = ("manifest.csv", "manifest.tsv", "meta/esc50.csv", "metadata/UrbanSound8K.csv")


def read_dataset(
    path: str | Path, labels: Sequence[str] | None = None, *, unknown: str | None = None
) -> Dataset:
    """The data set at ``path``, before it is split.

    A folder with a manifest.csv (or .tsv, or the one of ESC-50 or UrbanSound8K) is read by it; any other
    folder has one folder per class.

    Args:
        path: folder or manifest.
        labels: the classes in output order, for instance those of a model card; None = all, sorted.
        unknown: with ``labels``, the class that recordings of other classes become.

    Raises:
        DataError: nothing there, or a label outside ``labels`` while ``unknown`` is None.
    """
    path = Path(path)
    if path.is_dir():
        manifest = next((path / name for name in MANIFESTS if (path / name).is_file()), None)
        data = read_folder(path) if manifest is None else read_manifest(manifest)
    elif path.is_file():
        data = read_manifest(path)
    else:
        raise DataError(
            f"{path}: no such folder or manifest; give a folder with one folder per class, or a CSV or TSV manifest"
        )
    return data if labels is None else _restrict(data, tuple(labels), unknown)


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
