"""Detector settings from the command line, laid over those of the model's card."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import UsageError


def detector_spec(
    base: DetectorSpec, labels: tuple[str, ...], settings: dict[str, Sequence[str]]
) -> DetectorSpec:
    """The card's rules with the user's changes.

    Args:
        base: from the card.
        labels: the model's classes.
        settings: field of ClassRule -> texts, each "VALUE" (for every class) or "LABEL=VALUE".

    Raises:
        UsageError: not a number, or no such class.
        SpecError: out of range.
    """
    rules = {label: base.rule(label) for label in labels}
    for field, texts in settings.items():
        option = "--" + field.replace("_", "-")
        # Values for every class first, so that LABEL=VALUE wins in any order.
        for text in sorted(texts, key=lambda text: "=" in text):
            label, sign, number = text.rpartition("=")
            if sign and not label:
                raise UsageError(f"{option} {text!r}: no class before the =; want a number, or LABEL=number")
            try:
                value = float(number)
            except ValueError:
                raise UsageError(f"{option} {text!r}: want a number, or LABEL=number") from None
            if label and label not in rules:
                raise UsageError(f"{option} {text!r}: no class {label!r}; the model has {', '.join(labels)}")
            for name in [label] if label else labels:
                rules[name] = _changed(rules[name], field, value)
    return DetectorSpec(default=base.default, classes=rules)


def _changed(rule: ClassRule, field: str, value: float) -> ClassRule:
    if field == "threshold":  # keep the hysteresis in proportion; the user's threshold is enough by itself
        ratio = rule.off_threshold / rule.threshold
        release = None if rule.release is None else max(0.0, min(value, ratio * value))
        return msgspec.structs.replace(rule, threshold=value, release=release, peak_threshold=None)
    return msgspec.structs.replace(rule, **{field: value})
