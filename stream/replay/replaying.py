"""Replay: a session's sound through the classifier that it describes, and what comes of it beside what came."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from stream.classifier import StreamClassifier
from stream.decisions.detector import Detector
from stream.decisions.spec import DetectorSpec
from stream.errors import SessionInvalid, SnapshotInvalid, SpecError
from stream.inference.session import Model
from stream.messages import SourceState, Status
from stream.outputs.sink import Sink
from stream.replay.chunking import Sizes, rechunked
from stream.session.description import damaged
from stream.session.recorded import RecordedSession
from stream.session.segment import Contents, Segment


class Listener(Sink, Protocol):
    """A sink that also learns where segments begin."""

    def segment(self, segment: Segment, contents: Contents, fresh: bool) -> None:
        """A segment begins.

        Args:
            segment, contents: as recorded.
            fresh: whether the classifier begins anew here: with the segment's snapshot, or as a new stream.
        """


def make_classifier(
    session: RecordedSession, model: Model, make_detector: Callable[..., Detector] = Detector
) -> StreamClassifier:
    """A classifier with the settings of a session.

    Raises:
        SpecError: they do not fit the model.
    """
    found = session.description.settings
    return StreamClassifier(
        model,
        found.detector,
        derived=found.derived,
        repair=found.repair,
        max_repair=found.max_repair,
        max_gap=found.max_gap,
        reset_after=found.reset_after,
        stream=found.stream,
        make_detector=make_detector,
    )


def replay(
    session: RecordedSession,
    classifier: StreamClassifier,
    first: Segment,
    sizes: Sizes | None = None,
    *,
    listeners: Sequence[Listener] = (),
    until: float = math.inf,
) -> None:
    """Hear a session again, from a segment to its end.

    Args:
        session: what was recorded.
        classifier: with its settings, see `make_classifier`. With another model than the session's, no snapshot can be
            used: it begins anew where one would be.
        first: where to begin; one of ``session.starts()``.
        sizes: of the chunks; None leaves them as they were recorded.
        listeners: told of everything, in order. They are not closed.
        until: second of the stream behind which to stop.

    Raises:
        SessionInvalid: the session is damaged.
    """
    same = classifier.model.sha256 == session.description.model_sha256
    going = False
    for segment in session.part(first.number):
        contents = segment.contents()
        fresh = not (going and segment.beginning.follows)
        if fresh:
            begin(session, segment, classifier, use_snapshot=same)
        going = True
        for listener in listeners:
            listener.segment(segment, contents, fresh)
        known: tuple[SourceState, str] = (segment.beginning.state, segment.beginning.detail)
        for step, chunk in rechunked(segment.chunks(contents), sizes):
            if chunk is not None and (chunk.state, chunk.detail) != known:
                known = chunk.state, chunk.detail
                status = Status(chunk.state, chunk.end, chunk.sample_rate, chunk.detail, chunk.captured_at)
                for listener in listeners:
                    listener.status(status)
            if chunk is not None:
                for listener in listeners:
                    listener.chunk(chunk)
            if chunk is not None and chunk.start > until * chunk.sample_rate:
                return
            if step.rules is not None and same:
                change_rules(session, segment, classifier, step.rules)
            result = classifier.flush() if chunk is None else classifier.push(chunk)
            for listener in listeners:
                listener.result(result)


def begin(
    session: RecordedSession, segment: Segment, classifier: StreamClassifier, *, use_snapshot: bool = True
) -> None:
    """Put a classifier where it was at the beginning of a segment.

    Raises:
        SessionInvalid: the snapshot cannot be used.
    """
    if use_snapshot:  # another model has rules of its own
        rules = segment.beginning.rules or session.description.settings.detector
        change_rules(session, segment, classifier, rules)
    classifier.reset()
    if segment.beginning.begins == "new" or not use_snapshot:
        return
    name = f"{segment.name}/snapshot.bin"
    if segment.beginning.begins != "snapshot":
        raise damaged(session.folder, segment.name, "goes on from a segment that is missing")
    values = segment.snapshot()
    inner = values.get("conditioner")
    rate = inner.get("in_rate") if isinstance(inner, dict) else None
    if rate not in (None, segment.beginning.sample_rate):
        raise damaged(session.folder, name, f"is of sound at {rate!r} Hz")
    try:
        classifier.restore(values)
    except SnapshotInvalid as error:
        raise SessionInvalid(f"session {session.folder}: {name}: {error}") from None
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, MemoryError) as error:
        raise damaged(session.folder, name, f"holds no state of a classifier ({error})") from None


def change_rules(
    session: RecordedSession, segment: Segment, classifier: StreamClassifier, rules: DetectorSpec
) -> None:
    """Let a classifier go by the rules that were in force.

    Raises:
        SessionInvalid: they are of other classes.
    """
    if rules == classifier.detector_spec:
        return
    try:
        classifier.change_rules(rules)
    except SpecError as error:
        raise damaged(session.folder, f"{segment.name}/index.jsonl", error) from None
