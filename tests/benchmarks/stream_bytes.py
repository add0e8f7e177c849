"""What a stream weighs: ``python -m tests.benchmarks.stream_bytes`` prints the size of its state, and of its replies.

Sound costs what its format says: 32 kB/s for 16 kHz in s16le.
"""

from __future__ import annotations

import json

import numpy as np

from stream.classifier import StreamClassifier
from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.access.access import Access
from stream.server.http.app import make_app
from stream.server.limits import Limits
from stream.server.station import Station
from stream.snapshot import pack
from tests.support.served import served
from tests.support.sounds import demo
from tests.support.stream_peer import Peer, as_s16

RATE = 16_000
LENIENT = Limits(lead_seconds=86_400, backlog_seconds=3600)
FRAME_BYTES = 4  # of a WebSocket, about each reply


def state_bytes(model: Model, rate: int) -> int:
    classifier = StreamClassifier(model)
    classifier.push(Chunk(np.resize(demo(rate), 5 * rate), 0, rate))
    return len(pack(classifier.snapshot()))


def reply_bytes(model: Model, scores: float | str) -> float:
    """A second, over the demo."""
    sound = demo(RATE)
    data = as_s16(sound)
    station = Station(models={"default": model}, load=lambda name, provider: model)
    with served(make_app(station, Access(), LENIENT)) as app, Peer(app.url) as peer:
        peer.hello(RATE, scores=scores)
        for at in range(0, len(data), 3200):
            peer.say(data[at : at + 3200])
        peer.end()
        said = sum(len(json.dumps(each, separators=(",", ":"))) + FRAME_BYTES for each in peer.got)
    return said * RATE / len(sound)


def main() -> None:
    for name in ("default", "small"):
        model = Model.bundled(name)
        for rate in (RATE, 48_000):
            print(f"{name}, {rate} Hz: a state of {state_bytes(model, rate)} bytes")
    model = Model.bundled()
    for scores in (10, "all", 0):
        print(f"default, scores {scores}: replies of {reply_bytes(model, scores):.0f} bytes a second")


if __name__ == "__main__":
    main()
