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
VERSION = 1  # of Plan, as in mfcc.c
HOW = "not built; python -m stream.features.native.compile builds it"


class Library(NamedTuple):
    """The one function, twice.

    Attributes:
        short: keeps the interpreter lock, which costs less than a frame's arithmetic.
        long: gives the lock away meanwhile.
    """

    short: Any
    long: Any


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
    functions = []
    for door in (short, long):
        function = door.stream_classify_features
        function.restype = None
        function.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p,
        ]  # fmt: skip
        functions.append(function)
    return Library(*functions), ""
