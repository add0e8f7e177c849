"""ManyStreams: sound of many streams through all stages at once, where it is nothing but sound.

What each stream is given, and keeps, is to the bit what `StreamClassifier.push` would give and keep. Whatever is more
than that (a gap, an invalid sample, another rate, new rules, a model that is not yet warm) is for that method.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import INTEGER_SCALE
from stream.classifier.rows import Rows
from stream.classifier.stages import Stages
from stream.classifier.stream_classifier import StreamClassifier
from stream.decisions.many_detectors import kind, push_together
from stream.features.many_mfcc import ManyMfcc
from stream.features.mfcc import StreamingMfcc
from stream.features.spec import MfccSpec
from stream.inference.state_table import StateTable, run_blocks
from stream.messages import Chunk, Result

_INT16 = np.dtype(np.int16)
# What becomes float32, by which factor.
_SOUND = {np.dtype(np.float32): None, _INT16: np.float32(INTEGER_SCALE[_INT16])}


class Joining(NamedTuple):
    """A chunk of a stream that goes on together with others.

    Attributes:
        stages: of the stream.
        row: of the stream, in the table of states.
        chunk: next sound.
        kind: what the streams of one call have in common.
    """

    stages: Stages
    row: int
    chunk: Chunk
    kind: Hashable


class ManyStreams:
    """Runs streams whose engines are rows of one table. One thread at a time uses it.

    Args:
        table: of the states of their model.
    """

    def __init__(self, table: StateTable) -> None:
        self._table = table
        spec = table.model.card.features
        self._mfcc = ManyMfcc(spec) if isinstance(spec, MfccSpec) and ManyMfcc.can(spec) else None

    def joining(self, classifier: StreamClassifier, row: int, chunk: Chunk) -> Joining | None:
        """The chunk as ``push`` takes it; None where the stream must take it alone.

        Args:
            classifier: of the stream.
            row: its engine's.
            chunk: its next; its samples may also be int16.
        """
        samples = chunk.samples
        if self._mfcc is None or samples.dtype not in _SOUND or not samples.flags.c_contiguous:
            return None
        stages = classifier.joining(chunk)
        if stages is None or not isinstance(stages.front_end, StreamingMfcc):
            return None
        held, count = stages.front_end.held, len(samples)
        if not self._mfcc.frames(held, count):
            return None
        return Joining(stages, row, chunk, (held, count, samples.dtype, kind(stages.detector)))

    def push(self, streams: Sequence[Joining]) -> list[Result] | None:
        """Take the chunks of different streams of one kind.

        Returns:
            What each push brought. None, and nothing is changed, where the model cannot answer, or answers something
            that is no probability: each stream alone shows whose that is.
        """
        assert self._mfcc is not None
        front_ends: list[Any] = [each.stages.front_end for each in streams]
        first = streams[0].chunk.samples
        # By bytes: NumPy would give the interpreter away for each of them.
        sound: NDArray[Any] = np.frombuffer(
            b"".join([each.chunk.samples.data for each in streams]), first.dtype
        ).reshape(len(streams), -1)
        scale = _SOUND[first.dtype]
        frames = self._mfcc.compute(front_ends, sound, scale)
        rows = np.array([each.row for each in streams], np.intp)
        try:
            probs, state = run_blocks(self._table.model, frames, self._table.rows_state(rows))
        except Exception:  # of whichever, as ONNX Runtime's own share no base class
            return None
        scored = Rows.score_together([each.stages.rows for each in streams], probs)
        if scored is None:
            return None
        scores, samples = scored
        self._table.set_rows_state(rows, state)
        self._mfcc.commit(front_ends, frames.shape[1])
        events = push_together([each.stages.detector for each in streams], probs, samples)
        lasts = (sound[:, -1] if scale is None else sound[:, -1] * scale).tolist()
        results = []
        for (stages, _, chunk, _), last, own, features, found in zip(
            streams, lasts, scores, frames, events, strict=True
        ):
            results.append(stages.joined(chunk, last, own, features, found))
        return results
