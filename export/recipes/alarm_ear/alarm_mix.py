"""How scenes with alarms are made: what sounds behind, which sounders, how loud, and what happens on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class AlarmMix:
    """How scenes are made; levels in dBFS of RMS while something sounds, ratios in dB.

    Attributes:
        backgrounds: what sounds behind -> relative share; kinds joined by "+" sound together.
        patterns: what sounds before -> relative share: "smoke piezo", "smoke square", "smoke other", "co piezo",
            "co square", "co other", "beep", "look-alike" (no alarm, made by rule), "imitation" (a voice saying beep).
        segment_seconds: of one background.
        quiet_seconds: between two sounders.
        sounder_seconds: that one sounds, at least one and a half cycles.
        snr: of a pulse over what sounds behind it.
        level_dbfs: of the background.
        floor_dbfs: of the microphone's own noise.
        room, tilt: share of sounders in a room, and the deviation of their filter.
        codec, narrow, clipped: shares of scenes.
        spread: by which a standard's times are longer or shorter.
        made: share of music that is made of notes, hits and voices.
    """

    backgrounds: dict[str, float]
    patterns: dict[str, float]
    segment_seconds: tuple[float, float] = (8.0, 30.0)
    quiet_seconds: tuple[float, float] = (2.0, 14.0)
    sounder_seconds: tuple[float, float] = (10.0, 30.0)
    snr: tuple[float, float] = (-12.0, 25.0)
    level_dbfs: tuple[float, float] = (-45.0, -14.0)
    floor_dbfs: tuple[float, float] = (-84.0, -58.0)
    room: float = 0.6
    tilt: float = 4.0
    codec: float = 0.15
    narrow: float = 0.12
    clipped: float = 0.08
    spread: float = 0.08
    made: float = 0.3


BACKGROUNDS = {
    "silence": 0.12, "speech": 0.24, "music": 0.27, "noise": 0.21, "speech+music": 0.07, "speech+noise": 0.06,
    "music+noise": 0.03,
}  # fmt: skip
TRAIN = AlarmMix(
    backgrounds=BACKGROUNDS,
    patterns={
        "smoke piezo": 0.13, "smoke square": 0.06, "smoke other": 0.04,
        "co piezo": 0.13, "co square": 0.05, "co other": 0.03,
        "beep": 0.22, "look-alike": 0.26, "imitation": 0.08,
    },
)  # fmt: skip
HELD_OUT = replace(TRAIN, made=0.0)
NEGATIVE = replace(
    HELD_OUT,
    patterns={"look-alike": 0.7, "imitation": 0.3},
    quiet_seconds=(10.0, 60.0),
    sounder_seconds=(4.0, 12.0),
)
"""Nothing in it is an alarm or a repeating beep."""
