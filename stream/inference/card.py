"""The model card: what a model file says about itself, kept in the ONNX metadata.

Two metadata entries, both JSON: ``stream_classify.card`` (a ModelCard) and ``stream_classify.golden``
(a Golden: inputs with the answers they must give). Unknown fields and wrong types are refused, never guessed.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.decisions.spec import DetectorSpec
from stream.errors import CardInvalid, CardMissing, SpecError, UnknownSchema
from stream.features.spec import FeatureSpec

SCHEMA = 2  # 2: ``features`` names its kind, rules say ``peak_threshold``
CARD_KEY = "stream_classify.card"
GOLDEN_KEY = "stream_classify.golden"
Activation = Literal["softmax", "sigmoid"]  # exactly one class at a time, or any number of them
# Bounds on what a card may ask for, far above any real model: a hostile card must not cost memory or time.
MAX_STRIDE = 1000
MAX_FRAMES = 10**9
MAX_STATE = 2**24  # numbers carried for one stream, 64 MiB
# What a proof may tolerate is ours to say, not the file's: rounding, and for int8 weights what they cost at most.
MAX_TOLERANCE, MAX_INT8_TOLERANCE, MAX_FEATURE_TOLERANCE = 1e-3, 0.1, 0.05


class StateSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tensor that is carried from step to step.

    Attributes:
        input, output: its names in the graph.
        shape: dimensions with the batch axis written as -1.
        batch_axis: position of the batch axis.
        dtype: "float32" or "int64".
        init: value every element starts from, or base64 of a little-endian array of ``shape`` with the batch
            axis removed (learned initial states, values after warm-up).
    """

    input: str
    output: str
    shape: tuple[int, ...]
    batch_axis: int
    dtype: Literal["float32", "int64"] = "float32"
    init: float | str = 0.0

    def check_init(self) -> None:
        """SpecError if ``init`` is not a value or an array of this type and shape."""
        if isinstance(self.init, str):
            self.initial(1)
        elif self.dtype == "int64":
            if not (abs(self.init) < 2**53 and self.init == int(self.init)):
                raise SpecError(f"state {self.input}: init {self.init:g} must be a whole number")
        elif not abs(self.init) <= float(np.finfo(np.float32).max):
            raise SpecError(f"state {self.input}: init {self.init:g} does not fit float32")

    def initial(self, streams: int) -> NDArray[Any]:
        """The state of ``streams`` new streams, a fresh writable array."""
        shape = tuple(streams if i == self.batch_axis else d for i, d in enumerate(self.shape))
        if not isinstance(self.init, str):
            return np.full(shape, self.init, dtype=self.dtype)
        row = unpack_array(self.init, self.dtype, tuple(d for d in self.shape if d != -1))
        # A copy even for one stream: the card's own numbers are not to be written over.
        return np.array(np.broadcast_to(np.expand_dims(row, self.batch_axis), shape), order="C")


class ModelCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the runtime must know to run a model, and what a person wants to know before trusting it.

    Attributes:
        schema: version of this layout.
        name, version, description, author, licence, created: for people; created is RFC 3339.
        labels: class names in output order.
        activation: "softmax" (one of) or "sigmoid" (any of). Already applied inside the graph.
        features: what to feed it.
        input, output: names of features (N, T, F) and probabilities (N, T / stride, C).
        states: carried tensors.
        stride: feature frames per output row; T must be a multiple of it.
        delay: output rows by which answers lag what they are about (``lookahead="delay"``).
        warmup: feature frames before the answer means anything; no event begins earlier.
        receptive_field: feature frames that can influence an answer; None = unbounded (recurrent).
        detector: settings the model was calibrated with.
        exact: True when any chunking gives bit-equal answers (False for int8).
        metrics, provenance: figures and origins, free form.
        sources: one line a training source: name, licence.
    """

    schema: int = SCHEMA
    name: str
    labels: tuple[str, ...]
    activation: Activation
    features: FeatureSpec
    version: str = "1"
    description: str = ""
    author: str = ""
    licence: str = ""
    created: str = ""
    input: str = "features"
    output: str = "probs"
    states: tuple[StateSpec, ...] = ()
    stride: int = 1
    delay: int = 0
    warmup: int = 0
    receptive_field: int | None = None
    detector: DetectorSpec = DetectorSpec()
    exact: bool = True
    metrics: dict[str, Any] = {}
    provenance: dict[str, Any] = {}
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.labels:
            raise SpecError("labels: a model needs at least one class")
        if len(set(self.labels)) != len(self.labels):
            raise SpecError("labels: each class name may appear once")
        if not all(text.isprintable() and text.strip() for text in (self.name, *self.labels)):
            raise SpecError("name, labels: must be printable and not empty")  # they reach the terminal
        if not 1 <= self.stride <= MAX_STRIDE:
            raise SpecError(f"stride {self.stride}: must be 1 to {MAX_STRIDE} frames")
        if not (0 <= self.delay <= MAX_FRAMES and 0 <= self.warmup <= MAX_FRAMES):
            raise SpecError(f"delay {self.delay}, warmup {self.warmup}: must be 0 to {MAX_FRAMES}")
        if self.receptive_field is not None and self.receptive_field < 1:
            raise SpecError(f"receptive_field {self.receptive_field}: must be at least 1 frame, or none")
        names = [name for state in self.states for name in (state.input, state.output)]
        names += [self.input, self.output]
        if len(set(names)) != len(names):
            raise SpecError("states: each input and output of the graph may be named once")
        if sum(math.prod(map(abs, state.shape)) for state in self.states) > MAX_STATE:
            raise SpecError(f"states: more than {MAX_STATE} numbers a stream")
        for state in self.states:
            if not 0 <= state.batch_axis < len(state.shape) or state.shape[state.batch_axis] != -1:
                raise SpecError(
                    f"state {state.input}: batch_axis {state.batch_axis} must point at the -1 in its shape"
                )
            if sum(d == -1 for d in state.shape) != 1 or any(d < 1 and d != -1 for d in state.shape):
                raise SpecError(
                    f"state {state.input}: shape {list(state.shape)} needs one -1 and positive sizes"
                )
            state.check_init()
        self.detector.check_labels(self.labels)

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelCard:
        """Decode and check.

        Raises:
            UnknownSchema: written by a newer version of this program.
            CardInvalid: not JSON, a wrong type, a missing or unknown field, a value out of range.
        """
        try:
            schema = msgspec.json.decode(text, type=_SchemaOnly).schema
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise CardInvalid(
                f"the model card cannot be read: {_brief(error)}; export the model again"
            ) from None
        if schema > SCHEMA or schema < 1:
            raise UnknownSchema(
                f"model card schema {schema}: this version reads 1 to {SCHEMA}; upgrade stream-classify"
            )
        try:
            if schema == 1:
                return msgspec.convert(_from_schema_1(msgspec.json.decode(text)), type=cls)
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, SpecError, RecursionError) as error:
            raise CardInvalid(f"the model card is wrong: {_brief(error)}; export the model again") from None

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> ModelCard:
        """Read the card from an ONNX file's metadata; CardMissing if it has none."""
        text = metadata.get(CARD_KEY)
        if text is None:
            raise CardMissing(
                "this ONNX file has no stream-classify card; make one with: "
                "stream-classify export FILE -o model.onnx --card card.json"
            )
        return cls.from_json(text)


def _from_schema_1(card: dict[str, Any]) -> dict[str, Any]:
    """A card of the first layout in today's: MFCC was the only front end, and ``confirm`` is ``peak_threshold``."""
    card["schema"] = SCHEMA
    if isinstance(features := card.get("features"), dict) and "type" not in features:
        features["type"] = "mfcc"
    if isinstance(detector := card.get("detector"), dict):
        classes = detector.get("classes")
        for rule in (detector.get("default"), *(classes.values() if isinstance(classes, dict) else ())):
            if isinstance(rule, dict) and "confirm" in rule and "peak_threshold" not in rule:
                rule["peak_threshold"] = rule.pop("confirm")
    return card


def _brief(error: Exception) -> str:
    """What is wrong, on one line: a field's name in a damaged card can hold line breaks, or be very long."""
    return " ".join(str(error).split())[:300]


class _SchemaOnly(msgspec.Struct):
    schema: int


class Golden(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Inputs and the answers they must give, so that a file can prove itself on any machine.

    Attributes:
        audio: base64 int16 samples at the card's rate: sound in.
        audio_features: base64 float32 (T, F) features of that sound.
        features: base64 float32 (T, F): a longer feature sequence.
        probs: base64 float32 (T / stride, C): its answers from the initial state.
        tolerance: largest absolute difference of a probability.
        feature_tolerance: largest absolute difference of a feature.
    """

    audio: str
    audio_features: str
    features: str
    probs: str
    tolerance: float = 1e-5
    feature_tolerance: float = 2e-3

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> Golden:
        text = metadata.get(GOLDEN_KEY)
        if text is None:
            raise CardMissing(
                "this ONNX file has no golden vectors; export it again with stream-classify export"
            )
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise CardInvalid(
                f"the golden vectors cannot be read: {_brief(error)}; export the model again"
            ) from None


def pack_array(array: NDArray[Any]) -> str:
    """Base64 of the array's little-endian bytes, C order."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little.tobytes()).decode()


def unpack_array(text: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Inverse of pack_array; one dimension of ``shape`` may be -1. SpecError if the length does not fit."""
    try:
        raw = base64.b64decode(text, validate=True)
        return np.frombuffer(raw, dtype=np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)
    except (binascii.Error, ValueError) as error:
        raise SpecError(f"packed array: {error}; want {dtype} of shape {list(shape)}") from None
