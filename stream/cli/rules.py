"""Classes and their detector settings from the command line, laid over those of the model's card."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import UsageError

THRESHOLDS = ("threshold", "peak_threshold")


def detector_spec(
    base: DetectorSpec,
    labels: tuple[str, ...],
    settings: dict[str, Sequence[str]],
    apart: Collection[str] = (),
) -> DetectorSpec:
    """The card's rules with the user's changes.

    Args:
        base: from the card.
        labels: all classes.
        settings: field of ClassRule -> texts, each "VALUE" (for every class) or "LABEL=VALUE".
        apart: classes whose thresholds a value for every class does not change.

    Raises:
        UsageError: not a number, or no such class.
        SpecError: out of range.
    """
    rules = {label: base.rule(label) for label in labels}
    for field, texts in settings.items():
        option = "--" + field.replace("_", "-")
        every = [label for label in labels if field not in THRESHOLDS or label not in apart]
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
            for name in [label] if label else every:
                rules[name] = _changed(rules[name], field, value)
    return DetectorSpec(default=base.default, classes=rules)


def derived_spec(groups: Sequence[str], loud: float | None) -> DerivedSpec:
    """The classes that are derived.

    Args:
        groups: texts "NAME=LABEL,LABEL".
        loud: dBFS, or None.

    Raises:
        UsageError: a text of another form, or a name that is given twice.
        SpecError: out of range.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in groups:
        name, sign, members = text.partition("=")
        name = name.strip()
        if not (sign and name and members.strip()):
            raise UsageError(f"--group {text!r}: want NAME=LABEL,LABEL, such as alarm=smoke,co")
        if name in found:
            raise UsageError(f"--group {text!r}: there is a group {name!r} already; give each name once")
        found[name] = tuple(member.strip() for member in members.split(","))
    return DerivedSpec(groups=found, loud=loud)


def _changed(rule: ClassRule, field: str, value: float) -> ClassRule:
    if field == "threshold":  # keep the hysteresis in proportion; the user's threshold is enough by itself
        ratio = rule.off_threshold / rule.threshold
        release = None if rule.release is None else max(0.0, min(value, ratio * value))
        return msgspec.structs.replace(rule, threshold=value, release=release, peak_threshold=None)
    return msgspec.structs.replace(rule, **{field: value})
