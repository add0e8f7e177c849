"""Networks of Keras that cannot become a stream, or whose files lie: refused in one line, by name, at no cost."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.support.extras import needs

needs("torch", "onnx", "h5py")

import h5py  # noqa: E402

from export.keras.conversion import from_keras, offline_graph  # noqa: E402
from stream.errors import ExportError, NotStreamable, StreamClassifyError, UsageError  # noqa: E402
from tests.export.test_onnx_export import CARD as ZOO_CARD  # noqa: E402
from tests.support.keras_archives import arrays, entry, hdf5, keras, sequential  # noqa: E402

pytestmark = pytest.mark.torch

CARD = msgspec.structs.replace(ZOO_CARD, labels=("a", "b", "c"))
F = CARD.features.width
rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.normal(0, 0.3, shape).astype(np.float32)


DENSE = entry("Dense", units=3, activation="softmax")
GRU = entry("GRU", units=4, reset_after=True)
GRU_WEIGHTS = [normal(F, 12), normal(4, 12), normal(2, 12)]
BOTH = {"gru__cell": GRU_WEIGHTS, "dense": [normal(4, 3), normal(3)]}


def given(path: Path, *layers: dict[str, Any], shape: Any = (None, None, F), **places: Any) -> Path:
    return keras(path / "a.keras", sequential(*layers, shape=shape), arrays(**(places or BOTH)))


def custom(**changes: Any) -> dict[str, Any]:
    return {**entry("Dense", "mine", units=3), **changes}


# layer or layers, and what must be said
REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "lambda": ([entry("Lambda", "squash", function={"class_name": "__lambda__"})], r"'squash' \(Lambda\): holds code"),
    "operation": ([entry("TFOpLambda", "tf.add")], r"'tf.add' \(TFOpLambda\): holds code"),
    "own class": ([custom(class_name="Mine", module="builtins")], r"'mine' \(Mine\): is a class of your own"),
    "own class of a known name": ([custom(registered_name="my>Dense")], r"'mine' \(Dense\): is a class of your own"),
    "unknown": ([entry("Whatever", "w")], r"'w' \(Whatever\): there is no rule for it"),
    "bidirectional": ([entry("Bidirectional", "both", layer=GRU)], r"'both' \(Bidirectional\): reads.*from its end"),
    "backwards": ([{**GRU, "config": {**GRU["config"], "go_backwards": True}}], r"'gru' \(GRU\): go_backwards"),
    "attention": ([entry("Attention", "look")], "'look'.*compares frames with frames"),
    "repeat": ([entry("RepeatVector", "again", n=3)], "'again'.*summary"),
    "embedding": ([entry("Embedding", "table", input_dim=3, output_dim=3)], "'table'.*whole numbers"),
    "transposed": ([entry("Conv1DTranspose", "up")], "'up'.*more rows than frames"),
    "flatten": ([entry("Flatten", "flat")], r"'flat' \(Flatten\): it folds time.*TimeDistributed\(Flatten\(\)\)"),
    "reshape": ([entry("Reshape", "mix", target_shape=[F, -1])], "'mix'.*mixes time with the features"),
    "softmax over time": ([entry("Softmax", "soft", axis=1)], "'soft'.*softmax is over time"),
    "norm over time": ([entry("LayerNormalization", "norm", axis=[1, 2])], "'norm'.*works along time"),
    "channels first": ([entry("Conv1D", "conv", data_format="channels_first")], "'conv'.*channels_last"),
    "own function": ([entry("Activation", "act", activation={"config": "mine"})], "'act'.*'mine' is code of your own"),
    "unknown activation": ([entry("Activation", "act", activation="wavy")], "'act'.*no rule for its activation 'wavy'"),
    "activation inside": (
        [{**GRU, "config": {**GRU["config"], "activation": "gelu"}}], "'gru'.*activation is 'gelu'.*use one of elu",
    ),
    "own cell": ([entry("RNN", "loop", cell={"class_name": "Mine", "config": {}})], "'loop'.*its cell is Mine"),
    "zeros for masked frames": (
        [entry("Masking", "mask"), entry("LSTM", "lstm", units=4, zero_output_for_mask=True)],
        "'lstm'.*zero_output_for_mask",
    ),
    "mask lost": ([entry("Masking", "mask"), entry("Reshape", "r", target_shape=[-1, F])], "'r'.*leave Masking out"),
    "quantised": ([entry("Dense", "small", units=3, dtype={"config": {"name": "int8_from_float32"}})], "'small'.*int8"),
    "escapes": ([entry("Whatever", "a\x1b[31m\nb")], r"layer 'a\?\[31m\?b'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_stream_cannot_have_is_refused_by_name(tmp_path: Path, name: str) -> None:
    layers, said = REFUSED[name]
    places = {"gru__cell": GRU_WEIGHTS, "lstm__cell": [normal(F, 16), normal(4, 16), normal(16)]}
    with pytest.raises(NotStreamable, match=said) as caught:
        from_keras(given(tmp_path, *layers, DENSE, **places), tmp_path / "a.onnx", CARD)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            (None, 40, 1),
            r"\(None, 40, 1\) is a sequence of 40 numbers.*coefficients.*not time.*Input\(\(None, 12\)\)",
        ),
        ((None, F, 1), "coefficients of one .mean. vector, not time"),
        ((None, F), "one vector for each recording, without time"),
        ((None, 1, F), "a sequence of one frame"),
        ((None, None, 13), "has 13 features a frame, the card 12"),
        ((None, F, 98), "time_axis=2"),
        ((None, None, None), "more than one free axis"),
    ],
)
def test_an_input_without_time_is_refused_with_the_reason(tmp_path: Path, shape: Any, said: str) -> None:
    width = shape[-1] or 1
    gru = [normal(width, 12), *GRU_WEIGHTS[1:]]
    layers = [GRU, DENSE] if len(shape) == 3 else [DENSE]
    places = {**BOTH, "gru__cell": gru} if len(shape) == 3 else {"dense": [normal(width, 3), normal(3)]}
    with pytest.raises(ExportError, match=said):
        from_keras(given(tmp_path, *layers, shape=shape, **places), tmp_path / "a.onnx", CARD)


def test_a_config_without_weights_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dict has no weights"):
        from_keras(sequential(GRU, DENSE), tmp_path / "a.onnx", CARD)


def test_weights_must_fit_the_settings(tmp_path: Path) -> None:
    """One kernel transposed, one bias missing: never a guess."""
    for places in ({**BOTH, "dense": [normal(3, 4), normal(3)]}, {**BOTH, "dense": [normal(4, 3)]}, {}):
        with pytest.raises(ExportError, match=r"'(dense|gru)'.*its weights have the shapes"):
            offline_graph(given(tmp_path, GRU, DENSE, **(places or {"other": [normal(1)]})))


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def fill(change: Callable[[h5py.File], Any]) -> bytes:
    """Good weights with one thing changed."""

    def write(file: h5py.File) -> None:
        for i, value in enumerate(GRU_WEIGHTS):
            file[f"layers/gru/cell/vars/{i}"] = value
        file["layers/dense/vars/1"] = normal(3)
        change(file)

    return hdf5(write)


def cycle(file: h5py.File) -> None:
    file["layers/dense/vars/loop"] = file["layers"]


HOSTILE: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "external": (
        lambda f: f.create_dataset("layers/dense/vars/0", (4, 3), "f4", external=[("/etc/passwd", 0, 48)]),
        "not stored in the file",
    ),
    "link out": (lambda f: f.__setitem__("layers/dense/vars/0", h5py.ExternalLink("/etc/passwd", "x")), "links to"),
    "soft link": (lambda f: f.__setitem__("layers/dense/vars/0", h5py.SoftLink("/layers")), "links to elsewhere"),
    "virtual": (virtual, "not stored in the file"),
    "cycle": (cycle, "more groups"),
    "objects": (
        lambda f: f.create_dataset("layers/dense/vars/0", (4, 3), h5py.string_dtype()), "not plain numbers",
    ),
    "huge": (lambda f: f.create_dataset("layers/dense/vars/0", (2**20, 2**20), "f4", chunks=(1, 2**16)), "more than"),
    "hollow": (
        lambda f: f.create_dataset("layers/dense/vars/0", (9000, 9000), "f4", chunks=True, fillvalue=1), "more than",
    ),
    "scalar": (lambda f: f.create_dataset("layers/dense/vars/0", (), "f4"), "one number"),
    "none": (lambda f: f.create_dataset("layers/dense/vars/0", dtype="f4", data=h5py.Empty("f4")), "not plain numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_weights_are_refused_and_cost_nothing(tmp_path: Path, name: str) -> None:
    change, said = HOSTILE[name]
    path = keras(tmp_path / "a.keras", sequential(GRU, DENSE), fill(change))
    tracemalloc.start()
    try:
        with pytest.raises(ExportError, match=said) as caught:
            offline_graph(path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def deep(kind: str) -> str:
    return {"list": "[" * 5000 + "]" * 5000, "network": '{"a":' * 500 + "1" + "}" * 500}[kind]


def nested(levels: int) -> dict[str, Any]:
    made = entry("Dense", units=3)
    for i in range(levels):
        made = {"class_name": "Sequential", "config": {"name": f"n{i}", "layers": [made]}}
    return made


def tensor(name: str) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def functional(**changes: Any) -> dict[str, Any]:
    """input -> dense, and changes of the configuration."""
    layers = [
        entry("InputLayer", "input", batch_shape=[None, None, F]),
        {**entry("Dense", units=3), "inbound_nodes": [{"args": [tensor("input")], "kwargs": {}}]},
    ]
    config = {
        "name": "f",
        "layers": layers,
        "input_layers": ["input", 0, 0],
        "output_layers": ["dense", 0, 0],
    }
    return {"class_name": "Functional", "config": {**config, **changes}}


def circle() -> dict[str, Any]:
    made = functional()
    made["config"]["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = ["dense", 0, 0]
    return made


CONFIGS: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "is not JSON"),
    "no dictionary": ("[1]", "describes no network"),
    "deep list": (deep("list"), "nested 5000 deep"),
    "deep dictionary": (deep("network"), "nested 500 deep"),
    "networks in networks": (json.dumps(nested(40)), "nested 122 deep"),
    "own network": ({"class_name": "MyModel", "config": {}}, "class MyModel, whose code is not in the file"),
    "no layers": ({"class_name": "Sequential", "config": {}}, "no list of layers"),
    "too many": ({"class_name": "Sequential", "config": {"layers": [{}] * 10_001}}, "10001 layers"),
    "layer of text": (
        {"class_name": "Sequential", "config": {"layers": ["Dense"]}},
        "not as Keras writes it",
    ),
    "twice": (sequential(DENSE, DENSE), "one name"),
    "units of text": (sequential(entry("Dense", units="3")), "'dense'.*units is '3', not a whole number"),
    "circle": (circle(), "'dense'.*a tensor that no layer makes"),
    "no output": (functional(output_layers=["nothing", 0, 0]), "no layer makes its output"),
    "two inputs": (functional(input_layers=[["input", 0, 0], ["other", 0, 0]]), "inputs input, other"),
    "number for a tensor": (functional(output_layers=[["dense", "0", None]]), "does not say which tensor"),
    "never built": ({"class_name": "Sequential", "config": {"layers": [DENSE]}}, "never built"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_that_keras_does_not_write(tmp_path: Path, name: str) -> None:
    config, said = CONFIGS[name]
    weights = arrays(dense=[normal(F, 3), normal(3)])
    with pytest.raises(StreamClassifyError, match=said) as caught:
        offline_graph(keras(tmp_path / "a.keras", config, weights))
    assert "\n" not in str(caught.value)


def called(*positional: Any, **named: Any) -> dict[str, Any]:
    """input -> other, gru(input, …)."""
    made = functional(output_layers=["gru", 0, 0])
    layers = made["config"]["layers"]
    layers[1] = {**GRU, "inbound_nodes": [{"args": [tensor("input"), *positional], "kwargs": named}]}
    layers.append(
        {**entry("Dense", "other", units=4), "inbound_nodes": [{"args": [tensor("input")], "kwargs": {}}]}
    )
    return made


def test_a_function_is_not_the_layer_of_its_name(tmp_path: Path) -> None:
    """keras.ops.softmax(x, axis=1) has its axis in the call."""
    made = functional(output_layers=["softmax", 0, 0])
    function = {**entry("Softmax"), "module": "keras.src.ops.nn"}
    made["config"]["layers"].append(
        {**function, "inbound_nodes": [{"args": [tensor("dense")], "kwargs": {"axis": 1}}]}
    )
    with pytest.raises(NotStreamable, match=r"'softmax'.*no rule for this function"):
        offline_graph(keras(tmp_path / "a.keras", made, arrays(dense=[normal(F, 3), normal(3)])))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (lambda: called(tensor("other")), "'gru'.*given further inputs"),
        (lambda: called(initial_state=[tensor("other")]), "'gru'.*given initial_state"),
        (lambda: called(mask=tensor("other")), "'gru'.*a mask of your own"),
    ],
)
def test_what_a_layer_is_given_besides_is_not_left_out(tmp_path: Path, config: Any, said: str) -> None:
    with pytest.raises(NotStreamable, match=said):
        offline_graph(keras(tmp_path / "a.keras", config(), arrays(**BOTH)))


def test_all_weights_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = given(tmp_path, GRU, DENSE)
    size = sum(array.nbytes for values in BOTH.values() for array in values)
    monkeypatch.setattr("export.keras.hdf5.MAX_WEIGHT_BYTES", size)
    assert offline_graph(path).shape == (None, None, F)
    monkeypatch.setattr("export.keras.hdf5.MAX_WEIGHT_BYTES", size - 1)
    with pytest.raises(ExportError, match="more than a network for streams can have"):
        offline_graph(path)


def test_a_functional_network_in_small(tmp_path: Path) -> None:
    """So that those above are refused for what was changed in them."""
    weights = arrays(dense=[normal(F, 3), normal(3)])
    assert len(offline_graph(keras(tmp_path / "a.keras", functional(), weights)).model.graph.output) == 1


def test_archives_that_grow_or_are_damaged(tmp_path: Path) -> None:
    good = keras(tmp_path / "good.keras", sequential(GRU, DENSE), arrays(**BOTH))
    assert offline_graph(good).shape == (None, None, F)
    path = tmp_path / "a.keras"
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: path.write_bytes(good.read_bytes()[:-300]), "damaged|copy it again"),
        (lambda: path.write_bytes(b"PK\x03\x04" + bytes(99)), "damaged"),
        (lambda: path.write_bytes(b""), "empty"),
        (lambda: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        (lambda: path.write_bytes(hdf5(lambda f: None)), "weights but no network"),
        (
            lambda: keras(path, sequential(GRU), b"\x89HDF\r\n\x1a\n" + bytes(99)),
            "model.weights.h5: is damaged",
        ),
        (lambda: keras(path, sequential(GRU), b"none"), "model.weights.h5: is damaged"),
        (
            lambda: keras(path, b" " * 15_000_000, arrays(**BOTH), compression=zipfile.ZIP_DEFLATED),
            "config.json would grow to 15000000 bytes",
        ),
        (
            lambda: keras(path, sequential(GRU), bytes(30_000_000), compression=zipfile.ZIP_DEFLATED),
            "model.weights.h5 would grow",
        ),
    ]
    for make, said in cases:
        make()
        with pytest.raises(ExportError, match=said) as caught:
            offline_graph(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ExportError, match="no such file"):
        offline_graph(tmp_path / "nothing.keras")
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("config.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("config.json", "{}")
        made.writestr("model.weights.h5", arrays(**BOTH))
    with pytest.raises(ExportError, match="one twice"):
        offline_graph(path)


def test_two_layers_of_a_class_get_their_own_weights(tmp_path: Path) -> None:
    """The third Dense of a class is stored as dense_2; names in the file win over numbers."""
    layers = [entry("Dense", name, units=3, use_bias=False) for name in ("c", "b", "a")]
    places = {"dense": [normal(F, 3)], "dense_1": [normal(3, 3)], "dense_2": [2 * normal(3, 3)]}
    plain = offline_graph(given(tmp_path, *layers, **places)).model
    found = [tuple(t.dims) for t in plain.graph.initializer]
    assert found == [(F, 3), (3, 3), (3, 3)]

    def named(file: h5py.File) -> None:
        for place, name in (("dense", "a"), ("dense_1", "b"), ("dense_2", "c")):
            (kernel,) = places[{"a": "dense_2", "b": "dense_1", "c": "dense"}[name]]
            file[f"layers/{place}/vars/0"] = (
                kernel if name == "b" else np.resize(kernel, (F if name == "c" else 3, 3))
            )
            file[f"layers/{place}/vars"].attrs["name"] = name

    turned = offline_graph(keras(tmp_path / "b.keras", sequential(*layers), hdf5(named))).model
    assert [t.raw_data for t in turned.graph.initializer] == [t.raw_data for t in plain.graph.initializer]
