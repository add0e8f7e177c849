"""Causal networks by name: ``build(preset("gru", features=40, classes=4))``.

Every network maps features (N, T, F) float32 to logits (N, T // stride, C) float32 and looks at no later
frame. ``forward(x)`` is the whole sequence from the initial state; ``stream(x, state)`` continues where the
last call ended and gives the same numbers. Feature normalisation is part of the network.

    config.py      ModelConfig, the presets
    layers.py      normalisation, causal convolutions, recurrent stack: each with forward and stream
    network.py     FrameClassifier: a row of layers and a linear head
"""

from __future__ import annotations

from export.models.config import PRESETS, ModelConfig, preset
from export.models.layers import State
from export.models.network import FrameClassifier, build, count_parameters

__all__ = ["PRESETS", "FrameClassifier", "ModelConfig", "State", "build", "count_parameters", "preset"]
