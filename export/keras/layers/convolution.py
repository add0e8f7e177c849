"""Convolutions and pooling, in time and across features. Keras has channels last, ONNX channels first."""

from __future__ import annotations

import numpy as np

from export.keras.graph_builder import Axis, Builder, Tensor, Time
from export.keras.layer_config import Layer
from export.keras.layers.activations import activate
from export.keras.layers.layer_table import Array, features, layer, weights


def _dimensions(layer: Layer, x: Tensor) -> int:
    count = int(layer.kind[-2])
    if layer.config.get("data_format") == "channels_first":
        raise layer.refused(
            "its channels come first", "use data_format='channels_last', as Keras does on CPUs"
        )
    if x.rank != count + 2:
        raise layer.refused(
            f"its input is {x.shape}", f"give it {count + 2} axes: batch, {'time, ' * (count > 0)}channels"
        )
    return count


def _padding(
    layer: Layer, x: Tensor, kernel: list[int], stride: list[int], dilation: list[int]
) -> tuple[list[int], tuple[Axis, ...]]:
    """Pads (begins, then ends) and the axes of the result, without channels.

    'same' gives ceil(size / stride) rows with the smaller half of the padding in front; for a free length it is that
    of lengths that are multiples of the stride.
    """
    mode = layer.setting("padding", "valid")
    if mode not in ("valid", "same", "causal"):
        raise layer.refused(f"there is no rule for its padding {str(mode)[:20]!r}", "use padding='causal'")
    begins, ends, axes = [], [], []
    for i, step in enumerate(stride):
        axis = x.axes[i + 1]
        span = (kernel[i] - 1) * dilation[i] + 1
        size = axis.length if isinstance(axis, Time) else axis
        begin = end = 0
        if mode == "causal":
            begin = span - 1
        elif mode == "same":
            rows = -(-size // step) if size is not None else 0
            total = max((rows - 1) * step + span - size, 0) if size is not None else max(span - step, 0)
            begin, end = total // 2, total - total // 2
        begins.append(begin)
        ends.append(end)
        length = None if size is None else (size + begin + end - span) // step + 1
        if length is not None and length < 1:
            raise layer.refused(f"its window is longer than its input {x.shape}", "use a shorter kernel")
        axes.append(Time(length) if isinstance(axis, Time) else length)
    return begins + ends, tuple(axes)


def _window(layer: Layer, count: int) -> tuple[list[int], list[int], list[int]]:
    kernel = layer.integers("kernel_size", count)
    stride = layer.integers("strides", count)
    dilation = layer.integers("dilation_rate", count)
    if min(kernel + stride + dilation) < 1:
        raise layer.refused("its window has no size", "save the network again")
    return kernel, stride, dilation


def _convolve(
    b: Builder,
    layer: Layer,
    x: Tensor,
    kernel: Array,
    group: int,
    window: tuple[list[int], list[int], list[int]],
    bias: list[Array],
) -> Tensor:
    """A convolution of a channels-last tensor; ``kernel`` is (out, in / group, *size)."""
    size, stride, dilation = window
    pads, axes = _padding(layer, x, size, stride, dilation)
    first = b.transpose(x, [0, x.rank - 1, *range(1, x.rank - 1)])
    name = b.one(
        "Conv", [first.name, b.floats(kernel), *(b.floats(each) for each in bias)],
        kernel_shape=size, strides=stride, dilations=dilation, pads=pads, group=group,
    )  # fmt: skip
    made = Tensor(name, (x.axes[0], len(kernel), *axes))
    return b.transpose(made, [0, *range(2, x.rank), 1])


def _channels_first(kernel: Array) -> Array:
    """(*size, in, out) -> (out, in, *size)."""
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def _depthwise_kernel(kernel: Array) -> Array:
    """(*size, in, multiplier) -> (in * multiplier, 1, *size)."""
    moved = np.moveaxis(kernel, (-2, -1), (0, 1))
    return moved.reshape(-1, 1, *moved.shape[2:])


@layer("Conv1D", "Conv2D", "Convolution1D", "Convolution2D")
def convolution(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    (x,) = inputs
    count = _dimensions(layer, x)
    window = _window(layer, count)
    filters, groups, channels = layer.integer("filters"), layer.integer("groups", 1), features(layer, x)
    if groups < 1 or channels % groups:
        raise layer.refused(
            f"its {channels} channels cannot be divided into {groups} groups", "save the network again"
        )
    bias = (filters,) if layer.setting("use_bias", True) else None
    kernel, *rest = weights(layer, given, (*window[0], channels // groups, filters), bias)
    return [activate(b, layer, _convolve(b, layer, x, _channels_first(kernel), groups, window, rest))]


@layer("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    (x,) = inputs
    count = _dimensions(layer, x)
    window = _window(layer, count)
    channels, multiplier = features(layer, x), layer.integer("depth_multiplier", 1)
    bias = (channels * multiplier,) if layer.setting("use_bias", True) else None
    kernel, *rest = weights(layer, given, (*window[0], channels, multiplier), bias)
    return [activate(b, layer, _convolve(b, layer, x, _depthwise_kernel(kernel), channels, window, rest))]


@layer("SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D")
def separable(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """A depthwise convolution, then one of a single frame."""
    (x,) = inputs
    count = _dimensions(layer, x)
    window = _window(layer, count)
    channels, multiplier = features(layer, x), layer.integer("depth_multiplier", 1)
    filters, middle = layer.integer("filters"), channels * multiplier
    bias = (filters,) if layer.setting("use_bias", True) else None
    depth, point, *rest = weights(
        layer, given, (*window[0], channels, multiplier), (*[1] * count, middle, filters), bias
    )
    x = _convolve(b, layer, x, _depthwise_kernel(depth), channels, window, [])
    name = b.one("MatMul", [x.name, b.floats(point.reshape(middle, filters))])
    if rest:
        name = b.one("Add", [name, b.floats(rest[0])])
    return [activate(b, layer, x.named(name, axes=(*x.axes[:-1], filters)))]


@layer("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D")
def pooling(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    (x,) = inputs
    count = _dimensions(layer, x)
    size = layer.integers("pool_size", count, 2)
    stride = layer.integers("strides", count) if layer.config.get("strides") is not None else size
    if min(size + stride) < 1:
        raise layer.refused("its window has no size", "save the network again")
    pads, axes = _padding(layer, x, size, stride, [1] * count)
    first = b.transpose(x, [0, x.rank - 1, *range(1, x.rank - 1)])
    op = "MaxPool" if layer.kind.startswith("Max") else "AveragePool"
    name = b.one(op, [first.name], kernel_shape=size, strides=stride, pads=pads)
    made = Tensor(name, (x.axes[0], x.axes[-1], *axes))
    return [b.transpose(made, [0, *range(2, x.rank), 1])]


@layer("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D")
def global_pooling(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """Mean or maximum over time (and bins): in a stream, over all there was so far."""
    (x,) = inputs
    count = _dimensions(layer, x)
    keep = bool(layer.config.get("keepdims"))
    op = "ReduceMax" if "Max" in layer.kind else "ReduceMean"
    name = b.one(op, [x.name], axes=list(range(1, count + 1)), keepdims=int(keep))
    return [Tensor(name, (x.axes[0], *[1] * (count * keep), x.axes[-1]))]
