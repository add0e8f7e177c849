"""teach(): a few examples of a sound -> one proven ONNX file that knows it beside speech, music and noise."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx

from export.atomic import write_bytes
from export.scenes.negatives import Negatives
from export.teaching.assembly import assemble
from export.teaching.background import Amount, Stretch, bank_background
from export.teaching.examples import Example
from export.teaching.folder import WRONG, examples_in, folder_of, forget, keep, known_sounds, new_examples
from export.teaching.front import Front
from export.teaching.judging import Budget, Judged, judge
from export.teaching.learning import Lesson, Taught
from export.teaching.others import load_front
from export.teaching.proof import proven
from export.teaching.quiet_hours import all_hours, keep_hours
from stream.decisions.poisson import upper_bound
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import DataError, ModelError, UsageError
from stream.inference.card import ModelCard
from stream.inference.onnx_file import read_model_file, scan
from stream.inference.session import Model
from stream.installation import asset
from stream.outputs.kept import check_sound_name

BASE = "default"
LEAST_FOUND = 0.3  # share of left-out examples below which a sound cannot be told apart
MOST_ALIKE = 0.35  # share of another's copies that mean a sound as much as half of its own do; the same: 0.5
MOST_TAKEN = 0.5  # share of one sound's examples that may be taken for another
RULE = ClassRule(threshold=0.5, release=0.2, min_on=0.06, min_off=0.3, refractory=0.4, smoothing=0.0)
LEARNT_FROM = Amount(voices=2, things=2, music=12, noises=40, silences=2)
CHOSEN_ON = Amount(voices=4, things=4, music=12, noises=40, silences=2)
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SoundReport:
    """What is known about a taught sound.

    Attributes:
        label: its name.
        examples: how many.
        found: share of examples that are found when the others are learnt from, in other places.
        per_day: false events a day to be expected.
        per_day_at_most: what the true number stays below with 95 % confidence.
        hours: of background heard for these two.
        own: it was the user's own.
    """

    label: str
    examples: int
    found: float
    per_day: float
    per_day_at_most: float
    hours: float
    own: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What ``teach`` made.

    Attributes:
        card: of the file.
        sounds: in the order of their names.
        largest_difference: of any probability in the proof.
        warnings: what is not well, a line each.
    """

    card: ModelCard
    sounds: tuple[SoundReport, ...]
    largest_difference: float
    warnings: tuple[str, ...]


