"""Claims: no two sources of a station write to one file or folder, unless that is made to be shared."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from stream.errors import UsageError
from stream.outputs.catalogue import all_outputs, output_classes
from stream.printable import printable
from stream.server.station.source_spec import PLACEHOLDER, SourceSpec

SHARED = "history"  # several runs may write into one
NO_PLACES = ("mqtt", "webhook", "notify", "exec")  # their targets are addresses and commands


def check_claims(specs: Iterable[SourceSpec]) -> None:
    """Refuse sources of one name, and sources that would write into each other's files.

    Raises:
        UsageError: with both names, and the settings of each.
    """
    names: set[str] = set()
    taken: dict[str, tuple[str, str, str]] = {}
    for spec in specs:
        if spec.name in names:
            raise UsageError(f"source {spec.name!r}: there are two of this name; give each its own")
        names.add(spec.name)
        for option, target in _places(spec):
            place = os.path.realpath(target)
            name, before, as_there = taken.setdefault(place, (spec.name, option, target))
            if name != spec.name and not option == before == SHARED:
                raise UsageError(
                    f"source {name!r} with {_setting(before, as_there)} and source {spec.name!r} with "
                    f"{_setting(option, target)} would write into the same place; give each its own, for example by "
                    f"{_setting(option, _apart(target))}"
                )


def _setting(option: str, target: str) -> str:
    return f'{option} = "{printable(target)}"'


def _apart(target: str) -> str:
    """A place like it for every source, as a settings file may say it."""
    stem, suffix = os.path.splitext(target.rstrip("/"))
    return f"{stem}-{PLACEHOLDER}{suffix}"


def _places(spec: SourceSpec) -> Iterator[tuple[str, str]]:
    """Option and target of everything that is written into a file or folder."""
    if spec.jsonl is not None:
        yield "jsonl", spec.jsonl
    for asked in all_outputs(spec.outputs, spec.output_tables):
        if asked.kind not in NO_PLACES and isinstance(asked.target, str) and "://" not in asked.target:
            yield output_classes()[asked.kind].OPTIONS[0].name, asked.target
