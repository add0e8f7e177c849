"""The clients in Python and JavaScript: through broken connections to what an offline pass gives."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from stream.client import Message, StreamClient, StreamRefused, listen
from stream.errors import UsageError
from stream.inference.session import Model
from stream.messages import Chunk
from stream.server import page
from stream.server.access.access import Access
from stream.server.access.tokens import TokenFile, add_token
from stream.server.limits import Limits
from stream.server.socket.resume_store import MemoryStore
from tests.support.command import running, wait_for
from tests.support.served import ServedApp
from tests.support.stream_peer import Offline, as_s16, from_s16, noise, told_events, told_rows

DEADLINE = 60


class BreakingLine:
    """A relay between client and station whose connections a test can cut, or send elsewhere."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        self.broken = 0
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    @property
    def connected(self) -> bool:
        """Whether there is something to cut."""
        return bool(self._pairs)

    def cut(self) -> None:
        """Reset all connections; what is under way is gone."""
        pairs, self._pairs = self._pairs, []
        self.broken += len(pairs)
        for pair in pairs:
            for each in pair:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.address, timeout=DEADLINE)
            except OSError:
                near.close()
                continue
            self._pairs.append((near, far))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 14):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def line(station: ServedApp) -> Iterator[BreakingLine]:
    relay = BreakingLine(station.address)
    yield relay
    relay.close()


Between = Callable[[int], Awaitable[None]]


async def nothing(number: int) -> None:
    pass


async def feed(client: StreamClient, data: bytes, step: int, between: Between) -> None:
    for number, at in enumerate(range(0, len(data), step)):
        await client.send(data[at : at + step])
        await asyncio.sleep(0.001)
        await between(number)
    await client.flush()


@asynccontextmanager
async def fed(client: StreamClient, data: bytes, between: Between) -> AsyncIterator[None]:
    task = asyncio.create_task(feed(client, data, 3200, between))
    try:
        yield
        await task
    finally:
        task.cancel()


async def heard(client: StreamClient, data: bytes, between: Between = nothing) -> list[Message]:
    async with asyncio.timeout(DEADLINE), client, fed(client, data, between):
        return [message async for message in client]


def test_without_asyncio(station: ServedApp, model: Model) -> None:
    sound = as_s16(noise(3, seed=70))
    offline = Offline(model, [Chunk(from_s16(sound), 0, 16_000)])
    url = station.url.replace("http", "ws")
    blocks = [sound[at : at + 3201 * 2] for at in range(0, len(sound), 3201 * 2)]
    messages = list(listen(url, blocks, rate=16_000, scores="all", exact=True))
    assert messages[-1]["checksum"] == offline.checksum
    assert told_events(messages) == offline.told
    np.testing.assert_array_equal(told_rows(messages)[1], offline.scores.probs)


def test_floats_with_missing_samples(station: ServedApp, model: Model) -> None:
    sound = noise(2, seed=75)
    sound[5000:7000] = np.nan
    url = station.url.replace("http", "ws")
    blocks = [sound[at : at + 1600].tobytes() for at in range(0, len(sound), 1600)]
    with pytest.raises(StreamRefused, match="sample 5000 is nan") as refused:
        list(listen(url, blocks, rate=16_000, format="f32le"))
    assert refused.value.code == "bad_sample"
    end = list(listen(url, blocks, rate=16_000, format="f32le", missing="nan"))[-1]
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    assert (end["checksum"], end["lost"]) == (offline.checksum, 2000)


def test_with_breaks(line: BreakingLine, model: Model) -> None:
    sound = as_s16(noise(10, seed=71))
    offline = Offline(model, [Chunk(from_s16(sound), 0, 16_000)])
    breaks = np.flatnonzero(np.random.default_rng(71).random(100) < 0.1)

    async def between(number: int) -> None:
        if number in breaks:
            while not line.connected:  # the last break is still being mended
                await asyncio.sleep(0.001)
            line.cut()

    messages = asyncio.run(heard(StreamClient(line.url, rate=16_000), sound, between))
    assert line.broken >= len(breaks) > 3
    end = messages[-1]
    assert (end["checksum"], end["lost"]) == (offline.checksum, 0)
    assert told_events(messages) == offline.told


def test_sound_that_was_kept_no_longer_is_a_gap(line: BreakingLine) -> None:
    sound = as_s16(noise(10, seed=72))
    client = StreamClient(line.url, rate=16_000, keep_seconds=0.3)
    address = line.address

    async def between(number: int) -> None:
        if number == 30:
            line.address = ("127.0.0.1", 1)  # nothing answers there
            line.cut()
        if number == 60:
            line.address = address

    messages = asyncio.run(heard(client, sound, between))
    end = messages[-1]
    gaps = [each["record"] for each in messages if each["type"] == "gap" and not each["record"]["open"]]
    assert end["position"] == 160_000
    assert end["lost"] == sum(gap["samples"] for gap in gaps) > 16_000


