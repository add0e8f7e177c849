"""``stream-classify bench``."""

from __future__ import annotations

from pathlib import Path

import click

from stream.errors import OutputError


@click.command(epilog="Example: stream-classify bench --json bench.json")
@click.option(
    "-m", "--model", default="default", show_default=True, help="A model file, or a bundled one by name."
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
def bench(model: str, streams: tuple[int, ...], rounds: int, peers: bool, json_path: str | None) -> None:
    """Measure what a hop costs on this machine, beside librosa, kaldi-native-fbank, silero-vad and torch.

    All cases run side by side in short turns, round after round; figures are medians over rounds, so that a busy
    machine disturbs all alike. Peers that are not installed are left out: pip install 'stream-classify[bench]'.
    """
    import msgspec

    from stream.assets import asset
    from stream.bench.cases import our_cases
    from stream.bench.machine import machine
    from stream.bench.peers import peer_cases
    from stream.bench.report import as_data, table
    from stream.bench.startup import start_up
    from stream.bench.timing import measure
    from stream.capture.files import read_audio
    from stream.inference.session import Model

    path = asset(f"{model}.onnx") if model in ("default", "small") else Path(model)
    loaded = Model.load(path, "cpu")
    recording = asset("demo.ogg")
    spec = loaded.card.features
    sound = read_audio(recording, spec.sample_rate)[: 20 * spec.sample_rate]
    others, missing = peer_cases(spec, sound) if peers else ([], ["peers: not asked for"])
    click.echo("starting new processes ...", err=True)
    startup = start_up(path, recording)
    click.echo("timing ...", err=True)
    timings = measure([*our_cases(loaded, sound, streams), *others], rounds)
    data = as_data(timings, startup, machine(), missing)
    click.echo(table(data))
    if json_path is not None:
        try:
            Path(json_path).write_bytes(msgspec.json.format(msgspec.json.encode(data)) + b"\n")
        except OSError as error:
            raise OutputError(f"json {json_path}: {error.strerror}; give another path") from None
