"""A network that writes down the sounds it hears, by connectionist temporal classification (Graves et al. 2006)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from export.models import FrameClassifier, build, preset
from export.recipes.speech_sounds.utterances import STRIDE, Utterances
from export.recipes.speech_sounds.variation import BEFORE, other_place, other_speaker, padded
from export.training.start import MODEL, SHAPE

DROPOUT = 0.15
BATCH, RATE, WARM_UP, AVERAGE = 32, 3e-3, 300, 0.998
HELD_OUT = frozenset({"stamps-es", "ktuberling-en", "flite-slt"})  # voices
JUDGED = 400  # of their utterances


def learn(
    data: Utterances,
    passes: int,
    say: Callable[[str], None],
    shape: Mapping[str, Any] = SHAPE,
    seed: int = 0,
) -> FrameClassifier:
    """A network after so many passes; the rate falls along half a cosine. Its mean weights over time are kept."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    held = [i for i, source in enumerate(data.source) if source in HELD_OUT]
    judged = [int(i) for i in rng.permutation(held)[:JUDGED]]
    train = np.array(sorted(set(range(len(data.source))) - set(held)))
    network = build(
        preset(MODEL, features=data.features.shape[1], classes=len(data.sounds) + 1, **shape, dropout=DROPOUT)
    )
    some = torch.from_numpy(data.features[::37].astype(np.float32))
    network.fit(some.mean(0), some.std(0))
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE), use_buffers=True)  # type: ignore[no-untyped-call]  # missing in torch's stubs
    steps, step = passes * -(-len(train) // BATCH), 0
    warm_up = min(WARM_UP, max(1, steps // 10))
    for number in range(1, passes + 1):
        total = 0.0
        batches = _batches(data, train, rng)
        for rows in batches:
            for group in optimiser.param_groups:
                fall = 0.5 + 0.5 * math.cos(math.pi * step / steps)
                group["lr"] = RATE * min(1, (step + 1) / warm_up) * (fall + 0.005)
            loss = _loss(network, data, rows, rng)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # missing in torch's stubs
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            mean.update_parameters(network)
            total += float(loss.detach())
            step += 1
        errors = error_rate(mean.module, data, judged)
        say(
            f"pass {number} of {passes}: loss {total / len(batches):.3f}, wrong sounds of other voices {errors:.3f}"
        )
    network.load_state_dict(mean.module.state_dict())
    return network.eval()


def _batches(data: Utterances, chosen: np.ndarray, rng: np.random.Generator) -> list[list[int]]:
    """All of ``chosen`` once, in batches of like length."""
    order = chosen[np.argsort(data.length[chosen] * np.exp(rng.normal(0, 0.1, len(chosen))))]
    batches = [order[at : at + BATCH].tolist() for at in range(0, len(order), BATCH)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _loss(network: nn.Module, data: Utterances, rows: Sequence[int], rng: np.random.Generator) -> Tensor:
    heard, before = [], [int(each) for each in rng.integers(*BEFORE, len(rows))]
    for i in rows:
        own = _features(data, i)
        other = other_speaker(own, rng)
        heard.append(other if len(other) >= STRIDE * len(data.written[i]) else own)
    written = [data.written[i] for i in rows]
    x = other_place(padded(heard, before))
    logits = network(x)[0].log_softmax(-1).transpose(0, 1)
    return functional.ctc_loss(
        logits,
        torch.tensor([each for row in written for each in row]),
        torch.full((len(rows),), len(logits)),
        torch.tensor([len(row) for row in written]),
        zero_infinity=True,
    )


def _features(data: Utterances, i: int) -> np.ndarray:
    return data.features[data.start[i] : data.start[i] + data.length[i]].astype(np.float32)


def error_rate(network: nn.Module, data: Utterances, rows: Sequence[int]) -> float:
    """Edits that make what the network writes of these utterances what was said, by sound that was said."""
    was_training = network.training
    network.eval()
    wrong = said = 0
    with torch.no_grad():
        for at in range(0, len(rows), 50):
            some = rows[at : at + 50]
            best = network(padded([_features(data, i) for i in some], [10] * len(some)))[0].argmax(-1)
            for i, path in zip(some, best.tolist(), strict=True):
                wrong += edits(collapsed(path), data.written[i])
                said += len(data.written[i])
    network.train(was_training)
    return wrong / max(said, 1)


def collapsed(path: Sequence[int]) -> list[int]:
    """What CTC writes by a row of numbers: each once where it is repeated, and no 0."""
    return [now for before, now in zip((0, *path), path, strict=False) if now and now != before]


def edits(found: Sequence[int], wanted: Sequence[int]) -> int:
    """Fewest insertions, deletions and replacements that make one the other (Levenshtein)."""
    row = list(range(len(wanted) + 1))
    for i, each in enumerate(found, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(wanted, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (each != other))
    return row[-1]
