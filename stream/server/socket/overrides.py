"""Changes of the detector's rules that a client asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.errors import SpecError, UsageError
from stream.server.socket.codes import StreamEnds
from stream.settings.layered_rules import RuleSetting, lay_over

if TYPE_CHECKING:
    from stream.decisions.spec import DetectorSpec
    from stream.server.socket.client_messages import RuleChanges, Rules


def changed_rules(base: DetectorSpec, labels: tuple[str, ...], changes: Rules) -> DetectorSpec:
    """The rules of ``base`` with ``changes`` laid over them: first those for every class, then those of one.

    Args:
        base: the rules in force.
        labels: all classes of the stream.
        changes: as the client said them.

    Raises:
        StreamEnds: ``bad_rules``: out of range together, or of a class that there is not.
    """
    settings = _settings(changes, None, "rules")
    for label, own in changes.classes.items():
        settings += _settings(own, label, f"rules of class {label!r}")
    try:
        return lay_over(base, labels, settings)[0]
    except (SpecError, UsageError) as error:
        raise StreamEnds("bad_rules", str(error)) from None


def _settings(changes: RuleChanges, label: str | None, where: str) -> list[RuleSetting]:
    fields = [name for name in changes.__struct_fields__ if name != "classes"]
    given = [(name, getattr(changes, name)) for name in fields]
    return [RuleSetting(name, label, value, where) for name, value in given if value is not None]