def teach(
    output: str | Path,
    label: str | None = None,
    examples: Sequence[Example] = (),
    *,
    wrong: Sequence[Example] = (),
    quiet: Iterable[Stretch] = (),
    add: bool = False,
    replace: bool = False,
    force: bool = False,
    budget: Budget = Budget(),  # noqa: B008 (immutable)
    front: Front | None = None,
    progress: Progress = lambda what: None,
    learnt_from: Amount = LEARNT_FROM,
    chosen_on: Amount = CHOSEN_ON,
    seed: int = 0,
) -> Report:
    """Write a model that knows what the bundled one knows, the sounds taught before, and ``label``.

    Examples and quiet hours are kept beside it (``export.teaching.folder``). Nothing is written or kept unless all is
    proven.

    Args:
        output: the ONNX file; one that is there is taught more.
        label: a sound; None = only ``wrong`` or ``quiet`` are new.
        examples: of it, at the front's rate.
        wrong: what was taken for a taught sound and is none.
        quiet: the user's own background, to choose thresholds on beside the bank's and what is kept.
        add: ``label`` is known already, and these are more examples of it.
        replace: it is known already, and is to be learnt anew.
        force: write it even if something cannot be told apart.
        budget: of false alarms.
        front: what hears; None = the bundled one. Another one hears other features than the bundled model, so its file
            knows the taught sounds alone.
        progress: told what is going on.
        learnt_from, chosen_on: how much of the bank is heard to learn from, and to choose thresholds on.
        seed: of every draw.

    Raises:
        UsageError: a name that cannot be, is known, or is not.
        DataError: a sound that cannot be told apart; says from what.
        ParityError: the file is not what it was made of.
    """
    output = Path(output)
    if output.suffix != ".onnx":
        raise UsageError(f"-o {output}: want a name that ends in .onnx")
    folder = folder_of(output)
    base = Model.bundled(BASE, provider="cpu")
    front = front or load_front()
    rate = front.sample_rate
    known = known_sounds(folder)
    _check(output, label, examples, known, base, add, replace)
    if label is not None:
        examples = new_examples(None if replace else folder, label, examples)
        if not examples:
            raise UsageError(
                f"{label}: all of these examples are known; give others by --clips, or --record them"
            )
    wrong = new_examples(folder, WRONG, wrong)
    sounds = [
        Taught(name, examples_in(folder, name, rate)) for name in known if not (name == label and replace)
    ]
    if label is not None:
        before = next((s.examples for s in sounds if s.label == label), [])
        sounds = [s for s in sounds if s.label != label] + [Taught(label, [*before, *examples])]
    sounds.sort(key=lambda sound: sound.label)
    names = [sound.label for sound in sounds]
    progress("listening to the background")
    hours = all_hours(folder, quiet, front)
    lost = hours.warnings or ([] if hours.counted else _lost_hours(output))
    background = bank_background("train", rate, learnt_from, without=names, seed=seed)
    bank = bank_background("validation", rate, chosen_on, without=names, seed=seed + 1)
    lesson = Lesson(
        front, sounds, [*examples_in(folder, WRONG, rate), *wrong], background, bank,
        Negatives("train", rate, names), seed, hours.counted,
    )  # fmt: skip
    progress("learning")
    judged = judge(lesson, budget)
    problems = _problems(lesson, judged)
    if problems and not force:
        raise DataError(problems[0])
    progress("proving the file")
    beside = (
        base if (front.card.features, front.card.stride) == (base.card.features, base.card.stride) else None
    )
    graph, states = assemble(_bare() if beside else None, base.card, front, judged.head)
    reports = tuple(_report(lesson, judged, i, sound) for i, sound in enumerate(sounds))
    card = _card(beside.card if beside else None, front, states, sounds, reports, output.stem)
    data, difference, exact = proven(graph, card, beside, front, judged.head, seed)
    if not exact:
        data, difference, _ = proven(
            graph, msgspec.structs.replace(card, exact=False), beside, front, judged.head, seed
        )
    if label is not None and replace:
        forget(folder, label)
    if label is not None:
        keep(folder, label, examples, rate)
    if wrong:
        keep(folder, WRONG, wrong, rate)
    keep_hours(folder, hours.new)
    write_bytes(output, data)
    return Report(card, reports, difference, (*problems, *lost))


def _check(
    output: Path, label: str | None, examples: Sequence[Example], known: Sequence[str], base: Model, add: bool,
    replace: bool,
) -> None:  # fmt: skip
    if output.exists() and not known:
        raise UsageError(
            f"{output}: its examples are not beside it in {folder_of(output).name}; choose another -o"
        )
    if label is None:
        if not known:
            raise UsageError(f"{output}: knows no taught sound yet; give a name and --clips")
        return
    check_sound_name(label, base.labels)
    if not examples:
        raise UsageError(f"{label}: no example; give some by --clips, or --record them")
    if add and label not in known:
        raise UsageError(f"{label}: is not known to {output} yet; leave --add out")
    if label in known and not add and not replace:
        raise UsageError(
            f"{label}: {output} knows it already; --add gives more examples, --replace begins anew"
        )


