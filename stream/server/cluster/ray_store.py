"""RayStore: where streams wait on their way from one replica to another, as actors of Ray.

An actor holds what replicas put there, in memory, for some seconds or minutes. If its machine dies, Ray starts it
again, empty. Replicas put the state of every stream there again and again, so a second or two later it has all of them
as before; streams whose replica died in between go on with a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stream.errors import OutputError

log = logging.getLogger(__name__)
NAMESPACE = "stream-classify"
SHELF = "stream-classify-shelf-"
PATIENCE_SECONDS = 5.0
GATHER_SECONDS = 0.02
OWNER_SECONDS = 600.0  # that it is remembered who took a stream
OVERHEAD_BYTES = 300  # of a stream beside its state
Saved = tuple[str, bytes, float]  # stream, its state, seconds to keep it


class _Place(msgspec.Struct):
    until: float
    owner: str
    state: bytes
    lender: str = ""
    lent: bytes = b""

    @property
    def size(self) -> int:
        return len(self.state) + len(self.lent) + OVERHEAD_BYTES


class Shelf:
    """What one actor holds: states by the names of streams, each for a while.

    A stream belongs to the replica that put it there first, or took it last. What another one puts is passed over: it
    kept the stream for a client that has gone on elsewhere since. Whoever puts back what it took, as its client was not
    the right one, has changed nothing.

    Args:
        most_bytes: of all states together; beyond, the oldest are dropped.
        clock: monotonic seconds.
    """

    def __init__(self, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes, self._clock = most_bytes, clock
        self._places: OrderedDict[str, _Place] = OrderedDict()  # the one that was put longest ago first
        self._bytes = 0

    def put(self, owner: str, batch: Sequence[Saved]) -> None:
        """Keep each, in place of what was there under its name."""
        now = self._clock()
        self._clear(now)
        for stream, state, seconds in batch:
            place = self._places.get(stream)
            if place is not None and place.owner == owner and place.lender and state == place.lent:
                self._set(stream, _Place(now + seconds, place.lender, state))
            elif place is None or place.owner == owner:
                self._set(stream, _Place(now + seconds, owner, state))
        while self._bytes > self._most_bytes:
            self._remove(next(iter(self._places)))

    def take(self, owner: str, stream: str, seconds: float) -> bytes | None:
        """What is kept under this name, once. For ``seconds`` it is the owner's to put back."""
        now = self._clock()
        place = self._places.get(stream)
        if place is None or not place.state or place.until <= now:
            return None
        self._set(stream, _Place(now + seconds, owner, b"", place.owner, place.state))
        return place.state

    def drop(self, owner: str, stream: str) -> None:
        """Keep it no longer, if it is the owner's."""
        place = self._places.get(stream)
        if place is not None and place.owner == owner:
            self._remove(stream)

    def usage(self) -> tuple[int, int]:
        """How many streams, and how many bytes."""
        return len(self._places), self._bytes

    def _clear(self, now: float) -> None:
        for stream in [stream for stream, place in self._places.items() if place.until <= now]:
            self._remove(stream)

    def _set(self, stream: str, place: _Place) -> None:
        self._remove(stream)
        self._places[stream] = place
        self._bytes += place.size

    def _remove(self, stream: str) -> None:
        place = self._places.pop(stream, None)
        if place is not None:
            self._bytes -= place.size


def open_shelves(count: int, most_bytes: int) -> list[Any]:
    """Handles of the actors, which are started where they do not run yet. They outlive whoever started them.

    Args:
        count: how many; streams are spread over them by their names.
        most_bytes: that each holds at most.
    """
    import ray

    options: dict[str, Any] = {
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "num_cpus": 0,
        "max_restarts": -1,
        "max_task_retries": 2,
        "scheduling_strategy": "SPREAD",
    }
    actor = ray.remote(Shelf)
    return [actor.options(name=shelf_name(index), **options).remote(most_bytes) for index in range(count)]


def shelves_there() -> int:
    """How many actors run already. Where there are some, their number stays: streams are found by it."""
    import ray

    names = ray.util.list_named_actors(all_namespaces=True)
    return sum(each["namespace"] == NAMESPACE and each["name"].startswith(SHELF) for each in names)


def close_actors() -> None:
    """End all actors of ours, and forget what they hold."""
    import ray

    for each in ray.util.list_named_actors(all_namespaces=True):
        if each["namespace"] == NAMESPACE:
            with contextlib.suppress(ValueError):  # it has just ended
                ray.kill(ray.get_actor(each["name"], namespace=NAMESPACE))


def shelf_name(index: int) -> str:
    """Name of an actor."""
    return f"{SHELF}{index}"


class RayStore:
    """A `ResumeStore` that all replicas share. Used on one event loop.

    Args:
        shelves: handles of the actors.
        owner: name of this replica.
        patience: longest wait for an answer, seconds.
    """

    shared = True

    def __init__(self, shelves: Sequence[Any], owner: str, patience: float = PATIENCE_SECONDS) -> None:
        self._shelves, self._owner = shelves, owner
        self._patience = patience
        self._gathered: list[list[Saved]] = [[] for _ in shelves]
        self._sending: list[asyncio.Task[None] | None] = [None for _ in shelves]

    async def put(self, stream: str, saved: bytes, seconds: float) -> None:
        """Keep ``saved`` for ``seconds``. Returns when it is kept.

        Raises:
            OutputError: the actor does not answer.
        """
        index = self._index(stream)
        self._gathered[index].append((stream, saved, seconds))
        sending = self._sending[index]
        if sending is None:
            sending = self._sending[index] = asyncio.create_task(self._send(index))
        # The others of the batch go on if whoever waits here is cancelled.
        await asyncio.shield(sending)

    async def take(self, stream: str) -> bytes | None:
        """What is kept, at most once.

        Raises:
            OutputError: the actor does not answer.
        """
        found: bytes | None = await self._ask(self._index(stream), "take", stream, OWNER_SECONDS)
        return found

    async def drop(self, stream: str) -> None:
        """Keep it no longer.

        Raises:
            OutputError: the actor does not answer.
        """
        await self._ask(self._index(stream), "drop", stream)

    def _index(self, stream: str) -> int:
        return zlib.crc32(stream.encode()) % len(self._shelves)

    async def _send(self, index: int) -> None:
        await asyncio.sleep(GATHER_SECONDS)  # one call for all that is put at about the same time
        batch, self._gathered[index] = self._gathered[index], []
        self._sending[index] = None
        await self._ask(index, "put", batch)

    async def _ask(self, index: int, method: str, *arguments: object) -> Any:
        from ray.exceptions import RayError

        try:
            async with asyncio.timeout(self._patience):
                return await getattr(self._shelves[index], method).remote(self._owner, *arguments)
        except (RayError, TimeoutError) as error:
            text = " ".join(str(error).split())[:200] or type(error).__name__
            raise OutputError(f"{shelf_name(index)} does not answer: {text}") from None
