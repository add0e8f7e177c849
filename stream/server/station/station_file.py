"""The settings file of a station: what all sources have, a table for each source, and one for the server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stream.capture.fitting import check_input, unfit_options
from stream.decisions.derived import DerivedSpec
from stream.errors import StreamClassifyError, UsageError
from stream.outputs.acting_rule import ActingRules
from stream.outputs.catalogue import OutputTable, check_output_options, refuse_sound, take_output_values
from stream.server.station.source_spec import PLACEHOLDER, SourceSpec, check_name
from stream.settings.document import Document, read_document
from stream.settings.keys import Key, Vocabulary
from stream.settings.places import Path
from stream.settings.reading import Settings, read_keys, read_table

SOURCE, SERVER, NAME = "source", "server", "name"
INPUTS = ("input", "device", "demo")  # each of them says what to listen to


@dataclass(frozen=True, slots=True)
class StationSettings:
    """What a settings file says.

    Attributes:
        sources: in the order of the file.
        server: values of the table ``[server]``, by keyword; only those that are there.
        document: the file.
    """

    sources: tuple[SourceSpec, ...]
    server: Mapping[str, Any]
    document: Document


class StationReader:
    """Reads settings files of stations, and single sources as the server's API is given them.

    At the top of the file stand the options of listening, as in the settings file of the single command: they hold for
    every source. Each ``[[source]]`` has a ``name`` and, of the same options, what is different there. Where both have
    a table of the same kind, such as ``[class.speech]`` or ``[acting]``, the source's wins key by key; its
    ``[[output]]`` tables come on top of those for all. ``{source}`` in what an output is given is the source's name.

    Args:
        vocabulary: keys and defaults of one source.
        server: keys of ``[server]``, by name.
        changes: other defaults than the vocabulary's, by key: what the command line said.
    """

    def __init__(
        self, vocabulary: Vocabulary, server: Mapping[str, Key] | None = None, **changes: Any
    ) -> None:
        self._vocabulary = replace(vocabulary, elsewhere=(SOURCE, SERVER))
        self._of_source = replace(vocabulary, elsewhere=(NAME,))
        self._server = server or {}
        self._defaults = {**vocabulary.defaults, **changes}
        self._base: Settings | None = None  # of the newest file

    @property
    def model(self) -> str:
        """Of sources that name none."""
        return str({**self._defaults, **({} if self._base is None else self._base.values)}["model"])

    def read(self, path: str) -> StationSettings:
        """Read a settings file.

        Raises:
            UsageError: it cannot be read, or holds what may not stand there, with line and column.
        """
        document = read_document(path)
        base = read_table(document, (), document.values, self._vocabulary)
        tables = document.values.get(SOURCE, [])
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            raise document.error((SOURCE,), "source: want [[source]] tables, with two brackets")
        found: dict[str, SourceSpec] = {}
        for number, table in enumerate(tables):
            spec = self._source(document, (SOURCE, number), table, base)
            if spec.name in found:
                raise document.error(
                    (SOURCE, number, NAME), f"name {spec.name!r}: there is a source of this name"
                )
            found[spec.name] = spec
        server = read_keys(document, (SERVER,), document.values.get(SERVER, {}), self._server, SERVER)
        self._base = base
        return StationSettings(tuple(found.values()), server, document)

    def read_source(self, table: Mapping[str, Any]) -> SourceSpec:
        """One source, as ``[[source]]`` has it, from elsewhere; what it does not say is as at the top of the file.

        Raises:
            UsageError: it holds what may not stand there, with the key.
        """
        return self._source(_Request("source", table), (), table, self._base)

    def _source(
        self, document: Document, at: Path, table: Mapping[str, Any], base: Settings | None
    ) -> SourceSpec:
        if NAME not in table:
            raise document.error(at, 'source: has no name; give it one, such as name = "door"')
        try:
            name = check_name(table[NAME])
        except UsageError as error:
            raise document.error((*at, NAME), str(error)) from None
        own = read_table(document, at, table, self._of_source, above=base)
        try:
            return self._spec(name, own, base)
        except StreamClassifyError as error:
            raise document.error(_place(at, table, str(error)), f"source {name}: {error}") from None

    def _spec(self, name: str, own: Settings, base: Settings | None) -> SourceSpec:
        layers = [own] if base is None else [base, own]
        values = self._values(own, base)
        if values["input"] == "-":
            raise UsageError(
                "--input -: standard input belongs to the single command; give a file, URL or device"
            )
        if values["jsonl"] == "-":
            raise UsageError("--jsonl -: standard output is not for a station; give a file")
        named = {key.replace("-", "_"): value for key, value in values.items()}
        derived = DerivedSpec(
            groups={group: members for each in layers for group, members in each.groups.items()},
            loud=named.pop("loud"),
        )
        outputs = {key: _filled(value, name) for key, value in take_output_values(named).items()}
        tables = tuple(_filled_table(table, name) for each in layers for table in each.outputs)
        if not tables:
            check_output_options(outputs, [key.replace("-", "_") for key in own.values])
        named["jsonl"] = _filled(named["jsonl"], name)
        spec = SourceSpec(
            **named,
            name=name,
            rules=tuple(rule for each in layers for rule in each.rules),
            derived=derived,
            outputs=outputs,
            output_tables=tables,
            acting=_acting(layers),
            files=tuple(layers),
        )
        if spec.no_audio or spec.no_speech:
            refuse_sound(spec.outputs, spec.output_tables, all_of_it=spec.no_audio)
        return spec

    def _values(self, own: Settings, base: Settings | None) -> dict[str, Any]:
        values = {**self._defaults, **({} if base is None else base.values), **own.values}
        if any(own.values.get(key) for key in INPUTS):  # what the source says itself is what it listens to
            values |= {key: own.values.get(key, self._defaults[key]) for key in INPUTS}
        given = [
            f"{key}_" if key == "format" else key.replace("-", "_")  # as commands have it
            for key, value in own.values.items()
            if value != self._defaults[key]
        ]
        check_input(values["input"], values["demo"], given)
        unfit = {each.strip("_").replace("_", "-") for each in unfit_options(values["input"], values["demo"])}
        return {key: self._defaults[key] if key in unfit else value for key, value in values.items()}


class _Request(Document):
    """Values that stand in no file: what is wrong with them is told by key."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        super().__init__(name, "")
        self.values = values

    def error(self, path: Path, message: str) -> UsageError:
        place = ".".join(map(str, path))
        return UsageError(f"{self.path}{'.' if place else ''}{place}: {message}")

    def where(self, path: Path) -> str:
        return ".".join([self.path, *map(str, path)])


