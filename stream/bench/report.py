"""The report: a table, and the same figures as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stream.bench.lower_bounds import step_over_bound
from stream.bench.process import GROWTH_HOPS
from stream.bench.timing import Timing

_LABELS = {
    "help_seconds": "--help, whole process, seconds",
    "first_probability_seconds": "start to first probability, seconds",
    "live_run_mib": "memory of a live run, MiB",
    "growth_kib": f"memory grown over {GROWTH_HOPS} hops, KiB",
    "step_over_floor": "model step over (identity graph + arithmetic)",
}


def ratios(timings: Mapping[str, Timing]) -> dict[str, float]:
    """For each peer, its time per second of sound over ours in this run: above 1, ours is faster."""
    return {
        key: t.per_second / timings[t.case.against].per_second
        for key, t in timings.items()
        if t.case.against in timings
    }


def as_data(
    timings: Mapping[str, Timing],
    process: Mapping[str, float],
    machine: Mapping[str, str],
    missing: Sequence[str],
) -> dict[str, Any]:
    """Everything, for ``--json``. Times are in microseconds per unit of work."""
    ratio = ratios(timings)
    return {
        "machine": dict(machine),
        "missing": list(missing),
        "process": dict(process),
        "step_over_floor": step_over_bound(timings) if "arithmetic" in timings else None,
        "cases": {
            key: {
                "label": t.case.label,
                "unit": t.case.unit,
                "median_us": t.median,
                "best_us": t.best,
                "p99_us": t.p99,
                "times_real_time": 1e6 / t.per_second,
                "against": t.case.against,
                "ratio": ratio.get(key),
            }
            for key, t in timings.items()
        },
    }


def table(data: Mapping[str, Any]) -> str:
    """Plain text without colour: one line per case, each peer below what it is compared with."""
    cases: Mapping[str, Mapping[str, Any]] = data["cases"]
    lines = [
        ", ".join(f"{name} {value}" for name, value in data["machine"].items()),
        "",
        f"{'µs per unit of work':38s}{'unit':>12s}{'median':>10s}{'best':>10s}{'p99':>10s}{'x real time':>13s}  ratio",
    ]
    for key, case in cases.items():
        if case["against"] in cases:
            continue
        lines.append(_line(case, ""))
        lines += [_line(peer, "  ") for peer in cases.values() if peer["against"] == key]
    lines.append("")
    figures = dict(data["process"])
    if data["step_over_floor"] is not None:
        figures["step_over_floor"] = data["step_over_floor"]
    lines += [f"{_LABELS[name]:50s}{value:10.2f}" for name, value in figures.items()]
    lines += [f"left out: {text}" for text in data["missing"]]
    lines.append("ratio: time per second of sound over ours in the same run; above 1, ours is faster")
    return "\n".join(lines)


def _line(case: Mapping[str, Any], indent: str) -> str:
    ratio = "" if case["ratio"] is None else f"{case['ratio']:7.2f}"
    return (
        f"{indent + case['label']:38s}{case['unit']:>12s}{case['median_us']:10.2f}{case['best_us']:10.2f}"
        f"{case['p99_us']:10.2f}{case['times_real_time']:13,.0f}{ratio}"
    )
