"""The parts of a network source that need no network: addresses, waits, and the way between two threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from stream.capture.backoff import Backoff
from stream.capture.network.mailbox import Mailbox
from stream.capture.network.url import for_ffmpeg, redacted
from stream.messages import Chunk


@pytest.mark.parametrize(
    ("url", "shown", "given"),
    [
        ("http://host/a", "http://host/a", "http://host/a"),
        ("HTTP://host:80/a@b", "http://host:80/a@b", "http://host:80/a@b"),
        ("http://host/a?token=x#y", "http://host/a?***", "http://host/a?token=x#y"),
        ("rtsp://u:p@h:554/s", "rtsp://***@h:554/s", "rtsp://u:p@h:554/s"),
        ("rtsp://u:a#b@h/s", "rtsp://***@h/s", "rtsp://u:a%23b@h/s"),
        ("rtsp://u:1#2@h/s", "rtsp://***@h/s", "rtsp://u:1%232@h/s"),
        ("rtsp://u:a/b@h/s", "rtsp://***@h/s", "rtsp://u:a%2Fb@h/s"),
        ("rtsp://u:a@b@h/s", "rtsp://***@h/s", "rtsp://u:a%40b@h/s"),
        ("rtsp://u:a%40b@h/s", "rtsp://***@h/s", "rtsp://u:a%40b@h/s"),
        ("rtsp://token@h/s", "rtsp://***@h/s", "rtsp://token@h/s"),
        ("http://[::1]:80/a", "http://[::1]:80/a", "http://[::1]:80/a"),
    ],
)
def test_addresses(url: str, shown: str, given: str) -> None:
    assert redacted(url) == shown
    assert for_ffmpeg(url) == given


def test_backoff_grows_to_its_limit_and_starts_anew() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next() == 0.5


def chunk(n: int, start: int = 0) -> Chunk:
    return Chunk(np.zeros(n, np.float32), start, 16_000)


def test_a_full_mailbox_makes_a_file_wait_and_end_releases_it() -> None:
    box = Mailbox(100, drop_oldest=False)
    box.put(chunk(200))  # alone, even a larger one passes
    writer = threading.Thread(target=box.put, args=(chunk(1, 200),), daemon=True)
    writer.start()
    assert box.get(10) is not None
    writer.join(20)
    assert not writer.is_alive()
    box.put(chunk(98, 201))
    writer = threading.Thread(target=box.put, args=(chunk(10, 299),), daemon=True)
    writer.start()
    box.end()
    writer.join(20)
    assert not writer.is_alive()
    assert not box.finished
    assert [got.start for got in (box.get(10), box.get(10)) if got is not None] == [200, 201]
    assert box.get(10) is None
    assert box.finished


def test_a_mailbox_hands_over_what_went_wrong_after_the_last_chunk() -> None:
    box = Mailbox(100, drop_oldest=True)
    box.put(chunk(5))
    box.end(RuntimeError("a fault in the reading thread"))
    assert box.get(10) is not None
    with pytest.raises(RuntimeError, match="reading thread"):
        box.get(10)
