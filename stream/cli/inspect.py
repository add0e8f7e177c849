"""``stream-classify inspect``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand
from stream.cli.verify import kernel_at_export
from stream.printable import printable, printable_json


@click.command(cls=TaskCommand, epilog="Example: stream-classify inspect model.onnx")
@click.argument("model", type=click.Path(), shell_complete=complete_model)
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
def inspect(model: str, as_json: bool) -> None:
    """Print what MODEL says about itself: front end, graph, states, receptive field, latency, accuracy, origin.

    MODEL is a file, or the name of a bundled model: default, small, alarms.
    """
    from stream.cli.models import model_path, opening
    from stream.inference.describe import describe

    path = model_path(model)
    with opening(path):
        found = describe(path)
    if as_json:
        click.echo(printable_json(msgspec.json.format(msgspec.json.encode(found), indent=2)).decode())
        return
    for title, rows in sections(found):
        if rows:
            click.echo(title)
        wide = max(18, *(len(name) + 2 for name, _ in rows)) if rows else 0
        for name, value in rows:
            click.echo(printable(f"  {name:{wide}s}{value}"))


def sections(found: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """A description as titled rows for people."""
    card, graph, late = found["card"], found["graph"], found["latency"]
    field = found["receptive_field"]
    reach = (
        "all since the start"
        if field["frames"] is None
        else f"{field['frames']} frames, {field['seconds']:g} s"
    )
    about = [
        (key, str(card[key]))
        for key in ("name", "version", "description", "author", "licence", "created")
        if card[key]
    ]
    return [
        (
            "model",
            [
                ("id", f"{card['name']}@{found['file']['sha256'][:12]}"),
                *about,
                ("labels", ", ".join(card["labels"])),
                ("activation", card["activation"]),
            ],
        ),
        ("front end", list(_front_end(card))),
        (
            "graph",
            [
                ("parameters", f"{graph['parameters']:,}"),
                ("MACs per frame", f"{graph['macs_per_frame']:,.0f}"),
                ("operators", ", ".join(f"{count} {name}" for name, count in graph["operators"].items())),
                *(
                    (
                        f"state {s['name']}",
                        f"{s['shape']} {s['dtype']}, starts from {s['start']}, {s['bytes']} bytes",
                    )
                    for s in found["states"]
                ),
                (
                    "exact",
                    "any chunking gives the same bits"
                    if card["exact"]
                    else "no: chunking changes last digits",
                ),
            ],
        ),
        (
            "time",
            [
                ("window", f"{1000 * late['window']:g} ms"),
                ("probabilities every", f"{1000 * late['step']:g} ms"),
                ("delay", f"{1000 * late['delay']:g} ms"),
                ("warm-up", f"{1000 * late['warmup']:g} ms"),
                ("receptive field", f"{reach}; a disturbance is noticed for {field['noticed']} frames"),
            ],
        ),
        ("detector", [(name, _rule(rule)) for name, rule in _rules(card["detector"])]),
        ("metrics", list(_figures(card["metrics"]))),
        ("sources", [(f"{i + 1}", source) for i, source in enumerate(card["sources"])]),
        (
            "file",
            [
                ("path", found["file"]["path"]),
                ("bytes", f"{found['file']['bytes']:,}"),
                ("sha256", found["file"]["sha256"]),
                (
                    "golden vectors",
                    "yes: prove it with stream-classify verify" if found["file"]["golden"] else "no",
                ),
            ],
        ),
    ]


def _front_end(card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What turns sound into frames, whichever kind it is."""
    from stream.features.kernel import kernel_name
    from stream.features.spec import FeatureSpec

    settings: dict[str, Any] = card["features"]
    spec: FeatureSpec = msgspec.convert(settings, FeatureSpec)
    rate = spec.sample_rate
    yield "kind", settings["type"]
    yield "sample rate", f"{rate} Hz"
    yield (
        "frame",
        f"{spec.width} values from {spec.span} samples ({1000 * spec.span / rate:g} ms), "
        f"one every {spec.hop_length} samples ({1000 * spec.hop_length / rate:g} ms)",
    )
    shown = {"type", "sample_rate", "hop_length"}
    yield (
        "settings",
        ", ".join(f"{name} {_figure(value)}" for name, value in settings.items() if name not in shown),
    )
    exported = kernel_at_export(card["provenance"])
    yield "kernel here", kernel_name(spec) + ("" if exported is None else f"; exported with {exported}")


def _figures(metrics: dict[str, Any], above: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """A line for every innermost group of figures, or for what lies four groups deep."""
    for name, value in metrics.items():
        path = f"{above} {name}".strip()
        if not isinstance(value, dict):
            yield path, _figure(value)
        elif depth < 4 and any(isinstance(item, dict) for item in value.values()):
            yield from _figures(value, path, depth + 1)
        else:
            yield path, ", ".join(f"{key} {_figure(item)}" for key, item in value.items())


def _figure(value: Any) -> str:
    """Lists in lists as a/b/c d/e/f."""
    if isinstance(value, list):
        return " ".join("/".join(map(str, item)) if isinstance(item, list) else str(item) for item in value)
    return "-" if value is None else str(value)


def _rules(detector: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [("default", detector["default"]), *detector["classes"].items()]


def _rule(rule: dict[str, Any]) -> str:
    from stream.decisions.spec import ClassRule

    if not rule["enabled"]:
        return "not reported"
    low = msgspec.convert(rule, ClassRule).off_threshold
    sure = "" if rule["peak_threshold"] is None else f", once it has reached {rule['peak_threshold']:g}"
    return (
        f"on at {rule['threshold']:g}{sure}, off below {low:g}, "
        f"min on {rule['min_on']:g} s, min off {rule['min_off']:g} s, "
        f"refractory {rule['refractory']:g} s, smoothed over {rule['smoothing']:g} s"
    )
