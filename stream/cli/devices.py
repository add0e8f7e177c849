"""``--list-devices``."""

from __future__ import annotations

import click


def print_devices() -> None:
    """Every input device: the number to give to --device, name, host API, channels, rate; > marks the default."""
    from stream.capture.device.lookup import list_devices
    from stream.cli.quiet import quieten_portaudio

    quieten_portaudio()
    found = [device for device in list_devices() if device.max_input_channels]
    if not found:
        click.echo("no input devices; connect a microphone, or use --input FILE", err=True)
    for device in found:
        mark = ">" if device.is_default else " "
        click.echo(
            f"{mark} {device.index:3d}  {device.name}, {device.hostapi}"
            f"  ({device.max_input_channels} in, {device.default_rate} Hz)"
        )
