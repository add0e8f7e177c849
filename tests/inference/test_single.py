"""The graph of one step: what is left out, what must stay, and that no number changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from stream.bench.graphs import Graph, add_gru, gru_model
from stream.features.spec import MfccSpec
from stream.inference import session as session_module
from stream.inference.options import CPU, create_session
from stream.inference.session import SMALL, Model
from stream.inference.single import Shapes, for_one_step
from stream.inference.stepper import Stepper
from stream.inference.wire import fields, text, view

FEATURES = MfccSpec().n_features


def kinds(model: bytes) -> list[str]:
    """Operators of a model, in order."""
    graph = next(value for number, _, value in fields(memoryview(model)) if number == 7)
    nodes = [view(value) for number, _, value in fields(view(graph)) if number == 1]
    return [text(next(v for n, _, v in fields(node) if n == 4)) for node in nodes]


def shapes_of(model: bytes, names: Sequence[str]) -> Shapes:
    session = create_session(model, [CPU])
    feed = {
        port.name: np.zeros([size if isinstance(size, int) else 1 for size in port.shape], np.float32)
        for port in session.get_inputs()
    }
    return {name: value.shape for name, value in zip(names, session.run(list(names), feed), strict=True)}


def graph_with(
    *nodes: tuple[str, list[str], list[str], dict[str, object]], out: tuple[int | str, ...]
) -> bytes:
    """A model of "features" (N, T, 40) with these nodes, whose output is "probs"."""
    graph = Graph("made")
    graph.port("features", ("N", "T", FEATURES))
    graph.weight("one", np.array([1], np.int64))
    for kind, inputs, outputs, attributes in nodes:
        graph.node(kind, inputs, outputs, **attributes)
    graph.port("probs", out, output=True)
    return graph.model()


def test_what_does_nothing_is_left_out() -> None:
    model = gru_model(16)
    assert kinds(model) == ["Transpose", "GRU", "Squeeze", "Transpose", "MatMul", "Sigmoid"]
    smaller = for_one_step(model, shapes_of)
    assert smaller is not None
    assert kinds(smaller) == ["GRU", "MatMul", "Sigmoid"]


@pytest.mark.parametrize("name", ["default", "small"])
def test_no_number_of_a_bundled_model_changes(name: str) -> None:
    model = Model.bundled(name)
    assert model.single is not None
    rng = np.random.default_rng(1)
    frames = rng.normal(scale=20, size=(200, 1, 1, model.card.features.n_features)).astype(np.float32)
    stepper, state = Stepper(model), model.initial_state()
    for frame in frames:
        expected, state = model.step(frame, state)
        np.testing.assert_array_equal(stepper.run_one(frame[0]), expected[0])
    for ours, theirs in zip(stepper.state, state, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_many_streams_run_the_whole_graph() -> None:
    """The graph of one step is wrong for two streams, and must not be asked."""
    model = Model(gru_model(16))
    frames = np.random.default_rng(2).normal(size=(2, 1, FEATURES)).astype(np.float32)
    both = Stepper(model, 2).run(frames)
    for row, frame in zip(both, frames, strict=True):
        np.testing.assert_array_equal(row, Stepper(model).run(frame[None])[0])


def test_a_transposition_that_moves_something_stays() -> None:
    swap = {"perm": [0, 2, 1]}
    model = graph_with(
        ("Transpose", ["features"], ["turned"], swap),
        ("Relu", ["turned"], ["probs"], {}),
        out=("N", FEATURES, "T"),
    )
    assert for_one_step(model, shapes_of) is None


def test_a_name_that_is_wanted_stays() -> None:
    model = graph_with(
        ("Relu", ["features"], ["heard"], {}),
        ("Transpose", ["heard"], ["probs"], {"perm": [1, 0, 2]}),
        out=("T", "N", FEATURES),
    )
    assert for_one_step(model, shapes_of) is None


def test_a_recurrent_operator_whose_rows_are_used_twice_keeps_them() -> None:
    """Y goes through Squeeze to the head, which may use Y_h, and to an output, which may not."""
    graph = Graph("two")
    add_gru(graph, 8, FEATURES, np.random.default_rng(0))
    graph.node("Relu", ["y"], ["probs"])
    graph.node("Sigmoid", ["heard"], ["more"])
    graph.port("probs", ("T", 1, "N", 8), output=True)
    graph.port("more", ("N", "T", 8), output=True)
    model = graph.model()
    smaller = for_one_step(model, shapes_of)
    assert smaller is not None
    assert kinds(smaller) == ["GRU", "Relu", "Sigmoid"]
    feed = {
        "features": np.ones((1, 1, FEATURES), np.float32),
        "h0": np.full((1, 1, 8), 0.5, np.float32),
    }
    ways = [create_session(each, [CPU]).run(["probs", "more", "h0_out"], feed) for each in (model, smaller)]
    for whole, single in zip(*ways, strict=True):
        np.testing.assert_array_equal(whole, single)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x3a\x02\x0a\x05", b"no protobuf at all"])
def test_nonsense_gives_none(data: bytes) -> None:
    def never(model: bytes, names: Sequence[str]) -> Shapes:
        raise AssertionError("asked for shapes of nonsense")

    assert for_one_step(data, never) is None


def test_a_graph_that_gives_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof at load can fail: here the smaller graph has other weights."""
    monkeypatch.setattr(session_module, "for_one_step", lambda data, shapes_of: gru_model(16, seed=1))
    model = Model(gru_model(16))
    assert model.single is None
    assert Stepper(model).advance().shape == (1, 1, 3)


def test_a_graph_that_cannot_be_loaded_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "for_one_step", lambda data, shapes_of: b"nothing to load")
    assert Model(gru_model(16)).single is None


def test_large_models_have_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    data = gru_model(16)
    assert len(data) < SMALL
    monkeypatch.setattr(session_module, "SMALL", len(data) - 1)
    assert Model(data).single is None
