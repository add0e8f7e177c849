"""``stream-classify doctor``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from stream.capture.fitting import check_input
from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand, section
from stream.cli.values import SAMPLE_RATES, Number

if TYPE_CHECKING:
    from stream.capture.device.sound_server import ServerSource
    from stream.capture.source import AudioSource
    from stream.doctor.examination import Finding
    from stream.doctor.stethoscope import Heard
    from stream.inference.session import Model

EPILOG = """\b
Examples:
  stream-classify doctor
  stream-classify doctor --device "usb mic" --seconds 20
  stream-classify doctor --json > report.json
"""
OTHER_CHANNEL_SECONDS = 1.5  # of each, where the wanted one is silent
MOST_CHANNELS = 8  # more is what a sound server offers, not what a microphone has
Report = dict[str, dict[str, str]]


@click.command(cls=TaskCommand, epilog=EPILOG)
@section(
    "Sound in",
    click.option("-d", "--device", metavar="ID|NAME", help="Microphone. Default: the system's input."),
    click.option(
        "-i", "--input", "input_", metavar="SOURCE", help="A file, URL or sim:… instead of a microphone."
    ),
    click.option("-c", "--channel", metavar="N|mix", help="Channel to listen to. Default: as in listening."),
    click.option(
        "-r",
        "--sample-rate",
        type=click.IntRange(*SAMPLE_RATES),
        metavar="HZ",
        help="Rate of the microphone.",
    ),
    click.option(
        "--seconds",
        type=Number(1, 60),
        default=5.0,
        show_default=True,
        metavar="S",
        help="How long to listen.",
    ),
)
@click.option(
    "-m",
    "--model",
    default="default",
    show_default=True,
    metavar="FILE",
    shell_complete=complete_model,
    help="Model that is to hear it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def doctor(
    device: str | None,
    input_: str | None,
    channel: str | None,
    sample_rate: int | None,
    seconds: float,
    model: str,
    as_json: bool,
) -> None:
    """Listen for some seconds and say what is wrong: with the sound, the microphone, or this installation.

    Make some noise meanwhile. The report is made to be pasted into a bug report. Exit code 0 if nothing is wrong, 1 if
    something is, and that of the error where nothing can be heard at all.
    """
    from stream.bench.machine import machine
    from stream.cli.models import load_model
    from stream.cli.patience import interruptible
    from stream.cli.quiet import quieten_portaudio
    from stream.doctor.environment import environment
    from stream.doctor.examination import Finding
    from stream.doctor.microphones import missing_permission, permissions
    from stream.errors import StreamClassifyError, UsageError

    if device is not None and input_ is not None:
        raise UsageError("--input and --device: each says what to listen to; give one of them")
    if input_ == "-":
        raise UsageError("--input -: the doctor does not read standard input; give a file or a device")
    if input_ is not None:
        check_input(input_, False, () if sample_rate is None else ("sample_rate",))
    quieten_portaudio()
    loaded = interruptible(lambda: load_model(model, "auto"))
    spec = loaded.card.features
    report: Report = {
        "this installation": environment() | machine(spec),
        "permissions": interruptible(permissions),
        "microphones": interruptible(_devices),
        "model": _card(loaded),
    }
    failure: StreamClassifyError | None = None
    try:
        heard, findings = interruptible(
            lambda: _listen(device, input_, channel, sample_rate, seconds, spec.sample_rate)
        )
        report["sound"] = _sound(heard) | _classes(heard, loaded)
    except StreamClassifyError as error:
        failure = error
        findings = [Finding("device", str(error)), *missing_permission()]
    _show(report, findings, as_json)
    if failure is not None:
        from stream.cli import exit_code

        raise SystemExit(exit_code(failure))
    if findings:
        raise SystemExit(1)


def _devices() -> dict[str, str]:
    from stream.doctor.microphones import input_devices
    from stream.errors import DeviceError

    try:
        found = input_devices()
    except DeviceError as error:
        return {"none": str(error)}
    rows = {}
    for each in found:
        key = f"{'>' if each.is_default else ' '} {'' if each.source else each.index} {each.full_name}"
        rows[key] = f"{each.max_input_channels} in, {each.default_rate} Hz"
    return rows or {"none": "PortAudio finds no input"}


def _card(model: Model) -> dict[str, str]:
    card = model.card
    rule = card.detector.default
    return {
        "name": f"{card.name}@{model.sha256[:12]}",
        "labels": ", ".join(card.labels),
        "hears": f"{card.features.sample_rate} Hz",
        "threshold": f"{rule.threshold:g}",
        "runs on": model.provider,
    }


def _listen(
    device: str | None,
    text: str | None,
    channel: str | None,
    sample_rate: int | None,
    seconds: float,
    model_rate: int,
) -> tuple[Heard, list[Finding]]:
    """What was heard, and what is wrong with it."""
    from stream.capture.device.lookup import resolve_device
    from stream.capture.opening import open_source
    from stream.cli.say import say
    from stream.doctor.examination import examine
    from stream.doctor.microphones import server_source, server_state
    from stream.doctor.stethoscope import listen_for

    def source(number: str | None) -> AudioSource:
        return open_source(
            device if text is None else text,
            channel=number,
            sample_rate=sample_rate,
            fast="://" not in (text or "://"),
        )

    chosen = None
    if text is None:
        chosen = resolve_device(int(device) if device and device.isdigit() else device or None)
    opened = source(channel)
    noise = ": make some noise" if opened.info().live else ""
    say(f"listening to {opened.info().name} for {seconds:g} s{noise}")
    behind: list[ServerSource] = []

    def ask() -> None:
        if chosen is not None and (known := server_source(chosen)) is not None:
            behind.append(known)

    heard = listen_for(opened, seconds, meanwhile=ask)
    found = examine(heard, model_rate)
    server = [finding for known in behind for finding in server_state(known)]
    if server:  # the reason, in place of what it looks like from here
        found = server + [each for each in found if each.kind not in ("silent", "flat", "device")]
    elif any(each.kind in ("flat", "faint") for each in found):
        # PortAudio's "pulse" offers more channels than any microphone has.
        count = min([heard.source.channels, *(known.channels for known in behind)])
        found += _other_channels(heard, count, source)
    return heard, found


def _other_channels(heard: Heard, count: int, source: Callable[[str], AudioSource]) -> list[Finding]:
    """Whether there is sound where nobody listens."""
    from stream.doctor.examination import Finding, is_flat, level_dbfs
    from stream.doctor.stethoscope import listen_for

    mine = heard.source.channel
    if mine == "mix" or not 1 < count <= MOST_CHANNELS:
        return []
    for number in range(1, count + 1):
        if str(number) == mine:
            continue
        other = listen_for(source(str(number)), OTHER_CHANNEL_SECONDS)
        louder = level_dbfs(other.samples) > level_dbfs(heard.samples) + 20
        if len(other.samples) and not is_flat(other.samples) and louder:
            return [
                Finding(
                    "channel",
                    f"channel {mine} of {count} is silent and channel {number} is not: --channel {number}",
                )
            ]
    return []


def _sound(heard: Heard) -> dict[str, str]:
    import numpy as np

    from stream.doctor.examination import level_dbfs

    info = heard.source
    peak = float(np.abs(heard.samples).max()) if len(heard.samples) else 0.0
    channel = f"channel {info.channel} of {info.channels}"
    return {
        "heard": f"{heard.seconds:.1f} s of {info.name}, {info.sample_rate} Hz, {channel}",
        "opened": info.detail or "-",
        "level": f"{level_dbfs(heard.samples):.1f} dBFS, highest sample {peak:.4f}",
    }


def _classes(heard: Heard, model: Model) -> dict[str, str]:
    """What the model makes of it."""
    import numpy as np

    from stream.classifier import StreamClassifier
    from stream.messages import Chunk

    if not len(heard.samples):
        return {}
    classifier = StreamClassifier(model)
    results = [classifier.push(Chunk(heard.samples, 0, heard.source.sample_rate)), classifier.flush()]
    probs = np.concatenate([result.probs for result in results])
    if not len(probs):
        return {}
    order = np.argsort(-probs.max(axis=0))[:5]
    events = [event.label for result in results for event in result.events if event.offset is not None]
    rows = [
        f"{model.labels[i]} up to {probs[:, i].max():.2f}, {events.count(model.labels[i])} events"
        for i in order
    ]
    return {"the model hears": "; ".join(rows)}


def _show(report: Report, findings: list[Finding], as_json: bool) -> None:
    from stream.printable import printable

    if as_json:
        from stream.printable import unicode_values

        found = [{"kind": each.kind, "text": each.text} for each in findings]
        click.echo(json.dumps(unicode_values(report | {"findings": found}), indent=2))
        return
    for title, rows in report.items():
        click.echo(title)
        for name, value in rows.items():
            click.echo(printable(f"  {name:20s} {value}"))
    click.echo("what is wrong")
    for each in findings:
        click.echo(printable(f"  - {each.text}"))
    if not findings:
        click.echo("  nothing was found")
