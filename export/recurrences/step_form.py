"""Modules that take their state and give it back: ``forward(x, state) -> (scores, state)``.

A module that takes chunks (N, T, F) is an offline network once its first state is filled in. One that takes a frame
(N, F) becomes a network by a loop over frames, which is then found like any other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from stream.errors import UsageError

_STARTS = ("initial_state", "init_state", "get_initial_state", "initial_hidden", "init_hidden", "begin_state")
_TOLERANCE = 1e-4  # of a score, between chunks and single frames
Start = Callable[[Tensor], Any]  # (N, T, F) -> the first state
WAY_OUT = (
    "give it a method initial_state(streams) that returns the first state, and let it return the scores and the next "
    "state, of the same shapes"
)


class StepForm(nn.Module):
    """A module with a state of its own as a network from (N, T, F) to (N, T, C).

    Attributes:
        module: with its state as second argument (or as all further ones).
        chunks: it takes chunks; else single frames.
        parts: how many arguments its state is made of.
    """

    def __init__(self, module: nn.Module, start: Start, chunks: bool, parts: int) -> None:
        super().__init__()
        self.module, self.chunks, self.parts = module, chunks, parts
        self._start = start

    def forward(self, x: Tensor) -> Tensor:
        state = self._start(x)
        if self.chunks:
            return self.step(x, state)[0]
        rows = []
        for t in range(x.shape[1]):
            scores, state = self.step(x[:, t], state)
            rows.append(scores)
        return torch.stack(rows, 1)

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Scores and the next state."""
        if self.parts == 1:
            made = self.module(x, state)
            scores, *rest = made
            return scores, rest[0] if len(rest) == 1 else tuple(rest)
        scores, *rest = self.module(x, *(state if state is not None else (None,) * self.parts))
        return scores, tuple(rest)


def step_form(module: nn.Module, example: Tensor, state: Any = None) -> StepForm | None:
    """The network that a module with a state of its own is; None for a module that has none.

    Args:
        module: in eval mode.
        example: (N, T, F) float32 features.
        state: a first state, of one stream or of equal ones; None = what the module gives, or zeros.

    Raises:
        UsageError: it asks for a state and cannot be run with any.
    """
    further = [
        p
        for p in inspect.signature(module.forward).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ][1:]
    required = [p for p in further if p.default is p.empty]
    if not further or (not required and further[0].default is not None):
        return None
    parts = max(len(required), 1)
    x = example[:1, :8].repeat(3, 1, 1)
    x = x * torch.tensor([1.0, 0.5, -0.7])[:, None, None]  # three streams that differ
    with torch.no_grad():
        for start in _starts(module, example, state, parts):
            for chunks in (True, False):
                found = StepForm(module, start, chunks, parts)
                if not _holds(found, x):
                    continue
                if required:
                    return found
                return None if chunks or not _matters(found, x) else found
    if required:
        names = ", ".join(p.name for p in required)
        raise UsageError(
            f"forward of {type(module).__name__} takes a state ({names}) that cannot be found: {WAY_OUT}"
        )
    return None


def _starts(module: nn.Module, example: Tensor, state: Any, parts: int) -> Iterator[Start]:
    """First states to try, the surest first."""
    if state is not None:
        for axis in (0, 1):
            yield lambda x, axis=axis: _for_streams(state, x.shape[0], axis)  # type: ignore[misc]
        return
    for name in _STARTS:
        method = getattr(module, name, None)
        if callable(method):
            yield lambda x, method=method: method(x.shape[0])  # type: ignore[misc]
            return
    yield lambda x: None
    sizes = sorted({size for p in module.parameters() for size in p.shape} | {example.shape[2]})
    layers = sorted({1, *(m.num_layers for m in module.modules() if isinstance(m, nn.RNNBase))})
    shapes: list[tuple[int, ...]] = [(-1, size) for size in sizes]
    shapes += [(layer, -1, size) for layer in layers for size in sizes]
    for shape in shapes:
        for count in {parts, 2} if parts == 1 else {parts}:
            yield lambda x, shape=shape, count=count: _zeros(x, shape, count)  # type: ignore[misc]


def _zeros(x: Tensor, shape: tuple[int, ...], count: int) -> Any:
    each = [x.new_zeros([x.shape[0] if size == -1 else size for size in shape]) for _ in range(count)]
    return each[0] if count == 1 else tuple(each)


def _for_streams(state: Any, streams: int, axis: int) -> Any:
    """A state of one stream, or of equal ones, for any number of them."""
    if isinstance(state, dict):
        return {key: _for_streams(value, streams, axis) for key, value in state.items()}
    if isinstance(state, (tuple, list)):
        return type(state)(_for_streams(value, streams, axis) for value in state)
    row = state.narrow(axis, 0, 1)
    if not torch.equal(row.expand_as(state), state):
        raise ValueError("the states of streams differ")
    return row.repeat_interleave(streams, dim=axis)


def _holds(step: StepForm, x: Tensor) -> bool:
    """True if the module runs so: closed states, streams on their own, and chunks equal to single frames."""
    frames = x.shape[1]
    try:
        whole = step(x)
        if whole.dim() != 3 or whole.shape[:2] != x.shape[:2] or not whole.is_floating_point():
            return False
        if not _close(step(x[1:2]), whole[1:2]):
            return False
        if step.chunks:
            first, state = step.step(x[:, :3], step._start(x))
            second, state = step.step(x[:, 3:4], state)
            third, _ = step.step(x[:, 4:], state)
            return _close(torch.cat([first, second, third], 1), whole)
        _, once = step.step(x[:, 0], step._start(x))
        _, twice = step.step(x[:, frames - 1], once)
        return bool(_shapes(once) == _shapes(twice))
    except Exception:  # whatever a module raises for arguments that are not what it takes
        return False


def _matters(step: StepForm, x: Tensor) -> bool:
    """True if the state changes the scores: an argument that may be left out could be anything."""
    _, state = step.step(x[:, 0], step._start(x))
    return not torch.equal(step.step(x[:, 1], state)[0], step.step(x[:, 1], step._start(x))[0])


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= _TOLERANCE * (1 + b.abs().max()))


def _shapes(state: Any) -> Any:
    if isinstance(state, Tensor):
        return tuple(state.shape)
    values = state.values() if isinstance(state, dict) else state if isinstance(state, (tuple, list)) else ()
    return [_shapes(value) for value in values]
