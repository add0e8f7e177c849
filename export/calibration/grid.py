"""Which rules calibration tries for a class."""

from __future__ import annotations

from collections.abc import Sequence

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
MAX_SHARE_OF_EVENT = 0.5  # of a class's median event that smoothing, or the time on, may take


def first_rules(median_seconds: float) -> list[list[ClassRule]]:
    """Every smoothing with every time on that the class's events are long enough for; each a row by level.

    Args:
        median_seconds: of the class's true events.
    """
    longest = MAX_SHARE_OF_EVENT * median_seconds
    smoothings = [s for s in SMOOTHING_SECONDS if s <= longest] or [SMOOTHING_SECONDS[0]]
    times_on = ([s for s in MIN_ON_SECONDS if s <= longest] or [MIN_ON_SECONDS[0]])[-4:]
    return [
        [make_rule(level, smoothing=smoothing, min_on=min_on) for level in LEVELS]
        for smoothing in smoothings
        for min_on in times_on
    ]


def ending_rules(chosen: ClassRule) -> list[list[ClassRule]]:
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
            for level in near(level_of(chosen))
        ]
        for min_off in MIN_OFF_SECONDS
        for refractory in REFRACTORY_SECONDS
        if (min_off, refractory) != (FIRST_MIN_OFF, 0.0)
    ]


def hysteresis_rules(chosen: ClassRule) -> list[list[ClassRule]]:
    """Other thresholds to begin and to end below the level; rows by level."""
    return [
        [
            make_rule(
                level, release, share,
                smoothing=chosen.smoothing, min_on=chosen.min_on, min_off=chosen.min_off,
                refractory=chosen.refractory,
            )
            for level in near(level_of(chosen))
        ]
        for release in RELEASE_SHARES
        for share in THRESHOLD_SHARES
        if (release, share) != (FIRST_RELEASE, 1.0)
    ]  # fmt: skip


def near(level: float, around: int = 2) -> Sequence[float]:
    """The levels about one of them."""
    at = LEVELS.index(level)
    return LEVELS[max(0, at - around) : at + around + 1]


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
