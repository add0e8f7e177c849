"""One list of what a recording may be called: for listening and for training."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.data.class_folders import audio_files
from stream import UnreadableAudio, open_source
from stream.capture.suffixes import AUDIO_SUFFIXES, RAW_SUFFIXES


def test_training_finds_every_recording_that_listening_reads(tmp_path: Path) -> None:
    names = [f"a{suffix}" for suffix in AUDIO_SUFFIXES] + ["B.WAV", "c.M4a"]
    for name in [*names, "notes.txt", "wav", *(f"raw{suffix}" for suffix in RAW_SUFFIXES)]:
        (tmp_path / name).touch()
    assert [path.name for path in audio_files(tmp_path)] == sorted(names)
    assert {".wav", ".wave", ".m4a", ".webm"} <= AUDIO_SUFFIXES


@pytest.mark.parametrize("suffix", sorted(AUDIO_SUFFIXES | RAW_SUFFIXES))
def test_a_name_with_such_a_suffix_is_a_file_and_not_a_device(suffix: str) -> None:
    with pytest.raises(UnreadableAudio, match="no such file") as caught:
        open_source(f"nothing{suffix.upper()}")
    assert caught.value.path == f"nothing{suffix.upper()}"
