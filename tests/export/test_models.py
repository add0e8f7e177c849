"""The networks: causal, the same in pieces as in one, each row alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from export.models import PRESETS, ModelConfig, build, count_parameters, preset  # noqa: E402
from export.models.layers import Recurrent  # noqa: E402
from export.models.linear_attention import LARGEST_GATE, GatedLinearAttention  # noqa: E402
from export.models.separable import SeparableBlock  # noqa: E402
from stream.errors import SpecError  # noqa: E402
from stream.features.tables import dct_matrix  # noqa: E402

pytestmark = pytest.mark.torch

VARIANTS = [
    *((name, {}) for name in PRESETS),
    ("gru", {"stride": 2, "front": 5}),
    ("lstm", {"front": 4}),
    ("crnn", {"axes": "time-frequency", "channels": 6, "cell": "lstm"}),
    ("crnn", {"axes": "time-frequency", "channels": 6, "conv_layers": 3, "kernel": 3, "stride": 2}),
    ("crnn", {"axes": "time-frequency", "channels": 6, "bands": True, "norm": False}),
    ("tcn", {"layers": 3, "stride": 3}),
    ("dstcn", {"layers": 3, "conv_layers": 3, "stride": 2, "norm": False, "bands": True}),
    ("gla", {"front": 0, "heads": 2, "hidden": 12}),
    ("gla", {"front": 5, "stride": 3}),
]


def network(name: str, changes: dict) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build(preset(name, features=11, classes=3, **changes))
    model.fit(torch.randn(11), torch.rand(11) + 0.5)
    with torch.no_grad():  # batch norms with statistics of their own
        model.train()(torch.randn(4, 60, 11))
    return model.eval()


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_in_pieces_as_in_one(name: str, changes: dict) -> None:
    model, x = network(name, changes), torch.randn(2, 60, 11)
    with torch.no_grad():
        whole, _ = model(x)
        state, parts = None, []
        for piece in x.split([6, 12, 6, 30, 6], dim=1):
            logits, state = model(piece, state)
            parts.append(logits)
        forgetful = torch.cat([model(piece)[0] for piece in x.split(30, dim=1)], dim=1)
    assert whole.shape == (2, 60 // model.config.stride, 3)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=0)
    assert (forgetful - whole).abs().max() > 1e-4, "the state makes no difference"


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_no_output_depends_on_a_later_frame(name: str, changes: dict) -> None:
    model, x = network(name, changes), torch.randn(1, 60, 11)
    other = x.clone()
    other[:, 36:] = torch.randn(1, 24, 11) * 10
    with torch.no_grad():
        one, two = model(x)[0], model(other)[0]
    rows = 36 // model.config.stride
    torch.testing.assert_close(one[:, :rows], two[:, :rows], atol=0, rtol=0)
    assert not torch.allclose(one[:, rows:], two[:, rows:])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["tcn", "dstcn"])
def test_the_receptive_field_is_as_stated(name: str, stride: int) -> None:
    model = network(name, {"layers": 3, "stride": stride})
    field = model.receptive_field
    x = torch.randn(1, 60, 11, requires_grad=True)
    model(x)[0][0, -1].sum().backward()
    touched = x.grad[0].abs().sum(1).nonzero()
    assert field == 60 - int(touched.min())
    assert network("gru", {}).receptive_field is None
    assert network("gla", {}).receptive_field is None


def test_convolutions_over_time_and_frequency_take_powers_of_two() -> None:
    rows = network("crnn", {"axes": "time-frequency", "conv_layers": 2, "stride": 4})(torch.randn(1, 40, 11))[
        0
    ]
    assert rows.shape == (1, 10, 3)
    with pytest.raises(SpecError, match="stride 8: 2 convolutions"):
        preset("crnn", features=11, classes=3, axes="time-frequency", conv_layers=2, stride=8)


def test_statistics_are_in_the_network() -> None:
    model = network("gru", {})
    mean, std = torch.full((11,), 5.0), torch.cat((torch.zeros(1), torch.full((10,), 2.0)))
    model.normalise.fit(mean, std)
    out = model.normalise(torch.full((1, 1, 11), 9.0))
    assert out[0, 0, 1] == 2.0
    assert out[0, 0, 0] == 4.0, "a constant feature is centred, not blown up"


def test_bands_begin_as_mel_bands() -> None:
    """MFCC go in, the log-mel energies they were made of come out, but for their mean and one common scale."""
    rng = np.random.default_rng(0)
    mel = torch.from_numpy((rng.normal(-40, 12, (500, 11)) + rng.normal(0, 8, (500, 1))).astype(np.float32))
    mfcc = mel @ torch.from_numpy(dct_matrix(11, 11, "ortho")).float().T
    model = build(preset("gru", features=11, classes=2, bands=True))
    model.fit(mfcc.mean(0), mfcc.std(0))
    with torch.no_grad():
        out, _ = model.layers[0](model.normalise(mfcc))
    centred = mel - mel.mean(0)
    scale = (out * centred).sum() / centred.square().sum()
    torch.testing.assert_close(out, centred * scale, atol=1e-4, rtol=0)
    assert 0.5 < out.std() < 2


def test_the_tutorial_preset_is_two_layers_of_fifty() -> None:
    model = build(preset("tutorial", features=40, classes=3))
    gru = model.layers[0].rnn
    assert (gru.hidden_size, gru.num_layers) == (50, 2)
    assert count_parameters(model) == 3 * 50 * (40 + 50 + 2) + 3 * 50 * (50 + 50 + 2) + 3 * 51


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"hidden": 0}, "hidden 0"), ({"dropout": 1.0}, "dropout"), ({"stride": 4, "front": 2}, "front 2"),
     ({"hiden": 3}, "hiden"), ({"hidden": "many"}, "hidden")],
)  # fmt: skip
def test_wrong_shapes_are_refused(changes: dict, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        preset("gru", features=4, classes=2, **changes)


def test_an_unknown_preset_lists_the_known() -> None:
    with pytest.raises(SpecError, match="rnn, lstm, gru, crnn, tcn, dstcn, gla"):
        preset("transformer", features=4, classes=2)


@pytest.mark.parametrize(
    ("arch", "changes", "said"),
    [("tcn", {"layers": 17}, "a tcn .* at most 16"), ("dstcn", {"layers": 17}, "a dstcn .* at most 16"),
     ("dstcn", {"front": 4}, "leave it out"), ("gla", {"hidden": 20}, "a multiple of 8")],
)  # fmt: skip
def test_shapes_that_a_network_cannot_have(arch: str, changes: dict, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        ModelConfig(arch=arch, features=4, classes=2, **changes)


def test_separable_convolutions_need_fewer_weights() -> None:
    full, separable = (network(name, {"layers": 4, "channels": 8, "hidden": 48}) for name in ("tcn", "dstcn"))
    assert count_parameters(separable) < count_parameters(full) / 2
    blocks = [layer.conv.conv for layer in separable.layers if isinstance(layer, SeparableBlock)]
    assert [(conv.groups, conv.dilation) for conv in blocks] == [(48, (2**i,)) for i in range(4)]


def test_linear_attention_is_the_sum_it_stands_for() -> None:
    """By the definition, in double: o[t] = sum over s <= t of (q[t] . gates from s to t . k[s]) v[s]."""
    torch.manual_seed(0)
    layer, x = GatedLinearAttention(8, 2).double(), torch.randn(1, 9, 8).double()
    with torch.no_grad():
        got, memory = layer(x)
        query, key, value, keep = (
            part(x)[0].unflatten(1, (2, -1)) for part in (layer.query, layer.key, layer.value, layer.keep)
        )
        gate = torch.sigmoid(keep) * LARGEST_GATE
        want = torch.zeros(9, 2, 4).double()
        for t in range(9):
            for s in range(t + 1):
                weight = (query[t] * gate[s + 1 : t + 1].prod(0) * key[s]).sum(-1, keepdim=True)
                want[t] += weight * value[s]
        want = layer.out(layer.norm(want).flatten(1) * torch.nn.functional.silu(layer.gate(x[0])))
    torch.testing.assert_close(got[0], want, atol=1e-12, rtol=0)
    assert memory.shape == (1, 2, 2, 4)


def test_linear_attention_forgets() -> None:
    """However wide its gates stand open, two streams that differed once agree again."""
    torch.manual_seed(0)
    layer = GatedLinearAttention(8, 2)
    with torch.no_grad():
        layer.keep.bias.fill_(50.0)
    x = torch.randn(1, 8000, 8)
    other = x.clone()
    other[:, 0] += 10
    with torch.no_grad():
        apart = (layer(x)[0] - layer(other)[0]).abs().amax(2)[0]
    assert apart[:50].max() > 0.05
    assert apart[-50:].max() < 1e-3


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_memory_excess_reads_the_gate_that_keeps_state(cell: str) -> None:
    """A gate shut by its bias shows with its logit; opened, it does not; and the penalty opens it."""
    torch.manual_seed(0)
    layer = Recurrent(cell, 4, 8, 1, 0.0)
    with torch.no_grad():
        for weight in layer.rnn.parameters():
            weight.zero_()
        layer.rnn.bias_hh_l0[8:16] = 9.0  # update gate of a GRU, forget gate of an LSTM
    x = torch.randn(2, 50, 4)
    y, _ = layer(x)
    penalty = layer.memory_excess(x, y, 1 + math.exp(6))
    assert penalty.item() == pytest.approx(3.0)
    penalty.backward()
    gradient = layer.rnn.bias_hh_l0.grad
    assert (gradient[8:16] > 0).all()
    assert not gradient[:8].any()
    assert layer.memory_excess(x, y, 1 + math.exp(10)).item() == 0


def test_memory_excess_counts_the_mean_over_time() -> None:
    """Holding on through a pause is free: only a unit whose gate stays shut pays."""
    layer = Recurrent("gru", 1, 1, 1, 0.0)
    with torch.no_grad():
        for weight in layer.rnn.parameters():
            weight.zero_()
        layer.rnn.weight_ih_l0[1] = 10.0
    pause = torch.zeros(1, 40, 1)
    pause[:, 20:30] = 1.0  # a logit of 10 for a quarter of the time
    y, _ = layer(pause)
    assert layer.memory_excess(pause, y, 1 + math.exp(5)).item() == 0
    shut = torch.ones(1, 40, 1)
    y, _ = layer(shut)
    assert layer.memory_excess(shut, y, 1 + math.exp(5)).item() == pytest.approx(5.0)


def test_a_plain_rnn_is_kept_from_amplifying() -> None:
    """Two streams that differ once agree again; without the limit this network never settles."""
    torch.manual_seed(0)
    layer = Recurrent("rnn", 4, 32, 2, 0.0)
    with torch.no_grad():
        for name, weight in layer.rnn.named_parameters():
            if name.startswith("weight_hh"):
                weight.mul_(4)
    x = torch.randn(1, 600, 4)
    other = x.clone()
    other[:, 0] += 1

    def apart() -> float:
        with torch.no_grad():
            return float((layer(x)[0] - layer(other)[0])[:, -100:].abs().max())

    assert apart() > 0.1
    layer.limit_gain()
    assert apart() < 1e-3
    before = [weight.clone() for weight in layer.rnn.parameters()]
    layer.limit_gain()  # nothing to do the second time
    for a, b in zip(before, layer.rnn.parameters(), strict=True):
        torch.testing.assert_close(a, b)
