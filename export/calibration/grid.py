"""Which rules calibration tries for a class."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from stream.decisions.spec import ClassRule

# Levels that a class must reach to be an event. Networks are sure of much: most of the choice is above 0.9.
LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.985, 0.993, 0.998)
SMOOTHING_SECONDS = (0.05, 0.2, 0.5)
MIN_ON_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
MIN_OFF_SECONDS = (0.15, 0.3, 0.6, 1.2)
REFRACTORY_SECONDS = (0.0, 0.5)
RELEASE_SHARES = (0.3, 0.5, 0.8)  # of the threshold
THRESHOLD_SHARES = (1.0, 0.6)  # of the level; below 1 the level is the peak threshold
FIRST_MIN_OFF, FIRST_RELEASE = 0.3, 0.5  # while the rest is chosen
HIGHEST_LEVELS = (0.999, 0.9995, 0.9999, 1.0)  # for a class that has no events to lose
LONGER_ON = ((2, 0.2), (4, 0.5), (8, 1.0))  # times the time on, and at least so many seconds
LONGEST_ON_SECONDS = 5.0
MAX_SHARE_OF_EVENT = 0.5  # of a class's median event that smoothing, or the time on, may take


def first_rules(median_seconds: float, levels: Sequence[float] = LEVELS) -> list[list[ClassRule]]:
    """Every smoothing with every time on that the class's events are long enough for; each a row by level.

    Args:
        median_seconds: of the class's true events.
        levels: to try, in rising order.
    """
    longest = MAX_SHARE_OF_EVENT * median_seconds
    smoothings = [s for s in SMOOTHING_SECONDS if s <= longest] or [SMOOTHING_SECONDS[0]]
    times_on = ([s for s in MIN_ON_SECONDS if s <= longest] or [MIN_ON_SECONDS[0]])[-4:]
    return [
        [make_rule(level, smoothing=smoothing, min_on=min_on) for level in levels]
        for smoothing in smoothings
        for min_on in times_on
    ]


def ending_rules(chosen: ClassRule, levels: Sequence[float] = LEVELS) -> list[list[ClassRule]]:
    """Other ways to end an event and to be free for the next, against events that come twice; rows by level."""
    return [
        [
            make_rule(
                level,
                smoothing=chosen.smoothing,
                min_on=chosen.min_on,
                min_off=min_off,
                refractory=refractory,
            )
            for level in near(level_of(chosen), levels)
        ]
        for min_off in MIN_OFF_SECONDS
        for refractory in REFRACTORY_SECONDS
        if (min_off, refractory) != (FIRST_MIN_OFF, 0.0)
    ]


def hysteresis_rules(chosen: ClassRule, levels: Sequence[float] = LEVELS) -> list[list[ClassRule]]:
    """Other thresholds to begin and to end below the level; rows by level."""
    return [
        [
            make_rule(
                level, release, share,
                smoothing=chosen.smoothing, min_on=chosen.min_on, min_off=chosen.min_off,
                refractory=chosen.refractory,
            )
            for level in near(level_of(chosen), levels)
        ]
        for release in RELEASE_SHARES
        for share in THRESHOLD_SHARES
        if (release, share) != (FIRST_RELEASE, 1.0)
    ]  # fmt: skip


def raised_rules(base: ClassRule) -> list[list[ClassRule]]:
    """``base`` with higher levels, in proportion; then with longer times on, for scores that are sure of everything.

    Rows by level, the least strict first.
    """
    lowest = level_of(base)
    levels = [lowest, *(level for level in (*LEVELS, *HIGHEST_LEVELS) if level > lowest)]
    times_on = [base.min_on, *(max(s, times * base.min_on) for times, s in LONGER_ON)]
    return [
        [_raised(base, level / lowest, min_on) for level in levels if level <= 1]
        for min_on in times_on
        if min_on <= LONGEST_ON_SECONDS or min_on == base.min_on
    ]


def _raised(base: ClassRule, times: float, min_on: float) -> ClassRule:
    if times == 1:
        return replace(base, min_on=min_on)
    threshold = min(1.0, base.threshold * times)
    return replace(
        base,
        threshold=threshold,
        release=min(threshold, base.off_threshold * times),
        peak_threshold=None
        if base.peak_threshold is None
        else min(1.0, max(threshold, level_of(base) * times)),
        min_on=min_on,
    )


def near(level: float, levels: Sequence[float] = LEVELS, around: int = 2) -> Sequence[float]:
    """The levels about one of them."""
    at = levels.index(level)
    return levels[max(0, at - around) : at + around + 1]


def level_of(rule: ClassRule) -> float:
    """The level that a rule of this grid asks for."""
    return rule.threshold if rule.peak_threshold is None else rule.peak_threshold


def make_rule(
    level: float,
    release_share: float = FIRST_RELEASE,
    threshold_share: float = 1.0,
    *,
    smoothing: float,
    min_on: float,
    min_off: float = FIRST_MIN_OFF,
    refractory: float = 0.0,
) -> ClassRule:
    """A rule that reports a class once it reached ``level``."""
    threshold = level if threshold_share == 1 else round(level * threshold_share, 3)
    return ClassRule(
        threshold=threshold,
        release=round(release_share * threshold, 3),
        min_on=min_on,
        min_off=min_off,
        refractory=refractory,
        smoothing=smoothing,
        peak_threshold=None if threshold_share == 1 else level,
    )
