"""Functions of torch that the tracing exporter does not know, in terms of those that it knows."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import _pop_mode_temporarily


def _expm1(x: Tensor) -> Tensor:
    half = torch.tanh(x / 2)  # exp(x) - 1 would lose all digits of a small x
    return 2 * half / (1 - half)


def _logaddexp(x: Tensor, other: Tensor) -> Tensor:
    return torch.maximum(x, other) + functional.softplus(-torch.abs(x - other))


def _addcdiv(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    return x + value * (tensor1 / tensor2)


def _rms_norm(x: Tensor, shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    axes = list(range(-len(shape), 0))
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    y = x * torch.rsqrt(x.pow(2).mean(axes, keepdim=True) + eps)
    return y if weight is None else y * weight


def _running(step: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A running value as the loop over frames that it is."""

    def run(x: Tensor, dim: int) -> Tensor:
        value, *rest = x.unbind(dim)
        values = [value]
        for each in rest:
            value = step(value, each)
            values.append(value)
        return torch.stack(values, dim)

    return run


class _Extreme(tuple[Tensor, None]):
    """What cummax and cummin return, without the positions, which count from the start of the sound."""

    @property
    def values(self) -> Tensor:
        return self[0]

    @property
    def indices(self) -> None:
        raise TypeError("positions of maxima count from the start; use the values alone")


_maximum, _minimum = _running(torch.maximum), _running(torch.minimum)


def _in_turn(
    operator: Any, leaves: Sequence[Tensor], dim: int = 0, additional_inputs: Sequence[Tensor] = ()
) -> list[Tensor]:
    """An associative scan, frame by frame. The operator of torch works on many at once by ``vmap``."""
    keywords = {**operator.keywords, "combine_fn": operator.keywords["combine_fn"].__wrapped__}
    combine = functools.partial(operator.func, *operator.args, **keywords)
    frames = list(zip(*(leaf.unbind(dim) for leaf in leaves), strict=True))
    state: Sequence[Tensor] = frames[0]
    rows = [state]
    for frame in frames[1:]:
        state = combine(*state, *frame, *additional_inputs)
        rows.append(state)
    return [torch.stack(list(parts), dim) for parts in zip(*rows, strict=True)]


@contextlib.contextmanager
def scans_in_turn() -> Iterator[None]:
    """Within: ``associative_scan`` is the loop over frames that it stands for."""
    module: Any = importlib.import_module("torch._higher_order_ops.associative_scan")  # named as its function
    before = module.generic_associative_scan
    module.generic_associative_scan = _in_turn
    try:
        yield
    finally:
        module.generic_associative_scan = before


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """What is computed within leaves no trace."""
    state = torch._C._get_tracing_state()
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch._C._set_tracing_state(state)  # type: ignore[attr-defined]


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """Within: torch's functions are themselves, and leave no trace."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(untraced())
        for _ in range(torch._C._len_torch_function_stack()):
            stack.enter_context(_pop_mode_temporarily())
        yield


# Values so far, along an axis that may be time.
CUMULATIVE: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((torch.cumprod, Tensor.cumprod), _running(torch.mul)),
    **dict.fromkeys((torch.logcumsumexp, Tensor.logcumsumexp), _running(_logaddexp)),
    **dict.fromkeys((torch.cummax, Tensor.cummax), lambda x, dim: _Extreme((_maximum(x, dim), None))),
    **dict.fromkeys((torch.cummin, Tensor.cummin), lambda x, dim: _Extreme((_minimum(x, dim), None))),
}
SPELLED: dict[Any, Callable[..., Any]] = {
    **CUMULATIVE,
    **dict.fromkeys((torch.expm1, Tensor.expm1, torch.special.expm1), _expm1),
    **dict.fromkeys((torch.logaddexp, Tensor.logaddexp), _logaddexp),
    **dict.fromkeys((torch.addcdiv, Tensor.addcdiv), _addcdiv),
    **dict.fromkeys((torch.exp2, Tensor.exp2), lambda x: torch.exp(x * 0.6931471805599453)),
    **dict.fromkeys((torch.fmax, Tensor.fmax), torch.maximum),
    **dict.fromkeys((torch.fmin, Tensor.fmin), torch.minimum),
    functional.rms_norm: _rms_norm,
    torch.rms_norm: _rms_norm,
}
