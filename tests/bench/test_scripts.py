"""The scripts beside the benchmarks run, and their line is a line. No time is asserted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.benchmarks import checkouts, curves, idle, test_ratios, twins, unchanged
from tests.support.sounds import demo


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
    monkeypatch.setattr(idle, "SETTLE_SECONDS", 2.0)
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


def test_both_paths_of_a_twin_are_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(twins, "TURN_SECONDS", 0.001)
    monkeypatch.setattr(twins, "BUNDLED_MODELS", ())
    twins.main(["--rounds", "2", "--only", "smoothing"])
    (line,) = capsys.readouterr().out.splitlines()[2:]
    model, name, *figures = line.split()
    assert (model, name) == ("gru-64", "smoothing._push_one")
    assert all(float(figure) > 0 for figure in figures)
    assert len(figures) == 6


def test_paths_that_differ_are_not_timed() -> None:
    with pytest.raises(SystemExit, match="a stage: hop 1 differs"):
        twins.check(twins.Twin("a stage", 2, iter([1, 2]).__next__, iter([1, 3]).__next__))


def test_a_changed_bit_or_event_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recorded and compared with itself all is the same; with a model that differs in one bit, and where, is said."""
    monkeypatch.setattr(unchanged, "MODELS", ("small",))
    (tmp_path / "data" / "talk").mkdir(parents=True)
    soundfile.write(tmp_path / "data" / "talk" / "a.flac", demo(44100)[: 5 * 44100], 44100)
    monkeypatch.setenv("STREAM_CLASSIFY_DATA", str(tmp_path / "data"))
    kept = str(tmp_path / "kept.npz")
    assert unchanged.main(["--record", kept]) == 0
    assert unchanged.main(["--compare", kept]) == 0
    assert "4 of 4 streams" in capsys.readouterr().out
    stream = unchanged.file_stream

    def one_bit_off(model: object, path: Path) -> unchanged.Heard:
        heard = stream(model, path)  # type: ignore[arg-type]
        if path.name == "a.flac":
            heard["probs"][7, 1] = np.nextafter(heard["probs"][7, 1], np.float32(2))
        else:
            heard["events"][0][4] += 1e-9
        return heard

    monkeypatch.setattr(unchanged, "file_stream", one_bit_off)
    assert unchanged.main(["--compare", kept]) == 1
    said = capsys.readouterr().out
    assert "small talk/a.flac: probs differs in 1 of " in said
    assert "from row 7" in said
    assert "small demo.ogg: events were" in said
    assert "2 of 4 streams" in said


def test_a_checkout_is_compared_with_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkouts.main([str(checkouts.ROOT), "--rounds", "1", "--only", "hop, small"])
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.startswith("live hop, small")
    assert float(line.split()[-1]) > 0
    assert checkouts.compare(iter([2.0, 6.0, 4.0]).__next__, iter([1.0, 2.0, 4.0]).__next__, 3) == (4, 2, 2)
