"""The table of layers: Keras class -> the function that writes it into the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.keras.graph_builder import Builder, Tensor, Time
from export.keras.layer_config import Layer
from stream.errors import ExportError

Array = NDArray[Any]
Write = Callable[[Builder, Layer, list[Tensor], list[Array]], list[Tensor]]
LAYERS: dict[str, Write] = {}
KEEP_MASK: set[str] = set()  # a mask of the input holds for the output
USE_MASK: set[str] = set()  # it decides about a mask itself
JOIN: set[str] = set()  # takes several tensors


def layer(
    *kinds: str, mask: Literal["keep", "use", "lose"] = "lose", joins: bool = False
) -> Callable[[Write], Write]:
    """Register a function for these classes: (graph, layer, inputs, weights) -> outputs.

    Args:
        mask: what becomes of a mask of its input. "lose": Keras would drop it, so it is refused.
        joins: it takes several tensors; others get exactly one.
    """

    def register(function: Write) -> Write:
        for kind in kinds:
            if kind in LAYERS:
                raise ValueError(f"two functions for {kind}")
            LAYERS[kind] = function
        KEEP_MASK.update(kinds if mask == "keep" else ())
        USE_MASK.update(kinds if mask == "use" else ())
        JOIN.update(kinds if joins else ())
        return function

    return register


def weights(layer: Layer, given: list[Array], *shapes: tuple[int, ...] | None) -> list[Array]:
    """A layer's weights, of exactly these shapes; None is left out.

    Raises:
        ExportError: the file holds others.
    """
    wanted = [shape for shape in shapes if shape is not None]
    found = [tuple(array.shape) for array in given]
    if found != wanted:
        raise ExportError(
            f"{layer.label}: its weights have the shapes {_shapes(found)}, its settings mean {_shapes(wanted)}; "
            "save the network again"
        )
    return given


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "one number" for shape in shapes[:8]) or "none"


def features(layer: Layer, x: Tensor, axis: int = -1) -> int:
    """Size of the axis that a layer works on; refused where that is time or the batch."""
    axis = axis % x.rank if -x.rank <= axis < x.rank else x.rank
    size = x.size(axis) if axis < x.rank else None
    if size is None:
        which = "time" if axis < x.rank and isinstance(x.axes[axis], Time) else "no axis of features"
        raise layer.refused(
            f"it works along {which} of an input {x.shape}, so it needs the whole sequence",
            "let it work on the features, the last axis",
        )
    return size


def plain(value: Array) -> Array:
    return np.asarray(value, np.float32)
