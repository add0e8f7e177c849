"""Classes that no model gives: groups of its labels, and `loud`, the level of the sound. They are scored row by row
beside the model's own, so detector, dashboard and outputs treat them like any other class."""

from __future__ import annotations

from difflib import get_close_matches

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import SnapshotInvalid, SpecError
from stream.snapshot import Snapshot

LOUD = "loud"
DECIBELS_PER_SCORE = 40.0  # 4 dB to a tenth: a release at 0.35, the usual one, lies 6 dB below the threshold
LOWEST_DBFS, HIGHEST_DBFS = -120.0, 20.0  # a full-scale square wave is at 0, a 16-bit step at -90
_BLOCK_ROWS = 1024  # whose squares are in memory at a time
_KIND = "derived"


class DerivedSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which classes are derived.

    Attributes:
        groups: name -> labels of the model. The score of a group is the largest of its members'.
        loud: level in dBFS (RMS of a hop; full scale is 0) at which the class "loud" has the score 0.5; None = there
            is no such class. 4 dB more or less are 0.1 more or less.
    """

    groups: dict[str, tuple[str, ...]] = {}
    loud: float | None = None

    def __post_init__(self) -> None:
        if self.loud is not None and not LOWEST_DBFS <= self.loud <= HIGHEST_DBFS:
            raise SpecError(f"loud {self.loud:g} dBFS: must be {LOWEST_DBFS:g} to {HIGHEST_DBFS:g}")
        for name, members in self.groups.items():
            if not (name.isprintable() and name.strip()):
                raise SpecError(f"group {name!r}: its name must be printable and not empty")
            if not members:
                raise SpecError(f"group {name!r}: has no members; give labels of the model")

    def labels(self, model: tuple[str, ...]) -> tuple[str, ...]:
        """All classes: those of the model, then groups, then "loud".

        Args:
            model: labels of the model, in column order.

        Raises:
            SpecError: a group with the name of another class, or with a member that the model does not have.
        """
        for name, members in self.groups.items():
            if name in model or (name == LOUD and self.loud is not None):
                raise SpecError(f"group {name!r}: there is a class of this name; choose another one")
            for member in members:
                if member not in model:
                    near = get_close_matches(member, model, 1)
                    meant = f", perhaps {near[0]}?" if near else ""
                    raise SpecError(
                        f"group {name!r}: no class {member!r}{meant} The model has {', '.join(model)}"
                    )
        if self.loud is not None and LOUD in model:
            raise SpecError(
                f"loud {self.loud:g} dBFS: the model has a class of this name; leave the setting out"
            )
        return (*model, *self.groups, *(() if self.loud is None else (LOUD,)))

    def detector(self, rules: DetectorSpec) -> DetectorSpec:
        """The rules with one for "loud", where they have none: its threshold is its level, not a model's."""
        if self.loud is None or LOUD in rules.classes:
            return rules
        return msgspec.structs.replace(rules, classes={**rules.classes, LOUD: ClassRule()})


class DerivedClasses:
    """Scores of derived classes of one stream. Gaps count as silence.

    Args:
        spec: which.
        model: labels of the model, in column order.
        hop: samples between rows.
        reference: samples from the first sample of a stream, or behind a gap, to the reference sample of its first
            row.
        lag: samples from a row's reference sample to the newest one that the model had seen for it.

    Raises:
        SpecError: see `DerivedSpec.labels`.
    """

    def __init__(self, spec: DerivedSpec, model: tuple[str, ...], hop: int, reference: int, lag: int) -> None:
        self.labels = spec.labels(model)
        self._spec = spec
        self._columns = [[model.index(member) for member in members] for members in spec.groups.values()]
        self._hop, self._reference = hop, reference
        self._before = max(hop // 2, hop - lag)  # never a sample that the model had not seen
        self.reset()

    def reset(self) -> None:
        """As new."""
        self._start = self._end = 0  # absolute indices of what is kept
        self._kept = np.empty(0, np.float32)

    def hear(self, start: int, samples: NDArray[np.float32]) -> None:
        """Take sound, before the rows that are computed from it.

        Args:
            start: absolute index of the first sample. A jump is a gap.
            samples: (n,) float32, finite.
        """
        if self._spec.loud is None or not len(samples):
            return
        if start != self._end:
            self._jump(start)
        self._kept = np.concatenate((self._kept, samples))
        self._end = start + len(samples)

    def push(self, probs: NDArray[np.float32], sample: NDArray[np.int64]) -> NDArray[np.float32]:
        """Rows of the model with the derived classes behind.

        Args:
            probs: (T, C) float32, of the model.
            sample: (T,) int64, reference samples; a row is about the hop round its own.

        Returns:
            (T, C + D) float32.
        """
        rows, width = probs.shape
        out = np.empty((rows, len(self.labels)), np.float32)
        out[:, :width] = probs
        if rows == 1:
            row = probs[0].tolist()
            for column, members in enumerate(self._columns, width):
                out[0, column] = max([row[member] for member in members])
        else:
            for column, members in enumerate(self._columns, width):
                probs[:, members].max(axis=1, out=out[:, column])
        if self._spec.loud is not None and rows:
            self._loud(int(sample[0]), self._spec.loud, out[:, -1])
        return out

    def snapshot(self) -> Snapshot:
        """The state, as plain values."""
        return snapshots.begin(
            _KIND, settings=self._text(), start=self._start, end=self._end, kept=self._kept.copy()
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a stage with the same settings."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "settings", self._text())
        start, end = snapshots.number(values, "start"), snapshots.number(values, "end")
        kept = snapshots.array(values, "kept", "float32", (-1,))
        if len(kept) != end - start:
            raise SnapshotInvalid(f"snapshot of {_KIND!r}: the sound does not fit; save it again")
        self._start, self._end, self._kept = start, end, kept

    def _text(self) -> str:
        """What a snapshot must agree on."""
        return f"{msgspec.json.encode(self._spec).decode()} {self._hop}+{self._reference}"

    def _jump(self, start: int) -> None:
        """Go over a gap: keep what rows behind it still are about, which reaches back where a model answers late."""
        needed = min(start, start + self._reference - self._before)
        self._drop(needed)
        lost = np.zeros(start - max(self._end, needed), np.float32)
        self._kept = np.concatenate([self._kept, lost])
        self._start = start - len(self._kept)

    def _drop(self, until: int) -> None:
        """Forget sound before ``until``."""
        count = min(max(0, until - self._start), len(self._kept))
        self._kept = self._kept[count:]
        self._start += count

    def _loud(self, sample: int, threshold: float, out: NDArray[np.float32]) -> None:
        """Scores of consecutive rows, the first at ``sample``, into ``out`` (T,). Each depends on its own hop alone."""
        hop, first = self._hop, sample - self._before
        count = len(out) * hop
        low = max(first, self._start)
        high = max(low, min(first + count, self._end))
        held = self._kept[low - self._start : high - self._start]
        if len(held) < count:  # before the sound began
            before = min(low - first, count)
            held = np.pad(held, (before, count - before - len(held)))
        for at in range(0, len(out), _BLOCK_ROWS):
            block = held[at * hop : (at + _BLOCK_ROWS) * hop].astype(np.float64)
            block *= block
            power = np.add.reduce(block.reshape(-1, hop), axis=1) / hop
            score = 0.5 + (10 * np.log10(np.maximum(power, 1e-20)) - threshold) / DECIBELS_PER_SCORE
            out[at : at + len(score)] = np.minimum(np.maximum(score, 0), 1)
        self._drop(first + count)
