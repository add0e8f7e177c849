"""Random networks: each is converted with parity, or refused rightly. No third outcome."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from export.conversion.equivalence import Reference, check_equivalence  # noqa: E402
from export.conversion.input_layout import InputLayout  # noqa: E402
from export.conversion.operators import check_operators  # noqa: E402
from export.conversion.torch_export import EXPORTERS, Whole, exporters_for, offline_graph  # noqa: E402
from export.streaming import streamify  # noqa: E402
from stream.errors import ExportError, NotStreamable  # noqa: E402
from tests.support.random_networks import RandomNetwork, needs_the_future  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning"),  # torch's, of its own speed
]
NETWORKS = int(os.environ.get("STREAM_CLASSIFY_FUZZ", "200"))


def outcome(
    network: RandomNetwork, exporters: Iterable[str], lookahead: str = "refuse", frames: int = 192
) -> str:
    """ "converted" or "refused", by the first exporter that leads to a graph; raises if the answer is wrong."""
    generator = torch.Generator().manual_seed(5)
    example = torch.randn(2, 96, network.width, generator=generator)
    whole = Whole(network, InputLayout.of(tuple(example.shape), 0, 1))
    usual = exporters_for(whole, example)
    reference = Reference(lambda x: whole(torch.from_numpy(x)).numpy(), "softmax", run_double=whole.in_double)
    refusals: list[str] = []
    for exporter in exporters if usual is EXPORTERS else usual:
        try:
            graph = offline_graph(exporter, whole, example)
            made = streamify(graph, example.numpy(), lookahead=lookahead, activation="softmax")
        except NotStreamable as refusal:
            refusals.append(str(refusal))
            if needs_the_future(network):
                break  # rightly; the next exporter would take seconds to find the same
            continue
        except ExportError:  # this exporter cannot write it; the other one's refusal counts
            continue
        check_operators(made.model, from_torch=True)
        check_equivalence(made, reference, 4 * example.numpy(), frames=frames)
        return "converted"
    assert refusals
    assert needs_the_future(network), f"refused without need: {refusals}"
    assert all(text.startswith(("layer '", "operator '", "the loop over frames")) for text in refusals)
    return "refused"


@pytest.mark.parametrize("block", range(NETWORKS // 20))
def test_random_networks(block: int) -> None:
    """200 of them; STREAM_CLASSIFY_FUZZ=400 makes it 400."""
    seeds = range(20 * block, 20 * block + 20)
    outcomes = [outcome(RandomNetwork(seed), ["tracing", "torch.export"]) for seed in seeds]
    assert outcomes.count("converted") >= 10


@pytest.mark.parametrize("block", range(2))
def test_networks_with_lookahead_allowed(block: int) -> None:
    seeds = range(1000 + 20 * block, 1020 + 20 * block)
    outcomes = [
        outcome(RandomNetwork(seed, poisoned=0.6), ["tracing", "torch.export"], "delay") for seed in seeds
    ]
    assert "converted" in outcomes


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_networks_through_the_other_exporter(seed: int) -> None:
    outcome(RandomNetwork(seed, poisoned=0.2), ["torch.export", "tracing"])


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
        outcome(RandomNetwork(seed), EXPORTERS)


def test_the_judge_of_refusals_can_tell() -> None:
    """The independent test finds every poison that changes earlier rows, and none in a causal network."""
    found = {network.poison for network in map(poisoned, range(60)) if needs_the_future(network)}
    assert found >= {"bidirectional", "flip", "excite", "instance", "attention", "position", "centre"}
    assert not any(needs_the_future(RandomNetwork(seed, poisoned=0)) for seed in range(30))


def poisoned(seed: int) -> RandomNetwork:
    return RandomNetwork(seed, poisoned=1.0)
