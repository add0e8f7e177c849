"""Random networks: each is converted with parity, or refused rightly. No third outcome."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from export.conversion.equivalence import Reference, difference_from_whole  # noqa: E402
from export.conversion.input_layout import InputLayout  # noqa: E402
from export.conversion.operators import check_operators  # noqa: E402
from export.conversion.step_runner import StreamRunner  # noqa: E402
from export.conversion.torch_export import EXPORTERS, Whole, exporters_for, offline_graph  # noqa: E402
from export.streaming import streamify  # noqa: E402
from stream.errors import NotStreamable  # noqa: E402
from tests.support.random_networks import RandomNetwork, needs_the_future  # noqa: E402

pytestmark = pytest.mark.torch


def outcome(
    network: RandomNetwork, exporters: Iterable[str], lookahead: str = "refuse", frames: int = 192
) -> str:
    """ "converted" or "refused", by the first exporter that leads to a graph; raises if the answer is wrong."""
    generator = torch.Generator().manual_seed(5)
    example = torch.randn(2, 96, network.width, generator=generator)
    whole = Whole(network, InputLayout.of(tuple(example.shape), 0, 1))
    refusals: list[str] = []
    for exporter in exporters:
        graph = offline_graph(exporter, whole, example)
        try:
            made = streamify(graph, example.numpy(), lookahead=lookahead)
        except NotStreamable as refusal:
            refusals.append(str(refusal))
            continue
        check_operators(made.model, from_torch=True)
        reference = Reference(lambda x: whole(torch.from_numpy(x)).numpy())
        runner = StreamRunner(made.model, made.states)
        step = made.stride
        for streams, sizes in ((1, [step]), (3, [5 * step, step, 2 * step, 11 * step])):
            x = torch.randn(streams, frames, network.width, generator=generator).numpy()
            assert difference_from_whole(made, reference, x, runner.run(x, sizes)[0]) <= 1e-5
        return "converted"
    assert needs_the_future(network), f"refused without need: {refusals}"
    assert all(text.startswith(("layer '", "operator '")) for text in refusals)
    return "refused"


@pytest.mark.parametrize("block", range(10))
def test_two_hundred_networks(block: int) -> None:
    seeds = range(20 * block, 20 * block + 20)
    outcomes = [outcome(RandomNetwork(seed), ["tracing"]) for seed in seeds]
    assert outcomes.count("converted") >= 10


@pytest.mark.parametrize("block", range(2))
def test_networks_with_lookahead_allowed(block: int) -> None:
    seeds = range(1000 + 20 * block, 1020 + 20 * block)
    outcomes = [outcome(RandomNetwork(seed, poisoned=0.6), ["tracing"], "delay") for seed in seeds]
    assert "converted" in outcomes


@pytest.mark.parametrize("seed", range(2000, 2015))
def test_networks_through_the_default_exporter(seed: int) -> None:
    outcome(RandomNetwork(seed, poisoned=0.2), EXPORTERS)


@pytest.mark.parametrize("block", range(3))
def test_networks_with_recurrences_by_hand(block: int) -> None:
    outcomes = []
    for seed in range(3000 + 10 * block, 3010 + 10 * block):
        network = RandomNetwork(seed, loops=True)
        example = torch.zeros(2, 96, network.width)
        looping = exporters_for(Whole(network, InputLayout.of((2, 96, network.width), 0, 1)), example)
        outcomes.append(outcome(network, ["tracing"] if "tracing" in looping else looping))
    assert outcomes.count("converted") >= 5


@pytest.mark.long
def test_two_thousand_networks() -> None:
    for seed in range(10_000, 12_000):
        outcome(RandomNetwork(seed), ["tracing"])


def test_the_judge_of_refusals_can_tell() -> None:
    """The independent test finds every poison that changes earlier rows, and none in a causal network."""
    found = {network.poison for network in map(poisoned, range(60)) if needs_the_future(network)}
    assert found >= {"bidirectional", "flip", "excite", "instance", "attention", "position", "centre"}
    assert not any(needs_the_future(RandomNetwork(seed, poisoned=0)) for seed in range(30))


def poisoned(seed: int) -> RandomNetwork:
    return RandomNetwork(seed, poisoned=1.0)
