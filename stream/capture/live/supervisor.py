"""What to do with a source that can vanish: a state machine, without threads, devices or a clock of its own.

    recovering ──opened, sound──▶ listening ◀──sound that varies── silent
        ▲                             │  └──a flat line, or no sound────▶ │
        └──────── ended, or no sound for too long ◀──────────────────────┘

Time comes in as an argument, so that every path can be tested in no time. Microphones and network streams use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import SpecError
from stream.messages import SourceState

Action = Literal["wait", "open", "close", "give up"]


class Health(NamedTuple):
    """What a source is doing, and why: one value, so that the two always belong together.

    Attributes:
        state: as in `stream.messages.Chunk`.
        detail: why, in words; "" while there is nothing to say.
    """

    state: SourceState
    detail: str = ""


LISTENING = Health("listening")
FLAT_LINE = Health("silent", "the sound is a flat line")
STALLED = Health("silent", "no sound arrives")

_SHARE = 0.05  # of the time that a source has been gone, until the next look for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what, all in seconds.

    Attributes:
        stalled: without a block for this long, an open source is "silent" ...
        dead: ... and for this long, it is closed and opened again.
        start: the same, for the first block after opening. It doubles with every try that brought no sound,
            up to ``longest_start``: some devices need their time, and must not be torn down each time.
        first_retry: from a failed try to the next; it doubles up to ``brisk_retry``, and then stays a twentieth of the
            time that the source has been gone, up to ``longest_retry``: looking for a device is not free.
        flat: sound that does not vary at all for this long is "silent": digital silence, a stuck converter.
        flat_reopen: silent in that way for this long, the source is opened again, because some systems put a
            dummy in the place of a device that left. It doubles up to ``longest_flat_reopen``. None = never.
    """

    stalled: float = 0.5
    dead: float = 1.0
    start: float = 0.5
    longest_start: float = 4.0
    first_retry: float = 0.1
    brisk_retry: float = 1.0
    longest_retry: float = 30.0
    flat: float = 2.0
    flat_reopen: float | None = 10.0
    longest_flat_reopen: float = 300.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SpecError(f"patience {name} {value:g}: must be above 0 seconds")
        for small, large in (
            ("stalled", "dead"),
            ("start", "longest_start"),
            ("first_retry", "longest_retry"),
            ("flat_reopen", "longest_flat_reopen"),
        ):
            first, most = getattr(self, small), getattr(self, large)
            if first is not None and first > most:
                raise SpecError(f"patience {small} {first:g}: must be at most {large} ({most:g})")


