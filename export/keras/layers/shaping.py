"""Layers that move, cut, pad or regroup axes. Within a frame everything may move; frames stay in order."""

from __future__ import annotations

from math import prod

from export.keras.graph_builder import Axis, Builder, Tensor, Time
from export.keras.layer_config import Layer
from export.keras.layers.layer_table import Array, layer


@layer("Flatten")
def flatten(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    (x,) = inputs
    if x.time is not None:
        raise layer.refused(
            f"it folds time into the features (input {x.shape}), so what follows needs a recording of one length",
            "use TimeDistributed(Flatten()) within a frame and a recurrent layer or GlobalAveragePooling1D over frames",
        )
    if x.rank == 1:
        return [x.named(b.one("Unsqueeze", [x.name, b.ints(1)]), axes=(x.axes[0], 1))]
    return [_reshaped(b, layer, x, [prod(_sizes(layer, x))])]


@layer("Reshape")
def reshape(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    (x,) = inputs
    target = layer.setting("target_shape", [])
    if not isinstance(target, list | tuple) or not all(type(n) is int or n is None for n in target):
        raise layer.refused("its target shape is not whole numbers", "save the network again")
    return [_reshaped(b, layer, x, [-1 if n is None else n for n in target])]


def _reshaped(b: Builder, layer: Layer, x: Tensor, target: list[int]) -> Tensor:
    """(batch, *target). Time must stay an axis: all before it as it was, behind it whole frames regrouped."""
    if x.time is None:
        total = prod(_sizes(layer, x))
        known = prod(n for n in target if n != -1)
        target = [total // max(known, 1) if n == -1 else n for n in target]
        if prod(target) != total:
            raise layer.refused(f"an input {x.shape} has no {target} values", "save the network again")
        axes: list[Axis] = list(target)
        sizes = target
    else:
        place, stacked = _place_of_time(layer, x, target)
        length = x.axes[x.time]
        assert isinstance(length, Time)
        axes = list(target)
        axes[place] = Time(None if length.length is None else length.length // stacked)
        sizes = [-1 if i == place else n for i, n in enumerate(target)]
        before, behind = prod(target[:place]), prod(target[place + 1 :])
        if before < 1 or behind < 1:
            raise layer.refused("its target shape has no size", "save the network again")
    name = b.one("Reshape", [x.name, b.ints(0, *sizes)])
    return x.named(name, axes=(x.axes[0], *axes), mask="")


def _place_of_time(layer: Layer, x: Tensor, target: list[int]) -> tuple[int, int]:
    """Which axis of the target is time, and how many frames are stacked into one."""
    time = x.time
    assert time is not None
    length = x.axes[time]
    assert isinstance(length, Time)
    before = prod(_sizes(layer, x, 1, time))
    behind = prod(_sizes(layer, x, time + 1, x.rank))
    known = length.length
    if known is not None and -1 in target:
        rest = prod(n for n in target if n != -1)
        target[target.index(-1)] = known * before * behind // max(rest, 1)
    for place, rows in enumerate(target):
        if prod(target[:place]) != before or prod(target[place + 1 :]) % behind:
            continue
        stacked = prod(target[place + 1 :]) // behind
        if stacked >= 1 and (rows == -1 or (known is not None and rows * stacked == known)):
            return place, stacked
    raise layer.refused(
        f"it mixes time with the features of its input {x.shape}",
        "keep the time axis where it is and reshape within a frame",
    )


def _sizes(layer: Layer, x: Tensor, start: int = 1, end: int | None = None) -> list[int]:
    sizes = [x.size(axis) for axis in range(start, x.rank if end is None else end)]
    if None in sizes:
        raise layer.refused(f"it mixes the streams of a batch (input {x.shape})", "keep the batch axis")
    return [size for size in sizes if size is not None]


@layer("Permute")
def permute(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    (x,) = inputs
    dims = layer.integers("dims", x.rank - 1)
    if sorted(dims) != list(range(1, x.rank)):
        raise layer.refused(f"its order {dims} does not fit an input {x.shape}", "save the network again")
    moved = b.transpose(x, [0, *dims])
    return [moved.named(moved.name, mask="")]


@layer("ZeroPadding1D", "ZeroPadding2D")
def zero_padding(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """Zeros before and behind; before the first frame they cost nothing."""
    (x,) = inputs
    pairs = _pairs(layer, x, "padding")
    pads = [0, *[low for low, _ in pairs], 0, 0, *[high for _, high in pairs], 0]
    axes = [_longer(axis, low + high) for axis, (low, high) in zip(x.axes[1:-1], pairs, strict=True)]
    return [Tensor(b.one("Pad", [x.name, b.ints(*pads)]), (x.axes[0], *axes, x.axes[-1]))]


@layer("Cropping1D", "Cropping2D")
def cropping(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    (x,) = inputs
    pairs = _pairs(layer, x, "cropping")
    name, axes = x.name, list(x.axes)
    for axis, (low, high) in enumerate(pairs, start=1):
        if low or high:
            end = -high if high else 2**62
            name = b.one("Slice", [name, b.ints(low), b.ints(end), b.ints(axis)])
            axes[axis] = _longer(axes[axis], -low - high)
    return [Tensor(name, tuple(axes))]


def _pairs(layer: Layer, x: Tensor, key: str) -> list[tuple[int, int]]:
    """(before, behind) of each axis, from a number, a pair, or a pair of pairs."""
    count = int(layer.kind[-2])
    value = layer.setting(key, 1)
    if x.rank != count + 2 or layer.config.get("data_format") == "channels_first":
        raise layer.refused(f"its input is {x.shape}", "give it channels last")
    if type(value) is int:
        found = [(value, value)] * count
    elif isinstance(value, list | tuple) and count == 1:
        found = [tuple(value)]
    else:
        found = [(each, each) if type(each) is int else tuple(each) for each in value]
    if len(found) != count or not all(
        len(p) == 2 and all(type(n) is int and n >= 0 for n in p) for p in found
    ):
        raise layer.refused(f"its {key} is not whole numbers of frames or bins", "save the network again")
    return [(low, high) for low, high in found]


def _longer(axis: Axis, by: int) -> Axis:
    if isinstance(axis, Time):
        return Time(None if axis.length is None else axis.length + by)
    return None if axis is None else axis + by
