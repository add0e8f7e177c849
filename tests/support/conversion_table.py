"""The table of what converts and what is refused, made of the test networks.

``python -m tests.support.conversion_table`` writes it into export/README.md, between two marks, in a minute or two.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import nn

from export.conversion.fault_localisation import most_helpful
from export.conversion.input_layout import InputLayout
from export.conversion.torch_export import Whole, exporters_for, offline_graph
from export.streaming import Streaming, streamify
from stream.errors import ExportError, NotStreamable
from tests.support import export_zoo, frequency_networks, idiom_networks, loop_networks, scan_networks
from tests.support.export_zoo import features

GUIDE = Path(__file__).resolve().parents[2] / "export" / "README.md"
START, END = "<!-- conversion table -->", "<!-- end of conversion table -->"
Builders = dict[str, Callable[[], nn.Module]]
CONVERTED: dict[str, Builders] = {
    "layers, heads and padding": export_zoo.STREAMABLE,
    "networks with a frequency axis": frequency_networks.STREAMABLE,
    "idioms, attention over a window": idiom_networks.STREAMABLE,
    "loops over frames in Python": loop_networks.LOOPS,
    "recurrences for all frames at once, complex numbers": scan_networks.SCANS,
}
DELAYED: Builders = {name: build for name, (build, _, _) in export_zoo.DELAYED.items()}
REFUSED: Builders = {
    name: entry[0]
    for family in (export_zoo.REFUSED, idiom_networks.REFUSED, scan_networks.REFUSED)
    for name, entry in family.items()
}


def converted(build: Callable[[], nn.Module], lookahead: str = "refuse") -> Streaming:
    """The streaming form, by the first exporter that leads to one.

    Raises:
        ExportError: what helps most of what they say.
    """
    torch.manual_seed(0)
    example = features(1)
    whole = Whole(build(), InputLayout.of(tuple(example.shape), 0, 1))
    faults: list[ExportError] = []
    for exporter in exporters_for(whole, example):
        try:
            return streamify(offline_graph(exporter, whole, example), example.numpy(), lookahead=lookahead)  # type: ignore[arg-type]
        except ExportError as error:
            faults.append(error)
    raise most_helpful(faults)


def outcome(build: Callable[[], nn.Module], lookahead: str = "refuse") -> str:
    """ "converted", "2 frames late", or the reason of the refusal."""
    try:
        made = converted(build, lookahead)
    except NotStreamable as refusal:
        reason = str(refusal).split("; ")[0]
        return reason.split(": ", 1)[1] if reason.startswith(("layer '", "operator '")) else reason
    return f"{made.delay} frame{'s' * (made.delay != 1)} late" if made.delay else "converted"


def table() -> str:
    """The table, in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from ("| what | networks of the tests |", "| --- | --- |")
    for family, networks in CONVERTED.items():
        names = [name for name, build in networks.items() if _checked(name, outcome(build), "converted")]
        yield f"| {family} | {len(names)} convert: {_listed(names)} |"
    late = [f"{name} ({outcome(build, 'delay')})" for name, build in DELAYED.items()]
    yield f"| look ahead, `--lookahead delay` | {len(late)} convert: {_listed(late)} |"
    yield from ("", "| refused | reason |", "| --- | --- |")
    for name, build in REFUSED.items():
        reason = outcome(build)
        if reason == "converted":
            raise AssertionError(f"{name} is listed as refused, and converts")
        yield f"| {name} | {reason} |"


def _checked(name: str, found: str, wanted: str) -> bool:
    if found != wanted:
        raise AssertionError(f"{name} is listed as {wanted}: {found}")
    return True


def _listed(names: Iterable[str]) -> str:
    return "; ".join(names)


def in_guide() -> str:
    """The table as it stands in the guide."""
    return GUIDE.read_text().split(f"{START}\n")[1].split(END)[0]


def main() -> None:
    """Write the table into the guide."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of what the networks use
        made = table()
    text = GUIDE.read_text()
    before, after = text.split(f"{START}\n")[0], text.split(END)[1]
    GUIDE.write_text(f"{before}{START}\n{made}{END}{after}")


if __name__ == "__main__":
    main()
