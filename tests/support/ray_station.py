"""A station on a Ray of its own, run as users run it, and clients that send it sound as it is spoken."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from stream.client import StreamClient
from stream.server.cluster.local_ray import free_port
from tests.support.command import DEADLINE_SECONDS, environment, running, start, wait_for
from tests.support.stream_peer import Peer

RATE = 16_000
BLOCK = RATE // 10  # samples of a message
STARTED_SECONDS = 200.0
Message = dict[str, Any]


class RayStation:
    """The command, while it serves.

    Attributes:
        url: where.
        said: lines of its standard error so far.
    """

    def __init__(self, child: subprocess.Popen[bytes], port: int) -> None:
        self.child, self.port = child, port
        self.url = f"ws://127.0.0.1:{port}"
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stderr
        for line in self.child.stderr:
            self.said.append(line.decode(errors="replace").rstrip())

    def wait_until_said(self, pattern: str, *, after: int = 0) -> None:
        """Until a line after the first ``after`` ones fits."""
        what = re.compile(pattern)
        wait_for(
            lambda: any(what.search(line) for line in self.said[after:]),
            f"{pattern!r} among {self.said}",
            seconds=STARTED_SECONDS,
        )

    @property
    def replicas(self) -> list[int]:
        """Ids of the processes."""
        return self.processes("ServeReplica")

    def processes(self, kind: str) -> list[int]:
        """Ids of those of Ray's processes that are of this kind."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,stat=,args="],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        rows = [line.split(None, 3) for line in listed.stdout.splitlines()]
        ours, size = {str(self.child.pid)}, 0
        while size < len(ours):
            size = len(ours)
            ours |= {row[0] for row in rows if row[1] in ours}
        return [
            int(row[0]) for row in rows if row[0] in ours and f"ray::{kind}" in row[-1] and row[2][0] != "Z"
        ]

    def figures(self, name: str) -> dict[str, float]:
        """One of ``/metrics``, by replica."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=DEADLINE_SECONDS).text
        found = re.findall(rf'^{name}{{replica="(\w+)"}} (\S+)$', text, flags=re.MULTILINE)
        return {replica: float(value) for replica, value in found}

    def wait_until_running(self, count: int) -> None:
        """Until as many replicas run."""
        wait_for(lambda: len(self.replicas) == count, f"{count} replicas", seconds=STARTED_SECONDS)

    def wait_until_spread(self) -> None:
        """Until new streams go to more than one replica: what hands them on learns of replicas a little later."""

        def spread() -> bool:
            with ExitStack() as stack:
                for _ in range(4):
                    stack.enter_context(Peer(f"http://127.0.0.1:{self.port}")).hello()
                name = "stream_classify_streams"
                wait_for(
                    lambda: sum(self.figures(name).values()) == 4, "four streams", seconds=STARTED_SECONDS
                )
                return sum(count > 0 for count in self.figures(name).values()) > 1

        wait_for(spread, "streams of several replicas", seconds=STARTED_SECONDS)

    def replace(self) -> None:
        """What SIGHUP does: files are read again, and every replica is replaced."""
        after = len(self.said)
        self.child.send_signal(signal.SIGHUP)
        self.wait_until_said("replaced", after=after)

    def stop(self) -> int:
        """As SIGTERM; the exit code."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(STARTED_SECONDS)


@contextmanager
def ray_station(*words: str, **env: str) -> Iterator[RayStation]:
    """The command with ``--ray local`` and these options, ready; behind the block it is gone."""
    port = free_port()
    child = start("serve", "--ray", "local", "--port", str(port), *words, env=environment(**env))
    with running(child):
        station = RayStation(child, port)
        wait_for(
            lambda: any("serving on" in line for line in station.said) or child.poll() is not None,
            f"a station on Ray, which says {station.said}",
            seconds=STARTED_SECONDS,
        )
        assert child.poll() is None, station.said
        try:
            yield station
        finally:
            if child.poll() is None:
                station.stop()


@dataclass
class Spoken:
    """What became of one stream.

    Attributes:
        sent: bytes of sound, s16le.
        messages: that came.
        streams: names that ``ready`` gave, one for each connection.
    """

    sent: bytes = b""
    messages: list[Message] = field(default_factory=list)
    readies: list[Message] = field(default_factory=list)

    @property
    def end(self) -> Message:
        assert self.messages, "nothing came"
        assert self.messages[-1]["type"] == "end", self.messages[-1]
        return self.messages[-1]


async def speak(url: str, sound: bytes, stop: asyncio.Event, **hello: Any) -> Spoken:
    """Send ``sound`` as fast as it is spoken, over and over, until ``stop``; then flush, and wait for the end."""
    spoken = Spoken()
    loop = asyncio.get_running_loop()

    async def feed(client: StreamClient) -> None:
        began, blocks = loop.time(), 0
        while not stop.is_set():
            at = 2 * BLOCK * blocks % len(sound)
            block = sound[at : at + 2 * BLOCK]
            spoken.sent += block
            await client.send(block)
            blocks += 1
            await asyncio.sleep(max(0.0, began + blocks * BLOCK / RATE - loop.time()))
        await client.flush()

    async with StreamClient(url, rate=RATE, **hello) as client:
        feeding = asyncio.create_task(feed(client))
        try:
            async for message in client:
                if not spoken.readies or spoken.readies[-1] is not client.ready:
                    spoken.readies.append(client.ready)
                spoken.messages.append(message)
            await feeding
        finally:
            feeding.cancel()
    return spoken


def speak_during(
    url: str, sounds: list[bytes], during: Callable[[], None], seconds: float = 2.0
) -> list[Spoken]:
    """One stream for each sound, while ``during`` runs in a thread, and for some seconds before and behind it."""

    async def go() -> list[Spoken]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(speak(url, sound, stop)) for sound in sounds]
        everything: Awaitable[list[Spoken]] = asyncio.gather(*tasks)
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(during)
            await asyncio.sleep(seconds)
        finally:
            stop.set()
        return await everything

    async def bounded() -> list[Spoken]:
        async with asyncio.timeout(2 * STARTED_SECONDS):
            return await go()

    return asyncio.run(bounded())


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
