"""What a session says about itself: source, model, settings, and the machine it was recorded on."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

from stream._version import __version__
from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import DetectorSpec
from stream.errors import SessionInvalid

FORMAT = 1
FILE_NAME = "session.json"
MAX_BYTES = 4 << 20
MAX_LABELS = 1 << 16
BLOCK_VARIABLES = (
    "SOXR_MIN_DFT_SIZE",
    "SOXR_LARGE_DFT_SIZE",
)  # decide the blocks, and so the bits, of resampling


class ClassifierSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of a `StreamClassifier` beside its model."""

    detector: DetectorSpec
    derived: DerivedSpec | None = None
    repair: Literal["interpolate", "hold", "mean"] = "interpolate"
    max_repair: float | None = None
    max_gap: float = 1.0
    reset_after: float | None = None
    stream: str = ""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in ``session.json``.

    Attributes:
        format: of the folder.
        program: version that recorded it.
        source: name of what was listened to.
        live: whether events have wall times.
        model, model_sha256, model_path: name in the card, digest and place of the model file.
        labels: classes, in column order of the scores.
        sample_rate: of the model, Hz: of events, gaps and scores.
        settings: of the classifier.
        began: seconds since 1970.
        machine: what the bits may depend on, by name.
    """

    format: int
    program: str
    source: str
    live: bool
    model: str
    model_sha256: str
    model_path: str
    labels: tuple[str, ...]
    sample_rate: int
    settings: ClassifierSettings
    began: float
    machine: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Description:
        """Of the session in ``folder``.

        Raises:
            SessionInvalid: there is none, it is damaged, or a newer version wrote it.
        """
        if not (folder / FILE_NAME).exists():
            raise SessionInvalid(
                f"session {folder}: is none, as it has no {FILE_NAME}; give a folder that --record has made"
            )
        data = read_bounded(folder / FILE_NAME, MAX_BYTES, folder)
        try:
            kind = msgspec.json.decode(data, type=_Format)
            if kind.format > FORMAT:
                raise SessionInvalid(
                    f"session {folder}: has format {kind.format}, written by version {kind.program} of this program; "
                    f"this one reads up to format {FORMAT}, so upgrade"
                )
            found = msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise damaged(folder, FILE_NAME, str(error)) from None
        if not (0 < found.sample_rate <= 1 << 24 and 0 < len(found.labels) <= MAX_LABELS):
            raise damaged(folder, FILE_NAME, "a sample rate or list of labels that makes no sense")
        return found

    def encoded(self) -> bytes:
        """The bytes of ``session.json``."""
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"


class _Format(msgspec.Struct):
    format: int
    program: str = "?"


def this_machine() -> dict[str, str]:
    """What the last bits of a result may depend on, by name."""
    import numpy
    import onnxruntime

    found = {
        "program": __version__,
        "python": platform.python_version(),
        "machine": f"{sys.platform} {platform.machine()}",
        "numpy": numpy.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
    return {**found, **{name: os.environ.get(name, "") for name in BLOCK_VARIABLES}}


def read_bounded(path: Path, most: int, folder: Path) -> bytes:
    """The bytes of a file of a session, which may be anybody's.

    Raises:
        SessionInvalid: it is missing, no plain file, or larger than ``most`` bytes.
    """
    name = str(path.relative_to(folder))
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        with open(os.open(path, flags), "rb") as file:
            check_plain(os.fstat(file.fileno()), name, most, folder)
            return file.read(most)
    except OSError as error:
        raise damaged(folder, name, error.strerror or str(error)) from None


def check_plain(found: os.stat_result, name: str, most: int, folder: Path) -> None:
    """SessionInvalid unless this is a plain file of at most so many bytes."""
    import stat

    if not stat.S_ISREG(found.st_mode):
        raise damaged(folder, name, "it is no plain file")
    if found.st_size > most:
        raise damaged(folder, name, f"it has {found.st_size} bytes, and at most {most} can be right")


def damaged(folder: Path, name: str, what: Any) -> SessionInvalid:
    """The error for a session that cannot be trusted, naming the file."""
    return SessionInvalid(
        f"session {folder}: {name}: {what}; the session is damaged from there on, "
        "so replay a part before it, or a copy that is whole"
    )
