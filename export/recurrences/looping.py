"""Does a network's forward loop over its frames in Python? And what such a loop writes, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from export.recurrences.spelling import CUMULATIVE, SPELLED, scans_in_turn

_LENGTHS = (48, 96)
_TRANSFORMS = {getattr(torch.fft, name) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")}
_PLANES = {
    getattr(torch.fft, name)
    for name in ("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn")
}
_SUMS = {torch.cumsum, Tensor.cumsum}
_PRODUCTS = {
    torch.conv1d,
    torch.conv2d,
    torch.matmul,
    Tensor.matmul,
    Tensor.__matmul__,
    torch.bmm,
    torch.einsum,
}
# Questions about a tensor that its values do not answer: getters of properties have no name to write here.
SIZES: set[Any] = {
    Tensor.size,
    Tensor.dim,
    Tensor.numel,
    Tensor.is_complex,
    Tensor.is_floating_point,
    torch.is_complex,
    torch.is_floating_point,
    *(vars(torch._C.TensorBase)[name].__get__ for name in ("shape", "device", "dtype", "ndim")),
}


class _Count(TorchFunctionMode):
    """Counts calls of torch functions, and notes how long the axes are along which values accumulate."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.sizes: list[int] = []
        self.sums: list[int] = []
        self.transforms: list[int] = []
        self.products: list[list[list[int]]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.calls += 1
        if func in CUMULATIVE or func in _SUMS:
            axis = kwargs["dim"] if "dim" in kwargs else args[1]
            (self.sums if func in _SUMS else self.sizes).append(args[0].shape[axis])
        if func in _PRODUCTS:
            leaves, _ = tree_flatten(args)
            sizes = [leaf.shape for leaf in leaves if isinstance(leaf, Tensor)]
            first = sizes[1:2] if func in (torch.conv1d, torch.conv2d) else sizes
            self.products.append([sorted(size) for size in first])
        if func in _TRANSFORMS:
            given = dict(zip(("input", "n", "dim"), args, strict=False)) | kwargs
            self.transforms.append(int(given.get("n") or given["input"].shape[given.get("dim", -1)]))
        if func in _PLANES:
            self.transforms.append(args[0].numel())
        return func(*args, **kwargs)


Work = Literal["layers", "loop", "spectra", "sums"]


def work_over_frames(network: Callable[[Tensor], Any], example: Tensor) -> Work:
    """How a network's own code goes over the frames.

    "loop" if a sound twice as long makes it call more functions of torch, or accumulate over more frames; "all at once"
    if it transforms the whole sound, or adds up all of it, or calls a few functions more (a scan in doubling steps):
    it may compute a recurrence for all frames at once. Else "layers".

    Args:
        network: (N, T, F) -> anything.
        example: (N, T, F) float32; repeated as needed.
    """
    counts = []
    for length in _LENGTHS:
        x = example.repeat(1, -(-length // example.shape[1]), 1)[:, :length]
        with torch.no_grad(), scans_in_turn(), _Count() as count:
            network(x)
        counts.append(count)
    short, long = counts
    if long.transforms != short.transforms:
        return "spectra"
    if long.calls > short.calls + (_LENGTHS[1] - _LENGTHS[0]) // 16 or long.sizes != short.sizes:
        return "loop"
    if long.sums != short.sums or long.calls > short.calls:
        return "sums"
    return "sums" if any(map(_by_all_frames, short.products, long.products)) else "layers"


def _by_all_frames(short: list[list[int]], long: list[list[int]]) -> bool:
    """True for a product with a matrix of frames by frames, or a convolution with a kernel of all frames."""
    grown = [
        sum(a != b for a, b in zip(one, two, strict=False)) for one, two in zip(short, long, strict=False)
    ]
    return any(grown) if len(short) == 1 else any(count > 1 for count in grown)


def short_examples(network: nn.Module, example: Tensor) -> list[Tensor]:
    """Examples to trace a network on, of lengths unlike its own sizes, so that no feature is taken for a frame.

    The later ones are for networks that make one row of several frames before they loop.

    Args:
        network: (N, T, F) -> anything.
        example: (N, T, F) float32; repeated as needed.
    """
    tensors = [*network.parameters(), *network.buffers()]
    sizes = {size for tensor in tensors for size in tensor.shape} | {example.shape[2]}
    found = [n for n in range(11, 300) if not any(abs(n - size) <= 2 for size in sizes)]
    first = found[0] if found else 13
    examples = []
    for length in (first, 4 * first, 6 * first):
        x = example[:2].repeat(1, -(-length // example.shape[1]), 1)[:, :length]
        try:
            with torch.no_grad():
                network(x)
        except Exception:  # whatever a network raises for a length that is no multiple of what it needs
            continue
        examples.append(x)
    return examples


class FrameWrites(TorchFunctionMode):
    """Within: ``y[:, t] = h`` for one frame after another makes a stack of frames.

    Exporters write every such assignment as a scatter over the whole tensor, in which nobody finds the loop again.
    The frames are held back until the tensor is used for anything else; if by then all have been written, the
    tensor is their stack. Where only some were, they are written as they would have been.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[int, tuple[Tensor, int, dict[int, Tensor]]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in SPELLED:
            with self:  # what it is spelled with may be one that is spelled itself
                return SPELLED[func](*args, **kwargs)
        if func is Tensor.__setitem__ and self._hold(*args):
            return None
        if func is Tensor.__getitem__ and id(args[0]) in self._held:
            place = _frame(args[0], args[1])
            _, axis, frames = self._held[id(args[0])]
            if place is not None and place[0] == axis and place[1] in frames:
                return frames[place[1]]
        if self._held and func not in SIZES:
            args, kwargs = self._released(args), self._released(kwargs)
        return func(*args, **kwargs)

    def _hold(self, target: Any, index: Any, value: Any) -> bool:
        place = _frame(target, index)
        if place is None or not isinstance(value, Tensor):
            return False
        axis, number = place
        _, held_axis, frames = self._held.setdefault(id(target), (target, axis, {}))
        row = target.shape[:axis] + target.shape[axis + 1 :]
        if held_axis != axis or value.shape != row or value.dtype != target.dtype:
            return False
        frames[number] = value
        return True

    def _released(self, value: Any) -> Any:
        """The same arguments, with stacks in place of tensors that were written frame by frame."""
        if isinstance(value, (tuple, list)):
            changed = [self._released(each) for each in value]
            return type(value)(*changed) if hasattr(value, "_fields") else type(value)(changed)
        if isinstance(value, dict):
            return {key: self._released(each) for key, each in value.items()}
        if not isinstance(value, Tensor) or id(value) not in self._held:
            return value
        target, axis, frames = self._held[id(value)]
        with torch._C.DisableTorchFunction():
            if len(frames) == target.shape[axis]:
                return torch.stack([frames[i] for i in range(len(frames))], axis)
            for number, row in frames.items():
                target.select(axis, number).copy_(row)
        return target


def _frame(target: Any, index: Any) -> tuple[int, int] | None:
    """(axis, number) of ``target[:, t]`` and its like; None for any other index."""
    parts = index if isinstance(index, tuple) else (index,)
    if not isinstance(target, Tensor):
        return None
    if any(part is Ellipsis for part in parts):
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts = (*parts[:at], *[slice(None)] * (target.dim() - len(parts) + 1), *parts[at + 1 :])
    numbers = [i for i, part in enumerate(parts) if not (isinstance(part, slice) and part == slice(None))]
    if len(numbers) != 1 or not isinstance(parts[numbers[0]], int) or isinstance(parts[numbers[0]], bool):
        return None
    axis = numbers[0]
    size = int(target.shape[axis])
    number = int(parts[axis])
    return (axis, number % size) if -size <= number < size else None
