"""Weights to start from: those of a network that has learnt the sounds of speech from many people.

Nothing here imports torch before ``begin`` is called.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from export.models.config import preset
from export.training.config import TrainConfig
from stream.errors import SpecError
from stream.features.spec import MfccSpec
from stream.installation import asset

if TYPE_CHECKING:
    from export.models import FrameClassifier
    from export.models.checkpoint import Checkpoint

START = "speech-sounds.pt"
MODEL = "crnn"
SHAPE: dict[str, Any] = {
    "axes": "time-frequency", "conv_layers": 3, "channels": 32, "kernel": 3, "stride": 4, "hidden": 128, "layers": 1,
}  # fmt: skip
FEATURES = MfccSpec(n_mfcc=None, log_floor=1e-8)


def check_start(config: TrainConfig) -> None:
    """Refuse ``start="speech"`` for another network or other features than those the weights belong to.

    Raises:
        SpecError: the setting that differs.
    """
    if config.start is None:
        return
    way = "leave it out, or set start=none"
    asked = preset(config.model, features=1, classes=1, **config.model_changes)
    known = preset(MODEL, features=1, classes=1, **SHAPE, dropout=asked.dropout)
    for name, value in msgspec.structs.asdict(known).items():
        if (other := getattr(asked, name)) != value:
            raise SpecError(f"start speech: its network has {name} {value}, not {other}; {way}")
    for name, value in msgspec.structs.asdict(FEATURES).items():
        if (other := getattr(config.features, name)) != value:
            raise SpecError(f"start speech: its network hears features.{name} {value}, not {other}; {way}")


def begin(model: FrameClassifier) -> None:
    """Give ``model`` the bundled weights in place, all but those of the head. ``check_start`` says whether they fit."""
    own = model.state_dict()
    learnt = {
        name: value for name, value in _bundled().model.state_dict().items() if not name.startswith("head.")
    }
    model.load_state_dict({**own, **learnt})


def start_origin(config: TrainConfig) -> dict[str, Any]:
    """What the card keeps of the start, for its provenance; {} without one."""
    if config.start is None:
        return {}
    digest = hashlib.sha256(asset(START).read_bytes()).hexdigest()[:16]
    return {"start": {"name": _bundled().card.name, "sha256": digest, "licence": _bundled().card.licence}}


def start_sources(config: TrainConfig) -> tuple[str, ...]:
    """A line for each source that the start was learnt from; () without one."""
    return () if config.start is None else _bundled().card.sources


@cache
def _bundled() -> Checkpoint:
    from export.models.checkpoint import load_model

    return load_model(asset(START))
