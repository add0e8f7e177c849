"""Lines and columns of TOML keys."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.settings.places import find_places

TEXT = '''# a comment with [brackets] = "and" strings
model = "default"  # another = one
text = """
[not.a.table]
key = 1 \\""" still
"""
raw = \'\'\'
x = "\'\'\'
list = [ "a", # ]
  "b]", [1, 2],
  { deep = 3, "quo.ted" = 4 },
]
dotted . "key with = sign".last = 1

[class.speech]
min-on = 0.5
[ "class" . "two words" ]
threshold=0.3
inline = { a = 1, b.c = [5, "}"] }
date = 1979-05-27T07:32:00Z

[[output]]
clips = "a"
[output.acting]
hours = ["8-9"]
[[output]]
clips = "b"
acting.days = "sat"
[[output.inner]]
x = 1
[[output.inner]]
x = 2
'''


def test_every_kind_of_key_is_found_where_it_stands() -> None:
    tomllib.loads(TEXT)
    found = find_places(TEXT)
    lines = TEXT.splitlines()

    def starts(path: tuple[str | int, ...], text: str) -> None:
        line, column = found[path]
        assert lines[line - 1][column - 1 :].startswith(text), (path, lines[line - 1], column)

    starts(("model",), "model =")
    starts(("raw",), "raw =")
    starts(("list", 1), '"b]"')
    starts(("list", 2, 1), "2]")
    starts(("list", 3, "deep"), "deep = 3")
    starts(("list", 3, "quo.ted"), '"quo.ted"')
    starts(("dotted",), "dotted .")
    starts(("dotted", "key with = sign"), '"key with')
    starts(("dotted", "key with = sign", "last"), "last = 1")
    starts(("class", "speech"), "[class.speech]")
    starts(("class", "speech", "min-on"), "min-on")
    starts(("class", "two words", "threshold"), "threshold=0.3")
    starts(("class", "two words", "inline", "b", "c", 1), '"}"')
    starts(("class", "two words", "date"), "date")
    starts(("output", 0, "clips"), 'clips = "a"')
    starts(("output", 0, "acting", "hours", 0), '"8-9"')
    starts(("output", 1, "clips"), 'clips = "b"')
    starts(("output", 1, "acting", "days"), "days =")
    starts(("output", 1, "inner", 1, "x"), "x = 2")


def test_lines_that_end_as_windows_has_them() -> None:
    assert find_places("a = 1\r\n[b]\r\n  c = 2\r\n")["b", "c"] == (3, 3)


KEYS = st.one_of(st.from_regex(r"[a-z_-]{1,4}", fullmatch=True), st.text(max_size=4))
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 9), st.text("ab\"'\\#=[]{}\n,. \t", max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


def quoted(text: str) -> str:
    escaped = "".join(c if 32 <= ord(c) < 127 and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{escaped}"'


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quoted(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[ " + ", ".join(map(toml, value)) + " ]"
    return quoted(value) if isinstance(value, str) else str(value).lower()


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [each for key, v in inner for each in ((*path, key), *paths_of(v, (*path, key)))]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=3))
def test_whatever_is_written_every_path_has_a_place(top: dict[str, Any], table: dict[str, Any]) -> None:
    text = "".join(f"{quoted(key)} = {toml(value)}\n" for key, value in top.items())
    text += "[[ 'the table' ]]\n" + "".join(
        f"{quoted(key)} = {toml(value)} # end\n" for key, value in table.items()
    )
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # lone surrogates
        return
    found = find_places(text)
    assert set(paths_of(values)) <= set(found)
    for number, key in enumerate(table):
        assert found["the table", 0, key] == (len(top) + 2 + number, 1)