def test_from_one_station_to_the_next(serve: Callable[..., ServedApp], model: Model) -> None:
    store = MemoryStore()
    limits = Limits(lead_seconds=86_400, backlog_seconds=3600)
    first, second = serve(limits, resume_store=store), serve(limits, resume_store=store)
    relay = BreakingLine(first.address)
    sound = as_s16(noise(10, seed=73))

    async def between(number: int) -> None:
        if number == 40:
            relay.address = second.address
            first.server.drain()
            wait_for(lambda: first.server.config.app.state.draining.begun, "the end to begin")  # type: ignore[union-attr]

    messages = asyncio.run(heard(StreamClient(relay.url, rate=16_000), sound, between))
    relay.close()
    offline = Offline(model, [Chunk(from_s16(sound), 0, 16_000)])
    assert (messages[-1]["checksum"], messages[-1]["lost"]) == (offline.checksum, 0)
    assert told_events(messages) == offline.told
    assert "reconnect" in {each["type"] for each in messages}


def test_what_is_refused_is_one_error(
    station: ServedApp, serve: Callable[..., ServedApp], tmp_path: Path
) -> None:
    url = station.url.replace("http", "ws")
    for options, code in (({"labels": ["cat"]}, "unknown_label"), ({"nonsense": 1}, "bad_message")):
        with pytest.raises(StreamRefused) as refused:
            list(listen(url, [], rate=16_000, **options))
        assert refused.value.code == code
    path = tmp_path / "tokens"
    token = add_token(path, "anna", ["listen"])
    guarded = serve(access=Access(TokenFile(path))).url.replace("http", "ws")
    with pytest.raises(StreamRefused, match="not known"):
        list(listen(guarded, [], rate=16_000, token="wrong"))
    assert list(listen(guarded, [], rate=16_000, token=token))[-1]["type"] == "end"
    with pytest.raises(StreamRefused, match="cannot be reached"):
        list(listen("ws://127.0.0.1:1", [], rate=16_000, patience=0))
    with pytest.raises(UsageError, match="multiple of 2"):
        list(listen(url, [b"abc"], rate=16_000))
    with pytest.raises(UsageError, match="format 'mp3'"):
        StreamClient(url, rate=16_000, format="mp3")


SCRIPT = """
import {{ StreamClient }} from {module};
import {{ readFileSync, writeSync }} from "node:fs";
const sound = readFileSync({sound});
const client = new StreamClient({url}, {{ rate: 16000, scores: "all", ...{options} }});
async function hear() {{
  try {{
    for await (const message of client) writeSync(1, JSON.stringify(message) + "\\n");
  }} catch ({{ code }}) {{
    writeSync(1, JSON.stringify({{ type: "thrown", code }}) + "\\n");
  }}
}}
const heard = hear();
for (let at = 0; at < sound.length; at += 3200) {{
  client.send(sound.subarray(at, at + 3200));
  await new Promise((go) => setTimeout(go, 2));
}}
client.flush();
await heard;
"""


def heard_in_javascript(
    url: str,
    data: bytes,
    options: dict[str, str],
    folder: Path,
    between: Callable[[int], object] = lambda count: None,
) -> list[Message]:
    """Messages of `client.js` in Node; ``between`` gets the number of them so far."""
    sound, script, module = folder / "sound", folder / "script.mjs", folder / "client.mjs"
    sound.write_bytes(data)
    module.write_text((Path(page.__file__).parent / "client.js").read_text())
    values = {"module": module.as_uri(), "sound": str(sound), "url": url, "options": options}
    script.write_text(SCRIPT.format(**{name: json.dumps(value) for name, value in values.items()}))
    # Node has had a WebSocket of its own since 22, and behind this option before.
    command = ["node", "--experimental-websocket", "--no-warnings", str(script)]
    with running(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)) as node:
        timer = threading.Timer(DEADLINE, node.kill)
        timer.start()
        assert node.stdout is not None
        assert node.stderr is not None
        messages: list[Message] = []
        for line_read in node.stdout:
            messages.append(json.loads(line_read))
            between(len(messages))
        errors = node.stderr.read().decode()
        timer.cancel()
        node.wait(DEADLINE)
    assert node.returncode == 0, errors
    return messages


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_in_javascript(line: BreakingLine, model: Model, tmp_path: Path) -> None:
    data = as_s16(noise(10, seed=74))
    offline = Offline(model, [Chunk(from_s16(data), 0, 16_000)])
    messages = heard_in_javascript(
        line.url, data, {"format": "s16le"}, tmp_path, lambda count: count in (5, 60) and line.cut()
    )
    assert line.broken == 2
    end = messages[-1]
    assert (end["checksum"], end["lost"]) == (offline.checksum, 0)
    assert told_events(messages) == offline.told
    assert sum(each["type"] == "lost" for each in messages) == 2


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_floats_with_missing_samples_in_javascript(station: ServedApp, model: Model, tmp_path: Path) -> None:
    sound = noise(2, seed=76)
    sound[5000:7000] = np.nan
    url = station.url
    assert heard_in_javascript(url, sound.tobytes(), {}, tmp_path)[-1] == {
        "type": "thrown",
        "code": "bad_sample",
    }
    end = heard_in_javascript(url, sound.tobytes(), {"missing": "nan"}, tmp_path)[-1]
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    assert (end["checksum"], end["lost"]) == (offline.checksum, 2000)
