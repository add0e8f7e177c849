"""Loading, refusing and stepping models: options read back, every refusal, purity, stride and delay, the proof."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.errors import (
    CardInvalid,
    CardMissing,
    ModelError,
    NotOnnx,
    ProofFailed,
    ProviderUnavailable,
    SpecError,
    UnknownSchema,
    UsageError,
)
from stream.features.mfcc import mfcc
from stream.inference.card import (
    GOLDEN_KEY,
    MAX_STATE,
    Golden,
    ModelCard,
    StateSpec,
    pack_array,
    unpack_array,
)
from stream.inference.engine import SlabEngine
from stream.inference.onnx_file import scan
from stream.inference.options import session_options
from stream.inference.session import Model
from stream.inference.verify import verify
from tests.support.hostile import field
from tests.support.sounds import make
from tests.support.toy_models import HIDDEN, toy_bytes, toy_card, toy_file, toy_graph

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT = onnx.TensorProto.FLOAT


def card_json(**changes: Any) -> str:
    """The toy card with fields replaced, without the checks of its class."""
    return json.dumps(json.loads(toy_card().to_json()) | changes)


def state(**changes: Any) -> list[dict[str, Any]]:
    fields = {"input": "h0", "output": "h0_out", "shape": [1, -1, HIDDEN], "batch_axis": 1}
    return [fields | changes]


# ---- how ONNX Runtime is run


def test_session_options_as_onnx_runtime_reads_them_back() -> None:
    import onnxruntime as ort

    for options in (session_options(), Model(toy_bytes()).session.get_session_options()):
        assert options.intra_op_num_threads == 1
        assert options.inter_op_num_threads == 1
        assert options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
    for key in ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning"):
        assert session_options().get_session_config_entry(key) == "0"
    assert session_options().log_severity_level == 4, "errors are raised; printed too they spoil the one line"


def test_a_step_uses_one_thread() -> None:
    """The process gets no thread from loading and running a model."""
    task = Path("/proc/self/task")
    if not task.is_dir():
        pytest.skip("counts threads in /proc")
    before = len(list(task.iterdir()))
    model = Model(toy_bytes())
    model.step(np.zeros((4, 500, 40), np.float32), model.initial_state(4))
    assert len(list(task.iterdir())) == before


def test_cuda_that_is_not_there() -> None:
    import onnxruntime as ort

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(ProviderUnavailable, match="onnxruntime-gpu"):
        Model(toy_bytes(), provider="cuda")
    with pytest.raises(UsageError, match="auto, cpu, cuda"):
        Model(toy_bytes(), provider="tpu")  # type: ignore[arg-type]
    assert Model(toy_bytes(), provider="auto").provider == "cpu"


# ---- files that are no models


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", NotOnnx),
        (b"this is a text file\nwith two lines\n", NotOnnx),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), NotOnnx),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", NotOnnx),
        (bytes(1000), NotOnnx),
        (b"\xff" * 1000, NotOnnx),
    ],
    ids=["empty", "text", "png", "wav", "zeros", "ones"],
)
def test_not_onnx(content: bytes, kind: type[Exception], tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(kind, match=r"x\.onnx"):
        Model.load(path)


def test_truncated_anywhere() -> None:
    data = toy_bytes()
    for cut in range(1, len(data), 97):
        with pytest.raises(ModelError):
            Model(data[:cut])


def test_unreadable_paths(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        Model.load(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="is a folder"):
        Model.load(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        Model.load(tmp_path / ("x" * 5000))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # nobody writes: reading it would wait for ever
        with pytest.raises(ModelError, match="not a regular file"):
            Model.load(tmp_path / "pipe")
        with pytest.raises(ModelError, match="not a regular file"):
            Model.load("/dev/zero")


# ---- cards


def test_no_card() -> None:
    with pytest.raises(CardMissing, match="export"):
        Model(bytes(toy_graph().SerializeToString()))


@pytest.mark.parametrize("schema", [3, 99, 10**30, 0, -1])
def test_unknown_schema(schema: int) -> None:
    with pytest.raises(UnknownSchema, match=r"schema .* upgrade"):
        Model(toy_bytes(card_json(schema=schema, something_new=1)))


CONTRADICTIONS: dict[str, tuple[str, str]] = {
    "other F": (card_json(features={"type": "mfcc", "n_mfcc": 13}), "'features' has shape"),
    "other C": (card_json(labels=["a", "b"]), "'probs' has shape"),
    "no states": (card_json(states=[]), "wants h0"),
    "a state too many": (
        card_json(states=state() + state(input="c0", output="c0_out")),
        "no state input named 'c0'",
    ),
    "state output missing": (card_json(states=state(output="nowhere")), "no state output named 'nowhere'"),
    "other hidden size": (card_json(states=state(shape=[1, -1, 17])), "'h0' has shape"),
    "other rank": (card_json(states=state(shape=[-1, HIDDEN], batch_axis=0)), "'h0' has shape"),
    "other type": (card_json(states=state(dtype="int64")), "'h0' is tensor"),
    "other input": (card_json(input="mfcc"), "no input named 'mfcc'"),
    "other output": (card_json(output="logits"), "no output named 'logits'"),
    "other stride": (card_json(stride=2), r"give \[1, 2, 3\], not \[1, 1, 3\]"),
}


@pytest.mark.parametrize(("card", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_card_that_contradicts_its_graph(card: str, words: str) -> None:
    with pytest.raises(CardInvalid, match=words):
        Model(toy_bytes(card))


def test_an_input_that_the_card_does_not_explain() -> None:
    model = toy_graph()
    model.graph.input.add().CopyFrom(helper.make_tensor_value_info("speaker", FLOAT, ["N", 8]))
    with pytest.raises(CardInvalid, match="speaker"):
        Model(toy_bytes(toy_card(), model))


@pytest.mark.parametrize(("port", "axis", "size"), [(1, 1, 1), (1, 1, 2), (0, 0, 2), (0, 1, 1), (0, 1, 3)])
def test_a_fixed_batch_or_time_axis_is_found_out(port: int, axis: int, size: int) -> None:
    model = toy_graph()
    model.graph.input[port].type.tensor_type.shape.dim[axis].dim_value = size
    with pytest.raises(CardInvalid, match="streams of"):
        Model(toy_bytes(toy_card(), model))


def test_a_name_that_is_no_text() -> None:
    """Found by fuzzing: asking ONNX Runtime for such a name raises UnicodeDecodeError."""
    data = toy_bytes()
    with pytest.raises(NotOnnx, match="UTF-8"):
        Model(data.replace(b"h0_out", b"h0\xceout"))


REFUSED_CARDS: dict[str, dict[str, Any]] = {
    "unknown field": {"colour": "red"},
    "wrong type": {"name": 5},
    "no labels": {"labels": []},
    "labels twice": {"labels": ["a", "a", "b"]},
    "control characters": {"labels": ["a", "b\x1b[31m", "c"]},
    "blank label": {"labels": ["a", " ", "c"]},
    "stride 0": {"stride": 0},
    "stride that costs memory": {"stride": 10**12},
    "delay beyond integers": {"delay": 10**30},
    "negative warm-up": {"warmup": -1},
    "no receptive field": {"receptive_field": 0},
    "unknown activation": {"activation": "relu"},
    "detector rule for no class": {"detector": {"classes": {"dog": {}}}},
    "threshold 2": {"detector": {"default": {"threshold": 2}}},
    "smoothing for an hour": {"detector": {"default": {"smoothing": 3600}}},
    "hop 0": {"features": {"hop_length": 0}},
    "a mel bank without width": {"features": {"f_max": 1e-320}},
    "floor that is zero in float32": {"features": {"log_floor": 1e-320}},
    "batch axis elsewhere": {"states": state(batch_axis=0)},
    "two batch axes": {"states": state(shape=[-1, -1, 16])},
    "size 0": {"states": state(shape=[0, -1, 16])},
    "size beyond integers": {"states": state(shape=[1, -1, 10**400])},
    "too much state": {"states": state(shape=[1, -1, MAX_STATE + 1])},
    "state twice": {"states": state() + state()},
    "init not float32": {"states": state(init=1e300)},
    "init not whole": {"states": state(dtype="int64", init=0.5)},
    "init of another size": {"states": state(init=pack_array(np.zeros(5, np.float32)))},
    "init not base64": {"states": state(init="%%%%")},
}


@pytest.mark.parametrize("changes", REFUSED_CARDS.values(), ids=REFUSED_CARDS.keys())
def test_refused_cards(changes: dict[str, Any]) -> None:
    with pytest.raises(CardInvalid) as caught:
        Model(toy_bytes(card_json(**changes)))
    assert "\n" not in str(caught.value)


def test_a_card_survives_its_own_json() -> None:
    card = toy_card(warmup=7, delay=2, metrics={"f1": 0.5}, sources=("x: CC0",))
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_packed_arrays(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    np.testing.assert_array_equal(unpack_array(pack_array(array), dtype, (2, 3)), array)
    with pytest.raises(SpecError, match="packed array"):
        unpack_array(pack_array(array), dtype, (4, 3))


# ---- what a file must not do


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """Paths opened by this process meanwhile, by Python code; native code is caught by the pipe that blocks."""
    seen: list[str] = []
    active = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event == "open":
            seen.append(str(arguments[0]))

    sys.addaudithook(hook)
    try:
        yield seen
    finally:
        active = False


def external_model(folder: Path, location: str) -> Path:
    """A model whose head is in another file, as onnx itself saves it."""
    path = folder / "toy.onnx"
    model = toy_graph()
    entry = model.metadata_props.add()
    entry.key, entry.value = "stream_classify.card", toy_card().to_json()
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (folder / "weights.bin").unlink()
    data = path.read_bytes()
    loaded = onnx.ModelProto.FromString(data)
    for tensor in loaded.graph.initializer:
        for item in tensor.external_data:
            if item.key == "location":
                item.value = location
    path.write_bytes(loaded.SerializeToString())
    return path


def test_weights_in_another_file_are_refused_and_nothing_is_opened(tmp_path: Path) -> None:
    """The other file is a pipe without a writer outside the model's folder: opening it would block."""
    inside = tmp_path / "model"
    inside.mkdir()
    os.mkfifo(tmp_path / "secret.bin")
    path = external_model(inside, "../secret.bin")
    with opened_files() as seen, pytest.raises(ModelError, match="another file"):
        Model.load(path)
    assert [Path(p).name for p in seen if str(tmp_path) in p] == ["toy.onnx"]


