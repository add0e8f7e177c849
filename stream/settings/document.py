"""Document: a TOML file that has been read, and where in it things stand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from stream.errors import UsageError
from stream.printable import printable
from stream.settings import places

LARGEST_BYTES = 1 << 20
_AT = re.compile(r"\(at line (\d+), column (\d+)\)$")


class Document:
    """What a settings file holds.

    Attributes:
        path: of the file, as it was given.
        values: what stands in it.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        text = text.removeprefix("\ufeff")
        try:
            self.values: Mapping[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message = str(error)
            found = _AT.search(message)
            ended = message.endswith("(at end of document)")
            lines = text.split("\n")
            at = (
                (int(found[1]), int(found[2]))
                if found
                else (len(lines), len(lines[-1]) + 1)
                if ended
                else (1, 1)
            )
            reason = message.rpartition(" (at ")[0] if found or ended else message
            raise UsageError(f"{self._at(at)}: not TOML: {_one_line(reason)}") from None
        except (RecursionError, ValueError) as error:  # brackets in brackets; a number of thousands of digits
            raise UsageError(f"{path}: not TOML that can be read: {_one_line(str(error))}") from None
        self._places = places.find_places(text)

    def error(self, path: places.Path, message: str) -> UsageError:
        """What is wrong with the value at ``path``, with its file, line and column."""
        place = None
        for length in range(len(path), 0, -1):
            place = self._places.get(path[:length])
            if place is not None:
                break
        return UsageError(f"{self._at(place or (1, 1))}: {_one_line(message)}")

    def unknown(self, path: places.Path, what: str, known: Iterable[str]) -> UsageError:
        """That the last part of ``path``, or the text there, is unknown; and which one was perhaps meant."""
        return self.error(path, unknown(what, known))

    def where(self, path: places.Path) -> str:
        """File and line of a value."""
        line, _ = self._places.get(path, (1, 1))
        return f"{self.path}:{line}"

    def _at(self, place: places.Place) -> str:
        return f"{self.path}:{place[0]}:{place[1]}"


def unknown(what: str, known: Iterable[str]) -> str:
    """ "unknown key 'treshold'; did you mean 'threshold'?", or what there is where nothing is near."""
    names = list(known)
    kind, _, name = what.partition(" ")
    near = get_close_matches(name, names, 1, 0.6) or [each for each in names if each.lower() == name.lower()]
    if near:
        return f"unknown {kind} {name!r}; did you mean {near[0]!r}?"
    return f"unknown {kind} {name!r}; there are {', '.join(names) or 'none'}"


def read_document(path: str) -> Document:
    """Read a TOML file.

    Raises:
        UsageError: it cannot be read, is larger than 1 MiB, or is not TOML.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"settings {path}: {reason}; give a TOML file that can be read") from None
    if len(data) > LARGEST_BYTES:
        raise UsageError(f"settings {path}: is larger than 1 MiB, which no settings are; give another file")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise UsageError(f"{path}:{line}:{column}: not UTF-8; save the file as UTF-8") from None
    return Document(path, text)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
