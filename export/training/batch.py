"""Batch: what one optimiser step learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """N rows of T feature frames with their targets.

    Attributes:
        features: (N, T, F) float32.
        targets: (N, T') int64 class indices, or (N, T', C) float32 in [0, 1] for sigmoid; T' = T // stride.
        weight: (N, T') float32; 0 = the frame does not count (padding, unsure labels).
        reset: (N,) bool. True: the row begins in the initial state. False: it continues the same row of the
            batch before, with its state. None: every row is a whole sequence, no state is carried.
    """

    features: Tensor
    targets: Tensor
    weight: Tensor
    reset: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        if device.type == "cpu":
            return self
        return replace(
            self,
            features=self.features.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
            weight=self.weight.to(device, non_blocking=True),
            reset=None if self.reset is None else self.reset.to(device, non_blocking=True),
        )
