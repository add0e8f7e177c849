"""The options of outputs on the command line."""

from __future__ import annotations

from typing import Any, TypeVar

import click

from stream.cli.help import section
from stream.cli.values import Number
from stream.outputs.catalogue import output_classes
from stream.outputs.output import Option

F = TypeVar("F", bound=Any)


def output_options(command: F) -> F:
    """Give a command the options of every output."""
    options = [
        _click_option(option, multiple=place == 0)
        for kind in output_classes().values()
        for place, option in enumerate(kind.OPTIONS)
    ]
    if not options:
        return command
    decorated: F = section("What happens then (each can be given several times)", *options)(command)
    return decorated


def _click_option(option: Option, *, multiple: bool) -> Any:
    def checked(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if option.check is None or value is None:
            return value
        return tuple(map(option.check, value)) if multiple else option.check(value)

    kind: Any = option.type
    if option.type is float:
        kind = Number(option.low, option.high)
    elif option.type is int:
        low, high = (None if bound is None else int(bound) for bound in (option.low, option.high))
        kind = click.IntRange(low, high)
    if option.type is bool:
        return click.option(f"--{option.name}", is_flag=True, help=option.help, callback=checked)
    return click.option(
        f"--{option.name}",
        metavar=option.metavar,
        type=kind,
        multiple=multiple,
        default=None if multiple else option.default,
        show_default=not multiple and option.default is not None,
        help=option.help,
        callback=checked,
    )
