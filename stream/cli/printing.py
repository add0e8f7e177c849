"""What only prints: ``--version``, ``--list-devices``, ``schema``."""

from __future__ import annotations

import json

import click

from stream.cli.help import TaskCommand
from stream.printable import printable


def print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    from stream._version import __version__

    if value and not ctx.resilient_parsing:
        click.echo(f"stream-classify {__version__}")
        ctx.exit()


def print_devices(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Every input device: the number to give to --device, name, host API, channels, rate; > marks the default."""
    if not value or ctx.resilient_parsing:
        return
    from stream.capture.device.lookup import list_devices, named_sources
    from stream.cli.quiet import quieten_portaudio

    quieten_portaudio()
    found = [device for device in list_devices() if device.max_input_channels]
    if not found:
        click.echo("no input devices; connect a microphone, or use --input FILE", err=True)
    sources = named_sources(found)
    for device in [*found, *sources]:
        mark = ">" if device.is_default else " "
        name = printable(f"{device.name}, {device.hostapi}")
        # All sources of the sound server share a number, so it would not tell them apart.
        number = "   " if device.source else f"{device.index:3d}"
        click.echo(f"{mark} {number}  {name}  ({device.max_input_channels} in, {device.default_rate} Hz)")
    if sources:
        click.echo(
            "those without a number are the sound server's: give --device a part of the name", err=True
        )
    ctx.exit()


@click.command(cls=TaskCommand, epilog="Example: stream-classify schema > records.schema.json")
def schema() -> None:
    """Print the JSON Schema of the records that --jsonl writes, one JSON object a line."""
    from stream.outputs.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
