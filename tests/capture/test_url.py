"""Network addresses: what is shown, and what FFmpeg is given."""

from __future__ import annotations

import pytest

from stream.capture.network.url import for_ffmpeg, redacted


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
