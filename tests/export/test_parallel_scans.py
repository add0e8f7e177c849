"""Recurrences that are computed for all frames at once are carried frame by frame, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from export.conversion.equivalence import Reference, check_equivalence, difference_from_whole  # noqa: E402
from export.conversion.input_layout import InputLayout  # noqa: E402
from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.conversion.step_runner import StreamRunner  # noqa: E402
from export.conversion.torch_export import Whole, exporters_for, offline_graph  # noqa: E402
from export.recurrences.parallel import kernels  # noqa: E402
from export.streaming import Streaming, streamify  # noqa: E402
from stream.errors import NotStreamable  # noqa: E402
from stream.inference.verify import verify  # noqa: E402
from tests.export.test_onnx_export import CARD  # noqa: E402
from tests.export.test_recurrences import sounds  # noqa: E402
from tests.support.export_networks import Featureless  # noqa: E402
from tests.support.export_zoo import features  # noqa: E402
from tests.support.scan_networks import REFUSED, SCANS  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]


def converted(network: torch.nn.Module) -> tuple[Streaming, Reference]:
    """The streaming graph by the first exporter, and the network itself."""
    x = features(0)
    whole = Whole(network, InputLayout.of(tuple(x.shape), 0, 1))
    exporter = next(iter(exporters_for(whole, x)))
    made = streamify(offline_graph(exporter, whole, x), x.numpy(), activation="softmax")
    return made, Reference(
        lambda v: whole(torch.from_numpy(v)).numpy(), "softmax", None, whole.in_double, whole.at_once
    )


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_is_carried(name: str) -> None:
    torch.manual_seed(3)
    made, reference = converted(SCANS[name]().eval())
    runner = StreamRunner(made.model, made.states)
    precise = Reference(reference.run_double, "softmax")
    for kind, x in sounds(3, 80).items():
        rows, _ = runner.run(x, [5, 1, 2, 13])
        assert np.isfinite(rows).all(), kind
        assert difference_from_whole(made, precise, x, rows) <= 1e-5, kind
        alone, _ = runner.run(x[1:2], [1])
        np.testing.assert_allclose(alone, rows[1:2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["S4D, convolved", "minGRU in logarithms", "gates in doubling steps"])
def test_taking_the_state_away_shows(name: str) -> None:
    made, reference = converted(SCANS[name]().eval())
    runner = StreamRunner(made.model, made.states)
    x = sounds(1, 64)["noise"]
    rows = np.concatenate([runner.run(x[:, t : t + 1], [1])[0] for t in range(64)], axis=1)
    assert difference_from_whole(made, reference, x, rows) > 1e-3


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_recurrence_is_refused_by_name(name: str, tmp_path: Path) -> None:
    build, reason = REFUSED[name]
    with pytest.raises(NotStreamable, match=rf"torch\.fft\..*{reason}.*forward\(x, state\)"):
        to_onnx(build(), tmp_path / "model.onnx", CARD, features(0))
    assert not (tmp_path / "model.onnx").exists()


def test_a_scan_becomes_a_proven_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    card = to_onnx(SCANS["LRU, convolved"](), path, CARD)
    assert card.exact
    assert all(check.ok for check in verify(path, "cpu"))


def powers(decay: float) -> torch.nn.Module:
    """A moving average whose powers leave the range of float32."""

    def how(x: torch.Tensor) -> torch.Tensor:
        power = decay ** torch.arange(x.shape[1])[:, None]
        return (1 - decay) * torch.cumsum(x / power, 1) * power

    return Featureless(how)


@pytest.mark.parametrize("decay", [0.9, 0.6])
def test_what_overflows_is_compared_as_far_as_it_goes(decay: float) -> None:
    made, reference = converted(powers(decay).eval())
    report = check_equivalence(made, reference, features(0).numpy(), frames=2000)
    assert "digital silence" in report.not_finite
    assert not report.deaf
    runner = StreamRunner(made.model, made.states)
    x = np.random.default_rng(1).standard_normal((1, 5000, 12)).astype(np.float32)
    assert np.isfinite(runner.run(x, [100])[0]).all()


def test_what_overflows_at_once_is_refused() -> None:
    made, reference = converted(powers(0.2).eval())
    with pytest.raises(NotStreamable, match=r"no numbers after \d+ frames.*forward\(x, state\)"):
        check_equivalence(made, reference, features(0).numpy(), frames=2000)


def test_a_kernel_is_found_in_its_values() -> None:
    t = np.arange(2048)
    kernel = np.stack([0.9**t + 0.5 * 0.99**t * np.cos(0.3 * t), 0.7**t * np.sin(t)])
    found = kernels.identified(kernel, [])
    assert isinstance(found, kernels.Oscillations)
    longer = 0.9 ** np.arange(9000) + 0.5 * 0.99 ** np.arange(9000) * np.cos(0.3 * np.arange(9000))
    np.testing.assert_allclose(kernels.sampled(found, 9000)[0], longer, atol=1e-6)
    assert kernels.identified(np.random.default_rng(0).standard_normal((1, 2048)), []) is None
