"""``stream-classify scan``: an archive of recordings."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from stream.cli.completion import complete_model
from stream.cli.detection import RULE_FIELDS, detection_options
from stream.cli.help import TaskCommand, section
from stream.cli.say import say
from stream.errors import UsageError
from stream.printable import printable

if TYPE_CHECKING:
    from stream.archive.crew import Crew
    from stream.archive.inventory import Recording
    from stream.archive.listener import Setup
    from stream.archive.scan import Standing

EPILOG = """\b
Examples:
  stream-classify scan night/ -o night.jsonl
  stream-classify scan 'field/**/*.flac' -o field.tsv --threshold speech=0.8
  stream-classify scan list.csv -o events.parquet --picture events.svg
  stream-classify scan archive/ --history heard.sqlite
  stream-classify scan /mnt/archive -o events.parquet --ray head:6379
  find /mnt -name '*.WAV' -newer old.txt | stream-classify scan - -o new.jsonl

Stopped or killed, it goes on with the same command; repeated, it listens only to what is new, changed or failed.
"""
FAILED = 3  # exit code when some recordings could not be read
INTERRUPTED = 130
PLAIN_SECONDS = 10.0  # between lines of progress where nothing can be drawn


@click.command(cls=TaskCommand, epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@section(
    "Results",
    click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Events: .jsonl, .tsv (DCASE) or .parquet. Repeatable.",
    ),
    click.option(
        "--history",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Put them into a history too, at the times when they were recorded.",
    ),
    click.option(
        "--picture", type=click.Path(dir_okay=False), metavar="FILE.svg", help="Draw what the archive holds."
    ),
    click.option("--scores", is_flag=True, help="JSON lines: also one object for each hop."),
    click.option("--again", is_flag=True, help="Forget what an earlier scan has done, and listen to all."),
)
@section(
    "How to listen",
    click.option(
        "-m",
        "--model",
        default="default",
        show_default=True,
        metavar="FILE",
        shell_complete=complete_model,
        help="ONNX file, or the name of a bundled model: default, small, alarms.",
    ),
    click.option(
        "-c", "--channel", metavar="N|mix", default="mix", show_default=True, help="Channel to listen to."
    ),
    click.option(
        "-j",
        "--jobs",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="Recordings to listen to side by side. Default: one a core, here or of the cluster.",
    ),
    click.option(
        "--ray",
        metavar="ADDRESS",
        help="Listen on a Ray cluster: HOST:PORT of its head, auto on one of its machines, local for one here.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="No progress."),
)
@detection_options
def scan(paths: tuple[str, ...], **options: Any) -> None:
    """Listen to an archive: recordings, folders of them, patterns, or lists.

    Each recording is one stream, heard as it would be live, on all cores. Recordings that cannot be read are listed at
    the end, and the exit code is 3. The time in a recording's name, else that of the file, is when it was recorded.
    PATHS may be lists: text with one file a line, a CSV file with a column "filename", or - for standard input.
    """
    from stream.archive.archive_picture import write_picture
    from stream.archive.closing_words import closing_lines, problem_lines
    from stream.archive.inventory import find_recordings
    from stream.archive.journal import discard_journal
    from stream.archive.result_tables import writer_for
    from stream.archive.scan import journal_beside
    from stream.archive.scan import scan as run

    outputs = list(options["outputs"])
    targets = [*outputs, *([options["history"]] if options["history"] else [])]
    if not targets:
        raise UsageError("nowhere to write: give -o FILE, or --history FILE")
    for path in outputs:
        writer_for(path)
    for path in [*targets, *([options["picture"]] if options["picture"] else [])]:
        check_folder(path)
    if options["picture"] and not options["picture"].lower().endswith(".svg"):
        raise UsageError(f"--picture {options['picture']}: want a name that ends in .svg")
    setup = make_setup(options)
    recordings = find_recordings(paths)
    _keep_apart(recordings, targets)
    if options["again"]:
        discard_journal(journal_beside(targets[0]))
    try:
        with shown_progress(options["quiet"]) as progress:
            entries = run(
                recordings,
                setup,
                outputs,
                history=options["history"],
                crew=make_crew(options["ray"], options["jobs"]),
                progress=progress,
            )
    except KeyboardInterrupt:
        say("scan: stopped; what is done is kept, the same command goes on")
        sys.exit(INTERRUPTED)
    if options["picture"]:
        write_picture(options["picture"], entries)
    for line in closing_lines(entries):
        click.echo(printable(line))
    for line in problem_lines(entries):
        say(line)
    if any(entry.heard.failed for entry in entries):
        sys.exit(FAILED)


def make_setup(options: dict[str, Any]) -> Setup:
    """How to listen, from options; the model is tried and loaded here first."""
    from stream.archive.listener import Setup
    from stream.capture.channels import parse_channel
    from stream.cli.models import load_model, model_path
    from stream.decisions.derived import DerivedSpec
    from stream.settings.rule_texts import detector_spec, groups_of

    model = load_model(options["model"], "cpu")
    derived = DerivedSpec(groups=groups_of(options["group"]), loud=options["loud"])
    texts = {name: options[name] for name in RULE_FIELDS}
    rules = detector_spec(derived.detector(model.card.detector), derived.labels(model.labels), texts)
    return Setup(
        model=str(model_path(options["model"]).resolve()),
        sha256=model.sha256,
        rules=rules,
        derived=derived,
        channel=parse_channel(options["channel"]),
        scores=options["scores"],
        history=options["history"] is not None,
    )


def make_crew(ray: str | None, jobs: int | None) -> Crew:
    """Who listens: processes of this machine, or a Ray cluster."""
    if ray is not None:
        from stream.archive.ray_crew import on_ray
        from stream.cli import ENVIRONMENT

        return on_ray(ray, jobs, {name: os.environ[name] for name in ENVIRONMENT if name in os.environ})
    from stream.archive.workers import processes

    return processes(jobs or os.cpu_count() or 1)


def check_folder(path: str) -> None:
    """Refuse a file that cannot be made, before hours are spent.

    Raises:
        UsageError: its folder is not there, or cannot be written.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise UsageError(
            f"{printable(path)}: there is no folder {printable(folder)}; make it, or choose another place"
        )
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{printable(path)}: {printable(folder)} cannot be written; choose another place")


