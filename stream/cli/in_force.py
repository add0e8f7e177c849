"""``stream-classify settings``: what is in force, and where each value comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from stream.cli.app import app
from stream.cli.help import TaskCommand
from stream.cli.vocabulary import keys_of
from stream.outputs.catalogue import OutputTable, output_classes
from stream.settings.keys import CLASS_KEYS, RULE_KEYS
from stream.settings.toml import toml_key, toml_value

if TYPE_CHECKING:
    from stream.cli.resolving import Resolved
    from stream.decisions.spec import DetectorSpec
    from stream.settings.layered_rules import Origins

HIDDEN = "***"
_SECRET = re.compile(r"(password|secret|token)$")
COMMENT_COLUMN = 40
EPILOG = """\b
Examples:
  stream-classify settings --settings house.toml
  stream-classify settings --settings house.toml --threshold speech=0.8
  stream-classify settings > house.toml      all that there is, to begin with

\b
A settings file holds the options by their names, and more:
  threshold = 0.6                  # for every class
  [class.speech]                   # for one class
  min-on = 0.5
  [groups]                         # one class for several
  alarm = ["smoke", "co"]
  [schedules]
  night = { hours = "22:00-07:00", days = "mon-fri" }
  [acting]                         # which events outputs are told of
  cooldown = "5m"
  [acting.notify]                  # one output
  schedule = "night"
  [[output]]                       # one more output, with settings of its own
  clips = "alarms"
  acting = { classes = "alarm" }

Environment variables are called STREAM_CLASSIFY_ and the option's name: STREAM_CLASSIFY_MIN_ON=0.5.
"""


@click.pass_context
def print_settings(ctx: click.Context, /, **values: Any) -> None:
    """Print what is in force, and where each value comes from.

    Takes the options of listening, and prints what they, the environment, the settings file and the model's card come
    to, as a settings file. Nothing is opened but the model. What is secret is not shown.
    """
    from stream.assembly import make_rules
    from stream.cli.models import load_model
    from stream.cli.resolving import resolve

    resolved = resolve(ctx, values)
    model = load_model(resolved.options.model, resolved.options.provider)
    rules, origins = make_rules(model, resolved.options)
    for line in settings_lines(ctx, resolved, rules, origins):
        click.echo(line)


def settings_lines(
    ctx: click.Context, resolved: Resolved, rules: DetectorSpec, origins: Origins
) -> Iterator[str]:
    """The lines of a settings file, with where each value comes from as a comment.

    Args:
        ctx: of the command, for its options.
        resolved: what is in force.
        rules: of the detector, for every class.
        origins: of the rules.
    """
    shown = {kind.OPTIONS[0].name: getattr(kind, "shown", None) for kind in output_classes().values()}
    for name in keys_of(ctx):
        if name in RULE_KEYS:
            continue
        value, origin = resolved.values[name], resolved.origins[name].words
        if value is None or value == ():
            yield _line(f"# {name} is not set", "" if origin == "default" else origin)
        else:
            yield _line(f"{name} = {toml_value(_without_secrets(name, value, shown.get(name)))}", origin)
    options = resolved.options
    if options.derived.groups:
        yield from ("", "[groups]")
        for name, members in options.derived.groups.items():
            yield _line(f"{toml_key(name)} = {toml_value(members)}", resolved.origins[f"group {name}"].words)
    for label, rule in rules.classes.items():
        yield from ("", f"[class.{toml_key(label)}]")
        of_card = "default" if label == "loud" and options.derived.loud is not None else "card"
        for name in CLASS_KEYS:
            field = name.replace("-", "_")
            value = getattr(rule, field)
            if value is not None:
                yield _line(f"{name} = {toml_value(value)}", origins.get((label, field), of_card))
    yield from _acting_lines(resolved)
    for table in options.output_tables:
        yield from ("", "[[output]]")
        yield from _output_lines(table, shown)


def _acting_lines(resolved: Resolved) -> Iterator[str]:
    acting = resolved.options.acting
    if not resolved.options.files:
        return
    (file,) = resolved.options.files
    if acting.schedules:
        yield from ("", "[schedules]")
        for name, schedule in acting.schedules.items():
            values: dict[str, Any] = {"days": schedule.days}
            if schedule.hours:
                values = {"hours": schedule.hours, **values}
            yield _line(f"{toml_key(name)} = {toml_value(values)}", file.document.where(("schedules", name)))
    for name, fields in (("acting", acting.every), *((f"acting.{k}", v) for k, v in acting.outputs.items())):
        if fields:
            yield from ("", f"[{name}]")
            for field, value in fields.items():
                key = field.replace("_", "-")
                yield _line(f"{key} = {toml_value(value)}", file.document.where((*name.split("."), key)))


def _output_lines(table: OutputTable, shown: Mapping[str, Any]) -> Iterator[str]:
    first = output_classes()[table.kind].OPTIONS[0].name
    yield f"{first} = {toml_value(_without_secrets(first, table.target, shown.get(first)))}"
    if table.name:
        yield f"name = {toml_value(table.name)}"
    for keyword, value in table.values.items():
        name = keyword.replace("_", "-")
        yield f"{name} = {toml_value(_without_secrets(name, value, None))}"
    if table.acting:
        values = {field.replace("_", "-"): value for field, value in table.acting.items()}
        yield f"acting = {toml_value(values)}"


def _without_secrets(name: str, value: Any, shown: Any) -> Any:
    """A value as it may be printed."""
    if isinstance(value, tuple):
        return tuple(_without_secrets(name, each, shown) for each in value)
    if shown is not None:
        return shown(value)
    if not isinstance(value, (bool, int, float)) and "://" in str(value):
        from stream.capture.network.url import redacted

        return redacted(str(value))
    return HIDDEN if _SECRET.search(name) else value


def _line(text: str, origin: str) -> str:
    return f"{text:<{COMMENT_COLUMN}}  # {origin}" if origin else text


print_settings.__dict__.update(vars(app.callback))  # the sections of the options
settings = TaskCommand(
    "settings",
    callback=print_settings,
    params=[option for option in app.params if option.expose_value],
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