def _place(at: Path, table: Mapping[str, Any], message: str) -> Path:
    """Where the first option that a message names stands in a table; the table where it is not there."""
    written = {key.replace("_", "-"): key for key in table}
    named = [option for option in re.findall(r"--([a-z][a-z-]*)", message) if option in written]
    return (*at, written[named[0]]) if named else at


def _acting(layers: Sequence[Settings]) -> ActingRules:
    every: dict[str, Any] = {}
    outputs: dict[str, dict[str, Any]] = {}
    schedules: dict[str, Any] = {}
    for each in layers:
        every |= each.acting.every
        schedules |= each.acting.schedules
        for kind, rule in each.acting.outputs.items():
            outputs[kind] = {**outputs.get(kind, {}), **rule}
    return ActingRules(every=every, outputs=outputs, schedules=schedules)


def _filled(value: Any, name: str) -> Any:
    """A value of an output's option, with the name of the source in place of the placeholder."""
    if isinstance(value, tuple):
        return tuple(_filled(each, name) for each in value)
    return value.replace(PLACEHOLDER, name) if isinstance(value, str) else value


def _filled_table(table: OutputTable, name: str) -> OutputTable:
    values = {key: _filled(value, name) for key, value in table.values.items()}
    return replace(table, target=_filled(table.target, name), values=values)
