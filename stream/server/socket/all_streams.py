"""Streams: all streams from outside, those that are heard and those whose connection broke."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

from stream import snapshot as snapshots
from stream.errors import ClosedError, OutputError, PoolFull, SnapshotInvalid
from stream.printable import printable
from stream.server.pool.loop_delivery import LoopDelivery
from stream.server.socket.client_messages import Hello
from stream.server.socket.codes import StreamEnds
from stream.server.socket.live_stream import LiveStream
from stream.server.socket.outbox import rounded_together
from stream.server.socket.overrides import changed_rules
from stream.server.socket.resume_store import MemoryStore, ResumeStore, SavedStream
from stream.server.socket.resume_tokens import ResumeTokens, name_in, new_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.decisions.spec import DetectorSpec
    from stream.server.http.served import Served
    from stream.server.limits import Limits
    from stream.server.pool import AnyPool, AnySeat
    from stream.snapshot import Snapshot

log = logging.getLogger(__name__)
SAVING_SECONDS, _SAVING_LOOKS = 1.0, 0.05
_MOST_EXPIRED = 10_000  # names of streams that were kept for a while


class Streams:
    """The streams of one process, by name. Used on one event loop.

    A stream whose connection broke keeps its seat for ``resume_seconds``: its state stays where it is, and nothing is
    saved. When the station drains, streams are saved into the store, from which any process can take them up.

    Args:
        station: has the pools.
        limits: the station's.
        store: of saved streams; None = in this process.
    """

    def __init__(self, station: Served, limits: Limits, store: ResumeStore | None = None) -> None:
        self._station, self._limits = station, limits
        self.store = MemoryStore(limits.kept_bytes) if store is None else store
        self._live: dict[str, LiveStream] = {}
        self._parked: OrderedDict[str, float] = OrderedDict()  # name -> until, on the loop's clock
        self._expired: OrderedDict[str, None] = OrderedDict()
        self._finished: list[str] = []  # that a store may still have
        self._arriving: set[str] = set()  # from the store
        self._deliveries: dict[int, LoopDelivery] = {}

    @property
    def heard(self) -> int:
        """Streams with a connection."""
        return len(self._live) - len(self._parked)

    @property
    def parked(self) -> int:
        """Streams whose connection broke, and that are kept for a while."""
        return len(self._parked)

    @property
    def all(self) -> list[LiveStream]:
        """Every stream that has its state in this process."""
        return list(self._live.values())

    async def open(self, hello: Hello, identity: str) -> LiveStream:
        """The stream that a hello asks for: a new one, or one to go on with.

        Raises:
            StreamEnds: it is not granted.
        """
        if self.heard >= self._limits.streams:
            raise StreamEnds("full", f"{self._limits.streams} streams are open; try again later")
        if hello.resume is not None:
            return await self._resume(hello, hello.resume, identity)
        pool = self._pool(hello.model)
        rules = pool.model.card.detector
        if hello.rules is not None:
            rules = changed_rules(rules, pool.model.card.labels, hello.rules)
        stream = LiveStream(new_name(), identity, hello, pool.model, rules, self._limits)
        await self._seat(pool, stream, None)
        self._live[stream.name] = stream
        return stream

    def left(self, stream: LiveStream, *, keep: bool) -> None:
        """The connection of ``stream`` ended.

        Args:
            stream: that is heard no longer.
            keep: for a while, for a hello with its resume token.
        """
        if self._live.get(stream.name) is not stream:
            return  # saved, or gone
        if not keep:
            self.forget(stream)
            if self.store.shared:
                self._finished.append(stream.name)
            return
        self._parked[stream.name] = asyncio.get_running_loop().time() + self._limits.resume_seconds
        while self._too_many_parked():
            self._expire(next(iter(self._parked)))

    def forget(self, stream: LiveStream) -> None:
        """End it here, at once."""
        if not stream.over:
            stream.seat.leave()
        self._live.pop(stream.name, None)
        self._parked.pop(stream.name, None)

    def expire(self, now: float) -> None:
        """Give up streams that nobody came back for."""
        while self._parked and next(iter(self._parked.values())) <= now:
            self._expire(next(iter(self._parked)))

    async def save(self, stream: LiveStream) -> bool:
        """Put the state behind everything that was heard into the store.

        Returns:
            False where it cannot be saved, or not at this moment.
        """
        loop = asyncio.get_running_loop()
        at, rules = (stream.position, stream.heard_until), stream.rules
        saved: SavedStream | None = None
        if not stream.flushed:
            future: asyncio.Future[SavedStream | None] = loop.create_future()

            def done(snapshot: Snapshot | None) -> None:
                # In the loop, behind all results from before the snapshot and before all others.
                if not future.done():
                    packed = None if snapshot is None else snapshots.pack(snapshot)
                    future.set_result(None if packed is None else _saved(stream, at, rules, packed))

            deliver: Callable[[Snapshot], None] = self._delivery(stream).to(done)

            def answer(snapshot: Snapshot | None) -> None:
                if snapshot is not None:
                    deliver(snapshot)
                elif (
                    not loop.is_closed()
                ):  # the stream is over, maybe since long ago: no batch may come to wake the loop
                    loop.call_soon_threadsafe(done, None)

            stream.seat.snapshot(answer)
            saved = await future
        elif stream.over:
            saved = _saved(stream, at, rules, b"")
        if saved is None:
            return False
        try:
            await self.store.put(stream.name, saved.pack(), self._limits.resume_seconds)
        except OutputError as error:
            log.warning("stream %s: not saved: %s", stream.name, error)
            return False
        stream.saved = at[0]
        return True

    async def drop_finished(self) -> None:
        """Have a shared store forget streams that ended."""
        names, self._finished = self._finished, []
        for name in names:
            with suppress(OutputError):  # it forgets by itself, later
                await self.store.drop(name)

    def close(self) -> None:
        """Take no more from the pools."""
        for delivery in self._deliveries.values():
            delivery.close()
        self._deliveries.clear()

    async def _resume(self, hello: Hello, token: str, identity: str) -> LiveStream:
        name = name_in(token)
        stream = self._live.get(name)
        if stream is None:
            stream = await self._from_store(name, hello, token, identity)
        elif self._went_elsewhere(stream, token):
            before, stream = stream, await self._from_store(name, hello, token, identity)
            if not before.over:
                before.seat.leave()
        else:
            _check(stream.tokens, token, stream.identity, identity)
            _compare(hello, stream.hello)
        _check_kept(stream, hello.received)
        if stream.connection is not None:
            stream.connection.end(StreamEnds("taken_over", "the stream goes on in another connection"))
            stream.connection = None
        self._parked.pop(name, None)
        stream.resumed = True
        stream.outbox.resume(hello.received)
        stream.go_on_from(hello.start)
        return stream

    def _went_elsewhere(self, stream: LiveStream, token: str) -> bool:
        """Whether its client has been with another process since, which gave it a token that is not known here."""
        return self.store.shared and stream.connection is None and stream.tokens.check(token) == "unknown"

    async def _from_store(self, name: str, hello: Hello, token: str, identity: str) -> LiveStream:
        """A stream that was saved, here or in another process."""
        if name in self._arriving:
            raise StreamEnds("resume_used", "another hello with this resume token came before")
        self._arriving.add(name)
        try:
            try:
                data = await self._taken(name)
            except OutputError as error:
                raise StreamEnds("store_unavailable", str(error)) from None
            if data is None:
                code = "resume_expired" if name in self._expired else "resume_unknown"
                raise StreamEnds(code, "no stream waits for this resume token; begin another one")
            try:
                stream = await self._restored(SavedStream.unpack(data), hello, token, identity)
            except SnapshotInvalid as error:
                raise StreamEnds("failed", f"the saved stream cannot go on here: {error}") from None
            except StreamEnds:  # somebody else may still come for it
                await self.store.put(name, data, self._limits.resume_seconds)
                raise
        finally:
            self._arriving.discard(name)
        self._live[name] = stream
        return stream

    async def _taken(self, name: str) -> bytes | None:
        """What the store has. Another process may be about to put it there."""
        until = asyncio.get_running_loop().time() + (SAVING_SECONDS if self.store.shared else 0)
        while (data := await self.store.take(name)) is None and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_SAVING_LOOKS)
        return data

    async def _restored(self, saved: SavedStream, hello: Hello, token: str, identity: str) -> LiveStream:
        tokens = ResumeTokens(saved.stream, saved.digests, saved.spent)
        _check(tokens, token, saved.identity, identity)
        _compare(hello, saved.hello)
        pool = self._pool(saved.hello.model)
        if pool.model.sha256 != saved.model_sha256:
            raise StreamEnds("resume_differs", "the station runs another model by now; begin another stream")
        stream = LiveStream(saved.stream, saved.identity, saved.hello, pool.model, saved.rules, self._limits)
        stream.restore(saved, tokens)
        if not self.store.shared:
            stream.saved = None  # from here on its state stays in this process
        if not stream.over:
            await self._seat(pool, stream, snapshots.unpack(saved.snapshot))
        return stream

    def _pool(self, model: str) -> AnyPool:
        pools = self._station.pools
        name = model or next(iter(pools))
        if name not in pools:
            raise StreamEnds("unknown_model", f"model {printable(name)!r}: there are {', '.join(pools)}")
        return pools[name]

    async def _seat(self, pool: AnyPool, stream: LiveStream, snapshot: Snapshot | None) -> None:
        """Give the stream a seat; where all are taken, the oldest that waits for the same client gives up its own."""
        delivery = self._delivery_of(pool)

        def take() -> AnySeat:
            return pool.take_seat(
                stream.name,
                delivery.to(stream.deliver, rounded_together),
                ended=delivery.to(stream.ended),
                detector=stream.rules,
                snapshot=snapshot,
            )

        while True:
            try:
                # The state of a resampler takes a while to build.
                stream.seat = take() if snapshot is None else await asyncio.to_thread(take)
                return
            except PoolFull as error:
                if not self._make_room(stream.identity):
                    raise StreamEnds("full", str(error)) from None
            except ClosedError:
                raise StreamEnds("draining", "the station stops; connect again") from None

    def _make_room(self, identity: str) -> bool:
        for name in self._parked:
            if self._live[name].identity == identity and not self._live[name].over:
                self._expire(name)
                return True
        return False

    def _expire(self, name: str) -> None:
        self.forget(self._live[name])
        self._expired[name] = None
        while len(self._expired) > _MOST_EXPIRED:
            self._expired.popitem(last=False)

    def _too_many_parked(self) -> bool:
        if not self._parked:
            return False
        if len(self._parked) > self._limits.kept_streams:
            return True
        return sum(self._live[name].outbox.size for name in self._parked) > self._limits.kept_bytes

    def _delivery(self, stream: LiveStream) -> LoopDelivery:
        return self._delivery_of(
            next(pool for pool in self._station.pools.values() if pool.model is stream.model)
        )

    def _delivery_of(self, pool: AnyPool) -> LoopDelivery:
        found = self._deliveries.get(id(pool))
        if found is None:
            found = self._deliveries[id(pool)] = LoopDelivery(pool, asyncio.get_running_loop())
        return found


def _check(tokens: ResumeTokens, token: str, owner: str, identity: str) -> None:
    verdict = tokens.check(token)
    if verdict == "unknown":
        raise StreamEnds("resume_unknown", "no stream waits for this resume token; begin another one")
    if owner != identity:
        raise StreamEnds("resume_not_yours", "the stream of this resume token was begun with another token")
    if verdict == "used":
        raise StreamEnds("resume_used", "this resume token was used before; use the one of the last ready")


def _compare(hello: Hello, first: Hello) -> None:
    """Refuse a hello that announces other sound, or wants other replies, than the one that began the stream."""
    for name in Hello.__struct_fields__:
        if name in ("start", "resume", "received", "token", "rules"):
            continue
        before, now = getattr(first, name), getattr(hello, name)
        if before != now:
            raise StreamEnds("resume_differs", f"{name} {now!r}: the stream was begun with {before!r}")


def _check_kept(stream: LiveStream, received: int | None) -> None:
    if not stream.outbox.remembers(received):
        raise StreamEnds(
            "resume_expired", "replies were never acknowledged and are kept no longer; begin another stream"
        )


def _saved(
    stream: LiveStream, at: tuple[int, int | None], rules: DetectorSpec, snapshot: bytes
) -> SavedStream:
    outbox = stream.outbox
    return SavedStream(
        stream=stream.name,
        identity=stream.identity,
        digests=stream.tokens.valid,
        spent=stream.tokens.spent,
        hello=stream.hello,
        model_sha256=stream.model.sha256,
        rules=rules,
        position=at[0],
        heard_until=at[1],
        snapshot=snapshot,
        sequence=outbox.sequence,
        acknowledged=outbox.acknowledged,
        kept=tuple(outbox.kept),
        counts=(stream.rows, outbox.left_out, stream.events, stream.lost, stream.repaired),
        checksum=stream.checksum.state,
    )
