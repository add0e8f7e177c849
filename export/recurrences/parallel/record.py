"""What a network computes: each function of torch that it calls, with arguments and values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from export.recurrences.spelling import scans_in_turn

Place = tuple[int, int]  # number of the call that gave a tensor, which of its tensors
INPUT: Place = (-1, 0)


@dataclass(frozen=True)
class Made:
    """In place of a tensor among arguments: the tensor that an earlier call gave."""

    place: Place


@dataclass(frozen=True)
class Call:
    """A call that gave tensors.

    Attributes:
        func: of torch.
        args, kwargs: as given, tensors of earlier calls as ``Made``.
        values: copies of the tensors that it gave, in their order.
        shapes: of the tensors of earlier calls that it reads.
    """

    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    values: tuple[Tensor, ...]
    shapes: tuple[torch.Size, ...] = ()

    @property
    def name(self) -> str:
        return getattr(self.func, "__name__", "")

    @property
    def reads(self) -> list[Place]:
        """Tensors of earlier calls that it reads."""
        leaves, _ = tree_flatten((self.args, self.kwargs))
        return [leaf.place for leaf in leaves if isinstance(leaf, Made)]


def tensors_of(result: Any) -> list[Tensor]:
    """The tensors of what a function gave; none where all are single numbers, as sizes are while a graph is traced."""
    leaves, _ = tree_flatten(result)
    found = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    return found if any(tensor.dim() for tensor in found) else []


def vectorised() -> bool:
    """True within ``torch.vmap``, whose tensors are none that a graph could hold."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def given_by(func: Any, args: Any, result: Any) -> list[Tensor]:
    """The tensors that a call gave, or changed."""
    return tensors_of(args[0] if getattr(func, "__name__", "") == "__setitem__" else result)


class Recording(TorchFunctionMode):
    """Within: notes the calls that give tensors.

    Args:
        x: the input of the network.
        copies: of the values; else the tensors themselves, in which later calls may write.
    """

    def __init__(self, x: Tensor, copies: bool = True) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._copies = copies
        self.places: dict[int, Place] = {id(x): INPUT}
        self._kept: list[Any] = [x]  # an identity stands for a tensor as long as it lives

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = tree_map(self._made, (args, kwargs))
        leaves, _ = tree_flatten((args, kwargs))
        read = tuple(t.shape for t in leaves if isinstance(t, Tensor) and id(t) in self.places)
        result = func(*args, **kwargs)
        found = () if vectorised() else given_by(func, args, result)
        if found:
            for k, tensor in enumerate(found):
                self.places[id(tensor)] = (len(self.calls), k)
            self._kept.append(found)
            values = tuple(t.detach().clone() if self._copies else t.detach() for t in found)
            self.calls.append(Call(func, given[0], given[1], values, read))
        return result

    def _made(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            place = self.places.get(id(value))
            return value if place is None else Made(place)
        return value


@dataclass(frozen=True)
class Record:
    """Two recordings of a network, of different sounds of one length.

    Attributes:
        sounds: the two inputs.
        calls: of the first sound.
        other: of the second one.
        varying: tensors that differ between the sounds.
        output: what the network gives; None if no call gave it.
    """

    sounds: tuple[Tensor, Tensor]
    calls: list[Call]
    other: list[Call]
    varying: frozenset[Place]
    output: Place | None

    @classmethod
    def of(cls, network: Callable[[Tensor], Any], x: Tensor) -> Record | None:
        """Run a network twice on (N, T, F); None if it does not call the same functions both times."""
        runs = []
        sounds = (x, torch.flip(x, (0, 1)) * 0.7 + 0.1)
        for sound in sounds:
            with torch.no_grad(), scans_in_turn(), Recording(sound) as recording:
                given = tensors_of(network(sound))
            runs.append(recording.calls)
            output = recording.places.get(id(given[0])) if given else None
        first, second = runs
        if [c.name for c in first] != [c.name for c in second]:
            return None
        varying = {
            (number, k)
            for number, (a, b) in enumerate(zip(first, second, strict=True))
            for k, (one, two) in enumerate(zip(a.values, b.values, strict=True))
            if one.shape != two.shape or not torch.equal(torch.nan_to_num(one), torch.nan_to_num(two))
        }
        return cls(sounds, first, second, frozenset(varying | {INPUT}), output)

    def made_of(self, names: Collection[str]) -> set[int]:
        """The calls of one of these names, and all that read what they give."""
        found: set[int] = set()
        for number, call in enumerate(self.calls):
            if call.name in names or any(place[0] in found for place in call.reads):
                found.add(number)
        return found

    def value(self, place: Place, other: bool = False) -> Tensor:
        """A tensor, as it was for the first sound or the other one."""
        if place == INPUT:
            return self.sounds[other]
        return (self.other if other else self.calls)[place[0]].values[place[1]]

    def ancestors(
        self, place: Place, instead: Mapping[Place, Sequence[Place]] = MappingProxyType({})
    ) -> set[Place]:
        """The tensors that one is made of, if some are made of others than in the record."""
        found: set[Place] = set()
        waiting = [place]
        while waiting:
            each = waiting.pop()
            reads = self.calls[each[0]].reads if each != INPUT else ()
            for read in instead.get(each, reads):
                if read not in found:
                    found.add(read)
                    waiting.append(read)
        return found
