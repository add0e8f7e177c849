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
    return _of_calibration(card.provenance) or _of_figures(card.metrics, card.labels) or None


def _of_calibration(provenance: Mapping[str, Any]) -> dict[str, float]:
    """What ``stream-classify calibrate`` promises: the rates stay below these."""
    found = _mapping(provenance.get("calibration"))
    rates = {ALL: _number(_mapping(found.get("promise")).get("at_most_per_hour"))}
    for label, figures in _mapping(found.get("classes")).items():
        rates[str(label)] = _number(_mapping(figures).get("at_most_per_hour"))
    return {label: rate for label, rate in rates.items() if rate is not None}


def _of_figures(figures: Mapping[str, Any], labels: tuple[str, ...]) -> dict[str, float]:
    """What was counted when the model was made."""
    rates: dict[str, float] = {}
    total = _number(figures.get("false_alarms_per_hour"))  # of stream-classify train
    if total is not None:
        rates[ALL] = total
    for label in labels:
        of_release = _mapping(_mapping(figures.get("events")).get(label)).get("false_per_hour")
        of_teach = _number(_mapping(_mapping(figures.get("taught")).get(label)).get("false_per_day"))
        rate = of_teach / 24 if of_teach is not None else _number(of_release)
        if rate is not None:
            rates[label] = rate
    return rates


def _mapping(value: Any) -> Mapping[str, Any]:
    """A card's figures are free form."""
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    return None
