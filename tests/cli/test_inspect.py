"""``inspect``, ``verify`` and ``schema``: what they print about a model and about our lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream.cli.verify import kernel_note
from stream.features.kernel import kernel_name
from stream.features.spec import WaveformSpec
from tests.support.command import stream_classify
from tests.support.toy_models import toy_card, toy_file, toy_graph


def test_inspect_says_front_end_kernel_and_id_in_words() -> None:
    from stream import Model

    model = Model.bundled("small", provider="cpu")
    done = stream_classify("inspect", "small")
    assert done.returncode == 0, done.stderr
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert ["id", model.id] in rows
    assert ["kind", "mfcc"] in rows
    assert ["frame", "48 values from 512 samples (32 ms), one every 320 samples (20 ms)"] in rows
    assert f"kernel here       {kernel_name(model.card.features)}" in done.stdout


def test_inspect_knows_front_ends_that_are_not_mfcc(tmp_path: Path) -> None:
    spec = WaveformSpec(frame_length=400, hop_length=160)
    toy_file(tmp_path, toy_card(features=spec), toy_graph(400))
    done = stream_classify("inspect", "toy.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "waveform" in done.stdout
    assert "400 values from 400 samples (25 ms), one every 160 samples (10 ms)" in done.stdout


def test_a_card_cannot_steer_the_terminal(tmp_path: Path) -> None:
    toy_file(tmp_path, toy_card(description="\x1b]0;owned\x07 harmless"))
    done = stream_classify("inspect", "toy.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "harmless" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_verify_says_when_another_kernel_runs_here() -> None:
    here = kernel_name(toy_card().features)
    other = "numpy" if here == "compiled" else "compiled"
    assert kernel_note(toy_card()) == ""
    assert kernel_note(toy_card(provenance={"export": {"feature_kernel": here}})) == ""
    note = kernel_note(toy_card(provenance={"export": {"feature_kernel": other}}))
    assert f"exported with the {other} feature kernel, {here} runs here" in note


@pytest.mark.torch
def test_an_exported_model_says_which_kernel_it_was_proven_with(tmp_path: Path) -> None:
    """The exporter's own card, read by verify where the compiled kernel is kept out."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from export import to_onnx
    from stream.inference.card import ModelCard

    card = ModelCard(name="mine", labels=("a", "b"), activation="softmax", features=toy_card().features)
    to_onnx(torch.nn.Linear(40, 2), str(tmp_path / "mine.onnx"), card)
    done = stream_classify("verify", "mine.onnx", cwd=tmp_path, STREAM_CLASSIFY_NATIVE="0")
    assert done.returncode == 0, done.stderr
    assert ("compiled feature kernel, numpy runs here" in done.stdout) == (
        kernel_name(card.features) == "compiled"
    )


def test_schema_prints_the_schema_of_the_lines() -> None:
    schema = pytest.importorskip("stream.outputs.schema")
    done = stream_classify("schema")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == schema.json_schema()
