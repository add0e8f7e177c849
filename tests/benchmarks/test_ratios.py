"""Our speed over that of each peer, in the same run, must not fall below its recorded value by more than 1.3 times.

Absolute times depend on the machine and its mood; ratios of interleaved medians much less. The model is a GRU of 64
units on the default features. Run by ``pytest tests/benchmarks``; after a change for the better: ``--record``. The
compiled kernel and NumPy's have a baseline each, and so has every kind of processor that was recorded on; on any other
the least demanding of them holds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stream.bench.graphs import gru_model
from stream.bench.machine import machine
from stream.bench.report import as_data, ratios, table
from stream.bench.suite import all_cases
from stream.bench.timing import Timing, measure
from stream.features.kernel import kernel_name
from stream.features.spec import MfccSpec
from stream.inference.session import Model

BASELINE = Path(__file__).parent / "baseline.json"
WORSE = 1.3
STREAMS = 256
SPEC = MfccSpec()
PEERS = ["librosa_hop", "librosa_whole", "kaldi_hop", "silero", "torch_step"]
OURSELVES = ["kernel_numpy", "step_plain", "floor", "flac_16000_decode", "flac_44100_decode"]
ACROSS = ["whole", "slab"]


def all_ratios(timings: dict[str, Timing]) -> dict[str, float]:
    """Of each peer; and of two cases that have none of their own, against what does not change with them."""
    found = ratios(timings)
    if "librosa_whole" in timings:
        found["whole"] = timings["librosa_whole"].per_second / timings["whole"].per_second
    found["slab"] = timings["floor"].per_second / timings[f"slab_{STREAMS}"].per_second
    return found


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    model = Model(gru_model(64, SPEC), provider="cpu")
    cases, missing = all_cases(model, tmp_path_factory.mktemp("bench"), [STREAMS])
    timings = measure(cases, rounds=60)
    print("\n" + table(as_data(timings, {}, machine(SPEC), missing)))
    found = all_ratios(timings)
    if request.config.getoption("--record"):
        record(found)
    return found


def recorded() -> dict[str, dict[str, Any]]:
    """Kernel -> processor -> machine and ratios."""
    return dict(json.loads(BASELINE.read_text())) if BASELINE.is_file() else {}


def record(found: dict[str, float]) -> None:
    kept, here = recorded(), machine(SPEC)
    rounded = {key: round(value, 2) for key, value in found.items()}
    kept.setdefault(kernel_name(SPEC), {})[here["cpu"]] = {"machine": here, "ratios": rounded}
    BASELINE.write_text(json.dumps(kept, indent=2) + "\n")


def wanted(key: str, kernel: str, cpu: str) -> float | None:
    """The ratio recorded with this kernel on this processor, else the lowest on any; None = none."""
    by_cpu = recorded().get(kernel, {})
    held = [by_cpu[cpu]] if cpu in by_cpu else list(by_cpu.values())
    return min((float(each["ratios"][key]) for each in held if key in each["ratios"]), default=None)


@pytest.mark.parametrize("key", [*PEERS, *OURSELVES, *ACROSS])
def test_ratio_is_no_worse_than_recorded(key: str, measured: dict[str, float]) -> None:
    if key not in measured:
        pytest.skip(f"{key}: what it is compared with is not here")
    kernel = kernel_name(SPEC)
    want = wanted(key, kernel, machine(SPEC)["cpu"])
    if want is None:
        pytest.skip(f"{key}: not recorded with the {kernel} kernel; pytest tests/benchmarks --record")
    assert measured[key] >= want / WORSE, (
        f"{key}: {measured[key]:.2f} times ours, recorded {want:.2f}: we became more than {WORSE} times slower; "
        "find out why, or record the new value and say so in the commit"
    )
