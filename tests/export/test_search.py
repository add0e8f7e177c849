"""The search: grouped folds, every combination, honest columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from click.testing import CliRunner  # noqa: E402

from export.cli.train import train as command  # noqa: E402
from export.data import read_dataset, split_dataset  # noqa: E402
from export.training.search import folded  # noqa: E402
from export.training.settings import parse_grid  # noqa: E402
from stream.errors import DataError, SpecError, UsageError  # noqa: E402
from tests.support.labelled import RATE, class_folder, hash_split_lists  # noqa: E402

pytestmark = pytest.mark.torch


def test_folds_never_hold_the_test_split_or_divide_a_speaker(tmp_path: Path) -> None:
    root = class_folder(tmp_path)
    hash_split_lists(root, ("s0",), ("s1", "s2"))
    parts = folded(split_dataset(read_dataset(root)), 3)
    validated: list[str] = []
    for part in parts:
        groups = {split: {r.group for r in part.part(split)} for split in ("train", "validation", "test")}
        assert not groups["test"]
        assert not groups["train"] & groups["validation"]
        assert not {"s1", "s2"} & (groups["train"] | groups["validation"])
        validated += sorted(groups["validation"])
    assert sorted(validated) == ["s0", "s3", "s4", "s5", "s6", "s7"]
    with pytest.raises(DataError, match="6 speakers or sources cannot make 9 folds"):
        folded(split_dataset(read_dataset(root)), 9)


def test_a_search_from_the_command_line(tmp_path: Path) -> None:
    class_folder(tmp_path / "d", speakers=6)
    arguments = [
        str(tmp_path / "d"), "--search", "hidden=4,8", "layers=1", "--folds", "2", "--epochs", "3", "-q",
        "-r", str(RATE), "--n-fft", "256", "--win-length", "200", "--hop-length", "80", "--n-mels", "20",
        "--n-mfcc", "13", "--cache", str(tmp_path / "c"), "-o", str(tmp_path / "found.json"),
    ]  # fmt: skip
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["folds"] == 2
    assert found["figure"] == "accuracy"
    by_hidden = {c["settings"]["hidden"]: c for c in found["candidates"]}
    assert set(by_hidden) == {"4", "8"}
    assert by_hidden["4"]["parameters"] == 3 * 4 * (13 + 4 + 2) + 2 * 5
    for candidate in found["candidates"]:
        assert len(candidate["scores"]) == 2
        assert candidate["mean"] == pytest.approx(sum(candidate["scores"]) / 2)
        assert candidate["microseconds"] > 0
    means = [c["mean"] for c in found["candidates"]]
    assert means == sorted(means, reverse=True)
    assert "parameters" in done.stdout


def test_the_words_of_a_search() -> None:
    assert parse_grid(["hidden=32,64", "layers=1"]) == {"hidden": ("32", "64"), "layers": ("1",)}
    for words in ([], ["hidden"], ["hidden="], ["=3"]):
        with pytest.raises(SpecError):
            parse_grid(words)
    with pytest.raises(UsageError, match="--search"):
        CliRunner().invoke(command, ["x", "hidden=3"], catch_exceptions=False)
