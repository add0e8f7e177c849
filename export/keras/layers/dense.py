"""Layers that work on each value, or on the features of each frame."""

from __future__ import annotations

import numpy as np

from export.keras.graph_builder import Builder, Tensor
from export.keras.layer_config import Layer
from export.keras.layers.activations import activate
from export.keras.layers.layer_table import Array, features, layer, plain, weights


@layer("Dense", mask="keep")
def dense(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    (x,) = inputs
    units, width = layer.integer("units"), features(layer, x)
    bias = (units,) if layer.setting("use_bias", True) else None
    kernel, *rest = weights(layer, given, (width, units), bias)
    name = b.one("MatMul", [x.name, b.floats(kernel)])
    if rest:
        name = b.one("Add", [name, b.floats(rest[0])])
    return [activate(b, layer, x.named(name, axes=(*x.axes[:-1], units)))]


@layer(
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    *("ActivityRegularization", "Identity"),
    mask="keep",
)
def nothing(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """Only at work in training."""
    return list(inputs)


@layer("Rescaling", mask="keep")
def rescaling(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    (x,) = inputs
    scale = np.asarray(layer.setting("scale", 1.0), np.float32)
    offset = np.asarray(layer.setting("offset", 0.0), np.float32)
    if max(scale.size, offset.size) not in (1, x.size(-1)):
        raise layer.refused(
            f"its scale does not fit an input {x.shape}", "give one number, or one for each feature"
        )
    name = b.one("Mul", [x.name, b.floats(scale)])
    return [x.named(b.one("Add", [name, b.floats(offset)]))]


@layer("BatchNormalization", mask="keep")
def batch_normalization(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with the statistics of training."""
    (x,) = inputs
    axis = layer.setting("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if not isinstance(axis, int):
        raise layer.refused("it normalises several axes", "use axis=-1, the features")
    width = features(layer, x, axis)
    has = [bool(layer.setting("scale", True)), bool(layer.setting("center", True))]
    found = weights(layer, given, *[(width,) if each else None for each in has], (width,), (width,))
    gamma = found.pop(0) if has[0] else np.ones(width)
    beta = found.pop(0) if has[1] else np.zeros(width)
    mean, variance = found
    scale = gamma / np.sqrt(variance.astype(np.float64) + layer.number("epsilon", 1e-3))
    shape = [width if i == axis % x.rank else 1 for i in range(1, x.rank)]
    name = b.one("Sub", [x.name, b.floats(mean.reshape(shape))])
    name = b.one("Mul", [name, b.floats(scale.reshape(shape))])
    return [x.named(b.one("Add", [name, b.floats(beta.reshape(shape))]))]


@layer("LayerNormalization", "RMSNormalization", mask="keep")
def layer_normalization(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """Over the features of each frame; without the mean and the shift where it is an RMS normalisation."""
    (x,) = inputs
    axis = layer.setting("axis", -1)
    axes = sorted(int(a) % x.rank for a in (axis if isinstance(axis, list | tuple) else [axis]))
    sizes = [features(layer, x, a) for a in axes]
    only_scale = layer.kind == "RMSNormalization" or bool(layer.config.get("rms_scaling"))
    has_gamma = layer.kind == "RMSNormalization" or bool(layer.setting("scale", True)) or only_scale
    has_beta = layer.kind == "LayerNormalization" and bool(layer.setting("center", True)) and not only_scale
    shapes = [tuple(sizes) if has else None for has in (has_gamma, has_beta)]
    found = weights(layer, given, *shapes)
    spread = [x.size(a) if a in axes else 1 for a in range(1, x.rank)]
    epsilon = b.floats(layer.number("epsilon", 1e-6 if layer.kind == "RMSNormalization" else 1e-3))
    centred = b.one("Sub", [x.name, b.one("ReduceMean", [x.name], axes=axes, keepdims=1)])
    measured = x.name if layer.kind == "RMSNormalization" else centred
    power = b.one("ReduceMean", [b.one("Mul", [measured, measured])], axes=axes, keepdims=1)
    deviation = b.one("Sqrt", [b.one("Add", [power, epsilon])])
    name = b.one("Div", [x.name if only_scale else centred, deviation])
    if has_gamma:
        name = b.one("Mul", [name, b.floats(found[0].reshape(spread))])
    if has_beta:
        name = b.one("Add", [name, b.floats(found[-1].reshape(spread))])
    return [x.named(name)]


@layer("UnitNormalization", mask="keep")
def unit_normalization(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """Each frame divided by its length, the root of the sum of its squares."""
    (x,) = inputs
    axis = layer.setting("axis", -1)
    axes = sorted(int(a) % x.rank for a in (axis if isinstance(axis, list | tuple) else [axis]))
    for each in axes:
        features(layer, x, each)
    square = b.one("ReduceSum", [b.one("Mul", [x.name, x.name]), b.ints(*axes)], keepdims=1)
    length = b.one("Sqrt", [b.one("Max", [square, b.floats(1e-12)])])
    return [x.named(b.one("Div", [x.name, length]))]


@layer("Normalization")
def normalization(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """(x - mean) / max(sqrt(variance), 1e-7), with the statistics it was adapted to."""
    (x,) = inputs
    axis = layer.config.get("axis", -1)
    axes = (
        [int(a) % x.rank for a in (axis if isinstance(axis, list | tuple) else [axis])]
        if axis is not None
        else []
    )
    sizes = tuple(features(layer, x, a) for a in axes)
    if layer.config.get("mean") is not None:
        stored = [np.asarray(layer.config[key], np.float32) for key in ("mean", "variance")]
    elif len(given) in (2, 3):
        stored = [plain(array) for array in given[:2]]
    else:
        raise layer.refused("it was never adapted, so its mean is not known", "call adapt() before saving")
    shape = [x.size(a) or 1 if a in axes else 1 for a in range(1, x.rank)]
    count = int(np.prod(sizes, dtype=np.int64))
    if any(array.size not in (1, count) for array in stored):
        raise layer.refused(
            f"its mean does not fit an input {x.shape}", "adapt it to the features and save it again"
        )
    mean, variance = (np.broadcast_to(array.reshape(-1), (count,)).reshape(shape) for array in stored)
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    if layer.config.get("invert"):
        name = b.one("Add", [b.floats(mean), b.one("Mul", [x.name, b.floats(deviation)])])
    else:
        name = b.one("Div", [b.one("Sub", [x.name, b.floats(mean)]), b.floats(deviation)])
    return [x.named(name)]
