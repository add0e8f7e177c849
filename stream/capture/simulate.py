"""The scripted microphone: plays a recording or a built-in sound and fails when told to, the same way every
time.

``sim:talk.wav?unplug@10s&for=3s&seed=1`` lets anyone rehearse a failure without hardware; the language is in
`stream.capture.scenario`. Except where a fault changes it, the sample with index ``i`` is sample ``i`` of the
material, after losses too.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import DEFAULT_CHANNEL, Channel
from stream.capture.files import FileSource
from stream.capture.pacing import Pacer
from stream.capture.scenario import Fault, Scenario
from stream.capture.source import SourceBase, SourceReport
from stream.errors import ClosedError, SpecError
from stream.features.resample import StreamingResampler
from stream.messages import Chunk, SourceInfo
from stream.printable import unicode_text

BLOCK_SECONDS = 0.02
HEARTBEAT_SECONDS = 0.1
_BUILT_IN_RATE_HZ = 16_000
_GENERATED_SAMPLES = 4096  # samples of a built-in sound made at a time


class SimulatedSource(SourceBase):
    """A microphone that follows a script. Each ``iter()`` plays it again from the start.

    While unplugged it gives an empty chunk in state "recovering" every 0.1 s, with what is ``missing`` by then; then
    ``start`` jumps by exactly what was lost. An xrun is only the jump. Times of capture are those of the device's
    (drifting) clock.

    Args:
        text: ``sim:MATERIAL?…`` or a `Scenario`.
        channel: of a file: "mix" or a 1-based number.
        block_samples: mean samples a chunk; 0 is 20 ms.
        fast: on a virtual clock, without waiting; False plays in real time.
        clock, sleep: for real time; see `stream.capture.pacing.Pacer`.

    Raises:
        SpecError: the text cannot be understood, or an event lies after the end of the sound.
        UnreadableAudio, UsageError: as `FileSource`.
    """

    def __init__(
        self,
        text: str | Scenario,
        *,
        channel: Channel = DEFAULT_CHANNEL,
        block_samples: int = 0,
        fast: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        scenario = text if isinstance(text, Scenario) else Scenario.parse(text)
        self.scenario = scenario
        self._file = None if scenario.built_in else FileSource(scenario.material, channel=channel)
        file_info = None if self._file is None else self._file.info()
        native = _BUILT_IN_RATE_HZ if file_info is None else file_info.sample_rate
        self.sample_rate = scenario.rate or native
        self._clock_rate = self.sample_rate * (1.0 + scenario.drift_ppm * 1e-6)
        self._block_samples = block_samples or max(1, round(BLOCK_SECONDS * self.sample_rate))
        self._fast = fast
        self._pacer = Pacer(clock, sleep)
        once = scenario.length if file_info is None else (file_info.duration or 0) / native
        self._seconds = None if scenario.loop is None or not once else once * scenario.loop
        for fault in scenario.faults:
            if self._seconds is not None and fault.at >= self._seconds:
                raise SpecError(
                    f"sim: {fault.kind}@{fault.at:g}s is never reached, {scenario.material} ends after "
                    f"{self._seconds:g} s: add loop=forever or make it earlier"
                )
        self._losses = _merged((*f.span(self.sample_rate), f.kind) for f in scenario.faults)
        self._spoilers = [f for f in scenario.faults if f.kind not in ("unplug", "xrun")]
        self._info = SourceInfo(
            unicode_text(f"sim:{scenario.material}"),
            self.sample_rate,
            1 if file_info is None else file_info.channels,
            str(channel),
            live=not fast,
            duration=None if self._seconds is None else round(self._seconds * self._clock_rate),
            detail=f"scripted, {len(scenario.faults)} faults, seed {scenario.seed}",
        )

    def report(self) -> SourceReport:
        """Of the file that is played; the losses in the script are all in the chunks."""
        return SourceReport() if self._file is None else self._file.report()

    def _chunks(self) -> Iterator[Chunk]:
        self._pacer.restart()
        sizes = np.random.default_rng([self.scenario.seed, 0])
        sound = _Sound(self._material())
        losses = iter(self._losses)
        loss = next(losses, None)
        held: dict[int, np.float32] = {}
        position = 0
        while not self._pacer.closed:
            if loss is not None and position == loss[0]:
                yield from self._absent(*loss)
                if not sound.skip(loss[1] - loss[0]):
                    return
                position, loss = loss[1], next(losses, None)
                continue
            size = round(self._block_samples * (1.0 + self.scenario.jitter * sizes.uniform(-1.0, 1.0)))
            size = max(1, size) if loss is None else min(max(1, size), loss[0] - position)
            samples = self._spoiled(sound.take(size), position, held)
            if not len(samples):
                return
            now = self._moment(position + len(samples))
            if now is None:
                return
            yield Chunk(samples, position, self.sample_rate, now)
            position += len(samples)

    def _absent(self, begin: int, end: int, unplugged: bool) -> Iterator[Chunk]:
        """Heartbeats of a device that is gone; none for an xrun."""
        nothing = np.empty(0, np.float32)
        for at in range(begin, end, max(1, round(HEARTBEAT_SECONDS * self.sample_rate))) if unplugged else ():
            now = self._moment(at)
            if now is None:
                return
            lost = at - begin
            yield Chunk(nothing, begin, self.sample_rate, now, "recovering", "unplugged by the script", lost)

    def _moment(self, position: int) -> float | None:
        """When ``position`` samples have passed, having waited for it in real time; None when closed."""
        seconds = position / self._clock_rate
        if self._fast:
            return None if self._pacer.closed else seconds
        return self._pacer.until(seconds)

    def _spoiled(
        self, samples: NDArray[np.float32], start: int, held: dict[int, np.float32]
    ) -> NDArray[np.float32]:
        """``samples`` with the faults that fall on them; ``held`` remembers the value of each flat line."""
        for number, fault in enumerate(self._spoilers):
            begin, end = fault.span(self.sample_rate)
            hit = slice(max(begin - start, 0), max(min(end - start, len(samples)), 0))
            if hit.start < hit.stop:
                samples = samples.copy()
                samples[hit] = _spoil(fault, samples[hit], held.setdefault(number, samples[hit.start]))
        return samples

    def _material(self) -> Iterator[NDArray[np.float32]]:
        """The sound at the device's rate and by its drifting clock, (n,) float32 blocks."""
        blocks = self._built_in() if self._file is None else self._looped(self._file)
        if self._file is not None:
            blocks = _at_rate(blocks, self._file.sample_rate, self.sample_rate)
        # A fast clock takes more samples of the same second; counted in thousandths of a ppm, as a ratio of
        # integers.
        billion = 10**9
        return _at_rate(blocks, billion, billion + round(1000 * self.scenario.drift_ppm))

    def _looped(self, file: FileSource) -> Iterator[NDArray[np.float32]]:
        for _ in itertools.count() if self.scenario.loop is None else range(self.scenario.loop):
            try:
                for chunk in file:
                    yield chunk.samples
            except ClosedError:  # closed between two rounds
                return

    def _built_in(self) -> Iterator[NDArray[np.float32]]:
        scenario, rate = self.scenario, self.sample_rate
        noise = np.random.default_rng([scenario.seed, 1])
        amplitude = 10.0 ** (scenario.level_db / 20.0)
        total = None if self._seconds is None else max(1, round(self._seconds * rate))
        for start in (
            itertools.count(0, _GENERATED_SAMPLES) if total is None else range(0, total, _GENERATED_SAMPLES)
        ):
            n = _GENERATED_SAMPLES if total is None else min(_GENERATED_SAMPLES, total - start)
            if scenario.material == "silence":
                yield np.zeros(n, np.float32)
            elif scenario.material == "noise":
                yield (amplitude * noise.standard_normal(n)).astype(np.float32)
            else:
                turns = scenario.freq * np.arange(start, start + n, dtype=np.float64) / rate
                yield (amplitude * np.sin(2.0 * np.pi * (turns % 1.0))).astype(np.float32)

    def info(self) -> SourceInfo:
        """`live` is True in real time."""
        return self._info

    def close(self) -> None:
        super().close()
        self._pacer.close()
        if self._file is not None:
            self._file.close()


