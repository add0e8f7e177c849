"""What the bench is made of: graphs that are what they say, files read by the real path, memory that does not grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stream import ModelCard, StreamClassifier, UsageError, classify
from stream.bench.cases import in_hops
from stream.bench.graphs import gru_model, identity_model
from stream.bench.lower_bounds import model_bound_cases, step_over_bound
from stream.bench.process import growth
from stream.bench.recordings import flac_cases
from stream.bench.timing import measure
from stream.cli.bench import bench
from stream.features import native
from stream.features.kernel import kernel_name
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec
from stream.inference.onnx_file import scan
from stream.inference.options import CPU, create_session
from stream.inference.session import Model
from tests.support.sounds import demo


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(gru_model(16), provider="cpu")


def test_a_gru_of_any_size_is_a_valid_model_that_listens(model: Model) -> None:
    """Its probabilities depend on the sound and on the state, and are the same in any chunking."""
    for hidden in (1, 64, 300):
        card = ModelCard.from_metadata(scan(gru_model(hidden), "gru"))
        assert card.states[0].shape == (1, -1, hidden)
    sound = demo(16000)[16000 * 5 : 16000 * 7]
    whole = StreamClassifier(model).push(sound).probs
    classifier = StreamClassifier(model)
    parts = [classifier.push(piece).probs for piece in np.array_split(sound, 123)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.std(axis=0).min() > 0.01
    features = mfcc(sound, model.card.features)[None, :1]
    carried = model.step(features, (np.ones((1, 1, 16), np.float32),))[0]
    assert not np.allclose(carried, model.step(features, model.initial_state())[0])


def test_onnx_agrees_that_the_graphs_are_valid() -> None:
    onnx = pytest.importorskip("onnx")
    for data in (gru_model(64), gru_model(3, MfccSpec(n_mfcc=13)), identity_model(40)):
        onnx.checker.check_model(onnx.load_from_string(data), full_check=True)


def test_the_arithmetic_is_a_gru_and_the_head() -> None:
    """Against the same weights in torch."""
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    from onnx import numpy_helper

    hidden = 8
    data = gru_model(hidden, seed=3)
    weights = {w.name: numpy_helper.to_array(w) for w in onnx.load_from_string(data).graph.initializer}

    def gates(rows: np.ndarray) -> torch.Tensor:  # ONNX has z, r, h; torch r, z, n
        z, r, h = np.split(rows, 3)
        return torch.from_numpy(np.concatenate([r, z, h]).copy())

    network = torch.nn.GRU(40, hidden, batch_first=True)
    with torch.no_grad():
        network.weight_ih_l0.copy_(gates(weights["W"][0]))
        network.weight_hh_l0.copy_(gates(weights["R"][0]))
        network.bias_ih_l0.copy_(gates(weights["B"][0, : 3 * hidden]))
        network.bias_hh_l0.copy_(gates(weights["B"][0, 3 * hidden :]))
    features = (20 * np.random.default_rng(0).standard_normal((2, 30, 40))).astype(np.float32)
    with torch.no_grad():
        heard, _ = network(torch.from_numpy(features))
        want = torch.sigmoid(heard @ torch.from_numpy(weights["head"].copy())).numpy()
    model = Model(data, provider="cpu")
    np.testing.assert_allclose(model.step(features, model.initial_state(2))[0], want, atol=1e-6)


def test_identity_gives_back_what_it_gets() -> None:
    features = np.random.default_rng(0).standard_normal((1, 2, 40)).astype(np.float32)
    (got,) = create_session(identity_model(40), [CPU]).run(["same"], {"features": features})
    np.testing.assert_array_equal(got, features)


def test_step_over_floor_is_of_one_step(model: Model) -> None:
    """The long call is counted by the step."""
    from stream.bench.timing import Case

    sound = demo(16000)[:16000]
    cases = model_bound_cases(model, mfcc(sound, model.card.features))
    state = model.initial_state()
    frame = mfcc(sound, model.card.features)[None, :1].copy()
    cases.append(Case("step", "step", lambda: model.step(frame, state), 0.01))
    timings = measure(cases, rounds=3)
    assert timings["arithmetic"].median < timings["step"].median
    sides = timings["floor"].median + timings["arithmetic"].median
    assert step_over_bound(timings) == pytest.approx(timings["step"].median / sides)


def test_files_are_read_by_the_way_of_classify(model: Model, tmp_path: Path) -> None:
    sounds = {rate: demo(rate)[: 3 * rate] for rate in (16000, 44100)}
    cases = {case.key: case for case in flac_cases(model, sounds, tmp_path)}
    for rate, sound in sounds.items():
        case, alone = cases[f"flac_{rate}"], cases[f"flac_{rate}_decode"]
        got, want = case.call(), classify(sound, model, sample_rate=rate)
        np.testing.assert_allclose(got.probs, want.probs, atol=0.02)  # type: ignore[attr-defined]  # 16 bits
        assert case.seconds == 3
        assert len(alone.call()) == 3 * 16000  # type: ignore[arg-type]
        assert alone.against == case.key


def test_a_stream_asks_for_no_more_memory_as_it_goes_on(model: Model) -> None:
    hops = in_hops(demo(16000)[: 20 * 16000], 160)
    assert growth(model, hops, 20_000) < 4096  # a number kept at every hop would be 480 000 or more


def test_growth_sees_a_leak(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    push = StreamClassifier.push
    monkeypatch.setattr(StreamClassifier, "push", lambda *words: kept.append(push(*words)))
    assert growth(model, in_hops(demo(16000)[:16000], 160), 2_000) > 100_000


def test_the_kernel_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel_name(MfccSpec(n_fft=400, win_length=400)) == "numpy"  # a length that the compiled one lacks
    assert kernel_name(MfccSpec()) == ("numpy" if native.library() is None else "compiled")
    monkeypatch.setattr(native, "library", lambda: None)
    assert kernel_name(MfccSpec()) == "numpy"


def test_hidden_and_model_are_one_or_the_other() -> None:
    result = CliRunner().invoke(bench, ["--hidden", "4", "--model", "default"])
    assert isinstance(result.exception, UsageError)
    assert "\n" not in str(result.exception)
