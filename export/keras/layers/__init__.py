"""Keras layers as ONNX operators: importing this package fills the table."""

from __future__ import annotations

from export.keras.layers import activations, convolution, dense, merging, recurrences, shaping
from export.keras.layers.layer_table import JOIN, KEEP_MASK, LAYERS, USE_MASK

__all__ = [
    "JOIN",
    "KEEP_MASK",
    "LAYERS",
    "USE_MASK",
    "activations",
    "convolution",
    "dense",
    "merging",
    "recurrences",
    "shaping",
]