class _Sound:
    """Blocks of any size as pieces of the wanted size."""

    def __init__(self, blocks: Iterator[NDArray[np.float32]]) -> None:
        self._blocks = blocks
        self._rest = np.empty(0, np.float32)

    def take(self, size: int) -> NDArray[np.float32]:
        """The next ``size`` samples, fewer at the end."""
        parts, have = [self._rest], len(self._rest)
        while have < size:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block)
            have += len(block)
        joined = np.concatenate(parts)
        self._rest = joined[size:]
        return joined[:size]

    def skip(self, size: int) -> bool:
        """Pass over ``size`` samples in bounded memory; False when the sound ends within or with them."""
        while size > len(self._rest):
            size -= len(self._rest)
            self._rest = np.empty(0, np.float32)
            block = next(self._blocks, None)
            if block is None:
                return False
            self._rest = block
        self._rest = self._rest[size:]
        return True


def _at_rate(
    blocks: Iterator[NDArray[np.float32]], in_rate: int, out_rate: int
) -> Iterator[NDArray[np.float32]]:
    if in_rate == out_rate:
        yield from blocks
        return
    resampler = StreamingResampler(in_rate, out_rate)
    for block in blocks:
        yield resampler.push(block)
    yield resampler.flush()


def _merged(spans: Iterator[tuple[int, int, str]]) -> list[tuple[int, int, bool]]:
    """(begin, end, unplugged) of each stretch of lost samples, in order; touching ones are joined."""
    out: list[tuple[int, int, bool]] = []
    for begin, end, kind in sorted(s for s in spans if s[2] in ("unplug", "xrun")):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]), out[-1][2] or kind == "unplug")
        else:
            out.append((begin, end, kind == "unplug"))
    return out


def _spoil(fault: Fault, samples: NDArray[np.float32], first: np.float32) -> NDArray[np.float32]:
    """What the fault makes of the samples it falls on; ``first`` is the first one of the whole stretch."""
    if fault.kind == "zeros":
        return np.zeros_like(samples)
    if fault.kind == "nan":
        return np.full_like(samples, np.nan)
    if fault.kind == "flat":
        return np.full_like(samples, first)
    louder: NDArray[np.float32] = samples * np.float32(10.0 ** (fault.gain_db / 20.0))
    return np.clip(louder, np.float32(-1.0), np.float32(1.0))
