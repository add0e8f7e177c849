"""Features of many recordings in one memory-mapped file, computed once with the runtime's own code.

A store is a folder named by a digest of the feature specification, the kernel that computes it, the files (name,
size, time of change) and the waveform augmentation, so a change in any of them makes a new store, never a wrong one:

    features.npy   (frames, F) float32, all recordings one after the other
    centres.npy    (frames,) float32, the middle of each frame in seconds of the original recording
    index.json     first frame of each recording, what was left out and why, and checksums of the other files
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from export.data.recording import Recording, files_digest
from stream.capture.files import read_with_hints
from stream.errors import DataError, OutputError, UnreadableAudio
from stream.features.framing import frame_centre, frame_count
from stream.features.frontend import extract
from stream.features.kernel import kernel_name
from stream.features.repair import MAX_REPAIR_SECONDS, repair
from stream.features.spec import FeatureSpec
from stream.printable import unicode_text

# Raised when samples are read, resampled or repaired differently, so that no older features are used.
VERSION = 3

_CHECKED = ("features.npy", "centres.npy")

Augmentation = Callable[[NDArray[np.float32], int], tuple[NDArray[np.float32], float, float]]
"""(samples, number of the recording) -> (samples, scale, offset): the sound at new time t was at t * scale + offset."""


class _Index(msgspec.Struct, forbid_unknown_fields=True):
    offsets: list[int]
    skipped: list[tuple[str, str]]
    checksums: dict[str, int] = {}
    odd: list[tuple[str, str]] = []


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """Features of n recordings.

    Attributes:
        features: (frames, F) float32, memory-mapped, read-only.
        centres: (frames,) float32, seconds.
        offsets: (n + 1,) int64: recording i has the frames offsets[i] to offsets[i + 1]; none if left out.
        skipped: what was left out: file and row, reason.
        spec: what the features are.
    """

    features: NDArray[np.float32]
    centres: NDArray[np.float32]
    offsets: NDArray[np.int64]
    skipped: tuple[tuple[str, str], ...]
    spec: FeatureSpec

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> NDArray[np.float32]:
        """(T, F) float32, a view of recording i."""
        return self.features[self.offsets[i] : self.offsets[i + 1]]

    def frames(self, i: int) -> int:
        return int(self.offsets[i + 1] - self.offsets[i])

    @property
    def hours(self) -> float:
        return len(self.features) / self.spec.frame_rate / 3600


def default_cache() -> Path:
    """The folder of stores by default: in XDG_CACHE_HOME, or ~/.cache."""
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        raise OutputError(
            "there is no home folder for the feature cache: choose a folder with --cache"
        ) from None
    return Path(base) / "stream-classify" / "features"


def build_store(
    recordings: Sequence[Recording],
    spec: FeatureSpec,
    *,
    cache: Path | None = None,
    augmentation: Augmentation | None = None,
    augmentation_digest: str = "",
    strict: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureStore:
    """Features of ``recordings``, read from the cache or computed into it.

    Args:
        recordings: what to read.
        spec: what to compute.
        cache: folder of stores; None = ``default_cache()``.
        augmentation: of waveforms, applied after repair; ``augmentation_digest`` must change whenever it does.
        strict: refuse unreadable audio instead of skipping it.
        workers: threads; None = one per core.
        progress: called with (done, all) while computing.

    Raises:
        DataError: nothing could be read, or with ``strict`` the first file that cannot.
        OutputError: the cache cannot be written or read.
    """
    if not recordings:
        raise DataError("no recording to compute features of; check the splits")
    paths = files_digest(r.path for r in recordings)
    key = hashlib.sha256(
        " ".join([str(VERSION), spec.digest, kernel_name(spec), paths, augmentation_digest]).encode()
    ).hexdigest()[:24]
    folder = (cache or default_cache()) / key
    try:
        store = _open(folder, spec) if (folder / "index.json").exists() else None
        if store is None:
            shutil.rmtree(folder, ignore_errors=True)  # what a crash left behind, or was damaged
            _compute(folder, recordings, spec, augmentation, workers or os.cpu_count() or 1, progress)
            store = _open(folder, spec)
    except OSError as error:
        raise OutputError(
            f"{unicode_text(str(folder.parent))}: the feature cache cannot be used ({error.strerror or error}); "
            "choose another folder with --cache"
        ) from None
    if store is None:
        raise OutputError(
            f"{folder.parent}: what is written to the feature cache does not come back as it was; "
            "choose another folder with --cache"
        )
    if strict and store.skipped:
        where, reason = store.skipped[0]
        raise DataError(f"{where}: {reason}; remove it, or leave out --strict to skip such files")
    if not len(store.features):
        where, reason = store.skipped[0]
        raise DataError(f"none of {len(recordings)} recordings can be used; the first is {where}: {reason}")
    return store


def load_audio(recording: Recording, spec: FeatureSpec) -> NDArray[np.float32]:
    """(n,) float32 at the spec's rate, short gaps repaired as in a live stream; longer ones are still NaN.

    Raises:
        DataError: unreadable, empty, or without one valid sample. The message names file and row.
    """
    return load_with_hints(recording, spec)[0]


def load_with_hints(recording: Recording, spec: FeatureSpec) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """As `load_audio`, and what is odd about the sound."""
    try:
        read, hints = read_with_hints(recording.path, spec.sample_rate)
        samples = repair(read, max_repair=round(MAX_REPAIR_SECONDS * spec.sample_rate))
    except (UnreadableAudio, OSError) as error:
        raise DataError(f"{recording.where}: {error}") from None
    if not frame_count(len(samples), spec):
        raise DataError(f"{recording.where}: {len(samples)} samples are less than one frame ({spec.span})")
    if not np.isfinite(samples).any():
        raise DataError(f"{recording.where}: has no valid sample")
    return samples, hints


def features_with_gaps(
    samples: NDArray[np.float32], spec: FeatureSpec
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (T, F) and centres (T,) seconds of samples in which NaN marks gaps.

    As in a live stream, framing begins anew after a gap and no frame contains one.
    """
    good = np.isfinite(samples)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good.view(np.int8), [0]))))
    parts: list[NDArray[np.float32]] = []
    centres: list[NDArray[np.float32]] = []
    for start, stop in edges.reshape(-1, 2):
        frames = frame_count(int(stop - start), spec)
        if frames:
            parts.append(extract(samples[start:stop], spec))
            first = frame_centre(int(start), spec)
            centres.append(
                ((first + spec.hop_length * np.arange(frames)) / spec.sample_rate).astype(np.float32)
            )
    if not parts:
        return np.zeros((0, spec.width), np.float32), np.zeros(0, np.float32)
    return np.concatenate(parts), np.concatenate(centres)


