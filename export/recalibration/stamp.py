"""A copy of a model with new rules, and on its card where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from export.atomic import write_bytes
from export.recalibration.positives import Positives
from export.recalibration.promise import CONFIDENCE
from export.recalibration.recalibrate import Recalibration
from export.recalibration.score_store import Part
from stream._version import __version__
from stream.decisions.spec import DetectorSpec
from stream.errors import ModelError
from stream.inference.card import ModelCard
from stream.inference.onnx_file import read_model_file
from stream.inference.rewrite import with_card
from stream.inference.session import Model
from stream.inference.verify import prove

# Figures of the old rules, on other sound: not this model's any more.
OF_RULES = {"events", "events_found", "events_doubled", "false_alarms_per_hour", "event_delay_seconds"}


def heard_parts(parts: Sequence[Part], hours: float) -> dict[str, Any]:
    """Where sound without events comes from, JSON-ready."""
    files = sorted(file.sha256 for part in parts for file in part.files)
    heard: dict[str, Any] = {
        "hours": round(hours, 4),
        "began": min((part.began for part in parts), default=""),
    }
    if files:
        heard["files"] = len(files)
        heard["sha256"] = hashlib.sha256("".join(files).encode()).hexdigest()
    devices = sorted({part.source for part in parts if not part.files})
    if devices:
        heard["devices"] = devices
    return heard


def provenance(found: Recalibration, heard: dict[str, Any], positives: Positives | None) -> dict[str, Any]:
    """Where the rules come from, JSON-ready: what was heard, for what budget, and what it promises."""
    promise = found.promise
    return {
        "program": f"stream-classify {__version__}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "negatives": heard,
        "positives": None
        if positives is None
        else {"recordings": len(positives.recordings), "hours": round(positives.stream.hours, 4)},
        "budget": {"false_alarms": found.budget.count, "hours": found.budget.hours},
        "promise": {
            "false_alarms": promise.count,
            "at_most_per_hour": promise.at_most_per_hour,
            "confidence": CONFIDENCE,
            "keeps_budget": promise.kept,
        },
        "classes": {label: _figures(found, label) for label in found.chosen},
    }


def _figures(found: Recalibration, label: str) -> dict[str, Any]:
    promise, new, old = found.promise_of(label), found.after.classes[label], found.before.classes[label]
    figures: dict[str, Any] = {
        "false_alarms": promise.count,
        "at_most_per_hour": promise.at_most_per_hour,
        "highest_score": round(found.highest[label], 5),
    }
    if new.events:
        figures |= {
            "events": new.events,
            "found": new.found,
            "median_delay_seconds": new.delay(),
            "found_before": old.found,
            "median_delay_seconds_before": old.delay(),
        }
    return figures


def write_calibrated(
    model: Path,
    sha256: str,
    output: Path,
    rules: DetectorSpec,
    origin: dict[str, Any],
    budget_per_hour: float,
) -> ModelCard:
    """Write the model with new rules, once the copy has proven itself as any other file.

    Args:
        model: file that was calibrated.
        sha256: of that file when it listened.
        output: where the copy goes.
        rules: of the detector.
        origin: from ``provenance``.
        budget_per_hour: false alarms an hour; what ``evaluate`` measures the model by.

    Returns:
        Its card.

    Raises:
        ModelError: the file changed meanwhile, or does not prove itself.
        OutputError: the copy cannot be written.
    """
    data = read_model_file(model)
    origin = {"model": sha256, **origin}
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"model {model}: is another file than the one that listened; calibrate it anew")
    card = Model(data, str(model), "cpu").card
    card = msgspec.structs.replace(
        card,
        detector=rules,
        created=origin["created"],
        provenance={**card.provenance, "false_alarms": budget_per_hour, "calibration": origin},
        metrics={name: value for name, value in card.metrics.items() if name not in OF_RULES},
    )
    copy = with_card(data, card)
    prove(copy, str(output), "cpu")
    write_bytes(output, copy)
    return card
