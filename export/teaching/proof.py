"""Proof: a taught model against the parts that it was made of, and against itself in other chunks."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from export.conversion.golden import golden_audio, golden_vectors
from export.teaching.front import Front
from export.teaching.head import Head
from stream.errors import ParityError
from stream.features.frontend import extract
from stream.inference.card import CARD_KEY, GOLDEN_KEY, ModelCard
from stream.inference.session import Model
from stream.inference.verify import compare

Array = NDArray[np.float32]
TOLERANCE = 1e-5  # of a probability, as for every export
SECONDS = 20.0
CHUNKS = (1, 7, 50)
_PIECE_SECONDS = 0.5


def proven(
    graph: onnx.ModelProto, card: ModelCard, base: Model | None, front: Front, head: Head, seed: int = 0
) -> tuple[bytes, float, bool]:
    """The file with its card and golden vectors, after every comparison has passed.

    Compared are the bundled model's classes with that model itself, the taught ones with the head in NumPy on the
    front's rows, each over 20 s of sound or more; the whole with itself in chunks and beside other streams.

    Returns:
        The file, the largest difference, and whether every chunking gave the same bits.

    Raises:
        ParityError: a comparison has failed; nothing is to be written.
    """
    spec, stride = card.features, card.stride
    rng = np.random.default_rng(seed)
    least = (max(CHUNKS) * stride * spec.hop_length + spec.span) / spec.sample_rate
    seconds = max(SECONDS, least)  # of a front with few rows a second
    pieces = int(np.ceil(seconds / _PIECE_SECONDS))
    golden_sound = np.tile(golden_audio(spec.sample_rate), pieces)[: round(seconds * spec.sample_rate)]
    sound = golden_sound.astype(np.float32) / 32768
    levels = 10 ** rng.uniform(-2, 0, pieces)
    sound *= np.repeat(levels, -(-len(sound) // pieces))[: len(sound)].astype(np.float32)
    features = extract(sound + rng.normal(0, 1e-3, len(sound)).astype(np.float32), spec)
    features = features[: len(features) // (stride * 50) * stride * 50]
    bare = packed(graph, card, None)
    model = Model(bare, "taught model", provider="cpu")
    whole, _ = model.step(features[None], model.initial_state(1))
    golden = golden_vectors(card, features, lambda x: model.step(x, model.initial_state(len(x)))[0])
    own = 1 / (1 + np.exp(-head.logits(front.run(features[None])[0]).astype(np.float64)))
    known = len(card.labels) - len(head.bias)
    largest = _within("the taught sounds", whole[0, :, known:], own)
    if base is not None:
        expected, _ = base.step(features[None], base.initial_state(1))
        largest = max(largest, _within("the bundled model's classes", whole[..., :known], expected))
    exact = True
    for size in CHUNKS:
        state, parts = model.initial_state(1), []
        for at in range(0, len(features), size * stride):
            rows, state = model.step(features[None, at : at + size * stride], state)
            parts.append(rows)
        joined = np.concatenate(parts, axis=1)
        largest = max(largest, _within(f"chunks of {size} rows", joined, whole))
        exact = exact and bool((joined == whole).all())
    beside, _ = model.step(np.stack([features[::-1], features]), model.initial_state(2))
    largest = max(largest, _within("a stream beside another", beside[1:], whole))
    data = packed(graph, card, golden.to_json())
    for check in compare(Model(data, "taught model", provider="cpu"), golden):
        if not check.ok:
            raise ParityError(
                f"taught model: {check.name} differs by {check.difference:.2g}; nothing was written"
            )
    return data, largest, exact


def packed(graph: onnx.ModelProto, card: ModelCard, golden: str | None) -> bytes:
    """The file with its card, and golden vectors if there are any."""
    whole = onnx.ModelProto()
    whole.CopyFrom(graph)
    onnx.helper.set_model_props(whole, {CARD_KEY: card.to_json()} | ({GOLDEN_KEY: golden} if golden else {}))
    return bytes(whole.SerializeToString())


def _within(what: str, a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    difference = float(np.abs(a.astype(np.float64) - b).max()) if a.shape == b.shape else float("inf")
    if not difference <= TOLERANCE:
        raise ParityError(
            f"taught model: {what} differ by {difference:.2g}, allowed {TOLERANCE:g}; nothing was written"
        )
    return difference
