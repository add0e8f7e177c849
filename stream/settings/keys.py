"""The vocabulary of settings files: which keys there are, and what reads the value of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stream.decisions.spec import MAX_SMOOTHING
from stream.outputs.output import Option


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        name: as its option is called, without the dashes in front. Underscores in the file are as good as dashes.
        read: takes the value as TOML has it and returns it as the program uses it; a ValueError, or an error of ours,
            says in one line what is wrong with it.
    """

    name: str
    read: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """All keys that a file may have.

    Attributes:
        keys: by name: those of listening, of all outputs too. Where there are several sources, each may have its own.
        outputs: kind -> its options; the first of them asks for it.
        defaults: by name of a key, the value where none is given.
        elsewhere: keys and tables that stand beside them and that somebody else reads.
    """

    keys: Mapping[str, Key]
    outputs: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()


def number(low: float, high: float) -> Callable[[Any], float]:
    """What reads a number, from ``low`` to ``high``."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{value!r}: want a number")
        if not low <= value <= high:  # also NaN
            raise ValueError(f"{value!r}: want {low:g} to {high:g}")
        return float(value)

    return read


def flag(value: Any) -> bool:
    """True or false.

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{value!r}: want true or false")
    return value


def _above_zero(value: Any) -> float:
    read = number(0, 1)(value)
    if not read:
        raise ValueError(f"{value!r}: want more than 0, and at most 1")
    return read


# Of one class, or at the top for every class: field of ClassRule -> what reads it.
RULE_KEYS: Mapping[str, Key] = {
    name: Key(name, read)
    for name, read in {
        "threshold": _above_zero,
        "peak-threshold": number(0, 1),
        "min-on": number(0, 3600),
        "min-off": number(0, 3600),
        "refractory": number(0, 3600),
        "smoothing": number(0, MAX_SMOOTHING),
    }.items()
}
# These only of one class.
CLASS_KEYS: Mapping[str, Key] = {
    **RULE_KEYS,
    "release": Key("release", number(0, 1)),
    "enabled": Key("enabled", flag),
}
