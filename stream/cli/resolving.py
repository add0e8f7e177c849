"""The value of each option that is in force: command line wins over environment, and that over the settings file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from stream.capture.fitting import check_input, unfit_options
from stream.cli.vocabulary import converted, keys_of, vocabulary_of
from stream.decisions.derived import DerivedSpec
from stream.errors import StreamClassifyError, UsageError
from stream.outputs.acting_rule import ActingRules
from stream.outputs.catalogue import check_output_options, take_output_values
from stream.settings.keys import RULE_KEYS
from stream.settings.layered_rules import RuleSetting
from stream.settings.reading import Settings, read_settings
from stream.settings.rule_texts import groups_of, rule_settings
from stream.source_listening import Listening

PREFIX = "STREAM_CLASSIFY_"
DEFAULT, FILE, ENVIRONMENT, OPTION = range(4)
_INPUTS = ("input", "device", "demo")  # each of them says what to listen to


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(Listening):
    """Options of the root command, by their long names, as file, environment and command line together have them."""

    heard: str
    screenshot: str | None
    web: int | None
    verbose: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: its rank (a higher one wins), and words for people."""

    rank: int
    words: str


_DEFAULT = Origin(DEFAULT, "default")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is in force.

    Attributes:
        options: for a run.
        values: name of an option -> its value; rules and groups are in ``options`` only.
        origins: name of an option, or "group NAME" -> where it comes from.
    """

    options: Options
    values: Mapping[str, Any]
    origins: Mapping[str, Origin]


def resolve(ctx: click.Context, values: Mapping[str, Any]) -> Resolved:
    """Bring together what was asked for.

    Args:
        ctx: of a command with the options of listening.
        values: what click made of its command line.

    Raises:
        UsageError, UnreadableAudio: a value that is not allowed, from wherever it comes.
    """
    layers = _Layers(ctx, values)
    path = values["settings"] or os.environ.get(f"{PREFIX}SETTINGS")
    file = read_settings(path, vocabulary_of(ctx)) if path else None
    for name, option in keys_of(ctx).items():
        if name not in RULE_KEYS:
            layers.settle(name, option, file)
    layers.settle_inputs()
    found, origins = layers.values, layers.origins
    if found["jsonl"] is not None and not found["jsonl"].strip():
        raise UsageError("--jsonl '': is empty, perhaps an unset variable of the shell; give a file, or -")

    groups = {} if file is None else dict(file.groups)
    origins |= {
        f"group {name}": Origin(FILE, file.document.where(("groups", name))) for name in groups if file
    }
    groups |= (asked := groups_of(values["group"]))
    origins |= {f"group {name}": Origin(OPTION, "option") for name in asked}

    named = {str(option.name).strip("_"): found[name] for name, option in layers.settled.items()}
    derived = DerivedSpec(groups=groups, loud=named.pop("loud"))
    outputs = take_output_values(named)
    if file is None or not file.outputs:
        check_output_options(
            outputs, [_keyword(name) for name, where in origins.items() if where.rank == OPTION]
        )
    options = Options(
        **named,
        rules=(*(() if file is None else file.rules), *layers.rules()),
        derived=derived,
        outputs=outputs,
        output_tables=() if file is None else tuple(file.outputs),
        acting=ActingRules() if file is None else file.acting,
        files=() if file is None else (file,),
    )
    return Resolved(options, found, origins)


class _Layers:
    def __init__(self, ctx: click.Context, given: Mapping[str, Any]) -> None:
        self._ctx, self._given = ctx, given
        self.values: dict[str, Any] = {}
        self.origins: dict[str, Origin] = {}
        self.settled: dict[str, click.Option] = {}

    def settle(self, name: str, option: click.Option, file: Settings | None) -> None:
        """Find the value of one option."""
        self.settled[name] = option
        self.values[name], self.origins[name] = self._given[str(option.name)], _DEFAULT
        text = os.environ.get(variable := variable_of(name))
        if self._is_given(option):
            self.origins[name] = Origin(OPTION, "option")
        elif text:
            try:
                value = converted(self._ctx, option, (text,) if option.multiple else text)
            except (ValueError, StreamClassifyError) as error:
                raise UsageError(f"{variable}: {error}") from None
            self.values[name], self.origins[name] = value, Origin(ENVIRONMENT, variable)
        elif file is not None and name in file.values:
            self.values[name], self.origins[name] = file.values[name], Origin(FILE, file.places[name])

    def settle_inputs(self) -> None:
        """Of several things to listen to, take the one that was asked for with most weight, and what applies to it."""
        ranks = {name: self.origins[name].rank for name in _INPUTS if self.values[name] not in (None, False)}
        best = max(ranks.values(), default=DEFAULT)
        for name, rank in ranks.items():
            if rank < best:
                self._back_to_default(name)
        unfit = unfit_options(self.values["input"], self.values["demo"])
        for name, option in self.settled.items():
            if option.name in unfit and self.origins[name].rank < best:
                self._back_to_default(name)
        # A file that says the usual says nothing about what is listened to.
        given = [
            str(option.name)
            for name, option in self.settled.items()
            if self._is_given(option) or self.values[name] != self._given[str(option.name)]
        ]
        check_input(self.values["input"], self.values["demo"], given)

    def rules(self) -> list[RuleSetting]:
        """Rules of the detector: those of the environment, then those of the command line."""
        found = []
        for name in RULE_KEYS:
            if text := os.environ.get(variable := variable_of(name)):
                try:
                    found += rule_settings({name.replace("-", "_"): [text]}, variable)
                except UsageError as error:
                    raise UsageError(f"{variable}: {error}") from None
        return [*found, *rule_settings({name: self._given[name] for name in map(_keyword, RULE_KEYS)})]

    def _back_to_default(self, name: str) -> None:
        self.values[name], self.origins[name] = self._given[str(self.settled[name].name)], _DEFAULT

    def _is_given(self, option: click.Option) -> bool:
        return self._ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE


def variable_of(name: str) -> str:
    """The environment variable of an option."""
    return PREFIX + _keyword(name).upper()


def _keyword(name: str) -> str:
    return name.replace("-", "_")
