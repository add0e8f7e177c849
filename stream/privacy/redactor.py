"""Redactor: sound in, the same sound without its speech out, about a second later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from stream import snapshot as snapshots
from stream.classifier import StreamClassifier
from stream.errors import SnapshotInvalid, UsageError
from stream.features.conditioner import MAX_GAP_SECONDS
from stream.inference.session import Model
from stream.messages import Chunk
from stream.privacy.speech_mask import Interval, SpeechMask
from stream.privacy.speech_rule import MODEL, SPEECH, SpeechRule
from stream.snapshot import Snapshot

if TYPE_CHECKING:
    from stream.messages import Result

CERTAIN_GAP_SECONDS = (
    MAX_GAP_SECONDS + 0.01
)  # of sound that is known to be lost: the classifier has let go of its state
LONGEST_WAIT_SECONDS = 1.0  # beyond what the rule asks for: then what is held is given out silenced
_KIND = "redactor"


class Redactor:
    """Silences the speech in a stream of chunks. push, flush, reset, snapshot, restore.

    A model listens to the sound and a `SpeechMask` decides. Each sample is held back until it is known to be free of
    speech; then it is given out as it was. All others become 0: those near speech, and those about which the model says
    nothing, because it is warming up, sound is missing or the stream has ended. So a fault costs sound, and never lets
    speech through. Samples that were NaN stay NaN, and gaps stay gaps.

    Args:
        model: with a class "speech"; None is the bundled one.
        rule: what counts as speech, and how much around it is silenced.

    Attributes:
        sample_rate: of the model, Hz. Chunks may come at any rate.
        silenced: samples that were given out as 0 so far.
        delay_seconds: how long sound is held back, apart from what resampling adds.

    Raises:
        UsageError: a model without a class "speech".
    """

    def __init__(self, model: Model | None = None, rule: SpeechRule | None = None) -> None:
        model = Model.bundled(MODEL) if model is None else model
        if SPEECH not in model.labels:
            raise UsageError(
                f"model {model.card.name}: knows {', '.join(model.labels)}; "
                f"silencing speech needs a class {SPEECH!r}"
            )
        self.rule = SpeechRule() if rule is None else rule
        self._classifier = StreamClassifier(model)
        self.sample_rate = self._classifier.sample_rate
        self._mask = SpeechMask(self.rule, self.sample_rate, self._classifier.hop)
        lag = self._classifier.hop + model.card.features.span - self._classifier.reference + self._mask.lag
        self.delay_seconds = self.rule.before + lag / self.sample_rate
        self.reset()

    def reset(self) -> None:
        """As new."""
        self._classifier.reset()
        self._mask.reset()
        self._held: deque[Chunk] = deque()
        self.silenced = 0

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Take sound, at any rate; return what is decided of the sound that is held.

        Returns:
            Chunks at the rate at which they came. A heartbeat comes behind the sound before it.

        Raises:
            ClosedError: after flush.
            UsageError: a chunk that starts before the last one ended.
            ModelError: the model gives something that is no probability. What is held is then lost.
        """
        result = self._heard(lambda: self._classifier.push(chunk))
        self._held.append(chunk)
        free = self._mask.push(result.scores)
        out = self._released(lambda rate: _index(self._mask.decided, self.sample_rate, rate), free)
        if (
            chunk.missing > CERTAIN_GAP_SECONDS * chunk.sample_rate
        ):  # nothing more is made of the sound before it
            return out + self._released(lambda rate: chunk.end, [])
        wait = self.delay_seconds + LONGEST_WAIT_SECONDS
        return out + self._released(lambda rate: chunk.end - round(wait * rate), [])

    def flush(self) -> list[Chunk]:
        """No more sound: the rest. Its end, about which nothing can be decided any more, is silenced."""
        result = self._heard(self._classifier.flush)
        free = self._mask.push(result.scores)
        out = self._released(lambda rate: _index(self._mask.decided, self.sample_rate, rate), free)
        return out + self._released(None, [])

    def snapshot(self) -> Snapshot:
        """The whole state as plain values; the sound that is held is part of it.

        Raises:
            SnapshotInvalid: as ``StreamClassifier.snapshot``.
        """
        return snapshots.begin(
            _KIND,
            classifier=self._classifier.snapshot(),
            mask=self._mask.snapshot(),
            silenced=self.silenced,
            held=[msgspec.structs.asdict(chunk) for chunk in self._held],
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a redactor of the same model and rule.

        Raises:
            SnapshotInvalid: it is damaged, or of another model or rule; this redactor is then reset.
        """
        try:
            values = snapshots.check(snapshot, _KIND)
            self._classifier.restore(snapshots.inner(values, "classifier"))
            self._mask.restore(snapshots.inner(values, "mask"))
            self.silenced = snapshots.number(values, "silenced")
            self._held = deque(_chunk(each) for each in values.get("held", ()))
        except BaseException:
            self.reset()
            raise

    def _heard(self, listen: Callable[[], Result]) -> Result:
        try:
            return listen()
        except BaseException:
            self._held.clear()  # nobody knows any more what it holds
            raise

    def _released(self, until: Callable[[int], int] | None, free: list[Interval]) -> list[Chunk]:
        """Take what is held up to an index, which depends on the rate, off the line; None stands for all."""
        out: list[Chunk] = []
        while self._held:
            chunk = self._held[0]
            count = len(chunk.samples)
            if until is not None and count:
                count = min(count, until(chunk.sample_rate) - chunk.start)
                if count <= 0:
                    break
            out.append(self._silenced(chunk, count, free))
            if count == len(chunk.samples):
                self._held.popleft()
            else:
                self._held[0] = msgspec.structs.replace(
                    chunk, samples=chunk.samples[count:], start=chunk.start + count
                )
        return out

    def _silenced(self, chunk: Chunk, count: int, free: list[Interval]) -> Chunk:
        """The first ``count`` samples of a chunk, with what is not free as 0."""
        given = chunk.samples[:count]
        samples = np.where(np.isnan(given), given, np.float32(0))
        self.silenced += count
        for start, end in free:
            first = max(_index(start, self.sample_rate, chunk.sample_rate) - chunk.start, 0)
            last = max(_index(end, self.sample_rate, chunk.sample_rate) - chunk.start, 0)
            samples[first:last] = given[first:last]
            self.silenced -= len(given[first:last])
        captured_at = chunk.captured_at
        if captured_at is not None:
            captured_at -= (len(chunk.samples) - count) / chunk.sample_rate
        return msgspec.structs.replace(chunk, samples=samples, captured_at=captured_at)


def _index(index: int, sample_rate: int, at_rate: int) -> int:
    """The first sample at another rate that is not before sample ``index``."""
    return -(-index * at_rate // sample_rate)


def _chunk(values: object) -> Chunk:
    try:
        return msgspec.convert(values, Chunk)
    except msgspec.ValidationError as error:
        raise SnapshotInvalid(f"snapshot of {_KIND!r}: sound that is held: {error}; save it again") from None
