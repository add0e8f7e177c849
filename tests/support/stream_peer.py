"""A bare peer of ``/v1/stream`` for tests, and what offline passes give."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from stream.classifier import StreamClassifier
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.inference.session import Model
from stream.messages import Chunk, Event, Gap, Result, Scores
from stream.server.socket.checksum import RowsChecksum

DEADLINE = 20.0
Message = dict[str, Any]


class Peer:
    """One WebSocket that says what a test wants it to say.

    Attributes:
        got: every message so far.
        closed: close code, once the connection is over.
    """

    def __init__(self, url: str, *, path: str = "/v1/stream", **options: Any) -> None:
        address = url.replace("http", "ws", 1) + path
        self._connecting = connect(address, compression=None, max_size=None, open_timeout=DEADLINE, **options)
        self.socket: ClientConnection = self._connecting.__enter__()
        self.got: list[Message] = []
        self.closed: int | None = None

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self._connecting.__exit__(None, None, None)

    def say(self, message: Message | str | bytes) -> None:
        self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    def hello(self, rate: int = 16_000, **fields: Any) -> Message:
        """The answer: ready, or an error."""
        self.say({"type": "hello", "version": 1, "rate": rate, **fields})
        return self.next()

    def next(self) -> Message:
        message: Message = json.loads(self.socket.recv(timeout=DEADLINE))
        self.got.append(message)
        return message

    def until(self, kind: str) -> Message:
        while (message := self.next())["type"] != kind:
            assert message["type"] != "error", message
        return message

    def rest(self) -> list[Message]:
        """All that comes until the other side closes."""
        first = len(self.got)
        try:
            while True:
                self.next()
        except ConnectionClosed as closed:
            self.closed = closed.rcvd.code if closed.rcvd else 1006
        return self.got[first:]

    def end(self) -> Message:
        """Flush; the message of type end."""
        self.say({"type": "flush"})
        return self.until("end")

    def cut(self) -> None:
        """The connection breaks: no close is said."""
        import socket

        self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.socket.socket.close()


class Offline:
    """What one pass over everything gives.

    Args:
        model: as the station's.
        chunks: of sound.
        detector: rules; None = the card's.
    """

    def __init__(self, model: Model, chunks: Iterable[Chunk], detector: DetectorSpec | None = None) -> None:
        classifier = StreamClassifier(model, detector)
        results: list[Result] = [classifier.push(chunk) for chunk in chunks]
        results.append(classifier.flush())
        self.scores: Scores = classifier.join([each.scores for each in results if len(each.scores)])
        self.events: list[Event] = [event for each in results for event in each.events]
        self.gaps: list[Gap] = [gap for each in results for gap in each.gaps]
        checksum = RowsChecksum()
        checksum.add(self.scores)
        self.checksum = checksum.text

    @property
    def told(self) -> list[tuple[int, str, int, int | None]]:
        """Onsets and complete events in order, to compare with `told_events`."""
        return [(event.id, event.label, event.onset, event.offset) for event in self.events]


def told_events(messages: Iterable[Message]) -> list[tuple[int, str, int, int | None]]:
    """The same of what a station told."""
    records = [each["record"] for each in messages if each["type"] == "event"]
    return [(each["id"], each["label"], each["onset_sample"], each.get("offset_sample")) for each in records]


def told_rows(messages: Iterable[Message]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Reference samples (T,) and probabilities (T, C) of all scores that came."""
    scores = [each for each in messages if each["type"] == "scores"]
    samples = [sample for each in scores for sample in each["sample"]]
    probs = [row for each in scores for row in each["probs"]]
    return np.array(samples, np.int64), np.array(probs, np.float32)


def lively_rules() -> DetectorSpec:
    """Rules of the toy model by which many events begin and end in `noise`."""

    def rule(threshold: float) -> ClassRule:
        return ClassRule(
            threshold=threshold, release=0.9 * threshold, min_on=0.02, min_off=0.02, smoothing=0.02
        )

    return DetectorSpec(classes={"speech": rule(0.95), "music": rule(0.02), "noise": rule(0.06)})


def noise(seconds: float, rate: int = 16_000, seed: int = 0) -> NDArray[np.float32]:
    """(n,) float32 that changes its character, so that events begin and end."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    loudness = np.repeat(10.0 ** rng.uniform(-4, -0.3, count // (rate // 4) + 1), rate // 4)[:count]
    sound = rng.standard_normal(count) * loudness
    return np.clip(sound, -1, 1).astype(np.float32)


def as_s16(samples: NDArray[np.float32]) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def from_s16(data: bytes) -> NDArray[np.float32]:
    return (np.frombuffer(data, "<i2") * 2.0**-15).astype(np.float32)
