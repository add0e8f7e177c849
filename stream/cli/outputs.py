"""The options of outputs on the command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import click

from stream.cli.help import section
from stream.cli.values import Number
from stream.errors import UsageError
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
