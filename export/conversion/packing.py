"""A proven streaming graph becomes a model file: its card is filled in, and the file verified once."""

from __future__ import annotations

import datetime

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from export.conversion.equivalence import EquivalenceReport
from export.conversion.golden import golden_vectors
from export.conversion.step_runner import StreamRunner
from export.streaming import Streaming
from stream.errors import ParityError
from stream.features.kernel import kernel_name
from stream.inference.card import CARD_KEY, GOLDEN_KEY, ModelCard
from stream.inference.session import Model
from stream.inference.verify import compare as compare_golden

Array = NDArray[np.float32]


def completed(
    card: ModelCard, made: Streaming, report: EquivalenceReport, exporter: str, operators: frozenset[str]
) -> ModelCard:
    """The card with all that is known of the streaming graph, and how it was proven.

    Args:
        exporter: of a torch module; "" = it was an ONNX graph.
        operators: made for streams, that are in the graph.
    """
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    export = {
        "exporter": exporter or "offline ONNX graph",
        "frames_compared": report.frames,
        "largest_difference": float(f"{report.largest_difference:.3g}"),
        "not_finite": list(report.not_finite),
        "unsure": list(report.unsure),
        "stream_operators": sorted(operators),
        "feature_kernel": kernel_name(card.features),
        "onnx": onnx.__version__,
        "torch": str(torch.__version__),
    }
    return msgspec.structs.replace(
        card,
        created=card.created or created.replace("+00:00", "Z"),
        states=made.states,
        stride=made.stride,
        delay=card.delay + made.delay,
        warmup=max(card.warmup, made.warmup * made.stride),
        receptive_field=made.receptive_field,
        exact=report.exact,
        provenance={**card.provenance, "export": export},
    )


def packed(made: Streaming, card: ModelCard, features: Array) -> bytes:
    """The file: graph, card and golden vectors, verified once as ``stream-classify verify`` will do.

    Raises:
        ParityError: the packed file does not reproduce its own golden vectors.
    """
    runner = StreamRunner(made.model, made.states)
    golden = golden_vectors(card, features[0], lambda x: runner.run(x, [x.shape[1]])[0])
    file = onnx.ModelProto()
    file.CopyFrom(made.model)
    onnx.helper.set_model_props(file, {CARD_KEY: card.to_json(), GOLDEN_KEY: golden.to_json()})
    onnx.checker.check_model(file, full_check=True)
    data = bytes(file.SerializeToString())
    for check in compare_golden(Model(data, provider="cpu"), golden):
        if not check.ok:
            raise ParityError(
                f"the packed file: {check.name} differs by {check.difference:.2g}, allowed {check.limit:g}; "
                "nothing was written"
            )
    return data
