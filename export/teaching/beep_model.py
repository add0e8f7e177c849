"""teach_beep(): one recording of a repeating beep -> one proven ONNX file that hears it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.calibration.detecting import row_events
from export.conversion.onnx_export import to_onnx
from export.models import count_parameters
from export.teaching.beep_learning import (
    EFFORT,
    HOP,
    IN_TIME_CYCLES,
    LONGEST_CYCLE_SECONDS,
    RATIOS_DB,
    Effort,
    Heard,
    Progress,
    features_for,
    heard_quiet,
    heard_trials,
    trained,
)
from export.teaching.beep_scenes import SAMPLE_RATE
from export.teaching.beeping import Beeping, measured_beep
from stream.capture.files import read_audio
from stream.decisions.poisson import upper_bound
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import DataError, UsageError
from stream.features.framing import frame_centre
from stream.inference.card import ModelCard
from stream.outputs.kept import check_sound_name

Array = NDArray[np.float32]
LEAST_FOUND = 0.5  # at the best ratio, or it cannot be heard
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
_RELEASE_SHARE = 0.4
_LONGEST_RECORDING_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class BeepReport:
    """What ``teach_beep`` made.

    Attributes:
        card: of the file.
        beep: what was measured.
        found: ratio in dB -> share of synthesised ones reported within three cycles.
        false_events: in ``hours`` of sound without it, which nothing was chosen on.
        per_hour_at_most: what the true rate stays below with 95 % confidence.
        hours: heard.
    """

    card: ModelCard
    beep: Beeping
    found: dict[float, float]
    false_events: int
    per_hour_at_most: float
    hours: float


def beep_in(path: str | Path) -> Beeping:
    """The repeating beep of a recording.

    Raises:
        DataError: there is none, or its cycle is too long to be learnt.
    """
    samples = read_audio(Path(path), SAMPLE_RATE)[: round(_LONGEST_RECORDING_SECONDS * SAMPLE_RATE)]
    beep = measured_beep(np.nan_to_num(samples), SAMPLE_RATE)
    if beep is None:
        raise DataError(
            f"{path}: no repeating beep in it; want one tone, switched on and off at least four times, or two groups "
            "of pulses, as loud as what is around it. Other sounds are taught by --clips"
        )
    if beep.cadence.cycle > LONGEST_CYCLE_SECONDS:
        raise DataError(
            f"{path}: it beeps every {beep.cadence.cycle:.1f} s, and a cycle may be {LONGEST_CYCLE_SECONDS:g} s at "
            "most; teach its single beep by --clips"
        )
    return beep


def teach_beep(
    output: str | Path,
    label: str,
    beep: Beeping,
    *,
    quiet: Sequence[Array] = (),
    force: bool = False,
    effort: Effort = EFFORT,
    seed: int = 0,
    progress: Progress = lambda what: None,
) -> BeepReport:
    """Write a model that hears one beep and nothing else.

    Args:
        output: the ONNX file.
        label: its name.
        beep: as ``beep_in`` measured it.
        quiet: (n,) float32 each, the user's own sound without it, at 16 kHz, for the threshold.
        force: write it even if it is hardly heard.
        effort: how much is composed and learnt.
        seed: of every draw.
        progress: told what is going on.

    Raises:
        UsageError: a name that cannot be.
        DataError: it cannot be told from other sound.
        ExportError: the file is not what the network is; nothing is written.
    """
    output = Path(output)
    if output.suffix != ".onnx":
        raise UsageError(f"-o {output}: want a name that ends in .onnx")
    check_sound_name(label, ())
    model = trained(beep, label, effort, seed, progress)
    progress("listening for false alarms")
    tried = [
        each
        for ratio in RATIOS_DB
        for each in heard_trials(model, beep, label, "validation", ratio, effort.trials, seed + 11)
    ]
    nothing = heard_quiet(model, beep, label, "validation", effort.quiet_seconds, quiet)
    rule = _chosen(beep, label, tried, nothing)
    found = {
        ratio: _found(heard_trials(model, beep, label, "test", ratio, effort.trials, seed + 12), label, rule)
        for ratio in RATIOS_DB
    }
    if max(found.values()) < LEAST_FOUND and not force:
        raise DataError(
            f"{label}: {max(found.values()):.0%} of such beeps are found, in quiet too; record it nearer and for longer"
        )
    counted = heard_quiet(model, beep, label, "test", effort.quiet_seconds)
    false = sum(len(_events(each, label, rule)) for each in counted)
    hours = sum(each.seconds for each in counted) / 3600
    report = BeepReport(
        _card(beep, label, rule, output.stem), beep, found, false, upper_bound(false, hours), hours
    )
    progress("proving the file")
    card = msgspec.structs.replace(
        report.card,
        metrics={"taught": {label: _figures(report)}},
        provenance={**report.card.provenance, "parameters": count_parameters(model), "seed": seed},
    )
    return replace(report, card=to_onnx(model, output, card))


def _chosen(beep: Beeping, label: str, tried: Sequence[Heard], nothing: Sequence[Heard]) -> ClassRule:
    """Fewest false events, then most found, then the highest threshold."""

    def worth(rule: ClassRule) -> tuple[float, float, float]:
        false = sum(len(_events(each, label, rule)) for each in nothing)
        return -false, _found(tried, label, rule), rule.threshold

    return max((_rule(beep, threshold) for threshold in THRESHOLDS), key=worth)


def _rule(beep: Beeping, threshold: float) -> ClassRule:
    """One beep stays one event where a cycle of it is not heard."""
    return ClassRule(
        threshold=threshold, release=round(_RELEASE_SHARE * threshold, 3), min_on=0.16, smoothing=0.2,
        min_off=round(beep.cadence.cycle + 0.5, 2),
    )  # fmt: skip


def _events(heard: Heard, label: str, rule: ClassRule) -> Sequence[float]:
    """When events were reported, in seconds."""
    spec = heard.spec
    middle = frame_centre(0, spec)
    samples = np.arange(len(heard.probs), dtype=np.int64) * HOP + middle
    events = row_events(
        heard.probs,
        samples,
        (label,),
        DetectorSpec(classes={label: rule}),
        SAMPLE_RATE,
        HOP,
        spec.span - middle,
    )
    return [event.decided for event in events]


def _found(tried: Sequence[Heard], label: str, rule: ClassRule) -> float:
    """Share reported within three cycles, and not before the beep began."""
    hits = 0
    for each in tried:
        if each.sounder is not None:
            last = each.sounder.onset + max(IN_TIME_CYCLES * each.sounder.cycle, 6.0)
            hits += any(each.sounder.onset <= at <= last for at in _events(each, label, rule))
    return hits / max(len(tried), 1)


def _card(beep: Beeping, label: str, rule: ClassRule, name: str) -> ModelCard:
    return ModelCard(
        name=name, labels=(label,), activation="sigmoid", features=features_for(beep),
        detector=DetectorSpec(classes={label: rule}),
        description=f"{label}: {beep.sentence}; taught from one recording. It is no life-safety device.",
        licence="Apache-2.0", warmup=5,
        sources=(
            f"{label}: synthesised after one recording of the user's",
            "voices and things that come with stream-classify (assets/negatives/SOURCES.md): CC0, CC BY by file",
        ),
        provenance={
            "taught_beep": {
                "cadence": asdict(beep.cadence), "hertz": round(beep.hertz, 1),
                "partials": [list(each) for each in beep.partials], "pulses_heard": len(beep.pulses),
            }
        },
    )  # fmt: skip


def _figures(report: BeepReport) -> dict[str, object]:
    return {
        "found": {f"{ratio:g} dB": round(share, 3) for ratio, share in report.found.items()},
        "false_events": report.false_events,
        "per_hour_at_most": round(report.per_hour_at_most, 3),
        "background_hours": round(report.hours, 3),
    }
