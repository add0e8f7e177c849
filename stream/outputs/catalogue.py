"""Which outputs there are: our own, and those that entry points of other packages add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from stream.errors import UsageError
from stream.outputs.output import Option, Output, OutputContext
from stream.outputs.outputs import Outputs

GROUP = "stream_classify.outputs"  # of entry points: name -> a class, see `Output`

# name -> module, class. Their modules import nothing heavy: all are imported to know the options.
_OWN: dict[str, tuple[str, str]] = {
    "record": ("stream.outputs.record", "Recorder"),
}


@cache
def output_classes() -> Mapping[str, type[Output]]:
    """The classes of all outputs by name: ours first, then others in alphabetical order.

    Raises:
        UsageError: an entry point that cannot be loaded, or is no output.
    """
    found = {name: getattr(import_module(module), kind) for name, (module, kind) in _OWN.items()}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name in found:
            continue
        try:
            kind = entry.load()
            options: Sequence[Option] = kind.OPTIONS
            if not options or not all(hasattr(kind, name) for name in ("chunk", "result", "status", "close")):
                raise TypeError("want OPTIONS and the four methods of an output")
        except Exception as error:  # whatever the code of others raises
            raise UsageError(
                f"output {entry.name!r} of {entry.value} cannot be loaded: {error}; mend or uninstall its package"
            ) from error
        found[entry.name] = kind
    return found


def open_outputs(values: Mapping[str, Any], context: OutputContext) -> Outputs:
    """Make the outputs that were asked for.

    Args:
        values: by keyword of the options. What asks for an output is a sequence, one value for each output of
            that kind; the others are single. What is missing has its default.
        context: of the run.

    Raises:
        OutputError, UsageError: as the outputs say.
    """
    made: list[tuple[Output, str, str]] = []
    for name, kind in output_classes().items():
        first, *others = kind.OPTIONS
        settings = {option.keyword: values.get(option.keyword, option.default) for option in others}
        for target in values.get(first.keyword) or ():
            make: Any = kind  # a protocol cannot say what the constructor takes
            shown = getattr(kind, "shown", str)
            made.append((make(context, **{first.keyword: target}, **settings), name, shown(target)))
    return Outputs(made, live=context.source.live)
