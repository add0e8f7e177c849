"""Find the compiled kernel, if it was built and may be used."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from stream.errors import UsageError
from stream.features.native.plan import Plan

NAME = "_mfcc.so"
VARIABLE = "STREAM_CLASSIFY_NATIVE"  # "0" = never, "1" = or fail; else if it is there
VERSION = 3  # of Plan, as in mfcc.c
HOW = "not built; run python .ci/build_kernel.py in a checkout, or install again where there is a C compiler"


class Library(NamedTuple):
    """Its functions.

    Attributes:
        frame: (address of a FrameCall), keeps the interpreter lock: giving it away costs more than it brings.
        few: (plan, x, stride, count, out), keeps the lock as well.
        features: the same, gives the lock away meanwhile.
        lines: (plan, lines, streams, held, count, sound, scale, hop, frames, out), gives the lock away.
    """

    frame: Any
    few: Any
    features: Any
    lines: Any


@cache
def library() -> Library | None:
    """The library that was built beside this file; None = there is none, or the environment forbids it.

    Raises:
        UsageError: the environment demands it and it cannot be had.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "0":
        return None
    path = Path(__file__).with_name(NAME)
    found, why = load(path) if path.is_file() else (None, HOW)
    if found is None and wanted == "1":
        raise UsageError(f"{VARIABLE}=1: compiled kernel: {why}")
    return found


def load(path: Path) -> tuple[Library | None, str]:
    """Load a library; None and the reason where it is none of ours, of another version, or for another machine."""
    try:
        short, long = ctypes.PyDLL(str(path)), ctypes.CDLL(str(path))
        abi = short.stream_classify_abi()
    except (OSError, AttributeError) as error:
        return None, str(error)
    want = VERSION * 65536 + ctypes.sizeof(Plan)
    if abi != want:
        return None, f"{path.name} was built from another version; build it again"
    frame, few, features = (
        short.stream_classify_frame,
        short.stream_classify_features,
        long.stream_classify_features,
    )
    frame.restype = few.restype = features.restype = None
    frame.argtypes = [ctypes.c_void_p]
    few.argtypes = features.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p,
    ]  # fmt: skip
    lines = long.stream_classify_lines
    lines.restype = None
    pointer, size = ctypes.c_void_p, ctypes.c_ssize_t
    lines.argtypes = [pointer, pointer, size, size, size, pointer, ctypes.c_float, size, size, pointer]
    return Library(frame, few, features, lines), ""
