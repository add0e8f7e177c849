"""Which outputs there are: our own, and those that entry points of other packages add."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from stream.errors import UsageError
from stream.outputs.output import Option, Output, OutputContext
from stream.outputs.sink import GuardMaker

if TYPE_CHECKING:  # what only runs need, help and completion do without
    from stream.outputs.acting import Acting
    from stream.outputs.acting_rule import ActingRules
    from stream.outputs.outputs import Outputs

GROUP = "stream_classify.outputs"  # of entry points: name -> a class, see `Output`

# name -> module, class. Their modules import nothing heavy: all are imported to know the options.
_OWN: dict[str, tuple[str, str]] = {
    "mqtt": ("stream.outputs.mqtt.mqtt", "Mqtt"),
    "clips": ("stream.outputs.clips", "Clips"),
    "labels": ("stream.outputs.label_output", "Labels"),
    "history": ("stream.outputs.history", "History"),
    "record": ("stream.outputs.record", "Recorder"),
    "webhook": ("stream.outputs.webhook", "Webhook"),
    "notify": ("stream.outputs.notify", "Notify"),
    "exec": ("stream.outputs.exec", "Exec"),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputTable:
    """One output with settings of its own, as an ``[[output]]`` table of the settings file describes it.

    Attributes:
        kind: name of the class in `output_classes`.
        target: value of its first option.
        values: of its other options, by keyword; those for all outputs hold where it has none.
        acting: what is different in its rule of acting, by field.
        name: of its switch; "" = that of the kind.
    """

    kind: str
    target: Any
    values: Mapping[str, Any] = field(default_factory=dict)
    acting: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def switch(self) -> str:
        """Name of its switch."""
        return self.name or self.kind


def all_outputs(values: Mapping[str, Any], tables: Sequence[OutputTable] = ()) -> list[OutputTable]:
    """Every output that is asked for, by options or by tables.

    Args:
        values: by keyword of the options. What asks for an output is a sequence, one value for each output of
            that kind; the others are single.
        tables: further outputs.
    """
    asked = [
        OutputTable(kind=name, target=target)
        for name, kind in output_classes().items()
        for target in values.get(kind.OPTIONS[0].keyword) or ()
    ]
    return [*asked, *tables]


def open_outputs(
    values: Mapping[str, Any],
    context: OutputContext,
    *,
    tables: Sequence[OutputTable] = (),
    acting: ActingRules | None = None,
    guard: GuardMaker | None = None,
) -> Outputs:
    """Make the outputs that were asked for.

    Args:
        values: as `all_outputs` takes them. What is missing has its default.
        context: of the run.
        tables: further outputs.
        acting: which events each is told of; None = all.
        guard: stands between the sound and the outputs that write it, see `Outputs`.

    Raises:
        OutputError, UsageError: as the outputs say.
        SpecError: a rule that contradicts itself.
    """
    from stream.outputs.acting import Acting
    from stream.outputs.acting_rule import ActingRules
    from stream.outputs.outputs import Outputs

    made: list[tuple[Output, str, str]] = []
    rules: list[Acting | None] = []
    acting = ActingRules() if acting is None else acting
    if guard is not None:  # behind one that lets no sound through nobody writes any
        context = replace(context, speech_silenced=True)
    before: list[tuple[Any, ...]] = []
    for asked in all_outputs(values, tables):
        kind = output_classes()[asked.kind]
        first, *others = kind.OPTIONS
        shown = getattr(kind, "shown", str)
        given = {**values, **asked.values}
        settings = {option.keyword: given.get(option.keyword, option.default) for option in others}
        rule = acting.rule(asked.kind, asked.acting)
        # One folder of clips may be meant for several rules; whatever is the same in everything is a slip.
        own: tuple[Any, ...] = () if getattr(kind, "owns_target", False) else (settings, rule)
        this = (asked.kind, _place(asked.target), *own)
        if this in before:
            raise UsageError(
                f"--{first.name} {shown(asked.target)}: is asked for twice; leave out one of them"
            )
        before.append(this)
        make: Any = kind  # a protocol cannot say what the constructor takes
        output: Output = make(context, **{first.keyword: asked.target}, **settings)
        made.append((output, asked.switch, shown(asked.target)))
        ruled = not getattr(kind, "takes_all_events", False)
        rules.append(
            Acting(output, context, name=asked.switch, rule=rule, schedules=acting.schedules)
            if ruled
            else None
        )
    return Outputs(
        made,
        live=context.source.live,
        switches=context.switches,
        acting=rules,
        guard=guard,
        marks=context.marks,
        clips=context.clips,
    )


def take_output_values(values: dict[str, Any]) -> Mapping[str, Any]:
    """Take the values of the outputs' options out of those of a command."""
    keywords = [option.keyword for kind in output_classes().values() for option in kind.OPTIONS]
    return {keyword: values.pop(keyword) for keyword in keywords}


def check_output_options(outputs: Mapping[str, Any], given: Collection[str]) -> None:
    """Refuse an option of an output that nobody asked for: it would do nothing.

    Args:
        outputs: values of the outputs' options by keyword.
        given: keywords of the options on the command line.

    Raises:
        UsageError: naming both options.
    """
    for kind in output_classes().values():
        first, *others = kind.OPTIONS
        for option in others:
            if option.keyword in given and not outputs[first.keyword]:
                raise UsageError(f"--{option.name} belongs to --{first.name}: add that, or leave it out")


def _place(target: Any) -> Any:
    """The same for two ways of writing one path. Other targets hardly look as if they were one."""
    return os.path.abspath(target) if isinstance(target, str) and "://" not in target else target


def refuse_sound(values: Mapping[str, Any], tables: Sequence[OutputTable] = (), *, all_of_it: bool) -> None:
    """Refuse outputs that keep what may not be kept.

    Args:
        values, tables: as `all_outputs` takes them.
        all_of_it: for ``--no-audio`` those that write sound; else, for ``--no-speech``, those that need the sound as
            it was heard.

    Raises:
        UsageError: one of them was asked for.
    """
    from stream.outputs.outputs import writes_sound

    for asked in all_outputs(values, tables):
        kind = output_classes()[asked.kind]
        option = f"--{kind.OPTIONS[0].name} {asked.target}"
        if all_of_it and writes_sound(kind):
            raise UsageError(
                f"{option}: writes sound, which --no-audio forbids; "
                "leave out one of them, or keep what is not speech with --no-speech"
            )
        if not all_of_it and getattr(kind, "NEEDS_ALL_SOUND", False):
            raise UsageError(
                f"{option}: needs the sound as it was heard, which --no-speech forbids; put redact in front of it: "
                f"stream-classify redact … --output - | stream-classify --input - {option}"
            )
