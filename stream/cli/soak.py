"""``stream-classify soak``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand
from stream.cli.values import LONGEST_SECONDS, Number
from stream.errors import OutputError


@click.command(cls=TaskCommand, epilog="Example: stream-classify soak --hours 24 --report soak.json")
@click.option(
    "--hours",
    type=Number(0, 100_000, min_open=True),
    default=24.0,
    show_default=True,
    metavar="H",
    help="Hours of sound.",
)
@click.option(
    "-m",
    "--model",
    default="default",
    show_default=True,
    shell_complete=complete_model,
    metavar="FILE",
    help="ONNX file, or the name of a bundled model.",
)
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="A recording to mix in. Repeatable. Default: the bundled one.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of all random numbers.",
)
@click.option(
    "--start",
    type=click.IntRange(0),
    metavar="SAMPLE",
    help="Index of the first sample. Default: one that puts sample 2^31 in the middle.",
)
@click.option(
    "--settle",
    type=Number(0, LONGEST_SECONDS),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds of reference sound after which probabilities must equal those of a new stream.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE",
    help="Also write the certificate as JSON.",
)
@click.pass_context
def soak(
    ctx: click.Context,
    hours: float,
    model: str,
    inputs: tuple[str, ...],
    seed: int,
    start: int | None,
    settle: float,
    report: str | None,
) -> None:
    """Push hours of sound through one stream, as fast as it goes, and certify that nothing drifts.

    Recordings are mixed with gaps, silence, noise, clipping and invalid samples. Afterwards probabilities must equal
    those of a new stream, the state must be bounded, memory constant and every count exact. Exit code 1 if not.
    """
    import msgspec

    from stream.capture.files import read_audio
    from stream.cli.models import load_model
    from stream.installation import asset
    from stream.soak.soak import soak as run

    loaded = load_model(model)
    rate = loaded.card.features.sample_rate
    recordings = [read_audio(path, rate) for path in inputs or (asset("demo.ogg"),)]
    with _progress() as tell:
        certificate = run(loaded, recordings, hours, seed, start, settle, tell)
    click.echo(
        f"{certificate.hours:.2f} hours of sound through {certificate.model}, seed {certificate.seed}, "
        f"sha256 {certificate.sha256[:16]}"
    )
    for line in certificate.lines:
        click.echo(str(line))
    if report is not None:
        try:
            with open(report, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(certificate)) + b"\n")
        except OSError as error:
            raise OutputError(f"report {report}: {error.strerror}; give another --report") from None
    click.echo("certified: nothing drifted" if certificate.ok else "NOT certified")
    ctx.exit(0 if certificate.ok else 1)


@contextmanager
def _progress() -> Iterator[Callable[[float, str], None]]:
    """A bar on a terminal, lines elsewhere; both on stderr."""
    if not sys.stderr.isatty():
        yield lambda share, text: click.echo(f"{share:4.0%}  {text}", err=True)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("soak", total=1.0)
        yield lambda share, text: progress.update(task, completed=share, description=text)
