"""The benchmark measures what it says, and its table and its JSON hold the same figures. No time is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream.bench import peers
from stream.bench.report import as_data, ratios, table
from stream.bench.timing import Case, measure
from stream.cli.bench import bench
from tests.support.toy_models import toy_file


class Clock:
    """Time passes only when a case works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def worker(clock: Clock, seconds: float, log: list[str], name: str):  # type: ignore[no-untyped-def]
    def work() -> None:
        clock.now += seconds
        log.append(name)

    return work


def test_figures_are_of_the_work_and_rounds_are_interleaved() -> None:
    clock, log = Clock(), []
    cases = [
        Case("ours", "ours", worker(clock, 0.002, log, "ours"), 0.01),
        Case("peer", "peer", worker(clock, 0.012, log, "peer"), 0.02, units=2, against="ours"),
    ]
    timings = measure(cases, rounds=5, clock=clock)
    assert timings["ours"].median == pytest.approx(2000)
    assert timings["peer"].median == pytest.approx(6000)  # a unit, of which a call has two
    assert timings["peer"].per_second == pytest.approx(600_000)
    assert ratios(timings) == {"peer": pytest.approx(3.0)}
    turns = "".join(name[0] for name in log[-15:])
    assert turns == "oop" * 5  # two calls of ours and one of the peer's fill a turn
    assert len(timings["ours"].calls) == 10


def test_the_garbage_collector_is_put_back() -> None:
    import gc

    assert gc.isenabled()
    seen: list[bool] = []
    measure([Case("one", "one", lambda: seen.append(gc.isenabled()), 1.0)], rounds=2)
    assert gc.isenabled()
    assert not seen[-1]


def test_the_command_prints_a_plain_table_and_writes_json(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    args = [
        "--model",
        str(toy_file(tmp_path)),
        "--streams",
        "8",
        "--rounds",
        "1",
        "--no-peers",
        "--json",
        str(out),
    ]
    result = CliRunner().invoke(bench, args)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    data = json.loads(out.read_text())
    ours = {
        "features_hop",
        "features_whole",
        "kernel",
        "step",
        "step_plain",
        "arithmetic",
        "floor",
        "hop",
        "whole",
    }
    ours |= {"repair", "decision"}
    files = {"flac_16000", "flac_16000_decode", "flac_44100", "flac_44100_decode"}
    assert set(data["cases"]) - {"kernel_numpy"} == ours | files | {"slab_8"}
    assert ("kernel_numpy" in data["cases"]) == (data["machine"]["features"] == "compiled")
    for case in data["cases"].values():
        assert case["label"] in result.stdout
        assert 0 < case["best_us"] <= case["median_us"] <= case["p99_us"]
    assert data["cases"]["step_plain"]["ratio"] > 0
    assert data["machine"]["numpy"]
    assert data["process"]["first_probability_seconds"] > data["process"]["help_seconds"] > 0
    assert data["step_over_floor"] > 0
    assert f"features {data['machine']['features']}" in result.stdout


def test_a_missing_peer_is_said_in_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from stream import MfccSpec

    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    cases, missing = peers.peer_cases(MfccSpec(), np.zeros(16000, np.float32))
    assert not cases
    assert missing == [
        f"{name}: not installed" for name in ("librosa", "kaldi_native_fbank", "silero_vad", "torch")
    ]
    assert "librosa: not installed" in table(as_data({}, {}, {}, missing))
