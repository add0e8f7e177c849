"""Our speed over that of each peer, in the same run, must not fall below its recorded value by more than 1.3 times.

Absolute times depend on the machine and its mood; ratios of interleaved medians much less.
Run by ``pytest tests/benchmarks``; after a change for the better: ``pytest tests/benchmarks --record``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream.bench.cases import our_cases
from stream.bench.machine import machine
from stream.bench.peers import peer_cases
from stream.bench.report import as_data, ratios, table
from stream.bench.timing import measure
from stream.inference.session import Model
from tests.sounds import demo

BASELINE = Path(__file__).parent / "baseline.json"
WORSE = 1.3
STREAMS = 256


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> dict[str, float]:
    """Peer over ours for every peer that is here; and the slab over one stream."""
    model = Model.bundled(provider="cpu")
    spec = model.card.features
    sound = demo(spec.sample_rate)[: 20 * spec.sample_rate]
    others, missing = peer_cases(spec, sound)
    timings = measure([*our_cases(model, sound, [STREAMS]), *others], rounds=60)
    print("\n" + table(as_data(timings, {}, machine(), missing)))
    found = ratios(timings)
    slab = timings.get(f"slab_{STREAMS}")
    if slab is not None:
        found["slab"] = timings["hop"].per_second / slab.per_second
    if request.config.getoption("--record"):
        kept = {"machine": machine(), "ratios": {key: round(value, 2) for key, value in found.items()}}
        BASELINE.write_text(json.dumps(kept, indent=2) + "\n")
    return found


def recorded() -> dict[str, float]:
    return dict(json.loads(BASELINE.read_text())["ratios"]) if BASELINE.is_file() else {}


@pytest.mark.parametrize(
    "key", ["kaldi_hop", "librosa_hop", "librosa_whole", "step_plain", "torch_step", "silero", "slab"]
)
def test_ratio_is_no_worse_than_recorded(key: str, measured: dict[str, float]) -> None:
    want = recorded().get(key)
    if key not in measured or want is None:
        pytest.skip(f"{key}: {'not recorded' if key in measured else 'not installed here'}")
    assert measured[key] >= want / WORSE, (
        f"{key}: {measured[key]:.2f} times ours, recorded {want:.2f}: we became more than {WORSE} times slower; "
        "find out why, or record the new value and say so in the commit"
    )
