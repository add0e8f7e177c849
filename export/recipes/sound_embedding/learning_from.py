"""Learn what the teachers say, from louder, filtered and noisier forms of what they heard."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from export.recipes.sound_embedding.convolutions import SPEECH_WIDTH, SoundEmbedding
from export.recipes.sound_embedding.targets import SOUND_ROWS, Targets

BATCH, RATE, WARM_UP = 24, 3e-3, 100
HELD_OUT = 60  # chunks
SKIPPED = 12  # rows at the start of a chunk: the teachers have heard too little


def learn(targets: Targets, steps: int, say: Callable[[str], None], seed: int = 0) -> SoundEmbedding:
    """A network after ``steps`` batches; the rate falls to nearly nothing along half a cosine."""
    torch.manual_seed(seed)
    mel, speech, sound = (torch.from_numpy(part) for part in (targets.mel, targets.speech, targets.sound))
    network, count = SoundEmbedding(), len(mel) - HELD_OUT
    network.mean.copy_(mel[:200].float().mean((0, 1)))
    network.deviation.copy_(mel[:200].float().std((0, 1)))
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-3)
    order = torch.randperm(count)
    for step in range(steps):
        at = step * BATCH % (count - BATCH)
        if at < BATCH:
            order = torch.randperm(count)
        chosen, others = order[at : at + BATCH], torch.randint(count, (BATCH,))
        for group in optimiser.param_groups:
            group["lr"] = (
                RATE * min(1, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps) + 0.01)
            )
        loss = _loss(network(varied(mel[chosen].float(), mel[others].float())), speech[chosen], sound[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # missing in torch's stubs
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        if step % 100 == 99:
            network.eval()
            with torch.no_grad():
                held_out = _loss(network(mel[count:].float()), speech[count:], sound[count:])
            network.train()
            say(f"{step + 1} of {steps}: {float(loss.detach()):.3f}, held out {float(held_out):.3f}")
    return network.eval()


def _loss(rows: Tensor, speech: Tensor, sound: Tensor) -> Tensor:
    at = 6 * torch.arange(1, SOUND_ROWS + 1) - 1  # rows that end with those of YAMNet
    spoken = (rows[:, SKIPPED:, :SPEECH_WIDTH] - speech[:, SKIPPED:].float()).square().mean()
    heard = (rows[:, at[2:], SPEECH_WIDTH:] - sound[:, 2:].float()).square().mean()
    return spoken + heard


def varied(mel: Tensor, other: Tensor) -> Tensor:
    """(N, T, F) dB at other levels, filtered, with another sound or noise beneath."""
    count, frames, bands = mel.shape
    waves = torch.from_numpy(np.cos(np.pi * np.arange(1, 5)[:, None] * np.linspace(0, 1, bands))).float()
    mel = mel + 6 * torch.randn(count, 1, 1) + (2 * torch.randn(count, 4) @ waves)[:, None]
    power = 10 ** (mel / 10)
    colour = 10 ** ((4 * torch.randn(count, 4) @ waves)[:, None] / 10)
    noise = colour * torch.distributions.Gamma(6.0, 6.0).sample((count, frames, bands))
    for under, share, low, span in ((10 ** (other / 10), 0.35, 0.0, 25.0), (noise, 0.4, 3.0, 30.0)):
        snr = low + span * torch.rand(count, 1, 1)
        level = power.mean((1, 2), True) / under.mean((1, 2), True).clamp_min(1e-12) * 10 ** (-snr / 10)
        power = power + (torch.rand(count, 1, 1) < share) * under * level
    return 10 * torch.log10(power.clamp_min(1e-10))
