"""ModelConfig: every number that decides the shape of a network."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from stream.errors import SpecError

Architecture = Literal["rnn", "lstm", "gru", "crnn", "tcn", "dstcn", "gla"]
Cell = Literal["rnn", "lstm", "gru"]


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network's shape.

    Attributes:
        arch: "rnn" (plain tanh), "lstm", "gru": a recurrent stack; "crnn": causal convolutions, then a
            recurrent stack; "tcn": dilated causal residual blocks; "dstcn": convolutions over time and frequency,
            then dilated blocks, all but the first depthwise-separable; "gla": gated linear attention.
        features: F, values in a frame.
        classes: C, outputs of a frame.
        hidden: units of each recurrent layer; channels of the tcn and dstcn; width of the gla.
        layers: recurrent layers; residual blocks of the tcn and dstcn (block i has dilation 2**i) and of the gla.
        dropout: between layers and before the head, 0 to below 1.
        stride: feature frames per output row. Above 1 a causal strided convolution comes first; over time and
            frequency (without ``front``) the first convolutions halve the frames instead, so it is a power of 2.
        front: frames seen by that first convolution (0 = none unless stride asks for it; >= stride).
        kernel: frames a convolution of the crnn, tcn or dstcn sees.
        channels: of the crnn's convolutions, and of the dstcn's over time and frequency.
        conv_layers: convolutions of the crnn; of the dstcn those over time and frequency.
        axes: "time": the crnn convolves over time with all features mixed (right for MFCC);
            "time-frequency": over both, halving the frequency axis each time (right for log-mel, and with
            ``bands`` for MFCC). A dstcn always does the latter.
        bands: first turn MFCC back into mel bands: a learnt matrix (F, F) that begins as the inverse of the
            orthonormal cosine transform. For features with as many coefficients as bands and no deltas.
        norm: batch normalisation after convolutions over time and frequency.
        cell: the crnn's recurrent kind.
        level_memory: time constant, in frames, of a running mean of the input's level, of which a learnt share is
            taken off the features: loud and quiet recordings become alike. The level is the first feature where there
            are ``bands`` (of MFCC it is the log energy), else the mean of all. 0 = off.
        heads: of the gla; ``hidden`` is a multiple of twice as many.
    """

    arch: Architecture
    features: int
    classes: int
    hidden: int = 64
    layers: int = 2
    dropout: float = 0.0
    stride: int = 1
    front: int = 0
    kernel: int = 3
    channels: int = 64
    conv_layers: int = 2
    axes: Literal["time", "time-frequency"] = "time"
    bands: bool = False
    norm: bool = True
    cell: Cell = "gru"
    heads: int = 4
    level_memory: int = 0

    def __post_init__(self) -> None:
        for name in (
            "features",
            "classes",
            "hidden",
            "layers",
            "stride",
            "kernel",
            "channels",
            "conv_layers",
            "heads",
        ):
            value = getattr(self, name)
            if not 1 <= value <= 65_536:
                raise SpecError(f"{name} {value}: must be 1 to 65536")
        if self.arch in ("tcn", "dstcn") and self.layers > 16:
            raise SpecError(
                f"layers {self.layers}: a {self.arch} doubles its dilation each block; at most 16"
            )
        if self.arch == "gla" and self.hidden % (2 * self.heads):
            raise SpecError(f"hidden {self.hidden}: must be a multiple of {2 * self.heads}, twice the heads")
        if self.arch == "dstcn" and self.front:
            raise SpecError(
                f"front {self.front}: would mix the frequencies before a dstcn sees them; leave it out"
            )
        if self.level_memory and not 10 <= self.level_memory <= 65_536:
            raise SpecError(f"level_memory {self.level_memory}: must be 0 (off) or 10 to 65536 frames")
        if not 0 <= self.dropout < 1:
            raise SpecError(f"dropout {self.dropout:g}: must be 0 to below 1")
        if self.front and self.front < self.stride:
            raise SpecError(f"front {self.front}: must be 0 or at least the stride ({self.stride})")
        if self.halving and self.stride not in [2**i for i in range(self.conv_layers + 1)]:
            raise SpecError(
                f"stride {self.stride}: {self.conv_layers} convolutions over time and frequency halve the frames "
                f"once each at most, so it must be a power of 2 up to {2**self.conv_layers}"
            )
        if self.halving and self.stride > 1 and self.kernel < 2:
            raise SpecError(f"kernel {self.kernel}: must be at least 2 where convolutions halve the frames")

    @property
    def halving(self) -> bool:
        """True when the network's own convolutions over time and frequency take the stride."""
        return self.arch == "dstcn" or (
            self.arch == "crnn" and self.axes == "time-frequency" and not self.front
        )


PRESETS: dict[str, dict[str, Any]] = {
    "rnn": {"arch": "rnn", "hidden": 96, "layers": 2},
    "lstm": {"arch": "lstm", "hidden": 64, "layers": 2},
    "gru": {"arch": "gru", "hidden": 64, "layers": 2},
    "crnn": {"arch": "crnn", "hidden": 64, "layers": 1, "channels": 64, "kernel": 5},
    "tcn": {"arch": "tcn", "hidden": 64, "layers": 7, "kernel": 3},
    "dstcn": {"arch": "dstcn", "hidden": 64, "layers": 6, "channels": 16, "kernel": 3},
    "gla": {"arch": "gla", "hidden": 64, "layers": 2, "front": 4},
    "tutorial": {"arch": "gru", "hidden": 50, "layers": 2},
}


def preset(name: str, *, features: int, classes: int, **changes: Any) -> ModelConfig:
    """The ModelConfig of a preset with some fields changed.

    Raises:
        SpecError: an unknown preset or field, or a value out of range.
    """
    if name not in PRESETS:
        raise SpecError(f"model {name!r}: the presets are {', '.join(PRESETS)}")
    values = {**PRESETS[name], **changes, "features": features, "classes": classes}
    try:
        return msgspec.convert(values, ModelConfig)
    except msgspec.ValidationError as error:
        raise SpecError(f"model {name!r}: {error}") from None
