"""``stream-classify inspect``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand


@click.command(cls=TaskCommand, epilog="Example: stream-classify inspect model.onnx")
@click.argument("model", type=click.Path(), shell_complete=complete_model)
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def inspect(model: str, as_json: bool) -> None:
    """Print what MODEL says about itself: card, graph, states, receptive field, latency, size, digest.

    MODEL is a file, or default or small for a bundled one.
    """
    from stream.cli.models import memory_ceiling, model_path
    from stream.inference.describe import describe

    path = model_path(model)
    with memory_ceiling(path):
        found = describe(path)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for title, rows in sections(found):
        if rows:
            click.echo(title)
        wide = max(18, *(len(name) + 2 for name, _ in rows)) if rows else 0
        for name, value in rows:
            click.echo(f"  {name:{wide}s}{value}")


def sections(found: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """A description as titled rows for people."""
    card, spec, graph, late = found["card"], found["card"]["features"], found["graph"], found["latency"]
    field = found["receptive_field"]
    reach = (
        "all since the start"
        if field["frames"] is None
        else f"{field['frames']} frames, {field['seconds']:g} s"
    )
    kind = "log-mel" if spec["n_mfcc"] is None else f"{spec['n_mfcc']} MFCC"
    about = [
        (key, str(card[key]))
        for key in ("name", "version", "description", "author", "licence", "created")
        if card[key]
    ]
    return [
        ("model", [*about, ("labels", ", ".join(card["labels"])), ("activation", card["activation"])]),
        (
            "features",
            [
                ("kind", f"{kind} of {spec['n_mels']} mel bands, {spec['sample_rate']} Hz"),
                (
                    "frame",
                    f"window {spec['win_length']} in {spec['n_fft']}, hop {spec['hop_length']} samples",
                ),
                ("deltas", str(spec["deltas"])),
            ],
        ),
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
                ("an answer every", f"{1000 * late['step']:g} ms"),
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
    if not rule["enabled"]:
        return "not reported"
    low = rule["release"] if rule["release"] is not None else 0.7 * rule["threshold"]
    sure = "" if rule["peak_threshold"] is None else f", once it has reached {rule['peak_threshold']:g}"
    return (
        f"on at {rule['threshold']:g}{sure}, off below {low:g}, "
        f"min on {rule['min_on']:g} s, min off {rule['min_off']:g} s, "
        f"refractory {rule['refractory']:g} s, smoothed over {rule['smoothing']:g} s"
    )
