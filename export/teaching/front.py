"""Front: a network that was trained on many sounds and gives numbers in which they can be told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray

from export.teaching.head import Scale
from stream.errors import ModelError, SpecError
from stream.features.frontend import extract
from stream.features.spec import FeatureSpec
from stream.inference.card import MAX_STRIDE, StateSpec
from stream.inference.onnx_file import read_model_file, scan
from stream.inference.options import CPU, create_session
from stream.installation import asset

Array = NDArray[np.float32]
FRONT_KEY = "stream_classify.front"
BUNDLED, KNOWN = "embedding.onnx", "embedding-background.npz"


class FrontCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a front says about itself, in the metadata of its file.

    Attributes:
        name, licence: for people.
        features: what it is fed.
        width: D, numbers in a row.
        stride: feature frames a row.
        span: seconds of sound that a row is about, before its end.
        states: carried tensors.
        sources: one line a training source: name, licence.
        provenance: how it was made, free form.
    """

    name: str
    licence: str
    features: FeatureSpec
    width: int
    stride: int
    span: float
    states: tuple[StateSpec, ...]
    sources: tuple[str, ...] = ()
    provenance: dict[str, Any] = {}


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """Background that a front has heard already: rows of speech, music and noise that cannot be passed on as sound.

    Attributes:
        scale: of the rows.
        rows: (S, T, D') int8, scaled rows of S stretches, in steps of ``step``.
        step: of the numbers.
        rate: rows a second.
    """

    scale: Scale
    rows: NDArray[np.int8]
    step: float
    rate: float

    def moments(self, seconds: Sequence[float]) -> Array:
        """(n, K * D') as ``Scale.moments`` gives them, of the rows that have all of these moments behind them."""
        delays = [round(each * self.rate) for each in seconds]
        first = max(delays)
        parts = [self.rows[:, first - delay : self.rows.shape[1] - delay] for delay in delays]
        joined = np.concatenate(parts, axis=2).astype(np.float32) * np.float32(self.step)
        return np.reshape(joined, (-1, joined.shape[2]))


@dataclass(frozen=True)
class Front:
    """A streaming graph (features (N, T, F), states...) -> (rows (N, T / stride, D), states...).

    Attributes:
        card: what it says about itself.
        graph: inputs ``features`` and the states, outputs ``embedding`` and the states.
        digest: of its file, sixteen hexadecimal digits.
        known: background that it has heard; None = it must hear some.
    """

    card: FrontCard
    graph: onnx.ModelProto
    digest: str
    known: Known | None = None

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.card.features.sample_rate

    @property
    def hop(self) -> int:
        """Samples between rows."""
        return self.card.stride * self.card.features.hop_length

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.sample_rate / self.hop

    def rows(self, samples: Array) -> Array:
        """(T, D) float32 of a whole recording (n,) at ``sample_rate``, from the initial state.

        Row t ends with the newest sample of frame (t + 1) * stride - 1.
        """
        features = extract(samples, self.card.features)
        whole = features[: len(features) // self.card.stride * self.card.stride]
        rows: Array = self.run(whole[None])[0]
        return rows

    def run(self, features: Array) -> Array:
        """(N, T, F) -> (N, T / stride, D), from the initial state."""
        feed: dict[str, NDArray[Any]] = {"features": np.ascontiguousarray(features)}
        feed |= {state.input: state.initial(len(features)) for state in self.card.states}
        rows: Array = self._session.run(["embedding"], feed)[0]
        return rows

    @cached_property
    def _session(self) -> Any:
        return create_session(self.graph.SerializeToString(), [CPU])


def bundled_front() -> Front:
    """The front that comes with the package."""
    file = asset(BUNDLED)
    return front_of_file(read_model_file(file), str(file), _known())


def front_of_file(data: bytes, name: str, known: Known | None = None) -> Front:
    """A front from an ONNX file with a FrontCard in its metadata.

    Args:
        data: the file.
        name: of it, for messages.
        known: background that it has heard.

    Raises:
        ModelError: the card cannot be read, or the graph is not what it says.
    """
    try:
        card = msgspec.json.decode(scan(data, name)[FRONT_KEY], type=FrontCard)
    except (msgspec.MsgspecError, SpecError) as error:
        raise ModelError(f"front {name}: its FrontCard cannot be read: {error}") from None
    front = Front(card, onnx.load_from_string(data), hashlib.sha256(data).hexdigest()[:16], known)
    if known is None:
        _try(front, name)
    return front


def _try(front: Front, name: str) -> None:
    card = front.card
    if not (1 <= card.stride <= MAX_STRIDE and card.span > 0):
        raise ModelError(f"front {name}: stride {card.stride}, span {card.span:g}: must be positive")
    try:
        rows = front.run(np.zeros((1, 2 * card.stride, card.features.width), np.float32))
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"front {name}: cannot be run as its FrontCard says ({reason[:200]})") from None
    if rows.shape != (1, 2, card.width):
        raise ModelError(
            f"front {name}: gives {list(rows.shape)} of {2 * card.stride} frames; its FrontCard says "
            f"{[1, 2, card.width]}"
        )


def _known() -> Known:
    with np.load(asset(KNOWN)) as file:
        scale = Scale(file["mean"], file["turn"])
        return Known(scale, file["rows"], float(file["step"]), float(file["rate"]))