def _problems(lesson: Lesson, judged: Judged) -> list[str]:
    """A line for each sound that cannot be told apart, and from what."""
    found = []
    wrong = any(copy.sound < 0 for copy in lesson.copies)
    doubt = ", or take back what was given by --not and sounds like it" if wrong else ""
    for i, label in enumerate(lesson.labels):
        others = [k for k in range(len(lesson.labels)) if k != i]
        taken = max(((judged.raised(i, k), k) for k in others), default=(0.0, i))
        alike = max(((judged.alike(i, k), k) for k in others), default=(0.0, i))
        if taken[0] > MOST_TAKEN:
            found.append(
                f"{label}: cannot be told from {lesson.labels[taken[1]]}, of which {taken[0]:.0%} are taken for it; "
                "give both other examples, or teach them as one sound"
            )
        elif alike[0] > MOST_ALIKE:
            found.append(
                f"{label}: cannot be told from {lesson.labels[alike[1]]}; give both other examples, or teach them as "
                "one sound"
            )
        elif judged.raised(i, i) < LEAST_FOUND:
            lowered = float(judged.thresholds[i]) + min(0.0, _median(judged, i))
            names = lesson.background_names(judged.head, i, lowered - float(judged.thresholds[i]))[:3]
            apart = f"cannot be told from {', '.join(names)}" if names else "its examples are not alike"
            found.append(
                f"{label}: {apart}; {judged.raised(i, i):.0%} of its examples are found when the others are learnt "
                f"from; give more or cleaner ones by --clips{doubt}"
            )
    return found


def _lost_hours(output: Path) -> list[str]:
    """A line if thresholds of the file that is there were chosen on the user's own recordings, which are not there."""
    if not output.exists():
        return []
    try:
        figures = ModelCard.from_metadata(scan(read_model_file(output), str(output))).metrics.get("taught")
    except ModelError:
        return []  # it is about to be replaced
    had = isinstance(figures, dict) and any(
        isinstance(each, dict) and each.get("own_background") is True for each in figures.values()
    )
    return [
        "the quiet hours that thresholds were chosen on before are gone; give them again by --quiet"
    ] * had


def _median(judged: Judged, sound: int) -> float:
    return float(np.median(judged.trial.peaks[judged.trial.sound == sound, sound]))


def _report(lesson: Lesson, judged: Judged, i: int, sound: Taught) -> SoundReport:
    hours = judged.tails[i].hours
    return SoundReport(
        label=sound.label,
        examples=len(sound.examples),
        found=judged.raised(i, i),
        per_day=24 * judged.rate(i),
        per_day_at_most=24 * upper_bound(judged.count(i), hours),
        hours=hours,
        own=lesson.has_own,
    )


def _bare() -> onnx.ModelProto:
    """The bundled model's graph without its card."""
    graph = onnx.load_from_string(read_model_file(asset(f"{BASE}.onnx")))
    del graph.metadata_props[:]
    return graph


def _card(
    base: ModelCard | None,
    front: Front,
    states: Sequence[Any],
    sounds: Sequence[Taught],
    reports: Sequence[SoundReport],
    name: str,
) -> ModelCard:
    taught = tuple(sound.label for sound in sounds)
    known = base.labels if base else ()
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    rules = {**(base.detector.classes if base else {}), **dict.fromkeys(taught, RULE)}
    figures = {
        r.label: {
            "examples": r.examples,
            "found": round(r.found, 3),
            "false_per_day": round(r.per_day, 3),
            "false_per_day_at_most": round(r.per_day_at_most, 3),
            "background_hours": round(r.hours, 3),
            "own_background": r.own,
        }
        for r in reports
    }
    return ModelCard(
        name=name,
        labels=(*known, *taught),
        activation="sigmoid",
        features=front.card.features,
        description=f"{', '.join(taught)}: taught from examples{', beside ' + ', '.join(known) if known else ''}.",
        licence=base.licence if base else front.card.licence,
        created=created,
        states=tuple(states),
        delay=base.delay if base else 0,
        stride=front.card.stride,
        warmup=base.warmup if base else 0,
        detector=DetectorSpec(default=base.detector.default if base else ClassRule(), classes=rules),
        metrics={"taught": figures},
        provenance={
            "taught": {
                "examples": {s.label: sorted(e.name for e in s.examples) for s in sounds},
                "front": {"name": front.card.name, "digest": front.digest, "licence": front.card.licence},
                "base": {"name": base.name, "version": base.version} if base else None,
            }
        },
        sources=tuple(dict.fromkeys((*(base.sources if base else ()), *front.card.sources))),
    )
