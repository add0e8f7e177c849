"""Where the clip of an event lies: asked for by other outputs, before and after it is finished."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from stream.outputs import clip_paths
from stream.outputs.clip_paths import ClipPaths
from tests.outputs.test_outputs import event, result

LONG = 30.0  # more than any test may take


def test_without_clips_nobody_waits() -> None:
    paths = ClipPaths()
    assert not paths.expected
    assert paths.wait(result(), event(3), LONG) is None
    assert paths.get(result(), event(3)) is None


def test_who_waits_is_told_when_the_clip_is_finished() -> None:
    paths = ClipPaths()
    paths.open()
    assert paths.expected
    assert paths.wait(result(stream="a"), event(3), 0.0) is None
    found: list[Path | None] = []
    waiting = threading.Thread(
        target=lambda: found.append(paths.wait(result(stream="a"), event(3), LONG)), daemon=True
    )
    waiting.start()
    paths.put("b", "", 3, Path("other stream"))
    paths.put("a", "", 4, Path("other event"))
    paths.put("a", "", 3, Path("its own"))
    waiting.join(LONG)
    assert found == [Path("its own")]


def test_who_waits_is_told_that_there_will_be_none() -> None:
    paths = ClipPaths()
    paths.open()
    paths.put("", "", 3, None)
    assert paths.wait(result(), event(3), LONG) is None
    waiting = threading.Thread(target=lambda: paths.wait(result(), event(4), LONG), daemon=True)
    waiting.start()
    paths.close()
    waiting.join(LONG / 2)
    assert not waiting.is_alive()


def test_who_waits_for_two_writers_gets_the_clip_of_the_one_that_writes_it() -> None:
    paths = ClipPaths()
    paths.open()
    paths.open()
    paths.put("", "", 3, None)
    assert paths.wait(result(), event(3), 0.0) is None
    found: list[Path | None] = []
    waiting = threading.Thread(target=lambda: found.append(paths.wait(result(), event(3), LONG)), daemon=True)
    waiting.start()
    paths.put("", "", 3, Path("of the other"))
    waiting.join(LONG)
    assert found == [Path("of the other")]
    paths.put("", "", 4, None)
    paths.put("", "", 4, None)
    begin = time.monotonic()
    assert paths.wait(result(), event(4), LONG) is None
    assert time.monotonic() - begin < LONG / 2  # at once


def test_of_two_writers_one_that_failed_does_not_hide_the_other() -> None:
    paths = ClipPaths()
    paths.put("", "", 3, None)
    paths.put("", "", 3, Path("first"))
    paths.put("", "", 3, Path("second"))
    assert paths.get(result(), event(3)) == Path("first")


def test_old_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_paths, "MOST_CLIPS", 2)
    paths = ClipPaths()
    for number in range(3):
        paths.put("", "", number, Path(str(number)))
    assert [paths.get(result(), event(number)) for number in range(3)] == [None, Path("1"), Path("2")]
