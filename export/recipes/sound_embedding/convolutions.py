"""The network: convolutions over the last second of log-mel energies."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream.errors import SpecError
from stream.features.spec import MfccSpec
from stream.features.tables import dct_matrix

CHANNELS, WIDE = 112, 128
DILATIONS = (1, 2, 4, 4)
SPEECH_WIDTH, SOUND_WIDTH = 96, 64  # numbers that are to equal what each teacher says
WIDTH = SPEECH_WIDTH + SOUND_WIDTH
SPAN_SECONDS = 1.0
STRIDE = 4  # frames a row in training


class SoundEmbedding(nn.Module):
    """Log-mel energies (N, T, 48), dB -> rows (N, T // 4, 160)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, bands: int = 48) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bands))
        self.register_buffer("deviation", torch.ones(bands))
        self.stem = nn.Conv1d(bands, CHANNELS, 5, stride=2)
        self.stem_norm = nn.BatchNorm1d(CHANNELS)
        self.convs = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, 3, dilation=d, bias=False) for d in DILATIONS
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(CHANNELS) for _ in DILATIONS)
        self.down = nn.Conv1d(CHANNELS, WIDE, 2, stride=2, bias=False)
        self.down_norm = nn.BatchNorm1d(WIDE)
        self.out = nn.Linear(WIDE, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = ((x - self.mean) / self.deviation).transpose(1, 2)
        x = functional.relu(self.stem_norm(self.stem(functional.pad(x, (3, 0)))))
        for dilation, conv, norm in zip(DILATIONS, self.convs, self.norms, strict=True):
            x = x + functional.relu(norm(conv(functional.pad(x, (2 * dilation, 0)))))
        x = functional.relu(self.down_norm(self.down(x)))
        return cast(Tensor, self.out(x.transpose(1, 2)))


class EveryFrame(nn.Module):
    """The same for cepstra (N, T, 48), with a row for every frame: dilations in the place of strides.

    Row t is what the network gives for the frames up to t, so each fourth row is one of the network's own.
    """

    def __init__(self, network: SoundEmbedding, spec: MfccSpec) -> None:
        super().__init__()
        if (spec.n_mfcc, spec.dct_norm) != (spec.n_mels, "ortho"):
            raise SpecError("features: only all cepstra of an orthonormal transform can be turned back")
        self.register_buffer("back", torch.from_numpy(dct_matrix(spec.n_mels, spec.n_mels, "ortho")).float())
        self.network = network.eval()

    def forward(self, x: Tensor) -> Tensor:
        n = self.network
        x = ((x @ cast(Tensor, self.back) - n.mean) / n.deviation).transpose(1, 2)
        x = functional.conv1d(functional.pad(x, (4, 0)), n.stem.weight, n.stem.bias)
        x = functional.relu(n.stem_norm(x))
        for dilation, conv, norm in zip(DILATIONS, n.convs, n.norms, strict=True):
            assert isinstance(conv, nn.Conv1d)
            past = functional.pad(x, (4 * dilation, 0))
            x = x + functional.relu(norm(functional.conv1d(past, conv.weight, dilation=2 * dilation)))
        x = functional.conv1d(functional.pad(x, (2, 0)), n.down.weight, dilation=2)
        return cast(Tensor, n.out(functional.relu(n.down_norm(x)).transpose(1, 2)))
