"""Clip: the sound of one event, written while the event is on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import OutputError
from stream.outputs.clip_record import CLIP_SCHEMA, MOST_SILENCES, ClipRecord, Silence, clip_tags
from stream.outputs.flac import TAG_BYTES, FlacDraft

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stream.messages import RecentSound
    from stream.outputs.schema import EventRecord, OnsetRecord

BLOCK_SECONDS = 1.0  # read at a time


class Clip:
    """A FLAC file that grows with the history it is fed from. One of ``finish`` and ``discard`` must follow.

    Args:
        folder: where it will lie.
        sound: the history that has it. The clip is at its rate, and ends where it does.
        start: absolute index of the first sample, at that rate.
        onset: absolute index at which the event begins, at that rate.
        label_bytes: length of what the record repeats of the event, for the room of the tags.
        speech_silenced: whether it is in ``sound``, for the tags.

    Attributes:
        stop: absolute index one past the last sample; None while the event is on.
        cut_off: no more sound will come at its rate.
        note: why it ends early, for its tags.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        sound: RecentSound,
        *,
        start: int,
        onset: int,
        label_bytes: int = 0,
        speech_silenced: bool = False,
    ) -> None:
        self.stop: int | None = None
        self.cut_off = False
        self.note = ""
        self._sound = sound
        self._speech_silenced = speech_silenced
        self._start = self._next = start
        self._onset = onset
        self._offset: int | None = None
        self._silences: list[tuple[int, int, bool]] = []  # start, stop, late
        self._silent = 0
        self._draft = FlacDraft(folder, sound.sample_rate, tag_bytes=TAG_BYTES + 8 * label_bytes)

    def follow(self, sound: RecentSound) -> None:
        """Go on with ``sound``, unless it is at another rate: then the clip ends with what it has."""
        if sound.sample_rate == self._sound.sample_rate:
            self._sound = sound
            self.cut_off, self.note = False, ""
        else:
            self.cut_off, self.note = True, "the source changed its rate"

    @property
    def sound(self) -> RecentSound:
        """The history that it is written from."""
        return self._sound

    @property
    def whole(self) -> bool:
        """Whether everything up to ``stop`` is written."""
        return self.stop is not None and self._next >= self.stop

    def advance(self, limit: int) -> None:
        """Write what there is up to ``limit`` (absolute, exclusive) and ``stop``, in pieces.

        Raises:
            OutputError: the disk is full, or gone; the clip is discarded.
        """
        limit = self._sound.span[1] if self.cut_off else min(limit, self._sound.span[1])
        if self.stop is not None:
            limit = min(limit, self.stop)
        block = max(1, round(BLOCK_SECONDS * self._sound.sample_rate))
        while self._next < limit:
            until = min(limit, self._next + block)
            samples, first = self._sound.read(self._next, until)
            if len(samples):
                self._silence(self._next, first)
                self._write(samples, first)
                self._next = first + len(samples)
            else:
                self._silence(self._next, until)
                self._next = until

    def end(self, offset: int, stop: int) -> None:
        """The event has ended: the clip goes up to ``stop``, or to where it is written already."""
        self._offset = offset
        self.stop = max(stop, self._next)

    def finish(self, stem: str, event: EventRecord | OnsetRecord) -> Path:
        """Complete the file with what is written.

        Raises:
            OutputError: the disk is full, or gone, or nothing was there to be written; the clip is discarded.
        """
        if self._next == self._start:
            self.discard()
            raise OutputError(f"{event.label} at {event.onset:.1f} s: no sound of it is there any more")
        return self._draft.finish(stem, clip_tags(self._record(event)))

    def discard(self) -> None:
        """Remove what was written."""
        self._draft.discard()

    def _record(self, event: EventRecord | OnsetRecord) -> ClipRecord:
        rate = self._sound.sample_rate
        end = self._offset
        return ClipRecord(
            schema=CLIP_SCHEMA,
            event=event,
            start=round(self._start / rate, 6),
            start_sample=self._start,
            sample_rate=rate,
            duration=round((self._next - self._start) / rate, 6),
            event_start=round((self._onset - self._start) / rate, 6),
            event_end=None if end is None else round((end - self._start) / rate, 6),
            silence=tuple(
                Silence(
                    round((start - self._start) / rate, 6),
                    round((stop - start) / rate, 6),
                    "late" if late else "gap",
                )
                for start, stop, late in self._silences
            ),
            silent_seconds=round(self._silent / rate, 6),
            note=self.note,
            speech_silenced=self._speech_silenced,
        )

    def _silence(self, start: int, stop: int) -> None:
        """What memory no longer had."""
        import numpy as np

        if stop <= start:
            return
        self._note_silence(start, stop, late=True)
        block = max(1, round(BLOCK_SECONDS * self._sound.sample_rate))
        for at in range(start, stop, block):
            self._draft.write(np.zeros(min(block, stop - at), np.float32))

    def _write(self, samples: NDArray[np.float32], first: int) -> None:
        """What there is, in which NaN is what never came."""
        import numpy as np

        missing = np.isnan(samples)
        if missing.any():
            edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]])))
            for start, stop in edges.reshape(-1, 2).tolist():
                self._note_silence(first + start, first + stop, late=False)
        self._draft.write(samples)

    def _note_silence(self, start: int, stop: int, *, late: bool) -> None:
        self._silent += stop - start
        if self._silences and self._silences[-1][1:] == (start, late):  # it goes on
            self._silences[-1] = (self._silences[-1][0], stop, late)
        elif len(self._silences) < MOST_SILENCES:
            self._silences.append((start, stop, late))
