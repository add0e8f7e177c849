"""Validation figures: clips scored with carried state and each alone, frames against strong labels."""

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
class Scores:
    """What a model said about recordings.

    Attributes:
        clips: (n, C) float64 mean probability over the frames that carry the label; NaN rows were left out.
        hits, alarms, misses: (C,) frames at probability 0.5, for sigmoid.
        loss: weighted mean over frames.
    """

    clips: NDArray[np.float64]
    hits: NDArray[np.float64]
    alarms: NDArray[np.float64]
    misses: NDArray[np.float64]
    loss: float


def score(model: nn.Module, source: Sampler, *, carried: bool) -> Scores:
    """Run ``model`` over all recordings of ``source``: in long streams with the state carried from each to the
    next, or each alone from the initial state."""
    activation = source.answers.activation
    classes = len(source.answers.labels)
    total = np.zeros((len(source.stores[0]), classes))
    count = np.zeros(len(total))
    hits, alarms, misses = np.zeros(classes), np.zeros(classes), np.zeros(classes)
    loss = weights = 0.0
    state: State = None
    device = next(model.parameters()).device
    epoch = StreamEpoch(source, 0) if carried else ClipEpoch(source, 0)
    with torch.no_grad():
        for owned in epoch.owned():
            batch = owned.batch.to(device)
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
            mine = (owned.owner >= 0) & (share > 0)
            np.add.at(total, owned.owner[mine], probs[mine] * share[mine, None])
            np.add.at(count, owned.owner[mine], share[mine])
            if activation == "sigmoid":
                said, true = probs[share > 0] >= 0.5, batch.targets.cpu().numpy()[share > 0] >= 0.5
                hits += (said & true).sum(0)
                alarms += (said & ~true).sum(0)
                misses += (~said & true).sum(0)
    with np.errstate(invalid="ignore"):
        clips = total / count[:, None]
    return Scores(clips, hits, alarms, misses, loss / max(weights, 1e-9))


def figures(scores: Scores, source: Sampler) -> dict[str, float]:
    """Named figures: loss, and accuracy and balanced accuracy (softmax) or macro F1 of frames (sigmoid).

    "unanswered" counts recordings that got no answer, as those shorter than a stride of the model may; they are
    in none of the others, and it is left out where there are none.
    """
    if source.answers.activation == "sigmoid":
        f1 = 2 * scores.hits / np.maximum(2 * scores.hits + scores.alarms + scores.misses, 1)
        named = {f"f1_{name}": float(value) for name, value in zip(source.answers.labels, f1, strict=True)}
        return {"loss": scores.loss, "f1": float(f1.mean()), **named}
    table = confusion(scores, source)
    present = table.sum(1) > 0
    recall = np.diag(table)[present] / table.sum(1)[present]
    named = {
        "loss": scores.loss,
        "accuracy": float(np.trace(table) / max(table.sum(), 1)),
        "balanced": float(recall.mean()) if len(recall) else 0.0,
    }
    silent = sum(not np.isfinite(scores.clips[i]).all() for i in source.usable())
    return {**named, "unanswered": float(silent)} if silent else named


def confusion(scores: Scores, source: Sampler) -> NDArray[np.int64]:
    """(C, C) recordings by true (row) and answered class; softmax only."""
    labels = source.answers.labels
    table = np.zeros((len(labels), len(labels)), np.int64)
    for recording, clip in zip(source.answers.recordings, scores.clips, strict=True):
        if np.isfinite(clip).all():
            table[labels.index(recording.labels[0]), int(clip.argmax())] += 1
    return table
