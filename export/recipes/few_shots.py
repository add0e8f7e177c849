"""How much a few examples teach: the table of ``stream-classify teach``.

    python -m export.recipes.few_shots DATA

DATA holds the folders ``things``, ``digits``, ``commands`` and ``urban``, each with a manifest. All sounds of a set are
taught at once, from examples of some sources, and looked for among sounds of other sources:

    again   single things, each known by one recording: the same thing heard in other places, as a doorbell is
    things  things with three recordings or more: half of them teach, the others are looked for
    digits  spoken digits: three speakers teach, the fourth is looked for (theo, then george)
    words   bed, cat and happy: the official training part teaches, validation is looked for
    urban   city sounds: fold 1 teaches, fold 2 is looked for; no recording is in both

A sound is found if its event begins while it lasts or in the half second after it; it is heard at -40 to -10 dBFS,
half of the time in a room, over noise, music or speech 10 to 40 dB below it. False alarms are counted in the test part
of the bank of negatives (speech, music, noise and silence), with the thresholds that ``teach`` chose on the others.

"at none" is what would be found with the lowest threshold of each sound that raises no false alarm in these negatives
(three quarters of an hour): what the examples teach, with whatever background thresholds were chosen.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from export.scenes.negatives import Negatives
from export.teaching.background import Amount, bank_background
from export.teaching.examples import Example, sounding
from export.teaching.front import Front
from export.teaching.heard import heard_again
from export.teaching.judging import Budget, Judged, judge
from export.teaching.learning import Lesson, Taught, Trial
from export.teaching.others import load_front
from export.teaching.taught import CHOSEN_ON, LEARNT_FROM
from export.teaching.threshold import held
from stream.capture.files import read_audio

SETS = ("again", "things", "digits", "words", "urban")
SPOKEN = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SPEAKERS = ("theo", "george")
TOGETHER = 10  # sounds in one model
MANY, MOST_PLACES, TESTED = (
    200,
    40,
    12,
)  # examples of a sound that are all there are, and of each that are looked for
TEST = Amount(voices=6, things=6, music=40, noises=120, silences=4)
LEVEL_DBFS, SNR_DB = (-40.0, -10.0), (10.0, 40.0)
APART_SECONDS = 0.5  # between two false alarms

Clip = tuple[str, Path]
"""Source, file."""


@dataclass(frozen=True)
class Task:
    """Sounds to be taught at once.

    Attributes:
        teaching, testing: label -> recordings.
        words: what is said or meant, so that the background has none of it.
        again: each sound has one recording; its examples are that one, heard in several places.
    """

    teaching: dict[str, list[Clip]]
    testing: dict[str, list[Clip]]
    words: list[str]
    again: bool = False


def tasks(data: Path, name: str, rng: np.random.Generator) -> Iterator[Task]:
    """The models of a set."""
    if name == "digits":
        rows = _rows(data / "digits")
        for speaker in SPEAKERS:
            yield _task(rows, partial(_is, "speaker", speaker), "speaker", SPOKEN)
    elif name == "words":
        yield _task(_rows(data / "commands"), partial(_is, "split", "validation"), "speaker", [])
    elif name == "urban":
        yield _task(_rows(data / "urban"), partial(_is, "fold", "2"), "group", [])
    else:
        by: dict[str, list[Clip]] = {}
        for row in _rows(data / "things"):
            by.setdefault(row["label"].strip("._"), []).append((row["filename"], Path(row["path"])))
        several = name == "things"
        labels = sorted(
            label for label, clips in by.items() if (len(clips) >= 3 if several else len(clips) == 1)
        )
        labels = [labels[i] for i in rng.permutation(len(labels))][: 3 * TOGETHER]
        for at in range(0, len(labels), TOGETHER):
            teaching, testing = {}, {}
            for label in labels[at : at + TOGETHER]:
                clips = [by[label][i] for i in rng.permutation(len(by[label]))]
                half = (len(clips) + 1) // 2 if several else 1
                teaching[label], testing[label] = clips[:half], clips[half:] or clips
            yield Task(teaching, testing, sorted(teaching), again=not several)


def examples_of(clips: Sequence[Clip], count: int, rate: int, rng: np.random.Generator) -> list[Example]:
    """``count`` recordings from as many sources as there are; all of them where there are fewer."""
    sources: dict[str, list[Path]] = {}
    for i in rng.permutation(len(clips)):
        sources.setdefault(clips[i][0], []).append(clips[i][1])
    chosen: list[Path] = []
    while len(chosen) < count and any(sources.values()):
        for files in sources.values():
            if files and len(chosen) < count:
                chosen.append(files.pop())
    return [Example(file.name, sound_of(file, rate)) for file in chosen]


def sound_of(file: Path, rate: int) -> NDArray[np.float32]:
    """The part of a recording that sounds."""
    samples = read_audio(file, rate)
    first, last = sounding(samples, rate)
    return samples[first:last] if last > first else samples


class Figures(NamedTuple):
    """What examples of some sounds taught.

    Attributes:
        found: share of the sounds that are found.
        false: false alarms an hour of all sounds together.
        confused: share of the sounds that are taken for another.
        at_none: share found with thresholds that raise no false alarm in the negatives.
    """

    found: float
    false: float
    confused: float
    at_none: float


def measure(task: Task, front: Front, count: int, seed: int = 0) -> Figures:
    """Teach ``count`` examples of each sound, and look for others."""
    rng, rate = np.random.default_rng((seed, count)), front.sample_rate
    labels = sorted(task.teaching)
    given = [examples_of(task.teaching[label], count, rate, rng) for label in labels]
    if task.again:
        given = [_heard_in_places(one, min(count, MOST_PLACES), rate, rng) for (one,) in given]
    sounds = [Taught(label, examples) for label, examples in zip(labels, given, strict=True)]
    learnt_from = bank_background("train", rate, LEARNT_FROM, without=task.words, seed=seed)
    chosen_on = bank_background("validation", rate, CHOSEN_ON, without=task.words, seed=seed + 1)
    lesson = Lesson(front, sounds, [], learnt_from, chosen_on, Negatives("train", rate, task.words), seed)
    judged = judge(lesson, Budget())
    trial = _looked_for(lesson, judged, task, labels, rate)
    own = trial.peaks[np.arange(len(trial.sound)), trial.sound]
    test = bank_background("test", rate, TEST, without=task.words, seed=seed + 2)
    hours = sum(len(stretch.samples) for stretch in test) / rate / 3600
    heard = [held(judged.head.logits(front.rows(stretch.samples)), front.rate) for stretch in test]
    highest = np.max([logits.max(0) for logits in heard], axis=0)
    return Figures(
        found=float((own >= 0).mean()),
        false=sum(_false(logits, front.rate) for logits in heard) / hours,
        confused=float(((trial.peaks >= 0).sum(1) - (own >= 0)).mean()),
        at_none=float((own > highest[trial.sound]).mean()),
    )


def _heard_in_places(one: Example, count: int, rate: int, rng: np.random.Generator) -> list[Example]:
    """One recording as ``count`` recordings of the same thing would be."""
    other, found = Negatives("train", rate), []
    for i in range(count):
        heard = heard_again(one.samples, rate, other, rng, level=LEVEL_DBFS, snr=SNR_DB)
        found.append(Example(f"{one.name} {i}", heard.samples[heard.begin : heard.end]))
    return found


def _looked_for(lesson: Lesson, judged: Judged, task: Task, labels: Sequence[str], rate: int) -> Trial:
    other, rng = Negatives("test", rate, task.words), np.random.default_rng(99)
    copies = []
    for number, label in enumerate(labels):
        clips = task.testing[label]
        for i in range(max(TESTED // 2, min(TESTED, len(clips)))):
            sound = sound_of(clips[i % len(clips)][1], rate)
            copies.append(
                lesson.copy_of(number, 0, heard_again(sound, rate, other, rng, level=LEVEL_DBFS, snr=SNR_DB))
            )
    return lesson.trial(judged.head, np.zeros(len(labels), np.float32), copies)


def _false(logits: NDArray[np.float32], rate: float) -> int:
    count = 0
    for column in (logits >= 0).T:
        at = np.flatnonzero(column)
        if len(at):
            count += 1 + int((np.diff(at) > APART_SECONDS * rate).sum())
    return count


def _task(
    rows: Sequence[dict[str, str]], tested: Callable[[dict[str, str]], bool], group: str, words: Sequence[str]
) -> Task:
    parts: tuple[dict[str, list[Clip]], dict[str, list[Clip]]] = {}, {}
    for row in rows:
        parts[bool(tested(row))].setdefault(row["label"], []).append((row[group], Path(row["path"])))
    rng = np.random.default_rng(5)
    testing = {label: [clips[i] for i in rng.permutation(len(clips))] for label, clips in parts[1].items()}
    return Task(parts[0], testing, list(words) or sorted(parts[0]))


def _is(column: str, value: str, row: dict[str, str]) -> bool:
    return row[column] == value


def _rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return [{**row, "path": str(folder / row["filename"])} for row in csv.DictReader(file)]


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--shots", default="1,3,5,10,all", show_default=True)
@click.option("--sets", default=",".join(SETS), show_default=True)
@click.option("--front", type=click.Path(path_type=Path), help="Another front.")
@click.option("--models", type=int, default=2, show_default=True, help="Of each set, at most.")
def main(data: Path, shots: str, sets: str, front: Path | None, models: int) -> None:
    """Print the table."""
    ear = load_front(front)
    click.echo("set      shots  found  false/h  taken for another  at none")
    for name in sets.split(","):
        for shot in shots.split(","):
            results = [
                measure(task, ear, MANY if shot == "all" else int(shot))
                for task in list(tasks(data, name, np.random.default_rng(3)))[:models]
            ]
            mean = Figures(*np.mean(results, axis=0))
            click.echo(
                f"{name:8} {shot:>5}  {mean.found:5.2f}  {mean.false:7.1f}  {mean.confused:17.2f}  {mean.at_none:7.2f}"
            )


if __name__ == "__main__":
    main()