def hidden_external(extra: int, location_value: int) -> bytes:
    """An external tensor whose fields are written so that a lenient reader does not see them, but protobuf,
    which keeps 32 bits of a key and of an enum, does."""
    model = toy_graph()
    entry = model.metadata_props.add()
    entry.key, entry.value = "stream_classify.card", toy_card().to_json()
    graph = model.graph
    head = next(t for t in graph.initializer if t.name == "head")
    size = len(head.raw_data)
    head.ClearField("raw_data")
    pairs = {"location": "secret.bin", "offset": "0", "length": str(size)}
    evil = head.SerializeToString()
    for key, value in pairs.items():
        evil += field(13, field(1, key.encode()) + field(2, value.encode()), extra=extra)
    from tests.support.hostile import varint

    evil += varint((14 << 3) + extra) + varint(location_value)
    kept = [t for t in graph.initializer if t.name != "head"]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    body = graph.SerializeToString() + field(5, evil)
    model.ClearField("graph")
    return bytes(model.SerializeToString() + field(7, body))


@pytest.mark.parametrize(("extra", "value"), [(0, 1), (2**32, 1), (2**35, 1), (0, 2**32 + 1)])
def test_external_weights_cannot_hide(
    extra: int, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would look for the file
    size = HIDDEN * 3 * 4
    (tmp_path / "secret.bin").write_bytes(bytes(size))
    with pytest.raises(ModelError, match=r"another file|not an ONNX file"):
        Model(hidden_external(extra, value))


def test_bytes_that_are_two_formats_are_read_as_onnx() -> None:
    """ONNX Runtime takes bytes 4 to 8 "ORTM" for its own format, which nobody has looked into."""
    data = field(2, b"\0\0ORTM" + bytes(10)) + toy_bytes()
    assert data[4:8] == b"ORTM"
    assert Model(data).labels == toy_card().labels


def with_node(op: str, domain: str = "", **attributes: Any) -> bytes:
    model = toy_graph()
    model.graph.node.add().CopyFrom(
        helper.make_node(op, ["features"], ["unused"], domain=domain, **attributes)
    )
    return toy_bytes(toy_card(), model)


def inner_graph() -> Any:
    return helper.make_graph([], "inner", [], [])


def scanning(node: Any) -> bytes:
    return with_node("Scan", body=helper.make_graph([node], "inner", [], []), num_scan_inputs=1)


REFUSED_NODES: dict[str, Callable[[], bytes]] = {
    "Loop": lambda: with_node("Loop", body=inner_graph()),
    "If": lambda: with_node("If", then_branch=inner_graph(), else_branch=inner_graph()),
    "a loop in a Scan": lambda: scanning(helper.make_node("Loop", ["x"], ["y"], body=inner_graph())),
    "a Scan in a Scan": lambda: scanning(helper.make_node("Scan", ["x"], ["y"], body=inner_graph())),
    "a foreign operator in a Scan": lambda: scanning(helper.make_node("Anything", ["x"], ["y"], domain="my")),
    "bodies in a list": lambda: with_node("Scan", body=[inner_graph()], num_scan_inputs=1),
    "SequenceMap": lambda: with_node("SequenceMap", body=inner_graph()),
    "a search with a graph": lambda: with_node("BeamSearch", "com.microsoft", decoder=inner_graph()),
    "graphs in a list": lambda: with_node("Add", bodies=[inner_graph()]),
    "foreign domain": lambda: with_node("Anything", "my.plugin"),
    "PyOp": lambda: with_node("PyOp", "ai.onnx.contrib"),
}


@pytest.mark.parametrize("data", REFUSED_NODES.values(), ids=REFUSED_NODES.keys())
def test_control_flow_and_foreign_operators_are_refused(data: Callable[[], bytes]) -> None:
    with pytest.raises(ModelError, match=r"not allowed|a graph of its own"):
        scan(data(), "x")


def test_a_loop_over_the_frames_it_is_given_is_not() -> None:
    scan(scanning(helper.make_node("Add", ["x", "x"], ["y"])), "x")


def test_local_functions_training_and_two_graphs_are_refused() -> None:
    for number in (20, 25):
        with pytest.raises(ModelError, match=r"local functions|training steps"):
            scan(toy_bytes() + field(number, b""), "x")
    with pytest.raises(NotOnnx, match="no graph"):  # protobuf would merge them behind our back
        scan(toy_bytes() + field(7, b""), "x")


def weights_cut_short() -> bytes:
    model = toy_graph()
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:8]
    return toy_bytes(toy_card(), model)


