"""Records in the tags of clips: read back as written, and nothing that a file of anybody could do harm with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from stream.outputs.clip_record import MARK, ClipRecord, is_clip, read_clip_record
from stream.outputs.flac import FlacDraft
from tests.support.clips import write_clip


def with_comment(folder: Path, comment: str, mark: str = "clip 1") -> Path:
    draft = FlacDraft(folder, 16_000)
    draft.write(np.zeros(1000, np.float32))
    return draft.finish("a", [(MARK, mark), ("COMMENT", comment)])


def fields(folder: Path) -> dict[str, Any]:
    record = read_clip_record(write_clip(folder / "good", 0, "dog"))
    assert record is not None
    found: dict[str, Any] = msgspec.to_builtins(record)
    return found


def test_a_record_comes_back(tmp_path: Path) -> None:
    good = fields(tmp_path)
    path = with_comment(tmp_path, msgspec.json.encode(good).decode())
    assert read_clip_record(path) == msgspec.convert(good, ClipRecord)
    assert is_clip(path)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": 0},
        {"start": -1.0},
        {"event_start": 1e308},
        {"event_end": "soon"},
        {"sample_rate": 0},
        {"event": {"type": "scores"}},
        {"silence": [{"start": 0.0, "duration": 1.0, "reason": "why not"}]},
        {"type": "event"},
    ],
)
def test_what_is_no_record_of_ours_is_none(change: dict[str, Any], tmp_path: Path) -> None:
    comment = msgspec.json.encode({**fields(tmp_path), **change}).decode()
    assert read_clip_record(with_comment(tmp_path, comment)) is None


@pytest.mark.parametrize("comment", ["", "{", "[]", "null", "[" * 3000, '{"x":' + "[" * 3000])
def test_what_is_no_json_is_none(comment: str, tmp_path: Path) -> None:
    assert read_clip_record(with_comment(tmp_path, comment)) is None
