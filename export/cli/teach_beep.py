"""``stream-classify teach --beep``: a detector for one beep, from one recording."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from export.lazy import require
from stream.errors import ModelError, UsageError
from stream.printable import printable

if TYPE_CHECKING:
    from export.teaching.beep_model import BeepReport


def run_beep(
    name: str, recording: Path, quiet: tuple[str, ...], force: bool, output: Path, as_json: bool
) -> None:
    """Measure, say and draw what it is, learn it, and say what the detector is worth."""
    if not recording.is_file():
        raise UsageError(f"--beep {recording}: no such file; give one recording of the beep")
    require("onnx", "torch", "matplotlib")
    from export.teaching.background import file_background
    from export.teaching.beep_model import beep_in, teach_beep
    from export.teaching.beep_picture import draw_beep
    from export.teaching.beep_scenes import SAMPLE_RATE
    from export.teaching.examples import audio_files
    from export.teaching.folder import folder_of, known_sounds
    from stream.capture.files import read_audio
    from stream.outputs.kept import check_sound_name

    check_sound_name(name, ())
    if output.suffix != ".onnx":
        raise UsageError(f"-o {output}: want a name that ends in .onnx")
    if known_sounds(folder_of(output)):
        raise UsageError(
            f"-o {output}: knows sounds taught by --clips, and a beep has a file of its own; choose another -o"
        )
    if output.exists() and not _taught_beep(output):
        raise UsageError(f"-o {output}: is there and was not taught a beep; choose another -o")
    begin = time.monotonic()
    beep = beep_in(recording)
    click.echo(f"{printable(recording.name)}: {beep.sentence}", err=as_json)
    picture = output.with_suffix(".png")
    draw_beep(beep, read_audio(recording, SAMPLE_RATE), SAMPLE_RATE, picture)
    report = teach_beep(
        output, name, beep, force=force,
        quiet=[each.samples for each in file_background(audio_files(quiet), SAMPLE_RATE)] if quiet else [],
        progress=lambda what: None if as_json else click.echo(f"{what} …", err=True),
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(_as_data(report, name)))
        return
    found = ", ".join(f"{share:.0%} at {ratio:g} dB" for ratio, share in report.found.items())
    click.echo(f"{name}: found within three cycles, by how far it is above other sound: {found}")
    click.echo(
        f"{name}: {report.false_events} false in {report.hours:.2g} h of speech, music and noise, so at most "
        f"{report.per_hour_at_most:.2g} an hour with 95 %"
    )
    click.echo(
        f"wrote {printable(str(output))} and its picture {printable(picture.name)} in {time.monotonic() - begin:.0f} s"
    )
    click.echo(f"listen with it: stream-classify --model {printable(str(output))}")


def _taught_beep(output: Path) -> bool:
    """Whether a file may be made anew."""
    from stream.inference.card import ModelCard
    from stream.inference.onnx_file import read_model_file, scan

    try:
        return "taught_beep" in ModelCard.from_metadata(scan(read_model_file(output), str(output))).provenance
    except ModelError:
        return False


def _as_data(report: BeepReport, name: str) -> dict[str, object]:
    return {
        "label": name,
        "cadence": asdict(report.beep.cadence),
        "hertz": round(report.beep.hertz, 1),
        "pulses_heard": len(report.beep.pulses),
        "found": {f"{ratio:g} dB": share for ratio, share in report.found.items()},
        "false_events": report.false_events,
        "per_hour_at_most": report.per_hour_at_most,
        "hours": report.hours,
    }