def an_edge_that_is_no_text() -> bytes:
    """ONNX Runtime's message holds the name, which raises UnicodeDecodeError in its own Python layer."""
    before, after = toy_bytes().rsplit(b"logits", 1)
    return before + b"logit\xce" + after


@pytest.mark.parametrize(
    "data", [lambda: with_node("NoSuchOperator"), weights_cut_short, an_edge_that_is_no_text]
)
def test_what_onnx_runtime_refuses_is_one_line(
    data: Callable[[], bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotOnnx, match="refuses it") as caught:
        Model(data())
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", ""), "ONNX Runtime must not print beside our message"


def test_probabilities_outside_0_to_1_are_refused() -> None:
    model = toy_graph()
    model.graph.node[-1].op_type = "Exp"  # the activation forgotten
    with pytest.raises(ModelError, match="not a probability"):
        Model(toy_bytes(toy_card(), model))


# ---- stepping


def test_step_is_pure() -> None:
    model = Model(toy_bytes())
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((2, 30, 40)).astype(np.float32)
    before = model.initial_state(2)
    kept = frames.copy(), tuple(s.copy() for s in before)
    probs, after = model.step(frames, before)
    again, again_after = model.step(frames, before)
    np.testing.assert_array_equal(probs, again)
    np.testing.assert_array_equal(after[0], again_after[0])
    np.testing.assert_array_equal(frames, kept[0])
    np.testing.assert_array_equal(before[0], kept[1][0])
    assert probs.shape == (2, 30, 3)
    assert probs.dtype == np.float32
    assert not np.array_equal(after[0], before[0])


def test_stepper_equals_step_and_states_replay() -> None:
    model = Model(toy_bytes())
    frames = np.random.default_rng(1).standard_normal((1, 50, 40)).astype(np.float32)
    want, last = model.step(frames, model.initial_state())
    stepper = SlabEngine(model)
    one = np.concatenate([stepper.run(frames[:, t : t + 1]) for t in range(50)], axis=1)
    np.testing.assert_array_equal(one, want)
    np.testing.assert_array_equal(stepper.state[0], last[0])
    other = SlabEngine(model)
    other.state = stepper.state  # carried to another stepper
    np.testing.assert_array_equal(other.run(frames[:, :7]), stepper.run(frames[:, :7]))
    assert stepper.run(frames[:, :0]).shape == (1, 0, 3)


class Public:
    """A session as another ONNX Runtime might give it: the documented methods alone."""

    def __init__(self, session: Any) -> None:
        self.io_binding, self.run_with_iobinding = session.io_binding, session.run_with_iobinding


def test_the_quick_call_of_this_onnx_runtime_is_found_and_others_need_not_have_it() -> None:
    model = Model(toy_bytes(), provider="cpu")
    quick = SlabEngine(model)
    assert all(step.func.__self__ is model.session._sess for step in quick._steps), "the public one is slower"
    model.session = Public(model.session)
    public = SlabEngine(model)
    for frame in np.random.default_rng(1).standard_normal((20, 1, 40)).astype(np.float32):
        np.testing.assert_array_equal(quick.run(frame[None]), public.run(frame[None]))


def test_a_kept_state_does_not_move_with_the_stepper() -> None:
    stepper = SlabEngine(Model(toy_bytes()))
    stepper.run(np.ones((1, 3, 40), np.float32))
    kept = stepper.state
    copy = kept[0].copy()
    for _ in range(3):
        stepper.run(np.ones((1, 1, 40), np.float32))
    np.testing.assert_array_equal(kept[0], copy)


@pytest.mark.parametrize("packed", [False, True])
def test_learned_initial_state(packed: bool) -> None:
    row = np.random.default_rng(4).standard_normal((1, HIDDEN)).astype(np.float32)
    init: float | str = pack_array(row) if packed else 0.25
    row = row if packed else np.full((1, HIDDEN), 0.25, np.float32)
    spec = StateSpec(input="h0", output="h0_out", shape=(1, -1, HIDDEN), batch_axis=1, init=init)
    model = Model(toy_bytes(toy_card(states=(spec,))))
    (start,) = model.initial_state(3)
    assert start.shape == (1, 3, HIDDEN)
    np.testing.assert_array_equal(start, np.repeat(row[:, None], 3, axis=1))
    frames = np.zeros((3, 5, 40), np.float32)
    want, _ = Model(toy_bytes()).step(frames, (start,))
    stepper = SlabEngine(model, 3)
    np.testing.assert_array_equal(stepper.run(frames), want)
    stepper.reset(row=1)
    np.testing.assert_array_equal(stepper.state[0][:, 1], row)
    assert not np.array_equal(stepper.state[0][:, 0], row)
    one = SlabEngine(model)
    for _ in range(2):  # there and back: both sets of arrays are written to
        np.testing.assert_array_equal(one.run(frames[:1]), want[:1])
        one.reset()
    (again,) = model.initial_state(1)
    np.testing.assert_array_equal(again[:, 0], row)


def strided_graph(stride: int) -> Any:
    """Answers are the sigmoid of the first three coefficients of every stride-th frame; no state."""
    initializers = [
        numpy_helper.from_array(np.array(v, np.int64), n)
        for n, v in {"from": [0, 0], "to": [2**40, 3], "axes": [1, 2], "by": [stride, 1]}.items()
    ]
    nodes = [
        helper.make_node("Slice", ["features", "from", "to", "axes", "by"], ["few"]),
        helper.make_node("Sigmoid", ["few"], ["probs"]),
    ]
    ports = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "strided",
        [ports("features", FLOAT, ["N", "T", 40])],
        [ports("probs", FLOAT, ["N", "U", 3])],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("stride", "delay"), [(1, 0), (1, 5), (4, 0), (4, 3)])
