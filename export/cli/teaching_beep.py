"""``stream-classify teach NAME --beep RECORDING``: a repeating beep from one recording."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from export.lazy import require
from stream.errors import UsageError
from stream.installation import install_command
from stream.printable import printable

if TYPE_CHECKING:
    from export.teaching.beeps.making import BeepReport
_SAID = {"speech": "talk", "music": "music", "noise": "noise"}
_LOOKED_AT = 12  # recordings in which a beep is looked for without being asked to
_SHORTEST_SECONDS = 1.0  # of them


def teach_from_beep(
    name: str, recording: str, output: Path, *, quiet: Sequence[str], false_alarms: float, replace: bool, force: bool,
    as_json: bool, listen: bool,
) -> None:  # fmt: skip
    """Make the detector, draw it, and print what it is worth."""
    require("onnx")
    from export.teaching.background import file_background
    from export.teaching.beeps.line_spectrum import RATE
    from export.teaching.beeps.making import teach_beep
    from export.teaching.examples import audio_files
    from export.teaching.judging import Budget

    begin = time.monotonic()
    picture = output.with_suffix(f".{name}.png") if _can_draw() else None
    report = teach_beep(
        output, name, recording,
        quiet=file_background(audio_files(quiet), RATE) if quiet else (),
        replace=replace, force=force, budget=Budget(bank=false_alarms), picture=picture,
        progress=lambda what: None if as_json else click.echo(f"{what} …", err=True),
    )  # fmt: skip
    if as_json:
        measured = {
            "label": name,
            **msgspec.to_builtins(report.known),
            **report.figures,
            "first": report.first,
        }
        click.echo(json.dumps(measured))
        return
    _print(report, output, picture, time.monotonic() - begin, listen)


def beeping(files: Sequence[Path]) -> tuple[Path, str] | None:
    """The first recording that clearly holds a repeating beep, and what was measured of it in words."""
    import numpy as np

    from export.teaching.beeps.line_spectrum import RATE
    from export.teaching.beeps.measuring import clearly_beeps
    from stream.capture.files import read_audio

    for file in files[:_LOOKED_AT]:
        samples = np.nan_to_num(read_audio(file, RATE))
        beep = clearly_beeps(samples) if len(samples) >= _SHORTEST_SECONDS * RATE else None
        if beep is not None:
            return file, beep.describe()
    return None


def check_beep_options(name: str | None, others: dict[str, bool]) -> None:
    """UsageError for options that say nothing of a beep."""
    if name is None:
        raise UsageError(
            "NAME: what the beep is called is missing, as in: stream-classify teach oven --beep oven.wav"
        )
    for option, given in others.items():
        if given:
            raise UsageError(
                f"--beep and {option}: a beep is measured in one recording, without examples; leave one of them out"
            )


def _can_draw() -> bool:
    try:
        require("matplotlib")
    except ModuleNotFoundError:
        click.secho(
            f"no picture is drawn without matplotlib; run: {install_command('export')}", fg="yellow", err=True
        )
        return False
    return True


def _print(report: BeepReport, output: Path, picture: Path | None, seconds: float, listen: bool) -> None:
    from export.teaching.beeps.making import NO_SAFETY
    from export.teaching.beeps.trials import KINDS, RATIOS_DB, time_to_find

    beep, checked, figures = report.known.beep, report.checked, report.figures
    click.echo(
        f"{report.label}: {beep.describe()}; {beep.cycles} cycles of it in {printable(report.known.recording)}"
    )
    within = time_to_find(beep)
    cycles = within / beep.cycle
    click.echo(
        f"found within {within:.1f} s ({cycles:.0f} cycles) of its beginning, of {checked.trials} trials each:"
    )
    click.echo(
        f"{'':8}" + "".join(f"{f'{ratio:+.0f} dB':>8}" for ratio in RATIOS_DB) + "   above what is behind it"
    )
    for kind in KINDS:
        shares = "".join(f"{checked.found[(kind, ratio)]:8.0%}" for ratio in RATIOS_DB)
        click.echo(f"{_SAID[kind]:8}{shares}")
    click.echo(
        f"other cadences of its pitch taken for it: {checked.taken:.0%} of {checked.other_trials}; false alarms: "
        f"{figures['false_alarms']} in {figures['background_hours']:.2g} h of "
        f"{'your own recordings' if checked.own else 'dense speech, music, noise and sounds like it'}, at most "
        f"{figures['false_per_hour_at_most']:.2g} an hour with 95 %"
    )
    if report.first is not None:
        click.echo(f"in the recording it is reported after {report.first - beep.start:.1f} s of it")
    for warning in report.warnings:
        click.secho(warning, fg="yellow", err=True)
    if report.known.standard:
        click.secho(f"it sounds like a {report.known.standard}: {NO_SAFETY}", fg="yellow", err=True)
    if not checked.own:
        click.echo(
            "give recordings of your own quiet hours by --quiet to know what to expect at home", err=True
        )
    drawn = f", and its picture to {printable(str(picture))}" if picture else ""
    click.echo(
        f"wrote {printable(str(output))}{drawn} in {seconds:.1f} s, proven within {report.largest_difference:.1e}"
    )
    if not listen:
        click.echo(f"listen with it: stream-classify --model {printable(str(output))}")
