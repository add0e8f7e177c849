"""A folder with one folder per class, or with the folders ``train``, ``validation``, ``test`` above the classes.

``_background_noise_`` holds backgrounds, not a class. ``validation_list.txt`` and ``testing_list.txt`` name
files of those splits, one ``class/file.wav`` per line; when either exists, all other files are for training.
Folders that stand for a split (train, training, val, valid, validation, dev, test, testing, eval, in any case)
are splits, above the classes or below each of them. Hidden files and what macOS leaves behind are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from export.data.groups import group_of
from export.data.recording import SPLIT_NAMES, Dataset, Recording, Split
from stream.capture.suffixes import AUDIO_SUFFIXES
from stream.errors import DataError
from stream.printable import printable, unicode_text

BACKGROUND = "_background_noise_"
SUFFIXES = AUDIO_SUFFIXES - {".raw", ".pcm"}  # without a header: nobody can tell their rate and format
LISTS: dict[str, Split] = {"validation_list.txt": "validation", "testing_list.txt": "test"}
_LEFTOVERS = ("__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir")


def read_folder(root: Path) -> Dataset:
    """The recordings below ``root``.

    Raises:
        DataError: no class folder, a class without audio, split folders beside class folders, a list that names a
            file which does not exist.
    """
    folders = class_folders(root)
    if not folders:
        raise DataError(f"{root}: has no folder per class and no manifest.csv; want {root.name}/CLASS/*.wav")
    splits = _split_folders(root, folders)
    found: list[tuple[Path, Split | None]] = [
        (each, split) for top, split in splits.items() for each in class_folders(top)
    ]
    found = found or [(each, None) for each in folders]
    sound = {folder: audio_files(folder) for folder, _ in found}
    listed = _lists(root, sound)
    recordings: list[Recording] = []
    for folder, split in found:
        files = sound[folder]
        if not files:
            raise DataError(f"{folder}: the class has no audio file; add recordings or remove the folder")
        below = {path: _split_below(path.relative_to(folder)) for path in files}
        inner = split is None and not listed and all(below.values())
        for path in files:
            name = path.relative_to(root).as_posix()
            labels = (unicode_text(folder.name),)
            recordings.append(
                Recording(
                    path,
                    unicode_text(f"folder {folder.relative_to(root).as_posix()}"),
                    group_of(unicode_text(name), labels, {}),
                    labels,
                    split=below[path] if inner else listed.get(name, "train") if listed else split,
                )
            )
    if any(r.split for r in recordings) and not all(r.split for r in recordings):
        odd = next(r for r in recordings if not r.split)
        raise DataError(
            f"{odd.where}: some classes are divided into folders such as train and test, this one is not; "
            "divide all of them or none"
        )
    top_folders = [root, *splits]
    backgrounds = [path for top in top_folders for path in audio_files(top / BACKGROUND)]
    others = [path for folder, _ in found for path in _files(folder) if path.suffix.lower() not in SUFFIXES]
    names = tuple(sorted({unicode_text(folder.name) for folder, _ in found}))
    return Dataset(root, tuple(recordings), names, tuple(backgrounds), ignored=tuple(others))


def class_folders(root: Path) -> list[Path]:
    """The folders in ``root`` that may be classes, in name order."""
    return sorted(p for p in root.iterdir() if p.is_dir() and p.name != BACKGROUND and not leftover(p.name))


def leftover(name: str) -> bool:
    """True for names of files and folders that systems leave behind, and hidden ones."""
    return name.startswith(".") or name in _LEFTOVERS


def audio_files(folder: Path) -> list[Path]:
    """Audio files anywhere below ``folder``, in name order; hidden ones and leftovers are passed over."""
    return [p for p in _files(folder) if p.suffix.lower() in SUFFIXES]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if not any(leftover(part) for part in path.relative_to(folder).parts) and path.is_file():
            yield path


def _split_folders(root: Path, folders: list[Path]) -> dict[Path, Split]:
    """Folder -> split where the top folders are splits; {} where they are classes.

    Raises:
        DataError: what these folders mean is not clear.
    """
    named = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES]
    above = [folder for folder in named if any(audio_files(each) for each in class_folders(folder))]
    flat = [folder for folder in named if folder not in above]
    others = [folder for folder in folders if folder not in named and audio_files(folder)]
    if not above:
        if flat and len(named) == len(folders):
            raise DataError(
                f"{flat[0]}: is named as a split but has no folder per class; "
                f"want {root.name}/{flat[0].name}/CLASS/*.wav, or a manifest"
            )
        if len(flat) > 1:
            raise DataError(
                f"{flat[0]} and {flat[1].name} are named as splits, {others[0].name if others else folders[0].name} "
                "is not; move the class folders into them, or rename them"
            )
        return {}
    if others or any(audio_files(folder) for folder in flat):
        odd = next((f for f in [*others, *flat] if audio_files(f)), above[0])
        raise DataError(
            f"{odd}: stands beside the split folder {above[0].name}; give {root.name}/SPLIT/CLASS/*.wav throughout, "
            f"or {root.name}/CLASS/*.wav"
        )
    for folder in above:
        if loose := [p for p in audio_files(folder) if p.parent == folder]:
            raise DataError(f"{loose[0]}: belongs to no class; move it into a class folder of {folder.name}")
    return split_names(above)


def split_names(paths: list[Path]) -> dict[Path, Split]:
    """Path -> split by its name; ``dev`` is for training where nothing else is (development and evaluation)."""
    found = {path: SPLIT_NAMES[path.name.lower()] for path in paths}
    if "train" not in found.values():
        found.update({path: "train" for path in paths if path.name.lower() == "dev"})
    return found


def _split_below(path: Path) -> Split | None:
    """The split of a file by the first folder within its class."""
    return SPLIT_NAMES.get(path.parts[0].lower()) if len(path.parts) > 1 else None


def _lists(root: Path, sound: Mapping[Path, Sequence[Path]]) -> dict[str, Split]:
    """Name of a file within ``root`` -> the split that a list puts it in; {} without lists.

    Args:
        root: where the lists are.
        sound: class folder -> its recordings.

    Raises:
        DataError: an entry is none of these recordings, or is in both lists.
    """
    paths = {path: split for name, split in LISTS.items() if (path := root / name).exists()}
    if not paths:
        return {}
    known = {path.relative_to(root).as_posix() for files in sound.values() for path in files}
    found: dict[str, Split] = {}
    for path, split in paths.items():
        # as the file system has them: names need not be UTF-8
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            entry = PurePosixPath(line.strip()).as_posix()  # without ./ before it
            where = f"{path.name}, line {number}: {printable(entry)}"
            if entry not in known:
                raise DataError(
                    f"{where} is no recording in a class folder; want CLASS/FILE, from {root.name}"
                )
            if found.get(entry, split) != split:
                raise DataError(f"{where} is in both lists; keep it in one")
            found[entry] = split
    return found