@pytest.mark.parametrize("size", [1, 160, 1000, 16000])
def test_stride_and_delay_give_the_right_sample(stride: int, delay: int, size: int) -> None:
    model = Model(toy_bytes(toy_card(states=(), stride=stride, delay=delay), strided_graph(stride)))
    sound = make("speech", 16000, 1.0)
    classifier = StreamClassifier(model)
    results = [classifier.push(sound[at : at + size]) for at in range(0, len(sound), size)]
    sample = np.concatenate([r.scores.sample for r in results])
    probs = np.concatenate([r.probs for r in results])
    warm = np.concatenate([r.scores.warm for r in results])
    frames = mfcc(sound, model.card.features)
    rows = len(frames) // stride
    # Row r is made of frames from r * stride on and is about the row `delay` before it.
    middle = (512 + 160 * (stride - 1)) // 2
    np.testing.assert_array_equal(sample, middle + 160 * stride * (np.arange(rows) - delay))
    want, _ = model.step(frames[None, : rows * stride], ())
    np.testing.assert_array_equal(probs, want[0])
    assert warm.tolist() == [r >= delay for r in range(rows)]
    events = [e for r in results for e in r.events]
    assert events
    for event in events:
        # What decided it is the end of a frame that had been heard by then.
        assert (event.decided - 512) % 160 == 0
        assert event.decided <= len(sound)
        assert event.onset >= 0


