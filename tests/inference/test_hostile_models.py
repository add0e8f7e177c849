"""Model files and cards made to hurt: every one is refused with one of our errors, or works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import StreamClassifyError
from stream.inference.card import ModelCard
from stream.inference.onnx_file import scan
from tests.support.hostile import damaged_bytes, damaged_graph, damaged_text, try_in_child
from tests.support.toy_models import toy_bytes, toy_card, toy_graph

CASES = int(os.environ.get("STREAM_CLASSIFY_FUZZ", "300"))


def refused(job: Callable[[], object]) -> bool:
    """Whether it was refused, in one line; any other error comes through."""
    try:
        job()
        return False
    except StreamClassifyError as error:
        message = str(error)
    assert "\n" not in message
    return True


def look_into(data: bytes) -> ModelCard:
    return ModelCard.from_metadata(scan(data, "hostile"))


@settings(max_examples=CASES, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400))
def test_any_bytes_as_a_model(data: bytes) -> None:
    refused(lambda: look_into(data))


@settings(max_examples=CASES, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**63))
def test_damaged_model_files(seed: int) -> None:
    data = damaged_bytes(toy_bytes(), np.random.default_rng(seed))
    refused(lambda: look_into(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=CASES, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*ModelCard.__struct_fields__]), JSON)
def test_a_card_with_any_value_anywhere(field: str, value: object) -> None:
    text = json.dumps(json.loads(toy_card().to_json()) | {field: value})
    if not refused(lambda: ModelCard.from_json(text)):
        for state in ModelCard.from_json(text).states:
            state.initial(2)


def test_onnx_runtime_survives_damaged_files(tmp_path: Path) -> None:
    """A third each: damaged bytes, damaged graphs in sound files, damaged cards over a sound graph."""
    rng = np.random.default_rng(1)
    whole, text = toy_bytes(), toy_card().to_json()
    left = max(3, CASES)
    while left > 0:
        cases = []
        for _ in range(min(left, 3000) // 3 + 1):
            cases += [
                damaged_bytes(whole, rng),
                damaged_graph(whole, rng),
                toy_bytes(damaged_text(text, rng)),
            ]
        assert list(try_in_child(cases, tmp_path)) == []
        left -= len(cases)


def hungry(values: int) -> bytes:
    """A working model that first fills this many float32 with zeros, and adds their largest to its answers."""
    onnx = pytest.importorskip("onnx")
    model = toy_graph()
    nodes, node = model.graph.node, onnx.helper.make_node
    shape = onnx.numpy_helper.from_array(np.array([values], np.int64), "huge")
    model.graph.initializer.append(shape)
    (answer,) = (n for n in nodes if "probs" in n.output)
    answer.output[0] = "rightly"
    nodes.extend(
        [
            node("ConstantOfShape", ["huge"], ["zeros"]),
            node("ReduceMax", ["zeros"], ["zero"], keepdims=0),
            node("Add", ["rightly", "zero"], ["probs"]),
        ]
    )
    return toy_bytes(toy_card(), model)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
@pytest.mark.parametrize(
    "command", [["verify"], ["inspect"], ["--demo", "--fast", "--jsonl", "-", "--model"]]
)
def test_a_few_bytes_cannot_take_all_memory(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "small.onnx").write_bytes(hungry(1000))
    (tmp_path / "large.onnx").write_bytes(hungry(10**9))
    script = (
        "import resource, sys\nfrom stream.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    print('peak', peak >> 10, resource.getrlimit(resource.RLIMIT_AS)[0], file=sys.stderr)\n"
    )
    ran = {
        name: subprocess.run(
            [sys.executable, "-c", script, *command, str(tmp_path / f"{name}.onnx")],
            capture_output=True, text=True, timeout=120, check=False,
        )
        for name in ("small", "large")
    }  # fmt: skip
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)[0]
    if command != ["verify"]:  # it has no proof to be verified
        assert ran["small"].returncode == 0, ran["small"].stderr
    for done in ran.values():
        *said, measured = done.stderr.strip().splitlines()
        peak, after = map(int, measured.split()[1:])
        assert peak < 1500, "MiB; the zeros alone are 3 800"
        assert after == before, "the limit must not outlive the loading"
    assert ran["large"].returncode not in (0, -9)
    assert "alloc" in ran["large"].stderr
    assert len(said) <= 2, "the error is one line, after FAILED"
