"""Quiet hours are kept as rows of the front, count once, and are given again only where nothing else helps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.teaching import quiet_hours
from export.teaching.background import Stretch
from export.teaching.folder import QUIET, known_sounds
from export.teaching.front import Front, bundled_front
from export.teaching.head import Head
from export.teaching.quiet_hours import AllHours, all_hours, heard_quietly, keep_hours

RATE = 16_000


@pytest.fixture(scope="module")
def front() -> Front:
    return bundled_front()


def night(seed: int, seconds: float = 3.0) -> Stretch:
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, 0.001, round(seconds * RATE)).astype(np.float32)
    sound[RATE : RATE + 8000] += rng.normal(0, 0.1, 8000).astype(np.float32)
    return Stretch(sound, (len(sound),), (f"night{seed}.wav",))


def a_head(front: Front) -> Head:
    """With weights that make logits of about 10."""
    rng = np.random.default_rng(1)
    return Head(
        (0, 8, 24), rng.normal(0, 0.2, (3, front.card.width, 2)).astype(np.float32), np.zeros(2, np.float32)
    )


def kept(folder: Path, front: Front, *given: Stretch) -> AllHours:
    hours = all_hours(folder, given, front)
    keep_hours(folder, hours.new)
    return hours


def logits(hours: AllHours, front: Front) -> list[NDArray[np.float32]]:
    return [each.logits(a_head(front)) for each in hours.counted]


@pytest.mark.parametrize("block", [0.1, 1.0, 60.0])
def test_a_head_is_given_what_it_would_be_to_rounding(
    block: float, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet_hours, "BLOCK_SECONDS", block)
    hours = heard_quietly(night(0), front)
    want = a_head(front).logits(front.rows(night(0).samples))
    got = hours.logits(a_head(front))
    assert got.shape == want.shape == (len(hours), 2)
    assert np.abs(want).max() > 5
    np.testing.assert_allclose(got, want, rtol=0, atol=0.3)
    assert np.sqrt(np.mean((got - want) ** 2)) < 0.05


def test_what_is_kept_counts_as_what_was_given_and_once(tmp_path: Path, front: Front) -> None:
    first = kept(tmp_path, front, night(0), night(1), night(0))
    assert [each.name for each in first.counted] == ["night0.wav", "night1.wav"]
    again = kept(tmp_path, front)
    assert again.new == ()
    assert again.warnings == ()
    more = kept(tmp_path, front, night(2), night(1))
    assert [each.name for each in more.new] == ["night2.wav"]
    assert sorted(each.name for each in more.counted) == ["night0.wav", "night1.wav", "night2.wav"]
    given = {each.digest: rows for each, rows in zip(first.counted, logits(first, front), strict=True)}
    for each, rows in zip(again.counted, logits(again, front), strict=True):
        np.testing.assert_array_equal(rows, given[each.digest])
    assert known_sounds(tmp_path) == []
    for file in (tmp_path / QUIET).iterdir():
        file.unlink()
    assert kept(tmp_path, front) == AllHours((), (), ())


def test_another_front_asks_for_them_again(tmp_path: Path, front: Front) -> None:
    kept(tmp_path, front, night(0), night(1, 3.6))
    other = dataclasses.replace(front, digest="another")
    hours = kept(tmp_path, other)
    assert hours.counted == ()
    assert hours.warnings == (
        "0.0018 quiet hours were heard by another front, and do not count; give them again by --quiet",
    )
    hours = kept(tmp_path, other, night(1, 3.6))
    assert [each.name for each in hours.counted] == ["night1.wav"]
    assert [line[:9] for line in hours.warnings] == ["0.00083 q"]
    kept(tmp_path, other, night(0))
    hours = kept(tmp_path, other)
    assert len(hours.counted) == 2
    assert hours.warnings == ()


def test_what_has_no_room_counts_once_and_says_so(
    tmp_path: Path, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(heard_quietly(night(0), front).codes)
    monkeypatch.setattr(quiet_hours, "MOST_BYTES", round(2.5 * size))
    hours = kept(tmp_path, front, *map(night, range(4)))
    assert len(hours.counted) == 4
    assert len(hours.new) == 2
    (line,) = hours.warnings
    assert line.startswith("2 of the quiet recordings count this time only")
    assert len(kept(tmp_path, front).counted) == 2
    hours = kept(tmp_path, front, night(3))
    assert (len(hours.counted), len(hours.new)) == (3, 0)


@pytest.mark.parametrize("damage", [b"", b"RIFF", b"cut", b"codes"])
def test_a_damaged_file_is_told_and_replaced(damage: bytes, tmp_path: Path, front: Front) -> None:
    kept(tmp_path, front, night(0))
    (file,) = (tmp_path / QUIET).iterdir()
    whole = file.read_bytes()
    if damage == b"cut":
        damage = whole[: len(whole) // 2]
    elif damage == b"codes":  # all parts are there, and do not fit
        damage = whole.replace(b"\xa5width\xcc\xa0", b"\xa5width\xcc\xa1")
        assert damage != whole
    file.write_bytes(damage)
    hours = kept(tmp_path, front)
    assert hours.counted == ()
    assert [line.startswith(f"{file}: cannot be read") for line in hours.warnings] == [True]
    assert len(kept(tmp_path, front, night(0)).counted) == 1
    assert file.read_bytes() == whole


def test_nothing_long_enough_for_a_row_is_no_quiet(tmp_path: Path, front: Front) -> None:
    assert kept(tmp_path, front, night(0)).counted
    short = Stretch(np.zeros(100, np.float32), (100,), ("short.wav",))
    assert [each.name for each in kept(tmp_path, front, short).counted] == ["night0.wav"]
