"""teach_beep(): one recording of a repeating beep -> one proven ONNX file that knows it, and a picture."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from export.atomic import write_bytes
from export.lazy import require
from export.teaching.background import Stretch
from export.teaching.beeps import scoring
from export.teaching.beeps.checking import Checked, Extent, check
from export.teaching.beeps.graph import detector_graph
from export.teaching.beeps.line_spectrum import RATE
from export.teaching.beeps.measuring import measure
from export.teaching.beeps.pattern import Beep
from export.teaching.beeps.proving import prove
from export.teaching.beeps.template import SPEC, Template, template_of, time_to_say
from export.teaching.judging import Budget
from stream.capture.files import read_audio
from stream.decisions.poisson import upper_bound
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import DataError, ModelError, UsageError
from stream.features.frontend import extract
from stream.inference.card import ModelCard
from stream.inference.onnx_file import read_model_file, scan
from stream.inference.session import Model
from stream.outputs.kept import check_sound_name
from stream.printable import printable

NO_SAFETY = (
    "it is no life-safety device: it was not tested as one, it misses some, and it replaces no smoke or carbon "
    "monoxide alarm"
)
RULE = ClassRule(threshold=0.5, release=0.2, min_on=0.06, min_off=0.3, smoothing=0.0)
LEAST_FOUND = 0.5  # share of trials 10 dB above what is behind them, below which a beep cannot be told apart
BASE = "default"
_MARGIN_SECONDS = 1.0
Progress = Callable[[str], None]


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A beep as a file keeps it.

    Attributes:
        beep: what was measured.
        threshold: of its score.
        recording: name of the file.
        sha256: of that file.
        standard: "smoke alarm" or "carbon monoxide alarm" where its cadence is near to that.
    """

    beep: Beep
    threshold: float
    recording: str
    sha256: str
    standard: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class BeepReport:
    """What ``teach_beep`` made.

    Attributes:
        label: of the beep.
        known: what was measured, and the threshold.
        checked: what the detector is worth.
        first: seconds into the recording at which the detector says that it is there; None = it does not.
        card: of the file.
        largest_difference: of any probability in the proof.
        warnings: what is not well, a line each.
    """

    label: str
    known: Known
    checked: Checked
    first: float | None
    card: ModelCard
    largest_difference: float
    warnings: tuple[str, ...]

    @property
    def figures(self) -> dict[str, Any]:
        """As the card has them."""
        return _figures(self.checked)


def teach_beep(
    output: str | Path,
    label: str,
    recording: str | Path,
    *,
    quiet: Iterable[Stretch] = (),
    replace: bool = False,
    force: bool = False,
    budget: Budget = Budget(),  # noqa: B008 (immutable)
    progress: Progress = lambda what: None,
    picture: Path | None = None,
    extent: Extent = Extent(),  # noqa: B008 (immutable)
    seed: int = 0,
) -> BeepReport:
    """Write a model that knows the repeating beep of a recording, and the beeps that the file knew before.

    Args:
        output: the ONNX file.
        label: what the beep is called.
        recording: an audio file with two whole cycles of it or more; other sound may be in it.
        quiet: the user's own background, to choose the threshold on beside the bundled one.
        replace: ``label`` is known already, and is to be measured anew.
        force: write it even if it can hardly be told apart.
        budget: of false alarms.
        progress: told what is going on.
        picture: PNG to draw; None = none.
        extent: how much is heard to choose the threshold, and to say what it is worth.
        seed: of every draw.

    Raises:
        UsageError: a name that cannot be or is known, or a file that knows something else.
        DataError: no repeating beep in the recording, or one that cannot be told apart; says why.
        ParityError: the file is not what it was made of.
    """
    output, recording = Path(output), Path(recording)
    if output.suffix != ".onnx":
        raise UsageError(f"-o {output}: want a name that ends in .onnx")
    check_sound_name(label, Model.bundled(BASE, provider="cpu").labels)
    before = known_beeps(output)
    if label in before and not replace:
        raise UsageError(f"{label}: {output} knows it already; --replace measures it anew")
    samples = _read(recording)
    progress("measuring")
    beep = measure(samples, recording.name)
    template = template_of(beep)
    progress("listening to the background and to the beep in it")
    checked = check(beep, template, quiet, budget, extent, label, seed)
    first, heard = _first(samples, template, checked.threshold)
    long_enough = beep.cycles * beep.cycle >= time_to_say(template)
    problems = _problems(label, recording, checked, first, long_enough)
    if checked.share_found < LEAST_FOUND and not force:
        raise DataError(problems[0])
    progress("proving the file")
    new = Known(beep, checked.threshold, printable(recording.name), _digest(recording), beep.looks_like)
    known = dict(sorted({**{name: each for name, (each, _) in before.items()}, label: new}.items()))
    figures = {**{name: each for name, (_, each) in before.items()}, label: _figures(checked)}
    card = _card(output.stem, known, figures)
    beeps, thresholds = [each.beep for each in known.values()], [each.threshold for each in known.values()]
    graph, states = detector_graph([template_of(each) for each in beeps], thresholds)
    card = msgspec.structs.replace(card, states=states)
    data, difference = prove(graph, card, beeps, thresholds, seed)
    if picture is not None:
        require("matplotlib")
        from export.teaching.beeps.beep_picture import draw_beep

        draw_beep(samples, beep, template, heard, checked.threshold, label, picture)
    write_bytes(output, data)
    return BeepReport(label, new, checked, first, card, difference, tuple(problems))


