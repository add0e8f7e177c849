"""Losses of frames, each frame with its own weight, and a penalty on memory that is too long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.models.layers import Recurrent
from stream.inference.card import Activation


def frame_loss(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor,
    activation: Activation,
    *,
    smoothing: float = 0.0,
    focal: float = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Weighted mean loss, a scalar; 0 when no frame has weight.

    Args:
        logits: (N, T, C) float32.
        targets: (N, T) int64 for softmax, (N, T, C) float32 for sigmoid.
        weight: (N, T) float32.
        smoothing: share of the target spread over all classes (softmax) or towards 1/2 (sigmoid).
        focal: exponent of (1 - p) on the loss of the right answer (Lin et al. 2017, arXiv:1708.02002); 0 = off.
        class_weight: (C,) float32 factors on each class's loss.
    """
    logits = logits.float()
    if activation == "softmax":
        flat = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), reduction="none", label_smoothing=smoothing
        ).view_as(weight)
        if focal:
            right = logits.softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
            flat = flat * (1 - right) ** focal
        if class_weight is not None:
            weight = weight * class_weight[targets]
    else:
        soft = targets * (1 - smoothing) + 0.5 * smoothing if smoothing else targets
        each = functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
        if focal:
            probs = logits.sigmoid()
            each = each * (targets * (1 - probs) + (1 - targets) * probs) ** focal
        if class_weight is not None:
            each = each * class_weight
        flat = each.mean(-1)
    return (flat * weight).sum() / torch.clamp(weight.sum(), min=1e-6)


@contextmanager
def memory_excess(model: nn.Module, frames: float) -> Iterator[list[Tensor]]:
    """Collect ``Recurrent.memory_excess`` of every recurrent layer that runs in the block; 0 ``frames`` = none."""
    found: list[Tensor] = []

    def add(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        assert isinstance(layer, Recurrent)
        found.append(layer.memory_excess(inputs[0], output[0], frames))

    layers = [module for module in model.modules() if isinstance(module, Recurrent)] if frames else []
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
