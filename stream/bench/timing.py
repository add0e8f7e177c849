"""How times are taken: interleaved rounds, medians and bests.

A machine that is busy, hot or throttled changes from one second to the next. So no case is timed on its own:
each round gives every case a short turn, one after the other, every call in it is timed, and what is compared are
medians over all rounds. Before that each case is warmed up; garbage collection is off; the clock is
``time.perf_counter``.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

TURN = 0.004  # seconds a case runs in a round; at least one call
WARM_UP = 0.1  # seconds
MANY, UNCOUNTED = 20, 5  # calls a turn from which on its first ones are not counted, and how many those are


@dataclass(frozen=True)
class Case:
    """Something to time.

    Attributes:
        key: short, stable name.
        label: for people.
        call: does the work once.
        seconds: of sound that one call handles, all streams together; what ratios are formed of.
        units: of work in one call.
        unit: name of that unit of work.
        against: key of the case this one is a peer of; "" = ours.
    """

    key: str
    label: str
    call: Callable[[], object]
    seconds: float
    units: int = 1
    unit: str = "hop"
    against: str = ""


@dataclass
class Timing:
    """Microseconds a unit of work, of every call by itself; each has the clock's own 0.05 µs or so in it."""

    case: Case
    calls: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.calls)

    @property
    def best(self) -> float:
        return min(self.calls)

    @property
    def p99(self) -> float:
        line = sorted(self.calls)
        return line[int(0.99 * (len(line) - 1))]

    @property
    def per_second(self) -> float:
        """Microseconds of computing a second of sound (median)."""
        return self.median * self.case.units / self.case.seconds


def measure(
    cases: Sequence[Case],
    rounds: int = 40,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, Timing]:
    """Time all cases side by side; by key."""
    counts = {case.key: _warm_up(case, clock) for case in cases}
    timings = {case.key: Timing(case) for case in cases}
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for case in cases:
                _take_turn(timings[case.key], counts[case.key], clock)
            progress((turn + 1) / rounds)
    finally:
        if was_on:
            gc.enable()
    return timings


def _warm_up(case: Case, clock: Callable[[], float]) -> int:
    """Run for a while; the number of calls that fill a turn."""
    calls, begin = 0, clock()
    while calls < 3 or clock() - begin < WARM_UP:
        case.call()
        calls += 1
    return max(1, round(TURN * calls / (clock() - begin)))


def _take_turn(timing: Timing, count: int, clock: Callable[[], float]) -> None:
    call, scale = timing.case.call, 1e6 / timing.case.units
    if count >= MANY:  # the case before has emptied the caches, which is no part of this one's cost
        for _ in range(UNCOUNTED):
            call()
    for _ in range(count):
        begin = clock()
        call()
        timing.calls.append((clock() - begin) * scale)
