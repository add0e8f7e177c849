"""Which clips there are to judge: those of a folder, or those that a history names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream.errors import OutputError, UsageError
from stream.logbook.reader import HistoryReader
from stream.outputs.clip_record import ClipRecord, read_clip_record


@dataclass(frozen=True, slots=True)
class WaitingClip:
    """A clip with what it says about itself."""

    path: Path
    record: ClipRecord


def clips_of_folder(folder: str | Path) -> list[WaitingClip]:
    """The clips in a folder, in order of their names. Links and files of others are left out.

    Raises:
        UsageError: no such folder, or no clip in it.
        OutputError: it cannot be read.
    """
    try:
        paths = sorted(path for path in Path(folder).iterdir() if path.suffix == ".flac")
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{folder}: no such folder; give one that --clips has filled") from None
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}; give a folder that can be read") from None
    found = _known(paths)
    if not found:
        raise UsageError(f"{folder}: no clip in it; listen with --clips {folder} first")
    return found


def clips_of_history(path: str | Path) -> list[WaitingClip]:
    """The clips that a history names and that are still there, in order of time.

    Raises:
        UsageError: there is none.
        HistoryInvalid, OutputError: it cannot be read.
    """
    with HistoryReader(path) as history:
        named = [Path(event.clip) for event in history.events() if event.clip]
    found = _known(list(dict.fromkeys(named)))
    if not found:
        gone = f"the {len(named)} clips that it names are gone" if named else "it names no clip"
        raise UsageError(f"--history {path}: {gone}; listen with --history and --clips")
    return found


def _known(paths: list[Path]) -> list[WaitingClip]:
    found = []
    for path in paths:
        try:
            record = read_clip_record(path)
        except OSError:
            continue
        if record is not None:
            found.append(WaitingClip(path, record))
    return found
