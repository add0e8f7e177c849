"""The scripts beside the benchmarks run, and their line is a line. No time is asserted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import curves, idle, test_ratios


def test_a_line_is_found_and_a_bend_is_seen() -> None:
    amount = [1.0, 2.0, 5.0, 100.0]
    straight = curves.Line.fit(amount, [3 + 2 * x for x in amount])
    assert (straight.fixed, straight.slope) == (pytest.approx(3), pytest.approx(2))
    assert "no point further off than 0%" in straight.words("N")
    bent = [5.0, 7.0, 13.0, 406.0]
    first = curves.Line.fit(amount, bent, [True, True, True, False])
    np.testing.assert_allclose(first.at(np.array([10.0])), [23.0])
    assert "with larger weights up to 100%" in first.words("N")


def test_curves_are_measured_and_drawn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    for name, value in {"STREAMS": [1, 2, 3], "SIZES": [4, 8, 300], "HIDDEN": 4}.items():
        monkeypatch.setattr(curves, name, value)
    monkeypatch.setattr(sys, "argv", ["curves", "--rounds", "1", "--out", str(tmp_path)])
    curves.main()
    said = capsys.readouterr().out
    assert "one push: " in said
    assert "a stream's step, 64 together: " in said
    for name in ("bench-streams.svg", "bench-hidden.svg"):
        assert "</svg>" in (tmp_path / name).read_text()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="CPU time is read from /proc")
def test_a_live_run_on_a_terminal_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "SETTLE", 2.0)
    said = idle.watch(["--input", "sim:noise?loop=forever"], 2.0, {})
    assert "% of a core" in said
    assert int(said.split(",")[2].split()[0]) > 100  # it did draw


def test_a_processor_is_held_to_its_own_record_and_another_to_the_lowest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "baseline.json"
    monkeypatch.setattr(test_ratios, "BASELINE", path)
    assert test_ratios.wanted("slab", "compiled", "this") is None
    kept = {"this": {"ratios": {"slab": 3.0}}, "that": {"ratios": {"slab": 2.0}}}
    path.write_text(json.dumps({"compiled": kept}))
    assert test_ratios.wanted("slab", "compiled", "this") == 3.0
    assert test_ratios.wanted("slab", "compiled", "unknown") == 2.0
    assert test_ratios.wanted("slab", "numpy", "this") is None
