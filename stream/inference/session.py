"""Model: immutable weights and a pure step. Any number of streams share one; each owns its state."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import CardInvalid, ModelError, NotOnnx, StreamClassifyError
from stream.inference.card import ModelCard
from stream.inference.onnx_file import read_model_file, scan
from stream.inference.options import CPU, Provider, create_session, providers, run_options

State = tuple[NDArray[Any], ...]
_TYPES = {"tensor(float)": "float32", "tensor(int64)": "int64"}


class Model:
    """A streaming classifier loaded from one ONNX file.

    Build it with ``Model.load`` or ``Model.bundled``.

    Attributes:
        card: what the file says about itself.
        path: where it came from.
        sha256: digest of the file.
        provider: "cpu" or "cuda", as granted.
        provider_reason: why, in words, where there was a choice.
        session: the ONNX Runtime session; thread-safe to run.
    """

    def __init__(self, data: bytes, path: str = "<memory>", provider: Provider = "auto") -> None:
        """Load from bytes. Raises as ``load``."""
        self.path = path
        self._data, self._asked = data, provider  # what a pickle carries
        self.card = ModelCard.from_metadata(scan(data, path))
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.provider_reason = ""
        sessions = [self._open(data, names) for names in providers(provider)]
        self.session = sessions[0]
        if len(sessions) > 1:
            self.session = self._fastest(sessions)
        self.provider = "cpu" if self.session.get_providers()[0] == CPU else "cuda"
        self.output_names = [self.card.output, *(s.output for s in self.card.states)]
        try:
            self._check_against_graph()
        except UnicodeDecodeError:
            raise NotOnnx(f"model {path}: names in its graph are not UTF-8; export the model again") from None

    @classmethod
    def load(cls, path: str | Path, provider: Provider = "auto") -> Model:
        """Load a model file.

        Args:
            path: one ONNX file with a card in its metadata.
            provider: "cpu", "cuda", or "auto" (the faster of those that work, measured).

        Raises:
            ModelError: NotOnnx, CardMissing, CardInvalid, UnknownSchema, or unreadable.
            ProviderUnavailable: CUDA asked for and not granted.
        """
        return cls(read_model_file(path), str(path), provider)

    @classmethod
    def bundled(cls, name: str = "default", provider: Provider = "auto") -> Model:
        """A model that comes with the package: "default", "small" or "alarms"."""
        from stream.installation import bundled_model

        return cls.load(bundled_model(name), provider)

    def __reduce__(self) -> tuple[type[Model], tuple[bytes, str, Provider]]:
        """Pickled by the bytes of its file, and loaded (and checked) again where it is unpickled."""
        return type(self), (self._data, self.path, self._asked)

    def __repr__(self) -> str:
        return f"Model({self.id}, {len(self.labels)} classes, {self.card.features.sample_rate} Hz, {self.provider})"

    @property
    def id(self) -> str:
        """Name and the beginning of the file's digest: what results and records are signed with."""
        return f"{self.card.name}@{self.sha256[:12]}"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    def initial_state(self, streams: int = 1) -> State:
        """State of new streams: one array per StateSpec of the card, with its batch axis ``streams`` long."""
        return tuple(spec.initial(streams) for spec in self.card.states)

    def step(
        self, features: NDArray[np.float32], state: Sequence[NDArray[Any]]
    ) -> tuple[NDArray[np.float32], State]:
        """Run T frames of N streams. Pure: nothing is kept, the arguments are not changed.

        Args:
            features: (N, T, F) float32, T a multiple of the card's stride.
            state: from ``initial_state(N)`` or an earlier step.

        Returns:
            probs (N, T / stride, C) float32, and the state to give to the next step.

        Raises:
            ModelError: ONNX Runtime cannot run it.
        """
        feed: dict[str, NDArray[Any]] = {self.card.input: features}
        for spec, value in zip(self.card.states, state, strict=True):
            feed[spec.input] = value
        try:
            probs, *new = self.session.run(self.output_names, feed, run_options())
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            raise self.step_failed(error) from None
        return probs, tuple(new)

    def step_failed(self, error: Exception) -> ModelError:
        """What to raise when ONNX Runtime could not run a step: a shape, or memory that is not to be had."""
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return ModelError(f"model {self.path}: a step failed ({reason[:200]}); export the model again")

    def _open(self, data: bytes, names: list[str]) -> Any:
        try:
            return create_session(data, names)
        except StreamClassifyError:
            raise
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise NotOnnx(f"model {self.path}: ONNX Runtime refuses it ({first[:200]})") from None

    def _fastest(self, sessions: list[Any]) -> Any:
        """The session with the quickest hop; a GPU loses on one small stream, and this says so."""
        zeros = {self.card.input: np.zeros((1, self.card.stride, self.card.features.width), np.float32)}
        zeros |= {s.input: v for s, v in zip(self.card.states, self.initial_state(), strict=True)}
        took: list[float] = []
        for session in sessions:
            times: list[float] = []
            for _ in range(60):
                begin = time.perf_counter()
                session.run(None, zeros)
                times.append(time.perf_counter() - begin)
            took.append(float(np.median(times[10:])))
        best = int(np.argmin(took))
        names = ["cpu" if s.get_providers()[0] == CPU else "cuda" for s in sessions]
        self.provider_reason = ", ".join(
            f"{n} {t * 1e6:.0f} µs a hop" for n, t in zip(names, took, strict=True)
        )
        return sessions[best]

    def _check_against_graph(self) -> None:
        """CardInvalid unless every name, type and size in the card is what the graph has, and one step works."""
        card = self.card
        inputs = {i.name: i for i in self.session.get_inputs()}
        outputs = {o.name: o for o in self.session.get_outputs()}

        def wrong(text: str) -> CardInvalid:
            return CardInvalid(f"model {self.path}: card and graph disagree: {text}; export the model again")

        def check(ports: dict[str, Any], name: str, shape: Sequence[int], dtype: str, what: str) -> None:
            if name not in ports:
                raise wrong(f"no {what} named {name!r} (there are: {', '.join(ports)})")
            port = ports[name]
            if _TYPES.get(port.type) != dtype:
                raise wrong(f"{what} {name!r} is {port.type}, the card says {dtype}")
            sizes = port.shape
            if len(sizes) != len(shape) or any(
                isinstance(have, int) and want != -1 and have != want
                for have, want in zip(sizes, shape, strict=True)
            ):
                raise wrong(f"{what} {name!r} has shape {sizes}, the card says {list(shape)}")

        check(inputs, card.input, (-1, -1, card.features.width), "float32", "input")
        check(outputs, card.output, (-1, -1, len(card.labels)), "float32", "output")
        for state in card.states:
            check(inputs, state.input, state.shape, state.dtype, "state input")
            check(outputs, state.output, state.shape, state.dtype, "state output")
        extra = set(inputs) - {card.input} - {s.input for s in card.states}
        if extra:
            raise wrong(f"the graph wants {', '.join(sorted(extra))}, which the card does not explain")
        self._try_step(1, 1, wrong)
        self._try_step(2, 3, wrong)  # a size that is fixed in the graph shows at the second number

    def _try_step(self, streams: int, rows: int, wrong: Any) -> None:
        card = self.card
        frames = np.zeros((streams, rows * card.stride, card.features.width), np.float32)
        state = self.initial_state(streams)
        try:
            probs, new = self.step(frames, state)
        except ModelError as error:
            raise wrong(f"{streams} streams of {rows} rows: {error}") from None
        if probs.shape != (streams, rows, len(card.labels)):
            raise wrong(
                f"{streams} streams of {rows} rows give {list(probs.shape)}, "
                f"not {[streams, rows, len(card.labels)]}"
            )
        for spec, before, after in zip(card.states, state, new, strict=True):
            if before.shape != after.shape:
                raise wrong(
                    f"state {spec.output!r} comes back as {list(after.shape)}, not {list(before.shape)}"
                )
        if not np.all((probs >= 0) & (probs <= 1)):
            raise ModelError(
                f"model {self.path}: gives {float(probs.ravel()[0]):g} for silence, not a probability in 0 to 1; "
                "export it with its activation"
            )


def bundled_card(name: str) -> ModelCard:
    """The card of a model that comes with the package, without loading the model."""
    from stream.installation import bundled_model

    path = bundled_model(name)
    return ModelCard.from_metadata(scan(read_model_file(path), str(path)))
