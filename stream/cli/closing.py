"""What is said when a run is over."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from stream.cli.say import say
from stream.cli.screen import show
from stream.errors import OutputError

if TYPE_CHECKING:
    from stream.capture.source import AudioSource
    from stream.outputs.jsonl import JsonLines
    from stream.outputs.kept import KeptSounds
    from stream.outputs.outputs import Outputs
    from stream.runner import Summary
    from stream.telemetry import Readings

log = logging.getLogger("stream")


def show_closing(readings: Readings | None, summary: Summary, sample_rate: int) -> None:
    """Leave on the terminal what was heard: the events of ``readings``, if they are not there already, and totals."""
    from stream.outputs.people import closing_lines

    events = () if readings is None else readings.events
    began = () if readings is None else readings.began
    for line in closing_lines(
        events,
        began={event.id: at for event, at in zip(events, began, strict=True)},
        count=summary.events,
        seconds=summary.end / sample_rate,
        lost_seconds=summary.lost / sample_rate,
    ):
        show(line)


def teaching_lines(kept: KeptSounds, model: str) -> list[str]:
    """What to do with the sounds that were kept by a key."""
    output = Path(model if model.endswith(".onnx") else "mine.onnx")
    lines = []
    for folder in dict.fromkeys(file.parent for file in kept.kept):
        files = [file for file in kept.kept if file.parent == folder]
        sounds = f"{len(files)} sound{'s' * (len(files) != 1)}"
        # Of those without a name every file is named where the folder holds named ones too.
        alone = folder != kept.folder or all(file.parent == folder for file in kept.kept)
        words = ["NAME" if folder == kept.folder else folder.name]
        if folder != kept.folder:
            sounds += f" of {folder.name}"
            words += ["--add"] * (output.with_suffix(".taught") / folder.name).is_dir()
        for place in [folder] if alone else files:
            words += ["--clips", str(place)]
        lines.append(f"{sounds} kept: {_teach(*words, output=output)}")
    if kept.wrong_ones:
        wrong = f"{len(kept.wrong_ones)} wrong event{'s' * (len(kept.wrong_ones) != 1)} kept"
        lines.append(f"{wrong}: {_teach('--not', str(kept.wrong_ones[0].parent), output=output)}")
    return lines


def _teach(*words: str, output: Path) -> str:
    return shlex.join(["stream-classify", "teach", *words, "-o", str(output), "--listen"])


def report_run(
    summary: Summary, source: AudioSource, sample_rate: int, *, closed: bool, said: str = ""
) -> None:
    """Say on stderr what a user must know about a run that is over.

    Args:
        summary: of the run.
        source: what was heard.
        sample_rate: of the classifier.
        closed: what `show_closing` says is said.
        said: hints that were given before.
    """
    if summary.rows == 0:
        say("stream-classify: nothing was classified: too little sound came")
    if summary.lost and not closed:
        log.warning("%.3g s of sound were lost or missing on the way", summary.lost / sample_rate)
    report = source.report()
    if report.truncated:
        log.warning("%s", report.truncated)
    for hint in report.hints:
        if hint not in said:
            log.warning("%s: %s", source.info().name, hint)
    log.info(
        "%d rows, %d events, %d samples repaired, %.2f s of computing",
        summary.rows,
        summary.events,
        summary.repaired,
        summary.busy_seconds,
    )


def report_lines(lines: list[JsonLines], *, must_be_whole: bool) -> None:
    """Say how many lines were lost.

    Raises:
        OutputError: some were, and ``must_be_whole``.
    """
    for each in lines:
        if each.dropped and must_be_whole:
            raise OutputError(
                f"output {each.path}: {each.dropped} lines were lost; make room, or name another file, and run again"
            )
        if each.dropped:
            log.warning("%s: %d lines were lost in all", each.path, each.dropped)


def report_outputs(outputs: Outputs) -> None:
    """Say what each output delivered, and what it did not."""
    for report in outputs.reports():
        missed = f", {report.dropped + report.errors} not" if report.dropped + report.errors else ""
        held = f", {report.held_back} events held back by its rule" if report.held_back else ""
        log.log(
            logging.WARNING if missed else logging.INFO,
            "%s %s: %d messages delivered%s%s%s",
            report.name,
            report.target,
            report.delivered,
            missed,
            held,
            f" ({report.trouble})" if report.trouble else "",
        )
