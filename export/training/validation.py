"""Validation figures: recordings scored with carried state and each alone, frames against strong labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.models import State
from export.training.epochs import ClipEpoch, StreamEpoch
from export.training.loop import logits_of
from export.training.loss import frame_loss
from export.training.sampler import Sampler
from export.training.tensors import reset_rows


@dataclass(frozen=True, slots=True)
class RecordingScores:
    """Scores of a model for the n recordings of a sampler.

    Attributes:
        probs: (n, C) float64 mean probability over the frames that carry the label; NaN where there was none.
        true_positives, false_positives, false_negatives: (C,) frames at probability 0.5, for sigmoid.
        loss: weighted mean over frames.
    """

    probs: NDArray[np.float64]
    true_positives: NDArray[np.float64]
    false_positives: NDArray[np.float64]
    false_negatives: NDArray[np.float64]
    loss: float


def score(model: nn.Module, sampler: Sampler, *, carried: bool) -> RecordingScores:
    """Run ``model`` over all recordings of ``sampler``: in long streams whose state is carried from each recording to
    the next, or each alone from the initial state."""
    activation = sampler.targets.activation
    classes = len(sampler.targets.labels)
    total = np.zeros((len(sampler.stores[0]), classes))
    count = np.zeros(len(total))
    true_positives, false_positives, false_negatives = (np.zeros(classes) for _ in range(3))
    loss = weights = 0.0
    state: State = None
    device = next(model.parameters()).device
    epoch = StreamEpoch(sampler, 0) if carried else ClipEpoch(sampler, 0)
    with torch.no_grad():
        for indexed in epoch.indexed():
            batch = indexed.batch.to(device)
            if batch.reset is None:
                logits = logits_of(model(batch.features))
            else:
                logits, state = model(batch.features, reset_rows(state, batch.reset))
            logits = logits.float()
            weight = float(batch.weight.sum())
            loss += float(frame_loss(logits, batch.targets, batch.weight, activation)) * weight
            weights += weight
            probs = (logits.softmax(-1) if activation == "softmax" else logits.sigmoid()).cpu().numpy()
            share = batch.weight.cpu().numpy()
            counted = (indexed.recording >= 0) & (share > 0)
            np.add.at(total, indexed.recording[counted], probs[counted] * share[counted, None])
            np.add.at(count, indexed.recording[counted], share[counted])
            if activation == "sigmoid":
                found, true = probs[share > 0] >= 0.5, batch.targets.cpu().numpy()[share > 0] >= 0.5
                true_positives += (found & true).sum(0)
                false_positives += (found & ~true).sum(0)
                false_negatives += (~found & true).sum(0)
    with np.errstate(invalid="ignore"):
        mean = total / count[:, None]
    return RecordingScores(mean, true_positives, false_positives, false_negatives, loss / max(weights, 1e-9))


def figures(scores: RecordingScores, sampler: Sampler) -> dict[str, float]:
    """Named figures: loss, and accuracy and balanced accuracy (softmax) or macro F1 of frames (sigmoid).

    "unscored" counts recordings without a score, as those shorter than a stride of the model may be; they are
    in none of the others. It is left out where there are none.
    """
    labels = sampler.targets.labels
    if sampler.targets.activation == "sigmoid":
        errors = scores.false_positives + scores.false_negatives
        f1 = 2 * scores.true_positives / np.maximum(2 * scores.true_positives + errors, 1)
        named = {f"f1_{name}": float(value) for name, value in zip(labels, f1, strict=True)}
        return {"loss": scores.loss, "f1": float(f1.mean()), **named}
    table = confusion(scores, sampler)
    present = table.sum(1) > 0
    recall = np.diag(table)[present] / table.sum(1)[present]
    named = {
        "loss": scores.loss,
        "accuracy": float(np.trace(table) / max(table.sum(), 1)),
        "balanced": float(recall.mean()) if len(recall) else 0.0,
    }
    unscored = sum(not np.isfinite(scores.probs[i]).all() for i in sampler.usable())
    return {**named, "unscored": float(unscored)} if unscored else named


def confusion(scores: RecordingScores, sampler: Sampler) -> NDArray[np.int64]:
    """(C, C) recordings by true (row) and predicted class; softmax only.

    A background class that no recording has is never predicted: of a recording it is known that it is some class.
    """
    labels = sampler.targets.labels
    table = np.zeros((len(labels), len(labels)), np.int64)
    possible = np.ones(len(labels), bool)
    background = sampler.config.background_class
    if background is not None and all(background not in r.labels for r in sampler.targets.recordings):
        possible[labels.index(background)] = False
    for recording, probs in zip(sampler.targets.recordings, scores.probs, strict=True):
        if np.isfinite(probs).all():
            table[labels.index(recording.labels[0]), int(np.where(possible, probs, -1).argmax())] += 1
    return table
