"""fit(): the training loop, for whole sequences and for carried streams, for any module.

Every epoch has a seed of its own and batches are asked for by epoch number, so a run that was interrupted and
resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import torch
from torch import Tensor, nn

from export.models import State
from export.models.checkpoint import read_safely, write_atomically
from export.models.layers import Recurrent
from export.training.batch import Batch
from export.training.fit_config import FitConfig
from export.training.loss import frame_loss, memory_excess
from export.training.progress import Report, Silent
from export.training.tensors import average_weights, copy_weights, detach, reset_rows
from stream.errors import CheckpointError, ProviderUnavailable, SpecError

FORMAT = "stream-classify training run"
SCHEMA = 1
MEMORY_PENALTY_WEIGHT = 0.05  # small: single units may give way, the task must not
Validate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True, slots=True)
class FitResult:
    """The outcome of training; the model itself has the best weights.

    Attributes:
        history: one record per epoch: epoch, loss, learning_rate, seconds and the validation figures.
        best: the record of the epoch whose weights were kept.
        stopped: "finished" or "early".
    """

    history: tuple[dict[str, float], ...]
    best: dict[str, float]
    stopped: Literal["finished", "early"]


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    config: FitConfig,
    *,
    validate: Validate | None = None,
    folder: Path | None = None,
    resume: bool = False,
    class_weight: Tensor | None = None,
    report: Report | None = None,
    record: Callable[[list[dict[str, float]]], None] | None = None,
) -> FitResult:
    """Train ``model`` in place and leave the best weights in it, on the CPU, in eval mode.

    Args:
        model: ``model(features)`` -> logits (N, T', C), or logits and anything else. For batches with
            ``Batch.reset``, ``model(features, state)`` -> (logits, state), state None at first.
        batches: the batches of an epoch, the same each time it is asked for the same epoch. Where they have
            a length the rate changes at each step, else once an epoch.
        config: see FitConfig.
        validate: figures of a model in eval mode; without it the training loss decides.
        folder: where ``last.pt`` is kept, replaced after each epoch.
        resume: continue from ``folder / "last.pt"`` if it exists.
        class_weight: (C,) float32 factors on the loss of each class.
        report: told about progress.
        record: given the history after each epoch.

    Raises:
        CheckpointError: ``last.pt`` is foreign or belongs to another configuration.
        SpecError: the loss became infinite or NaN, or the monitored figure does not exist.
        ProviderUnavailable: device "cuda" without CUDA.
    """
    if config.monitor == "auto":
        config = msgspec.structs.replace(config, monitor="loss")
    device = pick_device(config.device)
    run = _Run(model.to(device), config, device, class_weight)
    last = None if folder is None else folder / "last.pt"
    if resume and last is not None and last.exists():
        run.restore(last)
    shown = report or Silent()
    stopped: Literal["finished", "early"] = "finished"
    for epoch in range(len(run.history), config.epochs):
        if config.patience and run.stale >= config.patience:
            stopped = "early"
            break
        line = run.epoch(epoch, batches(epoch), shown)
        best = run.judge(line, validate)
        shown.end_epoch(line, best)
        if record is not None:
            record(run.history)
        if last is not None:
            run.save(last)
    model.load_state_dict(run.best_weights)
    model.to("cpu").eval()
    return FitResult(tuple(run.history), run.best, stopped)


def pick_device(name: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda"; ProviderUnavailable if it is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise SpecError(f"device {name!r}: must be auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ProviderUnavailable("device cuda: torch finds no CUDA GPU; use --device cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def logits_of(output: Tensor | tuple[Tensor, State]) -> Tensor:
    """The logits a model returned, alone or with its state."""
    return output[0] if isinstance(output, tuple) else output


class _Run:
    """The state of a training run."""

    def __init__(
        self, model: nn.Module, config: FitConfig, device: torch.device, class_weight: Tensor | None
    ) -> None:
        self.model, self.config, self.device = model, config, device
        self.class_weight = None if class_weight is None else class_weight.to(device)
        self.optimizer = _optimizer(model, config)
        self.autocast = config.mixed_precision and device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.averaged = copy_weights(model) if config.average else None
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self.best_weights = copy_weights(model)
        self.averaged_steps = 0
        self.stale = 0
        self.rate_factor = 1.0

    def epoch(self, epoch: int, batches: Iterable[Batch], report: Report) -> dict[str, float]:
        torch.manual_seed(self.config.seed * 100_003 + epoch)
        began = time.monotonic()
        steps = len(batches) if isinstance(batches, Sized) else None
        report.start_epoch(epoch, self.config.epochs, steps)
        self.model.train()
        state: State = None
        total = weights = 0.0
        for index, batch in enumerate(batches):
            share = index / steps if steps else 0.0
            rate = self.config.learning_rate * self._rate(epoch, share)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss, state = self._step(batch.to(self.device), state)
            if not math.isfinite(loss):
                raise SpecError(f"epoch {epoch + 1}: the loss became {loss}; lower --learning-rate")
            weight = float(batch.weight.sum())
            total, weights = total + loss * weight, weights + weight
            report.step(loss)
        return {
            "epoch": float(epoch),
            "loss": total / max(weights, 1e-9),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "seconds": time.monotonic() - began,
        }

    def _step(self, batch: Batch, state: State) -> tuple[float, State]:
        self.optimizer.zero_grad(set_to_none=True)
        penalty = torch.zeros((), device=self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            if batch.reset is None:
                logits, after = logits_of(self.model(batch.features)), None
            else:
                with memory_excess(self.model, self.config.memory) as excess:
                    logits, after = self.model(batch.features, reset_rows(state, batch.reset))
                penalty = sum(excess, penalty)
        loss = frame_loss(
            logits, batch.targets, batch.weight, self.config.activation,
            smoothing=self.config.smoothing, focal=self.config.focal, class_weight=self.class_weight,
        )  # fmt: skip
        (loss + MEMORY_PENALTY_WEIGHT * penalty).backward()  # type: ignore[no-untyped-call]
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        for module in self.model.modules():
            if isinstance(module, Recurrent):
                module.limit_gain()
        if self.averaged is not None:
            self.averaged_steps += 1  # short memory at first, or the random start would linger in the mean
            early = (1 + self.averaged_steps) / (10 + self.averaged_steps)
            average_weights(self.averaged, self.model, min(self.config.average, early))
        return float(loss.detach()), detach(after)

    def _rate(self, epoch: int, share: float) -> float:
        rise = min(1.0, (share + 0.02) / self.config.warmup) if epoch == 0 and self.config.warmup else 1.0
        if self.config.schedule == "cosine":
            done = (epoch + share) / self.config.epochs
            return rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        return rise * self.rate_factor

    def judge(self, record: dict[str, float], validate: Validate | None) -> bool:
        """Add validation figures to ``record`` and keep the weights if they are the best so far."""
        trained = None
        if self.averaged is not None:
            trained = copy_weights(self.model)
            self.model.load_state_dict(self.averaged)
        self.model.eval()
        if validate is not None:
            with torch.no_grad():
                record.update({f"val_{name}": float(value) for name, value in validate(self.model).items()})
        name = self.config.monitor if validate is None else f"val_{self.config.monitor}"
        if name not in record:
            raise SpecError(f"monitor {self.config.monitor!r}: the figures are {', '.join(sorted(record))}")
        sign = -1.0 if self.config.monitor == "loss" else 1.0
        better = not self.best or sign * record[name] >= sign * self.best[name]  # later wins a tie
        if better:
            self.best, self.best_weights, self.stale = record, copy_weights(self.model), 0
        else:
            self.stale += 1
            wait = max(1, (self.config.patience or 9) // 3)
            if self.config.schedule == "plateau" and self.stale % wait == 0:
                self.rate_factor *= 0.5
        if trained is not None:
            self.model.load_state_dict(trained)
        self.history.append(record)
        return better

    def save(self, path: Path) -> None:
        write_atomically(
            path,
            {
                "format": FORMAT,
                "schema": SCHEMA,
                "config": self._digest(),
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "averaged": self.averaged,
                "averaged_steps": self.averaged_steps,
                "best": self.best,
                "best_weights": self.best_weights,
                "history": self.history,
                "stale": self.stale,
                "rate_factor": self.rate_factor,
            },
        )

    def restore(self, path: Path) -> None:
        content = read_safely(path, FORMAT, SCHEMA)
        if content["config"] != self._digest():
            raise CheckpointError(
                f"{path}: belongs to a run with other settings; leave out --resume or choose another run folder"
            )
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.averaged = _to(content["averaged"], self.device)
        self.averaged_steps = content["averaged_steps"]
        self.best, self.history = content["best"], content["history"]
        self.best_weights = content["best_weights"]
        self.stale, self.rate_factor = content["stale"], content["rate_factor"]

    def _digest(self) -> str:
        """Of the settings and of the network's shape."""
        shapes = [(name, tuple(value.shape)) for name, value in self.model.state_dict().items()]
        return hashlib.sha256(msgspec.json.encode([self.config, shapes])).hexdigest()


def _optimizer(model: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    decay = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
    plain = [p for p in model.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _to(weights: dict[str, Tensor] | None, device: torch.device) -> dict[str, Tensor] | None:
    return None if weights is None else {name: value.to(device) for name, value in weights.items()}
