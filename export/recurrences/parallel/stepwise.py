"""A network with loops over frames in the place of what it computes for all frames at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from export.recurrences.complex_numbers import Pair
from export.recurrences.looping import SIZES
from export.recurrences.parallel.gates import Gated, Read, gated, lengths_of
from export.recurrences.parallel.kernels import Oscillations
from export.recurrences.parallel.record import (
    INPUT,
    Call,
    Place,
    Record,
    Recording,
    given_by,
    tensors_of,
    vectorised,
)
from export.recurrences.parallel.steps import convolved, scanned
from export.recurrences.parallel.transforms import Convolved, convolutions, in_their_places
from export.recurrences.spelling import as_written, scans_in_turn, untraced

_FRAMES = range(53, 999)  # of the sound that is looked at: the first that is no size of the network
_MULTIPLES = range(96, 9600, 48)
Found = Gated | Convolved


class Stepwise(nn.Module):
    """A network that was found to compute linear recurrences for all frames at once, frame by frame.

    Args:
        network: (N, T, F) -> anything.
        double: the same in float64.
        transforms: convolutions through spectra, of the calls of any sound.
        sizes: of axes that are not time.

    Attributes:
        loops: whether there are loops in it now; kernels that end need none.
    """

    def __init__(
        self,
        network: nn.Module,
        double: Callable[[Tensor], Any],
        transforms: list[Convolved],
        sizes: Collection[int],
    ) -> None:
        super().__init__()
        self.net = network
        self._double, self._transforms, self._sizes = double, transforms, sizes
        self.loops = True

    def forward(self, x: Tensor) -> Any:
        """As the network does."""
        with as_written():
            record = Record.of(self._double, _sound(x.detach().clone(), x.shape[1]))
            found: list[Found] = []
            if record is not None:
                found = [*in_their_places(self._transforms, record), *gated(record, self._sizes)]
        if record is None or not found:
            return self.net(x)
        self.loops = any(isinstance(each, Gated) or isinstance(each.form, Oscillations) for each in found)
        with _Substituting(record, x, found):
            return self.net(x)


def step_by_step(network: nn.Module, double: Callable[[Tensor], Any], example: Tensor) -> Stepwise | None:
    """The network with loops over frames in the place of parallel forms; None if it has none.

    Args:
        network: (N, T, F) -> anything.
        double: the same in float64.
        example: (N, T, F) float32 of realistic level.

    Raises:
        NotStreamable: a transform over time is no recurrence.
    """
    record = _recorded(double, example, _sizes(network))
    if record is None:
        return None
    transforms = convolutions(record, double, example.double(), [*network.parameters(), *network.buffers()])
    sizes = _sizes(network) | _sizes_at_any_length(record, double, example)
    if not transforms and not gated(record, sizes):
        return None
    return Stepwise(network, double, transforms, sizes)


def _recorded(double: Callable[[Tensor], Any], example: Tensor, taken: set[int]) -> Record | None:
    """A record of a short sound, of a length that is no size of the network; None if none can be made."""
    for lengths in (
        _FRAMES,
        _MULTIPLES,
    ):  # some networks take no length that is not a multiple of their stride
        x = _sound(example, next(n for n in lengths if n not in taken))
        try:
            double(x)
        except Exception:  # whatever a network raises for a length that is no multiple of what it needs
            continue
        return Record.of(double, x)
    return None


def _sizes_at_any_length(record: Record, double: Callable[[Tensor], Any], example: Tensor) -> set[int]:
    """Sizes of axes in the record that a longer sound has too: heads and channels, not time."""
    frames = record.sounds[0].shape[1]
    lengths = lengths_of(frames)
    step = _MULTIPLES.step if frames in _MULTIPLES else 1
    longer = next(n for n in range(frames + step, 99 * frames, step) if not lengths & lengths_of(n))
    sound = _sound(example, longer)
    with torch.no_grad(), scans_in_turn(), Recording(sound, copies=False) as recording:
        try:
            double(sound)
        except Exception:  # whatever a network raises for a length that it does not take
            return set()
    return _axes(record.calls) & _axes(recording.calls)


def _axes(calls: list[Call]) -> set[int]:
    return {size for call in calls for value in call.values for size in value.shape}


def _sizes(network: nn.Module) -> set[int]:
    return {size for tensor in [*network.parameters(), *network.buffers()] for size in tensor.shape}


def _sound(example: Tensor, frames: int) -> Tensor:
    x = example[:2].repeat(-(-2 // len(example[:2])), -(-frames // example.shape[1]), 1)[:2, :frames].double()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(5), dtype=x.dtype)
    return x + 0.1 * (x.std() + 1e-3) * noise


def _sources(found: Found) -> list[Place]:
    if isinstance(found, Convolved):
        return [found.source]
    return [found.into.place, *([found.gate.place] if isinstance(found.gate, Read) else [])]


class _Substituting(TorchFunctionMode):
    """Within: what some calls give is computed frame by frame, and what only they needed leaves no trace."""

    def __init__(self, record: Record, x: Tensor, found: list[Found]) -> None:
        super().__init__()
        self._found = {each.result: each for each in found}
        sources = {each.result: _sources(each) for each in found}
        self._wanted = {place for places in sources.values() for place in places}
        end = record.output or (len(record.calls) - 1, 0)
        self._needed = {place[0] for place in [end, *record.ancestors(end, sources)]}
        self._values: dict[Place, Tensor] = {INPUT: x}
        self._number = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        number = self._number
        if vectorised():
            return func(*args, **kwargs)
        if number in self._needed or func in SIZES or not tensors_of((args, kwargs)):
            result = func(*args, **kwargs)
        else:
            with untraced(), torch._C.DisableTorchFunction():
                args, kwargs = tree_map(_as_number, (args, kwargs))
                result = func(*args, **kwargs)
        tensors = given_by(func, args, result)
        if not tensors:
            return result
        self._number += 1
        for k, tensor in enumerate(tensors):
            found = self._found.get((number, k))
            if found is not None and result is not None:
                tensor = self._instead(found, tensor)
                result = (
                    tensor if len(tensors) == 1 and isinstance(result, Tensor) else _with(result, k, tensor)
                )
            if (number, k) in self._wanted:
                self._values[number, k] = tensor
        return result

    def _instead(self, found: Found, result: Tensor) -> Tensor:
        if isinstance(found, Convolved):
            return convolved(found, self._values[found.source])
        gate = self._values[found.gate.place] if isinstance(found.gate, Read) else None
        return scanned(found, gate, self._values[found.into.place], result.dim())


def _as_number(value: Any) -> Any:
    """Sizes are tensors while a graph is traced, and complex numbers pairs."""
    if isinstance(value, Pair):
        return torch.complex(value.re, value.im)
    whole = (
        isinstance(value, Tensor)
        and value.dim() == 0
        and not value.is_floating_point()
        and not value.is_complex()
    )
    return value.item() if whole else value


def _with(result: Any, k: int, tensor: Tensor) -> Any:
    """A tuple or list with another tensor in it."""
    parts = list(result)
    places = [i for i, part in enumerate(parts) if isinstance(part, Tensor)]
    parts[places[k]] = tensor
    return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
