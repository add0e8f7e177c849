"""Many paced clients of ``/v1/stream`` in one process, as cheap as Python allows: the other side of a load test.

Each sends a chunk at the moment at which its last sample would have been recorded, whatever the station does, and notes
when which rows of scores come. What is sent is framed and masked beforehand. Run by ``tests.benchmarks.load``; reads a
`Task` and writes a `Report` as JSON.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import select
import socket
import sys
import time
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
WAIT_SECONDS = 60.0  # for handshakes, and for the last replies


class Task(msgspec.Struct):
    """What to do.

    Attributes:
        host, port: of the station.
        clients: how many.
        first: number of the first of them, of all processes'.
        of: clients of all processes together; they begin one after the other within the length of a chunk.
        seconds: of sound that each sends.
        chunk_seconds: between two messages.
        sounds: a .npy file, (S, n) int16, at ``rate``. Client i sends sound i modulo S.
        rate: Hz.
    """

    host: str
    port: int
    clients: int
    first: int
    of: int
    seconds: float
    chunk_seconds: float
    sounds: str
    rate: int = 16_000


class Report(msgspec.Struct):
    """What came of it.

    Attributes:
        chunk_delays: (n,) seconds from the recording of a chunk's last sample to its last row.
        row_delays: (n,) seconds from the recording of the newest sample that a row heard to that row.
        ends: for each client (sound, rows that came, rows that the station made, left out, checksum); None where
            something else came.
        failures: what else came.
        late: (n,) seconds by which a chunk was sent after its moment, as this process was busy or its socket full.
        cpu_seconds: of this process, while sound was sent.
    """

    chunk_delays: list[float]
    row_delays: list[float]
    ends: list[tuple[int, int, int, int, str] | None]
    failures: list[str]
    late: list[float]
    cpu_seconds: float


def frame(kind: int, payload: bytes) -> bytes:
    """A whole message as a client sends it: masked."""
    size = len(payload)
    head = bytes([0x80 | kind])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    mask = os.urandom(4)
    padded = np.frombuffer(payload + bytes(-size % 4), np.uint32) ^ np.frombuffer(mask, np.uint32)
    return head + mask + padded.tobytes()[:size]


class Client:
    """One connection."""

    def __init__(self, task: Task, number: int, chunks: list[bytes]) -> None:
        self.task, self.number, self.chunks = task, number, chunks
        self.sent = 0
        self.rows = 0
        self.end: dict[str, object] | None = None
        self.failure = ""
        self.came: list[tuple[float, int, int]] = []  # when, first row's reference sample, rows
        self.waiting = b""  # what the socket did not take yet
        self._read = b""
        self.socket = socket.create_connection((task.host, task.port), WAIT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /v1/stream HTTP/1.1\r\nHost: {task.host}:{task.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._read:
            if not (data := self.socket.recv(65536)):
                raise SystemExit(f"the station hung up: {self._read[:200]!r}")
            self._read += data
        status, _, self._read = self._read.partition(b"\r\n\r\n")
        if b" 101 " not in status.split(b"\r\n")[0] + b" ":
            raise SystemExit(f"no WebSocket: {status[:300]!r}")
        hello = {"type": "hello", "version": 1, "rate": task.rate, "format": "s16le", "scores": "all"}
        self.socket.sendall(frame(TEXT, json.dumps(hello).encode()))
        self.ready: dict[str, object] = {}
        while not self.ready:
            for kind, payload in self._frames(self.socket.recv(65536)):
                message = json.loads(payload) if kind == TEXT else {"type": "close"}
                if message["type"] != "ready":
                    raise SystemExit(f"no stream: {payload[:300]!r}")
                self.ready = message
        self.socket.setblocking(False)

    def _frames(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        data = self._read + data if self._read else data
        at = 0
        while len(data) - at >= 2:
            size, begin = data[at + 1] & 127, at + 2
            if size == 126:
                size, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if len(data) < begin + size:
                break
            yield data[at] & 15, data[begin : begin + size]
            at = begin + size
        self._read = data[at:]

    def send(self, data: bytes) -> None:
        """As much as the socket takes; the rest waits."""
        if self.waiting:
            self.waiting += data
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.failure = self.failure or f"cannot send: {error}"
            return
        self.waiting = data[sent:]

    def go_on(self) -> None:
        data, self.waiting = self.waiting, b""
        if data:
            self.send(data)

    def receive(self) -> None:
        """Take what came."""
        now = time.monotonic()
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            data, self.failure = b"", self.failure or f"cannot receive: {error}"
        if not data and self.end is None:
            self.failure = self.failure or "the station hung up"
        for kind, payload in self._frames(data):
            if payload.startswith(b'{"type":"scores","sample":['):  # without reading all the JSON
                numbers = payload[27 : payload.index(b"]", 27)].split(b",")
                self.came.append((now, int(numbers[0]), len(numbers)))
                self.rows += len(numbers)
            elif kind == TEXT:
                message = json.loads(payload)
                if message["type"] == "end":
                    self.end = message
                elif message["type"] in ("error", "status", "reconnect"):
                    self.failure = self.failure or payload.decode()[:200]
            elif kind == PING:
                self.send(frame(PONG, payload))
            elif kind == CLOSE:
                self.failure = self.failure or f"closed: {payload!r}"


def connect(task: Task) -> list[Client]:
    """All clients, each with its stream."""
    sounds: NDArray[np.int16] = np.load(task.sounds, mmap_mode="r")
    size = round(task.chunk_seconds * task.rate)
    count = int(task.seconds * task.rate) // size
    framed: dict[int, list[bytes]] = {}
    clients = []
    for number in range(task.first, task.first + task.clients):
        sound = number % len(sounds)
        if sound not in framed:
            framed[sound] = [
                frame(BINARY, sounds[sound, i * size : (i + 1) * size].tobytes()) for i in range(count)
            ]
        clients.append(Client(task, number, framed[sound]))
    return clients


def play(task: Task, clients: list[Client], begin: float) -> list[float]:
    """Send everything, each chunk in time, and take what comes. How late each chunk was sent."""
    poll = select.epoll()
    by_file = {client.socket.fileno(): client for client in clients}
    for file in by_file:
        poll.register(file, select.EPOLLIN)
    apart = task.chunk_seconds / task.of
    rounds = len(clients[0].chunks)
    flush = frame(TEXT, b'{"type":"flush"}')
    late = []
    clock = time.monotonic
    due = [
        (begin + task.chunk_seconds * (turn + 1) + client.number * apart, client)
        for turn in range(rounds)
        for client in clients
    ]
    blocked: set[int] = set()
    for at, client in due:
        while (left := at - clock()) > 0:
            listen(poll, by_file, blocked, left)
        late.append(clock() - at)
        client.send(client.chunks[client.sent])
        client.sent += 1
        if client.sent == rounds:
            client.send(flush)
        if client.waiting and client.socket.fileno() not in blocked:
            blocked.add(client.socket.fileno())
            poll.modify(client.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
        if len(late) % 16 == 0:  # busy: take what came all the same
            listen(poll, by_file, blocked, 0)
    until = clock() + WAIT_SECONDS
    while any(client.end is None and not client.failure for client in clients) and clock() < until:
        listen(poll, by_file, blocked, 0.1)
    return late


def listen(poll: select.epoll, by_file: dict[int, Client], blocked: set[int], seconds: float) -> None:
    for file, events in poll.poll(seconds):
        client = by_file[file]
        if events & select.EPOLLOUT:
            client.go_on()
            if not client.waiting:
                blocked.discard(file)
                poll.modify(file, select.EPOLLIN)
        if events & ~select.EPOLLOUT:
            client.receive()
            if client.failure or client.end is not None:
                poll.unregister(file)
                poll.register(file, 0)


def report(task: Task, clients: list[Client], begin: float, late: list[float], cpu: float) -> Report:
    """What all that came to."""
    ready = clients[0].ready
    rate, hop = float(ready["sample_rate"]), float(ready["hop"])  # type: ignore[arg-type]
    heard = float(ready["delay"])  # type: ignore[arg-type]
    rows: list[NDArray[np.float64]] = []
    chunks: list[NDArray[np.float64]] = []
    for client in clients:
        came = np.array(client.came, np.float64).reshape(-1, 3)
        origin = begin + client.number * task.chunk_seconds / task.of
        for turn in range(int(came[:, 2].max(initial=0))):
            here = came[came[:, 2] > turn]
            newest = (here[:, 1] + turn * hop) / rate + heard  # seconds of the stream that the row needs
            rows.append(here[:, 0] - origin - newest)
        last = (came[:, 1] + (came[:, 2] - 1) * hop) / rate + heard
        chunks.append(came[:, 0] - origin - np.ceil(last / task.chunk_seconds - 1e-6) * task.chunk_seconds)
    ends = [
        None
        if client.end is None
        else (client.number, client.rows, client.end["rows"], client.end["left_out"], client.end["checksum"])
        for client in clients
    ]
    return Report(
        np.concatenate(chunks).round(5).tolist(),
        np.concatenate(rows).round(5).tolist(),
        ends,  # type: ignore[arg-type]
        sorted({client.failure for client in clients if client.failure}),
        late,
        cpu,
    )


def main() -> None:
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    clients = connect(task)
    print("connected", flush=True)
    begin = float(sys.stdin.readline())  # on the clock of all processes of this machine
    before = resource.getrusage(resource.RUSAGE_SELF)
    late = play(task, clients, begin)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.buffer.write(msgspec.json.encode(report(task, clients, begin, late, cpu)) + b"\n")


if __name__ == "__main__":
    main()
