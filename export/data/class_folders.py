"""A folder with one folder per class: the layout of Speech Commands.

``_background_noise_`` holds backgrounds, not a class. ``validation_list.txt`` and ``testing_list.txt`` name
files of those splits, one ``class/file.wav`` per line; when either exists, all other files are for training.
"""

from __future__ import annotations

from pathlib import Path

from export.data.groups import group_of
from export.data.recording import Dataset, Recording, Split
from stream.capture.suffixes import AUDIO_SUFFIXES
from stream.errors import DataError

BACKGROUND = "_background_noise_"
SUFFIXES = AUDIO_SUFFIXES - {".raw", ".pcm"}  # without a header: nobody can tell their rate and format
LISTS: dict[str, Split] = {"validation_list.txt": "validation", "testing_list.txt": "test"}


def read_folder(root: Path) -> Dataset:
    """The recordings below ``root``.

    Raises:
        DataError: no class folder, a class without audio, a list that names a file which does not exist.
    """
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    classes = [p for p in folders if p.name != BACKGROUND]
    if not classes:
        raise DataError(f"{root}: has no folder per class and no manifest.csv; want {root.name}/CLASS/*.wav")
    listed = _lists(root)
    recordings: list[Recording] = []
    for folder in classes:
        files = audio_files(folder)
        if not files:
            raise DataError(f"{folder}: the class has no audio file; add recordings or remove the folder")
        for path in files:
            name = path.relative_to(root).as_posix()
            split = listed.get(name, "train") if listed else None
            labels = (folder.name,)
            recordings.append(
                Recording(path, f"folder {folder.name}", group_of(name, labels, {}), labels, split=split)
            )
    background = root / BACKGROUND
    backgrounds = tuple(audio_files(background)) if background.is_dir() else ()
    return Dataset(root, tuple(recordings), tuple(p.name for p in classes), backgrounds)


def audio_files(folder: Path) -> list[Path]:
    """Audio files anywhere below ``folder``, in name order."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def _lists(root: Path) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for name, split in LISTS.items():
        path = root / name
        if not path.exists():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            entry = line.strip()
            if not entry:
                continue
            if not (root / entry).is_file():
                raise DataError(f"{name}, line {number}: {entry} does not exist; correct the list")
            if found.get(entry, split) != split:
                raise DataError(f"{name}, line {number}: {entry} is in both lists; keep it in one")
            found[entry] = split
    return found
