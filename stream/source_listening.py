"""Listening: everything that can be asked of listening to one source, whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stream.capture.sound_in import SoundIn
from stream.decisions.derived import DerivedSpec
from stream.outputs.acting_rule import ActingRules
from stream.outputs.catalogue import OutputTable
from stream.settings.layered_rules import RuleSetting
from stream.settings.reading import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening(SoundIn):
    """One source, what listens to it, and what happens then. Names are those of the options.

    Attributes:
        rules: changes of the card's rules, later ones win.
        derived: groups and loud.
        outputs: values of the outputs' options, by keyword.
        output_tables: outputs with settings of their own.
        acting: rules of acting.
        files: settings files, for what can be checked only once the model is known.
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
    no_audio: bool
    no_speech: bool
    outputs: Mapping[str, Any]
    output_tables: tuple[OutputTable, ...]
    acting: ActingRules
    files: tuple[Settings, ...]
