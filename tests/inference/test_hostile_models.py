"""Model files and cards made to hurt: every one is refused with one of our errors, or works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.classifier import StreamClassifier
from stream.errors import CardInvalid, ModelError, StreamClassifyError
from stream.inference.card import Golden, ModelCard
from stream.inference.engine import LoneEngine
from stream.inference.onnx_file import read_model_file, scan
from stream.inference.session import Model
from stream.inference.verify import compare
from tests.support.hostile import damaged_bytes, damaged_graph, damaged_text, field, try_in_child
from tests.support.sounds import make
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
    script = (  # not ru_maxrss, which starts from the parent's
        "import resource, sys\nfrom stream.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    peak = int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
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
        if "--model" not in command:  # a process that listens keeps it
            assert after == before, "the limit must not outlive the loading"
    assert ran["large"].returncode not in (0, -9)
    assert "alloc" in ran["large"].stderr
    assert len(said) <= 2, "the error is one line, after FAILED"


def with_probs_plus(nodes: list[Any], model: Any) -> Any:
    """The toy graph with ``extra``, which these nodes make, added to its probabilities."""
    onnx = pytest.importorskip("onnx")
    (last,) = (n for n in model.graph.node if "probs" in n.output)
    last.output[0] = "before"
    model.graph.node.extend([*nodes, onnx.helper.make_node("Add", ["before", "extra"], ["probs"])])
    return model


def constant(model: Any, name: str, value: Any, dtype: Any) -> None:
    onnx = pytest.importorskip("onnx")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value, dtype), name))


def slow_model() -> bytes:
    """A kilobyte that multiplies two matrices of 16 000 by 16 000: a minute and more, at loading."""
    onnx = pytest.importorskip("onnx")
    node, model = onnx.helper.make_node, toy_graph()
    constant(model, "shape", [16_000, 16_000], np.int64)
    nodes = [
        node("ConstantOfShape", ["shape"], ["zeros"]),
        node("MatMul", ["zeros", "zeros"], ["product"]),
        node("ReduceMax", ["product"], ["extra"], keepdims=0),
    ]
    return toy_bytes(toy_card(), with_probs_plus(nodes, model))


def greedy_model() -> bytes:
    """Fills memory as loud as the sound is: nothing at loading, gigabytes at full scale."""
    onnx = pytest.importorskip("onnx")
    node, model = onnx.helper.make_node, toy_graph()  # which has a constant "one", [1]
    constant(model, "much", 1e9, np.float32)
    nodes = [
        node("ReduceMax", ["features"], ["loudest"], keepdims=0),
        node("Relu", ["loudest"], ["loud"]),
        node("Mul", ["loud", "much"], ["values"]),
        node("Cast", ["values"], ["count"], to=onnx.TensorProto.INT64),
        node("Add", ["count", "one"], ["size"]),
        node("ConstantOfShape", ["size"], ["zeros"]),
        node("ReduceMax", ["zeros"], ["extra"], keepdims=0),
    ]
    return toy_bytes(toy_card(), with_probs_plus(nodes, model))


@pytest.mark.skipif(sys.platform != "linux", reason="models are tried in a child process on Linux alone")
@pytest.mark.parametrize(
    "command",
    [["inspect"], ["--demo", "--fast", "--jsonl", "-", "--model"]],
)
def test_a_kilobyte_cannot_compute_for_a_minute(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "slow.onnx"
    path.write_bytes(slow_model())
    assert path.stat().st_size < 20_000
    done = subprocess.run(
        [sys.executable, "-m", "stream", *command, str(path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert "more than 10 s" in done.stderr or "ended the process" in done.stderr or "alloc" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2, "one line, after FAILED"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_memory_that_depends_on_the_sound_ends_in_a_line(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "greedy.onnx").write_bytes(greedy_model())
    quiet, loud = np.zeros(16000, np.float32), np.random.default_rng(0).uniform(-1, 1, 16000)
    for name, sound, code in (("quiet", quiet, 0), ("loud", np.concatenate([quiet, loud]), 5)):
        soundfile.write(tmp_path / f"{name}.wav", sound, 16000)
        done = subprocess.run(
            [sys.executable, "-m", "stream", "-m", "greedy.onnx", "-i", f"{name}.wav", "--fast", "--scores"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert done.stdout.count('"scores"') > 90, "what was reported before stays"
    assert "a step failed" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_more_operators_than_any_model_has_are_refused_before_onnx_runtime_sees_them() -> None:
    node = field(1, field(1, b"x") + field(2, b"x") + field(4, b"Identity"))
    for count, words in ((30_000, "operators"), (10, None)):
        data = field(7, node * count)
        if words is None:
            assert scan(data, "few") == {}
        else:
            with pytest.raises(ModelError, match=f"more than 20000 {words}"):
                scan(data, "many")


def test_millions_of_tiny_fields_are_refused() -> None:
    with pytest.raises(ModelError, match="fields"):
        scan(field(7, b"\x10\x01" * 3_000_000), "tiny")


def test_metadata_without_end_is_refused() -> None:
    entry = field(14, field(1, b"a") + field(2, b"x" * (40 << 20)))
    with pytest.raises(ModelError, match="64 MiB of metadata"):
        scan(field(7, b"") + entry * 2, "large")


@pytest.mark.parametrize(
    "change", [{"tolerance": 1e300}, {"tolerance": -1.0}, {"feature_tolerance": 1e300}, {"tolerance": 0.01}]
)
def test_a_file_does_not_set_what_its_proof_tolerates(change: dict[str, float]) -> None:
    """With its own limit any file is proven; 0.01 is for int8 weights alone."""
    model = Model.bundled("small")
    golden = Golden.from_metadata(scan(read_model_file(model.path), "small"))
    assert all(comparison.ok for comparison in compare(model, golden))
    with pytest.raises(CardInvalid, match=r"must be 0 to 0\.001 and 0 to 0\.05"):
        compare(model, msgspec.structs.replace(golden, **change))


class Broken(LoneEngine):
    """Gives ``value`` for the second class from its tenth row on."""

    value, rows = 0.0, 0

    def run(self, frames: np.ndarray) -> np.ndarray:
        probs = super().run(frames)
        before, self.rows = self.rows, self.rows + len(probs)
        probs[max(0, 10 - before) :, 1] = self.value
        return probs


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 13.43, -0.1, 1.001])
@pytest.mark.parametrize("size", [160, 1600, 32000])
def test_what_is_no_probability_never_becomes_a_result(value: float, size: int) -> None:
    model = Model(toy_bytes())
    engine = Broken(model)
    engine.value = value
    classifier = StreamClassifier(model, engine=engine)
    sound = make("speech", 16000)
    rows: list[int] = []

    def listen() -> None:
        rows.extend(len(classifier.push(sound[at : at + size]).scores) for at in range(0, len(sound), size))

    with pytest.raises(ModelError, match=r"gives .* for music at 0\.10 s, not a probability"):
        listen()
    assert sum(rows) <= 10


def test_rounding_above_one_is_a_probability() -> None:
    model = Model(toy_bytes())
    engine = Broken(model)
    engine.value = float(np.nextafter(np.float32(1), np.float32(2)))
    assert len(StreamClassifier(model, engine=engine).push(make("speech", 16000)).scores) > 100
