"""Where keys stand in TOML text: Python's parser tells the line of wrong syntax, but not of a wrong key."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]
Place = tuple[int, int]  # line and column, from 1
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_IDLE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
# Strings first: what looks like a bracket or comment within them is none.
_SCALAR = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[^\s,\]}#][^,\]}#\n]*',
    re.DOTALL,
)


def find_places(text: str) -> dict[Path, Place]:
    """The line and column of every key and table, and of every element of an array.

    Args:
        text: TOML that has been parsed without error.

    Returns:
        By path: names of keys, and numbers of elements of arrays and of arrays of tables. A table that is in several
        places has its first.
    """
    return _Finder(text).find()


class _Finder:
    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._lines = [0, *(found.end() for found in re.finditer("\n", self._text))]
        self._places: dict[Path, Place] = {}
        self._newest: dict[Path, int] = {}  # arrays of tables: number of the last one

    def find(self) -> dict[Path, Place]:
        table: Path = ()
        while self._skip(_IDLE) < len(self._text):
            start = self._at
            if self._text.startswith("[[", start):
                self._at += 2
                path = self._in_arrays(self._key())
                number = self._newest[path] = self._newest.get(path, -1) + 1
                self._note(path, start)
                table = (*path, number)
                self._note(table, start)
                self._at = self._text.index("]]", self._at) + 2
            elif self._text[start] == "[":
                self._at += 1
                table = self._in_arrays(self._key())
                self._note(table, start)
                self._at = self._text.index("]", self._at) + 1
            else:
                self._pair(table)
        return self._places

    def _in_arrays(self, keys: tuple[str, ...]) -> Path:
        """The path of a table header: within an array of tables it means the last one."""
        path: Path = ()
        for place, key in enumerate(keys):
            path = (*path, key)
            if path in self._newest and place < len(keys) - 1:
                path = (*path, self._newest[path])
        return path

    def _pair(self, table: Path) -> None:
        start = self._at
        path: Path = table
        for key, at in self._keys():
            path = (*path, key)
            self._note(path, start if len(path) == len(table) + 1 else at)
        self._at = self._text.index("=", self._at) + 1
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        opening = self._text[self._at]
        if opening == "[":
            self._at += 1
            number = 0
            while self._text[self._skip(_IDLE)] != "]":
                if self._text[self._at] == ",":
                    self._at += 1
                    continue
                self._note((*path, number), self._at)
                self._value((*path, number))
                number += 1
            self._at += 1
        elif opening == "{":
            self._at += 1
            while self._text[self._skip(_IDLE)] != "}":
                if self._text[self._at] == ",":
                    self._at += 1
                    continue
                self._pair(path)
            self._at += 1
        else:
            self._skip(_SCALAR)

    def _key(self) -> tuple[str, ...]:
        """The names of a table header."""
        return tuple(key for key, _ in self._keys())

    def _keys(self) -> list[tuple[str, int]]:
        """The parts of a key, which dots join: each with its index."""
        keys: list[tuple[str, int]] = []
        while True:
            start = self._skip(_BLANK)
            if self._text[start] in "\"'":
                self._skip(_SCALAR)
                keys.append((tomllib.loads(f"key = {self._text[start : self._at]}")["key"], start))
            else:
                self._skip(_BARE)
                keys.append((self._text[start : self._at], start))
            if self._text[self._skip(_BLANK)] != ".":
                return keys
            self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return self._at

    def _note(self, path: Path, at: int) -> None:
        line = bisect_right(self._lines, at)
        self._places.setdefault(path, (line, at - self._lines[line - 1] + 1))
