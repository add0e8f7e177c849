"""What was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stream.cli.sound_in import SoundIn
from stream.decisions.derived import DerivedSpec
from stream.outputs.acting_rule import ActingRules
from stream.outputs.catalogue import OutputTable
from stream.settings.layered_rules import RuleSetting
from stream.settings.reading import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(SoundIn):
    """The options of the root command, by their long names, as file, environment and command line together have them.

    Attributes:
        rules: changes of the card's rules, later ones win.
        derived: groups and loud.
        outputs: values of the outputs' options, by keyword.
        output_tables: outputs with settings of their own.
        acting: rules of acting.
        file: the settings file, for what can be checked only once the model is known.
    """

    model: str
    provider: str
    rules: tuple[RuleSetting, ...]
    derived: DerivedSpec
    repair: str
    max_gap: float | None
    reset_after: float | None
    jsonl: str | None
    scores: bool
    onsets: bool
    heard: str
    screenshot: str | None
    verbose: bool
    no_audio: bool
    no_speech: bool
    outputs: Mapping[str, Any]
    output_tables: tuple[OutputTable, ...]
    acting: ActingRules
    file: Settings | None
