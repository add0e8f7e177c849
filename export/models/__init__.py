"""Causal networks by name: ``build(preset("gru", features=40, classes=4))``.

Every network maps features (N, T, F) float32 to logits (N, T // stride, C) float32 and looks at no later
frame. Called as ``model(features, state)`` it returns the logits and the state to pass with the next piece;
without a state a sequence begins. Feature normalisation is part of the network.

    config.py      ModelConfig, the presets
    layers.py      normalisation, causal convolutions, recurrent stack
    separable.py   depthwise-separable blocks of the dstcn
    linear_attention.py   gated linear attention
    network.py     FrameClassifier: a row of layers and a linear head
    checkpoint.py  a trained network and its card in one file that is safe to open
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.lazy import lazy_names
from export.models.config import PRESETS, ModelConfig, preset

if TYPE_CHECKING:
    from export.models.layers import State
    from export.models.network import FrameClassifier, build, count_parameters

_HOME_OF = {
    "FrameClassifier": "export.models.network",
    "PRESETS": "export.models.config",
    "ModelConfig": "export.models.config",
    "State": "export.models.layers",
    "build": "export.models.network",
    "count_parameters": "export.models.network",
    "preset": "export.models.config",
}

__all__ = ["PRESETS", "FrameClassifier", "ModelConfig", "State", "build", "count_parameters", "preset"]

__getattr__, __dir__ = lazy_names(__name__, _HOME_OF)
