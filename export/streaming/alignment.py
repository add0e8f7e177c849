"""Alignment: how a tensor of the streaming graph relates to its counterpart in the offline graph.

Let v[j] be row j of the offline tensor when the sequence never ends. The streaming tensor of a chunk that starts at
row m (m = first frame * rate) always holds exactly as many rows as the chunk brings, and its row i is

    v[m + i - lag]

``lag`` < 0: the first ``-lag`` rows of v are known before any sound (padding); they are the start value of whatever
state needs them. ``lag`` > 0: rows arrive late because they need frames to come; the first ``lag`` rows emitted are
meaningless. Padding, trimming and shifting therefore only change numbers here and cost nothing at run time;
operators that look back keep the rows they need as state.

A *summary* (last frame, mean over time, final hidden state) has no time axis offline. Streaming gives it one row a
frame, equal to the offline output for the sequence up to that frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod

from export.streaming.axes import MOVING, Axes, Axis, find

Fold = tuple[str | int, ...]


@dataclass(frozen=True)
class Alignment:
    """A tensor that depends on the sound.

    Attributes:
        source: its name in the offline graph.
        name: its name in the streaming graph.
        axes: meaning of the offline axes.
        rate: rows a feature frame, of the streaming tensor.
        every: of the streaming rows, each of so many is one of the offline tensor's; see ``rules.sparse``.
        lag: see the module text; always 0 for a summary.
        first, last: range of input frames that row j can depend on, relative to frame j / rate; first None =
            everything since the start.
        summary: True if the offline tensor has no time axis and stands for the sequence so far.
        open: True if the streaming tensor has its time axis right behind its batch axis, where the offline tensor
            has it folded into the batch axis, or none (summary).
        warmup: rows at the start for which the offline network has no output (too short for its windows).
        lookahead_layer: the layer that first needed frames to come, for messages.
        fold: what the axis with the streams is made of, slowest first: "N", "T" if frames are folded into it, and
            sizes of features that are.
        outer: features slower than time in a "mixed" axis.
        band: frames that each row is compared with, along the last axis; 0 where there is no such axis.
        edge: the first ``-lag`` rows are no constants but copies of the first row with sound (replicate padding).
    """

    source: str
    name: str
    axes: Axes
    rate: Fraction = Fraction(1)
    lag: int = 0
    first: Fraction | None = Fraction(0)
    last: Fraction = Fraction(0)
    summary: bool = False
    open: bool = False
    warmup: int = 0
    lookahead_layer: str = ""
    fold: Fold = ("N",)
    outer: int = 1
    edge: bool = False
    every: int = 1
    band: int = 0

    @property
    def batch(self) -> int:
        """Position of the batch axis in the offline tensor."""
        found = find(self.axes, "batch", "both")
        if found is None:
            raise LookupError(f"{self.source} has no batch axis")
        return found

    @property
    def time(self) -> int | None:
        """Position of the time axis in the offline tensor; None for summaries and folded tensors."""
        return find(self.axes, "time")

    @property
    def clock(self) -> Axis:
        """The axis that carries time."""
        found = find(self.axes, *MOVING)
        if found is None:
            raise LookupError(f"{self.source} has no time axis")
        return self.axes[found]

    @property
    def surplus(self) -> int:
        """Rows at the end of the offline tensor that depend on where the sequence ends (right padding).

        Negative: so many of the newest rows were trimmed off.
        """
        return self.clock.offset // self.rows_a_frame * self.every + self.lag

    @property
    def rows_a_frame(self) -> int:
        """Features folded into the axis that carries time."""
        kind = self.clock.kind
        return prod(a for a in self.fold if isinstance(a, int)) if kind == "both" else self.outer

    @property
    def around(self) -> tuple[int, int]:
        """Features folded into the axis of the streams: those slower than the streams, those faster."""
        place = self.fold.index("N")
        return tuple(
            prod(a for a in part if isinstance(a, int)) for part in (self.fold[:place], self.fold[place:])
        )  # type: ignore[return-value]

    @property
    def period(self) -> int:
        """Features that vary fastest in the axis of the streams."""
        last = max(self.fold.index(name) for name in ("N", "T") if name in self.fold)
        return prod(a for a in self.fold[last + 1 :] if isinstance(a, int))

    def real(self, axis: int) -> int:
        """Position in the streaming tensor of an offline axis (negative counts from the end)."""
        axis = axis % len(self.axes) if axis < 0 else axis
        return axis + 1 if self.open and axis > self.batch else axis

    @property
    def real_time(self) -> int:
        """Position of the time axis in the streaming tensor."""
        if self.open:
            return self.batch + 1
        if self.time is None:
            raise LookupError(f"{self.source} has no time axis of its own")
        return self.time
