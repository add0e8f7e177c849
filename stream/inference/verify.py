"""Prove a model file on this machine, without torch: its golden vectors must come out, in any chunking."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import CardInvalid, ProofFailed, SpecError
from stream.features.frontend import extract, make_front_end
from stream.inference.card import (
    MAX_FEATURE_TOLERANCE,
    MAX_INT8_TOLERANCE,
    MAX_TOLERANCE,
    Golden,
    unpack_array,
)
from stream.inference.engine import SlabEngine, make_engine
from stream.inference.onnx_file import read_model_file, scan
from stream.inference.options import Provider
from stream.inference.session import Model


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison.

    Attributes:
        name: what was compared.
        difference: largest absolute difference.
        limit: largest allowed.
    """

    name: str
    difference: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.limit  # False for NaN


def verify(path: str | Path, provider: Provider = "auto", seed: int = 0) -> list[Comparison]:
    """Run every proof of a model file.

    Args:
        path: the file.
        provider: where to run it.
        seed: of the random chunk sizes.

    Returns:
        The checks, all passed.

    Raises:
        ProofFailed: naming the first check that did not pass.
        ModelError: the file cannot be used at all, or has no golden vectors.
    """
    return prove(read_model_file(path), str(path), provider, seed)


def prove(data: bytes, name: str, provider: Provider = "auto", seed: int = 0) -> list[Comparison]:
    """Run every proof of a model that is in memory; ``name`` is for messages. Otherwise as `verify`."""
    model = Model(data, name, provider)
    checks = compare(model, Golden.from_metadata(scan(data, name)), seed)
    for check in checks:
        if not check.ok:
            raise ProofFailed(
                f"model {name}: {check.name} differs by {check.difference:.3g}, allowed {check.limit:.3g}; "
                "this machine does not compute what was tested: do not trust it here"
            )
    return checks


def compare(model: Model, golden: Golden, seed: int = 0) -> list[Comparison]:
    """All checks of a model against golden vectors; nothing is raised for a failed one."""
    card = model.card
    width = card.features.width
    try:
        audio = unpack_array(golden.audio, "int16", (-1,)) * np.float32(1 / 32768)
        audio_features = unpack_array(golden.audio_features, "float32", (-1, width))
        features = unpack_array(golden.features, "float32", (-1, width))
        probs = unpack_array(golden.probs, "float32", (-1, len(card.labels)))
    except SpecError as error:
        raise CardInvalid(f"model {model.path}: golden vectors: {error}; export the model again") from None
    if not len(features) or len(features) != len(probs) * card.stride or not np.isfinite(probs).all():
        raise CardInvalid(
            f"model {model.path}: golden vectors: {len(features)} frames for {len(probs)} rows; export it again"
        )
    most = MAX_TOLERANCE if card.exact else MAX_INT8_TOLERANCE
    if not (0 <= golden.tolerance <= most and 0 <= golden.feature_tolerance <= MAX_FEATURE_TOLERANCE):
        raise CardInvalid(
            f"model {model.path}: golden vectors: tolerance {golden.tolerance:g} of a probability, "
            f"{golden.feature_tolerance:g} of a feature: must be 0 to {most:g} and 0 to {MAX_FEATURE_TOLERANCE:g}; "
            "export it again"
        )
    rng = np.random.default_rng(seed)
    limit = golden.tolerance
    whole = _probabilities(model, features, [len(features)])
    one = _probabilities(model, features, [card.stride])
    ragged = _probabilities(model, features, (card.stride * rng.integers(1, 30, 999)).tolist())
    heard = extract(audio, card.features)
    return [
        Comparison(
            "features of the golden sound", _difference(heard, audio_features), golden.feature_tolerance
        ),
        Comparison(
            "features, 1 to 999 samples at a time", _difference(_chunked(audio, model, rng), heard), 0.0
        ),
        Comparison("probabilities, whole sequence", _difference(whole, probs), limit),
        Comparison("probabilities, one step at a time", _difference(one, probs), limit),
        Comparison("probabilities, random chunks", _difference(ragged, probs), limit),
        Comparison("probabilities, steps against whole", _difference(one, whole), limit),
        Comparison(
            "probabilities, alone against beside other streams",
            _difference(_among(model, features, rng), whole),
            limit,
        ),
    ]


def _difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).max(initial=0.0)) if a.shape == b.shape else float("inf")


def _chunked(audio: NDArray[np.float32], model: Model, rng: np.random.Generator) -> NDArray[np.float32]:
    stage = make_front_end(model.card.features)
    parts = []
    at = 0
    while at < len(audio):
        size = int(rng.integers(1, 1000))
        parts.append(stage.push(audio[at : at + size]))
        at += size
    return np.concatenate(parts) if parts else np.empty((0, model.card.features.width), np.float32)


def _probabilities(model: Model, features: NDArray[np.float32], sizes: list[int]) -> NDArray[np.float32]:
    """Probabilities when the frames come in these chunk sizes, repeated as needed."""
    engine = make_engine(model)
    parts = []
    at = turn = 0
    while at < len(features):
        size = sizes[turn % len(sizes)]
        parts.append(engine.run(features[at : at + size]))
        at += size
        turn += 1
    return np.concatenate(parts)


def _among(model: Model, features: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Probabilities of the golden stream as the middle one of three, the others hearing something else."""
    others = rng.permutation(features)
    batch = np.stack([others, features, others[::-1]])
    probs: NDArray[np.float32] = SlabEngine(model, 3).run(batch)[1]
    return probs
