"""Proof of a file that knows beeps: the graph against NumPy, against itself in chunks, and beside another stream."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from export.conversion.golden import golden_vectors
from export.teaching.beeps import scoring
from export.teaching.beeps.line_spectrum import RATE
from export.teaching.beeps.pattern import Beep
from export.teaching.beeps.sounding_beep import sounded_beep
from export.teaching.beeps.template import SPEC, template_of, time_to_say
from export.teaching.proof import CHUNKS, packed
from stream.errors import ParityError
from stream.features.frontend import extract
from stream.inference.card import ModelCard
from stream.inference.session import Model
from stream.inference.verify import compare

Array = NDArray[np.float32]
TOLERANCE = 1e-5  # of a probability, as for every export
_AFTER = 20  # frames of the golden vectors after a beep is found: before, all is near zero and proves little


def prove(
    graph: onnx.ModelProto, card: ModelCard, beeps: Sequence[Beep], thresholds: Sequence[float], seed: int = 0
) -> tuple[bytes, float]:
    """The file with its card and golden vectors, after every comparison has passed; and the largest difference.

    Raises:
        ParityError: a comparison has failed; nothing is to be written.
    """
    rng = np.random.default_rng(seed)
    parts = [sounded_beep(beep, time_to_say(template_of(beep)) + beep.cycle, RATE, rng)[0] for beep in beeps]
    sound = 0.05 * np.concatenate([*parts, np.zeros(RATE, np.float32)])
    sound += rng.normal(0, 0.02, len(sound)).astype(np.float32)
    features = extract(sound, SPEC)
    model = Model(packed(graph, card, None), "model of beeps", provider="cpu")
    whole, _ = model.step(features[None], model.initial_state(1))
    expected = np.stack(
        [scoring.probabilities(features, template_of(b), t) for b, t in zip(beeps, thresholds, strict=True)],
        axis=1,
    )
    largest = _within("the graph and its arithmetic in NumPy", whole[0], expected, TOLERANCE)
    for size in CHUNKS:
        state, rows = model.initial_state(1), []
        for at in range(0, len(features), size):
            row, state = model.step(features[None, at : at + size], state)
            rows.append(row)
        _within(f"chunks of {size} frames", np.concatenate(rows, axis=1), whole, 0.0)
    beside, _ = model.step(np.stack([features[::-1], features]), model.initial_state(2))
    _within("a stream beside another", beside[1:], whole, 0.0)
    said = np.flatnonzero((whole[0] > 0.5).any(axis=1))
    if not len(said):
        raise ParityError("model of beeps: does not find the beep that it was made for; nothing was written")
    golden = golden_vectors(
        card, features, lambda x: model.step(x, model.initial_state(len(x)))[0], most=int(said[0]) + _AFTER
    )
    data = packed(graph, card, golden.to_json())
    for check in compare(Model(data, "model of beeps", provider="cpu"), golden):
        if not check.ok:
            raise ParityError(
                f"model of beeps: {check.name} differs by {check.difference:.2g}; nothing was written"
            )
    return data, largest


def _within(what: str, a: NDArray[np.floating], b: NDArray[np.floating], allowed: float) -> float:
    difference = float(np.abs(a.astype(np.float64) - b).max()) if a.shape == b.shape else float("inf")
    if not difference <= allowed:
        raise ParityError(
            f"model of beeps: {what} differ by {difference:.2g}, allowed {allowed:g}; nothing was written"
        )
    return difference
