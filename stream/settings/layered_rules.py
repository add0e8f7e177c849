"""Rules of the detector from several places, laid over those of the model's card."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec

from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import SpecError, UsageError

THRESHOLDS = ("threshold", "peak_threshold")
Origins = dict[tuple[str, str], str]
"""Where values come from: (class, field of ClassRule) -> words for people. What is missing is the card's."""


@dataclass(frozen=True, slots=True)
class RuleSetting:
    """``value`` for one field of the rule of one class.

    Attributes:
        field: of ClassRule.
        label: of the class; None = every class.
        value: as ClassRule has it.
        where: where it comes from: "house.toml:7", "--threshold 'speech=0.8'".
    """

    field: str
    label: str | None
    value: float | bool
    where: str


def lay_over(
    base: DetectorSpec,
    labels: tuple[str, ...],
    settings: Iterable[RuleSetting],
    apart: Collection[str] = (),
) -> tuple[DetectorSpec, Origins]:
    """The rules of ``base`` with changes, one after the other.

    Args:
        base: from the card.
        labels: all classes.
        settings: changes; later ones win.
        apart: classes whose thresholds a value for every class does not change.

    Returns:
        The rules, and where each changed value comes from.

    Raises:
        UsageError: no such class.
        SpecError: out of range.
    """
    rules = {label: base.rule(label) for label in labels}
    origins: Origins = {}
    for setting in settings:
        field, label = setting.field, setting.label
        if label is not None and label not in rules:
            raise UsageError(f"{setting.where}: no class {label!r}; the model has {', '.join(labels)}")
        every = [each for each in labels if field not in THRESHOLDS or each not in apart]
        for name in every if label is None else [label]:
            try:
                changed = _changed(rules[name], field, setting.value)
            except SpecError as error:
                raise SpecError(f"{setting.where}: {error}") from None
            for each in changed.__struct_fields__:
                if each == field or getattr(changed, each) != getattr(rules[name], each):
                    origins[name, each] = setting.where
            rules[name] = changed
    return DetectorSpec(default=base.default, classes=rules), origins


def _changed(rule: ClassRule, field: str, value: float | bool) -> ClassRule:
    if field == "threshold":  # keep the hysteresis in proportion; the user's threshold is enough by itself
        ratio = rule.off_threshold / rule.threshold
        release = None if rule.release is None else max(0.0, min(value, ratio * value))
        return msgspec.structs.replace(rule, threshold=value, release=release, peak_threshold=None)
    return msgspec.structs.replace(rule, **{field: value})
