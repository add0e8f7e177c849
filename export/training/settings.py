"""Change settings of a TrainConfig by name and text, as the command line and the search do.

``hidden``, ``layers`` … are fields of the model; ``fit.learning_rate``, ``augment.tilt``, ``streams.frames``,
``features.n_mfcc`` those of the other parts; ``model`` is the preset; ``where``, ``steps`` … the run's own.
"""

from __future__ import annotations

import difflib
import types
import typing
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from export.models.config import ModelConfig
from export.training.config import RENAMED, TrainConfig
from stream.errors import SpecError

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", type(None): "none"}
_PARTS = ("fit", "augment", "streams", "scenes", "features")


def change(config: TrainConfig, settings: Mapping[str, str]) -> TrainConfig:
    """``config`` with other settings, all at once: some values are only valid together.

    Args:
        config: not changed.
        settings: name -> value as text; "none" = None, "0:0.5" = a pair. A name that is no longer used is
            understood, with a FutureWarning.

    Raises:
        SpecError: no such setting, or a value it cannot have.
    """
    own: dict[str, Any] = {}
    model = dict(config.model_changes)
    parts: dict[str, dict[str, Any]] = {}
    for name, text in settings.items():
        if name in RENAMED:
            warnings.warn(f"setting {name} is now {RENAMED[name]}", FutureWarning, stacklevel=2)
            name = RENAMED[name]
        part, _, field = name.rpartition(".")
        if part in _PARTS:
            parts.setdefault(part, {})[field] = _value(type(getattr(config, part)), name, field, text)
        elif part in ("", "model") and field in _model_fields():
            model[field] = _value(ModelConfig, name, field, text)
        elif part == "" and field in _own_fields():
            own[field] = _value(TrainConfig, name, field, text)
        else:
            raise SpecError(f"setting {name!r}: unknown{_suggest(name)}")
    for part, fields in parts.items():
        own[part] = msgspec.structs.replace(getattr(config, part), **fields)
    return msgspec.structs.replace(config, model_changes=model, **own)


def setting_names() -> list[str]:
    """The names of all settings."""
    hints = typing.get_type_hints(TrainConfig)
    return [
        *_own_fields(),
        *_model_fields(),
        *(f"{part}.{f}" for part in _PARTS for f in _fields(hints[part])),
    ]


def parse_grid(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``["hidden=32,64", "layers=1,2"]`` -> ``{"hidden": ("32", "64"), "layers": ("1", "2")}``."""
    grid: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, sign, values = word.partition("=")
        listed = tuple(value for value in values.split(",") if value)
        if not sign or not name or not listed:
            raise SpecError(f"search {word!r}: want NAME=VALUE,VALUE like hidden=32,64")
        grid[name] = listed
    if not grid:
        raise SpecError("search: nothing to vary; say for instance --search hidden=32,64,128 layers=1,2")
    return grid


def _own_fields() -> list[str]:
    return [f for f in _fields(TrainConfig) if f not in (*_PARTS, "model_changes")]


def _model_fields() -> list[str]:
    return [f for f in _fields(ModelConfig) if f not in ("features", "classes")]


def _fields(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in msgspec.structs.fields(kind))


def _value(kind: type, name: str, field: str, text: str) -> Any:
    if field not in _fields(kind):
        raise SpecError(f"setting {name!r}: unknown{_suggest(name)}")
    wanted = typing.get_type_hints(kind)[field]
    plain: Any = None if text.lower() == "none" else text.split(":") if "tuple" in str(wanted) else text
    try:
        return msgspec.convert(plain, wanted, strict=False)
    except msgspec.ValidationError as error:
        reason = str(error)
        rule = f"{reason[0].lower()}{reason[1:]}" if ">" in reason or "<" in reason else _wanted(wanted)
        raise SpecError(f"{name} {text!r}: {rule}") from None


def _wanted(kind: Any) -> str:
    """What a setting may be, in words."""
    kinds = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    words: list[str] = []
    for each in kinds:
        if typing.get_origin(each) is Literal:
            words += map(str, typing.get_args(each))
        else:
            words.append(_KINDS.get(each, "two numbers, as in 0:0.5" if "tuple" in str(each) else "a word"))
    return f"want {', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else f"want {words[0]}"


def _suggest(name: str) -> str:
    close = difflib.get_close_matches(name, setting_names(), 3)
    return f"; did you mean {', '.join(close)}?" if close else ""
