"""What takes streams from outside: a pool of this process, or one whose work other processes do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stream.decisions.spec import DetectorSpec
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.snapshot import Snapshot


class Tells(Protocol):
    """What has a thread that calls listeners behind every batch."""

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` in that thread behind every batch."""
        ...

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        ...


class AnySeat(Protocol):
    """One stream: see `Seat`, whose methods these are."""

    @property
    def pending(self) -> int:
        """Samples that were pushed and are not yet classified, at the rate they came."""
        ...

    def push(self, chunk: Chunk) -> None:
        """Take sound."""
        ...

    def change_rules(self, spec: DetectorSpec) -> None:
        """Other rules of the detector from here on."""
        ...

    def snapshot(self, done: Callable[[Snapshot | None], None]) -> None:
        """Have ``done`` called with the state, or with None, from any thread, where the stream is over."""
        ...

    def flush(self) -> None:
        """No more sound."""
        ...

    def leave(self) -> None:
        """End at once."""
        ...


class AnyPool(Tells, Protocol):
    """All streams of one model: see `Pool`.

    Attributes:
        model: shared.
        max_streams: at a time.
    """

    model: Model
    max_streams: int

    @property
    def batches(self) -> int:
        """Batches that were run so far."""
        ...

    @property
    def batched(self) -> int:
        """Streams in them, each time they were."""
        ...

    @property
    def streams(self) -> int:
        """That are taken."""
        ...

    def start(self) -> None:
        """Begin. Once."""
        ...

    def close(self) -> None:
        """End every stream that is left, with ClosedError."""
        ...

    def take_seat(
        self,
        stream: str,
        deliver: Callable[[Result], None],
        *,
        ended: Callable[[Exception | None], None] = ...,
        detector: DetectorSpec | None = None,
        snapshot: Snapshot | None = None,
    ) -> AnySeat:
        """A new stream."""
        ...
