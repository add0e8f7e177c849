"""How a source is described: a package or folder, its licence, and what each of its files counts as."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["speech", "music", "noise"]
# What recordings are kept as: a class of their own; single hits of drums and single notes of instruments, of which
# beats.py and notes.py make music; or what the cases (scenes/cases.py) are made of: animals and toys, horns, bells and
# hums, bangs (all noise), real singing and instruments that play alone (music).
Stock = Literal["speech", "music", "noise", "drums", "notes", "creatures", "tones", "bangs", "songs", "solos"]
Split = Literal["train", "validation"]

SAMPLE_RATE = 16_000  # of everything that is decoded, composed and trained on
KINDS: tuple[Kind, ...] = ("speech", "music", "noise")
STOCK: tuple[Stock, ...] = (
    *KINDS, "drums", "notes", "creatures", "tones", "bangs", "songs", "solos"
)  # fmt: skip
SPLITS: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True)
class Rule:
    """Files whose path matches ``pattern`` are ``kind`` on side ``split``; kind None = left out.

    ``group`` (a ``re.Match.expand`` template) names the speaker or recording, so that clips of one group stay
    together; ``seconds`` are the shortest and longest file worth using.
    """

    pattern: str
    kind: Stock | None
    split: Split = "train"
    group: str = "one"
    seconds: tuple[float, float] = (0.15, 3600.0)


@dataclass(frozen=True)
class Corpus:
    """A package (or folder), its licence in words, and its rules in order of precedence."""

    name: str
    licence: str
    rules: tuple[Rule, ...]
    folder: bool = False

    def rule_for(self, path: str) -> tuple[Rule, str] | None:
        """The rule for a path inside the corpus and the group name it gives; None = not used."""
        for rule in self.rules:
            match = re.search(rule.pattern, path)
            if match:
                return None if rule.kind is None else (rule, f"{self.name}:{match.expand(rule.group)}")
        return None


MUSIC_SECONDS = (8.0, 3600.0)
EFFECT_SECONDS = (0.08, 20.0)


def music(name: str, licence: str, split: Split, pattern: str) -> Corpus:
    """A corpus of music and nothing else; the pattern's first group names the piece."""
    return Corpus(name, licence, (Rule(pattern, "music", split, r"\1", MUSIC_SECONDS),))
