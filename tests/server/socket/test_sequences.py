"""Random sequences of connecting, sending, stalling, dropping and resuming: every stream that comes to its end has, to
the bit, what one offline pass over the sound that it did not lose gives."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.access.access import Access
from stream.server.http.draining import Draining
from stream.server.limits import Limits
from stream.server.pool import AnyPool, Pool
from stream.server.socket.all_streams import Streams
from stream.server.socket.endpoint import StreamEndpoint
from stream.server.socket.resume_store import MemoryStore
from stream.server.workers import WorkerPool
from tests.support.asgi_wire import Gone, Message, Wire
from tests.support.stream_peer import Offline, as_s16, from_s16, noise, told_events

Sounds = dict[int, list[NDArray[np.float32]]]  # by rate
AT_A_TIME = 40
STREAMS_A_STATION = 400  # before it drains, and another one takes over
BAD = (
    b"\0",
    "{}",
    "no",
    '{"type":"hello","version":1,"rate":1}',
    '{"type":"gap","samples":-1}',
    bytes(70_000),
)
LIMITS = Limits(
    streams=10_000,
    lead_seconds=86_400,
    backlog_seconds=3600,
    message_bytes=65_536,
    resume_seconds=60,
    kept_streams=100_000,
    kept_bytes=1 << 40,
    replies=100_000,
)


class SharedStore(MemoryStore):
    """As if between processes."""

    shared = True


class Stations:
    """One station after the other, of the same pools; each hands its streams to the next."""

    def __init__(self, pool: AnyPool) -> None:
        self.pools = {"toy": pool}
        self._store = SharedStore(1 << 40)
        self.begun = 0
        self.counts: Counter[str] = Counter()
        self.next()

    def next(self) -> None:
        if self.begun:
            self._draining.begin()
        self._draining = Draining()
        streams = Streams(self, LIMITS, self._store)  # type: ignore[arg-type]
        self.now = StreamEndpoint(streams, Access(), LIMITS, self._draining)
        self.begun += 1


class Client:
    """One stream and its random life."""

    def __init__(self, stations: Stations, model: Model, sounds: Sounds, seed: int) -> None:
        self.stations, self.model = stations, model
        self.rng = rng = np.random.default_rng(seed)
        self.rate = int(rng.choice([16_000, 16_000, 8_000, 44_100]))
        self.float = bool(rng.random() < 0.5)
        sound = sounds[self.rate][int(rng.integers(len(sounds[self.rate])))]
        self.sound = sound[: int(rng.integers(self.rate // 4, len(sound)))]
        self.data = self.sound.astype("<f4").tobytes() if self.float else as_s16(self.sound)
        self.heard = self.sound if self.float else from_s16(self.data)
        self.size = 4 if self.float else 2
        self.spans: list[tuple[int, int]] = []  # of samples that were sent
        self.lost: list[
            tuple[int, int]
        ] = []  # what it said is lost stays lost, also where a station asks again
        self.at = self.furthest = 0
        self.told: list[Message] = []
        self.received = 0
        self.token: str | None = None

    async def live(self) -> str:
        """What became of it."""
        await self.connect()
        fate = self.rng.random()
        while self.at < len(self.sound):
            await self.step()
            if fate < 0.06 and self.rng.random() < 0.2:
                return await self.misbehave()
            if fate > 0.95 and self.rng.random() < 0.2:
                self.wire.cut()
                return "abandoned"
        await self.end()
        return "whole"

    async def step(self) -> None:
        step = self.rng.choice(7, p=[0.6, 0.06, 0.1, 0.08, 0.06, 0.05, 0.05])
        self.stations.counts["steps"] += 1
        match step:
            case 0:
                self.go_on(int(self.rng.integers(1, self.rate // 5)))
            case 1:
                self.lose(int(self.rng.integers(1, 2 * self.rate)) if self.rng.random() < 0.3 else 100)
            case 2:
                self.wire.hold()
                await asyncio.sleep(float(self.rng.exponential(0.003)))
                self.wire.release()
            case 3:  # the connection breaks, and what was under way may be lost
                self.take(self.wire.cut(int(self.rng.integers(4))))
                await asyncio.sleep(float(self.rng.exponential(0.002)))
                await self.connect()
            case 4:  # it breaks, and the client goes on later
                self.take(self.wire.cut())
                await self.connect()
                self.lose(int(self.rng.integers(1, self.rate)))
            case 5:  # another connection, while the first is still open
                await self.settle()
                await self.connect()
            case _:
                if self.received:
                    self.wire.say({"type": "ack", "sequence": self.received})
                await asyncio.sleep(0)

    def go_on(self, count: int) -> None:
        """Send at most ``count`` samples, or what was lost here."""
        for start, stop in self.lost:
            if start <= self.at < stop:
                self.wire.say({"type": "gap", "samples": stop - self.at})
                self.at = stop
                self.furthest = max(self.furthest, stop)
                return
        until = min(self.at + count, len(self.sound), *(start for start, _ in self.lost if start > self.at))
        self.wire.say(self.data[self.at * self.size : until * self.size])
        self.spans.append((self.at, until))
        self.at = until
        self.furthest = max(self.furthest, until)

    def lose(self, count: int) -> None:
        """Behind all that was said before: it stays true, also where a station asks for it again."""
        while self.at < self.furthest:
            self.go_on(10_000)
        self.lost.append((self.at, self.at + count))
        self.go_on(0)

    async def settle(self) -> None:
        """Until all that was sent has been heard."""
        while True:
            self.wire.say({"type": "ping", "id": 5})
            try:
                while (await self.hear())["type"] != "pong":
                    pass
                return
            except Gone:
                await self.connect()

    async def connect(self) -> None:
        """Say hello until a station takes the stream, and go on where it is."""
        while True:
            self.wire = Wire(self.stations.now)
            self.wire.say(
                {
                    "type": "hello",
                    "version": 1,
                    "rate": self.rate,
                    "format": "f32le" if self.float else "s16le",
                    "scores": "all",
                    **({"resume": self.token, "received": self.received} if self.token else {}),
                }
            )
            try:
                ready = await self.wire.next()
            except Gone:
                continue
            if ready["type"] == "ready":
                break
            assert ready["error"]["code"] == "draining", (ready, self.token)
            await asyncio.sleep(0.01)
        self.stations.counts["resumed" if self.token else "begun"] += 1
        self.token = ready["resume"]
        self.go_back_to(ready["position"])

    def go_back_to(self, position: int) -> None:
        self.at = position
        self.spans = [(a, min(b, position)) for a, b in self.spans if a < position]

    def take(self, messages: list[Message]) -> None:
        for message in messages:
            sequence = message.get("sequence", 0)
            if sequence:
                assert sequence == self.received + 1, "told twice, or never"
                self.received = sequence
            self.told.append(message)

    async def hear(self) -> Message:
        message = await self.wire.next()
        self.take([message])
        return message

    async def misbehave(self) -> str:
        self.wire.say(BAD[int(self.rng.integers(len(BAD)))])
        code = await self.hear_to_the_end()
        assert code in (4400, 1009, 1012), code
        assert code == 1012 or self.told[-1]["type"] == "error"
        return "bad"

    async def hear_to_the_end(self) -> int | None:
        """The close code."""
        try:
            while True:
                await self.hear()
        except Gone as gone:
            return gone.code

    async def end(self) -> None:
        while True:
            while self.at < max(len(self.sound), *(stop for _, stop in self.lost), 0):
                self.go_on(10_000)  # sent back by a station that drained
            self.wire.say({"type": "flush"})
            try:
                while (message := await self.hear())["type"] != "end":
                    assert message["type"] in ("scores", "event", "gap", "lag", "reconnect", "pong"), message
                break
            except Gone:
                await self.connect()
        self.wire.say({"type": "ack", "sequence": message["sequence"]})
        await self.hear_to_the_end()
        self.check(message)

    def check(self, end: Message) -> None:
        runs: list[tuple[int, int]] = []
        for a, b in self.spans:
            if runs and runs[-1][1] == a:
                runs[-1] = (runs[-1][0], b)
            elif b > a:
                runs.append((a, b))
        offline = Offline(self.model, [Chunk(self.heard[a:b], a, self.rate) for a, b in runs])
        assert end["checksum"] == offline.checksum, (self.rate, runs)
        assert end["rows"] == len(offline.scores)
        assert end["lost"] == sum(gap.length for gap in offline.gaps)
        told = told_events(self.told)
        assert told == offline.told, f"{told}\n{offline.told}\n{runs}\n{self.lost}"


@pytest.fixture(params=["in this process", "in workers"])
def pool(model: Model, request: pytest.FixtureRequest) -> Iterator[AnyPool]:
    each: AnyPool = Pool(model, max_streams=10_000, deadline=0.001)
    if request.param == "in workers":
        each = WorkerPool(model, workers=2, max_streams=10_000, deadline=0.001)
    each.start()
    yield each
    each.close()


async def live_all(pool: AnyPool, model: Model, count: int, first: int = 0) -> Counter[str]:
    stations = Stations(pool)
    sounds = {rate: [noise(2.5, rate, seed=seed) for seed in range(6)] for rate in (8_000, 16_000, 44_100)}
    fates: Counter[str] = Counter()
    waiting = iter(range(first, first + count))

    async def one_after_the_other() -> None:
        for seed in waiting:
            if fates.total() >= STREAMS_A_STATION * stations.begun:
                stations.next()
            fates[await Client(stations, model, sounds, seed).live()] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(one_after_the_other())
    fates += stations.counts
    fates["stations"] = stations.begun
    stations.next()
    await asyncio.sleep(0.1)
    return fates


def test_random_sequences(pool: AnyPool, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.server.socket.test_sequences.STREAMS_A_STATION", 60)
    fates = asyncio.run(live_all(pool, model, 150))
    assert fates["whole"] > 100
    assert fates["bad"] > 1
    assert fates["abandoned"] > 1
    assert fates["stations"] > 1


def test_what_ends_a_stream_is_told_also_while_its_station_stops(model: Model) -> None:
    """And not that it may go on elsewhere, which it may not."""

    async def refused_while_it_drains(pool: AnyPool) -> tuple[list[Message], int | None]:
        stations, told = Stations(pool), []
        wire = Wire(stations.now)
        wire.say({"type": "hello", "version": 1, "rate": 16_000})
        told.append(await wire.next())
        wire.hold()
        wire.say({"type": "ping"})  # whose answer waits
        wire.say("no")
        while wire.under_way.messages:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        stations.next()
        for _ in range(10):
            await asyncio.sleep(0)
        wire.release()
        try:
            while True:
                told.append(await wire.next())
        except Gone as gone:
            return told, gone.code

    pool = Pool(model, max_streams=4)
    pool.start()
    try:
        told, code = asyncio.run(refused_while_it_drains(pool))
    finally:
        pool.close()
    assert [each["type"] for each in told] == ["ready", "pong", "error"]
    assert (told[-1]["error"]["code"], code) == ("bad_message", 4400)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_random_sequences(pool: AnyPool, model: Model) -> None:
    fates = asyncio.run(live_all(pool, model, 10_000))
    print("\n", dict(fates))
    assert fates["resumed"] > 10_000
    assert fates["whole"] > 8000
