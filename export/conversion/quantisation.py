"""int8 weights: smaller, sometimes faster, never bit-exact. The caller measures what they cost in accuracy."""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from export.atomic import write_bytes
from stream.errors import ExportError
from stream.inference.card import CARD_KEY, GOLDEN_KEY, Golden, ModelCard, pack_array, unpack_array
from stream.inference.engine import SlabEngine
from stream.inference.session import Model
from stream.inference.verify import compare

SUFFIX = "int8"  # of the card's name
_OPERATORS = ["LSTM", "MatMul", "Gemm"]  # an int8 Conv takes twice the time of a float one at a frame a step


@dataclass(frozen=True)
class Quantised:
    """A quantised model.

    Attributes:
        card: of the new file.
        replaced: operators that were replaced, and how many of each. GRU and RNN have no int8 form in ONNX
            Runtime and that of Conv is slow: those stay.
        bytes_before, bytes_after: file sizes.
        largest_difference: of a probability, on the golden features.
    """

    card: ModelCard
    replaced: dict[str, int]
    bytes_before: int
    bytes_after: int
    largest_difference: float


def quantise(path: str | Path, out: str | Path) -> Quantised:
    """Write a copy of a model with int8 weights.

    Scales are taken per tensor over the whole batch and chunk, so scores depend a little on the chunking and on
    the other streams of a batch: ``card.exact`` becomes False and the golden tolerance grows to what was measured.

    Args:
        path: an exported model.
        out: the file to write.

    Raises:
        ExportError: no operator of the model has an int8 form.
        ModelError: ``path`` cannot be used.
    """
    model = Model.load(path, "cpu")
    before = onnx.load(path)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "int8.onnx"
        _quantise_quietly(Path(path), draft)
        after = onnx.load(draft)
    replaced = Counter(n.op_type for n in before.graph.node) - Counter(n.op_type for n in after.graph.node)
    if not replaced:
        raise ExportError(
            f"{path}: no operator of it has an int8 form; LSTM and MatMul have, GRU, RNN and Conv stay"
        )
    card = msgspec.structs.replace(model.card, name=f"{model.card.name} ({SUFFIX})", exact=False)
    golden = Golden.from_metadata({p.key: p.value for p in before.metadata_props})
    data, difference = _pack(after, card, golden)
    write_bytes(out, data)
    return Quantised(card, dict(replaced), Path(path).stat().st_size, len(data), difference)


def _quantise_quietly(path: Path, out: Path) -> None:
    """quantize_dynamic without its advice to preprocess, which concerns static shapes."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        quantize_dynamic(path, out, op_types_to_quantize=_OPERATORS, weight_type=QuantType.QInt8)
    finally:
        logging.disable(before)


def _pack(graph: onnx.ModelProto, card: ModelCard, golden: Golden) -> tuple[bytes, float]:
    """The file with its card and golden vectors of its own, and how far these are from the original's."""
    features = unpack_array(golden.features, "float32", (-1, card.features.width))
    original = unpack_array(golden.probs, "float32", (-1, len(card.labels)))

    def packed(vectors: Golden) -> bytes:
        onnx.helper.set_model_props(graph, {CARD_KEY: card.to_json(), GOLDEN_KEY: vectors.to_json()})
        return bytes(graph.SerializeToString())

    model = Model(packed(golden), provider="cpu")
    probs, _ = model.step(features[None], model.initial_state(1))
    own = msgspec.structs.replace(golden, probs=pack_array(probs[0]))
    answers = [check.difference for check in compare(model, own) if check.name.startswith("probabilities")]
    own = msgspec.structs.replace(own, tolerance=max(own.tolerance, 4 * max(answers)))
    return packed(own), float(np.abs(probs[0] - original).max())


def step_microseconds(
    models: list[Model], streams: int = 1, steps: int = 500, rounds: int = 7
) -> list[float]:
    """Median time of one step of each model, microseconds; the best of interleaved rounds, so that load is shared.

    Args:
        models: compared side by side.
        streams: batch.
        steps: in a round.
        rounds: turns each model gets.
    """
    steppers = [SlabEngine(model, streams) for model in models]
    best = [float("inf")] * len(models)
    for _ in range(rounds):
        for i, stepper in enumerate(steppers):
            times = []
            for _ in range(steps):
                begin = time.perf_counter_ns()
                stepper.advance()
                times.append(time.perf_counter_ns() - begin)
            best[i] = min(best[i], statistics.median(times) / 1000)
    return best
