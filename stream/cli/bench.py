"""``stream-classify bench``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from stream.errors import OutputError, UsageError


@click.command(epilog="Example: stream-classify bench --hidden 64 --json bench.json")
@click.option(
    "-m",
    "--model",
    help="A model file, or a bundled one by name.  [default: default]",
)
@click.option(
    "--hidden",
    type=click.IntRange(1, 4096),
    help="In place of a model: a GRU of so many units with random weights, on the default features.",
)
@click.option(
    "--streams",
    type=click.IntRange(1, 100_000),
    multiple=True,
    default=(16, 256),
    show_default=True,
    help="Streams in a slab. Repeatable.",
)
@click.option(
    "--rounds", type=click.IntRange(1), default=40, show_default=True, help="Turns that every case gets."
)
@click.option("--peers/--no-peers", default=True, show_default=True, help="Also time other packages.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False), help="Also write all figures as JSON.")
def bench(
    model: str | None,
    hidden: int | None,
    streams: tuple[int, ...],
    rounds: int,
    peers: bool,
    json_path: str | None,
) -> None:
    """Measure what a hop costs on this machine, beside librosa, kaldi-native-fbank, silero-vad and torch.

    All cases run side by side in short turns, round after round; figures are medians over rounds, so that a busy
    machine disturbs all alike. Peers that are not installed are left out: pip install 'stream-classify[bench]'.
    """
    import msgspec

    from stream.assets import asset
    from stream.bench.cases import in_hops
    from stream.bench.graphs import gru_model
    from stream.bench.machine import machine
    from stream.bench.peers import HIDDEN_UNITS
    from stream.bench.process import growth, start_up
    from stream.bench.report import as_data, table
    from stream.bench.suite import all_cases, bench_sound
    from stream.bench.timing import measure
    from stream.cli.models import memory_ceiling, model_path
    from stream.inference.session import Model

    if model is not None and hidden is not None:
        raise UsageError("--model and --hidden: each says what to time; give one of them")
    with TemporaryDirectory(prefix="stream-classify-") as name:
        folder = Path(name)
        if hidden is not None:
            path = folder / f"gru-{hidden}.onnx"
            path.write_bytes(gru_model(hidden))
        else:
            path = model_path(model or "default")
        with memory_ceiling(path):
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
    if json_path is not None:
        try:
            Path(json_path).write_bytes(msgspec.json.format(msgspec.json.encode(data)) + b"\n")
        except OSError as error:
            raise OutputError(f"json {json_path}: {error.strerror}; give another path") from None
