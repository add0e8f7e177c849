"""FitConfig: how to train, whatever the network and the batches."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.errors import SpecError
from stream.inference.card import Activation


class FitConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to train.

    Attributes:
        activation: "softmax" (targets are class indices) or "sigmoid" (targets are 0..1 by class).
        epochs: at most this many passes.
        learning_rate, weight_decay: of the optimiser; decay leaves biases and norms alone.
        optimizer: "adamw" or "adam" (no decay).
        schedule: "cosine" to a hundredth of the rate, "plateau" (halve after ``patience / 3`` epochs without
            gain) or "constant".
        warmup: share of the first epoch over which the rate rises from zero.
        clip_norm: largest norm of the gradient; 0 = no clipping.
        patience: epochs without gain after which training stops; 0 = never.
        monitor: the validation figure that decides what is best; "loss" is minimised, others maximised.
            "auto" is the loss; ``train`` puts accuracy or F1 there.
        smoothing, focal: see ``frame_loss``.
        average: decay of the running mean of the weights that is validated and kept; 0 = off.
        memory: frames over which a single recurrent layer may keep its state; a longer memory is penalised, so
            that what was heard long ago, or at the start, is forgotten. 0 = no limit. Needs carried state.
        mixed_precision: bfloat16 autocast where the GPU has it; never on the CPU.
        device: "auto" (CUDA when there is one), "cpu" or "cuda".
        seed: decides every random number.
    """

    activation: Activation = "softmax"
    epochs: int = 30
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    optimizer: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    warmup: float = 1.0
    clip_norm: float = 1.0
    patience: int = 0
    monitor: str = "auto"
    smoothing: float = 0.0
    focal: float = 0.0
    average: float = 0.0
    memory: float = 0.0
    mixed_precision: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise SpecError(f"epochs {self.epochs}: must be at least 1")
        if not 0 < self.learning_rate <= 10:
            raise SpecError(f"learning_rate {self.learning_rate:g}: must be above 0 and at most 10")
        if self.memory and not 2 < self.memory <= 1e6:
            raise SpecError(f"memory {self.memory:g}: must be 0 (no limit) or above 2 frames, at most 1e6")
        if not 0 <= self.average < 1:
            raise SpecError(f"average {self.average:g}: must be 0 to below 1")
