"""Change one setting of a TrainConfig by name and text, as the command line and the search do.

``hidden``, ``layers`` … are fields of the model; ``fit.learning_rate``, ``augment.tilt``, ``streams.frames``,
``features.n_mfcc`` those of the other parts; ``model`` is the preset; ``where``, ``balance`` … the run's own.
"""

from __future__ import annotations

import difflib
import typing
from typing import Any

import msgspec

from export.models import ModelConfig
from export.training.config import TrainConfig
from stream.errors import SpecError

_PARTS = ("fit", "augment", "streams", "features")


def change(config: TrainConfig, name: str, text: str) -> TrainConfig:
    """``config`` with setting ``name`` at the value written ``text`` ("none" = None, "0:0.5" = a pair).

    Raises:
        SpecError: no such setting, or a value it cannot have.
    """
    part, _, field = name.rpartition(".")
    if part in _PARTS:
        old = getattr(config, part)
        new = msgspec.structs.replace(old, **{field: _value(type(old), name, field, text)})
        return msgspec.structs.replace(config, **{part: new})
    if part in ("", "model") and field in _fields(ModelConfig) and field not in ("features", "classes"):
        value = _value(ModelConfig, name, field, text)
        return msgspec.structs.replace(config, model_changes={**config.model_changes, field: value})
    if part == "" and field in _fields(TrainConfig) and field not in (*_PARTS, "model_changes"):
        return msgspec.structs.replace(config, **{field: _value(TrainConfig, name, field, text)})
    raise SpecError(f"setting {name!r}: unknown{_suggest(name)}")


def setting_names() -> list[str]:
    """All names that ``change`` knows."""
    own = [f for f in _fields(TrainConfig) if f not in (*_PARTS, "model_changes")]
    model = [f for f in _fields(ModelConfig) if f not in ("features", "classes")]
    hints = typing.get_type_hints(TrainConfig)
    return [*own, *model, *(f"{part}.{f}" for part in _PARTS for f in _fields(hints[part]))]


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
        raise SpecError(f"{name} {text!r}: {str(error)[0].lower()}{str(error)[1:]}") from None


def _suggest(name: str) -> str:
    close = difflib.get_close_matches(name, setting_names(), 3)
    return f"; did you mean {', '.join(close)}?" if close else ""
