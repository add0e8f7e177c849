"""Settings: what a settings file says, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stream.errors import StreamClassifyError
from stream.outputs.acting_rule import FIELDS, SCHEDULE_FIELDS, ActingRules
from stream.outputs.catalogue import OutputTable
from stream.outputs.hours import Schedule
from stream.settings.document import Document, read_document
from stream.settings.keys import CLASS_KEYS, RULE_KEYS, Key, Vocabulary
from stream.settings.layered_rules import RuleSetting
from stream.settings.places import Path

TABLES = ("acting", "class", "groups", "output", "schedules")
_ACTING = {name: Key(name, read) for name, read in FIELDS.items()}
_SCHEDULE = {name: Key(name, read) for name, read in SCHEDULE_FIELDS.items()}


@dataclass(slots=True)
class Settings:
    """What a file, or a table of one, says.

    Attributes:
        document: the file.
        values: name of a key -> value as the program uses it.
        places: name of a key -> file and line.
        rules: of the detector, in the order of the file, those for every class first.
        groups: name -> labels.
        acting: rules of acting.
        outputs: those with a table of their own.
    """

    document: Document
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    rules: list[RuleSetting] = field(default_factory=list)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    acting: ActingRules = field(default_factory=ActingRules)
    outputs: list[OutputTable] = field(default_factory=list)
    named_classes: list[tuple[Path, str]] = field(
        default_factory=list
    )  # to be checked once the model is known
    named_groups: list[tuple[Path, str]] = field(default_factory=list)  # members of groups

    def check_classes(self, model: Iterable[str], classes: Iterable[str]) -> None:
        """Check every name of a class.

        Args:
            model: labels of the model.
            classes: all classes.

        Raises:
            UsageError: with the place of an unknown one, and the nearest that there is.
        """
        for named, known in ((self.named_groups, list(model)), (self.named_classes, list(classes))):
            for path, name in named:
                if name not in known:
                    raise self.document.unknown(path, f"class {name}", known)


def read_settings(path: str, vocabulary: Vocabulary) -> Settings:
    """Read a settings file.

    Raises:
        UsageError: it cannot be read, is not TOML, or holds an unknown key or a value that is not allowed, with
            line and column.
    """
    document = read_document(path)
    return read_table(document, (), document.values, vocabulary)


def read_table(
    document: Document,
    at: Path,
    table: Mapping[str, Any],
    vocabulary: Vocabulary,
    above: Settings | None = None,
) -> Settings:
    """Read the settings of one table: of a whole file, or of one source of several.

    Args:
        document: the file.
        at: path of the table.
        table: what stands in it.
        vocabulary: the keys that it may have.
        above: settings that these are laid over; their schedules can be named here.
    """
    return _Reader(document, vocabulary, above).read(at, table)


def read_keys(
    document: Document, at: Path, table: Any, known: Mapping[str, Key], what: str
) -> dict[str, Any]:
    """The values of a table that has these keys only, by keyword; ``what`` says how it is written, "server"."""
    return _Reader(document, Vocabulary(keys={})).keys(at, table, known, what)


class _Reader:
    def __init__(self, document: Document, vocabulary: Vocabulary, above: Settings | None = None) -> None:
        self._document, self._vocabulary = document, vocabulary
        self._found = Settings(document)
        self._schedules_above = {} if above is None else above.acting.schedules

    def read(self, at: Path, table: Mapping[str, Any]) -> Settings:
        found, keys = self._found, self._vocabulary.keys
        tables: dict[str, Any] = {}
        for written, value in table.items():
            name = written.replace("_", "-")
            path = (*at, written)
            if name in self._vocabulary.elsewhere:
                continue
            if name in TABLES:
                if name in tables:
                    raise self._twice(path, name)
                tables[name] = path, value
            elif name in RULE_KEYS:
                rule = RuleSetting(
                    name.replace("-", "_"),
                    None,
                    self._value(path, RULE_KEYS[name], value),
                    self._document.where(path),
                )
                if rule.field in {each.field for each in found.rules}:
                    raise self._twice(path, name)
                found.rules.append(rule)
            elif name not in keys:
                raise self._document.unknown(
                    path, f"key {written}", [*keys, *RULE_KEYS, *TABLES, *self._vocabulary.elsewhere]
                )
            elif name in found.values:
                raise self._twice(path, name)
            else:
                found.values[name] = self._value(path, keys[name], value)
                found.places[name] = self._document.where(path)
        if "groups" in tables:
            self._groups(*tables["groups"])
        if "class" in tables:
            self._classes(*tables["class"])
        if "schedules" in tables:
            self._schedules(*tables["schedules"])
        if "acting" in tables:
            self._acting(*tables["acting"])
        if "output" in tables:
            self._outputs(*tables["output"])
        if "acting" in tables:
            for kind in self._vocabulary.outputs:  # rules that contradict themselves
                self._check_rule(tables["acting"][0], kind, {})
        return found

    def _groups(self, at: Path, table: Any) -> None:
        for name, members in self._table(at, table, "groups.NAME").items():
            path = (*at, name)
            labels = [members] if isinstance(members, str) else members
            if (
                not isinstance(labels, list)
                or not labels
                or not all(isinstance(each, str) for each in labels)
            ):
                raise self._document.error(
                    path, f"group {name!r}: want a list of classes, such as ['smoke', 'co']"
                )
            self._found.groups[name] = tuple(labels)
            self._found.named_groups += [((*path, place), label) for place, label in enumerate(labels)]

    def _classes(self, at: Path, table: Any) -> None:
        for label, rules in self._table(at, table, "class.NAME").items():
            path = (*at, label)
            self._found.named_classes.append((path, label))
            read = self.keys(path, rules, CLASS_KEYS, "class.NAME")
            for (written, _), (field_, value) in zip(rules.items(), read.items(), strict=True):
                where = self._document.where((*path, written))
                self._found.rules.append(RuleSetting(field_, label, value, where))

    def _schedules(self, at: Path, table: Any) -> None:
        schedules: dict[str, Schedule] = {}
        for name, values in self._table(at, table, "schedules.NAME").items():
            schedules[name] = Schedule(**self.keys((*at, name), values, _SCHEDULE, "schedules.NAME"))
        self._found.acting = ActingRules(schedules=schedules)

    def _acting(self, at: Path, table: Any) -> None:
        kinds = self._vocabulary.outputs
        every, own = {}, {}
        for written, value in self._table(at, table, "acting").items():
            path = (*at, written)
            if written in kinds:
                own[written] = self._rule(path, value)
            elif isinstance(value, dict) and written.replace("_", "-") not in _ACTING:
                raise self._document.unknown(path, f"output {written}", kinds)
            else:
                every[written] = value
        self._found.acting = ActingRules(
            every=self._rule(at, every), outputs=own, schedules=self._found.acting.schedules
        )

    def _rule(self, at: Path, table: Any) -> dict[str, Any]:
        """Fields of one rule of acting."""
        fields = self.keys(at, table, _ACTING, "acting")
        for written in table:
            name = written.replace("_", "-")
            if name in ("classes", "schedule"):
                values = [table[written]] if isinstance(table[written], str) else table[written]
                for place, value in enumerate(values):
                    path = (*at, written, place)
                    if name == "classes":
                        self._found.named_classes.append((path, value))
                    elif value not in (known := {**self._schedules_above, **self._found.acting.schedules}):
                        raise self._document.unknown(path, f"schedule {value}", known)
        return fields

    def _outputs(self, at: Path, tables: Any) -> None:
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            raise self._document.error(at, "output: want [[output]] tables, with two brackets")
        kinds = self._vocabulary.outputs
        asking = {options[0].name: kind for kind, options in kinds.items()}
        for number, table in enumerate(tables):
            path = (*at, number)
            asked = [written for written in table if written.replace("_", "-") in asking]
            if len(asked) != 1:
                raise self._document.error(path, f"output: want one of the keys {', '.join(asking)} in it")
            kind = asking[asked[0].replace("_", "-")]
            known = {option.name: self._vocabulary.keys[option.name] for option in kinds[kind]}
            known |= {"name": Key("name", _text), "acting": Key("acting", lambda value: value)}
            values = self.keys(path, table, known, "output")
            target = values.pop(kinds[kind][0].keyword)
            if isinstance(target, tuple):
                if len(target) != 1:
                    raise self._document.error(
                        (*path, asked[0]), f"{asked[0]}: want one value in each [[output]] table"
                    )
                target = target[0]
            acting = values.pop("acting", None)
            rule = {} if acting is None else self._rule((*path, "acting"), acting)
            name = values.pop("name", "")
            self._check_rule(path, kind, rule)
            self._found.outputs.append(
                OutputTable(kind=kind, target=target, values=values, acting=rule, name=name)
            )

    def _check_rule(self, at: Path, kind: str, own: Mapping[str, Any]) -> None:
        try:
            self._found.acting.rule(kind, own)
        except StreamClassifyError as error:
            raise self._document.error(at, f"acting of {kind}: {error}") from None

    def keys(self, at: Path, table: Any, known: Mapping[str, Key], what: str) -> dict[str, Any]:
        """The values of a table all of whose keys are known, by keyword."""
        values: dict[str, Any] = {}
        for written, value in self._table(at, table, what).items():
            name, key = self._known((*at, written), known)
            keyword = name.replace("-", "_")
            if keyword in values:
                raise self._twice((*at, written), name)
            values[keyword] = self._value((*at, written), key, value)
        return values

    def _known(self, path: Path, known: Mapping[str, Key]) -> tuple[str, Key]:
        name = str(path[-1]).replace("_", "-")
        if name not in known:
            raise self._document.unknown(path, f"key {path[-1]}", known)
        return name, known[name]

    def _table(self, path: Path, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._document.error(path, f"{path[-1]}: want a table, [{what}]")
        return value

    def _value(self, path: Path, key: Key, value: Any) -> Any:
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(each, str) and "\0" in each for each in texts):  # no option can hold one
            raise self._document.error(path, f"{path[-1]}: holds a null character; leave it out")
        try:
            return key.read(value)
        except (ValueError, StreamClassifyError) as error:
            text = str(error)
            named = text if text.startswith(("--", key.name)) else f"{path[-1]}: {text}"
            raise self._document.error(path, named) from None

    def _twice(self, path: Path, name: str) -> StreamClassifyError:
        return self._document.error(path, f"{path[-1]}: {name!r} stands here twice; leave one of them out")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r}: want text")
    return value
