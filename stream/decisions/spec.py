"""DetectorSpec: the settings that turn probabilities into events. The one home of their defaults."""

from __future__ import annotations

import msgspec

from stream.errors import SpecError

MAX_SMOOTHING = 10  # seconds; every row sums this many again


class ClassRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one class becomes an event.

    Attributes:
        threshold: smoothed probability at or above which the class may begin.
        release: smoothed probability below which it may end (hysteresis); <= threshold. None = 0.7 * threshold.
        min_on: seconds the class must stay on before its onset is reported.
        min_off: seconds it must stay off before its offset is reported; shorter dips are bridged.
        refractory: seconds after an offset in which the class cannot begin again.
        smoothing: seconds of the causal moving average over probabilities; 0 = none.
        peak_threshold: smoothed probability that the class must reach before its onset is reported, once
            ``min_on`` is over; >= threshold. The onset stays where the threshold was crossed. None = the
            threshold is enough.
        enabled: False = never reported.
    """

    threshold: float = 0.5
    release: float | None = None
    min_on: float = 0.1
    min_off: float = 0.2
    refractory: float = 0.0
    smoothing: float = 0.05
    peak_threshold: float | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise SpecError(f"threshold {self.threshold:g}: must be above 0 and at most 1")
        if self.release is not None and not 0 <= self.release <= self.threshold:
            raise SpecError(f"release {self.release:g}: must be 0 to the threshold ({self.threshold:g})")
        if self.peak_threshold is not None and not self.threshold <= self.peak_threshold <= 1:
            raise SpecError(
                f"peak_threshold {self.peak_threshold:g}: must be the threshold ({self.threshold:g}) to 1"
            )
        longest = {"min_on": 3600, "min_off": 3600, "refractory": 3600, "smoothing": MAX_SMOOTHING}
        for name, limit in longest.items():
            value = getattr(self, name)
            if not 0 <= value <= limit:
                raise SpecError(f"{name} {value:g}: must be 0 to {limit} seconds")

    @property
    def off_threshold(self) -> float:
        return 0.7 * self.threshold if self.release is None else self.release


class DetectorSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A default rule and exceptions by class name.

    Attributes:
        default: for every class that ``classes`` does not name.
        classes: label -> rule.
    """

    default: ClassRule = ClassRule()
    classes: dict[str, ClassRule] = {}

    def rule(self, label: str) -> ClassRule:
        return self.classes.get(label, self.default)

    def check_labels(self, labels: tuple[str, ...]) -> None:
        """Raise SpecError if a rule names a class the model does not have."""
        unknown = sorted(set(self.classes) - set(labels))
        if unknown:
            raise SpecError(
                f"detector rule for {', '.join(unknown)}: the model's classes are {', '.join(labels)}"
            )
