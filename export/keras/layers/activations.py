"""Activation functions, on their own and inside other layers.

Formulas: keras.io/api/layers/activations. What ONNX has no operator for is written in ONNX's arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from export.keras.graph_builder import Builder, Tensor, Time
from export.keras.layer_config import Layer
from export.keras.layers.layer_table import Array, features, layer, weights
from stream.errors import NotStreamable
from stream.printable import printable

Function = Callable[[Builder, str], str]


def _scaled_sigmoid(b: Builder, x: str) -> str:
    return b.one("Mul", [x, b.one("Sigmoid", [x])])


def _gelu(b: Builder, x: str) -> str:
    half = b.one("Erf", [b.one("Mul", [x, b.floats(np.sqrt(0.5))])])
    return b.one("Mul", [b.one("Mul", [x, b.floats(0.5)]), b.one("Add", [half, b.floats(1.0)])])


def _mish(b: Builder, x: str) -> str:
    return b.one("Mul", [x, b.one("Tanh", [b.one("Softplus", [x])])])


def _hard_silu(b: Builder, x: str) -> str:
    return b.one("Mul", [x, b.one("HardSigmoid", [x], alpha=1 / 6, beta=0.5)])


def _clip(low: float, high: float) -> Function:
    return lambda b, x: b.one("Clip", [x, b.floats(low), b.floats(high)])


def _operator(op: str, **attrs: Any) -> Function:
    return lambda b, x: b.one(op, [x], **attrs)


def _log_sigmoid(b: Builder, x: str) -> str:
    return b.one("Neg", [b.one("Softplus", [b.one("Neg", [x])])])


def _tanh_shrink(b: Builder, x: str) -> str:
    return b.one("Sub", [x, b.one("Tanh", [x])])


_FUNCTIONS: dict[str, Function] = {
    "linear": lambda b, x: x,
    "relu": _operator("Relu"),
    "relu6": _clip(0, 6),
    "tanh": _operator("Tanh"),
    "sigmoid": _operator("Sigmoid"),
    "softplus": _operator("Softplus"),
    "softsign": _operator("Softsign"),
    "exponential": _operator("Exp"),
    "elu": _operator("Elu", alpha=1.0),
    "selu": _operator("Selu"),
    "celu": _operator("Celu", alpha=1.0),
    "gelu": _gelu,
    "silu": _scaled_sigmoid,
    "swish": _scaled_sigmoid,
    "hard_silu": _hard_silu,
    "hard_swish": _hard_silu,
    "hard_tanh": _clip(-1, 1),
    "mish": _mish,
    "log_sigmoid": _log_sigmoid,
    "tanh_shrink": _tanh_shrink,
    "leaky_relu": _operator("LeakyRelu", alpha=0.2),
}
# Keras 3 changed two of them.
_OLD = {
    "leaky_relu": _operator("LeakyRelu", alpha=0.2),
    "hard_sigmoid": _operator("HardSigmoid", alpha=0.2, beta=0.5),
}
_NEW = {"hard_sigmoid": _operator("HardSigmoid", alpha=1 / 6, beta=0.5)}
# What a recurrent operator of ONNX can have inside: name, alpha, beta.
_RECURRENT = {
    "linear": ("Affine", 1.0, 0.0),
    "relu": ("Relu", 0.0, 0.0),
    "tanh": ("Tanh", 0.0, 0.0),
    "sigmoid": ("Sigmoid", 0.0, 0.0),
    "softsign": ("Softsign", 0.0, 0.0),
    "softplus": ("Softplus", 0.0, 0.0),
    "elu": ("Elu", 1.0, 0.0),
    "leaky_relu": ("LeakyRelu", 0.2, 0.0),
}


def activation_name(layer: Layer, key: str, default: str = "linear") -> str:
    """The function that a setting names; code of the user's own is refused by name."""
    value = layer.config.get(key, default)
    if value is None:
        return "linear"
    if isinstance(value, str) and ">" not in value:
        return value
    named = value.get("config") if isinstance(value, dict) else value
    name = named if isinstance(named, str) else value.get("class_name") if isinstance(value, dict) else named
    raise layer.refused(
        f"its activation '{printable(str(name))[:60]}' is code of your own, which is not in the file",
        "use one of Keras's own functions, or export the network to ONNX and give that",
    )


def activate(b: Builder, layer: Layer, x: Tensor, key: str = "activation") -> Tensor:
    """Apply the function that a setting names; a layer given there (``LeakyReLU()``) too."""
    value = layer.config.get(key)
    if (
        isinstance(value, dict)
        and value.get("class_name") in _AS_ACTIVATION
        and isinstance(value.get("config"), dict)
    ):
        inner = Layer(layer.name, value["class_name"], value["config"], version=layer.version)
        return _AS_ACTIVATION[inner.kind](b, inner, [x], [])[0]
    return apply(b, layer, x, activation_name(layer, key))


