"""SourceSpec: one source of a station, as its settings say it."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from stream.capture.network.url import redacted
from stream.errors import UsageError
from stream.printable import printable
from stream.source_listening import Listening

LONGEST_NAME = 64
PLACEHOLDER = "{source}"  # in what outputs are given in a settings file: the name of the source
_NAME = re.compile(r"\w[\w .-]*(?<![ .])")


def check_name(name: object) -> str:
    """The name of a source. It stands in addresses, in names of files and on screens.

    Raises:
        UsageError: it is no text, empty or too long, or has other characters than these.
    """
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        shown = printable(name[: LONGEST_NAME + 1]) if isinstance(name, str) else name
        raise UsageError(
            f"name {shown!r}: want up to {LONGEST_NAME} letters, digits, spaces, '-', '_' and '.', "
            "a letter or digit first"
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec(Listening):
    """What one source is listened to with, and by which name it is known.

    Attributes:
        name: unique within the station.
    """

    name: str

    @property
    def listens_to(self) -> str:
        """What is listened to, as it may be printed."""
        if self.demo:
            return "the bundled recording"
        if self.input is not None:
            return printable(redacted(self.input) if "://" in self.input else self.input)
        return "the default microphone" if self.device is None else f"microphone {printable(self.device)}"

    def same_as(self, other: SourceSpec) -> bool:
        """Whether both ask for the same, wherever in a file they stand."""
        return self._asked() == other._asked()

    def differs_in_rules_only(self, other: SourceSpec) -> bool:
        """Whether nothing but rules of the detector tells them apart."""
        mine, others = self._asked(), other._asked()
        return mine.pop("rules") != others.pop("rules") and mine == others

    def _asked(self) -> dict[str, Any]:
        asked = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "files"}
        asked["rules"] = [(rule.field, rule.label, rule.value) for rule in self.rules]
        return asked