# ---- the proof


@pytest.fixture(scope="module")
def golden() -> Golden:
    sound = make("speech", 16000, 1.0)
    samples = np.round(sound * 32767).astype(np.int16)
    frames = mfcc(make("music", 16000, 2.0), toy_card().features)
    model = Model(toy_bytes())
    probs, _ = model.step(frames[None], model.initial_state())
    return Golden(
        audio=pack_array(samples),
        audio_features=pack_array(mfcc(samples * np.float32(1 / 32768), toy_card().features)),
        features=pack_array(frames),
        probs=pack_array(probs[0]),
    )


def proven(folder: Path, golden: Golden | str, graph: Any = None) -> Path:
    model = onnx.ModelProto.FromString(toy_bytes(toy_card(), graph))
    entry = model.metadata_props.add()
    entry.key, entry.value = GOLDEN_KEY, golden if isinstance(golden, str) else golden.to_json()
    path = folder / "proven.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_verify_passes(golden: Golden, tmp_path: Path) -> None:
    checks = verify(proven(tmp_path, golden))
    assert len(checks) == 7
    assert all(check.ok for check in checks)
    # Chunking, and company, change no bit here; another processor is allowed its own rounding.
    assert [c.difference for c in checks if "against" in c.name or "at a time" in c.name].count(0.0) >= 3