class Supervisor:
    """Decides when a source is opened, closed and given up, and says what it is doing meanwhile.

    The thread that keeps the source open calls `step` regularly (ten times a second will do), does what it says, and
    reports back with `opening`, `opened` and `lost`. Whoever receives the sound calls `heard` with every block. It
    starts with a source that is closed.

    Args:
        sample_rate: Hz.
        patience: how long to wait for what.
        reopen: False = a source that is lost has failed for good.
    """

    def __init__(self, sample_rate: int, patience: Patience | None = None, *, reopen: bool = True) -> None:
        self._patience = patience = patience or Patience()
        self._reopen = reopen
        self._open = False
        self._ever_opened = False
        self._retry = Backoff(
            patience.first_retry,
            patience.longest_retry,
            brisk=min(patience.brisk_retry, patience.longest_retry),
        )
        self._retry_at = float("-inf")
        self._start = Backoff(patience.start, patience.longest_start)
        self._start_by = float("inf")
        self._flat_line = FlatLine(sample_rate, patience.flat)
        self._flat_reopen = Backoff(patience.flat_reopen or float("inf"), patience.longest_flat_reopen)
        self._flat_until: float | None = None
        self._expecting = False  # blocks of a source that is lost may still be on their way
        self._heard_at: float | None = None  # since opening
        self._health = LISTENING  # replaced whole: another thread never sees half of it

    def health(self, now: float) -> Health:
        """What the source is doing now. From any thread."""
        heard_at = self._heard_at
        if self._open and heard_at is not None and now - heard_at > self._patience.stalled:
            return STALLED
        return self._health

    def heard(self, samples: NDArray[np.float32], now: float) -> Health:
        """A block of (n,) float32 arrived; returns what the source is doing with it."""
        flat = self._flat_line.push(samples)
        health = FLAT_LINE if flat else LISTENING
        if self._expecting and len(samples):
            self._heard_at = now
            self._health = health
        return health

    def step(self, now: float) -> Action:
        """What to do now: "open" and "close" ask for just that; "give up" comes when it has failed for good."""
        if not self._open:
            if self._ever_opened and not self._reopen:
                return "give up"
            return "open" if now >= self._retry_at else "wait"
        if self._heard_at is None:
            if now < self._start_by:
                return "wait"
            self.lost(now, "opened, but no sound came")
            # At once, because a source may be just about to give its first sound, and what grows is the time
            # it gets for that.
            self._retry_at = now
            return "close"
        quiet = now - self._heard_at
        if quiet > self._patience.dead:
            self.lost(now, f"no sound for {quiet:.1f} s")
            return "close"
        return self._step_flat(now) if self._flat_line.flat else self._step_varied()

    def opening(self) -> None:
        """The source is about to be opened: its first block may arrive before `opened` is called."""
        self._heard_at = None
        self._expecting = True

    def opened(self, now: float) -> None:
        """The source was opened. Its state changes with its first block."""
        self._open = True
        self._ever_opened = True
        self._start_by = now + self._start.next()
        if self._heard_at is None:
            self._health = Health(self._health.state, "opened, waiting for sound")

    def lost(self, now: float, why: str) -> None:
        """The source ended or could not be opened."""
        if self._heard_at is not None:  # it worked, so the waits begin again
            self._retry.reset()
            self._start.reset()
        self._open = self._expecting = False
        self._heard_at = None
        self._retry_at = now + self._retry.next()
        self._flat_until = None
        self._health = Health("recovering" if self._reopen else "failed", why)

    def retry_in(self, now: float) -> float:
        """Seconds until `step` will ask to open a source that is lost; 0 when it is time."""
        return max(0.0, self._retry_at - now)

    def _step_varied(self) -> Action:
        self._flat_reopen.reset()
        self._flat_until = None
        return "wait"

    def _step_flat(self, now: float) -> Action:
        if self._patience.flat_reopen is None or not self._reopen:
            return "wait"
        if self._flat_until is None:
            self._flat_until = now + self._flat_reopen.next()
        if now < self._flat_until:
            return "wait"
        self.lost(now, "a flat line for a long time: looking for the device again")
        return "close"


class Backoff:
    """Growing waits: ``first`` seconds, then ``factor`` times more each, never above ``longest``.

    Args:
        first, longest: seconds; first is at most longest.
        factor: at least 1.
        brisk: seconds up to which waits grow by ``factor``; from there on they are a twentieth of all waits so far.
            None = ``longest``.
    """

    def __init__(
        self, first: float = 0.25, longest: float = 10.0, factor: float = 2.0, brisk: float | None = None
    ) -> None:
        self._first = first
        self._longest = longest
        self._factor = factor
        self._brisk = max(first, longest if brisk is None else brisk)
        self._wait = first
        self._waited = 0.0

    def next(self) -> float:
        """Seconds to wait now; the following wait will be longer."""
        wait = min(
            max(self._wait, _SHARE * self._waited if self._wait >= self._brisk else 0.0), self._longest
        )
        self._wait = min(self._wait * self._factor, self._brisk)
        self._waited += wait
        return wait

    def reset(self) -> None:
        """It worked: begin with the first wait next time."""
        self._wait = self._first
        self._waited = 0.0


class FlatLine:
    """Notices sound that does not vary at all, counted in samples, whatever the chunking.

    Args:
        sample_rate: Hz.
        seconds: how long the same value must repeat.
    """

    def __init__(self, sample_rate: int, seconds: float) -> None:
        self._needed = max(1, round(sample_rate * seconds))
        self._value = np.float32(np.nan)  # equal to nothing
        self._run = 0

    def push(self, samples: NDArray[np.float32]) -> bool:
        """Whether the sound is flat at the end of ``samples``, (n,) float32. NaN is never flat."""
        if len(samples):
            last = samples[-1]
            if len(samples) > 1 and samples[-2] != last:  # nearly always, and it costs next to nothing
                self._run, self._value = 1, last
                return self.flat
            other = np.flatnonzero(samples != last)
            if len(other):
                self._run = len(samples) - 1 - int(other[-1])
            else:
                self._run = len(samples) + (self._run if last == self._value else 0)
            self._value = last
        return self.flat

    @property
    def flat(self) -> bool:
        return self._run >= self._needed
