"""A soak certifies a model that forgets, and each line of the certificate fails when its claim does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from stream.classifier import StreamClassifier
from stream.cli.soak import soak as soak_command
from stream.errors import SpecError
from stream.inference.card import StateSpec
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.soak.certificate import Certificate
from stream.soak.schedule import Schedule
from stream.soak.soak import INT32_END, soak
from tests.support.sounds import demo
from tests.support.toy_models import LABELS, toy_bytes, toy_card, toy_file

SHORT = 0.2  # hours


def drifting_model(step: float) -> Model:
    """Its only state adds up what it hears, without end, and shows in its probabilities."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    def constant(name: str, value: Any, dtype: Any = np.float32) -> Any:
        return numpy_helper.from_array(np.asarray(value, dtype), name)

    nodes = [
        helper.make_node("Abs", ["features"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["loud"], axes=[2], keepdims=1),  # (N, T, 1)
        helper.make_node("Mul", ["loud", "step"], ["more"]),
        helper.make_node("CumSum", ["more", "time"], ["so_far"]),
        helper.make_node("Unsqueeze", ["total", "time"], ["total3"]),  # (N, 1, 1)
        helper.make_node("Add", ["so_far", "total3"], ["sum"]),
        helper.make_node("Mul", ["sum", "wide"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probs"]),
        helper.make_node("Slice", ["sum", "last", "end", "time"], ["newest"]),
        helper.make_node("Squeeze", ["newest", "time"], ["total_out"]),
    ]
    constants = [
        constant("step", step),
        constant("time", [1], np.int64),
        constant("last", [-1], np.int64),
        constant("end", [2**60], np.int64),
        constant("wide", 1e-3 * np.ones((1, 1, len(LABELS)))),
    ]
    value, real = helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "drift",
        [value("features", real, ["N", "T", 40]), value("total", real, ["N", 1])],
        [value("probs", real, ["N", "T", len(LABELS)]), value("total_out", real, ["N", 1])],
        constants,
    )
    graph = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    state = StateSpec(input="total", output="total_out", shape=(-1, 1), batch_axis=0)
    return Model(toy_bytes(toy_card(states=(state,)), graph))


def failed(certificate: Certificate) -> str:
    return "\n".join(str(line) for line in certificate.lines if line.ok is False)


def test_a_model_that_forgets_is_certified() -> None:
    told: list[float] = []
    certificate = soak(
        Model(toy_bytes()), [demo(16000)], SHORT, seed=1, progress=lambda share, _: told.append(share)
    )
    assert certificate.ok, failed(certificate)
    assert certificate.start < INT32_END < certificate.end
    assert certificate.hours >= SHORT
    assert len(certificate.state_norms) == len(certificate.settle_seconds) == 4
    assert max(certificate.settle_seconds) < 30
    counts = next(line.detail for line in certificate.lines if "counted exactly" in line.claim)
    assert "(0" not in counts
    assert " 0" not in counts, "nothing was lost or repaired: no proof"
    events = next(line.detail for line in certificate.lines if "events" in line.claim)
    assert int(events.split()[0]) > 10
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_state_that_adds_up_is_not_certified() -> None:
    certificate = soak(drifting_model(1e-3), [demo(16000)], SHORT)
    assert not certificate.ok
    assert "norm of the carried state" in failed(certificate)
    assert "probabilities return" in failed(certificate)
    norms = certificate.state_norms
    assert norms == sorted(norms)
    assert norms[3] > 1.2 * norms[2]


def test_the_same_seed_gives_the_same_sound() -> None:
    def play(seed: int) -> list[Chunk]:
        schedule = Schedule([demo(16000)], 16000, 320, 16000, seed)
        return [chunk for kind in ("recordings", "damaged") for chunk in schedule.chunks(kind, 320_000)]

    first, again, other = play(3), play(3), play(4)
    assert len(first) == len(again)
    for a, b in zip(first, again, strict=True):
        assert a.start == b.start
        np.testing.assert_array_equal(a.samples, b.samples)
    assert [c.start for c in first] != [c.start for c in other]


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda r: _changed(r, repaired=r.repaired + 1), "counted exactly"),
        (lambda r: _changed(r, scores=_shifted(r.scores, sample=1)), "sample indices"),
        (lambda r: _changed(r, scores=_shifted(r.scores, probs=np.float32(np.nan))), "every probability"),
        (lambda r: _changed(r, events=r.events[::-1]), "events follow"),
    ],
    ids=["counts", "indices", "probabilities", "events"],
)
def test_each_line_fails_when_its_claim_does(spoil: Any, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier that errs in one way once the first minutes are over."""
    push = StreamClassifier.push

    def erring(self: StreamClassifier, sound: Any) -> Result:
        result = push(self, sound)
        late = self.end > INT32_END
        return spoil(result) if late and isinstance(sound, Chunk) else result

    monkeypatch.setattr(StreamClassifier, "push", erring)
    certificate = soak(Model(toy_bytes()), [demo(16000)], 0.05, seed=2)
    assert line in failed(certificate)


def _changed(result: Result, **changes: Any) -> Result:
    from msgspec.structs import replace

    return replace(result, **changes)


def _shifted(scores: Any, **by: Any) -> Any:
    from msgspec.structs import replace

    return replace(scores, **{name: getattr(scores, name) + value for name, value in by.items()})


def test_nothing_to_push_is_refused() -> None:
    for hours, recordings in ((0, [demo(16000)]), (1, []), (1, [np.zeros(10, np.float32)])):
        with pytest.raises(SpecError, match="recordings"):
            soak(Model(toy_bytes()), recordings, hours)


def test_the_command_prints_and_writes_the_certificate(tmp_path: Path) -> None:
    model, report = toy_file(tmp_path), tmp_path / "soak.json"
    args = ["--hours", "0.02", "--model", str(model), "--report", str(report), "--seed", "5"]
    result = CliRunner().invoke(soak_command, args)
    assert result.exit_code == 0, result.output
    assert "certified: nothing drifted" in result.stdout
    assert result.stdout.count("ok  ") >= 6
    assert "round 4 of 4" in result.stderr
    written = json.loads(report.read_text())
    assert written["seed"] == 5
    assert len(written["lines"]) == 7


def test_the_command_fails_with_the_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.soak.soak.PROBABILITY_TOLERANCE", -1.0)
    result = CliRunner().invoke(soak_command, ["--hours", "0.02", "--model", str(toy_file(tmp_path))])
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "NOT certified" in result.stdout


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_day() -> None:
    certificate = soak(Model.bundled(), [demo(16000)], 24.0)
    assert certificate.ok, failed(certificate)