@pytest.mark.parametrize("name", ["W", "R", "B", "head", "scale"])
def test_a_changed_weight_fails_the_proof(name: str, golden: Golden, tmp_path: Path) -> None:
    graph = toy_graph()
    tensor = next(t for t in graph.graph.initializer if t.name == name)
    values = numpy_helper.to_array(tensor).copy()
    values.reshape(-1)[values.size // 3] += np.float32(0.05)
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    with pytest.raises(ProofFailed, match=r"probabilities.*do not trust"):
        verify(proven(tmp_path, golden, graph))


@pytest.mark.parametrize("part", ["audio", "audio_features", "features", "probs"])
def test_changed_golden_vectors_fail_the_proof(part: str, golden: Golden, tmp_path: Path) -> None:
    dtype = "int16" if part == "audio" else "float32"
    values = unpack_array(getattr(golden, part), dtype, (-1,)).copy()
    values[values.size // 2] += 3000 if part == "audio" else 1
    changed = msgspec.structs.replace(golden, **{part: pack_array(values)})
    with pytest.raises(ProofFailed, match="differs by"):
        verify(proven(tmp_path, changed))


def test_swapped_states_fail_the_proof(tmp_path: Path) -> None:
    """Two states of one shape, exchanged in the card: only the golden vectors can tell."""
    names = [("h0", "h0_out"), ("d0", "d0_out")]

    def graph() -> Any:
        model = toy_graph()
        ports = helper.make_tensor_value_info
        model.graph.node.add().CopyFrom(helper.make_node("Add", ["d0", "h0_out"], ["d0_out"]))
        model.graph.input.add().CopyFrom(ports("d0", FLOAT, [1, "N", HIDDEN]))
        model.graph.output.add().CopyFrom(ports("d0_out", FLOAT, [1, "N", HIDDEN]))
        return model

    def card(pairs: list[tuple[str, str]]) -> ModelCard:
        specs = [StateSpec(input=i, output=o, shape=(1, -1, HIDDEN), batch_axis=1) for i, o in pairs]
        return toy_card(states=tuple(specs))

    right, wrong = card(names), card([("h0", "d0_out"), ("d0", "h0_out")])
    frames = mfcc(make("speech", 16000, 1.0), right.features)
    model = Model(toy_bytes(right, graph()))
    probs, _ = model.step(frames[None], model.initial_state())
    proof = Golden(
        audio=pack_array(np.zeros(600, np.int16)),
        audio_features=pack_array(mfcc(np.zeros(600, np.float32), right.features)),
        features=pack_array(frames),
        probs=pack_array(probs[0]),
    )
    for made, passes in ((right, True), (wrong, False)):
        whole = onnx.ModelProto.FromString(toy_bytes(made, graph()))
        entry = whole.metadata_props.add()
        entry.key, entry.value = GOLDEN_KEY, proof.to_json()
        path = tmp_path / "two.onnx"
        path.write_bytes(whole.SerializeToString())
        if passes:
            assert verify(path)
        else:
            with pytest.raises(ProofFailed, match="one step at a time"):
                verify(path)


def test_a_file_that_cannot_be_proven(golden: Golden, tmp_path: Path) -> None:
    with pytest.raises(CardMissing, match="golden"):
        verify(toy_file(tmp_path))
    for broken in ("{", "{}", '{"audio": 1}', "[" * 5000):
        with pytest.raises(CardInvalid, match="golden"):
            verify(proven(tmp_path, broken))
    for part in ("features", "probs", "audio"):
        for text in ("", "%%", "AAAA"):
            with pytest.raises((CardInvalid, ProofFailed)):
                verify(proven(tmp_path, msgspec.structs.replace(golden, **{part: text})))
    nan = pack_array(np.full_like(unpack_array(golden.probs, "float32", (-1,)), np.nan))
    with pytest.raises(CardInvalid, match="golden"):
        verify(proven(tmp_path, msgspec.structs.replace(golden, probs=nan)))
