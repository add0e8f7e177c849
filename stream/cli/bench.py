"""``stream-classify bench``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand
from stream.errors import OutputError, UsageError


@click.command(cls=TaskCommand, epilog="Example: stream-classify bench --hidden 64 --json bench.json")
@click.option(
    "-m",
    "--model",
    shell_complete=complete_model,
    metavar="FILE",
    help="ONNX file, or the name of a bundled model.  [default: default]",
)
@click.option(
    "--hidden",
    type=click.IntRange(1, 4096),
    metavar="N",
    help="Instead of a model: a GRU of N units with random weights, on the default features.",
)
@click.option(
    "--streams",
    type=click.IntRange(1, 100_000),
    multiple=True,
    default=(16, 256),
    show_default=True,
    metavar="N",
    help="Number of streams computed together. Repeatable.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=40,
    show_default=True,
    metavar="N",
    help="Times that each case is measured.",
)
@click.option("--peers/--no-peers", default=True, show_default=True, help="Also time other packages.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Also write all figures as JSON.",
)
def bench(
    model: str | None,
    hidden: int | None,
    streams: tuple[int, ...],
    rounds: int,
    peers: bool,
    json_path: str | None,
) -> None:
    """Measure the cost of a hop on this machine, and beside it librosa, kaldi-native-fbank, silero-vad and torch.

    All cases take turns, round after round, and figures are medians over the rounds, so that a busy machine disturbs
    all of them alike. Packages that are not installed are left out; the extra "bench" installs them.
    """
    import msgspec

    from stream.bench.cases import in_hops
    from stream.bench.graphs import gru_model
    from stream.bench.machine import machine
    from stream.bench.peers import HIDDEN_UNITS
    from stream.bench.process import growth, start_up
    from stream.bench.report import as_data, table
    from stream.bench.suite import all_cases, bench_sound
    from stream.bench.timing import measure
    from stream.cli.models import model_path, opening
    from stream.inference.session import Model
    from stream.installation import asset, install_command

    if model is not None and hidden is not None:
        raise UsageError("--model and --hidden: each says what to time; give one of them")
    with TemporaryDirectory(prefix="stream-classify-") as name:
        folder = Path(name)
        if hidden is not None:
            path = folder / f"gru-{hidden}.onnx"
            path.write_bytes(gru_model(hidden))
        else:
            path = model_path(model or "default")
        with opening(path):
            loaded = Model.load(path, "cpu")
        spec = loaded.card.features
        cases, missing = all_cases(loaded, folder, streams, peers=peers, hidden=hidden or HIDDEN_UNITS)
        click.echo("starting new processes ...", err=True)
        process = start_up(path, asset("demo.ogg"))
        click.echo("looking for growth ...", err=True)
        process["growth_kib"] = (
            growth(loaded, in_hops(bench_sound(spec.sample_rate), spec.hop_length)) / 2**10
        )
        click.echo("timing ...", err=True)
        timings = measure(cases, rounds)
    data = as_data(timings, process, machine(spec), missing)
    click.echo(f"model {loaded.card.name}, {loaded.sha256[:16]}")
    click.echo(table(data))
    if any(text.endswith("not installed") for text in missing):
        click.echo(f"for what is not installed, run: {install_command('bench')}", err=True)
    if json_path is not None:
        try:
            Path(json_path).write_bytes(msgspec.json.format(msgspec.json.encode(data)) + b"\n")
        except OSError as error:
            raise OutputError(f"json {json_path}: {error.strerror}; give another path") from None
