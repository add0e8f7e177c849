"""Offline graphs become streaming ones: converted with parity, or refused with the layer's name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from export.conversion.equivalence import EquivalenceReport, Reference, check_equivalence  # noqa: E402
from export.conversion.input_layout import InputLayout  # noqa: E402
from export.conversion.operators import check_operators  # noqa: E402
from export.conversion.torch_export import Whole, offline_graph  # noqa: E402
from export.streaming import Streaming, streamify  # noqa: E402
from export.streaming.probe import open_session  # noqa: E402
from stream.errors import NotStreamable  # noqa: E402
from tests.support.export_zoo import DELAYED, REFUSED, STREAMABLE, C, F, features  # noqa: E402

pytestmark = pytest.mark.torch


def convert(
    build: Callable[[], torch.nn.Module], exporter: str = "tracing", **options: object
) -> tuple[Streaming, Reference]:
    torch.manual_seed(0)
    example = features(1)
    whole = Whole(build(), InputLayout.of(tuple(example.shape), 0, 1))
    graph = offline_graph(exporter, whole, example)
    made = streamify(graph, example.numpy(), **options)
    return made, Reference(lambda x: whole(torch.from_numpy(x)).detach().numpy(), run_double=whole.in_double)


def converted(
    build: Callable[[], torch.nn.Module], frames: int = 600, **options: object
) -> tuple[Streaming, EquivalenceReport]:
    made, reference = convert(build, **options)
    check_operators(made.model, from_torch=True)
    return made, check_equivalence(made, reference, features(2).numpy(), frames=frames)


@pytest.mark.parametrize("name", STREAMABLE)
def test_streamable_networks_convert_with_parity(name: str) -> None:
    # the tracing exporter is quicker; it writes a branch for squeeze, which is what the other one is for
    made, report = converted(STREAMABLE[name], exporter="torch.export" if "kept" in name else "tracing")
    assert report.largest_difference <= 1e-5
    assert made.delay == 0
    assert made.n_classes == C


@pytest.mark.parametrize(
    "name", ["custom residual LSTM", "chomped CRNN, pooled", "gated stack", "last hidden state"]
)
def test_the_default_exporter_gives_the_same(name: str) -> None:
    made, report = converted(STREAMABLE[name], exporter="torch.export")
    assert report.largest_difference <= 5e-6
    kinds = [n.op_type for n in made.model.graph.node]
    assert kinds.count("GRU") + kinds.count("LSTM") == {
        "custom residual LSTM": 2,
        "last hidden state": 2,
    }.get(name, int("CRNN" in name))


@pytest.mark.parametrize("name", DELAYED)
def test_lookahead_is_refused_by_name_or_delayed(name: str) -> None:
    build, rows, layer = DELAYED[name]
    with pytest.raises(NotStreamable, match=rf"layer '{layer}'.*future frame.*lookahead='delay'"):
        convert(build)
    made, report = converted(build, lookahead="delay")
    assert (made.delay, made.warmup) == (rows, rows)
    assert report.largest_difference <= 5e-6


@pytest.mark.parametrize("lookahead", ["refuse", "delay"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_the_whole_sequence_is_refused_by_name(name: str, lookahead: str) -> None:
    build, layer, word = REFUSED[name]
    with pytest.raises(NotStreamable) as refusal:
        convert(build, exporter="torch.export" if name == "attention" else "tracing", lookahead=lookahead)
    assert layer in str(refusal.value)
    assert word in str(refusal.value)
    assert "; " in str(refusal.value)  # reason; way out


def test_hop_path_of_a_recurrent_network_is_bare() -> None:
    """No shapes, no reshapes, one transposition each way."""
    made, _ = converted(STREAMABLE["two-layer GRU"])
    assert [n.op_type for n in made.model.graph.node] == [
        *("Transpose", "GRU", "Squeeze", "GRU", "Squeeze", "Transpose", "MatMul", "Add")
    ]


def test_chomped_and_padded_convolutions_give_the_same_graph() -> None:
    graphs = [converted(STREAMABLE[f"TCN, {how}"])[0].model.graph.node for how in ("padded", "chomped")]
    assert [n.op_type for n in graphs[0]] == [n.op_type for n in graphs[1]]


@pytest.mark.parametrize(
    ("name", "stride", "field"),
    [
        ("TCN, padded", 1, 31),
        ("TCN, chomped", 1, 31),
        ("gated stack", 1, 16),
        ("delta by slices", 1, 2),
        ("two frames stacked", 2, 2),
        ("every second frame", 2, 1),
        ("stride four", 4, None),
        ("two-layer GRU", 1, None),
    ],
)
def test_stride_and_receptive_field(name: str, stride: int, field: int | None) -> None:
    made, _ = convert(STREAMABLE[name])
    assert (made.stride, made.receptive_field) == (stride, field)


def test_warmup_of_an_unpadded_summary() -> None:
    assert convert(STREAMABLE["unpadded, then maximum"])[0].warmup == 4


def test_states_have_a_batch_axis_and_learned_starts() -> None:
    made, _ = convert(STREAMABLE["learned start"])
    assert [s.shape for s in made.states] == [(1, -1, 16), (1, -1, 16)]
    torch.manual_seed(0)
    network = STREAMABLE["learned start"]()
    np.testing.assert_array_equal(made.states[0].initial(3)[0, 2], network.h.detach().numpy()[0, 0])
    banded, _ = convert(STREAMABLE["a GRU a band"])
    assert [s.shape for s in banded.states] == [(1, -1, F, 5)]


@pytest.mark.parametrize("opset", [17, 18, 20, 21])
def test_every_opset_on_offer(opset: int) -> None:
    made, report = converted(STREAMABLE["mean and maximum"], frames=200, opset=opset)
    assert made.model.opset_import[0].version == opset
    assert report.largest_difference <= 5e-6


def keras_like_graph() -> onnx.ModelProto:
    """As tf2onnx writes a Keras CRNN: NWC padding, a convolution over an inserted axis, h0 expanded to the batch,
    a dense layer through Reshape(-1, H) and Gemm."""
    rng = np.random.default_rng(3)
    weights: dict[str, np.ndarray] = {
        "pads": np.array([0, 4, 0, 0, 0, 0], np.int64),
        "two": np.array([2], np.int64),
        "kernel": rng.standard_normal((8, F, 1, 5)).astype(np.float32) * 0.2,
        "W": rng.standard_normal((1, 48, 8)).astype(np.float32) * 0.3,
        "R": rng.standard_normal((1, 48, 16)).astype(np.float32) * 0.3,
        "B": rng.standard_normal((1, 96)).astype(np.float32) * 0.3,
        "h": np.zeros((1, 1, 16), np.float32),
        "one": np.array([1], np.int64),
        "sixteen": np.array([16], np.int64),
        "flat": np.array([-1, 16], np.int64),
        "dense": rng.standard_normal((16, C)).astype(np.float32),
        "classes": np.array([C], np.int64),
        "zero": np.array(0, np.int64),
        "unit": np.array(1, np.int64),
        "axis0": np.array([0], np.int64),
    }
    make = helper.make_node
    nodes = [
        make("Pad", ["x", "pads"], ["padded"], "pad"),
        make("Transpose", ["padded"], ["ncw"], "nwc_to_ncw", perm=[0, 2, 1]),
        make("Unsqueeze", ["ncw", "two"], ["plane"], "expand"),
        make("Conv", ["plane", "kernel"], ["conv"], "conv1d"),
        make("Squeeze", ["conv", "two"], ["line"], "squeeze"),
        make("Relu", ["line"], ["relu"], "relu"),
        make("Transpose", ["relu"], ["rows"], "to_rnn", perm=[2, 0, 1]),
        make("Shape", ["x"], ["shape"]),
        make("Gather", ["shape", "zero"], ["n"]),
        make("Unsqueeze", ["n", "axis0"], ["n1"]),
        make("Concat", ["one", "n1", "sixteen"], ["h_shape"], axis=0),
        make("Expand", ["h", "h_shape"], ["h0"]),
        make("GRU", ["rows", "W", "R", "B", "", "h0"], ["y"], "gru", hidden_size=16),
        make("Squeeze", ["y", "one"], ["y3"], "drop_direction"),
        make("Transpose", ["y3"], ["batch_first"], "back", perm=[1, 0, 2]),
        make("Reshape", ["batch_first", "flat"], ["flattened"], "flatten"),
        make("Gemm", ["flattened", "dense"], ["scores"], "dense"),
        make("Gather", ["shape", "unit"], ["t"]),
        make("Unsqueeze", ["t", "axis0"], ["t1"]),
        make("Concat", ["n1", "t1", "classes"], ["out_shape"], axis=0),
        make("Reshape", ["scores", "out_shape"], ["unflattened"], "unflatten"),
        make("Softmax", ["unflattened"], ["out"], "softmax", axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "keras",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T", F])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", "T", C])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def test_a_graph_from_keras() -> None:
    graph = keras_like_graph()
    session = open_session(graph)
    made = streamify(graph, features(1).numpy(), activation="softmax")
    assert made.activated  # its own softmax is kept, no second one appended
    report = check_equivalence(
        made, Reference(lambda x: session.run(None, {"x": x})[0]), features(2).numpy(), frames=600
    )
    assert report.largest_difference <= 5e-6
    assert [s.shape for s in made.states] == [(-1, 4, 1, F), (1, -1, 16)]  # as the rows lie in the chunk


def test_same_padding_of_other_frameworks() -> None:
    """auto_pad=SAME_UPPER looks ahead; cut to the left it is a delay."""
    graph = keras_like_graph()
    for node in graph.graph.node:
        if node.name == "conv1d":
            node.attribute.append(helper.make_attribute("auto_pad", "SAME_UPPER"))
    del graph.graph.node[0]
    graph.graph.node[0].input[0] = "x"
    with pytest.raises(NotStreamable, match="future frame"):
        streamify(graph, features(1).numpy())
    made = streamify(graph, features(1).numpy(), lookahead="delay")
    assert made.delay == 2


def test_a_baked_length_is_refused_with_the_operator() -> None:
    graph = keras_like_graph()
    for tensor in graph.graph.initializer:
        if tensor.name == "classes":
            tensor.CopyFrom(numpy_helper.from_array(np.array([96 * C], np.int64), "classes"))
    with pytest.raises(
        NotStreamable, match=r"operator 'unflatten' \(Reshape\): does not run at other lengths"
    ):
        streamify(graph, features(1).numpy())


def test_an_operator_without_a_rule_is_refused() -> None:
    graph = keras_like_graph()
    for node in graph.graph.node:
        if node.op_type == "Relu":
            node.op_type = "Trilu"
    with pytest.raises(NotStreamable, match=r"operator 'relu' \(Trilu\): there is no rule"):
        streamify(graph, features(1).numpy())
