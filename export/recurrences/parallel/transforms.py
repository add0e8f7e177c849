"""Find what runs through spectra, or through a matrix or kernel as long as the sound: the convolution that it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from export.recurrences.parallel.kernels import Finite, Oscillations, identified
from export.recurrences.parallel.record import INPUT, Call, Made, Place, Record, Recording, given_by
from export.recurrences.spelling import scans_in_turn
from stream.errors import NotStreamable

Array = NDArray[Any]
_LONG = 2064  # frames that a kernel is looked at for; a multiple of most strides
_LEAST = 8  # frames along an axis that may be time
_LARGEST = 1 << 16  # parameter that is looked at as poles
_MOST_INPUTS = 128
_LINEAR = ("bmm", "conv1d", "conv2d", "einsum", "linear", "matmul", "__matmul__", "__rmatmul__", "mm")
_WAY_OUT = (
    "write what it computes (a convolution, a recurrence) as a causal convolution, or as a step "
    "forward(x, state) -> (scores, state)"
)


@dataclass(frozen=True)
class Convolved:
    """Real frames through a linear system.

    Attributes:
        result: what comes out.
        source: what goes in.
        axis, source_axis: of time.
        form: of the kernel, of one channel each; of (outputs x inputs) channels if ``mixed``.
        inputs: channels in, if ``mixed``; else 0.
        shape: sizes of a frame that comes out, without streams.
        order: among the transforms; None for what is none.
    """

    result: Place
    source: Place
    axis: int
    source_axis: int
    form: Oscillations | Finite
    inputs: int
    shape: tuple[int, ...]
    order: int | None


@dataclass(frozen=True)
class _Block:
    result: Place
    source: Place
    name: str
    order: (
        int | None
    )  # of transforms, which are refused if they are no recurrence; what else there is, others refuse


def over_time(record: Record) -> list[_Block]:
    """Transforms between two real tensors.

    Raises:
        NotStreamable: two sounds are multiplied in it.
    """
    blocks: list[_Block] = []
    done: set[Place] = set()
    for place in sorted(record.varying):
        if place == INPUT or record.value(place).is_complex():
            continue
        if not any(record.value(read).is_complex() for read in _sounding(record, place)):
            continue
        end = _cut_to_length(record, place)
        sources, name = _sources(record, place)
        if end in done or not name:
            continue
        done.add(end)
        if len(sources) != 1:
            raise NotStreamable(
                f"{name} over time mixes {len(sources)} signals, so it is no convolution; {_WAY_OUT}"
            )
        blocks.append(_Block(end, _before_padding(record, sources.pop()), name, len(blocks)))
    return blocks


def by_long_weights(record: Record, longer: list[Call]) -> list[_Block]:
    """Products and convolutions whose weights have a size that grows with the sound, and do not depend on it.

    Args:
        record: of a short sound.
        longer: the same calls for a longer one.
    """
    blocks = []
    for number, (call, other) in enumerate(zip(record.calls, longer, strict=True)):
        if call.name not in _LINEAR or (number, 0) not in record.varying:
            continue
        sizes = [_constant_sizes(each, record.varying) for each in (call, other)]
        sources = _sounding(record, (number, 0))
        if len(sources) == 1 and sizes[0] != sizes[1]:
            end = _cut_to_length(record, (number, 0))
            blocks.append(_Block(end, _before_padding(record, sources[0]), call.name, None))
    return blocks


def _constant_sizes(call: Call, varying: frozenset[Place]) -> list[torch.Size]:
    leaves, _ = tree_flatten((call.args, call.kwargs))
    sizes = [leaf.shape for leaf in leaves if isinstance(leaf, Tensor)]
    return sizes + [
        shape for place, shape in zip(call.reads, call.shapes, strict=True) if place not in varying
    ]


def _before_padding(record: Record, place: Place) -> Place:
    """What zeros were put before or behind, if a tensor was made so."""
    while place != INPUT and record.calls[place[0]].name in ("pad", "cat"):
        before = _sounding(record, place)
        if len(before) != 1:
            break
        place = before[0]
    return place


def _sounding(record: Record, place: Place) -> list[Place]:
    return [read for read in record.calls[place[0]].reads if read in record.varying]


def _cut_to_length(record: Record, place: Place) -> Place:
    """The cut that follows a transform back, where it was padded."""
    users = [
        number for number in range(place[0] + 1, len(record.calls)) if place in record.calls[number].reads
    ]
    if len(users) == 1 and record.calls[users[0]].name in ("__getitem__", "narrow"):
        return users[0], 0
    return place


def _sources(record: Record, place: Place) -> tuple[set[Place], str]:
    """Real tensors that the complex ones before a tensor are made of, and the transform among them; "" = none."""
    found: set[Place] = set()
    seen = {place}
    waiting, name = [place], ""
    while waiting:
        number = waiting.pop()[0]
        called = record.calls[number].name
        if called.startswith("fft_"):
            name = f"torch.fft.{called.removeprefix('fft_')}"
        for read in _sounding(record, (number, 0)):
            if record.value(read).is_complex():
                if read not in seen:
                    seen.add(read)
                    waiting.append(read)
            else:
                found.add(read)
    return found, name


def convolutions(
    record: Record, network: Callable[[Tensor], Any], x: Tensor, parameters: list[Tensor]
) -> list[Convolved]:
    """The blocks of a record as convolutions with known kernels.

    Args:
        record: of a short sound.
        network: to be run in float64.
        x: (N, T, F) float64, features of realistic level.
        parameters: of the network.

    Raises:
        NotStreamable: one of them is none, or has a kernel that no state can hold.
    """
    blocks = over_time(record)
    frames = record.sounds[0].shape[1]
    more = _recorded(network, x, frames + 8 if frames % 48 else frames + 48)
    if more is not None and _names(more[1]) == _names(record.calls):
        blocks += by_long_weights(record, more[1])
    if not blocks:
        return []
    recorded = _recorded(network, x, _LONG)
    if recorded is None:
        if all(block.order is None for block in blocks):
            return []
        raise NotStreamable(
            f"{blocks[0].name} over time: the network fails on {_LONG} frames, and a stream has no end; {_WAY_OUT}"
        )
    sound, calls = recorded
    longer = blocks
    if _names(calls) != _names(record.calls):  # there are loops too, whose calls grow in number
        again = Record.of(network, sound)
        longer = over_time(again) if again is not None else []
        if again is None or len(longer) != len(blocks):
            raise NotStreamable(
                f"{blocks[0].name} over time: longer sounds are computed in another way; {_WAY_OUT}"
            )
        calls = again.calls
    known = _known(record, calls, parameters)
    found = []
    for block, there in zip(blocks, longer, strict=True):
        try:
            found.append(_convolved(block, there, record, calls, sound, known))
        except NotStreamable:
            if block.order is not None:
                raise
    return found


def in_their_places(found: list[Convolved], record: Record) -> list[Convolved]:
    """The same convolutions in a record of another length: loops between them may have moved them."""
    blocks = over_time(record) if any(each.order is not None for each in found) else []
    return [
        each
        if each.order is None or each.order >= len(blocks)
        else replace(each, result=blocks[each.order].result, source=blocks[each.order].source)
        for each in found
    ]


def _recorded(network: Callable[[Tensor], Any], x: Tensor, frames: int) -> tuple[Tensor, list[Call]] | None:
    """A sound of one stream, and what the network calls for it; None if it fails on that length."""
    sound = x[:1].repeat(1, -(-frames // x.shape[1]), 1)[:, :frames]
    with torch.no_grad(), scans_in_turn(), Recording(sound, copies=False) as recording:
        try:
            network(sound)
        except Exception:  # whatever a network raises for a length that it does not take
            return None
    return sound, recording.calls


def _names(calls: list[Call]) -> list[str]:
    return [call.name for call in calls]


def _known(record: Record, longer: list[Call], parameters: list[Tensor]) -> list[Array]:
    """What the network holds or makes of it, whatever the sound and its length."""
    sizes = {value.shape for call in longer for value in call.values}
    constant = [
        value
        for number, call in enumerate(record.calls)
        for k, value in enumerate(call.values)
        if (number, k) not in record.varying and value.shape in sizes
    ]
    return [
        np.asarray(value.detach().resolve_conj().numpy())
        for value in [*parameters, *constant]
        if (value.is_floating_point() or value.is_complex()) and 0 < value.numel() <= _LARGEST
    ]


def _convolved(
    block: _Block, there: _Block, record: Record, calls: list[Call], sound: Tensor, known: list[Array]
) -> Convolved:
    """One of them.

    Args:
        block: of the short sound.
        there: the same in the longer one.
        record: of the short sound.
        calls: of the longer one.
        sound: the longer one.
        known: as ``identified`` takes it.
    """
    replay = _Replay(calls, there, sound)
    source, result = replay.source, replay.value(there.result)
    short_source, short = record.value(block.source), record.value(block.result)
    axis = _grown(short, result)
    source_axis = _grown(short_source, source)
    if axis is None or source_axis is None or result.shape[axis] != source.shape[source_axis]:
        raise NotStreamable(f"{block.name} over time gives no row for each frame; {_WAY_OUT}")
    frames = source.shape[source_axis]
    mine = source.movedim(source_axis, -1)
    folded = len(mine)  # rows of one stream in the axis of streams, such as bands
    if len(result.movedim(axis, -1)) != folded:
        raise NotStreamable(f"{block.name} over time moves the axis of streams; {_WAY_OUT}")
    channels = mine[0].numel() // frames
    impulse = torch.zeros_like(mine)
    impulse[..., 0] = 1

    def responses_to(sound: Tensor) -> Array:
        return _rows(replay.run(sound.expand(mine.shape).movedim(-1, source_axis)), axis)

    every = responses_to(impulse).reshape(folded, -1, frames)
    kernel = every[0]
    if not all(_close(each, kernel) for each in every[1:]):
        raise NotStreamable(f"{block.name} over time differs between rows in the axis of streams; {_WAY_OUT}")
    noise = torch.randn(mine[:1].shape, generator=torch.Generator().manual_seed(1), dtype=mine.dtype)
    wanted = responses_to(noise)[: len(kernel)]
    given = noise.reshape(channels, frames).numpy()
    mixed = 0
    if kernel.shape != given.shape or not _close(_filtered(kernel, given), wanted):
        if channels > _MOST_INPUTS:
            raise NotStreamable(f"{block.name} over time mixes {channels} channels; {_WAY_OUT}")
        mixed = channels
        responses = []
        for channel in range(channels):
            one = torch.zeros(channels, frames, dtype=mine.dtype)
            one[channel, 0] = 1
            responses.append(responses_to(one.reshape(noise.shape))[: len(kernel)])
        kernels = np.stack(responses, axis=1)  # (outputs, inputs, frames)
        made = sum(_filtered(kernels[:, i], np.broadcast_to(given[i], wanted.shape)) for i in range(channels))
        if not _close(np.asarray(made), wanted):
            raise NotStreamable(
                f"{block.name} over time is no causal convolution: it wraps around, sees frames to come, or depends "
                f"on the sound or its length; pad with as many zeros as there are frames, or {_WAY_OUT}"
            )
        kernel = kernels.reshape(-1, frames)
    form = identified(kernel, known)
    if form is None:
        raise NotStreamable(
            f"{block.name} over time convolves with a kernel as long as the sound that is no sum of decaying "
            f"exponentials, so no state holds it; {_WAY_OUT}"
        )
    frame = result.movedim(axis, -1).shape[1:-1]
    return Convolved(block.result, block.source, axis, source_axis, form, mixed, tuple(frame), block.order)


def _grown(short: Tensor, long: Tensor) -> int | None:
    """The axis that is longer in the longer sound; the streams are never it."""
    if short.dim() != long.dim():
        return None
    axes = [i for i, (a, b) in enumerate(zip(short.shape, long.shape, strict=True)) if a < b and a >= _LEAST]
    return axes[0] if len(axes) == 1 else None


def _rows(value: Tensor, axis: int) -> Array:
    frames = value.shape[axis]
    return np.asarray(value.movedim(axis, -1).reshape(-1, frames).numpy())


def _filtered(kernel: Array, given: Array) -> Array:
    """Rows through their kernels."""
    frames = kernel.shape[1]
    spectra = np.fft.rfft(kernel, 2 * frames) * np.fft.rfft(given, 2 * frames)
    return np.asarray(np.fft.irfft(spectra, 2 * frames)[:, :frames])


def _close(made: Array, wanted: Array) -> bool:
    return made.shape == wanted.shape and bool(
        np.abs(made - wanted).max() <= 1e-8 * (1e-9 + np.abs(wanted).max())
    )


class _Replay:
    """Calls of a network again, with another tensor in the place of one of theirs."""

    def __init__(self, calls: list[Call], block: _Block, sound: Tensor) -> None:
        self.calls, self.block, self.sound = calls, block, sound
        self.source = self.value(block.source)
        depends: set[int] = set()  # calls that read the source, or what is made of it
        for number in range(block.source[0] + 1, block.result[0] + 1):
            if any(read == block.source or read[0] in depends for read in calls[number].reads):
                depends.add(number)
        needed: set[int] = set()
        waiting = [block.result[0]]
        while waiting:
            number = waiting.pop()
            if number in needed or number not in depends:
                continue
            needed.add(number)
            waiting += [read[0] for read in calls[number].reads if read != block.source]
        self.order = sorted(needed)

    def value(self, place: Place) -> Tensor:
        return self.sound if place == INPUT else self.calls[place[0]].values[place[1]]

    def run(self, source: Tensor) -> Tensor:
        made: dict[Place, Tensor] = {self.block.source: source.contiguous()}

        def given(value: Any) -> Any:
            if isinstance(value, Made):
                return made[value.place] if value.place in made else self.value(value.place)
            return value

        with torch.no_grad():
            for number in self.order:
                call = self.calls[number]
                args, kwargs = tree_map(given, (call.args, call.kwargs))
                if call.name == "__setitem__":
                    args = (args[0].clone(), *args[1:])
                result = call.func(*args, **kwargs)
                for k, tensor in enumerate(given_by(call.func, args, result)):
                    made[number, k] = tensor
        return made[self.block.result]
