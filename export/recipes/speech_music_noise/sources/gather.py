"""Fetch the packages, decode every file they offer, and keep it as one flat file of samples a corpus.

Needs Debian or Ubuntu with ``apt-get`` lists up to date and ``dpkg``; nothing is installed and no root is
needed. Done work is kept: a corpus that has its bank is not fetched or decoded again.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from export.recipes.speech_music_noise.parallel import run_parallel
from export.recipes.speech_music_noise.sources import packs, soundfont
from export.recipes.speech_music_noise.sources.corpora import FOLDERS, PACKAGES
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE, Corpus, Split
from stream.errors import DataError

STORED_PEAK = 0.7  # clips are stored at this peak, so that quiet recordings keep their resolution in int16
ARCHIVE_SUFFIXES = {".pk3", ".zip", ".wz", ".sf2", ".rcc", ".cat"}
# Not the suffixes that files are listened to with: a longer list would change the banks, and all that is made of them.
SOUND_SUFFIXES = {".wav", ".ogg", ".opus", ".flac", ".mp3", ".g722", ".gsm"}


def fetch(package: str, cache: Path) -> Path:
    """Download and unpack a Debian package below ``cache``; the folder it was unpacked in.

    Raises:
        DataError: no ``apt-get``, no such package, or no network; the message holds apt's last line.
    """
    tree = cache / "trees" / package
    if tree.is_dir():
        return tree
    debs = cache / "debs"
    for folder in (debs, tree.parent):
        folder.mkdir(parents=True, exist_ok=True)
    _command(["apt-get", "download", "-q", package], debs, package)
    (deb,) = sorted(debs.glob(f"{package}_*.deb"))[-1:]
    part = tree.with_name(package + ".part")
    _command(["dpkg", "-x", str(deb), str(part)], debs, package)
    part.rename(tree)
    deb.unlink()
    return tree


def _command(words: list[str], cwd: Path, package: str) -> None:
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise DataError(
            f"{words[0]}: not found; the recipe gathers Debian packages, run it on Debian or Ubuntu"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"{package}: {' '.join(words[:2])} failed: {last}; try apt-get update")


def decode(path: Path) -> NDArray[np.float32]:
    """(n,) float32 mono at 16 kHz. Raw G.722 and GSM have no header, so their decoder is chosen by name."""
    if path.suffix in (".g722", ".gsm"):
        return _decode_raw(path)
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate == SAMPLE_RATE:
        at_rate: NDArray[np.float32] = mono
    else:
        at_rate = soxr.resample(mono, rate, SAMPLE_RATE).astype(np.float32)
    return at_rate


def _decode_raw(path: Path) -> NDArray[np.float32]:
    import av

    parts = []
    with av.open(str(path), format=path.suffix[1:]) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        for frame in container.decode(audio=0):
            parts += [out.to_ndarray()[0] for out in resampler.resample(frame)]
        parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)


def build_bank(corpus: Corpus, root: Path, bank: Path) -> None:
    """Decode the files of ``corpus`` under ``root`` to ``bank/NAME.i16`` (int16) and ``bank/NAME.json``."""
    index_path, data_path = bank / f"{corpus.name}.json", bank / f"{corpus.name}.i16"
    if index_path.is_file():
        return
    bank.mkdir(parents=True, exist_ok=True)
    rows, unread, start = [], [], 0
    with data_path.open("wb") as out:
        for key, path in _files(corpus, root):
            found = corpus.rule_for(key)
            if found is None:
                continue
            rule, group = found
            try:
                samples = decode(path)
            except (soundfile.SoundFileError, ValueError, OSError) as error:
                unread.append(f"{key}: {error}")
                continue
            peak = float(np.abs(samples).max(initial=0))
            low, high = rule.seconds
            if not low <= len(samples) / SAMPLE_RATE <= high or peak < 1e-4 or not np.isfinite(peak):
                continue
            out.write((samples * (STORED_PEAK / peak) * 32767).astype("<i2").tobytes())
            rows.append(
                {
                    "path": key,
                    "start": start,
                    "length": len(samples),
                    "kind": rule.kind,
                    "split": rule.split,
                    "group": group,
                }
            )
            start += len(samples)
    # The index is written last: an interrupted build leaves none and starts again.
    licence = (
        corpus.licence + _attribution(root, {str(row["path"]) for row in rows})
        if corpus.folder
        else corpus.licence
    )
    index_path.write_text(json.dumps({"licence": licence, "unread": unread, "clips": rows}))


def _attribution(root: Path, used: set[str]) -> str:
    """Who made those of the files used whose licence asks for it, where the folder's manifest says so: "; by A, B"."""
    with (root / "manifest.csv").open(newline="") as text:
        authors = {
            row["author"]
            for row in csv.DictReader(text)
            if row.get("author") and "BY" in row.get("licence", "") and row["filename"] in used
        }
    return f"; CC BY by {', '.join(sorted(authors))}" if authors else ""


def _files(corpus: Corpus, root: Path) -> Iterator[tuple[str, Path]]:
    """(key for the rules, file) in a fixed order; packs inside the package are unpacked beside it."""
    if corpus.folder:
        with (root / "manifest.csv").open(newline="") as text:
            for row in csv.DictReader(text):
                yield "/".join(filter(None, (row.get("split"), row["filename"]))), root / row["filename"]
        return
    for pack in sorted(path for path in root.rglob("*") if path.suffix in ARCHIVE_SUFFIXES):
        unpacked = pack.with_suffix(".unpacked")
        if pack.suffix == ".sf2":
            soundfont.unpack(pack, unpacked)
            continue
        if pack.suffix == ".rcc":
            packs.unpack_resources(pack, unpacked, SOUND_SUFFIXES)
            continue
        if pack.suffix == ".cat":
            packs.unpack_sounds(pack, unpacked)
            continue
        with zipfile.ZipFile(pack) as archive:
            archive.extractall(
                unpacked, [name for name in archive.namelist() if Path(name).suffix.lower() in SOUND_SUFFIXES]
            )
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in SOUND_SUFFIXES and path.is_file():
            yield str(path.relative_to(root)), path


def gather(cache: Path, recordings: Path | None = None, jobs: int = 1, split: Split | None = None) -> Path:
    """Fetch and decode everything, or what one side of the split needs, ``jobs`` corpora at once.

    Returns:
        The folder of the banks.
    """
    bank = cache / "bank"
    wanted = [(corpus, cache, None) for corpus in PACKAGES] + [
        (corpus, cache, recordings)
        for corpus in FOLDERS
        if recordings is not None and (recordings / corpus.name / "manifest.csv").is_file()
    ]
    missing = [
        task
        for task in wanted
        if not (bank / f"{task[0].name}.json").is_file()
        and (split is None or any(rule.kind and rule.split == split for rule in task[0].rules))
    ]
    for name in run_parallel(jobs, _gather_one, missing):
        print(f"gathered {name}", file=sys.stderr, flush=True)
    return bank


def _gather_one(corpus: Corpus, cache: Path, recordings: Path | None) -> str:
    if recordings is not None:
        build_bank(corpus, recordings / corpus.name, cache / "bank")
        return corpus.name
    tree = fetch(corpus.name, cache)
    build_bank(corpus, tree, cache / "bank")
    shutil.rmtree(tree)  # the bank holds all that is needed, in a fraction of the space
    return corpus.name
