"""Classes and their detector settings as short texts, as options and addresses have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream.decisions.spec import DetectorSpec
from stream.errors import UsageError
from stream.settings.layered_rules import RuleSetting, lay_over


def rule_settings(
    texts: Mapping[str, Sequence[str]], where: str = "", *, dashes: bool = True
) -> list[RuleSetting]:
    """What options, or parameters of an address, say about rules.

    Args:
        texts: field of ClassRule -> texts, each "VALUE" (for every class) or "LABEL=VALUE".
        where: where they come from; "" = each from its option.
        dashes: fields are spelt as options, --min-on; else as they are.

    Returns:
        Values for every class first, so that LABEL=VALUE wins in any order.

    Raises:
        UsageError: not a number.
    """
    found: list[RuleSetting] = []
    for field, values in texts.items():
        option = "--" + field.replace("_", "-") if dashes else field
        for text in values:
            label, sign, number = text.rpartition("=")
            if sign and not label:
                raise UsageError(f"{option} {text!r}: no class before the =; want a number, or LABEL=number")
            try:
                value = float(number)
            except ValueError:
                raise UsageError(f"{option} {text!r}: want a number, or LABEL=number") from None
            found.append(RuleSetting(field, label if sign else None, value, where or f"{option} {text!r}"))
    return sorted(found, key=lambda setting: setting.label is not None)


def detector_spec(
    base: DetectorSpec, labels: tuple[str, ...], texts: Mapping[str, Sequence[str]]
) -> DetectorSpec:
    """The card's rules with the changes of options; see `rule_settings` and `lay_over`.

    Raises:
        UsageError: not a number, or no such class.
        SpecError: out of range.
    """
    spec, _ = lay_over(base, labels, rule_settings(texts))
    return spec


def groups_of(texts: Sequence[str], option: str = "--group") -> dict[str, tuple[str, ...]]:
    """Groups by name.

    Args:
        texts: "NAME=LABEL,LABEL".
        option: as messages name it.

    Raises:
        UsageError: a text of another form, or a name that is given twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, sign, members = text.partition("=")
        name = name.strip()
        if not (sign and name and members.strip()):
            raise UsageError(f"{option} {text!r}: want NAME=LABEL,LABEL, such as alarm=smoke,co")
        if name in found:
            raise UsageError(f"{option} {text!r}: there is a group {name!r} already; give each name once")
        found[name] = tuple(member.strip() for member in members.split(","))
    return found