def apply(b: Builder, layer: Layer, x: Tensor, name: str) -> Tensor:
    """Apply a function of Keras."""
    if name in ("softmax", "log_softmax"):
        return _softmax(b, layer, x, -1, "Softmax" if name == "softmax" else "LogSoftmax")
    function = {**_FUNCTIONS, **(_OLD if layer.version < 3 else _NEW)}.get(name)
    if function is None:
        raise _unknown(layer, name)
    return x.named(function(b, x.name))


def recurrent_activation(layer: Layer, key: str, default: str) -> tuple[str, float, float]:
    """The function of a recurrence as ONNX's operators take it: name, alpha, beta."""
    name = activation_name(layer, key, default)
    if name == "hard_sigmoid":
        return ("HardSigmoid", 0.2 if layer.version < 3 else 1 / 6, 0.5)
    if name not in _RECURRENT:
        usual = ", ".join(sorted([*_RECURRENT, "hard_sigmoid"]))
        raise layer.refused(
            f"its {key} is '{printable(name)[:40]}', which ONNX's recurrent operators do not have",
            f"use one of {usual}",
        )
    return _RECURRENT[name]


def _unknown(layer: Layer, name: str) -> NotStreamable:
    return layer.refused(
        f"there is no rule for its activation '{printable(name)[:60]}'",
        "use relu, tanh, gelu, silu or another usual one",
    )


def _softmax(b: Builder, layer: Layer, x: Tensor, axis: Any, op: str = "Softmax") -> Tensor:
    if not isinstance(axis, int):
        raise layer.refused("its softmax is over several axes", "use one axis, that of the classes")
    if isinstance(x.axes[axis % x.rank], Time):
        raise layer.refused(
            "its softmax is over time, so it needs the whole sequence",
            "take the maximum or mean over time in place of attention",
        )
    features(layer, x, axis)
    return x.named(b.one(op, [x.name], axis=axis))


@layer("Activation", mask="keep")
def activation(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    return [activate(b, layer, inputs[0])]


@layer("ReLU", mask="keep")
def relu(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """max(x, 0) up to max_value; below the threshold slope * (x - threshold)."""
    (x,) = inputs
    slope = layer.number("negative_slope", 0.0)
    threshold = layer.number("threshold", 0.0)
    most = layer.config.get("max_value")
    if not slope and not threshold:
        if most is None:
            return [x.named(b.one("Relu", [x.name]))]
        return [x.named(b.one("Clip", [x.name, b.floats(0.0), b.floats(layer.number("max_value", 0.0))]))]
    level = b.floats(threshold)
    above = b.one("GreaterOrEqual", [x.name, level])
    below = b.one("Mul", [b.one("Sub", [x.name, level]), b.floats(slope)])
    name = b.one("Where", [above, x.name, below])
    if most is not None:
        name = b.one("Min", [name, b.floats(layer.number("max_value", 0.0))])
    return [x.named(name)]


@layer("LeakyReLU", mask="keep")
def leaky_relu(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    slope = layer.number("negative_slope", layer.number("alpha", 0.3))
    return [inputs[0].named(b.one("LeakyRelu", [inputs[0].name], alpha=slope))]


@layer("ELU", mask="keep")
def elu(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    return [inputs[0].named(b.one("Elu", [inputs[0].name], alpha=layer.number("alpha", 1.0)))]


@layer("Softmax", mask="keep")
def softmax(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    return [_softmax(b, layer, inputs[0], layer.setting("axis", -1))]


@layer("ThresholdedReLU", mask="keep")
def thresholded_relu(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    return [inputs[0].named(b.one("ThresholdedRelu", [inputs[0].name], alpha=layer.number("theta", 1.0)))]


@layer("PReLU", mask="keep")
def prelu(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """One learnt slope for each feature; shared_axes has them shared."""
    (x,) = inputs
    shared = layer.setting("shared_axes", [])
    shared = [int(axis) % x.rank for axis in (shared if isinstance(shared, list | tuple) else [shared])]
    shape = []
    for axis in range(1, x.rank):
        if axis not in shared and isinstance(x.axes[axis], Time):
            raise layer.refused(
                "it has a slope for every frame of a fixed length", "give it shared_axes=[1], the time axis"
            )
        shape.append(1 if axis in shared else features(layer, x, axis))
    (alpha,) = weights(layer, given, tuple(shape))
    return [x.named(b.one("PRelu", [x.name, b.floats(alpha)]))]


_AS_ACTIVATION = {
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "Softmax": softmax,
    "ThresholdedReLU": thresholded_relu,
}