def _keep_apart(recordings: list[Recording], targets: list[str]) -> None:
    places = {os.path.realpath(each.path) for each in recordings}
    for path in targets:
        if os.path.realpath(path) in places:
            raise UsageError(f"-o {printable(path)}: is one of the recordings; name another file")


@contextmanager
def shown_progress(quiet: bool) -> Iterator[Callable[[Standing], None]]:
    """What shows progress on standard error: a line that is drawn anew, or now and then one more."""
    if quiet or sys.stderr is None:
        yield lambda standing: None
        return
    if not sys.stderr.isatty():
        told = time.monotonic()

        def tell(standing: Standing) -> None:
            nonlocal told
            if time.monotonic() - told >= PLAIN_SECONDS:
                told = time.monotonic()
                say(f"scan: {in_words(standing)}")

        yield tell
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        yield lambda standing: live.update(Text(in_words(standing), no_wrap=True, overflow="ellipsis"))


def in_words(standing: Standing) -> str:
    """``12 of 300 recordings, 3.4 h of sound, 210 times real time, 4 min left``."""
    from stream.archive.closing_words import recordings
    from stream.report.words import length

    parts = [f"{standing.files_done} of {recordings(standing.files)}"]
    if standing.failed:
        parts.append(f"{standing.failed} failed")
    parts.append(f"{length(standing.sound_seconds)} of sound")
    if standing.speed:
        parts.append(f"{standing.speed:.0f} times real time")
    if standing.seconds_left is not None:
        parts.append(f"{length(standing.seconds_left)} left")
    return ", ".join(parts)