def known_beeps(model: Path) -> dict[str, tuple[Known, Any]]:
    """The beeps that a file knows, each with its figures; none where there is no file.

    Raises:
        UsageError: the file knows something else.
    """
    if not model.exists():
        return {}
    try:
        card = ModelCard.from_metadata(scan(read_model_file(model), str(model)))
        known = msgspec.convert(card.provenance["beeps"], dict[str, Known])
        if set(known) != set(card.labels):
            raise KeyError("beeps")
    except (ModelError, KeyError, msgspec.ValidationError):
        raise UsageError(
            f"{model}: is there, and is no model of beeps, which hears finer than others and cannot be joined with "
            "them; choose another -o, and listen with each"
        ) from None
    figures = card.metrics.get("beeps")
    return {
        name: (each, figures.get(name) if isinstance(figures, dict) else None) for name, each in known.items()
    }


def _read(recording: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    if recording.is_dir():
        raise UsageError(f"--beep {recording}: is a folder; give one recording of the beep")
    if not recording.exists():
        raise DataError(f"{recording}: no such file; give a recording of the beep")
    return np.nan_to_num(read_audio(recording, RATE))


def _first(
    samples: np.ndarray[Any, np.dtype[np.float32]], template: Template, threshold: float
) -> tuple[float | None, np.ndarray[Any, np.dtype[np.float32]]]:
    """When the detector says that the beep is there, and its score at every frame, with some silence after it."""
    margin = np.zeros(round(_MARGIN_SECONDS * RATE), np.float32)
    heard = scoring.scores(extract(np.concatenate([samples, margin]), SPEC), template)
    said = np.flatnonzero(heard >= threshold)
    return (float(said[0] * SPEC.hop_length + SPEC.span) / RATE if len(said) else None), heard


def _problems(
    label: str, recording: Path, checked: Checked, first: float | None, long_enough: bool
) -> list[str]:
    found = []
    if checked.share_found < LEAST_FOUND:
        names = f" from {', '.join(checked.names[:3])}" if checked.names else ""
        found.append(
            f"{label}: cannot be told apart{names}: {checked.share_found:.0%} are found 10 dB above what is behind "
            "them; leave recordings that hold it out of --quiet, allow more by --false-alarms, or record it nearer"
        )
    if first is None:
        why = (
            "where something else sounds on it; record it nearer"
            if long_enough
            else "which is short; record it longer"
        )
        found.append(
            f"{label}: the detector does not find it in {recording.name} itself, {why} to see that it does"
        )
    return found


def _digest(recording: Path) -> str:
    with recording.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _figures(checked: Checked) -> dict[str, Any]:
    tail = checked.tail
    return {
        "found": {
            f"{kind} {ratio:+.0f} dB": round(share, 3) for (kind, ratio), share in checked.found.items()
        },
        "trials_of_each": checked.trials,
        "other_cadences_taken_for_it": round(checked.taken, 3),
        "other_cadences": checked.other_trials,
        "false_alarms": tail.count(checked.threshold),
        "false_per_hour": round(tail.rate(checked.threshold), 4),
        "false_per_hour_at_most": round(upper_bound(tail.count(checked.threshold), tail.hours), 4),
        "background_hours": round(tail.hours, 3),
        "own_background": checked.own,
    }


def _card(name: str, known: Mapping[str, Known], figures: Mapping[str, Any]) -> ModelCard:
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    said = "; ".join(f"{label}: {each.beep.describe()}" for label, each in known.items())
    alike = [f"{label} sounds like a {each.standard}" for label, each in known.items() if each.standard]
    warning = f" {', '.join(alike)}: {NO_SAFETY}." if alike else ""
    return ModelCard(
        name=name,
        labels=tuple(known),
        activation="sigmoid",
        features=SPEC,
        description=f"Repeating beeps, told by pitch and cadence. {said}.{warning}",
        licence="that of your choice: measurements of a recording, and no sound of it",
        created=created,
        receptive_field=max(_frames(template_of(each.beep)) for each in known.values()),
        detector=DetectorSpec(default=RULE),
        metrics={"beeps": dict(figures)},
        provenance={"beeps": {label: msgspec.to_builtins(each) for label, each in known.items()}},
        sources=tuple(
            f"{each.recording}: your own recording, measured (sha256 {each.sha256[:16]})"
            for each in known.values()
        ),
    )


def _frames(template: Template) -> int:
    """That can influence an answer."""
    return 1 + template.memory + template.back[1] + template.hold
