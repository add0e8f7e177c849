"""``stream-classify serve --check``: what a station's settings ask for, without opening any of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stream.assembly import make_rules
from stream.outputs.catalogue import all_outputs, output_classes

if TYPE_CHECKING:
    from stream.inference.session import Model
    from stream.server.station import SourceSpec, Station


def check_lines(station: Station) -> Iterator[str]:
    """A few lines for each source: what it listens to, with which model and rules, and where results go."""
    specs = station.specs
    if not specs:
        yield "no sources; streams from outside and files only"
        return
    for spec, model in specs.values():
        yield f"{spec.name}: {spec.listens_to}, model {spec.model}"
        yield f"    events     {_rules(spec, model)}"
        yield f"    outputs    {_outputs(spec)}"
    count = len(specs)
    yield f"{count} source{'s' * (count != 1)}, all in order"


def _rules(spec: SourceSpec, model: Model) -> str:
    rules, _ = make_rules(model, spec)
    labels = [label for label in spec.derived.labels(model.labels) if rules.rule(label).enabled]
    return ", ".join(f"{label} from {rules.rule(label).threshold:g}" for label in labels) or "none"


def _outputs(spec: SourceSpec) -> str:
    lines = [] if spec.jsonl is None else [f"jsonl {spec.jsonl}"]
    for asked in all_outputs(spec.outputs, spec.output_tables):
        kind = output_classes()[asked.kind]
        lines.append(f"{kind.OPTIONS[0].name} {getattr(kind, 'shown', str)(asked.target)}")
    sound = "; no sound is written" if spec.no_audio else "; speech is silenced" if spec.no_speech else ""
    return (", ".join(lines) or "none") + sound
