"""Whether a machine can have microphones is found out by what lies there, and nothing is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.capture.device.presence import has_sound


def test_a_container_has_none(tmp_path: Path) -> None:
    cards = str(tmp_path / "snd")
    assert not has_sound({}, "linux", cards)
    assert not has_sound({"XDG_RUNTIME_DIR": str(tmp_path)}, "linux", cards)
    assert has_sound({}, "darwin", cards)


@pytest.mark.parametrize("name", ["pulse/native", "pipewire-0"])
def test_a_sound_server_is_one(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert has_sound({"XDG_RUNTIME_DIR": str(tmp_path)}, "linux", "/nonexistent")
    assert has_sound({"PULSE_SERVER": "tcp:house"}, "linux", "/nonexistent")


def test_a_card_that_only_plays_is_none(tmp_path: Path) -> None:
    (tmp_path / "pcmC0D0p").touch()
    assert not has_sound({}, "linux", str(tmp_path))
    (tmp_path / "pcmC0D0c").touch()
    assert has_sound({}, "linux", str(tmp_path))
