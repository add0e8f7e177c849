"""--group and --loud as users meet them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import ROOT, stream_classify
from tests.support.toy_models import toy_file


def test_groups_and_loud_are_classes_like_others(tmp_path: Path) -> None:
    model = toy_file(tmp_path)
    done = stream_classify(
        *("--model", str(model), "--input", "assets/demo.ogg", "--fast", "--jsonl", "--scores"),
        *("--group", "any=speech, music", "--loud", "-20dBFS", "--threshold", "0.9", "--min-on", "loud=0.2"),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    probs = next(record["probs"] for record in records if record["type"] == "scores")
    assert list(probs) == ["speech", "music", "noise", "any", "loud"]
    assert probs["any"] == max(probs["speech"], probs["music"])
    assert "loud" in {record.get("label") for record in records}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--group", "any=speach"], "perhaps speech"),
        (["--group", "any"], "NAME=LABEL"),
        (["--group", "any=speech", "--group", "any=music"], "already"),
        (["--loud", "very"], "such as -20dBFS"),
        (["--threshold", "lod=0.3", "--loud", "-20"], "no class 'lod'"),
    ],
)
def test_wrong_ones_are_refused_in_a_line(options: list[str], words: str) -> None:
    done = stream_classify("--demo", *options)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
