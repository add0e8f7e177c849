"""Watch a torch network compute, for what no graph can hold: chance, memory between calls, and Python that looks at
sound."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from export.conversion.annotation import user_place
from stream.errors import ExportError, NotStreamable

_DEPTH = 2  # of lists and dictionaries in which tensors are looked for
_ROUNDING = 1e-6  # relative; kernels may add in another order when memory lies elsewhere


def check_network(whole: nn.Module, sample: Tensor) -> None:
    """Refuse a network that does not give the same for the same sound, or that Python leads.

    Args:
        whole: (N, T, F) -> its output, in eval mode.
        sample: (N, T, F) float32.

    Raises:
        NotStreamable: it draws random numbers, keeps state between calls, or takes another way for other sound.
        ExportError: it fails on the sample, or its weights are no numbers.
    """
    _check_weights(whole)
    before = _tensors(whole)
    first, watch = _observe(whole, sample)
    changed = [name for name, value in _tensors(whole).items() if _differs(before.get(name), value)]
    second, again = _observe(whole, sample)
    if watch.random and _far(first, second):
        raise NotStreamable(
            f"{watch.random[0]}: it draws random numbers in eval mode, so no two runs agree; "
            "pass training=self.training to dropout, and leave random numbers to training"
        )
    if not torch.equal(first, second) and changed:
        raise NotStreamable(
            f"the network keeps state between calls in '{changed[0]}': the same sound gives something else the second "
            "time; reset it at the start of forward, or make the state an argument and a result: "
            "forward(x, state) -> (y, state)"
        )
    if _far(first, second):
        raise NotStreamable(
            "the network gives something else each time for the same sound, though it draws no random numbers of "
            "torch; look for random, numpy.random or the clock in its forward"
        )
    steady = [i for i, both in enumerate(zip(watch.read, again.read, strict=False)) if both[0] == both[1]]
    if not steady:
        return
    for other in (torch.zeros_like(sample), 10 * sample):
        read = _observe(whole, other)[1].read
        for i in steady:
            if i >= len(read) or read[i] != again.read[i]:
                raise NotStreamable(
                    f"{again.read[i][0] or 'the network'}: Python reads a value that depends on the sound there (if, "
                    "while, float(), int(), .item()), so other sound may take another way; use torch.where, or leave "
                    "it out"
                )


def _check_weights(whole: nn.Module) -> None:
    for path, module in whole.named_modules():
        for name, value in module.named_parameters(recurse=False):
            if not torch.isfinite(value).all():
                layer = (
                    f"layer '{path.removeprefix('net.')}' ({type(module).__name__})"
                    if path != "net"
                    else "network"
                )
                raise ExportError(
                    f"{layer}: its {name} holds NaN or infinity; its training diverged: take an earlier checkpoint, or "
                    "train again with a lower learning rate or clipped gradients"
                )


class _Watch(TorchFunctionMode):
    """Notes calls that draw random numbers, and values that leave torch for Python.

    Attributes:
        random: labels of what drew random numbers.
        read: (file and line, value as text), sizes among them.
        inside: paths of the modules that are computing, innermost last.
    """

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self.random: list[str] = []
        self.read: list[tuple[str, str]] = []
        self.inside: list[str] = []
        self._root = root

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = torch.get_rng_state()
        result = func(*args, **(kwargs or {}))
        if not torch.equal(before, torch.get_rng_state()):
            self.random.append(self._label(getattr(func, "__name__", "operator")))
        if isinstance(result, (bool, int, float, complex, list, np.ndarray)):
            self.read.append((_caller(), repr(result)))
        return result

    def _label(self, name: str) -> str:
        place = _caller()
        where = f" at {place}" if place else ""
        path = self.inside[-1] if self.inside else ""
        kind = type(self._root.get_submodule(path)).__name__ if path else ""
        return f"layer '{path.removeprefix('net.')}' ({kind}){where}" if path else f"operator '{name}'{where}"


def _observe(whole: nn.Module, x: Tensor) -> tuple[Tensor, _Watch]:
    """The output, and what was seen on the way."""
    watch = _Watch(whole)
    with torch.no_grad(), _places(whole, watch.inside), watch:
        try:
            return whole(x).clone(), watch
        except ExportError:
            raise
        except Exception as error:  # networks raise whatever they like
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ExportError(f"the network fails on features {list(x.shape)}: {reason[:300]}") from error


@contextlib.contextmanager
def _places(whole: nn.Module, inside: list[str]) -> Iterator[None]:
    """Keep the path of the module that is computing last in ``inside``."""
    handles = []
    for name, module in whole.named_modules():
        if name in ("", "net") or isinstance(module, torch.jit.ScriptModule):
            continue
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: inside.append(name)))
        handles.append(module.register_forward_hook(lambda *_: inside.pop() and None))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _caller() -> str:
    """The file and line of the user's code that is running."""
    frame = sys._getframe(1)
    frames = []
    while frame is not None:
        frames.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back  # type: ignore[assignment]
    return user_place(frames)


def _tensors(whole: nn.Module) -> dict[str, Tensor]:
    """Copies of every tensor that a network holds: parameters, buffers, plain attributes."""
    found: dict[str, Tensor] = {}

    def visit(name: str, value: Any, depth: int) -> None:
        if isinstance(value, Tensor):
            found[name] = value.detach().clone()
        elif depth and isinstance(value, (list, tuple)):
            for i, each in enumerate(value):
                visit(f"{name}[{i}]", each, depth - 1)
        elif depth and isinstance(value, dict):
            for key, each in value.items():
                visit(f"{name}[{key!r}]", each, depth - 1)

    for path, module in whole.named_modules():
        start = f"{path.removeprefix('net').removeprefix('.')}."
        named = {**dict(module.named_buffers(recurse=False)), **_plain(module)}
        for name, value in named.items():
            visit(f"{start}{name}".lstrip("."), value, _DEPTH)
    return found


def _plain(module: nn.Module) -> dict[str, Any]:
    kept = {k: v for k, v in vars(module).items() if not k.startswith("_")}
    return {} if isinstance(module, torch.jit.ScriptModule) else kept


def _differs(before: Tensor | None, after: Tensor) -> bool:
    return before is None or before.shape != after.shape or not torch.equal(before, after)


def _far(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape:
        return True
    a, b = torch.nan_to_num(a), torch.nan_to_num(b)
    return bool((a - b).abs().max() > _ROUNDING * (1 + a.abs().max()))
