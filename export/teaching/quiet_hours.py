"""Quiet hours: the user's own background, kept beside a taught model as the front heard it, and not as sound.

    mine.taught/_quiet_/….rows     a recording

Heads are learnt anew each time a sound is taught, and each has to be tried on these hours again. What a head is given
of them are rows of the front, so those are kept: a byte a number, between the least and the greatest of its minute,
which moves a logit by some hundredths. New hours are rounded before they are counted, so it makes no difference whether
they are given or were kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.atomic import write_bytes
from export.teaching.background import Stretch
from export.teaching.folder import QUIET
from export.teaching.front import Front
from export.teaching.head import Head
from stream.errors import OutputError
from stream.printable import printable

Array = NDArray[np.float32]
MOST_BYTES = 512 << 20  # that are kept: of the bundled front, which gives 29 MB an hour, some 18 hours
BLOCK_SECONDS = 60.0
_LEVELS = 255


class QuietHours(msgspec.Struct, frozen=True, kw_only=True, tag="quiet hours 1"):
    """A recording without any taught sound, in rows of a front.

    Attributes:
        name: of the file, for people.
        digest: of its sound, sixteen hexadecimal digits.
        front: digest of the front.
        seconds: of sound.
        width: D, numbers in a row.
        block: rows that share a range.
        codes: (T, D) uint8.
        low, step: (ceil(T / block), D) float32: a number is ``low + step * code``.
    """

    name: str
    digest: str
    front: str
    seconds: float
    width: int
    block: int
    codes: bytes
    low: bytes
    step: bytes

    def __len__(self) -> int:
        return len(self.codes) // self.width

    def logits(self, head: Head) -> Array:
        """(T, C), as ``Head.logits`` of the rows; a block at a time, as hours of rows would fill the memory."""
        before = max(head.delays)
        parts = [np.zeros((0, len(head.bias)), np.float32)]
        for begin in range(0, len(self), self.block):
            first = max(0, begin - before)
            parts.append(head.logits(self._rows(first, begin + self.block))[begin - first :])
        return np.concatenate(parts)

    def is_whole(self) -> bool:
        """Whether the parts fit each other."""
        if self.width < 1 or self.block < 1 or len(self.codes) % self.width:
            return False
        ranges = 4 * self.width * -(-len(self) // self.block)
        return len(self.low) == len(self.step) == ranges

    def _rows(self, begin: int, end: int) -> Array:
        """(T, D) float32, rows [begin, end) or as many as there are."""
        codes = np.frombuffer(self.codes, np.uint8).reshape(-1, self.width)[begin:end]
        low, step = (
            np.frombuffer(part, np.float32).reshape(-1, self.width) for part in (self.low, self.step)
        )
        block = np.arange(begin, begin + len(codes)) // self.block
        rows: Array = low[block] + step[block] * codes.astype(np.float32)
        return rows


@dataclass(frozen=True, slots=True)
class AllHours:
    """What is counted.

    Attributes:
        counted: every recording once, the kept ones first.
        new: those that are to be kept.
        warnings: a line for what does not count, or will not the next time.
    """

    counted: tuple[QuietHours, ...]
    new: tuple[QuietHours, ...]
    warnings: tuple[str, ...]


def heard_quietly(stretch: Stretch, front: Front) -> QuietHours:
    """A recording as ``front`` hears it."""
    rows = front.rows(stretch.samples)
    block = max(1, round(BLOCK_SECONDS * front.rate))
    lows, steps, codes = [], [], [np.zeros((0, front.card.width), np.uint8)]
    for begin in range(0, len(rows), block):
        part = rows[begin : begin + block]
        low, step = part.min(0), (part.max(0) - part.min(0)) / np.float32(_LEVELS)
        codes.append(
            np.clip(np.rint((part - low) / np.where(step > 0, step, 1)), 0, _LEVELS).astype(np.uint8)
        )
        lows.append(low)
        steps.append(step)
    return QuietHours(
        name=stretch.names[0],
        digest=_digest(stretch),
        front=front.digest,
        seconds=len(stretch.samples) / front.sample_rate,
        width=front.card.width,
        block=block,
        codes=np.concatenate(codes).tobytes(),
        low=np.array(lows, np.float32).tobytes(),
        step=np.array(steps, np.float32).tobytes(),
    )


def all_hours(folder: Path, given: Iterable[Stretch], front: Front) -> AllHours:
    """The hours that are kept in ``folder`` and those that are given, each recording once."""
    kept: dict[str, QuietHours] = {}
    stale: dict[str, float] = {}
    warnings = []
    place = folder / QUIET
    sizes = {file: file.stat().st_size for file in sorted(place.glob("*.rows"))}
    for file in sizes:
        found = _read(file)
        if found is None:
            warnings.append(
                f"{printable(str(file))}: cannot be read, and does not count; delete it, and give the recording again "
                "by --quiet"
            )
        elif found.front == front.digest and found.width == front.card.width:
            kept[found.digest] = found
        else:
            stale[found.digest] = found.seconds
    new: dict[str, QuietHours] = {}
    for stretch in given:
        digest = _digest(stretch)
        if digest not in kept and digest not in new:
            new[digest] = heard_quietly(stretch, front)
    if hours := sum(seconds for digest, seconds in stale.items() if digest not in new) / 3600:
        warnings.append(
            f"{hours:.2g} quiet hours were heard by another front, and do not count; give them again by --quiet"
        )
    room = MOST_BYTES - sum(size for file, size in sizes.items() if file.stem not in new)
    keeping = []
    for each in new.values():
        room -= len(each.codes)
        if room >= 0:
            keeping.append(each)
    if left := len(new) - len(keeping):
        warnings.append(
            f"{left} of the quiet recordings count{'s' * (left == 1)} this time only: at most {MOST_BYTES >> 20} MB "
            f"are kept; delete some in {printable(str(place))} to make room"
        )
    counted = (each for each in (*kept.values(), *new.values()) if len(each))
    return AllHours(tuple(counted), tuple(keeping), tuple(warnings))


def keep_hours(folder: Path, hours: Iterable[QuietHours]) -> None:
    """Write them; one that was heard by another front is replaced.

    Raises:
        OutputError: they cannot be written.
    """
    place = folder / QUIET
    for each in hours:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{place}: quiet hours cannot be kept: {error.strerror}; choose another place with -o"
            ) from None
        write_bytes(place / f"{each.digest}.rows", msgspec.msgpack.encode(each))


def _read(file: Path) -> QuietHours | None:
    """None = it is not what was written."""
    try:
        found = msgspec.msgpack.decode(file.read_bytes(), type=QuietHours)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.is_whole() else None


def _digest(stretch: Stretch) -> str:
    return hashlib.sha256(np.ascontiguousarray(stretch.samples).tobytes()).hexdigest()[:16]
