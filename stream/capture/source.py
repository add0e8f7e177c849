"""What every source looks like, and arrays as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

from stream.capture.channels import (
    DEFAULT_CHANNEL,
    Channel,
    as_float32,
    check_channel,
    pick_channel,
)
from stream.errors import ClosedError, UsageError
from stream.messages import Chunk, SourceInfo

Self = TypeVar("Self", bound="SourceBase")


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How a source is doing, for status lines and summaries. Counts are samples at the source's rate.

    Attributes:
        lost: samples that were recorded, or should have been, and that nobody will get.
        dropped: those of ``lost`` that were dropped here because the consumer was late.
        waiting: samples that have arrived and were not taken yet: how far the consumer is behind.
        detail: why the source is in its present state, in words; "" while there is nothing to say.
        truncated: why a recording ended before its time; "" if it did not, or has not ended yet.
        hints: what is odd about the sound, see `stream.capture.sound_check`.
    """

    lost: int = 0
    dropped: int = 0
    waiting: int = 0
    detail: str = ""
    truncated: str = ""
    hints: tuple[str, ...] = ()


@runtime_checkable
class AudioSource(Protocol):
    """An iterable of `Chunk`, the same for a microphone, a file, a stream or an array.

    Iterating ends when the sound ends or when `close` is called, from any thread. Recordings start again with
    each ``iter()``; live sound goes on. Iterating a source that was closed raises `ClosedError`.
    """

    @property
    def sample_rate(self) -> int:
        """Samples per second of the chunks, Hz."""
        ...

    def __iter__(self) -> Iterator[Chunk]: ...

    def info(self) -> SourceInfo:
        """What was opened, for the status line and the logs."""
        ...

    def report(self) -> SourceReport:
        """What was lost so far, and why. From any thread."""
        ...

    def close(self) -> None:
        """Stop and release everything; a waiting iteration ends promptly. A second call does nothing."""
        ...

    def __enter__(self) -> AudioSource: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SourceBase:
    """What sources have in common: the ``with`` statement, a report with nothing to say, and that closed is closed.

    A subclass gives its chunks in ``_chunks``, and calls ``super().close()``.
    """

    _closed = False

    def __iter__(self) -> Iterator[Chunk]:
        """Chunks to the end of the sound, or until `close` is called.

        Raises:
            ClosedError: it was closed before.
        """
        self._check_open()
        return self._chunks()

    def _chunks(self) -> Iterator[Chunk]:
        raise NotImplementedError

    def info(self) -> SourceInfo:
        """What was opened, for the status line and the logs."""
        raise NotImplementedError

    def report(self) -> SourceReport:
        """What was lost so far, and why. From any thread."""
        return SourceReport()

    def close(self) -> None:
        """Stop and release everything; a waiting iteration ends promptly. A second call does nothing."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.info().name} was closed: open it again to listen to it again")

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ArraySource(SourceBase):
    """Samples in memory as a source.

    Args:
        samples: (n,) or (n, channels); float32, float64, int16 or int32. One float32 channel is never copied:
            the chunks are views.
        sample_rate: Hz.
        block_samples: samples a chunk.
        start: absolute index of the first sample.
        channel: "mix" or a 1-based number.

    Raises:
        UsageError: a shape, type, rate, block or channel that makes no sense.
    """

    def __init__(
        self,
        samples: NDArray[Any],
        sample_rate: int,
        *,
        block_samples: int = 1280,
        start: int = 0,
        channel: Channel = DEFAULT_CHANNEL,
    ) -> None:
        data = as_float32(samples)
        if data.ndim not in (1, 2) or 0 in data.shape[1:]:
            raise UsageError(f"samples of shape {data.shape} are not sound: use (n,) or (n, channels)")
        if sample_rate < 1 or block_samples < 1 or start < 0:
            raise UsageError(
                f"sample_rate {sample_rate}, block_samples {block_samples}, start {start}: need at least 1, 1 and 0"
            )
        self._channels = 1 if data.ndim == 1 else data.shape[1]
        check_channel(channel, self._channels, "the array")
        self._samples = data if data.ndim == 1 else pick_channel(data, channel)
        self._channel = channel
        self._block_samples = block_samples
        self._start = start
        self.sample_rate = sample_rate

    def _chunks(self) -> Iterator[Chunk]:
        for at in range(0, len(self._samples), self._block_samples):
            if self._closed:
                return
            yield Chunk(self._samples[at : at + self._block_samples], self._start + at, self.sample_rate)

    def info(self) -> SourceInfo:
        return SourceInfo(
            "array", self.sample_rate, self._channels, str(self._channel), duration=len(self._samples)
        )
