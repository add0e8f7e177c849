"""The keys of settings files, made from the options of listening, so that both always know the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from stream.cli.values import Level
from stream.outputs.catalogue import output_classes
from stream.settings.keys import RULE_KEYS, Key, Vocabulary

# Options that settings files have in another form, or not at all: [groups] and the file itself.
NOT_KEYS = {"group", "settings"}
OF_TERMINALS = {"heard", "screenshot", "web", "verbose", "settings"}  # what sources of a station do not have
NUMBERED = {"device", "channel"}  # text that may be a number


def name_of(option: click.Option) -> str:
    """The name of an option without its dashes, as settings files have it."""
    return max(option.opts, key=len).lstrip("-")


def keys_of(ctx: click.Context) -> dict[str, click.Option]:
    """The options of a command that are keys, by name."""
    return {
        name_of(option): option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option.expose_value and name_of(option) not in NOT_KEYS
    }


def vocabulary_of(ctx: click.Context) -> Vocabulary:
    """What a settings file may hold for a command with the options of listening."""
    return Vocabulary(
        keys={
            name: Key(name, _reader(ctx, option))
            for name, option in keys_of(ctx).items()
            if name not in RULE_KEYS
        },
        outputs={kind: tuple(found.OPTIONS) for kind, found in output_classes().items()},
    )


def source_vocabulary() -> Vocabulary:
    """What one source of several may have: the options of listening, but those of the terminal."""
    from stream.cli.app import app

    with app.make_context(app.name, []) as ctx:
        found = vocabulary_of(ctx)
        options = keys_of(ctx)
        values = {
            name: ctx.params[str(options[name].name)] for name in found.keys if name not in OF_TERMINALS
        }
    return Vocabulary(
        keys={name: found.keys[name] for name in values}, outputs=found.outputs, defaults=values
    )


def converted(ctx: click.Context, option: click.Option, value: Any) -> Any:
    """A value as the command would be given it.

    Raises:
        ValueError: it is not allowed.
        UsageError: an output's own check says so.
    """
    try:
        read = option.type_cast_value(ctx, value)
        return read if option.callback is None else option.callback(ctx, option, read)
    except click.BadParameter as error:
        raise ValueError(error.message) from None


def _reader(ctx: click.Context, option: click.Option) -> Callable[[Any], Any]:
    kinds = _kinds(option)

    def read(value: Any) -> Any:
        values = value if option.multiple and isinstance(value, list) else [value]
        for each in values:
            if not isinstance(each, kinds) or (isinstance(each, bool) and bool not in kinds):
                raise ValueError(f"{each!r}: want {_NAMES[kinds]}")
        texts = [str(each) if isinstance(each, int) and str in kinds else each for each in values]
        return converted(ctx, option, tuple(texts) if option.multiple else texts[0])

    return read


def _kinds(option: click.Option) -> tuple[type, ...]:
    """What TOML values an option takes."""
    if option.is_flag and not isinstance(option.flag_value, str):
        return (bool,)
    if isinstance(option.type, Level):
        return (int, float, str)
    if isinstance(option.type, (click.IntRange, click.types.IntParamType)):
        return (int,)
    if isinstance(option.type, (click.FloatRange, click.types.FloatParamType)):
        return (int, float)
    return (str, int) if name_of(option) in NUMBERED else (str,)


_NAMES: dict[tuple[type, ...], str] = {
    (bool,): "true or false",
    (int,): "a whole number",
    (int, float): "a number",
    (int, float, str): "a level, such as -20 or '-20dBFS'",
    (str,): "text, in quotes",
    (str, int): "text, or a number",
}
