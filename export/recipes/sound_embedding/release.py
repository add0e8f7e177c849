"""The trained network as one streaming ONNX file that ``stream-classify teach`` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from export.atomic import write_bytes
from export.conversion.input_layout import InputLayout
from export.conversion.torch_export import Whole, offline_graph
from export.recipes.sound_embedding.convolutions import SPAN_SECONDS, WIDTH, EveryFrame, SoundEmbedding
from export.streaming import streamify
from export.teaching.front import FRONT_KEY, Front, FrontCard
from export.teaching.head import Scale
from stream.errors import ParityError
from stream.features.spec import MfccSpec

ROWS_A_SECOND = 12.5
TOLERANCE = 1e-3  # of rows whose numbers are about 1


def write_front(
    network: SoundEmbedding, spec: MfccSpec, path: Path, sources: Sequence[str], provenance: dict[str, Any]
) -> None:
    """Export ``network`` on features ``spec`` (cepstra) and compare every fourth row with its own.

    Raises:
        ParityError: they differ; nothing is written.
    """
    whole = EveryFrame(network, spec).eval()
    example = np.random.default_rng(0).normal(-40, 10, (2, 96, spec.width)).astype(np.float32)
    layout = InputLayout.of(example.shape, 0, 1)
    offline = offline_graph("tracing", Whole(whole, layout, 0), torch.from_numpy(example))
    made = streamify(offline, example, output="embedding")
    card = FrontCard(
        name="sound embedding", licence="Apache-2.0", features=spec, width=WIDTH, stride=1,
        span=SPAN_SECONDS, states=made.states, sources=tuple(sources), provenance=provenance,
    )  # fmt: skip
    front = Front(card, made.model, "")
    cepstra = np.random.default_rng(1).normal(0, 20, (1, 400, spec.width)).astype(np.float32)
    with torch.no_grad():
        own = network.eval()(torch.from_numpy(cepstra) @ whole.back)[0].numpy()  # type: ignore[operator]
    difference = float(np.abs(front.run(cepstra)[0, 3::4] - own).max())
    if not difference < TOLERANCE:
        raise ParityError(
            f"the streaming form differs from the network by {difference:.2g}; nothing was written"
        )
    packed = onnx.ModelProto()
    packed.CopyFrom(made.model)
    onnx.helper.set_model_props(packed, {FRONT_KEY: msgspec.json.encode(card).decode()})
    write_bytes(path, packed.SerializeToString())


def write_known(rows: NDArray[np.float32], path: Path, chunks: int = 240, seed: int = 0) -> None:
    """Keep the rows (n, T, D) of some chunks as background that the front has heard: numbers, and no sound."""
    scale = Scale.of(rows[:, ::2].reshape(-1, rows.shape[2]))
    chosen = np.random.default_rng(seed).permutation(len(rows))[:chunks]
    scaled = (rows[chosen] - scale.mean) @ scale.turn
    step = float(np.quantile(np.abs(scaled), 0.9999)) / 127
    whole = np.clip(np.rint(scaled / step), -127, 127).astype(np.int8)
    np.savez_compressed(
        path,
        mean=scale.mean,
        turn=scale.turn,
        rows=whole,
        step=np.float32(step),
        rate=np.float32(ROWS_A_SECOND),
    )
