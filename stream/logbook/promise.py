"""Promise: the false alarms an hour that a model's card expects, wherever its maker wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream.decisions.spec import DetectorSpec
from stream.inference.card import ModelCard

ALL = ""  # in place of a label: all classes together


def promised_rates(card: ModelCard, rules: DetectorSpec) -> dict[str, float] | None:
    """False alarms an hour by label, `ALL` for all of them.

    None where the card says nothing, or where other rules are in force than those it speaks of.
    """
    if any(rules.rule(label) != card.detector.rule(label) for label in card.labels):
        return None
    rates = _of_figures(card.metrics, card.labels)
    return rates or None


def _of_figures(figures: Mapping[str, Any], labels: tuple[str, ...]) -> dict[str, float]:
    rates: dict[str, float] = {}
    total = _number(figures.get("false_alarms_per_hour"))  # of stream-classify train and calibrate
    if total is not None:
        rates[ALL] = total
    events = figures.get("events")  # of the bundled models
    for label in labels:
        for group in (events, figures.get("false_alarms"), figures):
            said = group.get(label) if isinstance(group, Mapping) else None
            if isinstance(said, Mapping) and label not in rates:
                rate = _number(said.get("false_per_hour"))
                daily = _number(said.get("false_per_day"))  # of stream-classify teach
                if rate is None and daily is not None:
                    rate = daily / 24
                if rate is not None:
                    rates[label] = rate
    return rates


def _number(value: Any) -> float | None:
    """A card's figures are free form."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    return None