_Result = tuple[NDArray[np.float32], NDArray[np.float32], str, tuple[str, ...]]


def _features(
    recording: Recording, number: int, spec: FeatureSpec, augmentation: Augmentation | None
) -> _Result:
    """Features, centres, why there are none, and what is odd about the sound."""
    empty = np.zeros((0, spec.width), np.float32), np.zeros(0, np.float32)
    try:
        samples, hints = load_with_hints(recording, spec)
    except DataError as error:
        return *empty, str(error).removeprefix(f"{recording.where}: "), ()
    scale, offset = 1.0, 0.0
    if augmentation is not None and np.isfinite(samples).all():
        samples, scale, offset = augmentation(samples, number)
    features, centres = features_with_gaps(samples, spec)
    return (
        features,
        (centres * scale + offset).astype(np.float32),
        "" if len(features) else "no complete frame",
        hints,
    )


def _compute(
    folder: Path,
    recordings: Sequence[Recording],
    spec: FeatureSpec,
    augmentation: Augmentation | None,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        index = _Index(offsets=[0], skipped=[])
        centres: list[NDArray[np.float32]] = []
        with open(draft / "features.raw", "wb") as raw:
            for done, (features, middle, reason, hints) in enumerate(
                _parallel(recordings, spec, augmentation, workers), 1
            ):
                raw.write(features.tobytes())
                centres.append(middle)
                index.offsets.append(index.offsets[-1] + len(features))
                index.odd += [(recordings[done - 1].where, hint) for hint in hints]
                if reason:
                    index.skipped.append((recordings[done - 1].where, unicode_text(reason)))
                if progress is not None:
                    progress(done, len(recordings))
        _with_header(draft, index.offsets[-1], spec.width)
        np.save(draft / "centres.npy", np.concatenate(centres))
        index.checksums = {name: _checksum(draft / name) for name in _CHECKED}
        (draft / "index.json").write_bytes(msgspec.json.encode(index))
        try:
            os.rename(draft, folder)
        except OSError:
            if not (folder / "index.json").exists():  # else another run was faster with the same store
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _parallel(
    recordings: Sequence[Recording], spec: FeatureSpec, augmentation: Augmentation | None, workers: int
) -> Iterator[_Result]:
    """Results in order, a few hundred recordings at a time; threads do, as NumPy and the decoders free the GIL."""
    block = 32 * workers
    with ThreadPoolExecutor(workers) as pool:
        for begin in range(0, len(recordings), block):
            some = recordings[begin : begin + block]
            yield from pool.map(
                lambda pair: _features(pair[1], pair[0], spec, augmentation), enumerate(some, begin)
            )


def _with_header(draft: Path, frames: int, width: int) -> None:
    """Turn features.raw into features.npy; NumPy cannot map an empty array, so no frames is one row of none."""
    raw = draft / "features.raw"
    if frames:
        target = open_memmap(draft / "features.npy", mode="w+", dtype=np.float32, shape=(frames, width))
        target[:] = np.memmap(raw, dtype=np.float32, mode="r", shape=(frames, width))
        target.flush()
    else:
        np.save(draft / "features.npy", np.zeros((0, width), np.float32))
    raw.unlink()


def _checksum(path: Path) -> int:
    total = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            total = zlib.crc32(block, total)
    return total


def _open(folder: Path, spec: FeatureSpec) -> FeatureStore | None:
    """A store; None, with a warning, if it is not what was written, so that it is computed again.

    Raises:
        OSError: it cannot be read.
    """
    try:
        index = msgspec.json.decode((folder / "index.json").read_bytes(), type=_Index)
        if index.checksums != {name: _checksum(folder / name) for name in _CHECKED}:
            raise ValueError("checksums differ")
        features = np.load(folder / "features.npy", mmap_mode="r" if index.offsets[-1] else None)
        centres = np.load(folder / "centres.npy")
    except PermissionError:
        raise
    except (OSError, EOFError, IndexError, ValueError, msgspec.MsgspecError) as error:
        warnings.warn(
            f"{folder}: this part of the feature cache is damaged ({error}); its features are computed again",
            stacklevel=2,
        )
        return None
    if index.odd:
        where, hint = index.odd[0]
        warnings.warn(
            f"{len({each for each, _ in index.odd})} recordings sound odd; the first is {where}: {hint}",
            stacklevel=2,
        )
    offsets = np.asarray(index.offsets, dtype=np.int64)
    return FeatureStore(features, centres, offsets, tuple(index.skipped), spec)
