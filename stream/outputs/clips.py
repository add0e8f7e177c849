"""Clips: a FLAC file of each event, with some seconds before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from stream.errors import OutputError, UsageError
from stream.outputs.output import Option, OutputContext
from stream.outputs.queued import Want

if TYPE_CHECKING:
    from stream.messages import Chunk, Event, RecentSound, Result, Status
    from stream.outputs.clip import Clip
    from stream.outputs.retention import Keep
    from stream.outputs.schema import EventRecord, OnsetRecord

LONGEST_ROLL_SECONDS = 300.0
SLACK_SECONDS = 30.0  # that the disk may be behind the sound
# An event's end is learnt late: after min_off, and what model and features need. Sound is written so long after it was
# heard, so that a clip can end just where it should.
LEAST_LAG_SECONDS, LONGEST_LAG_SECONDS = 1.0, 30.0
MOST_UNDECIDED_SECONDS = 60.0  # of an event before it is told, for which memory is spent
WRITE_SECONDS = 0.25  # of new sound between two looks
PRUNE_SECONDS = 60.0
UNTOLD_SECONDS = 600.0  # that a clip grows on after messages were dropped, of which one may have been its end
MOST_OPEN = 64  # clips at a time: each has a file open

Key = tuple[str, str, int]


def _keep(text: str) -> Keep:
    from stream.outputs.retention import parse_keep  # not needed for help

    return parse_keep(text)


@dataclass(slots=True)
class _Pending:
    """A clip in the making, and what is known of its event so far."""

    clip: Clip
    event: Event
    record: EventRecord | OnsetRecord
    when: str  # as it stands in the file's name
    limit: int | None = None  # absolute index at which the clip ends in any case


class Clips:
    """The output behind ``--clips``. Sound is written while an event is on, so its length does not matter.

    Args:
        context: of the run.
        clips: the folder; made if it is not there.
        pre_roll, post_roll: seconds before and after the event.
        keep: which old clips to remove.

    Raises:
        OutputError: the folder cannot be written, or FLAC does not have the source's rate.
        UsageError: no folder was named.
    """

    OPTIONS: ClassVar = (
        Option(
            name="clips",
            metavar="DIR",
            help="Keep the sound of each event as a FLAC file in this folder.",
        ),
        Option(
            name="pre-roll",
            metavar="S",
            help="Clips: seconds before the event.",
            type=float,
            default=3.0,
            low=0,
            high=LONGEST_ROLL_SECONDS,
        ),
        Option(
            name="post-roll",
            metavar="S",
            help="Clips: seconds after the event.",
            type=float,
            default=1.0,
            low=0,
            high=LONGEST_ROLL_SECONDS,
        ),
        Option(
            name="keep",
            metavar="7d|2GB",
            help="Clips: remove the oldest ones beyond this age, or this size of all of them. Default: keep all.",
            check=_keep,
        ),
    )
    WANTS: ClassVar[frozenset[Want]] = frozenset({"result", "event", "status"})
    WRITES_SOUND: ClassVar[bool] = True
    holds_up_recordings = True

    def __init__(
        self, context: OutputContext, *, clips: str, pre_roll: float, post_roll: float, keep: Keep | None
    ) -> None:
        from stream.outputs.flac import FlacDraft, remove_leftovers
        from stream.outputs.retention import Retention

        if not clips.strip():
            raise UsageError("--clips '': is empty, perhaps an unset variable of the shell; give a folder")
        self.folder = Path(clips)
        self._context = context
        self._pre_roll, self._post_roll = pre_roll, post_roll
        self._times = context.new_times()
        self._pending: dict[Key, _Pending] = {}
        self._failed: set[Key] = set()
        self._sound: RecentSound | None = None
        self._looked = 0
        self._away = False
        self._closed = False
        rules = [context.detector.rule(label) for label in context.labels]
        late = max((rule.min_off + rule.smoothing for rule in rules), default=0.0)
        self._lag = min(LONGEST_LAG_SECONDS, LEAST_LAG_SECONDS + late)
        decided = min(
            MOST_UNDECIDED_SECONDS, max((rule.min_on + rule.smoothing for rule in rules), default=0.0)
        )
        self.history_seconds = pre_roll + decided + self._lag + SLACK_SECONDS
        FlacDraft(self.folder, context.source.sample_rate).discard()  # can it be written?
        try:
            remove_leftovers(self.folder)
        except OSError as error:
            raise OutputError(f"--clips {clips}: {error.strerror}; name another folder") from None
        self._retention = None if keep is None else Retention(self.folder, keep, context.wall)
        self._prune_at = context.monotonic()
        context.clips.open()

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""

    def result(self, result: Result) -> None:
        """Begin and end clips with the events of ``result``, and write what sound there is.

        Raises:
            OutputError: one or more clips could not be written. The others go on.
        """
        trouble: OutputError | None = None
        if result.sound is not None:
            self._sound = result.sound
            for each in self._pending.values():
                each.clip.follow(result.sound)
        for event in result.events:
            try:
                self._event(event, result)
            except OutputError as error:
                trouble = error
                self._fail((result.stream, result.model, event.id))
        trouble = self._advance(urgent=bool(result.events)) or trouble
        self._prune()
        if trouble is not None:
            raise trouble

    def status(self, status: Status) -> None:
        """Wait for no more sound while none comes.

        Raises:
            OutputError: a clip could not be completed.
        """
        self._away = status.state in ("recovering", "failed")
        if self._away and (trouble := self._advance(urgent=True)) is not None:
            raise trouble

    def missed(self, count: int) -> None:
        """Messages were dropped, perhaps the ends of events that are on: their clips must not grow for ever."""
        if self._sound is None:
            return
        limit = self._sound.span[1] + round(UNTOLD_SECONDS * self._sound.sample_rate)
        for each in self._pending.values():
            if each.clip.stop is None and each.limit is None:
                each.limit = limit

    def held_back(self, result: Result, event: Event) -> None:
        """There will be no clip of an event."""
        self._context.clips.put(result.stream, result.model, event.id, None)

    def close(self) -> None:
        """Complete all clips with what sound there is."""
        if self._closed:
            return
        self._closed = True
        try:
            self._away, self._lag = True, 0.0
            trouble = self._advance(urgent=True)
            trouble = self._finish(list(self._pending)) or trouble
        finally:
            self._context.clips.close()
        if trouble is not None:
            raise trouble

    def _event(self, event: Event, result: Result) -> None:
        from stream.outputs.records import event_record

        key = (result.stream, result.model, event.id)
        began = self._times.onset(event, result)
        record = event_record(event, result.stream, self._context.origin, began)
        if key in self._failed:
            self._failed.discard(key)
            return
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = self._begin(event, record, began)
        pending.event, pending.record = event, record
        if event.offset is not None:
            rate = pending.clip.sound.sample_rate
            offset = -(-event.offset * rate // event.sample_rate)
            pending.clip.end(offset, offset + round(self._post_roll * rate))

    def _begin(self, event: Event, record: EventRecord | OnsetRecord, began: float | None) -> _Pending:
        from stream.outputs.clip import Clip
        from stream.outputs.clip_record import stream_stamp
        from stream.outputs.wall_time import file_stamp

        if self._sound is None:
            raise OutputError("clips: no sound is kept in this run; give run() history_seconds")
        if len(self._pending) >= MOST_OPEN:
            raise OutputError(f"{self.folder}: {MOST_OPEN} events at a time are kept, no more")
        rate = self._sound.sample_rate
        onset = event.onset * rate // event.sample_rate
        clip = Clip(
            self.folder,
            self._sound,
            start=max(0, onset - round(self._pre_roll * rate)),
            onset=onset,
            label_bytes=len(
                (event.label + record.source + record.stream + record.model).encode("utf-8", "replace")
            ),
            speech_silenced=self._context.speech_silenced,
        )
        when = stream_stamp(record.source, event.onset_s) if began is None else file_stamp(began)
        return _Pending(clip, event, record, when)

    def _advance(self, *, urgent: bool) -> OutputError | None:
        """Write what sound is new, and complete the clips that have all that they will get; the last error."""
        if not self._pending or self._sound is None:
            return None
        end, rate = self._sound.span[1], self._sound.sample_rate
        due = any(each.clip.stop is not None and each.clip.stop <= end for each in self._pending.values())
        if not (urgent or due or abs(end - self._looked) >= WRITE_SECONDS * rate):
            return None
        self._looked = end
        trouble = None
        complete = []
        for key, each in list(self._pending.items()):
            clip = each.clip
            if clip.stop is None and each.limit is not None and end >= each.limit:
                clip.stop, clip.note = each.limit, "nobody said that the event has ended"
                self._failed.add(key)
            try:
                clip.advance(end if clip.stop is not None else end - round(self._lag * rate))
            except OutputError as error:
                trouble = error
                self._fail(key)
            else:
                if clip.stop is not None and (self._away or clip.whole or clip.cut_off):
                    complete.append(key)
        return self._finish(complete) or trouble

    def _finish(self, keys: list[Key]) -> OutputError | None:
        from stream.outputs.clip_record import clip_stem

        trouble = None
        for key in keys:
            each = self._pending.pop(key)
            if not each.clip.whole:
                each.clip.note = each.clip.note or "no more sound came"
            try:
                path = each.clip.finish(clip_stem(each.when, each.event.label, each.event.peak), each.record)
            except OutputError as error:
                trouble = error
                self._context.clips.put(*key, None)
            else:
                self._context.clips.put(*key, path.absolute())
                if self._retention is not None:
                    self._retention.add(path)
                    self._prune_at = self._context.monotonic()
        return trouble

    def _fail(self, key: Key) -> None:
        """The event has no clip; its end, when that comes, is no second failure."""
        if (each := self._pending.pop(key, None)) is not None:
            each.clip.discard()
            if each.event.offset is None:
                self._failed.add(key)
        self._context.clips.put(*key, None)

    def _prune(self) -> None:
        if self._retention is not None and self._context.monotonic() >= self._prune_at:
            self._prune_at = self._context.monotonic() + PRUNE_SECONDS
            self._retention.prune()
