"""How times are taken: interleaved rounds, medians and minimums.

A machine that is busy, hot or throttled changes from one second to the next. So no case is timed on its own: in each
round every case gets a short turn, one after the other, and every call is timed. What is compared are medians over all
rounds. Each case is warmed up first, garbage collection is off, and the clock is ``time.perf_counter``.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

TURN_SECONDS = 0.004  # how long a case runs in a round; at least one call
WARM_UP_SECONDS = 0.1
MANY_CALLS = 20  # in a turn of so many, the first UNCOUNTED_CALLS are not counted
UNCOUNTED_CALLS = 5


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
    """Microseconds per unit of work, for each call; about 0.05 µs of each are the clock's own."""

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
        ordered = sorted(self.calls)
        return ordered[int(0.99 * (len(ordered) - 1))]

    @property
    def per_second(self) -> float:
        """Microseconds of computing per second of sound (median)."""
        return self.median * self.case.units / self.case.seconds


def measure(
    cases: Sequence[Case],
    rounds: int = 40,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, Timing]:
    """Time all cases side by side.

    Args:
        cases: what to time.
        rounds: turns that every case gets.
        clock: seconds.
        progress: told the share done after each round.

    Returns:
        A Timing per case, by its key.
    """
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
    """Run for a while; return the number of calls that fill a turn."""
    calls, begin = 0, clock()
    while calls < 3 or clock() - begin < WARM_UP_SECONDS:
        case.call()
        calls += 1
    return max(1, round(TURN_SECONDS * calls / (clock() - begin)))


def _take_turn(timing: Timing, count: int, clock: Callable[[], float]) -> None:
    call, scale = timing.case.call, 1e6 / timing.case.units
    if (
        count >= MANY_CALLS
    ):  # the case before has emptied the caches, which is not part of the cost of this one
        for _ in range(UNCOUNTED_CALLS):
            call()
    for _ in range(count):
        begin = clock()
        call()
        timing.calls.append((clock() - begin) * scale)
