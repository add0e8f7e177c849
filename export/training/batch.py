"""Batch: what one optimiser step learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """N rows of T feature frames with their answers.

    Attributes:
        features: (N, T, F) float32.
        targets: (N, T') int64 class indices, or (N, T', C) float32 in [0, 1] for sigmoid; T' = T // stride.
        weight: (N, T') float32; 0 = nothing is learnt here (padding, unsure labels).
        fresh: (N,) bool, True where the row begins a new stream; False where it goes on where the same row
            of the previous batch ended. None: every row is a whole sequence, no state is carried.
    """

    features: Tensor
    targets: Tensor
    weight: Tensor
    fresh: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        if device.type == "cpu":
            return self
        return replace(
            self,
            features=self.features.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
            weight=self.weight.to(device, non_blocking=True),
            fresh=None if self.fresh is None else self.fresh.to(device, non_blocking=True),
        )
