"""Beep: what was measured of a repeating beep, its pitch and its cadence."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Cadence, Pulses

LONGEST_SECONDS, MOST_PULSES, MOST_LINES = 31.0, 12, 5
_NEAR = 0.3  # share by which the times of a smoke or carbon monoxide alarm may be off and still look like one
_EVEN = 0.15  # share by which pulses may differ and still be called equal


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A steady line of the spectrum.

    Attributes:
        hertz: its frequency.
        decibels: its level, beside the strongest line's.
    """

    hertz: float
    decibels: float


class Pulse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of a cycle in which the beep sounds.

    Attributes:
        onset: seconds after the beginning of the cycle.
        length: seconds.
    """

    onset: float
    length: float


class Beep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A beep that repeats.

    Attributes:
        lines: of its spectrum, the strongest first.
        pulses: of a cycle; the first one begins at 0, and the longest gap is after the last.
        cycle: seconds from the first pulse of a cycle to that of the next.
        hertz_spread, edge_spread, cycle_spread: standard deviations of the pitch in Hz, of an edge, and of a cycle's
            length in seconds.
        cycles: whole ones that were heard.
        start: seconds into the recording at which the first of them began.
        contrast: dB from the pauses to the pulses, in the strongest line.
        agreement: how well the recording's pulses lie where the cadence has them: 1 = all do, 0 = as by chance.
    """

    lines: tuple[Line, ...]
    pulses: tuple[Pulse, ...]
    cycle: float
    hertz_spread: float
    edge_spread: float
    cycle_spread: float
    cycles: int
    start: float
    contrast: float
    agreement: float

    def __post_init__(self) -> None:
        """What a file says, it may say falsely: nothing is built of times and pitches that were never measured."""
        ends = [0.0, *(pulse.onset + pulse.length for pulse in self.pulses)]
        apart = all(a <= pulse.onset for a, pulse in zip(ends, self.pulses, strict=False))
        if not (
            1 <= len(self.pulses) <= MOST_PULSES and apart and all(p.length >= 0.01 for p in self.pulses)
        ):
            raise ValueError(f"pulses: want 1 to {MOST_PULSES}, one after the other")
        if not ends[-1] < self.cycle <= LONGEST_SECONDS:
            raise ValueError(
                f"cycle: want one that is longer than its pulses and at most {LONGEST_SECONDS:g} s"
            )
        if not (1 <= len(self.lines) <= MOST_LINES and all(100 <= line.hertz <= 8000 for line in self.lines)):
            raise ValueError(f"lines: want 1 to {MOST_LINES}, of 100 to 8000 Hz")

    @property
    def hertz(self) -> float:
        """Of the strongest line."""
        return self.lines[0].hertz

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds of silence after each pulse."""
        ends = [pulse.onset + pulse.length for pulse in self.pulses]
        begins = [pulse.onset for pulse in self.pulses[1:]] + [self.cycle]
        return tuple(begin - end for end, begin in zip(ends, begins, strict=True))

    @property
    def looks_like(self) -> str | None:
        """ "smoke alarm" or "carbon monoxide alarm", where the cadence is near to theirs."""
        for name, known in (("smoke alarm", SMOKE), ("carbon monoxide alarm", CARBON_MONOXIDE)):
            wanted = [known.off] * (known.pulses - 1) + [known.pause]
            if len(self.pulses) == known.pulses and all(
                abs(math.log(mine / its)) < math.log1p(_NEAR)
                for mine, its in (
                    *((pulse.length, known.on) for pulse in self.pulses),
                    *zip(self.gaps, wanted, strict=True),
                )
            ):
                return name
        return None

    def describe(self) -> str:
        """Pitch and cadence in words."""
        pitch = " and ".join(f"{line.hertz:.0f}" for line in self.lines[:3])
        more = f" and {len(self.lines) - 3} more" if len(self.lines) > 3 else ""
        lengths = [pulse.length for pulse in self.pulses]
        count = f"{len(lengths)} pulses" if len(lengths) > 1 else "a pulse"
        gaps = self.gaps[:-1]
        within = f", {_range(gaps)} apart" if gaps else ""
        each = " each" if len(lengths) > 1 and _even(lengths) else ""
        return (
            f"{pitch}{more} Hz (±{max(self.hertz_spread, 1):.0f}), {count} of {_range(lengths)}{each} "
            f"(±{max(self.edge_spread, 0.001):.3f}){within}, then {self.gaps[-1]:.2f} s of pause: "
            f"a cycle of {self.cycle:.3f} s (±{max(self.cycle_spread, 0.001):.3f})"
        )

    def pulse_times(
        self, seconds: float, rng: np.random.Generator | None = None, *, tempo: float = 1.0
    ) -> Pulses:
        """The pulses of ``seconds`` of it, from the beginning of a cycle on.

        Args:
            seconds: how long it sounds; a pulse that would be cut off is left out.
            rng: jitters every edge by as much as was measured, 4 ms at least; None = exact.
            tempo: how many times as long everything takes.
        """
        jitter = max(self.edge_spread, 0.004)
        onsets, offsets, groups = [], [], []
        for number in range(math.ceil(seconds / (self.cycle * tempo))):
            for pulse in self.pulses:
                begin = (number * self.cycle + pulse.onset) * tempo
                end = begin + pulse.length * tempo
                if rng is not None:
                    moved = np.clip(rng.normal(0, jitter, 2), -0.2 * pulse.length, 0.2 * pulse.length)
                    begin, end = max(0.0, begin + moved[0]), end + moved[1]
                if end <= seconds:
                    onsets.append(begin)
                    offsets.append(end)
                    groups.append(number)
        cadence = Cadence(len(self.pulses), self.pulses[0].length, self.gaps[0], self.gaps[-1])
        return Pulses(np.array(onsets), np.array(offsets), np.array(groups, np.int64), 0, cadence)


def as_cadence(beep: Beep, cadence: Cadence) -> Beep:
    """The beep's sound in another cadence."""
    step = cadence.on + cadence.off
    pulses = tuple(Pulse(k * step, cadence.on) for k in range(cadence.pulses))
    return msgspec.structs.replace(beep, pulses=pulses, cycle=cadence.cycle)


def _even(values: list[float] | tuple[float, ...]) -> bool:
    return max(values) <= (1 + _EVEN) * min(values)


def _range(values: list[float] | tuple[float, ...]) -> str:
    if _even(values):
        return f"{sum(values) / len(values):.2f} s"
    return f"{min(values):.2f} to {max(values):.2f} s"
